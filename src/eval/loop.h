/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - whether a text ends in one block repeated without end.
 *
 * The same rule as the engine's loop guard, in bytes, so that it holds for any server and for
 * answers that are only stored: a block of p <= 4096 bytes, at least four times at the end,
 * covering 1 KiB for p <= 64 and the larger of 2 KiB and 4 p above; four times that inside fenced
 * code, where repetition is legitimate (tables, lists of tests). */
#ifndef AUK_EVAL_LOOP_H
#define AUK_EVAL_LOOP_H

#include "base/buf.h"

/* The period of the loop `text` ends in, or 0.  Looks at its last 64 KiB. */
size_t auk_loop_period(auk_str text, bool in_code);

/* Whether `text` ends inside an open fence. */
bool auk_loop_in_code(auk_str text);

/* For a text that is still growing: auk_loop_period now and then, at most once per KiB. */
typedef struct auk_loop_watch {
    size_t next; /* the length from which it looks again */
} auk_loop_watch;

bool auk_loop_watch_step(auk_loop_watch *w, auk_str text);

#endif
