/* SPDX-License-Identifier: Apache-2.0 */
/* The model card: front matter as the hub reads it, then what was measured and how to get the
 * same numbers. */
#include "report/facts.h"

#include "base/mem.h"

#include <math.h>
#include <stdarg.h>

#define NORTH "North-Mini-Code-1.0"

typedef struct card {
    auk_doc d;
    const auk_entry *entries;
    size_t n;
    const auk_card_options *opts;
} card;

static bool is_kind(const auk_entry *e, const char *kind)
{
    return auk_str_is(auk_text_at(e->head, "kind"), kind);
}

/* The last record of a kind; NULL without one. */
static const auk_entry *last(const card *c, const char *kind)
{
    for (size_t i = c->n; i > 0; i--)
        if (is_kind(&c->entries[i - 1], kind))
            return &c->entries[i - 1];
    return NULL;
}

/* An eval record that no later one on the same data replaces. */
static bool is_current_eval(const card *c, size_t i)
{
    const json_t *head = c->entries[i].head;

    if (!is_kind(&c->entries[i], "eval") || !isfinite(auk_number_at(head, "headline.pass_at_1")))
        return false;
    for (size_t j = i + 1; j < c->n; j++) {
        const json_t *later = c->entries[j].head;
        if (is_kind(&c->entries[j], "eval") &&
            isfinite(auk_number_at(later, "headline.pass_at_1")) &&
            auk_str_eq(auk_text_at(head, "data.name"), auk_text_at(later, "data.name")) &&
            auk_str_eq(auk_text_at(head, "data.sha256"), auk_text_at(later, "data.sha256")))
            return false;
    }
    return true;
}

/* ---- front matter ------------------------------------------------------------------------- */

/* A YAML scalar in double quotes, which JSON's are too. */
static void scalar(card *c, const char *before, auk_str v)
{
    auk_buf_puts(c->d.out, before);
    auk_json_print_string(c->d.out, v, true);
    auk_buf_putc(c->d.out, '\n');
}

static const char *base_model(const card *c)
{
    const auk_entry *q = last(c, "quantize");
    auk_str source = auk_base_name(q != NULL ? auk_text_at(q->head, "source.path") : (auk_str){0});

    if (c->opts->base_model != NULL)
        return c->opts->base_model;
    return auk_str_starts(source, NORTH) ? "CohereLabs/" NORTH : NULL;
}

/* What the hub calls the data, and what people do. */
static void dataset(card *c, auk_str name)
{
    static const struct {
        const char *set, *type, *title;
    } known[] = {{"humaneval", "openai/openai_humaneval", "HumanEval"},
                 {"humaneval+", "evalplus/humanevalplus", "HumanEval+"},
                 {"mbpp", "google-research-datasets/mbpp", "MBPP (sanitized)"},
                 {"mbpp+", "evalplus/mbppplus", "MBPP+"}};
    size_t i = 0, n = sizeof known / sizeof *known;

    while (i < n && !auk_str_is(name, known[i].set))
        i++;
    scalar(c, "      type: ", i < n ? auk_str_of(known[i].type) : name);
    scalar(c, "      name: ", i < n ? auk_str_of(known[i].title) : name);
}

static void model_index(card *c)
{
    bool any = false;

    for (size_t i = 0; i < c->n; i++) {
        const json_t *head = c->entries[i].head;
        if (!is_current_eval(c, i))
            continue;
        if (!any)
            scalar(c, "model-index:\n- name: ", auk_str_of(c->opts->name));
        auk_buf_printf(c->d.out, "%s  - task:\n      type: text-generation\n    dataset:\n",
                       any ? "" : "  results:\n");
        dataset(c, auk_text_at(head, "data.name"));
        auk_buf_printf(c->d.out,
                       "    metrics:\n    - type: pass@1\n      name: pass@1\n      value: %.4f\n"
                       "      verified: false\n",
                       auk_number_at(head, "headline.pass_at_1"));
        any = true;
    }
}

static void front_matter(card *c)
{
    bool quantized = last(c, "quantize") != NULL;

    auk_buf_puts(c->d.out, "---\n");
    scalar(c, "license: ", auk_str_of(c->opts->license));
    if (base_model(c) != NULL) {
        scalar(c, "base_model: ", auk_str_of(base_model(c)));
        auk_buf_puts(c->d.out, quantized ? "base_model_relation: quantized\n" : "");
    }
    auk_buf_printf(c->d.out,
                   "library_name: %s\npipeline_tag: text-generation\nlanguage:\n- en\n"
                   "tags:\n- code\n- cohere2_moe\n%s",
                   quantized ? "mlx" : "transformers", quantized ? "- mlx\n- quantized\n" : "");
    model_index(c);
    auk_buf_puts(c->d.out, "---\n\n");
}

