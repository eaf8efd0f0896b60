/* SPDX-License-Identifier: Apache-2.0 */
#include "report/rows.h"

#include "base/mem.h"

/* The text after the last '/', and where it is a number the count of its digits, else 0. */
static const char *tail(const char *id, size_t *digits)
{
    const char *slash = strrchr(id, '/'), *t = slash != NULL ? slash + 1 : id;

    *digits = strspn(t, "0123456789");
    if (t[*digits] != 0)
        *digits = 0;
    return t;
}

/* By what comes before the tail, numbers before words, short numbers before long ones: so
 * "HumanEval/9" is before "HumanEval/10", and it is an order whatever the ids. */
int auk_task_order(const char *a, const char *b)
{
    size_t x, y;
    const char *s = tail(a, &x), *t = tail(b, &y);
    size_t n = (size_t)(s - a), m = (size_t)(t - b);
    int order = memcmp(a, b, n < m ? n : m);

    if (order == 0 && n != m)
        order = n < m ? -1 : 1;
    if (order == 0 && x != y)
        order = x == 0 ? 1 : y == 0 ? -1 : x < y ? -1 : 1;
    return order != 0 ? order : strcmp(s, t);
}

typedef struct keyed {
    const json_t *row;
    const char *id;
    size_t at;
} keyed;

static int by_task(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = auk_task_order(x->id, y->id);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

const char *auk_sample_status(const json_t *sample)
{
    const char *status = json_string_value(json_object_get(sample, "status"));

    if (status != NULL)
        return status;
    return json_is_true(json_object_get(sample, "passed")) ? "passed" : "failed";
}

bool auk_sample_truncated(const json_t *sample)
{
    const json_t *said = json_object_get(sample, "truncated");
    auk_str finish = auk_json_str(json_object_get(sample, "finish_reason"));

    return json_is_boolean(said) ? json_is_true(said) : auk_str_is(finish, "length");
}

bool auk_sample_looped(const json_t *sample)
{
    const json_t *said = json_object_get(sample, "looped");
    auk_str finish = auk_json_str(json_object_get(sample, "finish_reason"));

    return json_is_boolean(said)
               ? json_is_true(said)
               : auk_str_is(finish, "loop") || strcmp(auk_sample_status(sample), "looped") == 0;
}

static int read_keys(keyed *out, const auk_rows *rows, auk_err *err)
{
    for (size_t i = 0; i < rows->n; i++) {
        const json_t *row = rows->p[i];
        auk_str id = auk_json_str(json_object_get(row, "task_id"));
        const json_t *passed = json_object_get(row, "passed");
        bool says = strcmp(auk_sample_status(row), "passed") == 0;
        if (id.n == 0 || strlen(id.p) != id.n)
            return auk_fail(err, AUK_EFORMAT, "item %zu has no task_id", i + 1);
        if (!json_is_boolean(passed))
            return auk_fail(err, AUK_EFORMAT, "item %zu does not say whether it passed", i + 1);
        if (says != json_is_true(passed))
            return auk_fail(err, AUK_EFORMAT, "item %zu: passed and status disagree", i + 1);
        out[i] = (keyed){row, id.p, i};
    }
    qsort(out, rows->n, sizeof *out, by_task);
    return AUK_OK;
}

int auk_tasks_group(auk_tasks *out, const auk_rows *rows, auk_err *err)
{
    keyed *keys = NULL;

    *out = (auk_tasks){0};
    int rc = auk_try_alloc(&keys, rows->n + 1, sizeof *keys, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->p, rows->n + 1, sizeof *out->p, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->samples, rows->n + 1, sizeof *out->samples, err);
    if (rc == AUK_OK)
        rc = read_keys(keys, rows, err);
    for (size_t i = 0; rc == AUK_OK && i < rows->n; i++) {
        bool is_new = i == 0 || strcmp(keys[i].id, keys[i - 1].id) != 0;
        if (is_new)
            out->p[out->n++] = (auk_task){.id = keys[i].id, .samples = out->samples + i};
        auk_task *t = &out->p[out->n - 1];
        out->samples[i] = keys[i].row;
        t->n++;
        t->passed += json_is_true(json_object_get(keys[i].row, "passed"));
        t->broken |= strcmp(auk_sample_status(keys[i].row), "harness_error") == 0;
    }
    free(keys);
    if (rc < 0)
        auk_tasks_release(out);
    return rc;
}

void auk_tasks_release(auk_tasks *t)
{
    free(t->p);
    free(t->samples);
    *t = (auk_tasks){0};
}
