/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h - a quick hash of a few bytes, for tables in memory only. */
#ifndef AUK_TEXT_HASH_H
#define AUK_TEXT_HASH_H

#include "base/str.h"

static inline uint64_t auk_hash(const char *p, size_t n)
{
    uint64_t h = n * 0x9E3779B97F4A7C15u, word;

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0xBF58476D1CE4E5B9u;
        h ^= h >> 29;
    }
    if (n > 0) {
        word = 0;
        memcpy(&word, p, n);
        h = (h ^ word) * 0xBF58476D1CE4E5B9u;
        h ^= h >> 29;
    }
    return h ^ h >> 32;
}

#endif
