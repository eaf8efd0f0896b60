/* SPDX-License-Identifier: Apache-2.0 */
/* Auditing a collection: is every goal reachable by someone who knows only what he is told, is
 * nothing given away, is anything written that does not do what it seems to.
 *
 * Known is the text of the prompt, of the tools and of every result so far.  A value can be used
 * when it is part of that text (numbers: as a number of it), or where the tool says that it is
 * free: a note, a line of code. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

typedef struct checker {
    const auk_agent_set *set;
    auk_agent_found_fn *found;
    void *ctx;
    size_t rejected;
    bool bad; /* the running task */
    const char *task;
    auk_buf known;
} checker;

static void tell(checker *c, bool reject, const char *fmt, const char *a, const char *b)
{
    char what[400];

    snprintf(what, sizeof what, fmt, a, b); /* NOLINT: formats are ours */
    c->bad = c->bad || reject;
    if (c->found != NULL)
        c->found(c->ctx, c->task, reject ? "reject" : "warn", what);
}

/* ---- what is known ------------------------------------------------------------------------- */

static bool known_text(const checker *c, auk_str s)
{
    auk_buf pattern = AUK_BUF_INIT(AUK_MAX_TEXT);

    while (s.n > 0 && isspace((unsigned char)s.p[0]))
        s = auk_str_from(s, 1);
    while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    if (s.n == 0 || memchr(s.p, '*', s.n) != NULL)
        return true;
    auk_buf_add(&pattern, s.p, s.n);
    bool yes = auk_glob(auk_buf_str(&pattern), auk_buf_str(&c->known));
    auk_buf_release(&pattern);
    return yes;
}

static bool known_number(const checker *c, double want)
{
    const char *p = auk_buf_str(&c->known).p, *end = p + c->known.n;

    while (p < end) {
        char digits[48];
        size_t n = 0;
        if (!isdigit((unsigned char)*p)) {
            p++;
            continue;
        }
        while (p < end && (isdigit((unsigned char)*p) || *p == '.' || *p == ',')) {
            if (*p != ',' && n + 1 < sizeof digits)
                digits[n++] = *p;
            p++;
        }
        digits[n] = 0;
        if (fabs(strtod(digits, NULL) - fabs(want)) <= 1e-9 * fabs(want))
            return true;
    }
    return false;
}

/* The numbers of an expression, each alone. */
static bool known_expression(const checker *c, const char *s)
{
    while (*s != 0) {
        char *end;
        if (!isdigit((unsigned char)*s)) {
            s++;
            continue;
        }
        double v = strtod(s, &end);
        if (!known_number(c, v) && v != 1 && v != 100 && v != 12 && v != 2)
            return false;
        s = end > s ? end : s + 1;
    }
    return true;
}

/* Every piece of a glob, every member of an object. */
static bool known_value(const checker *c, const json_t *v, const char **missing)
{
    const char *key;
    const json_t *member;

    if (json_is_number(v)) {
        *missing = "a number";
        return known_number(c, json_number_value(v));
    }
    if (json_is_string(v)) {
        auk_str s = auk_json_str(v);
        *missing = s.p;
        while (s.n > 0) {
            size_t n = 0;
            while (n < s.n && s.p[n] != '*')
                n++;
            if (!known_text(c, (auk_str){s.p, n}))
                return false;
            s = auk_str_from(s, n < s.n ? n + 1 : n);
        }
    }
    if (json_is_array(v))
        for (size_t i = 0; i < json_array_size(v); i++)
            if (!known_value(c, json_array_get(v, i), missing))
                return false;
    if (json_is_object(v))
        json_object_foreach((json_t *)v, key,
                            member) if (!known_value(c, member, missing)) return false;
    return true;
}

static void learn(checker *c, auk_str s)
{
    auk_buf_putc(&c->known, '\n');
    auk_buf_add(&c->known, s.p, s.n);
}

/* The prompt and what the tools say of themselves. */
static void learn_start(checker *c, const auk_agent_instance *in)
{
    auk_buf tools = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_buf_clear(&c->known);
    learn(c, auk_str_of(in->prompt));
    auk_json_print(&tools, in->tools, (auk_json_style){0});
    learn(c, auk_buf_str(&tools));
    auk_buf_release(&tools);
}

