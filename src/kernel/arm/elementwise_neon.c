/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arm/neon.h"

#include "kernel/exact_math.h"
#include "kernel/scalar/scalar.h"

/* bfloat16 bits of 4 floats in the low halves of 4 lanes: nearest even, NaN stays one. */
static inline uint32x4_t bf16_bits_4(float32x4_t x)
{
    uint32x4_t u = vreinterpretq_u32_f32(x);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    uint32x4_t r = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7FFF)), odd);
    uint32x4_t nan = vorrq_u32(u, vdupq_n_u32(0x400000));

    return vshrq_n_u32(vbslq_u32(vceqq_f32(x, x), r, nan), 16);
}

void auk_f32_to_bf16_neon(uint8_t *dst, const float *src, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint16x4_t lo = vmovn_u32(bf16_bits_4(vld1q_f32(src + i)));
        uint16x4_t hi = vmovn_u32(bf16_bits_4(vld1q_f32(src + i + 4)));
        vst1q_u8(dst + 2 * i, vreinterpretq_u8_u16(vcombine_u16(lo, hi)));
    }
    auk_f32_to_bf16_scalar(dst + 2 * i, src + i, n - i);
}

void auk_round_bf16_neon(float *x, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        uint32x4_t b = vshlq_n_u32(bf16_bits_4(vld1q_f32(x + i)), 16);
        vst1q_f32(x + i, vreinterpretq_f32_u32(b));
    }
    auk_round_bf16_scalar(x + i, n - i);
}

void auk_axpy_f32_neon(float *y, float a, const float *x, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vfmaq_n_f32(vld1q_f32(y + i), vld1q_f32(x + i), a));
    auk_axpy_f32_scalar(y + i, a, x + i, n - i);
}

void auk_axpy_bf16_neon(float *y, float a, const uint8_t *x, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        float32x4_t v[2];
        load_bf16_8(v, x + 2 * i);
        vst1q_f32(y + i, vfmaq_n_f32(vld1q_f32(y + i), v[0], a));
        vst1q_f32(y + i + 4, vfmaq_n_f32(vld1q_f32(y + i + 4), v[1], a));
    }
    auk_axpy_bf16_scalar(y + i, a, x + 2 * i, n - i);
}

/* a < b ? a : b and its mirror; vminq would pass a NaN on. */
static inline float32x4_t less(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline float32x4_t more(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* 2^e as a float, e in [-126, 127]. */
static inline float32x4_t power_of_two(int32x4_t e)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(e, vdupq_n_s32(127)), 23));
}

/* auk_expf of exact_math.h, operation for operation. */
static inline float32x4_t exp_4(float32x4_t x)
{
    static const float factorial[] = {
        1.38888889e-3f, 8.33333333e-3f, 4.16666667e-2f, 1.66666667e-1f, 0.5f, 1.0f, 1.0f};
    float32x4_t c = more(less(x, vdupq_n_f32(89.0f)), vdupq_n_f32(-88.0f));
    float32x4_t big = vdupq_n_f32(12582912.0f), k = vmulq_f32(c, vdupq_n_f32(1.44269504f));
    k = vsubq_f32(vaddq_f32(k, big), big);
    float32x4_t r = vfmaq_f32(c, k, vdupq_n_f32(-0.693359375f));
    r = vfmaq_f32(r, k, vdupq_n_f32(2.12194440e-4f));
    float32x4_t p = vdupq_n_f32(1.98412698e-4f);
    for (size_t i = 0; i < sizeof factorial / sizeof *factorial; i++)
        p = vfmaq_f32(vdupq_n_f32(factorial[i]), p, r);
    int32x4_t e = vcvtq_s32_f32(k), half = vshrq_n_s32(e, 1);
    float32x4_t y = vmulq_f32(vmulq_f32(p, power_of_two(half)), power_of_two(vsubq_s32(e, half)));
    y = vbslq_f32(vcltq_f32(x, vdupq_n_f32(-87.3f)), vdupq_n_f32(0.0f), y);
    y = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(88.72284f)), vdupq_n_f32(INFINITY), y);
    return vbslq_f32(vceqq_f32(x, x), y, x);
}

void auk_silu_neon(float *x, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        float32x4_t v = vld1q_f32(x + i), e = exp_4(vnegq_f32(v));
        vst1q_f32(x + i, vdivq_f32(v, vaddq_f32(vdupq_n_f32(1.0f), e)));
    }
    auk_silu_scalar(x + i, n - i);
}

/* The largest of n floats, NaN left out; -inf when there is none.  The order is free: equal values
 * differ at most in the sign of zero, which neither user can tell. */
static float largest(const float *x, size_t n)
{
    float lane[4], max = -INFINITY;
    float32x4_t a = vdupq_n_f32(-INFINITY), b = a;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        a = more(vld1q_f32(x + i), a);
        b = more(vld1q_f32(x + i + 4), b);
    }
    vst1q_f32(lane, more(a, b));
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int j = 0; j < 4; j++)
        max = lane[j] > max ? lane[j] : max;
    return max;
}

void auk_softmax_neon(float *x, size_t n)
{
    float max = largest(x, n), lane[32] = {0};
    float32x4_t sum[8], most = vdupq_n_f32(max);
    size_t i = 0;

    for (int j = 0; j < 8; j++)
        sum[j] = vdupq_n_f32(0.0f);
    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 8; j++) {
            float32x4_t e = exp_4(vsubq_f32(vld1q_f32(x + i + 4 * j), most));
            vst1q_f32(x + i + 4 * j, e);
            sum[j] = vaddq_f32(sum[j], e);
        }
    for (int j = 0; j < 8; j++)
        vst1q_f32(lane + 4 * j, sum[j]);
    for (; i < n; i++) {
        x[i] = auk_expf(x[i] - max);
        lane[i % 32] += x[i];
    }
    for (size_t half = 16; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    for (i = 0; i + 4 <= n; i += 4)
        vst1q_f32(x + i, vdivq_f32(vld1q_f32(x + i), vdupq_n_f32(lane[0])));
    for (; i < n; i++)
        x[i] /= lane[0];
}

size_t auk_argmax_neon(const float *x, size_t n)
{
    float max = largest(x, n);
    size_t i = 0;

    if (!(max > -INFINITY))
        return 0;
    while (i + 4 <= n && vmaxvq_u32(vceqq_f32(vld1q_f32(x + i), vdupq_n_f32(max))) == 0)
        i += 4;
    while (x[i] != max)
        i++;
    return i;
}
