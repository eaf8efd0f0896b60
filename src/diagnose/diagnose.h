/* SPDX-License-Identifier: Apache-2.0 */
/* diagnose.h - three questions about whatever answers a chat: how does it feel (inspect), where
 * does its memory of the context break (audit), can it be left alone with tools (agent.h).
 *
 * Each takes an open auk_client and hands out items, JSON objects that hold everything that was
 * seen; what the items mean is computed from them alone by the headline rules of report/, so a
 * record can be recomputed.  Nothing here prints.  Items are borrowed until the callback returns.
 *
 * What is not known is null, never 0.  Times are nanoseconds of auk_now_ns. */
#ifndef AUK_DIAGNOSE_DIAGNOSE_H
#define AUK_DIAGNOSE_DIAGNOSE_H

#include "client/client.h"
#include "diagnose/agent.h"

/* How a diagnosis talks to whoever started it; any callback may be NULL. */
typedef struct auk_watch {
    /* Takes one item; a failure (the disk is full) ends the diagnosis with it. */
    int (*item)(void *ctx, const json_t *item, auk_err *err);
    void (*note)(void *ctx, const char *line); /* worth a line: an estimate, a retry, a warning */
    auk_progress_fn *progress;                 /* returning true asks to stop */
    bool (*cancelled)(void *ctx);              /* asked for each token */
    void *ctx;
} auk_watch;

/* ---- text of a wanted size ---------------------------------------------------------------- */

/* How long a prompt is.  With a tokenizer (our engine's folder) sizes are exact; without one they
 * follow from what the server said about earlier prompts, 4 bytes a token at first. */
typedef struct auk_sizer {
    auk_tokenizer *tokenizer; /* owned; NULL: learned */
    double bytes_per_token;
} auk_sizer;

/* `folder` NULL: no tokenizer. */
AUK_MUST_CHECK int auk_sizer_open(auk_sizer *out, const char *folder, auk_err *err);
void auk_sizer_close(auk_sizer *s);

/* Tokens of the whole rendered prompt; tools may be NULL. */
AUK_MUST_CHECK int auk_sizer_count(int64_t *out, const auk_sizer *s, const json_t *messages,
                                   const json_t *tools, auk_err *err);

/* What a server counted for that prompt. */
void auk_sizer_learn(auk_sizer *s, const json_t *messages, const json_t *tools, int64_t tokens);

/* Appends sentence number i of the text with this seed, with a blank behind it: an entry of a
 * depot's log.  No two numbers give the same sentence, and none holds four digits in a row, so no
 * sentence looks like a fact of the audit. */
void auk_padding_sentence(auk_buf *out, uint64_t seed, uint64_t i);

/* ---- inspect ------------------------------------------------------------------------------ */

typedef struct auk_inspect_options {
    int prompt_tok, gen_tok; /* wanted; what came is in the items */
    int repeat;              /* measured runs of each target */
    bool cold;               /* have the model loaded anew before each run */
    bool prefix;             /* one more request that shares all but the end of the last prompt */
    uint64_t seed;
    uint64_t available_bytes;   /* memory this machine has free; 0: unknown */
    const char *folder;         /* the model's, where our engine answers; or NULL */
    auk_client *against;        /* a second target, or NULL: runs go A B B A ..., each target's */
    const char *against_folder; /* first one is a warm-up and left out */
    auk_watch watch;
} auk_inspect_options;

auk_inspect_options auk_inspect_defaults(void); /* 512 and 128 tokens, 3 runs, prefix, seed 1 */

/* Items, told apart by "item":
 *   target   who answers: target (A, B), dialect, server, model, context_tokens, resolution (token
 *            or chunk), memory
 *   run      one answer: target, run (from 1), warm_up, cold, begun_ns (auk_now_ns), stamps_ns
 *            (of each token or piece, from begun_ns on), ttft_ns, first_reasoning_ns,
 * first_visible_ns, load_ns, prefill_ns, decode_ns, total_ns, tokens of all kinds, events, finish,
 * failure, prompt_sha256 prefix   cached_tokens, computed_tokens and ttft_ns where a prompt is sent
 * with a changed end warning  text A run that fails is an item with its failure; a target whose
 * runs all fail is a failure. */
AUK_MUST_CHECK int auk_inspect(auk_client *c, const auk_inspect_options *opts, auk_err *err);

/* Memory of the folder's model at a context: its weights as mapped, and one session of ctx
 * positions, as the engine itself would take them.  Returns an object with weights_bytes,
 * context_tokens, session_bytes, peak_bytes, ceiling_tokens (what the model allows),
 * ceiling_peak_bytes, available_bytes, fits_tokens (the largest context that fits beside the
 * weights; 0: none), out_of_memory_tokens (the first that does not; null: all fit). */
