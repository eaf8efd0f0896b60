/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/mem.h"
#include "stats/stats.h"

#include <inttypes.h>
#include <math.h>

#define NOT_GIVEN UINT64_MAX

typedef struct stats_args {
    auk_common common;
    const char *a, *b, *table, *p;
    uint64_t k, n, c, k1, n1, k2, n2, resamples, seed;
    double level, margin, power;
} stats_args;

static const auk_opt options[] = {
    {"a", AUK_OPT_STR, offsetof(stats_args, a), "FILE", "results of run A, lines of 'auklet eval'"},
    {"b", AUK_OPT_STR, offsetof(stats_args, b), "FILE", "results of run B on the same tasks"},
    {"table", AUK_OPT_STR, offsetof(stats_args, table), "A,B,C,D",
     "tasks that both pass, only A, only B, none"},
    {"k", AUK_OPT_U64, offsetof(stats_args, k), "K",
     "wilson: how many passed; passk, passhatk: tries"},
    {"n", AUK_OPT_U64, offsetof(stats_args, n), "N", "of how many tasks or samples"},
    {"c", AUK_OPT_U64, offsetof(stats_args, c), "C", "passk, passhatk: correct samples"},
    {"k1", AUK_OPT_U64, offsetof(stats_args, k1), "K", "newcombe: passed in group 1"},
    {"n1", AUK_OPT_U64, offsetof(stats_args, n1), "N", "newcombe: size of group 1"},
    {"k2", AUK_OPT_U64, offsetof(stats_args, k2), "K", "newcombe: passed in group 2"},
    {"n2", AUK_OPT_U64, offsetof(stats_args, n2), "N", "newcombe: size of group 2"},
    {"p", AUK_OPT_STR, offsetof(stats_args, p), "P1,P2,...", "holm: the p-values of one family"},
    {"margin", AUK_OPT_REAL, offsetof(stats_args, margin), "X",
     "tost: differences below it do not matter; 0.015 is 1.5 points"},
    {"level", AUK_OPT_REAL, offsetof(stats_args, level), "X",
     "confidence; tests use 1 - level (default: 0.95)"},
    {"power", AUK_OPT_REAL, offsetof(stats_args, power), "X",
     "chance to find the smallest difference that is named (default: 0.8)"},
    {"resamples", AUK_OPT_U64, offsetof(stats_args, resamples), "N",
     "bootstrap: how many (default: 100000)"},
    {"seed", AUK_OPT_U64, offsetof(stats_args, seed), "N",
     "bootstrap: of its generator (default: 1234)"},
    {0},
};

/* ---- input -------------------------------------------------------------------------------- */

/* "140,8,6,10": exactly n numbers of digits alone. */
static bool parse_counts(uint64_t *out, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 18 || text[digits] != (i + 1 < n ? ',' : 0))
            return false;
        out[i] = strtoull(text, NULL, 10);
        text += digits + 1;
    }
    return true;
}

/* Numbers on the command line are options: what is wrong with them is wrong usage. */
static int fail(const auk_cmd *self, const stats_args *a, const auk_err *err)
{
    if (a->a != NULL || err->code != AUK_EINVAL)
        return auk_cli_fail(err);
    return auk_cli_usage(self, "%s", err->msg);
}

/* Two runs: a table, or two files. */
typedef struct pair {
    auk_paired table;
    auk_tally a, b;
    size_t excluded; /* tasks that the harness broke on */
} pair;

static void pair_release(pair *p)
{
    auk_tally_release(&p->a);
    auk_tally_release(&p->b);
}

static int read_files(pair *p, const stats_args *a, auk_err *err)
{
    int rc = auk_tally_read(&p->a, a->a, err);

    if (rc == AUK_OK)
        rc = auk_tally_read(&p->b, a->b, err);
    return rc;
}

/* Returns AUK_OPT_GO, or an exit status when everything has been said. */
static int read_table(pair *p, const auk_cmd *self, const stats_args *a)
{
    uint64_t cells[4];
    auk_err err;

    if (a->table != NULL) {
        if (!parse_counts(cells, 4, a->table))
            return auk_cli_usage(self, "option '--table': '%s' is not four counts a,b,c,d",
                                 a->table);
        p->table = (auk_paired){cells[0], cells[1], cells[2], cells[3]};
        return AUK_OPT_GO;
    }
    int rc = read_files(p, a, &err);
    if (rc == AUK_OK)
        rc = auk_tally_table(&p->table, &p->excluded, &p->a, &p->b, &err);
    return rc != AUK_OK ? auk_cli_fail(&err) : AUK_OPT_GO;
}

