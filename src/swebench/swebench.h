/* SPDX-License-Identifier: Apache-2.0 */
/* swebench.h - from an issue to a patch and from reports to a table: the subset, SEARCH/REPLACE
 * answers and the diffs made of them, single-shot generation, an agent, the analysis.
 *
 * Official tests run elsewhere, in the benchmark's own harness; docs/swebench.md takes a user
 * through it.  Answers, repositories and reports are untrusted.  Objects belong to one thread. */
#ifndef AUK_SWEBENCH_SWEBENCH_H
#define AUK_SWEBENCH_SWEBENCH_H

#include "client/client.h"
#include "eval/eval.h"

#define AUK_MAX_SOURCE ((size_t)16 << 20) /* bytes of one source file that is read or edited */
#define AUK_MAX_EDITS 4096                /* blocks of one answer */

/* ---- an answer becomes a patch ------------------------------------------------------------ */

/* How a block's SEARCH was found, strictest first; the chain stops at the first level with exactly
 * one hit.  Two or more hits are ambiguous, but at level exact the first one at or after the
 * previous edit of the file is taken, else the file's first.  There is no fuzzy level. */
typedef enum auk_edit_level {
    AUK_EDIT_NONE,
    AUK_EDIT_EXACT,
    AUK_EDIT_TRAILING_BLANKS, /* blanks at the ends of lines do not count */
    AUK_EDIT_INDENT,          /* all lines are shifted by the same indentation */
    AUK_EDIT_BLANK_LINES,     /* blank lines do not count */
    AUK_EDIT_WHITE_SPACE,     /* any white space in a line counts as one blank */
    AUK_N_EDIT_LEVELS,
} auk_edit_level;

typedef enum auk_edit_status {
    AUK_EDIT_APPLIED,
    AUK_EDIT_AMBIGUOUS,
    AUK_EDIT_NOT_FOUND, /* no such text, or no such file */
    AUK_EDIT_REFUSED,   /* the path or the file is nothing we edit */
    AUK_EDIT_EMPTY,     /* found, and changes nothing */
    AUK_EDIT_MALFORMED, /* no divider, no end, no path */
    AUK_N_EDIT_STATUSES,
} auk_edit_status;

const char *auk_edit_level_name(auk_edit_level l);   /* "exact" ...; "" for none */
const char *auk_edit_status_name(auk_edit_status s); /* "applied" ... */

typedef struct auk_edit {
    char *file; /* owned; as the answer has it; "" when it has none */
    auk_edit_level level;
    auk_edit_status status;
    size_t line;   /* of its first marker in the answer section, from 1 */
    char why[240]; /* "" when applied */
} auk_edit;

/* Where the original files are.  read appends the file's bytes and sets *exists, which stays false
 * for a path that is free; AUK_EINVAL with the reason for one that must not be edited (a link, not
 * UTF-8, too large, outside the tree), any other code stops everything. */
typedef struct auk_source {
    int (*read)(void *ctx, auk_buf *out, bool *exists, const char *path, auk_err *err);
    void *ctx;
    const char *const *shown; /* the only files that may be edited, sorted or not; NULL: all */
    size_t n_shown;
} auk_source;

typedef struct auk_patch {
    auk_edit *edits; /* owned; in the answer's order */
    size_t n_edits;
    auk_buf diff;             /* owned; "" unless something changes; ends with one newline */
    bool complete;            /* every block was applied or is empty */
    size_t files, test_files; /* changed; those that look like tests */
} auk_patch;

/* Reads the blocks of `answer`, applies them in order to the files in memory and makes the diff.
 * A block that fails refuses the whole answer, unless `partial`: then what matched is kept.
 * `is_section` says that the answer holds no thinking and no markers of a turn.  The diff has been
 * applied again by auk_diff_apply and gave the edited bytes.  Lines that a block leaves alone keep
 * the file's bytes, and so do its line ends, its BOM and a missing last newline. */
AUK_MUST_CHECK int auk_patch_make(auk_patch *out, auk_str answer, bool is_section, bool partial,
                                  const auk_source *source, auk_err *err);
void auk_patch_release(auk_patch *p);

