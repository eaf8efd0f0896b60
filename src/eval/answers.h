/* SPDX-License-Identifier: Apache-2.0 */
/* answers.h - files of answers and of completions, one a line. */
#ifndef AUK_EVAL_ANSWERS_H
#define AUK_EVAL_ANSWERS_H

#include "eval/eval.h"

typedef struct auk_answer {
    const auk_task *task; /* borrowed from the data set */
    int sample;           /* counted in the file's order, or as the line says */
    auk_str text, finish; /* borrowed from the list */
} auk_answer;

typedef struct auk_answers {
    auk_answer *p; /* owned; in the order of the tasks, samples ascending */
    size_t n;
    json_t *lines; /* owned: the texts */
    char sha256[65];
} auk_answers;

/* `key` is "answer" or "completion".  Lines of tasks beyond `limit` are left out.
 * AUK_EFORMAT names the line: not JSON, no such task, no text, one sample twice. */
AUK_MUST_CHECK int auk_answers_read(auk_answers *out, const auk_dataset *d, size_t limit,
                                    const char *path, const char *key, auk_err *err);
void auk_answers_release(auk_answers *a);

#endif
