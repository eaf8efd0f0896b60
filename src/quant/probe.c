/* SPDX-License-Identifier: Apache-2.0 */
/* What a format costs: square errors on samples of rows, and how much KL a class of matrices makes
 * of such errors, measured by quantizing it alone.  KL grows with the square error to first order,
 * so one probe per class and block of layers gives the slope. */
#include "quant/budget.h"

#include "base/mem.h"

#include <math.h>

#define SAMPLE_ROWS 64
#define SAMPLE_PLACES 8 /* stretches of rows of one module */
#define PROBE_TOKENS 2048
#define WINDOW 256
#define HEAD_ROWS 32
#define PROBE_BITS 3
#define PROBE_GROUP 64

/* ---- errors of formats --------------------------------------------------------------------- */

typedef struct sampler {
    const auk_quant_plan *plan;
    const auk_quant_options *opts;
    const auk_kernel *k;
    auk_budget_case *cases;
    auk_err *errs; /* owned; per case */
    int *rcs;      /* owned */
} sampler;

static void load(float *dst, const auk_kernel *k, const uint8_t *src, auk_dtype dtype, size_t n)
{
    if (dtype == AUK_DT_BF16)
        k->bf16_to_f32(dst, src, n);
    else if (dtype == AUK_DT_F16)
        k->f16_to_f32(dst, src, n);
    else
        memcpy(dst, src, n * sizeof *dst);
}

/* Rows spread over the module's slices: at most SAMPLE_ROWS in all. */
static size_t sample_rows(const sampler *s, float *dst, size_t module)
{
    const auk_quant_origin *o = &s->plan->origins[module];
    size_t cols = (size_t)auk_quant_cols(&s->plan->list.modules[module]), n = 0;
    size_t item = auk_dtype_bytes(o->from), places = o->n < SAMPLE_PLACES ? o->n : SAMPLE_PLACES;

    for (size_t p = 0; p < places; p++) {
        const auk_quant_slice *slice = &s->plan->slices[o->first + p * o->n / places];
        size_t want = SAMPLE_ROWS / places, rows = (size_t)slice->n_rows;
        size_t some = rows < want ? rows : want;
        for (size_t i = 0; i < some; i++, n++) {
            uint64_t at = (slice->first_row + i * rows / some) * cols;
            load(dst + n * cols, s->k, slice->t->data + at * item, o->from, cols);
        }
    }
    return n;
}

/* Adds |W - Q|^2 and |W|^2 of n weights in a format. */
static void add_error(const sampler *s, double sums[2], const float *w, size_t n, auk_numfmt f,
                      bool nearest, auk_gptq_room *room, uint8_t *codes, float *pairs, float *back)
{
    size_t groups = n / (size_t)f.group_size;

    if (nearest)
        s->k->quantize_affine(codes, pairs, pairs + groups, w, n, f.bits, f.group_size,
                              s->opts->rounding);
    else
        auk_wrtn_block(codes, pairs, pairs + groups, room, s->k, w, n, f);
    s->k->round_bf16(pairs, 2 * groups);
    s->k->dequant_affine(back, codes, pairs, pairs + groups, n, f.bits, f.group_size);
    for (size_t i = 0; i < n; i++) {
        double d = (double)w[i] - (double)back[i];
        sums[0] += d * d;
        sums[1] += (double)w[i] * (double)w[i];
    }
}

static int measure_case(const sampler *s, auk_budget_case *c, auk_err *err)
{
    auk_gptq_room room = {0};
    float *w = NULL, *back = NULL, *pairs = NULL;
    uint8_t *codes = NULL;
    double sums[AUK_BUDGET_CHOICES + 1][2] = {{0}};
    size_t most = 0;

    for (size_t i = 0; i < c->n_modules; i++) {
        size_t cols = (size_t)auk_quant_cols(&s->plan->list.modules[c->modules[i]]);
        most = cols > most ? cols : most;
    }
    most *= SAMPLE_ROWS;
    int rc = auk_gptq_room_init(&room, 128, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&w, most, sizeof *w, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&back, most, sizeof *back, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&pairs, most / 16 + 2, sizeof *pairs, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&codes, most, 1, err);
    for (size_t i = 0; i < c->n_modules && rc == AUK_OK; i++) {
        size_t cols = (size_t)auk_quant_cols(&s->plan->list.modules[c->modules[i]]);
        size_t n = sample_rows(s, w, c->modules[i]) * cols;
        for (size_t o = 0; o < c->n_options; o++)
            add_error(s, sums[o], w, n,
                      (auk_numfmt){AUK_AFFINE, c->options[o].bits, c->options[o].group},
                      s->opts->method == AUK_METHOD_RTN, &room, codes, pairs, back);
        int group = cols % PROBE_GROUP == 0 ? PROBE_GROUP : 32;
        add_error(s, sums[c->n_options], w, n, (auk_numfmt){AUK_AFFINE, PROBE_BITS, group}, true,
                  &room, codes, pairs, back);
    }
    for (size_t o = 0; o < c->n_options; o++)
        c->options[o].error = sums[o][1] > 0 ? sums[o][0] / sums[o][1] : 0;
    c->error3 = sums[c->n_options][1] > 0 ? sums[c->n_options][0] / sums[c->n_options][1] : 0;
    auk_gptq_room_release(&room);
    free(w);
    free(back);
    free(pairs);
    free(codes);
    return rc;
}

