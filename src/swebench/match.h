/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - where in a file a block's SEARCH is, and what the file says with its REPLACE. */
#ifndef AUK_SWEBENCH_MATCH_H
#define AUK_SWEBENCH_MATCH_H

#include "swebench/line_list.h"
#include "swebench/swebench.h"

typedef struct auk_match {
    auk_edit_level level; /* AUK_EDIT_NONE: nowhere */
    size_t hits;          /* at that level */
    size_t from, to;      /* lines of the file, [from, to) */
} auk_match;

/* The chain of auk_edit_level; `after` is the line at which the file's last edit ended. */
AUK_MUST_CHECK int auk_match_find(auk_match *out, const auk_line_list *file,
                                  const auk_line_list *search, size_t after, auk_err *err);

/* Appends the whole file with lines [from, to) replaced; *end is the line behind the new ones.
 * Lines of `replace` that stand in `search` too keep the file's bytes. */
AUK_MUST_CHECK int auk_match_apply(auk_buf *out, size_t *end, const auk_match *m,
                                   const auk_line_list *file, const auk_line_list *search,
                                   const auk_line_list *replace, auk_err *err);

#endif
