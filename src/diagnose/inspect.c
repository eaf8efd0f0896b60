/* SPDX-License-Identifier: Apache-2.0 */
/* Timed answers: what is sent, and what is kept of each. */
#define _DEFAULT_SOURCE
#include "diagnose/diagnose.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/time.h"

#include <math.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST_TOKENS 1000000
#define OFF_NS 100000     /* a thread that is off its processor for less is not worth a line */
#define JUMP_NS 500000000 /* of the wall clock against ours */

auk_inspect_options auk_inspect_defaults(void)
{
    return (auk_inspect_options){
        .prompt_tok = 512, .gen_tok = 128, .repeat = 3, .prefix = true, .seed = 1};
}

/* One of the targets. */
typedef struct target {
    const char *name; /* "A", "B" */
    auk_client *c;
    const char *folder;
    auk_client_info info;
    auk_sizer sizer;
    bool loaded; /* the model was loaded since the last run */
    uint64_t nonce;
    char prompt_sha256[AUK_SHA256_HEX];
    size_t runs, failed;
    char why[200];
} target;

typedef struct inspect {
    const auk_inspect_options *o;
    target t[2];
    size_t n;
    size_t done, planned;
} inspect;

/* ---- watching one answer ------------------------------------------------------------------ */

/* What the operating system did to this process, and this thread's share of a processor, so far.
 * Switches say nothing about our engine, whose pool yields while it waits. */
typedef struct counters {
    long page_ins, switches;
    uint64_t ran_ns;
} counters;

static counters count_now(void)
{
    counters c = {0};
    struct rusage u;
    struct timespec t;

    if (getrusage(RUSAGE_SELF, &u) == 0) {
        c.page_ins = u.ru_majflt;
        c.switches = u.ru_nivcsw;
    }
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0)
        c.ran_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    return c;
}

typedef struct answer {
    const inspect *x;
    bool ours;   /* the tokens are made by this thread */
    uint64_t *t; /* owned; of each tick */
    size_t n, cap;
    counters last;
    json_t *events; /* owned */
} answer;

static void add_event(answer *a, size_t tick, const char *fmt, ...) AUK_PRINTF(3, 4);
static void add_event(answer *a, size_t tick, const char *fmt, ...)
{
    char what[120];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    json_array_append_new(a->events,
                          json_pack("{s:I, s:s}", "tick", (json_int_t)tick, "what", what));
}

static void note_causes(answer *a, const counters *now, uint64_t gap_ns)
{
    uint64_t ran = now->ran_ns - a->last.ran_ns, off = gap_ns > ran ? gap_ns - ran : 0;

    if (now->page_ins > a->last.page_ins)
        add_event(a, a->n, "%ld pages were read from the disk", now->page_ins - a->last.page_ins);
    if (!a->ours && now->switches > a->last.switches)
        add_event(a, a->n, "other programs took the processor %ld times",
                  now->switches - a->last.switches);
    if (a->ours && off > OFF_NS && 4 * off > gap_ns)
        add_event(a, a->n, "the thread was off the processor for %.2f of %.2f ms",
                  (double)off / 1e6, (double)gap_ns / 1e6);
}

/* Room is there from the start: only an answer longer than asked for makes it grow. */
static void on_event(void *ctx, const auk_chat_event *e)
{
    answer *a = ctx;

    if (e->kind == AUK_CHAT_WAS_THINKING)
        add_event(a, a->n, "the thinking was recognized as such");
    if (e->kind != AUK_CHAT_TICK || a->n == MOST_TOKENS)
        return;
    if (a->n == a->cap) {
        a->cap *= 2;
        a->t = auk_realloc(a->t, a->cap * sizeof *a->t);
    }
    counters now = count_now();
    if (a->n > 0)
        note_causes(a, &now, e->t_ns - a->t[a->n - 1]);
    a->last = now;
    a->t[a->n++] = e->t_ns;
}

static bool on_cancelled(void *ctx)
{
    const answer *a = ctx;
    const auk_watch *w = &a->x->o->watch;

    return w->cancelled != NULL && w->cancelled(w->ctx);
}

/* ---- what is sent ------------------------------------------------------------------------- */

