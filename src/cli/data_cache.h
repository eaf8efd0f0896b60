/* SPDX-License-Identifier: Apache-2.0 */
/* data_cache.h - files of named data sets, fetched once and kept. */
#ifndef AUK_CLI_DATA_CACHE_H
#define AUK_CLI_DATA_CACHE_H

#include "cli/cli.h"

/* The folder `name` below $XDG_CACHE_HOME/auklet, else ~/.cache/auklet; free().  NULL: there is no
 * home. */
char *auk_cli_cache_path(const char *name);

/* A file that is published at `url` with this sha256: from the cache, else fetched into it.
 * AUK_DATA_URL in the environment names a folder that has it by its name instead. */
typedef struct auk_published {
    const char *set, *file, *sha256, *url;
} auk_published;
AUK_MUST_CHECK int auk_cli_data(char **path, const auk_published *what, const auk_common *common,
                                auk_err *err);

#endif
