/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "serve/server_state.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"

#include <sys/stat.h>
#include <unistd.h>

auk_serve_options auk_serve_defaults(void)
{
    return (auk_serve_options){.host = "127.0.0.1",
                               .port = 11434,
                               .parallel = 4,
                               .queue = 64,
                               .drain_s = 20,
                               .loop_guard = true,
                               .freeze_volatile = true,
                               .drop_rights = true,
                               .cache_bytes = (uint64_t)2 << 30,
                               .disk_bytes = (uint64_t)8 << 30};
}

/* The folder's name, as clients type it. */
static char *name_of(const char *dir)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    size_t at = n;
    while (at > 0 && dir[at - 1] != '/')
        at--;
    return n > at ? auk_strndup(dir + at, n - at) : auk_strndup("model", 5);
}

static int describe_model(auk_serving *s, auk_err *err)
{
    const auk_model *m = auk_engine_model(s->engine);
    char *config = auk_path_join(s->opts.model, "config.json");
    struct stat st;

    if (stat(config, &st) == 0)
        s->modified = (int64_t)st.st_mtime;
    free(config);
    auk_model_describe(s->format, sizeof s->format, m);
    s->model_bytes = m->weight_bytes;
    return auk_engine_identity(s->digest, &s->parameters, s->engine, err);
}

static int choose_ctx(auk_serving *s, auk_err *err)
{
    int most = auk_engine_max_context(s->engine);

    s->ctx = s->opts.ctx > 0 ? s->opts.ctx : most < 65536 ? most : 65536;
    if (s->opts.script == NULL && s->ctx > most)
        return auk_fail(err, AUK_EINVAL, "--ctx %d is more than this model's %d", s->ctx, most);
    return AUK_OK;
}

static int load(auk_serving *s, auk_err *err)
{
    auk_engine_options engine = {
        .precision = s->opts.precision, .threads = s->opts.threads, .cpu_flags = s->opts.cpu_flags};

    int rc = auk_engine_open(&s->engine, s->opts.model, &engine, err);
    if (rc == AUK_OK)
        rc = auk_engine_tokenizer(&s->tok, s->engine, err);
    if (rc == AUK_OK)
        rc = describe_model(s, err);
    if (rc == AUK_OK)
        rc = choose_ctx(s, err);
    if (rc < 0)
        return rc;
    int most = auk_engine_max_context(s->engine);
    auk_runner_options runner = {.lanes = s->opts.parallel,
                                 .ctx = s->ctx < most ? s->ctx : most,
                                 .queue = s->opts.queue,
                                 .cache_bytes = s->opts.cache_bytes,
                                 .disk_bytes = s->opts.disk_bytes,
                                 .dir = s->opts.cache_dir,
                                 .model = s->digest,
                                 .loop_guard = s->opts.loop_guard,
                                 .script = s->opts.script};
    return auk_runner_new(&s->runner, s->engine, &runner, err);
}

static int open_http(auk_serving *s, auk_err *err)
{
    auk_server_options http = auk_server_defaults();
    auk_server_calls calls = {auk_serve_handle, auk_serve_refuse, s};

    http.host = s->opts.host;
    http.port = s->opts.port;
    http.unix_path = s->opts.unix_path;
    return auk_server_open(&s->http, &http, &calls, err);
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0;
}

static int check(const auk_serving *s, auk_err *err)
{
    const auk_serve_options *o = &s->opts;

    if (!is_loopback(o->host) && o->api_keys == NULL && !o->open_to_all)
        return auk_fail(err, AUK_EINVAL,
                        "--host %s can be reached by others: give --api-key, or --i-know", o->host);
    return AUK_OK;
}

static void wait_for_signal(const auk_serving *s)
{
    while (s->opts.signals(s->opts.signals_ctx) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

typedef struct drainer {
    auk_serving *s;
    _Atomic bool done;
} drainer;

static void *drain(void *ctx)
{
    drainer *d = ctx;

    auk_runner_drain(d->s->runner, d->s->opts.drain_s * 1000);
    atomic_store(&d->done, true);
    return NULL;
}

/* Running answers end, a second signal ends them at once; then the streams say their last words. */
static void shut_down(auk_serving *s)
{
    drainer d = {.s = s};
    pthread_t thread;

    atomic_store(&s->closing, true);
    auk_server_stop_accepting(s->http);
    if (pthread_create(&thread, NULL, drain, &d) != 0) {
        auk_runner_drain(s->runner, 0);
        return;
    }
    while (!atomic_load(&d.done)) {
        if (s->opts.signals(s->opts.signals_ctx) > 1)
            _exit(130);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    pthread_join(thread, NULL);
    uint64_t until = auk_now_ns() + 2000000000u;
    while (auk_server_connections(s->http) > 0 && auk_now_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void say_ready(const auk_serving *s)
{
    const char *host = s->opts.host;
    char url[300];

    snprintf(url, sizeof url, strchr(host, ':') != NULL ? "http://[%s]:%d" : "http://%s:%d", host,
             auk_server_port(s->http));
    s->opts.ready(s->opts.signals_ctx, url);
}

int auk_serve_run(const auk_serve_options *opts, auk_err *err)
{
    auk_serving *s = auk_alloc(sizeof *s);

    s->opts = *opts;
    s->name =
        opts->name != NULL ? auk_strndup(opts->name, strlen(opts->name)) : name_of(opts->model);
    s->aliases = json_object();
    s->keep_alive_s = 300;
    s->started = s->last_use = (int64_t)time(NULL);
    gethostname(s->hostname, sizeof s->hostname - 1);
    pthread_mutex_init(&s->lock, NULL);
    int rc = check(s, err);
    if (rc == AUK_OK)
        rc = open_http(s, err);
    if (rc == AUK_OK)
        rc = load(s, err);
    if (rc == AUK_OK)
        rc = auk_drop_rights(s, err);
    if (rc == AUK_OK) {
        atomic_store(&s->ready, true);
        say_ready(s);
        wait_for_signal(s);
        shut_down(s);
    }
    auk_server_close(s->http);
    auk_runner_free(s->runner);
    auk_engine_close(s->engine);
    pthread_mutex_destroy(&s->lock);
    json_decref(s->aliases);
    free(s->name);
    free(s);
    return rc;
}
