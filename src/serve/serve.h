/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - one model behind the dialects of Ollama, OpenAI, Anthropic and llama-server.
 *
 * The rules are in docs/serve.md.  net/ knows sockets, the dialects (ask.h) know wire formats, the
 * runner owns the engine; this puts them together. */
#ifndef AUK_SERVE_SERVE_H
#define AUK_SERVE_SERVE_H

#include "engine/engine.h"
#include "net/net.h"

typedef struct auk_serve_options {
    const char *model; /* folder; all strings are borrowed */
    const char *name;  /* what it is called; NULL: the folder's name */
    const char *host;  /* NULL: 127.0.0.1 */
    int port;
    const char *unix_path;     /* NULL: none */
    int ctx, parallel, queue;  /* ctx 0: what the model allows, at most 65536 */
    const char *api_keys;      /* one, or several separated by commas; NULL: none */
    const char *allowed_hosts; /* more names for Host, separated by commas */
    const char *origins;       /* more origins, as OLLAMA_ORIGINS */
    bool open_to_all;          /* no key although others can reach it */
    int drain_s;
    bool loop_guard, freeze_volatile, strict_model, drop_rights;
    uint64_t cache_bytes, disk_bytes;
    const char *cache_dir; /* NULL: nothing is kept on disk */
    const char *script;    /* NULL; tests: answers instead of the model's */
    bool quiet;            /* no access lines */
    int threads;
    unsigned cpu_flags;
    auk_precision precision;
    int (*signals)(void *ctx); /* how many times it was asked to stop */
    void (*ready)(void *ctx, const char *url);
    void *signals_ctx; /* borrowed; of both */
} auk_serve_options;

auk_serve_options auk_serve_defaults(void);

/* Serves until asked to stop, then drains.  */
AUK_MUST_CHECK int auk_serve_run(const auk_serve_options *opts, auk_err *err);

#endif
