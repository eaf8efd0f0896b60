/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/schema.h"

#include "base/mem.h"

#include <math.h>

#define MAX_NODES 200000
#define MAX_DEPTH 128
#define MAX_PROPERTIES 64 /* their set is a word */
#define MAX_BOUND 1000000000000000000

int auk_schema_node(auk_schema *s, auk_node_kind kind)
{
    if ((s->n & (s->n - 1)) == 0)
        s->nodes = auk_realloc(s->nodes, (s->n ? 2 * s->n : 1) * sizeof *s->nodes);
    s->nodes[s->n] = (auk_node){.kind = kind, .rest = -1, .hi = INT64_MAX};
    return (int)s->n++;
}

void auk_schema_part(auk_schema *s, int node, int part)
{
    auk_node *n = &s->nodes[node];

    n->parts = auk_realloc(n->parts, (n->n_parts + 1) * sizeof *n->parts);
    n->parts[n->n_parts++] = part;
}

void auk_schema_text(auk_schema *s, int node, auk_str text, int follow, bool required)
{
    auk_node *n = &s->nodes[node];

    n->texts = auk_realloc(n->texts, (n->n_texts + 1) * sizeof *n->texts);
    n->texts[n->n_texts++] = (auk_text){auk_strndup(text.p, text.n), text.n, follow, required};
}

static int by_bytes(const void *a, const void *b)
{
    const auk_text *x = a, *y = b;
    int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return c != 0 ? c : x->n < y->n ? -1 : x->n > y->n;
}

void auk_schema_sort(auk_schema *s, int node)
{
    auk_node *n = &s->nodes[node];

    if (n->n_texts > 1)
        qsort(n->texts, n->n_texts, sizeof *n->texts, by_bytes);
}

void auk_schema_release(auk_schema *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < s->nodes[i].n_texts; k++)
            free(s->nodes[i].texts[k].p);
        free(s->nodes[i].texts);
        free(s->nodes[i].parts);
    }
    free(s->nodes);
    json_decref(s->seen);
    *s = (auk_schema){0};
}

/* ---- compiling ---- */

static int add(int *node, auk_schema *s, const json_t *schema, auk_err *err);

static int any_value(auk_schema *s)
{
    static const char *const words[] = {"false", "null", "true"};
    int alt = auk_schema_node(s, AUK_NODE_ALT), map = auk_schema_node(s, AUK_NODE_MAP);
    int array = auk_schema_node(s, AUK_NODE_ARRAY), choice = auk_schema_node(s, AUK_NODE_CHOICE);

    for (int i = 0; i < 3; i++)
        auk_schema_text(s, choice, auk_str_of(words[i]), -1, false);
    auk_schema_part(s, map, alt);
    s->nodes[array].rest = alt;
    auk_schema_part(s, alt, map);
    auk_schema_part(s, alt, array);
    auk_schema_part(s, alt, choice);
    auk_schema_part(s, alt, auk_schema_node(s, AUK_NODE_STRING));
    auk_schema_part(s, alt, auk_schema_node(s, AUK_NODE_NUMBER));
    return alt;
}

/* The compact text json.dumps would not be surprised by. */
static void add_literal(auk_schema *s, int choice, const json_t *v)
{
    auk_buf text = AUK_BUF_INIT((size_t)1 << 24);

    auk_json_print(&text, v, (auk_json_style){0});
    auk_schema_text(s, choice, auk_buf_str(&text), -1, false);
    auk_buf_release(&text);
}

static int64_t count_of(const json_t *schema, const char *key, int64_t missing)
{
    const json_t *v = json_object_get(schema, key);
    double x = json_number_value(v);

    return json_is_number(v) && x >= 0 && x < 1e15 ? (int64_t)x : missing;
}

static void string_node(auk_schema *s, int node, const json_t *schema)
{
    s->nodes[node].lo = count_of(schema, "minLength", 0);
    s->nodes[node].hi = count_of(schema, "maxLength", INT64_MAX);
}

