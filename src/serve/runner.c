/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "serve/lane.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"

/* A prompt's piece beside running answers: small enough that they go on smoothly, large enough to
 * use each dequantized weight several times. */
#define PIECE_BESIDE 48
#define MAX_SESSIONS 256

const double auk_bucket_s[AUK_BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                          0.1,   0.25,   0.5,   1,    5,     30};

typedef struct session {
    uint64_t key, served;
} session;

struct auk_runner {
    auk_engine *engine; /* borrowed */
    auk_runner_options opts;
    auk_batch *batch;   /* owned; the thread's, as the next three */
    auk_prefix *prefix; /* owned */
    auk_lane *lanes;    /* owned */
    session sessions[MAX_SESSIONS];
    auk_turns *turns;   /* owned */
    auk_script *script; /* owned; or NULL */
    char *dir;          /* owned; or NULL */
    pthread_t thread;
    bool running;

    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t wake;
    auk_job *first; /* the queue, oldest first */
    int queued;
    bool closing, stop;
    uint64_t tasks, clock;
    auk_runner_stats stats;
};

static void observe(auk_histogram *h, uint64_t ns)
{
    double s = (double)ns / 1e9;
    int i = 0;

    while (i < AUK_BUCKETS && s > auk_bucket_s[i])
        i++;
    h->count[i]++;
    h->sum += s;
}

/* ---- the queue ---- */

static void say_error(auk_job *job, int code, const char *text)
{
    auk_job_put(job, &(auk_say){.kind = AUK_SAY_ERROR, .text = auk_str_of(text), .code = code});
}

int auk_runner_submit(auk_runner *r, auk_job *job, auk_err *err)
{
    int rc = AUK_OK, position;

    pthread_mutex_lock(&r->lock);
    bool free_lane = r->stats.processing < r->opts.lanes;
    if (r->closing)
        rc = auk_fail(err, AUK_ELIMIT, "server is shutting down");
    else if (r->queued >= r->opts.queue + (free_lane ? r->opts.lanes : 0))
        rc = auk_fail(err, AUK_ELIMIT,
                      "server busy, please try again.  maximum pending requests exceeded");
    if (rc < 0) {
        r->stats.refused++;
        pthread_mutex_unlock(&r->lock);
        return rc;
    }
    auk_job_share(job);
    auk_job **link = &r->first;
    while (*link != NULL)
        link = &(*link)->next;
    *link = job;
    job->next = NULL;
    position = r->queued++;
    auk_job_put(job, &(auk_say){.kind = AUK_SAY_ACCEPTED});
    if (!free_lane)
        auk_job_put(job, &(auk_say){.kind = AUK_SAY_QUEUED, .position = position + 1});
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    return AUK_OK;
}

static session *session_of(auk_runner *r, uint64_t key)
{
    session *oldest = &r->sessions[0];

    for (int i = 0; i < MAX_SESSIONS; i++) {
        if (r->sessions[i].key == key)
            return &r->sessions[i];
        if (r->sessions[i].served < oldest->served)
            oldest = &r->sessions[i];
    }
    *oldest = (session){.key = key};
    return oldest;
}

static void unlink_job(auk_runner *r, auk_job *job)
{
    auk_job **link = &r->first;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    r->queued--;
}

/* Drops what was cancelled while it waited, and takes the job whose session waited longest. */
static auk_job *take_job(auk_runner *r)
{
    auk_job *best = NULL;
    uint64_t best_served = 0;

    for (auk_job *job = r->first, *next; job != NULL; job = next) {
        next = job->next;
        if (atomic_load(&job->cancelled)) {
            unlink_job(r, job);
            r->stats.cancelled++;
            auk_job_release(job);
            continue;
        }
        uint64_t served = session_of(r, job->session)->served;
        if (best == NULL || served < best_served) {
            best = job;
            best_served = served;
        }
    }
    if (best != NULL) {
        unlink_job(r, best);
        session_of(r, best->session)->served = ++r->clock;
    }
    return best;
}

/* ---- lanes ---- */

