/* SPDX-License-Identifier: Apache-2.0 */
/* Charts: SVG that takes its colours from the page, and the same as text. */
#include "report/doc.h"

#include <math.h>
#include <stdarg.h>

#define WIDE 640
#define LEFT 170
#define TEXT_BAR 40

static void begin(auk_doc *d, const char *title, int height)
{
    if (!d->html) {
        auk_escape_markdown(d->out, auk_str_of(title));
        auk_buf_puts(d->out, "\n\n```\n");
        return;
    }
    auk_buf_printf(d->out, "<svg class=\"c\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                   WIDE, height);
    auk_escape_html(d->out, auk_str_of(title));
    auk_buf_puts(d->out, "\"><title>");
    auk_escape_html(d->out, auk_str_of(title));
    auk_buf_puts(d->out, "</title>");
}

static void end(auk_doc *d)
{
    auk_buf_puts(d->out, d->html ? "</svg>\n" : "```\n\n");
}

static void label(auk_doc *d, double x, double y, const char *anchor, auk_str s)
{
    auk_buf_printf(d->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    auk_escape_html(d->out, s);
    auk_buf_puts(d->out, "</text>");
}

static void labelf(auk_doc *d, double x, double y, const char *anchor, const char *fmt, ...)
    AUK_PRINTF(5, 6);
static void labelf(auk_doc *d, double x, double y, const char *anchor, const char *fmt, ...)
{
    char text[96];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    label(d, x, y, anchor, auk_str_of(text));
}

/* ---- bars --------------------------------------------------------------------------------- */

void auk_doc_bars(auk_doc *d, const char *title, const auk_bar *bars, size_t n, const char *unit)
{
    double most = 0;

    for (size_t i = 0; i < n; i++)
        most = bars[i].to > most ? bars[i].to : most;
    if (!(most > 0))
        return;
    begin(d, title, (int)n * 24 + 8);
    for (size_t i = 0; i < n; i++) {
        double a = bars[i].from / most, b = bars[i].to / most, y = (double)i * 24 + 4;
        if (d->html) {
            double from = LEFT + a * (WIDE - LEFT - 90), to = LEFT + b * (WIDE - LEFT - 90);
            label(d, LEFT - 8, y + 14, "end", bars[i].label);
            auk_buf_printf(d->out, "<path class=\"f\" d=\"M%.1f %.1fh%.1fv18h-%.1fz\"/>", from, y,
                           fmax(to - from, 1), fmax(to - from, 1));
            labelf(d, fmax(to, from + 1) + 6, y + 14, "start", "%.1f %s", bars[i].to - bars[i].from,
                   unit);
            continue;
        }
        int from = (int)(a * TEXT_BAR + 0.5), to = (int)(b * TEXT_BAR + 0.5);
        auk_buf_printf(d->out, "%-28.*s %10.1f %s  ", AUK_ARG(bars[i].label),
                       bars[i].to - bars[i].from, unit);
        for (int k = 0; k < TEXT_BAR; k++)
            auk_buf_putc(d->out, k >= from && k < (to > from ? to : from + 1) ? '#' : '.');
        auk_buf_putc(d->out, '\n');
    }
    end(d);
}

/* ---- columns ------------------------------------------------------------------------------ */

void auk_doc_columns(auk_doc *d, const char *title, const uint64_t *count, size_t n, double width,
                     const char *unit)
{
    uint64_t most = 1;

    for (size_t i = 0; i < n; i++)
        most = count[i] > most ? count[i] : most;
    if (n == 0)
        return;
    begin(d, title, 150);
    double w = (double)(WIDE - 40) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double h = 100.0 * (double)count[i] / (double)most, x = 20 + (double)i * w;
        if (!d->html) {
            auk_buf_printf(d->out, "%9.2f to %9.2f %s %6llu  ", width * (double)i,
                           width * (double)(i + 1), unit, (unsigned long long)count[i]);
            for (int k = 0; k < (int)ceil(h * TEXT_BAR / 100); k++)
                auk_buf_putc(d->out, '#');
            auk_buf_putc(d->out, '\n');
            continue;
        }
        auk_buf_printf(d->out, "<path class=\"f\" d=\"M%.1f %.1fh%.1fv%.1fh-%.1fz\"/>", x + 1,
                       122 - h, w - 2, h, w - 2);
        labelf(d, x + w / 2, 117 - h, "middle", "%llu", (unsigned long long)count[i]);
    }
    if (d->html) {
        for (size_t i = 0; i <= n; i += n > 6 ? 2 : 1)
            labelf(d, 20 + (double)i * w, 140,
                   i == 0   ? "start"
                   : i == n ? "end"
                            : "middle",
                   "%.1f%s%s", width * (double)i, i == n ? " " : "", i == n ? unit : "");
    }
    end(d);
}

/* ---- curve -------------------------------------------------------------------------------- */

static double place_x(double x, double least, double most)
{
    double from = log(least), to = log(most);
    return 60 + (to > from ? (log(x) - from) / (to - from) : 0.5) * (WIDE - 100);
}

static double place_y(double y)
{
    return 16 + (1 - y) * 160;
}

static void curve_svg(auk_doc *d, const auk_point *p, size_t n, const char *unit)
{
    double least = p[0].x, most = p[n - 1].x, last = -100;

    for (int i = 0; i <= 4; i++) {
        auk_buf_printf(d->out, "<path class=\"a\" d=\"M60 %.1fH%d\"/>", place_y(i / 4.0),
                       WIDE - 40);
        labelf(d, 52, place_y(i / 4.0) + 4, "end", "%d %%", 25 * i);
    }
    auk_buf_puts(d->out, "<path class=\"l\" d=\"");
    for (size_t i = 0; i < n; i++)
        auk_buf_printf(d->out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', place_x(p[i].x, least, most),
                       place_y(p[i].y));
    auk_buf_puts(d->out, "\"/>");
    for (size_t i = 0; i < n; i++) {
        double x = place_x(p[i].x, least, most);
        auk_buf_printf(d->out,
                       "<path class=\"%s\" d=\"M%.1f %.1fh8M%.1f %.1fV%.1fM%.1f %.1fh8\"/>"
                       "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
                       p[i].bad ? "y" : "i", x - 4, place_y(p[i].lo), x, place_y(p[i].lo),
                       place_y(p[i].hi), x - 4, place_y(p[i].hi), p[i].bad ? "x" : "p", x,
                       place_y(p[i].y));
        if (x - last >= 60)
            labelf(d, last = x, 196, "middle", "%.0f", p[i].x);
    }
    labelf(d, WIDE - 40, 212, "end", "%s", unit);
}

void auk_doc_curve(auk_doc *d, const char *title, const auk_point *p, size_t n, const char *unit)
{
    if (n == 0 || !(p[0].x > 0))
        return;
    begin(d, title, 218);
    if (d->html)
        curve_svg(d, p, n, unit);
    for (size_t i = 0; i < n && !d->html; i++) {
        auk_buf_printf(d->out, "%9.0f %s  ", p[i].x, unit);
        for (int k = 0; k <= TEXT_BAR; k++) {
            double at = (double)k / TEXT_BAR, half = 0.5 / TEXT_BAR;
            auk_buf_putc(d->out, fabs(at - p[i].y) <= half        ? 'o'
                                 : at >= p[i].lo && at <= p[i].hi ? '-'
                                                                  : '.');
        }
        auk_buf_printf(d->out, "  %3.0f %%%s\n", 100 * p[i].y, p[i].bad ? "  FAILS" : "");
    }
    end(d);
}

/* ---- fields ------------------------------------------------------------------------------- */

void auk_doc_field(auk_doc *d, const char *title, const double *values, size_t rows, size_t cols)
{
    static const char shades[] = ".:-=+*%@";
    double wide = (double)(WIDE - 40) / (double)(cols > 0 ? cols : 1);

    begin(d, title, (int)(20 + 13 * rows));
    for (size_t r = 0; r < rows; r++) {
        if (d->html)
            labelf(d, 30, 20 + 13 * (double)r, "end", "%zu", r);
        else
            auk_buf_printf(d->out, "%4zu ", r);
        for (size_t c = 0; c < cols; c++) {
            double v = values[r * cols + c];
            double shade = isfinite(v) ? fmin(fmax(v, 0.0), 1.0) : 0;
            if (!d->html)
                auk_buf_putc(d->out, isfinite(v) ? shades[(int)(shade * 7.99)] : ' ');
            else if (isfinite(v))
                auk_buf_printf(
                    d->out,
                    "<rect class=\"f\" x=\"%.1f\" y=\"%zu\" width=\"%.1f\" height=\"12\" "
                    "fill-opacity=\"%.2f\"/>",
                    36 + wide * (double)c, 10 + 13 * r, wide * 0.9, 0.05 + 0.95 * shade);
        }
        if (!d->html)
            auk_buf_putc(d->out, '\n');
    }
    end(d);
}
