/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/calibrate.h"

#include "base/mem.h"
#include "base/rng.h"

#include <math.h>

bool auk_calib_held_out(size_t t)
{
    auk_rng r = auk_rng_make(t);

    return auk_rng_next(&r) % 10 == 0;
}

void auk_calib_gather(const auk_calib *c, float *dst, const int32_t *tokens, size_t n)
{
    size_t hidden = (size_t)c->hp->hidden;

    for (size_t i = 0; i < n; i++)
        c->job->k->bf16_to_f32(dst + i * hidden, c->x + (size_t)tokens[i] * hidden * 2, hidden);
}

/* One expert while it is worked on. */
typedef struct expert {
    auk_calib *c;
    auk_calib_worker *w;
    const int32_t *tokens; /* its pairs, by token */
    const float *router;
    size_t n;
    double n_eff;
    size_t n_judges, n_held; /* tokens gathered as judges; of these, held out (they come first) */
    bool gptq;
} expert;

/* What a token counts, and what its row is multiplied by so that squares count that. */
static float count_of(const expert *x, float g)
{
    int power = x->c->job->opts->weight_power;
    return power == 0 ? 1.0f : power == 1 ? g : g * g;
}

static float scale_of(const expert *x, float g)
{
    int power = x->c->job->opts->weight_power;
    return power == 0 ? 1.0f : power == 1 ? sqrtf(g) : g;
}

static void count_tokens(expert *x)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < x->n; i++)
        if (!auk_calib_held_out((size_t)x->tokens[i])) {
            double w = (double)count_of(x, x->router[i]);
            sum += w;
            squares += w * w;
        }
    x->n_eff = squares > 0 ? sum * sum / squares : 0;
}

/* Held-out tokens, then, while there is room, the others. */
static void gather_judges(expert *x)
{
    int32_t list[AUK_CALIB_JUDGES];

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < x->n && x->n_judges < AUK_CALIB_JUDGES; i++)
            if (auk_calib_held_out((size_t)x->tokens[i]) == (pass == 0)) {
                x->w->judge_weight[x->n_judges] = count_of(x, x->router[i]);
                list[x->n_judges++] = x->tokens[i];
            }
        if (pass == 0)
            x->n_held = x->n_judges;
    }
    auk_calib_gather(x->c, x->w->judge_x, list, x->n_judges);
}

/* The next tokens for training from *at on, at most a chunk; their scales. */
static size_t next_chunk(const expert *x, size_t *at, int32_t *list, float *scale)
{
    size_t n = 0;

    for (; *at < x->n && n < AUK_CALIB_CHUNK; ++*at)
        if (!auk_calib_held_out((size_t)x->tokens[*at])) {
            scale[n] = scale_of(x, x->router[*at]);
            list[n++] = x->tokens[*at];
        }
    return n;
}

static void add_squares(float *diagonal, const float *x, size_t rows, size_t n)
{
    for (size_t t = 0; t < rows; t++)
        for (size_t j = 0; j < n; j++)
            diagonal[j] += x[t * n + j] * x[t * n + j];
}

/* The Hessian (wRTN: its diagonal) of the inputs; with `inside`, of what the MLP's two first
 * matrices make of them. */
static void accumulate(expert *x, const auk_mlp *inside, size_t n)
{
    auk_calib_worker *w = x->w;
    int32_t list[AUK_CALIB_CHUNK];
    float scale[AUK_CALIB_CHUNK];

    memset(w->diagonal, 0, n * sizeof(float));
    if (x->gptq)
        memset(w->hessian, 0, n * n * sizeof(float));
    for (size_t at = 0, some; (some = next_chunk(x, &at, list, scale)) > 0;) {
        float *rows = w->x;
        auk_calib_gather(x->c, w->x, list, some);
        if (inside != NULL) {
            auk_mlp_hidden(&w->work, inside, w->gate, w->up, w->x, some);
            rows = w->gate;
        }
        for (size_t t = 0; t < some; t++)
            for (size_t j = 0; j < n; j++)
                rows[t * n + j] *= scale[t];
        if (x->gptq)
            auk_hessian_add(w->hessian, rows, some, n, x->c->job->k, NULL);
        else
            add_squares(w->diagonal, rows, some, n);
    }
}

static void mix_diagonals(float *own, const float *pool, double kappa, size_t n)
{
    double a = 0, b = 0;

    for (size_t i = 0; i < n; i++) {
        a += (double)own[i];
        b += (double)pool[i];
    }
    float x = a > 0 ? (float)((1 - kappa) * (double)n / a) : 0.0f;
    float y = b > 0 ? (float)(kappa * (double)n / b) : 0.0f;
    for (size_t i = 0; i < n; i++) {
        float p = own[i] * x, q = pool[i] * y;
        own[i] = p + q;
    }
}

