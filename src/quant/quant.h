/* SPDX-License-Identifier: Apache-2.0 */
/* quant.h - turns a bf16 checkpoint of the architecture cohere2_moe into an MLX-layout folder,
 * round to nearest or better: which module gets which number format, what the result weighs, and
 * the passes that write it.  auk_quantize itself is declared in auklet.h; docs/quantize.md says how
 * the methods work and what they gain.
 *
 * With AUK_METHOD_RTN the bytes are those of mlx-vlm's convert (MLX 0.32.4, mlx-vlm 0.7.10), tensor
 * by tensor, in the rounding of Metal or of the CPU; docs/formats.md describes them.  Besides
 * auklet.h's promise:
 *   - bits = 16 (affine, no recipe) converts the layout and quantizes nothing;
 *   - mx_scale acts on mxfp4 and mxfp8 only.  nvfp4 on Metal is that of MLX 0.32.1 and later: the
 *     shared maximum of earlier kernels is not reproduced;
 *   - config.json's torch_dtype, when it is there, is what weights are cast to first;
 *   - the source may be the released layout (one tensor per expert), the fused one of transformers
 *     (experts.gate_up_proj), or MLX's own, with or without "language_model.";
 *   - source pages are dropped after use and nothing of the model's size is allocated, so the
 *     resident set stays under 300 MB for any model, and under auk_quant_memory more with
 *     calibration;
 *   - the result is the same bytes for any thread count, processor level, and number of kills.
 * Nothing here keeps state between calls. */
#ifndef AUK_QUANT_QUANT_H
#define AUK_QUANT_QUANT_H

#include "model/model.h"
#include "text/text.h"

#define AUK_QUANT_NONE 16 /* the value of `bits` that quantizes nothing */

/* One module of the model, and what becomes of it. */
typedef struct auk_quant_module {
    char path[96]; /* "language_model.model.layers.1.mlp.switch_mlp.down_proj" */
    int rank;      /* of its weight: 1 for norms, 3 for stacked experts */
    uint64_t shape[3];
    bool is_quantized;
    auk_numfmt format; /* when quantized */
} auk_quant_module;

/* All modules in the order MLX walks them: the order of the shards and of config.json's entries. */
typedef struct auk_quant_list {
    auk_quant_module *modules; /* owned */
    size_t n;
    auk_numfmt global; /* config.json's own bits, group_size and mode */
    bool quantizes;    /* false for AUK_QUANT_NONE */
    bool has_entries;  /* config.json names every quantized module, not only the global format */
    unsigned include;  /* AUK_INCLUDE_ bits; 0: MLX's own choice */
} auk_quant_list;

/* Refuses options no format has.  Sizes come from hp alone: no weights are needed. */
AUK_MUST_CHECK int auk_quant_list_make(auk_quant_list *out, const auk_hparams *hp,
                                       const auk_quant_options *opts, auk_err *err);
void auk_quant_list_release(auk_quant_list *list);

/* "mixed_2_6" ...; NULL after the last. */
const char *auk_quant_recipe_name(size_t i);

typedef struct auk_quant_shard {
    uint64_t tensors, bytes;
    char first[128], last[128]; /* names in traversal order; empty when the shard is */
} auk_quant_shard;

/* What auk_quantize would write for a bf16 checkpoint, exactly; the shards are those of MLX. */
typedef struct auk_quant_size {
    uint64_t bytes, weights, tensors;
    double bits_per_weight;
    auk_quant_shard *shards; /* owned */
    size_t n_shards;
} auk_quant_size;

AUK_MUST_CHECK int auk_quant_predict(auk_quant_size *out, const auk_hparams *hp,
                                     const auk_quant_options *opts, auk_err *err);
void auk_quant_size_release(auk_quant_size *size);

/* Bytes that calibration allocates at most beside the mapped source; any number of layers takes the
 * same.  opts->calibration gives the tokens. */
AUK_MUST_CHECK int auk_quant_memory(uint64_t *out, const auk_hparams *hp,
                                    const auk_quant_options *opts, int threads, auk_err *err);

/* Floating-point operations of calibration with these options: forward passes, Hessians, factors,
 * compensation and grids (30 kflop per group of 64 weights and way to quantize it). */
