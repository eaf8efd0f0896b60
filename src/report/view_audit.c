/* SPDX-License-Identifier: Apache-2.0 */
/* Where the context breaks: curves with intervals, their cells, two audits side by side. */
#include "report/facts.h"

#include "base/mem.h"

#include <math.h>

#define MOST_POINTS 64

static void view_cells(auk_doc *d, const json_t *rungs)
{
    static const auk_column columns[] = {{"tokens", true},   {"passed", true}, {"95 %", true},
                                         {"0 to 1", false},  {"wrong", true},  {"truncated", true},
                                         {"none", true},     {"error", true},  {"lost", true},
                                         {"p (Holm)", true}, {"says", false}};
    const json_t *r;
    size_t i;

    auk_doc_table(d, columns, 11);
    json_array_foreach(rungs, i, r)
    {
        const json_t *w = json_object_get(r, "wilson95");
        double lo = json_number_value(json_array_get(w, 0)),
               hi = json_number_value(json_array_get(w, 1)), p = auk_number_at(r, "p_holm");
        bool fails = json_is_true(json_object_get(r, "fails"));
        char holm[AUK_STATS_P_CHARS] = "";
        auk_doc_cellf(d, AUK_PLAIN, "%s%lld",
                      json_is_true(json_object_get(r, "depth_estimated")) ? "~" : "",
                      (long long)auk_int_at(r, "depth_tokens"));
        auk_doc_cellf(d, AUK_PLAIN, "%lld/%lld", (long long)auk_int_at(r, "passed"),
                      (long long)auk_int_at(r, "n"));
        if (json_is_array(w)) {
            auk_doc_cellf(d, AUK_PLAIN, "%.0f to %.0f %%", 100 * lo, 100 * hi);
            auk_doc_picture(d, lo, hi, auk_number_at(r, "rate"), 0, 1);
        } else {
            auk_doc_cell(d, AUK_MUTED, auk_str_of("n/a"));
            auk_doc_cell(d, AUK_PLAIN, auk_str_of(""));
        }
        auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)auk_int_at(r, "state_counts.wrong"));
        auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)auk_int_at(r, "state_counts.truncated"));
        auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)auk_int_at(r, "state_counts.no_answer"));
        auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)auk_int_at(r, "state_counts.error"));
        if (i > 0)
            auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)auk_int_at(r, "lost"));
        else
            auk_doc_cell(d, AUK_PLAIN, auk_str_of(""));
        if (isfinite(p))
            auk_stats_p_print(holm, p);
        auk_doc_cell(d, AUK_PLAIN, auk_str_of(holm));
        auk_doc_cell(d, fails ? AUK_BAD : AUK_PLAIN,
                     auk_str_of(fails                          ? "fails"
                                : i == 0                       ? "base"
                                : auk_int_at(r, "missing") > 0 ? "incomplete"
                                                               : ""));
    }
    auk_doc_table_end(d);
}

static void view_curve(auk_doc *d, const auk_case *c, const json_t *curve)
{
    const json_t *rungs = json_object_get(curve, "rungs"), *r;
    auk_point p[MOST_POINTS];
    bool tools = auk_str_is(auk_text_at(curve, "kind"), "tools");
    char title[160], heading[80];
    size_t n = 0, i;

    json_array_foreach(rungs, i, r)
    {
        const json_t *w = json_object_get(r, "wilson95");
        if (n < MOST_POINTS && json_is_array(w) && auk_int_at(r, "depth_tokens") > 0)
            p[n++] = (auk_point){auk_number_at(r, "depth_tokens"), auk_number_at(r, "rate"),
                                 json_number_value(json_array_get(w, 0)),
                                 json_number_value(json_array_get(w, 1)),
                                 json_is_true(json_object_get(r, "fails"))};
    }
    snprintf(heading, sizeof heading, "%s: %s", c->label,
             tools ? "tool calls under padding" : "retrieval");
    snprintf(title, sizeof title, "Share right with 95 %% intervals over tokens of context");
    auk_doc_heading(d, 3, NULL, auk_str_of(heading));
    auk_doc_curve(d, title, p, n, "tokens");
    view_cells(d, rungs);
}

/* ---- two audits --------------------------------------------------------------------------- */

static const json_t *same_sample(const auk_case *c, const json_t *x)
{
    static const char *const keys[] = {"kind", "rung_tokens", "sheet", "question"};

    for (size_t i = 0; i < c->rows.n; i++) {
        bool same = auk_str_is(auk_text_at(c->rows.p[i], "item"), "sample");
        for (size_t k = 0; k < 4 && same; k++)
            same = json_equal(json_object_get(c->rows.p[i], keys[k]), json_object_get(x, keys[k]));
        if (same)
            return c->rows.p[i];
    }
    return NULL;
}

