/* SPDX-License-Identifier: Apache-2.0 */
/* neon.h - the slots of kernel.h for NEON, and packed weights into vectors of 4 floats, shared by
 * the dot products and the dequantizers so that both see the same bits. */
#ifndef AUK_KERNEL_NEON_H
#define AUK_KERNEL_NEON_H

#include "kernel/kernel.h"

#include <arm_neon.h>

float auk_dot_f32_neon(const float *a, const float *b, size_t n);
float auk_dot_bf16_neon(const uint8_t *w, const float *x, size_t n);
float auk_dot_affine_neon(const uint8_t *codes, const float *scale, const float *bias,
                          const float *x, size_t n, int bits, int group);
float auk_dot_e2m1_neon(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group);
float auk_dot_e4m3_neon(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group);
void auk_dot_tile_neon(float *y, size_t y_stride, const float *a, size_t rows,
                       const float *const *x, size_t n_x, size_t n);

void auk_bf16_to_f32_neon(float *dst, const uint8_t *src, size_t n);
void auk_f16_to_f32_neon(float *dst, const uint8_t *src, size_t n);
void auk_dequant_affine_neon(float *dst, const uint8_t *codes, const float *scale,
                             const float *bias, size_t n, int bits, int group);
void auk_dequant_e2m1_neon(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group);
void auk_dequant_e4m3_neon(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group);

void auk_f32_to_bf16_neon(uint8_t *dst, const float *src, size_t n);
void auk_round_bf16_neon(float *x, size_t n);
void auk_axpy_f32_neon(float *y, float a, const float *x, size_t n);
void auk_axpy_bf16_neon(float *y, float a, const uint8_t *x, size_t n);
void auk_silu_neon(float *x, size_t n);
void auk_softmax_neon(float *x, size_t n);
size_t auk_argmax_neon(const float *x, size_t n);

/* ---- 8 values as two vectors of 4 --------------------------------------------------------- */

static inline void load_bf16_8(float32x4_t out[2], const uint8_t *p)
{
    uint16x8_t h = vreinterpretq_u16_u8(vld1q_u8(p));

    out[0] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16));
    out[1] = vreinterpretq_f32_u32(vshll_high_n_u16(h, 16));
}

/* Whole numbers below 65536. */
static inline void widen_8(float32x4_t out[2], uint16x8_t v)
{
    out[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(v)));
    out[1] = vcvtq_f32_u32(vmovl_high_u16(v));
}

/* ---- affine ------------------------------------------------------------------------------- */

/* How 8 codes of 2, 3, 5 or 6 bits come out of the bytes they lie in: the two bytes each begins
 * in, how far it is shifted there, and what it keeps. */
typedef struct unpack {
    uint8x16_t pick;
    int16x8_t shift;
    uint16x8_t keep;
} unpack;

static inline unpack unpack_of(int bits)
{
    uint8_t pick[16];
    int16_t shift[8];

    for (int i = 0; i < 8; i++) {
        pick[2 * i] = (uint8_t)(i * bits / 8);
        pick[2 * i + 1] = (uint8_t)(i * bits / 8 + 1);
        shift[i] = (int16_t)(-(i * bits % 8));
    }
    return (unpack){vld1q_u8(pick), vld1q_s16(shift), vdupq_n_u16((uint16_t)((1 << bits) - 1))};
}

/* 16 bytes in which codes 8 j to 8 j + 7 begin at byte *at; nothing outside the 4 * bits bytes at
 * p is read. */
static inline uint8x16_t window(const uint8_t *p, int j, int bits, int *at)
{
    int from = 0;

    if (bits == 5 && j == 3)
        from = 4;
    if (bits == 3 && j >= 2)
        from = 4;
    if (bits == 6 && j >= 2)
        from = 8;
    *at = j * bits - from;
    return bits > 4 ? vld1q_u8(p + from) : vcombine_u8(vld1_u8(p + from), vdup_n_u8(0));
}

/* 32 codes as floats. */
static inline void codes_32(float32x4_t out[8], const uint8_t *p, int bits, const unpack *u)
{
    if (bits == 4 || bits == 8) {
        uint8x16_t lo, hi;
        if (bits == 4) { /* the even code is the low nibble */
            uint8x16_t v = vld1q_u8(p);
            uint8x16_t even = vandq_u8(v, vdupq_n_u8(15)), odd = vshrq_n_u8(v, 4);
            lo = vzip1q_u8(even, odd);
            hi = vzip2q_u8(even, odd);
        } else {
            lo = vld1q_u8(p);
            hi = vld1q_u8(p + 16);
        }
        widen_8(out, vmovl_u8(vget_low_u8(lo)));
        widen_8(out + 2, vmovl_high_u8(lo));
        widen_8(out + 4, vmovl_u8(vget_low_u8(hi)));
        widen_8(out + 6, vmovl_high_u8(hi));
        return;
    }
    for (int j = 0; j < 4; j++) {
        int at;
        uint8x16_t v = window(p, j, bits, &at);
        uint8x16_t two = vqtbl1q_u8(v, vaddq_u8(u->pick, vdupq_n_u8((uint8_t)at)));
        widen_8(out + 2 * j, vandq_u16(vshlq_u16(vreinterpretq_u16_u8(two), u->shift), u->keep));
    }
}

