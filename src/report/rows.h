/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - parsed items, and what all rules need of them.  Private to report/. */
#ifndef AUK_REPORT_ROWS_H
#define AUK_REPORT_ROWS_H

#include "report/report.h"
#include "stats/stats.h"

#define AUK_ROWS_LEVEL 0.95

typedef struct auk_rows {
    json_t **p; /* owned */
    size_t n;
} auk_rows;

AUK_MUST_CHECK int auk_rows_parse(auk_rows *out, const auk_str *items, size_t n, auk_err *err);
void auk_rows_release(auk_rows *r);

/* [lo, hi]; null when there is nothing to say. */
json_t *auk_rows_interval(const auk_interval *i);
json_t *auk_rows_real(double x); /* null when not finite */

/* Adds k of n, the rate and Wilson's interval: "passed", "rate", "wilson95" with these keys. */
AUK_MUST_CHECK int auk_rows_rate(json_t *out, const char *rate_key, uint64_t k, uint64_t n,
                                 auk_err *err);

/* ---- tasks (tasks.c) ---------------------------------------------------------------------- */

/* One task of an eval record; views into the rows. */
typedef struct auk_task {
    const char *id;
    const json_t **samples; /* in the order of the items */
    size_t n, passed;
    bool broken; /* a sample ended as harness_error */
} auk_task;

typedef struct auk_tasks {
    auk_task *p; /* owned; sorted by id: the text before the last '/', then the number after it */
    size_t n;
    const json_t **samples; /* owned; all tasks' */
} auk_tasks;

/* Every row needs "task_id", a text, and "passed", a boolean. */
AUK_MUST_CHECK int auk_tasks_group(auk_tasks *out, const auk_rows *rows, auk_err *err);
void auk_tasks_release(auk_tasks *t);
int auk_task_order(const char *a, const char *b);

/* What became of a sample: its "status", else passed or failed. */
const char *auk_sample_status(const json_t *sample);
bool auk_sample_truncated(const json_t *sample);
bool auk_sample_looped(const json_t *sample);

/* ---- rules -------------------------------------------------------------------------------- */

/* Each fills `out`, which holds "rule" already. */
typedef int auk_rule_fn(json_t *out, const auk_rows *rows, auk_err *err);
auk_rule_fn auk_rule_eval, auk_rule_compare, auk_rule_quantize, auk_rule_bench, auk_rule_items;
auk_rule_fn auk_rule_inspect, auk_rule_audit, auk_rule_agent;
auk_rule_fn auk_rule_swebench;

#endif
