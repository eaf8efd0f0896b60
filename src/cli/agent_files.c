/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/agent_files.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- data ---------------------------------------------------------------------------------- */

static char *beside_program(const char *rest)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0)
        return NULL;
    exe[n] = 0;
    char *slash = strrchr(exe, '/');
    if (slash == NULL)
        return NULL;
    *slash = 0;
    return auk_path_join(exe, rest);
}

char *auk_agent_data(const char *name)
{
    const char *env = getenv("AUK_DATA");
    char *roots[] = {env != NULL ? auk_strndup(env, strlen(env)) : NULL, auk_strndup("data", 4),
                     beside_program("../../data"), beside_program("../share/auklet"),
                     auk_strndup(AUK_DATA_DIR, strlen(AUK_DATA_DIR))};
    char *found = NULL;

    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        char *agent = roots[i] != NULL ? auk_path_join(roots[i], "agent") : NULL;
        char *path = agent != NULL ? auk_path_join(agent, name) : NULL;
        if (found == NULL && path != NULL && auk_file_exists(path)) {
            found = path;
            path = NULL;
        }
        free(path);
        free(agent);
        free(roots[i]);
    }
    return found;
}

/* ---- the log ------------------------------------------------------------------------------- */

/* As texts without a difference between 0 and 0.0, which other writers of JSON make. */
static bool same(const json_t *a, const json_t *b)
{
    const char *key;
    const json_t *v;

    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!same(json_array_get(a, i), json_array_get(b, i)))
                return false;
        return true;
    }
    if (json_is_object(a) && json_object_size(a) == json_object_size(b)) {
        json_object_foreach((json_t *)(uintptr_t)a, key,
                            v) if (!same(v, json_object_get(b, key))) return false;
        return true;
    }
    return json_equal(a, b);
}

static bool same_plan(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"collections", "settings", "tasks"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!same(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
            return false;
    return true;
}

int auk_agent_log_read(json_t **plan, json_t **runs, const char *path, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char name[300];
    int rc = auk_file_read(&text, path, err);
    auk_str rest = auk_buf_str(&text);

    *plan = NULL;
    *runs = json_array();
    for (size_t line = 1; rc == AUK_OK && rest.n > 0; line++) {
        const char *end = memchr(rest.p, '\n', rest.n);
        auk_str s = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};
        json_t *v = NULL;
        snprintf(name, sizeof name, "%.200s:%zu", path, line);
        rest = auk_str_from(rest, end != NULL ? s.n + 1 : s.n);
        if (s.n == 0)
            continue;
        if (end == NULL) /* torn: what was being written when it was killed */
            break;
        rc = auk_json_parse(&v, s, name, err);
        if (rc < 0)
            break;
        if (*plan == NULL)
            *plan = json_incref(v);
        else
            json_array_append(*runs, v);
        json_decref(v);
    }
    auk_buf_release(&text);
    const char *schema = json_string_value(json_object_get(*plan, "schema"));
    if (rc == AUK_OK && (schema == NULL || strcmp(schema, "auklet.agent-runs/1") != 0))
        rc = auk_fail(err, AUK_EFORMAT, "%s: not a log of agent runs: its first line is no plan",
                      path);
    if (rc < 0) {
        json_decref(*plan);
        json_decref(*runs);
        *plan = *runs = NULL;
    }
    return rc;
}

static int begin(auk_agent_log *l, const json_t *plan, const json_t *runs, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_json_print(&text, plan, (auk_json_style){0});
    auk_buf_putc(&text, '\n');
    for (size_t i = 0; i < json_array_size(runs); i++) {
        auk_json_print(&text, json_array_get(runs, i), (auk_json_style){0});
        auk_buf_putc(&text, '\n');
    }
    int rc = auk_buf_check(&text, l->path, err);
    /* a special file is written as it is; any other appears whole */
    if (rc == AUK_OK && strncmp(l->path, "/dev/", 5) != 0)
        rc = auk_file_write(l->path, auk_buf_str(&text), err);
    if (rc == AUK_OK) {
        l->f = fopen(l->path, "ae");
        if (l->f == NULL)
            rc = auk_fail_errno(err, "%s", l->path);
        else if (strncmp(l->path, "/dev/", 5) == 0 &&
                 (fwrite(text.p, 1, text.n, l->f) != text.n || fflush(l->f) != 0))
            rc = auk_fail_errno(err, "%s: cannot write the log", l->path);
    }
    auk_buf_release(&text);
    return rc;
}

