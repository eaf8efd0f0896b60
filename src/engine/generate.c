/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/session.h"

#include "base/mem.h"
#include "base/time.h"

const char *auk_finish_name(auk_finish f)
{
    static const char *const names[] = {"stop", "length", "repetition_guard", "cancelled"};
    return names[f];
}

/* One generation in progress. */
typedef struct generation {
    auk_generate_result *r;
    auk_engine *e;
    auk_session *s;
    const auk_generate_options *opts;
    const auk_tokenizer *tok;
    auk_sampler *sampler; /* owned */
    float *logits;        /* owned */
    auk_decoder decoder;
    auk_buf piece; /* owned */
    auk_loop_guard guard;
    bool thinking, in_action, in_fence;
    uint64_t began_ns;
    int ticks; /* of the run of backticks that text ends in */
} generation;

static void watch_fence(generation *g, auk_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        g->ticks = text.p[i] == '`' ? g->ticks + 1 : 0;
        if (g->ticks == 3)
            g->in_fence = !g->in_fence;
    }
}

static void on_event(void *ctx, const auk_parser_event *event)
{
    generation *g = ctx;

    if (event->kind == AUK_EVENT_TEXT)
        watch_fence(g, event->text);
    if (g->opts->event != NULL)
        g->opts->event(g->opts->ctx, event);
}

static int check_room(const generation *g, size_t n, auk_err *err)
{
    if (n == 0)
        return auk_fail(err, AUK_EINVAL, "the prompt is empty");
    if (n >= (size_t)g->s->ctx)
        return auk_fail(err, AUK_ELIMIT,
                        "the prompt has %zu tokens and the context %d: nothing is cut silently; "
                        "raise --ctx (up to %d) or shorten the prompt",
                        n, g->s->ctx, g->e->model->hp.max_context);
    return AUK_OK;
}

static int start(generation *g, const int32_t *prompt, size_t n, auk_err *err)
{
    g->began_ns = auk_now_ns();
    int rc = check_room(g, n, err);
    if (rc == AUK_OK)
        rc = auk_engine_tokenizer(&g->tok, g->e, err);
    if (rc == AUK_OK)
        rc = auk_sampler_new(&g->sampler, auk_engine_vocab(g->e), &g->opts->sample, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&g->logits, (size_t)auk_engine_vocab(g->e), sizeof *g->logits, err);
    if (rc == AUK_OK)
        rc = auk_ids_reserve(&g->r->ids, (size_t)g->s->ctx - n + 1, err);
    if (rc < 0)
        return rc;
    g->thinking = g->opts->reasoning;
    auk_decoder_init(&g->decoder, g->tok, false);
    auk_loop_guard_init(&g->guard);
    g->r->parser = auk_parser_new(g->opts->reasoning, on_event, g);
    g->r->prompt_tokens = n;
    g->r->cached_tokens = auk_session_reuse(g->s, prompt, n);
    size_t from = g->r->cached_tokens;
    /* in pieces, so that a long prompt can be stopped */
    for (size_t at = from; at < n && rc == AUK_OK; at += 256) {
        size_t m = n - at < 256 ? n - at : 256;
        if (g->opts->cancelled != NULL && g->opts->cancelled(g->opts->ctx))
            return auk_fail(err, AUK_ECANCEL, "stopped while reading the prompt");
        rc = auk_session_feed(g->s, prompt + at, m, at + m == n ? g->logits : NULL, err);
    }
    g->r->prefill_ns = auk_now_ns() - g->began_ns;
    return rc;
}

