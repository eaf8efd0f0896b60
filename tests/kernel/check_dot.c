/* SPDX-License-Identifier: Apache-2.0 */
/* Slots dot_*: every level gives the bits of the scalar table, and the scalar table is near the
 * same sum in double. */
#include "kernel/kcheck.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

static const int all_bits[] = {2, 3, 4, 5, 6, 8};
static const size_t all_groups[] = {1, 2, 3, 5, 8, 13, 16, 32}; /* how many in a row */

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* What the 32 lanes may be off by, in units of FLT_EPSILON * sum |a b|: half of one for each
 * addition an element goes through. */
static double roundings(size_t n)
{
    return 0.5 * ((double)n / 32 + 6);
}

/* ---- plain rows --------------------------------------------------------------------------- */

static void check_dot_f32(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t i = 0; i < k_n_lengths; i++) {
        size_t n = k_lengths[i];
        float *a = k_guarded(t, n * sizeof *a), *b = k_guarded(t, n * sizeof *b);

        for (int pattern = 0; pattern < K_PATTERNS; pattern++) {
            double sum = 0, sum_abs = 0;
            k_fill(t, a, n, pattern);
            k_fill(t, b, n, pattern);
            float want = ref->dot_f32(a, b, n), got = cur->dot_f32(a, b, n);
            k_same_bits(t, &got, &want, sizeof got, n, pattern);
            for (size_t j = 0; j < n; j++) {
                sum += (double)a[j] * b[j];
                sum_abs += fabs((double)a[j] * b[j]);
            }
            k_near(t, want, sum, roundings(n), sum_abs, n, pattern);
        }
        k_release(t);
    }
}

static void check_dot_bf16(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (size_t i = 0; i < k_n_lengths; i++) {
        size_t n = k_lengths[i];
        uint16_t *w = k_guarded(t, n * sizeof *w);
        float *x = k_guarded(t, n * sizeof *x);

        for (int pattern = 0; pattern < K_PATTERNS; pattern++) {
            const uint8_t *row = (const uint8_t *)w;
            double sum = 0, sum_abs = 0;
            k_fill_bf16(t, w, n, pattern);
            k_fill(t, x, n, pattern);
            float want = ref->dot_bf16(row, x, n), got = cur->dot_bf16(row, x, n);
            k_same_bits(t, &got, &want, sizeof got, n, pattern);
            for (size_t j = 0; j < n; j++) {
                double p = (double)auk_bf16_to_f32(auk_le16(row + 2 * j)) * x[j];
                sum += p;
                sum_abs += fabs(p);
            }
            k_near(t, want, sum, roundings(n), sum_abs, n, pattern);
        }
        k_release(t);
    }
}

/* Every number of rows and of x up to two more than any tile holds; y has room
 * between its rows. */
static void check_dot_tile(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    static const size_t lengths[] = {1, 31, 32, 33, 96, 127, 128, 160, 768, 2048};
    enum { MAX_ROWS = 9, MAX_X = 8, STRIDE = 11 };

    for (size_t i = 0; i < COUNT(lengths); i++)
        for (size_t rows = 1; rows <= MAX_ROWS; rows++) {
            size_t n = lengths[i], y_bytes = MAX_X * STRIDE * sizeof(float);
            float *a = k_guarded(t, rows * n * sizeof *a), *xs[MAX_X];
            float *got = k_guarded(t, y_bytes), *want = k_guarded(t, y_bytes);
            const float *x[MAX_X];
            int pattern = (int)(rows % K_PATTERNS);

            k_fill(t, a, rows * n, pattern);
            for (int j = 0; j < MAX_X; j++) {
                x[j] = xs[j] = k_guarded(t, n * sizeof **xs);
                k_fill(t, xs[j], n, pattern);
            }
            for (size_t n_x = 0; n_x <= MAX_X; n_x++) {
                for (size_t j = 0; j < n_x; j++)
                    for (size_t r = 0; r < rows; r++)
                        want[j * STRIDE + r] = ref->dot_f32(a + r * n, x[j], n);
                memset(got, 0, y_bytes);
                cur->dot_tile(got, STRIDE, a, rows, x, n_x, n);
                k_same_bits(t, got, want, y_bytes, n, pattern);
            }
            k_release(t);
        }
}

/* ---- packed rows: slot and oracle per format, one loop for all ----------------------------- */

typedef struct packed {
    const char *name; /* of the failing variant */
    int bits, group;
    const uint8_t *codes;
    const float *scale, *bias, *x;
    size_t n;
} packed;

typedef float packed_dot(const auk_kernel *k, const packed *p);
typedef void packed_dequant(const auk_kernel *k, float *dst, const packed *p);
typedef double packed_value(const packed *p, unsigned code); /* of scale 1, without the bias */

static float run_affine(const auk_kernel *k, const packed *p)
{
    return k->dot_affine(p->codes, p->scale, p->bias, p->x, p->n, p->bits, p->group);
}

static void open_affine(const auk_kernel *k, float *dst, const packed *p)
{
    k->dequant_affine(dst, p->codes, p->scale, p->bias, p->n, p->bits, p->group);
}

