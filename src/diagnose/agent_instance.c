/* SPDX-License-Identifier: Apache-2.0 */
/* One playing of a task: its variables drawn from a seed, its tools in a drawn order, so that two
 * runs are two cases and not the same one twice. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

uint64_t auk_fnv1a(uint64_t h, const void *p, size_t n)
{
    const unsigned char *c = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ c[i]) * 0x100000001b3u;
    return h;
}

/* ---- variables ----------------------------------------------------------------------------- */

static json_t *fill(const json_t *v, const json_t *vars);

static void print_value(auk_buf *out, const json_t *v)
{
    if (json_is_string(v))
        auk_buf_add(out, json_string_value(v), json_string_length(v));
    else if (json_is_real(v))
        auk_buf_printf(out, "%.10g", json_real_value(v));
    else
        auk_json_print(out, v, (auk_json_style){0});
}

/* All {{name}} of s replaced; a text that is one alone takes the variable's own type. */
static json_t *fill_text(auk_str s, const json_t *vars)
{
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
    json_t *out = NULL;

    while (s.n > 0 && out == NULL) {
        size_t n = 0;
        char name[64];
        while (n + 1 < s.n && !(s.p[n] == '{' && s.p[n + 1] == '{'))
            n++;
        const char *end = n + 1 < s.n ? strstr(s.p + n, "}}") : NULL;
        if (end == NULL)
            n = s.n;
        auk_buf_add(&b, s.p, n);
        s = auk_str_from(s, n);
        if (end == NULL)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - s.p - 2), s.p + 2);
        const json_t *v = json_object_get(vars, name);
        size_t used = (size_t)(end - s.p) + 2;
        if (v != NULL && b.n == 0 && used == s.n)
            out = json_deep_copy(v);
        else if (v != NULL)
            print_value(&b, v);
        else
            auk_buf_add(&b, s.p, used);
        s = auk_str_from(s, used);
    }
    if (out == NULL)
        out = json_stringn(auk_buf_str(&b).p, b.n);
    auk_buf_release(&b);
    return out;
}

static json_t *fill(const json_t *v, const json_t *vars)
{
    const char *key;
    const json_t *member;

    if (json_is_string(v))
        return fill_text(auk_json_str(v), vars);
    if (json_is_array(v)) {
        json_t *out = json_array();
        for (size_t i = 0; i < json_array_size(v); i++)
            json_array_append_new(out, fill(json_array_get(v, i), vars));
        return out;
    }
    if (!json_is_object(v))
        return json_deep_copy(v);
    json_t *out = json_object();
    json_object_foreach((json_t *)v, key, member)
    {
        json_t *name = fill_text(auk_str_of(key), vars);
        auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
        print_value(&b, name);
        json_object_set_new(out, auk_buf_str(&b).p, fill(member, vars));
        auk_buf_release(&b);
        json_decref(name);
    }
    return out;
}

static bool taken(const json_t *vars, const json_t *v)
{
    const char *key;
    const json_t *had;

    json_object_foreach((json_t *)vars, key, had) if (json_equal(had, v)) return true;
    return false;
}

/* One value: {"pick": [...]}, {"int": [lo, hi], "step": s}, {"id": "O-"}, {"calc": "..."} of
 * earlier ones, {"of": "name", "map": {...}}.  Drawn values differ from all earlier ones where they
 * can. */
static json_t *draw(const json_t *rule, const json_t *vars, auk_rng *rng)
{
    const json_t *pick = json_object_get(rule, "pick"), *range = json_object_get(rule, "int");
    json_t *v = NULL;

    for (int attempt = 0; attempt < 50; attempt++) {
        json_decref(v);
        if (json_object_get(rule, "calc") != NULL) {
            json_t *text = fill(json_object_get(rule, "calc"), vars);
            double x = 0;
            if (json_is_number(text))
                x = json_number_value(text);
            else if (!auk_calculate(&x, auk_json_str(text)))
                x = NAN;
            json_decref(text);
            x = round(x * 100) / 100;
            return x == floor(x) ? json_integer((json_int_t)x) : json_real(x);
        }
        if (json_object_get(rule, "of") != NULL) {
            auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
            const char *of = json_string_value(json_object_get(rule, "of"));
            print_value(&b, json_object_get(vars, of));
            v = json_deep_copy(json_object_get(json_object_get(rule, "map"), auk_buf_str(&b).p));
            auk_buf_release(&b);
            return v;
        }
        if (json_array_size(pick) > 0) {
            v = json_deep_copy(json_array_get(pick, auk_rng_below(rng, json_array_size(pick))));
        } else if (json_array_size(range) == 2) {
            json_int_t lo = json_integer_value(json_array_get(range, 0));
            json_int_t hi = json_integer_value(json_array_get(range, 1));
            json_int_t step = json_integer_value(json_object_get(rule, "step"));
            step = step < 1 ? 1 : step;
            v = json_integer(
                lo + step * (json_int_t)auk_rng_below(rng, (uint64_t)((hi - lo) / step + 1)));
        } else {
            char id[96];
            snprintf(id, sizeof id, "%s%d", json_string_value(json_object_get(rule, "id")),
                     (int)(1000 + auk_rng_below(rng, 9000)));
            v = json_string(id);
        }
        if (!taken(vars, v))
            break;
    }
    return v;
}