/* "partial", "applied", "no_edit_block", "edit_did_not_match", "patch_empty": of the answer. */
const char *auk_patch_outcome(const auk_patch *p);

/* A plain folder as source: regular files below `root`, no link on the way. */
typedef struct auk_root {
    int fd;
} auk_root;
AUK_MUST_CHECK int auk_root_open(auk_root *out, const char *dir, auk_err *err);
void auk_root_close(auk_root *r);
AUK_MUST_CHECK int auk_root_read(void *root, auk_buf *out, bool *exists, const char *path,
                                 auk_err *err); /* an auk_source.read */

/* AUK_EINVAL, with the reason, for a path that leaves the tree, enters .git or cannot stand in a
 * patch. */
AUK_MUST_CHECK int auk_edit_path_check(const char *path, auk_err *err);

/* ---- diffs -------------------------------------------------------------------------------- */

/* Appends the unified diff of one file as git writes it: "diff --git", a/ and b/, three lines of
 * context, exact counts.  before NULL: a new file; after NULL: it is deleted.  Nothing when the
 * two are equal. */
void auk_diff_file(auk_buf *out, const char *path, const auk_str *before, const auk_str *after);

/* Our own strict applier, the check of the above: appends `path`'s new text, made from `before`
 * by the hunks `diff` has for it.  AUK_EFORMAT when a count, a line number or a line of context is
 * not exactly right. */
AUK_MUST_CHECK int auk_diff_apply(auk_buf *out, auk_str before, auk_str diff, const char *path,
                                  auk_err *err);

/* ---- the data set ------------------------------------------------------------------------- */

/* One instance; every text is borrowed from the set. */
typedef struct auk_instance {
    const char *id, *repo, *base_commit; /* base_commit: 40 hexadecimal digits */
    auk_str issue;
    const char **files; /* owned: the oracle files, those the gold patch changes and that exist */
    size_t n_files;
} auk_instance;

typedef struct auk_instances {
    auk_instance *p; /* owned */
    size_t n;
    char sha256[65];                   /* of the file */
    struct auk_instances_store *store; /* owned: the texts */
} auk_instances;

/* Something to tell the user that does not end the work: one line. */
typedef struct auk_notes {
    void (*say)(void *ctx, const char *line); /* or NULL */
    void *ctx;
} auk_notes;

/* Reads lines {instance_id, repo, base_commit, problem_statement, patch}; further keys do not
 * matter.  A line that is blank or repeats an id is said and left out; AUK_EFORMAT names the line
 * that lacks a key. */
AUK_MUST_CHECK int auk_instances_open(auk_instances *out, const char *path, const auk_notes *notes,
                                      auk_err *err);
void auk_instances_close(auk_instances *d);
const auk_instance *auk_instances_find(const auk_instances *d, const char *id);

/* ---- the subset --------------------------------------------------------------------------- */

typedef struct auk_stratum {
    const char *repo; /* borrowed from the set */
    size_t has, takes;
} auk_stratum;

typedef struct auk_subset {
    const auk_instance **p; /* owned; borrowed instances, sorted by id as text */
    size_t n;
    auk_stratum *strata; /* owned; sorted by repository; NULL for a subset that was read */
    size_t n_strata;
    char sha256[65]; /* of its JSON text: a list, indent 2, a newline */
} auk_subset;

/* The rule of docs/swebench.md: at least one of each repository, the rest by largest remainder,
 * drawn with MT19937 as Python's random.Random(seed).  AUK_EINVAL when n is less than the number
 * of repositories or more than that of instances. */
AUK_MUST_CHECK int auk_subset_draw(auk_subset *out, const auk_instances *d, size_t n, uint64_t seed,
                                   auk_err *err);

/* A file that names instances: a JSON list of ids or of objects with instance_id, an object that
 * holds such a list, or one id a line.  sha256 not NULL: the file's bytes must have it
 * (AUK_EINVAL).  Ids that the set lacks, and ids that come twice, are said and left out. */
AUK_MUST_CHECK int auk_subset_read(auk_subset *out, const char *path, const char *sha256,
                                   const auk_instances *d, const auk_notes *notes, auk_err *err);

