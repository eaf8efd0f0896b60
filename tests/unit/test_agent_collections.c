/* SPDX-License-Identifier: Apache-2.0 */
/* The graders of the agent tasks are proven before any model is: scripted models play every bundled
 * task, and each has its result written down here. */
#include "base/mem.h"
#include "diagnose/agent_parts.h"
#include "stats/stats.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER AUK_SOURCE_DIR "/data/agent"
#define MAX_SETS 64

static auk_agent_set sets[MAX_SETS];
static size_t n_sets;

static int open_sets(void **state)
{
    DIR *d = opendir(FOLDER);
    struct dirent *e;
    auk_err err;
    char path[1024];
    (void)state;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL && n_sets < MAX_SETS) {
        size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", FOLDER, e->d_name);
        if (auk_agent_set_open(&sets[n_sets], path, &err) < 0)
            fail_msg("%s", err.msg);
        n_sets++;
    }
    closedir(d);
    return 0;
}

static int close_sets(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_sets; i++)
        auk_agent_set_close(&sets[i]);
    return 0;
}

/* ---- scripted models ----------------------------------------------------------------------- */

typedef struct script {
    const char *name;
    json_t *solution;      /* owned */
    const char *forbidden; /* a tool that must not be called */
    const json_t *tools;
    const char *dialect; /* how perfect writes its calls; NULL: as calls */
    int turn;
    size_t at;
} script;

typedef int play_fn(script *s, const json_t *messages, auk_reply *r, auk_err *err);

static void say(auk_reply *r, const char *text)
{
    auk_buf_puts(&r->text, text);
    r->finish = AUK_CHAT_STOP;
}

static void call(auk_reply *r, const char *name, json_t *args)
{
    auk_buf b = AUK_BUF_INIT(1u << 20);

    auk_json_print(&b, args, (auk_json_style){0});
    r->calls = auk_realloc(r->calls, (r->n_calls + 1) * sizeof *r->calls);
    r->calls[r->n_calls++] = (auk_chat_call){.id = auk_strndup("c", 1),
                                             .name = auk_strndup(name, strlen(name)),
                                             .arguments = args,
                                             .text = auk_strndup(auk_buf_str(&b).p, b.n)};
    r->finish = AUK_CHAT_TOOLS;
    auk_buf_release(&b);
}

static const char *last_content(const json_t *messages)
{
    const json_t *m = json_array_get(messages, json_array_size(messages) - 1);
    const char *s = json_string_value(json_object_get(m, "content"));
    return s != NULL ? s : "";
}

/* key=value pairs as Python, or <parameter=...> blocks. */
static void write_args(auk_buf *b, const json_t *args, bool xml)
{
    const char *key;
    json_t *v;
    bool first = true;

    json_object_foreach((json_t *)args, key, v)
    {
        auk_buf_printf(b, xml ? "<parameter=%s>\n" : first ? "%s=" : ", %s=", key);
        if (xml && json_is_string(v))
            auk_buf_puts(b, json_string_value(v));
        else
            auk_json_print(b, v, (auk_json_style){0});
        auk_buf_puts(b, xml ? "\n</parameter>\n" : "");
        first = false;
    }
}

