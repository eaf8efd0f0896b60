/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says about itself and its model, in every dialect. */
#define _POSIX_C_SOURCE 200809L
#include "serve/server_state.h"

#include <strings.h>

void auk_response_json(auk_response *a, int status, json_t *v)
{
    a->status = status;
    a->type = "application/json; charset=utf-8";
    auk_json_print(&a->body, v, (auk_json_style){0});
    json_decref(v);
}

void auk_time_text(char out[64], int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    gmtime_r(&t, &tm);
    snprintf(out, 64, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void auk_now_text(char out[64])
{
    struct timespec t;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    snprintf(out, 64, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec);
}

static json_t *time_json(int64_t seconds)
{
    char text[64];

    auk_time_text(text, seconds);
    return json_string(text);
}

/* Ollama's names: without case, ":latest" is the same as nothing. */
static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, ":"), m = strcspn(b, ":");
    const char *ta = a[n] != 0 ? a + n + 1 : "latest", *tb = b[m] != 0 ? b + m + 1 : "latest";

    return n == m && strncasecmp(a, b, n) == 0 && strcasecmp(ta, tb) == 0;
}

static bool is_alias(auk_serving *s, const char *name)
{
    const char *key;
    json_t *v;
    bool found = false;

    pthread_mutex_lock(&s->lock);
    json_object_foreach(s->aliases, key, v) found = found || same_name(key, name);
    pthread_mutex_unlock(&s->lock);
    return found;
}

bool auk_is_model(auk_serving *s, const char *name)
{
    return same_name(s->name, name) || is_alias(s, name);
}

static const auk_hparams *hparams(const auk_serving *s)
{
    return &auk_engine_model(s->engine)->hp;
}

static json_t *details(const auk_serving *s)
{
    char size[32];

    snprintf(size, sizeof size, "%.1f%c",
             s->parameters >= 1000000000 ? (double)s->parameters / 1e9
                                         : (double)s->parameters / 1e6,
             s->parameters >= 1000000000 ? 'B' : 'M');
    return json_pack("{s:s, s:s, s:s, s:[s], s:s, s:s, s:i, s:i}", "parent_model", "", "format",
                     "safetensors", "family", "cohere2_moe", "families", "cohere2_moe",
                     "parameter_size", size, "quantization_level", s->format, "context_length",
                     s->ctx, "embedding_length", hparams(s)->hidden);
}

static json_t *capabilities(void)
{
    return json_pack("[s, s, s]", "completion", "tools", "thinking");
}

/* Every name the model goes by, its own first. */
static json_t *names(auk_serving *s)
{
    json_t *list = json_pack("[s]", s->name), *v;
    const char *key;

    pthread_mutex_lock(&s->lock);
    json_object_foreach(s->aliases, key, v) json_array_append_new(list, json_string(key));
    pthread_mutex_unlock(&s->lock);
    return list;
}

static json_t *tagged(const json_t *name)
{
    char full[300];
    const char *text = json_string_value(name);

    snprintf(full, sizeof full, "%s%s", text, strchr(text, ':') != NULL ? "" : ":latest");
    return json_string(full);
}

int auk_page_root(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                  auk_err *err)
{
    const char *accept = auk_call_header(c, "Accept");

    if (accept != NULL && strstr(accept, "text/html") != NULL)
        return auk_page_chat(s, c, request, a, err);
    a->status = 200;
    a->type = "text/plain; charset=utf-8";
    auk_buf_puts(&a->body, "Ollama is running");
    return AUK_OK;
}

int auk_page_version(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                     auk_err *err)
{
    (void)s, (void)c, (void)request, (void)err;
    auk_response_json(a, 200, json_pack("{s:s}", "version", "0.33.0"));
    return AUK_OK;
}

int auk_page_status(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                    auk_err *err)
{
    (void)s, (void)c, (void)request, (void)err;
    auk_response_json(a, 200,
                      json_pack("{s:{s:b, s:s}}", "cloud", "disabled", 1, "source", "config"));
    return AUK_OK;
}

