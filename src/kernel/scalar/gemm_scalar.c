/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/scalar/scalar.h"

#include <math.h>

#define WIDE 16

/* One row of c, `n` <= WIDE columns of it: every column is a chain of its own. */
static void row(float *c, const float *a, size_t a_col, const float *b, size_t ldb, size_t n,
                size_t k, float sign)
{
    float sum[WIDE];

    memcpy(sum, c, n * sizeof *sum);
    if (n == WIDE)
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < WIDE; j++)
                sum[j] = fmaf(sign * a[p * a_col], b[p * ldb + j], sum[j]);
    else
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < n; j++)
                sum[j] = fmaf(sign * a[p * a_col], b[p * ldb + j], sum[j]);
    memcpy(c, sum, n * sizeof *sum);
}

void auk_gemm_f32_scalar(float *c, size_t ldc, const float *a, size_t a_row, size_t a_col,
                         const float *b, size_t ldb, size_t m, size_t n, size_t k, bool minus)
{
    for (size_t j = 0; j < n; j += WIDE)
        for (size_t i = 0; i < m; i++)
            row(c + i * ldc + j, a + i * a_row, a_col, b + j, ldb, n - j < WIDE ? n - j : WIDE, k,
                minus ? -1.0f : 1.0f);
}
