/* SPDX-License-Identifier: Apache-2.0 */
/* Round to nearest in one pass: the plan's rows are cut into pieces of about a megabyte, in the
 * order of the result; a batch of pieces runs over the pool, each piece reads its rows from the
 * maps, quantizes, writes, and drops its pages.  What was written is marked batch by batch, so a
 * killed run goes on from there. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "quant/plan.h"

#include "base/half.h"
#include "base/mem.h"
#include "quant/calibrate.h"

#include <math.h>

#define PIECE_WEIGHTS ((uint64_t)1 << 19)
#define BATCH ((size_t)256)          /* pieces between two marks */
#define BLOCK_WEIGHTS ((size_t)4096) /* at a time, so that the floats stay in the first cache */

/* Rows of one slice of one module. */
typedef struct piece {
    uint32_t module;
    uint32_t slice;
    uint64_t row, n_rows; /* within the slice's tensor */
    uint64_t at;          /* the first weight's number within the module */
} piece;

typedef struct scratch {
    float *block;         /* owned; BLOCK_WEIGHTS */
    uint8_t *out;         /* owned; codes, or the unquantized rows */
    float *scale, *bias;  /* owned */
    uint8_t *scale_bytes; /* owned; as they are stored */
    auk_gptq_room room;   /* for the searched grid */
} scratch;

typedef struct run {
    const auk_quant_job *job;
    piece *pieces; /* owned */
    size_t n_pieces;
    uint64_t largest; /* weights of a piece */
    scratch *scratch; /* owned; one per thread */
    size_t base;      /* the first piece of the running batch */
    auk_err *errs;    /* owned; one per piece of a batch */
    int *rcs;         /* owned */
} run;

/* ---- reading ------------------------------------------------------------------------------- */

static void load(float *dst, const auk_kernel *k, const uint8_t *src, auk_dtype dtype, size_t n)
{
    if (dtype == AUK_DT_BF16)
        k->bf16_to_f32(dst, src, n);
    else if (dtype == AUK_DT_F16)
        k->f16_to_f32(dst, src, n);
    else
        memcpy(dst, src, n * sizeof *dst);
}

/* Rounds to the type the weights are cast to, as floats. */
static void cast(float *x, const auk_kernel *k, const auk_quant_origin *o, size_t n)
{
    if (o->from == o->to || o->to == AUK_DT_F32)
        return;
    if (o->to == AUK_DT_BF16)
        k->round_bf16(x, n);
    else
        for (size_t i = 0; i < n; i++)
            x[i] = auk_f16_to_f32(auk_f32_to_f16(x[i]));
}

static void store(uint8_t *dst, const auk_kernel *k, const float *src, auk_dtype dtype, size_t n)
{
    if (dtype == AUK_DT_BF16) {
        k->f32_to_bf16(dst, src, n);
    } else if (dtype == AUK_DT_F32) {
        memcpy(dst, src, n * sizeof *src);
    } else {
        for (size_t i = 0; i < n; i++) {
            uint16_t h = auk_f32_to_f16(src[i]);
            dst[2 * i] = (uint8_t)h;
            dst[2 * i + 1] = (uint8_t)(h >> 8);
        }
    }
}

static size_t first_bad(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return i;
    return n;
}

/* `first` is the block's first element within the tensor. */
static int check_block(const run *r, const auk_quant_origin *o, const auk_tensor *t,
                       const float *block, const uint8_t *src, size_t n, uint64_t first,
                       auk_err *err)
{
    if (o->from == AUK_DT_BF16 && o->to == AUK_DT_BF16 && r->job->k->finite_bf16(src, n))
        return AUK_OK;
    size_t i = first_bad(block, n);
    if (i == n)
        return AUK_OK;
    return auk_fail(err, AUK_EFORMAT,
                    "'%s': tensor '%.*s', element %llu is not a finite number%s: fetch it again",
                    auk_checkpoint_file(r->job->ck, t->shard), AUK_ARG(t->name),
                    (unsigned long long)(first + i), o->from == o->to ? "" : " after the cast");
}

/* ---- one piece ----------------------------------------------------------------------------- */

static auk_fp_rule fp_rule(const auk_quant_options *opts, auk_numfmt f, auk_dtype dtype)
{
    return (auk_fp_rule){f.mode, opts->rounding, opts->mx_scale,
                         dtype == AUK_DT_BF16  ? AUK_STEP_BF16
                         : dtype == AUK_DT_F16 ? AUK_STEP_F16
                                               : AUK_STEP_F32};
}

