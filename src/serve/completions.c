/* SPDX-License-Identifier: Apache-2.0 */
/* Text in, text out: OpenAI's /v1/completions and llama-server's /completion.  No template, no
 * parsing: what the model writes is the text. */
#include "serve/openai.h"

#include "base/mem.h"

#include <inttypes.h>

static int read_prompt(auk_ask *ask, const json_t *v, auk_err *err)
{
    if (json_is_array(v) && json_array_size(v) == 1 && json_is_string(json_array_get(v, 0)))
        v = json_array_get(v, 0);
    if (json_is_array(v) && json_array_size(v) > 0 && json_is_string(json_array_get(v, 0)))
        return auk_fail(err, AUK_ENOTSUP,
                        "several prompts in one request are not offered: send several requests");
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_integer(json_array_get(v, i)))
            return auk_fail(err, AUK_EFORMAT, "'prompt' must be a string or a list of token ids");
    if (!json_is_string(v) && !json_is_array(v))
        return auk_fail(err, AUK_EFORMAT, "'prompt' must be a string or a list of token ids");
    ask->prompt = json_incref((json_t *)v);
    return AUK_OK;
}

static int parse(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *suffix = json_object_get(o, "suffix");
    const json_t *options = json_object_get(o, "stream_options");
    int64_t n = 1, best_of = 1, logprobs = 0;

    int rc = auk_field_model(ask, o, err);
    if (rc == AUK_OK)
        rc = read_prompt(ask, json_object_get(o, "prompt"), err);
    if (rc == AUK_OK)
        rc = auk_field_sampling(ask, o, err);
    ask->max_tokens = 16; /* OpenAI's default */
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->max_tokens, o, "max_tokens", -1, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->stream, o, "stream", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->echo, o, "echo", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->usage_chunk, options, "include_usage", err);
    if (rc == AUK_OK)
        rc = auk_field_int(&n, o, "n", 1, 128, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&best_of, o, "best_of", 1, 128, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&logprobs, o, "logprobs", 0, 20, err);
    if (rc == AUK_OK)
        rc = auk_field_stops(ask, json_object_get(o, "stop"), "stop", err);
    if (rc == AUK_OK && (n > 1 || best_of > 1))
        rc = auk_fail(err, AUK_ENOTSUP, "'n' and 'best_of' above 1 are not offered");
    if (rc == AUK_OK && logprobs > 0)
        rc = auk_fail(err, AUK_ENOTSUP, "'logprobs' is not offered by this server");
    if (rc == AUK_OK && json_is_string(suffix) && json_string_length(suffix) > 0)
        rc = auk_fail(err, AUK_ENOTSUP,
                      "this model has no tokens for filling a gap: 'suffix' is not offered");
    return rc;
}

static void put_head(const auk_printer *p, auk_buf *out)
{
    auk_buf_printf(out,
                   "{\"id\":\"cmpl-%s\",\"object\":\"text_completion\",\"created\":%" PRId64 ",",
                   p->id, p->created);
    auk_put_text(out, "model", auk_str_of(p->ask->model));
    auk_buf_puts(out, ",\"system_fingerprint\":\"auklet-" AUK_VERSION "\",\"choices\":[");
}

static void put_choice(auk_buf *out, auk_str text, const char *finish)
{
    auk_buf_puts(out, "{\"index\":0,");
    auk_put_text(out, "text", text);
    if (finish == NULL)
        auk_buf_puts(out, ",\"logprobs\":null,\"finish_reason\":null}]");
    else
        auk_buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish);
}

static auk_str echoed(const auk_printer *p)
{
    auk_str prompt = auk_json_str(p->ask->prompt);

    return p->ask->echo && prompt.p != NULL ? prompt : (auk_str){"", 0};
}

static void put_error(const auk_printer *p, auk_buf *out, const auk_say *s)
{
    auk_err e = {.code = s->code};

    snprintf(e.msg, sizeof e.msg, "%.*s", AUK_ARG(s->text));
    auk_buf_puts(out, p->ask->stream ? "data: " : "");
    auk_print_openai_error(out, 500, &e, NULL);
    auk_buf_puts(out, p->ask->stream ? "\n\n" : "");
}

static void put_chunk(const auk_printer *p, auk_buf *out, auk_str text, const char *finish)
{
    auk_buf_puts(out, "data: ");
    put_head(p, out);
    put_choice(out, text, finish);
    auk_buf_puts(out, "}\n\n");
}

static void put_usage(auk_buf *out, const auk_say *s)
{
    auk_buf_puts(out, ",\"usage\":");
    auk_put_json(out, auk_usage_openai(&s->usage));
    auk_buf_puts(out, ",\"timings\":");
    auk_put_json(out, auk_timings(&s->usage));
    auk_buf_putc(out, '}');
}

