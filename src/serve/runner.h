/* SPDX-License-Identifier: Apache-2.0 */
/* runner.h - the one thread that owns the engine: it takes jobs from a bounded queue into lanes,
 * reads their prompts in pieces between the others' tokens, and puts out events.
 *
 * Each step feeds one token of every lane that answers and a piece of one prompt, so an answer
 * never waits longer than that piece.  The queue is fair: of the waiting jobs the one whose
 * session was served longest ago is next. */
#ifndef AUK_SERVE_RUNNER_H
#define AUK_SERVE_RUNNER_H

#include "serve/job.h"
#include "serve/turns.h"

typedef struct auk_runner auk_runner;

typedef struct auk_runner_options {
    int lanes, ctx, queue;
    uint64_t cache_bytes, disk_bytes;
    const char *dir;   /* borrowed; NULL: no disk tier */
    const char *model; /* borrowed; names the weights */
    bool loop_guard;
    const char *script; /* borrowed; NULL, or a file of scripted answers instead of the model's */
} auk_runner_options;

AUK_MUST_CHECK int auk_runner_new(auk_runner **out, auk_engine *e, const auk_runner_options *opts,
                                  auk_err *err);

/* Stops taking jobs and waits up to drain_ms for those in lanes to end; what is left then, and
 * what was queued, ends with an error event.  Keeps the cache's state on disk. */
void auk_runner_drain(auk_runner *r, int drain_ms);
void auk_runner_free(auk_runner *r);

/* AUK_ELIMIT: the queue is full, or the server is going down.  Shares the job. */
AUK_MUST_CHECK int auk_runner_submit(auk_runner *r, auk_job *job, auk_err *err);

auk_turns *auk_runner_turns(auk_runner *r);
void auk_runner_wake(auk_runner *r); /* a job was cancelled */

/* Asks a running job, by its id, to end its thinking now; false: no such job. */
bool auk_runner_end_thinking(auk_runner *r, auk_str id);

#define AUK_BUCKETS 12
extern const double auk_bucket_s[AUK_BUCKETS]; /* upper bounds of the histograms, seconds */

typedef struct auk_histogram {
    uint64_t count[AUK_BUCKETS + 1];
    double sum;
} auk_histogram;

typedef struct auk_slot {
    bool busy, reading;
    uint64_t task; /* a number, not the prompt */
    size_t prompt, read, cached, decoded;
    char prompt_hash[17];
} auk_slot;

typedef struct auk_recent {
    char id[48];
    char dialect[20];
    auk_usage usage;
    int64_t first_ns; /* from acceptance to the first token */
    int end;          /* an auk_end; -1: cancelled or failed */
    char miss[200];   /* where the known beginning ended; or empty */
} auk_recent;

#define AUK_RECENT 32

typedef struct auk_runner_stats {
    uint64_t prompt_tokens, cached_tokens, generated, requests, cancelled, failed, refused, loops;
    uint64_t steps, busy_slots; /* busy_slots: summed over steps */
    uint64_t max_tokens_seen;
    double prefill_s, decode_s;
    int lanes, ctx, processing, queued, queue_max;
    auk_histogram first_token, gap;
    auk_prefix_stats prefix;
    auk_slot slots[AUK_BATCH_LANES];
    auk_recent recent[AUK_RECENT]; /* newest first */
    int n_recent;
    uint64_t kv_bytes;
} auk_runner_stats;

void auk_runner_stats_get(auk_runner_stats *out, auk_runner *r);

#endif
