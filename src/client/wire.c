/* SPDX-License-Identifier: Apache-2.0 */
#include "client/wire.h"

#include "base/limits.h"

/* ---- fields ------------------------------------------------------------------------------- */

int64_t auk_wire_int(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    if (json_is_integer(v))
        return json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
    if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 9e15)
        return (int64_t)json_real_value(v);
    return -1;
}

int64_t auk_wire_ms(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    double ms = json_number_value(v);

    return json_is_number(v) && ms >= 0 && ms < 9e12 ? (int64_t)(ms * 1e6) : -1;
}

auk_str auk_wire_str(const json_t *object, const char *key)
{
    return auk_json_str(json_object_get(object, key));
}

void auk_wire_set(json_t *object, const char *key, json_t *value)
{
    if (value != NULL)
        json_object_set_new(object, key, value);
}

void auk_wire_sampling(json_t *object, const auk_chat *chat)
{
    if (chat->temperature >= 0)
        json_object_set_new(object, "temperature", json_real(chat->temperature));
    if (chat->top_p >= 0)
        json_object_set_new(object, "top_p", json_real(chat->top_p));
    if (chat->top_k > 0)
        json_object_set_new(object, "top_k", json_integer(chat->top_k));
}

json_t *auk_wire_flat(const json_t *content)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (json_is_string(content))
        return json_stringn(json_string_value(content), json_string_length(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        auk_str part = auk_wire_str(json_array_get(content, i), "text");
        auk_buf_add(&text, part.p, part.n);
    }
    json_t *flat = json_stringn(text.p != NULL ? text.p : "", text.n);
    auk_buf_release(&text);
    return flat;
}

json_t *auk_wire_arguments(const json_t *call)
{
    json_t *v = json_object_get(json_object_get(call, "function"), "arguments");
    json_t *parsed = NULL;
    auk_err unread;

    if (json_is_string(v) && auk_json_parse(&parsed, auk_json_str(v), "arguments", &unread) < 0)
        parsed = NULL;
    if (json_is_object(v))
        parsed = json_incref(v);
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        parsed = json_object();
    }
    return parsed;
}

auk_str auk_wire_reasoning(const json_t *message)
{
    static const char *const keys[] = {"reasoning_content", "reasoning", "thinking",
                                       "reasoning_text"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        auk_str s = auk_wire_str(message, keys[i]);
        if (s.n > 0)
            return s;
    }
    return (auk_str){NULL, 0};
}

/* ---- errors ------------------------------------------------------------------------------- */

auk_str auk_error_text(const json_t *v, auk_str text)
{
    static const char *const keys[] = {"message", "detail", "error", "type"};
    const json_t *error = json_object_get(v, "error");

    if (json_is_string(error))
        return auk_json_str(error);
    const json_t *in = json_is_object(error) ? error : v;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        auk_str s = auk_wire_str(in, keys[i]);
        if (s.n > 0)
            return s;
    }
    return text;
}

static bool holds(auk_str text, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= text.n; i++)
        if (memcmp(text.p + i, word, n) == 0)
            return true;
    return false;
}

bool auk_error_is_overflow(const json_t *v, auk_str text)
{
    static const char *const words[] = {
        "exceed_context_size_error", "context_length_exceeded", "maximum context length",
        "prompt is too long",        "exceeds the context",     "exceeds the available context",
        "maximum model length",      "context window",
    };
    const json_t *error = json_object_get(v, "error");
    auk_str all[] = {auk_error_text(v, text), auk_wire_str(error, "type"),
                     auk_wire_str(error, "code")};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            if (holds(all[k], words[i]))
                return true;
    return false;
}

int auk_wire_error(auk_turn *t, const json_t *v, auk_err *err)
{
    auk_str text = auk_error_text(v, (auk_str){"an error without text", 21});
    int64_t status = auk_wire_int(json_object_get(v, "error"), "code");

    if (status >= 400 && status < 600)
        t->r->failure.status = (int)status;
    if (auk_error_is_overflow(v, text))
        return auk_turn_failed(
            t, AUK_FAILURE_CONTEXT,
            auk_fail(err, AUK_ELIMIT, "the server says in its stream: %.*s", AUK_ARG(text)));
    return auk_turn_failed(
        t, AUK_FAILURE_IN_STREAM,
        auk_fail(err, AUK_EIO, "the server says in its stream: %.*s", AUK_ARG(text)));
}

