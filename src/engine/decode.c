/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "base/limits.h"
#include "base/mem.h"

struct auk_decode {
    auk_engine *e;
    auk_decode_options opts;
    const auk_tokenizer *tok;
    auk_sampler *sampler; /* owned */
    auk_parser *parser;   /* owned; NULL when raw */
    auk_buf raw;          /* owned; the text when raw */
    auk_decoder decoder;
    auk_buf piece; /* owned */
    auk_loop_guard guard;
    auk_ids ids; /* owned */
    size_t thinking_tokens;
    int32_t close, start_action, end_action;
    bool thinking, in_action, in_fence, close_now, done;
    auk_finish finish;
    int ticks; /* of the run of backticks that text ends in */
    int loop_period, forced_closes;
};

static void on_event(void *ctx, const auk_parser_event *event)
{
    auk_decode *d = ctx;

    for (size_t i = 0; event->kind == AUK_EVENT_TEXT && i < event->text.n; i++) {
        d->ticks = event->text.p[i] == '`' ? d->ticks + 1 : 0;
        if (d->ticks == 3)
            d->in_fence = !d->in_fence;
    }
    if (d->opts.event != NULL)
        d->opts.event(d->opts.ctx, event);
}

int auk_decode_new(auk_decode **out, auk_engine *e, const auk_decode_options *opts, auk_err *err)
{
    auk_decode *d = auk_alloc(sizeof *d);

    *out = NULL;
    d->e = e;
    d->opts = *opts;
    d->piece = AUK_BUF_INIT(1 << 20);
    d->raw = AUK_BUF_INIT(AUK_MAX_TEXT);
    int rc = auk_engine_tokenizer(&d->tok, e, err);
    if (rc == AUK_OK)
        rc = auk_sampler_new(&d->sampler, auk_engine_vocab(e), &opts->sample, err);
    if (rc == AUK_OK) {
        d->thinking = opts->reasoning && !opts->raw;
        d->close = auk_tokenizer_id(d->tok, "<|END_THINKING|>");
        d->start_action = auk_tokenizer_id(d->tok, "<|START_ACTION|>");
        d->end_action = auk_tokenizer_id(d->tok, "<|END_ACTION|>");
        auk_decoder_init(&d->decoder, d->tok, opts->raw);
        auk_loop_guard_init(&d->guard);
        d->parser = opts->raw ? NULL : auk_parser_new(opts->reasoning, on_event, d);
        *out = d;
        d = NULL;
    }
    auk_decode_free(d);
    return rc;
}

void auk_decode_free(auk_decode *d)
{
    if (d == NULL)
        return;
    auk_sampler_free(d->sampler);
    auk_parser_free(d->parser);
    auk_buf_release(&d->piece);
    auk_buf_release(&d->raw);
    auk_ids_release(&d->ids);
    free(d);
}

static int put(auk_decode *d, auk_err *err)
{
    auk_str text = auk_buf_str(&d->piece);

    if (d->parser != NULL)
        return auk_parser_feed(d->parser, text, err);
    auk_buf_add(&d->raw, text.p, text.n);
    if (text.n > 0)
        on_event(d, &(auk_parser_event){AUK_EVENT_TEXT, text, NULL});
    return AUK_OK;
}

static int take(auk_decode *d, int32_t id, auk_err *err)
{
    int rc = auk_ids_add(&d->ids, id, err);

    if (rc < 0)
        return rc;
    d->thinking_tokens += d->thinking;
    if (id == d->close)
        d->thinking = false;
    d->in_action = id == d->start_action || (d->in_action && id != d->end_action);
    if (d->opts.constraint != NULL)
        d->opts.constraint->accept(d->opts.constraint->ctx, id);
    auk_buf_clear(&d->piece);
    auk_decoder_add(&d->decoder, &d->piece, id);
    return put(d, err);
}

static void end(auk_decode *d, auk_finish finish)
{
    d->done = true;
    d->finish = finish;
}

/* A first loop in thinking is closed: true, and the closing id is the next one. */
static bool close_loop(auk_decode *d)
{
    if (!d->thinking || d->forced_closes > 0 || d->close < 0)
        return false;
    d->forced_closes++;
    auk_loop_guard_init(&d->guard);
    return true;
}

int auk_decode_next(int32_t *id, auk_decode *d, float *logits, auk_err *err)
{
    bool over = d->opts.max_thinking > 0 && d->thinking_tokens >= d->opts.max_thinking;

    if (d->thinking && d->close >= 0 && (d->close_now || over)) {
        *id = d->close;
    } else {
        const auk_constraint *c = d->opts.constraint;
        *id = auk_sampler_pick(d->sampler, auk_engine_kernel(d->e), logits);
        if (c != NULL && !c->allows(c->ctx, *id)) { /* the same odds as masking first */
            c->mask(c->ctx, logits);
            *id = auk_sampler_pick(d->sampler, auk_engine_kernel(d->e), logits);
        }
    }
    d->close_now = false;
    if (d->opts.loop_guard && !auk_engine_is_end(d->e, *id)) {
        int period = auk_loop_guard_add(&d->guard, *id, d->in_action || d->in_fence);
        if (period > 0) {
            d->loop_period = period;
            if (!close_loop(d)) {
                end(d, AUK_FINISH_LOOP);
                return AUK_OK;
            }
            *id = d->close;
        }
    }
    return auk_decode_follow(d, *id, err);
}

int auk_decode_follow(auk_decode *d, int32_t id, auk_err *err)
{
    int rc = take(d, id, err);

    if (rc < 0)
        return rc;
    if (auk_engine_is_end(d->e, id))
        end(d, AUK_FINISH_STOP);
    else if (d->ids.n >= d->opts.max_tokens)
        end(d, AUK_FINISH_LENGTH);
    return AUK_OK;
}

void auk_decode_end_thinking(auk_decode *d)
{
    d->close_now = true;
}

bool auk_decode_done(const auk_decode *d)
{
    return d->done;
}

auk_finish auk_decode_finish(const auk_decode *d)
{
    return d->finish;
}

int auk_decode_loop_period(const auk_decode *d)
{
    return d->loop_period;
}

size_t auk_decode_tokens(const auk_decode *d)
{
    return d->ids.n;
}

size_t auk_decode_thinking_tokens(const auk_decode *d)
{
    return d->thinking_tokens;
}

const int32_t *auk_decode_ids(const auk_decode *d)
{
    return d->ids.p;
}

int auk_decode_end(auk_parsed *out, auk_decode *d, auk_err *err)
{
    auk_buf_clear(&d->piece);
    auk_decoder_finish(&d->decoder, &d->piece);
    int rc = put(d, err);
    if (rc < 0)
        return rc;
    if (d->parser != NULL)
        return auk_parser_finish(out, d->parser, err);
    *out = (auk_parsed){.text = auk_buf_str(&d->raw)};
    return AUK_OK;
}
