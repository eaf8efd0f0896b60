/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - summaries of samples. */
#ifndef AUK_STATS_STATS_H
#define AUK_STATS_STATS_H

#include <stddef.h>

/* Arithmetic mean and its standard error s / sqrt(n), s with n - 1; se is NAN for n < 2.  Sums are
 * taken in index order in double. */
void auk_stats_mean(double *mean, double *se, const double *x, size_t n);

/* The q-quantile, linear between order statistics (Hyndman and Fan's type 7).  Sorts x; NAN for
 * n = 0. */
double auk_stats_quantile(double *x, size_t n, double q);

#endif