static json_t *make_prompt(const target *t, uint64_t seed, uint64_t sentences, const char *end)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_buf_printf(&text, "Sheet %08x.\n", (unsigned)(t->nonce & 0xffffffffu));
    for (uint64_t i = 0; i < sentences; i++)
        auk_padding_sentence(&text, seed, i);
    auk_buf_printf(&text, "\n\n%s", end);
    json_t *v = json_pack("[{s:s, s:s%}]", "role", "user", "content", text.p, text.n);
    auk_buf_release(&text);
    return v;
}

static const char task[] = "Go on with this log: write twenty further entries in the same form.";
static const char other_task[] = "Sum up this log in two sentences.";

/* As many sentences as come nearest to the wanted size from below, at least one. */
static int fit(uint64_t *sentences, const inspect *x, const target *t, auk_err *err)
{
    uint64_t lo = 1, hi = (uint64_t)x->o->prompt_tok / 8 + 2;

    while (lo < hi) {
        uint64_t mid = lo + (hi - lo + 1) / 2;
        json_t *m = make_prompt(t, x->o->seed, mid, task);
        int64_t n;
        int rc = auk_sizer_count(&n, &t->sizer, m, NULL, err);
        json_decref(m);
        if (rc < 0)
            return rc;
        if (n <= x->o->prompt_tok)
            lo = mid;
        else
            hi = mid - 1;
    }
    *sentences = lo;
    return AUK_OK;
}

/* Of the text behind the line that makes each prompt a new one. */
static void digest(char hex[AUK_SHA256_HEX], const json_t *messages)
{
    auk_str text = auk_json_str(json_object_get(json_array_get(messages, 0), "content"));
    const char *line = memchr(text.p, '\n', text.n);

    text = line != NULL ? auk_str_from(text, (size_t)(line - text.p) + 1) : text;
    auk_sha256_of(hex, text.p, text.n);
}

/* ---- items -------------------------------------------------------------------------------- */

static json_t *known(int64_t v)
{
    return v >= 0 ? json_integer(v) : json_null();
}

static json_t *since(uint64_t at, uint64_t begun)
{
    return at > 0 ? json_integer((json_int_t)(at - begun)) : json_null();
}

static int put(const inspect *x, json_t *item, auk_err *err)
{
    const auk_watch *w = &x->o->watch;
    int rc = w->item != NULL ? w->item(w->ctx, item, err) : AUK_OK;

    json_decref(item);
    return rc;
}

static int warn(const inspect *x, auk_err *err, const char *fmt, ...) AUK_PRINTF(3, 4);
static int warn(const inspect *x, auk_err *err, const char *fmt, ...)
{
    char text[400];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (x->o->watch.note != NULL)
        x->o->watch.note(x->o->watch.ctx, text);
    return put(x, json_pack("{s:s, s:s}", "item", "warning", "text", text), err);
}

/* What this process holds now; 0 where the system does not say. */
static uint64_t resident(void)
{
    unsigned long long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL)
        return 0;
    int n = fscanf(f, "%llu %llu", &size, &pages);
    fclose(f);
    return n == 2 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static int put_target(const inspect *x, const target *t, auk_err *err)
{
    json_t *memory = NULL;
    int rc = AUK_OK;

    if (t->folder != NULL)
        rc = auk_inspect_memory(&memory, t->folder, (int)t->info.context_tok, x->o->available_bytes,
                                err);
    else
        memory = json_pack("{s:o, s:o, s:s}", "model_bytes", known(t->info.memory_bytes),
                           "context_tokens", known(t->info.context_tok), "why",
                           "the server does not tell its kinds of layers: no prediction");
    if (rc < 0)
        return rc;
    return put(x,
               json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o}", "item", "target", "target",
                         t->name, "dialect", t->info.dialect, "server", t->info.server, "model",
                         t->info.model != NULL ? t->info.model : "", "context_tokens",
                         known(t->info.context_tok), "resolution",
                         t->info.counts_tokens ? "token" : "chunk", "memory", memory),
               err);
}

/* A load of more than half a second is a cold start; our engine knows better. */
static json_t *is_cold(const target *t, const auk_reply *r)
{
    if (t->info.counts_tokens)
        return json_boolean(t->loaded);
    return r->load_ns >= 0 ? json_boolean(r->load_ns > 500000000) : json_null();
}

