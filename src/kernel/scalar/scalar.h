/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.h - the reference of every slot of kernel.h, and the parts faster levels fall back on. */
#ifndef AUK_KERNEL_SCALAR_H
#define AUK_KERNEL_SCALAR_H

#include "kernel/kernel.h"

float auk_dot_f32_scalar(const float *a, const float *b, size_t n);
float auk_dot_bf16_scalar(const uint8_t *w, const float *x, size_t n);
float auk_dot_affine_scalar(const uint8_t *codes, const float *scale, const float *bias,
                            const float *x, size_t n, int bits, int group);
float auk_dot_e2m1_scalar(const uint8_t *codes, const float *scale, const float *x, size_t n,
                          int group);
float auk_dot_e4m3_scalar(const uint8_t *codes, const float *scale, const float *x, size_t n,
                          int group);
void auk_dot_tile_scalar(float *y, size_t y_stride, const float *a, size_t rows,
                         const float *const *x, size_t n_x, size_t n);

void auk_bf16_to_f32_scalar(float *dst, const uint8_t *src, size_t n);
void auk_f16_to_f32_scalar(float *dst, const uint8_t *src, size_t n);
void auk_dequant_affine_scalar(float *dst, const uint8_t *codes, const float *scale,
                               const float *bias, size_t n, int bits, int group);
void auk_dequant_e2m1_scalar(float *dst, const uint8_t *codes, const float *scale, size_t n,
                             int group);
void auk_dequant_e4m3_scalar(float *dst, const uint8_t *codes, const float *scale, size_t n,
                             int group);

void auk_f32_to_bf16_scalar(uint8_t *dst, const float *src, size_t n);
void auk_round_bf16_scalar(float *x, size_t n);
void auk_axpy_f32_scalar(float *y, float a, const float *x, size_t n);
void auk_axpy_bf16_scalar(float *y, float a, const uint8_t *x, size_t n);
void auk_silu_scalar(float *x, size_t n);
void auk_softmax_scalar(float *x, size_t n);
size_t auk_argmax_scalar(const float *x, size_t n);
bool auk_finite_bf16_scalar(const uint8_t *src, size_t n);

void auk_quantize_affine_scalar(uint8_t *codes, float *scale, float *bias, const float *w, size_t n,
                                int bits, int group, auk_rounding rounding);
void auk_quantize_fp_scalar(uint8_t *codes, uint8_t *scale, const float *w, size_t n,
                            const auk_fp_rule *rule);

void auk_gemm_f32_scalar(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                         const float *b, size_t ldb, size_t m, size_t n, size_t k, bool minus);
void auk_search_affine_scalar(float *scale, float *bias, const float *w, const float *a, int bits,
                              int group);
void auk_solve_lanes_scalar(float *t, const float *w, const float *c, const float *r, size_t ldr,
                            int group);
void auk_pull_affine_scalar(uint8_t *codes, float *e, float *loss, const float *w, const float *c,
                            const float *r, size_t ldr, const float *scale, const float *bias,
                            int bits, int group);

/* Code i of a packed row: a little-endian stream of `bits`-bit fields. */
static inline unsigned auk_code_at(const uint8_t *codes, size_t i, int bits)
{
    size_t at = i * (size_t)bits;
    unsigned v = codes[at / 8];

    if (at % 8 + (size_t)bits > 8)
        v |= (unsigned)codes[at / 8 + 1] << 8;
    return v >> at % 8 & ((1u << bits) - 1);
}

void auk_panel_x_scalar(uint32_t *dst, const float *const *x, size_t n_x, size_t cols,
                        size_t group);
auk_panel_fn auk_panel_scalar;
double auk_peak_scalar(size_t n);

#endif
