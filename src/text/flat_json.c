/* SPDX-License-Identifier: Apache-2.0 */
#include "text/flat_json.h"

#include "text/utf8.h"

static void skip_space(auk_flat *f)
{
    while (f->p < f->end && (*f->p == ' ' || *f->p == '\n' || *f->p == '\r' || *f->p == '\t'))
        f->p++;
}

/* Past the closing quote of a text whose opening one is at p; end when it never closes. */
static const unsigned char *skip_string(const unsigned char *p, const unsigned char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\')
            p++;
    }
    return end;
}

/* Past the bracket that closes the one at p; NULL when it never closes. */
static const unsigned char *skip_value(const unsigned char *p, const unsigned char *end)
{
    size_t depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return NULL;
}

bool auk_flat_find(auk_str text, const char *outer, const char *inner, auk_str *value)
{
    auk_flat f = {(const unsigned char *)text.p, (const unsigned char *)text.p + text.n};
    bool in_outer = false;
    int depth = 0;

    while (f.p < f.end) {
        unsigned char c = *f.p;
        const unsigned char *start = f.p;
        f.p = c == '"' ? skip_string(f.p, f.end) : f.p + 1;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        if (c != '"' || f.p - start < 2)
            continue;
        auk_str key = {(const char *)start + 1, (size_t)(f.p - start) - 2};
        if (!auk_flat_char(&f, ':'))
            continue;
        if (depth == 1)
            in_outer = auk_str_is(key, outer);
        skip_space(&f);
        if (depth != 2 || !in_outer || !auk_str_is(key, inner) || f.p == f.end)
            continue;
        const unsigned char *stop = *f.p == '{' || *f.p == '[' ? skip_value(f.p, f.end) : NULL;
        if (stop == NULL)
            return false;
        *value = (auk_str){(const char *)f.p, (size_t)(stop - f.p)};
        return true;
    }
    return false;
}

bool auk_flat_char(auk_flat *f, char c)
{
    skip_space(f);
    if (f->p == f->end || *f->p != (unsigned char)c)
        return false;
    f->p++;
    return true;
}

bool auk_flat_end(auk_flat *f)
{
    skip_space(f);
    return f->p == f->end;
}

bool auk_flat_int(auk_flat *f, int32_t max, int32_t *out)
{
    int64_t v = 0;

    skip_space(f);
    const unsigned char *start = f->p;
    while (f->p < f->end && *f->p >= '0' && *f->p <= '9' && v <= max)
        v = 10 * v + (*f->p++ - '0');
    if (f->p == start || v > max || (*start == '0' && f->p - start > 1))
        return false;
    if (f->p < f->end && (*f->p == '.' || *f->p == 'e' || *f->p == 'E'))
        return false;
    *out = (int32_t)v;
    return true;
}

static bool read_hex(const unsigned char *p, const unsigned char *end, uint32_t *out)
{
    uint32_t v = 0;

    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned c = p[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (low - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

/* The escape whose backslash is at p; NULL when it is none we know. */
static const unsigned char *read_escape(const unsigned char *p, const unsigned char *end,
                                        auk_buf *out)
{
    static const char names[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    uint32_t c, low;
    char bytes[4];

    if (end - p < 2)
        return NULL;
    for (size_t i = 0; i < sizeof names - 1; i += 2) {
        if (p[1] == (unsigned char)names[i]) {
            auk_buf_putc(out, names[i + 1]);
            return p + 2;
        }
    }
    if (p[1] != 'u' || !read_hex(p + 2, end, &c))
        return NULL;
    p += 6;
    if (c >= 0xD800 && c < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
        read_hex(p + 2, end, &low) && low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        p += 6;
    }
    if (c == 0 || (c >= 0xD800 && c < 0xE000))
        return NULL;
    auk_buf_add(out, bytes, auk_utf8_put(bytes, c));
    return p;
}

bool auk_flat_string(auk_flat *f, auk_buf *scratch, auk_str *out)
{
    skip_space(f);
    if (f->p == f->end || *f->p != '"')
        return false;
    const unsigned char *run = f->p + 1, *p = run;
    bool escaped = false;

    for (;;) {
        while (p < f->end && *p != '"' && *p != '\\' && *p >= 0x20)
            p++;
        if (p == f->end || *p < 0x20)
            return false;
        if (*p == '"')
            break;
        if (!escaped)
            auk_buf_clear(scratch);
        escaped = true;
        auk_buf_add(scratch, run, (size_t)(p - run));
        run = p = read_escape(p, f->end, scratch);
        if (p == NULL)
            return false;
    }
    *out = (auk_str){(const char *)run, (size_t)(p - run)};
    if (escaped) {
        auk_buf_add(scratch, run, (size_t)(p - run));
        *out = auk_buf_str(scratch);
    }
    f->p = p + 1;
    return !(escaped && scratch->failed) && auk_utf8_valid(*out) == out->n;
}
