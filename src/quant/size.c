/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/plan.h"

#include "base/mem.h"

#define MLX_SHARD_BYTES ((uint64_t)5 << 30)

static auk_quant_shard *add_shard(auk_quant_size *size)
{
    size->shards = auk_realloc(size->shards, (size->n_shards + 1) * sizeof *size->shards);
    size->shards[size->n_shards] = (auk_quant_shard){0};
    return &size->shards[size->n_shards++];
}

/* The cut of auk_sink: a shard ends before the tensor that would pass the limit, also when it is
 * empty. */
static void add_output(auk_quant_size *size, const auk_quant_module *m, const auk_quant_output *o,
                       uint64_t limit)
{
    auk_quant_shard *s = &size->shards[size->n_shards - 1];

    if (s->bytes > limit || o->bytes > limit - s->bytes)
        s = add_shard(size);
    if (s->tensors++ == 0)
        auk_quant_output_name(s->first, sizeof s->first, m, o);
    auk_quant_output_name(s->last, sizeof s->last, m, o);
    s->bytes += o->bytes;
    size->tensors++;
    size->bytes += o->bytes;
}

int auk_quant_predict(auk_quant_size *out, const auk_hparams *hp, const auk_quant_options *opts,
                      auk_err *err)
{
    auk_quant_list list;

    *out = (auk_quant_size){0};
    int rc = auk_quant_list_make(&list, hp, opts, err);
    if (rc < 0)
        return rc;
    add_shard(out);
    for (size_t i = 0; i < list.n; i++) {
        const auk_quant_module *m = &list.modules[i];
        auk_quant_output outputs[3];
        int n = auk_quant_outputs(outputs, m, AUK_DT_BF16);
        for (int j = 0; j < n; j++)
            add_output(out, m, &outputs[j],
                       opts->shard_bytes ? opts->shard_bytes : MLX_SHARD_BYTES);
        out->weights += auk_quant_rows(m) * auk_quant_cols(m);
    }
    out->bits_per_weight = 8.0 * (double)out->bytes / (double)out->weights;
    auk_quant_list_release(&list);
    return AUK_OK;
}

void auk_quant_size_release(auk_quant_size *size)
{
    free(size->shards);
    *size = (auk_quant_size){0};
}