/* True when scale * code is exact for every scale and any code of up to 8 bits: no scale has more
 * than 16 significant bits (all that were stored as bfloat16 or float16) or could overflow.  The
 * fused operation then gives the bits of the two. */
static inline bool products_are_exact(const float *scale, size_t n)
{
    uint32_t low = 0, top = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t u, magnitude;
        memcpy(&u, scale + i, sizeof u);
        magnitude = u & 0x7FFFFFFFu;
        low |= u;
        top = magnitude > top ? magnitude : top;
    }
    return (low & 0xFF) == 0 && top < 0x77800000u; /* 2^112 */
}

/* 32 weights of one group: scale * code + bias, two roundings. */
static inline void affine_32(float32x4_t w[8], const uint8_t *p, float scale, float bias, int bits,
                             const unpack *u, bool fused)
{
    float32x4_t s = vdupq_n_f32(scale), b = vdupq_n_f32(bias);

    codes_32(w, p, bits, u);
    for (int j = 0; j < 8; j++)
        w[j] = fused ? vfmaq_f32(b, s, w[j]) : vaddq_f32(vmulq_f32(s, w[j]), b);
}

/* ---- e2m1, e4m3 --------------------------------------------------------------------------- */

/* 32 nibbles.  The upper half of each value as a float is looked up, a byte at a time. */
static inline void e2m1_32(float32x4_t w[8], const uint8_t *p, float scale_lo, float scale_hi)
{
    static const uint8_t low[16] = {0, 0, 0x80, 0xC0, 0, 0x40, 0x80, 0xC0,
                                    0, 0, 0x80, 0xC0, 0, 0x40, 0x80, 0xC0};
    static const uint8_t high[16] = {0,    0x3F, 0x3F, 0x3F, 0x40, 0x40, 0x40, 0x40,
                                     0x80, 0xBF, 0xBF, 0xBF, 0xC0, 0xC0, 0xC0, 0xC0};
    uint8x16_t v = vld1q_u8(p), even = vandq_u8(v, vdupq_n_u8(15)), odd = vshrq_n_u8(v, 4);
    uint8x16_t code[2] = {vzip1q_u8(even, odd), vzip2q_u8(even, odd)};

    for (int i = 0; i < 2; i++) {
        float32x4_t s = vdupq_n_f32(i == 0 ? scale_lo : scale_hi);
        uint8x16_t l = vqtbl1q_u8(vld1q_u8(low), code[i]);
        uint8x16_t h = vqtbl1q_u8(vld1q_u8(high), code[i]);
        uint16x8_t a = vreinterpretq_u16_u8(vzip1q_u8(l, h));
        uint16x8_t b = vreinterpretq_u16_u8(vzip2q_u8(l, h));
        w[4 * i] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(a), 16));
        w[4 * i + 1] = vreinterpretq_f32_u32(vshll_high_n_u16(a, 16));
        w[4 * i + 2] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(b), 16));
        w[4 * i + 3] = vreinterpretq_f32_u32(vshll_high_n_u16(b, 16));
        for (int j = 4 * i; j < 4 * i + 4; j++)
            w[j] = vmulq_f32(w[j], s);
    }
}

/* The code's low seven bits, shifted, are a float16 256 times too small; bit 14, where the shift
 * leaves a copy of the sign, is cleared. */
static inline void e4m3_32(float32x4_t w[8], const uint8_t *p, float scale)
{
    for (int j = 0; j < 4; j++) {
        int16x8_t c = vmovl_s8(vreinterpret_s8_u8(vld1_u8(p + 8 * j)));
        int16x8_t h = vandq_s16(vshlq_n_s16(c, 7), vdupq_n_s16((int16_t)0xBFFF));
        float16x8_t f = vreinterpretq_f16_s16(h);
        float32x4_t half[2] = {vcvt_f32_f16(vget_low_f16(f)), vcvt_high_f32_f16(f)};
        for (int i = 0; i < 2; i++)
            w[2 * j + i] = vmulq_n_f32(vmulq_n_f32(half[i], 256.0f), scale);
    }
}

#endif
