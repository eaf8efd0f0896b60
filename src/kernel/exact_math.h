/* SPDX-License-Identifier: Apache-2.0 */
/* exact_math.h - functions libm may round differently from machine to machine, pinned down to the
 * operation.  Included by every level's source, so that each compiles them for its own lanes. */
#ifndef AUK_KERNEL_EXACT_MATH_H
#define AUK_KERNEL_EXACT_MATH_H

#include "base/half.h"

#include <math.h>

/* exp(x), within 1 ulp (0.88 measured); 0 below -87.3, +inf above 88.7, NaN for NaN.  x = k ln 2 +
 * r with |r| <= ln 2 / 2 (Cody and Waite, two-part ln 2), exp(r) by its Taylor polynomial to
 * degree 7. */
static inline float auk_expf(float x)
{
    float c = x < 89.0f ? x : 89.0f; /* NaN becomes a number until the last line */
    c = c > -88.0f ? c : -88.0f;
    float k = c * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    k = k - 12582912.0f;
    float r = fmaf(k, -0.693359375f, c);
    r = fmaf(k, 2.12194440e-4f, r);
    float p = 1.98412698e-4f;
    p = fmaf(p, r, 1.38888889e-3f);
    p = fmaf(p, r, 8.33333333e-3f);
    p = fmaf(p, r, 4.16666667e-2f);
    p = fmaf(p, r, 1.66666667e-1f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    /* 2^k in two steps, so that neither factor leaves the normal range */
    int32_t e = (int32_t)k, half = e >> 1;
    float y = p * auk_bits_f32((uint32_t)(half + 127) << 23) *
              auk_bits_f32((uint32_t)(e - half + 127) << 23);
    y = x < -87.3f ? 0.0f : y;
    y = x > 88.72284f ? INFINITY : y;
    return x != x ? x : y;
}

static inline float auk_sigmoid(float x)
{
    return 1.0f / (1.0f + auk_expf(-x));
}

static inline float auk_silu(float x)
{
    return x / (1.0f + auk_expf(-x));
}

/* E2M1 and E4M3 as floats, exact. */
static inline float auk_e2m1_to_f32(unsigned code)
{
    uint32_t mag = (code & 7u) == 1 ? 0x3F000000u : (code & 7u) << 22;
    uint32_t bits = (code & 7u) < 2 ? mag : mag + (126u << 23);
    return auk_bits_f32(bits | (uint32_t)(code & 8u) << 28);
}

static inline float auk_e4m3_to_f32(unsigned code)
{
    float v = auk_f16_to_f32((uint16_t)((code & 127u) << 7)) * 256.0f;
    return code & 128u ? -v : v;
}

/* E8M0: 2^(b - 127); 0 is 2^-127 and 255 is not finite. */
static inline float auk_e8m0_to_f32(unsigned b)
{
    return b == 0 ? auk_bits_f32(0x00400000u) : auk_bits_f32((uint32_t)b << 23);
}

#endif