static void write_call(auk_reply *r, const char *dialect, const char *name, const json_t *args)
{
    auk_buf json = AUK_BUF_INIT(1u << 20), quoted = AUK_BUF_INIT(1u << 20), *b = &r->text;

    auk_json_print(&json, args, (auk_json_style){0});
    auk_json_print_string(&quoted, auk_buf_str(&json), false);
    const char *a = auk_buf_str(&json).p, *q = auk_buf_str(&quoted).p;
    if (strcmp(dialect, "cohere") == 0)
        auk_buf_printf(b,
                       "<|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"%s\", "
                       "\"parameters\": %s}]<|END_ACTION|>",
                       name, a);
    else if (strcmp(dialect, "args") == 0)
        auk_buf_printf(b, "```json\n{\"name\": \"%s\", \"args\": %s}\n```", name, a);
    else if (strcmp(dialect, "parameters") == 0)
        auk_buf_printf(b, "{\"name\": \"%s\", \"parameters\": %s}", name, a);
    else if (strcmp(dialect, "function") == 0)
        auk_buf_printf(b, "{\"function\": {\"name\": \"%s\", \"arguments\": %s}}", name, q);
    else if (strcmp(dialect, "tool_calls") == 0)
        auk_buf_printf(b,
                       "{\"tool_calls\": [{\"type\": \"function\", \"function\": {\"name\": "
                       "\"%s\", \"arguments\": %s}}]}",
                       name, q);
    else if (strcmp(dialect, "hermes") == 0)
        auk_buf_printf(b, "<tool_call>\n{\"name\": \"%s\", \"arguments\": %s}\n</tool_call>", name,
                       a);
    else if (strcmp(dialect, "qwen-coder") == 0) {
        auk_buf_printf(b, "<tool_call>\n<function=%s>\n", name);
        write_args(b, args, true);
        auk_buf_puts(b, "</function>\n</tool_call>");
    } else if (strcmp(dialect, "mistral") == 0)
        auk_buf_printf(b, "[TOOL_CALLS][{\"name\": \"%s\", \"arguments\": %s}]", name, a);
    else if (strcmp(dialect, "harmony") == 0)
        auk_buf_printf(b, "<|channel|>commentary call:%s%s", name, a);
    else if (strcmp(dialect, "harmony()") == 0) {
        auk_buf_printf(b, "call:%s(", name);
        write_args(b, args, false);
        auk_buf_puts(b, ")");
    } else if (strcmp(dialect, "pythonic") == 0) {
        auk_buf_printf(b, "[%s(", name);
        write_args(b, args, false);
        auk_buf_puts(b, ")]");
    } else
        auk_buf_printf(b, "Thought: go on.\nAction: %s\nAction Input: %s\n", name, a);
    r->finish = AUK_CHAT_STOP;
    auk_buf_release(&json);
    auk_buf_release(&quoted);
}

static int perfect(script *s, const json_t *messages, auk_reply *r, auk_err *err)
{
    (void)err;
    if (s->turn > 0 && strncmp(last_content(messages), "HTTP ", 5) == 0)
        s->at--; /* the server failed, not the call: again */
    const json_t *step = json_array_get(s->solution, s->at++);
    const char *tool = json_string_value(json_object_get(step, "tool"));
    const char *answer = json_string_value(json_object_get(step, "answer"));
    if (tool == NULL)
        say(r, answer != NULL ? answer : "All of it is done.");
    else if (s->dialect != NULL)
        write_call(r, s->dialect, tool, json_object_get(step, "args"));
    else
        call(r, tool, json_deep_copy(json_object_get(step, "args")));
    return AUK_OK;
}

static int prose(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    say(r, "I looked at everything with care and all of it has been settled as you asked.");
    return AUK_OK;
}

static int silent(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    say(r, " \n.\n");
    return AUK_OK;
}

static int garbage(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    say(r, "}{[ %%d {\"name\": {\"args\" 0x1F");
    return AUK_OK;
}

static int abstainer(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    say(r, "I cannot help with that.");
    return AUK_OK;
}

static int forbidden(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)m, (void)err;
    /* the winning call beside it does not excuse it */
    const json_t *step = json_array_get(s->solution, 0);
    const char *tool = json_string_value(json_object_get(step, "tool"));
    if (tool != NULL)
        call(r, tool, json_deep_copy(json_object_get(step, "args")));
    json_t *args = json_object();
    for (size_t i = 0; i < json_array_size(s->tools); i++) {
        const json_t *f = json_object_get(json_array_get(s->tools, i), "function"), *required;
        if (strcmp(json_string_value(json_object_get(f, "name")), s->forbidden) != 0)
            continue;
        required = json_object_get(json_object_get(f, "parameters"), "required");
        for (size_t k = 0; k < json_array_size(required); k++)
            json_object_set_new(args, json_string_value(json_array_get(required, k)),
                                json_string("it is quicker"));
    }
    call(r, s->forbidden, args);
    return AUK_OK;
}

static int loop_same(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)m, (void)err;
    const json_t *step = json_array_get(s->solution, 0);
    const char *tool = json_string_value(json_object_get(step, "tool"));
    call(r, tool != NULL ? tool : "get_policy",
         tool != NULL ? json_deep_copy(json_object_get(step, "args")) : json_object());
    return AUK_OK;
}

