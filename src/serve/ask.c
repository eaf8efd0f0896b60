/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/ask.h"

#include "base/limits.h"
#include "base/mem.h"

void auk_ask_init(auk_ask *ask)
{
    *ask = (auk_ask){.temperature = -1,
                     .top_p = -1,
                     .min_p = -1,
                     .top_k = -1,
                     .seed = -1,
                     .max_tokens = -1,
                     .include_thinking = true};
}

void auk_ask_release(auk_ask *ask)
{
    json_decref(ask->chat);
    json_decref(ask->prompt);
    json_decref(ask->context);
    json_decref(ask->stops);
    json_decref(ask->schema);
    json_decref(ask->custom);
    free(ask->model);
    free(ask->named);
    free(ask->session);
    auk_ask_init(ask);
}

void auk_printer_init(auk_printer *p, const auk_ask *ask)
{
    *p = (auk_printer){.ask = ask,
                       .thinking = AUK_BUF_INIT(AUK_MAX_TEXT),
                       .text = AUK_BUF_INIT(AUK_MAX_TEXT),
                       .args = AUK_BUF_INIT(AUK_MAX_TEXT),
                       .line = AUK_BUF_INIT(AUK_MAX_TEXT),
                       .calls = json_array(),
                       .output = json_array()};
}

void auk_printer_release(auk_printer *p)
{
    auk_buf_release(&p->thinking);
    auk_buf_release(&p->text);
    auk_buf_release(&p->args);
    auk_buf_release(&p->line);
    json_decref(p->calls);
    json_decref(p->output);
}

void auk_printer_take(auk_printer *p, const auk_say *s)
{
    json_t *open = json_array_get(p->calls, json_array_size(p->calls) - 1);

    switch (s->kind) {
    case AUK_SAY_PREFILL:
        p->usage.prompt = s->total;
        p->usage.cached = s->cached;
        p->prefill_done = s->done;
        p->prefill_total = s->total;
        break;
    case AUK_SAY_THINK:
        auk_buf_add(&p->thinking, s->text.p, s->text.n);
        break;
    case AUK_SAY_TEXT:
        auk_buf_add(&p->text, s->text.p, s->text.n);
        break;
    case AUK_SAY_TOOL_BEGIN:
        auk_buf_clear(&p->args);
        json_array_append_new(p->calls, json_pack("{s:s%, s:s%}", "id", s->id.p, s->id.n, "name",
                                                  s->text.p, s->text.n));
        break;
    case AUK_SAY_TOOL_ARGS:
        auk_buf_add(&p->args, s->text.p, s->text.n);
        break;
    case AUK_SAY_TOOL_END:
        json_object_set_new(open, "arguments", json_stringn(auk_buf_str(&p->args).p, p->args.n));
        break;
    case AUK_SAY_FINISH:
        p->usage = s->usage;
        p->ended = true;
        break;
    case AUK_SAY_ERROR:
        p->ended = true;
        break;
    default:
        break;
    }
}

/* ---- fields ---- */

static bool missing(const json_t *v)
{
    return v == NULL || json_is_null(v);
}

int auk_field_bool(bool *out, const json_t *o, const char *key, auk_err *err)
{
    const json_t *v = json_object_get(o, key);

    if (missing(v))
        return AUK_OK;
    if (!json_is_boolean(v))
        return auk_fail(err, AUK_EFORMAT, "'%s' must be true or false", key);
    *out = json_is_true(v);
    return AUK_OK;
}

int auk_field_real(double *out, const json_t *o, const char *key, double lo, double hi,
                   auk_err *err)
{
    const json_t *v = json_object_get(o, key);

    if (missing(v))
        return AUK_OK;
    if (!json_is_number(v))
        return auk_fail(err, AUK_EFORMAT, "'%s' must be a number", key);
    double x = json_number_value(v);
    if (!(x >= lo && x <= hi))
        return auk_fail(err, AUK_EINVAL, "'%s' is %g: it must be within %g to %g", key, x, lo, hi);
    *out = x;
    return AUK_OK;
}

int auk_field_int(int64_t *out, const json_t *o, const char *key, int64_t lo, int64_t hi,
                  auk_err *err)
{
    const json_t *v = json_object_get(o, key);
    double x = json_number_value(v);

    if (missing(v))
        return AUK_OK;
    /* 1e3 and 5.0 are integers too: clients in languages with one number type send them */
    if (!json_is_number(v) || !(x >= -9e15 && x <= 9e15) || x != (double)(int64_t)x)
        return auk_fail(err, AUK_EFORMAT, "'%s' must be an integer", key);
    int64_t n = json_is_integer(v) ? json_integer_value(v) : (int64_t)x;
    if (n < lo || n > hi)
        return auk_fail(err, AUK_EINVAL, "'%s' is %lld: it must be within %lld to %lld", key,
                        (long long)n, (long long)lo, (long long)hi);
    *out = n;
    return AUK_OK;
}

