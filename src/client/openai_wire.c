/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's chat completions, as llama-server, vLLM, mlx_lm.server and others speak it. */
#include "client/wire.h"

static int make_request(json_t **out, const char *model, int ctx, const auk_chat *chat,
                        auk_err *err)
{
    json_t *o = json_pack("{s:s, s:O, s:b, s:{s:b}}", "model", model, "messages", chat->messages,
                          "stream", 1, "stream_options", "include_usage", 1);

    (void)ctx;
    *out = o;
    if (o == NULL)
        return auk_fail(err, AUK_EINVAL, "the model's name or the messages are not UTF-8");
    if (json_array_size(chat->tools) > 0)
        json_object_set(o, "tools", (json_t *)(uintptr_t)chat->tools);
    if (chat->tool_choice != NULL)
        json_object_set_new(o, "tool_choice", json_string(chat->tool_choice));
    if (chat->response_format != NULL)
        json_object_set(o, "response_format", (json_t *)(uintptr_t)chat->response_format);
    if (chat->max_tokens > 0)
        json_object_set_new(o, "max_tokens", json_integer(chat->max_tokens));
    if (chat->seed >= 0)
        json_object_set_new(o, "seed", json_integer(chat->seed));
    auk_wire_sampling(o, chat);
    if (chat->thinking != AUK_THINK_DEFAULT) {
        bool on = chat->thinking == AUK_THINK_ON;
        json_object_set_new(o, "chat_template_kwargs",
                            json_pack("{s:b, s:b}", "enable_thinking", on, "reasoning", on));
    }
    return AUK_OK;
}

static int read_calls(auk_turn *t, const json_t *list, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(list) && rc == AUK_OK; i++) {
        const json_t *call = json_array_get(list, i);
        const json_t *function = json_object_get(call, "function");
        const json_t *args = json_object_get(function, "arguments");
        int64_t index = auk_wire_int(call, "index");
        auk_buf text = AUK_BUF_INIT(AUK_MAX_CALL);
        if (json_is_object(args))
            auk_json_print(&text, args, (auk_json_style){0});
        else
            auk_buf_add(&text, json_string_value(args), json_string_length(args));
        rc = auk_turn_fragment(t, index >= 0 ? (size_t)index : i, auk_wire_str(call, "id"),
                               auk_wire_str(function, "name"), auk_buf_str(&text), err);
        auk_buf_release(&text);
    }
    return rc;
}

static int read_delta(auk_turn *t, const json_t *delta, auk_err *err)
{
    const json_t *content = json_object_get(delta, "content");
    const json_t *calls = json_object_get(delta, "tool_calls");
    auk_str thinking = auk_wire_reasoning(delta), text = auk_json_str(content);
    json_t *flat = json_is_array(content) ? auk_wire_flat(content) : NULL;

    if (flat != NULL)
        text = auk_json_str(flat);
    if (thinking.n > 0 || text.n > 0 || json_array_size(calls) > 0)
        auk_turn_tick(t);
    int rc = auk_turn_thinking(t, thinking, err);
    if (rc == AUK_OK)
        rc = auk_turn_text(t, text, err);
    if (rc == AUK_OK)
        rc = read_calls(t, calls, err);
    json_decref(flat);
    return rc;
}

static int read_finish(auk_turn *t, const json_t *choice, auk_err *err)
{
    static const struct {
        const char *said;
        auk_chat_finish finish;
    } table[] = {
        {"stop", AUK_CHAT_STOP},           {"length", AUK_CHAT_LENGTH},
        {"tool_calls", AUK_CHAT_TOOLS},    {"function_call", AUK_CHAT_TOOLS},
        {"repetition", AUK_CHAT_LOOP},     {"content_filter", AUK_CHAT_FILTER},
        {"cancelled", AUK_CHAT_CANCELLED}, {"abort", AUK_CHAT_CANCELLED},
    };
    auk_str said = auk_wire_str(choice, "finish_reason");
    auk_str detail = auk_wire_str(json_object_get(choice, "finish_details"), "type");
    auk_chat_finish finish = AUK_CHAT_STOP;

    if (said.p == NULL)
        return AUK_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (auk_str_is(said, table[i].said))
            finish = table[i].finish;
    if (auk_str_is(detail, "repetition_guard"))
        finish = AUK_CHAT_LOOP;
    auk_turn_finish(t, finish, said);
    return auk_turn_close_fragments(t, err);
}

static void put(int64_t *field, int64_t value)
{
    if (value >= 0)
        *field = value;
}

static void read_counters(auk_turn *t, const json_t *v)
{
    const json_t *usage = json_object_get(v, "usage"), *timings = json_object_get(v, "timings");
    auk_reply *r = t->r;

    put(&r->prompt_tok, auk_wire_int(usage, "prompt_tokens"));
    put(&r->completion_tok, auk_wire_int(usage, "completion_tokens"));
    put(&r->cached_tok,
        auk_wire_int(json_object_get(usage, "prompt_tokens_details"), "cached_tokens"));
    put(&r->reasoning_tok,
        auk_wire_int(json_object_get(usage, "completion_tokens_details"), "reasoning_tokens"));
    int64_t cached = auk_wire_int(timings, "cache_n"), fed = auk_wire_int(timings, "prompt_n");
    put(&r->cached_tok, cached);
    if (r->prompt_tok < 0 && fed >= 0)
        r->prompt_tok = fed + (cached > 0 ? cached : 0);
    if (r->completion_tok < 0 || usage == NULL)
        put(&r->completion_tok, auk_wire_int(timings, "predicted_n"));
    put(&r->prefill_ns, auk_wire_ms(timings, "prompt_ms"));
    put(&r->decode_ns, auk_wire_ms(timings, "predicted_ms"));
}

static int read_event(auk_turn *t, const json_t *v, auk_err *err)
{
    const json_t *choices = json_object_get(v, "choices"), *error = json_object_get(v, "error");
    const json_t *choice = json_array_get(choices, 0);
    const json_t *message = json_object_get(choice, "message");
    int rc = AUK_OK;

    if (error != NULL && !json_is_null(error))
        return auk_wire_error(t, v, err);
    if (choices == NULL && json_object_get(v, "usage") == NULL)
        return AUK_OK; /* progress of the prompt, keep-alive objects */
    if (choices != NULL && !json_is_array(choices))
        return auk_fail(err, AUK_EFORMAT, "'choices' is not a list in the server's stream");
    rc = read_delta(t, json_is_object(message) ? message : json_object_get(choice, "delta"), err);
    if (rc == AUK_OK)
        rc = read_finish(t, choice, err);
    read_counters(t, v);
    return rc;
}

const auk_wire auk_wire_openai = {
    .name = "openai", .path = "/chat/completions", .request = make_request, .read = read_event};