/* ---- a stream ----------------------------------------------------------------------------- */

int auk_wire_take(auk_turn *t, const auk_wire *w, auk_str data, auk_err *err)
{
    json_t *v = NULL;

    if (t->terminal) /* what follows the end says nothing */
        return AUK_OK;
    if (auk_str_is(data, "[DONE]")) {
        t->terminal = true;
        return AUK_OK;
    }
    int rc = auk_json_parse(&v, data, "the server's stream", err);
    if (rc == AUK_OK && !json_is_object(v))
        rc = auk_fail(err, AUK_EFORMAT, "the server's stream holds something else than objects");
    if (rc < 0) {
        t->r->failure.kind = AUK_FAILURE_MALFORMED;
    } else {
        t->n_events++;
        rc = w->read(t, v, err);
        if (rc < 0 && t->r->failure.kind == AUK_FAILURE_NONE)
            t->r->failure.kind = rc == AUK_ELIMIT ? AUK_FAILURE_LIMIT : AUK_FAILURE_MALFORMED;
    }
    json_decref(v);
    return rc;
}

static int on_sse(void *ctx, const auk_sse_event *event, auk_err *err)
{
    auk_reading *r = ctx;
    return auk_wire_take(r->t, r->w, event->data, err);
}

static int on_line(void *ctx, auk_str line, auk_err *err)
{
    auk_reading *r = ctx;
    return auk_wire_take(r->t, r->w, line, err);
}

void auk_reading_init(auk_reading *r, auk_turn *t, const auk_wire *w)
{
    *r = (auk_reading){.t = t, .w = w, .whole = AUK_BUF_INIT(t->max_bytes)};
    auk_sse_init(&r->sse, AUK_MAX_WIRE_EVENT, on_sse, r);
    auk_lines_init(&r->lines, AUK_MAX_WIRE_EVENT, on_line, r);
}

void auk_reading_release(auk_reading *r)
{
    auk_sse_release(&r->sse);
    auk_lines_release(&r->lines);
    auk_buf_release(&r->whole);
}

int auk_reading_feed(auk_reading *r, auk_str bytes, uint64_t now_ns, auk_err *err)
{
    r->t->now_ns = now_ns;
    r->t->r->body_bytes += bytes.n;
    if (r->t->r->first_ns == 0)
        r->t->r->first_ns = now_ns;
    int rc;
    if (r->is_whole) {
        auk_buf_add(&r->whole, bytes.p, bytes.n);
        rc = auk_buf_check(&r->whole, "the answer", err);
    } else {
        rc =
            r->w->lines ? auk_lines_feed(&r->lines, bytes, err) : auk_sse_feed(&r->sse, bytes, err);
    }
    if (rc < 0 && r->t->r->failure.kind == AUK_FAILURE_NONE)
        r->t->r->failure.kind = AUK_FAILURE_LIMIT;
    return rc;
}

int auk_reading_finish(auk_reading *r, auk_err *err)
{
    auk_turn *t = r->t;
    int rc = AUK_OK;

    if (r->is_whole)
        rc = auk_wire_take(t, r->w, auk_buf_str(&r->whole), err);
    else if (r->w->lines)
        rc = auk_lines_finish(&r->lines, err);
    if (rc < 0 || t->terminal || t->r->finish != AUK_CHAT_NONE)
        return rc;
    if (t->n_events == 0)
        return auk_turn_failed(t, AUK_FAILURE_MALFORMED,
                               auk_fail(err, AUK_EFORMAT,
                                        "the server's answer holds no event of "
                                        "%s's dialect",
                                        r->w->name));
    return auk_turn_failed(t, AUK_FAILURE_UNFINISHED,
                           auk_fail(err, AUK_EIO,
                                    "the server's stream ended in the middle of the answer%s",
                                    auk_sse_pending(&r->sse) ? ", inside an event" : ""));
}
