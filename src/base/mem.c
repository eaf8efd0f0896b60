/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "base/mem.h"

#include <sys/mman.h>

#include <stdatomic.h>

static long fail_at = -1; /* set once before any thread starts */
static atomic_long calls;

__attribute__((constructor)) static void read_fail_alloc(void)
{
    const char *s = getenv("AUK_FAIL_ALLOC");

    if (s != NULL)
        fail_at = strtol(s, NULL, 10);
}

void *auk_alloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);

    if (p == NULL)
        abort();
    return p;
}

void *auk_realloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);

    if (p == NULL)
        abort();
    return p;
}

char *auk_strndup(const char *p, size_t n)
{
    char *copy = auk_alloc(n + 1);

    if (n > 0)
        memcpy(copy, p, n);
    return copy;
}

bool auk_mul(uint64_t *out, uint64_t a, uint64_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

int auk_try_alloc(void *out, size_t count, size_t size, auk_err *err)
{
    uint64_t bytes = 0;
    void *p = NULL;
    bool fits = auk_mul(&bytes, count, size) && bytes <= PTRDIFF_MAX;

    if (fits && fail_at >= 0 && atomic_fetch_add(&calls, 1) == fail_at)
        fits = false;
    if (fits)
        p = calloc(1, bytes ? bytes : 1);
    memcpy(out, &p, sizeof p);
    if (p == NULL)
        return auk_fail(err, AUK_ENOMEM, "cannot allocate %zu x %zu bytes", count, size);
    return AUK_OK;
}

int auk_large_alloc(void *out, size_t bytes, auk_err *err)
{
    void *p =
        mmap(NULL, bytes > 0 ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

    if (p == MAP_FAILED) {
        memset(out, 0, sizeof(void *));
        return auk_fail(err, AUK_ENOMEM, "cannot allocate %zu bytes", bytes);
    }
#ifdef MADV_HUGEPAGE
    (void)madvise(p, bytes, MADV_HUGEPAGE);
#endif
    memcpy(out, &p, sizeof p);
    return AUK_OK;
}

void auk_large_free(void *p, size_t bytes)
{
    if (p != NULL)
        munmap(p, bytes > 0 ? bytes : 1);
}
