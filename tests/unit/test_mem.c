/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* a * b mod 2^64 and its upper half, the way it is done on paper. */
static uint64_t upper_half(uint64_t a, uint64_t b)
{
    uint64_t a0 = a & 0xFFFFFFFFu, a1 = a >> 32, b0 = b & 0xFFFFFFFFu, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32), low = a0 * b1 + (middle & 0xFFFFFFFFu);

    return a1 * b1 + (middle >> 32) + (low >> 32);
}

static void a_product_is_refused_exactly_when_it_does_not_fit(void **state)
{
    auk_rng rng = auk_rng_make(9);
    (void)state;

    for (int i = 0; i < 200000; i++) {
        uint64_t a = auk_rng_next(&rng) >> auk_rng_below(&rng, 64);
        uint64_t b = auk_rng_next(&rng) >> auk_rng_below(&rng, 64);
        uint64_t got = 0;
        bool fits = auk_mul(&got, a, b);
        if (fits != (upper_half(a, b) == 0) || (fits && got != a * b))
            fail_msg("%llu * %llu", (unsigned long long)a, (unsigned long long)b);
    }
}

static void products_at_the_edge(void **state)
{
    uint64_t out = 0;
    (void)state;

    assert_true(auk_mul(&out, UINT64_MAX, 1));
    assert_true(out == UINT64_MAX);
    assert_true(auk_mul(&out, UINT64_MAX, 0));
    assert_true(out == 0);
    assert_true(auk_mul(&out, (uint64_t)1 << 32, ((uint64_t)1 << 32) - 1));
    assert_false(auk_mul(&out, (uint64_t)1 << 32, (uint64_t)1 << 32));
    assert_false(auk_mul(&out, UINT64_MAX, 2));
}

static void a_size_that_overflows_is_an_error_and_gives_null(void **state)
{
    static const size_t sizes[][2] = {
        {SIZE_MAX, 2},         {2, SIZE_MAX}, {SIZE_MAX, SIZE_MAX},
        {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX, 1}, {(size_t)PTRDIFF_MAX + 1, 1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *p = (char *)&p;
        auk_err err = {0};
        assert_int_equal(auk_try_alloc(&p, sizes[i][0], sizes[i][1], &err), AUK_ENOMEM);
        assert_null(p);
        assert_int_equal(err.code, AUK_ENOMEM);
        assert_true(strlen(err.msg) > 0);
    }
}

static void tried_memory_is_zeroed_and_a_size_of_zero_is_fine(void **state)
{
    uint32_t *p = NULL;
    auk_err err;
    (void)state;

    assert_int_equal(auk_try_alloc(&p, 1000, sizeof *p, &err), AUK_OK);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    free(p);
    assert_int_equal(auk_try_alloc(&p, 0, sizeof *p, &err), AUK_OK);
    assert_non_null(p);
    free(p);
    assert_int_equal(auk_try_alloc(&p, 10, 0, NULL), AUK_OK);
    free(p);
}

static void copied_text_ends_in_nul_and_may_hold_one(void **state)
{
    (void)state;

    char *s = auk_strndup("a\0bc", 3);
    assert_memory_equal(s, "a\0b", 4);
    free(s);
    s = auk_strndup(NULL, 0);
    assert_string_equal(s, "");
    free(s);
}

static void a_failure_is_one_line_and_never_longer_than_its_field(void **state)
{
    auk_err err;
    char name[1000];
    (void)state;

    assert_int_equal(auk_fail(&err, AUK_EFORMAT, "tensor '%s'", "a\nb\x1b[1m\x7f"), AUK_EFORMAT);
    assert_int_equal(err.code, AUK_EFORMAT);
    assert_string_equal(err.msg, "tensor 'a?b?[1m?'");
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(auk_fail(&err, AUK_EINVAL, "%s", name), AUK_EINVAL);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(auk_fail(NULL, AUK_EIO, "nobody listens"), AUK_EIO);
}

static void every_code_has_a_name(void **state)
{
    (void)state;

    for (int code = AUK_ECANCEL; code <= AUK_OK; code++)
        assert_string_not_equal(auk_code_name(code), "unknown");
    assert_string_equal(auk_code_name(AUK_ECANCEL - 1), "unknown");
    assert_string_equal(auk_code_name(1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_is_refused_exactly_when_it_does_not_fit),
        cmocka_unit_test(products_at_the_edge),
        cmocka_unit_test(a_size_that_overflows_is_an_error_and_gives_null),
        cmocka_unit_test(tried_memory_is_zeroed_and_a_size_of_zero_is_fine),
        cmocka_unit_test(copied_text_ends_in_nul_and_may_hold_one),
        cmocka_unit_test(a_failure_is_one_line_and_never_longer_than_its_field),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
