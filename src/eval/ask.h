/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h - what a model is asked, and who it is. */
#ifndef AUK_EVAL_ASK_H
#define AUK_EVAL_ASK_H

#include "eval/run.h"
#include "eval/transcript.h"

#include <pthread.h>

/* Appends the text of a task's question: zero-shot, one user message. */
void auk_question_add(auk_buf *out, const auk_dataset *d, size_t task);

/* The same as a list of messages in OpenAI's form. */
AUK_MUST_CHECK int auk_question_messages(json_t **out, const auk_dataset *d, size_t task,
                                         auk_err *err);

/* The sha256 of the first n questions, each preceded by its task's id and a line's end. */
AUK_MUST_CHECK int auk_question_hash(char out[65], const auk_dataset *d, size_t n, auk_err *err);

#endif
