/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kernel.h"

#include "base/mem.h"
#include "kernel/exact_math.h"

/* Rows of one range.  With several x, their dequantized values (8 KB each at 2048 columns) stay in
 * the second-level cache while every x passes by. */
#define TILE_ROWS 16
#define TILE_X 12 /* x whose addresses are collected for one call */

size_t auk_mat_bytes_per_row(const auk_mat *m)
{
    return m->row_bytes + m->scale_row_bytes * (m->biases != NULL ? 2 : m->scales != NULL ? 1 : 0);
}

static void expand_scales(float *dst, const auk_kernel *k, auk_scale_type type, const uint8_t *src,
                          size_t n)
{
    switch (type) {
    case AUK_S_BF16:
        k->bf16_to_f32(dst, src, n);
        break;
    case AUK_S_F16:
        k->f16_to_f32(dst, src, n);
        break;
    case AUK_S_F32:
        memcpy(dst, src, n * sizeof *dst);
        break;
    case AUK_S_E8M0:
        for (size_t i = 0; i < n; i++)
            dst[i] = auk_e8m0_to_f32(src[i]);
        break;
    case AUK_S_E4M3:
        for (size_t i = 0; i < n; i++)
            dst[i] = auk_e4m3_to_f32(src[i]);
        break;
    }
}

/* scale gets room for the row's scales and, after them, its biases. */
static void row_scales(float *scale, const auk_kernel *k, const auk_mat *m, size_t row)
{
    if (m->scales == NULL)
        return;
    size_t groups = m->cols / (size_t)m->group;
    expand_scales(scale, k, m->scale_type, m->scales + row * m->scale_row_bytes, groups);
    if (m->biases != NULL)
        expand_scales(scale + groups, k, m->scale_type, m->biases + row * m->scale_row_bytes,
                      groups);
}

static void dequant_row(float *dst, float *scale, const auk_kernel *k, const auk_mat *m, size_t row)
{
    const uint8_t *codes = m->codes + row * m->row_bytes;

    row_scales(scale, k, m, row);
    switch (m->type) {
    case AUK_W_F32:
        memcpy(dst, codes, m->cols * sizeof *dst);
        break;
    case AUK_W_F16:
        k->f16_to_f32(dst, codes, m->cols);
        break;
    case AUK_W_BF16:
        k->bf16_to_f32(dst, codes, m->cols);
        break;
    case AUK_W_AFFINE:
        k->dequant_affine(dst, codes, scale, scale + m->cols / (size_t)m->group, m->cols, m->bits,
                          m->group);
        break;
    case AUK_W_E2M1:
        k->dequant_e2m1(dst, codes, scale, m->cols, m->group);
        break;
    case AUK_W_E4M3:
        k->dequant_e4m3(dst, codes, scale, m->cols, m->group);
        break;
    }
}

/* One row against one x, the weights going straight from packed codes into the sum. */
static float dot_row(float *tile, const auk_kernel *k, const auk_mat *m, size_t row, const float *x)
{
    const uint8_t *codes = m->codes + row * m->row_bytes;
    float *scale = tile + TILE_ROWS * m->cols;

    switch (m->type) {
    case AUK_W_BF16:
        return k->dot_bf16(codes, x, m->cols);
    case AUK_W_AFFINE:
        row_scales(scale, k, m, row);
        return k->dot_affine(codes, scale, scale + m->cols / (size_t)m->group, x, m->cols, m->bits,
                             m->group);
    case AUK_W_E2M1:
        row_scales(scale, k, m, row);
        return k->dot_e2m1(codes, scale, x, m->cols, m->group);
    case AUK_W_E4M3:
        row_scales(scale, k, m, row);
        return k->dot_e4m3(codes, scale, x, m->cols, m->group);
    default:
        dequant_row(tile, scale, k, m, row);
        return k->dot_f32(tile, x, m->cols);
    }
}

