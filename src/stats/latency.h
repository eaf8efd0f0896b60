/* SPDX-License-Identifier: Apache-2.0 */
/* latency.h - what the time stamps of one answer say.  Comes through stats.h.
 *
 * Times are in one unit of the caller's (ns or ms; rates say which), a value that is not known is
 * NAN.  Rules R9 to R17 of the project's diagnostics; the outlier rule is the modified z-score of
 * Iglewicz and Hoaglin (1993), 0.6745 |gap - median| / MAD > 3.5, high side only. */
#ifndef AUK_STATS_LATENCY_H
#define AUK_STATS_LATENCY_H

#include "base/error.h"

/* Tokens a second: (n - 1) / span, for n tokens between whose first and last lie span_ns.  NAN for
 * n < 2 or no span. */
double auk_latency_rate(double n, double span_ns);

/* 1e9 n / ns; NAN for nothing in no time ("cache hit"). */
double auk_latency_per_second(double n, double ns);

#define AUK_SPIKE_GAPS 8    /* fewer gaps have no spikes */
#define AUK_SPIKE_RATIO 1.5 /* of the median: a spike is at least that */
#define AUK_RATES_DISAGREE 0.05

typedef struct auk_gaps {
    size_t n;
    double p50, p90, p99, max, mean, sd; /* sd: of the population */
    double mad;
    double threshold; /* median + 3.5 / 0.6745 MAD; for MAD 0 mean + 2 sd; NAN: no outliers */
} auk_gaps;

/* Of n gaps; all NAN for none. */
AUK_MUST_CHECK int auk_latency_gaps(auk_gaps *out, const double *gap, size_t n, auk_err *err);

/* Above the threshold, among at least 2 gaps. */
bool auk_gap_is_outlier(const auk_gaps *g, double gap);

/* An outlier among at least AUK_SPIKE_GAPS, and at least AUK_SPIKE_RATIO medians long: stamps in
 * nanoseconds are never quite regular. */
bool auk_gap_is_spike(const auk_gaps *g, double gap);

/* min(most, n) bins of equal width from 0 to the largest gap, which lies in the last one; the
 * number of bins through *bins.  None for fewer than 2 gaps or a largest of 0. */
#define AUK_HISTOGRAM_BINS 12
void auk_latency_histogram(uint64_t count[AUK_HISTOGRAM_BINS], size_t *bins, const double *gap,
                           size_t n, size_t most);

/* What is left of the time to the first token after load and prefill: network and first step.
 * Unknown parts count as nothing.  Parts larger than the whole leave 0 and are inconsistent. */
typedef struct auk_ttft_split {
    double remainder;
    bool inconsistent;
} auk_ttft_split;
auk_ttft_split auk_latency_split(double ttft, double load, double prefill);

/* cached / (cached + computed); NAN when either is not known or there are none. */
double auk_latency_reuse(double cached, double computed);

/* True when they differ by more than AUK_RATES_DISAGREE of the larger; false when one is unknown.
 */
bool auk_latency_disagree(double a, double b);

/* Means of the runs whose load took more than 500 ms, and of the others; NAN when there is none
 * on one side, or where load or ttft is NAN. */
typedef struct auk_cold_warm {
    size_t cold, warm;
    double cold_ttft, warm_ttft, ttft_delta, load_delta;
} auk_cold_warm;
#define AUK_COLD_LOAD_MS 500.0
auk_cold_warm auk_latency_cold_warm(const double *load_ms, const double *ttft_ms, size_t n);

/* The memory of one idle process after each of n runs, oldest first.  Suspected: the last 5 never
 * shrink and grow by more than 256 MiB in all; `slope` is bytes per run by least squares over at
 * least 10 samples, NAN below. */
typedef struct auk_leak {
    bool suspected;
    double grown, slope;
} auk_leak;
auk_leak auk_latency_leak(const double *bytes, size_t n);

/* Later against earlier: the median of the values now against that of at least
 * AUK_REGRESSION_RUNS earlier runs.  change = now / earlier - 1 with a percentile bootstrap
 * interval over both sides; slower when the whole interval lies below -margin. */
#define AUK_REGRESSION_RUNS 5
#define AUK_REGRESSION_MARGIN 0.10
typedef struct auk_regression {
    size_t earlier, now;
    bool enough, slower;
    double median_earlier, median_now, change, lo, hi;
} auk_regression;
AUK_MUST_CHECK int auk_latency_regression(auk_regression *out, const double *earlier, size_t n,
                                          const double *now, size_t m, uint64_t seed, auk_err *err);

/* Of two interleaved series: medians, quartiles, and B / A - 1 with a bootstrap interval. */
typedef struct auk_contest {
    size_t n_a, n_b;
    double a, a_lo, a_hi, b, b_lo, b_hi; /* median, first and third quartile */
    double change, lo, hi;
    bool differ; /* 0 lies outside [lo, hi], and both have at least 5 runs */
} auk_contest;
AUK_MUST_CHECK int auk_latency_contest(auk_contest *out, const double *a, size_t n, const double *b,
                                       size_t m, uint64_t seed, auk_err *err);

/* Of a model of `size` bytes of which `on_device` lie on the device with `pool` bytes (NAN:
 * unknown, then the model's size): used, what is left to main memory, percent of the pool, at most
 * 100. */
typedef struct auk_memory_share {
    double used, offload, percent;
} auk_memory_share;
auk_memory_share auk_memory_share_of(double size, double on_device, double pool);

#endif