/* ---- v2's renumbering ---------------------------------------------------------------------- */

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static void rename_in(auk_buf *out, auk_str s, const char *const (*pairs)[2], size_t n)
{
    while (s.n > 0) {
        size_t k = 0;
        bool before = auk_buf_str(out).n > 0 && word_char(out->p[out->n - 1]);
        for (; k < n; k++) {
            size_t length = strlen(pairs[k][0]);
            if (!before && auk_str_starts(s, pairs[k][0]) &&
                (s.n == length || !word_char(s.p[length])))
                break;
        }
        if (k < n) {
            auk_buf_puts(out, pairs[k][1]);
            s = auk_str_from(s, strlen(pairs[k][0]));
        } else {
            auk_buf_putc(out, s.p[0]);
            s = auk_str_from(s, 1);
        }
    }
}

static json_t *rename_all(const json_t *v, const char *const (*pairs)[2], size_t n)
{
    const char *key;
    const json_t *member;
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
    json_t *out;

    if (json_is_string(v)) {
        rename_in(&b, auk_json_str(v), pairs, n);
        out = json_stringn(auk_buf_str(&b).p, b.n);
    } else if (json_is_array(v)) {
        out = json_array();
        for (size_t i = 0; i < json_array_size(v); i++)
            json_array_append_new(out, rename_all(json_array_get(v, i), pairs, n));
    } else if (json_is_object(v)) {
        out = json_object();
        json_object_foreach((json_t *)v, key, member)
        {
            auk_buf_clear(&b);
            rename_in(&b, auk_str_of(key), pairs, n);
            json_object_set_new(out, auk_buf_str(&b).p, rename_all(member, pairs, n));
        }
    } else {
        out = json_deep_copy(v);
    }
    auk_buf_release(&b);
    return out;
}

static int longest_first(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    size_t n = strlen(x[0]), m = strlen(y[0]);

    return n != m ? (n < m) - (n > m) : strcmp(x[0], y[0]);
}

/* Each top-level name of the world with a digit gets `offset` on its trailing number (appended
 * where it has none); whole words, in one pass. */
static json_t *renumber(const json_t *spec, unsigned offset)
{
    json_t *world = json_object_get(spec, "world_state"), *v;
    size_t n = 0;
    const char *(*pairs)[2] = auk_alloc((json_object_size(world) + 1) * sizeof *pairs);
    const char *key;

    json_object_foreach(world, key, v)
    {
        size_t length = strlen(key), from = length;
        char name[256];
        if (strpbrk(key, "0123456789") == NULL || length > 200)
            continue;
        while (from > 0 && isdigit((unsigned char)key[from - 1]) && length - from < 9)
            from--;
        snprintf(name, sizeof name, "%.*s%lu", (int)from, key,
                 (from < length ? strtoul(key + from, NULL, 10) : 0) + offset);
        pairs[n][0] = key;
        pairs[n++][1] = auk_strndup(name, strlen(name));
    }
    qsort(pairs, n, sizeof *pairs, longest_first);
    json_t *out = rename_all(spec, (const char *const(*)[2])pairs, n);
    for (size_t i = 0; i < n; i++)
        free((char *)pairs[i][1]);
    free(pairs);
    /* names of tools are not the world's */
    json_object_set(out, "tools", json_object_get(spec, "tools"));
    json_object_set(out, "decoy_tools", json_object_get(spec, "decoy_tools"));
    return out;
}

/* ---- tools --------------------------------------------------------------------------------- */

/* {"type": "integer", "description", "enum", "optional"}, v2: "integer". */
static void put_parameter(json_t *properties, json_t *required, const char *name, const json_t *p,
                          bool v2)
{
    static const char *const types[] = {"string",  "number", "integer",
                                        "boolean", "object", "array"};
    const char *type = json_string_value(v2 ? p : json_object_get(p, "type"));
    json_t *out = json_object();
    bool good = false;

    for (size_t i = 0; type != NULL && i < sizeof types / sizeof *types; i++)
        good = good || strcmp(type, types[i]) == 0;
    json_object_set_new(out, "type", json_string(good ? type : "string"));
    if (!v2 && json_object_get(p, "description") != NULL)
        json_object_set(out, "description", json_object_get(p, "description"));
    if (!v2 && json_object_get(p, "enum") != NULL)
        json_object_set(out, "enum", json_object_get(p, "enum"));
    json_object_set_new(properties, name, out);
    if (!v2 && !json_is_true(json_object_get(p, "optional")))
        json_array_append_new(required, json_string(name));
}