static int number_node(auk_schema *s, int node, const json_t *schema, bool integer, auk_err *err)
{
    const json_t *lo = json_object_get(schema, "minimum"), *hi = json_object_get(schema, "maximum");
    const json_t *over = json_object_get(schema, "exclusiveMinimum");
    const json_t *under = json_object_get(schema, "exclusiveMaximum");
    auk_node *n = &s->nodes[node];
    double low = -1e18, high = 1e18;

    n->integer = integer;
    n->bounded =
        json_is_number(lo) || json_is_number(hi) || json_is_number(over) || json_is_number(under);
    if (json_is_number(lo))
        low = ceil(json_number_value(lo));
    if (json_is_number(over) && floor(json_number_value(over)) + 1 > low)
        low = floor(json_number_value(over)) + 1;
    if (json_is_number(hi))
        high = floor(json_number_value(hi));
    if (json_is_number(under) && ceil(json_number_value(under)) - 1 < high)
        high = ceil(json_number_value(under)) - 1;
    n->lo = low < -1e18 ? -MAX_BOUND : (int64_t)low;
    n->hi = high > 1e18 ? MAX_BOUND : (int64_t)high;
    if (n->bounded && n->lo > n->hi)
        return auk_fail(err, AUK_ENOTSUP, "the schema's bounds leave no whole number between them");
    return AUK_OK;
}

static void quoted(auk_buf *out, auk_str name)
{
    auk_json_print_string(out, name, false);
}

static bool is_required(const json_t *schema, const char *name)
{
    const json_t *list = json_object_get(schema, "required");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (auk_str_is(auk_json_str(json_array_get(list, i)), name))
            return true;
    return false;
}

static int object_node(auk_schema *s, int node, const json_t *schema, auk_err *err)
{
    json_t *properties = json_object_get(schema, "properties"), *v;
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required");
    const char *name;
    int rc = AUK_OK, rest = -1;

    s->nodes[node].lo = count_of(schema, "minProperties", 0);
    s->nodes[node].hi = count_of(schema, "maxProperties", INT64_MAX);
    if (!json_is_false(more)) {
        if (json_is_object(more))
            rc = add(&rest, s, more, err);
        else
            rest = any_value(s);
    }
    if (rc == AUK_OK && json_object_size(properties) == 0 && json_array_size(required) == 0 &&
        rest >= 0) {
        s->nodes[node].kind = AUK_NODE_MAP;
        auk_schema_part(s, node, rest);
        if (s->nodes[node].lo > 1) /* keys might repeat */
            return auk_fail(err, AUK_ENOTSUP, "minProperties above 1 needs 'properties'");
        return AUK_OK;
    }
    json_object_foreach(properties, name, v)
    {
        auk_buf text = AUK_BUF_INIT((size_t)1 << 20);
        int value = -1;
        if (rc == AUK_OK && !json_is_false(v))
            rc = add(&value, s, v, err);
        quoted(&text, auk_str_of(name));
        if (value >= 0)
            auk_schema_text(s, node, auk_buf_str(&text), value, is_required(schema, name));
        auk_buf_release(&text);
    }
    for (size_t i = 0; i < json_array_size(required) && rc == AUK_OK; i++) {
        auk_str key = auk_json_str(json_array_get(required, i));
        auk_buf text = AUK_BUF_INIT((size_t)1 << 20);
        if (key.p != NULL && json_object_getn(properties, key.p, key.n) == NULL) {
            if (rest < 0)
                rc = auk_fail(err, AUK_EINVAL, "the schema requires '%.*s', which it forbids",
                              AUK_ARG(key));
            quoted(&text, key);
            auk_schema_text(s, node, auk_buf_str(&text), rest, true);
        }
        auk_buf_release(&text);
    }
    if (rc == AUK_OK && s->nodes[node].n_texts > MAX_PROPERTIES)
        return auk_fail(err, AUK_ENOTSUP, "an object of the schema has more than %d properties",
                        MAX_PROPERTIES);
    if (rc == AUK_OK && s->nodes[node].lo > (int64_t)s->nodes[node].n_texts)
        return auk_fail(err, AUK_ENOTSUP, "minProperties is more than the properties listed");
    auk_schema_sort(s, node);
    return rc;
}

