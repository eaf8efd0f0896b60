/* SPDX-License-Identifier: Apache-2.0 */
/* The worlds of QuantaMind's v2 task files: entities, files, a corpus, a form.  As there, except
 * that an unknown id is an error and not "ok", and that a written file reads back as written. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>

static bool one_of(const char *s, const char *list)
{
    size_t n = strlen(s);

    for (const char *at = list; (at = strstr(at, s)) != NULL; at += n)
        if (at > list && at[-1] == '|' && at[n] == '|')
            return true;
    return false;
}

static const char *first_text(const json_t *args, const char *keys)
{
    const char *key;
    const json_t *v;

    json_object_foreach((json_t *)args, key,
                        v) if (json_is_string(v) && one_of(key, keys)) return json_string_value(v);
    json_object_foreach((json_t *)args, key, v) if (json_is_string(v)) return json_string_value(v);
    return "";
}

static void say(auk_buf *out, json_t *v)
{
    auk_json_print(out, v, (auk_json_style){0});
    json_decref(v);
}

static bool mocked(auk_buf *out, const auk_world *w, const char *tool, const json_t *args)
{
    const json_t *list = json_object_get(w->in->spec, "mocks");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i), *call = json_object_get(m, "call");
        const json_t *name = json_object_get(call, "name"),
                     *response = json_object_get(m, "response");
        if (!json_is_string(name) || strcmp(json_string_value(name), tool) != 0 ||
            !auk_value_equal(json_object_get(call, "args"), args))
            continue;
        if (json_is_string(response))
            auk_buf_puts(out, json_string_value(response));
        else
            auk_json_print(out, response, (auk_json_style){0});
        return true;
    }
    return false;
}

/* ---- entities ------------------------------------------------------------------------------ */

static bool entity_get(auk_buf *out, const auk_world *w, const json_t *args)
{
    size_t n, count = json_object_size(args);
    const char **keys = auk_sorted_keys(args, &n);
    const json_t *calc = json_object_get(w->state, "calc"), *hit = NULL;
    bool any_text = false;

    for (size_t i = 0; i < n && hit == NULL; i++) {
        const char *s = json_string_value(json_object_get(args, keys[i]));
        if (s == NULL)
            continue;
        any_text = true;
        hit = json_object_get(calc, s);
        if (hit == NULL && !one_of(s, "|calc|threshold|ground_truth|"))
            hit = json_object_get(w->state, s);
    }
    free(keys);
    if (hit != NULL && json_is_string(hit))
        auk_buf_puts(out, json_string_value(hit));
    else if (hit != NULL)
        auk_json_print(out, hit, (auk_json_style){0});
    else if (count == 0 || !any_text)
        say(out, json_pack("{s:b}", "ok", 1));
    else
        say(out, json_pack("{s:s}", "error", "not found"));
    return hit == NULL && any_text;
}

/* ---- files --------------------------------------------------------------------------------- */

static void children(auk_buf *out, const json_t *files, const char *dir)
{
    size_t n, length = strlen(dir);
    const char **paths = auk_sorted_keys(files, &n);
    json_t *list = json_array();
    char last[512] = "", entry[512], path[512];

    for (size_t i = 0; i < n; i++) {
        auk_path_clean(path, sizeof path, paths[i]);
        if (length > 0 && (strncmp(path, dir, length) != 0 || path[length] != '/'))
            continue;
        const char *rest = path + (length > 0 ? length + 1 : 0);
        const char *slash = strchr(rest, '/');
        snprintf(entry, sizeof entry, "%.*s",
                 (int)(slash != NULL ? (size_t)(slash - path) : strlen(path)), path);
        if (strcmp(entry, last) != 0)
            json_array_append_new(list, json_string(entry));
        snprintf(last, sizeof last, "%s", entry);
    }
    free(paths);
    say(out, list);
}

static const char *file_key(const json_t *files, const char *path)
{
    char a[512], b[512];
    const char *key;
    const json_t *v;

    auk_path_clean(a, sizeof a, path);
    json_object_foreach((json_t *)files, key, v)
    {
        auk_path_clean(b, sizeof b, key);
        if (strcmp(a, b) == 0)
            return key;
    }
    return NULL;
}

