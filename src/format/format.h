/* SPDX-License-Identifier: Apache-2.0 */
/* format.h - files of a model folder: named tensors in, shards out, and what config.json says about
 * each module's number format.  Everything read here is hostile input; nothing here does
 * arithmetic on weights.
 *
 * Layouts of the bytes: docs/formats.md.  safetensors: github.com/huggingface/safetensors. */
#ifndef AUK_FORMAT_FORMAT_H
#define AUK_FORMAT_FORMAT_H

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"

/* ---- tensors ------------------------------------------------------------------------------ */

typedef enum auk_dtype {
    AUK_DT_BOOL,
    AUK_DT_U8,
    AUK_DT_I8,
    AUK_DT_F8_E4M3,
    AUK_DT_F8_E5M2,
    AUK_DT_F8_E8M0,
    AUK_DT_U16,
    AUK_DT_I16,
    AUK_DT_F16,
    AUK_DT_BF16,
    AUK_DT_U32,
    AUK_DT_I32,
    AUK_DT_F32,
    AUK_DT_U64,
    AUK_DT_I64,
    AUK_DT_F64,
    AUK_DT_COUNT
} auk_dtype;

const char *auk_dtype_name(auk_dtype t); /* safetensors' spelling: "BF16" */
size_t auk_dtype_bytes(auk_dtype t);     /* of one element */

/* One tensor of an open file; everything is borrowed from it until it is closed.  `data` need not
 * be aligned. */
typedef struct auk_tensor {
    auk_str name;
    auk_dtype dtype;
    int rank;
    uint64_t shape[AUK_MAX_RANK];
    uint64_t bytes;
    const uint8_t *data;
    int shard; /* index of the file it lies in */
} auk_tensor;

/* "[128, 768, 2048]" into out. */
void auk_shape_print(char *out, size_t n, int rank, const uint64_t *shape);

/* ---- one safetensors file ----------------------------------------------------------------- */

typedef struct auk_safetensors auk_safetensors;

/* Maps the file and checks its header completely: sizes, ranges, names, no overlap, no hole. */
AUK_MUST_CHECK int auk_safetensors_open(auk_safetensors **out, const char *path, auk_err *err);
void auk_safetensors_close(auk_safetensors *st);
size_t auk_safetensors_count(const auk_safetensors *st);
const auk_tensor *auk_safetensors_at(const auk_safetensors *st, size_t i); /* in data order */
const auk_tensor *auk_safetensors_find(const auk_safetensors *st, auk_str name);
const char *auk_safetensors_metadata(const auk_safetensors *st, const char *key); /* or NULL */

/* Lets go of the pages that hold [p, p + bytes) of the data and of those around it: they no longer
 * count as resident.  Reading them again is allowed and faults them in. */
void auk_safetensors_drop(const auk_safetensors *st, const void *p, uint64_t bytes);

/* The parser alone, for tests and fuzzing: `text` is a whole file's bytes, kept by the caller. */
AUK_MUST_CHECK int auk_safetensors_parse(auk_safetensors **out, auk_str text, const char *name,
                                         auk_err *err);

/* ---- a folder of shards ------------------------------------------------------------------- */

typedef struct auk_checkpoint auk_checkpoint;

/* Opens the shards that model.safetensors.index.json names, else model.safetensors, else every
 * *.safetensors of the folder.  A name in two shards, a shard that is missing, or an index that
 * disagrees with its shards is an error. */
AUK_MUST_CHECK int auk_checkpoint_open(auk_checkpoint **out, const char *dir, auk_err *err);
void auk_checkpoint_close(auk_checkpoint *ck);
const char *auk_checkpoint_dir(const auk_checkpoint *ck);
size_t auk_checkpoint_count(const auk_checkpoint *ck);
const auk_tensor *auk_checkpoint_at(const auk_checkpoint *ck, size_t i); /* sorted by name */
const auk_tensor *auk_checkpoint_find(const auk_checkpoint *ck, auk_str name);
uint64_t auk_checkpoint_bytes(const auk_checkpoint *ck); /* tensor data of all shards */
bool auk_checkpoint_is_mlx(const auk_checkpoint *ck);    /* a shard's metadata says format mlx */
const char *auk_checkpoint_file(const auk_checkpoint *ck, int shard); /* path, for messages */

/* Lets go of a range of a tensor that will not be read again, so that it is no longer resident. */
void auk_checkpoint_drop(const auk_checkpoint *ck, const auk_tensor *t, uint64_t offset,
                         uint64_t bytes);

/* ---- the number format of a module -------------------------------------------------------- */

/* A row of the table of number formats.  bits_per_weight counts codes, scales and biases. */
typedef struct auk_numfmt {
    auk_mode mode;
    int bits, group_size;
} auk_numfmt;

