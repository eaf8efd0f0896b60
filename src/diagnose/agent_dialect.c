/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls that a model wrote into its text, in the forms other models were taught.  A server
 * that knows its model turns them into calls itself; this is for those that do not. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>

typedef struct finder {
    auk_text_calls *out;
    auk_str text;
    bool (*known)(const void *ctx, auk_str name);
    const void *ctx;
    bool objects; /* some JSON object was read */
} finder;

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static const char *find(auk_str s, const char *what)
{
    size_t n = strlen(what);

    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, what, n) == 0)
            return s.p + i;
    return NULL;
}

/* The same call twice in one answer is an echo. */
static void add(finder *f, auk_str name, json_t *args, const char *dialect)
{
    auk_text_calls *o = f->out;

    if (json_is_string(args)) { /* arguments as text */
        json_t *inner = NULL;
        if (auk_json_parse(&inner, auk_json_str(args), "arguments", NULL) == AUK_OK) {
            json_decref(args);
            args = inner;
        }
    }
    if (args == NULL)
        args = json_object();
    for (size_t i = 0; i < o->n; i++)
        if (auk_str_is(name, o->p[i].name) && auk_value_equal(o->p[i].args, args)) {
            json_decref(args);
            return;
        }
    o->p = auk_realloc(o->p, (o->n + 1) * sizeof *o->p);
    o->p[o->n++] = (auk_text_call){auk_strndup(name.p, name.n), args, dialect};
}

