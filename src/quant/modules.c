/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/plan.h"

#include "base/mem.h"

uint64_t auk_quant_cols(const auk_quant_module *m)
{
    return m->shape[m->rank - 1];
}

uint64_t auk_quant_rows(const auk_quant_module *m)
{
    uint64_t rows = 1;

    for (int i = 0; i < m->rank - 1; i++)
        rows *= m->shape[i];
    return rows;
}

int auk_quant_outputs(auk_quant_output out[3], const auk_quant_module *m, auk_dtype dtype)
{
    auk_quant_output o = {.part = "weight", .dtype = dtype, .rank = m->rank};
    uint64_t rows = auk_quant_rows(m), cols = auk_quant_cols(m), *last = &o.shape[m->rank - 1];
    size_t item = auk_dtype_bytes(dtype);

    memcpy(o.shape, m->shape, sizeof o.shape);
    o.bytes = rows * cols * item;
    out[0] = o;
    if (!m->is_quantized)
        return 1;
    o.dtype = AUK_DT_U32;
    o.bytes = rows * auk_numfmt_code_bytes(m->format, cols);
    *last = auk_numfmt_code_bytes(m->format, cols) / 4;
    out[0] = o;
    o.part = "scales";
    o.dtype = auk_numfmt_has_bias(m->format) ? dtype : AUK_DT_U8;
    o.bytes = rows * auk_numfmt_scale_bytes(m->format, cols, item);
    *last = cols / (uint64_t)m->format.group_size;
    out[1] = o;
    o.part = "biases";
    out[2] = o;
    return auk_numfmt_has_bias(m->format) ? 3 : 2;
}

void auk_quant_output_name(char *out, size_t n, const auk_quant_module *m,
                           const auk_quant_output *o)
{
    snprintf(out, n, "%s.%s", m->path, o->part);
}

/* ---- the list ----------------------------------------------------------------------------- */

typedef struct builder {
    auk_quant_list *list;
    const auk_hparams *hp;
    int recipe, layer;
    auk_err *err;
    int rc;
} builder;

/* Formats given by path win over everything. */
static int apply_formats(auk_quant_list *list, const auk_quant_options *opts, auk_err *err)
{
    for (size_t i = 0; i < opts->n_formats; i++) {
        const auk_quant_format *f = &opts->formats[i];
        auk_quant_module *m = NULL;
        for (size_t j = 0; j < list->n && m == NULL; j++)
            if (strcmp(list->modules[j].path, f->path) == 0)
                m = &list->modules[j];
        if (m == NULL || m->rank < 2)
            return auk_fail(err, AUK_EINVAL, "no matrix is called '%.100s'", f->path);
        m->is_quantized = f->bits != AUK_QUANT_NONE;
        m->format = (auk_numfmt){AUK_AFFINE, f->bits, f->group_size};
        if (!m->is_quantized)
            continue;
        int rc = auk_numfmt_check(&m->format, err);
        if (rc < 0)
            return rc;
        if (m->shape[m->rank - 1] % (uint64_t)m->format.group_size != 0)
            return auk_fail(err, AUK_EINVAL, "groups of %d do not divide the %llu inputs of '%s'",
                            m->format.group_size, (unsigned long long)m->shape[m->rank - 1],
                            m->path);
        list->has_entries = true;
    }
    return AUK_OK;
}

/* Adds a module; shape[0] is 0 for a matrix of one expert, shape[0] and [1] for a vector. */
static void add(builder *b, const char *name, int experts, int rows, int cols)
{
    auk_quant_module *m = &b->list->modules[b->list->n++];
    const int shape[3] = {experts, rows, cols};
    uint64_t n = 8; /* no format has more bytes per weight */

    if (b->layer < 0)
        snprintf(m->path, sizeof m->path, "language_model.model.%s", name);
    else
        snprintf(m->path, sizeof m->path, "language_model.model.layers.%d.%s", b->layer, name);
    for (int i = 0; i < 3; i++)
        if (shape[i] > 0) {
            m->shape[m->rank++] = (uint64_t)shape[i];
            if (!auk_mul(&n, n, (uint64_t)shape[i]) && b->rc == AUK_OK)
                b->rc = auk_fail(b->err, AUK_EFORMAT, "'%s' would have more than 2^61 weights",
                                 m->path);
        }
    auk_quant_assign(m, b->list, b->recipe, b->hp->n_layers);
}

