/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"
#include "text/utf8.h"

#include "base/mem.h"

#include <utf8proc.h>

/* utf8proc orders combining marks by swapping neighbours, quadratic for a long run of them, so
 * decomposing and ordering are done here and only composing is its work. */

typedef struct decomposed {
    utf8proc_int32_t *p; /* owned */
    size_t n, cap;
} decomposed;

bool auk_nfc_is_plain(auk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0xCC) /* U+0300 is CC 80 */
            return false;
    return true;
}

static int decompose(decomposed *d, uint32_t c, auk_err *err)
{
    if (d->cap - d->n < 8) {
        size_t cap = d->cap < 64 ? 128 : 2 * d->cap;
        utf8proc_int32_t *p = NULL;
        int rc = auk_try_alloc(&p, cap, sizeof *p, err);
        if (rc < 0)
            return rc;
        if (d->n > 0)
            memcpy(p, d->p, d->n * sizeof *p);
        free(d->p);
        d->p = p;
        d->cap = cap;
    }
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, d->p + d->n, 8,
                                                 UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > 8)
        return auk_fail(err, AUK_EFORMAT, "U+%04X cannot be normalized", c);
    d->n += (size_t)n;
    return AUK_OK;
}

static int class_of(utf8proc_int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

/* Puts the marks of [lo, hi) in the order of their classes, equal classes as they were. */
static int order_marks(utf8proc_int32_t *p, size_t n, auk_err *err)
{
    size_t count[257] = {0};
    utf8proc_int32_t *sorted;

    bool ordered = true;
    for (size_t i = 1; i < n && ordered; i++)
        ordered = class_of(p[i - 1]) <= class_of(p[i]);
    if (ordered)
        return AUK_OK;
    int rc = auk_try_alloc(&sorted, n, sizeof *sorted, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        count[class_of(p[i]) + 1]++;
    for (int k = 1; k < 257; k++)
        count[k] += count[k - 1];
    for (size_t i = 0; i < n; i++)
        sorted[count[class_of(p[i])]++] = p[i];
    memcpy(p, sorted, n * sizeof *p);
    free(sorted);
    return AUK_OK;
}

static int order(decomposed *d, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < d->n && rc == AUK_OK;) {
        size_t start = i;
        while (i < d->n && class_of(d->p[i]) > 0)
            i++;
        if (i - start > 1)
            rc = order_marks(d->p + start, i - start, err);
        if (i == start)
            i++;
    }
    return rc;
}

/* One stretch of text: d is scratch. */
static int normalize(auk_buf *out, decomposed *d, auk_str s, auk_err *err)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t len;
    int rc = AUK_OK;

    d->n = 0;
    for (size_t i = 0; i < s.n && rc == AUK_OK; i += len)
        rc = decompose(d, auk_utf8_get(p + i, &len), err);
    if (rc == AUK_OK)
        rc = order(d, err);
    if (rc < 0)
        return rc;
    utf8proc_ssize_t n =
        utf8proc_normalize_utf32(d->p, (utf8proc_ssize_t)d->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        char bytes[4];
        auk_buf_add(out, bytes, auk_utf8_put(bytes, (uint32_t)d->p[i]));
    }
    return AUK_OK;
}

int auk_nfc(auk_buf *out, auk_str s, auk_err *err)
{
    decomposed d = {0};
    size_t i = 0, done = 0;
    int rc = AUK_OK;

    /* characters below U+0300 stay, except one right before a character above: nothing below
     * combines with what stands before it */
    while (i < s.n && rc == AUK_OK) {
        if ((unsigned char)s.p[i] < 0xCC) {
            i++;
            continue;
        }
        size_t start = i;
        if (start > done)
            do
                start--;
            while (start > done && ((unsigned char)s.p[start] & 0xC0) == 0x80);
        while (i < s.n && (unsigned char)s.p[i] >= 0xCC) {
            size_t len;
            auk_utf8_get((const unsigned char *)s.p + i, &len);
            i += len;
        }
        auk_buf_add(out, s.p + done, start - done);
        rc = normalize(out, &d, (auk_str){s.p + start, i - start}, err);
        done = i;
    }
    if (rc == AUK_OK && done < s.n)
        auk_buf_add(out, s.p + done, s.n - done);
    if (rc == AUK_OK)
        rc = auk_buf_check(out, "the normalized text", err);
    free(d.p);
    return rc;
}
