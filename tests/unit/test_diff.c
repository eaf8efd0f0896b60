/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "swebench/line_list.h"
#include "swebench/swebench.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A text of lines from a small alphabet, with the line ends that occur. */
static void draw(auk_buf *out, auk_rng *rng)
{
    size_t n = auk_rng_below(rng, 30);

    for (size_t i = 0; i < n; i++) {
        auk_buf_putc(out, (char)('a' + auk_rng_below(rng, 5)));
        if (auk_rng_below(rng, 4) == 0)
            auk_buf_puts(out, "  x");
        if (i + 1 < n || auk_rng_below(rng, 3) > 0)
            auk_buf_puts(out, auk_rng_below(rng, 6) == 0 ? "\r\n" : "\n");
    }
}

static void apply_undoes_diff(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        auk_buf a = AUK_BUF_INIT(1 << 16), b = AUK_BUF_INIT(1 << 16), d = AUK_BUF_INIT(1 << 16),
                c = AUK_BUF_INIT(1 << 16);
        auk_rng rng = auk_rng_make(seed);
        auk_err err;
        draw(&a, &rng);
        draw(&b, &rng);
        auk_str before = auk_buf_str(&a), after = auk_buf_str(&b);
        auk_diff_file(&d, "p/q.py", &before, &after);
        int rc = auk_diff_apply(&c, before, auk_buf_str(&d), "p/q.py", &err);
        if (rc != AUK_OK || !auk_str_eq(auk_buf_str(&c), after))
            fail_msg("seed %llu: %s", (unsigned long long)seed, rc != AUK_OK ? err.msg : "differs");
        auk_buf_release(&a);
        auk_buf_release(&b);
        auk_buf_release(&c);
        auk_buf_release(&d);
    }
}

static void refuse(const char *before, const char *diff)
{
    auk_buf out = AUK_BUF_INIT(1 << 16);
    auk_err err;

    assert_int_equal(auk_diff_apply(&out, auk_str_of(before), auk_str_of(diff), "a", &err),
                     AUK_EFORMAT);
    auk_buf_release(&out);
}

#define HEAD "diff --git a/a b/a\n--- a/a\n+++ b/a\n"

static void a_diff_that_is_not_exact_is_refused(void **state)
{
    auk_buf out = AUK_BUF_INIT(1 << 16);
    auk_err err;
    (void)state;

    assert_int_equal(auk_diff_apply(&out, auk_str_of("1\n2\n"),
                                    auk_str_of(HEAD "@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"), "a", &err),
                     AUK_OK);
    assert_string_equal(out.p, "1\n3\n");
    auk_buf_release(&out);
    refuse("1\n2\n", HEAD "@@ -1,2 +1,2 @@\n 1\n-x\n+3\n"); /* a line differs */
    refuse("1\n2\n", HEAD "@@ -2,2 +2,2 @@\n 1\n-2\n+3\n"); /* another place */
    refuse("1\n2\n", HEAD "@@ -1,3 +1,2 @@\n 1\n-2\n+3\n"); /* a wrong count */
    refuse("1\n2\n", HEAD "@@ -1,2 +1,2 @@\n 1\n-2\n");     /* cut off */
    refuse("1\n2", HEAD "@@ -1,2 +1,2 @@\n 1\n-2\n+3\n");   /* no newline there */
    refuse("1\n2\n", HEAD "@@ -1,2 +9,2 @@\n 1\n-2\n+3\n"); /* the new side is elsewhere */
    refuse("1\n2\n", HEAD "@@ -0,2 +1,2 @@\n 1\n-2\n+3\n"); /* no line 0 */
    refuse("1\n2\n", HEAD "@@ 1,2 1,2 @@\n 1\n-2\n+3\n");   /* no range */
}

static void only_shortest_ways_are_found(void **state)
{
    static const struct {
        const char *a, *b;
        int changes;
    } cases[] = {
        {"a\nb\nc\n", "a\nc\n", 1}, {"", "a\nb\n", 2},       {"a\n", "", 1},
        {"a\nb\n", "b\na\n", 2},    {"a\nb\n", "a\nb\n", 0}, {"a\nb\nc\na\n", "c\nb\na\n", 3}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool gone[8], added[8];
        auk_line_list a, b;
        auk_err err;
        int n = 0;
        assert_int_equal(auk_line_list_split(&a, auk_str_of(cases[i].a), &err), AUK_OK);
        assert_int_equal(auk_line_list_split(&b, auk_str_of(cases[i].b), &err), AUK_OK);
        assert_int_equal(auk_line_list_diff(gone, added, &a, &b, false, &err), AUK_OK);
        for (size_t k = 0; k < a.n; k++)
            n += gone[k];
        for (size_t k = 0; k < b.n; k++)
            n += added[k];
        assert_int_equal(n, cases[i].changes);
        auk_line_list_release(&a);
        auk_line_list_release(&b);
    }
}

static void utf8_is_told_from_what_looks_like_it(void **state)
{
    static const char *const good[] = {"", "a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\xA7"},
                             *const bad[] = {
                                 "\xFF",     "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                 "\xE2\x82", "\x80"};
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(auk_is_utf8(auk_str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(auk_is_utf8(auk_str_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apply_undoes_diff),
        cmocka_unit_test(a_diff_that_is_not_exact_is_refused),
        cmocka_unit_test(only_shortest_ways_are_found),
        cmocka_unit_test(utf8_is_told_from_what_looks_like_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
