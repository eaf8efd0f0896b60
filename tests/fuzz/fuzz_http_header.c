/* SPDX-License-Identifier: Apache-2.0 */
/* A raw header is taken or refused with words, whatever its bytes. */
#include "net/net.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auk_str path;
    const char *why = NULL; /* said whatever comes */
    int status = auk_header_check((auk_str){(const char *)data, size}, 100, &path, &why);

    assert(status == 0 || status == 400 || status == 431);
    assert(why != NULL && path.n <= size);
    return 0;
}
