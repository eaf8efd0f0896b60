/* SPDX-License-Identifier: Apache-2.0 */
/* Which depths are asked, and how long that takes. */
#include "diagnose/audit.h"

#define FIRST_RUNG 1024

/* The depths of the practitioner's report. */
static const int64_t quantamind[] = {829, 2597, 4365, 6134, 7902};

double auk_audit_rung_ns(const auk_audit_pace *p, int64_t depth, int samples)
{
    double fresh = (double)depth * p->prefill_ns, n = samples;
    int sheets = samples < AUK_AUDIT_SHEETS ? samples : AUK_AUDIT_SHEETS;

    if (!p->shares)
        return n * (fresh + p->answer_ns);
    return sheets * fresh + n * (p->suffix_ns + p->answer_ns);
}

/* Doubling from the base; the last one is the deepest. */
static void fill(auk_audit_plan *out, int64_t deepest)
{
    int64_t d = deepest < 4 * FIRST_RUNG ? deepest / 4 : FIRST_RUNG;

    for (; out->n < AUK_AUDIT_MAX_RUNGS - 1 && 4 * d <= 3 * deepest; d *= 2)
        out->rungs[out->n++] = d;
    out->rungs[out->n++] = deepest;
}

void auk_audit_plan_make(auk_audit_plan *out, const auk_audit_options *opts, int64_t deepest,
                         int64_t limit, const auk_audit_pace *pace)
{
    auk_audit_plan all = {0};
    double budget = (double)opts->budget_ns, spent = 0;
    int curves = (int)(opts->kinds & 1) + (int)(opts->kinds >> 1 & 1);

    *out = (auk_audit_plan){0};
    if (opts->preset != NULL) {
        for (size_t i = 0; i < sizeof quantamind / sizeof *quantamind; i++)
            all.rungs[all.n++] = quantamind[i];
    } else {
        fill(&all, deepest);
    }
    for (size_t i = 0; i < all.n; i++) {
        double ns = curves * auk_audit_rung_ns(pace, all.rungs[i], opts->samples);
        bool fits = limit < 0 || all.rungs[i] <= limit;
        if (!fits || out->n_skipped > 0 || (out->n >= 2 && budget > 0 && spent + ns > budget)) {
            out->skipped[out->n_skipped++] = all.rungs[i];
            continue;
        }
        out->rungs[out->n++] = all.rungs[i];
        spent += ns;
    }
    out->seconds = spent / 1e9;
}
