/* SPDX-License-Identifier: Apache-2.0 */
/* panel.h - the layout of panels, for the levels that read them.  Private to kernel/.
 *
 * A group is its lines of 64 bytes, word r of a line belonging to row r:
 *     bf16        group / 2 lines: columns 2 i (low half) and 2 i + 1
 *     u4, e2m1    group / 8 lines: nibble j of the low half is column 8 i + 2 j, of the high half
 *                 8 i + 2 j + 1
 *     u8, e4m3    group / 4 lines: the low byte of the low half is column 4 i, of the high half
 *                 4 i + 1, the high bytes 4 i + 2 and 4 i + 3
 * u4 and u8 end each group with a line of scales (low half) and biases, as bf16.  e2m1 and e4m3
 * begin each panel with 16 scale bytes per group (E8M0), filled up to a whole line. */
#ifndef AUK_KERNEL_PANEL_H
#define AUK_KERNEL_PANEL_H

#include "base/half.h"
#include "kernel/exact_math.h"
#include "kernel/kernel.h"

#define AUK_LINE 64

/* Below this, bf16 weights and x count as 0. */
#define AUK_PANEL_TINY 0x1p-50f

static inline float auk_panel_flush(float v)
{
    return v < AUK_PANEL_TINY && v > -AUK_PANEL_TINY ? 0.0f : v;
}

/* Columns of the group that begins at `at`. */
static inline size_t auk_panel_group_cols(const auk_panel_shape *s, size_t at)
{
    return s->cols - at < s->group ? s->cols - at : s->group;
}

/* Column `col` of the group whose lines begin at w, for row r. */
static inline float auk_panel_weight(const auk_panel_shape *s, const uint8_t *w, size_t col,
                                     size_t r)
{
    size_t per_line = s->type == AUK_P_BF16                          ? 2
                      : s->type == AUK_P_U4 || s->type == AUK_P_E2M1 ? 8
                                                                     : 4;
    size_t in = col % per_line;
    uint32_t v;

    memcpy(&v, w + col / per_line * AUK_LINE + 4 * r, sizeof v);
    v = v >> 16 * (in % 2) & 0xFFFFu;
    switch (s->type) {
    case AUK_P_BF16:
        return auk_bf16_to_f32((uint16_t)v);
    case AUK_P_U4:
        return (float)(v >> 4 * (in / 2) & 15u);
    case AUK_P_U8:
        return (float)(v >> 8 * (in / 2) & 255u);
    case AUK_P_E2M1:
        return auk_e2m1_to_f32(v >> 4 * (in / 2) & 15u);
    case AUK_P_E4M3:
        break;
    }
    return auk_e4m3_to_f32(v >> 8 * (in / 2) & 255u);
}

/* The sum of n <= group values, n any number, group a multiple of 16: 16 lanes, then a fold. */
static inline float auk_panel_sum(const float *x, size_t n)
{
    float lane[16] = {0};

    for (; n >= 16; n -= 16, x += 16)
        for (size_t j = 0; j < 16; j++)
            lane[j] += x[j];
    for (size_t j = 0; j < n; j++)
        lane[j] += x[j];
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

/* x as a level reads it: the pairs, [pair][n_x] of 1 word (two bf16) or 2 (two floats, [2][n_x]),
 * then the sums as floats, [group][n_x]. */
static inline const float *auk_panel_sums(const uint32_t *x, size_t cols, size_t n_x, size_t words)
{
    return (const float *)(const void *)(x + (cols + 1) / 2 * n_x * words);
}

#endif
