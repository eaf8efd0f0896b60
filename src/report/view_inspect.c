/* SPDX-License-Identifier: Apache-2.0 */
/* How the answers felt: times, waterfall, gaps, memory, spikes; two runs side by side. */
#include "report/facts.h"

#include "base/mem.h"

#include <math.h>

static void cell_ms(auk_doc *d, const json_t *h, const char *path, const char *fmt)
{ /* fmt is a literal with one %f */
    double v = auk_number_at(h, path);

    if (isfinite(v))
        auk_doc_cellf(d, AUK_PLAIN, fmt, v);
    else
        auk_doc_cell(d, AUK_MUTED, auk_str_of("n/a"));
}

static void cell_memory(auk_doc *d, double bytes)
{
    if (bytes >= 1e9)
        auk_doc_cellf(d, AUK_PLAIN, "%.2f GB", bytes / 1e9);
    else if (isfinite(bytes))
        auk_doc_cellf(d, AUK_PLAIN, "%.1f MB", bytes / 1e6);
    else
        auk_doc_cell(d, AUK_MUTED, auk_str_of("n/a"));
}

static void view_times(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {
        {"", false},          {"who answers", false}, {"runs", true},       {"load", true},
        {"prefill", true},    {"computed", true},     {"cached", true},     {"first token", true},
        {"reasoning", true},  {"visible", true},      {"tok/s here", true}, {"tok/s there", true},
        {"gap median", true}, {"p90", true},          {"p99", true},        {"max", true},
        {"spikes", true}};

    auk_doc_table(d, columns, 17);
    for (size_t i = 0; i < n; i++) {
        const json_t *h = json_object_get(cases[i].entry->head, "headline");
        if (!auk_case_is(&cases[i], "inspect"))
            continue;
        auk_doc_cell(d, AUK_STRONG, auk_str_of(cases[i].label));
        auk_doc_cell(d, AUK_PLAIN, auk_text_at(h, "server"));
        cell_ms(d, h, "runs", "%.0f");
        cell_ms(d, h, "load_ms", "%.0f ms");
        cell_ms(d, h, "prefill_ms", "%.0f ms");
        cell_ms(d, h, "computed_tokens", "%.0f");
        cell_ms(d, h, "cached_tokens", "%.0f");
        cell_ms(d, h, "ttft_ms", "%.1f ms");
        cell_ms(d, h, "first_reasoning_token_ms", "%.1f ms");
        cell_ms(d, h, "first_visible_token_ms", "%.1f ms");
        cell_ms(d, h, "decode_tok_s", "%.2f");
        cell_ms(d, h, "server_tok_s", "%.2f");
        cell_ms(d, h, "gaps.p50_ms", "%.2f");
        cell_ms(d, h, "gaps.p90_ms", "%.2f");
        cell_ms(d, h, "gaps.p99_ms", "%.2f");
        cell_ms(d, h, "gaps.max_ms", "%.2f");
        cell_ms(d, h, "n_spikes", "%.0f");
    }
    auk_doc_table_end(d);
}

static void view_memory(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {{"", false},
                                         {"weights", true},
                                         {"session", true},
                                         {"at tokens", true},
                                         {"peak at the ceiling", true},
                                         {"ceiling", true},
                                         {"free before", true},
                                         {"out of memory", false}};

    auk_doc_heading(d, 3, "memory", auk_str_of("Memory"));
    auk_doc_table(d, columns, 8);
    for (size_t i = 0; i < n; i++) {
        const json_t *m = auk_record_at(cases[i].entry->head, "headline.memory");
        double weights = auk_number_at(m, "weights_bytes"), fits = auk_number_at(m, "fits_tokens");
        if (!auk_case_is(&cases[i], "inspect"))
            continue;
        auk_doc_cell(d, AUK_STRONG, auk_str_of(cases[i].label));
        cell_memory(d, isfinite(weights) ? weights : auk_number_at(m, "model_bytes"));
        cell_memory(d, auk_number_at(m, "session_bytes"));
        cell_ms(d, m, "context_tokens", "%.0f");
        cell_memory(d, auk_number_at(m, "ceiling_peak_bytes"));
        cell_ms(d, m, "ceiling_tokens", "%.0f");
        cell_memory(d, auk_number_at(m, "available_bytes"));
        if (!isfinite(fits))
            auk_doc_cell(d, AUK_MUTED, auk_text_at(m, "why"));
        else if (json_is_null(json_object_get(m, "out_of_memory_tokens")))
            auk_doc_cell(d, AUK_GOOD, auk_str_of("~never: the largest context fits"));
        else
            auk_doc_cellf(d, AUK_BAD, "~beyond %.0f tokens", fits);
    }
    auk_doc_table_end(d);
}

static void view_spikes(auk_doc *d, const auk_case *c)
{
    static const auk_column columns[] = {
        {"run", true}, {"at ms", true}, {"gap ms", true}, {"median ms", true}, {"cause", false}};
    const json_t *list = auk_record_at(c->entry->head, "headline.spikes"), *s;
    char title[96];
    size_t i;

    if (json_array_size(list) == 0)
        return;
    snprintf(title, sizeof title, "%s: %lld spikes", c->label,
             (long long)auk_int_at(c->entry->head, "headline.n_spikes"));
    auk_doc_fold(d, auk_str_of(title));
    auk_doc_table(d, columns, 5);
    json_array_foreach(list, i, s)
    {
        auk_str cause = auk_text_at(s, "cause");
        cell_ms(d, s, "run", "%.0f");
        cell_ms(d, s, "at_ms", "%.1f");
        cell_ms(d, s, "gap_ms", "%.2f");
        cell_ms(d, s, "median_ms", "%.2f");
        auk_doc_cell(d, AUK_PLAIN,
                     cause.n > 0 ? cause : auk_str_of("unknown: the server tells no events"));
    }
    auk_doc_table_end(d);
    auk_doc_fold_end(d);
}