static void measure_range(void *ctx, size_t lo, size_t hi)
{
    const sampler *s = ctx;

    for (size_t i = lo; i < hi; i++)
        s->rcs[i] = measure_case(s, &s->cases[i], &s->errs[i]);
}

static int measure_errors(sampler *s, size_t n, auk_pool *pool, auk_err *err)
{
    int rc = auk_try_alloc(&s->errs, n, sizeof *s->errs, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->rcs, n, sizeof *s->rcs, err);
    if (rc == AUK_OK)
        auk_pool_run(pool, n, 1, measure_range, s);
    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        if (s->rcs[i] < 0) {
            rc = s->rcs[i];
            *err = s->errs[i];
        }
    free(s->errs);
    free(s->rcs);
    return rc;
}

/* ---- probes -------------------------------------------------------------------------------- */

typedef struct probe {
    const auk_quant_options *opts;
    const auk_kernel *k;
    auk_pool *pool;
    auk_model *model; /* owned */
    auk_forward *f;   /* owned */
    auk_work work;
    const auk_hparams *hp;
    int32_t *ids; /* owned; n of them, in windows */
    size_t n;
    float *start, *end, *h; /* owned; before the block, the undisturbed end, the running rows */
    float *logits;          /* owned; 2 * HEAD_ROWS rows */
    uint8_t *pool_bytes;    /* owned; of the layer's quantized matrices */
    size_t used, room;
} probe;

/* The matrix in 3 bits; its bytes lie in p->pool_bytes. */
static auk_mat quantized(probe *p, const auk_mat *m)
{
    int group = m->cols % PROBE_GROUP == 0 ? PROBE_GROUP : 32;
    size_t groups = m->cols / (size_t)group, row = m->cols * PROBE_BITS / 8;
    float *w = (float *)(void *)p->logits; /* free while layers run */
    float *pairs = w + m->cols;
    auk_mat q = {.type = AUK_W_AFFINE,
                 .scale_type = AUK_S_F32,
                 .bits = PROBE_BITS,
                 .group = group,
                 .rows = m->rows,
                 .cols = m->cols,
                 .row_bytes = row,
                 .scale_row_bytes = 4 * groups};

    q.codes = p->pool_bytes + p->used;
    q.scales = q.codes + (m->rows * row + 3) / 4 * 4;
    q.biases = q.scales + m->rows * 4 * groups;
    for (size_t r = 0; r < m->rows; r++) {
        auk_mat_row(&p->work, w, m, r);
        p->k->quantize_affine((uint8_t *)q.codes + r * row, pairs, pairs + groups, w, m->cols,
                              PROBE_BITS, group, p->opts->rounding);
        p->k->round_bf16(pairs, 2 * groups);
        memcpy((uint8_t *)q.scales + r * 4 * groups, pairs, 4 * groups);
        memcpy((uint8_t *)q.biases + r * 4 * groups, pairs + groups, 4 * groups);
    }
    p->used = (size_t)(q.biases - p->pool_bytes) + m->rows * 4 * groups;
    return q;
}

static bool can_probe(const auk_mat *m)
{
    return m->rows > 0 && m->cols % 32 == 0;
}

