/* SPDX-License-Identifier: Apache-2.0 */
/* Ollama's native chat and generate. */
#include "serve/openai.h"

#include "base/mem.h"

#include <inttypes.h>
#include <math.h>

static bool missing(const json_t *v)
{
    return v == NULL || json_is_null(v);
}

/* ---- the request ---- */

/* Ollama's names, types and places of what a request may set. */
static int read_options(auk_ask *ask, const json_t *o, auk_err *err)
{
    static const struct {
        const char *name;
        bool integer;
    } known[] = {{"num_ctx", true},   {"num_predict", true},       {"top_k", true},
                 {"seed", true},      {"temperature", false},      {"top_p", false},
                 {"min_p", false},    {"repeat_penalty", false},   {"repeat_last_n", true},
                 {"num_keep", true},  {"presence_penalty", false}, {"frequency_penalty", false},
                 {"typical_p", false}};
    const json_t *options = json_object_get(o, "options");
    int64_t num_predict = -1;

    if (missing(options))
        return AUK_OK;
    if (!json_is_object(options))
        return auk_fail(err, AUK_EFORMAT, "'options' must be an object");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const json_t *v = json_object_get(options, known[i].name);
        double x = json_number_value(v);
        if (!missing(v) && (!json_is_number(v) || (known[i].integer && x != floor(x))))
            return auk_fail(err, AUK_EFORMAT, "option \"%s\" must be of type %s", known[i].name,
                            known[i].integer ? "integer" : "float32");
    }
    int rc = auk_field_sampling(ask, options, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&num_predict, options, "num_predict", INT32_MIN, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->num_ctx, options, "num_ctx", 0, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_stops(ask, json_object_get(options, "stop"), "options.stop", err);
    ask->max_tokens = num_predict;
    return rc;
}

/* Seconds, or a Go duration: "10m", "1h30m", "-1". */
static int read_keep_alive(auk_ask *ask, const json_t *v, auk_err *err)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}};
    const char *at = json_string_value(v);
    double sum = 0;

    if (missing(v))
        return AUK_OK;
    ask->has_keep_alive = true;
    ask->keep_alive_s = json_number_value(v);
    if (json_is_number(v))
        return AUK_OK;
    bool negative = at != NULL && *at == '-';
    at = negative ? at + 1 : at;
    if (at == NULL || *at == 0)
        return auk_fail(err, AUK_EFORMAT, "'keep_alive' must be seconds or a duration as \"10m\"");
    while (*at != 0) {
        char *end;
        double n = strtod(at, &end), scale = *end == 0 ? 1 : 0;
        size_t length = 0;
        for (size_t i = 0; i < sizeof units / sizeof *units && scale == 0; i++)
            if (strncmp(end, units[i].unit, strlen(units[i].unit)) == 0) {
                scale = units[i].seconds;
                length = strlen(units[i].unit);
            }
        if (end == at || scale == 0 || !isfinite(n))
            return auk_fail(err, AUK_EFORMAT, "'keep_alive' is no duration as \"10m\"");
        sum += n * scale;
        at = end + length;
    }
    ask->keep_alive_s = negative ? -sum : sum;
    return AUK_OK;
}

static int read_format(auk_ask *ask, const json_t *format, auk_err *err)
{
    if (missing(format) || (json_is_string(format) && json_string_length(format) == 0))
        return AUK_OK;
    if (auk_str_is(auk_json_str(format), "json"))
        ask->json_mode = true;
    else if (json_is_object(format))
        ask->schema = json_incref((json_t *)format);
    else
        return auk_fail(err, AUK_EINVAL, "invalid format: it must be \"json\" or a JSON schema");
    if (ask->chat == NULL)
        return AUK_OK;
    json_t *o = json_pack("{s:s}", "type", "json_object");
    if (json_is_object(format))
        json_object_set(o, "json_schema", (json_t *)format);
    json_object_set_new(ask->chat, "response_format", o);
    return AUK_OK;
}