static json_t *run_item(const inspect *x, const target *t, const auk_reply *r, const answer *a,
                        bool warm_up, int64_t jump_ns)
{
    json_t *stamps = json_array();
    bool ours = t->info.counts_tokens;
    uint64_t rss = resident();

    (void)x;
    for (size_t i = 0; i < a->n; i++)
        json_array_append_new(stamps, json_integer((json_int_t)(a->t[i] - r->begun_ns)));
    json_t *v = json_pack("{s:s, s:s, s:I, s:b, s:o, s:s}", "item", "run", "target", t->name, "run",
                          (json_int_t)t->runs, "warm_up", warm_up, "cold", is_cold(t, r),
                          "prompt_sha256", t->prompt_sha256);
    json_object_set_new(v, "begun_ns", json_integer((json_int_t)r->begun_ns));
    json_object_set_new(v, "accepted_ns", since(r->accepted_ns, r->begun_ns));
    json_object_set_new(v, "ttft_ns", a->n > 0 ? since(a->t[0], r->begun_ns) : json_null());
    json_object_set_new(v, "first_reasoning_ns", since(r->first_thinking_ns, r->begun_ns));
    json_object_set_new(v, "first_visible_ns", since(r->first_text_ns, r->begun_ns));
    json_object_set_new(v, "end_ns", since(r->end_ns, r->begun_ns));
    json_object_set_new(v, "load_ns",
                        ours ? t->loaded ? json_integer((json_int_t)t->info.load_ns) : json_null()
                             : known(r->load_ns));
    json_object_set_new(v, "load_in_ttft", json_boolean(!ours));
    json_object_set_new(v, "prefill_ns", known(r->prefill_ns));
    json_object_set_new(v, "decode_ns", known(r->decode_ns));
    json_object_set_new(v, "total_ns", known(r->total_ns));
    json_object_set_new(v, "prompt_tokens", known(r->prompt_tok));
    json_object_set_new(v, "cached_tokens", known(r->cached_tok));
    json_object_set_new(v, "completion_tokens", known(r->completion_tok));
    json_object_set_new(v, "reasoning_tokens", known(r->reasoning_tok));
    json_object_set_new(v, "finish", json_string(auk_chat_finish_name(r->finish)));
    json_object_set_new(v, "failure",
                        r->failure.kind != AUK_FAILURE_NONE
                            ? json_string(auk_failure_name(r->failure.kind))
                            : json_null());
    json_object_set_new(v, "rss_bytes",
                        ours && rss > 0 ? json_integer((json_int_t)rss) : json_null());
    json_object_set_new(v, "wall_jump_ns", jump_ns != 0 ? json_integer(jump_ns) : json_null());
    json_object_set_new(v, "events", json_incref(a->events));
    json_object_set_new(v, "stamps_ns", stamps);
    return v;
}

/* ---- one run ------------------------------------------------------------------------------ */

static int64_t wall_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* How far the wall clock moved away from ours: a machine that slept, or a clock that was set. */
static int64_t jump(int64_t wall, uint64_t ours)
{
    int64_t d = (wall_ns() - wall) - (int64_t)(auk_now_ns() - ours);
    return d > JUMP_NS || d < -JUMP_NS ? d : 0;
}

static int ask(auk_reply *r, answer *a, const inspect *x, const target *t, const json_t *messages,
               int max_tokens, auk_err *err)
{
    auk_chat chat = auk_chat_defaults();

    *a = (answer){.x = x,
                  .ours = t->info.counts_tokens,
                  .cap = (size_t)max_tokens + 64,
                  .events = json_array()};
    a->t = auk_alloc(a->cap * sizeof *a->t);
    a->last = count_now();
    chat.messages = messages;
    chat.max_tokens = max_tokens;
    chat.temperature = 0;
    chat.seed = (int64_t)(x->o->seed & INT32_MAX);
    chat.loop_guard = false; /* a loop has the same pace */
    chat.event = on_event;
    chat.cancelled = on_cancelled;
    chat.ctx = a;
    return auk_client_chat(r, t->c, &chat, err);
}

