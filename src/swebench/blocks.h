/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.h - SEARCH/REPLACE blocks in an answer, as text; nothing is looked up in files. */
#ifndef AUK_SWEBENCH_BLOCKS_H
#define AUK_SWEBENCH_BLOCKS_H

#include "swebench/line_list.h"

/* One block: lines [search, divider) and (divider, end) of the answer.  SEARCH text may itself
 * hold lines that look like a divider (headings of documents do): all candidates are kept, the
 * files decide.  Nothing is owned: texts are borrowed from the answer. */
typedef struct auk_block {
    auk_str path;     /* empty: none was given */
    size_t line;      /* of the first marker, from 1 */
    size_t search;    /* first line of SEARCH, an index of the answer's lines */
    size_t end;       /* the line of the last marker */
    size_t *dividers; /* owned; lines between */
    size_t n_dividers;
    const char *malformed; /* NULL, or what is wrong */
} auk_block;

typedef struct auk_blocks {
    auk_line_list lines; /* of the answer section */
    auk_block *p;        /* owned */
    size_t n;
} auk_blocks;

/* AUK_ELIMIT for more than AUK_MAX_EDITS blocks. */
AUK_MUST_CHECK int auk_blocks_read(auk_blocks *out, auk_str answer, bool is_section, auk_err *err);
void auk_blocks_release(auk_blocks *b);

#endif
