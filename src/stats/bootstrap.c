/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/special.h"

#include "base/mem.h"

#include <math.h>

#define MAX_DRAWS 20000000000u

auk_bootstrap_options auk_bootstrap_defaults(void)
{
    return (auk_bootstrap_options){.resamples = 100000, .seed = 1234, .level = 0.95};
}

static int check(size_t n, const auk_bootstrap_options *o, auk_err *err)
{
    if (n == 0)
        return auk_fail(err, AUK_EINVAL, "there is nothing to resample");
    if (o->resamples < AUK_BOOTSTRAP_LEAST || o->resamples > AUK_BOOTSTRAP_MOST)
        return auk_fail(err, AUK_EINVAL, "%llu resamples are not within %d to %d",
                        (unsigned long long)o->resamples, AUK_BOOTSTRAP_LEAST, AUK_BOOTSTRAP_MOST);
    if (n > MAX_DRAWS / o->resamples)
        return auk_fail(err, AUK_ELIMIT, "%llu resamples of %zu tasks are more than %llu draws",
                        (unsigned long long)o->resamples, n, (unsigned long long)MAX_DRAWS);
    return auk_stats_check_share(o->level, "level", err);
}

int auk_stats_bootstrap(auk_bootstrap *out, const double *x, size_t n,
                        const auk_bootstrap_options *opts, auk_err *err)
{
    size_t resamples = (size_t)opts->resamples;
    double *means = NULL, centre, se;
    auk_mt19937 mt;

    int rc = check(n, opts, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&means, resamples, sizeof *means, err);
    if (rc != AUK_OK)
        return rc;
    auk_mt19937_init(&mt, opts->seed);
    for (size_t r = 0; r < resamples; r++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += x[auk_mt19937_below(&mt, n)];
        means[r] = sum / (double)n;
    }
    auk_stats_mean(&out->mean, &se, x, n);
    auk_stats_mean(&centre, &se, means, resamples);
    out->se = se * sqrt((double)resamples); /* the spread of one mean, not of their mean */
    out->interval.lo = auk_stats_quantile(means, resamples, (1 - opts->level) / 2);
    out->interval.hi = auk_stats_quantile(means, resamples, 1 - (1 - opts->level) / 2);
    free(means);
    return AUK_OK;
}

int auk_stats_bootstrap_paired(auk_bootstrap *out, const auk_paired *t,
                               const auk_bootstrap_options *opts, auk_err *err)
{
    auk_interval checked;
    double *x = NULL;

    int rc = auk_stats_wald(&checked, t, opts->level, err); /* the table is possible */
    if (rc != AUK_OK)
        return rc;
    size_t n = (size_t)(t->a + t->b + t->c + t->d);
    rc = check(n, opts, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&x, n, sizeof *x, err);
    for (size_t i = 0; i < t->b + t->c && rc == AUK_OK; i++)
        x[t->a + i] = i < t->b ? 1 : -1;
    if (rc == AUK_OK)
        rc = auk_stats_bootstrap(out, x, n, opts, err);
    free(x);
    return rc;
}