static void answer_release(answer *a)
{
    free(a->t);
    json_decref(a->events);
}

static int make_cold(const inspect *x, target *t, auk_err *err)
{
    auk_err e;

    if (!x->o->cold)
        return AUK_OK;
    int rc = auk_client_unload(t->c, &e);
    if (rc == AUK_ENOTSUP) {
        return t->runs > 1
                   ? AUK_OK
                   : warn(x, err, "this server cannot be asked to load its model anew: %s", e.msg);
    }
    if (rc < 0) {
        *err = e;
        return rc;
    }
    t->loaded = true;
    return auk_client_describe(&t->info, t->c, err);
}

/* A failed run is an item and a warning; only a stop or a full disk ends the diagnosis. */
static int run_once(inspect *x, target *t, bool warm_up, uint64_t sentences, auk_err *err)
{
    auk_err e;
    auk_reply r;
    answer a;

    t->runs += !warm_up;
    int rc = make_cold(x, t, err);
    if (rc < 0)
        return rc;
    t->nonce = t->nonce * 6364136223846793005u + 1442695040888963407u;
    json_t *messages = make_prompt(t, x->o->seed, sentences, task);
    digest(t->prompt_sha256, messages);
    auk_client_forget(t->c);
    int64_t wall = wall_ns();
    uint64_t ours = auk_now_ns();
    int said = ask(&r, &a, x, t, messages, x->o->gen_tok, &e);
    int64_t moved = jump(wall, ours);
    if (said < 0 && r.failure.kind == AUK_FAILURE_NONE)
        r.failure.kind = AUK_FAILURE_LOCAL;
    rc = put(x, run_item(x, t, &r, &a, warm_up, moved), err);
    if (rc == AUK_OK && said < 0) {
        t->failed++;
        snprintf(t->why, sizeof t->why, "%.190s", e.msg);
        rc = warn(x, err, "a run failed (%s): %s", auk_failure_name(r.failure.kind), e.msg);
    }
    if (rc == AUK_OK && moved != 0)
        rc = warn(x, err,
                  "the wall clock moved by %.1f s against the one that only goes forward: the "
                  "machine slept, or its clock was set; no duration here uses it",
                  (double)moved / 1e9);
    if (rc == AUK_OK && r.prompt_tok > 0)
        auk_sizer_learn(&t->sizer, messages, NULL, r.prompt_tok);
    t->loaded = false;
    if (r.failure.kind == AUK_FAILURE_CANCELLED)
        rc = auk_fail(err, AUK_ECANCEL, "stopped");
    json_decref(messages);
    answer_release(&a);
    auk_reply_release(&r);
    return rc;
}

/* The last prompt with another end: what of it is kept, and how soon does the answer begin? */
static int run_prefix(inspect *x, target *t, uint64_t sentences, auk_err *err)
{
    json_t *messages = make_prompt(t, x->o->seed, sentences, other_task);
    auk_err e;
    auk_reply r;
    answer a;

    int said = ask(&r, &a, x, t, messages, 2, &e), rc = AUK_OK;
    if (r.failure.kind == AUK_FAILURE_CANCELLED)
        rc = auk_fail(err, AUK_ECANCEL, "stopped");
    else if (said == AUK_OK)
        rc = put(x,
                 json_pack("{s:s, s:s, s:o, s:o, s:o}", "item", "prefix", "target", t->name,
                           "cached_tokens", known(r.cached_tok), "computed_tokens",
                           r.cached_tok >= 0 && r.prompt_tok >= r.cached_tok
                               ? json_integer(r.prompt_tok - r.cached_tok)
                               : json_null(),
                           "ttft_ns", a.n > 0 ? since(a.t[0], r.begun_ns) : json_null()),
                 err);
    json_decref(messages);
    answer_release(&a);
    auk_reply_release(&r);
    return rc;
}

/* ---- all of them -------------------------------------------------------------------------- */

