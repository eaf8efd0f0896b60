/* SPDX-License-Identifier: Apache-2.0 */
/* Products with panels, two vectors of eight rows per line, weights and x as floats. */
#include "kernel/x86/avx2.h"

#include "kernel/panel.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define BLOCK_X 6 /* 2 x 6 sums, 2 weights and an x: 15 of 16 registers */

INLINE __m256 floats_of(__m256i v, int shift, int mask)
{
    return _mm256_cvtepi32_ps(
        _mm256_and_si256(_mm256_srli_epi32(v, shift), _mm256_set1_epi32(mask)));
}

/* Magnitude by lookup, the sign from the fourth bit. */
INLINE __m256 floats_of_e2m1(__m256i v, int shift)
{
    const __m256 magnitude = _mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f);
    __m256 m = _mm256_permutevar8x32_ps(magnitude, _mm256_srli_epi32(v, shift));
    __m256i sign =
        _mm256_and_si256(_mm256_slli_epi32(v, 28 - shift), _mm256_set1_epi32((int)0x80000000u));

    return _mm256_xor_ps(m, _mm256_castsi256_ps(sign));
}

/* The low seven bits as a float's exponent and mantissa are 2^120 too small. */
INLINE __m256 floats_of_e4m3(__m256i v, int shift)
{
    __m256i c = _mm256_srli_epi32(v, shift);
    __m256i mag = _mm256_slli_epi32(_mm256_and_si256(c, _mm256_set1_epi32(0x7F)), 20);
    __m256i sign = _mm256_slli_epi32(_mm256_and_si256(c, _mm256_set1_epi32(0x80)), 24);
    __m256 m = _mm256_mul_ps(_mm256_castsi256_ps(mag), _mm256_set1_ps(0x1p120f));

    return _mm256_or_ps(m, _mm256_castsi256_ps(sign));
}

/* Column `half` of pair j of eight rows' words. */
INLINE __m256 weights(__m256i v, const auk_panel_type type, const int j, const int half)
{
    switch (type) {
    case AUK_P_BF16:
        return _mm256_castsi256_ps(half ? _mm256_and_si256(v, _mm256_set1_epi32((int)0xFFFF0000u))
                                        : _mm256_slli_epi32(v, 16));
    case AUK_P_U4:
        return floats_of(v, 16 * half + 4 * j, 15);
    case AUK_P_U8:
        return floats_of(v, 16 * half + 8 * j, 255);
    case AUK_P_E2M1:
        return floats_of_e2m1(v, 16 * half + 4 * j);
    case AUK_P_E4M3:
        break;
    }
    return floats_of_e4m3(v, 16 * half + 8 * j);
}

INLINE __m256i load_8(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE __m256 scales_of_e8m0(const uint8_t *p)
{
    __m256i b = _mm256_slli_epi32(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)), 23);
    return _mm256_castsi256_ps(_mm256_max_epi32(b, _mm256_set1_epi32(0x00400000)));
}

/* out[t][16] after a group, from what is there. */
INLINE void finish_group(float *out, size_t out_stride, __m256 a[BLOCK_X][2], const uint8_t *scale,
                         const float *sums, const int n, const auk_panel_type type)
{
    for (int h = 0; h < 2; h++) {
        __m256 s = _mm256_setzero_ps(), b = s;
        if (type == AUK_P_U4 || type == AUK_P_U8) {
            __m256i sb = load_8(scale + 32 * h);
            s = _mm256_castsi256_ps(_mm256_slli_epi32(sb, 16));
            b = _mm256_castsi256_ps(_mm256_and_si256(sb, _mm256_set1_epi32((int)0xFFFF0000u)));
        } else if (type != AUK_P_BF16) {
            s = scales_of_e8m0(scale + 8 * h);
        }
        for (int t = 0; t < n; t++) {
            float *to = out + (size_t)t * out_stride + 8 * h;
            __m256 total = _mm256_loadu_ps(to);
            if (type == AUK_P_BF16)
                total = _mm256_add_ps(total, a[t][h]);
            else
                total = _mm256_fmadd_ps(s, a[t][h], total);
            if (type == AUK_P_U4 || type == AUK_P_U8)
                total = _mm256_fmadd_ps(b, _mm256_set1_ps(sums[t]), total);
            _mm256_storeu_ps(to, total);
        }
    }
}

