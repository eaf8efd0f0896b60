/* SPDX-License-Identifier: Apache-2.0 */
/* The chat template of the released model, written out.  The order of functions is the order of
 * the prompt: platform turn, developer turn, messages, generation. */
#include "text/template.h"

#include "base/limits.h"
#include "text/python_repr.h"
#include "text/text.h"

#include <stdarg.h>

typedef struct renderer {
    const auk_prompt_sink *sink;
    const json_t *request;
    const json_t *messages, *tools, *documents; /* lists; NULL when empty */
    bool skip_thinking, regen_ids, documents_done;
    auk_buf run;      /* text since the last control token */
    json_t *ids;      /* owned; client's call id to the index of the first call that has it */
    json_t *dropped;  /* owned; ids of results that were not the first of their turn */
    size_t next_call; /* the number the next call gets */
    int rc;           /* the first failure; nothing is written after it */
    auk_err *err;
} renderer;

/* ---- writing ---- */

AUK_PRINTF(2, 3) static void fail(renderer *r, const char *fmt, ...)
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

static void flush(renderer *r)
{
    if (r->rc == AUK_OK)
        r->rc = auk_buf_check(&r->run, "the prompt", r->err);
    if (r->rc == AUK_OK && r->run.n > 0)
        r->rc = r->sink->run(r->sink->ctx, auk_buf_str(&r->run), r->err);
    auk_buf_clear(&r->run);
}

static void control(renderer *r, const char *token)
{
    flush(r);
    if (r->rc == AUK_OK)
        r->rc = r->sink->control(r->sink->ctx, token, r->err);
}

static void put(renderer *r, const char *text)
{
    auk_buf_puts(&r->run, text);
}

static void put_str(renderer *r, auk_str s)
{
    auk_buf_add(&r->run, s.p, s.n);
}

static void put_json(renderer *r, const json_t *v)
{
    auk_json_print(&r->run, v, (auk_json_style){0});
}

static void begin_turn(renderer *r, const char *speaker)
{
    control(r, "<|START_OF_TURN_TOKEN|>");
    control(r, speaker);
}

static void end_turn(renderer *r)
{
    control(r, "<|END_OF_TURN_TOKEN|>");
}

/* ---- reading ---- */

static bool is_none(const json_t *v)
{
    return v == NULL || json_is_null(v);
}

static bool flag(const renderer *r, const char *key, bool missing)
{
    const json_t *v = json_object_get(r->request, key);

    return v == NULL ? missing : auk_python_true(v);
}

static bool is_type(const json_t *part, const char *type)
{
    return auk_str_is(auk_json_str(json_object_get(part, "type")), type);
}

/* The list under `key`, NULL when it is missing, null or empty. */
static const json_t *list_of(renderer *r, const char *key)
{
    const json_t *v = json_object_get(r->request, key);

    if (is_none(v) || (json_is_array(v) && json_array_size(v) == 0))
        return NULL;
    if (json_is_array(v))
        return v;
    fail(r, "%s is not a list", key);
    return NULL;
}

/* The text under `key` of the request, {NULL, 0} when it is missing, null or empty. */
static auk_str text_of(renderer *r, const char *key)
{
    const json_t *v = json_object_get(r->request, key);
    auk_str none = {NULL, 0};

    if (!is_none(v) && !json_is_string(v))
        fail(r, "%s is not a string", key);
    return json_is_string(v) && json_string_length(v) > 0 ? auk_json_str(v) : none;
}

/* ---- platform turn ---- */

static void put_tool(renderer *r, size_t i)
{
    const json_t *tool = json_array_get(r->tools, i);
    const json_t *function = json_object_get(tool, "function");
    const char *where = function ? ".function" : "";

    if (function == NULL)
        function = tool;
    const json_t *name = json_object_get(function, "name");
    const json_t *description = json_object_get(function, "description");
    const json_t *parameters = json_object_get(function, "parameters");
    if (!json_is_object(function))
        fail(r, "tools[%zu]%s is not an object", i, where);
    else if (!json_is_string(name))
        fail(r, "tools[%zu]%s.name is not a string", i, where);
    else if (description != NULL && !json_is_string(description))
        fail(r, "tools[%zu]%s.description is not a string", i, where);
    else if (!json_is_object(parameters))
        fail(r, "tools[%zu]%s.parameters is not an object", i, where);
    if (r->rc < 0)
        return;
    put(r, "    {\"name\": \"");
    put_str(r, auk_json_str(name)); /* as it is, quotes and line ends too */
    put(r, "\", \"description\": \"");
    put_str(r, auk_json_str(description));
    put(r, "\", \"parameters\": ");
    put_json(r, parameters);
    put(r, ", \"responses\": null}");
}

