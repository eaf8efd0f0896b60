/* SPDX-License-Identifier: Apache-2.0 */
/* Calls found in text, matching, arithmetic, v2's worlds and one run's endings. */
#define _POSIX_C_SOURCE 200809L
#include "diagnose/agent_parts.h"

#include "base/file.h"
#include "test_ledger_fixture.h"

static bool any(const void *ctx, auk_str name)
{
    (void)ctx;
    return auk_str_is(name, "f") || auk_str_is(name, "write_file");
}

/* How many calls, in which dialect, and the first one's key. */
static void calls(const char *text, size_t n, const char *dialect, const char *key)
{
    auk_text_calls c;
    auk_buf b = AUK_BUF_INIT(1 << 20);

    auk_text_calls_find(&c, auk_str_of(text), any, NULL);
    if (c.n != n)
        fail_msg("%zu calls, want %zu: %s", c.n, n, text);
    if (n > 0) {
        auk_call_key(&b, c.p[0].name, c.p[0].args);
        assert_string_equal(c.p[0].dialect, dialect);
        assert_string_equal(auk_buf_str(&b).p, key);
    }
    auk_buf_release(&b);
    auk_text_calls_release(&c);
}

static void test_json_forms(void **state)
{
    const char *key = "f|{\"a\": 1}";

    (void)state;
    calls("{\"name\": \"f\", \"args\": {\"a\": 1}}", 1, "json", key);
    calls("```json\n{\"name\": \"f\", \"args\": {\"a\": 1}}\n```", 1, "json", key);
    calls("[{\"name\": \"f\", \"args\": {\"a\": 1}}, {\"name\": \"g\", \"args\": {}}]", 2, "json",
          key);
    calls("{\"name\": \"f\", \"args\": {\"a\": 1}}\n{\"name\": \"g\"}", 2, "json", key);
    calls("{\"name\": \"f\", \"arguments\": {\"a\": 1}}", 1, "json", key);
    calls("{\"name\": \"f\", \"parameters\": {\"a\": 1}}", 1, "json", key);
    calls("{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}", 1, "json", key);
    calls("{\"name\": \"f\"}", 1, "json", "f|{}");
    calls("{\"name\": \"f\", \"args\": {\"a\": {\"b\": [1, 2]}}}", 1, "json",
          "f|{\"a\": {\"b\": [1, 2]}}");
    calls("I do {\"name\": \"f\", \"args\": {\"a\": 1}}:\n```\n{\"name\": \"f\", \"args\": {\"a\": "
          "1}}\n```",
          1, "json", key);
    calls("{\"name\": \"f\", \"args\": {\"a\": 1}} {\"name\": \"f\", \"args\": {\"a\": 2}}", 2,
          "json", key);
    calls("{\"name\": \"f\", \"args\": {\"a\": \"}{\"}}", 1, "json", "f|{\"a\": \"}{\"}");
    calls("I am done.", 0, NULL, NULL);
    calls("{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1}}}", 1, "function", key);
    calls("{\"tool_calls\": [{\"name\": \"f\", \"arguments\": {\"a\": 1}}]}", 1, "tool_calls", key);
    calls(
        "<|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": "
        "1}}]<|END_ACTION|>",
        1, "cohere", key);
}

static void test_other_forms(void **state)
{
    const char *key = "f|{\"a\": 1}";

    (void)state;
    calls("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", 1, "hermes",
          key);
    calls("[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}}]", 1, "mistral", key);
    /* without types: the tool's schema gives them, so that 2.10 stays a version */
    calls("<function=f><parameter=a>2.10</parameter></function>", 1, "qwen-coder",
          "f|{\"a\": \"2.10\"}");
    calls("[f(a=1)]", 1, "pythonic", key);
    calls("Thought: x\nAction: f\nAction Input: {\"a\": 1}", 1, "react", key);
    calls("call:write_file{path: \"a\", content: \"line\nline\"}", 1, "harmony",
          "write_file|{\"content\": \"line\\nline\", \"path\": \"a\"}");
    calls("call:f(a=1)", 1, "harmony", key);
    calls("call:f(\"x\")", 0, NULL, NULL);
    calls("We should call: the bank.", 0, NULL, NULL);
}