const char *auk_mode_name(auk_mode mode); /* "affine" ... */
AUK_MUST_CHECK int auk_mode_parse(auk_mode *out, auk_str name, auk_err *err);

/* Fills 0 with the mode's defaults (affine 4/64, mxfp4 4/32, mxfp8 8/32, nvfp4 4/16) and refuses
 * what the mode does not have. */
AUK_MUST_CHECK int auk_numfmt_check(auk_numfmt *f, auk_err *err);

/* Bytes of one row of n weights; n is a multiple of the group size. */
uint64_t auk_numfmt_code_bytes(auk_numfmt f, uint64_t n);
uint64_t auk_numfmt_scale_bytes(auk_numfmt f, uint64_t n, size_t float_bytes); /* scales alone */
bool auk_numfmt_has_bias(auk_numfmt f);

/* What config.json's "quantization" (or "quantization_config") block says; {0} when there is
 * none.  Borrows nothing. */
typedef struct auk_quant_config {
    bool present;
    auk_numfmt global;
    json_t *entries; /* owned; path -> {"group_size", "bits", "mode"} or false */
} auk_quant_config;

AUK_MUST_CHECK int auk_quant_config_read(auk_quant_config *out, const json_t *config,
                                         const char *name, auk_err *err);
void auk_quant_config_release(auk_quant_config *q);

/* The format of the module at `path`, asked with and without the prefix "language_model.".  True
 * when it is quantized provided that it has scales. */
AUK_MUST_CHECK bool auk_quant_config_find(auk_numfmt *out, const auk_quant_config *q, auk_str path);

/* ---- writing shards ----------------------------------------------------------------------- */

/* Writes an MLX-layout folder in one pass.  Declare every tensor in traversal order, begin,
 * write data in any order and from any thread, commit.  Until commit all lies in DST.partial. */
typedef struct auk_sink auk_sink;

AUK_MUST_CHECK int auk_sink_new(auk_sink **out, const char *dst, uint64_t shard_bytes, bool force,
                                auk_err *err);
void auk_sink_free(auk_sink *sink); /* what was written stays for a later run to take up */

/* What an earlier run left in DST.partial must be of the same plan: otherwise auk_sink_begin fails
 * instead of beginning anew. */
void auk_sink_expect(auk_sink *sink);

/* Returns the tensor's number, counted from 0, or a negative code. */
AUK_MUST_CHECK int auk_sink_declare(auk_sink *sink, const char *name, auk_dtype dtype, int rank,
                                    const uint64_t *shape, auk_err *err);

/* Lays out the shards, checks the disk space and opens the files.  `plan` identifies the job (a
 * hash of inputs and options); when DST.partial was left by the same plan, *done is the last value
 * given to auk_sink_mark, else 0. */
AUK_MUST_CHECK int auk_sink_begin(auk_sink *sink, const char *plan, uint64_t *done, auk_err *err);
AUK_MUST_CHECK int auk_sink_write(auk_sink *sink, int tensor, uint64_t offset, const void *p,
                                  uint64_t bytes, auk_err *err);

/* Says that all work up to `done` (a count of the caller's own units) is written.  Syncs now and
 * then, so that even after a power cut no work is believed done that is not. */
AUK_MUST_CHECK int auk_sink_mark(auk_sink *sink, uint64_t done, auk_err *err);

/* The same, surely: for units that took long. */
AUK_MUST_CHECK int auk_sink_mark_now(auk_sink *sink, uint64_t done, auk_err *err);

/* The folder to put other files into (config.json, tokenizer.json ...) before commit. */
const char *auk_sink_dir(const auk_sink *sink);
uint64_t auk_sink_bytes(const auk_sink *sink); /* tensor data of all that was declared */
size_t auk_sink_count(const auk_sink *sink);   /* tensors declared */

/* Writes the index, syncs, and renames the folder to its final name. */
AUK_MUST_CHECK int auk_sink_commit(auk_sink *sink, auk_err *err);

/* ---- .npy --------------------------------------------------------------------------------- */

/* Writes float32 or int32 rows as a NumPy file of shape [rows, cols], row after row. */
typedef struct auk_npy auk_npy;
AUK_MUST_CHECK int auk_npy_create(auk_npy **out, const char *path, auk_dtype dtype, uint64_t rows,
                                  uint64_t cols, auk_err *err);
AUK_MUST_CHECK int auk_npy_write(auk_npy *npy, const void *values, uint64_t n, auk_err *err);
AUK_MUST_CHECK int auk_npy_finish(auk_npy *npy, auk_err *err); /* renames to the final name */
void auk_npy_abandon(auk_npy *npy);                            /* NULL is a no-op */

#endif
