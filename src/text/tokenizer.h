/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.h - the insides of auk_tokenizer: filled by tokenizer_file.c, used by tokenizer.c. */
#ifndef AUK_TEXT_TOKENIZER_H
#define AUK_TEXT_TOKENIZER_H

#include "text/added.h"
#include "text/bpe.h"
#include "text/char_class.h"
#include "text/text.h"

enum {
    AUK_TOKEN_ADDED = 1,
    AUK_TOKEN_SPECIAL = 2, /* declared special */
    AUK_TOKEN_CONTROL = 4, /* see auk_tokenizer_is_control */
};

typedef struct auk_token {
    auk_str content; /* as the file spells it; p is NULL for an id without token */
    auk_str piece;   /* the bytes it stands for */
    unsigned flags;
} auk_token;

/* A content of the vocabulary or of an added token, found by its text. */
typedef struct auk_spelling {
    uint32_t tag;     /* upper half of the hash: most other contents differ here */
    uint32_t at, n;   /* in auk_tokenizer's text */
    uint32_t id_plus; /* 1 + id; 0 is an empty slot */
} auk_spelling;

struct auk_tokenizer {
    uint8_t classes[AUK_CHARS];
    auk_token *tokens;       /* owned; n_tokens of them; contents and pieces lie in `text` */
    size_t n_tokens;         /* 1 + the largest id */
    char *text;              /* owned */
    auk_spelling *spellings; /* owned; a hash table of spelling_mask + 1 slots */
    size_t spelling_mask;
    auk_bpe bpe;
    auk_added_set added;            /* looked for in the text as it is */
    auk_added_set added_normalized; /* looked for after normalization */
    bool nfc, ignore_merges;
    int32_t ambiguous; /* a control token's id that a word of the vocabulary has too, or -1 */
};

/* auk_tokenizer_open for text that is already read; `path` is said in messages. */
AUK_MUST_CHECK int auk_tokenizer_parse(auk_tokenizer **out, auk_str text, const char *path,
                                       auk_err *err);

/* Checks all of a tokenizer.json but the entries of its lists. */
AUK_MUST_CHECK int auk_tokenizer_check(const char *path, const json_t *root, auk_err *err);

/* The id whose content is s, -1 when there is none. */
int32_t auk_tokenizer_find(const auk_tokenizer *tok, auk_str s);

/* True when id is a control token and s its content. */
bool auk_tokenizer_spells_control(const auk_tokenizer *tok, int32_t id, auk_str s);

/* The byte a character of the byte-level alphabet stands for, -1 for other characters; and the
 * character of a byte. */
int auk_alphabet_byte(uint32_t c);
uint32_t auk_alphabet_char(unsigned byte);

/* Appends the NFC form of s, which must be valid UTF-8, in linear time. */
AUK_MUST_CHECK int auk_nfc(auk_buf *out, auk_str s, auk_err *err);

/* A character whose properties the library does not know yet: it stays as it is. */
bool auk_nfc_is_young(uint32_t c);

/* True when s is its own NFC form for a reason seen at once: no character from U+0300 on. */
bool auk_nfc_is_plain(auk_str s);

#endif
