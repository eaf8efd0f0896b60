/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/db.h"

#include "base/limits.h"

typedef struct check {
    auk_ledger *l;
    auk_verification *v;
    auk_finding_fn *found;
    void *ctx;
    uint64_t seq; /* of the record looked at */
    char id[AUK_SHA256_HEX];
} check;

static void finding(check *c, const char *what)
{
    c->v->findings++;
    c->found(c->ctx, c->seq, c->id, what);
}

/* The items of c->seq into text; their numbers and hashes are checked on the way. */
static int check_items(auk_buf *text, check *c, auk_err *err)
{
    char hex[AUK_SHA256_HEX], what[80];
    sqlite3_stmt *s;
    int64_t n = 0;

    int rc = auk_db_prepare(&s, c->l,
                            "SELECT n, sha256, line FROM item WHERE record = ?1 ORDER BY n", err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int64(s, 1, (int64_t)c->seq);
    while ((rc = auk_db_step(s, c->l, err)) == 1) {
        auk_str line = auk_db_text(s, 2);
        auk_buf_add(text, line.p, line.n);
        auk_buf_putc(text, '\n');
        auk_sha256_of(hex, line.p, line.n);
        if (sqlite3_column_int64(s, 0) != n) {
            snprintf(what, sizeof what, "item %lld is missing", (long long)n + 1);
            finding(c, what);
            n = sqlite3_column_int64(s, 0);
        }
        n++;
        if (!auk_str_is(auk_db_text(s, 1), hex)) {
            snprintf(what, sizeof what, "item %lld is not what its hash says", (long long)n);
            finding(c, what);
        }
        c->v->items++;
    }
    sqlite3_finalize(s);
    return rc;
}

/* The id, the text's own form, the columns that repeat it, and the headline. */
static void check_text(check *c, auk_buf *text, auk_str kind, auk_str fingerprint)
{
    char hex[AUK_SHA256_HEX], what[600];
    auk_entry e = {0};
    auk_err why;

    auk_sha256_of(hex, text->p, text->n);
    if (strcmp(hex, c->id) != 0)
        finding(c, "the text of the record is not what its id says");
    int rc = auk_entry_parse(&e, text, "record", &why);
    if (rc == AUK_OK &&
        !(auk_str_eq(auk_json_str(auk_record_at(e.head, "kind")), kind) &&
          auk_str_eq(auk_json_str(auk_record_at(e.head, "model.fingerprint")), fingerprint)))
        finding(c, "a column is not what the head says");
    if (rc == AUK_OK)
        rc = auk_entry_check_headline(&e, c->l->headline, &why);
    if (rc < 0) {
        snprintf(what, sizeof what, "%s", why.msg);
        finding(c, what);
    }
    auk_entry_release(&e);
}

static int check_record(check *c, sqlite3_stmt *row, auk_err *err)
{
    auk_str head = auk_db_text(row, 3);
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_buf_add(&text, head.p, head.n);
    auk_buf_putc(&text, '\n');
    int rc = check_items(&text, c, err);
    if (rc == AUK_OK)
        rc = auk_buf_check(&text, "the record", err);
    if (rc == AUK_OK)
        check_text(c, &text, auk_db_text(row, 4), auk_db_text(row, 5));
    c->v->records++;
    auk_buf_release(&text);
    return rc;
}

/* All records, or the one whose seq is `only`; the chain is followed through all of them. */
static int check_records(check *c, uint64_t only, auk_err *err)
{
    char chain[AUK_SHA256_HEX] = "", next[AUK_SHA256_HEX];
    sqlite3_stmt *s;
    uint64_t expected = 1;

    int rc = auk_db_prepare(
        &s, c->l, "SELECT seq, id, chain, head, kind, fingerprint FROM record ORDER BY seq", err);
    if (rc < 0)
        return rc;
    while ((rc = auk_db_step(s, c->l, err)) == 1) {
        c->seq = (uint64_t)sqlite3_column_int64(s, 0);
        snprintf(c->id, sizeof c->id, "%s", auk_db_text(s, 1).p);
        auk_chain_next(next, auk_str_of(chain), c->id);
        bool looked_at = only == 0 || c->seq == only;
        if (looked_at && only == 0 && c->seq != expected)
            finding(c, "a record before this one is missing");
        if (looked_at && !auk_str_is(auk_db_text(s, 2), next))
            finding(c, "the chain to the records before it is broken");
        snprintf(chain, sizeof chain, "%s", auk_db_text(s, 2).p);
        expected = c->seq + 1;
        if (looked_at)
            rc = check_record(c, s, err);
        if (rc < 0)
            break;
    }
    sqlite3_finalize(s);
    return rc;
}

/* Every statement that made the file, in order of name. */
static int print_schema(auk_buf *out, auk_ledger *l, auk_err *err)
{
    sqlite3_stmt *s;

    int rc = auk_db_prepare(
        &s, l, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name", err);
    if (rc < 0)
        return rc;
    while ((rc = auk_db_step(s, l, err)) == 1) {
        auk_str sql = auk_db_text(s, 0);
        auk_buf_add(out, sql.p, sql.n);
        auk_buf_putc(out, '\n');
    }
    sqlite3_finalize(s);
    return rc < 0 ? rc : auk_buf_check(out, "the schema", err);
}

/* Compares with what this version would have made: a trigger may have gone, a view come. */
static int check_schema(check *c, auk_err *err)
{
    auk_buf want = AUK_BUF_INIT(1 << 20), have = AUK_BUF_INIT(1 << 20);
    auk_ledger fresh = {.path = c->l->path};

    int rc = sqlite3_open(":memory:", &fresh.db) == SQLITE_OK ? AUK_OK : auk_db_fail(&fresh, err);
    for (size_t i = 0; rc == AUK_OK && auk_ledger_migrations[i] != NULL; i++)
        rc = auk_db_run(&fresh, auk_ledger_migrations[i], err);
    if (rc == AUK_OK)
        rc = print_schema(&want, &fresh, err);
    if (rc == AUK_OK)
        rc = print_schema(&have, c->l, err);
    if (rc == AUK_OK && !auk_str_eq(auk_buf_str(&want), auk_buf_str(&have)))
        finding(c, "the schema of the file is not the one it was made with");
    sqlite3_close(fresh.db);
    auk_buf_release(&want);
    auk_buf_release(&have);
    return rc;
}

/* What no record shows: the last ones missing, items of no record, another schema. */
static int check_rest(check *c, auk_err *err)
{
    static const struct {
        const char *sql, *what;
    } zero[] = {
        {"SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'record'), 0)"
         " <> coalesce((SELECT max(seq) FROM record), 0)",
         "the last records are missing"},
        {"SELECT count(*) FROM item WHERE record NOT IN (SELECT seq FROM record)",
         "there are items of no record"},
    };
    sqlite3_stmt *s;
    int64_t n;
    int rc = AUK_OK;

    c->seq = 0;
    c->id[0] = 0;
    for (size_t i = 0; i < sizeof zero / sizeof *zero && rc == AUK_OK; i++) {
        rc = auk_db_number(&n, c->l, zero[i].sql, err);
        if (rc == AUK_OK && n != 0)
            finding(c, zero[i].what);
    }
    if (rc == AUK_OK)
        rc = check_schema(c, err);
    if (rc == AUK_OK)
        rc = auk_db_prepare(&s, c->l, "PRAGMA integrity_check(20)", err);
    if (rc < 0)
        return rc;
    while ((rc = auk_db_step(s, c->l, err)) == 1)
        if (!auk_str_is(auk_db_text(s, 0), "ok"))
            finding(c, auk_db_text(s, 0).p);
    sqlite3_finalize(s);
    return rc;
}

/* A file too damaged to be read on is a finding, not a failure of looking. */
int auk_ledger_verify(auk_verification *out, auk_ledger *l, const char *name, auk_finding_fn *found,
                      void *ctx, auk_err *err)
{
    check c = {.l = l, .v = out, .found = found, .ctx = ctx};
    uint64_t only = 0;
    auk_err why, ignored;

    *out = (auk_verification){0};
    if (name != NULL) {
        int rc = auk_ledger_find(&only, c.id, l, name, err);
        if (rc < 0)
            return rc;
    }
    int rc = auk_db_run(l, "BEGIN", err); /* one state of the file, whoever writes meanwhile */
    if (rc < 0)
        return rc;
    rc = check_records(&c, only, &why);
    if (rc == AUK_OK && only == 0)
        rc = check_rest(&c, &why);
    if (rc == AUK_EFORMAT) {
        finding(&c, why.msg);
        rc = AUK_OK;
    } else if (rc < 0 && err != NULL) {
        *err = why;
    }
    return rc < 0 ? auk_db_end(l, rc, &ignored) : auk_db_end(l, rc, err);
}
