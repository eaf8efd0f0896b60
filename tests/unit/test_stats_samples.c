/* SPDX-License-Identifier: Apache-2.0 */
/* One proportion, several samples per task, several comparisons, the bootstrap. */
#include "stats/stats.h"

#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(x) (sizeof(x) / sizeof *(x))

static void near(double x, double want, double limit)
{
    if (!(fabs(x - want) <= limit * fabs(want)))
        fail_msg("%.17g is not %.17g", x, want);
}

/* ---- wilson, newcombe --------------------------------------------------------------------- */

static void wilson_ends_are_exact_and_mirror_each_other(void **state)
{
    (void)state;

    for (uint64_t n = 1; n < 60; n++)
        for (uint64_t k = 0; k <= n; k++) {
            auk_interval x, y;
            assert_int_equal(auk_stats_wilson(&x, k, n, 0.95, NULL), AUK_OK);
            assert_int_equal(auk_stats_wilson(&y, n - k, n, 0.95, NULL), AUK_OK);
            assert_true((k == 0) == (x.lo == 0) && (k == n) == (x.hi == 1));
            assert_true(x.lo <= (double)k / (double)n && x.hi >= (double)k / (double)n);
            assert_true(fabs(x.lo + y.hi - 1) < 1e-15);
        }
}

static void wilson_keeps_its_digits_near_0(void **state)
{
    auk_interval x;
    (void)state;

    assert_int_equal(auk_stats_wilson(&x, 1, 1000000000, 0.95, NULL), AUK_OK);
    near(x.lo, 1.7652455495696313e-10, 1e-14); /* 40-digit arithmetic */
    near(x.hi, 5.6649342432974394e-9, 1e-14);
}

static void newcombe_changes_sign_with_the_groups(void **state)
{
    auk_rng rng = auk_rng_make(3);
    (void)state;

    for (int i = 0; i < 2000; i++) {
        uint64_t n1 = 1 + auk_rng_below(&rng, 500), n2 = 1 + auk_rng_below(&rng, 500);
        uint64_t k1 = auk_rng_below(&rng, n1 + 1), k2 = auk_rng_below(&rng, n2 + 1);
        auk_interval x, y;
        assert_int_equal(auk_stats_newcombe(&x, k1, n1, k2, n2, 0.9, NULL), AUK_OK);
        assert_int_equal(auk_stats_newcombe(&y, k2, n2, k1, n1, 0.9, NULL), AUK_OK);
        assert_true(fabs(x.lo + y.hi) < 1e-14 && fabs(x.hi + y.lo) < 1e-14);
        assert_true(x.lo >= -1 && x.hi <= 1 && x.lo < x.hi);
    }
}

