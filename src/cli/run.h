/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - what `run` shares between a folder and a server.  Private to the command. */
#ifndef AUK_CLI_RUN_H
#define AUK_CLI_RUN_H

#include "cli/cli.h"
#include "client/client.h"

typedef struct auk_run_args {
    auk_common common;
    const char *system_text, *precision;
    int max_tokens, top_k, ctx;
    double temperature, top_p; /* NAN: not given */
    uint64_t seed;             /* AUK_RUN_NO_SEED: not given */
    bool no_think, greedy, no_loop_guard, show_thinking;
} auk_run_args;

#define AUK_RUN_NO_SEED UINT64_MAX

/* What is on the screen while an answer streams. */
typedef struct auk_run_printer {
    const auk_run_args *a;
    bool stream, dim, thinking_shown, in_thinking, ends_in_newline, any;
} auk_run_printer;

auk_run_printer auk_run_printer_of(const auk_run_args *a);
void auk_run_thinking(auk_run_printer *p, auk_str text);
void auk_run_text(auk_run_printer *p, auk_str text);
void auk_run_call(auk_run_printer *p, auk_str name, auk_str arguments);
void auk_run_leave_thinking(auk_run_printer *p);
void auk_run_end(auk_run_printer *p); /* the answer's last line is complete */

/* ---- a server ----------------------------------------------------------------------------- */

bool auk_run_is_server(const char *model);

/* What a server cannot be told, as wrong usage: the exit status, or 0. */
int auk_run_server_usage(const auk_cmd *self, const auk_run_args *a);

/* The last of `messages` is asked.  Streams as the arguments say and tells the end on stderr.
 * AUK_OK also when the user stopped the answer: then *cancelled.  Release *out in either case. */
AUK_MUST_CHECK int auk_run_server_ask(auk_reply *out, bool *cancelled, auk_client *client,
                                      const auk_run_args *a, const json_t *messages, auk_err *err);

/* auklet.run/1 of a server's answer; numbers nobody gave are null. */
int auk_run_server_print(const auk_reply *r, bool cancelled);

#endif