static void quantize_block(const run *r, scratch *s, const auk_quant_module *m,
                           const auk_fp_rule *rule, size_t at, size_t n)
{
    const auk_kernel *k = r->job->k;
    auk_numfmt f = m->format;
    size_t g = at / (size_t)f.group_size;
    uint8_t *codes = s->out + at / 8 * (size_t)f.bits;

    if (f.mode == AUK_AFFINE && r->job->opts->method != AUK_METHOD_RTN)
        auk_wrtn_block(codes, s->scale + g, s->bias + g, &s->room, k, s->block, n, f);
    else if (f.mode == AUK_AFFINE)
        k->quantize_affine(codes, s->scale + g, s->bias + g, s->block, n, f.bits, f.group_size,
                           rule->rounding);
    else if (r->job->opts->method != AUK_METHOD_RTN)
        auk_fp_search(codes, s->scale_bytes + g, k, s->block, n, rule);
    else
        k->quantize_fp(codes, s->scale_bytes + g, s->block, n, rule);
}

/* The piece's part of each of the module's tensors; `n` weights from number `at` on. */
static int write_piece(const run *r, scratch *s, size_t module, uint64_t at, size_t n, auk_err *err)
{
    const auk_quant_job *job = r->job;
    const auk_quant_module *m = &job->plan->list.modules[module];
    auk_dtype to = job->plan->origins[module].to;
    size_t item = auk_dtype_bytes(to), group = (size_t)m->format.group_size;
    int tensor = job->outputs[module];

    if (!m->is_quantized)
        return auk_sink_write(job->sink, tensor, at * item, s->out, n * item, err);
    uint64_t bits = (uint64_t)m->format.bits;
    int rc = auk_sink_write(job->sink, tensor, at / 8 * bits, s->out, n / 8 * bits, err);
    if (rc < 0)
        return rc;
    if (m->format.mode != AUK_AFFINE)
        return auk_sink_write(job->sink, tensor + 1, at / group, s->scale_bytes, n / group, err);
    store(s->scale_bytes, job->k, s->scale, to, n / group);
    rc = auk_sink_write(job->sink, tensor + 1, at / group * item, s->scale_bytes, n / group * item,
                        err);
    if (rc < 0)
        return rc;
    store(s->scale_bytes, job->k, s->bias, to, n / group);
    return auk_sink_write(job->sink, tensor + 2, at / group * item, s->scale_bytes,
                          n / group * item, err);
}

static int run_piece(const run *r, const piece *p, scratch *s, auk_err *err)
{
    const auk_quant_job *job = r->job;
    const auk_quant_module *m = &job->plan->list.modules[p->module];
    const auk_quant_origin *o = &job->plan->origins[p->module];
    const auk_tensor *t = job->plan->slices[p->slice].t;
    const auk_fp_rule rule = fp_rule(job->opts, m->format, o->to);
    uint64_t cols = auk_quant_cols(m), first = p->row * cols;
    size_t item = auk_dtype_bytes(o->from), n = (size_t)(p->n_rows * cols);
    const uint8_t *src = t->data + first * item;
    int rc = AUK_OK;

    for (size_t at = 0; at < n && rc == AUK_OK; at += BLOCK_WEIGHTS) {
        size_t some = n - at < BLOCK_WEIGHTS ? n - at : BLOCK_WEIGHTS;
        load(s->block, job->k, src + at * item, o->from, some);
        cast(s->block, job->k, o, some);
        rc = check_block(r, o, t, s->block, src + at * item, some, first + at, err);
        if (rc == AUK_OK && m->is_quantized)
            quantize_block(r, s, m, &rule, at, some);
        else if (rc == AUK_OK)
            store(s->out + at * auk_dtype_bytes(o->to), job->k, s->block, o->to, some);
    }
    if (rc == AUK_OK)
        rc = write_piece(r, s, p->module, p->at, n, err);
    auk_checkpoint_drop(job->ck, t, first * item, n * item);
    return rc;
}

static void run_range(void *ctx, size_t lo, size_t hi)
{
    run *r = ctx;

    for (size_t i = lo; i < hi; i++)
        r->rcs[i] =
            run_piece(r, &r->pieces[r->base + i], &r->scratch[auk_pool_self()], &r->errs[i]);
}

/* ---- all of them --------------------------------------------------------------------------- */

static uint64_t rows_per_piece(uint64_t cols)
{
    return cols < PIECE_WEIGHTS ? PIECE_WEIGHTS / cols : 1;
}

/* Calibration quantizes this module. */
static bool skips(const run *r, size_t module)
{
    return auk_calib_handles(r->job->opts, &r->job->plan->list.modules[module]);
}

static int cut_pieces(run *r, auk_err *err)
{
    const auk_quant_plan *plan = r->job->plan;
    size_t n = 0;

    for (size_t i = 0; i < plan->list.n; i++)
        for (size_t j = 0; j < plan->origins[i].n && !skips(r, i); j++) {
            uint64_t step = rows_per_piece(auk_quant_cols(&plan->list.modules[i]));
            n += (size_t)((plan->slices[plan->origins[i].first + j].n_rows + step - 1) / step);
        }
    int rc = auk_try_alloc(&r->pieces, n, sizeof *r->pieces, err);
    for (size_t i = 0; i < plan->list.n && rc == AUK_OK; i++) {
        uint64_t cols = auk_quant_cols(&plan->list.modules[i]), step = rows_per_piece(cols), at = 0;
        for (size_t j = plan->origins[i].first;
             j < plan->origins[i].first + plan->origins[i].n && !skips(r, i); j++)
            for (uint64_t row = 0; row < plan->slices[j].n_rows; row += step) {
                uint64_t left = plan->slices[j].n_rows - row, rows = left < step ? left : step;
                r->pieces[r->n_pieces++] =
                    (piece){(uint32_t)i, (uint32_t)j, plan->slices[j].first_row + row, rows, at};
                at += rows * cols;
                r->largest = rows * cols > r->largest ? rows * cols : r->largest;
            }
    }
    return rc;
}