AUK_MUST_CHECK int auk_quant_flops(double *out, const auk_hparams *hp,
                                   const auk_quant_options *opts, auk_err *err);

/* ---- bits under a budget ------------------------------------------------------------------ */

/* A group of matrices of one layer that share their format. */
typedef struct auk_budget_item {
    char path[2][96]; /* of its modules, the second perhaps empty */
    int layer;        /* -1: the embedding */
    const char *what; /* "gate_up", "down", "attention", "embedding"; static */
    int bits, group_size;
    uint64_t bytes;
    double error;  /* relative square error of the weights in that format, measured */
    double damage; /* KL it is expected to cost, nats */
} auk_budget_item;

typedef struct auk_budget {
    auk_budget_item *items; /* owned */
    size_t n;
    auk_quant_format *formats; /* owned; for auk_quant_options */
    char (*paths)[96];         /* owned; of the formats */
    size_t n_formats;
    uint64_t bytes, least_bytes; /* of the folder's tensors: as chosen, and the smallest layout */
    double predicted_kl;         /* nats per token */
    size_t probes, probe_tokens;
} auk_budget;

/* Chooses bits (2 3 4 5 6 8) and groups (32 64 128) for every module that opts would quantize, so
 * that the folder's tensors take at most max_bytes and the expected KL is least.  KL is taken as a
 * sum over items of sensitivity * relative square error: the errors of each format are measured on
 * samples of the rows, the sensitivities by quantizing one class of matrices in one block of layers
 * to 3 bits and measuring the KL of calibration tokens.  The sum is then minimised exactly, by
 * dynamic programming over bytes.  AUK_ELIMIT when even the smallest layout is too large, with its
 * size. */
AUK_MUST_CHECK int auk_budget_choose(auk_budget *out, const char *src,
                                     const auk_quant_options *opts, uint64_t max_bytes,
                                     auk_err *err);
void auk_budget_release(auk_budget *b);

/* ---- calibration tokens ------------------------------------------------------------------- */

typedef struct auk_calib_options {
    size_t length;     /* tokens of a sequence; conversations longer than that are cut */
    size_t max_tokens; /* of all sequences; more are left out, whole sequences at a time */
    bool any;          /* take text that is no use for calibration, too */
} auk_calib_options;

/* Owned tokens; `all` borrows from them. */
typedef struct auk_calib_tokens {
    auk_ids ids;
    size_t *lengths; /* owned */
    size_t n, cap;
    auk_calibration all;
    char sha256[65];   /* of the ids */
    size_t left_out;   /* tokens beyond max_tokens, or a rest shorter than a sequence */
    size_t n_distinct; /* ids that occur */
} auk_calib_tokens;

/* Reads calibration data with the tokenizer of the folder `model`:
 *   - text (UTF-8): cut into sequences of `length` tokens, each behind <BOS_TOKEN>;
 *   - JSON lines, each a chat request ({"messages", "tools", ...}) rendered with the model's own
 *     template, thinking and tool calls included, or {"ids": [...]}: a sequence each;
 *   - a JSON array of ids, or of arrays of ids;
 *   - "mbpp:FILE": Mostly Basic Python Problems as lines of {"task_id", "text" or "prompt",
 * "code"}: 64 sequences of 256 tokens, problems outside 11..510 (which evaluations use) alone.
 * `text` holds the data itself when it is not NULL; `path` is then only its name.
 * Refused (AUK_EINVAL, and what to do): nothing to read, less than one sequence of text, text that
 * repeats itself or is hardly in Latin script, unless opts->any. */
AUK_MUST_CHECK int auk_calib_read(auk_calib_tokens *out, const char *model, const char *path,
                                  const auk_str *text, const auk_calib_options *opts, auk_err *err);
void auk_calib_tokens_release(auk_calib_tokens *t);

/* Reads DIR/config.json (and generation_config.json) of a checkpoint to quantize; hp is the
 * caller's to release.  Refuses other architectures and what is quantized already. */
AUK_MUST_CHECK int auk_quant_read_shape(auk_hparams *hp, const char *dir, auk_err *err);

#endif