static void put_tools(renderer *r)
{
    const char *separator = "";

    put(r, "# Available Tools\n```json\n[\n");
    if (r->documents != NULL) {
        put(r, auk_text_document_tool);
        separator = ",\n";
    }
    for (size_t i = 0; i < json_array_size(r->tools); i++) {
        put(r, separator);
        put_tool(r, i);
        separator = ",\n";
    }
    put(r, "\n]\n```");
}

static void put_json_mode(renderer *r)
{
    const json_t *format = json_object_get(r->request, "response_format");

    if (!is_none(format) && !json_is_object(format))
        fail(r, "response_format is not an object");
    if (!is_type(format, "json_object") && !is_type(format, "json_schema"))
        return;
    put(r, auk_text_json_mode);
    const json_t *schema = json_object_get(format, "json_schema");
    if (!auk_python_true(schema))
        schema = json_object_get(format, "schema");
    if (!auk_python_true(schema))
        return;
    put(r, "\nYour output should adhere to the following json schema:\n");
    if (json_is_string(schema))
        put_str(r, auk_json_str(schema));
    else
        auk_python_repr(&r->run, schema);
}

static void put_platform(renderer *r)
{
    auk_str instead = text_of(r, "platform_instruction_override");

    control(r, "<BOS_TOKEN>");
    begin_turn(r, "<|SYSTEM_TOKEN|>");
    control(r, "<|START_TEXT|>");
    put_str(r, instead.p ? instead : auk_str_of(auk_text_platform));
    put(r, "\n\n");
    if (auk_str_is(text_of(r, "grounding"), "enabled") && (r->tools || r->documents))
        put(r, auk_text_grounding);
    put_tools(r);
    put_json_mode(r);
    control(r, "<|END_TEXT|>");
    end_turn(r);
}

/* ---- messages ---- */

static const json_t *message_at(const renderer *r, size_t i)
{
    return json_array_get(r->messages, i);
}

/* Part k of message i when it is text; its text, as it is. */
static void put_text_part(renderer *r, size_t i, size_t k, const json_t *part)
{
    const json_t *text = json_object_get(part, "text");

    if (!json_is_string(text))
        fail(r, "messages[%zu].content[%zu].text is not a string", i, k);
    put_str(r, auk_json_str(text));
}

/* A string, or the text parts of a list. */
static void put_plain(renderer *r, size_t i)
{
    const json_t *content = json_object_get(message_at(r, i), "content");

    put_str(r, auk_json_str(content));
    for (size_t k = 0; k < json_array_size(content); k++)
        if (is_type(json_array_get(content, k), "text"))
            put_text_part(r, i, k, json_array_get(content, k));
}

static void put_system(renderer *r, size_t i)
{
    begin_turn(r, "<|SYSTEM_TOKEN|>");
    control(r, "<|START_TEXT|>");
    put_plain(r, i);
    control(r, "<|END_TEXT|>");
    end_turn(r);
}

static void put_user_parts(renderer *r, size_t i, const json_t *content)
{
    bool open = false;

    for (size_t k = 0; k < json_array_size(content); k++) {
        const json_t *part = json_array_get(content, k), *data = json_object_get(part, "data");
        bool is_text = is_type(part, "text");
        if (is_text != open)
            control(r, is_text ? "<|START_TEXT|>" : "<|END_TEXT|>");
        open = is_text;
        if (is_text)
            put_text_part(r, i, k, part);
        else if (!auk_python_true(data))
            control(r, "<|IMG_PATCH|>");
        else if (json_is_string(data))
            put_str(r, auk_json_str(data));
        else
            fail(r, "messages[%zu].content[%zu].data is not a string", i, k);
    }
    if (open)
        control(r, "<|END_TEXT|>");
}

static void begin_result(renderer *r, auk_str id)
{
    put(r, "{\n        \"tool_call_id\": \"");
    put_str(r, id);
    put(r, "\",\n        \"results\": {\n            ");
}

static void end_result(renderer *r)
{
    put(r, "\n        },\n        \"is_error\": null\n    }");
}

static void begin_results(renderer *r)
{
    begin_turn(r, "<|SYSTEM_TOKEN|>");
    control(r, "<|START_TOOL_RESULT|>");
    put(r, "[\n    ");
}

static void end_results(renderer *r)
{
    put(r, "\n]");
    control(r, "<|END_TOOL_RESULT|>");
    end_turn(r);
}

