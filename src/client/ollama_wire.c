/* SPDX-License-Identifier: Apache-2.0 */
/* Ollama's own /api/chat: one JSON object a line, metrics in nanoseconds on the last. */
#include "client/wire.h"

/* The name of the function that a result answers: Ollama matches by name. */
static auk_str name_of_call(const json_t *messages, size_t before, auk_str id)
{
    for (size_t i = before; i-- > 0;) {
        const json_t *calls = json_object_get(json_array_get(messages, i), "tool_calls");
        for (size_t k = 0; k < json_array_size(calls); k++) {
            const json_t *call = json_array_get(calls, k);
            if (auk_str_eq(auk_wire_str(call, "id"), id))
                return auk_wire_str(json_object_get(call, "function"), "name");
        }
    }
    return (auk_str){NULL, 0};
}

static json_t *text_or_null(auk_str s)
{
    return s.p != NULL ? json_stringn(s.p, s.n) : NULL;
}

static json_t *make_message(const json_t *messages, size_t at)
{
    const json_t *m = json_array_get(messages, at), *calls = json_object_get(m, "tool_calls");
    json_t *o = json_object(), *list = json_array();
    auk_str id = auk_wire_str(m, "tool_call_id"), name = auk_wire_str(m, "name");

    auk_wire_set(o, "role", text_or_null(auk_wire_str(m, "role")));
    auk_wire_set(o, "content", auk_wire_flat(json_object_get(m, "content")));
    auk_wire_set(o, "thinking", text_or_null(auk_wire_reasoning(m)));
    if (auk_str_is(auk_wire_str(m, "role"), "tool")) {
        if (name.p == NULL)
            name = name_of_call(messages, at, id);
        auk_wire_set(o, "tool_name", text_or_null(name));
        auk_wire_set(o, "tool_call_id", text_or_null(id));
    }
    for (size_t k = 0; k < json_array_size(calls); k++) {
        const json_t *call = json_array_get(calls, k);
        json_t *made = json_object(), *function = json_object();
        auk_wire_set(made, "id", text_or_null(auk_wire_str(call, "id")));
        auk_wire_set(function, "name",
                     text_or_null(auk_wire_str(json_object_get(call, "function"), "name")));
        auk_wire_set(function, "arguments", auk_wire_arguments(call));
        json_object_set_new(made, "function", function);
        json_array_append_new(list, made);
    }
    if (json_array_size(list) > 0)
        json_object_set(o, "tool_calls", list);
    json_decref(list);
    return o;
}

/* OpenAI's response_format as Ollama's format. */
static json_t *make_format(const json_t *f)
{
    auk_str type = auk_wire_str(f, "type");
    json_t *schema = json_object_get(json_object_get(f, "json_schema"), "schema");

    if (json_is_object(schema))
        return json_incref(schema);
    return auk_str_is(type, "json_object") ? json_string("json") : NULL;
}

static int make_request(json_t **out, const char *model, int ctx, const auk_chat *chat,
                        auk_err *err)
{
    json_t *o = json_pack("{s:s, s:b}", "model", model, "stream", 1);
    json_t *messages = json_array(), *options = json_object();

    *out = o;
    for (size_t i = 0; i < json_array_size(chat->messages); i++)
        json_array_append_new(messages, make_message(chat->messages, i));
    json_object_set_new(o, "messages", messages);
    if (json_array_size(chat->tools) > 0 &&
        (chat->tool_choice == NULL || strcmp(chat->tool_choice, "none") != 0))
        json_object_set(o, "tools", (json_t *)(uintptr_t)chat->tools);
    auk_wire_set(o, "format", make_format(chat->response_format));
    if (chat->thinking != AUK_THINK_DEFAULT)
        json_object_set_new(o, "think", json_boolean(chat->thinking == AUK_THINK_ON));
    auk_wire_sampling(options, chat);
    if (chat->seed >= 0)
        json_object_set_new(options, "seed", json_integer(chat->seed));
    if (chat->max_tokens > 0)
        json_object_set_new(options, "num_predict", json_integer(chat->max_tokens));
    if (ctx > 0)
        json_object_set_new(options, "num_ctx", json_integer(ctx));
    json_object_set_new(o, "options", options);
    json_object_set_new(o, "truncate", json_false()); /* nothing is cut silently */
    if (chat->tool_choice != NULL && strcmp(chat->tool_choice, "required") == 0)
        return auk_fail(err, AUK_ENOTSUP, "Ollama's API cannot force a tool call");
    return AUK_OK;
}

static int read_calls(auk_turn *t, const json_t *list, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(list) && rc == AUK_OK; i++) {
        const json_t *call = json_array_get(list, i);
        const json_t *function = json_object_get(call, "function");
        json_t *args = json_object_get(function, "arguments");
        auk_buf text = AUK_BUF_INIT(AUK_MAX_CALL);
        if (json_is_string(args))
            auk_buf_add(&text, json_string_value(args), json_string_length(args));
        else if (args != NULL)
            auk_json_print(&text, args, (auk_json_style){0});
        rc = auk_turn_call(t, auk_wire_str(call, "id"), auk_wire_str(function, "name"),
                           json_is_object(args) ? args : NULL, auk_buf_str(&text), err);
        auk_buf_release(&text);
    }
    return rc;
}

static void read_done(auk_turn *t, const json_t *v)
{
    auk_reply *r = t->r;
    auk_str said = auk_wire_str(v, "done_reason");

    auk_turn_finish(t, auk_str_is(said, "length") ? AUK_CHAT_LENGTH : AUK_CHAT_STOP, said);
    r->prompt_tok = auk_wire_int(v, "prompt_eval_count");
    r->cached_tok = auk_wire_int(v, "prompt_cached_count");
    r->completion_tok = auk_wire_int(v, "eval_count");
    r->load_ns = auk_wire_int(v, "load_duration");
    r->prefill_ns = auk_wire_int(v, "prompt_eval_duration");
    r->decode_ns = auk_wire_int(v, "eval_duration");
    r->total_ns = auk_wire_int(v, "total_duration");
    t->terminal = true;
}

static int read_line(auk_turn *t, const json_t *v, auk_err *err)
{
    const json_t *m = json_object_get(v, "message"), *error = json_object_get(v, "error");
    const json_t *calls = json_object_get(m, "tool_calls");
    auk_str thinking = auk_wire_reasoning(m), text = auk_wire_str(m, "content");

    if (error != NULL && !json_is_null(error))
        return auk_wire_error(t, v, err);
    if (thinking.n > 0 || text.n > 0 || json_array_size(calls) > 0)
        auk_turn_tick(t);
    int rc = auk_turn_thinking(t, thinking, err);
    if (rc == AUK_OK)
        rc = auk_turn_text(t, text, err);
    if (rc == AUK_OK)
        rc = read_calls(t, calls, err);
    if (rc == AUK_OK && json_is_true(json_object_get(v, "done")))
        read_done(t, v);
    return rc;
}

const auk_wire auk_wire_ollama = {.name = "ollama",
                                  .path = "/api/chat",
                                  .lines = true,
                                  .request = make_request,
                                  .read = read_line};
