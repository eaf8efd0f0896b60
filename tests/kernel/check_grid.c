/* SPDX-License-Identifier: Apache-2.0 */
/* Slots gemm_f32, search_affine, solve_lanes and pull_affine: every level gives the scalar bits. */
#include "kernel/kcheck.h"

#include "base/half.h"

#include <math.h>

static const int all_bits[] = {2, 3, 4, 5, 6, 8}, all_groups[] = {32, 64, 128};

static void check_gemm(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    static const size_t shapes[][3] = {{1, 1, 1},   {6, 16, 1},   {6, 16, 7},    {5, 15, 64},
                                       {7, 17, 65}, {13, 40, 33}, {64, 96, 300}, {24, 130, 257},
                                       {96, 31, 5}, {3, 129, 2}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int pattern = 0; pattern < K_PATTERNS; pattern++)
            for (int way = 0; way < 4; way++) {
                size_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
                float *a = k_guarded(t, m * k * sizeof *a), *b = k_guarded(t, k * n * sizeof *b);
                float *got = k_guarded(t, m * n * sizeof *got);
                float *want = k_guarded(t, m * n * sizeof *want);
                k_fill(t, a, m * k, pattern);
                k_fill(t, b, k * n, pattern);
                k_fill(t, want, m * n, pattern);
                memcpy(got, want, m * n * sizeof *got);
                size_t row = way & 1 ? 1 : k, col = way & 1 ? m : 1;
                ref->gemm_f32(want, n, a, row, col, b, n, m, n, k, way & 2);
                cur->gemm_f32(got, n, a, row, col, b, n, m, n, k, way & 2);
                k_same_bits(t, got, want, m * n * sizeof *got, m * n, pattern);
                float first = want[0], naive = 0;
                memset(got, 0, sizeof *got); /* the definition, for the first element */
                ref->gemm_f32(got, n, a, row, col, b, n, 1, 1, k, false);
                for (size_t p = 0; p < k; p++)
                    naive = fmaf(a[p * col], b[p * n], naive);
                k_same_bits(t, got, &naive, sizeof naive, k, pattern);
                (void)first;
                k_release(t);
            }
}

/* A group of AUK_LANES rows; some constant, some of one sign, some with ties of the grid. */
static void fill_group(k_test *t, float *w, int group, int pattern)
{
    size_t n = (size_t)group * AUK_LANES;

    k_fill(t, w, n, pattern == K_EXTREMES ? K_OUTLIERS : pattern % K_PATTERNS);
    for (size_t i = 0; i < n; i++) {
        if (pattern == K_PATTERNS)
            w[i] = (float)((int)k_below(t, 64) - 32) / 4;
        if (i % AUK_LANES == 3)
            w[i] = 0.75f;
        if (i % AUK_LANES == 5)
            w[i] = fabsf(w[i]) + 1.0f;
    }
}

static void fill_weights(k_test *t, float *a, int group, int kind)
{
    for (int j = 0; j < group; j++)
        a[j] = kind == 0 ? 1.0f : (float)exp(4 * k_unit(t) - 2);
    if (kind == 2)
        memset(a, 0, (size_t)(group - 1) * sizeof *a);
}

static void check_search(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t g = 0; g < 3; g++)
        for (size_t i = 0; i < 6; i++)
            for (int pattern = 0; pattern <= K_PATTERNS; pattern++) {
                int group = all_groups[g], bits = all_bits[i];
                size_t bytes = AUK_LANES * sizeof(float);
                float *w = k_guarded(t, (size_t)group * bytes);
                float *a = k_guarded(t, (size_t)group * sizeof *a);
                float *s = k_guarded(t, bytes), *b = k_guarded(t, bytes);
                float *rs = k_guarded(t, bytes), *rb = k_guarded(t, bytes);
                fill_group(t, w, group, pattern);
                fill_weights(t, a, group, (int)i % 3);
                ref->search_affine(rs, rb, w, a, bits, group);
                cur->search_affine(s, b, w, a, bits, group);
                k_same_bits(t, s, rs, bytes, (size_t)group, pattern);
                k_same_bits(t, b, rb, bytes, (size_t)group, pattern);
                for (int r = 0; r < AUK_LANES; r++)
                    k_true(t, s[r] == auk_round_bf16(s[r]) && b[r] == auk_round_bf16(b[r]),
                           "row %d: the pair is bfloat16", r);
                k_release(t);
            }
}

/* An upper triangular factor by columns, its diagonal away from 0. */
static void fill_factor(k_test *t, float *r, int group, size_t ldr)
{
    k_fill(t, r, (size_t)group * ldr, K_NORMAL);
    for (int k = 0; k < group; k++)
        r[(size_t)k * ldr + (size_t)k] = 4.0f + (float)k_unit(t);
}