/* ---- the text ----------------------------------------------------------------------------- */

AUK_PRINTF(2, 3) static void paraf(card *c, const char *fmt, ...)
{
    char text[1000];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    auk_doc_para(&c->d, auk_str_of(text));
}

static void size_text(char *out, size_t n, double bytes)
{
    if (bytes >= 1e9)
        snprintf(out, n, "%.2f GB", bytes / 1e9);
    else
        snprintf(out, n, "%.1f MB", bytes / 1e6);
}

static void made(card *c)
{
    char size[32];
    const auk_entry *q = last(c, "quantize");

    if (q == NULL)
        return;
    const json_t *h = json_object_get(q->head, "headline"),
                 *s = json_object_get(q->head, "settings");
    auk_str source = auk_base_name(auk_text_at(q->head, "source.path")),
            recipe = auk_text_at(s, "recipe"), method = auk_text_at(s, "method");
    const char *name;
    json_t *f;

    auk_doc_heading(&c->d, 2, NULL, auk_str_of("How it was made"));
    size_text(size, sizeof size, auk_number_at(h, "bytes"));
    paraf(c, "Quantized from %.*s with auklet %s, method %s%s%.*s: %.3f bits per weight, %s.",
          AUK_ARG(source), auk_text_at(q->head, "code.version").p, method.n > 0 ? method.p : "rtn",
          recipe.n > 0 ? ", recipe " : "", AUK_ARG(recipe), auk_number_at(h, "bits_per_weight"),
          size);
    static const auk_column columns[] = {
        {"format", false}, {"modules", true}, {"weights", true}, {"bytes", true}};
    auk_doc_table(&c->d, columns, 4);
    json_object_foreach(json_object_get(h, "formats"), name, f)
    {
        auk_doc_cell(&c->d, AUK_PLAIN, auk_str_of(name));
        auk_doc_cellf(&c->d, AUK_PLAIN, "%lld", (long long)auk_int_at(f, "modules"));
        auk_doc_cellf(&c->d, AUK_PLAIN, "%lld", (long long)auk_int_at(f, "weights"));
        auk_doc_cellf(&c->d, AUK_PLAIN, "%lld", (long long)auk_int_at(f, "bytes"));
    }
    auk_doc_table_end(&c->d);
}

static void eval_row(card *c, const json_t *head)
{
    const json_t *h = json_object_get(head, "headline");
    const json_t *wilson = json_object_get(h, "wilson95"),
                 *i = json_is_array(wilson) ? wilson : json_object_get(h, "bootstrap95");
    auk_str name = auk_text_at(head, "data.name");

    auk_doc_cell(&c->d, AUK_PLAIN, name);
    auk_doc_cellf(&c->d, AUK_PLAIN, "%lld", (long long)auk_int_at(h, "tasks"));
    auk_doc_cellf(&c->d, AUK_PLAIN, "%.2f %%", 100 * auk_number_at(h, "pass_at_1"));
    auk_doc_cellf(&c->d, AUK_PLAIN, "%.2f to %.2f %%",
                  100 * json_number_value(json_array_get(i, 0)),
                  100 * json_number_value(json_array_get(i, 1)));
    auk_doc_cellf(&c->d, AUK_PLAIN, "%lld", (long long)auk_int_at(h, "truncated"));
    auk_doc_cellf(&c->d, AUK_PLAIN, "%lld", (long long)auk_int_at(h, "looped"));
    auk_buf text = AUK_BUF_INIT(1 << 20);
    const json_t *sampling = json_object_get(head, "sampling");
    if (sampling != NULL)
        auk_json_print(&text, sampling, (auk_json_style){0});
    auk_doc_cell(&c->d, AUK_PLAIN, auk_buf_str(&text));
    auk_buf_release(&text);
    auk_doc_cell(&c->d, AUK_PLAIN, auk_text_at(head, "sandbox"));
}

static void evals(card *c)
{
    static const auk_column columns[] = {
        {"benchmark", false}, {"tasks", true},  {"pass@1", true},    {"95 % interval", true},
        {"truncated", true},  {"looped", true}, {"sampling", false}, {"sandbox", false}};
    bool any = false;

    for (size_t i = 0; i < c->n; i++) {
        if (!is_current_eval(c, i))
            continue;
        if (!any) {
            auk_doc_heading(&c->d, 2, NULL, auk_str_of("Evaluation"));
            auk_doc_table(&c->d, columns, sizeof columns / sizeof *columns);
        }
        eval_row(c, c->entries[i].head);
        any = true;
    }
    if (!any)
        return;
    auk_doc_table_end(&c->d);
    auk_doc_para(&c->d, auk_str_of("Intervals are Wilson's for one sample per task, else "
                                   "resampled over tasks. Two models whose intervals overlap may "
                                   "still differ: only a paired test on the same tasks says."));
}