/* Exchanges one class of a layer's matrices; `kept` gets what was there, in the same order. */
static void exchange(probe *p, auk_layer *l, const char *what, auk_mat *kept)
{
    auk_mat *dense_gate_up[] = {&l->gate, &l->up}, *dense_down[] = {&l->down};
    auk_mat *attention[] = {&l->q, &l->k, &l->v, &l->o}, **list = attention;
    size_t n = 4, experts = (size_t)p->hp->n_experts, at = 0;

    p->used = 0;
    if (strcmp(what, "attention") != 0 && l->sparse) {
        bool down = strcmp(what, "down") == 0;
        for (size_t e = 0; e < experts; e++)
            for (int i = 0; i < (down ? 1 : 2); i++) {
                auk_mat *m = down ? &l->e_down[e] : i == 0 ? &l->e_gate[e] : &l->e_up[e];
                kept[at++] = *m;
                if (can_probe(m))
                    *m = quantized(p, m);
            }
        return;
    }
    if (strcmp(what, "attention") != 0) {
        list = strcmp(what, "down") == 0 ? dense_down : dense_gate_up;
        n = strcmp(what, "down") == 0 ? 1 : 2;
    }
    for (size_t i = 0; i < n; i++) {
        kept[at++] = *list[i];
        if (can_probe(list[i]))
            *list[i] = quantized(p, list[i]);
    }
}

static void restore(const probe *p, auk_layer *l, const char *what, const auk_mat *kept)
{
    size_t experts = (size_t)p->hp->n_experts, at = 0;

    if (strcmp(what, "attention") == 0) {
        auk_mat *all[] = {&l->q, &l->k, &l->v, &l->o};
        for (size_t i = 0; i < 4; i++)
            *all[i] = kept[at++];
    } else if (!l->sparse && strcmp(what, "down") == 0) {
        l->down = kept[0];
    } else if (!l->sparse) {
        l->gate = kept[0];
        l->up = kept[1];
    } else {
        bool down = strcmp(what, "down") == 0;
        for (size_t e = 0; e < experts; e++)
            for (int i = 0; i < (down ? 1 : 2); i++)
                *(down ? &l->e_down[e] : i == 0 ? &l->e_gate[e] : &l->e_up[e]) = kept[at++];
    }
}

/* All windows through one layer. */
static int one_layer(probe *p, int layer, float *h, auk_err *err)
{
    size_t hidden = (size_t)p->hp->hidden;
    auk_kv_layer kv;

    int rc = auk_kv_layer_init(&kv, p->hp, layer, WINDOW, AUK_PRECISION_BF16, err);
    if (rc < 0)
        return rc;
    for (size_t at = 0; at < p->n; at += WINDOW)
        auk_forward_layer(p->f, layer, &kv, h + at * hidden, 0,
                          p->n - at < WINDOW ? p->n - at : WINDOW, NULL);
    auk_kv_layer_release(&kv);
    return AUK_OK;
}

static double kl_of(const float *a, const float *b, size_t n)
{
    double top_a = -INFINITY, top_b = -INFINITY, sum_a = 0, sum_b = 0, kl = 0;

    for (size_t i = 0; i < n; i++) {
        top_a = (double)a[i] > top_a ? (double)a[i] : top_a;
        top_b = (double)b[i] > top_b ? (double)b[i] : top_b;
    }
    for (size_t i = 0; i < n; i++) {
        sum_a += exp((double)a[i] - top_a);
        sum_b += exp((double)b[i] - top_b);
    }
    double lse_a = top_a + log(sum_a), lse_b = top_b + log(sum_b);
    for (size_t i = 0; i < n; i++)
        kl += exp((double)a[i] - lse_a) * (((double)a[i] - lse_a) - ((double)b[i] - lse_b));
    return kl;
}

typedef struct kl_job {
    const float *a, *b;
    size_t vocab;
    double *out;
} kl_job;

static void kl_range(void *ctx, size_t lo, size_t hi)
{
    const kl_job *j = ctx;

    for (size_t i = lo; i < hi; i++)
        j->out[i] = kl_of(j->a + i * j->vocab, j->b + i * j->vocab, j->vocab);
}

/* Mean KL between the undisturbed end and h; with `head`, that matrix makes h's logits. */
static double mean_kl(probe *p, const float *h, const auk_mat *head)
{
    size_t hidden = (size_t)p->hp->hidden, vocab = (size_t)p->hp->vocab;
    auk_mat own = p->model->head;
    double sum = 0, each[HEAD_ROWS];

    for (size_t at = 0; at < p->n; at += HEAD_ROWS) {
        size_t some = p->n - at < HEAD_ROWS ? p->n - at : HEAD_ROWS;
        kl_job j = {p->logits, p->logits + HEAD_ROWS * vocab, vocab, each};
        auk_forward_logits(p->f, p->logits, p->end + at * hidden, some);
        if (head != NULL)
            p->model->head = *head;
        auk_forward_logits(p->f, p->logits + HEAD_ROWS * vocab, h + at * hidden, some);
        p->model->head = own;
        auk_pool_run(p->pool, some, 1, kl_range, &j);
        for (size_t i = 0; i < some; i++)
            sum += each[i];
    }
    return sum / (double)p->n;
}