static json_t *shown(const json_t *tool, bool v2)
{
    json_t *properties = json_object(), *required = json_array(), *p;
    const char *name = json_string_value(json_object_get(tool, "name")), *key;
    const char *said = json_string_value(json_object_get(tool, "description"));
    char plain[160];

    snprintf(plain, sizeof plain, "Agent tool '%s'.", name);
    json_object_foreach(json_object_get(tool, "params"), key, p)
        put_parameter(properties, required, key, p, v2);
    return json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:o, s:o}}}", "type", "function", "function",
                     "name", name, "description", said != NULL ? said : plain, "parameters", "type",
                     "object", "properties", properties, "required", required);
}

static void shuffle(json_t *list, auk_rng *rng)
{
    for (size_t i = json_array_size(list); i > 1; i--) {
        size_t k = auk_rng_below(rng, i);
        json_t *a = json_incref(json_array_get(list, i - 1));
        json_t *b = json_incref(json_array_get(list, k));
        json_array_set_new(list, i - 1, b);
        json_array_set_new(list, k, a);
    }
}

static const char *decoys_key(const auk_agent_instance *in)
{
    return in->task->set->v2 ? "decoy_tools" : "decoys";
}

static void show_tools(auk_agent_instance *in, auk_rng *rng)
{
    const json_t *tools = json_object_get(in->spec, "tools");
    const json_t *decoys = json_object_get(in->spec, decoys_key(in));

    in->tools = json_array();
    for (size_t i = 0; i < json_array_size(tools); i++)
        json_array_append_new(in->tools, shown(json_array_get(tools, i), in->task->set->v2));
    for (size_t i = 0; i < json_array_size(decoys); i++)
        json_array_append_new(in->tools, shown(json_array_get(decoys, i), in->task->set->v2));
    shuffle(in->tools, rng);
}

const json_t *auk_agent_tool(const auk_agent_instance *in, const char *name, bool *decoy)
{
    for (int d = 0; d < 2; d++) {
        const json_t *list = json_object_get(in->spec, d == 0 ? "tools" : decoys_key(in));
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *t = json_array_get(list, i);
            const char *own = json_string_value(json_object_get(t, "name"));
            if (own != NULL && strcmp(own, name) == 0) {
                *decoy = d == 1;
                return t;
            }
        }
    }
    *decoy = false;
    return NULL;
}

/* ---- arguments against the schema ---------------------------------------------------------- */

static bool has_type(const json_t *v, const char *type)
{
    if (strcmp(type, "string") == 0)
        return json_is_string(v);
    if (strcmp(type, "number") == 0)
        return json_is_number(v);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(v) ||
               (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)));
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(v);
    if (strcmp(type, "object") == 0)
        return json_is_object(v);
    return json_is_array(v);
}

/* The parameters that the model was shown; NULL: no such tool. */
static const json_t *parameters(const auk_agent_instance *in, const char *name)
{
    for (size_t i = 0; i < json_array_size(in->tools); i++) {
        const json_t *f = json_object_get(json_array_get(in->tools, i), "function");
        if (strcmp(json_string_value(json_object_get(f, "name")), name) == 0)
            return json_object_get(f, "parameters");
    }
    return NULL;
}

void auk_agent_type_args(json_t *args, const auk_agent_instance *in, const char *name)
{
    json_t *properties = json_object_get(parameters(in, name), "properties"), *p;
    const char *key;

    json_object_foreach(properties, key, p)
    {
        const char *type = json_string_value(json_object_get(p, "type"));
        json_t *text = json_object_get(args, key), *wrapped = NULL;
        if (!json_is_string(text) || strcmp(type, "string") == 0)
            continue;
        auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);
        auk_buf_puts(&b, "[");
        auk_buf_add(&b, json_string_value(text), json_string_length(text));
        auk_buf_puts(&b, "]");
        if (auk_json_parse(&wrapped, auk_buf_str(&b), "argument", NULL) == AUK_OK &&
            json_array_size(wrapped) == 1 && has_type(json_array_get(wrapped, 0), type))
            json_object_set(args, key, json_array_get(wrapped, 0));
        json_decref(wrapped);
        auk_buf_release(&b);
    }
}