static void compared(card *c)
{
    const auk_entry *e = last(c, "compare");

    if (e == NULL)
        return;
    const json_t *h = json_object_get(e->head, "headline");
    auk_str from = auk_base_name(auk_text_at(e->head, "baseline.path"));
    auk_doc_heading(&c->d, 2, NULL, auk_str_of("Distance from the original"));
    paraf(
        c,
        "Against %.*s over %lld tokens: mean KL %.6f nats (standard error %.6f), the same most "
        "probable token at %.2f %% of positions, ln perplexity ratio %+.5f (standard error %.5f).",
        AUK_ARG(from), (long long)auk_int_at(h, "tokens"), auk_number_at(h, "kl_mean"),
        auk_number_at(h, "kl_se"), 100 * auk_number_at(h, "top1_agreement"),
        auk_number_at(h, "ln_ppl_ratio"), auk_number_at(h, "ln_ppl_ratio_se"));
}

static void speed(card *c)
{
    static const auk_column columns[] = {
        {"depth", true}, {"prefill tok/s", true}, {"decode tok/s", true}};
    const auk_entry *e = last(c, "bench");

    if (e == NULL)
        return;
    const json_t *rows = auk_record_at(e->head, "headline.rows");
    auk_str cpu = auk_text_at(e->head, "machine.cpu");
    auk_doc_heading(&c->d, 2, NULL, auk_str_of("Speed"));
    paraf(c, "Medians on %.*s.", AUK_ARG(cpu));
    auk_doc_table(&c->d, columns, 3);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        auk_doc_cellf(&c->d, AUK_PLAIN, "%lld", (long long)auk_int_at(r, "depth"));
        auk_doc_cellf(&c->d, AUK_PLAIN, "%.1f", auk_number_at(r, "prefill_tok_s"));
        auk_doc_cellf(&c->d, AUK_PLAIN, "%.2f", auk_number_at(r, "decode_tok_s"));
    }
    auk_doc_table_end(&c->d);
}

/* A command line with the last part of each absolute path: a card is public, and where somebody
 * keeps their files is no part of the evidence. */
static void public_command(auk_buf *out, auk_str command)
{
    for (size_t i = 0; i < command.n;) {
        bool begins = i == 0 || strchr(" ='\"", command.p[i - 1]) != NULL;
        size_t n = 0;
        while (command.p[i] == '/' && begins && i + n < command.n &&
               strchr(" '\"", command.p[i + n]) == NULL)
            n++;
        auk_str name =
            n > 0 ? auk_base_name((auk_str){command.p + i, n}) : (auk_str){command.p + i, 1};
        auk_buf_add(out, name.p, name.n);
        i += n > 0 ? n : 1;
    }
}

/* The records behind the card and what to type for each. */
static void origin(card *c)
{
    static const auk_column columns[] = {
        {"record", false}, {"kind", false}, {"auklet", false}, {"command", false}};

    auk_doc_heading(&c->d, 2, NULL, auk_str_of("Where the numbers come from"));
    paraf(c,
          "Each number is computed from the items of one of these records; 'auklet ledger verify' "
          "computes it again. Fingerprint of the model: %.64s.",
          c->opts->fingerprint);
    auk_doc_table(&c->d, columns, 4);
    for (size_t i = 0; i < c->n; i++) {
        const json_t *head = c->entries[i].head;
        auk_str commit = auk_text_at(head, "code.commit"),
                version = auk_text_at(head, "code.version");
        auk_doc_cellf(&c->d, AUK_CODE, "%.12s", c->entries[i].id);
        auk_doc_cell(&c->d, AUK_PLAIN, auk_text_at(head, "kind"));
        auk_doc_cellf(&c->d, AUK_PLAIN, "%.*s %.*s", AUK_ARG(version), AUK_ARG(commit));
        auk_buf command = AUK_BUF_INIT(1 << 24);
        public_command(&command, auk_text_at(head, "command"));
        auk_doc_cell(&c->d, AUK_CODE, auk_buf_str(&command));
        auk_buf_release(&command);
    }
    auk_doc_table_end(&c->d);
}

int auk_card(auk_buf *out, const auk_entry *entries, size_t n, const auk_card_options *opts,
             auk_err *err)
{
    card c = {.d = {.out = out}, .entries = entries, .n = n, .opts = opts};

    if (n == 0)
        return auk_fail(err, AUK_ENOTFOUND, "there is no record of the model '%s'", opts->name);
    front_matter(&c);
    auk_buf_puts(out, "# ");
    auk_escape_markdown(out, auk_str_of(opts->name));
    auk_buf_puts(out, "\n\n");
    made(&c);
    evals(&c);
    compared(&c);
    speed(&c);
    origin(&c);
    return auk_buf_check(out, "the model card", err);
}