/* The diagonal and, for GPTQ, the factor; e gets damp and dead. */
static int factor(expert *x, auk_quant_entry *e, const float **out, size_t n, auk_err *err)
{
    auk_calib_worker *w = x->w;
    auk_damping d;

    *out = NULL;
    if (!x->gptq)
        return AUK_OK;
    e->dead = auk_hessian_revive(w->hessian, n);
    for (size_t i = 0; i < n; i++)
        w->diagonal[i] = w->hessian[i * n + i];
    int rc = auk_hessian_ladder(&d, w->factor, w->hessian, x->n_eff < 0.5 * (double)n ? 0.1 : 0.05,
                                n, x->c->job->k, err);
    if (rc < 0)
        return rc;
    e->damp = d.damp;
    e->f64 = d.f64;
    if (d.damp > 0)
        *out = w->factor;
    else
        e->reason = "not definite";
    return AUK_OK;
}

/* ---- gate and up: one Hessian, one factor -------------------------------------------------- */

static int first_pair(expert *x, auk_stored to[3], auk_quant_entry log[3], const size_t modules[3],
                      uint64_t row, auk_err *err)
{
    auk_calib *c = x->c;
    size_t n = (size_t)c->hp->hidden, rows = (size_t)c->hp->expert_width;
    bool own = x->n_held >= AUK_CALIB_FEW;
    auk_calib_input in = {.diagonal = x->w->diagonal,
                          .x = own ? x->w->judge_x : c->sample,
                          .weight = own ? x->w->judge_weight : NULL,
                          .n_judges = own ? x->n_held : c->n_sample};

    accumulate(x, NULL, n);
    double kappa = 2 * (double)n / (x->n_eff + 2 * (double)n);
    if (x->gptq)
        auk_hessian_shrink(x->w->hessian, c->pool, kappa, n);
    else
        mix_diagonals(x->w->diagonal, c->pool_diagonal, kappa, n);
    log[0].kappa = kappa;
    int rc = factor(x, &log[0], &in.factor, n, err);
    log[0].held_out = true;
    log[1] = log[0];
    log[0].proj = "gate_proj";
    log[1].proj = "up_proj";
    for (int i = 0; i < 2 && rc == AUK_OK; i++)
        if (modules[i] != AUK_CALIB_NONE)
            rc = auk_calib_matrix(c, &to[i], &log[i], modules[i], row, rows, &in, x->w->candidates,
                                  err);
    return rc;
}

/* ---- down: its inputs come from the quantized gate and up ----------------------------------- */

static int last_one(expert *x, auk_stored to[3], auk_quant_entry *log, size_t module, uint64_t row,
                    auk_err *err)
{
    auk_calib *c = x->c;
    auk_calib_worker *w = x->w;
    size_t n = (size_t)c->hp->expert_width, rows = (size_t)c->hp->hidden;
    auk_mlp inside = {.gate = to[0].mat, .up = to[1].mat, .precision = AUK_PRECISION_BF16};
    auk_calib_input in = {.x = w->judge_h, .weight = w->judge_weight};

    log->proj = "down_proj";
    log->held_out = x->n_held >= AUK_CALIB_FEW;
    in.n_judges = log->held_out ? x->n_held : x->n_judges;
    for (size_t at = 0; at < in.n_judges; at += AUK_CALIB_CHUNK)
        auk_mlp_hidden(&w->work, &inside, w->judge_h + at * n, w->up,
                       w->judge_x + at * (size_t)c->hp->hidden,
                       in.n_judges - at < AUK_CALIB_CHUNK ? in.n_judges - at : AUK_CALIB_CHUNK);
    int rc = AUK_OK;
    if (x->n_eff > 0) {
        accumulate(x, &inside, n);
        in.diagonal = w->diagonal;
        if (x->n_eff < 0.5 * (double)n && x->gptq) {
            log->kappa = 0.5 * (double)n / (x->n_eff + 0.5 * (double)n);
            auk_hessian_shrink_diagonal(w->hessian, log->kappa, n);
        }
        rc = factor(x, log, &in.factor, n, err);
    } else if (x->gptq) {
        log->reason = "no tokens";
    }
    if (rc == AUK_OK)
        rc = auk_calib_matrix(c, &to[2], log, module, row, rows, &in, w->candidates, err);
    return rc;
}

int auk_calib_expert(auk_calib *c, auk_stored to[3], auk_quant_entry log[3], int layer, int e,
                     const size_t modules[3], auk_err *err)
{
    expert x = {.c = c,
                .w = &c->workers[auk_pool_self()],
                .tokens = c->pair_token + c->first[e],
                .router = c->pair_weight + c->first[e],
                .n = c->first[e + 1] - c->first[e],
                .gptq = c->job->opts->method == AUK_METHOD_GPTQ};

    count_tokens(&x);
    gather_judges(&x);
    for (int i = 0; i < 3; i++)
        log[i] = (auk_quant_entry){
            .layer = layer, .expert = e, .tokens = x.n, .n_eff = x.n_eff, .reason = ""};
    const auk_layer *l = &c->model->layers[layer];
    const auk_mat *source[3] = {&l->e_gate[e], &l->e_up[e], &l->e_down[e]};
    for (int i = 0; i < 3; i++)
        to[i].mat = *source[i]; /* until it is quantized */
    int rc = first_pair(&x, to, log, modules, (uint64_t)e * (uint64_t)c->hp->expert_width, err);
    if (rc == AUK_OK && modules[2] != AUK_CALIB_NONE)
        rc = last_one(&x, to, &log[2], modules[2], (uint64_t)e * (uint64_t)c->hp->hidden, err);
    return rc;
}
