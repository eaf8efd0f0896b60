/* SPDX-License-Identifier: Apache-2.0 */
#include "text/python_repr.h"

#include "text/utf8.h"

#include <utf8proc.h>

bool auk_python_true(const json_t *v)
{
    if (v == NULL)
        return false;
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return json_object_size(v) > 0;
    case JSON_ARRAY:
        return json_array_size(v) > 0;
    case JSON_STRING:
        return json_string_length(v) > 0;
    case JSON_INTEGER:
        return json_integer_value(v) != 0;
    case JSON_REAL:
        return json_real_value(v) < 0 || json_real_value(v) > 0;
    default:
        return json_is_true(v);
    }
}

/* str.isprintable: no control, format, private, unassigned or separating character but the space */
static bool is_printable(uint32_t c)
{
    if (c < 0x7F)
        return c >= 0x20;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

static void repr_string(auk_buf *out, auk_str s)
{
    bool single = memchr(s.p, '\'', s.n) != NULL, twice = memchr(s.p, '"', s.n) != NULL;
    char quote = single && !twice ? '"' : '\'';
    size_t len;

    auk_buf_putc(out, quote);
    for (size_t i = 0; i < s.n; i += len) {
        uint32_t c = auk_utf8_get((const unsigned char *)s.p + i, &len);
        if (c == '\\' || c == (uint32_t)quote)
            auk_buf_printf(out, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            auk_buf_puts(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        else if (is_printable(c))
            auk_buf_add(out, s.p + i, len);
        else if (c < 0x100)
            auk_buf_printf(out, "\\x%02x", c);
        else if (c < 0x10000)
            auk_buf_printf(out, "\\u%04x", c);
        else
            auk_buf_printf(out, "\\U%08x", c);
    }
    auk_buf_putc(out, quote);
}

static void repr_object(auk_buf *out, json_t *v)
{
    const char *key, *separator = "";
    json_t *item;

    auk_buf_putc(out, '{');
    json_object_foreach(v, key, item)
    {
        auk_buf_puts(out, separator);
        repr_string(out, auk_str_of(key));
        auk_buf_puts(out, ": ");
        auk_python_repr(out, item);
        separator = ", ";
    }
    auk_buf_putc(out, '}');
}

static void repr_array(auk_buf *out, const json_t *v)
{
    auk_buf_putc(out, '[');
    for (size_t i = 0; i < json_array_size(v); i++) {
        auk_buf_puts(out, i > 0 ? ", " : "");
        auk_python_repr(out, json_array_get(v, i));
    }
    auk_buf_putc(out, ']');
}

void auk_python_repr(auk_buf *out, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        repr_object(out, (json_t *)v);
        break;
    case JSON_ARRAY:
        repr_array(out, v);
        break;
    case JSON_STRING:
        repr_string(out, auk_json_str(v));
        break;
    case JSON_INTEGER:
        auk_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL:
        auk_json_print_real(out, json_real_value(v));
        break;
    case JSON_NULL:
        auk_buf_puts(out, "None");
        break;
    default:
        auk_buf_puts(out, json_is_true(v) ? "True" : "False");
    }
}
