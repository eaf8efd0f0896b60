/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>

static bool grow(auk_buf *b, size_t more)
{
    if (b->failed || more > b->max - b->n) {
        b->failed = true;
        return false;
    }
    size_t need = b->n + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap < 128 ? 256 : b->cap * 2;
    if (cap < need)
        cap = need;
    char *p = realloc(b->p, cap);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void auk_buf_add(auk_buf *b, const void *p, size_t n)
{
    if (!grow(b, n))
        return;
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void auk_buf_puts(auk_buf *b, const char *s)
{
    auk_buf_add(b, s, strlen(s));
}

void auk_buf_putc(auk_buf *b, char c)
{
    auk_buf_add(b, &c, 1);
}

void auk_buf_printf(auk_buf *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !grow(b, (size_t)n))
        return;
    va_start(args, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, args);
    va_end(args);
    b->n += (size_t)n;
}

void auk_buf_clear(auk_buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p != NULL)
        b->p[0] = 0;
}

void auk_buf_release(auk_buf *b)
{
    free(b->p);
    *b = (auk_buf){.max = b->max};
}

int auk_buf_check(const auk_buf *b, const char *what, auk_err *err)
{
    if (b->failed)
        return auk_fail(err, AUK_ELIMIT, "%s is larger than %zu bytes", what, b->max);
    return AUK_OK;
}
