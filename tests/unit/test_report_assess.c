/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict's words for known facts, and what runs add up to. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "report/rows.h"
#include "test_ledger_fixture.h"

#include <math.h>

static json_t *parse(const char *text)
{
    json_t *v = NULL;
    auk_err err = {0};

    if (auk_json_parse(&v, auk_str_of(text), "test", &err) != AUK_OK)
        fail_msg("%s", err.msg);
    return v;
}

static bool said(const json_t *list, const char *start)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strncmp(json_string_value(json_array_get(list, i)), start, strlen(start)) == 0)
            return true;
    return false;
}

/* Facts and profile to a status and, in one of the lists, a reason that begins so. */
static void verdict(const char *facts, const char *profile, const char *status, const char *list,
                    const char *reason)
{
    json_t *f = parse(facts), *p = parse(profile), *v = auk_assess(f, p);
    char *text = json_dumps(v, 0);

    if (strcmp(json_string_value(json_object_get(v, "status")), status) != 0 ||
        (list != NULL && !said(json_object_get(v, list), reason)))
        fail_msg("want %s with \"%s\", have %s", status, reason != NULL ? reason : "", text);
    free(text);
    json_decref(f);
    json_decref(p);
    json_decref(v);
}

#define GOOD "\"tasks\": 10, \"finished\": 50, \"strict_rate\": 0.9"

static void test_rate(void **state)
{
    (void)state;
    verdict("{\"tasks\": 5, \"strict_rate\": 0.4}", "{\"min_pass_k\": 0.8}", "NOT READY",
            "blocking", "pass^k 0.40 < 0.80 required");
    verdict("{\"tasks\": 5, \"strict_rate\": 0.79999999}", "{\"min_pass_k\": 0.8}", "READY", NULL,
            NULL);
    verdict("{\"strict_rate\": null}", "{\"min_pass_k\": 0.8}", "NOT READY", "blocking",
            "pass^k not measured");
    verdict("{" GOOD ", \"incomplete\": 1}", "{\"min_pass_k\": 0.8}", "NOT READY", "blocking",
            "1 task with unfinished runs");
}

static void test_classes(void **state)
{
    (void)state;
    verdict("{" GOOD ", \"failures\": {\"InfiniteLoop\": 1}}",
            "{\"min_pass_k\": 0.8, \"forbid_infinite_loop\": true}", "NOT READY", "blocking",
            "loops on 1 run (");
    verdict("{" GOOD ", \"failures\": {\"Hallucinated\": 2}}",
            "{\"min_pass_k\": 0.8, \"forbid_hallucinated_completion\": true}", "NOT READY",
            "blocking", "false 'done' on 2 runs");
    verdict("{" GOOD ", \"failures\": {\"InfiniteLoop\": 1}}", "{\"min_pass_k\": 0.8}", "READY",
            "evidence", "loops on 1 run");
    verdict("{" GOOD ", \"failures\": {\"ForbiddenCall\": 1}}",
            "{\"min_pass_k\": 0.8, \"forbid_forbidden_call\": true}", "NOT READY", "blocking",
            "forbidden calls on 1 run");
    verdict("{" GOOD ", \"failures\": {\"Truncated\": 3}}",
            "{\"min_pass_k\": 0.8, \"forbid_truncated\": true}", "NOT READY", "blocking",
            "cut turns on 3 runs");
}

static void test_memory_and_effort(void **state)
{
    const char *vram = "{\"min_pass_k\": 0.8, \"require_full_vram\": true}";

    (void)state;
    verdict("{" GOOD ", \"fits\": false}", vram, "NOT READY", "blocking", "does not fit");
    verdict("{" GOOD "}", vram, "CONDITIONAL", "conditions", "memory fit not measured");
    verdict("{" GOOD ", \"fits\": true, \"pressure\": true}", vram, "CONDITIONAL", "conditions",
            "memory is nearly full");
    verdict("{" GOOD ", \"fits\": true}", vram, "READY", NULL, NULL);
    verdict("{" GOOD ", \"ms_per_step\": 8400}", "{\"min_pass_k\": 0.8, \"max_ms_per_step\": 5000}",
            "CONDITIONAL", "conditions", "slow: 8400ms/step > 5000ms target");
    verdict("{" GOOD ", \"avg_steps\": 4.8}", "{\"min_pass_k\": 0.8, \"max_avg_steps\": 3}",
            "CONDITIONAL", "conditions", "inefficient: 4.8 avg steps > 3.0 max");
}

