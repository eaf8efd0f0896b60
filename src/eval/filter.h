/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - the system calls a program in a box may make (Linux). */
#ifndef AUK_EVAL_FILTER_H
#define AUK_EVAL_FILTER_H

#include "base/error.h"

typedef struct auk_filter {
    void *p; /* owned: n instructions of struct sock_filter */
    size_t n;
} auk_filter;

/* What is not on the list answers EPERM.  signals: kill and its like are on it, for a program
 * that has a process namespace of its own.  forks: other processes may be made, until
 * auk_filter_make_last is applied as well. */
AUK_MUST_CHECK int auk_filter_make(auk_filter *out, bool signals, bool forks, auk_err *err);
/* For commands of a workshop: programs that start programs, in a process namespace of their own. */
AUK_MUST_CHECK int auk_filter_make_commands(auk_filter *out, auk_err *err);
AUK_MUST_CHECK int auk_filter_make_last(auk_filter *out, auk_err *err);
void auk_filter_release(auk_filter *f);

/* One system call, for the child of a fork; -1 and errno on failure. */
int auk_filter_apply(const auk_filter *f);

#endif
