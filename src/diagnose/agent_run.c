/* SPDX-License-Identifier: Apache-2.0 */
/* One run: turns of a model against a world until the goal is met or something ends it. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"

#include <ctype.h>
#include <stdlib.h>

static const char *const class_names[AUK_N_AGENT_CLASSES] = {
    "passed",       "ForbiddenCall",   "TurnTimeout",  "InfiniteLoop",   "LoopStopped",
    "Hallucinated", "MalformedSchema", "Malformed",    "ForeignDialect", "Truncated",
    "EmptyOutput",  "ReportedInProse", "BackendError", "Cancelled",
};

const char *auk_agent_class_name(auk_agent_class c)
{
    return c < AUK_N_AGENT_CLASSES ? class_names[c] : "?";
}

typedef struct runner {
    auk_agent_instance in;
    auk_world world;
    const auk_agent_run_options *opts;
    json_t *messages; /* owned */
    json_t *dialects; /* owned: {name: calls} */
    json_t *said;     /* owned: {index of a message: the text its calls were found in} */
    auk_buf last;     /* calls and results of the turn before, to see a turn repeat */
    int same, steps, calls, unknown, schema_errors, recovered, next_id;
    int64_t tokens;
    uint64_t ns;
    auk_agent_class class;
    bool over;
    char detail[240];
} runner;

static void end(runner *r, auk_agent_class class, const char *detail)
{
    r->class = class;
    r->over = true;
    snprintf(r->detail, sizeof r->detail, "%.200s", detail);
}

