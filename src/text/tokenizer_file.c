/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"

#include "base/file.h"
#include "base/mem.h"
#include "text/hash.h"
#include "text/pretoken.h"
#include "text/utf8.h"

enum { MAX_ID = 1 << 22 }; /* bounds the table of tokens, not any real vocabulary */

typedef struct reader {
    const char *path;
    auk_tokenizer *tok;
    json_t *vocab, *merges, *added; /* borrowed from the file's root */
    char *text_end;                 /* next free byte of tok->text */
    auk_err *err;
} reader;

/* ---- what the file may declare ---- */

typedef enum kind {
    ANYTHING,
    NOTHING,
    NO_TEXT,
    BOOLEAN,
    TEXT_OR_NULL,
    ZERO,
    OBJECT,
    ARRAY,
    WORD
} kind;

typedef struct key_rule {
    const char *key;
    kind kind;
    const char *word; /* for WORD */
} key_rule;

static const key_rule file_rules[] = {
    {"version", WORD, "1.0"},
    {"truncation", NOTHING, NULL},
    {"padding", NOTHING, NULL},
    {"added_tokens", ARRAY, NULL},
    {"normalizer", ANYTHING, NULL},
    {"pre_tokenizer", OBJECT, NULL},
    {"post_processor", ANYTHING, NULL},
    {"decoder", OBJECT, NULL},
    {"model", OBJECT, NULL},
    {0},
};

/* byte_fallback, fuse_unk and unk_token say what happens to characters outside the vocabulary:
 * nothing does, since every byte must be in it. */
static const key_rule model_rules[] = {
    {"type", WORD, "BPE"},
    {"dropout", ZERO, NULL},
    {"unk_token", TEXT_OR_NULL, NULL},
    {"continuing_subword_prefix", NO_TEXT, NULL},
    {"end_of_word_suffix", NO_TEXT, NULL},
    {"fuse_unk", BOOLEAN, NULL},
    {"byte_fallback", BOOLEAN, NULL},
    {"ignore_merges", BOOLEAN, NULL},
    {"vocab", OBJECT, NULL},
    {"merges", ARRAY, NULL},
    {0},
};

static const key_rule normalizer_rules[] = {{"type", WORD, "NFC"}, {0}};

static const key_rule decoder_rules[] = {
    {"type", WORD, "ByteLevel"},
    {"add_prefix_space", BOOLEAN, NULL},
    {"trim_offsets", BOOLEAN, NULL},
    {"use_regex", BOOLEAN, NULL},
    {0},
};

static const key_rule byte_level_rules[] = {
    {"type", WORD, "ByteLevel"},
    {"add_prefix_space", ANYTHING, NULL},
    {"trim_offsets", BOOLEAN, NULL},
    {"use_regex", ANYTHING, NULL},
    {0},
};

static const key_rule split_rules[] = {
    {"type", WORD, "Split"},
    {"pattern", OBJECT, NULL},
    {"behavior", WORD, "Isolated"},
    {"invert", BOOLEAN, NULL},
    {0},
};

static int malformed(const reader *r, const char *where, const char *key, const char *want)
{
    return auk_fail(r->err, AUK_EFORMAT, "'%s': %s%s is not %s", r->path, where, key, want);
}

static int unsupported(const reader *r, const char *where, const char *key, const char *want)
{
    return auk_fail(r->err, AUK_ENOTSUP, "'%s': %s%s: only %s is supported", r->path, where, key,
                    want);
}

static int check_value(const reader *r, const char *where, const key_rule *rule, const json_t *v)
{
    bool none = v == NULL || json_is_null(v);

    switch (rule->kind) {
    case ANYTHING:
        return AUK_OK;
    case NOTHING:
        return none ? AUK_OK : unsupported(r, where, rule->key, "null");
    case NO_TEXT:
        if (none || (json_is_string(v) && json_string_length(v) == 0))
            return AUK_OK;
        return unsupported(r, where, rule->key, "null");
    case ZERO:
        if (none || (json_is_number(v) && json_number_value(v) <= 0 && json_number_value(v) >= 0))
            return AUK_OK;
        return unsupported(r, where, rule->key, "null");
    case BOOLEAN:
        return none || json_is_boolean(v) ? AUK_OK : malformed(r, where, rule->key, "a boolean");
    case TEXT_OR_NULL:
        return none || json_is_string(v) ? AUK_OK : malformed(r, where, rule->key, "a string");
    case OBJECT:
        return json_is_object(v) ? AUK_OK : malformed(r, where, rule->key, "an object");
    case ARRAY:
        return json_is_array(v) ? AUK_OK : malformed(r, where, rule->key, "an array");
    default:
        if (!json_is_string(v))
            return malformed(r, where, rule->key, "a string");
        if (strcmp(json_string_value(v), rule->word) == 0)
            return AUK_OK;
        return unsupported(r, where, rule->key, rule->word);
    }
}

