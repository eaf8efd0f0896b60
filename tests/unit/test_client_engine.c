/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MODEL AUK_SOURCE_DIR "/data/miniature"

static auk_err err;

typedef struct log {
    size_t text, thinking, ticks, starts, ends, stop_after;
} log_of;

static void on_event(void *ctx, const auk_chat_event *e)
{
    log_of *l = ctx;

    l->text += e->kind == AUK_CHAT_TEXT ? e->text.n : 0;
    l->thinking += e->kind == AUK_CHAT_THINKING ? e->text.n : 0;
    l->ticks += e->kind == AUK_CHAT_TICK;
    l->starts += e->kind == AUK_CHAT_START;
    l->ends += e->kind == AUK_CHAT_END;
}

static bool on_wait(void *ctx)
{
    log_of *l = ctx;
    return l->stop_after > 0 && l->ticks >= l->stop_after;
}

static int ask(auk_reply *r, auk_client *c, log_of *l, const char *text, int max_tokens)
{
    auk_chat chat = auk_chat_defaults();
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", text);

    chat.messages = messages;
    chat.temperature = 0;
    chat.max_tokens = max_tokens;
    chat.event = on_event;
    chat.cancelled = on_wait;
    chat.ctx = l;
    int rc = auk_client_chat(r, c, &chat, &err);
    json_decref(messages);
    return rc;
}

static void our_engine_answers_like_a_server(void **state)
{
    auk_client_options o = auk_client_defaults();
    auk_client *c, *second;
    auk_client_info info;
    auk_reply a, b;
    log_of l = {0};

    (void)state;
    o.ctx = 1024;
    assert_int_equal(auk_client_open(&c, MODEL, &o, &err), AUK_OK);
    assert_int_equal(auk_client_describe(&info, c, &err), AUK_OK);
    assert_string_equal(info.dialect, "engine");
    assert_int_equal(info.context_tok, 1024);
    assert_true(info.counts_tokens && info.load_ns > 0);
    assert_int_equal(ask(&a, c, &l, "Write a function that adds two numbers.", 64), AUK_OK);
    assert_true(a.completion_tok > 0 && a.prompt_tok > 0);
    assert_int_equal(a.n_ticks, a.completion_tok);
    assert_int_equal(l.ticks, a.n_ticks);
    assert_int_equal(l.starts, 1);
    assert_int_equal(l.ends, 1);
    assert_true(l.text + l.thinking > 0);
    assert_true(a.finish == AUK_CHAT_STOP || a.finish == AUK_CHAT_LENGTH);
    assert_true(a.begun_ns <= a.sent_ns && a.sent_ns <= a.first_ns && a.first_ns <= a.last_tick_ns);
    assert_true(a.last_tick_ns <= a.end_ns);
    assert_int_equal(a.cached_tok, 0);

    assert_int_equal(auk_client_clone(&second, c, &err), AUK_OK);
    l = (log_of){0};
    assert_int_equal(ask(&b, second, &l, "Write a function that adds two numbers.", 64), AUK_OK);
    assert_int_equal(a.text.n, b.text.n);
    assert_memory_equal(a.text.p, b.text.p, a.text.n);
    auk_reply_release(&b);
    auk_client_close(second);

    assert_int_equal(ask(&b, c, &l, "Write a function that adds two numbers.", 64), AUK_OK);
    assert_int_equal(a.text.n, b.text.n); /* whatever was cached */
    auk_reply_release(&b);
    assert_int_equal(auk_client_unload(c, &err), AUK_OK);
    assert_int_equal(ask(&b, c, &l, "Write a function that adds two numbers.", 64), AUK_OK);
    assert_int_equal(b.cached_tok, 0);
    auk_reply_release(&b);
    auk_reply_release(&a);
    auk_client_close(c);
}

static void our_engine_can_be_stopped(void **state)
{
    auk_client_options o = auk_client_defaults();
    log_of l = {.stop_after = 3};
    auk_client *c;
    auk_reply r;

    (void)state;
    o.ctx = 512;
    assert_int_equal(auk_client_open(&c, MODEL, &o, &err), AUK_OK);
    assert_int_equal(ask(&r, c, &l, "Write a function that adds two numbers.", 64), AUK_ECANCEL);
    assert_int_equal(r.finish, AUK_CHAT_CANCELLED);
    assert_int_equal(r.failure.kind, AUK_FAILURE_CANCELLED);
    assert_int_equal(r.n_ticks, 3);
    auk_reply_release(&r);
    auk_client_cancel(c);
    assert_int_equal(ask(&r, c, &l, "hi", 64), AUK_ECANCEL);
    auk_reply_release(&r);
    l.stop_after = 0;
    assert_int_equal(ask(&r, c, &l, "hi", 2), AUK_OK);
    auk_reply_release(&r);
    auk_client_close(c);
}

static void a_prompt_that_does_not_fit_is_a_class_of_its_own(void **state)
{
    auk_client_options o = auk_client_defaults();
    log_of l = {0};
    auk_client *c;
    auk_reply r;

    (void)state;
    o.ctx = 16;
    assert_int_equal(auk_client_open(&c, MODEL, &o, &err), AUK_OK);
    assert_int_equal(ask(&r, c, &l, "one two three four five six seven", 4), AUK_ELIMIT);
    assert_int_equal(r.failure.kind, AUK_FAILURE_CONTEXT);
    auk_reply_release(&r);
    auk_client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_engine_answers_like_a_server),
        cmocka_unit_test(our_engine_can_be_stopped),
        cmocka_unit_test(a_prompt_that_does_not_fit_is_a_class_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
