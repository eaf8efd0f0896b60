/* SPDX-License-Identifier: Apache-2.0 */
/* client_replay.h - what the fuzz targets of the wire formats share: a server's bytes read whole or
 * cut anywhere, and checked against the events they gave. */
#ifndef AUK_TESTS_CLIENT_REPLAY_H
#define AUK_TESTS_CLIENT_REPLAY_H

#include "base/rng.h"
#include "client/wire.h"

#undef NDEBUG
#include <assert.h>

#define MAX_ANSWER ((size_t)1 << 20)

typedef struct tally {
    size_t ticks, calls, ends;
} tally;

static void on_event(void *ctx, const auk_chat_event *e)
{
    tally *t = ctx;

    t->ticks += e->kind == AUK_CHAT_TICK;
    t->calls += e->kind == AUK_CHAT_CALL;
    t->ends += e->kind == AUK_CHAT_END;
    assert(e->kind != AUK_CHAT_CALL || e->call != NULL);
}

static int feed(auk_reading *r, const uint8_t *data, size_t n, auk_rng *rng, auk_err *err)
{
    int rc = AUK_OK;

    while (n > 0 && rc == AUK_OK) {
        size_t part = rng != NULL ? auk_rng_below(rng, n < 24 ? n : 24) + 1 : n;
        char *copy = malloc(part);
        assert(copy != NULL);
        memcpy(copy, data, part);
        rc = auk_reading_feed(r, (auk_str){copy, part}, 1, err);
        free(copy);
        data += part;
        n -= part;
    }
    return rc;
}

/* Everything of the reply but its clocks, as text. */
static void print(auk_buf *out, const auk_reply *r, int rc)
{
    auk_buf_printf(out, "%d %d %d %s %d|", rc < 0, r->finish, r->failure.kind, r->finish_said,
                   r->malformed_action);
    auk_buf_add(out, r->thinking.p, r->thinking.n);
    auk_buf_putc(out, '|');
    auk_buf_add(out, r->text.p, r->text.n);
    for (size_t i = 0; i < r->n_calls; i++)
        auk_buf_printf(out, "|%s %s %s %d", r->calls[i].id, r->calls[i].name, r->calls[i].text,
                       r->calls[i].arguments != NULL);
    auk_buf_printf(out, "|%lld %lld %lld", (long long)r->prompt_tok, (long long)r->cached_tok,
                   (long long)r->completion_tok);
}

static void read_all(auk_buf *out, const auk_wire *wire, bool whole, const uint8_t *data, size_t n,
                     auk_rng *rng)
{
    tally seen = {0};
    auk_chat chat = {.event = on_event, .ctx = &seen};
    auk_reply r;
    auk_turn t;
    auk_reading reading;
    auk_err err = {0}, late = {0};

    auk_turn_init(&t, &r, &chat, MAX_ANSWER);
    auk_reading_init(&reading, &t, wire);
    reading.is_whole = whole;
    int rc = feed(&reading, data, n, rng, &err);
    if (rc == AUK_OK)
        rc = auk_reading_finish(&reading, &err);
    assert((rc < 0) == (err.msg[0] != 0));
    assert((rc < 0) == (r.failure.kind != AUK_FAILURE_NONE) || r.failure.kind == AUK_FAILURE_LIMIT);
    if (auk_turn_end(&t, rc < 0, &late) < 0)
        rc = -1;
    assert(seen.ends == 1 && seen.calls == r.n_calls && seen.ticks == r.n_ticks);
    assert(rc < 0 || r.finish != AUK_CHAT_NONE || t.terminal);
    print(out, &r, rc);
    auk_reading_release(&reading);
    auk_turn_release(&t);
    auk_reply_release(&r);
}

#endif
