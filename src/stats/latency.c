/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/mem.h"

#include <math.h>

#define RESAMPLES 2000

double auk_latency_rate(double n, double span_ns)
{
    return n >= 2 && span_ns > 0 ? 1e9 * (n - 1) / span_ns : NAN;
}

double auk_latency_per_second(double n, double ns)
{
    return n > 0 && ns > 0 ? 1e9 * n / ns : NAN;
}

/* ---- gaps --------------------------------------------------------------------------------- */

static double median_of(double *scratch, const double *x, size_t n)
{
    memcpy(scratch, x, n * sizeof *x);
    return auk_stats_quantile(scratch, n, 0.5);
}

int auk_latency_gaps(auk_gaps *out, const double *gap, size_t n, auk_err *err)
{
    double *x = NULL, sum = 0, squares = 0;

    *out = (auk_gaps){n, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    if (n == 0)
        return AUK_OK;
    int rc = auk_try_alloc(&x, n, sizeof *x, err);
    if (rc < 0)
        return rc;
    out->p50 = median_of(x, gap, n); /* x is sorted now */
    out->p90 = auk_stats_quantile(x, n, 0.9);
    out->p99 = auk_stats_quantile(x, n, 0.99);
    out->max = x[n - 1];
    for (size_t i = 0; i < n; i++)
        sum += gap[i];
    out->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        squares += (gap[i] - out->mean) * (gap[i] - out->mean);
        x[i] = fabs(gap[i] - out->p50);
    }
    out->sd = sqrt(squares / (double)n);
    out->mad = auk_stats_quantile(x, n, 0.5);
    if (out->mad > 0)
        out->threshold = out->p50 + 3.5 / 0.6745 * out->mad;
    else if (out->sd > 0)
        out->threshold = out->mean + 2 * out->sd;
    free(x);
    return AUK_OK;
}

bool auk_gap_is_outlier(const auk_gaps *g, double gap)
{
    return g->n >= 2 && gap > g->threshold; /* false for NAN */
}

bool auk_gap_is_spike(const auk_gaps *g, double gap)
{
    return g->n >= AUK_SPIKE_GAPS && auk_gap_is_outlier(g, gap) && gap >= AUK_SPIKE_RATIO * g->p50;
}

void auk_latency_histogram(uint64_t count[AUK_HISTOGRAM_BINS], size_t *bins, const double *gap,
                           size_t n, size_t most)
{
    double max = 0;

    if (most > AUK_HISTOGRAM_BINS)
        most = AUK_HISTOGRAM_BINS;
    memset(count, 0, AUK_HISTOGRAM_BINS * sizeof *count);
    for (size_t i = 0; i < n; i++)
        max = gap[i] > max ? gap[i] : max;
    *bins = n < 2 || !(max > 0) ? 0 : n < most ? n : most;
    for (size_t i = 0; i<n && * bins> 0; i++) {
        size_t at = (size_t)(gap[i] / (max / (double)*bins));
        count[at < *bins ? at : *bins - 1]++;
    }
}

/* ---- parts of a run ----------------------------------------------------------------------- */

auk_ttft_split auk_latency_split(double ttft, double load, double prefill)
{
    double left = ttft - (isnan(load) ? 0 : load) - (isnan(prefill) ? 0 : prefill);

    return (auk_ttft_split){left < 0 ? 0 : left, left < 0};
}

double auk_latency_reuse(double cached, double computed)
{
    double all = cached + computed;
    return all > 0 ? cached / all : NAN;
}

bool auk_latency_disagree(double a, double b)
{
    return fabs(a - b) > AUK_RATES_DISAGREE * fmax(a, b); /* false for NAN */
}

/* ---- over several runs -------------------------------------------------------------------- */

auk_cold_warm auk_latency_cold_warm(const double *load_ms, const double *ttft_ms, size_t n)
{
    auk_cold_warm r = {0, 0, NAN, NAN, NAN, NAN};
    double load[2] = {0}, ttft[2] = {0};
    size_t count[2] = {0};

    for (size_t i = 0; i < n; i++) {
        bool cold = load_ms[i] > AUK_COLD_LOAD_MS;
        if (isnan(load_ms[i]) || isnan(ttft_ms[i]))
            continue;
        count[cold]++;
        load[cold] += load_ms[i];
        ttft[cold] += ttft_ms[i];
    }
    r.warm = count[0];
    r.cold = count[1];
    if (r.warm == 0 || r.cold == 0)
        return r;
    r.warm_ttft = ttft[0] / (double)r.warm;
    r.cold_ttft = ttft[1] / (double)r.cold;
    r.ttft_delta = r.cold_ttft - r.warm_ttft;
    r.load_delta = load[1] / (double)r.cold - load[0] / (double)r.warm;
    return r;
}

