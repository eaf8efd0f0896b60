/* SPDX-License-Identifier: Apache-2.0 */
/* Which slots AVX2 (with FMA and F16C) replaces. */
#include "kernel/x86/avx2.h"

#include "kernel/x86/quantize_avx2.h"

void auk_kernel_init_avx2(auk_kernel *k)
{
    k->dot_f32 = auk_dot_f32_avx2;
    k->dot_bf16 = auk_dot_bf16_avx2;
    k->dot_affine = auk_dot_affine_avx2;
    k->dot_e2m1 = auk_dot_e2m1_avx2;
    k->dot_e4m3 = auk_dot_e4m3_avx2;
    k->dot_tile = auk_dot_tile_avx2;
    k->peak = auk_peak_avx2;
    k->panel_bf16 = auk_panel_bf16_avx2;
    k->panel_u4 = auk_panel_u4_avx2;
    k->panel_u8 = auk_panel_u8_avx2;
    k->panel_e2m1 = auk_panel_e2m1_avx2;
    k->panel_e4m3 = auk_panel_e4m3_avx2;
    k->bf16_to_f32 = auk_bf16_to_f32_avx2;
    k->f16_to_f32 = auk_f16_to_f32_avx2;
    k->dequant_affine = auk_dequant_affine_avx2;
    k->dequant_e2m1 = auk_dequant_e2m1_avx2;
    k->dequant_e4m3 = auk_dequant_e4m3_avx2;
    k->f32_to_bf16 = auk_f32_to_bf16_avx2;
    k->round_bf16 = auk_round_bf16_avx2;
    k->axpy_f32 = auk_axpy_f32_avx2;
    k->axpy_bf16 = auk_axpy_bf16_avx2;
    k->silu = auk_silu_avx2;
    k->softmax = auk_softmax_avx2;
    k->argmax = auk_argmax_avx2;
    k->finite_bf16 = auk_finite_bf16_avx2;
    k->quantize_affine = auk_quantize_affine_avx2;
    k->quantize_fp = auk_quantize_fp_avx2;
    k->gemm_f32 = auk_gemm_f32_avx2;
    k->search_affine = auk_search_affine_avx2;
    k->solve_lanes = auk_solve_lanes_avx2;
    k->pull_affine = auk_pull_affine_avx2;
}
