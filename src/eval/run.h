/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - an evaluation on its way: shared by run.c and by ask.c, which asks a model. */
#ifndef AUK_EVAL_RUN_H
#define AUK_EVAL_RUN_H

#include "eval/answers.h"
#include "eval/results.h"

/* One answer on its way to a verdict. */
typedef struct item {
    const auk_task *task; /* borrowed from the data set */
    int sample;
    auk_str text;           /* all that was written; borrowed */
    const char *section_by; /* who found `section`: "token_ids", "reply"; NULL: look for markers */
    auk_str section;        /* borrowed */
    auk_str finish;         /* borrowed */
    int64_t tokens;         /* -1: unknown */
    const char *seed;       /* of sampling, or NULL */
    const char *failure;    /* there is no answer, for this reason; or NULL */
    bool looped;            /* it was stopped in a loop, or ends in one */
    json_t *trace;          /* owned, between program and done */
    char sha256[65];        /* of the program without tests; "" when there is none */
} item;

typedef struct eval {
    const auk_eval_options *opts; /* borrowed */
    auk_eval_result *out;         /* borrowed */
    auk_dataset data;             /* owned, as all below */
    auk_answers answers;
    auk_python *py;
    auk_sandbox *sb;
    auk_pychecker *checker;
    auk_syntax syntax; /* borrowed from checker */
    auk_results results;
    int *limit_ms; /* per task, from the reference run */
    size_t n_tasks;
    int workers;
    item *items;                 /* borrowed while auk_eval_score runs */
    size_t done, good, total;    /* of this call */
    size_t kept_done, kept_good; /* of the file that was taken up */
} eval;

/* Runs n items and writes their lines. */
AUK_MUST_CHECK int auk_eval_score(eval *e, item *items, size_t n, auk_err *err);

/* "humaneval, 0.893 passed": the rate so far, of what was kept and what is new. */
void auk_eval_rate(char *out, size_t n, const eval *e);

/* Asks the model for what is not in the results yet, scoring each answer at once. */
AUK_MUST_CHECK int auk_eval_model(eval *e, auk_err *err);

/* Appends what decides a model's answers: the folder's files or the URL, prompts and sampling. */
AUK_MUST_CHECK int auk_eval_model_name(auk_buf *out, const eval *e, auk_err *err);

#endif
