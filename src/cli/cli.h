/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - what the commands share: options, errors, progress, lines of JSON.  The only folder that
 * prints.  A command is cmd_<name>.c: one options table, checks, one call into a module, one
 * printer. */
#ifndef AUK_CLI_CLI_H
#define AUK_CLI_CLI_H

#include "base/json.h"

/* ---- the command table (main.c) ----------------------------------------------------------- */

typedef struct auk_opt auk_opt;

typedef struct auk_cmd {
    const char *name;
    int (*run)(const struct auk_cmd *self, int argc, char **argv); /* returns the exit status */
    const char *usage;    /* "quantize SRC DST [options]" */
    const char *summary;  /* one line */
    const char *examples; /* lines, each beginning with two spaces */
    const auk_opt *options;
    int min_args, max_args; /* positional; max -1: any number */
} auk_cmd;

extern const auk_cmd auk_cmd_agent, auk_cmd_audit, auk_cmd_bench, auk_cmd_card, auk_cmd_compare,
    auk_cmd_detokenize, auk_cmd_doctor, auk_cmd_eval, auk_cmd_extract, auk_cmd_generate,
    auk_cmd_inspect, auk_cmd_launch, auk_cmd_ledger, auk_cmd_logits, auk_cmd_mt19937, auk_cmd_parse,
    auk_cmd_patch, auk_cmd_plan, auk_cmd_pull, auk_cmd_quantize, auk_cmd_render, auk_cmd_report,
    auk_cmd_run, auk_cmd_sandbox, auk_cmd_serve, auk_cmd_stats, auk_cmd_tensors, auk_cmd_tokenize,
    auk_cmd_version;
extern const auk_cmd auk_cmd_swebench;

/* ---- options ------------------------------------------------------------------------------ */

typedef enum auk_opt_kind {
    AUK_OPT_FLAG,  /* bool; --x, --no-x */
    AUK_OPT_INT,   /* int */
    AUK_OPT_U64,   /* uint64_t */
    AUK_OPT_REAL,  /* double */
    AUK_OPT_STR,   /* const char *, borrowed from argv */
    AUK_OPT_BYTES, /* uint64_t: 300MB, 24GB, 5GiB, 1000 */
} auk_opt_kind;

struct auk_opt {
    const char *name; /* without the dashes; NULL ends the table */
    auk_opt_kind kind;
    size_t offset;     /* of the field in the command's arguments */
    const char *value; /* shown in help: "FILE" */
    const char *help;
};

/* Options every command has; `args` begins with this struct. */
typedef struct auk_common {
    bool help, quiet, verbose, json;
    const char *progress; /* auto, always, never */
    const char *color;    /* auto, always, never */
    const char *cpu;
    int threads;
    /* positional arguments, filled by auk_opt_parse; borrowed from argv */
    char **arg;
    int n_args;
} auk_common;

#define AUK_OPT_GO (-1)

/* Fills `args` from argv (argv[0] is the command's name).  Returns AUK_OPT_GO, or an exit status
 * when everything has been said: 0 after --help, 2 after a usage error. */
AUK_MUST_CHECK int auk_opt_parse(const auk_cmd *cmd, void *args, int argc, char **argv);

/* Prints the help of one command, or its options one a line. */
void auk_opt_help(const auk_cmd *cmd);
void auk_opt_list(const auk_cmd *cmd);

/* The nearest of n names, or NULL when none is near. */
const char *auk_nearest(const char *word, const char *const *names, size_t n);

/* ---- saying things ------------------------------------------------------------------------ */

/* Prints err on stderr and returns the exit status of its code. */
int auk_cli_fail(const auk_err *err);

/* Two lines on stderr; returns 2. */
int auk_cli_usage(const auk_cmd *cmd, const char *fmt, ...) AUK_PRINTF(2, 3);

/* The CPU level --cpu and AUK_CPU allow. */
AUK_MUST_CHECK int auk_cli_cpu(unsigned *out, const auk_common *common, auk_err *err);

/* An auk_progress_fn that redraws one line of stderr; ctx is an auk_meter. */
typedef struct auk_meter {
    bool on, redraw;
    uint64_t began_ns, last_ns;
    bool shown;
} auk_meter;
void auk_meter_init(auk_meter *m, const auk_common *common);
bool auk_meter_step(void *meter, const char *what, const char *unit, uint64_t done, uint64_t total);
void auk_meter_clear(auk_meter *m);

/* Set by the first Ctrl-C after auk_cli_catch_interrupt. */
bool auk_cli_interrupted(void);
void auk_cli_catch_interrupt(void);
void auk_cli_reset_interrupt(void);

/* True when coloured output may go to stdout (or stderr). */
bool auk_cli_color(const auk_common *common, int fd);

/* "18.50 GB", "61.0 MB" */
void auk_bytes_print(char *out, size_t n, uint64_t bytes);

/* Prints v on one line of stdout and drops the reference. */
int auk_cli_print_json(json_t *v);

/* For plumbing: reads stdin line by line, calls fn with each line's JSON value (borrowed) and
 * prints what it returns in *out.  Stops at the first failure, naming the line. */
typedef int auk_line_fn(void *ctx, const json_t *in, json_t **out, auk_err *err);
int auk_cli_lines(auk_line_fn *fn, void *ctx);

/* Reads FILE (or "-") as a JSON array of token ids. */
AUK_MUST_CHECK int auk_cli_read_ids(int32_t **out, size_t *n, const char *path, auk_err *err);

/* A JSON number for x, or null when it is not finite. */
json_t *auk_json_real(double x);

#endif
