/* SPDX-License-Identifier: Apache-2.0 */
/* Slots f32_to_bf16, round_bf16, axpy_*, silu, softmax and argmax: every level gives the scalar
 * bits, also for infinities and NaN.  Which NaN it is, is not part of the contract. */
#include "kernel/kcheck.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

/* What is no number becomes one kind of it. */
static void one_nan(float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(p[i]))
            p[i] = NAN;
}

static void same_floats(k_test *t, float *got, float *want, size_t n, int pattern)
{
    one_nan(got, n);
    one_nan(want, n);
    k_same_bits(t, got, want, n * sizeof *got, n, pattern);
}

/* Every run of lengths and patterns: got and want hold the same n floats. */
typedef void two_copies_fn(k_test *t, const auk_kernel *ref, const auk_kernel *cur, float *got,
                           float *want, size_t n, int pattern);

static void for_all(k_test *t, const auk_kernel *ref, const auk_kernel *cur, two_copies_fn *fn)
{
    for (size_t i = 0; i < k_n_lengths; i++) {
        size_t n = k_lengths[i];
        float *got = k_guarded(t, n * sizeof *got), *want = k_guarded(t, n * sizeof *want);

        for (int pattern = 0; pattern <= K_SPECIALS; pattern++) {
            k_fill(t, got, n, pattern);
            memcpy(want, got, n * sizeof *got);
            fn(t, ref, cur, got, want, n, pattern);
        }
        k_release(t);
    }
}

/* ---- bfloat16 ----------------------------------------------------------------------------- */

/* The patterns next to a tie, and every kind of NaN. */
static void near_ties(k_test *t, float *p, size_t n)
{
    static const uint32_t low[] = {0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF};

    for (size_t i = 0; i < n; i++)
        p[i] = auk_bits_f32((uint32_t)k_below(t, 65536) << 16 | low[k_below(t, 6)]);
}

static void check_f32_to_bf16(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t i = 0; i < k_n_lengths; i++) {
        size_t n = k_lengths[i];
        float *x = k_guarded(t, n * sizeof *x);
        uint8_t *got = k_guarded(t, 2 * n), *want = k_guarded(t, 2 * n);

        for (int pattern = 0; pattern <= K_SPECIALS + 1; pattern++) {
            if (pattern > K_SPECIALS)
                near_ties(t, x, n);
            else
                k_fill(t, x, n, pattern);
            ref->f32_to_bf16(want, x, n);
            cur->f32_to_bf16(got, x, n);
            k_same_bits(t, got, want, 2 * n, n, pattern); /* a NaN keeps its upper bits */
            for (size_t j = 0; j < n; j++)
                k_true(t, auk_le16(want + 2 * j) == auk_f32_to_bf16(x[j]), "%.9g is rounded", x[j]);
        }
        k_release(t);
    }
}

static void round_two(k_test *t, const auk_kernel *ref, const auk_kernel *cur, float *got,
                      float *want, size_t n, int pattern)
{
    if (pattern == K_EQUAL) {
        near_ties(t, got, n);
        memcpy(want, got, n * sizeof *got);
    }
    ref->round_bf16(want, n);
    cur->round_bf16(got, n);
    k_same_bits(t, got, want, n * sizeof *got, n, pattern);
    cur->round_bf16(got, n);
    k_same_bits(t, got, want, n * sizeof *got, n, pattern); /* a second time changes nothing */
}

static void check_round_bf16(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for_all(t, ref, cur, round_two);
}

/* ---- axpy --------------------------------------------------------------------------------- */

/* One fma: the product is exact in double, and the double sum is off by at most a rounding. */
static void near_axpy(k_test *t, float got, float y, float a, float x, size_t n, int pattern)
{
    double p = (double)a * x;

    if (pattern < K_PATTERNS)
        k_near(t, got, p + y, 0.5001, fabs(p + y), n, pattern);
}

