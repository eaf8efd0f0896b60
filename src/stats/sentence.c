/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include <math.h>

int auk_stats_compare(auk_comparison *out, const auk_paired *t, double level, double power,
                      auk_err *err)
{
    auk_comparison c = {.table = *t, .level = level, .power = power};

    int rc = auk_stats_mcnemar(&c.p, t, err);
    if (rc == AUK_OK)
        rc = auk_stats_newcombe_paired(&c.newcombe, t, level, err);
    if (rc == AUK_OK)
        rc = auk_stats_wald(&c.wald, t, level, err);
    if (rc == AUK_OK)
        rc = auk_stats_agresti_min(&c.agresti_min, t, level, err);
    if (rc == AUK_OK)
        rc = auk_stats_smallest_difference(&c.smallest, t, level, power, err);
    if (rc == AUK_OK)
        rc = auk_stats_mcnemar_fewest(&c.fewest, level, err);
    if (rc != AUK_OK)
        return rc;
    double n = (double)(t->a + t->b + t->c + t->d);
    c.rate_a = (double)(t->a + t->b) / n;
    c.rate_b = (double)(t->a + t->c) / n;
    c.difference = ((double)t->b - (double)t->c) / n;
    *out = c;
    return AUK_OK;
}

void auk_stats_p_print(char out[AUK_STATS_P_CHARS], double p)
{
    snprintf(out, AUK_STATS_P_CHARS, p >= 0.0001 || p == 0 ? "%.4f" : "%.3g", p);
}

static void say_no_difference(auk_buf *out, const auk_comparison *c, const char *p)
{
    auk_buf_printf(out,
                   "No difference shown (p = %s), which does not make A and B equivalent: anything "
                   "from %+.2f to %+.2f points fits, and ",
                   p, 100 * c->newcombe.lo, 100 * c->newcombe.hi);
    if (c->smallest < 1)
        auk_buf_printf(out,
                       "only a difference of %.1f points or more would have been found with %g %% "
                       "power.",
                       100 * c->smallest, 100 * c->power);
    else
        auk_buf_printf(out, "on so few tasks none would have been found with %g %% power.",
                       100 * c->power);
}

void auk_stats_compare_say(auk_buf *out, const auk_comparison *c)
{
    char p[AUK_STATS_P_CHARS];

    auk_stats_p_print(p, c->p.p_exact);
    if (c->table.b + c->table.c == 0)
        auk_buf_printf(out,
                       "No difference shown: no task tells A from B, and this test needs at least "
                       "%u that do before it can find anything.",
                       c->fewest);
    else if (c->p.p_exact >= 1 - c->level)
        say_no_difference(out, c, p);
    else
        auk_buf_printf(out,
                       "%s passes more: A - B is %+.2f points, with %g %% confidence %+.2f to "
                       "%+.2f, p = %s.",
                       c->difference > 0 ? "A" : "B", 100 * c->difference, 100 * c->level,
                       100 * c->newcombe.lo, 100 * c->newcombe.hi, p);
}

void auk_stats_tost_say(auk_buf *out, const auk_tost *r, double tasks, double power)
{
    double margin = 100 * r->margin;
    char lower[AUK_STATS_P_CHARS], upper[AUK_STATS_P_CHARS];

    auk_stats_p_print(lower, r->p_lower);
    auk_stats_p_print(upper, r->p_upper);
    auk_buf_printf(out,
                   "Equivalence within %g points is %s: A - B is %+.2f points and its %g %% "
                   "interval, %+.2f to %+.2f, %s inside -%g to +%g (p = %s and %s).",
                   margin, r->equivalent ? "shown" : "not shown", 100 * r->difference,
                   100 * (2 * r->level - 1), 100 * r->interval.lo, 100 * r->interval.hi,
                   r->equivalent ? "lies" : "does not lie", margin, margin, lower, upper);
    if (!r->equivalent && isfinite(tasks))
        auk_buf_printf(out,
                       " About %.0f tasks would show it with %g %% power if A and B did not differ "
                       "at all.",
                       tasks, 100 * power);
}
