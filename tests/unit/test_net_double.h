/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_double.h - a server of one thread that sends given bytes, cut as the test wants. */
#ifndef TEST_NET_DOUBLE_H
#define TEST_NET_DOUBLE_H

#include "base/file.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct answer {
    const char *bytes; /* NULL ends the list; the last is repeated */
    size_t n;          /* 0: strlen */
    size_t piece;      /* bytes of one send; 0: all */
    size_t cut;        /* close after so many; 0: never */
    int pause_ms;      /* between the pieces */
    int stall_ms;      /* before the first */
} answer;

typedef struct server {
    int fd, port;
    pthread_t thread;
    const answer *answers;
    char request[1 << 16];       /* the last one, header and body */
    atomic_int n_requests, gone; /* gone: the client left while we were sending */
} server;

static inline void nap(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static inline void read_request(server *s, int fd)
{
    size_t n = 0, want = sizeof s->request - 1;

    while (n < want) {
        ssize_t k = recv(fd, s->request + n, want - n, 0);
        if (k <= 0)
            break;
        n += (size_t)k;
        s->request[n] = 0;
        char *end = strstr(s->request, "\r\n\r\n"),
             *length = strstr(s->request, "Content-Length: ");
        if (end != NULL)
            want = (size_t)(end + 4 - s->request) +
                   (length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0);
    }
}

static inline void send_answer(server *s, int fd, const answer *a)
{
    size_t n = a->n > 0 ? a->n : strlen(a->bytes), piece = a->piece > 0 ? a->piece : n, at = 0;

    nap(a->stall_ms);
    if (a->cut > 0 && a->cut < n)
        n = a->cut;
    while (at < n) {
        size_t k = n - at < piece ? n - at : piece;
        if (send(fd, a->bytes + at, k, MSG_NOSIGNAL) != (ssize_t)k) {
            atomic_fetch_add(&s->gone, 1);
            return;
        }
        at += k;
        nap(a->pause_ms);
    }
}

static void *serve(void *ctx)
{
    server *s = ctx;
    const answer *a = s->answers;
    int fd, one = 1;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
        read_request(s, fd);
        atomic_fetch_add(&s->n_requests, 1);
        send_answer(s, fd, a);
        close(fd);
        if (a[1].bytes != NULL)
            a++;
    }
    return NULL;
}

static inline void server_start(server *s, const answer *answers)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;

    *s = (server){.answers = answers};
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s->fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(s->fd, 8) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&at, &n) != 0 ||
        pthread_create(&s->thread, NULL, serve, s) != 0)
        abort();
    s->port = ntohs(at.sin_port);
}

static inline void server_stop(server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

/* The bytes of a recorded answer, in fresh memory. */
static inline char *recording(const char *name, size_t *n)
{
    auk_buf path = AUK_BUF_INIT(4096), text = AUK_BUF_INIT(1 << 20);
    auk_err err;

    auk_buf_printf(&path, "%s/tests/http/recordings/llama-cpp-server/%s.response", AUK_SOURCE_DIR,
                   name);
    if (auk_file_read(&text, path.p, &err) < 0)
        abort();
    auk_buf_release(&path);
    *n = text.n;
    return text.p;
}

#endif
