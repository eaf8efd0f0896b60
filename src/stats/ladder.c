/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/mem.h"

#include <math.h>

const char *auk_ladder_status_name(auk_ladder_status s)
{
    static const char *const names[] = {"holds", "cliff", "broken_baseline", "partial",
                                        "too_few_samples"};
    return names[s];
}

bool auk_stats_drop(uint64_t pb, uint64_t nb, uint64_t pc, uint64_t nc)
{
    int64_t fall = (int64_t)(pb * nc) - (int64_t)(pc * nb);
    return fall > 0 && 5 * fall >= (int64_t)(nb * nc);
}

int auk_ladder_samples(uint64_t *out, size_t m, auk_err *err)
{
    unsigned pairs;

    int rc = auk_stats_mcnemar_fewest(&pairs, 1 - AUK_LADDER_LEVEL / (double)(m > 0 ? m : 1), err);
    if (rc == AUK_OK)
        *out = 5 * (uint64_t)pairs;
    return rc;
}

static int by_depth(const void *x, const void *y)
{
    const auk_rung *a = x, *b = y;
    return a->depth < b->depth ? -1 : a->depth > b->depth;
}

static bool counts(const auk_rung *r)
{
    return r->missing == 0;
}

static uint64_t samples(const auk_rung *r)
{
    return r->both + r->base_only + r->cell_only + r->none;
}

/* p of every cell, Holm's correction over the ladder's; *m is their number. */
static int correct(size_t *m, auk_rung *rungs, size_t n, auk_err *err)
{
    double *p = NULL;
    size_t at = 0;
    int rc = auk_try_alloc(&p, n, sizeof *p, err);

    for (size_t i = 1; i < n && rc == AUK_OK; i++) {
        auk_rung *r = &rungs[i];
        auk_paired t = {r->both, r->cell_only, r->base_only, r->none};
        auk_mcnemar test;
        if (!counts(r) || samples(r) == 0)
            continue;
        rc = auk_stats_mcnemar(&test, &t, err);
        if (rc == AUK_OK)
            r->p = test.p_exact;
        if (rc == AUK_OK && !r->added)
            p[at++] = r->p;
    }
    *m = at;
    if (rc == AUK_OK && at > 0)
        rc = auk_stats_holm(p, p, at, err);
    at = 0;
    for (size_t i = 1; i < n && rc == AUK_OK; i++) {
        auk_rung *r = &rungs[i];
        if (isnan(r->p))
            continue;
        r->p_holm = r->added ? fmin(1, r->p * (double)(*m > 0 ? *m : 1)) : p[at++];
        r->drop =
            auk_stats_drop(r->both + r->base_only, samples(r), r->both + r->cell_only, samples(r));
        r->fails = r->drop && r->p_holm < AUK_LADDER_LEVEL;
    }
    free(p);
    return rc;
}

static auk_ladder_status judge(const auk_rung *rungs, size_t n, size_t m, uint64_t enough)
{
    const auk_rung *base = &rungs[0];
    bool missing = n < 2 || m == 0, few = false;

    for (size_t i = 0; i < n; i++)
        missing |= !rungs[i].added && !counts(&rungs[i]);
    for (size_t i = 1; i < n; i++)
        few |= samples(&rungs[i]) < enough;
    if (missing)
        return AUK_LADDER_PARTIAL;
    if (2 * (base->both + base->base_only) < samples(base))
        return AUK_LADDER_BROKEN;
    for (size_t i = 1; i < n; i++)
        if (rungs[i].fails)
            return AUK_LADDER_CLIFF;
    return few ? AUK_LADDER_FEW : AUK_LADDER_HOLDS;
}

int auk_stats_ladder(auk_ladder *out, auk_rung *rungs, size_t n, auk_err *err)
{
    uint64_t enough = 0;
    size_t m;

    *out = (auk_ladder){.status = AUK_LADDER_PARTIAL};
    if (n == 0)
        return AUK_OK;
    qsort(rungs, n, sizeof *rungs, by_depth);
    for (size_t i = 0; i < n; i++) {
        rungs[i].p = rungs[i].p_holm = NAN;
        rungs[i].drop = rungs[i].fails = false;
    }
    int rc = correct(&m, rungs, n, err);
    if (rc == AUK_OK)
        rc = auk_ladder_samples(&enough, m, err);
    if (rc < 0)
        return rc;
    out->status = judge(rungs, n, m, enough);
    if (out->status != AUK_LADDER_CLIFF)
        return AUK_OK;
    while (!rungs[out->first_fail].fails)
        out->first_fail++;
    for (size_t i = 0; i < out->first_fail; i++)
        if (counts(&rungs[i]))
            out->last_pass = i;
    int64_t deep = rungs[out->first_fail].depth;
    out->width = (uint64_t)(deep - rungs[out->last_pass].depth);
    out->close = out->width <= 1024 || 20 * out->width <= (uint64_t)deep;
    return AUK_OK;
}
