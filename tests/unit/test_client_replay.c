/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "base/time.h"
#include "client/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test_net_double.h"

static auk_err err;

typedef struct log {
    auk_buf text, thinking;
    int starts, ticks, calls, usages, ends, moved;
    uint64_t last_ns;
    bool ordered;
    int cancel_at; /* ticks after which to stop; 0: never */
} log_of;

static void on_event(void *ctx, const auk_chat_event *e)
{
    log_of *l = ctx;

    l->ordered = l->ordered && e->t_ns >= l->last_ns;
    l->last_ns = e->t_ns;
    l->starts += e->kind == AUK_CHAT_START;
    l->ticks += e->kind == AUK_CHAT_TICK;
    l->calls += e->kind == AUK_CHAT_CALL;
    l->usages += e->kind == AUK_CHAT_USAGE;
    l->ends += e->kind == AUK_CHAT_END;
    if (e->kind == AUK_CHAT_TEXT)
        auk_buf_add(&l->text, e->text.p, e->text.n);
    if (e->kind == AUK_CHAT_THINKING)
        auk_buf_add(&l->thinking, e->text.p, e->text.n);
    if (e->kind == AUK_CHAT_WAS_THINKING) {
        l->moved++;
        auk_buf_add(&l->thinking, l->text.p, l->text.n);
        auk_buf_clear(&l->text);
    }
}

static bool on_wait(void *ctx)
{
    log_of *l = ctx;
    return l->cancel_at > 0 && l->ticks >= l->cancel_at;
}

static void reset(log_of *l)
{
    auk_buf_release(&l->text);
    auk_buf_release(&l->thinking);
    *l =
        (log_of){.text = AUK_BUF_INIT(1 << 20), .thinking = AUK_BUF_INIT(1 << 20), .ordered = true};
}

static log_of seen;
static server srv;

/* One chat with a server of that dialect that gives these answers. */
static int chat_with(auk_reply *r, const char *dialect, const answer *answers, uint64_t idle_ms,
                     int tries)
{
    auk_client_options o = auk_client_defaults();
    auk_chat chat = auk_chat_defaults();
    auk_retry retry = auk_retry_defaults();
    auk_client *c;
    char url[128];
    int cancel_at = seen.cancel_at;

    reset(&seen);
    seen.cancel_at = cancel_at;
    server_start(&srv, answers);
    snprintf(url, sizeof url, "%s:http://127.0.0.1:%d%s", dialect, srv.port,
             strcmp(dialect, "ollama") == 0 ? "/m:1" : "/v1/m");
    o.api_key = "secret";
    o.limits.idle_ms = idle_ms;
    o.limits.first_ms = 2000;
    assert_int_equal(auk_client_open(&c, url, &o, &err), AUK_OK);
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "hi");
    chat.messages = messages;
    chat.event = on_event;
    chat.cancelled = on_wait;
    chat.ctx = &seen;
    retry.tries = tries;
    retry.base_ms = 10;
    int rc = auk_client_chat_retry(r, c, &chat, &retry, &err);
    json_decref(messages);
    auk_client_close(c);
    server_stop(&srv);
    return rc;
}

/* The events and the reply agree, whatever the size of the pieces. */
static void replays(const char *dialect, const char *name, int want_rc, auk_reply *out)
{
    static const size_t pieces[] = {0, 1, 7, 100, 1000};
    size_t n;
    char *bytes = recording(name, &n), *first = NULL;

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        answer a[] = {{.bytes = bytes, .n = n, .piece = pieces[i]}, {0}};
        auk_reply r;
        int rc = chat_with(&r, dialect, a, 2000, 1);
        assert_int_equal(rc, want_rc);
        assert_true(seen.ordered);
        assert_int_equal(seen.ends, 1);
        assert_int_equal(seen.ticks, r.n_ticks);
        assert_int_equal(seen.calls, r.n_calls);
        assert_int_equal(seen.text.n, r.text.n);
        if (first == NULL)
            first = auk_strndup(r.text.p != NULL ? r.text.p : "", r.text.n);
        assert_string_equal(r.text.p != NULL ? r.text.p : "", first);
        if (i + 1 < sizeof pieces / sizeof *pieces)
            auk_reply_release(&r);
        else
            *out = r;
    }
    free(first);
    free(bytes);
}

