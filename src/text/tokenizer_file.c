/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "text/flat_json.h"
#include "text/hash.h"
#include "text/utf8.h"

enum { MAX_ID = 1 << 22 }; /* bounds the table of tokens, not any real vocabulary */

typedef struct reader {
    const char *path;
    auk_tokenizer *tok;
    auk_str vocab, merges; /* borrowed from the file: the long lists */
    json_t *added;         /* borrowed from the file's root */
    char *text_end;        /* next free byte of tok->text */
    size_t n_vocab;
    int32_t next_id; /* of an added token that is not in the vocabulary */
    auk_buf scratch[3];
    auk_err *err;
} reader;

static int check_file(reader *r, const json_t *root)
{
    int rc = auk_tokenizer_check(r->path, root, r->err);

    if (rc < 0)
        return rc;
    r->tok->nfc = json_is_object(json_object_get(root, "normalizer"));
    r->tok->ignore_merges =
        json_is_true(json_object_get(json_object_get(root, "model"), "ignore_merges"));
    r->added = json_object_get(root, "added_tokens");
    if (r->vocab.n == 0 || r->merges.n == 0) /* the key is there, but written with escapes */
        return auk_fail(r->err, AUK_ENOTSUP, "'%s': escapes in keys are not supported", r->path);
    return AUK_OK;
}

/* ---- tokens ---- */

static int measure_vocab(reader *r, size_t *count, int32_t *max)
{
    auk_flat f = {(const unsigned char *)r->vocab.p + 1,
                  (const unsigned char *)r->vocab.p + r->vocab.n};
    auk_str content;
    int32_t id;

    *count = 0;
    *max = 0;
    if (auk_flat_char(&f, '}'))
        return auk_fail(r->err, AUK_EFORMAT, "'%s': model.vocab is empty", r->path);
    do {
        if (!auk_flat_string(&f, &r->scratch[0], &content) || !auk_flat_char(&f, ':') ||
            !auk_flat_int(&f, MAX_ID, &id))
            return auk_fail(r->err, AUK_EFORMAT,
                            "'%s': entry %zu of model.vocab is not a text with an id", r->path,
                            *count);
        if (id > *max)
            *max = id;
        ++*count;
    } while (auk_flat_char(&f, ','));
    if (!auk_flat_char(&f, '}') || !auk_flat_end(&f))
        return auk_fail(r->err, AUK_EFORMAT, "'%s': model.vocab ends badly after entry %zu",
                        r->path, *count - 1);
    return AUK_OK;
}

/* Checks every entry and content, and makes room for them. */
static int measure(reader *r)
{
    size_t n_added = json_array_size(r->added), bytes = r->vocab.n, slots = 1024, i;
    auk_tokenizer *tok = r->tok;
    int32_t max;
    json_t *value;

    int rc = measure_vocab(r, &r->n_vocab, &max);
    if (rc < 0)
        return rc;
    json_array_foreach(r->added, i, value)
    {
        auk_str content = auk_json_str(json_object_get(value, "content"));
        if (content.n == 0 || memchr(content.p, 0, content.n) != NULL)
            return auk_fail(r->err, AUK_EFORMAT, "'%s': added_tokens[%zu].content is not a text",
                            r->path, i);
        bytes += content.n;
    }
    while (slots / 2 < r->n_vocab + n_added)
        slots *= 2;
    tok->spelling_mask = slots - 1;
    tok->n_tokens = (size_t)max + 1;
    size_t room = (tok->n_tokens > r->n_vocab ? tok->n_tokens : r->n_vocab) + n_added;
    rc = auk_try_alloc(&tok->tokens, room, sizeof *tok->tokens, r->err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&tok->text, bytes, 2, r->err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&tok->spellings, slots, sizeof *tok->spellings, r->err);
    r->text_end = tok->text;
    return rc;
}

static char *put_piece(char *to, auk_str content)
{
    char *start = to;
    size_t len;

    for (size_t i = 0; i < content.n; i += len) {
        int byte = auk_alphabet_byte(auk_utf8_get((const unsigned char *)content.p + i, &len));
        if (byte < 0) { /* not byte-level text: stands for itself */
            memcpy(start, content.p, content.n);
            return start + content.n;
        }
        *to++ = (char)byte;
    }
    return to;
}

/* Gives the id to the content; false when it has one.  An added token may take over the id of a
 * word: see read_added_token. */
