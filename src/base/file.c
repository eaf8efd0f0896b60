/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "base/file.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int auk_file_read(auk_buf *out, const char *path, auk_err *err)
{
    char chunk[65536];
    size_t n;
    struct stat st;

    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return auk_fail_errno(err, "cannot open '%s'", path);
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
        fclose(f);
        return auk_fail(err, AUK_EINVAL, "'%s' is a folder, want a file", path);
    }
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        auk_buf_add(out, chunk, n);
    int rc =
        ferror(f) ? auk_fail_errno(err, "cannot read '%s'", path) : auk_buf_check(out, path, err);
    fclose(f);
    return rc;
}

int auk_file_write(const char *path, auk_str data, auk_err *err)
{
    auk_buf tmp = AUK_BUF_INIT(1 << 16);

    auk_buf_printf(&tmp, "%s.tmp", path);
    int rc = auk_buf_check(&tmp, "path", err);
    if (rc < 0)
        goto out;
    FILE *f = fopen(tmp.p, "wb");
    if (f == NULL) {
        rc = auk_fail_errno(err, "cannot write '%s'", tmp.p);
        goto out;
    }
    bool ok = fwrite(data.p, 1, data.n, f) == data.n && fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (!ok)
        rc = auk_fail_errno(err, "cannot write '%s'", tmp.p);
    if (fclose(f) != 0 && rc == AUK_OK)
        rc = auk_fail_errno(err, "cannot write '%s'", tmp.p);
    if (rc == AUK_OK && rename(tmp.p, path) != 0)
        rc = auk_fail_errno(err, "cannot rename '%s' to '%s'", tmp.p, path);
    if (rc < 0)
        unlink(tmp.p);
out:
    auk_buf_release(&tmp);
    return rc;
}

bool auk_file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool auk_file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *auk_path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir), m = strlen(name);
    bool slash = n > 0 && dir[n - 1] != '/';
    char *path = auk_alloc(n + m + 2);

    memcpy(path, dir, n);
    if (slash)
        path[n++] = '/';
    memcpy(path + n, name, m);
    return path;
}

int auk_disk_free(uint64_t *out, const char *path, auk_err *err)
{
    char *at = auk_strndup(path, strlen(path));
    struct statvfs fs;

    while (statvfs(at, &fs) != 0) { /* the nearest parent that exists */
        char *slash = strrchr(at, '/');
        if (errno != ENOENT || strcmp(at, ".") == 0) {
            int rc = auk_fail_errno(err, "cannot ask for the free space of '%s'", at);
            free(at);
            return rc;
        }
        if (slash == at)
            at[1] = 0;
        else if (slash != NULL)
            *slash = 0;
        else
            memcpy(at, ".", 2);
    }
    *out = (uint64_t)fs.f_bavail * fs.f_frsize;
    free(at);
    return AUK_OK;
}

/* Calls fn for each entry of a folder but "." and "..", until one fails. */
static int each_entry(const char *dir,
                      int (*fn)(const char *path, const char *name, void *, auk_err *), void *ctx,
                      auk_err *err)
{
    struct dirent *e;
    int rc = AUK_OK;

    DIR *d = opendir(dir);
    if (d == NULL)
        return auk_fail_errno(err, "cannot open folder '%s'", dir);
    while (rc == AUK_OK && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *path = auk_path_join(dir, e->d_name);
        rc = fn(path, e->d_name, ctx, err);
        free(path);
    }
    closedir(d);
    return rc;
}

static int remove_entry(const char *path, const char *name, void *ctx, auk_err *err)
{
    (void)name, (void)ctx;
    return auk_tree_remove(path, err);
}

int auk_tree_remove(const char *path, auk_err *err)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? AUK_OK : auk_fail_errno(err, "cannot look at '%s'", path);
    if (S_ISDIR(st.st_mode)) {
        int rc = each_entry(path, remove_entry, NULL, err);
        if (rc < 0)
            return rc;
        return rmdir(path) == 0 ? AUK_OK : auk_fail_errno(err, "cannot remove '%s'", path);
    }
    return unlink(path) == 0 ? AUK_OK : auk_fail_errno(err, "cannot remove '%s'", path);
}

static int copy_file(const char *from, const char *to, auk_err *err)
{
    char chunk[65536];
    size_t n;
    int rc = AUK_OK;

    FILE *in = fopen(from, "rb");
    if (in == NULL)
        return auk_fail_errno(err, "cannot open '%s'", from);
    FILE *out = fopen(to, "wb");
    if (out == NULL) {
        fclose(in);
        return auk_fail_errno(err, "cannot write '%s'", to);
    }
    while (rc == AUK_OK && (n = fread(chunk, 1, sizeof chunk, in)) > 0)
        if (fwrite(chunk, 1, n, out) != n)
            rc = auk_fail_errno(err, "cannot write '%s'", to);
    if (rc == AUK_OK && ferror(in))
        rc = auk_fail_errno(err, "cannot read '%s'", from);
    fclose(in);
    if (fclose(out) != 0 && rc == AUK_OK)
        rc = auk_fail_errno(err, "cannot write '%s'", to);
    return rc;
}

static int copy_entry(const char *path, const char *name, void *ctx, auk_err *err)
{
    char *to = auk_path_join(ctx, name);
    int rc = auk_tree_copy(path, to, err);

    free(to);
    return rc;
}

int auk_tree_copy(const char *from, const char *to, auk_err *err)
{
    struct stat st;

    if (stat(from, &st) != 0)
        return auk_fail_errno(err, "cannot look at '%s'", from);
    if (S_ISREG(st.st_mode))
        return copy_file(from, to, err);
    if (!S_ISDIR(st.st_mode))
        return auk_fail(err, AUK_EINVAL, "'%s' is neither a file nor a folder", from);
    if (mkdir(to, 0777) != 0 && errno != EEXIST)
        return auk_fail_errno(err, "cannot make folder '%s'", to);
    return each_entry(from, copy_entry, (void *)to, err);
}

int auk_map_open(auk_map *out, const char *path, auk_err *err)
{
    struct stat st;
    int rc = AUK_OK;

    *out = (auk_map){NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return auk_fail_errno(err, "cannot open '%s'", path);
    if (fstat(fd, &st) != 0) {
        rc = auk_fail_errno(err, "cannot look at '%s'", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = auk_fail(err, AUK_EINVAL, "'%s' is not a file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = auk_fail_errno(err, "cannot map '%s'", path);
        else
            *out = (auk_map){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void auk_map_close(auk_map *map)
{
    if (map->p != NULL)
        munmap((void *)map->p, map->n);
    *map = (auk_map){NULL, 0};
}

void auk_map_drop(const auk_map *map, const void *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = (size_t)((const uint8_t *)p - map->p);
    size_t lo = (from + page - 1) / page * page, hi = (from + n) / page * page;

    if (from + n == map->n)
        hi = map->n;
    if (lo < hi)
        madvise((void *)(map->p + lo), hi - lo, MADV_DONTNEED);
}

int auk_make_parents(const char *path, auk_err *err)
{
    char *at = auk_strndup(path, strlen(path));
    int rc = AUK_OK;

    for (char *slash = at + 1; *at != 0 && rc == AUK_OK && (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = 0;
        if (mkdir(at, 0777) != 0 && !auk_file_is_dir(at)) /* EROFS hides EEXIST */
            rc = auk_fail_errno(err, "cannot make the folder '%s'", at);
        *slash = '/';
    }
    free(at);
    return rc;
}