static void note_recent(auk_runner *r, const auk_lane *l, int end)
{
    auk_recent *at = &r->stats.recent[0];
    int n = r->stats.n_recent < AUK_RECENT ? r->stats.n_recent++ : AUK_RECENT - 1;

    memmove(at + 1, at, (size_t)n * sizeof *at);
    *at = (auk_recent){.usage = l->usage, .first_ns = l->first_ns, .end = end};
    snprintf(at->id, sizeof at->id, "%s", l->job->id);
    snprintf(at->dialect, sizeof at->dialect, "%s", l->job->ask.dialect->name);
    snprintf(at->miss, sizeof at->miss, "%s", l->miss);
}

/* end: an auk_end, or -1. */
static void leave(auk_runner *r, auk_lane *l, int end)
{
    pthread_mutex_lock(&r->lock);
    r->stats.requests++;
    r->stats.prompt_tokens += (uint64_t)l->usage.prompt;
    r->stats.cached_tokens += (uint64_t)l->usage.cached;
    r->stats.generated += l->decode != NULL ? auk_decode_tokens(l->decode) : 0;
    r->stats.prefill_s += (double)l->usage.prefill_ns / 1e9;
    r->stats.decode_s += (double)l->usage.decode_ns / 1e9;
    r->stats.cancelled += atomic_load(&l->job->cancelled);
    r->stats.loops += end == AUK_END_LOOP;
    if (auk_batch_length(r->batch, l->number) > r->stats.max_tokens_seen)
        r->stats.max_tokens_seen = auk_batch_length(r->batch, l->number);
    note_recent(r, l, end);
    r->stats.processing--;
    auk_job *job = l->job;
    l->job = NULL;
    pthread_mutex_unlock(&r->lock);
    auk_lane_clear(l);
    auk_job_release(job);
}

static void fail_lane(auk_runner *r, auk_lane *l, const auk_err *e)
{
    say_error(l->job, e->code, e->msg);
    pthread_mutex_lock(&r->lock);
    r->stats.failed++;
    pthread_mutex_unlock(&r->lock);
    leave(r, l, -1);
}

static void say_prefill(const auk_lane *l)
{
    auk_job_put(l->job, &(auk_say){.kind = AUK_SAY_PREFILL,
                                   .done = (int64_t)l->fed,
                                   .total = (int64_t)l->job->prompt.n,
                                   .cached = l->usage.cached});
}

/* Where the known beginning ended, in words: token, message, role. */
static void explain_miss(auk_lane *l, size_t same)
{
    const auk_job *job = l->job;
    const json_t *messages = json_object_get(job->ask.chat, "messages");
    int message = -1;

    l->miss[0] = 0;
    if (job->ask.chat == NULL || same + job->header >= job->prompt.n)
        return;
    for (size_t i = 0; i < job->n_marks && job->marks[i].at <= same; i++)
        message = job->marks[i].message;
    if (message < 0) {
        snprintf(l->miss, sizeof l->miss, "token %zu (%s)", same,
                 same < 8 ? "nothing known begins like this" : "instructions and tools");
        return;
    }
    const json_t *m = json_array_get(messages, (size_t)message);
    auk_str role = auk_json_str(json_object_get(m, "role"));
    bool calls = json_array_size(json_object_get(m, "tool_calls")) > 0;
    snprintf(l->miss, sizeof l->miss, "token %zu (message %d, %.*s%s differs or is new)", same,
             message, AUK_ARG(role), calls ? " tool_call" : "");
}

static int enter(auk_runner *r, auk_lane *l, auk_job *job, auk_err *err)
{
    size_t same = 0;

    l->task = ++r->tasks;
    l->began_ns = auk_now_ns();
    l->usage = (auk_usage){.prompt = (int64_t)job->prompt.n,
                           .queue_ns = (int64_t)(l->began_ns - job->made_ns)};
    int rc = auk_lane_begin(l, r->engine, r->opts.loop_guard, r->script, err);
    if (rc < 0)
        return rc;
    auk_batch_clear(r->batch, l->number);
    l->fed = 0;
    if (r->script == NULL)
        l->fed =
            auk_prefix_load(r->prefix, r->batch, l->number, job->prompt.p, job->prompt.n, &same);
    l->usage.cached = (int64_t)l->fed;
    explain_miss(l, same);
    say_prefill(l);
    return AUK_OK;
}

