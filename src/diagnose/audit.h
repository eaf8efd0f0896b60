/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h - what the parts of the audit share.  Private to diagnose/. */
#ifndef AUK_DIAGNOSE_AUDIT_H
#define AUK_DIAGNOSE_AUDIT_H

#include "diagnose/diagnose.h"
#include "stats/stats.h"

#define AUK_AUDIT_SHEETS 3 /* texts, so that one does not decide */

/* ---- the log (audit_log.c) ---------------------------------------------------------------- */

/* A header line, then a line per finished sample, each on the disk before the next is asked.  A
 * last line without its end is what a kill left: it is cut off. */
typedef struct auk_audit_log {
    int fd; /* -1: no log */
    const char *path;
    json_t *header; /* owned; of a log that is gone on with, else NULL */
    json_t *done;   /* owned; key -> sample of an earlier run */
} auk_audit_log;

/* With `resume` an existing file is read; without it an existing file is refused. */
AUK_MUST_CHECK int auk_audit_log_open(auk_audit_log *out, const char *path, bool resume,
                                      auk_err *err);
void auk_audit_log_close(auk_audit_log *log);
AUK_MUST_CHECK int auk_audit_log_add(auk_audit_log *log, const json_t *line, auk_err *err);

/* The earlier sample (borrowed), or NULL. */
const json_t *auk_audit_log_find(const auk_audit_log *log, const char *kind, int64_t rung,
                                 int sheet, int question);

/* ---- the plan (audit_plan.c) -------------------------------------------------------------- */

typedef struct auk_audit_pace {
    double prefill_ns; /* of a token that is not cached */
    double suffix_ns;  /* to the first token where the sheet is cached */
    double answer_ns;  /* from the first token to the end */
    bool shares;       /* the server keeps what prompts have in common */
} auk_audit_pace;

typedef struct auk_audit_plan {
    int64_t rungs[AUK_AUDIT_MAX_RUNGS]; /* growing; the first is the base */
    size_t n;
    int64_t skipped[AUK_AUDIT_MAX_RUNGS]; /* too deep for the window or too long for the budget */
    size_t n_skipped;
    double seconds; /* estimate, the bisection not included */
} auk_audit_plan;

/* Nanoseconds one rung takes on one curve. */
double auk_audit_rung_ns(const auk_audit_pace *pace, int64_t depth, int samples);

/* Rungs up to `deepest` (or the preset's), as far as they fit `limit` tokens (negative: not
 * known) and the budget; the base and one rung always stay. */
void auk_audit_plan_make(auk_audit_plan *out, const auk_audit_options *opts, int64_t deepest,
                         int64_t limit, const auk_audit_pace *pace);

/* ---- a run of it -------------------------------------------------------------------------- */

typedef struct auk_audit_cell {
    auk_audit_kinds kind;
    int64_t rung; /* tokens aimed at */
    bool added;
    unsigned char *state; /* owned; per sample */
    double depth_sum;
    size_t depth_n;
} auk_audit_cell;

typedef struct auk_audit_run {
    auk_client *c;
    const auk_audit_options *o;
    auk_audit_result *out;
    auk_audit_log log;
    auk_sizer sizer;
    auk_audit_pace pace;
    auk_audit_plan plan;
    auk_audit_cell *cells; /* owned */
    size_t n_cells;
    int per_sheet;
    uint64_t began_ns;
    int errors_in_a_row;
    bool stop; /* no more samples: `why` says the reason */
} auk_audit_run;

void auk_audit_note(const auk_audit_run *a, const char *fmt, ...) AUK_PRINTF(2, 3);

/* One answer.  A failure of the server is in the reply, and `why`; only a stop is a failure. */
AUK_MUST_CHECK int auk_audit_ask(auk_audit_run *a, auk_reply *r, char why[320], const auk_sheet *s,
                                 int q, auk_err *err);

/* The number of sentences with which the prompt comes nearest to `target` tokens from below. */
AUK_MUST_CHECK int auk_audit_fit(uint64_t *sentences, const auk_audit_run *a, auk_sheet s,
                                 int64_t target, auk_err *err);
void auk_audit_learn(auk_audit_run *a, const auk_sheet *s, int q, const auk_reply *r);
const char *auk_audit_kind_name(auk_audit_kinds k);
size_t auk_audit_curves(const auk_audit_run *a);
json_t *auk_audit_known(int64_t v); /* null below 0 */
json_t *auk_audit_depths(const int64_t *d, size_t n);

/* ---- before it begins (audit_start.c) ----------------------------------------------------- */

/* Opens sizer and log, asks for the window, measures the pace, makes the plan or takes the log's.
 */
AUK_MUST_CHECK int auk_audit_prepare(auk_audit_run *a, auk_err *err);
json_t *auk_audit_plan_item(const auk_audit_run *a);
void auk_audit_say_plan(const auk_audit_run *a);

#endif
