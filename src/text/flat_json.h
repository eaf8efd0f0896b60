/* SPDX-License-Identifier: Apache-2.0 */
/* flat_json.h - reads the two long lists of a tokenizer.json, half a million texts and numbers
 * without structure.  As a tree they take three times as long as all the rest of opening the
 * file; everything else in it is read by base/json.h.
 *
 * A reader walks one value.  Every function is false when the next thing is not what it is asked
 * for; the reader may then be asked for something else.  Texts are checked: UTF-8, escapes,
 * no NUL. */
#ifndef AUK_TEXT_FLAT_JSON_H
#define AUK_TEXT_FLAT_JSON_H

#include "base/buf.h"

/* Finds the value of the key `inner` in the object under the key `outer` of the whole text's
 * object, when it is an object or array with all brackets closed.  Looks at brackets and texts
 * only: whether the text is JSON is for others to say. */
bool auk_flat_find(auk_str text, const char *outer, const char *inner, auk_str *value);

typedef struct auk_flat {
    const unsigned char *p, *end; /* borrowed */
} auk_flat;

/* White space, then the character c. */
bool auk_flat_char(auk_flat *f, char c);

/* A text; a view of the input, or of `scratch`, which is overwritten, when it has escapes. */
bool auk_flat_string(auk_flat *f, auk_buf *scratch, auk_str *out);

/* An integer in [0, max]. */
bool auk_flat_int(auk_flat *f, int32_t max, int32_t *out);

/* White space and then nothing. */
bool auk_flat_end(auk_flat *f);

#endif
