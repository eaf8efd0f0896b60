/* SPDX-License-Identifier: Apache-2.0 */
#include "report/rows.h"

#include "base/mem.h"

/* Outcomes of their own: columns, not a partition (a truncated answer may still pass). */
static const char *const outcomes[] = {"failed",     "timeout", "memory",       "output",
                                       "no_verdict", "no_code", "harness_error"};

static void count_outcomes(json_t *out, const auk_rows *rows)
{
    json_int_t truncated = 0, looped = 0, counts[sizeof outcomes / sizeof *outcomes] = {0};

    for (size_t i = 0; i < rows->n; i++) {
        const char *status = auk_sample_status(rows->p[i]);
        for (size_t j = 0; j < sizeof outcomes / sizeof *outcomes; j++)
            counts[j] += strcmp(status, outcomes[j]) == 0;
        truncated += auk_sample_truncated(rows->p[i]);
        looped += auk_sample_looped(rows->p[i]);
    }
    json_object_set_new(out, "truncated", json_integer(truncated));
    json_object_set_new(out, "looped", json_integer(looped));
    for (size_t j = 0; j < sizeof outcomes / sizeof *outcomes; j++)
        json_object_set_new(out, outcomes[j], json_integer(counts[j]));
}

/* Several samples per task: the mean over tasks, its interval from resampled tasks, and what k
 * draws give, k being the fewest samples any task has. */
static int several(json_t *out, const auk_tasks *tasks, size_t n, uint64_t k, auk_err *err)
{
    auk_bootstrap_options opts = auk_bootstrap_defaults();
    double *rates = NULL, any = 0, all = 0, v = 0;
    auk_bootstrap boot;
    size_t at = 0;

    int rc = auk_try_alloc(&rates, n, sizeof *rates, err);
    for (size_t i = 0; i < tasks->n && rc == AUK_OK; i++) {
        const auk_task *t = &tasks->p[i];
        if (t->broken)
            continue;
        rates[at++] = (double)t->passed / (double)t->n;
        rc = auk_stats_passk(&v, t->n, t->passed, k, err);
        any += v;
        if (rc == AUK_OK)
            rc = auk_stats_passhatk(&v, t->n, t->passed, k, err);
        all += v;
    }
    if (rc == AUK_OK)
        rc = auk_stats_bootstrap(&boot, rates, n, &opts, err);
    free(rates);
    if (rc < 0)
        return rc;
    json_object_set_new(out, "pass_at_1", json_real(boot.mean));
    json_object_set_new(out, "wilson95", json_null());
    json_object_set_new(out, "bootstrap95", auk_rows_interval(&boot.interval));
    json_object_set_new(out, "k", json_integer((json_int_t)k));
    json_object_set_new(out, "pass_at_k", json_real(any / (double)n));
    json_object_set_new(out, "pass_hat_k", json_real(all / (double)n));
    return AUK_OK;
}

/* A task whose harness broke says nothing about the model: it is counted and left out. */
int auk_rule_eval(json_t *out, const auk_rows *rows, auk_err *err)
{
    uint64_t n = 0, samples = 0, passed = 0, fewest = UINT64_MAX, most = 0;
    auk_tasks tasks;

    int rc = auk_tasks_group(&tasks, rows, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < tasks.n; i++) {
        const auk_task *t = &tasks.p[i];
        if (t->broken)
            continue;
        n++;
        samples += t->n;
        passed += t->passed;
        fewest = t->n < fewest ? t->n : fewest;
        most = t->n > most ? t->n : most;
    }
    json_object_set_new(out, "tasks", json_integer((json_int_t)tasks.n));
    json_object_set_new(out, "samples", json_integer((json_int_t)rows->n));
    json_object_set_new(out, "n", json_integer((json_int_t)samples));
    rc = auk_rows_rate(out, "pass_at_1", passed, samples, err);
    if (rc == AUK_OK && most > 1)
        rc = several(out, &tasks, (size_t)n, fewest, err);
    count_outcomes(out, rows);
    auk_tasks_release(&tasks);
    return rc;
}
