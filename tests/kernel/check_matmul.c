/* SPDX-License-Identifier: Apache-2.0 */
/* auk_matmul_run: every y is the scalar table's dot of the dequantized row with x, whatever the
 * number of threads, the split of the rows of x over calls, and the processor level. */
#include "kernel/kcheck.h"

#include "base/half.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    auk_weight_type type;
    auk_scale_type scale_type;
    int bits, group;
} formats[] = {
    {"f32", AUK_W_F32, AUK_S_F32, 32, 0},
    {"f16", AUK_W_F16, AUK_S_F32, 16, 0},
    {"bf16", AUK_W_BF16, AUK_S_F32, 16, 0},
    {"affine2 f32", AUK_W_AFFINE, AUK_S_F32, 2, 32},
    {"affine3 f16", AUK_W_AFFINE, AUK_S_F16, 3, 32},
    {"affine4 bf16", AUK_W_AFFINE, AUK_S_BF16, 4, 64},
    {"affine5 bf16", AUK_W_AFFINE, AUK_S_BF16, 5, 64},
    {"affine6 bf16", AUK_W_AFFINE, AUK_S_BF16, 6, 64},
    {"affine8 bf16", AUK_W_AFFINE, AUK_S_BF16, 8, 64},
    {"affine8 f32", AUK_W_AFFINE, AUK_S_F32, 8, 64},
    {"mxfp4", AUK_W_E2M1, AUK_S_E8M0, 4, 32},
    {"nvfp4", AUK_W_E2M1, AUK_S_E4M3, 4, 16},
    {"mxfp8", AUK_W_E4M3, AUK_S_E8M0, 8, 32},
};
#define N_FORMATS (sizeof formats / sizeof *formats)

static const int thread_counts[] = {1, 2, 3, 7};
static const size_t all_n[] = {1, 2, 3, 4, 5, 7, 13};
#define N_ALL (sizeof all_n / sizeof *all_n)

#define MAX_N 13
#define ROWS 37 /* two ranges and a part of one */

static uint8_t *random_scales(k_test *t, auk_scale_type type, size_t n)
{
    size_t width = type == AUK_S_F32 ? 4 : type == AUK_S_E8M0 || type == AUK_S_E4M3 ? 1 : 2;
    void *p = k_guarded(t, n * width);

    switch (type) {
    case AUK_S_F32:
        k_fill(t, p, n, K_NORMAL);
        break;
    case AUK_S_F16:
        k_fill_f16(t, p, n, K_NORMAL);
        break;
    case AUK_S_BF16:
        k_fill_bf16(t, p, n, K_NORMAL);
        break;
    case AUK_S_E8M0: /* 2^-17 to 2^12 */
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)p)[i] = (uint8_t)(110 + k_below(t, 30));
        break;
    case AUK_S_E4M3:
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)p)[i] = (uint8_t)k_below(t, 127);
        break;
    }
    return p;
}

/* Drawn weights; released by k_release. */
static auk_mat random_mat(k_test *t, size_t format, size_t rows, size_t cols)
{
    auk_mat m = {.type = formats[format].type,
                 .scale_type = formats[format].scale_type,
                 .bits = formats[format].bits,
                 .group = formats[format].group,
                 .rows = rows,
                 .cols = cols,
                 .row_bytes = cols / 8 * (size_t)formats[format].bits};
    void *codes = k_guarded(t, rows * m.row_bytes);

    if (m.type == AUK_W_F32)
        k_fill(t, codes, rows * cols, K_NORMAL);
    else if (m.type == AUK_W_F16)
        k_fill_f16(t, codes, rows * cols, K_NORMAL);
    else if (m.type == AUK_W_BF16)
        k_fill_bf16(t, codes, rows * cols, K_NORMAL);
    else
        k_fill_bytes(t, codes, rows * m.row_bytes);
    m.codes = codes;
    if (m.group != 0) {
        size_t groups = cols / (size_t)m.group;
        m.scales = random_scales(t, m.scale_type, rows * groups);
        if (m.type == AUK_W_AFFINE)
            m.biases = random_scales(t, m.scale_type, rows * groups);
        m.scale_row_bytes = groups * (m.scale_type == AUK_S_F32    ? 4
                                      : m.scale_type <= AUK_S_BF16 ? 2
                                                                   : 1);
    }
    return m;
}

/* The matrix as panels; released by k_release. */
static uint8_t *panels_of(k_test *t, const auk_mat *m, const auk_panel_shape *s)
{
    uint8_t *w = k_guarded(t, auk_panel_count(m->rows) * s->panel_bytes);

    for (size_t p = 0; p < auk_panel_count(m->rows); p++)
        auk_panel_pack(w + p * s->panel_bytes, m, s, p);
    return w;
}

