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

/* [pair][n_x] of both halves' upper 16 bits: x holds bf16 values.  Sixteen pairs of one row are
 * made at a time. */
void auk_panel_x_avx512bf16(uint32_t *dst, const float *const *x, size_t n_x, size_t cols,
                            size_t group)
{
    const __m512 tiny = _mm512_set1_ps(AUK_PANEL_TINY);
    const __m512i upper = _mm512_set1_epi32((int)0xFFFF0000u);
    const __m512i evens =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odds =
        _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    float *sums = (float *)(void *)(dst + (cols + 1) / 2 * n_x);

    for (size_t t = 0; t < n_x; t++) {
        for (size_t c = 0; c < cols; c += 32) {
            size_t n = cols - c < 32 ? cols - c : 32;
            __mmask32 valid = n == 32 ? 0xFFFFFFFFu : (1u << n) - 1;
            __m512 a = _mm512_maskz_loadu_ps((__mmask16)valid, x[t] + c);
            __m512 b = _mm512_maskz_loadu_ps((__mmask16)(valid >> 16), x[t] + c + 16);
            /* not less: NaN stays */
            a = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(a), tiny, _CMP_NLT_UQ), a);
            b = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(b), tiny, _CMP_NLT_UQ), b);
            __m512i lo = _mm512_castps_si512(_mm512_permutex2var_ps(a, evens, b));
            __m512i hi = _mm512_castps_si512(_mm512_permutex2var_ps(a, odds, b));
            __m512i pair = _mm512_or_si512(_mm512_srli_epi32(lo, 16), _mm512_and_si512(hi, upper));
            uint32_t p[16], *to = dst + c / 2 * n_x + t;
            if (n_x == 1 && n == 32) {
                _mm512_storeu_si512(to, pair);
                continue;
            }
            _mm512_storeu_si512(p, pair);
            for (size_t i = 0; i < (n + 1) / 2; i++)
                to[i * n_x] = p[i];
        }
        for (size_t c = 0; c < cols; c += group)
            sums[c / group * n_x + t] =
                auk_panel_sum(x[t] + c, cols - c < group ? cols - c : group);
    }
}

double auk_peak_avx512bf16(size_t n)
{
    return peak(n);
}
