/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer.json either opens, and then works, or fails with a message and no object. */
#include "text/tokenizer.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void use(const auk_tokenizer *tok, bool special)
{
    static const char text[] = "the\xC3\xA9 12345 <|USER_TOKEN|> it's\n\n  x";
    auk_buf back = AUK_BUF_INIT(1 << 20);
    auk_ids ids = {0};
    auk_err err = {0};

    int rc = auk_tokenizer_encode(&ids, tok, auk_str_of(text), special, &err);
    assert(rc == AUK_OK || (!special && rc == AUK_ENOTSUP && err.msg[0] != 0));
    for (size_t i = 0; i < ids.n; i++) {
        assert(ids.p[i] >= 0 && ids.p[i] < auk_tokenizer_vocab(tok));
        assert(special || !auk_tokenizer_is_control(tok, ids.p[i]));
    }
    assert(auk_tokenizer_decode(&back, tok, ids.p, ids.n, false, &err) == AUK_OK);
    auk_buf_release(&back);
    auk_ids_release(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1);
    auk_tokenizer *tok;
    auk_err err = {0};

    assert(copy != NULL);
    if (n > 0)
        memcpy(copy, data, n);
    int rc = auk_tokenizer_parse(&tok, (auk_str){copy, n}, "input", &err);
    free(copy); /* nothing of it may be needed any more */
    assert((rc < 0) == (tok == NULL));
    assert(rc == AUK_OK || (err.code == rc && err.msg[0] != 0));
    if (tok != NULL) {
        use(tok, true);
        use(tok, false);
    }
    auk_tokenizer_close(tok);
    return 0;
}
