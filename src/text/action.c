/* SPDX-License-Identifier: Apache-2.0 */
#include "text/action.h"

/* What models write into JSON texts although JSON forbids it: escapes of the brackets and bars of
 * control strings, and line ends as they are. */
static void repair(auk_buf *out, auk_str text)
{
    bool in_string = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' && i + 1 < text.n) {
            char next = text.p[++i];
            if (next != '|' && next != '<' && next != '>')
                auk_buf_putc(out, c);
            auk_buf_putc(out, next);
            continue;
        }
        if (c == '"')
            in_string = !in_string;
        if (in_string && (unsigned char)c < 0x20)
            auk_buf_printf(out, "\\u%04x", (unsigned)c);
        else
            auk_buf_putc(out, c);
    }
}

static json_t *parse(auk_str text)
{
    auk_buf repaired = AUK_BUF_INIT(8 * AUK_MAX_CALL);
    json_t *v;

    if (auk_json_parse(&v, text, "tool call", NULL) == AUK_OK)
        return v;
    repair(&repaired, text);
    if (repaired.failed || auk_json_parse(&v, auk_buf_str(&repaired), "tool call", NULL) < 0)
        v = NULL;
    auk_buf_release(&repaired);
    return v;
}

static auk_str read_name(const json_t *source)
{
    auk_str name = auk_json_str(json_object_get(source, "tool_name"));

    return name.n > 0 ? name : auk_json_str(json_object_get(source, "name"));
}

/* The arguments as an object that source owns; NULL when they are something else. */
static json_t *read_arguments(json_t *source)
{
    json_t *v = json_object_get(source, "parameters");

    if (v == NULL)
        v = json_object_get(source, "arguments");
    if (json_is_object(v))
        return v;
    if (v == NULL || json_is_null(v))
        v = json_object();
    else if (json_is_string(v))
        v = parse(auk_json_str(v));
    else
        return NULL;
    if (!json_is_object(v)) {
        json_decref(v);
        return NULL;
    }
    json_object_set_new(source, "parameters", v);
    return v;
}

/* A number counts as its digits; everything else but a text as none. */
static auk_str read_id(json_t *source)
{
    json_t *v = json_object_get(source, "tool_call_id");

    if (json_is_number(v)) {
        auk_buf digits = AUK_BUF_INIT(64);
        auk_json_print(&digits, v, (auk_json_style){0});
        json_object_set_new(source, "tool_call_id", json_stringn(digits.p, digits.n));
        auk_buf_release(&digits);
    }
    return auk_json_str(json_object_get(source, "tool_call_id"));
}

bool auk_action_read(auk_call *out, auk_str object)
{
    json_t *source = parse(object);
    json_t *arguments = json_is_object(source) ? read_arguments(source) : NULL;

    if (arguments == NULL || read_name(source).n == 0) {
        json_decref(source);
        return false;
    }
    *out = (auk_call){.arguments = arguments, .source = source};
    out->id = read_id(source);
    out->name = read_name(source);
    return true;
}
