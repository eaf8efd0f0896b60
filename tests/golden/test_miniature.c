/* SPDX-License-Identifier: Apache-2.0 */
/* The trained miniature: its greedy answers are transformers' (data/miniature/golden.jsonl), and
 * fewer bits do more damage. */
#define _DEFAULT_SOURCE
#include "golden/golden.h"

#include "base/mem.h"
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define MINIATURE AUK_SOURCE_DIR "/data/miniature"

static int32_t *read_ids(const json_t *list, size_t *n)
{
    int32_t *ids;

    *n = json_array_size(list);
    ids = auk_alloc(*n * sizeof *ids);
    for (size_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

static void check_greedy(auk_engine *e, const json_t *want)
{
    size_t n, m, vocab = (size_t)auk_engine_vocab(e);
    int32_t *prompt = read_ids(json_object_get(want, "ids"), &n);
    int32_t *greedy = read_ids(json_object_get(want, "greedy"), &m);
    float *logits = auk_alloc(vocab * sizeof *logits);
    auk_session *s;
    auk_err err;

    assert_int_equal(auk_session_new(&s, e, (int)(n + m), &err), AUK_OK);
    assert_int_equal(auk_session_feed(s, prompt, n, logits, &err), AUK_OK);
    for (size_t i = 0; i < m; i++) {
        double margin = json_number_value(json_array_get(json_object_get(want, "margins"), i));
        size_t best = auk_engine_kernel(e)->argmax(logits, vocab);
        if (margin > 1e-3)
            assert_int_equal((int)best, greedy[i]);
        assert_int_equal(auk_session_feed(s, &greedy[i], 1, logits, &err), AUK_OK);
    }
    auk_session_free(s);
    free(logits);
    free(prompt);
    free(greedy);
}

static void greedy_answers_are_those_of_transformers(void **state)
{
    auk_engine_options opts = {.precision = AUK_PRECISION_F32};
    size_t n, count = 0;
    uint8_t *text = golden_read_file(MINIATURE "/golden.jsonl", &n);
    const char *at = (const char *)text;
    auk_engine *e;
    auk_err err;
    json_t *line;
    (void)state;

    if (auk_engine_open(&e, MINIATURE, &opts, &err) < 0)
        fail_msg("%s", err.msg);
    while ((line = golden_next_json(&at, (auk_str){(const char *)text, n})) != NULL) {
        check_greedy(e, line);
        json_decref(line);
        count++;
    }
    assert_true(count >= 10);
    auk_engine_close(e);
    free(text);
}

static double damage(const char *dir, int bits, const auk_ids *ids)
{
    auk_quant_options quant = auk_quant_defaults();
    auk_compare_options opts = {.ids = ids->p, .n = ids->n, .window = 512};
    auk_quant_result written;
    auk_compare_result result;
    auk_err err;

    quant.bits = bits;
    quant.group_size = 64;
    quant.force = true;
    if (auk_quantize(&written, MINIATURE, dir, &quant, &err) < 0 ||
        auk_compare(&result, MINIATURE, dir, &opts, &err) < 0)
        fail_msg("%s", err.msg);
    return result.kl_mean;
}

static void fewer_bits_do_more_damage(void **state)
{
    static const int bits[] = {8, 6, 4, 3, 2};
    char parent[] = "/tmp/auklet-test-XXXXXX";
    double before = 0;
    auk_tokenizer *tok;
    auk_ids ids = {0};
    size_t n;
    uint8_t *text = golden_read_file(MINIATURE "/heldout.txt", &n);
    auk_err err;
    (void)state;

    assert_non_null(mkdtemp(parent));
    char *dir = auk_path_join(parent, "quantized");
    assert_int_equal(auk_tokenizer_open(&tok, MINIATURE, &err), AUK_OK);
    auk_str part = {(const char *)text, n < 2000 ? n : 2000};
    assert_int_equal(auk_tokenizer_encode(&ids, tok, part, false, &err), AUK_OK);
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        double kl = damage(dir, bits[i], &ids);
        if (!(kl > 1.5 * before))
            fail_msg("%d bits: KL %.5f after %.5f", bits[i], kl, before);
        before = kl;
    }
    assert_int_equal(auk_tree_remove(parent, &err), AUK_OK);
    auk_ids_release(&ids);
    auk_tokenizer_close(tok);
    free(dir);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_answers_are_those_of_transformers),
        cmocka_unit_test(fewer_bits_do_more_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
