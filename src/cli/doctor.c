/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "cli/doctor.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/time.h"

#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

/* ---- one request -------------------------------------------------------------------------- */

typedef struct asker {
    auk_http *http;
    const char *url, *key;
    uint64_t end_ns; /* no request goes on after this */
} asker;

static uint64_t left_ms(const asker *a)
{
    uint64_t now = auk_now_ns();
    return now < a->end_ns ? (a->end_ns - now) / 1000000 + 1 : 1;
}

/* GET, or POST of `body`; *out is to be released whatever is returned. */
static int ask(auk_http_response *out, const asker *a, const char *path, const json_t *body,
               auk_http_body_fn *piece, void *ctx, auk_err *err)
{
    auk_buf url = AUK_BUF_INIT(8192), text = AUK_BUF_INIT(1 << 16), key = AUK_BUF_INIT(8192),
            x_key = AUK_BUF_INIT(8192);

    auk_buf_printf(&url, "%s%s", a->url, path);
    if (a->key != NULL && a->key[0] != 0) {
        auk_buf_printf(&key, "Authorization: Bearer %s", a->key);
        auk_buf_printf(&x_key, "x-api-key: %s", a->key);
    }
    if (body != NULL)
        auk_json_print(&text, body, (auk_json_style){0});
    auk_http_request req = {.url = url.p,
                            .headers = (const char *const[]){"Content-Type: application/json",
                                                             "anthropic-version: 2023-06-01", NULL},
                            .secrets = (const char *const[]){key.p, x_key.p, NULL},
                            .body = body != NULL ? auk_buf_str(&text) : (auk_str){NULL, 0},
                            .max_text = (size_t)4 << 20,
                            .limits = {.connect_ms = 2000, .total_ms = left_ms(a)},
                            .piece = piece,
                            .ctx = ctx};
    if (key.p == NULL)
        req.secrets = NULL;
    int rc = auk_http_run(out, a->http, &req, err);
    auk_buf_release(&url);
    auk_buf_release(&text);
    auk_buf_release(&key);
    auk_buf_release(&x_key);
    return rc;
}

/* The document at a path; NULL when there is none.  `server` gets the header of that name. */
static json_t *get(const asker *a, const char *path, char *server, size_t n_server, bool *connected)
{
    auk_http_response r;
    json_t *v = NULL;
    auk_err err;

    int rc = ask(&r, a, path, NULL, NULL, NULL, &err);
    if (connected != NULL)
        *connected = r.fault != AUK_FAULT_CONNECT;
    if (server != NULL && r.status != 0) {
        auk_str s = auk_http_header(&r, "server");
        snprintf(server, n_server, "%.*s", AUK_ARG(s));
    }
    if (rc == AUK_OK && r.status == 200 && auk_json_parse(&v, auk_buf_str(&r.text), path, &err) < 0)
        v = NULL;
    auk_http_response_release(&r);
    return v;
}

/* ---- who listens -------------------------------------------------------------------------- */

/* The socket's inode from a line of /proc/net/tcp; 0 unless it listens at `port`. */
static unsigned long inode_of(const char *line, unsigned port)
{
    const char *p = strchr(line, ':'); /* after the line's number */
    char *end;

    p = p != NULL ? strchr(p + 1, ':') : NULL; /* before the local port */
    if (p == NULL || strtoul(p + 1, &end, 16) != port)
        return 0;
    p = strchr(end, ':');
    if (p == NULL || strtoul(p + 1, &end, 16) != 0 || strtoul(end, &end, 16) != 10 /* LISTEN */)
        return 0;
    for (int field = 0; field < 5; field++) { /* queues, timer, retransmits, user, timeout */
        end += strspn(end, " ");
        end += strcspn(end, " ");
    }
    return strtoul(end, NULL, 10);
}

static unsigned long listening_inode(unsigned port)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    unsigned long inode = 0;
    char line[512];

    for (int i = 0; i < 2 && inode == 0; i++) {
        FILE *f = fopen(tables[i], "r");
        while (f != NULL && inode == 0 && fgets(line, sizeof line, f) != NULL)
            inode = inode_of(line, port);
        if (f != NULL)
            fclose(f);
    }
    return inode;
}

