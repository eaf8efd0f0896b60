/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a job, as a stream that is pulled or as one document. */
#define _POSIX_C_SOURCE 200809L
#include "serve/server_state.h"

#include "base/mem.h"
#include "base/time.h"

#define ALIVE_NS 5000000000u   /* the longest silence on the wire */
#define SILENT_NS 30000000000u /* a document's answer is committed after it */

typedef struct streamer {
    auk_body body; /* first: what net/ holds */
    auk_serving *serving;
    auk_job *job; /* shared */
    auk_printer printer;
    auk_buf out; /* owned; printed, not sent */
    size_t sent;
    uint64_t last_ns;
    bool ended;
} streamer;

static void access_line(const auk_serving *s, const auk_job *job, const auk_usage *u,
                        const char *how)
{
    char now[64];

    if (s->opts.quiet)
        return;
    auk_now_text(now);
    fprintf(stderr,
            "auklet: %.19sZ %s %s prompt=%lld cached=%lld answer=%lld queue=%.0fms first=%.0fms "
            "total=%.0fms %s\n",
            now, job->id, job->ask.dialect->name, (long long)u->prompt, (long long)u->cached,
            (long long)u->completion, (double)u->queue_ns / 1e6,
            (double)(u->queue_ns + u->prefill_ns) / 1e6, (double)u->total_ns / 1e6, how);
}

static void printer_begin(auk_printer *p, const auk_job *job)
{
    auk_printer_init(p, &job->ask);
    snprintf(p->id, sizeof p->id, "%s", job->id);
    p->created = (int64_t)time(NULL);
    auk_now_text(p->created_at);
}

/* Prints what has come; waits for the first.  False: nothing came. */
static bool take(streamer *st, int wait_ms)
{
    auk_say say;
    bool any = false;

    while (!st->ended && st->out.n < 16384 && auk_job_next(&say, st->job, any ? 0 : wait_ms)) {
        any = true;
        st->printer.ask->dialect->print(&st->printer, &st->out, &say);
        st->ended = say.kind == AUK_SAY_FINISH || say.kind == AUK_SAY_ERROR;
        if (st->ended)
            access_line(st->serving, st->job, &say.usage,
                        say.kind == AUK_SAY_ERROR ? "failed" : "ok");
    }
    return any;
}

static ptrdiff_t proceed(auk_body *b, char *dst, size_t cap, int wait_ms)
{
    streamer *st = (streamer *)b;
    uint64_t now;

    if (st->sent == st->out.n) {
        auk_buf_clear(&st->out);
        st->sent = 0;
        if (!take(st, wait_ms) && st->ended)
            return AUK_BODY_END;
        now = auk_now_ns();
        if (st->out.n == 0 && now - st->last_ns > ALIVE_NS)
            st->printer.ask->dialect->keep_alive(&st->printer, &st->out);
        if (st->out.n == 0)
            return 0;
        st->last_ns = now;
    }
    size_t n = st->out.n - st->sent < cap ? st->out.n - st->sent : cap;
    memcpy(dst, st->out.p + st->sent, n);
    st->sent += n;
    return (ptrdiff_t)n;
}

static void stop(auk_body *b)
{
    streamer *st = (streamer *)b;

    if (!st->ended) {
        atomic_store(&st->job->cancelled, true);
        auk_runner_wake(st->serving->runner);
        access_line(st->serving, st->job, &st->printer.usage, "cancelled: the client left");
    }
    auk_printer_release(&st->printer);
    auk_buf_release(&st->out);
    auk_job_release(st->job);
    free(st);
}

static streamer *new_streamer(auk_serving *s, auk_job *job)
{
    streamer *st = auk_alloc(sizeof *st);

    st->body = (auk_body){proceed, stop};
    st->serving = s;
    st->job = job;
    st->out = AUK_BUF_INIT((size_t)1 << 30);
    st->last_ns = auk_now_ns();
    printer_begin(&st->printer, job);
    return st;
}

