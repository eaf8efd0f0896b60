/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

void auk_sse_init(auk_sse *s, size_t max_event, auk_sse_fn *fn, void *ctx)
{
    *s = (auk_sse){.fn = fn,
                   .ctx = ctx,
                   .line = AUK_BUF_INIT(max_event),
                   .type = AUK_BUF_INIT(max_event),
                   .data = AUK_BUF_INIT(max_event),
                   .id = AUK_BUF_INIT(max_event)};
}

void auk_sse_release(auk_sse *s)
{
    auk_buf_release(&s->line);
    auk_buf_release(&s->type);
    auk_buf_release(&s->data);
    auk_buf_release(&s->id);
}

static int dispatch(auk_sse *s, auk_err *err)
{
    int rc = AUK_OK;

    if (s->has_data) {
        auk_sse_event event = {auk_buf_str(&s->type), auk_buf_str(&s->data), auk_buf_str(&s->id)};
        rc = s->fn(s->ctx, &event, err);
    }
    auk_buf_clear(&s->type);
    auk_buf_clear(&s->data);
    s->has_data = false;
    return rc;
}

static void set(auk_buf *field, auk_str value)
{
    auk_buf_clear(field);
    auk_buf_add(field, value.p, value.n);
}

static int end_of_line(auk_sse *s, auk_err *err)
{
    auk_str line = auk_buf_str(&s->line), value = {"", 0};

    if (!s->begun && auk_str_starts(line, "\xEF\xBB\xBF"))
        line = auk_str_from(line, 3);
    s->begun = true;
    if (line.n == 0) {
        auk_buf_clear(&s->line);
        return dispatch(s, err);
    }
    const char *colon = memchr(line.p, ':', line.n);
    auk_str name = {line.p, colon != NULL ? (size_t)(colon - line.p) : line.n};
    if (colon != NULL) {
        value = auk_str_from(line, name.n + 1);
        if (value.n > 0 && value.p[0] == ' ')
            value = auk_str_from(value, 1);
    }
    if (auk_str_is(name, "data")) {
        if (s->has_data)
            auk_buf_putc(&s->data, '\n');
        auk_buf_add(&s->data, value.p, value.n);
        s->has_data = true;
    } else if (auk_str_is(name, "event")) {
        set(&s->type, value);
    } else if (auk_str_is(name, "id") && memchr(value.p, 0, value.n) == NULL) {
        set(&s->id, value);
    } /* retry, comments (an empty name) and unknown fields say nothing here */
    auk_buf_clear(&s->line);
    return auk_buf_check(&s->data, "an event of the stream", err);
}

int auk_sse_feed(auk_sse *s, auk_str bytes, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < bytes.n && rc == AUK_OK;) {
        if (s->after_cr && bytes.p[i] == '\n') {
            s->after_cr = false;
            i++;
            continue;
        }
        s->after_cr = false;
        size_t end = i;
        while (end < bytes.n && bytes.p[end] != '\n' && bytes.p[end] != '\r')
            end++;
        auk_buf_add(&s->line, bytes.p + i, end - i);
        rc = auk_buf_check(&s->line, "a line of the stream", err);
        i = end;
        if (rc == AUK_OK && end < bytes.n) {
            s->after_cr = bytes.p[end] == '\r';
            rc = end_of_line(s, err);
            i++;
        }
    }
    return rc;
}

bool auk_sse_pending(const auk_sse *s)
{
    return s->line.n > 0 || s->has_data;
}

void auk_lines_init(auk_lines *l, size_t max_line, auk_lines_fn *fn, void *ctx)
{
    *l = (auk_lines){.fn = fn, .ctx = ctx, .line = AUK_BUF_INIT(max_line)};
}

void auk_lines_release(auk_lines *l)
{
    auk_buf_release(&l->line);
}

int auk_lines_finish(auk_lines *l, auk_err *err)
{
    auk_str line = auk_buf_str(&l->line);
    int rc = AUK_OK;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n > 0)
        rc = l->fn(l->ctx, line, err);
    auk_buf_clear(&l->line);
    return rc;
}

int auk_lines_feed(auk_lines *l, auk_str bytes, auk_err *err)
{
    int rc = AUK_OK;

    while (bytes.n > 0 && rc == AUK_OK) {
        const char *end = memchr(bytes.p, '\n', bytes.n);
        size_t n = end != NULL ? (size_t)(end - bytes.p) : bytes.n;
        auk_buf_add(&l->line, bytes.p, n);
        rc = auk_buf_check(&l->line, "a line of the stream", err);
        bytes = auk_str_from(bytes, end != NULL ? n + 1 : n);
        if (rc == AUK_OK && end != NULL)
            rc = auk_lines_finish(l, err);
    }
    return rc;
}
