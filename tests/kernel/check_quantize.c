/* SPDX-License-Identifier: Apache-2.0 */
/* Slots quantize_affine, quantize_fp and finite_bf16: every level gives the scalar bytes. */
#include "kernel/kcheck.h"

#include "base/half.h"
#include "base/mem.h"

#include <math.h>

static const int all_bits[] = {2, 3, 4, 5, 6, 8}, all_groups[] = {32, 64, 128};

#define MAX_GROUPS 19 /* not a multiple of the 8 that are worked on together */

/* Beyond the harness's patterns: ties of the grid, one-signed groups, tiny ranges, huge values. */
enum { TIES = K_PATTERNS, ONE_SIGN, TINY, HUGE_VALUES, N_PATTERNS };

static void fill(k_test *t, float *w, size_t n, int pattern)
{
    if (pattern < K_PATTERNS) {
        k_fill(t, w, n, pattern);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double u = k_unit(t);
        double x = 0;
        switch (pattern) {
        case TIES:
            x = floor(u * 64 - 32) / 4;
            break;
        case ONE_SIGN:
            x = (i / 128 % 2 ? 1 : -1) * (1 + floor(u * 32) / 32);
            break;
        case TINY:
            x = (u - 0.5) * ldexp(1, -20 - (int)(i / 32 % 100));
            break;
        case HUGE_VALUES:
            x = (u - 0.5) * ldexp(1, 100 + (int)(i / 32 % 28));
            break;
        }
        w[i] = auk_round_bf16((float)x);
    }
}

static void check_affine(k_test *t, const auk_kernel *ref, const auk_kernel *cur, int bits,
                         int group)
{
    size_t most = (size_t)group * MAX_GROUPS;

    for (int pattern = 0; pattern < N_PATTERNS; pattern++)
        for (size_t m = 1; m <= MAX_GROUPS; m += m < 10 ? 1 : 3) {
            size_t n = m * (size_t)group, bytes = n / 8 * (size_t)bits;
            float *w = k_guarded(t, n * sizeof *w);
            uint8_t *got = k_guarded(t, bytes), *want = k_guarded(t, bytes);
            float *s = k_guarded(t, m * sizeof *s), *b = k_guarded(t, m * sizeof *b);
            float *rs = k_guarded(t, m * sizeof *rs), *rb = k_guarded(t, m * sizeof *rb);
            fill(t, w, n, pattern);
            for (int r = AUK_ROUND_METAL; r <= AUK_ROUND_CPU; r++) {
                ref->quantize_affine(want, rs, rb, w, n, bits, group, (auk_rounding)r);
                cur->quantize_affine(got, s, b, w, n, bits, group, (auk_rounding)r);
                k_same_bits(t, got, want, bytes, most, pattern);
                k_same_bits(t, s, rs, m * sizeof *s, most, pattern);
                k_same_bits(t, b, rb, m * sizeof *b, most, pattern);
            }
            k_release(t);
        }
}

static void check_quantize_affine(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t i = 0; i < sizeof all_bits / sizeof *all_bits; i++)
        for (size_t j = 0; j < sizeof all_groups / sizeof *all_groups; j++)
            check_affine(t, ref, cur, all_bits[i], all_groups[j]);
}

/* The values that meet every case of the element encoders: with a largest element of 6 (448) the
 * scale is 1 and the others are encoded as they are. */
static void fill_encoder(k_test *t, float *w, size_t n, size_t group, float top)
{
    for (size_t i = 0; i < n; i++) {
        double u = k_unit(t);
        double x = k_below(t, 2) ? floor(u * 64) / 64 * top : ldexp(u, -(int)k_below(t, 12)) * top;
        w[i] = (float)(i % group == 0 ? top : k_below(t, 2) ? -x : x);
    }
}

static void check_fp(k_test *t, const auk_kernel *ref, const auk_kernel *cur,
                     const auk_fp_rule *rule)
{
    size_t group = rule->mode == AUK_NVFP4 ? 16 : 32, bits = rule->mode == AUK_MXFP8 ? 8 : 4;

    for (int pattern = 0; pattern <= N_PATTERNS; pattern++)
        for (size_t m = 1; m <= MAX_GROUPS; m += 3) {
            size_t n = m * group, bytes = n / 8 * bits;
            float *w = k_guarded(t, n * sizeof *w);
            uint8_t *got = k_guarded(t, bytes), *want = k_guarded(t, bytes);
            uint8_t *s = k_guarded(t, m), *rs = k_guarded(t, m);
            if (pattern == N_PATTERNS)
                fill_encoder(t, w, n, group, bits == 8 ? 448.0f : 6.0f);
            else
                fill(t, w, n, pattern);
            if (rule->step == AUK_STEP_F16)
                for (size_t i = 0; i < n; i++) /* within the type that steps are rounded to */
                    w[i] = auk_f16_to_f32(auk_f32_to_f16(fminf(fmaxf(w[i], -6e4f), 6e4f)));
            ref->quantize_fp(want, rs, w, n, rule);
            cur->quantize_fp(got, s, w, n, rule);
            k_same_bits(t, got, want, bytes, n, pattern);
            k_same_bits(t, s, rs, m, n, pattern);
            k_release(t);
        }
}

