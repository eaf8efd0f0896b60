/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h - the questions `doctor` asks a server over HTTP: who is there, and does each dialect
 * end an answer the way its clients need it.  Nothing here prints. */
#ifndef AUK_CLI_DOCTOR_H
#define AUK_CLI_DOCTOR_H

#include "net/net.h"

/* Who listens at a URL's port. */
typedef struct auk_who {
    bool taken;       /* somebody accepted the connection */
    bool serves_chat; /* one of the servers below, or a list of models */
    bool is_auklet;
    char name[96];    /* "auklet 1.0", "Ollama 0.33.0", "llama-server b1", "a program that ..." */
    char process[64]; /* "ollama (process 4711)"; "" unknown (Linux only, the user's own) */
    char model[256];  /* the first it lists; "" */
    int n_models;     /* -1: it lists none */
    int64_t ctx;      /* its window; -1 unknown */
} auk_who;

/* At most limit_ms.  Nobody there is no failure; an unusable URL is. */
AUK_MUST_CHECK int auk_who_ask(auk_who *out, const char *url, const char *key, uint64_t limit_ms,
                               auk_err *err);

/* One dialect's short answer, streamed. */
typedef enum auk_probe_state {
    AUK_PROBE_OK,
    AUK_PROBE_BROKEN,
    AUK_PROBE_MISSING,
    AUK_PROBE_SLOW
} auk_probe_state;

typedef struct auk_probe {
    const char *name; /* "openai", "responses", "anthropic", "ollama" */
    auk_probe_state state;
    char said[256]; /* what is wrong; or the times */
    uint64_t first_ms, total_ms;
    int64_t prompt_tok, completion_tok; /* -1: not said */
} auk_probe;

#define AUK_N_DIALECTS 4

/* All dialects at the same time, each at most limit_ms. */
void auk_probe_dialects(auk_probe out[AUK_N_DIALECTS], const char *url, const char *key,
                        const char *model, uint64_t limit_ms);

#endif
