/* SPDX-License-Identifier: Apache-2.0 */
#include "swebench/stuck.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *add(auk_stuck *s, const char *command, int code, const char *output)
{
    return auk_stuck_add(s, auk_str_of(command), code, auk_str_of(output));
}

static void four_equal_steps_repeat(void **state)
{
    auk_stuck s = {0};
    (void)state;

    for (int i = 0; i < 3; i++)
        assert_null(add(&s, "ls", 0, "a"));
    assert_string_equal(add(&s, " ls ", 0, "a"), "repeats");
}

static void a_command_whose_output_changes_is_waiting(void **state)
{
    const char *const outputs[] = {"1 %", "2 %", "3 %", "4 %", "5 %", "6 %", "7 %"};
    auk_stuck s = {0};
    (void)state;

    for (size_t i = 0; i < 7; i++)
        assert_null(add(&s, "tail log", 0, outputs[i]));
}

static void three_failures_of_one_command_are_enough(void **state)
{
    auk_stuck s = {0};
    (void)state;

    assert_null(add(&s, "make", 2, "x"));
    assert_null(add(&s, "make", 2, "y"));
    assert_string_equal(add(&s, "make", 1, "z"), "errors");
}

static void two_steps_in_turn_alternate_after_six(void **state)
{
    auk_stuck s = {0};
    (void)state;

    for (int i = 0; i < 5; i++)
        assert_null(add(&s, i % 2 ? "cat b" : "cat a", 0, i % 2 ? "b" : "a"));
    assert_string_equal(add(&s, "cat b", 0, "b"), "alternates");
}

static void other_steps_between_break_a_circle(void **state)
{
    auk_stuck s = {0};
    (void)state;

    for (int i = 0; i < 12; i++)
        assert_null(add(&s, i % 3 == 2 ? "pytest" : "ls", i % 3 == 2, i % 2 ? "x" : "y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_equal_steps_repeat),
        cmocka_unit_test(a_command_whose_output_changes_is_waiting),
        cmocka_unit_test(three_failures_of_one_command_are_enough),
        cmocka_unit_test(two_steps_in_turn_alternate_after_six),
        cmocka_unit_test(other_steps_between_break_a_circle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
