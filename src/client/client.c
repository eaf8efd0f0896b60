/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "client/backend.h"

#include "base/mem.h"
#include "base/time.h"

#include <time.h>

#define DEFAULT_CTX 16384

auk_client_options auk_client_defaults(void)
{
    return (auk_client_options){
        .limits = {.connect_ms = 5000, .first_ms = 900000, .idle_ms = 120000},
        .max_answer_bytes = (size_t)64 << 20};
}

auk_chat auk_chat_defaults(void)
{
    return (auk_chat){.temperature = -1, .top_p = -1, .seed = -1};
}

auk_retry auk_retry_defaults(void)
{
    return (auk_retry){.tries = 3, .base_ms = 500, .max_ms = 30000, .longest_wait_ms = 120000};
}

const char *auk_chat_finish_name(auk_chat_finish f)
{
    static const char *const names[] = {
        "none", "stop", "length", "tool_calls", "repetition_guard", "content_filter", "cancelled"};
    return names[f];
}

const char *auk_failure_name(auk_failure_kind k)
{
    static const char *const names[] = {"none",       "connect",   "timeout",   "cut",
                                        "unfinished", "malformed", "in_stream", "auth",
                                        "not_found",  "context",   "busy",      "server",
                                        "request",    "limit",     "cancelled", "local"};
    return names[k];
}

/* ---- opening ------------------------------------------------------------------------------ */

static auk_client *new_client(const auk_client_options *opts, const char *model)
{
    auk_client *c = auk_alloc(sizeof *c);

    c->opts = *opts;
    c->opts.api_key = NULL;
    if (c->opts.max_answer_bytes == 0)
        c->opts.max_answer_bytes = auk_client_defaults().max_answer_bytes;
    c->shown = auk_strndup(model, strlen(model));
    return c;
}

static int open_session(auk_client *c, auk_err *err)
{
    int most = auk_engine_max_context(c->engine), ctx = c->opts.ctx;

    if (ctx <= 0)
        ctx = most < DEFAULT_CTX ? most : DEFAULT_CTX;
    return auk_session_new(&c->session, c->engine, ctx, err);
}

static int open_folder(auk_client *c, auk_err *err)
{
    auk_engine_options o = {
        .precision = c->opts.precision, .threads = c->opts.threads, .cpu_flags = c->opts.cpu_flags};
    uint64_t t0 = auk_now_ns();

    int rc = auk_engine_open(&c->engine, c->name, &o, err);
    c->owns_engine = true;
    if (rc == AUK_OK)
        rc = open_session(c, err);
    c->load_ns = auk_now_ns() - t0;
    return rc;
}

static char *without_slashes(const char *p, size_t n)
{
    while (n > 0 && p[n - 1] == '/')
        n--;
    return auk_strndup(p, n);
}

/* Splits "http://host:port/v1/org/name" into base and name; Ollama's base has no path. */
static void split_url(auk_client *c, const char *url)
{
    const char *host = strstr(url, "://") + 3, *path = host + strcspn(host, "/");
    const char *v1 = strstr(path, "/v1/"), *name;
    size_t n = strlen(path);

    if (c->wire == &auk_wire_ollama) {
        c->base = without_slashes(url, (size_t)(path - url));
        name = path;
    } else if (v1 != NULL) {
        c->base = without_slashes(url, (size_t)(v1 + 3 - url));
        name = v1 + 3;
    } else if (n >= 3 && strcmp(path + n - 3, "/v1") == 0) {
        c->base = without_slashes(url, strlen(url));
        name = "";
    } else if (c->wire == &auk_wire_anthropic || strrchr(path, '/') == path || n == 0) {
        char *origin = without_slashes(url, (size_t)(path - url));
        size_t m = strlen(origin) + 4;
        c->base = auk_alloc(m);
        snprintf(c->base, m, "%s/v1", origin);
        free(origin);
        name = path;
    } else { /* another prefix than /v1: the last part is the name */
        name = strrchr(path, '/');
        c->base = without_slashes(url, (size_t)(name - url));
    }
    name += strspn(name, "/");
    if (*name != 0)
        c->name = without_slashes(name, strlen(name));
}

static int open_server(auk_client *c, const char *url, auk_err *err)
{
    char *origin = auk_url_origin(url);
    int rc = AUK_OK;

    if (origin == NULL)
        return auk_fail(err, AUK_EINVAL, "'%s' is not an http or https URL", url);
    free(origin);
    free(c->shown);
    c->shown = auk_url_shown(url);
    rc = auk_http_new(&c->http, err);
    if (rc == AUK_OK && c->wire != NULL)
        split_url(c, url);
    else if (rc == AUK_OK)
        rc = auk_server_probe(c, url, err);
    if (rc == AUK_OK && c->name == NULL && c->wire == &auk_wire_anthropic)
        rc = auk_fail(err, AUK_EINVAL, "'%s' lacks the name of a model at its end", c->shown);
    else if (rc == AUK_OK && c->name == NULL)
        rc = auk_server_only_model(c, err);
    return rc;
}