bool auk_agent_schema(char *why, size_t n, const auk_agent_instance *in, const char *name,
                      const json_t *args)
{
    const json_t *tool = parameters(in, name), *v;
    const char *key;

    if (tool == NULL) {
        snprintf(why, n, "unknown tool `%s`", name);
        return false;
    }
    if (!json_is_object(args)) {
        snprintf(why, n, "the arguments of `%s` must be an object", name);
        return false;
    }
    const json_t *properties = json_object_get(tool, "properties");
    const json_t *required = json_object_get(tool, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        key = json_string_value(json_array_get(required, i));
        if (json_object_get(args, key) == NULL) {
            snprintf(why, n, "key `%s` required", key);
            return false;
        }
    }
    json_object_foreach((json_t *)args, key, v)
    {
        const json_t *p = json_object_get(properties, key);
        if (p == NULL && in->task->set->v2)
            continue;
        if (p == NULL) {
            snprintf(why, n, "`%s` has no key `%s`", name, key);
            return false;
        }
        const char *type = json_string_value(json_object_get(p, "type"));
        if (!has_type(v, type)) {
            snprintf(why, n, "key `%s` expects %s", key, type);
            return false;
        }
        const json_t *list = json_object_get(p, "enum");
        bool listed = list == NULL;
        for (size_t i = 0; i < json_array_size(list); i++)
            listed = listed || auk_value_equal(json_array_get(list, i), v);
        if (!listed) {
            snprintf(why, n, "key `%s` is not one of its allowed values", key);
            return false;
        }
    }
    return true;
}

/* ---- making one ---------------------------------------------------------------------------- */

/* Rows of a table come in a drawn order. */
static void shuffle_tables(json_t *spec, auk_rng *rng)
{
    json_t *tables = json_object_get(json_object_get(spec, "world"), "tables"), *rows, *row;
    const char *name, *id;
    void *next;

    json_object_foreach_safe(tables, next, name, rows)
    {
        json_t *ids = json_array(), *mixed = json_object();
        json_object_foreach(rows, id, row) json_array_append_new(ids, json_string(id));
        shuffle(ids, rng);
        for (size_t i = 0; i < json_array_size(ids); i++) {
            id = json_string_value(json_array_get(ids, i));
            json_object_set(mixed, id, json_object_get(rows, id));
        }
        json_decref(ids);
        json_object_set_new(tables, name, mixed);
    }
}

static uint64_t instance_seed(const auk_agent_task *t, const auk_agent_run_options *o)
{
    uint32_t run = o->same_instance ? 0 : (uint32_t)o->run;
    unsigned char le[4] = {(unsigned char)run, (unsigned char)(run >> 8),
                           (unsigned char)(run >> 16), (unsigned char)(run >> 24)};
    const char *who = t->set->v2 ? (o->model_name != NULL ? o->model_name : "") : t->id;
    uint64_t h = AUK_FNV_START;

    if (!t->set->v2)
        h = auk_fnv1a(h, &o->seed, sizeof o->seed);
    h = auk_fnv1a(h, who, strlen(who));
    h = auk_fnv1a(h, "|", 1);
    return auk_fnv1a(h, le, sizeof le);
}

int auk_agent_instance_make(auk_agent_instance *out, const auk_agent_task *t,
                            const auk_agent_run_options *opts, auk_err *err)
{
    *out = (auk_agent_instance){.task = t, .seed = instance_seed(t, opts)};
    auk_rng rng = auk_rng_make(out->seed);
    if (t->set->v2) {
        out->spec = t->set->generated ? renumber(t->spec, (unsigned)(out->seed % 90 + 10))
                                      : json_deep_copy(t->spec);
    } else {
        json_t *vars = json_object(), *rule;
        const char *name;
        json_object_foreach(json_object_get(t->spec, "vary"), name, rule)
        {
            json_t *v = draw(rule, vars, &rng);
            json_object_set_new(vars, name, v != NULL ? v : json_null());
        }
        out->spec = fill(t->spec, vars);
        json_decref(vars);
        shuffle_tables(out->spec, &rng);
    }
    const json_t *prompt = json_object_get(out->spec, "prompt");
    if (json_is_array(prompt))
        prompt = json_array_get(prompt, auk_rng_below(&rng, json_array_size(prompt)));
    out->prompt = json_string_value(prompt);
    show_tools(out, &rng);
    if (out->prompt != NULL)
        return AUK_OK;
    auk_agent_instance_release(out);
    return auk_fail(err, AUK_EFORMAT, "%s: task '%s' has no prompt", t->set->path, t->id);
}

void auk_agent_instance_release(auk_agent_instance *in)
{
    json_decref(in->spec);
    json_decref(in->tools);
    *in = (auk_agent_instance){0};
}
