/* SPDX-License-Identifier: Apache-2.0 */
/* Anthropic Messages. */
#include "serve/openai.h"

#include "base/limits.h"
#include "base/mem.h"

#include <inttypes.h>

static bool missing(const json_t *v)
{
    return v == NULL || json_is_null(v);
}

static bool is_type(const json_t *o, const char *type)
{
    return auk_str_is(auk_json_str(json_object_get(o, "type")), type);
}

/* ---- the request ---- */

static void append_text(json_t *message, const char *key, auk_str text)
{
    auk_str old = auk_json_str(json_object_get(message, key));
    auk_buf both = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (old.n > 0)
        auk_buf_add(&both, old.p, old.n);
    auk_buf_add(&both, text.p, text.n);
    json_object_set_new(message, key, json_stringn(auk_buf_str(&both).p, both.n));
    auk_buf_release(&both);
}

static int read_result(json_t *messages, const json_t *block, const char *where, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_str id = auk_json_str(json_object_get(block, "tool_use_id"));

    int rc = auk_content_text(&text, json_object_get(block, "content"), where, err);
    if (rc == AUK_OK && id.p == NULL)
        rc = auk_fail(err, AUK_EFORMAT, "%s.tool_use_id is not a string", where);
    if (rc == AUK_OK)
        json_array_append_new(messages,
                              json_pack("{s:s, s:s%, s:s%}", "role", "tool", "tool_call_id", id.p,
                                        id.n, "content", auk_buf_str(&text).p, text.n));
    auk_buf_release(&text);
    return rc;
}

static int read_tool_use(json_t *message, const json_t *block, const char *where, auk_err *err)
{
    json_t *calls = json_object_get(message, "tool_calls");
    json_t *input = json_object_get(block, "input");
    json_t *id = json_object_get(block, "id"), *name = json_object_get(block, "name");

    if (!json_is_string(id) || !json_is_string(name) || !json_is_object(input))
        return auk_fail(err, AUK_EFORMAT, "%s needs an id, a name and an input that is an object",
                        where);
    if (calls == NULL) {
        calls = json_array();
        json_object_set_new(message, "tool_calls", calls);
    }
    json_array_append_new(calls, json_pack("{s:O, s:{s:O, s:o}}", "id", id, "function", "name",
                                           name, "arguments", json_deep_copy(input)));
    return AUK_OK;
}

/* message: the one being put together; results go before it into messages. */
static int read_block(json_t *messages, json_t *message, const json_t *block, const char *where,
                      auk_err *err)
{
    auk_str text = auk_json_str(json_object_get(block, "text"));
    auk_str type = auk_json_str(json_object_get(block, "type"));
    auk_str thinking = auk_json_str(json_object_get(block, "thinking"));

    if (!json_is_object(block))
        return auk_fail(err, AUK_EFORMAT, "%s is not an object", where);
    if (is_type(block, "text")) {
        if (text.p == NULL)
            return auk_fail(err, AUK_EFORMAT, "%s.text is not a string", where);
        append_text(message, "content", text);
    } else if (is_type(block, "thinking")) {
        append_text(message, "thinking", thinking.p ? thinking : (auk_str){"", 0});
    } else if (is_type(block, "tool_use")) {
        return read_tool_use(message, block, where, err);
    } else if (is_type(block, "tool_result")) {
        return read_result(messages, block, where, err);
    } else if (is_type(block, "image") || is_type(block, "document")) {
        return auk_fail(err, AUK_ENOTSUP, "%s is of type '%.*s': this model reads text only", where,
                        AUK_ARG(type));
    }
    return AUK_OK; /* redacted_thinking, server tools: nothing to show */
}

static int read_message(json_t *messages, const json_t *m, size_t i, auk_err *err)
{
    const json_t *role = json_object_get(m, "role"), *content = json_object_get(m, "content");
    json_t *message = json_object();
    char where[80];
    int rc = AUK_OK;

    if (!json_is_object(m) || !json_is_string(role))
        rc = auk_fail(err, AUK_EFORMAT, "messages[%zu] needs a role that is a string", i);
    else if (!json_is_string(content) && !json_is_array(content))
        rc = auk_fail(err, AUK_EFORMAT, "messages[%zu].content is not a string or list", i);
    json_object_set(message, "role", (json_t *)role);
    if (json_is_string(content))
        json_object_set(message, "content", (json_t *)content);
    for (size_t k = 0; k < json_array_size(content) && rc == AUK_OK; k++) {
        snprintf(where, sizeof where, "messages[%zu].content[%zu]", i, k);
        rc = read_block(messages, message, json_array_get(content, k), where, err);
    }
    bool assistant = auk_str_is(auk_json_str(role), "assistant");
    if (json_object_get(message, "content") == NULL && assistant &&
        json_object_get(message, "tool_calls") == NULL)
        json_object_set_new(message, "content", json_string(""));
    if (json_object_size(message) > 1)
        json_array_append(messages, message);
    json_decref(message);
    return rc;
}

