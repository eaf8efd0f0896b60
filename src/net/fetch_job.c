/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of a pull: who takes which piece of work, and what the caller hears of it. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "net/fetch.h"

#include "base/mem.h"
#include "base/time.h"

#include <time.h>

static void fail_item(job *j, const item *it, const auk_err *err)
{
    size_t index = (size_t)(it - j->items);

    pthread_mutex_lock(&j->lock);
    if (index < j->failed && !(err->code == AUK_ECANCEL && j->failed < j->n)) {
        j->failed = index;
        j->err = *err;
    }
    atomic_store(&j->stop, true);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

void auk_fetch_note(job *j, const char *path, const char *text)
{
    pthread_mutex_lock(&j->lock);
    auk_buf_printf(&j->notes, "'%s': %s\n", path, text);
    pthread_mutex_unlock(&j->lock);
}

typedef struct work {
    item *it;
    step what;
    size_t range;
} work;

/* A range of the item nobody works on; n_ranges when there is none. */
static size_t free_range(const auk_partial *p)
{
    size_t i = 0;

    while (i < p->n_ranges &&
           (p->ranges[i].taken || (p->ranges[i].to != UINT64_MAX &&
                                   p->ranges[i].done == p->ranges[i].to - p->ranges[i].from)))
        i++;
    return i;
}

/* Something of this item for one worker; the lock is held. */
static bool take_from(job *j, item *it, step phase, work *out, int *rc, auk_err *err)
{
    *out = (work){.it = it, .what = it->step};
    if (it->busy || it->step == DONE || (phase == LOOK) != (it->step == LOOK))
        return false;
    it->next = it->step;
    if (it->step == LOOK) {
        it->busy = true;
        return true;
    }
    if (!it->open)
        *rc = auk_fetch_open(j, it, err);
    if (*rc == AUK_OK && it->no_ranges && !it->whole && it->users == 0) {
        for (size_t i = 0; i < it->part.n_ranges; i++)
            atomic_fetch_sub(&j->fetched, it->part.ranges[i].done);
        *rc = auk_partial_restart(&it->part, true, err);
        it->whole = true;
        it->resumed_from = 0;
    }
    if (*rc < 0)
        return false;
    if (it->no_ranges && !it->whole)
        return false; /* when the others have let go */
    if (it->users == 0 && auk_fetch_complete(&it->part)) {
        out->what = CHECK;
        it->busy = true;
        return true;
    }
    out->range = free_range(&it->part);
    if (out->range == it->part.n_ranges)
        return false;
    it->part.ranges[out->range].taken = true;
    it->users++;
    return true;
}

/* Waits for work; false when there will be none. */
static bool take(job *j, step phase, work *out)
{
    bool found = false, left = true;

    pthread_mutex_lock(&j->lock);
    while (!found && left && !atomic_load(&j->stop)) {
        left = false;
        for (size_t i = 0; i < j->n && !found; i++) {
            int rc = AUK_OK;
            auk_err err;
            bool mine = phase == LOOK ? j->items[i].step == LOOK : j->items[i].step != DONE;
            left = left || mine;
            found = mine && take_from(j, &j->items[i], phase, out, &rc, &err);
            if (rc < 0) {
                if (i < j->failed) {
                    j->failed = i;
                    j->err = err;
                }
                atomic_store(&j->stop, true);
                break;
            }
        }
        if (!found && left && !atomic_load(&j->stop))
            pthread_cond_wait(&j->changed, &j->lock);
    }
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    return found;
}

static void give_back(job *j, const work *w)
{
    pthread_mutex_lock(&j->lock);
    if (w->what == FETCH) {
        w->it->part.ranges[w->range].taken = false;
        w->it->users--;
    } else {
        w->it->step = w->it->next;
        w->it->busy = false;
    }
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

typedef struct worker {
    job *j;
    step phase;
    pthread_t thread;
} worker;

static void *run_worker(void *ctx)
{
    worker *me = ctx;
    job *j = me->j;
    auk_http *h = NULL;
    auk_err err;
    work w = {.it = j->items};

    int rc = auk_http_new(&h, &err);
    if (rc < 0)
        fail_item(j, w.it, &err);
    while (rc == AUK_OK && take(j, me->phase, &w)) {
        rc = w.what == LOOK    ? auk_fetch_look(j, w.it, &err)
             : w.what == FETCH ? auk_fetch_range(j, w.it, w.range, h, &err)
                               : auk_fetch_check(j, w.it, &err);
        if (rc < 0)
            fail_item(j, w.it, &err);
        give_back(j, &w);
    }
    auk_http_free(h);
    pthread_mutex_lock(&j->lock);
    j->workers--;
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* Hands notes and progress to the caller; true when work goes on. */
static bool supervise(job *j, step phase)
{
    const auk_pull_options *o = j->opts;
    auk_buf lines = AUK_BUF_INIT(1 << 20);

    pthread_mutex_lock(&j->lock);
    bool running = j->workers > 0;
    auk_buf_add(&lines, j->notes.p, j->notes.n);
    auk_buf_clear(&j->notes);
    pthread_mutex_unlock(&j->lock);
    for (char *line = lines.p, *end; line != NULL && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        *end = 0;
        if (o->note != NULL)
            o->note(o->note_ctx, line);
    }
    auk_buf_release(&lines);
    uint64_t done = atomic_load(&j->fetched), total = atomic_load(&j->to_fetch);
    bool checking = phase == LOOK || done >= total;
    if (checking) {
        done = atomic_load(&j->hashed);
        total = atomic_load(&j->to_hash);
    }
    if (o->progress != NULL && o->progress(o->progress_ctx, checking ? "checking" : "fetching",
                                           "bytes", done < total ? done : total, total)) {
        pthread_mutex_lock(&j->lock);
        if (j->failed == j->n) {
            j->failed = 0;
            auk_fail(&j->err, AUK_ECANCEL, "stopped; the same command goes on");
        }
        atomic_store(&j->stop, true);
        pthread_cond_broadcast(&j->changed);
        pthread_mutex_unlock(&j->lock);
    }
    return running;
}

int auk_fetch_run(job *j, step phase, auk_err *err)
{
    worker workers[AUK_MAX_CONNECTIONS];
    int n = 0;

    j->workers = j->opts->connections;
    for (; n < j->opts->connections; n++) {
        workers[n] = (worker){.j = j, .phase = phase};
        if (pthread_create(&workers[n].thread, NULL, run_worker, &workers[n]) != 0)
            break;
    }
    pthread_mutex_lock(&j->lock);
    j->workers -= j->opts->connections - n;
    pthread_mutex_unlock(&j->lock);
    if (n == 0)
        return auk_fail(err, AUK_EIO, "no thread can be started");
    while (supervise(j, phase))
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    for (int i = 0; i < n; i++)
        pthread_join(workers[i].thread, NULL);
    supervise(j, phase); /* the last notes */
    if (j->failed < j->n) {
        *err = j->err;
        return err->code;
    }
    return AUK_OK;
}
