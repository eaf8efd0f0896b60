/* SPDX-License-Identifier: Apache-2.0 */
/* Published values and values computed independently with rational or long arithmetic. */
#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(x) (sizeof(x) / sizeof *(x))

/* x, rounded to `digits` decimals, is the printed value. */
static void printed(double x, double want, int digits)
{
    double unit = pow(10, -digits);

    if (!(fabs(x - want) <= 0.5000001 * unit))
        fail_msg("%.17g is not %.*f", x, digits, want);
}

/* x has the six digits of a printed value. */
static void close_to(double x, double want)
{
    if (!(fabs(x - want) <= 5e-6 * fabs(want)))
        fail_msg("%.17g is not %.9g", x, want);
}

static const auk_paired mixed_and_rtn = {140, 8, 6, 10};

/* ---- the counts published for the model --------------------------------------------------- */

static void the_published_rates_come_from_these_counts(void **state)
{
    static const struct {
        uint64_t k, n;
        double rate, lo, hi;
    } rates[] = {
        {146, 164, 0.8902, 0.8332, 0.9294}, {148, 164, 0.9024, 0.8474, 0.9391},
        {145, 164, 0.8841, 0.8261, 0.9246}, {233, 257, 0.9066, 0.8648, 0.9364},
        {379, 421, 0.9002, 0.8679, 0.9253},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rates); i++) {
        auk_interval got;
        assert_int_equal(auk_stats_wilson(&got, rates[i].k, rates[i].n, 0.95, NULL), AUK_OK);
        printed((double)rates[i].k / (double)rates[i].n, rates[i].rate, 4);
        printed(got.lo, rates[i].lo, 4);
        printed(got.hi, rates[i].hi, 4);
    }
}

static void eight_against_six_is_p_0_7905_and_no_other_pair_is(void **state)
{
    auk_mcnemar got;
    int hits = 0;
    (void)state;

    assert_int_equal(auk_stats_mcnemar(&got, &mixed_and_rtn, NULL), AUK_OK);
    printed(got.p_exact, 0.7905, 4);
    for (uint64_t b = 0; b <= 60; b++)
        for (uint64_t c = 0; c <= b; c++) {
            auk_paired t = {1, b, c, 0};
            assert_int_equal(auk_stats_mcnemar(&got, &t, NULL), AUK_OK);
            hits += fabs(got.p_exact - 0.7905) < 0.00005;
        }
    assert_int_equal(hits, 1);
}

/* 145 against 146 of 164 */
static void counts_that_differ_by_one_are_p_1_whatever_they_are(void **state)
{
    static const double mid[] = {0.5, 0.625, 0.6875};
    (void)state;

    for (uint64_t k = 0; k <= 18; k++) {
        auk_paired t = {145 - k, k, k + 1, 18 - k};
        auk_mcnemar got;
        assert_int_equal(auk_stats_mcnemar(&got, &t, NULL), AUK_OK);
        assert_true(got.p_exact == 1);
        if (k < COUNT(mid))
            assert_true(got.p_mid == mid[k]);
    }
}

static void the_tie_is_not_shown_within_its_margin(void **state)
{
    static const struct {
        double margin, p_lower, p_upper;
        int digits_lower, digits_upper;
        bool equivalent;
    } margins[] = {
        {0.015, 0.116, 0.451, 3, 3, false},
        {0.03, 0.032, 0.217, 3, 3, false},
        {0.05, 0.0032, 0.0486, 4, 4, true},
        {0.10, 0, 0, 3, 3, true},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(margins); i++) {
        auk_tost got;
        assert_int_equal(auk_stats_tost(&got, &mixed_and_rtn, margins[i].margin, 0.95, NULL),
                         AUK_OK);
        printed(got.p_lower, margins[i].p_lower, margins[i].digits_lower);
        printed(got.p_upper, margins[i].p_upper, margins[i].digits_upper);
        assert_true(got.equivalent == margins[i].equivalent);
        printed(got.interval.lo, -0.0253, 4); /* the 90 % interval */
        printed(got.interval.hi, 0.0497, 4);
        printed(got.se, 0.022795, 6);
        assert_false(got.smoothed);
    }
}

static void the_tie_needs_thousands_of_tasks(void **state)
{
    static const struct {
        double margin, tasks, about;
    } rows[] = {{0.015, 3250, 2}, {0.03, 812, 1}, {0.05, 292, 1}};
    double got;
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(
            auk_stats_tost_tasks(&got, &mixed_and_rtn, rows[i].margin, 0.95, 0.8, NULL), AUK_OK);
        assert_true(fabs(got - rows[i].tasks) <= rows[i].about);
    }
}

