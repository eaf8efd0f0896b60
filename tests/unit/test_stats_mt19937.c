/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(x) (sizeof(x) / sizeof *(x))

static auk_mt19937 seeded(uint64_t seed)
{
    auk_mt19937 mt;

    auk_mt19937_init(&mt, seed);
    return mt;
}

/* First getrandbits(32) of CPython 3.11's random.Random(seed). */
static void seeds_of_one_and_two_words_are_python_s(void **state)
{
    static const struct {
        uint64_t seed;
        uint32_t first;
    } rows[] = {
        {0u, 3626764237u},
        {1u, 577090037u},
        {1234u, 4150886329u},
        {4294967295u, 2728839433u},
        {4294967296u, 485306839u},
        {4294967297u, 991850117u},
        {9223372036854775808u, 2377109768u},
        {18446744073709551615u, 93740670u},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        auk_mt19937 mt = seeded(rows[i].seed);
        assert_int_equal(auk_mt19937_next(&mt), rows[i].first);
    }
}

static void later_blocks_are_python_s_too(void **state)
{
    auk_mt19937 mt = seeded(1234);
    uint32_t word = 0;
    (void)state;

    for (int i = 0; i < 10000; i++)
        word = auk_mt19937_next(&mt);
    assert_int_equal(word, 2408502359u);
}

static void wide_draws_take_the_low_word_first(void **state)
{
    static const uint64_t want40[] = {858849378233u, 126446983711u, 98816423444u},
                          want64[] = {14354624986284130233u, 2155511622373988895u,
                                      1672079305790387732u};
    auk_mt19937 mt = seeded(1234);
    (void)state;

    for (size_t i = 0; i < COUNT(want40); i++)
        assert_true(auk_mt19937_bits(&mt, 40) == want40[i]);
    mt = seeded(1234);
    for (size_t i = 0; i < COUNT(want64); i++)
        assert_true(auk_mt19937_bits(&mt, 64) == want64[i]);
    assert_true(auk_mt19937_bits(&mt, 0) == 0);
}

static void bounds_of_every_size_are_kept(void **state)
{
    auk_mt19937 mt = seeded(5);
    (void)state;

    for (unsigned k = 0; k < 64; k++)
        for (int i = 0; i < 20; i++) {
            uint64_t n = ((uint64_t)1 << k) + (k > 0 ? (uint64_t)i % k : 0);
            assert_true(auk_mt19937_below(&mt, n) < n);
        }
    assert_true(auk_mt19937_below(&mt, 1) == 0);
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Both of CPython's ways, at the sizes where it changes from one to the other. */
static void samples_are_different_numbers_below_n(void **state)
{
    static const struct {
        uint64_t n;
        size_t k;
    } rows[] = {{21, 5}, {22, 5}, {85, 6}, {86, 6},           {277, 21}, {278, 21},
                {1, 1},  {5, 5},  {5, 0},  {1000000, 999999}, {40, 40},  {UINT64_MAX, 1000}};
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        auk_mt19937 mt = seeded(i);
        uint64_t *x = calloc(rows[i].k + 1, sizeof *x);
        assert_non_null(x);
        assert_int_equal(auk_mt19937_sample(x, &mt, rows[i].n, rows[i].k, NULL), AUK_OK);
        qsort(x, rows[i].k, sizeof *x, ascending);
        for (size_t j = 0; j < rows[i].k; j++)
            assert_true(x[j] < rows[i].n && (j == 0 || x[j - 1] < x[j]));
        free(x);
    }
}

static void a_sample_larger_than_its_source_is_refused(void **state)
{
    auk_mt19937 mt = seeded(1);
    uint64_t x[4];
    auk_err err;
    (void)state;

    assert_int_equal(auk_mt19937_sample(x, &mt, 3, 4, &err), AUK_EINVAL);
    assert_string_equal(err.msg, "a sample of 4 from 3 is not possible");
}

static void a_shuffle_keeps_every_number(void **state)
{
    auk_mt19937 mt = seeded(9);
    uint64_t x[1000];
    (void)state;

    for (uint64_t i = 0; i < COUNT(x); i++)
        x[i] = i;
    auk_mt19937_shuffle(&mt, x, COUNT(x));
    assert_true(x[0] != 0 || x[1] != 1 || x[2] != 2);
    qsort(x, COUNT(x), sizeof *x, ascending);
    for (uint64_t i = 0; i < COUNT(x); i++)
        assert_true(x[i] == i);
    auk_mt19937_shuffle(&mt, x, 0);
    auk_mt19937_shuffle(&mt, x, 1);
    assert_true(x[0] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_of_one_and_two_words_are_python_s),
        cmocka_unit_test(later_blocks_are_python_s_too),
        cmocka_unit_test(wide_draws_take_the_low_word_first),
        cmocka_unit_test(bounds_of_every_size_are_kept),
        cmocka_unit_test(samples_are_different_numbers_below_n),
        cmocka_unit_test(a_sample_larger_than_its_source_is_refused),
        cmocka_unit_test(a_shuffle_keeps_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
