/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - HTTP/1.1 from the server's side, around libmicrohttpd.  Included by net.h.
 *
 * What the library does not do is done here: the header of every request is looked at as raw
 * bytes before the library sees it (no bare LF, NUL, folding; one Host, one Content-Length of
 * digits, no Transfer-Encoding beside it; names are tokens), within ten seconds in all; bodies
 * have a deadline and a maximum; a client that leaves or stops reading is noticed while the
 * handler is silent.  A connection serves one request, so nothing can hide behind it.
 *
 * Each request has a thread of its own, the handler may block.  It knows no dialect. */
#ifndef AUK_NET_SERVER_H
#define AUK_NET_SERVER_H

#include "base/buf.h"

typedef struct auk_server auk_server;

typedef struct auk_server_options {
    const char *host;      /* borrowed; an address or name; NULL: no TCP */
    int port;              /* 0: any free one */
    const char *unix_path; /* borrowed; NULL: none; a socket left there is replaced */
    int max_connections;   /* requests at a time; more get 503 */
    size_t max_body_bytes, max_header_bytes;
    int max_fields;
    int header_ms, body_ms, stall_ms; /* deadlines */
    int min_body_rate;                /* bytes per second beyond the body's deadline */
} auk_server_options;

auk_server_options auk_server_defaults(void);

/* A response body that is pulled. */
typedef struct auk_body {
    /* Copies at most cap bytes to dst, waiting up to wait_ms for the first.  Returns the count, 0
     * when nothing came in time, AUK_BODY_END. */
    ptrdiff_t (*proceed)(struct auk_body *b, char *dst, size_t cap, int wait_ms);
    /* Called once, at the end or when the client left. */
    void (*stop)(struct auk_body *b);
} auk_body;

#define AUK_BODY_END ((ptrdiff_t)-1)

typedef struct auk_http_call {
    const char *method, *target; /* target: the path, or http://host/path */
    auk_str body;
    void *connection; /* for the functions below */
} auk_http_call;

/* A header's value, NULL when it is missing; and a parameter of the query. */
const char *auk_call_header(const auk_http_call *c, const char *name);
const char *auk_call_query(const auk_http_call *c, const char *name);
bool auk_call_gone(const auk_http_call *c); /* the client left */

typedef struct auk_response {
    int status;
    const char *type; /* Content-Type */
    auk_buf body;     /* owned by the server after the handler returns */
    auk_body *stream; /* instead of body; owned by the server likewise */
    char *headers;    /* owned likewise; lines "Name: value\n"; or NULL */
} auk_response;

typedef struct auk_server_calls {
    void (*handle)(void *ctx, const auk_http_call *c, auk_response *a);
    /* The body of a refusal made before handle: appends it for this path. */
    void (*refuse)(void *ctx, auk_str path, int status, const char *text, auk_buf *body);
    void *ctx; /* borrowed */
} auk_server_calls;

AUK_MUST_CHECK int auk_server_open(auk_server **out, const auk_server_options *opts,
                                   const auk_server_calls *calls, auk_err *err);
int auk_server_port(const auk_server *s);
int auk_server_connections(const auk_server *s);
void auk_server_stop_accepting(auk_server *s);
void auk_server_close(auk_server *s); /* waits for the handlers that run */

/* What is wrong with a request's raw header (up to and with its empty line): 0, or the status to
 * refuse it with and *why.  *path: its target, as far as there is one. */
int auk_header_check(auk_str header, int max_fields, auk_str *path, const char **why);

#endif