/* Documents are shown as the result of a call that was never made. */
static void put_documents(renderer *r)
{
    begin_turn(r, "<|CHATBOT_TOKEN|>");
    if (!r->skip_thinking) {
        control(r, "<|START_THINKING|>");
        put(r, "I will look through the document to address the users needs.");
        control(r, "<|END_THINKING|>");
    }
    control(r, "<|START_ACTION|>");
    put(r, "[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"direct-injected-document\", "
           "\"parameters\": {}}\n]");
    control(r, "<|END_ACTION|>");
    end_turn(r);
    begin_results(r);
    begin_result(r, auk_str_of("0"));
    for (size_t i = 0; i < json_array_size(r->documents); i++) {
        const json_t *document = json_array_get(r->documents, i);
        const json_t *data = json_object_get(document, "data");
        auk_buf_printf(&r->run, "%s\"%zu\": ", i > 0 ? ",\n            " : "", i);
        put_json(r, data ? data : document);
    }
    end_result(r);
    end_results(r);
}

static void put_user(renderer *r, size_t i)
{
    const json_t *content = json_object_get(message_at(r, i), "content");

    begin_turn(r, "<|USER_TOKEN|>");
    if (json_is_string(content)) {
        control(r, "<|START_TEXT|>");
        put_str(r, auk_json_str(content));
        control(r, "<|END_TEXT|>");
    } else {
        put_user_parts(r, i, content);
    }
    end_turn(r);
    if (r->documents != NULL && !r->documents_done) {
        r->documents_done = true;
        put_documents(r);
    }
}

static void put_thinking(renderer *r, size_t i, bool with_calls)
{
    static const char *const keys[] = {"tool_plan", "thinking", "reasoning_content", "reasoning"};
    const json_t *message = message_at(r, i), *thinking = NULL;
    const json_t *first = json_array_get(json_object_get(message, "content"), 0);
    const char *key = "content[0].thinking";

    if (r->skip_thinking)
        return;
    for (size_t k = with_calls ? 0 : 1; k < 4 && !auk_python_true(thinking); k++) {
        thinking = json_object_get(message, keys[k]);
        if (auk_python_true(thinking))
            key = keys[k];
    }
    if (!auk_python_true(thinking) && is_type(first, "thinking"))
        thinking = json_object_get(first, "thinking");
    if (!auk_python_true(thinking))
        return;
    if (!json_is_string(thinking))
        fail(r, "messages[%zu].%s is not a string", i, key);
    control(r, "<|START_THINKING|>");
    put_str(r, auk_json_str(thinking));
    control(r, "<|END_THINKING|>");
}

static void put_call(renderer *r, size_t i, size_t k, const json_t *call)
{
    const json_t *id = json_object_get(call, "id"), *function = json_object_get(call, "function");
    const json_t *name = json_object_get(function, "name");
    const json_t *arguments = json_object_get(function, "arguments");

    if (!json_is_string(name))
        fail(r, "messages[%zu].tool_calls[%zu].function.name is not a string", i, k);
    else if (!json_is_object(arguments) && !json_is_string(arguments))
        fail(r, "messages[%zu].tool_calls[%zu].function.arguments is not an object", i, k);
    else if (!r->regen_ids && !json_is_string(id))
        fail(r, "messages[%zu].tool_calls[%zu].id is not a string", i, k);
    if (r->rc < 0)
        return;
    put(r, "    {\"tool_call_id\": \"");
    if (r->regen_ids)
        auk_buf_printf(&r->run, "%zu", r->next_call);
    else
        put_str(r, auk_json_str(id));
    put(r, "\", \"tool_name\": \"");
    put_str(r, auk_json_str(name));
    put(r, "\", \"parameters\": ");
    put_json(r, arguments);
    put(r, "}");
    r->next_call++;
}

static void put_assistant(renderer *r, size_t i)
{
    const json_t *calls = json_object_get(message_at(r, i), "tool_calls");
    size_t n = json_array_size(calls);

    begin_turn(r, "<|CHATBOT_TOKEN|>");
    put_thinking(r, i, n > 0);
    if (n > 0) {
        control(r, "<|START_ACTION|>");
        put(r, "[\n");
        for (size_t k = 0; k < n; k++) {
            put(r, k > 0 ? ",\n" : "");
            put_call(r, i, k, json_array_get(calls, k));
        }
        put(r, "\n]");
        control(r, "<|END_ACTION|>");
    } else {
        control(r, "<|START_TEXT|>");
        put_plain(r, i);
        control(r, "<|END_TEXT|>");
    }
    end_turn(r);
}

/* ---- tool results ---- */

static void put_content(renderer *r, const json_t *text)
{
    put(r, "{\"content\": ");
    put_json(r, text);
    put(r, "}");
}

