/* SPDX-License-Identifier: Apache-2.0 */
/* The disk tier: one file per snapshot, holding its whole sequence.
 *
 *     auk_head | ids (int32) | full layers, n positions | sliding layers, min(n, window) positions
 *
 * in the machine's own byte order: a cache, not an exchange format.  The name is the hash of the
 * ids.  A file is written under another name and renamed, so it is whole or not there. */
#define _POSIX_C_SOURCE 200809L
#include "engine/trie.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIN_TOKENS 32      /* shorter sequences are read again faster than found */
#define MAX_FILES 4096     /* looked at in a folder */
#define MAX_IDS (1u << 22) /* of a sequence in a file */

typedef struct auk_head {
    char magic[8];
    char model[64]; /* what the weights are */
    uint64_t n, full_bytes, window_bytes, window;
    char sha256[64]; /* of the ids */
} auk_head;

static const char magic[8] = "aukkv01";

static auk_head head_of(const auk_prefix *p, const int32_t *ids, size_t n)
{
    auk_head h = {.n = n,
                  .full_bytes = p->full_bytes,
                  .window_bytes = p->window_bytes,
                  .window = n < p->window ? n : p->window};
    char hex[AUK_SHA256_HEX];

    memcpy(h.magic, magic, sizeof h.magic);
    memcpy(h.model, p->model, strnlen(p->model, sizeof h.model));
    auk_sha256_of(hex, ids, n * sizeof *ids);
    memcpy(h.sha256, hex, sizeof h.sha256);
    return h;
}

static uint64_t file_bytes(const auk_head *h)
{
    return sizeof *h + h->n * (sizeof(int32_t) + h->full_bytes) + h->window * h->window_bytes;
}

static void forget_file(auk_prefix *p, size_t i, bool remove_it)
{
    char *path = auk_path_join(p->dir, p->files[i].name);

    if (remove_it)
        unlink(path);
    free(path);
    free(p->files[i].ids);
    p->files[i] = p->files[--p->n_files];
}

static auk_disk_file *find(auk_prefix *p, const char *name)
{
    for (size_t i = 0; i < p->n_files; i++)
        if (strcmp(p->files[i].name, name) == 0)
            return &p->files[i];
    return NULL;
}

static void remember_file(auk_prefix *p, const char *name, const int32_t *ids, size_t n,
                          uint64_t bytes)
{
    auk_disk_file f = {.n = n, .bytes = bytes, .used = ++p->clock};

    snprintf(f.name, sizeof f.name, "%s", name);
    if (auk_try_alloc(&f.ids, n, sizeof *ids, NULL) < 0)
        return;
    memcpy(f.ids, ids, n * sizeof *ids);
    p->files = auk_realloc(p->files, (p->n_files + 1) * sizeof *p->files);
    p->files[p->n_files++] = f;
}

/* Oldest first, and those that a longer one contains. */
static bool make_disk_room(auk_prefix *p, uint64_t bytes)
{
    for (;;) {
        uint64_t sum = bytes;
        size_t oldest = 0;
        for (size_t i = 0; i < p->n_files; i++) {
            sum += p->files[i].bytes;
            if (p->files[i].used < p->files[oldest].used)
                oldest = i;
        }
        if (sum <= p->disk_max)
            return true;
        if (p->n_files == 0)
            return false;
        forget_file(p, oldest, true);
    }
}

static int write_all(int fd, const void *from, size_t n, const char *path, auk_err *err)
{
    const char *at = from;

    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return auk_fail_errno(err, "cannot write '%s'", path);
        at += done;
        n -= (size_t)done;
    }
    return AUK_OK;
}

static int write_body(auk_prefix *p, const auk_trie_node *node, int fd, const auk_head *h,
                      const int32_t *ids, const char *path, auk_err *err)
{
    const auk_trie_node **chain = auk_alloc((node->depth + 1) * sizeof *chain);
    size_t k = 0;

    for (const auk_trie_node *up = node; up->parent != NULL; up = up->parent)
        chain[k++] = up;
    int rc = write_all(fd, h, sizeof *h, path, err);
    if (rc == AUK_OK)
        rc = write_all(fd, ids, h->n * sizeof *ids, path, err);
    while (k-- > 0 && rc == AUK_OK)
        rc = write_all(fd, chain[k]->full, chain[k]->n * p->full_bytes, path, err);
    if (rc == AUK_OK)
        rc = write_all(fd, node->window, h->window * p->window_bytes, path, err);
    free(chain);
    return rc;
}

