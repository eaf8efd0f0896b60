/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h - the compact file of a model's scores on a token sequence: the 256 most probable
 * tokens of each position.  Private to engine/; layout in docs/formats.md. */
#ifndef AUK_ENGINE_REFERENCE_H
#define AUK_ENGINE_REFERENCE_H

#include "engine/engine.h"

#define AUK_REF_TOP 256

/* One position, expanded: ids in descending order of probability. */
typedef struct auk_ref_row {
    int32_t id[AUK_REF_TOP];
    double lp[AUK_REF_TOP]; /* log-probabilities */
    int top;                /* used entries; the vocabulary when that is smaller */
    double true_lp;         /* of the token that followed */
} auk_ref_row;

typedef struct auk_ref_file auk_ref_file;

/* The file must have been made from the same tokens and windows, with the same vocabulary. */
AUK_MUST_CHECK int auk_ref_open(auk_ref_file **out, const char *path, const int32_t *ids, size_t n,
                                int window, int vocab, size_t rows, auk_err *err);
AUK_MUST_CHECK int auk_ref_create(auk_ref_file **out, const char *path, const int32_t *ids,
                                  size_t n, int window, int vocab, size_t rows, auk_err *err);
AUK_MUST_CHECK int auk_ref_read(auk_ref_row *row, auk_ref_file *f, auk_err *err);
AUK_MUST_CHECK int auk_ref_write(auk_ref_file *f, const float *logits, double lse, double true_lp,
                                 auk_err *err);
AUK_MUST_CHECK int auk_ref_finish(auk_ref_file *f, auk_err *err); /* gives the final name; frees */
void auk_ref_close(auk_ref_file *f);

#endif
