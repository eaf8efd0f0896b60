/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* One line of the file. */
typedef struct row {
    char *task;     /* owned */
    int64_t sample; /* -1: the file does not number them */
    bool passed, broken;
    size_t line;
} row;

typedef struct rows {
    row *p;
    size_t n, cap;
    const char *path;
    char *data_sha256; /* borrowed from the tally */
} rows;

static void rows_release(rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->p[i].task);
    free(r->p);
}

static int bad(const rows *r, size_t line, const char *what, auk_err *err)
{
    return auk_fail(err, AUK_EFORMAT, "'%s', line %zu: %s", r->path, line, what);
}

static int add(rows *r, const row *one, auk_err *err)
{
    if (r->n == r->cap) {
        size_t cap = r->cap > 0 ? 2 * r->cap : 256;
        row *bigger = NULL;
        int rc = auk_try_alloc(&bigger, cap, sizeof *bigger, err);
        if (rc != AUK_OK)
            return rc;
        if (r->n > 0)
            memcpy(bigger, r->p, r->n * sizeof *bigger);
        free(r->p);
        r->p = bigger;
        r->cap = cap;
    }
    r->p[r->n++] = *one;
    return AUK_OK;
}

/* The data hash of a line, if it has one, must be the file's. */
static int note_data(rows *r, const json_t *v, size_t line, auk_err *err)
{
    const json_t *hash = json_object_get(v, "data_sha256");
    auk_str text = auk_json_str(hash);

    if (hash == NULL || json_is_null(hash))
        return AUK_OK;
    if (text.n != 64 || memchr(text.p, 0, text.n) != NULL)
        return bad(r, line, "data_sha256 is not a hash of 64 digits", err);
    if (r->data_sha256[0] == 0)
        memcpy(r->data_sha256, text.p, text.n + 1);
    else if (memcmp(r->data_sha256, text.p, text.n) != 0)
        return bad(r, line, "data_sha256 is not that of the lines before", err);
    return AUK_OK;
}

/* Fills everything but the task. */
static int read_verdict(const rows *r, row *one, const json_t *v, auk_err *err)
{
    const json_t *passed = json_object_get(v, "passed"), *sample = json_object_get(v, "sample");
    const json_t *status = json_object_get(v, "status");
    auk_str word = auk_json_str(status);

    if (!json_is_boolean(passed))
        return bad(r, one->line, "passed is not true or false", err);
    one->passed = json_is_true(passed);
    if (sample != NULL && (!json_is_integer(sample) || json_integer_value(sample) < 0))
        return bad(r, one->line, "sample is not a number from 0 on", err);
    one->sample = sample != NULL ? json_integer_value(sample) : -1;
    if (status != NULL && word.p == NULL)
        return bad(r, one->line, "status is not a text", err);
    if (status != NULL && auk_str_is(word, "passed") != one->passed)
        return bad(r, one->line, "status and passed contradict each other", err);
    one->broken = status != NULL && auk_str_is(word, "harness_error");
    return AUK_OK;
}

static int read_object(rows *r, const json_t *v, size_t line, auk_err *err)
{
    row one = {.line = line};
    const json_t *id = json_object_get(v, "task_id");
    auk_str task = auk_json_str(id);

    if (!json_is_object(v))
        return bad(r, line, "not a JSON object", err);
    int rc = note_data(r, v, line, err);
    if (rc != AUK_OK || (id == NULL && json_object_get(v, "schema") != NULL))
        return rc;
    if (task.n == 0 || memchr(task.p, 0, task.n) != NULL)
        return bad(r, line, "task_id is not a text", err);
    rc = read_verdict(r, &one, v, err);
    if (rc != AUK_OK)
        return rc;
    one.task = auk_strndup(task.p, task.n);
    rc = add(r, &one, err);
    if (rc != AUK_OK)
        free(one.task);
    return rc;
}

