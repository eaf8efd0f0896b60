/* SPDX-License-Identifier: Apache-2.0 */
/* kcheck.h - the harness of the kernel checks: one program per family, a test and a benchmark.
 *
 * A program is a table of cases and one line:
 *     static const k_case cases[] = {
 *         {K_SLOT(dot_f32), check_dot_f32, bench_dot_f32},
 *     };
 *     int main(int argc, char **argv)
 *     {
 *         return k_main(argc, argv, cases, sizeof cases / sizeof *cases);
 *     }
 * Every case runs for the scalar table and for each CPU level whose slot differs from the level
 * below, always against the table with no flags as `ref`.  The scalar run compares the reference
 * with itself: there it is the guard pages and the case's own assertions that can fail.
 *
 *     check_x [--only=GLOB] [--bench] [--json] [--cpu=LEVEL] [--seed=N] [--slack]
 *
 * --slack leaves 64 readable bytes before each guard page, for emulators: qemu 7.2 reads 16 bytes
 * for the memory operand of a scalar FMA.
 * The same seed gives the same inputs at every level.  The harness knows no slot. */
#ifndef AUK_TESTS_KCHECK_H
#define AUK_TESTS_KCHECK_H

#include "base/error.h"
#include "kernel/kernel.h"

#include <stddef.h>

typedef struct k_test k_test; /* one run of one case at one level */

typedef void k_check_fn(k_test *t, const auk_kernel *ref, const auk_kernel *cur);
typedef void k_bench_fn(k_test *t, const auk_kernel *cur);

typedef struct k_case {
    const char *name;
    size_t slot_at, slot_bytes; /* the part of auk_kernel under test; 0 bytes: run at every level */
    k_check_fn *check;
    k_bench_fn *bench; /* or NULL */
} k_case;

#define K_SLOT(slot) #slot, offsetof(auk_kernel, slot), sizeof(((auk_kernel *)0)->slot)

/* The exit status: 0, 1 when a case failed, 2 for a wrong option. */
int k_main(int argc, char **argv, const k_case *cases, size_t n);

/* ---- inputs ------------------------------------------------------------------------------- */

/* Zeroed memory that ends exactly at an unreadable page.  The bytes before it are a canary,
 * looked at when the memory is released: by k_release, or at the end of the case. */
void *k_guarded(k_test *t, size_t bytes);
void k_release(k_test *t); /* everything k_guarded gave so far */

/* Around every vector width, and the shapes of the model: 1 2 3 5 7 8 15 16 17 ... 2048. */
extern const size_t k_lengths[];
extern const size_t k_n_lengths;

/* What a buffer is filled with.  All patterns below K_PATTERNS are finite, and sums of products
 * of 2^16 of their values stay finite.  K_SPECIALS adds infinities, NaN and the largest floats:
 * for slots whose contract allows them. */
enum {
    K_NORMAL,    /* about N(0, 1) */
    K_EQUAL,     /* one value everywhere */
    K_ZEROS,     /* +0 and -0, with few others */
    K_DENORMALS, /* subnormal, with few others */
    K_EXTREMES,  /* magnitudes from 2^-55 to 2^54 */
    K_OUTLIERS,  /* small values, one in 64 a thousand times as large */
    K_PATTERNS,
    K_SPECIALS = K_PATTERNS,
};
void k_fill(k_test *t, float *p, size_t n, int pattern);
void k_fill_bf16(k_test *t, uint16_t *p, size_t n, int pattern); /* k_fill, rounded */
void k_fill_f16(k_test *t, uint16_t *p, size_t n, int pattern);  /* saturates to +-65504 */
void k_fill_bytes(k_test *t, void *p, size_t n);                 /* uniform */
uint64_t k_below(k_test *t, uint64_t n);                         /* uniform in [0, n) */
double k_unit(k_test *t);                                        /* uniform in [0, 1) */

/* ---- assertions: a failure is printed, the case goes on and fails at its end -------------- */

/* Exact class.  n and pattern are said in the message. */
void k_same_bits(k_test *t, const void *got, const void *want, size_t bytes, size_t n, int pattern);

/* Float class: |got - want| <= c * FLT_EPSILON * sum_abs + (n + 1) * 2^-149, with want and sum_abs
 * (the sum of |a[i] * b[i]|) computed in double; the second term is what underflow costs.  Two NaNs
 * are near, as are equal infinities. */
void k_near(k_test *t, float got, double want, double c, double sum_abs, size_t n, int pattern);

void k_true(k_test *t, bool ok, const char *fmt, ...) AUK_PRINTF(3, 4);

/* ---- benchmarks --------------------------------------------------------------------------- */

/* The body of a loop is timed:
 *     for (k_bench_start(t, "n=2048", bytes, ops); k_bench_more(t);)
 *         cur->dot_f32(a, b, n);
 * bytes and ops are per pass (0: not reported). */
void k_bench_start(k_test *t, const char *what, double bytes, double ops);
bool k_bench_more(k_test *t);

/* Keeps a result that nobody reads from being optimized away. */
void k_keep(const void *p);

#endif
