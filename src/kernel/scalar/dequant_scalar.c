/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/scalar/scalar.h"

#include "kernel/exact_math.h"

void auk_bf16_to_f32_scalar(float *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = auk_bf16_to_f32(auk_le16(src + 2 * i));
}

void auk_f16_to_f32_scalar(float *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = auk_f16_to_f32(auk_le16(src + 2 * i));
}

/* Two roundings: the product, then the sum (for bf16 scales the product is exact). */
void auk_dequant_affine_scalar(float *dst, const uint8_t *codes, const float *scale,
                               const float *bias, size_t n, int bits, int group)
{
    for (size_t i = 0; i < n; i++) {
        size_t g = i / (size_t)group;
        float product = scale[g] * (float)auk_code_at(codes, i, bits);
        dst[i] = product + bias[g];
    }
}

void auk_dequant_e2m1_scalar(float *dst, const uint8_t *codes, const float *scale, size_t n,
                             int group)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = auk_e2m1_to_f32(auk_code_at(codes, i, 4)) * scale[i / (size_t)group];
}

void auk_dequant_e4m3_scalar(float *dst, const uint8_t *codes, const float *scale, size_t n,
                             int group)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = auk_e4m3_to_f32(codes[i]) * scale[i / (size_t)group];
}
