/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static double quantile(const double *x, size_t n, double q)
{
    double copy[64];

    for (size_t i = 0; i < n; i++)
        copy[i] = x[i];
    return auk_stats_quantile(copy, n, q);
}

/* Values of numpy.quantile (method 'linear', which is type 7). */
static void quantiles_lie_on_the_line_between_order_statistics(void **state)
{
    static const double x[] = {5, 1, 4, 2, 3}, pair[] = {10, 20};
    (void)state;

    assert_true(quantile(x, 5, 0) == 1);
    assert_true(quantile(x, 5, 0.25) == 2);
    assert_true(quantile(x, 5, 0.5) == 3);
    assert_true(fabs(quantile(x, 5, 0.9) - 4.6) < 1e-15);
    assert_true(fabs(quantile(x, 5, 0.99) - 4.96) < 1e-14);
    assert_true(quantile(x, 5, 1) == 5);
    assert_true(quantile(pair, 2, 0.5) == 15);
    assert_true(quantile(pair, 2, 0.1) == 11);
}

static void the_quantile_of_one_value_is_that_value(void **state)
{
    static const double x[] = {7.5};
    (void)state;

    assert_true(quantile(x, 1, 0) == 7.5);
    assert_true(quantile(x, 1, 0.999) == 7.5);
    assert_true(quantile(x, 1, 1) == 7.5);
}

static void nothing_has_no_quantile_and_no_mean(void **state)
{
    double mean, se, none = 0;
    (void)state;

    assert_true(isnan(auk_stats_quantile(&none, 0, 0.5)));
    auk_stats_mean(&mean, &se, &none, 0);
    assert_true(isnan(mean) && isnan(se));
}

static void quantiles_grow_with_q_and_stay_within_the_sample(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        auk_rng rng = auk_rng_make(seed);
        double x[64], last = -INFINITY;
        size_t n = 1 + (size_t)auk_rng_below(&rng, 64);
        for (size_t i = 0; i < n; i++)
            x[i] = auk_rng_unit(&rng) - 0.5;
        double lo = quantile(x, n, 0), hi = quantile(x, n, 1);
        for (int k = 0; k <= 20; k++) {
            double q = quantile(x, n, k / 20.0);
            if (!(q >= last && q >= lo && q <= hi))
                fail_msg("seed %" PRIu64 ": q %d/20", seed, k);
            last = q;
        }
    }
}

static void the_mean_and_its_error_are_those_of_the_textbook(void **state)
{
    static const double x[] = {2, 4, 4, 4, 5, 5, 7, 9};
    double mean, se;
    (void)state;

    auk_stats_mean(&mean, &se, x, 8);
    assert_true(mean == 5);
    assert_true(fabs(se - sqrt(32.0 / 7 / 8)) < 1e-15);
    auk_stats_mean(&mean, &se, x, 1);
    assert_true(mean == 2 && isnan(se));
}

static void a_shift_moves_the_mean_and_not_its_error(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        auk_rng rng = auk_rng_make(seed);
        double x[32], y[32], mx, my, sx, sy;
        for (int i = 0; i < 32; i++) {
            x[i] = auk_rng_unit(&rng);
            y[i] = 3 + x[i];
        }
        auk_stats_mean(&mx, &sx, x, 32);
        auk_stats_mean(&my, &sy, y, 32);
        if (fabs(my - mx - 3) > 1e-13 || fabs(sy - sx) > 1e-13)
            fail_msg("seed %" PRIu64, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_lie_on_the_line_between_order_statistics),
        cmocka_unit_test(the_quantile_of_one_value_is_that_value),
        cmocka_unit_test(nothing_has_no_quantile_and_no_mean),
        cmocka_unit_test(quantiles_grow_with_q_and_stay_within_the_sample),
        cmocka_unit_test(the_mean_and_its_error_are_those_of_the_textbook),
        cmocka_unit_test(a_shift_moves_the_mean_and_not_its_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
