/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of two runs on the same tasks. */
#include "cli/stats_cmd.h"

#include <inttypes.h>
#include <math.h>

/* ---- mcnemar ------------------------------------------------------------------------------ */

static int mcnemar_json(const auk_comparison *c, const pair *in, const auk_buf *text)
{
    json_t *out = auk_cli_stats_begin("mcnemar");

    auk_cli_put(out, "p_exact", c->p.p_exact);
    auk_cli_put(out, "p_mid", c->p.p_mid);
    auk_cli_put_table(out, in);
    auk_cli_put(out, "rate_a", c->rate_a);
    auk_cli_put(out, "rate_b", c->rate_b);
    auk_cli_put(out, "difference", c->difference);
    auk_cli_put(out, "level", c->level);
    auk_cli_put_bounds(out, c->newcombe);
    auk_cli_put_interval(out, "wald", c->wald);
    auk_cli_put_interval(out, "agresti_min", c->agresti_min);
    auk_cli_put(out, "power", c->power);
    auk_cli_put(out, "smallest_difference", c->smallest);
    auk_cli_put_count(out, "fewest_discordant", c->fewest);
    auk_cli_put_text(out, "conclusion", text);
    return auk_cli_print_json(out);
}

static int mcnemar_text(const auk_comparison *c, const pair *in, const stats_args *a,
                        const auk_buf *text)
{
    char exact[AUK_STATS_P_CHARS], mid[AUK_STATS_P_CHARS];

    auk_stats_p_print(exact, c->p.p_exact);
    auk_stats_p_print(mid, c->p.p_mid);
    auk_cli_print_pair(in, a);
    auk_cli_print_points("Newcombe, paired", c->level, c->newcombe);
    auk_cli_print_points("Wald", c->level, c->wald);
    auk_cli_print_points("Agresti-Min", c->level, c->agresti_min);
    printf("McNemar exact p = %s, mid-p = %s\n", exact, mid);
    if (isfinite(c->smallest))
        printf("smallest difference found with %g %% power: %.1f points\n", 100 * c->power,
               100 * c->smallest);
    printf("\n%s\n", text->p);
    return 0;
}

int auk_cli_mcnemar(const auk_cmd *self, const stats_args *a)
{
    auk_buf text = AUK_BUF_INIT(4096);
    pair in = {0};
    auk_comparison c;
    auk_err err;

    int status = auk_cli_pair_read(&in, self, a);
    if (status == AUK_OPT_GO) {
        if (auk_stats_compare(&c, &in.table, a->level, a->power, &err) < 0) {
            status = auk_cli_stats_fail(self, a, &err);
        } else {
            auk_stats_compare_say(&text, &c);
            status =
                a->common.json ? mcnemar_json(&c, &in, &text) : mcnemar_text(&c, &in, a, &text);
        }
    }
    auk_buf_release(&text);
    auk_cli_pair_release(&in);
    return status;
}

/* ---- newcombe ---------------------------------------------------------------------------- */

static int print_newcombe(const stats_args *a, bool paired, double difference, auk_interval i)
{
    const char *method = paired ? "paired, method 10" : "independent, hybrid score";

    if (!a->common.json) {
        printf("difference %+.2f points, Newcombe (%s) %g %%: %+.2f to %+.2f points\n",
               100 * difference, method, 100 * a->level, 100 * i.lo, 100 * i.hi);
        return 0;
    }
    json_t *out = auk_cli_stats_begin("newcombe");
    auk_cli_put_bounds(out, i);
    auk_cli_put(out, "difference", difference);
    json_object_set_new(out, "method", json_string(method));
    auk_cli_put(out, "level", a->level);
    return auk_cli_print_json(out);
}

static int newcombe_independent(const auk_cmd *self, const stats_args *a)
{
    auk_interval i;
    auk_err err;

    if (auk_stats_newcombe(&i, a->k1, a->n1, a->k2, a->n2, a->level, &err) < 0)
        return auk_cli_stats_fail(self, a, &err);
    double d = (double)a->k1 / (double)a->n1 - (double)a->k2 / (double)a->n2;
    return print_newcombe(a, false, d, i);
}

int auk_cli_newcombe(const auk_cmd *self, const stats_args *a)
{
    pair in = {0};
    auk_interval i;
    auk_err err;

    if (a->k1 != AUK_NOT_GIVEN)
        return newcombe_independent(self, a);
    int status = auk_cli_pair_read(&in, self, a);
    if (status == AUK_OPT_GO) {
        const auk_paired *t = &in.table;
        double n = (double)(t->a + t->b + t->c + t->d);
        if (auk_stats_newcombe_paired(&i, t, a->level, &err) < 0)
            status = auk_cli_stats_fail(self, a, &err);
        else
            status = print_newcombe(a, true, ((double)t->b - (double)t->c) / n, i);
    }
    auk_cli_pair_release(&in);
    return status;
}

/* ---- tost --------------------------------------------------------------------------------- */

static int tost_json(const auk_tost *r, const pair *in, const stats_args *a, double tasks,
                     const auk_buf *text)
{
    json_t *out = auk_cli_stats_begin("tost");

    auk_cli_put(out, "p_lower", r->p_lower);
    auk_cli_put(out, "p_upper", r->p_upper);
    json_object_set_new(out, "equivalent", json_boolean(r->equivalent));
    json_object_set_new(out, "a_not_worse", json_boolean(r->a_not_worse));
    json_object_set_new(out, "b_not_worse", json_boolean(r->b_not_worse));
    auk_cli_put_table(out, in);
    auk_cli_put(out, "margin", a->margin);
    auk_cli_put(out, "level", a->level);
    auk_cli_put(out, "difference", r->difference);
    auk_cli_put(out, "se", r->se);
    json_object_set_new(out, "se_method", json_string(r->smoothed ? "agresti-min" : "wald"));
    auk_cli_put_bounds(out, r->interval);
    auk_cli_put(out, "power", a->power);
    json_object_set_new(out, "tasks_needed",
                        isfinite(tasks) ? json_integer((json_int_t)tasks) : json_null());
    auk_cli_put_text(out, "conclusion", text);
    return auk_cli_print_json(out);
}

