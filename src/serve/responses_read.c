/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI Responses: the request.  Items become messages: reasoning and calls join the assistant's
 * message they belong to. */
#include "serve/responses.h"

#include "base/limits.h"
#include "base/mem.h"

static bool missing(const json_t *v)
{
    return v == NULL || json_is_null(v);
}

static bool is_type(const json_t *o, const char *type)
{
    return auk_str_is(auk_json_str(json_object_get(o, "type")), type);
}

typedef struct reader {
    auk_ask *ask;
    json_t *messages;  /* borrowed from the chat */
    json_t *assistant; /* the message calls are added to; borrowed; NULL: a new one */
    json_t *thinking;  /* owned; of the next assistant message; or NULL */
} reader;

static json_t *assistant_of(reader *r)
{
    if (r->assistant == NULL) {
        r->assistant = json_pack("{s:s}", "role", "assistant");
        json_array_append_new(r->messages, r->assistant);
    }
    if (r->thinking != NULL)
        json_object_set_new(r->assistant, "thinking", r->thinking);
    r->thinking = NULL;
    return r->assistant;
}

static void add_call(reader *r, const json_t *item, json_t *arguments)
{
    json_t *m = assistant_of(r), *calls = json_object_get(m, "tool_calls");
    json_t *id = json_object_get(item, "call_id"), *name = json_object_get(item, "name");
    auk_str space = auk_json_str(json_object_get(item, "namespace"));
    char joined[512];

    if (calls == NULL) {
        calls = json_array();
        json_object_set_new(m, "tool_calls", calls);
    }
    json_t *call = json_pack("{s:{s:O, s:o}}", "function", "name", name, "arguments", arguments);
    if (space.n > 0) {
        snprintf(joined, sizeof joined, "%.*s.%.*s", AUK_ARG(space), AUK_ARG(auk_json_str(name)));
        json_object_set_new(json_object_get(call, "function"), "name", json_string(joined));
    }
    if (json_is_string(id))
        json_object_set(call, "id", id);
    json_array_append_new(calls, call);
}

static int read_message(reader *r, const json_t *item, size_t i, auk_err *err)
{
    json_t *to;

    int rc = auk_openai_message(&to, item, i, err);
    bool assistant = auk_str_is(auk_json_str(json_object_get(to, "role")), "assistant");
    if (assistant && r->thinking != NULL) {
        json_object_set_new(to, "thinking", r->thinking);
        r->thinking = NULL;
    }
    json_array_append_new(r->messages, to);
    r->assistant = assistant ? to : NULL;
    return rc;
}

static int read_output(reader *r, const json_t *item, size_t i, auk_err *err)
{
    const json_t *output = json_object_get(item, "output"), *id = json_object_get(item, "call_id");
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char where[64];
    int rc = AUK_OK;

    snprintf(where, sizeof where, "input[%zu].output", i);
    r->assistant = NULL;
    if (json_is_object(output)) { /* older Codex: {"content", "success"} */
        auk_json_print(&text, output, (auk_json_style){0});
    } else {
        rc = auk_content_text(&text, output, where, err);
    }
    json_t *m = json_pack("{s:s, s:s%}", "role", "tool", "content", auk_buf_str(&text).p, text.n);
    if (m == NULL && rc == AUK_OK)
        rc = auk_fail(err, AUK_EFORMAT, "%s is not UTF-8", where);
    if (json_is_string(id))
        json_object_set(m, "tool_call_id", (json_t *)id);
    json_array_append_new(r->messages, m);
    auk_buf_release(&text);
    return rc;
}

static void read_reasoning(reader *r, const json_t *item)
{
    const json_t *parts = json_object_get(item, "content");
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (json_array_size(parts) == 0)
        parts = json_object_get(item, "summary");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        auk_str s = auk_json_str(json_object_get(json_array_get(parts, i), "text"));
        auk_buf_add(&text, s.p ? s.p : "", s.n);
    }
    json_decref(r->thinking);
    r->thinking = text.n > 0 ? json_stringn(text.p, text.n) : NULL;
    r->assistant = NULL;
    auk_buf_release(&text);
}

