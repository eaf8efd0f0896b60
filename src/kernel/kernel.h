/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - the inner loops, one table per processor level, and the matrices they work on.
 *
 * Every slot here is *exact*: all levels return the same bits, so what we write and what we
 * generate do not depend on the machine.  That is possible because each operation is defined
 * down to its order:
 *   - a dot product is 32 lanes, one fused multiply-add per element in index order, then the fold
 *     lane[j] += lane[j + half] for half = 16, 8, 4, 2, 1 (dot_scalar.c is the definition);
 *   - a dequantized weight is scale * code + bias with two roundings, never fused;
 *   - a product in bfloat16 precision is a chain of fused multiply-adds per group of columns
 *     ("panels" below; panel_scalar.c is the definition);
 *   - exp is the polynomial of exact_math.h, never libm's.
 * Pointers to weights need no alignment.  Slots neither allocate nor keep state. */
#ifndef AUK_KERNEL_KERNEL_H
#define AUK_KERNEL_KERNEL_H

#include "base/cpu.h"
#include "base/pool.h"

/* ---- the table ---------------------------------------------------------------------------- */

/* How the quantizer of mxfp4, mxfp8 and nvfp4 works; see quantize_fp_scalar.c for the rules. */
typedef struct auk_fp_rule {
    auk_mode mode;         /* not AUK_AFFINE */
    auk_rounding rounding; /* AUK_ROUND_CPU rounds each step to `step` */
    auk_mx_scale mx_scale;
    enum { AUK_STEP_BF16, AUK_STEP_F16, AUK_STEP_F32 } step; /* the input's dtype */
} auk_fp_rule;

/* ---- panels: weights for bfloat16 precision ----
 *
 * A panel holds 16 rows so that a vector's lane is a row: line i of 64 bytes has one 32-bit word of
 * each row, and one pair of x is multiplied into all 16.  The bytes are the file's, in another
 * order (docs/kernels.md).  For columns c, c + 1 of a group, in order,
 *     a = fma(w[c + 1], x[c + 1], a), then a = fma(w[c], x[c], a)
 * from a = 0, which is what the vdpbf16ps instruction does; then, group by group from total = 0,
 *     bf16: total += a        u4, u8: total = fma(scale, a, total), then fma(bias, sum x, total)
 *     e2m1, e4m3: total = fma(scale, a, total)
 * where w is the code or the element's value.  x and bf16 weights hold bfloat16 values; those
 * smaller than 2^-50 count as 0, so that no result is subnormal and it does not matter whether a
 * processor flushes them. */
#define AUK_PANEL_ROWS 16
#define AUK_PANEL_MAX_X 12 /* rows of x in one call */
#define AUK_PANEL_GROUP 64 /* of bf16; its last group may be shorter */

typedef enum auk_panel_type {
    AUK_P_BF16,
    AUK_P_U4,
    AUK_P_U8,
    AUK_P_E2M1,
    AUK_P_E4M3
} auk_panel_type;

typedef struct auk_panel_shape {
    auk_panel_type type;
    size_t cols, group; /* bf16: any number of columns; else a multiple of group, and group of 16 */
    size_t group_bytes; /* from a group's lines to the next's */
    size_t lines_at;    /* where the lines begin: after e2m1's and e4m3's scales */
    size_t panel_bytes;
} auk_panel_shape;

/* out[t * out_stride + 16 * p + r] for row r of panel p and row t of x, for n_x of 1 to 12. */
typedef void auk_panel_fn(float *out, size_t out_stride, const uint8_t *w, size_t n_panels,
                          const auk_panel_shape *s, const uint32_t *x, size_t n_x);