/* ---- ours ---------------------------------------------------------------------------------- */

/* How the tool takes this argument: "free", "calc", or as a value that must be known. */
static bool arg_known(const checker *c, const auk_agent_instance *in, const char *tool,
                      const char *key, const json_t *v, const char **missing)
{
    bool decoy;
    const json_t *t = auk_agent_tool(in, tool, &decoy);
    const json_t *p = json_object_get(json_object_get(t, "params"), key);
    const json_t *does = json_object_get(t, "does");
    const json_t *calc = json_object_get(does, "calc");

    if (json_is_string(calc) && strcmp(json_string_value(calc), key) == 0) {
        *missing = json_string_value(v);
        return known_expression(c, json_string_value(v));
    }
    if (json_is_true(json_object_get(p, "free")) ||
        (json_object_get(does, "say") != NULL && json_is_string(v)))
        return true;
    return known_value(c, v, missing);
}

/* Every piece of what must be said has to be known by then; short words like "yes" may come from
 * the prompt. */
static void check_texts(checker *c, const json_t *want)
{
    const json_t *has = json_object_get(want, "has");
    const char *missing = "";

    for (size_t i = 0; i < json_array_size(has); i++)
        if (!known_value(c, json_array_get(has, i), &missing))
            tell(c, true, "what must be said cannot be known: '%s'%s", missing, "");
}

static void walk(checker *c, const auk_agent_instance *in)
{
    const json_t *steps = json_object_get(in->spec, "solution"), *v;
    const json_t *goal = json_object_get(in->spec, "goal");
    auk_buf result = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_world w;
    auk_str answer = {NULL, 0};
    char why[300];
    const char *key, *missing = "";

    auk_world_open(&w, in);
    if (!json_is_true(json_object_get(goal, "abstain")) &&
        auk_world_done(&w, auk_str_of(""), why, sizeof why))
        tell(c, true, "the goal is met before anything is done%s%s", "", "");
    for (size_t i = 0; i < json_array_size(steps) && !c->bad; i++) {
        const json_t *step = json_array_get(steps, i), *args = json_object_get(step, "args");
        const char *tool = json_string_value(json_object_get(step, "tool"));
        if (tool == NULL) {
            answer = auk_json_str(json_object_get(step, "answer"));
            continue;
        }
        if (!auk_agent_schema(why, sizeof why, in, tool, args)) {
            tell(c, true, "the solution's call of '%s' does not fit: %s", tool, why);
            break;
        }
        if (auk_world_forbids(in, tool, args))
            tell(c, true, "the solution makes a forbidden call: '%s'%s", tool, "");
        json_object_foreach((json_t *)args, key, v) if (!arg_known(c, in, tool, key, v, &missing))
            tell(c, true, "'%s' wants a value that cannot be known: '%s'", tool, missing);
        bool failed = true;
        for (int attempt = 0; attempt < 8 && failed; attempt++) {
            auk_buf_clear(&result);
            failed = auk_world_call(&result, &w, tool, args);
            failed = failed && auk_str_starts(auk_buf_str(&result), "HTTP ");
        }
        if (failed)
            tell(c, true, "'%s' fails for ever%s", tool, "");
        learn(c, auk_buf_str(&result));
    }
    check_texts(c, json_object_get(goal, "answer"));
    check_texts(c, json_object_get(goal, "say"));
    if (!c->bad && !json_is_true(json_object_get(goal, "abstain")) &&
        !auk_world_done(&w, answer, why, sizeof why))
        tell(c, true, "the solution does not reach the goal: %s%s", why, "");
    auk_world_close(&w);
    auk_buf_release(&result);
}

/* A single look at the start that shows every piece of the answer of a task that says it needs
 * more than a look. */
static void leak_ours(checker *c, const auk_agent_instance *in)
{
    const json_t *answer = json_object_get(json_object_get(in->spec, "goal"), "answer");
    const json_t *has = json_object_get(answer, "has");
    const json_t *steps = json_object_get(in->spec, "solution");

    if (json_array_size(has) == 0 || json_array_size(steps) < 5)
        return;
    for (size_t i = 0; i < json_array_size(has); i++)
        if (!auk_glob(auk_json_str(json_array_get(has, i)), auk_str_of(in->prompt)))
            return;
    tell(c, true, "the prompt holds the answer%s%s", "", "");
}

