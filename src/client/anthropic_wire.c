/* SPDX-License-Identifier: Apache-2.0 */
/* Anthropic's Messages. */
#include "client/wire.h"

#include "base/limits.h"

#define DEFAULT_MAX_TOKENS 16384 /* the dialect demands a number */

static bool role_is(const json_t *m, const char *role)
{
    return auk_str_is(auk_wire_str(m, "role"), role);
}

/* The content list of the last message when it has this role, else of a new one. */
static json_t *blocks_of(json_t *messages, const char *role)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);

    if (json_array_size(messages) == 0 || !role_is(last, role)) {
        last = json_pack("{s:s, s:[]}", "role", role, "content");
        json_array_append_new(messages, last);
    }
    return json_object_get(last, "content");
}

static void add_text_block(json_t *blocks, const json_t *content)
{
    json_t *flat = auk_wire_flat(content);

    if (json_string_length(flat) > 0)
        json_array_append_new(blocks, json_pack("{s:s, s:O}", "type", "text", "text", flat));
    json_decref(flat);
}

static void add_message(json_t *messages, auk_buf *instructions, const json_t *m)
{
    const json_t *content = json_object_get(m, "content"),
                 *calls = json_object_get(m, "tool_calls");

    if (role_is(m, "system") || role_is(m, "developer")) {
        json_t *flat = auk_wire_flat(content);
        if (instructions->n > 0)
            auk_buf_puts(instructions, "\n\n");
        auk_buf_add(instructions, json_string_value(flat), json_string_length(flat));
        json_decref(flat);
    } else if (role_is(m, "tool")) {
        json_t *id = json_object_get(m, "tool_call_id");
        json_t *block =
            json_pack("{s:s, s:o}", "type", "tool_result", "content", auk_wire_flat(content));
        if (id != NULL)
            json_object_set(block, "tool_use_id", id);
        json_array_append_new(blocks_of(messages, "user"), block);
    } else {
        json_t *blocks = blocks_of(messages, role_is(m, "assistant") ? "assistant" : "user");
        add_text_block(blocks, content);
        for (size_t i = 0; i < json_array_size(calls); i++) {
            const json_t *call = json_array_get(calls, i);
            json_t *block =
                json_pack("{s:s, s:o}", "type", "tool_use", "input", auk_wire_arguments(call));
            json_t *id = json_object_get(call, "id");
            json_t *name = json_object_get(json_object_get(call, "function"), "name");
            if (id != NULL)
                json_object_set(block, "id", id);
            if (name != NULL)
                json_object_set(block, "name", name);
            json_array_append_new(blocks, block);
        }
    }
}

static json_t *make_tools(const json_t *tools)
{
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *f = json_object_get(json_array_get(tools, i), "function");
        json_t *o = json_object(), *schema = json_object_get(f, "parameters");
        json_t *name = json_object_get(f, "name"), *text = json_object_get(f, "description");
        if (name != NULL)
            json_object_set(o, "name", name);
        if (json_is_string(text))
            json_object_set(o, "description", text);
        json_object_set_new(o, "input_schema",
                            schema != NULL ? json_incref(schema)
                                           : json_pack("{s:s}", "type", "object"));
        json_array_append_new(list, o);
    }
    return list;
}

static int make_request(json_t **out, const char *model, int ctx, const auk_chat *chat,
                        auk_err *err)
{
    int max_tokens = chat->max_tokens > 0 ? chat->max_tokens : DEFAULT_MAX_TOKENS;
    json_t *o = json_pack("{s:s, s:b, s:i}", "model", model, "stream", 1, "max_tokens", max_tokens);
    json_t *messages = json_array();
    auk_buf instructions = AUK_BUF_INIT(AUK_MAX_TEXT);

    (void)ctx;
    *out = o;
    for (size_t i = 0; i < json_array_size(chat->messages); i++)
        add_message(messages, &instructions, json_array_get(chat->messages, i));
    json_object_set_new(o, "messages", messages);
    if (instructions.n > 0)
        auk_wire_set(o, "system", json_stringn(instructions.p, instructions.n));
    auk_buf_release(&instructions);
    if (json_array_size(chat->tools) > 0)
        json_object_set_new(o, "tools", make_tools(chat->tools));
    if (chat->tool_choice != NULL && json_array_size(chat->tools) > 0)
        json_object_set_new(
            o, "tool_choice",
            json_pack("{s:s}", "type",
                      strcmp(chat->tool_choice, "required") == 0 ? "any" : chat->tool_choice));
    auk_wire_sampling(o, chat);
    if (chat->thinking == AUK_THINK_OFF)
        json_object_set_new(o, "thinking", json_pack("{s:s}", "type", "disabled"));
    if (chat->thinking == AUK_THINK_ON && max_tokens > 1024)
        json_object_set_new(o, "thinking",
                            json_pack("{s:s, s:i}", "type", "enabled", "budget_tokens",
                                      max_tokens / 2 > 1024 ? max_tokens / 2 : 1024));
    if (chat->response_format != NULL &&
        !auk_str_is(auk_wire_str(chat->response_format, "type"), "text"))
        return auk_fail(err, AUK_ENOTSUP, "response_format is not sent to an Anthropic server");
    return AUK_OK;
}

