/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/server_state.h"

#include "base/mem.h"

#include <stdarg.h>

typedef struct route {
    const char *method, *path; /* a path that ends in '/' stands for all below it */
    auk_page_fn *page;         /* or NULL, and */
    const auk_dialect *dialect;
    const char *summary;
} route;

static auk_page_fn count_messages, count_chat, count_responses;

static const route routes[] = {
    {"GET", "/", auk_page_root, NULL, "Ollama is running, or the chat page for a browser"},
    {"GET", "/health", auk_page_health, NULL, "ready or loading; needs no key"},
    {"GET", "/v1/health", auk_page_health, NULL, "the same"},
    {"GET", "/openapi.json", auk_page_openapi, NULL, "this document"},
    {"GET", "/metrics", auk_page_metrics, NULL, "Prometheus text"},
    {"GET", "/props", auk_page_props, NULL, "the server's settings"},
    {"GET", "/slots", auk_page_slots, NULL, "what each lane does: counts and hashes"},
    {"GET", "/debug/cache", auk_page_cache, NULL, "the cache, and where prompts left it"},
    {"POST", "/tokenize", auk_page_tokenize, NULL, "text to token ids"},
    {"POST", "/detokenize", auk_page_detokenize, NULL, "token ids to text"},
    {"POST", "/apply-template", auk_page_template, NULL, "a chat as the prompt's text"},
    {"POST", "/completion", NULL, &auk_dialect_llama, "llama-server's completion"},
    {"POST", "/completions", NULL, &auk_dialect_llama, "the same"},
    {"GET", "/api/version", auk_page_version, NULL, "the Ollama release whose API this is"},
    {"GET", "/api/status", auk_page_status, NULL, "no cloud"},
    {"GET", "/api/tags", auk_page_tags, NULL, "the models"},
    {"GET", "/api/ps", auk_page_ps, NULL, "the loaded models"},
    {"POST", "/api/show", auk_page_show, NULL, "about a model"},
    {"POST", "/api/chat", NULL, &auk_dialect_ollama_chat, "Ollama chat"},
    {"POST", "/api/generate", NULL, &auk_dialect_ollama_generate, "Ollama generate"},
    {"POST", "/api/embed", auk_page_embed, NULL, "refused: no embeddings"},
    {"POST", "/api/embeddings", auk_page_embed, NULL, "refused: no embeddings"},
    {"POST", "/api/pull", auk_page_pull, NULL, "succeeds for this model"},
    {"POST", "/api/copy", auk_page_copy, NULL, "another name for this model"},
    {"POST", "/api/create", auk_page_create, NULL, "another name for this model"},
    {"DELETE", "/api/delete", auk_page_delete, NULL, "removes a name"},
    {"POST", "/api/push", auk_page_not_offered, NULL, "not offered"},
    {"HEAD", "/api/blobs/", auk_page_blob, NULL, "no blobs"},
    {"POST", "/api/blobs/", auk_page_not_offered, NULL, "not offered"},
    {"POST", "/api/me", auk_page_account, NULL, "no account"},
    {"POST", "/api/signout", auk_page_account, NULL, "no account"},
    {"POST", "/api/experimental/web_search", auk_page_cloud, NULL, "disabled"},
    {"POST", "/api/experimental/web_fetch", auk_page_cloud, NULL, "disabled"},
    {"GET", "/api/experimental/model-recommendations", auk_page_recommendations, NULL, "none"},
    {"GET", "/v1/models", auk_page_models, NULL, "the models"},
    {"GET", "/v1/models/", auk_page_model, NULL, "a model"},
    {"GET", "/models", auk_page_models, NULL, "the models"},
    {"POST", "/v1/chat/completions", NULL, &auk_dialect_openai, "OpenAI Chat Completions"},
    {"POST", "/chat/completions", NULL, &auk_dialect_openai, "the same"},
    {"POST", "/v1/chat/completions/input_tokens", count_chat, NULL, "a chat's length in tokens"},
    {"POST", "/v1/chat/completions/control", auk_page_control, NULL, "end the thinking now"},
    {"POST", "/v1/completions", NULL, &auk_dialect_completions, "OpenAI Completions"},
    {"POST", "/v1/responses", NULL, &auk_dialect_responses, "OpenAI Responses"},
    {"POST", "/v1/responses/input_tokens", count_responses, NULL, "an input's length in tokens"},
    {"POST", "/v1/messages", NULL, &auk_dialect_anthropic, "Anthropic Messages"},
    {"POST", "/v1/messages/count_tokens", count_messages, NULL, "a prompt's length in tokens"},
    {"POST", "/v1/embeddings", auk_page_openai_embed, NULL, "refused: no embeddings"},
    {"POST", "/embedding", auk_page_openai_embed, NULL, "refused: no embeddings"},
    {"POST", "/v1/audio/transcriptions", auk_page_not_offered, NULL, "not offered"},
    {"POST", "/infill", auk_page_not_offered, NULL, "not offered: no tokens for it"},
    {"POST", "/rerank", auk_page_not_offered, NULL, "not offered"},
    {"GET", "/lora-adapters", auk_page_not_offered, NULL, "not offered"},
};

