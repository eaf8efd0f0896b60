/* SPDX-License-Identifier: Apache-2.0 */
/* The knapsack against every possible choice. */
#include "base/mem.h"
#include "base/rng.h"
#include "quant/budget.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void make(auk_budget_case *cases, size_t n, auk_rng *r, uint64_t unit)
{
    memset(cases, 0, n * sizeof *cases);
    for (size_t i = 0; i < n; i++) {
        cases[i].n_options = 2 + (size_t)auk_rng_below(r, 4);
        for (size_t o = 0; o < cases[i].n_options; o++) {
            cases[i].options[o].bytes = unit * (1 + auk_rng_below(r, 40));
            cases[i].options[o].damage = auk_rng_unit(r);
        }
    }
}

/* The least damage of any choice within max_bytes; INFINITY when there is none. */
static double best_of_all(const auk_budget_case *cases, size_t n, uint64_t max_bytes)
{
    size_t pick[8] = {0};
    double best = INFINITY;

    for (;;) {
        uint64_t bytes = 0;
        double damage = 0;
        for (size_t i = 0; i < n; i++) {
            bytes += cases[i].options[pick[i]].bytes;
            damage += cases[i].options[pick[i]].damage;
        }
        if (bytes <= max_bytes && damage < best)
            best = damage;
        size_t at = 0;
        while (at < n && ++pick[at] == cases[at].n_options)
            pick[at++] = 0;
        if (at == n)
            return best;
    }
}

static void the_choice_is_the_best_of_all(void **state)
{
    auk_rng r = auk_rng_make(3);
    auk_budget_case cases[6];
    size_t solved = 0;
    (void)state;

    for (int round = 0; round < 300; round++) {
        size_t n = 1 + (size_t)auk_rng_below(&r, 6);
        uint64_t unit = 1 + auk_rng_below(&r, 5000), most = unit * (5 + auk_rng_below(&r, 150));
        make(cases, n, &r, unit);
        double want = best_of_all(cases, n, most), damage = 0;
        bool fits = auk_budget_solve(cases, n, most);
        uint64_t bytes = 0;
        assert_int_equal(fits, isfinite(want));
        if (!fits)
            continue;
        for (size_t i = 0; i < n; i++) {
            damage += cases[i].options[cases[i].chosen].damage;
            bytes += cases[i].options[cases[i].chosen].bytes;
        }
        if (bytes > most || fabs(damage - want) > 1e-12)
            fail_msg("round %d: %g with %llu of %llu bytes, best %g", round, damage,
                     (unsigned long long)bytes, (unsigned long long)most, want);
        solved++;
    }
    assert_true(solved > 100);
}

static void sizes_without_a_common_unit_never_pass_the_budget(void **state)
{
    auk_rng r = auk_rng_make(4);
    auk_budget_case cases[6];
    (void)state;

    for (int round = 0; round < 20; round++) {
        uint64_t bytes = 0, least = 0;
        make(cases, 6, &r, 100000000);
        for (size_t i = 0; i < 6; i++)
            for (size_t o = 0; o < cases[i].n_options; o++)
                cases[i].options[o].bytes += auk_rng_below(&r, 9973);
        for (size_t i = 0; i < 6; i++) {
            uint64_t small = UINT64_MAX;
            for (size_t o = 0; o < cases[i].n_options; o++)
                if (cases[i].options[o].bytes < small)
                    small = cases[i].options[o].bytes;
            least += small;
        }
        assert_true(auk_budget_solve(cases, 6, least + 5000000000u));
        for (size_t i = 0; i < 6; i++)
            bytes += cases[i].options[cases[i].chosen].bytes;
        assert_true(bytes <= least + 5000000000u);
        assert_false(auk_budget_solve(cases, 6, least - 1));
        assert_true(auk_budget_solve(cases, 6, least));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_choice_is_the_best_of_all),
        cmocka_unit_test(sizes_without_a_common_unit_never_pass_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
