/* SPDX-License-Identifier: Apache-2.0 */
/* A plain folder as the place of the originals, and which paths may be edited at all. */
#define _POSIX_C_SOURCE 200809L
#include "swebench/swebench.h"

#include "swebench/line_list.h"
#include "swebench/source.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- paths -------------------------------------------------------------------------------- */

static bool is_part(const char *p, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(p, word, n) == 0; /* case does not matter on a Mac */
}

int auk_edit_path_check(const char *path, auk_err *err)
{
    if (path[0] == 0 || strlen(path) > 1000)
        return auk_fail(err, AUK_EINVAL, "the path is empty or too long");
    if (path[0] == '/' || path[0] == '~')
        return auk_fail(err, AUK_EINVAL, "'%s' leaves the tree: it is absolute", path);
    for (const char *p = path; *p != 0; p++)
        if ((unsigned char)*p < ' ' || *p == 127 || *p == '"' || *p == '\\')
            return auk_fail(err, AUK_EINVAL, "'%s' has a character that no patch can name", path);
    for (const char *p = path;;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || is_part(p, n, "."))
            return auk_fail(err, AUK_EINVAL, "'%s' is not a plain path", path);
        if (is_part(p, n, ".."))
            return auk_fail(err, AUK_EINVAL, "'%s' leaves the tree", path);
        if (is_part(p, n, ".git"))
            return auk_fail(err, AUK_EINVAL, "'%s' is inside .git", path);
        if (p[n] == 0)
            return auk_is_utf8(auk_str_of(path))
                       ? AUK_OK
                       : auk_fail(err, AUK_EINVAL, "the path is not UTF-8");
        p += n + 1;
    }
}

int auk_source_check(auk_str text, const char *path, auk_err *err)
{
    if (text.n > AUK_MAX_SOURCE)
        return auk_fail(err, AUK_EINVAL, "'%s' has %.1f MB, at most 16 are edited", path,
                        (double)text.n / 1e6);
    if (text.n > 0 && memchr(text.p, 0, text.n) != NULL)
        return auk_fail(err, AUK_EINVAL, "'%s' is a binary file", path);
    if (!auk_is_utf8(text))
        return auk_fail(err, AUK_EINVAL, "'%s' is not UTF-8", path);
    return AUK_OK;
}

/* ---- the folder --------------------------------------------------------------------------- */

int auk_root_open(auk_root *out, const char *dir, auk_err *err)
{
    out->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return out->fd < 0 ? auk_fail_errno(err, "cannot open the folder '%s'", dir) : AUK_OK;
}

void auk_root_close(auk_root *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

/* Opens the file part by part, following no link; -1 and *missing when it is not there. */
static int open_below(int root, bool *missing, const char *path, auk_err *err)
{
    int at = dup(root), next = -1;
    char part[1024];

    *missing = false;
    for (const char *p = path; at >= 0;) {
        size_t n = strcspn(p, "/");
        bool last = p[n] == 0;
        snprintf(part, sizeof part, "%.*s", (int)n, p);
        int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
        next = openat(at, part, flags);
        int failed = errno;
        struct stat st;
        bool link =
            next < 0 && fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
        close(at);
        at = next;
        if (link) {
            auk_fail(err, AUK_EINVAL, "'%s' is, or lies behind, a symbolic link", path);
            return -1;
        }
        if (next < 0 && (failed == ENOENT || failed == ENOTDIR)) {
            *missing = true;
            return -1;
        }
        errno = failed;
        if (last)
            break;
        p += n + 1;
    }
    if (at < 0)
        auk_fail(err, AUK_EINVAL, "'%s' cannot be read: %s", path, strerror(errno));
    return at;
}

int auk_root_read(void *root, auk_buf *out, bool *exists, const char *path, auk_err *err)
{
    const auk_root *r = root;
    char chunk[65536];
    size_t begin = out->n;
    bool missing;
    struct stat st;
    ssize_t n = 0;

    *exists = false;
    int fd = open_below(r->fd, &missing, path, err);
    if (fd < 0)
        return missing ? AUK_OK : AUK_EINVAL;
    int rc = AUK_OK;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = auk_fail(err, AUK_EINVAL, "'%s' is no regular file", path);
    else if ((uint64_t)st.st_size > AUK_MAX_SOURCE)
        rc = auk_fail(err, AUK_EINVAL, "'%s' has %.1f MB, at most 16 are edited", path,
                      (double)st.st_size / 1e6);
    while (rc == AUK_OK && (n = read(fd, chunk, sizeof chunk)) > 0) {
        auk_buf_add(out, chunk, (size_t)n);
        if (out->n - begin > AUK_MAX_SOURCE || out->failed)
            rc = auk_fail(err, AUK_EINVAL, "'%s' is larger than 16 MB", path);
    }
    if (rc == AUK_OK && n < 0)
        rc = auk_fail(err, AUK_EINVAL, "'%s' cannot be read: %s", path, strerror(errno));
    close(fd);
    if (rc == AUK_OK)
        rc = auk_source_check((auk_str){auk_buf_str(out).p + begin, out->n - begin}, path, err);
    *exists = rc == AUK_OK;
    return rc;
}
