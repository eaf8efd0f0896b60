/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/mem.h"

static int check_samples(uint64_t n, uint64_t c, uint64_t k, auk_err *err)
{
    if (n == 0 || n > AUK_STATS_MAX_COUNT)
        return auk_fail(err, AUK_EINVAL, "n = %llu is not within 1 to %u", (unsigned long long)n,
                        AUK_STATS_MAX_COUNT);
    if (c > n)
        return auk_fail(err, AUK_EINVAL, "c = %llu is more than n = %llu", (unsigned long long)c,
                        (unsigned long long)n);
    if (k == 0 || k > n)
        return auk_fail(err, AUK_EINVAL, "k = %llu is not within 1 to n = %llu",
                        (unsigned long long)k, (unsigned long long)n);
    return AUK_OK;
}

int auk_stats_passk(double *out, uint64_t n, uint64_t c, uint64_t k, auk_err *err)
{
    /* k and c change places in C(n-c,k) / C(n,k), so the fewer draws are followed */
    uint64_t draws = k < c ? k : c, marked = k < c ? c : k;
    double hit = 0;

    int rc = check_samples(n, c, k, err);
    if (rc != AUK_OK)
        return rc;
    if (n - c < k)
        hit = 1;
    for (uint64_t i = 0; i < draws && hit < 1; i++)
        hit += (1 - hit) * ((double)marked / (double)(n - i));
    *out = hit < 1 ? hit : 1;
    return AUK_OK;
}

int auk_stats_passhatk(double *out, uint64_t n, uint64_t c, uint64_t k, auk_err *err)
{
    int rc = check_samples(n, c, k, err);

    if (rc != AUK_OK)
        return rc;
    if (k > c) {
        *out = 0;
        return AUK_OK;
    }
    /* either each of the k draws is correct, or each of the n - c wrong ones is not drawn */
    uint64_t draws = k < n - c ? k : n - c, good = k < n - c ? c : n - k;
    double all = 1;
    for (uint64_t i = 0; i < draws && all > 0; i++)
        all *= (double)(good - i) / (double)(n - i);
    *out = all;
    return AUK_OK;
}

typedef struct ranked {
    double p;
    size_t i;
} ranked;

static int by_p(const void *x, const void *y)
{
    const ranked *a = x, *b = y;

    if (a->p != b->p)
        return a->p < b->p ? -1 : 1;
    return (a->i > b->i) - (a->i < b->i);
}

int auk_stats_holm(double *adjusted, const double *p, size_t m, auk_err *err)
{
    ranked *order = NULL;
    double largest = 0;

    if (m == 0)
        return auk_fail(err, AUK_EINVAL, "there is no p-value");
    for (size_t i = 0; i < m; i++)
        if (!(p[i] >= 0 && p[i] <= 1))
            return auk_fail(err, AUK_EINVAL, "p-value %zu, %.9g, is not within 0 to 1", i + 1,
                            p[i]);
    int rc = auk_try_alloc(&order, m, sizeof *order, err);
    if (rc != AUK_OK)
        return rc;
    for (size_t i = 0; i < m; i++)
        order[i] = (ranked){p[i], i};
    qsort(order, m, sizeof *order, by_p);
    for (size_t j = 0; j < m; j++) {
        double scaled = (double)(m - j) * order[j].p;
        if (scaled > largest)
            largest = scaled < 1 ? scaled : 1;
        adjusted[order[j].i] = largest;
    }
    free(order);
    return AUK_OK;
}
