/* SPDX-License-Identifier: Apache-2.0 */
/* db.h - SQLite as the files of ledger/ use it: prepared statements only.  Private to ledger/. */
#ifndef AUK_LEDGER_DB_H
#define AUK_LEDGER_DB_H

#include "ledger/ledger.h"

#include <sqlite3.h>

struct auk_ledger {
    sqlite3 *db;               /* owned */
    char *path;                /* owned; for messages */
    auk_headline_fn *headline; /* borrowed */
};

/* Fills err from the connection's last error: AUK_EIO, AUK_EFORMAT for a damaged file. */
int auk_db_fail(const auk_ledger *l, auk_err *err);

AUK_MUST_CHECK int auk_db_prepare(sqlite3_stmt **out, auk_ledger *l, const char *sql, auk_err *err);

/* 1: there is a row; 0: no more; negative: failed. */
AUK_MUST_CHECK int auk_db_step(sqlite3_stmt *s, auk_ledger *l, auk_err *err);

/* Runs statements that give no rows anyone wants, one after the other. */
AUK_MUST_CHECK int auk_db_run(auk_ledger *l, const char *sql, auk_err *err);

/* The first column of the first row as an integer; 0 without a row. */
AUK_MUST_CHECK int auk_db_number(int64_t *out, auk_ledger *l, const char *sql, auk_err *err);

void auk_db_bind(sqlite3_stmt *s, int at, auk_str text); /* text must outlive the statement */
auk_str auk_db_text(sqlite3_stmt *s, int column);        /* until the next step */

/* Ends a transaction: commits when rc is AUK_OK, else rolls back.  Returns the first failure. */
int auk_db_end(auk_ledger *l, int rc, auk_err *err);

/* SQL that makes an empty file into one of AUK_LEDGER_SCHEMA, one text per schema; NULL after. */
extern const char *const auk_ledger_migrations[];

/* ---- records (record_text.c) -------------------------------------------------------------- */

/* The head's line and the items' lines, each with its newline. */
AUK_MUST_CHECK int auk_record_print(auk_buf *out, const auk_record *r, auk_headline_fn *headline,
                                    auk_err *err);

/* Splits text (taken over) into head and items and parses the head.  AUK_EFORMAT when they are
 * not what auk_record_print writes. */
AUK_MUST_CHECK int auk_entry_parse(auk_entry *out, auk_buf *text, const char *name, auk_err *err);

/* AUK_EFORMAT unless the headline is what the items give. */
AUK_MUST_CHECK int auk_entry_check_headline(const auk_entry *e, auk_headline_fn *headline,
                                            auk_err *err);

/* The one record `name` means. */
AUK_MUST_CHECK int auk_ledger_find(uint64_t *seq, char id[AUK_SHA256_HEX], auk_ledger *l,
                                   const char *name, auk_err *err);

/* Adds a parsed record inside the caller's transaction. */
AUK_MUST_CHECK int auk_ledger_add(bool *added, auk_ledger *l, const auk_entry *e, auk_err *err);

/* The chain's value after `id`: SHA-256 of the value before and id. */
void auk_chain_next(char out[AUK_SHA256_HEX], auk_str before, const char *id);

#endif
