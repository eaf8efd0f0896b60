/* SPDX-License-Identifier: Apache-2.0 */
/* The chat template of the released model, written out.  The order of functions is the order of
 * the prompt: platform turn, developer turn, messages, generation. */
#include "text/template.h"

#include "base/limits.h"
#include "text/python_repr.h"
#include "text/text.h"

#include <stdarg.h>
#include <strings.h>

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

static const char platform_text[] =
    "These instructions are always to be followed and cannot be overridden by subsequent system or "
    "user turns:\n- You will answer requests for educational, informative, or creative content "
    "related to safety categories. You will not provide content that is harmful or could be used "
    "to cause harm.\n\nThese instructions serve as your defaults, but they can be overridden in "
    "subsequent system or user turns:\n- Your name is North Mini Code.\n- You are a large language "
    "model built by Cohere.";

static const char grounding_text[] =
    "Note that both your responses and reflections can be grounded. Grounding means you associate "
    "pieces of texts (called \"spans\") with those specific tool results that support them (called "
    "\"sources\"). And you use a pair of tags \"<co>\" and \"</co>\" to indicate when a span can "
    "be grounded onto a list of sources, listing them out in the closing tag. Sources from the "
    "same tool call are grouped together and listed as \"{tool_call_id}:[{list of result "
    "indices}]\", before they are joined together by \",\". E.g., \"<co>span</co: "
    "0:[1,2],1:[0]>\" means that \"span\" is supported by result 1 and 2 from \"tool_call_id=0\" "
    "as well as result 0 from \"tool_call_id=1\".\n\n";

static const char document_tool[] =
    "    {\"name\": \"direct-injected-document\", \"description\": \"This is a special tool to "
    "directly inject user-uploaded documents into the chat as additional context. DO NOT use this "
    "tool by yourself!\", \"parameters\": {\"type\": \"object\", \"properties\": {}, \"required\": "
    "[]}, \"responses\": {\"200\": {\"description\": \"Successfully returned a list of chunked "
    "text snippets from the directly uploaded documents.\", \"content\": {\"application/json\": "
    "{\"schema\": {\"type\": \"array\", \"items\": {\"type\": \"object\", \"required\": [\"url\", "
    "\"snippet\"], \"properties\": {\"url\": {\"type\": \"string\", \"description\": \"The url of "
    "the uploaded document.\"}, \"snippet\": {\"type\": \"string\", \"description\": \"The text "
    "snippet for the returned document chunk.\"}}}}}}}}}";

static const char json_text[] =
    "\n\nWhen generating JSON objects, do not generate block markers. Generate an object directly "
    "without prefixing with ```json. Return only the JSON and nothing else.";

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

/* Roles and efforts are compared without case. */
static bool is_word(const json_t *v, const char *word)
{
    auk_str s = auk_json_str(v);

    return s.p != NULL && s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
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
        put(r, document_tool);
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
    put(r, json_text);
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
    put_str(r, instead.p ? instead : auk_str_of(platform_text));
    put(r, "\n\n");
    if (auk_str_is(text_of(r, "grounding"), "enabled") && (r->tools || r->documents))
        put(r, grounding_text);
    put_tools(r);
    put_json_mode(r);
    control(r, "<|END_TEXT|>");
    end_turn(r);
}

/* ---- messages ---- */

typedef enum speaker { SYSTEM, USER, ASSISTANT, TOOL, N_SPEAKERS, UNKNOWN } speaker;

static const struct {
    const char *name;
    speaker role;
} role_names[] = {{"system", SYSTEM},
                  {"user", USER},
                  {"assistant", ASSISTANT},
                  {"chatbot", ASSISTANT},
                  {"tool", TOOL}};

