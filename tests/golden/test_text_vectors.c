/* SPDX-License-Identifier: Apache-2.0 */
/* The recorded vectors of the tokenizers library: ids, pieces, and decoded text. */
#include "golden/golden.h"

#include "text/char_class.h"
#include "text/pretoken.h"
#include "text/text.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_err err;

/* Calls fn for every line of a .jsonl file. */
typedef void line_fn(const json_t *line, const auk_tokenizer *tok);

static size_t each_line(const char *vectors, const char *tokenizer, line_fn *fn)
{
    size_t n, count = 0;
    char *text = (char *)golden_read_file(golden_path("%s", vectors), &n);
    const char *at = text;
    auk_tokenizer *tok;
    json_t *line;

    if (auk_tokenizer_open(&tok, golden_path("%s", tokenizer), &err) < 0)
        fail_msg("%s", err.msg);
    while ((line = golden_next_json(&at, (auk_str){text, n})) != NULL) {
        fn(line, tok);
        json_decref(line);
        count++;
    }
    auk_tokenizer_close(tok);
    free(text);
    return count;
}

static void read_ids(auk_ids *ids, const json_t *list)
{
    size_t i;
    json_t *v;

    json_array_foreach((json_t *)list, i, v)
        assert_int_equal(auk_ids_add(ids, (int32_t)json_integer_value(v), &err), AUK_OK);
}

static void check_decode(const auk_tokenizer *tok, const auk_ids *ids, bool skip, auk_str want)
{
    auk_buf got = AUK_BUF_INIT(1 << 24), streamed = AUK_BUF_INIT(1 << 24);
    auk_decoder d;

    assert_int_equal(auk_tokenizer_decode(&got, tok, ids->p, ids->n, skip, &err), AUK_OK);
    if (!auk_str_eq(auk_buf_str(&got), want))
        fail_msg("decoded '%.*s', want '%.*s'", AUK_ARG(auk_buf_str(&got)), AUK_ARG(want));
    auk_decoder_init(&d, tok, skip);
    for (size_t i = 0; i < ids->n; i++) {
        auk_decoder_add(&d, &streamed, ids->p[i]);
        assert_int_equal(auk_utf8_valid(auk_buf_str(&streamed)), streamed.n);
    }
    auk_decoder_finish(&d, &streamed);
    assert_true(auk_str_eq(auk_buf_str(&streamed), want));
    auk_buf_release(&got);
    auk_buf_release(&streamed);
}

static void check_encode(const json_t *line, const auk_tokenizer *tok)
{
    auk_str text = auk_json_str(json_object_get(line, "text"));
    const json_t *decoded = json_object_get(line, "decoded");
    const json_t *skipped = json_object_get(line, "decoded_skip_special");
    auk_ids want = {0}, got = {0};

    read_ids(&want, json_object_get(line, "ids"));
    assert_int_equal(auk_tokenizer_encode(&got, tok, text, true, &err), AUK_OK);
    if (got.n != want.n || (got.n > 0 && memcmp(got.p, want.p, got.n * sizeof *got.p) != 0))
        fail_msg("'%.*s' has %zu ids, want %zu, or others", AUK_ARG(text), got.n, want.n);
    auk_str whole = json_is_true(decoded) ? text : auk_json_str(decoded);
    check_decode(tok, &got, false, whole);
    check_decode(tok, &got, true, skipped ? auk_json_str(skipped) : whole);
    auk_ids_release(&want);
    auk_ids_release(&got);
}

static void check_ids(const json_t *line, const auk_tokenizer *tok)
{
    auk_ids ids = {0};

    read_ids(&ids, json_object_get(line, "ids"));
    check_decode(tok, &ids, false, auk_json_str(json_object_get(line, "decoded")));
    check_decode(tok, &ids, true, auk_json_str(json_object_get(line, "decoded_skip_special")));
    auk_ids_release(&ids);
}

static uint8_t classes[AUK_CHARS];

