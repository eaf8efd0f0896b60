/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include "base/mem.h"

#include <nettle/sha2.h>

struct auk_sha256 {
    struct sha256_ctx ctx;
};

auk_sha256 *auk_sha256_new(void)
{
    auk_sha256 *h = auk_alloc(sizeof *h);

    sha256_init(&h->ctx);
    return h;
}

void auk_sha256_add(auk_sha256 *h, const void *p, size_t n)
{
    sha256_update(&h->ctx, n, p);
}

void auk_sha256_finish(auk_sha256 *h, char hex[AUK_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t d[SHA256_DIGEST_SIZE];

    sha256_digest(&h->ctx, sizeof d, d);
    for (size_t i = 0; i < sizeof d; i++) {
        hex[2 * i] = digits[d[i] >> 4];
        hex[2 * i + 1] = digits[d[i] & 15];
    }
    hex[64] = 0;
    free(h);
}

void auk_sha256_of(char hex[AUK_SHA256_HEX], const void *p, size_t n)
{
    auk_sha256 *h = auk_sha256_new();

    auk_sha256_add(h, p, n);
    auk_sha256_finish(h, hex);
}
