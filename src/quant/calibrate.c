/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/calibrate.h"

#include "base/mem.h"

#include <math.h>

bool auk_calib_handles(const auk_quant_options *opts, const auk_quant_module *m)
{
    return opts->method != AUK_METHOD_RTN && opts->calibration != NULL && m->is_quantized &&
           m->format.mode == AUK_AFFINE && strstr(m->path, ".layers.") != NULL;
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The module of a layer by the end of its path, when the stream quantizes it. */
static size_t module_of(const auk_calib *c, int layer, const char *name)
{
    const auk_quant_list *list = &c->job->plan->list;
    char path[96];

    snprintf(path, sizeof path, "language_model.model.layers.%d.%s", layer, name);
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->modules[i].path, path) == 0)
            return auk_calib_handles(c->job->opts, &list->modules[i]) ? i : AUK_CALIB_NONE;
    return AUK_CALIB_NONE;
}

static void add_log(auk_calib *c, const auk_quant_entry *e)
{
    if (c->n_log < c->cap_log && e->proj != NULL)
        c->log[c->n_log++] = *e;
}

static int tell(auk_calib *c, int layer, const char *what, size_t done, size_t of, auk_err *err)
{
    const auk_quant_options *o = c->job->opts;
    char text[96];

    if (of > 0)
        snprintf(text, sizeof text, "layer %d of %d, %s %zu of %zu", layer + 1, c->hp->n_layers,
                 what, done, of);
    else
        snprintf(text, sizeof text, "layer %d of %d, %s", layer + 1, c->hp->n_layers, what);
    if (o->progress != NULL &&
        o->progress(o->progress_ctx, text, "matrices", c->units_done, c->units))
        return auk_fail(err, AUK_ECANCEL, "stopped: the same command goes on from here");
    return AUK_OK;
}

/* ---- attention ----------------------------------------------------------------------------- */

/* Looks at a chunk on its way through attention. */
typedef void chunk_fn(auk_calib *c, size_t at, size_t n, const float *normed, const float *heads);

/* All sequences through attention with the weights l, chunk by chunk; with `keep` the residual
 * advances. */
static int attend(auk_calib *c, const auk_layer *l, int layer, bool keep, chunk_fn *see,
                  auk_err *err)
{
    size_t hidden = (size_t)c->hp->hidden, start = 0;
    auk_kv_layer kv;

    int rc = auk_kv_layer_init(&kv, c->hp, layer, (int)c->longest, AUK_PRECISION_BF16, err);
    for (size_t s = 0; s < c->tokens->n_sequences && rc == AUK_OK; s++) {
        size_t length = c->tokens->lengths[s];
        for (size_t at = 0; at < length; at += AUK_CALIB_CHUNK) {
            size_t n = min(AUK_CALIB_CHUNK, length - at);
            const float *normed, *heads;
            uint8_t *h = c->h + (start + at) * hidden * 2;
            c->job->k->bf16_to_f32(c->block, h, n * hidden);
            auk_forward_mix(c->f, l, layer, &kv, c->block, (int)at, n, &normed, &heads);
            see(c, start + at, n, normed, heads);
            if (keep)
                c->job->k->f32_to_bf16(h, c->block, n * hidden);
        }
        start += length;
    }
    auk_kv_layer_release(&kv);
    return rc;
}

static void add_squares(float *diagonal, const float *x, size_t rows, size_t n)
{
    for (size_t t = 0; t < rows; t++)
        for (size_t j = 0; j < n; j++)
            diagonal[j] += x[t * n + j] * x[t * n + j];
}

static void see_normed(auk_calib *c, size_t at, size_t n, const float *normed, const float *heads)
{
    size_t hidden = (size_t)c->hp->hidden;
    (void)heads;

    c->job->k->f32_to_bf16(c->x + at * hidden * 2, normed, n * hidden);
    if (c->pool != NULL)
        auk_hessian_add(c->pool, normed, n, hidden, c->job->k, c->job->pool);
    add_squares(c->pool_diagonal, normed, n, hidden);
    for (size_t t = 0; t < n && c->n_sample < AUK_CALIB_SAMPLE; t++)
        if (auk_calib_held_out(at + t))
            memcpy(c->sample + c->n_sample++ * hidden, normed + t * hidden,
                   hidden * sizeof *normed);
}

