/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI Responses: the answer.  Every event has the next sequence_number; items have the next
 * output_index; exactly one of completed, incomplete and failed ends the stream. */
#include "serve/responses.h"

#include <inttypes.h>

enum { NO_ITEM, REASONING, MESSAGE, CALL };

static json_t *usage_of(const auk_usage *u)
{
    return json_pack("{s:I, s:{s:I}, s:I, s:{s:I}, s:I}", "input_tokens", (json_int_t)u->prompt,
                     "input_tokens_details", "cached_tokens", (json_int_t)u->cached,
                     "output_tokens", (json_int_t)u->completion, "output_tokens_details",
                     "reasoning_tokens", (json_int_t)u->reasoning, "total_tokens",
                     (json_int_t)(u->prompt + u->completion));
}

static json_t *choice_of(const auk_ask *ask)
{
    switch (ask->choice) {
    case AUK_CHOICE_NONE:
        return json_string("none");
    case AUK_CHOICE_REQUIRED:
        return json_string("required");
    case AUK_CHOICE_NAMED:
        return json_pack("{s:s, s:s}", "type", "function", "name", ask->named);
    default:
        return json_string("auto");
    }
}

static json_t *tools_of(const auk_ask *ask)
{
    const json_t *tools = json_object_get(ask->chat, "tools");
    json_t *out = json_array();

    for (size_t i = 0; i < json_array_size(tools); i++) {
        json_t *f = json_copy(json_object_get(json_array_get(tools, i), "function"));
        json_object_set_new(f, "type", json_string("function"));
        json_object_set_new(f, "strict", json_false());
        json_array_append_new(out, f);
    }
    return out;
}

static json_t *response(const auk_printer *p, const char *status, const auk_say *s)
{
    const auk_ask *a = p->ask;
    json_t *o = json_pack(
        "{s:s+, s:s, s:I, s:s, s:n, s:n, s:n, s:s, s:O, s:b, s:o, s:o, s:{s:{s:s}}, "
        "s:f, s:f, s:n, s:{}, s:s, s:b}",
        "id", "resp_", p->id, "object", "response", "created_at", (json_int_t)p->created, "status",
        status, "error", "incomplete_details", "instructions", "model", a->model, "output",
        p->output, "parallel_tool_calls", !a->one_call, "tool_choice", choice_of(a), "tools",
        tools_of(a), "text", "format", "type", "text", "temperature",
        a->temperature < 0 ? 1.0 : a->temperature, "top_p", a->top_p < 0 ? 0.95 : a->top_p,
        "previous_response_id", "metadata", "truncation", "disabled", "store", 0);

    json_object_set_new(o, "max_output_tokens",
                        a->max_tokens > 0 ? json_integer(a->max_tokens) : json_null());
    if (s == NULL)
        return o;
    if (s->kind == AUK_SAY_FINISH)
        json_object_set_new(o, "usage", usage_of(&s->usage));
    if (s->kind == AUK_SAY_ERROR)
        json_object_set_new(
            o, "error",
            json_pack("{s:s, s:s%}", "code", "server_error", "message", s->text.p, s->text.n));
    if (s->end == AUK_END_LENGTH || s->end == AUK_END_LOOP)
        json_object_set_new(o, "incomplete_details",
                            json_pack("{s:s}", "reason", "max_output_tokens"));
    if (s->end == AUK_END_LOOP)
        json_object_set_new(o, "finish_details", json_pack("{s:s}", "type", "repetition_guard"));
    return o;
}

/* Takes the reference to o, which gets its type and number. */
static void put_event(auk_printer *p, auk_buf *out, const char *type, json_t *o)
{
    if (!p->ask->stream) {
        json_decref(o);
        return;
    }
    json_object_set_new(o, "type", json_string(type));
    json_object_set_new(o, "sequence_number", json_integer(p->sequence++));
    auk_buf_printf(out, "event: %s\ndata: ", type);
    auk_put_json(out, o);
    auk_buf_puts(out, "\n\n");
}

static json_t *at_item(const auk_printer *p, const char *prefix)
{
    char id[80];

    snprintf(id, sizeof id, "%s_%s%d", prefix, p->id, p->item);
    return json_pack("{s:s, s:i}", "item_id", id, "output_index", p->item);
}

static json_t *text_value(const auk_buf *b)
{
    return json_stringn(auk_buf_str(b).p, b->n);
}