static bool file_call(auk_buf *out, auk_world *w, const char *tool, const json_t *args)
{
    const char *path = first_text(args, "|path|file|file_path|filename|dir|directory|");

    if (strcmp(tool, "read_file") == 0) {
        const char *key = file_key(w->state, path);
        if (key == NULL) {
            say(out, json_pack("{s:s, s:s}", "error", "not found", "path", path));
            return true;
        }
        auk_buf_puts(out, json_string_value(json_object_get(w->state, key)));
        return false;
    }
    if (strcmp(tool, "list_dir") == 0) {
        char dir[512];
        auk_path_clean(dir, sizeof dir, path);
        children(out, w->state, dir);
        return false;
    }
    if (one_of(tool, "|search_files|search_symbol|grep|")) {
        auk_files_search(out, w->state,
                         first_text(args, "|query|pattern|symbol|text|term|search|name|"));
        return false;
    }
    const json_t *text = json_object_get(args, "content");
    if (text == NULL)
        text = json_object_get(args, "text");
    if (json_object_get(args, "path") != NULL && json_is_string(text)) {
        const char *key = file_key(w->state, path);
        json_object_set(w->state, key != NULL ? key : path, (json_t *)text);
    }
    say(out, json_pack("{s:b}", "ok", 1));
    return false;
}

/* ---- a corpus ------------------------------------------------------------------------------ */

static int terms_in(const char *query, auk_str text)
{
    int n = 0;
    char term[128];

    while (*query != 0) {
        size_t length = strcspn(query, " \t\n,.;:!?\"'()");
        snprintf(term, sizeof term, "%.*s", (int)length, query);
        n += length > 0 && auk_glob(auk_str_of(term), text);
        query += length + (query[length] != 0);
    }
    return n;
}

static const char *member(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s != NULL ? s : "";
}

typedef struct found {
    int score;
    const json_t *doc;
} found;

static int best_first(const void *a, const void *b)
{
    const found *x = a, *y = b;

    return x->score != y->score ? y->score - x->score
                                : strcmp(member(x->doc, "id"), member(y->doc, "id"));
}

static json_t *snippet(const char *query, const char *text)
{
    for (const char *line = text; *line != 0;) {
        size_t length = strcspn(line, "\n");
        if (terms_in(query, (auk_str){line, length}) > 0)
            return json_stringn(line, length);
        line += length + (line[length] == '\n');
    }
    size_t n = strlen(text);
    return json_stringn(text, n < 160 ? n : 160);
}

static bool corpus_call(auk_buf *out, auk_world *w, const char *tool, const json_t *args)
{
    const json_t *docs = json_object_get(w->state, "docs");

    if (strcmp(tool, "fetch") == 0) {
        const char *id = first_text(args, "|id|doc_id|");
        for (size_t i = 0; i < json_array_size(docs); i++)
            if (strcmp(member(json_array_get(docs, i), "id"), id) == 0) {
                auk_buf_puts(out, member(json_array_get(docs, i), "text"));
                return false;
            }
        say(out, json_pack("{s:s, s:s}", "error", "not found", "id", id));
        return true;
    }
    if (!one_of(tool, "|search|web_search|search_docs|")) {
        say(out, json_pack("{s:b}", "ok", 1));
        return false;
    }
    const char *query = first_text(args, "|query|q|");
    found *hits = auk_alloc((json_array_size(docs) + 1) * sizeof *hits);
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(docs); i++) {
        const json_t *d = json_array_get(docs, i);
        auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
        auk_buf_printf(&b, "%s\n%s", member(d, "title"), member(d, "text"));
        int score = terms_in(query, auk_buf_str(&b));
        if (score > 0)
            hits[n++] = (found){score, d};
        auk_buf_release(&b);
    }
    qsort(hits, n, sizeof *hits, best_first);
    json_t *list = json_array();
    for (size_t i = 0; i < n && i < 5; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "id", member(hits[i].doc, "id"),
                                              "title", member(hits[i].doc, "title"), "snippet",
                                              snippet(query, member(hits[i].doc, "text"))));
    free(hits);
    say(out, list);
    return false;
}

