/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/mem.h"

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
