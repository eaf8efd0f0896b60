/* SPDX-License-Identifier: Apache-2.0 */
/* special.h - the functions under the statistics.  Private to stats/.
 *
 * Nothing but + - * / sqrt and exact scaling by powers of two, so the same bits everywhere. */
#ifndef AUK_STATS_SPECIAL_H
#define AUK_STATS_SPECIAL_H

#include "stats/stats.h"

/* Within 2 units in the last place; exp is 0 below -746 and infinite above 710, log wants a
 * positive finite x. */
double auk_stats_exp(double x);
double auk_stats_log(double x);

/* C(n,k) / 2^n for k <= n; exact for n up to 50. */
double auk_stats_binomial_half(uint64_t n, uint64_t k);

/* The z of a two-sided interval. */
AUK_MUST_CHECK int auk_stats_level_z(double *out, double level, auk_err *err);

/* AUK_EINVAL unless x is inside (0, 1). */
AUK_MUST_CHECK int auk_stats_check_share(double x, const char *what, auk_err *err);

/* Wilson's interval as distances from k/n, without the loss of digits of a difference; counts and
 * z are checked already. */
void auk_stats_wilson_arms(double *below, double *above, uint64_t k, uint64_t n, double z);

#endif