static void see_heads(auk_calib *c, size_t at, size_t n, const float *normed, const float *heads)
{
    size_t width = (size_t)(c->hp->n_heads * c->hp->head_dim);
    (void)normed;
    (void)at;

    if (c->big_hessian != NULL)
        auk_hessian_add(c->big_hessian, heads, n, width, c->job->k, c->job->pool);
    add_squares(c->big_diagonal, heads, n, width);
}

static void see_nothing(auk_calib *c, size_t at, size_t n, const float *normed, const float *heads)
{
    (void)c;
    (void)at;
    (void)n;
    (void)normed;
    (void)heads;
}

/* ---- matrices that every token passes ------------------------------------------------------ */

/* The factor of `hessian`, whose diagonal is kept in `diagonal`. */
static int factor_big(auk_calib *c, auk_calib_input *in, auk_quant_entry *e, float *hessian,
                      float *diagonal, size_t n, auk_err *err)
{
    auk_damping d;

    in->diagonal = diagonal;
    in->factor = NULL;
    if (hessian == NULL)
        return AUK_OK;
    e->dead = auk_hessian_revive(hessian, n);
    for (size_t i = 0; i < n; i++)
        diagonal[i] = hessian[i * n + i];
    int rc = auk_hessian_ladder(&d, c->big_factor, hessian, 0.05, n, c->job->k, err);
    e->damp = d.damp;
    e->f64 = d.f64;
    if (rc == AUK_OK && d.damp > 0)
        in->factor = c->big_factor;
    else if (rc == AUK_OK)
        e->reason = "not definite";
    return rc;
}

static auk_quant_entry entry_of(const auk_calib *c, int layer)
{
    return (auk_quant_entry){.layer = layer,
                             .expert = -1,
                             .tokens = c->n_tokens,
                             .n_eff = (double)c->n_tokens,
                             .held_out = false,
                             .reason = ""};
}

static int one_big(auk_calib *c, auk_stored *to, auk_mat *mat, size_t module, const char *proj,
                   const auk_quant_entry *like, const auk_calib_input *in, auk_err *err)
{
    const auk_quant_module *m;
    auk_quant_entry e = *like;

    if (module == AUK_CALIB_NONE)
        return AUK_OK;
    m = &c->job->plan->list.modules[module];
    e.proj = proj;
    int rc = auk_calib_stored(c, to, (size_t)(auk_quant_rows(m) * auk_quant_cols(m)), err);
    if (rc == AUK_OK)
        rc = auk_calib_matrix(c, to, &e, module, 0, (size_t)auk_quant_rows(m), in, c->big, err);
    if (rc == AUK_OK) {
        *mat = to->mat;
        add_log(c, &e);
        c->units_done++;
    }
    return rc;
}

/* q, k, v, router: their inputs are the layer's normed rows. */
static int from_normed(auk_calib *c, auk_layer *l, int layer, auk_err *err)
{
    static const char *const paths[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                        "mlp.gate"};
    static const char *const names[] = {"q_proj", "k_proj", "v_proj", "gate"};
    static const int places[] = {0, 1, 2, 4};
    auk_mat *mats[] = {&l->q, &l->k, &l->v, &l->router};
    auk_calib_input in = {.x = c->sample, .n_judges = c->n_sample};
    auk_quant_entry e = entry_of(c, layer);
    bool any = false;
    int rc = AUK_OK;

    for (int i = 0; i < 4; i++)
        any |= module_of(c, layer, paths[i]) != AUK_CALIB_NONE;
    if (any)
        rc = factor_big(c, &in, &e, c->pool, c->pool_diagonal, (size_t)c->hp->hidden, err);
    for (int i = 0; i < 4 && rc == AUK_OK; i++)
        rc = one_big(c, &c->attention[places[i]], mats[i], module_of(c, layer, paths[i]), names[i],
                     &e, &in, err);
    return rc;
}

static int from_heads(auk_calib *c, auk_layer *l, int layer, auk_err *err)
{
    size_t module = module_of(c, layer, "self_attn.o_proj"), n;
    auk_calib_input in = {0};
    auk_quant_entry e = entry_of(c, layer);

    if (module == AUK_CALIB_NONE)
        return AUK_OK;
    n = (size_t)(c->hp->n_heads * c->hp->head_dim);
    memset(c->big_diagonal, 0, n * sizeof(float));
    if (c->big_hessian != NULL)
        memset(c->big_hessian, 0, n * n * sizeof(float));
    int rc = attend(c, l, layer, false, see_heads, err);
    if (rc == AUK_OK)
        rc = factor_big(c, &in, &e, c->big_hessian, c->big_diagonal, n, err);
    return rc == AUK_OK ? one_big(c, &c->attention[3], &l->o, module, "o_proj", &e, &in, err) : rc;
}

