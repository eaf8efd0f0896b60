/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/x86/avx2.h"

#include "kernel/exact_math.h"
#include "kernel/scalar/scalar.h"
#include "kernel/x86/codes_avx2.h"

/* bfloat16 bits of 8 floats in the low halves of 8 lanes: nearest even, NaN stays one. */
static inline __m256i bf16_bits_8(__m256 x)
{
    __m256i u = _mm256_castps_si256(x), one = _mm256_set1_epi32(1);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), one);
    __m256i r = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7FFF)), odd);
    __m256i nan = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    __m256 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);

    r = _mm256_castps_si256(
        _mm256_blendv_ps(_mm256_castsi256_ps(r), _mm256_castsi256_ps(nan), is_nan));
    return _mm256_srli_epi32(r, 16);
}

void auk_f32_to_bf16_avx2(uint8_t *dst, const float *src, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256i b = bf16_bits_8(_mm256_loadu_ps(src + i));
        __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
        _mm_storeu_si128((__m128i *)(dst + 2 * i), h);
    }
    auk_f32_to_bf16_scalar(dst + 2 * i, src + i, n - i);
}

void auk_round_bf16_avx2(float *x, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256i b = _mm256_slli_epi32(bf16_bits_8(_mm256_loadu_ps(x + i)), 16);
        _mm256_storeu_ps(x + i, _mm256_castsi256_ps(b));
    }
    auk_round_bf16_scalar(x + i, n - i);
}

void auk_axpy_f32_avx2(float *y, float a, const float *x, size_t n)
{
    __m256 v = _mm256_set1_ps(a);
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(v, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = fmaf(a, x[i], y[i]);
}

void auk_axpy_bf16_avx2(float *y, float a, const uint8_t *x, size_t n)
{
    __m256 v = _mm256_set1_ps(a);
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(v, load_bf16_8(x + 2 * i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = fmaf(a, auk_bf16_to_f32(auk_le16(x + 2 * i)), y[i]);
}

/* auk_expf of exact_math.h, operation for operation.  Written out because a compiler that keeps
 * traps in mind does not turn its comparisons into selections.  _mm256_min_ps(a, b) is
 * a < b ? a : b, also for NaN. */
static inline __m256 exp_8(__m256 x)
{
    static const float factorial[] = {
        1.38888889e-3f, 8.33333333e-3f, 4.16666667e-2f, 1.66666667e-1f, 0.5f, 1.0f, 1.0f};
    __m256 c = _mm256_max_ps(_mm256_min_ps(x, _mm256_set1_ps(89.0f)), _mm256_set1_ps(-88.0f));
    __m256 big = _mm256_set1_ps(12582912.0f), k = _mm256_mul_ps(c, _mm256_set1_ps(1.44269504f));
    k = _mm256_sub_ps(_mm256_add_ps(k, big), big);
    __m256 r = _mm256_fmadd_ps(k, _mm256_set1_ps(-0.693359375f), c);
    r = _mm256_fmadd_ps(k, _mm256_set1_ps(2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.98412698e-4f);
    for (size_t i = 0; i < sizeof factorial / sizeof *factorial; i++)
        p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(factorial[i]));
    __m256i bias = _mm256_set1_epi32(127), e = _mm256_cvttps_epi32(k);
    __m256i half = _mm256_srai_epi32(e, 1), rest = _mm256_sub_epi32(e, half);
    __m256 y =
        _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    y = _mm256_mul_ps(y, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
    y = _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(-87.3f), _CMP_LT_OQ), y);
    y = _mm256_blendv_ps(y, _mm256_set1_ps(INFINITY),
                         _mm256_cmp_ps(x, _mm256_set1_ps(88.72284f), _CMP_GT_OQ));
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

void auk_silu_avx2(float *x, size_t n)
{
    __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i), e = exp_8(_mm256_xor_ps(v, sign));
        _mm256_storeu_ps(x + i, _mm256_div_ps(v, _mm256_add_ps(one, e)));
    }
    auk_silu_scalar(x + i, n - i);
}

/* The largest of n floats, NaN left out; -inf when there is none.  The order is free: equal values
 * differ at most in the sign of zero, which neither user can tell. */
static float largest(const float *x, size_t n)
{
    float lane[8], max = -INFINITY;
    __m256 a = _mm256_set1_ps(-INFINITY), b = a;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        a = _mm256_max_ps(_mm256_loadu_ps(x + i), a); /* x > a ? x : a */
        b = _mm256_max_ps(_mm256_loadu_ps(x + i + 8), b);
    }
    _mm256_storeu_ps(lane, _mm256_max_ps(a, b));
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int j = 0; j < 8; j++)
        max = lane[j] > max ? lane[j] : max;
    return max;
}

void auk_softmax_avx2(float *x, size_t n)
{
    float max = largest(x, n), lane[32] = {0};
    __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
    __m256 most = _mm256_set1_ps(max);
    size_t i = 0;

    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 4; j++) {
            __m256 e = exp_8(_mm256_sub_ps(_mm256_loadu_ps(x + i + 8 * j), most));
            _mm256_storeu_ps(x + i + 8 * j, e);
            sum[j] = _mm256_add_ps(sum[j], e);
        }
    for (int j = 0; j < 4; j++)
        _mm256_storeu_ps(lane + 8 * j, sum[j]);
    for (; i < n; i++) {
        x[i] = auk_expf(x[i] - max);
        lane[i % 32] += x[i];
    }
    for (size_t half = 16; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    __m256 total = _mm256_set1_ps(lane[0]);
    for (i = 0; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_div_ps(_mm256_loadu_ps(x + i), total));
    for (; i < n; i++)
        x[i] /= lane[0];
}

size_t auk_argmax_avx2(const float *x, size_t n)
{
    float max = largest(x, n);
    __m256 most = _mm256_set1_ps(max);
    size_t i = 0;

    if (!(max > -INFINITY))
        return 0;
    for (; i + 8 <= n; i += 8) {
        int equal = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + i), most, _CMP_EQ_OQ));
        if (equal != 0)
            return i + (size_t)__builtin_ctz((unsigned)equal);
    }
    while (x[i] != max)
        i++;
    return i;
}
