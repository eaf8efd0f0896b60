/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a box that is the same everywhere: pipes, limits on time and output, the end. */
#define _GNU_SOURCE
#include "eval/box.h"

#include "base/mem.h"
#include "base/time.h"
#include "eval/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_BOXES 256
#define MAX_VERDICT 4096 /* bytes a driver may write to descriptor 4 */

auk_limits auk_limits_defaults(void)
{
    return (auk_limits){.wall_ms = 8000,
                        .cpu_s = 6,
                        .memory_bytes = (uint64_t)1 << 30,
                        .output_bytes = (uint64_t)256 << 10};
}

char auk_level_letter(auk_level level)
{
    return "ABCD"[level];
}

const char *auk_level_text(auk_level level)
{
    static const char *const texts[] = {"namespaces, private root, Landlock, seccomp, limits",
                                        "Landlock, seccomp, limits", "sandbox-exec, limits",
                                        "limits alone"};
    return texts[level];
}

const char *auk_end_name(auk_end end)
{
    static const char *const names[] = {"exited", "signaled", "timeout", "output", "memory"};
    return names[end];
}

size_t auk_box_rlimits(auk_rlimit out[12], const auk_box *box)
{
    rlim_t cpu = (rlim_t)box->limits.cpu_s, files = box->limits.commands ? 1024 : 64,
           file = box->limits.commands ? (rlim_t)box->limits.disk_bytes : 16 << 20;
    const auk_rlimit all[] = {
#if !defined(__APPLE__) /* there it cannot be set: docs/eval.md, level C */
        {RLIMIT_AS, {box->limits.memory_bytes, box->limits.memory_bytes}},
#endif
        {RLIMIT_CPU, {cpu, cpu + 1}}, /* SIGXCPU, a second later SIGKILL */
        {RLIMIT_FSIZE, {file, file}},
        {RLIMIT_NOFILE, {files, files}},
        {RLIMIT_STACK, {8 << 20, 8 << 20}}, /* also the size of a thread's stack */
        {RLIMIT_CORE, {0, 0}},
        {RLIMIT_MEMLOCK, {0, 0}},
#if defined(__APPLE__)
        {RLIMIT_NPROC, {32, 32}}, /* on Linux level A sets it where it counts per box */
#endif
    };

    memcpy(out, all, sizeof all);
    return sizeof all / sizeof *all;
}

/* ---- the level ---------------------------------------------------------------------------- */

/* A level works when a Python that does nothing ends with 0 in it. */
static int try_level(auk_sandbox *sb, auk_err *err)
{
    auk_limits limits = auk_limits_defaults();
    auk_box_result r;

    int rc = auk_os_prepare(&sb->os, sb->py, sb->level, err);
    if (rc < 0)
        return rc;
    limits.wall_ms = 20000;
    rc = auk_box_run(&r, sb, "pass", (auk_str){"", 0}, &limits, err);
    if (rc == AUK_OK && (r.end != AUK_END_EXITED || r.exit_code != 0))
        rc = auk_fail(err, AUK_ENOTSUP, "Python does not start in it: %.*s",
                      (int)(r.err.n > 200 ? 200 : r.err.n), auk_buf_str(&r.err).p);
    if (rc == AUK_OK) {
        auk_box_result_release(&r);
    } else {
        auk_os_release(sb->os);
        sb->os = NULL;
    }
    return rc;
}

int auk_sandbox_open(auk_sandbox **out, const auk_python *py, const auk_sandbox_options *opts,
                     auk_err *err)
{
    auk_sandbox *sb = auk_alloc(sizeof *sb);
    const char *levels = opts->level != NULL ? opts->level : auk_os_levels;
    int rc = AUK_ENOTSUP;

    *out = NULL;
    sb->py = py;
    for (const char *p = levels; *p != 0 && rc < 0; p++) {
        auk_err reason;
        if (*p < 'A' || *p > 'D' || (opts->level != NULL && opts->level[1] != 0)) {
            free(sb);
            return auk_fail(err, AUK_EINVAL, "'%s' is no sandbox level: A, B, C or D", opts->level);
        }
        if (*p == 'D' && !opts->unsafe)
            continue;
        sb->level = (auk_level)(*p - 'A');
        rc = try_level(sb, &reason);
        size_t n = strlen(sb->why);
        if (rc < 0)
            snprintf(sb->why + n, sizeof sb->why - n, "%slevel %c: %s", n > 0 ? "; " : "", *p,
                     reason.msg);
    }
    if (rc == AUK_OK) {
        *out = sb;
        return rc;
    }
    auk_fail(err, AUK_ENOTSUP,
             "no sandbox works here (%s); --unsafe-no-sandbox runs programs without protection",
             sb->why[0] != 0 ? sb->why : "level D is none");
    free(sb);
    return AUK_ENOTSUP;
}