/* One run's file with one sample per task becomes k of n. */
static int count_file(uint64_t *k, uint64_t *n, const char *path, auk_err *err)
{
    auk_tally t = {0};

    int rc = auk_tally_read(&t, path, err);
    if (rc == AUK_OK)
        rc = auk_tally_count(k, n, &t, err);
    auk_tally_release(&t);
    return rc;
}

/* ---- output ------------------------------------------------------------------------------- */

static json_t *begin(const char *test)
{
    return json_pack("{s:s, s:s}", "schema", "auklet.stats/1", "test", test);
}

static void put(json_t *out, const char *key, double x)
{
    json_object_set_new(out, key, auk_json_real(x));
}

static void put_count(json_t *out, const char *key, uint64_t n)
{
    json_object_set_new(out, key, json_integer((json_int_t)n));
}

static void put_interval(json_t *out, const char *key, auk_interval i)
{
    json_object_set_new(out, key, json_pack("[o, o]", auk_json_real(i.lo), auk_json_real(i.hi)));
}

static void put_bounds(json_t *out, auk_interval i)
{
    put(out, "lo", i.lo);
    put(out, "hi", i.hi);
}

static void put_table(json_t *out, const pair *p)
{
    const auk_paired *t = &p->table;

    json_object_set_new(out, "table",
                        json_pack("[I, I, I, I]", (json_int_t)t->a, (json_int_t)t->b,
                                  (json_int_t)t->c, (json_int_t)t->d));
    put_count(out, "n", t->a + t->b + t->c + t->d);
    put_count(out, "excluded", p->excluded);
}

static void put_text(json_t *out, const char *key, const auk_buf *text)
{
    json_object_set_new(out, key, json_stringn(text->p, text->n));
}

static void print_points(const char *what, double level, auk_interval i)
{
    printf("  %-22s %g %%  %+.2f to %+.2f points\n", what, 100 * level, 100 * i.lo, 100 * i.hi);
}

static void print_pair(const pair *p, const stats_args *a)
{
    const auk_paired *t = &p->table;
    double n = (double)(t->a + t->b + t->c + t->d);

    if (a->a != NULL)
        printf("A: %s\nB: %s\n\n", a->a, a->b);
    printf("%-10s %10s %10s\n", "", "B passes", "B fails");
    printf("%-10s %10" PRIu64 " %10" PRIu64 "\n", "A passes", t->a, t->b);
    printf("%-10s %10" PRIu64 " %10" PRIu64 "\n\n", "A fails", t->c, t->d);
    printf("A      %" PRIu64 "/%.0f = %.4f\n", t->a + t->b, n, (double)(t->a + t->b) / n);
    printf("B      %" PRIu64 "/%.0f = %.4f\n", t->a + t->c, n, (double)(t->a + t->c) / n);
    printf("A - B  %+.2f points\n", 100 * ((double)t->b - (double)t->c) / n);
    if (p->excluded > 0)
        printf("left out of both, since the harness broke: %zu\n", p->excluded);
}

/* ---- mcnemar ------------------------------------------------------------------------------ */

static int mcnemar_json(const auk_comparison *c, const pair *in, const auk_buf *text)
{
    json_t *out = begin("mcnemar");

    put(out, "p_exact", c->p.p_exact);
    put(out, "p_mid", c->p.p_mid);
    put_table(out, in);
    put(out, "rate_a", c->rate_a);
    put(out, "rate_b", c->rate_b);
    put(out, "difference", c->difference);
    put(out, "level", c->level);
    put_bounds(out, c->newcombe);
    put_interval(out, "wald", c->wald);
    put_interval(out, "agresti_min", c->agresti_min);
    put(out, "power", c->power);
    put(out, "smallest_difference", c->smallest);
    put_count(out, "fewest_discordant", c->fewest);
    put_text(out, "conclusion", text);
    return auk_cli_print_json(out);
}

