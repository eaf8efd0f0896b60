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
