/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void known_texts_have_their_known_digests(void **state)
{
    /* FIPS 180-2, appendix B, and the empty text */
    static const char *const cases[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[AUK_SHA256_HEX];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auk_sha256_of(hex, cases[i][0], strlen(cases[i][0]));
        assert_string_equal(hex, cases[i][1]);
    }
}

static void pieces_give_the_digest_of_the_whole(void **state)
{
    static uint8_t text[3000];
    (void)state;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        auk_rng rng = auk_rng_make(seed);
        size_t n = auk_rng_below(&rng, sizeof text + 1);
        char whole[AUK_SHA256_HEX], pieces[AUK_SHA256_HEX];

        for (size_t i = 0; i < n; i++)
            text[i] = (uint8_t)auk_rng_next(&rng);
        auk_sha256_of(whole, text, n);
        auk_sha256 *h = auk_sha256_new();
        for (size_t at = 0; at < n;) {
            size_t m = auk_rng_below(&rng, 200); /* 0 too */
            if (m > n - at)
                m = n - at;
            auk_sha256_add(h, text + at, m);
            at += m;
        }
        auk_sha256_finish(h, pieces);
        assert_string_equal(pieces, whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_their_known_digests),
        cmocka_unit_test(pieces_give_the_digest_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
