/* SPDX-License-Identifier: Apache-2.0 */
/* avx512.h - the slots of kernel.h for AVX-512 (F, BW, VL, DQ) and for AVX-512 with BF16. */
#ifndef AUK_KERNEL_AVX512_H
#define AUK_KERNEL_AVX512_H

#include "kernel/kernel.h"

auk_panel_fn auk_panel_bf16_avx512, auk_panel_u4_avx512, auk_panel_u8_avx512, auk_panel_e2m1_avx512,
    auk_panel_e4m3_avx512;

void auk_round_bf16_avx512(float *x, size_t n);
void auk_silu_avx512(float *x, size_t n);
void auk_softmax_avx512(float *x, size_t n);

double auk_peak_avx512(size_t n);
double auk_peak_avx512bf16(size_t n);

void auk_panel_x_avx512bf16(uint32_t *dst, const float *const *x, size_t n_x, size_t cols,
                            size_t group);
auk_panel_fn auk_panel_bf16_avx512bf16, auk_panel_u4_avx512bf16, auk_panel_u8_avx512bf16,
    auk_panel_e2m1_avx512bf16, auk_panel_e4m3_avx512bf16;

#endif
