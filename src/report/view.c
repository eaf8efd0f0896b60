/* SPDX-License-Identifier: Apache-2.0 */
#include "report/facts.h"

#include "base/limits.h"
#include "base/mem.h"

#include <math.h>

/* ---- numbers as text ---------------------------------------------------------------------- */

static void cell_real(auk_doc *d, const char *fmt, double v)
{
    char text[64] = "";

    if (isfinite(v))
        snprintf(text, sizeof text, fmt, v);
    auk_doc_cell(d, AUK_PLAIN, auk_str_of(text));
}

static void cell_int(auk_doc *d, const json_t *v, const char *path)
{
    const json_t *x = auk_record_at(v, path);

    if (json_is_integer(x))
        auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)json_integer_value(x));
    else
        auk_doc_cell(d, AUK_PLAIN, auk_str_of(""));
}

static void cell_bytes(auk_doc *d, double bytes)
{
    if (bytes >= 1e9)
        cell_real(d, "%.2f GB", bytes / 1e9);
    else
        cell_real(d, "%.1f MB", bytes / 1e6);
}

/* ---- the list of records ------------------------------------------------------------------ */

static void say_audit(auk_buf *out, const json_t *h)
{
    const json_t *curves = json_object_get(h, "curves"), *c;
    size_t i;

    json_array_foreach(curves, i, c)
    {
        auk_buf_printf(out, "%s%.20s ", i > 0 ? "; " : "", auk_text_at(c, "kind").p);
        if (json_is_object(json_object_get(c, "cliff")))
            auk_buf_printf(out, "breaks at %lld to %lld",
                           (long long)auk_int_at(c, "cliff.last_pass"),
                           (long long)auk_int_at(c, "cliff.first_fail"));
        else
            auk_buf_printf(out, "%.20s", auk_text_at(c, "status").p);
    }
}

void auk_headline_say(auk_buf *out, const json_t *head)
{
    const json_t *h = json_object_get(head, "headline");
    const char *kind = auk_text_at(head, "kind").p;

    if (strcmp(kind, "eval") == 0)
        auk_buf_printf(out, "pass@1 %.2f %% of %lld tasks", 100 * auk_number_at(h, "pass_at_1"),
                       (long long)auk_int_at(h, "tasks"));
    else if (strcmp(kind, "compare") == 0)
        auk_buf_printf(out, "mean KL %.6f, same first choice %.2f %%", auk_number_at(h, "kl_mean"),
                       100 * auk_number_at(h, "top1_agreement"));
    else if (strcmp(kind, "quantize") == 0)
        auk_buf_printf(out, "%.3f bits per weight", auk_number_at(h, "bits_per_weight"));
    else if (strcmp(kind, "bench") == 0)
        auk_buf_printf(out, "%zu depths", json_array_size(json_object_get(h, "rows")));
    else if (strcmp(kind, "swebench") == 0 && auk_int_at(h, "not_scored") == 0)
        auk_buf_printf(out, "%lld of %lld resolved", (long long)auk_int_at(h, "resolved"),
                       (long long)auk_int_at(h, "n"));
    else if (strcmp(kind, "swebench") == 0)
        auk_buf_printf(out, "%lld patches, not scored", (long long)auk_int_at(h, "has_patch"));
    else if (strcmp(kind, "inspect") == 0)
        auk_buf_printf(out, "first token %.0f ms, %.1f tok/s", auk_number_at(h, "ttft_ms"),
                       auk_number_at(h, "decode_tok_s"));
    else if (strcmp(kind, "audit") == 0)
        say_audit(out, h);
    else if (auk_text_at(h, "verdict.status").n > 0)
        auk_buf_printf(out, "%.40s", auk_text_at(h, "verdict.status").p);
    else if (isfinite(auk_number_at(h, "rate")))
        auk_buf_printf(out, "%lld of %lld passed", (long long)auk_int_at(h, "passed"),
                       (long long)auk_int_at(h, "n"));
    else
        auk_buf_printf(out, "%lld items", (long long)auk_int_at(h, "items"));
}

