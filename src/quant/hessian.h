/* SPDX-License-Identifier: Apache-2.0 */
/* hessian.h - H = sum of w x x^T over calibration tokens, and its factor.  Private to quant/.
 *
 * Matrices are n x n floats of which only the lower triangle with the diagonal counts: row i holds
 * columns 0..i; what lies above is scratch.  The factor is the upper triangular R of H = R R^T,
 * kept by columns: r[k * n + j] = R[j][k] for j <= k.  It needs no inverse: U = R^-1 would be the
 * factor that push-form GPTQ uses (quantizing a column by the errors before it: arXiv 2307.13304).
 * All results are the same bits for any processor level and number of threads. */
#ifndef AUK_QUANT_HESSIAN_H
#define AUK_QUANT_HESSIAN_H

#include "kernel/kernel.h"

/* h += X^T X, X of `rows` rows of n floats. */
void auk_hessian_add(float *h, const float *x, size_t rows, size_t n, const auk_kernel *k,
                     auk_pool *pool);

double auk_hessian_trace(const float *h, size_t n);

/* h = (1 - kappa) h / tr(h) + kappa pool / tr(pool), then times n: the mean diagonal is 1. */
void auk_hessian_shrink(float *h, const float *pool, double kappa, size_t n);

/* h = (1 - kappa) h + kappa diag(h): off the diagonal, h *= 1 - kappa. */
void auk_hessian_shrink_diagonal(float *h, double kappa, size_t n);

/* Zeros on the diagonal become the mean diagonal; returns how many there were. */
size_t auk_hessian_revive(float *h, size_t n);

/* r = the factor of h + add * I.  False when h + add * I is not positive definite in this
 * arithmetic: float32, or float64 throughout with one rounding at the end. */
AUK_MUST_CHECK bool auk_hessian_factor(float *r, const float *h, double add, size_t n,
                                       const auk_kernel *k);
AUK_MUST_CHECK int auk_hessian_factor_f64(bool *ok, float *r, const float *h, double add, size_t n,
                                          auk_err *err);

/* What the ladder of damping ended with. */
typedef struct auk_damping {
    double damp; /* relative to the mean diagonal; 0 when nothing worked */
    bool f64;    /* float32 was not enough */
} auk_damping;

/* r = the factor of h + damp * mean diagonal, damp from `first` on: float32, then float64, then ten
 * times as much, up to 1.  out->damp = 0 when even 1 fails. */
AUK_MUST_CHECK int auk_hessian_ladder(auk_damping *out, float *r, const float *h, double first,
                                      size_t n, const auk_kernel *k, auk_err *err);

/* tr(D H D^T) of rows x n errors in double, for tests and small matrices; d by rows. */
double auk_hessian_error(const float *d, const float *h, size_t rows, size_t n);

#endif