static int make_scratch(run *r, auk_err *err)
{
    size_t n_threads = (size_t)auk_pool_threads(r->job->pool), n = (size_t)r->largest;
    int rc = auk_try_alloc(&r->scratch, n_threads, sizeof *r->scratch, err);

    for (size_t i = 0; i < n_threads && rc == AUK_OK; i++) {
        scratch *s = &r->scratch[i];
        rc = auk_try_alloc(&s->block, BLOCK_WEIGHTS, sizeof *s->block, err);
        if (rc == AUK_OK)
            rc = auk_try_alloc(&s->out, n, 4, err);
        if (rc == AUK_OK)
            rc = auk_try_alloc(&s->scale, n / 16 + 1, sizeof *s->scale, err);
        if (rc == AUK_OK)
            rc = auk_try_alloc(&s->bias, n / 16 + 1, sizeof *s->bias, err);
        if (rc == AUK_OK)
            rc = auk_try_alloc(&s->scale_bytes, n / 16 + 1, 4, err);
        if (rc == AUK_OK && r->job->opts->method != AUK_METHOD_RTN)
            rc = auk_gptq_room_init(&s->room, 128, err);
    }
    return rc;
}

static void release(run *r)
{
    for (size_t i = 0; r->scratch != NULL && i < (size_t)auk_pool_threads(r->job->pool); i++) {
        free(r->scratch[i].block);
        free(r->scratch[i].out);
        free(r->scratch[i].scale);
        free(r->scratch[i].bias);
        free(r->scratch[i].scale_bytes);
        auk_gptq_room_release(&r->scratch[i].room);
    }
    free(r->scratch);
    free(r->pieces);
    free(r->errs);
    free(r->rcs);
}

static uint64_t source_bytes(const run *r, size_t lo, size_t hi)
{
    const auk_quant_plan *plan = r->job->plan;
    uint64_t bytes = 0;

    for (size_t i = lo; i < hi; i++)
        bytes += r->pieces[i].n_rows * auk_quant_cols(&plan->list.modules[r->pieces[i].module]) *
                 auk_dtype_bytes(plan->origins[r->pieces[i].module].from);
    return bytes;
}

/* Runs the batch that begins at r->base; the piece of the lowest number wins with its error. */
static int run_batch(run *r, size_t n, auk_err *err)
{
    auk_pool_run(r->job->pool, n, 1, run_range, r);
    for (size_t i = 0; i < n; i++)
        if (r->rcs[i] < 0) {
            *err = r->errs[i];
            return r->rcs[i];
        }
    return auk_sink_mark(r->job->sink, r->base + n, err);
}

static int run_all(run *r, uint64_t done, auk_err *err)
{
    const auk_quant_options *opts = r->job->opts;
    uint64_t total = source_bytes(r, 0, r->n_pieces);
    int rc = AUK_OK;

    r->base = done < r->n_pieces ? (size_t)done : r->n_pieces;
    uint64_t so_far = source_bytes(r, 0, r->base);
    while (rc == AUK_OK && r->base < r->n_pieces) {
        size_t n = r->n_pieces - r->base < BATCH ? r->n_pieces - r->base : BATCH;
        rc = run_batch(r, n, err);
        so_far += source_bytes(r, r->base, r->base + n);
        r->base += n;
        if (rc == AUK_OK && opts->progress != NULL &&
            opts->progress(opts->progress_ctx, "quantize", "bytes", so_far, total))
            rc = auk_fail(err, AUK_ECANCEL, "stopped: the same command goes on from here");
    }
    return rc;
}

uint64_t auk_quant_source_bytes(const auk_quant_plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->list.n; i++)
        bytes += auk_quant_rows(&plan->list.modules[i]) * auk_quant_cols(&plan->list.modules[i]) *
                 auk_dtype_bytes(plan->origins[i].from);
    return bytes;
}

int auk_quant_run(const auk_quant_job *job, uint64_t done, uint64_t *units, auk_err *err)
{
    run r = {.job = job};

    int rc = cut_pieces(&r, err);
    if (rc == AUK_OK)
        rc = make_scratch(&r, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&r.errs, BATCH, sizeof *r.errs, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&r.rcs, BATCH, sizeof *r.rcs, err);
    if (rc == AUK_OK) {
        *units = r.n_pieces;
        rc = run_all(&r, done, err);
    }
    release(&r);
    return rc;
}
