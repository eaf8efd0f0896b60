/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/mem.h"

#include <inttypes.h>

/* What opening looks up: one module's tensors and the shape its weight must have. */
typedef struct module {
    const char *base;   /* tensor names are base + ".weight" ...; without "language_model." */
    const char *suffix; /* of the weight: ".weight", or "" for the fused expert tensors */
    const char *path;   /* what config.json calls the module */
    uint64_t lead;      /* stacked experts: their number; 0: a plain matrix */
    uint64_t rows, cols;
} module;

static const auk_tensor *find(auk_model *m, const char *base, const char *suffix)
{
    char name[600];

    snprintf(name, sizeof name, "language_model.%s%s", base, suffix);
    const auk_tensor *t = auk_checkpoint_find(m->ck, auk_str_of(name));
    if (t == NULL)
        t = auk_checkpoint_find(m->ck, auk_str_of(name + sizeof "language_model." - 1));
    if (t != NULL)
        m->used[t - auk_checkpoint_at(m->ck, 0)] = true;
    return t;
}

static int missing(const auk_model *m, const char *base, const char *suffix, auk_err *err)
{
    return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.300s%s' is missing: fetch the shard again",
                    auk_checkpoint_dir(m->ck), base, suffix);
}

/* The tensor has `lead` (when not 0), rows and cols as its dimensions, in this order. */
static int check_shape(const auk_model *m, const auk_tensor *t, uint64_t lead, uint64_t rows,
                       uint64_t cols, auk_err *err)
{
    uint64_t want[3] = {lead, rows, cols};
    int skip = lead ? 0 : 1;
    char got_text[128], want_text[128];

    if (t->rank == 3 - skip && memcmp(t->shape, want + skip, (size_t)t->rank * sizeof *want) == 0)
        return AUK_OK;
    auk_shape_print(got_text, sizeof got_text, t->rank, t->shape);
    auk_shape_print(want_text, sizeof want_text, 3 - skip, want + skip);
    return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.*s' has shape %s, config.json wants %s",
                    auk_checkpoint_file(m->ck, t->shard), AUK_ARG(t->name), got_text, want_text);
}

static int wrong_dtype(const auk_model *m, const auk_tensor *t, const char *want, auk_err *err)
{
    return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.*s' is %s, want %s",
                    auk_checkpoint_file(m->ck, t->shard), AUK_ARG(t->name),
                    auk_dtype_name(t->dtype), want);
}

static int plain_mat(auk_model *m, auk_mat *out, const module *mod, const auk_tensor *t,
                     auk_err *err)
{
    switch (t->dtype) {
    case AUK_DT_BF16:
        out->type = AUK_W_BF16;
        break;
    case AUK_DT_F16:
        out->type = AUK_W_F16;
        break;
    case AUK_DT_F32:
        out->type = AUK_W_F32;
        break;
    default:
        return wrong_dtype(m, t, "BF16, F16 or F32 (it has no scales)", err);
    }
    out->row_bytes = (size_t)mod->cols * auk_dtype_bytes(t->dtype);
    return check_shape(m, t, mod->lead, mod->rows, mod->cols, err);
}

static int scale_dtype(auk_model *m, auk_mat *out, auk_numfmt f, const auk_tensor *t, auk_err *err)
{
    bool byte = t->dtype == AUK_DT_U8 ||
                t->dtype == (f.mode == AUK_NVFP4 ? AUK_DT_F8_E4M3 : AUK_DT_F8_E8M0);
    if (f.mode != AUK_AFFINE) {
        out->scale_type = f.mode == AUK_NVFP4 ? AUK_S_E4M3 : AUK_S_E8M0;
        return byte ? AUK_OK : wrong_dtype(m, t, "U8", err);
    }
    out->scale_type = t->dtype == AUK_DT_BF16  ? AUK_S_BF16
                      : t->dtype == AUK_DT_F16 ? AUK_S_F16
                                               : AUK_S_F32;
    if (t->dtype != AUK_DT_BF16 && t->dtype != AUK_DT_F16 && t->dtype != AUK_DT_F32)
        return wrong_dtype(m, t, "BF16, F16 or F32", err);
    return AUK_OK;
}