static void test_foreign_and_broken(void **state)
{
    auk_text_calls c;

    (void)state;
    auk_text_calls_find(&c, auk_str_of("<|tool_response call:f(\"x\")"), any, NULL);
    assert_true(c.foreign);
    auk_text_calls_release(&c);
    auk_text_calls_find(&c, auk_str_of("call:f(\"x\") is how"), any, NULL);
    assert_false(c.foreign);
    auk_text_calls_release(&c);
    auk_text_calls_find(&c, auk_str_of("{\"name\": \"x\", \"args\": {"), any, NULL);
    assert_true(c.broken);
    auk_text_calls_release(&c);
    auk_text_calls_find(&c, auk_str_of("{\"answer\": 4}"), any, NULL);
    assert_false(c.broken);
    auk_text_calls_release(&c);
}

static void test_many_brackets_end(void **state)
{
    auk_buf b = AUK_BUF_INIT(1 << 22);
    auk_text_calls c;

    (void)state;
    for (int i = 0; i < 1 << 20; i++)
        auk_buf_putc(&b, '{');
    auk_text_calls_find(&c, auk_buf_str(&b), any, NULL);
    assert_int_equal(c.n, 0);
    auk_text_calls_release(&c);
    auk_buf_release(&b);
}

static bool globs(const char *pattern, const char *text)
{
    return auk_glob(auk_str_of(pattern), auk_str_of(text));
}

static bool matches(const char *want, const char *have)
{
    json_t *a = NULL, *b = NULL;

    assert_int_equal(auk_json_parse(&a, auk_str_of(want), "a", NULL), AUK_OK);
    assert_int_equal(auk_json_parse(&b, auk_str_of(have), "b", NULL), AUK_OK);
    bool yes = auk_args_match(a, b);
    json_decref(a);
    json_decref(b);
    return yes;
}

static void test_matching(void **state)
{
    (void)state;
    assert_true(globs("*15230.5*", "Balance is 15230.5 USD"));
    assert_true(globs("*TN*24*", "tn mandates 24 months"));
    assert_false(globs("*TN*24*", "24 months in TN"));
    assert_true(globs("*", "x"));
    assert_false(globs("*", ""));
    assert_false(matches("{\"a\": \"*5*\"}", "{\"a\": 5}"));
    assert_true(matches("{\"a\": 250}", "{\"a\": 250.0}"));
    assert_true(matches("{\"a\": \"abc \"}", "{\"a\": \"abc\"}"));
    assert_false(matches("{\"a\": \"ABC\"}", "{\"a\": \"abc\"}"));
    assert_false(matches("{\"a\": 1}", "{\"a\": 1, \"b\": 2}"));
    assert_false(matches("{\"a\": 1, \"b\": 2}", "{\"a\": 1}"));
    assert_true(matches("{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}"));
    assert_false(matches("{\"a\": \"1\"}", "{\"a\": 1}"));
}

