/* SPDX-License-Identifier: Apache-2.0 */
/* panel_avx512.h - products with panels, a vector per line, for both AVX-512 levels: the file that
 * includes it is compiled with or without vdpbf16ps. */
#ifndef AUK_KERNEL_PANEL_AVX512_H
#define AUK_KERNEL_PANEL_AVX512_H

#include "kernel/panel.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* a plus row t's pair of x times the pairs w, the second of a pair first. */
#ifdef __AVX512BF16__
#define X_WORDS 1
INLINE __m512 mac(__m512 a, __m512i w, const uint32_t *x, size_t t, size_t n_x)
{
    (void)n_x;
    return _mm512_dpbf16_ps(a, (__m512bh)w, (__m512bh)_mm512_set1_epi32((int)x[t]));
}
#else
#define X_WORDS 2
INLINE __m512 mac(__m512 a, __m512i w, const uint32_t *x, size_t t, size_t n_x)
{
    const float *v = (const float *)(const void *)x;
    __m512i odd = _mm512_and_si512(w, _mm512_set1_epi32((int)0xFFFF0000u));

    a = _mm512_fmadd_ps(_mm512_castsi512_ps(odd), _mm512_set1_ps(v[n_x + t]), a);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(w, 16)), _mm512_set1_ps(v[t]), a);
}
#endif

/* Values of codes 0 to 15 as bf16, twice: a shuffle of words looks at five bits. */
INLINE __m512i table_of(auk_panel_type type)
{
    const __m512i u4 =
        _mm512_set_epi32(0x41704160, 0x41504140, 0x41304120, 0x41104100, 0x40E040C0, 0x40A04080,
                         0x40404000, 0x3F800000, 0x41704160, 0x41504140, 0x41304120, 0x41104100,
                         0x40E040C0, 0x40A04080, 0x40404000, 0x3F800000);
    const __m512i e2m1 = _mm512_set_epi32(
        (int)0xC0C0C080u, (int)0xC040C000u, (int)0xBFC0BF80u, (int)0xBF008000u, 0x40C04080,
        0x40404000, 0x3FC03F80, 0x3F000000, (int)0xC0C0C080u, (int)0xC040C000u, (int)0xBFC0BF80u,
        (int)0xBF008000u, 0x40C04080, 0x40404000, 0x3FC03F80, 0x3F000000);
    /* E4M3's subnormals, 0 to 7 times 2^-9 */
    const __m512i e4m3 = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3C603C40,
                                          0x3C203C00, 0x3BC03B80, 0x3B000000);

    return type == AUK_P_U4 ? u4 : type == AUK_P_E2M1 ? e2m1 : e4m3;
}

/* Pairs of integers 0 to 255, in words, as bf16: exact in eight bits. */
INLINE __m512i bf16_of_bytes(__m512i c)
{
    __m512i even =
        _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_and_si512(c, _mm512_set1_epi32(0xFFFF))));
    __m512i odd = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_srli_epi32(c, 16)));

    return _mm512_or_si512(_mm512_srli_epi32(even, 16), odd);
}

/* Pairs of E4M3, in words: the exponent's bias becomes 127, the subnormals are looked up. */
INLINE __m512i bf16_of_e4m3(__m512i c, __m512i table)
{
    __m512i mag = _mm512_and_si512(_mm512_slli_epi16(c, 4), _mm512_set1_epi16(0x07F0));
    __mmask32 tiny = _mm512_testn_epi16_mask(c, _mm512_set1_epi16(0x78));
    __m512i sign = _mm512_and_si512(_mm512_slli_epi16(c, 8), _mm512_set1_epi16((short)0x8000));

    mag = _mm512_add_epi16(mag, _mm512_set1_epi16(0x3C00));
    mag = _mm512_mask_permutexvar_epi16(mag, tiny, c, table);
    return _mm512_or_si512(mag, sign);
}

INLINE int pairs_of_line(auk_panel_type type)
{
    return type == AUK_P_BF16 ? 1 : type == AUK_P_U4 || type == AUK_P_E2M1 ? 4 : 2;
}