/* Rows t0 ... t0 + n of x against one panel. */
INLINE void run_block(float *out, size_t out_stride, const uint8_t *w, const auk_panel_shape *s,
                      const float *x, const float *sums, size_t n_x, const int n,
                      const auk_panel_type type)
{
    const int pairs = type == AUK_P_BF16 ? 1 : type == AUK_P_U4 || type == AUK_P_E2M1 ? 4 : 2;

    for (int t = 0; t < n; t++)
        memset(out + (size_t)t * out_stride, 0, AUK_PANEL_ROWS * sizeof *out);
    for (size_t c = 0, g = 0; c < s->cols; c += s->group, g++) {
        const uint8_t *line = w + s->lines_at + g * s->group_bytes;
        const uint8_t *scale =
            s->lines_at > 0 ? w + g * AUK_PANEL_ROWS : line + s->group_bytes - AUK_LINE;
        size_t left = (auk_panel_group_cols(s, c) + 1) / 2; /* pairs */
        __m256 a[BLOCK_X][2];
        for (int t = 0; t < n; t++)
            a[t][0] = a[t][1] = _mm256_setzero_ps();
        for (; left > 0; left -= (size_t)pairs, line += AUK_LINE) {
            __m256i lo = load_8(line), hi = load_8(line + 32);
            for (int j = 0; j < pairs; j++, x += 2 * n_x)
                for (int half = 1; half >= 0; half--) {
                    __m256 w0 = weights(lo, type, j, half), w1 = weights(hi, type, j, half);
                    for (int t = 0; t < n; t++) {
                        __m256 v = _mm256_broadcast_ss(x + (size_t)half * n_x + t);
                        a[t][0] = _mm256_fmadd_ps(w0, v, a[t][0]);
                        a[t][1] = _mm256_fmadd_ps(w1, v, a[t][1]);
                    }
                }
        }
        finish_group(out, out_stride, a, scale, sums + g * n_x, n, type);
    }
}

#define PANEL_BLOCK(name, type, n)                                                                 \
    __attribute__((noinline)) static void name##_##n(                                              \
        float *out, size_t out_stride, const uint8_t *w, const auk_panel_shape *s, const float *x, \
        const float *sums, size_t n_x)                                                             \
    {                                                                                              \
        run_block(out, out_stride, w, s, x, sums, n_x, n, type);                                   \
    }
#define PANEL_ALL(name, type)                                                                      \
    PANEL_BLOCK(name, type, 1)                                                                     \
    PANEL_BLOCK(name, type, 2)                                                                     \
    PANEL_BLOCK(name, type, 3)                                                                     \
    PANEL_BLOCK(name, type, 4)                                                                     \
    PANEL_BLOCK(name, type, 5)                                                                     \
    PANEL_BLOCK(name, type, 6)                                                                     \
    void name(float *out, size_t out_stride, const uint8_t *w, size_t n_panels,                    \
              const auk_panel_shape *s, const uint32_t *x, size_t n_x)                             \
    {                                                                                              \
        static void (*const of[BLOCK_X])(                                                          \
            float *, size_t, const uint8_t *, const auk_panel_shape *, const float *,              \
            const float *, size_t) = {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6}; \
        const float *v = (const float *)(const void *)x;                                           \
        const float *sums = auk_panel_sums(x, s->cols, n_x, 2);                                    \
        for (size_t p = 0; p < n_panels; p++)                                                      \
            for (size_t t = 0, n; t < n_x; t += n) {                                               \
                n = n_x - t <= BLOCK_X ? n_x - t : (n_x - t + 1) / 2;                              \
                of[n - 1](out + t * out_stride + p * AUK_PANEL_ROWS, out_stride,                   \
                          w + p * s->panel_bytes, s, v + t, sums + t, n_x);                        \
            }                                                                                      \
    }

PANEL_ALL(auk_panel_bf16_avx2, AUK_P_BF16)
PANEL_ALL(auk_panel_u4_avx2, AUK_P_U4)
PANEL_ALL(auk_panel_u8_avx2, AUK_P_U8)
PANEL_ALL(auk_panel_e2m1_avx2, AUK_P_E2M1)
PANEL_ALL(auk_panel_e4m3_avx2, AUK_P_E4M3)

double auk_peak_avx2(size_t n)
{
    __m256 a[12], half = _mm256_set1_ps(0.5f), sum = half;
    volatile float keep;

    for (int j = 0; j < 12; j++)
        a[j] = _mm256_set1_ps((float)j);
    for (size_t i = 0; i < n; i++)
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++)
            a[j] = _mm256_fmadd_ps(a[j], half, half);
    for (int j = 0; j < 12; j++)
        sum = _mm256_add_ps(sum, a[j]);
    keep = _mm256_cvtss_f32(sum);
    (void)keep;
    return 12 * 8 * 2 * (double)n;
}
