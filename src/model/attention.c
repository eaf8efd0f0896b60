/* SPDX-License-Identifier: Apache-2.0 */
#include "model/attention.h"

#include <math.h>

static void round_rows(const auk_forward *f, float *x, size_t n)
{
    if (f->bf16)
        f->k->round_bf16(x, n);
}

/* cos and sin of position * inv_freq, the angle in f32 as transformers has it, for rows at, at + 1
 * ...; computed once per position and used by every layer. */
static void prepare_rope(auk_forward *f, size_t at, int pos, size_t n)
{
    size_t half = (size_t)f->hp->head_dim / 2;

    for (size_t t = at; t < at + n; t++, pos++) {
        float *row = f->rope + t * half * 2;
        if (f->rope_pos[t] == pos)
            continue;
        f->rope_pos[t] = pos;
        for (size_t j = 0; j < half; j++) {
            float angle = (float)pos * f->inv_freq[j];
            row[2 * j] = (float)cos((double)angle);
            row[2 * j + 1] = (float)sin((double)angle);
        }
        round_rows(f, row, half * 2);
    }
}

/* Rotates pairs (2j, 2j + 1) of every head. */
static void rotate(const auk_forward *f, float *x, int heads, size_t n)
{
    size_t dim = (size_t)f->hp->head_dim;

    for (size_t t = 0; t < n; t++) {
        const float *cs = f->rope + t * dim;
        for (int h = 0; h < heads; h++, x += dim)
            for (size_t i = 0; i < dim; i += 2) {
                float a = x[i] * cs[i], b = x[i + 1] * cs[i + 1];
                float c = x[i + 1] * cs[i], d = x[i] * cs[i + 1];
                x[i] = a - b;
                x[i + 1] = c + d;
            }
    }
}

/* The reference's eager path rounds the score before and after scaling.  Measured on the golden
 * models: with both roundings bf16 logits are 0.2 to 1.7 times as far from the reference's bf16 as
 * that is from its f32, without them up to 2.1 times. */
void auk_attention_scale(const auk_forward *f, float *scores, size_t n, float scale)
{
    round_rows(f, scores, n);
    for (size_t i = 0; i < n; i++)
        scores[i] *= scale;
    round_rows(f, scores, n);
}

/* One span's part of the work. */
typedef struct attention_job {
    auk_forward *f;
    auk_kv_layer *kv;
    const float *kf, *vf; /* this call's keys and values of the span */
    size_t at;            /* the span's first row */
    size_t pos;           /* of that row */
    size_t window;        /* keys a query may see, itself included */
} attention_job;

/* Row `p` of keys or values: of this call, or of the cache. */
static const float *row_at(const attention_job *j, const uint8_t *cache, const float *fresh,
                           size_t head, size_t p)
{
    size_t dim = (size_t)j->f->hp->head_dim, width = dim * (size_t)j->f->hp->n_kv_heads;

    if (p >= j->pos)
        return fresh + (p - j->pos) * width + head * dim;
    return (const float *)(const void *)cache + (head * j->kv->cap + p % j->kv->cap) * dim;
}

/* In f32: one query row, one kv head, the query heads that share it. */
static void attend(const attention_job *j, size_t t, size_t head, float *scores)
{
    const auk_forward *f = j->f;
    size_t dim = (size_t)f->hp->head_dim, p = j->pos + t;
    size_t group = (size_t)(f->hp->n_heads / f->hp->n_kv_heads);
    size_t first = p + 1 > j->window ? p + 1 - j->window : 0, n_keys = p + 1 - first;
    size_t at = ((j->at + t) * (size_t)f->hp->n_heads + head * group) * dim;

    for (size_t i = 0; i < n_keys; i++) {
        const float *key = row_at(j, j->kv->k, j->kf, head, first + i);
        for (size_t g = 0; g < group; g++)
            scores[g * n_keys + i] = f->k->dot_f32(f->q + at + g * dim, key, dim);
    }
    for (size_t g = 0; g < group; g++) {
        auk_attention_scale(f, scores + g * n_keys, n_keys, 1.0f / sqrtf((float)dim));
        f->k->softmax(scores + g * n_keys, n_keys);
        memset(f->heads + at + g * dim, 0, dim * sizeof(float));
    }
    for (size_t i = 0; i < n_keys; i++) {
        const float *value = row_at(j, j->kv->v, j->vf, head, first + i);
        for (size_t g = 0; g < group; g++)
            f->k->axpy_f32(f->heads + at + g * dim, scores[g * n_keys + i], value, dim);
    }
}

typedef struct spans_job {
    auk_forward *f;
    const auk_span *spans;
    int layer;
    bool stores; /* bf16: each (row, head) stores its own keys: no row needs another's */
} spans_job;

static attention_job job_of(const spans_job *s, size_t row)
{
    auk_forward *f = s->f;
    const auk_span *span = &s->spans[f->span_of[row]];
    size_t width = (size_t)f->hp->head_dim * (size_t)f->hp->n_kv_heads, at = 0;

    for (const auk_span *before = s->spans; before < span; before++)
        at += before->n;
    return (attention_job){f,
                           span->kv,
                           f->kf + at * width,
                           f->vf + at * width,
                           at,
                           (size_t)span->pos,
                           f->hp->sliding[s->layer] ? (size_t)f->hp->window : SIZE_MAX};
}

