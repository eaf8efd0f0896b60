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

/* a * b through *out; true when it fits. */
AUK_MUST_CHECK bool auk_mul(uint64_t *out, uint64_t a, uint64_t b);

#endif
