/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: its quantization block, its shape, what the quantizer makes of it. */
#include "base/mem.h"
#include "quant/plan.h"

#define MAX_LAYERS 200 /* more only cost time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_failure(int rc, const auk_err *err)
{
    if (err->code != rc || err->msg[0] == 0 || strchr(err->msg, '\n') != NULL)
        abort();
}

static void read_block(const json_t *config)
{
    static const char *const paths[] = {"language_model.model.embed_tokens", "a", ""};
    auk_quant_config q;
    auk_numfmt f;
    auk_err err = {0};

    int rc = auk_quant_config_read(&q, config, "input", &err);
    if (rc < 0)
        check_failure(rc, &err);
    for (size_t i = 0; rc == AUK_OK && i < sizeof paths / sizeof *paths; i++)
        if (auk_quant_config_find(&f, &q, auk_str_of(paths[i])) && auk_numfmt_check(&f, &err) < 0)
            abort();
    auk_quant_config_release(&q);
}

static void quantize_shape(const auk_quant_source *s, const auk_quant_options *opts)
{
    auk_buf out = AUK_BUF_INIT((size_t)1 << 26);
    auk_quant_list list;
    auk_quant_size size;
    json_t *back = NULL;
    auk_err err = {0};

    int rc = auk_quant_list_make(&list, &s->hp, opts, &err);
    if (rc < 0) {
        check_failure(rc, &err);
        return;
    }
    if (auk_quant_config_print(&out, s, &list, &err) < 0 ||
        auk_quant_predict(&size, &s->hp, opts, &err) < 0)
        abort();
    auk_quant_size_release(&size);
    auk_quant_list_release(&list);
    auk_buf marked = AUK_BUF_INIT((size_t)1 << 26);
    auk_quant_mark_integers(&marked, auk_buf_str(&out));
    if (auk_json_parse(&back, auk_buf_str(&marked), "output", &err) < 0) /* what we write is JSON */
        abort();
    json_decref(back);
    auk_buf_release(&marked);
    auk_buf_release(&out);
}

static void read_shape(json_t *config)
{
    static const auk_quant_options all[] = {
        {0}, {.recipe = "mixed_4_8"}, {.mode = AUK_MXFP4}, {.bits = AUK_QUANT_NONE}};
    auk_quant_source s = {.config = config, .generation = config, .cast = AUK_DT_COUNT};
    auk_err err = {0};

    int rc = auk_hparams_read(&s.hp, config, config, "input", &err);
    if (rc < 0)
        check_failure(rc, &err);
    for (size_t i = 0; rc == AUK_OK && s.hp.n_layers <= MAX_LAYERS && i < 4; i++)
        quantize_shape(&s, &all[i]);
    auk_hparams_release(&s.hp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = malloc(n); /* exactly its size */
    auk_buf marked = AUK_BUF_INIT((size_t)1 << 26);
    json_t *config = NULL;
    auk_err err = {0};

    if (text == NULL && n > 0)
        return 0;
    if (n > 0)
        memcpy(text, data, n);
    auk_quant_mark_integers(&marked, (auk_str){text, n});
    int rc = auk_json_parse(&config, auk_buf_str(&marked), "input", &err);
    if ((rc < 0) != (config == NULL))
        abort();
    if (rc < 0) {
        check_failure(rc, &err);
    } else {
        read_block(config);
        read_shape(config);
    }
    json_decref(config);
    auk_buf_release(&marked);
    free(text);
    return 0;
}
