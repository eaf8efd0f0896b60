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
                                  const float *bias, size_t n, int bits, int group, bool fused)
{
    for (size_t i = 0; i < n; i += (size_t)group) {
        __m256 w[4], s = _mm256_set1_ps(*scale++), b = _mm256_set1_ps(*bias++);
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            affine_32(w, codes + k / 8 * (size_t)bits, s, b, bits, fused);
            store_32(dst + k, w);
        }
    }
}

void auk_dequant_affine_avx2(float *dst, const uint8_t *codes, const float *scale,
                             const float *bias, size_t n, int bits, int group)
{
    switch (bits) {
    case 2:
        dequant_affine(dst, codes, scale, bias, n, 2, group, false);
        break;
    case 3:
        dequant_affine(dst, codes, scale, bias, n, 3, group, false);
        break;
    case 4: /* the one worth a second copy */
        if (products_are_exact(scale, n / (size_t)group))
            dequant_affine(dst, codes, scale, bias, n, 4, group, true);
        else
            dequant_affine(dst, codes, scale, bias, n, 4, group, false);
        break;
    case 5:
        dequant_affine(dst, codes, scale, bias, n, 5, group, false);
        break;
    case 6:
        dequant_affine(dst, codes, scale, bias, n, 6, group, false);
        break;
    default:
        dequant_affine(dst, codes, scale, bias, n, 8, group, false);
    }
}

static inline void dequant_e2m1(float *dst, const uint8_t *codes, const float *scale, size_t n,
                                int group)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256 w[4], lo = _mm256_set1_ps(scale[i / (size_t)group]);
        __m256 hi = group == 16 ? _mm256_set1_ps(scale[i / 16 + 1]) : lo;
        e2m1_32(w, codes + i / 2, lo, hi);
        store_32(dst + i, w);
    }
    if (i < n)
        auk_dequant_e2m1_scalar(dst + i, codes + i / 2, scale + i / (size_t)group, n - i, group);
}

void auk_dequant_e2m1_avx2(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group)
{
    if (group == 16)
        dequant_e2m1(dst, codes, scale, n, 16);
    else if (group == 32)
        dequant_e2m1(dst, codes, scale, n, 32);
    else
        dequant_e2m1(dst, codes, scale, n, group);
}

void auk_dequant_e4m3_avx2(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group)
{
    for (size_t i = 0; i < n; i += (size_t)group) { /* mxfp8's group is 32 */
        __m256 w[4], s = _mm256_set1_ps(*scale++);
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            e4m3_32(w, codes + k, s);
            store_32(dst + k, w);
        }
    }
}
