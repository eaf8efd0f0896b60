/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "format/format.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>

typedef struct shard {
    char *file;          /* owned; base name */
    char *path;          /* owned */
    auk_safetensors *st; /* owned */
} shard;

struct auk_checkpoint {
    char *dir;     /* owned */
    shard *shards; /* owned */
    size_t n_shards;
    auk_tensor *tensors; /* owned; copies of the shards' entries, sorted by name */
    size_t n;
    uint64_t bytes;
    bool is_mlx;
};

/* A file name of an index may not leave the folder. */
static bool is_plain_name(auk_str s)
{
    return s.n > 0 && s.n < 256 && s.p[0] != '.' && memchr(s.p, '/', s.n) == NULL &&
           memchr(s.p, 0, s.n) == NULL;
}

static int add_shard(auk_checkpoint *ck, auk_str file, auk_err *err)
{
    for (size_t i = 0; i < ck->n_shards; i++)
        if (auk_str_is(file, ck->shards[i].file))
            return AUK_OK;
    ck->shards = auk_realloc(ck->shards, (ck->n_shards + 1) * sizeof *ck->shards);
    shard *s = &ck->shards[ck->n_shards++];
    s->file = auk_strndup(file.p, file.n);
    s->path = auk_path_join(ck->dir, s->file);
    s->st = NULL;
    int rc = auk_safetensors_open(&s->st, s->path, err);
    if (rc == AUK_ENOTFOUND)
        return auk_fail(err, rc, "'%s': shard '%s' is missing: fetch it again", ck->dir, s->file);
    return rc;
}

static int open_index(auk_checkpoint *ck, const char *path, json_t *index, auk_err *err)
{
    json_t *map = json_object_get(index, "weight_map"), *v;
    const char *key;
    int rc = AUK_OK;

    if (!json_is_object(map) || json_object_size(map) == 0)
        return auk_fail(err, AUK_EFORMAT, "'%s' has no weight_map", path);
    json_object_foreach(map, key, v)
    {
        if (!is_plain_name(auk_json_str(v)))
            return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.200s' names no file of this folder",
                            path, key);
        rc = add_shard(ck, auk_json_str(v), err);
        if (rc < 0)
            return rc;
    }
    json_object_foreach(
        map, key, v) for (size_t i = 0; i < ck->n_shards;
                          i++) if (auk_str_is(auk_json_str(v), ck->shards[i].file) &&
                                   auk_safetensors_find(ck->shards[i].st, auk_str_of(key)) ==
                                       NULL) return auk_fail(err, AUK_EFORMAT,
                                                             "'%s': tensor '%.200s' is not in '%s'",
                                                             path, key, ck->shards[i].file);
    return AUK_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Without an index every *.safetensors of the folder counts, in name order. */
static int open_all(auk_checkpoint *ck, auk_err *err)
{
    char **names = NULL;
    size_t n = 0;
    struct dirent *e;
    int rc = AUK_OK;

    DIR *d = opendir(ck->dir);
    if (d == NULL)
        return auk_fail_errno(err, "cannot open model folder '%s'", ck->dir);
    while ((e = readdir(d)) != NULL)
        if (auk_str_ends(auk_str_of(e->d_name), ".safetensors") && e->d_name[0] != '.') {
            names = auk_realloc(names, (n + 1) * sizeof *names);
            names[n++] = auk_strndup(e->d_name, strlen(e->d_name));
        }
    closedir(d);
    if (n > 0)
        qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (rc == AUK_OK)
            rc = add_shard(ck, auk_str_of(names[i]), err);
        free(names[i]);
    }
    free(names);
    if (rc == AUK_OK && n == 0)
        rc = auk_fail(err, AUK_ENOTFOUND, "'%s' holds no *.safetensors: not a model folder",
                      ck->dir);
    return rc;
}

static int open_shards(auk_checkpoint *ck, auk_err *err)
{
    char *index_path = auk_path_join(ck->dir, "model.safetensors.index.json");
    char *single = auk_path_join(ck->dir, "model.safetensors");
    json_t *index = NULL;
    int rc;

    if (auk_file_exists(index_path)) {
        rc = auk_json_read(&index, index_path, err);
        if (rc == AUK_OK)
            rc = open_index(ck, index_path, index, err);
    } else if (auk_file_exists(single)) {
        rc = add_shard(ck, auk_str_of("model.safetensors"), err);
    } else {
        rc = open_all(ck, err);
    }
    json_decref(index);
    free(index_path);
    free(single);
    return rc;
}