static void test_arithmetic(void **state)
{
    static const struct {
        const char *text;
        bool good;
        double v;
    } cases[] = {{"1 + 2 * 3", true, 7},
                 {"(1 + 2) * 3", true, 9},
                 {"2 ^ 3 ^ 2", true, 512},
                 {"-2 + 5", true, 3},
                 {"50000*(1.07)**3", true, 61252.15},
                 {"1,200 / 4", true, 300},
                 {"10 %", true, 0.1},
                 {"1 / 0", false, 0},
                 {"2 +", false, 0},
                 {"x", false, 0},
                 {"1 2", false, 0},
                 {"", false, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double v;
        bool good = auk_calculate(&v, auk_str_of(cases[i].text));
        if (good != cases[i].good || (good && (v - cases[i].v > 1e-6 || cases[i].v - v > 1e-6)))
            fail_msg("%s gives %d, %.9g", cases[i].text, good, v);
    }
}

/* ---- v2: faults, look-ups, renumbering ------------------------------------------------------ */

static const char *const v2 =
    "{\"name\": \"v2\", \"domain\": \"d\", \"tier\": \"Easy\", \"pass_k\": 2, \"generated\": true,"
    " \"environment\": \"entity\", \"tasks\": [{\"id\": \"t\", \"category\": \"agent_loop\","
    " \"max_steps\": 6, \"max_recovery\": 2, \"prompt\": \"Close M-3 if it is open. M-12 stays.\","
    " \"world_state\": {\"M-3\": {\"state\": \"open\"}, \"M-12\": {\"state\": \"open\"}},"
    " \"tools\": [{\"name\": \"get\", \"params\": {\"id\": \"string\"}}, {\"name\": \"close\","
    " \"params\": {\"id\": \"string\", \"why\": \"string\"}, \"returns_entity\": false}],"
    " \"decoy_tools\": [{\"name\": \"wipe\", \"params\": {\"id\": \"string\"}}],"
    " \"expected_calls\": [{\"type\": \"call\", \"name\": \"close\", \"args\": {\"id\": \"M-3\","
    " \"why\": \"*\"}}], \"must_not_call\": [\"wipe\"], \"faults\": [{\"on_call\": \"get\","
    " \"type\": \"transient\", \"status_code\": 503, \"clears_after\": 2}]}]}";

static void open_v2(auk_agent_set *s)
{
    char path[] = "/tmp/auk-agent-XXXXXX";
    auk_err err = {0};
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(auk_file_write(path, auk_str_of(v2), &err), AUK_OK);
    if (auk_agent_set_open(s, path, &err) != AUK_OK)
        fail_msg("%s", err.msg);
    unlink(path);
}

static bool call_says(auk_world *w, const char *tool, const char *args, const char *part)
{
    auk_buf b = AUK_BUF_INIT(1 << 20);
    json_t *a = NULL;

    assert_int_equal(auk_json_parse(&a, auk_str_of(args), "args", NULL), AUK_OK);
    auk_world_call(&b, w, tool, a);
    bool yes = strstr(auk_buf_str(&b).p, part) != NULL;
    auk_buf_release(&b);
    json_decref(a);
    return yes;
}

static void test_v2_world(void **state)
{
    auk_agent_run_options o = {.model_name = "m"};
    auk_agent_instance in, again, other;
    auk_agent_set s;
    auk_world w;
    auk_err err = {0};
    char args[80];

    (void)state;
    open_v2(&s);
    assert_true(s.v2 && s.generated && s.tasks[0].k == 2);
    assert_int_equal(auk_agent_instance_make(&in, &s.tasks[0], &o, &err), AUK_OK);
    assert_int_equal(auk_agent_instance_make(&again, &s.tasks[0], &o, &err), AUK_OK);
    o.run = 1;
    assert_int_equal(auk_agent_instance_make(&other, &s.tasks[0], &o, &err), AUK_OK);
    /* FNV-1a of "m|" and the run: the same for the same run; 3 and 12 grow by the same number */
    assert_string_equal(in.prompt, again.prompt);
    unsigned offset = (unsigned)(in.seed % 90 + 10);
    snprintf(args, sizeof args, "Close M-%u if it is open. M-%u stays.", 3 + offset, 12 + offset);
    assert_string_equal(in.prompt, args);

    auk_world_open(&w, &in);
    snprintf(args, sizeof args, "{\"id\": \"M-%u\"}", 3 + offset);
    assert_true(call_says(&w, "get", args, "HTTP 503"));
    assert_true(call_says(&w, "get", "{\"id\": \"x\"}", "HTTP 503")); /* one counter by name */
    assert_true(call_says(&w, "get", args, "open"));
    assert_true(call_says(&w, "get", "{\"id\": \"x\"}", "not found"));
    assert_true(call_says(&w, "wipe", args, "not found"));
    assert_true(auk_world_forbids(&in, "wipe", NULL));
    assert_false(auk_world_done(&w, (auk_str){NULL, 0}, args, sizeof args));
    snprintf(args, sizeof args, "{\"id\": \"M-%u\", \"why\": \"done\"}", 3 + offset);
    assert_true(call_says(&w, "close", args, "\"ok\""));
    assert_true(auk_world_done(&w, (auk_str){NULL, 0}, args, sizeof args));
    auk_world_close(&w);
    auk_agent_instance_release(&in);
    auk_agent_instance_release(&again);
    auk_agent_instance_release(&other);
    auk_agent_set_close(&s);
}

/* ---- endings -------------------------------------------------------------------------------- */

typedef struct script {
    const char *const *turns; /* texts; the last one repeats */
    size_t n, next;
} script;

static int speak(void *ctx, const json_t *messages, const json_t *tools, auk_reply *reply,
                 auk_err *err)
{
    script *s = ctx;
    const char *text = s->turns[s->next < s->n ? s->next : s->n - 1];

    (void)messages;
    (void)tools;
    (void)err;
    s->next++;
    *reply = (auk_reply){
        .text = AUK_BUF_INIT(1 << 20), .thinking = AUK_BUF_INIT(1 << 20), .finish = AUK_CHAT_STOP};
    auk_buf_puts(&reply->text, text);
    return AUK_OK;
}

static void ends(const char *const *turns, size_t n, const char *class, int steps)
{
    script s = {turns, n, 0};
    auk_agent_run_options o = {.model = speak, .model_ctx = &s, .model_name = "m"};
    auk_agent_set set;
    json_t *item = NULL;
    auk_err err = {0};

    open_v2(&set);
    set.generated = false;
    assert_int_equal(auk_agent_run(&item, &set.tasks[0], &o, &err), AUK_OK);
    const char *got = json_string_value(json_object_get(item, "class"));
    if (strcmp(got, class) != 0 || json_integer_value(json_object_get(item, "steps")) != steps)
        fail_msg("%s after %d turns, want %s after %d", got,
                 (int)json_integer_value(json_object_get(item, "steps")), class, steps);
    json_decref(item);
    auk_agent_set_close(&set);
}

#define GOOD "{\"name\": \"close\", \"args\": {\"id\": \"M-3\", \"why\": \"asked\"}}"
#define LOOK "{\"name\": \"get\", \"args\": {\"id\": \"M-3\"}}"
#define ENDS(class, steps, ...)                                                                    \
    ends((const char *const[]){__VA_ARGS__},                                                       \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), class, steps)

