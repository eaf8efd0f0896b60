/* SPDX-License-Identifier: Apache-2.0 */
/* auklet.h - the public C API: quantize, load and run North-Mini-Code-1.0 and its relatives.
 *
 * Ownership: what comes back through an `out` parameter is the caller's and is released by the
 * function the comment names; what a function returns is borrowed from its argument.
 * Threads: an auk_engine is read-only after opening and may be shared; an auk_session belongs to
 * one thread at a time.  Nothing here prints, exits or changes signal handlers. */
#ifndef AUKLET_H
#define AUKLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AUK_VERSION "0.1.0"

#if defined(__GNUC__)
#define AUK_API __attribute__((visibility("default")))
#define AUK_MUST_CHECK __attribute__((warn_unused_result))
#define AUK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define AUK_API
#define AUK_MUST_CHECK
#define AUK_PRINTF(fmt, args)
#endif

/* ---- errors ------------------------------------------------------------------------------- */

/* A function that can fail returns AUK_OK or one of the negative codes. */
typedef enum auk_code {
    AUK_OK = 0,
    AUK_EINVAL = -1,    /* asked for something impossible */
    AUK_EFORMAT = -2,   /* a file or request is malformed */
    AUK_ENOTSUP = -3,   /* well formed, but not something we do */
    AUK_ENOTFOUND = -4, /* no such file, model, task */
    AUK_EIO = -5,       /* the operating system said no */
    AUK_ENOMEM = -6,    /* a size that came from input did not fit */
    AUK_ELIMIT = -7,    /* a configured limit was reached */
    AUK_ECANCEL = -8,   /* asked to stop */
} auk_code;

/* Owned by the caller, written only on failure. */
typedef struct auk_err {
    int code;      /* an auk_code */
    char msg[508]; /* one line: no newline, no full stop, no "error:" prefix */
} auk_err;

/* A borrowed piece of text or bytes; may hold NULs and need not end in one. */
typedef struct auk_str {
    const char *p;
    size_t n;
} auk_str;

/* Called from long work with what was done so far, in `unit`s ("bytes", "tokens"); `total` is 0
 * when unknown.  Returning true asks the work to stop: it ends with AUK_ECANCEL. */
typedef bool auk_progress_fn(void *ctx, const char *what, const char *unit, uint64_t done,
                             uint64_t total);

/* ---- quantize ----------------------------------------------------------------------------- */

typedef enum auk_mode { AUK_AFFINE, AUK_MXFP4, AUK_MXFP8, AUK_NVFP4 } auk_mode;

/* How halves and ranges are rounded.  AUK_ROUND_METAL is what files made on a Mac carry and what
 * published checkpoints hold; AUK_ROUND_CPU is what MLX writes on Linux. */
typedef enum auk_rounding { AUK_ROUND_METAL, AUK_ROUND_CPU } auk_rounding;

/* The power-of-two scale of mxfp4 and mxfp8: rounded to the nearest power in the log domain
 * (MLX through 0.32.1) or up, so that nothing saturates (MLX 0.32.2 and later). */
typedef enum auk_mx_scale { AUK_MX_NEAREST, AUK_MX_UP } auk_mx_scale;

/* How codes are chosen; the files are MLX's in every case.  RTN: round to nearest, MLX's own bytes.
 * WRTN: scale and bias searched for the least weighted error.  GPTQ: one code compensates the
 * errors of those before it, per expert, with WRTN where it does better on held-out tokens. */
typedef enum auk_method { AUK_METHOD_RTN, AUK_METHOD_WRTN, AUK_METHOD_GPTQ } auk_method;

/* Calibration tokens: sequences one after another.  GPTQ needs them; WRTN may use them. */
typedef struct auk_calibration {
    const int32_t *ids;    /* borrowed */
    const size_t *lengths; /* borrowed; of each sequence */
    size_t n_sequences;
} auk_calibration;

/* Classes of modules to quantize, for auk_quant_options.include. */
enum {
    AUK_INCLUDE_EXPERTS = 1 << 0,
    AUK_INCLUDE_DENSE = 1 << 1,
    AUK_INCLUDE_EMBEDDING = 1 << 2,
    AUK_INCLUDE_ATTENTION = 1 << 3,
    AUK_INCLUDE_ROUTER = 1 << 4,
};

/* A module's own number format: affine bits and group size; 16 bits leave it as it is. */
typedef struct auk_quant_format {
    const char *path; /* borrowed; "language_model.model.layers.1.mlp.switch_mlp.down_proj" */
    int bits, group_size;
} auk_quant_format;

/* What became of one matrix under WRTN or GPTQ with calibration. */
typedef struct auk_quant_entry {
    int layer, expert;                  /* expert -1: not of an expert */
    const char *proj;                   /* "gate_proj", "o_proj" ...; static */
    uint64_t tokens;                    /* calibration tokens it saw */
    double n_eff;                       /* (sum w)^2 / sum w^2 of their weights */
    double kappa, damp;                 /* shrinkage and damping of the Hessian that was used */
    bool f64;                           /* the factor needed double precision */
    uint64_t dead;                      /* inputs that were always 0 */
    uint64_t judged_by;                 /* tokens behind the three errors */
    bool held_out;                      /* they were not used for quantizing */
    double loss;                        /* GPTQ's objective, from the factor */
    double err_rtn, err_wrtn, err_gptq; /* sum of w |(W - Q) x|^2; err_gptq -1: not run */
    auk_method chosen;
    const char *reason; /* why not GPTQ: "held-out error", "no tokens", "not definite"; or "" */
} auk_quant_entry;
typedef void auk_quant_entry_fn(void *ctx, const auk_quant_entry *entry);

