/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that solve a task: written down in ours, made from what is expected in v2's. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"

#include <stdlib.h>

/* A text that a glob accepts: its pieces, with blanks between. */
static json_t *concrete(const json_t *want)
{
    const char *key;
    const json_t *v;
    json_t *out;

    if (json_is_string(want) && strchr(json_string_value(want), '*') != NULL) {
        auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
        for (const char *c = json_string_value(want); *c != 0; c++)
            if (*c != '*')
                auk_buf_putc(&b, *c);
            else if (b.n > 0 && c[1] != 0)
                auk_buf_putc(&b, ' ');
        if (b.n == 0)
            auk_buf_puts(&b, "something");
        out = json_stringn(auk_buf_str(&b).p, b.n);
        auk_buf_release(&b);
        return out;
    }
    if (json_is_object(want)) {
        out = json_object();
        json_object_foreach((json_t *)want, key, v) json_object_set_new(out, key, concrete(v));
        return out;
    }
    return json_deep_copy(want);
}

static const char *tool_like(const json_t *tools, const char *const *names)
{
    for (; *names != NULL; names++)
        for (size_t i = 0; i < json_array_size(tools); i++) {
            const char *own = json_string_value(json_object_get(json_array_get(tools, i), "name"));
            if (own != NULL && strcmp(own, *names) == 0)
                return own;
        }
    return NULL;
}

static const char *param_like(const json_t *tools, const char *tool, bool value)
{
    const char *key;
    json_t *p;

    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *t = json_array_get(tools, i);
        const char *own = json_string_value(json_object_get(t, "name"));
        if (own == NULL || strcmp(own, tool) != 0)
            continue;
        json_object_foreach(json_object_get(t, "params"), key,
                            p) if ((strcmp(key, "value") == 0 || strcmp(key, "text") == 0) ==
                                   value) return key;
    }
    return value ? "value" : "name";
}

/* Steps from the page as it is to the page as wanted. */
static void page_steps(json_t *steps, const json_t *spec)
{
    static const char *const fills[] = {"fill", "set_field", "type", "enter", NULL};
    static const char *const toggles[] = {"toggle", "check", "switch", NULL};
    static const char *const go[] = {"navigate", "goto", "go_to", "open", NULL};
    static const char *const submits[] = {"submit", "confirm", "save", NULL};
    static const char *const clicks[] = {"click", "press", "tap", NULL};
    const json_t *tools = json_object_get(spec, "tools"),
                 *now = json_object_get(spec, "world_state");
    json_t *target = json_object_get(spec, "target_state"), *v;
    const char *key, *tool;

    if (json_object_get(target, "route") != NULL && (tool = tool_like(tools, go)) != NULL)
        json_array_append_new(steps, json_pack("{s:s, s:{s:O}}", "tool", tool, "args",
                                               param_like(tools, tool, false),
                                               json_object_get(target, "route")));
    json_object_foreach(json_object_get(target, "fields"), key,
                        v) if ((tool = tool_like(tools, fills)) != NULL)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s, s:O}}", "tool", tool, "args",
                                               param_like(tools, tool, false), key,
                                               param_like(tools, tool, true), v));
    json_object_foreach(
        json_object_get(target, "toggles"), key,
        v) if (!json_equal(v, json_object_get(json_object_get(now, "toggles"), key)) &&
               (tool = tool_like(tools, toggles)) != NULL)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}}", "tool", tool, "args",
                                               param_like(tools, tool, false), key));
    if (json_is_true(json_object_get(target, "submitted"))) {
        if ((tool = tool_like(tools, submits)) != NULL)
            json_array_append_new(steps, json_pack("{s:s, s:{}}", "tool", tool, "args"));
        else if ((tool = tool_like(tools, clicks)) != NULL)
            json_array_append_new(steps, json_pack("{s:s, s:{s:s}}", "tool", tool, "args",
                                                   param_like(tools, tool, false), "submit"));
    }
}

int auk_agent_solution(json_t **steps, const auk_agent_task *t, const auk_agent_run_options *opts,
                       auk_err *err)
{
    auk_agent_instance in;

    *steps = NULL;
    int rc = auk_agent_instance_make(&in, t, opts, err);
    if (rc < 0)
        return rc;
    if (!t->set->v2) {
        *steps = json_deep_copy(json_object_get(in.spec, "solution"));
    } else {
        const json_t *expected = json_object_get(in.spec, "expected_calls");
        const json_t *target = json_object_get(in.spec, "target_state");
        *steps = json_array();
        if (json_is_object(target))
            page_steps(*steps, in.spec);
        else
            for (size_t i = 0; i < json_array_size(expected); i++) {
                const json_t *e = json_array_get(expected, i), *args = json_object_get(e, "args");
                json_array_append_new(
                    *steps, json_pack("{s:O, s:o}", "tool", json_object_get(e, "name"), "args",
                                      args != NULL ? concrete(args) : json_object()));
            }
        if (json_array_size(*steps) == 0)
            json_array_append_new(*steps, json_pack("{s:s}", "answer", "No tool is needed here."));
    }
    auk_agent_instance_release(&in);
    return AUK_OK;
}
