/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI Chat Completions: the answer. */
#include "serve/openai.h"

#include <inttypes.h>

const char *auk_openai_finish(auk_end end)
{
    switch (end) {
    case AUK_END_LENGTH:
    case AUK_END_LOOP:
        return "length";
    case AUK_END_TOOLS:
        return "tool_calls";
    default:
        return "stop";
    }
}

static void put_head(const auk_printer *p, auk_buf *out, const char *object)
{
    auk_buf_printf(out, "{\"id\":\"chatcmpl-%s\",\"object\":\"%s\",\"created\":%" PRId64 ",", p->id,
                   object, p->created);
    auk_put_text(out, "model", auk_str_of(p->ask->model));
    auk_buf_puts(out, ",\"system_fingerprint\":\"auklet-" AUK_VERSION "\",\"choices\":[");
}

static void begin_chunk(const auk_printer *p, auk_buf *out)
{
    auk_buf_puts(out, "data: ");
    put_head(p, out, "chat.completion.chunk");
}

static void begin_delta(const auk_printer *p, auk_buf *out)
{
    begin_chunk(p, out);
    auk_buf_puts(out, "{\"index\":0,\"delta\":{");
}

static void end_delta(auk_buf *out)
{
    auk_buf_puts(out, "},\"finish_reason\":null}]}\n\n");
}

static void put_delta(const auk_printer *p, auk_buf *out, const char *key, auk_str text)
{
    begin_delta(p, out);
    auk_put_text(out, key, text);
    end_delta(out);
}

static void put_finish_details(auk_buf *out, const auk_say *s)
{
    if (s->end == AUK_END_LOOP)
        auk_buf_puts(out, ",\"finish_details\":{\"type\":\"repetition_guard\"}");
}

static void put_finish(const auk_printer *p, auk_buf *out, const auk_say *s)
{
    begin_chunk(p, out);
    auk_buf_printf(out, "{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"",
                   auk_openai_finish(s->end));
    put_finish_details(out, s);
    auk_buf_puts(out, "}]");
    if (!p->ask->usage_chunk) {
        auk_buf_puts(out, ",\"timings\":");
        auk_put_json(out, auk_timings(&s->usage));
    }
    auk_buf_puts(out, "}\n\n");
    if (p->ask->usage_chunk) {
        begin_chunk(p, out);
        auk_buf_puts(out, "],\"usage\":");
        auk_put_json(out, auk_usage_openai(&s->usage));
        auk_buf_puts(out, ",\"timings\":");
        auk_put_json(out, auk_timings(&s->usage));
        auk_buf_puts(out, "}\n\n");
    }
    auk_buf_puts(out, "data: [DONE]\n\n");
}

static void put_tool_begin(auk_printer *p, auk_buf *out, const auk_say *s)
{
    begin_delta(p, out);
    auk_buf_printf(out, "\"tool_calls\":[{\"index\":%zu,", json_array_size(p->calls) - 1);
    auk_put_text(out, "id", s->id);
    auk_buf_puts(out, ",\"type\":\"function\",\"function\":{");
    auk_put_text(out, "name", s->text);
    auk_buf_puts(out, ",\"arguments\":\"\"}}]");
    end_delta(out);
}

static void put_tool_args(auk_printer *p, auk_buf *out, const auk_say *s)
{
    begin_delta(p, out);
    auk_buf_printf(out, "\"tool_calls\":[{\"index\":%zu,\"function\":{",
                   json_array_size(p->calls) - 1);
    auk_put_text(out, "arguments", s->text);
    auk_buf_puts(out, "}}]");
    end_delta(out);
}

static void put_progress(const auk_printer *p, auk_buf *out, const auk_say *s)
{
    begin_chunk(p, out);
    auk_buf_printf(out,
                   "{\"index\":0,\"delta\":{},\"finish_reason\":null}],\"prompt_progress\":"
                   "{\"total\":%" PRId64 ",\"cache\":%" PRId64 ",\"processed\":%" PRId64 "}}\n\n",
                   s->total, s->cached, s->done);
}

static void put_error(auk_buf *out, const auk_say *s)
{
    auk_err e = {.code = s->code};

    snprintf(e.msg, sizeof e.msg, "%.*s", AUK_ARG(s->text));
    auk_buf_puts(out, "data: ");
    auk_print_openai_error(out, 500, &e, NULL);
    auk_buf_puts(out, "\n\n");
}

