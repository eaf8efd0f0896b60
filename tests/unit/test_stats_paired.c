/* SPDX-License-Identifier: Apache-2.0 */
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

static auk_paired a_table(auk_rng *rng, uint64_t most)
{
    return (auk_paired){auk_rng_below(rng, most), auk_rng_below(rng, most),
                        auk_rng_below(rng, most), auk_rng_below(rng, most)};
}

/* ---- McNemar ------------------------------------------------------------------------------ */

/* The definition, in integers: sums of C(n,i) by Pascal's rule below 2^63. */
static void mcnemar_is_the_sum_it_is_defined_as(void **state)
{
    uint64_t row[51] = {1};
    (void)state;

    for (uint64_t n = 1; n <= 50; n++) {
        for (uint64_t i = n; i > 0; i--)
            row[i] += row[i - 1];
        for (uint64_t k = 0, sum = 0; 2 * k <= n; k++) {
            auk_paired t = {3, k, n - k, 1};
            auk_mcnemar got;
            sum += row[k];
            double exact = 2 * ldexp((double)sum, -(int)n);
            double mid = 2 * k == n ? 1 : exact - ldexp((double)row[k], -(int)n);
            assert_int_equal(auk_stats_mcnemar(&got, &t, NULL), AUK_OK);
            assert_true(got.p_exact == fmin(1, exact));
            assert_true(got.p_mid == mid);
        }
    }
}

static void mcnemar_keeps_its_digits_far_out_and_for_many(void **state)
{
    static const struct {
        uint64_t b, c;
        double exact, mid; /* 40-digit arithmetic */
    } rows[] = {
        {60, 11, 2.63332853450443799e-9, 1.54889453605710462e-9},
        {1, 997, 7.45864283907772528e-298, 3.73305447401287552e-298},
        {30, 1100, 1.40979525801936539e-281, 7.24086280258007187e-282},
        {5100, 5300, 0.0510095467231802909, 0.0498659837478110994},
        {400000, 414000, 2.68036434142807286e-54, 2.63486070962477023e-54},
        {499999000, 500000000, 0.974798085500604861, 0.974772866775303415},
        {499500000, 500200000, 1.32468622645777092e-108, 1.32375743473868392e-108},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        auk_paired t = {0, rows[i].b, rows[i].c, 0};
        auk_mcnemar got;
        assert_int_equal(auk_stats_mcnemar(&got, &t, NULL), AUK_OK);
        near(got.p_exact, rows[i].exact, i < 5 ? 1e-12 : 1e-10);
        near(got.p_mid, rows[i].mid, i < 5 ? 1e-12 : 1e-10);
    }
}

static void pairs_that_agree_do_not_move_mcnemar(void **state)
{
    auk_paired small = {0, 3, 11, 0}, large = {900, 3, 11, 40}, none = {7, 0, 0, 2};
    auk_mcnemar x, y;
    (void)state;

    assert_int_equal(auk_stats_mcnemar(&x, &small, NULL), AUK_OK);
    assert_int_equal(auk_stats_mcnemar(&y, &large, NULL), AUK_OK);
    assert_true(x.p_exact == y.p_exact && x.p_mid == y.p_mid);
    assert_int_equal(auk_stats_mcnemar(&x, &none, NULL), AUK_OK);
    assert_true(x.p_exact == 1 && x.p_mid == 1);
}

static void six_pairs_in_one_direction_are_the_fewest_at_0_95(void **state)
{
    static const struct {
        double level;
        unsigned fewest;
    } rows[] = {{0.95, 6}, {0.99, 8}, {0.9, 5}, {0.999, 11}};
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned got;
        auk_paired t = {0, rows[i].fewest, 0, 0}, less = {0, rows[i].fewest - 1, 0, 0};
        auk_mcnemar p, q;
        assert_int_equal(auk_stats_mcnemar_fewest(&got, rows[i].level, NULL), AUK_OK);
        assert_int_equal(got, rows[i].fewest);
        assert_int_equal(auk_stats_mcnemar(&p, &t, NULL), AUK_OK);
        assert_int_equal(auk_stats_mcnemar(&q, &less, NULL), AUK_OK);
        assert_true(p.p_exact < 1 - rows[i].level && q.p_exact >= 1 - rows[i].level);
    }
}

