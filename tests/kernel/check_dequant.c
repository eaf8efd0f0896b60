/* SPDX-License-Identifier: Apache-2.0 */
/* Slots bf16_to_f32, f16_to_f32 and dequant_*: every level gives the bits of the scalar table, and
 * the scalar table those of the definition, computed here in double. */
#include "kernel/kcheck.h"

#include "base/half.h"

#include <math.h>

static const int all_bits[] = {2, 3, 4, 5, 6, 8};
static const size_t all_groups[] = {1, 2, 3, 5, 8, 13, 16, 32}; /* how many in a row */

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Which NaN it is, is not part of the contract: processors make float16's quiet. */
static void same_floats(k_test *t, float *got, float *want, size_t n, int pattern)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(got[i]) && isnan(want[i]))
            got[i] = want[i] = NAN;
    k_same_bits(t, got, want, n * sizeof *got, n, pattern);
}

/* ---- halves ------------------------------------------------------------------------------- */

typedef void widen_fn(float *dst, const uint8_t *src, size_t n);

/* All 65536 patterns, in runs of every length. */
static void check_widen(k_test *t, widen_fn *ref, widen_fn *cur)
{
    unsigned next = 0;

    for (int round = 0; round < 8; round++)
        for (size_t i = 0; i < k_n_lengths; i++) {
            size_t n = k_lengths[i];
            uint16_t *h = k_guarded(t, n * sizeof *h);
            float *got = k_guarded(t, n * sizeof *got), *want = k_guarded(t, n * sizeof *want);
            for (size_t j = 0; j < n; j++)
                h[j] = (uint16_t)(next++ * 40503u);
            ref(want, (const uint8_t *)h, n);
            cur(got, (const uint8_t *)h, n);
            same_floats(t, got, want, n, round);
            k_release(t);
        }
}

static void check_bf16_to_f32(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_widen(t, ref->bf16_to_f32, cur->bf16_to_f32);
}

static void check_f16_to_f32(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_widen(t, ref->f16_to_f32, cur->f16_to_f32);
}

/* ---- packed rows -------------------------------------------------------------------------- */

/* Bit by bit, so that it shares nothing with the kernels. */
static unsigned code_at(const uint8_t *codes, size_t i, int bits)
{
    unsigned code = 0;

    for (int b = 0; b < bits; b++) {
        size_t at = i * (size_t)bits + (size_t)b;
        code |= (unsigned)(codes[at / 8] >> at % 8 & 1) << b;
    }
    return code;
}

/* The product is exact in double, so each conversion rounds once. */
static float affine(float scale, float bias, unsigned code)
{
    float product = (float)((double)scale * code);

    return (float)((double)product + bias);
}

static double e2m1(unsigned code)
{
    static const double magnitude[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

    return code & 8 ? -magnitude[code & 7] : magnitude[code & 7];
}

static double e4m3(unsigned code)
{
    unsigned exponent = code >> 3 & 15u, mantissa = code & 7u;
    double v = exponent == 0 ? ldexp(mantissa, -9) : ldexp(8 + mantissa, (int)exponent - 10);

    return code & 128u ? -v : v;
}

typedef enum format { AFFINE, E2M1, E4M3 } format;

typedef struct row {
    size_t n, groups, bytes;
    uint8_t *codes;
    float *scale, *bias;
} row;

static void dequant(const auk_kernel *k, float *dst, const row *r, format f, int bits, int group)
{
    if (f == AFFINE)
        k->dequant_affine(dst, r->codes, r->scale, r->bias, r->n, bits, group);
    else if (f == E2M1)
        k->dequant_e2m1(dst, r->codes, r->scale, r->n, group);
    else
        k->dequant_e4m3(dst, r->codes, r->scale, r->n, group);
}

static void by_definition(float *dst, const row *r, format f, int bits, int group)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t g = i / (size_t)group;
        unsigned code = code_at(r->codes, i, bits);
        if (f == AFFINE)
            dst[i] = affine(r->scale[g], r->bias[g], code);
        else
            dst[i] = (float)((f == E2M1 ? e2m1(code) : e4m3(code)) * r->scale[g]);
    }
}

static row new_row(k_test *t, size_t groups, int bits, int group)
{
    row r = {.n = groups * (size_t)group, .groups = groups};

    r.bytes = r.n / 8 * (size_t)bits;
    r.codes = k_guarded(t, r.bytes);
    r.scale = k_guarded(t, groups * sizeof *r.scale);
    r.bias = k_guarded(t, groups * sizeof *r.bias);
    return r;
}

/* Infinite scales meet the code 0: NaN.  A scale as files hold it makes scale * code exact. */
static void check_packed(k_test *t, const auk_kernel *ref, const auk_kernel *cur, format f,
                         int bits, int group)
{
    for (size_t i = 0; i < COUNT(all_groups); i++) {
        row r = new_row(t, all_groups[i], bits, group);
        float *got = k_guarded(t, r.n * sizeof *got), *want = k_guarded(t, r.n * sizeof *want);

        for (int pattern = 0; pattern <= K_SPECIALS; pattern++)
            for (int rounded = 0; rounded < 2; rounded++) {
                k_fill_bytes(t, r.codes, r.bytes);
                k_fill(t, r.scale, r.groups, pattern);
                k_fill(t, r.bias, r.groups, pattern);
                if (rounded)
                    cur->round_bf16(r.scale, r.groups);
                by_definition(want, &r, f, bits, group);
                dequant(ref, got, &r, f, bits, group);
                same_floats(t, got, want, r.n, pattern);
                dequant(cur, got, &r, f, bits, group);
                same_floats(t, got, want, r.n, pattern);
            }
        k_release(t);
    }
}

