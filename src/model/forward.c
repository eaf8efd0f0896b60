/* SPDX-License-Identifier: Apache-2.0 */
/* One layer of cohere2_moe, in the order of the formulas: norm, attention and MLP side by side from
 * the same normed rows, h = (h + attention) + mlp.  In bf16 precision every value the published
 * model holds in bfloat16 is rounded where it is made; in f32 nothing is. */
#include "model/attention.h"

#include "base/mem.h"
#include "base/half.h"

#include <math.h>

static void round_rows(const auk_forward *f, float *x, size_t n)
{
    if (f->bf16)
        f->k->round_bf16(x, n);
}

static int alloc_rows(float **out, const auk_forward *f, size_t cols, auk_err *err)
{
    return auk_try_alloc(out, f->max_rows * cols, sizeof **out, err);
}

/* Floats per row of everything forward keeps per row: the one list behind both allocation and
 * auk_forward_bytes. */
static size_t floats_per_row(const auk_hparams *hp)
{
    size_t hidden = (size_t)hp->hidden, q = (size_t)(hp->n_heads * hp->head_dim);
    size_t kv = (size_t)(hp->n_kv_heads * hp->head_dim), top = (size_t)hp->top_k;
    size_t wide = top * (size_t)hp->expert_width;

    if (wide < (size_t)hp->dense_width)
        wide = (size_t)hp->dense_width;
    return 3 * hidden + 2 * q + 2 * kv + 2 * wide + top * hidden + (size_t)hp->n_experts + 4 * top +
           (size_t)hp->head_dim + 2;
}

/* Per thread: scores of one kv head's queries over every position, and what panels need. */
static size_t attention_floats(const auk_hparams *hp, int ctx)
{
    size_t group = (size_t)(hp->n_heads / hp->n_kv_heads);
    size_t rows = group * (size_t)ctx, panels = auk_attention_panel_floats(hp, ctx);

    return rows > panels ? rows : panels;
}

/* Floats that the products of one step read: for max_rows rows, those of the experts' second
 * product are the most. */
static size_t x_floats(const auk_hparams *hp, size_t max_rows)
{
    size_t per_row = (size_t)hp->top_k * (size_t)hp->expert_width;
    size_t others[] = {(size_t)hp->top_k * (size_t)hp->hidden, (size_t)(hp->n_heads * hp->head_dim),
                       (size_t)hp->dense_width};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        per_row = others[i] > per_row ? others[i] : per_row;
    return per_row * max_rows;
}

uint64_t auk_forward_bytes(const auk_hparams *hp, size_t max_cols, int threads, size_t max_rows,
                           int ctx)
{
    return (uint64_t)floats_per_row(hp) * max_rows * sizeof(float) +
           (uint64_t)threads * attention_floats(hp, ctx) * sizeof(float) +
           auk_work_bytes(threads, max_cols, x_floats(hp, max_rows));
}

static int alloc_all(auk_forward *f, int ctx, auk_err *err)
{
    const auk_hparams *hp = f->hp;
    size_t top = (size_t)hp->top_k, wide = top * (size_t)hp->expert_width;

    if (wide < (size_t)hp->dense_width)
        wide = (size_t)hp->dense_width;
    f->attn_floats = attention_floats(hp, ctx);
    const struct {
        float **out;
        size_t cols;
    } rows[] = {
        {&f->x, (size_t)hp->hidden},
        {&f->attn_out, (size_t)hp->hidden},
        {&f->mlp_out, (size_t)hp->hidden},
        {&f->q, (size_t)(hp->n_heads * hp->head_dim)},
        {&f->heads, (size_t)(hp->n_heads * hp->head_dim)},
        {&f->kf, (size_t)(hp->n_kv_heads * hp->head_dim)},
        {&f->vf, (size_t)(hp->n_kv_heads * hp->head_dim)},
        {&f->gate, wide},
        {&f->up, wide},
        {&f->expert_out, top * (size_t)hp->hidden},
        {&f->router, (size_t)hp->n_experts},
        {&f->weights, top},
        {&f->rope, (size_t)hp->head_dim},
    };
    int rc = AUK_OK;

    for (size_t i = 0; i < sizeof rows / sizeof *rows && rc == AUK_OK; i++)
        rc = alloc_rows(rows[i].out, f, rows[i].cols, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->ids, f->max_rows * top, sizeof *f->ids, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->rows, f->max_rows * top, sizeof *f->rows, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->place, f->max_rows * top, sizeof *f->place, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->first, (size_t)hp->n_experts + 1, sizeof *f->first, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->jobs, 2 * (size_t)hp->n_experts + 4, sizeof *f->jobs, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->rope_pos, f->max_rows, sizeof *f->rope_pos, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->span_of, f->max_rows, sizeof *f->span_of, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->inv_freq, (size_t)hp->head_dim / 2, sizeof *f->inv_freq, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&f->attn, (size_t)auk_pool_threads(f->work.pool) * f->attn_floats,
                           sizeof *f->attn, err);
    return rc;
}

