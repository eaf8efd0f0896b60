/* SPDX-License-Identifier: Apache-2.0 */
/* avx2.h - the slots of kernel.h for AVX2 with FMA and F16C. */
#ifndef AUK_KERNEL_AVX2_H
#define AUK_KERNEL_AVX2_H

#include "kernel/kernel.h"

float auk_dot_f32_avx2(const float *a, const float *b, size_t n);
float auk_dot_bf16_avx2(const uint8_t *w, const float *x, size_t n);
float auk_dot_affine_avx2(const uint8_t *codes, const float *scale, const float *bias,
                          const float *x, size_t n, int bits, int group);
float auk_dot_e2m1_avx2(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group);
float auk_dot_e4m3_avx2(const uint8_t *codes, const float *scale, const float *x, size_t n,
                        int group);
void auk_dot_tile_avx2(float *y, size_t y_stride, const float *a, size_t rows,
                       const float *const *x, size_t n_x, size_t n);

auk_panel_fn auk_panel_bf16_avx2, auk_panel_u4_avx2, auk_panel_u8_avx2, auk_panel_e2m1_avx2,
    auk_panel_e4m3_avx2;
double auk_peak_avx2(size_t n);

void auk_bf16_to_f32_avx2(float *dst, const uint8_t *src, size_t n);
void auk_f16_to_f32_avx2(float *dst, const uint8_t *src, size_t n);
void auk_dequant_affine_avx2(float *dst, const uint8_t *codes, const float *scale,
                             const float *bias, size_t n, int bits, int group);
void auk_dequant_e2m1_avx2(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group);
void auk_dequant_e4m3_avx2(float *dst, const uint8_t *codes, const float *scale, size_t n,
                           int group);

void auk_f32_to_bf16_avx2(uint8_t *dst, const float *src, size_t n);
void auk_round_bf16_avx2(float *x, size_t n);
void auk_axpy_f32_avx2(float *y, float a, const float *x, size_t n);
void auk_axpy_bf16_avx2(float *y, float a, const uint8_t *x, size_t n);
void auk_silu_avx2(float *x, size_t n);
void auk_softmax_avx2(float *x, size_t n);
size_t auk_argmax_avx2(const float *x, size_t n);

void auk_gemm_f32_avx2(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                       const float *b, size_t ldb, size_t m, size_t n, size_t k, bool minus);
void auk_search_affine_avx2(float *scale, float *bias, const float *w, const float *a, int bits,
                            int group);
void auk_solve_lanes_avx2(float *t, const float *w, const float *c, const float *r, size_t ldr,
                          int group);
void auk_pull_affine_avx2(uint8_t *codes, float *e, float *loss, const float *w, const float *c,
                          const float *r, size_t ldr, const float *scale, const float *bias,
                          int bits, int group);

#endif
