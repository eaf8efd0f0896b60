/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a world is as the task wants it.  What the goal does not speak of must be as it was. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"

#include <stdlib.h>

static const json_t *goal_of(const auk_world *w)
{
    return json_object_get(w->in->spec, "goal");
}

static bool fail(char *why, size_t n, const char *what, const char *a, const char *b)
{
    if (n > 0)
        snprintf(why, n, "%s: %s%s%s", what, a, b[0] != 0 ? "." : "", b);
    return false;
}

/* ---- calls --------------------------------------------------------------------------------- */

static const char *call_name(const json_t *v)
{
    const json_t *name = json_is_string(v)                    ? v
                         : json_object_get(v, "tool") != NULL ? json_object_get(v, "tool")
                                                              : json_object_get(v, "name");

    return json_is_string(name) ? json_string_value(name) : "";
}

bool auk_world_forbids(const auk_agent_instance *in, const char *tool, const json_t *args)
{
    const json_t *list = in->task->set->v2
                             ? json_object_get(in->spec, "must_not_call")
                             : json_object_get(json_object_get(in->spec, "goal"), "never");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        const json_t *want = json_is_object(v) ? json_object_get(v, "args") : NULL;
        if (strcmp(call_name(v), tool) == 0 && (want == NULL || auk_value_matches(want, args)))
            return true;
    }
    return false;
}

static int calls_of(const auk_world *w, const char *tool, size_t until)
{
    int n = 0;

    for (size_t i = 0; i < until && i < json_array_size(w->log); i++) {
        const json_t *c = json_array_get(w->log, i);
        n += json_is_true(json_object_get(c, "ok")) && strcmp(call_name(c), tool) == 0;
    }
    return n;
}

/* "once" and "before" over the calls that worked. */
static bool calls_in_order(const auk_world *w, char *why, size_t n)
{
    const json_t *once = json_object_get(goal_of(w), "once");
    const json_t *before = json_object_get(goal_of(w), "before");

    for (size_t i = 0; i < json_array_size(once); i++)
        if (calls_of(w, call_name(json_array_get(once, i)), SIZE_MAX) > 1)
            return fail(why, n, "called more than once", call_name(json_array_get(once, i)), "");
    for (size_t i = 0; i < json_array_size(before); i++) {
        const char *first = call_name(json_array_get(json_array_get(before, i), 0));
        const char *then = call_name(json_array_get(json_array_get(before, i), 1));
        for (size_t k = 0; k < json_array_size(w->log); k++) {
            const json_t *c = json_array_get(w->log, k);
            if (json_is_true(json_object_get(c, "ok")) && strcmp(call_name(c), then) == 0 &&
                calls_of(w, first, k) == 0)
                return fail(why, n, "called too early", then, "");
        }
    }
    return true;
}

/* ---- tables -------------------------------------------------------------------------------- */

static bool ignored(const auk_world *w, const char *name)
{
    const json_t *list = json_object_get(goal_of(w), "ignore");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
            return true;
    return false;
}

static bool is_added(const auk_world *w, const char *table, const char *id)
{
    const json_t *list = json_object_get(json_object_get(w->state, "added"), table);

    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), id) == 0)
            return true;
    return false;
}

static bool row_right(const json_t *start, const json_t *now, const json_t *want, const char *id,
                      char *why, size_t n)
{
    const char *key;
    const json_t *v;

    if (json_is_null(want))
        return now == NULL || fail(why, n, "should be gone", id, "");
    if (now == NULL)
        return fail(why, n, "is gone", id, "");
    json_object_foreach(
        (json_t *)want, key,
        v) if (!auk_value_matches(v, json_object_get(now, key))) return fail(why, n,
                                                                             "not as it should be",
                                                                             id, key);
    json_object_foreach(
        (json_t *)now, key,
        v) if (json_object_get(want, key) == NULL &&
               !auk_value_equal(v, json_object_get(start, key) != NULL
                                       ? json_object_get(start, key)
                                       : json_null())) return fail(why, n, "was changed", id, key);
    return true;
}

/* Each new row is one of the wanted, each of the wanted is there. */
static bool added_right(const auk_world *w, const char *table, char *why, size_t n)
{
    const json_t *want = json_object_get(json_object_get(goal_of(w), "added"), table);
    const json_t *ids = json_object_get(json_object_get(w->state, "added"), table);
    const json_t *rows = json_object_get(json_object_get(w->state, "tables"), table);
    size_t wanted = json_array_size(want), have = 0;
    bool used[256] = {false};

    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *row = json_object_get(rows, json_string_value(json_array_get(ids, i)));
        size_t k = 0;
        if (row == NULL)
            continue;
        while (k < wanted && k < 256 &&
               (used[k] || !auk_value_matches(json_array_get(want, k), row)))
            k++;
        if (k == wanted || k == 256)
            return fail(why, n, "added and not wanted", json_string_value(json_array_get(ids, i)),
                        "");
        used[k] = true;
        have++;
    }
    return have == wanted || fail(why, n, "not added", table, "");
}

