/* SPDX-License-Identifier: Apache-2.0 */
/* What a calibration pass keeps in memory: one list behind allocation and prediction. */
#include "quant/calibrate.h"

#include "base/mem.h"

/* The sizes everything follows from. */
typedef struct sizes {
    size_t tokens, longest, hidden, top, experts;
    size_t width;       /* of an expert's two square Hessians: the larger */
    size_t widest;      /* input of any matrix in the stream */
    size_t inner;       /* of any MLP */
    size_t expert;      /* weights of an expert's matrix */
    size_t big;         /* input width of the widest matrix that is not an expert's; 0: none */
    size_t big_weights; /* of the largest such matrix */
    size_t threads, slots;
    size_t max_cols, max_x;   /* of the experts' products */
    const auk_kernel *kernel; /* NULL when only the sum is wanted, as the pool */
    auk_pool *pool;
    bool gptq, has_experts;
} sizes;

/* With counts_only nothing is allocated. */
typedef struct taker {
    uint64_t bytes;
    bool counts_only;
    int rc;
    auk_err *err;
} taker;

static void take(taker *t, void *room, size_t count, size_t size)
{
    t->bytes += (uint64_t)count * size;
    if (!t->counts_only && t->rc == AUK_OK)
        t->rc = auk_try_alloc(room, count, size, t->err);
}

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Of one stored matrix of n weights, at eight bits and groups of 32 at most. */
static void take_stored(taker *t, auk_stored *s, size_t n)
{
    take(t, &s->codes, n, 1);
    take(t, &s->scales, n / 32, 2);
    take(t, &s->biases, n / 32, 2);
}

static void take_candidate(taker *t, auk_candidate *c, size_t n)
{
    take(t, &c->codes, n, 1);
    take(t, &c->scale, n / 32, sizeof(float));
    take(t, &c->bias, n / 32, sizeof(float));
}

static void take_worker(taker *t, auk_calib_worker *w, const sizes *s)
{
    t->bytes += auk_gptq_room_bytes(s->widest);
    if (!t->counts_only && t->rc == AUK_OK)
        t->rc = auk_gptq_room_init(&w->room, s->widest, t->err);
    if (s->gptq && s->has_experts) {
        take(t, &w->hessian, s->width * s->width, sizeof(float));
        take(t, &w->factor, s->width * s->width, sizeof(float));
    }
    t->bytes += auk_work_bytes((int)s->threads, s->max_cols, s->max_x);
    if (!t->counts_only && t->rc == AUK_OK)
        t->rc = auk_work_init(&w->work, s->kernel, s->pool, s->max_cols, s->max_x, t->err);
    take(t, &w->diagonal, s->width, sizeof(float));
    take(t, &w->rows, AUK_GPTQ_ROWS * s->widest, sizeof(float));
    take(t, &w->x, AUK_CALIB_CHUNK * s->hidden, sizeof(float));
    take(t, &w->gate, AUK_CALIB_CHUNK * s->inner, sizeof(float));
    take(t, &w->up, AUK_CALIB_CHUNK * s->inner, sizeof(float));
    take(t, &w->judge_x, AUK_CALIB_JUDGES * s->hidden, sizeof(float));
    take(t, &w->judge_h, AUK_CALIB_JUDGES * s->inner, sizeof(float));
    take(t, &w->judge_weight, AUK_CALIB_JUDGES, sizeof(float));
    take(t, &w->judge_out, AUK_CALIB_JUDGES * AUK_GPTQ_ROWS, sizeof(float));
    take_candidate(t, &w->rtn, AUK_GPTQ_ROWS * s->widest);
    take_candidate(t, &w->candidates[0], s->expert);
    if (s->gptq)
        take_candidate(t, &w->candidates[1], s->expert);
}

static void take_big(taker *t, auk_calib *c, const sizes *s)
{
    if (s->big == 0)
        return;
    if (s->gptq) {
        take(t, &c->big_hessian, s->big * s->big, sizeof(float));
        take(t, &c->big_factor, s->big * s->big, sizeof(float));
        take_candidate(t, &c->big[1], s->big_weights);
    }
    take_candidate(t, &c->big[0], s->big_weights);
    take(t, &c->big_diagonal, s->big, sizeof(float));
}

