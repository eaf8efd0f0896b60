/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "ledger/db.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>

#include <sys/stat.h>

#define APPLICATION_ID 0x41756b6c /* "Aukl" */

/* Rows are only ever added: the triggers stop a slip of the hand, the chain shows the rest.  kind
 * and fingerprint repeat what the head says, to be looked up. */
const char *const auk_ledger_migrations[] = {
    "CREATE TABLE record ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " chain TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " fingerprint TEXT NOT NULL,"
    " head TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE item ("
    " record INTEGER NOT NULL REFERENCES record (seq),"
    " n INTEGER NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " line TEXT NOT NULL,"
    " PRIMARY KEY (record, n)"
    ") STRICT;"
    "CREATE INDEX record_fingerprint ON record (fingerprint);"
    "CREATE TRIGGER record_stays BEFORE UPDATE ON record"
    " BEGIN SELECT RAISE (ABORT, 'records do not change'); END;"
    "CREATE TRIGGER record_is_kept BEFORE DELETE ON record"
    " BEGIN SELECT RAISE (ABORT, 'records are not deleted'); END;"
    "CREATE TRIGGER item_stays BEFORE UPDATE ON item"
    " BEGIN SELECT RAISE (ABORT, 'items do not change'); END;"
    "CREATE TRIGGER item_is_kept BEFORE DELETE ON item"
    " BEGIN SELECT RAISE (ABORT, 'items are not deleted'); END;"
    "PRAGMA application_id = 1098214252;"
    "PRAGMA user_version = 1",
    NULL,
};

/* SQLite reports some failed writes as I/O errors without a cause. */
static bool disk_is_full(const char *path)
{
    uint64_t there = UINT64_MAX;
    auk_err unread;

    return auk_disk_free(&there, path, &unread) == AUK_OK && there < (64 << 10);
}

int auk_db_fail(const auk_ledger *l, auk_err *err)
{
    int code = sqlite3_errcode(l->db) & 0xff;
    const char *what = sqlite3_errmsg(l->db);

    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return auk_fail(err, AUK_EFORMAT, "ledger '%s' is damaged: %s", l->path, what);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return auk_fail(err, AUK_EIO, "ledger '%s' was in use for %d s", l->path,
                        AUK_LEDGER_WAIT_MS / 1000);
    int why_os = sqlite3_system_errno(l->db); /* "disk I/O error" alone tells nobody what to do */
    bool full = code == SQLITE_FULL || why_os == ENOSPC || why_os == EDQUOT;
    if (full || (code == SQLITE_IOERR && disk_is_full(l->path)))
        return auk_fail(err, AUK_EIO,
                        "ledger '%s': the disk is full; free some space and run again", l->path);
    return auk_fail(err, AUK_EIO, "ledger '%s': %s%s%s", l->path, what, why_os != 0 ? ": " : "",
                    why_os != 0 ? strerror(why_os) : "");
}

int auk_db_prepare(sqlite3_stmt **out, auk_ledger *l, const char *sql, auk_err *err)
{
    if (sqlite3_prepare_v2(l->db, sql, -1, out, NULL) != SQLITE_OK)
        return auk_db_fail(l, err);
    return AUK_OK;
}

int auk_db_step(sqlite3_stmt *s, auk_ledger *l, auk_err *err)
{
    int rc = sqlite3_step(s);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : auk_db_fail(l, err);
}

int auk_db_run(auk_ledger *l, const char *sql, auk_err *err)
{
    while (*sql != 0) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(l->db, sql, -1, &s, &sql);
        while (rc == SQLITE_OK && s != NULL && sqlite3_step(s) == SQLITE_ROW)
            continue;
        if (sqlite3_finalize(s) != SQLITE_OK || rc != SQLITE_OK)
            return auk_db_fail(l, err);
    }
    return AUK_OK;
}

int auk_db_number(int64_t *out, auk_ledger *l, const char *sql, auk_err *err)
{
    sqlite3_stmt *s;

    *out = 0;
    int rc = auk_db_prepare(&s, l, sql, err);
    if (rc < 0)
        return rc;
    rc = auk_db_step(s, l, err);
    if (rc == 1)
        *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return rc < 0 ? rc : AUK_OK;
}

