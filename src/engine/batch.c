/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/session.h"

#include "base/mem.h"

typedef struct lane {
    auk_kv_layer *kv; /* owned; one per layer */
    int32_t *ids;     /* owned; n of ctx */
    size_t n;
} lane;

struct auk_batch {
    auk_engine *engine;   /* borrowed */
    auk_forward *forward; /* owned */
    lane *lanes;          /* owned */
    int n_lanes, ctx;
    float *h;         /* owned; AUK_BATCH_ROWS rows */
    float *last;      /* owned; the rows whose logits are wanted */
    float *logits;    /* owned; one row per lane */
    int32_t *ids;     /* owned; of one step */
    size_t row_bytes; /* keys and values of one position of one layer */
};

static const auk_hparams *hparams(const auk_batch *b)
{
    return &b->engine->model->hp;
}

uint64_t auk_batch_bytes(const auk_engine *e, int lanes, int ctx)
{
    const auk_hparams *hp = &e->model->hp;
    uint64_t rows = (AUK_BATCH_ROWS + (uint64_t)lanes) * (uint64_t)hp->hidden +
                    (uint64_t)lanes * (uint64_t)hp->vocab;

    return (uint64_t)lanes * (auk_session_kv_bytes(e, ctx) + (uint64_t)ctx * sizeof(int32_t)) +
           rows * sizeof(float) +
           auk_forward_bytes(hp, e->model->max_cols, auk_pool_threads(e->pool), AUK_BATCH_ROWS,
                             ctx);
}

static int lane_init(auk_batch *b, lane *l, auk_err *err)
{
    const auk_hparams *hp = hparams(b);

    int rc = auk_try_alloc(&l->kv, (size_t)hp->n_layers, sizeof *l->kv, err);
    for (int i = 0; i < hp->n_layers && rc == AUK_OK; i++)
        rc = auk_kv_layer_init(&l->kv[i], hp, i, b->ctx, b->engine->precision, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&l->ids, (size_t)b->ctx, sizeof *l->ids, err);
    return rc;
}

static int init(auk_batch *b, auk_err *err)
{
    auk_engine *e = b->engine;
    const auk_hparams *hp = hparams(b);
    size_t hidden = (size_t)hp->hidden, lanes = (size_t)b->n_lanes;

    if (b->n_lanes < 1 || b->n_lanes > AUK_BATCH_LANES)
        return auk_fail(err, AUK_EINVAL, "%d parallel sequences are not within 1 to %d", b->n_lanes,
                        AUK_BATCH_LANES);
    if (b->ctx < 1 || b->ctx > hp->max_context)
        return auk_fail(err, AUK_EINVAL, "a context of %d is not within this model's 1 to %d",
                        b->ctx, hp->max_context);
    int rc = auk_forward_new(&b->forward, e->model, &e->kernel, e->pool, e->precision,
                             AUK_BATCH_ROWS, b->ctx, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&b->lanes, lanes, sizeof *b->lanes, err);
    for (int i = 0; i < b->n_lanes && rc == AUK_OK; i++)
        rc = lane_init(b, &b->lanes[i], err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&b->h, AUK_BATCH_ROWS * hidden, sizeof *b->h, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&b->last, lanes * hidden, sizeof *b->last, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&b->logits, lanes * (size_t)hp->vocab, sizeof *b->logits, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&b->ids, AUK_BATCH_ROWS, sizeof *b->ids, err);
    return rc;
}

int auk_batch_new(auk_batch **out, auk_engine *e, int lanes, int ctx, auk_err *err)
{
    auk_batch *b = auk_alloc(sizeof *b);

    *out = NULL;
    b->engine = e;
    b->n_lanes = lanes;
    b->ctx = ctx;
    b->row_bytes = auk_kv_row_bytes(hparams(b), e->precision);
    int rc = init(b, err);
    if (rc == AUK_OK) {
        *out = b;
        b = NULL;
    }
    auk_batch_free(b);
    return rc;
}

void auk_batch_free(auk_batch *b)
{
    if (b == NULL)
        return;
    for (int i = 0; b->lanes != NULL && i < b->n_lanes; i++) {
        for (int k = 0; b->lanes[i].kv != NULL && k < hparams(b)->n_layers; k++)
            auk_kv_layer_release(&b->lanes[i].kv[k]);
        free(b->lanes[i].kv);
        free(b->lanes[i].ids);
    }
    free(b->lanes);
    free(b->h);
    free(b->last);
    free(b->logits);
    free(b->ids);
    auk_forward_free(b->forward);
    free(b);
}

int auk_batch_lanes(const auk_batch *b)
{
    return b->n_lanes;
}

int auk_batch_ctx(const auk_batch *b)
{
    return b->ctx;
}

size_t auk_batch_length(const auk_batch *b, int i)
{
    return b->lanes[i].n;
}

const int32_t *auk_batch_ids(const auk_batch *b, int i)
{
    return b->lanes[i].ids;
}

