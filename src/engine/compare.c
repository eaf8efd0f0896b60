/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reference.h"

#include "base/mem.h"
#include "stats/stats.h"

#include <math.h>

#define MAX_ROWS 256
#define HEAD_ROWS 32

/* One of the two models, and every token's row between two layers. */
typedef struct side {
    auk_model *m;   /* owned */
    auk_forward *f; /* owned */
    float *h;       /* owned; n rows */
    float *logits;  /* owned; HEAD_ROWS rows */
} side;

/* What is kept per scored position. */
typedef struct scores {
    double *kl, *nll_a, *nll_b, *diff; /* owned */
    double dp_sum, dp_square;
    size_t n, same;
} scores;

typedef struct comparison {
    const auk_compare_options *opts;
    auk_kernel kernel;
    auk_pool *pool; /* owned */
    size_t window;
    side a, b;         /* a.f is NULL when A comes from a file */
    auk_ref_file *ref; /* owned; open for reading or writing, or NULL */
    bool ref_reads;
    scores s;
    uint64_t step, steps;
} comparison;

static int open_side(side *s, comparison *c, const char *dir, bool compute, auk_err *err)
{
    const auk_compare_options *o = c->opts;

    int rc = auk_model_open(&s->m, dir, err);
    if (rc < 0 || !compute)
        return rc;
    size_t hidden = (size_t)s->m->hp.hidden;
    rc = auk_forward_new(&s->f, s->m, &c->kernel, c->pool, o->precision, MAX_ROWS, (int)c->window,
                         err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->h, o->n * hidden, sizeof *s->h, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->logits, HEAD_ROWS * (size_t)s->m->hp.vocab, sizeof *s->logits, err);
    return rc;
}

static void close_side(side *s)
{
    auk_forward_free(s->f);
    free(s->h);
    free(s->logits);
    auk_model_close(s->m);
}

