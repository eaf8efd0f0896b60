/* SPDX-License-Identifier: Apache-2.0 */
/* results.h - a file of result lines that survives a kill at any moment.
 *
 * A line is written by one call and counts when it ends in a newline.  Opening an existing file to
 * go on drops a torn last line and every harness_error, so that these are done again. */
#ifndef AUK_EVAL_RESULTS_H
#define AUK_EVAL_RESULTS_H

#include "base/json.h"

typedef struct auk_results {
    char *path;   /* owned; NULL: nothing is written */
    int fd;       /* -1: nothing is written */
    json_t *kept; /* owned: an object, "task_id sample" to the line's object */
    size_t dropped;
} auk_results;

/* path may be NULL.  resume: go on with an existing file, whose lines must carry `run`
 * (AUK_EINVAL); else an existing file is refused unless `force`. */
AUK_MUST_CHECK int auk_results_open(auk_results *out, const char *path, const char *run,
                                    bool resume, bool force, auk_err *err);
void auk_results_close(auk_results *r);

/* The kept line of a sample, borrowed, or NULL. */
const json_t *auk_results_find(const auk_results *r, const char *task, int sample);

/* Appends a line and keeps it; takes over the reference. */
AUK_MUST_CHECK int auk_results_add(auk_results *r, json_t *line, auk_err *err);

/* Writes the lines anew in the order of the n tasks when they are in another. */
AUK_MUST_CHECK int auk_results_sort(auk_results *r, const char *const *tasks, size_t n,
                                    auk_err *err);

#endif
