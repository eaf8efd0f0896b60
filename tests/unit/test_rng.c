/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_sequence_is_splitmix64(void **state)
{
    /* the reference implementation (Vigna, splitmix64.c) from seed 1234567 */
    static const uint64_t want[] = {6457827717110365317u, 3203168211198807973u,
                                    9817491932198370423u, 4593380528125082431u,
                                    16408922859458223821u};
    auk_rng rng = auk_rng_make(1234567);
    (void)state;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_true(auk_rng_next(&rng) == want[i]);
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
    auk_rng a = auk_rng_make(42), b = auk_rng_make(42), c = auk_rng_make(43);
    int n_same = 0;
    (void)state;

    for (int i = 0; i < 1000; i++) {
        uint64_t x = auk_rng_next(&a);
        assert_true(x == auk_rng_next(&b));
        n_same += x == auk_rng_next(&c);
    }
    assert_int_equal(n_same, 0);
}

static void units_are_in_range_and_even(void **state)
{
    auk_rng rng = auk_rng_make(1);
    double sum = 0;
    (void)state;

    for (int i = 0; i < 100000; i++) {
        double x = auk_rng_unit(&rng);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(sum / 100000 > 0.497 && sum / 100000 < 0.503); /* 3 standard errors: 0.0027 */
}

static void below_hits_every_value_about_equally(void **state)
{
    (void)state;

    for (uint64_t n = 1; n <= 20; n++) {
        auk_rng rng = auk_rng_make(n);
        int hits[20] = {0};
        for (int i = 0; i < 20000; i++) {
            uint64_t x = auk_rng_below(&rng, n);
            assert_true(x < n);
            hits[x]++;
        }
        for (uint64_t x = 0; x < n; x++)
            assert_true(hits[x] > 0.8 * 20000 / (double)n && hits[x] < 1.2 * 20000 / (double)n);
    }
}

static void below_takes_any_bound(void **state)
{
    auk_rng rng = auk_rng_make(3);
    (void)state;

    for (int i = 0; i < 1000; i++) {
        uint64_t huge = ((uint64_t)1 << 63) + 1; /* nearly half of all draws are refused */
        assert_true(auk_rng_below(&rng, huge) < huge);
        assert_true(auk_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
        assert_true(auk_rng_below(&rng, 1) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_splitmix64),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(units_are_in_range_and_even),
        cmocka_unit_test(below_hits_every_value_about_equally),
        cmocka_unit_test(below_takes_any_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
