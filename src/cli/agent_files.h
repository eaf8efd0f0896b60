/* SPDX-License-Identifier: Apache-2.0 */
/* agent_files.h - the files of `agent`: where the collections are, the log of runs, JUnit, CSV. */
#ifndef AUK_CLI_AGENT_FILES_H
#define AUK_CLI_AGENT_FILES_H

#include "cli/cli.h"
#include "diagnose/diagnose.h"

/* "data/agent/<name>" where the program's data is: $AUK_DATA, ./data, beside the build, or
 * installed. free(); NULL when it is nowhere. */
char *auk_agent_data(const char *name);

/* A log: its first line is the plan, each other line a finished run.  A torn last line is dropped;
 * runs that did not finish are played again.  With `resume` the plan must be the same as before and
 * *runs (owned) are those kept. */
typedef struct auk_agent_log {
    FILE *f; /* NULL: no log */
    const char *path;
} auk_agent_log;
AUK_MUST_CHECK int auk_agent_log_open(auk_agent_log *out, json_t **runs, const char *path,
                                      const json_t *plan, bool resume, bool force, auk_err *err);
AUK_MUST_CHECK int auk_agent_log_add(auk_agent_log *l, const json_t *item, auk_err *err);
AUK_MUST_CHECK int auk_agent_log_close(auk_agent_log *l, auk_err *err);

/* Reads a log: its plan and runs, both owned. */
AUK_MUST_CHECK int auk_agent_log_read(json_t **plan, json_t **runs, const char *path, auk_err *err);

/* A suite per collection, a case per task; a CSV line per task. */
void auk_agent_junit(auk_buf *out, const json_t *summary, const char *model);
void auk_agent_csv(auk_buf *out, const json_t *summary);

/* One run for a reader. */
void auk_agent_print_run(const json_t *run);
void auk_agent_print_summary(const json_t *summary, const char *model);

#endif
