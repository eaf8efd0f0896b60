/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's stream, and Anthropic's.  However the bytes are cut, the reply is the same and is what
 * the events said.  The first byte seeds the cuts, its bit 0 chooses the dialect, its bit 1 an
 * answer that is not streamed. */
#include "fuzz/client_replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auk_buf whole = AUK_BUF_INIT(1 << 26), split = AUK_BUF_INIT(1 << 26);

    if (n < 1 || n > 1 << 16)
        return 0;
    auk_rng rng = auk_rng_make(data[0]);
    const auk_wire *wire = data[0] & 1 ? &auk_wire_anthropic : &auk_wire_openai;
    bool document = data[0] & 2;
    read_all(&whole, wire, document, data + 1, n - 1, NULL);
    read_all(&split, wire, document, data + 1, n - 1, &rng);
    assert(auk_str_eq(auk_buf_str(&whole), auk_buf_str(&split)));
    auk_buf_release(&whole);
    auk_buf_release(&split);
    return 0;
}
