/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/calibrate.h"

#include "base/half.h"
#include "base/mem.h"

#include <math.h>

/* ---- reading rows of the source ------------------------------------------------------------ */

static void load(float *dst, const auk_kernel *k, const uint8_t *src, auk_dtype dtype, size_t n)
{
    if (dtype == AUK_DT_BF16)
        k->bf16_to_f32(dst, src, n);
    else if (dtype == AUK_DT_F16)
        k->f16_to_f32(dst, src, n);
    else
        memcpy(dst, src, n * sizeof *dst);
}

/* Rows [row, row + n) of the module, which may lie in several tensors; checked and cast. */
static int read_rows(const auk_quant_job *job, float *dst, size_t module, uint64_t row, size_t n,
                     auk_err *err)
{
    const auk_quant_origin *o = &job->plan->origins[module];
    const auk_quant_slice *s = job->plan->slices + o->first;
    uint64_t cols = auk_quant_cols(&job->plan->list.modules[module]);
    size_t item = auk_dtype_bytes(o->from);

    for (; n > 0 && row >= s->n_rows; s++)
        row -= s->n_rows;
    for (; n > 0; s++, row = 0) {
        size_t some = s->n_rows - row < n ? (size_t)(s->n_rows - row) : n;
        uint64_t at = (s->first_row + row) * cols;
        load(dst, job->k, s->t->data + at * item, o->from, some * (size_t)cols);
        auk_checkpoint_drop(job->ck, s->t, at * item, some * cols * item);
        for (size_t i = 0; i < some * cols; i++)
            if (!isfinite(dst[i]))
                return auk_fail(
                    err, AUK_EFORMAT,
                    "'%s': tensor '%.*s', element %llu is not a finite number: fetch it "
                    "again",
                    auk_checkpoint_file(job->ck, s->t->shard), AUK_ARG(s->t->name),
                    (unsigned long long)(at + i));
        if (o->from != AUK_DT_BF16)
            job->k->round_bf16(dst, some * (size_t)cols);
        dst += some * cols;
        n -= some;
    }
    return AUK_OK;
}

/* ---- one block of rows --------------------------------------------------------------------- */

typedef struct task {
    auk_calib *c;
    const auk_calib_input *in;
    auk_candidate *candidates;
    size_t module, rows, n;
    uint64_t row;
    auk_numfmt format;
    double (*errors)[4]; /* owned; per block: RTN, wRTN, GPTQ, loss */
    auk_err *errs;       /* owned */
    int *rcs;            /* owned */
} task;

static double judge(const task *t, auk_calib_worker *w, size_t rows)
{
    const auk_calib_input *in = t->in;

    if (in->n_judges == 0)
        return auk_gptq_weighted_error(&w->room, in->diagonal, rows);
    return auk_gptq_output_error(&w->room, t->c->job->k, rows, in->x, in->weight, in->n_judges,
                                 w->judge_out);
}

/* The codes of round to nearest are only measured. */
static double judge_rtn(const task *t, auk_calib_worker *w, size_t rows)
{
    const auk_kernel *k = t->c->job->k;
    size_t groups = rows * t->n / (size_t)t->format.group_size;

    k->quantize_affine(w->rtn.codes, w->rtn.scale, w->rtn.bias, w->rows, rows * t->n,
                       t->format.bits, t->format.group_size, t->c->job->opts->rounding);
    k->round_bf16(w->rtn.scale, groups);
    k->round_bf16(w->rtn.bias, groups);
    auk_gptq_errors(&w->room, k, w->rtn.codes, w->rtn.scale, w->rtn.bias, t->format.bits,
                    t->format.group_size, w->rows, rows);
    return judge(t, w, rows);
}

static void run_block(const task *t, size_t block)
{
    auk_calib_worker *w = &t->c->workers[auk_pool_self()];
    size_t at = block * AUK_GPTQ_ROWS, left = t->rows - at;
    size_t rows = left < AUK_GPTQ_ROWS ? left : AUK_GPTQ_ROWS;
    size_t code = at * t->n * (size_t)t->format.bits / 8, pair = at * t->n;
    auk_gptq g = {t->c->job->k,         NULL,           t->in->diagonal, t->n, t->format.bits,
                  t->format.group_size, AUK_GRID_SEARCH};
    double *e = t->errors[block];

    pair /= (size_t)t->format.group_size;
    w->room.n = t->n;
    t->rcs[block] = read_rows(t->c->job, w->rows, t->module, t->row + at, rows, &t->errs[block]);
    if (t->rcs[block] < 0)
        return;
    e[0] = judge_rtn(t, w, rows);
    for (int i = 0; i < 2 && (i == 0 || t->in->factor != NULL); i++) {
        auk_candidate *to = &t->candidates[i];
        g.r = i == 0 ? NULL : t->in->factor;
        double loss = auk_gptq_rows(to->codes + code, to->scale + pair, to->bias + pair, &w->room,
                                    &g, w->rows, rows);
        e[1 + i] = judge(t, w, rows);
        e[3] = loss;
    }
}

