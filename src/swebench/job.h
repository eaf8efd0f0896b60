/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - what generate and the agent share: instances, a model, two files that grow. */
#ifndef AUK_SWEBENCH_JOB_H
#define AUK_SWEBENCH_JOB_H

#include "swebench/json_lines.h"

typedef struct auk_job {
    const auk_swebench_options *opts; /* borrowed */
    const char *kind;                 /* "generate", "agent" */
    const char *prompt_text;          /* what of the prompt is fixed: its hash names it */
    auk_instances data;
    auk_subset subset;
    size_t n;            /* instances of the subset that count: --limit */
    auk_tokenizer *tok;  /* owned; NULL: prompts are not counted */
    auk_client *client;  /* owned; NULL until auk_job_connect */
    char *name;          /* owned; model_name_or_path */
    int64_t context_tok; /* the window; 0: not known */
    auk_json_out preds, trace;
    json_t *done; /* owned: id -> line of preds */
    auk_swebench_result *out;
} auk_job;

/* Reads the data, the subset and what an earlier run left. */
AUK_MUST_CHECK int auk_job_open(auk_job *j, auk_err *err);
void auk_job_close(auk_job *j);
bool auk_job_has(const auk_job *j, const auk_instance *in);

/* Opens the model; `need_tok` is what our own engine's session must hold. */
AUK_MUST_CHECK int auk_job_connect(auk_job *j, int64_t need_tok, auk_err *err);

/* The tokens a chat's prompt has, -1 without a tokenizer. */
AUK_MUST_CHECK int auk_job_count(int64_t *out, const auk_job *j, const json_t *messages,
                                 auk_err *err);

/* One chat, tried again as the client's table says.  AUK_OK with *failed: nothing came, the
 * instance is to be tried by another run; AUK_ECANCEL when the user stopped it. */
AUK_MUST_CHECK int auk_job_chat(auk_reply *out, bool *failed, auk_job *j, const json_t *messages,
                                int max_tokens, auk_err *err);

/* Appends to both files; the trace (taken over) gets the id and the name. */
AUK_MUST_CHECK int auk_job_keep(auk_job *j, const auk_instance *in, auk_str patch, json_t *trace,
                                auk_err *err);

/* Whether a text ends in a cycle: its last 4 periods or more, at least 256 bytes, are one block
 * repeated. */
bool auk_text_loops(auk_str text);

#endif
