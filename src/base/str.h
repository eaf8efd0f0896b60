/* SPDX-License-Identifier: Apache-2.0 */
/* str.h - borrowed text: pointer and length together. */
#ifndef AUK_BASE_STR_H
#define AUK_BASE_STR_H

#include "base/error.h"

/* For a string literal or a C string of our own. */
static inline auk_str auk_str_of(const char *s)
{
    return (auk_str){s, strlen(s)};
}

static inline bool auk_str_eq(auk_str a, auk_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool auk_str_is(auk_str a, const char *s)
{
    return auk_str_eq(a, auk_str_of(s));
}

static inline bool auk_str_starts(auk_str a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

static inline bool auk_str_ends(auk_str a, const char *suffix)
{
    size_t n = strlen(suffix);
    return a.n >= n && memcmp(a.p + a.n - n, suffix, n) == 0;
}

static inline auk_str auk_str_from(auk_str a, size_t offset)
{
    return (auk_str){a.p + offset, a.n - offset};
}

/* For printf's "%.*s": AUK_FMT("tensor '%.*s'", AUK_ARG(name)). */
#define AUK_ARG(s) (int)((s).n > 200 ? 200 : (s).n), (s).p

#endif
