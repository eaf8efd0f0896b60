/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/test_text_fixture.h"

#include "base/mem.h"
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_err err;

static auk_tokenizer *open_fixture(const fixture_parts *with)
{
    auk_tokenizer *tok;

    if (fixture_open(&tok, with, &err) < 0)
        fail_msg("%s", err.msg);
    return tok;
}

static void refuses(int code, const char *words, const fixture_parts *with)
{
    auk_tokenizer *tok;

    memset(&err, 0, sizeof err);
    assert_int_equal(fixture_open(&tok, with, &err), code);
    assert_null(tok);
    assert_int_equal(err.code, code);
    if (strstr(err.msg, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, words);
}

/* The ids of text as their spellings, joined by '|'. */
static void check_tokens(const auk_tokenizer *tok, const char *text, bool special, const char *want)
{
    auk_buf got = AUK_BUF_INIT(1 << 16);
    auk_ids ids = {0};

    assert_int_equal(auk_tokenizer_encode(&ids, tok, auk_str_of(text), special, &err), AUK_OK);
    for (size_t i = 0; i < ids.n; i++) {
        auk_str piece = auk_tokenizer_piece(tok, ids.p[i]);
        auk_buf_puts(&got, i > 0 ? "^" : "");
        auk_buf_add(&got, piece.p, piece.n);
    }
    assert_string_equal(auk_buf_str(&got).p, want);
    auk_buf_release(&got);
    auk_ids_release(&ids);
}

static void merges_the_lowest_rank_first(void **state)
{
    auk_tokenizer *tok = open_fixture(&(fixture_parts){0});

    (void)state;
    check_tokens(tok, "the the", false, "the^ the");
    check_tokens(tok, "aaa aaaa", false, "aa^a^ ^aaaa");
    check_tokens(tok, "", false, "");
    auk_tokenizer_close(tok);
}

static void groups_digits_from_the_right_when_a_word_ends_there(void **state)
{
    auk_tokenizer *tok = open_fixture(
        &(fixture_parts){.vocab = ", \"12\": 301, \"123\": 302, \"234\": 303, \"34\": 304",
                         .merges = ", \"1 2\", \"3 4\", \"12 3\", \"2 34\""});

    (void)state;
    check_tokens(tok, "1234", false, "1^234");
    check_tokens(tok, "1234_", false, "123^4^_"); /* left to right: 123, then 4 */
    auk_tokenizer_close(tok);
}

static void matches_control_tokens_only_when_asked(void **state)
{
    auk_tokenizer *tok = open_fixture(&(fixture_parts){0});
    auk_ids ids = {0};

    (void)state;
    assert_int_equal(
        auk_tokenizer_encode(&ids, tok, auk_str_of("a<|USER_TOKEN|>b<PAD>"), true, &err), AUK_OK);
    assert_int_equal(ids.n, 4);
    assert_int_equal(ids.p[1], auk_tokenizer_id(tok, "<|USER_TOKEN|>"));
    assert_true(auk_tokenizer_is_control(tok, ids.p[1]));
    auk_ids_clear(&ids);
    assert_int_equal(
        auk_tokenizer_encode(&ids, tok, auk_str_of("a<|USER_TOKEN|>b<PAD>"), false, &err), AUK_OK);
    for (size_t i = 0; i < ids.n; i++)
        assert_false(auk_tokenizer_is_control(tok, ids.p[i]));
    auk_ids_release(&ids);
    assert_int_equal(auk_tokenizer_id(tok, "<|NOBODY|>"), -1);
    assert_false(auk_tokenizer_is_control(tok, -1));
    assert_false(auk_tokenizer_is_control(tok, auk_tokenizer_vocab(tok)));
    assert_int_equal(auk_tokenizer_piece(tok, auk_tokenizer_vocab(tok)).n, 0);
    auk_tokenizer_close(tok);
}

#define ADDED(content, single, left, right, normalized)                                            \
    ", {\"id\": 999, \"content\": \"" content "\", \"single_word\": " single ", \"lstrip\": " left \
    ", \"rstrip\": " right ", \"normalized\": " normalized ", \"special\": false}"

static void honours_the_flags_of_added_tokens(void **state)
{
    auk_tokenizer *tok = open_fixture(&(fixture_parts){
        .normalizer = "{\"type\": \"NFC\"}",
        .added = ADDED("[w]", "true", "false", "false", "false")
            ADDED("[l]", "false", "true", "false", "false")
                ADDED("[r]", "false", "false", "true", "false")
                    ADDED("[longer]", "false", "false", "false", "false")
                        ADDED("[longer]x", "false", "false", "false", "false")
                            ADDED("[e\\u0301]", "false", "false", "false", "true")});

    (void)state;
    check_tokens(tok, "x[w]. [w]y\xE2\x80\x8D[w]", true,
                 "x^[^w^]^.^ ^[^w^]^y^\xE2^\x80^\x8D^[^w^]");
    check_tokens(tok, "([w])", true, "(^[w]^)");
    check_tokens(tok, "a \n[l] b", true, "a^[l]^ ^b");
    check_tokens(tok, "a [r] \t[l]", true, "a^ ^[r]^[l]");
    check_tokens(tok, "[longer]x[longer]", true, "[longer]x^[longer]");
    check_tokens(tok, "[\xC3\xA9]", true,
                 "[e\xCC\x81]"); /* composed in the text, not in the file */
    auk_tokenizer_close(tok);
}

static void follows_ignore_merges(void **state)
{
    auk_tokenizer *tok = open_fixture(&(fixture_parts){
        .model = ", \"ignore_merges\": true", .vocab = ", \"zebra\": 400, \"<PAD>\": 401"});

    (void)state;
    check_tokens(tok, "zebra", false, "zebra");
    check_tokens(tok, "zebras", false, "z^e^b^r^a^s");
    auk_tokenizer_close(tok);
}

static void refuses_text_mode_when_a_control_token_shares_an_id(void **state)
{
    /* 266 words, but ids up to 270: the library numbers added tokens from 266 on */
    auk_tokenizer *tok = open_fixture(&(fixture_parts){.vocab = ", \"zebra\": 270"});
    auk_ids ids = {0};

    (void)state;
    assert_int_equal(auk_tokenizer_encode(&ids, tok, auk_str_of("x"), true, &err), AUK_OK);
    assert_int_equal(auk_tokenizer_encode(&ids, tok, auk_str_of("x"), false, &err), AUK_ENOTSUP);
    auk_ids_release(&ids);
    auk_tokenizer_close(tok);
}

static void composes_before_it_cuts_when_the_file_says_so(void **state)
{
    auk_tokenizer *plain = open_fixture(&(fixture_parts){0});
    auk_tokenizer *nfc = open_fixture(&(fixture_parts){.normalizer = "{\"type\": \"NFC\"}"});

    (void)state;
    check_tokens(plain, "e\xCC\x81", false, "e^\xCC^\x81");
    check_tokens(nfc, "e\xCC\x81", false, "\xC3\xA9");
    auk_tokenizer_close(plain);
    auk_tokenizer_close(nfc);
}

static void names_the_byte_that_is_not_utf8(void **state)
{
    auk_tokenizer *tok = open_fixture(&(fixture_parts){0});
    auk_ids ids = {0};

    (void)state;
    assert_int_equal(auk_tokenizer_encode(&ids, tok, auk_str_of("ab\xC3("), false, &err),
                     AUK_EFORMAT);
    assert_non_null(strstr(err.msg, "byte 2"));
    assert_int_equal(ids.n, 0);
    auk_ids_release(&ids);
    auk_tokenizer_close(tok);
}

static void holds_back_half_a_character(void **state)
{
    auk_tokenizer *tok = open_fixture(&(fixture_parts){0});
    auk_buf out = AUK_BUF_INIT(64);
    auk_decoder d;

    (void)state;
    auk_decoder_init(&d, tok, false);
    auk_decoder_add(&d, &out, 0xE2);
    auk_decoder_add(&d, &out, 0x82);
    assert_int_equal(out.n, 0);
    auk_decoder_add(&d, &out, 0xAC);
    assert_string_equal(out.p, "\xE2\x82\xAC");
    auk_decoder_add(&d, &out, 0xF0);
    auk_decoder_add(&d, &out, 'a');
    assert_string_equal(out.p, "\xE2\x82\xAC\xEF\xBF\xBD"
                               "a");
    auk_decoder_add(&d, &out, 0xF0);
    auk_decoder_finish(&d, &out);
    assert_true(auk_str_ends(auk_buf_str(&out), "a\xEF\xBF\xBD"));
    auk_buf_release(&out);
    auk_tokenizer_close(tok);
}

static void names_what_it_does_not_support(void **state)
{
    (void)state;
    refuses(AUK_ENOTSUP, "normalizer.type", &(fixture_parts){.normalizer = "{\"type\": \"NFKC\"}"});
    refuses(AUK_ENOTSUP, "pre_tokenizer.type",
            &(fixture_parts){.pre_tokenizer = "{\"type\": \"ByteLevel\"}"});
    refuses(AUK_ENOTSUP, "unknown key 'lattice'", &(fixture_parts){.top = ", \"lattice\": 1"});
    refuses(AUK_ENOTSUP, "model.dropout", &(fixture_parts){.model = ", \"dropout\": 0.1"});
    refuses(AUK_ENOTSUP, "model.end_of_word_suffix",
            &(fixture_parts){.model = ", \"end_of_word_suffix\": \"</w>\""});
    refuses(AUK_ENOTSUP, "unknown key 'model.trie'", &(fixture_parts){.model = ", \"trie\": {}"});
    refuses(AUK_ENOTSUP, "builds the control token '<|>'",
            &(fixture_parts){.added = ADDED("<|>", "false", "false", "false", "false"),
                             .vocab = ", \"<|>\": 300",
                             .merges = ", \"<| >\""});
}

static void names_what_is_malformed(void **state)
{
    (void)state;
    refuses(AUK_EFORMAT, "model.merges[10]", &(fixture_parts){.merges = ", 3"});
    refuses(AUK_EFORMAT, "model.merges[10]", &(fixture_parts){.merges = ", \"a b c\""});
    refuses(AUK_EFORMAT, "model.merges[10] names", &(fixture_parts){.merges = ", \"a b\""});
    refuses(AUK_EFORMAT, "the id 7 twice", &(fixture_parts){.vocab = ", \"zz\": 7"});
    refuses(AUK_EFORMAT, "'the' twice", &(fixture_parts){.vocab = ", \"the\": 300"});
    refuses(AUK_EFORMAT, "entry 266 of model.vocab", &(fixture_parts){.vocab = ", \"zz\": -1"});
    refuses(AUK_EFORMAT, "entry 266 of model.vocab", &(fixture_parts){.vocab = ", \"zz\": 1.5"});
    refuses(AUK_EFORMAT, "entry 266", &(fixture_parts){.vocab = ", \"\\ud800\": 300"});
    refuses(AUK_EFORMAT, "model.ignore_merges",
            &(fixture_parts){.model = ", \"ignore_merges\": 1"});
    refuses(AUK_EFORMAT, "added_tokens[16].content", &(fixture_parts){.added = ", {\"id\": 3}"});
    refuses(AUK_EFORMAT, "repeats '<PAD>'",
            &(fixture_parts){.added = ADDED("<PAD>", "false", "false", "false", "false")});
    refuses(AUK_EFORMAT, "added_tokens[16].lstrip",
            &(fixture_parts){.added = ADDED("x", "false", "0", "false", "false")});
}

static void takes_linear_time_for_long_words(void **state)
{
    static const char *const units[] = {"a", " ", "7", "\xCC\x81", "\xCC\x81\xCC\xA3",
                                        "A", "<", "'", "\n",       "<|USER_TOKEN"};
    auk_tokenizer *tok = open_fixture(&(fixture_parts){.normalizer = "{\"type\": \"NFC\"}"});
    enum { BYTES = 1 << 20 };
    char *text = auk_alloc(BYTES);

    (void)state;
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        size_t unit = strlen(units[k]), n = BYTES / unit * unit;
        auk_ids ids = {0};
        for (size_t i = 0; i < n; i += unit)
            memcpy(text + i, units[k], unit);
        uint64_t start = auk_now_ns();
        assert_int_equal(auk_tokenizer_encode(&ids, tok, (auk_str){text, n}, true, &err), AUK_OK);
        assert_true(ids.n > 0);
        if (auk_now_ns() - start > 20000000000u) /* quadratic would be hours; slow machines exist */
            fail_msg("a megabyte of '%s' took more than 20 s", units[k]);
        auk_ids_release(&ids);
    }
    free(text);
    auk_tokenizer_close(tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_the_lowest_rank_first),
        cmocka_unit_test(groups_digits_from_the_right_when_a_word_ends_there),
        cmocka_unit_test(matches_control_tokens_only_when_asked),
        cmocka_unit_test(honours_the_flags_of_added_tokens),
        cmocka_unit_test(follows_ignore_merges),
        cmocka_unit_test(refuses_text_mode_when_a_control_token_shares_an_id),
        cmocka_unit_test(composes_before_it_cuts_when_the_file_says_so),
        cmocka_unit_test(names_the_byte_that_is_not_utf8),
        cmocka_unit_test(holds_back_half_a_character),
        cmocka_unit_test(names_what_it_does_not_support),
        cmocka_unit_test(names_what_is_malformed),
        cmocka_unit_test(takes_linear_time_for_long_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
