/* SPDX-License-Identifier: Apache-2.0 */
/* test_ledger_fixture.h - a folder of its own for each test, and records to put. */
#ifndef AUK_TEST_LEDGER_FIXTURE_H
#define AUK_TEST_LEDGER_FIXTURE_H

#include "base/file.h"
#include "base/mem.h"
#include "report/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[256]; /* of the test that runs */

static inline int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;

    snprintf(dir, sizeof dir, "%s/auk-ledger-XXXXXX", tmp != NULL ? tmp : "/tmp");
    return mkdtemp(dir) == NULL;
}

static inline int tear_down(void **state)
{
    auk_err err;
    (void)state;

    return auk_tree_remove(dir, &err);
}

/* A name in the test's folder; one of 8 static buffers. */
static inline const char *in_dir(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static inline auk_ledger *open_ledger(const char *name)
{
    auk_ledger *l = NULL;
    auk_err err = {0};

    if (auk_ledger_open(&l, in_dir(name), true, auk_headline, &err) != AUK_OK)
        fail_msg("%s", err.msg);
    return l;
}

/* What every record has, and `more` (members of an object, or ""). */
static inline json_t *make_about(const char *more)
{
    auk_buf text = AUK_BUF_INIT(1 << 20);
    json_t *v = NULL;
    auk_err err = {0};

    auk_buf_printf(&text,
                   "{\"command\": \"auklet eval humaneval\", \"started\": "
                   "\"2026-01-02T03:04:05.000Z\", \"finished\": \"2026-01-02T03:05:00.000Z\", "
                   "\"code\": {\"version\": \"0.1.0\", \"commit\": \"abc\"}, \"machine\": "
                   "{\"cpu\": \"a processor\"}%s%s}",
                   *more != 0 ? ", " : "", more);
    if (auk_json_parse(&v, auk_buf_str(&text), "about", &err) != AUK_OK)
        fail_msg("%s", err.msg);
    auk_buf_release(&text);
    return v;
}

/* Puts a record of these lines (NULL ends them); *id receives its id. */
static inline int put_lines(auk_ledger *l, char id[AUK_SHA256_HEX], const char *kind,
                            const char *more, const char *const *lines, auk_err *err)
{
    auk_str items[512];
    size_t n = 0;

    for (; lines[n] != NULL && n < 512; n++)
        items[n] = auk_str_of(lines[n]);
    json_t *about = make_about(more);
    auk_record r = {.kind = kind, .about = about, .items = items, .n_items = n};
    int rc = auk_ledger_put(l, id, &r, err);
    json_decref(about);
    return rc;
}

#define MODEL_A "\"model\": {\"path\": \"models/a\", \"fingerprint\": \"aaaa\"}"
#define DATA "\"data\": {\"name\": \"humaneval\", \"sha256\": \"dddd\"}"

static const char *const eval_lines[] = {
    "{\"task_id\": \"HumanEval/0\", \"sample\": 0, \"status\": \"passed\", \"passed\": true}",
    "{\"task_id\": \"HumanEval/10\", \"sample\": 0, \"status\": \"failed\", \"passed\": false}",
    "{\"task_id\": \"HumanEval/9\", \"sample\": 0, \"status\": \"timeout\", \"passed\": false, "
    "\"truncated\": true, \"answer\": \"x = '\\u0000<script>alert(1)</script>'\"}",
    "{\"task_id\": \"HumanEval/2\", \"sample\": 0, \"status\": \"harness_error\", \"passed\": "
    "false}",
    NULL,
};

#endif