static void fill_lanes(auk_runner *r)
{
    auk_err err = {0};

    for (int i = 0; i < r->opts.lanes; i++) {
        auk_lane *l = &r->lanes[i];
        if (l->job != NULL)
            continue;
        pthread_mutex_lock(&r->lock);
        auk_job *job = take_job(r);
        r->stats.processing += job != NULL;
        l->job = job;
        pthread_mutex_unlock(&r->lock);
        if (job == NULL)
            return;
        if (enter(r, l, job, &err) < 0)
            fail_lane(r, l, &err);
    }
}

/* The answer is complete or cut: keeps the sequence, and says so. */
static void end_lane(auk_runner *r, auk_lane *l)
{
    auk_err err;
    auk_end end;

    if (auk_lane_end(l, &end, &err) < 0) {
        fail_lane(r, l, &err);
        return;
    }
    if (r->script == NULL)
        auk_prefix_save(r->prefix, r->batch, l->number, l->job->ask.minor);
    if (auk_decode_finish(l->decode) == AUK_FINISH_STOP && l->job->ask.chat != NULL &&
        !l->job->ask.load_only)
        auk_turns_keep(r->turns, l->job, &l->parsed, auk_decode_ids(l->decode),
                       auk_decode_tokens(l->decode));
    auk_lane_say_finish(l, end);
    leave(r, l, (int)end);
}

/* How much of the prompt may be fed: up to the next place worth a snapshot. */
static size_t piece_of(const auk_lane *l, size_t most)
{
    const auk_job *job = l->job;
    size_t stops[] = {job->first_user, job->prompt.n - job->header, job->prompt.n};
    size_t n = job->prompt.n - l->fed;

    for (int i = 0; i < 3; i++)
        if (stops[i] > l->fed && stops[i] - l->fed < n)
            n = stops[i] - l->fed;
    return n < most ? n : most;
}

static void after_piece(auk_runner *r, auk_lane *l, size_t n)
{
    const auk_job *job = l->job;

    l->fed += n;
    if (r->script == NULL && job->ask.chat != NULL &&
        (l->fed == job->first_user || l->fed == job->prompt.n - job->header))
        auk_prefix_save(r->prefix, r->batch, l->number, job->ask.minor);
    uint64_t now = auk_now_ns();
    if (l->fed < job->prompt.n && now - l->said_ns > 500000000) {
        l->said_ns = now;
        say_prefill(l);
    }
    if (l->fed == job->prompt.n) {
        l->usage.prefill_ns = (int64_t)(now - l->began_ns);
        l->ready = true;
    }
}

/* One token for a lane whose logits are there. */
static void advance(auk_runner *r, auk_lane *l)
{
    auk_err err = {0};
    uint64_t now = auk_now_ns();

    if (auk_lane_next(l, &err) < 0) {
        fail_lane(r, l, &err);
        return;
    }
    l->ready = false;
    pthread_mutex_lock(&r->lock);
    if (l->first_ns == 0) {
        l->first_ns = (int64_t)(now - l->job->made_ns);
        observe(&r->stats.first_token, now - l->job->made_ns);
    } else {
        observe(&r->stats.gap, now - l->last_ns);
    }
    pthread_mutex_unlock(&r->lock);
    l->last_ns = now;
    if (auk_decode_done(l->decode) || l->stopped)
        end_lane(r, l);
}

static size_t plan_step(auk_runner *r, auk_batch_feed *feeds)
{
    size_t n = 0, rows = 0;
    auk_lane *reader = NULL;

    for (int i = 0; i < r->opts.lanes; i++) {
        auk_lane *l = &r->lanes[i];
        if (l->job == NULL)
            continue;
        if (l->fed < l->job->prompt.n) {
            if (reader == NULL || l->turn < reader->turn)
                reader = l; /* the one that read longest ago */
            continue;
        }
        feeds[n++] = (auk_batch_feed){i, &l->id, 1, l->logits};
        rows++;
    }
    if (reader != NULL) {
        size_t most = rows > 0 ? PIECE_BESIDE : AUK_BATCH_ROWS;
        size_t k = piece_of(reader, most);
        bool last = reader->fed + k == reader->job->prompt.n;
        reader->turn = ++r->clock;
        feeds[n++] = (auk_batch_feed){reader->number, reader->job->prompt.p + reader->fed, k,
                                      last ? reader->logits : NULL};
    }
    return n;
}

