/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "swebench/json_lines.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

void auk_note(const auk_notes *notes, const char *fmt, ...)
{
    char line[700];
    va_list args;

    if (notes == NULL || notes->say == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    for (char *p = line; *p != 0; p++)
        if ((unsigned char)*p < ' ')
            *p = '?';
    notes->say(notes->ctx, line);
}

static bool is_empty(auk_str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

int auk_json_lines_read(const char *path, char sha256[65], const auk_notes *notes,
                        auk_json_line_fn *fn, void *ctx, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    char name[300];
    size_t number = 0;

    int rc = auk_file_read(&text, path, err);
    if (rc == AUK_OK && sha256 != NULL)
        auk_sha256_of(sha256, auk_buf_str(&text).p, text.n);
    for (size_t at = 0; rc == AUK_OK && at < text.n;) {
        const char *p = text.p + at, *end = memchr(p, '\n', text.n - at);
        auk_str line = {p, end != NULL ? (size_t)(end - p) : text.n - at};
        json_t *row = NULL;
        at += line.n + 1;
        number++;
        if (is_empty(line)) {
            auk_note(notes, "'%s', line %zu is blank: the official loader refuses such a file",
                     path, number);
            continue;
        }
        snprintf(name, sizeof name, "%.200s, line %zu", path, number);
        rc = auk_json_parse(&row, line, name, err);
        if (rc == AUK_OK && !json_is_object(row))
            rc = auk_fail(err, AUK_EFORMAT, "'%s', line %zu is no object", path, number);
        if (rc == AUK_OK)
            rc = fn(ctx, number, row, err);
        json_decref(row);
    }
    auk_buf_release(&text);
    return rc;
}

/* ---- growing ------------------------------------------------------------------------------ */

static void print_line(auk_buf *out, const json_t *line)
{
    auk_json_print(out, line, (auk_json_style){0});
    auk_buf_putc(out, '\n');
}

typedef struct taking {
    const char *path;
    const json_t *head, *keep;
    json_t *found;
    auk_buf text; /* what stays */
    bool has_head;
} taking;

static int take_line(taking *t, size_t number, auk_str line, auk_err *err)
{
    char name[300];
    json_t *row;

    snprintf(name, sizeof name, "%.200s, line %zu", t->path, number);
    int rc = auk_json_parse(&row, line, name, err);
    if (rc < 0)
        return rc;
    const char *id = json_string_value(json_object_get(row, "instance_id"));
    if (number == 1 && t->head != NULL) {
        t->has_head = json_equal(json_object_get(row, "run"), json_object_get(t->head, "run"));
        if (!t->has_head)
            rc = auk_fail(err, AUK_EINVAL,
                          "'%s' is of another run (other data, model or options); --force begins "
                          "anew",
                          t->path);
    } else if (id == NULL) {
        rc = auk_fail(err, AUK_EFORMAT, "'%s', line %zu has no instance_id", t->path, number);
    } else if (json_object_get(t->found, id) != NULL ||
               (t->keep != NULL && json_object_get(t->keep, id) == NULL)) {
        json_decref(row);
        return AUK_OK;
    } else {
        json_object_set(t->found, id, row);
    }
    if (rc == AUK_OK)
        print_line(&t->text, row);
    json_decref(row);
    return rc;
}

static int take_up(taking *t, auk_err *err)
{
    auk_buf old = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    size_t number = 0;

    int rc = auk_file_read(&old, t->path, err);
    for (size_t at = 0; rc == AUK_OK && at < old.n;) {
        const char *p = old.p + at, *end = memchr(p, '\n', old.n - at);
        if (end == NULL)
            break; /* the kill came inside this line */
        rc = take_line(t, ++number, (auk_str){p, (size_t)(end - p)}, err);
        at += (size_t)(end - p) + 1;
    }
    if (rc == AUK_OK && t->head != NULL && !t->has_head)
        print_line(&t->text, t->head);
    if (rc == AUK_OK)
        rc = auk_buf_check(&t->text, t->path, err);
    if (rc == AUK_OK && !auk_str_eq(auk_buf_str(&old), auk_buf_str(&t->text)))
        rc = auk_file_write(t->path, auk_buf_str(&t->text), err);
    auk_buf_release(&old);
    return rc;
}

int auk_json_out_open(auk_json_out *out, json_t **found, const char *path, const json_t *head,
                      const json_t *keep, bool resume, bool force, auk_err *err)
{
    taking t = {.path = path,
                .head = head,
                .keep = keep,
                .found = json_object(),
                .text = AUK_BUF_INIT(AUK_MAX_JSON_FILE)};
    bool exists = auk_file_exists(path);
    int rc = AUK_OK;

    *out = (auk_json_out){.fd = -1, .path = auk_strndup(path, strlen(path))};
    if (exists && resume)
        rc = take_up(&t, err);
    else if (exists && !force)
        rc = auk_fail(err, AUK_EINVAL, "'%s' exists: --resume goes on, --force replaces it", path);
    auk_buf_release(&t.text);
    if (rc == AUK_OK) {
        bool begin = !exists || !resume;
        out->fd =
            open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (begin ? O_TRUNC : 0), 0666);
        if (out->fd < 0)
            rc = auk_fail_errno(err, "cannot write '%s'", path);
        else if (begin && head != NULL)
            rc = auk_json_out_add(out, head, err);
    }
    if (rc < 0) {
        json_decref(t.found);
        t.found = NULL;
        auk_json_out_close(out);
    }
    *found = t.found;
    return rc;
}

int auk_json_out_add(auk_json_out *o, const json_t *line, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    print_line(&text, line);
    int rc = auk_buf_check(&text, "a line of results", err);
    for (auk_str left = auk_buf_str(&text); rc == AUK_OK && left.n > 0;) {
        ssize_t n = write(o->fd, left.p, left.n);
        if (n < 0 && errno != EINTR)
            rc = auk_fail_errno(err, "cannot write '%s'", o->path);
        left = auk_str_from(left, n > 0 ? (size_t)n : 0);
    }
    auk_buf_release(&text);
    return rc;
}

void auk_json_out_close(auk_json_out *o)
{
    if (o->fd >= 0)
        close(o->fd);
    free(o->path);
    *o = (auk_json_out){.fd = -1};
}
