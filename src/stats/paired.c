/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/special.h"

#include <math.h>

/* The table is possible; its n through *n. */
static int check_table(double *n, const auk_paired *t, auk_err *err)
{
    uint64_t left = AUK_STATS_MAX_COUNT;
    const uint64_t cells[] = {t->a, t->b, t->c, t->d};

    *n = 0;
    for (int i = 0; i < 4; i++) {
        if (cells[i] > left)
            return auk_fail(err, AUK_EINVAL, "the table holds more than %u tasks",
                            AUK_STATS_MAX_COUNT);
        left -= cells[i];
    }
    if (left == AUK_STATS_MAX_COUNT)
        return auk_fail(err, AUK_EINVAL, "the table holds no task");
    *n = (double)(AUK_STATS_MAX_COUNT - left);
    return AUK_OK;
}

static double difference(const auk_paired *t, double n)
{
    return ((double)t->b - (double)t->c) / n;
}

/* ---- McNemar ------------------------------------------------------------------------------ */

int auk_stats_mcnemar(auk_mcnemar *out, const auk_paired *t, auk_err *err)
{
    uint64_t k = t->b < t->c ? t->b : t->c, all = t->b + t->c;
    double n, below = 0;

    int rc = check_table(&n, t, err);
    if (rc != AUK_OK)
        return rc;
    *out = (auk_mcnemar){1, 1};
    if (t->b == t->c)
        return AUK_OK;
    double largest = auk_stats_binomial_half(all, k), term = largest;
    for (uint64_t i = k; i > 0 && term > 1e-18 * below; i--) {
        term = term * (double)i / (double)(all - i + 1);
        below += term;
    }
    out->p_mid = largest + 2 * below;
    out->p_exact = all - k == k + 1 ? 1 : 2 * largest + 2 * below; /* differ by 1: all of it */
    return AUK_OK;
}

int auk_stats_mcnemar_fewest(unsigned *out, double level, auk_err *err)
{
    double p = 1;

    int rc = auk_stats_check_share(level, "level", err);
    if (rc != AUK_OK)
        return rc;
    *out = 1;
    while (p >= 1 - level) { /* 2^(1 - *out) */
        p /= 2;
        ++*out;
    }
    return AUK_OK;
}

/* ---- intervals ---------------------------------------------------------------------------- */

/* The correlation of the two runs, continuity corrected as in Newcombe's method 10. */
static double correlation(const auk_paired *t, double n)
{
    int64_t q = (int64_t)(t->a * t->d) - (int64_t)(t->b * t->c); /* below 2^63: n is at most 1e9 */
    double top = (double)q, root = sqrt((double)(t->a + t->b) * (double)(t->c + t->d)) *
                                   sqrt((double)(t->a + t->c) * (double)(t->b + t->d));

    if (q >= 0)
        top = fmax(0, top - n / 2);
    return root > 0 ? top / root : 0;
}

/* sqrt(x^2 - 2 r x y + y^2), where x, y >= 0 and |r| <= 1. */
static double joined(double x, double y, double r)
{
    return sqrt((x - y) * (x - y) + 2 * (1 - r) * x * y);
}

int auk_stats_newcombe_paired(auk_interval *out, const auk_paired *t, double level, auk_err *err)
{
    double n, z, below1, above1, below2, above2;

    int rc = check_table(&n, t, err);
    if (rc == AUK_OK)
        rc = auk_stats_level_z(&z, level, err);
    if (rc != AUK_OK)
        return rc;
    auk_stats_wilson_arms(&below1, &above1, t->a + t->b, (uint64_t)n, z);
    auk_stats_wilson_arms(&below2, &above2, t->a + t->c, (uint64_t)n, z);
    double d = difference(t, n), r = correlation(t, n);
    out->lo = d - joined(below1, above2, r);
    out->hi = d + joined(below2, above1, r);
    return AUK_OK;
}

