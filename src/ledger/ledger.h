/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h - the evidence behind every number: what was run, each item's result, and the headline
 * computed from the items.  One SQLite file; docs/ledger.md describes it.
 *
 * A record is a text: one line of JSON (the head: what was run, and the headline), then one line
 * per item.  Its id is the SHA-256 of that text, so a record cannot change and keep its id, and
 * the same record has the same id in every ledger.  Records are added and never changed; each one
 * is also chained to those before it, so that a missing one is noticed.
 *
 * The ledger does not know what a headline means: it is given the function that computes one from
 * items, calls it when a record is put and again when it is verified, and accepts no headline from
 * anyone else.
 *
 * Several processes may use one file.  A writer waits for another one up to AUK_LEDGER_WAIT_MS;
 * readers do not wait.  A record is written in one transaction, so a killed process leaves all of
 * it or nothing.  An auk_ledger belongs to one thread at a time. */
#ifndef AUK_LEDGER_LEDGER_H
#define AUK_LEDGER_LEDGER_H

#include "base/pool.h"
#include "base/sha256.h"
#include "base/sink.h"

#define AUK_LEDGER_WAIT_MS 30000
#define AUK_LEDGER_SCHEMA 1 /* of the file; a newer one is refused */

typedef struct auk_ledger auk_ledger;

/* A pure function of the items: the same items, the same bytes.  The object's first key is "rule",
 * the name of the rule that made it.  `rule` NULL asks for the newest rule of the kind, otherwise
 * for that one; AUK_ENOTSUP when it is not known, AUK_EFORMAT when an item is not what it wants. */
typedef int auk_headline_fn(json_t **out, const char *rule, const char *kind, const auk_str *items,
                            size_t n, auk_err *err);

/* Opens the ledger at `path`; with `create` it and its folders are made when they are missing,
 * without it AUK_ENOTFOUND.  A file of an older schema is brought forward, one of a newer schema
 * is AUK_ENOTSUP, one that is no ledger AUK_EFORMAT. */
AUK_MUST_CHECK int auk_ledger_open(auk_ledger **out, const char *path, bool create,
                                   auk_headline_fn *headline, auk_err *err);
void auk_ledger_close(auk_ledger *l);

/* Keeps a record; on return it is on the disk.  A record that is there already stays as it is and
 * has the same id.  AUK_EFORMAT names the item that is not one JSON object on one line. */
AUK_MUST_CHECK int auk_ledger_put(auk_ledger *l, char id[AUK_SHA256_HEX], const auk_record *r,
                                  auk_err *err);

/* ---- reading ------------------------------------------------------------------------------ */

typedef struct auk_entry {
    uint64_t seq; /* order of arrival in this ledger, from 1 */
    char id[AUK_SHA256_HEX];
    json_t *head;   /* owned */
    auk_buf text;   /* owned; the head's line, and the items' lines when they were read */
    auk_str *items; /* owned array of views into text; NULL when only the head was read */
    size_t n_items; /* also known when the items were not read */
} auk_entry;
void auk_entry_release(auk_entry *e);
void auk_entries_free(auk_entry *entries, size_t n);

/* A head's (or any object's) value at "a.b.c", NULL when it is not there. */
const json_t *auk_record_at(const json_t *head, const char *path);

/* One whole record: `name` is an id, the first 4 digits of one or more, or "latest".  What does
 * not have its id any more is not returned: AUK_EFORMAT. */
AUK_MUST_CHECK int auk_ledger_get(auk_entry *out, auk_ledger *l, const char *name, auk_err *err);

/* The heads in order of arrival, of one kind and of one model's fingerprint, NULL for any.
 * auk_entries_free releases *out. */
AUK_MUST_CHECK int auk_ledger_list(auk_entry **out, size_t *n, auk_ledger *l, const char *kind,
                                   const char *fingerprint, auk_err *err);

/* ---- verifying ---------------------------------------------------------------------------- */

/* Called for each thing that is not as it was written; id may be "". */
typedef void auk_finding_fn(void *ctx, uint64_t seq, const char *id, const char *what);

typedef struct auk_verification {
    uint64_t records, items, findings;
} auk_verification;

/* Recomputes ids, hashes of items, headlines and the chain, of one record or (name NULL) of all,
 * and then also has SQLite check the file.  AUK_OK also when there are findings. */
AUK_MUST_CHECK int auk_ledger_verify(auk_verification *out, auk_ledger *l, const char *name,
                                     auk_finding_fn *found, void *ctx, auk_err *err);

/* ---- moving records ----------------------------------------------------------------------- */

/* Appends {"schema": "auklet.ledger/1", "id": ..., "lines": ...} and the record's text. */
AUK_MUST_CHECK int auk_entry_export(auk_buf *out, const auk_entry *e, auk_err *err);

typedef struct auk_import {
    uint64_t added, known;
} auk_import;

/* Adds the records of an exported text, all or none.  Each must have its id and its headline. */
AUK_MUST_CHECK int auk_ledger_import(auk_import *out, auk_ledger *l, auk_str text, const char *name,
                                     auk_err *err);

/* ---- what a model is ---------------------------------------------------------------------- */

/* The SHA-256 of what `sha256sum *.jinja *.json *.model *.safetensors`, sorted by name, prints in
 * the folder: every byte that decides an answer.  AUK_ENOTFOUND without such a file.  `cache` names
 * a file that remembers the hashes of files that did not change since (hash_cache.h); NULL: every
 * byte is read. */
AUK_MUST_CHECK int auk_fingerprint(char hex[AUK_SHA256_HEX], const char *dir, const char *cache,
                                   auk_pool *pool, auk_progress_fn *progress, void *ctx,
                                   auk_err *err);

#endif
