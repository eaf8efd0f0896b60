/* SPDX-License-Identifier: Apache-2.0 */
/* What the runs of an agent record say: tiers, failures, the verdict.
 *
 * Items: one {"item": "plan", "tasks": [{"task", "collection", "tier", "k"}], "profile"}, then the
 * runs.  A run that is there twice counts as it was last.  What was asked for stays the denominator
 * of what was passed, however many runs failed to finish. */
#include "report/rows.h"

#include "base/mem.h"

#include <math.h>

static const char *const tiers[] = {"easy", "medium", "hard", "extreme"};
#define N_TIERS 4

/* By severity, which breaks ties of the top error. */
static const char *const classes[] = {
    "ForbiddenCall",   "TurnTimeout",  "InfiniteLoop",   "LoopStopped", "Hallucinated",
    "MalformedSchema", "Malformed",    "ForeignDialect", "Truncated",   "EmptyOutput",
    "ReportedInProse", "BackendError", "Cancelled",
};
#define N_CLASSES (sizeof classes / sizeof *classes)

typedef struct task {
    const char *id, *collection, *tier;
    size_t k;
    const json_t **runs; /* owned: k, NULL where there is none */
    size_t finished, passed, errored;
} task;

typedef struct group {
    const char *tier; /* NULL: all */
    size_t tasks, strict, runs, finished, errored, passed, incomplete, measured;
    double hat, steps, ms, effort, smallest_k;
    size_t efforts, unknown, recovered, schema, step_count;
    uint64_t failures[N_CLASSES];
    json_t *dialects;  /* owned */
    double *step_list; /* owned; of finished runs */
} group;

static const char *text(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));

    return s != NULL ? s : "";
}

static int64_t whole(const json_t *v, const char *key)
{
    const json_t *x = json_object_get(v, key);

    return json_is_integer(x) ? json_integer_value(x) : 0;
}

static bool is_item(const json_t *v, const char *what)
{
    return strcmp(text(v, "item"), what) == 0;
}

/* ---- tasks --------------------------------------------------------------------------------- */

static void tasks_free(task *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((void *)t[i].runs);
    free(t);
}

static int tasks_read(task **out, size_t *n, const json_t *plan, auk_err *err)
{
    const json_t *list = json_object_get(plan, "tasks");
    task *t = NULL;
    int rc = auk_try_alloc(&t, json_array_size(list) + 1, sizeof *t, err);

    *n = 0;
    for (size_t i = 0; rc == AUK_OK && i < json_array_size(list); i++, (*n)++) {
        const json_t *v = json_array_get(list, i);
        int64_t k = whole(v, "k");
        t[i] = (task){.id = text(v, "task"),
                      .collection = text(v, "collection"),
                      .tier = text(v, "tier"),
                      .k = (size_t)(k > 0 && k < 1000000 ? k : 0)};
        rc = t[i].k > 0 ? auk_try_alloc(&t[i].runs, t[i].k, sizeof *t[i].runs, err)
                        : auk_fail(err, AUK_EFORMAT, "task '%s' of the plan has no runs", t[i].id);
    }
    *out = t;
    if (rc < 0) {
        tasks_free(t, *n);
        *out = NULL;
    }
    return rc;
}

static void tasks_fill(task *t, size_t n, const auk_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        const json_t *r = rows->p[i];
        int64_t run = whole(r, "run");
        for (size_t k = 0; is_item(r, "run") && k < n; k++)
            if (strcmp(t[k].id, text(r, "task")) == 0 &&
                strcmp(t[k].collection, text(r, "collection")) == 0 && run >= 0 &&
                (size_t)run < t[k].k)
                t[k].runs[run] = r;
    }
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < t[k].k; i++) {
            bool finished = json_is_true(json_object_get(t[k].runs[i], "finished"));
            t[k].finished += finished;
            t[k].errored += t[k].runs[i] != NULL && !finished;
            t[k].passed += finished && json_is_true(json_object_get(t[k].runs[i], "passed"));
        }
}

/* ---- groups -------------------------------------------------------------------------------- */

