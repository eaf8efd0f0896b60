/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template.h"
#include "text/text.h"

#include "base/mem.h"
#include "text/python_repr.h"

/* ---- reasoning ---- */

static bool is_given(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return v != NULL && !json_is_null(v);
}

static void prepare_reasoning(json_t *request)
{
    static const char *const keys[] = {"reasoning", "reasoning_effort"};
    const json_t *given = json_object_get(request, "chat_template_kwargs");
    const json_t *enable = json_object_get(request, "enable_thinking");

    for (size_t i = 0; i < 2; i++)
        if (!is_given(request, keys[i]) && is_given(given, keys[i]))
            json_object_set(request, keys[i], json_object_get(given, keys[i]));
    if (!is_given(request, "enable_thinking"))
        enable = json_object_get(given, "enable_thinking");
    if (enable == NULL || json_is_null(enable))
        return;
    if (!is_given(request, keys[0]) && !is_given(request, keys[1]))
        json_object_set_new(request, keys[0], json_boolean(auk_python_true(enable)));
}

/* ---- tools ---- */

static void prepare_tool(json_t *tool)
{
    json_t *function = json_object_get(tool, "function");

    if (function == NULL)
        function = tool;
    if (!json_is_object(function))
        return;
    if (json_is_null(json_object_get(function, "description")))
        json_object_del(function, "description");
    if (!is_given(function, "parameters"))
        json_object_set_new(function, "parameters",
                            json_pack("{s:s, s:{}}", "type", "object", "properties"));
}

/* ---- calls and results ---- */

typedef struct calls {
    bool *answered; /* owned; one per call so far */
    size_t n, first_open;
    json_t *latest; /* owned; client's id to the number of the latest call that has it */
    bool fresh_ids;
} calls;

static int prepare_arguments(json_t *function, size_t i, size_t k, auk_err *err)
{
    json_t *arguments = json_object_get(function, "arguments"), *parsed;
    auk_str text = auk_json_str(arguments);

    if (!json_is_object(function) || json_is_object(arguments))
        return AUK_OK;
    if (arguments == NULL || json_is_null(arguments) || (text.p != NULL && text.n == 0)) {
        json_object_set_new(function, "arguments", json_object());
        return AUK_OK;
    }
    int rc = text.p == NULL ? AUK_EFORMAT : auk_json_parse(&parsed, text, "arguments", NULL);
    if (rc == AUK_OK && json_is_object(parsed)) {
        json_object_set_new(function, "arguments", parsed);
        return AUK_OK;
    }
    if (rc == AUK_OK)
        json_decref(parsed);
    return auk_fail(err, AUK_EFORMAT,
                    "messages[%zu].tool_calls[%zu].function.arguments is not an object", i, k);
}

static void set_id(json_t *object, const char *key, const char *prefix, size_t number)
{
    char id[48];

    snprintf(id, sizeof id, "%s_%zu", prefix, number);
    json_object_set_new(object, key, json_string(id));
}

static int prepare_call(calls *c, json_t *call, size_t i, size_t k, auk_err *err)
{
    auk_str id = auk_json_str(json_object_get(call, "id"));

    if (!json_is_object(call))
        return AUK_OK; /* said by whoever renders it */
    int rc = prepare_arguments(json_object_get(call, "function"), i, k, err);
    if (rc < 0)
        return rc;
    if ((c->n & (c->n - 1)) == 0) /* full at powers of two */
        c->answered = auk_realloc(c->answered, (c->n ? 2 * c->n : 1) * sizeof *c->answered);
    c->answered[c->n] = false;
    if (id.p != NULL)
        json_object_setn_new(c->latest, id.p, id.n, json_integer((json_int_t)c->n));
    if (c->fresh_ids)
        set_id(call, "id", "call", c->n);
    c->n++;
    return AUK_OK;
}

static void prepare_result(calls *c, json_t *message, size_t i)
{
    auk_str id = auk_json_str(json_object_get(message, "tool_call_id"));
    const json_t *known = id.p != NULL ? json_object_getn(c->latest, id.p, id.n) : NULL;
    size_t call = c->n;

    while (c->first_open < c->n && c->answered[c->first_open])
        c->first_open++;
    if (known != NULL)
        call = (size_t)json_integer_value(known);
    else if (id.p == NULL)
        call = c->first_open;
    if (call < c->n)
        c->answered[call] = true;
    if (c->fresh_ids)
        set_id(message, "tool_call_id", call < c->n ? "call" : "result", call < c->n ? call : i);
}

static int prepare_message(calls *c, json_t *message, size_t i, auk_err *err)
{
    json_t *list = json_object_get(message, "tool_calls");
    int rc = AUK_OK;

    if (auk_str_is(auk_json_str(json_object_get(message, "role")), "developer"))
        json_object_set_new(message, "role", json_string("system"));
    for (size_t k = 0; k < json_array_size(list) && rc == AUK_OK; k++)
        rc = prepare_call(c, json_array_get(list, k), i, k, err);
    if (auk_speaker_of(message) == AUK_TOOL)
        prepare_result(c, message, i);
    return rc;
}

int auk_request_prepare(json_t *request, auk_err *err)
{
    json_t *messages = json_object_get(request, "messages");
    json_t *tools = json_object_get(request, "tools");
    const json_t *regen = json_object_get(request, "regen_tool_call_ids");
    calls c = {.fresh_ids = regen == NULL || auk_python_true(regen)};
    int rc = AUK_OK;

    if (!json_is_object(request))
        return auk_fail(err, AUK_EFORMAT, "the request is not an object");
    c.latest = json_object();
    prepare_reasoning(request);
    for (size_t i = 0; i < json_array_size(tools); i++)
        prepare_tool(json_array_get(tools, i));
    for (size_t i = 0; i < json_array_size(messages) && rc == AUK_OK; i++)
        rc = prepare_message(&c, json_array_get(messages, i), i, err);
    json_decref(c.latest);
    free(c.answered);
    return rc;
}
