/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"

#include "base/limits.h"
#include "base/mem.h"
#include "text/hash.h"
#include "text/pretoken.h"
#include "text/utf8.h"

/* ---- ids ---- */

int auk_ids_reserve(auk_ids *ids, size_t more, auk_err *err)
{
    if (more <= ids->cap - ids->n)
        return AUK_OK;
    if (more > SIZE_MAX / sizeof *ids->p / 4 - ids->n)
        return auk_fail(err, AUK_ENOMEM, "cannot hold %zu more ids", more);
    size_t cap = ids->cap < 64 ? 64 : ids->cap;
    while (cap < ids->n + more)
        cap *= 2;
    int32_t *p = realloc(ids->p, cap * sizeof *p);
    if (p == NULL)
        return auk_fail(err, AUK_ENOMEM, "cannot hold %zu ids", cap);
    ids->p = p;
    ids->cap = cap;
    return AUK_OK;
}

int auk_ids_add(auk_ids *ids, int32_t id, auk_err *err)
{
    int rc = auk_ids_reserve(ids, 1, err);

    if (rc == AUK_OK)
        ids->p[ids->n++] = id;
    return rc;
}

void auk_ids_clear(auk_ids *ids)
{
    ids->n = 0;
}

void auk_ids_release(auk_ids *ids)
{
    free(ids->p);
    *ids = (auk_ids){0};
}

/* ---- the byte-level alphabet ---- */

/* Printable Latin-1 stands for itself; the other bytes, in order, are U+0100 and on. */
static bool is_printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

uint32_t auk_alphabet_char(unsigned byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100 + byte;
    return byte == 0xAD ? 0x143 : 0x121 + byte - 0x7F;
}

int auk_alphabet_byte(uint32_t c)
{
    if (c < 0x100)
        return is_printable(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)c - 0x100;
    if (c < 0x143)
        return (int)c - 0x121 + 0x7F;
    return c == 0x143 ? 0xAD : -1;
}

/* ---- look-ups ---- */

int32_t auk_tokenizer_find(const auk_tokenizer *tok, auk_str s)
{
    uint64_t h = auk_hash(s.p, s.n);

    for (size_t i = h & tok->spelling_mask;; i = (i + 1) & tok->spelling_mask) {
        const auk_spelling *slot = &tok->spellings[i];
        if (slot->id_plus == 0)
            return -1;
        if (slot->tag == (uint32_t)(h >> 32) &&
            auk_str_eq((auk_str){tok->text + slot->at, slot->n}, s))
            return (int32_t)slot->id_plus - 1;
    }
}

static const auk_token *token_of(const auk_tokenizer *tok, int32_t id)
{
    static const auk_token none;

    return id >= 0 && (size_t)id < tok->n_tokens ? &tok->tokens[id] : &none;
}

auk_str auk_tokenizer_piece(const auk_tokenizer *tok, int32_t id)
{
    auk_str piece = token_of(tok, id)->piece;

    return piece.p ? piece : (auk_str){"", 0};
}

int32_t auk_tokenizer_id(const auk_tokenizer *tok, const char *content)
{
    return auk_tokenizer_find(tok, auk_str_of(content));
}

int auk_tokenizer_vocab(const auk_tokenizer *tok)
{
    return (int)tok->n_tokens;
}

bool auk_tokenizer_is_control(const auk_tokenizer *tok, int32_t id)
{
    return token_of(tok, id)->flags & AUK_TOKEN_CONTROL;
}

bool auk_tokenizer_spells_control(const auk_tokenizer *tok, int32_t id, auk_str s)
{
    return auk_tokenizer_is_control(tok, id) && auk_str_eq(token_of(tok, id)->content, s);
}

/* ---- encode ---- */

enum { CACHED_BYTES = 48 }; /* longest word that is remembered */

/* A word met before in this call, and where its ids stand in the output. */
typedef struct seen {
    const char *p;
    uint32_t n, n_ids;
    size_t first_id;
    size_t round; /* the text p points into; texts of earlier rounds are gone */
} seen;