static bool visible(auk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (isalnum((unsigned char)s.p[i]) || (unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

/* ---- the transcript ------------------------------------------------------------------------ */

static void add_message(runner *r, const char *role, auk_str text)
{
    json_t *s = json_stringn(text.p, text.n);

    json_array_append_new(r->messages, json_pack("{s:s, s:o}", "role", role, "content",
                                                 s != NULL ? s : json_string("")));
}

static void add_result(runner *r, const char *id, const char *name, auk_str text)
{
    json_t *s = json_stringn(text.p, text.n);

    json_array_append_new(r->messages,
                          json_pack("{s:s, s:s, s:s, s:o}", "role", "tool", "tool_call_id", id,
                                    "name", name, "content", s != NULL ? s : json_string("")));
}

static json_t *call_message(const char *id, const char *name, const json_t *args, const char *text)
{
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (args != NULL)
        auk_json_print(&b, args, (auk_json_style){0});
    else
        auk_buf_puts(&b, text != NULL ? text : "");
    json_t *s = json_stringn(auk_buf_str(&b).p, b.n);
    json_t *out = json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function",
                            "name", name, "arguments", s != NULL ? s : json_string("{}"));
    auk_buf_release(&b);
    return out;
}

/* ---- a turn's calls ------------------------------------------------------------------------ */

/* One call, wherever it was found.  Borrowed. */
typedef struct turn_call {
    const char *name, *text, *dialect;
    const json_t *args; /* NULL: no JSON */
    char id[32];
} turn_call;

typedef struct turn {
    turn_call *p; /* owned */
    size_t n;
    auk_text_calls found; /* owned */
} turn;

static bool is_tool(const void *ctx, auk_str name)
{
    char s[128];
    bool decoy;

    snprintf(s, sizeof s, "%.*s", AUK_ARG(name));
    return auk_agent_tool(ctx, s, &decoy) != NULL;
}

static void turn_add(turn *t, runner *r, const char *name, const json_t *args, const char *text,
                     const char *dialect)
{
    t->p = auk_realloc(t->p, (t->n + 1) * sizeof *t->p);
    turn_call *c = &t->p[t->n++];
    *c = (turn_call){name, text, dialect, args, ""};
    snprintf(c->id, sizeof c->id, "call_%d", r->next_id++);
    json_int_t had = json_integer_value(json_object_get(r->dialects, dialect));
    json_object_set_new(r->dialects, dialect, json_integer(had + 1));
}

/* Calls the server named, else those the text holds; the assistant's message goes to the
 * transcript with them as calls either way. */
static void turn_read(turn *t, runner *r, const auk_reply *reply)
{
    auk_str text = auk_buf_str(&reply->text), thinking = auk_buf_str(&reply->thinking);

    *t = (turn){0};
    for (size_t i = 0; i < reply->n_calls; i++)
        turn_add(t, r, reply->calls[i].name, reply->calls[i].arguments, reply->calls[i].text,
                 reply->was_markup ? "cohere" : "tool_calls");
    if (reply->n_calls == 0)
        auk_text_calls_find(&t->found, text, is_tool, &r->in);
    for (size_t i = 0; i < t->found.n; i++) {
        if (strcmp(t->found.p[i].dialect, "qwen-coder") == 0)
            auk_agent_type_args(t->found.p[i].args, &r->in, t->found.p[i].name);
        turn_add(t, r, t->found.p[i].name, t->found.p[i].args, NULL, t->found.p[i].dialect);
    }

    json_t *m = json_pack("{s:s}", "role", "assistant"), *list = json_array();
    json_t *s = t->found.n > 0 ? json_string("") : json_stringn(text.p, text.n);
    json_object_set_new(m, "content", s != NULL ? s : json_string(""));
    if (thinking.n > 0 && (s = json_stringn(thinking.p, thinking.n)) != NULL)
        json_object_set_new(m, "reasoning_content", s);
    if (t->found.n > 0 && (s = json_stringn(text.p, text.n)) != NULL) {
        char at[24]; /* for the reader; not sent */
        snprintf(at, sizeof at, "%zu", json_array_size(r->messages));
        json_object_set_new(r->said, at, s);
    }
    for (size_t i = 0; i < t->n; i++)
        json_array_append_new(list,
                              call_message(t->p[i].id, t->p[i].name, t->p[i].args, t->p[i].text));
    if (t->n > 0)
        json_object_set(m, "tool_calls", list);
    json_decref(list);
    json_array_append_new(r->messages, m);
}

static void turn_release(turn *t)
{
    free(t->p);
    auk_text_calls_release(&t->found);
}

/* ---- what a turn means --------------------------------------------------------------------- */

static bool abstain(const runner *r)
{
    const json_t *expected = json_object_get(r->in.spec, "expected_calls");
    const json_t *target = json_object_get(r->in.spec, "target_state");

    if (!r->in.task->set->v2)
        return json_is_true(json_object_get(json_object_get(r->in.spec, "goal"), "abstain"));
    return json_array_size(expected) == 0 && (target == NULL || json_is_null(target));
}

/* A turn without a call is the last one. */
static void prose(runner *r, const turn *t, const auk_reply *reply)
{
    auk_str text = auk_buf_str(&reply->text);
    char why[200];

    if (!visible(text))
        end(r, AUK_AGENT_EMPTY_OUTPUT, "no letter, no digit, no call");
    else if (reply->malformed_action)
        end(r, AUK_AGENT_MALFORMED, "part of a tool call could not be read");
    else if (auk_world_done(&r->world, text, why, sizeof why))
        end(r, AUK_AGENT_PASSED, "");
    else if (t->found.foreign)
        end(r, AUK_AGENT_FOREIGN_DIALECT, "channel tokens around something like a call");
    else if (t->found.broken)
        end(r, AUK_AGENT_MALFORMED, "a brace and no JSON object");
    else if (auk_world_in_prose(&r->world, text))
        end(r, AUK_AGENT_REPORTED_IN_PROSE, "right, but not through the tool for it");
    else
        end(r, AUK_AGENT_HALLUCINATED, why);
}

/* A call that fits its tool and is forbidden ends the run, whatever stands beside it. */
static bool forbidden(runner *r, const turn *t)
{
    char why[200];

    for (size_t i = 0; i < t->n; i++)
        if (auk_agent_schema(why, sizeof why, &r->in, t->p[i].name, t->p[i].args) &&
            auk_world_forbids(&r->in, t->p[i].name, t->p[i].args)) {
            end(r, AUK_AGENT_FORBIDDEN_CALL, t->p[i].name);
            return true;
        }
    return false;
}

static void schema_error(runner *r, const turn_call *c, const char *why)
{
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_buf_printf(&b, "[Schema error: %s]", why);
    add_result(r, c->id, c->name, auk_buf_str(&b));
    auk_buf_release(&b);
    if (r->schema_errors++ >= r->in.task->max_recovery)
        end(r, AUK_AGENT_MALFORMED_SCHEMA, why);
}

/* Does the calls in order.  Whether the goal is met is asked after each: what follows a finished
 * task in the same turn is not done. */
static void act(runner *r, const turn *t, auk_buf *seen)
{
    auk_buf result = AUK_BUF_INIT(AUK_MAX_TEXT);
    char why[200];

    for (size_t i = 0; i < t->n && !r->over; i++) {
        const turn_call *c = &t->p[i];
        bool decoy;
        if (!auk_agent_schema(why, sizeof why, &r->in, c->name, c->args)) {
            r->unknown += auk_agent_tool(&r->in, c->name, &decoy) == NULL;
            auk_buf_printf(seen, "%s ", why);
            schema_error(r, c, why);
            continue;
        }
        r->recovered = r->schema_errors > 0;
        auk_agent_tool(&r->in, c->name, &decoy);
        r->unknown += decoy;
        r->calls++;
        auk_buf_clear(&result);
        auk_world_call(&result, &r->world, c->name, c->args);
        add_result(r, c->id, c->name, auk_buf_str(&result));
        auk_call_key(seen, c->name, c->args);
        auk_buf_add(seen, auk_buf_str(&result).p, result.n);
        if (auk_world_done(&r->world, (auk_str){NULL, 0}, why, sizeof why))
            end(r, AUK_AGENT_PASSED, "");
    }
    auk_buf_release(&result);
}

/* Three turns in a row with the same calls and the same results are a loop. */
static void watch_loop(runner *r, const auk_buf *seen)
{
    if (auk_str_eq(auk_buf_str(seen), auk_buf_str(&r->last)) && seen->n > 0)
        r->same++;
    else
        r->same = 1;
    auk_buf_clear(&r->last);
    auk_buf_add(&r->last, auk_buf_str(seen).p, seen->n);
    if (!r->over && r->same >= 3)
        end(r, AUK_AGENT_INFINITE_LOOP, "three identical turns without progress");
}

static void judge(runner *r, const auk_reply *reply)
{
    auk_buf seen = AUK_BUF_INIT(AUK_MAX_TEXT);
    turn t;

    turn_read(&t, r, reply);
    if (reply->finish == AUK_CHAT_LENGTH)
        end(r, AUK_AGENT_TRUNCATED, "the turn was cut by its token budget");
    else if (reply->finish == AUK_CHAT_LOOP)
        end(r, AUK_AGENT_LOOP_STOPPED, "the text repeated itself and was stopped");
    else if (t.n == 0)
        prose(r, &t, reply);
    else if (abstain(r))
        end(r, AUK_AGENT_HALLUCINATED, "called a tool where none is wanted");
    else if (!forbidden(r, &t)) {
        act(r, &t, &seen);
        watch_loop(r, &seen);
    }
    turn_release(&t);
    auk_buf_release(&seen);
}

/* ---- the run ------------------------------------------------------------------------------- */

static const char *const act_rules =
    "You work with tools. Use them to find out what you need and to do what is asked, and only "
    "that. Do not make up values: look them up. ";

static void begin(runner *r)
{
    const json_t *goal = json_object_get(r->in.spec, "goal"),
                 *tools = json_object_get(r->in.spec, "tools");
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
    const char *reporter = NULL;

    for (size_t i = 0; i < json_array_size(tools) && reporter == NULL; i++) {
        const json_t *t = json_array_get(tools, i), *params = json_object_get(t, "params");
        if (r->in.task->set->v2 ? json_object_get(params, "text") != NULL
                                : json_object_get(json_object_get(t, "does"), "say") != NULL)
            reporter = json_string_value(json_object_get(t, "name"));
    }
    auk_buf_puts(&b, act_rules);
    if (abstain(r) || json_object_get(goal, "answer") != NULL)
        auk_buf_puts(&b, "When you have the answer, give it as plain text without a tool call.");
    else if (reporter != NULL)
        auk_buf_printf(&b, "Report the result with the tool %s, not as plain text.", reporter);
    else
        auk_buf_puts(&b, "When everything is done, say so in one sentence.");
    add_message(r, "system", auk_buf_str(&b));
    add_message(r, "user", auk_str_of(r->in.prompt));
    auk_buf_release(&b);
}

static void turns(runner *r)
{
    while (!r->over) {
        auk_reply reply = {0};
        auk_err err = {0};
        if (r->steps >= r->in.task->max_steps) {
            end(r, AUK_AGENT_INFINITE_LOOP, "out of turns");
            break;
        }
        uint64_t began = auk_now_ns();
        int rc = r->opts->model(r->opts->model_ctx, r->messages, r->in.tools, &reply, &err);
        r->ns += auk_now_ns() - began;
        if (rc == AUK_OK || rc == AUK_ELIMIT)
            r->steps++;
        r->tokens += reply.completion_tok > 0 ? reply.completion_tok : 0;
        if (rc == AUK_OK)
            judge(r, &reply);
        else if (rc == AUK_ELIMIT)
            end(r, AUK_AGENT_TURN_TIMEOUT, err.msg);
        else
            end(r, rc == AUK_ECANCEL ? AUK_AGENT_CANCELLED : AUK_AGENT_BACKEND_ERROR, err.msg);
        auk_reply_release(&reply);
    }
}

static json_t *as_item(const runner *r)
{
    const auk_agent_task *t = r->in.task;
    char instance[24];
    bool finished = r->class != AUK_AGENT_BACKEND_ERROR && r->class != AUK_AGENT_CANCELLED;

    snprintf(instance, sizeof instance, "%016llx", (unsigned long long)r->in.seed);
    json_t *v = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s}", "item", "run", "task", t->id,
                          "collection", t->set->name, "tier", auk_tier_name(t->tier), "domain",
                          t->set->domain, "run", r->opts->run, "instance", instance);
    json_object_set_new(v, "passed", json_boolean(r->class == AUK_AGENT_PASSED));
    json_object_set_new(v, "finished", json_boolean(finished));
    json_object_set_new(v, "class", json_string(auk_agent_class_name(r->class)));
    json_object_set_new(v, "detail", json_string(r->detail));
    json_object_set_new(v, "steps", json_integer(r->steps));
    json_object_set_new(v, "calls", json_integer(r->calls));
    json_object_set_new(v, "unknown_tool_calls", json_integer(r->unknown));
    json_object_set_new(v, "schema_errors", json_integer(r->schema_errors));
    json_object_set_new(v, "recovered", json_boolean(r->recovered));
    json_object_set(v, "dialects", r->dialects);
    json_object_set_new(v, "completion_tokens", json_integer(r->tokens));
    json_object_set_new(v, "ms", json_integer((json_int_t)(r->ns / 1000000)));
    json_object_set(v, "tools", r->in.tools);
    json_object_set(v, "messages", r->messages);
    json_object_set(v, "said", r->said);
    return v;
}

int auk_agent_run(json_t **item, const auk_agent_task *t, const auk_agent_run_options *opts,
                  auk_err *err)
{
    runner r = {.opts = opts, .last = AUK_BUF_INIT(AUK_MAX_TEXT)};

    *item = NULL;
    int rc = auk_agent_instance_make(&r.in, t, opts, err);
    if (rc < 0)
        return rc;
    auk_world_open(&r.world, &r.in);
    r.messages = json_array();
    r.dialects = json_object();
    r.said = json_object();
    begin(&r);
    turns(&r);
    *item = as_item(&r);
    json_decref(r.messages);
    json_decref(r.dialects);
    json_decref(r.said);
    auk_buf_release(&r.last);
    auk_world_close(&r.world);
    auk_agent_instance_release(&r.in);
    return AUK_OK;
}
