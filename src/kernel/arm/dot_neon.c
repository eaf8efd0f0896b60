/* SPDX-License-Identifier: Apache-2.0 */
/* The 32 lanes of dot_scalar.c as eight vectors of four. */
#include "kernel/arm/neon.h"

#include "kernel/scalar/scalar.h"

#include <math.h>

static inline void clear(float32x4_t acc[8])
{
    for (int j = 0; j < 8; j++)
        acc[j] = vdupq_n_f32(0.0f);
}

static inline void add_32(float32x4_t acc[8], const float32x4_t w[8], const float *x)
{
    for (int j = 0; j < 8; j++)
        acc[j] = vfmaq_f32(acc[j], w[j], vld1q_f32(x + 4 * j));
}

static inline float fold(const float32x4_t acc[8])
{
    float32x4_t a = vaddq_f32(acc[0], acc[4]), b = vaddq_f32(acc[1], acc[5]);
    float32x4_t c = vaddq_f32(acc[2], acc[6]), d = vaddq_f32(acc[3], acc[7]);
    float32x4_t e = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
    float32x2_t f = vadd_f32(vget_low_f32(e), vget_high_f32(e));

    return vget_lane_f32(f, 0) + vget_lane_f32(f, 1);
}

/* The last n < 32 elements of f32 rows, lane by lane. */
static float finish(float32x4_t acc[8], const float *a, const float *b, size_t n)
{
    float lane[32];

    for (int i = 0; i < 8; i++)
        vst1q_f32(lane + 4 * i, acc[i]);
    for (size_t j = 0; j < n; j++)
        lane[j] = fmaf(a[j], b[j], lane[j]);
    for (int i = 0; i < 8; i++)
        acc[i] = vld1q_f32(lane + 4 * i);
    return fold(acc);
}

float auk_dot_f32_neon(const float *a, const float *b, size_t n)
{
    float32x4_t acc[8];
    size_t i = 0;

    clear(acc);
    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 8; j++)
            acc[j] = vfmaq_f32(acc[j], vld1q_f32(a + i + 4 * j), vld1q_f32(b + i + 4 * j));
    return i == n ? fold(acc) : finish(acc, a + i, b + i, n - i);
}

float auk_dot_bf16_neon(const uint8_t *w, const float *x, size_t n)
{
    float32x4_t acc[8], v[8];
    float tail[32];
    size_t i = 0;

    clear(acc);
    for (; i + 32 <= n; i += 32) {
        for (int j = 0; j < 4; j++)
            load_bf16_8(v + 2 * j, w + 2 * i + 16 * j);
        add_32(acc, v, x + i);
    }
    if (i == n)
        return fold(acc);
    auk_bf16_to_f32_neon(tail, w + 2 * i, n - i);
    return finish(acc, tail, x + i, n - i);
}

/* One copy per number of bits and way to round, so that each loop has constants only. */
static inline float dot_affine(const uint8_t *codes, const float *scale, const float *bias,
                               const float *x, size_t n, int bits, int group, bool fused)
{
    unpack u = unpack_of(bits);
    float32x4_t acc[8], w[8];

    clear(acc);
    for (size_t i = 0; i < n; i += (size_t)group, scale++, bias++)
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            affine_32(w, codes + k / 8 * (size_t)bits, *scale, *bias, bits, &u, fused);
            add_32(acc, w, x + k);
        }
    return fold(acc);
}

float auk_dot_affine_neon(const uint8_t *codes, const float *scale, const float *bias,
                          const float *x, size_t n, int bits, int group)
{
    bool fused = products_are_exact(scale, n / (size_t)group);

    switch (bits) {
    case 2:
        return dot_affine(codes, scale, bias, x, n, 2, group, false);
    case 3:
        return dot_affine(codes, scale, bias, x, n, 3, group, false);
    case 4:
        return fused ? dot_affine(codes, scale, bias, x, n, 4, group, true)
                     : dot_affine(codes, scale, bias, x, n, 4, group, false);
    case 5:
        return dot_affine(codes, scale, bias, x, n, 5, group, false);
    case 6:
        return dot_affine(codes, scale, bias, x, n, 6, group, false);
    default:
        return fused ? dot_affine(codes, scale, bias, x, n, 8, group, true)
                     : dot_affine(codes, scale, bias, x, n, 8, group, false);
    }
}

