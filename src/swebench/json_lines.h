/* SPDX-License-Identifier: Apache-2.0 */
/* json_lines.h - files of one JSON object a line: read, appended to, taken up after a kill. */
#ifndef AUK_SWEBENCH_JSON_LINES_H
#define AUK_SWEBENCH_JSON_LINES_H

#include "swebench/swebench.h"

void auk_note(const auk_notes *notes, const char *fmt, ...) AUK_PRINTF(2, 3);

/* Calls fn with each line's object (borrowed) and its number.  Blank lines are said and skipped. */
typedef int auk_json_line_fn(void *ctx, size_t number, json_t *row, auk_err *err);
AUK_MUST_CHECK int auk_json_lines_read(const char *path, char sha256[65], const auk_notes *notes,
                                       auk_json_line_fn *fn, void *ctx, auk_err *err);

/* A file that grows by whole lines.  {.fd = -1} is closed. */
typedef struct auk_json_out {
    int fd;
    char *path; /* owned */
} auk_json_out;

/* Without resume an existing file is refused, or with force replaced.  With resume, lines of ids
 * in `keep` (an object; NULL: all) stay, others and a torn last one go; *found gets id -> line
 * (owned).  A first line with a "schema" is no result: `head` (borrowed) must equal it, key "run"
 * alone compared, and is written to a new file; NULL: the file has none. */
AUK_MUST_CHECK int auk_json_out_open(auk_json_out *out, json_t **found, const char *path,
                                     const json_t *head, const json_t *keep, bool resume,
                                     bool force, auk_err *err);
/* One write, then the line is the system's. */
AUK_MUST_CHECK int auk_json_out_add(auk_json_out *o, const json_t *line, auk_err *err);
void auk_json_out_close(auk_json_out *o);

#endif
