/* SPDX-License-Identifier: Apache-2.0 */
/* eval.h - from a model's answer to a verdict: the program in the answer, a box that runs it, the
 * data sets, and result lines that survive a kill.
 *
 * Programs that a model wrote run nowhere but in an auk_box.  Objects here belong to one thread;
 * an auk_python and an auk_sandbox are read-only once made.  What the parts mean, and where they
 * differ from other harnesses: docs/eval.md. */
#ifndef AUK_EVAL_EVAL_H
#define AUK_EVAL_EVAL_H

#include "base/buf.h"
#include "base/json.h"

/* ---- the interpreter ---------------------------------------------------------------------- */

/* The user's python3, asked once what it consists of. */
typedef struct auk_python {
    char *exe;     /* owned: the real file, links followed */
    char *version; /* owned: "3.11.2" */
    char *path;    /* owned: its sys.path, one folder a line */
    char **roots;  /* owned: folders it needs outside /usr and /lib, outermost only */
    size_t n_roots;
} auk_python;

/* Runs `name` (NULL: "python3"), looked up in PATH.  AUK_ENOTFOUND when there is none. */
AUK_MUST_CHECK int auk_python_find(auk_python **out, const char *name, auk_err *err);
void auk_python_free(auk_python *py);

/* ---- the sandbox -------------------------------------------------------------------------- */

/* How far a program is shut in; docs/eval.md says what each level stops. */
typedef enum auk_level {
    AUK_LEVEL_A, /* Linux: namespaces, private root, Landlock, seccomp, limits */
    AUK_LEVEL_B, /* Linux without user namespaces: Landlock, seccomp, limits */
    AUK_LEVEL_C, /* macOS: sandbox-exec, limits */
    AUK_LEVEL_D, /* limits alone: no protection */
} auk_level;

char auk_level_letter(auk_level level);
const char *auk_level_text(auk_level level); /* "namespaces, private root, ..." */

typedef struct auk_sandbox auk_sandbox;

typedef struct auk_sandbox_options {
    const char *level; /* NULL: the best that works here; "A" ... "D": that one or failure */
    bool unsafe;       /* level D is acceptable */
} auk_sandbox_options;

/* Finds out by trying which level works.  Borrows py.  Fails with AUK_ENOTSUP and the reason when
 * only level D is left and `unsafe` is not set. */
AUK_MUST_CHECK int auk_sandbox_open(auk_sandbox **out, const auk_python *py,
                                    const auk_sandbox_options *opts, auk_err *err);
void auk_sandbox_close(auk_sandbox *sb);
auk_level auk_sandbox_level(const auk_sandbox *sb);
const auk_python *auk_sandbox_python(const auk_sandbox *sb);

/* Why the levels above the one reached did not work, "" when none was tried in vain. */
const char *auk_sandbox_why(const auk_sandbox *sb);

typedef struct auk_limits {
    int wall_ms, cpu_s;
    uint64_t memory_bytes; /* address space of the one process a program is */
    uint64_t output_bytes; /* of standard output and error together; more kills */
    uint64_t disk_bytes;   /* of /tmp at level A; 0: 64 MiB */
    bool commands;         /* it may start other programs: a workshop's */
} auk_limits;

auk_limits auk_limits_defaults(void); /* 8 s wall, 6 s CPU, 1 GiB, 256 KiB */

typedef enum auk_end {
    AUK_END_EXITED,   /* "exited" */
    AUK_END_SIGNALED, /* "signaled": by itself */
    AUK_END_TIMEOUT,  /* "timeout": the wall clock or the CPU limit */
    AUK_END_OUTPUT,   /* "output": wrote too much */
    AUK_END_MEMORY,   /* "memory": killed by the system for want of it */
} auk_end;

const char *auk_end_name(auk_end end);

typedef struct auk_box_result {
    auk_end end;
    int exit_code; /* -1 when a signal ended it */
    int signal;    /* 0 when it exited */
    uint64_t wall_ns, cpu_ns;
    auk_buf out, err; /* standard output and error, as far as kept */
    auk_buf verdict;  /* what it wrote to descriptor 4 */
} auk_box_result;

void auk_box_result_release(auk_box_result *r);

/* One program on its way.  `script` is Python text for -c, the driver; the program itself is
 * `data`, readable on descriptor 3.  Both are copied before the call returns. */