int auk_agent_log_open(auk_agent_log *out, json_t **runs, const char *path, const json_t *plan,
                       bool resume, bool force, auk_err *err)
{
    json_t *old = NULL, *all = NULL;
    int rc = AUK_OK;

    *out = (auk_agent_log){.path = path};
    *runs = json_array();
    if (path == NULL)
        return AUK_OK;
    if (auk_file_exists(path) && !resume && !force && strncmp(path, "/dev/", 5) != 0)
        return auk_fail(err, AUK_EINVAL,
                        "%s is there already: --resume goes on with it, --force "
                        "replaces it",
                        path);
    if (resume && auk_file_exists(path))
        rc = auk_agent_log_read(&old, &all, path, err);
    if (rc == AUK_OK && old != NULL && !same_plan(old, plan))
        rc = auk_fail(err, AUK_EINVAL,
                      "%s was made with other collections, tasks or settings: give "
                      "the same options, or another file",
                      path);
    for (size_t i = 0; rc == AUK_OK && i < json_array_size(all); i++)
        if (json_is_true(json_object_get(json_array_get(all, i), "finished")))
            json_array_append(*runs, json_array_get(all, i));
    json_decref(old);
    json_decref(all);
    return rc == AUK_OK ? begin(out, plan, *runs, err) : rc;
}

int auk_agent_log_add(auk_agent_log *l, const json_t *item, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    int rc = AUK_OK;

    if (l->f == NULL)
        return AUK_OK;
    auk_json_print(&text, item, (auk_json_style){0});
    auk_buf_putc(&text, '\n');
    if (fwrite(text.p, 1, text.n, l->f) != text.n || fflush(l->f) != 0)
        rc = auk_fail_errno(err, "%s: a finished run could not be written", l->path);
    auk_buf_release(&text);
    return rc;
}

int auk_agent_log_close(auk_agent_log *l, auk_err *err)
{
    FILE *f = l->f;

    l->f = NULL;
    if (f == NULL)
        return AUK_OK;
    fsync(fileno(f));
    return fclose(f) == 0 ? AUK_OK : auk_fail_errno(err, "%s", l->path);
}

/* ---- JUnit and CSV ------------------------------------------------------------------------- */

static const char *text_of(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));

    return s != NULL ? s : "";
}

static long long whole(const json_t *v, const char *key)
{
    return (long long)json_integer_value(json_object_get(v, key));
}

static void escape(auk_buf *out, const char *s)
{
    for (; *s != 0; s++)
        if (*s == '<')
            auk_buf_puts(out, "&lt;");
        else if (*s == '&')
            auk_buf_puts(out, "&amp;");
        else if (*s == '"')
            auk_buf_puts(out, "&quot;");
        else if ((unsigned char)*s >= 0x20)
            auk_buf_putc(out, *s);
}

static void junit_case(auk_buf *out, const json_t *t)
{
    auk_buf_puts(out, "    <testcase classname=\"");
    escape(out, text_of(t, "collection"));
    auk_buf_puts(out, "\" name=\"");
    escape(out, text_of(t, "task"));
    auk_buf_puts(out, "\"");
    if (json_is_true(json_object_get(t, "strict")))
        auk_buf_puts(out, "/>\n");
    else if (whole(t, "finished") < whole(t, "runs"))
        auk_buf_printf(out, "><error message=\"%lld of %lld runs finished\"/></testcase>\n",
                       whole(t, "finished"), whole(t, "runs"));
    else
        auk_buf_printf(out, "><failure message=\"%lld of %lld runs passed\"/></testcase>\n",
                       whole(t, "runs_passed"), whole(t, "runs"));
}

void auk_agent_junit(auk_buf *out, const json_t *summary, const char *model)
{
    const json_t *tasks = json_object_get(summary, "tasks");
    long long failures = 0, errors = 0;

    for (size_t i = 0; i < json_array_size(tasks); i++) {
        const json_t *t = json_array_get(tasks, i);
        bool unfinished = whole(t, "finished") < whole(t, "runs");
        errors += unfinished;
        failures += !unfinished && !json_is_true(json_object_get(t, "strict"));
    }
    auk_buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
                      "  <testsuite name=\"auklet agent: ");
    escape(out, model);
    auk_buf_printf(out, "\" tests=\"%zu\" failures=\"%lld\" errors=\"%lld\">\n",
                   json_array_size(tasks), failures, errors);
    for (size_t i = 0; i < json_array_size(tasks); i++)
        junit_case(out, json_array_get(tasks, i));
    auk_buf_puts(out, "  </testsuite>\n</testsuites>\n");
}

void auk_agent_csv(auk_buf *out, const json_t *summary)
{
    const json_t *tasks = json_object_get(summary, "tasks");

    auk_buf_puts(out, "task,collection,tier,runs,finished,errored,runs_passed,strict\n");
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        const json_t *t = json_array_get(tasks, i);
        auk_buf_printf(out, "%s,%s,%s,%lld,%lld,%lld,%lld,%d\n", text_of(t, "task"),
                       text_of(t, "collection"), text_of(t, "tier"), whole(t, "runs"),
                       whole(t, "finished"), whole(t, "errored"), whole(t, "runs_passed"),
                       json_is_true(json_object_get(t, "strict")));
    }
}