static void an_openai_stream_is_read(void **state)
{
    auk_reply r;

    (void)state;
    replays("openai", "06-chat-stream-usage", AUK_OK, &r);
    assert_int_equal(r.finish, AUK_CHAT_LENGTH);
    assert_int_equal(r.prompt_tok, 117);
    assert_int_equal(r.cached_tok, 116);
    assert_int_equal(r.completion_tok, 24);
    assert_int_equal(r.n_ticks, 24);
    assert_int_equal(r.prefill_ns, 11232000);
    assert_int_equal(r.decode_ns, 257009000);
    assert_int_equal(seen.usages, 1);
    assert_true(r.begun_ns < r.sent_ns && r.sent_ns < r.accepted_ns);
    assert_true(r.accepted_ns <= r.first_text_ns && r.first_text_ns < r.last_tick_ns);
    assert_non_null(strstr(srv.request, "Authorization: Bearer secret\r\n"));
    auk_reply_release(&r);
    replays("openai", "05-chat-stream", AUK_OK, &r);
    assert_int_equal(r.n_ticks, 48);
    assert_true(auk_str_starts(auk_buf_str(&r.text), "\nYour code should pass"));
    auk_reply_release(&r);
}

static void an_answer_that_is_not_streamed_is_read(void **state)
{
    auk_reply r;

    (void)state;
    replays("openai", "04-chat", AUK_OK, &r);
    assert_int_equal(r.completion_tok, 48);
    assert_int_equal(r.finish, AUK_CHAT_LENGTH);
    assert_int_equal(r.decode_ns, 508676000);
    auk_reply_release(&r);
    replays("anthropic", "19-messages", AUK_OK, &r);
    assert_true(r.text.n > 0);
    auk_reply_release(&r);
    replays("openai", "07-tools-required", AUK_OK, &r);
    auk_reply_release(&r);
}

static void tool_calls_arrive_whole(void **state)
{
    auk_reply r;

    (void)state;
    replays("openai", "08-tools-required-stream", AUK_OK, &r);
    assert_true(r.text.n > 0); /* content, although the call was forced */
    assert_int_equal(r.n_calls, 1);
    assert_true(r.calls[0].name[0] != 0 && r.calls[0].id[0] != 0);
    assert_true(json_is_object(r.calls[0].arguments));
    json_t *m = auk_reply_message(&r);
    assert_int_equal(json_array_size(json_object_get(m, "tool_calls")), 1);
    json_decref(m);
    auk_reply_release(&r);
}

static void an_anthropic_stream_is_read(void **state)
{
    auk_reply r;

    (void)state;
    replays("anthropic", "20-messages-stream", AUK_OK, &r);
    assert_int_equal(r.finish, AUK_CHAT_LENGTH);
    assert_string_equal(r.finish_said, "max_tokens");
    assert_int_equal(r.prompt_tok, 106);
    assert_int_equal(r.cached_tok, 105);
    assert_int_equal(r.completion_tok, 16);
    assert_string_equal(r.text.p, "\nCutting Knowledge Date: 2023-12-2");
    assert_non_null(strstr(srv.request, "x-api-key: secret\r\n"));
    assert_non_null(strstr(srv.request, "anthropic-version: "));
    auk_reply_release(&r);
}

static void refusals_are_told_apart(void **state)
{
    auk_reply r;

    (void)state;
    replays("openai", "15-context-overflow-stream", AUK_ELIMIT, &r);
    assert_int_equal(r.failure.kind, AUK_FAILURE_CONTEXT);
    assert_false(r.failure.passes);
    assert_non_null(strstr(err.msg, "12104 tokens"));
    auk_reply_release(&r);
    replays("openai", "12-bad-json", AUK_EIO, &r);
    assert_int_equal(r.failure.kind, AUK_FAILURE_SERVER);
    assert_true(r.failure.passes);
    auk_reply_release(&r);
    replays("openai", "17-not-found", AUK_ENOTFOUND, &r);
    assert_int_equal(r.failure.kind, AUK_FAILURE_NOT_FOUND);
    assert_false(r.failure.passes);
    auk_reply_release(&r);
    replays("openai", "27-unparsable-output-stream", AUK_EIO, &r);
    assert_int_equal(r.failure.kind, AUK_FAILURE_IN_STREAM);
    assert_int_equal(r.failure.status, 500);
    assert_true(r.failure.passes);
    auk_reply_release(&r);
}

#define NDJSON "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
#define SSE "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

