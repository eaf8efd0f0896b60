/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static auk_err err;

/* Compares what one output is read as with "thinking|text|calls|outcome". */
static void reads(bool reasoning_on, const char *output, const char *want)
{
    auk_parser *p = auk_parser_new(reasoning_on, NULL, NULL);
    auk_buf got = AUK_BUF_INIT(1 << 16);
    auk_parsed r;

    assert_int_equal(auk_parser_feed(p, auk_str_of(output), &err), AUK_OK);
    assert_int_equal(auk_parser_finish(&r, p, &err), AUK_OK);
    auk_buf_add(&got, r.thinking.p, r.thinking.n);
    auk_buf_putc(&got, '|');
    auk_buf_add(&got, r.text.p, r.text.n);
    auk_buf_putc(&got, '|');
    for (size_t i = 0; i < r.n_calls; i++) {
        auk_buf_add(&got, r.calls[i].name.p, r.calls[i].name.n);
        auk_json_print(&got, r.calls[i].arguments, (auk_json_style){0});
    }
    auk_buf_printf(&got, "|%s", auk_outcome_name(r.outcome));
    assert_string_equal(got.p, want);
    auk_buf_release(&got);
    auk_parser_free(p);
}

static void tells_the_outcomes_apart(void **state)
{
    (void)state;
    reads(true, "t<|END_THINKING|><|START_TEXT|>a<|END_TEXT|>", "t|a||answer");
    reads(true, "t<|END_THINKING|><|START_ACTION|>[{\"tool_name\": \"f\"}]<|END_ACTION|>",
          "t||f{}|tool_calls");
    reads(true, "t<|END_THINKING|><|START_ACTION|>[{\"tool_name\": f}]<|END_ACTION|>",
          "t|||malformed_action");
    reads(true, "t<|END_THINKING|><|END_OF_TURN_TOKEN|>", "t|||empty");
    reads(true, "t", "t|||unclosed_thinking");
    reads(true, "t<|END_OF_TURN_TOKEN|>", "t|||unclosed_thinking");
    reads(true, "", "|||empty");
    reads(false, "", "|||empty");
}

static void ignores_what_follows_the_end_of_turn(void **state)
{
    auk_parser *p = auk_parser_new(false, NULL, NULL);

    (void)state;
    assert_int_equal(auk_parser_feed(p, auk_str_of("a<|END_OF_TURN_TOKEN|>b"), &err), AUK_OK);
    assert_true(auk_parser_done(p));
    auk_parser_free(p);
    reads(false, "a<|END_OF_TURN_TOKEN|>b<|START_TEXT|>c", "|a||answer");
}

static void keeps_white_space_inside_and_drops_it_at_the_end(void **state)
{
    (void)state;
    reads(false, " a \n b \n", "| a \n b||answer");
    reads(true, "t \n<|END_THINKING|>\n\n<|START_TEXT|>a<|END_TEXT|>\n", "t|a||answer");
    reads(true, "t<|END_THINKING|>\n\na", "t|\n\na||answer");
}

static void keeps_a_partial_copy_of_the_answer(void **state)
{
    (void)state;
    reads(false, "Hello<|END_THINKING|><|START_TEXT|>Hell", "|HelloHell||answer");
    reads(false, "Hello<|END_THINKING|><|START_TEXT|>Hello!", "|HelloHello!||answer");
    reads(false, "Hello<|END_THINKING|><|START_TEXT|>Hello \n", "|Hello||answer");
    reads(false, "Hello<|END_TEXT|><|START_TEXT|>Hello<|END_TEXT|>", "|HelloHello||answer");
    reads(false, "a<|END_THINKING|><|START_TEXT|>a<|END_THINKING|><|START_TEXT|>a", "|a||answer");
}

static void finds_the_end_of_an_action_whose_text_never_ends(void **state)
{
    (void)state;
    reads(true,
          "<|START_ACTION|>[{\"tool_name\": \"f, \"parameters\": {}}]<|END_ACTION|>"
          "<|START_TEXT|>sorry<|END_TEXT|>",
          "|sorry||malformed_action");
}

static void repairs_what_models_write_into_json_texts(void **state)
{
    (void)state;
    reads(true,
          "<|START_ACTION|>[{\"tool_name\": \"f\", \"parameters\": {\"s\": \"a\nb\\<\\|c\"}}]",
          "||f{\"s\": \"a\\nb<|c\"}|tool_calls");
    reads(true, "<|START_ACTION|>[{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}]",
          "||f{\"a\": 1}|tool_calls");
    reads(true, "<|START_ACTION|>[{\"name\": \"f\", \"arguments\": \"[1]\"}]",
          "|||malformed_action");
    reads(true, "<|START_ACTION|>[{\"name\": \"f\", \"arguments\": 3}]", "|||malformed_action");
    reads(true, "<|START_ACTION|>[{\"name\": \"\", \"arguments\": {}}]", "|||malformed_action");
    reads(true, "<|START_ACTION|>[{\"name\": \"f\"}, 7]<|END_ACTION|>", "||f{}|malformed_action");
}

static void limits_the_depth_of_arguments(void **state)
{
    auk_buf text = AUK_BUF_INIT(1 << 16);

    (void)state;
    auk_buf_puts(&text, "<|START_ACTION|>[{\"name\": \"f\", \"arguments\": {\"a\": ");
    for (int i = 0; i < 300; i++)
        auk_buf_putc(&text, '[');
    for (int i = 0; i < 300; i++)
        auk_buf_putc(&text, ']');
    auk_buf_puts(&text, "}}]<|END_ACTION|>");
    reads(true, text.p, "|||malformed_action");
    auk_buf_release(&text);
}

static void limits_the_number_of_calls(void **state)
{
    auk_parser *p = auk_parser_new(true, NULL, NULL);
    int rc = auk_parser_feed(p, auk_str_of("<|START_ACTION|>["), &err);

    (void)state;
    for (int i = 0; i < AUK_MAX_CALLS && rc == AUK_OK; i++)
        rc = auk_parser_feed(p, auk_str_of("{\"name\": \"f\"},"), &err);
    assert_int_equal(rc, AUK_OK);
    assert_int_equal(auk_parser_feed(p, auk_str_of("{\"name\": \"f\"},"), &err), AUK_ELIMIT);
    auk_parser_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_outcomes_apart),
        cmocka_unit_test(ignores_what_follows_the_end_of_turn),
        cmocka_unit_test(keeps_white_space_inside_and_drops_it_at_the_end),
        cmocka_unit_test(keeps_a_partial_copy_of_the_answer),
        cmocka_unit_test(finds_the_end_of_an_action_whose_text_never_ends),
        cmocka_unit_test(repairs_what_models_write_into_json_texts),
        cmocka_unit_test(limits_the_depth_of_arguments),
        cmocka_unit_test(limits_the_number_of_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
