/* SPDX-License-Identifier: Apache-2.0 */
/* bpe.h - byte-pair merging of one piece of text.  Read-only once its merges are added. */
#ifndef AUK_TEXT_BPE_H
#define AUK_TEXT_BPE_H

#include "text/text.h"

typedef struct auk_bpe_merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX: empty slot */
    uint32_t rank;
    int32_t id; /* what the pair becomes */
} auk_bpe_merge;

typedef struct auk_bpe {
    int32_t byte_ids[256];
    auk_bpe_merge *merges; /* owned; a hash table of mask + 1 slots */
    size_t mask;
} auk_bpe;

/* Room for n merges. */
AUK_MUST_CHECK int auk_bpe_init(auk_bpe *bpe, size_t n, auk_err *err);
void auk_bpe_release(auk_bpe *bpe);

/* A pair that comes again takes the later rank, as in the tokenizers library. */
void auk_bpe_add(auk_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id);

/* Appends the ids of a piece of at least one byte: always the pair of lowest rank first, the
 * leftmost among equals.  n log n in the piece's length. */
AUK_MUST_CHECK int auk_bpe_encode(auk_ids *out, const auk_bpe *bpe, auk_str piece, auk_err *err);

#endif
