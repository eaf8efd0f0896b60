/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/mem.h"

#include <float.h>

typedef struct reader {
    const json_t *config;
    const char *name;
    auk_err *err;
    int rc; /* the first failure; later calls do nothing */
} reader;

static const json_t *need(reader *r, const char *key)
{
    const json_t *v = json_object_get(r->config, key);

    if (r->rc == AUK_OK && v == NULL)
        r->rc = auk_fail(r->err, AUK_EFORMAT,
                         "'%s' lacks '%s': without it the model would silently be another one; "
                         "take the released config.json",
                         r->name, key);
    return r->rc == AUK_OK ? v : NULL;
}

static int get_int(reader *r, const char *key, int lo, int hi)
{
    const json_t *v = need(r, key);

    if (v == NULL)
        return lo;
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi) {
        r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s': '%s' is not an integer from %d to %d", r->name,
                         key, lo, hi);
        return lo;
    }
    return (int)json_integer_value(v);
}

static double get_real(reader *r, const char *key, const json_t *v)
{
    if (v == NULL || r->rc < 0)
        return 1;
    double x = json_number_value(v);
    if (!json_is_number(v) || !(x >= FLT_MIN && x <= FLT_MAX)) { /* it becomes a float */
        r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s': '%s' is not a positive number", r->name, key);
        return 1;
    }
    return x;
}

static bool get_bool(reader *r, const char *key)
{
    const json_t *v = need(r, key);

    if (v != NULL && !json_is_boolean(v))
        r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s': '%s' is not true or false", r->name, key);
    return json_is_true(v);
}

/* A key that may be absent, but whose other values mean another architecture. */
static void only(reader *r, const char *key, const json_t *want, const char *shown)
{
    const json_t *v = json_object_get(r->config, key);

    if (r->rc == AUK_OK && v != NULL && !json_is_null(v) &&
        !json_equal((json_t *)v, (json_t *)want))
        r->rc = auk_fail(r->err, AUK_ENOTSUP, "'%s': '%s' is not %s: not an architecture we run",
                         r->name, key, shown);
}

static void check_architecture(reader *r)
{
    auk_str type = auk_json_str(json_object_get(r->config, "model_type"));

    if (!json_is_object(r->config)) {
        r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s' is not a JSON object", r->name);
        return;
    }
    if (!auk_str_is(type, "cohere2_moe")) {
        r->rc = auk_fail(r->err, AUK_ENOTSUP,
                         "'%s': model_type is '%.*s', want 'cohere2_moe' (North-Mini-Code-1.0)",
                         r->name, AUK_ARG(type));
        return;
    }
    json_t *no = json_false(), *yes = json_true();
    json_t *silu = json_string("silu"), *sigmoid = json_string("sigmoid");
    only(r, "attention_bias", no, "false");
    only(r, "use_qk_norm", no, "false");
    only(r, "use_parallel_block", yes, "true");
    only(r, "hidden_act", silu, "\"silu\"");
    only(r, "expert_selection_fn", sigmoid, "\"sigmoid\"");
    json_decref(silu);
    json_decref(sigmoid);
    const json_t *scaling = json_object_get(r->config, "rope_scaling");
    if (r->rc == AUK_OK && scaling != NULL && !json_is_null(scaling))
        r->rc = auk_fail(r->err, AUK_ENOTSUP, "'%s': 'rope_scaling' is not null", r->name);
    const json_t *pct = json_object_get(r->config, "rotary_pct");
    if (r->rc == AUK_OK && json_is_number(pct) && json_number_value(pct) != 1.0)
        r->rc = auk_fail(r->err, AUK_ENOTSUP, "'%s': 'rotary_pct' is not 1", r->name);
}

/* transformers 5 writes rope_parameters {rope_type, rope_theta}; the released file a flat key. */
static double get_theta(reader *r)
{
    const json_t *params = json_object_get(r->config, "rope_parameters");
    const json_t *theta = json_object_get(r->config, "rope_theta");
    const json_t *inner = json_object_get(params, "rope_theta");
    auk_str type = auk_json_str(json_object_get(params, "rope_type"));

    if (r->rc == AUK_OK && type.p != NULL && !auk_str_is(type, "default"))
        r->rc = auk_fail(r->err, AUK_ENOTSUP, "'%s': rope_type '%.*s' is not 'default'", r->name,
                         AUK_ARG(type));
    if (theta != NULL && inner != NULL && json_number_value(theta) != json_number_value(inner) &&
        r->rc == AUK_OK)
        r->rc = auk_fail(r->err, AUK_EFORMAT,
                         "'%s': rope_theta and rope_parameters.rope_theta differ", r->name);
    if (inner == NULL)
        inner = theta == NULL ? need(r, "rope_theta") : theta;
    return get_real(r, "rope_theta", inner);
}

static void read_layer_types(reader *r, auk_hparams *hp)
{
    const json_t *types = need(r, "layer_types");

    if (types == NULL)
        return;
    if (json_array_size(types) != (size_t)hp->n_layers) {
        r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s': 'layer_types' has %zu entries for %d layers",
                         r->name, json_array_size(types), hp->n_layers);
        return;
    }
    r->rc = auk_try_alloc(&hp->sliding, (size_t)hp->n_layers, sizeof *hp->sliding, r->err);
    for (int i = 0; i < hp->n_layers && r->rc == AUK_OK; i++) {
        auk_str t = auk_json_str(json_array_get(types, (size_t)i));
        hp->sliding[i] = auk_str_is(t, "sliding_attention");
        if (!hp->sliding[i] && !auk_str_is(t, "full_attention"))
            r->rc = auk_fail(r->err, AUK_ENOTSUP, "'%s': layer_types[%d] is '%.*s'", r->name, i,
                             AUK_ARG(t));
    }
}