typedef struct auk_quant_options {
    auk_mode mode;
    int bits;           /* affine: 2 3 4 5 6 8; 0: the mode's own */
    int group_size;     /* affine: 32 64 128; 0: the mode's own */
    const char *recipe; /* borrowed; NULL or mixed_2_6 3_4 3_5 3_6 3_8 4_6 4_8 */
    auk_rounding rounding;
    auk_mx_scale mx_scale;
    auk_method method;
    const auk_calibration *calibration; /* or NULL */
    int weight_power;                   /* tokens count by router weight ^ this: 0, 1 or 2 */
    unsigned include;                   /* 0: experts, dense layers, embedding; not with a recipe */
    const auk_quant_format *formats;    /* borrowed; modules that differ from the rest, or NULL */
    size_t n_formats;
    auk_quant_entry_fn *entry; /* called per matrix, in order, from auk_quantize; or NULL */
    void *entry_ctx;
    uint64_t shard_bytes;      /* largest shard; 0: MLX's 5 GiB */
    bool force;                /* replace an existing destination */
    bool resume;               /* fail when an unfinished DST.partial is another job's */
    int threads;               /* 0: one per processor */
    unsigned cpu_flags;        /* 0: the best this processor has */
    auk_progress_fn *progress; /* or NULL */
    void *progress_ctx;
} auk_quant_options;

typedef struct auk_quant_result {
    uint64_t bytes;         /* tensor data written */
    uint64_t source_bytes;  /* tensor data read */
    uint64_t weights;       /* parameters of the model */
    uint64_t tensors;       /* tensors written */
    double bits_per_weight; /* 8 * bytes / weights */
    double seconds;
    uint64_t peak_rss_bytes;      /* the process's largest resident set, mapped pages included */
    uint64_t work_bytes;          /* what calibration allocated at most */
    uint64_t matrices, fallbacks; /* under GPTQ: how many, and how many of them are WRTN */
} auk_quant_result;

AUK_API auk_quant_options auk_quant_defaults(void);

/* Reads the checkpoint folder `src` and writes an MLX-layout folder `dst`.
 * `dst` appears complete or not at all; a killed run is taken up again by the same call. */
AUK_API AUK_MUST_CHECK int auk_quantize(auk_quant_result *out, const char *src, const char *dst,
                                        const auk_quant_options *opts, auk_err *err);

/* ---- run ---------------------------------------------------------------------------------- */

typedef struct auk_engine auk_engine;   /* a loaded model and its text rules; read-only */
typedef struct auk_session auk_session; /* one conversation's memory; borrows its engine */

/* AUK_PRECISION_BF16 rounds activations where the published model does and keeps the KV cache in
 * 16 bits; AUK_PRECISION_F32 rounds nothing and is the oracle other modes are measured against. */
typedef enum auk_precision { AUK_PRECISION_BF16, AUK_PRECISION_F32 } auk_precision;

typedef struct auk_engine_options {
    auk_precision precision;
    int threads;               /* 0: one per processor */
    unsigned cpu_flags;        /* 0: the best this processor has */
    auk_progress_fn *progress; /* of loading; or NULL */
    void *progress_ctx;
} auk_engine_options;

/* Opens a checkpoint folder, bf16 or MLX layout.  Weights are mapped, not copied. */
AUK_API AUK_MUST_CHECK int auk_engine_open(auk_engine **out, const char *dir,
                                           const auk_engine_options *opts, auk_err *err);
AUK_API void auk_engine_close(auk_engine *engine);

AUK_API int auk_engine_vocab(const auk_engine *engine);       /* ids are [0, vocab) */
AUK_API int auk_engine_max_context(const auk_engine *engine); /* positions the model allows */

/* Bytes of the KV cache of a session of ctx positions, exactly as auk_session_new takes them. */
AUK_API uint64_t auk_session_kv_bytes(const auk_engine *engine, int ctx);

AUK_API AUK_MUST_CHECK int auk_session_new(auk_session **out, auk_engine *engine, int ctx,
                                           auk_err *err);
AUK_API void auk_session_free(auk_session *session);

/* Feeds n ids after those already there; `logits` (vocab floats, or NULL) receives the scores of
 * the token after the last one.  A prompt that does not fit fails with AUK_ELIMIT, unfed. */
AUK_API AUK_MUST_CHECK int auk_session_feed(auk_session *session, const int32_t *ids, size_t n,
                                            float *logits, auk_err *err);
AUK_API int auk_session_length(const auk_session *session); /* positions fed so far */

/* Forgets every position. */
AUK_API void auk_session_clear(auk_session *session);

#ifdef __cplusplus
}
#endif

#endif