void auk_batch_clear(auk_batch *b, int i)
{
    b->lanes[i].n = 0;
}

static int check(const auk_batch *b, const auk_batch_feed *feeds, size_t n, auk_err *err)
{
    size_t rows = 0;

    for (size_t i = 0; i < n; i++) {
        const auk_batch_feed *f = &feeds[i];
        size_t held = b->lanes[f->lane].n;
        rows += f->n;
        if (f->n > (size_t)b->ctx - held)
            return auk_fail(err, AUK_ELIMIT, "%zu tokens after %zu do not fit a context of %d",
                            f->n, held, b->ctx);
        for (size_t k = 0; k < f->n; k++)
            if (f->ids[k] < 0 || f->ids[k] >= hparams(b)->vocab)
                return auk_fail(err, AUK_EINVAL, "token id %d is not within [0, %d)",
                                (int)f->ids[k], hparams(b)->vocab);
    }
    return rows <= AUK_BATCH_ROWS
               ? AUK_OK
               : auk_fail(err, AUK_ELIMIT, "a step of %zu rows is over %d", rows, AUK_BATCH_ROWS);
}

/* The logits of every feed that wants them, in one product with the head. */
static void give_logits(auk_batch *b, const auk_batch_feed *feeds, size_t n)
{
    size_t hidden = (size_t)hparams(b)->hidden, vocab = (size_t)hparams(b)->vocab;
    size_t at = 0, wanted = 0;

    for (size_t i = 0; i < n; i++) {
        at += feeds[i].n;
        if (feeds[i].logits != NULL)
            memcpy(b->last + wanted++ * hidden, b->h + (at - 1) * hidden, hidden * sizeof *b->h);
    }
    if (wanted == 0)
        return;
    auk_forward_logits(b->forward, b->logits, b->last, wanted);
    for (size_t i = 0, row = 0; i < n; i++)
        if (feeds[i].logits != NULL)
            memcpy(feeds[i].logits, b->logits + row++ * vocab, vocab * sizeof *b->logits);
}

int auk_batch_step(auk_batch *b, const auk_batch_feed *feeds, size_t n, auk_err *err)
{
    auk_span spans[AUK_BATCH_LANES];
    size_t rows = 0;

    int rc = check(b, feeds, n, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        memcpy(b->ids + rows, feeds[i].ids, feeds[i].n * sizeof *b->ids);
        rows += feeds[i].n;
    }
    auk_forward_embed(b->forward, b->h, b->ids, rows);
    for (int layer = 0; layer < hparams(b)->n_layers; layer++) {
        for (size_t i = 0; i < n; i++) {
            lane *l = &b->lanes[feeds[i].lane];
            spans[i] = (auk_span){&l->kv[layer], (int)l->n, feeds[i].n};
        }
        auk_forward_spans(b->forward, layer, spans, n, b->h, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        lane *l = &b->lanes[feeds[i].lane];
        memcpy(l->ids + l->n, feeds[i].ids, feeds[i].n * sizeof *l->ids);
        l->n += feeds[i].n;
    }
    give_logits(b, feeds, n);
    return AUK_OK;
}

/* ---- keys and values ---- */

size_t auk_batch_window(const auk_batch *b, size_t depth)
{
    size_t window = (size_t)hparams(b)->window;

    return depth < window ? depth : window;
}

static size_t layers_of(const auk_batch *b, bool full)
{
    size_t n = 0;

    for (int i = 0; i < hparams(b)->n_layers; i++)
        n += hparams(b)->sliding[i] != full;
    return n;
}

size_t auk_batch_full_bytes(const auk_batch *b)
{
    return layers_of(b, true) * b->row_bytes;
}

size_t auk_batch_window_bytes(const auk_batch *b)
{
    return layers_of(b, false) * b->row_bytes;
}

void auk_batch_read(const auk_batch *b, int i, bool full, uint8_t *dst, size_t from, size_t n)
{
    size_t stride = layers_of(b, full) * b->row_bytes, at = 0;

    for (int k = 0; k < hparams(b)->n_layers; k++)
        if (hparams(b)->sliding[k] != full)
            auk_kv_layer_read(&b->lanes[i].kv[k], hparams(b), dst + b->row_bytes * at++, stride,
                              from, n);
}

void auk_batch_write(auk_batch *b, int i, bool full, const uint8_t *src, size_t from, size_t n)
{
    size_t stride = layers_of(b, full) * b->row_bytes, at = 0;

    for (int k = 0; k < hparams(b)->n_layers; k++)
        if (hparams(b)->sliding[k] != full)
            auk_kv_layer_write(&b->lanes[i].kv[k], hparams(b), src + b->row_bytes * at++, stride,
                               from, n);
}

void auk_batch_set(auk_batch *b, int i, const int32_t *ids, size_t n)
{
    memcpy(b->lanes[i].ids, ids, n * sizeof *ids);
    b->lanes[i].n = n;
}
