/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/rng.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_buf sentence(const auk_paired *t, auk_comparison *c)
{
    auk_buf out = AUK_BUF_INIT(4096);

    assert_int_equal(auk_stats_compare(c, t, 0.95, 0.8, NULL), AUK_OK);
    auk_stats_compare_say(&out, c);
    assert_false(out.failed);
    return out;
}

/* Whatever the table: one line, a full stop, and no word of equality. */
static void a_comparison_never_claims_equality(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 3000; seed++) {
        auk_rng rng = auk_rng_make(seed);
        uint64_t most = 1 + auk_rng_below(&rng, 60), differ = 1 + auk_rng_below(&rng, 20);
        auk_paired t = {auk_rng_below(&rng, most) + 1, auk_rng_below(&rng, differ),
                        auk_rng_below(&rng, differ), auk_rng_below(&rng, most)};
        auk_comparison c;
        auk_buf text = sentence(&t, &c);
        bool shown = c.p.p_exact < 1 - c.level;
        if (strstr(text.p, "equal") != NULL || strstr(text.p, "same") != NULL ||
            strchr(text.p, '\n') != NULL || text.p[text.n - 1] != '.' ||
            shown != (strstr(text.p, "passes more") != NULL) ||
            shown == (strstr(text.p, "No difference shown") != NULL))
            fail_msg("seed %" PRIu64 ": %s", seed, text.p);
        if (shown)
            assert_int_equal(text.p[0], t.b > t.c ? 'A' : 'B');
        auk_buf_release(&text);
    }
}

static void a_table_without_a_pair_that_differs_names_the_fewest(void **state)
{
    auk_paired t = {150, 0, 0, 14};
    auk_comparison c;
    auk_buf text = sentence(&t, &c);
    (void)state;

    assert_string_equal(text.p, "No difference shown: no task tells A from B, and this test needs "
                                "at least 6 that do before it can find anything.");
    auk_buf_release(&text);
}

static void equivalence_is_said_only_when_shown(void **state)
{
    static const auk_paired t = {140, 8, 6, 10};
    (void)state;

    for (double margin = 0.01; margin < 0.2; margin += 0.005) {
        auk_buf text = AUK_BUF_INIT(4096);
        auk_tost r;
        double tasks;
        assert_int_equal(auk_stats_tost(&r, &t, margin, 0.95, NULL), AUK_OK);
        assert_int_equal(auk_stats_tost_tasks(&tasks, &t, margin, 0.95, 0.8, NULL), AUK_OK);
        auk_stats_tost_say(&text, &r, tasks, 0.8);
        assert_true((strstr(text.p, "is shown") != NULL) == r.equivalent);
        assert_true((strstr(text.p, "is not shown") != NULL) == !r.equivalent);
        assert_true((strstr(text.p, "tasks would show it") != NULL) == !r.equivalent);
        auk_buf_release(&text);
    }
}

static void p_values_have_four_decimals_or_three_digits(void **state)
{
    char p[AUK_STATS_P_CHARS];
    (void)state;

    auk_stats_p_print(p, 0.79052734375);
    assert_string_equal(p, "0.7905");
    auk_stats_p_print(p, 1);
    assert_string_equal(p, "1.0000");
    auk_stats_p_print(p, 3.10467e-07);
    assert_string_equal(p, "3.1e-07");
}

static void impossible_tables_are_refused(void **state)
{
    static const auk_paired none = {0, 0, 0, 0}, some = {1, 1, 1, 1};
    auk_comparison c;
    (void)state;

    assert_int_equal(auk_stats_compare(&c, &none, 0.95, 0.8, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_compare(&c, &some, 1, 0.8, NULL), AUK_EINVAL);
    assert_int_equal(auk_stats_compare(&c, &some, 0.95, 0, NULL), AUK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_comparison_never_claims_equality),
        cmocka_unit_test(a_table_without_a_pair_that_differs_names_the_fewest),
        cmocka_unit_test(equivalence_is_said_only_when_shown),
        cmocka_unit_test(p_values_have_four_decimals_or_three_digits),
        cmocka_unit_test(impossible_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