static void impossible_proportions_are_refused(void **state)
{
    auk_interval x;
    auk_err err;
    (void)state;

    assert_int_equal(auk_stats_wilson(&x, 5, 3, 0.95, &err), AUK_EINVAL);
    assert_string_equal(err.msg, "k = 5 is more than n = 3");
    assert_int_equal(auk_stats_wilson(&x, 0, 0, 0.95, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_wilson(&x, 0, AUK_STATS_MAX_COUNT + 1, 0.95, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_wilson(&x, 1, 3, 95, &err), AUK_EINVAL);
    assert_string_equal(err.msg, "the level 95 is not between 0 and 1");
    assert_int_equal(auk_stats_newcombe(&x, 5, 3, 1, 2, 0.95, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_newcombe(&x, 1, 3, 3, 2, 0.95, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_newcombe(&x, 1, 3, 0, 0, 0.95, NULL), AUK_EINVAL);
}

/* ---- pass@k, pass^k ----------------------------------------------------------------------- */

/* The definition: all subsets of k samples, as bits of a number. */
static void passk_and_passhatk_count_the_subsets(void **state)
{
    (void)state;

    for (unsigned n = 1; n <= 10; n++)
        for (unsigned c = 0; c <= n; c++)
            for (unsigned k = 1; k <= n; k++) {
                unsigned all = 0, some = 0, every = 0;
                for (unsigned subset = 0; subset < 1u << n; subset++) {
                    unsigned size = 0, good = 0;
                    for (unsigned i = 0; i < n; i++) {
                        size += subset >> i & 1;
                        good += i < c && (subset >> i & 1);
                    }
                    all += size == k;
                    some += size == k && good > 0;
                    every += size == k && good == k;
                }
                double at, hat;
                assert_int_equal(auk_stats_passk(&at, n, c, k, NULL), AUK_OK);
                assert_int_equal(auk_stats_passhatk(&hat, n, c, k, NULL), AUK_OK);
                near(at, (double)some / all, 1e-15);
                near(hat, (double)every / all, 1e-15);
            }
}

static void huge_sample_counts_take_no_time_and_keep_their_digits(void **state)
{
    double x;
    (void)state;

    assert_int_equal(auk_stats_passk(&x, 1000000000, 1, 3, NULL), AUK_OK);
    near(x, 3e-9, 1e-15);
    assert_int_equal(auk_stats_passk(&x, 1000000000, 400000000, 500000000, NULL), AUK_OK);
    assert_true(x == 1);
    assert_int_equal(auk_stats_passhatk(&x, 1000000000, 999999999, 500000000, NULL), AUK_OK);
    near(x, 0.5, 1e-15);
    assert_int_equal(auk_stats_passhatk(&x, 1000000000, 500000000, 400000000, NULL), AUK_OK);
    assert_true(x == 0);
}

static void more_tries_than_samples_are_refused(void **state)
{
    int (*const estimates[])(double *, uint64_t, uint64_t, uint64_t,
                             auk_err *) = {auk_stats_passk, auk_stats_passhatk};
    double x;
    auk_err err;
    (void)state;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(estimates[i](&x, 5, 2, 6, &err), AUK_EINVAL);
        assert_string_equal(err.msg, "k = 6 is not within 1 to n = 5");
        assert_int_equal(estimates[i](&x, 5, 6, 1, &err), AUK_EINVAL);
        assert_string_equal(err.msg, "c = 6 is more than n = 5");
        assert_int_equal(estimates[i](&x, 5, 2, 0, NULL), AUK_EINVAL);
        assert_int_equal(estimates[i](&x, 0, 0, 0, NULL), AUK_EINVAL);
        assert_int_equal(estimates[i](&x, (uint64_t)AUK_STATS_MAX_COUNT + 1, 2, 1, NULL),
                         AUK_EINVAL);
    }
}

/* ---- holm --------------------------------------------------------------------------------- */

static void holm_steps_down_in_the_order_given(void **state)
{
    double p[] = {0.01, 0.04, 0.03, 0.005}, adjusted[4];
    (void)state;

    assert_int_equal(auk_stats_holm(adjusted, p, 4, NULL), AUK_OK);
    near(adjusted[0], 0.03, 1e-15);
    near(adjusted[1], 0.06, 1e-15); /* 0.04 alone, raised to its neighbour's */
    near(adjusted[2], 0.06, 1e-15);
    near(adjusted[3], 0.02, 1e-15);
    assert_int_equal(auk_stats_holm(p, p, 4, NULL), AUK_OK);
    assert_memory_equal(p, adjusted, sizeof p);
}

static void holm_is_capped_at_1_and_leaves_a_single_p_alone(void **state)
{
    double p[] = {0.9, 0.4, 0.6}, one = 0.3;
    (void)state;

    assert_int_equal(auk_stats_holm(p, p, 3, NULL), AUK_OK);
    assert_true(p[0] == 1 && p[1] == 1 && p[2] == 1);
    assert_int_equal(auk_stats_holm(&one, &one, 1, NULL), AUK_OK);
    assert_true(one == 0.3);
}

static void what_is_no_probability_is_refused(void **state)
{
    static const double bad[] = {-0.01, 1.01, NAN, INFINITY};
    auk_err err;
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        double p[] = {0.5, bad[i]};
        assert_int_equal(auk_stats_holm(p, p, 2, &err), AUK_EINVAL);
        assert_true(p[0] == 0.5);
    }
    assert_int_equal(auk_stats_holm(NULL, NULL, 0, NULL), AUK_EINVAL);
}

/* ---- bootstrap ---------------------------------------------------------------------------- */

static void the_same_seed_gives_the_same_bounds(void **state)
{
    auk_bootstrap_options opts = auk_bootstrap_defaults();
    double x[40];
    auk_bootstrap a, b, c;
    (void)state;

    for (int i = 0; i < 40; i++)
        x[i] = (i * 7 % 40) / 40.0;
    assert_int_equal(auk_stats_bootstrap(&a, x, 40, &opts, NULL), AUK_OK);
    assert_int_equal(auk_stats_bootstrap(&b, x, 40, &opts, NULL), AUK_OK);
    opts.seed++;
    assert_int_equal(auk_stats_bootstrap(&c, x, 40, &opts, NULL), AUK_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.interval.lo != c.interval.lo || a.interval.hi != c.interval.hi);
    assert_true(fabs(a.interval.lo - c.interval.lo) < 0.01);
}

static void a_table_is_zeros_ones_minus_ones_zeros(void **state)
{
    auk_bootstrap_options opts = auk_bootstrap_defaults();
    auk_paired t = {3, 2, 1, 4}, none = {0, 0, 0, 0};
    double x[10] = {0, 0, 0, 1, 1, -1};
    auk_bootstrap a, b;
    (void)state;

    assert_int_equal(auk_stats_bootstrap(&a, x, 10, &opts, NULL), AUK_OK);
    assert_int_equal(auk_stats_bootstrap_paired(&b, &t, &opts, NULL), AUK_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(auk_stats_bootstrap_paired(&b, &none, &opts, NULL), AUK_EINVAL);
}

static void values_without_spread_have_a_bootstrap_without_width(void **state)
{
    auk_bootstrap_options opts = auk_bootstrap_defaults();
    double x[] = {0.25, 0.25, 0.25};
    auk_bootstrap got;
    (void)state;

    assert_int_equal(auk_stats_bootstrap(&got, x, 3, &opts, NULL), AUK_OK);
    assert_true(got.mean == 0.25 && got.se == 0);
    assert_true(got.interval.lo == 0.25 && got.interval.hi == 0.25);
}

static void few_resamples_and_endless_ones_are_refused(void **state)
{
    auk_bootstrap_options few = auk_bootstrap_defaults(), many = few, level = few;
    double x[] = {0, 1};
    auk_bootstrap got;
    (void)state;

    few.resamples = 9999;
    many.resamples = 10000001;
    level.level = 1;
    assert_int_equal(auk_stats_bootstrap(&got, x, 2, &few, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_bootstrap(&got, x, 2, &many, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_bootstrap(&got, x, 2, &level, NULL), AUK_EINVAL);
    few.resamples = 10000;
    assert_int_equal(auk_stats_bootstrap(&got, x, 0, &few, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_bootstrap(&got, x, 2000001, &few, NULL), AUK_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_ends_are_exact_and_mirror_each_other),
        cmocka_unit_test(wilson_keeps_its_digits_near_0),
        cmocka_unit_test(newcombe_changes_sign_with_the_groups),
        cmocka_unit_test(impossible_proportions_are_refused),
        cmocka_unit_test(passk_and_passhatk_count_the_subsets),
        cmocka_unit_test(huge_sample_counts_take_no_time_and_keep_their_digits),
        cmocka_unit_test(more_tries_than_samples_are_refused),
        cmocka_unit_test(holm_steps_down_in_the_order_given),
        cmocka_unit_test(holm_is_capped_at_1_and_leaves_a_single_p_alone),
        cmocka_unit_test(what_is_no_probability_is_refused),
        cmocka_unit_test(the_same_seed_gives_the_same_bounds),
        cmocka_unit_test(a_table_is_zeros_ones_minus_ones_zeros),
        cmocka_unit_test(values_without_spread_have_a_bootstrap_without_width),
        cmocka_unit_test(few_resamples_and_endless_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