static void ollama_is_read(void **state)
{
    static const char stream[] = NDJSON
        "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}"
        "\r\n{\"message\":{\"content\":\"a\\u00e9\"},\"done\":false}\n\n"
        "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":"
        "{\"b\":1,\"a\":[2]}}}]},\"done\":false}\n"
        "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":"
        "9,"
        "\"load_duration\":1,\"prompt_eval_count\":26,\"prompt_eval_duration\":3,\"eval_count\":7,"
        "\"eval_duration\":4}\n";
    const answer a[] = {{.bytes = stream, .piece = 5}, {0}};
    auk_reply r;

    (void)state;
    assert_int_equal(chat_with(&r, "ollama", a, 2000, 1), AUK_OK);
    assert_string_equal(r.thinking.p, "hm");
    assert_string_equal(r.text.p, "a\xc3\xa9");
    assert_int_equal(r.finish, AUK_CHAT_TOOLS);
    assert_string_equal(r.calls[0].id, "call_0");
    assert_string_equal(r.calls[0].text, "{\"b\": 1, \"a\": [2]}");
    assert_int_equal(r.prompt_tok, 26);
    assert_int_equal(r.load_ns, 1);
    assert_non_null(strstr(srv.request, "POST /api/chat "));
    assert_non_null(strstr(srv.request, "\"model\": \"m:1\""));
    auk_reply_release(&r);
}

/* One content chunk per element of `parts`, as OpenAI sends it. */
static int reads(auk_reply *r, const char *const *parts)
{
    auk_buf s = AUK_BUF_INIT(1 << 16);

    auk_buf_puts(&s, SSE);
    for (; *parts != NULL; parts++) {
        auk_buf_puts(&s, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":");
        auk_json_print_string(&s, auk_str_of(*parts), false);
        auk_buf_puts(&s, "}}]}\n\n");
    }
    auk_buf_puts(&s, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                     "data: [DONE]\n\n");
    const answer a[] = {{.bytes = s.p, .n = s.n}, {0}};
    int rc = chat_with(r, "openai", a, 2000, 1);
    auk_buf_release(&s);
    return rc;
}

static void raw_markers_are_understood(void **state)
{
    auk_reply r;

    (void)state;
    const char *whole[] = {"<|START_THIN", "KING|>hm<|END_THINKING|><|START_TEXT|>yes ",
                           "no<|END_TEXT|>", NULL};
    assert_int_equal(reads(&r, whole), AUK_OK);
    assert_string_equal(r.thinking.p, "hm");
    assert_string_equal(r.text.p, "yes no");
    assert_true(r.was_markup);
    auk_reply_release(&r);

    const char *lone[] = {"let me see",
                          "<|END_THINKING|>",
                          "<|START_ACTION|>[{\"tool_call_id\": ",
                          "\"0\", \"tool_name\": \"f\", \"parameters\": {\"x\": 1}}]",
                          "<|END_ACTION|>",
                          NULL};
    assert_int_equal(reads(&r, lone), AUK_OK);
    assert_string_equal(r.thinking.p, "let me see");
    assert_int_equal(r.text.n, 0);
    assert_int_equal(seen.moved, 1);
    assert_int_equal(r.n_calls, 1);
    assert_string_equal(r.calls[0].name, "f");
    assert_int_equal(r.finish, AUK_CHAT_TOOLS);
    assert_true(r.first_thinking_ns > 0 && r.first_text_ns == 0);
    auk_reply_release(&r);
}

static void think_tags_are_understood(void **state)
{
    auk_reply r;

    (void)state;
    const char *pair[] = {"\n<th", "ink>a < b", "</thi", "nk>\n\nyes <think> no", NULL};
    assert_int_equal(reads(&r, pair), AUK_OK);
    assert_string_equal(r.thinking.p, "a < b");
    assert_string_equal(r.text.p, "\nyes <think> no");
    auk_reply_release(&r);
    const char *lone[] = {"hm", "</think>", "yes", NULL};
    assert_int_equal(reads(&r, lone), AUK_OK);
    assert_string_equal(r.thinking.p, "hm");
    assert_string_equal(r.text.p, "yes");
    auk_reply_release(&r);
    const char *plain[] = {"if a <", "| b: <| <|START", " ", NULL};
    assert_int_equal(reads(&r, plain), AUK_OK);
    assert_string_equal(r.text.p, "if a <| b: <| <|START ");
    assert_false(r.was_markup);
    auk_reply_release(&r);
}

