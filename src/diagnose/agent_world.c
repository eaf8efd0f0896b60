/* SPDX-License-Identifier: Apache-2.0 */
/* The world of a task: tables of rows and a tree of files, changed only through the task's tools.
 * What a tool does stands in its "does"; docs/agent.md lists the verbs. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"
#include "base/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

void auk_world_open(auk_world *w, const auk_agent_instance *in)
{
    const json_t *world = json_object_get(in->spec, in->task->set->v2 ? "world_state" : "world");

    *w = (auk_world){.in = in};
    w->state = world != NULL ? json_deep_copy(world) : json_object();
    if (!in->task->set->v2) {
        static const char *const parts[] = {"tables", "files", "added"};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            if (json_object_get(w->state, parts[i]) == NULL)
                json_object_set_new(w->state, parts[i], json_object());
        json_object_set_new(w->state, "said", json_array());
    }
    w->start = json_deep_copy(w->state);
    w->faults = json_object();
    w->log = json_array();
    w->met = json_object();
}

void auk_world_close(auk_world *w)
{
    json_decref(w->state);
    json_decref(w->start);
    json_decref(w->faults);
    json_decref(w->log);
    json_decref(w->met);
    *w = (auk_world){0};
}

/* ---- small things -------------------------------------------------------------------------- */

void auk_path_clean(char *out, size_t n, const char *path)
{
    size_t used = 0;

    while (path[0] == '/' || (path[0] == '.' && (path[1] == '/' || path[1] == 0)))
        path++;
    for (; *path != 0 && used + 1 < n; path++)
        if (!(*path == '/' && (path[1] == '/' || path[1] == 0)))
            out[used++] = *path;
    out[used] = 0;
}

static const char *text_arg(const json_t *args, const json_t *param)
{
    const json_t *v =
        json_is_string(param) ? json_object_get(args, json_string_value(param)) : NULL;

    return json_is_string(v) ? json_string_value(v) : "";
}

static void id_add(auk_buf *out, const json_t *v)
{
    if (json_is_string(v))
        auk_buf_puts(out, json_string_value(v));
    else if (v != NULL)
        auk_json_print(out, v, (auk_json_style){0});
}

/* The row's name: one argument, or several joined with '/'. */
static char *row_id(const json_t *args, const json_t *param)
{
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (json_is_array(param))
        for (size_t i = 0; i < json_array_size(param); i++) {
            auk_buf_puts(&b, i > 0 ? "/" : "");
            id_add(&b, json_object_get(args, json_string_value(json_array_get(param, i))));
        }
    else if (json_is_string(param))
        id_add(&b, json_object_get(args, json_string_value(param)));
    char *out = auk_strndup(auk_buf_str(&b).p, auk_buf_str(&b).n);
    auk_buf_release(&b);
    return out;
}

/* "$x" is the argument x. */
static json_t *value_of(const json_t *v, const json_t *args)
{
    auk_str s = auk_json_str(v);

    if (s.n > 1 && s.p[0] == '$') {
        const json_t *arg = json_object_get(args, s.p + 1);
        return arg != NULL ? json_deep_copy(arg) : json_null();
    }
    return json_deep_copy(v);
}

static void say(auk_buf *out, json_t *v)
{
    auk_json_print(out, v, (auk_json_style){0});
    json_decref(v);
}

static bool refuse(auk_buf *out, const char *why)
{
    say(out, json_pack("{s:s}", "error", why));
    return true;
}

static json_t *table(const auk_world *w, const json_t *name)
{
    return json_object_get(json_object_get(w->state, "tables"), json_string_value(name));
}

static json_t *project(const json_t *row, const json_t *fields)
{
    json_t *out = json_object();

    for (size_t i = 0; i < json_array_size(fields); i++) {
        const char *key = json_string_value(json_array_get(fields, i));
        json_t *v = json_object_get(row, key);
        if (v != NULL)
            json_object_set_new(out, key, json_deep_copy(v));
    }
    return out;
}

/* Every condition {"table", "id", "is"} or {"file", "has", "lacks"}; the first that does not hold.
 */
