/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte picks a dialect, the rest is a request: it is taken whole, or refused with words.
 */
#include "serve/ask.h"
#include "text/text.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const auk_dialect *const dialects[] = {
        &auk_dialect_openai,     &auk_dialect_completions, &auk_dialect_llama,
        &auk_dialect_anthropic,  &auk_dialect_responses,   &auk_dialect_ollama_generate,
        &auk_dialect_ollama_chat};
    json_t *request;
    auk_err err = {0};
    auk_ask ask;

    if (size < 2)
        return 0;
    auk_str text = {(const char *)data + 1, size - 1};
    if (auk_json_parse(&request, text, "request", &err) < 0)
        return 0;
    auk_ask_init(&ask);
    ask.dialect = dialects[data[0] % 7];
    int rc = ask.dialect->parse(&ask, request, &err);
    assert((rc < 0) == (err.msg[0] != 0));
    if (rc == AUK_OK && ask.chat != NULL && !ask.load_only) {
        auk_buf prompt = AUK_BUF_INIT(1 << 24);
        rc = auk_request_prepare(ask.chat, &err);
        if (rc == AUK_OK)
            rc = auk_render(&prompt, ask.chat, &err);
        assert((rc < 0) == (err.msg[0] != 0));
        auk_buf_release(&prompt);
    }
    auk_ask_release(&ask);
    json_decref(request);
    return 0;
}
