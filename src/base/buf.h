/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - text or bytes that grow, up to the maximum they were made with.
 *
 * After a failed append the buffer holds what it held before and `failed` is set: a writer may
 * append many times and check once, with auk_buf_check.  Data is NUL-terminated for convenience;
 * the NUL is not counted.  Owns its memory; auk_buf_release frees it. */
#ifndef AUK_BASE_BUF_H
#define AUK_BASE_BUF_H

#include "base/str.h"

typedef struct auk_buf {
    char *p; /* owned; NULL while empty */
    size_t n, cap, max;
    bool failed;
} auk_buf;

#define AUK_BUF_INIT(max_bytes) ((auk_buf){.max = (max_bytes)})

void auk_buf_add(auk_buf *b, const void *p, size_t n);
void auk_buf_puts(auk_buf *b, const char *s);
void auk_buf_putc(auk_buf *b, char c);
void auk_buf_printf(auk_buf *b, const char *fmt, ...) AUK_PRINTF(2, 3);
void auk_buf_clear(auk_buf *b);
void auk_buf_release(auk_buf *b);

static inline auk_str auk_buf_str(const auk_buf *b)
{
    return (auk_str){b->p ? b->p : "", b->n};
}

/* AUK_ELIMIT when an append did not fit since the last clear. */
AUK_MUST_CHECK int auk_buf_check(const auk_buf *b, const char *what, auk_err *err);

#endif
