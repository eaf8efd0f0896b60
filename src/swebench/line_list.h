/* SPDX-License-Identifier: Apache-2.0 */
/* line_list.h - a text as lines, and the shortest way from one list of lines to another. */
#ifndef AUK_SWEBENCH_LINE_LIST_H
#define AUK_SWEBENCH_LINE_LIST_H

#include "base/buf.h"

/* One line: its text without the line end, and the line end: "\n", "\r\n" or nothing. */
typedef struct auk_line {
    auk_str text;
    uint8_t end; /* bytes */
} auk_line;

typedef struct auk_line_list {
    auk_line *p; /* owned; texts are borrowed */
    size_t n;
} auk_line_list;

AUK_MUST_CHECK int auk_line_list_split(auk_line_list *out, auk_str text, auk_err *err);
void auk_line_list_release(auk_line_list *l);

/* Whole lines, line ends included, or their texts alone. */
bool auk_line_same(const auk_line *a, const auk_line *b);

bool auk_is_blank(auk_str text);    /* blanks and tabs alone */
auk_str auk_trim_end(auk_str text); /* without blanks, tabs and CRs at its end */
size_t auk_indent_of(auk_str text); /* bytes of leading blanks and tabs */

bool auk_is_utf8(auk_str text);

/* Marks the lines of a that are not kept and those of b that are new (arrays of a.n and b.n).
 * Myers 1986, greedy and forward, between the common beginning and end; where more than
 * AUK_MAX_DIFFERENCES lines differ, everything between them is marked.  text_only: line ends do
 * not count. */
#define AUK_MAX_DIFFERENCES 3000
AUK_MUST_CHECK int auk_line_list_diff(bool *gone, bool *added, const auk_line_list *a,
                                      const auk_line_list *b, bool text_only, auk_err *err);

#endif
