/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "report/rows.h"
#include "test_ledger_fixture.h"

#include <math.h>

/* The headline of these lines; NULL ends them. */
static json_t *headline(const char *kind, const char *const *lines)
{
    auk_str items[64];
    size_t n = 0;
    json_t *v = NULL;
    auk_err err = {0};

    for (; lines[n] != NULL; n++)
        items[n] = auk_str_of(lines[n]);
    if (auk_headline(&v, NULL, kind, items, n, &err) != AUK_OK)
        fail_msg("%s", err.msg);
    return v;
}

static double real_at(const json_t *v, const char *path)
{
    const json_t *x = auk_record_at(v, path);

    assert_true(json_is_number(x));
    return json_number_value(x);
}

static long long int_at(const json_t *v, const char *path)
{
    const json_t *x = auk_record_at(v, path);

    assert_true(json_is_integer(x));
    return json_integer_value(x);
}

static void near(double got, double want)
{
    if (!(fabs(got - want) < 1e-12))
        fail_msg("%.17g, want %.17g", got, want);
}

/* 146 of 164: the published count of round to nearest, and its rate. */
static void an_eval_counts_what_passed(void **state)
{
    auk_str *items = auk_alloc(165 * sizeof *items);
    char text[165][96];
    json_t *v;
    auk_err err;
    (void)state;

    for (int i = 0; i < 164; i++) {
        snprintf(text[i], sizeof text[i],
                 "{\"task_id\": \"HumanEval/%d\", \"passed\": %s, \"finish_reason\": \"%s\"}", i,
                 i < 146 ? "true" : "false", i > 160 ? "length" : "stop");
        items[i] = auk_str_of(text[i]);
    }
    assert_int_equal(auk_headline(&v, NULL, "eval", items, 164, &err), AUK_OK);
    assert_string_equal(json_string_value(json_object_get(v, "rule")), "eval/1");
    assert_int_equal(int_at(v, "n"), 164);
    assert_int_equal(int_at(v, "passed"), 146);
    assert_int_equal(int_at(v, "truncated"), 3);
    near(real_at(v, "pass_at_1"), 146.0 / 164.0);
    assert_true(
        fabs(json_number_value(json_array_get(json_object_get(v, "wilson95"), 0)) - 0.8333) < 1e-3);
    json_decref(v);
    free(items);
}

static void a_broken_harness_is_counted_and_left_out(void **state)
{
    json_t *v = headline("eval", eval_lines);
    (void)state;

    assert_int_equal(int_at(v, "tasks"), 4);
    assert_int_equal(int_at(v, "n"), 3);
    assert_int_equal(int_at(v, "passed"), 1);
    assert_int_equal(int_at(v, "harness_error"), 1);
    assert_int_equal(int_at(v, "timeout"), 1);
    assert_int_equal(int_at(v, "truncated"), 1);
    json_decref(v);
}

static void nothing_at_all_is_no_rate(void **state)
{
    static const char *const none[] = {NULL};
    json_t *v = headline("eval", none);
    (void)state;

    assert_true(json_is_null(json_object_get(v, "pass_at_1")));
    assert_true(json_is_null(json_object_get(v, "wilson95")));
    json_decref(v);
    json_decref(headline("compare", none));
    json_decref(headline("quantize", none));
    json_decref(headline("bench", none));
    v = headline("anything", none);
    assert_int_equal(int_at(v, "items"), 0);
    json_decref(v);
}

static void several_samples_are_averaged_over_tasks(void **state)
{
    static const char *const lines[] = {
        "{\"task_id\": \"a\", \"sample\": 0, \"passed\": true}",
        "{\"task_id\": \"b\", \"sample\": 0, \"passed\": false}",
        "{\"task_id\": \"a\", \"sample\": 1, \"passed\": false}",
        "{\"task_id\": \"b\", \"sample\": 1, \"passed\": false}",
        NULL,
    };
    json_t *v = headline("eval", lines);
    (void)state;

    near(real_at(v, "pass_at_1"), 0.25);
    near(real_at(v, "pass_at_k"), 0.5);
    near(real_at(v, "pass_hat_k"), 0);
    assert_int_equal(int_at(v, "k"), 2);
    assert_true(json_is_null(json_object_get(v, "wilson95")));
    assert_true(json_is_array(json_object_get(v, "bootstrap95")));
    json_decref(v);
}