/* first_k_dense_replace, or the list transformers rewrites it to. */
static void read_dense(reader *r, auk_hparams *hp)
{
    const json_t *list = json_object_get(r->config, "mlp_layer_types");

    if (json_object_get(r->config, "first_k_dense_replace") != NULL || list == NULL) {
        hp->n_dense = get_int(r, "first_k_dense_replace", 0, hp->n_layers);
    } else {
        while (hp->n_dense < (int)json_array_size(list) &&
               auk_str_is(auk_json_str(json_array_get(list, (size_t)hp->n_dense)), "dense"))
            hp->n_dense++;
        for (size_t i = (size_t)hp->n_dense; i < json_array_size(list) && r->rc == AUK_OK; i++)
            if (!auk_str_is(auk_json_str(json_array_get(list, i)), "sparse"))
                r->rc = auk_fail(r->err, AUK_ENOTSUP,
                                 "'%s': mlp_layer_types[%zu]: dense layers come first only",
                                 r->name, i);
        if (r->rc == AUK_OK && json_array_size(list) != (size_t)hp->n_layers)
            r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s': 'mlp_layer_types' has %zu entries",
                             r->name, json_array_size(list));
    }
    if (hp->n_dense > 0)
        hp->dense_width = get_int(r, "prefix_dense_intermediate_size", 1, INT32_MAX / 4);
}

/* v as a token id; -1 when it is none. */
static int32_t as_id(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= INT32_MAX
               ? (int32_t)json_integer_value(v)
               : -1;
}

static void add_eos(auk_hparams *hp, const json_t *v)
{
    if (as_id(v) >= 0 && hp->n_eos < (int)(sizeof hp->eos / sizeof *hp->eos))
        hp->eos[hp->n_eos++] = as_id(v);
}

static void read_eos(auk_hparams *hp, const json_t *v)
{
    add_eos(hp, v);
    for (size_t i = 0; i < json_array_size(v); i++)
        add_eos(hp, json_array_get(v, i));
}

static void check_sums(reader *r, const auk_hparams *hp)
{
    if (r->rc != AUK_OK)
        return;
    if (hp->n_heads % hp->n_kv_heads != 0)
        r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s': %d heads cannot share %d kv heads", r->name,
                         hp->n_heads, hp->n_kv_heads);
    else if (hp->head_dim % 2 != 0)
        r->rc = auk_fail(r->err, AUK_EFORMAT, "'%s': head_dim %d is odd", r->name, hp->head_dim);
    else if (hp->top_k > hp->n_experts)
        r->rc =
            auk_fail(r->err, AUK_EFORMAT, "'%s': num_experts_per_tok exceeds num_experts", r->name);
}

int auk_hparams_read(auk_hparams *out, const json_t *config, const json_t *generation,
                     const char *name, auk_err *err)
{
    reader r = {config, name, err, AUK_OK};
    const int big = 1 << 24; /* keeps products of two within 64 bits and sizes within int */

    *out = (auk_hparams){0};
    check_architecture(&r);
    out->n_layers = get_int(&r, "num_hidden_layers", 1, 1 << 16);
    out->hidden = get_int(&r, "hidden_size", 1, big);
    out->n_heads = get_int(&r, "num_attention_heads", 1, 1 << 16);
    out->n_kv_heads = get_int(&r, "num_key_value_heads", 1, 1 << 16);
    out->head_dim = get_int(&r, "head_dim", 2, 1 << 14);
    out->vocab = get_int(&r, "vocab_size", 1, INT32_MAX / 4);
    out->window = get_int(&r, "sliding_window", 1, INT32_MAX / 4);
    out->max_context = get_int(&r, "max_position_embeddings", 1, INT32_MAX / 4);
    read_dense(&r, out);
    bool sparse = r.rc == AUK_OK && out->n_dense < out->n_layers;
    out->n_experts = sparse ? get_int(&r, "num_experts", 1, 1 << 16) : 1;
    out->top_k = sparse ? get_int(&r, "num_experts_per_tok", 1, 1 << 16) : 1;
    out->expert_width = sparse ? get_int(&r, "intermediate_size", 1, big) : 1;
    get_int(&r, "num_shared_experts", 0, 0);
    out->norm_topk_prob = get_bool(&r, "norm_topk_prob");
    out->norm_eps = (float)get_real(&r, "rms_norm_eps", need(&r, "rms_norm_eps"));
    out->logit_scale = (float)get_real(&r, "logit_scale", need(&r, "logit_scale"));
    out->rope_theta = get_theta(&r);
    read_layer_types(&r, out);
    check_sums(&r, out);
    out->tied = !json_is_false(json_object_get(config, "tie_word_embeddings"));
    out->bos = as_id(json_object_get(config, "bos_token_id"));
    out->pad = as_id(json_object_get(config, "pad_token_id"));
    read_eos(out, json_object_get(generation, "eos_token_id"));
    if (out->n_eos == 0)
        read_eos(out, json_object_get(config, "eos_token_id"));
    if (r.rc < 0)
        auk_hparams_release(out);
    return r.rc;
}

void auk_hparams_release(auk_hparams *hp)
{
    free(hp->sliding);
    hp->sliding = NULL;
}
