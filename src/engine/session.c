/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/session.h"

#include "base/mem.h"
#include "base/time.h"

#define MAX_ROWS 256 /* rows of one pass: enough to use each dequantized weight many times */
#define HEAD_ROWS 32 /* rows of logits at a time: 32 MB at a vocabulary of 262,144 */

static int open_kernel(auk_engine *e, const auk_engine_options *opts, auk_err *err)
{
    unsigned flags = opts->cpu_flags;
    const char *forced = getenv("AUK_CPU");
    int rc = flags == 0 ? auk_cpu_default(&flags, err) : AUK_OK;

    if (rc < 0)
        return rc;
    if (opts->cpu_flags == 0 && (forced == NULL || *forced == 0))
        flags = auk_kernel_choose(flags);
    auk_kernel_init(&e->kernel, flags);
    e->precision = opts->precision;
    e->pool = auk_pool_new(opts->threads);
    return AUK_OK;
}

static int open_parts(auk_engine *e, const char *dir, const auk_engine_options *opts, auk_err *err)
{
    e->dir = auk_strndup(dir, strlen(dir));
    int rc = open_kernel(e, opts, err);
    if (rc == AUK_OK)
        rc = auk_model_open(&e->model, dir, err);
    if (rc == AUK_OK && e->precision == AUK_PRECISION_BF16)
        rc = auk_model_pack(e->model, e->pool, opts->progress, opts->progress_ctx, err);
    return rc;
}

static int open_synthetic(auk_engine *e, const char *kind, int layers,
                          const auk_engine_options *opts, auk_err *err)
{
    e->dir = auk_strndup(kind, strlen(kind));
    int rc = open_kernel(e, opts, err);
    if (rc == AUK_OK && e->precision != AUK_PRECISION_BF16)
        rc = auk_fail(err, AUK_EINVAL, "a synthetic model has panels only: bf16 precision");
    if (rc == AUK_OK)
        rc = auk_model_synthetic_shapes(&e->model, kind, layers, err);
    if (rc == AUK_OK)
        rc = auk_model_synthetic_fill(e->model, e->pool, opts->progress, opts->progress_ctx, err);
    return rc;
}

int auk_engine_open(auk_engine **out, const char *dir, const auk_engine_options *opts, auk_err *err)
{
    auk_engine *e = auk_alloc(sizeof *e);
    int rc = open_parts(e, dir, opts, err);

    *out = rc == AUK_OK ? e : NULL;
    if (rc < 0)
        auk_engine_close(e);
    return rc;
}

int auk_engine_open_synthetic(auk_engine **out, const char *kind, int layers,
                              const auk_engine_options *opts, auk_err *err)
{
    auk_engine *e = auk_alloc(sizeof *e);
    int rc = open_synthetic(e, kind, layers, opts, err);

    *out = rc == AUK_OK ? e : NULL;
    if (rc < 0)
        auk_engine_close(e);
    return rc;
}

void auk_engine_close(auk_engine *e)
{
    if (e == NULL)
        return;
    auk_tokenizer_close(e->tokenizer);
    auk_model_close(e->model);
    auk_pool_free(e->pool);
    free(e->dir);
    free(e);
}

int auk_engine_vocab(const auk_engine *e)
{
    return e->model->hp.vocab;
}

int auk_engine_max_context(const auk_engine *e)
{
    return e->model->hp.max_context;
}

const auk_model *auk_engine_model(const auk_engine *e)
{
    return e->model;
}

const auk_kernel *auk_engine_kernel(const auk_engine *e)
{
    return &e->kernel;
}

auk_pool *auk_engine_pool(const auk_engine *e)
{
    return e->pool;
}

int auk_engine_tokenizer(const auk_tokenizer **out, auk_engine *e, auk_err *err)
{
    int rc = e->tokenizer == NULL ? auk_tokenizer_open(&e->tokenizer, e->dir, err) : AUK_OK;

    *out = e->tokenizer;
    if (rc == AUK_OK && auk_tokenizer_vocab(e->tokenizer) > e->model->hp.vocab)
        return auk_fail(err, AUK_EFORMAT,
                        "'%s': tokenizer.json has %d ids, the model's embedding only %d rows",
                        e->dir, auk_tokenizer_vocab(e->tokenizer), e->model->hp.vocab);
    return rc;
}

bool auk_engine_is_end(auk_engine *e, int32_t id)
{
    const auk_hparams *hp = &e->model->hp;

    for (int i = 0; i < hp->n_eos; i++)
        if (hp->eos[i] == id)
            return true;
    return e->tokenizer != NULL && id == auk_tokenizer_id(e->tokenizer, "<|END_OF_TURN_TOKEN|>");
}

uint64_t auk_session_kv_bytes(const auk_engine *e, int ctx)
{
    return auk_kv_bytes(&e->model->hp, ctx, e->precision);
}