static void add_run(group *g, const json_t *r)
{
    bool finished = json_is_true(json_object_get(r, "finished"));
    const char *class = text(r, "class"), *key;
    json_t *v;

    for (size_t c = 0; c < N_CLASSES; c++)
        g->failures[c] += strcmp(class, classes[c]) == 0;
    g->unknown += (size_t)whole(r, "unknown_tool_calls");
    g->schema += whole(r, "schema_errors") > 0;
    g->recovered += whole(r, "schema_errors") > 0 && json_is_true(json_object_get(r, "passed"));
    json_object_foreach(json_object_get(r, "dialects"), key, v)
        json_object_set_new(g->dialects, key,
                            json_integer(json_integer_value(json_object_get(g->dialects, key)) +
                                         json_integer_value(v)));
    if (!finished)
        return;
    g->step_list[g->step_count++] = (double)whole(r, "steps");
    g->steps += (double)whole(r, "steps");
    g->ms += (double)whole(r, "ms");
    if (json_is_true(json_object_get(r, "passed")) && whole(r, "completion_tokens") > 0) {
        g->effort += (double)whole(r, "completion_tokens");
        g->efforts++;
    }
}

static int group_make(group *g, const char *tier, const task *t, size_t n, auk_err *err)
{
    size_t most = 1;
    bool hat = true;

    *g = (group){.tier = tier, .dialects = json_object(), .smallest_k = INFINITY};
    for (size_t i = 0; i < n; i++)
        most += t[i].k;
    int rc = auk_try_alloc(&g->step_list, most, sizeof *g->step_list, err);
    for (size_t i = 0; rc == AUK_OK && i < n; i++) {
        if (tier != NULL && strcmp(t[i].tier, tier) != 0)
            continue;
        g->tasks++;
        g->runs += t[i].k;
        g->finished += t[i].finished;
        g->errored += t[i].errored;
        g->passed += t[i].passed;
        g->incomplete += t[i].finished < t[i].k;
        g->strict += t[i].passed == t[i].k;
        g->smallest_k = fmin(g->smallest_k, (double)t[i].k);
        for (size_t r = 0; r < t[i].k; r++)
            if (t[i].runs[r] != NULL)
                add_run(g, t[i].runs[r]);
        hat = hat && t[i].finished == t[i].k;
    }
    /* pass^k with the k all tasks have */
    for (size_t i = 0; rc == AUK_OK && hat && i < n; i++) {
        double p = 0;
        if (tier != NULL && strcmp(t[i].tier, tier) != 0)
            continue;
        rc = auk_stats_passhatk(&p, t[i].finished, t[i].passed, (uint64_t)g->smallest_k, err);
        g->hat += p;
    }
    if (!hat)
        g->hat = NAN;
    return rc;
}

static void group_release(group *g)
{
    free(g->step_list);
    json_decref(g->dialects);
}

static json_t *failures_json(const group *g)
{
    json_t *out = json_object();

    for (size_t c = 0; c < N_CLASSES; c++)
        if (g->failures[c] > 0)
            json_object_set_new(out, classes[c], json_integer((json_int_t)g->failures[c]));
    return out;
}

static json_t *top_error(const group *g)
{
    size_t best = 0;

    for (size_t c = 1; c < N_CLASSES; c++)
        if (g->failures[c] > g->failures[best])
            best = c;
    return g->failures[best] > 0 ? json_string(classes[best]) : json_null();
}