static void view_pictures(auk_doc *d, const auk_case *c)
{
    const json_t *h = json_object_get(c->entry->head, "headline");
    const json_t *parts = json_object_get(h, "waterfall"), *counts, *v;
    uint64_t count[AUK_HISTOGRAM_BINS] = {0};
    auk_bar bars[8];
    char title[120];
    double at = 0;
    size_t n = 0, i;

    json_array_foreach(parts, i, v)
    {
        double ms = auk_number_at(v, "ms");
        if (n < 8 && isfinite(ms))
            bars[n++] = (auk_bar){auk_text_at(v, "phase"), at, at + ms};
        at += isfinite(ms) ? ms : 0;
    }
    snprintf(title, sizeof title, "%s: one answer from its beginning to its end", c->label);
    auk_doc_bars(d, title, bars, n, "ms");
    counts = auk_record_at(h, "histogram.counts");
    for (n = 0; n < json_array_size(counts) && n < AUK_HISTOGRAM_BINS; n++)
        count[n] = (uint64_t)json_integer_value(json_array_get(counts, n));
    snprintf(title, sizeof title, "%s: gaps between %ss", c->label,
             auk_str_is(auk_text_at(h, "resolution"), "chunk") ? "piece" : "token");
    auk_doc_columns(d, title, count, n, auk_number_at(h, "histogram.width_ms"), "ms");
    json_array_foreach(json_object_get(h, "warnings"), i, v)
    {
        auk_buf text = AUK_BUF_INIT(1 << 16);
        auk_buf_printf(&text, "%s: %.*s", c->label, AUK_ARG(auk_json_str(v)));
        auk_doc_warning(d, auk_buf_str(&text));
        auk_buf_release(&text);
    }
    view_spikes(d, c);
}

/* ---- two of them -------------------------------------------------------------------------- */

/* Values of the measured runs of target A. */
static size_t series(double *out, const auk_case *c, const char *which)
{
    size_t n = 0;

    for (size_t i = 0; i < c->rows.n; i++) {
        const json_t *r = c->rows.p[i], *stamps = json_object_get(r, "stamps_ns");
        size_t m = json_array_size(stamps);
        if (!auk_str_is(auk_text_at(r, "item"), "run") ||
            json_is_true(json_object_get(r, "warm_up")) ||
            !auk_str_is(auk_text_at(r, "target"), "A"))
            continue;
        double v = auk_number_at(r, which) / 1e6;
        if (*which == 0)
            v = m < 2
                    ? NAN
                    : auk_latency_rate((double)m, json_number_value(json_array_get(stamps, m - 1)) -
                                                      json_number_value(json_array_get(stamps, 0)));
        if (isfinite(v))
            out[n++] = v;
    }
    return n;
}

static void contest_row(auk_doc *d, const auk_case *a, const auk_case *b, const char *name,
                        const char *which)
{
    double *x = auk_alloc((a->rows.n + 1) * sizeof *x), *y = auk_alloc((b->rows.n + 1) * sizeof *y);
    size_t n = series(x, a, which), m = series(y, b, which);
    auk_contest c;
    auk_err err;

    if (n > 0 && m > 0 && auk_latency_contest(&c, x, n, y, m, 1, &err) == AUK_OK) {
        auk_doc_cellf(d, AUK_STRONG, "%s to %s", a->label, b->label);
        auk_doc_cell(d, AUK_PLAIN, auk_str_of(name));
        auk_doc_cellf(d, AUK_PLAIN, "%.2f (%zu runs)", c.a, c.n_a);
        auk_doc_cellf(d, AUK_PLAIN, "%.2f (%zu runs)", c.b, c.n_b);
        auk_doc_cellf(d, AUK_PLAIN, "%+.1f %%", 100 * c.change);
        auk_doc_cellf(d, AUK_PLAIN, "%+.1f to %+.1f %%", 100 * c.lo, 100 * c.hi);
        auk_doc_cell(d, c.differ ? AUK_STRONG : AUK_PLAIN,
                     auk_str_of(c.differ                 ? "hardly chance"
                                : c.n_a < 5 || c.n_b < 5 ? "cannot tell: fewer than 5 runs"
                                                         : "can be chance"));
    }
    free(x);
    free(y);
}

static void view_contests(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {
        {"", false},      {"what", false}, {"before", true},        {"after", true},
        {"change", true}, {"95 %", true},  {"is it chance?", false}};
    const auk_case *first = NULL;
    bool open = false;

    for (size_t i = 0; i < n; i++) {
        if (!auk_case_is(&cases[i], "inspect"))
            continue;
        if (first == NULL) {
            first = &cases[i];
            continue;
        }
        if (!open) {
            auk_doc_heading(d, 3, "changes", auk_str_of("What changed"));
            auk_doc_table(d, columns, 7);
            open = true;
        }
        contest_row(d, first, &cases[i], "pieces or tokens per second", "");
        contest_row(d, first, &cases[i], "first token, ms", "ttft_ns");
    }
    if (open)
        auk_doc_table_end(d);
}

void auk_view_inspect(auk_doc *d, const auk_case *cases, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        any |= auk_case_is(&cases[i], "inspect");
    if (!any)
        return;
    auk_doc_heading(d, 2, "inspect", auk_str_of("How it feels"));
    view_times(d, cases, n);
    view_contests(d, cases, n);
    for (size_t i = 0; i < n; i++)
        if (auk_case_is(&cases[i], "inspect"))
            view_pictures(d, &cases[i]);
    view_memory(d, cases, n);
}
