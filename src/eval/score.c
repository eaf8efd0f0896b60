/* SPDX-License-Identifier: Apache-2.0 */
/* Programs with their tests, several boxes at once.  A verdict of "passed" needs a word that the
 * driver sends after the tests returned, with a token the program was never told. */
#define _GNU_SOURCE
#include "eval/box.h"

#include "base/limits.h"
#include "base/mem.h"
#include "eval/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define MAX_WORKERS 64
#define GRACE_MS 2000 /* beyond the driver's own alarm: start-up, and code that ignores alarms */

const char *auk_status_name(auk_status s)
{
    static const char *const names[] = {"passed",  "failed", "timeout",
                                        "memory",  "output", "no_verdict",
                                        "no_code", "looped", "harness_error"};
    return names[s];
}

typedef struct job {
    auk_verdict verdict;
    bool finished;
} job;

typedef struct slot {
    auk_box *box; /* owned, or NULL: no program runs */
    size_t i;
    char token[33];
    bool served;     /* the program runs in `server` */
    auk_box *server; /* owned, or NULL; `box` borrows it meanwhile */
    int to;          /* owned: the server's descriptor 3 */
    bool server_big; /* it may use the memory that numpy needs */
} slot;

typedef struct scorer {
    const auk_sandbox *sb;
    const auk_score_jobs *jobs;
    job *list; /* owned */
    slot slots[MAX_WORKERS];
    size_t workers;
    size_t next, told; /* the first not started, the first not reported */
} scorer;