int auk_field_model(auk_ask *ask, const json_t *o, auk_err *err)
{
    const json_t *v = json_object_get(o, "model");
    auk_str name = auk_json_str(v);

    if (missing(v) || name.n == 0)
        return auk_fail(err, AUK_EINVAL, "model is required");
    if (name.p == NULL)
        return auk_fail(err, AUK_EFORMAT, "'model' must be a string");
    if (name.n > 256)
        return auk_fail(err, AUK_EINVAL, "'model' is longer than 256 bytes");
    ask->model = auk_strndup(name.p, name.n);
    return AUK_OK;
}

int auk_field_stops(auk_ask *ask, const json_t *v, const char *key, auk_err *err)
{
    if (missing(v))
        return AUK_OK;
    ask->stops = json_array();
    if (json_is_string(v))
        json_array_append(ask->stops, (json_t *)v);
    else if (json_is_array(v))
        json_array_extend(ask->stops, (json_t *)v);
    else
        return auk_fail(err, AUK_EFORMAT, "'%s' must be a string or a list of strings", key);
    if (json_array_size(ask->stops) > 256)
        return auk_fail(err, AUK_EINVAL, "'%s' has more than 256 strings", key);
    for (size_t i = 0; i < json_array_size(ask->stops); i++) {
        auk_str s = auk_json_str(json_array_get(ask->stops, i));
        if (s.p == NULL)
            return auk_fail(err, AUK_EFORMAT, "'%s' must be a string or a list of strings", key);
        if (s.n > 4096)
            return auk_fail(err, AUK_EINVAL, "'%s' has a string longer than 4096 bytes", key);
    }
    return AUK_OK;
}

int auk_field_sampling(auk_ask *ask, const json_t *o, auk_err *err)
{
    int64_t top_k = ask->top_k;

    int rc = auk_field_real(&ask->temperature, o, "temperature", 0, 100, err);
    if (rc == AUK_OK)
        rc = auk_field_real(&ask->top_p, o, "top_p", 0, 1, err);
    if (rc == AUK_OK)
        rc = auk_field_real(&ask->min_p, o, "min_p", 0, 1, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&top_k, o, "top_k", -1, INT32_MAX, err);
    if (rc == AUK_OK)
        rc = auk_field_int(&ask->seed, o, "seed", INT64_MIN / 2, INT64_MAX / 2, err);
    ask->top_k = (int)top_k;
    return rc;
}

int auk_content_text(auk_buf *out, const json_t *content, const char *where, auk_err *err)
{
    auk_str plain = auk_json_str(content);

    if (missing(content))
        return AUK_OK;
    if (plain.p != NULL)
        auk_buf_add(out, plain.p, plain.n);
    else if (!json_is_array(content))
        return auk_fail(err, AUK_EFORMAT, "%s must be a string or a list of parts", where);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        auk_str type = auk_json_str(json_object_get(part, "type"));
        auk_str text = auk_json_str(json_object_get(part, "text"));
        if (json_is_string(part))
            text = auk_json_str(part);
        else if (!json_is_object(part))
            return auk_fail(err, AUK_EFORMAT, "%s[%zu] is not an object", where, i);
        if (auk_str_is(type, "refusal"))
            text = auk_json_str(json_object_get(part, "refusal"));
        if (text.p == NULL)
            return auk_fail(err, AUK_ENOTSUP,
                            "%s[%zu] is of type '%.*s': this model reads text only", where, i,
                            AUK_ARG(type));
        auk_buf_add(out, text.p, text.n);
    }
    return auk_buf_check(out, where, err);
}

int auk_field_format(auk_ask *ask, const json_t *format, auk_err *err)
{
    auk_str type = auk_json_str(json_object_get(format, "type"));
    json_t *inner = json_object_get(format, "json_schema"), *schema;

    if (missing(format))
        return AUK_OK;
    if (!json_is_object(format))
        return auk_fail(err, AUK_EFORMAT, "'response_format' must be an object");
    if (auk_str_is(type, "text"))
        return AUK_OK;
    if (auk_str_is(type, "json_object")) {
        ask->json_mode = true;
    } else if (!auk_str_is(type, "json_schema")) {
        return auk_fail(err, AUK_EINVAL,
                        "'response_format.type' is '%.*s': text, json_object or json_schema",
                        AUK_ARG(type));
    }
    schema = json_object_get(inner != NULL ? inner : format, "schema");
    if (auk_str_is(type, "json_schema") && !json_is_object(schema) && !json_is_boolean(schema))
        return auk_fail(err, AUK_EFORMAT, "'response_format' has no schema that is an object");
    if (json_is_object(schema))
        ask->schema = json_incref(schema);
    else
        ask->json_mode = true;
    json_t *o = json_pack("{s:s}", "type", "json_object");
    if (json_is_object(schema)) /* where the template looks for it */
        json_object_set(o, "json_schema", schema);
    json_object_set_new(ask->chat, "response_format", o);
    return AUK_OK;
}

