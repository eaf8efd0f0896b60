/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/special.h"

#include <math.h>

/* sqrt(z^2/n) sqrt(p(1-p) + z^2/4n): half the distance of the roots, but for 1 + z^2/n. */
static double radical(double p, double q, double zz)
{
    return sqrt(zz * (p * q + zz / 4));
}

/* The root nearer 0 as p^2 / ((1 + z^2/n) far root): a difference would cancel. */
static double near_root(double p, double zz, double root)
{
    return p * p / (p + zz / 2 + root);
}

/* p less that root, likewise without a difference. */
static double arm(double p, double zz, double root)
{
    return p > 0 ? p * ((zz / 2 + root) / (p + zz / 2 + root)) : 0;
}

static int check_counts(uint64_t k, uint64_t n, auk_err *err)
{
    if (n == 0 || n > AUK_STATS_MAX_COUNT)
        return auk_fail(err, AUK_EINVAL, "n = %llu is not within 1 to %u", (unsigned long long)n,
                        AUK_STATS_MAX_COUNT);
    if (k > n)
        return auk_fail(err, AUK_EINVAL, "k = %llu is more than n = %llu", (unsigned long long)k,
                        (unsigned long long)n);
    return AUK_OK;
}

int auk_stats_wilson(auk_interval *out, uint64_t k, uint64_t n, double level, auk_err *err)
{
    double z;

    int rc = check_counts(k, n, err);
    if (rc == AUK_OK)
        rc = auk_stats_level_z(&z, level, err);
    if (rc != AUK_OK)
        return rc;
    double count = (double)n, p = (double)k / count, q = (double)(n - k) / count;
    double zz = z * z / count, root = radical(p, q, zz);
    out->lo = near_root(p, zz, root);
    out->hi = p <= q ? (p + zz / 2 + root) / (1 + zz) : 1 - near_root(q, zz, root);
    return AUK_OK;
}

void auk_stats_wilson_arms(double *below, double *above, uint64_t k, uint64_t n, double z)
{
    double count = (double)n, p = (double)k / count, q = (double)(n - k) / count;
    double zz = z * z / count, root = radical(p, q, zz);

    *below = arm(p, zz, root);
    *above = arm(q, zz, root);
}

int auk_stats_newcombe(auk_interval *out, uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2,
                       double level, auk_err *err)
{
    double z, below1, above1, below2, above2;

    int rc = check_counts(k1, n1, err);
    if (rc == AUK_OK)
        rc = check_counts(k2, n2, err);
    if (rc == AUK_OK)
        rc = auk_stats_level_z(&z, level, err);
    if (rc != AUK_OK)
        return rc;
    auk_stats_wilson_arms(&below1, &above1, k1, n1, z);
    auk_stats_wilson_arms(&below2, &above2, k2, n2, z);
    double d = (double)k1 / (double)n1 - (double)k2 / (double)n2;
    out->lo = d - sqrt(below1 * below1 + above2 * above2);
    out->hi = d + sqrt(above1 * above1 + below2 * below2);
    return AUK_OK;
}