static const json_t *unmet(const auk_world *w, const json_t *conditions, const json_t *args)
{
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *c = json_array_get(conditions, i);
        bool holds = true;
        if (json_object_get(c, "table") != NULL) {
            json_t *id = value_of(json_object_get(c, "id"), args);
            auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
            id_add(&b, id);
            const json_t *row =
                json_object_get(table(w, json_object_get(c, "table")), auk_buf_str(&b).p);
            const char *key;
            const json_t *v;
            holds = row != NULL;
            json_object_foreach(json_object_get(c, "is"), key, v)
            {
                json_t *want = value_of(v, args);
                const json_t *have = json_object_get(row, key);
                bool any = false;
                if (json_is_array(want)) /* one of these */
                    for (size_t k = 0; k < json_array_size(want); k++)
                        any = any || auk_value_matches(json_array_get(want, k), have);
                else
                    any = auk_value_matches(want, have);
                holds = holds && any;
                json_decref(want);
            }
            auk_buf_release(&b);
            json_decref(id);
        } else {
            char path[512];
            auk_path_clean(path, sizeof path, json_string_value(json_object_get(c, "file")));
            auk_str text = auk_json_str(json_object_get(json_object_get(w->state, "files"), path));
            const json_t *has = json_object_get(c, "has"), *lacks = json_object_get(c, "lacks");
            holds = text.p != NULL;
            for (size_t k = 0; holds && k < json_array_size(has); k++)
                holds = auk_glob(auk_json_str(json_array_get(has, k)), text);
            for (size_t k = 0; holds && k < json_array_size(lacks); k++)
                holds = !auk_glob(auk_json_str(json_array_get(lacks, k)), text);
        }
        if (!holds)
            return c;
    }
    return NULL;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static bool do_get(auk_buf *out, auk_world *w, const json_t *does, const json_t *args)
{
    char *id = row_id(args, json_object_get(does, "id"));
    const json_t *row = json_object_get(table(w, json_object_get(does, "get")), id);

    if (row == NULL)
        say(out, json_pack("{s:s, s:s}", "error", "not found", "id", id));
    else
        say(out, project(row, json_object_get(does, "fields")));
    free(id);
    return row == NULL;
}

static bool do_list(auk_buf *out, auk_world *w, const json_t *does, const json_t *args)
{
    const json_t *where = json_object_get(does, "where"), *v,
                 *fields = json_object_get(does, "fields");
    json_t *rows = table(w, json_object_get(does, "list")), *list = json_array(), *row;
    const char *id, *key;

    json_object_foreach(rows, id, row)
    {
        bool match = true;
        json_object_foreach((json_t *)where, key, v)
        {
            const json_t *arg = json_object_get(args, json_string_value(v));
            const json_t *have = json_object_get(row, key);
            if (arg == NULL)
                continue;
            match = match && (json_is_string(arg) && json_is_string(have)
                                  ? json_string_length(arg) == json_string_length(have) &&
                                        auk_glob(auk_json_str(arg), auk_json_str(have))
                                  : auk_value_equal(arg, have));
        }
        if (!match)
            continue;
        json_t *item = json_object();
        json_object_set_new(item, "id", json_string(id));
        json_t *rest = project(row, fields);
        json_object_update(item, rest);
        json_decref(rest);
        json_array_append_new(list, item);
    }
    say(out, list);
    return false;
}

static void put_values(json_t *row, const json_t *values, const json_t *args)
{
    const char *key;
    const json_t *v;

    json_object_foreach((json_t *)values, key, v) json_object_set_new(row, key, value_of(v, args));
}

static bool do_set(auk_buf *out, auk_world *w, const json_t *does, const json_t *args)
{
    char *id = row_id(args, json_object_get(does, "id"));
    json_t *row = json_object_get(table(w, json_object_get(does, "set")), id);

    if (row == NULL)
        say(out, json_pack("{s:s, s:s}", "error", "not found", "id", id));
    else {
        put_values(row, json_object_get(does, "values"), args);
        say(out, json_pack("{s:b}", "ok", 1));
    }
    free(id);
    return row == NULL;
}

static bool do_add(auk_buf *out, auk_world *w, const json_t *does, const json_t *args)
{
    const json_t *name = json_object_get(does, "add");
    json_t *rows = table(w, name), *row = json_object();
    json_t *added = json_object_get(w->state, "added");
    char id[128];

    if (rows == NULL) {
        rows = json_object();
        json_object_set_new(json_object_get(w->state, "tables"), json_string_value(name), rows);
    }
    json_t *mine = json_object_get(added, json_string_value(name));
    if (mine == NULL) {
        mine = json_array();
        json_object_set_new(added, json_string_value(name), mine);
    }
    snprintf(id, sizeof id, "%s-%zu", json_string_value(name), json_array_size(mine) + 1);
    put_values(row, json_object_get(does, "values"), args);
    json_object_set_new(rows, id, row);
    json_array_append_new(mine, json_string(id));
    say(out, json_pack("{s:b, s:s}", "ok", 1, "id", id));
    return false;
}

