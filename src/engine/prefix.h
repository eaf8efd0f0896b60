/* SPDX-License-Identifier: Apache-2.0 */
/* prefix.h - what conversations began with, kept so that it is not computed again.  Included by
 * engine.h.
 *
 * A trie over token ids.  An edge holds the keys and values of its tokens in the full layers;
 * a node may hold a snapshot: those of the sliding layers' window before it.  A sequence can be
 * taken up at any node with a snapshot.  Callers save at message boundaries, where the next turn
 * or another conversation with the same beginning will branch off.
 *
 * Memory is bounded: the snapshot worth least is dropped first, worth being the tokens that would
 * have to be read again, halved with every quarter of an hour since it was used, a tenth of that
 * for `minor` ones (side requests), which never displace others.  With a folder, what is dropped
 * and what is there at the end is written to files of private mode and found again after a
 * restart of the same model.
 * A cache belongs to the thread of its batch. */
#ifndef AUK_ENGINE_PREFIX_H
#define AUK_ENGINE_PREFIX_H

#include "engine/batch.h"

typedef struct auk_prefix auk_prefix;

typedef struct auk_prefix_options {
    uint64_t max_bytes;  /* of memory */
    const char *dir;     /* borrowed; NULL: no disk tier */
    uint64_t disk_bytes; /* of files */
    const char *model;   /* borrowed; names the weights: files of another are not used */
} auk_prefix_options;

AUK_MUST_CHECK int auk_prefix_new(auk_prefix **out, const auk_batch *b,
                                  const auk_prefix_options *opts, auk_err *err);
void auk_prefix_free(auk_prefix *p);

/* Loads the longest known beginning of ids, shorter than n, into the lane.  Returns its length.
 * *same: how many of ids agree with something the cache has seen, at least what was loaded. */
size_t auk_prefix_load(auk_prefix *p, auk_batch *b, int lane, const int32_t *ids, size_t n,
                       size_t *same);

/* Keeps what the lane holds, with a snapshot at its end. */
void auk_prefix_save(auk_prefix *p, const auk_batch *b, int lane, bool minor);

/* Writes to the folder what is not there yet.  Nothing without a folder. */
AUK_MUST_CHECK int auk_prefix_flush(auk_prefix *p, auk_err *err);

typedef struct auk_prefix_stats {
    uint64_t bytes, snapshots, tokens; /* held in memory */
    uint64_t disk_bytes, disk_files;
    uint64_t loads, loaded_tokens, misses, saves, evictions, disk_loads, refused;
} auk_prefix_stats;

void auk_prefix_stats_get(auk_prefix_stats *out, const auk_prefix *p);

#endif
