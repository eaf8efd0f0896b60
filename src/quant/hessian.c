/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/hessian.h"

#include "base/mem.h"

#include <math.h>

#define BLOCK 192 /* of the factor and of the product's rows: whole tiles of 6 */
#define INNER 24  /* BLOCK halved some times */

typedef struct product {
    float *h;
    const float *x;
    size_t rows, n;
    const auk_kernel *k;
} product;

static void add_rows(void *ctx, size_t lo, size_t hi)
{
    const product *p = ctx;

    p->k->gemm_f32(p->h + lo * p->n, p->n, p->x + lo, 1, p->n, p->x, p->n, hi - lo, hi, p->rows,
                   false);
}

void auk_hessian_add(float *h, const float *x, size_t rows, size_t n, const auk_kernel *k,
                     auk_pool *pool)
{
    product p = {h, x, rows, n, k};

    auk_pool_run(pool, n, BLOCK, add_rows, &p);
}

double auk_hessian_trace(const float *h, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)h[i * n + i];
    return sum;
}

void auk_hessian_shrink(float *h, const float *pool, double kappa, size_t n)
{
    double own = auk_hessian_trace(h, n), all = auk_hessian_trace(pool, n);
    float a = own > 0 ? (float)((1 - kappa) * (double)n / own) : 0.0f;
    float b = all > 0 ? (float)(kappa * (double)n / all) : 0.0f;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            float x = a * h[i * n + j], y = b * pool[i * n + j];
            h[i * n + j] = x + y;
        }
}

void auk_hessian_shrink_diagonal(float *h, double kappa, size_t n)
{
    float keep = (float)(1 - kappa);

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            h[i * n + j] *= keep;
}

size_t auk_hessian_revive(float *h, size_t n)
{
    double mean = auk_hessian_trace(h, n) / (double)n;
    size_t dead = 0;

    for (size_t i = 0; i < n; i++)
        if (h[i * n + i] == 0.0f) {
            h[i * n + i] = mean > 0 ? (float)mean : 1.0f;
            dead++;
        }
    return dead;
}

/* Rows [lo, hi) of r -= what rows [hi, end) say about them, columns below hi. */
static void subtract(float *r, size_t lo, size_t hi, size_t end, size_t n, const auk_kernel *k)
{
    if (end > hi)
        k->gemm_f32(r + lo * n, n, r + hi * n + lo, 1, n, r + hi * n, n, hi - lo, hi, end - hi,
                    true);
}

/* Column by column within [lo, hi), from the last. */
static bool finish(float *r, size_t lo, size_t hi, size_t n, const auk_kernel *k)
{
    for (size_t c = hi; c-- > lo;) {
        float *column = r + c * n;
        for (size_t m = hi; m-- > c + 1;)
            k->axpy_f32(column, -r[m * n + c], r + m * n, c + 1);
        if (!(column[c] > 0.0f) || !isfinite(column[c]))
            return false;
        float d = sqrtf(column[c]);
        for (size_t i = 0; i < c; i++)
            column[i] /= d;
        column[c] = d;
    }
    return true;
}

/* Rows [lo, hi), from which everything behind hi has been subtracted: the later half first. */
static bool factor_block(float *r, size_t lo, size_t hi, size_t n, const auk_kernel *k)
{
    size_t middle = hi - (hi - lo + 1) / 2;

    if (hi - lo <= INNER)
        return finish(r, lo, hi, n, k);
    if (!factor_block(r, middle, hi, n, k))
        return false;
    subtract(r, lo, middle, hi, n, k);
    return factor_block(r, lo, middle, n, k);
}

bool auk_hessian_factor(float *r, const float *h, double add, size_t n, const auk_kernel *k)
{
    for (size_t hi = n; hi > 0;) {
        size_t lo = hi > BLOCK ? hi - BLOCK : 0;
        for (size_t c = lo; c < hi; c++) {
            memcpy(r + c * n, h + c * n, (c + 1) * sizeof *r);
            r[c * n + c] += (float)add;
        }
        subtract(r, lo, hi, n, n, k);
        if (!factor_block(r, lo, hi, n, k))
            return false;
        hi = lo;
    }
    return true;
}

int auk_hessian_factor_f64(bool *ok, float *r, const float *h, double add, size_t n, auk_err *err)
{
    double *d = NULL;

    *ok = false;
    int rc = auk_try_alloc(&d, n * n, sizeof *d, err);
    if (rc < 0)
        return rc;
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i <= c; i++)
            d[c * n + i] = (double)h[c * n + i];
        d[c * n + c] += add;
    }
    *ok = true;
    for (size_t c = n; c-- > 0 && *ok;) {
        double *column = d + c * n;
        *ok = column[c] > 0 && isfinite(column[c]);
        double root = sqrt(column[c]);
        for (size_t i = 0; i < c; i++)
            column[i] /= root;
        column[c] = root;
        for (size_t m = 0; m < c && *ok; m++)
            for (size_t i = 0; i <= m; i++)
                d[m * n + i] -= column[m] * column[i];
    }
    for (size_t c = 0; c < n && *ok; c++)
        for (size_t i = 0; i <= c; i++)
            r[c * n + i] = (float)d[c * n + i];
    free(d);
    return AUK_OK;
}

int auk_hessian_ladder(auk_damping *out, float *r, const float *h, double first, size_t n,
                       const auk_kernel *k, auk_err *err)
{
    double mean = auk_hessian_trace(h, n) / (double)n;

    *out = (auk_damping){0};
    for (double damp = first; damp <= 1; damp *= 10) {
        bool ok = auk_hessian_factor(r, h, damp * mean, n, k);
        if (!ok) {
            int rc = auk_hessian_factor_f64(&ok, r, h, damp * mean, n, err);
            if (rc < 0)
                return rc;
            out->f64 = ok;
        }
        if (ok) {
            out->damp = damp;
            return AUK_OK;
        }
    }
    return AUK_OK;
}

double auk_hessian_error(const float *d, const float *h, size_t rows, size_t n)
{
    double sum = 0;

    for (size_t r = 0; r < rows; r++, d += n)
        for (size_t i = 0; i < n; i++) {
            double twice = 0, own = (double)h[i * n + i] * (double)d[i];
            for (size_t j = 0; j < i; j++)
                twice += (double)h[i * n + j] * (double)d[j];
            sum += (double)d[i] * (2 * twice + own);
        }
    return sum;
}
