/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - the MODEL of a command that drives a chat: a folder or a server. */
#ifndef AUK_CLI_TARGET_H
#define AUK_CLI_TARGET_H

#include "cli/cli.h"
#include "client/client.h"

typedef struct auk_cli_target {
    auk_engine *engine; /* owned; of a folder that was opened with auk_cli_target_engine */
    auk_client *client; /* owned */
    const char *folder; /* borrowed; NULL for a server */
} auk_cli_target;

/* Opens `model`; ctx 0: the client's own choice.  AUK_ENOTFOUND says what a MODEL may be. */
AUK_MUST_CHECK int auk_cli_target_open(auk_cli_target *out, const char *model, int ctx,
                                       const auk_common *common, auk_err *err);

/* The same, and for a folder without ctx the window is the model's own, or the largest whose
 * session takes half of the free memory. */
AUK_MUST_CHECK int auk_cli_target_open_wide(auk_cli_target *out, const char *model, int ctx,
                                            const auk_common *common, auk_err *err);
void auk_cli_target_close(auk_cli_target *t);

/* Adds "model" (or `key`) and, for a server, "server" to what was run. */
struct auk_cli_record;
void auk_cli_target_record(struct auk_cli_record *rec, const char *key, const auk_cli_target *t,
                           const char *model);

/* "90", "90s", "15m", "2h" in nanoseconds; false when it is no time. */
bool auk_cli_time(uint64_t *out, const char *text);

#endif