static void check_solve(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t g = 0; g < 3; g++) {
        int group = all_groups[g];
        size_t n = (size_t)group * AUK_LANES, ldr = (size_t)group;
        float *w = k_guarded(t, n * sizeof *w), *c = k_guarded(t, n * sizeof *c);
        float *got = k_guarded(t, n * sizeof *got), *want = k_guarded(t, n * sizeof *want);
        float *r = k_guarded(t, (size_t)group * ldr * sizeof *r);
        fill_group(t, w, group, K_NORMAL);
        k_fill(t, c, n, K_NORMAL);
        fill_factor(t, r, group, ldr);
        ref->solve_lanes(want, w, c, r, ldr, group);
        cur->solve_lanes(got, w, c, r, ldr, group);
        k_same_bits(t, got, want, n * sizeof *got, n, 0);
        for (int k = 0; k < group; k += 5) { /* y R = c */
            double sum = 0, size = 0;
            for (int j = 0; j <= k; j++) {
                double y = (double)(want[j * AUK_LANES] - w[j * AUK_LANES]);
                sum += y * (double)r[(size_t)k * ldr + (size_t)j];
                size += fabs(y * (double)r[(size_t)k * ldr + (size_t)j]);
            }
            k_true(t, fabs(sum - (double)c[k * AUK_LANES]) < 1e-4 * (1 + size), "column %d", k);
        }
        k_release(t);
    }
}

static void check_pull(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t g = 0; g < 3; g++)
        for (size_t i = 0; i < 6; i++)
            for (int alone = 0; alone < 2; alone++) {
                int group = all_groups[g], bits = all_bits[i];
                size_t n = (size_t)group * AUK_LANES, ldr = (size_t)group + 3;
                float *w = k_guarded(t, n * sizeof *w), *c = k_guarded(t, n * sizeof *c);
                float *a = k_guarded(t, (size_t)group * sizeof *a), s[AUK_LANES], b[AUK_LANES];
                float *r = k_guarded(t, (size_t)group * ldr * sizeof *r);
                float *e = k_guarded(t, n * sizeof *e), *re = k_guarded(t, n * sizeof *re);
                uint8_t *codes = k_guarded(t, n), *want = k_guarded(t, n);
                float loss[AUK_LANES] = {1}, rloss[AUK_LANES] = {1};
                fill_group(t, w, group, (int)i % 2 ? K_PATTERNS : K_NORMAL);
                fill_weights(t, a, group, 0);
                k_fill(t, c, n, K_NORMAL);
                fill_factor(t, r, group, ldr);
                ref->search_affine(s, b, w, a, bits, group);
                ref->pull_affine(want, re, rloss, w, alone ? NULL : c, r, ldr, s, b, bits, group);
                cur->pull_affine(codes, e, loss, w, alone ? NULL : c, r, ldr, s, b, bits, group);
                k_same_bits(t, codes, want, n, n, (int)i);
                k_same_bits(t, e, re, n * sizeof *e, n, (int)i);
                k_same_bits(t, loss, rloss, sizeof loss, n, (int)i);
                k_release(t);
            }
}

/* ---- benchmarks: operations of the definition; the grid search counts weights ------------- */

static void bench_gemm(k_test *t, const auk_kernel *cur)
{
    size_t m = 192, n = 256, k = 512;
    float *a = k_guarded(t, m * k * sizeof *a), *b = k_guarded(t, k * n * sizeof *b);
    float *c = k_guarded(t, m * n * sizeof *c);

    k_fill(t, a, m * k, K_NORMAL);
    k_fill(t, b, k * n, K_NORMAL);
    for (k_bench_start(t, "192x256x512", 0, 2.0 * 192 * 256 * 512); k_bench_more(t);)
        cur->gemm_f32(c, n, a, 1, m, b, n, m, n, k, false);
    k_release(t);
}

static void bench_search(k_test *t, const auk_kernel *cur)
{
    float *w = k_guarded(t, 64 * AUK_LANES * sizeof *w), a[64], s[AUK_LANES], b[AUK_LANES];

    k_fill(t, w, 64 * AUK_LANES, K_NORMAL);
    fill_weights(t, a, 64, 1);
    for (k_bench_start(t, "b4 g64", 0, 64.0 * AUK_LANES); k_bench_more(t);)
        cur->search_affine(s, b, w, a, 4, 64);
    k_release(t);
}

static void bench_pull(k_test *t, const auk_kernel *cur)
{
    size_t n = 64 * AUK_LANES;
    float *w = k_guarded(t, n * sizeof *w), *c = k_guarded(t, n * sizeof *c);
    float *e = k_guarded(t, n * sizeof *e), *r = k_guarded(t, (size_t)64 * 64 * sizeof *r);
    float s[AUK_LANES], b[AUK_LANES], loss[AUK_LANES] = {0};
    uint8_t *codes = k_guarded(t, n);

    k_fill(t, w, n, K_NORMAL);
    fill_factor(t, r, 64, 64);
    for (int i = 0; i < AUK_LANES; i++) {
        s[i] = 0.25f;
        b[i] = -2.0f;
    }
    for (k_bench_start(t, "b4 g64", 0, 64.0 * 64 * AUK_LANES); k_bench_more(t);)
        cur->pull_affine(codes, e, loss, w, c, r, 64, s, b, 4, 64);
    k_release(t);
}

int main(int argc, char **argv)
{
    static const k_case cases[] = {
        {K_SLOT(gemm_f32), check_gemm, bench_gemm},
        {K_SLOT(search_affine), check_search, bench_search},
        {K_SLOT(solve_lanes), check_solve, NULL},
        {K_SLOT(pull_affine), check_pull, bench_pull},
    };

    return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