static void by_hand_panels(k_test *t, float *want, const auk_kernel *ref, const auk_matmul *job,
                           const auk_panel_shape *s)
{
    size_t rows = job->m->rows, n_panels = auk_panel_count(rows), wide = n_panels * AUK_PANEL_ROWS;
    uint8_t *w = panels_of(t, job->m, s);
    uint32_t *px = auk_alloc(auk_panel_x_words(s->cols, s->group, 1) * sizeof *px);
    float *out = auk_alloc(wide * sizeof *out);

    for (size_t i = 0; i < job->n; i++) {
        const float *x =
            job->x + (job->gather != NULL ? (size_t)job->gather[i] : i) * job->x_stride;
        ref->panel_x(px, &x, 1, s->cols, s->group);
        auk_panel_dot(ref, s->type)(out, wide, w, n_panels, s, px, 1);
        for (size_t r = 0; r < rows; r++)
            want[i * job->y_stride + r] = auk_round_bf16(out[r]);
    }
    free(px);
    free(out);
}

/* want[t][r] by the definition, with the scalar table. */
static void by_hand(k_test *test, float *want, const auk_kernel *ref, const auk_matmul *job)
{
    auk_panel_shape s;
    auk_work w;

    if (job->bf16 && auk_panel_shape_of(&s, job->m)) {
        by_hand_panels(test, want, ref, job, &s);
        return;
    }
    float *row = auk_alloc(job->m->cols * sizeof *row);
    if (auk_work_init(&w, ref, NULL, job->m->cols, 0, NULL) < 0)
        abort();
    for (size_t r = 0; r < job->m->rows; r++) {
        auk_mat_row(&w, row, job->m, r);
        for (size_t t = 0; t < job->n; t++) {
            size_t at = job->gather != NULL ? (size_t)job->gather[t] : t;
            float y = ref->dot_f32(row, job->x + at * job->x_stride, job->m->cols);
            want[t * job->y_stride + r] = job->bf16 ? auk_round_bf16(y) : y;
        }
    }
    auk_work_release(&w);
    free(row);
}

static void run(const auk_kernel *cur, int threads, auk_matmul *jobs, size_t n_jobs,
                size_t max_cols)
{
    auk_pool *pool = auk_pool_new(threads);
    auk_work work;
    auk_err err;

    if (auk_work_init(&work, cur, pool, max_cols, 64 * (max_cols + 2), &err) < 0)
        abort();
    auk_matmul_run(&work, jobs, n_jobs);
    auk_work_release(&work);
    auk_pool_free(pool);
}

/* ---- one product -------------------------------------------------------------------------- */

static void check_format(k_test *t, const auk_kernel *ref, const auk_kernel *cur, size_t format,
                         size_t cols)
{
    auk_mat m = random_mat(t, format, ROWS, cols);
    size_t y_stride = ROWS + 3, x_stride = cols + 5, n_y = MAX_N * y_stride;
    float *x = k_guarded(t, (MAX_N * x_stride - 5) * sizeof *x);
    float *want = k_guarded(t, n_y * sizeof *want), *got = k_guarded(t, n_y * sizeof *got);
    int32_t gather[MAX_N];
    auk_panel_shape shape;

    k_fill(t, x, MAX_N * x_stride - 5, K_NORMAL);
    ref->round_bf16(x, MAX_N * x_stride - 5);
    const uint8_t *panels = auk_panel_shape_of(&shape, &m) ? panels_of(t, &m, &shape) : NULL;
    for (int i = 0; i < MAX_N; i++)
        gather[i] = (int32_t)k_below(t, MAX_N); /* some twice */
    for (size_t i = 0; i < 2 * N_ALL; i++) {
        auk_matmul job = {.m = &m,
                          .x = x,
                          .n = all_n[i % N_ALL],
                          .y_stride = y_stride,
                          .x_stride = x_stride,
                          .gather = i % 2 ? gather : NULL,
                          .bf16 = i < N_ALL};
        memset(want, 0, n_y * sizeof *want);
        by_hand(t, want, ref, &job);
        for (size_t j = 0; j < sizeof thread_counts / sizeof *thread_counts; j++) {
            memset(got, 0, n_y * sizeof *got);
            job.y = got;
            m.panels = j % 2 ? panels : NULL;
            run(cur, thread_counts[j], &job, 1, cols);
            k_same_bits(t, got, want, n_y * sizeof *got, job.n, (int)format);
        }
        auk_matmul one[MAX_N]; /* the rows of x one at a time */
        for (size_t k = 0; k < job.n; k++) {
            one[k] = job;
            one[k].n = 1;
            one[k].y = got + k * y_stride;
            one[k].gather = job.gather != NULL ? gather + k : NULL;
            one[k].x = x + (job.gather != NULL ? 0 : k * x_stride);
        }
        memset(got, 0, n_y * sizeof *got);
        run(cur, 2, one, job.n, cols);
        k_same_bits(t, got, want, n_y * sizeof *got, job.n, (int)format);
    }
    k_release(t);
}

