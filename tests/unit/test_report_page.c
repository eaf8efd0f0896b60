/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "report/doc.h"
#include "test_ledger_fixture.h"

#include "base/rng.h"

#include <inttypes.h>

/* ---- escaping ----------------------------------------------------------------------------- */

static void escaped(void (*fn)(auk_buf *, auk_str), const char *text, size_t n, const char *want)
{
    auk_buf out = AUK_BUF_INIT(1 << 16);

    fn(&out, (auk_str){text, n});
    assert_string_equal(out.p != NULL ? out.p : "", want);
    auk_buf_release(&out);
}

#define ESCAPED(fn, text, want) escaped(fn, text, sizeof(text) - 1, want)

static void hostile_text_is_shown_not_obeyed(void **state)
{
    (void)state;

    ESCAPED(auk_escape_html, "<script>alert('1')&\"",
            "&lt;script&gt;alert(&#39;1&#39;)&amp;&quot;");
    ESCAPED(auk_escape_html, "a\0b\x1b[31m\x7f",
            "a\xe2\x90\x80"
            "b\xe2\x90\x9b[31m\xe2\x90\xa1");
    ESCAPED(auk_escape_html, "caf\xc3\xa9 \xf0\x9f\x90\xa6", "caf\xc3\xa9 \xf0\x9f\x90\xa6");
    ESCAPED(auk_escape_html, "\xff\xc0\xaf\xed\xa0\x80\xe2\x82",
            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
            "\xef\xbf\xbd");
    ESCAPED(auk_escape_html,
            "a\xe2\x80\xae"
            "b",
            "a(U+202E)b");
    ESCAPED(auk_escape_markdown, "a|b\n# <b> `c` [x](y)", "a\\|b \\# &lt;b&gt; \\`c\\` \\[x\\](y)");
    ESCAPED(auk_escape_line, "a\nb\tc\r",
            "a\xe2\x90\x8a"
            "b\xe2\x90\x89"
            "c\xe2\x90\x8d");
    ESCAPED(auk_escape_text, "a\nb\tc\0", "a\nb\tc\xe2\x90\x80");
}

/* A property: whatever the bytes, what comes out is text without markup and reads as JSON text. */
static void any_bytes_become_text(void **state)
{
    auk_rng rng = auk_rng_make(3);
    char bytes[64];
    (void)state;

    for (int round = 0; round < 3000; round++) {
        auk_buf out = AUK_BUF_INIT(1 << 16);
        size_t n = (size_t)auk_rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)auk_rng_next(&rng);
        auk_escape_html(&out, (auk_str){bytes, n});
        json_t *v = json_stringn(out.p != NULL ? out.p : "", out.n);
        if (v == NULL || (out.n > 0 && strpbrk(out.p, "<>\"'") != NULL) ||
            strlen(out.p ? out.p : "") != out.n)
            fail_msg("round %d", round);
        json_decref(v);
        auk_buf_release(&out);
    }
}

static void a_block_is_fenced_by_more_than_it_holds(void **state)
{
    auk_buf out = AUK_BUF_INIT(1 << 16);
    auk_doc d = {.out = &out};
    (void)state;

    auk_doc_code(&d, auk_str_of("```\n# not a heading\n````"));
    assert_string_equal(out.p, "`````\n```\n# not a heading\n````\n`````\n\n");
    auk_buf_release(&out);
}

/* ---- reports ------------------------------------------------------------------------------ */

static const char *const other_lines[] = {
    "{\"task_id\": \"HumanEval/0\", \"status\": \"failed\", \"passed\": false}",
    "{\"task_id\": \"HumanEval/10\", \"status\": \"passed\", \"passed\": true}",
    "{\"task_id\": \"HumanEval/9\", \"status\": \"passed\", \"passed\": true, \"extraction\": "
    "{\"status\": \"ok\", \"method\": \"</pre><script>fences\"}, \"answer\": \"</details>\"}",
    "{\"task_id\": \"HumanEval/2\", \"status\": \"passed\", \"passed\": true}",
    NULL,
};

static const char *const hostile_lines[] = {
    "{\"task_id\": \"<img src=x onerror=alert(1)>\", \"status\": \"<b>\", \"passed\": false, "
    "\"<i>\": \"<u>\"}",
    NULL,
};

