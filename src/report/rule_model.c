/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of compare, quantize and bench. */
#include "report/rows.h"

#include "base/mem.h"

#include <math.h>

static bool has(const json_t *row, const char *key)
{
    return json_object_get(row, key) != NULL;
}

static double number(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void set_real(json_t *out, const char *key, double v)
{
    json_object_set_new(out, key, auk_rows_real(v));
}

static void set_int(json_t *out, const char *key, uint64_t v)
{
    json_object_set_new(out, key, json_integer((json_int_t)v));
}

/* ---- compare ------------------------------------------------------------------------------ */

/* One number of every row that has `key`; *n is how many. */
static int column(double **out, size_t *n, const auk_rows *rows, const char *key, auk_err *err)
{
    *n = 0;
    int rc = auk_try_alloc(out, rows->n + 1, sizeof **out, err);
    for (size_t i = 0; i < rows->n && rc == AUK_OK; i++) {
        if (!has(rows->p[i], key))
            continue;
        double v = number(rows->p[i], key);
        if (!isfinite(v))
            return auk_fail(err, AUK_EFORMAT, "item %zu: '%s' is not a number", i + 1, key);
        (*out)[(*n)++] = v;
    }
    return rc;
}

static void quantiles(json_t *out, double *kl, size_t n)
{
    static const struct {
        const char *key;
        double q;
    } wanted[] = {
        {"kl_median", 0.5}, {"kl_p90", 0.9}, {"kl_p99", 0.99}, {"kl_p999", 0.999}, {"kl_max", 1}};
    double mean, se;

    auk_stats_mean(&mean, &se, kl, n);
    set_real(out, "kl_mean", mean);
    set_real(out, "kl_se", se);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        set_real(out, wanted[i].key, auk_stats_quantile(kl, n, wanted[i].q));
}

/* Items of positions: {"position", "kl", "nll_a", "nll_b", "top1"}. */
static int positions(json_t *out, const auk_rows *rows, auk_err *err)
{
    double *kl = NULL, *a = NULL, *b = NULL, mean_a, mean_b, mean, se;
    size_t n = 0, n_a = 0, n_b = 0, same = 0;

    int rc = column(&kl, &n, rows, "kl", err);
    if (rc == AUK_OK)
        rc = column(&a, &n_a, rows, "nll_a", err);
    if (rc == AUK_OK)
        rc = column(&b, &n_b, rows, "nll_b", err);
    if (rc == AUK_OK && (n_a != n || n_b != n))
        rc = auk_fail(err, AUK_EFORMAT, "a position lacks kl, nll_a or nll_b");
    for (size_t i = 0; i < rows->n; i++)
        same += json_is_true(json_object_get(rows->p[i], "top1"));
    if (rc == AUK_OK && n > 0) {
        set_int(out, "tokens", n);
        auk_stats_mean(&mean_a, &se, a, n);
        auk_stats_mean(&mean_b, &se, b, n);
        for (size_t i = 0; i < n; i++)
            a[i] = b[i] - a[i];
        auk_stats_mean(&mean, &se, a, n);
        quantiles(out, kl, n);
        set_real(out, "top1_agreement", (double)same / (double)n);
        set_real(out, "nll_a", mean_a);
        set_real(out, "nll_b", mean_b);
        set_real(out, "ln_ppl_ratio", mean);
        set_real(out, "ln_ppl_ratio_se", se);
    }
    free(kl);
    free(a);
    free(b);
    return rc;
}

/* Items of tensors: {"tensor", "rel_err"}. */
static int tensors(json_t *out, const auk_rows *rows, auk_err *err)
{
    double *e = NULL, mean, se, most = 0;
    size_t n;

    int rc = column(&e, &n, rows, "rel_err", err);
    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        most = e[i] > most ? e[i] : most;
    if (rc == AUK_OK) {
        auk_stats_mean(&mean, &se, e, n);
        set_int(out, "tensors", n);
        if (n > 0) {
            set_real(out, "rel_err_mean", mean);
            set_real(out, "rel_err_max", most);
        }
    }
    free(e);
    return rc;
}

/* Without positions an item {"summary": {...}} says what was measured as a whole. */
int auk_rule_compare(json_t *out, const auk_rows *rows, auk_err *err)
{
    const char *key;
    json_t *value;

    for (size_t i = 0; i < rows->n; i++) {
        json_object_foreach(json_object_get(rows->p[i], "summary"), key, value)
        {
            if (strcmp(key, "rule") != 0)
                json_object_set(out, key, value);
        }
    }
    int rc = positions(out, rows, err);
    return rc < 0 ? rc : tensors(out, rows, err);
}

/* ---- quantize ----------------------------------------------------------------------------- */

/* "affine 4 bits, groups of 64" and how many modules and weights have it. */
static void add_format(json_t *formats, const json_t *row, uint64_t weights, uint64_t bytes)
{
    const char *mode = json_string_value(json_object_get(row, "mode"));
    char name[80];

    if (mode == NULL)
        snprintf(name, sizeof name, "16 bits");
    else if (strlen(mode) > 16)
        snprintf(name, sizeof name, "another mode");
    else
        snprintf(name, sizeof name, "%s, %lld bits, group %lld", mode,
                 (long long)json_integer_value(json_object_get(row, "bits")),
                 (long long)json_integer_value(json_object_get(row, "group_size")));
    json_t *f = json_object_get(formats, name);
    if (f == NULL) {
        f = json_pack("{s:I, s:I, s:I}", "modules", (json_int_t)0, "weights", (json_int_t)0,
                      "bytes", (json_int_t)0);
        json_object_set_new(formats, name, f);
    }
    const struct {
        const char *key;
        uint64_t more;
    } sums[] = {{"modules", 1}, {"weights", weights}, {"bytes", bytes}};
    for (size_t i = 0; i < 3; i++)
        set_int(f, sums[i].key,
                (uint64_t)json_integer_value(json_object_get(f, sums[i].key)) + sums[i].more);
}

static void add_expert(json_t *chosen, double *sums, const json_t *row)
{
    static const char *const keys[] = {"err_rtn", "err_wrtn", "err_gptq"};
    const char *choice = json_string_value(json_object_get(row, "chosen"));

    if (choice != NULL)
        set_int(chosen, choice, (uint64_t)json_integer_value(json_object_get(chosen, choice)) + 1);
    for (size_t i = 0; i < 3; i++)
        if (has(row, keys[i]))
            sums[i] += number(row, keys[i]);
}

static void print_experts(json_t *out, uint64_t n, json_t *chosen, const double *sums)
{
    set_int(out, "matrices", n);
    json_object_set(out, "chosen", chosen);
    set_real(out, "err_rtn", sums[0]);
    set_real(out, "err_wrtn", sums[1]);
    set_real(out, "err_gptq", sums[2]);
}

/* Items of modules: {"path", "bits", "group_size", "mode", "weights", "bytes"}; of matrices:
 * {"layer", "expert", "proj", "chosen", "err_rtn", "err_wrtn", "err_gptq"}. */
int auk_rule_quantize(json_t *out, const auk_rows *rows, auk_err *err)
{
    uint64_t modules = 0, quantized = 0, weights = 0, bytes = 0, matrices = 0;
    json_t *formats = json_object(), *chosen = json_object();
    double sums[3] = {0};
    int rc = AUK_OK;

    for (size_t i = 0; i < rows->n && rc == AUK_OK; i++) {
        const json_t *row = rows->p[i], *w = json_object_get(row, "weights"),
                     *b = json_object_get(row, "bytes");
        if (has(row, "expert")) {
            matrices++;
            add_expert(chosen, sums, row);
        } else if (!json_is_integer(w) || !json_is_integer(b) || !has(row, "path")) {
            rc = auk_fail(err, AUK_EFORMAT, "item %zu lacks path, weights or bytes", i + 1);
        } else {
            modules++;
            quantized += json_is_string(json_object_get(row, "mode"));
            weights += (uint64_t)json_integer_value(w);
            bytes += (uint64_t)json_integer_value(b);
            add_format(formats, row, (uint64_t)json_integer_value(w),
                       (uint64_t)json_integer_value(b));
        }
    }
    set_int(out, "modules", modules);
    set_int(out, "quantized", quantized);
    set_int(out, "weights", weights);
    set_int(out, "bytes", bytes);
    set_real(out, "bits_per_weight", 8.0 * (double)bytes / (double)weights);
    json_object_set(out, "formats", formats);
    if (matrices > 0)
        print_experts(out, matrices, chosen, sums);
    json_decref(formats);
    json_decref(chosen);
    return rc;
}

/* ---- bench -------------------------------------------------------------------------------- */

static int by_depth(const void *a, const void *b)
{
    double x = number(*(json_t *const *)a, "depth"), y = number(*(json_t *const *)b, "depth");
    return (x > y) - (x < y);
}

/* The median of rows [lo, hi) that have `key`, and their number. */
static double median(json_t *const *rows, size_t lo, size_t hi, const char *key, double *scratch)
{
    size_t n = 0;

    for (size_t i = lo; i < hi; i++)
        if (isfinite(number(rows[i], key)))
            scratch[n++] = number(rows[i], key);
    return auk_stats_quantile(scratch, n, 0.5);
}

/* Items of repetitions: {"depth", "prefill_tok_s", "decode_tok_s", ...}. */
int auk_rule_bench(json_t *out, const auk_rows *rows, auk_err *err)
{
    static const char *const keys[] = {"prefill_tok_s", "decode_tok_s", "bytes_per_token",
                                       "bandwidth_bytes_s", "decode_share_of_bandwidth"};
    json_t **sorted = NULL, *list = json_array();
    double *scratch = NULL;

    int rc = auk_try_alloc(&sorted, rows->n + 1, sizeof *sorted, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&scratch, rows->n + 1, sizeof *scratch, err);
    for (size_t i = 0; i < rows->n && rc == AUK_OK; i++) {
        sorted[i] = rows->p[i];
        if (!json_is_integer(json_object_get(rows->p[i], "depth")))
            rc = auk_fail(err, AUK_EFORMAT, "item %zu has no depth", i + 1);
    }
    if (rc == AUK_OK)
        qsort(sorted, rows->n, sizeof *sorted, by_depth);
    for (size_t lo = 0, hi; rc == AUK_OK && lo < rows->n; lo = hi) {
        for (hi = lo + 1; hi < rows->n && by_depth(&sorted[lo], &sorted[hi]) == 0; hi++)
            continue;
        json_t *row = json_object();
        json_object_set(row, "depth", json_object_get(sorted[lo], "depth"));
        set_int(row, "repetitions", hi - lo);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            set_real(row, keys[k], median(sorted, lo, hi, keys[k], scratch));
        json_array_append_new(list, row);
    }
    json_object_set_new(out, "rows", list);
    free(sorted);
    free(scratch);
    return rc;
}
