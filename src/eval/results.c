/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "eval/results.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define MAX_SAMPLES 100000

static void make_key(char out[64], const char *task, int sample)
{
    snprintf(out, 64, "%.40s %d", task, sample);
}

static void print_line(auk_buf *out, const json_t *line)
{
    auk_json_print(out, line, (auk_json_style){0});
    auk_buf_putc(out, '\n');
}

/* One complete line of an existing file. */
static int read_line(auk_results *r, auk_str text, size_t number, const char *run, auk_err *err)
{
    char name[300], key[64];
    json_t *v = NULL;

    if (text.n == 0)
        return AUK_OK;
    snprintf(name, sizeof name, "%.200s, line %zu", r->path, number);
    int rc = auk_json_parse(&v, text, name, err);
    if (rc < 0)
        return rc;
    const json_t *task = json_object_get(v, "task_id"), *sample = json_object_get(v, "sample");
    json_int_t k = json_integer_value(sample);
    if (!json_is_string(task) || !json_is_integer(sample) || k < 0 || k > MAX_SAMPLES)
        rc = auk_fail(err, AUK_EFORMAT, "%s is no result", name);
    else if (!auk_str_is(auk_json_str(json_object_get(v, "run")), run))
        rc = auk_fail(err, AUK_EINVAL,
                      "'%s' holds results of another run (other data, answers, model or options)",
                      r->path);
    if (rc == AUK_OK) {
        make_key(key, json_string_value(task), (int)k);
        if (auk_str_is(auk_json_str(json_object_get(v, "status")), "harness_error"))
            r->dropped++;
        else if (json_object_get(r->kept, key) == NULL)
            json_object_set(r->kept, key, v);
    }
    json_decref(v);
    return rc;
}

static int write_kept(const auk_results *r, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    const char *key;
    json_t *line;

    json_object_foreach(r->kept, key, line) print_line(&text, line);
    int rc = auk_buf_check(&text, "the result file", err);
    if (rc == AUK_OK)
        rc = auk_file_write(r->path, auk_buf_str(&text), err);
    auk_buf_release(&text);
    return rc;
}

static int take_up(auk_results *r, const char *run, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    size_t number = 0, at = 0;

    int rc = auk_file_read(&text, r->path, err);
    while (rc == AUK_OK && at < text.n) {
        const char *p = text.p + at, *end = memchr(p, '\n', text.n - at);
        if (end == NULL) { /* the kill came inside this line */
            r->dropped++;
            break;
        }
        rc = read_line(r, (auk_str){p, (size_t)(end - p)}, ++number, run, err);
        at += (size_t)(end - p) + 1;
    }
    auk_buf_release(&text);
    if (rc == AUK_OK && r->dropped > 0)
        rc = write_kept(r, err);
    return rc;
}

int auk_results_open(auk_results *out, const char *path, const char *run, bool resume, bool force,
                     auk_err *err)
{
    int rc = AUK_OK;

    *out = (auk_results){.fd = -1, .kept = json_object()};
    if (path == NULL)
        return AUK_OK;
    out->path = auk_strndup(path, strlen(path));
    if (auk_file_exists(path)) {
        if (resume)
            rc = take_up(out, run, err);
        else if (!force)
            rc = auk_fail(err, AUK_EINVAL, "'%s' exists: --resume goes on, --force replaces it",
                          path);
    }
    if (rc == AUK_OK) {
        int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (resume ? 0 : O_TRUNC);
        out->fd = open(path, flags, 0666);
        if (out->fd < 0)
            rc = auk_fail_errno(err, "cannot write '%s'", path);
    }
    if (rc < 0)
        auk_results_close(out);
    return rc;
}

void auk_results_close(auk_results *r)
{
    if (r->fd >= 0)
        close(r->fd);
    json_decref(r->kept);
    free(r->path);
    *r = (auk_results){.fd = -1};
}

const json_t *auk_results_find(const auk_results *r, const char *task, int sample)
{
    char key[64];

    make_key(key, task, sample);
    return json_object_get(r->kept, key);
}

int auk_results_add(auk_results *r, json_t *line, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char key[64];
    int rc = AUK_OK;

    if (r->fd >= 0) {
        print_line(&text, line);
        rc = auk_buf_check(&text, "a result line", err);
        for (auk_str left = auk_buf_str(&text); rc == AUK_OK && left.n > 0;) {
            ssize_t n = write(r->fd, left.p, left.n);
            if (n < 0 && errno != EINTR)
                rc = auk_fail_errno(err, "cannot write '%s'", r->path);
            left = auk_str_from(left, n > 0 ? (size_t)n : 0);
        }
    }
    make_key(key, json_string_value(json_object_get(line, "task_id")),
             (int)json_integer_value(json_object_get(line, "sample")));
    json_object_set_new(r->kept, key, line);
    auk_buf_release(&text);
    return rc;
}

int auk_results_sort(auk_results *r, const char *const *tasks, size_t n, auk_err *err)
{
    json_t *sorted = json_object();
    char key[64];
    bool same = true;

    for (size_t i = 0; i < n; i++)
        for (int sample = 0; sample < MAX_SAMPLES; sample++) {
            make_key(key, tasks[i], sample);
            json_t *line = json_object_get(r->kept, key);
            if (line == NULL)
                break;
            json_object_set(sorted, key, line);
        }
    /* What is not of these tasks (a run with a larger --limit) stays, behind them. */
    json_object_update_missing(sorted, r->kept);
    void *a = json_object_iter(sorted), *b = json_object_iter(r->kept);
    for (; a != NULL && same; a = json_object_iter_next(sorted, a)) {
        same = b != NULL && strcmp(json_object_iter_key(a), json_object_iter_key(b)) == 0;
        b = json_object_iter_next(r->kept, b);
    }
    json_decref(r->kept);
    r->kept = sorted;
    return same || r->path == NULL ? AUK_OK : write_kept(r, err);
}
