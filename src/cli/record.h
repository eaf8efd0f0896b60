/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - how a command keeps a record of what it did.
 *
 *     args:    auk_record_args ledger;              with AUK_RECORD_ARGS_INIT
 *     options: AUK_RECORD_OPTIONS(my_args, ledger),
 *     run:     auk_cli_record *rec = auk_cli_record_new("eval", &a.ledger, argc, argv);
 *              ... the work ...
 *              auk_cli_record_model(rec, "model", folder);
 *              auk_cli_record_set(rec, "seed", json_integer(seed));
 *              auk_cli_record_item(rec, one_result);
 *              auk_cli_record_put(rec, &a.common);
 *              ... print the result, and auk_cli_record_id(rec) as "ledger_id" ...
 *              return auk_cli_record_end(rec, status);
 *
 * The command line, the code, the machine and both times are filled in here.  docs/ledger.md lists
 * the keys.  Where no ledger is wanted, rec is NULL and every function does nothing. */
#ifndef AUK_CLI_RECORD_H
#define AUK_CLI_RECORD_H

#include "cli/cli.h"
#include "quant/quant.h"
#include "report/report.h"

typedef struct auk_record_args {
    bool ledger; /* --no-ledger: false */
    const char *db;
} auk_record_args;

/* Whether a record is kept unless --no-ledger says otherwise: AUK_LEDGER, when it is set, is not
 * empty. */
bool auk_cli_ledger_wanted(void);

#define AUK_RECORD_ARGS_INIT                                                                       \
    {                                                                                              \
        .ledger = auk_cli_ledger_wanted()                                                          \
    }
#define AUK_RECORD_OPTIONS(args, field)                                                            \
    {"ledger", AUK_OPT_FLAG, offsetof(args, field.ledger), NULL,                                   \
     "keep a record of this run (default; AUK_LEDGER= switches it off too)"},                      \
    {                                                                                              \
        "db", AUK_OPT_STR, offsetof(args, field.db), "FILE",                                       \
            "the ledger (default: AUK_LEDGER, else auklet/ledger.db in the data home)"             \
    }

/* The ledger's file: `db`, else AUK_LEDGER, else $XDG_DATA_HOME/auklet/ledger.db, else
 * ~/.local/share/auklet/ledger.db; free().  NULL: there is no home. */
char *auk_cli_ledger_path(const char *db);

typedef struct auk_cli_record auk_cli_record;

/* Takes the time: call it before the work.  argv[0] is the command's name. */
auk_cli_record *auk_cli_record_new(const char *kind, const auk_record_args *args, int argc,
                                   char **argv);

/* Adds key and value (taken over) to what was run. */
void auk_cli_record_set(auk_cli_record *rec, const char *key, json_t *value);

/* Adds {"path", "fingerprint"} under `key`: "model" for what the record is about, "baseline" for
 * what it was compared with, "source" for what it was made from.  The folder is hashed by _put, so
 * it may not be there yet.  A URL has its text as path and no fingerprint: set "model" instead
 * where the server gives a digest. */
void auk_cli_record_model(auk_cli_record *rec, const char *key, const char *folder);

/* Adds an item (taken over), or the lines of a JSONL file but blank ones and a first line with a
 * "schema". */
void auk_cli_record_item(auk_cli_record *rec, json_t *item);
AUK_MUST_CHECK int auk_cli_record_lines(auk_cli_record *rec, const char *path, auk_err *err);

/* Adds a module of a quantized folder: its format, weights and bytes. */
void auk_cli_record_module(auk_cli_record *rec, const auk_quant_module *m);

/* Takes the time again and keeps the record.  Failing is said on stderr at once and is no reason
 * not to print the result: the status it should end with comes from _end, and is a failure only
 * where --db or AUK_LEDGER named the ledger.  Otherwise, unless -q, the id is said on stderr. */
void auk_cli_record_put(auk_cli_record *rec, const auk_common *common);

/* Frees rec; returns `status`, or the one for a record that could not be kept. */
int auk_cli_record_end(auk_cli_record *rec, int status);

/* The id as a JSON text; null when there is no record. */
json_t *auk_cli_record_id(const auk_cli_record *rec);

/* ---- for the commands that read records --------------------------------------------------- */

/* Opens the ledger of auk_cli_ledger_path(db). */
AUK_MUST_CHECK int auk_cli_ledger_open(auk_ledger **out, const char *db, bool create, auk_err *err);

/* The records `names` say, whole; auk_entries_free. */
AUK_MUST_CHECK int auk_cli_entries(auk_entry **out, auk_ledger *l, char **names, size_t n,
                                   auk_err *err);

/* Writes to `path`, or to stdout when it is NULL; what is there is replaced only with `force`. */
AUK_MUST_CHECK int auk_cli_write(const char *path, bool force, const auk_buf *text, auk_err *err);

#endif