static void stream_headers(auk_response *a)
{
    auk_response_header(a, "Cache-Control", "no-cache, no-transform");
    auk_response_header(a, "X-Accel-Buffering", "no");
}

/* Waits for the whole; after half a minute of silence it is begun with white space instead. */
static void whole(auk_serving *s, const auk_http_call *c, auk_response *a, auk_job *job)
{
    streamer *st = new_streamer(s, job);
    uint64_t until = auk_now_ns() + SILENT_NS;

    a->type = job->ask.dialect == &auk_dialect_ollama_chat ||
                      job->ask.dialect == &auk_dialect_ollama_generate
                  ? "application/json; charset=utf-8"
                  : "application/json";
    while (!st->ended && auk_now_ns() < until) {
        auk_say say;
        if (auk_job_next(&say, job, 20)) {
            job->ask.dialect->print(&st->printer, &st->out, &say);
            st->ended = say.kind == AUK_SAY_FINISH || say.kind == AUK_SAY_ERROR;
            if (say.kind == AUK_SAY_ERROR) {
                a->status = say.code == AUK_ELIMIT || say.code == AUK_ECANCEL ? 503
                            : say.code == AUK_ENOTFOUND                       ? 500
                                                        : auk_http_status(say.code);
                if (a->status == 503)
                    auk_response_header(a, "Retry-After", "1");
            }
            if (st->ended)
                access_line(s, job, &say.usage, say.kind == AUK_SAY_ERROR ? "failed" : "ok");
        } else if (auk_call_gone(c)) {
            break;
        }
    }
    if (!st->ended && !auk_call_gone(c)) {
        stream_headers(a);
        auk_buf_putc(&st->out, ' ');
        a->stream = &st->body;
        return;
    }
    if (st->printer.ended && st->ended) {
        auk_response_header(a, "X-Cache-Tokens", "%lld", (long long)st->printer.usage.cached);
        auk_response_header(a, "X-Queue-Ms", "%lld",
                            (long long)st->printer.usage.queue_ns / 1000000);
    }
    auk_buf_add(&a->body, auk_buf_str(&st->out).p, st->out.n);
    stop(&st->body);
}

/* Nothing was asked for: the model is there. */
static void loaded(auk_serving *s, auk_response *a, auk_job *job)
{
    auk_printer p;

    (void)s;
    printer_begin(&p, job);
    a->type = "application/json; charset=utf-8";
    auk_say say = {.kind = AUK_SAY_FINISH, .end = job->ask.unload ? AUK_END_UNLOAD : AUK_END_LOAD};
    job->ask.dialect->print(&p, &a->body, &say);
    auk_printer_release(&p);
    auk_job_release(job);
}

void auk_response_job(auk_serving *s, const auk_http_call *c, auk_response *a, auk_job *job)
{
    const auk_dialect *d = job->ask.dialect;
    auk_err err;

    pthread_mutex_lock(&s->lock);
    s->last_use = (int64_t)time(NULL);
    s->keep_alive_s = job->ask.has_keep_alive ? job->ask.keep_alive_s : 300;
    pthread_mutex_unlock(&s->lock);
    a->status = 200;
    auk_response_header(a, "X-Request-Id", "%s", job->id);
    if (job->ask.num_ctx > s->ctx)
        auk_response_header(a, "X-Context-Clamped", "%d", s->ctx);
    if (job->ask.load_only) {
        loaded(s, a, job);
        return;
    }
    if (auk_runner_submit(s->runner, job, &err) < 0) {
        a->status = 503;
        a->type = "application/json";
        auk_response_header(a, "Retry-After", "1");
        d->print_error(&a->body, 503, &err, NULL);
        auk_job_release(job);
        return;
    }
    if (!job->ask.stream) {
        whole(s, c, a, job);
        return;
    }
    a->type = d->stream_type;
    stream_headers(a);
    a->stream = &new_streamer(s, job)->body;
}
