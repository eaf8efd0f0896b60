/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/eval.h"

#include "eval/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Stands for Python: what has "BAD" in it or begins with a blank does not compile; "def f" at the
 * beginning of a line defines f. */
static int fake_check(void *ctx, bool *compiles, bool *defines, auk_str text, auk_str entry,
                      auk_err *err)
{
    auk_buf copy = AUK_BUF_INIT(1 << 20);

    (void)ctx;
    (void)err;
    (void)entry;
    auk_buf_putc(&copy, '\n');
    auk_buf_add(&copy, text.p, text.n);
    *compiles = strstr(copy.p, "BAD") == NULL && copy.p[1] != ' ';
    *defines = *compiles && strstr(copy.p, "\ndef f") != NULL;
    auk_buf_release(&copy);
    return AUK_OK;
}

static const char prompt[] = "def f(x):\n    \"\"\"doc\"\"\"\n";

/* "status section method form selection prepended|program" */
static void gives(const char *answer, bool cut, const char *want)
{
    auk_syntax syntax = {.check = fake_check};
    auk_extract_input in = {.prompt = auk_str_of(prompt),
                            .entry_point = auk_str_of("f"),
                            .answer = auk_str_of(answer),
                            .cut = cut};
    auk_buf program = AUK_BUF_INIT(1 << 20), got = AUK_BUF_INIT(1 << 20);
    auk_extract_status status;
    auk_err err;
    json_t *t;

    assert_int_equal(auk_extract(&program, &t, &status, &in, &syntax, &err), AUK_OK);
    auk_str text = auk_buf_str(&program);
    if (auk_str_starts(text, prompt))
        text = auk_str_from(text, strlen(prompt));
    auk_buf_printf(&got, "%s %s %s %s %s %s|", json_string_value(json_object_get(t, "status")),
                   json_string_value(json_object_get(t, "section")),
                   json_string_value(json_object_get(t, "method")),
                   json_string_value(json_object_get(t, "form")),
                   json_string_value(json_object_get(t, "selection")),
                   json_is_true(json_object_get(t, "prepended")) ? "prompt" : "alone");
    auk_buf_add(&got, text.p, text.n);
    assert_string_equal(got.p, want);
    json_decref(t);
    auk_buf_release(&program);
    auk_buf_release(&got);
}

static void takes_the_last_answer_after_the_last_thought(void **state)
{
    (void)state;
    gives("a<|END_THINKING|>b<|END_THINKING|><|START_TEXT|>no<|START_TEXT|>def f(): 1<|END_TEXT|>x",
          false, "ok markers whole function all prompt|def f(): 1");
    gives("<|START_RESPONSE|>def f(): 2<|END_RESPONSE|>", false,
          "ok markers whole function all prompt|def f(): 2");
    gives("t<|END_THINKING|>def f(): 3<|END_OF_TURN_TOKEN|>", false,
          "ok after_thinking whole function all prompt|def f(): 3");
    gives("<|START_TEXT|>def f(): 4", false, "ok markers whole function all prompt|def f(): 4");
}

static void never_mines_thinking(void **state)
{
    (void)state;
    gives("```\ndef f(): 1\n```", true, "truncated none none none all alone|");
    gives("<|START_THINKING|>```\ndef f(): 1\n```", false, "no_code none none none all alone|");
    gives("t<|END_THINKING|>```\ndef f(): 1\n```", true, "truncated none none none all alone|");
}

static void scores_closed_fences_of_a_cut_answer(void **state)
{
    (void)state;
    gives("<|START_TEXT|>```\ndef f(): 1\n```\n```\ndef f", true,
          "ok markers fences function all prompt|def f(): 1");
    gives("<|START_TEXT|>```\ndef f(): 1\n", true, "no_code markers none none all alone|");
    gives("<|START_TEXT|>def f(): 1\n", true, "no_code markers none none all alone|");
}

