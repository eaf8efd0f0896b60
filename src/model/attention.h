/* SPDX-License-Identifier: Apache-2.0 */
/* attention.h - the two ways to attend: over rows (f32) and over panels (bf16).  Private to
 * model/. */
#ifndef AUK_MODEL_ATTENTION_H
#define AUK_MODEL_ATTENTION_H

#include "model/forward.h"

/* Floats of room that auk_attend_panels takes. */
size_t auk_attention_panel_floats(const auk_hparams *hp, int ctx);

/* f->heads of row `row`, whose position is p, for the query heads of kv head `head`; kv holds the
 * `window` positions up to p. */
void auk_attend_panels(const auk_forward *f, const auk_kv_layer *kv, size_t row, size_t p,
                       size_t window, size_t head, float *room);

/* n scores times scale, rounded before and after in bf16 precision. */
void auk_attention_scale(const auk_forward *f, float *scores, size_t n, float scale);

#endif