static int tell(const probe *p, size_t done, size_t of, auk_err *err)
{
    if (p->opts->progress != NULL &&
        p->opts->progress(p->opts->progress_ctx, "measure damage", "probes", done, of))
        return auk_fail(err, AUK_ECANCEL, "stopped while damage was measured");
    return AUK_OK;
}

/* The KL of one class quantized in layers [lo, hi). */
static int probe_block(probe *p, double *kl, const char *what, int lo, int hi, auk_mat *kept,
                       auk_err *err)
{
    size_t floats = p->n * (size_t)p->hp->hidden;
    int rc = AUK_OK;

    memcpy(p->h, p->start, floats * sizeof *p->h);
    for (int l = lo; l < p->hp->n_layers && rc == AUK_OK; l++) {
        if (l < hi)
            exchange(p, &p->model->layers[l], what, kept);
        rc = one_layer(p, l, p->h, err);
        if (l < hi)
            restore(p, &p->model->layers[l], what, kept);
        auk_model_drop_layer(p->model, l);
    }
    if (rc == AUK_OK)
        *kl = mean_kl(p, p->h, NULL);
    return rc;
}

/* The KL of the quantized embedding, as input and as head. */
static int probe_embedding(probe *p, double *kl, auk_err *err)
{
    auk_mat own = p->model->embed, q;
    int rc = AUK_OK;

    p->used = 0;
    q = quantized(p, &own);
    p->model->embed = q;
    auk_forward_embed(p->f, p->h, p->ids, p->n);
    p->model->embed = own;
    for (int l = 0; l < p->hp->n_layers && rc == AUK_OK; l++) {
        rc = one_layer(p, l, p->h, err);
        auk_model_drop_layer(p->model, l);
    }
    if (rc == AUK_OK)
        *kl = mean_kl(p, p->h, p->hp->tied ? &q : NULL);
    return rc;
}

static void assign(auk_budget_case *cases, size_t n, const char *what, int lo, int hi, double kl)
{
    double error = 0;

    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].item.what, what) == 0 && cases[i].item.layer >= lo &&
            cases[i].item.layer < hi)
            error += cases[i].error3;
    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].item.what, what) == 0 && cases[i].item.layer >= lo &&
            cases[i].item.layer < hi)
            for (size_t o = 0; o < cases[i].n_options; o++)
                cases[i].options[o].damage =
                    error > 0 ? (kl > 0 ? kl : 0) / error * cases[i].options[o].error : 0;
}

static bool has_class(const auk_budget_case *cases, size_t n, const char *what, int lo, int hi)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(cases[i].item.what, what) == 0 && cases[i].item.layer >= lo &&
            cases[i].item.layer < hi)
            return true;
    return false;
}

/* The rows before layer `layer`, undisturbed, in p->start. */
static int advance(probe *p, int from, int to, auk_err *err)
{
    int rc = AUK_OK;

    for (int l = from; l < to && rc == AUK_OK; l++) {
        rc = one_layer(p, l, p->start, err);
        auk_model_drop_layer(p->model, l);
    }
    return rc;
}

static int run_probes(probe *p, auk_budget_case *cases, size_t n, size_t *count, auk_err *err)
{
    static const char *const classes[] = {"gate_up", "down", "attention"};
    int layers = p->hp->n_layers, step = layers <= 14 ? 2 : 7;
    size_t of = (size_t)((layers + step - 1) / step * 3 + 1), floats = p->n * (size_t)p->hp->hidden;
    auk_mat *kept = NULL;
    double kl = 0;

    int rc = auk_try_alloc(&kept, 2 * (size_t)p->hp->n_experts + 4, sizeof *kept, err);
    auk_forward_embed(p->f, p->start, p->ids, p->n);
    if (rc == AUK_OK)
        rc = advance(p, 0, layers, err);
    memcpy(p->end, p->start, floats * sizeof *p->end);
    if (rc == AUK_OK && has_class(cases, n, "embedding", -1, 0)) {
        rc = probe_embedding(p, &kl, err);
        assign(cases, n, "embedding", -1, 0, kl);
        ++*count;
    }
    auk_forward_embed(p->f, p->start, p->ids, p->n);
    for (int lo = 0; lo < layers && rc == AUK_OK; lo += step) {
        int hi = lo + step < layers ? lo + step : layers;
        for (size_t c = 0; c < 3 && rc == AUK_OK; c++) {
            rc = tell(p, *count, of, err);
            if (rc < 0 || !has_class(cases, n, classes[c], lo, hi))
                continue;
            rc = probe_block(p, &kl, classes[c], lo, hi, kept, err);
            assign(cases, n, classes[c], lo, hi, kl);
            ++*count;
        }
        if (rc == AUK_OK)
            rc = advance(p, lo, hi, err);
    }
    free(kept);
    return rc;
}

