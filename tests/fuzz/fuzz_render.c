/* SPDX-License-Identifier: Apache-2.0 */
/* A request renders as text and as ids that spell the same text, or fails with a message. */
#include "unit/test_text_fixture.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static auk_tokenizer *tok;

static void check(const json_t *request)
{
    auk_buf text = AUK_BUF_INIT(1 << 24), back = AUK_BUF_INIT(1 << 24);
    auk_ids ids = {0};
    auk_err err = {0}, ids_err = {0};

    int rc = auk_render(&text, request, &err);
    int ids_rc = auk_render_ids(&ids, tok, request, &ids_err);
    assert(rc == ids_rc);
    if (rc < 0) {
        assert(err.msg[0] != 0 && strcmp(err.msg, ids_err.msg) == 0);
    } else {
        assert(auk_tokenizer_decode(&back, tok, ids.p, ids.n, false, &err) == AUK_OK);
        assert(auk_str_eq(auk_buf_str(&text), auk_buf_str(&back)));
    }
    auk_buf_release(&text);
    auk_buf_release(&back);
    auk_ids_release(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1);
    json_t *request;
    auk_err err = {0};

    assert(copy != NULL);
    if (tok == NULL)
        assert(fixture_open(&tok, &(fixture_parts){0}, &err) == AUK_OK);
    if (n > 0)
        memcpy(copy, data, n);
    if (auk_json_parse(&request, (auk_str){copy, n}, "input", &err) == AUK_OK) {
        check(request);
        if (auk_request_prepare(request, &err) == AUK_OK)
            check(request);
        else
            assert(err.msg[0] != 0);
        json_decref(request);
    }
    free(copy);
    return 0;
}
