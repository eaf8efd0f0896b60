/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes and the prefix cache on the miniature: nothing that is shared or kept changes an answer. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/engine.h"

#include <stdio.h>
#include <unistd.h>

#define CTX 512

static auk_engine *engine;
static int vocab;

static int setup(void **state)
{
    auk_engine_options opts = {.threads = 2};
    auk_err err;

    (void)state;
    if (auk_engine_open(&engine, AUK_SOURCE_DIR "/data/miniature", &opts, &err) < 0)
        fail_msg("%s", err.msg);
    vocab = auk_engine_vocab(engine);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auk_engine_close(engine);
    return 0;
}

static auk_batch *new_batch(int lanes)
{
    auk_batch *b;
    auk_err err;

    if (auk_batch_new(&b, engine, lanes, CTX, &err) < 0)
        fail_msg("%s", err.msg);
    return b;
}

static void step(auk_batch *b, const auk_batch_feed *feeds, size_t n)
{
    auk_err err;

    if (auk_batch_step(b, feeds, n, &err) < 0)
        fail_msg("%s", err.msg);
}

static void random_ids(int32_t *ids, size_t n, auk_rng *rng)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)auk_rng_below(rng, 1500);
}

/* The logits after ids, fed to lane 0 from where the lane is, in pieces of random size. */
static void feed(auk_batch *b, int lane, const int32_t *ids, size_t n, float *logits, auk_rng *rng)
{
    while (auk_batch_length(b, lane) < n) {
        size_t at = auk_batch_length(b, lane), m = 1 + auk_rng_below(rng, 200);
        m = m < n - at ? m : n - at;
        step(b, &(auk_batch_feed){lane, ids + at, m, at + m == n ? logits : NULL}, 1);
    }
}

static void a_lane_computes_what_a_session_does(void **state)
{
    auk_rng rng = auk_rng_make(1);
    float *a = auk_alloc((size_t)vocab * sizeof *a), *b = auk_alloc((size_t)vocab * sizeof *b);
    float *c = auk_alloc((size_t)vocab * sizeof *c);
    auk_batch *batch = new_batch(3);
    int32_t ids[400], other[400];
    auk_session *s;
    auk_err err;

    (void)state;
    for (int round = 0; round < 6; round++) {
        size_t n = 150 + auk_rng_below(&rng, 200), m = n / 2 > 100 ? 100 : n / 2;
        random_ids(ids, n, &rng);
        random_ids(other, n, &rng);
        assert_int_equal(auk_session_new(&s, engine, CTX, &err), AUK_OK);
        assert_int_equal(auk_session_feed(s, ids, n, a, &err), AUK_OK);
        auk_session_free(s);
        for (int i = 0; i < 3; i++)
            auk_batch_clear(batch, i);
        /* shared with two others, in two steps of unequal parts */
        step(batch,
             (auk_batch_feed[]){{1, other, 7, NULL}, {0, ids, m, NULL}, {2, other + 3, m, c}}, 3);
        for (size_t at = m; at < n; at += 50) {
            size_t k = n - at < 50 ? n - at : 50;
            step(batch,
                 (auk_batch_feed[]){{2, other, 1, c}, {0, ids + at, k, at + k == n ? b : NULL}}, 2);
        }
        assert_memory_equal(a, b, (size_t)vocab * sizeof *a);
    }
    auk_batch_free(batch);
    free(a);
    free(b);
    free(c);
}

/* Conversations that branch from each other at random places, over a cache too small for all. */
static void check_cache(auk_prefix *p, auk_batch *b, int rounds, uint64_t seed, uint64_t *loaded)
{
    auk_rng rng = auk_rng_make(seed);
    int32_t(*seen)[400] = auk_alloc(8 * sizeof *seen);
    size_t length[8] = {0}, same;
    float *warm = auk_alloc((size_t)vocab * sizeof *warm);
    float *cold = auk_alloc((size_t)vocab * sizeof *cold);

    *loaded = 0;
    for (int round = 0; round < rounds; round++) {
        size_t slot = auk_rng_below(&rng, 8), from = auk_rng_below(&rng, 8);
        size_t keep = length[from] > 0 ? auk_rng_below(&rng, length[from] + 1) : 0;
        size_t n = keep + 2 + auk_rng_below(&rng, 398 - keep);
        if (auk_rng_below(&rng, 3) > 0)
            keep = length[from];
        n = n > keep + 1 ? n : keep + 2;
        n = n < 400 ? n : 400;
        keep = keep < n ? keep : n;
        memmove(seen[slot], seen[from], keep * sizeof(int32_t));
        random_ids(seen[slot] + keep, n - keep, &rng);
        size_t at = auk_prefix_load(p, b, 0, seen[slot], n, &same);
        assert_true(at < n && at <= same && same <= n);
        *loaded += at;
        feed(b, 0, seen[slot], n, warm, &rng);
        auk_batch_clear(b, 1);
        feed(b, 1, seen[slot], n, cold, &rng);
        if (memcmp(warm, cold, (size_t)vocab * sizeof *warm) != 0)
            fail_msg("seed %llu, round %d: %zu cached of %zu change the logits",
                     (unsigned long long)seed, round, at, n);
        length[slot] = n;
        auk_prefix_save(p, b, 0, auk_rng_below(&rng, 4) == 0);
    }
    free(seen);
    free(warm);
    free(cold);
}

