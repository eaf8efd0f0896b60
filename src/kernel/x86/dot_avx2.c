/* SPDX-License-Identifier: Apache-2.0 */
/* The 32 lanes of dot_scalar.c as four vectors of eight. */
#include "kernel/x86/avx2.h"

#include "kernel/x86/codes_avx2.h"

#include <math.h>

static inline float fold(__m256 acc[4])
{
    __m256 a = _mm256_add_ps(acc[0], acc[2]), b = _mm256_add_ps(acc[1], acc[3]);
    __m256 c = _mm256_add_ps(a, b);
    __m128 d = _mm_add_ps(_mm256_castps256_ps128(c), _mm256_extractf128_ps(c, 1));
    __m128 e = _mm_add_ps(d, _mm_movehl_ps(d, d));

    return _mm_cvtss_f32(_mm_add_ss(e, _mm_shuffle_ps(e, e, 1)));
}

static inline void add_32(__m256 acc[4], const __m256 w[4], const float *x)
{
    for (int j = 0; j < 4; j++)
        acc[j] = _mm256_fmadd_ps(w[j], _mm256_loadu_ps(x + 8 * j), acc[j]);
}

/* The last n < 32 elements of f32 rows, lane by lane. */
static float finish(__m256 acc[4], const float *a, const float *b, size_t n)
{
    float lane[32];

    for (int i = 0; i < 4; i++)
        _mm256_storeu_ps(lane + 8 * i, acc[i]);
    for (size_t j = 0; j < n; j++)
        lane[j] = fmaf(a[j], b[j], lane[j]);
    for (int i = 0; i < 4; i++)
        acc[i] = _mm256_loadu_ps(lane + 8 * i);
    return fold(acc);
}

float auk_dot_f32_avx2(const float *a, const float *b, size_t n)
{
    __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
    size_t i = 0;

    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 4; j++)
            acc[j] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8 * j), _mm256_loadu_ps(b + i + 8 * j),
                                     acc[j]);
    return i == n ? fold(acc) : finish(acc, a + i, b + i, n - i);
}

float auk_dot_bf16_avx2(const uint8_t *w, const float *x, size_t n)
{
    __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
    float tail[32];
    size_t i = 0;

    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 4; j++)
            acc[j] = _mm256_fmadd_ps(load_bf16_8(w + 2 * i + 16 * j),
                                     _mm256_loadu_ps(x + i + 8 * j), acc[j]);
    if (i == n)
        return fold(acc);
    auk_bf16_to_f32_avx2(tail, w + 2 * i, n - i);
    return finish(acc, tail, x + i, n - i);
}

/* One copy per number of bits and way to round, so that each loop has constants only. */
static inline float dot_affine(const uint8_t *codes, const float *scale, const float *bias,
                               const float *x, size_t n, int bits, int group, bool fused)
{
    __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};

    for (size_t i = 0; i < n; i += (size_t)group) {
        __m256 s = _mm256_set1_ps(*scale++), b = _mm256_set1_ps(*bias++);
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            __m256 w[4];
            affine_32(w, codes + k / 8 * (size_t)bits, s, b, bits, fused);
            add_32(acc, w, x + k);
        }
    }
    return fold(acc);
}

float auk_dot_affine_avx2(const uint8_t *codes, const float *scale, const float *bias,
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
        return fused ? dot_affine(codes, scale, bias, x, n, 5, group, true)
                     : dot_affine(codes, scale, bias, x, n, 5, group, false);
    case 6:
        return fused ? dot_affine(codes, scale, bias, x, n, 6, group, true)
                     : dot_affine(codes, scale, bias, x, n, 6, group, false);
    default:
        return fused ? dot_affine(codes, scale, bias, x, n, 8, group, true)
                     : dot_affine(codes, scale, bias, x, n, 8, group, false);
    }
}

/* Groups of 16 (nvfp4) end in the middle of a block of 32 lanes; others are multiples of 32. */
static inline float dot_e2m1(const uint8_t *codes, const float *scale, const float *x, size_t n,
                             int group)
{
    __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256 w[4], lo = _mm256_set1_ps(scale[i / (size_t)group]);
        __m256 hi = group == 16 ? _mm256_set1_ps(scale[i / 16 + 1]) : lo;
        e2m1_32(w, codes + i / 2, lo, hi);
        add_32(acc, w, x + i);
    }
    if (i == n)
        return fold(acc);
    float tail[32];
    auk_dequant_e2m1_avx2(tail, codes + i / 2, scale + i / (size_t)group, n - i, group);
    return finish(acc, tail, x + i, n - i);
}

float auk_dot_e2m1_avx2(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group)
{
    switch (group) { /* a division by a variable takes longer than the 32 weights */
    case 16:
        return dot_e2m1(codes, scale, x, n, 16);
    case 32:
        return dot_e2m1(codes, scale, x, n, 32);
    default:
        return dot_e2m1(codes, scale, x, n, group);
    }
}

float auk_dot_e4m3_avx2(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group)
{
    __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};

    for (size_t i = 0; i < n; i += (size_t)group) { /* mxfp8's group is 32 */
        __m256 w[4], s = _mm256_set1_ps(*scale++);
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            e4m3_32(w, codes + k, s);
            add_32(acc, w, x + k);
        }
    }
    return fold(acc);
}

/* ---- several rows and several x at once ---------------------------------------------------- */

