/* SPDX-License-Identifier: Apache-2.0 */
#include "report/facts.h"

#include "base/limits.h"

#include <math.h>

#define SHOWN_BYTES 20000 /* of one text of an answer; what is left out is said */

/* The group's records, in the order of the report. */
static bool is_in(const json_t *group, const auk_case *c)
{
    const json_t *labels = json_object_get(group, "records");

    for (size_t i = 0; i < json_array_size(labels); i++)
        if (auk_str_is(auk_json_str(json_array_get(labels, i)), c->label))
            return true;
    return false;
}

/* ---- rates -------------------------------------------------------------------------------- */

static void rate_row(auk_doc *d, const auk_case *c)
{
    static const char *const counts[] = {"truncated", "looped", "timeout", "no_code",
                                         "harness_error"};
    const json_t *head = c->entry->head, *h = json_object_get(head, "headline");
    const char *key = json_is_array(json_object_get(h, "wilson95")) ? "wilson95" : "bootstrap95";
    const json_t *interval = json_object_get(h, key);
    double rate = auk_number_at(h, "pass_at_1"),
           lo = json_number_value(json_array_get(interval, 0)),
           hi = json_number_value(json_array_get(interval, 1));

    auk_doc_cell(d, AUK_STRONG, auk_str_of(c->label));
    auk_doc_cell(d, AUK_PLAIN, auk_base_name(auk_text_at(head, "model.path")));
    auk_doc_cellf(d, AUK_PLAIN, "%lld/%lld", (long long)auk_int_at(h, "passed"),
                  (long long)auk_int_at(h, "n"));
    if (isfinite(rate) && json_is_array(interval)) {
        auk_doc_cellf(d, AUK_PLAIN, "%.2f %%", 100 * rate);
        auk_doc_cellf(d, AUK_PLAIN, "%.2f to %.2f %%", 100 * lo, 100 * hi);
        auk_doc_picture(d, lo, hi, rate, 0, 1);
    } else {
        for (int i = 0; i < 3; i++)
            auk_doc_cell(d, AUK_PLAIN, auk_str_of(""));
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)auk_int_at(h, counts[i]));
    auk_doc_cell(d, AUK_PLAIN, auk_text_at(head, "sandbox"));
}

static bool is_unboxed(auk_str level)
{
    return auk_str_is(level, "D") || auk_str_starts(level, "D ") || auk_str_starts(level, "none");
}

static void view_rates(auk_doc *d, const json_t *group, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {
        {"", false},       {"model", false},  {"passed", true},        {"pass@1", true},
        {"95 %", true},    {"0 to 1", false}, {"truncated", true},     {"looped", true},
        {"timeout", true}, {"no code", true}, {"harness error", true}, {"sandbox", false}};
    bool unboxed = false, several = false;

    auk_doc_table(d, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        if (!is_in(group, &cases[i]))
            continue;
        rate_row(d, &cases[i]);
        unboxed |= is_unboxed(auk_text_at(cases[i].entry->head, "sandbox"));
        several |= auk_record_at(cases[i].entry->head, "headline.bootstrap95") != NULL;
    }
    auk_doc_table_end(d);
    if (unboxed)
        auk_doc_warning(d, auk_str_of("Level D: programs ran without a sandbox, so a program could "
                                      "change what other programs and this one saw."));
    if (several)
        auk_doc_para(d, auk_str_of("With several samples per task the interval comes from "
                                   "resampled tasks (" AUK_BOOTSTRAP_GENERATOR ", seed 1234)."));
}

/* ---- pairs and reruns --------------------------------------------------------------------- */

static void pair_row(auk_doc *d, const json_t *p)
{
    const json_t *t = json_object_get(p, "table"), *interval = json_object_get(p, "newcombe95");
    const double lo = json_number_value(json_array_get(interval, 0)),
                 hi = json_number_value(json_array_get(interval, 1));

    auk_doc_cellf(d, AUK_STRONG, "%s against %s", auk_text_at(p, "a").p, auk_text_at(p, "b").p);
    for (size_t i = 0; i < 4; i++)
        auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)json_integer_value(json_array_get(t, i)));
    auk_doc_cellf(d, AUK_PLAIN, "%+.2f", 100 * auk_number_at(p, "difference"));
    auk_doc_cellf(d, AUK_PLAIN, "%+.2f to %+.2f", 100 * lo, 100 * hi);
    auk_doc_picture(d, lo, hi, auk_number_at(p, "difference"), -0.25, 0.25);
    auk_doc_cellf(d, AUK_PLAIN, "%.4g", auk_number_at(p, "p_exact"));
    auk_doc_cellf(d, AUK_PLAIN, "%.4g", auk_number_at(p, "p_mid"));
    if (isfinite(auk_number_at(p, "p_holm")))
        auk_doc_cellf(d, AUK_PLAIN, "%.4g", auk_number_at(p, "p_holm"));
    else
        auk_doc_cell(d, AUK_PLAIN, auk_str_of(""));
}

