/* SPDX-License-Identifier: Apache-2.0 */
/* f32: rows, [kv head][position][head_dim].  bf16: panels.  Keys of 16 positions are a panel whose
 * columns are the head's dimensions; 16 dimensions of the values are one whose columns are the
 * positions. */
#include "model/model.h"

#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>

/* A ring turns over in whole groups of columns, and holds as many positions more than its window as
 * may be stored before they are attended to. */
#define BLOCK AUK_PANEL_GROUP

static size_t blocks_up(size_t n)
{
    return (n + BLOCK - 1) / BLOCK * BLOCK;
}

static size_t positions(const auk_hparams *hp, int layer, int ctx, auk_precision precision)
{
    size_t n = (size_t)ctx, window = (size_t)hp->window;

    if (precision == AUK_PRECISION_F32)
        return hp->sliding[layer] && window < n ? window : n;
    n = blocks_up(n);
    window = blocks_up(window) + AUK_KV_CHUNK;
    return hp->sliding[layer] && window < n ? window : n;
}

static size_t item_bytes(auk_precision precision)
{
    return precision == AUK_PRECISION_F32 ? 4 : 2;
}

/* Bytes of one head's keys (values) of cap positions. */
static size_t key_bytes(size_t dim, size_t cap, auk_precision precision)
{
    if (precision == AUK_PRECISION_F32)
        return cap * dim * 4;
    return cap / AUK_PANEL_ROWS * auk_panel_bf16_shape(dim).panel_bytes;
}

static size_t value_bytes(size_t dim, size_t cap, auk_precision precision)
{
    if (precision == AUK_PRECISION_F32)
        return cap * dim * 4;
    return auk_panel_count(dim) * auk_panel_bf16_shape(cap).panel_bytes;
}

int auk_kv_layer_init(auk_kv_layer *kv, const auk_hparams *hp, int layer, int ctx,
                      auk_precision precision, auk_err *err)
{
    size_t heads = (size_t)hp->n_kv_heads, dim = (size_t)hp->head_dim;
    size_t cap = positions(hp, layer, ctx, precision);

    *kv = (auk_kv_layer){.cap = cap, .item_bytes = item_bytes(precision)};
    kv->k_head_bytes = key_bytes(dim, cap, precision);
    kv->v_head_bytes = value_bytes(dim, cap, precision);
    int rc = auk_large_alloc(&kv->k, heads * kv->k_head_bytes, err);
    if (rc == AUK_OK)
        rc = auk_large_alloc(&kv->v, heads * kv->v_head_bytes, err);
    kv->heads = heads;
    if (rc < 0)
        auk_kv_layer_release(kv);
    return rc;
}

void auk_kv_layer_release(auk_kv_layer *kv)
{
    auk_large_free(kv->k, kv->heads * kv->k_head_bytes);
    auk_large_free(kv->v, kv->heads * kv->v_head_bytes);
    *kv = (auk_kv_layer){0};
}

uint64_t auk_kv_bytes(const auk_hparams *hp, int ctx, auk_precision precision)
{
    uint64_t heads = (uint64_t)hp->n_kv_heads, sum = 0;
    size_t dim = (size_t)hp->head_dim;

    for (int i = 0; i < hp->n_layers; i++) {
        size_t cap = positions(hp, i, ctx, precision);
        sum += heads * (key_bytes(dim, cap, precision) + value_bytes(dim, cap, precision));
    }
    return sum;
}

uint64_t auk_kv_read_bytes(const auk_hparams *hp, int depth, auk_precision precision)
{
    uint64_t width = 2 * (uint64_t)hp->n_kv_heads * (uint64_t)hp->head_dim * item_bytes(precision);
    uint64_t sum = 0;

    for (int i = 0; i < hp->n_layers; i++)
        sum += width * (uint64_t)(hp->sliding[i] && hp->window < depth ? hp->window : depth);
    return sum;
}

size_t auk_kv_row_bytes(const auk_hparams *hp, auk_precision precision)
{
    return 2 * (size_t)hp->n_kv_heads * (size_t)hp->head_dim * item_bytes(precision);
}

/* ---- one head's keys and values at one position, as items of item_bytes ------------------- */

static uint8_t *key_at(const auk_kv_layer *kv, size_t dim, size_t h, size_t p, size_t i)
{
    size_t at = p % kv->cap;

    if (kv->item_bytes == 4)
        return kv->k + h * kv->k_head_bytes + (at * dim + i) * 4;
    return kv->k + h * kv->k_head_bytes +
           at / AUK_PANEL_ROWS * auk_panel_bf16_shape(dim).panel_bytes + i / 2 * 64 +
           at % AUK_PANEL_ROWS * 4 + i % 2 * 2;
}

