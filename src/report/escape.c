/* SPDX-License-Identifier: Apache-2.0 */
#include "report/doc.h"

#define REPLACEMENT 0xFFFDu

/* The next character of [p, end) through *c; returns how many bytes it takes.  A byte that begins
 * no valid character (overlong, surrogate, too large, cut off) is REPLACEMENT and one byte. */
static size_t next(uint32_t *c, const unsigned char *p, const unsigned char *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *p < 0x80 ? 1 : *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : 2;

    *c = *p;
    if (n == 1)
        return 1;
    *c = *p & (n == 4 ? 7u : n == 3 ? 15u : 31u);
    for (size_t i = 1; i < n; i++) {
        if (i >= (size_t)(end - p) || (p[i] & 0xC0) != 0x80)
            goto bad;
        *c = *c << 6 | (p[i] & 63u);
    }
    if (*p >= 0xC0 && *p < 0xF8 && *c >= least[n] && *c <= 0x10FFFF &&
        !(*c >= 0xD800 && *c <= 0xDFFF))
        return n;
bad:
    *c = REPLACEMENT;
    return 1;
}

static void put(auk_buf *out, uint32_t c)
{
    if (c < 0x80) {
        auk_buf_putc(out, (char)c);
    } else if (c < 0x800) {
        auk_buf_putc(out, (char)(0xC0 | c >> 6));
        auk_buf_putc(out, (char)(0x80 | (c & 63)));
    } else {
        if (c < 0x10000) {
            auk_buf_putc(out, (char)(0xE0 | c >> 12));
        } else {
            auk_buf_putc(out, (char)(0xF0 | c >> 18));
            auk_buf_putc(out, (char)(0x80 | (c >> 12 & 63)));
        }
        auk_buf_putc(out, (char)(0x80 | (c >> 6 & 63)));
        auk_buf_putc(out, (char)(0x80 | (c & 63)));
    }
}

/* Turns the direction of text, joins or hides it, or is no character at all. */
static bool is_hidden(uint32_t c)
{
    return (c >= 0x80 && c < 0xA0) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFB) || (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF) ||
           (c >= 0xE0000 && c <= 0xE0FFF);
}

/* Appends c, made visible; true when it was replaced. */
static bool show(auk_buf *out, uint32_t c)
{
    if (c < 0x20 || c == 0x7F)
        put(out, c == 0x7F ? 0x2421 : 0x2400 + c);
    else if (is_hidden(c))
        auk_buf_printf(out, "(U+%04X)", c);
    else
        return false;
    return true;
}

static void escape(auk_buf *out, auk_str text, bool lines)
{
    const unsigned char *p = (const unsigned char *)text.p, *end = text.n > 0 ? p + text.n : p;
    uint32_t c;

    while (p < end) {
        p += next(&c, p, end);
        if ((lines && (c == '\n' || c == '\t')) || !show(out, c))
            put(out, c);
    }
}

void auk_escape_text(auk_buf *out, auk_str text)
{
    escape(out, text, true);
}

void auk_escape_line(auk_buf *out, auk_str text)
{
    escape(out, text, false);
}

void auk_escape_html(auk_buf *out, auk_str text)
{
    const unsigned char *p = (const unsigned char *)text.p, *end = text.n > 0 ? p + text.n : p;
    uint32_t c;

    while (p < end) {
        p += next(&c, p, end);
        if (c == '&')
            auk_buf_puts(out, "&amp;");
        else if (c == '<')
            auk_buf_puts(out, "&lt;");
        else if (c == '>')
            auk_buf_puts(out, "&gt;");
        else if (c == '"')
            auk_buf_puts(out, "&quot;");
        else if (c == '\'')
            auk_buf_puts(out, "&#39;");
        else if (c == '\n' || c == '\t' || !show(out, c))
            put(out, c);
    }
}

/* Markdown allows HTML, so its characters go too; a line break would end a table's row. */
void auk_escape_markdown(auk_buf *out, auk_str text)
{
    const unsigned char *p = (const unsigned char *)text.p, *end = text.n > 0 ? p + text.n : p;
    uint32_t c;

    while (p < end) {
        p += next(&c, p, end);
        if (c == '<')
            auk_buf_puts(out, "&lt;");
        else if (c == '>')
            auk_buf_puts(out, "&gt;");
        else if (c == '&')
            auk_buf_puts(out, "&amp;");
        else if (c < 0x80 && c > 0x20 && strchr("\\`*_[]#|~!$", (int)c) != NULL)
            auk_buf_printf(out, "\\%c", (int)c);
        else if (c == '\n' || c == '\t')
            auk_buf_putc(out, ' ');
        else if (!show(out, c))
            put(out, c);
    }
}
