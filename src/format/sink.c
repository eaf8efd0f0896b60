/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _FILE_OFFSET_BITS 64
#include "format/format.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_SHARD_BYTES ((uint64_t)5 << 30) /* MLX's MAX_FILE_SIZE_GB */
#define SYNC_BYTES ((uint64_t)1 << 30)          /* written data between two syncs */

typedef struct out_tensor {
    char *name; /* owned */
    auk_dtype dtype;
    int rank;
    uint64_t shape[AUK_MAX_RANK], bytes;
    uint64_t begin; /* within the shard's data */
    int shard;
} out_tensor;

typedef struct out_shard {
    char *path;                   /* owned */
    uint64_t data_bytes, data_at; /* length, and where it begins in the file */
    int fd;
} out_shard;

struct auk_sink {
    char *dst, *partial; /* owned */
    uint64_t shard_bytes, total;
    bool force, expects;
    out_tensor *tensors; /* owned */
    size_t n, cap;
    out_shard *shards; /* owned */
    size_t n_shards;
    char *plan; /* owned */
    int lock;   /* of DST.partial, held while it is written; -1 before */
    atomic_ullong unsynced;
};

/* Refuses a destination that holds something, unless it may be replaced. */
static int check_destination(const char *dst, bool force, auk_err *err)
{
    if (!auk_file_exists(dst) || force)
        return AUK_OK;
    return auk_fail(err, AUK_EINVAL, "'%s' exists: choose another name, or --force to replace it",
                    dst);
}

int auk_sink_new(auk_sink **out, const char *dst, uint64_t shard_bytes, bool force, auk_err *err)
{
    size_t n = strlen(dst);

    *out = NULL;
    while (n > 1 && dst[n - 1] == '/')
        n--;
    char *clean = auk_strndup(dst, n);
    int rc = n == 0 ? auk_fail(err, AUK_EINVAL, "the destination has no name")
                    : check_destination(clean, force, err);
    if (rc < 0) {
        free(clean);
        return rc;
    }
    auk_sink *s = auk_alloc(sizeof *s);
    s->dst = clean;
    s->partial = auk_alloc(n + sizeof ".partial");
    snprintf(s->partial, n + sizeof ".partial", "%s.partial", clean);
    s->shard_bytes = shard_bytes ? shard_bytes : DEFAULT_SHARD_BYTES;
    s->force = force;
    s->lock = -1;
    *out = s;
    return AUK_OK;
}

void auk_sink_free(auk_sink *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_shards; i++) {
        if (s->shards[i].fd >= 0)
            close(s->shards[i].fd);
        free(s->shards[i].path);
    }
    for (size_t i = 0; i < s->n; i++)
        free(s->tensors[i].name);
    if (s->lock >= 0)
        close(s->lock);
    free(s->shards);
    free(s->tensors);
    free(s->plan);
    free(s->partial);
    free(s->dst);
    free(s);
}

int auk_sink_declare(auk_sink *s, const char *name, auk_dtype dtype, int rank,
                     const uint64_t *shape, auk_err *err)
{
    uint64_t bytes = auk_dtype_bytes(dtype);

    for (int i = 0; i < rank; i++)
        if (!auk_mul(&bytes, bytes, shape[i]))
            return auk_fail(err, AUK_EFORMAT, "tensor '%.200s' has an overflowing shape", name);
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 256;
        s->tensors = auk_realloc(s->tensors, s->cap * sizeof *s->tensors);
    }
    out_tensor *t = &s->tensors[s->n];
    *t = (out_tensor){
        .name = auk_strndup(name, strlen(name)), .dtype = dtype, .rank = rank, .bytes = bytes};
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    s->total += bytes;
    return (int)s->n++;
}

/* MLX's make_shards: a new shard starts when the next tensor would pass the limit, even when the
 * current one is still empty. */
