/* SPDX-License-Identifier: Apache-2.0 */
/* A schema compiles or is refused with words; what it compiles to reads bytes without harm. */
#include "engine/engine.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static auk_tokenizer *tok;
    const uint8_t *cut = memchr(data, '\n', size);
    size_t n = cut != NULL ? (size_t)(cut - data) : size;
    json_t *schema;
    auk_grammar *g;
    auk_err err = {0};

    if (tok == NULL && auk_tokenizer_open(&tok, AUK_SOURCE_DIR "/data/miniature", &err) < 0)
        return 0;
    if (auk_json_parse(&schema, (auk_str){(const char *)data, n}, "schema", &err) < 0)
        return 0;
    auk_grammar_options o = {.schema = schema, .text = true};
    int rc = auk_grammar_new(&g, tok, auk_tokenizer_vocab(tok), &o, &err);
    assert((rc < 0) == (g == NULL) && (rc < 0) == (err.msg[0] != 0));
    if (rc == AUK_OK && n < size)
        auk_grammar_reads(g, (auk_str){(const char *)data + n + 1, size - n - 1});
    auk_grammar_free(g);
    json_decref(schema);
    return 0;
}