static int run_batch(auk_runner *r, const auk_batch_feed *feeds, size_t n, auk_err *err)
{
    if (r->script == NULL)
        return auk_batch_step(r->batch, feeds, n, err);
    for (size_t i = 0; i < n; i++)
        if (feeds[i].logits != NULL)
            return auk_script_pause(r->script);
    return AUK_OK;
}

static void step(auk_runner *r)
{
    auk_batch_feed feeds[AUK_BATCH_LANES];
    auk_err err = {0};

    for (int i = 0; i < r->opts.lanes; i++)
        if (r->lanes[i].job != NULL && atomic_load(&r->lanes[i].job->cancelled)) {
            if (r->script == NULL && r->lanes[i].fed == r->lanes[i].job->prompt.n)
                auk_prefix_save(r->prefix, r->batch, i, true);
            leave(r, &r->lanes[i], -1);
        }
    size_t n = plan_step(r, feeds);
    if (n == 0)
        return;
    int rc = run_batch(r, feeds, n, &err);
    pthread_mutex_lock(&r->lock);
    r->stats.steps++;
    r->stats.busy_slots += n;
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < n; i++) {
        auk_lane *l = &r->lanes[feeds[i].lane];
        if (rc < 0)
            fail_lane(r, l, &err);
        else if (l->fed < l->job->prompt.n)
            after_piece(r, l, feeds[i].n);
        else
            l->ready = true;
        if (rc == AUK_OK && l->job != NULL && l->ready)
            advance(r, l);
    }
}

static bool any_busy(const auk_runner *r)
{
    for (int i = 0; i < r->opts.lanes; i++)
        if (r->lanes[i].job != NULL)
            return true;
    return false;
}

static void show_slots(auk_runner *r)
{
    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < r->opts.lanes; i++) {
        const auk_lane *l = &r->lanes[i];
        auk_slot *s = &r->stats.slots[i];
        *s = (auk_slot){.busy = l->job != NULL};
        if (l->job == NULL)
            continue;
        s->reading = l->fed < l->job->prompt.n;
        s->task = l->task;
        s->prompt = l->job->prompt.n;
        s->read = l->fed;
        s->cached = (size_t)l->usage.cached;
        s->decoded = auk_decode_tokens(l->decode);
        memcpy(s->prompt_hash, l->job->visible, 16);
    }
    auk_prefix_stats_get(&r->stats.prefix, r->prefix);
    pthread_mutex_unlock(&r->lock);
}

static void end_all(auk_runner *r)
{
    for (int i = 0; i < r->opts.lanes; i++)
        if (r->lanes[i].job != NULL) {
            say_error(r->lanes[i].job, AUK_ECANCEL, "the server was stopped");
            leave(r, &r->lanes[i], -1);
        }
    pthread_mutex_lock(&r->lock);
    while (r->first != NULL) {
        auk_job *job = r->first;
        unlink_job(r, job);
        say_error(job, AUK_ELIMIT, "server is shutting down");
        auk_job_release(job);
    }
    pthread_mutex_unlock(&r->lock);
}

static void *run(void *ctx)
{
    auk_runner *r = ctx;
    auk_err unsaid;

    for (;;) {
        pthread_mutex_lock(&r->lock);
        while (r->first == NULL && !any_busy(r) && !r->stop)
            pthread_cond_wait(&r->wake, &r->lock);
        bool stop = r->stop;
        pthread_mutex_unlock(&r->lock);
        if (stop)
            break;
        fill_lanes(r);
        step(r);
        show_slots(r);
    }
    end_all(r);
    if (auk_prefix_flush(r->prefix, &unsaid) < 0 || auk_turns_save(r->turns, &unsaid) < 0)
        fprintf(stderr, "auklet: warning: the cache was not kept: %s\n", unsaid.msg);
    return NULL;
}

/* ---- life ---- */

