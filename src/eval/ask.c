/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from a model, whatever it is: our engine or a server, through a client.  One thread per
 * request that may be under way at once asks; the caller's thread alone runs programs and writes
 * results. */
#define _POSIX_C_SOURCE 200809L
#include "eval/ask.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#define MAX_PARALLEL 64
#define HOPELESS 20 /* items in a row that a server failed: it is not there any more */

/* ---- one answer --------------------------------------------------------------------------- */

/* A sample of a task, on its way from a place in the list to a result line. */
typedef struct request {
    size_t task;
    int sample;
    auk_reply reply; /* owned once answered */
    auk_transcript transcript;
    int rc;
    auk_err err;
    bool answered;
} request;

typedef struct asker {
    eval *e;
    auk_engine *engine; /* owned; NULL: a server */
    auk_client *clients[MAX_PARALLEL];
    size_t n_clients;
    request *list; /* owned */
    size_t n;
    char what[96];
    int failed_in_a_row;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the two below, and each request's `answered` */
    pthread_cond_t changed;
    size_t next;   /* the first that nobody asks yet */
    auk_buf notes; /* owned; lines for the caller's thread */
} asker;

/* What a chat's callbacks know. */
typedef struct talk {
    asker *a;
    request *r;
    bool inline_progress; /* on the caller's thread: tell how far it is */
} talk;

static bool report(asker *a)
{
    const eval *e = a->e;
    const auk_eval_options *o = e->opts;

    return o->progress != NULL && o->progress(o->progress_ctx, a->what, "tasks", e->done, e->total);
}

static bool cancelled(void *ctx)
{
    talk *t = ctx;

    if (t->inline_progress && report(t->a))
        atomic_store(&t->a->stop, true);
    return atomic_load(&t->a->stop) || t->r->transcript.looped;
}

static void on_event(void *ctx, const auk_chat_event *event)
{
    talk *t = ctx;

    auk_transcript_take(&t->r->transcript, event, t->a->e->opts->loop_stop);
}

static void on_retry(void *ctx, const auk_reply *failed, const char *why, uint64_t wait_ms)
{
    talk *t = ctx;
    asker *a = t->a;

    pthread_mutex_lock(&a->lock);
    auk_buf_printf(&a->notes, "%s: %s (%.300s): asked again in %.1f s\n",
                   a->e->data.tasks[t->r->task].id, auk_failure_name(failed->failure.kind), why,
                   (double)wait_ms / 1e3);
    pthread_mutex_unlock(&a->lock);
}

/* A seed of its own for each sample, the same however often and in whatever order it is asked. */
static int64_t seed_of(const auk_eval_options *o, const request *r)
{
    auk_rng rng = auk_rng_make(o->seed + 1000003u * r->task + (uint64_t)r->sample);
    return (int64_t)(auk_rng_next(&rng) & INT32_MAX);
}

static void ask(asker *a, request *r, auk_client *client, bool inline_progress)
{
    const auk_eval_options *o = a->e->opts;
    talk t = {.a = a, .r = r, .inline_progress = inline_progress};
    auk_retry retry = auk_retry_defaults();
    auk_chat chat = auk_chat_defaults();
    json_t *messages = NULL;

    auk_transcript_init(&r->transcript, a->engine != NULL);
    retry.after_output = true; /* half an answer is none */
    retry.tries = o->tries;
    retry.note = on_retry;
    retry.ctx = &t;
    chat.max_tokens = o->max_tokens;
    chat.temperature = o->temperature;
    chat.top_p = o->temperature > 0 ? o->top_p : -1;
    chat.seed = o->temperature > 0 ? seed_of(o, r) : -1;
    chat.event = on_event;
    chat.cancelled = cancelled;
    chat.ctx = &t;
    if (a->engine != NULL) /* servers decide by themselves, and some refuse to be told */
        chat.thinking = AUK_THINK_ON;
    r->rc = auk_question_messages(&messages, &a->e->data, r->task, &r->err);
    chat.messages = messages;
    if (r->rc == AUK_OK)
        r->rc = auk_client_chat_retry(&r->reply, client, &chat, &retry, &r->err);
    if (r->rc == AUK_ECANCEL && r->transcript.looped) {
        r->rc = AUK_OK;
        r->reply.finish = AUK_CHAT_LOOP;
    }
    if (r->rc == AUK_OK && r->reply.finish == AUK_CHAT_CANCELLED)
        r->rc = auk_fail(&r->err, AUK_EIO, "the server gave up this answer");
    auk_transcript_end(&r->transcript,
                       r->reply.finish == AUK_CHAT_STOP || r->reply.finish == AUK_CHAT_TOOLS);
    json_decref(messages);
}

static void release(request *r)
{
    if (r->answered) {
        auk_reply_release(&r->reply);
        auk_transcript_release(&r->transcript);
    }
    r->answered = false;
}

/* ---- from an answer to its line ----------------------------------------------------------- */