static int quantized_mat(auk_model *m, auk_mat *out, const module *mod, auk_numfmt f,
                         const auk_tensor *t, const auk_tensor *scales, auk_err *err)
{
    const auk_tensor *biases = find(m, mod->base, ".biases");

    if (t->dtype != AUK_DT_U32)
        return wrong_dtype(m, t, "U32 (it has scales)", err);
    if (mod->cols % (uint64_t)f.group_size != 0)
        return auk_fail(err, AUK_EFORMAT,
                        "'%s': %s says groups of %d, which do not divide %" PRIu64,
                        auk_checkpoint_dir(m->ck), mod->path, f.group_size, mod->cols);
    uint64_t groups = mod->cols / (uint64_t)f.group_size;
    int rc = check_shape(m, t, mod->lead, mod->rows,
                         mod->cols / 32 * (uint64_t)f.bits + mod->cols % 32 * (uint64_t)f.bits / 32,
                         err);
    if (rc == AUK_OK)
        rc = check_shape(m, scales, mod->lead, mod->rows, groups, err);
    if (rc == AUK_OK)
        rc = scale_dtype(m, out, f, scales, err);
    if (rc < 0)
        return rc;
    if (auk_numfmt_has_bias(f)) {
        if (biases == NULL)
            return missing(m, mod->base, ".biases", err);
        rc = check_shape(m, biases, mod->lead, mod->rows, groups, err);
        if (rc == AUK_OK && biases->dtype != scales->dtype)
            rc = wrong_dtype(m, biases, auk_dtype_name(scales->dtype), err);
        out->biases = biases->data;
    } else if (biases != NULL) {
        return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.*s' is not wanted: %s has no biases",
                        auk_checkpoint_file(m->ck, biases->shard), AUK_ARG(biases->name),
                        auk_mode_name(f.mode));
    }
    out->type = f.mode == AUK_AFFINE ? AUK_W_AFFINE : f.mode == AUK_MXFP8 ? AUK_W_E4M3 : AUK_W_E2M1;
    out->bits = f.bits;
    out->group = f.group_size;
    out->scales = scales->data;
    out->row_bytes = (size_t)auk_numfmt_code_bytes(f, mod->cols);
    out->scale_row_bytes = (size_t)groups * auk_dtype_bytes(scales->dtype);
    return rc;
}

/* *out covers all rows; stacked experts are lead * rows rows. */
static int load(auk_model *m, auk_mat *out, const module *mod, auk_err *err)
{
    const auk_tensor *t = find(m, mod->base, mod->suffix);
    const auk_tensor *scales = find(m, mod->base, ".scales");
    auk_numfmt f;

    *out = (auk_mat){.rows = (size_t)((mod->lead ? mod->lead : 1) * mod->rows),
                     .cols = (size_t)mod->cols};
    if (t == NULL)
        return missing(m, mod->base, mod->suffix, err);
    out->codes = t->data;
    if (m->max_cols < out->cols)
        m->max_cols = out->cols;
    if (scales == NULL)
        return plain_mat(m, out, mod, t, err);
    if (!auk_quant_config_find(&f, &m->quant, auk_str_of(mod->path)))
        return auk_fail(err, AUK_EFORMAT,
                        "'%s': tensor '%.*s' has no entry in config.json's quantization block",
                        auk_checkpoint_file(m->ck, scales->shard), AUK_ARG(scales->name));
    return quantized_mat(m, out, mod, f, t, scales, err);
}

static auk_mat slice(const auk_mat *all, size_t first_row, size_t rows)
{
    auk_mat part = *all;

    part.rows = rows;
    part.codes += first_row * all->row_bytes;
    if (all->scales != NULL)
        part.scales += first_row * all->scale_row_bytes;
    if (all->biases != NULL)
        part.biases += first_row * all->scale_row_bytes;
    return part;
}

static int load_plain(auk_model *m, auk_mat *out, const char *layer, const char *name, int rows,
                      int cols, auk_err *err)
{
    char base[256];

    snprintf(base, sizeof base, "%s.%s", layer, name);
    return load(m, out, &(module){base, ".weight", base, 0, (uint64_t)rows, (uint64_t)cols}, err);
}

