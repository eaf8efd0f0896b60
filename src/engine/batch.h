/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h - several sequences fed together: lanes, and the step they share.  Included by engine.h.
 *
 * One forward pass takes rows of any number of lanes: one row of each that decodes, a piece of a
 * prompt of one that reads.  What a lane computes does not depend on what shares the step (the
 * products are exact, attention is each row's own), so neither do greedy answers.
 * A batch belongs to one thread at a time. */
#ifndef AUK_ENGINE_BATCH_H
#define AUK_ENGINE_BATCH_H

#include "model/model.h"

typedef struct auk_batch auk_batch;

#define AUK_BATCH_ROWS 256 /* rows of one step, over all lanes */
#define AUK_BATCH_LANES 64 /* the most lanes */

/* lanes of ctx positions each; the engine is borrowed. */
AUK_MUST_CHECK int auk_batch_new(auk_batch **out, auk_engine *e, int lanes, int ctx, auk_err *err);
void auk_batch_free(auk_batch *b);
uint64_t auk_batch_bytes(const auk_engine *e, int lanes, int ctx);

int auk_batch_lanes(const auk_batch *b);
int auk_batch_ctx(const auk_batch *b);
size_t auk_batch_length(const auk_batch *b, int lane);      /* positions fed */
const int32_t *auk_batch_ids(const auk_batch *b, int lane); /* these; borrowed */
void auk_batch_clear(auk_batch *b, int lane);

typedef struct auk_batch_feed {
    int lane;           /* at most one feed per lane */
    const int32_t *ids; /* borrowed; n > 0 */
    size_t n;
    float *logits; /* vocab floats for the token after the last id; or NULL */
} auk_batch_feed;

/* One forward pass.  Fails without feeding anything: AUK_ELIMIT when a lane's context or the
 * step's rows do not suffice, AUK_EINVAL for an id outside the vocabulary. */
AUK_MUST_CHECK int auk_batch_step(auk_batch *b, const auk_batch_feed *feeds, size_t n,
                                  auk_err *err);

/* ---- keys and values as plain bytes, for a prefix cache ----------------------------------- */

/* Positions of the sliding layers that a sequence of `depth` positions still needs. */
size_t auk_batch_window(const auk_batch *b, size_t depth);

size_t auk_batch_full_bytes(const auk_batch *b);   /* of one position, all full layers */
size_t auk_batch_window_bytes(const auk_batch *b); /* of one position, all sliding layers */

/* Copies positions [from, from + n) out of the lane or into it.  full: the full layers, else the
 * sliding ones.  Position-major: position p's bytes are at (p - from) * the bytes of one. */
void auk_batch_read(const auk_batch *b, int lane, bool full, uint8_t *dst, size_t from, size_t n);
void auk_batch_write(auk_batch *b, int lane, bool full, const uint8_t *src, size_t from, size_t n);

/* The lane now holds these n ids, whose keys and values were written. */
void auk_batch_set(auk_batch *b, int lane, const int32_t *ids, size_t n);

#endif
