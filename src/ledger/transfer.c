/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/db.h"

#include "base/limits.h"

/* What is left of an exported text. */
typedef struct reader {
    const char *at, *end, *name;
    uint64_t record; /* which one is read, from 1 */
} reader;

static int read_line(auk_str *out, reader *r, auk_err *err)
{
    size_t left = (size_t)(r->end - r->at);
    const char *stop = left > 0 ? memchr(r->at, '\n', left) : NULL;

    if (stop == NULL)
        return auk_fail(err, AUK_EFORMAT, "'%s' ends within record %llu", r->name,
                        (unsigned long long)r->record);
    *out = (auk_str){r->at, (size_t)(stop - r->at)};
    r->at = stop + 1;
    return AUK_OK;
}

/* The line before a record: its id and how many lines follow. */
static int read_frame(char id[AUK_SHA256_HEX], uint64_t *lines, reader *r, auk_err *err)
{
    char what[300];
    auk_str line;
    json_t *v;

    snprintf(what, sizeof what, "%.200s, record %llu", r->name, (unsigned long long)r->record);
    int rc = read_line(&line, r, err);
    if (rc == AUK_OK)
        rc = auk_json_parse(&v, line, what, err);
    if (rc < 0)
        return rc;
    auk_str schema = auk_json_str(json_object_get(v, "schema"));
    auk_str said = auk_json_str(json_object_get(v, "id"));
    json_int_t n = json_integer_value(json_object_get(v, "lines"));
    if (auk_str_starts(schema, "auklet.ledger/") && !auk_str_is(schema, "auklet.ledger/1"))
        rc = auk_fail(err, AUK_ENOTSUP, "'%s' is of '%.*s', this version of auklet knows 1", what,
                      AUK_ARG(schema));
    else if (!auk_str_is(schema, "auklet.ledger/1") || said.n != 64 || n < 1)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' is not an exported record", what);
    if (rc == AUK_OK) {
        memcpy(id, said.p, 64);
        id[64] = 0;
        *lines = (uint64_t)n;
    }
    json_decref(v);
    return rc;
}

static int read_record(auk_entry *out, reader *r, auk_headline_fn *headline, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char id[AUK_SHA256_HEX], name[300];
    uint64_t lines = 0;
    auk_str line;

    snprintf(name, sizeof name, "%.200s, record %llu", r->name, (unsigned long long)r->record);
    int rc = read_frame(id, &lines, r, err);
    const char *from = r->at;
    for (; lines > 0 && rc == AUK_OK; lines--)
        rc = read_line(&line, r, err);
    if (rc < 0)
        return rc;
    auk_sha256_of(out->id, from, (size_t)(r->at - from));
    if (strcmp(out->id, id) != 0)
        return auk_fail(err, AUK_EFORMAT, "'%s' is not what its id says", name);
    auk_buf_add(&text, from, (size_t)(r->at - from));
    rc = auk_buf_check(&text, name, err);
    if (rc == AUK_OK)
        rc = auk_entry_parse(out, &text, name, err);
    auk_buf_release(&text);
    auk_err why;
    if (rc == AUK_OK && (rc = auk_entry_check_headline(out, headline, &why)) < 0)
        auk_fail(err, rc, "'%s': %.300s", name, why.msg);
    return rc;
}

int auk_ledger_import(auk_import *out, auk_ledger *l, auk_str text, const char *name, auk_err *err)
{
    reader r = {text.p, text.p + text.n, name, 0};

    *out = (auk_import){0};
    if (text.n == 0)
        return auk_fail(err, AUK_EFORMAT, "'%s' is empty", name);
    int rc = auk_db_run(l, "BEGIN IMMEDIATE", err);
    if (rc < 0)
        return rc;
    while (r.at < r.end && rc == AUK_OK) {
        auk_entry e = {0};
        bool added = false;
        r.record++;
        rc = read_record(&e, &r, l->headline, err);
        if (rc == AUK_OK)
            rc = auk_ledger_add(&added, l, &e, err);
        out->added += added;
        out->known += !added;
        auk_entry_release(&e);
    }
    return auk_db_end(l, rc, err);
}
