/* SPDX-License-Identifier: Apache-2.0 */
/* Can it be left alone with tools?  Tiers and the shares of failures. */
#include "report/facts.h"

#include <math.h>

static void view_tier(auk_doc *d, const auk_case *c, const json_t *t)
{
    const json_t *w = json_object_get(t, "wilson95");
    double lo = json_number_value(json_array_get(w, 0)),
           hi = json_number_value(json_array_get(w, 1));
    double runs = auk_number_at(t, "runs"), passed = auk_number_at(t, "runs_passed");

    auk_doc_cell(d, AUK_STRONG, auk_str_of(c->label));
    auk_doc_cell(d, AUK_PLAIN, auk_text_at(t, "tier"));
    auk_doc_cellf(d, AUK_PLAIN, "%lld/%lld", (long long)auk_int_at(t, "strict_passed"),
                  (long long)auk_int_at(t, "tasks"));
    auk_doc_cellf(d, AUK_PLAIN, "%lld/%lld", (long long)passed, (long long)runs);
    if (json_is_array(w) && runs > 0)
        auk_doc_picture(d, lo, hi, passed / runs, 0, 1);
    else
        auk_doc_cell(d, AUK_MUTED, auk_str_of("n/a"));
    if (isfinite(auk_number_at(t, "pass_hat_k")))
        auk_doc_cellf(d, AUK_PLAIN, "%.3f", auk_number_at(t, "pass_hat_k"));
    else
        auk_doc_cell(d, AUK_MUTED, auk_str_of("n/a"));
    if (isfinite(auk_number_at(t, "avg_steps")))
        auk_doc_cellf(d, AUK_PLAIN, "%.1f", auk_number_at(t, "avg_steps"));
    else
        auk_doc_cell(d, AUK_MUTED, auk_str_of("n/a"));
    auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)auk_int_at(t, "errored"));
}

static void view_failures(auk_doc *d, const auk_case *c, const json_t *tiers)
{
    static const auk_column columns[] = {{"", false},
                                         {"tier", false},
                                         {"failure", false},
                                         {"runs", true},
                                         {"share of failures", true}};
    const json_t *t;
    const char *name;
    json_t *count;
    size_t i;

    auk_doc_table(d, columns, 5);
    json_array_foreach(tiers, i, t)
    {
        json_int_t all = 0;
        json_object_foreach(json_object_get(t, "failures"), name, count) all +=
            json_integer_value(count);
        json_object_foreach(json_object_get(t, "failures"), name, count)
        {
            if (json_integer_value(count) == 0)
                continue;
            auk_doc_cell(d, AUK_STRONG, auk_str_of(c->label));
            auk_doc_cell(d, AUK_PLAIN, auk_text_at(t, "tier"));
            auk_doc_cell(d, AUK_PLAIN, auk_str_of(name));
            auk_doc_cellf(d, AUK_PLAIN, "%lld", (long long)json_integer_value(count));
            auk_doc_cellf(d, AUK_PLAIN, "%.0f %%",
                          100.0 * (double)json_integer_value(count) / (double)all);
        }
    }
    auk_doc_table_end(d);
}

void auk_view_agent(auk_doc *d, const auk_case *cases, size_t n)
{
    static const auk_column columns[] = {
        {"", false},           {"tier", false}, {"tasks, all runs pass", true},
        {"runs passed", true}, {"95 %", false}, {"pass^k", true},
        {"steps", true},       {"errors", true}};
    const json_t *t;
    bool any = false;
    size_t k;

    for (size_t i = 0; i < n; i++)
        any |= auk_case_is(&cases[i], "agent");
    if (!any)
        return;
    auk_doc_heading(d, 2, "agent", auk_str_of("Can it be left alone with tools?"));
    auk_doc_table(d, columns, 8);
    for (size_t i = 0; i < n; i++)
        if (auk_case_is(&cases[i], "agent"))
            json_array_foreach(auk_record_at(cases[i].entry->head, "headline.tiers"), k, t)
                view_tier(d, &cases[i], t);
    auk_doc_table_end(d);
    auk_doc_heading(d, 3, NULL, auk_str_of("How runs failed"));
    for (size_t i = 0; i < n; i++)
        if (auk_case_is(&cases[i], "agent"))
            view_failures(d, &cases[i], auk_record_at(cases[i].entry->head, "headline.tiers"));
}