static void test_endings(void **state)
{
    (void)state;
    ENDS("passed", 1, GOOD);
    ENDS("passed", 1, LOOK "\n" GOOD); /* two calls in one turn */
    ENDS("ForbiddenCall", 1, GOOD "{\"name\": \"wipe\", \"args\": {\"id\": \"M-3\"}}");
    ENDS("Hallucinated", 1, "All done.");
    ENDS("EmptyOutput", 1, " . ");
    ENDS("Malformed", 1, "{\"name\": \"close\", \"args\": {");
    /* trying again after a fault is none; then three turns with the same call and result */
    ENDS("InfiniteLoop", 5, LOOK);
    /* changing arguments are no repeat; the cap ends them */
    ENDS("InfiniteLoop", 6, "{\"name\": \"get\", \"args\": {\"id\": \"a\"}}",
         "{\"name\": \"get\", \"args\": {\"id\": \"b\"}}",
         "{\"name\": \"get\", \"args\": {\"id\": \"c\"}}",
         "{\"name\": \"get\", \"args\": {\"id\": \"d\"}}",
         "{\"name\": \"get\", \"args\": {\"id\": \"e\"}}",
         "{\"name\": \"get\", \"args\": {\"id\": \"f\"}}");
    /* a wrong call, then a right one; a third wrong one with a budget of two */
    ENDS("passed", 2, "{\"name\": \"nothing\", \"args\": {}}", GOOD);
    ENDS("MalformedSchema", 3, "{\"name\": \"x\", \"args\": {}}", "{\"name\": \"y\", \"args\": {}}",
         "{\"name\": \"z\", \"args\": {}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_forms),         cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_foreign_and_broken), cmocka_unit_test(test_many_brackets_end),
        cmocka_unit_test(test_matching),           cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_v2_world),           cmocka_unit_test(test_endings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
