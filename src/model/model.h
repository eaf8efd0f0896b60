/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - the architecture cohere2_moe: its configuration, its weights, one layer's forward pass
 * and the KV cache.  The only implementation of the architecture: the engine, `compare` and
 * calibration all call auk_forward_layer.
 *
 * Source of the formulas: huggingface/transformers, models/cohere2_moe/modeling_cohere2_moe.py.
 * An auk_model is read-only after opening and may be shared by threads. */
#ifndef AUK_MODEL_MODEL_H
#define AUK_MODEL_MODEL_H

#include "format/format.h"
#include "kernel/kernel.h"

/* ---- configuration ------------------------------------------------------------------------ */

/* Every field comes from config.json.  Keys whose class defaults change the model silently are
 * required there. */
typedef struct auk_hparams {
    int n_layers, hidden, n_heads, n_kv_heads, head_dim;
    int n_dense;     /* layers [0, n_dense) have one dense MLP and always rotary positions */
    int dense_width; /* of that MLP; 0 without dense layers */
    int n_experts, top_k, expert_width;
    int vocab, window, max_context;
    bool norm_topk_prob, tied;
    float norm_eps, logit_scale;
    double rope_theta;
    bool *sliding;    /* owned; per layer: sliding window, else full attention */
    int32_t bos, pad; /* -1: not given */
    int32_t eos[16];  /* ids that end a turn, from generation_config.json, else config.json */
    int n_eos;
} auk_hparams;

/* Reads a parsed config.json (and generation_config.json, or NULL).  `name` is said in errors. */
AUK_MUST_CHECK int auk_hparams_read(auk_hparams *out, const json_t *config,
                                    const json_t *generation, const char *name, auk_err *err);
void auk_hparams_release(auk_hparams *hp);

static inline bool auk_hparams_rotary(const auk_hparams *hp, int layer)
{
    return hp->sliding[layer] || layer < hp->n_dense;
}

/* ---- weights ------------------------------------------------------------------------------ */

typedef struct auk_layer {
    const float *norm; /* hidden floats, owned by the model */
    auk_mat q, k, v, o;
    bool sparse;
    auk_mat gate, up, down;          /* dense layers */
    auk_mat router;                  /* sparse layers, as the three below */
    auk_mat *e_gate, *e_up, *e_down; /* owned; one per expert */
} auk_layer;

typedef struct auk_model {
    auk_hparams hp;
    auk_checkpoint *ck; /* owned; the maps every auk_mat points into; NULL: synthetic */
    auk_quant_config quant;
    auk_layer *layers;     /* owned */
    auk_mat embed, head;   /* the same matrix when tied */
    float *norms;          /* owned; n_layers + 1 rows of hidden, the last is the final norm */
    size_t max_cols;       /* of any matrix */
    uint64_t weight_bytes; /* tensor data of the folder */
    uint8_t *panel_memory; /* owned; panel_bytes of it, what the matrices' panels point into */
    size_t panel_bytes;
    bool *used; /* owned; tensors something asked for; scratch of opening */
} auk_model;

/* Opens a model folder: bf16 in the released per-expert or the fused layout, or MLX layout with or
 * without "language_model.", each module in the format config.json and its tensors give. */
AUK_MUST_CHECK int auk_model_open(auk_model **out, const char *dir, auk_err *err);
void auk_model_close(auk_model *m);

/* Copies every matrix that can be panels into memory of its own and lets go of the mapped pages:
 * what bf16 precision then reads.  A model without panels gives the same results, slower. */
AUK_MUST_CHECK int auk_model_pack(auk_model *m, auk_pool *pool, auk_progress_fn *progress,
                                  void *progress_ctx, auk_err *err);
/* Bytes auk_model_pack takes. */
uint64_t auk_model_panel_bytes(const auk_model *m);

/* A model of North's shapes with drawn weights, the same on every machine, for measuring: first
 * only its shapes, then its panels.  kind: "4bit" (attention and router bf16), "8bit", "all4",
 * "mixed_4_8", "mxfp4", "mxfp8", "bf16"; layers 0: all 49. */
AUK_MUST_CHECK int auk_model_synthetic_shapes(auk_model **out, const char *kind, int layers,
                                              auk_err *err);
AUK_MUST_CHECK int auk_model_synthetic_fill(auk_model *m, auk_pool *pool, auk_progress_fn *progress,
                                            void *progress_ctx, auk_err *err);
const char *auk_model_synthetic_name(size_t i); /* NULL after the last */

/* "bf16", "4-bit affine g64", "mixed affine 4/8 g64" ...: the formats of the linear layers. */
void auk_model_describe(char *out, size_t n, const auk_model *m);

/* Bytes of weights a decode step of one token reads, and their parts. */
typedef struct auk_model_parts {
    uint64_t attention, experts, dense, router, head;
} auk_model_parts;
auk_model_parts auk_model_parts_per_token(const auk_model *m);
uint64_t auk_model_bytes_per_token(const auk_model *m);

/* Lets go of the layer's mapped pages; -1 for the embedding and the head. */
void auk_model_drop_layer(const auk_model *m, int layer);

/* ---- KV cache ----------------------------------------------------------------------------- */

/* One layer's keys and values, bf16 or f32, in the layout of kv.c.  A sliding layer keeps the last
 * `cap` positions in a ring; in bf16 those are AUK_KV_CHUNK more than its window, so that many rows
 * may be stored before they are attended to, and as many forgotten. */
#define AUK_KV_CHUNK 64
typedef struct auk_kv_layer {
    uint8_t *k, *v; /* owned; one kv head after the other */
    size_t cap, item_bytes, heads, k_head_bytes, v_head_bytes;
} auk_kv_layer;

