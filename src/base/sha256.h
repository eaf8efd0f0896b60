/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.h - SHA-256 as lower-case hexadecimal. */
#ifndef AUK_BASE_SHA256_H
#define AUK_BASE_SHA256_H

#include "base/str.h"

#define AUK_SHA256_HEX 65 /* 64 digits and a NUL */

typedef struct auk_sha256 auk_sha256;

auk_sha256 *auk_sha256_new(void);
void auk_sha256_add(auk_sha256 *h, const void *p, size_t n);
void auk_sha256_finish(auk_sha256 *h, char hex[AUK_SHA256_HEX]); /* frees h */

void auk_sha256_of(char hex[AUK_SHA256_HEX], const void *p, size_t n);

#endif
