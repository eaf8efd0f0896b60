/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(x) (sizeof(x) / sizeof *(x))
#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char path_a[200], path_b[200];

static int read_text(auk_tally *out, const char *path, const char *text, auk_err *err)
{
    assert_int_equal(auk_file_write(path, auk_str_of(text), NULL), AUK_OK);
    return auk_tally_read(out, path, err);
}

static auk_tally good(const char *path, const char *text)
{
    auk_tally t;
    auk_err err;

    if (read_text(&t, path, text, &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

/* The pair of two good files. */
static int table_of(auk_paired *t, size_t *excluded, const char *a, const char *b, auk_err *err)
{
    auk_tally x = good(path_a, a), y = good(path_b, b);
    int rc = auk_tally_table(t, excluded, &x, &y, err);

    auk_tally_release(&x);
    auk_tally_release(&y);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void lines_in_any_order_are_counted_by_task(void **state)
{
    auk_tally t = good(path_a, "{\"task_id\": \"T/2\", \"sample\": 1, \"passed\": true}\n"
                               "\n"
                               "{\"task_id\": \"T/10\", \"sample\": 0, \"passed\": false, "
                               "\"answer\": \"a\\u0000b\", \"status\": \"timeout\"}\r\n"
                               "{\"task_id\": \"T/2\", \"sample\": 0, \"passed\": false}\n"
                               "   \n"
                               "{\"task_id\": \"T/2\", \"sample\": 2, \"passed\": true, "
                               "\"status\": \"passed\"}");
    (void)state;

    assert_int_equal(t.n, 2);
    assert_string_equal(t.p[0].task, "T/10");
    assert_true(t.p[0].n == 1 && t.p[0].passed == 0 && !t.p[0].broken);
    assert_string_equal(t.p[1].task, "T/2");
    assert_true(t.p[1].n == 3 && t.p[1].passed == 2);
    assert_string_equal(t.data_sha256, "");
    auk_tally_release(&t);
    auk_tally_release(&t);
}

static void lines_without_a_sample_are_the_task_s_next(void **state)
{
    auk_tally t = good(path_a, "{\"task_id\": \"T\", \"passed\": true}\n"
                               "{\"task_id\": \"T\", \"passed\": true}\n");
    (void)state;

    assert_true(t.n == 1 && t.p[0].n == 2 && t.p[0].passed == 2);
    auk_tally_release(&t);
}

static void a_head_line_gives_the_data(void **state)
{
    auk_tally t = good(path_a, "{\"schema\": \"auklet.eval/1\", \"data_sha256\": \"" HASH_A "\"}\n"
                               "{\"task_id\": \"T\", \"passed\": true}\n");
    (void)state;

    assert_int_equal(t.n, 1);
    assert_string_equal(t.data_sha256, HASH_A);
    auk_tally_release(&t);
}

static void bad_lines_are_refused_by_number(void **state)
{
    static const struct {
        const char *text, *want; /* what the message says after the path */
    } rows[] = {
        {"{\"task_id\": \"T\", \"passed\": true}\n{\"task_id\": \"U\", \"pas",
         "', line 2: it ends in the middle; resume the run that wrote it"},
        {"{\"task_id\": \"T\" \"passed\": true}\n", "', line 1: not valid JSON"},
        {"[1]\n", "', line 1: not a JSON object"},
        {"\n{\"passed\": true}\n", "', line 2: task_id is not a text"},
        {"{\"task_id\": 11, \"passed\": true}\n", "', line 1: task_id is not a text"},
        {"{\"task_id\": \"\", \"passed\": true}\n", "', line 1: task_id is not a text"},
        {"{\"task_id\": \"a\\u0000\", \"passed\": true}\n", "', line 1: task_id is not a text"},
        {"{\"task_id\": \"T\"}\n", "', line 1: passed is not true or false"},
        {"{\"task_id\": \"T\", \"passed\": 1}\n", "', line 1: passed is not true or false"},
        {"{\"task_id\": \"T\", \"passed\": true, \"sample\": -1}\n",
         "', line 1: sample is not a number from 0 on"},
        {"{\"task_id\": \"T\", \"passed\": true, \"sample\": 1.5}\n",
         "', line 1: sample is not a number from 0 on"},
        {"{\"task_id\": \"T\", \"passed\": true, \"status\": \"timeout\"}\n",
         "', line 1: status and passed contradict each other"},
        {"{\"task_id\": \"T\", \"passed\": false, \"status\": \"passed\"}\n",
         "', line 1: status and passed contradict each other"},
        {"{\"task_id\": \"T\", \"passed\": false, \"status\": 3}\n",
         "', line 1: status is not a text"},
        {"{\"task_id\": \"T\", \"passed\": true, \"data_sha256\": \"abc\"}\n",
         "', line 1: data_sha256 is not a hash of 64 digits"},
        {"{\"task_id\": \"T\", \"passed\": true, \"data_sha256\": \"" HASH_A "\"}\n"
         "{\"task_id\": \"U\", \"passed\": true, \"data_sha256\": \"" HASH_B "\"}\n",
         "', line 2: data_sha256 is not that of the lines before"},
        {"{\"task_id\": \"T\", \"passed\": true, \"sample\": 0}\n"
         "{\"task_id\": \"U\", \"passed\": true, \"sample\": 0}\n"
         "{\"task_id\": \"T\", \"passed\": false, \"sample\": 0}\n",
         "' has sample 0 of 'T' twice, in lines 1 and 3"},
        {"", "' holds no result"},
        {"\n\n", "' holds no result"},
        {"{\"schema\": \"auklet.eval/1\"}\n", "' holds no result"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        auk_tally t;
        auk_err err;
        assert_int_equal(read_text(&t, path_a, rows[i].text, &err), AUK_EFORMAT);
        char want[500];
        snprintf(want, sizeof want, "'%s%s", path_a, rows[i].want);
        assert_string_equal(err.msg, want);
    }
}

static void a_missing_file_is_not_found(void **state)
{
    auk_tally t;
    (void)state;

    assert_int_equal(auk_tally_read(&t, "/nowhere/at.all", NULL), AUK_ENOTFOUND);
}

/* ---- pairing ------------------------------------------------------------------------------ */

#define PASS(task) "{\"task_id\": \"" task "\", \"sample\": 0, \"passed\": true}\n"
#define FAIL(task) "{\"task_id\": \"" task "\", \"sample\": 0, \"passed\": false}\n"
#define BROKEN(task)                                                                               \
    "{\"task_id\": \"" task "\", \"sample\": 0, \"passed\": false, "                               \
    "\"status\": \"harness_error\"}\n"

static void a_table_has_both_only_a_only_b_none(void **state)
{
    auk_paired t;
    size_t excluded;
    (void)state;

    assert_int_equal(table_of(&t, &excluded,
                              PASS("1") PASS("2") PASS("3") FAIL("4") FAIL("5") FAIL("6") PASS("7"),
                              PASS("7") FAIL("6") PASS("5") FAIL("4") FAIL("3") PASS("2") PASS("1"),
                              NULL),
                     AUK_OK);
    assert_true(t.a == 3 && t.b == 1 && t.c == 1 && t.d == 2);
    assert_int_equal(excluded, 0);
}

static void a_broken_task_leaves_both_runs_and_is_counted(void **state)
{
    auk_paired t;
    size_t excluded;
    (void)state;

    assert_int_equal(table_of(&t, &excluded, PASS("1") BROKEN("2") PASS("3") FAIL("4"),
                              BROKEN("1") PASS("2") FAIL("3") FAIL("4"), NULL),
                     AUK_OK);
    assert_true(t.a == 0 && t.b == 1 && t.c == 0 && t.d == 1);
    assert_int_equal(excluded, 2);
}

static void different_tasks_are_refused(void **state)
{
    auk_paired t;
    size_t excluded;
    auk_err err;
    char want[500];
    (void)state;

    assert_int_equal(table_of(&t, &excluded, PASS("1") PASS("2") PASS("3"), PASS("1"), &err),
                     AUK_EINVAL);
    snprintf(want, sizeof want,
             "the runs are of different tasks: 2 of '%s' are not in '%s', '2' first", path_a,
             path_b);
    assert_string_equal(err.msg, want);
    assert_int_equal(table_of(&t, &excluded, PASS("2"), PASS("1") PASS("2"), &err), AUK_EINVAL);
    snprintf(want, sizeof want,
             "the runs are of different tasks: 1 of '%s' are not in '%s', '1' first", path_b,
             path_a);
    assert_string_equal(err.msg, want);
}

static void different_data_are_refused(void **state)
{
    static const char *const hashed[] = {
        "{\"task_id\": \"1\", \"passed\": true, \"data_sha256\": \"" HASH_A "\"}\n",
        "{\"task_id\": \"1\", \"passed\": true, \"data_sha256\": \"" HASH_B "\"}\n"};
    auk_paired t;
    size_t excluded;
    auk_err err;
    (void)state;

    assert_int_equal(table_of(&t, &excluded, hashed[0], hashed[1], &err), AUK_EINVAL);
    assert_non_null(strstr(err.msg, "different data: aaaaaaaaaaaa..."));
    assert_int_equal(table_of(&t, &excluded, hashed[0], hashed[0], &err), AUK_OK);
    assert_int_equal(table_of(&t, &excluded, hashed[0], PASS("1"), &err), AUK_OK);
}

static void several_samples_make_no_table_but_differences(void **state)
{
    static const char a[] =
        "{\"task_id\": \"1\", \"sample\": 0, \"passed\": true}\n"
        "{\"task_id\": \"1\", \"sample\": 1, \"passed\": false}\n" BROKEN("3") PASS("2");
    static const char b[] = FAIL("1") FAIL("2") PASS("3");
    auk_tally x, y;
    auk_paired t;
    size_t n, excluded;
    double *d;
    (void)state;

    assert_int_equal(table_of(&t, &excluded, a, b, NULL), AUK_EINVAL);
    x = good(path_a, a);
    y = good(path_b, b);
    assert_int_equal(auk_tally_differences(&d, &n, &excluded, &x, &y, NULL), AUK_OK);
    assert_int_equal(n, 2);
    assert_int_equal(excluded, 1);
    assert_true(d[0] == 0.5 && d[1] == 1);
    free(d);
    auk_tally_release(&x);
    auk_tally_release(&y);
}

static void one_file_gives_a_count_and_a_mean(void **state)
{
    auk_tally once = good(path_a, PASS("1") FAIL("2") BROKEN("3") PASS("4"));
    auk_tally twice =
        good(path_b, "{\"task_id\": \"1\", \"sample\": 1, \"passed\": true}\n"
                     "{\"task_id\": \"2\", \"sample\": 1, \"passed\": true}\n" PASS("1") FAIL("2"));
    auk_tally broken = good(path_a, BROKEN("1"));
    uint64_t k, n;
    size_t tasks;
    double x;
    auk_err err;
    (void)state;

    assert_int_equal(auk_tally_count(&k, &n, &once, NULL), AUK_OK);
    assert_true(k == 2 && n == 3);
    assert_int_equal(auk_tally_count(&k, &n, &twice, NULL), AUK_EINVAL);
    assert_int_equal(auk_tally_mean(&x, &tasks, &twice, auk_stats_passk, 1, NULL), AUK_OK);
    assert_true(x == 0.75 && tasks == 2);
    assert_int_equal(auk_tally_mean(&x, &tasks, &twice, auk_stats_passhatk, 2, NULL), AUK_OK);
    assert_true(x == 0.5 && tasks == 2);
    assert_int_equal(auk_tally_mean(&x, &tasks, &once, auk_stats_passk, 1, NULL), AUK_OK);
    assert_int_equal(tasks, 3);
    assert_int_equal(auk_tally_mean(&x, &tasks, &twice, auk_stats_passk, 3, &err), AUK_EINVAL);
    assert_non_null(strstr(err.msg, "has 2 samples of '1', k is 3"));
    assert_int_equal(auk_tally_mean(&x, &tasks, &broken, auk_stats_passk, 1, NULL), AUK_EINVAL);
    auk_tally_release(&once);
    auk_tally_release(&twice);
    auk_tally_release(&broken);
}

static void many_tasks_are_read(void **state)
{
    auk_buf text = AUK_BUF_INIT((size_t)1 << 24);
    auk_tally t;
    (void)state;

    for (int i = 0; i < 5000; i++)
        auk_buf_printf(&text, "{\"task_id\": \"T/%d\", \"sample\": 0, \"passed\": %s}\n", i,
                       i % 3 == 0 ? "true" : "false");
    t = good(path_a, text.p);
    assert_int_equal(t.n, 5000);
    for (size_t i = 1; i < t.n; i++)
        assert_true(strcmp(t.p[i - 1].task, t.p[i].task) < 0);
    auk_tally_release(&t);
    auk_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_in_any_order_are_counted_by_task),
        cmocka_unit_test(lines_without_a_sample_are_the_task_s_next),
        cmocka_unit_test(a_head_line_gives_the_data),
        cmocka_unit_test(bad_lines_are_refused_by_number),
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(a_table_has_both_only_a_only_b_none),
        cmocka_unit_test(a_broken_task_leaves_both_runs_and_is_counted),
        cmocka_unit_test(different_tasks_are_refused),
        cmocka_unit_test(different_data_are_refused),
        cmocka_unit_test(several_samples_make_no_table_but_differences),
        cmocka_unit_test(one_file_gives_a_count_and_a_mean),
        cmocka_unit_test(many_tasks_are_read),
    };

    const char *dir = getenv("TMPDIR");
    snprintf(path_a, sizeof path_a, "%.150s/auk-tally-%d-a", dir != NULL ? dir : "/tmp",
             (int)getpid());
    snprintf(path_b, sizeof path_b, "%.150s/auk-tally-%d-b", dir != NULL ? dir : "/tmp",
             (int)getpid());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path_a);
    unlink(path_b);
    return failed;
}