static int mcnemar_text(const auk_comparison *c, const pair *in, const stats_args *a,
                        const auk_buf *text)
{
    char exact[AUK_STATS_P_CHARS], mid[AUK_STATS_P_CHARS];

    auk_stats_p_print(exact, c->p.p_exact);
    auk_stats_p_print(mid, c->p.p_mid);
    print_pair(in, a);
    print_points("Newcombe, paired", c->level, c->newcombe);
    print_points("Wald", c->level, c->wald);
    print_points("Agresti-Min", c->level, c->agresti_min);
    printf("McNemar exact p = %s, mid-p = %s\n", exact, mid);
    if (isfinite(c->smallest))
        printf("smallest difference found with %g %% power: %.1f points\n", 100 * c->power,
               100 * c->smallest);
    printf("\n%s\n", text->p);
    return 0;
}

static int mcnemar(const auk_cmd *self, const stats_args *a)
{
    auk_buf text = AUK_BUF_INIT(4096);
    pair in = {0};
    auk_comparison c;
    auk_err err;

    int status = read_table(&in, self, a);
    if (status == AUK_OPT_GO) {
        if (auk_stats_compare(&c, &in.table, a->level, a->power, &err) < 0) {
            status = fail(self, a, &err);
        } else {
            auk_stats_compare_say(&text, &c);
            status =
                a->common.json ? mcnemar_json(&c, &in, &text) : mcnemar_text(&c, &in, a, &text);
        }
    }
    auk_buf_release(&text);
    pair_release(&in);
    return status;
}

/* ---- wilson, newcombe --------------------------------------------------------------------- */

static int wilson(const auk_cmd *self, const stats_args *a)
{
    uint64_t k = a->k, n = a->n;
    auk_interval i;
    auk_err err;

    int rc = a->a != NULL ? count_file(&k, &n, a->a, &err) : AUK_OK;
    if (rc == AUK_OK)
        rc = auk_stats_wilson(&i, k, n, a->level, &err);
    if (rc != AUK_OK)
        return fail(self, a, &err);
    double rate = (double)k / (double)n;
    if (!a->common.json) {
        printf("%" PRIu64 "/%" PRIu64 " = %.4f, Wilson %g %%: %.4f to %.4f\n", k, n, rate,
               100 * a->level, i.lo, i.hi);
        return 0;
    }
    json_t *out = begin("wilson");
    put_bounds(out, i);
    put_count(out, "k", k);
    put_count(out, "n", n);
    put(out, "rate", rate);
    put(out, "level", a->level);
    return auk_cli_print_json(out);
}

static int print_newcombe(const stats_args *a, bool paired, double difference, auk_interval i)
{
    const char *method = paired ? "paired, method 10" : "independent, hybrid score";

    if (!a->common.json) {
        printf("difference %+.2f points, Newcombe (%s) %g %%: %+.2f to %+.2f points\n",
               100 * difference, method, 100 * a->level, 100 * i.lo, 100 * i.hi);
        return 0;
    }
    json_t *out = begin("newcombe");
    put_bounds(out, i);
    put(out, "difference", difference);
    json_object_set_new(out, "method", json_string(method));
    put(out, "level", a->level);
    return auk_cli_print_json(out);
}

static int newcombe_independent(const auk_cmd *self, const stats_args *a)
{
    auk_interval i;
    auk_err err;

    if (auk_stats_newcombe(&i, a->k1, a->n1, a->k2, a->n2, a->level, &err) < 0)
        return fail(self, a, &err);
    double d = (double)a->k1 / (double)a->n1 - (double)a->k2 / (double)a->n2;
    return print_newcombe(a, false, d, i);
}

static int newcombe(const auk_cmd *self, const stats_args *a)
{
    pair in = {0};
    auk_interval i;
    auk_err err;

    if (a->k1 != NOT_GIVEN)
        return newcombe_independent(self, a);
    int status = read_table(&in, self, a);
    if (status == AUK_OPT_GO) {
        const auk_paired *t = &in.table;
        double n = (double)(t->a + t->b + t->c + t->d);
        if (auk_stats_newcombe_paired(&i, t, a->level, &err) < 0)
            status = fail(self, a, &err);
        else
            status = print_newcombe(a, true, ((double)t->b - (double)t->c) / n, i);
    }
    pair_release(&in);
    return status;
}

/* ---- tost --------------------------------------------------------------------------------- */