int auk_forward_new(auk_forward **out, const auk_model *m, const auk_kernel *k, auk_pool *pool,
                    auk_precision precision, size_t max_rows, int ctx, auk_err *err)
{
    auk_forward *f = auk_alloc(sizeof *f);

    *out = NULL;
    f->m = m;
    f->hp = &m->hp;
    f->k = k;
    f->bf16 = precision == AUK_PRECISION_BF16;
    f->max_rows = max_rows;
    int rc = auk_work_init(&f->work, k, pool, m->max_cols, x_floats(&m->hp, max_rows), err);
    if (rc == AUK_OK)
        rc = alloc_all(f, ctx, err);
    if (rc == AUK_OK) {
        for (int j = 0; j < m->hp.head_dim / 2; j++) { /* as transformers: f32 steps */
            float exponent = (float)(2 * j) / (float)m->hp.head_dim;
            f->inv_freq[j] = 1.0f / (float)pow(m->hp.rope_theta, (double)exponent);
        }
        memset(f->rope_pos, 0xff, max_rows * sizeof *f->rope_pos);
        *out = f;
        f = NULL;
    }
    auk_forward_free(f);
    return rc;
}

void auk_forward_free(auk_forward *f)
{
    if (f == NULL)
        return;
    float *const owned[] = {f->x,      f->attn_out,   f->mlp_out, f->q,        f->heads,
                            f->kf,     f->vf,         f->gate,    f->up,       f->rope,
                            f->router, f->expert_out, f->weights, f->inv_freq, f->attn};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(f->ids);
    free(f->rows);
    free(f->place);
    free(f->first);
    free(f->jobs);
    free(f->rope_pos);
    free(f->span_of);
    auk_work_release(&f->work);
    free(f);
}

size_t auk_forward_max_rows(const auk_forward *f)
{
    return f->max_rows;
}

typedef struct embed_job {
    auk_forward *f;
    float *h;
    const int32_t *ids;
} embed_job;

static void embed_range(void *ctx, size_t lo, size_t hi)
{
    const embed_job *j = ctx;
    size_t hidden = (size_t)j->f->hp->hidden;

    for (size_t t = lo; t < hi; t++) {
        auk_mat_row(&j->f->work, j->h + t * hidden, &j->f->m->embed, (size_t)j->ids[t]);
        round_rows(j->f, j->h + t * hidden, hidden);
    }
}

void auk_forward_embed(auk_forward *f, float *h, const int32_t *ids, size_t n)
{
    embed_job j = {f, h, ids};
    auk_pool_run(f->work.pool, n, 16, embed_range, &j);
}

/* x / rms(x), rounded, times the weight, rounded. */
static void rms_norm(const auk_forward *f, float *out, const float *h, const float *weight)
{
    size_t n = (size_t)f->hp->hidden;
    float mean = f->k->dot_f32(h, h, n) / (float)n;
    float scale = 1.0f / sqrtf(mean + f->hp->norm_eps);

    for (size_t i = 0; i < n; i++)
        out[i] = h[i] * scale;
    round_rows(f, out, n);
    for (size_t i = 0; i < n; i++)
        out[i] *= weight[i];
    round_rows(f, out, n);
}

typedef struct norm_job {
    const auk_forward *f;
    float *out;
    const float *h, *weight;
} norm_job;