static void check_quantize_fp(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (int mode = AUK_MXFP4; mode <= AUK_NVFP4; mode++)
        for (int metal = 0; metal < 2; metal++)
            for (int up = 0; up < 2; up++)
                for (int step = AUK_STEP_BF16; step <= AUK_STEP_F32; step++) {
                    auk_fp_rule rule = {.mode = (auk_mode)mode,
                                        .rounding = metal ? AUK_ROUND_METAL : AUK_ROUND_CPU,
                                        .mx_scale = up ? AUK_MX_UP : AUK_MX_NEAREST};
                    rule.step = step == 0 ? AUK_STEP_BF16 : step == 1 ? AUK_STEP_F16 : AUK_STEP_F32;
                    check_fp(t, ref, cur, &rule);
                }
}

static void check_finite_bf16(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    static const uint16_t bad[] = {0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7F81};

    for (size_t i = 0; i < k_n_lengths; i++) {
        size_t n = k_lengths[i];
        uint16_t *x = k_guarded(t, n * sizeof *x);
        k_fill_bf16(t, x, n, K_EXTREMES);
        k_true(t, cur->finite_bf16((const uint8_t *)x, n), "%zu finite values are finite", n);
        for (size_t j = 0; j < n; j += n < 70 ? 1 : 13) {
            uint16_t kept = x[j];
            x[j] = bad[j % (sizeof bad / sizeof *bad)];
            bool want = ref->finite_bf16((const uint8_t *)x, n);
            k_true(t, !want && !cur->finite_bf16((const uint8_t *)x, n),
                   "element %zu of %zu is found", j, n);
            x[j] = kept;
        }
        k_release(t);
    }
}

/* ---- benchmarks: per pass 2 bytes of bf16 per weight, as the file holds them --------------- */

#define BENCH_N ((size_t)8192)

static void bench_quantize_affine(k_test *t, const auk_kernel *cur)
{
    float *w = k_guarded(t, BENCH_N * sizeof *w), s[BENCH_N / 32], b[BENCH_N / 32];
    uint8_t *codes = k_guarded(t, BENCH_N);
    char what[64];

    k_fill(t, w, BENCH_N, K_NORMAL);
    for (size_t i = 0; i < sizeof all_bits / sizeof *all_bits; i++)
        for (int r = AUK_ROUND_METAL; r <= AUK_ROUND_CPU; r++) {
            snprintf(what, sizeof what, "b%d g64 %s", all_bits[i], r ? "cpu" : "metal");
            for (k_bench_start(t, what, 2.0 * BENCH_N, BENCH_N); k_bench_more(t);)
                cur->quantize_affine(codes, s, b, w, BENCH_N, all_bits[i], 64, (auk_rounding)r);
        }
    k_release(t);
}

static void bench_quantize_fp(k_test *t, const auk_kernel *cur)
{
    static const char *const names[] = {"", "mxfp4", "mxfp8", "nvfp4"};
    float *w = k_guarded(t, BENCH_N * sizeof *w);
    uint8_t *codes = k_guarded(t, BENCH_N), s[BENCH_N / 16];
    char what[64];

    k_fill(t, w, BENCH_N, K_NORMAL);
    for (size_t i = 0; i < BENCH_N; i++)
        w[i] = auk_round_bf16(w[i]);
    for (int mode = AUK_MXFP4; mode <= AUK_NVFP4; mode++)
        for (int r = AUK_ROUND_METAL; r <= AUK_ROUND_CPU; r++) {
            auk_fp_rule rule = {(auk_mode)mode, (auk_rounding)r, AUK_MX_UP, AUK_STEP_BF16};
            snprintf(what, sizeof what, "%s %s", names[mode], r ? "cpu" : "metal");
            for (k_bench_start(t, what, 2.0 * BENCH_N, BENCH_N); k_bench_more(t);)
                cur->quantize_fp(codes, s, w, BENCH_N, &rule);
        }
    k_release(t);
}

static void bench_finite_bf16(k_test *t, const auk_kernel *cur)
{
    uint16_t *x = k_guarded(t, BENCH_N * sizeof *x);
    bool finite;

    k_fill_bf16(t, x, BENCH_N, K_NORMAL);
    for (k_bench_start(t, "n=8192", 2.0 * BENCH_N, BENCH_N); k_bench_more(t);) {
        finite = cur->finite_bf16((const uint8_t *)x, BENCH_N);
        k_keep(&finite);
    }
    k_release(t);
}

int main(int argc, char **argv)
{
    static const k_case cases[] = {
        {K_SLOT(quantize_affine), check_quantize_affine, bench_quantize_affine},
        {K_SLOT(quantize_fp), check_quantize_fp, bench_quantize_fp},
        {K_SLOT(finite_bf16), check_finite_bf16, bench_finite_bf16},
    };

    return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
