/* SPDX-License-Identifier: Apache-2.0 */
/* The definition of a product in bfloat16 precision: one chain of fused multiply-adds per row and
 * group, the second of a pair first; then the groups one after another. */
#include "kernel/scalar/scalar.h"

#include "kernel/panel.h"

#include <math.h>

#define PIECE 64 /* columns whose weights are made once for all x */

/* a[t] after columns [at, at + n) of a group, n even but for the last column of all. */
static void add_piece(float *a, const auk_panel_shape *s, const uint8_t *lines, size_t at, size_t n,
                      size_t r, const float *x, size_t n_x)
{
    float w[PIECE];

    for (size_t c = 0; c < n; c++)
        w[c] = auk_panel_weight(s, lines, at + c, r);
    for (size_t t = 0; t < n_x; t++)
        for (size_t c = 0; c < n; c += 2) {
            if (c + 1 < n)
                a[t] = fmaf(w[c + 1], x[(at + c + 1) * n_x + t], a[t]);
            a[t] = fmaf(w[c], x[(at + c) * n_x + t], a[t]);
        }
}

/* total[t] after the group that begins at column `at`. */
static void add_group(float *total, const auk_panel_shape *s, const uint8_t *panel, size_t at,
                      size_t r, const float *x, size_t n_x, const float *sums)
{
    size_t g = at / s->group, n = auk_panel_group_cols(s, at);
    const uint8_t *lines = panel + s->lines_at + g * s->group_bytes;
    const uint8_t *sb = lines + s->group_bytes - AUK_LINE + 4 * r;
    float a[AUK_PANEL_MAX_X] = {0}, scale = 1, bias = 0;

    for (size_t c = 0; c < n; c += PIECE)
        add_piece(a, s, lines, c, n - c < PIECE ? n - c : PIECE, r, x, n_x);
    if (s->type == AUK_P_U4 || s->type == AUK_P_U8) {
        scale = auk_bf16_to_f32((uint16_t)(sb[0] | sb[1] << 8));
        bias = auk_bf16_to_f32((uint16_t)(sb[2] | sb[3] << 8));
    } else if (s->type != AUK_P_BF16) {
        scale = auk_e8m0_to_f32(panel[g * AUK_PANEL_ROWS + r]);
    }
    for (size_t t = 0; t < n_x; t++) {
        total[t] = s->type == AUK_P_BF16 ? total[t] + a[t] : fmaf(scale, a[t], total[t]);
        if (s->type == AUK_P_U4 || s->type == AUK_P_U8)
            total[t] = fmaf(bias, sums[t], total[t]);
    }
}

/* Floats, [column][n_x], a last one without a partner beside zeros. */
void auk_panel_x_scalar(uint32_t *dst, const float *const *x, size_t n_x, size_t cols, size_t group)
{
    float *out = (float *)(void *)dst, *sums = out + (cols + 1) / 2 * 2 * n_x;

    for (size_t t = 0; t < n_x; t++) {
        for (size_t c = 0; c < cols; c++)
            out[c * n_x + t] = auk_panel_flush(x[t][c]);
        if (cols % 2 == 1)
            out[cols * n_x + t] = 0;
        for (size_t c = 0; c < cols; c += group)
            sums[c / group * n_x + t] =
                auk_panel_sum(x[t] + c, cols - c < group ? cols - c : group);
    }
}

void auk_panel_scalar(float *out, size_t out_stride, const uint8_t *w, size_t n_panels,
                      const auk_panel_shape *s, const uint32_t *x, size_t n_x)
{
    const float *v = (const float *)(const void *)x;
    const float *sums = auk_panel_sums(x, s->cols, n_x, 2);

    for (size_t p = 0; p < n_panels; p++)
        for (size_t r = 0; r < AUK_PANEL_ROWS; r++) {
            float total[AUK_PANEL_MAX_X] = {0};
            for (size_t c = 0; c < s->cols; c += s->group)
                add_group(total, s, w + p * s->panel_bytes, c, r, v + c * n_x, n_x,
                          sums + c / s->group * n_x);
            for (size_t t = 0; t < n_x; t++)
                out[t * out_stride + p * AUK_PANEL_ROWS + r] = total[t];
        }
}

double auk_peak_scalar(size_t n)
{
    volatile float keep;
    float a[8] = {0};

    for (size_t i = 0; i < n; i++)
        for (int j = 0; j < 8; j++)
            a[j] = fmaf(a[j], 0.5f, 1.0f);
    keep = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
    (void)keep;
    return 16.0 * (double)n;
}