/* ---- laws --------------------------------------------------------------------------------- */

/* Every interval of B - A is that of A - B turned round, and holds the difference. */
static void changing_the_runs_places_turns_the_interval_round(void **state)
{
    int (*const intervals[])(auk_interval *, const auk_paired *, double, auk_err *) = {
        auk_stats_newcombe_paired, auk_stats_wald, auk_stats_agresti_min};
    (void)state;

    for (uint64_t seed = 1; seed <= 3000; seed++) {
        auk_rng rng = auk_rng_make(seed);
        auk_paired t = a_table(&rng, 1 + seed % 500);
        auk_paired back = {t.a, t.c, t.b, t.d};
        if (t.a + t.b + t.c + t.d == 0)
            continue;
        double n = (double)(t.a + t.b + t.c + t.d), d = ((double)t.b - (double)t.c) / n;
        for (size_t i = 0; i < COUNT(intervals); i++) {
            auk_interval x, y;
            assert_int_equal(intervals[i](&x, &t, 0.9, NULL), AUK_OK);
            assert_int_equal(intervals[i](&y, &back, 0.9, NULL), AUK_OK);
            if (fabs(x.lo + y.hi) > 1e-14 || fabs(x.hi + y.lo) > 1e-14)
                fail_msg("seed %" PRIu64 ", interval %zu is not symmetric", seed, i);
            if (i < 2 && !(x.lo <= d + 1e-15 && d - 1e-15 <= x.hi))
                fail_msg("seed %" PRIu64 ", interval %zu does not hold the difference", seed, i);
            if (i == 0)
                assert_true(x.lo >= -1 - 1e-15 && x.hi <= 1 + 1e-15);
        }
    }
}

/* Drawn from known rates, the paired intervals hold the true difference as often as they say. */
static void intervals_cover_what_they_promise(void **state)
{
    auk_rng rng = auk_rng_make(7);
    int held = 0, rounds = 4000;
    (void)state;

    for (int r = 0; r < rounds; r++) {
        auk_paired t = {0};
        for (int i = 0; i < 100; i++) {
            double u = auk_rng_unit(&rng);
            ++*(u < 0.6 ? &t.a : u < 0.75 ? &t.b : u < 0.85 ? &t.c : &t.d);
        }
        auk_interval x;
        assert_int_equal(auk_stats_newcombe_paired(&x, &t, 0.95, NULL), AUK_OK);
        held += x.lo <= 0.05 && 0.05 <= x.hi;
    }
    assert_true(held > 0.935 * rounds && held < 0.97 * rounds);
}

static void tost_and_its_interval_decide_alike(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 3000; seed++) {
        auk_rng rng = auk_rng_make(seed);
        auk_paired t = a_table(&rng, 1 + seed % 300);
        double margin = 0.001 + 0.3 * auk_rng_unit(&rng);
        auk_tost got;
        if (t.a + t.b + t.c + t.d == 0)
            continue;
        assert_int_equal(auk_stats_tost(&got, &t, margin, 0.95, NULL), AUK_OK);
        bool inside = got.interval.lo > -margin && got.interval.hi < margin;
        if (got.equivalent != inside || got.equivalent != (got.a_not_worse && got.b_not_worse))
            fail_msg("seed %" PRIu64, seed);
    }
}