static bool blank(auk_str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

static int read_line(rows *r, auk_str text, size_t line, bool is_whole, auk_err *err)
{
    json_t *v = NULL;

    if (blank(text))
        return AUK_OK;
    if (auk_json_parse(&v, text, r->path, NULL) < 0)
        return bad(r, line,
                   is_whole ? "not valid JSON"
                            : "it ends in the middle; resume the run that wrote it",
                   err);
    int rc = read_object(r, v, line, err);
    json_decref(v);
    return rc;
}

static int read_lines(rows *r, auk_str text, auk_err *err)
{
    for (size_t line = 1; text.n > 0; line++) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        int rc = read_line(r, (auk_str){text.p, n}, line, end != NULL, err);
        if (rc != AUK_OK)
            return rc;
        text = auk_str_from(text, end != NULL ? n + 1 : n);
    }
    return AUK_OK;
}

static int by_task(const void *x, const void *y)
{
    const row *a = x, *b = y;
    int order = strcmp(a->task, b->task);

    if (order != 0)
        return order;
    if (a->sample != b->sample)
        return a->sample < b->sample ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

/* Sorted rows become one count per task. */
static int gather(auk_tally *out, rows *r, auk_err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        row *one = &r->p[i], *before = i > 0 ? one - 1 : NULL;
        bool again = out->n > 0 && strcmp(out->p[out->n - 1].task, one->task) == 0;
        if (again && one->sample >= 0 && one->sample == before->sample)
            return auk_fail(err, AUK_EFORMAT,
                            "'%s' has sample %lld of '%s' twice, in lines %zu and %zu", r->path,
                            (long long)one->sample, one->task, before->line, one->line);
        if (!again) {
            char *task = auk_strndup(one->task, strlen(one->task));
            out->p[out->n++] = (auk_task_tally){.task = task};
        }
        auk_task_tally *o = &out->p[out->n - 1];
        o->n++;
        o->passed += one->passed;
        o->broken |= one->broken;
    }
    return AUK_OK;
}

int auk_tally_read(auk_tally *out, const char *path, auk_err *err)
{
    auk_tally o = {.name = auk_strndup(path, strlen(path))};
    rows r = {.path = path, .data_sha256 = o.data_sha256};
    auk_map map;

    int rc = auk_map_open(&map, path, err);
    if (rc != AUK_OK)
        goto out;
    rc = read_lines(&r, (auk_str){(const char *)map.p, map.n}, err);
    auk_map_close(&map);
    if (rc != AUK_OK)
        goto out;
    if (r.p == NULL) {
        rc = auk_fail(err, AUK_EFORMAT, "'%s' holds no result", path);
        goto out;
    }
    qsort(r.p, r.n, sizeof *r.p, by_task);
    rc = auk_try_alloc(&o.p, r.n, sizeof *o.p, err);
    if (rc == AUK_OK)
        rc = gather(&o, &r, err);
    if (rc == AUK_OK) {
        *out = o;
        o = (auk_tally){0};
    }
out:
    rows_release(&r);
    auk_tally_release(&o);
    return rc;
}

void auk_tally_release(auk_tally *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->p[i].task);
    free(o->p);
    free(o->name);
    *o = (auk_tally){0};
}

/* ---- one file ----------------------------------------------------------------------------- */

static int one_sample(const auk_tally *o, auk_err *err)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->p[i].n != 1)
            return auk_fail(err, AUK_EINVAL,
                            "'%s' has %llu samples of '%s': only bootstrap, passk and "
                            "passhatk take more than one",
                            o->name, (unsigned long long)o->p[i].n, o->p[i].task);
    return AUK_OK;
}

int auk_tally_count(uint64_t *k, uint64_t *n, const auk_tally *t, auk_err *err)
{
    int rc = one_sample(t, err);

    if (rc != AUK_OK)
        return rc;
    *k = *n = 0;
    for (size_t i = 0; i < t->n; i++) {
        *k += t->p[i].broken ? 0 : t->p[i].passed;
        *n += !t->p[i].broken;
    }
    return AUK_OK;
}

