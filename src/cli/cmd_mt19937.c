/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/mem.h"
#include "stats/stats.h"

#include <errno.h>
#include <inttypes.h>

#define MAX_NUMBERS 100000000u

typedef struct mt19937_args {
    auk_common common;
    uint64_t seed;
} mt19937_args;

static const auk_opt options[] = {
    {"seed", AUK_OPT_U64, offsetof(mt19937_args, seed), "S",
     "as in random.Random(S) (default: 1234)"},
    {0},
};

/* ---- the four ways to draw ---------------------------------------------------------------- */

/* Prints x[i] or, without x, n draws of bits (k > 0) or of random (k = 0), as a JSON array. */
static int print(const uint64_t *x, size_t n, auk_mt19937 *mt, unsigned k)
{
    auk_buf out = AUK_BUF_INIT(4096);

    fputc('[', stdout);
    for (size_t i = 0; i < n; i++) {
        auk_buf_clear(&out);
        auk_buf_puts(&out, i > 0 ? ", " : "");
        if (x != NULL)
            auk_buf_printf(&out, "%" PRIu64, x[i]);
        else if (k > 0)
            auk_buf_printf(&out, "%" PRIu64, auk_mt19937_bits(mt, k));
        else
            auk_json_print_real(&out, auk_mt19937_unit(mt));
        fwrite(out.p, 1, out.n, stdout);
    }
    fputs("]\n", stdout);
    auk_buf_release(&out);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fprintf(stderr, "auklet: cannot write to standard output\n");
    return 1;
}

static int draw_random(auk_mt19937 *mt, const uint64_t *v)
{
    return print(NULL, (size_t)v[0], mt, 0);
}

static int draw_bits(auk_mt19937 *mt, const uint64_t *v)
{
    return print(NULL, (size_t)v[1], mt, (unsigned)v[0]);
}

static int draw_sample(auk_mt19937 *mt, const uint64_t *v)
{
    uint64_t *x = NULL;
    auk_err err;

    int rc = auk_try_alloc(&x, (size_t)v[1] + 1, sizeof *x, &err);
    if (rc == AUK_OK)
        rc = auk_mt19937_sample(x, mt, v[0], (size_t)v[1], &err);
    int status = rc != AUK_OK ? auk_cli_fail(&err) : print(x, (size_t)v[1], mt, 0);
    free(x);
    return status;
}

static int draw_shuffle(auk_mt19937 *mt, const uint64_t *v)
{
    uint64_t *x = NULL;
    auk_err err;

    if (auk_try_alloc(&x, (size_t)v[0] + 1, sizeof *x, &err) < 0)
        return auk_cli_fail(&err);
    for (uint64_t i = 0; i < v[0]; i++)
        x[i] = i;
    auk_mt19937_shuffle(mt, x, (size_t)v[0]);
    int status = print(x, (size_t)v[0], mt, 0);
    free(x);
    return status;
}

static const struct way {
    const char *name;
    int (*draw)(auk_mt19937 *mt, const uint64_t *v);
    int n_values;
    uint64_t least[2], most[2];
} ways[] = {
    {"random", draw_random, 1, {0}, {MAX_NUMBERS}},
    {"getrandbits", draw_bits, 2, {1, 0}, {64, MAX_NUMBERS}},
    {"sample", draw_sample, 2, {0, 0}, {UINT64_MAX, MAX_NUMBERS}},
    {"shuffle", draw_shuffle, 1, {0}, {MAX_NUMBERS}},
};
#define N_WAYS (sizeof ways / sizeof *ways)

/* ---- the command -------------------------------------------------------------------------- */

static bool parse_count(uint64_t *out, const char *text)
{
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return *text != 0 && text[strspn(text, "0123456789")] == 0 && errno == 0;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    mt19937_args a = {.seed = 1234};
    const struct way *w = NULL;
    uint64_t v[2] = {0};
    auk_mt19937 mt;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    for (size_t i = 0; i < N_WAYS; i++)
        if (strcmp(ways[i].name, a.common.arg[0]) == 0)
            w = &ways[i];
    if (w == NULL)
        return auk_cli_usage(self, "'%s' is none of random, getrandbits, sample, shuffle",
                             a.common.arg[0]);
    if (a.common.n_args != 1 + w->n_values)
        return auk_cli_usage(self, "%s wants %s", w->name,
                             w->n_values == 1 ? "one number" : "two numbers");
    for (int i = 0; i < w->n_values; i++)
        if (!parse_count(&v[i], a.common.arg[1 + i]) || v[i] < w->least[i] || v[i] > w->most[i])
            return auk_cli_usage(self, "%s: '%s' is not a number within %" PRIu64 " to %" PRIu64,
                                 w->name, a.common.arg[1 + i], w->least[i], w->most[i]);
    if (w->draw == draw_sample && v[1] > v[0])
        return auk_cli_usage(self, "sample: %" PRIu64 " of %" PRIu64 " is not possible", v[1],
                             v[0]);
    auk_mt19937_init(&mt, a.seed);
    return w->draw(&mt, v);
}

const auk_cmd auk_cmd_mt19937 = {
    .name = "mt19937",
    .run = run,
    .usage = "mt19937 [--seed S] random N | getrandbits K N | sample N K | shuffle N",
    .summary = "the numbers of Python's random.Random(S), as a JSON array",
    .examples = "  auklet mt19937 --seed 1234 random 3\n"
                "  auklet mt19937 --seed 1234 getrandbits 32 4\n"
                "  auklet mt19937 --seed 1234 sample 231 13\n"
                "  auklet mt19937 --seed 1234 shuffle 12\n",
    .options = options,
    .min_args = 1,
    .max_args = 3,
};