/* Pairs of samples of one kind and rung that both audits finished. */
static auk_paired pair(const auk_case *a, const auk_case *b, const char *kind, int64_t rung)
{
    auk_paired t = {0};

    for (size_t i = 0; i < b->rows.n; i++) {
        const json_t *y = b->rows.p[i], *x;
        if (!auk_str_is(auk_text_at(y, "item"), "sample") ||
            !auk_str_is(auk_text_at(y, "kind"), kind) || auk_int_at(y, "rung_tokens") != rung)
            continue;
        x = same_sample(a, y);
        if (x == NULL || auk_str_is(auk_text_at(x, "state"), "error") ||
            auk_str_is(auk_text_at(y, "state"), "error"))
            continue;
        bool before = auk_str_is(auk_text_at(x, "state"), "passed"),
             after = auk_str_is(auk_text_at(y, "state"), "passed");
        t.a += before && after;
        t.b += after && !before; /* stats.h: A is the candidate */
        t.c += before && !after;
        t.d += !before && !after;
    }
    return t;
}

static void pair_row(auk_doc *d, const auk_case *a, const auk_case *b, const char *kind,
                     int64_t rung, const auk_paired *t, double p)
{
    uint64_t n = t->a + t->b + t->c + t->d;
    char text[AUK_STATS_P_CHARS];

    auk_doc_cellf(d, AUK_STRONG, "%s to %s", a->label, b->label);
    auk_doc_cellf(d, AUK_PLAIN, "%s at %lld", kind, (long long)rung);
    auk_doc_cellf(d, AUK_PLAIN, "%llu/%llu", (unsigned long long)(t->a + t->c),
                  (unsigned long long)n);
    auk_doc_cellf(d, AUK_PLAIN, "%llu/%llu", (unsigned long long)(t->a + t->b),
                  (unsigned long long)n);
    auk_doc_cellf(d, AUK_PLAIN, "+%llu -%llu", (unsigned long long)t->b, (unsigned long long)t->c);
    auk_stats_p_print(text, p);
    auk_doc_cell(d, AUK_PLAIN, auk_str_of(text));
    auk_doc_cell(d, p < 0.05 ? AUK_STRONG : AUK_PLAIN,
                 auk_str_of(p < 0.05 ? "hardly chance" : "can be chance"));
}

typedef struct pairing {
    const char *kind;
    int64_t rung;
    auk_paired t;
    double p;
} pairing;

static size_t collect(pairing *out, const auk_case *a, const auk_case *b)
{
    const json_t *curves = auk_record_at(b->entry->head, "headline.curves"), *c, *r;
    size_t n = 0, i, j;
    auk_mcnemar m;
    auk_err err;

    json_array_foreach(curves, i, c)
    {
        json_array_foreach(json_object_get(c, "rungs"), j, r)
        {
            pairing *x = &out[n];
            x->kind = auk_text_at(c, "kind").p;
            x->rung = auk_int_at(r, "rung_tokens");
            x->t = pair(a, b, x->kind, x->rung);
            if (n + 1 < MOST_POINTS && x->t.a + x->t.b + x->t.c + x->t.d > 0 &&
                auk_stats_mcnemar(&m, &x->t, &err) == AUK_OK) {
                x->p = m.p_exact;
                n++;
            }
        }
    }
    return n;
}

static void view_pair(auk_doc *d, const auk_case *a, const auk_case *b)
{
    static const auk_column columns[] = {
        {"", false},       {"where", false},   {"before", true},        {"after", true},
        {"changed", true}, {"p (Holm)", true}, {"is it chance?", false}};
    const json_t *x = a->entry->head, *y = b->entry->head;
    pairing rows[MOST_POINTS];
    double p[MOST_POINTS];
    auk_err err;

    if (auk_int_at(x, "headline.seed") != auk_int_at(y, "headline.seed") ||
        auk_int_at(x, "headline.samples") != auk_int_at(y, "headline.samples")) {
        auk_doc_warning(d, auk_str_of("These audits asked different questions (seed or samples), "
                                      "so they are not compared by pairs."));
        return;
    }
    size_t n = collect(rows, a, b);
    for (size_t i = 0; i < n; i++)
        p[i] = rows[i].p;
    if (n == 0 || auk_stats_holm(p, p, n, &err) < 0)
        return;
    auk_doc_table(d, columns, 7);
    for (size_t i = 0; i < n; i++)
        pair_row(d, a, b, rows[i].kind, rows[i].rung, &rows[i].t, p[i]);
    auk_doc_table_end(d);
}

void auk_view_audit(auk_doc *d, const auk_case *cases, size_t n)
{
    const auk_case *first = NULL;
    const json_t *curve;
    size_t k;
    bool pairs = false;

    for (size_t i = 0; i < n; i++) {
        if (!auk_case_is(&cases[i], "audit"))
            continue;
        if (first == NULL)
            auk_doc_heading(d, 2, "audit", auk_str_of("Where the context breaks"));
        first = first != NULL ? first : &cases[i];
        json_array_foreach(auk_record_at(cases[i].entry->head, "headline.curves"), k, curve)
            view_curve(d, &cases[i], curve);
    }
    for (size_t i = 0; i < n; i++) {
        if (!auk_case_is(&cases[i], "audit") || &cases[i] == first)
            continue;
        if (!pairs)
            auk_doc_heading(d, 3, "audit-changes", auk_str_of("What changed between audits"));
        pairs = true;
        view_pair(d, first, &cases[i]);
    }
}