static void norm_range(void *ctx, size_t lo, size_t hi)
{
    const norm_job *j = ctx;
    size_t hidden = (size_t)j->f->hp->hidden;

    for (size_t t = lo; t < hi; t++)
        rms_norm(j->f, j->out + t * hidden, j->h + t * hidden, j->weight);
}

static void norm_rows(auk_forward *f, float *out, const float *h, const float *weight, size_t n)
{
    norm_job j = {f, out, h, weight};
    auk_pool_run(f->work.pool, n, 8, norm_range, &j);
}

static auk_matmul product(const auk_forward *f, const auk_mat *m, float *y, const float *x,
                          size_t n)
{
    return (auk_matmul){
        .m = m, .y = y, .x = x, .n = n, .y_stride = m->rows, .x_stride = m->cols, .bf16 = f->bf16};
}

/* g = silu(g) * u over n values. */
static void gate_values(const auk_kernel *k, bool bf16, float *g, const float *u, size_t n)
{
    k->silu(g, n);
    if (bf16)
        k->round_bf16(g, n);
    for (size_t i = 0; i < n; i++)
        g[i] *= u[i];
    if (bf16)
        k->round_bf16(g, n);
}

static void gate_range(void *ctx, size_t lo, size_t hi)
{
    const auk_forward *f = ctx;

    gate_values(f->k, f->bf16, f->gate + lo, f->up + lo, hi - lo);
}

/* gate = silu(gate) * up over n values. */
static void gate_rows(auk_forward *f, size_t n)
{
    auk_pool_run(f->work.pool, n, 2048, gate_range, f);
}

static void dense_mlp(auk_forward *f, const auk_layer *l, size_t n)
{
    auk_matmul first[2] = {product(f, &l->gate, f->gate, f->x, n),
                           product(f, &l->up, f->up, f->x, n)};
    auk_matmul_run(&f->work, first, 2);
    gate_rows(f, n * l->gate.rows);
    auk_matmul last = product(f, &l->down, f->expert_out, f->gate, n);
    auk_matmul_run(&f->work, &last, 1);
}

void auk_choose_experts(int32_t *ids, const float *logits, int n, int top_k)
{
    for (int s = 0; s < top_k; s++) {
        int best = -1;
        for (int e = 0; e < n; e++) {
            bool taken = false;
            for (int i = 0; i < s; i++)
                taken |= ids[i] == e;
            if (!taken && (best < 0 || logits[e] > logits[best]))
                best = e;
        }
        ids[s] = best;
    }
}

static void choose(const auk_forward *f, const float *logits, int32_t *ids, float *weights)
{
    int top = f->hp->top_k;
    float sum = 0;

    auk_choose_experts(ids, logits, f->hp->n_experts, top);
    for (int s = 0; s < top; s++) {
        weights[s] = auk_kernel_sigmoid(logits[ids[s]]);
        if (f->bf16)
            weights[s] = auk_round_bf16(weights[s]);
        sum += weights[s];
    }
    for (int s = 0; f->hp->norm_topk_prob && s < top; s++)
        weights[s] /= sum > 1e-12f ? sum : 1e-12f;
}

/* Sorts the (row, choice) pairs by expert: expert e's rows are rows[first[e]..first[e + 1]), and
 * place[row * top_k + choice] says where the pair went. */
static void group_by_expert(auk_forward *f, size_t n)
{
    size_t top = (size_t)f->hp->top_k, experts = (size_t)f->hp->n_experts;

    memset(f->first, 0, (experts + 1) * sizeof *f->first);
    for (size_t s = 0; s < n * top; s++)
        f->first[f->ids[s] + 1]++;
    for (size_t e = 0; e < experts; e++)
        f->first[e + 1] += f->first[e];
    for (size_t s = 0; s < n * top; s++) {
        f->place[s] = f->first[f->ids[s]]++;
        f->rows[f->place[s]] = (int32_t)(s / top);
    }
    for (size_t e = experts; e > 0; e--)
        f->first[e] = f->first[e - 1];
    f->first[0] = 0;
}

typedef struct combine_job {
    auk_forward *f;
    float *out;
} combine_job;