typedef struct encoder {
    const auk_tokenizer *tok;
    auk_ids *out;
    seen *cache; /* owned; mask + 1 entries, each word has one place */
    size_t mask;
    size_t round;
    auk_buf normal; /* scratch for normalized text */
} encoder;

/* ignore_merges: a word that is a token as a whole is that token, unless a control token. */
static int32_t whole_word(const auk_tokenizer *tok, auk_str piece)
{
    char text[2 * 256];
    size_t n = 0;

    if (piece.n > 256)
        return -1;
    for (size_t i = 0; i < piece.n; i++)
        n += auk_utf8_put(text + n, auk_alphabet_char((unsigned char)piece.p[i]));
    int32_t id = auk_tokenizer_find(tok, (auk_str){text, n});
    return auk_tokenizer_spells_control(tok, id, (auk_str){text, n}) ? -1 : id;
}

static int merge_piece(encoder *e, auk_str piece, auk_err *err)
{
    int32_t id = e->tok->ignore_merges ? whole_word(e->tok, piece) : -1;

    if (id >= 0)
        return auk_ids_add(e->out, id, err);
    return auk_bpe_encode(e->out, &e->tok->bpe, piece, err);
}

static int encode_piece(encoder *e, auk_str piece, auk_err *err)
{
    if (piece.n == 1 && !e->tok->ignore_merges)
        return auk_ids_add(e->out, e->tok->bpe.byte_ids[(unsigned char)piece.p[0]], err);
    if (piece.n > CACHED_BYTES)
        return merge_piece(e, piece, err);

    seen *s = &e->cache[auk_hash(piece.p, piece.n) & e->mask];
    if (s->round == e->round && s->n == piece.n && memcmp(s->p, piece.p, piece.n) == 0) {
        int rc = auk_ids_reserve(e->out, s->n_ids, err);
        if (rc < 0)
            return rc;
        int32_t *to = e->out->p + e->out->n;
        for (uint32_t i = 0; i < s->n_ids; i++)
            to[i] = e->out->p[s->first_id + i];
        e->out->n += s->n_ids;
        return AUK_OK;
    }
    size_t first = e->out->n;
    int rc = merge_piece(e, piece, err);
    if (rc == AUK_OK)
        *s = (seen){piece.p, (uint32_t)piece.n, (uint32_t)(e->out->n - first), first, e->round};
    return rc;
}

/* Text without added tokens, already normalized. */
static int encode_plain(encoder *e, auk_str text, auk_err *err)
{
    auk_pretoken words;
    auk_str piece;
    int rc = AUK_OK;

    auk_pretoken_init(&words, e->tok->classes, text);
    while (rc == AUK_OK && auk_pretoken_next(&words, &piece))
        rc = encode_piece(e, piece, err);
    return rc;
}

static int encode_normalized(encoder *e, auk_str text, bool special, auk_err *err)
{
    auk_added_walk walk = {&e->tok->added_normalized, e->tok->classes, text, 0, 0, false};
    auk_str plain;
    int32_t id;
    int rc = AUK_OK;

    if (!special || e->tok->added_normalized.n == 0)
        return encode_plain(e, text, err);
    while (rc == AUK_OK && auk_added_next(&walk, &plain, &id)) {
        rc = encode_plain(e, plain, err);
        if (rc == AUK_OK && id >= 0)
            rc = auk_ids_add(e->out, id, err);
    }
    return rc;
}

static int encode_stretch(encoder *e, auk_str text, bool special, auk_err *err)
{
    if (!e->tok->nfc || auk_nfc_is_plain(text))
        return encode_normalized(e, text, special, err);
    auk_buf_clear(&e->normal);
    int rc = auk_nfc(&e->normal, text, err);
    e->round++;
    if (rc == AUK_OK)
        rc = encode_normalized(e, auk_buf_str(&e->normal), special, err);
    e->round++;
    return rc;
}