static bool do_drop(auk_buf *out, auk_world *w, const json_t *does, const json_t *args)
{
    char *id = row_id(args, json_object_get(does, "id"));
    bool gone = json_object_del(table(w, json_object_get(does, "drop")), id) < 0;

    say(out, gone ? json_pack("{s:s, s:s}", "error", "not found", "id", id)
                  : json_pack("{s:b}", "ok", 1));
    free(id);
    return gone;
}

/* ---- files --------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **auk_sorted_keys(const json_t *o, size_t *n)
{
    const char **list = auk_alloc((json_object_size(o) + 1) * sizeof *list), *key;
    const json_t *v;

    *n = 0;
    json_object_foreach((json_t *)o, key, v) list[(*n)++] = key;
    qsort(list, *n, sizeof *list, by_text);
    return list;
}

static void list_files(auk_buf *out, const json_t *files, const char *dir)
{
    size_t n, length = strlen(dir);
    const char **paths = auk_sorted_keys(files, &n);
    json_t *list = json_array();
    char entry[512], last[512] = "";

    for (size_t i = 0; i < n; i++) {
        if (length > 0 && (strncmp(paths[i], dir, length) != 0 || paths[i][length] != '/'))
            continue;
        const char *rest = paths[i] + (length > 0 ? length + 1 : 0);
        const char *slash = strchr(rest, '/');
        snprintf(entry, sizeof entry, "%.*s%s",
                 (int)(slash != NULL ? (size_t)(slash - paths[i]) : strlen(paths[i])), paths[i],
                 slash != NULL ? "/" : "");
        if (strcmp(entry, last) != 0)
            json_array_append_new(list, json_string(entry));
        snprintf(last, sizeof last, "%s", entry);
    }
    free(paths);
    say(out, list);
}

void auk_files_search(auk_buf *out, const json_t *files, const char *what)
{
    size_t n;
    const char **paths = auk_sorted_keys(files, &n);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        const char *line = json_string_value(json_object_get(files, paths[i]));
        for (int number = 1; line != NULL && *line != 0; number++) {
            size_t length = strcspn(line, "\n");
            if (what[0] != 0 && strchr(what, '*') == NULL &&
                auk_glob(auk_str_of(what), (auk_str){line, length})) {
                auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
                auk_buf_printf(&b, "%s:%d: ", paths[i], number);
                auk_buf_add(&b, line, length);
                json_array_append_new(list, json_stringn(auk_buf_str(&b).p, b.n));
                auk_buf_release(&b);
            }
            line += length + (line[length] == '\n');
        }
    }
    free(paths);
    say(out, list);
}

/* The one place `old` stands at; NULL and a reason when it is none or more. */
static const char *single(const char *text, const char *old, const char **why)
{
    const char *at = old[0] != 0 ? strstr(text, old) : NULL;

    *why = at == NULL                    ? "the old text is not in the file"
           : strstr(at + 1, old) != NULL ? "the old text is in the file more than once"
                                         : NULL;
    return *why == NULL ? at : NULL;
}

