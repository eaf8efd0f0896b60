/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "net/partial.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES 63 /* three numbers of 20 digits, two blanks and a newline */
#define MAX_STATE ((size_t)16 << 20)

static void plan_ranges(auk_partial *p, uint64_t bytes, uint64_t range_bytes)
{
    size_t n = bytes == UINT64_MAX || range_bytes == 0 || bytes == 0
                   ? 1
                   : (size_t)((bytes - 1) / range_bytes + 1);

    free(p->ranges);
    p->ranges = auk_alloc(n * sizeof *p->ranges);
    p->n_ranges = n;
    for (size_t i = 0; i < n; i++) {
        p->ranges[i].from = n == 1 ? 0 : i * range_bytes;
        p->ranges[i].to = i + 1 == n ? bytes : (i + 1) * range_bytes;
    }
}

static void print_range(char line[LINE_BYTES + 1], const auk_range *r)
{
    snprintf(line, LINE_BYTES + 1, "%020" PRIu64 " %020" PRIu64 " %020" PRIu64 "\n", r->from, r->to,
             r->done);
}

static int put(int fd, const char *path, const void *data, size_t n, uint64_t at, auk_err *err)
{
    const char *p = data;

    while (n > 0) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return auk_fail_errno(err, "cannot write '%s'", path);
        p += k;
        n -= (size_t)k;
        at += (size_t)k;
    }
    return AUK_OK;
}

/* Writes the whole state anew. */
static int write_state(auk_partial *p, const char *head, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(MAX_STATE);
    char line[LINE_BYTES + 1];

    auk_buf_puts(&text, head);
    p->head_bytes = text.n;
    for (size_t i = 0; i < p->n_ranges; i++) {
        print_range(line, &p->ranges[i]);
        auk_buf_puts(&text, line);
    }
    int rc = auk_buf_check(&text, p->state_path, err);
    if (rc == AUK_OK && ftruncate(p->state_fd, 0) != 0)
        rc = auk_fail_errno(err, "cannot write '%s'", p->state_path);
    if (rc == AUK_OK)
        rc = put(p->state_fd, p->state_path, text.p, text.n, 0, err);
    auk_buf_release(&text);
    return rc;
}

/* Takes up what an earlier process left, when all of it fits together. */
static bool read_state(auk_partial *p, const char *head, uint64_t bytes)
{
    auk_buf text = AUK_BUF_INIT(MAX_STATE);
    auk_err err;
    size_t head_bytes = strlen(head);
    uint64_t at = 0, found = 0;

    bool ok = auk_file_read(&text, p->state_path, &err) == AUK_OK && text.n > head_bytes &&
              memcmp(text.p, head, head_bytes) == 0 && (text.n - head_bytes) % LINE_BYTES == 0;
    size_t n = ok ? (text.n - head_bytes) / LINE_BYTES : 0;
    auk_range *ranges = auk_alloc((n + 1) * sizeof *ranges);
    for (size_t i = 0; i < n && ok; i++) {
        const char *line = text.p + head_bytes + i * LINE_BYTES;
        auk_range *r = &ranges[i];
        char want[LINE_BYTES + 1];
        r->from = strtoull(line, NULL, 10);
        r->to = strtoull(line + 21, NULL, 10);
        r->done = strtoull(line + 42, NULL, 10);
        print_range(want, r); /* reads back: it was one of ours */
        ok = memcmp(want, line, LINE_BYTES) == 0 && r->from == at && r->to >= r->from &&
             r->done <= r->to - r->from;
        at = r->to;
        found += r->done;
    }
    ok = ok && n > 0 && at == bytes;
    if (ok) {
        free(p->ranges);
        p->ranges = ranges;
        p->n_ranges = n;
        p->head_bytes = head_bytes;
        p->found_bytes = found;
    } else {
        free(ranges);
    }
    auk_buf_release(&text);
    return ok;
}

static void name_paths(auk_partial *p, const char *root, const char *path)
{
    auk_buf name = AUK_BUF_INIT(1 << 16);

    *p = (auk_partial){.data_fd = -1, .state_fd = -1};
    auk_buf_printf(&name, "%s/parts/%s", root, path);
    p->data_path = auk_strndup(name.p, name.n);
    auk_buf_clear(&name);
    auk_buf_printf(&name, "%s/state/%s", root, path);
    p->state_path = auk_strndup(name.p, name.n);
    auk_buf_release(&name);
}

static void print_head(auk_buf *out, const char *identity, uint64_t bytes)
{
    auk_buf_printf(out, "auklet.partial/1 %" PRIu64 " %s\n", bytes, identity);
}