/* Tells the parser what was written, and keeps the guard's idea of where we are. */
static int take(generation *g, int32_t id, auk_err *err)
{
    int rc = auk_ids_add(&g->r->ids, id, err);
    auk_str name = auk_tokenizer_piece(g->tok, id);

    if (rc < 0)
        return rc;
    if (auk_tokenizer_is_control(g->tok, id)) {
        if (auk_str_is(name, "<|END_THINKING|>"))
            g->thinking = false;
        g->in_action = auk_str_is(name, "<|START_ACTION|>") ||
                       (g->in_action && !auk_str_is(name, "<|END_ACTION|>"));
    }
    auk_buf_clear(&g->piece);
    auk_decoder_add(&g->decoder, &g->piece, id);
    return auk_parser_feed(g->r->parser, auk_buf_str(&g->piece), err);
}

/* Answers a tripped guard: a first loop in thinking is closed and *id becomes the closing token;
 * otherwise generation ends. */
static bool end_of_loop(generation *g, int period, int32_t *id)
{
    int32_t close = auk_tokenizer_id(g->tok, "<|END_THINKING|>");

    g->r->loop_period = period;
    if (!g->thinking || g->r->forced_closes > 0 || close < 0) {
        g->r->finish = AUK_FINISH_LOOP;
        return true;
    }
    g->r->forced_closes++;
    auk_loop_guard_init(&g->guard);
    if (g->opts->forced != NULL)
        g->opts->forced(g->opts->ctx, period);
    *id = close;
    return false;
}

static int decode(generation *g, auk_err *err)
{
    size_t room = (size_t)g->s->ctx - (size_t)g->s->n;
    size_t limit = g->opts->max_tokens > 0 && (size_t)g->opts->max_tokens < room
                       ? (size_t)g->opts->max_tokens
                       : room;
    int rc = AUK_OK;

    g->r->finish = AUK_FINISH_LENGTH;
    while (rc == AUK_OK && g->r->ids.n < limit) {
        if (g->opts->cancelled != NULL && g->opts->cancelled(g->opts->ctx)) {
            g->r->finish = AUK_FINISH_CANCEL;
            break;
        }
        int32_t id = auk_sampler_pick(g->sampler, &g->e->kernel, g->logits);
        if (g->r->ids.n == 0)
            g->r->first_token_ns = auk_now_ns() - g->began_ns;
        int period = g->opts->loop_guard && !auk_engine_is_end(g->e, id)
                         ? auk_loop_guard_add(&g->guard, id, g->in_action || g->in_fence)
                         : 0;
        if (period > 0 && end_of_loop(g, period, &id))
            break;
        rc = take(g, id, err);
        if (rc == AUK_OK && auk_engine_is_end(g->e, id)) {
            g->r->finish = AUK_FINISH_STOP;
            break;
        }
        if (rc == AUK_OK && g->r->ids.n < limit)
            rc = auk_session_feed(g->s, &id, 1, g->logits, err);
    }
    return rc;
}

int auk_generate(auk_generate_result *out, auk_engine *e, auk_session *s, const int32_t *prompt,
                 size_t n, const auk_generate_options *opts, auk_err *err)
{
    generation g = {.r = out, .e = e, .s = s, .opts = opts, .piece = AUK_BUF_INIT(1 << 20)};

    *out = (auk_generate_result){0};
    int rc = start(&g, prompt, n, err);
    uint64_t t0 = auk_now_ns();
    if (rc == AUK_OK)
        rc = decode(&g, err);
    if (rc == AUK_OK) {
        out->decode_ns = auk_now_ns() - t0;
        out->completion_tokens = out->ids.n;
        auk_buf_clear(&g.piece);
        auk_decoder_finish(&g.decoder, &g.piece);
        rc = auk_parser_feed(out->parser, auk_buf_str(&g.piece), err);
    }
    if (rc == AUK_OK)
        rc = auk_parser_finish(&out->parsed, out->parser, err);
    auk_sampler_free(g.sampler);
    free(g.logits);
    auk_buf_release(&g.piece);
    if (rc < 0)
        auk_generate_release(out);
    return rc;
}

void auk_generate_release(auk_generate_result *r)
{
    auk_ids_release(&r->ids);
    auk_parser_free(r->parser);
    *r = (auk_generate_result){0};
}