static void check_ours(checker *c, const auk_agent_task *t, auk_err *err)
{
    for (int run = 0; run < 5 && !c->bad; run++) {
        auk_agent_run_options o = {.seed = 1, .run = run};
        auk_agent_instance in;
        if (auk_agent_instance_make(&in, t, &o, err) < 0) {
            tell(c, true, "it cannot be played: %.200s%s", err->msg, "");
            return;
        }
        learn_start(c, &in);
        walk(c, &in);
        if (run == 0 && !c->bad)
            leak_ours(c, &in);
        auk_agent_instance_release(&in);
    }
    if (json_object_size(json_object_get(t->spec, "vary")) == 0 &&
        !json_is_array(json_object_get(t->spec, "prompt")))
        tell(c, false, "nothing varies: repetitions show the noise floor, not reliability%s%s", "",
             "");
}

/* ---- v2 ------------------------------------------------------------------------------------ */

static bool reserved(const char *key)
{
    return strcmp(key, "calc") == 0 || strcmp(key, "threshold") == 0 ||
           strcmp(key, "ground_truth") == 0;
}

/* All that one can find out: entities whose name is known, files, documents with a known word. */
static void explore(checker *c, const auk_agent_instance *in)
{
    json_t *world = json_object_get(in->spec, "world_state"), *v;
    const json_t *tools = json_object_get(in->spec, "tools");
    const char *key;
    bool reads = false, more = true;
    json_t *seen = json_object();

    for (size_t i = 0; i < json_array_size(tools); i++)
        reads =
            reads || !json_is_false(json_object_get(json_array_get(tools, i), "returns_entity"));
    while (more && reads) {
        more = false;
        if (json_object_get(world, "docs") != NULL) {
            json_t *docs = json_object_get(world, "docs");
            if (json_object_get(seen, "docs") == NULL) {
                auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
                auk_json_print(&b, docs, (auk_json_style){0});
                learn(c, auk_buf_str(&b));
                auk_buf_release(&b);
                json_object_set_new(seen, "docs", json_true());
                more = true;
            }
        }
        json_object_foreach(world, key, v)
        {
            bool file = strcmp(in->task->set->environment, "filesystem") == 0;
            bool page = strcmp(in->task->set->environment, "web_ui") == 0;
            if (json_object_get(seen, key) != NULL || reserved(key) ||
                (!file && !page && !known_text(c, auk_str_of(key))))
                continue;
            auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
            auk_json_print(&b, v, (auk_json_style){0});
            learn(c, auk_str_of(file ? key : ""));
            learn(c, json_is_string(v) ? auk_json_str(v) : auk_buf_str(&b));
            auk_buf_release(&b);
            json_object_set_new(seen, key, json_true());
            more = true;
        }
    }
    json_decref(seen);
}

static int pieces(const char *glob)
{
    int n = 0;

    for (const char *c = glob; *c != 0; c++)
        n += *c != '*' && (c == glob || c[-1] == '*');
    return n;
}

/* The call gives no data although the task needs some: it only acknowledges. */
static bool acknowledges(const auk_agent_instance *in, const char *tool, const json_t *args)
{
    auk_world w;
    auk_buf result = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_world_open(&w, in);
    json_decref(w.faults);
    w.faults = json_object();
    auk_world_v2_call(&result, &w, tool, args);
    bool yes = auk_glob(auk_str_of("\"ok\""), auk_buf_str(&result)) ||
               auk_glob(auk_str_of("\"not found\""), auk_buf_str(&result));
    auk_buf_release(&result);
    auk_world_close(&w);
    return yes;
}

