/* SPDX-License-Identifier: Apache-2.0 */
/* grammar.h - what an answer may look like, as an automaton over tokens.  Included by engine.h.
 *
 * A JSON Schema is compiled to nodes; the automaton reads bytes with a stack of frames, several at
 * a time where a schema leaves a choice.  A token is allowed when its bytes can be read.  The
 * sampler picks first and asks then, so tokens that are allowed anyway cost nothing but their own
 * bytes; only a refused pick looks at the whole vocabulary.
 *
 * What is generated is always valid; not every valid text can be generated: objects with listed
 * properties get no others, numbers with bounds have no exponent. */
#ifndef AUK_ENGINE_GRAMMAR_H
#define AUK_ENGINE_GRAMMAR_H

#include "text/text.h"

/* What may be written next. */
typedef struct auk_constraint {
    bool (*allows)(void *ctx, int32_t id);
    void (*mask)(void *ctx, float *logits); /* forbidden ids get -INFINITY */
    void (*accept)(void *ctx, int32_t id);
    void *ctx; /* borrowed */
} auk_constraint;

typedef struct auk_grammar auk_grammar;

typedef enum auk_actions {
    AUK_ACTIONS_FREE,     /* answer or call; a call that begins is constrained */
    AUK_ACTIONS_NONE,     /* no call */
    AUK_ACTIONS_REQUIRED, /* a call */
} auk_actions;

typedef struct auk_grammar_options {
    const json_t *schema; /* of the answer; NULL: free text.  `true` is any JSON */
    const json_t *tools;  /* array of {"function": {"name", "parameters"}}; or NULL */
    const char *only;     /* NULL, or the one tool that may be called */
    auk_actions actions;
    bool one_call, reasoning;
    bool text; /* no turn around it: the schema from the first byte on */
} auk_grammar_options;

/* AUK_ENOTSUP names a keyword of the answer's schema that cannot be kept (pattern, not, ...); in a
 * tool's schema it is left to the tool.  AUK_EINVAL: a schema nothing can satisfy, or that never
 * ends, or that is too large. */
AUK_MUST_CHECK int auk_grammar_new(auk_grammar **out, const auk_tokenizer *tok, int vocab,
                                   const auk_grammar_options *opts, auk_err *err);
void auk_grammar_free(auk_grammar *g);
auk_constraint auk_grammar_constraint(auk_grammar *g);

/* For tests: true when `text` is what the schema's automaton can read to its end. */
bool auk_grammar_reads(auk_grammar *g, auk_str text);

#endif
