/* SPDX-License-Identifier: Apache-2.0 */
/* The grid search and the pull rule of GPTQ, row by row.  N = 2^bits - 1; the code of v is
 * clamp(rint((v - B) / S), 0, N), the value of q is S * q + B in two roundings.
 *
 * search: the pair of MLX's round-to-nearest (affine_scalar.c, Metal), both rounded to bfloat16,
 * then sixteen ranges (max - min) * f from f = 1.07 to 0.90 that begin at the minimum, each
 * followed by two weighted least-squares refits of scale and bias to the codes.  Every candidate is
 * rounded to bfloat16 before its codes are chosen; the least cost wins, the earlier on equality.
 * Relative of llama.cpp's make_qkx3 (github.com/ggml-org/llama.cpp, ggml-quants.c), with the bias
 * free as MLX's format stores it.
 *
 * pull: v_k = w_k + (c_k + sum over j < k of e_j R_jk) / R_kk, e_k = w_k - value(code(v_k)), where
 * H = R R^T.  Same codes as GPTQ's push form (arXiv 2210.17323, 2307.13304). */
#include "kernel/grid_rule.h"
#include "kernel/scalar/scalar.h"

#include <math.h>

#define AT(x, j) (x)[(size_t)(j)*AUK_LANES]

static float code_of(float v, float s, float b, float top)
{
    float q = rintf((v - b) / s);

    q = q > 0.0f ? q : 0.0f;
    return q < top ? q : top;
}

/* Sums over a group, all in order of j. */
typedef struct sums {
    float cost, aq, aqq, aqw;
} sums;

static sums measure(const float *w, const float *a, int group, float s, float b, float top)
{
    sums u = {0};

    for (int j = 0; j < group; j++) {
        float q = code_of(AT(w, j), s, b, top), qa = q * a[j], v = s * q;
        v = v + b;
        v = AT(w, j) - v;
        u.cost = fmaf(a[j] * v, v, u.cost);
        u.aq = u.aq + qa;
        u.aqq = fmaf(qa, q, u.aqq);
        u.aqw = fmaf(qa, AT(w, j), u.aqw);
    }
    return u;
}

static bool refit(float *s, float *b, const sums *u, float a, float aw)
{
    double d = (double)a * (double)u->aqq - (double)u->aq * (double)u->aq;

    if (!(d > 0))
        return false;
    *s = (float)(((double)a * (double)u->aqw - (double)u->aq * (double)aw) / d);
    *b = (float)(((double)u->aqq * (double)aw - (double)u->aq * (double)u->aqw) / d);
    return true;
}

static void search(float *scale, float *bias, const float *w, const float *a, int bits, int group)
{
    float lo = AT(w, 0), hi = lo, sum_a = 0, aw = 0, top = (float)((1 << bits) - 1);

    for (int j = 0; j < group; j++) {
        lo = AT(w, j) < lo ? AT(w, j) : lo;
        hi = AT(w, j) > hi ? AT(w, j) : hi;
        sum_a = sum_a + a[j];
        aw = fmaf(a[j], AT(w, j), aw);
    }
    if (!(hi > lo)) {
        *scale = auk_round_bf16(-1e-7f);
        *bias = auk_round_bf16(lo);
        return;
    }
    auk_grid_first(scale, bias, lo, hi, top);
    float best = measure(w, a, group, *scale, *bias, top).cost;
    for (int i = 0; i < AUK_GRID_RANGES; i++) {
        float s = (hi - lo) * auk_grid_factor(i) / top, b = lo;
        for (int t = 0; t < 3; t++) {
            s = auk_round_bf16(s);
            b = auk_round_bf16(b);
            if (s == 0.0f)
                break;
            sums u = measure(w, a, group, s, b, top);
            if (u.cost < best) {
                best = u.cost;
                *scale = s;
                *bias = b;
            }
            if (!refit(&s, &b, &u, sum_a, aw))
                break;
        }
    }
}

void auk_search_affine_scalar(float *scale, float *bias, const float *w, const float *a, int bits,
                              int group)
{
    for (int r = 0; r < AUK_LANES; r++)
        search(scale + r, bias + r, w + r, a, bits, group);
}

void auk_solve_lanes_scalar(float *t, const float *w, const float *c, const float *r, size_t ldr,
                            int group)
{
    float y[128][AUK_LANES];

    for (int k = 0; k < group; k++)
        for (int l = 0; l < AUK_LANES; l++) {
            const float *column = r + (size_t)k * ldr;
            float sum = AT(c + l, k);
            for (int j = 0; j < k; j++)
                sum = fmaf(-y[j][l], column[j], sum);
            y[k][l] = sum / column[k];
            AT(t + l, k) = AT(w + l, k) + y[k][l];
        }
}

void auk_pull_affine_scalar(uint8_t *codes, float *e, float *loss, const float *w, const float *c,
                            const float *r, size_t ldr, const float *scale, const float *bias,
                            int bits, int group)
{
    float top = (float)((1 << bits) - 1);

    for (int k = 0; k < group; k++)
        for (int l = 0; l < AUK_LANES; l++) {
            const float *column = c != NULL ? r + (size_t)k * ldr : NULL;
            float sum = c != NULL ? AT(c + l, k) : 0.0f, v = AT(w + l, k);
            for (int j = 0; c != NULL && j < k; j++)
                sum = fmaf(AT(e + l, j), column[j], sum);
            if (c != NULL)
                v = v + sum / column[k];
            float q = code_of(v, scale[l], bias[l], top), d = scale[l] * q;
            d = d + bias[l];
            codes[k * AUK_LANES + l] = (uint8_t)q;
            AT(e + l, k) = AT(w + l, k) - d;
            d = v - d;
            if (c != NULL)
                loss[l] = fmaf(column[k] * d, column[k] * d, loss[l]);
        }
}
