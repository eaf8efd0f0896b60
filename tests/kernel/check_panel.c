/* SPDX-License-Identifier: Apache-2.0 */
/* Products with panels: every level gives the scalar table's bits, and those are near the sum in
 * double of the dequantized weights' products. */
#include "kernel/kcheck.h"

#include "base/half.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

static const struct format {
    const char *name;
    auk_weight_type type;
    auk_scale_type scale_type;
    int bits, group;
} formats[] = {
    [AUK_P_BF16] = {"bf16", AUK_W_BF16, AUK_S_BF16, 16, 0},
    [AUK_P_U4] = {"u4", AUK_W_AFFINE, AUK_S_BF16, 4, 64},
    [AUK_P_U8] = {"u8", AUK_W_AFFINE, AUK_S_BF16, 8, 64},
    [AUK_P_E2M1] = {"mxfp4", AUK_W_E2M1, AUK_S_E8M0, 4, 32},
    [AUK_P_E4M3] = {"mxfp8", AUK_W_E4M3, AUK_S_E8M0, 8, 32},
};

static void fill_scales(k_test *t, uint8_t *p, size_t n, auk_scale_type type, int pattern)
{
    if (type == AUK_S_BF16) {
        k_fill_bf16(t, (uint16_t *)(void *)p, n, pattern);
        return;
    }
    for (size_t i = 0; i < n; i++) /* mostly in range, sometimes the two ends */
        p[i] = (uint8_t)(k_below(t, 32) ? 100 + k_below(t, 50) : k_below(t, 2) ? 0 : 1);
}

static auk_mat random_mat(k_test *t, auk_panel_type type, int group, size_t rows, size_t cols,
                          int pattern)
{
    const struct format *f = &formats[type];
    auk_mat m = {.type = f->type,
                 .scale_type = f->scale_type,
                 .bits = f->bits,
                 .group = group,
                 .rows = rows,
                 .cols = cols,
                 .row_bytes = cols * (size_t)f->bits / 8};
    uint8_t *codes = k_guarded(t, rows * m.row_bytes);

    if (m.type == AUK_W_BF16)
        k_fill_bf16(t, (uint16_t *)(void *)codes, rows * cols, pattern);
    else
        k_fill_bytes(t, codes, rows * m.row_bytes);
    m.codes = codes;
    if (group > 0) {
        size_t n = rows * (cols / (size_t)group), width = m.scale_type == AUK_S_BF16 ? 2 : 1;
        uint8_t *scales = k_guarded(t, n * width), *biases = k_guarded(t, n * width);
        fill_scales(t, scales, n, m.scale_type, pattern == K_EXTREMES ? K_NORMAL : pattern);
        fill_scales(t, biases, n, m.scale_type, pattern == K_EXTREMES ? K_NORMAL : pattern);
        m.scales = scales;
        m.biases = m.type == AUK_W_AFFINE ? biases : NULL;
        m.scale_row_bytes = cols / (size_t)group * width;
    }
    return m;
}

static uint8_t *pack(k_test *t, const auk_mat *m, const auk_panel_shape *s)
{
    size_t n = auk_panel_count(m->rows);
    uint8_t *w = k_guarded(t, n * s->panel_bytes);

    for (size_t p = 0; p < n; p++)
        auk_panel_pack(w + p * s->panel_bytes, m, s, p);
    return w;
}

static void run(k_test *t, const auk_kernel *k, float *out, const uint8_t *w, size_t n_panels,
                const auk_panel_shape *s, const float *const *x, size_t n_x)
{
    uint32_t *px = k_guarded(t, auk_panel_x_words(s->cols, s->group, n_x) * sizeof *px);

    k->panel_x(px, x, n_x, s->cols, s->group);
    auk_panel_dot(k, s->type)(out, n_panels * AUK_PANEL_ROWS, w, n_panels, s, px, n_x);
}

static double flushed(float v)
{
    return fabsf(v) < 0x1p-50f ? 0 : (double)v;
}