uint64_t auk_session_bytes(const auk_engine *e, int ctx)
{
    const auk_hparams *hp = &e->model->hp;
    uint64_t rows = MAX_ROWS * (uint64_t)hp->hidden + HEAD_ROWS * (uint64_t)hp->vocab;

    return auk_session_kv_bytes(e, ctx) + rows * sizeof(float) +
           auk_forward_bytes(hp, e->model->max_cols, auk_pool_threads(e->pool), MAX_ROWS, ctx);
}

static int session_init(auk_session *s, int ctx, auk_err *err)
{
    auk_engine *e = s->engine;
    const auk_hparams *hp = &e->model->hp;

    if (ctx < 1 || ctx > hp->max_context)
        return auk_fail(err, AUK_EINVAL, "a context of %d is not within this model's 1 to %d", ctx,
                        hp->max_context);
    s->ctx = ctx;
    int rc = auk_forward_new(&s->forward, e->model, &e->kernel, e->pool, e->precision, MAX_ROWS,
                             ctx, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->kv, (size_t)hp->n_layers, sizeof *s->kv, err);
    for (int i = 0; i < hp->n_layers && rc == AUK_OK; i++)
        rc = auk_kv_layer_init(&s->kv[i], hp, i, ctx, e->precision, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->h, MAX_ROWS * (size_t)hp->hidden, sizeof *s->h, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->logits, HEAD_ROWS * (size_t)hp->vocab, sizeof *s->logits, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->ids, (size_t)ctx, sizeof *s->ids, err);
    return rc;
}

int auk_session_new(auk_session **out, auk_engine *e, int ctx, auk_err *err)
{
    auk_session *s = auk_alloc(sizeof *s);

    *out = NULL;
    s->engine = e;
    auk_session_speculate(s, true);
    int rc = session_init(s, ctx, err);
    if (rc == AUK_OK) {
        *out = s;
        s = NULL;
    }
    auk_session_free(s);
    return rc;
}

void auk_session_free(auk_session *s)
{
    if (s == NULL)
        return;
    for (int i = 0; s->kv != NULL && i < s->engine->model->hp.n_layers; i++)
        auk_kv_layer_release(&s->kv[i]);
    free(s->kv);
    free(s->h);
    free(s->logits);
    free(s->ids);
    free(s->draft);
    free(s->ahead_logits);
    auk_forward_free(s->forward);
    free(s);
}

int auk_session_length(const auk_session *s)
{
    return s->n;
}

/* What was computed ahead is no longer what follows. */
static void forget_guess(auk_session *s)
{
    s->n_guess = s->used = 0;
    if (s->draft != NULL)
        auk_draft_cut(s->draft, s->n);
}

void auk_session_clear(auk_session *s)
{
    s->n = 0;
    forget_guess(s);
}

void auk_session_speculate(auk_session *s, bool on)
{
    bool can = s->engine->precision == AUK_PRECISION_BF16; /* whose rings have room to step back */

    forget_guess(s);
    if (on && can && s->draft == NULL) {
        s->draft = auk_alloc(sizeof *s->draft);
        auk_draft_init(s->draft);
    } else if (!on) {
        free(s->draft);
        s->draft = NULL;
    }
}

auk_speculation auk_session_speculation(const auk_session *s)
{
    static const int rows[] = {1, 2, 4, 8, 13};
    auk_speculation out = {0};

    if (s->draft == NULL)
        return out;
    out.guessed = s->draft->guessed;
    out.accepted = s->draft->accepted;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (s->draft->row_ns[1] > 0)
            out.cost[i] = s->draft->row_ns[rows[i]] / s->draft->row_ns[1];
    return out;
}

void auk_session_rewind(auk_session *s, int n)
{
    s->n = n < s->n ? n : s->n;
    forget_guess(s);
}

int auk_session_pretend(auk_session *s, int n, auk_err *err)
{
    if (n < 0 || n > s->ctx)
        return auk_fail(err, AUK_EINVAL, "%d positions do not fit a context of %d", n, s->ctx);
    for (int i = 0; i < s->engine->model->hp.n_layers; i++)
        auk_kv_layer_draw(&s->kv[i]);
    memset(s->ids, 0, (size_t)n * sizeof *s->ids);
    s->n = n;
    forget_guess(s);
    return AUK_OK;
}

static int check_ids(const auk_session *s, const int32_t *ids, size_t n, auk_err *err)
{
    int vocab = s->engine->model->hp.vocab;

    if (n > (size_t)(s->ctx - s->n))
        return auk_fail(err, AUK_ELIMIT,
                        "%zu tokens after %d do not fit a context of %d: raise --ctx or shorten "
                        "the input",
                        n, s->n, s->ctx);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return auk_fail(err, AUK_EINVAL, "token id %d is not within [0, %d)", (int)ids[i],
                            vocab);
    return AUK_OK;
}

