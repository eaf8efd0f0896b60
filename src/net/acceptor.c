/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that listens: it looks at every header before the library does, keeps the deadlines,
 * and cuts connections whose client stopped reading. */
#define _GNU_SOURCE
#include "net/serving.h"

#include "base/mem.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_WAITING 1024
#define TICK_MS 10 /* how often a header that is not complete is looked at again */
#define LEAVE_NS 1000000000u

/* ---- listening ---- */

static void set_flags(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int listen_tcp(auk_server *s, auk_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    struct sockaddr_storage at;
    socklen_t at_n = sizeof at;
    char port[16];
    int one = 1;

    snprintf(port, sizeof port, "%d", s->opts.port);
    int rc = getaddrinfo(s->opts.host, port, &hints, &list);
    if (rc != 0)
        return auk_fail(err, AUK_EINVAL, "--host '%s': %s", s->opts.host, gai_strerror(rc));
    s->tcp = socket(list->ai_family, SOCK_STREAM, 0);
    rc = s->tcp < 0 ? -1 : 0;
    if (rc == 0) {
        set_flags(s->tcp);
        setsockopt(s->tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        rc = bind(s->tcp, list->ai_addr, list->ai_addrlen);
    }
    if (rc == 0)
        rc = listen(s->tcp, 512);
    freeaddrinfo(list);
    if (rc != 0)
        return auk_fail_errno(err, "cannot listen on %s port %d", s->opts.host, s->opts.port);
    if (getsockname(s->tcp, (struct sockaddr *)&at, &at_n) == 0)
        s->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                                 : ((struct sockaddr_in *)&at)->sin_port);
    return AUK_OK;
}

static int listen_local(auk_server *s, auk_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *path = s->opts.unix_path;
    struct stat st;

    if (strlen(path) >= sizeof at.sun_path)
        return auk_fail(err, AUK_EINVAL, "--unix '%s' is longer than %zu bytes", path,
                        sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return auk_fail(err, AUK_EINVAL, "--unix '%s' is there and is no socket", path);
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    mode_t old = umask(0177);
    int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&at, sizeof at);
    umask(old);
    if (rc == 0)
        rc = listen(fd, 512);
    if (rc != 0) {
        rc = auk_fail_errno(err, "cannot listen on '%s'", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    set_flags(fd);
    s->local = fd;
    return AUK_OK;
}

int auk_acceptor_listen(auk_server *s, auk_err *err)
{
    int rc = AUK_OK;

    if (s->opts.host != NULL)
        rc = listen_tcp(s, err);
    if (rc == AUK_OK && s->opts.unix_path != NULL)
        rc = listen_local(s, err);
    return rc;
}

/* ---- refusing before the library ---- */

static void leave(auk_waiting *w)
{
    w->leaving = true;
    w->until_ns = auk_now_ns() + LEAVE_NS;
    shutdown(w->fd, SHUT_WR);
}

static void refuse(auk_server *s, auk_waiting *w, auk_str path, int status, const char *text)
{
    static const struct {
        int status;
        const char *words;
    } known[] = {{400, "Bad Request"},
                 {408, "Request Timeout"},
                 {431, "Request Header Fields Too Large"},
                 {503, "Service Unavailable"}};
    auk_buf body = AUK_BUF_INIT(65536), out = AUK_BUF_INIT(131072);
    const char *words = "Error";

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            words = known[i].words;
    s->calls.refuse(s->calls.ctx, path, status, text, &body);
    auk_buf_printf(&out,
                   "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\n"
                   "Content-Length: %zu\r\nConnection: close\r\n%s\r\n",
                   status, words, body.n, status == 503 ? "Retry-After: 1\r\n" : "");
    auk_buf_add(&out, body.p, body.n);
    /* small, and the socket is new: it fits its buffer or nobody reads */
    ssize_t sent = send(w->fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
    auk_buf_release(&body);
    auk_buf_release(&out);
    leave(w);
}

/* ---- headers ---- */

/* Where the header ends, 0 when it does not yet; *broken: it has a line end that is none. */
static size_t header_end(const char *p, size_t n, bool *broken)
{
    *broken = false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r')) {
            *broken = true;
            return i + 1;
        }
        if (i >= 3 && memcmp(p + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    }
    return 0;
}

typedef enum next { KEEP, DROP, PASS } next;

static next look(auk_server *s, auk_waiting *w, char *room)
{
    size_t max = s->opts.max_header_bytes + 1;
    ssize_t got = recv(w->fd, room, max, MSG_PEEK | MSG_DONTWAIT);
    const char *why;
    auk_str path = {"", 0};
    bool broken;

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        return DROP;
    if (got < 0)
        return KEEP;
    w->seen = (size_t)got;
    size_t end = header_end(room, (size_t)got, &broken);
    if (end == 0 && (size_t)got < max)
        return KEEP;
    int status = 431;
    why = "the request's header is larger than this server takes";
    if (end > 0)
        status = auk_header_check((auk_str){room, end}, s->opts.max_fields, &path, &why);
    if (broken && status == 0) {
        status = 400;
        why = "the request has bytes that no header may have";
    }
    if (status == 0 && atomic_load(&s->open) >= s->opts.max_connections) {
        status = 503;
        why = "too many connections, please try again";
    }
    if (status == 0)
        return PASS;
    refuse(s, w, path, status, why);
    return KEEP;
}

static next step(auk_server *s, auk_waiting *w, bool readable, char *room)
{
    if (w->leaving) {
        ssize_t got = readable ? recv(w->fd, room, s->opts.max_header_bytes, MSG_DONTWAIT) : -1;
        return got == 0 || auk_now_ns() > w->until_ns ? DROP : KEEP;
    }
    next what = readable || w->seen > 0 ? look(s, w, room) : KEEP;
    if (what == KEEP && !w->leaving && auk_now_ns() > w->until_ns) {
        if (w->seen == 0)
            return DROP; /* said nothing: it is told nothing */
        refuse(s, w, (auk_str){"", 0}, 408, "the request's header did not come in time");
    }
    return what;
}

static void pass_on(auk_server *s, auk_waiting *w)
{
    int one = 1;

    if (w->from.ss_family != AF_UNIX)
        setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    atomic_fetch_add(&s->open, 1);
    /* on failure the library has closed the socket */
    if (MHD_add_connection(s->daemon, w->fd, (struct sockaddr *)&w->from, w->from_n) != MHD_YES)
        atomic_fetch_sub(&s->open, 1);
}

static void accept_from(auk_server *s, int listener, char *room)
{
    for (int i = 0; i < 64; i++) {
        auk_waiting w = {.until_ns = auk_now_ns() + (uint64_t)s->opts.header_ms * 1000000,
                         .from_n = sizeof w.from};
        w.fd = accept(listener, (struct sockaddr *)&w.from, &w.from_n);
        if (w.fd < 0)
            return;
        set_flags(w.fd);
        next what = KEEP;
        if (s->n_waiting == MAX_WAITING) {
            refuse(s, &w, (auk_str){"", 0}, 503, "too many connections, please try again");
            what = DROP;
        } else {
            what = step(s, &w, true, room);
        }
        if (what == KEEP)
            s->waiting[s->n_waiting++] = w;
        else if (what == PASS)
            pass_on(s, &w);
        else
            close(w.fd);
    }
}

/* ---- the loop ---- */

static void cut_stalled(auk_server *s)
{
    uint64_t now = auk_now_ns(), limit = (uint64_t)s->opts.stall_ms * 1000000;

    pthread_mutex_lock(&s->lock);
    for (auk_exchange *x = s->exchanges; x != NULL; x = x->next) {
        uint64_t pulled = atomic_load(&x->pulled_ns);
        if (atomic_load(&x->streaming) && now > pulled && now - pulled > limit)
            shutdown(x->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->lock);
}

static int wait_ms(const auk_server *s)
{
    for (size_t i = 0; i < s->n_waiting; i++)
        if (s->waiting[i].seen > 0 || s->waiting[i].leaving)
            return TICK_MS;
    return 250;
}

static void look_at_all(auk_server *s, const struct pollfd *polls, char *room)
{
    size_t kept = 0, n = s->n_waiting;

    for (size_t i = 0; i < n; i++) {
        auk_waiting *w = &s->waiting[i];
        next what = step(s, w, polls[i].revents != 0, room);
        if (what == KEEP)
            s->waiting[kept++] = *w;
        else if (what == PASS)
            pass_on(s, w);
        else
            close(w->fd);
    }
    s->n_waiting = kept;
}

static void *run(void *ctx)
{
    auk_server *s = ctx;
    char *room = auk_alloc(s->opts.max_header_bytes + 1);
    struct pollfd *polls = auk_alloc((MAX_WAITING + 3) * sizeof *polls);

    while (!atomic_load(&s->stop)) {
        for (size_t i = 0; i < s->n_waiting; i++) {
            const auk_waiting *w = &s->waiting[i];
            /* what was seen stays readable: those are looked at with every tick instead */
            polls[i] =
                (struct pollfd){.fd = w->seen > 0 && !w->leaving ? -1 : w->fd, .events = POLLIN};
        }
        size_t n = s->n_waiting;
        polls[n] = (struct pollfd){.fd = s->tcp, .events = POLLIN};
        polls[n + 1] = (struct pollfd){.fd = s->local, .events = POLLIN};
        polls[n + 2] = (struct pollfd){.fd = s->wake[0], .events = POLLIN};
        if (poll(polls, n + 3, wait_ms(s)) < 0 && errno != EINTR)
            break;
        bool tcp = polls[n].revents != 0, local = polls[n + 1].revents != 0;
        look_at_all(s, polls, room);
        if (tcp)
            accept_from(s, s->tcp, room);
        if (local)
            accept_from(s, s->local, room);
        cut_stalled(s);
    }
    for (size_t i = 0; i < s->n_waiting; i++)
        close(s->waiting[i].fd);
    s->n_waiting = 0;
    free(room);
    free(polls);
    return NULL;
}

int auk_acceptor_start(auk_server *s, auk_err *err)
{
    s->waiting = auk_alloc(MAX_WAITING * sizeof *s->waiting);
    if (pipe(s->wake) != 0)
        return auk_fail_errno(err, "cannot make a pipe");
    set_flags(s->wake[0]);
    set_flags(s->wake[1]);
    if (pthread_create(&s->acceptor, NULL, run, s) != 0)
        return auk_fail(err, AUK_EIO, "cannot start the listening thread");
    s->accepting = true;
    return AUK_OK;
}

void auk_acceptor_stop(auk_server *s)
{
    if (!s->accepting)
        return;
    atomic_store(&s->stop, true);
    ssize_t n = write(s->wake[1], "x", 1);
    (void)n;
    pthread_join(s->acceptor, NULL);
    s->accepting = false;
    if (s->tcp >= 0)
        close(s->tcp);
    s->tcp = -1;
}
