/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void near(double x, double want)
{
    if (!(fabs(x - want) <= 1e-9 * (1 + fabs(want))))
        fail_msg("%.17g is not %.17g", x, want);
}

/* A cell that passes `pass` of n samples of a perfect base. */
static auk_rung cell(int64_t depth, uint64_t pass, uint64_t n)
{
    return (auk_rung){.depth = depth, .both = pass, .base_only = n - pass};
}

static auk_ladder judge(auk_rung *r, size_t n)
{
    auk_ladder l;
    auk_err err;

    assert_int_equal(auk_stats_ladder(&l, r, n, &err), AUK_OK);
    return l;
}

static void a_drop_is_counted_not_rounded(void **state)
{
    (void)state;
    assert_true(auk_stats_drop(5, 5, 4, 5));
    assert_false(auk_stats_drop(10, 10, 9, 10));
    assert_true(auk_stats_drop(30, 30, 24, 30));
    assert_false(auk_stats_drop(50, 50, 41, 50)); /* 18 points */
    assert_true(auk_stats_drop(50, 50, 39, 50));  /* 22 */
    assert_true(auk_stats_drop(50, 50, 40, 50));  /* exactly 20 */
    assert_false(auk_stats_drop(4, 5, 5, 5));
    assert_false(auk_stats_drop(5, 5, 5, 5));
}

static void samples_a_ladder_needs(void **state)
{
    const size_t m[] = {1, 2, 6, 7, 12};
    const uint64_t want[] = {30, 35, 40, 45, 45};
    uint64_t got;
    auk_err err;
    (void)state;

    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(auk_ladder_samples(&got, m[i], &err), AUK_OK);
        assert_int_equal(got, want[i]);
    }
}

static void a_drop_must_also_be_significant(void **state)
{
    auk_rung one[] = {cell(0, 30, 30), cell(8000, 24, 30)};
    auk_rung four[] = {cell(0, 30, 30), cell(2000, 30, 30), cell(4000, 30, 30), cell(6000, 30, 30),
                       cell(8000, 24, 30)};
    auk_rung six[] = {cell(0, 40, 40),    cell(1000, 40, 40), cell(2000, 40, 40),
                      cell(3000, 40, 40), cell(4000, 40, 40), cell(5000, 40, 40),
                      cell(6000, 32, 40)};
    (void)state;

    auk_ladder l = judge(one, 2);
    assert_int_equal(l.status, AUK_LADDER_CLIFF);
    near(one[1].p, 0.03125);
    near(one[1].p_holm, 0.03125);
    l = judge(four, 5);
    assert_int_equal(l.status, AUK_LADDER_FEW);
    near(four[4].p_holm, 0.125);
    assert_true(four[4].drop);
    assert_false(four[4].fails);
    l = judge(six, 7);
    assert_int_equal(l.status, AUK_LADDER_CLIFF);
    near(six[6].p, 0.0078125);
    near(six[6].p_holm, 6 * 0.0078125);
    assert_int_equal(l.first_fail, 6);
    assert_int_equal(l.last_pass, 5);
    assert_int_equal(l.width, 1000);
    assert_true(l.close);
}

static void the_ladder_goes_on_behind_a_failing_cell(void **state)
{
    auk_rung r[] = {cell(16000, 45, 45), cell(0, 45, 45), cell(8000, 10, 45), cell(2000, 45, 45)};
    (void)state;

    auk_ladder l = judge(r, 4);
    assert_int_equal(l.status, AUK_LADDER_CLIFF);
    assert_int_equal(r[l.first_fail].depth, 8000);
    assert_int_equal(r[l.last_pass].depth, 2000);
    assert_false(r[3].fails);
    assert_false(l.close);
    assert_int_equal(l.width, 6000);
}

static void closing_in_changes_nothing_about_the_ladder(void **state)
{
    auk_rung r[] = {cell(0, 45, 45), cell(4000, 45, 45), cell(8000, 10, 45)}, s[5];
    (void)state;

    judge(r, 3);
    memcpy(s, r, sizeof r);
    s[3] = cell(6000, 10, 45);
    s[4] = cell(5000, 45, 45);
    s[3].added = s[4].added = true;
    auk_ladder l = judge(s, 5);
    assert_int_equal(s[l.first_fail].depth, 6000);
    assert_int_equal(s[l.last_pass].depth, 5000);
    assert_true(l.close);
    near(s[4].p_holm, r[2].p_holm);
    near(s[1].p_holm, r[1].p_holm);
    assert_true(s[3].p_holm < 0.05);
}

static void a_broken_base_is_no_depth(void **state)
{
    auk_rung r[] = {{.depth = 0, .both = 10, .base_only = 12, .none = 23}, cell(8000, 22, 45)};
    (void)state;

    assert_int_equal(judge(r, 2).status, AUK_LADDER_BROKEN);
    r[0] = (auk_rung){.depth = 0, .base_only = 23, .none = 22}; /* 23 of 45 is half */
    assert_int_equal(judge(r, 2).status == AUK_LADDER_BROKEN, false);
}

static void missing_samples_give_no_verdict(void **state)
{
    auk_rung r[] = {cell(0, 45, 45), cell(4000, 45, 45), cell(8000, 10, 44)};
    (void)state;

    r[2].missing = 1;
    assert_int_equal(judge(r, 3).status, AUK_LADDER_PARTIAL);
    assert_true(isnan(r[2].p));
    assert_int_equal(judge(r, 1).status, AUK_LADDER_PARTIAL);
    r[2].missing = 0;
    r[0].missing = 1;
    assert_int_equal(judge(r, 3).status, AUK_LADDER_PARTIAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drop_is_counted_not_rounded),
        cmocka_unit_test(samples_a_ladder_needs),
        cmocka_unit_test(a_drop_must_also_be_significant),
        cmocka_unit_test(the_ladder_goes_on_behind_a_failing_cell),
        cmocka_unit_test(closing_in_changes_nothing_about_the_ladder),
        cmocka_unit_test(a_broken_base_is_no_depth),
        cmocka_unit_test(missing_samples_give_no_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