static void take_all(taker *t, auk_calib *c, const sizes *s)
{
    size_t pairs = s->has_experts ? s->tokens * s->top : 0;
    auk_calib_worker worker = {0}; /* stand in where nothing is allocated */
    auk_stored stored = {0};

    take(t, &c->h, s->tokens * s->hidden, 2);
    take(t, &c->x, s->tokens * s->hidden, 2);
    take(t, &c->m, s->tokens * s->hidden, sizeof(float));
    take(t, &c->block, AUK_CALIB_CHUNK * s->hidden, sizeof(float));
    take(t, &c->out, AUK_CALIB_CHUNK * s->hidden, sizeof(float));
    take(t, &c->ids, pairs, sizeof(int32_t));
    take(t, &c->weights, pairs, sizeof(float));
    take(t, &c->pair_token, pairs, sizeof(int32_t));
    take(t, &c->pair_weight, pairs, sizeof(float));
    take(t, &c->first, s->experts + 1, sizeof(size_t));
    if (s->gptq)
        take(t, &c->pool, s->hidden * s->hidden, sizeof(float));
    take(t, &c->pool_diagonal, s->hidden, sizeof(float));
    take(t, &c->sample, AUK_CALIB_SAMPLE * s->hidden, sizeof(float));
    take_big(t, c, s);
    take(t, &c->workers, s->threads, sizeof *c->workers);
    for (size_t i = 0; i < s->threads && t->rc == AUK_OK; i++)
        take_worker(t, t->counts_only ? &worker : &c->workers[i], s);
    take(t, &c->slots, s->slots, sizeof *c->slots);
    for (size_t i = 0; i < s->slots * 3 && s->has_experts && t->rc == AUK_OK; i++)
        take_stored(t, t->counts_only ? &stored : &c->slots[i / 3][i % 3], s->expert);
}

static size_t widest_matrix(const auk_hparams *hp)
{
    return max(max((size_t)hp->hidden, (size_t)hp->expert_width),
               max((size_t)hp->dense_width, (size_t)(hp->n_heads * hp->head_dim)));
}

static bool has(const char *path, const char *part)
{
    return strstr(path, part) != NULL;
}

static sizes sizes_of(const auk_quant_list *list, const auk_hparams *hp,
                      const auk_quant_options *opts, int threads)
{
    sizes s = {.hidden = (size_t)hp->hidden,
               .top = (size_t)hp->top_k,
               .experts = (size_t)hp->n_experts,
               .inner = (size_t)hp->expert_width,
               .threads = (size_t)threads,
               .slots = max(AUK_CALIB_SLOTS, (size_t)threads),
               .gptq = opts->method == AUK_METHOD_GPTQ,
               .has_experts = hp->n_layers > hp->n_dense};
    s.expert = s.has_experts ? s.hidden * s.inner : 0;

    for (size_t i = 0; i < opts->calibration->n_sequences; i++) {
        s.tokens += opts->calibration->lengths[i];
        s.longest = max(s.longest, opts->calibration->lengths[i]);
    }
    if (hp->n_dense > 0)
        s.inner = max(s.inner, (size_t)hp->dense_width);
    s.width = max(s.hidden, (size_t)hp->expert_width);
    s.widest = s.width;
    for (size_t i = 0; i < list->n; i++) {
        const auk_quant_module *m = &list->modules[i];
        if (!auk_calib_handles(opts, m) || has(m->path, "switch_mlp"))
            continue;
        s.big = max(s.big, (size_t)auk_quant_cols(m));
        s.big_weights = max(s.big_weights, (size_t)(auk_quant_cols(m) * auk_quant_rows(m)));
    }
    s.widest = max(s.widest, s.big);
    s.max_cols = widest_matrix(hp);
    s.max_x = AUK_CALIB_CHUNK * max(s.hidden, s.inner);
    return s;
}

int auk_calib_alloc(auk_calib *c, auk_err *err)
{
    const auk_quant_job *job = c->job;
    sizes s = sizes_of(&job->plan->list, c->hp, job->opts, auk_pool_threads(job->pool));
    taker t = {.err = err};

    s.kernel = job->k;
    s.pool = job->pool;
    take_all(&t, c, &s);
    c->n_slots = s.slots;
    c->n_tokens = s.tokens;
    c->longest = s.longest;
    c->bytes = t.bytes;
    return t.rc;
}