/* The report of the records of a ledger, in order. */
static void report(auk_buf *out, auk_ledger *l, auk_report_format format)
{
    auk_entry entries[8] = {{0}}, *list;
    size_t n;
    auk_err err = {0};

    assert_int_equal(auk_ledger_list(&list, &n, l, NULL, NULL, &err), AUK_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(auk_ledger_get(&entries[i], l, list[i].id, &err), AUK_OK);
    if (auk_report(out, entries, n, format, &err) != AUK_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < n; i++)
        auk_entry_release(&entries[i]);
    auk_entries_free(list, n);
}

static auk_ledger *three_evals(void)
{
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    auk_err err;

    assert_int_equal(
        put_lines(l, id, "eval", MODEL_A ", " DATA ", \"sandbox\": \"A\"", eval_lines, &err),
        AUK_OK);
    assert_int_equal(
        put_lines(l, id, "eval", MODEL_A ", " DATA ", \"sandbox\": \"D\"", other_lines, &err),
        AUK_OK);
    assert_int_equal(put_lines(l, id, "eval",
                               "\"model\": {\"path\": \"<script>\", \"fingerprint\": \"f\"}, "
                               "\"data\": {\"name\": \"<style>\", \"sha256\": \"<b>\"}",
                               hostile_lines, &err),
                     AUK_OK);
    return l;
}

static bool holds(const auk_buf *page, const char *word)
{
    return strstr(page->p, word) != NULL;
}

static void a_page_has_nothing_of_the_items_as_markup(void **state)
{
    auk_buf page = AUK_BUF_INIT(1 << 22);
    auk_ledger *l = three_evals();
    (void)state;

    report(&page, l, AUK_REPORT_HTML);
    assert_false(holds(&page, "<script"));
    assert_false(holds(&page, "<img"));
    assert_false(holds(&page, "<i>"));
    assert_false(holds(&page, "<u>"));
    assert_false(holds(&page, "<b>"));
    assert_true(holds(&page, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_true(holds(&page, "&lt;img src=x onerror=alert(1)&gt;"));
    assert_int_equal(strlen(page.p), page.n); /* no NUL */
    auk_buf_clear(&page);
    report(&page, l, AUK_REPORT_MARKDOWN);
    assert_true(holds(&page, "&lt;img src=x onerror=alert(1)&gt;"));
    assert_false(holds(&page, "<img"));
    auk_ledger_close(l);
    auk_buf_release(&page);
}

static void a_page_needs_nothing_but_itself(void **state)
{
    static const char *const outside[] = {"http://", "https://", "src=\"",  "href=\"", "url(",
                                          "@import", "<link",    "<iframe", "onload="};
    auk_buf page = AUK_BUF_INIT(1 << 22);
    auk_ledger *l = three_evals();
    (void)state;

    report(&page, l, AUK_REPORT_HTML);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        assert_false(holds(&page, outside[i]));
    assert_true(holds(&page, "prefers-color-scheme:dark"));
    assert_true(holds(&page, "@media print"));
    assert_true(holds(&page, "<svg"));
    auk_ledger_close(l);
    auk_buf_release(&page);
}

static void the_same_records_give_the_same_bytes(void **state)
{
    auk_ledger *l = three_evals();
    (void)state;

    for (int f = AUK_REPORT_HTML; f <= AUK_REPORT_JSON; f++) {
        auk_buf one = AUK_BUF_INIT(1 << 22), two = AUK_BUF_INIT(1 << 22);
        report(&one, l, (auk_report_format)f);
        report(&two, l, (auk_report_format)f);
        assert_true(auk_str_eq(auk_buf_str(&one), auk_buf_str(&two)));
        auk_buf_release(&one);
        auk_buf_release(&two);
    }
    auk_ledger_close(l);
}

static void elements_are_closed(void **state)
{
    static const char *const names[] = {"table", "details", "tr",     "td",      "pre",  "svg", "p",
                                        "div",   "code",    "strong", "summary", "body", "html"};
    auk_buf page = AUK_BUF_INIT(1 << 22);
    auk_ledger *l = three_evals();
    char open[16], open_more[16], close[16];
    (void)state;

    report(&page, l, AUK_REPORT_HTML);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int depth = 0;
        snprintf(open, sizeof open, "<%s>", names[i]);
        snprintf(open_more, sizeof open_more, "<%s ", names[i]);
        snprintf(close, sizeof close, "</%s>", names[i]);
        for (const char *p = page.p; (p = strchr(p, '<')) != NULL; p++) {
            depth += strncmp(p, open, strlen(open)) == 0;
            depth += strncmp(p, open_more, strlen(open_more)) == 0;
            depth -= strncmp(p, close, strlen(close)) == 0;
        }
        if (depth != 0)
            fail_msg("<%s>: %d", names[i], depth);
    }
    auk_ledger_close(l);
    auk_buf_release(&page);
}

static void pairs_and_reruns_are_facts(void **state)
{
    auk_buf page = AUK_BUF_INIT(1 << 22);
    auk_ledger *l = three_evals();
    json_t *v;
    auk_err err;
    (void)state;

    report(&page, l, AUK_REPORT_JSON);
    assert_int_equal(auk_json_parse(&v, auk_buf_str(&page), "report", &err), AUK_OK);
    const json_t *group = json_array_get(json_object_get(v, "evals"), 0);
    const json_t *pair = json_array_get(json_object_get(group, "pairs"), 0);
    const json_t *table = json_object_get(pair, "table");
    static const int want[] = {0, 2, 1, 0}; /* B against A, HumanEval/2 left out */
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(json_integer_value(json_array_get(table, i)), want[i]);
    assert_int_equal(json_integer_value(json_object_get(pair, "excluded")), 1);
    const json_t *rerun = json_array_get(json_object_get(group, "reruns"), 0);
    assert_int_equal(json_array_size(json_object_get(rerun, "flips")), 3);
    const json_t *first = json_array_get(json_object_get(group, "tasks"), 1);
    assert_string_equal(json_string_value(json_object_get(first, "task_id")), "HumanEval/2");
    assert_null(strstr(json_string_value(json_object_get(pair, "sentence")), "equal "));
    assert_int_equal(json_array_size(json_object_get(v, "evals")), 2);
    json_decref(v);
    auk_ledger_close(l);
    auk_buf_release(&page);
}

static void different_tasks_are_not_compared(void **state)
{
    static const char *const fewer[] = {
        "{\"task_id\": \"HumanEval/0\", \"status\": \"passed\", \"passed\": true}", NULL};
    auk_buf page = AUK_BUF_INIT(1 << 22);
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    auk_err err;
    (void)state;

    assert_int_equal(put_lines(l, id, "eval", MODEL_A ", " DATA, eval_lines, &err), AUK_OK);
    assert_int_equal(put_lines(l, id, "eval", MODEL_A ", " DATA, fewer, &err), AUK_OK);
    report(&page, l, AUK_REPORT_HTML);
    assert_true(holds(&page, "B and A are not compared: B has 1 tasks, A has 4."));
    assert_false(holds(&page, "noise floor"));
    auk_ledger_close(l);
    auk_buf_release(&page);
}

static void a_run_without_a_sandbox_is_marked(void **state)
{
    auk_buf page = AUK_BUF_INIT(1 << 22);
    auk_ledger *l = three_evals();
    (void)state;

    report(&page, l, AUK_REPORT_MARKDOWN);
    assert_true(holds(&page, "Level D: programs ran without a sandbox"));
    auk_ledger_close(l);
    auk_buf_release(&page);
}

static void a_long_answer_says_what_is_left_out(void **state)
{
    auk_buf line = AUK_BUF_INIT(1 << 22), page = AUK_BUF_INIT(1 << 22);
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    auk_err err;
    (void)state;

    auk_buf_puts(&line, "{\"task_id\": \"a\", \"passed\": false, \"answer\": \"");
    for (int i = 0; i < 30000; i++)
        auk_buf_putc(&line, 'x');
    auk_buf_puts(&line, "\"}");
    const char *lines[] = {line.p, NULL};
    assert_int_equal(put_lines(l, id, "eval", "", lines, &err), AUK_OK);
    report(&page, l, AUK_REPORT_HTML);
    assert_true(holds(&page, "10000 more bytes are in the record."));
    auk_ledger_close(l);
    auk_buf_release(&line);
    auk_buf_release(&page);
}

/* ---- cards -------------------------------------------------------------------------------- */

static void a_card_quotes_what_it_is_given(void **state)
{
    auk_card_options o = {.name = "x\"\n- y: <b>", .fingerprint = "aaaa", .license = "mit: \"x\""};
    auk_buf page = AUK_BUF_INIT(1 << 22);
    auk_ledger *l = three_evals();
    auk_entry *list;
    size_t n;
    auk_err err;
    (void)state;

    assert_int_equal(auk_ledger_list(&list, &n, l, NULL, "aaaa", &err), AUK_OK);
    assert_int_equal(n, 2);
    assert_int_equal(auk_card(&page, list, n, &o, &err), AUK_OK);
    assert_true(holds(&page, "license: \"mit: \\\"x\\\"\"\n"));
    assert_true(holds(&page, "- name: \"x\\\"\\n- y: <b>\"\n"));
    assert_true(holds(&page, "# x\" - y: &lt;b&gt;\n"));
    assert_true(holds(&page, "type: \"openai/openai_humaneval\""));
    assert_true(holds(&page, "value: 0.7500")); /* the later record of the two */
    assert_int_equal(auk_card(&page, list, 0, &o, &err), AUK_ENOTFOUND);
    auk_entries_free(list, n);
    auk_ledger_close(l);
    auk_buf_release(&page);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_is_shown_not_obeyed),
        cmocka_unit_test(any_bytes_become_text),
        cmocka_unit_test(a_block_is_fenced_by_more_than_it_holds),
        T(a_page_has_nothing_of_the_items_as_markup),
        T(a_page_needs_nothing_but_itself),
        T(the_same_records_give_the_same_bytes),
        T(elements_are_closed),
        T(pairs_and_reruns_are_facts),
        T(different_tasks_are_not_compared),
        T(a_run_without_a_sandbox_is_marked),
        T(a_long_answer_says_what_is_left_out),
        T(a_card_quotes_what_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
