/* SPDX-License-Identifier: Apache-2.0 */
#include "text/utf8.h"

/* The second byte is what tells overlong forms, surrogates and values above U+10FFFF apart. */
static bool second_ok(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return second >= 0x80 && second <= 0xBF;
    }
}

int auk_utf8_scan(const unsigned char *p, size_t n, size_t *skip)
{
    unsigned char c = p[0];
    size_t want = c < 0x80 ? 1 : c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : 4;

    *skip = 1;
    if (want == 4 && (c < 0xF0 || c > 0xF4))
        return 0;
    for (size_t i = 1; i < want; i++) {
        *skip = i;
        if (i == n)
            return -1;
        if (i == 1 ? !second_ok(c, p[1]) : (p[i] & 0xC0) != 0x80)
            return 0;
    }
    *skip = want;
    return (int)want;
}

size_t auk_utf8_valid(auk_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0, skip;

    while (i < s.n) {
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        int len = auk_utf8_scan(p + i, s.n - i, &skip);
        if (len <= 0)
            break;
        i += (size_t)len;
    }
    return i;
}

size_t auk_utf8_lossy(auk_buf *out, auk_str s, bool final)
{
    size_t i = 0, skip;

    while (i < s.n) {
        size_t good = auk_utf8_valid(auk_str_from(s, i));
        auk_buf_add(out, s.p + i, good);
        i += good;
        if (i == s.n)
            break;
        int len = auk_utf8_scan((const unsigned char *)s.p + i, s.n - i, &skip);
        if (len < 0 && !final)
            break;
        auk_buf_puts(out, "\xEF\xBF\xBD");
        i += len < 0 ? s.n - i : skip;
    }
    return i;
}

size_t auk_utf8_put(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}