typedef struct auk_kernel {
    unsigned cpu_flags; /* what the table was made for */

    /* Dot products of n elements with x.  *_affine, *_e2m1 and *_e4m3 take one row of packed codes
     * and the row's scales and biases as floats, one per `group` codes: a multiple of 32, or 16 for
     * e2m1.  n is a multiple of group. */
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*dot_bf16)(const uint8_t *w, const float *x, size_t n);
    float (*dot_affine)(const uint8_t *codes, const float *scale, const float *bias, const float *x,
                        size_t n, int bits, int group);
    float (*dot_e2m1)(const uint8_t *codes, const float *scale, const float *x, size_t n,
                      int group);
    float (*dot_e4m3)(const uint8_t *codes, const float *scale, const float *x, size_t n,
                      int group);

    /* y[t * y_stride + r] = dot_f32(row r of a, x[t]) for r < rows and t < n_x; a is rows x n,
     * without gaps.  Faster than one by one when both are several. */
    void (*dot_tile)(float *y, size_t y_stride, const float *a, size_t rows, const float *const *x,
                     size_t n_x, size_t n);

    /* Products with panels.  panel_x puts n_x rows of x where the other five expect them, in the
     * order of this table's level: at most auk_panel_x_words(cols, group, n_x) words.  x[t] holds
     * cols floats. */
    void (*panel_x)(uint32_t *dst, const float *const *x, size_t n_x, size_t cols, size_t group);
    auk_panel_fn *panel_bf16, *panel_u4, *panel_u8, *panel_e2m1, *panel_e4m3;

    /* Multiplies and adds in registers n times, with the instruction of this table's panels;
     * returns the operations done, a multiply-add being 2: what a benchmark divides by. */
    double (*peak)(size_t n);

    /* The same weights as floats.  dot_X(w, x) is dot_f32(dequant_X(w), x), to the bit. */
    void (*bf16_to_f32)(float *dst, const uint8_t *src, size_t n);
    void (*f16_to_f32)(float *dst, const uint8_t *src, size_t n);
    void (*dequant_affine)(float *dst, const uint8_t *codes, const float *scale, const float *bias,
                           size_t n, int bits, int group);
    void (*dequant_e2m1)(float *dst, const uint8_t *codes, const float *scale, size_t n, int group);
    void (*dequant_e4m3)(float *dst, const uint8_t *codes, const float *scale, size_t n, int group);

    /* dst[i] = bf16(src[i]), little-endian; and in place as floats. */
    void (*f32_to_bf16)(uint8_t *dst, const float *src, size_t n);
    void (*round_bf16)(float *x, size_t n);

    /* y += a * x, one fma per element. */
    void (*axpy_f32)(float *y, float a, const float *x, size_t n);
    void (*axpy_bf16)(float *y, float a, const uint8_t *x, size_t n);

    /* x = x / (1 + exp(-x)). */
    void (*silu)(float *x, size_t n);
    /* x = exp(x - max x) / sum, n > 0; -inf gives 0.  The sum is 32 lanes, as dot_f32. */
    void (*softmax)(float *x, size_t n);

    /* The largest element's index, the lowest on equality; NaN never wins. */
    size_t (*argmax)(const float *x, size_t n);

    /* True when every one of n bf16 (f16, f32) values is finite. */
    bool (*finite_bf16)(const uint8_t *src, size_t n);

    /* Round to nearest.  w: n floats, n a multiple of group.  codes: n * bits / 8 bytes.  scale and
     * bias: one per group, not yet rounded to the type they are stored in.  The affine rule:
     * affine_scalar.c. */
    void (*quantize_affine)(uint8_t *codes, float *scale, float *bias, const float *w, size_t n,
                            int bits, int group, auk_rounding rounding);
    /* scale: one byte per group (E8M0, or E4M3 for nvfp4). */
    void (*quantize_fp)(uint8_t *codes, uint8_t *scale, const float *w, size_t n,
                        const auk_fp_rule *rule);

    /* c[i * ldc + j] += sum over p of A[i][p] * b[p * ldb + j] (or -= with `minus`) for i < m,
     * j < n; one fma per p, in the order of p, starting from c.  A[i][p] = a[i * a_row + p *
     * a_col]. c overlaps neither. */
    void (*gemm_f32)(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                     const float *b, size_t ldb, size_t m, size_t n, size_t k, bool minus);

    /* The three below work on one group of AUK_LANES rows, transposed: x[j * AUK_LANES + row].
     * What they compute: grid_scalar.c.
     *
     * The scale and bias, both bfloat16 values, whose nearest codes have the least weighted square
     * error: weights a[j] >= 0, not all 0. */
    void (*search_affine)(float *scale, float *bias, const float *w, const float *a, int bits,
                          int group);
    /* t = w + y with y R = c, R upper triangular: R[j][k] = r[k * ldr + j]. */
    void (*solve_lanes)(float *t, const float *w, const float *c, const float *r, size_t ldr,
                        int group);
    /* Codes in order, each compensating the errors before it; e = w - (scale * code + bias).  c
     * holds what earlier groups ask for.  loss[row] is this group's part of the quadratic error.
     * Without c (NULL; r is then not read, and loss stays) codes are the nearest. */
    void (*pull_affine)(uint8_t *codes, float *e, float *loss, const float *w, const float *c,
                        const float *r, size_t ldr, const float *scale, const float *bias, int bits,
                        int group);
} auk_kernel;

#define AUK_LANES 16

/* Fills every slot with the reference, then lets each allowed level replace what it improves. */
void auk_kernel_init(auk_kernel *k, unsigned cpu_flags);

/* What is left of the processor's flags after less than a millisecond of measuring: vdpbf16ps runs
 * at twice the rate of float products on some processors and at half of it on others.  Also a check
 * that it rounds as it should.  For flags that were detected, not for those that were asked for. */
unsigned auk_kernel_choose(unsigned flags);

/* 1 / (1 + exp(-x)) with the exp of the slots. */
float auk_kernel_sigmoid(float x);

void auk_kernel_init_scalar(auk_kernel *k);
#if defined(__x86_64__)
void auk_kernel_init_avx2(auk_kernel *k);
void auk_kernel_init_avx512(auk_kernel *k);
void auk_kernel_init_avx512bf16(auk_kernel *k);
#endif
#if defined(__aarch64__)
void auk_kernel_init_neon(auk_kernel *k);
#endif

