/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - what a number of passed tasks says and what it cannot say: intervals, paired tests,
 * equivalence, pass@k, several comparisons, a bootstrap, and the generator behind it.
 *
 * A paired table counts tasks two runs have in common: a both pass, b only A, c only B, d none;
 * n = a + b + c + d.  The difference is always A - B = (b - c) / n: A is the candidate, B the
 * baseline.  "Not significant" means that no difference was shown; only auk_stats_tost can show
 * that two runs are equivalent, and only within a margin.
 *
 * Numbers.  Counts are at most AUK_STATS_MAX_COUNT.  Only + - * / and sqrt are used, with an
 * exponential and a logarithm of our own, so results have the same bits on every machine.  Bounds
 * of intervals are within 2e-12 of the exact value, relative to the bound or to the interval's
 * width, whichever is larger; probabilities within a relative 5e-12 down to 1e-300 (1e-10 for
 * counts above a million); below 1e-308 they fade to 0.
 *
 * Errors.  AUK_EINVAL: counts that cannot be (k > n, n = 0, above the maximum), a level, margin or
 * power outside (0, 1), a p-value outside [0, 1].  On failure *out is not written.  No function
 * prints, none keeps state, all may run in several threads. */
#ifndef AUK_STATS_STATS_H
#define AUK_STATS_STATS_H

#include "base/buf.h"
#include "stats/ladder.h"
#include "stats/latency.h"

#define AUK_STATS_MAX_COUNT 1000000000u

typedef struct auk_interval {
    double lo, hi;
} auk_interval;

/* ---- summaries of samples ----------------------------------------------------------------- */

/* Arithmetic mean and its standard error s / sqrt(n), s with n - 1; se is NAN for n < 2.  Sums are
 * taken in index order in double. */
void auk_stats_mean(double *mean, double *se, const double *x, size_t n);

/* The q-quantile, linear between order statistics (Hyndman and Fan's type 7).  Sorts x; NAN for
 * n = 0. */
double auk_stats_quantile(double *x, size_t n, double q);

/* ---- the normal distribution -------------------------------------------------------------- */

/* P(Z > z): a power series below 2, above it Laplace's continued fraction (1805), both summed to
 * double precision.  NAN for NAN. */
double auk_stats_normal_upper(double z);

/* The z with P(Z > z) = p, by Newton's method on the logarithm of the tail; p in (0, 1), else NAN.
 * 0.025 gives 1.959963984540054. */
double auk_stats_normal_upper_quantile(double p);

/* ---- one proportion, two independent ones ------------------------------------------------- */

/* Wilson's score interval (1927) of k passed among n: with z of the level,
 *     (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).
 * The bound near 0 (or 1) comes from the product of the two roots, so that nothing cancels; it is
 * 0 exactly for k = 0 and 1 exactly for k = n. */
AUK_MUST_CHECK int auk_stats_wilson(auk_interval *out, uint64_t k, uint64_t n, double level,
                                    auk_err *err);

/* Newcombe's hybrid score interval (1998, Statistics in Medicine 17:873-890, method 10) of
 * k1/n1 - k2/n2 for two *independent* groups.  For two runs on the same tasks it is too wide: use
 * auk_stats_newcombe_paired. */
AUK_MUST_CHECK int auk_stats_newcombe(auk_interval *out, uint64_t k1, uint64_t n1, uint64_t k2,
                                      uint64_t n2, double level, auk_err *err);

/* ---- two runs on the same tasks ----------------------------------------------------------- */

typedef struct auk_paired {
    uint64_t a, b, c, d; /* both pass, only A, only B, none */
} auk_paired;

/* McNemar's test (1947) with N = b + c pairs that differ, k the smaller of the two:
 *     exact  min(1, 2 sum_{i<=k} C(N,i) / 2^N), 1 for N = 0
 *     mid    exact - C(N,k) / 2^N, 1 for b = c (Lancaster 1961; Fagerland, Lydersen, Laake 2013)
 * The largest term is Loader's saddle-point form (2000), the others follow by their ratios, so
 * neither large N nor a small tail loses digits; up to N = 50 all is exact.  Both are two-sided. */
typedef struct auk_mcnemar {
    double p_exact, p_mid;
} auk_mcnemar;
AUK_MUST_CHECK int auk_stats_mcnemar(auk_mcnemar *out, const auk_paired *t, auk_err *err);

/* Intervals of A - B.
 *     newcombe     Newcombe 1998 (Statistics in Medicine 17:2635-2650, method 10): the score
 *                  intervals of both rates, joined with the correlation of the table, which has a
 *                  continuity correction where it is positive.  The one to quote.
 *     wald         d +- z se, se = sqrt(b + c - (b - c)^2 / n) / n.  May leave [-1, 1]; width 0
 *                  without a pair that differs.
 *     agresti_min  the same with b + 1/2, c + 1/2, n + 2 (Agresti and Min 2005). */
AUK_MUST_CHECK int auk_stats_newcombe_paired(auk_interval *out, const auk_paired *t, double level,
                                             auk_err *err);