int auk_page_tags(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                  auk_err *err)
{
    json_t *list = json_array(), *all = names(s);

    (void)c, (void)request, (void)err;
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *full = tagged(json_array_get(all, i));
        json_array_append_new(list,
                              json_pack("{s:O, s:o, s:o, s:I, s:s, s:o, s:o}", "name", full,
                                        "model", full, "modified_at", time_json(s->modified),
                                        "size", (json_int_t)s->model_bytes, "digest", s->digest,
                                        "details", details(s), "capabilities", capabilities()));
    }
    json_decref(all);
    auk_response_json(a, 200, json_pack("{s:o}", "models", list));
    return AUK_OK;
}

int auk_page_ps(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                auk_err *err)
{
    auk_runner_stats *stats = malloc(sizeof *stats);
    json_t *own = json_string(s->name), *full = tagged(own);
    int64_t expires;

    (void)c, (void)request, (void)err;
    auk_runner_stats_get(stats, s->runner);
    pthread_mutex_lock(&s->lock);
    expires = s->keep_alive_s < 0 ? s->started + 9467280000 /* 300 years: "Forever" */
                                  : s->last_use + (int64_t)s->keep_alive_s;
    pthread_mutex_unlock(&s->lock);
    if (expires < (int64_t)time(NULL)) /* the weights stay mapped, so it stays loaded */
        expires = (int64_t)time(NULL) + 300;
    json_t *entry = json_pack(
        "{s:O, s:o, s:I, s:s, s:o, s:o, s:I, s:i}", "name", full, "model", full, "size",
        (json_int_t)(s->model_bytes + stats->kv_bytes), "digest", s->digest, "details", details(s),
        "expires_at", time_json(expires), "size_vram", (json_int_t)0, "context_length", s->ctx);
    json_decref(own);
    free(stats);
    auk_response_json(a, 200, json_pack("{s:[o]}", "models", entry));
    return AUK_OK;
}

static json_t *model_info(auk_serving *s)
{
    const auk_hparams *hp = hparams(s);

    return json_pack(
        "{s:s, s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:i, s:n, s:n}",
        "general.architecture", "cohere2_moe", "general.basename", s->name,
        "general.parameter_count", (json_int_t)s->parameters, "cohere2_moe.context_length",
        hp->max_context, "cohere2_moe.embedding_length", hp->hidden, "cohere2_moe.block_count",
        hp->n_layers, "cohere2_moe.attention.head_count", hp->n_heads,
        "cohere2_moe.attention.head_count_kv", hp->n_kv_heads, "cohere2_moe.attention.key_length",
        hp->head_dim, "cohere2_moe.attention.sliding_window", hp->window,
        "cohere2_moe.expert_count", hp->n_experts, "cohere2_moe.expert_used_count", hp->top_k,
        "cohere2_moe.rope.freq_base", hp->rope_theta, "cohere2_moe.vocab_size", hp->vocab,
        "tokenizer.ggml.tokens", "tokenizer.ggml.merges");
}

/* Ollama's own program sends an empty "model" beside the "name". */
static const char *model_name(const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "model"));

    return name != NULL && *name != 0 ? name : json_string_value(json_object_get(request, "name"));
}