static int array_node(auk_schema *s, int node, const json_t *schema, auk_err *err)
{
    const json_t *items = json_object_get(schema, "items");
    const json_t *first = json_object_get(schema, "prefixItems");
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(first) && rc == AUK_OK; i++) {
        int part = -1;
        rc = add(&part, s, json_array_get(first, i), err);
        auk_schema_part(s, node, part);
    }
    if (rc == AUK_OK && !json_is_false(items)) {
        int rest = -1;
        if (json_is_object(items))
            rc = add(&rest, s, items, err);
        else
            rest = any_value(s);
        s->nodes[node].rest = rest;
    }
    s->nodes[node].lo = count_of(schema, "minItems", 0);
    s->nodes[node].hi = count_of(schema, "maxItems", INT64_MAX);
    if (s->nodes[node].rest < 0 && s->nodes[node].hi > (int64_t)s->nodes[node].n_parts)
        s->nodes[node].hi = (int64_t)s->nodes[node].n_parts;
    if (rc == AUK_OK && s->nodes[node].lo > s->nodes[node].hi)
        return auk_fail(err, AUK_EINVAL, "an array of the schema has minItems above its maximum");
    return rc;
}

static int add_type(int *node, auk_schema *s, const json_t *schema, auk_str type, auk_err *err)
{
    *node = auk_schema_node(s, AUK_NODE_CHOICE);
    if (auk_str_is(type, "null")) {
        auk_schema_text(s, *node, auk_str_of("null"), -1, false);
    } else if (auk_str_is(type, "boolean")) {
        auk_schema_text(s, *node, auk_str_of("false"), -1, false);
        auk_schema_text(s, *node, auk_str_of("true"), -1, false);
    } else if (auk_str_is(type, "string")) {
        s->nodes[*node].kind = AUK_NODE_STRING;
        string_node(s, *node, schema);
        if (s->nodes[*node].lo > s->nodes[*node].hi)
            return auk_fail(err, AUK_EINVAL,
                            "a string of the schema has minLength above maxLength");
    } else if (auk_str_is(type, "number") || auk_str_is(type, "integer")) {
        s->nodes[*node].kind = AUK_NODE_NUMBER;
        return number_node(s, *node, schema, auk_str_is(type, "integer"), err);
    } else if (auk_str_is(type, "object")) {
        s->nodes[*node].kind = AUK_NODE_OBJECT;
        return object_node(s, *node, schema, err);
    } else if (auk_str_is(type, "array")) {
        s->nodes[*node].kind = AUK_NODE_ARRAY;
        return array_node(s, *node, schema, err);
    } else {
        return auk_fail(err, AUK_EINVAL, "the schema's type '%.*s' is none of JSON's",
                        AUK_ARG(type));
    }
    return AUK_OK;
}

static int refuse_keywords(const auk_schema *s, const json_t *schema, auk_err *err)
{
    static const char *const unknown[] = {"pattern",
                                          "not",
                                          "if",
                                          "then",
                                          "else",
                                          "multipleOf",
                                          "uniqueItems",
                                          "contains",
                                          "propertyNames",
                                          "patternProperties",
                                          "oneOf",
                                          "dependentRequired",
                                          "dependentSchemas",
                                          "unevaluatedProperties",
                                          "unevaluatedItems",
                                          "$dynamicRef"};

    for (size_t i = 0; i < sizeof unknown / sizeof *unknown && !s->lenient; i++) {
        const json_t *v = json_object_get(schema, unknown[i]);
        if (v != NULL && !(json_is_array(v) && json_array_size(v) == 1) && !json_is_false(v))
            return auk_fail(err, AUK_ENOTSUP,
                            "the schema's keyword '%s' is not offered: leave it out", unknown[i]);
    }
    return AUK_OK;
}