void auk_sandbox_close(auk_sandbox *sb)
{
    if (sb != NULL)
        auk_os_release(sb->os);
    free(sb);
}

auk_level auk_sandbox_level(const auk_sandbox *sb)
{
    return sb->level;
}

const auk_python *auk_sandbox_python(const auk_sandbox *sb)
{
    return sb->py;
}

const char *auk_sandbox_why(const auk_sandbox *sb)
{
    return sb->why;
}

/* ---- starting ----------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Both ends close on exec; ours never blocks. */
static int make_pipe(int *ours, int *theirs, bool we_read)
{
    int fds[2];

    if (pipe(fds) < 0)
        return -1;
    *ours = fds[we_read ? 0 : 1];
    *theirs = fds[we_read ? 1 : 0];
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    if (we_read)
        fcntl(*ours, F_SETFL, O_NONBLOCK);
    return 0;
}

static auk_box *new_box(const auk_sandbox *sb, const auk_limits *limits)
{
    auk_box *box = auk_alloc(sizeof *box);

    box->sb = sb;
    box->limits = *limits;
    box->pid = -1;
    box->handle = box->out = box->err = box->verdict = box->report = box->lifeline = -1;
    box->said = AUK_BUF_INIT(sizeof(auk_report));
    box->result.out = AUK_BUF_INIT((size_t)limits->output_bytes);
    box->result.err = AUK_BUF_INIT((size_t)limits->output_bytes);
    box->result.verdict = AUK_BUF_INIT(MAX_VERDICT);
    return box;
}

static void free_box(auk_box *box)
{
    close_fd(&box->handle);
    close_fd(&box->out);
    close_fd(&box->err);
    close_fd(&box->verdict);
    close_fd(&box->report);
    close_fd(&box->lifeline);
    auk_buf_release(&box->said);
    auk_box_result_release(&box->result);
    free(box);
}

/* Takes over data_fd, which is the program's descriptor 3. */
static int start(auk_box **out, const auk_sandbox *sb, const char *script, int data_fd,
                 const auk_limits *limits, bool serving, auk_err *err)
{
    auk_box *box = new_box(sb, limits);
    auk_stdio io = {.in = open("/dev/null", O_RDONLY | O_CLOEXEC),
                    .out = -1,
                    .err = -1,
                    .data = data_fd,
                    .verdict = -1};
    int rc = AUK_OK;

    *out = NULL;
    box->serving = serving;
    if (io.in < 0 || make_pipe(&box->out, &io.out, true) < 0 ||
        make_pipe(&box->err, &io.err, true) < 0 || make_pipe(&box->verdict, &io.verdict, true) < 0)
        rc = auk_fail_errno(err, "cannot make the pipes of a sandbox");
    box->began_ns = auk_now_ns();
    box->deadline_ns = box->began_ns + (uint64_t)limits->wall_ms * 1000000u;
    if (rc == AUK_OK)
        rc = auk_os_spawn(box, script, &io, err);
    close_fd(&io.in);
    close_fd(&io.out);
    close_fd(&io.err);
    close_fd(&io.verdict);
    close_fd(&io.data);
    if (rc < 0)
        free_box(box);
    else
        *out = box;
    return rc;
}

int auk_box_start(auk_box **out, const auk_sandbox *sb, const char *script, auk_str data,
                  const auk_limits *limits, auk_err *err)
{
    int fd;

    *out = NULL;
    int rc = auk_os_data(&fd, data, err);
    return rc < 0 ? rc : start(out, sb, script, fd, limits, false, err);
}

static int open_box(auk_box **out, int *to, const auk_sandbox *sb, const char *script,
                    const auk_limits *limits, bool serving, auk_err *err)
{
    int from = -1;

    *out = NULL;
    *to = -1;
    if (make_pipe(to, &from, false) < 0)
        return auk_fail_errno(err, "cannot make a pipe");
    int rc = start(out, sb, script, from, limits, serving, err);
    if (rc < 0)
        close_fd(to);
    return rc;
}

int auk_box_open(auk_box **out, int *to, const auk_sandbox *sb, const char *script,
                 const auk_limits *limits, auk_err *err)
{
    return open_box(out, to, sb, script, limits, false, err);
}

int auk_box_open_lines(auk_box **out, int *to, const auk_sandbox *sb, const char *script,
                       const auk_limits *limits, auk_err *err)
{
    return open_box(out, to, sb, script, limits, true, err);
}

/* ---- running ------------------------------------------------------------------------------ */