int auk_page_show(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                  auk_err *err)
{
    const char *name = model_name(request);
    const char *agent = auk_call_header(c, "User-Agent");
    char file[400], parameters[120];

    if (name == NULL || *name == 0)
        return auk_fail(err, AUK_EINVAL, "model is required");
    if (!auk_is_model(s, name))
        return auk_fail(err, AUK_ENOTFOUND, "model '%s' not found", name);
    snprintf(file, sizeof file, "FROM %s\nPARAMETER temperature 1\nPARAMETER top_p 0.95\n",
             s->name);
    snprintf(parameters, sizeof parameters,
             "num_ctx                        %d\ntemperature                    1\n"
             "top_p                          0.95",
             s->ctx);
    json_t *info = model_info(s);
    if (agent != NULL && strncmp(agent, "GitHubCopilotChat/", 18) == 0)
        json_object_set_new(info, "general.basename", json_string(name));
    auk_response_json(a, 200,
                      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:[], s:o, s:o, s:s}",
                                "license", "", "modelfile", file, "parameters", parameters,
                                "template", "{{ .Prompt }}", "renderer", "north", "parser", "north",
                                "details", details(s), "model_info", info, "tensors",
                                "capabilities", capabilities(), "modified_at",
                                time_json(s->modified), "requires", "0.33.0"));
    return AUK_OK;
}

static json_t *openai_model(auk_serving *s, const json_t *name)
{
    const auk_hparams *hp = hparams(s);
    json_t *o =
        json_pack("{s:O, s:s, s:I, s:s, s:s, s:i, s:i, s:i}", "id", name, "object", "model",
                  "created", (json_int_t)s->modified, "owned_by", "auklet", "type", "model",
                  "context_length", s->ctx, "max_model_len", s->ctx, "max_output_tokens", s->ctx);

    json_object_set_new(o, "display_name", json_incref((json_t *)name));
    json_object_set_new(o, "created_at", time_json(s->modified));
    json_object_set_new(
        o, "top_provider",
        json_pack("{s:i, s:i}", "context_length", s->ctx, "max_completion_tokens", s->ctx));
    json_object_set_new(o, "supported_parameters",
                        json_pack("[s, s, s, s, s, s, s, s, s, s]", "temperature", "top_p", "top_k",
                                  "seed", "stop", "max_tokens", "tools", "tool_choice",
                                  "response_format", "reasoning_effort"));
    json_object_set_new(o, "meta",
                        json_pack("{s:i, s:i, s:I, s:I, s:i, s:i, s:i}", "n_ctx", s->ctx,
                                  "n_ctx_train", hp->max_context, "n_params",
                                  (json_int_t)s->parameters, "size", (json_int_t)s->model_bytes,
                                  "n_vocab", hp->vocab, "n_embd", hp->hidden, "vocab_type", 2));
    return o;
}

int auk_page_models(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                    auk_err *err)
{
    json_t *all = names(s), *data = json_array(), *models = json_array();

    (void)c, (void)request, (void)err;
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *name = json_array_get(all, i);
        json_array_append_new(data, openai_model(s, name));
        json_array_append_new(models, json_pack("{s:O, s:O, s:o}", "name", name, "model", name,
                                                "capabilities", capabilities()));
    }
    json_t *o = json_pack("{s:s, s:o, s:o, s:b, s:O, s:O}", "object", "list", "data", data,
                          "models", models, "has_more", 0, "first_id", json_array_get(all, 0),
                          "last_id", json_array_get(all, json_array_size(all) - 1));
    json_decref(all);
    auk_response_json(a, 200, o);
    return AUK_OK;
}

int auk_page_model(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                   auk_err *err)
{
    const char *name = strstr(c->target, "/v1/models/");

    (void)request;
    name = name != NULL ? name + 11 : "";
    if (!auk_is_model(s, name))
        return auk_fail(err, AUK_ENOTFOUND, "model '%s' not found", name);
    json_t *id = json_string(name);
    auk_response_json(a, 200, openai_model(s, id));
    json_decref(id);
    return AUK_OK;
}

