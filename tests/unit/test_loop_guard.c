/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "engine/engine.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* What is promised: 256 ids for periods up to 16, else max(512, 4 p); four times that leniently. */
static int limit_of(int period, bool lenient)
{
    int limit = period <= 16 ? 256 : 4 * period > 512 ? 4 * period : 512;
    return lenient ? 4 * limit : limit;
}

/* Feeds a block of `period` distinct ids again and again, at most n ids; the number of the id at
 * which the guard trips, 0 when it does not.  *found is the period it names. */
static int feed_block(auk_loop_guard *g, int period, int n, bool lenient, int *found)
{
    for (int i = 0; i < n; i++) {
        *found = auk_loop_guard_add(g, 1000 + i % period, lenient);
        if (*found != 0)
            return i + 1;
    }
    return 0;
}

static void trips_at(int period, bool lenient, int want)
{
    auk_loop_guard g;
    int found = 0;

    auk_loop_guard_init(&g);
    int at = feed_block(&g, period, want + 1, lenient, &found);
    if (at != want || found != period)
        fail_msg("period %d%s: tripped at %d with period %d, want %d", period,
                 lenient ? " (lenient)" : "", at, found, want);
}

static void the_same_id_trips_at_the_256th(void **state)
{
    (void)state;
    trips_at(1, false, 256);
}

static void the_limit_changes_between_periods_16_and_17(void **state)
{
    (void)state;
    trips_at(16, false, 256);
    trips_at(17, false, 512);
}

static void from_period_129_on_four_repeats_are_needed(void **state)
{
    (void)state;
    trips_at(128, false, 512);
    trips_at(129, false, 516);
    trips_at(200, false, 800);
    trips_at(256, false, 1024);
}

static void code_and_tool_arguments_may_repeat_four_times_longer(void **state)
{
    (void)state;
    trips_at(1, true, 1024);
    trips_at(16, true, 1024);
    trips_at(17, true, 2048);
    trips_at(200, true, 3200);
}

static void every_period_trips_exactly_at_its_limit_and_is_named(void **state)
{
    (void)state;
    for (int period = 1; period <= AUK_LOOP_MAX_PERIOD; period++) {
        trips_at(period, false, limit_of(period, false));
        if (period % 37 == 1)
            trips_at(period, true, limit_of(period, true));
    }
}

static void a_longer_period_never_trips(void **state)
{
    auk_loop_guard g;
    int found = 0;
    (void)state;

    auk_loop_guard_init(&g);
    assert_int_equal(feed_block(&g, AUK_LOOP_MAX_PERIOD + 1, 20000, false, &found), 0);
}

static void three_repeats_of_a_long_block_are_let_pass(void **state)
{
    auk_loop_guard g;
    int found = 0;
    (void)state;

    auk_loop_guard_init(&g);
    assert_int_equal(feed_block(&g, 256, 3 * 256, false, &found), 0);
}

static void what_came_before_the_loop_does_not_count(void **state)
{
    (void)state;

    for (int before = 0; before < 700; before += 61) {
        auk_loop_guard g;
        int found = 0;
        auk_loop_guard_init(&g);
        for (int i = 0; i < before; i++)
            assert_int_equal(auk_loop_guard_add(&g, 5000 + i, false), 0);
        assert_int_equal(feed_block(&g, 7, 300, false, &found), 256);
        assert_int_equal(found, 7);
    }
}

static void after_a_break_the_count_starts_anew(void **state)
{
    auk_loop_guard g;
    int found = 0;
    (void)state;

    auk_loop_guard_init(&g);
    assert_int_equal(feed_block(&g, 1, 255, false, &found), 0);
    assert_int_equal(auk_loop_guard_add(&g, 7, false), 0); /* one other id */
    assert_int_equal(feed_block(&g, 1, 300, false, &found), 256);
}

static void an_initialized_guard_has_forgotten_everything(void **state)
{
    auk_loop_guard g;
    int found = 0;
    (void)state;

    auk_loop_guard_init(&g);
    assert_int_equal(feed_block(&g, 3, 255, false, &found), 0);
    auk_loop_guard_init(&g);
    assert_int_equal(feed_block(&g, 3, 300, false, &found), 256);
}

static void leaving_code_applies_the_shorter_limit_at_once(void **state)
{
    auk_loop_guard g;
    int found = 0;
    (void)state;

    auk_loop_guard_init(&g);
    assert_int_equal(feed_block(&g, 1, 600, true, &found), 0);
    assert_int_equal(auk_loop_guard_add(&g, 1000, false), 1);
}

static void random_ids_do_not_trip(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        auk_rng rng = auk_rng_make(seed);
        auk_loop_guard g;
        auk_loop_guard_init(&g);
        for (int i = 0; i < 20000; i++)
            if (auk_loop_guard_add(&g, (int32_t)auk_rng_below(&rng, 4), false) != 0)
                fail_msg("seed %" PRIu64 ": tripped at %d", seed, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_id_trips_at_the_256th),
        cmocka_unit_test(the_limit_changes_between_periods_16_and_17),
        cmocka_unit_test(from_period_129_on_four_repeats_are_needed),
        cmocka_unit_test(code_and_tool_arguments_may_repeat_four_times_longer),
        cmocka_unit_test(every_period_trips_exactly_at_its_limit_and_is_named),
        cmocka_unit_test(a_longer_period_never_trips),
        cmocka_unit_test(three_repeats_of_a_long_block_are_let_pass),
        cmocka_unit_test(what_came_before_the_loop_does_not_count),
        cmocka_unit_test(after_a_break_the_count_starts_anew),
        cmocka_unit_test(an_initialized_guard_has_forgotten_everything),
        cmocka_unit_test(leaving_code_applies_the_shorter_limit_at_once),
        cmocka_unit_test(random_ids_do_not_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
