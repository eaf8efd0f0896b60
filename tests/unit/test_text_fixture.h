/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_fixture.h - a small tokenizer.json made in memory: the 256 bytes, a few merges, the
 * control tokens of the prompt. */
#ifndef AUK_TESTS_TEXT_FIXTURE_H
#define AUK_TESTS_TEXT_FIXTURE_H

#include "text/pretoken.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

static const char *const fixture_controls[] = {
    "<PAD>",
    "<BOS_TOKEN>",
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|SYSTEM_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|START_THINKING|>",
    "<|END_THINKING|>",
    "<|START_TEXT|>",
    "<|END_TEXT|>",
    "<|START_ACTION|>",
    "<|END_ACTION|>",
    "<|START_TOOL_RESULT|>",
    "<|END_TOOL_RESULT|>",
    "<|IMG_PATCH|>",
};
enum { FIXTURE_CONTROLS = sizeof fixture_controls / sizeof *fixture_controls };

/* Left and right of every merge; U+0120 is the space. */
static const char *const fixture_merges[][2] = {
    {"t", "h"}, {"th", "e"}, {"\xC4\xA0", "the"}, {"a", "a"},        {"aa", "aa"},
    {"e", "r"}, {"<", "|"},  {"|", ">"},          {"\xC4\xA0", "a"}, {"\xC3\x83", "\xC2\xA9"}};
enum { FIXTURE_MERGES = sizeof fixture_merges / sizeof *fixture_merges };

typedef struct fixture_parts {
    const char *normalizer;    /* NULL: null */
    const char *added;         /* further entries of added_tokens, with a leading comma; or NULL */
    const char *model;         /* further keys of model, with a leading comma; or NULL */
    const char *top;           /* further keys of the file, with a leading comma; or NULL */
    const char *vocab;         /* further entries of vocab, with a leading comma; or NULL */
    const char *merges;        /* further entries of merges, with a leading comma; or NULL */
    const char *pre_tokenizer; /* NULL: the released one */
} fixture_parts;

static inline const char *fixture_or(const char *s, const char *otherwise)
{
    return s != NULL ? s : otherwise;
}

static inline void fixture_vocab(auk_buf *out)
{
    char text[4];

    for (unsigned byte = 0; byte < 256; byte++) {
        size_t n = auk_utf8_put(text, auk_alphabet_char(byte));
        auk_buf_puts(out, byte > 0 ? ", " : "");
        auk_json_print_string(out, (auk_str){text, n}, byte % 2 == 0);
        auk_buf_printf(out, ": %u", byte);
    }
    for (int i = 0; i < FIXTURE_MERGES; i++)
        auk_buf_printf(out, ", \"%s%s\": %d", fixture_merges[i][0], fixture_merges[i][1], 256 + i);
}

static inline void fixture_added(auk_buf *out)
{
    for (int i = 0; i < FIXTURE_CONTROLS; i++)
        auk_buf_printf(out,
                       "%s{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": "
                       "false, \"rstrip\": false, \"normalized\": false, \"special\": %s}",
                       i > 0 ? ",\n" : "", 256 + FIXTURE_MERGES + i, fixture_controls[i],
                       i < 2 ? "true" : "false");
}

static inline void fixture_pre_tokenizer(auk_buf *out)
{
    static const char *const patterns[] = {AUK_PRETOKEN_DIGITS, AUK_PRETOKEN_WORDS};

    auk_buf_puts(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (int i = 0; i < 2; i++) {
        auk_buf_puts(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        auk_json_print_string(out, auk_str_of(patterns[i]), true);
        auk_buf_puts(out, "}, \"behavior\": \"Isolated\", \"invert\": false}, ");
    }
    auk_buf_puts(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": "
                      "true, \"use_regex\": false}]}");
}

static inline void fixture_json(auk_buf *out, const fixture_parts *with)
{
    auk_buf_printf(out,
                   "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, "
                   "\"normalizer\": %s,\n\"added_tokens\": [",
                   fixture_or(with->normalizer, "null"));
    fixture_added(out);
    auk_buf_printf(out, "%s],\n\"pre_tokenizer\": ", fixture_or(with->added, ""));
    if (with->pre_tokenizer != NULL)
        auk_buf_puts(out, with->pre_tokenizer);
    else
        fixture_pre_tokenizer(out);
    auk_buf_printf(out,
                   ", \"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\"}%s,\n"
                   "\"model\": {\"type\": \"BPE\", \"unk_token\": null%s, \"vocab\": {",
                   fixture_or(with->top, ""), fixture_or(with->model, ""));
    fixture_vocab(out);
    auk_buf_printf(out, "%s},\n\"merges\": [", fixture_or(with->vocab, ""));
    for (int i = 0; i < FIXTURE_MERGES; i++) {
        const char *const *m = fixture_merges[i];
        auk_buf_printf(out, i % 2 ? "%s\"%s %s\"" : "%s[\"%s\", \"%s\"]", i > 0 ? ", " : "", m[0],
                       m[1]);
    }
    auk_buf_printf(out, "%s]}}", fixture_or(with->merges, ""));
}

/* The code of opening the fixture; *tok is the caller's. */
static inline int fixture_open(auk_tokenizer **tok, const fixture_parts *with, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(1 << 20);

    fixture_json(&text, with);
    int rc = auk_tokenizer_parse(tok, auk_buf_str(&text), "fixture", err);
    auk_buf_release(&text);
    return rc;
}

#endif
