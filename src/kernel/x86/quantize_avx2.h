/* SPDX-License-Identifier: Apache-2.0 */
/* quantize_avx2.h - the quantizer's slots of kernel.h for AVX2 with FMA and F16C. */
#ifndef AUK_KERNEL_QUANTIZE_AVX2_H
#define AUK_KERNEL_QUANTIZE_AVX2_H

#include "kernel/kernel.h"

bool auk_finite_bf16_avx2(const uint8_t *src, size_t n);
void auk_quantize_affine_avx2(uint8_t *codes, float *scale, float *bias, const float *w, size_t n,
                              int bits, int group, auk_rounding rounding);
void auk_quantize_fp_avx2(uint8_t *codes, uint8_t *scale, const float *w, size_t n,
                          const auk_fp_rule *rule);

#endif
