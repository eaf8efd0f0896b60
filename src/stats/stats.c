/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>

void auk_stats_mean(double *mean, double *se, const double *x, size_t n)
{
    double sum = 0, square = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *mean = n > 0 ? sum / (double)n : NAN;
    for (size_t i = 0; i < n; i++)
        square += (x[i] - *mean) * (x[i] - *mean);
    *se = n > 1 ? sqrt(square / (double)(n - 1) / (double)n) : NAN;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double auk_stats_quantile(double *x, size_t n, double q)
{
    if (n == 0)
        return NAN;
    qsort(x, n, sizeof *x, ascending);
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}
