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

/* The loops below are the reference's own text: this file's flags let the compiler run eight lanes
 * of the same operations. */
void auk_silu_avx2(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = auk_silu(x[i]);
}

void auk_softmax_avx2(float *x, size_t n)
{
    float max = -INFINITY, lane[32] = {0};
    size_t i;

    for (i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (i = 0; i < n; i++)
        x[i] = auk_expf(x[i] - max);
    for (i = 0; i + 32 <= n; i += 32)
        for (int j = 0; j < 32; j++)
            lane[j] += x[i + (size_t)j];
    for (; i < n; i++)
        lane[i % 32] += x[i];
    for (size_t half = 16; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    for (i = 0; i < n; i++)
        x[i] /= lane[0];
}

size_t auk_argmax_avx2(const float *x, size_t n)
{
    float max = -INFINITY;

    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++)
        if (x[i] == max && max > -INFINITY)
            return i;
    return 0;
}
