/* SPDX-License-Identifier: Apache-2.0 */
/* A record as text: what its id is taken over, what is exported, and what is parsed again. */
#include "ledger/db.h"

#include "base/limits.h"
#include "base/mem.h"

#define HEAD_SCHEMA "auklet.record/1"

static const char *const wanted[] = {"command", "started", "finished", "code", "machine"};

static bool is_reserved(const char *key)
{
    return strcmp(key, "schema") == 0 || strcmp(key, "kind") == 0 || strcmp(key, "headline") == 0 ||
           strcmp(key, "items") == 0;
}

static int check_about(const auk_record *r, auk_err *err)
{
    const char *key;
    json_t *value;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (json_object_get(r->about, wanted[i]) == NULL)
            return auk_fail(err, AUK_EINVAL, "a record without '%s'", wanted[i]);
    json_object_foreach((json_t *)r->about, key, value)
    {
        if (is_reserved(key))
            return auk_fail(err, AUK_EINVAL, "a record's '%s' is not the caller's to give", key);
    }
    return AUK_OK;
}

static int check_items(const auk_str *items, size_t n, const char *name, auk_err *err)
{
    char what[300];
    json_t *v;

    for (size_t i = 0; i < n; i++) {
        snprintf(what, sizeof what, "%s, item %zu", name, i + 1);
        if (items[i].n > AUK_MAX_LINE)
            return auk_fail(err, AUK_ELIMIT, "'%s' is longer than %zu bytes", what, AUK_MAX_LINE);
        if (items[i].n > 0 && memchr(items[i].p, '\n', items[i].n) != NULL)
            return auk_fail(err, AUK_EFORMAT, "'%s' is more than one line", what);
        int rc = auk_json_parse(&v, items[i], what, err);
        if (rc == AUK_OK && !json_is_object(v))
            rc = auk_fail(err, AUK_EFORMAT, "'%s' is not a JSON object", what);
        json_decref(v);
        if (rc < 0)
            return rc;
    }
    return AUK_OK;
}

/* The head as an object; its key order is part of the id. */
static json_t *make_head(const auk_record *r, json_t *headline)
{
    json_t *head = json_object(), *value;
    const char *key;

    json_object_set_new(head, "schema", json_string(HEAD_SCHEMA));
    json_object_set_new(head, "kind", json_string(r->kind));
    json_object_foreach((json_t *)r->about, key, value)
    {
        json_object_set(head, key, value);
    }
    json_object_set(head, "headline", headline);
    json_object_set_new(head, "items", json_integer((json_int_t)r->n_items));
    return head;
}

int auk_record_print(auk_buf *out, const auk_record *r, auk_headline_fn *headline, auk_err *err)
{
    json_t *line = NULL;

    int rc = check_about(r, err);
    if (rc == AUK_OK)
        rc = check_items(r->items, r->n_items, r->kind, err);
    if (rc == AUK_OK)
        rc = headline(&line, NULL, r->kind, r->items, r->n_items, err);
    if (rc < 0)
        return rc;
    json_t *head = make_head(r, line);
    auk_json_print(out, head, (auk_json_style){0});
    auk_buf_putc(out, '\n');
    for (size_t i = 0; i < r->n_items; i++) {
        auk_buf_add(out, r->items[i].p, r->items[i].n);
        auk_buf_putc(out, '\n');
    }
    json_decref(head);
    json_decref(line);
    return auk_buf_check(out, "the record", err);
}

static int parse_head(auk_entry *e, auk_str line, const char *name, auk_err *err)
{
    int rc = auk_json_parse(&e->head, line, name, err);
    if (rc < 0)
        return rc;
    const json_t *items = json_object_get(e->head, "items");
    if (!auk_str_is(auk_json_str(json_object_get(e->head, "schema")), HEAD_SCHEMA) ||
        !json_is_string(json_object_get(e->head, "kind")) ||
        !json_is_object(json_object_get(e->head, "headline")) || json_integer_value(items) < 0 ||
        !json_is_integer(items))
        return auk_fail(err, AUK_EFORMAT, "'%s' is not the head of a record", name);
    e->n_items = (size_t)json_integer_value(items);
    return AUK_OK;
}

int auk_entry_parse(auk_entry *out, auk_buf *text, const char *name, auk_err *err)
{
    out->text = *text;
    *text = AUK_BUF_INIT(text->max);
    const char *at = out->text.p;
    const char *stop = at != NULL ? memchr(at, '\n', out->text.n) : NULL;
    if (stop == NULL)
        return auk_fail(err, AUK_EFORMAT, "'%s' has no head", name);
    const char *end = at + out->text.n;
    int rc = parse_head(out, (auk_str){at, (size_t)(stop - at)}, name, err);
    if (rc == AUK_OK && out->n_items > (size_t)(end - at))
        rc = auk_fail(err, AUK_EFORMAT, "'%s' has fewer items than its head says", name);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->items, out->n_items + 1, sizeof *out->items, err);
    at = stop + 1;
    for (size_t i = 0; rc == AUK_OK && i < out->n_items; i++) {
        stop = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        if (stop == NULL)
            return auk_fail(err, AUK_EFORMAT, "'%s' has fewer items than its head says", name);
        out->items[i] = (auk_str){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    if (rc == AUK_OK && at != end)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' has more items than its head says", name);
    return rc < 0 ? rc : check_items(out->items, out->n_items, name, err);
}

int auk_entry_check_headline(const auk_entry *e, auk_headline_fn *headline, auk_err *err)
{
    const json_t *said = json_object_get(e->head, "headline");
    const char *rule = json_string_value(json_object_get(said, "rule"));
    const char *kind = json_string_value(json_object_get(e->head, "kind"));
    json_t *found = NULL;

    if (rule == NULL)
        return auk_fail(err, AUK_EFORMAT, "the headline names no rule");
    int rc = headline(&found, rule, kind, e->items, e->n_items, err);
    if (rc < 0)
        return rc;
    auk_buf a = AUK_BUF_INIT(AUK_MAX_TEXT), b = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_json_print(&a, said, (auk_json_style){0});
    auk_json_print(&b, found, (auk_json_style){0});
    if (!auk_str_eq(auk_buf_str(&a), auk_buf_str(&b)))
        rc = auk_fail(err, AUK_EFORMAT, "the headline is not what the items give");
    auk_buf_release(&a);
    auk_buf_release(&b);
    json_decref(found);
    return rc;
}

void auk_entry_release(auk_entry *e)
{
    json_decref(e->head);
    auk_buf_release(&e->text);
    free(e->items);
    *e = (auk_entry){0};
}

void auk_entries_free(auk_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        auk_entry_release(&entries[i]);
    free(entries);
}

const json_t *auk_record_at(const json_t *head, const char *path)
{
    const json_t *v = head;
    char key[64];

    while (v != NULL && *path != 0) {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        v = json_object_get(v, key);
        path += n + (path[n] == '.');
    }
    return v;
}

int auk_entry_export(auk_buf *out, const auk_entry *e, auk_err *err)
{
    auk_buf_printf(out, "{\"schema\": \"auklet.ledger/1\", \"id\": \"%s\", \"lines\": %zu}\n",
                   e->id, e->n_items + 1);
    auk_buf_add(out, e->text.p, e->text.n);
    return auk_buf_check(out, "the export", err);
}
