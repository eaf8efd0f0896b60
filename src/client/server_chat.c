/* SPDX-License-Identifier: Apache-2.0 */
/* A chat with a server: the request, the stream, and what a failure means. */
#define _POSIX_C_SOURCE 200809L
#include "client/backend.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"

#include <strings.h>

#define LINGER_NS 200000000u /* after the terminal event the connection may stay open this long */

typedef struct exchange {
    auk_turn *t;
    auk_client *c;
    auk_reading reading; /* owned */
    uint64_t terminal_ns;
} exchange;

static bool has_type(const auk_http_response *r, const char *type)
{
    auk_str s = auk_http_header(r, "content-type");
    size_t n = strlen(type);

    return s.n >= n && strncasecmp(s.p, type, n) == 0;
}

static int on_head(void *ctx, const auk_http_response *r, auk_err *err)
{
    exchange *x = ctx;

    (void)err;
    if (r->status == 200) {
        x->reading.is_whole = !x->c->wire->lines && has_type(r, "application/json");
        auk_turn_start(x->t, r->head_ns);
    }
    return AUK_OK;
}

static int on_piece(void *ctx, auk_str piece, uint64_t now_ns, auk_err *err)
{
    exchange *x = ctx;

    if (x->t->chat->raw != NULL)
        x->t->chat->raw(x->t->chat->ctx, piece, now_ns);
    int rc = auk_reading_feed(&x->reading, piece, now_ns, err);
    if (x->t->terminal && x->terminal_ns == 0)
        x->terminal_ns = now_ns;
    return rc;
}

static bool on_wait(void *ctx)
{
    exchange *x = ctx;
    const auk_chat *chat = x->t->chat;

    if (x->terminal_ns > 0 && auk_now_ns() - x->terminal_ns > LINGER_NS)
        return true;
    return atomic_load(&x->c->cancelled) || (chat->cancelled != NULL && chat->cancelled(chat->ctx));
}

/* What a status and its body say. */
static int refused(auk_turn *t, const auk_client *c, const auk_http_response *r, auk_err *err)
{
    auk_failure *f = &t->r->failure;
    auk_err unread;
    json_t *v = NULL;
    auk_str body = auk_buf_str(&r->text);
    int code = AUK_EIO, s = r->status;

    if (auk_json_parse(&v, body, "the answer", &unread) < 0)
        v = NULL;
    auk_str text = auk_error_text(v, body);
    f->kind = s == 401 || s == 403               ? AUK_FAILURE_AUTH
              : s == 404                         ? AUK_FAILURE_NOT_FOUND
              : s == 429 || s == 503 || s == 529 ? AUK_FAILURE_BUSY
              : s >= 500                         ? AUK_FAILURE_SERVER
                                                 : AUK_FAILURE_REQUEST;
    if (auk_error_is_overflow(v, body)) {
        f->kind = AUK_FAILURE_CONTEXT;
        code = AUK_ELIMIT;
    } else if (f->kind == AUK_FAILURE_NOT_FOUND) {
        code = AUK_ENOTFOUND;
    } else if (f->kind == AUK_FAILURE_REQUEST) {
        code = AUK_EINVAL;
    }
    auk_fail(err, code, "'%s' answers %d%s%.*s%s", c->shown, s, text.n > 0 ? ": " : "",
             AUK_ARG(text), f->kind == AUK_FAILURE_AUTH ? "; set AUKLET_API_KEY" : "");
    json_decref(v);
    return code;
}

static int fault_failed(auk_turn *t, const auk_http_response *r, int rc)
{
    static const auk_failure_kind kinds[] = {
        AUK_FAILURE_LOCAL,     AUK_FAILURE_CONNECT, AUK_FAILURE_CONNECT,
        AUK_FAILURE_TIMEOUT,   AUK_FAILURE_CUT,     AUK_FAILURE_LOCAL,
        AUK_FAILURE_MALFORMED, AUK_FAILURE_LOCAL,   AUK_FAILURE_CANCELLED,
    };

    if (t->r->failure.kind == AUK_FAILURE_NONE)
        t->r->failure.kind = kinds[r->fault];
    return rc;
}