static int read_think(auk_ask *ask, const json_t *v, auk_err *err)
{
    static const char *const levels[] = {"low", "medium", "high", "max"};
    bool known = missing(v) || json_is_boolean(v);

    for (size_t i = 0; i < 4; i++)
        known = known || auk_str_is(auk_json_str(v), levels[i]);
    if (!known)
        return auk_fail(err, AUK_EINVAL, "'think' must be a boolean, low, medium, high or max");
    if (json_is_boolean(v) && ask->chat != NULL)
        json_object_set(ask->chat, "reasoning", (json_t *)v);
    return AUK_OK;
}

static int read_common(auk_ask *ask, const json_t *o, auk_err *err)
{
    int64_t top = 0;
    bool logprobs = false;

    ask->stream = true;
    int rc = auk_field_bool(&ask->stream, o, "stream", err);
    if (rc == AUK_OK)
        rc = read_options(ask, o, err);
    if (rc == AUK_OK)
        rc = read_keep_alive(ask, json_object_get(o, "keep_alive"), err);
    if (rc == AUK_OK)
        rc = read_format(ask, json_object_get(o, "format"), err);
    if (rc == AUK_OK)
        rc = read_think(ask, json_object_get(o, "think"), err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->truncate, o, "truncate", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&logprobs, o, "logprobs", err);
    if (rc == AUK_OK && auk_field_int(&top, o, "top_logprobs", 0, 20, NULL) < 0)
        rc = auk_fail(err, AUK_EINVAL, "top_logprobs must be between 0 and 20");
    if (rc == AUK_OK && logprobs)
        rc = auk_fail(err, AUK_ENOTSUP, "'logprobs' is not offered by this server");
    ask->unload = ask->has_keep_alive && ask->keep_alive_s == 0;
    return rc;
}

static bool has_images(const json_t *o)
{
    return json_array_size(json_object_get(o, "images")) > 0;
}

static int parse_chat(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *messages = json_object_get(o, "messages");
    json_t *kept = json_array();

    ask->chat = json_pack("{s:o}", "messages", kept);
    int rc = auk_field_model(ask, o, err);
    if (rc == AUK_OK && !missing(messages) && !json_is_array(messages))
        rc = auk_fail(err, AUK_EFORMAT, "'messages' must be a list");
    for (size_t i = 0; i < json_array_size(messages) && rc == AUK_OK; i++) {
        const json_t *m = json_array_get(messages, i);
        json_t *to;
        rc = auk_openai_message(&to, m, i, err);
        json_array_append_new(kept, to);
        if (rc == AUK_OK && has_images(m))
            rc = auk_fail(err, AUK_ENOTSUP, "\"%s\" does not support images", ask->model);
        if (rc == AUK_OK && missing(json_object_get(to, "content")))
            json_object_set_new(to, "content", json_string("")); /* a missing text is empty */
    }
    if (rc == AUK_OK)
        rc = auk_openai_tools(ask, json_object_get(o, "tools"), err);
    if (rc == AUK_OK)
        rc = auk_openai_choice(ask, json_object_get(o, "tool_choice"), err);
    ask->load_only = json_array_size(kept) == 0;
    return rc == AUK_OK ? read_common(ask, o, err) : rc;
}

