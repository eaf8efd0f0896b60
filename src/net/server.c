/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "net/serving.h"

#include "base/mem.h"
#include "base/time.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#if defined(POLLRDHUP)
#define GONE (POLLRDHUP | POLLHUP | POLLERR)
#else
#define GONE (POLLHUP | POLLERR)
#endif

auk_server_options auk_server_defaults(void)
{
    return (auk_server_options){.host = "127.0.0.1",
                                .max_connections = 256,
                                .max_body_bytes = (size_t)32 << 20,
                                .max_header_bytes = 64 << 10,
                                .max_fields = 100,
                                .header_ms = 10000,
                                .body_ms = 30000,
                                .stall_ms = 60000,
                                .min_body_rate = 64 << 10};
}

/* ---- one request ---- */

static int fd_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info != NULL ? info->connect_fd : -1;
}

static bool has_left(int fd)
{
    struct pollfd p = {.fd = fd, .events = GONE};
#if !defined(POLLRDHUP)
    char c;
    if (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        return true;
#endif
    return poll(&p, 1, 0) > 0 && (p.revents & (GONE | POLLNVAL)) != 0;
}

const char *auk_call_header(const auk_http_call *c, const char *name)
{
    const auk_exchange *x = c->connection;

    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *auk_call_query(const auk_http_call *c, const char *name)
{
    const auk_exchange *x = c->connection;

    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool auk_call_gone(const auk_http_call *c)
{
    const auk_exchange *x = c->connection;

    return atomic_load(&x->server->aborting) || has_left(x->fd);
}

/* The library asks for more of a streamed body. */
static ssize_t pull(void *ctx, uint64_t pos, char *dst, size_t cap)
{
    auk_exchange *x = ctx;

    (void)pos;
    atomic_store(&x->pulled_ns, auk_now_ns());
    for (;;) {
        ptrdiff_t n = x->stream->proceed(x->stream, dst, cap, 20);
        atomic_store(&x->pulled_ns, auk_now_ns());
        if (n > 0)
            return (ssize_t)n;
        if (n == AUK_BODY_END)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (has_left(x->fd))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
}

static void stop_stream(auk_exchange *x)
{
    if (x->stream != NULL)
        x->stream->stop(x->stream);
    x->stream = NULL;
}

static void add_headers(struct MHD_Response *r, char *lines)
{
    char *at = lines, *end;

    while (at != NULL && (end = strchr(at, '\n')) != NULL) {
        char *colon = strchr(at, ':');
        *end = 0;
        if (colon != NULL && colon < end) {
            *colon = 0;
            MHD_add_response_header(r, at, colon + 2);
        }
        at = end + 1;
    }
}

static enum MHD_Result reply(auk_exchange *x, auk_response *a)
{
    struct MHD_Response *r;

    if (a->stream != NULL) {
        x->stream = a->stream;
        atomic_store(&x->pulled_ns, auk_now_ns());
        atomic_store(&x->streaming, true);
        MHD_set_connection_option(x->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, pull, x, NULL);
    } else {
        r = MHD_create_response_from_buffer(a->body.n, a->body.p ? (void *)a->body.p : (void *)x,
                                            MHD_RESPMEM_MUST_COPY);
    }
    if (r == NULL)
        return MHD_NO;
    if (a->type != NULL)
        MHD_add_response_header(r, "Content-Type", a->type);
    add_headers(r, a->headers);
    MHD_add_response_header(r, "Connection", "close");
    enum MHD_Result ok = MHD_queue_response(x->connection, (unsigned)a->status, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result refuse(auk_exchange *x, const char *path, int status, const char *text)
{
    auk_response a = {
        .status = status, .type = "application/json; charset=utf-8", .body = AUK_BUF_INIT(65536)};

    x->server->calls.refuse(x->server->calls.ctx, auk_str_of(path), status, text, &a.body);
    enum MHD_Result ok = reply(x, &a);
    auk_buf_release(&a.body);
    return ok;
}

static enum MHD_Result begin(auk_server *s, struct MHD_Connection *c, const char *path, void **slot)
{
    auk_exchange *x = auk_alloc(sizeof *x);
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");

    x->server = s;
    x->connection = c;
    x->fd = fd_of(c);
    x->began_ns = auk_now_ns();
    x->body = AUK_BUF_INIT(s->opts.max_body_bytes);
    pthread_mutex_lock(&s->lock);
    x->next = s->exchanges;
    s->exchanges = x;
    pthread_mutex_unlock(&s->lock);
    *slot = x;
    if (length != NULL && strtoull(length, NULL, 10) > s->opts.max_body_bytes) {
        x->refused = true;
        return refuse(x, path, 413, "the body is larger than this server takes");
    }
    return MHD_YES;
}

static enum MHD_Result take_body(auk_exchange *x, const char *data, size_t *n)
{
    uint64_t ms = (auk_now_ns() - x->began_ns) / 1000000;
    uint64_t earned = x->body.n * 1000 / (uint64_t)x->server->opts.min_body_rate;

    if (ms > (uint64_t)x->server->opts.body_ms + earned)
        return MHD_NO;
    if (!x->too_large)
        auk_buf_add(&x->body, data, *n);
    if (x->body.failed) {
        x->too_large = true;
        auk_buf_release(&x->body);
        x->body = AUK_BUF_INIT(x->server->opts.max_body_bytes);
        x->excess += *n;
        if (x->excess > 2 * x->server->opts.max_body_bytes)
            return MHD_NO; /* it was told by silence; now by the end */
    }
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result access_handler(void *ctx, struct MHD_Connection *c, const char *url,
                                      const char *method, const char *version, const char *data,
                                      size_t *data_n, void **slot)
{
    auk_server *s = ctx;
    auk_exchange *x = *slot;

    (void)version;
    if (x == NULL)
        return begin(s, c, url, slot);
    if (x->refused)
        return MHD_YES;
    if (*data_n > 0)
        return take_body(x, data, data_n);
    if (x->too_large)
        return refuse(x, url, 413, "the body is larger than this server takes");
    auk_http_call call = {
        .method = method, .target = url, .body = auk_buf_str(&x->body), .connection = x};
    auk_response a = {.status = 500, .body = AUK_BUF_INIT((size_t)1 << 30)};
    s->calls.handle(s->calls.ctx, &call, &a);
    enum MHD_Result ok = reply(x, &a);
    auk_buf_release(&a.body);
    free(a.headers);
    return ok;
}

static void completed(void *ctx, struct MHD_Connection *c, void **slot,
                      enum MHD_RequestTerminationCode why)
{
    auk_server *s = ctx;
    auk_exchange *x = *slot;

    (void)c;
    (void)why;
    if (x == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    auk_exchange **link = &s->exchanges;
    while (*link != x)
        link = &(*link)->next;
    *link = x->next;
    pthread_mutex_unlock(&s->lock);
    stop_stream(x);
    auk_buf_release(&x->body);
    free(x);
    *slot = NULL;
}

static void notify(void *ctx, struct MHD_Connection *c, void **socket_ctx,
                   enum MHD_ConnectionNotificationCode what)
{
    auk_server *s = ctx;

    (void)c;
    (void)socket_ctx;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        atomic_fetch_sub(&s->open, 1);
}

/* ---- life ---- */

static int start_library(auk_server *s, auk_err *err)
{
    s->daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                             MHD_USE_POLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC,
                         0, NULL, NULL, access_handler, s, MHD_OPTION_NOTIFY_COMPLETED, completed,
                         s, MHD_OPTION_NOTIFY_CONNECTION, notify, s, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)s->opts.max_connections + 16, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)(s->opts.body_ms / 1000), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)(s->opts.max_header_bytes * 3), MHD_OPTION_STRICT_FOR_CLIENT, 1,
                         MHD_OPTION_THREAD_STACK_SIZE, (size_t)512 << 10, MHD_OPTION_END);
    return s->daemon != NULL ? AUK_OK
                             : auk_fail(err, AUK_EIO, "libmicrohttpd could not be started");
}

int auk_server_open(auk_server **out, const auk_server_options *opts, const auk_server_calls *calls,
                    auk_err *err)
{
    auk_server *s = auk_alloc(sizeof *s);

    *out = NULL;
    s->opts = *opts;
    s->calls = *calls;
    s->tcp = s->local = s->wake[0] = s->wake[1] = -1;
    pthread_mutex_init(&s->lock, NULL);
    int rc = auk_acceptor_listen(s, err);
    if (rc == AUK_OK)
        rc = start_library(s, err);
    if (rc == AUK_OK)
        rc = auk_acceptor_start(s, err);
    if (rc == AUK_OK) {
        *out = s;
        s = NULL;
    }
    auk_server_close(s);
    return rc;
}

int auk_server_port(const auk_server *s)
{
    return s->port;
}

int auk_server_connections(const auk_server *s)
{
    return atomic_load(&s->open);
}

void auk_server_stop_accepting(auk_server *s)
{
    auk_acceptor_stop(s);
}

void auk_server_close(auk_server *s)
{
    if (s == NULL)
        return;
    auk_acceptor_stop(s);
    atomic_store(&s->aborting, true);
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    if (s->tcp >= 0)
        close(s->tcp);
    if (s->local >= 0) {
        close(s->local);
        unlink(s->opts.unix_path);
    }
    for (int i = 0; i < 2; i++)
        if (s->wake[i] >= 0)
            close(s->wake[i]);
    free(s->waiting);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
