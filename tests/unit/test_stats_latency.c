/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(x) (sizeof(x) / sizeof *(x))

static void near(double x, double want)
{
    if (!(fabs(x - want) <= 1e-9 * (1 + fabs(want))))
        fail_msg("%.17g is not %.17g", x, want);
}

static auk_gaps gaps_of(const double *gap, size_t n)
{
    auk_gaps g;
    auk_err err;

    assert_int_equal(auk_latency_gaps(&g, gap, n, &err), AUK_OK);
    return g;
}

/* Gaps between stamps; their number. */
static size_t between(double *gap, const double *t, size_t n)
{
    for (size_t i = 1; i < n; i++)
        gap[i - 1] = t[i] - t[i - 1];
    return n - 1;
}

static void a_rate_counts_the_steps_between_tokens(void **state)
{
    (void)state;
    near(auk_latency_rate(100, 5e9), 19.8);
    near(auk_latency_rate(50, 2.5e9), 19.6);
    near(auk_latency_rate(2, 1e8), 10);
    assert_true(isnan(auk_latency_rate(1, 1e9)));
    assert_true(isnan(auk_latency_rate(0, 1e9)));
    assert_true(isnan(auk_latency_rate(2, 0)));
}

static void gaps_and_their_largest(void **state)
{
    const double t[] = {10, 30, 45}, u[] = {100, 110, 130};
    double gap[2];
    (void)state;

    assert_int_equal(between(gap, t, 3), 2);
    near(gap[0], 20);
    near(gap[1], 15);
    between(gap, u, 3);
    near(gaps_of(gap, 2).max, 20);
    near(gaps_of(gap, 2).mean, 15);
    near(gaps_of(gap, 2).sd, 5);
    assert_true(isnan(gaps_of(gap, 0).p50));
}

static void outliers_are_those_of_the_rule(void **state)
{
    const double a[] = {5, 15, 25, 35, 45, 55, 65, 75, 85, 285};
    const double b[] = {0, 10, 22, 36, 47, 60, 72, 82, 97, 197};
    const double c[] = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90};
    const double *const all[] = {a, b, c};
    const double only[] = {200, 100, 0};
    (void)state;

    for (size_t k = 0; k < 3; k++) {
        double gap[9];
        size_t n = between(gap, all[k], 10);
        auk_gaps g = gaps_of(gap, n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(auk_gap_is_outlier(&g, gap[i]), only[k] > 0 && gap[i] == only[k]);
            assert_int_equal(auk_gap_is_spike(&g, gap[i]), only[k] > 0 && gap[i] == only[k]);
        }
    }
    assert_false(auk_gap_is_outlier(&(auk_gaps){.n = 1, .threshold = 1}, 5));
}

static void a_regular_stream_has_no_spikes(void **state)
{
    const double gap[] = {10.000, 10.001, 9.999, 10.000, 10.002, 10.000, 9.998, 10.000, 10.030};
    (void)state;

    auk_gaps g = gaps_of(gap, COUNT(gap));
    assert_true(auk_gap_is_outlier(&g, 10.030));
    assert_false(auk_gap_is_spike(&g, 10.030));
}

static void the_split_of_the_first_token(void **state)
{
    (void)state;
    near(auk_latency_split(820, 540, 210).remainder, 70);
    near(auk_latency_split(300, NAN, 210).remainder, 90);
    near(auk_latency_split(100, 80, 60).remainder, 0);
    assert_false(auk_latency_split(820, 540, 210).inconsistent);
    assert_true(auk_latency_split(100, 80, 60).inconsistent);
}

static void nothing_in_no_time_is_no_rate(void **state)
{
    (void)state;
    assert_true(isnan(auk_latency_per_second(0, 1e6)));
    assert_true(isnan(auk_latency_per_second(128, 0)));
    near(auk_latency_per_second(128, 210e6), 128 / 0.21);
    near(auk_latency_reuse(0, 40), 0);
    near(auk_latency_reuse(39, 1), 0.975);
    near(auk_latency_reuse(40, 0), 1);
    assert_true(isnan(auk_latency_reuse(0, 0)));
    assert_true(isnan(auk_latency_reuse(NAN, 40)));
    assert_true(auk_latency_disagree(100, 94));
    assert_false(auk_latency_disagree(100, 96));
    assert_false(auk_latency_disagree(NAN, 96));
}

static void a_histogram_loses_nothing(void **state)
{
    const double gap[] = {10, 12, 11, 100};
    uint64_t count[AUK_HISTOGRAM_BINS];
    size_t bins;
    (void)state;

    auk_latency_histogram(count, &bins, gap, 4, 4);
    assert_int_equal(bins, 4);
    assert_int_equal(count[0] + count[1] + count[2] + count[3], 4);
    assert_int_equal(count[3], 1);
    auk_latency_histogram(count, &bins, gap, 2, 12);
    assert_int_equal(bins, 2);
    auk_latency_histogram(count, &bins, gap, 1, 12);
    assert_int_equal(bins, 0);
    for (uint64_t seed = 1; seed <= 50; seed++) {
        auk_rng rng = auk_rng_make(seed);
        double x[60];
        uint64_t sum = 0, n = 2 + auk_rng_below(&rng, 58);
        for (size_t i = 0; i < n; i++)
            x[i] = auk_rng_unit(&rng) * 1e9;
        auk_latency_histogram(count, &bins, x, n, AUK_HISTOGRAM_BINS);
        for (size_t i = 0; i < bins; i++)
            sum += count[i];
        if (sum != n)
            fail_msg("seed %d", (int)seed);
    }
}

