/* SPDX-License-Identifier: Apache-2.0 */
/* Finding out what a server is, which model it has and how large its window is. */
#include "client/backend.h"

#include "base/mem.h"

static char *joined(const char *base, const char *path)
{
    size_t n = strlen(base) + strlen(path) + 1;
    char *url = auk_alloc(n);

    snprintf(url, n, "%s%s", base, path);
    return url;
}

static bool asked_to_stop(void *ctx)
{
    return atomic_load(&((auk_client *)ctx)->cancelled);
}

int auk_server_ask(json_t **v, int *status, auk_str *server, auk_buf *text, auk_client *c,
                   const char *url, const json_t *body, auk_err *err)
{
    auk_buf key = AUK_BUF_INIT(1 << 16), out = AUK_BUF_INIT(1 << 20);
    auk_http_response r;
    auk_err unread;

    if (c->key != NULL)
        auk_buf_printf(
            &key, c->wire == &auk_wire_anthropic ? "x-api-key: %s" : "Authorization: Bearer %s",
            c->key);
    if (body != NULL)
        auk_json_print(&out, body, (auk_json_style){0});
    auk_http_request req = {.url = url,
                            .headers =
                                (const char *const[]){"Content-Type: application/json", NULL},
                            .secrets = (const char *const[]){key.p, NULL},
                            .body = body != NULL ? auk_buf_str(&out) : (auk_str){NULL, 0},
                            .max_redirects = 5,
                            .max_text = (size_t)16 << 20,
                            .limits = c->opts.limits,
                            .cancelled = asked_to_stop,
                            .ctx = c};
    if (req.limits.first_ms == 0 || req.limits.first_ms > 60000)
        req.limits.first_ms = 60000;
    int rc = auk_http_run(&r, c->http, &req, err);
    *v = NULL;
    *status = r.status;
    if (rc == AUK_OK && auk_json_parse(v, auk_buf_str(&r.text), url, &unread) < 0)
        *v = NULL;
    if (rc == AUK_OK && text != NULL) {
        auk_str s = auk_http_header(&r, "server");
        auk_buf_clear(text);
        auk_buf_add(text, s.p, s.n);
        if (server != NULL)
            server->n = text->n;
        auk_buf_add(text, r.text.p, r.text.n < 4096 ? r.text.n : 4096);
        if (server != NULL)
            server->p = text->p;
    }
    auk_http_response_release(&r);
    auk_buf_release(&key);
    auk_buf_release(&out);
    return rc;
}

static int ask(json_t **v, auk_client *c, const char *path, const json_t *body, auk_err *err)
{
    char *origin = auk_url_origin(c->base), *url = joined(origin != NULL ? origin : "", path);
    int status;

    int rc = auk_server_ask(v, &status, NULL, NULL, c, url, body, err);
    if (rc == AUK_OK && status != 200) {
        json_decref(*v);
        *v = NULL;
    }
    free(origin);
    free(url);
    return rc;
}

/* ---- the name of the model ---------------------------------------------------------------- */

int auk_server_only_model(auk_client *c, auk_err *err)
{
    bool ollama = c->wire == &auk_wire_ollama;
    char *url = joined(c->base, ollama ? "/api/tags" : "/models");
    json_t *v = NULL;
    int status;

    int rc = auk_server_ask(&v, &status, NULL, NULL, c, url, NULL, err);
    const json_t *list = json_object_get(v, ollama ? "models" : "data");
    auk_str name = auk_wire_str(json_array_get(list, 0), ollama ? "name" : "id");
    if (rc == AUK_OK && (status != 200 || name.n == 0))
        rc = auk_fail(err, AUK_ENOTFOUND, "'%s' does not say which models it has: add the name",
                      c->shown);
    else if (rc == AUK_OK && json_array_size(list) > 1)
        rc = auk_fail(err, AUK_EINVAL, "'%s' has %zu models: add the name of one, like '%.*s'",
                      c->shown, json_array_size(list), AUK_ARG(name));
    else if (rc == AUK_OK)
        c->name = auk_strndup(name.p, name.n);
    json_decref(v);
    free(url);
    return rc;
}

/* ---- a plain URL -------------------------------------------------------------------------- */

static bool holds(const auk_buf *text, const char *word)
{
    return text->p != NULL && strstr(text->p, word) != NULL;
}

/* llama-server and ours say what they are at /props, Ollama at /; the rest is OpenAI-like when it
 * lists models. */
int auk_server_probe(auk_client *c, const char *url, auk_err *err)
{
    char *origin = auk_url_origin(url), *shown = auk_url_shown(url);
    const char *path = strstr(shown, "://") + 3;
    auk_buf text = AUK_BUF_INIT(1 << 16);
    auk_str server = {"", 0};
    json_t *v = NULL;
    int status = 0;

    path += strcspn(path, "/");
    while (*path == '/')
        path++;
    const char *name = strncmp(path, "v1/", 3) == 0 ? path + 3
                       : strcmp(path, "v1") == 0    ? ""
                                                    : path;
    char *at = joined(origin, "/props");
    c->wire = &auk_wire_openai; /* how the key is sent */
    int rc = auk_server_ask(&v, &status, &server, &text, c, at, NULL, err);
    bool known = rc == AUK_OK && status == 200 && json_object_get(v, "build_info") != NULL;
    known = known || (rc == AUK_OK && auk_str_starts(server, "auklet"));
    json_decref(v);
    free(at);
    if (rc == AUK_OK && !known) {
        at = joined(origin, "/");
        rc = auk_server_ask(&v, &status, &server, &text, c, at, NULL, err);
        json_decref(v);
        free(at);
        if (rc == AUK_OK && holds(&text, "Ollama is running")) {
            c->wire = &auk_wire_ollama;
            known = true;
        }
    }
    if (rc == AUK_OK && !known) {
        at = joined(origin, "/v1/models");
        rc = auk_server_ask(&v, &status, &server, &text, c, at, NULL, err);
        known = rc == AUK_OK && status == 200 && json_is_array(json_object_get(v, "data"));
        json_decref(v);
        free(at);
    }
    if (rc == AUK_OK && !known)
        rc = auk_fail(err, AUK_ENOTSUP,
                      "'%s' does not say what it is (asked /props, / and /v1/models): write "
                      "openai:, ollama: or anthropic: before the URL",
                      shown);
    if (rc == AUK_OK) {
        c->base = joined(origin, c->wire == &auk_wire_ollama ? "" : "/v1");
        if (*name != 0)
            c->name = auk_strndup(name, strlen(name));
    }
    auk_buf_release(&text);
    free(origin);
    free(shown);
    return rc;
}

