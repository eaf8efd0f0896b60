/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "ledger/ledger.h"

#include "base/file.h"
#include "base/mem.h"

#include "ledger/hash_cache.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define CHUNK ((size_t)1 << 20)

typedef struct part {
    char *name; /* owned; within the folder */
    uint64_t bytes;
    char hex[AUK_SHA256_HEX];
    int rc;
    auk_err err; /* own: the first part's failure is told, whichever came first */
} part;

typedef struct job {
    const char *dir;
    part *parts; /* owned */
    size_t n;
    uint64_t total;
    atomic_ullong done;
    atomic_bool stop;
    auk_progress_fn *progress;
    void *ctx;
    auk_hash_cache cache; /* read-only while parts are hashed */
} job;

static bool takes_part(const char *name)
{
    static const char *const ends[] = {".jinja", ".json", ".model", ".safetensors"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (name[0] != '.' && auk_str_ends(auk_str_of(name), ends[i]))
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const part *)a)->name, ((const part *)b)->name);
}

static int find_parts(job *j, auk_err *err)
{
    struct dirent *e;
    struct stat st;

    DIR *d = opendir(j->dir);
    if (d == NULL)
        return auk_fail_errno(err, "cannot open folder '%s'", j->dir);
    while ((e = readdir(d)) != NULL) {
        if (!takes_part(e->d_name))
            continue;
        char *path = auk_path_join(j->dir, e->d_name);
        bool is_file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
        free(path);
        if (!is_file)
            continue;
        j->parts = auk_realloc(j->parts, (j->n + 1) * sizeof *j->parts);
        j->parts[j->n] = (part){.bytes = (uint64_t)st.st_size};
        j->parts[j->n++].name = auk_strndup(e->d_name, strlen(e->d_name));
        j->total += (uint64_t)st.st_size;
    }
    closedir(d);
    if (j->n == 0)
        return auk_fail(err, AUK_ENOTFOUND, "'%s' holds no file of a model", j->dir);
    qsort(j->parts, j->n, sizeof *j->parts, by_name);
    return AUK_OK;
}

static void hash_part(job *j, part *p)
{
    char *path = auk_path_join(j->dir, p->name), *chunk = auk_alloc(CHUNK);
    struct stat before = {0}, after = {0};
    size_t n;

    FILE *f = fopen(path, "rb");
    if (f == NULL)
        p->rc = auk_fail_errno(&p->err, "cannot open '%s'", path);
    if (f != NULL && fstat(fileno(f), &before) == 0 &&
        auk_hash_cache_find(&j->cache, p->hex, &before)) {
        atomic_fetch_add(&j->done, p->bytes);
        fclose(f);
        free(chunk);
        free(path);
        return;
    }
    auk_sha256 *h = auk_sha256_new();
    while (f != NULL && !atomic_load(&j->stop) && (n = fread(chunk, 1, CHUNK, f)) > 0) {
        auk_sha256_add(h, chunk, n);
        uint64_t done = atomic_fetch_add(&j->done, n) + n;
        if (j->progress != NULL && auk_pool_self() == 0 &&
            j->progress(j->ctx, "fingerprint", "bytes", done, j->total))
            atomic_store(&j->stop, true);
    }
    if (f != NULL && ferror(f))
        p->rc = auk_fail_errno(&p->err, "cannot read '%s'", path);
    auk_sha256_finish(h, p->hex);
    if (f != NULL && p->rc == AUK_OK && !atomic_load(&j->stop) && fstat(fileno(f), &after) == 0 &&
        auk_hash_cache_same(&before, &after))
        auk_hash_cache_add(&j->cache, p->hex, &after);
    if (f != NULL)
        fclose(f);
    free(chunk);
    free(path);
}

static void hash_range(void *ctx, size_t lo, size_t hi)
{
    job *j = ctx;

    for (size_t i = lo; i < hi; i++)
        hash_part(j, &j->parts[i]);
}

int auk_fingerprint(char hex[AUK_SHA256_HEX], const char *dir, const char *cache, auk_pool *pool,
                    auk_progress_fn *progress, void *ctx, auk_err *err)
{
    job j = {.dir = dir, .progress = progress, .ctx = ctx};

    int rc = find_parts(&j, err);
    auk_hash_cache_open(&j.cache, cache);
    if (rc == AUK_OK)
        auk_pool_run(pool, j.n, 1, hash_range, &j);
    auk_hash_cache_close(&j.cache);
    auk_sha256 *h = auk_sha256_new();
    for (size_t i = 0; i < j.n; i++) {
        if (rc == AUK_OK && j.parts[i].rc < 0) {
            rc = j.parts[i].rc;
            *err = j.parts[i].err;
        }
        auk_sha256_add(h, j.parts[i].hex, 64);
        auk_sha256_add(h, "  ", 2);
        auk_sha256_add(h, j.parts[i].name, strlen(j.parts[i].name));
        auk_sha256_add(h, "\n", 1);
        free(j.parts[i].name);
    }
    auk_sha256_finish(h, hex);
    free(j.parts);
    if (rc == AUK_OK && atomic_load(&j.stop))
        rc = auk_fail(err, AUK_ECANCEL, "stopped");
    return rc;
}
