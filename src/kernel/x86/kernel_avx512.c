/* SPDX-License-Identifier: Apache-2.0 */
/* Which slots the two AVX-512 levels replace. */
#include "kernel/x86/avx512.h"

void auk_kernel_init_avx512(auk_kernel *k)
{
    k->round_bf16 = auk_round_bf16_avx512;
    k->silu = auk_silu_avx512;
    k->softmax = auk_softmax_avx512;
    k->peak = auk_peak_avx512;
    k->panel_bf16 = auk_panel_bf16_avx512;
    k->panel_u4 = auk_panel_u4_avx512;
    k->panel_u8 = auk_panel_u8_avx512;
    k->panel_e2m1 = auk_panel_e2m1_avx512;
    k->panel_e4m3 = auk_panel_e4m3_avx512;
}

void auk_kernel_init_avx512bf16(auk_kernel *k)
{
    k->peak = auk_peak_avx512bf16;
    k->panel_x = auk_panel_x_avx512bf16;
    k->panel_bf16 = auk_panel_bf16_avx512bf16;
    k->panel_u4 = auk_panel_u4_avx512bf16;
    k->panel_u8 = auk_panel_u8_avx512bf16;
    k->panel_e2m1 = auk_panel_e2m1_avx512bf16;
    k->panel_e4m3 = auk_panel_e4m3_avx512bf16;
}
