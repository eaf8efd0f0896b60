/* SPDX-License-Identifier: Apache-2.0 */
/* calibrate.h - quantizing along a forward pass, layer by layer.  Private to quant/.
 *
 * All calibration tokens stand before layer l.  Attention and the router run (model/forward), every
 * expert gathers its tokens, gets its Hessian, is quantized, and its quantized self makes what the
 * next layer sees.  Nothing but the residual outlives a layer, so memory does not depend on their
 * number; auk_calibrate_bytes is what a pass takes.
 *
 * Experts run side by side, one per thread; each sums in the order of its tokens, and outputs are
 * added in the order of experts: the same bytes for any number of threads. */
#ifndef AUK_QUANT_CALIBRATE_H
#define AUK_QUANT_CALIBRATE_H

#include "quant/gptq.h"
#include "quant/hessian.h"
#include "quant/rtn.h"

#define AUK_CALIB_CHUNK 256  /* tokens gathered at a time */
#define AUK_CALIB_JUDGES 512 /* held-out tokens that decide, at most */
#define AUK_CALIB_SAMPLE                                                                           \
    256                   /* held-out tokens of the layer, for experts with too few of their own */
#define AUK_CALIB_FEW 200 /* too few */
#define AUK_CALIB_SLOTS 8 /* experts whose quantized weights are in memory at once, at least */

/* One matrix as it will be stored. */
typedef struct auk_stored {
    uint8_t *codes, *scales, *biases; /* owned; scales and biases bf16 */
    auk_mat mat;                      /* points into them */
} auk_stored;

/* Both ways to quantize a matrix, while it is not decided. */
typedef struct auk_candidate {
    uint8_t *codes;      /* owned */
    float *scale, *bias; /* owned */
} auk_candidate;

/* Scratch of one thread. */
typedef struct auk_calib_worker {
    auk_work work; /* for its expert's products */
    auk_gptq_room room;
    float *hessian, *factor;                 /* owned; expert-sized */
    float *diagonal;                         /* owned */
    float *rows;                             /* owned; AUK_GPTQ_ROWS rows of weights */
    float *x, *gate, *up;                    /* owned; a chunk of tokens, and inside the MLP */
    float *judge_x, *judge_h, *judge_weight; /* owned */
    float *judge_out;                        /* owned */
    auk_candidate rtn;                       /* of AUK_GPTQ_ROWS rows */
    auk_candidate candidates[2];             /* of an expert's matrix: wRTN, GPTQ */
} auk_calib_worker;

typedef struct auk_calib {
    const auk_quant_job *job;
    const auk_calibration *tokens;
    auk_model *model; /* owned: the source, for the forward pass */
    auk_forward *f;   /* owned */
    const auk_hparams *hp;
    size_t n_tokens, longest;
    uint8_t *h, *x;       /* owned; residual and normed rows, bf16 */
    float *m;             /* owned; sum of the experts' outputs */
    float *block, *out;   /* owned; a chunk of rows as floats */
    int32_t *ids;         /* owned; top_k per token */
    float *weights;       /* owned */
    size_t *first;        /* owned; n_experts + 1: where an expert's pairs begin */
    int32_t *pair_token;  /* owned; sorted by expert, then token */
    float *pair_weight;   /* owned */
    float *pool;          /* owned; Hessian of the layer's normed rows; NULL for wRTN */
    float *pool_diagonal; /* owned */
    float *sample;        /* owned; AUK_CALIB_SAMPLE held-out normed rows */
    size_t n_sample;
    float *big_hessian, *big_factor; /* owned; for matrices wider than an expert's */
    float *big_diagonal;
    auk_candidate big[2];      /* owned */
    auk_calib_worker *workers; /* owned; one per thread */
    auk_stored (*slots)[3];    /* owned; gate, up, down of the experts in flight */
    size_t n_slots;
    auk_stored attention[5]; /* owned; q, k, v, o and router, where they are quantized */
    auk_stored dense[3];     /* owned */
    auk_quant_entry *log;    /* owned; n_log entries, of all layers so far */
    size_t n_log, cap_log;
    uint64_t bytes;             /* allocated now */
    uint64_t units, units_done; /* progress: matrices */
} auk_calib;

/* ---- calibrate.c -------------------------------------------------------------------------- */

/* True when the stream quantizes this module. */
bool auk_calib_handles(const auk_quant_options *opts, const auk_quant_module *m);

/* Quantizes along the layers from number `layer` on (marks: base + layers done). */
AUK_MUST_CHECK int auk_calibrate(auk_quant_result *out, const auk_quant_job *job, const char *src,
                                 uint64_t base, uint64_t done, auk_err *err);

double auk_calib_sum(const float *x, size_t n);

/* ---- calibrate_memory.c ------------------------------------------------------------------- */

/* All buffers but the model's. */
AUK_MUST_CHECK int auk_calib_alloc(auk_calib *c, auk_err *err);
void auk_calib_release(auk_calib *c);

/* Room for a stored matrix of n weights, unless it has some already. */
AUK_MUST_CHECK int auk_calib_stored(auk_calib *c, auk_stored *s, size_t n, auk_err *err);

/* ---- calibrate_matrix.c ------------------------------------------------------------------- */

/* What is known about the inputs of one matrix. */
typedef struct auk_calib_input {
    const float *factor;   /* NULL: wRTN only */
    const float *diagonal; /* or NULL: no tokens */
    const float *x;        /* judges: n_judges rows */
    const float *weight;   /* of each, or NULL */
    size_t n_judges;
} auk_calib_input;

/* Quantizes rows [row, row + rows) of a module, decides, writes them into the sink and leaves them
 * in *to.  e->chosen, errors, loss and reason are filled. */
AUK_MUST_CHECK int auk_calib_matrix(auk_calib *c, auk_stored *to, auk_quant_entry *e, size_t module,
                                    uint64_t row, size_t rows, const auk_calib_input *in,
                                    auk_candidate candidates[2], auk_err *err);

/* ---- calibrate_expert.c ------------------------------------------------------------------- */

#define AUK_CALIB_NONE SIZE_MAX

/* Expert e of the layer, on the running thread: three entries of the log, three stored matrices.
 * modules: gate, up, down; AUK_CALIB_NONE where the source's own weights stay. */
AUK_MUST_CHECK int auk_calib_expert(auk_calib *c, auk_stored to[3], auk_quant_entry log[3],
                                    int layer, int e, const size_t modules[3], auk_err *err);

/* Whether token t is kept for judging. */
bool auk_calib_held_out(size_t t);

/* dst = n normed rows, from the list of tokens. */
void auk_calib_gather(const auk_calib *c, float *dst, const int32_t *tokens, size_t n);

/* ---- calibrate_state.c -------------------------------------------------------------------- */

/* The residual and the log, so that a killed run goes on with layer `layer`. */
AUK_MUST_CHECK int auk_calib_save(const auk_calib *c, const char *dir, int layer, auk_err *err);
AUK_MUST_CHECK int auk_calib_load(auk_calib *c, const char *dir, int layer, auk_err *err);
AUK_MUST_CHECK int auk_calib_forget(const char *dir, int layer, auk_err *err);

#endif
