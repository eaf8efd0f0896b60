/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/special.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(x) (sizeof(x) / sizeof *(x))

/* Relative difference; `want` has the digits of 40-digit arithmetic. */
static void near(double x, double want, double limit)
{
    if (!(fabs(x - want) <= limit * fabs(want)))
        fail_msg("%.17g is not %.17g: off by %.2g", x, want, fabs(x / want - 1));
}

static void exp_and_log_are_those_of_the_library(void **state)
{
    auk_rng rng = auk_rng_make(1);
    (void)state;

    for (int i = 0; i < 20000; i++) {
        double x = 1450 * (auk_rng_unit(&rng) - 0.5);
        double y = ldexp(1 + auk_rng_unit(&rng), (int)auk_rng_below(&rng, 1900) - 950);
        if (x > -708 && x < 709)
            near(auk_stats_exp(x), exp(x), 4.5e-16);
        near(auk_stats_log(y), log(y), 4.5e-16);
    }
}

static void exp_keeps_its_ends(void **state)
{
    (void)state;

    assert_true(auk_stats_exp(0) == 1);
    assert_true(auk_stats_exp(-800) == 0 && auk_stats_exp(-INFINITY) == 0);
    assert_true(isinf(auk_stats_exp(800)) && isnan(auk_stats_exp(NAN)));
    assert_true(auk_stats_exp(-744) > 0);
    assert_true(auk_stats_log(1) == 0);
}

static void normal_tails_are_right_down_to_1e_300(void **state)
{
    static const struct {
        double z, upper;
    } rows[] = {
        {0, 0.5},
        {0.5, 0.30853753872598689636},
        {1.999, 0.022804176932658882735},
        {2, 0.022750131948179207200},
        {3, 0.0013498980316300945267},
        {10, 7.6198530241605260660e-24},
        {37, 5.7255712225245768227e-300},
        {-1, 0.84134474606854294859},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++)
        near(auk_stats_normal_upper(rows[i].z), rows[i].upper, 2e-13);
    assert_true(auk_stats_normal_upper(40) == 0 && auk_stats_normal_upper(INFINITY) == 0);
    assert_true(auk_stats_normal_upper(-INFINITY) == 1);
    assert_true(isnan(auk_stats_normal_upper(NAN)));
}

static void normal_tails_agree_with_erfc(void **state)
{
    (void)state;

    for (double z = -8; z < 26; z += 0.001)
        near(auk_stats_normal_upper(z), 0.5 * erfc(z / sqrt(2)), 3e-13);
}

static void quantiles_have_all_their_digits(void **state)
{
    static const struct {
        double p, z;
    } rows[] = {
        {0.025, 1.9599639845400542118}, {0.05, 1.644853626951472688},
        {0.2, 0.84162123357291416552},  {0.005, 2.5758293035489007538},
        {1e-10, 6.3613409024040561991}, {1e-300, 37.047096299361199237},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++)
        near(auk_stats_normal_upper_quantile(rows[i].p), rows[i].z, 4e-15);
    assert_true(auk_stats_normal_upper_quantile(0.5) == 0);
    near(auk_stats_normal_upper_quantile(0.975), -1.9599639845400542355, 4e-15);
    assert_true(isnan(auk_stats_normal_upper_quantile(0)));
    assert_true(isnan(auk_stats_normal_upper_quantile(1)));
    assert_true(isnan(auk_stats_normal_upper_quantile(NAN)));
}

static void a_quantile_undoes_a_tail(void **state)
{
    auk_rng rng = auk_rng_make(2);
    (void)state;

    for (int i = 0; i < 2000; i++) {
        double p = auk_stats_exp(-680 * auk_rng_unit(&rng) * auk_rng_unit(&rng)) / 2;
        if (p < 0.499)
            near(auk_stats_normal_upper(auk_stats_normal_upper_quantile(p)), p, 5e-13);
    }
}

static void small_binomials_are_exact(void **state)
{
    (void)state;

    for (uint64_t n = 0; n <= 50; n++) {
        double sum = 0;
        for (uint64_t k = 0; k <= n; k++)
            sum += auk_stats_binomial_half(n, k);
        assert_true(sum == 1);
    }
    assert_true(auk_stats_binomial_half(14, 6) == 3003.0 / 16384);
    assert_true(auk_stats_binomial_half(50, 25) == ldexp(126410606437752.0, -50));
}

static void large_binomials_keep_their_digits(void **state)
{
    static const struct {
        uint64_t n, k;
        double want;
    } rows[] = {
        {51, 1, 2.2648549702353193425e-14},
        {1000, 500, 0.025225018178360801907},
        {1000, 1, 9.3326361850321887899e-299},
        {1000000, 500000, 0.00079788436133175008909},
        {1000000, 490000, 1.0897802392975551615e-90},
        {1000000000, 500000000, 2.5231325213893769178e-05},
        {1000000000, 499800000, 4.5538698823245007494e-40},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++)
        near(auk_stats_binomial_half(rows[i].n, rows[i].k), rows[i].want, 1e-12);
    near(auk_stats_binomial_half(1000, 1), auk_stats_binomial_half(1000, 999), 1e-12);
    assert_true(auk_stats_binomial_half(2000, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_and_log_are_those_of_the_library),
        cmocka_unit_test(exp_keeps_its_ends),
        cmocka_unit_test(normal_tails_are_right_down_to_1e_300),
        cmocka_unit_test(normal_tails_agree_with_erfc),
        cmocka_unit_test(quantiles_have_all_their_digits),
        cmocka_unit_test(a_quantile_undoes_a_tail),
        cmocka_unit_test(small_binomials_are_exact),
        cmocka_unit_test(large_binomials_keep_their_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