/* What no table shows of a pair. */
static void pair_words(auk_doc *d, const json_t *p)
{
    char text[700];
    auk_str said = auk_text_at(p, "sentence"), refused = auk_text_at(p, "refused");
    const json_t *interval = json_object_get(p, "bootstrap95");

    if (said.n > 0)
        auk_doc_para(d, said);
    snprintf(text, sizeof text, "%s and %s are not compared: %.500s.", auk_text_at(p, "a").p,
             auk_text_at(p, "b").p, refused.p);
    if (refused.n > 0)
        auk_doc_warning(d, auk_str_of(text));
    if (interval != NULL) {
        snprintf(text, sizeof text, "%s against %s: %+.2f points, 95 %% interval %+.2f to %+.2f.",
                 auk_text_at(p, "a").p, auk_text_at(p, "b").p, 100 * auk_number_at(p, "difference"),
                 100 * json_number_value(json_array_get(interval, 0)),
                 100 * json_number_value(json_array_get(interval, 1)));
        auk_doc_para(d, auk_str_of(text));
    }
    if (auk_int_at(p, "excluded") > 0) {
        snprintf(text, sizeof text, "Left out of both, because the harness broke: %lld.",
                 (long long)auk_int_at(p, "excluded"));
        auk_doc_para(d, auk_str_of(text));
    }
}

static void view_pairs(auk_doc *d, const json_t *pairs)
{
    static const auk_column columns[] = {
        {"", false},       {"both pass", true}, {"only 1st", true}, {"only 2nd", true},
        {"none", true},    {"points", true},    {"95 %", true},     {"-25 to 25 points", false},
        {"exact p", true}, {"mid p", true},     {"Holm p", true}};
    size_t n = json_array_size(pairs), shown = 0;

    for (size_t i = 0; i < n; i++)
        shown += json_object_get(json_array_get(pairs, i), "table") != NULL;
    if (n == 0)
        return;
    auk_doc_heading(d, 3, NULL, auk_str_of("Differences, task by task"));
    if (shown > 0) {
        auk_doc_table(d, columns, sizeof columns / sizeof *columns);
        for (size_t i = 0; i < n; i++)
            if (json_object_get(json_array_get(pairs, i), "table") != NULL)
                pair_row(d, json_array_get(pairs, i));
        auk_doc_table_end(d);
    }
    for (size_t i = 0; i < n; i++)
        pair_words(d, json_array_get(pairs, i));
}

static void view_reruns(auk_doc *d, const json_t *reruns)
{
    auk_buf text = AUK_BUF_INIT(1 << 22);

    if (json_array_size(reruns) > 0)
        auk_doc_heading(d, 3, NULL, auk_str_of("The same run again: the noise floor"));
    for (size_t i = 0; i < json_array_size(reruns); i++) {
        const json_t *r = json_array_get(reruns, i), *flips = json_object_get(r, "flips");
        auk_buf_clear(&text);
        auk_buf_printf(&text, "%s and %s: %zu of %lld tasks flipped", auk_text_at(r, "a").p,
                       auk_text_at(r, "b").p, json_array_size(flips),
                       (long long)auk_int_at(r, "tasks"));
        for (size_t j = 0; j < json_array_size(flips); j++)
            auk_buf_printf(&text, "%s%s", j == 0 ? ": " : ", ",
                           json_string_value(json_array_get(flips, j)));
        auk_doc_para(d, auk_buf_str(&text));
    }
    auk_buf_release(&text);
}

/* ---- tasks -------------------------------------------------------------------------------- */

static auk_look look_of(auk_str outcome)
{
    if (auk_str_is(outcome, "passed"))
        return AUK_GOOD;
    return auk_str_is(outcome, "harness_error") || outcome.n == 0 ? AUK_MUTED : AUK_BAD;
}

