/* SPDX-License-Identifier: Apache-2.0 */
/* quantize_rule.h - what a group of mxfp4, mxfp8 or nvfp4 becomes, but for the loop over its
 * elements: shared by every level, so that the scale is the same code everywhere.  Private to
 * kernel/.  The rules in words: quantize_fp_scalar.c. */
#ifndef AUK_KERNEL_QUANTIZE_RULE_H
#define AUK_KERNEL_QUANTIZE_RULE_H

#include "kernel/exact_math.h"
#include "kernel/kernel.h"

/* E2M1 magnitudes lie between these: code = how many a value exceeds.  Halves go to the even code
 * on Metal (the float below the half lets >= be written as >), to the lower one on the CPU. */
static const float auk_e2m1_steps_metal[7] = {0.25f, 0x1.7FFFFEp-1f, 1.25f, 0x1.BFFFFEp+0f,
                                              2.5f,  0x1.BFFFFEp+1f, 5.0f};
static const float auk_e2m1_steps_cpu[7] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};

static inline int auk_fp_group(auk_mode mode)
{
    return mode == AUK_NVFP4 ? 16 : 32;
}

/* Rounds to the type the CPU rule computes in. */
static inline float auk_fp_round(float x, const auk_fp_rule *rule)
{
    if (rule->step == AUK_STEP_BF16)
        return auk_round_bf16(x);
    return rule->step == AUK_STEP_F16 ? auk_f16_to_f32(auk_f32_to_f16(x)) : x;
}

/* 2^n for n < 128; 0 below the smallest subnormal. */
static inline float auk_fp_pow2(int n)
{
    if (n >= -126)
        return auk_bits_f32((uint32_t)(n + 127) << 23);
    return n >= -149 ? auk_bits_f32(1u << (n + 149)) : 0.0f;
}

/* log2 of a positive finite float, rounded to float.  In double: x = 2^e m with m in [0.7, 1.4],
 * log2 m = 2 / ln 2 * atanh((m - 1) / (m + 1)) by its series; the error is below 2^-50, so the
 * result is the nearest float but for cases nobody met, and the same on every machine. */
static inline float auk_fp_log2(float x)
{
    static const double odd[] = {1 / 25., 1 / 23., 1 / 21., 1 / 19., 1 / 17., 1 / 15., 1 / 13.,
                                 1 / 11., 1 / 9.,  1 / 7.,  1 / 5.,  1 / 3.,  1.};
    int e = 0;

    if (x < 0x1p-126f) { /* subnormal */
        x *= 0x1p24f;
        e = -24;
    }
    uint32_t bits = auk_f32_bits(x);
    e += (int)(bits >> 23) - 127;
    double m = (double)auk_bits_f32((bits & 0x7FFFFFu) | 0x3F800000u);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    double z = (m - 1.0) / (m + 1.0), zz = z * z, sum = 0.0;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        sum = sum * zz + odd[i];
    return (float)((double)e + 2.8853900817779268 * (z * sum));
}

/* round(log2 r) with halves away from zero.  Only beside the square root of 2 can the rounding of
 * the logarithm to float decide. */
static inline int auk_fp_exponent(float r)
{
    uint32_t bits = auk_f32_bits(r);
    int above = (int)(bits & 0x7FFFFFu) - 0x3504F3;

    if (r >= 0x1p-126f && (above > 1024 || above < -1024))
        return (int)(bits >> 23) - 127 + (above > 0);
    return (int)roundf(auk_fp_log2(r));
}

/* The same for the CPU: the logarithm is rounded to the input's type first, halves go to even.  Up
 * to 2^31 and down to 2^-32 a bfloat16 logarithm is off by at most 1/16, so beyond that distance
 * from the half nothing but the side counts. */
static inline int auk_fp_exponent_cpu(float r, const auk_fp_rule *rule)
{
    uint32_t bits = auk_f32_bits(r), m = bits & 0x7FFFFFu;
    int e = (int)(bits >> 23) - 127;

    if (e >= -31 && e <= 30 && (m < 0x2D4000u || m > 0x3D2000u)) /* 2^0.4368, 2^0.5632 */
        return e + (m > 0x3504F3u);
    return (int)rintf(auk_fp_round(auk_fp_log2(r), rule));
}

static inline unsigned auk_f32_to_e4m3(float x)
{
    uint32_t u = auk_f32_bits(x), a = u & 0x7FFFFFFFu, sign = u >> 24 & 0x80u;

    if (a >= 0x43E00000u) /* 448 and above */
        return 0x7Eu | sign;
    if (a < 0x3C800000u) /* below 2^-6 the grid is 2^-9: adding 2^14 rounds onto it */
        return (auk_f32_bits(auk_bits_f32(a) + 0x1p14f) - 0x46800000u) | sign;
    return ((a - 0x3C000000u + 0x7FFFFu + (a >> 20 & 1u)) >> 20) | sign;
}

/* The scale byte of a group whose largest magnitude is amax, and the scale's value through *s. */
static inline uint8_t auk_fp_scale(float *s, float amax, const auk_fp_rule *rule)
{
    bool metal = rule->rounding == AUK_ROUND_METAL;
    float r = amax / (rule->mode == AUK_MXFP8 ? 448.0f : 6.0f);

    if (!metal)
        r = auk_fp_round(r, rule);
    if (rule->mode == AUK_NVFP4) {
        unsigned byte = auk_f32_to_e4m3(r);
        *s = auk_e4m3_to_f32(byte);
        return (uint8_t)byte;
    }
    int n;
    if (metal) {
        n = r > 0.0f ? auk_fp_exponent(r) : -127;
        n = n < -127 ? -127 : n;
    } else {
        n = r > 0.0f ? auk_fp_exponent_cpu(r, rule) : 0;
    }
    *s = auk_fp_pow2(n);
    if (!metal)
        *s = auk_fp_round(*s, rule);
    if (rule->mx_scale == AUK_MX_UP && n < 127 && *s < r) {
        n++;
        *s = metal ? auk_fp_pow2(n) : auk_fp_round(auk_fp_pow2(n), rule);
    }
    return (uint8_t)(n + 127); /* modulo 256: the CPU does not clamp tiny groups */
}

/* Which E2M1 code the CPU picks for x: the first of the 16 values at the least distance, where the
 * distances are rounded too.  Only magnitudes that saturate need this; they may all look alike. */
static inline unsigned auk_e2m1_nearest_cpu(float x, const auk_fp_rule *rule)
{
    float least = INFINITY;
    unsigned best = 0;

    for (unsigned c = 0; c < 16; c++) {
        float d = auk_fp_round(fabsf(x - auk_e2m1_to_f32(c)), rule);
        if (d < least) {
            least = d;
            best = c;
        }
    }
    return best;
}

#endif