static void broken_streams_are_errors_of_their_own(void **state)
{
    static const char part[] = "data: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n";
    char stream[512];
    auk_reply r;

    (void)state;
    snprintf(stream, sizeof stream, "%s%sdata: {\"cho", SSE, part);
    const answer torn[] = {{.bytes = stream}, {0}};
    assert_int_equal(chat_with(&r, "openai", torn, 2000, 1), AUK_EIO);
    assert_int_equal(r.failure.kind, AUK_FAILURE_UNFINISHED);
    assert_string_equal(r.text.p, "abc");
    assert_int_equal(r.finish, AUK_CHAT_NONE);
    auk_reply_release(&r);

    char bad[512];
    snprintf(bad, sizeof bad, "%s%sdata: {nonsense}\n\n", SSE, part);
    const answer malformed[] = {{.bytes = bad}, {0}};
    assert_int_equal(chat_with(&r, "openai", malformed, 2000, 1), AUK_EFORMAT);
    assert_int_equal(r.failure.kind, AUK_FAILURE_MALFORMED);
    auk_reply_release(&r);

    size_t n;
    char *bytes = recording("05-chat-stream", &n);
    const answer cut[] = {{.bytes = bytes, .n = n, .cut = 2000}, {0}};
    assert_int_equal(chat_with(&r, "openai", cut, 2000, 1), AUK_EIO);
    assert_int_equal(r.failure.kind, AUK_FAILURE_CUT);
    assert_true(r.text.n > 0);
    auk_reply_release(&r);

    const answer stalls[] = {{.bytes = bytes, .n = n, .piece = 2000, .pause_ms = 600}, {0}};
    uint64_t t0 = auk_now_ns();
    assert_int_equal(chat_with(&r, "openai", stalls, 200, 1), AUK_ELIMIT);
    assert_int_equal(r.failure.kind, AUK_FAILURE_TIMEOUT);
    assert_true(auk_now_ns() - t0 < 2000000000u);
    auk_reply_release(&r);
    free(bytes);
}