static void kill_for(auk_box *box, auk_end end)
{
    if (!box->killed) {
        box->killed = true;
        box->killed_for = end;
        auk_os_kill(box);
    }
}

/* Reads what is there.  What does not fit any more is read and dropped. */
static void drain(auk_box *box, int *fd, auk_buf *into)
{
    char chunk[16384];
    ssize_t n;

    while (*fd >= 0) {
        n = read(*fd, chunk, sizeof chunk);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            close_fd(fd);
            return;
        }
        size_t room = into->max - into->n, take = (size_t)n < room ? (size_t)n : room;
        if (take > 0)
            auk_buf_add(into, chunk, take);
        size_t wrote = box->result.out.n + box->result.err.n + ((size_t)n - take);
        if (take < (size_t)n || wrote > box->limits.output_bytes) {
            kill_for(box, AUK_END_OUTPUT);
            return;
        }
    }
}

static void drain_all(auk_box *box)
{
    drain(box, &box->out, &box->result.out);
    drain(box, &box->err, &box->result.err);
    drain(box, &box->verdict, &box->result.verdict);
    drain(box, &box->report, &box->said);
}

static void step(auk_box *box, uint64_t now)
{
    drain_all(box);
    if (now >= box->deadline_ns)
        kill_for(box, AUK_END_TIMEOUT);
    if (!auk_os_reap(box))
        return;
    drain_all(box); /* what was written between the first look and the end */
    box->done = true;
    box->result.wall_ns = auk_now_ns() - box->began_ns;
}

/* A box that serves is done with a program when it has told how that ended. */
static bool has_answered(const auk_box *box)
{
    const auk_buf *out = &box->result.out;
    return box->serving && out->n > 0 && out->p[out->n - 1] == '\n';
}

static size_t watch(struct pollfd *fds, const auk_box *box)
{
    const int all[] = {box->out, box->err, box->verdict, box->report, box->handle};
    size_t n = 0;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] >= 0)
            fds[n++] = (struct pollfd){.fd = all[i], .events = POLLIN};
    return n;
}

void auk_box_pump(auk_box *const *boxes, size_t n, int timeout_ms)
{
    struct pollfd fds[MAX_BOXES * 5];
    uint64_t begin = auk_now_ns(), end = begin + (uint64_t)timeout_ms * 1000000u;

    for (;;) {
        uint64_t now = auk_now_ns(), wake = timeout_ms < 0 ? UINT64_MAX : end;
        size_t n_fds = 0, running = 0, done = 0;
        bool by_time = false;

        for (size_t i = 0; i < n && i < MAX_BOXES; i++) {
            auk_box *box = boxes[i];
            if (box == NULL)
                continue;
            if (!box->done && !has_answered(box))
                step(box, now);
            if (box->done || has_answered(box)) {
                done++;
                continue;
            }
            running++;
            n_fds += watch(fds + n_fds, box);
            by_time |= box->handle < 0;
            if (!box->killed && box->deadline_ns < wake)
                wake = box->deadline_ns;
        }
        if (done > 0 || running == 0 || (timeout_ms >= 0 && now >= end))
            return;
        uint64_t pause = wake == UINT64_MAX ? 1000 : wake > now ? (wake - now) / 1000000u + 1 : 0;
        if (by_time && pause > 3)
            pause = 3;
        poll(fds, (nfds_t)n_fds, pause > 1000 ? 1000 : (int)pause);
    }
}

