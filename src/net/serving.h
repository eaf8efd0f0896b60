/* SPDX-License-Identifier: Apache-2.0 */
/* serving.h - what the acceptor and the library's side share.  Private to net/. */
#ifndef AUK_NET_SERVING_H
#define AUK_NET_SERVING_H

#include "net/net.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* A request the library is busy with. */
typedef struct auk_exchange {
    struct auk_exchange *next;
    auk_server *server;
    struct MHD_Connection *connection;
    int fd;
    uint64_t began_ns;
    auk_buf body; /* owned */
    size_t excess;
    bool too_large, refused;
    auk_body *stream; /* owned */
    _Atomic bool streaming;
    _Atomic uint64_t pulled_ns; /* when the library asked for bytes last */
} auk_exchange;

/* A connection whose header is not complete, or that is being told no. */
typedef struct auk_waiting {
    int fd;
    uint64_t until_ns;
    size_t seen;  /* bytes of the header that were looked at */
    bool leaving; /* refused: only drained until the client closes */
    struct sockaddr_storage from;
    socklen_t from_n;
} auk_waiting;

struct auk_server {
    auk_server_options opts;
    auk_server_calls calls;
    struct MHD_Daemon *daemon; /* owned */
    int tcp, local;            /* listening sockets; -1: none */
    int wake[2];               /* a pipe that ends the acceptor's wait */
    int port;
    pthread_t acceptor;
    bool accepting;
    _Atomic bool stop, aborting;
    _Atomic int open;     /* connections the library has */
    auk_waiting *waiting; /* owned; the acceptor's */
    size_t n_waiting;
    pthread_mutex_t lock;    /* guards exchanges */
    auk_exchange *exchanges; /* those that run */
};

AUK_MUST_CHECK int auk_acceptor_listen(auk_server *s, auk_err *err);
AUK_MUST_CHECK int auk_acceptor_start(auk_server *s, auk_err *err);
void auk_acceptor_stop(auk_server *s);

#endif