static const json_t *resolve(const auk_schema *s, auk_str ref)
{
    const json_t *at = s->root;
    char step[256];

    if (!auk_str_starts(ref, "#"))
        return NULL;
    ref = auk_str_from(ref, 1);
    while (ref.n > 0 && at != NULL) {
        size_t n = 0;
        ref = auk_str_from(ref, 1); /* the slash */
        for (; ref.n > 0 && ref.p[0] != '/' && n < sizeof step - 1; ref = auk_str_from(ref, 1)) {
            char c = ref.p[0];
            if (c == '~' && ref.n > 1) {
                c = ref.p[1] == '1' ? '/' : '~';
                ref = auk_str_from(ref, 1);
            }
            step[n++] = c;
        }
        step[n] = 0;
        at = json_is_array(at) ? json_array_get(at, strtoul(step, NULL, 10))
                               : json_object_get(at, step);
    }
    return at;
}

static int add_parts(int node, auk_schema *s, const json_t *list, auk_err *err)
{
    int rc = AUK_OK;

    if (json_array_size(list) == 0)
        return auk_fail(err, AUK_EINVAL, "a list of alternatives in the schema is empty");
    for (size_t i = 0; i < json_array_size(list) && rc == AUK_OK; i++) {
        int part = -1;
        rc = add(&part, s, json_array_get(list, i), err);
        auk_schema_part(s, node, part);
    }
    return rc;
}

/* What several schemas say together, where they are objects that do not contradict. */
static json_t *merge(const json_t *schema, const json_t *all)
{
    json_t *out = json_copy((json_t *)schema);

    json_object_del(out, "allOf");
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *part = json_array_get(all, i), *v;
        const char *key;
        json_object_foreach(part, key, v)
        {
            json_t *have = json_object_get(out, key);
            if (have == NULL) {
                json_object_set_new(out, key, json_deep_copy(v));
            } else if (strcmp(key, "properties") == 0) {
                json_t *both = json_copy(have);
                json_object_update_missing(both, v);
                json_object_set_new(out, key, both);
            } else if (strcmp(key, "required") == 0) {
                json_t *both = json_copy(have);
                json_array_extend(both, v);
                json_object_set_new(out, key, both);
            }
        }
    }
    return out;
}

static int add_object(int *node, auk_schema *s, const json_t *schema, auk_err *err)
{
    const json_t *type = json_object_get(schema, "type"), *ref = json_object_get(schema, "$ref");
    const json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
    const json_t *all = json_object_get(schema, "allOf"), *list = json_object_get(schema, "enum");
    const json_t *constant = json_object_get(schema, "const");

    int rc = refuse_keywords(s, schema, err);
    if (rc < 0)
        return rc;
    if (json_is_string(ref)) {
        const json_t *to = resolve(s, auk_json_str(ref));
        if (to == NULL)
            return auk_fail(err, AUK_EINVAL, "the schema's $ref '%.*s' leads nowhere",
                            AUK_ARG(auk_json_str(ref)));
        return add(node, s, to, err);
    }
    if (constant != NULL || json_array_size(list) > 0) {
        *node = auk_schema_node(s, AUK_NODE_CHOICE);
        if (constant != NULL)
            add_literal(s, *node, constant);
        for (size_t i = 0; constant == NULL && i < json_array_size(list); i++)
            add_literal(s, *node, json_array_get(list, i));
        auk_schema_sort(s, *node);
        return AUK_OK;
    }
    if (all != NULL) {
        json_t *whole = merge(schema, all);
        char key[32]; /* it lives as long as its parts are known by their addresses */
        snprintf(key, sizeof key, "merged %p", (void *)whole);
        json_object_set_new(s->seen, key, whole);
        return add(node, s, whole, err);
    }
    any = any != NULL ? any : one;
    if (any != NULL) {
        *node = auk_schema_node(s, AUK_NODE_ALT);
        return add_parts(*node, s, any, err);
    }
    if (json_is_string(type))
        return add_type(node, s, schema, auk_json_str(type), err);
    if (json_array_size(type) > 0) {
        *node = auk_schema_node(s, AUK_NODE_ALT);
        for (size_t i = 0; i < json_array_size(type) && rc == AUK_OK; i++) {
            int part = -1;
            rc = add_type(&part, s, schema, auk_json_str(json_array_get(type, i)), err);
            auk_schema_part(s, *node, part);
        }
        return rc;
    }
    if (json_object_get(schema, "properties") != NULL ||
        json_object_get(schema, "required") != NULL)
        return add_type(node, s, schema, auk_str_of("object"), err);
    if (json_object_get(schema, "items") != NULL)
        return add_type(node, s, schema, auk_str_of("array"), err);
    *node = any_value(s);
    return AUK_OK;
}