/* Scales on either side of what the fused operation may be used for. */
static void check_limits(k_test *t, const auk_kernel *ref, const auk_kernel *cur, int bits)
{
    static const uint32_t scale[] = {0x3F800100, 0x3F8000FF, 0x3FFFFF00, 0x777FFF00, 0x77800000,
                                     0x7F000000, 0x7F7FFF00, 0x00000100, 0x00000001, 0x80000000};
    row r = new_row(t, 24, bits, 32);
    float *got = k_guarded(t, r.n * sizeof *got), *want = k_guarded(t, r.n * sizeof *want);

    for (size_t s = 0; s < COUNT(scale); s++)
        for (size_t at = 0; at < r.groups; at++) { /* one among others that are harmless */
            k_fill_bytes(t, r.codes, r.bytes);
            k_fill(t, r.bias, r.groups, K_NORMAL);
            for (size_t g = 0; g < r.groups; g++)
                r.scale[g] = g == at ? auk_bits_f32(scale[s]) : 0.5f;
            if (s >= 4 && s < 7) /* the product overflows, and a fused sum would not */
                r.bias[at] = -0x1.8p127f;
            ref->dequant_affine(want, r.codes, r.scale, r.bias, r.n, bits, 32);
            cur->dequant_affine(got, r.codes, r.scale, r.bias, r.n, bits, 32);
            same_floats(t, got, want, r.n, (int)s);
        }
    k_release(t);
}

static void check_dequant_affine(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t i = 0; i < COUNT(all_bits); i++) {
        for (int group = 32; group <= 128; group *= 2)
            check_packed(t, ref, cur, AFFINE, all_bits[i], group);
        check_limits(t, ref, cur, all_bits[i]);
    }
}

static void check_dequant_e2m1(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_packed(t, ref, cur, E2M1, 4, 16); /* nvfp4 */
    check_packed(t, ref, cur, E2M1, 4, 32); /* mxfp4 */
}

static void check_dequant_e4m3(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_packed(t, ref, cur, E4M3, 8, 32);
}

/* ---- benchmarks: bytes are those of the floats written ------------------------------------- */

#define BENCH_N ((size_t)4096)

static void bench_packed(k_test *t, const auk_kernel *cur, format f, int bits, int group)
{
    row r = new_row(t, BENCH_N / (size_t)group, bits, group);
    float *dst = k_guarded(t, BENCH_N * sizeof *dst);
    char what[64];

    k_fill_bytes(t, r.codes, r.bytes);
    k_fill(t, r.scale, r.groups, K_NORMAL);
    k_fill(t, r.bias, r.groups, K_NORMAL);
    cur->round_bf16(r.scale, r.groups);
    snprintf(what, sizeof what, "b%d g%d", bits, group);
    for (k_bench_start(t, what, 4.0 * BENCH_N, BENCH_N); k_bench_more(t);)
        dequant(cur, dst, &r, f, bits, group);
    k_release(t);
}

static void bench_dequant_affine(k_test *t, const auk_kernel *cur)
{
    for (size_t i = 0; i < COUNT(all_bits); i++)
        bench_packed(t, cur, AFFINE, all_bits[i], 64);
}

static void bench_dequant_e2m1(k_test *t, const auk_kernel *cur)
{
    bench_packed(t, cur, E2M1, 4, 16);
    bench_packed(t, cur, E2M1, 4, 32);
}

static void bench_dequant_e4m3(k_test *t, const auk_kernel *cur)
{
    bench_packed(t, cur, E4M3, 8, 32);
}

static void bench_widen(k_test *t, widen_fn *widen)
{
    uint16_t *h = k_guarded(t, BENCH_N * sizeof *h);
    float *dst = k_guarded(t, BENCH_N * sizeof *dst);

    k_fill_f16(t, h, BENCH_N, K_NORMAL);
    for (k_bench_start(t, "n=4096", 4.0 * BENCH_N, BENCH_N); k_bench_more(t);)
        widen(dst, (const uint8_t *)h, BENCH_N);
    k_release(t);
}

static void bench_bf16_to_f32(k_test *t, const auk_kernel *cur)
{
    bench_widen(t, cur->bf16_to_f32);
}

static void bench_f16_to_f32(k_test *t, const auk_kernel *cur)
{
    bench_widen(t, cur->f16_to_f32);
}

int main(int argc, char **argv)
{
    static const k_case cases[] = {
        {K_SLOT(bf16_to_f32), check_bf16_to_f32, bench_bf16_to_f32},
        {K_SLOT(f16_to_f32), check_f16_to_f32, bench_f16_to_f32},
        {K_SLOT(dequant_affine), check_dequant_affine, bench_dequant_affine},
        {K_SLOT(dequant_e2m1), check_dequant_e2m1, bench_dequant_e2m1},
        {K_SLOT(dequant_e4m3), check_dequant_e4m3, bench_dequant_e4m3},
    };

    return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