static void check_one_product(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t format = 0; format < N_FORMATS; format++) {
        size_t unit = formats[format].group > 0 ? (size_t)formats[format].group : 8;
        check_format(t, ref, cur, format, unit);
        check_format(t, ref, cur, format, 5 * unit);
        check_format(t, ref, cur, format, 768);
    }
    for (size_t format = 0; format < 3; format++) /* rows of any length */
        for (size_t cols = 8; cols <= 72; cols += 8)
            check_format(t, ref, cur, format, cols);
}

/* ---- several in one pass: other shapes, formats and numbers of rows, one of them empty ----- */

static void check_many_products(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (int round = 0; round < 20; round++) {
        auk_matmul jobs[5];
        auk_mat mats[5];
        float *want[5];
        for (int i = 0; i < 5; i++) {
            size_t rows = 1 + k_below(t, 40), cols = 64 * (1 + k_below(t, 8)), n = k_below(t, 6);
            mats[i] = random_mat(t, k_below(t, N_FORMATS), rows, cols);
            float *x = k_guarded(t, (n + 1) * cols * sizeof *x);
            k_fill(t, x, n * cols, K_NORMAL);
            ref->round_bf16(x, n * cols);
            want[i] = k_guarded(t, (n * rows + 1) * sizeof *x);
            jobs[i] = (auk_matmul){.m = &mats[i],
                                   .y = k_guarded(t, (n * rows + 1) * sizeof *x),
                                   .x = x,
                                   .n = n,
                                   .y_stride = rows,
                                   .x_stride = cols,
                                   .bf16 = k_below(t, 2)};
            by_hand(t, want[i], ref, &jobs[i]);
        }
        for (size_t j = 0; j < sizeof thread_counts / sizeof *thread_counts; j++) {
            run(cur, thread_counts[j], jobs, 5, 512);
            for (int i = 0; i < 5; i++) {
                size_t n_y = jobs[i].n * mats[i].rows;
                k_same_bits(t, jobs[i].y, want[i], n_y * sizeof(float), n_y, i);
                memset(jobs[i].y, 0, n_y * sizeof(float));
            }
        }
        k_release(t);
    }
}

/* ---- benchmark: one thread; ops are a multiplication and an addition each ------------------ */

static void bench_one_product(k_test *t, const auk_kernel *cur)
{
    static const size_t n_of[] = {1, 2, 3, 4, 8, 16, 64};
    static const size_t which[] = {2, 5, 12}; /* bf16, affine4, mxfp8 */
    const size_t rows = 256, cols = 2048;
    auk_work work;
    auk_err err;
    char what[64];

    if (auk_work_init(&work, cur, NULL, cols, 64 * cols, &err) < 0)
        abort();
    float *x = k_guarded(t, 64 * cols * sizeof *x), *y = k_guarded(t, 64 * rows * sizeof *y);
    k_fill(t, x, 64 * cols, K_NORMAL);
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        auk_mat m = random_mat(t, which[i], rows, cols);
        for (size_t j = 0; j < sizeof n_of / sizeof *n_of; j++) {
            auk_matmul job = {
                .m = &m, .y = y, .x = x, .n = n_of[j], .y_stride = rows, .x_stride = cols};
            snprintf(what, sizeof what, "%s n=%zu", formats[which[i]].name, n_of[j]);
            for (k_bench_start(t, what, (double)(rows * auk_mat_bytes_per_row(&m)),
                               2.0 * (double)(rows * cols * n_of[j]));
                 k_bench_more(t);)
                auk_matmul_run(&work, &job, 1);
        }
    }
    auk_work_release(&work);
    k_release(t);
}

int main(int argc, char **argv)
{
    static const k_case cases[] = {
        {"one_product", 0, 0, check_one_product, bench_one_product},
        {"many_products", 0, 0, check_many_products, NULL},
    };

    return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
