/* SPDX-License-Identifier: Apache-2.0 */
/* half.h - bfloat16 and float16 as bit patterns.  Exact; rounding is to nearest, ties to even. */
#ifndef AUK_BASE_HALF_H
#define AUK_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t auk_f32_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float auk_bits_f32(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float auk_bf16_to_f32(uint16_t h)
{
    return auk_bits_f32((uint32_t)h << 16);
}

static inline uint16_t auk_f32_to_bf16(float x)
{
    uint32_t u = auk_f32_bits(x);

    if ((u & 0x7FFFFFFFu) > 0x7F800000u) /* NaN stays one */
        return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
}

static inline float auk_round_bf16(float x)
{
    return auk_bf16_to_f32(auk_f32_to_bf16(x));
}

static inline float auk_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = (h >> 10) & 31u, man = h & 0x3FFu;

    if (exp == 31)
        return auk_bits_f32(sign | 0x7F800000u | (man << 13));
    if (exp == 0) { /* subnormal: man * 2^-24, exact */
        float v = (float)man * 5.9604644775390625e-8f;
        return auk_bits_f32(auk_f32_bits(v) | sign);
    }
    return auk_bits_f32(sign | ((exp + 112u) << 23) | (man << 13));
}

static inline uint16_t auk_f32_to_f16(float x)
{
    uint32_t u = auk_f32_bits(x), sign = (u >> 16) & 0x8000u, a = u & 0x7FFFFFFFu;

    if (a > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (a >= 0x477FF000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7C00u);
    if (a < 0x38800000u) { /* below 2^-14: the grid is 2^-24; adding 0.5 rounds onto it */
        float v = auk_bits_f32(a) + 0.5f;
        return (uint16_t)(sign | (auk_f32_bits(v) - 0x3F000000u));
    }
    a += 0xFFFu + ((a >> 13) & 1u);
    return (uint16_t)(sign | ((a - 0x38000000u) >> 13));
}

static inline uint16_t auk_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t auk_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t auk_le64(const uint8_t *p)
{
    return auk_le32(p) | (uint64_t)auk_le32(p + 4) << 32;
}

#endif
