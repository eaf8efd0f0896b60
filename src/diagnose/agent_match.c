/* SPDX-License-Identifier: Apache-2.0 */
/* When a value is the wanted one, when two calls are the same, and what an expression comes to. */
#include "diagnose/agent_parts.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

static auk_str trim(auk_str s)
{
    while (s.n > 0 && isspace((unsigned char)s.p[0]))
        s = auk_str_from(s, 1);
    while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

static const char *find_fold(auk_str text, auk_str piece)
{
    for (size_t i = 0; piece.n <= text.n && i <= text.n - piece.n; i++) {
        size_t k = 0;
        while (k < piece.n &&
               tolower((unsigned char)text.p[i + k]) == tolower((unsigned char)piece.p[k]))
            k++;
        if (k == piece.n)
            return text.p + i;
    }
    return NULL;
}

bool auk_glob(auk_str pattern, auk_str text)
{
    bool anything = true;

    while (pattern.n > 0) {
        size_t n = 0;
        while (n < pattern.n && pattern.p[n] != '*')
            n++;
        auk_str piece = {pattern.p, n};
        if (n > 0) {
            const char *at = find_fold(text, piece);
            if (at == NULL)
                return false;
            text = auk_str_from(text, (size_t)(at - text.p) + n);
            anything = false;
        }
        pattern = auk_str_from(pattern, n < pattern.n ? n + 1 : n);
    }
    return !anything || trim(text).n > 0;
}

bool auk_value_equal(const json_t *a, const json_t *b)
{
    const char *key;
    const json_t *v;

    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_string(a))
        return auk_str_eq(auk_json_str(a), auk_json_str(b));
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b))
            return false;
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!auk_value_equal(json_array_get(a, i), json_array_get(b, i)))
                return false;
    }
    if (json_is_object(a)) {
        if (json_object_size(a) != json_object_size(b))
            return false;
        json_object_foreach((json_t *)a, key, v)
        {
            const json_t *other = json_object_get(b, key);
            if (other == NULL || !auk_value_equal(v, other))
                return false;
        }
    }
    return true;
}

bool auk_value_matches(const json_t *want, const json_t *have)
{
    const char *key;
    const json_t *v;

    if (want == NULL || have == NULL)
        return want == have;
    if (json_is_number(want))
        return json_is_number(have) && fabs(json_number_value(want) - json_number_value(have)) <=
                                           1e-9 * fabs(json_number_value(want));
    if (json_is_string(want)) {
        auk_str w = auk_json_str(want), h = auk_json_str(have);
        if (!json_is_string(have))
            return false;
        return memchr(w.p, '*', w.n) != NULL ? auk_glob(w, h) : auk_str_eq(trim(w), trim(h));
    }
    if (json_typeof(want) != json_typeof(have))
        return false;
    if (json_is_array(want)) {
        if (json_array_size(want) != json_array_size(have))
            return false;
        for (size_t i = 0; i < json_array_size(want); i++)
            if (!auk_value_matches(json_array_get(want, i), json_array_get(have, i)))
                return false;
    }
    if (json_is_object(want))
        json_object_foreach((json_t *)want, key,
                            v) if (!auk_value_matches(v, json_object_get(have, key))) return false;
    return true;
}

bool auk_args_match(const json_t *want, const json_t *have)
{
    return json_object_size(want) == json_object_size(have) && auk_value_matches(want, have);
}

void auk_call_key(auk_buf *out, const char *name, const json_t *args)
{
    auk_buf_printf(out, "%s|", name);
    auk_json_print(out, args, (auk_json_style){.sort_keys = true});
}

/* ---- arithmetic ---------------------------------------------------------------------------- */

typedef struct calc {
    auk_str s;
    int depth;
    bool ok;
} calc;

static double sum(calc *c);

static char next(calc *c)
{
    while (c->s.n > 0 && isspace((unsigned char)c->s.p[0]))
        c->s = auk_str_from(c->s, 1);
    return c->s.n > 0 ? c->s.p[0] : 0;
}

static bool take(calc *c, const char *sign)
{
    next(c);
    if (!auk_str_starts(c->s, sign))
        return false;
    c->s = auk_str_from(c->s, strlen(sign));
    return true;
}

static double number(calc *c)
{
    char digits[64];
    size_t n = 0, used = 0;

    while (used < c->s.n && n + 1 < sizeof digits &&
           (isdigit((unsigned char)c->s.p[used]) || c->s.p[used] == '.' || c->s.p[used] == ',')) {
        if (c->s.p[used] != ',')
            digits[n++] = c->s.p[used];
        used++;
    }
    digits[n] = 0;
    c->ok = c->ok && n > 0;
    c->s = auk_str_from(c->s, used);
    return n > 0 ? strtod(digits, NULL) : 0;
}

static double atom(calc *c)
{
    if (++c->depth > 64)
        c->ok = false;
    double v = 0;
    if (!c->ok)
        return 0;
    if (take(c, "-"))
        v = -atom(c);
    else if (take(c, "+"))
        v = atom(c);
    else if (take(c, "(")) {
        v = sum(c);
        c->ok = c->ok && take(c, ")");
    } else {
        v = number(c);
    }
    if (take(c, "%"))
        v /= 100;
    if (take(c, "**") || take(c, "^"))
        v = pow(v, atom(c));
    c->depth--;
    return v;
}

static double product(calc *c)
{
    double v = atom(c);

    while (c->ok) {
        next(c);
        if (auk_str_starts(c->s, "**"))
            break;
        if (take(c, "*"))
            v *= atom(c);
        else if (take(c, "/"))
            v /= atom(c);
        else
            break;
    }
    return v;
}

static double sum(calc *c)
{
    double v = product(c);

    while (c->ok) {
        if (take(c, "+"))
            v += product(c);
        else if (take(c, "-"))
            v -= product(c);
        else
            break;
    }
    return v;
}

bool auk_calculate(double *out, auk_str expression)
{
    calc c = {expression, 0, true};

    *out = sum(&c);
    return c.ok && next(&c) == 0 && isfinite(*out);
}