static int read_tools(auk_ask *ask, const json_t *tools, auk_err *err)
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
        json_t *schema = json_object_get(tool, "input_schema");
        json_t *name = json_object_get(tool, "name"), *text = json_object_get(tool, "description");
        if (!json_is_object(tool))
            return auk_fail(err, AUK_EFORMAT, "tools[%zu] is not an object", i);
        if (schema == NULL && !missing(json_object_get(tool, "type")) && !is_type(tool, "custom"))
            continue; /* a tool that Anthropic's servers run */
        if (!json_is_string(name))
            return auk_fail(err, AUK_EFORMAT, "tools[%zu].name is not a string", i);
        json_t *f = json_pack("{s:O}", "name", name);
        if (!missing(text))
            json_object_set(f, "description", text);
        if (!missing(schema))
            json_object_set_new(f, "parameters", json_deep_copy(schema));
        json_array_append_new(kept, json_pack("{s:s, s:o}", "type", "function", "function", f));
    }
    return AUK_OK;
}

static int read_choice(auk_ask *ask, const json_t *v, auk_err *err)
{
    auk_str name = auk_json_str(json_object_get(v, "name"));

    if (missing(v))
        return AUK_OK;
    ask->one_call = json_is_true(json_object_get(v, "disable_parallel_tool_use"));
    if (is_type(v, "auto"))
        return AUK_OK;
    if (is_type(v, "none"))
        return auk_choose_tool(ask, AUK_CHOICE_NONE, name, err);
    if (is_type(v, "any"))
        return auk_choose_tool(ask, AUK_CHOICE_REQUIRED, name, err);
    if (is_type(v, "tool") && name.p != NULL)
        return auk_choose_tool(ask, AUK_CHOICE_NAMED, name, err);
    return auk_fail(err, AUK_EINVAL, "'tool_choice.type' must be auto, any, tool or none");
}

static int read_thinking(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *thinking = json_object_get(o, "thinking");
    const json_t *output = json_object_get(o, "output_config");

    /* Thinking is this model's way to answer; a client that did not ask for it is not shown it. */
    ask->include_thinking = is_type(thinking, "enabled") || is_type(thinking, "adaptive");
    if (is_type(thinking, "disabled"))
        json_object_set_new(ask->chat, "reasoning", json_false());
    if (is_type(json_object_get(output, "format"), "json_schema")) {
        int rc = auk_field_format(ask, json_object_get(output, "format"), err);
        if (rc < 0)
            return rc;
    }
    return auk_field_int(&ask->max_thinking, thinking, "budget_tokens", 0, INT32_MAX, err);
}

static int read_system(json_t *messages, const json_t *given, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(given) && rc == AUK_OK; i++) {
        auk_str part = auk_json_str(json_object_get(json_array_get(given, i), "text"));
        if (i > 0 && text.n > 0)
            auk_buf_puts(&text, "\n");
        if (part.p == NULL)
            rc = auk_fail(err, AUK_EFORMAT, "system[%zu].text is not a string", i);
        auk_buf_add(&text, part.p, part.n);
    }
    if (json_is_string(given))
        auk_buf_add(&text, json_string_value(given), json_string_length(given));
    else if (!missing(given) && !json_is_array(given))
        rc = auk_fail(err, AUK_EFORMAT, "'system' must be a string or a list of text blocks");
    if (rc == AUK_OK && text.n > 0)
        json_array_append_new(messages, json_pack("{s:s, s:s%}", "role", "system", "content",
                                                  auk_buf_str(&text).p, text.n));
    auk_buf_release(&text);
    return rc;
}

static int parse(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *messages = json_object_get(o, "messages");
    json_t *kept = json_array();

    ask->chat = json_pack("{s:o}", "messages", kept);
    int rc = auk_field_model(ask, o, err);
    if (rc == AUK_OK)
        rc = read_system(kept, json_object_get(o, "system"), err);
    if (rc == AUK_OK && !json_is_array(messages))
        rc = auk_fail(err, AUK_EFORMAT, "'messages' must be a list");
    if (rc == AUK_OK && json_array_size(messages) == 0)
        rc = auk_fail(err, AUK_EINVAL, "messages: at least one message is required");
    for (size_t i = 0; i < json_array_size(messages) && rc == AUK_OK; i++)
        rc = read_message(kept, json_array_get(messages, i), i, err);
    if (rc == AUK_OK && json_array_size(json_object_get(o, "mcp_servers")) > 0)
        rc = auk_fail(err, AUK_ENOTSUP, "'mcp_servers' is not offered: connect them in the client");
    if (rc == AUK_OK)
        rc = read_tools(ask, json_object_get(o, "tools"), err);
    if (rc == AUK_OK)
        rc = read_choice(ask, json_object_get(o, "tool_choice"), err);
    if (rc == AUK_OK)
        rc = read_thinking(ask, o, err);
    if (rc == AUK_OK)
        rc = auk_field_sampling(ask, o, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->max_tokens, o, "max_tokens", 1, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->stream, o, "stream", err);
    if (rc == AUK_OK)
        rc = auk_field_stops(ask, json_object_get(o, "stop_sequences"), "stop_sequences", err);
    /* Claude Code's side requests go to its small model */
    ask->minor = rc == AUK_OK && strstr(ask->model, "haiku") != NULL;
    return rc;
}

