/* SPDX-License-Identifier: Apache-2.0 */
/* Eval records on the same data: side by side, against the first, and against reruns. */
#include "report/facts.h"

#include "base/mem.h"

#include <math.h>

#define POWER 0.8

/* ---- tasks side by side ------------------------------------------------------------------- */

static const auk_task *find_task(const auk_case *c, const char *id)
{
    size_t lo = 0, hi = c->tasks.n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = auk_task_order(c->tasks.p[mid].id, id);
        if (order == 0)
            return &c->tasks.p[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* "passed", or with several samples "3/5". */
static json_t *outcome(const auk_task *t)
{
    char text[48];

    if (t == NULL)
        return json_null();
    if (t->n == 1)
        return json_string(auk_sample_status(t->samples[0]));
    snprintf(text, sizeof text, "%zu/%zu", t->passed, t->n);
    return json_string(text);
}

/* One row: every record's outcome, and whether any two differ in what passed. */
static json_t *task_row(const char *id, const auk_case *cases, size_t n, int group)
{
    json_t *outcomes = json_object();
    const auk_task *first = NULL;
    bool differs = false, any = false;

    for (size_t i = 0; i < n; i++) {
        if (cases[i].group != group)
            continue;
        const auk_task *t = find_task(&cases[i], id);
        json_object_set_new(outcomes, cases[i].label, outcome(t));
        if (any)
            differs |= (t == NULL) != (first == NULL) ||
                       (t != NULL && first != NULL && t->passed * first->n != first->passed * t->n);
        else
            first = t;
        any = true;
    }
    return json_pack("{s:s, s:o, s:b}", "task_id", id, "outcomes", outcomes, "differs",
                     (int)differs);
}

static int by_id(const void *a, const void *b)
{
    return auk_task_order(*(const char *const *)a, *(const char *const *)b);
}

/* The tasks of all records of the group, each once, in order. */
static int task_rows(json_t *out, const auk_case *cases, size_t n, int group, auk_err *err)
{
    size_t total = 0, count = 0;
    const char **ids = NULL;

    for (size_t i = 0; i < n; i++)
        total += cases[i].group == group ? cases[i].tasks.n : 0;
    int rc = auk_try_alloc(&ids, total + 1, sizeof *ids, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; cases[i].group == group && j < cases[i].tasks.n; j++)
            ids[count++] = cases[i].tasks.p[j].id;
    qsort(ids, count, sizeof *ids, by_id);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(ids[i], ids[i - 1]) != 0)
            json_array_append_new(out, task_row(ids[i], cases, n, group));
    free(ids);
    return AUK_OK;
}

/* ---- a pair ------------------------------------------------------------------------------- */

/* What two records have in common. */
typedef struct pair {
    const auk_case *a, *b; /* a: the candidate; b: what it is compared with */
    auk_paired table;
    uint64_t excluded;
    double *differences; /* owned; one per task */
    size_t n;
    bool one_each; /* one sample per task in both */
} pair;

/* AUK_EINVAL, with the reason, when the two do not hold the same tasks. */
static int match(pair *p, const auk_case *a, const auk_case *b, auk_err *err)
{
    *p = (pair){.a = a, .b = b, .one_each = true};
    if (a->tasks.n != b->tasks.n)
        return auk_fail(err, AUK_EINVAL, "%s has %zu tasks, %s has %zu", a->label, a->tasks.n,
                        b->label, b->tasks.n);
    int rc = auk_try_alloc(&p->differences, a->tasks.n + 1, sizeof *p->differences, err);
    for (size_t i = 0; i < a->tasks.n && rc == AUK_OK; i++) {
        const auk_task *x = &a->tasks.p[i], *y = &b->tasks.p[i];
        if (strcmp(x->id, y->id) != 0)
            return auk_fail(err, AUK_EINVAL, "%s and %s have different tasks", a->label, b->label);
        p->one_each &= x->n == 1 && y->n == 1;
        if (x->broken || y->broken) {
            p->excluded++;
            continue;
        }
        bool first = x->passed > 0, second = y->passed > 0;
        *(first && second ? &p->table.a
          : first         ? &p->table.b
          : second        ? &p->table.c
                          : &p->table.d) += 1;
        p->differences[p->n++] =
            (double)x->passed / (double)x->n - (double)y->passed / (double)y->n;
    }
    return rc;
}

static json_t *table_of(const auk_paired *t)
{
    return json_pack("[I, I, I, I]", (json_int_t)t->a, (json_int_t)t->b, (json_int_t)t->c,
                     (json_int_t)t->d);
}

static int paired(json_t *out, const pair *p, auk_err *err)
{
    auk_mcnemar m;
    auk_interval i;
    auk_tost tost;
    double least, n = (double)p->n;

    int rc = auk_stats_mcnemar(&m, &p->table, err);
    if (rc == AUK_OK)
        rc = auk_stats_newcombe_paired(&i, &p->table, AUK_ROWS_LEVEL, err);
    if (rc == AUK_OK)
        rc = auk_stats_tost(&tost, &p->table, 0.05, AUK_ROWS_LEVEL, err);
    if (rc == AUK_OK)
        rc = auk_stats_smallest_difference(&least, &p->table, AUK_ROWS_LEVEL, POWER, err);
    if (rc < 0)
        return rc;
    double margin = fmax(fabs(tost.interval.lo), fabs(tost.interval.hi));
    json_object_set_new(out, "table", table_of(&p->table));
    json_object_set_new(out, "difference",
                        json_real(((double)p->table.b - (double)p->table.c) / n));
    json_object_set_new(out, "newcombe95", auk_rows_interval(&i));
    json_object_set_new(out, "p_exact", json_real(m.p_exact));
    json_object_set_new(out, "p_mid", json_real(m.p_mid));
    json_object_set_new(out, "smallest_difference", auk_rows_real(least));
    json_object_set_new(out, "equivalent_beyond", json_real(margin));
    return AUK_OK;
}

static int resampled(json_t *out, const pair *p, auk_err *err)
{
    auk_bootstrap_options opts = auk_bootstrap_defaults();
    auk_bootstrap boot;

    int rc = auk_stats_bootstrap(&boot, p->differences, p->n, &opts, err);
    if (rc < 0)
        return rc;
    json_object_set_new(out, "difference", json_real(boot.mean));
    json_object_set_new(out, "bootstrap95", auk_rows_interval(&boot.interval));
    return AUK_OK;
}

static int make_pair(json_t **out, const auk_case *a, const auk_case *b, auk_err *err)
{
    json_t *v = json_pack("{s:s, s:s}", "a", a->label, "b", b->label);
    auk_err why;
    pair p;

    int rc = match(&p, a, b, &why);
    json_object_set_new(v, "excluded", json_integer((json_int_t)p.excluded));
    if (rc == AUK_OK && p.n == 0)
        rc = auk_fail(&why, AUK_EINVAL, "no task is left to compare");
    if (rc == AUK_EINVAL) {
        json_object_set_new(v, "refused", json_string(why.msg));
        rc = AUK_OK;
    } else if (rc < 0) {
        *err = why;
    } else {
        rc = p.one_each ? paired(v, &p, err) : resampled(v, &p, err);
    }
    free(p.differences);
    *out = v;
    return rc;
}

/* ---- all pairs of the group with its first record ----------------------------------------- */

/* Several comparisons are one family: Holm adjusts their p-values. */
static int adjust(json_t *pairs, auk_err *err)
{
    size_t n = json_array_size(pairs), m = 0;
    double *p = NULL;

    int rc = auk_try_alloc(&p, n + 1, sizeof *p, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (isfinite(auk_number_at(json_array_get(pairs, i), "p_exact")))
            p[m++] = auk_number_at(json_array_get(pairs, i), "p_exact");
    if (m > 1)
        rc = auk_stats_holm(p, p, m, err);
    for (size_t i = 0, at = 0; i < n && m > 1 && rc == AUK_OK; i++)
        if (isfinite(auk_number_at(json_array_get(pairs, i), "p_exact")))
            json_object_set_new(json_array_get(pairs, i), "p_holm", json_real(p[at++]));
    free(p);
    return rc;
}

/* One plain sentence.  It never says "equal": that is for an equivalence test with a margin chosen
 * before. */
static void add_sentence(json_t *pair_facts)
{
    const char *a = auk_text_at(pair_facts, "a").p, *b = auk_text_at(pair_facts, "b").p;
    double holm = auk_number_at(pair_facts, "p_holm"), d = auk_number_at(pair_facts, "difference"),
           least = auk_number_at(pair_facts, "smallest_difference"),
           beyond = auk_number_at(pair_facts, "equivalent_beyond");
    double p = isfinite(holm) ? holm : auk_number_at(pair_facts, "p_exact");
    char text[600], found[160] = " So few tasks could not have shown any difference reliably.",
                    margin[80] = "within no margin";

    if (json_object_get(pair_facts, "refused") != NULL || !isfinite(p))
        return;
    if (beyond < 1)
        snprintf(margin, sizeof margin, "only within a margin above %.1f points", 100 * beyond);
    if (isfinite(least) && least < 1)
        snprintf(found, sizeof found,
                 " A true difference of %.1f points would have been found with 80 %% probability.",
                 100 * least);
    if (p < 1 - AUK_ROWS_LEVEL)
        snprintf(text, sizeof text,
                 "%s passes %s tasks than %s: %+.1f points (exact McNemar p = %.4g).", a,
                 d > 0 ? "more" : "fewer", b, 100 * d, p);
    else
        snprintf(
            text, sizeof text,
            "No difference between %s and %s was shown (exact McNemar p = %.4g).%s They can be "
            "called equivalent %s.",
            a, b, p, found, margin);
    json_object_set_new(pair_facts, "sentence", json_string(text));
}

static int make_pairs(json_t *out, const auk_case *cases, size_t n, int group, auk_err *err)
{
    const auk_case *first = NULL;
    int rc = AUK_OK;

    for (size_t i = 0; i < n && rc == AUK_OK; i++) {
        json_t *v = NULL;
        if (cases[i].group != group)
            continue;
        if (first != NULL) {
            rc = make_pair(&v, &cases[i], first, err);
            json_array_append_new(out, v);
        } else {
            first = &cases[i];
        }
    }
    if (rc == AUK_OK)
        rc = adjust(out, err);
    for (size_t i = 0; i < json_array_size(out) && rc == AUK_OK; i++)
        add_sentence(json_array_get(out, i));
    return rc;
}

/* ---- reruns ------------------------------------------------------------------------------- */

/* The same model, data, prompts and settings: whatever differs is noise. */
static bool is_rerun(const auk_case *a, const auk_case *b)
{
    static const char *const same[] = {"model.fingerprint", "data", "prompt_sha256",
                                       "sampling",          "seed", "settings"};

    if (auk_text_at(a->entry->head, "model.fingerprint").n == 0)
        return false;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const json_t *x = auk_record_at(a->entry->head, same[i]),
                     *y = auk_record_at(b->entry->head, same[i]);
        if (x != y && (x == NULL || y == NULL || !json_equal(x, y)))
            return false;
    }
    return true;
}

static int make_rerun(json_t **out, const auk_case *a, const auk_case *b, auk_err *err)
{
    json_t *flips = json_array();
    pair p;

    *out = NULL;
    int rc = match(&p, a, b, err);
    for (size_t i = 0; rc == AUK_OK && i < a->tasks.n; i++) {
        const auk_task *x = &a->tasks.p[i], *y = &b->tasks.p[i];
        if (!x->broken && !y->broken && x->passed * y->n != y->passed * x->n)
            json_array_append_new(flips, json_string(x->id));
    }
    free(p.differences);
    if (rc < 0) {
        json_decref(flips);
        return rc == AUK_EINVAL ? AUK_OK : rc; /* not the same tasks: no rerun */
    }
    *out = json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "a", a->label, "b", b->label, "only_a",
                     (json_int_t)p.table.b, "only_b", (json_int_t)p.table.c, "tasks",
                     (json_int_t)p.n, "flips", flips);
    return AUK_OK;
}