static int tost_json(const auk_tost *r, const pair *in, const stats_args *a, double tasks,
                     const auk_buf *text)
{
    json_t *out = begin("tost");

    put(out, "p_lower", r->p_lower);
    put(out, "p_upper", r->p_upper);
    json_object_set_new(out, "equivalent", json_boolean(r->equivalent));
    json_object_set_new(out, "a_not_worse", json_boolean(r->a_not_worse));
    json_object_set_new(out, "b_not_worse", json_boolean(r->b_not_worse));
    put_table(out, in);
    put(out, "margin", a->margin);
    put(out, "level", a->level);
    put(out, "difference", r->difference);
    put(out, "se", r->se);
    json_object_set_new(out, "se_method", json_string(r->smoothed ? "agresti-min" : "wald"));
    put_bounds(out, r->interval);
    put(out, "power", a->power);
    json_object_set_new(out, "tasks_needed",
                        isfinite(tasks) ? json_integer((json_int_t)tasks) : json_null());
    put_text(out, "conclusion", text);
    return auk_cli_print_json(out);
}

static int tost_text(const auk_tost *r, const pair *in, const stats_args *a, const auk_buf *text)
{
    double margin = 100 * a->margin;
    char lower[AUK_STATS_P_CHARS], upper[AUK_STATS_P_CHARS];

    auk_stats_p_print(lower, r->p_lower);
    auk_stats_p_print(upper, r->p_upper);
    print_pair(in, a);
    print_points(r->smoothed ? "Wald, smoothed" : "Wald", 2 * a->level - 1, r->interval);
    printf("A is not worse than B by %g points: %s (p = %s)\n", margin,
           r->a_not_worse ? "shown" : "not shown", lower);
    printf("B is not worse than A by %g points: %s (p = %s)\n", margin,
           r->b_not_worse ? "shown" : "not shown", upper);
    printf("\n%s\n", text->p);
    return 0;
}

static int tost(const auk_cmd *self, const stats_args *a)
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
    int status = read_table(&in, self, a);
    if (status == AUK_OPT_GO) {
        int rc = auk_stats_tost(&r, &in.table, a->margin, a->level, &err);
        if (rc == AUK_OK)
            rc = auk_stats_tost_tasks(&tasks, &in.table, a->margin, a->level, a->power, &err);
        if (rc != AUK_OK) {
            status = fail(self, a, &err);
        } else {
            auk_stats_tost_say(&text, &r, tasks, a->power);
            status =
                a->common.json ? tost_json(&r, &in, a, tasks, &text) : tost_text(&r, &in, a, &text);
        }
    }
    auk_buf_release(&text);
    pair_release(&in);
    return status;
}

/* ---- passk, passhatk ---------------------------------------------------------------------- */

static int mean_of_file(double *mean, size_t *tasks, auk_estimate_fn *estimate, const stats_args *a,
                        auk_err *err)
{
    auk_tally t = {0};

    int rc = auk_tally_read(&t, a->a, err);
    if (rc == AUK_OK)
        rc = auk_tally_mean(mean, tasks, &t, estimate, a->k, err);
    auk_tally_release(&t);
    return rc;
}

static int print_estimate(const auk_cmd *self, const stats_args *a, const char *name,
                          auk_estimate_fn *estimate)
{
    double value;
    size_t tasks = 1;
    auk_err err;

    int rc = a->a != NULL ? mean_of_file(&value, &tasks, estimate, a, &err)
                          : estimate(&value, a->n, a->c, a->k, &err);
    if (rc != AUK_OK)
        return fail(self, a, &err);
    if (a->common.json) {
        json_t *out = begin(name);
        put(out, "value", value);
        put_count(out, "k", a->k);
        put_count(out, "tasks", tasks);
        return auk_cli_print_json(out);
    }
    printf("%s%" PRIu64 " = %.9g", estimate == auk_stats_passk ? "pass@" : "pass^", a->k, value);
    if (a->a != NULL)
        printf(", mean over %zu tasks", tasks);
    printf("\n");
    return 0;
}

static int passk(const auk_cmd *self, const stats_args *a)
{
    return print_estimate(self, a, "passk", auk_stats_passk);
}

static int passhatk(const auk_cmd *self, const stats_args *a)
{
    return print_estimate(self, a, "passhatk", auk_stats_passhatk);
}

/* ---- holm --------------------------------------------------------------------------------- */

/* Comma-separated numbers; false when one is none. */
static bool parse_reals(double *out, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        char *end;
        out[i] = strtod(text, &end);
        if (end == text || *end != (i + 1 < n ? ',' : 0))
            return false;
        text = end + 1;
    }
    return true;
}