/* The residual past attention, the normed rows in c->x, their Hessian in the pool. */
static int run_attention(auk_calib *c, auk_layer *l, int layer, auk_err *err)
{
    size_t hidden = (size_t)c->hp->hidden;
    bool mixed = false;
    static const char *const paths[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                        "self_attn.o_proj"};

    for (int i = 0; i < 4; i++)
        mixed |= module_of(c, layer, paths[i]) != AUK_CALIB_NONE;
    memset(c->pool_diagonal, 0, hidden * sizeof(float));
    if (c->pool != NULL)
        memset(c->pool, 0, hidden * hidden * sizeof(float));
    c->n_sample = 0;
    int rc = attend(c, l, layer, !mixed, see_normed, err);
    if (rc == AUK_OK && !isfinite(auk_calib_sum(c->pool_diagonal, hidden)))
        rc = auk_fail(err, AUK_EFORMAT,
                      "'%s': the activations of layer %d are not finite: check the weights with "
                      "'auklet tensors', and the calibration tokens",
                      auk_checkpoint_dir(c->job->ck), layer);
    if (rc == AUK_OK)
        rc = from_normed(c, l, layer, err);
    if (rc == AUK_OK && mixed)
        rc = from_heads(c, l, layer, err);
    if (rc == AUK_OK && mixed)
        rc = attend(c, l, layer, true, see_nothing, err);
    return rc;
}

double auk_calib_sum(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum;
}

/* ---- the MLP's output ---------------------------------------------------------------------- */

typedef struct rows_job {
    auk_calib *c;
    const int32_t *tokens; /* or NULL: rows from `at` on */
    const float *weights;
    size_t at;
    float *rows;
} rows_job;

static void gather_range(void *ctx, size_t lo, size_t hi)
{
    const rows_job *j = ctx;
    size_t hidden = (size_t)j->c->hp->hidden;

    for (size_t i = lo; i < hi; i++) {
        size_t t = j->tokens != NULL ? (size_t)j->tokens[i] : j->at + i;
        j->c->job->k->bf16_to_f32(j->rows + i * hidden, j->c->x + t * hidden * 2, hidden);
    }
}

static void spread_range(void *ctx, size_t lo, size_t hi)
{
    const rows_job *j = ctx;
    size_t hidden = (size_t)j->c->hp->hidden;

    for (size_t i = lo; i < hi; i++)
        j->c->job->k->axpy_f32(j->c->m + (size_t)j->tokens[i] * hidden, j->weights[i],
                               j->rows + i * hidden, hidden);
}

/* m += weight * expert(x) over its tokens, the products spread over all threads. */
static void add_output(auk_calib *c, const auk_mlp *mlp, const int32_t *tokens,
                       const float *weights, size_t n)
{
    auk_calib_worker *w = &c->workers[0];

    for (size_t at = 0; at < n; at += AUK_CALIB_CHUNK) {
        size_t some = min(AUK_CALIB_CHUNK, n - at);
        rows_job j = {c, tokens + at, weights + at, 0, w->x};
        auk_pool_run(c->job->pool, some, 16, gather_range, &j);
        auk_mlp_hidden(&w->work, mlp, w->gate, w->up, w->x, some);
        auk_mlp_output(&w->work, mlp, c->out, w->gate, some);
        j.rows = c->out;
        auk_pool_run(c->job->pool, some, 16, spread_range, &j);
    }
}

/* ---- dense layers -------------------------------------------------------------------------- */

/* Rows of x from `at` on, through gate and up of the MLP: in workers[0].gate. */
static size_t inside_chunk(auk_calib *c, const auk_mlp *mlp, size_t at)
{
    auk_calib_worker *w = &c->workers[0];
    rows_job j = {c, NULL, NULL, at, w->x};
    size_t some = min(AUK_CALIB_CHUNK, c->n_tokens - at);

    auk_pool_run(c->job->pool, some, 16, gather_range, &j);
    auk_mlp_hidden(&w->work, mlp, w->gate, w->up, w->x, some);
    return some;
}

