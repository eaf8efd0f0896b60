/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"
#include "text/utf8.h"

#include "base/mem.h"

#include <utf8proc.h>

/* utf8proc orders combining marks by swapping neighbours, quadratic for a long run of them, so
 * decomposing and ordering are done here and only composing is its work. */

/* Marks (and one pair, in Dives Akuru) that are younger than the tables inside tokenizers 0.23.3,
 * measured over all code points: it leaves them where they are, so they separate like letters. */
static const struct {
    uint32_t first, last;
} young[] = {{0x07FD, 0x07FD},   {0x0898, 0x089F},   {0x08CA, 0x08D3},   {0x09FE, 0x09FE},
             {0x0C3C, 0x0C3C},   {0x0D3B, 0x0D3C},   {0x0EBA, 0x0EBA},   {0x1715, 0x1715},
             {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27},
             {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
             {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
             {0x11930, 0x11930}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
             {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
             {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
             {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
             {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}};

bool auk_nfc_is_young(uint32_t c)
{
    size_t lo = 0, hi = sizeof young / sizeof *young;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (young[mid].last < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sizeof young / sizeof *young && young[lo].first <= c;
}

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

/* End of the stretch of characters from U+0300 on that begins at i, and what follows it. */
static size_t stretch_end(auk_str s, size_t i, size_t *young_bytes)
{
    size_t len;

    *young_bytes = 0;
    for (; i < s.n && (unsigned char)s.p[i] >= 0xCC; i += len) {
        if (auk_nfc_is_young(auk_utf8_get((const unsigned char *)s.p + i, &len))) {
            *young_bytes = len;
            break;
        }
    }
    return i;
}

int auk_nfc(auk_buf *out, auk_str s, auk_err *err)
{
    decomposed d = {0};
    size_t i = 0, done = 0, young_bytes;
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
        i = stretch_end(s, i, &young_bytes);
        auk_buf_add(out, s.p + done, start - done);
        rc = normalize(out, &d, (auk_str){s.p + start, i - start}, err);
        auk_buf_add(out, s.p + i, young_bytes);
        i += young_bytes;
        done = i;
    }
    if (rc == AUK_OK && done < s.n)
        auk_buf_add(out, s.p + done, s.n - done);
    if (rc == AUK_OK)
        rc = auk_buf_check(out, "the normalized text", err);
    free(d.p);
    return rc;
}