static int print_holm(const stats_args *a, const double *p, const double *adjusted, size_t n)
{
    char before[AUK_STATS_P_CHARS], after[AUK_STATS_P_CHARS];

    if (a->common.json) {
        json_t *out = begin("holm"), *list = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, auk_json_real(adjusted[i]));
        json_object_set_new(out, "adjusted", list);
        return auk_cli_print_json(out);
    }
    for (size_t i = 0; i < n; i++) {
        auk_stats_p_print(before, p[i]);
        auk_stats_p_print(after, adjusted[i]);
        printf("p = %s, of %zu by Holm: %s\n", before, n, after);
    }
    return 0;
}

static int holm(const auk_cmd *self, const stats_args *a)
{
    size_t n = 1;
    int status;
    auk_err err;

    for (const char *c = a->p; *c != 0; c++)
        n += *c == ',';
    double *p = auk_alloc(n * sizeof *p), *adjusted = auk_alloc(n * sizeof *adjusted);
    if (!parse_reals(p, n, a->p))
        status = auk_cli_usage(self, "option '--p': '%s' is not a list of numbers p1,p2,...", a->p);
    else if (auk_stats_holm(adjusted, p, n, &err) < 0)
        status = fail(self, a, &err);
    else
        status = print_holm(a, p, adjusted, n);
    free(p);
    free(adjusted);
    return status;
}

/* ---- bootstrap ---------------------------------------------------------------------------- */

static int print_bootstrap(const stats_args *a, const auk_bootstrap *r, size_t n, size_t excluded)
{
    if (a->common.json) {
        json_t *out = begin("bootstrap");
        put_bounds(out, r->interval);
        put(out, "difference", r->mean);
        put(out, "se", r->se);
        put(out, "level", a->level);
        put_count(out, "n", n);
        put_count(out, "excluded", excluded);
        put_count(out, "resamples", a->resamples);
        json_object_set_new(out, "generator", json_string(AUK_BOOTSTRAP_GENERATOR));
        put_count(out, "seed", a->seed);
        return auk_cli_print_json(out);
    }
    printf("A - B over %zu tasks  %+.2f points\n", n, 100 * r->mean);
    print_points("bootstrap, paired", a->level, r->interval);
    printf("  standard error %.2f points; %" PRIu64 " resamples; seed %" PRIu64 " of %s\n",
           100 * r->se, a->resamples, a->seed, AUK_BOOTSTRAP_GENERATOR);
    return 0;
}

static int bootstrap_files(auk_bootstrap *r, size_t *n, pair *in, const auk_bootstrap_options *opts,
                           const stats_args *a, auk_err *err)
{
    double *x = NULL;

    int rc = read_files(in, a, err);
    if (rc == AUK_OK)
        rc = auk_tally_differences(&x, n, &in->excluded, &in->a, &in->b, err);
    if (rc == AUK_OK)
        rc = auk_stats_bootstrap(r, x, *n, opts, err);
    free(x);
    return rc;
}

static int bootstrap(const auk_cmd *self, const stats_args *a)
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
        int status = read_table(&in, self, a);
        if (status != AUK_OPT_GO)
            return status;
        n = (size_t)(in.table.a + in.table.b + in.table.c + in.table.d);
        rc = auk_stats_bootstrap_paired(&r, &in.table, &opts, &err);
    } else {
        rc = bootstrap_files(&r, &n, &in, &opts, a, &err);
    }
    pair_release(&in);
    return rc != AUK_OK ? fail(self, a, &err) : print_bootstrap(a, &r, n, in.excluded);
}

/* ---- the command -------------------------------------------------------------------------- */

static const struct sub {
    const char *name;
    int (*run)(const auk_cmd *self, const stats_args *a);
    const char *inputs[3]; /* one of them is given, whole and alone; a blank between options */
    const char *takes;     /* and may be joined by these */
} subs[] = {
    {"mcnemar", mcnemar, {"table", "a b"}, "level power"},
    {"wilson", wilson, {"k n", "a"}, "level"},
    {"newcombe", newcombe, {"k1 n1 k2 n2", "table", "a b"}, "level"},
    {"tost", tost, {"table", "a b"}, "margin level power"},
    {"passk", passk, {"n c k", "a k"}, ""},
    {"passhatk", passhatk, {"n c k", "a k"}, ""},
    {"holm", holm, {"p"}, ""},
    {"bootstrap", bootstrap, {"table", "a b"}, "level resamples seed"},
};
#define N_SUBS (sizeof subs / sizeof *subs)

