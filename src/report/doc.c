/* SPDX-License-Identifier: Apache-2.0 */
#include "report/doc.h"

#include <stdarg.h>

/* Colours are chosen to be told apart with any kind of sight and in grey print: good and bad also
 * differ in their words. */
static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#5b6570;--line:#d4d9df;"
    "--soft:#f4f6f8;--good:#0a6640;--bad:#a3241b;--bar:#2563a8}\n"
    "@media (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e3e7eb;--dim:#98a3ae;"
    "--line:#363d45;--soft:#1d2226;--good:#5cc795;--bad:#f08b80;--bar:#7ab2ee}}\n"
    "@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--dim:#444;--line:#999;--soft:#fff;"
    "--good:#000;--bad:#000;--bar:#000}tr,pre,h2,h3{break-inside:avoid}h2,h3{break-after:avoid}"
    "body{max-width:none;font-size:9.5pt}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg);"
    "max-width:70rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.2rem;border-bottom:1px solid "
    "var(--line)}h3{font-size:1.05rem;margin-top:1.5rem}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;margin:.6rem 0;font-size:.9rem}"
    "th,td{padding:.22rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid "
    "var(--line)}thead{display:table-header-group}th{border-bottom:2px solid var(--line)}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".g{color:var(--good)}.b{color:var(--bad);font-weight:600}.m{color:var(--dim)}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.88em}"
    "td code{overflow-wrap:anywhere}"
    "pre{background:var(--soft);padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;"
    "border:1px solid var(--line)}\n"
    ".warn{border-left:4px solid var(--bad);padding:.3rem .8rem;background:var(--soft)}"
    "details{margin:.3rem 0}summary{cursor:pointer}svg{display:block}"
    "svg.c{width:100%;max-width:46rem;height:auto}svg text{fill:var(--fg);font:12px "
    "system-ui,sans-serif}svg .f{fill:var(--bar)}svg .l{fill:none;stroke:var(--bar);"
    "stroke-width:1.5}svg .x{fill:var(--bad)}svg .y{stroke:var(--bad);stroke-width:2}\n"
    "svg .a{stroke:var(--line)}svg .i{stroke:var(--bar);stroke-width:2}svg .p{fill:var(--bar)}\n";

void auk_doc_begin(auk_doc *d, auk_buf *out, bool html, const char *title)
{
    *d = (auk_doc){.out = out, .html = html};
    if (!html) {
        auk_doc_heading(d, 1, NULL, auk_str_of(title));
        return;
    }
    auk_buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                      "style-src 'unsafe-inline'\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    auk_escape_html(out, auk_str_of(title));
    auk_buf_printf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", style);
    auk_doc_heading(d, 1, NULL, auk_str_of(title));
}

void auk_doc_end(auk_doc *d)
{
    if (d->html)
        auk_buf_puts(d->out, "</main>\n</body>\n</html>\n");
}

void auk_doc_heading(auk_doc *d, int level, const char *anchor, auk_str text)
{
    if (!d->html) {
        auk_buf_printf(d->out, "%.*s ", level, "####");
        auk_escape_markdown(d->out, text);
        auk_buf_puts(d->out, "\n\n");
        return;
    }
    auk_buf_printf(d->out, "<h%d", level);
    if (anchor != NULL)
        auk_buf_printf(d->out, " id=\"%s\"", anchor);
    auk_buf_putc(d->out, '>');
    auk_escape_html(d->out, text);
    auk_buf_printf(d->out, "</h%d>\n", level);
}

static void text(auk_doc *d, auk_str t)
{
    if (d->html)
        auk_escape_html(d->out, t);
    else
        auk_escape_markdown(d->out, t);
}

void auk_doc_para(auk_doc *d, auk_str t)
{
    auk_buf_puts(d->out, d->html ? "<p>" : "");
    text(d, t);
    auk_buf_puts(d->out, d->html ? "</p>\n" : "\n\n");
}

void auk_doc_warning(auk_doc *d, auk_str t)
{
    auk_buf_puts(d->out, d->html ? "<p class=\"warn\">" : "> ");
    text(d, t);
    auk_buf_puts(d->out, d->html ? "</p>\n" : "\n\n");
}

void auk_doc_table(auk_doc *d, const auk_column *columns, size_t n)
{
    d->columns = columns;
    d->n_columns = n;
    d->column = 0;
    if (d->html)
        auk_buf_puts(d->out, "<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr>");
    for (size_t i = 0; i < n; i++) {
        bool header = *columns[i].title != 0; /* one without words is an empty cell */
        if (d->html)
            auk_buf_puts(d->out, !header                ? "<td>"
                                 : columns[i].is_number ? "<th class=\"n\">"
                                                        : "<th>");
        else
            auk_buf_puts(d->out, i == 0 ? "| " : " ");
        text(d, auk_str_of(columns[i].title));
        auk_buf_puts(d->out, !d->html ? " |" : header ? "</th>" : "</td>");
    }
    if (d->html) {
        auk_buf_puts(d->out, "</tr></thead>\n<tbody>\n");
        return;
    }
    auk_buf_puts(d->out, "\n|");
    for (size_t i = 0; i < n; i++)
        auk_buf_puts(d->out, columns[i].is_number ? " ---: |" : " --- |");
    auk_buf_putc(d->out, '\n');
}

