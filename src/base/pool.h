/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - one pool of threads, made once and passed explicitly.
 *
 * Results must not depend on how many threads there are: the ranges follow from n and grain
 * alone, an output element belongs to one range, and a reduction keeps one partial per range
 * (partial[lo / grain]) and adds them in index order.  A call from inside a range runs inline.
 * One caller at a time. */
#ifndef AUK_BASE_POOL_H
#define AUK_BASE_POOL_H

#include "base/error.h"

typedef struct auk_pool auk_pool;

/* threads counts the caller; 0 means one per processor (AUK_THREADS, when set, decides). */
auk_pool *auk_pool_new(int threads);
void auk_pool_free(auk_pool *pool);
int auk_pool_threads(const auk_pool *pool);

/* The running thread's number in its pool, 0 for the caller: which scratch memory is its own. */
int auk_pool_self(void);

/* Calls fn(ctx, lo, hi) for [0, n) in ranges of grain items (the last may be shorter) and returns
 * when all are done.  pool may be NULL: everything runs on the caller. */
typedef void auk_range_fn(void *ctx, size_t lo, size_t hi);
void auk_pool_run(auk_pool *pool, size_t n, size_t grain, auk_range_fn *fn, void *ctx);

#endif
