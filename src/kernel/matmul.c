/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kernel.h"

#include "base/mem.h"
#include "base/half.h"
#include "kernel/exact_math.h"

#include <assert.h>

/* Rows of one range.  With several x, their dequantized values (8 KB each at 2048 columns) stay in
 * the second-level cache while every x passes by. */
#define TILE_ROWS 16
#define TILE_X AUK_PANEL_MAX_X /* x whose addresses are collected for one call */

/* Panels of one range: x goes past this many, which stay in the second-level cache, before the next
 * rows of x come. */
#define RANGE_PANELS 4

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
    auk_panel_shape s;

    if (m->codes == NULL && auk_panel_shape_of(&s, m))
        auk_panel_row(dst, m->panels, &s, row);
    else
        dequant_row(dst, tile_of(w) + TILE_ROWS * m->cols, w->k, m, row);
}

static const float *row_of_x(const auk_matmul *job, size_t t)
{
    return job->x + (job->gather != NULL ? (size_t)job->gather[t] : t) * job->x_stride;
}

static void put(const auk_matmul *job, size_t t, size_t row, float v)
{
    job->y[t * job->y_stride + row] = job->bf16 ? auk_round_bf16(v) : v;
}

/* ---- row by row ---------------------------------------------------------------------------- */

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
        for (size_t i = 0; i < n && job->bf16; i++)
            w->k->round_bf16(y + i * job->y_stride, hi - lo);
    }
}

/* ---- panels -------------------------------------------------------------------------------- */

/* Rows of x are packed in tiles of up to TILE_X, all but the last full. */
static size_t tiles_of(const auk_matmul *job)
{
    return (job->n + TILE_X - 1) / TILE_X;
}

static size_t tile_n(const auk_matmul *job, size_t tile)
{
    size_t left = job->n - tile * TILE_X;

    return left < TILE_X ? left : TILE_X;
}

static const uint32_t *tile_x(const auk_matmul *job, size_t tile)
{
    return job->px + tile * auk_panel_x_words(job->shape.cols, job->shape.group, TILE_X);
}

/* The product's rows of 16 panels p0 ... p0 + n_panels of tile `tile`, from out to y. */
static void put_panels(const auk_work *w, const auk_matmul *job, float *out, size_t stride,
                       size_t tile, size_t p0, size_t n_panels)
{
    size_t row = p0 * AUK_PANEL_ROWS, rows = n_panels * AUK_PANEL_ROWS, n = tile_n(job, tile);

    if (rows > job->m->rows - row)
        rows = job->m->rows - row;
    for (size_t t = 0; t < n; t++) {
        w->k->round_bf16(out + t * stride, rows);
        memcpy(job->y + (tile * TILE_X + t) * job->y_stride + row, out + t * stride,
               rows * sizeof *out);
    }
}

/* Panels [lo, hi), at most RANGE_PANELS, of one product. */
static void run_panels(const auk_work *w, const auk_matmul *job, size_t lo, size_t hi)
{
    _Alignas(64) float out[TILE_X * RANGE_PANELS * AUK_PANEL_ROWS];
    const auk_panel_shape *s = &job->shape;
    auk_panel_fn *dot = auk_panel_dot(w->k, s->type);
    const uint8_t *panels = job->m->panels;
    size_t step = panels != NULL ? hi - lo : 1, stride = step * AUK_PANEL_ROWS;

    for (size_t p = lo; p < hi; p += step) {
        const uint8_t *at = panels + p * s->panel_bytes;
        if (panels == NULL) { /* in the thread's own memory, for this once */
            auk_panel_pack((uint8_t *)tile_of(w), job->m, s, p);
            at = (const uint8_t *)tile_of(w);
        }
        for (size_t t = 0; t < tiles_of(job); t++) {
            dot(out, stride, at, step, s, tile_x(job, t), tile_n(job, t));
            put_panels(w, job, out, stride, t, p, step);
        }
    }
}

typedef struct batch {
    const auk_work *w;
    const auk_matmul *jobs;
} batch;

static void pack_tile(const auk_work *w, const auk_matmul *job, size_t tile)
{
    const float *x[TILE_X];
    size_t n = tile_n(job, tile);

    for (size_t i = 0; i < n; i++)
        x[i] = row_of_x(job, tile * TILE_X + i);
    w->k->panel_x(w->x + (tile_x(job, tile) - w->x), x, n, job->shape.cols, job->shape.group);
}