/* This thread's part, on a cache line: vectors that straddle two are read twice. */
static float *tile_of(const auk_work *w)
{
    size_t off = (uintptr_t)w->tile % 64 / sizeof *w->tile;

    return w->tile + (off ? 16 - off : 0) + (size_t)auk_pool_self() * w->tile_floats;
}

void auk_mat_row(const auk_work *w, float *dst, const auk_mat *m, size_t row)
{
    dequant_row(dst, tile_of(w) + TILE_ROWS * m->cols, w->k, m, row);
}

static const float *row_of_x(const auk_matmul *job, size_t t)
{
    return job->x + (job->gather != NULL ? (size_t)job->gather[t] : t) * job->x_stride;
}

static void put(const auk_matmul *job, size_t t, size_t row, float v)
{
    job->y[t * job->y_stride + row] = job->round_bf16 ? auk_round_bf16(v) : v;
}

/* Rows [lo, hi), hi - lo <= TILE_ROWS, of one product. */
static void run_rows(const auk_work *w, const auk_matmul *job, size_t lo, size_t hi)
{
    float *tile = tile_of(w);
    const auk_mat *m = job->m;

    if (job->n == 1) {
        for (size_t r = lo; r < hi; r++)
            put(job, 0, r, dot_row(tile, w->k, m, r, row_of_x(job, 0)));
        return;
    }
    for (size_t r = lo; r < hi; r++)
        dequant_row(tile + (r - lo) * m->cols, tile + TILE_ROWS * m->cols, w->k, m, r);
    for (size_t t = 0; t < job->n; t += TILE_X) {
        const float *x[TILE_X];
        size_t n = job->n - t < TILE_X ? job->n - t : TILE_X;
        float *y = job->y + t * job->y_stride + lo;
        for (size_t i = 0; i < n; i++)
            x[i] = row_of_x(job, t + i);
        w->k->dot_tile(y, job->y_stride, tile, hi - lo, x, n, m->cols);
        for (size_t i = 0; i < n && job->round_bf16; i++)
            w->k->round_bf16(y + i * job->y_stride, hi - lo);
    }
}

typedef struct batch {
    const auk_work *w;
    const auk_matmul *jobs;
} batch;

/* [lo, hi) counts the rows of all jobs one after another. */
static void run_range(void *ctx, size_t lo, size_t hi)
{
    const batch *b = ctx;
    size_t first = 0; /* the row count before this job */

    for (const auk_matmul *job = b->jobs; first < hi; first += job->m->rows, job++) {
        size_t end = first + job->m->rows;
        size_t from = lo > first ? lo : first, to = hi < end ? hi : end;
        if (from < to && job->n > 0)
            run_rows(b->w, job, from - first, to - first);
    }
}

void auk_matmul_run(const auk_work *w, const auk_matmul *jobs, size_t n_jobs)
{
    batch b = {w, jobs};
    size_t rows = 0;

    for (size_t i = 0; i < n_jobs; i++)
        rows += jobs[i].m->rows;
    auk_pool_run(w->pool, rows, TILE_ROWS, run_range, &b);
}

static size_t tile_floats(size_t max_cols)
{
    size_t n = TILE_ROWS * max_cols + max_cols / 8; /* scales and biases of groups of 16 */

    return n / 16 * 16 + 16; /* whole cache lines */
}

size_t auk_work_bytes(int threads, size_t max_cols)
{
    return ((size_t)threads * tile_floats(max_cols) + 16) * sizeof(float);
}

int auk_work_init(auk_work *w, const auk_kernel *k, auk_pool *pool, size_t max_cols, auk_err *err)
{
    *w = (auk_work){.k = k, .pool = pool, .tile_floats = tile_floats(max_cols)};
    return auk_try_alloc(&w->tile, auk_work_bytes(auk_pool_threads(pool), max_cols), 1, err);
}

void auk_work_release(auk_work *w)
{
    free(w->tile);
    *w = (auk_work){0};
}