static void cold_runs_and_warm_ones(void **state)
{
    const double load[] = {2400, 30, 10}, ttft[] = {13000, 600, 700};
    (void)state;

    auk_cold_warm r = auk_latency_cold_warm(load, ttft, 3);
    assert_int_equal(r.cold, 1);
    assert_int_equal(r.warm, 2);
    near(r.warm_ttft, 650);
    near(r.ttft_delta, 12350);
    near(r.load_delta, 2380);
    assert_true(isnan(auk_latency_cold_warm(load, ttft, 1).ttft_delta));
}

static void a_leak_grows_and_never_shrinks(void **state)
{
    const double gib = 1 << 30;
    const double a[] = {1.9 * gib, 2.1 * gib, 2.5 * gib, 2.9 * gib, 3.4 * gib};
    const double jitter[] = {1.9 * gib, 2.1 * gib, 2.0 * gib, 2.9 * gib, 3.4 * gib};
    double little[5], line[10];
    (void)state;

    assert_true(auk_latency_leak(a, 5).suspected);
    near(auk_latency_leak(a, 5).grown, 1.5 * gib);
    assert_true(isnan(auk_latency_leak(a, 5).slope));
    assert_false(auk_latency_leak(jitter, 5).suspected);
    assert_false(auk_latency_leak(a, 4).suspected);
    for (size_t i = 0; i < 5; i++)
        little[i] = gib + (double)i * 25e6;
    assert_false(auk_latency_leak(little, 5).suspected);
    for (size_t i = 0; i < 10; i++)
        line[i] = 7 + 3 * (double)i;
    near(auk_latency_leak(line, 10).slope, 3);
}

static void one_earlier_run_alarms_nobody(void **state)
{
    const double before[] = {40, 41, 40, 39, 40}, slow[] = {30, 30, 31}, same[] = {38, 39, 40};
    auk_regression r;
    auk_err err;
    (void)state;

    assert_int_equal(auk_latency_regression(&r, before, 1, slow, 3, 1, &err), AUK_OK);
    assert_false(r.enough);
    assert_false(r.slower);
    assert_int_equal(auk_latency_regression(&r, before, 5, slow, 3, 1, &err), AUK_OK);
    assert_true(r.slower);
    near(r.change, -0.25);
    assert_int_equal(auk_latency_regression(&r, before, 5, same, 3, 1, &err), AUK_OK);
    assert_true(r.enough);
    assert_false(r.slower);
}

static void a_contest_needs_five_runs_of_each(void **state)
{
    const double a[] = {10, 11, 10, 9, 10}, b[] = {20, 21, 20, 19, 20};
    auk_contest c;
    auk_err err;
    (void)state;

    assert_int_equal(auk_latency_contest(&c, a, 5, b, 5, 1, &err), AUK_OK);
    near(c.change, 1);
    assert_true(c.differ);
    assert_int_equal(auk_latency_contest(&c, a, 4, b, 4, 1, &err), AUK_OK);
    assert_false(c.differ);
    assert_int_equal(auk_latency_contest(&c, a, 5, a, 5, 1, &err), AUK_OK);
    assert_false(c.differ);
}

static void the_share_of_a_device(void **state)
{
    const double gib = 1 << 30;
    (void)state;

    near(auk_memory_share_of(4 * gib, 4 * gib, 16 * gib).percent, 25);
    auk_memory_share s = auk_memory_share_of(1000, 600, 4000);
    near(s.used, 600);
    near(s.offload, 400);
    near(s.percent, 15);
    near(auk_memory_share_of(4 * gib, 4 * gib, NAN).percent, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_counts_the_steps_between_tokens),
        cmocka_unit_test(gaps_and_their_largest),
        cmocka_unit_test(outliers_are_those_of_the_rule),
        cmocka_unit_test(a_regular_stream_has_no_spikes),
        cmocka_unit_test(the_split_of_the_first_token),
        cmocka_unit_test(nothing_in_no_time_is_no_rate),
        cmocka_unit_test(a_histogram_loses_nothing),
        cmocka_unit_test(cold_runs_and_warm_ones),
        cmocka_unit_test(a_leak_grows_and_never_shrinks),
        cmocka_unit_test(one_earlier_run_alarms_nobody),
        cmocka_unit_test(a_contest_needs_five_runs_of_each),
        cmocka_unit_test(the_share_of_a_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
