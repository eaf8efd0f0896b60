/* SPDX-License-Identifier: Apache-2.0 */
/* Ollama's lines.  However the bytes are cut, the reply is the same and is what the events said.
 * The first byte seeds the cuts. */
#include "fuzz/client_replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auk_buf whole = AUK_BUF_INIT(1 << 26), split = AUK_BUF_INIT(1 << 26);

    if (n < 1 || n > 1 << 16)
        return 0;
    auk_rng rng = auk_rng_make(data[0]);
    read_all(&whole, &auk_wire_ollama, false, data + 1, n - 1, NULL);
    read_all(&split, &auk_wire_ollama, false, data + 1, n - 1, &rng);
    assert(auk_str_eq(auk_buf_str(&whole), auk_buf_str(&split)));
    auk_buf_release(&whole);
    auk_buf_release(&split);
    return 0;
}