static bool same_x(const auk_matmul *a, const auk_matmul *b)
{
    return a->paneled && a->x == b->x && a->gather == b->gather && a->n == b->n &&
           a->x_stride == b->x_stride && a->shape.cols == b->shape.cols &&
           a->shape.group == b->shape.group;
}

/* [lo, hi) counts the tiles of all jobs that pack their own. */
static void pack_range(void *ctx, size_t lo, size_t hi)
{
    const batch *b = ctx;
    size_t first = 0;

    for (const auk_matmul *job = b->jobs; first < hi; job++) {
        if (!job->paneled || (job > b->jobs && same_x(job - 1, job)))
            continue;
        size_t n = tiles_of(job);
        for (size_t i = lo > first ? lo - first : 0; i < n && first + i < hi; i++)
            pack_tile(b->w, job, i);
        first += n;
    }
}

/* Decides which jobs are done with panels, and packs what they multiply. */
static void prepare(const auk_work *w, auk_matmul *jobs, size_t n_jobs)
{
    batch b = {w, jobs};
    size_t words = 0, tiles = 0;

    for (size_t i = 0; i < n_jobs; i++) {
        auk_matmul *job = &jobs[i];
        job->paneled = job->bf16 && job->n > 0 && auk_panel_shape_of(&job->shape, job->m);
        if (!job->paneled)
            continue;
        if (i > 0 && same_x(job - 1, job)) {
            job->px = job[-1].px;
            continue;
        }
        job->px = w->x + words;
        words += auk_panel_x_words(job->shape.cols, job->shape.group, job->n);
        tiles += tiles_of(job);
    }
    assert(words <= w->x_words);
    if (tiles > 0)
        auk_pool_run(w->pool, tiles, tiles * TILE_X > 64 ? 1 : tiles, pack_range, &b);
}

/* ---- all jobs ------------------------------------------------------------------------------ */

/* [lo, hi) counts the panels of all jobs one after another. */
static void run_range(void *ctx, size_t lo, size_t hi)
{
    const batch *b = ctx;
    size_t first = 0; /* the panels before this job */

    for (const auk_matmul *job = b->jobs; first < hi; job++) {
        size_t rows = job->m->rows, end = first + auk_panel_count(rows);
        size_t from = lo > first ? lo : first, to = hi < end ? hi : end;
        if (job->paneled && from < to)
            run_panels(b->w, job, from - first, to - first);
        for (size_t p = from; p < to && !job->paneled && job->n > 0; p++) {
            size_t row = (p - first) * TILE_ROWS;
            run_rows(b->w, job, row, rows - row < TILE_ROWS ? rows : row + TILE_ROWS);
        }
        first = end;
    }
}

void auk_matmul_run(const auk_work *w, auk_matmul *jobs, size_t n_jobs)
{
    batch b = {w, jobs};
    size_t panels = 0;

    prepare(w, jobs, n_jobs);
    for (size_t i = 0; i < n_jobs; i++)
        panels += auk_panel_count(jobs[i].m->rows);
    auk_pool_run(w->pool, panels, RANGE_PANELS, run_range, &b);
}

static size_t tile_floats(size_t max_cols)
{
    size_t n = TILE_ROWS * max_cols + max_cols / 8; /* scales and biases of groups of 16 */

    return n / 16 * 16 + 32; /* whole cache lines, and a column without a partner */
}

/* Words of x: the sums of groups of 16 beside the values, and room for a last column alone. */
static size_t x_words(size_t max_x)
{
    return max_x + max_x / 2;
}

size_t auk_work_bytes(int threads, size_t max_cols, size_t max_x)
{
    return ((size_t)threads * tile_floats(max_cols) + 16 + x_words(max_x)) * sizeof(float);
}

int auk_work_init(auk_work *w, const auk_kernel *k, auk_pool *pool, size_t max_cols, size_t max_x,
                  auk_err *err)
{
    *w = (auk_work){
        .k = k, .pool = pool, .tile_floats = tile_floats(max_cols), .x_words = x_words(max_x)};
    size_t floats = (size_t)auk_pool_threads(pool) * w->tile_floats + 16;

    int rc = auk_try_alloc(&w->tile, floats, sizeof *w->tile, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&w->x, w->x_words + 1, sizeof *w->x, err);
    if (rc < 0)
        auk_work_release(w);
    return rc;
}

void auk_work_release(auk_work *w)
{
    free(w->tile);
    free(w->x);
    *w = (auk_work){0};
}