static bool usable(const auk_partial *p, const char *identity, uint64_t bytes)
{
    struct stat st;

    return bytes != UINT64_MAX && *identity != 0 && stat(p->data_path, &st) == 0 &&
           S_ISREG(st.st_mode) && (uint64_t)st.st_size == bytes;
}

uint64_t auk_partial_found(const char *root, const char *path, const char *identity, uint64_t bytes)
{
    auk_buf head = AUK_BUF_INIT(1 << 16);
    auk_partial p;

    name_paths(&p, root, path);
    print_head(&head, identity, bytes);
    uint64_t found =
        usable(&p, identity, bytes) && read_state(&p, head.p, bytes) ? p.found_bytes : 0;
    auk_buf_release(&head);
    auk_partial_close(&p);
    return found;
}

int auk_partial_open(auk_partial *out, const char *root, const char *path, const char *identity,
                     uint64_t bytes, uint64_t range_bytes, auk_err *err)
{
    auk_buf head = AUK_BUF_INIT(1 << 16);

    name_paths(out, root, path);
    print_head(&head, identity, bytes);
    int rc = auk_make_parents(out->data_path, err);
    if (rc == AUK_OK)
        rc = auk_make_parents(out->state_path, err);
    if (rc == AUK_OK) {
        out->data_fd = open(out->data_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        out->state_fd = open(out->state_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (out->data_fd < 0 || out->state_fd < 0)
            rc = auk_fail_errno(err, "cannot write '%s'", out->data_path);
    }
    if (rc == AUK_OK && !(usable(out, identity, bytes) && read_state(out, head.p, bytes))) {
        plan_ranges(out, bytes, range_bytes);
        if (ftruncate(out->data_fd, 0) != 0 ||
            (bytes != UINT64_MAX && ftruncate(out->data_fd, (off_t)bytes) != 0))
            rc = auk_fail_errno(err, "cannot make '%s' %" PRIu64 " bytes long", out->data_path,
                                bytes == UINT64_MAX ? 0 : bytes);
        if (rc == AUK_OK)
            rc = write_state(out, head.p, err);
    }
    auk_buf_release(&head);
    if (rc < 0)
        auk_partial_close(out);
    return rc;
}

void auk_partial_close(auk_partial *p)
{
    if (p->data_fd > 0)
        close(p->data_fd);
    if (p->state_fd > 0)
        close(p->state_fd);
    free(p->data_path);
    free(p->state_path);
    free(p->ranges);
    *p = (auk_partial){.data_fd = -1, .state_fd = -1};
}

/* The data first, then the number that counts it: a kill in between costs one piece. */
int auk_partial_write(auk_partial *p, size_t i, auk_str piece, auk_err *err)
{
    auk_range *r = &p->ranges[i];
    char line[LINE_BYTES + 1];

    int rc = put(p->data_fd, p->data_path, piece.p, piece.n, r->from + r->done, err);
    if (rc < 0)
        return rc;
    r->done += piece.n;
    print_range(line, r);
    return put(p->state_fd, p->state_path, line, LINE_BYTES, p->head_bytes + i * LINE_BYTES, err);
}

int auk_partial_restart(auk_partial *p, bool whole, auk_err *err)
{
    char *head = auk_alloc(p->head_bytes + 1);
    uint64_t bytes = p->ranges[p->n_ranges - 1].to;
    int rc = AUK_OK;

    if (pread(p->state_fd, head, p->head_bytes, 0) != (ssize_t)p->head_bytes)
        rc = auk_fail_errno(err, "cannot read '%s'", p->state_path);
    for (size_t i = 0; i < p->n_ranges; i++)
        p->ranges[i].done = 0;
    if (whole) {
        p->n_ranges = 1;
        p->ranges[0].to = bytes;
    }
    p->found_bytes = 0;
    if (rc == AUK_OK && (ftruncate(p->data_fd, 0) != 0 ||
                         (bytes != UINT64_MAX && ftruncate(p->data_fd, (off_t)bytes) != 0)))
        rc = auk_fail_errno(err, "cannot empty '%s'", p->data_path);
    if (rc == AUK_OK)
        rc = write_state(p, head, err);
    free(head);
    return rc;
}

int auk_partial_publish(auk_partial *p, const char *to, auk_err *err)
{
    int rc = auk_make_parents(to, err);

    if (rc == AUK_OK && fsync(p->data_fd) != 0)
        rc = auk_fail_errno(err, "cannot write '%s'", p->data_path);
    if (rc == AUK_OK && rename(p->data_path, to) != 0)
        rc = auk_fail_errno(err, "cannot rename '%s' to '%s'", p->data_path, to);
    if (rc == AUK_OK)
        unlink(p->state_path);
    auk_partial_close(p);
    return rc;
}
