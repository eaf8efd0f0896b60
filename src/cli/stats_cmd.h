/* SPDX-License-Identifier: Apache-2.0 */
/* stats_cmd.h - what the tests of `auklet stats` share: arguments, two runs, and how results are
 * printed.  Private to the command. */
#ifndef AUK_CLI_STATS_CMD_H
#define AUK_CLI_STATS_CMD_H

#include "cli/cli.h"
#include "stats/stats.h"

#define AUK_NOT_GIVEN UINT64_MAX

typedef struct stats_args {
    auk_common common;
    const char *a, *b, *table, *p;
    uint64_t k, n, c, k1, n1, k2, n2, resamples, seed;
    double level, margin, power;
} stats_args;

/* Two runs: a table, or two files. */
typedef struct pair {
    auk_paired table;
    auk_tally a, b;
    size_t excluded; /* tasks that the harness broke on */
} pair;

void auk_cli_pair_release(pair *p);

/* The two files, or also what they or --table give as one table.  auk_cli_pair_read returns
 * AUK_OPT_GO, or an exit status when everything has been said. */
AUK_MUST_CHECK int auk_cli_pair_files(pair *p, const stats_args *a, auk_err *err);
int auk_cli_pair_read(pair *p, const auk_cmd *self, const stats_args *a);

/* Numbers on the command line are options: what is wrong with them is wrong usage. */
int auk_cli_stats_fail(const auk_cmd *self, const stats_args *a, const auk_err *err);

json_t *auk_cli_stats_begin(const char *test);
void auk_cli_put(json_t *out, const char *key, double x);
void auk_cli_put_count(json_t *out, const char *key, uint64_t n);
void auk_cli_put_interval(json_t *out, const char *key, auk_interval i);
void auk_cli_put_bounds(json_t *out, auk_interval i);
void auk_cli_put_table(json_t *out, const pair *p);
void auk_cli_put_text(json_t *out, const char *key, const auk_buf *text);
void auk_cli_print_points(const char *what, double level, auk_interval i);
void auk_cli_print_pair(const pair *p, const stats_args *a);

/* The tests of two runs; each prints and returns an exit status. */
int auk_cli_mcnemar(const auk_cmd *self, const stats_args *a);
int auk_cli_newcombe(const auk_cmd *self, const stats_args *a);
int auk_cli_tost(const auk_cmd *self, const stats_args *a);
int auk_cli_bootstrap(const auk_cmd *self, const stats_args *a);

#endif
