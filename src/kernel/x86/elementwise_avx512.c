/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/x86/avx512.h"

#include "kernel/exact_math.h"
#include "kernel/scalar/scalar.h"

#include <immintrin.h>

static inline __m512 round_16(__m512 x)
{
    __m512i u = _mm512_castps_si512(x), one = _mm512_set1_epi32(1);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), one);
    __m512i r = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7FFF)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);

    r = _mm512_mask_or_epi32(r, nan, u, _mm512_set1_epi32(0x400000)); /* NaN stays one */
    return _mm512_castsi512_ps(_mm512_and_si512(r, _mm512_set1_epi32((int)0xFFFF0000u)));
}

void auk_round_bf16_avx512(float *x, size_t n)
{
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(x + i, round_16(_mm512_loadu_ps(x + i)));
    auk_round_bf16_scalar(x + i, n - i);
}

/* auk_expf of exact_math.h.  Its two multiplications by powers of two are exact wherever their
 * result is used, as is the one here. */
static inline __m512 exp_16(__m512 x)
{
    static const float factorial[] = {
        1.38888889e-3f, 8.33333333e-3f, 4.16666667e-2f, 1.66666667e-1f, 0.5f, 1.0f, 1.0f};
    __m512 c = _mm512_max_ps(_mm512_min_ps(x, _mm512_set1_ps(89.0f)), _mm512_set1_ps(-88.0f));
    __m512 big = _mm512_set1_ps(12582912.0f), k = _mm512_mul_ps(c, _mm512_set1_ps(1.44269504f));
    k = _mm512_sub_ps(_mm512_add_ps(k, big), big);
    __m512 r = _mm512_fmadd_ps(k, _mm512_set1_ps(-0.693359375f), c);
    r = _mm512_fmadd_ps(k, _mm512_set1_ps(2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.98412698e-4f);
    for (size_t i = 0; i < sizeof factorial / sizeof *factorial; i++)
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(factorial[i]));
    __m512 y = _mm512_scalef_ps(p, k);
    __mmask16 not_small = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3f), _CMP_NLT_UQ);
    y = _mm512_maskz_mov_ps(not_small, y);
    y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, _mm512_set1_ps(88.72284f), _CMP_GT_OQ),
                           _mm512_set1_ps(INFINITY));
    return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
}

void auk_silu_avx512(float *x, size_t n)
{
    const __m512i sign = _mm512_set1_epi32((int)0x80000000u);
    const __m512 one = _mm512_set1_ps(1.0f);
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        __m512 e = exp_16(_mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(v), sign)));
        _mm512_storeu_ps(x + i, _mm512_div_ps(v, _mm512_add_ps(one, e)));
    }
    auk_silu_scalar(x + i, n - i);
}

/* The order is free: equal values differ at most in the sign of zero. */
static float largest(const float *x, size_t n)
{
    __m512 a = _mm512_set1_ps(-INFINITY), b = a;
    float lane[16], max = -INFINITY;
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        a = _mm512_max_ps(_mm512_loadu_ps(x + i), a); /* x > a ? x : a */
        b = _mm512_max_ps(_mm512_loadu_ps(x + i + 16), b);
    }
    _mm512_storeu_ps(lane, _mm512_max_ps(a, b));
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int j = 0; j < 16; j++)
        max = lane[j] > max ? lane[j] : max;
    return max;
}

void auk_softmax_avx512(float *x, size_t n)
{
    float max = largest(x, n), lane[32];
    __m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, most = _mm512_set1_ps(max);
    size_t i = 0;

    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 2; j++) {
            __m512 e = exp_16(_mm512_sub_ps(_mm512_loadu_ps(x + i + 16 * j), most));
            _mm512_storeu_ps(x + i + 16 * j, e);
            sum[j] = _mm512_add_ps(sum[j], e);
        }
    for (int j = 0; j < 2; j++)
        _mm512_storeu_ps(lane + 16 * j, sum[j]);
    for (; i < n; i++) {
        x[i] = auk_expf(x[i] - max);
        lane[i % 32] += x[i];
    }
    for (size_t half = 16; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    __m512 total = _mm512_set1_ps(lane[0]);
    for (i = 0; i + 16 <= n; i += 16)
        _mm512_storeu_ps(x + i, _mm512_div_ps(_mm512_loadu_ps(x + i), total));
    for (; i < n; i++)
        x[i] /= lane[0];
}