typedef struct auk_box auk_box;
AUK_MUST_CHECK int auk_box_start(auk_box **out, const auk_sandbox *sb, const char *script,
                                 auk_str data, const auk_limits *limits, auk_err *err);

/* Waits until at least one of n boxes is done (NULL entries are skipped) or timeout_ms passed;
 * -1 waits as long as it takes. */
void auk_box_pump(auk_box *const *boxes, size_t n, int timeout_ms);
bool auk_box_done(const auk_box *box);

/* The result of a box that is done; frees it.  AUK_EIO when the box could not be set up. */
AUK_MUST_CHECK int auk_box_finish(auk_box_result *out, auk_box *box, auk_err *err);

/* Kills and frees a box that is not wanted any more; NULL is a no-op. */
void auk_box_abort(auk_box *box);

/* start, pump, finish */
AUK_MUST_CHECK int auk_box_run(auk_box_result *out, const auk_sandbox *sb, const char *script,
                               auk_str data, const auk_limits *limits, auk_err *err);

/* The driver of `sandbox -- FILE.py`: descriptor 3 holds sys.path (a line each), an empty line,
 * the script's name, an empty line and the script. */
extern const char auk_script_plain[];

/* ---- a workshop --------------------------------------------------------------------------- */

/* A box that lives for many commands: files are put into it, shell commands change them, and each
 * answer tells what differs from what was put there.  Commands may start programs, but reach
 * nothing outside: no network, no other files, no history of what was put in.  Level A, or D where
 * that is acceptable; other levels cannot let programs start programs (AUK_ENOTSUP).  What a
 * command leaves running is killed when it ends.  Not for two threads. */
typedef struct auk_workshop auk_workshop;

typedef struct auk_workshop_limits {
    int command_ms;
    uint64_t memory_bytes; /* of one process */
    uint64_t disk_bytes;   /* of all files; they lie in memory */
    size_t output_bytes;   /* of a command: of more, the first and the last half are kept */
} auk_workshop_limits;

auk_workshop_limits auk_workshop_defaults(void); /* 60 s, 2 GiB, 512 MiB, 10000 bytes */

/* What one command did. */
typedef struct auk_workshop_result {
    int exit_code; /* -N: signal N; -1000: it was killed for time */
    bool timed_out;
    bool gone;           /* the workshop itself has ended; changes are those of the last answer */
    size_t output_total; /* bytes it wrote */
    char *output;        /* owned; UTF-8, perhaps with a note where the middle was cut */
    double seconds;
} auk_workshop_result;

AUK_MUST_CHECK int auk_workshop_open(auk_workshop **out, const auk_sandbox *sb,
                                     const auk_workshop_limits *limits, auk_err *err);
void auk_workshop_close(auk_workshop *w);

/* Before the first command.  path: relative and without "..": the caller has checked that. */
AUK_MUST_CHECK int auk_workshop_put(auk_workshop *w, const char *path, bool executable,
                                    auk_str text, auk_err *err);

/* Runs `bash -c command` in the folder of the files.  AUK_OK also when it failed or the workshop is
 * gone; AUK_EINVAL: longer than AUK_MAX_COMMAND or with a NUL. */
#define AUK_MAX_COMMAND ((size_t)32 << 10)
AUK_MUST_CHECK int auk_workshop_run(auk_workshop_result *out, auk_workshop *w, auk_str command,
                                    auk_err *err);
void auk_workshop_result_release(auk_workshop_result *r);

/* What differs, as of the last command: an object, path -> new text, or null for a file that was
 * deleted.  Files that are no text, too large (1 MB), links or caches are left out, and so is
 * everything past 500 files.  Borrowed from the workshop until the next command. */
const json_t *auk_workshop_changes(const auk_workshop *w);

/* ---- the attack list ---------------------------------------------------------------------- */

typedef struct auk_attack_result {
    const char *name; /* "fork-bomb" */
    bool stopped;
    char by[160]; /* what stopped it: "fork: EPERM; nothing left over" */
} auk_attack_result;

#define AUK_MAX_ATTACKS 64

/* Runs every attack and looks, from outside, at what it left behind. */
AUK_MUST_CHECK int auk_sandbox_selftest(auk_attack_result *out, size_t *n, const auk_sandbox *sb,
                                        auk_err *err);