static void print_stream(auk_printer *p, auk_buf *out, const auk_say *s)
{
    switch (s->kind) {
    case AUK_SAY_ACCEPTED:
        begin_delta(p, out);
        auk_buf_puts(out, "\"role\":\"assistant\",\"content\":null");
        end_delta(out);
        break;
    case AUK_SAY_QUEUED:
        auk_buf_printf(out, ": queued at position %" PRId64 "\n\n", s->position);
        break;
    case AUK_SAY_PREFILL:
        if (p->ask->progress)
            put_progress(p, out, s);
        break;
    case AUK_SAY_THINK:
        if (p->ask->include_thinking)
            put_delta(p, out, "reasoning_content", s->text);
        break;
    case AUK_SAY_TEXT:
        put_delta(p, out, "content", s->text);
        break;
    case AUK_SAY_TOOL_BEGIN:
        put_tool_begin(p, out, s);
        break;
    case AUK_SAY_TOOL_ARGS:
        put_tool_args(p, out, s);
        break;
    case AUK_SAY_TOOL_END:
        break;
    case AUK_SAY_FINISH:
        put_finish(p, out, s);
        break;
    case AUK_SAY_ERROR:
        put_error(out, s);
        break;
    }
}

static void put_calls(const auk_printer *p, auk_buf *out)
{
    auk_buf_puts(out, ",\"tool_calls\":[");
    for (size_t i = 0; i < json_array_size(p->calls); i++) {
        const json_t *c = json_array_get(p->calls, i);
        auk_buf_puts(out, i > 0 ? ",{" : "{");
        auk_put_text(out, "id", auk_json_str(json_object_get(c, "id")));
        auk_buf_puts(out, ",\"type\":\"function\",\"function\":{");
        auk_put_text(out, "name", auk_json_str(json_object_get(c, "name")));
        auk_buf_putc(out, ',');
        auk_put_text(out, "arguments", auk_json_str(json_object_get(c, "arguments")));
        auk_buf_puts(out, "}}");
    }
    auk_buf_putc(out, ']');
}

static void print_whole(auk_printer *p, auk_buf *out, const auk_say *s)
{
    if (s->kind == AUK_SAY_ERROR) {
        auk_err e = {.code = s->code};
        snprintf(e.msg, sizeof e.msg, "%.*s", AUK_ARG(s->text));
        auk_print_openai_error(out, 500, &e, NULL);
    }
    if (s->kind != AUK_SAY_FINISH)
        return;
    put_head(p, out, "chat.completion");
    auk_buf_puts(out, "{\"index\":0,\"message\":{\"role\":\"assistant\",");
    if (p->text.n == 0 && json_array_size(p->calls) > 0)
        auk_buf_puts(out, "\"content\":null");
    else
        auk_put_text(out, "content", auk_buf_str(&p->text));
    if (p->thinking.n > 0 && p->ask->include_thinking) {
        auk_buf_putc(out, ',');
        auk_put_text(out, "reasoning_content", auk_buf_str(&p->thinking));
    }
    if (json_array_size(p->calls) > 0)
        put_calls(p, out);
    auk_buf_printf(out, "},\"logprobs\":null,\"finish_reason\":\"%s\"", auk_openai_finish(s->end));
    put_finish_details(out, s);
    auk_buf_puts(out, "}],\"usage\":");
    auk_put_json(out, auk_usage_openai(&s->usage));
    auk_buf_puts(out, ",\"timings\":");
    auk_put_json(out, auk_timings(&s->usage));
    auk_buf_putc(out, '}');
}

static void print(auk_printer *p, auk_buf *out, const auk_say *s)
{
    auk_printer_take(p, s);
    if (p->ask->stream)
        print_stream(p, out, s);
    else
        print_whole(p, out, s);
}

static void keep_alive(auk_printer *p, auk_buf *out)
{
    if (p->ask->stream)
        auk_buf_printf(out, ": keep-alive %" PRId64 "/%" PRId64 "\n\n", p->prefill_done,
                       p->prefill_total);
    else
        auk_buf_putc(out, ' ');
}

const auk_dialect auk_dialect_openai = {
    .name = "openai",
    .stream_type = "text/event-stream; charset=utf-8",
    .parse = auk_openai_parse,
    .print = print,
    .keep_alive = keep_alive,
    .print_error = auk_print_openai_error,
};