int auk_quant_memory(uint64_t *out, const auk_hparams *hp, const auk_quant_options *opts,
                     int threads, auk_err *err)
{
    auk_quant_list list;
    auk_calib nothing = {0};
    auk_stored stored[8] = {0};
    taker t = {.counts_only = true, .err = err};

    int rc = auk_quant_list_make(&list, hp, opts, err);
    if (rc < 0)
        return rc;
    sizes s = sizes_of(&list, hp, opts, threads);
    take_all(&t, &nothing, &s);
    for (int i = 0; i < 8 && s.big > 0; i++)
        take_stored(&t, &stored[i], s.big_weights);
    *out = t.bytes +
           auk_forward_bytes(hp, widest_matrix(hp), threads, AUK_CALIB_CHUNK, (int)s.longest) +
           4 * s.longest * (size_t)(hp->n_kv_heads * hp->head_dim);
    auk_quant_list_release(&list);
    return AUK_OK;
}

int auk_quant_flops(double *out, const auk_hparams *hp, const auk_quant_options *opts, auk_err *err)
{
    auk_quant_list list;

    *out = 0;
    int rc = auk_quant_list_make(&list, hp, opts, err);
    if (rc < 0)
        return rc;
    sizes s = sizes_of(&list, hp, opts, 1);
    double t = (double)s.tokens, d = hp->hidden, w = hp->expert_width,
           q = hp->n_heads * hp->head_dim;
    double kv = hp->n_kv_heads * hp->head_dim, sparse = hp->n_layers - hp->n_dense;
    double attention = 4 * d * (q + kv) + 4 * q * (double)s.longest / 2;
    double experts = hp->top_k * d * w * (2 * 2 * 2 + 2); /* gate and up twice, down once */
    double sums = s.gptq ? d * d * (1 + hp->top_k) + hp->top_k * w * w : 2 * hp->top_k * (d + w);
    *out = t * (hp->n_layers * attention + sparse * (experts + sums) +
                hp->n_dense * 6 * d * hp->dense_width);
    for (size_t i = 0; i < list.n; i++) {
        const auk_quant_module *m = &list.modules[i];
        if (!auk_calib_handles(opts, m))
            continue;
        double n = (double)auk_quant_cols(m), rows = (double)auk_quant_rows(m);
        double each = m->rank == 3 ? (double)m->shape[0] : 1;
        bool shares = strstr(m->path, "up_proj") != NULL;
        *out += rows * n / 64 * 30e3 * (s.gptq ? 2 : 1);
        *out += s.gptq ? rows * n * (n + 2 * 64) + (shares ? 0 : each * n * n * n / 3) : 0;
        *out += rows * n * 2 * AUK_CALIB_SAMPLE * (s.gptq ? 3 : 2);
    }
    auk_quant_list_release(&list);
    return AUK_OK;
}

static void free_stored(auk_stored *s)
{
    free(s->codes);
    free(s->scales);
    free(s->biases);
    *s = (auk_stored){0};
}

static void free_candidate(auk_candidate *c)
{
    free(c->codes);
    free(c->scale);
    free(c->bias);
}

static void free_worker(auk_calib_worker *w)
{
    float *const owned[] = {w->hessian, w->factor, w->diagonal, w->rows,         w->x,
                            w->gate,    w->up,     w->judge_x,  w->judge_weight, w->judge_out,
                            w->judge_h};

    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    auk_gptq_room_release(&w->room);
    auk_work_release(&w->work);
    free_candidate(&w->rtn);
    free_candidate(&w->candidates[0]);
    free_candidate(&w->candidates[1]);
}

int auk_calib_stored(auk_calib *c, auk_stored *s, size_t n, auk_err *err)
{
    taker t = {.err = err};

    if (s->codes != NULL)
        return AUK_OK;
    take_stored(&t, s, n);
    c->bytes += t.bytes;
    return t.rc;
}

void auk_calib_release(auk_calib *c)
{
    void *const owned[] = {
        c->h,       c->x,           c->m,          c->block,        c->out,  c->ids,
        c->weights, c->first,       c->pair_token, c->pair_weight,  c->pool, c->pool_diagonal,
        c->sample,  c->big_hessian, c->big_factor, c->big_diagonal, c->log};

    for (size_t i = 0; c->workers != NULL && i < (size_t)auk_pool_threads(c->job->pool); i++)
        free_worker(&c->workers[i]);
    for (size_t i = 0; c->slots != NULL && i < c->n_slots * 3; i++)
        free_stored(&c->slots[i / 3][i % 3]);
    for (int i = 0; i < 5; i++)
        free_stored(&c->attention[i]);
    for (int i = 0; i < 3; i++)
        free_stored(&c->dense[i]);
    free_candidate(&c->big[0]);
    free_candidate(&c->big[1]);
    free(c->workers);
    free(c->slots);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    auk_forward_free(c->f);
    auk_model_close(c->model);
    *c = (auk_calib){0};
}
