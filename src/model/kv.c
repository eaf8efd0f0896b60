/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"

static size_t positions(const auk_hparams *hp, int layer, int ctx)
{
    return (size_t)(hp->sliding[layer] && hp->window < ctx ? hp->window : ctx);
}

static size_t item_bytes(auk_precision precision)
{
    return precision == AUK_PRECISION_F32 ? 4 : 2;
}

int auk_kv_layer_init(auk_kv_layer *kv, const auk_hparams *hp, int layer, int ctx,
                      auk_precision precision, auk_err *err)
{
    size_t width = (size_t)hp->n_kv_heads * (size_t)hp->head_dim;

    *kv = (auk_kv_layer){.cap = positions(hp, layer, ctx), .item_bytes = item_bytes(precision)};
    int rc = auk_try_alloc(&kv->k, kv->cap * width, kv->item_bytes, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&kv->v, kv->cap * width, kv->item_bytes, err);
    if (rc < 0)
        auk_kv_layer_release(kv);
    return rc;
}

void auk_kv_layer_release(auk_kv_layer *kv)
{
    free(kv->k);
    free(kv->v);
    *kv = (auk_kv_layer){0};
}

uint64_t auk_kv_bytes(const auk_hparams *hp, int ctx, auk_precision precision)
{
    uint64_t width = (uint64_t)hp->n_kv_heads * (uint64_t)hp->head_dim * item_bytes(precision);
    uint64_t sum = 0;

    for (int i = 0; i < hp->n_layers; i++)
        sum += 2 * width * positions(hp, i, ctx);
    return sum;
}

uint64_t auk_kv_read_bytes(const auk_hparams *hp, int depth, auk_precision precision)
{
    return depth > 0 ? auk_kv_bytes(hp, depth, precision) : 0;
}

static void draw(uint8_t *p, size_t n, size_t item, auk_rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        float v = (float)(auk_rng_unit(rng) * 2 - 1);
        uint16_t half = auk_f32_to_bf16(v);
        if (item == 4)
            memcpy(p + 4 * i, &v, sizeof v);
        else
            memcpy(p + 2 * i, &half, sizeof half);
    }
}

/* A part is drawn and repeated: a whole cache would take minutes. */
static void draw_all(uint8_t *p, size_t n, size_t item, uint64_t seed)
{
    auk_rng rng = auk_rng_make(seed);
    size_t part = n < 65536 ? n : 65536;

    draw(p, part, item, &rng);
    for (size_t at = part; at < n; at += part)
        memcpy(p + at * item, p, (n - at < part ? n - at : part) * item);
}

void auk_kv_layer_draw(auk_kv_layer *kv, const auk_hparams *hp)
{
    size_t n = kv->cap * (size_t)hp->n_kv_heads * (size_t)hp->head_dim;

    draw_all(kv->k, n, kv->item_bytes, 1);
    draw_all(kv->v, n, kv->item_bytes, 2);
}
