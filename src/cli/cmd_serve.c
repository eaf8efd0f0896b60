/* SPDX-License-Identifier: Apache-2.0 */
/* serve: the model behind HTTP, for coding agents and people. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "cli/machine.h"
#include "serve/serve.h"

#include <signal.h>
#include <sys/stat.h>

typedef struct serve_args {
    auk_common common;
    const char *host, *name, *api_key, *unix_path, *allowed_hosts, *origins, *cache_dir, *precision,
        *script;
    int port, ctx, parallel, queue, drain;
    uint64_t cache, cache_disk;
    bool i_know, strict_model, no_loop_guard, no_freeze_volatile, keep_rights;
} serve_args;

static const auk_opt options[] = {
    {"host", AUK_OPT_STR, offsetof(serve_args, host), "ADDRESS",
     "address to listen on (default 127.0.0.1)"},
    {"port", AUK_OPT_INT, offsetof(serve_args, port), "N", "default 11434, Ollama's; 0: any free"},
    {"ctx", AUK_OPT_INT, offsetof(serve_args, ctx), "N",
     "positions per conversation (default: the model's, at most 65536)"},
    {"parallel", AUK_OPT_INT, offsetof(serve_args, parallel), "N",
     "answers computed at the same time (default 4)"},
    {"queue", AUK_OPT_INT, offsetof(serve_args, queue), "N",
     "requests that may wait (default 64, or OLLAMA_MAX_QUEUE); more get 503"},
    {"api-key", AUK_OPT_STR, offsetof(serve_args, api_key), "KEY[,KEY]",
     "ask for one of these keys (default: AUKLET_API_KEY; else none)"},
    {"unix", AUK_OPT_STR, offsetof(serve_args, unix_path), "PATH",
     "also listen on a socket only you can open"},
    {"drain", AUK_OPT_INT, offsetof(serve_args, drain), "SECONDS",
     "how long running answers may take after SIGTERM (default 20)"},
    {"name", AUK_OPT_STR, offsetof(serve_args, name), "NAME",
     "what the model is called (default: its folder's name)"},
    {"cache", AUK_OPT_BYTES, offsetof(serve_args, cache), "SIZE",
     "memory for beginnings of conversations (default 2GiB)"},
    {"cache-dir", AUK_OPT_STR, offsetof(serve_args, cache_dir), "DIR",
     "keep them there over a restart (default: nowhere); holds what users wrote"},
    {"cache-disk", AUK_OPT_BYTES, offsetof(serve_args, cache_disk), "SIZE",
     "room for them there (default 8GiB)"},
    {"allowed-hosts", AUK_OPT_STR, offsetof(serve_args, allowed_hosts), "NAMES",
     "more names a request's Host may have, separated by commas"},
    {"origins", AUK_OPT_STR, offsetof(serve_args, origins), "ORIGINS",
     "more web pages that may use the server (default: OLLAMA_ORIGINS)"},
    {"precision", AUK_OPT_STR, offsetof(serve_args, precision), "P", "bf16 (default) or f32"},
    {"strict-model", AUK_OPT_FLAG, offsetof(serve_args, strict_model), NULL,
     "404 for other model names (default: any name means this model)"},
    {"no-loop-guard", AUK_OPT_FLAG, offsetof(serve_args, no_loop_guard), NULL,
     "do not stop answers that repeat themselves"},
    {"no-freeze-volatile", AUK_OPT_FLAG, offsetof(serve_args, no_freeze_volatile), NULL,
     "keep lines that change with every request (they cost the cache)"},
    {"i-know", AUK_OPT_FLAG, offsetof(serve_args, i_know), NULL,
     "no key although others can reach the server"},
    {"keep-rights", AUK_OPT_FLAG, offsetof(serve_args, keep_rights), NULL,
     "do not give up rights that serving does not need"},
    {"script", AUK_OPT_STR, offsetof(serve_args, script), "FILE",
     "for tests: answers from FILE instead of the model's"},
    {0},
};

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static int count_signals(void *ctx)
{
    (void)ctx;
    return signals;
}

static void on_ready(void *ctx, const char *url)
{
    (void)ctx;
    fprintf(stderr, "listening on %s\n", url);
}

static void catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal};

    sigemptyset(&act.sa_mask);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    act.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &act, NULL);
}

static int check(const auk_cmd *self, const serve_args *a)
{
    if (a->port < 0 || a->port > 65535)
        return auk_cli_usage(self, "option '--port': %d is not within 0 to 65535", a->port);
    if (a->parallel < 1 || a->parallel > AUK_BATCH_LANES)
        return auk_cli_usage(self, "option '--parallel': %d is not within 1 to %d", a->parallel,
                             AUK_BATCH_LANES);
    if (a->ctx < 0 || a->queue < 0 || a->drain < 0)
        return auk_cli_usage(self, "--ctx, --queue and --drain are not negative");
    if (strcmp(a->precision, "f32") != 0 && strcmp(a->precision, "bf16") != 0)
        return auk_cli_usage(self, "option '--precision': '%s' is neither f32 nor bf16",
                             a->precision);
    return AUK_OPT_GO;
}

static int make_cache_dir(const char *dir, auk_err *err)
{
    if (dir == NULL || mkdir(dir, 0700) == 0 || auk_file_is_dir(dir))
        return AUK_OK;
    return auk_fail_errno(err, "cannot make the folder '%s'", dir);
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    auk_serve_options o = auk_serve_defaults();
    const char *queue = getenv("OLLAMA_MAX_QUEUE");
    serve_args a = {.host = o.host,
                    .port = o.port,
                    .parallel = o.parallel,
                    .queue = queue != NULL ? (int)strtol(queue, NULL, 10) : o.queue,
                    .drain = o.drain_s,
                    .precision = "bf16",
                    .cache = o.cache_bytes,
                    .cache_disk = o.disk_bytes,
                    .api_key = getenv("AUKLET_API_KEY"),
                    .origins = getenv("OLLAMA_ORIGINS")};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status == AUK_OPT_GO)
        status = check(self, &a);
    if (status != AUK_OPT_GO)
        return status;
    o.model = a.common.arg[0];
    o.name = a.name;
    o.host = a.host;
    o.port = a.port;
    o.unix_path = a.unix_path;
    o.ctx = a.ctx;
    o.parallel = a.parallel;
    o.queue = a.queue;
    o.api_keys = a.api_key != NULL && *a.api_key != 0 ? a.api_key : NULL;
    o.allowed_hosts = a.allowed_hosts;
    o.origins = a.origins;
    o.open_to_all = a.i_know;
    o.drain_s = a.drain;
    o.loop_guard = !a.no_loop_guard;
    o.freeze_volatile = !a.no_freeze_volatile;
    o.strict_model = a.strict_model;
    o.drop_rights = !a.keep_rights;
    o.cache_bytes = a.cache;
    o.disk_bytes = a.cache_disk;
    o.cache_dir = a.cache_dir;
    o.script = a.script;
    o.quiet = a.common.quiet;
    o.threads = a.common.threads;
    o.precision = strcmp(a.precision, "f32") == 0 ? AUK_PRECISION_F32 : AUK_PRECISION_BF16;
    o.signals = count_signals;
    o.ready = on_ready;
    catch_signals();
    int rc = auk_cli_cpu(&o.cpu_flags, &a.common, &err);
    if (rc == AUK_OK)
        rc = make_cache_dir(o.cache_dir, &err);
    if (rc == AUK_OK)
        rc = auk_serve_run(&o, &err);
    return rc < 0 ? auk_cli_fail(&err) : 0;
}

const auk_cmd auk_cmd_serve = {
    .name = "serve",
    .run = run,
    .usage = "serve MODEL [options]",
    .summary = "serve the model to coding agents: Ollama, OpenAI, Anthropic and llama-server APIs",
    .examples = "  auklet serve data/miniature\n"
                "  auklet serve MODEL --ctx 65536 --cache-dir ~/.cache/auklet\n"
                "  OLLAMA_HOST=127.0.0.1:11434 ollama run north\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
