/* SPDX-License-Identifier: Apache-2.0 */
/* Any answer gives a program or says that there is none.  Bits of the first byte are the options;
 * Python's part is played by a hash of the text, so that every branch is reached. */
#include "eval/eval.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int some_check(void *ctx, bool *compiles, bool *defines, auk_str text, auk_str entry,
                      auk_err *err)
{
    unsigned hash = *(unsigned *)ctx;

    (void)err;
    assert(entry.n == 1);
    for (size_t i = 0; i < text.n; i++)
        hash = hash * 31 + (unsigned char)text.p[i];
    *compiles = hash % 3 != 0;
    *defines = *compiles && hash % 5 != 0;
    return AUK_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char prompt[] = "def f():\n";
    auk_extract_status status;
    auk_err err;
    json_t *trace;

    if (n == 0)
        return 0;
    unsigned seed = data[0];
    auk_syntax syntax = {.check = some_check, .ctx = &seed};
    char *copy = malloc(n > 1 ? n - 1 : 1);
    assert(copy != NULL);
    memcpy(copy, data + 1, n - 1);
    auk_extract_input in = {.entry_point = {"f", 1},
                            .answer = {copy, n - 1},
                            .cut = data[0] & 1,
                            .is_section = data[0] & 2,
                            .strict = data[0] & 4};
    if (data[0] & 8)
        in.prompt = (auk_str){prompt, sizeof prompt - 1};
    auk_buf program = AUK_BUF_INIT(1 << 26);
    int rc = auk_extract(&program, &trace, &status, &in, &syntax, &err);
    assert(rc == AUK_OK && json_is_object(trace));
    assert(status == AUK_EXTRACT_OK || program.n == 0);
    assert(status != AUK_EXTRACT_TRUNCATED || in.cut);
    json_decref(trace);
    auk_buf_release(&program);
    free(copy);
    return 0;
}
