/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - a loaded model that answers: sessions, sampling, the loop guard, generation.
 *
 * The life cycle (auk_engine_open, auk_session_new, auk_session_feed ...) is in auklet.h.  An
 * engine is read-only and shared; a session, a sampler and a guard belong to one thread at a
 * time.  Nothing here allocates per token. */
#ifndef AUK_ENGINE_ENGINE_H
#define AUK_ENGINE_ENGINE_H

#include "base/sha256.h"
#include "model/model.h"
#include "text/text.h"

/* ---- synthetic models ---------------------------------------------------------------------- */

/* An engine on auk_model_synthetic_shapes(kind, layers): no text, only numbers; bf16 precision. */
AUK_MUST_CHECK int auk_engine_open_synthetic(auk_engine **out, const char *kind, int layers,
                                             const auk_engine_options *opts, auk_err *err);

/* ---- parts of an engine ------------------------------------------------------------------- */

/* All borrowed from the engine.  The tokenizer is opened when first asked for: a folder of weights
 * alone can still be measured. */
const auk_model *auk_engine_model(const auk_engine *e);
const auk_kernel *auk_engine_kernel(const auk_engine *e);
auk_pool *auk_engine_pool(const auk_engine *e);
AUK_MUST_CHECK int auk_engine_tokenizer(const auk_tokenizer **out, auk_engine *e, auk_err *err);

/* A name for the weights that is cheap to find again (the configuration, each tensor's size and
 * first bytes), and how many parameters they are. */
AUK_MUST_CHECK int auk_engine_identity(char hex[AUK_SHA256_HEX], uint64_t *parameters,
                                       const auk_engine *e, auk_err *err);

/* Ids that end a turn: the configuration's and the tokenizer's <|END_OF_TURN_TOKEN|>. */
bool auk_engine_is_end(auk_engine *e, int32_t id);

/* Bytes a session of ctx positions takes: KV cache, activations, scores. */
uint64_t auk_session_bytes(const auk_engine *e, int ctx);

/* Whether feeding one token at a time may compute likely next ones along (prompt lookup), so that
 * feeding them costs nothing.  Logits are the same to the bit either way.  On for a new session in
 * bf16 precision; f32 never does. */
void auk_session_speculate(auk_session *s, bool on);

typedef struct auk_speculation {
    uint64_t guessed, accepted; /* tokens */
    double cost[5]; /* measured: a pass of 1, 2, 4, 8, 13 rows against one; 0: not yet */
} auk_speculation;
auk_speculation auk_session_speculation(const auk_session *s);

/* Makes the session hold n positions of drawn keys and values and ids 0: for measuring at a depth.
 * What is fed afterwards is nonsense. */
AUK_MUST_CHECK int auk_session_pretend(auk_session *s, int n, auk_err *err);

/* The session holds its first n positions, whatever its windows have lost: for measuring. */
void auk_session_rewind(auk_session *s, int n);

/* Feeds ids and gives the logits of every one: rows(ctx, first, logits, n) is called with n rows
 * of vocab floats for positions first, first + 1 ...  A failure of rows ends the feed. */
typedef int auk_rows_fn(void *ctx, size_t first, const float *logits, size_t n, auk_err *err);
AUK_MUST_CHECK int auk_session_feed_all(auk_session *s, const int32_t *ids, size_t n,
                                        const auk_tap *tap, auk_rows_fn *rows, void *ctx,
                                        auk_err *err);

/* ---- sampling ----------------------------------------------------------------------------- */

/* temperature 0 is greedy.  top_k 0 and top_p 1 keep everything. */
typedef struct auk_sample_options {
    float temperature, top_p;
    int top_k;
    uint64_t seed;
} auk_sample_options;

auk_sample_options auk_sample_defaults(void); /* the vendor's: temperature 1, top_p 0.95 */

typedef struct auk_sampler auk_sampler;

AUK_MUST_CHECK int auk_sampler_new(auk_sampler **out, int vocab, const auk_sample_options *opts,
                                   auk_err *err);
void auk_sampler_free(auk_sampler *s);

/* One id from vocab logits: softmax at the temperature, the top_k largest, of these the fewest
 * whose probability reaches top_p, one of them by its weight.  The same logits, options and
 * number of earlier picks give the same id on every machine.  Greedy takes the largest, the
 * lowest id on equality. */
int32_t auk_sampler_pick(auk_sampler *s, const auk_kernel *k, const float *logits);

/* ---- loop guard --------------------------------------------------------------------------- */

/* Watches for a block of length p repeated at least four times at the end of what was sampled,
 * and trips when the repetition reaches 256 tokens for p <= 16, max(512, 4 p) for p <= 256; four
 * times that where `lenient` (inside tool arguments and fenced code repetition is legitimate). */
#define AUK_LOOP_MAX_PERIOD 256
typedef struct auk_loop_guard {
    int32_t last[AUK_LOOP_MAX_PERIOD];    /* a ring of the newest ids */
    int32_t run[AUK_LOOP_MAX_PERIOD + 1]; /* run[p]: newest ids that equal the one p before */
    int64_t n;
} auk_loop_guard;