/* ---- what it is --------------------------------------------------------------------------- */

static void keep(int64_t *field, int64_t v)
{
    if (*field < 0)
        *field = v;
}

static int describe_ollama(auk_client_info *out, auk_client *c, auk_err *err)
{
    json_t *version = NULL, *ps = NULL, *show = NULL, *body = NULL, *value;
    const char *key;

    int rc = ask(&version, c, "/api/version", NULL, err);
    if (rc == AUK_OK)
        rc = ask(&ps, c, "/api/ps", NULL, err);
    const json_t *list = json_object_get(ps, "models");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        auk_str name = auk_wire_str(m, "name");
        bool tagged = auk_str_starts(name, c->name) &&
                      (name.n == strlen(c->name) || name.p[strlen(c->name)] == ':');
        if (tagged) {
            keep(&out->context_tok, auk_wire_int(m, "context_length"));
            keep(&out->memory_bytes, auk_wire_int(m, "size"));
        }
    }
    if (rc == AUK_OK && out->context_tok < 0) { /* not loaded: what the model could do */
        body = json_pack("{s:s}", "model", c->name);
        rc = ask(&show, c, "/api/show", body, err);
        json_object_foreach(json_object_get(show, "model_info"), key, value)
        {
            if (auk_str_ends(auk_str_of(key), ".context_length") && json_is_integer(value))
                keep(&out->context_tok, c->opts.ctx > 0 ? c->opts.ctx : json_integer_value(value));
        }
    }
    auk_str text = auk_wire_str(version, "version");
    snprintf(c->server, sizeof c->server, "ollama %.*s", AUK_ARG(text));
    json_decref(version);
    json_decref(ps);
    json_decref(show);
    json_decref(body);
    return rc;
}

static int describe_openai(auk_client_info *out, auk_client *c, auk_err *err)
{
    json_t *props = NULL, *version = NULL, *models = NULL;
    char *url = joined(c->base, "/models");
    auk_buf text = AUK_BUF_INIT(1 << 16);
    auk_str server = {"", 0};
    int status;

    int rc = auk_server_ask(&models, &status, &server, &text, c, url, NULL, err);
    free(url);
    const json_t *list = json_object_get(models, "data"), *mine = NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (mine == NULL || auk_str_is(auk_wire_str(json_array_get(list, i), "id"), c->name))
            mine = json_array_get(list, i);
    auk_str owner = auk_wire_str(mine, "owned_by");
    if (rc == AUK_OK)
        rc = ask(&props, c, "/props", NULL, err);
    const json_t *settings = json_object_get(props, "default_generation_settings");
    keep(&out->context_tok, auk_wire_int(settings, "n_ctx"));
    keep(&out->context_tok, auk_wire_int(mine, "max_model_len"));
    keep(&out->context_tok, auk_wire_int(mine, "context_length"));
    keep(&out->context_tok, auk_wire_int(json_object_get(mine, "meta"), "n_ctx"));
    keep(&out->memory_bytes, auk_wire_int(json_object_get(mine, "meta"), "size"));
    auk_str build = auk_wire_str(props, "build_info");
    if (rc == AUK_OK && build.n == 0)
        rc = ask(&version, c, "/version", NULL, err);
    if (build.n == 0)
        build = auk_wire_str(version, "version");
    if (server.n == 0)
        server = owner;
    snprintf(c->server, sizeof c->server, "%.*s%s%.*s", AUK_ARG(server), build.n > 0 ? " " : "",
             AUK_ARG(build));
    json_decref(models);
    json_decref(props);
    json_decref(version);
    auk_buf_release(&text);
    return rc;
}

int auk_server_describe(auk_client_info *out, auk_client *c, auk_err *err)
{
    int rc = AUK_OK;

    c->server[0] = 0;
    if (c->wire == &auk_wire_ollama)
        rc = describe_ollama(out, c, err);
    else if (c->wire == &auk_wire_openai)
        rc = describe_openai(out, c, err);
    out->dialect = c->wire->name;
    out->server = c->server;
    out->model = c->name;
    return rc;
}

int auk_server_unload(auk_client *c, auk_err *err)
{
    json_t *v = NULL, *body;
    int status;

    if (c->wire != &auk_wire_ollama)
        return auk_fail(err, AUK_ENOTSUP, "'%s' cannot be asked to unload its model", c->shown);
    body = json_pack("{s:s, s:[], s:i, s:b}", "model", c->name, "messages", "keep_alive", 0,
                     "stream", 0);
    char *url = joined(c->base, "/api/chat");
    int rc = auk_server_ask(&v, &status, NULL, NULL, c, url, body, err);
    if (rc == AUK_OK && status != 200)
        rc = auk_fail(err, AUK_EIO, "'%s' answers %d to the wish to unload", c->shown, status);
    json_decref(v);
    json_decref(body);
    free(url);
    return rc;
}
