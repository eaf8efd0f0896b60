/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arm/neon.h"

#include "kernel/scalar/scalar.h"

void auk_bf16_to_f32_neon(float *dst, const uint8_t *src, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        float32x4_t v[2];
        load_bf16_8(v, src + 2 * i);
        vst1q_f32(dst + i, v[0]);
        vst1q_f32(dst + i + 4, v[1]);
    }
    auk_bf16_to_f32_scalar(dst + i, src + 2 * i, n - i);
}

void auk_f16_to_f32_neon(float *dst, const uint8_t *src, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        float16x8_t h = vreinterpretq_f16_u8(vld1q_u8(src + 2 * i));
        vst1q_f32(dst + i, vcvt_f32_f16(vget_low_f16(h)));
        vst1q_f32(dst + i + 4, vcvt_high_f32_f16(h));
    }
    auk_f16_to_f32_scalar(dst + i, src + 2 * i, n - i);
}

static inline void store_32(float *dst, const float32x4_t w[8])
{
    for (int j = 0; j < 8; j++)
        vst1q_f32(dst + 4 * j, w[j]);
}

static inline void dequant_affine(float *dst, const uint8_t *codes, const float *scale,
                                  const float *bias, size_t n, int bits, int group, bool fused)
{
    unpack u = unpack_of(bits);
    float32x4_t w[8];

    for (size_t i = 0; i < n; i += (size_t)group, scale++, bias++)
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            affine_32(w, codes + k / 8 * (size_t)bits, *scale, *bias, bits, &u, fused);
            store_32(dst + k, w);
        }
}

void auk_dequant_affine_neon(float *dst, const uint8_t *codes, const float *scale,
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

void auk_dequant_e2m1_neon(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        float32x4_t w[8];
        e2m1_32(w, codes + i / 2, scale[i / (size_t)group], scale[(i + 16) / (size_t)group]);
        store_32(dst + i, w);
    }
    if (i < n)
        auk_dequant_e2m1_scalar(dst + i, codes + i / 2, scale + i / (size_t)group, n - i, group);
}

void auk_dequant_e4m3_neon(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group)
{
    for (size_t i = 0; i < n; i += (size_t)group, scale++) /* mxfp8's group is 32 */
        for (size_t k = i; k < i + (size_t)group; k += 32) {
            float32x4_t w[8];
            e4m3_32(w, codes + k, *scale);
            store_32(dst + k, w);
        }
}
