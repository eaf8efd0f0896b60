/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI Chat Completions: the request. */
#include "serve/openai.h"

#include "base/limits.h"
#include "base/mem.h"

static bool missing(const json_t *v)
{
    return v == NULL || json_is_null(v);
}

/* Every name under which clients send a model's thinking back. */
static const json_t *thinking_of(const json_t *message)
{
    static const char *const keys[] = {"reasoning_content", "reasoning", "reasoning_text",
                                       "thinking"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *v = json_object_get(message, keys[i]);
        if (json_is_string(v) && json_string_length(v) > 0)
            return v;
    }
    return json_object_get(json_array_get(json_object_get(message, "reasoning_details"), 0),
                           "text");
}

static int read_calls(json_t *to, const json_t *message, auk_err *err)
{
    json_t *calls = json_object_get(message, "tool_calls");
    json_t *old = json_object_get(message, "function_call");

    if (!missing(calls) && !json_is_array(calls))
        return auk_fail(err, AUK_EFORMAT, "'tool_calls' of a message must be a list");
    if (json_array_size(calls) > 0)
        json_object_set_new(to, "tool_calls", json_deep_copy(calls));
    else if (json_is_object(old))
        json_object_set_new(to, "tool_calls",
                            json_pack("[{s:o}]", "function", json_deep_copy(old)));
    return AUK_OK;
}

int auk_openai_message(json_t **out, const json_t *message, size_t i, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    json_t *content = json_object_get(message, "content"), *to = json_object();
    const json_t *role = json_object_get(message, "role"), *thinking = thinking_of(message);
    auk_str id = auk_json_str(json_object_get(message, "tool_call_id"));
    char where[64];
    int rc = AUK_OK;

    *out = to;
    snprintf(where, sizeof where, "messages[%zu].content", i);
    if (!json_is_object(message))
        return auk_fail(err, AUK_EFORMAT, "messages[%zu] is not an object", i);
    if (!json_is_string(role))
        return auk_fail(err, AUK_EFORMAT, "messages[%zu].role is not a string", i);
    json_object_set(to, "role", (json_t *)role);
    if (auk_str_is(auk_json_str(role), "function"))
        json_object_set_new(to, "role", json_string("tool"));
    rc = auk_content_text(&text, content, where, err);
    bool absent = missing(content) && !auk_str_is(auk_json_str(role), "tool");
    if (rc == AUK_OK && !absent)
        json_object_set_new(to, "content", json_stringn(auk_buf_str(&text).p, text.n));
    if (json_is_string(thinking) && json_string_length(thinking) > 0)
        json_object_set(to, "thinking", (json_t *)thinking);
    if (rc == AUK_OK)
        rc = read_calls(to, message, err);
    if (id.p != NULL)
        json_object_set_new(to, "tool_call_id", json_stringn(id.p, id.n));
    auk_buf_release(&text);
    return rc;
}

int auk_openai_tools(auk_ask *ask, const json_t *tools, auk_err *err)
{
    json_t *kept = json_array();

    json_object_set_new(ask->chat, "tools", kept);
    if (!missing(tools) && !json_is_array(tools))
        return auk_fail(err, AUK_EFORMAT, "'tools' must be a list");
    if (json_array_size(tools) > AUK_MAX_TOOLS)
        return auk_fail(err, AUK_EINVAL, "%zu tools are more than %d: send those it may need",
                        json_array_size(tools), AUK_MAX_TOOLS);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        json_t *function = json_object_get(tool, "function");
        auk_str type = auk_json_str(json_object_get(tool, "type"));
        if (!json_is_object(tool))
            return auk_fail(err, AUK_EFORMAT, "tools[%zu] is not an object", i);
        if (function == NULL && type.p != NULL)
            continue; /* a kind of tool only its vendor runs */
        json_t *copy = json_deep_copy(function != NULL ? function : tool);
        json_array_append_new(kept, json_pack("{s:s, s:o}", "type", "function", "function", copy));
        if (!json_is_string(json_object_get(copy, "name")))
            return auk_fail(err, AUK_EFORMAT, "tools[%zu].function.name is not a string", i);
        json_object_del(copy, "strict");
    }
    return AUK_OK;
}

static bool has_tool(const auk_ask *ask, auk_str name)
{
    const json_t *tools = json_object_get(ask->chat, "tools");

    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *f = json_object_get(json_array_get(tools, i), "function");
        if (auk_str_eq(auk_json_str(json_object_get(f, "name")), name))
            return true;
    }
    return false;
}

int auk_choose_tool(auk_ask *ask, auk_choice choice, auk_str name, auk_err *err)
{
    bool any = json_array_size(json_object_get(ask->chat, "tools")) > 0;

    ask->choice = choice;
    if (choice == AUK_CHOICE_NAMED && !has_tool(ask, name))
        return auk_fail(err, AUK_EINVAL, "tool_choice names '%.*s', which is not among the tools",
                        AUK_ARG(name));
    if (choice == AUK_CHOICE_REQUIRED && !any)
        return auk_fail(err, AUK_EINVAL, "tool_choice is 'required', but there are no tools");
    if (choice == AUK_CHOICE_NAMED)
        ask->named = auk_strndup(name.p, name.n);
    return AUK_OK;
}

