/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "base/pool.h"

#include "base/limits.h"
#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

/* About 20 us: shorter than one layer, longer than the gap between two calls. */
#define SPINS 4000

struct auk_pool {
    int n_threads;
    pthread_t *threads;    /* owned; n_threads - 1 started workers */
    pthread_mutex_t mutex; /* guards: epoch (for sleeping), stop */
    pthread_cond_t wake;
    atomic_uint epoch; /* one more per call */
    atomic_int sleeping;
    bool stop;
    /* The call in progress; written before epoch moves, read by workers after they saw it. */
    size_t n, grain;
    auk_range_fn *fn;
    void *ctx;
    atomic_size_t next; /* the first range nobody took */
    atomic_int numbers; /* handed to workers as they start, from 1 */
    atomic_int busy;    /* workers that have not finished this epoch */
};

static _Thread_local bool inside; /* this thread is running a range */
static _Thread_local int self;    /* its number in its pool; 0 is whoever called */

static void take_ranges(auk_pool *pool)
{
    size_t n_ranges = (pool->n + pool->grain - 1) / pool->grain;

    inside = true;
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= n_ranges)
            break;
        size_t lo = i * pool->grain, hi = lo + pool->grain;
        pool->fn(pool->ctx, lo, hi < pool->n ? hi : pool->n);
    }
    inside = false;
}

/* Returns once the epoch has moved past `seen`, or false when the pool ends. */
static bool wait_for_work(auk_pool *pool, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->epoch, memory_order_acquire) != seen)
            return true;
        if (i % 64 == 63)
            sched_yield();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleeping, 1);
    while (atomic_load(&pool->epoch) == seen && !pool->stop)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleeping, 1);
    bool stop = pool->stop;
    pthread_mutex_unlock(&pool->mutex);
    return !stop;
}

static void *worker(void *arg)
{
    auk_pool *pool = arg;
    unsigned seen = 0;

    self = atomic_fetch_add(&pool->numbers, 1);

    while (wait_for_work(pool, seen)) {
        seen++;
        take_ranges(pool);
        atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_release);
    }
    return NULL;
}

static int default_threads(void)
{
    const char *s = getenv("AUK_THREADS");
    long n = s != NULL ? strtol(s, NULL, 10) : 0;

    if (n < 1)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > AUK_MAX_THREADS ? AUK_MAX_THREADS : (int)n;
}

auk_pool *auk_pool_new(int threads)
{
    auk_pool *pool = auk_alloc(sizeof *pool);
    int want = threads > 0 ? threads : default_threads();

    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = auk_alloc((size_t)want * sizeof *pool->threads);
    pool->n_threads = 1;
    atomic_store(&pool->numbers, 1);
    while (pool->n_threads < want &&
           pthread_create(&pool->threads[pool->n_threads - 1], NULL, worker, pool) == 0)
        pool->n_threads++;
    return pool;
}

void auk_pool_free(auk_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->n_threads - 1; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->threads);
    free(pool);
}

int auk_pool_threads(const auk_pool *pool)
{
    return pool == NULL ? 1 : pool->n_threads;
}

int auk_pool_self(void)
{
    return self;
}

void auk_pool_run(auk_pool *pool, size_t n, size_t grain, auk_range_fn *fn, void *ctx)
{
    if (pool == NULL || pool->n_threads == 1 || inside || n <= grain) {
        for (size_t lo = 0; lo < n; lo += grain)
            fn(ctx, lo, n - lo < grain ? n : lo + grain);
        return;
    }
    pool->n = n;
    pool->grain = grain;
    pool->fn = fn;
    pool->ctx = ctx;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->busy, pool->n_threads - 1, memory_order_relaxed);
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->sleeping) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
    take_ranges(pool);
    for (int i = 0; atomic_load_explicit(&pool->busy, memory_order_acquire) > 0; i++)
        if (i % 64 == 63)
            sched_yield();
}