/* Row r of m against x in double, with the sum of all magnitudes that go into it. */
static double by_hand(double *sum_abs, const auk_work *w, const auk_mat *m, size_t r,
                      const float *x, float *row)
{
    size_t group = (size_t)m->group;
    double sum = 0;

    auk_mat_row(w, row, m, r);
    *sum_abs = 0;
    for (size_t c = 0; c < m->cols; c++) {
        double v = m->type == AUK_W_BF16 ? flushed(row[c]) : (double)row[c], y = flushed(x[c]);
        double scale = 0;
        if (m->type == AUK_W_AFFINE) { /* scale * code and the bias cancel */
            const uint8_t *p = m->biases + r * m->scale_row_bytes + 2 * (c / group);
            scale = 2 * fabs((double)auk_bf16_to_f32((uint16_t)(p[0] | p[1] << 8)));
        }
        sum += v * y;
        *sum_abs += (fabs(v) + scale) * fabs(y);
    }
    return sum;
}

static void check_shape(k_test *t, const auk_kernel *ref, const auk_kernel *cur,
                        auk_panel_type type, int group, size_t rows, size_t cols, int pattern)
{
    auk_mat m = random_mat(t, type, group, rows, cols, pattern);
    size_t n_panels = auk_panel_count(rows), wide = n_panels * AUK_PANEL_ROWS;
    float *x[AUK_PANEL_MAX_X], *row = auk_alloc(cols * sizeof *row);
    auk_panel_shape s;
    auk_work work;
    auk_err err;

    k_true(t, auk_panel_shape_of(&s, &m) && s.type == type, "%s has no panels", formats[type].name);
    if (auk_work_init(&work, ref, NULL, cols, 0, &err) < 0)
        abort();
    uint8_t *w = pack(t, &m, &s);
    for (size_t i = 0; i < AUK_PANEL_MAX_X; i++) {
        x[i] = k_guarded(t, cols * sizeof **x);
        k_fill(t, x[i], cols, pattern);
        for (size_t c = 0; c < cols; c++)
            x[i][c] = auk_round_bf16(x[i][c]);
    }
    for (size_t n = 1; n <= AUK_PANEL_MAX_X; n++) {
        float *want = k_guarded(t, n * wide * sizeof *want);
        float *got = k_guarded(t, n * wide * sizeof *got);
        run(t, ref, want, w, n_panels, &s, (const float *const *)x, n);
        run(t, cur, got, w, n_panels, &s, (const float *const *)x, n);
        k_same_bits(t, got, want, n * wide * sizeof *got, cols, pattern);
        for (size_t r = 0; r < wide && n == 3; r++)
            for (size_t i = 0; i < n; i++) {
                double sum_abs = 0;
                double sum = r < rows ? by_hand(&sum_abs, &work, &m, r, x[i], row) : 0;
                k_near(t, want[i * wide + r], sum, 16 + (double)cols / 16, sum_abs, cols, pattern);
            }
    }
    auk_work_release(&work);
    free(row);
    k_release(t);
}

static void check_type(k_test *t, const auk_kernel *ref, const auk_kernel *cur, auk_panel_type type)
{
    static const size_t bf16_cols[] = {1, 2, 3, 15, 31, 32, 33, 63, 64, 65, 96, 127, 130, 768};
    int group = formats[type].group;

    for (int pattern = 0; pattern < K_PATTERNS; pattern++) {
        for (size_t i = 0; type == AUK_P_BF16 && i < sizeof bf16_cols / sizeof *bf16_cols; i++)
            check_shape(t, ref, cur, type, 0, 16 + i % 3, bf16_cols[i], pattern);
        for (size_t n = 1; group > 0 && n <= 12; n = n * 2 + 1)
            check_shape(t, ref, cur, type, group, 31 + n, n * (size_t)group, pattern);
        if (group == 64) {
            check_shape(t, ref, cur, type, 32, 5, 96, pattern);
            check_shape(t, ref, cur, type, 128, 16, 384, pattern);
        }
    }
}