static void items_that_contradict_themselves_are_refused(void **state)
{
    static const char *const bad[] = {
        "{\"passed\": true}",
        "{\"task_id\": 3, \"passed\": true}",
        "{\"task_id\": \"\", \"passed\": true}",
        "{\"task_id\": \"a\\u0000b\", \"passed\": true}",
        "{\"task_id\": \"a\", \"passed\": 1}",
        "{\"task_id\": \"a\"}",
        "{\"task_id\": \"a\", \"passed\": true, \"status\": \"failed\"}",
        "{\"task_id\": \"a\", \"passed\": false, \"status\": \"passed\"}",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        auk_str item = auk_str_of(bad[i]);
        json_t *v;
        auk_err err = {0};
        assert_int_equal(auk_headline(&v, NULL, "eval", &item, 1, &err), AUK_EFORMAT);
        assert_null(v);
        assert_non_null(strstr(err.msg, "item 1"));
    }
}

static void tasks_have_one_order(void **state)
{
    static const char *const ids[] = {"10",   "9a",   "a",   "",   "x/9",  "x/10", "x/11",
                                      "x/09", "x/1a", "x/a", "x/", "xy/1", "x/1/2"};
    size_t n = sizeof ids / sizeof *ids;
    (void)state;

    assert_true(auk_task_order("HumanEval/9", "HumanEval/10") < 0);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < n; k++) {
                int ij = auk_task_order(ids[i], ids[j]), jk = auk_task_order(ids[j], ids[k]);
                assert_true((ij == 0) == (i == j));
                assert_true((ij < 0) == (auk_task_order(ids[j], ids[i]) > 0));
                if (ij < 0 && jk < 0)
                    assert_true(auk_task_order(ids[i], ids[k]) < 0);
            }
}

static void a_comparison_is_computed_from_positions(void **state)
{
    static const char *const lines[] = {
        "{\"position\": 0, \"kl\": 0.1, \"nll_a\": 1.0, \"nll_b\": 1.5, \"top1\": true}",
        "{\"position\": 1, \"kl\": 0.3, \"nll_a\": 2.0, \"nll_b\": 2.0, \"top1\": false}",
        "{\"tensor\": \"x\", \"rel_err\": 0.2}",
        "{\"tensor\": \"y\", \"rel_err\": 0.4}",
        NULL,
    };
    json_t *v = headline("compare", lines);
    (void)state;

    assert_int_equal(int_at(v, "tokens"), 2);
    near(real_at(v, "kl_mean"), 0.2);
    near(real_at(v, "kl_max"), 0.3);
    near(real_at(v, "top1_agreement"), 0.5);
    near(real_at(v, "ln_ppl_ratio"), 0.25);
    near(real_at(v, "rel_err_mean"), 0.3);
    near(real_at(v, "rel_err_max"), 0.4);
    json_decref(v);
}

static void a_summary_cannot_name_another_rule(void **state)
{
    static const char *const lines[] = {"{\"summary\": {\"rule\": \"eval/1\", \"kl_mean\": 0.5}}",
                                        NULL};
    json_t *v = headline("compare", lines);
    (void)state;

    assert_string_equal(json_string_value(json_object_get(v, "rule")), "compare/1");
    near(real_at(v, "kl_mean"), 0.5);
    json_decref(v);
}

static void modules_add_up(void **state)
{
    static const char *const lines[] = {
        "{\"path\": \"a\", \"bits\": 4, \"group_size\": 64, \"mode\": \"affine\", \"weights\": "
        "128, \"bytes\": 72}",
        "{\"path\": \"b\", \"bits\": 16, \"group_size\": null, \"mode\": null, \"weights\": 10, "
        "\"bytes\": 20}",
        "{\"layer\": 0, \"expert\": 1, \"proj\": \"up\", \"chosen\": \"gptq\", \"err_rtn\": 0.5, "
        "\"err_wrtn\": 0.4, \"err_gptq\": 0.25}",
        "{\"path\": \"c\", \"mode\": \"\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9"
        "\\u00e9\", \"weights\": 0, \"bytes\": 0}",
        NULL,
    };
    json_t *v = headline("quantize", lines);
    (void)state;

    assert_int_equal(int_at(v, "modules"), 3);
    assert_int_equal(int_at(v, "weights"), 138);
    near(real_at(v, "bits_per_weight"), 8.0 * 92 / 138);
    assert_int_equal(json_object_size(json_object_get(v, "formats")), 3);
    assert_int_equal(int_at(v, "chosen.gptq"), 1);
    near(real_at(v, "err_gptq"), 0.25);
    json_decref(v);
}

