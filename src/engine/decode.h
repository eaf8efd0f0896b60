/* SPDX-License-Identifier: Apache-2.0 */
/* decode.h - one answer, a token at a time: what auk_generate does in one call, for a caller that
 * feeds several sequences itself.  Included by engine.h.
 *
 * Whoever owns the sequence feeds the prompt, hands the logits to auk_decode_next, feeds the id it
 * gives, and so on until auk_decode_done.  A decode belongs to one thread at a time. */
#ifndef AUK_ENGINE_DECODE_H
#define AUK_ENGINE_DECODE_H

#include "engine/engine.h"
#include "engine/grammar.h"

typedef struct auk_decode auk_decode;

typedef struct auk_decode_options {
    auk_sample_options sample;
    size_t max_tokens;   /* > 0 */
    size_t max_thinking; /* tokens of thinking before it is closed; 0: no limit */
    bool reasoning;      /* the prompt ends inside an open thinking block */
    bool raw;            /* no chat format: text is passed on as it is, nothing is parsed */
    bool loop_guard;
    const auk_constraint *constraint; /* borrowed; or NULL */
    auk_parser_fn *event;
    void *ctx;
} auk_decode_options;

AUK_MUST_CHECK int auk_decode_new(auk_decode **out, auk_engine *e, const auk_decode_options *opts,
                                  auk_err *err);
void auk_decode_free(auk_decode *d);

/* The next id from vocab logits, which are overwritten.  Events come out on the way. */
AUK_MUST_CHECK int auk_decode_next(int32_t *id, auk_decode *d, float *logits, auk_err *err);

/* The same with an id that is given instead of chosen: a test's script. */
AUK_MUST_CHECK int auk_decode_follow(auk_decode *d, int32_t id, auk_err *err);

/* Thinking, when it is open, ends with the next token. */
void auk_decode_end_thinking(auk_decode *d);

bool auk_decode_done(const auk_decode *d);
auk_finish auk_decode_finish(const auk_decode *d); /* valid when done */
int auk_decode_loop_period(const auk_decode *d);   /* of the loop that was met last; or 0 */
size_t auk_decode_tokens(const auk_decode *d);
size_t auk_decode_thinking_tokens(const auk_decode *d);
const int32_t *auk_decode_ids(const auk_decode *d); /* borrowed until the next token */

/* Flushes what was held back, ends the parsing, and gives the whole; raw: all is text. */
AUK_MUST_CHECK int auk_decode_end(auk_parsed *out, auk_decode *d, auk_err *err);

#endif