static int read_item(reader *r, const json_t *item, size_t i, auk_err *err)
{
    const json_t *name = json_object_get(item, "name"), *action = json_object_get(item, "action");
    json_t *args = json_object_get(item, "arguments"), *input = json_object_get(item, "input");
    auk_str type = auk_json_str(json_object_get(item, "type"));

    if (!json_is_object(item))
        return auk_fail(err, AUK_EFORMAT, "input[%zu] is not an object", i);
    if (type.p == NULL || auk_str_is(type, "message"))
        return read_message(r, item, i, err);
    if (auk_str_is(type, "function_call") || auk_str_is(type, "custom_tool_call")) {
        if (!json_is_string(name))
            return auk_fail(err, AUK_EFORMAT, "input[%zu].name is not a string", i);
        if (auk_str_is(type, "custom_tool_call"))
            add_call(r, item, json_pack("{s:O?}", "input", input ? input : json_null()));
        else
            add_call(r, item, missing(args) ? json_object() : json_deep_copy(args));
    } else if (auk_str_is(type, "local_shell_call")) {
        json_t *call = json_pack("{s:s, s:O?}", "name", "local_shell", "call_id",
                                 json_object_get(item, "call_id"));
        add_call(r, call, action ? json_deep_copy(action) : json_object());
        json_decref(call);
    } else if (auk_str_is(type, "function_call_output") ||
               auk_str_is(type, "custom_tool_call_output") ||
               auk_str_is(type, "local_shell_call_output")) {
        return read_output(r, item, i, err);
    } else if (auk_str_is(type, "reasoning")) {
        read_reasoning(r, item);
    } else if (auk_str_is(type, "item_reference")) {
        return auk_fail(err, AUK_ENOTSUP,
                        "input[%zu] refers to a stored item: nothing is stored here, send it whole",
                        i);
    }
    return AUK_OK; /* kinds to come are skipped */
}

static int read_input(reader *r, const json_t *o, auk_err *err)
{
    const json_t *input = json_object_get(o, "input");
    json_t *instructions = json_object_get(o, "instructions");
    int rc = AUK_OK;

    if (!missing(instructions) && !json_is_string(instructions))
        return auk_fail(err, AUK_EFORMAT, "'instructions' must be a string");
    if (json_string_length(instructions) > 0)
        json_array_append_new(r->messages,
                              json_pack("{s:s, s:O}", "role", "system", "content", instructions));
    if (json_is_string(input))
        json_array_append_new(r->messages,
                              json_pack("{s:s, s:O}", "role", "user", "content", input));
    else if (!json_is_array(input) || json_array_size(input) == 0)
        return auk_fail(err, AUK_EINVAL, "'input' must be a string or a list of items");
    for (size_t i = 0; i < json_array_size(input) && rc == AUK_OK; i++)
        rc = read_item(r, json_array_get(input, i), i, err);
    return rc;
}

/* Tools -------------------------------------------------------------------------------------- */

static int add_function(reader *r, const json_t *tool, auk_str space, auk_err *err)
{
    json_t *tools = json_object_get(r->ask->chat, "tools"), *f = json_object();
    json_t *parameters = json_object_get(tool, "parameters");
    json_t *text = json_object_get(tool, "description"), *name = json_object_get(tool, "name");
    char joined[512];

    json_array_append_new(tools, json_pack("{s:s, s:o}", "type", "function", "function", f));
    if (!json_is_string(name))
        return auk_fail(err, AUK_EFORMAT, "a tool's name is not a string");
    json_object_set(f, "name", name);
    if (space.n > 0) {
        snprintf(joined, sizeof joined, "%.*s.%.*s", AUK_ARG(space), AUK_ARG(auk_json_str(name)));
        json_object_set_new(f, "name", json_string(joined));
    }
    if (!missing(text))
        json_object_set(f, "description", text);
    if (!missing(parameters))
        json_object_set_new(f, "parameters", json_deep_copy(parameters));
    if (is_type(tool, "custom")) { /* free text: shown as a function of one string */
        json_object_set_new(f, "parameters",
                            json_pack("{s:s, s:{s:{s:s}}, s:[s]}", "type", "object", "properties",
                                      "input", "type", "string", "required", "input"));
        json_array_append(r->ask->custom, name);
    }
    return AUK_OK;
}