void auk_db_bind(sqlite3_stmt *s, int at, auk_str text)
{
    sqlite3_bind_text64(s, at, text.n > 0 ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
}

auk_str auk_db_text(sqlite3_stmt *s, int column)
{
    const char *p = (const char *)sqlite3_column_text(s, column);
    return (auk_str){p != NULL ? p : "", (size_t)sqlite3_column_bytes(s, column)};
}

int auk_db_end(auk_ledger *l, int rc, auk_err *err)
{
    if (rc == AUK_OK)
        rc = auk_db_run(l, "COMMIT", err);
    if (rc < 0 && !sqlite3_get_autocommit(l->db)) {
        auk_err ignored; /* the first failure is the one to tell */
        int undone = auk_db_run(l, "ROLLBACK", &ignored);
        (void)undone;
    }
    return rc;
}

/* Switching a new file to WAL needs it alone for a moment, and for that SQLite does not wait. */
static int use_wal(auk_ledger *l, auk_err *err)
{
    sqlite3_stmt *s = NULL;
    bool is_wal = false;

    for (int waited = 0;; waited += 20) {
        int rc = auk_db_prepare(&s, l, "PRAGMA journal_mode = WAL", err);
        int got = rc == AUK_OK ? sqlite3_step(s) : SQLITE_ERROR;
        if (got == SQLITE_ROW)
            is_wal = auk_str_is(auk_db_text(s, 0), "wal");
        bool busy = (sqlite3_errcode(l->db) & 0xff) == SQLITE_BUSY;
        if (got != SQLITE_ROW && !(busy && waited < AUK_LEDGER_WAIT_MS))
            rc = rc < 0 ? rc : auk_db_fail(l, err);
        sqlite3_finalize(s);
        if (is_wal)
            return AUK_OK;
        if (rc < 0 || got == SQLITE_ROW)
            return rc < 0 ? rc
                          : auk_fail(err, AUK_EIO, "ledger '%s' cannot be kept in WAL mode there",
                                     l->path);
        sqlite3_sleep(20);
    }
}

/* A file is a ledger, or empty, or not ours. */
static int check_identity(int64_t *version, auk_ledger *l, auk_err *err)
{
    int64_t application = 0, tables = 0;

    int rc = auk_db_number(&application, l, "PRAGMA application_id", err);
    if (rc == AUK_OK)
        rc = auk_db_number(version, l, "PRAGMA user_version", err);
    if (rc == AUK_OK)
        rc = auk_db_number(&tables, l, "SELECT count(*) FROM sqlite_schema", err);
    if (rc < 0)
        return rc;
    bool empty = application == 0 && *version == 0 && tables == 0;
    if (!empty && (application != APPLICATION_ID || *version < 1))
        return auk_fail(err, AUK_EFORMAT, "'%s' is a database, but not a ledger", l->path);
    if (*version > AUK_LEDGER_SCHEMA)
        return auk_fail(err, AUK_ENOTSUP,
                        "ledger '%s' has schema %lld, this version of auklet knows up to %d",
                        l->path, (long long)*version, AUK_LEDGER_SCHEMA);
    return AUK_OK;
}

/* Another process may be doing the same: the version is read again under the lock. */
static int migrate(auk_ledger *l, auk_err *err)
{
    int64_t version = 0;

    int rc = check_identity(&version, l, err);
    if (rc < 0 || version == AUK_LEDGER_SCHEMA)
        return rc;
    rc = auk_db_run(l, "BEGIN IMMEDIATE", err);
    if (rc < 0)
        return rc;
    rc = check_identity(&version, l, err);
    while (rc == AUK_OK && auk_ledger_migrations[version] != NULL)
        rc = auk_db_run(l, auk_ledger_migrations[version++], err);
    return auk_db_end(l, rc, err);
}

/* A ledger may come from elsewhere: what its schema could do is switched off. */
static int open_file(auk_ledger *l, bool create, auk_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);

    if (!create && !auk_file_exists(l->path))
        return auk_fail(err, AUK_ENOTFOUND, "there is no ledger '%s' yet", l->path);
    int rc = create ? auk_make_parents(l->path, err) : AUK_OK;
    if (rc < 0)
        return rc;
    if (sqlite3_open_v2(l->path, &l->db, flags, NULL) != SQLITE_OK)
        return auk_db_fail(l, err);
    sqlite3_extended_result_codes(l->db, 1);
    sqlite3_busy_timeout(l->db, AUK_LEDGER_WAIT_MS);
    sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return auk_db_run(l,
                      "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                      "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL",
                      err);
}

int auk_ledger_open(auk_ledger **out, const char *path, bool create, auk_headline_fn *headline,
                    auk_err *err)
{
    auk_ledger *l = auk_alloc(sizeof *l);
    int64_t version = 0;

    *out = NULL;
    l->path = auk_strndup(path, strlen(path));
    l->headline = headline;
    int rc = open_file(l, create, err);
    if (rc == AUK_OK)
        rc = check_identity(&version, l, err); /* before anything in it is touched */
    if (rc == AUK_OK)
        rc = use_wal(l, err);
    if (rc == AUK_OK)
        rc = migrate(l, err);
    if (rc == AUK_OK) {
        *out = l;
        l = NULL;
    }
    auk_ledger_close(l);
    return rc;
}

void auk_ledger_close(auk_ledger *l)
{
    if (l == NULL)
        return;
    sqlite3_close(l->db);
    free(l->path);
    free(l);
}