static size_t count_chars(auk_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

/* Pieces are recorded as character ranges of the text without added tokens. */
static void check_pieces(const json_t *line, const auk_tokenizer *tok)
{
    const json_t *want = json_object_get(line, "pieces");
    auk_str text = auk_json_str(json_object_get(line, "text")), piece;
    auk_pretoken words;
    size_t i = 0, at = 0;

    (void)tok;
    if (want == NULL)
        return;
    auk_pretoken_init(&words, classes, text);
    while (auk_pretoken_next(&words, &piece)) {
        const json_t *range = json_array_get(want, i++);
        size_t end = at + count_chars(piece);
        if (json_integer_value(json_array_get(range, 0)) != (json_int_t)at ||
            json_integer_value(json_array_get(range, 1)) != (json_int_t)end)
            fail_msg("piece %zu of '%.*s' is %zu to %zu", i, AUK_ARG(text), at, end);
        at = end;
    }
    assert_int_equal(i, json_array_size(want));
}

static void encodes_and_decodes_the_plain_vectors(void **state)
{
    (void)state;
    assert_int_equal(each_line("tokenizer/vectors.jsonl", "tokenizer/tokenizer.json", check_encode),
                     4292);
}

static void encodes_and_decodes_the_nfc_vectors(void **state)
{
    (void)state;
    assert_int_equal(
        each_line("tokenizer/vectors_nfc.jsonl", "tokenizer/tokenizer_nfc.json", check_encode),
        703);
}

static void encodes_and_decodes_the_ignore_merges_vectors(void **state)
{
    (void)state;
    assert_int_equal(each_line("tokenizer/vectors_ignore_merges.jsonl",
                               "tokenizer/tokenizer_ignore_merges.json", check_encode),
                     490);
}

static void decodes_arbitrary_ids(void **state)
{
    (void)state;
    assert_int_equal(
        each_line("tokenizer/vectors_decode.jsonl", "tokenizer/tokenizer.json", check_ids), 400);
}

static void cuts_text_into_the_recorded_pieces(void **state)
{
    (void)state;
    assert_int_equal(each_line("tokenizer/vectors.jsonl", "tokenizer/tokenizer.json", check_pieces),
                     4292);
}

static void holds_the_recorded_class_of_every_character(void **state)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {{"L", AUK_CHAR_L},
                 {"N", AUK_CHAR_N},
                 {"upper_side", AUK_CHAR_UPPER},
                 {"lower_side", AUK_CHAR_LOWER},
                 {"space", AUK_CHAR_SPACE},
                 {"digit", AUK_CHAR_DIGIT},
                 {"word", AUK_CHAR_WORD}};
    json_t *root = golden_read_json(golden_path("tokenizer/classes.json"));
    uint8_t *want = calloc(AUK_CHARS, 1);

    (void)state;
    assert_non_null(want);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        json_t *ranges = json_object_get(json_object_get(root, "ranges"), names[k].name), *range;
        size_t i;
        assert_true(json_array_size(ranges) > 0);
        json_array_foreach(ranges, i, range)
        {
            json_int_t last = json_integer_value(json_array_get(range, 1));
            for (json_int_t c = json_integer_value(json_array_get(range, 0)); c <= last; c++)
                want[c] |= (uint8_t)names[k].bit;
        }
    }
    for (uint32_t c = 0; c < AUK_CHARS; c++) {
        if (c >= 0xD800 && c < 0xE000)
            continue;
        if (classes[c] != want[c] || auk_char_class(c) != want[c])
            fail_msg("U+%04X has classes %02x, want %02x", c, classes[c], want[c]);
    }
    free(want);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes_the_plain_vectors),
        cmocka_unit_test(encodes_and_decodes_the_nfc_vectors),
        cmocka_unit_test(encodes_and_decodes_the_ignore_merges_vectors),
        cmocka_unit_test(decodes_arbitrary_ids),
        cmocka_unit_test(cuts_text_into_the_recorded_pieces),
        cmocka_unit_test(holds_the_recorded_class_of_every_character),
    };
    int rc = golden_open();

    if (rc != 0)
        return rc;
    auk_char_class_fill(classes);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