static int read_tools(reader *r, const json_t *tools, auk_err *err)
{
    int rc = AUK_OK;

    r->ask->custom = json_array();
    json_object_set_new(r->ask->chat, "tools", json_array());
    if (!missing(tools) && !json_is_array(tools))
        return auk_fail(err, AUK_EFORMAT, "'tools' must be a list");
    if (json_array_size(tools) > AUK_MAX_TOOLS)
        return auk_fail(err, AUK_EINVAL, "%zu tools are more than %d: send those it may need",
                        json_array_size(tools), AUK_MAX_TOOLS);
    for (size_t i = 0; i < json_array_size(tools) && rc == AUK_OK; i++) {
        const json_t *tool = json_array_get(tools, i), *inner = json_object_get(tool, "tools");
        auk_str space = auk_json_str(json_object_get(tool, "name"));
        if (!json_is_object(tool))
            rc = auk_fail(err, AUK_EFORMAT, "tools[%zu] is not an object", i);
        else if (is_type(tool, "function") || is_type(tool, "custom"))
            rc = add_function(r, tool, (auk_str){NULL, 0}, err);
        for (size_t k = 0; is_type(tool, "namespace") && k < json_array_size(inner) && rc == AUK_OK;
             k++)
            rc = add_function(r, json_array_get(inner, k), space, err);
    }
    return rc;
}

static int read_limits(auk_ask *ask, const json_t *o, auk_err *err)
{
    static const char *const refused[] = {"previous_response_id", "conversation"};
    bool parallel = true, background = false;

    for (size_t i = 0; i < 2; i++)
        if (!missing(json_object_get(o, refused[i])))
            return auk_fail(err, AUK_ENOTSUP,
                            "unsupported_parameter: '%s': nothing is stored here, send the whole "
                            "conversation as input",
                            refused[i]);
    int rc = auk_field_bool(&background, o, "background", err);
    if (rc == AUK_OK && background)
        rc = auk_fail(err, AUK_ENOTSUP, "unsupported_parameter: 'background' is not offered");
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->max_tokens, o, "max_output_tokens", 1, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->stream, o, "stream", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&parallel, o, "parallel_tool_calls", err);
    ask->one_call = !parallel;
    return rc;
}

int auk_responses_parse(auk_ask *ask, const json_t *o, auk_err *err)
{
    auk_str key = auk_json_str(json_object_get(o, "prompt_cache_key"));
    reader r = {.ask = ask, .messages = json_array()};

    ask->chat = json_pack("{s:o}", "messages", r.messages);
    int rc = auk_field_model(ask, o, err);
    if (rc == AUK_OK)
        rc = read_input(&r, o, err);
    json_decref(r.thinking);
    if (rc == AUK_OK)
        rc = read_tools(&r, json_object_get(o, "tools"), err);
    if (rc == AUK_OK)
        rc = auk_openai_choice(ask, json_object_get(o, "tool_choice"), err);
    if (rc == AUK_OK)
        rc = auk_field_sampling(ask, o, err);
    if (rc == AUK_OK)
        rc = read_limits(ask, o, err);
    if (rc == AUK_OK)
        rc = auk_field_format(ask, json_object_get(json_object_get(o, "text"), "format"), err);
    if (key.n > 0)
        ask->session = auk_strndup(key.p, key.n);
    auk_openai_reasoning(ask, o);
    return rc;
}
