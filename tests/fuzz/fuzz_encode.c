/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding gives back the text.  The first byte of the input chooses the tokenizer and the mode. */
#include "unit/test_text_fixture.h"

#include <utf8proc.h>

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { PLAIN, NFC, IGNORE_MERGES, FLAGS, N_TOKENIZERS };

static const fixture_parts parts[N_TOKENIZERS] = {
    [PLAIN] = {0},
    [NFC] = {.normalizer = "{\"type\": \"NFC\"}"},
    [IGNORE_MERGES] = {.model = ", \"ignore_merges\": true",
                       .vocab = ", \"zebra\": 266, \"\xC3\xA2\xC4\xA2\xC2\xAC\": 267"},
    [FLAGS] = {.added = ", {\"id\": 282, \"content\": \"ab\", \"single_word\": true, \"lstrip\": "
                        "true, \"rstrip\": true, \"normalized\": true, \"special\": false}"}};

static auk_tokenizer *tokenizer_of(unsigned which)
{
    static auk_tokenizer *toks[N_TOKENIZERS];
    auk_err err;

    if (toks[which] == NULL)
        assert(fixture_open(&toks[which], &parts[which], &err) == AUK_OK);
    return toks[which];
}

/* What an independent normalizer makes of the text. */
static void check_nfc(auk_str text, auk_str got)
{
    for (size_t i = 0, len; i < text.n; i += len)
        if (auk_nfc_is_young(auk_utf8_get((const unsigned char *)text.p + i, &len)))
            return; /* the independent one is newer */
    utf8proc_uint8_t *want;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text.p, (utf8proc_ssize_t)text.n,
                                      &want, UTF8PROC_STABLE | UTF8PROC_COMPOSE);

    assert(n >= 0 && auk_str_eq(got, (auk_str){(const char *)want, (size_t)n}));
    free(want);
}

static void check(const auk_tokenizer *tok, unsigned which, bool special, auk_str text)
{
    auk_buf back = AUK_BUF_INIT(1 << 24);
    auk_ids ids = {0};
    auk_err err = {0};

    int rc = auk_tokenizer_encode(&ids, tok, text, special, &err);
    bool valid = auk_utf8_valid(text) == text.n;
    assert(valid ? rc == AUK_OK : rc == AUK_EFORMAT && err.msg[0] != 0);
    for (size_t i = 0; i < ids.n && !special; i++)
        assert(!auk_tokenizer_is_control(tok, ids.p[i]));
    assert(auk_tokenizer_decode(&back, tok, ids.p, ids.n, false, &err) == AUK_OK);
    if (valid && which == NFC && !special)
        check_nfc(text, auk_buf_str(&back));
    else if (valid && which != NFC && !(which == FLAGS && special))
        assert(auk_str_eq(auk_buf_str(&back), text));
    auk_buf_release(&back);
    auk_ids_release(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    unsigned which = data[0] % N_TOKENIZERS;
    char *copy = malloc(n > 1 ? n - 1 : 1);

    assert(copy != NULL);
    memcpy(copy, data + 1, n - 1);
    check(tokenizer_of(which), which, data[0] & 16, (auk_str){copy, n - 1});
    free(copy);
    return 0;
}
