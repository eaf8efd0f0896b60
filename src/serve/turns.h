/* SPDX-License-Identifier: Apache-2.0 */
/* turns.h - the ids the model itself wrote, found again when a client sends the turn back.
 *
 * A client returns an assistant's turn re-formatted: thinking left out, arguments in another key
 * order, spaces trimmed.  Rendered from that, the prompt would differ from what was computed.  So
 * each finished turn is kept under a hash of everything the client has seen up to it, and its ids
 * take the place of the rendered ones.  Safe for threads. */
#ifndef AUK_SERVE_TURNS_H
#define AUK_SERVE_TURNS_H

#include "serve/job.h"

typedef struct auk_turns auk_turns;

/* file: where they are kept over a restart; NULL: nowhere. */
auk_turns *auk_turns_new(const char *file);
void auk_turns_free(auk_turns *t);
AUK_MUST_CHECK int auk_turns_save(auk_turns *t, auk_err *err);

/* Replaces, in job->prompt, the turns of assistant messages that are known, and fills marks,
 * first_user, header and visible.  messages: the chat's. */
AUK_MUST_CHECK int auk_turns_restore(auk_turns *t, auk_job *job, const auk_tokenizer *tok,
                                     const json_t *messages, auk_err *err);

/* Keeps the turn that answered the job: header and n ids.  parsed: what the client was shown. */
void auk_turns_keep(auk_turns *t, const auk_job *job, const auk_parsed *parsed, const int32_t *ids,
                    size_t n);

/* Tools that mean the same as earlier ones, in another key order, become those. */
void auk_turns_same_tools(auk_turns *t, json_t *chat);

/* Lines that clients change with every request and that say nothing to the model: Claude Code's
 * attribution line and its countdown of tokens.  In place. */
void auk_freeze_volatile(json_t *messages);

#endif
