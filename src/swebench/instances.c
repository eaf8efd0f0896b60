/* SPDX-License-Identifier: Apache-2.0 */
#include "swebench/swebench.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "swebench/json_lines.h"

struct auk_instances_store {
    json_t *rows; /* by id */
    char **paths; /* owned: oracle files of all instances */
    size_t n_paths, cap;
};

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

static bool is_commit(const char *s)
{
    return s != NULL && strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

static const char *keep_path(struct auk_instances_store *st, auk_str path)
{
    if (st->n_paths == st->cap) {
        st->cap = st->cap > 0 ? 2 * st->cap : 1024;
        st->paths = auk_realloc(st->paths, st->cap * sizeof *st->paths);
    }
    return st->paths[st->n_paths++] = auk_strndup(path.p, path.n);
}

/* The files after "--- a/": what the gold patch changes; new ones have /dev/null there.  Lines of
 * a hunk that look the same are told apart by the "+++ " line that follows. */
static void find_oracle(auk_instance *in, struct auk_instances_store *st, auk_str patch)
{
    for (size_t at = 0; at < patch.n;) {
        const char *p = patch.p + at, *end = memchr(p, '\n', patch.n - at);
        auk_str line = {p, end != NULL ? (size_t)(end - p) : patch.n - at};
        at += line.n + 1;
        if (!auk_str_starts(line, "--- a/") || at >= patch.n ||
            !auk_str_starts(auk_str_from(patch, at), "+++ "))
            continue;
        line = auk_str_from(line, 6);
        while (line.n > 0 && line.p[line.n - 1] == '\t')
            line.n--;
        in->files = auk_realloc(in->files, (in->n_files + 1) * sizeof *in->files);
        in->files[in->n_files++] = keep_path(st, line);
    }
}

typedef struct reading {
    auk_instances *d;
    const auk_notes *notes;
    const char *path;
    size_t cap;
} reading;

static int add_row(void *ctx, size_t number, json_t *row, auk_err *err)
{
    static const char *const wanted[] = {"instance_id", "repo", "base_commit", "problem_statement",
                                         "patch"};
    reading *r = ctx;
    auk_instances *d = r->d;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (text_of(row, wanted[i]) == NULL)
            return auk_fail(err, AUK_EFORMAT, "'%s', line %zu: '%s' is not a string", r->path,
                            number, wanted[i]);
    const char *id = text_of(row, "instance_id");
    if (!is_commit(text_of(row, "base_commit")))
        return auk_fail(err, AUK_EFORMAT, "'%s', line %zu: base_commit is no commit id", r->path,
                        number);
    if (json_object_get(d->store->rows, id) != NULL) {
        auk_note(r->notes, "'%s', line %zu: '%s' is there twice; the first one counts", r->path,
                 number, id);
        return AUK_OK;
    }
    json_object_set(d->store->rows, id, row);
    if (d->n == r->cap) {
        r->cap = r->cap > 0 ? 2 * r->cap : 512;
        d->p = auk_realloc(d->p, r->cap * sizeof *d->p);
    }
    auk_instance *in = &d->p[d->n++];
    *in = (auk_instance){.id = id,
                         .repo = text_of(row, "repo"),
                         .base_commit = text_of(row, "base_commit"),
                         .issue = auk_json_str(json_object_get(row, "problem_statement"))};
    find_oracle(in, d->store, auk_json_str(json_object_get(row, "patch")));
    return AUK_OK;
}

int auk_instances_open(auk_instances *out, const char *path, const auk_notes *notes, auk_err *err)
{
    reading r = {.d = out, .notes = notes, .path = path};

    *out = (auk_instances){.store = auk_alloc(sizeof *out->store)};
    out->store->rows = json_object();
    int rc = auk_json_lines_read(path, out->sha256, notes, add_row, &r, err);
    if (rc == AUK_OK && out->n == 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' holds no instance", path);
    if (rc < 0)
        auk_instances_close(out);
    return rc;
}

void auk_instances_close(auk_instances *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->p[i].files);
    if (d->store != NULL) {
        for (size_t i = 0; i < d->store->n_paths; i++)
            free(d->store->paths[i]);
        free(d->store->paths);
        json_decref(d->store->rows);
    }
    free(d->store);
    free(d->p);
    *d = (auk_instances){0};
}

const auk_instance *auk_instances_find(const auk_instances *d, const char *id)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->p[i].id, id) == 0)
            return &d->p[i];
    return NULL;
}