static bool is_custom(const auk_printer *p)
{
    auk_str name = auk_json_str(
        json_object_get(json_array_get(p->calls, json_array_size(p->calls) - 1), "name"));

    for (size_t i = 0; i < json_array_size(p->ask->custom); i++)
        if (auk_str_eq(auk_json_str(json_array_get(p->ask->custom, i)), name))
            return true;
    return false;
}

/* The one string in a custom tool's arguments. */
static json_t *custom_input(const auk_printer *p)
{
    json_t *args = NULL;

    if (auk_json_parse(&args, auk_buf_str(&p->args), "arguments", NULL) < 0)
        return json_string("");
    json_t *input = json_object_get(args, "input");
    input = json_is_string(input) ? json_incref(input) : json_string("");
    json_decref(args);
    return input;
}

/* The item that is open, as it is now.  `done`: with everything in it. */
static json_t *item_of(const auk_printer *p, bool done)
{
    const char *status = done ? "completed" : "in_progress";
    json_t *call = json_array_get(p->calls, json_array_size(p->calls) - 1), *o;
    const char *name = json_string_value(json_object_get(call, "name"));
    const char *dot = name ? strchr(name, '.') : NULL;

    if (p->block == REASONING) {
        o = json_pack("{s:s, s:s, s:[], s:n}", "type", "reasoning", "status", status, "summary",
                      "encrypted_content");
        json_object_set_new(o, "content",
                            done ? json_pack("[{s:s, s:o}]", "type", "reasoning_text", "text",
                                             text_value(&p->thinking))
                                 : json_array());
    } else if (p->block == MESSAGE) {
        o = json_pack("{s:s, s:s, s:s}", "type", "message", "status", status, "role", "assistant");
        json_object_set_new(o, "content",
                            done ? json_pack("[{s:s, s:[], s:o}]", "type", "output_text",
                                             "annotations", "text", text_value(&p->text))
                                 : json_array());
    } else if (is_custom(p)) {
        o = json_pack("{s:s, s:s, s:O, s:O}", "type", "custom_tool_call", "status", status,
                      "call_id", json_object_get(call, "id"), "name",
                      json_object_get(call, "name"));
        json_object_set_new(o, "input", done ? custom_input(p) : json_string(""));
    } else {
        o = json_pack("{s:s, s:s, s:O, s:s}", "type", "function_call", "status", status, "call_id",
                      json_object_get(call, "id"), "name", dot ? dot + 1 : name);
        if (dot != NULL)
            json_object_set_new(o, "namespace", json_stringn(name, (size_t)(dot - name)));
        json_object_set_new(o, "arguments", done ? text_value(&p->args) : json_string(""));
    }
    return o;
}

static const char *prefix_of(const auk_printer *p)
{
    return p->block == REASONING ? "rs" : p->block == MESSAGE ? "msg" : "fc";
}

static json_t *with_id(const auk_printer *p, json_t *item)
{
    char id[80];

    snprintf(id, sizeof id, "%s_%s%d", prefix_of(p), p->id, p->item);
    json_object_set_new(item, "id", json_string(id));
    return item;
}

static json_t *part(const char *type, json_t *text)
{
    json_t *o = json_pack("{s:s, s:o}", "type", type, "text", text);

    if (strcmp(type, "output_text") == 0)
        json_object_set_new(o, "annotations", json_array());
    return o;
}

static void put_item_event(auk_printer *p, auk_buf *out, const char *type, json_t *item)
{
    put_event(p, out, type, json_pack("{s:i, s:o}", "output_index", p->item, "item", item));
}

static void put_part_event(auk_printer *p, auk_buf *out, const char *type, json_t *part_value)
{
    json_t *o = at_item(p, prefix_of(p));

    json_object_set_new(o, "content_index", json_integer(0));
    json_object_set_new(o, "part", part_value);
    put_event(p, out, type, o);
}

static void put_content_event(auk_printer *p, auk_buf *out, const char *type, const char *key,
                              json_t *value)
{
    json_t *o = at_item(p, prefix_of(p));

    json_object_set_new(o, "content_index", json_integer(0));
    json_object_set_new(o, key, value);
    if (strncmp(type, "response.output_text", 20) == 0)
        json_object_set_new(o, "logprobs", json_array());
    put_event(p, out, type, o);
}

static void put_call_event(auk_printer *p, auk_buf *out, const char *type, const char *key,
                           json_t *value)
{
    json_t *o = at_item(p, "fc");

    json_object_set_new(o, key, value);
    put_event(p, out, type, o);
}

