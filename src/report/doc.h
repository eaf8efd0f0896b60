/* SPDX-License-Identifier: Apache-2.0 */
/* doc.h - a document written from top to bottom, in HTML or in Markdown.  Private to report/.
 *
 * What is written is text: the writer escapes it.  Bytes that are not UTF-8 become U+FFFD, control
 * characters their pictures (U+2400 ...), and characters that turn or hide text their number, so
 * that a page shows what is there and obeys nothing. */
#ifndef AUK_REPORT_DOC_H
#define AUK_REPORT_DOC_H

#include "report/rows.h"

/* How a cell looks. */
typedef enum auk_look { AUK_PLAIN, AUK_CODE, AUK_GOOD, AUK_BAD, AUK_MUTED, AUK_STRONG } auk_look;

typedef struct auk_column {
    const char *title;
    bool is_number; /* to the right */
} auk_column;

typedef struct auk_doc auk_doc;
struct auk_doc {
    auk_buf *out; /* borrowed */
    bool html;
    const auk_column *columns; /* of the open table */
    size_t n_columns, column;
};

void auk_doc_begin(auk_doc *d, auk_buf *out, bool html, const char *title);
void auk_doc_end(auk_doc *d);

void auk_doc_heading(auk_doc *d, int level, const char *anchor, auk_str text);
void auk_doc_para(auk_doc *d, auk_str text);
void auk_doc_warning(auk_doc *d, auk_str text);

/* A table is its cells from left to right; a row ends by itself. */
void auk_doc_table(auk_doc *d, const auk_column *columns, size_t n);
void auk_doc_cell(auk_doc *d, auk_look look, auk_str text);
void auk_doc_cellf(auk_doc *d, auk_look look, const char *fmt, ...) AUK_PRINTF(3, 4);
void auk_doc_table_end(auk_doc *d);

/* A cell with lo, hi and the estimate between them on an axis from `from` to `to`: a picture in
 * HTML, a line of text in Markdown. */
void auk_doc_picture(auk_doc *d, double lo, double hi, double at, double from, double to);

/* ---- charts (doc_chart.c): pictures in HTML, lines of text in Markdown -------------------- */

typedef struct auk_bar {
    auk_str label;
    double from, to;
} auk_bar;

/* Bars one under the other on an axis from 0 to the largest `to`: a waterfall. */
void auk_doc_bars(auk_doc *d, const char *title, const auk_bar *bars, size_t n, const char *unit);

/* A field of rows x cols values, shaded from 0 (light) to 1 and more (dark); NAN stays empty. */
void auk_doc_field(auk_doc *d, const char *title, const double *values, size_t rows, size_t cols);

/* Counts of bins of equal width from 0. */
void auk_doc_columns(auk_doc *d, const char *title, const uint64_t *count, size_t n, double width,
                     const char *unit);

typedef struct auk_point {
    double x, y, lo, hi; /* y and its interval in [0, 1] */
    bool bad;
} auk_point;

/* Rates with intervals over x, which is drawn by its logarithm. */
void auk_doc_curve(auk_doc *d, const char *title, const auk_point *p, size_t n, const char *unit);

/* What is folded away until it is asked for; in Markdown it is simply there. */
void auk_doc_fold(auk_doc *d, auk_str title);
void auk_doc_fold_end(auk_doc *d);
void auk_doc_code(auk_doc *d, auk_str text); /* a block, as it is */

/* ---- escaping (escape.c) ------------------------------------------------------------------ */

void auk_escape_html(auk_buf *out, auk_str text);
void auk_escape_markdown(auk_buf *out, auk_str text); /* one line */

#endif
