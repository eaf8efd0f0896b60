/* SPDX-License-Identifier: Apache-2.0 */
/* What a workshop lets commands do, and what not. */
#include "eval/eval.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_python *py;
static auk_sandbox *sb;

static auk_workshop *begin(const auk_workshop_limits *limits)
{
    auk_workshop *w;
    auk_err err = {0};

    if (auk_workshop_open(&w, sb, limits, &err) != AUK_OK ||
        auk_workshop_put(w, "a.py", false, auk_str_of("print(1)\n"), &err) != AUK_OK ||
        auk_workshop_put(w, "d/b.sh", true, auk_str_of("echo sh\n"), &err) != AUK_OK)
        fail_msg("%s", err.msg);
    return w;
}

static auk_workshop_result run(auk_workshop *w, const char *command)
{
    auk_workshop_result r;
    auk_err err;

    assert_int_equal(auk_workshop_run(&r, w, auk_str_of(command), &err), AUK_OK);
    return r;
}

static void says(auk_workshop *w, const char *command, const char *want, int code)
{
    auk_workshop_result r = run(w, command);

    if (strstr(r.output, want) == NULL || r.exit_code != code)
        fail_msg("'%s' gave %d '%s'", command, r.exit_code, r.output);
    auk_workshop_result_release(&r);
}

static void commands_start_programs_and_change_files(void **state)
{
    auk_workshop_limits limits = auk_workshop_defaults();
    auk_workshop *w = begin(&limits);
    (void)state;

    says(w, "python3 a.py; ./d/b.sh | cat; exit 3", "1\nsh\n", 3);
    assert_int_equal(json_object_size(auk_workshop_changes(w)), 0);
    says(
        w,
        "echo 'print(2)' > a.py; rm -r d; mkdir __pycache__; echo x > __pycache__/y; ln -s a.py l; "
        "printf 'a\\377' > bin; echo new > n.txt",
        "", 0);
    const json_t *changes = auk_workshop_changes(w);
    assert_int_equal(json_object_size(changes), 3);
    assert_string_equal(json_string_value(json_object_get(changes, "a.py")), "print(2)\n");
    assert_string_equal(json_string_value(json_object_get(changes, "n.txt")), "new\n");
    assert_true(json_is_null(json_object_get(changes, "d/b.sh")));
    says(w, "echo 'print(1)' > a.py; rm n.txt", "", 0);
    assert_int_equal(json_object_size(auk_workshop_changes(w)), 1);
    auk_workshop_close(w);
}

static void nothing_outside_is_reached(void **state)
{
    auk_workshop_limits limits = auk_workshop_defaults();
    auk_workshop *w = begin(&limits);
    (void)state;

    says(w, "cat /etc/passwd || cat /root/.bashrc || ls /home", "No such file", 2);
    says(w, "python3 -c 'import socket; socket.socket()'", "Operation not permitted", 1);
    says(w, "touch /usr/x || touch /x", "touch", 1);
    says(w, "unshare -U true", "Operation not permitted", 1);
    says(w, "ls /proc", "No such file", 2);
    says(w, "kill -0 $PPID && echo its own", "its own", 0);
    says(w, "env | grep -c SECRET", "0", 1);
    auk_workshop_close(w);
}

static void floods_forks_and_sleepers_end(void **state)
{
    auk_workshop_limits limits = auk_workshop_defaults();
    limits.command_ms = 1500;
    auk_workshop *w = begin(&limits);
    (void)state;

    auk_workshop_result r = run(w, "sleep 100");
    assert_true(r.timed_out);
    auk_workshop_result_release(&r);
    r = run(w, "(sleep 100 &) ; (setsid sleep 100 &); echo over");
    assert_false(r.timed_out);
    assert_string_equal(r.output, "over\n");
    auk_workshop_result_release(&r);
    says(w, "(while sleep 0.1; do echo x >> tick; done) & sleep 0.4", "", 0);
    says(w, "a=$(wc -l <tick); sleep 0.4; [ $a -gt 0 ] && [ $a = $(wc -l <tick) ] && echo quiet",
         "quiet", 0);
    r = run(w, ":(){ :|:& };:");
    auk_workshop_result_release(&r);
    r = run(w, "yes | head -c 3000000; echo the end");
    assert_true(r.output_total == 3000008);
    assert_true(strlen(r.output) < 11000 && strstr(r.output, "left out") != NULL);
    assert_non_null(strstr(r.output, "the end"));
    auk_workshop_result_release(&r);
    says(w, "echo still here", "still here", 0);
    auk_workshop_close(w);
}

static void a_workshop_that_is_killed_keeps_its_last_changes(void **state)
{
    auk_workshop_limits limits = auk_workshop_defaults();
    auk_workshop *w = begin(&limits);
    (void)state;

    says(w, "echo 2 > a.py", "", 0);
    auk_workshop_result r = run(w, "kill -9 $PPID");
    assert_true(r.gone);
    auk_workshop_result_release(&r);
    assert_int_equal(json_object_size(auk_workshop_changes(w)), 1);
    r = run(w, "echo nobody is there");
    assert_true(r.gone);
    auk_workshop_result_release(&r);
    auk_workshop_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_start_programs_and_change_files),
        cmocka_unit_test(nothing_outside_is_reached),
        cmocka_unit_test(floods_forks_and_sleepers_end),
        cmocka_unit_test(a_workshop_that_is_killed_keeps_its_last_changes),
    };
    auk_err err;

    if (auk_python_find(&py, NULL, &err) < 0 ||
        auk_sandbox_open(&sb, py, &(auk_sandbox_options){.level = "A"}, &err) < 0) {
        fprintf(stderr, "SKIPPED: a workshop: %s\n", err.msg);
        auk_python_free(py);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    auk_sandbox_close(sb);
    auk_python_free(py);
    return failed;
}
