/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE
#include "ledger/hash_cache.h"

#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES ((size_t)1 << 20) /* a larger cache is begun anew */
#define GRAIN_S 2

#if defined(__APPLE__)
#define MTIME(st) ((st)->st_mtimespec)
#define CTIME(st) ((st)->st_ctimespec)
#else
#define MTIME(st) ((st)->st_mtim)
#define CTIME(st) ((st)->st_ctim)
#endif

static uint64_t nanoseconds(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "dev ino bytes mtime ctime " */
static void print_key(char out[128], const struct stat *st)
{
    snprintf(out, 128, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ",
             (uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
             nanoseconds(MTIME(st)), nanoseconds(CTIME(st)));
}

bool auk_hash_cache_same(const struct stat *a, const struct stat *b)
{
    char x[128], y[128];

    print_key(x, a);
    print_key(y, b);
    return strcmp(x, y) == 0;
}

void auk_hash_cache_open(auk_hash_cache *c, const char *path)
{
    auk_err unread;

    *c = (auk_hash_cache){.path = path, .text = AUK_BUF_INIT(MAX_BYTES)};
    if (path == NULL || !auk_file_exists(path))
        return;
    if (auk_file_read(&c->text, path, &unread) < 0) {
        auk_buf_clear(&c->text);
        unlink(path);
    }
}

void auk_hash_cache_close(auk_hash_cache *c)
{
    auk_buf_release(&c->text);
}

bool auk_hash_cache_find(const auk_hash_cache *c, char hex[AUK_SHA256_HEX], const struct stat *st)
{
    auk_str left = auk_buf_str(&c->text);
    char key[128];
    bool found = false;

    print_key(key, st);
    size_t n = strlen(key);
    while (left.n > 0) { /* the last line of a file counts */
        const char *end = memchr(left.p, '\n', left.n);
        size_t line = end != NULL ? (size_t)(end - left.p) : 0;
        if (line == n + 64 && memcmp(left.p, key, n) == 0) {
            memcpy(hex, left.p + n, 64);
            hex[64] = 0;
            found = strspn(hex, "0123456789abcdef") == 64;
        }
        if (end == NULL)
            break; /* torn */
        left = auk_str_from(left, line + 1);
    }
    return found;
}

void auk_hash_cache_add(const auk_hash_cache *c, const char *hex, const struct stat *st)
{
    char key[128], line[256];
    auk_err unread;
    time_t now = time(NULL);

    if (c->path == NULL || MTIME(st).tv_sec + GRAIN_S >= now || CTIME(st).tv_sec + GRAIN_S >= now)
        return;
    print_key(key, st);
    int n = snprintf(line, sizeof line, "%s%s\n", key, hex);
    if (auk_make_parents(c->path, &unread) < 0)
        return;
    int fd = open(c->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    if (write(fd, line, (size_t)n) != n) /* a torn line: whatever follows it must not join it */
        (void)!write(fd, "\n", 1);
    close(fd);
}
