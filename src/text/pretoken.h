/* SPDX-License-Identifier: Apache-2.0 */
/* pretoken.h - cuts text into the pieces that are merged separately: the two regular expressions
 * of the released tokenizer, by hand and in linear time.
 *
 * 1. \d{1,3}(?=(?:\d{3})*\b): a run of digits that ends at a word boundary becomes groups of three
 *    counted from the right.
 * 2. On every gap between those groups, seeing nothing beyond it: the o200k-like expression.
 * Every byte of the text is in exactly one piece. */
#ifndef AUK_TEXT_PRETOKEN_H
#define AUK_TEXT_PRETOKEN_H

#include "base/str.h"

#define AUK_PRETOKEN_DIGITS "\\d{1,3}(?=(?:\\d{3})*\\b)"
#define AUK_PRETOKEN_WORDS                                                                         \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"    \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"                                                                \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"   \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"                                                                \
    "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

typedef struct auk_pretoken {
    const uint8_t *classes; /* borrowed: auk_char_class_fill's table */
    const unsigned char *p; /* borrowed */
    size_t n;
    size_t at;       /* first byte not yet handed out */
    size_t gap_end;  /* the gap being cut ends here, and a run of digits begins */
    size_t run_end;  /* end of that run */
    size_t n_digits; /* characters of the run not yet handed out */
} auk_pretoken;

/* text must be valid UTF-8. */
void auk_pretoken_init(auk_pretoken *s, const uint8_t *classes, auk_str text);

/* The next piece as a view of the text; false at the end. */
bool auk_pretoken_next(auk_pretoken *s, auk_str *piece);

#endif
