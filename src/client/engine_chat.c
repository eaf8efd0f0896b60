/* SPDX-License-Identifier: Apache-2.0 */
/* A chat with the engine in this process. */
#include "client/backend.h"

#include "base/mem.h"
#include "base/time.h"

typedef struct engine_chat {
    auk_turn *t;
    auk_client *c;
    auk_generate_result result; /* owned */
} engine_chat;

static json_t *make_request(const auk_chat *chat)
{
    json_t *o = json_object();
    bool no_tools = chat->tool_choice != NULL && strcmp(chat->tool_choice, "none") == 0;

    json_object_set_new(o, "messages", json_deep_copy(chat->messages));
    if (json_array_size(chat->tools) > 0 && !no_tools)
        json_object_set_new(o, "tools", json_deep_copy(chat->tools));
    if (chat->response_format != NULL)
        json_object_set_new(o, "response_format", json_deep_copy(chat->response_format));
    if (chat->thinking != AUK_THINK_DEFAULT)
        json_object_set_new(o, "reasoning", json_boolean(chat->thinking == AUK_THINK_ON));
    return o;
}

/* Asked before each token, and now and then while the prompt is read: the only place where the
 * moment of every token is known. */
static bool on_token(void *ctx)
{
    engine_chat *e = ctx;
    const auk_chat *chat = e->t->chat;

    if (atomic_load(&e->c->cancelled) || (chat->cancelled != NULL && chat->cancelled(chat->ctx)))
        return true;
    if (e->result.prefill_ns > 0) { /* the prompt is read */
        e->t->now_ns = auk_now_ns();
        if (e->t->r->first_ns == 0)
            e->t->r->first_ns = e->t->now_ns;
        auk_turn_tick(e->t);
    }
    return false;
}

/* Past a limit the turn remembers it; auk_turn_end reports. */
static void on_event(void *ctx, const auk_parser_event *event)
{
    engine_chat *e = ctx;
    auk_err unread;
    int rc = AUK_OK;

    e->t->now_ns = auk_now_ns();
    if (event->kind == AUK_EVENT_THINKING) {
        rc = auk_turn_thinking(e->t, event->text, &unread);
    } else if (event->kind == AUK_EVENT_TEXT) {
        rc = auk_turn_literal(e->t, event->text, &unread);
    } else if (event->kind == AUK_EVENT_MALFORMED) {
        e->t->r->malformed_action = true;
    } else {
        auk_buf text = AUK_BUF_INIT(AUK_MAX_CALL * 8);
        auk_json_print(&text, event->call->arguments, (auk_json_style){0});
        rc = auk_turn_call(e->t, event->call->id, event->call->name, event->call->arguments,
                           auk_buf_str(&text), &unread);
        auk_buf_release(&text);
    }
    if (rc < 0)
        atomic_store(&e->c->cancelled, true);
}

static int64_t reasoning_tokens(const auk_ids *ids, const auk_tokenizer *tok, bool thinking)
{
    int32_t close = auk_tokenizer_id(tok, "<|END_THINKING|>");
    size_t n = 0;

    if (!thinking)
        return 0;
    while (n < ids->n && ids->p[n] != close)
        n++;
    return (int64_t)n;
}

static void take_result(engine_chat *e, const auk_tokenizer *tok, bool thinking)
{
    const auk_generate_result *g = &e->result;
    auk_reply *r = e->t->r;
    static const auk_chat_finish finishes[] = {AUK_CHAT_STOP, AUK_CHAT_LENGTH, AUK_CHAT_LOOP,
                                               AUK_CHAT_CANCELLED};

    auk_turn_finish(e->t, finishes[g->finish], auk_str_of(auk_finish_name(g->finish)));
    r->prompt_tok = (int64_t)g->prompt_tokens;
    r->cached_tok = (int64_t)g->cached_tokens;
    r->completion_tok = (int64_t)g->completion_tokens;
    r->reasoning_tok = reasoning_tokens(&g->ids, tok, thinking);
    r->prefill_ns = (int64_t)g->prefill_ns;
    r->decode_ns = (int64_t)g->decode_ns;
    r->total_ns = r->prefill_ns + r->decode_ns;
    auk_buf_clear(&r->thinking);
    auk_buf_clear(&r->text);
    auk_buf_add(&r->thinking, g->parsed.thinking.p, g->parsed.thinking.n);
    auk_buf_add(&r->text, g->parsed.text.p, g->parsed.text.n);
    r->malformed_action = r->malformed_action || g->parsed.outcome == AUK_OUTCOME_MALFORMED_ACTION;
}

static int generate(engine_chat *e, const json_t *request, auk_err *err)
{
    const auk_chat *chat = e->t->chat;
    const auk_tokenizer *tok;
    bool thinking = auk_request_reasoning(request);
    auk_ids ids = {0};
    auk_sample_options sample = auk_sample_defaults();

    if (chat->temperature >= 0)
        sample.temperature = (float)chat->temperature;
    if (chat->top_p >= 0)
        sample.top_p = (float)chat->top_p;
    sample.top_k = chat->top_k;
    sample.seed = chat->seed >= 0 ? (uint64_t)chat->seed : auk_now_ns();
    auk_generate_options opts = {.sample = sample,
                                 .max_tokens = chat->max_tokens,
                                 .reasoning = thinking,
                                 .loop_guard = chat->loop_guard,
                                 .cancelled = on_token,
                                 .event = on_event,
                                 .ctx = e};
    int rc = auk_engine_tokenizer(&tok, e->c->engine, err);
    if (rc == AUK_OK)
        rc = auk_render_ids(&ids, tok, request, err);
    if (rc == AUK_OK) {
        e->t->r->sent_ns = auk_now_ns();
        auk_turn_start(e->t, e->t->r->sent_ns);
        rc = auk_generate(&e->result, e->c->engine, e->c->session, ids.p, ids.n, &opts, err);
        if (rc == AUK_ELIMIT)
            e->t->r->failure.kind = AUK_FAILURE_CONTEXT;
    }
    if (rc == AUK_OK)
        take_result(e, tok, thinking);
    auk_ids_release(&ids);
    return rc;
}

int auk_engine_chat(auk_turn *t, auk_client *c, auk_err *err)
{
    engine_chat e = {.t = t, .c = c};
    json_t *request = make_request(t->chat);
    int rc = AUK_OK;

    if (t->chat->tool_choice != NULL && strcmp(t->chat->tool_choice, "required") == 0)
        rc = auk_fail(err, AUK_ENOTSUP, "this engine cannot force a tool call");
    if (rc == AUK_OK)
        rc = auk_request_prepare(request, err);
    if (rc == AUK_OK)
        rc = generate(&e, request, err);
    if (rc == AUK_OK && t->r->failure.kind == AUK_FAILURE_LIMIT)
        rc = auk_fail(err, AUK_ELIMIT, "the answer is larger than %zu bytes", t->max_bytes);
    else if (rc == AUK_OK && t->r->finish == AUK_CHAT_CANCELLED)
        rc = auk_fail(err, AUK_ECANCEL, "stopped");
    if (rc < 0 && t->r->failure.kind == AUK_FAILURE_NONE)
        t->r->failure.kind = rc == AUK_ECANCEL                       ? AUK_FAILURE_CANCELLED
                             : rc == AUK_EINVAL || rc == AUK_EFORMAT ? AUK_FAILURE_REQUEST
                                                                     : AUK_FAILURE_LOCAL;
    auk_generate_release(&e.result);
    json_decref(request);
    return rc;
}