static void check_expected(checker *c, const auk_agent_instance *in, const json_t *e)
{
    const char *tool = json_string_value(json_object_get(e, "name")), *key, *missing = "";
    json_t *args = json_object_get(e, "args"), *v;
    const json_t *calc = json_object_get(json_object_get(in->spec, "world_state"), "calc");
    bool decoy;
    const json_t *t = auk_agent_tool(in, tool != NULL ? tool : "", &decoy);

    if (t == NULL || decoy) {
        tell(c, true, "expects '%s', which is no tool of the task%s", tool != NULL ? tool : "", "");
        return;
    }
    bool getter = !json_is_false(json_object_get(t, "returns_entity"));
    json_object_foreach(args, key, v)
    {
        const char *s = json_string_value(v);
        if (s != NULL && json_object_get(calc, s) != NULL)
            tell(c, false, "'%s' answers one way of writing its expression only: '%s'", tool, s);
        else if (!known_value(c, v, &missing))
            tell(c, true, "'%s' wants a value that no tool tells: '%s'", tool, missing);
        if (s != NULL && pieces(s) > 1 && strcmp(key, "text") != 0)
            tell(c, false, "'%s' wants particular words in order: '%s'", tool, s);
        if (json_is_real(v))
            tell(c, false, "'%s' wants one exact number as '%s'", tool, key);
    }
    if (getter && strcmp(in->task->set->environment, "web_ui") != 0 && json_object_size(args) > 0) {
        json_t *plain = json_deep_copy(args);
        bool glob = false;
        json_object_foreach(plain, key, v) glob =
            glob || (json_is_string(v) && strchr(json_string_value(v), '*') != NULL);
        if (!glob && acknowledges(in, tool, plain))
            tell(c, false, "'%s' acknowledges and gives no data%s", tool, "");
        json_decref(plain);
    }
}

static bool all_known(const checker *c, const json_t *v)
{
    const char *missing;

    return json_is_boolean(v) || json_is_null(v) || known_value(c, v, &missing);
}

/* A look-up that must be made although the prompt states what it would tell.  Asked while only the
 * prompt is known. */
static void ceremony(checker *c, const auk_agent_instance *in, const json_t *e)
{
    json_t *world = json_object_get(in->spec, "world_state"), *v, *member;
    const char *tool = json_string_value(json_object_get(e, "name")), *key, *field;
    bool decoy;
    const json_t *t = auk_agent_tool(in, tool != NULL ? tool : "", &decoy);

    if (t == NULL || json_is_false(json_object_get(t, "returns_entity")))
        return;
    json_object_foreach(json_object_get(e, "args"), key, v)
    {
        const json_t *entity =
            json_is_string(v) ? json_object_get(world, json_string_value(v)) : NULL;
        bool told = json_object_size(entity) > 0;
        json_object_foreach((json_t *)entity, field, member) told = told && all_known(c, member);
        if (told)
            tell(c, false, "'%s' is required although the prompt states what it tells of '%s'",
                 tool, json_string_value(v));
    }
}

/* An argument that happens to be a word of the world's own returns what is meant to be worked
 * out. */
static void leak_v2(checker *c, const auk_agent_instance *in)
{
    json_t *world = json_object_get(in->spec, "world_state"), *v, *value;
    const json_t *expected = json_object_get(in->spec, "expected_calls");
    const char *key, *arg;

    if (strcmp(in->task->set->environment, "entity") != 0)
        return;
    json_object_foreach(world, key, v)
    {
        bool looked_up = false, answer = false;
        auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
        if (reserved(key))
            continue;
        auk_json_print(&b, v, (auk_json_style){0});
        for (size_t i = 0; i < json_array_size(expected); i++) {
            const json_t *e = json_array_get(expected, i);
            bool decoy;
            const char *tool = json_string_value(json_object_get(e, "name"));
            const json_t *t = auk_agent_tool(in, tool != NULL ? tool : "", &decoy);
            bool getter = !json_is_false(json_object_get(t, "returns_entity"));
            json_object_foreach(json_object_get(e, "args"), arg, value)
            {
                const char *s = json_string_value(value);
                looked_up = looked_up || (getter && s != NULL && strcmp(s, key) == 0);
                answer = answer ||
                         (!getter && s != NULL && s[0] != 0 && json_object_get(world, s) == NULL &&
                          auk_glob(auk_str_of(s), auk_buf_str(&b)));
            }
        }
        auk_buf_release(&b);
        bool word = strpbrk(key, "0123456789") == NULL;
        if (!looked_up && (answer || (word && strstr("|outcome|rules|protocol|policy|note|", key))))
            tell(c, true,
                 "leaks: any call with the argument '%s' returns what has to be worked "
                 "out%s",
                 key, "");
    }
}