bool auk_box_done(const auk_box *box)
{
    return box->done || has_answered(box);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void judge(auk_box *box, int status)
{
    auk_box_result *r = &box->result;

    r->cpu_ns = box->cpu_ns;
    r->exit_code = -1;
    r->end = AUK_END_EXITED;
    if (WIFSIGNALED(status)) {
        r->signal = WTERMSIG(status);
        r->end = AUK_END_SIGNALED;
    } else {
        r->exit_code = WEXITSTATUS(status);
    }
    if (box->killed) {
        r->end = box->killed_for;
        r->signal = SIGKILL;
        r->exit_code = -1;
    } else if (r->signal == SIGXCPU ||
               (r->signal == SIGKILL && r->cpu_ns >= (uint64_t)box->limits.cpu_s * 1000000000u)) {
        r->end = AUK_END_TIMEOUT;
    } else if (r->signal == SIGKILL) {
        r->end = AUK_END_MEMORY; /* not by us: the system was short of it, or by its own hand */
    }
}

int auk_box_finish(auk_box_result *out, auk_box *box, auk_err *err)
{
    auk_report report = {.failed_at = -1, .wait_status = box->wait_status};
    int rc = AUK_OK;

    if (box->said.n == sizeof report)
        memcpy(&report, box->said.p, sizeof report);
    if (box->failed != 0) {
        rc = auk_fail(err, AUK_EIO, "cannot wait for the sandbox: %s", strerror(box->failed));
    } else if (report.failed_at >= 0) {
        rc = auk_fail(err, AUK_EIO, "the sandbox failed at %s: %s", auk_os_stage(report.failed_at),
                      strerror(report.error));
    } else {
        judge(box, report.wait_status);
        *out = box->result;
        box->result = (auk_box_result){0};
    }
    free_box(box);
    return rc;
}

/* ---- a box that serves -------------------------------------------------------------------- */

bool auk_box_can_serve(const auk_sandbox *sb)
{
    return sb->level == AUK_LEVEL_A;
}

static bool send_all(int to, auk_str text)
{
    while (text.n > 0) {
        ssize_t n = write(to, text.p, text.n);
        if (n < 0 && errno != EINTR)
            return false;
        text = auk_str_from(text, n > 0 ? (size_t)n : 0);
    }
    return true;
}

int auk_box_serve(auk_box **out, int *to, const auk_sandbox *sb, uint64_t memory_bytes,
                  auk_err *err)
{
    auk_limits limits = {.wall_ms = 60000,
                         .cpu_s = 86400,
                         .memory_bytes = memory_bytes,
                         .output_bytes = (uint64_t)16 << 20};
    auk_buf head = AUK_BUF_INIT(1 << 20), filter = AUK_BUF_INIT(1 << 16);

    int rc = open_box(out, to, sb, auk_script_server, &limits, true, err);
    auk_os_last_filter(&filter, sb->os);
    auk_buf_printf(&head, "%zu %zu\n%s", strlen(sb->py->path), filter.n, sb->py->path);
    auk_buf_add(&head, auk_buf_str(&filter).p, filter.n);
    if (rc == AUK_OK)
        rc = auk_buf_check(&head, "a sandbox's beginning", err);
    if (rc == AUK_OK && !send_all(*to, auk_buf_str(&head)))
        rc = auk_fail_errno(err, "cannot write to a sandbox");
    auk_buf_release(&head);
    auk_buf_release(&filter);
    if (rc < 0) {
        close_fd(to);
        auk_box_abort(*out);
        *out = NULL;
    }
    return rc;
}

bool auk_box_ask(auk_box *box, int to, auk_str request, const auk_limits *limits)
{
    auk_buf_clear(&box->result.out);
    auk_buf_clear(&box->result.err);
    auk_buf_clear(&box->result.verdict);
    box->limits.cpu_s = limits->cpu_s;
    box->began_ns = auk_now_ns();
    box->deadline_ns = box->began_ns + (uint64_t)limits->wall_ms * 1000000u;
    return send_all(to, request);
}

bool auk_box_answer(auk_box_result *out, bool *valid, auk_box *box)
{
    auk_box_result *r = &box->result;
    int status = 0, clean = 0;
    double cpu = 0;

    drain_all(box); /* the child has ended: what it wrote is all there */
    *valid = has_answered(box) &&
             sscanf(auk_buf_str(&r->out).p, "%d %lf %d", &status, &cpu, &clean) == 3;
    *valid |= box->killed;
    box->cpu_ns = (uint64_t)(cpu * 1e9);
    judge(box, status);
    r->wall_ns = auk_now_ns() - box->began_ns;
    *out = (auk_box_result){.end = r->end,
                            .exit_code = r->exit_code,
                            .signal = r->signal,
                            .wall_ns = r->wall_ns,
                            .cpu_ns = r->cpu_ns,
                            .verdict = r->verdict};
    r->verdict = AUK_BUF_INIT(MAX_VERDICT);
    auk_buf_clear(&r->out);
    return *valid && !box->killed && !box->done && clean == 1;
}

void auk_box_abort(auk_box *box)
{
    if (box == NULL)
        return;
    kill_for(box, AUK_END_TIMEOUT);
    box->serving = false; /* what it may have answered is not wanted: only its end is */
    while (!box->done)
        auk_box_pump(&box, 1, -1);
    free_box(box);
}

int auk_box_run(auk_box_result *out, const auk_sandbox *sb, const char *script, auk_str data,
                const auk_limits *limits, auk_err *err)
{
    auk_box *box;

    int rc = auk_box_start(&box, sb, script, data, limits, err);
    if (rc < 0)
        return rc;
    while (!auk_box_done(box))
        auk_box_pump(&box, 1, -1);
    return auk_box_finish(out, box, err);
}

void auk_box_result_release(auk_box_result *r)
{
    auk_buf_release(&r->out);
    auk_buf_release(&r->err);
    auk_buf_release(&r->verdict);
}
