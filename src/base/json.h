/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - the only reader of JSON that comes from outside, and the printer that writes it the
 * way Python does.
 *
 * Reading: depth at most AUK_MAX_JSON_DEPTH, duplicate keys and trailing text refused, NUL allowed
 * inside values.  Folders above may build and walk json_t with jansson's own calls; key order is
 * the file's.  A json_t is owned by whoever holds the reference (json_decref). */
#ifndef AUK_BASE_JSON_H
#define AUK_BASE_JSON_H

#include "base/buf.h"

#include <jansson.h>

/* `name` is said in messages: a path, or what the text is. */
AUK_MUST_CHECK int auk_json_parse(json_t **out, auk_str text, const char *name, auk_err *err);

/* All numbers become reals, so that integers of any size are read. */
AUK_MUST_CHECK int auk_json_parse_wide(json_t **out, auk_str text, const char *name, auk_err *err);
AUK_MUST_CHECK int auk_json_read(json_t **out, const char *path, auk_err *err);

/* Appends what Python's json.dumps prints: floats as repr, ", " and ": " (or newlines with
 * indent), non-ASCII escaped or not, keys sorted or in order. */
typedef struct auk_json_style {
    int indent; /* spaces per level; 0: one line */
    bool sort_keys, ascii;
} auk_json_style;
void auk_json_print(auk_buf *out, const json_t *v, auk_json_style style);

/* Appends repr(x) of a Python float: shortest digits that read back, "1e-06", "50000.0". */
void auk_json_print_real(auk_buf *out, double x);

/* Appends s as a JSON string with its quotes; bytes are taken as UTF-8. */
void auk_json_print_string(auk_buf *out, auk_str s, bool ascii);

/* The string's bytes; {NULL, 0} when v is not a string. */
static inline auk_str auk_json_str(const json_t *v)
{
    if (!json_is_string(v))
        return (auk_str){NULL, 0};
    return (auk_str){json_string_value(v), json_string_length(v)};
}

#endif
