/* SPDX-License-Identifier: Apache-2.0 */
/* gptq.h - rows of one matrix into affine codes, by the weighted grid alone (wRTN) or by GPTQ in
 * pull form with that grid inside.  Private to quant/.
 *
 * GPTQ minimises tr((W - Q) H (W - Q)^T) greedily, left to right.  With H = R R^T (hessian.h) and
 * E = W - Q of the columns before group g known, the group's own columns are
 *     C = E[<g] R[<g, g],   T = W_g + C R_gg^-1      (the values still to be chosen, compensated)
 *     scale, bias of each row = the weighted grid of (T, diag H)
 *     k in order: v = W_k + (C_k + sum over j < k in g of E_j R_jk) / R_kk,  E_k = W_k - Q(v)
 * and the objective is the sum over k of R_kk^2 (v_k - Q_k)^2.  Rows are independent.
 * Sources: arXiv 2210.17323 (GPTQ), 2307.13304 (the pull form, LDLQ). */
#ifndef AUK_QUANT_GPTQ_H
#define AUK_QUANT_GPTQ_H

#include "format/format.h"
#include "kernel/kernel.h"

#define AUK_GPTQ_ROWS 256 /* at a time */

/* Where a group's scale and bias come from. */
typedef enum auk_grid {
    AUK_GRID_SEARCH, /* the least weighted error, both in bfloat16 */
    AUK_GRID_METAL,  /* MLX's round to nearest: codes are chosen on the unrounded pair */
    AUK_GRID_CPU,
    AUK_GRID_CPU_BF16, /* the pair is rounded to bfloat16 first */
} auk_grid;

typedef struct auk_gptq {
    const auk_kernel *k;
    const float *r; /* the factor, n x n; NULL: every weight for itself */
    const float *a; /* n weights of the squared errors, for AUK_GRID_SEARCH; NULL: all alike */
    size_t n;
    int bits, group;
    auk_grid grid;
} auk_gptq;

/* Scratch of one thread. */
typedef struct auk_gptq_room {
    float *e; /* owned; the errors W - Q of the last call, e[j * AUK_GPTQ_ROWS + row] */
    float *c; /* owned */
    float *a; /* owned; a, made safe for the search */
    size_t n;
} auk_gptq_room;

AUK_MUST_CHECK int auk_gptq_room_init(auk_gptq_room *room, size_t n, auk_err *err);
void auk_gptq_room_release(auk_gptq_room *room);
uint64_t auk_gptq_room_bytes(size_t n);

/* rows <= AUK_GPTQ_ROWS rows of n floats.  Row i's codes go to codes + i * n * bits / 8 as MLX
 * packs them, its pairs to scale and bias + i * n / group.  Returns the objective (0 without r). */
double auk_gptq_rows(uint8_t *codes, float *scale, float *bias, auk_gptq_room *room,
                     const auk_gptq *g, const float *w, size_t rows);

/* n weights, a multiple of the group, in groups of their own with equal weights: codes, scales and
 * biases in order.  The room is for 128 columns or more. */
void auk_wrtn_block(uint8_t *codes, float *scale, float *bias, auk_gptq_room *room,
                    const auk_kernel *k, const float *w, size_t n, auk_numfmt f);

/* mxfp4, mxfp8, nvfp4: of the scales around the rule's own, the one with the least square error. */
void auk_fp_search(uint8_t *codes, uint8_t *scale, const auk_kernel *k, const float *w, size_t n,
                   const auk_fp_rule *rule);

/* sum over `rows` errors in the room and n_x rows x of weight[t] * (error . x_t)^2; `out` has room
 * for AUK_GPTQ_ROWS * n_x floats.  weight NULL: all 1. */
double auk_gptq_output_error(const auk_gptq_room *room, const auk_kernel *k, size_t rows,
                             const float *x, const float *weight, size_t n_x, float *out);

/* sum over the errors in the room of a[j] * error^2. */
double auk_gptq_weighted_error(const auk_gptq_room *room, const float *a, size_t rows);

/* room->e = w - value(codes) of rows quantized elsewhere. */
void auk_gptq_errors(auk_gptq_room *room, const auk_kernel *k, const uint8_t *codes,
                     const float *scale, const float *bias, int bits, int group, const float *w,
                     size_t rows);

#endif
