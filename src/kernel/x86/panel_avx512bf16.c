/* SPDX-License-Identifier: Apache-2.0 */
/* Products with panels where vdpbf16ps multiplies a pair at once. */
#include "kernel/x86/avx512.h"

#include "kernel/panel.h"

#include <immintrin.h>

#include "kernel/x86/panel_avx512.h"

PANEL_ALL(auk_panel_bf16_avx512bf16, AUK_P_BF16)
PANEL_ALL(auk_panel_u4_avx512bf16, AUK_P_U4)
PANEL_ALL(auk_panel_u8_avx512bf16, AUK_P_U8)
PANEL_ALL(auk_panel_e2m1_avx512bf16, AUK_P_E2M1)
PANEL_ALL(auk_panel_e4m3_avx512bf16, AUK_P_E4M3)

/* Columns c ... c + 31 of x as 16 pairs of their upper halves: x holds bf16 values. */
static inline __m512i pairs_16(const float *x, size_t n)
{
    const __m512i evens =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odds =
        _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    const __m512 tiny = _mm512_set1_ps(AUK_PANEL_TINY);
    __mmask32 valid = n >= 32 ? 0xFFFFFFFFu : (1u << n) - 1;
    __m512 a = _mm512_maskz_loadu_ps((__mmask16)valid, x);
    __m512 b = _mm512_maskz_loadu_ps((__mmask16)(valid >> 16), x + 16);

    /* not less: NaN stays */
    a = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(a), tiny, _CMP_NLT_UQ), a);
    b = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(b), tiny, _CMP_NLT_UQ), b);
    __m512i lo = _mm512_castps_si512(_mm512_permutex2var_ps(a, evens, b));
    __m512i hi = _mm512_castps_si512(_mm512_permutex2var_ps(a, odds, b));
    return _mm512_or_si512(_mm512_srli_epi32(lo, 16),
                           _mm512_and_si512(hi, _mm512_set1_epi32((int)0xFFFF0000u)));
}

/* Four rows' 16 pairs become [pair][4], written n_x words apart; the first n_pairs only. */
static inline void put_4(uint32_t *dst, const __m512i row[4], size_t n_x, size_t n_pairs)
{
    __m512i a = _mm512_unpacklo_epi32(row[0], row[1]), b = _mm512_unpackhi_epi32(row[0], row[1]);
    __m512i c = _mm512_unpacklo_epi32(row[2], row[3]), d = _mm512_unpackhi_epi32(row[2], row[3]);
    /* pairs i, i + 4, i + 8, i + 12 in the four quarters */
    const __m512i of[4] = {_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c),
                           _mm512_unpacklo_epi64(b, d), _mm512_unpackhi_epi64(b, d)};

    for (size_t i = 0; i < 4; i++) {
        uint32_t quarter[4][4];
        _mm512_storeu_si512(quarter, of[i]);
        for (size_t q = 0; q < 4; q++)
            if (4 * q + i < n_pairs)
                memcpy(dst + (4 * q + i) * n_x, quarter[q], sizeof quarter[q]);
    }
}

/* [pair][n_x], 16 pairs at a time, rows in fours where there are four. */
void auk_panel_x_avx512bf16(uint32_t *dst, const float *const *x, size_t n_x, size_t cols,
                            size_t group)
{
    float *sums = (float *)(void *)(dst + (cols + 1) / 2 * n_x);

    for (size_t c = 0; c < cols; c += 32) {
        size_t n = cols - c < 32 ? cols - c : 32, n_pairs = (n + 1) / 2, t = 0;
        uint32_t *to = dst + c / 2 * n_x;
        for (; t + 4 <= n_x; t += 4) {
            __m512i row[4];
            for (size_t i = 0; i < 4; i++)
                row[i] = pairs_16(x[t + i] + c, n);
            put_4(to + t, row, n_x, n_pairs);
        }
        for (; t < n_x; t++) {
            uint32_t p[16];
            _mm512_storeu_si512(p, pairs_16(x[t] + c, n));
            if (n_x == 1 && n == 32)
                memcpy(to, p, sizeof p);
            else
                for (size_t i = 0; i < n_pairs; i++)
                    to[i * n_x + t] = p[i];
        }
    }
    for (size_t t = 0; t < n_x; t++)
        for (size_t c = 0; c < cols; c += group)
            sums[c / group * n_x + t] =
                auk_panel_sum(x[t] + c, cols - c < group ? cols - c : group);
}

double auk_peak_avx512bf16(size_t n)
{
    return peak(n);
}