/* Every rule holds and no other key is there.  `where` ends in a dot or is empty. */
static int check_object(const reader *r, const char *where, const key_rule *rules, const json_t *v)
{
    const char *key;
    json_t *value;
    int rc = AUK_OK;

    if (!json_is_object(v))
        return malformed(r, where, "", "an object");
    json_object_foreach((json_t *)v, key, value)
    {
        const key_rule *rule = rules;
        while (rule->key != NULL && strcmp(rule->key, key) != 0)
            rule++;
        if (rule->key == NULL)
            return auk_fail(r->err, AUK_ENOTSUP, "'%s': unknown key '%s%s'", r->path, where, key);
    }
    for (const key_rule *rule = rules; rule->key != NULL && rc == AUK_OK; rule++)
        rc = check_value(r, where, rule, json_object_get(v, rule->key));
    return rc;
}

static int check_split(const reader *r, const char *where, const json_t *v, const char *pattern)
{
    int rc = check_object(r, where, split_rules, v);

    if (rc < 0)
        return rc;
    const json_t *p = json_object_get(v, "pattern");
    if (!auk_str_is(auk_json_str(json_object_get(p, "Regex")), pattern) || json_object_size(p) != 1)
        return unsupported(r, where, "pattern", "the released regular expression");
    if (json_is_true(json_object_get(v, "invert")))
        return unsupported(r, where, "invert", "false");
    return AUK_OK;
}

static int check_pre_tokenizer(const reader *r, const json_t *v)
{
    static const key_rule rules[] = {
        {"type", WORD, "Sequence"}, {"pretokenizers", ARRAY, NULL}, {0}};
    static const char *last = "pre_tokenizer.pretokenizers[2].";

    int rc = check_object(r, "pre_tokenizer.", rules, v);
    if (rc < 0)
        return rc;
    const json_t *list = json_object_get(v, "pretokenizers");
    if (json_array_size(list) != 3)
        return unsupported(r, "pre_tokenizer.", "pretokenizers", "the released list of three");
    rc = check_split(r, "pre_tokenizer.pretokenizers[0].", json_array_get(list, 0),
                     AUK_PRETOKEN_DIGITS);
    if (rc == AUK_OK)
        rc = check_split(r, "pre_tokenizer.pretokenizers[1].", json_array_get(list, 1),
                         AUK_PRETOKEN_WORDS);
    const json_t *bytes = json_array_get(list, 2);
    if (rc == AUK_OK)
        rc = check_object(r, last, byte_level_rules, bytes);
    if (rc == AUK_OK && !json_is_false(json_object_get(bytes, "add_prefix_space")))
        return unsupported(r, last, "add_prefix_space", "false");
    if (rc == AUK_OK && !json_is_false(json_object_get(bytes, "use_regex")))
        return unsupported(r, last, "use_regex", "false");
    return rc;
}

static int check_file(reader *r, const json_t *root)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    const json_t *model = json_object_get(root, "model");

    int rc = check_object(r, "", file_rules, root);
    if (rc == AUK_OK && !(normalizer == NULL || json_is_null(normalizer))) {
        r->tok->nfc = true;
        rc = check_object(r, "normalizer.", normalizer_rules, normalizer);
    }
    if (rc == AUK_OK)
        rc = check_pre_tokenizer(r, json_object_get(root, "pre_tokenizer"));
    if (rc == AUK_OK)
        rc = check_object(r, "decoder.", decoder_rules, json_object_get(root, "decoder"));
    if (rc == AUK_OK)
        rc = check_object(r, "model.", model_rules, model);
    if (rc < 0)
        return rc;
    r->tok->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    r->vocab = json_object_get(model, "vocab");
    r->merges = json_object_get(model, "merges");
    r->added = json_object_get(root, "added_tokens");
    auk_str unk = auk_json_str(json_object_get(model, "unk_token"));
    if (unk.p != NULL && json_object_get(r->vocab, unk.p) == NULL)
        return malformed(r, "model.", "unk_token", "in the vocabulary");
    return AUK_OK;
}

