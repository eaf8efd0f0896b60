/* SPDX-License-Identifier: Apache-2.0 */
/* Quota q = n c / N of a repository with c of N instances: it takes max(1, floor q), and those
 * raised to 1 that way are settled.  What is missing goes one by one to the others by falling
 * fraction of q, what is too much comes one by one from the largest; ties by name. */
#include "swebench/swebench.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "stats/stats.h"
#include "swebench/json_lines.h"

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const auk_instance *const *)a)->id, (*(const auk_instance *const *)b)->id);
}

static int by_repo(const void *a, const void *b)
{
    return strcmp(((const auk_stratum *)a)->repo, ((const auk_stratum *)b)->repo);
}

static void make_strata(auk_subset *s, const auk_instances *d)
{
    s->strata = auk_alloc(d->n * sizeof *s->strata);
    for (size_t i = 0; i < d->n; i++) {
        size_t k = 0;
        while (k < s->n_strata && strcmp(s->strata[k].repo, d->p[i].repo) != 0)
            k++;
        if (k == s->n_strata)
            s->strata[s->n_strata++].repo = d->p[i].repo;
        s->strata[k].has++;
    }
    qsort(s->strata, s->n_strata, sizeof *s->strata, by_repo);
}

static void allocate(auk_subset *s, size_t n, size_t all)
{
    size_t sum = 0;

    for (size_t k = 0; k < s->n_strata; k++) {
        size_t floor = n * s->strata[k].has / all;
        s->strata[k].takes = floor > 0 ? floor : 1;
        sum += s->strata[k].takes;
    }
    while (sum < n) { /* one round: each gets at most one, the largest fraction first */
        bool *given = auk_alloc(s->n_strata * sizeof *given);
        bool any = true;
        for (size_t best = 0; any && sum < n;) {
            any = false;
            for (size_t k = 0; k < s->n_strata; k++) {
                const auk_stratum *t = &s->strata[k];
                if (given[k] || n * t->has / all == 0 || t->takes == t->has)
                    continue;
                if (!any || n * t->has % all > n * s->strata[best].has % all)
                    best = k;
                any = true;
            }
            if (any) {
                given[best] = true;
                s->strata[best].takes++;
                sum++;
            }
        }
        free(given);
    }
    for (; sum > n; sum--) {
        size_t best = 0;
        for (size_t k = 1; k < s->n_strata; k++)
            if (s->strata[k].takes > s->strata[best].takes)
                best = k;
        s->strata[best].takes--;
    }
}

static int draw(auk_subset *s, const auk_instances *d, uint64_t seed, auk_err *err)
{
    const auk_instance **pool = auk_alloc(d->n * sizeof *pool);
    uint64_t *chosen = NULL;
    auk_mt19937 mt;
    int rc = auk_try_alloc(&chosen, d->n, sizeof *chosen, err);

    auk_mt19937_init(&mt, seed);
    for (size_t k = 0; k < s->n_strata && rc == AUK_OK; k++) {
        size_t m = 0;
        for (size_t i = 0; i < d->n; i++)
            if (strcmp(d->p[i].repo, s->strata[k].repo) == 0)
                pool[m++] = &d->p[i];
        qsort(pool, m, sizeof *pool, by_id);
        rc = auk_mt19937_sample(chosen, &mt, m, s->strata[k].takes, err);
        for (size_t j = 0; j < s->strata[k].takes && rc == AUK_OK; j++)
            s->p[s->n++] = pool[chosen[j]];
    }
    free(pool);
    free(chosen);
    return rc;
}

void auk_subset_text(auk_buf *out, const auk_subset *s)
{
    auk_buf_puts(out, s->n > 0 ? "[\n" : "[]\n");
    for (size_t i = 0; i < s->n; i++) {
        auk_buf_puts(out, "  ");
        auk_json_print_string(out, auk_str_of(s->p[i]->id), true);
        auk_buf_puts(out, i + 1 < s->n ? ",\n" : "\n]\n");
    }
}

static void finish(auk_subset *s)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    qsort(s->p, s->n, sizeof *s->p, by_id);
    auk_subset_text(&text, s);
    auk_sha256_of(s->sha256, auk_buf_str(&text).p, text.n);
    auk_buf_release(&text);
}