/* "avx2", "scalar": the level a slot of this table was taken from, by slot name; NULL when there is
 * no such slot.  auk_kernel_slot_name lists them, NULL after the last. */
const char *auk_kernel_slot_level(const auk_kernel *k, const char *slot);
const char *auk_kernel_slot_name(size_t i);

/* ---- a matrix of weights, as its file holds it -------------------------------------------- */

typedef enum auk_weight_type {
    AUK_W_F32,
    AUK_W_F16,
    AUK_W_BF16,
    AUK_W_AFFINE,
    AUK_W_E2M1, /* mxfp4 (E8M0 scales) and nvfp4 (E4M3 scales) */
    AUK_W_E4M3, /* mxfp8 */
} auk_weight_type;

typedef enum auk_scale_type {
    AUK_S_F32,
    AUK_S_F16,
    AUK_S_BF16,
    AUK_S_E8M0,
    AUK_S_E4M3
} auk_scale_type;

/* rows x cols, row-major.  Row r of the codes begins at codes + r * row_bytes; its scales at
 * scales + r * scale_row_bytes, biases likewise.  Borrowed from the checkpoint's maps. */
typedef struct auk_mat {
    auk_weight_type type;
    auk_scale_type scale_type;
    int bits, group; /* AFFINE: both; E2M1, E4M3: group */
    size_t rows, cols;
    const uint8_t *codes, *scales, *biases;
    size_t row_bytes, scale_row_bytes;
    const uint8_t *panels; /* the same weights as panels, or NULL; auk_panel_shape_of says how */
} auk_mat;

/* Whether m can be held as panels (bf16; affine 4 and 8 bits with bf16 scales; mxfp4; mxfp8), and
 * how: then *out is filled. */
bool auk_panel_shape_of(auk_panel_shape *out, const auk_mat *m);
/* The shape of rows of bf16 */
auk_panel_shape auk_panel_bf16_shape(size_t cols);
static inline size_t auk_panel_count(size_t rows)
{
    return (rows + AUK_PANEL_ROWS - 1) / AUK_PANEL_ROWS;
}
size_t auk_panel_x_words(size_t cols, size_t group, size_t n_x);

/* Panel p of m's rows; rows beyond the last are zeros.  dst is on a cache line. */
void auk_panel_pack(uint8_t *dst, const auk_mat *m, const auk_panel_shape *s, size_t p);

/* Row `row` of what auk_panel_pack made, as cols floats: the file's weights, dequantized. */
void auk_panel_row(float *dst, const uint8_t *panels, const auk_panel_shape *s, size_t row);

auk_panel_fn *auk_panel_dot(const auk_kernel *k, auk_panel_type type);

/* Bytes of codes, scales and biases of one row: what a decode step reads for it. */
size_t auk_mat_bytes_per_row(const auk_mat *m);

/* ---- products ----------------------------------------------------------------------------- */

/* y[t][r] = dot(row r of m, x[t]) for t in [0, n).  With `gather`, row t of x is gather[t].
 * `bf16` says that x holds bfloat16 values: y is then rounded to bfloat16, and where m can be held
 * as panels the product is theirs, whether m has them or not. */
typedef struct auk_matmul {
    const auk_mat *m;
    float *y;
    const float *x;
    const int32_t *gather; /* or NULL */
    size_t n, y_stride, x_stride;
    bool bf16;
    /* Scratch of auk_matmul_run: */
    bool paneled;
    auk_panel_shape shape;
    const uint32_t *px;
} auk_matmul;

/* What a computation needs beside its operands; borrowed, except the two buffers. */
typedef struct auk_work {
    const auk_kernel *k;
    auk_pool *pool;
    float *tile; /* owned; one part per thread */
    size_t tile_floats;
    uint32_t *x; /* owned; the rows of x of one run as panels want them */
    size_t x_words;
} auk_work;

/* max_cols: of any matrix that will be multiplied.  max_x: floats of x (rows times columns, of all
 * jobs of one run that do not share theirs with the job before) with `bf16`; 0: never any. */
AUK_MUST_CHECK int auk_work_init(auk_work *w, const auk_kernel *k, auk_pool *pool, size_t max_cols,
                                 size_t max_x, auk_err *err);
void auk_work_release(auk_work *w);
size_t auk_work_bytes(int threads, size_t max_cols, size_t max_x);

/* Row `row` as cols floats, from the codes or, where there are none, from the panels; m->cols is at
 * most the work's max_cols. */
void auk_mat_row(const auk_work *w, float *dst, const auk_mat *m, size_t row);

/* Runs all products in one pass over the pool.  Every result is the same for any number of
 * threads, any split of the rows of x over calls, and any processor level. */
void auk_matmul_run(const auk_work *w, auk_matmul *jobs, size_t n_jobs);

#endif