int auk_page_props(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                   auk_err *err)
{
    (void)c, (void)request, (void)err;
    json_t *settings = json_pack("{s:i, s:{s:f, s:f, s:i, s:f, s:i, s:b}}", "n_ctx", s->ctx,
                                 "params", "temperature", 1.0, "top_p", 0.95, "top_k", 0, "min_p",
                                 0.0, "n_predict", -1, "stream", 1);
    auk_response_json(
        a, 200,
        json_pack("{s:o, s:i, s:s, s:s, s:s, s:{s:b, s:b, s:b, s:b}, s:s, s:s, s:s, s:s, s:{s:b, "
                  "s:b}, s:b}",
                  "default_generation_settings", settings, "total_slots", s->opts.parallel,
                  "model_alias", s->name, "model_path", s->name, "chat_template", "",
                  "chat_template_caps", "supports_tools", 1, "supports_tool_calls", 1,
                  "supports_parallel_tool_calls", 1, "supports_system_role", 1, "bos_token",
                  "<BOS_TOKEN>", "eos_token", "<|END_OF_TURN_TOKEN|>", "build_info",
                  "auklet " AUK_VERSION, "version", AUK_VERSION, "modalities", "vision", 0, "audio",
                  0, "is_sleeping", 0));
    return AUK_OK;
}

/* ---- what changes models ---- */

static void status_lines(auk_response *a, const json_t *request, const char *const *lines, size_t n)
{
    const json_t *stream = json_object_get(request, "stream");

    a->status = 200;
    a->type = json_is_false(stream) ? "application/json; charset=utf-8" : "application/x-ndjson";
    for (size_t i = json_is_false(stream) ? n - 1 : 0; i < n; i++)
        auk_buf_printf(&a->body, "{\"status\":\"%s\"}\n", lines[i]);
}

int auk_page_pull(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                  auk_err *err)
{
    static const char *const lines[] = {"pulling manifest", "success"};
    const char *name = model_name(request);

    (void)c;
    if (name == NULL || *name == 0)
        return auk_fail(err, AUK_EINVAL, "model is required");
    if (auk_is_model(s, name)) {
        status_lines(a, request, lines, 2);
        return AUK_OK;
    }
    if (json_is_false(json_object_get(request, "stream")))
        return auk_fail(err, AUK_ENOTFOUND, "pull model manifest: file does not exist");
    a->status = 200;
    a->type = "application/x-ndjson";
    auk_buf_puts(&a->body, "{\"status\":\"pulling manifest\"}\n"
                           "{\"error\":\"pull model manifest: file does not exist\"}\n");
    return AUK_OK;
}

static void add_alias(auk_serving *s, const char *name, json_t *parameters)
{
    pthread_mutex_lock(&s->lock);
    json_object_set_new(s->aliases, name, parameters);
    pthread_mutex_unlock(&s->lock);
}

static int check_alias(auk_serving *s, const char *name, auk_err *err)
{
    pthread_mutex_lock(&s->lock);
    size_t n = json_object_size(s->aliases);
    pthread_mutex_unlock(&s->lock);
    if (strlen(name) > 128)
        return auk_fail(err, AUK_EINVAL, "a name has at most 128 bytes");
    return n < 64 ? AUK_OK : auk_fail(err, AUK_EINVAL, "64 aliases are the most: delete some");
}

int auk_page_copy(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                  auk_err *err)
{
    const char *from = json_string_value(json_object_get(request, "source"));
    const char *to = json_string_value(json_object_get(request, "destination"));

    (void)c;
    if (from == NULL || to == NULL || *to == 0)
        return auk_fail(err, AUK_EINVAL, "source and destination are required");
    if (!auk_is_model(s, from))
        return auk_fail(err, AUK_ENOTFOUND, "model '%s' not found", from);
    int rc = check_alias(s, to, err);
    if (rc == AUK_OK)
        add_alias(s, to, json_object());
    a->status = 200;
    return rc;
}