/* Never the same and never anywhere. */
static int loop_wander(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    char id[32];
    (void)m, (void)err;

    snprintf(id, sizeof id, "nowhere-%d", s->turn);
    /* the first look-up by a name of one's own choice */
    const char *tool = NULL, *key;
    json_t *args = json_object(), *v;
    for (size_t i = 0; i < json_array_size(s->solution) && json_object_size(args) == 0; i++) {
        const json_t *step = json_array_get(s->solution, i);
        tool = json_string_value(json_object_get(step, "tool"));
        if (tool == NULL || strcmp(tool, "get_policy") == 0)
            continue;
        json_object_foreach(json_object_get(step, "args"), key, v)
            json_object_set_new(args, key, json_string(id));
    }
    call(r, tool != NULL ? tool : "get_policy", args);
    return AUK_OK;
}

static int loop_text(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    say(r, "it is it is it is it is it is it is ");
    r->finish = AUK_CHAT_LOOP;
    return AUK_OK;
}

static int truncated(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    say(r, "First I should look at the policy, then {\"name\": \"get_po");
    r->finish = AUK_CHAT_LENGTH;
    return AUK_OK;
}

static int erroring(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)r;
    return auk_fail(err, AUK_EIO, "HTTP 500");
}

static int late(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)r;
    return auk_fail(err, AUK_ELIMIT, "a turn took too long");
}

static int schema_breaker(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    call(r, "wire_money", json_pack("{s:i}", "attempt", s->turn));
    return AUK_OK;
}

static int soup(script *s, const json_t *m, auk_reply *r, auk_err *err)
{
    (void)s, (void)m, (void)err;
    say(r, "<|channel|>commentary <|tool_response|> call:get_policy(\"returns\"");
    return AUK_OK;
}

/* Looks twice without a word between, fails one schema, then goes on as it should. */
static int clumsy(script *s, const json_t *messages, auk_reply *r, auk_err *err)
{
    if (s->turn == 0) {
        call(r, "wire_money", json_object());
        return AUK_OK;
    }
    return perfect(s, messages, r, err);
}

/* Says what should have been sent: the last call's text as prose. */
static int teller(script *s, const json_t *messages, auk_reply *r, auk_err *err)
{
    (void)messages, (void)err;
    const json_t *step = json_array_get(s->solution, json_array_size(s->solution) - 1);
    const char *text = json_string_value(json_object_get(json_object_get(step, "args"), "text"));
    say(r, text != NULL ? text : "Nothing to tell.");
    return AUK_OK;
}

typedef struct seat {
    script s;
    play_fn *play;
} seat;

static int ask(void *ctx, const json_t *messages, const json_t *tools, auk_reply *reply,
               auk_err *err)
{
    seat *it = ctx;

    *reply = (auk_reply){.text = AUK_BUF_INIT(1u << 24), .thinking = AUK_BUF_INIT(1u << 24)};
    reply->completion_tok = 7;
    reply->prompt_tok = reply->cached_tok = reply->reasoning_tok = -1;
    it->s.tools = tools;
    int rc = it->play(&it->s, messages, reply, err);
    it->s.turn++;
    return rc;
}

static json_t *run_one(const auk_agent_task *t, play_fn *play, const char *dialect, int run)
{
    seat it = {.play = play, .s = {.dialect = dialect}};
    auk_agent_run_options o = {
        .model = ask, .model_ctx = &it, .model_name = "script", .seed = 7, .run = run};
    const json_t *never = json_object_get(json_object_get(t->spec, "goal"), "never");
    auk_err err = {0};
    json_t *item;

    it.s.forbidden = json_string_value(json_array_get(never, 0));
    if (auk_agent_solution(&it.s.solution, t, &o, &err) < 0 ||
        auk_agent_run(&item, t, &o, &err) < 0)
        fail_msg("%s: %s", t->id, err.msg);
    json_decref(it.s.solution);
    return item;
}

static const char *text(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s != NULL ? s : "";
}

static int number(const json_t *v, const char *key)
{
    return (int)json_integer_value(json_object_get(v, key));
}

static bool abstains(const auk_agent_task *t)
{
    return json_is_true(json_object_get(json_object_get(t->spec, "goal"), "abstain"));
}

typedef void each_fn(const auk_agent_task *t, void *ctx);

static void each_task(each_fn *fn, void *ctx)
{
    for (size_t i = 0; i < n_sets; i++)
        for (size_t k = 0; k < sets[i].n; k++)
            fn(&sets[i].tasks[k], ctx);
}

/* ---- the collections ----------------------------------------------------------------------- */

static void found(void *ctx, const char *task, const char *severity, const char *what)
{
    (void)ctx;
    if (strcmp(severity, "reject") == 0)
        fail_msg("%s: %s", task, what);
}