static int dense_down(auk_calib *c, auk_mlp *mlp, int layer, size_t module, auk_err *err)
{
    size_t n = mlp->down.cols;
    auk_calib_input in = {0};
    auk_quant_entry e = entry_of(c, layer);

    if (module == AUK_CALIB_NONE)
        return AUK_OK;
    memset(c->big_diagonal, 0, n * sizeof(float));
    if (c->big_hessian != NULL)
        memset(c->big_hessian, 0, n * n * sizeof(float));
    for (size_t at = 0, some; at < c->n_tokens; at += some) {
        some = inside_chunk(c, mlp, at);
        if (c->big_hessian != NULL)
            auk_hessian_add(c->big_hessian, c->workers[0].gate, some, n, c->job->k, c->job->pool);
        add_squares(c->big_diagonal, c->workers[0].gate, some, n);
    }
    int rc = factor_big(c, &in, &e, c->big_hessian, c->big_diagonal, n, err);
    return rc == AUK_OK ? one_big(c, &c->dense[2], &mlp->down, module, "down_proj", &e, &in, err)
                        : rc;
}

static int run_dense(auk_calib *c, const auk_layer *l, int layer, auk_err *err)
{
    auk_mlp mlp = {l->gate, l->up, l->down, AUK_PRECISION_BF16};
    size_t modules[3] = {module_of(c, layer, "mlp.gate_proj"), module_of(c, layer, "mlp.up_proj"),
                         module_of(c, layer, "mlp.down_proj")};
    auk_calib_input in = {.x = c->sample, .n_judges = c->n_sample};
    auk_quant_entry e = entry_of(c, layer);
    size_t hidden = (size_t)c->hp->hidden;

    int rc = AUK_OK;
    if (modules[0] != AUK_CALIB_NONE || modules[1] != AUK_CALIB_NONE)
        rc = factor_big(c, &in, &e, c->pool, c->pool_diagonal, hidden, err);
    if (rc == AUK_OK)
        rc = one_big(c, &c->dense[0], &mlp.gate, modules[0], "gate_proj", &e, &in, err);
    if (rc == AUK_OK)
        rc = one_big(c, &c->dense[1], &mlp.up, modules[1], "up_proj", &e, &in, err);
    if (rc == AUK_OK)
        rc = dense_down(c, &mlp, layer, modules[2], err);
    for (size_t at = 0, some; at < c->n_tokens && rc == AUK_OK; at += some) {
        some = inside_chunk(c, &mlp, at);
        auk_mlp_output(&c->workers[0].work, &mlp, c->m + at * hidden, c->workers[0].gate, some);
    }
    return rc;
}

/* ---- sparse layers ------------------------------------------------------------------------- */

/* Which tokens each expert serves, and with what weight. */
static void run_router(auk_calib *c, const auk_layer *l)
{
    size_t hidden = (size_t)c->hp->hidden, top = (size_t)c->hp->top_k;
    size_t experts = (size_t)c->hp->n_experts;

    for (size_t at = 0; at < c->n_tokens; at += AUK_CALIB_CHUNK) {
        size_t some = min(AUK_CALIB_CHUNK, c->n_tokens - at);
        c->job->k->bf16_to_f32(c->block, c->x + at * hidden * 2, some * hidden);
        auk_forward_route(c->f, l, c->block, some, c->ids + at * top, c->weights + at * top);
    }
    memset(c->first, 0, (experts + 1) * sizeof *c->first);
    for (size_t i = 0; i < c->n_tokens * top; i++)
        c->first[c->ids[i] + 1]++;
    for (size_t e = 0; e < experts; e++)
        c->first[e + 1] += c->first[e];
    for (size_t i = 0; i < c->n_tokens * top; i++) {
        size_t to = c->first[c->ids[i]]++;
        c->pair_token[to] = (int32_t)(i / top);
        c->pair_weight[to] = c->weights[i];
    }
    for (size_t e = experts; e > 0; e--)
        c->first[e] = c->first[e - 1];
    c->first[0] = 0;
}

/* The experts in flight. */
typedef struct wave {
    auk_calib *c;
    int layer, first;
    const size_t *modules;
    auk_quant_entry (*log)[3];
    auk_err *errs;
    int *rcs;
} wave;

static void expert_range(void *ctx, size_t lo, size_t hi)
{
    const wave *w = ctx;

    for (size_t i = lo; i < hi; i++)
        w->rcs[i] = auk_calib_expert(w->c, w->c->slots[i], w->log[i], w->layer, w->first + (int)i,
                                     w->modules, &w->errs[i]);
}

