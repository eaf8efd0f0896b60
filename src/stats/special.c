/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/special.h"

#include <math.h>

#define LN2 0.69314718055994530942
#define INV_SQRT_2PI 0.39894228040143267794

double auk_stats_exp(double x)
{
    /* ln 2 in two parts; the first has 32 bits, so k times it is exact */
    static const double ln2_hi = 0x1.62e42fee00000p-1, ln2_lo = 0x1.a39ef35793c76p-33;

    if (isnan(x))
        return x;
    if (x > 710)
        return HUGE_VAL;
    if (x < -746)
        return 0;
    double k = floor(x / LN2 + 0.5);
    double r = (x - k * ln2_hi) - k * ln2_lo, sum = 1;
    for (int i = 14; i > 0; i--) /* |r| < 0.35: the next term is below 1e-17 */
        sum = 1 + sum * r / i;
    return ldexp(sum, (int)k);
}

double auk_stats_log(double x)
{
    int e;
    double m = frexp(x, &e);

    if (m < 0.70710678118654752440) {
        m *= 2;
        e--;
    }
    /* log m = 2 artanh((m - 1) / (m + 1)), the argument below 0.172 */
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int i = 23; i > 1; i -= 2)
        sum = (sum + 1.0 / i) * square;
    return e * LN2 + (2 * s + 2 * s * sum);
}

/* ---- the normal distribution -------------------------------------------------------------- */

static double density(double z)
{
    return INV_SQRT_2PI * auk_stats_exp(-z * z / 2);
}

double auk_stats_normal_upper(double z)
{
    if (isnan(z))
        return z;
    if (z < 0)
        return 1 - auk_stats_normal_upper(-z);
    if (z > 39)
        return 0;
    if (z < 2) { /* density(z) (z + z^3/3 + z^5/15 + ...) lies between 0 and z */
        double term = z, sum = z;
        for (int i = 3; i < 100; i += 2) {
            term *= z * z / i;
            sum += term;
        }
        return 0.5 - density(z) * sum;
    }
    double tail = z; /* density(z) / (z + 1/(z + 2/(z + 3/ ...))) */
    for (int i = 200; i > 0; i--)
        tail = z + i / tail;
    return density(z) / tail;
}

/* z > 0, p < 1/2.  The logarithm of the tail is concave, and sqrt(-2 log 2p) lies above the root,
 * so one step lands below it and the following ones climb to it. */
static double upper_quantile(double p)
{
    double z = sqrt(-2 * auk_stats_log(2 * p)), log_p = auk_stats_log(p);

    for (int i = 0; i < 60; i++) {
        double q = auk_stats_normal_upper(z), slope = density(z) / q;
        double step = fabs(q / p - 1) < 0.1 ? (q - p) / p : auk_stats_log(q) - log_p;
        z += step / slope;
        if (fabs(step) < 1e-13 && i > 0) /* quadratic: the next step would change nothing */
            break;
    }
    return z;
}

double auk_stats_normal_upper_quantile(double p)
{
    if (!(p > 0 && p < 1))
        return NAN;
    if (p == 0.5)
        return 0;
    return p < 0.5 ? upper_quantile(p) : -upper_quantile(1 - p);
}

/* ---- the binomial distribution with p = 1/2 ----------------------------------------------- */

/* ln n! less Stirling's formula for it, n > 0. */
static double stirling_error(double n)
{
    double below = 0;

    while (n < 16) { /* what a step of n by one changes */
        below += (n + 0.5) * auk_stats_log((n + 1) / n) - 1;
        n++;
    }
    double s = 1 / (n * n);
    return below +
           (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - s / 1188) * s) * s) * s) / n;
}

/* x ln(x/m) + m - x, without loss where x is near m. */
static double deviance(double x, double m)
{
    if (fabs(x - m) >= 0.1 * (x + m))
        return x * auk_stats_log(x / m) + m - x;
    double v = (x - m) / (x + m), sum = (x - m) * v, power = 2 * x * v;
    for (int i = 3; i < 40; i += 2) { /* v^2 < 0.01 */
        power *= v * v;
        sum += power / i;
    }
    return sum;
}

double auk_stats_binomial_half(uint64_t n, uint64_t k)
{
    double all = (double)n, x = (double)k, y = (double)(n - k);

    if (k == 0 || k == n)
        return n > 1100 ? 0 : ldexp(1, -(int)n);
    if (n <= 50) { /* exact: every product stays below 2^53 */
        double ways = 1;
        for (uint64_t i = 1; i <= k; i++)
            ways = ways * (double)(n - k + i) / (double)i;
        return ldexp(ways, -(int)n);
    }
    double log_ratio = stirling_error(all) - stirling_error(x) - stirling_error(y) -
                       deviance(x, all / 2) - deviance(y, all / 2);
    return sqrt(all / (x * y)) * INV_SQRT_2PI * auk_stats_exp(log_ratio);
}

/* ---- levels ------------------------------------------------------------------------------- */

int auk_stats_check_share(double x, const char *what, auk_err *err)
{
    if (x > 0 && x < 1)
        return AUK_OK;
    return auk_fail(err, AUK_EINVAL, "the %s %.9g is not between 0 and 1", what, x);
}

int auk_stats_level_z(double *out, double level, auk_err *err)
{
    int rc = auk_stats_check_share(level, "level", err);

    if (rc == AUK_OK)
        *out = auk_stats_normal_upper_quantile((1 - level) / 2);
    return rc;
}
