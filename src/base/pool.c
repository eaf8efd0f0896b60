/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "base/pool.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

/* A worker looks for work this long before it sleeps: longer than what one thread does between two
 * calls of a token, much shorter than a person's pause.  It looks without giving its processor away
 * for the first part only: where another program waits for that, the pool must not stand still. */
#define SPIN_NS 200000
#define PAUSES_PER_LOOK 32
#define HARD_LOOKS 40 /* about 20 us */

/* Where a thread's ranges begin, on a cache line of its own. */
typedef struct share {
    _Alignas(64) atomic_size_t next; /* the first range nobody took */
} share;

struct auk_pool {
    int n_threads;
    pthread_t *threads;    /* owned; n_threads - 1 started workers */
    pthread_mutex_t mutex; /* guards: going to sleep, stop */
    pthread_cond_t wake;
    unsigned calls;   /* so far; only the caller's */
    atomic_uint open; /* the number of the call that wants help; 0: none */
    atomic_int busy;  /* workers that look at a call; nothing below changes while there are any */
    atomic_int sleeping;
    bool stop;
    /* The call in progress; written while none is open and no worker busy. */
    size_t n, grain;
    auk_range_fn *fn;
    void *ctx;
    share *shares;      /* owned; one per thread */
    atomic_int numbers; /* handed to workers as they start, from 1 */
};

static _Thread_local bool inside; /* this thread is running a range */
static _Thread_local int self;    /* its number in its pool; 0 is whoever called */

static size_t first_range(const auk_pool *pool, size_t n_ranges, size_t thread)
{
    return n_ranges * thread / (size_t)pool->n_threads;
}

/* Each thread's own ranges lie beside each other, so that it reads memory in one stream (twice as
 * fast as taking turns, with ranges of 16 KB); who is done helps the others. */
static void take_ranges(auk_pool *pool)
{
    size_t n_ranges = (pool->n + pool->grain - 1) / pool->grain, threads = (size_t)pool->n_threads;

    inside = true;
    for (size_t k = 0; k < threads; k++) {
        size_t owner = ((size_t)self + k) % threads;
        size_t end = first_range(pool, n_ranges, owner + 1);
        atomic_size_t *next = &pool->shares[owner].next;
        while (atomic_load_explicit(next, memory_order_relaxed) < end) {
            size_t i = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);
            if (i >= end)
                break;
            size_t lo = i * pool->grain, hi = lo + pool->grain;
            pool->fn(pool->ctx, lo, hi < pool->n ? hi : pool->n);
        }
    }
    inside = false;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The wait after `looks` looks in vain. */
static void wait_a_little(int looks)
{
    if (looks >= HARD_LOOKS)
        sched_yield();
    for (int i = 0; i < PAUSES_PER_LOOK; i++)
        relax();
}

static bool is_new(auk_pool *pool, unsigned seen)
{
    unsigned open = atomic_load(&pool->open);

    return open != 0 && open != seen;
}

/* Returns once there is a call other than `seen`, or false when the pool ends. */
static bool wait_for_work(auk_pool *pool, unsigned seen)
{
    uint64_t end = 0;

    for (int looks = 0; end == 0 || auk_now_ns() < end; looks++) {
        for (int i = 0; i < 16; i++) { /* the first microseconds, without asking for the time */
            if (is_new(pool, seen))
                return true;
            relax();
        }
        if (end == 0)
            end = auk_now_ns() + SPIN_NS;
        wait_a_little(looks);
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleeping, 1);
    while (!is_new(pool, seen) && !pool->stop)
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
        atomic_fetch_add(&pool->busy, 1);
        unsigned open = atomic_load(&pool->open); /* what busy now holds in place */
        if (open != 0 && open != seen) {
            seen = open;
            take_ranges(pool);
        }
        atomic_fetch_sub(&pool->busy, 1);
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

    pool->shares = aligned_alloc(_Alignof(share), (size_t)want * sizeof *pool->shares);
    if (pool->shares == NULL)
        abort(); /* as auk_alloc */
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
    free(pool->shares);
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
    size_t n_ranges = (n + grain - 1) / grain;
    for (size_t i = 0; i < (size_t)pool->n_threads; i++)
        atomic_store_explicit(&pool->shares[i].next, first_range(pool, n_ranges, i),
                              memory_order_relaxed);
    if (++pool->calls == 0)
        pool->calls = 1;
    atomic_store(&pool->open, pool->calls);
    if (atomic_load(&pool->sleeping) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
    take_ranges(pool);
    /* Every range is taken.  A worker that has not come by now is not waited for: it may be waiting
     * for a processor that another program has. */
    atomic_store(&pool->open, 0);
    for (int i = 0; atomic_load(&pool->busy) > 0; i++)
        if (i < 64)
            relax();
        else
            wait_a_little(i / 16);
}