/* Fills one auk_mat per expert from whichever layout has the projection. */
static int load_experts(auk_model *m, auk_mat *out, const char *layer, const char *proj, int rows,
                        int cols, auk_err *err)
{
    size_t n = (size_t)m->hp.n_experts;
    char path[256], base[320];
    auk_mat all;
    int rc = AUK_OK;

    snprintf(path, sizeof path, "%s.mlp.switch_mlp.%s", layer, proj);
    if (find(m, path, ".weight") != NULL) {
        rc =
            load(m, &all, &(module){path, ".weight", path, n, (uint64_t)rows, (uint64_t)cols}, err);
        for (size_t e = 0; e < n && rc == AUK_OK; e++)
            out[e] = slice(&all, e * (size_t)rows, (size_t)rows);
        return rc;
    }
    snprintf(base, sizeof base, "%s.mlp.experts.down_proj", layer);
    if (find(m, base, "") != NULL) { /* fused: gate rows first, then up */
        bool down = strcmp(proj, "down_proj") == 0, up = strcmp(proj, "up_proj") == 0;
        uint64_t fused_rows = (uint64_t)rows * (down ? 1 : 2);
        if (!down)
            snprintf(base, sizeof base, "%s.mlp.experts.gate_up_proj", layer);
        rc = load(m, &all, &(module){base, "", path, n, fused_rows, (uint64_t)cols}, err);
        for (size_t e = 0; e < n && rc == AUK_OK; e++)
            out[e] = slice(&all, e * (size_t)fused_rows + (up ? (size_t)rows : 0), (size_t)rows);
        return rc;
    }
    for (size_t e = 0; e < n && rc == AUK_OK; e++) {
        snprintf(base, sizeof base, "%s.mlp.experts.%zu.%s", layer, e, proj);
        rc = load(m, &out[e], &(module){base, ".weight", path, 0, (uint64_t)rows, (uint64_t)cols},
                  err);
    }
    return rc;
}

static int load_norm(auk_model *m, float *out, const char *base, auk_err *err)
{
    const auk_tensor *t = find(m, base, ".weight");
    auk_kernel k;

    if (t == NULL)
        return missing(m, base, ".weight", err);
    uint64_t want = (uint64_t)m->hp.hidden;
    if (t->rank != 1 || t->shape[0] != want)
        return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.*s' is not a vector of %d",
                        auk_checkpoint_file(m->ck, t->shard), AUK_ARG(t->name), m->hp.hidden);
    auk_kernel_init_scalar(&k);
    if (t->dtype == AUK_DT_BF16)
        k.bf16_to_f32(out, t->data, want);
    else if (t->dtype == AUK_DT_F16)
        k.f16_to_f32(out, t->data, want);
    else if (t->dtype == AUK_DT_F32)
        memcpy(out, t->data, want * sizeof *out);
    else
        return wrong_dtype(m, t, "BF16, F16 or F32", err);
    return AUK_OK;
}

static int load_mlp(auk_model *m, auk_layer *l, const char *base, auk_err *err)
{
    const auk_hparams *hp = &m->hp;
    size_t n = (size_t)hp->n_experts;

    if (!l->sparse) {
        int rc = load_plain(m, &l->gate, base, "mlp.gate_proj", hp->dense_width, hp->hidden, err);
        if (rc == AUK_OK)
            rc = load_plain(m, &l->up, base, "mlp.up_proj", hp->dense_width, hp->hidden, err);
        if (rc == AUK_OK)
            rc = load_plain(m, &l->down, base, "mlp.down_proj", hp->hidden, hp->dense_width, err);
        return rc;
    }
    int rc = auk_try_alloc(&l->e_gate, 3 * n, sizeof *l->e_gate, err);
    if (rc < 0)
        return rc;
    l->e_up = l->e_gate + n;
    l->e_down = l->e_up + n;
    rc = load_plain(m, &l->router, base, "mlp.gate", hp->n_experts, hp->hidden, err);
    if (rc == AUK_OK)
        rc = load_experts(m, l->e_gate, base, "gate_proj", hp->expert_width, hp->hidden, err);
    if (rc == AUK_OK)
        rc = load_experts(m, l->e_up, base, "up_proj", hp->expert_width, hp->hidden, err);
    if (rc == AUK_OK)
        rc = load_experts(m, l->e_down, base, "down_proj", hp->hidden, hp->expert_width, err);
    return rc;
}