int auk_openai_choice(auk_ask *ask, const json_t *v, auk_err *err)
{
    const json_t *function = json_object_get(v, "function");
    auk_str word = auk_json_str(v), type = auk_json_str(json_object_get(v, "type"));
    auk_str name = auk_json_str(json_object_get(function != NULL ? function : v, "name"));

    if (missing(v) || auk_str_is(word, "auto"))
        return AUK_OK;
    if (auk_str_is(type, "allowed_tools")) {
        const json_t *inner = json_object_get(v, "allowed_tools");
        word = auk_json_str(json_object_get(inner != NULL ? inner : v, "mode"));
        if (auk_str_is(word, "auto"))
            return AUK_OK;
    }
    if (auk_str_is(word, "none"))
        return auk_choose_tool(ask, AUK_CHOICE_NONE, word, err);
    if (auk_str_is(word, "required") || auk_str_is(word, "any"))
        return auk_choose_tool(ask, AUK_CHOICE_REQUIRED, word, err);
    if (name.p != NULL)
        return auk_choose_tool(ask, AUK_CHOICE_NAMED, name, err);
    return auk_fail(err, AUK_EINVAL,
                    "'tool_choice' must be auto, none, required or name a function");
}

void auk_openai_reasoning(auk_ask *ask, const json_t *o)
{
    static const char *const keys[] = {"reasoning_effort", "chat_template_kwargs",
                                       "enable_thinking", "documents"};
    const json_t *reasoning = json_object_get(o, "reasoning");
    json_t *effort = json_object_get(reasoning, "effort");

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!missing(json_object_get(o, keys[i])))
            json_object_set_new(ask->chat, keys[i], json_deep_copy(json_object_get(o, keys[i])));
    if (json_is_string(effort) && missing(json_object_get(o, "reasoning_effort")))
        json_object_set(ask->chat, "reasoning_effort", effort);
    if (json_is_boolean(reasoning))
        json_object_set(ask->chat, "reasoning", (json_t *)reasoning);
    if (json_is_false(json_object_get(reasoning, "enabled")))
        json_object_set_new(ask->chat, "reasoning", json_false());
}

static int read_limits(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *options = json_object_get(o, "stream_options");
    int64_t n = 1, n_top = 0;
    bool logprobs = false, parallel = true;

    int rc = auk_field_int(&ask->max_tokens, o, "max_tokens", -1, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->max_tokens, o, "max_completion_tokens", -1, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->max_thinking, o, "thinking_budget_tokens", 0, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&n, o, "n", 1, 128, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&n_top, o, "top_logprobs", 0, 20, err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&logprobs, o, "logprobs", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->stream, o, "stream", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->usage_chunk, options, "include_usage", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->progress, o, "return_progress", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&parallel, o, "parallel_tool_calls", err);
    ask->one_call = !parallel;
    if (rc == AUK_OK && n > 1)
        return auk_fail(err, AUK_ENOTSUP, "'n' above 1 is not offered: send several requests");
    if (rc == AUK_OK && logprobs)
        return auk_fail(err, AUK_ENOTSUP, "'logprobs' is not offered by this server");
    return rc;
}

int auk_openai_parse(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *messages = json_object_get(o, "messages");
    auk_str key = auk_json_str(json_object_get(o, "prompt_cache_key"));
    json_t *kept = json_array();

    ask->chat = json_pack("{s:o}", "messages", kept);
    int rc = auk_field_model(ask, o, err);
    if (rc == AUK_OK && !json_is_array(messages))
        rc = auk_fail(err, AUK_EFORMAT, "'messages' must be a list");
    if (rc == AUK_OK && json_array_size(messages) == 0)
        rc = auk_fail(err, AUK_EINVAL, "[] is too short - 'messages'");
    for (size_t i = 0; i < json_array_size(messages) && rc == AUK_OK; i++) {
        json_t *to;
        rc = auk_openai_message(&to, json_array_get(messages, i), i, err);
        json_array_append_new(kept, to);
    }
    if (rc == AUK_OK)
        rc = auk_field_sampling(ask, o, err);
    if (rc == AUK_OK)
        rc = read_limits(ask, o, err);
    if (rc == AUK_OK)
        rc = auk_field_stops(ask, json_object_get(o, "stop"), "stop", err);
    const json_t *tools = json_object_get(o, "tools");
    if (rc == AUK_OK)
        rc = auk_openai_tools(ask, missing(tools) ? json_object_get(o, "functions") : tools, err);
    if (rc == AUK_OK)
        rc = auk_openai_choice(ask, json_object_get(o, "tool_choice"), err);
    if (rc == AUK_OK)
        rc = auk_field_format(ask, json_object_get(o, "response_format"), err);
    if (key.n > 0)
        ask->session = auk_strndup(key.p, key.n);
    auk_openai_reasoning(ask, o);
    return rc;
}