static void check_axpy(k_test *t, const auk_kernel *ref, const auk_kernel *cur, bool is_bf16)
{
    for (size_t i = 0; i < k_n_lengths; i++) {
        size_t n = k_lengths[i];
        float *got = k_guarded(t, n * sizeof *got), *want = k_guarded(t, n * sizeof *want);
        float *x = k_guarded(t, n * sizeof *x), *y = k_guarded(t, n * sizeof *y);
        uint16_t *h = k_guarded(t, n * sizeof *h);

        for (int pattern = 0; pattern <= K_SPECIALS; pattern++) {
            float a;
            k_fill(t, &a, 1, pattern);
            k_fill(t, y, n, pattern);
            k_fill(t, x, n, pattern);
            k_fill_bf16(t, h, n, pattern);
            memcpy(got, y, n * sizeof *y);
            memcpy(want, y, n * sizeof *y);
            if (is_bf16) {
                cur->axpy_bf16(got, a, (const uint8_t *)h, n);
                ref->axpy_bf16(want, a, (const uint8_t *)h, n);
                for (size_t j = 0; j < n; j++)
                    x[j] = auk_bf16_to_f32(auk_le16((const uint8_t *)h + 2 * j));
            } else {
                cur->axpy_f32(got, a, x, n);
                ref->axpy_f32(want, a, x, n);
            }
            for (size_t j = 0; j < n; j++)
                near_axpy(t, want[j], y[j], a, x[j], n, pattern);
            same_floats(t, got, want, n, pattern);
        }
        k_release(t);
    }
}

static void check_axpy_f32(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_axpy(t, ref, cur, false);
}

static void check_axpy_bf16(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_axpy(t, ref, cur, true);
}

/* ---- silu, softmax ------------------------------------------------------------------------ */

/* Where exp changes its branch, and what lies on either side. */
static void near_limits(k_test *t, float *p, size_t n)
{
    static const float limit[] = {-87.3f, 88.72284f, -88.0f, 89.0f, 0.34657359f, -0.34657359f};

    for (size_t i = 0; i < n; i++) {
        uint32_t u = auk_f32_bits(limit[k_below(t, 6)]) - 8 + (uint32_t)k_below(t, 17);
        p[i] = auk_bits_f32(u ^ (k_below(t, 2) ? 0x80000000u : 0));
    }
}

static void silu_two(k_test *t, const auk_kernel *ref, const auk_kernel *cur, float *got,
                     float *want, size_t n, int pattern)
{
    if (pattern == K_EQUAL)
        near_limits(t, got, n);
    if (pattern == K_OUTLIERS) /* where the values of a model lie */
        for (size_t i = 0; i < n; i++)
            got[i] = (float)(k_unit(t) * 40 - 20);
    memcpy(want, got, n * sizeof *got);
    ref->silu(want, n);
    for (size_t i = 0; i < n; i++) {
        double x = got[i], y = x / (1 + exp(-x));
        if (pattern < K_PATTERNS && x > -87) /* below, exp(-x) is infinite and y rounds to 0 */
            k_near(t, want[i], y, 3, fabs(y), n, pattern);
    }
    cur->silu(got, n);
    same_floats(t, got, want, n, pattern);
}

static void check_silu(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for_all(t, ref, cur, silu_two);
}

/* The sum is 1 up to half a rounding for each of the quotients and of the lane's additions. */
static void softmax_two(k_test *t, const auk_kernel *ref, const auk_kernel *cur, float *got,
                        float *want, size_t n, int pattern)
{
    double sum = 0;

    if (pattern == K_EQUAL && n > 1)
        for (size_t i = 0; i < n; i++) /* masked positions */
            got[i] = k_below(t, 3) && i != n / 2 ? -INFINITY : got[i] + (float)(i % 5);
    memcpy(want, got, n * sizeof *got);
    ref->softmax(want, n);
    for (size_t i = 0; i < n && pattern < K_PATTERNS; i++) {
        sum += want[i];
        k_true(t, want[i] >= 0 && (got[i] > -INFINITY || want[i] == 0), "%zu of %zu: %g from %g", i,
               n, want[i], got[i]);
    }
    cur->softmax(got, n);
    if (pattern < K_PATTERNS)
        k_near(t, 1.0f, sum, 0.5 * ((double)n / 32 + 6) + 0.5, 1, n, pattern);
    same_floats(t, got, want, n, pattern);
}

static void check_softmax(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for_all(t, ref, cur, softmax_two);
    float alone = -INFINITY; /* nothing to choose from: NaN at every level */
    cur->softmax(&alone, 1);
    k_true(t, isnan(alone), "softmax of -inf alone is NaN");
}

/* ---- argmax ------------------------------------------------------------------------------- */