/* ---- tokens ---- */

static int check_id(const reader *r, const char *where, const json_t *id, size_t *max)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= MAX_ID)
        return auk_fail(r->err, AUK_EFORMAT, "'%s': the id of %s is not an integer below %d",
                        r->path, where, MAX_ID);
    if ((size_t)json_integer_value(id) > *max)
        *max = (size_t)json_integer_value(id);
    return AUK_OK;
}

/* Checks every id and content and makes room for them. */
static int measure(reader *r)
{
    size_t max = 0, bytes = 0, i;
    size_t count = json_object_size(r->vocab) + json_array_size(r->added);
    const char *key;
    json_t *value;
    int rc = AUK_OK;

    json_object_foreach(r->vocab, key, value)
    {
        rc = check_id(r, "a token in model.vocab", value, &max);
        if (rc < 0)
            return rc;
        bytes += strlen(key);
    }
    json_array_foreach(r->added, i, value)
    {
        auk_str content = auk_json_str(json_object_get(value, "content"));
        if (content.n == 0 || memchr(content.p, 0, content.n) != NULL)
            return auk_fail(r->err, AUK_EFORMAT, "'%s': added_tokens[%zu].content is not a text",
                            r->path, i);
        rc = check_id(r, "a token in added_tokens", json_object_get(value, "id"), &max);
        if (rc < 0)
            return rc;
        bytes += content.n;
    }
    auk_tokenizer *tok = r->tok;
    tok->n_tokens = max + 1;
    size_t slots = 1024;
    while (slots / 2 < count)
        slots *= 2;
    tok->slot_mask = slots - 1;
    rc = auk_try_alloc(&tok->tokens, tok->n_tokens, sizeof *tok->tokens, r->err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&tok->text, bytes, 2, r->err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&tok->slots, slots, sizeof *tok->slots, r->err);
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

static int put_token(reader *r, auk_str content, int32_t id)
{
    auk_tokenizer *tok = r->tok;
    auk_token *t = &tok->tokens[id];

    if (t->content.p != NULL)
        return auk_fail(r->err, AUK_EFORMAT, "'%s': id %d is given to '%.*s' and '%.*s'", r->path,
                        id, AUK_ARG(t->content), AUK_ARG(content));
    char *p = r->text_end;
    memcpy(p, content.p, content.n);
    t->content = (auk_str){p, content.n};
    p += content.n;
    r->text_end = put_piece(p, content);
    t->piece = (auk_str){p, (size_t)(r->text_end - p)};

    size_t slot = auk_hash(content.p, content.n) & tok->slot_mask;
    while (tok->slots[slot] != 0)
        slot = (slot + 1) & tok->slot_mask;
    tok->slots[slot] = (uint32_t)id + 1;
    return AUK_OK;
}

static int read_vocab(reader *r)
{
    const char *key;
    json_t *value;

    json_object_foreach(r->vocab, key, value)
    {
        int rc = put_token(r, auk_str_of(key), (int32_t)json_integer_value(value));
        if (rc < 0)
            return rc;
    }
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

static int read_added_token(reader *r, size_t i, const json_t *v)
{
    auk_str content = auk_json_str(json_object_get(v, "content"));
    int32_t id = (int32_t)json_integer_value(json_object_get(v, "id"));
    bool flags[N_FLAGS];

    for (int k = 0; k < N_FLAGS; k++) {
        const json_t *flag = json_object_get(v, added_flags[k]);
        if (!json_is_boolean(flag))
            return auk_fail(r->err, AUK_EFORMAT, "'%s': added_tokens[%zu].%s is not a boolean",
                            r->path, i, added_flags[k]);
        flags[k] = json_is_true(flag);
    }
    if (json_object_size(v) != N_FLAGS + 2)
        return auk_fail(r->err, AUK_ENOTSUP, "'%s': added_tokens[%zu] has unknown keys", r->path,
                        i);
    int32_t known = auk_tokenizer_find(r->tok, content);
    if (known >= 0 && (known != id || r->tok->tokens[known].flags))
        return auk_fail(r->err, AUK_EFORMAT,
                        "'%s': added_tokens[%zu] gives '%.*s' the id %d, but it has %d", r->path, i,
                        AUK_ARG(content), id, known);
    int rc = known >= 0 ? AUK_OK : put_token(r, content, id);
    if (rc < 0)
        return rc;
    bool bracketed = content.p[0] == '<' && content.p[content.n - 1] == '>';
    r->tok->tokens[id].flags = AUK_TOKEN_ADDED | (flags[SPECIAL] ? AUK_TOKEN_SPECIAL : 0u) |
                               (flags[SPECIAL] || bracketed ? AUK_TOKEN_CONTROL : 0u);
    return put_added(r, content, id, flags);
}

static int read_added(reader *r)
{
    size_t n = json_array_size(r->added), i;
    json_t *v;

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
static bool split_merge(const json_t *v, auk_str *left, auk_str *right)
{
    if (json_is_array(v) && json_array_size(v) == 2) {
        *left = auk_json_str(json_array_get(v, 0));
        *right = auk_json_str(json_array_get(v, 1));
        return left->n > 0 && right->n > 0;
    }
    auk_str line = auk_json_str(v);
    const char *space = line.n > 0 ? memchr(line.p, ' ', line.n) : NULL;
    if (space == NULL)
        return false;
    *left = (auk_str){line.p, (size_t)(space - line.p)};
    *right = auk_str_from(line, left->n + 1);
    return left->n > 0 && right->n > 0 && memchr(right->p, ' ', right->n) == NULL;
}

static int read_merge(reader *r, size_t i, const json_t *v, auk_buf *joined)
{
    auk_str left, right;

    if (!split_merge(v, &left, &right))
        return auk_fail(r->err, AUK_EFORMAT, "'%s': model.merges[%zu] is not a pair of texts",
                        r->path, i);
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
    if (auk_tokenizer_is_control(r->tok, id))
        return auk_fail(r->err, AUK_ENOTSUP,
                        "'%s': model.merges[%zu] builds the control token '%.*s' from text",
                        r->path, i, AUK_ARG(r->tok->tokens[id].content));
    auk_bpe_add(&r->tok->bpe, a, b, (uint32_t)i, id);
    return AUK_OK;
}

static int read_merges(reader *r)
{
    auk_buf joined = AUK_BUF_INIT(AUK_MAX_CALL);
    size_t i;
    json_t *v;

    int rc = auk_bpe_init(&r->tok->bpe, json_array_size(r->merges), r->err);
    json_array_foreach(r->merges, i, v)
    {
        if (rc == AUK_OK)
            rc = read_merge(r, i, v, &joined);
    }
    auk_buf_release(&joined);
    return rc;
}

static int read_file(reader *r)
{
    json_t *root;

    int rc = auk_json_read(&root, r->path, r->err);
    if (rc == AUK_OK)
        rc = check_file(r, root);
    if (rc == AUK_OK)
        rc = measure(r);
    if (rc == AUK_OK)
        rc = read_vocab(r);
    if (rc == AUK_OK)
        rc = read_added(r);
    if (rc == AUK_OK)
        rc = read_merges(r);
    json_decref(root);
    return rc;
}

int auk_tokenizer_open(auk_tokenizer **out, const char *path, auk_err *err)
{
    char *inside = auk_file_is_dir(path) ? auk_path_join(path, "tokenizer.json") : NULL;
    auk_tokenizer *tok = auk_alloc(sizeof *tok);
    reader r = {.path = inside ? inside : path, .tok = tok, .err = err};

    *out = NULL;
    auk_char_class_fill(tok->classes);
    int rc = read_file(&r);
    if (rc == AUK_OK) {
        *out = tok;
        tok = NULL;
    }
    auk_tokenizer_close(tok);
    free(inside);
    return rc;
}

void auk_tokenizer_close(auk_tokenizer *tok)
{
    if (tok == NULL)
        return;
    free(tok->tokens);
    free(tok->text);
    free(tok->slots);
    auk_bpe_release(&tok->bpe);
    auk_added_release(&tok->added);
    auk_added_release(&tok->added_normalized);
    free(tok);
}