static void cut_shards(auk_sink *s)
{
    uint64_t at = 0;
    int shard = 0;

    for (size_t i = 0; i < s->n; i++) {
        out_tensor *t = &s->tensors[i];
        if (at > s->shard_bytes || t->bytes > s->shard_bytes - at) {
            shard++;
            at = 0;
        }
        t->shard = shard;
        t->begin = at;
        at += t->bytes;
    }
    s->n_shards = (size_t)shard + 1;
    s->shards = auk_alloc(s->n_shards * sizeof *s->shards);
    for (size_t i = 0; i < s->n_shards; i++) {
        char file[64];
        s->shards[i].fd = -1;
        snprintf(file, sizeof file, "model-%05zu-of-%05zu.safetensors", i + 1, s->n_shards);
        s->shards[i].path =
            auk_path_join(s->partial, s->n_shards == 1 ? "model.safetensors" : file);
    }
    for (size_t i = 0; i < s->n; i++)
        s->shards[s->tensors[i].shard].data_bytes += s->tensors[i].bytes;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const out_tensor *const *)a)->name, (*(const out_tensor *const *)b)->name);
}

/* The tensors sorted by name, as the header and the index list them. */
static const out_tensor **sorted(const auk_sink *s)
{
    const out_tensor **order = auk_alloc((s->n ? s->n : 1) * sizeof *order);

    for (size_t i = 0; i < s->n; i++)
        order[i] = &s->tensors[i];
    qsort(order, s->n, sizeof *order, by_name);
    return order;
}

/* MLX's header: keys sorted, no spaces, not padded. */
static void print_header(auk_buf *out, const auk_sink *s, const out_tensor **order, int shard)
{
    auk_buf_puts(out, "{\"__metadata__\":{\"format\":\"mlx\"}");
    for (size_t i = 0; i < s->n; i++) {
        const out_tensor *t = order[i];
        if (t->shard != shard)
            continue;
        auk_buf_putc(out, ',');
        auk_json_print_string(out, auk_str_of(t->name), true);
        auk_buf_printf(out,
                       ":{\"data_offsets\":[%" PRIu64 ",%" PRIu64 "],\"dtype\":\"%s\",\"shape\":[",
                       t->begin, t->begin + t->bytes, auk_dtype_name(t->dtype));
        for (int d = 0; d < t->rank; d++)
            auk_buf_printf(out, "%s%" PRIu64, d ? "," : "", t->shape[d]);
        auk_buf_puts(out, "]}");
    }
    auk_buf_putc(out, '}');
}