static void tell_notes(asker *a)
{
    const auk_eval_options *o = a->e->opts;
    auk_buf lines = AUK_BUF_INIT(1 << 20);

    pthread_mutex_lock(&a->lock);
    auk_buf_add(&lines, a->notes.p, a->notes.n);
    auk_buf_clear(&a->notes);
    pthread_mutex_unlock(&a->lock);
    for (char *line = lines.p, *end; line != NULL && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        *end = 0;
        if (o->note != NULL)
            o->note(o->progress_ctx, line);
    }
    auk_buf_release(&lines);
}

static int interrupted(auk_err *err)
{
    return auk_fail(err, AUK_ECANCEL, "interrupted; the same command with --resume goes on");
}

/* What would fail every other item in the same way ends the run; *err says so. */
static bool is_hopeless(asker *a, const request *r, auk_err *err)
{
    auk_failure_kind kind = r->reply.failure.kind;

    if (r->rc == AUK_OK) {
        a->failed_in_a_row = 0;
        return false;
    }
    a->failed_in_a_row++;
    if (kind != AUK_FAILURE_AUTH && kind != AUK_FAILURE_NOT_FOUND && kind != AUK_FAILURE_LOCAL &&
        a->failed_in_a_row < HOPELESS)
        return false;
    auk_fail(err, r->rc, "%.400s; the same command with --resume goes on", r->err.msg);
    return true;
}

static int score_request(asker *a, request *r, auk_err *err)
{
    auk_transcript *t = &r->transcript;
    const char *section = auk_transcript_section(t);
    char failure[200] = "", seed[32] = "";

    if (r->rc == AUK_ECANCEL)
        return interrupted(err);
    bool hopeless = is_hopeless(a, r, err);
    if (r->rc < 0)
        snprintf(failure, sizeof failure, "%s: %.160s", auk_failure_name(r->reply.failure.kind),
                 r->err.msg);
    if (a->e->opts->temperature > 0)
        snprintf(seed, sizeof seed, "%lld", (long long)seed_of(a->e->opts, r));
    item it = {.task = &a->e->data.tasks[r->task],
               .sample = r->sample,
               .text = r->rc < 0 ? (auk_str){"", 0} : auk_buf_str(&t->text),
               .section_by = section,
               .finish = auk_str_of(auk_chat_finish_name(r->reply.finish)),
               .tokens = r->reply.completion_tok,
               .failure = failure[0] != 0 ? failure : NULL,
               .seed = seed[0] != 0 ? seed : NULL};
    if (section != NULL)
        it.section = (auk_str){t->text.p + t->section_from, t->section_n};
    if (r->rc < 0)
        it.finish = (auk_str){"", 0};
    auk_err kept = hopeless ? *err : (auk_err){0};
    int rc = auk_eval_score(a->e, &it, 1, err);
    if (rc == AUK_OK && hopeless) {
        *err = kept;
        rc = err->code;
    }
    auk_eval_rate(a->what, sizeof a->what, a->e);
    return rc;
}

/* ---- one after the other, or several at once ---------------------------------------------- */

static int ask_in_turn(asker *a, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < a->n && rc == AUK_OK; i++) {
        request *r = &a->list[i];
        ask(a, r, a->clients[0], true);
        r->answered = true;
        tell_notes(a);
        rc = score_request(a, r, err);
        release(r);
    }
    return rc;
}

typedef struct worker {
    asker *a;
    auk_client *client;
    pthread_t thread;
} worker;

