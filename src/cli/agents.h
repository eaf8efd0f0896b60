/* SPDX-License-Identifier: Apache-2.0 */
/* agents.h - the coding agents that `launch` configures and `doctor` knows the needs of: one table
 * of what each reads, as templates.  In a template stand @URL@ (of the server, without a slash at
 * the end), @MODEL@, @KEY@, @DIR@ (the agent's folder), and the numbers @CTX@ (the window),
 * @MAX@ (the longest answer) and @COMPACT@ (where old turns are to be summed up). */
#ifndef AUK_CLI_AGENTS_H
#define AUK_CLI_AGENTS_H

#include "base/buf.h"

typedef struct auk_agent_file {
    const char *path; /* below the agent's folder */
    const char *text; /* template */
} auk_agent_file;

typedef struct auk_agent {
    const char *name;    /* as it is typed */
    const char *title;   /* as its makers write it */
    const char *program; /* looked for in PATH */
    const char *install; /* a command line that brings it */
    const char *dialect; /* "responses", "openai", "anthropic", "ollama" */
    /* System prompt and tools of its first request: characters / 4, measured; Crush's is a guess.
     */
    int prompt_tok;
    const char *const *env;      /* "NAME=template", NULL at the end */
    const auk_agent_file *files; /* path NULL at the end; or NULL */
    const char *const *args;     /* templates after the program's name, NULL at the end */
    /* To answer once and leave: a subcommand right after the program's name, or NULL; and the
     * option before the task's text, "" when none is needed, NULL when it takes no task. */
    const char *subcommand, *ask;
} auk_agent;

extern const auk_agent auk_agents[];
extern const size_t auk_n_agents;

/* The smallest window with which the agent can work: its own prompt, a file or two, an answer. */
int auk_agent_window(const auk_agent *a);

const auk_agent *auk_agent_find(const char *name); /* NULL: none of that name */

/* What stands for the @NAMES@; all borrowed. */
typedef struct auk_agent_setup {
    const char *url, *model, *key, *dir;
    int ctx, max;
} auk_agent_setup;

/* Refuses what would need quoting in one of the files: anything but letters, digits and - . _ ~
 * : / + @ % in the model and the key; quotes, backslashes and control characters in the folder. */
AUK_MUST_CHECK int auk_agent_setup_check(const auk_agent_setup *s, auk_err *err);

/* Appends the template, filled in. */
void auk_agent_fill(auk_buf *out, const char *text, const auk_agent_setup *s);

#endif