static void a_table_without_spread_is_smoothed(void **state)
{
    auk_paired few = {3, 0, 0, 0}, many = {300, 0, 0, 20}, all = {0, 50, 0, 0};
    auk_tost got;
    (void)state;

    assert_int_equal(auk_stats_tost(&got, &few, 0.05, 0.95, NULL), AUK_OK);
    assert_true(got.smoothed && !got.equivalent); /* three tasks prove nothing */
    assert_int_equal(auk_stats_tost(&got, &many, 0.05, 0.95, NULL), AUK_OK);
    assert_true(got.smoothed && got.equivalent);
    near(got.se, 1.0 / 322, 1e-15);
    assert_int_equal(auk_stats_tost(&got, &all, 0.05, 0.95, NULL), AUK_OK);
    assert_true(got.smoothed && got.a_not_worse && !got.b_not_worse);
}

static void without_a_pair_that_differs_power_is_unknown(void **state)
{
    auk_paired none = {10, 0, 0, 5};
    double got = 0;
    (void)state;

    assert_int_equal(auk_stats_smallest_difference(&got, &none, 0.95, 0.8, NULL), AUK_OK);
    assert_true(isnan(got));
    got = 0;
    assert_int_equal(auk_stats_tost_tasks(&got, &none, 0.02, 0.95, 0.8, NULL), AUK_OK);
    assert_true(isnan(got));
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void impossible_tables_are_refused(void **state)
{
    static const auk_paired bad[] = {
        {0, 0, 0, 0},
        {AUK_STATS_MAX_COUNT, 1, 0, 0},
        {UINT64_MAX, 1, 0, 0},
        {1, UINT64_MAX, UINT64_MAX, UINT64_MAX},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        auk_mcnemar p;
        auk_interval x;
        auk_tost e;
        double y;
        auk_err err = {0};
        assert_int_equal(auk_stats_mcnemar(&p, &bad[i], &err), AUK_EINVAL);
        assert_true(err.msg[0] != 0);
        assert_int_equal(auk_stats_newcombe_paired(&x, &bad[i], 0.95, NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_wald(&x, &bad[i], 0.95, NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_agresti_min(&x, &bad[i], 0.95, NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_tost(&e, &bad[i], 0.1, 0.95, NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_smallest_difference(&y, &bad[i], 0.95, 0.8, NULL), AUK_EINVAL);
    }
}

static void impossible_levels_margins_and_powers_are_refused(void **state)
{
    static const double bad[] = {0, 1, -0.1, 1.5, 95, NAN, INFINITY};
    static const auk_paired t = {1, 1, 1, 1};
    auk_interval x;
    auk_tost e;
    double y;
    unsigned u;
    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(auk_stats_newcombe_paired(&x, &t, bad[i], NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_wald(&x, &t, bad[i], NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_tost(&e, &t, bad[i], 0.95, NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_tost(&e, &t, 0.1, bad[i], NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_smallest_difference(&y, &t, 0.95, bad[i], NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_tost_tasks(&y, &t, 0.1, 0.95, bad[i], NULL), AUK_EINVAL);
        assert_int_equal(auk_stats_mcnemar_fewest(&u, bad[i], NULL), AUK_EINVAL);
    }
    assert_int_equal(auk_stats_tost(&e, &t, 0.1, 0.5, NULL), AUK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mcnemar_is_the_sum_it_is_defined_as),
        cmocka_unit_test(mcnemar_keeps_its_digits_far_out_and_for_many),
        cmocka_unit_test(pairs_that_agree_do_not_move_mcnemar),
        cmocka_unit_test(six_pairs_in_one_direction_are_the_fewest_at_0_95),
        cmocka_unit_test(changing_the_runs_places_turns_the_interval_round),
        cmocka_unit_test(intervals_cover_what_they_promise),
        cmocka_unit_test(tost_and_its_interval_decide_alike),
        cmocka_unit_test(a_table_without_spread_is_smoothed),
        cmocka_unit_test(without_a_pair_that_differs_power_is_unknown),
        cmocka_unit_test(impossible_tables_are_refused),
        cmocka_unit_test(impossible_levels_margins_and_powers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
