/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that make a headline, and the one for every kind without its own. */
#include "report/rows.h"

#include "base/mem.h"

#include <math.h>

/* A rule never changes: a better one is a new row above its predecessor, and old records keep
 * the rule they name. */
static const struct {
    const char *name, *kind; /* kind NULL: any other */
    auk_rule_fn *fn;
} rules[] = {
    {"eval/1", "eval", auk_rule_eval},
    {"compare/1", "compare", auk_rule_compare},
    {"quantize/1", "quantize", auk_rule_quantize},
    {"bench/1", "bench", auk_rule_bench},
    {"inspect/1", "inspect", auk_rule_inspect},
    {"audit/1", "audit", auk_rule_audit},
    {"agent/1", "agent", auk_rule_agent},
    {"swebench/1", "swebench", auk_rule_swebench},
    {"items/1", NULL, auk_rule_items},
};

int auk_headline(json_t **out, const char *rule, const char *kind, const auk_str *items, size_t n,
                 auk_err *err)
{
    size_t i = 0, count = sizeof rules / sizeof *rules;
    auk_rows rows;

    *out = NULL;
    while (i < count && (rule != NULL ? strcmp(rules[i].name, rule) != 0
                                      : rules[i].kind != NULL && strcmp(rules[i].kind, kind) != 0))
        i++;
    if (i == count)
        return auk_fail(err, AUK_ENOTSUP, "this version of auklet has no headline rule '%s'", rule);
    int rc = auk_rows_parse(&rows, items, n, err);
    if (rc < 0)
        return rc;
    json_t *v = json_object();
    json_object_set_new(v, "rule", json_string(rules[i].name));
    rc = rules[i].fn(v, &rows, err);
    if (rc == AUK_OK)
        *out = v;
    else
        json_decref(v);
    auk_rows_release(&rows);
    return rc;
}

int auk_rows_parse(auk_rows *out, const auk_str *items, size_t n, auk_err *err)
{
    char name[32];

    *out = (auk_rows){0};
    int rc = auk_try_alloc(&out->p, n + 1, sizeof *out->p, err);
    for (; rc == AUK_OK && out->n < n; out->n++) {
        snprintf(name, sizeof name, "item %zu", out->n + 1);
        rc = auk_json_parse(&out->p[out->n], items[out->n], name, err);
        if (rc < 0)
            break;
    }
    if (rc < 0)
        auk_rows_release(out);
    return rc;
}

void auk_rows_release(auk_rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        json_decref(r->p[i]);
    free(r->p);
    *r = (auk_rows){0};
}

json_t *auk_rows_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *auk_rows_interval(const auk_interval *i)
{
    return json_pack("[o, o]", auk_rows_real(i->lo), auk_rows_real(i->hi));
}

int auk_rows_rate(json_t *out, const char *rate_key, uint64_t k, uint64_t n, auk_err *err)
{
    auk_interval wilson;

    json_object_set_new(out, "passed", json_integer((json_int_t)k));
    if (n == 0) {
        json_object_set_new(out, rate_key, json_null());
        json_object_set_new(out, "wilson95", json_null());
        return AUK_OK;
    }
    int rc = auk_stats_wilson(&wilson, k, n, AUK_ROWS_LEVEL, err);
    if (rc < 0)
        return rc;
    json_object_set_new(out, rate_key, json_real((double)k / (double)n));
    json_object_set_new(out, "wilson95", auk_rows_interval(&wilson));
    return AUK_OK;
}

/* items, and where items say whether they passed, the rate of those. */
int auk_rule_items(json_t *out, const auk_rows *rows, auk_err *err)
{
    uint64_t n = 0, passed = 0;

    for (size_t i = 0; i < rows->n; i++) {
        const json_t *p = json_object_get(rows->p[i], "passed");
        n += json_is_boolean(p);
        passed += json_is_true(p);
    }
    json_object_set_new(out, "items", json_integer((json_int_t)rows->n));
    if (n == 0)
        return AUK_OK;
    json_object_set_new(out, "n", json_integer((json_int_t)n));
    return auk_rows_rate(out, "rate", passed, n, err);
}
