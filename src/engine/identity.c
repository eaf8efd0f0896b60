/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/session.h"

#include "base/file.h"
#include "base/sha256.h"

#define SAMPLE_BYTES 256 /* of each tensor */

int auk_engine_identity(char hex[AUK_SHA256_HEX], uint64_t *parameters, const auk_engine *e,
                        auk_err *err)
{
    const auk_model *m = e->model;
    const auk_hparams *hp = &m->hp;
    char *config = auk_path_join(e->dir, "config.json");
    auk_buf text = AUK_BUF_INIT((size_t)64 << 20);
    auk_sha256 *h = auk_sha256_new();

    int rc = auk_file_read(&text, config, err);
    auk_sha256_add(h, auk_buf_str(&text).p, text.n);
    for (size_t i = 0; i < auk_checkpoint_count(m->ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(m->ck, i);
        auk_sha256_add(h, &t->bytes, sizeof t->bytes);
        auk_sha256_add(h, t->data, t->bytes < SAMPLE_BYTES ? t->bytes : SAMPLE_BYTES);
    }
    auk_sha256_finish(h, hex);
    uint64_t hidden = (uint64_t)hp->hidden, dim = (uint64_t)hp->head_dim;
    uint64_t heads = (uint64_t)(2 * hp->n_heads + 2 * hp->n_kv_heads) * dim;
    uint64_t sum = (uint64_t)hp->vocab * hidden * (hp->tied ? 1 : 2) + hidden;
    for (int i = 0; i < hp->n_layers; i++) {
        uint64_t mlp = i < hp->n_dense ? 3 * hidden * (uint64_t)hp->dense_width
                                       : (uint64_t)hp->n_experts * hidden *
                                             (3 * (uint64_t)hp->expert_width + 1);
        sum += hidden * (heads + 1) + mlp;
    }
    *parameters = sum;
    auk_buf_release(&text);
    free(config);
    return rc;
}
