/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - what the files of quant/ share.  Private to quant/. */
#ifndef AUK_QUANT_PLAN_H
#define AUK_QUANT_PLAN_H

#include "quant/quant.h"

/* ---- recipe.c ----------------------------------------------------------------------------- */

/* The recipe's number, -1 for NULL. */
AUK_MUST_CHECK int auk_quant_find_recipe(int *out, const char *name, auk_err *err);

/* Decides m->is_quantized and m->format; path, rank and shape are there already. */
void auk_quant_assign(auk_quant_module *m, const auk_quant_list *list, int recipe, int n_layers);

/* ---- modules.c ---------------------------------------------------------------------------- */

/* A tensor of the result.  A module has one (its weight), or weight, scales and, for affine,
 * biases. */
typedef struct auk_quant_output {
    const char *part; /* "weight", "scales", "biases"; static */
    auk_dtype dtype;
    int rank;
    uint64_t shape[3], bytes;
} auk_quant_output;

/* `dtype` is the module's own, BF16 as released.  Returns how many. */
int auk_quant_outputs(auk_quant_output out[3], const auk_quant_module *m, auk_dtype dtype);

void auk_quant_output_name(char *out, size_t n, const auk_quant_module *m,
                           const auk_quant_output *o);

uint64_t auk_quant_cols(const auk_quant_module *m);
uint64_t auk_quant_rows(const auk_quant_module *m); /* of all experts together; 1 for norms */

/* ---- source.c ----------------------------------------------------------------------------- */

/* config.json of the source. */
typedef struct auk_quant_source {
    char *path;         /* owned; of config.json, for messages */
    auk_buf text;       /* the file's bytes */
    json_t *config;     /* owned; integers beyond 64 bits as marked strings */
    json_t *generation; /* owned; generation_config.json, NULL when MLX would ignore it */
    auk_hparams hp;
    auk_dtype cast; /* what torch_dtype asks for; AUK_DT_COUNT: nothing */
} auk_quant_source;

AUK_MUST_CHECK int auk_quant_source_open(auk_quant_source *out, const char *dir, auk_err *err);
void auk_quant_source_release(auk_quant_source *s);

/* ---- config_out.c ------------------------------------------------------------------------- */

/* Marks integers too long for 64 bits as strings, and takes the marks off what was printed. */
void auk_quant_mark_integers(auk_buf *out, auk_str json);
void auk_quant_unmark_integers(auk_buf *out, auk_str json);

/* The config.json that MLX writes. */
AUK_MUST_CHECK int auk_quant_config_print(auk_buf *out, const auk_quant_source *s,
                                          const auk_quant_list *list, auk_err *err);

/* ---- plan.c ------------------------------------------------------------------------------- */

/* Rows [first_row, first_row + n_rows) of a tensor; all dimensions but the last count as rows. */
typedef struct auk_quant_slice {
    const auk_tensor *t; /* borrowed from the checkpoint */
    uint64_t first_row, n_rows;
} auk_quant_slice;

/* Where a module's rows come from: slices, one after the other. */
typedef struct auk_quant_origin {
    size_t first, n;
    auk_dtype from, to;
} auk_quant_origin;

typedef struct auk_quant_plan {
    auk_quant_list list;
    auk_quant_origin *origins; /* owned; one per module */
    auk_quant_slice *slices;   /* owned */
    size_t n_slices, cap_slices;
} auk_quant_plan;

/* Finds every module's weights in the checkpoint and accounts for every tensor of it. */
AUK_MUST_CHECK int auk_quant_plan_make(auk_quant_plan *out, const auk_checkpoint *ck,
                                       const auk_quant_source *s, const auk_quant_options *opts,
                                       auk_err *err);
void auk_quant_plan_release(auk_quant_plan *p);

/* A hash of the sources (names, sizes, headers, configuration) and of the options that decide a
 * byte: an unfinished folder is taken up only by the same job. */
AUK_MUST_CHECK int auk_quant_stamp(char hex[65], const auk_checkpoint *ck,
                                   const auk_quant_source *s, const auk_quant_options *opts,
                                   auk_err *err);

/* ---- copy.c ------------------------------------------------------------------------------- */

/* Copies what MLX copies beside the weights from src to dst (which holds only shards yet), and
 * writes the model card. */
AUK_MUST_CHECK int auk_quant_copy_files(const char *src, const char *dst, auk_err *err);

#endif