static void put_result_item(renderer *r, const json_t *item)
{
    const json_t *text = json_object_get(item, "text");
    const json_t *document = json_object_get(item, "document");

    if (json_is_string(item)) {
        put_content(r, item);
    } else if (is_type(item, "text") && text != NULL) {
        put_content(r, text);
    } else if (is_type(item, "document") && json_is_object(document)) {
        const json_t *data = json_object_get(document, "data");
        put_json(r, data ? data : document);
    } else {
        put_json(r, item);
    }
}

static void put_result(renderer *r, const json_t *message)
{
    auk_str id = auk_json_str(json_object_get(message, "tool_call_id"));
    const json_t *content = json_object_get(message, "content");
    const json_t *call = json_object_getn(r->ids, id.p, id.n);
    char number[32];

    if (r->regen_ids) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(call));
        id = auk_str_of(call ? number : "");
    }
    begin_result(r, id);
    if (json_is_array(content)) {
        for (size_t k = 0; k < json_array_size(content); k++) {
            auk_buf_printf(&r->run, "%s\"%zu\": ", k > 0 ? ",\n            " : "", k);
            put_result_item(r, json_array_get(content, k));
        }
    } else {
        put(r, "\"0\": ");
        if (json_is_string(content))
            put_content(r, content);
        else
            put_json(r, content);
    }
    end_result(r);
}

/* The turn that begins with message i, when it begins one: a result that was shown as a later
 * member of a turn never begins another, not even when its id is used again. */
static void put_results(renderer *r, size_t i)
{
    auk_str id = auk_json_str(json_object_get(message_at(r, i), "tool_call_id"));

    if (json_object_getn(r->dropped, id.p, id.n) != NULL)
        return;
    begin_results(r);
    for (size_t k = i; auk_speaker_of(message_at(r, k)) == AUK_TOOL; k++) {
        const json_t *message = message_at(r, k);
        if (k > i) {
            put(r, ",\n    ");
            id = auk_json_str(json_object_get(message, "tool_call_id"));
            json_object_setn_new(r->dropped, id.p, id.n, json_true());
        }
        put_result(r, message);
    }
    end_results(r);
}

/* ---- the whole ---- */

static void read_options(renderer *r)
{
    r->messages = json_object_get(r->request, "messages");
    r->tools = list_of(r, "tools");
    r->documents = list_of(r, "documents");
    r->skip_thinking = flag(r, "skip_thinking", false);
    r->regen_ids = flag(r, "regen_tool_call_ids", true);
    r->next_call = r->documents != NULL ? 1 : 0;
}

/* Returns how many messages it took. */
static size_t put_developer(renderer *r)
{
    auk_str text = text_of(r, "developer_instruction");
    bool first_is_system = auk_speaker_of(message_at(r, 0)) == AUK_SYSTEM;

    if (text.p != NULL) {
        begin_turn(r, "<|SYSTEM_TOKEN|>");
        control(r, "<|START_TEXT|>");
        put_str(r, text);
        control(r, "<|END_TEXT|>");
        end_turn(r);
        return 0;
    }
    if (!first_is_system || !flag(r, "convert_first_system_msg", true))
        return 0;
    put_plain(r, 0);
    bool empty = r->run.n == 0;
    auk_buf_clear(&r->run);
    if (!empty)
        put_system(r, 0);
    return 1;
}

static void put_prompt(renderer *r)
{
    static void (*const puts[AUK_NOBODY])(renderer *, size_t) = {put_system, put_user,
                                                                 put_assistant, put_results};

    put_platform(r);
    for (size_t i = put_developer(r); i < json_array_size(r->messages) && r->rc == AUK_OK; i++)
        puts[auk_speaker_of(message_at(r, i))](r, i);
    if (flag(r, "add_generation_prompt", true)) {
        begin_turn(r, "<|CHATBOT_TOKEN|>");
        control(r, "<|START_THINKING|>");
        if (!auk_request_reasoning(r->request))
            control(r, "<|END_THINKING|>");
    }
    flush(r);
}

int auk_prompt_write(const auk_prompt_sink *sink, const json_t *request, auk_err *err)
{
    renderer r = {.sink = sink, .request = request, .run = AUK_BUF_INIT(AUK_MAX_TEXT), .err = err};

    r.ids = json_object();
    r.dropped = json_object();
    r.rc = auk_request_check(request, r.ids, err);
    if (r.rc == AUK_OK)
        read_options(&r);
    if (r.rc == AUK_OK)
        put_prompt(&r);
    json_decref(r.ids);
    json_decref(r.dropped);
    auk_buf_release(&r.run);
    return r.rc;
}