AUK_MUST_CHECK int auk_inspect_memory(json_t **out, const char *folder, int ctx,
                                      uint64_t available_bytes, auk_err *err);

/* ---- audit -------------------------------------------------------------------------------- */

typedef enum auk_audit_kinds {
    AUK_AUDIT_RETRIEVAL = 1, /* facts hidden in padding among others of the same form */
    AUK_AUDIT_TOOLS = 2,     /* one tool call under padding */
} auk_audit_kinds;

typedef enum auk_audit_state {
    AUK_AUDIT_PASSED,
    AUK_AUDIT_WRONG,
    AUK_AUDIT_TRUNCATED, /* the answer was cut, by length or by a loop guard */
    AUK_AUDIT_NO_ANSWER, /* it ended with nothing: no letter, no digit, no call */
    AUK_AUDIT_ERROR,     /* the server failed; says nothing about the model */
    AUK_N_AUDIT_STATES,
} auk_audit_state;

const char *auk_audit_state_name(auk_audit_state s); /* "passed", "wrong", "no_answer" ... */

#define AUK_AUDIT_MAX_RUNGS 16
#define AUK_AUDIT_MAX_SAMPLES 1000

typedef struct auk_audit_options {
    unsigned kinds;    /* of auk_audit_kinds */
    int64_t max_depth; /* tokens of the deepest prompt; 0: the window less the answer */
    int samples;       /* of each rung and curve */
    int max_tokens;    /* of an answer; 0: 256, and 2048 once the model is seen thinking */
    auk_thinking thinking;
    uint64_t seed;
    const char *preset; /* NULL or "quantamind": 829 to 7,902 tokens in five rungs */
    uint64_t budget_ns; /* 0: none.  Rungs that would not fit are left out, deepest first; when it
                         * is used up the audit ends as partial */
    const char *folder; /* the model's, where our engine answers; or NULL */
    const char *target; /* what the log says was asked; borrowed */
    const char *log;    /* NULL, or a file that gets a line per finished sample */
    bool resume;        /* go on with that file: what is finished is not asked again */
    auk_watch watch;
} auk_audit_options;

auk_audit_options auk_audit_defaults(void); /* both kinds, 45 samples, seed 1, 30 minutes */

typedef struct auk_audit_result {
    size_t planned, finished, resumed, errors; /* samples; planned grows with the bisection */
    size_t skipped_rungs;                      /* left out for the budget or the window */
    int64_t window_tok, max_tokens;            /* -1: the server does not say */
    double estimate_s, seconds;
    bool partial;  /* cancelled, out of time, or with errors: no verdict */
    char why[320]; /* it is */
} auk_audit_result;

/* Asks base and ladder, then closes in on a cliff (auk_stats_ladder, stats.h) until its ends are
 * max(1024, 5 %) tokens apart.  Items, told apart by "item":
 *   plan     target, window_tokens, rungs, skipped, estimate_s, samples, seed, settings
 *   sample   kind, rung_tokens (aimed at), bisection, sheet, question, position (0 to 1), depth
 *            (tokens of the prompt, measured, or null), state, expected, answer, finish, failure,
 *            tokens, ms
 *   end      partial, why, missing
 * AUK_ECANCEL after a stop and AUK_EIO after a full disk, with *out and the items so far. */
AUK_MUST_CHECK int auk_audit(auk_audit_result *out, auk_client *c, const auk_audit_options *opts,
                             auk_err *err);

/* One sheet: a document with its facts, shared by its questions.  For tests and other users; the
 * same seed, sheet and kind give the same facts and calls at every depth, so that samples pair. */
typedef struct auk_sheet {
    uint64_t seed;
    int sheet;
    auk_audit_kinds kind;
    int questions;      /* of this sheet */
    uint64_t sentences; /* of padding */
} auk_sheet;

/* Messages whose last part is question q; the part before it is the same for all q. */
json_t *auk_sheet_messages(const auk_sheet *s, int q);
json_t *auk_sheet_tools(const auk_sheet *s);           /* NULL for retrieval */
json_t *auk_sheet_expected(const auk_sheet *s, int q); /* a text, or {"name", "arguments"} */
double auk_sheet_position(const auk_sheet *s, int q);  /* 0, 1/4, 1/2, 3/4, 1 */
auk_audit_state auk_sheet_score(const auk_sheet *s, int q, const auk_reply *r);

#endif