static void view_tasks(auk_doc *d, const json_t *group, const auk_case *cases, size_t n)
{
    const json_t *tasks = json_object_get(group, "tasks");
    size_t width = json_array_size(json_object_get(group, "records")) + 2, at = 1;
    auk_column *columns = calloc(width, sizeof *columns);

    if (columns == NULL) {
        d->out->failed = true;
        return;
    }
    columns[0].title = "task";
    for (size_t i = 0; i < n; i++)
        if (is_in(group, &cases[i]))
            columns[at++].title = cases[i].label;
    columns[at].title = "";
    auk_doc_heading(d, 3, NULL, auk_str_of("Tasks"));
    auk_doc_table(d, columns, width);
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        const json_t *t = json_array_get(tasks, i);
        const char *label;
        json_t *outcome;
        auk_doc_cell(d, AUK_PLAIN, auk_text_at(t, "task_id"));
        json_object_foreach(json_object_get(t, "outcomes"), label, outcome)
        {
            auk_doc_cell(d, look_of(auk_json_str(outcome)), auk_json_str(outcome));
        }
        bool differs = json_is_true(json_object_get(t, "differs"));
        auk_doc_cell(d, AUK_STRONG, auk_str_of(differs ? "differs" : ""));
    }
    auk_doc_table_end(d);
    free(columns);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void long_text(auk_doc *d, const char *title, auk_str text)
{
    char note[120];

    if (text.n == 0)
        return;
    auk_doc_para(d, auk_str_of(title));
    auk_doc_code(d, (auk_str){text.p, text.n < SHOWN_BYTES ? text.n : SHOWN_BYTES});
    if (text.n <= SHOWN_BYTES)
        return;
    snprintf(note, sizeof note, "%zu more bytes are in the record.", text.n - SHOWN_BYTES);
    auk_doc_para(d, auk_str_of(note));
}

/* Everything a sample says but its long texts, which follow, and what others fetched. */
static void sample_facts(auk_buf *out, const json_t *s)
{
    static const char *const elsewhere[] = {"task_id", "answer", "program", "thinking",
                                            "extraction"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)s, key, value)
    {
        bool skip = false;
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
            skip |= strcmp(key, elsewhere[i]) == 0;
        if (skip)
            continue;
        auk_buf_printf(out, "%s%s ", out->n > 0 ? ", " : "", key);
        if (json_is_string(value))
            auk_buf_add(out, json_string_value(value), json_string_length(value));
        else
            auk_json_print(out, value, (auk_json_style){0});
    }
}

static void view_sample(auk_doc *d, const auk_task *t, const json_t *s)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_buf_printf(&text, "%s: %s%s", t->id, auk_sample_status(s),
                   auk_sample_truncated(s) ? ", truncated" : "");
    auk_doc_fold(d, auk_buf_str(&text));
    auk_buf_clear(&text);
    sample_facts(&text, s);
    auk_doc_para(d, auk_buf_str(&text));
    const json_t *trace = json_object_get(s, "extraction");
    if (trace != NULL) {
        auk_buf_clear(&text);
        auk_json_print(&text, trace, (auk_json_style){.indent = 1});
        long_text(d, "extraction, step by step", auk_buf_str(&text));
    }
    long_text(d, "thinking", auk_text_at(s, "thinking"));
    long_text(d, "answer", auk_text_at(s, "answer"));
    auk_doc_fold_end(d);
    auk_buf_release(&text);
}

static void view_answers(auk_doc *d, const auk_case *c)
{
    char title[80];

    snprintf(title, sizeof title, "%s: every answer, and what was taken from it", c->label);
    auk_doc_fold(d, auk_str_of(title));
    for (size_t i = 0; i < c->tasks.n; i++)
        for (size_t j = 0; j < c->tasks.p[i].n; j++)
            view_sample(d, &c->tasks.p[i], c->tasks.p[i].samples[j]);
    auk_doc_fold_end(d);
}

void auk_view_eval(auk_doc *d, const json_t *group, const auk_case *cases, size_t n)
{
    auk_str name = auk_text_at(group, "data.name"), sha256 = auk_text_at(group, "data.sha256");
    char title[160], text[200];

    snprintf(title, sizeof title, "%.100s, %zu tasks", name.n > 0 ? name.p : "Evaluation",
             json_array_size(json_object_get(group, "tasks")));
    auk_doc_heading(d, 2, NULL, auk_str_of(title));
    snprintf(text, sizeof text, "Data: SHA-256 %.64s.", sha256.p);
    if (sha256.n > 0)
        auk_doc_para(d, auk_str_of(text));
    view_rates(d, group, cases, n);
    view_pairs(d, json_object_get(group, "pairs"));
    view_reruns(d, json_object_get(group, "reruns"));
    view_tasks(d, group, cases, n);
    auk_doc_heading(d, 3, NULL, auk_str_of("Answers"));
    for (size_t i = 0; i < n; i++)
        if (is_in(group, &cases[i]))
            view_answers(d, &cases[i]);
}