/* ---- a form -------------------------------------------------------------------------------- */

static bool page_error(auk_buf *out, const json_t *state, const char *part, const char *name)
{
    json_t *there = json_array(), *v;
    const char *key;

    json_object_foreach(json_object_get(state, part), key, v)
        json_array_append_new(there, json_string(key));
    say(out,
        json_pack("{s:s, s:s, s:o}", "error", "no such element", "name", name, "available", there));
    return true;
}

static bool page_call(auk_buf *out, auk_world *w, const char *tool, const json_t *args)
{
    json_t *state = w->state, *fields = json_object_get(state, "fields");
    json_t *toggles = json_object_get(state, "toggles");
    const char *name =
        first_text(args, "|field|name|id|element|toggle|label|target|route|path|url|");

    if (one_of(tool, "|fill|set_field|type|enter|")) {
        const json_t *value = json_object_get(args, "value");
        if (value == NULL)
            value = json_object_get(args, "text");
        if (json_object_get(fields, name) == NULL)
            return page_error(out, state, "fields", name);
        if (value != NULL)
            json_object_set(fields, name, (json_t *)value);
    } else if (one_of(tool, "|toggle|check|switch|")) {
        const json_t *now = json_object_get(toggles, name);
        if (now == NULL)
            return page_error(out, state, "toggles", name);
        json_object_set_new(toggles, name, json_boolean(!json_is_true(now)));
    } else if (one_of(tool, "|navigate|goto|go_to|open|")) {
        char route[512];
        snprintf(route, sizeof route, "%s%s", name[0] == '/' ? "" : "/", name);
        json_object_set_new(state, "route", json_string(route));
    } else if (one_of(tool, "|submit|confirm|save|")) {
        json_object_set_new(state, "submitted", json_true());
    } else if (one_of(tool, "|click|press|tap|")) {
        json_object_set_new(state, "clicked", json_string(name));
        if (auk_glob(auk_str_of("submit"), auk_str_of(name)) ||
            auk_glob(auk_str_of("confirm"), auk_str_of(name)) ||
            auk_glob(auk_str_of("save"), auk_str_of(name)))
            json_object_set_new(state, "submitted", json_true());
    }
    auk_json_print(out, state, (auk_json_style){0});
    return false;
}

/* ---- one call ------------------------------------------------------------------------------ */

/* The first expected call that is not made yet and that this one is. */
static void meet(auk_world *w, const char *tool, const json_t *args)
{
    const json_t *expected = json_object_get(w->in->spec, "expected_calls");
    char key[32];

    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *e = json_array_get(expected, i);
        const char *name = json_string_value(json_object_get(e, "name"));
        snprintf(key, sizeof key, "%zu", i);
        if (name != NULL && strcmp(name, tool) == 0 && json_object_get(w->met, key) == NULL &&
            auk_args_match(json_object_get(e, "args"), args)) {
            json_object_set_new(w->met, key, json_true());
            return;
        }
    }
}

bool auk_world_v2_call(auk_buf *out, auk_world *w, const char *tool, const json_t *args)
{
    const char *environment = w->in->task->set->environment;
    bool decoy, failed = false;
    const json_t *t = auk_agent_tool(w->in, tool, &decoy);

    if (decoy || t == NULL) {
        auk_buf_puts(out, "Error: tool not found or arguments unrecognized. Choose from the "
                          "provided schema.");
        return true;
    }
    meet(w, tool, args);
    if (mocked(out, w, tool, args))
        return false;
    if (strcmp(environment, "filesystem") == 0)
        failed = file_call(out, w, tool, args);
    else if (strcmp(environment, "web_corpus") == 0)
        failed = corpus_call(out, w, tool, args);
    else if (strcmp(environment, "web_ui") == 0)
        failed = page_call(out, w, tool, args);
    else if (json_is_false(json_object_get(t, "returns_entity")))
        say(out, json_pack("{s:b}", "ok", 1));
    else
        failed = entity_get(out, w, args);
    return failed;
}
