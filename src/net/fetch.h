/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - the work of one pull: files, their ranges, and who does what.  pull.c decides what goes
 * where; fetch_job.c hands out work to its threads; fetch_range.c gets bytes, fetch_file.c looks at
 * whole files.  Private to net/. */
#ifndef AUK_NET_FETCH_H
#define AUK_NET_FETCH_H

#include "net/partial.h"
#include "net/pull.h"

#include <pthread.h>
#include <stdatomic.h>

#define AUK_MAX_CONNECTIONS 64

/* LOOK: is it there already?  FETCH: ranges are missing.  CHECK: all there, hash it. */
typedef enum step { LOOK, FETCH, CHECK, DONE } step;

typedef struct item {
    auk_source *src;  /* borrowed from the sources */
    step step, next;  /* next: what its worker found, taken over when it is given back */
    auk_partial part; /* open from the first range taken to the end of CHECK */
    bool open, busy, no_ranges, whole, in_place;
    int users, restarts;
    uint64_t resumed_from, bytes;
    char sha256[AUK_SHA256_HEX];
    bool checked;
} item;

typedef struct job {
    const auk_pull_options *opts;
    const char *target;  /* the folder that files go to in the end */
    const char *staging; /* everything is here until then */
    item *items;         /* owned */
    size_t n;
    pthread_mutex_t lock; /* guards all below, and every item's fields but its ranges' bytes */
    pthread_cond_t changed;
    size_t failed; /* the lowest index that failed; n: none */
    auk_err err;   /* of that item */
    auk_buf notes; /* owned; lines for the caller's thread */
    uint64_t hold_until_ns;
    int workers; /* still running */
    atomic_bool stop;
    _Atomic uint64_t fetched, to_fetch, hashed, to_hash;
} job;

/* Tells the caller's thread a line about a file. */
void auk_fetch_note(job *j, const char *path, const char *text);

/* Where a file is until all are there; free(). */
char *auk_fetch_staged(const job *j, const char *path);

/* Whether the source gives a hash. */
bool auk_fetch_known(const auk_source *s);

/* LOOK and CHECK of one item: `next` says what comes after. */
AUK_MUST_CHECK int auk_fetch_look(job *j, item *it, auk_err *err);
AUK_MUST_CHECK int auk_fetch_check(job *j, item *it, auk_err *err);

/* The item's unfinished file; and whether all its ranges are there. */
AUK_MUST_CHECK int auk_fetch_open(job *j, item *it, auk_err *err);
bool auk_fetch_complete(const auk_partial *p);

/* FETCH of range i, tried again as long as that makes sense. */
AUK_MUST_CHECK int auk_fetch_range(job *j, item *it, size_t i, auk_http *h, auk_err *err);

/* Runs a phase, LOOK or FETCH with CHECK, on opts->connections threads. */
AUK_MUST_CHECK int auk_fetch_run(job *j, step phase, auk_err *err);

#endif