/* Groups of 16 (nvfp4) end in the middle of a block of 32 lanes. */
float auk_dot_e2m1_neon(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group)
{
    float32x4_t acc[8], w[8];
    float tail[32];
    size_t i = 0;

    clear(acc);
    for (; i + 32 <= n; i += 32) {
        e2m1_32(w, codes + i / 2, scale[i / (size_t)group], scale[(i + 16) / (size_t)group]);
        add_32(acc, w, x + i);
    }
    if (i == n)
        return fold(acc);
    auk_dequant_e2m1_scalar(tail, codes + i / 2, scale + i / (size_t)group, n - i, group);
    return finish(acc, tail, x + i, n - i);
}

float auk_dot_e4m3_neon(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group)
{
    float32x4_t acc[8], w[8];

    clear(acc);
    for (size_t i = 0; i < n; i += (size_t)group, scale++) /* mxfp8's group is 32 */
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            e4m3_32(w, codes + k, *scale);
            add_32(acc, w, x + k);
        }
    return fold(acc);
}

/* ---- several rows and several x at once ---------------------------------------------------- */

/* The lanes are independent of each other, so eight of them are taken through the whole row before
 * the next eight: 4 rows and 2 x then need 16 registers for sums instead of 64, and each value
 * that is loaded is used two or four times. */
#define TILE_R 4
#define TILE_T 2

typedef float32x4_t tile_lanes[TILE_T][TILE_R][8];

/* lane[..][j] and lane[..][j + 1] over the first `whole` columns, a multiple of 32. */
static inline void add_tile(tile_lanes lane, int j, const float *a, const float *const *x, size_t n,
                            size_t whole)
{
    float32x4_t acc[TILE_T][TILE_R][2];

    for (int i = 0; i < TILE_T * TILE_R * 2; i++)
        acc[i / 8][i / 2 % 4][i % 2] = vdupq_n_f32(0.0f);
    for (size_t i = 4 * (size_t)j; i < whole; i += 32)
        for (int h = 0; h < 2; h++) {
            float32x4_t v0 = vld1q_f32(x[0] + i + 4 * h), v1 = vld1q_f32(x[1] + i + 4 * h);
            for (size_t r = 0; r < TILE_R; r++) {
                float32x4_t w = vld1q_f32(a + r * n + i + 4 * (size_t)h);
                acc[0][r][h] = vfmaq_f32(acc[0][r][h], w, v0);
                acc[1][r][h] = vfmaq_f32(acc[1][r][h], w, v1);
            }
        }
    for (int i = 0; i < TILE_T * TILE_R * 2; i++)
        lane[i / 8][i / 2 % 4][j + i % 2] = acc[i / 8][i / 2 % 4][i % 2];
}

void auk_dot_tile_neon(float *y, size_t y_stride, const float *a, size_t rows,
                       const float *const *x, size_t n_x, size_t n)
{
    size_t whole = n / 32 * 32, t = 0, r;
    tile_lanes lane;

    for (; t + TILE_T <= n_x; t += TILE_T) {
        for (r = 0; r + TILE_R <= rows; r += TILE_R) {
            for (int j = 0; j < 8; j += 2)
                add_tile(lane, j, a + r * n, x + t, n, whole);
            for (size_t i = 0; i < TILE_T * TILE_R; i++)
                y[(t + i / 4) * y_stride + r + i % 4] =
                    finish(lane[i / 4][i % 4], a + (r + i % 4) * n + whole, x[t + i / 4] + whole,
                           n - whole);
        }
        for (; r < rows; r++)
            for (size_t i = t; i < t + TILE_T; i++)
                y[i * y_stride + r] = auk_dot_f32_neon(a + r * n, x[i], n);
    }
    for (; t < n_x; t++)
        for (r = 0; r < rows; r++)
            y[t * y_stride + r] = auk_dot_f32_neon(a + r * n, x[t], n);
}