static int post(exchange *x, auk_str body, auk_err *err)
{
    auk_client *c = x->c;
    auk_turn *t = x->t;
    auk_buf url = AUK_BUF_INIT(1 << 16), key = AUK_BUF_INIT(1 << 16);
    auk_http_response r;
    bool anthropic = c->wire == &auk_wire_anthropic;

    auk_buf_printf(&url, "%s%s", c->base, c->wire->path);
    if (c->key != NULL)
        auk_buf_printf(&key, anthropic ? "x-api-key: %s" : "Authorization: Bearer %s", c->key);
    auk_http_request req = {
        .url = url.p,
        .headers = (const char *const[]){"Content-Type: application/json",
                                         c->wire->lines ? "Accept: application/x-ndjson"
                                                        : "Accept: text/event-stream, "
                                                          "application/json",
                                         anthropic ? "anthropic-version: 2023-06-01" : NULL, NULL},
        .secrets = (const char *const[]){key.p, NULL},
        .body = body,
        .max_redirects = 5,
        .limits = c->opts.limits,
        .cancelled = on_wait,
        .head = on_head,
        .piece = on_piece,
        .ctx = x};
    int rc = auk_http_run(&r, c->http, &req, err);
    t->r->sent_ns = r.sent_ns;
    if (t->r->failure.status == 0) /* an error in the stream brings its own */
        t->r->failure.status = r.status;
    t->r->failure.retry_after_ms = r.retry_after_ms;
    if (rc == AUK_OK && r.status != 200)
        rc = refused(t, c, &r, err);
    else if (rc == AUK_OK)
        rc = auk_reading_finish(&x->reading, err);
    else if (t->terminal && t->r->failure.kind == AUK_FAILURE_NONE)
        rc = AUK_OK; /* all was said; how the connection ends does not matter */
    else
        rc = fault_failed(t, &r, rc);
    t->r->failure.passes = auk_fault_passes(r.fault, r.status) ||
                           t->r->failure.kind == AUK_FAILURE_UNFINISHED ||
                           t->r->failure.kind == AUK_FAILURE_MALFORMED ||
                           (t->r->failure.kind == AUK_FAILURE_IN_STREAM &&
                            (t->r->failure.status < 400 || t->r->failure.status >= 500 ||
                             t->r->failure.status == 429));
    if (t->r->failure.kind == AUK_FAILURE_CONTEXT || t->r->failure.kind == AUK_FAILURE_LIMIT)
        t->r->failure.passes = false;
    if (rc == AUK_OK)
        t->r->failure = (auk_failure){.status = r.status};
    auk_http_response_release(&r);
    auk_buf_release(&url);
    auk_buf_release(&key);
    return rc;
}

int auk_server_chat(auk_turn *t, auk_client *c, auk_err *err)
{
    exchange x = {.t = t, .c = c};
    json_t *request = NULL;
    auk_buf body = AUK_BUF_INIT(AUK_MAX_TEXT);

    int rc = c->wire->request(&request, c->name, c->opts.ctx, t->chat, err);
    if (rc == AUK_OK && t->chat->extra != NULL)
        json_object_update(request, (json_t *)(uintptr_t)t->chat->extra);
    if (rc == AUK_OK) {
        auk_json_print(&body, request, (auk_json_style){0});
        rc = auk_buf_check(&body, "the request", err);
    }
    if (rc < 0) {
        t->r->failure.kind = AUK_FAILURE_REQUEST;
    } else {
        auk_reading_init(&x.reading, t, c->wire);
        rc = post(&x, auk_buf_str(&body), err);
        auk_reading_release(&x.reading);
    }
    auk_buf_release(&body);
    json_decref(request);
    return rc;
}
