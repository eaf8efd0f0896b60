/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "serve/job.h"

#include "base/mem.h"
#include "base/time.h"

typedef struct auk_job_event {
    struct auk_job_event *next;
    auk_say say;
    int32_t *ids; /* owned */
    char text[];  /* the say's strings, one after another */
} auk_job_event;

auk_job *auk_job_new(void)
{
    auk_job *job = auk_alloc(sizeof *job);
    pthread_condattr_t clock;

    auk_ask_init(&job->ask);
    atomic_store(&job->references, 1);
    pthread_mutex_init(&job->lock, NULL);
    pthread_condattr_init(&clock);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&job->more, &clock);
    pthread_condattr_destroy(&clock);
    job->made_ns = auk_now_ns();
    return job;
}

static void free_event(auk_job_event *e)
{
    if (e == NULL)
        return;
    free(e->ids);
    free(e);
}

void auk_job_share(auk_job *job)
{
    atomic_fetch_add(&job->references, 1);
}

void auk_job_release(auk_job *job)
{
    if (job == NULL || atomic_fetch_sub(&job->references, 1) > 1)
        return;
    while (job->first != NULL) {
        auk_job_event *e = job->first;
        job->first = e->next;
        free_event(e);
    }
    free_event(job->taken);
    if (job->free_grammar != NULL)
        job->free_grammar(job->grammar);
    pthread_mutex_destroy(&job->lock);
    pthread_cond_destroy(&job->more);
    auk_ask_release(&job->ask);
    auk_ids_release(&job->prompt);
    free(job->marks);
    free(job);
}

static char *keep(auk_str *s, char *at)
{
    if (s->p == NULL)
        return at;
    memcpy(at, s->p, s->n);
    s->p = at;
    return at + s->n;
}

void auk_job_put(auk_job *job, const auk_say *say)
{
    auk_job_event *e = auk_alloc(sizeof *e + say->text.n + say->id.n + say->stop.n + 1);

    e->say = *say;
    keep(&e->say.stop, keep(&e->say.id, keep(&e->say.text, e->text)));
    if (say->ids != NULL && auk_try_alloc(&e->ids, say->n_ids, sizeof *e->ids, NULL) == AUK_OK) {
        memcpy(e->ids, say->ids, say->n_ids * sizeof *e->ids);
        e->say.ids = e->ids;
    }
    pthread_mutex_lock(&job->lock);
    if (job->first == NULL)
        job->first = e;
    else
        job->last->next = e;
    job->last = e;
    job->ended = job->ended || say->kind == AUK_SAY_FINISH || say->kind == AUK_SAY_ERROR;
    pthread_cond_signal(&job->more);
    pthread_mutex_unlock(&job->lock);
}

static struct timespec deadline(int wait_ms)
{
    struct timespec t;

#if defined(__APPLE__)
    clock_gettime(CLOCK_REALTIME, &t);
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    t.tv_sec += wait_ms / 1000;
    t.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

bool auk_job_next(auk_say *out, auk_job *job, int wait_ms)
{
    struct timespec until = deadline(wait_ms);

    pthread_mutex_lock(&job->lock);
    while (job->first == NULL && wait_ms > 0)
        if (pthread_cond_timedwait(&job->more, &job->lock, &until) != 0)
            break;
    auk_job_event *e = job->first;
    if (e != NULL) {
        job->first = e->next;
        free_event(job->taken);
        job->taken = e;
        *out = e->say;
    }
    pthread_mutex_unlock(&job->lock);
    return e != NULL;
}