static bool holds_socket(const char *pid, unsigned long inode)
{
    char path[400], want[64], link[64];
    bool found = false;

    snprintf(want, sizeof want, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    for (const struct dirent *d; dir != NULL && !found && (d = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%.32s/fd/%.64s", pid, d->d_name);
        ssize_t n = readlink(path, link, sizeof link - 1);
        found = n > 0 && (size_t)n == strlen(want) && memcmp(link, want, (size_t)n) == 0;
    }
    if (dir != NULL)
        closedir(dir);
    return found;
}

static void name_process(char *out, size_t n_out, unsigned port)
{
    unsigned long inode = listening_inode(port);
    DIR *dir = inode != 0 ? opendir("/proc") : NULL;
    char path[320], name[32] = "";

    for (const struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
        if (!isdigit((unsigned char)d->d_name[0]) || !holds_socket(d->d_name, inode))
            continue;
        snprintf(path, sizeof path, "/proc/%.32s/comm", d->d_name);
        FILE *f = fopen(path, "r");
        if (f != NULL && fgets(name, sizeof name, f) != NULL)
            name[strcspn(name, "\n")] = 0;
        if (f != NULL)
            fclose(f);
        snprintf(out, n_out, "%s (process %.20s)", name, d->d_name);
        break;
    }
    if (dir != NULL)
        closedir(dir);
}

static int64_t number(const json_t *v, const char *key)
{
    const json_t *n = json_object_get(v, key);
    return json_is_integer(n) ? (int64_t)json_integer_value(n) : -1;
}

static const char *text(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s != NULL ? s : "";
}

static void read_models(auk_who *out, const json_t *v)
{
    const json_t *list = json_object_get(v, "data"), *first = json_array_get(list, 0);
    static const char *const windows[] = {"context_length", "max_model_len"};

    if (!json_is_array(list))
        return;
    out->serves_chat = true;
    out->n_models = (int)json_array_size(list);
    snprintf(out->model, sizeof out->model, "%.200s", text(first, "id"));
    for (size_t i = 0; i < 2 && out->ctx < 0; i++)
        out->ctx = number(first, windows[i]);
    if (out->ctx < 0)
        out->ctx = number(json_object_get(first, "meta"), "n_ctx");
}

/* By what each kind of server alone answers; the most telling first. */
static void name_server(auk_who *out, const asker *a, const char *header, const json_t *props)
{
    json_t *v;

    if (strncmp(header, "auklet", 6) == 0) {
        out->is_auklet = out->serves_chat = true;
        snprintf(out->name, sizeof out->name, "%.90s", header);
        out->name[strcspn(out->name, "/")] = ' ';
    } else if (props != NULL && json_object_get(props, "build_info") != NULL) {
        out->serves_chat = true;
        snprintf(out->name, sizeof out->name, "llama-server %.60s", text(props, "build_info"));
    } else if ((v = get(a, "/api/version", NULL, 0, NULL)) != NULL) {
        out->serves_chat = true;
        snprintf(out->name, sizeof out->name, "Ollama %.60s", text(v, "version"));
        json_decref(v);
    } else if ((v = get(a, "/version", NULL, 0, NULL)) != NULL) {
        snprintf(out->name, sizeof out->name, "vLLM %.60s", text(v, "version"));
        json_decref(v);
    }
    if (out->name[0] == 0 && out->serves_chat)
        snprintf(out->name, sizeof out->name, "a server in OpenAI's dialect%s%.40s",
                 header[0] != 0 ? ", " : "", header);
    else if (out->name[0] == 0)
        snprintf(out->name, sizeof out->name, "a program that is no chat server%s%.40s",
                 header[0] != 0 ? ", " : "", header);
}

int auk_who_ask(auk_who *out, const char *url, const char *key, uint64_t limit_ms, auk_err *err)
{
    char *origin = auk_url_origin(url), header[96] = "";
    asker a = {.url = url, .key = key, .end_ns = auk_now_ns() + limit_ms * 1000000};

    *out = (auk_who){.n_models = -1, .ctx = -1};
    if (origin == NULL)
        return auk_fail(err, AUK_EINVAL, "'%s' is no URL: http://HOST:PORT is wanted", url);
    int rc = auk_http_new(&a.http, err);
    if (rc == AUK_OK) {
        json_t *props = get(&a, "/props", header, sizeof header, &out->taken);
        if (out->taken) {
            json_t *models =
                get(&a, "/v1/models", header[0] == 0 ? header : NULL, sizeof header, NULL);
            read_models(out, models);
            name_server(out, &a, header, props);
            int64_t n = number(json_object_get(props, "default_generation_settings"), "n_ctx");
            if (n > 0)
                out->ctx = n;
            name_process(out->process, sizeof out->process,
                         (unsigned)strtoul(strrchr(origin, ':') + 1, NULL, 10));
            json_decref(models);
        }
        json_decref(props);
        auk_http_free(a.http);
    }
    free(origin);
    return rc;
}

/* ---- the dialects ------------------------------------------------------------------------- */

/* What a stream has shown; `bad` is the first thing that breaks its contract. */
typedef struct seen {
    auk_probe *out;
    uint64_t begun_ns, first_ns;
    bool ended;       /* the dialect's terminal event came */
    bool started;     /* Responses, Anthropic: the opening event came */
    bool after_end;   /* something came after it */
    int64_t sequence; /* Responses: of the last event */
    char bad[200];
    auk_sse sse;
    auk_lines lines;
} seen;

static void complain(seen *s, const char *what)
{
    if (s->bad[0] == 0)
        snprintf(s->bad, sizeof s->bad, "%s", what);
}

static void saw_text(seen *s, const char *t)
{
    if (strstr(t, "<|") != NULL)
        complain(s, "a marker of the model stands in the text");
}

static void count(int64_t *to, const json_t *usage, const char *key)
{
    int64_t n = number(usage, key);
    if (n >= 0)
        *to = n;
}

static void openai_event(seen *s, const json_t *v)
{
    const json_t *choice = json_array_get(json_object_get(v, "choices"), 0);
    const json_t *usage = json_object_get(v, "usage");

    if (!json_is_array(json_object_get(v, "choices")))
        complain(s, "a chunk has no 'choices'");
    saw_text(s, text(json_object_get(choice, "delta"), "content"));
    if (text(choice, "finish_reason")[0] != 0)
        s->started = true; /* the finish came */
    count(&s->out->prompt_tok, usage, "prompt_tokens");
    count(&s->out->completion_tok, usage, "completion_tokens");
}

static void responses_event(seen *s, const json_t *v)
{
    const char *type = text(v, "type");
    int64_t n = number(v, "sequence_number");
    const json_t *usage = json_object_get(json_object_get(v, "response"), "usage");

    if (!s->started && strcmp(type, "response.created") != 0)
        complain(s, "the first event is not response.created");
    if (n < 0 || (s->started && n != s->sequence + 1))
        complain(s, "sequence_number is missing or has a gap");
    s->started = true;
    s->sequence = n;
    if (strcmp(type, "response.output_text.delta") == 0)
        saw_text(s, text(v, "delta"));
    if (strcmp(type, "response.failed") == 0)
        complain(s, "it answers response.failed");
    if (strcmp(type, "response.completed") == 0 || strcmp(type, "response.incomplete") == 0) {
        s->ended = true;
        count(&s->out->prompt_tok, usage, "input_tokens");
        count(&s->out->completion_tok, usage, "output_tokens");
    }
}

static void anthropic_event(seen *s, const json_t *v)
{
    const char *type = text(v, "type");
    const json_t *delta = json_object_get(v, "delta");
    const json_t *usage = json_object_get(json_object_get(v, "message"), "usage");

    if (strcmp(type, "ping") == 0)
        return;
    if (!s->started && strcmp(type, "message_start") != 0)
        complain(s, "the first event is not message_start");
    if (!s->started) {
        int64_t read = number(usage, "cache_read_input_tokens");
        count(&s->out->prompt_tok, usage, "input_tokens");
        s->out->prompt_tok += read > 0 ? read : 0;
    }
    s->started = true;
    saw_text(s, text(delta, "text"));
    if (strcmp(type, "message_delta") == 0)
        count(&s->out->completion_tok, json_object_get(v, "usage"), "output_tokens");
    if (strcmp(type, "message_delta") == 0 && text(delta, "stop_reason")[0] == 0)
        complain(s, "message_delta has no stop_reason");
    if (strcmp(type, "message_stop") == 0)
        s->ended = true;
}

static void ollama_event(seen *s, const json_t *v)
{
    saw_text(s, text(json_object_get(v, "message"), "content"));
    if (!json_is_true(json_object_get(v, "done")))
        return;
    s->ended = true;
    count(&s->out->prompt_tok, v, "prompt_eval_count");
    count(&s->out->completion_tok, v, "eval_count");
    if (number(v, "total_duration") < 1)
        complain(s, "the last line has no total_duration");
}

typedef struct dialect {
    const char *name, *path;
    json_t *(*request)(const char *model);
    void (*event)(seen *s, const json_t *v);
    bool is_lines;
} dialect;

static json_t *chat_request(const char *model)
{
    return json_pack("{s:s, s:[{s:s, s:s}], s:i, s:b, s:{s:b}}", "model", model, "messages", "role",
                     "user", "content", "Say OK.", "max_tokens", 8, "stream", 1, "stream_options",
                     "include_usage", 1);
}

static json_t *responses_request(const char *model)
{
    return json_pack("{s:s, s:s, s:i, s:b, s:b}", "model", model, "input", "Say OK.",
                     "max_output_tokens", 8, "stream", 1, "store", 0);
}

static json_t *messages_request(const char *model)
{
    return json_pack("{s:s, s:[{s:s, s:s}], s:i, s:b}", "model", model, "messages", "role", "user",
                     "content", "Say OK.", "max_tokens", 8, "stream", 1);
}

static json_t *ollama_request(const char *model)
{
    return json_pack("{s:s, s:[{s:s, s:s}], s:{s:i}}", "model", model, "messages", "role", "user",
                     "content", "Say OK.", "options", "num_predict", 8);
}

static const dialect dialects[AUK_N_DIALECTS] = {
    {"openai", "/v1/chat/completions", chat_request, openai_event, false},
    {"responses", "/v1/responses", responses_request, responses_event, false},
    {"anthropic", "/v1/messages", messages_request, anthropic_event, false},
    {"ollama", "/api/chat", ollama_request, ollama_event, true},
};

typedef struct job {
    const dialect *d;
    const char *url, *key, *model;
    uint64_t limit_ms;
    seen seen;
} job;

static int one_event(void *ctx, auk_str data, auk_err *err)
{
    job *j = ctx;
    seen *s = &j->seen;
    json_t *v = NULL;
    auk_err unread;

    (void)err;
    if (s->first_ns == 0)
        s->first_ns = auk_now_ns();
    if (s->ended)
        s->after_end = true;
    if (j->d->event == openai_event && auk_str_is(data, "[DONE]")) {
        s->ended = true;
        if (!s->started)
            complain(s, "no chunk had a finish_reason");
        return AUK_OK;
    }
    if (auk_json_parse(&v, data, "event", &unread) < 0)
        complain(s, "an event is no JSON");
    else if (json_object_get(v, "error") != NULL && !json_is_null(json_object_get(v, "error")))
        complain(s, "it reports an error in the stream");
    else
        j->d->event(s, v);
    json_decref(v);
    return AUK_OK;
}

static int one_sse(void *ctx, const auk_sse_event *event, auk_err *err)
{
    return event->data.n > 0 ? one_event(ctx, event->data, err) : AUK_OK;
}

static int one_line(void *ctx, auk_str line, auk_err *err)
{
    return one_event(ctx, line, err);
}

static int on_piece(void *ctx, auk_str piece, uint64_t now_ns, auk_err *err)
{
    job *j = ctx;

    (void)now_ns;
    return j->d->is_lines ? auk_lines_feed(&j->seen.lines, piece, err)
                          : auk_sse_feed(&j->seen.sse, piece, err);
}

/* What the answer as a whole comes to. */
static void judge(job *j, const auk_http_response *r, int rc, const auk_err *err)
{
    seen *s = &j->seen;
    auk_probe *out = s->out;

    if (rc == AUK_OK && s->ended && !s->after_end && out->completion_tok < 0)
        complain(s, "no token counts came");
    if (r->fault == AUK_FAULT_TIMEOUT) {
        out->state = AUK_PROBE_SLOW;
        snprintf(out->said, sizeof out->said, "no whole answer in %.1f s",
                 (double)j->limit_ms / 1e3);
    } else if (r->status == 404 || r->status == 405 || r->status == 501) {
        out->state = AUK_PROBE_MISSING;
        snprintf(out->said, sizeof out->said, "it has no %s (status %d)", j->d->path, r->status);
    } else if (rc < 0 || r->status >= 400) {
        out->state = AUK_PROBE_BROKEN;
        if (r->status >= 400)
            snprintf(out->said, sizeof out->said, "status %d: %.*s", r->status,
                     (int)(r->text.n < 160 ? r->text.n : 160), r->text.p != NULL ? r->text.p : "");
        else
            snprintf(out->said, sizeof out->said, "%.200s", err->msg);
    } else if (s->bad[0] != 0 || !s->ended || s->after_end) {
        out->state = AUK_PROBE_BROKEN;
        snprintf(out->said, sizeof out->said, "%s",
                 s->bad[0] != 0 ? s->bad
                 : !s->ended    ? "the stream ended without its terminal event"
                                : "something came after the terminal event");
    } else {
        out->state = AUK_PROBE_OK;
        snprintf(out->said, sizeof out->said, "first event after %llu ms, whole after %llu ms",
                 (unsigned long long)out->first_ms, (unsigned long long)out->total_ms);
    }
    for (char *p = out->said; *p != 0; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
}

static void *probe(void *ctx)
{
    job *j = ctx;
    seen *s = &j->seen;
    auk_http_response r = {0};
    auk_err err = {0};
    asker a = {.url = j->url, .key = j->key, .end_ns = auk_now_ns() + j->limit_ms * 1000000};

    int rc = auk_http_new(&a.http, &err);
    if (rc < 0) {
        judge(j, &r, rc, &err);
        return NULL;
    }
    json_t *body = j->d->request(j->model);
    auk_sse_init(&s->sse, 1 << 20, one_sse, j);
    auk_lines_init(&s->lines, 1 << 20, one_line, j);
    s->begun_ns = auk_now_ns();
    rc = ask(&r, &a, j->d->path, body, on_piece, j, &err);
    if (rc == AUK_OK && j->d->is_lines)
        rc = auk_lines_finish(&s->lines, &err);
    uint64_t end = auk_now_ns();
    s->out->first_ms = s->first_ns > 0 ? (s->first_ns - s->begun_ns) / 1000000 : 0;
    s->out->total_ms = (end - s->begun_ns) / 1000000;
    judge(j, &r, rc, &err);
    json_decref(body);
    auk_http_response_release(&r);
    auk_sse_release(&s->sse);
    auk_lines_release(&s->lines);
    auk_http_free(a.http);
    return NULL;
}

void auk_probe_dialects(auk_probe out[AUK_N_DIALECTS], const char *url, const char *key,
                        const char *model, uint64_t limit_ms)
{
    pthread_t threads[AUK_N_DIALECTS];
    bool started[AUK_N_DIALECTS];
    job jobs[AUK_N_DIALECTS];

    for (int i = 0; i < AUK_N_DIALECTS; i++) {
        out[i] = (auk_probe){.name = dialects[i].name, .prompt_tok = -1, .completion_tok = -1};
        jobs[i] = (job){.d = &dialects[i],
                        .url = url,
                        .key = key,
                        .model = model,
                        .limit_ms = limit_ms,
                        .seen = {.out = &out[i]}};
        started[i] = pthread_create(&threads[i], NULL, probe, &jobs[i]) == 0;
        if (!started[i])
            probe(&jobs[i]);
    }
    for (int i = 0; i < AUK_N_DIALECTS; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
}