static void run_blocks(void *ctx, size_t lo, size_t hi)
{
    for (size_t i = lo; i < hi; i++)
        run_block(ctx, i);
}

/* ---- the decision -------------------------------------------------------------------------- */

static void decide(const task *t, auk_quant_entry *e, size_t blocks)
{
    bool gptq = t->in->factor != NULL;

    for (size_t i = 0; i < blocks; i++) {
        e->err_rtn += t->errors[i][0];
        e->err_wrtn += t->errors[i][1];
        e->err_gptq += t->errors[i][2];
        e->loss += gptq ? t->errors[i][3] : 0;
    }
    e->chosen = gptq && e->err_gptq < e->err_wrtn ? AUK_METHOD_GPTQ : AUK_METHOD_WRTN;
    if (!gptq)
        e->err_gptq = -1;
    else if (e->chosen == AUK_METHOD_WRTN)
        e->reason = "held-out error";
}

static int keep(const task *t, auk_stored *to, const auk_candidate *from, auk_err *err)
{
    const auk_quant_job *job = t->c->job;
    size_t groups = t->n / (size_t)t->format.group_size;
    size_t row_bytes = t->n * (size_t)t->format.bits / 8;
    int tensor = job->outputs[t->module];

    memcpy(to->codes, from->codes, t->rows * row_bytes);
    job->k->f32_to_bf16(to->scales, from->scale, t->rows * groups);
    job->k->f32_to_bf16(to->biases, from->bias, t->rows * groups);
    to->mat = (auk_mat){.type = AUK_W_AFFINE,
                        .scale_type = AUK_S_BF16,
                        .bits = t->format.bits,
                        .group = t->format.group_size,
                        .rows = t->rows,
                        .cols = t->n,
                        .codes = to->codes,
                        .scales = to->scales,
                        .biases = to->biases,
                        .row_bytes = row_bytes,
                        .scale_row_bytes = 2 * groups};
    int rc =
        auk_sink_write(job->sink, tensor, t->row * row_bytes, to->codes, t->rows * row_bytes, err);
    if (rc == AUK_OK)
        rc = auk_sink_write(job->sink, tensor + 1, t->row * 2 * groups, to->scales,
                            t->rows * 2 * groups, err);
    if (rc == AUK_OK)
        rc = auk_sink_write(job->sink, tensor + 2, t->row * 2 * groups, to->biases,
                            t->rows * 2 * groups, err);
    return rc;
}

int auk_calib_matrix(auk_calib *c, auk_stored *to, auk_quant_entry *e, size_t module, uint64_t row,
                     size_t rows, const auk_calib_input *in, auk_candidate candidates[2],
                     auk_err *err)
{
    const auk_quant_module *m = &c->job->plan->list.modules[module];
    size_t blocks = (rows + AUK_GPTQ_ROWS - 1) / AUK_GPTQ_ROWS;
    task t = {.c = c,
              .in = in,
              .candidates = candidates,
              .module = module,
              .rows = rows,
              .n = (size_t)auk_quant_cols(m),
              .row = row,
              .format = m->format};

    int rc = auk_try_alloc(&t.errors, blocks, sizeof *t.errors, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&t.errs, blocks, sizeof *t.errs, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&t.rcs, blocks, sizeof *t.rcs, err);
    if (rc == AUK_OK) {
        auk_pool_run(c->job->pool, blocks, 1, run_blocks, &t);
        for (size_t i = 0; i < blocks && rc == AUK_OK; i++)
            if (t.rcs[i] < 0) {
                rc = t.rcs[i];
                *err = t.errs[i];
            }
    }
    if (rc == AUK_OK) {
        decide(&t, e, blocks);
        e->judged_by = in->n_judges;
        rc = keep(&t, to, &candidates[e->chosen == AUK_METHOD_GPTQ], err);
    }
    free(t.errors);
    free(t.errs);
    free(t.rcs);
    return rc;
}