static void attend_range(void *ctx, size_t lo, size_t hi)
{
    const spans_job *s = ctx;
    size_t heads = (size_t)s->f->hp->n_kv_heads;
    float *scores = s->f->attn + (size_t)auk_pool_self() * s->f->attn_floats;

    for (size_t i = lo; i < hi; i++) {
        attention_job j = job_of(s, i / heads);
        attend(&j, i / heads - j.at, i % heads, scores);
    }
}

static void put(const attention_job *j, size_t t, size_t head)
{
    const auk_hparams *hp = j->f->hp;
    size_t dim = (size_t)hp->head_dim, at = (t * (size_t)hp->n_kv_heads + head) * dim;

    auk_kv_layer_put(j->kv, hp, head, j->pos + t, j->kf + at, j->vf + at);
}

/* ---- f32: rows are attended to as they come, and stored afterwards ------------------------- */

static void attend_rows(auk_forward *f, const spans_job *job, size_t n_spans, size_t n)
{
    size_t heads = (size_t)f->hp->n_kv_heads;

    auk_pool_run(f->work.pool, n * heads, 1, attend_range, (void *)(uintptr_t)job);
    for (size_t i = 0, at = 0; i < n_spans; at += job->spans[i++].n) {
        attention_job j = job_of(job, at);
        size_t cap = j.kv->cap, rows = job->spans[i].n;
        for (size_t t = rows > cap ? rows - cap : 0; t < rows; t++)
            for (size_t h = 0; h < heads; h++)
                put(&j, t, h);
    }
}

/* ---- bf16: AUK_KV_CHUNK rows of each span at a time are stored, then attended to ----------- */

/* [lo, hi) counts (row, head) of the rows listed in f->rows. */
static void put_range(void *ctx, size_t lo, size_t hi)
{
    const spans_job *s = ctx;
    size_t heads = (size_t)s->f->hp->n_kv_heads;

    for (size_t i = lo; i < hi; i++) {
        size_t row = (size_t)s->f->rows[i / heads];
        attention_job j = job_of(s, row);
        put(&j, row - j.at, i % heads);
    }
}

static void attend_panels_range(void *ctx, size_t lo, size_t hi)
{
    const spans_job *s = ctx;
    size_t heads = (size_t)s->f->hp->n_kv_heads;
    float *room = s->f->attn + (size_t)auk_pool_self() * s->f->attn_floats;

    for (size_t i = lo; i < hi; i++) {
        size_t row = (size_t)s->f->rows[i / heads];
        attention_job j = job_of(s, row);
        if (s->stores)
            put(&j, row - j.at, i % heads);
        auk_attend_panels(s->f, j.kv, row, j.pos + row - j.at, j.window, i % heads, room);
    }
}

static void attend_chunks(auk_forward *f, spans_job *job, size_t n_spans)
{
    size_t heads = (size_t)f->hp->n_kv_heads;

    for (size_t done = 0, n = 1; n > 0; done += AUK_KV_CHUNK) {
        n = 0;
        job->stores = true;
        for (size_t i = 0, at = 0; i < n_spans; at += job->spans[i++].n) {
            size_t end =
                job->spans[i].n < done + AUK_KV_CHUNK ? job->spans[i].n : done + AUK_KV_CHUNK;
            for (size_t t = done; t < end; t++)
                f->rows[n++] = (int32_t)(at + t);
            job->stores &= end <= done + 1;
        }
        if (!job->stores)
            auk_pool_run(f->work.pool, n * heads, 16, put_range, job);
        auk_pool_run(f->work.pool, n * heads, 1, attend_panels_range, job);
    }
}

void auk_forward_attention(auk_forward *f, const auk_layer *l, int layer, const auk_span *spans,
                           size_t n_spans)
{
    const auk_hparams *hp = f->hp;
    size_t n = 0;
    auk_matmul in[3] = {
        {.m = &l->q, .y = f->q}, {.m = &l->k, .y = f->kf}, {.m = &l->v, .y = f->vf}};

    for (size_t i = 0; i < n_spans; i++)
        for (size_t t = 0; t < spans[i].n; t++)
            f->span_of[n++] = (int32_t)i;
    for (int i = 0; i < 3; i++) {
        in[i].x = f->x;
        in[i].n = n;
        in[i].x_stride = in[i].m->cols;
        in[i].y_stride = in[i].m->rows;
        in[i].bf16 = f->bf16;
    }
    auk_matmul_run(&f->work, in, 3);
    if (auk_hparams_rotary(hp, layer)) {
        for (size_t i = 0, at = 0; i < n_spans; at += spans[i++].n)
            prepare_rope(f, at, spans[i].pos, spans[i].n);
        rotate(f, f->q, hp->n_heads, n);
        rotate(f, f->kf, hp->n_kv_heads, n);
        round_rows(f, f->q, n * l->q.rows);
        round_rows(f, f->kf, n * l->k.rows);
    }
    spans_job job = {f, spans, layer, false};
    if (f->bf16)
        attend_chunks(f, &job, n_spans);
    else
        attend_rows(f, &job, n_spans, n);
    auk_matmul out = {.m = &l->o,
                      .y = f->attn_out,
                      .x = f->heads,
                      .n = n,
                      .x_stride = l->o.cols,
                      .y_stride = l->o.rows,
                      .bf16 = f->bf16};
    auk_matmul_run(&f->work, &out, 1);
}