int auk_client_open(auk_client **out, const char *model, const auk_client_options *opts,
                    auk_err *err)
{
    static const struct {
        const char *prefix;
        const auk_wire *wire;
    } table[] = {{"openai:", &auk_wire_openai},
                 {"ollama:", &auk_wire_ollama},
                 {"anthropic:", &auk_wire_anthropic},
                 {"http://", NULL},
                 {"https://", NULL}};
    auk_client *c = new_client(opts, model);
    const char *key = opts->api_key != NULL ? opts->api_key : getenv("AUKLET_API_KEY");
    int rc = 1;

    *out = NULL;
    if (key != NULL && *key != 0)
        c->key = auk_strndup(key, strlen(key));
    for (size_t i = 0; i < sizeof table / sizeof *table && rc > 0; i++) {
        size_t n = strlen(table[i].prefix);
        if (strncmp(model, table[i].prefix, n) == 0) {
            c->wire = table[i].wire;
            rc = open_server(c, c->wire != NULL ? model + n : model, err);
        }
    }
    if (rc > 0) {
        c->name = auk_strndup(model, strlen(model));
        rc = open_folder(c, err);
    }
    if (rc < 0) {
        auk_client_close(c);
        return rc;
    }
    *out = c;
    return AUK_OK;
}

int auk_client_open_engine(auk_client **out, auk_engine *engine, const auk_client_options *opts,
                           auk_err *err)
{
    auk_client *c = new_client(opts, "the engine");

    *out = NULL;
    c->engine = engine;
    c->name = auk_strndup(c->shown, strlen(c->shown));
    int rc = open_session(c, err);
    if (rc < 0)
        auk_client_close(c);
    else
        *out = c;
    return rc;
}

static char *copy(const char *s)
{
    return s != NULL ? auk_strndup(s, strlen(s)) : NULL;
}

int auk_client_clone(auk_client **out, const auk_client *from, auk_err *err)
{
    auk_client *c = new_client(&from->opts, from->shown);

    *out = NULL;
    c->name = copy(from->name);
    c->base = copy(from->base);
    c->key = copy(from->key);
    c->wire = from->wire;
    c->engine = from->engine;
    c->load_ns = from->load_ns;
    int rc = c->engine != NULL ? open_session(c, err) : auk_http_new(&c->http, err);
    if (rc < 0)
        auk_client_close(c);
    else
        *out = c;
    return rc;
}

void auk_client_close(auk_client *c)
{
    if (c == NULL)
        return;
    auk_session_free(c->session);
    if (c->owns_engine)
        auk_engine_close(c->engine);
    auk_http_free(c->http);
    free(c->shown);
    free(c->name);
    free(c->base);
    if (c->key != NULL)
        memset(c->key, 0, strlen(c->key));
    free(c->key);
    free(c);
}

int auk_client_describe(auk_client_info *out, auk_client *c, auk_err *err)
{
    *out = (auk_client_info){.dialect = "engine",
                             .server = "auklet",
                             .model = c->name,
                             .context_tok = -1,
                             .memory_bytes = -1};
    if (c->engine == NULL)
        return auk_server_describe(out, c, err);
    int ctx = c->opts.ctx > 0 ? c->opts.ctx : auk_engine_max_context(c->engine);
    if (c->opts.ctx <= 0 && ctx > DEFAULT_CTX)
        ctx = DEFAULT_CTX;
    out->context_tok = ctx;
    out->memory_bytes = (int64_t)auk_session_bytes(c->engine, ctx);
    out->load_ns = c->load_ns;
    out->counts_tokens = true;
    return AUK_OK;
}

int auk_client_unload(auk_client *c, auk_err *err)
{
    if (c->engine == NULL)
        return auk_server_unload(c, err);
    if (!c->owns_engine)
        return auk_fail(err, AUK_ENOTSUP, "the engine belongs to somebody else");
    auk_session_free(c->session);
    auk_engine_close(c->engine);
    c->session = NULL;
    c->engine = NULL;
    return open_folder(c, err);
}

void auk_client_forget(auk_client *c)
{
    if (c->session != NULL)
        auk_session_clear(c->session);
}

/* ---- a chat ------------------------------------------------------------------------------- */

void auk_client_cancel(auk_client *c)
{
    atomic_store(&c->cancelled, true);
    if (c->http != NULL)
        auk_http_cancel(c->http);
}