static int draw_token(char out[33], auk_err *err)
{
    unsigned char bytes[16];
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes;

    if (fd >= 0)
        close(fd);
    for (size_t i = 0; i < sizeof bytes && ok; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return ok ? AUK_OK : auk_fail_errno(err, "cannot read /dev/urandom");
}

static void drop_server(slot *at)
{
    if (at->server == NULL)
        return;
    close(at->to);
    auk_box_abort(at->server);
    at->server = NULL;
}

/* A box of its own for one program. */
static int start_alone(scorer *s, slot *at, auk_str program, const auk_limits *limits,
                       double seconds, bool big, auk_err *err)
{
    auk_buf data = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_buf_printf(&data, "%s\n\n%s\n\n%.3f\n\n%s\n\n", auk_sandbox_python(s->sb)->path, at->token,
                   seconds, big ? "numpy" : "");
    auk_buf_add(&data, program.p, program.n);
    int rc = auk_buf_check(&data, "a program", err);
    if (rc == AUK_OK)
        rc = auk_box_start(&at->box, s->sb, auk_script_score, auk_buf_str(&data), limits, err);
    auk_buf_release(&data);
    return rc;
}

/* The slot's server, made when it has none or one of the other size. */
static int need_server(scorer *s, slot *at, const auk_limits *limits, bool big, auk_err *err)
{
    if (at->server != NULL && at->server_big != big)
        drop_server(at);
    if (at->server != NULL)
        return AUK_OK;
    at->server_big = big;
    return auk_box_serve(&at->server, &at->to, s->sb, limits->memory_bytes, err);
}

static int start_served(scorer *s, slot *at, auk_str program, const auk_limits *limits,
                        double seconds, bool big, auk_err *err)
{
    auk_buf request = AUK_BUF_INIT(AUK_MAX_TEXT);

    int rc = need_server(s, at, limits, big, err);
    auk_buf_printf(&request, "%s %.3f %d %llu %zu %s\n", at->token, seconds, limits->cpu_s,
                   (unsigned long long)limits->memory_bytes, program.n, big ? "numpy" : "");
    auk_buf_add(&request, program.p, program.n);
    if (rc == AUK_OK)
        rc = auk_buf_check(&request, "a program", err);
    if (rc == AUK_OK && !auk_box_ask(at->server, at->to, auk_buf_str(&request), limits))
        rc = auk_fail_errno(err, "cannot write to a sandbox");
    auk_buf_release(&request);
    if (rc == AUK_OK)
        at->box = at->server;
    else
        drop_server(at);
    return rc;
}

static int start_box(scorer *s, slot *at, auk_str program, int limit_ms, bool big, auk_err *err)
{
    auk_limits limits = auk_limits_defaults();
    double seconds = (double)limit_ms / 1e3;

    limits.wall_ms = limit_ms + GRACE_MS;
    limits.cpu_s = (limit_ms + GRACE_MS) / 1000 + 1;
    limits.memory_bytes = big ? (uint64_t)4 << 30 : (uint64_t)1 << 30;
    limits.output_bytes = (uint64_t)16 << 20; /* prints go to the driver's sink, not here */
    int rc = draw_token(at->token, err);
    if (rc < 0)
        return rc;
    at->served = auk_box_can_serve(s->sb);
    return at->served ? start_served(s, at, program, &limits, seconds, big, err)
                      : start_alone(s, at, program, &limits, seconds, big, err);
}

/* Starts job i, or settles it where no run is needed. */
static int start_job(scorer *s, slot *at, size_t i, auk_err *err)
{
    auk_buf program = AUK_BUF_INIT(AUK_MAX_TEXT);
    bool big = false, is_settled = false;
    int limit_ms = 0;

    int rc = s->jobs->program(s->jobs->ctx, i, &program, &limit_ms, &big, &s->list[i].verdict,
                              &is_settled, err);
    at->i = i;
    if (rc == AUK_OK && is_settled)
        s->list[i].finished = true;
    else if (rc == AUK_OK)
        rc = start_box(s, at, auk_buf_str(&program), limit_ms, big, err);
    auk_buf_release(&program);
    return rc;
}

/* The driver's line is all there is on its descriptor, or it does not count. */
static bool read_word(auk_verdict *v, const slot *at, auk_str said)
{
    char line[400], word[16], why[201] = "";
    size_t n = strlen(at->token);

    if (said.n < n + 2 || said.n >= sizeof line || memcmp(said.p, at->token, n) != 0 ||
        memchr(said.p, '\n', said.n) != said.p + said.n - 1)
        return false;
    snprintf(line, sizeof line, "%.*s", (int)(said.n - n - 1), said.p + n);
    if (sscanf(line, " %15s %lf %200[^\n]", word, &v->run_seconds, why) < 2)
        return false;
    if (strcmp(word, "pass") == 0)
        v->status = AUK_STATUS_PASSED;
    else if (strcmp(word, "timeout") == 0)
        v->status = AUK_STATUS_TIMEOUT;
    else if (strncmp(why, "MemoryError", 11) == 0)
        v->status = AUK_STATUS_MEMORY;
    else
        v->status = AUK_STATUS_FAILED;
    snprintf(v->detail, sizeof v->detail, "%.190s", why);
    return true;
}

static void judge(auk_verdict *v, const slot *at, const auk_box_result *r)
{
    bool again = v->again;

    *v = (auk_verdict){.again = again, .seconds = (double)r->wall_ns / 1e9};
    if (r->end == AUK_END_TIMEOUT)
        v->status = AUK_STATUS_TIMEOUT;
    else if (r->end == AUK_END_OUTPUT)
        v->status = AUK_STATUS_OUTPUT;
    else if (r->end == AUK_END_MEMORY)
        v->status = AUK_STATUS_MEMORY;
    else if (!read_word(v, at, auk_buf_str(&r->verdict))) {
        v->status = AUK_STATUS_NO_VERDICT;
        if (r->signal != 0)
            snprintf(v->detail, sizeof v->detail, "signal %d", r->signal);
        else
            snprintf(v->detail, sizeof v->detail, "exit %d", r->exit_code);
    }
}

/* What ended, and the server back when it may go on. */
static int take_result(auk_box_result *r, slot *at, auk_err *err)
{
    bool valid;

    if (!at->served)
        return auk_box_finish(r, at->box, err);
    if (auk_box_answer(r, &valid, at->box))
        return AUK_OK;
    drop_server(at);
    if (valid)
        return AUK_OK;
    /* The program brought its server down: whatever it still wrote, it ended without a word. */
    auk_buf_clear(&r->verdict);
    r->end = AUK_END_SIGNALED;
    r->signal = SIGKILL;
    return AUK_OK;
}

static void collect(scorer *s, slot *at)
{
    job *j = &s->list[at->i];
    auk_box_result r;
    auk_err why;

    int rc = take_result(&r, at, &why);
    at->box = NULL;
    j->finished = true;
    if (rc == AUK_OK) {
        judge(&j->verdict, at, &r);
        auk_box_result_release(&r);
        return;
    }
    j->verdict = (auk_verdict){.status = AUK_STATUS_HARNESS_ERROR};
    snprintf(j->verdict.detail, sizeof j->verdict.detail, "%.190s", why.msg);
}

static int tell(scorer *s, auk_err *err)
{
    int rc = AUK_OK;

    while (rc == AUK_OK && s->told < s->jobs->n && s->list[s->told].finished) {
        rc = s->jobs->done(s->jobs->ctx, s->told, &s->list[s->told].verdict, err);
        s->told++;
    }
    return rc;
}

/* Waits for boxes; collects those that are done. */
static void wait_some(scorer *s)
{
    auk_box *boxes[MAX_WORKERS];

    for (size_t w = 0; w < s->workers; w++)
        boxes[w] = s->slots[w].box;
    auk_box_pump(boxes, s->workers, -1);
    for (size_t w = 0; w < s->workers; w++)
        if (boxes[w] != NULL && auk_box_done(boxes[w]))
            collect(s, &s->slots[w]);
}

static size_t running(const scorer *s)
{
    size_t n = 0;

    for (size_t w = 0; w < s->workers; w++)
        n += s->slots[w].box != NULL;
    return n;
}

/* A program that timed out beside others is run once more alone before it is called that. */
static int run_again(scorer *s, size_t i, auk_err *err)
{
    while (running(s) > 0)
        wait_some(s);
    s->list[i].finished = false;
    s->list[i].verdict.again = true;
    int rc = start_job(s, &s->slots[0], i, err);
    while (running(s) > 0)
        wait_some(s);
    return rc;
}

static int settle_timeouts(scorer *s, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = s->told; i < s->next && rc == AUK_OK && s->workers > 1; i++)
        if (s->list[i].finished && s->list[i].verdict.status == AUK_STATUS_TIMEOUT &&
            !s->list[i].verdict.again)
            rc = run_again(s, i, err);
    return rc;
}