static int tost_text(const auk_tost *r, const pair *in, const stats_args *a, const auk_buf *text)
{
    double margin = 100 * a->margin;
    char lower[AUK_STATS_P_CHARS], upper[AUK_STATS_P_CHARS];

    auk_stats_p_print(lower, r->p_lower);
    auk_stats_p_print(upper, r->p_upper);
    auk_cli_print_pair(in, a);
    auk_cli_print_points(r->smoothed ? "Wald, smoothed" : "Wald", 2 * a->level - 1, r->interval);
    printf("A is not worse than B by %g points: %s (p = %s)\n", margin,
           r->a_not_worse ? "shown" : "not shown", lower);
    printf("B is not worse than A by %g points: %s (p = %s)\n", margin,
           r->b_not_worse ? "shown" : "not shown", upper);
    printf("\n%s\n", text->p);
    return 0;
}

int auk_cli_tost(const auk_cmd *self, const stats_args *a)
{
    auk_buf text = AUK_BUF_INIT(4096);
    pair in = {0};
    double tasks = NAN;
    auk_tost r;
    auk_err err;

    if (!(a->margin > 0 && a->margin < 1))
        return auk_cli_usage(self, "tost wants --margin, between 0 and 1: 0.015 is 1.5 points");
    if (a->level <= 0.5)
        return auk_cli_usage(self, "option '--level': %.9g is not above 0.5, as tost wants it",
                             a->level);
    int status = auk_cli_pair_read(&in, self, a);
    if (status == AUK_OPT_GO) {
        int rc = auk_stats_tost(&r, &in.table, a->margin, a->level, &err);
        if (rc == AUK_OK)
            rc = auk_stats_tost_tasks(&tasks, &in.table, a->margin, a->level, a->power, &err);
        if (rc != AUK_OK) {
            status = auk_cli_stats_fail(self, a, &err);
        } else {
            auk_stats_tost_say(&text, &r, tasks, a->power);
            status =
                a->common.json ? tost_json(&r, &in, a, tasks, &text) : tost_text(&r, &in, a, &text);
        }
    }
    auk_buf_release(&text);
    auk_cli_pair_release(&in);
    return status;
}

/* ---- bootstrap ---------------------------------------------------------------------------- */

static int print_bootstrap(const stats_args *a, const auk_bootstrap *r, size_t n, size_t excluded)
{
    if (a->common.json) {
        json_t *out = auk_cli_stats_begin("bootstrap");
        auk_cli_put_bounds(out, r->interval);
        auk_cli_put(out, "difference", r->mean);
        auk_cli_put(out, "se", r->se);
        auk_cli_put(out, "level", a->level);
        auk_cli_put_count(out, "n", n);
        auk_cli_put_count(out, "excluded", excluded);
        auk_cli_put_count(out, "resamples", a->resamples);
        json_object_set_new(out, "generator", json_string(AUK_BOOTSTRAP_GENERATOR));
        auk_cli_put_count(out, "seed", a->seed);
        return auk_cli_print_json(out);
    }
    printf("A - B over %zu tasks  %+.2f points\n", n, 100 * r->mean);
    auk_cli_print_points("bootstrap, paired", a->level, r->interval);
    printf("  standard error %.2f points; %" PRIu64 " resamples; seed %" PRIu64 " of %s\n",
           100 * r->se, a->resamples, a->seed, AUK_BOOTSTRAP_GENERATOR);
    return 0;
}

static int bootstrap_files(auk_bootstrap *r, size_t *n, pair *in, const auk_bootstrap_options *opts,
                           const stats_args *a, auk_err *err)
{
    double *x = NULL;

    int rc = auk_cli_pair_files(in, a, err);
    if (rc == AUK_OK)
        rc = auk_tally_differences(&x, n, &in->excluded, &in->a, &in->b, err);
    if (rc == AUK_OK)
        rc = auk_stats_bootstrap(r, x, *n, opts, err);
    free(x);
    return rc;
}

int auk_cli_bootstrap(const auk_cmd *self, const stats_args *a)
{
    auk_bootstrap_options opts = {a->resamples, a->seed, a->level};
    pair in = {0};
    size_t n = 0;
    auk_bootstrap r;
    auk_err err;
    int rc;

    if (a->resamples < AUK_BOOTSTRAP_LEAST || a->resamples > AUK_BOOTSTRAP_MOST)
        return auk_cli_usage(self, "option '--resamples': %" PRIu64 " is not within %d to %d",
                             a->resamples, AUK_BOOTSTRAP_LEAST, AUK_BOOTSTRAP_MOST);
    if (a->table != NULL) {
        int status = auk_cli_pair_read(&in, self, a);
        if (status != AUK_OPT_GO)
            return status;
        n = (size_t)(in.table.a + in.table.b + in.table.c + in.table.d);
        rc = auk_stats_bootstrap_paired(&r, &in.table, &opts, &err);
    } else {
        rc = bootstrap_files(&r, &n, &in, &opts, a, &err);
    }
    auk_cli_pair_release(&in);
    return rc != AUK_OK ? auk_cli_stats_fail(self, a, &err)
                        : print_bootstrap(a, &r, n, in.excluded);
}
