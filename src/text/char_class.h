/* SPDX-License-Identifier: Apache-2.0 */
/* char_class.h - the character classes of the pre-tokenizer's regular expressions, as the engine
 * inside the tokenizers library has them (its Unicode version, not this system's). */
#ifndef AUK_TEXT_CHAR_CLASS_H
#define AUK_TEXT_CHAR_CLASS_H

#include <stdint.h>

#define AUK_CHARS 0x110000

enum {
    AUK_CHAR_L = 1,      /* \p{L} */
    AUK_CHAR_N = 2,      /* \p{N} */
    AUK_CHAR_UPPER = 4,  /* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] */
    AUK_CHAR_LOWER = 8,  /* [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
    AUK_CHAR_SPACE = 16, /* \s */
    AUK_CHAR_DIGIT = 32, /* \d */
    AUK_CHAR_WORD = 64,  /* what \b looks at */
};

/* The classes of one code point, by binary search. */
unsigned auk_char_class(uint32_t c);

/* The same for all of them, for whoever asks often. */
void auk_char_class_fill(uint8_t table[AUK_CHARS]);

#endif
