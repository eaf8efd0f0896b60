/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts rendered by the model's template, as text and as ids. */
#include "golden/golden.h"

#include "text/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_err err;
static auk_tokenizer *tok;

typedef void line_fn(const json_t *input, auk_str rendered, const char *name);

static size_t each_rendering(line_fn *fn)
{
    size_t n, count = 0;
    char *text = (char *)golden_read_file(golden_path("chat/rendered.jsonl"), &n);
    const char *at = text;
    json_t *line;

    while ((line = golden_next_json(&at, (auk_str){text, n})) != NULL) {
        fn(json_object_get(line, "input"), auk_json_str(json_object_get(line, "rendered")),
           json_string_value(json_object_get(line, "name")));
        json_decref(line);
        count++;
    }
    free(text);
    return count;
}

static void check_text(const json_t *input, auk_str rendered, const char *name)
{
    auk_buf got = AUK_BUF_INIT(1 << 24);

    if (auk_render(&got, input, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    if (!auk_str_eq(auk_buf_str(&got), rendered))
        fail_msg("%s: got\n%s\nwant\n%.*s", name, got.p, (int)rendered.n, rendered.p);
    auk_buf_release(&got);
}

static bool same_ids(const auk_ids *a, const auk_ids *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n * sizeof *a->p) == 0);
}

static bool has_control_text(const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_string(v))
        return strstr(json_string_value(v), "_TOKEN|>") != NULL;
    json_array_foreach((json_t *)v, i, item)
    {
        if (has_control_text(item))
            return true;
    }
    json_object_foreach((json_t *)v, key, item)
    {
        if (has_control_text(item))
            return true;
    }
    return false;
}

static void check_ids(const json_t *input, auk_str rendered, const char *name)
{
    auk_ids got = {0}, whole = {0};
    auk_buf back = AUK_BUF_INIT(1 << 24);

    if (auk_render_ids(&got, tok, input, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    assert_int_equal(auk_tokenizer_encode(&whole, tok, rendered, true, &err), AUK_OK);
    if (same_ids(&got, &whole) == has_control_text(input))
        fail_msg("%s: %zu ids, %zu for the whole text", name, got.n, whole.n);
    assert_int_equal(auk_tokenizer_decode(&back, tok, got.p, got.n, false, &err), AUK_OK);
    assert_true(auk_str_eq(auk_buf_str(&back), rendered));
    auk_buf_release(&back);
    auk_ids_release(&got);
    auk_ids_release(&whole);
}

static void renders_every_recorded_prompt(void **state)
{
    (void)state;
    assert_int_equal(each_rendering(check_text), 80);
}

static void encodes_every_recorded_prompt_with_control_ids_from_the_markup_alone(void **state)
{
    (void)state;
    assert_int_equal(auk_tokenizer_open(&tok, golden_path("tokenizer/tokenizer.json"), &err),
                     AUK_OK);
    assert_int_equal(each_rendering(check_ids), 80);
    auk_tokenizer_close(tok);
}

static void recognises_the_template_it_renders(void **state)
{
    bool known;

    (void)state;
    assert_int_equal(auk_template_check(golden_path("chat/template.jinja"), &known, &err), AUK_OK);
    assert_true(known);
    assert_int_equal(auk_template_check(golden_path("chat"), &known, &err), AUK_OK);
    assert_false(known); /* no chat_template.jinja there */
    assert_int_equal(auk_template_check(golden_path("chat/rendered.jsonl"), &known, &err), AUK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_every_recorded_prompt),
        cmocka_unit_test(encodes_every_recorded_prompt_with_control_ids_from_the_markup_alone),
        cmocka_unit_test(recognises_the_template_it_renders),
    };
    int rc = golden_open();

    return rc != 0 ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