/* ---- the program in an answer ------------------------------------------------------------- */

/* Whether a text compiles as Python and binds `entry` at its top level.  `entry` may be empty:
 * then what compiles also counts as defining it. */
typedef struct auk_syntax {
    int (*check)(void *ctx, bool *compiles, bool *defines, auk_str text, auk_str entry,
                 auk_err *err);
    void *ctx;
} auk_syntax;

/* A Python in a box of its own that only compiles: started when first asked, and anew when a text
 * brings it down. */
typedef struct auk_pychecker auk_pychecker;
auk_pychecker *auk_pychecker_new(const auk_sandbox *sb); /* borrows sb */
void auk_pychecker_free(auk_pychecker *c);
auk_syntax auk_pychecker_syntax(auk_pychecker *c); /* borrows c */

typedef struct auk_extract_input {
    auk_str prompt;      /* goes in front where it is Python that begins the entry point */
    auk_str entry_point; /* may be empty */
    auk_str answer;      /* everything the model wrote, markers and all */
    bool cut;            /* it ended at the token limit or was stopped in a loop */
    bool is_section;     /* `answer` is the answer section alone: no markers to look for */
    bool strict;         /* a whole function stands alone: no prompt in front */
} auk_extract_input;

typedef enum auk_extract_status {
    AUK_EXTRACT_OK,        /* "ok" */
    AUK_EXTRACT_TRUNCATED, /* "truncated": cut before any answer began */
    AUK_EXTRACT_NO_CODE,   /* "no_code" */
} auk_extract_status;

const char *auk_extract_status_name(auk_extract_status s);

/* Whether a finish reason says that an answer was cut ("length", "max_tokens") or stopped in a
 * loop ("repetition_guard", "loop"). */
bool auk_finish_is_cut(auk_str finish);
bool auk_finish_is_loop(auk_str finish);

/* Appends the program to `program` (nothing unless AUK_EXTRACT_OK) and makes *trace, an object
 * that tells how it was found; the caller drops its reference. */
AUK_MUST_CHECK int auk_extract(auk_buf *program, json_t **trace, auk_extract_status *status,
                               const auk_extract_input *in, const auk_syntax *syntax, auk_err *err);

/* ---- data sets ---------------------------------------------------------------------------- */

typedef enum auk_form { AUK_FORM_HUMANEVAL, AUK_FORM_MBPP } auk_form;

/* One task; every text is borrowed from the set. */
typedef struct auk_task {
    char id[32];         /* "HumanEval/0", "MBPP/11" */
    auk_str prompt;      /* HumanEval: the beginning of the program; MBPP: English */
    auk_str entry_point; /* MBPP: the function its first assert calls; may be empty */
    auk_str reference;   /* HumanEval: goes after the prompt; MBPP: a whole program */
    auk_str before;      /* goes before the program: test_imports, test_setup_code */
    auk_str asserts;     /* MBPP: the test_list, shown to the model */
    auk_str tests;       /* goes after the program */
    bool big;            /* its tests need numpy, and memory for it */
    bool broken;         /* known to fail its own reference */
} auk_task;

typedef struct auk_dataset {
    auk_form form;
    char name[32];   /* "humaneval", or the file's last part */
    char sha256[65]; /* of the file's bytes */
    auk_task *tasks; /* owned */
    size_t n;
    struct auk_dataset_store *store; /* owned: the texts */
} auk_dataset;

/* Where the file of a named set is published; NULL for any other name. */
typedef struct auk_data_source {
    const char *set, *file, *sha256, *url;
} auk_data_source;
const auk_data_source *auk_dataset_source(const char *set);

/* Reads `path` (.json, .jsonl, either with .gz) as the set called `name`: humaneval, humaneval+,
 * mbpp, mbpp+, whose files are known by their hash and refused otherwise (AUK_EINVAL); or NULL:
 * any file of these forms.  mbpp is the 257 tasks 11 to 510 of the sanitized file.
 * AUK_EFORMAT names the record: wrong columns, a task twice. */
AUK_MUST_CHECK int auk_dataset_open(auk_dataset *out, const char *name, const char *path,
                                    auk_err *err);
void auk_dataset_close(auk_dataset *d);

/* The task an id means: "MBPP/11", "11", "HumanEval/3"; NULL when there is none. */
const auk_task *auk_dataset_find(const auk_dataset *d, auk_str id);