static int rounds(void)
{
    const char *wanted = getenv("AUK_ROUNDS");

    return wanted != NULL ? (int)strtol(wanted, NULL, 10) : 15;
}

static void a_cached_beginning_changes_nothing(void **state)
{
    auk_batch *b = new_batch(2);
    auk_prefix_stats stats;
    auk_prefix *p;
    uint64_t loaded;
    auk_err err;

    (void)state;
    auk_prefix_options opts = {.max_bytes = 8 << 20, .model = "m"};
    assert_int_equal(auk_prefix_new(&p, b, &opts, &err), AUK_OK);
    check_cache(p, b, rounds(), 7, &loaded);
    auk_prefix_stats_get(&stats, p);
    assert_true(loaded > 0);
    assert_true(stats.bytes <= opts.max_bytes);
    assert_true(stats.snapshots > 0);
    auk_prefix_free(p);
    auk_batch_free(b);
}

static void what_was_kept_survives_a_restart(void **state)
{
    char dir[] = "/tmp/auk_prefix_XXXXXX";
    auk_batch *b = new_batch(2);
    auk_rng rng = auk_rng_make(3);
    auk_prefix *p;
    int32_t ids[300];
    size_t same;
    float *warm = auk_alloc((size_t)vocab * sizeof *warm);
    float *cold = auk_alloc((size_t)vocab * sizeof *cold);
    auk_err err;

    (void)state;
    assert_non_null(mkdtemp(dir));
    auk_prefix_options opts = {
        .max_bytes = 64 << 20, .dir = dir, .disk_bytes = 64 << 20, .model = "m"};
    random_ids(ids, 300, &rng);
    assert_int_equal(auk_prefix_new(&p, b, &opts, &err), AUK_OK);
    feed(b, 0, ids, 290, cold, &rng);
    auk_prefix_save(p, b, 0, false);
    assert_int_equal(auk_prefix_flush(p, &err), AUK_OK);
    auk_prefix_free(p);
    feed(b, 0, ids, 300, cold, &rng);

    assert_int_equal(auk_prefix_new(&p, b, &opts, &err), AUK_OK);
    assert_int_equal(auk_prefix_load(p, b, 1, ids, 300, &same), 290);
    feed(b, 1, ids, 300, warm, &rng);
    assert_memory_equal(warm, cold, (size_t)vocab * sizeof *warm);
    auk_prefix_free(p);

    opts.model = "other weights";
    assert_int_equal(auk_prefix_new(&p, b, &opts, &err), AUK_OK);
    assert_int_equal(auk_prefix_load(p, b, 1, ids, 300, &same), 0);
    auk_prefix_free(p);
    assert_int_equal(auk_tree_remove(dir, &err), AUK_OK);
    auk_batch_free(b);
    free(warm);
    free(cold);
}

static void side_requests_displace_nothing(void **state)
{
    auk_batch *b = new_batch(1);
    auk_rng rng = auk_rng_make(5);
    auk_prefix *p;
    int32_t ids[200], side[200];
    size_t same;
    auk_err err;

    (void)state;
    auk_prefix_options opts = {.max_bytes = 900 << 10, .model = "m"};
    assert_int_equal(auk_prefix_new(&p, b, &opts, &err), AUK_OK);
    random_ids(ids, 200, &rng);
    feed(b, 0, ids, 200, NULL, &rng);
    auk_prefix_save(p, b, 0, false);
    for (int i = 0; i < 8; i++) {
        random_ids(side, 200, &rng);
        auk_batch_clear(b, 0);
        feed(b, 0, side, 200, NULL, &rng);
        auk_prefix_save(p, b, 0, true);
    }
    int32_t longer[201];
    memcpy(longer, ids, sizeof ids);
    longer[200] = 3;
    auk_prefix_stats stats;
    auk_prefix_stats_get(&stats, p);
    assert_true(stats.refused + stats.evictions > 0);
    assert_int_equal(auk_prefix_load(p, b, 0, longer, 201, &same), 200);
    auk_prefix_free(p);
    auk_batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_computes_what_a_session_does),
        cmocka_unit_test(a_cached_beginning_changes_nothing),
        cmocka_unit_test(what_was_kept_survives_a_restart),
        cmocka_unit_test(side_requests_displace_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