/* One pass of n <= MAX_ROWS rows through all layers; s->h holds the last layer's output. */
static void pass(auk_session *s, const int32_t *ids, size_t n, const auk_tap *tap)
{
    auk_forward_embed(s->forward, s->h, ids, n);
    if (tap != NULL && tap->hidden != NULL)
        tap->hidden(tap->ctx, -1, s->h, n);
    for (int i = 0; i < s->engine->model->hp.n_layers; i++)
        auk_forward_layer(s->forward, i, &s->kv[i], s->h, s->n, n, tap);
    memcpy(s->ids + s->n, ids, n * sizeof *ids);
    s->n += (int)n;
}

/* Guesses that were not used up are judged and forgotten. */
static void end_guess(auk_session *s)
{
    if (s->n_guess > 0)
        auk_draft_learn(s->draft, s->n_guess, s->used);
    s->n_guess = s->used = 0;
}

/* One token whose logits are wanted, and what may follow it in the same pass. */
static int feed_one(auk_session *s, int32_t id, float *logits, auk_err *err)
{
    size_t vocab = (size_t)s->engine->model->hp.vocab;
    int32_t ids[AUK_DRAFT_MAX + 1] = {id};

    if (s->used < s->n_guess && s->guess[s->used] == id) {
        s->used++;
        s->ids[s->n++] = id;
        memcpy(logits, s->ahead_logits + (size_t)s->used * vocab, vocab * sizeof *logits);
        return AUK_OK;
    }
    end_guess(s);
    s->ids[s->n] = id;
    int max = s->ctx - s->n - 1;
    int n = auk_draft_guess(s->draft, s->guess, s->ids, s->n + 1,
                            max < AUK_DRAFT_MAX ? max : AUK_DRAFT_MAX);
    if (n > 0 && s->ahead_logits == NULL) {
        int rc = auk_try_alloc(&s->ahead_logits, (AUK_DRAFT_MAX + 1) * vocab,
                               sizeof *s->ahead_logits, err);
        if (rc < 0)
            return rc;
    }
    memcpy(ids + 1, s->guess, (size_t)n * sizeof *ids);
    uint64_t t0 = auk_now_ns();
    pass(s, ids, (size_t)n + 1, NULL);
    auk_forward_logits(s->forward, n > 0 ? s->ahead_logits : logits, s->h, (size_t)n + 1);
    auk_draft_took(s->draft, n + 1, auk_now_ns() - t0);
    s->n -= n;
    s->n_guess = n;
    if (n > 0)
        memcpy(logits, s->ahead_logits, vocab * sizeof *logits);
    return AUK_OK;
}

int auk_session_feed(auk_session *s, const int32_t *ids, size_t n, float *logits, auk_err *err)
{
    size_t hidden = (size_t)s->engine->model->hp.hidden;

    int rc = check_ids(s, ids, n, err);
    if (rc < 0)
        return rc;
    if (n == 1 && logits != NULL && s->draft != NULL)
        return feed_one(s, ids[0], logits, err);
    forget_guess(s);
    for (size_t at = 0; at < n; at += MAX_ROWS) {
        size_t rows = n - at < MAX_ROWS ? n - at : MAX_ROWS;
        pass(s, ids + at, rows, NULL);
        if (logits != NULL && at + rows == n)
            auk_forward_logits(s->forward, logits, s->h + (rows - 1) * hidden, 1);
    }
    return AUK_OK;
}

int auk_session_feed_all(auk_session *s, const int32_t *ids, size_t n, const auk_tap *tap,
                         auk_rows_fn *rows, void *ctx, auk_err *err)
{
    size_t hidden = (size_t)s->engine->model->hp.hidden;

    int rc = check_ids(s, ids, n, err);
    forget_guess(s);
    for (size_t at = 0; at < n && rc == AUK_OK; at += MAX_ROWS) {
        size_t m = n - at < MAX_ROWS ? n - at : MAX_ROWS;
        pass(s, ids + at, m, tap);
        for (size_t i = 0; i < m && rc == AUK_OK; i += HEAD_ROWS) {
            size_t k = m - i < HEAD_ROWS ? m - i : HEAD_ROWS;
            auk_forward_logits(s->forward, s->logits, s->h + i * hidden, k);
            rc = rows(ctx, at + i, s->logits, k, err);
        }
    }
    return rc;
}

size_t auk_session_reuse(auk_session *s, const int32_t *prompt, size_t n)
{
    size_t same = 0;

    while (same < n && same < (size_t)s->n && s->ids[same] == prompt[same])
        same++;
    if (same == n && same > 0)
        same--; /* the last token is fed again: its logits are needed */
    if (same < (size_t)s->n) {
        const auk_hparams *hp = &s->engine->model->hp;
        /* A ring that has turned over holds its newest cap positions: the next query's window must
         * be among them. */
        for (int i = 0; i < hp->n_layers; i++) {
            size_t held = (size_t)(s->n + s->n_guess - s->used), cap = s->kv[i].cap,
                   window = (size_t)hp->window;
            size_t first = same + 1 > window ? same + 1 - window : 0;
            if (hp->sliding[i] && held > cap && first < held - cap)
                same = 0;
        }
        s->n = (int)same;
        forget_guess(s);
    }
    return same;
}