auk_leak auk_latency_leak(const double *bytes, size_t n)
{
    auk_leak r = {.slope = NAN};
    double sxy = 0, sxx = 0, mean = 0;

    if (n >= 5) {
        bool shrank = false;
        for (size_t i = n - 4; i < n; i++)
            shrank |= bytes[i] < bytes[i - 1];
        r.grown = bytes[n - 1] - bytes[n - 5];
        r.suspected = !shrank && r.grown > 256.0 * (1 << 20);
    }
    if (n < 10)
        return r;
    for (size_t i = 0; i < n; i++)
        mean += bytes[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        double x = (double)i - (double)(n - 1) / 2;
        sxy += x * (bytes[i] - mean);
        sxx += x * x;
    }
    r.slope = sxy / sxx;
    return r;
}

static double resampled_median(auk_mt19937 *mt, double *scratch, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = x[auk_mt19937_below(mt, n)];
    return auk_stats_quantile(scratch, n, 0.5);
}

/* median(y) / median(x) - 1 and its 95 % percentile interval, both sides resampled. */
static int ratio_of_medians(double *change, double *lo, double *hi, const double *x, size_t n,
                            const double *y, size_t m, uint64_t seed, auk_err *err)
{
    double *scratch = NULL, *changes = NULL;
    auk_mt19937 mt;

    *change = *lo = *hi = NAN;
    if (n == 0 || m == 0)
        return AUK_OK;
    int rc = auk_try_alloc(&scratch, n > m ? n : m, sizeof *scratch, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&changes, RESAMPLES, sizeof *changes, err);
    if (rc == AUK_OK) {
        double base = median_of(scratch, x, n);
        *change = median_of(scratch, y, m) / base - 1;
        auk_mt19937_init(&mt, seed);
        for (size_t i = 0; i < RESAMPLES; i++) {
            double a = resampled_median(&mt, scratch, x, n);
            changes[i] = resampled_median(&mt, scratch, y, m) / a - 1;
        }
        *lo = auk_stats_quantile(changes, RESAMPLES, 0.025);
        *hi = auk_stats_quantile(changes, RESAMPLES, 0.975);
    }
    free(scratch);
    free(changes);
    return rc;
}

static int quartiles(double q[3], const double *x, size_t n, auk_err *err)
{
    double *s = NULL;

    q[0] = q[1] = q[2] = NAN;
    int rc = auk_try_alloc(&s, n + 1, sizeof *s, err);
    if (rc == AUK_OK && n > 0) {
        memcpy(s, x, n * sizeof *x);
        q[0] = auk_stats_quantile(s, n, 0.25);
        q[1] = auk_stats_quantile(s, n, 0.5);
        q[2] = auk_stats_quantile(s, n, 0.75);
    }
    free(s);
    return rc;
}

int auk_latency_regression(auk_regression *out, const double *earlier, size_t n, const double *now,
                           size_t m, uint64_t seed, auk_err *err)
{
    double q[3];

    *out =
        (auk_regression){n, m, n >= AUK_REGRESSION_RUNS && m > 0, false, NAN, NAN, NAN, NAN, NAN};
    int rc = quartiles(q, earlier, n, err);
    out->median_earlier = q[1];
    if (rc == AUK_OK)
        rc = quartiles(q, now, m, err);
    out->median_now = q[1];
    if (rc == AUK_OK && out->enough)
        rc = ratio_of_medians(&out->change, &out->lo, &out->hi, earlier, n, now, m, seed, err);
    out->slower = out->enough && out->hi < -AUK_REGRESSION_MARGIN;
    return rc;
}

int auk_latency_contest(auk_contest *out, const double *a, size_t n, const double *b, size_t m,
                        uint64_t seed, auk_err *err)
{
    double q[3];

    *out = (auk_contest){.n_a = n, .n_b = m};
    int rc = quartiles(q, a, n, err);
    out->a_lo = q[0], out->a = q[1], out->a_hi = q[2];
    if (rc == AUK_OK)
        rc = quartiles(q, b, m, err);
    out->b_lo = q[0], out->b = q[1], out->b_hi = q[2];
    if (rc == AUK_OK)
        rc = ratio_of_medians(&out->change, &out->lo, &out->hi, a, n, b, m, seed, err);
    out->differ = n >= 5 && m >= 5 && (out->lo > 0 || out->hi < 0);
    return rc;
}

/* ---- memory ------------------------------------------------------------------------------- */

auk_memory_share auk_memory_share_of(double size, double on_device, double pool)
{
    auk_memory_share r = {.used = on_device < size ? on_device : size};

    r.offload = size - r.used;
    r.percent = 100 * r.used / (pool > 0 ? pool : size);
    r.percent = r.percent > 100 ? 100 : r.percent;
    return r;
}
