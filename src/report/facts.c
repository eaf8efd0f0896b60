/* SPDX-License-Identifier: Apache-2.0 */
#include "report/facts.h"

#include "base/mem.h"

#include <math.h>

auk_str auk_text_at(const json_t *v, const char *path)
{
    auk_str s = auk_json_str(auk_record_at(v, path));
    return s.p != NULL ? s : (auk_str){"", 0};
}

double auk_number_at(const json_t *v, const char *path)
{
    const json_t *x = auk_record_at(v, path);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

json_int_t auk_int_at(const json_t *v, const char *path)
{
    return json_integer_value(auk_record_at(v, path));
}

auk_str auk_base_name(auk_str path)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '/' && i < path.n)
            return auk_str_from(path, i);
    return path;
}

/* A ... Z, AA ... */
static void make_label(char out[8], size_t i)
{
    char digits[8];
    size_t n = 0;

    for (i++; i > 0 && n < 7; i = (i - 1) / 26)
        digits[n++] = (char)('A' + (i - 1) % 26);
    for (size_t k = 0; k < n; k++)
        out[k] = digits[n - 1 - k];
    out[n] = 0;
}

/* Records are on the same data when the hash says so, or where there is none, the name. */
static bool same_data(const auk_case *a, const auk_case *b)
{
    auk_str x = auk_text_at(a->entry->head, "data.sha256"),
            y = auk_text_at(b->entry->head, "data.sha256");

    if (x.n > 0 || y.n > 0)
        return auk_str_eq(x, y);
    return auk_str_eq(auk_text_at(a->entry->head, "data.name"),
                      auk_text_at(b->entry->head, "data.name"));
}

static int make_case(auk_case *cases, size_t i, int *groups, auk_err *err)
{
    auk_case *c = &cases[i];

    make_label(c->label, i);
    c->group = -1;
    c->kind = json_string_value(json_object_get(c->entry->head, "kind"));
    int rc = auk_rows_parse(&c->rows, c->entry->items, c->entry->n_items, err);
    if (rc < 0 || (strcmp(c->kind, "eval") != 0 && strcmp(c->kind, "swebench") != 0))
        return rc;
    for (size_t j = 0; j < i && c->group < 0; j++)
        if (cases[j].group >= 0 && same_data(c, &cases[j]))
            c->group = cases[j].group;
    if (c->group < 0)
        c->group = (*groups)++;
    return auk_tasks_group(&c->tasks, &c->rows, err);
}

int auk_cases_make(auk_case **out, const auk_entry *entries, size_t n, auk_err *err)
{
    auk_case *cases = NULL;
    int groups = 0;

    *out = NULL;
    int rc = auk_try_alloc(&cases, n, sizeof *cases, err);
    for (size_t i = 0; i < n && rc == AUK_OK; i++) {
        cases[i].entry = &entries[i];
        rc = make_case(cases, i, &groups, err);
    }
    if (rc < 0)
        auk_cases_free(cases, n);
    else
        *out = cases;
    return rc;
}

void auk_cases_free(auk_case *cases, size_t n)
{
    for (size_t i = 0; i < n && cases != NULL; i++) {
        auk_tasks_release(&cases[i].tasks);
        auk_rows_release(&cases[i].rows);
    }
    free(cases);
}

int auk_facts_make(json_t **out, const auk_case *cases, size_t n, auk_err *err)
{
    json_t *records = json_array(), *evals = json_array(), *group;
    int next = 0, rc = AUK_OK;

    for (size_t i = 0; i < n && rc == AUK_OK; i++) {
        json_t *r = json_object();
        json_object_set_new(r, "label", json_string(cases[i].label));
        json_object_set_new(r, "id", json_string(cases[i].entry->id));
        json_object_update(r, cases[i].entry->head);
        json_array_append_new(records, r);
        if (cases[i].group != next)
            continue;
        rc = auk_facts_eval(&group, cases, n, next++, err);
        if (rc == AUK_OK)
            json_array_append_new(evals, group);
    }
    *out = json_pack("{s:s, s:o, s:o}", "schema", "auklet.report/1", "records", records, "evals",
                     evals);
    return rc;
}

int auk_report(auk_buf *out, const auk_entry *entries, size_t n, auk_report_format format,
               auk_err *err)
{
    auk_case *cases = NULL;
    json_t *facts = NULL;
    auk_doc d;

    if (n == 0)
        return auk_fail(err, AUK_EINVAL, "a report needs a record");
    int rc = auk_cases_make(&cases, entries, n, err);
    if (rc == AUK_OK)
        rc = auk_facts_make(&facts, cases, n, err);
    if (rc == AUK_OK && format == AUK_REPORT_JSON) {
        auk_json_print(out, facts, (auk_json_style){.indent = 1});
        auk_buf_putc(out, '\n');
    } else if (rc == AUK_OK) {
        auk_doc_begin(&d, out, format == AUK_REPORT_HTML, "What was measured");
        auk_view(&d, facts, cases, n);
        auk_doc_end(&d);
    }
    json_decref(facts);
    auk_cases_free(cases, n);
    return rc < 0 ? rc : auk_buf_check(out, "the report", err);
}
