/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - reading UTF-8, checked once at the door and trusted afterwards. */
#ifndef AUK_TEXT_UTF8_H
#define AUK_TEXT_UTF8_H

#include "base/buf.h"

/* Length of the well-formed sequence at p (1 to 4).  0: broken, and *skip is the length of its
 * maximal well-formed beginning, at least 1.  -1: cut off, p[0..n) may become one. */
int auk_utf8_scan(const unsigned char *p, size_t n, size_t *skip);

/* Offset of the first byte that is not part of well-formed UTF-8, or n. */
size_t auk_utf8_valid(auk_str s);

/* Appends s, every maximal broken sequence as U+FFFD.  final false: what is cut off at the end is
 * not appended.  Returns how many bytes of s were dealt with. */
size_t auk_utf8_lossy(auk_buf *out, auk_str s, bool final);

/* Writes the code point c and returns its length. */
size_t auk_utf8_put(char out[4], uint32_t c);

/* The code point at p, which must begin a well-formed sequence; *len is its length. */
static inline uint32_t auk_utf8_get(const unsigned char *p, size_t *len)
{
    uint32_t c = p[0];

    if (c < 0x80) {
        *len = 1;
        return c;
    }
    if (c < 0xE0) {
        *len = 2;
        return (c & 31u) << 6 | (p[1] & 63u);
    }
    if (c < 0xF0) {
        *len = 3;
        return (c & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
    }
    *len = 4;
    return (c & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
}

#endif
