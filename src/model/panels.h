/* SPDX-License-Identifier: Apache-2.0 */
/* panels.h - filling a model's panels from its rows or from nothing.  Private to model/. */
#ifndef AUK_MODEL_PANELS_H
#define AUK_MODEL_PANELS_H

#include "model/model.h"

typedef int auk_mat_fn(void *ctx, auk_mat *m);

/* Writes panel p of a matrix; `number` tells matrices apart. */
typedef struct auk_panel_source {
    void (*panel)(void *ctx, uint8_t *dst, const auk_mat *m, const auk_panel_shape *s,
                  size_t number, size_t p);
    void *ctx;
} auk_panel_source;

/* Memory for every matrix that can be panels. */
AUK_MUST_CHECK int auk_model_panels_alloc(auk_model *m, auk_err *err);

/* Fills it, layer by layer, and points the matrices at it. */
AUK_MUST_CHECK int auk_model_panels_fill(auk_model *m, auk_pool *pool,
                                         const auk_panel_source *source, auk_progress_fn *progress,
                                         void *progress_ctx, auk_err *err);

#endif