static int run_wave(const wave *w, size_t n, auk_err *err)
{
    auk_calib *c = w->c;

    auk_pool_run(c->job->pool, n, 1, expert_range, (void *)w);
    for (size_t i = 0; i < n; i++)
        if (w->rcs[i] < 0) {
            *err = w->errs[i];
            return w->rcs[i];
        }
    for (size_t i = 0; i < n; i++) {
        size_t e = (size_t)w->first + i, at = c->first[e];
        auk_mlp mlp = {c->slots[i][0].mat, c->slots[i][1].mat, c->slots[i][2].mat,
                       AUK_PRECISION_BF16};
        add_output(c, &mlp, c->pair_token + at, c->pair_weight + at, c->first[e + 1] - at);
        for (int m = 0; m < 3; m++)
            add_log(c, &w->log[i][m]);
        c->units_done += 3;
    }
    return AUK_OK;
}

static int run_sparse(auk_calib *c, const auk_layer *l, int layer, auk_err *err)
{
    size_t experts = (size_t)c->hp->n_experts;
    size_t modules[3] = {module_of(c, layer, "mlp.switch_mlp.gate_proj"),
                         module_of(c, layer, "mlp.switch_mlp.up_proj"),
                         module_of(c, layer, "mlp.switch_mlp.down_proj")};
    wave w = {.c = c, .layer = layer, .modules = modules};

    run_router(c, l);
    memset(c->m, 0, c->n_tokens * (size_t)c->hp->hidden * sizeof *c->m);
    int rc = auk_try_alloc(&w.log, c->n_slots, sizeof *w.log, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&w.errs, c->n_slots, sizeof *w.errs, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&w.rcs, c->n_slots, sizeof *w.rcs, err);
    for (size_t e = 0; e < experts && rc == AUK_OK; e += c->n_slots) {
        w.first = (int)e;
        rc = tell(c, layer, "expert", e, experts, err);
        if (rc == AUK_OK)
            rc = run_wave(&w, min(c->n_slots, experts - e), err);
    }
    free(w.log);
    free(w.errs);
    free(w.rcs);
    return rc;
}

/* ---- all layers ---------------------------------------------------------------------------- */

static void finish_layer(auk_calib *c)
{
    size_t hidden = (size_t)c->hp->hidden;

    for (size_t at = 0; at < c->n_tokens; at += AUK_CALIB_CHUNK) {
        size_t some = min(AUK_CALIB_CHUNK, c->n_tokens - at);
        uint8_t *h = c->h + at * hidden * 2;
        c->job->k->bf16_to_f32(c->block, h, some * hidden);
        auk_forward_plus(c->f, c->block, c->m + at * hidden, some);
        c->job->k->f32_to_bf16(h, c->block, some * hidden);
    }
}

static int run_layer(auk_calib *c, int layer, auk_err *err)
{
    auk_layer l = c->model->layers[layer]; /* its matrices are exchanged as they are quantized */

    int rc = tell(c, layer, "attention", 0, 0, err);
    if (rc == AUK_OK)
        rc = run_attention(c, &l, layer, err);
    if (rc == AUK_OK)
        rc = l.sparse ? run_sparse(c, &l, layer, err) : run_dense(c, &l, layer, err);
    if (rc == AUK_OK)
        finish_layer(c);
    auk_model_drop_layer(c->model, layer);
    return rc;
}

/* n rows become what the quantized embedding will give for them. */
static void quantize_rows(auk_calib *c, float *rows, size_t n)
{
    const auk_quant_module *m = &c->job->plan->list.modules[0]; /* embed_tokens */
    const auk_kernel *k = c->job->k;
    auk_candidate *to = &c->workers[0].rtn;
    size_t hidden = (size_t)c->hp->hidden;

    if (!m->is_quantized || m->format.mode != AUK_AFFINE)
        return;
    for (size_t i = 0; i < n; i++, rows += hidden) {
        auk_wrtn_block(to->codes, to->scale, to->bias, &c->workers[0].room, k, rows, hidden,
                       m->format);
        k->dequant_affine(rows, to->codes, to->scale, to->bias, hidden, m->format.bits,
                          m->format.group_size);
    }
}

static void embed(auk_calib *c)
{
    size_t hidden = (size_t)c->hp->hidden;

    for (size_t at = 0; at < c->n_tokens; at += AUK_CALIB_CHUNK) {
        size_t some = min(AUK_CALIB_CHUNK, c->n_tokens - at);
        auk_forward_embed(c->f, c->block, c->tokens->ids + at, some);
        quantize_rows(c, c->block, some);
        c->job->k->f32_to_bf16(c->h + at * hidden * 2, c->block, some * hidden);
    }
    auk_model_drop_layer(c->model, -1);
}