static int add(int *node, auk_schema *s, const json_t *schema, auk_err *err)
{
    char key[32];

    *node = -1;
    if (json_is_true(schema)) {
        *node = any_value(s);
        return AUK_OK;
    }
    if (!json_is_object(schema))
        return auk_fail(err, AUK_EINVAL, "a part of the schema is neither an object nor true");
    if (s->n > MAX_NODES || s->depth >= MAX_DEPTH)
        return auk_fail(err, AUK_EINVAL, "the schema is too large or refers to itself at once");
    snprintf(key, sizeof key, "%p", (const void *)schema);
    const json_t *known = json_object_get(s->seen, key);
    if (known != NULL) {
        *node = (int)json_integer_value(known);
        return AUK_OK;
    }
    /* its place first: it may refer to itself from inside */
    int place = auk_schema_node(s, AUK_NODE_ALT), inner = -1;
    json_object_set_new(s->seen, key, json_integer(place));
    s->depth++;
    int rc = add_object(&inner, s, schema, err);
    s->depth--;
    if (rc == AUK_OK)
        auk_schema_part(s, place, inner);
    *node = place;
    return rc;
}

int auk_schema_add(int *node, auk_schema *s, const json_t *schema, bool lenient, auk_err *err)
{
    s->root = schema;
    s->lenient = lenient;
    json_decref(s->seen); /* addresses are only good while their schema lives */
    s->seen = json_object();
    return add(node, s, schema, err);
}

/* ---- can it end ---- */

static bool all_finite(const auk_schema *s, const auk_node *n)
{
    size_t need = 0;

    switch (n->kind) {
    case AUK_NODE_ALT:
        for (size_t i = 0; i < n->n_parts; i++)
            if (n->parts[i] >= 0 && s->nodes[n->parts[i]].finite)
                return true;
        return false;
    case AUK_NODE_CHOICE:
        for (size_t i = 0; i < n->n_texts; i++)
            if (n->texts[i].follow < 0 || s->nodes[n->texts[i].follow].finite)
                return true;
        return false;
    case AUK_NODE_OBJECT:
        for (size_t i = 0; i < n->n_texts; i++) {
            bool finite = s->nodes[n->texts[i].follow].finite;
            if (n->texts[i].required && !finite)
                return false;
            need += finite;
        }
        return (int64_t)need >= n->lo;
    case AUK_NODE_SEQ:
        for (size_t i = 0; i < n->n_parts; i++)
            if (!s->nodes[n->parts[i]].finite)
                return false;
        return true;
    case AUK_NODE_MAP:
        return n->lo == 0 || s->nodes[n->parts[0]].finite;
    case AUK_NODE_ARRAY:
        for (size_t i = 0; i < n->n_parts && (int64_t)i < n->lo; i++)
            if (!s->nodes[n->parts[i]].finite)
                return false;
        return n->lo <= (int64_t)n->n_parts || (n->rest >= 0 && s->nodes[n->rest].finite);
    default:
        return true;
    }
}

int auk_schema_check(auk_schema *s, int node, auk_err *err)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < s->n; i++)
            if (!s->nodes[i].finite && all_finite(s, &s->nodes[i]))
                s->nodes[i].finite = changed = true;
    }
    if (s->nodes[node].finite)
        return AUK_OK;
    return auk_fail(err, AUK_EINVAL, "the schema describes nothing that ends");
}
