/* SPDX-License-Identifier: Apache-2.0 */
/* swebench/1: what eval/1 says of instances, and how far each came.  Columns are counts of their
 * own, not a partition: a looped answer may carry a patch that resolves the issue. */
#include "report/facts.h"

static const char *const flags[] = {"has_patch", "patch_applied", "resolved", "scored"};
static const char *const statuses[] = {"overflow",           "no_output",   "no_edit_block",
                                       "edit_did_not_match", "patch_empty", "apply_failed",
                                       "tests_failed",       "error",       "not_scored"};
static const char *const levels[] = {"exact", "trailing-blanks", "indent", "blank-lines",
                                     "white-space"};

static bool is_word(const json_t *item, const char *key, const char *word)
{
    auk_str s = auk_json_str(json_object_get(item, key));
    return s.p != NULL && auk_str_is(s, word);
}

static json_int_t count_words(const auk_rows *rows, const char *key, const char *word)
{
    json_int_t n = 0;

    for (size_t i = 0; i < rows->n; i++)
        n += is_word(rows->p[i], key, word);
    return n;
}

static double sum_of(const auk_rows *rows, const char *key)
{
    double sum = 0;

    for (size_t i = 0; i < rows->n; i++)
        sum += json_number_value(json_object_get(rows->p[i], key));
    return sum;
}

int auk_rule_swebench(json_t *out, const auk_rows *rows, auk_err *err)
{
    static const char *const sums[] = {"prompt_tok", "completion_tok", "ms"};
    json_t *matched = json_object();

    int rc = auk_rule_eval(out, rows, err);
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        json_int_t n = 0;
        for (size_t i = 0; i < rows->n; i++)
            n += json_is_true(json_object_get(rows->p[i], flags[k]));
        json_object_set_new(out, flags[k], json_integer(n));
    }
    for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++)
        json_object_set_new(out, statuses[k],
                            json_integer(count_words(rows, "status", statuses[k])));
    for (size_t k = 0; k < sizeof levels / sizeof *levels; k++)
        json_object_set_new(matched, levels[k],
                            json_integer(count_words(rows, "level", levels[k])));
    if (auk_int_at(out, "not_scored") > 0) { /* half a score is none */
        json_object_set_new(out, "pass_at_1", json_null());
        json_object_set_new(out, "wilson95", json_null());
    }
    json_object_set_new(out, "levels", matched);
    for (size_t k = 0; k < sizeof sums / sizeof *sums; k++)
        json_object_set_new(out, sums[k], json_integer((json_int_t)sum_of(rows, sums[k])));
    return rc;
}

/* ---- the page ----------------------------------------------------------------------------- */

static void column_row(auk_doc *d, const auk_case *cases, size_t n, const char *key)
{
    auk_doc_cell(d, AUK_PLAIN, auk_str_of(key));
    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].kind, "swebench") == 0)
            auk_doc_cellf(
                d, AUK_PLAIN, "%lld",
                (long long)auk_int_at(json_object_get(cases[i].entry->head, "headline"), key));
}

static void view_levels(auk_doc *d, const auk_case *c)
{
    const json_t *h = json_object_get(c->entry->head, "headline"),
                 *matched = json_object_get(h, "levels");
    char text[300];

    snprintf(text, sizeof text,
             "%s: SEARCH matched at level exact %lld, trailing-blanks %lld, indent %lld, "
             "blank-lines %lld, white-space %lld; %lld prompt tokens, %lld of answers, %.1f s.",
             c->label, (long long)auk_int_at(matched, "exact"),
             (long long)auk_int_at(matched, "trailing-blanks"),
             (long long)auk_int_at(matched, "indent"),
             (long long)auk_int_at(matched, "blank-lines"),
             (long long)auk_int_at(matched, "white-space"), (long long)auk_int_at(h, "prompt_tok"),
             (long long)auk_int_at(h, "completion_tok"), (double)auk_int_at(h, "ms") / 1000);
    auk_doc_para(d, auk_str_of(text));
}

static void view_conditional(auk_doc *d, const auk_case *c)
{
    const json_t *h = json_object_get(c->entry->head, "headline");
    long long patches = (long long)auk_int_at(h, "has_patch");
    char text[300];

    if (patches == 0 || auk_int_at(h, "not_scored") > 0)
        return;
    snprintf(text, sizeof text,
             "%s: %lld of the %lld instances with a patch are resolved. That rate depends on which "
             "instances the model gave a patch for: it is not compared between models.",
             c->label, (long long)auk_int_at(h, "resolved"), patches);
    auk_doc_para(d, auk_str_of(text));
}

void auk_view_swebench(auk_doc *d, const auk_case *cases, size_t n)
{
    auk_column columns[64] = {{"instances", false}};
    size_t width = 1;

    for (size_t i = 0; i < n && width < 64; i++)
        if (strcmp(cases[i].kind, "swebench") == 0)
            columns[width++] = (auk_column){cases[i].label, true};
    if (width == 1 || width == 64)
        return;
    auk_doc_heading(d, 2, NULL, auk_str_of("SWE-bench: how far each instance came"));
    auk_doc_para(d, auk_str_of("Columns are counts of their own and need not add up. With oracle "
                               "files shown and a single answer, rates are not comparable with "
                               "agent leaderboards."));
    auk_doc_table(d, columns, width);
    column_row(d, cases, n, "truncated");
    column_row(d, cases, n, "looped");
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
        column_row(d, cases, n, flags[k]);
    for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++)
        column_row(d, cases, n, statuses[k]);
    column_row(d, cases, n, "harness_error");
    auk_doc_table_end(d);
    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].kind, "swebench") == 0) {
            view_conditional(d, &cases[i]);
            view_levels(d, &cases[i]);
        }
}