int auk_page_delete(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                    auk_err *err)
{
    const char *name = model_name(request);

    (void)c;
    if (name == NULL || *name == 0)
        return auk_fail(err, AUK_EINVAL, "model is required");
    if (same_name(s->name, name)) {
        auk_response_json(
            a, 403,
            json_pack("{s:s}", "error", "this server's own model cannot be deleted through it"));
        return AUK_OK;
    }
    const char *key;
    json_t *v;
    void *tmp;
    bool found = false;
    pthread_mutex_lock(&s->lock);
    json_object_foreach_safe(s->aliases, tmp, key, v)
    {
        if (same_name(key, name)) {
            json_object_del(s->aliases, key);
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
    a->status = 200;
    return found ? AUK_OK : auk_fail(err, AUK_ENOTFOUND, "model '%s' not found", name);
}

int auk_page_create(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                    auk_err *err)
{
    static const char *const lines[] = {"using existing layer", "writing manifest", "success"};
    static const char *const alien[] = {"files",    "adapters", "quantize", "template",
                                        "messages", "system",   "license"};
    const char *name = model_name(request);
    const char *from = json_string_value(json_object_get(request, "from"));

    (void)c;
    if (name == NULL || *name == 0)
        return auk_fail(err, AUK_EINVAL, "model is required");
    for (size_t i = 0; i < sizeof alien / sizeof *alien; i++)
        if (json_object_get(request, alien[i]) != NULL)
            return auk_fail(err, AUK_ENOTSUP,
                            "creating a model with '%s' is not offered: only another name for "
                            "this one",
                            alien[i]);
    if (from == NULL || !auk_is_model(s, from))
        return auk_fail(err, AUK_ENOTFOUND, "model '%s' not found", from ? from : "");
    int rc = check_alias(s, name, err);
    if (rc < 0)
        return rc;
    add_alias(s, name, json_object());
    status_lines(a, request, lines, 3);
    return AUK_OK;
}

int auk_page_embed(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                   auk_err *err)
{
    const char *name = model_name(request);

    (void)c, (void)a;
    return auk_fail(err, AUK_EINVAL, "\"%s\" does not support embeddings", name ? name : s->name);
}

int auk_page_openai_embed(auk_serving *s, const auk_http_call *c, const json_t *request,
                          auk_response *a, auk_err *err)
{
    auk_err e = {.code = AUK_ENOTSUP, .msg = "this model produces no embeddings"};

    (void)s, (void)c, (void)request, (void)err;
    a->status = 501;
    a->type = "application/json";
    auk_print_openai_error(&a->body, 501, &e, NULL);
    return AUK_OK;
}

int auk_page_not_offered(auk_serving *s, const auk_http_call *c, const json_t *request,
                         auk_response *a, auk_err *err)
{
    auk_err e = {.code = AUK_ENOTSUP};

    (void)s, (void)request, (void)err;
    snprintf(e.msg, sizeof e.msg, "%.200s is not offered by this server", c->target);
    a->status = 501;
    a->type = "application/json";
    if (strncmp(c->target, "/api/", 5) == 0)
        auk_print_ollama_error(&a->body, 501, &e, NULL);
    else
        auk_print_openai_error(&a->body, 501, &e, NULL);
    return AUK_OK;
}

int auk_page_blob(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                  auk_err *err)
{
    if (strcmp(c->method, "HEAD") != 0)
        return auk_page_not_offered(s, c, request, a, err);
    return auk_fail(err, AUK_ENOTFOUND, "no such blob");
}

int auk_page_account(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                     auk_err *err)
{
    (void)s, (void)c, (void)request, (void)err;
    auk_response_json(a, 401,
                      json_pack("{s:s}", "error", "unauthorized: there is no account here"));
    return AUK_OK;
}

int auk_page_cloud(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                   auk_err *err)
{
    (void)s, (void)c, (void)request, (void)err;
    auk_response_json(a, 403, json_pack("{s:s}", "error", "cloud features are disabled"));
    return AUK_OK;
}

int auk_page_recommendations(auk_serving *s, const auk_http_call *c, const json_t *request,
                             auk_response *a, auk_err *err)
{
    (void)s, (void)c, (void)request, (void)err;
    auk_response_json(a, 200, json_pack("{s:[]}", "models"));
    return AUK_OK;
}
