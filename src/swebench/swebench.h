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

#endif
