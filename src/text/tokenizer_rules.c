/* SPDX-License-Identifier: Apache-2.0 */
/* What a tokenizer.json may declare: a table per object, and nothing that is not in it. */
#include "text/tokenizer.h"

#include "text/pretoken.h"

typedef struct checker {
    const char *path;
    auk_err *err;
} checker;

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

static int malformed(const checker *r, const char *where, const char *key, const char *want)
{
    return auk_fail(r->err, AUK_EFORMAT, "'%s': %s%s is not %s", r->path, where, key, want);
}

static int unsupported(const checker *r, const char *where, const char *key, const char *want)
{
    return auk_fail(r->err, AUK_ENOTSUP, "'%s': %s%s: only %s is supported", r->path, where, key,
                    want);
}

static int check_value(const checker *r, const char *where, const key_rule *rule, const json_t *v)
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
static int check_object(const checker *r, const char *where, const key_rule *rules, const json_t *v)
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

static int check_split(const checker *r, const char *where, const json_t *v, const char *pattern)
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

static int check_pre_tokenizer(const checker *r, const json_t *v)
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

/* These only add special tokens or move offsets, and encoding asks for neither. */
static int check_post_processor(const checker *r, const json_t *v)
{
    static const char *const known[] = {"TemplateProcessing", "ByteLevel", "Sequence"};

    if (v == NULL || json_is_null(v))
        return AUK_OK;
    auk_str type = auk_json_str(json_object_get(v, "type"));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (type.p != NULL && auk_str_is(type, known[i]))
            return AUK_OK;
    return unsupported(r, "post_processor.", "type", "TemplateProcessing, ByteLevel or Sequence");
}

int auk_tokenizer_check(const char *path, const json_t *root, auk_err *err)
{
    const checker c = {path, err};

    int rc = check_object(&c, "", file_rules, root);
    if (rc < 0)
        return rc;
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (normalizer != NULL && !json_is_null(normalizer))
        rc = check_object(&c, "normalizer.", normalizer_rules, normalizer);
    if (rc == AUK_OK)
        rc = check_pre_tokenizer(&c, json_object_get(root, "pre_tokenizer"));
    if (rc == AUK_OK)
        rc = check_post_processor(&c, json_object_get(root, "post_processor"));
    if (rc == AUK_OK)
        rc = check_object(&c, "decoder.", decoder_rules, json_object_get(root, "decoder"));
    if (rc == AUK_OK)
        rc = check_object(&c, "model.", model_rules, json_object_get(root, "model"));
    return rc;
}