static bool tables_right(const auk_world *w, char *why, size_t n)
{
    json_t *start = json_object_get(w->start, "tables"), *now = json_object_get(w->state, "tables");
    const json_t *goal = json_object_get(goal_of(w), "tables"), *want;
    const char *name, *id;
    json_t *rows, *row;

    json_object_foreach(now, name, rows)
    {
        const json_t *before = json_object_get(start, name);
        if (ignored(w, name))
            continue;
        json_object_foreach((json_t *)before, id,
                            row) if (!row_right(row, json_object_get(rows, id),
                                                json_object_get(json_object_get(goal, name), id),
                                                id, why, n)) return false;
        json_object_foreach(rows, id, row) if (json_object_get(before, id) == NULL &&
                                               !is_added(w, name, id)) return fail(why, n, "is new",
                                                                                   id, "");
        if (!added_right(w, name, why, n))
            return false;
    }
    json_object_foreach((json_t *)json_object_get(goal_of(w), "added"), name,
                        want) if (json_object_get(now, name) ==
                                  NULL) return fail(why, n, "not added", name, "");
    return true;
}

/* ---- texts --------------------------------------------------------------------------------- */

static bool text_right(const json_t *want, auk_str text, const char *what, char *why, size_t n)
{
    const json_t *has = json_object_get(want, "has"), *lacks = json_object_get(want, "lacks");

    for (size_t i = 0; i < json_array_size(has); i++)
        if (!auk_glob(auk_json_str(json_array_get(has, i)), text))
            return fail(why, n, what, "lacks ", json_string_value(json_array_get(has, i)));
    for (size_t i = 0; i < json_array_size(lacks); i++)
        if (auk_glob(auk_json_str(json_array_get(lacks, i)), text))
            return fail(why, n, what, "has ", json_string_value(json_array_get(lacks, i)));
    return true;
}

static bool files_right(const auk_world *w, char *why, size_t n)
{
    json_t *start = json_object_get(w->start, "files"), *now = json_object_get(w->state, "files");
    json_t *goal = json_object_get(goal_of(w), "files"), *v;
    const char *path;

    json_object_foreach(goal, path, v)
    {
        const json_t *text = json_object_get(now, path);
        if (json_is_null(v) ? text != NULL : text == NULL)
            return fail(why, n, json_is_null(v) ? "should be gone" : "is not there", path, "");
        if (text != NULL && !text_right(v, auk_json_str(text), path, why, n))
            return false;
    }
    json_object_foreach(
        now, path, v) if (json_object_get(goal, path) == NULL &&
                          (json_object_get(start, path) == NULL ||
                           !json_equal(v, json_object_get(start, path)))) return fail(why, n,
                                                                                      "was changed",
                                                                                      path, "");
    json_object_foreach(start, path, v) if (json_object_get(goal, path) == NULL &&
                                            json_object_get(now, path) ==
                                                NULL) return fail(why, n, "is gone", path, "");
    return true;
}

/* The report is what was said last. */
static bool said_right(const auk_world *w, char *why, size_t n)
{
    const json_t *want = json_object_get(goal_of(w), "say"),
                 *said = json_object_get(w->state, "said");
    size_t last = json_array_size(said);

    if (want == NULL)
        return true;
    if (last == 0)
        return fail(why, n, "the report", "was not made", "");
    return text_right(want, auk_json_str(json_array_get(said, last - 1)), "the report", why, n);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool ui_or_calls_right(const auk_world *w, char *why, size_t n)
{
    const json_t *target = json_object_get(w->in->spec, "target_state");
    const json_t *expected = json_object_get(w->in->spec, "expected_calls");
    char key[32];

    if (target != NULL && !json_is_null(target))
        return auk_value_matches(target, w->state) ||
               fail(why, n, "the page", "is not as wanted", "");
    for (size_t i = 0; i < json_array_size(expected); i++) {
        snprintf(key, sizeof key, "%zu", i);
        if (json_object_get(w->met, key) == NULL)
            return fail(why, n, "not done", call_name(json_array_get(expected, i)), "");
    }
    return true;
}

bool auk_world_done(const auk_world *w, auk_str text, char *why, size_t n)
{
    const json_t *answer = json_object_get(goal_of(w), "answer");

    if (n > 0)
        why[0] = 0;
    if (w->in->task->set->v2)
        return ui_or_calls_right(w, why, n);
    if (!tables_right(w, why, n) || !files_right(w, why, n) || !said_right(w, why, n) ||
        !calls_in_order(w, why, n))
        return false;
    if (answer == NULL)
        return true;
    if (text.p == NULL)
        return fail(why, n, "the answer", "was not given", "");
    return text_right(answer, text, "the answer", why, n);
}

bool auk_world_in_prose(const auk_world *w, auk_str text)
{
    char key[32];

    if (!w->in->task->set->v2) {
        const json_t *want = json_object_get(goal_of(w), "say");
        if (want == NULL || json_array_size(json_object_get(w->state, "said")) > 0)
            return false;
        return tables_right(w, NULL, 0) && files_right(w, NULL, 0) &&
               text_right(want, text, "", NULL, 0);
    }
    const json_t *expected = json_object_get(w->in->spec, "expected_calls"), *left = NULL;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        snprintf(key, sizeof key, "%zu", i);
        if (json_object_get(w->met, key) != NULL)
            continue;
        if (left != NULL)
            return false;
        left = json_array_get(expected, i);
    }
    const json_t *wanted = json_object_get(json_object_get(left, "args"), "text");
    return json_is_string(wanted) && auk_glob(auk_json_str(wanted), text);
}
