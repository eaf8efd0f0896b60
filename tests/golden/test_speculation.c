/* SPDX-License-Identifier: Apache-2.0 */
/* Guessing tokens changes nothing but the time: logits are the same to the bit, whether guesses are
 * right, wrong, cut off by the end of the context, or forgotten half way. */
#include "golden/golden.h"

#include "base/mem.h"
#include "base/rng.h"
#include "engine/draft.h"
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MINIATURE AUK_SOURCE_DIR "/data/miniature"

static auk_engine *open_engine(auk_precision precision)
{
    auk_engine_options opts = {.precision = precision};
    auk_engine *e;
    auk_err err;

    if (auk_engine_open(&e, MINIATURE, &opts, &err) < 0)
        fail_msg("%s", err.msg);
    return e;
}

/* A text that is told again with changes, as an edit is: ids[i] repeats ids[i - n / 2] except for
 * every 37th.  The ids are drawn: the miniature's own would do as well. */
static void draw_edit(int32_t *ids, size_t n, int vocab)
{
    auk_rng rng = auk_rng_make(3);

    for (size_t i = 0; i < n; i++)
        ids[i] = i < n / 2 || i % 37 == 0 ? (int32_t)auk_rng_below(&rng, (uint64_t)vocab)
                                          : ids[i - n / 2];
}

static void logits_are_the_same_to_the_bit(void **state)
{
    enum { N = 1400 }; /* past the miniature's window and what lies behind it */
    auk_engine *e = open_engine(AUK_PRECISION_BF16);
    size_t bytes = (size_t)auk_engine_vocab(e) * sizeof(float);
    float *want = auk_alloc(bytes), *got = auk_alloc(bytes);
    int32_t *ids = auk_alloc(N * sizeof *ids);
    auk_session *plain, *ahead;
    auk_err err;
    (void)state;

    draw_edit(ids, N, auk_engine_vocab(e));
    assert_int_equal(auk_session_new(&plain, e, N, &err), AUK_OK);
    assert_int_equal(auk_session_new(&ahead, e, N, &err), AUK_OK);
    auk_session_speculate(plain, false);
    for (size_t i = 0; i < N; i++) {
        if (i % 211 == 210 && i + 5 < N) { /* several at once, in the middle of a guess */
            assert_int_equal(auk_session_feed(plain, ids + i, 5, want, &err), AUK_OK);
            assert_int_equal(auk_session_feed(ahead, ids + i, 5, got, &err), AUK_OK);
            i += 4;
        } else {
            assert_int_equal(auk_session_feed(plain, ids + i, 1, want, &err), AUK_OK);
            assert_int_equal(auk_session_feed(ahead, ids + i, 1, got, &err), AUK_OK);
        }
        assert_int_equal(auk_session_length(ahead), auk_session_length(plain));
        if (memcmp(got, want, bytes) != 0)
            fail_msg("position %zu has other logits", i);
    }
    auk_speculation s = auk_session_speculation(ahead);
    assert_true(s.accepted > 20); /* of some 650; how many is a matter of what a pass costs */
    assert_true(s.guessed >= s.accepted);
    assert_int_equal(auk_session_speculation(plain).guessed, 0);
    auk_session_free(plain);
    auk_session_free(ahead);
    auk_engine_close(e);
    free(want);
    free(got);
    free(ids);
}

static void f32_never_guesses(void **state)
{
    auk_engine *e = open_engine(AUK_PRECISION_F32);
    float *logits = auk_alloc((size_t)auk_engine_vocab(e) * sizeof *logits);
    auk_session *s;
    auk_err err;
    (void)state;

    assert_int_equal(auk_session_new(&s, e, 64, &err), AUK_OK);
    for (int i = 0; i < 40; i++)
        assert_int_equal(auk_session_feed(s, &(int32_t){7}, 1, logits, &err), AUK_OK);
    assert_int_equal(auk_session_speculation(s).guessed, 0);
    auk_session_free(s);
    auk_engine_close(e);
    free(logits);
}

/* ---- the guesses themselves ---------------------------------------------------------------- */

static int guess(auk_draft *d, int32_t *out, const int32_t *ids, int n)
{
    return auk_draft_guess(d, out, ids, n, AUK_DRAFT_MAX);
}

static void what_followed_before_is_guessed(void **state)
{
    static const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4};
    auk_draft *d = auk_alloc(sizeof *d);
    int32_t out[AUK_DRAFT_MAX];
    (void)state;

    auk_draft_init(d);
    int k = guess(d, out, ids, 13);
    assert_true(k >= 1);
    for (int i = 0; i < k; i++)
        assert_int_equal(out[i], 5 + i);
    auk_draft_init(d);
    assert_int_equal(guess(d, out, ids, 12), 0); /* three alike are too few */
    auk_draft_cut(d, 3);                         /* and what was forgotten is not guessed */
    assert_int_equal(guess(d, out, (const int32_t[]){1, 2, 3, 4, 9, 2, 3, 4, 5}, 9), 0);
    free(d);
}

static void dear_passes_are_not_taken(void **state)
{
    int32_t ids[40], out[AUK_DRAFT_MAX];
    auk_draft *d = auk_alloc(sizeof *d);
    (void)state;

    for (int i = 0; i < 40; i++)
        ids[i] = i % 20;
    auk_draft_init(d);
    auk_draft_took(d, 1, 1000);
    for (int rows = 2; rows <= AUK_DRAFT_MAX + 1; rows++)
        auk_draft_took(d, rows, (uint64_t)(1000 * rows)); /* no cheaper than one by one */
    assert_int_equal(guess(d, out, ids, 40), 0);
    auk_draft_init(d);
    auk_draft_took(d, 1, 1000);
    for (int rows = 2; rows <= AUK_DRAFT_MAX + 1; rows++)
        auk_draft_took(d, rows, (uint64_t)(1000 + 50 * rows));
    assert_true(guess(d, out, ids, 40) >= 3);
    free(d);
}

static void wrong_guesses_are_followed_by_a_rest(void **state)
{
    int32_t ids[40], out[AUK_DRAFT_MAX];
    auk_draft *d = auk_alloc(sizeof *d);
    (void)state;

    for (int i = 0; i < 40; i++)
        ids[i] = i % 20;
    auk_draft_init(d);
    for (int i = 0; i < 2; i++) {
        int k = guess(d, out, ids, 40);
        assert_true(k > 0);
        auk_draft_learn(d, k, 0);
    }
    for (int i = 0; i < 32; i++)
        assert_int_equal(guess(d, out, ids, 40), 0);
    assert_true(guess(d, out, ids, 40) > 0);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_the_same_to_the_bit),
        cmocka_unit_test(f32_never_guesses),
        cmocka_unit_test(what_followed_before_is_guessed),
        cmocka_unit_test(dear_passes_are_not_taken),
        cmocka_unit_test(wrong_guesses_are_followed_by_a_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