INLINE void decode_line(__m512i w[4], const uint8_t *line, auk_panel_type type, __m512i table)
{
    __m512i v = _mm512_loadu_si512(line);

    if (type == AUK_P_BF16) {
        w[0] = v;
    } else if (type == AUK_P_U4 || type == AUK_P_E2M1) {
        w[0] = _mm512_permutexvar_epi16(v, table);
        w[1] = _mm512_permutexvar_epi16(_mm512_srli_epi16(v, 4), table);
        w[2] = _mm512_permutexvar_epi16(_mm512_srli_epi16(v, 8), table);
        w[3] = _mm512_permutexvar_epi16(_mm512_srli_epi16(v, 12), table);
    } else if (type == AUK_P_U8) {
        w[0] = bf16_of_bytes(_mm512_and_si512(v, _mm512_set1_epi32(0x00FF00FF)));
        w[1] = bf16_of_bytes(_mm512_srli_epi16(v, 8));
    } else {
        w[0] = bf16_of_e4m3(_mm512_and_si512(v, _mm512_set1_epi32(0x00FF00FF)), table);
        w[1] = bf16_of_e4m3(_mm512_srli_epi16(v, 8), table);
    }
}

/* E8M0, of 16 rows; 0 is 2^-127 */
INLINE __m512 scales_of_e8m0(const uint8_t *p)
{
    __m512i b = _mm512_slli_epi32(
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)), 23);
    return _mm512_castsi512_ps(_mm512_max_epi32(b, _mm512_set1_epi32(0x00400000)));
}

/* total after a group of n_pairs pairs whose lines begin at w. */
INLINE void add_group(__m512 *total, const uint8_t *w, size_t n_lines, const uint8_t *scale,
                      const uint32_t *x, const float *sums, const int n_x,
                      const auk_panel_type type, __m512i table)
{
    const int pairs = pairs_of_line(type);
    __m512 a[AUK_PANEL_MAX_X];

#pragma GCC unroll 12
    for (int t = 0; t < n_x; t++)
        a[t] = _mm512_setzero_ps();
    for (size_t i = 0; i < n_lines; i++, w += AUK_LINE) {
        __m512i v[4];
        decode_line(v, w, type, table);
#pragma GCC unroll 4
        for (int j = 0; j < pairs; j++, x += X_WORDS * (size_t)n_x)
#pragma GCC unroll 12
            for (int t = 0; t < n_x; t++)
                a[t] = mac(a[t], v[j], x, (size_t)t, (size_t)n_x);
    }
    if (type == AUK_P_BF16) {
#pragma GCC unroll 12
        for (int t = 0; t < n_x; t++)
            total[t] = _mm512_add_ps(total[t], a[t]);
    } else if (type == AUK_P_U4 || type == AUK_P_U8) {
        __m512i sb = _mm512_loadu_si512(scale);
        __m512 s = _mm512_castsi512_ps(_mm512_slli_epi32(sb, 16));
        __m512 b = _mm512_castsi512_ps(_mm512_and_si512(sb, _mm512_set1_epi32((int)0xFFFF0000u)));
#pragma GCC unroll 12
        for (int t = 0; t < n_x; t++)
            total[t] =
                _mm512_fmadd_ps(b, _mm512_set1_ps(sums[t]), _mm512_fmadd_ps(s, a[t], total[t]));
    } else {
        __m512 s = scales_of_e8m0(scale);
#pragma GCC unroll 12
        for (int t = 0; t < n_x; t++)
            total[t] = _mm512_fmadd_ps(s, a[t], total[t]);
    }
}

