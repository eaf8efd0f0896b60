/* SPDX-License-Identifier: Apache-2.0 */
/* stuck.h - whether an agent goes in circles, from what it ran and what came back; its thoughts
 * and its wording do not matter. */
#ifndef AUK_SWEBENCH_STUCK_H
#define AUK_SWEBENCH_STUCK_H

#include "base/str.h"

#define AUK_STUCK_LOOK 6 /* steps back */

typedef struct auk_stuck {
    uint64_t action[AUK_STUCK_LOOK], both[AUK_STUCK_LOOK]; /* the last one first */
    bool failed[AUK_STUCK_LOOK];
    size_t n;
} auk_stuck;

/* Adds a step; NULL, or which rule says that it is stuck: "repeats" (4 times the same command with
 * the same result), "errors" (3 times the same command, each failed), "alternates" (A B A B A B).
 * Runs of white space in a command count as one blank. */
const char *auk_stuck_add(auk_stuck *s, auk_str command, int exit_code, auk_str output);

#endif