static void check_bf16(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_type(t, ref, cur, AUK_P_BF16);
}

static void check_u4(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_type(t, ref, cur, AUK_P_U4);
}

static void check_u8(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_type(t, ref, cur, AUK_P_U8);
}

static void check_e2m1(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_type(t, ref, cur, AUK_P_E2M1);
}

static void check_e4m3(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_type(t, ref, cur, AUK_P_E4M3);
}

/* ---- benchmark: one thread; "memory" walks 256 MB, "L2" stays in 0.5 MB -------------------- */

static void bench_type(k_test *t, const auk_kernel *cur, auk_panel_type type)
{
    static const size_t n_of[] = {1, 2, 4, 8, 12};
    const size_t cols = 2048;
    auk_mat m = {.type = formats[type].type,
                 .scale_type = formats[type].scale_type,
                 .bits = formats[type].bits,
                 .group = formats[type].group,
                 .rows = 16,
                 .cols = cols};
    auk_panel_shape s;
    char what[64];

    (void)auk_panel_shape_of(&s, &m);
    for (int big = 0; big < (cur->cpu_flags > AUK_CPU_SCALAR ? 2 : 1); big++) {
        size_t bytes = big ? (size_t)64 << 20 : (size_t)1 << 19, n = bytes / s.panel_bytes;
        uint8_t *w = auk_alloc(n * s.panel_bytes + AUK_PANEL_ROWS * 4);
        float *x = auk_alloc(cols * sizeof *x);
        float *out = auk_alloc(AUK_PANEL_MAX_X * n * AUK_PANEL_ROWS * sizeof *out);
        uint32_t *px = auk_alloc(4 * auk_panel_x_words(cols, s.group, AUK_PANEL_MAX_X));
        const float *rows[AUK_PANEL_MAX_X];
        memset(w, 0x3C, n * s.panel_bytes);
        k_fill(t, x, cols, K_NORMAL);
        for (size_t i = 0; i < AUK_PANEL_MAX_X; i++)
            rows[i] = x;
        for (size_t i = 0; i < sizeof n_of / sizeof *n_of; i++) {
            cur->panel_x(px, rows, n_of[i], cols, s.group);
            snprintf(what, sizeof what, "%s n=%zu", big ? "memory" : "L2", n_of[i]);
            for (k_bench_start(t, what, (double)(n * s.panel_bytes),
                               2.0 * (double)(n * AUK_PANEL_ROWS * cols * n_of[i]));
                 k_bench_more(t);)
                auk_panel_dot(cur, type)(out, n * AUK_PANEL_ROWS, w, n, &s, px, n_of[i]);
        }
        free(w);
        free(x);
        free(out);
        free(px);
    }
}

static void bench_bf16(k_test *t, const auk_kernel *cur)
{
    bench_type(t, cur, AUK_P_BF16);
}

static void bench_u4(k_test *t, const auk_kernel *cur)
{
    bench_type(t, cur, AUK_P_U4);
}

static void bench_u8(k_test *t, const auk_kernel *cur)
{
    bench_type(t, cur, AUK_P_U8);
}

static void bench_e2m1(k_test *t, const auk_kernel *cur)
{
    bench_type(t, cur, AUK_P_E2M1);
}

static void bench_e4m3(k_test *t, const auk_kernel *cur)
{
    bench_type(t, cur, AUK_P_E4M3);
}

int main(int argc, char **argv)
{
    static const k_case cases[] = {
        {K_SLOT(panel_bf16), check_bf16, bench_bf16}, {K_SLOT(panel_u4), check_u4, bench_u4},
        {K_SLOT(panel_u8), check_u8, bench_u8},       {K_SLOT(panel_e2m1), check_e2m1, bench_e2m1},
        {K_SLOT(panel_e4m3), check_e4m3, bench_e4m3},
    };

    return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