/* All instances of the set. */
void auk_subset_all(auk_subset *out, const auk_instances *d);
void auk_subset_text(auk_buf *out, const auk_subset *s);
void auk_subset_release(auk_subset *s);

/* ---- repositories ------------------------------------------------------------------------- */

/* The files of one instance at its base commit: a clone (bare or not; nothing of it is run), or a
 * plain folder that is at that commit already.  Looked for in `dir` as <instance_id>,
 * <owner>__<name>, <owner>/<name>, <name>, each also with .git. */
typedef struct auk_tree auk_tree;
AUK_MUST_CHECK int auk_tree_open(auk_tree **out, const char *dir, const auk_instance *in,
                                 auk_err *err);
void auk_tree_close(auk_tree *t);
AUK_MUST_CHECK int auk_tree_read(void *tree, auk_buf *out, bool *exists, const char *path,
                                 auk_err *err); /* an auk_source.read */

/* Calls fn for every regular file, in an order that is always the same. */
typedef int auk_tree_fn(void *ctx, const char *path, bool executable, auk_str text, auk_err *err);
AUK_MUST_CHECK int auk_tree_walk(const auk_tree *t, auk_tree_fn *fn, void *ctx, auk_err *err);

/* ---- runs with a model -------------------------------------------------------------------- */

typedef struct auk_swebench_options {
    const char *data, *subset, *subset_sha256, *repos; /* subset NULL: all of data */
    const char *out, *trace;  /* predictions; what happened (NULL: out with .trace.jsonl) */
    const char *prompts;      /* generate: write prompts there and ask nobody; or NULL */
    const char *model, *name; /* name: model_name_or_path; NULL: the model's own */
    const char *tokenizer;    /* folder or file; NULL: the model folder's */
    bool resume, force, loop_stop, partial, any_file;
    int limit;           /* the first so many instances; 0: all */
    int max_tokens, ctx; /* ctx 0: what is needed, or the server's own */
    double temperature;
    uint64_t seed;
    /* agent */
    int steps, command_seconds, seconds; /* per instance */
    int64_t tokens;                      /* per instance, prompts and answers; 0: no limit */
    bool stuck_stop;
    auk_sandbox_options sandbox;
    const char *python;
    int threads;
    unsigned cpu_flags;
    auk_progress_fn *progress; /* or NULL */
    void *progress_ctx;
    auk_notes notes;
} auk_swebench_options;

auk_swebench_options auk_swebench_defaults(void);

typedef struct auk_swebench_result {
    char run[17], data_sha256[65], subset_sha256[65], prompt_sha256[65];
    size_t n, kept, asked, failed; /* failed: not asked or not answered; --resume tries again */
    size_t with_patch, truncated, looped, overflow;
    uint64_t prompt_tok, completion_tok;
    double prepare_seconds, seconds;
    char level; /* agent: of the sandbox */
} auk_swebench_result;

/* Single shot: issue and oracle files in, SEARCH/REPLACE out.  Prompts that do not fit the context
 * are not cut: the instance gets an empty patch and the outcome `overflow`. */
AUK_MUST_CHECK int auk_swebench_generate(auk_swebench_result *out, const auk_swebench_options *o,
                                         auk_err *err);

/* Many turns, one shell command each, in a sandbox on a copy without history. */
AUK_MUST_CHECK int auk_swebench_agent(auk_swebench_result *out, const auk_swebench_options *o,
                                      auk_err *err);

/* ---- what came of it ---------------------------------------------------------------------- */

typedef struct auk_analysis_options {
    const char *preds;
    const char *data, *subset; /* or NULL */
    const char *const *reports, *const *traces;
    size_t n_reports, n_traces;
    auk_notes notes;
} auk_analysis_options;

/* *summary: an object with the columns and rates; *items: one object per instance, in the order of
 * the predictions, with task_id, passed and status, as the ledger and `stats` want them. */
AUK_MUST_CHECK int auk_swebench_analyze(json_t **summary, json_t **items,
                                        const auk_analysis_options *o, auk_err *err);

#endif