static speaker role_of(const json_t *message)
{
    const json_t *v = json_object_get(message, "role");

    for (size_t i = 0; i < sizeof role_names / sizeof *role_names; i++)
        if (is_word(v, role_names[i].name))
            return role_names[i].role;
    return UNKNOWN;
}

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
    for (size_t k = i; role_of(message_at(r, k)) == TOOL; k++) {
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

static void check_calls(renderer *r, size_t i, size_t *count)
{
    const json_t *calls = json_object_get(message_at(r, i), "tool_calls");

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

static void check_message(renderer *r, size_t i)
{
    const json_t *message = message_at(r, i), *content = json_object_get(message, "content");
    speaker role = role_of(message);
    bool listed = json_is_string(content) || json_is_array(content);

    if (!json_is_object(message))
        fail(r, "messages[%zu] is not an object", i);
    else if (!json_is_string(json_object_get(message, "role")))
        fail(r, "messages[%zu].role is not a string", i);
    else if (role == UNKNOWN)
        fail(r, "messages[%zu].role is '%s', want system, user, assistant, chatbot or tool", i,
             json_string_value(json_object_get(message, "role")));
    else if (role == TOOL && !listed && !json_is_object(content))
        fail(r, "messages[%zu].content is not a string, list or object", i);
    else if (role != TOOL && !listed && !(role == ASSISTANT && is_none(content)))
        fail(r, "messages[%zu].content is not a string or list", i);
    else if (role == TOOL && !json_is_string(json_object_get(message, "tool_call_id")))
        fail(r, "messages[%zu].tool_call_id is not a string", i);
    for (size_t k = 0; role != TOOL && k < json_array_size(content); k++)
        if (!json_is_object(json_array_get(content, k)))
            fail(r, "messages[%zu].content[%zu] is not an object", i, k);
}

static void check_request(renderer *r)
{
    const json_t *messages = json_object_get(r->request, "messages");
    size_t count = 0;

    if (!json_is_object(r->request))
        fail(r, "the request is not an object");
    else if (!json_is_array(messages))
        fail(r, "messages is not a list");
    r->messages = messages;
    r->tools = list_of(r, "tools");
    r->documents = list_of(r, "documents");
    r->skip_thinking = flag(r, "skip_thinking", false);
    r->regen_ids = flag(r, "regen_tool_call_ids", true);
    r->next_call = r->documents != NULL ? 1 : 0;
    for (size_t i = 0; i < json_array_size(r->messages) && r->rc == AUK_OK; i++) {
        check_message(r, i);
        check_calls(r, i, &count);
    }
}

/* Returns how many messages it took. */
static size_t put_developer(renderer *r)
{
    auk_str text = text_of(r, "developer_instruction");
    bool first_is_system = role_of(message_at(r, 0)) == SYSTEM;

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
    static void (*const puts[N_SPEAKERS])(renderer *, size_t) = {put_system, put_user,
                                                                 put_assistant, put_results};

    put_platform(r);
    for (size_t i = put_developer(r); i < json_array_size(r->messages) && r->rc == AUK_OK; i++)
        puts[role_of(message_at(r, i))](r, i);
    if (flag(r, "add_generation_prompt", true)) {
        begin_turn(r, "<|CHATBOT_TOKEN|>");
        control(r, "<|START_THINKING|>");
        if (!auk_request_reasoning(r->request))
            control(r, "<|END_THINKING|>");
    }
    flush(r);
}

bool auk_request_reasoning(const json_t *request)
{
    const json_t *reasoning = json_object_get(request, "reasoning");
    const json_t *effort = json_object_get(request, "reasoning_effort");

    if (is_word(effort, "none"))
        return false;
    return reasoning == NULL || auk_python_true(reasoning);
}

int auk_prompt_write(const auk_prompt_sink *sink, const json_t *request, auk_err *err)
{
    renderer r = {.sink = sink, .request = request, .run = AUK_BUF_INIT(AUK_MAX_TEXT), .err = err};

    r.ids = json_object();
    r.dropped = json_object();
    check_request(&r);
    if (r.rc == AUK_OK)
        put_prompt(&r);
    json_decref(r.ids);
    json_decref(r.dropped);
    auk_buf_release(&r.run);
    return r.rc;
}
