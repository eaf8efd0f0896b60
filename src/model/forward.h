/* SPDX-License-Identifier: Apache-2.0 */
/* forward.h - what the two halves of the forward pass share.  Private to model/. */
#ifndef AUK_MODEL_FORWARD_H
#define AUK_MODEL_FORWARD_H

#include "model/model.h"

struct auk_forward {
    const auk_model *m;    /* borrowed */
    const auk_hparams *hp; /* the model's */
    const auk_kernel *k;   /* borrowed */
    auk_work work;
    bool bf16;
    size_t max_rows;
    /* Owned scratch, max_rows rows each: */
    float *x;              /* normed rows */
    float *attn_out;       /* attention's contribution */
    float *mlp_out;        /* the experts' */
    float *q, *heads;      /* queries; the heads' outputs */
    float *kf, *vf;        /* this call's keys and values, as floats */
    float *gate, *up;      /* MLP, one row per (row, choice) in sparse layers */
    float *expert_out;     /* dense MLP's output, or one row per (row, choice) */
    float *router;         /* logits */
    float *weights;        /* of the chosen experts */
    float *rope;           /* cos and sin, interleaved, of positions rope_pos ... */
    int32_t *ids;          /* chosen experts */
    int32_t *rows, *place; /* (row, choice) pairs sorted by expert */
    int32_t *first;        /* n_experts + 1: where each expert's pairs begin */
    auk_matmul *jobs;
    float *inv_freq;   /* head_dim / 2 */
    int32_t *rope_pos; /* per row: the position its rope was computed for, -1: none */
    int32_t *span_of;  /* per row: its span */
    float *attn;       /* per thread: scores and one row */
    size_t attn_floats;
};

/* attn_out = o_proj(attention(x)) of the spans' rows, and each span's kv gets its keys; heads holds
 * o_proj's inputs. */
void auk_forward_attention(auk_forward *f, const auk_layer *l, int layer, const auk_span *spans,
                           size_t n_spans);

#endif