static int check_tokens(const auk_calibration *t, const auk_hparams *hp, auk_err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_sequences; i++) {
        if (t->lengths[i] == 0 || t->lengths[i] > (size_t)hp->max_context)
            return auk_fail(err, AUK_EINVAL,
                            "calibration sequence %zu has %zu tokens; the model takes 1 to %d", i,
                            t->lengths[i], hp->max_context);
        n += t->lengths[i];
    }
    for (size_t i = 0; i < n; i++)
        if (t->ids[i] < 0 || t->ids[i] >= hp->vocab)
            return auk_fail(err, AUK_EINVAL,
                            "calibration token %zu is %d: the model's ids end at %d", i,
                            (int)t->ids[i], hp->vocab - 1);
    if (n == 0)
        return auk_fail(err, AUK_EINVAL, "no calibration tokens");
    return AUK_OK;
}

static int open_stream(auk_calib *c, const char *src, auk_err *err)
{
    const auk_quant_list *list = &c->job->plan->list;

    int rc = auk_model_open(&c->model, src, err);
    if (rc < 0)
        return rc;
    c->hp = &c->model->hp;
    rc = check_tokens(c->tokens, c->hp, err);
    if (rc == AUK_OK)
        rc = auk_calib_alloc(c, err);
    if (rc == AUK_OK)
        rc = auk_forward_new(&c->f, c->model, c->job->k, c->job->pool, AUK_PRECISION_BF16,
                             AUK_CALIB_CHUNK, (int)c->longest, err);
    if (rc < 0)
        return rc;
    c->bytes += auk_forward_bytes(c->hp, c->model->max_cols, auk_pool_threads(c->job->pool),
                                  AUK_CALIB_CHUNK, (int)c->longest);
    for (size_t i = 0; i < list->n; i++)
        if (auk_calib_handles(c->job->opts, &list->modules[i])) {
            const auk_quant_module *m = &list->modules[i];
            if (c->job->plan->origins[i].to != AUK_DT_BF16)
                return auk_fail(err, AUK_ENOTSUP,
                                "'%s' would be stored with %s scales; wrtn and gptq write bf16",
                                m->path, auk_dtype_name(c->job->plan->origins[i].to));
            c->cap_log += m->rank == 3 ? m->shape[0] : 1;
        }
    c->units = c->cap_log;
    return auk_try_alloc(&c->log, c->cap_log + 1, sizeof *c->log, err);
}

static void report(auk_quant_result *out, const auk_calib *c)
{
    for (size_t i = 0; i < c->n_log; i++) {
        out->matrices++;
        out->fallbacks += c->log[i].chosen == AUK_METHOD_WRTN;
        if (c->job->opts->entry != NULL)
            c->job->opts->entry(c->job->opts->entry_ctx, &c->log[i]);
    }
    if (c->job->opts->method != AUK_METHOD_GPTQ)
        out->fallbacks = 0;
    out->work_bytes = c->bytes;
}

int auk_calibrate(auk_quant_result *out, const auk_quant_job *job, const char *src, uint64_t base,
                  uint64_t done, auk_err *err)
{
    auk_calib c = {.job = job, .tokens = job->opts->calibration};
    const char *dir = auk_sink_dir(job->sink);
    int first = done > base ? (int)(done - base) : 0;

    int rc = open_stream(&c, src, err);
    if (rc == AUK_OK && first > 0)
        rc = auk_calib_load(&c, dir, first, err);
    else if (rc == AUK_OK)
        embed(&c);
    c.units_done = c.n_log;
    for (int l = first; rc == AUK_OK && l < c.hp->n_layers; l++) {
        rc = run_layer(&c, l, err);
        if (rc == AUK_OK)
            rc = auk_calib_save(&c, dir, l + 1, err);
        if (rc == AUK_OK)
            rc = auk_sink_mark_now(job->sink, base + (uint64_t)l + 1, err);
        if (rc == AUK_OK)
            rc = auk_calib_forget(dir, l, err);
    }
    if (rc == AUK_OK)
        rc = auk_calib_forget(dir, c.hp->n_layers, err);
    if (rc == AUK_OK)
        report(out, &c);
    auk_calib_release(&c);
    return rc;
}