static bool put_token(reader *r, auk_str content, int32_t id)
{
    auk_tokenizer *tok = r->tok;
    auk_token *t = &tok->tokens[id];
    uint64_t h = auk_hash(content.p, content.n);
    size_t i = h & tok->spelling_mask;

    if (auk_tokenizer_find(tok, content) >= 0)
        return false;
    while (tok->spellings[i].id_plus != 0)
        i = (i + 1) & tok->spelling_mask;
    char *p = r->text_end;
    memcpy(p, content.p, content.n);
    t->content = (auk_str){p, content.n};
    p += content.n;
    r->text_end = put_piece(p, content);
    t->piece = (auk_str){p, (size_t)(r->text_end - p)};
    tok->spellings[i] = (auk_spelling){(uint32_t)(h >> 32), (uint32_t)(t->content.p - tok->text),
                                       (uint32_t)content.n, (uint32_t)id + 1};
    if ((size_t)id >= tok->n_tokens)
        tok->n_tokens = (size_t)id + 1;
    return true;
}

static int read_bytes(reader *r)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[4];
        size_t n = auk_utf8_put(text, auk_alphabet_char(byte));
        int32_t id = auk_tokenizer_find(r->tok, (auk_str){text, n});
        if (id < 0)
            return auk_fail(r->err, AUK_ENOTSUP,
                            "'%s': model.vocab lacks the byte 0x%02X: only byte-level "
                            "vocabularies with all 256 are supported",
                            r->path, byte);
        r->tok->bpe.byte_ids[byte] = id;
    }
    return AUK_OK;
}

static int read_vocab(reader *r, const json_t *unk)
{
    auk_flat f = {(const unsigned char *)r->vocab.p + 1,
                  (const unsigned char *)r->vocab.p + r->vocab.n};

    for (size_t i = 0; i < r->n_vocab; i++) {
        auk_str content = {0};
        int32_t id = 0;
        if (!auk_flat_string(&f, &r->scratch[0], &content) || !auk_flat_char(&f, ':') ||
            !auk_flat_int(&f, MAX_ID, &id))
            break; /* never: measure_vocab has read the same */
        auk_flat_char(&f, ',');
        if (r->tok->tokens[id].content.p != NULL)
            return auk_fail(r->err, AUK_EFORMAT, "'%s': model.vocab gives the id %d twice", r->path,
                            id);
        if (!put_token(r, content, id))
            return auk_fail(r->err, AUK_EFORMAT, "'%s': model.vocab has '%.*s' twice", r->path,
                            AUK_ARG(content));
    }
    if (json_is_string(unk) && auk_tokenizer_find(r->tok, auk_json_str(unk)) < 0)
        return auk_fail(r->err, AUK_EFORMAT, "'%s': model.unk_token is not in model.vocab",
                        r->path);
    return read_bytes(r);
}

/* ---- added tokens ---- */

static const char *const added_flags[] = {"single_word", "lstrip", "rstrip", "normalized",
                                          "special"};
enum { SINGLE_WORD, LSTRIP, RSTRIP, NORMALIZED, SPECIAL, N_FLAGS };

static int put_added(reader *r, auk_str content, int32_t id, const bool *flags)
{
    auk_added token = {content, id, flags[SINGLE_WORD], flags[LSTRIP], flags[RSTRIP]};
    auk_buf normal = AUK_BUF_INIT(AUK_MAX_CALL);
    int rc = AUK_OK;

    if (!flags[NORMALIZED]) {
        auk_added_put(&r->tok->added, token);
        return AUK_OK;
    }
    if (r->tok->nfc) {
        rc = auk_nfc(&normal, content, r->err);
        token.content = auk_buf_str(&normal);
    }
    if (rc == AUK_OK)
        auk_added_put(&r->tok->added_normalized, token);
    auk_buf_release(&normal);
    return rc;
}

static int read_flags(const reader *r, size_t i, const json_t *v, bool *flags)
{
    for (int k = 0; k < N_FLAGS; k++) {
        const json_t *flag = json_object_get(v, added_flags[k]);
        if (!json_is_boolean(flag))
            return auk_fail(r->err, AUK_EFORMAT, "'%s': added_tokens[%zu].%s is not a boolean",
                            r->path, i, added_flags[k]);
        flags[k] = json_is_true(flag);
    }
    if (!json_is_integer(json_object_get(v, "id")))
        return auk_fail(r->err, AUK_EFORMAT, "'%s': added_tokens[%zu].id is not an integer",
                        r->path, i);
    if (json_object_size(v) != N_FLAGS + 2)
        return auk_fail(r->err, AUK_ENOTSUP, "'%s': added_tokens[%zu] has unknown keys", r->path,
                        i);
    return AUK_OK;
}