static void reads_fences_of_every_kind(void **state)
{
    (void)state;
    gives("~~~~py\ndef f(): '~~~'\n~~~\n~~~~\n", false,
          "ok plain fences function all prompt|def f(): '~~~'\n~~~");
    gives("1.\n  ```python\n  def f():\n      pass\n  ```\n", false,
          "ok plain fences function all prompt|def f():\n    pass");
    gives("```python\ndef f():\n    '''\n    ```\n    '''\n```\n", false,
          "ok plain fences function all prompt|def f():\n    '''\n    ```\n    '''");
    gives("```Python\r\ndef f(): 1\r\n```\r\n", false,
          "ok plain fences function all prompt|def f(): 1");
    gives("```cobol\ndef f(): 1\n", false, "ok plain fences function all prompt|def f(): 1");
    gives("```bash\ndef f(): 1\n```\n```JSON\n{}\n```\n", false,
          "no_code plain none none all alone|");
    gives("say ```def f``` and\n```\ndef f(): 1\n```", false,
          "ok plain fences function all prompt|def f(): 1");
    gives("```\n```\n", false, "no_code plain fences none all alone|");
}

static void joins_blocks_and_drops_what_does_not_compile(void **state)
{
    (void)state;
    gives("```\nimport a\n```\nx\n```\ndef f(): 1\n```", false,
          "ok plain fences function all prompt|import a\ndef f(): 1");
    gives("```\nimport a\n```\n```\ndef f(): 1\n```\n```\nBAD\n```", false,
          "ok plain fences function longest prompt|import a\ndef f(): 1");
    gives("```\n    return 1\n```\n```\n>>> BAD\n```", false,
          "ok plain fences body longest prompt|    return 1");
    gives("```\ndef f(BAD\n```", false, "ok plain fences function all prompt|def f(BAD");
}

static void falls_back_without_a_fence(void **state)
{
    (void)state;
    gives("BAD prose\nfromage\nimport a\ndef f(): 1", false,
          "ok plain lines function all prompt|import a\ndef f(): 1");
    gives("    return 1\n", false, "ok plain whole body all prompt|    return 1\n");
    gives("BAD", false, "no_code plain none none all alone|");
    gives(" \n\t", false, "no_code plain none none all alone|");
    gives("", false, "no_code plain none none all alone|");
}

static void a_prompt_in_english_stays_out(void **state)
{
    auk_syntax syntax = {.check = fake_check};
    auk_extract_input in = {.prompt = auk_str_of("Write f."),
                            .entry_point = auk_str_of("f"),
                            .answer = auk_str_of("def f(): 1")};
    auk_buf program = AUK_BUF_INIT(1 << 20);
    auk_extract_status status;
    auk_err err;
    json_t *t;

    (void)state;
    assert_int_equal(auk_extract(&program, &t, &status, &in, &syntax, &err), AUK_OK);
    assert_string_equal(program.p, "def f(): 1");
    json_decref(t);
    auk_buf_clear(&program);
    in.prompt = auk_str_of(prompt);
    in.strict = true;
    assert_int_equal(auk_extract(&program, &t, &status, &in, &syntax, &err), AUK_OK);
    assert_string_equal(program.p, "def f(): 1");
    json_decref(t);
    auk_buf_release(&program);
}

static void many_blocks_are_tried_as_runs(void **state)
{
    auk_buf answer = AUK_BUF_INIT(1 << 20);

    (void)state;
    for (int i = 0; i < 20; i++)
        auk_buf_printf(&answer, "```\n%s\n```\n",
                       i == 3 || i == 12 ? "BAD"
                       : i == 6          ? "def f(): 1"
                                         : "x");
    gives(answer.p, false,
          "ok plain fences function longest prompt|x\nx\ndef f(): 1\nx\nx\nx\nx\nx");
    auk_buf_release(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_last_answer_after_the_last_thought),
        cmocka_unit_test(never_mines_thinking),
        cmocka_unit_test(scores_closed_fences_of_a_cut_answer),
        cmocka_unit_test(reads_fences_of_every_kind),
        cmocka_unit_test(joins_blocks_and_drops_what_does_not_compile),
        cmocka_unit_test(falls_back_without_a_fence),
        cmocka_unit_test(a_prompt_in_english_stays_out),
        cmocka_unit_test(many_blocks_are_tried_as_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
