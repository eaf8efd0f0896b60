/* SPDX-License-Identifier: Apache-2.0 */
/* hash_cache.h - hashes of large files that were computed before, so that a model is read for its
 * fingerprint once and not with every record.  Private to ledger/.
 *
 * A line of the cache is "device inode bytes mtime ctime sha256", times in nanoseconds.  A file
 * has the hash of a line only when all five agree: writing to it, replacing it or setting its
 * times back all change ctime.  A file that was changed in the last two seconds is not remembered:
 * it may change again within the clock's grain.  What cannot be read or parsed is no hash; the
 * cache may be deleted at any time. */
#ifndef AUK_LEDGER_HASH_CACHE_H
#define AUK_LEDGER_HASH_CACHE_H

#include "base/buf.h"
#include "base/sha256.h"

#include <sys/stat.h>

typedef struct auk_hash_cache {
    const char *path; /* borrowed; NULL: nothing is looked up or kept */
    auk_buf text;     /* owned */
} auk_hash_cache;

void auk_hash_cache_open(auk_hash_cache *c, const char *path);
void auk_hash_cache_close(auk_hash_cache *c);

bool auk_hash_cache_find(const auk_hash_cache *c, char hex[AUK_SHA256_HEX], const struct stat *st);

/* Whether all five agree. */
bool auk_hash_cache_same(const struct stat *a, const struct stat *b);

/* Adds a line; a cache that cannot be written is left. */
void auk_hash_cache_add(const auk_hash_cache *c, const char *hex, const struct stat *st);

#endif