/* The length of the balanced bracket s begins with, strings skipped; 0: it is not closed. */
static size_t balanced(auk_str s)
{
    int depth = 0;
    char quote = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quote != 0) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (c == '"') {
            quote = c;
        } else if (c == '{' || c == '[' || c == '(') {
            depth++;
        } else if ((c == '}' || c == ']' || c == ')') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static json_t *first_of(const json_t *o, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        if (json_object_get(o, *keys) != NULL)
            return json_incref(json_object_get(o, *keys));
    return NULL;
}

/* {"name", "args"}, {"function": {...}}, {"tool_calls": [...]}, this model's {"tool_name"}. */
static void from_value(finder *f, const json_t *v, const char *dialect, int depth)
{
    static const char *const names[] = {"name", "tool_name", "tool", NULL};
    static const char *const arguments[] = {"args", "arguments", "parameters", "input", NULL};

    if (depth > 4)
        return;
    if (json_is_array(v))
        for (size_t i = 0; i < json_array_size(v); i++)
            from_value(f, json_array_get(v, i), dialect, depth + 1);
    if (!json_is_object(v))
        return;
    if (json_object_get(v, "tool_calls") != NULL) {
        from_value(f, json_object_get(v, "tool_calls"), "tool_calls", depth + 1);
        return;
    }
    if (json_is_object(json_object_get(v, "function"))) {
        from_value(f, json_object_get(v, "function"), "function", depth + 1);
        return;
    }
    json_t *name = first_of(v, names);
    if (json_is_string(name))
        add(f, auk_json_str(name), first_of(v, arguments),
            json_object_get(v, "tool_name") != NULL ? "cohere" : dialect);
    json_decref(name);
}

/* Brackets that open nothing readable before a text is given up: each costs a look at the rest. */
#define AUK_MAX_BAD_BRACKETS 1000

/* All JSON objects and arrays of the text, outermost first; anything else is passed over. */
static void from_json(finder *f, auk_str s, const char *dialect)
{
    int bad = 0;

    while (s.n > 0 && bad < AUK_MAX_BAD_BRACKETS) {
        if (s.p[0] == '{' || s.p[0] == '[') {
            json_t *v = NULL;
            size_t n = balanced(s);
            if (n > 0 && auk_json_parse(&v, (auk_str){s.p, n}, "call", NULL) == AUK_OK) {
                f->objects = f->objects || s.p[0] == '{';
                from_value(f, v, dialect, 0);
                json_decref(v);
                s = auk_str_from(s, n);
                continue;
            }
            bad++;
        }
        s = auk_str_from(s, 1);
    }
}

static auk_str trimmed(auk_str s)
{
    while (s.n > 0 && isspace((unsigned char)s.p[0]))
        s = auk_str_from(s, 1);
    while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* A value that may be JSON, or plain text. */
static json_t *loose_value(auk_str s)
{
    json_t *v = NULL;
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);

    s = trimmed(s);
    if (s.n >= 2 && s.p[0] == '\'' && s.p[s.n - 1] == '\'')
        return json_stringn(s.p + 1, s.n - 2);
    if (auk_str_is(s, "True") || auk_str_is(s, "False"))
        return json_boolean(s.p[0] == 'T');
    if (auk_str_is(s, "None"))
        return json_null();
    auk_buf_puts(&b, "[");
    auk_buf_add(&b, s.p, s.n);
    auk_buf_puts(&b, "]");
    json_t *list = NULL;
    if (auk_json_parse(&list, auk_buf_str(&b), "value", NULL) == AUK_OK &&
        json_array_size(list) == 1)
        v = json_incref(json_array_get(list, 0));
    json_decref(list);
    auk_buf_release(&b);
    return v != NULL ? v : json_stringn(s.p, s.n);
}

/* name=value, name: value ... up to the end; *bad when a part has no name. */
static json_t *keyword_args(auk_str s, char sign, bool *bad)
{
    json_t *out = json_object();

    while (trimmed(s).n > 0) {
        s = trimmed(s);
        size_t n = 0;
        bool quoted = s.p[0] == '"';
        size_t from = quoted;
        n = from;
        while (n < s.n && is_name(s.p[n]))
            n++;
        auk_str key = {s.p + from, n - from};
        n += quoted && n < s.n && s.p[n] == '"';
        while (n < s.n && isspace((unsigned char)s.p[n]))
            n++;
        if (key.n == 0 || n >= s.n || s.p[n] != sign) {
            *bad = true;
            return out;
        }
        s = auk_str_from(s, n + 1);
        size_t end = 0;
        int depth = 0;
        char quote = 0;
        for (; end < s.n; end++) {
            char c = s.p[end];
            if (quote != 0) {
                if (c == '\\')
                    end++;
                else if (c == quote)
                    quote = 0;
            } else if (c == '"' || c == '\'') {
                quote = c;
            } else if (c == '[' || c == '{' || c == '(') {
                depth++;
            } else if (c == ']' || c == '}' || c == ')') {
                depth--;
            } else if (c == ',' && depth == 0) {
                break;
            }
        }
        if (end > s.n)
            end = s.n;
        char name[128];
        snprintf(name, sizeof name, "%.*s", AUK_ARG(key));
        json_object_set_new(out, name, loose_value((auk_str){s.p, end}));
        s = auk_str_from(s, end < s.n ? end + 1 : end);
    }
    return out;
}

/* "call:NAME{...}": the body is JSON with bare keys, and newlines inside its texts. */
static json_t *harmony_args(auk_str body)
{
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
    json_t *v = NULL;
    bool in_text = false;

    for (size_t i = 0; i < body.n; i++) {
        unsigned char c = (unsigned char)body.p[i];
        if (in_text) {
            if (c == '\\' && i + 1 < body.n) {
                auk_buf_add(&b, body.p + i++, 2);
                continue;
            }
            in_text = c != '"';
            if (c < 0x20)
                auk_buf_printf(&b, "\\u%04x", c);
            else
                auk_buf_putc(&b, (char)c);
        } else if (isalpha(c) || c == '_') {
            size_t n = 0, after;
            while (i + n < body.n && is_name(body.p[i + n]))
                n++;
            for (after = i + n; after < body.n && isspace((unsigned char)body.p[after]);)
                after++;
            bool key = after < body.n && body.p[after] == ':';
            auk_buf_puts(&b, key ? "\"" : "");
            auk_buf_add(&b, body.p + i, n);
            auk_buf_puts(&b, key ? "\"" : "");
            i += n - 1;
        } else {
            in_text = c == '"';
            auk_buf_putc(&b, (char)c);
        }
    }
    if (auk_json_parse(&v, auk_buf_str(&b), "call", NULL) < 0)
        v = NULL;
    auk_buf_release(&b);
    return v;
}

static void from_harmony(finder *f)
{
    static const char *const tokens[] = {"<|tool_response", "<channel|", "<tool_call|", "<|channel",
                                         NULL};
    auk_str s = f->text;
    const char *at;
    bool soup = false, channel = false;

    while ((at = find(s, "call:")) != NULL) {
        s = auk_str_from(s, (size_t)(at - s.p) + 5);
        size_t n = 0;
        while (n < s.n && is_name(s.p[n]))
            n++;
        auk_str name = {s.p, n};
        if (n == 0 || n >= s.n || (s.p[n] != '{' && s.p[n] != '('))
            continue;
        soup = true;
        size_t length = balanced(auk_str_from(s, n));
        if (length == 0)
            continue;
        json_t *args = NULL;
        if (s.p[n] == '{') {
            args = harmony_args((auk_str){s.p + n, length});
        } else {
            bool bad = false;
            args = keyword_args((auk_str){s.p + n + 1, length - 2}, '=', &bad);
            if (bad) {
                json_decref(args);
                args = NULL;
            }
        }
        if (args != NULL)
            add(f, name, args, "harmony");
        s = auk_str_from(s, n + length);
    }
    for (size_t i = 0; tokens[i] != NULL; i++)
        channel = channel || find(f->text, tokens[i]) != NULL;
    f->out->foreign = soup && channel && f->out->n == 0;
}

/* <function=NAME><parameter=KEY>VALUE</parameter>...</function> */
static void from_qwen_coder(finder *f)
{
    auk_str s = f->text;
    const char *at;

    while ((at = find(s, "<function=")) != NULL) {
        s = auk_str_from(s, (size_t)(at - s.p) + 10);
        const char *close = memchr(s.p, '>', s.n);
        if (close == NULL)
            return;
        auk_str name = trimmed((auk_str){s.p, (size_t)(close - s.p)});
        s = auk_str_from(s, name.n + 1 > s.n ? s.n : (size_t)(close - s.p) + 1);
        const char *end = find(s, "</function>");
        auk_str body = {s.p, end != NULL ? (size_t)(end - s.p) : s.n};
        json_t *args = json_object();
        auk_str b = body;
        while ((at = find(b, "<parameter=")) != NULL) {
            b = auk_str_from(b, (size_t)(at - b.p) + 11);
            const char *gt = memchr(b.p, '>', b.n);
            const char *stop = find(b, "</parameter>");
            char key[128];
            if (gt == NULL || stop == NULL || stop < gt)
                break;
            snprintf(key, sizeof key, "%.*s", AUK_ARG(trimmed((auk_str){b.p, (size_t)(gt - b.p)})));
            /* as text: only the tool's schema knows whether 2.10 is a number or a version */
            auk_str value = trimmed((auk_str){gt + 1, (size_t)(stop - gt - 1)});
            json_t *v = json_stringn(value.p, value.n);
            json_object_set_new(args, key, v != NULL ? v : json_string(""));
            b = auk_str_from(b, (size_t)(stop - b.p));
        }
        add(f, name, args, "qwen-coder");
        s = auk_str_from(s, body.n);
    }
}

/* Action: NAME, then Action Input: a JSON object or text. */
static void from_react(finder *f)
{
    auk_str s = f->text;
    const char *at;

    while ((at = find(s, "Action:")) != NULL) {
        s = trimmed(auk_str_from(s, (size_t)(at - s.p) + 7));
        size_t n = 0;
        while (n < s.n && is_name(s.p[n]))
            n++;
        auk_str name = {s.p, n};
        s = auk_str_from(s, n);
        if (n == 0 || !f->known(f->ctx, name))
            continue;
        const char *input = find(s, "Action Input:");
        json_t *args = NULL;
        if (input != NULL) {
            auk_str body = trimmed(auk_str_from(s, (size_t)(input - s.p) + 13));
            size_t length = body.n > 0 && body.p[0] == '{' ? balanced(body) : 0;
            if (length > 0 && auk_json_parse(&args, (auk_str){body.p, length}, "call", NULL) < 0)
                args = NULL;
        } else if (s.n > 0 && s.p[0] == '(') {
            size_t length = balanced(s);
            bool bad = false;
            if (length > 1)
                args = keyword_args((auk_str){s.p + 1, length - 2}, '=', &bad);
        }
        add(f, name, args, "react");
    }
}

/* [f(a=1), g(b="x")] or a line that is f(a=1) alone. */
static void from_pythonic(finder *f)
{
    auk_str s = f->text;
    bool start = true;

    while (s.n > 0) {
        size_t n = 0;
        while (n < s.n && is_name(s.p[n]))
            n++;
        if (start && n > 0 && n < s.n && s.p[n] == '(' && f->known(f->ctx, (auk_str){s.p, n})) {
            size_t length = balanced(auk_str_from(s, n));
            bool bad = false;
            if (length > 1) {
                json_t *args = keyword_args((auk_str){s.p + n + 1, length - 2}, '=', &bad);
                if (bad)
                    json_decref(args);
                else
                    add(f, (auk_str){s.p, n}, args, "pythonic");
                s = auk_str_from(s, n + length);
                continue;
            }
        }
        start = n == 0 && (s.p[0] == '[' || s.p[0] == '\n' || s.p[0] == ',' || s.p[0] == '`' ||
                           (start && s.p[0] == ' '));
        s = auk_str_from(s, n > 0 ? n : 1);
    }
}

void auk_text_calls_find(auk_text_calls *out, auk_str text,
                         bool (*known)(const void *ctx, auk_str name), const void *ctx)
{
    finder f = {out, text, known, ctx, false};

    *out = (auk_text_calls){0};
    const char *dialect = find(text, "<tool_call>") != NULL    ? "hermes"
                          : find(text, "[TOOL_CALLS]") != NULL ? "mistral"
                          : find(text, "<|START_ACTION|>")     ? "cohere"
                                                               : "json";
    from_harmony(&f);
    if (out->n == 0)
        from_qwen_coder(&f);
    if (out->n == 0)
        from_react(&f);
    if (out->n == 0)
        from_json(&f, text, dialect);
    if (out->n == 0)
        from_pythonic(&f);
    if (out->n > 0)
        out->foreign = false;
    out->broken = out->n == 0 && !f.objects && memchr(text.p, '{', text.n) != NULL;
}

void auk_text_calls_release(auk_text_calls *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->p[i].name);
        json_decref(c->p[i].args);
    }
    free(c->p);
    *c = (auk_text_calls){0};
}