static void view_records(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {{"", false},       {"kind", false}, {"model", false},
                                         {"result", false}, {"when", false}, {"record", false}};
    auk_buf text = AUK_BUF_INIT(1 << 16);

    auk_doc_table(d, columns, 6);
    for (size_t i = 0; i < n; i++) {
        const json_t *head = cases[i].entry->head;
        auk_buf_clear(&text);
        auk_headline_say(&text, head);
        auk_doc_cell(d, AUK_STRONG, auk_str_of(cases[i].label));
        auk_doc_cell(d, AUK_PLAIN, auk_str_of(cases[i].kind));
        auk_doc_cell(d, AUK_PLAIN, auk_base_name(auk_text_at(head, "model.path")));
        auk_doc_cell(d, AUK_PLAIN, auk_buf_str(&text));
        auk_doc_cell(d, AUK_PLAIN, auk_text_at(head, "finished"));
        auk_doc_cellf(d, AUK_CODE, "%.12s", cases[i].entry->id);
    }
    auk_doc_table_end(d);
    auk_buf_release(&text);
}

/* ---- compare ------------------------------------------------------------------------------ */

static void view_tensors(auk_doc *d, const auk_case *c)
{
    static const auk_column columns[] = {{"tensor", false}, {"relative error", true}};
    char title[80];
    size_t n = 0;

    for (size_t i = 0; i < c->rows.n; i++)
        n += json_is_number(json_object_get(c->rows.p[i], "rel_err"));
    if (n == 0)
        return;
    snprintf(title, sizeof title, "%s: relative error of %zu tensors", c->label, n);
    auk_doc_fold(d, auk_str_of(title));
    auk_doc_table(d, columns, 2);
    for (size_t i = 0; i < c->rows.n; i++) {
        double e = auk_number_at(c->rows.p[i], "rel_err");
        if (!isfinite(e))
            continue;
        auk_doc_cell(d, AUK_CODE, auk_text_at(c->rows.p[i], "tensor"));
        cell_real(d, "%.6f", e);
    }
    auk_doc_table_end(d);
    auk_doc_fold_end(d);
}

/* The widest mean KL with its interval: where the pictures' axis ends. */
static double widest(const auk_case *cases, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        const json_t *h = json_object_get(cases[i].entry->head, "headline");
        double end = auk_number_at(h, "kl_mean") + 1.96 * auk_number_at(h, "kl_se");
        if (strcmp(cases[i].kind, "compare") == 0 && end > most)
            most = end;
    }
    return most > 0 ? most : 1;
}

static void compare_row(auk_doc *d, const auk_case *c, double axis)
{
    const json_t *head = c->entry->head, *h = json_object_get(head, "headline");
    double mean = auk_number_at(h, "kl_mean"), se = auk_number_at(h, "kl_se");

    auk_doc_cell(d, AUK_STRONG, auk_str_of(c->label));
    auk_doc_cell(d, AUK_PLAIN, auk_base_name(auk_text_at(head, "baseline.path")));
    auk_doc_cell(d, AUK_PLAIN, auk_base_name(auk_text_at(head, "model.path")));
    cell_int(d, h, "tokens");
    cell_real(d, "%.6f", mean);
    if (isfinite(mean) && isfinite(se))
        auk_doc_picture(d, mean - 1.96 * se, mean + 1.96 * se, mean, 0, axis);
    else
        auk_doc_cell(d, AUK_PLAIN, auk_str_of(""));
    cell_real(d, "%.4f", auk_number_at(h, "kl_p99"));
    cell_real(d, "%.2f %%", 100 * auk_number_at(h, "top1_agreement"));
    cell_real(d, "%+.5f", auk_number_at(h, "ln_ppl_ratio"));
    cell_real(d, "%.5f", auk_number_at(h, "ln_ppl_ratio_se"));
}

static void view_compare(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {{"", false},
                                         {"from", false},
                                         {"to", false},
                                         {"tokens", true},
                                         {"mean KL", true},
                                         {"95 %", false},
                                         {"KL 99 %", true},
                                         {"same first choice", true},
                                         {"ln ppl ratio", true},
                                         {"its error", true}};
    bool lower_bound = false;

    auk_doc_heading(d, 2, "compare", auk_str_of("How far the answers moved"));
    auk_doc_table(d, columns, 10);
    double axis = widest(cases, n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(cases[i].kind, "compare") != 0)
            continue;
        compare_row(d, &cases[i], axis);
        lower_bound |=
            json_is_true(auk_record_at(cases[i].entry->head, "headline.kl_is_lower_bound"));
    }
    auk_doc_table_end(d);
    if (lower_bound)
        auk_doc_warning(d, auk_str_of("Where a reference file stood for the first model, rare "
                                      "tokens are one bucket and KL is a lower bound."));
    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].kind, "compare") == 0)
            view_tensors(d, &cases[i]);
}