static void add_layer(builder *b)
{
    const auk_hparams *hp = b->hp;
    int q = hp->n_heads * hp->head_dim, kv = hp->n_kv_heads * hp->head_dim;

    add(b, "self_attn.q_proj", 0, q, hp->hidden);
    add(b, "self_attn.k_proj", 0, kv, hp->hidden);
    add(b, "self_attn.v_proj", 0, kv, hp->hidden);
    add(b, "self_attn.o_proj", 0, hp->hidden, q);
    if (b->layer < hp->n_dense) {
        add(b, "mlp.gate_proj", 0, hp->dense_width, hp->hidden);
        add(b, "mlp.up_proj", 0, hp->dense_width, hp->hidden);
        add(b, "mlp.down_proj", 0, hp->hidden, hp->dense_width);
    } else {
        add(b, "mlp.gate", 0, hp->n_experts, hp->hidden);
        add(b, "mlp.switch_mlp.gate_proj", hp->n_experts, hp->expert_width, hp->hidden);
        add(b, "mlp.switch_mlp.up_proj", hp->n_experts, hp->expert_width, hp->hidden);
        add(b, "mlp.switch_mlp.down_proj", hp->n_experts, hp->hidden, hp->expert_width);
    }
    add(b, "input_layernorm", 0, 0, hp->hidden);
}

static int read_formats(auk_quant_list *list, int *recipe, const auk_quant_options *opts,
                        auk_err *err)
{
    list->global = (auk_numfmt){opts->mode, opts->bits, opts->group_size};
    int rc = auk_quant_find_recipe(recipe, opts->recipe, err);
    if (rc < 0)
        return rc;
    list->has_entries = *recipe >= 0;
    if (opts->bits == AUK_QUANT_NONE) {
        if (opts->mode != AUK_AFFINE || opts->group_size != 0 || opts->recipe != NULL)
            return auk_fail(err, AUK_EINVAL,
                            "16 bits quantize nothing: they take no mode, group size or recipe");
        return AUK_OK;
    }
    list->quantizes = true;
    if (list->has_entries && opts->mode != AUK_AFFINE)
        return auk_fail(err, AUK_EINVAL, "recipe %s is affine: it cannot be combined with mode %s",
                        opts->recipe, auk_mode_name(opts->mode));
    if (list->has_entries && opts->include != 0)
        return auk_fail(err, AUK_EINVAL, "recipe %s says itself what to include", opts->recipe);
    list->include = opts->include;
    return auk_numfmt_check(&list->global, err);
}

int auk_quant_list_make(auk_quant_list *out, const auk_hparams *hp, const auk_quant_options *opts,
                        auk_err *err)
{
    builder b = {.list = out, .hp = hp, .layer = -1, .err = err};

    *out = (auk_quant_list){0};
    int rc = read_formats(out, &b.recipe, opts, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->modules, 2 + 9 * (size_t)hp->n_layers, sizeof *out->modules, err);
    if (rc < 0)
        return rc;
    add(&b, "embed_tokens", 0, hp->vocab, hp->hidden);
    for (b.layer = 0; b.layer < hp->n_layers; b.layer++)
        add_layer(&b);
    b.layer = -1;
    add(&b, "norm", 0, 0, hp->hidden);
    if (b.rc == AUK_OK)
        b.rc = apply_formats(out, opts, err);
    if (b.rc < 0)
        auk_quant_list_release(out);
    return b.rc;
}

void auk_quant_list_release(auk_quant_list *list)
{
    free(list->modules);
    *list = (auk_quant_list){0};
}