int auk_client_chat(auk_reply *out, auk_client *c, const auk_chat *chat, auk_err *err)
{
    auk_turn t;
    auk_err unread;
    int rc;

    auk_turn_init(&t, out, chat, c->opts.max_answer_bytes);
    if (err == NULL)
        err = &unread;
    if (!json_is_array(chat->messages)) {
        out->failure.kind = AUK_FAILURE_REQUEST;
        rc = auk_fail(err, AUK_EINVAL, "a chat needs a list of messages");
    } else if (c->engine == NULL && c->http == NULL) {
        out->failure.kind = AUK_FAILURE_LOCAL;
        rc = auk_fail(err, AUK_EINVAL, "'%s' could not be opened anew", c->shown);
    } else {
        rc = c->engine != NULL ? auk_engine_chat(&t, c, err) : auk_server_chat(&t, c, err);
    }
    auk_err late;
    int end = auk_turn_end(&t, rc < 0, &late);
    if (rc == AUK_OK && end < 0) {
        rc = end;
        *err = late;
        if (out->failure.kind == AUK_FAILURE_NONE)
            out->failure.kind = AUK_FAILURE_MALFORMED;
    }
    atomic_store(&c->cancelled, false);
    auk_turn_release(&t);
    return rc;
}

void auk_reply_release(auk_reply *r)
{
    for (size_t i = 0; i < r->n_calls; i++) {
        free(r->calls[i].id);
        free(r->calls[i].name);
        free(r->calls[i].text);
        json_decref(r->calls[i].arguments);
    }
    free(r->calls);
    auk_buf_release(&r->thinking);
    auk_buf_release(&r->text);
    *r = (auk_reply){0};
}

static json_t *text_value(const auk_buf *b)
{
    json_t *v = json_stringn(b->p != NULL ? b->p : "", b->n);
    return v != NULL ? v : json_string(""); /* not UTF-8: cannot go back to a server */
}

json_t *auk_reply_message(const auk_reply *r)
{
    json_t *m = json_pack("{s:s, s:o}", "role", "assistant", "content", text_value(&r->text));
    json_t *calls = json_array();

    if (r->thinking.n > 0)
        json_object_set_new(m, "reasoning_content", text_value(&r->thinking));
    for (size_t i = 0; i < r->n_calls; i++) {
        const auk_chat_call *k = &r->calls[i];
        json_array_append_new(calls,
                              json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", k->id, "type", "function",
                                        "function", "name", k->name, "arguments",
                                        k->arguments != NULL && *k->text != 0 ? k->text : "{}"));
    }
    if (json_array_size(calls) > 0)
        json_object_set(m, "tool_calls", calls);
    json_decref(calls);
    return m;
}

/* ---- trying again ------------------------------------------------------------------------- */

static bool worth_another(const auk_reply *r, const auk_retry *retry, int attempt)
{
    bool output = r->text.n > 0 || r->thinking.n > 0 || r->n_calls > 0;

    return attempt < retry->tries && r->failure.passes && (retry->after_output || !output) &&
           r->failure.retry_after_ms <= retry->longest_wait_ms;
}

static int wait_for(auk_client *c, const auk_chat *chat, uint64_t ms, auk_err *err)
{
    uint64_t until = auk_now_ns() + ms * 1000000;

    while (auk_now_ns() < until) {
        if (atomic_load(&c->cancelled) || (chat->cancelled != NULL && chat->cancelled(chat->ctx))) {
            atomic_store(&c->cancelled, false);
            return auk_fail(err, AUK_ECANCEL, "stopped");
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return AUK_OK;
}

int auk_client_chat_retry(auk_reply *out, auk_client *c, const auk_chat *chat,
                          const auk_retry *retry, auk_err *err)
{
    uint64_t seed = auk_now_ns();
    auk_err unread;

    if (err == NULL)
        err = &unread;
    for (int attempt = 1;; attempt++) {
        int rc = auk_client_chat(out, c, chat, err);
        out->attempts = attempt;
        if (rc == AUK_OK || !worth_another(out, retry, attempt))
            return rc;
        uint64_t ms = auk_backoff_ms(attempt, retry->base_ms, retry->max_ms,
                                     out->failure.retry_after_ms, &seed);
        if (retry->note != NULL)
            retry->note(retry->ctx, out, err->msg, ms);
        rc = wait_for(c, chat, ms, err);
        if (rc < 0) {
            out->failure = (auk_failure){.kind = AUK_FAILURE_CANCELLED};
            out->finish = AUK_CHAT_CANCELLED;
            return rc;
        }
        auk_reply_release(out);
    }
}