static void speeds_are_medians_by_depth(void **state)
{
    static const char *const lines[] = {
        "{\"depth\": 4096, \"prefill_tok_s\": 50, \"decode_tok_s\": 5}",
        "{\"depth\": 0, \"prefill_tok_s\": 10, \"decode_tok_s\": 1}",
        "{\"depth\": 0, \"prefill_tok_s\": 30, \"decode_tok_s\": 3}",
        "{\"depth\": 0, \"prefill_tok_s\": 11, \"decode_tok_s\": 2}",
        NULL,
    };
    json_t *v = headline("bench", lines);
    const json_t *first = json_array_get(json_object_get(v, "rows"), 0);
    (void)state;

    assert_int_equal(int_at(first, "depth"), 0);
    assert_int_equal(int_at(first, "repetitions"), 3);
    near(real_at(first, "prefill_tok_s"), 11);
    near(real_at(first, "decode_tok_s"), 2);
    json_decref(v);
}

static void other_kinds_have_a_rate_where_items_pass(void **state)
{
    static const char *const lines[] = {"{\"passed\": true}", "{\"passed\": false}", "{}", NULL};
    json_t *v = headline("anything", lines);
    (void)state;

    assert_string_equal(json_string_value(json_object_get(v, "rule")), "items/1");
    assert_int_equal(int_at(v, "items"), 3);
    assert_int_equal(int_at(v, "n"), 2);
    near(real_at(v, "rate"), 0.5);
    json_decref(v);
}

static int refused(const char *kind, const char *const *lines)
{
    auk_str items[8];
    json_t *v = NULL;
    size_t n = 0;
    auk_err err;

    for (; lines[n] != NULL; n++)
        items[n] = (auk_str){lines[n], strlen(lines[n])};
    int rc = auk_headline(&v, NULL, kind, items, n, &err);
    json_decref(v);
    return rc;
}

#define PLAN                                                                                       \
    "{\"item\": \"plan\", \"kinds\": [\"retrieval\"], \"samples\": 3, \"rungs\": [500, 1000]}"
#define SAMPLE(rung, sheet, state)                                                                 \
    "{\"item\": \"sample\", \"kind\": \"retrieval\", \"rung_tokens\": " #rung                      \
    ", \"sheet\": " #sheet ", \"question\": 0, \"state\": \"" state "\", \"depth_tokens\": 495}"

static void an_audit_without_its_samples_has_no_verdict(void **state)
{
    static const char *const lines[] = {PLAN, SAMPLE(500, 0, "passed"), SAMPLE(500, 1, "error"),
                                        NULL};
    json_t *v = headline("audit", lines);
    const json_t *curve = json_array_get(json_object_get(v, "curves"), 0);
    const json_t *rung = json_array_get(json_object_get(curve, "rungs"), 0);
    (void)state;

    assert_true(json_is_true(json_object_get(v, "partial")));
    assert_string_equal(json_string_value(json_object_get(curve, "status")), "partial");
    assert_true(json_is_null(json_object_get(curve, "cliff")));
    assert_int_equal(int_at(rung, "n"), 2);
    assert_int_equal(int_at(rung, "missing"), 2);
    assert_int_equal(int_at(rung, "depth_tokens"), 495);
    json_decref(v);
}

static void items_nobody_knows_are_refused(void **state)
{
    static const char *const strange[] = {PLAN, SAMPLE(500, 0, "nearly"), NULL};
    static const char *const outside[] = {PLAN, SAMPLE(500, 3, "passed"), NULL};
    static const char *const planless[] = {SAMPLE(500, 0, "passed"), NULL};
    (void)state;

    assert_int_equal(refused("audit", strange), AUK_EFORMAT);
    assert_int_equal(refused("audit", outside), AUK_EFORMAT);
    assert_int_equal(refused("audit", planless), AUK_EFORMAT);
    assert_int_equal(refused("inspect", planless), AUK_EFORMAT);
}

static void an_unknown_rule_is_refused(void **state)
{
    json_t *v;
    auk_err err;
    (void)state;

    assert_int_equal(auk_headline(&v, "eval/2", "eval", NULL, 0, &err), AUK_ENOTSUP);
    assert_non_null(strstr(err.msg, "eval/2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_eval_counts_what_passed),
        cmocka_unit_test(a_broken_harness_is_counted_and_left_out),
        cmocka_unit_test(nothing_at_all_is_no_rate),
        cmocka_unit_test(several_samples_are_averaged_over_tasks),
        cmocka_unit_test(items_that_contradict_themselves_are_refused),
        cmocka_unit_test(tasks_have_one_order),
        cmocka_unit_test(a_comparison_is_computed_from_positions),
        cmocka_unit_test(a_summary_cannot_name_another_rule),
        cmocka_unit_test(modules_add_up),
        cmocka_unit_test(speeds_are_medians_by_depth),
        cmocka_unit_test(other_kinds_have_a_rate_where_items_pass),
        cmocka_unit_test(an_audit_without_its_samples_has_no_verdict),
        cmocka_unit_test(items_nobody_knows_are_refused),
        cmocka_unit_test(an_unknown_rule_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