int auk_tally_mean(double *out, size_t *tasks, const auk_tally *t, auk_estimate_fn *estimate,
                   uint64_t k, auk_err *err)
{
    double sum = 0, one = 0;
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        const auk_task_tally *task = &t->p[i];
        if (task->broken)
            continue;
        if (task->n < k)
            return auk_fail(err, AUK_EINVAL, "'%s' has %llu samples of '%s', k is %llu", t->name,
                            (unsigned long long)task->n, task->task, (unsigned long long)k);
        int rc = estimate(&one, task->n, task->passed, k, err);
        if (rc != AUK_OK)
            return rc;
        sum += one;
        n++;
    }
    if (n == 0)
        return auk_fail(err, AUK_EINVAL, "the harness broke on every task of '%s'", t->name);
    *out = sum / (double)n;
    *tasks = n;
    return AUK_OK;
}

/* ---- two files ---------------------------------------------------------------------------- */

/* How many tasks of a are not in b, and the first of them. */
static size_t missing(const char **first, const auk_tally *a, const auk_tally *b)
{
    size_t n = 0, j = 0;

    for (size_t i = 0; i < a->n; i++) {
        while (j < b->n && strcmp(b->p[j].task, a->p[i].task) < 0)
            j++;
        if (j == b->n || strcmp(b->p[j].task, a->p[i].task) != 0)
            if (n++ == 0)
                *first = a->p[i].task;
    }
    return n;
}

int auk_tally_match(const auk_tally *a, const auk_tally *b, auk_err *err)
{
    const char *first = NULL;

    if (a->data_sha256[0] != 0 && b->data_sha256[0] != 0 &&
        strcmp(a->data_sha256, b->data_sha256) != 0)
        return auk_fail(err, AUK_EINVAL,
                        "the runs used different data: %.12s... in '%s', %.12s... in '%s'",
                        a->data_sha256, a->name, b->data_sha256, b->name);
    const auk_tally *has = a, *lacks = b;
    size_t n = missing(&first, a, b);
    if (n == 0) {
        has = b;
        lacks = a;
        n = missing(&first, b, a);
    }
    if (n > 0)
        return auk_fail(err, AUK_EINVAL,
                        "the runs are of different tasks: %zu of '%s' are not in '%s', '%s' first",
                        n, has->name, lacks->name, first);
    return AUK_OK;
}

int auk_tally_table(auk_paired *out, size_t *excluded, const auk_tally *a, const auk_tally *b,
                    auk_err *err)
{
    auk_paired t = {0};

    int rc = auk_tally_match(a, b, err);
    if (rc == AUK_OK)
        rc = one_sample(a, err);
    if (rc == AUK_OK)
        rc = one_sample(b, err);
    if (rc != AUK_OK)
        return rc;
    *excluded = 0;
    for (size_t i = 0; i < a->n; i++) {
        const auk_task_tally *x = &a->p[i], *y = &b->p[i];
        uint64_t *cell =
            x->passed > 0 ? (y->passed > 0 ? &t.a : &t.b) : (y->passed > 0 ? &t.c : &t.d);
        if (x->broken || y->broken)
            ++*excluded;
        else
            ++*cell;
    }
    *out = t;
    return AUK_OK;
}

int auk_tally_differences(double **out, size_t *n, size_t *excluded, const auk_tally *a,
                          const auk_tally *b, auk_err *err)
{
    int rc = auk_tally_match(a, b, err);

    *out = NULL;
    *n = *excluded = 0;
    if (rc == AUK_OK)
        rc = auk_try_alloc(out, a->n, sizeof **out, err);
    if (rc != AUK_OK)
        return rc;
    for (size_t i = 0; i < a->n; i++) {
        const auk_task_tally *x = &a->p[i], *y = &b->p[i];
        if (x->broken || y->broken)
            ++*excluded;
        else
            (*out)[(*n)++] = (double)x->passed / (double)x->n - (double)y->passed / (double)y->n;
    }
    return AUK_OK;
}
