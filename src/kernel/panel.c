/* SPDX-License-Identifier: Apache-2.0 */
/* From a file's rows to panels. */
#include "kernel/panel.h"

static auk_panel_shape shape(auk_panel_type type, size_t cols, size_t group, size_t lines,
                             size_t scale_bytes)
{
    auk_panel_shape s = {.type = type, .cols = cols, .group = group};
    size_t groups = (cols + group - 1) / group;

    s.group_bytes = lines * AUK_LINE;
    s.lines_at = (groups * scale_bytes + AUK_LINE - 1) / AUK_LINE * AUK_LINE;
    s.panel_bytes = s.lines_at + groups * s.group_bytes;
    return s;
}

auk_panel_shape auk_panel_bf16_shape(size_t cols)
{
    auk_panel_shape s = shape(AUK_P_BF16, cols, AUK_PANEL_GROUP, AUK_PANEL_GROUP / 2, 0);

    s.panel_bytes = (cols + 1) / 2 * AUK_LINE;
    return s;
}

bool auk_panel_shape_of(auk_panel_shape *out, const auk_mat *m)
{
    size_t group = (size_t)m->group;

    if (m->type == AUK_W_BF16) {
        *out = auk_panel_bf16_shape(m->cols);
        return true;
    }
    if (m->group <= 0 || group % 16 != 0 || m->cols % group != 0)
        return false;
    if (m->type == AUK_W_AFFINE && m->scale_type == AUK_S_BF16 && m->bits == 4)
        *out = shape(AUK_P_U4, m->cols, group, group / 8 + 1, 0);
    else if (m->type == AUK_W_AFFINE && m->scale_type == AUK_S_BF16 && m->bits == 8)
        *out = shape(AUK_P_U8, m->cols, group, group / 4 + 1, 0);
    else if (m->type == AUK_W_E2M1 && m->scale_type == AUK_S_E8M0)
        *out = shape(AUK_P_E2M1, m->cols, group, group / 8, AUK_PANEL_ROWS);
    else if (m->type == AUK_W_E4M3 && m->scale_type == AUK_S_E8M0)
        *out = shape(AUK_P_E4M3, m->cols, group, group / 4, AUK_PANEL_ROWS);
    else
        return false;
    return true;
}

size_t auk_panel_x_words(size_t cols, size_t group, size_t n_x)
{
    return ((cols + 1) / 2 * 2 + (cols + group - 1) / group) * n_x;
}

auk_panel_fn *auk_panel_dot(const auk_kernel *k, auk_panel_type type)
{
    switch (type) {
    case AUK_P_BF16:
        return k->panel_bf16;
    case AUK_P_U4:
        return k->panel_u4;
    case AUK_P_U8:
        return k->panel_u8;
    case AUK_P_E2M1:
        return k->panel_e2m1;
    case AUK_P_E4M3:
        break;
    }
    return k->panel_e4m3;
}

static uint32_t load_32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* Nibbles 0 1 2 ... 7 to 0 2 4 6 | 1 3 5 7. */
static uint32_t part_nibbles(uint32_t v)
{
    uint32_t even = v & 0x0F0F0F0Fu, odd = v >> 4 & 0x0F0F0F0Fu;

    even = (even | even >> 4) & 0x00FF00FFu;
    odd = (odd | odd >> 4) & 0x00FF00FFu;
    return (even | even >> 8) % 0x10000u | (odd | odd >> 8) << 16;
}

/* Bytes 0 1 2 3 to 0 2 | 1 3. */
static uint32_t part_bytes(uint32_t v)
{
    return (v & 0xFF0000FFu) | (v & 0xFF00u) << 8 | (v & 0xFF0000u) >> 8;
}

/* Both bf16 values, those below the smallest that counts as zeros. */
static uint32_t flush_pair(uint32_t v)
{
    const uint32_t tiny = (127u - 50u) << 7;

    if ((v & 0x7FFFu) < tiny)
        v &= 0xFFFF0000u;
    if ((v >> 16 & 0x7FFFu) < tiny)
        v &= 0xFFFFu;
    return v;
}

typedef uint32_t word_fn(uint32_t v);