static void check_v2(checker *c, const auk_agent_task *t, auk_err *err)
{
    auk_agent_run_options o = {.seed = 1, .model_name = "check"};
    auk_agent_instance in;

    if (auk_agent_instance_make(&in, t, &o, err) < 0) {
        tell(c, true, "it cannot be played: %.200s%s", err->msg, "");
        return;
    }
    const json_t *expected = json_object_get(in.spec, "expected_calls");
    learn_start(c, &in);
    for (size_t i = 0; i < json_array_size(expected); i++)
        ceremony(c, &in, json_array_get(expected, i));
    explore(c, &in);
    for (size_t i = 0; i < json_array_size(expected); i++)
        check_expected(c, &in, json_array_get(expected, i));
    leak_v2(c, &in);
    if (json_array_size(json_object_get(in.spec, "mocks")) > 0)
        tell(c, false, "has mocks: some programs ignore them for this environment%s%s", "", "");
    if (!t->set->generated)
        tell(c, false, "nothing varies: repetitions show the noise floor, not reliability%s%s", "",
             "");
    auk_agent_instance_release(&in);
}

/* ---- all ----------------------------------------------------------------------------------- */

int auk_agent_check(size_t *rejected, const auk_agent_set *s, auk_agent_found_fn *found, void *ctx,
                    auk_err *err)
{
    checker c = {.set = s, .found = found, .ctx = ctx, .known = AUK_BUF_INIT(AUK_MAX_TEXT)};

    for (size_t i = 0; i < s->n; i++) {
        c.task = s->tasks[i].id;
        c.bad = false;
        if (s->v2)
            check_v2(&c, &s->tasks[i], err);
        else
            check_ours(&c, &s->tasks[i], err);
        c.rejected += c.bad;
    }
    auk_buf_release(&c.known);
    *rejected = c.rejected;
    return AUK_OK;
}

int auk_agent_axes_of(auk_agent_axes *out, const auk_agent_task *t, auk_err *err)
{
    auk_agent_run_options o = {.seed = 1};
    auk_agent_instance in;
    json_t *steps = NULL, *v;
    const char *key;
    auk_str prompt;

    *out = (auk_agent_axes){0};
    int rc = auk_agent_instance_make(&in, t, &o, err);
    if (rc < 0)
        return rc;
    rc = auk_agent_solution(&steps, t, &o, err);
    prompt = auk_str_of(in.prompt);
    for (size_t i = 0; rc == AUK_OK && i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        out->steps += json_object_get(step, "tool") != NULL;
        json_object_foreach(json_object_get(step, "args"), key, v)
        {
            bool decoy;
            const char *tool = json_string_value(json_object_get(step, "tool"));
            const json_t *p =
                json_object_get(json_object_get(auk_agent_tool(&in, tool, &decoy), "params"), key);
            if (json_is_true(json_object_get(p, "free")))
                continue;
            auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
            if (json_is_string(v))
                auk_buf_puts(&b, json_string_value(v));
            else
                auk_json_print(&b, v, (auk_json_style){0});
            out->hidden +=
                memchr(auk_buf_str(&b).p, '*', b.n) == NULL && !auk_glob(auk_buf_str(&b), prompt);
            auk_buf_release(&b);
        }
    }
    json_decref(steps);
    const json_t *goal = json_object_get(in.spec, "goal");
    bool v2 = t->set->v2;
    out->decoys = (int)json_array_size(json_object_get(in.spec, v2 ? "decoy_tools" : "decoys"));
    out->constraints = v2 ? (int)json_array_size(json_object_get(in.spec, "must_not_call"))
                          : (int)(json_array_size(json_object_get(goal, "never")) +
                                  json_array_size(json_object_get(goal, "once")) +
                                  json_array_size(json_object_get(goal, "before")));
    out->faults = (int)json_array_size(json_object_get(in.spec, "faults"));
    auk_agent_instance_release(&in);
    return rc;
}
