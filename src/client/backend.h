/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h - the two kinds of things behind a client.  Private to client/. */
#ifndef AUK_CLIENT_BACKEND_H
#define AUK_CLIENT_BACKEND_H

#include "client/wire.h"

#include <stdatomic.h>

struct auk_client {
    auk_client_options opts; /* strings in it are not used after opening */
    char *shown;             /* owned; the model for messages: no password */
    char *name;              /* owned; the model's name for the server, or the folder */
    atomic_bool cancelled;
    /* our engine */
    auk_engine *engine;   /* owned when owns_engine; NULL: a server */
    auk_session *session; /* owned */
    bool owns_engine;
    uint64_t load_ns;
    /* a server */
    const auk_wire *wire;
    auk_http *http; /* owned */
    char *base;     /* owned; without a slash at the end */
    char *key;      /* owned; or NULL */
    char server[128];
};

int auk_engine_chat(auk_turn *t, auk_client *c, auk_err *err);
int auk_server_chat(auk_turn *t, auk_client *c, auk_err *err);

/* A GET (or POST, with a body) of base + path.  AUK_OK with *v NULL when the answer is no JSON
 * object or list; *status is 0 when nothing answers. */
AUK_MUST_CHECK int auk_server_ask(json_t **v, int *status, auk_str *server, auk_buf *text,
                                  auk_client *c, const char *url, const json_t *body, auk_err *err);

/* Finds out what a plain URL is: sets wire, base and name. */
AUK_MUST_CHECK int auk_server_probe(auk_client *c, const char *url, auk_err *err);

/* The one model of an OpenAI-like or Ollama server, when no name was given. */
AUK_MUST_CHECK int auk_server_only_model(auk_client *c, auk_err *err);
AUK_MUST_CHECK int auk_server_describe(auk_client_info *out, auk_client *c, auk_err *err);
AUK_MUST_CHECK int auk_server_unload(auk_client *c, auk_err *err);

#endif