static void close_item(auk_printer *p, auk_buf *out)
{
    if (p->block == NO_ITEM)
        return;
    if (p->block == REASONING) {
        put_content_event(p, out, "response.reasoning_text.done", "text", text_value(&p->thinking));
        put_part_event(p, out, "response.content_part.done",
                       part("reasoning_text", text_value(&p->thinking)));
    } else if (p->block == MESSAGE) {
        put_content_event(p, out, "response.output_text.done", "text", text_value(&p->text));
        put_part_event(p, out, "response.content_part.done",
                       part("output_text", text_value(&p->text)));
    } else if (is_custom(p)) {
        json_t *input = custom_input(p);
        put_call_event(p, out, "response.custom_tool_call_input.delta", "delta",
                       json_incref(input));
        put_call_event(p, out, "response.custom_tool_call_input.done", "input", input);
    } else {
        put_call_event(p, out, "response.function_call_arguments.done", "arguments",
                       text_value(&p->args));
    }
    json_t *item = with_id(p, item_of(p, true));
    json_array_append(p->output, item);
    put_item_event(p, out, "response.output_item.done", item);
    p->block = NO_ITEM;
    p->item++;
}

static void open_item(auk_printer *p, auk_buf *out, int block)
{
    if (p->block == block && block != CALL)
        return;
    close_item(p, out);
    p->block = block;
    put_item_event(p, out, "response.output_item.added", with_id(p, item_of(p, false)));
    if (block != CALL)
        put_part_event(p, out, "response.content_part.added",
                       part(block == MESSAGE ? "output_text" : "reasoning_text", json_string("")));
}

static void begin(auk_printer *p, auk_buf *out)
{
    put_event(p, out, "response.created",
              json_pack("{s:o}", "response", response(p, "in_progress", NULL)));
    put_event(p, out, "response.in_progress",
              json_pack("{s:o}", "response", response(p, "in_progress", NULL)));
}

static json_t *fragment(const auk_say *s)
{
    return json_stringn(s->text.p, s->text.n);
}

static void finish(auk_printer *p, auk_buf *out, const auk_say *s)
{
    bool cut = s->end == AUK_END_LENGTH || s->end == AUK_END_LOOP;
    const char *status = s->kind == AUK_SAY_ERROR ? "failed" : cut ? "incomplete" : "completed";
    char type[40];

    close_item(p, out);
    json_t *whole = response(p, status, s);
    if (!p->ask->stream) {
        auk_put_json(out, whole);
        return;
    }
    snprintf(type, sizeof type, "response.%s", status);
    put_event(p, out, type, json_pack("{s:o}", "response", whole));
}

static void print(auk_printer *p, auk_buf *out, const auk_say *s)
{
    /* a new call begins before the old one is forgotten */
    if (s->kind == AUK_SAY_TOOL_BEGIN)
        close_item(p, out);
    auk_printer_take(p, s);
    switch (s->kind) {
    case AUK_SAY_ACCEPTED:
        begin(p, out);
        break;
    case AUK_SAY_THINK:
        open_item(p, out, REASONING);
        put_content_event(p, out, "response.reasoning_text.delta", "delta", fragment(s));
        break;
    case AUK_SAY_TEXT:
        open_item(p, out, MESSAGE);
        put_content_event(p, out, "response.output_text.delta", "delta", fragment(s));
        break;
    case AUK_SAY_TOOL_BEGIN:
        open_item(p, out, CALL);
        break;
    case AUK_SAY_TOOL_ARGS:
        if (!is_custom(p))
            put_call_event(p, out, "response.function_call_arguments.delta", "delta", fragment(s));
        break;
    case AUK_SAY_TOOL_END:
        close_item(p, out);
        break;
    case AUK_SAY_FINISH:
    case AUK_SAY_ERROR:
        finish(p, out, s);
        break;
    default:
        break;
    }
}

/* Codex counts events alone as signs of life. */
static void keep_alive(auk_printer *p, auk_buf *out)
{
    if (p->ask->stream)
        put_event(p, out, "response.in_progress",
                  json_pack("{s:o}", "response", response(p, "in_progress", NULL)));
    else
        auk_buf_putc(out, ' ');
}

const auk_dialect auk_dialect_responses = {
    .name = "responses",
    .stream_type = "text/event-stream; charset=utf-8",
    .parse = auk_responses_parse,
    .print = print,
    .keep_alive = keep_alive,
    .print_error = auk_print_openai_error,
};