static double value_affine(const packed *p, unsigned code)
{
    (void)p;
    return code;
}

static float run_e2m1(const auk_kernel *k, const packed *p)
{
    return k->dot_e2m1(p->codes, p->scale, p->x, p->n, p->group);
}

static void open_e2m1(const auk_kernel *k, float *dst, const packed *p)
{
    k->dequant_e2m1(dst, p->codes, p->scale, p->n, p->group);
}

static double value_e2m1(const packed *p, unsigned code)
{
    static const double magnitude[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    (void)p;
    return code & 8 ? -magnitude[code & 7] : magnitude[code & 7];
}

static float run_e4m3(const auk_kernel *k, const packed *p)
{
    return k->dot_e4m3(p->codes, p->scale, p->x, p->n, p->group);
}

static void open_e4m3(const auk_kernel *k, float *dst, const packed *p)
{
    k->dequant_e4m3(dst, p->codes, p->scale, p->n, p->group);
}

static double value_e4m3(const packed *p, unsigned code)
{
    unsigned exponent = code >> 3 & 15u, mantissa = code & 7u;
    (void)p;
    double v = exponent == 0 ? ldexp(mantissa, -9) : ldexp(8 + mantissa, (int)exponent - 10);
    return code & 128u ? -v : v;
}

/* Bit by bit, so that it shares nothing with the kernels. */
static unsigned code_at(const packed *p, size_t i)
{
    unsigned code = 0;

    for (int b = 0; b < p->bits; b++) {
        size_t at = i * (size_t)p->bits + (size_t)b;
        code |= (unsigned)(p->codes[at / 8] >> at % 8 & 1) << b;
    }
    return code;
}

/* k_near allows for the rounding of scale * code and of adding the bias: one each. */
static void near_double(k_test *t, float got, const packed *p, packed_value *value, int pattern)
{
    double sum = 0, sum_abs = 0;

    for (size_t i = 0; i < p->n; i++) {
        size_t g = i / (size_t)p->group;
        double w = p->scale[g] * value(p, code_at(p, i)), b = p->bias != NULL ? p->bias[g] : 0;
        sum += (w + b) * p->x[i];
        sum_abs += (fabs(w) + fabs(b)) * fabs((double)p->x[i]);
    }
    k_near(t, got, sum, roundings(p->n) + 1, sum_abs, p->n, pattern);
}

static void check_packed(k_test *t, const auk_kernel *ref, const auk_kernel *cur, packed p,
                         packed_dot *dot, packed_dequant *dequant, packed_value *value)
{
    bool has_bias = p.bias != NULL;

    for (size_t i = 0; i < COUNT(all_groups); i++) {
        size_t groups = all_groups[i];
        p.n = groups * (size_t)p.group;
        size_t bytes = p.n / 8 * (size_t)p.bits;
        uint8_t *codes = k_guarded(t, bytes);
        float *scale = k_guarded(t, groups * sizeof *scale);
        float *bias = has_bias ? k_guarded(t, groups * sizeof *bias) : NULL;
        float *x = k_guarded(t, p.n * sizeof *x), *w = k_guarded(t, p.n * sizeof *w);
        p.codes = codes;
        p.scale = scale;
        p.bias = bias;
        p.x = x;

        for (int pattern = 0; pattern < K_PATTERNS; pattern++) {
            k_fill_bytes(t, codes, bytes);
            k_fill(t, scale, groups, pattern);
            if (k_below(t, 2)) /* as files hold them: scale * code is then exact */
                cur->round_bf16(scale, groups);
            if (has_bias)
                k_fill(t, bias, groups, pattern);
            k_fill(t, x, p.n, pattern);
            float want = dot(ref, &p), got = dot(cur, &p);
            k_same_bits(t, &got, &want, sizeof got, p.n, pattern);
            dequant(cur, w, &p);
            got = cur->dot_f32(w, x, p.n); /* dot_X(w, x) is dot_f32(dequant_X(w), x) */
            k_same_bits(t, &got, &want, sizeof got, p.n, pattern);
            near_double(t, want, &p, value, pattern);
        }
        k_release(t);
    }
}

static void check_dot_affine(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    static const float some; /* the check puts its own there */

    for (size_t i = 0; i < COUNT(all_bits); i++)
        for (int group = 32; group <= 128; group *= 2)
            check_packed(t, ref, cur, (packed){.bits = all_bits[i], .group = group, .bias = &some},
                         run_affine, open_affine, value_affine);
}

static void check_dot_e2m1(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    for (int group = 16; group <= 32; group *= 2) /* nvfp4, mxfp4 */
        check_packed(t, ref, cur, (packed){.bits = 4, .group = group}, run_e2m1, open_e2m1,
                     value_e2m1);
}

static void check_dot_e4m3(k_test *t, const auk_kernel *ref, const auk_kernel *cur)
{
    check_packed(t, ref, cur, (packed){.bits = 8, .group = 32}, run_e4m3, open_e4m3, value_e4m3);
}

/* ---- benchmarks: rows of 2048, the weights in the second-level cache or in memory ---------- */

#define COLS ((size_t)2048)
#define IN_CACHE ((size_t)1 << 19)
#define IN_MEMORY ((size_t)96 << 20)

typedef float row_dot(const auk_kernel *k, const packed *p);

static float run_f32(const auk_kernel *k, const packed *p)
{
    return k->dot_f32((const float *)(const void *)p->codes, p->x, p->n);
}

static float run_bf16(const auk_kernel *k, const packed *p)
{
    return k->dot_bf16(p->codes, p->x, p->n);
}

static void bench_rows(k_test *t, const auk_kernel *cur, packed p, row_dot *dot)
{
    size_t row_bytes = COLS / 8 * (size_t)p.bits;
    float *x = k_guarded(t, COLS * sizeof *x), *scale = k_guarded(t, COLS / 16 * sizeof *scale);
    char what[64];

    k_fill(t, x, COLS, K_NORMAL);
    k_fill(t, scale, COLS / 16, K_NORMAL);
    cur->round_bf16(scale, COLS / 16); /* as files hold them */
    p.scale = p.bias = scale;
    p.x = x;
    p.n = COLS;
    bool slow = cur->cpu_flags == AUK_CPU_SCALAR; /* as fast from memory as from the cache */
    for (int far = 0; far < (slow ? 1 : 2); far++) {
        size_t rows = (far ? IN_MEMORY : IN_CACHE) / row_bytes;
        uint8_t *codes = k_guarded(t, rows * row_bytes);
        for (size_t i = 0; i < rows * row_bytes; i++) /* no NaN as bf16 or f32 */
            codes[i] = (uint8_t)(i * 37 & 0x3F);
        snprintf(what, sizeof what, "%s %s", p.name, far ? "memory" : "L2");
        double bytes = (double)(rows * row_bytes);
        for (k_bench_start(t, what, bytes, 2.0 * (double)(rows * COLS)); k_bench_more(t);)
            for (size_t r = 0; r < rows; r++) {
                p.codes = codes + r * row_bytes;
                float y = dot(cur, &p);
                k_keep(&y);
            }
    }
    k_release(t);
}

static void bench_dot_f32(k_test *t, const auk_kernel *cur)
{
    bench_rows(t, cur, (packed){.name = "f32", .bits = 32}, run_f32);
}

/* 16 rows and 12 x, as auk_matmul_run calls it; bytes are those of the rows. */
static void bench_dot_tile(k_test *t, const auk_kernel *cur)
{
    float *a = k_guarded(t, 16 * COLS * sizeof *a), *b = k_guarded(t, 12 * COLS * sizeof *b);
    float *y = k_guarded(t, (size_t)16 * 12 * sizeof *y);
    const float *x[12];
    char what[64];

    k_fill(t, a, 16 * COLS, K_NORMAL);
    k_fill(t, b, 12 * COLS, K_NORMAL);
    for (size_t i = 0; i < 12; i++)
        x[i] = b + i * COLS;
    for (size_t n_x = 1; n_x <= 12; n_x += n_x < 4 ? 1 : 4) {
        snprintf(what, sizeof what, "16 rows, %zu x", n_x);
        double ops = 2.0 * 16 * (double)(COLS * n_x);
        for (k_bench_start(t, what, 16.0 * 4 * COLS, ops); k_bench_more(t);)
            cur->dot_tile(y, 16, a, 16, x, n_x, COLS);
    }
    k_release(t);
}

static void bench_dot_bf16(k_test *t, const auk_kernel *cur)
{
    bench_rows(t, cur, (packed){.name = "bf16", .bits = 16}, run_bf16);
}

static void bench_dot_affine(k_test *t, const auk_kernel *cur)
{
    char name[16];

    for (size_t i = 0; i < COUNT(all_bits); i++) {
        snprintf(name, sizeof name, "b%d g64", all_bits[i]);
        bench_rows(t, cur, (packed){.name = name, .bits = all_bits[i], .group = 64}, run_affine);
    }
}

static void bench_dot_e2m1(k_test *t, const auk_kernel *cur)
{
    bench_rows(t, cur, (packed){.name = "mxfp4", .bits = 4, .group = 32}, run_e2m1);
    bench_rows(t, cur, (packed){.name = "nvfp4", .bits = 4, .group = 16}, run_e2m1);
}

static void bench_dot_e4m3(k_test *t, const auk_kernel *cur)
{
    bench_rows(t, cur, (packed){.name = "mxfp8", .bits = 8, .group = 32}, run_e4m3);
}

int main(int argc, char **argv)
{
    static const k_case cases[] = {
        {K_SLOT(dot_f32), check_dot_f32, bench_dot_f32},
        {K_SLOT(dot_tile), check_dot_tile, bench_dot_tile},
        {K_SLOT(dot_bf16), check_dot_bf16, bench_dot_bf16},
        {K_SLOT(dot_affine), check_dot_affine, bench_dot_affine},
        {K_SLOT(dot_e2m1), check_dot_e2m1, bench_dot_e2m1},
        {K_SLOT(dot_e4m3), check_dot_e4m3, bench_dot_e4m3},
    };

    return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