static void no_bundled_task_is_rejected(void **state)
{
    size_t tasks = 0, rejected;
    auk_err err;
    (void)state;

    for (size_t i = 0; i < n_sets; i++) {
        assert_int_equal(auk_agent_check(&rejected, &sets[i], found, NULL, &err), AUK_OK);
        assert_int_equal(rejected, 0);
        tasks += sets[i].n;
    }
    assert_true(tasks >= 80);
}

typedef struct bounds {
    int lo[4], hi[4]; /* steps, hidden, decoys, constraints */
    int faults_lo, faults_hi;
} bounds;

static void in_bounds(const auk_agent_task *t, void *ctx)
{
    static const bounds tiers[AUK_N_TIERS] = {
        {{0, 0, 1, 1}, {5, 4, 1, 2}, 0, 0},
        {{6, 3, 3, 3}, {13, 9, 3, 3}, 1, 1},
        {{14, 12, 5, 5}, {24, 24, 5, 5}, 2, 2},
        {{26, 24, 8, 8}, {40, 40, 8, 8}, 2, 2},
    };
    const bounds *b = &tiers[t->tier];
    auk_agent_axes a;
    auk_err err;
    (void)ctx;

    assert_int_equal(auk_agent_axes_of(&a, t, &err), AUK_OK);
    const int have[4] = {a.steps, a.hidden, a.decoys, a.constraints};
    for (int i = 0; i < 4; i++)
        if (have[i] < b->lo[i] || have[i] > b->hi[i])
            fail_msg("%s: axis %d is %d, want %d to %d", t->id, i, have[i], b->lo[i], b->hi[i]);
    if (a.faults < b->faults_lo || a.faults > b->faults_hi)
        fail_msg("%s: %d faults", t->id, a.faults);
    if (t->max_steps < a.steps + a.faults)
        fail_msg("%s: %d turns do not hold %d steps", t->id, t->max_steps, a.steps);
}

static void a_tier_is_as_hard_as_its_counts_say(void **state)
{
    (void)state;
    each_task(in_bounds, NULL);
}

/* Two runs are two cases: other ids, or at least another wording. */
static void varied(const auk_agent_task *t, void *ctx)
{
    json_t *prompts = json_object();
    (void)ctx;

    for (int run = 0; run < 8; run++) {
        json_t *item = run_one(t, silent, NULL, run);
        const json_t *m = json_array_get(json_object_get(item, "messages"), 1);
        json_object_set_new(prompts, text(m, "content"), json_true());
        json_decref(item);
    }
    if (json_object_size(prompts) < 2)
        fail_msg("%s: eight runs, one prompt", t->id);
    json_decref(prompts);
}

static void repetitions_differ(void **state)
{
    (void)state;
    each_task(varied, NULL);
}

/* ---- every script on every task ------------------------------------------------------------ */

static const struct {
    const char *name;
    play_fn *play;
    const char *class, *on_abstain;
} scripts[] = {
    {"perfect", perfect, "passed", "passed"},
    {"clumsy", clumsy, "passed", "Hallucinated"},
    {"prose only", prose, "Hallucinated", "passed"},
    {"silent", silent, "EmptyOutput", "EmptyOutput"},
    {"garbage", garbage, "Malformed", "passed"}, /* a text, no call: all that is asked of it */
    {"forbidden caller", forbidden, "ForbiddenCall", "Hallucinated"},
    {"looper, the same call", loop_same, "InfiniteLoop", "Hallucinated"},
    {"looper, wandering", loop_wander, "InfiniteLoop", "Hallucinated"},
    {"looper, in its text", loop_text, "LoopStopped", "LoopStopped"},
    {"truncated", truncated, "Truncated", "Truncated"},
    {"erroring back end", erroring, "BackendError", "BackendError"},
    {"late", late, "TurnTimeout", "TurnTimeout"},
    {"abstainer", abstainer, "Hallucinated", "passed"},
    {"schema breaker", schema_breaker, "MalformedSchema", "Hallucinated"},
    {"channel soup", soup, "ForeignDialect", "passed"},
};

static void all_scripts(const auk_agent_task *t, void *ctx)
{
    int *played = ctx;

    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        json_t *item = run_one(t, scripts[i].play, NULL, (int)i);
        const char *want = abstains(t) ? scripts[i].on_abstain : scripts[i].class;
        if (strcmp(text(item, "class"), want) != 0)
            fail_msg("%s on %s: %s (%s), want %s", scripts[i].name, t->id, text(item, "class"),
                     text(item, "detail"), want);
        bool passed = strcmp(want, "passed") == 0, errored = strcmp(want, "BackendError") == 0;
        assert_int_equal(json_is_true(json_object_get(item, "passed")), passed);
        assert_int_equal(json_is_true(json_object_get(item, "finished")), !errored);
        json_decref(item);
        ++*played;
    }
}