/* Standard error of (b - c) / n. */
static double paired_se(double b, double c, double n)
{
    /* b + c - (b-c)^2/n as sums of products: the subtraction would cancel when b is nearly n */
    return sqrt((b * (n - b) + c * (n - c) + 2 * b * c) / n) / n;
}

static int normal_interval(auk_interval *out, const auk_paired *t, double level, bool smooth,
                           auk_err *err)
{
    double n, z, half = smooth ? 0.5 : 0;

    int rc = check_table(&n, t, err);
    if (rc == AUK_OK)
        rc = auk_stats_level_z(&z, level, err);
    if (rc != AUK_OK)
        return rc;
    n += 4 * half;
    double d = difference(t, n);
    double se = paired_se((double)t->b + half, (double)t->c + half, n);
    *out = (auk_interval){d - z * se, d + z * se};
    return AUK_OK;
}

int auk_stats_wald(auk_interval *out, const auk_paired *t, double level, auk_err *err)
{
    return normal_interval(out, t, level, false, err);
}

int auk_stats_agresti_min(auk_interval *out, const auk_paired *t, double level, auk_err *err)
{
    return normal_interval(out, t, level, true, err);
}

/* ---- equivalence and power ---------------------------------------------------------------- */

static int check_tost(const auk_paired *t, double margin, double level, double *n, auk_err *err)
{
    int rc = check_table(n, t, err);

    if (rc == AUK_OK)
        rc = auk_stats_check_share(margin, "margin", err);
    if (rc == AUK_OK)
        rc = auk_stats_check_share(level, "level", err);
    if (rc == AUK_OK && level <= 0.5)
        rc = auk_fail(err, AUK_EINVAL, "the level %.9g is not above 0.5", level);
    return rc;
}

int auk_stats_tost(auk_tost *out, const auk_paired *t, double margin, double level, auk_err *err)
{
    double n;

    int rc = check_tost(t, margin, level, &n, err);
    if (rc != AUK_OK)
        return rc;
    *out = (auk_tost){.difference = difference(t, n), .margin = margin, .level = level};
    out->se = paired_se((double)t->b, (double)t->c, n);
    if (out->se == 0) {
        out->se = paired_se((double)t->b + 0.5, (double)t->c + 0.5, n + 2);
        out->smoothed = true;
    }
    out->p_lower = auk_stats_normal_upper((out->difference + margin) / out->se);
    out->p_upper = auk_stats_normal_upper((margin - out->difference) / out->se);
    double half = auk_stats_normal_upper_quantile(1 - level) * out->se;
    out->interval = (auk_interval){out->difference - half, out->difference + half};
    out->a_not_worse = out->p_lower < 1 - level;
    out->b_not_worse = out->p_upper < 1 - level;
    out->equivalent = out->a_not_worse && out->b_not_worse;
    return AUK_OK;
}

/* Share of pairs that differ; NAN when none does. */
static double discordance(const auk_paired *t, double n)
{
    return t->b + t->c > 0 ? (double)(t->b + t->c) / n : NAN;
}

int auk_stats_smallest_difference(double *out, const auk_paired *t, double level, double power,
                                  auk_err *err)
{
    double n, z;

    int rc = check_table(&n, t, err);
    if (rc == AUK_OK)
        rc = auk_stats_level_z(&z, level, err);
    if (rc == AUK_OK)
        rc = auk_stats_check_share(power, "power", err);
    if (rc == AUK_OK)
        *out = (z + auk_stats_normal_upper_quantile(1 - power)) * sqrt(discordance(t, n)) / sqrt(n);
    return rc;
}

int auk_stats_tost_tasks(double *out, const auk_paired *t, double margin, double level,
                         double power, auk_err *err)
{
    double n;

    int rc = check_tost(t, margin, level, &n, err);
    if (rc == AUK_OK)
        rc = auk_stats_check_share(power, "power", err);
    if (rc != AUK_OK)
        return rc;
    double z = auk_stats_normal_upper_quantile(1 - level) +
               auk_stats_normal_upper_quantile((1 - power) / 2);
    *out = ceil(z * z * discordance(t, n) / (margin * margin));
    return AUK_OK;
}
