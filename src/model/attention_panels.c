/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in bf16 precision: keys and values are panels, so both of its products are those of the
 * weights, with the query heads of a kv head as the rows of x.  Keys and values are read once for
 * all of them. */
#include "model/attention.h"

#include <math.h>

#define BLOCK AUK_PANEL_GROUP

size_t auk_attention_panel_floats(const auk_hparams *hp, int ctx)
{
    size_t group = (size_t)(hp->n_heads / hp->n_kv_heads), dim = (size_t)hp->head_dim;
    size_t keys = ((size_t)ctx + 2 * BLOCK - 1) / BLOCK * BLOCK;
    size_t x = auk_panel_x_words(keys > dim ? keys : dim, BLOCK, group);

    return group * keys + x + 2 * group * auk_panel_count(dim) * AUK_PANEL_ROWS + 16;
}

/* One query row and one kv head. */
typedef struct query {
    const auk_forward *f;
    const auk_kv_layer *kv;
    size_t head, dim, n_x; /* n_x: query heads, at most AUK_PANEL_MAX_X */
    size_t base;           /* the first position of the first block that is looked at */
    size_t first, end;     /* positions the query sees */
    size_t keys;           /* base to the end of the last block */
    float *scores;         /* [n_x][keys] */
    uint32_t *x;
    float *sum; /* [n_x][dim up to whole panels]: of a ring that has turned over, the newer part */
} query;

/* Positions from p on that lie beside each other in the ring, at most n. */
static size_t run_of(const auk_kv_layer *kv, size_t p, size_t n)
{
    size_t left = kv->cap - p % kv->cap;

    return n < left ? n : left;
}

static void score(const query *q, const float *const *rows)
{
    auk_panel_shape s = auk_panel_bf16_shape(q->dim);
    const uint8_t *keys = q->kv->k + q->head * q->kv->k_head_bytes;

    q->f->k->panel_x(q->x, rows, q->n_x, q->dim, s.group);
    for (size_t at = 0, n; at < q->keys; at += n) {
        size_t p = q->base + at;
        n = run_of(q->kv, p, q->keys - at);
        q->f->k->panel_bf16(q->scores + at, q->keys,
                            keys + p % q->kv->cap / AUK_PANEL_ROWS * s.panel_bytes,
                            n / AUK_PANEL_ROWS, &s, q->x, q->n_x);
    }
}

/* Scores to probabilities, zeros where the query does not look. */
static void weigh(const query *q)
{
    float scale = 1.0f / sqrtf((float)q->dim);
    size_t before = q->first - q->base, n = q->end - q->first;

    for (size_t g = 0; g < q->n_x; g++) {
        float *row = q->scores + g * q->keys, *seen = row + before;
        auk_attention_scale(q->f, seen, n, scale);
        q->f->k->softmax(seen, n);
        q->f->k->round_bf16(seen, n);
        memset(row, 0, before * sizeof *row);
        memset(seen + n, 0, (q->keys - before - n) * sizeof *row);
    }
}

/* out[g][dim] = the probabilities' sum of the values; a ring's two runs one after the other. */
static void sum_values(const query *q, float *out)
{
    size_t wide = auk_panel_count(q->dim) * AUK_PANEL_ROWS;
    const uint8_t *values = q->kv->v + q->head * q->kv->v_head_bytes;
    size_t whole = auk_panel_bf16_shape(q->kv->cap).panel_bytes;
    const float *rows[AUK_PANEL_MAX_X];

    for (size_t at = 0, n; at < q->keys; at += n) {
        size_t p = q->base + at;
        n = run_of(q->kv, p, q->keys - at);
        auk_panel_shape s = auk_panel_bf16_shape(n);
        s.panel_bytes = whole;
        for (size_t g = 0; g < q->n_x; g++)
            rows[g] = q->scores + g * q->keys + at;
        q->f->k->panel_x(q->x, rows, q->n_x, n, s.group);
        q->f->k->panel_bf16(q->sum, wide, values + p % q->kv->cap / 2 * 64, auk_panel_count(q->dim),
                            &s, q->x, q->n_x);
        for (size_t g = 0; g < q->n_x; g++)
            for (size_t i = 0; i < q->dim; i++) {
                float *to = out + g * q->dim + i;
                *to = at == 0 ? q->sum[g * wide + i] : *to + q->sum[g * wide + i];
            }
    }
}

void auk_attend_panels(const auk_forward *f, const auk_kv_layer *kv, size_t row, size_t p,
                       size_t window, size_t head, float *room)
{
    size_t dim = (size_t)f->hp->head_dim, group = (size_t)(f->hp->n_heads / f->hp->n_kv_heads);
    size_t first = p + 1 > window ? p + 1 - window : 0, base = first / BLOCK * BLOCK;
    query q = {.f = f,
               .kv = kv,
               .head = head,
               .dim = dim,
               .base = base,
               .first = first,
               .end = p + 1,
               .keys = (p / BLOCK + 1) * BLOCK - base,
               .scores = room};

    for (size_t g = 0; g < group; g += q.n_x) {
        size_t at = (row * (size_t)f->hp->n_heads + head * group + g) * dim;
        const float *rows[AUK_PANEL_MAX_X];
        q.n_x = group - g < AUK_PANEL_MAX_X ? group - g : AUK_PANEL_MAX_X;
        q.sum = q.scores + q.n_x * q.keys;
        q.x = (uint32_t *)(void *)(q.sum + q.n_x * auk_panel_count(dim) * AUK_PANEL_ROWS);
        for (size_t i = 0; i < q.n_x; i++)
            rows[i] = f->q + at + i * dim;
        score(&q, rows);
        weigh(&q);
        sum_values(&q, f->heads + at);
        f->k->round_bf16(f->heads + at, q.n_x * dim);
    }
}
