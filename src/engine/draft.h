/* SPDX-License-Identifier: Apache-2.0 */
/* draft.h - guessing the next tokens from what was said before (prompt lookup), and deciding
 * whether a guess is worth its price.  Private to engine/.
 *
 * A guess only decides how many rows the next pass has.  Every row's logits are those a pass of its
 * own would give, to the bit, so no guess changes a token. */
#ifndef AUK_ENGINE_DRAFT_H
#define AUK_ENGINE_DRAFT_H

#include "base/error.h"

#define AUK_DRAFT_MAX                                                                              \
    12 /* tokens guessed at once; with the token itself less than AUK_KV_CHUNK                     \
        */
#define AUK_DRAFT_SLOTS 65536

typedef struct auk_draft {
    int32_t last[AUK_DRAFT_SLOTS]; /* by the hash of four ids: the position after them, 0: none */
    int indexed;                   /* positions of the history that are in `last` */
    double row_ns[AUK_DRAFT_MAX + 2]; /* measured: a pass of that many rows; 0: not yet */
    double hit;                       /* how often a guessed token was right, of late */
    int misses, rest;                 /* wrong first tokens in a row; tokens until the next guess */
    uint64_t guessed, accepted;
} auk_draft;

void auk_draft_init(auk_draft *d);

/* The history ids[0, n) was cut back to n. */
void auk_draft_cut(auk_draft *d, int n);

/* Guesses what follows ids[0, n): the count in [0, max], AUK_DRAFT_MAX at most. */
int auk_draft_guess(auk_draft *d, int32_t *out, const int32_t *ids, int n, int max);

/* A pass of `rows` rows took ns. */
void auk_draft_took(auk_draft *d, int rows, uint64_t ns);

/* Of `guessed` tokens the first `right` were. */
void auk_draft_learn(auk_draft *d, int guessed, int right);

#endif