static int load_layer(auk_model *m, int i, auk_err *err)
{
    const auk_hparams *hp = &m->hp;
    auk_layer *l = &m->layers[i];
    float *norm = m->norms + (size_t)i * (size_t)hp->hidden;
    int q = hp->n_heads * hp->head_dim, kv = hp->n_kv_heads * hp->head_dim;
    char base[64], name[128];

    l->sparse = i >= hp->n_dense;
    l->norm = norm;
    snprintf(base, sizeof base, "model.layers.%d", i);
    snprintf(name, sizeof name, "%s.input_layernorm", base);
    int rc = load_norm(m, norm, name, err);
    if (rc == AUK_OK)
        rc = load_plain(m, &l->q, base, "self_attn.q_proj", q, hp->hidden, err);
    if (rc == AUK_OK)
        rc = load_plain(m, &l->k, base, "self_attn.k_proj", kv, hp->hidden, err);
    if (rc == AUK_OK)
        rc = load_plain(m, &l->v, base, "self_attn.v_proj", kv, hp->hidden, err);
    if (rc == AUK_OK)
        rc = load_plain(m, &l->o, base, "self_attn.o_proj", hp->hidden, q, err);
    return rc == AUK_OK ? load_mlp(m, l, base, err) : rc;
}

static bool all_zero(const auk_tensor *t)
{
    size_t item = auk_dtype_bytes(t->dtype);

    for (uint64_t i = 0; i < t->bytes; i++) /* the last byte of an element holds its sign */
        if ((t->data[i] & (i % item == item - 1 ? 0x7F : 0xFF)) != 0)
            return false;
    return true;
}

/* Every tensor must have been asked for.  Two kinds mean nothing and are let pass: MLP biases that
 * are all zero (one released conversion has them) and stored rotary frequencies. */