static void every_script_gets_what_is_written_down(void **state)
{
    int played = 0;
    (void)state;

    each_task(all_scripts, &played);
    assert_true(played >= 80 * 15);
}

static void all_dialects(const auk_agent_task *t, void *ctx)
{
    static const char *const dialects[] = {"cohere",     "args",      "parameters", "function",
                                           "tool_calls", "hermes",    "qwen-coder", "mistral",
                                           "harmony",    "harmony()", "pythonic",   "react"};
    (void)ctx;

    if (abstains(t))
        return;
    /* long tasks write all their forms: three of the twelve each, in turn */
    size_t first = 0, step = 1, n = sizeof dialects / sizeof *dialects;
    if (t->tier >= AUK_TIER_HARD) {
        first = strlen(t->id) % 4;
        step = 4;
    }
    for (size_t i = first; i < n; i += step) {
        json_t *item = run_one(t, perfect, dialects[i], (int)i);
        if (strcmp(text(item, "class"), "passed") != 0)
            fail_msg("%s in %s: %s (%s)", t->id, dialects[i], text(item, "class"),
                     text(item, "detail"));
        assert_int_equal(json_object_size(json_object_get(item, "dialects")), 1);
        json_decref(item);
    }
}

static void the_perfect_model_passes_in_every_dialect(void **state)
{
    (void)state;
    each_task(all_dialects, NULL);
}

static void loops_stop(const auk_agent_task *t, void *ctx)
{
    (void)ctx;
    if (abstains(t))
        return;
    int faults = (int)json_array_size(json_object_get(t->spec, "faults"));
    json_t *same = run_one(t, loop_same, NULL, 0), *wander = run_one(t, loop_wander, NULL, 0);
    /* a fault's turn is not like the ones behind it */
    if (number(same, "steps") < 3 || number(same, "steps") > 3 + faults)
        fail_msg("%s: the same call was made %d times", t->id, number(same, "steps"));
    assert_true(number(wander, "steps") <= t->max_steps);
    json_decref(same);
    json_decref(wander);
}

static void a_repeated_turn_ends_at_its_third(void **state)
{
    (void)state;
    each_task(loops_stop, NULL);
}

static void tells(const auk_agent_task *t, void *ctx)
{
    int *n = ctx;

    if (json_object_get(json_object_get(t->spec, "goal"), "say") == NULL)
        return;
    json_t *item = run_one(t, teller, NULL, 0);
    if (strcmp(text(item, "class"), "ReportedInProse") != 0)
        fail_msg("%s: %s (%s)", t->id, text(item, "class"), text(item, "detail"));
    json_decref(item);
    ++*n;
}

static void a_report_in_prose_is_called_that(void **state)
{
    int n = 0;
    (void)state;

    each_task(tells, &n);
    assert_true(n > 0);
}

static void replays(const auk_agent_task *t, void *ctx)
{
    play_fn *const models[] = {perfect, garbage, loop_wander, truncated, loop_text};
    (void)ctx;

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        json_t *item = run_one(t, models[i], i == 0 ? "hermes" : NULL, 3), *again;
        auk_err err = {0};
        bool same = false;
        json_object_set_new(
            item, "settings",
            json_pack("{s:s, s:i, s:b}", "model", "script", "seed", 7, "same_instance", 0));
        if (auk_agent_replay(&same, &again, t, item, &err) < 0)
            fail_msg("%s: %s", t->id, err.msg);
        if (!same)
            fail_msg("%s: played again it is %s, was %s", t->id, text(again, "class"),
                     text(item, "class"));
        /* and a record that was touched is noticed */
        if (i == 0 && !abstains(t)) {
            json_t *m = json_object_get(item, "messages"), *r;
            size_t k;
            bool other = true;
            json_array_foreach(m, k, r)
            {
                if (strcmp(text(r, "role"), "tool") == 0)
                    json_object_set_new(r, "content", json_string("{\"forged\": true}"));
            }
            json_decref(again);
            assert_int_equal(auk_agent_replay(&other, &again, t, item, &err), AUK_OK);
            assert_false(other);
        }
        json_decref(again);
        json_decref(item);
    }
}