static int write_all(int fd, const void *data, uint64_t n, uint64_t at, const char *path,
                     auk_err *err)
{
    const char *p = data;

    while (n > 0) {
        ssize_t k = pwrite(fd, p, n < 1 << 30 ? n : 1 << 30, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return auk_fail_errno(err, "cannot write '%s'", path);
        p += k;
        at += (uint64_t)k;
        n -= (uint64_t)k;
    }
    return AUK_OK;
}

static int open_shard(auk_sink *s, const out_tensor **order, int i, auk_err *err)
{
    out_shard *shard = &s->shards[i];
    auk_buf header = AUK_BUF_INIT(AUK_MAX_HEADER);
    uint8_t length[8];

    print_header(&header, s, order, i);
    int rc = auk_buf_check(&header, "a shard's header", err);
    shard->data_at = 8 + header.n;
    if (rc == AUK_OK) {
        shard->fd = open(shard->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (shard->fd < 0)
            rc = auk_fail_errno(err, "cannot write '%s'", shard->path);
    }
    for (int b = 0; b < 8; b++)
        length[b] = (uint8_t)((uint64_t)header.n >> 8 * b);
    if (rc == AUK_OK)
        rc = write_all(shard->fd, length, 8, 0, shard->path, err);
    if (rc == AUK_OK)
        rc = write_all(shard->fd, header.p, header.n, 8, shard->path, err);
    if (rc == AUK_OK && ftruncate(shard->fd, (off_t)(shard->data_at + shard->data_bytes)) != 0)
        rc = auk_fail_errno(err, "cannot size '%s'", shard->path);
    auk_buf_release(&header);
    return rc;
}

static char *state_path(const auk_sink *s)
{
    return auk_path_join(s->partial, ".auklet-state");
}

/* The state file is two lines: the plan, and how many units are surely written. */
static int write_state(const auk_sink *s, uint64_t done, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(4096);
    char *path = state_path(s);

    auk_buf_printf(&text, "%s\n%" PRIu64 "\n", s->plan, done);
    int rc = auk_file_write(path, auk_buf_str(&text), err);
    auk_buf_release(&text);
    free(path);
    return rc;
}

static bool read_state(const auk_sink *s, uint64_t *done)
{
    auk_buf text = AUK_BUF_INIT(4096);
    char *path = state_path(s);
    size_t n = strlen(s->plan);
    auk_err ignored;

    bool same = auk_file_read(&text, path, &ignored) == AUK_OK && text.n > n + 1 &&
                memcmp(text.p, s->plan, n) == 0 && text.p[n] == '\n';
    if (same)
        *done = strtoull(text.p + n + 1, NULL, 10);
    auk_buf_release(&text);
    free(path);
    return same;
}

static bool has_state(const auk_sink *s)
{
    char *path = state_path(s);
    bool has = auk_file_exists(path);

    free(path);
    return has;
}

void auk_sink_expect(auk_sink *s)
{
    s->expects = true;
}

static int check_space(const auk_sink *s, uint64_t already, auk_err *err)
{
    uint64_t free_bytes, need = s->total + s->total / 1000 + (64 << 20);

    int rc = auk_disk_free(&free_bytes, s->partial, err);
    if (rc < 0)
        return rc;
    need -= already < need ? already : need;
    if (free_bytes < need)
        return auk_fail(err, AUK_ELIMIT,
                        "'%s' needs %.2f GB and its disk has %.2f GB free: make room or choose "
                        "another disk",
                        s->dst, (double)need / 1e9, (double)free_bytes / 1e9);
    return AUK_OK;
}

/* Bytes an earlier run already has on the disk. */
static uint64_t allocated(const auk_sink *s)
{
    uint64_t sum = 0;
    struct stat st;

    for (size_t i = 0; i < s->n_shards; i++)
        if (stat(s->shards[i].path, &st) == 0)
            sum += (uint64_t)st.st_blocks * 512;
    return sum;
}

static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Makes DST.partial where it is missing and locks it: two runs that write there at once would mix
 * their files.  A file system without locks is trusted. */
static int lock_partial(auk_sink *s, auk_err *err)
{
    for (int tries = 0; tries < 10; tries++) {
        if (mkdir(s->partial, 0777) != 0 && errno != EEXIST)
            return auk_fail_errno(err, "cannot make folder '%s'", s->partial);
        int fd = open(s->partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
            return auk_fail_errno(err, "cannot open '%s'", s->partial);
        if (fd < 0) { /* something else has the name, or it has just become another run's DST */
            int rc = auk_tree_remove(s->partial, err);
            if (rc < 0)
                return rc;
            continue;
        }
        bool taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        if (!taken && same_file(fd, s->partial)) {
            s->lock = fd;
            return AUK_OK;
        }
        close(fd);
        if (taken)
            break;
    }
    return auk_fail(err, AUK_EINVAL,
                    "'%s' is being written by another process: let it end, or choose another name",
                    s->dst);
}

/* Begins with an empty DST.partial. */
static int start_over(auk_sink *s, auk_err *err)
{
    int rc = auk_tree_remove(s->partial, err);

    close(s->lock);
    s->lock = -1;
    return rc == AUK_OK ? lock_partial(s, err) : rc;
}

int auk_sink_begin(auk_sink *s, const char *plan, uint64_t *done, auk_err *err)
{
    s->plan = auk_strndup(plan, strlen(plan));
    cut_shards(s);
    *done = 0;
    int rc = lock_partial(s, err);
    if (rc < 0)
        return rc;
    bool resume = read_state(s, done);
    if (!resume && s->expects && has_state(s))
        return auk_fail(err, AUK_EINVAL,
                        "'%s' was begun with another source or other options: give the same, or "
                        "leave out --resume to begin anew",
                        s->partial);
    rc = check_space(s, resume ? allocated(s) : 0, err);
    if (rc < 0 && !resume)
        rmdir(s->partial); /* made just now, unless something lies in it */
    if (rc == AUK_OK && !resume)
        rc = start_over(s, err);
    if (rc < 0)
        return rc;
    const out_tensor **order = sorted(s);
    for (size_t i = 0; i < s->n_shards && rc == AUK_OK; i++)
        rc = open_shard(s, order, (int)i, err);
    free(order);
    return rc == AUK_OK && !resume ? write_state(s, 0, err) : rc;
}

int auk_sink_write(auk_sink *s, int tensor, uint64_t offset, const void *p, uint64_t bytes,
                   auk_err *err)
{
    const out_tensor *t = &s->tensors[tensor];
    const out_shard *shard = &s->shards[t->shard];

    atomic_fetch_add_explicit(&s->unsynced, bytes, memory_order_relaxed);
    return write_all(shard->fd, p, bytes, shard->data_at + t->begin + offset, shard->path, err);
}

static int sync_shards(auk_sink *s, auk_err *err)
{
    for (size_t i = 0; i < s->n_shards; i++)
        if (fsync(s->shards[i].fd) != 0)
            return auk_fail_errno(err, "cannot sync '%s'", s->shards[i].path);
    atomic_store(&s->unsynced, 0);
    return AUK_OK;
}

int auk_sink_mark(auk_sink *s, uint64_t done, auk_err *err)
{
    if (atomic_load(&s->unsynced) < SYNC_BYTES)
        return AUK_OK;
    int rc = sync_shards(s, err);
    return rc == AUK_OK ? write_state(s, done, err) : rc;
}

int auk_sink_mark_now(auk_sink *s, uint64_t done, auk_err *err)
{
    int rc = sync_shards(s, err);

    return rc == AUK_OK ? write_state(s, done, err) : rc;
}

const char *auk_sink_dir(const auk_sink *s)
{
    return s->partial;
}

uint64_t auk_sink_bytes(const auk_sink *s)
{
    return s->total;
}

size_t auk_sink_count(const auk_sink *s)
{
    return s->n;
}

static int write_index(const auk_sink *s, auk_err *err)
{
    const out_tensor **order = sorted(s);
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    char *path = auk_path_join(s->partial, "model.safetensors.index.json");

    auk_buf_printf(&text,
                   "{\n    \"metadata\": {\n        \"total_size\": %" PRIu64
                   "\n    },\n    \"weight_map\": {",
                   s->total);
    for (size_t i = 0; i < s->n; i++) {
        auk_buf_puts(&text, i ? ",\n        " : "\n        ");
        auk_json_print_string(&text, auk_str_of(order[i]->name), true);
        auk_buf_puts(&text, ": ");
        const char *file = strrchr(s->shards[order[i]->shard].path, '/') + 1;
        auk_json_print_string(&text, auk_str_of(file), true);
    }
    auk_buf_puts(&text, "\n    }\n}");
    int rc = auk_buf_check(&text, "the index", err);
    if (rc == AUK_OK)
        rc = auk_file_write(path, auk_buf_str(&text), err);
    free(path);
    auk_buf_release(&text);
    free(order);
    return rc;
}

/* An old destination steps aside, so that at every moment one complete folder has the name. */
static int take_name(auk_sink *s, auk_err *err)
{
    size_t n = strlen(s->dst) + sizeof ".auklet-replaced";
    char *old = auk_alloc(n);
    int rc = AUK_OK;

    snprintf(old, n, "%s.auklet-replaced", s->dst);
    bool exists = auk_file_exists(s->dst);
    if (exists)
        rc = auk_tree_remove(old, err);
    if (rc == AUK_OK && exists && rename(s->dst, old) != 0)
        rc = auk_fail_errno(err, "cannot move '%s' aside", s->dst);
    if (rc == AUK_OK && rename(s->partial, s->dst) != 0)
        rc = auk_fail_errno(err, "cannot rename '%s' to '%s'", s->partial, s->dst);
    if (rc == AUK_OK && exists)
        rc = auk_tree_remove(old, err);
    free(old);
    return rc;
}

int auk_sink_commit(auk_sink *s, auk_err *err)
{
    char *state = state_path(s);

    int rc = write_index(s, err);
    if (rc == AUK_OK)
        rc = sync_shards(s, err);
    if (rc == AUK_OK)
        rc = check_destination(s->dst, s->force, err);
    if (rc == AUK_OK)
        rc = auk_tree_remove(state, err);
    if (rc == AUK_OK)
        rc = take_name(s, err);
    free(state);
    return rc;
}
