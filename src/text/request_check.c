/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template.h"

#include "text/python_repr.h"
#include "text/text.h"

#include <stdarg.h>
#include <strings.h>

/* Roles and efforts are compared without case. */
static bool is_word(const json_t *v, const char *word)
{
    auk_str s = auk_json_str(v);

    return s.p != NULL && s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

static const struct {
    const char *name;
    auk_speaker speaker;
} role_names[] = {{"system", AUK_SYSTEM},
                  {"user", AUK_USER},
                  {"assistant", AUK_ASSISTANT},
                  {"chatbot", AUK_ASSISTANT},
                  {"tool", AUK_TOOL}};

auk_speaker auk_speaker_of(const json_t *message)
{
    const json_t *v = json_object_get(message, "role");

    for (size_t i = 0; i < sizeof role_names / sizeof *role_names; i++)
        if (is_word(v, role_names[i].name))
            return role_names[i].speaker;
    return AUK_NOBODY;
}

typedef struct checker {
    const json_t *messages;
    json_t *ids; /* see auk_request_check */
    int rc;      /* the first failure */
    auk_err *err;
} checker;

AUK_PRINTF(2, 3) static void fail(checker *r, const char *fmt, ...)
{
    char text[400];
    va_list args;

    if (r->rc < 0)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->rc = auk_fail(r->err, AUK_EFORMAT, "%s", text);
}

static bool is_none(const json_t *v)
{
    return v == NULL || json_is_null(v);
}

static void check_calls(checker *r, size_t i, size_t *count)
{
    const json_t *calls = json_object_get(json_array_get(r->messages, i), "tool_calls");

    if (!is_none(calls) && !json_is_array(calls))
        fail(r, "messages[%zu].tool_calls is not a list", i);
    for (size_t k = 0; k < json_array_size(calls); k++, ++*count) {
        const json_t *call = json_array_get(calls, k), *id = json_object_get(call, "id");
        auk_str s = auk_json_str(id);
        if (!json_is_object(call))
            fail(r, "messages[%zu].tool_calls[%zu] is not an object", i, k);
        else if (!is_none(id) && !json_is_string(id))
            fail(r, "messages[%zu].tool_calls[%zu].id is not a string", i, k);
        else if (s.p != NULL && json_object_getn(r->ids, s.p, s.n) == NULL)
            json_object_setn_new(r->ids, s.p, s.n, json_integer((json_int_t)*count));
    }
}

static void check_message(checker *r, size_t i)
{
    const json_t *message = json_array_get(r->messages, i),
                 *content = json_object_get(message, "content");
    auk_speaker role = auk_speaker_of(message);
    bool listed = json_is_string(content) || json_is_array(content);

    if (!json_is_object(message))
        fail(r, "messages[%zu] is not an object", i);
    else if (!json_is_string(json_object_get(message, "role")))
        fail(r, "messages[%zu].role is not a string", i);
    else if (role == AUK_NOBODY)
        fail(r, "messages[%zu].role is '%s', want system, user, assistant, chatbot or tool", i,
             json_string_value(json_object_get(message, "role")));
    else if (role == AUK_TOOL && !listed && !json_is_object(content))
        fail(r, "messages[%zu].content is not a string, list or object", i);
    else if (role != AUK_TOOL && !listed && !(role == AUK_ASSISTANT && is_none(content)))
        fail(r, "messages[%zu].content is not a string or list", i);
    else if (role == AUK_TOOL && !json_is_string(json_object_get(message, "tool_call_id")))
        fail(r, "messages[%zu].tool_call_id is not a string", i);
    for (size_t k = 0; role != AUK_TOOL && k < json_array_size(content); k++)
        if (!json_is_object(json_array_get(content, k)))
            fail(r, "messages[%zu].content[%zu] is not an object", i, k);
}

int auk_request_check(const json_t *request, json_t *ids, auk_err *err)
{
    checker r = {json_object_get(request, "messages"), ids, AUK_OK, err};
    size_t count = 0;

    if (!json_is_object(request))
        fail(&r, "the request is not an object");
    else if (!json_is_array(r.messages))
        fail(&r, "messages is not a list");
    for (size_t i = 0; i < json_array_size(r.messages) && r.rc == AUK_OK; i++) {
        check_message(&r, i);
        check_calls(&r, i, &count);
    }
    return r.rc;
}

bool auk_request_reasoning(const json_t *request)
{
    const json_t *reasoning = json_object_get(request, "reasoning");
    const json_t *effort = json_object_get(request, "reasoning_effort");

    if (is_word(effort, "none"))
        return false;
    return reasoning == NULL || auk_python_true(reasoning);
}