/* ---- the answer ---- */

enum { NO_BLOCK, THINKING, TEXT, TOOL };

/* Some clients drop thinking without a signature; ours says only that it came from here. */
static void put_signature(const auk_printer *p, auk_buf *out)
{
    auk_buf_printf(out, "auklet-%s-%d", p->id, p->index);
}

static void put_usage(auk_buf *out, const auk_usage *u)
{
    auk_buf_printf(out,
                   "\"usage\":{\"input_tokens\":%" PRId64 ",\"cache_creation_input_tokens\":0,"
                   "\"cache_read_input_tokens\":%" PRId64 ",\"output_tokens\":%" PRId64 "}",
                   u->prompt - u->cached, u->cached, u->completion);
}

static void begin_event(auk_buf *out, const char *name)
{
    auk_buf_printf(out, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static void end_event(auk_buf *out)
{
    auk_buf_puts(out, "}\n\n");
}

static void put_start(auk_printer *p, auk_buf *out)
{
    if (p->begun)
        return;
    p->begun = true;
    begin_event(out, "message_start");
    auk_buf_printf(out,
                   ",\"message\":{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":"
                   "\"assistant\",",
                   p->id);
    auk_put_text(out, "model", auk_str_of(p->ask->model));
    auk_buf_puts(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,");
    put_usage(out, &p->usage);
    auk_buf_putc(out, '}');
    end_event(out);
}

static void put_delta(const auk_printer *p, auk_buf *out, const char *type, const char *key,
                      auk_str text)
{
    begin_event(out, "content_block_delta");
    auk_buf_printf(out, ",\"index\":%d,\"delta\":{\"type\":\"%s\",", p->index, type);
    auk_put_text(out, key, text);
    auk_buf_putc(out, '}');
    end_event(out);
}

static void close_block(auk_printer *p, auk_buf *out)
{
    if (p->block == NO_BLOCK)
        return;
    if (p->block == THINKING) {
        begin_event(out, "content_block_delta");
        auk_buf_printf(out,
                       ",\"index\":%d,\"delta\":{\"type\":\"signature_delta\","
                       "\"signature\":\"",
                       p->index);
        put_signature(p, out);
        auk_buf_puts(out, "\"}");
        end_event(out);
    }
    begin_event(out, "content_block_stop");
    auk_buf_printf(out, ",\"index\":%d", p->index++);
    end_event(out);
    p->block = NO_BLOCK;
}

static void open_block(auk_printer *p, auk_buf *out, int block)
{
    static const char *const bodies[] = {
        NULL, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}",
        "{\"type\":\"text\",\"text\":\"\"}"};

    put_start(p, out);
    if (p->block == block)
        return;
    close_block(p, out);
    p->block = block;
    begin_event(out, "content_block_start");
    auk_buf_printf(out, ",\"index\":%d,\"content_block\":%s", p->index, bodies[block]);
    end_event(out);
}

static void open_tool(auk_printer *p, auk_buf *out, const auk_say *s)
{
    put_start(p, out);
    close_block(p, out);
    p->block = TOOL;
    begin_event(out, "content_block_start");
    auk_buf_printf(out, ",\"index\":%d,\"content_block\":{\"type\":\"tool_use\",", p->index);
    auk_put_text(out, "id", s->id);
    auk_buf_putc(out, ',');
    auk_put_text(out, "name", s->text);
    auk_buf_puts(out, ",\"input\":{}}");
    end_event(out);
}

static void put_stop(auk_buf *out, const auk_say *s)
{
    static const char *const reasons[] = {
        [AUK_END_STOP] = "end_turn",     [AUK_END_SEQUENCE] = "stop_sequence",
        [AUK_END_LENGTH] = "max_tokens", [AUK_END_LOOP] = "max_tokens",
        [AUK_END_TOOLS] = "tool_use",    [AUK_END_LOAD] = "end_turn",
        [AUK_END_UNLOAD] = "end_turn"};

    auk_buf_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", reasons[s->end]);
    if (s->end == AUK_END_SEQUENCE && s->stop.p != NULL)
        auk_json_print_string(out, s->stop, false);
    else
        auk_buf_puts(out, "null");
}

static void put_finish(auk_printer *p, auk_buf *out, const auk_say *s)
{
    put_start(p, out);
    close_block(p, out);
    begin_event(out, "message_delta");
    auk_buf_puts(out, ",\"delta\":{");
    put_stop(out, s);
    auk_buf_puts(out, "},");
    put_usage(out, &s->usage);
    end_event(out);
    begin_event(out, "message_stop");
    end_event(out);
}

static void put_error(const auk_printer *p, auk_buf *out, const auk_say *s)
{
    auk_err e = {.code = s->code};

    snprintf(e.msg, sizeof e.msg, "%.*s", AUK_ARG(s->text));
    if (p->ask->stream)
        auk_buf_puts(out, "event: error\ndata: ");
    auk_print_anthropic_error(out, 500, &e, NULL);
    if (p->ask->stream)
        auk_buf_puts(out, "\n\n");
}

static void put_ping(auk_buf *out)
{
    begin_event(out, "ping");
    end_event(out);
}

static void print_stream(auk_printer *p, auk_buf *out, const auk_say *s)
{
    switch (s->kind) {
    case AUK_SAY_ACCEPTED:
        put_ping(out);
        break;
    case AUK_SAY_PREFILL:
        put_start(p, out);
        break;
    case AUK_SAY_THINK:
        if (!p->ask->include_thinking)
            break;
        open_block(p, out, THINKING);
        put_delta(p, out, "thinking_delta", "thinking", s->text);
        break;
    case AUK_SAY_TEXT:
        open_block(p, out, TEXT);
        put_delta(p, out, "text_delta", "text", s->text);
        break;
    case AUK_SAY_TOOL_BEGIN:
        open_tool(p, out, s);
        break;
    case AUK_SAY_TOOL_ARGS:
        put_delta(p, out, "input_json_delta", "partial_json", s->text);
        break;
    case AUK_SAY_TOOL_END:
        close_block(p, out);
        break;
    case AUK_SAY_FINISH:
        put_finish(p, out, s);
        break;
    default:
        break;
    }
}

static void separate(auk_buf *out, const char **separator)
{
    auk_buf_puts(out, *separator);
    *separator = ",";
}

static void put_content(auk_printer *p, auk_buf *out)
{
    const char *separator = "";

    auk_buf_puts(out, "\"content\":[");
    if (p->thinking.n > 0 && p->ask->include_thinking) {
        separate(out, &separator);
        auk_buf_puts(out, "{\"type\":\"thinking\",");
        auk_put_text(out, "thinking", auk_buf_str(&p->thinking));
        auk_buf_puts(out, ",\"signature\":\"");
        put_signature(p, out);
        auk_buf_puts(out, "\"}");
    }
    if (p->text.n > 0) {
        separate(out, &separator);
        auk_buf_puts(out, "{\"type\":\"text\",");
        auk_put_text(out, "text", auk_buf_str(&p->text));
        auk_buf_putc(out, '}');
    }
    for (size_t i = 0; i < json_array_size(p->calls); i++) {
        const json_t *c = json_array_get(p->calls, i);
        auk_str args = auk_json_str(json_object_get(c, "arguments"));
        separate(out, &separator);
        auk_buf_puts(out, "{\"type\":\"tool_use\",");
        auk_put_text(out, "id", auk_json_str(json_object_get(c, "id")));
        auk_buf_putc(out, ',');
        auk_put_text(out, "name", auk_json_str(json_object_get(c, "name")));
        auk_buf_puts(out, ",\"input\":");
        auk_buf_add(out, args.p, args.n);
        auk_buf_putc(out, '}');
    }
    auk_buf_puts(out, "],");
}

static void print(auk_printer *p, auk_buf *out, const auk_say *s)
{
    auk_printer_take(p, s);
    if (s->kind == AUK_SAY_ERROR) {
        put_error(p, out, s);
    } else if (p->ask->stream) {
        print_stream(p, out, s);
    } else if (s->kind == AUK_SAY_FINISH) {
        auk_buf_printf(out, "{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",",
                       p->id);
        auk_put_text(out, "model", auk_str_of(p->ask->model));
        auk_buf_putc(out, ',');
        put_content(p, out);
        put_stop(out, s);
        auk_buf_putc(out, ',');
        put_usage(out, &s->usage);
        auk_buf_putc(out, '}');
    }
}

static void keep_alive(auk_printer *p, auk_buf *out)
{
    if (p->ask->stream)
        put_ping(out);
    else
        auk_buf_putc(out, ' ');
}

const auk_dialect auk_dialect_anthropic = {
    .name = "anthropic",
    .stream_type = "text/event-stream; charset=utf-8",
    .parse = parse,
    .print = print,
    .keep_alive = keep_alive,
    .print_error = auk_print_anthropic_error,
};
