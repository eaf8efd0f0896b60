/* SPDX-License-Identifier: Apache-2.0 */
/* The definition of a dot product here, whatever the instruction set: 32 lanes, one fma each in
 * index order, then a fixed fold.  AVX2 holds the lanes as 4 x 8, AVX-512 as 2 x 16, NEON as
 * 8 x 4; all give these bits. */
#include "kernel/scalar/scalar.h"

#include <math.h>

#define LANES 32

static void add_lanes(float lane[LANES], const float *a, const float *b, size_t n)
{
    for (size_t j = 0; j < n; j++)
        lane[j] = fmaf(a[j], b[j], lane[j]);
}

static float fold(float lane[LANES])
{
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

static size_t block(size_t n, size_t i)
{
    return n - i < LANES ? n - i : LANES;
}

float auk_dot_f32_scalar(const float *a, const float *b, size_t n)
{
    float lane[LANES] = {0};

    for (size_t i = 0; i < n; i += LANES)
        add_lanes(lane, a + i, b + i, block(n, i));
    return fold(lane);
}

float auk_dot_bf16_scalar(const uint8_t *w, const float *x, size_t n)
{
    float lane[LANES] = {0}, a[LANES];

    for (size_t i = 0; i < n; i += LANES) {
        auk_bf16_to_f32_scalar(a, w + 2 * i, block(n, i));
        add_lanes(lane, a, x + i, block(n, i));
    }
    return fold(lane);
}

float auk_dot_affine_scalar(const uint8_t *codes, const float *scale, const float *bias,
                            const float *x, size_t n, int bits, int group)
{
    float lane[LANES] = {0}, a[LANES];

    for (size_t i = 0; i < n; i += LANES) {
        size_t g = i / (size_t)group;
        auk_dequant_affine_scalar(a, codes + i / 8 * (size_t)bits, scale + g, bias + g, block(n, i),
                                  bits, group);
        add_lanes(lane, a, x + i, block(n, i));
    }
    return fold(lane);
}

float auk_dot_e2m1_scalar(const uint8_t *codes, const float *scale, const float *x, size_t n,
                          int group)
{
    float lane[LANES] = {0}, a[LANES];

    for (size_t i = 0; i < n; i += LANES) {
        auk_dequant_e2m1_scalar(a, codes + i / 2, scale + i / (size_t)group, block(n, i), group);
        add_lanes(lane, a, x + i, block(n, i));
    }
    return fold(lane);
}

float auk_dot_e4m3_scalar(const uint8_t *codes, const float *scale, const float *x, size_t n,
                          int group)
{
    float lane[LANES] = {0}, a[LANES];

    for (size_t i = 0; i < n; i += LANES) {
        auk_dequant_e4m3_scalar(a, codes + i, scale + i / (size_t)group, block(n, i), group);
        add_lanes(lane, a, x + i, block(n, i));
    }
    return fold(lane);
}

void auk_dot_tile_scalar(float *y, size_t y_stride, const float *a, size_t rows,
                         const float *const *x, size_t n_x, size_t n)
{
    for (size_t t = 0; t < n_x; t++)
        for (size_t r = 0; r < rows; r++)
            y[t * y_stride + r] = auk_dot_f32_scalar(a + r * n, x[t], n);
}