static int parse_generate(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *prompt = json_object_get(o, "prompt"), *rules = json_object_get(o, "system");
    const json_t *suffix = json_object_get(o, "suffix"), *context = json_object_get(o, "context");
    bool raw = false;

    int rc = auk_field_model(ask, o, err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&raw, o, "raw", err);
    if (rc == AUK_OK && !missing(prompt) && !json_is_string(prompt))
        rc = auk_fail(err, AUK_EFORMAT, "'prompt' must be a string");
    if (rc == AUK_OK && !missing(rules) && !json_is_string(rules))
        rc = auk_fail(err, AUK_EFORMAT, "'system' must be a string");
    if (rc == AUK_OK && json_string_length(suffix) > 0)
        rc = auk_fail(err, AUK_ENOTSUP, "\"%s\" does not support insert", ask->model);
    if (rc == AUK_OK && has_images(o))
        rc = auk_fail(err, AUK_ENOTSUP, "\"%s\" does not support images", ask->model);
    for (size_t i = 0; i < json_array_size(context) && rc == AUK_OK; i++)
        if (!json_is_integer(json_array_get(context, i)))
            rc = auk_fail(err, AUK_EFORMAT, "'context' must be a list of token ids");
    if (rc < 0)
        return rc;
    ask->load_only = json_string_length(prompt) == 0;
    if (json_array_size(context) > 0)
        ask->context = json_incref((json_t *)context);
    if (raw && !ask->load_only) {
        ask->prompt = json_incref((json_t *)prompt);
    } else {
        json_t *messages = json_array();
        ask->chat = json_pack("{s:o}", "messages", messages);
        if (json_string_length(rules) > 0)
            json_array_append_new(messages,
                                  json_pack("{s:s, s:O}", "role", "system", "content", rules));
        if (!ask->load_only)
            json_array_append_new(messages,
                                  json_pack("{s:s, s:O}", "role", "user", "content", prompt));
    }
    return read_common(ask, o, err);
}

/* ---- the answer ---- */

static void put_head(const auk_printer *p, auk_buf *out)
{
    auk_buf_putc(out, '{');
    auk_put_text(out, "model", auk_str_of(p->ask->model));
    auk_buf_printf(out, ",\"created_at\":\"%s\",", p->created_at);
}

static void put_message(const auk_printer *p, auk_buf *out, bool chat, auk_str text,
                        auk_str thinking)
{
    put_head(p, out);
    if (chat)
        auk_buf_puts(out, "\"message\":{\"role\":\"assistant\",");
    auk_put_text(out, chat ? "content" : "response", text);
    if (thinking.n > 0) {
        auk_buf_putc(out, ',');
        auk_put_text(out, "thinking", thinking);
    }
}

static void put_call(auk_buf *out, const json_t *call, size_t index)
{
    auk_buf_putc(out, '{');
    auk_put_text(out, "id", auk_json_str(json_object_get(call, "id")));
    auk_buf_printf(out, ",\"function\":{\"index\":%zu,", index);
    auk_put_text(out, "name", auk_json_str(json_object_get(call, "name")));
    auk_buf_puts(out, ",\"arguments\":");
    auk_str args = auk_json_str(json_object_get(call, "arguments")); /* JSON text of an object */
    auk_buf_add(out, args.p, args.n);
    auk_buf_puts(out, "}}");
}

static const char *reason(const auk_say *s)
{
    switch (s->end) {
    case AUK_END_LENGTH:
    case AUK_END_LOOP:
        return "length";
    case AUK_END_LOAD:
        return "load";
    case AUK_END_UNLOAD:
        return "unload";
    default:
        return "stop";
    }
}

static int64_t at_least_one(int64_t ns)
{
    return ns > 0 ? ns : 1;
}

static void put_end(const auk_printer *p, auk_buf *out, bool chat, const auk_say *s)
{
    const auk_usage *u = &s->usage;

    auk_buf_printf(out, "%s,\"done\":true,\"done_reason\":\"%s\"", chat ? "}" : "", reason(s));
    if (s->end != AUK_END_LOAD && s->end != AUK_END_UNLOAD) {
        if (!chat && !p->ask->prompt && s->n_ids > 0) {
            auk_buf_puts(out, ",\"context\":[");
            for (size_t i = 0; i < s->n_ids; i++)
                auk_buf_printf(out, i > 0 ? ",%d" : "%d", (int)s->ids[i]);
            auk_buf_putc(out, ']');
        }
        auk_buf_printf(out,
                       ",\"total_duration\":%" PRId64 ",\"load_duration\":%" PRId64
                       ",\"prompt_eval_count\":%" PRId64 ",\"prompt_cached_count\":%" PRId64
                       ",\"prompt_eval_duration\":%" PRId64 ",\"eval_count\":%" PRId64
                       ",\"eval_duration\":%" PRId64,
                       at_least_one(u->total_ns), at_least_one(u->queue_ns), u->prompt, u->cached,
                       at_least_one(u->prefill_ns), u->completion, at_least_one(u->decode_ns));
        if (s->end == AUK_END_LOOP)
            auk_buf_puts(out, ",\"finish_details\":{\"type\":\"repetition_guard\"}");
    }
    auk_buf_puts(out, "}\n");
}