/* The lanes are independent of each other, so one vector of eight is taken through the whole row
 * before the next: 4 rows and 3 x then need 12 registers for sums instead of 48, and each value
 * that is loaded is used three or four times.  DEPTH columns of 7 rows stay in the first-level
 * cache while the four vectors pass. */
#define TILE_T 3
#define DEPTH 128

typedef __m256 tile_lanes[TILE_T][4][4];

/* lane[..][j] over columns [from, to), a multiple of 32 of them. */
static inline __attribute__((always_inline)) void add_tile(tile_lanes lane, int j, const float *a,
                                                           const float *const *x, size_t n,
                                                           size_t from, size_t to, int n_t)
{
    __m256 acc[TILE_T][4];

    for (int t = 0; t < n_t; t++)
        for (int r = 0; r < 4; r++)
            acc[t][r] = lane[t][r][j];
    for (size_t i = from + 8 * (size_t)j; i < to; i += 32) {
        __m256 v[TILE_T];
        for (int t = 0; t < n_t; t++)
            v[t] = _mm256_loadu_ps(x[t] + i);
        for (int r = 0; r < 4; r++) {
            __m256 w = _mm256_loadu_ps(a + (size_t)r * n + i);
            for (int t = 0; t < n_t; t++)
                acc[t][r] = _mm256_fmadd_ps(w, v[t], acc[t][r]);
        }
    }
    for (int t = 0; t < n_t; t++)
        for (int r = 0; r < 4; r++)
            lane[t][r][j] = acc[t][r];
}

static inline __m256 fold_to_8(const __m256 acc[4])
{
    return _mm256_add_ps(_mm256_add_ps(acc[0], acc[2]), _mm256_add_ps(acc[1], acc[3]));
}

/* fold() of four sums at once. */
static inline __m128 fold_4(__m256 acc[4][4])
{
    __m256 a = fold_to_8(acc[0]), b = fold_to_8(acc[1]);
    __m256 c = fold_to_8(acc[2]), d = fold_to_8(acc[3]);
    /* four of a beside four of c, b beside d */
    __m256 ac =
        _mm256_add_ps(_mm256_permute2f128_ps(a, c, 0x20), _mm256_permute2f128_ps(a, c, 0x31));
    __m256 bd =
        _mm256_add_ps(_mm256_permute2f128_ps(b, d, 0x20), _mm256_permute2f128_ps(b, d, 0x31));
    /* a0 a1 b0 b1, c0 c1 d0 d1 */
    __m256 e = _mm256_add_ps(_mm256_shuffle_ps(ac, bd, 0x44), _mm256_shuffle_ps(ac, bd, 0xEE));
    __m128 lo = _mm256_castps256_ps128(e), hi = _mm256_extractf128_ps(e, 1);

    return _mm_add_ps(_mm_shuffle_ps(lo, hi, 0x88), _mm_shuffle_ps(lo, hi, 0xDD));
}

/* Four rows and n_t x. */
static inline __attribute__((always_inline)) void tile_4(float *y, size_t y_stride, const float *a,
                                                         const float *const *x, size_t n, int n_t)
{
    tile_lanes lane;
    size_t whole = n / 32 * 32;

    for (int t = 0; t < n_t; t++)
        for (int r = 0; r < 4; r++)
            for (int j = 0; j < 4; j++)
                lane[t][r][j] = _mm256_setzero_ps();
    for (size_t from = 0; from < whole; from += DEPTH) {
        size_t to = whole - from < DEPTH ? whole : from + DEPTH;
        for (int j = 0; j < 4; j++)
            add_tile(lane, j, a, x, n, from, to, n_t);
    }
    for (int t = 0; t < n_t; t++) {
        float *out = y + (size_t)t * y_stride;
        if (whole == n)
            _mm_storeu_ps(out, fold_4(lane[t]));
        else
            for (size_t r = 0; r < 4; r++)
                out[r] = finish(lane[t][r], a + r * n + whole, x[t] + whole, n - whole);
    }
}

/* Of their own, so that the loops keep their registers. */
__attribute__((noinline)) static void tile_4x3(float *y, size_t y_stride, const float *a,
                                               const float *const *x, size_t n)
{
    tile_4(y, y_stride, a, x, n, 3);
}

__attribute__((noinline)) static void tile_4x2(float *y, size_t y_stride, const float *a,
                                               const float *const *x, size_t n)
{
    tile_4(y, y_stride, a, x, n, 2);
}

void auk_dot_tile_avx2(float *y, size_t y_stride, const float *a, size_t rows,
                       const float *const *x, size_t n_x, size_t n)
{
    for (size_t t = 0, n_t; t < n_x; t += n_t) {
        float *out = y + t * y_stride;
        size_t left = n_x - t, r = 0;
        n_t = left == 4 || left == 2 ? 2 : left == 1 ? 1 : 3; /* a single one is slow */
        for (; n_t > 1 && r + 4 <= rows; r += 4)
            if (n_t == 3)
                tile_4x3(out + r, y_stride, a + r * n, x + t, n);
            else
                tile_4x2(out + r, y_stride, a + r * n, x + t, n);
        for (; r < rows; r++)
            for (size_t i = 0; i < n_t; i++)
                out[i * y_stride + r] = auk_dot_f32_avx2(a + r * n, x[t + i], n);
    }
}