AUK_MUST_CHECK int auk_kv_layer_init(auk_kv_layer *kv, const auk_hparams *hp, int layer, int ctx,
                                     auk_precision precision, auk_err *err);
void auk_kv_layer_release(auk_kv_layer *kv);

/* Stores head h of position p: head_dim floats each, bf16 values where the cache is. */
void auk_kv_layer_put(auk_kv_layer *kv, const auk_hparams *hp, size_t h, size_t p, const float *k,
                      const float *v);

/* Positions [from, from + n) as rows of auk_kv_row_bytes (the keys of all kv heads, then the
 * values), `stride` bytes apart: for keeping them elsewhere, whatever the layout here. */
size_t auk_kv_row_bytes(const auk_hparams *hp, auk_precision precision);
void auk_kv_layer_read(const auk_kv_layer *kv, const auk_hparams *hp, uint8_t *dst, size_t stride,
                       size_t from, size_t n);
void auk_kv_layer_write(auk_kv_layer *kv, const auk_hparams *hp, const uint8_t *src, size_t stride,
                        size_t from, size_t n);

/* Fills the cache with drawn values: for measuring at a depth without computing it. */
void auk_kv_layer_draw(auk_kv_layer *kv);

/* Bytes of keys and values a token reads when `depth` positions are there. */
uint64_t auk_kv_read_bytes(const auk_hparams *hp, int depth, auk_precision precision);

/* Bytes of all layers' caches for ctx positions. */
uint64_t auk_kv_bytes(const auk_hparams *hp, int ctx, auk_precision precision);

/* ---- forward ------------------------------------------------------------------------------ */

/* Asked for values on the way; any may be NULL.  All pointers are valid during the call only. */
typedef struct auk_tap {
    /* after layer `layer`: n rows of hidden floats (layer -1: the embeddings) */
    void (*hidden)(void *ctx, int layer, const float *h, size_t n);
    /* a sparse layer: n rows of n_experts logits, of top_k chosen ids and of their weights */
    void (*router)(void *ctx, int layer, const float *logits, const int32_t *ids,
                   const float *weights, size_t n);
    void *ctx;
} auk_tap;

/* Scratch memory and settings of one line of computation; one thread at a time. */
typedef struct auk_forward auk_forward;

/* Rows per call are at most max_rows, positions below ctx. */
AUK_MUST_CHECK int auk_forward_new(auk_forward **out, const auk_model *m, const auk_kernel *k,
                                   auk_pool *pool, auk_precision precision, size_t max_rows,
                                   int ctx, auk_err *err);
void auk_forward_free(auk_forward *f);
uint64_t auk_forward_bytes(const auk_hparams *hp, size_t max_cols, int threads, size_t max_rows,
                           int ctx);
size_t auk_forward_max_rows(const auk_forward *f);

/* ids = the top_k largest of n router logits in descending order, the lowest index first on
 * equality. */
void auk_choose_experts(int32_t *ids, const float *logits, int n, int top_k);

/* h: n rows of hidden floats = the embeddings of ids, each in [0, vocab). */
void auk_forward_embed(auk_forward *f, float *h, const int32_t *ids, size_t n);

/* Moves n rows at positions pos, pos + 1 ... through layer `layer`, in place.  kv holds positions
 * [0, pos) of this layer (the window's part of them) and holds [0, pos + n) afterwards. */
void auk_forward_layer(auk_forward *f, int layer, auk_kv_layer *kv, float *h, int pos, size_t n,
                       const auk_tap *tap);

/* Rows that belong to one sequence: n of them at positions pos, pos + 1 ... of its kv, which is
 * this layer's as in auk_forward_layer. */
typedef struct auk_span {
    auk_kv_layer *kv; /* borrowed */
    int pos;
    size_t n;
} auk_span;

/* The same for several sequences at once, their rows one after another in h.  What a row becomes
 * does not depend on the other spans. */
void auk_forward_spans(auk_forward *f, int layer, const auk_span *spans, size_t n_spans, float *h,
                       const auk_tap *tap);

/* ---- a layer in parts: what calibration looks at, and exchanges, between them --------------
 *
 * auk_forward_layer is, to the bit: auk_forward_mix; per row the MLP's output y (sparse layers:
 * from zero, += weight * output of each chosen expert in ascending order of expert, by axpy_f32);
 * auk_forward_plus. */

/* h += attention.  l: the layer's weights, the model's own or others.  *normed (n rows of hidden
 * floats) is what attention, router and MLP read, *heads what o_proj reads; both stay until the
 * next call. */
void auk_forward_mix(auk_forward *f, const auk_layer *l, int layer, auk_kv_layer *kv, float *h,
                     int pos, size_t n, const float **normed, const float **heads);

/* top_k ids, in descending order of logit, and weights for each of n normed rows. */
void auk_forward_route(auk_forward *f, const auk_layer *l, const float *x, size_t n, int32_t *ids,
                       float *weights);

/* h += y, n rows; y is rounded on the way. */
void auk_forward_plus(auk_forward *f, float *h, float *y, size_t n);

/* A dense layer's MLP, or one expert.  Several threads may use it at once, each with its own work:
 * one made for n * gate.cols and n * down.cols floats of x. */
typedef struct auk_mlp {
    auk_mat gate, up, down;
    auk_precision precision;
} auk_mlp;

/* h = silu(gate x) * (up x); scratch has h's size. */
void auk_mlp_hidden(const auk_work *w, const auk_mlp *m, float *h, float *scratch, const float *x,
                    size_t n);
void auk_mlp_output(const auk_work *w, const auk_mlp *m, float *y, const float *h, size_t n);

/* logits: n rows of vocab floats, from the last layer's rows h (which stay as they are). */
void auk_forward_logits(auk_forward *f, float *logits, const float *h, size_t n);

#endif
