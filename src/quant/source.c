/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/plan.h"

#include "base/mem.h"

#include <ctype.h>

/* What torch_dtype (or text_config.dtype) casts weights to, as mlx-vlm reads them. */
static auk_dtype read_cast(const json_t *config)
{
    static const struct {
        const char *name;
        auk_dtype dtype;
    } names[] = {{"float16", AUK_DT_F16}, {"bfloat16", AUK_DT_BF16}, {"float32", AUK_DT_F32}};
    const json_t *v = json_object_get(config, "torch_dtype");

    if (v == NULL || json_is_null(v))
        v = json_object_get(json_object_get(config, "text_config"), "dtype");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (auk_str_is(auk_json_str(v), names[i].name))
            return names[i].dtype;
    return AUK_DT_COUNT;
}

static int parse_marked(json_t **out, auk_str text, const char *path, auk_err *err)
{
    auk_buf marked = AUK_BUF_INIT(2 * AUK_MAX_JSON_FILE);

    *out = NULL;
    auk_quant_mark_integers(&marked, text);
    int rc = auk_buf_check(&marked, path, err);
    if (rc == AUK_OK)
        rc = auk_json_parse(out, auk_buf_str(&marked), path, err);
    auk_buf_release(&marked);
    return rc;
}

/* MLX ignores a generation_config.json that is missing, malformed or empty. */
static int read_generation(json_t **out, const char *dir, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    char *path = auk_path_join(dir, "generation_config.json");
    auk_err ignored;

    *out = NULL;
    int rc = auk_file_exists(path) ? auk_file_read(&text, path, err) : AUK_OK;
    if (rc == AUK_OK && parse_marked(out, auk_buf_str(&text), path, &ignored) == AUK_OK &&
        json_object_size(*out) == 0) {
        json_decref(*out);
        *out = NULL;
    }
    auk_buf_release(&text);
    free(path);
    return rc;
}

static bool has_value(const json_t *config, const char *key)
{
    const json_t *v = json_object_get(config, key);
    return v != NULL && !json_is_null(v);
}

/* The shape of the model; MLX takes model_type in any case. */
static int read_hparams(auk_quant_source *s, auk_err *err)
{
    json_t *config = json_copy(s->config);
    auk_str type = auk_json_str(json_object_get(config, "model_type"));

    if (type.n > 0) {
        char *lower = auk_strndup(type.p, type.n);
        for (size_t i = 0; i < type.n; i++)
            lower[i] = (char)tolower((unsigned char)lower[i]);
        json_object_set_new(config, "model_type", json_stringn(lower, type.n));
        free(lower);
    }
    int rc = auk_hparams_read(&s->hp, config, s->generation, s->path, err);
    json_decref(config);
    return rc;
}

int auk_quant_source_open(auk_quant_source *out, const char *dir, auk_err *err)
{
    *out = (auk_quant_source){.text = AUK_BUF_INIT(AUK_MAX_JSON_FILE)};
    out->path = auk_path_join(dir, "config.json");
    int rc = auk_file_read(&out->text, out->path, err);
    if (rc == AUK_OK)
        rc = parse_marked(&out->config, auk_buf_str(&out->text), out->path, err);
    if (rc == AUK_OK && !json_is_object(out->config))
        rc = auk_fail(err, AUK_EFORMAT, "'%s' is not a JSON object", out->path);
    if (rc == AUK_OK &&
        (has_value(out->config, "quantization") || has_value(out->config, "quantization_config")))
        rc = auk_fail(err, AUK_EINVAL, "'%s' is quantized already: start from the bf16 checkpoint",
                      dir);
    if (rc == AUK_OK)
        rc = read_generation(&out->generation, dir, err);
    if (rc == AUK_OK)
        rc = read_hparams(out, err);
    out->cast = read_cast(out->config);
    if (rc < 0)
        auk_quant_source_release(out);
    return rc;
}

void auk_quant_source_release(auk_quant_source *s)
{
    free(s->path);
    auk_buf_release(&s->text);
    json_decref(s->config);
    json_decref(s->generation);
    auk_hparams_release(&s->hp);
    *s = (auk_quant_source){0};
}

int auk_quant_read_shape(auk_hparams *hp, const char *dir, auk_err *err)
{
    auk_quant_source s;

    int rc = auk_quant_source_open(&s, dir, err);
    if (rc < 0)
        return rc;
    *hp = s.hp;
    s.hp = (auk_hparams){0};
    auk_quant_source_release(&s);
    return AUK_OK;
}
