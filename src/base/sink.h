/* SPDX-License-Identifier: Apache-2.0 */
/* sink.h - how a module hands over what it did without knowing who keeps it: one callback.  The
 * command line connects it to the ledger; a test connects it to an array. */
#ifndef AUK_BASE_SINK_H
#define AUK_BASE_SINK_H

#include "base/json.h"

/* What was run and what each item gave.  A headline is not part of it: the ledger computes that
 * from the items. */
typedef struct auk_record {
    const char *kind;     /* borrowed; "eval", "compare", "quantize", "bench" ... */
    const json_t *about;  /* borrowed; an object: docs/ledger.md lists its keys */
    const auk_str *items; /* borrowed; each one JSON object on one line, without its newline */
    size_t n_items;
} auk_record;

/* put keeps the whole record or nothing; what the record points to is the caller's again after. */
typedef struct auk_record_sink {
    int (*put)(void *ctx, const auk_record *r, auk_err *err);
    void *ctx; /* borrowed */
} auk_record_sink;

#endif