void auk_loop_guard_init(auk_loop_guard *g);

/* Returns the period of the loop that has just tripped, or 0. */
int auk_loop_guard_add(auk_loop_guard *g, int32_t id, bool lenient);

/* ---- generation --------------------------------------------------------------------------- */

typedef enum auk_finish {
    AUK_FINISH_STOP,   /* the model ended its turn */
    AUK_FINISH_LENGTH, /* max_tokens or the context is used up */
    AUK_FINISH_LOOP,   /* the loop guard stopped it */
    AUK_FINISH_CANCEL, /* asked to stop */
} auk_finish;

const char *auk_finish_name(auk_finish f); /* "stop", "length", "repetition_guard", "cancelled" */

typedef struct auk_generate_options {
    auk_sample_options sample;
    int max_tokens; /* 0: until the context is full */
    bool reasoning; /* the prompt ends inside an open thinking block */
    bool loop_guard;
    bool (*cancelled)(void *ctx);          /* asked before each token; or NULL */
    auk_parser_fn *event;                  /* thinking, text and calls as they come; or NULL */
    void (*forced)(void *ctx, int period); /* a thinking loop was closed; or NULL */
    void *ctx;
} auk_generate_options;

typedef struct auk_generate_result {
    auk_finish finish;
    int loop_period;   /* of the loop that stopped it */
    int forced_closes; /* thinking loops that were closed */
    size_t prompt_tokens, cached_tokens, completion_tokens;
    uint64_t prefill_ns, decode_ns, first_token_ns; /* first_token: from the call to the first id */
    auk_ids ids;        /* owned: the completion, the end of turn included */
    auk_parser *parser; /* owned; auk_parser_finish was called on it */
    auk_parsed parsed;  /* borrowed from parser */
} auk_generate_result;

/* Answers the prompt.  Positions the session already holds that equal the prompt's beginning are
 * kept (cached_tokens), the rest is forgotten and fed.  A prompt that leaves no room for an answer
 * fails with AUK_ELIMIT and the numbers.  In thinking, the first loop forces <|END_THINKING|> and
 * the answer goes on; a second one, or a loop in the answer, stops. */
AUK_MUST_CHECK int auk_generate(auk_generate_result *out, auk_engine *e, auk_session *s,
                                const int32_t *prompt, size_t n, const auk_generate_options *opts,
                                auk_err *err);
void auk_generate_release(auk_generate_result *r);

/* ---- comparing two models ----------------------------------------------------------------- */

typedef struct auk_compare_options {
    const int32_t *ids; /* the tokens to score; borrowed */
    size_t n;
    int window;            /* tokens per independent window; 0: all in one */
    const char *reference; /* NULL, or a reference file: read when it exists, else written */
    bool tensors;          /* also compare the weights */
    const char *per_token; /* NULL, or a .npy to write: float32 [tokens, 2], KL and nll_b - nll_a */
    auk_precision precision;
    int threads;
    unsigned cpu_flags;
    auk_progress_fn *progress; /* or NULL */
    void *progress_ctx;
} auk_compare_options;

typedef struct auk_tensor_error {
    char name[96];  /* "model.layers.1.mlp.switch_mlp.down_proj": experts count as one */
    double rel_err; /* ||B - A|| / ||A||, Frobenius */
} auk_tensor_error;

/* Per scored position p = softmax(A), q = softmax(B).  A position is scored when its next token is
 * in the same window, so `tokens` is n minus the number of windows. */
typedef struct auk_compare_result {
    size_t tokens;
    bool kl_is_lower_bound; /* A came from a reference file: rare tokens are one bucket */
    double kl_mean, kl_se, kl_median, kl_p90, kl_p99, kl_p999, kl_max; /* KL(p || q), nats */
    double top1_agreement;                /* share of positions with the same most probable token */
    double ppl_a, ppl_b;                  /* exp(mean negative log-likelihood) */
    double ln_ppl_ratio, ln_ppl_ratio_se; /* mean of nll_b - nll_a and its paired standard error */
    double dp_mean, dp_rms;               /* change of the true token's probability, q - p */
    auk_tensor_error *tensors;            /* owned; free() */
    size_t n_tensors;
    uint64_t bytes_a, bytes_b; /* tensor data of the folders */
} auk_compare_result;

/* All tokens go through one layer of A and of B after the other, each layer's pages being let go,
 * so the memory needed is two layers and 8 * hidden bytes per token, whatever the models' size.
 * KL is over the whole vocabulary, in double. */
AUK_MUST_CHECK int auk_compare(auk_compare_result *out, const char *a, const char *b,
                               const auk_compare_options *opts, auk_err *err);

#include "engine/batch.h"
#include "engine/decode.h"
#include "engine/grammar.h"
#include "engine/prefix.h"

#endif