/* The id is not the declared one but what the tokenizers library makes of it: the vocabulary's,
 * else the next after the added tokens so far, counted from the vocabulary's size.  In files the
 * library wrote they agree. */
static int read_added_token(reader *r, size_t i, const json_t *v)
{
    auk_str content = auk_json_str(json_object_get(v, "content"));
    auk_tokenizer *tok = r->tok;
    bool flags[N_FLAGS];

    int rc = read_flags(r, i, v, flags);
    if (rc < 0)
        return rc;
    int32_t id = auk_tokenizer_find(tok, content);
    if (id >= 0 && tok->tokens[id].flags != 0 && auk_str_eq(tok->tokens[id].content, content))
        return auk_fail(r->err, AUK_EFORMAT, "'%s': added_tokens[%zu] repeats '%.*s'", r->path, i,
                        AUK_ARG(content));
    bool bracketed = content.p[0] == '<' && content.p[content.n - 1] == '>';
    bool control = flags[SPECIAL] || bracketed;
    if (id < 0) {
        id = r->next_id++;
        if (tok->tokens[id].content.p != NULL && control)
            tok->ambiguous = id;
        put_token(r, content, id);
    } else if (id >= r->next_id) {
        r->next_id = id + 1;
    }
    tok->tokens[id].flags = AUK_TOKEN_ADDED | (flags[SPECIAL] ? AUK_TOKEN_SPECIAL : 0u) |
                            (control ? AUK_TOKEN_CONTROL : 0u);
    return put_added(r, content, id, flags);
}

static int read_added(reader *r)
{
    size_t n = json_array_size(r->added), i;
    json_t *v;

    r->next_id = (int32_t)r->n_vocab;
    r->tok->ambiguous = -1;
    int rc = auk_added_init(&r->tok->added, n, r->err);
    if (rc == AUK_OK)
        rc = auk_added_init(&r->tok->added_normalized, n, r->err);
    json_array_foreach(r->added, i, v)
    {
        if (rc == AUK_OK)
            rc = read_added_token(r, i, v);
    }
    auk_added_seal(&r->tok->added);
    auk_added_seal(&r->tok->added_normalized);
    return rc;
}

/* ---- merges ---- */

/* ["left", "right"], or "left right" in older files. */
static bool read_pair(reader *r, auk_flat *f, auk_str *left, auk_str *right)
{
    if (auk_flat_char(f, '['))
        return auk_flat_string(f, &r->scratch[0], left) && auk_flat_char(f, ',') &&
               auk_flat_string(f, &r->scratch[1], right) && auk_flat_char(f, ']');
    auk_str line;
    if (!auk_flat_string(f, &r->scratch[0], &line) || line.n == 0)
        return false;
    const char *space = memchr(line.p, ' ', line.n);
    if (space == NULL)
        return false;
    *left = (auk_str){line.p, (size_t)(space - line.p)};
    *right = auk_str_from(line, left->n + 1);
    return memchr(right->p, ' ', right->n) == NULL;
}

static int put_merge(reader *r, size_t i, auk_str left, auk_str right)
{
    auk_buf *joined = &r->scratch[2];

    auk_buf_clear(joined);
    auk_buf_add(joined, left.p, left.n);
    auk_buf_add(joined, right.p, right.n);
    int rc = auk_buf_check(joined, "a merge", r->err);
    if (rc < 0)
        return rc;
    int32_t a = auk_tokenizer_find(r->tok, left), b = auk_tokenizer_find(r->tok, right);
    int32_t id = auk_tokenizer_find(r->tok, auk_buf_str(joined));
    if (a < 0 || b < 0 || id < 0)
        return auk_fail(r->err, AUK_EFORMAT,
                        "'%s': model.merges[%zu] names a token that is not in model.vocab", r->path,
                        i);
    if (auk_tokenizer_spells_control(r->tok, id, auk_buf_str(joined)))
        return auk_fail(r->err, AUK_ENOTSUP,
                        "'%s': model.merges[%zu] builds the control token '%.*s' from text",
                        r->path, i, AUK_ARG(r->tok->tokens[id].content));
    auk_bpe_add(&r->tok->bpe, a, b, (uint32_t)i, id);
    return AUK_OK;
}