static void a_stored_run_plays_again_the_same(void **state)
{
    (void)state;
    each_task(replays, NULL);
}

/* ---- the rows of the report that asked these questions -------------------------------------- */

/* Perfect on easy; on hard it loops in three runs of four and claims in the fourth. */
typedef struct shares {
    uint64_t runs, passed, loops, claims, strict, tasks;
} shares;

static void row(shares *s, const auk_agent_task *t, auk_tier tier)
{
    int k = auk_tier_k(tier), passed = 0;

    if (t->tier != tier || abstains(t))
        return;
    for (int run = 0; run < k; run++) {
        play_fn *play = tier == AUK_TIER_EASY ? perfect : run % 4 != 3 ? loop_same : prose;
        json_t *item = run_one(t, play, NULL, run);
        passed += json_is_true(json_object_get(item, "passed"));
        s->loops += strcmp(text(item, "class"), "InfiniteLoop") == 0;
        s->claims += strcmp(text(item, "class"), "Hallucinated") == 0;
        json_decref(item);
    }
    s->runs += (uint64_t)k;
    s->passed += (uint64_t)passed;
    s->strict += passed == k;
    s->tasks++;
}

static void easy_row(const auk_agent_task *t, void *ctx)
{
    row(ctx, t, AUK_TIER_EASY);
}

static void hard_row(const auk_agent_task *t, void *ctx)
{
    row(ctx, t, AUK_TIER_HARD);
}

static void the_reports_rows_come_out(void **state)
{
    shares easy = {0}, hard = {0};
    double hat;
    auk_interval w;
    auk_err err;
    (void)state;

    each_task(easy_row, &easy);
    each_task(hard_row, &hard);
    assert_int_equal(easy.strict, easy.tasks); /* Easy: 100 % Pass^5 */
    assert_int_equal(easy.runs, 5 * easy.tasks);
    assert_int_equal(hard.strict, 0); /* Hard: 0 % Pass^16 */
    assert_int_equal(hard.runs, 16 * hard.tasks);
    assert_int_equal(4 * hard.loops, 3 * hard.runs);
    assert_int_equal(4 * hard.claims, hard.runs);
    assert_int_equal(auk_stats_passhatk(&hat, 16, 0, 16, &err), AUK_OK);
    assert_true(hat == 0);
    assert_int_equal(auk_stats_wilson(&w, hard.passed, hard.runs, 0.95, &err), AUK_OK);
    assert_true(w.lo == 0 && w.hi > 0);
}

/* ---- memory -------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static long resident_kb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long all, mine = -1;

    if (f == NULL)
        return -1;
    if (fscanf(f, "%ld %ld", &all, &mine) != 2)
        mine = -1;
    fclose(f);
    return mine < 0 ? -1 : mine * (sysconf(_SC_PAGESIZE) / 1024);
}

static void memory_is_flat_over_ten_thousand_turns(void **state)
{
    long begin = 0, turns = 0;
    (void)state;

    if (SANITIZED || resident_kb() < 0)
        skip(); /* sanitizers keep freed memory for a while; what leaks they find at the end */
    for (int run = 0; turns < 12000; run++) {
        for (size_t i = 0; i < n_sets; i++) {
            if (sets[i].tier != AUK_TIER_HARD)
                continue;
            json_t *item = run_one(&sets[i].tasks[run % (int)sets[i].n], perfect, NULL, run);
            turns += number(item, "steps");
            json_decref(item);
        }
        if (turns > 2000 && begin == 0)
            begin = resident_kb();
    }
    long grown = resident_kb() - begin;
    if (grown > 4096)
        fail_msg("%ld turns: %ld kB more", turns, grown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bundled_task_is_rejected),
        cmocka_unit_test(a_tier_is_as_hard_as_its_counts_say),
        cmocka_unit_test(repetitions_differ),
        cmocka_unit_test(every_script_gets_what_is_written_down),
        cmocka_unit_test(the_perfect_model_passes_in_every_dialect),
        cmocka_unit_test(a_repeated_turn_ends_at_its_third),
        cmocka_unit_test(a_report_in_prose_is_called_that),
        cmocka_unit_test(a_stored_run_plays_again_the_same),
        cmocka_unit_test(the_reports_rows_come_out),
        cmocka_unit_test(memory_is_flat_over_ten_thousand_turns),
    };
    return cmocka_run_group_tests(tests, open_sets, close_sets);
}