static void put_error(auk_buf *out, const auk_say *s)
{
    auk_err e = {.code = s->code};

    snprintf(e.msg, sizeof e.msg, "%.*s", AUK_ARG(s->text));
    auk_print_ollama_error(out, 500, &e, NULL);
    auk_buf_putc(out, '\n');
}

static void put_part(const auk_printer *p, auk_buf *out, bool chat, auk_str text, auk_str thinking)
{
    put_message(p, out, chat, text, thinking);
    auk_buf_puts(out, chat ? "},\"done\":false}\n" : ",\"done\":false}\n");
}

static void put_calls(const auk_printer *p, auk_buf *out, size_t from)
{
    auk_buf_puts(out, ",\"tool_calls\":[");
    for (size_t i = from; i < json_array_size(p->calls); i++) {
        if (i > from)
            auk_buf_putc(out, ',');
        put_call(out, json_array_get(p->calls, i), i);
    }
    auk_buf_putc(out, ']');
}

static void print_stream(auk_printer *p, auk_buf *out, bool chat, const auk_say *s)
{
    auk_str none = {"", 0};

    if (s->kind == AUK_SAY_THINK && p->ask->include_thinking) {
        put_part(p, out, chat, none, s->text);
    } else if (s->kind == AUK_SAY_TEXT) {
        put_part(p, out, chat, s->text, none);
    } else if (s->kind == AUK_SAY_TOOL_END && chat) {
        put_message(p, out, chat, none, none);
        put_calls(p, out, json_array_size(p->calls) - 1);
        auk_buf_puts(out, "},\"done\":false}\n");
    } else if (s->kind == AUK_SAY_ACCEPTED && !p->ask->load_only) {
        put_part(p, out, chat, none, none); /* early, and legal: an empty piece */
    } else if (s->kind == AUK_SAY_FINISH) {
        put_message(p, out, chat, none, none);
        put_end(p, out, chat, s);
    }
}

static void print(auk_printer *p, auk_buf *out, bool chat, const auk_say *s)
{
    auk_printer_take(p, s);
    if (s->kind == AUK_SAY_ERROR) {
        put_error(out, s);
    } else if (p->ask->stream && !p->ask->load_only) {
        print_stream(p, out, chat, s);
    } else if (s->kind == AUK_SAY_FINISH) {
        put_message(p, out, chat, auk_buf_str(&p->text),
                    p->ask->include_thinking ? auk_buf_str(&p->thinking) : (auk_str){"", 0});
        if (chat && json_array_size(p->calls) > 0)
            put_calls(p, out, 0);
        put_end(p, out, chat, s);
    }
}

static void print_chat(auk_printer *p, auk_buf *out, const auk_say *s)
{
    print(p, out, true, s);
}

static void print_generate(auk_printer *p, auk_buf *out, const auk_say *s)
{
    print(p, out, false, s);
}

static void alive_chat(auk_printer *p, auk_buf *out)
{
    if (p->ask->stream)
        put_part(p, out, true, (auk_str){"", 0}, (auk_str){"", 0});
    else
        auk_buf_putc(out, ' ');
}

static void alive_generate(auk_printer *p, auk_buf *out)
{
    if (p->ask->stream)
        put_part(p, out, false, (auk_str){"", 0}, (auk_str){"", 0});
    else
        auk_buf_putc(out, ' ');
}

const auk_dialect auk_dialect_ollama_chat = {
    .name = "ollama chat",
    .stream_type = "application/x-ndjson",
    .parse = parse_chat,
    .print = print_chat,
    .keep_alive = alive_chat,
    .print_error = auk_print_ollama_error,
};

const auk_dialect auk_dialect_ollama_generate = {
    .name = "ollama generate",
    .stream_type = "application/x-ndjson",
    .parse = parse_generate,
    .print = print_generate,
    .keep_alive = alive_generate,
    .print_error = auk_print_ollama_error,
};
