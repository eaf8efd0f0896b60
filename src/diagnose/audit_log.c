/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "diagnose/audit.h"

#include "base/file.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

static void key_of(char out[96], const char *kind, int64_t rung, int sheet, int question)
{
    snprintf(out, 96, "%.20s/%" PRId64 "/%d/%d", kind, rung, sheet, question);
}

/* A sample counts as done unless the server failed on it. */
static void keep_sample(auk_audit_log *log, json_t *v)
{
    const char *kind = json_string_value(json_object_get(v, "kind"));
    const char *state = json_string_value(json_object_get(v, "state"));
    char key[96];

    if (kind == NULL || state == NULL || strcmp(state, "error") == 0)
        return;
    key_of(key, kind, json_integer_value(json_object_get(v, "rung_tokens")),
           (int)json_integer_value(json_object_get(v, "sheet")),
           (int)json_integer_value(json_object_get(v, "question")));
    json_object_set(log->done, key, v);
}

/* Reads whole lines; *end is where the last of them ends. */
static int read_lines(auk_audit_log *log, size_t *end, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char name[64];
    size_t line = 0;

    *end = 0;
    int rc = auk_file_read(&text, log->path, err);
    while (rc == AUK_OK && *end < text.n) {
        const char *p = text.p + *end, *stop = memchr(p, '\n', text.n - *end);
        json_t *v = NULL;
        if (stop == NULL)
            break;
        snprintf(name, sizeof name, "%.40s:%zu", auk_str_of(log->path).n > 40 ? "log" : log->path,
                 ++line);
        rc = auk_json_parse(&v, (auk_str){p, (size_t)(stop - p)}, name, err);
        if (rc == AUK_OK && line == 1)
            log->header = json_incref(v);
        else if (rc == AUK_OK)
            keep_sample(log, v);
        json_decref(v);
        *end += (size_t)(stop - p) + 1;
    }
    if (rc == AUK_OK && log->header != NULL &&
        strcmp(auk_json_str(json_object_get(log->header, "schema")).p != NULL
                   ? json_string_value(json_object_get(log->header, "schema"))
                   : "",
               "auklet.audit-log/1") != 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' is no log of an audit", log->path);
    auk_buf_release(&text);
    return rc;
}

int auk_audit_log_open(auk_audit_log *log, const char *path, bool resume, auk_err *err)
{
    size_t end = 0;
    int rc = AUK_OK;

    *log = (auk_audit_log){.fd = -1, .path = path};
    if (path == NULL)
        return AUK_OK;
    log->done = json_object();
    bool there = auk_file_exists(path);
    if (there && !resume)
        return auk_fail(err, AUK_EINVAL,
                        "'%s' exists: --resume goes on with it, another name begins anew", path);
    if (there)
        rc = read_lines(log, &end, err);
    if (rc < 0)
        return rc;
    log->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (log->fd < 0)
        return auk_fail_errno(err, "cannot write '%s'", path);
    if (there && ftruncate(log->fd, (off_t)end) != 0 && errno != EINVAL)
        return auk_fail_errno(err, "cannot cut '%s' behind its last whole line", path);
    if (lseek(log->fd, 0, SEEK_END) < 0 && errno != ESPIPE)
        return auk_fail_errno(err, "cannot write '%s'", path);
    return AUK_OK;
}

void auk_audit_log_close(auk_audit_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
    json_decref(log->header);
    json_decref(log->done);
}

int auk_audit_log_add(auk_audit_log *log, const json_t *line, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (log->fd < 0)
        return AUK_OK;
    auk_json_print(&text, line, (auk_json_style){0});
    auk_buf_putc(&text, '\n');
    int rc = auk_buf_check(&text, "a line of the log", err);
    for (size_t at = 0; rc == AUK_OK && at < text.n;) {
        ssize_t n = write(log->fd, text.p + at, text.n - at);
        if (n < 0 && errno != EINTR)
            rc = auk_fail_errno(err, "cannot write '%s'; what is finished stays in it", log->path);
        else
            at += n > 0 ? (size_t)n : 0;
    }
    if (rc == AUK_OK && fsync(log->fd) != 0 && errno != EINVAL && errno != EROFS)
        rc = auk_fail_errno(err, "cannot write '%s'", log->path);
    auk_buf_release(&text);
    return rc;
}

const json_t *auk_audit_log_find(const auk_audit_log *log, const char *kind, int64_t rung,
                                 int sheet, int question)
{
    char key[96];

    if (log->done == NULL)
        return NULL;
    key_of(key, kind, rung, sheet, question);
    return json_object_get(log->done, key);
}
