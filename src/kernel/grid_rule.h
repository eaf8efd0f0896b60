/* SPDX-License-Identifier: Apache-2.0 */
/* grid_rule.h - where the search for a group's scale and bias begins: one row's arithmetic, the
 * same at every level.  Private to kernel/. */
#ifndef AUK_KERNEL_GRID_RULE_H
#define AUK_KERNEL_GRID_RULE_H

#include "base/half.h"

#include <math.h>

#define AUK_GRID_RANGES 16

/* 1.07 down to 0.90. */
static inline float auk_grid_factor(int i)
{
    return (float)(1.07 - (double)i * (0.17 / 15));
}

/* MLX's pair for a group with these extremes, both rounded to bfloat16; hi > lo. */
static inline void auk_grid_first(float *scale, float *bias, float lo, float hi, float top)
{
    hi = hi > 0.0f ? hi : 0.0f;
    float s = (hi - lo) / top;
    s = s > 1e-7f ? s : 1e-7f;
    int side = fabsf(lo) > fabsf(hi);
    s = side ? s : -s;
    float edge = side ? lo : hi, q0 = roundf(edge / s);
    *scale = auk_round_bf16(q0 != 0.0f ? edge / q0 : s);
    *bias = q0 != 0.0f ? auk_round_bf16(edge) : 0.0f;
}

#endif