static bool tell(comparison *c, const char *what)
{
    c->step++;
    return c->opts->progress != NULL &&
           c->opts->progress(c->opts->progress_ctx, what, "layers", c->step, c->steps);
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* All windows through one layer. */
static int one_layer(comparison *c, side *s, int layer, auk_err *err)
{
    size_t hidden = (size_t)s->m->hp.hidden, n = c->opts->n;
    auk_kv_layer kv;

    int rc =
        auk_kv_layer_init(&kv, &s->m->hp, layer, (int)min(c->window, n), c->opts->precision, err);
    if (rc < 0)
        return rc;
    for (size_t first = 0; first < n; first += c->window) {
        size_t end = min(first + c->window, n);
        for (size_t at = first; at < end; at += MAX_ROWS)
            auk_forward_layer(s->f, layer, &kv, s->h + at * hidden, (int)(at - first),
                              min(MAX_ROWS, end - at), NULL);
    }
    auk_kv_layer_release(&kv);
    auk_model_drop_layer(s->m, layer);
    return tell(c, "compare") ? auk_fail(err, AUK_ECANCEL, "stopped") : AUK_OK;
}

static int all_layers(comparison *c, side *s, auk_err *err)
{
    size_t hidden = (size_t)s->m->hp.hidden;
    int rc = AUK_OK;

    for (size_t at = 0; at < c->opts->n; at += MAX_ROWS)
        auk_forward_embed(s->f, s->h + at * hidden, c->opts->ids + at,
                          min(MAX_ROWS, c->opts->n - at));
    for (int i = 0; i < s->m->hp.n_layers && rc == AUK_OK; i++)
        rc = one_layer(c, s, i, err);
    return rc;
}

static double log_sum_exp(const float *x, size_t n)
{
    double max = -INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        max = (double)x[i] > max ? (double)x[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - max);
    return max + log(sum);
}

static double exact_kl(const float *a, double lse_a, const float *b, double lse_b, size_t n)
{
    double kl = 0;

    for (size_t i = 0; i < n; i++) {
        double lp = (double)a[i] - lse_a;
        kl += exp(lp) * (lp - ((double)b[i] - lse_b));
    }
    return kl > 0 ? kl : 0; /* below 0 by rounding only */
}

/* The top tokens one by one, all others as one bucket: never more than the exact value. */
static double bucket_kl(const auk_ref_row *r, const float *b, double lse_b)
{
    double kl = 0, p_rest = 1, q_rest = 1;

    for (int i = 0; i < r->top; i++) {
        double lq = (double)b[r->id[i]] - lse_b, p = exp(r->lp[i]);
        kl += p * (r->lp[i] - lq);
        p_rest -= p;
        q_rest -= exp(lq);
    }
    if (p_rest > 1e-12 && q_rest > 1e-300)
        kl += p_rest * log(p_rest / q_rest);
    return kl > 0 ? kl : 0;
}

typedef struct score_job {
    comparison *c;
    size_t first;            /* position of row 0 of the logits */
    const size_t *index;     /* of each row in the scores, SIZE_MAX: not scored */
    const auk_ref_row *rows; /* of A, when read */
    double *lse_a, *true_lp;
    bool *same;
    double *dp;
} score_job;

static void score_range(void *ctx, size_t lo, size_t hi)
{
    const score_job *j = ctx;
    comparison *c = j->c;
    size_t vocab = (size_t)c->b.m->hp.vocab;

    for (size_t t = lo; t < hi; t++) {
        if (j->index[t] == SIZE_MAX)
            continue;
        const float *b = c->b.logits + t * vocab;
        double lse_b = log_sum_exp(b, vocab), lp_a;
        int32_t next = c->opts->ids[j->first + t + 1];
        size_t best_b = c->kernel.argmax(b, vocab), best_a, i = j->index[t];
        if (c->ref_reads) {
            lp_a = j->rows[t].true_lp;
            best_a = (size_t)j->rows[t].id[0];
            c->s.kl[i] = bucket_kl(&j->rows[t], b, lse_b);
        } else {
            const float *a = c->a.logits + t * vocab;
            j->lse_a[t] = log_sum_exp(a, vocab);
            lp_a = (double)a[next] - j->lse_a[t];
            best_a = c->kernel.argmax(a, vocab);
            c->s.kl[i] = exact_kl(a, j->lse_a[t], b, lse_b, vocab);
        }
        double lp_b = (double)b[next] - lse_b;
        j->true_lp[t] = lp_a;
        c->s.nll_a[i] = -lp_a;
        c->s.nll_b[i] = -lp_b;
        c->s.diff[i] = lp_a - lp_b;
        j->dp[t] = exp(lp_b) - exp(lp_a);
        j->same[t] = best_a == best_b;
    }
}

/* Scores rows [first, first + n), n <= HEAD_ROWS. */
static int score_rows(comparison *c, size_t first, size_t n, auk_ref_row *rows, auk_err *err)
{
    size_t index[HEAD_ROWS], hidden_b = (size_t)c->b.m->hp.hidden;
    double lse_a[HEAD_ROWS], true_lp[HEAD_ROWS], dp[HEAD_ROWS];
    bool same[HEAD_ROWS];
    score_job j = {c, first, index, rows, lse_a, true_lp, same, dp};
    int rc = AUK_OK;

    for (size_t t = 0; t < n && rc == AUK_OK; t++) {
        size_t p = first + t;
        bool last = p + 1 == c->opts->n || (p + 1) % c->window == 0;
        index[t] = last ? SIZE_MAX : c->s.n++;
        if (!last && c->ref_reads)
            rc = auk_ref_read(&rows[t], c->ref, err);
    }
    if (rc < 0)
        return rc;
    if (!c->ref_reads)
        auk_forward_logits(c->a.f, c->a.logits, c->a.h + first * (size_t)c->a.m->hp.hidden, n);
    auk_forward_logits(c->b.f, c->b.logits, c->b.h + first * hidden_b, n);
    auk_pool_run(c->pool, n, 1, score_range, &j);
    for (size_t t = 0; t < n && rc == AUK_OK; t++) {
        if (index[t] == SIZE_MAX)
            continue;
        c->s.same += same[t];
        c->s.dp_sum += dp[t];
        c->s.dp_square += dp[t] * dp[t];
        if (!isfinite(c->s.kl[index[t]]))
            rc = auk_fail(err, AUK_EFORMAT, "the scores of position %zu are not finite", first + t);
        else if (c->ref != NULL && !c->ref_reads)
            rc = auk_ref_write(c->ref, c->a.logits + t * (size_t)c->a.m->hp.vocab, lse_a[t],
                               true_lp[t], err);
    }
    return rc;
}

static int score_all(comparison *c, auk_err *err)
{
    auk_ref_row *rows = auk_alloc(HEAD_ROWS * sizeof *rows);
    int rc = AUK_OK;

    for (size_t at = 0; at < c->opts->n && rc == AUK_OK; at += HEAD_ROWS) {
        rc = score_rows(c, at, min(HEAD_ROWS, c->opts->n - at), rows, err);
        if (rc == AUK_OK && tell(c, "compare"))
            rc = auk_fail(err, AUK_ECANCEL, "stopped");
    }
    free(rows);
    return rc;
}

static int check_pair(const comparison *c, const char *a, const char *b, auk_err *err)
{
    const auk_hparams *x = &c->a.m->hp, *y = &c->b.m->hp;

    if (x->vocab != y->vocab || x->hidden != y->hidden || x->n_layers != y->n_layers)
        return auk_fail(err, AUK_EINVAL,
                        "'%s' and '%s' are not the same model: %d and %d layers, %d and %d wide, "
                        "%d and %d tokens",
                        a, b, x->n_layers, y->n_layers, x->hidden, y->hidden, x->vocab, y->vocab);
    for (size_t i = 0; i < c->opts->n; i++)
        if (c->opts->ids[i] < 0 || c->opts->ids[i] >= x->vocab)
            return auk_fail(err, AUK_EINVAL, "token id %d is not within [0, %d)",
                            (int)c->opts->ids[i], x->vocab);
    return AUK_OK;
}

static int open_reference(comparison *c, size_t rows, auk_err *err)
{
    const auk_compare_options *o = c->opts;
    int vocab = c->a.m->hp.vocab;

    if (o->reference == NULL)
        return AUK_OK;
    return c->ref_reads
               ? auk_ref_open(&c->ref, o->reference, o->ids, o->n, o->window, vocab, rows, err)
               : auk_ref_create(&c->ref, o->reference, o->ids, o->n, o->window, vocab, rows, err);
}

static int alloc_scores(scores *s, size_t rows, auk_err *err)
{
    double **all[] = {&s->kl, &s->nll_a, &s->nll_b, &s->diff};
    int rc = AUK_OK;

    for (size_t i = 0; i < 4 && rc == AUK_OK; i++)
        rc = auk_try_alloc(all[i], rows, sizeof **all[i], err);
    return rc;
}

static int setup(comparison *c, const char *a, const char *b, auk_err *err)
{
    const auk_compare_options *o = c->opts;
    unsigned flags = o->cpu_flags;

    int rc = flags == 0 ? auk_cpu_default(&flags, err) : AUK_OK;
    if (rc == AUK_OK && (o->n < 2 || o->n > INT32_MAX))
        rc = auk_fail(err, AUK_EINVAL, "%zu tokens cannot be scored: want at least 2", o->n);
    if (rc < 0)
        return rc;
    auk_kernel_init(&c->kernel, flags);
    c->pool = auk_pool_new(o->threads);
    c->window = o->window > 1 ? min((size_t)o->window, o->n) : o->n;
    c->ref_reads = o->reference != NULL && auk_file_exists(o->reference);
    size_t windows = (o->n + c->window - 1) / c->window, rows = o->n - windows;
    rc = open_side(&c->a, c, a, !c->ref_reads, err);
    if (rc == AUK_OK)
        rc = open_side(&c->b, c, b, true, err);
    if (rc == AUK_OK)
        rc = check_pair(c, a, b, err);
    if (rc == AUK_OK)
        rc = open_reference(c, rows, err);
    if (rc == AUK_OK)
        rc = alloc_scores(&c->s, rows, err);
    if (rc == AUK_OK)
        c->steps = (uint64_t)c->b.m->hp.n_layers * (c->ref_reads ? 1 : 2) +
                   (o->n + HEAD_ROWS - 1) / HEAD_ROWS;
    return rc;
}

/* What paired comparisons of several B with one A need. */
static int write_tokens(const comparison *c, auk_err *err)
{
    const scores *s = &c->s;
    auk_npy *npy;

    int rc = auk_npy_create(&npy, c->opts->per_token, AUK_DT_F32, s->n, 2, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < s->n && rc == AUK_OK; i++)
        rc = auk_npy_write(npy, (const float[]){(float)s->kl[i], (float)s->diff[i]}, 2, err);
    if (rc == AUK_OK)
        return auk_npy_finish(npy, err);
    auk_npy_abandon(npy);
    return rc;
}

static void summarize(auk_compare_result *out, comparison *c)
{
    scores *s = &c->s;
    double mean_a, mean_b, unused, n = (double)s->n;

    out->tokens = s->n;
    out->kl_is_lower_bound = c->ref_reads;
    auk_stats_mean(&out->kl_mean, &out->kl_se, s->kl, s->n);
    auk_stats_mean(&mean_a, &unused, s->nll_a, s->n);
    auk_stats_mean(&mean_b, &unused, s->nll_b, s->n);
    auk_stats_mean(&out->ln_ppl_ratio, &out->ln_ppl_ratio_se, s->diff, s->n);
    out->ppl_a = exp(mean_a);
    out->ppl_b = exp(mean_b);
    out->top1_agreement = (double)s->same / n;
    out->dp_mean = s->dp_sum / n;
    out->dp_rms = sqrt(s->dp_square / n);
    out->kl_median = auk_stats_quantile(s->kl, s->n, 0.5);
    out->kl_p90 = auk_stats_quantile(s->kl, s->n, 0.9);
    out->kl_p99 = auk_stats_quantile(s->kl, s->n, 0.99);
    out->kl_p999 = auk_stats_quantile(s->kl, s->n, 0.999);
    out->kl_max = auk_stats_quantile(s->kl, s->n, 1);
}

/* ---- weights ------------------------------------------------------------------------------ */

typedef struct diff_job {
    const auk_work *w;
    const auk_mat *a, *b;
    double *sum; /* two per row: |b - a|^2 and |a|^2 */
} diff_job;

static void diff_range(void *ctx, size_t lo, size_t hi)
{
    const diff_job *j = ctx;
    size_t cols = j->a->cols;
    float *x = auk_alloc(2 * cols * sizeof *x), *y = x + cols;

    for (size_t r = lo; r < hi; r++) {
        double d = 0, n = 0;
        auk_mat_row(j->w, x, j->a, r);
        auk_mat_row(j->w, y, j->b, r);
        for (size_t i = 0; i < cols; i++) {
            double e = (double)y[i] - (double)x[i];
            d += e * e;
            n += (double)x[i] * (double)x[i];
        }
        j->sum[2 * r] = d;
        j->sum[2 * r + 1] = n;
    }
    free(x);
}

/* Adds one matrix's squares to sum[0] (difference) and sum[1] (A). */
static int add_mat(const auk_work *w, double sum[2], const auk_mat *a, const auk_mat *b,
                   auk_err *err)
{
    diff_job j = {w, a, b, NULL};

    int rc = auk_try_alloc(&j.sum, a->rows, 2 * sizeof *j.sum, err);
    if (rc < 0)
        return rc;
    auk_pool_run(w->pool, a->rows, 32, diff_range, &j);
    for (size_t r = 0; r < a->rows; r++) {
        sum[0] += j.sum[2 * r];
        sum[1] += j.sum[2 * r + 1];
    }
    free(j.sum);
    return AUK_OK;
}

/* One module: a matrix, or all experts' matrices of one projection. */
static int add_module(auk_compare_result *out, const auk_work *w, int layer, const char *name,
                      const auk_mat *a, const auk_mat *b, int n, auk_err *err)
{
    double sum[2] = {0, 0};
    int rc = AUK_OK;

    for (int e = 0; e < n && rc == AUK_OK; e++)
        rc = add_mat(w, sum, &a[e], &b[e], err);
    if (rc < 0)
        return rc;
    out->tensors = auk_realloc(out->tensors, (out->n_tensors + 1) * sizeof *out->tensors);
    auk_tensor_error *t = &out->tensors[out->n_tensors++];
    if (layer < 0)
        snprintf(t->name, sizeof t->name, "%s", name);
    else
        snprintf(t->name, sizeof t->name, "model.layers.%d.%s", layer, name);
    t->rel_err = sum[1] > 0 ? sqrt(sum[0] / sum[1]) : sum[0] > 0 ? INFINITY : 0;
    return AUK_OK;
}

static int compare_modules(auk_compare_result *out, comparison *c, const auk_work *w, auk_err *err)
{
    const auk_hparams *hp = &c->a.m->hp;

    int rc = add_module(out, w, -1, "model.embed_tokens", &c->a.m->embed, &c->b.m->embed, 1, err);
    for (int i = 0; i < hp->n_layers && rc == AUK_OK; i++) {
        const auk_layer *a = &c->a.m->layers[i], *b = &c->b.m->layers[i];
        const struct {
            const char *name;
            const auk_mat *a, *b;
            int n;
        } modules[] = {
            {"self_attn.q_proj", &a->q, &b->q, 1},
            {"self_attn.k_proj", &a->k, &b->k, 1},
            {"self_attn.v_proj", &a->v, &b->v, 1},
            {"self_attn.o_proj", &a->o, &b->o, 1},
            {"mlp.gate_proj", &a->gate, &b->gate, !a->sparse},
            {"mlp.up_proj", &a->up, &b->up, !a->sparse},
            {"mlp.down_proj", &a->down, &b->down, !a->sparse},
            {"mlp.gate", &a->router, &b->router, a->sparse},
            {"mlp.switch_mlp.gate_proj", a->e_gate, b->e_gate, a->sparse ? hp->n_experts : 0},
            {"mlp.switch_mlp.up_proj", a->e_up, b->e_up, a->sparse ? hp->n_experts : 0},
            {"mlp.switch_mlp.down_proj", a->e_down, b->e_down, a->sparse ? hp->n_experts : 0},
        };
        for (size_t k = 0; k < sizeof modules / sizeof *modules && rc == AUK_OK; k++)
            if (modules[k].n > 0)
                rc = add_module(out, w, i, modules[k].name, modules[k].a, modules[k].b,
                                modules[k].n, err);
        auk_model_drop_layer(c->a.m, i);
        auk_model_drop_layer(c->b.m, i);
    }
    return rc;
}

static int compare_weights(auk_compare_result *out, comparison *c, auk_err *err)
{
    auk_work w;

    int rc = auk_work_init(&w, &c->kernel, c->pool, c->a.m->max_cols, 0, err);
    if (rc == AUK_OK)
        rc = compare_modules(out, c, &w, err);
    auk_work_release(&w);
    return rc;
}

int auk_compare(auk_compare_result *out, const char *a, const char *b,
                const auk_compare_options *opts, auk_err *err)
{
    comparison c = {.opts = opts};

    *out = (auk_compare_result){0};
    int rc = setup(&c, a, b, err);
    if (rc == AUK_OK && !c.ref_reads)
        rc = all_layers(&c, &c.a, err);
    if (rc == AUK_OK)
        rc = all_layers(&c, &c.b, err);
    if (rc == AUK_OK)
        rc = score_all(&c, err);
    if (rc == AUK_OK && c.ref != NULL && !c.ref_reads) {
        rc = auk_ref_finish(c.ref, err);
        c.ref = NULL;
    }
    if (rc == AUK_OK && opts->per_token != NULL)
        rc = write_tokens(&c, err);
    if (rc == AUK_OK) {
        summarize(out, &c);
        out->bytes_a = c.a.m->weight_bytes;
        out->bytes_b = c.b.m->weight_bytes;
    }
    if (rc == AUK_OK && opts->tensors)
        rc = compare_weights(out, &c, err);
    auk_ref_close(c.ref);
    close_side(&c.a);
    close_side(&c.b);
    auk_pool_free(c.pool);
    free(c.s.kl);
    free(c.s.nll_a);
    free(c.s.nll_b);
    free(c.s.diff);
    if (rc < 0) {
        free(out->tensors);
        *out = (auk_compare_result){0};
    }
    return rc;
}
