/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of 6 x 16: twelve sums in registers, one fma each per p.  Both operands are packed into
 * panels the tile walks straight through; c goes out and comes back every DEPTH steps, which
 * changes no bit. */
#include "kernel/x86/avx2.h"

#include <immintrin.h>

#define ROWS 6
#define COLS 16
#define DEPTH 256 /* a panel of b is 16 KB: half of the first cache */
#define PANELS 16 /* of b at a time: 256 KB of the second cache */

/* The tile's sums += a panel * b panel over k steps. */
static void tile(float *c, size_t ldc, const float *a, const float *b, size_t k)
{
    __m256 s[ROWS][2];

#pragma GCC unroll 6
    for (int i = 0; i < ROWS; i++) {
        s[i][0] = _mm256_loadu_ps(c + (size_t)i * ldc);
        s[i][1] = _mm256_loadu_ps(c + (size_t)i * ldc + 8);
    }
    for (size_t p = 0; p < k; p++, a += ROWS, b += COLS) {
        __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8);
#pragma GCC unroll 6
        for (int i = 0; i < ROWS; i++) {
            __m256 x = _mm256_broadcast_ss(a + i);
            s[i][0] = _mm256_fmadd_ps(x, b0, s[i][0]);
            s[i][1] = _mm256_fmadd_ps(x, b1, s[i][1]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < ROWS; i++) {
        _mm256_storeu_ps(c + (size_t)i * ldc, s[i][0]);
        _mm256_storeu_ps(c + (size_t)i * ldc + 8, s[i][1]);
    }
}

/* A tile at the border, by way of a whole one. */
static void border(float *c, size_t ldc, size_t m, size_t n, const float *a, const float *b,
                   size_t k)
{
    float whole[ROWS * COLS] = {0};

    for (size_t i = 0; i < m; i++)
        memcpy(whole + i * COLS, c + i * ldc, n * sizeof *c);
    tile(whole, COLS, a, b, k);
    for (size_t i = 0; i < m; i++)
        memcpy(c + i * ldc, whole + i * COLS, n * sizeof *c);
}

static void pack_a(float *dst, const float *a, size_t row, size_t col, size_t m, size_t k,
                   float sign)
{
    if (m == ROWS && row == 1) /* neighbours: a page is touched once */
        for (size_t p = 0; p < k; p++)
            for (size_t i = 0; i < ROWS; i++)
                dst[p * ROWS + i] = sign * a[i + p * col];
    else
        for (size_t i = 0; i < ROWS; i++)
            for (size_t p = 0; p < k; p++)
                dst[p * ROWS + i] = i < m ? sign * a[i * row + p * col] : 0.0f;
}

static void pack_b(float *dst, const float *b, size_t ldb, size_t n, size_t k)
{
    for (size_t p = 0; p < k; p++)
        if (n == COLS)
            memcpy(dst + p * COLS, b + p * ldb, COLS * sizeof *b);
        else
            for (size_t j = 0; j < COLS; j++)
                dst[p * COLS + j] = j < n ? b[p * ldb + j] : 0.0f;
}

/* k <= DEPTH, n <= PANELS * COLS. */
static void block(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col, const float *b,
                  size_t ldb, size_t m, size_t n, size_t k, float sign)
{
    _Alignas(32) float bs[PANELS * DEPTH * COLS];
    _Alignas(32) float as[DEPTH * ROWS];

    for (size_t j = 0; j < n; j += COLS)
        pack_b(bs + j * k, b + j, ldb, n - j < COLS ? n - j : COLS, k);
    for (size_t i = 0; i < m; i += ROWS) {
        size_t rows = m - i < ROWS ? m - i : ROWS;
        pack_a(as, a + i * a_row, a_row, a_col, rows, k, sign);
        for (size_t j = 0; j < n; j += COLS)
            if (rows == ROWS && n - j >= COLS)
                tile(c + i * ldc + j, ldc, as, bs + j * k, k);
            else
                border(c + i * ldc + j, ldc, rows, n - j < COLS ? n - j : COLS, as, bs + j * k, k);
    }
}

void auk_gemm_f32_avx2(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                       const float *b, size_t ldb, size_t m, size_t n, size_t k, bool minus)
{
    for (size_t p = 0; p < k; p += DEPTH)
        for (size_t j = 0; j < n; j += PANELS * COLS)
            block(c + j, ldc, a + p * a_col, a_row, a_col, b + p * ldb + j, ldb, m,
                  n - j < PANELS * COLS ? n - j : PANELS * COLS, k - p < DEPTH ? k - p : DEPTH,
                  minus ? -1.0f : 1.0f);
}
