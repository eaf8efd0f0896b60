/* SPDX-License-Identifier: Apache-2.0 */
/* bench_gptq.c - one expert's gate and up at full width (1536 x 2048, 4 bits, groups of 64), on one
 * core: Hessian, factor, group loop and grids, beside the float32 peak of the same run.
 *
 *     bench_gptq [FOLDER]
 *
 * FOLDER receives w, x and held-out rows (.npy, float32) and the errors, for bench/gptq_numpy.py to
 * do the same the textbook's way. */
#define _POSIX_C_SOURCE 200809L
#include "base/mem.h"
#include "base/rng.h"
#include "quant/gptq.h"
#include "quant/hessian.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define N ((size_t)2048)
#define ROWS ((size_t)1536)
#define TOKENS ((size_t)4096)
#define HELD ((size_t)512)

#if defined(__x86_64__)
#include <immintrin.h>

/* Twelve chains of fused multiply-adds in registers. */
__attribute__((target("avx2,fma"))) static double peak_pass(float *sink)
{
    __m256 s[12], a = _mm256_set1_ps(1.0000001f), b = _mm256_set1_ps(1e-9f), sum;

    for (int i = 0; i < 12; i++)
        s[i] = _mm256_set1_ps((float)i);
    for (int t = 0; t < 100000; t++)
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            s[i] = _mm256_fmadd_ps(s[i], a, b);
    sum = s[0];
    for (int i = 1; i < 12; i++)
        sum = _mm256_add_ps(sum, s[i]);
    _mm256_storeu_ps(sink, sum);
    return 100000.0 * 12 * 16;
}
#else
static double peak_pass(float *sink) /* as the compiler vectorizes it */
{
    float s[48];

    for (int i = 0; i < 48; i++)
        s[i] = (float)i;
    for (int t = 0; t < 100000; t++)
        for (int i = 0; i < 48; i++)
            s[i] = fmaf(s[i], 1.0000001f, 1e-9f);
    memcpy(sink, s, 32);
    return 100000.0 * 96;
}
#endif

/* Processor time of this one thread: others on the machine do not count. */
static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double seconds_since(uint64_t began)
{
    return (double)(now_ns() - began) * 1e-9;
}

static double gauss(auk_rng *r)
{
    double u = 1 - auk_rng_unit(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * auk_rng_unit(r));
}

/* Rows whose coordinates fall like i^-0.55 before a mixing of neighbours, with uneven gains. */
static void fill(float *x, size_t rows, auk_rng *r)
{
    for (size_t t = 0; t < rows; t++) {
        float *row = x + t * N;
        for (size_t i = 0; i < N; i++)
            row[i] = (float)(pow((double)(i + 1), -0.55) * gauss(r));
        for (size_t h = 1; h < N; h *= 2)
            for (size_t i = 0; i < N; i += 2 * h)
                for (size_t j = i; j < i + h; j++) {
                    float a = row[j], b = row[j + h];
                    row[j] = (a + b) * 0.70710678f;
                    row[j + h] = (a - b) * 0.70710678f;
                }
        for (size_t i = 0; i < N; i++)
            row[i] *= 1 + 0.5f * (float)((i * 7919) % 13) / 13;
    }
}

static void dump(const char *dir, const char *name, const float *v, size_t rows, size_t cols)
{
    char path[512];
    char head[128] = {0};

    snprintf(path, sizeof path, "%s/%s.npy", dir, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        return;
    int n = snprintf(head, sizeof head,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, cols);
    memset(head + n, ' ', (size_t)(117 - n));
    head[117] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f);
    fwrite(head, 1, 118, f);
    fwrite(v, sizeof *v, rows * cols, f);
    fclose(f);
}

typedef struct timing {
    const char *what;
    double seconds, flops;
} timing;

int main(int argc, char **argv)
{
    auk_rng r = auk_rng_make(1);
    auk_kernel k;
    float *w = auk_alloc(ROWS * N * 4), *x = auk_alloc(TOKENS * N * 4),
          *held = auk_alloc(HELD * N * 4);
    float *h = auk_alloc(N * N * 4), *f = auk_alloc(N * N * 4), *a = auk_alloc(N * 4);
    float *scale = auk_alloc(ROWS * N / 16), *bias = auk_alloc(ROWS * N / 16), sink[8];
    float *out = auk_alloc(HELD * AUK_GPTQ_ROWS * 4);
    uint8_t *codes = auk_alloc(ROWS * N);
    double ops = 0, err[2] = {0};
    auk_gptq_room room;
    auk_err e;

    auk_kernel_init(&k, auk_cpu_detect());
    fill(x, TOKENS, &r);
    fill(held, HELD, &r);
    for (size_t i = 0; i < ROWS * N; i++)
        w[i] = (float)(0.02 * gauss(&r));
    k.round_bf16(w, ROWS * N);
    if (auk_gptq_room_init(&room, N, &e) < 0)
        return 1;
    uint64_t began = now_ns();
    while (seconds_since(began) < 0.5)
        ops += peak_pass(sink);
    double peak = ops / seconds_since(began);

    timing t[4] = {{"Hessian (syrk)", 0, (double)TOKENS * N * (N + 192)},
                   {"factor", 0, (double)N * N * N / 3},
                   {"group loop", 0, (double)ROWS * N * N + 2.0 * ROWS * N * 64},
                   {"grids", 0, 0}};
    began = now_ns();
    auk_hessian_add(h, x, TOKENS, N, &k, NULL);
    t[0].seconds = seconds_since(began);
    for (size_t i = 0; i < N; i++)
        a[i] = h[i * N + i];
    began = now_ns();
    if (!auk_hessian_factor(f, h, 0.05 * auk_hessian_trace(h, N) / (double)N, N, &k))
        return 1;
    t[1].seconds = seconds_since(began);
    for (int pass = 0; pass < 2; pass++) {
        auk_gptq g = {&k, pass ? f : NULL, a, N, 4, 64, AUK_GRID_SEARCH};
        for (size_t at = 0; at < ROWS; at += AUK_GPTQ_ROWS) {
            began = now_ns();
            auk_gptq_rows(codes + at * N / 2, scale + at * N / 64, bias + at * N / 64, &room, &g,
                          w + at * N, AUK_GPTQ_ROWS);
            t[pass ? 2 : 3].seconds += seconds_since(began);
            err[pass] += auk_gptq_output_error(&room, &k, AUK_GPTQ_ROWS, held, NULL, HELD, out);
        }
    }
    double all = t[0].seconds + t[1].seconds + t[2].seconds;
    t[2].seconds -= t[3].seconds; /* what the grids take inside it */
    printf("part,seconds,gflops,share_of_f32_peak\n");
    for (int i = 0; i < 4; i++)
        printf("%s,%.4f,%.1f,%.2f\n", t[i].what, t[i].seconds, t[i].flops / t[i].seconds * 1e-9,
               t[i].flops / t[i].seconds / peak);
    printf("peak,,%.1f,1.00\nall,%.4f,,\nheld-out error: wrtn %.6g, gptq %.6g\n", peak * 1e-9, all,
           err[0], err[1]);
    if (argc > 1) {
        dump(argv[1], "w", w, ROWS, N);
        dump(argv[1], "x", x, TOKENS, N);
        dump(argv[1], "held", held, HELD, N);
    }
    return 0;
}