AUK_MUST_CHECK int auk_stats_wald(auk_interval *out, const auk_paired *t, double level,
                                  auk_err *err);
AUK_MUST_CHECK int auk_stats_agresti_min(auk_interval *out, const auk_paired *t, double level,
                                         auk_err *err);

/* Two one-sided tests (Schuirmann 1987) with Wald's standard error:
 *     p_lower  of "A is worse than B by margin or more": P(Z > (d + margin) / se)
 *     p_upper  of "A is better than B by margin or more": P(Z > (margin - d) / se)
 * Below 1 - level, p_lower shows that A is not worse by margin (non-inferiority), p_upper the same
 * for B, both together equivalence; `interval` is the matching one of level 2 level - 1, so the
 * level is above 1/2.  A table whose Wald error is 0 proves nothing about other tasks: there
 * Agresti and Min's error is used and `smoothed` is set. */
typedef struct auk_tost {
    double p_lower, p_upper, difference, se, margin, level;
    auk_interval interval;
    bool a_not_worse, b_not_worse, equivalent, smoothed;
} auk_tost;
AUK_MUST_CHECK int auk_stats_tost(auk_tost *out, const auk_paired *t, double margin, double level,
                                  auk_err *err);

/* The smallest true difference that a two-sided paired test on as many tasks, with the share of
 * differing pairs seen here, finds with this power (Connor 1987, null variance):
 *     (z_{alpha/2} + z_{1-power}) sqrt((b + c) / n) / sqrt(n).
 * NAN when no pair differs, for then the share is not known. */
AUK_MUST_CHECK int auk_stats_smallest_difference(double *out, const auk_paired *t, double level,
                                                 double power, auk_err *err);

/* Tasks that auk_stats_tost needs to show equivalence with this power when A and B truly do not
 * differ, at the share of differing pairs seen here: (z_alpha + z_{(1-power)/2})^2 psi / margin^2,
 * rounded up.  NAN when no pair differs. */
AUK_MUST_CHECK int auk_stats_tost_tasks(double *out, const auk_paired *t, double margin,
                                        double level, double power, auk_err *err);

/* The fewest differing pairs, all in one direction, with an exact McNemar p below 1 - level: 6 at
 * 0.95. */
AUK_MUST_CHECK int auk_stats_mcnemar_fewest(unsigned *out, double level, auk_err *err);

/* All of the above about two runs, and one plain sentence about it.  It never says more than "no
 * difference shown"; the sentence about equivalence belongs to auk_stats_tost. */
typedef struct auk_comparison {
    auk_paired table;
    double level, power, rate_a, rate_b, difference;
    auk_mcnemar p;
    auk_interval newcombe, wald, agresti_min;
    double smallest; /* auk_stats_smallest_difference */
    unsigned fewest; /* auk_stats_mcnemar_fewest */
} auk_comparison;
AUK_MUST_CHECK int auk_stats_compare(auk_comparison *out, const auk_paired *t, double level,
                                     double power, auk_err *err);
void auk_stats_compare_say(auk_buf *out, const auk_comparison *c);
void auk_stats_tost_say(auk_buf *out, const auk_tost *r, double tasks, double power);

/* "0.7905", "3.21e-12" */
#define AUK_STATS_P_CHARS 32
void auk_stats_p_print(char out[AUK_STATS_P_CHARS], double p);

/* ---- several samples per task, several comparisons ---------------------------------------- */

/* pass@k (Chen et al. 2021): the chance that k of n samples, drawn without replacement, hold one
 * of the c correct ones, 1 - C(n-c,k) / C(n,k).  The product is taken as a sum of positive terms.
 * 1 <= k <= n, c <= n; a smaller n is refused, not called 1. */
AUK_MUST_CHECK int auk_stats_passk(double *out, uint64_t n, uint64_t c, uint64_t k, auk_err *err);

/* pass^k (tau-bench, Yao et al. 2024): the chance that all k are correct, C(c,k) / C(n,k). */
AUK_MUST_CHECK int auk_stats_passhatk(double *out, uint64_t n, uint64_t c, uint64_t k,
                                      auk_err *err);

/* Holm's step-down adjustment (1979) of m p-values, in their order: the i-th smallest becomes the
 * largest of min(1, (m - j + 1) p_(j)) over j <= i.  adjusted may be p. */
AUK_MUST_CHECK int auk_stats_holm(double *adjusted, const double *p, size_t m, auk_err *err);

/* ---- Mersenne Twister --------------------------------------------------------------------- */

/* MT19937 (Matsumoto and Nishimura 1998), bit for bit what CPython's random.Random(seed) gives.
 * Not for secrets. */
typedef struct auk_mt19937 {
    uint32_t state[624];
    unsigned at; /* the next word; 624: make new ones */
} auk_mt19937;