INLINE void run_panels(float *out, size_t out_stride, const uint8_t *w, size_t n_panels,
                       const auk_panel_shape *s, const uint32_t *x, const int n_x,
                       const auk_panel_type type)
{
    const size_t group = type == AUK_P_BF16 ? AUK_PANEL_GROUP : s->group;
    const size_t per_line = 2 * (size_t)pairs_of_line(type);
    const float *all_sums = auk_panel_sums(x, s->cols, (size_t)n_x, X_WORDS);
    const __m512i table = table_of(type);

    for (; n_panels > 0; n_panels--, w += s->panel_bytes, out += AUK_PANEL_ROWS) {
        __m512 total[AUK_PANEL_MAX_X];
        const uint8_t *lines = w + s->lines_at, *scale = w;
        const uint32_t *xg = x;
        const float *sums = all_sums;
        size_t c = 0;
#pragma GCC unroll 12
        for (int t = 0; t < n_x; t++)
            total[t] = _mm512_setzero_ps();
        for (; c + group <= s->cols; c += group) {
            if (type == AUK_P_U4 || type == AUK_P_U8)
                scale = lines + s->group_bytes - AUK_LINE;
            add_group(total, lines, group / per_line, scale, xg, sums, n_x, type, table);
            lines += s->group_bytes;
            xg += group / 2 * X_WORDS * (size_t)n_x;
            sums += n_x;
            scale += AUK_PANEL_ROWS;
        }
        if (type == AUK_P_BF16 && c < s->cols)
            add_group(total, lines, (s->cols - c + 1) / 2, scale, xg, sums, n_x, type, table);
#pragma GCC unroll 12
        for (int t = 0; t < n_x; t++)
            _mm512_storeu_ps(out + (size_t)t * out_stride, total[t]);
    }
}

/* Twelve chains: more than the latency of one needs. */
INLINE double peak(size_t n)
{
    __m512 a[12], half = _mm512_set1_ps(0.5f), sum = half;
    volatile float keep;

    for (int j = 0; j < 12; j++)
        a[j] = _mm512_set1_ps((float)j);
    for (size_t i = 0; i < n; i++)
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++)
#ifdef __AVX512BF16__
            a[j] = _mm512_dpbf16_ps(a[j], (__m512bh)half, (__m512bh)half);
#else
            a[j] = _mm512_fmadd_ps(a[j], half, half);
#endif
    for (int j = 0; j < 12; j++)
        sum = _mm512_add_ps(sum, a[j]);
    keep = _mm512_cvtss_f32(sum);
    (void)keep;
    return 12 * 16 * 2 * (X_WORDS == 1 ? 2 : 1) * (double)n;
}

/* One function per format and number of x, of its own so that its loops keep their registers. */
#define PANEL_ONE(name, type, n)                                                                   \
    __attribute__((noinline)) static void name##_##n(float *out, size_t out_stride,                \
                                                     const uint8_t *w, size_t n_panels,            \
                                                     const auk_panel_shape *s, const uint32_t *x)  \
    {                                                                                              \
        run_panels(out, out_stride, w, n_panels, s, x, n, type);                                   \
    }
#define PANEL_ALL(name, type)                                                                      \
    PANEL_ONE(name, type, 1)                                                                       \
    PANEL_ONE(name, type, 2)                                                                       \
    PANEL_ONE(name, type, 3)                                                                       \
    PANEL_ONE(name, type, 4)                                                                       \
    PANEL_ONE(name, type, 5)                                                                       \
    PANEL_ONE(name, type, 6)                                                                       \
    PANEL_ONE(name, type, 7)                                                                       \
    PANEL_ONE(name, type, 8)                                                                       \
    PANEL_ONE(name, type, 9)                                                                       \
    PANEL_ONE(name, type, 10)                                                                      \
    PANEL_ONE(name, type, 11)                                                                      \
    PANEL_ONE(name, type, 12)                                                                      \
    void name(float *out, size_t out_stride, const uint8_t *w, size_t n_panels,                    \
              const auk_panel_shape *s, const uint32_t *x, size_t n_x)                             \
    {                                                                                              \
        static void (*const of[AUK_PANEL_MAX_X])(float *, size_t, const uint8_t *, size_t,         \
                                                 const auk_panel_shape *, const uint32_t *) = {    \
            name##_1, name##_2, name##_3, name##_4,  name##_5,  name##_6,                          \
            name##_7, name##_8, name##_9, name##_10, name##_11, name##_12};                        \
        of[n_x - 1](out, out_stride, w, n_panels, s, x);                                           \
    }

#endif