static int open_all(auk_runner *r, auk_err *err)
{
    auk_prefix_options prefix = {.max_bytes = r->opts.cache_bytes,
                                 .dir = r->dir,
                                 .disk_bytes = r->opts.disk_bytes,
                                 .model = r->opts.model};
    char *file = r->dir != NULL ? auk_path_join(r->dir, "turns.jsonl") : NULL;

    r->turns = auk_turns_new(file);
    free(file);
    int rc = auk_batch_new(&r->batch, r->engine, r->opts.lanes, r->opts.ctx, err);
    if (rc == AUK_OK)
        rc = auk_prefix_new(&r->prefix, r->batch, &prefix, err);
    if (rc == AUK_OK && r->opts.script != NULL)
        rc = auk_script_open(&r->script, r->engine, r->opts.script, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&r->lanes, (size_t)r->opts.lanes, sizeof *r->lanes, err);
    for (int i = 0; i < r->opts.lanes && rc == AUK_OK; i++) {
        r->lanes[i].number = i;
        rc = auk_try_alloc(&r->lanes[i].logits, (size_t)auk_engine_vocab(r->engine), sizeof(float),
                           err);
    }
    return rc;
}

int auk_runner_new(auk_runner **out, auk_engine *e, const auk_runner_options *opts, auk_err *err)
{
    auk_runner *r = auk_alloc(sizeof *r);

    *out = NULL;
    r->engine = e;
    r->opts = *opts;
    r->dir = opts->dir != NULL ? auk_strndup(opts->dir, strlen(opts->dir)) : NULL;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, NULL);
    r->stats.lanes = opts->lanes;
    r->stats.ctx = opts->ctx;
    r->stats.queue_max = opts->queue;
    r->stats.kv_bytes = (uint64_t)opts->lanes * auk_session_kv_bytes(e, opts->ctx);
    int rc = open_all(r, err);
    if (rc == AUK_OK) {
        rc = pthread_create(&r->thread, NULL, run, r) == 0
                 ? AUK_OK
                 : auk_fail(err, AUK_EIO, "cannot start the engine's thread");
        r->running = rc == AUK_OK;
    }
    if (rc == AUK_OK) {
        *out = r;
        r = NULL;
    }
    auk_runner_free(r);
    return rc;
}

void auk_runner_drain(auk_runner *r, int drain_ms)
{
    uint64_t until = auk_now_ns() + (uint64_t)drain_ms * 1000000;

    pthread_mutex_lock(&r->lock);
    r->closing = true;
    while (r->first != NULL) { /* those that wait are told at once */
        auk_job *job = r->first;
        unlink_job(r, job);
        say_error(job, AUK_ELIMIT, "server is shutting down");
        auk_job_release(job);
    }
    while (r->stats.processing > 0 && auk_now_ns() < until) {
        pthread_mutex_unlock(&r->lock);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        pthread_mutex_lock(&r->lock);
    }
    r->stop = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    if (r->running)
        pthread_join(r->thread, NULL);
    r->running = false;
}

void auk_runner_free(auk_runner *r)
{
    if (r == NULL)
        return;
    if (r->running)
        auk_runner_drain(r, 0);
    for (int i = 0; r->lanes != NULL && i < r->opts.lanes; i++)
        free(r->lanes[i].logits);
    free(r->lanes);
    auk_script_close(r->script);
    auk_prefix_free(r->prefix);
    auk_batch_free(r->batch);
    auk_turns_free(r->turns);
    free(r->dir);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r);
}

auk_turns *auk_runner_turns(auk_runner *r)
{
    return r->turns;
}

void auk_runner_wake(auk_runner *r)
{
    pthread_mutex_lock(&r->lock);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
}

bool auk_runner_end_thinking(auk_runner *r, auk_str id)
{
    bool found = false;

    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < r->opts.lanes; i++) {
        auk_lane *l = &r->lanes[i];
        if (r->stats.slots[i].busy && l->job != NULL && strstr(id.p, l->job->id) != NULL) {
            atomic_store(&l->job->end_thinking, true);
            found = true;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return found;
}

void auk_runner_stats_get(auk_runner_stats *out, auk_runner *r)
{
    pthread_mutex_lock(&r->lock);
    r->stats.queued = r->queued;
    *out = r->stats;
    pthread_mutex_unlock(&r->lock);
}