static void the_smallest_difference_shrinks_with_the_tasks(void **state)
{
    /* 14 of 164 differ; the same share of 257 and of 421 is not a whole number */
    static const uint64_t n[] = {164, 257, 421};
    static const double points[] = {6.4, 5.1, 4.0};
    (void)state;

    for (size_t i = 0; i < COUNT(n); i++) {
        uint64_t scale = 164; /* 164 times the tasks: a whole number, and sqrt(164) too precise */
        auk_paired t = {n[i] * scale - 14 * n[i], 14 * n[i], 0, 0};
        double got;
        assert_int_equal(auk_stats_smallest_difference(&got, &t, 0.95, 0.8, NULL), AUK_OK);
        printed(100 * got * sqrt((double)scale), points[i], 1);
    }
}

/* ---- intervals ---------------------------------------------------------------------------- */

static void wilson_gives_the_known_intervals(void **state)
{
    static const struct {
        uint64_t k, n;
        double lo, hi;
    } rows[] = {{0, 30, 0, 0.113513},    {1, 30, 0.005909, 0.166704}, {15, 30, 0.331541, 0.668459},
                {30, 30, 0.886487, 1},   {0, 1, 0, 0.793451},         {6, 30, 0.095051, 0.373057},
                {21, 30, 0.5212, 0.8334}};
    auk_interval got;
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(auk_stats_wilson(&got, rows[i].k, rows[i].n, 0.95, NULL), AUK_OK);
        printed(got.lo, rows[i].lo, i < 6 ? 6 : 4);
        printed(got.hi, rows[i].hi, i < 6 ? 6 : 4);
    }
    assert_int_equal(auk_stats_wilson(&got, 6, 10, 0.95, NULL), AUK_OK);
    printed(got.lo, 0.3127, 4);
    printed(got.hi, 0.8318, 4);
}

static void newcombe_for_independent_groups_ignores_the_pairing(void **state)
{
    auk_interval got;
    (void)state;

    assert_int_equal(auk_stats_newcombe(&got, 148, 164, 146, 164, 0.95, NULL), AUK_OK);
    printed(got.lo, -0.0554, 4);
    printed(got.hi, 0.0800, 4);
}

static void newcombe_paired_gives_the_published_intervals(void **state)
{
    static const struct {
        auk_paired t;
        double level, lo, hi;
    } rows[] = {
        {{36, 12, 2, 0}, 0.95, 0.0569, 0.3404}, /* both from Newcombe's examples */
        {{20, 12, 2, 16}, 0.95, 0.0562, 0.3292},
        {{140, 8, 6, 10}, 0.95, -0.0365, 0.0619},
        {{140, 8, 6, 10}, 0.90, -0.0280, 0.0532},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        auk_interval got;
        assert_int_equal(auk_stats_newcombe_paired(&got, &rows[i].t, rows[i].level, NULL), AUK_OK);
        printed(got.lo, rows[i].lo, 4);
        printed(got.hi, rows[i].hi, 4);
    }
}

static void wald_and_agresti_min_bracket_the_published_pair(void **state)
{
    auk_interval got;
    (void)state;

    assert_int_equal(auk_stats_wald(&got, &mixed_and_rtn, 0.95, NULL), AUK_OK);
    printed(got.lo, -0.0325, 4);
    printed(got.hi, 0.0569, 4);
    assert_int_equal(auk_stats_wald(&got, &mixed_and_rtn, 0.90, NULL), AUK_OK);
    printed(got.lo, -0.0253, 4);
    printed(got.hi, 0.0497, 4);
    assert_int_equal(auk_stats_agresti_min(&got, &mixed_and_rtn, 0.95, NULL), AUK_OK);
    printed(got.lo, -0.0336, 4);
    printed(got.hi, 0.0577, 4);
}

/* ---- McNemar ------------------------------------------------------------------------------ */

static void mcnemar_gives_the_known_p_values(void **state)
{
    static const struct {
        uint64_t b, c;
        double exact, mid;
    } rows[] = {
        {0, 5, 0.0625, 0.03125}, /* six pairs, all one way, for p below 0.05 */
        {0, 6, 0.03125, 0.015625},        {1, 8, 0.0390625, 0.02148437},
        {6, 8, 0.7905273, 0.6072388},     {10, 25, 0.0166738, 0.0113310},
        {100, 130, 0.0556136, 0.0481631}, {500, 600, 0.00281954, 0.00256477},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++)
        for (int swap = 0; swap < 2; swap++) {
            auk_paired t = {0, swap ? rows[i].c : rows[i].b, swap ? rows[i].b : rows[i].c, 0};
            auk_mcnemar got;
            assert_int_equal(auk_stats_mcnemar(&got, &t, NULL), AUK_OK);
            close_to(got.p_exact, rows[i].exact);
            close_to(got.p_mid, rows[i].mid);
        }
}

/* ---- several samples ---------------------------------------------------------------------- */

static void pass_at_k_gives_the_known_values(void **state)
{
    static const struct {
        uint64_t n, c, k;
        double want;
    } rows[] = {{10, 3, 1, 0.3}, {10, 3, 5, 0.916667}, {5, 2, 2, 0.7}, {200, 37, 10, 0.877375}};
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        double got;
        assert_int_equal(auk_stats_passk(&got, rows[i].n, rows[i].c, rows[i].k, NULL), AUK_OK);
        close_to(got, rows[i].want);
    }
}

