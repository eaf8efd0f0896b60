/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/x86/avx2.h"

#include "kernel/exact_math.h"
#include "kernel/scalar/scalar.h"
#include "kernel/x86/codes_avx2.h"

void auk_bf16_to_f32_avx2(float *dst, const uint8_t *src, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, load_bf16_8(src + 2 * i));
    auk_bf16_to_f32_scalar(dst + i, src + 2 * i, n - i);
}

void auk_f16_to_f32_avx2(float *dst, const uint8_t *src, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + 2 * i))));
    auk_f16_to_f32_scalar(dst + i, src + 2 * i, n - i);
}

static inline void store_32(float *dst, const __m256 w[4])
{
    for (int j = 0; j < 4; j++)
        _mm256_storeu_ps(dst + 8 * j, w[j]);
}

static inline void dequant_affine(float *dst, const uint8_t *codes, const float *scale,
                                  const float *bias, size_t n, int bits, int group)
{
    for (size_t i = 0; i < n; i += 32) {
        __m256 s = _mm256_set1_ps(scale[i / (size_t)group]);
        __m256 b = _mm256_set1_ps(bias[i / (size_t)group]);
        __m256 w[4];
        affine_32(w, codes + i / 8 * (size_t)bits, s, b, bits);
        store_32(dst + i, w);
    }
}

void auk_dequant_affine_avx2(float *dst, const uint8_t *codes, const float *scale,
                             const float *bias, size_t n, int bits, int group)
{
    switch (bits) {
    case 2:
        dequant_affine(dst, codes, scale, bias, n, 2, group);
        break;
    case 3:
        dequant_affine(dst, codes, scale, bias, n, 3, group);
        break;
    case 4:
        dequant_affine(dst, codes, scale, bias, n, 4, group);
        break;
    case 5:
        dequant_affine(dst, codes, scale, bias, n, 5, group);
        break;
    case 6:
        dequant_affine(dst, codes, scale, bias, n, 6, group);
        break;
    default:
        dequant_affine(dst, codes, scale, bias, n, 8, group);
    }
}

void auk_dequant_e2m1_avx2(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256 w[4];
        e2m1_32(w, codes + i / 2, _mm256_set1_ps(scale[i / (size_t)group]),
                _mm256_set1_ps(scale[(i + 16) / (size_t)group]));
        store_32(dst + i, w);
    }
    if (i < n)
        auk_dequant_e2m1_scalar(dst + i, codes + i / 2, scale + i / (size_t)group, n - i, group);
}

void auk_dequant_e4m3_avx2(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group)
{
    for (size_t i = 0; i < n; i += 32) { /* mxfp8's group is 32 */
        __m256 w[4];
        e4m3_32(w, codes + i, _mm256_set1_ps(scale[i / (size_t)group]));
        store_32(dst + i, w);
    }
}