/* Layers x experts: the error of what was kept against round to nearest, its three matrices added
 * up.  Rows without an expert are not part of the picture. */
static void view_matrices(auk_doc *d, const auk_case *c)
{
    size_t layers = 0, experts = 0, i;
    char title[160];

    for (i = 0; i < c->rows.n; i++) {
        const json_t *row = c->rows.p[i];
        if (!json_is_number(json_object_get(row, "err_rtn")) || auk_int_at(row, "expert") < 0)
            continue;
        size_t l = (size_t)auk_int_at(row, "layer") + 1, e = (size_t)auk_int_at(row, "expert") + 1;
        layers = l > layers ? l : layers;
        experts = e > experts ? e : experts;
    }
    if (layers == 0 || layers > 1000 || experts > 1000)
        return;
    double *sums = auk_alloc(2 * layers * experts * sizeof *sums);
    for (i = 0; i < c->rows.n; i++) {
        const json_t *row = c->rows.p[i];
        if (!json_is_number(json_object_get(row, "err_rtn")) || auk_int_at(row, "expert") < 0)
            continue;
        size_t at = (size_t)auk_int_at(row, "layer") * experts + (size_t)auk_int_at(row, "expert");
        bool gptq = auk_str_is(auk_text_at(row, "chosen"), "gptq");
        double rtn = auk_number_at(row, "err_rtn");
        if (rtn > 0) { /* each matrix counts alike */
            sums[2 * at] += auk_number_at(row, gptq ? "err_gptq" : "err_wrtn") / rtn;
            sums[2 * at + 1] += 1;
        }
    }
    for (i = 0; i < layers * experts; i++) /* n / 0 is no number: empty */
        sums[i] = sums[2 * i + 1] > 0 ? sums[2 * i] / sums[2 * i + 1] : NAN;
    snprintf(title, sizeof title,
             "%.60s: error against round to nearest, layers down, experts across, dark is 1",
             c->label);
    auk_doc_field(d, title, sums, layers, experts);
    free(sums);
}

/* ---- quantize, bench, others -------------------------------------------------------------- */

static void view_quantize(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {
        {"", false},       {"model", false},    {"bits/weight", true}, {"size", true},
        {"modules", true}, {"quantized", true}, {"formats", false}};
    auk_buf text = AUK_BUF_INIT(1 << 20);
    const char *name;
    json_t *f;

    auk_doc_heading(d, 2, "quantize", auk_str_of("Made small"));
    auk_doc_table(d, columns, 7);
    for (size_t i = 0; i < n; i++) {
        const json_t *head = cases[i].entry->head, *h = json_object_get(head, "headline");
        if (strcmp(cases[i].kind, "quantize") != 0)
            continue;
        auk_buf_clear(&text);
        json_object_foreach(json_object_get(h, "formats"), name, f)
        {
            auk_buf_printf(&text, "%s%s: %lld", text.n > 0 ? "; " : "", name,
                           (long long)auk_int_at(f, "modules"));
        }
        auk_doc_cell(d, AUK_STRONG, auk_str_of(cases[i].label));
        auk_doc_cell(d, AUK_PLAIN, auk_base_name(auk_text_at(head, "model.path")));
        cell_real(d, "%.3f", auk_number_at(h, "bits_per_weight"));
        cell_bytes(d, auk_number_at(h, "bytes"));
        cell_int(d, h, "modules");
        cell_int(d, h, "quantized");
        auk_doc_cell(d, AUK_PLAIN, auk_buf_str(&text));
    }
    auk_doc_table_end(d);
    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].kind, "quantize") == 0)
            view_matrices(d, &cases[i]);
    auk_buf_release(&text);
}

static void view_bench(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {
        {"", false},           {"model", false},        {"depth", true},
        {"runs", true},        {"prefill tok/s", true}, {"decode tok/s", true},
        {"of bandwidth", true}};

    auk_doc_heading(d, 2, "bench", auk_str_of("Speed"));
    auk_doc_table(d, columns, 7);
    for (size_t i = 0; i < n; i++) {
        const json_t *rows = auk_record_at(cases[i].entry->head, "headline.rows");
        for (size_t j = 0; strcmp(cases[i].kind, "bench") == 0 && j < json_array_size(rows); j++) {
            const json_t *r = json_array_get(rows, j);
            auk_doc_cell(d, AUK_STRONG, auk_str_of(cases[i].label));
            auk_doc_cell(d, AUK_PLAIN,
                         auk_base_name(auk_text_at(cases[i].entry->head, "model.path")));
            cell_int(d, r, "depth");
            cell_int(d, r, "repetitions");
            cell_real(d, "%.1f", auk_number_at(r, "prefill_tok_s"));
            cell_real(d, "%.2f", auk_number_at(r, "decode_tok_s"));
            cell_real(d, "%.0f %%", 100 * auk_number_at(r, "decode_share_of_bandwidth"));
        }
    }
    auk_doc_table_end(d);
}