static void pass_hat_k_gives_the_known_values(void **state)
{
    static const struct {
        uint64_t n, c, k;
        double want;
    } rows[] = {
        {4, 3, 2, 0.5}, {4, 3, 3, 0.25}, {4, 3, 4, 0}, {8, 6, 4, 0.214286}, {10, 3, 1, 0.3}};
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        double got;
        assert_int_equal(auk_stats_passhatk(&got, rows[i].n, rows[i].c, rows[i].k, NULL), AUK_OK);
        close_to(got, rows[i].want);
    }
}

/* ---- bootstrap ---------------------------------------------------------------------------- */

static void the_bootstrap_of_the_published_pair_is_near_its_wald_interval(void **state)
{
    auk_bootstrap_options opts = auk_bootstrap_defaults();
    double x[164] = {0};
    auk_bootstrap got;
    (void)state;

    for (size_t i = 0; i < 14; i++)
        x[140 + i] = i < 8 ? 1 : -1;
    for (opts.seed = 1; opts.seed <= 5; opts.seed++) { /* a bound is a whole number of tasks */
        assert_int_equal(auk_stats_bootstrap(&got, x, 164, &opts, NULL), AUK_OK);
        printed(got.mean, 2.0 / 164, 12);
        assert_true(fabs(got.interval.lo - -0.030) < 0.007);
        assert_true(fabs(got.interval.hi - 0.055) < 0.007);
        assert_true(fabs(got.se - 0.0228) < 0.0006);
    }
}

/* ---- the generator of Python's random.Random(1234) ---------------------------------------- */

static auk_mt19937 fresh(void)
{
    auk_mt19937 mt;

    auk_mt19937_init(&mt, 1234);
    return mt;
}

static void mt19937_draws_what_python_draws(void **state)
{
    static const double unit[] = {0.9664535356921388, 0.4407325991753527, 0.007491470058587191};
    static const uint64_t bits[] = {4150886329u, 3342196574u, 1892932127u, 501869158u};
    static const uint64_t below[] = {99, 56, 14, 0, 11};
    auk_mt19937 mt = fresh();
    (void)state;

    for (size_t i = 0; i < COUNT(unit); i++)
        assert_true(auk_mt19937_unit(&mt) == unit[i]);
    mt = fresh();
    for (size_t i = 0; i < COUNT(bits); i++)
        assert_true(auk_mt19937_bits(&mt, 32) == bits[i]);
    mt = fresh();
    for (size_t i = 0; i < COUNT(below); i++)
        assert_true(auk_mt19937_below(&mt, 100) == below[i]);
}

static void mt19937_samples_and_shuffles_as_python_does(void **state)
{
    static const uint64_t large[] = {199, 112, 29, 1, 23, 206, 149, 8, 171, 177, 21, 25, 196};
    static const uint64_t small[] = {7, 1, 0};
    static const uint64_t shuffled[] = {2, 3, 8, 4, 11, 6, 5, 9, 10, 0, 1, 7};
    uint64_t got[13];
    auk_mt19937 mt = fresh();
    (void)state;

    assert_int_equal(auk_mt19937_sample(got, &mt, 231, COUNT(large), NULL), AUK_OK);
    assert_memory_equal(got, large, sizeof large);
    mt = fresh();
    assert_int_equal(auk_mt19937_sample(got, &mt, 10, COUNT(small), NULL), AUK_OK);
    assert_memory_equal(got, small, sizeof small);
    mt = fresh();
    for (uint64_t i = 0; i < COUNT(shuffled); i++)
        got[i] = i;
    auk_mt19937_shuffle(&mt, got, COUNT(shuffled));
    assert_memory_equal(got, shuffled, sizeof shuffled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_rates_come_from_these_counts),
        cmocka_unit_test(eight_against_six_is_p_0_7905_and_no_other_pair_is),
        cmocka_unit_test(counts_that_differ_by_one_are_p_1_whatever_they_are),
        cmocka_unit_test(the_tie_is_not_shown_within_its_margin),
        cmocka_unit_test(the_tie_needs_thousands_of_tasks),
        cmocka_unit_test(the_smallest_difference_shrinks_with_the_tasks),
        cmocka_unit_test(wilson_gives_the_known_intervals),
        cmocka_unit_test(newcombe_for_independent_groups_ignores_the_pairing),
        cmocka_unit_test(newcombe_paired_gives_the_published_intervals),
        cmocka_unit_test(wald_and_agresti_min_bracket_the_published_pair),
        cmocka_unit_test(mcnemar_gives_the_known_p_values),
        cmocka_unit_test(pass_at_k_gives_the_known_values),
        cmocka_unit_test(pass_hat_k_gives_the_known_values),
        cmocka_unit_test(the_bootstrap_of_the_published_pair_is_near_its_wald_interval),
        cmocka_unit_test(mt19937_draws_what_python_draws),
        cmocka_unit_test(mt19937_samples_and_shuffles_as_python_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
