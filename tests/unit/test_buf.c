/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_empty_buffer_is_empty_text(void **state)
{
    auk_buf b = AUK_BUF_INIT(8);
    (void)state;

    auk_str s = auk_buf_str(&b);
    assert_non_null(s.p);
    assert_int_equal(s.n, 0);
    auk_buf_release(&b);
}

static void appends_fill_up_to_the_maximum_and_not_beyond(void **state)
{
    auk_buf b = AUK_BUF_INIT(8);
    auk_err err;
    (void)state;

    auk_buf_puts(&b, "12345");
    auk_buf_printf(&b, "%d", 678);
    assert_int_equal(auk_buf_check(&b, "text", &err), AUK_OK);
    assert_string_equal(b.p, "12345678");
    auk_buf_putc(&b, '9');
    assert_int_equal(auk_buf_check(&b, "text", &err), AUK_ELIMIT);
    assert_string_equal(err.msg, "text is larger than 8 bytes");
    auk_buf_release(&b);
}

static void a_failed_append_leaves_what_was_there_and_later_ones_do_nothing(void **state)
{
    auk_buf b = AUK_BUF_INIT(8);
    (void)state;

    auk_buf_puts(&b, "abc");
    auk_buf_puts(&b, "too long to fit");
    auk_buf_putc(&b, 'd');
    auk_buf_printf(&b, "%s", "e");
    assert_true(b.failed);
    assert_int_equal(b.n, 3);
    assert_string_equal(b.p, "abc");
    auk_buf_release(&b);
}

static void clear_makes_a_failed_buffer_usable_again(void **state)
{
    auk_buf b = AUK_BUF_INIT(4);
    auk_err err;
    (void)state;

    auk_buf_puts(&b, "12345");
    auk_buf_clear(&b);
    auk_buf_puts(&b, "1234");
    assert_int_equal(auk_buf_check(&b, "text", &err), AUK_OK);
    assert_string_equal(b.p, "1234");
    auk_buf_release(&b);
}

static void release_keeps_the_maximum(void **state)
{
    auk_buf b = AUK_BUF_INIT(4);
    (void)state;

    auk_buf_puts(&b, "1234");
    auk_buf_release(&b);
    assert_null(b.p);
    auk_buf_puts(&b, "12345");
    assert_true(b.failed);
    auk_buf_release(&b);
}

static void bytes_may_be_nul(void **state)
{
    auk_buf b = AUK_BUF_INIT(64);
    (void)state;

    auk_buf_add(&b, "a\0b", 3);
    auk_buf_putc(&b, 0);
    auk_buf_add(&b, NULL, 0);
    assert_int_equal(b.n, 4);
    assert_memory_equal(b.p, "a\0b\0", 5);
    auk_buf_release(&b);
}

static void many_appends_equal_one(void **state)
{
    static char want[20000];
    (void)state;

    for (uint64_t seed = 1; seed <= 50; seed++) {
        auk_rng rng = auk_rng_make(seed);
        auk_buf b = AUK_BUF_INIT(sizeof want);
        size_t n = 0;

        for (size_t i = 0; i < sizeof want; i++)
            want[i] = (char)auk_rng_next(&rng);
        while (n < sizeof want) {
            size_t m = 1 + auk_rng_below(&rng, 400);
            if (m > sizeof want - n)
                m = sizeof want - n;
            auk_buf_add(&b, want + n, m);
            n += m;
            if (b.n != n || b.p[n] != 0)
                fail_msg("seed %d: %zu bytes, want %zu", (int)seed, b.n, n);
        }
        assert_memory_equal(b.p, want, sizeof want);
        auk_buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_is_empty_text),
        cmocka_unit_test(appends_fill_up_to_the_maximum_and_not_beyond),
        cmocka_unit_test(a_failed_append_leaves_what_was_there_and_later_ones_do_nothing),
        cmocka_unit_test(clear_makes_a_failed_buffer_usable_again),
        cmocka_unit_test(release_keeps_the_maximum),
        cmocka_unit_test(bytes_may_be_nul),
        cmocka_unit_test(many_appends_equal_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