/* "model.path" and its value for everything below v, objects opened up. */
static void key_values(auk_doc *d, const json_t *v, const char *prefix)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char name[160];
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)v, key, value)
    {
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value) && strlen(name) < 100) {
            key_values(d, value, name);
            continue;
        }
        auk_doc_cell(d, AUK_MUTED, auk_str_of(name));
        if (json_is_string(value)) {
            auk_doc_cell(d, AUK_CODE, auk_json_str(value));
            continue;
        }
        auk_buf_clear(&text);
        auk_json_print(&text, value, (auk_json_style){0});
        auk_doc_cell(d, AUK_CODE, auk_buf_str(&text));
    }
    auk_buf_release(&text);
}

static const auk_column two[] = {{"what", false}, {"value", false}};

static bool is_other(const char *kind)
{
    return strcmp(kind, "eval") != 0 && strcmp(kind, "compare") != 0 &&
           strcmp(kind, "quantize") != 0 && strcmp(kind, "bench") != 0 &&
           strcmp(kind, "inspect") != 0 && strcmp(kind, "audit") != 0 &&
           strcmp(kind, "agent") != 0 && strcmp(kind, "swebench") != 0;
}

static void view_others(auk_doc *d, const auk_case *cases, size_t n)
{
    char title[80];

    for (size_t i = 0; i < n; i++) {
        const json_t *h = json_object_get(cases[i].entry->head, "headline");
        if (!is_other(cases[i].kind))
            continue;
        snprintf(title, sizeof title, "%s: %.60s", cases[i].label, cases[i].kind);
        auk_doc_heading(d, 2, NULL, auk_str_of(title));
        auk_doc_table(d, two, 2);
        key_values(d, h, "");
        auk_doc_table_end(d);
    }
}

/* ---- where it comes from ------------------------------------------------------------------ */

static void view_origin(auk_doc *d, const auk_case *c)
{
    json_t *head = json_copy(c->entry->head); /* without what is shown elsewhere */
    char title[80];

    snprintf(title, sizeof title, "%s: %.60s", c->label, c->kind);
    auk_doc_heading(d, 3, NULL, auk_str_of(title));
    json_object_del(head, "schema");
    json_object_del(head, "kind");
    json_object_del(head, "headline");
    auk_doc_table(d, two, 2);
    auk_doc_cell(d, AUK_MUTED, auk_str_of("record"));
    auk_doc_cell(d, AUK_CODE, auk_str_of(c->entry->id));
    key_values(d, head, "");
    auk_doc_table_end(d);
    json_decref(head);
}

static bool any(const auk_case *cases, size_t n, const char *kind)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].kind, kind) == 0)
            return true;
    return false;
}

void auk_view(auk_doc *d, const json_t *facts, const auk_case *cases, size_t n)
{
    const json_t *evals = json_object_get(facts, "evals");

    auk_doc_para(d, auk_str_of("Every number here is computed from the items of these records; "
                               "'auklet ledger verify' computes it again."));
    auk_view_verdicts(d, cases, n);
    view_records(d, cases, n);
    auk_view_agent(d, cases, n);
    auk_view_audit(d, cases, n);
    auk_view_inspect(d, cases, n);
    for (size_t i = 0; i < json_array_size(evals); i++)
        auk_view_eval(d, json_array_get(evals, i), cases, n);
    auk_view_swebench(d, cases, n);
    if (any(cases, n, "compare"))
        view_compare(d, cases, n);
    if (any(cases, n, "quantize"))
        view_quantize(d, cases, n);
    if (any(cases, n, "bench"))
        view_bench(d, cases, n);
    view_others(d, cases, n);
    auk_doc_heading(d, 2, "origin", auk_str_of("Where the numbers come from"));
    for (size_t i = 0; i < n; i++)
        view_origin(d, &cases[i]);
}
