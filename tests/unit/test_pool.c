/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX_ITEMS 5000

static const int thread_counts[] = {0, 1, 2, 3, 7}; /* 0: no pool at all */
#define N_COUNTS (sizeof thread_counts / sizeof *thread_counts)

static auk_pool *pool_of(int threads)
{
    return threads == 0 ? NULL : auk_pool_new(threads);
}

/* Each range writes only its own items and its own partial: no atomics, so TSan sees an overlap. */
typedef struct sums {
    size_t n, grain;
    uint32_t visits[MAX_ITEMS];
    size_t lo_of[MAX_ITEMS], hi_of[MAX_ITEMS]; /* of each range */
    float partial[MAX_ITEMS];
} sums;

static void add_range(void *ctx, size_t lo, size_t hi)
{
    sums *s = ctx;
    float sum = 0;

    for (size_t i = lo; i < hi; i++) {
        s->visits[i]++;
        sum += 1.0f / (float)(i + 1);
    }
    s->lo_of[lo / s->grain] = lo;
    s->hi_of[lo / s->grain] = hi;
    s->partial[lo / s->grain] = sum;
}

static void every_item_belongs_to_one_range_whatever_the_threads(void **state)
{
    auk_rng rng = auk_rng_make(5);
    sums *want = auk_alloc(sizeof *want), *got = auk_alloc(sizeof *got);
    (void)state;

    for (int round = 0; round < 40; round++) {
        size_t n = auk_rng_below(&rng, MAX_ITEMS + 1), grain = 1 + auk_rng_below(&rng, 300);
        for (size_t c = 0; c < N_COUNTS; c++) {
            auk_pool *pool = pool_of(thread_counts[c]);
            memset(got, 0, sizeof *got);
            got->n = n;
            got->grain = grain;
            auk_pool_run(pool, n, grain, add_range, got);
            auk_pool_free(pool);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(got->visits[i], 1);
            for (size_t i = 0; i < n; i += grain) {
                assert_int_equal(got->lo_of[i / grain], i);
                assert_int_equal(got->hi_of[i / grain], n - i < grain ? n : i + grain);
            }
            if (c == 0)
                memcpy(want, got, sizeof *want);
            assert_memory_equal(got, want, sizeof *want);
        }
    }
    free(want);
    free(got);
}

static void count_range(void *ctx, size_t lo, size_t hi)
{
    atomic_fetch_add((atomic_size_t *)ctx, hi - lo);
}

static void a_thousand_tiny_calls_all_finish(void **state)
{
    (void)state;

    for (size_t c = 0; c < N_COUNTS; c++) {
        auk_pool *pool = pool_of(thread_counts[c]);
        atomic_size_t total = 0;

        size_t want = 0;

        for (size_t call = 0; call < 1000; call++) {
            auk_pool_run(pool, 2 + call % 15, 1, count_range, &total);
            want += 2 + call % 15;
        }
        assert_int_equal(total, want);
        auk_pool_free(pool);
    }
}

static void square_range(void *ctx, size_t lo, size_t hi)
{
    uint64_t *p = ctx;

    for (size_t i = lo; i < hi; i++)
        p[i] = p[i] * p[i] + 1;
}

static void what_one_call_wrote_the_next_one_reads(void **state)
{
    auk_pool *pool = auk_pool_new(4);
    uint64_t got[64], want[64];
    (void)state;

    for (size_t i = 0; i < 64; i++)
        got[i] = want[i] = i;
    for (int call = 0; call < 500; call++) {
        auk_pool_run(pool, 64, 1 + (size_t)call % 9, square_range, got);
        square_range(want, 0, 64);
    }
    assert_memory_equal(got, want, sizeof want);
    auk_pool_free(pool);
}

typedef struct outer {
    auk_pool *pool;
    atomic_size_t inner[100];
    atomic_int moved; /* inner ranges that ran on another thread than their outer range */
} outer;

typedef struct inner {
    outer *o;
    size_t i;
    int self;
} inner;

static void inner_range(void *ctx, size_t lo, size_t hi)
{
    inner *in = ctx;

    if (auk_pool_self() != in->self)
        atomic_fetch_add(&in->o->moved, 1);
    atomic_fetch_add(&in->o->inner[in->i], hi - lo);
}

static void outer_range(void *ctx, size_t lo, size_t hi)
{
    outer *o = ctx;

    for (size_t i = lo; i < hi; i++) {
        inner in = {o, i, auk_pool_self()};
        auk_pool_run(o->pool, 50, 7, inner_range, &in);
    }
}

static void a_call_from_inside_a_range_runs_inline(void **state)
{
    (void)state;

    for (size_t c = 0; c < N_COUNTS; c++) {
        outer *o = auk_alloc(sizeof *o);
        o->pool = pool_of(thread_counts[c]);
        for (int call = 0; call < 10; call++)
            auk_pool_run(o->pool, 100, 3, outer_range, o);
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(o->inner[i], 500);
        assert_int_equal(o->moved, 0);
        auk_pool_free(o->pool);
        free(o);
    }
}

static void must_not_run(void *ctx, size_t lo, size_t hi)
{
    (void)lo, (void)hi;
    *(bool *)ctx = true;
}

static void nothing_to_do_calls_nothing(void **state)
{
    auk_pool *pool = auk_pool_new(3);
    bool ran = false;
    (void)state;

    auk_pool_run(pool, 0, 16, must_not_run, &ran);
    auk_pool_run(NULL, 0, 16, must_not_run, &ran);
    assert_false(ran);
    auk_pool_free(pool);
}

static void a_pool_has_the_threads_it_was_asked_for(void **state)
{
    (void)state;

    for (int threads = 1; threads <= 5; threads++) {
        auk_pool *pool = auk_pool_new(threads);
        assert_int_equal(auk_pool_threads(pool), threads);
        auk_pool_free(pool); /* unused: its workers must still end */
    }
    auk_pool *pool = auk_pool_new(0);
    assert_true(auk_pool_threads(pool) >= 1);
    auk_pool_free(pool);
    assert_int_equal(auk_pool_threads(NULL), 1);
    auk_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_belongs_to_one_range_whatever_the_threads),
        cmocka_unit_test(a_thousand_tiny_calls_all_finish),
        cmocka_unit_test(what_one_call_wrote_the_next_one_reads),
        cmocka_unit_test(a_call_from_inside_a_range_runs_inline),
        cmocka_unit_test(nothing_to_do_calls_nothing),
        cmocka_unit_test(a_pool_has_the_threads_it_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