void auk_mt19937_init(auk_mt19937 *mt, uint64_t seed);
uint32_t auk_mt19937_next(auk_mt19937 *mt);
double auk_mt19937_unit(auk_mt19937 *mt);                /* random(): [0, 1), 53 bits */
uint64_t auk_mt19937_bits(auk_mt19937 *mt, unsigned k);  /* getrandbits(k), k <= 64 */
uint64_t auk_mt19937_below(auk_mt19937 *mt, uint64_t n); /* randrange(n), n > 0 */
void auk_mt19937_shuffle(auk_mt19937 *mt, uint64_t *x, size_t n);

/* sample(range(n), k) through out[k]: k different numbers below n in the order drawn.  AUK_EINVAL
 * when k > n, AUK_ENOMEM. */
AUK_MUST_CHECK int auk_mt19937_sample(uint64_t *out, auk_mt19937 *mt, uint64_t n, size_t k,
                                      auk_err *err);

/* ---- bootstrap ---------------------------------------------------------------------------- */

/* Percentile bootstrap (Efron 1979) of the mean of n per-task values: for each resample n times
 * randrange(n), in order, from one MT19937; bounds are type 7 quantiles of the means.  Give it
 * per-task differences, each averaged over the task's samples first.  Poor near 0 and 1 and for
 * n below 30: there Wilson and Newcombe are right. */
#define AUK_BOOTSTRAP_GENERATOR "MT19937, as CPython's random.Random(seed).randrange"
#define AUK_BOOTSTRAP_LEAST 10000 /* resamples */
#define AUK_BOOTSTRAP_MOST 10000000

typedef struct auk_bootstrap_options {
    uint64_t resamples, seed;
    double level;
} auk_bootstrap_options;
auk_bootstrap_options auk_bootstrap_defaults(void); /* 100000, 1234, 0.95 */

typedef struct auk_bootstrap {
    double mean, se; /* of the values; standard deviation of the resampled means */
    auk_interval interval;
} auk_bootstrap;

/* AUK_EINVAL: n = 0, too few or too many resamples; AUK_ELIMIT: more than 2e10 draws. */
AUK_MUST_CHECK int auk_stats_bootstrap(auk_bootstrap *out, const double *x, size_t n,
                                       const auk_bootstrap_options *opts, auk_err *err);

/* Of a paired table, its tasks in the order a zeros, b ones, c minus ones, d zeros. */
AUK_MUST_CHECK int auk_stats_bootstrap_paired(auk_bootstrap *out, const auk_paired *t,
                                              const auk_bootstrap_options *opts, auk_err *err);

/* ---- files of results --------------------------------------------------------------------- */

/* One task of a file of results: how many samples it has and how many passed. */
typedef struct auk_task_tally {
    char *task; /* owned by the list */
    uint64_t n, passed;
    bool broken; /* a sample ended as harness_error: the task says nothing about the model */
} auk_task_tally;

typedef struct auk_tally {
    auk_task_tally *p; /* owned; sorted by task, bytewise */
    size_t n;
    char *name;           /* owned; the path, for messages */
    char data_sha256[65]; /* "" when the file does not say */
} auk_tally;

/* Reads lines {"task_id": text, "passed": bool, "sample": int, "status": text, "data_sha256":
 * text}; the last three may be missing, further keys do not matter, blank lines are skipped, and
 * so is a line without task_id that has a "schema", but for its data_sha256.  Without "sample" a
 * line is the task's next one.
 * AUK_EFORMAT, naming the line: not JSON, cut off in the middle, a key of the wrong kind, passed
 * against status, the same sample of a task twice, two data hashes in one file, no task. */
AUK_MUST_CHECK int auk_tally_read(auk_tally *out, const char *path, auk_err *err);
void auk_tally_release(auk_tally *o);

/* AUK_EINVAL, with the reason, unless both files hold the same tasks of the same data. */
AUK_MUST_CHECK int auk_tally_match(const auk_tally *a, const auk_tally *b, auk_err *err);

/* The paired table of two matching files with one sample per task (AUK_EINVAL otherwise).  Tasks
 * broken in either are left out of both and counted in *excluded. */
AUK_MUST_CHECK int auk_tally_table(auk_paired *out, size_t *excluded, const auk_tally *a,
                                   const auk_tally *b, auk_err *err);

/* k passed among n tasks, for a file with one sample per task; broken ones are left out. */
AUK_MUST_CHECK int auk_tally_count(uint64_t *k, uint64_t *n, const auk_tally *t, auk_err *err);

/* The mean of auk_stats_passk or auk_stats_passhatk over the tasks that are not broken, whose
 * number is *tasks.  AUK_EINVAL: a task has fewer than k samples, or there is none. */
typedef int auk_estimate_fn(double *out, uint64_t n, uint64_t c, uint64_t k, auk_err *err);
AUK_MUST_CHECK int auk_tally_mean(double *out, size_t *tasks, const auk_tally *t,
                                  auk_estimate_fn *estimate, uint64_t k, auk_err *err);

/* The rate of A minus that of B for each task of two matching files, in order of task; *out is the
 * caller's (free()). */
AUK_MUST_CHECK int auk_tally_differences(double **out, size_t *n, size_t *excluded,
                                         const auk_tally *a, const auk_tally *b, auk_err *err);

#endif