static void test_context(void **state)
{
    (void)state;
    verdict("{" GOOD ", \"cliff\": {\"status\": \"collapsed\", \"tokens\": 4096}}",
            "{\"min_pass_k\": 0.8, \"min_context_tokens\": 8192}", "NOT READY", "blocking",
            "reasoning cliff at 4096 < 8192 needed");
    verdict("{" GOOD ", \"cliff\": {\"status\": \"not_probed\"}}",
            "{\"min_pass_k\": 0.8, \"min_context_tokens\": 8192}", "CONDITIONAL", "conditions",
            "context not probed");
    verdict("{" GOOD ", \"cliff\": {\"status\": \"none\", \"tokens\": 4096}}",
            "{\"min_pass_k\": 0.8, \"min_context_tokens\": 2048}", "READY", NULL, NULL);
    verdict("{" GOOD ", \"cliff\": {\"status\": \"none\", \"tokens\": 1024}}",
            "{\"min_pass_k\": 0.8, \"min_context_tokens\": 2048}", "NOT READY", "blocking",
            "only probed to 1024 tok < 2048 needed");
    verdict("{" GOOD ", \"cliff\": {\"status\": \"broken\", \"tokens\": 388}}",
            "{\"min_pass_k\": 0.8, \"min_context_tokens\": 2048}", "NOT READY", "blocking",
            "fails at its smallest context");
}

static void test_tiers(void **state)
{
    const char *hard = "{\"min_pass_k\": 0.8, \"required_tier\": \"hard\"}";

    (void)state;
    verdict("{" GOOD ", \"tiers\": {\"medium\": {\"rate\": 0.9, \"tasks\": 5},"
            " \"hard\": {\"rate\": 0.2, \"tasks\": 5}}}",
            hard, "NOT READY", "blocking", "cleared medium, hard required");
    verdict("{" GOOD ", \"tiers\": {\"medium\": {\"rate\": 0.9, \"tasks\": 5}}}", hard,
            "CONDITIONAL", "conditions", "tier hard required and not run");
    verdict("{" GOOD ", \"tiers\": {\"hard\": {\"rate\": 1.0, \"tasks\": 5}}}", hard, "READY", NULL,
            NULL);
    verdict("{" GOOD ", \"tiers\": {\"medium\": {\"rate\": 0.9, \"tasks\": 5},"
            " \"extreme\": {\"rate\": 0.1, \"tasks\": 5}}}",
            hard, "NOT READY", "blocking", "cleared medium, hard required");
}

/* ---- what runs add up to ------------------------------------------------------------------- */

static json_t *headline(const char *plan, const char *const *runs, size_t n)
{
    auk_str items[64] = {auk_str_of(plan)};
    json_t *v = NULL;
    auk_err err = {0};

    for (size_t i = 0; i < n; i++)
        items[i + 1] = auk_str_of(runs[i]);
    if (auk_headline(&v, NULL, "agent", items, n + 1, &err) != AUK_OK)
        fail_msg("%s", err.msg);
    return v;
}

#define RUN(task, run, passed, finished, class)                                                    \
    "{\"item\": \"run\", \"collection\": \"c\", \"task\": \"" task "\", \"run\": " #run            \
    ", \"passed\": " #passed ", \"finished\": " #finished                                          \
    ", \"class\": \"" class "\", \"steps\": 2, \"ms\": 10, \"completion_tokens\": 100}"

static const char *const plan =
    "{\"item\": \"plan\", \"profile\": {\"name\": \"p\", \"min_pass_k\": 0.5},"
    " \"tasks\": [{\"task\": \"a\", \"collection\": \"c\", \"tier\": \"easy\", \"k\": 2},"
    " {\"task\": \"b\", \"collection\": \"c\", \"tier\": \"easy\", \"k\": 2}]}";

static long long int_at(const json_t *v, const char *path)
{
    return json_integer_value(auk_record_at(v, path));
}