static bool do_file(auk_buf *out, auk_world *w, const json_t *does, const json_t *args)
{
    json_t *files = json_object_get(w->state, "files");
    const char *verb = json_string_value(json_object_get(does, "file")), *why;
    char path[512];

    auk_path_clean(path, sizeof path, text_arg(args, json_object_get(does, "path")));
    const char *text = json_string_value(json_object_get(files, path));
    if (strcmp(verb, "list") == 0) {
        list_files(out, files, path);
        return false;
    }
    if (strcmp(verb, "search") == 0) {
        auk_files_search(out, files, text_arg(args, json_object_get(does, "text")));
        return false;
    }
    if (strcmp(verb, "write") == 0) {
        if (path[0] == 0)
            return refuse(out, "no path");
        json_object_set_new(files, path,
                            json_string(text_arg(args, json_object_get(does, "text"))));
        say(out, json_pack("{s:b}", "ok", 1));
        return false;
    }
    if (text == NULL) {
        say(out, json_pack("{s:s, s:s}", "error", "not found", "path", path));
        return true;
    }
    if (strcmp(verb, "read") == 0) {
        auk_buf_puts(out, text);
        return false;
    }
    if (strcmp(verb, "delete") == 0) {
        json_object_del(files, path);
    } else { /* replace */
        const char *old = text_arg(args, json_object_get(does, "old"));
        const char *at = single(text, old, &why);
        if (at == NULL)
            return refuse(out, why);
        auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
        auk_buf_add(&b, text, (size_t)(at - text));
        auk_buf_puts(&b, text_arg(args, json_object_get(does, "new")));
        auk_buf_puts(&b, at + strlen(old));
        json_object_set_new(files, path, json_stringn(auk_buf_str(&b).p, b.n));
        auk_buf_release(&b);
    }
    say(out, json_pack("{s:b}", "ok", 1));
    return false;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static bool do_calc(auk_buf *out, const json_t *does, const json_t *args)
{
    double v;

    if (!auk_calculate(&v, auk_str_of(text_arg(args, json_object_get(does, "calc")))))
        return refuse(out, "not an arithmetic expression: numbers, + - * / ^ and parentheses");
    v = fabs(v) < 1e15 ? round(v * 1e6) / 1e6 : v;
    json_t *n = v == floor(v) && fabs(v) < 9e15 ? json_integer((json_int_t)v) : json_real(v);
    say(out, json_pack("{s:o}", "result", n));
    return false;
}

static bool do_check(auk_buf *out, auk_world *w, const json_t *does, const json_t *args)
{
    const json_t *failed = unmet(w, json_object_get(does, "check"), args);

    say(out, json_pack("{s:b, s:s}", "passed", failed == NULL, "output",
                       json_string_value(failed != NULL ? json_object_get(failed, "fail")
                                                        : json_object_get(does, "ok"))));
    return false;
}

/* Tells whether a fault is due, and counts the attempt. */
static bool fault(auk_buf *out, auk_world *w, const char *tool, const json_t *args)
{
    const json_t *list = json_object_get(w->in->spec, "faults");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        const json_t *on = json_object_get(f, w->in->task->set->v2 ? "on_call" : "tool");
        const char *name = json_is_object(on) ? json_string_value(json_object_get(on, "name"))
                                              : json_string_value(on);
        char key[32];
        if (name == NULL || strcmp(name, tool) != 0)
            continue;
        if (json_is_object(on) && !auk_args_match(json_object_get(on, "args"), args))
            continue;
        snprintf(key, sizeof key, "%zu", i);
        json_int_t had = json_integer_value(json_object_get(w->faults, key));
        json_object_set_new(w->faults, key, json_integer(had + 1));
        json_int_t status =
            json_integer_value(json_object_get(f, w->in->task->set->v2 ? "status_code" : "status"));
        const json_t *times = json_object_get(f, w->in->task->set->v2 ? "clears_after" : "times");
        const json_t *type = json_object_get(f, "type");
        bool forever = json_is_string(type) && strcmp(json_string_value(type), "persistent") == 0;
        if (forever || had < json_integer_value(times)) {
            auk_buf_printf(out, "HTTP %d %s", (int)status,
                           forever ? "Fatal" : "Service Unavailable");
            return true;
        }
    }
    return false;
}

static bool act(auk_buf *out, auk_world *w, const json_t *tool, const json_t *args)
{
    const json_t *does = json_object_get(tool, "does");
    const json_t *failed = unmet(w, json_object_get(does, "needs"), args);

    if (failed != NULL)
        return refuse(out, json_string_value(json_object_get(failed, "else")));
    if (json_object_get(does, "get") != NULL)
        return do_get(out, w, does, args);
    if (json_object_get(does, "list") != NULL)
        return do_list(out, w, does, args);
    if (json_object_get(does, "set") != NULL)
        return do_set(out, w, does, args);
    if (json_object_get(does, "add") != NULL)
        return do_add(out, w, does, args);
    if (json_object_get(does, "drop") != NULL)
        return do_drop(out, w, does, args);
    if (json_object_get(does, "file") != NULL)
        return do_file(out, w, does, args);
    if (json_object_get(does, "calc") != NULL)
        return do_calc(out, does, args);
    if (json_object_get(does, "check") != NULL)
        return do_check(out, w, does, args);
    if (json_object_get(does, "say") != NULL) {
        json_array_append_new(json_object_get(w->state, "said"),
                              json_string(text_arg(args, json_object_get(does, "say"))));
        say(out, json_pack("{s:b}", "ok", 1));
        return false;
    }
    return refuse(out, "this tool is not available here");
}

bool auk_world_call(auk_buf *out, auk_world *w, const char *tool, const json_t *args)
{
    bool decoy, failed = true;
    const json_t *t = auk_agent_tool(w->in, tool, &decoy);

    if (!fault(out, w, tool, args))
        failed =
            w->in->task->set->v2 ? auk_world_v2_call(out, w, tool, args) : act(out, w, t, args);
    json_array_append_new(w->log,
                          json_pack("{s:s, s:O, s:b}", "tool", tool, "args", args, "ok", !failed));
    return failed;
}