/* n words of each of the rows at src, row_bytes apart, become n lines. */
static inline void part_lines(uint8_t *dst, const uint8_t *src, size_t row_bytes, size_t rows,
                              size_t n, word_fn *fn)
{
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows; r++) {
            uint32_t v = fn(load_32(src + r * row_bytes + 4 * i));
            memcpy(dst + i * AUK_LINE + 4 * r, &v, sizeof v);
        }
}

static void pack_bf16(uint8_t *dst, const auk_mat *m, const uint8_t *src, size_t rows)
{
    part_lines(dst, src, m->row_bytes, rows, m->cols / 2, flush_pair);
    if (m->cols % 2 == 0)
        return;
    for (size_t r = 0; r < rows; r++) { /* a last column without a partner */
        const uint8_t *p = src + r * m->row_bytes + 2 * (m->cols - 1);
        uint32_t v = flush_pair((uint32_t)p[0] | (uint32_t)p[1] << 8);
        memcpy(dst + m->cols / 2 * AUK_LINE + 4 * r, &v, sizeof v);
    }
}

static void pack_scales(uint8_t *dst, const auk_mat *m, size_t first, size_t rows, size_t g)
{
    for (size_t r = 0; r < rows; r++) {
        memcpy(dst + 4 * r, m->scales + (first + r) * m->scale_row_bytes + 2 * g, 2);
        memcpy(dst + 4 * r + 2, m->biases + (first + r) * m->scale_row_bytes + 2 * g, 2);
    }
}

void auk_panel_pack(uint8_t *dst, const auk_mat *m, const auk_panel_shape *s, size_t p)
{
    size_t first = p * AUK_PANEL_ROWS, left = m->rows - first;
    size_t rows = left < AUK_PANEL_ROWS ? left : AUK_PANEL_ROWS;
    const uint8_t *src = m->codes + first * m->row_bytes;
    bool bytes = s->type == AUK_P_U8 || s->type == AUK_P_E4M3;
    size_t words = s->group / (bytes ? 4 : 8);

    if (rows < AUK_PANEL_ROWS)
        memset(dst, 0, s->panel_bytes);
    if (s->type == AUK_P_BF16) {
        pack_bf16(dst, m, src, rows);
        return;
    }
    for (size_t g = 0; g < s->cols / s->group; g++) {
        uint8_t *lines = dst + s->lines_at + g * s->group_bytes;
        if (bytes)
            part_lines(lines, src + 4 * words * g, m->row_bytes, rows, words, part_bytes);
        else
            part_lines(lines, src + 4 * words * g, m->row_bytes, rows, words, part_nibbles);
        if (s->lines_at == 0)
            pack_scales(lines + words * AUK_LINE, m, first, rows, g);
        for (size_t r = 0; r < rows && s->lines_at > 0; r++)
            dst[g * AUK_PANEL_ROWS + r] = m->scales[(first + r) * m->scale_row_bytes + g];
    }
}

void auk_panel_row(float *dst, const uint8_t *panels, const auk_panel_shape *s, size_t row)
{
    const uint8_t *panel = panels + row / AUK_PANEL_ROWS * s->panel_bytes;
    size_t r = row % AUK_PANEL_ROWS;

    for (size_t c = 0, g = 0; c < s->cols; c += s->group, g++) {
        const uint8_t *lines = panel + s->lines_at + g * s->group_bytes;
        const uint8_t *sb = lines + s->group_bytes - AUK_LINE + 4 * r;
        float scale = 1, bias = 0;
        if (s->type == AUK_P_U4 || s->type == AUK_P_U8) {
            scale = auk_bf16_to_f32((uint16_t)(sb[0] | sb[1] << 8));
            bias = auk_bf16_to_f32((uint16_t)(sb[2] | sb[3] << 8));
        } else if (s->type != AUK_P_BF16) {
            scale = auk_e8m0_to_f32(panel[g * AUK_PANEL_ROWS + r]);
        }
        for (size_t i = 0; i < auk_panel_group_cols(s, c); i++) {
            float v = auk_panel_weight(s, lines, i, r) * scale;
            dst[c + i] = bias == 0 ? v : v + bias;
        }
    }
}