static void cell_begin(auk_doc *d, const char *class)
{
    bool right = d->columns[d->column].is_number;

    if (!d->html) {
        auk_buf_puts(d->out, d->column == 0 ? "| " : " ");
        return;
    }
    auk_buf_puts(d->out, d->column == 0 ? "<tr><td" : "<td");
    if (right || *class != 0)
        auk_buf_printf(d->out, " class=\"%s%s%s\"", right ? "n" : "", right && *class ? " " : "",
                       class);
    auk_buf_putc(d->out, '>');
}

static void cell_end(auk_doc *d)
{
    bool last = ++d->column == d->n_columns;

    auk_buf_puts(d->out, d->html ? last ? "</td></tr>\n" : "</td>" : last ? " |\n" : " |");
    if (last)
        d->column = 0;
}

void auk_doc_cell(auk_doc *d, auk_look look, auk_str t)
{
    static const char *const class[] = {"", "", "g", "b", "m", ""};
    const char *open = "", *close = "";

    if (t.n > 0 && d->html && look == AUK_CODE)
        open = "<code>", close = "</code>";
    else if (t.n > 0 && look == AUK_STRONG)
        open = d->html ? "<strong>" : "**", close = d->html ? "</strong>" : "**";
    else if (t.n > 0 && !d->html && look == AUK_BAD)
        open = close = "**";
    cell_begin(d, class[look]);
    auk_buf_puts(d->out, open);
    text(d, t);
    auk_buf_puts(d->out, close);
    cell_end(d);
}

void auk_doc_cellf(auk_doc *d, auk_look look, const char *fmt, ...)
{
    char t[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(t, sizeof t, fmt, args);
    va_end(args);
    auk_doc_cell(d, look, auk_str_of(t));
}

void auk_doc_table_end(auk_doc *d)
{
    auk_buf_puts(d->out, d->html ? "</tbody>\n</table></div>\n" : "\n");
    d->columns = NULL;
}

/* Into 0..200 for the picture, 0..40 for the line. */
static int place(double v, double from, double to, int width)
{
    double x = (v - from) / (to - from) * width;
    return x < 0 ? 0 : x > width ? width : (int)(x + 0.5);
}

void auk_doc_picture(auk_doc *d, double lo, double hi, double at, double from, double to)
{
    int width = d->html ? 200 : 40;
    int a = place(lo, from, to, width), b = place(hi, from, to, width),
        p = place(at, from, to, width);

    cell_begin(d, "");
    if (d->html) {
        auk_buf_printf(d->out,
                       "<svg width=\"210\" height=\"16\" viewBox=\"-5 0 210 16\" role=\"img\" "
                       "aria-label=\"%.4f, from %.4f to %.4f\"><path class=\"a\" d=\"M0 8H200",
                       at, lo, hi);
        for (int i = 0; i <= 4; i++)
            auk_buf_printf(d->out, "M%d 5V11", i * 50);
        auk_buf_printf(d->out,
                       "\"/><path class=\"i\" d=\"M%d 3V13M%d 8H%dM%d 3V13\"/>"
                       "<circle class=\"p\" cx=\"%d\" cy=\"8\" r=\"4\"/></svg>",
                       a, a, b, b, p);
    } else {
        auk_buf_putc(d->out, '`');
        for (int i = 0; i <= width; i++)
            auk_buf_putc(d->out, i == p                 ? 'o'
                                 : i == a               ? '['
                                 : i == b               ? ']'
                                 : i > a && i < b       ? '='
                                 : i % (width / 4) == 0 ? '+'
                                                        : '-');
        auk_buf_putc(d->out, '`');
    }
    cell_end(d);
}

void auk_doc_fold(auk_doc *d, auk_str title)
{
    auk_buf_puts(d->out, d->html ? "<details><summary>" : "**");
    text(d, title);
    auk_buf_puts(d->out, d->html ? "</summary>\n" : "**\n\n");
}

void auk_doc_fold_end(auk_doc *d)
{
    auk_buf_puts(d->out, d->html ? "</details>\n" : "");
}

/* A Markdown block is fenced by more backticks than any run it holds. */
static void fence(auk_doc *d, auk_str t)
{
    size_t longest = 2, run = 0;

    for (size_t i = 0; i < t.n; i++) {
        run = t.p[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    for (size_t i = 0; i <= longest; i++)
        auk_buf_putc(d->out, '`');
    auk_buf_putc(d->out, '\n');
}

void auk_doc_code(auk_doc *d, auk_str t)
{
    if (d->html) {
        auk_buf_puts(d->out, "<pre>");
        if (t.n > 0 && t.p[0] == '\n') /* HTML drops the first one */
            auk_buf_putc(d->out, '\n');
        auk_escape_html(d->out, t);
        auk_buf_puts(d->out, "</pre>\n");
        return;
    }
    fence(d, t);
    auk_escape_text(d->out, t);
    auk_buf_puts(d->out, t.n > 0 && t.p[t.n - 1] == '\n' ? "" : "\n");
    fence(d, t);
    auk_buf_putc(d->out, '\n');
}
