/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - the parts of what a model wrote: the answer section, and its fenced blocks. */
#ifndef AUK_EVAL_ANSWER_H
#define AUK_EVAL_ANSWER_H

#include "base/buf.h"

typedef enum auk_section_kind {
    AUK_SECTION_GIVEN,    /* "given": the caller says so */
    AUK_SECTION_MARKERS,  /* "markers": after the last answer marker */
    AUK_SECTION_THINKING, /* "after_thinking": no answer marker, but thinking ended */
    AUK_SECTION_PLAIN,    /* "plain": no marker at all */
    AUK_SECTION_NONE,     /* "none": thinking never ended, or cut before the answer */
} auk_section_kind;

const char *auk_section_name(auk_section_kind kind);

/* The answer section of a raw text, borrowed from it. */
auk_str auk_answer_section(auk_section_kind *kind, auk_str raw, bool cut);

/* One fenced block; `text` is what stands between the fences, without the last line's end. */
typedef struct auk_fence {
    auk_str info;  /* the first word after the opening fence; borrowed */
    size_t indent; /* of the opening fence, 0 to 3: taken off the block's lines */
    auk_str text;  /* borrowed */
    bool closed;
    bool is_code; /* by its info word */
} auk_fence;

/* The next fenced block at or after *at, which moves behind it; false when there is none. */
bool auk_fence_next(auk_fence *out, auk_str text, size_t *at);

/* The next line at *at, without its end ("\n" or "\r\n"); false at the end of text. */
bool auk_line_next(auk_str *line, auk_str text, size_t *at);

#endif