static int open_target(inspect *x, const char *name, auk_client *c, const char *folder,
                       auk_err *err)
{
    target *t = &x->t[x->n++];

    *t = (target){.name = name, .c = c, .folder = folder, .loaded = true, .nonce = auk_now_ns()};
    int rc = auk_client_describe(&t->info, c, err);
    if (rc == AUK_OK)
        rc = auk_sizer_open(&t->sizer, folder, err);
    if (rc == AUK_OK && t->info.context_tok >= 0 &&
        x->o->prompt_tok + x->o->gen_tok > t->info.context_tok)
        rc = auk_fail(err, AUK_ELIMIT,
                      "a prompt of %d tokens and an answer of %d do not fit a window of %lld",
                      x->o->prompt_tok, x->o->gen_tok, (long long)t->info.context_tok);
    if (rc == AUK_OK)
        rc = put_target(x, t, err);
    return rc;
}

static int step(inspect *x, target *t, bool warm_up, auk_err *err)
{
    const auk_watch *w = &x->o->watch;
    uint64_t sentences;

    if (w->progress != NULL && w->progress(w->ctx, "inspect", "runs", x->done, x->planned))
        return auk_fail(err, AUK_ECANCEL, "stopped");
    int rc = fit(&sentences, x, t, err);
    if (rc == AUK_OK)
        rc = run_once(x, t, warm_up, sentences, err);
    if (rc == AUK_OK && ++x->done == x->planned && x->o->prefix && t->failed == 0)
        rc = run_prefix(x, t, sentences, err);
    return rc;
}

/* A server's tokens are learned from one short answer, which is no run. */
static int learn_size(inspect *x, target *t, auk_err *err)
{
    auk_err e;
    auk_reply r;
    answer a;

    if (t->sizer.tokenizer != NULL)
        return AUK_OK;
    json_t *messages = make_prompt(t, x->o->seed + 1, 8, task);
    int said = ask(&r, &a, x, t, messages, 1, &e), rc = AUK_OK;
    if (r.failure.kind == AUK_FAILURE_CANCELLED)
        rc = auk_fail(err, AUK_ECANCEL, "stopped");
    else if (said < 0)
        rc = auk_fail(err, e.code, "%s", e.msg);
    else
        auk_sizer_learn(&t->sizer, messages, NULL, r.prompt_tok);
    json_decref(messages);
    answer_release(&a);
    auk_reply_release(&r);
    return rc;
}

static int run_all(inspect *x, auk_err *err)
{
    int repeat = x->o->repeat, rc = AUK_OK;

    x->planned = (size_t)repeat;
    /* asking a server for its size would warm it up */
    for (size_t i = 0; i < x->n && rc == AUK_OK && !x->o->cold; i++)
        rc = learn_size(x, &x->t[i], err);
    if (x->n == 2) {
        x->planned = 2 * (size_t)repeat + 2;
        for (size_t i = 0; i < 2 && rc == AUK_OK; i++)
            rc = step(x, &x->t[i], true, err);
        for (int i = 0; i < repeat && rc == AUK_OK; i++) { /* A B, B A, A B ... */
            rc = step(x, &x->t[i % 2], false, err);
            if (rc == AUK_OK)
                rc = step(x, &x->t[1 - i % 2], false, err);
        }
        return rc;
    }
    for (int i = 0; i < repeat && rc == AUK_OK; i++)
        rc = step(x, &x->t[0], false, err);
    return rc;
}

int auk_inspect(auk_client *c, const auk_inspect_options *opts, auk_err *err)
{
    inspect x = {.o = opts};

    if (opts->prompt_tok < 1 || opts->gen_tok < 1 || opts->repeat < 1 ||
        opts->prompt_tok > MOST_TOKENS * 10 || opts->gen_tok > MOST_TOKENS || opts->repeat > 10000)
        return auk_fail(err, AUK_EINVAL, "a run needs a prompt, an answer and a repetition");
    int rc = open_target(&x, "A", c, opts->folder, err);
    if (rc == AUK_OK && opts->against != NULL)
        rc = open_target(&x, "B", opts->against, opts->against_folder, err);
    if (rc == AUK_OK)
        rc = run_all(&x, err);
    for (size_t i = 0; i < x.n; i++) {
        const target *t = &x.t[i];
        if (rc == AUK_OK && t->failed > 0 && t->failed >= t->runs)
            rc = auk_fail(err, AUK_EIO, "no run came to its end: %s", t->why);
        auk_sizer_close(&x.t[i].sizer);
    }
    return rc;
}
