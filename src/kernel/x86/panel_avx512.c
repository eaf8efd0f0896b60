/* SPDX-License-Identifier: Apache-2.0 */
/* Products with panels where AVX-512 multiplies floats only, or bf16 pairs slower than those. */
#include "kernel/x86/avx512.h"

#include <immintrin.h>
#include <stdint.h>

#include "kernel/x86/panel_avx512.h"

PANEL_ALL(auk_panel_bf16_avx512, AUK_P_BF16)
PANEL_ALL(auk_panel_u4_avx512, AUK_P_U4)
PANEL_ALL(auk_panel_u8_avx512, AUK_P_U8)
PANEL_ALL(auk_panel_e2m1_avx512, AUK_P_E2M1)
PANEL_ALL(auk_panel_e4m3_avx512, AUK_P_E4M3)

double auk_peak_avx512(size_t n)
{
    return peak(n);
}
