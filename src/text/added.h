/* SPDX-License-Identifier: Apache-2.0 */
/* added.h - finds added tokens in text: leftmost, longest, then the flags the file declares. */
#ifndef AUK_TEXT_ADDED_H
#define AUK_TEXT_ADDED_H

#include "base/str.h"

typedef struct auk_added {
    auk_str content; /* as it is looked for (normalized, for tokens declared so); never empty */
    int32_t id;
    bool single_word, lstrip, rstrip;
} auk_added;

/* One set of tokens that are looked for together. */
typedef struct auk_added_set {
    auk_added *p; /* owned with the contents; sorted by content once sealed */
    size_t n;
    bool starts[256]; /* bytes that begin a content */
} auk_added_set;

/* Room for n tokens. */
AUK_MUST_CHECK int auk_added_init(auk_added_set *set, size_t n, auk_err *err);
void auk_added_release(auk_added_set *set);

void auk_added_put(auk_added_set *set, auk_added token); /* copies the content */
void auk_added_seal(auk_added_set *set);                 /* after the last put */

/* Walks over a text.  Each step gives the plain text before the next token, perhaps empty, and
 * that token; *id is -1 in the last step. */
typedef struct auk_added_walk {
    const auk_added_set *set; /* borrowed */
    const uint8_t *classes;   /* borrowed: auk_char_class_fill's table */
    auk_str text;             /* borrowed */
    size_t at;                /* matches are looked for from here on */
    size_t plain;             /* text from here on has not been handed out */
    bool ended;
} auk_added_walk;

bool auk_added_next(auk_added_walk *w, auk_str *before, int32_t *id);

#endif