static void what_passes_is_tried_again(void **state)
{
    static const char busy[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\n"
                               "Content-Length: 29\r\nConnection: close\r\n\r\n"
                               "{\"error\":{\"message\":\"later\"}}";
    static const char later[] = "HTTP/1.1 503 No\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n";
    size_t n;
    char *bytes = recording("06-chat-stream-usage", &n);
    auk_reply r;

    (void)state;
    const answer good[] = {{.bytes = busy}, {.bytes = busy}, {.bytes = bytes, .n = n}, {0}};
    assert_int_equal(chat_with(&r, "openai", good, 2000, 3), AUK_OK);
    assert_int_equal(r.attempts, 3);
    auk_reply_release(&r);
    const answer always[] = {{.bytes = busy}, {0}};
    assert_int_equal(chat_with(&r, "openai", always, 2000, 3), AUK_EIO);
    assert_int_equal(r.failure.kind, AUK_FAILURE_BUSY);
    assert_int_equal(atomic_load(&srv.n_requests), 3);
    auk_reply_release(&r);
    const answer never[] = {{.bytes = later}, {0}};
    assert_int_equal(chat_with(&r, "openai", never, 2000, 3), AUK_EIO);
    assert_int_equal(atomic_load(&srv.n_requests), 1); /* nobody waits 1,000 s */
    auk_reply_release(&r);
    const answer half[] = {{.bytes = bytes, .n = n, .cut = 3000}, {.bytes = bytes, .n = n}, {0}};
    assert_int_equal(chat_with(&r, "openai", half, 2000, 3), AUK_EIO);
    assert_int_equal(atomic_load(&srv.n_requests), 1); /* output had come */
    auk_reply_release(&r);
    free(bytes);
}

static void a_chat_can_be_left(void **state)
{
    size_t n;
    char *bytes = recording("05-chat-stream", &n);
    const answer slow[] = {{.bytes = bytes, .n = n, .piece = 250, .pause_ms = 20}, {0}};
    auk_reply r;

    (void)state;
    seen.cancel_at = 5;
    uint64_t t0 = auk_now_ns();
    assert_int_equal(chat_with(&r, "openai", slow, 2000, 3), AUK_ECANCEL);
    seen.cancel_at = 0;
    assert_int_equal(r.finish, AUK_CHAT_CANCELLED);
    assert_int_equal(r.failure.kind, AUK_FAILURE_CANCELLED);
    assert_true(auk_now_ns() - t0 < 1500000000u);
    assert_true(r.text.n > 0);
    assert_int_equal(atomic_load(&srv.gone), 1);
    auk_reply_release(&r);
    free(bytes);
}

static void nobody_there_is_said(void **state)
{
    auk_client_options o = auk_client_defaults();
    auk_chat chat = auk_chat_defaults();
    auk_client *c;
    auk_reply r;

    (void)state;
    json_t *messages = json_array();
    chat.messages = messages;
    assert_int_equal(auk_client_open(&c, "openai:http://127.0.0.1:1/v1/m", &o, &err), AUK_OK);
    assert_int_equal(auk_client_chat(&r, c, &chat, &err), AUK_EIO);
    assert_int_equal(r.failure.kind, AUK_FAILURE_CONNECT);
    assert_true(r.failure.passes);
    auk_reply_release(&r);
    auk_client_close(c);
    json_decref(messages);
    assert_int_equal(auk_client_open(&c, "openai:nonsense", &o, &err), AUK_EINVAL);
    assert_int_equal(auk_client_open(&c, "no/such/folder", &o, &err), AUK_ENOTFOUND);
    assert_null(c);
}

static void a_plain_url_is_probed(void **state)
{
    size_t n_props, n_models, n_chat;
    char *props = recording("03-props", &n_props), *models = recording("01-models", &n_models);
    char *stream = recording("06-chat-stream-usage", &n_chat);
    const answer a[] = {{.bytes = props, .n = n_props},   {.bytes = models, .n = n_models},
                        {.bytes = models, .n = n_models}, {.bytes = props, .n = n_props},
                        {.bytes = stream, .n = n_chat},   {0}};
    auk_client_options o = auk_client_defaults();
    auk_chat chat = auk_chat_defaults();
    auk_client_info info;
    auk_client *c;
    auk_reply r;
    char url[64];

    (void)state;
    server_start(&srv, a);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", srv.port);
    assert_int_equal(auk_client_open(&c, url, &o, &err), AUK_OK);
    assert_int_equal(auk_client_describe(&info, c, &err), AUK_OK);
    assert_string_equal(info.dialect, "openai");
    assert_string_equal(info.model, "smollm2-135m");
    assert_string_equal(info.server, "llama.cpp b1-0c1e570");
    assert_int_equal(info.context_tok, 4096);
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "hi");
    chat.messages = messages;
    assert_int_equal(auk_client_chat(&r, c, &chat, &err), AUK_OK);
    assert_non_null(strstr(srv.request, "POST /v1/chat/completions "));
    auk_reply_release(&r);
    json_decref(messages);
    auk_client_close(c);
    server_stop(&srv);
    free(props);
    free(models);
    free(stream);
}

static void stamps_are_those_of_arrival(void **state)
{
    auk_buf s = AUK_BUF_INIT(1 << 20);
    auk_reply r;

    (void)state;
    auk_buf_puts(&s, SSE);
    size_t head = s.n;
    for (int i = 0; i < 20; i++)
        auk_buf_printf(&s, "data: {\"choices\":[{\"delta\":{\"content\":\"w%02d \"}}]}\n\n", i);
    size_t piece = (s.n - head) / 20;
    auk_buf_puts(&s, "data: {\"choices\":[{\"finish_reason\":\"stop\",\"delta\":{}}]}\n\n");
    const answer a[] = {{.bytes = s.p + 0, .n = s.n, .piece = piece, .pause_ms = 10}, {0}};
    assert_int_equal(chat_with(&r, "openai", a, 2000, 1), AUK_OK);
    assert_int_equal(r.n_ticks, 20);
    uint64_t span = r.last_tick_ns - r.first_text_ns;
    assert_true(span > 180000000u && span < 800000000u);
    auk_reply_release(&r);
    auk_buf_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_openai_stream_is_read),
        cmocka_unit_test(an_answer_that_is_not_streamed_is_read),
        cmocka_unit_test(tool_calls_arrive_whole),
        cmocka_unit_test(an_anthropic_stream_is_read),
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(ollama_is_read),
        cmocka_unit_test(raw_markers_are_understood),
        cmocka_unit_test(think_tags_are_understood),
        cmocka_unit_test(broken_streams_are_errors_of_their_own),
        cmocka_unit_test(what_passes_is_tried_again),
        cmocka_unit_test(a_chat_can_be_left),
        cmocka_unit_test(nobody_there_is_said),
        cmocka_unit_test(a_plain_url_is_probed),
        cmocka_unit_test(stamps_are_those_of_arrival),
    };

    reset(&seen);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