static int make_reruns(json_t *out, const auk_case *cases, size_t n, int group, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n && rc == AUK_OK; j++) {
            json_t *v = NULL;
            if (cases[i].group != group || cases[j].group != group ||
                !is_rerun(&cases[i], &cases[j]))
                continue;
            rc = make_rerun(&v, &cases[i], &cases[j], err);
            if (v != NULL)
                json_array_append_new(out, v);
        }
    return rc;
}

int auk_facts_eval(json_t **out, const auk_case *cases, size_t n, int group, auk_err *err)
{
    json_t *labels = json_array(), *pairs = json_array(), *reruns = json_array(),
           *tasks = json_array();
    const json_t *data = NULL;

    for (size_t i = 0; i < n; i++) {
        if (cases[i].group != group)
            continue;
        if (data == NULL)
            data = json_object_get(cases[i].entry->head, "data");
        json_array_append_new(labels, json_string(cases[i].label));
    }
    *out = json_object();
    json_object_set_new(*out, "data", data != NULL ? json_deep_copy(data) : json_null());
    json_object_set_new(*out, "records", labels);
    json_object_set_new(*out, "pairs", pairs);
    json_object_set_new(*out, "reruns", reruns);
    json_object_set_new(*out, "tasks", tasks);
    int rc = make_pairs(pairs, cases, n, group, err);
    if (rc == AUK_OK)
        rc = make_reruns(reruns, cases, n, group, err);
    if (rc == AUK_OK)
        rc = task_rows(tasks, cases, n, group, err);
    if (rc < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}