static void print_stream(auk_printer *p, auk_buf *out, const auk_say *s)
{
    if (s->kind == AUK_SAY_ACCEPTED)
        put_chunk(p, out, echoed(p), NULL);
    else if (s->kind == AUK_SAY_TEXT)
        put_chunk(p, out, s->text, NULL);
    if (s->kind != AUK_SAY_FINISH)
        return;
    put_chunk(p, out, (auk_str){"", 0}, auk_openai_finish(s->end));
    if (p->ask->usage_chunk) {
        auk_buf_puts(out, "data: ");
        put_head(p, out);
        auk_buf_putc(out, ']');
        put_usage(out, s);
        auk_buf_puts(out, "\n\n");
    }
    auk_buf_puts(out, "data: [DONE]\n\n");
}

static void print(auk_printer *p, auk_buf *out, const auk_say *s)
{
    auk_printer_take(p, s);
    if (s->kind == AUK_SAY_ERROR) {
        put_error(p, out, s);
    } else if (p->ask->stream) {
        print_stream(p, out, s);
    } else if (s->kind == AUK_SAY_FINISH) {
        auk_buf_clear(&p->line);
        auk_buf_add(&p->line, echoed(p).p, echoed(p).n);
        auk_buf_add(&p->line, auk_buf_str(&p->text).p, p->text.n);
        put_head(p, out);
        put_choice(out, auk_buf_str(&p->line), auk_openai_finish(s->end));
        put_usage(out, s);
    }
}

static void keep_alive(auk_printer *p, auk_buf *out)
{
    auk_buf_puts(out, p->ask->stream ? ": keep-alive\n\n" : " ");
}

const auk_dialect auk_dialect_completions = {
    .name = "completions",
    .stream_type = "text/event-stream; charset=utf-8",
    .parse = parse,
    .print = print,
    .keep_alive = keep_alive,
    .print_error = auk_print_openai_error,
};

/* ---- llama-server's own ---- */

static int parse_llama(auk_ask *ask, const json_t *o, auk_err *err)
{
    const char *model = json_string_value(json_object_get(o, "model"));

    ask->model = auk_strndup(model ? model : "default", strlen(model ? model : "default"));
    int rc = read_prompt(ask, json_object_get(o, "prompt"), err);
    if (rc == AUK_OK)
        rc = auk_field_sampling(ask, o, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->max_tokens, o, "n_predict", -2, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->max_tokens, o, "max_tokens", -2, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&ask->stream, o, "stream", err);
    if (rc == AUK_OK)
        rc = auk_field_stops(ask, json_object_get(o, "stop"), "stop", err);
    const json_t *schema = json_object_get(o, "json_schema");
    if (rc == AUK_OK && json_is_object(schema))
        ask->schema = json_incref((json_t *)schema);
    return rc;
}

static void print_llama(auk_printer *p, auk_buf *out, const auk_say *s)
{
    auk_printer_take(p, s);
    if (s->kind == AUK_SAY_ERROR) {
        put_error(p, out, s);
        return;
    }
    if (s->kind == AUK_SAY_TEXT && p->ask->stream) {
        auk_buf_puts(out, "data: {\"index\":0,");
        auk_put_text(out, "content", s->text);
        auk_buf_puts(out, ",\"stop\":false,\"id_slot\":0}\n\n");
    }
    if (s->kind != AUK_SAY_FINISH)
        return;
    const auk_usage *u = &s->usage;
    const char *type = s->end == AUK_END_SEQUENCE                           ? "word"
                       : s->end == AUK_END_LENGTH || s->end == AUK_END_LOOP ? "limit"
                                                                            : "eos";
    auk_buf_puts(out, p->ask->stream ? "data: {\"index\":0," : "{\"index\":0,");
    auk_put_text(out, "content", p->ask->stream ? (auk_str){"", 0} : auk_buf_str(&p->text));
    auk_buf_puts(out, ",\"stop\":true,\"id_slot\":0,");
    auk_put_text(out, "model", auk_str_of(p->ask->model));
    auk_buf_printf(out,
                   ",\"tokens_predicted\":%" PRId64 ",\"tokens_evaluated\":%" PRId64
                   ",\"tokens_cached\":%" PRId64 ",\"truncated\":false,\"stop_type\":\"%s\",",
                   u->completion, u->prompt, u->cached, type);
    auk_put_text(out, "stopping_word", s->stop.p ? s->stop : (auk_str){"", 0});
    auk_buf_puts(out, ",\"timings\":");
    auk_put_json(out, auk_timings(u));
    auk_buf_puts(out, p->ask->stream ? "}\n\n" : "}");
}

const auk_dialect auk_dialect_llama = {
    .name = "llama",
    .stream_type = "text/event-stream; charset=utf-8",
    .parse = parse_llama,
    .print = print_llama,
    .keep_alive = keep_alive,
    .print_error = auk_print_openai_error,
};
