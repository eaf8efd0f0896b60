/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stats_cmd.h"

#include "base/mem.h"

#include <inttypes.h>
#include <math.h>

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

/* ---- wilson ------------------------------------------------------------------------------ */

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

static int wilson(const auk_cmd *self, const stats_args *a)
{
    uint64_t k = a->k, n = a->n;
    auk_interval i;
    auk_err err;

    int rc = a->a != NULL ? count_file(&k, &n, a->a, &err) : AUK_OK;
    if (rc == AUK_OK)
        rc = auk_stats_wilson(&i, k, n, a->level, &err);
    if (rc != AUK_OK)
        return auk_cli_stats_fail(self, a, &err);
    double rate = (double)k / (double)n;
    if (!a->common.json) {
        printf("%" PRIu64 "/%" PRIu64 " = %.4f, Wilson %g %%: %.4f to %.4f\n", k, n, rate,
               100 * a->level, i.lo, i.hi);
        return 0;
    }
    json_t *out = auk_cli_stats_begin("wilson");
    auk_cli_put_bounds(out, i);
    auk_cli_put_count(out, "k", k);
    auk_cli_put_count(out, "n", n);
    auk_cli_put(out, "rate", rate);
    auk_cli_put(out, "level", a->level);
    return auk_cli_print_json(out);
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
        return auk_cli_stats_fail(self, a, &err);
    if (a->common.json) {
        json_t *out = auk_cli_stats_begin(name);
        auk_cli_put(out, "value", value);
        auk_cli_put_count(out, "k", a->k);
        auk_cli_put_count(out, "tasks", tasks);
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
        json_t *out = auk_cli_stats_begin("holm"), *list = json_array();
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
        status = auk_cli_stats_fail(self, a, &err);
    else
        status = print_holm(a, p, adjusted, n);
    free(p);
    free(adjusted);
    return status;
}

/* ---- the command -------------------------------------------------------------------------- */

static const struct sub {
    const char *name;
    int (*run)(const auk_cmd *self, const stats_args *a);
    const char *inputs[3]; /* one of them is given, whole and alone; a blank between options */
    const char *takes;     /* and may be joined by these */
} subs[] = {
    {"mcnemar", auk_cli_mcnemar, {"table", "a b"}, "level power"},
    {"wilson", wilson, {"k n", "a"}, "level"},
    {"newcombe", auk_cli_newcombe, {"k1 n1 k2 n2", "table", "a b"}, "level"},
    {"tost", auk_cli_tost, {"table", "a b"}, "margin level power"},
    {"passk", passk, {"n c k", "a k"}, ""},
    {"passhatk", passhatk, {"n c k", "a k"}, ""},
    {"holm", holm, {"p"}, ""},
    {"bootstrap", auk_cli_bootstrap, {"table", "a b"}, "level resamples seed"},
};
#define N_SUBS (sizeof subs / sizeof *subs)

static const stats_args defaults = {.k = AUK_NOT_GIVEN,
                                    .n = AUK_NOT_GIVEN,
                                    .c = AUK_NOT_GIVEN,
                                    .k1 = AUK_NOT_GIVEN,
                                    .n1 = AUK_NOT_GIVEN,
                                    .k2 = AUK_NOT_GIVEN,
                                    .n2 = AUK_NOT_GIVEN,
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
