/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h - splitmix64 (Steele, Lea, Flood 2014): small, seedable, the same on every machine. */
#ifndef AUK_BASE_RNG_H
#define AUK_BASE_RNG_H

#include <stdint.h>

typedef struct auk_rng {
    uint64_t state;
} auk_rng;

static inline auk_rng auk_rng_make(uint64_t seed)
{
    return (auk_rng){seed};
}

static inline uint64_t auk_rng_next(auk_rng *r)
{
    uint64_t z = (r->state += 0x9E3779B97F4A7C15u);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1) with 53 bits. */
static inline double auk_rng_unit(auk_rng *r)
{
    return (double)(auk_rng_next(r) >> 11) * 0x1p-53;
}

/* Uniform in [0, n), n > 0, without modulo bias. */
static inline uint64_t auk_rng_below(auk_rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;

    do
        x = auk_rng_next(r);
    while (x >= limit);
    return x % n;
}

#endif