static int work(scorer *s, auk_err *err)
{
    int rc = AUK_OK;

    while (rc == AUK_OK && s->told < s->jobs->n) {
        for (size_t w = 0; w < s->workers && rc == AUK_OK; w++)
            while (rc == AUK_OK && s->slots[w].box == NULL && s->next < s->jobs->n)
                rc = start_job(s, &s->slots[w], s->next++, err);
        if (rc == AUK_OK && running(s) > 0)
            wait_some(s);
        if (rc == AUK_OK)
            rc = settle_timeouts(s, err);
        if (rc == AUK_OK)
            rc = tell(s, err);
    }
    return rc;
}

int auk_score(const auk_sandbox *sb, const auk_score_jobs *jobs, int workers, auk_err *err)
{
    scorer s = {.sb = sb, .jobs = jobs};

    s.workers = workers < 1 ? 1 : workers > MAX_WORKERS ? MAX_WORKERS : (size_t)workers;
    int rc = auk_try_alloc(&s.list, jobs->n, sizeof *s.list, err);
    if (rc == AUK_OK)
        rc = work(&s, err);
    for (size_t w = 0; w < s.workers; w++)
        if (s.slots[w].served)
            drop_server(&s.slots[w]);
        else
            auk_box_abort(s.slots[w].box);
    free(s.list);
    return rc;
}