static void *run_worker(void *ctx)
{
    worker *w = ctx;
    asker *a = w->a;

    pthread_mutex_lock(&a->lock);
    while (a->next < a->n && !atomic_load(&a->stop)) {
        request *r = &a->list[a->next++];
        pthread_mutex_unlock(&a->lock);
        ask(a, r, w->client, false);
        pthread_mutex_lock(&a->lock);
        r->answered = true;
        pthread_cond_signal(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* The next request that has an answer and no line yet, or NULL after a tenth of a second. */
static request *wait_for_one(asker *a, const bool *scored)
{
    request *found = NULL;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&a->lock);
    for (int attempt = 0; attempt < 2 && found == NULL; attempt++) {
        for (size_t i = 0; i < a->next && found == NULL; i++)
            if (a->list[i].answered && !scored[i])
                found = &a->list[i];
        if (found == NULL && attempt == 0)
            pthread_cond_timedwait(&a->changed, &a->lock, &until);
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

static int collect(asker *a, auk_err *err)
{
    bool *scored = auk_alloc(a->n + 1);
    int rc = AUK_OK;

    for (size_t done = 0; done < a->n && rc == AUK_OK;) {
        request *r = wait_for_one(a, scored);
        tell_notes(a);
        if (report(a))
            rc = interrupted(err);
        if (r == NULL || rc < 0)
            continue;
        rc = score_request(a, r, err);
        scored[r - a->list] = true;
        done++;
    }
    free(scored);
    return rc;
}

static int ask_at_once(asker *a, auk_err *err)
{
    worker workers[MAX_PARALLEL];
    size_t n = 0;

    for (; n < a->n_clients; n++) {
        workers[n] = (worker){.a = a, .client = a->clients[n]};
        if (pthread_create(&workers[n].thread, NULL, run_worker, &workers[n]) != 0)
            break;
    }
    int rc = n > 0 ? collect(a, err) : auk_fail(err, AUK_EIO, "no thread can be started");
    atomic_store(&a->stop, true);
    for (size_t i = 0; i < n; i++)
        pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < a->n; i++)
        release(&a->list[i]);
    return rc;
}

/* ---- who is asked ------------------------------------------------------------------------- */

/* Positions that hold any question and its answer; a token is a byte at least. */
static int context_needed(const eval *e, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    size_t longest = 0;

    for (size_t i = 0; i < e->n_tasks; i++) {
        auk_buf_clear(&text);
        auk_question_add(&text, &e->data, i);
        longest = text.n > longest ? text.n : longest;
    }
    int rc = auk_buf_check(&text, "a prompt", err);
    auk_buf_release(&text);
    uint64_t all =
        (uint64_t)longest + 1024 /* the template's own */ + (uint64_t)e->opts->max_tokens;
    return rc < 0 ? rc : all > INT32_MAX ? INT32_MAX : (int)all;
}

/* For the record; who cannot tell is asked all the same. */
static void name_server(asker *a)
{
    auk_client_info info;
    auk_err unread;

    if (auk_client_describe(&info, a->clients[0], &unread) == AUK_OK)
        snprintf(a->e->out->server, sizeof a->e->out->server, "%.100s %.180s",
                 info.server[0] != 0 ? info.server : info.dialect, info.model);
}

static int open_model(asker *a, size_t parallel, auk_err *err)
{
    const auk_eval_options *o = a->e->opts;
    auk_client_options c = auk_client_defaults();

    c.precision = AUK_PRECISION_BF16;
    c.ctx = context_needed(a->e, err);
    if (c.ctx < 0)
        return c.ctx;
    if (o->stall_ms > 0)
        c.limits.idle_ms = c.limits.first_ms = (uint64_t)o->stall_ms;
    int rc = AUK_OK;
    if (auk_file_is_dir(o->model)) {
        auk_engine_options opts = {
            .precision = AUK_PRECISION_BF16, .threads = o->threads, .cpu_flags = o->cpu_flags};
        rc = auk_engine_open(&a->engine, o->model, &opts, err);
        if (rc == AUK_OK && c.ctx > auk_engine_max_context(a->engine))
            c.ctx = auk_engine_max_context(a->engine);
        if (rc == AUK_OK)
            rc = auk_client_open_engine(&a->clients[0], a->engine, &c, err);
    } else {
        rc = auk_client_open(&a->clients[0], o->model, &c, err);
    }
    a->n_clients = rc == AUK_OK;
    if (rc == AUK_OK && a->engine == NULL)
        name_server(a);
    while (rc == AUK_OK && a->n_clients < parallel) {
        rc = auk_client_clone(&a->clients[a->n_clients], a->clients[0], err);
        a->n_clients += rc == AUK_OK;
    }
    return rc;
}

static void list_requests(asker *a)
{
    eval *e = a->e;

    a->list = auk_alloc((e->n_tasks * (size_t)e->opts->samples + 1) * sizeof *a->list);
    for (size_t i = 0; i < e->n_tasks; i++)
        for (int s = 0; s < e->opts->samples; s++)
            if (auk_results_find(&e->results, e->data.tasks[i].id, s) == NULL)
                a->list[a->n++] = (request){.task = i, .sample = s};
    e->out->kept = e->n_tasks * (size_t)e->opts->samples - a->n;
    e->total = a->n;
}

int auk_eval_model(eval *e, auk_err *err)
{
    asker a = {.e = e};
    size_t parallel = e->opts->parallel > 1 ? (size_t)e->opts->parallel : 1;

    a.notes = AUK_BUF_INIT(1 << 20);
    pthread_mutex_init(&a.lock, NULL);
    pthread_cond_init(&a.changed, NULL);
    list_requests(&a);
    auk_eval_rate(a.what, sizeof a.what, e);
    if (parallel > MAX_PARALLEL)
        parallel = MAX_PARALLEL;
    if (parallel > a.n)
        parallel = a.n;
    int rc = a.n > 0 ? open_model(&a, parallel, err) : AUK_OK;
    if (rc == AUK_OK)
        rc = parallel > 1 ? ask_at_once(&a, err) : ask_in_turn(&a, err);
    tell_notes(&a);
    while (a.n_clients > 0)
        auk_client_close(a.clients[--a.n_clients]);
    auk_engine_close(a.engine);
    pthread_cond_destroy(&a.changed);
    pthread_mutex_destroy(&a.lock);
    auk_buf_release(&a.notes);
    free(a.list);
    return rc;
}
