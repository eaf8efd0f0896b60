/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static auk_err err;

static int on_event(void *ctx, const auk_sse_event *e, auk_err *unused)
{
    (void)unused;
    auk_buf_printf(ctx, "%.*s|%.*s|%.*s;", AUK_ARG(e->type), AUK_ARG(e->data), AUK_ARG(e->id));
    return AUK_OK;
}

static int on_line(void *ctx, auk_str line, auk_err *unused)
{
    (void)unused;
    auk_buf_printf(ctx, "%.*s;", AUK_ARG(line));
    return AUK_OK;
}

/* Feeds the text in pieces of every size. */
static void sse_gives(const char *text, const char *want)
{
    size_t n = strlen(text);

    for (size_t piece = 1; piece <= n; piece++) {
        auk_buf got = AUK_BUF_INIT(1 << 16);
        auk_sse s;
        auk_sse_init(&s, 1 << 16, on_event, &got);
        for (size_t at = 0; at < n; at += piece)
            assert_int_equal(
                auk_sse_feed(&s, (auk_str){text + at, n - at < piece ? n - at : piece}, &err),
                AUK_OK);
        assert_string_equal(got.p != NULL ? got.p : "", want);
        auk_sse_release(&s);
        auk_buf_release(&got);
    }
}

static void events_follow_the_rules(void **state)
{
    (void)state;
    sse_gives("data: a\n\n", "|a|;");
    sse_gives("\xEF\xBB\xBF"
              "data:a\r\n\r\ndata:  b\r\rdata: c\n\n",
              "|a|;| b|;|c|;");
    sse_gives(": comment\nevent: x\ndata: 1\ndata: 2\nid: 7\nretry: 10\n\ndata: 3\n\n",
              "x|1\n2|7;|3|7;");
    sse_gives("data\n\ndata\ndata\n\n", "||;|\n|;");
    sse_gives("event: lost\n\ndata: x\n", ""); /* no data; no end */
    sse_gives("nothing: x\ndatax: y\n\n", "");
}

static void lines_come_one_by_one(void **state)
{
    static const char text[] = "a\r\n\n\r\nb\nc";

    (void)state;
    for (size_t piece = 1; piece < sizeof text; piece++) {
        auk_buf got = AUK_BUF_INIT(1 << 16);
        auk_lines l;
        size_t n = sizeof text - 1;
        auk_lines_init(&l, 1 << 16, on_line, &got);
        for (size_t at = 0; at < n; at += piece)
            assert_int_equal(
                auk_lines_feed(&l, (auk_str){text + at, n - at < piece ? n - at : piece}, &err),
                AUK_OK);
        assert_string_equal(got.p, "a;b;");
        assert_int_equal(auk_lines_finish(&l, &err), AUK_OK);
        assert_string_equal(got.p, "a;b;c;");
        auk_lines_release(&l);
        auk_buf_release(&got);
    }
}

static void what_is_too_long_is_refused(void **state)
{
    auk_buf got = AUK_BUF_INIT(1 << 16);
    auk_sse s;
    auk_lines l;

    (void)state;
    auk_sse_init(&s, 8, on_event, &got);
    assert_int_equal(auk_sse_feed(&s, auk_str_of("data: 123456789\n\n"), &err), AUK_ELIMIT);
    auk_sse_release(&s);
    auk_sse_init(&s, 12, on_event, &got);
    assert_int_equal(auk_sse_feed(&s, auk_str_of("data: 123456\ndata: 123456\n\n"), &err),
                     AUK_ELIMIT);
    auk_sse_release(&s);
    auk_lines_init(&l, 8, on_line, &got);
    assert_int_equal(auk_lines_feed(&l, auk_str_of("123456789"), &err), AUK_ELIMIT);
    auk_lines_release(&l);
    auk_buf_release(&got);
}

static void origin_is(const char *url, const char *want)
{
    char *got = auk_url_origin(url);

    if (want == NULL)
        assert_null(got);
    else
        assert_string_equal(got, want);
    free(got);
}

static void urls_are_taken_apart(void **state)
{
    char *s;

    (void)state;
    origin_is("https://Host.example/a?b#c", "https://host.example:443");
    origin_is("http://u:p@h:81/", "http://h:81");
    origin_is("http://[::1]:8080/x", "http://[::1]:8080");
    origin_is("ftp://h/", NULL);
    origin_is("file:///etc/passwd", NULL);
    origin_is("nonsense", NULL);
    s = auk_url_shown("https://u:p@h/a/b?signature=1#f");
    assert_string_equal(s, "https://h/a/b");
    free(s);
    s = auk_url_resolve("http://h/a/b?c", auk_str_of("/d"));
    assert_string_equal(s, "http://h/d");
    free(s);
    assert_null(auk_url_resolve("http://h/", auk_str_of("file:///etc/passwd")));
}

static void waits_grow_and_have_an_end(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int n = 1; n < 40; n++) {
        uint64_t want = n < 8 ? 100u << (n - 1) : 10000, ms;
        want = want > 10000 ? 10000 : want;
        ms = auk_backoff_ms(n, 100, 10000, 0, &seed);
        assert_true(ms >= want - want / 4 && ms <= want + want / 4);
    }
    assert_int_equal(auk_backoff_ms(1, 100, 10000, 77777, &seed), 77777);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_follow_the_rules),     cmocka_unit_test(lines_come_one_by_one),
        cmocka_unit_test(what_is_too_long_is_refused), cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(waits_grow_and_have_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