/* Appends the text of a task's program: `code` between what goes before and the tests. */
void auk_task_program(auk_buf *out, const auk_task *t, auk_str code);

/* ---- verdicts ----------------------------------------------------------------------------- */

typedef enum auk_status {
    AUK_STATUS_PASSED,
    AUK_STATUS_FAILED,
    AUK_STATUS_TIMEOUT,
    AUK_STATUS_MEMORY,
    AUK_STATUS_OUTPUT,
    AUK_STATUS_NO_VERDICT, /* it ended without a word: os._exit, a crash */
    AUK_STATUS_NO_CODE,
    AUK_STATUS_LOOPED, /* no code, because the model was stopped in a loop */
    AUK_STATUS_HARNESS_ERROR,
    AUK_N_STATUSES,
} auk_status;

const char *auk_status_name(auk_status s);

typedef struct auk_verdict {
    auk_status status;
    char detail[200];   /* "AssertionError", "signal 11"; "" when passed */
    double run_seconds; /* of the program itself, as its driver measured */
    double seconds;     /* of the whole box */
    bool again;         /* timed out beside others and was run once more, alone */
} auk_verdict;

/* What a scorer asks for and tells.  `program` fills in the text and the limits of job i, or a
 * verdict that needs no run (returns true).  `done` hears of every job, in order. */
typedef struct auk_score_jobs {
    size_t n;
    int (*program)(void *ctx, size_t i, auk_buf *text, int *limit_ms, bool *big,
                   auk_verdict *settled, bool *is_settled, auk_err *err);
    int (*done)(void *ctx, size_t i, const auk_verdict *v, auk_err *err);
    void *ctx;
} auk_score_jobs;

/* Runs all jobs, at most `workers` boxes at once. */
AUK_MUST_CHECK int auk_score(const auk_sandbox *sb, const auk_score_jobs *jobs, int workers,
                             auk_err *err);

/* ---- an evaluation ------------------------------------------------------------------------ */

typedef struct auk_eval_options {
    const char *set;         /* a name, or a file */
    const char *data;        /* the file of a named set */
    const char *answers;     /* one of these three */
    const char *completions; /* file of {task_id, completion} */
    const char *model;       /* a folder, or a server's URL: see client.h */
    const char *out;         /* result lines; or NULL */
    bool resume, force, strict, loop_stop;
    int limit;      /* the first so many tasks; 0: all */
    int samples;    /* per task, with a model */
    int parallel;   /* requests at once; 0: 1.  Above 1 only for a server */
    int tries;      /* of a request that failed in passing */
    int stall_ms;   /* a server silent for so long has failed; 0: 900 s for the first byte, 120 s */
    int max_tokens; /* of an answer, thinking included */
    double temperature, top_p;
    uint64_t seed;
    int workers; /* boxes at once; 0: one per processor */
    int threads;
    unsigned cpu_flags;
    const char *python; /* or NULL */
    auk_sandbox_options sandbox;
    auk_progress_fn *progress; /* or NULL */
    void *progress_ctx;
    void (*note)(void *ctx, const char *line); /* something to tell the user; or NULL */
    /* At the end, each line of the run in the order of the tasks, borrowed; or NULL. */
    int (*line)(void *ctx, const json_t *line, auk_err *err);
} auk_eval_options;

auk_eval_options auk_eval_defaults(void);

typedef struct auk_eval_result {
    char set[32], data_sha256[65], run[17];
    char prompt_sha256[65];  /* of all questions; "" when no model was asked */
    char answers_sha256[65]; /* of the file that was scored; "" when a model was asked */
    char server[300];        /* "vllm 0.11 m": who answered; "" for a folder or a file */
    char python[16];
    char level;
    size_t tasks, references_passed;
    size_t n, passed;                        /* samples that count, harness errors left out */
    size_t truncated, looped, missing, kept; /* kept: from the file that was resumed */
    size_t statuses[AUK_N_STATUSES];
    double pass_at_1; /* mean over tasks */
    double lo, hi;    /* Wilson 95 %, of samples */
    double reference_seconds, seconds;
} auk_eval_result;

AUK_MUST_CHECK int auk_eval_run(auk_eval_result *out, const auk_eval_options *opts, auk_err *err);

#endif