static void argmax_two(k_test *t, const auk_kernel *ref, const auk_kernel *cur, float *got,
                       float *want, size_t n, int pattern)
{
    (void)want;
    for (int round = 0; round < 4; round++) {
        size_t a = ref->argmax(got, n), b = cur->argmax(got, n);
        k_true(t, a == b, "n=%zu pattern=%d: argmax %zu, want %zu", n, pattern, b, a);
        for (size_t i = 0; i < n; i++)
            k_true(t, !(got[i] > got[a]) && !(got[i] == got[a] && i < a), "n=%zu: %zu over %zu", n,
                   i, a);
        for (size_t i = 0; i < n; i++) /* next round: many equal values, NaN, -inf */
            got[i] = round == 2       ? -INFINITY
                     : k_below(t, 5)  ? got[i]
                     : k_below(t, 10) ? got[0]
                                      : NAN;
    }
}

static void check_argmax(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for_all(t, ref, cur, argmax_two);
}

/* ---- benchmarks --------------------------------------------------------------------------- */

#define BENCH_N ((size_t)4096)

static void bench_f32_to_bf16(k_test *t, const auk_kernel *cur)
{
    float *x = k_guarded(t, BENCH_N * sizeof *x);
    uint8_t *h = k_guarded(t, BENCH_N * 2);

    k_fill(t, x, BENCH_N, K_NORMAL);
    for (k_bench_start(t, "n=4096", 4.0 * BENCH_N, BENCH_N); k_bench_more(t);)
        cur->f32_to_bf16(h, x, BENCH_N);
    k_release(t);
}

/* x is worked on in place; refilling it costs a copy, the same at every level. */
static void bench_in_place(k_test *t, void (*fn)(float *, size_t))
{
    float *x = k_guarded(t, BENCH_N * sizeof *x), *kept = k_guarded(t, BENCH_N * sizeof *kept);

    k_fill(t, kept, BENCH_N, K_NORMAL);
    for (k_bench_start(t, "n=4096", 4.0 * BENCH_N, BENCH_N); k_bench_more(t);) {
        memcpy(x, kept, BENCH_N * sizeof *x);
        fn(x, BENCH_N);
    }
    k_release(t);
}

static void bench_round_bf16(k_test *t, const auk_kernel *cur)
{
    bench_in_place(t, cur->round_bf16);
}

static void bench_silu(k_test *t, const auk_kernel *cur)
{
    bench_in_place(t, cur->silu);
}

static void bench_softmax(k_test *t, const auk_kernel *cur)
{
    bench_in_place(t, cur->softmax);
}

static void bench_axpy_f32(k_test *t, const auk_kernel *cur)
{
    float *x = k_guarded(t, BENCH_N * sizeof *x), *y = k_guarded(t, BENCH_N * sizeof *y);

    k_fill(t, x, BENCH_N, K_NORMAL);
    for (k_bench_start(t, "n=4096", 4.0 * BENCH_N, BENCH_N); k_bench_more(t);)
        cur->axpy_f32(y, 0.5f, x, BENCH_N);
    k_release(t);
}

static void bench_axpy_bf16(k_test *t, const auk_kernel *cur)
{
    float *y = k_guarded(t, BENCH_N * sizeof *y);
    uint16_t *x = k_guarded(t, BENCH_N * sizeof *x);

    k_fill_bf16(t, x, BENCH_N, K_NORMAL);
    for (k_bench_start(t, "n=4096", 2.0 * BENCH_N, BENCH_N); k_bench_more(t);)
        cur->axpy_bf16(y, 0.5f, (const uint8_t *)x, BENCH_N);
    k_release(t);
}

static void bench_argmax(k_test *t, const auk_kernel *cur)
{
    float *x = k_guarded(t, BENCH_N * sizeof *x);

    k_fill(t, x, BENCH_N, K_NORMAL);
    for (k_bench_start(t, "n=4096", 4.0 * BENCH_N, BENCH_N); k_bench_more(t);) {
        size_t at = cur->argmax(x, BENCH_N);
        k_keep(&at);
    }
    k_release(t);
}

int main(int argc, char **argv)
{
    static const k_case cases[] = {
        {K_SLOT(f32_to_bf16), check_f32_to_bf16, bench_f32_to_bf16},
        {K_SLOT(round_bf16), check_round_bf16, bench_round_bf16},
        {K_SLOT(axpy_f32), check_axpy_f32, bench_axpy_f32},
        {K_SLOT(axpy_bf16), check_axpy_bf16, bench_axpy_bf16},
        {K_SLOT(silu), check_silu, bench_silu},
        {K_SLOT(softmax), check_softmax, bench_softmax},
        {K_SLOT(argmax), check_argmax, bench_argmax},
    };

    return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
