/* SPDX-License-Identifier: Apache-2.0 */
/* agent_parts.h - what the files of the agent harness share.  Private to diagnose/. */
#ifndef AUK_DIAGNOSE_AGENT_PARTS_H
#define AUK_DIAGNOSE_AGENT_PARTS_H

#include "diagnose/agent.h"

/* ---- an instance: a task with its variables filled in (agent_instance.c) ------------------- */

typedef struct auk_agent_instance {
    const auk_agent_task *task;
    uint64_t seed;
    json_t *spec;  /* owned: the task, all {{names}} replaced */
    json_t *tools; /* owned: what the model is shown, OpenAI's form, real and decoys shuffled */
    const char *prompt;
} auk_agent_instance;

AUK_MUST_CHECK int auk_agent_instance_make(auk_agent_instance *out, const auk_agent_task *t,
                                           const auk_agent_run_options *opts, auk_err *err);
void auk_agent_instance_release(auk_agent_instance *in);

/* The tool's entry in the instance's spec; *decoy says whether it stands under "decoys". */
const json_t *auk_agent_tool(const auk_agent_instance *in, const char *name, bool *decoy);

/* FNV-1a, 64 bits. */
uint64_t auk_fnv1a(uint64_t h, const void *p, size_t n);
#define AUK_FNV_START 0xcbf29ce484222325u

/* NULL, or what is wrong with the call in the words the model is told.  text is the arguments as
 * they came, args NULL when they are no JSON. */
AUK_MUST_CHECK bool auk_agent_schema(char *why, size_t n, const auk_agent_instance *in,
                                     const char *name, const json_t *args);

/* Texts that stand where the tool wants a number, a truth value, an object or a list become that,
 * for dialects that write all values as text. */
void auk_agent_type_args(json_t *args, const auk_agent_instance *in, const char *name);

/* ---- the world (agent_world.c, agent_v2.c) ------------------------------------------------- */

typedef struct auk_world {
    const auk_agent_instance *in;
    json_t *state;  /* owned: {"tables", "files", "said", "added"}, v2: the world_state */
    json_t *start;  /* owned: the state before the first call */
    json_t *faults; /* owned: attempts so far by fault */
    json_t *log;    /* owned: [{"tool", "args", "ok"}] of every call that reached the world */
    json_t *met;    /* owned: v2: indices of expected calls that were made */
} auk_world;

void auk_world_open(auk_world *w, const auk_agent_instance *in);
void auk_world_close(auk_world *w);

/* Does the call, whose arguments fit the schema; appends what the tool says to *out.  Returns
 * whether it was refused or failed. */
bool auk_world_call(auk_buf *out, auk_world *w, const char *tool, const json_t *args);
bool auk_world_v2_call(auk_buf *out, auk_world *w, const char *tool, const json_t *args);

/* Files of a world, {path: text}: "./a//b/" is "a/b"; the keys in order (free() the list, not the
 * texts); "path:line: text" of every line with `what` in it, case folded. */
void auk_path_clean(char *out, size_t n, const char *path);
const char **auk_sorted_keys(const json_t *o, size_t *n);
void auk_files_search(auk_buf *out, const json_t *files, const char *what);

/* The goal (agent_goal.c).  `text` is the last answer, {NULL, 0} while there is none.  *why says
 * what is missing first. */
bool auk_world_done(const auk_world *w, auk_str text, char *why, size_t n);
/* Only the report through a tool is missing, and `text` holds what it should say. */
bool auk_world_in_prose(const auk_world *w, auk_str text);
/* Whether a call is one of those that must never be made. */
bool auk_world_forbids(const auk_agent_instance *in, const char *tool, const json_t *args);

/* ---- matching (agent_match.c) -------------------------------------------------------------- */

/* Ordered, case-insensitive, pieces between '*'; "*" alone is any text with a visible character. */
bool auk_glob(auk_str pattern, auk_str text);
/* A wanted value against a real one: texts with '*' as globs, else trimmed and exact; numbers by
 * value; objects: every wanted key; lists: element by element. */
bool auk_value_matches(const json_t *want, const json_t *have);
/* The same keys, each matching. */
bool auk_args_match(const json_t *want, const json_t *have);
bool auk_value_equal(const json_t *a, const json_t *b); /* numbers by value, deep */
/* Name and arguments with sorted keys: the same call, the same text. */
void auk_call_key(auk_buf *out, const char *name, const json_t *args);
/* + - * / ^ ( ) and numbers; false when it is none. */
bool auk_calculate(double *out, auk_str expression);

/* ---- calls in text (agent_dialect.c) ------------------------------------------------------- */

typedef struct auk_text_call {
    char *name;   /* owned */
    json_t *args; /* owned */
    const char *dialect;
} auk_text_call;

typedef struct auk_text_calls {
    auk_text_call *p; /* owned */
    size_t n;
    bool foreign; /* channel tokens and call:NAME that nothing could be made of */
    bool broken;  /* '{' and no JSON object in it */
} auk_text_calls;

/* Finds the calls in what a model said.  known(ctx, name) tells the tools that exist: forms that
 * look like ordinary prose or code count only with such a name. */
void auk_text_calls_find(auk_text_calls *out, auk_str text,
                         bool (*known)(const void *ctx, auk_str name), const void *ctx);
void auk_text_calls_release(auk_text_calls *c);

#endif