static int write_file(auk_prefix *p, auk_trie_node *node, const int32_t *ids, auk_err *err)
{
    auk_head h = head_of(p, ids, node->depth);
    char name[72];

    snprintf(name, sizeof name, "%.64s.kv", h.sha256);
    if (find(p, name) != NULL || !make_disk_room(p, file_bytes(&h)))
        return AUK_OK;
    char *path = auk_path_join(p->dir, name), *tmp = auk_path_join(p->dir, "writing.tmp");
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 ? auk_fail_errno(err, "cannot write '%s'", tmp) : AUK_OK;
    if (rc == AUK_OK)
        rc = write_body(p, node, fd, &h, ids, tmp, err);
    if (fd >= 0 && close(fd) != 0 && rc == AUK_OK)
        rc = auk_fail_errno(err, "cannot write '%s'", tmp);
    if (rc == AUK_OK && rename(tmp, path) != 0)
        rc = auk_fail_errno(err, "cannot rename '%s'", tmp);
    if (rc == AUK_OK)
        remember_file(p, name, ids, node->depth, file_bytes(&h));
    else if (fd >= 0)
        unlink(tmp);
    free(path);
    free(tmp);
    return rc;
}

int auk_prefix_write(auk_prefix *p, auk_trie_node *node, auk_err *err)
{
    int32_t *ids;

    if (p->dir == NULL || node->on_disk || node->depth < MIN_TOKENS)
        return AUK_OK;
    int rc = auk_try_alloc(&ids, node->depth, sizeof *ids, err);
    if (rc < 0)
        return rc;
    for (const auk_trie_node *up = node; up->parent != NULL; up = up->parent)
        memcpy(ids + up->depth - up->n, up->ids, up->n * sizeof *ids);
    rc = write_file(p, node, ids, err);
    node->on_disk = rc == AUK_OK;
    free(ids);
    return rc;
}

/* ---- reading ---- */

static bool read_all(int fd, void *to, size_t n)
{
    char *at = to;

    while (n > 0) {
        ssize_t done = read(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* The ids of a file that is ours and whole; NULL otherwise.  *fd stays open behind them. */
static int32_t *read_ids(const auk_prefix *p, const char *name, int *fd, auk_head *h)
{
    char *path = auk_path_join(p->dir, name);
    struct stat st;
    int32_t *ids = NULL;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(path);
    if (*fd < 0 || fstat(*fd, &st) != 0 || !read_all(*fd, h, sizeof *h))
        return NULL;
    bool ours = memcmp(h->magic, magic, sizeof magic) == 0 && h->n > 0 && h->n <= MAX_IDS &&
                h->full_bytes == p->full_bytes && h->window_bytes == p->window_bytes &&
                h->window == (h->n < p->window ? h->n : p->window) &&
                (uint64_t)st.st_size == file_bytes(h) &&
                strncmp(h->model, p->model, sizeof h->model) == 0;
    if (!ours || auk_try_alloc(&ids, h->n, sizeof *ids, NULL) < 0)
        return NULL;
    auk_head want = {0};
    if (read_all(*fd, ids, h->n * sizeof *ids))
        want = head_of(p, ids, h->n);
    if (memcmp(want.sha256, h->sha256, sizeof want.sha256) == 0)
        return ids;
    free(ids);
    return NULL;
}

int auk_prefix_scan(auk_prefix *p, auk_err *err)
{
    DIR *d = opendir(p->dir);
    struct dirent *entry;

    if (d == NULL)
        return auk_fail_errno(err, "cannot read the cache folder '%s'", p->dir);
    while ((entry = readdir(d)) != NULL && p->n_files < MAX_FILES) {
        auk_head h;
        int fd = -1;
        if (strlen(entry->d_name) != 67 || strcmp(entry->d_name + 64, ".kv") != 0)
            continue;
        int32_t *ids = read_ids(p, entry->d_name, &fd, &h);
        if (ids != NULL)
            remember_file(p, entry->d_name, ids, h.n, file_bytes(&h));
        free(ids);
        if (fd >= 0)
            close(fd);
    }
    closedir(d);
    return AUK_OK;
}

static bool load_file(auk_prefix *p, const auk_disk_file *f)
{
    uint8_t *full = NULL, *window = NULL;
    auk_trie_node *node = NULL;
    auk_head h;
    int fd;

    int32_t *ids = read_ids(p, f->name, &fd, &h);
    if (ids != NULL && auk_try_alloc(&full, h.n, p->full_bytes, NULL) == AUK_OK &&
        auk_try_alloc(&window, h.window, p->window_bytes, NULL) == AUK_OK &&
        read_all(fd, full, h.n * p->full_bytes) && read_all(fd, window, h.window * p->window_bytes))
        node = auk_trie_insert(p, ids, h.n, full, window, false);
    if (node != NULL)
        node->on_disk = true;
    if (fd >= 0)
        close(fd);
    free(ids);
    free(full);
    free(window);
    return node != NULL;
}

void auk_prefix_fetch(auk_prefix *p, const int32_t *ids, size_t n, size_t have)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < p->n_files; i++) {
        const auk_disk_file *f = &p->files[i];
        if (f->n > have && f->n <= n && memcmp(f->ids, ids, f->n * sizeof *ids) == 0) {
            best = i;
            have = f->n;
        }
    }
    if (best == SIZE_MAX)
        return;
    p->files[best].used = ++p->clock;
    if (load_file(p, &p->files[best]))
        p->stats.disk_loads++;
    else
        forget_file(p, best, false);
}