/* ---- printing ---- */

void auk_put_text(auk_buf *out, const char *key, auk_str text)
{
    auk_buf_printf(out, "\"%s\":", key);
    auk_json_print_string(out, text, false);
}

void auk_put_json(auk_buf *out, json_t *v)
{
    auk_json_print(out, v, (auk_json_style){0});
    json_decref(v);
}

json_t *auk_usage_openai(const auk_usage *u)
{
    return json_pack("{s:I, s:I, s:I, s:{s:I}, s:{s:I}}", "prompt_tokens", (json_int_t)u->prompt,
                     "completion_tokens", (json_int_t)u->completion, "total_tokens",
                     (json_int_t)(u->prompt + u->completion), "prompt_tokens_details",
                     "cached_tokens", (json_int_t)u->cached, "completion_tokens_details",
                     "reasoning_tokens", (json_int_t)u->reasoning);
}

static double rate(int64_t n, int64_t ns)
{
    return ns > 0 ? (double)n / ((double)ns / 1e9) : 0;
}

static double each(int64_t n, int64_t ns)
{
    return n > 0 ? (double)ns / 1e6 / (double)n : 0;
}

json_t *auk_timings(const auk_usage *u)
{
    int64_t read = u->prompt - u->cached;

    return json_pack("{s:I, s:I, s:f, s:f, s:f, s:I, s:f, s:f, s:f}", "cache_n",
                     (json_int_t)u->cached, "prompt_n", (json_int_t)read, "prompt_ms",
                     (double)u->prefill_ns / 1e6, "prompt_per_token_ms", each(read, u->prefill_ns),
                     "prompt_per_second", rate(read, u->prefill_ns), "predicted_n",
                     (json_int_t)u->completion, "predicted_ms", (double)u->decode_ns / 1e6,
                     "predicted_per_token_ms", each(u->completion, u->decode_ns),
                     "predicted_per_second", rate(u->completion, u->decode_ns));
}

/* ---- errors ---- */

static const struct {
    int status;
    const char *openai, *anthropic;
} types[] = {
    {400, "invalid_request_error", "invalid_request_error"},
    {401, "authentication_error", "authentication_error"},
    {403, "permission_error", "permission_error"},
    {404, "not_found_error", "not_found_error"},
    {405, "invalid_request_error", "invalid_request_error"},
    {413, "invalid_request_error", "request_too_large"},
    {415, "invalid_request_error", "invalid_request_error"},
    {429, "rate_limit_error", "rate_limit_error"},
    {501, "not_supported_error", "invalid_request_error"},
    {503, "unavailable_error", "overloaded_error"},
    {529, "unavailable_error", "overloaded_error"},
};

static const char *type_of(int status, bool anthropic)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].status == status)
            return anthropic ? types[i].anthropic : types[i].openai;
    return anthropic ? "api_error" : "server_error";
}

static json_t *message(const auk_err *e)
{
    json_t *v = json_string(e->msg);

    return v != NULL ? v : json_string("bad request (its text is not UTF-8)");
}

void auk_print_openai_error(auk_buf *out, int status, const auk_err *e, const json_t *extra)
{
    json_t *error = json_pack("{s:o, s:s, s:n, s:n}", "message", message(e), "type",
                              type_of(status, false), "param", "code");

    if (status == 401)
        json_object_set_new(error, "code", json_string("invalid_api_key"));
    json_object_update(error, (json_t *)extra);
    auk_put_json(out, json_pack("{s:o}", "error", error));
}

void auk_print_ollama_error(auk_buf *out, int status, const auk_err *e, const json_t *extra)
{
    json_t *o = json_pack("{s:o}", "error", message(e));

    (void)status;
    json_object_update(o, (json_t *)extra);
    auk_put_json(out, o);
}

void auk_print_anthropic_error(auk_buf *out, int status, const auk_err *e, const json_t *extra)
{
    json_t *error = json_pack("{s:s, s:o}", "type", type_of(status, true), "message", message(e));
    const json_t *id = json_object_get(extra, "request_id");

    json_t *o = json_pack("{s:s, s:o}", "type", "error", "error", error);
    json_object_set(o, "request_id", id != NULL ? (json_t *)id : json_null());
    auk_put_json(out, o);
}
