/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h - can a model be left alone with tools?
 *
 * A collection is a file of tasks.  A task is a prompt, tools over a small world whose state really
 * changes, and a goal: what the world must look like at the end, what must be said, and what must
 * never happen.  A run plays one task with a model to its end and gives it a class.  Everything a
 * run saw is in its item, so a run can be played again without the model.
 *
 * Two forms are read: auklet.agent/1 (docs/agent.md) and QuantaMind's v2 task files, unchanged.
 * The rules followed are in docs/agent.md; nothing here prints. */
#ifndef AUK_DIAGNOSE_AGENT_H
#define AUK_DIAGNOSE_AGENT_H

#include "base/sha256.h"
#include "client/client.h"

/* ---- tiers and classes -------------------------------------------------------------------- */

typedef enum auk_tier {
    AUK_TIER_EASY,
    AUK_TIER_MEDIUM,
    AUK_TIER_HARD,
    AUK_TIER_EXTREME,
    AUK_N_TIERS,
} auk_tier;

const char *auk_tier_name(auk_tier t);                /* "easy" ... */
bool auk_tier_parse(auk_tier *out, const char *name); /* any case */
int auk_tier_k(auk_tier t);                           /* repetitions: 5, 8, 16, 24 */
int auk_tier_steps(auk_tier t);                 /* turns of a task that names none: 8, 16, 32, 48 */
int auk_tier_tokens(auk_tier t, bool thinking); /* of a turn: 256; 1536, 2048, 3072, 4096 */

/* How a run ended.  The order is that of severity: of two classes as frequent, the earlier one is
 * called the top error. */
typedef enum auk_agent_class {
    AUK_AGENT_PASSED,
    AUK_AGENT_FORBIDDEN_CALL,
    AUK_AGENT_TURN_TIMEOUT,
    AUK_AGENT_INFINITE_LOOP,     /* three identical turns without progress, or out of turns */
    AUK_AGENT_LOOP_STOPPED,      /* the text itself looped and was stopped */
    AUK_AGENT_HALLUCINATED,      /* says done, or anything else, and is not */
    AUK_AGENT_MALFORMED_SCHEMA,  /* calls that do not fit the tools, after max_recovery hints */
    AUK_AGENT_MALFORMED,         /* something like a call that no reader can read */
    AUK_AGENT_FOREIGN_DIALECT,   /* channel tokens of another model */
    AUK_AGENT_TRUNCATED,         /* a turn was cut by its token budget */
    AUK_AGENT_EMPTY_OUTPUT,      /* no letter, no digit, no call */
    AUK_AGENT_REPORTED_IN_PROSE, /* the right answer, not given through the tool for it */
    AUK_AGENT_BACKEND_ERROR,     /* says nothing about the model: the run did not finish */
    AUK_AGENT_CANCELLED,
    AUK_N_AGENT_CLASSES,
} auk_agent_class;

const char *auk_agent_class_name(auk_agent_class c); /* "passed", "ForbiddenCall", "InfiniteLoop" */

/* ---- collections -------------------------------------------------------------------------- */

typedef struct auk_agent_task {
    const char *id; /* borrowed from the set */
    auk_tier tier;
    int max_steps, max_recovery, k;
    const struct auk_agent_set *set;
    const json_t *spec; /* borrowed from the set: the task as written */
} auk_agent_task;

typedef struct auk_agent_set {
    char name[64], domain[64], path[256], sha256[AUK_SHA256_HEX];
    auk_tier tier;
    bool v2;               /* QuantaMind's form */
    bool generated;        /* v2: names with digits are renumbered for each run */
    char environment[16];  /* v2: entity, filesystem, web_corpus, web_ui */
    auk_agent_task *tasks; /* owned */
    size_t n;
    json_t *root; /* owned */
} auk_agent_set;

/* AUK_EFORMAT names file, task and field: an unknown word anywhere is an error, not a default. */
AUK_MUST_CHECK int auk_agent_set_open(auk_agent_set *out, const char *path, auk_err *err);
void auk_agent_set_close(auk_agent_set *s);

/* Walks the collection as a user would who only knows what he was told, and calls found() for each
 * defect: the task (NULL: the collection), "reject" or "warn", and a sentence.  A task is rejected
 * when its goal cannot be reached from the prompt, is met from the start, or leaks.  Returns the
 * number of rejected tasks in *rejected. */
typedef void auk_agent_found_fn(void *ctx, const char *task, const char *severity,
                                const char *what);
AUK_MUST_CHECK int auk_agent_check(size_t *rejected, const auk_agent_set *s,
                                   auk_agent_found_fn *found, void *ctx, auk_err *err);

/* What makes a task hard, counted from the task itself: calls of the shortest known solution,
 * values that must be looked up before they can be used, decoy tools, invariants ("never", "once",
 * "before", untouched tables), and faults. */
typedef struct auk_agent_axes {
    int steps, hidden, decoys, constraints, faults;
} auk_agent_axes;
AUK_MUST_CHECK int auk_agent_axes_of(auk_agent_axes *out, const auk_agent_task *t, auk_err *err);

/* ---- one run ------------------------------------------------------------------------------ */

/* Answers one turn: fills *reply (released by the caller) like auk_client_chat_retry.  A client is
 * one such function, a scripted model or a recorded run another.  AUK_ELIMIT: the turn ran out of
 * time; AUK_ECANCEL: asked to stop; any other failure: the back end's. */
typedef int auk_agent_model_fn(void *ctx, const json_t *messages, const json_t *tools,
                               auk_reply *reply, auk_err *err);

typedef struct auk_agent_run_options {
    auk_agent_model_fn *model;
    void *model_ctx;
    const char *model_name; /* seeds v2's renumbering; or NULL */
    uint64_t seed;
    int run;            /* from 0; with seed and task it says which instance is played */
    bool same_instance; /* every run plays instance 0: a noise floor, not reliability */
} auk_agent_run_options;

/* Plays one run.  *item (owned by the caller) has: task, collection, tier, domain, run, instance,
 * passed, finished, class, detail, steps, calls, unknown_tool_calls, recovered, schema_errors,
 * dialects {name: n}, completion_tokens, ms, messages (all of them), tools.  Fails only for a bad
 * task or no memory. */
AUK_MUST_CHECK int auk_agent_run(json_t **item, const auk_agent_task *t,
                                 const auk_agent_run_options *opts, auk_err *err);

/* Plays a recorded run again without its model: the same answers through today's world and rules.
 * *same is false when class, steps or any tool result differ. */
AUK_MUST_CHECK int auk_agent_replay(bool *same, json_t **item, const auk_agent_task *t,
                                    const json_t *recorded, auk_err *err);

/* A client as a model. */
typedef struct auk_agent_client {
    auk_client *client; /* borrowed */
    int max_tokens;
    double temperature, top_p; /* negative: the server's own */
    auk_thinking thinking;
    int64_t sample_seed;
    uint64_t turn_timeout_ns;
    bool (*cancelled)(void *ctx); /* or NULL */
    void *ctx;
    uint64_t deadline_ns; /* of the running turn */
} auk_agent_client;
auk_agent_model_fn auk_agent_ask; /* ctx: an auk_agent_client */

/* The steps that solve the instance, as a new list: {"tool", "args"} and, last, {"answer"} where
 * one is wanted.  A v2 task's are made from what it expects. */
AUK_MUST_CHECK int auk_agent_solution(json_t **steps, const auk_agent_task *t,
                                      const auk_agent_run_options *opts, auk_err *err);

#endif