int auk_subset_draw(auk_subset *out, const auk_instances *d, size_t n, uint64_t seed, auk_err *err)
{
    *out = (auk_subset){.p = auk_alloc(d->n * sizeof *out->p)};
    make_strata(out, d);
    int rc = AUK_OK;
    if (n < out->n_strata || n > d->n)
        rc = auk_fail(
            err, AUK_EINVAL,
            "a subset of %zu is not possible: at least one of each of %zu repositories, at "
            "most %zu instances",
            n, out->n_strata, d->n);
    if (rc == AUK_OK) {
        allocate(out, n, d->n);
        rc = draw(out, d, seed, err);
    }
    if (rc == AUK_OK)
        finish(out);
    else
        auk_subset_release(out);
    return rc;
}

void auk_subset_all(auk_subset *out, const auk_instances *d)
{
    *out = (auk_subset){.p = auk_alloc(d->n * sizeof *out->p)};
    for (size_t i = 0; i < d->n; i++)
        out->p[out->n++] = &d->p[i];
    finish(out);
}

/* ---- a given file ------------------------------------------------------------------------- */

typedef struct adding {
    auk_subset *s;
    const auk_instances *d;
    const auk_notes *notes;
    const char *path;
} adding;

static void add_id(adding *a, auk_str id)
{
    char text[200];

    snprintf(text, sizeof text, "%.*s", AUK_ARG(id));
    const auk_instance *in = auk_instances_find(a->d, text);
    if (in == NULL) {
        auk_note(a->notes, "'%s': '%s' is not in the data set", a->path, text);
        return;
    }
    for (size_t i = 0; i < a->s->n; i++)
        if (a->s->p[i] == in) {
            auk_note(a->notes, "'%s': '%s' is there twice", a->path, text);
            return;
        }
    a->s->p[a->s->n++] = in;
}

static const json_t *list_in(const json_t *v)
{
    const char *key;
    json_t *value;

    if (json_is_object(v))
        json_object_foreach((json_t *)v, key, value) if (json_is_array(value)) return value;
    return v;
}

static int add_json(adding *a, auk_str text, auk_err *err)
{
    json_t *v;

    int rc = auk_json_parse(&v, text, a->path, err);
    if (rc < 0)
        return rc;
    const json_t *list = list_in(v);
    for (size_t i = 0; i < json_array_size(list) && rc == AUK_OK; i++) {
        const json_t *e = json_array_get(list, i);
        if (json_is_object(e))
            e = json_object_get(e, "instance_id");
        if (json_is_string(e))
            add_id(a, auk_json_str(e));
        else
            rc = auk_fail(err, AUK_EFORMAT, "'%s': entry %zu is no instance id", a->path, i + 1);
    }
    json_decref(v);
    return rc;
}

static void add_lines(adding *a, auk_str text)
{
    for (size_t at = 0; at < text.n;) {
        const char *p = text.p + at, *end = memchr(p, '\n', text.n - at);
        auk_str line = {p, end != NULL ? (size_t)(end - p) : text.n - at};
        at += line.n + 1;
        while (line.n > 0 && (unsigned char)line.p[line.n - 1] <= ' ')
            line.n--;
        if (line.n > 0)
            add_id(a, line);
    }
}

int auk_subset_read(auk_subset *out, const char *path, const char *sha256, const auk_instances *d,
                    const auk_notes *notes, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT((size_t)64 << 20);
    adding a = {out, d, notes, path};
    char hex[65];

    *out = (auk_subset){.p = auk_alloc((d->n + 1) * sizeof *out->p)};
    int rc = auk_file_read(&text, path, err);
    auk_str s = auk_buf_str(&text);
    if (rc == AUK_OK) {
        auk_sha256_of(hex, s.p, s.n);
        if (sha256 != NULL && strcmp(hex, sha256) != 0)
            rc = auk_fail(err, AUK_EINVAL, "'%s' has sha256 %s, not %s", path, hex, sha256);
    }
    size_t skip = 0;
    while (skip < s.n && (unsigned char)s.p[skip] <= ' ')
        skip++;
    if (rc == AUK_OK && skip < s.n && (s.p[skip] == '[' || s.p[skip] == '{'))
        rc = add_json(&a, s, err);
    else if (rc == AUK_OK)
        add_lines(&a, s);
    if (rc == AUK_OK && out->n == 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' names no instance of the data set", path);
    auk_buf_release(&text);
    if (rc < 0) {
        auk_subset_release(out);
        return rc;
    }
    finish(out);
    memcpy(out->sha256, hex, sizeof hex);
    return rc;
}

void auk_subset_release(auk_subset *s)
{
    free(s->p);
    free(s->strata);
    *s = (auk_subset){0};
}
