/* SPDX-License-Identifier: Apache-2.0 */
/* server_state.h - what a running server is.  Private to serve/. */
#ifndef AUK_SERVE_SERVER_STATE_H
#define AUK_SERVE_SERVER_STATE_H

#include "serve/runner.h"
#include "serve/serve.h"

typedef struct auk_serving {
    auk_serve_options opts;
    auk_engine *engine;       /* owned */
    const auk_tokenizer *tok; /* borrowed from engine */
    auk_runner *runner;       /* owned */
    auk_server *http;         /* owned */
    _Atomic bool ready;       /* the model is loaded */
    _Atomic bool closing;
    _Atomic uint64_t requests;
    char *name;      /* owned; "north-mini-code" */
    char digest[65]; /* of the weights' names, sizes and the config */
    char format[64]; /* "4-bit affine g64" */
    char hostname[256];
    uint64_t model_bytes, parameters;
    int ctx;
    int64_t started, modified; /* seconds since 1970 */

    pthread_mutex_t lock; /* guards the fields below */
    double keep_alive_s;  /* of the last request; < 0: for ever */
    int64_t last_use;     /* seconds since 1970 */
    json_t *aliases;      /* owned; name to parameters */
} auk_serving;

/* ---- gate.c: who may ask ------------------------------------------------------------------ */

/* 0, or the status to refuse with and *why. */
int auk_gate(const auk_serving *s, const auk_http_call *c, const char *path, const char **why);

/* True when the browser's Origin may read answers. */
bool auk_origin_allowed(const auk_serving *s, const char *origin);

/* ---- rights.c: what is given up once the model is loaded ---- */

AUK_MUST_CHECK int auk_drop_rights(const auk_serving *s, auk_err *err);

/* ---- prepare.c: from ask to job ----------------------------------------------------------- */

/* A job from an ask, which it takes.  extra: more members of the error object, or NULL. */
AUK_MUST_CHECK int auk_prepare(auk_job **out, auk_serving *s, auk_ask *ask, json_t **extra,
                               auk_err *err);

/* The prompt's length without making a job. */
AUK_MUST_CHECK int auk_count_tokens(size_t *out, auk_serving *s, const auk_ask *ask, auk_err *err);

/* ---- answer.c: the answer of a job -------------------------------------------------------- */

/* Takes the job: streams it, or waits for its end. */
void auk_response_job(auk_serving *s, const auk_http_call *c, auk_response *a, auk_job *job);

/* ---- describe.c, metrics.c: about the server ---------------------------------------------- */

typedef int auk_page_fn(auk_serving *s, const auk_http_call *c, const json_t *request,
                        auk_response *a, auk_err *err);

auk_page_fn auk_page_root, auk_page_version, auk_page_status, auk_page_tags, auk_page_ps,
    auk_page_show, auk_page_models, auk_page_model, auk_page_props, auk_page_slots, auk_page_health,
    auk_page_metrics, auk_page_tokenize, auk_page_detokenize, auk_page_template, auk_page_embed,
    auk_page_openai_embed, auk_page_pull, auk_page_copy, auk_page_delete, auk_page_create,
    auk_page_not_offered, auk_page_blob, auk_page_account, auk_page_cloud, auk_page_recommendations,
    auk_page_control, auk_page_cache, auk_page_recent, auk_page_openapi, auk_page_chat;

bool auk_is_model(auk_serving *s, const char *name);
void auk_response_json(auk_response *a, int status, json_t *v); /* takes the reference */
void auk_now_text(char out[64]);                                /* RFC 3339, nanoseconds, UTC */
void auk_time_text(char out[64], int64_t seconds);

/* ---- routes.c ----------------------------------------------------------------------------- */

void auk_serve_handle(void *serving, const auk_http_call *c, auk_response *a);
void auk_serve_refuse(void *serving, auk_str path, int status, const char *text, auk_buf *body);
void auk_response_header(auk_response *a, const char *name, const char *fmt, ...) AUK_PRINTF(3, 4);
int auk_http_status(int code); /* of an auk_code, before the first byte */

/* For the OpenAPI document: method, path, summary of the i-th route; false after the last. */
bool auk_route_at(size_t i, const char **method, const char **path, const char **summary);

#endif