/* Bytes of the largest class of a layer, or the embedding, in 3 bits. */
static size_t probe_bytes(const auk_hparams *hp)
{
    size_t hidden = (size_t)hp->hidden, heads = (size_t)(hp->n_heads * hp->head_dim);
    size_t experts = 2 * (size_t)hp->n_experts * (size_t)hp->expert_width * hidden;
    size_t most[] = {(size_t)hp->vocab * hidden, 2 * (size_t)hp->dense_width * hidden,
                     4 * heads * hidden};

    for (size_t i = 0; i < 3; i++)
        experts = most[i] > experts ? most[i] : experts;
    return experts / 8 * PROBE_BITS + experts / 32 * 8 + 4096;
}

/* Whole windows of the calibration tokens, at most PROBE_TOKENS. */
static int take_tokens(probe *p, auk_err *err)
{
    const auk_calibration *c = p->opts->calibration;
    size_t at = 0;

    int rc = auk_try_alloc(&p->ids, PROBE_TOKENS, sizeof *p->ids, err);
    for (size_t i = 0; i < c->n_sequences && rc == AUK_OK; at += c->lengths[i], i++)
        for (size_t from = 0; from + WINDOW <= c->lengths[i] && p->n + WINDOW <= PROBE_TOKENS;
             from += WINDOW) {
            memcpy(p->ids + p->n, c->ids + at + from, WINDOW * sizeof *p->ids);
            p->n += WINDOW;
        }
    for (size_t i = 0; p->n == 0 && i < at && i < WINDOW; i++) /* only shorter ones: as one */
        p->ids[i] = c->ids[i];
    if (p->n == 0)
        p->n = at < WINDOW ? at : WINDOW;
    for (size_t i = 0; i < p->n && rc == AUK_OK; i++)
        if (p->ids[i] < 0 || p->ids[i] >= p->hp->vocab)
            rc = auk_fail(err, AUK_EINVAL, "calibration token %d: the model's ids end at %d",
                          (int)p->ids[i], p->hp->vocab - 1);
    return rc;
}

static int open_probe(probe *p, const char *src, auk_err *err)
{
    int rc = auk_model_open(&p->model, src, err);
    if (rc < 0)
        return rc;
    p->hp = &p->model->hp;
    rc = take_tokens(p, err);
    size_t floats = PROBE_TOKENS * (size_t)p->hp->hidden;
    size_t logits = 2 * HEAD_ROWS * (size_t)p->hp->vocab;
    if (rc == AUK_OK)
        rc = auk_forward_new(&p->f, p->model, p->k, p->pool, AUK_PRECISION_BF16, WINDOW, WINDOW,
                             err);
    if (rc == AUK_OK)
        rc = auk_work_init(&p->work, p->k, p->pool, p->model->max_cols, 0, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&p->start, floats, sizeof *p->start, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&p->end, floats, sizeof *p->end, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&p->h, floats, sizeof *p->h, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&p->logits, logits + 2 * p->model->max_cols, sizeof *p->logits, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&p->pool_bytes, probe_bytes(p->hp), 1, err);
    return rc;
}

int auk_budget_measure(auk_budget_case *cases, size_t n, const auk_quant_plan *plan,
                       const char *src, const auk_quant_options *opts, const auk_kernel *k,
                       auk_pool *pool, size_t *probes, size_t *tokens, auk_err *err)
{
    sampler s = {.plan = plan, .opts = opts, .k = k, .cases = cases};
    probe p = {.opts = opts, .k = k, .pool = pool};

    *probes = 0;
    int rc = measure_errors(&s, n, pool, err);
    if (rc == AUK_OK)
        rc = open_probe(&p, src, err);
    *tokens = p.n;
    if (rc == AUK_OK)
        rc = run_probes(&p, cases, n, probes, err);
    auk_forward_free(p.f);
    auk_work_release(&p.work);
    free(p.ids);
    free(p.start);
    free(p.end);
    free(p.h);
    free(p.logits);
    free(p.pool_bytes);
    auk_model_close(p.model);
    return rc;
}