static int encode_text(encoder *e, auk_str text, bool special, auk_err *err)
{
    auk_added_walk walk = {&e->tok->added, e->tok->classes, text, 0, 0, false};
    auk_str plain;
    int32_t id;
    int rc = AUK_OK;

    if (!special)
        return encode_stretch(e, text, false, err);
    while (rc == AUK_OK && auk_added_next(&walk, &plain, &id)) {
        rc = encode_stretch(e, plain, true, err);
        if (rc == AUK_OK && id >= 0)
            rc = auk_ids_add(e->out, id, err);
    }
    return rc;
}

int auk_tokenizer_encode(auk_ids *out, const auk_tokenizer *tok, auk_str text, bool special,
                         auk_err *err)
{
    /* NFC makes a character at most three times as long in UTF-8 */
    encoder e = {tok, out, NULL, 0, 1, AUK_BUF_INIT(3 * AUK_MAX_TEXT)};
    size_t valid = auk_utf8_valid(text), slots = 16;

    if (valid < text.n)
        return auk_fail(err, AUK_EFORMAT, "the text is not UTF-8 at byte %zu", valid);
    if (text.n > AUK_MAX_TEXT)
        return auk_fail(err, AUK_ELIMIT, "the text is larger than %zu bytes", AUK_MAX_TEXT);
    if (!special && tok->ambiguous >= 0)
        return auk_fail(err, AUK_ENOTSUP,
                        "the tokenizer gives '%.*s' the id of a word, so text cannot be kept apart "
                        "from control tokens",
                        AUK_ARG(tok->tokens[tok->ambiguous].content));
    while (slots < 16384 && slots < text.n / 8)
        slots *= 2;
    e.mask = slots - 1;
    int rc = auk_try_alloc(&e.cache, slots, sizeof *e.cache, err);
    if (rc == AUK_OK)
        rc = encode_text(&e, text, special, err);
    free(e.cache);
    auk_buf_release(&e.normal);
    return rc;
}

/* ---- decode ---- */

void auk_decoder_init(auk_decoder *d, const auk_tokenizer *tok, bool skip_special)
{
    *d = (auk_decoder){.tok = tok, .skip_special = skip_special};
}

/* Adds bytes to what is held; all of it is dealt with but the beginning of a character. */
static void decode_bytes(auk_decoder *d, auk_buf *out, auk_str piece)
{
    size_t i = 0;

    while (d->n_held > 0 && i < piece.n) {
        d->held[d->n_held++] = (unsigned char)piece.p[i++];
        auk_str held = {(const char *)d->held, d->n_held};
        size_t done = auk_utf8_lossy(out, held, false);
        d->n_held -= done;
        memmove(d->held, d->held + done, d->n_held);
    }
    auk_str rest = auk_str_from(piece, i);
    size_t done = auk_utf8_lossy(out, rest, false);
    if (done < rest.n) { /* then nothing was held any more */
        d->n_held = rest.n - done;
        memcpy(d->held, rest.p + done, d->n_held);
    }
}

void auk_decoder_add(auk_decoder *d, auk_buf *out, int32_t id)
{
    const auk_token *t = token_of(d->tok, id);

    if (t->content.p == NULL || (d->skip_special && (t->flags & AUK_TOKEN_SPECIAL)))
        return;
    decode_bytes(d, out, t->piece);
}

void auk_decoder_finish(auk_decoder *d, auk_buf *out)
{
    auk_utf8_lossy(out, (auk_str){(const char *)d->held, d->n_held}, true);
    d->n_held = 0;
}

int auk_tokenizer_decode(auk_buf *out, const auk_tokenizer *tok, const int32_t *ids, size_t n,
                         bool skip_special, auk_err *err)
{
    auk_decoder d;

    auk_decoder_init(&d, tok, skip_special);
    for (size_t i = 0; i < n; i++)
        auk_decoder_add(&d, out, ids[i]);
    auk_decoder_finish(&d, out);
    return auk_buf_check(out, "the decoded text", err);
}
