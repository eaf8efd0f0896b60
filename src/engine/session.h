/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - what an engine and a session hold.  Private to engine/. */
#ifndef AUK_ENGINE_SESSION_H
#define AUK_ENGINE_SESSION_H

#include "engine/draft.h"
#include "engine/engine.h"

struct auk_engine {
    auk_model *model;         /* owned */
    auk_tokenizer *tokenizer; /* owned; NULL until asked for */
    auk_pool *pool;           /* owned */
    auk_kernel kernel;
    auk_precision precision;
    char *dir; /* owned */
};

struct auk_session {
    auk_engine *engine;   /* borrowed */
    auk_forward *forward; /* owned */
    auk_kv_layer *kv;     /* owned; one per layer */
    float *h, *logits;    /* owned */
    int32_t *ids;         /* owned; what was fed, n of ctx */
    int n, ctx;
    /* Rows computed ahead of n: guess[i] at position n + i, its logits in row i of `ahead_logits`.
     * The keys of a wrong guess lie beyond n and are overwritten. */
    auk_draft *draft;    /* owned; NULL: never guesses */
    float *ahead_logits; /* owned; AUK_DRAFT_MAX + 1 rows of vocab; made with the first guess */
    int32_t guess[AUK_DRAFT_MAX];
    int n_guess, used; /* of them, how many were confirmed */
};

/* Keeps the longest beginning of `prompt` the session already holds, but never all of it, forgets
 * the rest, and returns its length. */
size_t auk_session_reuse(auk_session *s, const int32_t *prompt, size_t n);

#endif
