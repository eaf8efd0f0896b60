/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/answers.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"

#define MAX_SAMPLES 10000

/* The task of a line: "HumanEval/3", "11" or 11. */
static const auk_task *task_of(const auk_dataset *d, const json_t *line)
{
    const json_t *id = json_object_get(line, "task_id");
    char number[24];

    if (json_is_integer(id)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(id));
        return auk_dataset_find(d, auk_str_of(number));
    }
    return json_is_string(id) ? auk_dataset_find(d, auk_json_str(id)) : NULL;
}

static int read_answer(auk_answers *a, const auk_dataset *d, size_t limit, int *next, json_t *line,
                       const char *name, const char *key, auk_err *err)
{
    const auk_task *task = task_of(d, line);
    const json_t *text = json_object_get(line, key), *sample = json_object_get(line, "sample");
    auk_str finish = auk_json_str(json_object_get(line, "finish_reason"));

    if (task == NULL)
        return auk_fail(err, AUK_EFORMAT, "%s: no 'task_id' of this data set", name);
    if (!json_is_string(text))
        return auk_fail(err, AUK_EFORMAT, "%s: '%s' is not a string", name, key);
    size_t i = (size_t)(task - d->tasks);
    if (i >= limit)
        return AUK_OK;
    json_int_t k = json_is_integer(sample) ? json_integer_value(sample) : next[i];
    if (k < 0 || k >= MAX_SAMPLES)
        return auk_fail(err, AUK_EFORMAT, "%s: sample %lld", name, (long long)k);
    next[i] = (int)k + 1;
    a->p[a->n++] = (auk_answer){.task = task,
                                .sample = (int)k,
                                .text = auk_json_str(text),
                                .finish = finish.p != NULL ? finish : (auk_str){"", 0}};
    return AUK_OK;
}

static int by_task(const void *x, const void *y)
{
    const auk_answer *a = x, *b = y;

    if (a->task != b->task)
        return a->task < b->task ? -1 : 1;
    return (a->sample > b->sample) - (a->sample < b->sample);
}

static int read_lines(auk_answers *a, const auk_dataset *d, size_t limit, auk_str text,
                      const char *path, const char *key, auk_err *err)
{
    int *next = auk_alloc(d->n * sizeof *next);
    size_t number = 0, lines = 1;
    char name[300];

    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    int rc = auk_try_alloc(&a->p, lines, sizeof *a->p, err);
    while (rc == AUK_OK && text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        auk_str line = {text.p, n};
        json_t *v;
        text = auk_str_from(text, n + (end != NULL));
        snprintf(name, sizeof name, "%.200s, line %zu", path, ++number);
        while (line.n > 0 && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\r'))
            line.n--;
        if (line.n == 0)
            continue;
        rc = auk_json_parse(&v, line, name, err);
        if (rc < 0)
            break;
        json_array_append_new(a->lines, v);
        rc = read_answer(a, d, limit, next, v, name, key, err);
    }
    free(next);
    return rc;
}

int auk_answers_read(auk_answers *out, const auk_dataset *d, size_t limit, const char *path,
                     const char *key, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);

    *out = (auk_answers){.lines = json_array()};
    int rc = auk_file_read(&text, path, err);
    if (rc == AUK_OK)
        auk_sha256_of(out->sha256, auk_buf_str(&text).p, text.n);
    if (rc == AUK_OK)
        rc = read_lines(out, d, limit, auk_buf_str(&text), path, key, err);
    if (rc == AUK_OK && out->n == 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' holds no answer to a task that is evaluated", path);
    if (rc == AUK_OK)
        qsort(out->p, out->n, sizeof *out->p, by_task);
    for (size_t i = 1; i < out->n && rc == AUK_OK; i++)
        if (by_task(&out->p[i - 1], &out->p[i]) == 0)
            rc = auk_fail(err, AUK_EFORMAT, "'%s': sample %d of %s is there twice", path,
                          out->p[i].sample, out->p[i].task->id);
    auk_buf_release(&text);
    if (rc < 0)
        auk_answers_release(out);
    return rc;
}

void auk_answers_release(auk_answers *a)
{
    json_decref(a->lines);
    free(a->p);
    *a = (auk_answers){0};
}