static int check_unused(const auk_model *m, auk_err *err)
{
    for (size_t i = 0; i < auk_checkpoint_count(m->ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(m->ck, i);
        if (m->used[i] || auk_str_ends(t->name, ".rotary_emb.inv_freq") ||
            (auk_str_ends(t->name, ".bias") && all_zero(t)))
            continue;
        return auk_fail(
            err, AUK_EFORMAT, "'%s': tensor '%.*s' belongs to no module of this model: %s",
            auk_checkpoint_file(m->ck, t->shard), AUK_ARG(t->name),
            auk_str_ends(t->name, "lm_head.weight") ? "config.json ties the head to the embedding"
                                                    : "config.json describes another one");
    }
    return AUK_OK;
}

static int load_all(auk_model *m, auk_err *err)
{
    const auk_hparams *hp = &m->hp;
    size_t layers = (size_t)hp->n_layers, hidden = (size_t)hp->hidden;

    int rc = auk_try_alloc(&m->used, auk_checkpoint_count(m->ck), sizeof *m->used, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&m->layers, layers, sizeof *m->layers, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&m->norms, (layers + 1) * hidden, sizeof *m->norms, err);
    if (rc == AUK_OK)
        rc = load_plain(m, &m->embed, "model", "embed_tokens", hp->vocab, hp->hidden, err);
    m->head = m->embed;
    if (rc == AUK_OK && !hp->tied)
        rc = load(m, &m->head,
                  &(module){"lm_head", ".weight", "lm_head", 0, (uint64_t)hp->vocab, hidden}, err);
    for (int i = 0; i < hp->n_layers && rc == AUK_OK; i++)
        rc = load_layer(m, i, err);
    if (rc == AUK_OK)
        rc = load_norm(m, m->norms + layers * hidden, "model.norm", err);
    return rc == AUK_OK ? check_unused(m, err) : rc;
}

static int read_configs(auk_model *m, const char *dir, auk_err *err)
{
    char *path = auk_path_join(dir, "config.json");
    char *gen_path = auk_path_join(dir, "generation_config.json");
    json_t *config = NULL, *gen = NULL;

    int rc = auk_file_exists(dir) ? auk_json_read(&config, path, err)
                                  : auk_fail(err, AUK_ENOTFOUND, "no model folder '%s'", dir);
    if (rc == AUK_OK && auk_file_exists(gen_path))
        rc = auk_json_read(&gen, gen_path, err);
    if (rc == AUK_OK)
        rc = auk_hparams_read(&m->hp, config, gen, path, err);
    if (rc == AUK_OK)
        rc = auk_quant_config_read(&m->quant, config, path, err);
    json_decref(config);
    json_decref(gen);
    free(path);
    free(gen_path);
    return rc;
}

int auk_model_open(auk_model **out, const char *dir, auk_err *err)
{
    auk_model *m = auk_alloc(sizeof *m);

    *out = NULL;
    int rc = read_configs(m, dir, err);
    if (rc == AUK_OK)
        rc = auk_checkpoint_open(&m->ck, dir, err);
    if (rc == AUK_OK) {
        m->weight_bytes = auk_checkpoint_bytes(m->ck);
        rc = load_all(m, err);
    }
    free(m->used);
    m->used = NULL;
    if (rc == AUK_OK) {
        *out = m;
        m = NULL;
    }
    auk_model_close(m);
    return rc;
}

void auk_model_close(auk_model *m)
{
    if (m == NULL)
        return;
    for (int i = 0; m->layers != NULL && i < m->hp.n_layers; i++)
        free(m->layers[i].e_gate);
    free(m->layers);
    free(m->norms);
    free(m->used);
    auk_large_free(m->panel_memory, m->panel_bytes);
    auk_checkpoint_close(m->ck);
    auk_quant_config_release(&m->quant);
    auk_hparams_release(&m->hp);
    free(m);
}

static void describe_mat(char *out, size_t n, const auk_mat *m)
{
    static const char *const plain[] = {
        [AUK_W_F32] = "f32", [AUK_W_F16] = "f16", [AUK_W_BF16] = "bf16"};

    if (m->type <= AUK_W_BF16)
        snprintf(out, n, "%s", plain[m->type]);
    else if (m->type == AUK_W_AFFINE)
        snprintf(out, n, "%d-bit affine g%d", m->bits, m->group);
    else
        snprintf(out, n, "%s",
                 m->type == AUK_W_E4M3         ? "mxfp8"
                 : m->scale_type == AUK_S_E8M0 ? "mxfp4"
                                               : "nvfp4");
}

void auk_model_describe(char *out, size_t n, const auk_model *m)
{
    char most[40], other[40];
    bool mixed = false;

    describe_mat(most, sizeof most,
                 m->layers[m->hp.n_layers - 1].sparse ? &m->layers[m->hp.n_layers - 1].e_gate[0]
                                                      : &m->layers[m->hp.n_layers - 1].gate);
    for (int i = 0; i < m->hp.n_layers; i++) {
        describe_mat(other, sizeof other,
                     m->layers[i].sparse ? &m->layers[i].e_down[0] : &m->layers[i].down);
        mixed |= strcmp(most, other) != 0;
    }
    describe_mat(other, sizeof other, &m->embed);
    snprintf(out, n, mixed ? "mixed, mostly %s, embedding %s" : "%s, embedding %s", most, other);
}

static uint64_t mat_bytes(const auk_mat *m)
{
    return (uint64_t)m->rows * auk_mat_bytes_per_row(m);
}

auk_model_parts auk_model_parts_per_token(const auk_model *m)
{
    auk_model_parts p = {.head = mat_bytes(&m->head) + auk_mat_bytes_per_row(&m->embed)};

    for (int i = 0; i < m->hp.n_layers; i++) {
        const auk_layer *l = &m->layers[i];
        p.attention += mat_bytes(&l->q) + mat_bytes(&l->k) + mat_bytes(&l->v) + mat_bytes(&l->o);
        if (l->sparse) {
            p.router += mat_bytes(&l->router);
            p.experts +=
                (uint64_t)m->hp.top_k *
                (mat_bytes(&l->e_gate[0]) + mat_bytes(&l->e_up[0]) + mat_bytes(&l->e_down[0]));
        } else {
            p.dense += mat_bytes(&l->gate) + mat_bytes(&l->up) + mat_bytes(&l->down);
        }
    }
    return p;
}

uint64_t auk_model_bytes_per_token(const auk_model *m)
{
    auk_model_parts p = auk_model_parts_per_token(m);

    return p.attention + p.experts + p.dense + p.router + p.head;
}

void auk_model_drop_layer(const auk_model *m, int layer)
{
    char part[32];

    snprintf(part, sizeof part, "model.layers.%d.", layer);
    for (size_t i = 0; i < auk_checkpoint_count(m->ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(m->ck, i);
        auk_str name = t->name;
        if (auk_str_starts(name, "language_model."))
            name = auk_str_from(name, sizeof "language_model." - 1);
        if (layer < 0 ? !auk_str_starts(name, "model.layers.") : auk_str_starts(name, part))
            auk_checkpoint_drop(m->ck, t, 0, t->bytes);
    }
}