/* Row t: the sum over its experts, in ascending order of expert, of weight * output. */
static void combine_range(void *ctx, size_t lo, size_t hi)
{
    const combine_job *j = ctx;
    auk_forward *f = j->f;
    size_t top = (size_t)f->hp->top_k, hidden = (size_t)f->hp->hidden;

    for (size_t t = lo; t < hi; t++) {
        float *out = j->out + t * hidden;
        const int32_t *ids = f->ids + t * top;
        int32_t last = -1;
        memset(out, 0, hidden * sizeof *out);
        for (size_t s = 0; s < top; s++) {
            size_t next = top;
            for (size_t i = 0; i < top; i++)
                if (ids[i] > last && (next == top || ids[i] < ids[next]))
                    next = i;
            last = ids[next];
            size_t pair = t * top + next;
            f->k->axpy_f32(out, f->weights[pair], f->expert_out + (size_t)f->place[pair] * hidden,
                           hidden);
        }
        round_rows(f, out, hidden);
    }
}

/* ids and weights of n normed rows. */
static void route(auk_forward *f, const auk_layer *l, const float *x, size_t n)
{
    size_t top = (size_t)f->hp->top_k, experts = (size_t)f->hp->n_experts;

    auk_matmul router = product(f, &l->router, f->router, x, n);
    auk_matmul_run(&f->work, &router, 1);
    for (size_t t = 0; t < n; t++)
        choose(f, f->router + t * experts, f->ids + t * top, f->weights + t * top);
}

static void sparse_mlp(auk_forward *f, int layer, const auk_layer *l, float *out, size_t n,
                       const auk_tap *tap)
{
    size_t top = (size_t)f->hp->top_k, experts = (size_t)f->hp->n_experts;
    size_t width = (size_t)f->hp->expert_width, hidden = (size_t)f->hp->hidden, n_jobs = 0;

    route(f, l, f->x, n);
    if (tap != NULL && tap->router != NULL)
        tap->router(tap->ctx, layer, f->router, f->ids, f->weights, n);
    group_by_expert(f, n);
    for (size_t e = 0; e < experts; e++) {
        size_t a = (size_t)f->first[e], rows = (size_t)f->first[e + 1] - a;
        if (rows == 0)
            continue;
        f->jobs[n_jobs] = product(f, &l->e_gate[e], f->gate + a * width, f->x, rows);
        f->jobs[n_jobs++].gather = f->rows + a;
        f->jobs[n_jobs] = product(f, &l->e_up[e], f->up + a * width, f->x, rows);
        f->jobs[n_jobs++].gather = f->rows + a;
    }
    auk_matmul_run(&f->work, f->jobs, n_jobs);
    gate_rows(f, n * top * width);
    n_jobs = 0;
    for (size_t e = 0; e < experts; e++) {
        size_t a = (size_t)f->first[e], rows = (size_t)f->first[e + 1] - a;
        if (rows > 0)
            f->jobs[n_jobs++] =
                product(f, &l->e_down[e], f->expert_out + a * hidden, f->gate + a * width, rows);
    }
    auk_matmul_run(&f->work, f->jobs, n_jobs);
    combine_job j = {f, out};
    auk_pool_run(f->work.pool, n, 4, combine_range, &j);
}

typedef struct add_job {
    const auk_forward *f;
    float *h;
    const float *a, *m;
} add_job;

static void add_range(void *ctx, size_t lo, size_t hi)
{
    const add_job *j = ctx;

    for (size_t i = lo; i < hi; i++)
        j->h[i] += j->a[i];
    round_rows(j->f, j->h + lo, hi - lo);
    for (size_t i = lo; i < hi; i++)
        j->h[i] += j->m[i];
    round_rows(j->f, j->h + lo, hi - lo);
}

void auk_forward_layer(auk_forward *f, int layer, auk_kv_layer *kv, float *h, int pos, size_t n,
                       const auk_tap *tap)
{
    auk_forward_spans(f, layer, &(auk_span){kv, pos, n}, 1, h, tap);
}