/* Walks over the list twice: first to count, then to take. */
static int walk_merges(reader *r, bool take, size_t *n)
{
    auk_flat f = {(const unsigned char *)r->merges.p + 1,
                  (const unsigned char *)r->merges.p + r->merges.n};
    auk_str left, right;

    *n = 0;
    if (auk_flat_char(&f, ']'))
        return AUK_OK;
    do {
        if (!read_pair(r, &f, &left, &right) || left.n == 0 || right.n == 0)
            return auk_fail(r->err, AUK_EFORMAT, "'%s': model.merges[%zu] is not a pair of texts",
                            r->path, *n);
        int rc = take ? put_merge(r, *n, left, right) : AUK_OK;
        if (rc < 0)
            return rc;
        ++*n;
    } while (auk_flat_char(&f, ','));
    if (!auk_flat_char(&f, ']') || !auk_flat_end(&f))
        return auk_fail(r->err, AUK_EFORMAT, "'%s': model.merges ends badly after entry %zu",
                        r->path, *n - 1);
    return AUK_OK;
}

static int read_merges(reader *r)
{
    size_t n;

    int rc = walk_merges(r, false, &n);
    if (rc == AUK_OK)
        rc = auk_bpe_init(&r->tok->bpe, n, r->err);
    if (rc == AUK_OK)
        rc = walk_merges(r, true, &n);
    return rc;
}

/* ---- the file ---- */

/* The file without its two long lists; they become empty ones. */
static int read_rest(reader *r, auk_str text, json_t **root)
{
    auk_buf rest = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    const char *at = text.p;

    r->vocab = r->merges = (auk_str){text.p, 0};
    auk_flat_find(text, "model", "vocab", &r->vocab);
    auk_flat_find(text, "model", "merges", &r->merges);
    const auk_str *lists[2] = {&r->vocab, &r->merges};
    if (r->merges.p < r->vocab.p) {
        lists[0] = &r->merges;
        lists[1] = &r->vocab;
    }
    for (int i = 0; i < 2; i++) {
        if (lists[i]->n == 0)
            continue;
        auk_buf_add(&rest, at, (size_t)(lists[i]->p - at));
        auk_buf_puts(&rest, lists[i]->p[0] == '{' ? "{}" : "[]");
        at = lists[i]->p + lists[i]->n;
    }
    auk_buf_add(&rest, at, (size_t)(text.p + text.n - at));
    int rc = auk_buf_check(&rest, r->path, r->err);
    if (rc == AUK_OK)
        rc = auk_json_parse(root, auk_buf_str(&rest), r->path, r->err);
    auk_buf_release(&rest);
    return rc;
}

static int read_all(reader *r, auk_str text)
{
    json_t *root = NULL;

    int rc = read_rest(r, text, &root);
    if (rc == AUK_OK)
        rc = check_file(r, root);
    if (rc == AUK_OK)
        rc = measure(r);
    if (rc == AUK_OK)
        rc = read_vocab(r, json_object_get(json_object_get(root, "model"), "unk_token"));
    if (rc == AUK_OK)
        rc = read_added(r);
    if (rc == AUK_OK)
        rc = read_merges(r);
    json_decref(root);
    return rc;
}

int auk_tokenizer_parse(auk_tokenizer **out, auk_str text, const char *path, auk_err *err)
{
    auk_tokenizer *tok = auk_alloc(sizeof *tok);
    reader r = {.path = path, .tok = tok, .err = err};

    *out = NULL;
    for (int i = 0; i < 3; i++)
        r.scratch[i] = AUK_BUF_INIT(AUK_MAX_CALL);
    auk_char_class_fill(tok->classes);
    int rc = read_all(&r, text);
    if (rc == AUK_OK) {
        *out = tok;
        tok = NULL;
    }
    for (int i = 0; i < 3; i++)
        auk_buf_release(&r.scratch[i]);
    auk_tokenizer_close(tok);
    return rc;
}

int auk_tokenizer_open(auk_tokenizer **out, const char *path, auk_err *err)
{
    char *inside = auk_file_is_dir(path) ? auk_path_join(path, "tokenizer.json") : NULL;
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);

    *out = NULL;
    if (inside != NULL)
        path = inside;
    int rc = auk_file_read(&text, path, err);
    if (rc == AUK_OK)
        rc = auk_tokenizer_parse(out, auk_buf_str(&text), path, err);
    auk_buf_release(&text);
    free(inside);
    return rc;
}

void auk_tokenizer_close(auk_tokenizer *tok)
{
    if (tok == NULL)
        return;
    free(tok->tokens);
    free(tok->text);
    free(tok->spellings);
    auk_bpe_release(&tok->bpe);
    auk_added_release(&tok->added);
    auk_added_release(&tok->added_normalized);
    free(tok);
}