static const stats_args defaults = {.k = NOT_GIVEN,
                                    .n = NOT_GIVEN,
                                    .c = NOT_GIVEN,
                                    .k1 = NOT_GIVEN,
                                    .n1 = NOT_GIVEN,
                                    .k2 = NOT_GIVEN,
                                    .n2 = NOT_GIVEN,
                                    .resamples = 100000,
                                    .seed = 1234,
                                    .level = 0.95,
                                    .margin = -1,
                                    .power = 0.8};

/* The field differs from its default; all kinds used here have 8 bytes. */
static bool given(const auk_opt *o, const stats_args *a)
{
    return memcmp((const char *)a + o->offset, (const char *)&defaults + o->offset, 8) != 0;
}

/* `name` is one of the words of `list`. */
static bool among(const char *list, const char *name)
{
    size_t n = strlen(name);

    while (list != NULL && *list != 0) {
        size_t word = strcspn(list, " ");
        if (word == n && memcmp(list, name, n) == 0)
            return true;
        list += word + (list[word] != 0);
    }
    return false;
}

/* All options of `input` are given, and of the others only what the subcommand takes. */
static bool fits(const struct sub *s, const char *input, const stats_args *a)
{
    for (const auk_opt *o = options; o->name != NULL; o++)
        if (among(input, o->name) ? !given(o, a) : given(o, a) && !among(s->takes, o->name))
            return false;
    return true;
}

/* "mcnemar wants --table, or --a and --b" */
static int say_inputs(const auk_cmd *self, const struct sub *s)
{
    auk_buf text = AUK_BUF_INIT(4096);

    for (size_t i = 0; i < 3 && s->inputs[i] != NULL; i++) {
        auk_buf_puts(&text, i > 0 ? ", or --" : "--");
        for (const char *c = s->inputs[i]; *c != 0; c++)
            if (*c == ' ')
                auk_buf_puts(&text, " --");
            else
                auk_buf_putc(&text, *c);
    }
    int status = auk_cli_usage(self, "%s wants %s%s%s", s->name, text.p,
                               s->takes[0] != 0 ? "; and takes: " : "", s->takes);
    auk_buf_release(&text);
    return status;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    stats_args a = defaults;
    const char *names[N_SUBS];
    size_t at = 0;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    const char *name = a.common.arg[0];
    for (size_t i = 0; i < N_SUBS; i++)
        names[i] = subs[i].name;
    while (at < N_SUBS && strcmp(names[at], name) != 0)
        at++;
    if (at == N_SUBS) {
        const char *near = auk_nearest(name, names, N_SUBS);
        return near != NULL
                   ? auk_cli_usage(self, "unknown test '%s': did you mean '%s'?", name, near)
                   : auk_cli_usage(self, "unknown test '%s'", name);
    }
    const struct sub *s = &subs[at];
    size_t which = 0;
    while (which < 3 && s->inputs[which] != NULL && !fits(s, s->inputs[which], &a))
        which++;
    if (which == 3 || s->inputs[which] == NULL)
        return say_inputs(self, s);
    if (!(a.level > 0 && a.level < 1))
        return auk_cli_usage(self, "option '--level': %.9g is not between 0 and 1", a.level);
    if (!(a.power > 0 && a.power < 1))
        return auk_cli_usage(self, "option '--power': %.9g is not between 0 and 1", a.power);
    return s->run(self, &a);
}

const auk_cmd auk_cmd_stats = {
    .name = "stats",
    .run = run,
    .usage = "stats TEST [options]",
    .summary = "what results show: mcnemar wilson newcombe tost passk passhatk holm bootstrap",
    .examples = "  auklet stats mcnemar --a 4bit.jsonl --b bf16.jsonl\n"
                "  auklet stats tost --a 4bit.jsonl --b bf16.jsonl --margin 0.015\n"
                "  auklet stats bootstrap --table 140,8,6,10 --seed 1234\n"
                "  auklet stats wilson --k 146 --n 164\n"
                "  auklet stats newcombe --k1 148 --n1 164 --k2 233 --n2 257\n"
                "  auklet stats passk --n 10 --c 3 --k 1\n"
                "  auklet stats passhatk --a samples.jsonl --k 4\n"
                "  auklet stats holm --p 0.01,0.04,0.03\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