static int group_json(json_t *out, group *g, auk_err *err)
{
    auk_interval w;
    json_t *wilson = json_null();

    if (g->tier != NULL)
        json_object_set_new(out, "tier", json_string(g->tier));
    json_object_set_new(out, "tasks", json_integer((json_int_t)g->tasks));
    json_object_set_new(out, "strict_passed", json_integer((json_int_t)g->strict));
    json_object_set_new(out, "runs", json_integer((json_int_t)g->runs));
    json_object_set_new(out, "finished", json_integer((json_int_t)g->finished));
    json_object_set_new(out, "errored", json_integer((json_int_t)g->errored));
    json_object_set_new(out, "incomplete", json_integer((json_int_t)g->incomplete));
    json_object_set_new(out, "runs_passed", json_integer((json_int_t)g->passed));
    if (g->finished > 0) {
        int rc = auk_stats_wilson(&w, g->passed, g->finished, AUK_ROWS_LEVEL, err);
        if (rc < 0)
            return rc;
        wilson = auk_rows_interval(&w);
    }
    double runs = (double)g->finished;
    json_object_set_new(out, "run_rate", auk_rows_real((double)g->passed / runs));
    json_object_set_new(out, "wilson95", wilson);
    json_object_set_new(
        out, "k", isfinite(g->smallest_k) ? json_integer((json_int_t)g->smallest_k) : json_null());
    json_object_set_new(out, "pass_hat_k", auk_rows_real(g->hat / (double)g->tasks));
    json_object_set_new(out, "strict_rate", auk_rows_real((double)g->strict / (double)g->tasks));
    json_object_set_new(out, "avg_steps", auk_rows_real(g->steps / runs));
    json_object_set_new(out, "median_steps",
                        g->step_count > 0
                            ? auk_rows_real(auk_stats_quantile(g->step_list, g->step_count, 0.5))
                            : json_null());
    json_object_set_new(out, "ms_per_step", auk_rows_real(g->ms / g->steps));
    json_object_set_new(out, "effort_tokens", auk_rows_real(g->effort / (double)g->efforts));
    json_object_set_new(out, "schema_resilience",
                        auk_rows_real((double)g->recovered / (double)g->schema));
    json_object_set_new(out, "unknown_tool_calls", json_integer((json_int_t)g->unknown));
    json_object_set(out, "dialects", g->dialects);
    json_object_set_new(out, "failures", failures_json(g));
    json_object_set_new(out, "top_error", top_error(g));
    return AUK_OK;
}

/* ---- the rule ------------------------------------------------------------------------------ */

static json_t *task_list(const task *t, size_t n)
{
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "task", t[i].id,
                                        "collection", t[i].collection, "tier", t[i].tier, "runs",
                                        (json_int_t)t[i].k, "finished", (json_int_t)t[i].finished,
                                        "errored", (json_int_t)t[i].errored, "runs_passed",
                                        (json_int_t)t[i].passed, "strict", t[i].passed == t[i].k));
    return out;
}

static int all_groups(json_t *out, const json_t *plan, const task *t, size_t n, auk_err *err)
{
    json_t *list = json_array(), *by_tier = json_object(), *whole_facts = json_object();
    group g;
    int rc = AUK_OK;

    for (int i = 0; i < N_TIERS && rc == AUK_OK; i++) {
        json_t *v = json_object();
        rc = group_make(&g, tiers[i], t, n, err);
        if (rc == AUK_OK)
            rc = group_json(v, &g, err);
        json_object_set_new(
            by_tier, tiers[i],
            json_pack("{s:O, s:O}", "rate",
                      rc == AUK_OK ? json_object_get(v, "strict_rate") : json_null(), "tasks",
                      rc == AUK_OK ? json_object_get(v, "tasks") : json_null()));
        if (g.tasks > 0)
            json_array_append(list, v);
        json_decref(v);
        group_release(&g);
    }
    if (rc == AUK_OK) {
        rc = group_make(&g, NULL, t, n, err);
        if (rc == AUK_OK)
            rc = group_json(whole_facts, &g, err);
        group_release(&g);
    }
    json_object_set_new(out, "tiers", list);
    if (rc == AUK_OK) {
        json_t *facts = json_deep_copy(whole_facts);
        const json_t *also = json_object_get(plan, "facts");
        if (json_is_object(also))
            json_object_update(facts, (json_t *)(uintptr_t)also);
        json_object_set(facts, "tiers", by_tier);
        json_object_set_new(facts, "native",
                            json_boolean(json_object_get(json_object_get(whole_facts, "dialects"),
                                                         "tool_calls") != NULL));
        json_object_set_new(out, "verdict", auk_assess(facts, json_object_get(plan, "profile")));
        json_decref(facts);
        json_object_set(out, "all", whole_facts);
    }
    json_decref(by_tier);
    json_decref(whole_facts);
    return rc;
}

int auk_rule_agent(json_t *out, const auk_rows *rows, auk_err *err)
{
    const json_t *plan = rows->n > 0 && is_item(rows->p[0], "plan") ? rows->p[0] : NULL;
    task *t;
    size_t n;

    if (plan == NULL)
        return auk_fail(err, AUK_EFORMAT, "an agent record's items begin with its plan");
    int rc = tasks_read(&t, &n, plan, err);
    if (rc < 0)
        return rc;
    tasks_fill(t, n, rows);
    rc = all_groups(out, plan, t, n, err);
    json_object_set_new(out, "tasks", task_list(t, n));
    tasks_free(t, n);
    return rc;
}