static void test_errors_do_not_shrink(void **state)
{
    const char *const runs[] = {
        RUN("a", 0, true, true, "passed"), RUN("a", 1, false, false, "BackendError"),
        RUN("b", 0, true, true, "passed"), RUN("b", 1, true, true, "passed")};
    json_t *v = headline(plan, runs, 4);

    (void)state;
    const json_t *tier = json_array_get(json_object_get(v, "tiers"), 0);
    assert_int_equal(int_at(tier, "runs"), 4);
    assert_int_equal(int_at(tier, "finished"), 3);
    assert_int_equal(int_at(tier, "errored"), 1);
    assert_int_equal(int_at(tier, "runs_passed"), 3);
    assert_int_equal(int_at(tier, "strict_passed"), 1);
    assert_int_equal(int_at(tier, "incomplete"), 1);
    assert_true(json_is_null(json_object_get(tier, "pass_hat_k")));
    assert_string_equal(json_string_value(auk_record_at(v, "verdict.status")), "NOT READY");
    json_decref(v);
}

static void test_last_run_counts(void **state)
{
    const char *const runs[] = {
        RUN("a", 0, true, true, "passed"), RUN("a", 1, false, false, "BackendError"),
        RUN("b", 0, true, true, "passed"), RUN("b", 1, true, true, "passed"),
        RUN("a", 1, true, true, "passed")};
    json_t *v = headline(plan, runs, 5);

    (void)state;
    const json_t *tier = json_array_get(json_object_get(v, "tiers"), 0);
    assert_int_equal(int_at(tier, "strict_passed"), 2);
    assert_int_equal(int_at(tier, "errored"), 0);
    assert_true(json_real_value(json_object_get(tier, "pass_hat_k")) == 1.0);
    assert_string_equal(json_string_value(auk_record_at(v, "verdict.status")), "READY");
    json_decref(v);
}

/* The published shapes: all of Easy strictly passed at k = 5; none of Hard at k = 16, half of its
 * failures loops. */
static void test_report_shapes(void **state)
{
    static char lines[64][300];
    const char *runs[64];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 5; i++, n++)
        snprintf(lines[n], sizeof lines[n],
                 "{\"item\": \"run\", \"collection\": \"c\", \"task\": \"e\", \"run\": %d, "
                 "\"passed\": true, \"finished\": true, \"class\": \"passed\", \"steps\": 3}",
                 i);
    for (int i = 0; i < 16; i++, n++)
        snprintf(lines[n], sizeof lines[n],
                 "{\"item\": \"run\", \"collection\": \"c\", \"task\": \"h\", \"run\": %d, "
                 "\"passed\": false, \"finished\": true, \"class\": \"%s\", \"steps\": 9}",
                 i, i % 2 == 0 ? "InfiniteLoop" : "Hallucinated");
    for (size_t i = 0; i < n; i++)
        runs[i] = lines[i];
    json_t *v = headline("{\"item\": \"plan\", \"profile\": {\"name\": \"p\", \"min_pass_k\": 0.5},"
                         " \"tasks\": [{\"task\": \"e\", \"collection\": \"c\", \"tier\": \"easy\","
                         " \"k\": 5}, {\"task\": \"h\", \"collection\": \"c\", \"tier\": \"hard\","
                         " \"k\": 16}]}",
                         runs, n);
    const json_t *easy = json_array_get(json_object_get(v, "tiers"), 0);
    const json_t *hard = json_array_get(json_object_get(v, "tiers"), 1);
    assert_true(json_real_value(json_object_get(easy, "pass_hat_k")) == 1.0);
    assert_true(json_real_value(json_object_get(hard, "pass_hat_k")) == 0.0);
    assert_int_equal(int_at(hard, "failures.InfiniteLoop"), 8);
    assert_int_equal(int_at(hard, "failures.Hallucinated"), 8);
    /* a tie goes to the more severe */
    assert_string_equal(json_string_value(json_object_get(hard, "top_error")), "InfiniteLoop");
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_memory_and_effort),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_tiers),
        cmocka_unit_test(test_errors_do_not_shrink),
        cmocka_unit_test(test_last_run_counts),
        cmocka_unit_test(test_report_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