static uint8_t *value_at(const auk_kv_layer *kv, size_t dim, size_t h, size_t p, size_t i)
{
    size_t at = p % kv->cap;

    if (kv->item_bytes == 4)
        return kv->v + h * kv->v_head_bytes + (at * dim + i) * 4;
    return kv->v + h * kv->v_head_bytes +
           i / AUK_PANEL_ROWS * auk_panel_bf16_shape(kv->cap).panel_bytes + at / 2 * 64 +
           i % AUK_PANEL_ROWS * 4 + at % 2 * 2;
}

void auk_kv_layer_read(const auk_kv_layer *kv, const auk_hparams *hp, uint8_t *dst, size_t stride,
                       size_t from, size_t n)
{
    size_t dim = (size_t)hp->head_dim, heads = (size_t)hp->n_kv_heads, item = kv->item_bytes;

    for (size_t p = from; p < from + n; p++, dst += stride)
        for (size_t h = 0; h < heads; h++)
            for (size_t i = 0; i < dim; i++) {
                memcpy(dst + (h * dim + i) * item, key_at(kv, dim, h, p, i), item);
                memcpy(dst + ((heads + h) * dim + i) * item, value_at(kv, dim, h, p, i), item);
            }
}

void auk_kv_layer_write(auk_kv_layer *kv, const auk_hparams *hp, const uint8_t *src, size_t stride,
                        size_t from, size_t n)
{
    size_t dim = (size_t)hp->head_dim, heads = (size_t)hp->n_kv_heads, item = kv->item_bytes;

    for (size_t p = from; p < from + n; p++, src += stride)
        for (size_t h = 0; h < heads; h++)
            for (size_t i = 0; i < dim; i++) {
                memcpy(key_at(kv, dim, h, p, i), src + (h * dim + i) * item, item);
                memcpy(value_at(kv, dim, h, p, i), src + ((heads + h) * dim + i) * item, item);
            }
}

static uint16_t stored(float v)
{
    return fabsf(v) < 0x1p-50f ? 0 : auk_f32_to_bf16(v); /* panels count these as 0 */
}

void auk_kv_layer_put(auk_kv_layer *kv, const auk_hparams *hp, size_t h, size_t p, const float *k,
                      const float *v)
{
    size_t dim = (size_t)hp->head_dim;

    if (kv->item_bytes == 4) {
        memcpy(key_at(kv, dim, h, p, 0), k, 4 * dim);
        memcpy(value_at(kv, dim, h, p, 0), v, 4 * dim);
        return;
    }
    uint8_t *key = key_at(kv, dim, h, p, 0), *value = value_at(kv, dim, h, p, 0);
    size_t next = auk_panel_bf16_shape(kv->cap).panel_bytes;
    for (size_t i = 0; i < dim; i += 2) {
        uint32_t pair = stored(k[i]) | (i + 1 < dim ? (uint32_t)stored(k[i + 1]) << 16 : 0);
        memcpy(key + i / 2 * 64, &pair, sizeof pair);
    }
    for (size_t i = 0; i < dim; i++) {
        uint16_t half = stored(v[i]);
        memcpy(value + i / AUK_PANEL_ROWS * next + i % AUK_PANEL_ROWS * 4, &half, sizeof half);
    }
}

/* ---- for measuring ------------------------------------------------------------------------- */

static void draw(uint8_t *p, size_t bytes, size_t item, uint64_t seed)
{
    auk_rng rng = auk_rng_make(seed);
    size_t part = bytes < 65536 * item ? bytes : 65536 * item;

    for (size_t i = 0; i + item <= part; i += item) {
        float v = (float)(auk_rng_unit(&rng) * 2 - 1);
        uint16_t half = stored(v);
        memcpy(p + i, item == 4 ? (const void *)&v : (const void *)&half, item);
    }
    for (size_t at = part; at < bytes; at += part) /* a whole cache would take minutes */
        memcpy(p + at, p, bytes - at < part ? bytes - at : part);
}

void auk_kv_layer_draw(auk_kv_layer *kv)
{
    draw(kv->k, kv->heads * kv->k_head_bytes, kv->item_bytes, 1);
    draw(kv->v, kv->heads * kv->v_head_bytes, kv->item_bytes, 2);
}