bool auk_route_at(size_t i, const char **method, const char **path, const char **summary)
{
    if (i >= sizeof routes / sizeof *routes)
        return false;
    *method = routes[i].method;
    *path = routes[i].path;
    *summary = routes[i].summary;
    return true;
}

static const struct {
    int code, status;
} statuses[] = {
    {AUK_EINVAL, 400}, {AUK_EFORMAT, 400}, {AUK_ENOTSUP, 400}, {AUK_ENOTFOUND, 404},
    {AUK_EIO, 500},    {AUK_ENOMEM, 503},  {AUK_ELIMIT, 413},  {AUK_ECANCEL, 503},
};

int auk_http_status(int code)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].code == code)
            return statuses[i].status;
    return 500;
}

void auk_response_header(auk_response *a, const char *name, const char *fmt, ...)
{
    size_t n = a->headers != NULL ? strlen(a->headers) : 0;
    char value[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(value, sizeof value, fmt, args);
    va_end(args);
    for (char *p = value; *p != 0; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    size_t more = strlen(name) + strlen(value) + 4;
    a->headers = auk_realloc(a->headers, n + more + 1);
    snprintf(a->headers + n, more + 1, "%s: %s\n", name, value);
}

/* ---- errors, in the shape the path's clients read ---- */

static void (*shape_of(const char *path))(auk_buf *, int, const auk_err *, const json_t *)
{
    if (strncmp(path, "/v1/messages", 12) == 0)
        return auk_print_anthropic_error;
    return strncmp(path, "/api/", 5) == 0 ? auk_print_ollama_error : auk_print_openai_error;
}

static void refuse(auk_response *a, const char *path, int status, const auk_err *e, json_t *extra)
{
    auk_buf_clear(&a->body);
    a->status = status;
    a->type = "application/json; charset=utf-8";
    shape_of(path)(&a->body, status, e, extra);
    if (status == 503 || status == 429)
        auk_response_header(a, "Retry-After", "1");
    if (extra != NULL)
        auk_response_header(a, "x-should-retry", "false");
    json_decref(extra);
}

void auk_serve_refuse(void *ctx, auk_str path, int status, const char *text, auk_buf *body)
{
    auk_err e = {.code = AUK_EFORMAT};
    char name[128];

    (void)ctx;
    snprintf(name, sizeof name, "%.*s", (int)(path.n < 127 ? path.n : 127), path.p);
    snprintf(e.msg, sizeof e.msg, "%s", text);
    shape_of(name)(body, status, &e, NULL);
}

/* ---- counting ---- */

static int count(size_t *n, auk_serving *s, const auk_dialect *d, const json_t *request,
                 auk_err *err)
{
    json_t *copy = json_copy((json_t *)request);
    auk_ask ask;

    auk_ask_init(&ask);
    ask.dialect = d;
    if (json_object_get(copy, "model") == NULL)
        json_object_set_new(copy, "model", json_string(s->name));
    int rc = d->parse(&ask, copy, err);
    if (rc == AUK_OK)
        rc = auk_count_tokens(n, s, &ask, err);
    auk_ask_release(&ask);
    json_decref(copy);
    return rc;
}

static int count_messages(auk_serving *s, const auk_http_call *c, const json_t *request,
                          auk_response *a, auk_err *err)
{
    size_t n = 0;
    int rc = count(&n, s, &auk_dialect_anthropic, request, err);

    (void)c;
    if (rc == AUK_OK)
        auk_response_json(a, 200, json_pack("{s:I}", "input_tokens", (json_int_t)n));
    return rc;
}

static int count_chat(auk_serving *s, const auk_http_call *c, const json_t *request,
                      auk_response *a, auk_err *err)
{
    size_t n = 0;
    int rc = count(&n, s, &auk_dialect_openai, request, err);

    (void)c;
    if (rc == AUK_OK)
        auk_response_json(a, 200,
                          json_pack("{s:s, s:I}", "object", "response.input_tokens", "input_tokens",
                                    (json_int_t)n));
    return rc;
}

static int count_responses(auk_serving *s, const auk_http_call *c, const json_t *request,
                           auk_response *a, auk_err *err)
{
    size_t n = 0;
    int rc = count(&n, s, &auk_dialect_responses, request, err);

    (void)c;
    if (rc == AUK_OK)
        auk_response_json(a, 200,
                          json_pack("{s:s, s:I}", "object", "response.input_tokens", "input_tokens",
                                    (json_int_t)n));
    return rc;
}

/* ---- dispatch ---- */

static int serve_dialect(auk_serving *s, const auk_http_call *c, const auk_dialect *d,
                         const json_t *request, auk_response *a, json_t **extra, auk_err *err)
{
    auk_ask ask;
    auk_job *job = NULL;

    auk_ask_init(&ask);
    ask.dialect = d;
    int rc = d->parse(&ask, request, err);
    ask.dialect = d;
    if (rc == AUK_OK && s->opts.strict_model && !auk_is_model(s, ask.model)) {
        *extra = json_pack("{s:s}", "code", "model_not_found");
        rc = auk_fail(err, AUK_ENOTFOUND, "model '%.200s' not found", ask.model);
    }
    if (rc == AUK_OK)
        rc = auk_prepare(&job, s, &ask, extra, err);
    auk_ask_release(&ask);
    if (rc == AUK_OK)
        auk_response_job(s, c, a, job);
    return rc;
}

static int read_body(json_t **out, const auk_http_call *c, auk_err *err)
{
    const char *encoding = auk_call_header(c, "Content-Encoding");
    auk_str body = c->body;

    *out = NULL;
    if (encoding != NULL && strcmp(encoding, "identity") != 0)
        return auk_fail(err, AUK_ENOTSUP,
                        "Content-Encoding '%.40s' is not offered: send plain JSON", encoding);
    while (body.n > 0 && strchr(" \t\r\n", body.p[0]) != NULL && body.p[0] != 0)
        body = auk_str_from(body, 1);
    if (body.n == 0)
        return auk_fail(err, AUK_EFORMAT, "missing request body");
    int rc = auk_json_parse(out, body, "the request", err);
    if (rc == AUK_OK && !json_is_object(*out))
        rc = auk_fail(err, AUK_EFORMAT, "the request is not a JSON object");
    return rc;
}

static void allow_origin(const auk_serving *s, const auk_http_call *c, auk_response *a)
{
    const char *origin = auk_call_header(c, "Origin");

    if (origin == NULL || !auk_origin_allowed(s, origin))
        return;
    auk_response_header(a, "Access-Control-Allow-Origin", "%.200s", origin);
    auk_response_header(a, "Vary", "Origin");
    if (strcmp(c->method, "OPTIONS") == 0) {
        const char *wanted = auk_call_header(c, "Access-Control-Request-Headers");
        auk_response_header(a, "Access-Control-Allow-Methods", "GET, POST, DELETE, HEAD, OPTIONS");
        auk_response_header(a, "Access-Control-Allow-Headers", "%.300s",
                            wanted ? wanted : "Content-Type, Authorization");
        auk_response_header(a, "Access-Control-Max-Age", "600");
    }
}

static const route *find(const char *method, const char *path, bool *known)
{
    const route *found = NULL;

    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const route *r = &routes[i];
        size_t n = strlen(r->path);
        bool below = n > 1 && r->path[n - 1] == '/';
        if (below ? strncmp(path, r->path, n) != 0 : strcmp(path, r->path) != 0)
            continue;
        *known = true;
        bool same = strcmp(method, r->method) == 0 ||
                    (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
        if (same && found == NULL)
            found = r;
    }
    return found;
}

static void serve_route(auk_serving *s, const auk_http_call *c, const route *r, const char *path,
                        auk_response *a)
{
    auk_err err = {0};
    json_t *request = NULL, *extra = NULL;
    int rc = AUK_OK;

    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0 &&
        r->page != auk_page_account && r->page != auk_page_not_offered)
        rc = read_body(&request, c, &err);
    if (rc == AUK_OK && r->dialect != NULL)
        rc = serve_dialect(s, c, r->dialect, request, a, &extra, &err);
    else if (rc == AUK_OK)
        rc = r->page(s, c, request, a, &err);
    json_decref(request);
    if (rc < 0)
        refuse(a, path,
               rc == AUK_ENOTSUP && auk_call_header(c, "Content-Encoding") ? 415
                                                                           : auk_http_status(rc),
               &err, extra);
}

static const char *path_of(const auk_http_call *c)
{
    const char *path = c->target;

    if (strncmp(path, "http://", 7) == 0) {
        path = strchr(path + 7, '/');
        path = path != NULL ? path : "/";
    }
    return path;
}

void auk_serve_handle(void *serving, const auk_http_call *c, auk_response *a)
{
    auk_serving *s = serving;
    const char *path = path_of(c), *why;
    bool known = false;
    auk_err e = {.code = AUK_EINVAL};
    int status = auk_gate(s, c, path, &why);
    const route *r = find(c->method, path, &known);

    auk_response_header(a, "Server", "auklet/" AUK_VERSION);
    if (status != 0) {
        snprintf(e.msg, sizeof e.msg, "%s", why);
        refuse(a, path, status, &e, NULL);
        return;
    }
    allow_origin(s, c, a);
    if (strcmp(c->method, "OPTIONS") == 0) {
        a->status = 204;
        return;
    }
    bool waits = !atomic_load(&s->ready) && (r == NULL || r->page != auk_page_health);
    if (waits) {
        snprintf(e.msg, sizeof e.msg, "Loading model");
        refuse(a, path, 503, &e, NULL);
    } else if (r != NULL) {
        serve_route(s, c, r, path, a);
    } else if (known) {
        snprintf(e.msg, sizeof e.msg, "method '%.20s' is not allowed for this path", c->method);
        refuse(a, path, 405, &e, NULL);
    } else {
        snprintf(e.msg, sizeof e.msg, "'%.200s' is not a path of this server", path);
        refuse(a, path, 404, &e, NULL);
    }
}