static int compare(auk_str a, auk_str b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_name(const void *a, const void *b)
{
    return compare(((const auk_tensor *)a)->name, ((const auk_tensor *)b)->name);
}

static int collect(auk_checkpoint *ck, auk_err *err)
{
    size_t total = 0;

    for (size_t i = 0; i < ck->n_shards; i++)
        total += auk_safetensors_count(ck->shards[i].st);
    int rc = auk_try_alloc(&ck->tensors, total, sizeof *ck->tensors, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ck->n_shards; i++) {
        const auk_safetensors *st = ck->shards[i].st;
        const char *format = auk_safetensors_metadata(st, "format");
        ck->is_mlx |= format != NULL && strcmp(format, "mlx") == 0;
        for (size_t j = 0; j < auk_safetensors_count(st); j++) {
            ck->tensors[ck->n] = *auk_safetensors_at(st, j);
            ck->tensors[ck->n].shard = (int)i;
            ck->bytes += ck->tensors[ck->n++].bytes;
        }
    }
    qsort(ck->tensors, ck->n, sizeof *ck->tensors, by_name);
    for (size_t i = 1; i < ck->n; i++)
        if (auk_str_eq(ck->tensors[i - 1].name, ck->tensors[i].name))
            return auk_fail(err, AUK_EFORMAT, "tensor '%.*s' is in both '%s' and '%s'",
                            AUK_ARG(ck->tensors[i].name), ck->shards[ck->tensors[i - 1].shard].path,
                            ck->shards[ck->tensors[i].shard].path);
    return AUK_OK;
}

int auk_checkpoint_open(auk_checkpoint **out, const char *dir, auk_err *err)
{
    auk_checkpoint *ck = auk_alloc(sizeof *ck);

    *out = NULL;
    ck->dir = auk_strndup(dir, strlen(dir));
    int rc = AUK_OK;
    if (!auk_file_exists(dir))
        rc = auk_fail(err, AUK_ENOTFOUND, "no model folder '%s'", dir);
    else if (!auk_file_is_dir(dir))
        rc = auk_fail(err, AUK_EINVAL,
                      "'%s' is not a folder: give the folder that holds config.json", dir);
    if (rc == AUK_OK)
        rc = open_shards(ck, err);
    if (rc == AUK_OK)
        rc = collect(ck, err);
    if (rc == AUK_OK) {
        *out = ck;
        ck = NULL;
    }
    auk_checkpoint_close(ck);
    return rc;
}

void auk_checkpoint_close(auk_checkpoint *ck)
{
    if (ck == NULL)
        return;
    for (size_t i = 0; i < ck->n_shards; i++) {
        auk_safetensors_close(ck->shards[i].st);
        free(ck->shards[i].file);
        free(ck->shards[i].path);
    }
    free(ck->shards);
    free(ck->tensors);
    free(ck->dir);
    free(ck);
}

const char *auk_checkpoint_dir(const auk_checkpoint *ck)
{
    return ck->dir;
}

size_t auk_checkpoint_count(const auk_checkpoint *ck)
{
    return ck->n;
}

const auk_tensor *auk_checkpoint_at(const auk_checkpoint *ck, size_t i)
{
    return &ck->tensors[i];
}

const auk_tensor *auk_checkpoint_find(const auk_checkpoint *ck, auk_str name)
{
    size_t lo = 0, hi = ck->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = compare(name, ck->tensors[mid].name);
        if (c == 0)
            return &ck->tensors[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

uint64_t auk_checkpoint_bytes(const auk_checkpoint *ck)
{
    return ck->bytes;
}

bool auk_checkpoint_is_mlx(const auk_checkpoint *ck)
{
    return ck->is_mlx;
}

const char *auk_checkpoint_file(const auk_checkpoint *ck, int i)
{
    return ck->shards[i].path;
}

void auk_checkpoint_drop(const auk_checkpoint *ck, const auk_tensor *t, uint64_t offset,
                         uint64_t bytes)
{
    auk_safetensors_drop(ck->shards[t->shard].st, t->data + offset, bytes);
}
