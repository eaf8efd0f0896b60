/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/file.h"
#include "base/limits.h"

#include <math.h>

/* jansson's own limit of 2,048 levels overflows a small stack, so depth is counted here first. */
static bool too_deep(auk_str text)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > AUK_MAX_JSON_DEPTH)
                return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

static int parse(json_t **out, auk_str text, size_t flags, const char *name, auk_err *err)
{
    json_error_t why;

    *out = NULL;
    if (too_deep(text))
        return auk_fail(err, AUK_EFORMAT, "'%s' nests deeper than %d levels", name,
                        AUK_MAX_JSON_DEPTH);
    *out = json_loadb(text.n ? text.p : "", text.n,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, &why);
    if (*out == NULL)
        return auk_fail(err, AUK_EFORMAT, "'%s' is not valid JSON: line %d: %s", name, why.line,
                        why.text);
    return AUK_OK;
}

int auk_json_parse(json_t **out, auk_str text, const char *name, auk_err *err)
{
    return parse(out, text, 0, name, err);
}

int auk_json_parse_wide(json_t **out, auk_str text, const char *name, auk_err *err)
{
    return parse(out, text, JSON_DECODE_INT_AS_REAL, name, err);
}

int auk_json_read(json_t **out, const char *path, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);

    *out = NULL;
    int rc = auk_file_read(&text, path, err);
    if (rc == AUK_OK)
        rc = auk_json_parse(out, auk_buf_str(&text), path, err);
    auk_buf_release(&text);
    return rc;
}

/* Adds one to the last digit of "d.ddde+xx". */
static void count_up(char *digits)
{
    for (char *p = strchr(digits, 'e'); p-- > digits;) {
        if (*p < '0')
            continue;
        if (*p != '9') {
            ++*p;
            return;
        }
        *p = '0';
    }
}

/* Writes x with `precision` digits; true when they read back as x.  Just above a power of two
 * doubles are sparser than below it, so there the next digit up may read back where the nearest
 * one does not; no such power is printed without an exponent. */
static bool reads_back(char digits[40], int precision, double x)
{
    snprintf(digits, 40, "%.*e", precision - 1, x);
    if (strtod(digits, NULL) == x)
        return true;
    count_up(digits);
    return strtod(digits, NULL) == x;
}

void auk_json_print_real(auk_buf *out, double x)
{
    char digits[40];
    int precision = 1;

    if (!isfinite(x)) {
        auk_buf_puts(out, isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity");
        return;
    }
    while (!reads_back(digits, precision, x)) /* the shortest that does, as repr */
        precision++;
    int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - 1 - exponent;
        auk_buf_printf(out, "%.*f", decimals > 0 ? decimals : 1, x);
        return;
    }
    *strchr(digits, 'e') = 0;
    auk_buf_printf(out, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
}

static uint32_t utf8_next(const unsigned char **p, const unsigned char *end)
{
    uint32_t c = *(*p)++;
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;

    c &= more == 3 ? 7u : more == 2 ? 15u : more == 1 ? 31u : 127u;
    while (more-- > 0 && *p < end)
        c = c << 6 | (*(*p)++ & 63u);
    return c;
}

void auk_json_print_string(auk_buf *out, auk_str s, bool ascii)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

    auk_buf_putc(out, '"');
    while (p < end) {
        const unsigned char *run = p;
        while (p < end && *p >= 0x20 && *p != '"' && *p != '\\' && !(ascii && *p >= 0x7F))
            p++;
        auk_buf_add(out, run, (size_t)(p - run));
        if (p == end)
            break;
        const char *escape = strchr("\"\"\\\\\nn\rr\tt\bb\ff", *p);
        if (*p != 0 && *p < 0x7F && escape != NULL) {
            auk_buf_printf(out, "\\%c", escape[1]);
            p++;
        } else {
            uint32_t c = utf8_next(&p, end);
            if (c >= 0x10000) {
                auk_buf_printf(out, "\\u%04x", 0xD800 + ((c - 0x10000) >> 10));
                c = 0xDC00 + ((c - 0x10000) & 0x3FF);
            }
            auk_buf_printf(out, "\\u%04x", c);
        }
    }
    auk_buf_putc(out, '"');
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void newline(auk_buf *out, auk_json_style style, int level)
{
    if (style.indent > 0)
        auk_buf_printf(out, "\n%*s", style.indent * level, "");
}

static void print(auk_buf *out, const json_t *v, auk_json_style style, int level);

static void print_object(auk_buf *out, json_t *v, auk_json_style style, int level)
{
    size_t n = json_object_size(v), i = 0;
    const char **keys = malloc((n ? n : 1) * sizeof *keys);
    const char *key;
    json_t *item;

    if (keys == NULL) {
        out->failed = true;
        return;
    }
    json_object_foreach(v, key, item) keys[i++] = key;
    if (style.sort_keys)
        qsort(keys, n, sizeof *keys, by_key);
    auk_buf_putc(out, '{');
    for (i = 0; i < n; i++) {
        if (i > 0)
            auk_buf_puts(out, style.indent > 0 ? "," : ", ");
        newline(out, style, level + 1);
        auk_json_print_string(out, auk_str_of(keys[i]), style.ascii);
        auk_buf_puts(out, ": ");
        print(out, json_object_get(v, keys[i]), style, level + 1);
    }
    free(keys);
    if (n > 0)
        newline(out, style, level);
    auk_buf_putc(out, '}');
}

static void print_array(auk_buf *out, const json_t *v, auk_json_style style, int level)
{
    size_t n = json_array_size(v);

    auk_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            auk_buf_puts(out, style.indent > 0 ? "," : ", ");
        newline(out, style, level + 1);
        print(out, json_array_get(v, i), style, level + 1);
    }
    if (n > 0)
        newline(out, style, level);
    auk_buf_putc(out, ']');
}

static void print(auk_buf *out, const json_t *v, auk_json_style style, int level)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        print_object(out, (json_t *)v, style, level);
        break;
    case JSON_ARRAY:
        print_array(out, v, style, level);
        break;
    case JSON_STRING:
        auk_json_print_string(out, auk_json_str(v), style.ascii);
        break;
    case JSON_INTEGER:
        auk_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL:
        auk_json_print_real(out, json_real_value(v));
        break;
    case JSON_TRUE:
        auk_buf_puts(out, "true");
        break;
    case JSON_FALSE:
        auk_buf_puts(out, "false");
        break;
    default:
        auk_buf_puts(out, "null");
    }
}

void auk_json_print(auk_buf *out, const json_t *v, auk_json_style style)
{
    print(out, v, style, 0);
}