static void read_usage(auk_turn *t, const json_t *usage)
{
    auk_reply *r = t->r;
    int64_t fresh = auk_wire_int(usage, "input_tokens"), out = auk_wire_int(usage, "output_tokens");
    int64_t cached = auk_wire_int(usage, "cache_read_input_tokens");
    int64_t written = auk_wire_int(usage, "cache_creation_input_tokens");

    if (cached >= 0)
        r->cached_tok = cached;
    if (fresh >= 0) /* input_tokens leaves out what the cache held */
        r->prompt_tok = fresh + (cached > 0 ? cached : 0) + (written > 0 ? written : 0);
    if (out >= 0)
        r->completion_tok = out;
}

static void read_stop(auk_turn *t, const json_t *v)
{
    auk_str said = auk_wire_str(v, "stop_reason");

    if (said.p == NULL)
        return;
    auk_turn_finish(t,
                    auk_str_is(said, "max_tokens") ||
                            auk_str_is(said, "model_context_window_exceeded")
                        ? AUK_CHAT_LENGTH
                    : auk_str_is(said, "tool_use") ? AUK_CHAT_TOOLS
                    : auk_str_is(said, "refusal")  ? AUK_CHAT_FILTER
                                                   : AUK_CHAT_STOP,
                    said);
}

/* A block at its start, or whole. */
static int read_block(auk_turn *t, const json_t *block, int64_t index, auk_err *err)
{
    const json_t *input = json_object_get(block, "input");
    auk_str type = auk_wire_str(block, "type"), thinking = auk_wire_str(block, "thinking");
    auk_str text = auk_wire_str(block, "text");
    auk_buf args = AUK_BUF_INIT(AUK_MAX_CALL);
    int rc = AUK_OK;

    if (thinking.n > 0 || text.n > 0 || auk_str_is(type, "tool_use"))
        auk_turn_tick(t);
    if (auk_str_is(type, "thinking"))
        rc = auk_turn_thinking(t, thinking, err);
    else if (auk_str_is(type, "text"))
        rc = auk_turn_text(t, text, err);
    if (auk_str_is(type, "tool_use")) {
        if (json_object_size(input) > 0)
            auk_json_print(&args, input, (auk_json_style){0});
        rc = auk_turn_fragment(t, index < 0 ? AUK_MAX_CALLS : (size_t)index,
                               auk_wire_str(block, "id"), auk_wire_str(block, "name"),
                               auk_buf_str(&args), err);
    }
    auk_buf_release(&args);
    return rc;
}

static int read_delta(auk_turn *t, const json_t *v, auk_err *err)
{
    const json_t *d = json_object_get(v, "delta");
    auk_str type = auk_wire_str(d, "type"), none = {"", 0};
    int64_t index = auk_wire_int(v, "index");

    if (auk_str_is(type, "signature_delta"))
        return AUK_OK;
    auk_turn_tick(t);
    if (auk_str_is(type, "thinking_delta"))
        return auk_turn_thinking(t, auk_wire_str(d, "thinking"), err);
    if (auk_str_is(type, "text_delta"))
        return auk_turn_text(t, auk_wire_str(d, "text"), err);
    if (auk_str_is(type, "input_json_delta"))
        return auk_turn_fragment(t, index < 0 ? AUK_MAX_CALLS : (size_t)index, none, none,
                                 auk_wire_str(d, "partial_json"), err);
    return AUK_OK;
}

static int read_whole(auk_turn *t, const json_t *v, auk_err *err)
{
    const json_t *content = json_object_get(v, "content");
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(content) && rc == AUK_OK; i++)
        rc = read_block(t, json_array_get(content, i), (int64_t)i, err);
    read_usage(t, json_object_get(v, "usage"));
    read_stop(t, v);
    t->terminal = true;
    return rc;
}

static int read_event(auk_turn *t, const json_t *v, auk_err *err)
{
    auk_str type = auk_wire_str(v, "type");
    int rc = AUK_OK;

    if (auk_str_is(type, "error") || json_is_object(json_object_get(v, "error")))
        return auk_wire_error(t, v, err);
    if (auk_str_is(type, "message"))
        return read_whole(t, v, err);
    if (auk_str_is(type, "message_start")) {
        read_usage(t, json_object_get(json_object_get(v, "message"), "usage"));
    } else if (auk_str_is(type, "content_block_start")) {
        rc = read_block(t, json_object_get(v, "content_block"), auk_wire_int(v, "index"), err);
    } else if (auk_str_is(type, "content_block_delta")) {
        rc = read_delta(t, v, err);
    } else if (auk_str_is(type, "content_block_stop")) {
        rc = auk_turn_close_fragments(t, err);
    } else if (auk_str_is(type, "message_delta")) {
        read_usage(t, json_object_get(v, "usage"));
        read_stop(t, json_object_get(v, "delta"));
    } else if (auk_str_is(type, "message_stop")) {
        t->terminal = true;
    }
    return rc;
}

const auk_wire auk_wire_anthropic = {
    .name = "anthropic", .path = "/messages", .request = make_request, .read = read_event};
