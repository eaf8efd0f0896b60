/* SPDX-License-Identifier: Apache-2.0 */
/* Which slots NEON replaces. */
#include "kernel/arm/neon.h"

void auk_kernel_init_neon(auk_kernel *k)
{
    k->dot_f32 = auk_dot_f32_neon;
    k->dot_bf16 = auk_dot_bf16_neon;
    k->dot_affine = auk_dot_affine_neon;
    k->dot_e2m1 = auk_dot_e2m1_neon;
    k->dot_e4m3 = auk_dot_e4m3_neon;
    k->dot_tile = auk_dot_tile_neon;
    k->bf16_to_f32 = auk_bf16_to_f32_neon;
    k->f16_to_f32 = auk_f16_to_f32_neon;
    k->dequant_affine = auk_dequant_affine_neon;
    k->dequant_e2m1 = auk_dequant_e2m1_neon;
    k->dequant_e4m3 = auk_dequant_e4m3_neon;
    k->f32_to_bf16 = auk_f32_to_bf16_neon;
    k->round_bf16 = auk_round_bf16_neon;
    k->axpy_f32 = auk_axpy_f32_neon;
    k->axpy_bf16 = auk_axpy_bf16_neon;
    k->silu = auk_silu_neon;
    k->softmax = auk_softmax_neon;
    k->argmax = auk_argmax_neon;
}