void auk_forward_spans(auk_forward *f, int layer, const auk_span *spans, size_t n_spans, float *h,
                       const auk_tap *tap)
{
    const auk_layer *l = &f->m->layers[layer];
    size_t hidden = (size_t)f->hp->hidden, n = 0;
    float *mlp = f->expert_out;

    for (size_t i = 0; i < n_spans; i++)
        n += spans[i].n;
    norm_rows(f, f->x, h, l->norm, n);
    auk_forward_attention(f, l, layer, spans, n_spans);
    if (l->sparse) {
        mlp = f->mlp_out;
        sparse_mlp(f, layer, l, mlp, n, tap);
    } else {
        dense_mlp(f, l, n);
    }
    add_job j = {f, h, f->attn_out, mlp};
    auk_pool_run(f->work.pool, n * hidden, 8192, add_range, &j);
    if (tap != NULL && tap->hidden != NULL)
        tap->hidden(tap->ctx, layer, h, n);
}

/* ---- the same in parts --------------------------------------------------------------------- */

typedef struct plus_job {
    const auk_forward *f;
    float *h, *y;
} plus_job;

static void plus_range(void *ctx, size_t lo, size_t hi)
{
    const plus_job *j = ctx;

    round_rows(j->f, j->y + lo, hi - lo);
    for (size_t i = lo; i < hi; i++)
        j->h[i] += j->y[i];
    round_rows(j->f, j->h + lo, hi - lo);
}

void auk_forward_plus(auk_forward *f, float *h, float *y, size_t n)
{
    plus_job j = {f, h, y};
    auk_pool_run(f->work.pool, n * (size_t)f->hp->hidden, 8192, plus_range, &j);
}

void auk_forward_mix(auk_forward *f, const auk_layer *l, int layer, auk_kv_layer *kv, float *h,
                     int pos, size_t n, const float **normed, const float **heads)
{
    norm_rows(f, f->x, h, l->norm, n);
    auk_forward_attention(f, l, layer, &(auk_span){kv, pos, n}, 1);
    auk_forward_plus(f, h, f->attn_out, n);
    *normed = f->x;
    *heads = f->heads;
}

void auk_forward_route(auk_forward *f, const auk_layer *l, const float *x, size_t n, int32_t *ids,
                       float *weights)
{
    size_t top = (size_t)f->hp->top_k;

    route(f, l, x, n);
    memcpy(ids, f->ids, n * top * sizeof *ids);
    memcpy(weights, f->weights, n * top * sizeof *weights);
}

static auk_matmul mlp_product(const auk_mlp *m, const auk_mat *mat, float *y, const float *x,
                              size_t n)
{
    return (auk_matmul){.m = mat,
                        .y = y,
                        .x = x,
                        .n = n,
                        .y_stride = mat->rows,
                        .x_stride = mat->cols,
                        .bf16 = m->precision == AUK_PRECISION_BF16};
}

void auk_mlp_hidden(const auk_work *w, const auk_mlp *m, float *h, float *scratch, const float *x,
                    size_t n)
{
    auk_matmul jobs[2] = {mlp_product(m, &m->gate, h, x, n), mlp_product(m, &m->up, scratch, x, n)};

    auk_matmul_run(w, jobs, 2);
    gate_values(w->k, m->precision == AUK_PRECISION_BF16, h, scratch, n * m->gate.rows);
}

void auk_mlp_output(const auk_work *w, const auk_mlp *m, float *y, const float *h, size_t n)
{
    auk_matmul job = mlp_product(m, &m->down, y, h, n);

    auk_matmul_run(w, &job, 1);
}

void auk_forward_logits(auk_forward *f, float *logits, const float *h, size_t n)
{
    size_t hidden = (size_t)f->hp->hidden, vocab = (size_t)f->hp->vocab;

    norm_rows(f, f->x, h, f->m->norms + (size_t)f->hp->n_layers * hidden, n);
    auk_matmul head = product(f, &f->m->head, logits, f->x, n);
    auk_matmul_run(&f->work, &head, 1);
    if (f->hp->logit_scale == 1.0f)
        return;
    for (size_t i = 0; i < n * vocab; i++)
        logits[i] *= f->hp->logit_scale;
    round_rows(f, logits, n * vocab);
}
