/* SPDX-License-Identifier: Apache-2.0 */
/* A config.json either describes a model whose sizes hold together, or fails with a message. */
#include "model/model.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_hparams(const json_t *config)
{
    auk_hparams hp;
    auk_err err = {0};

    int rc = auk_hparams_read(&hp, config, config, "input", &err);
    assert((rc < 0) == (err.msg[0] != 0));
    assert(rc == AUK_OK || (err.code == rc && hp.sliding == NULL));
    assert(strchr(err.msg, '\n') == NULL);
    if (rc < 0)
        return;
    assert(hp.n_layers > 0 && hp.hidden > 0 && hp.vocab > 0 && hp.window > 0);
    assert(hp.n_kv_heads > 0 && hp.n_heads % hp.n_kv_heads == 0 && hp.head_dim % 2 == 0);
    assert(hp.n_dense >= 0 && hp.n_dense <= hp.n_layers && hp.top_k <= hp.n_experts);
    assert(hp.norm_eps > 0 && hp.rope_theta > 0);
    assert(hp.n_eos >= 0 && hp.n_eos <= (int)(sizeof hp.eos / sizeof *hp.eos));
    for (int i = 0; i < hp.n_eos; i++)
        assert(hp.eos[i] >= 0);
    for (int i = 0; i < hp.n_layers; i++)
        (void)auk_hparams_rotary(&hp, i);
    assert(auk_kv_bytes(&hp, hp.max_context, AUK_PRECISION_F32) > 0);
    auk_hparams_release(&hp);
}

static void check_quant_config(const json_t *config)
{
    auk_quant_config q;
    auk_numfmt f;
    auk_err err = {0};

    int rc = auk_quant_config_read(&q, config, "input", &err);
    assert((rc < 0) == (err.msg[0] != 0));
    assert(rc == AUK_OK || (err.code == rc && q.entries == NULL));
    if (rc == AUK_OK && auk_quant_config_find(&f, &q, auk_str_of("model.embed_tokens")))
        assert(q.present && auk_numfmt_check(&f, &err) == AUK_OK);
    auk_quant_config_release(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *config;
    auk_err err = {0};

    int rc = auk_json_parse(&config, (auk_str){(const char *)data, n}, "input", &err);
    assert((rc < 0) == (config == NULL) && (rc < 0) == (err.msg[0] != 0));
    if (rc < 0)
        return 0;
    check_hparams(config);
    check_quant_config(config);
    json_decref(config);
    return 0;
}
