/* SPDX-License-Identifier: Apache-2.0 */
/* Reading collections.  A word that is not known is an error that names file, task and field. */
#include "diagnose/agent_parts.h"

#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct {
    const char *name;
    int k, steps, tokens;
} tiers[AUK_N_TIERS] = {
    {"easy", 5, 8, 1536},
    {"medium", 8, 16, 2048},
    {"hard", 16, 32, 3072},
    {"extreme", 24, 48, 4096},
};

const char *auk_tier_name(auk_tier t)
{
    return t < AUK_N_TIERS ? tiers[t].name : "?";
}

bool auk_tier_parse(auk_tier *out, const char *name)
{
    for (int i = 0; name != NULL && i < AUK_N_TIERS; i++)
        if (strlen(name) == strlen(tiers[i].name) &&
            auk_glob(auk_str_of(tiers[i].name), auk_str_of(name))) {
            *out = (auk_tier)i;
            return true;
        }
    return false;
}

int auk_tier_k(auk_tier t)
{
    return tiers[t].k;
}

int auk_tier_steps(auk_tier t)
{
    return tiers[t].steps;
}

int auk_tier_tokens(auk_tier t, bool thinking)
{
    return thinking ? tiers[t].tokens : 256;
}

/* ---- words --------------------------------------------------------------------------------- */

typedef struct reader {
    const char *path, *task;
    auk_err *err;
} reader;

static int bad(const reader *r, const char *field, const char *what)
{
    return auk_fail(r->err, AUK_EFORMAT, "%s: %s%s%s%s: %s", r->path,
                    r->task != NULL ? "task '" : "", r->task != NULL ? r->task : "",
                    r->task != NULL ? "', " : "", field, what);
}

/* Every key of v is one of the words in `known`, "|a|b|". */
static int only(const reader *r, const json_t *v, const char *where, const char *known)
{
    char what[160], mark[96];
    const char *key;
    const json_t *member;

    if (v == NULL)
        return AUK_OK;
    if (!json_is_object(v))
        return bad(r, where, "is not an object");
    json_object_foreach((json_t *)v, key, member)
    {
        snprintf(mark, sizeof mark, "|%s|", key);
        if (strstr(known, mark) == NULL) {
            snprintf(what, sizeof what, "unknown field '%.80s'", key);
            return bad(r, where, what);
        }
    }
    return AUK_OK;
}

static int need_text(const reader *r, const json_t *v, const char *key)
{
    return json_string_length(json_object_get(v, key)) > 0 ? AUK_OK
                                                           : bad(r, key, "is missing or no text");
}

static bool listed(const char *word, const char *known)
{
    char mark[96];

    snprintf(mark, sizeof mark, "|%s|", word);
    return strstr(known, mark) != NULL;
}

/* ---- our form ------------------------------------------------------------------------------ */

#define VERBS "|get|list|set|add|drop|file|calc|check|say|"

static int check_does(const reader *r, const json_t *tool, const char *name)
{
    const json_t *does = json_object_get(tool, "does"), *v;
    const char *key;
    int verbs = 0;

    if (does == NULL)
        return bad(r, name, "has no \"does\"");
    int rc = only(r, does, name, VERBS "id|fields|where|values|needs|path|text|old|new|ok|");
    if (rc < 0)
        return rc;
    json_object_foreach((json_t *)does, key, v) verbs += listed(key, VERBS);
    if (verbs != 1)
        return bad(r, name,
                   "\"does\" wants exactly one of get, list, set, add, drop, file, calc, "
                   "check, say");
    if ((json_object_get(does, "get") != NULL || json_object_get(does, "list") != NULL) &&
        json_array_size(json_object_get(does, "fields")) == 0)
        return bad(r, name, "returns whole rows: name its \"fields\"");
    const json_t *file = json_object_get(does, "file");
    if (file != NULL &&
        (!json_is_string(file) ||
         !listed(json_string_value(file), "|read|list|search|write|replace|delete|")))
        return bad(r, name, "\"file\" is none of read, list, search, write, replace, delete");
    return AUK_OK;
}

static int check_tools(const reader *r, const json_t *list, bool real)
{
    const char *key;
    json_t *p;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(t, "name"));
        int rc = need_text(r, t, "name");
        if (rc == AUK_OK)
            rc = need_text(r, t, "description");
        if (rc == AUK_OK)
            rc = only(r, t, name, "|name|description|params|does|");
        if (rc == AUK_OK && (real || json_object_get(t, "does") != NULL))
            rc = check_does(r, t, name);
        if (rc < 0)
            return rc;
        json_object_foreach(json_object_get(t, "params"), key, p)
        {
            const char *type = json_string_value(json_object_get(p, "type"));
            rc = only(r, p, key, "|type|description|enum|optional|free|");
            if (rc < 0)
                return rc;
            if (type == NULL || !listed(type, "|string|number|integer|boolean|object|array|"))
                return bad(r, key, "has no known \"type\"");
        }
    }
    return AUK_OK;
}

static int check_ours(const reader *r, const json_t *t)
{
    const char *key;
    json_t *v;

    int rc = only(r, t, "task",
                  "|id|tier|k|max_steps|max_recovery|vary|prompt|world|tools|decoys|"
                  "faults|goal|solution|note|");
    if (rc == AUK_OK)
        rc = only(r, json_object_get(t, "world"), "world", "|tables|files|");
    if (rc == AUK_OK)
        rc = only(r, json_object_get(t, "goal"), "goal",
                  "|tables|added|files|say|answer|never|once|before|ignore|abstain|");
    if (rc == AUK_OK && json_object_get(t, "goal") == NULL)
        rc = bad(r, "goal", "is missing");
    if (rc == AUK_OK && json_array_size(json_object_get(t, "solution")) == 0)
        rc = bad(r, "solution", "is missing: the steps that show the goal can be reached");
    if (rc == AUK_OK && !json_is_array(json_object_get(t, "prompt")))
        rc = need_text(r, t, "prompt");
    if (rc == AUK_OK)
        rc = check_tools(r, json_object_get(t, "tools"), true);
    if (rc == AUK_OK)
        rc = check_tools(r, json_object_get(t, "decoys"), false);
    if (rc < 0)
        return rc;
    json_object_foreach(json_object_get(t, "vary"), key, v)
    {
        rc = only(r, v, key, "|pick|int|step|id|calc|of|map|");
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < json_array_size(json_object_get(t, "faults")); i++) {
        rc = only(r, json_array_get(json_object_get(t, "faults"), i), "faults",
                  "|tool|status|times|type|");
        if (rc < 0)
            return rc;
    }
    return AUK_OK;
}

/* ---- v2 ------------------------------------------------------------------------------------ */

static int check_v2(const reader *r, const json_t *t)
{
    const json_t *category = json_object_get(t, "category");
    const json_t *expected = json_object_get(t, "expected_calls");

    int rc = need_text(r, t, "prompt");
    if (rc < 0)
        return rc;
    if (category != NULL &&
        (!json_is_string(category) || strcmp(json_string_value(category), "agent_loop") != 0))
        return bad(r, "category", "is not \"agent_loop\"");
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *type = json_object_get(json_array_get(expected, i), "type");
        if (type != NULL && (!json_is_string(type) || strcmp(json_string_value(type), "call") != 0))
            return bad(r, "expected_calls", "a type other than \"call\"");
    }
    for (size_t i = 0; i < json_array_size(json_object_get(t, "faults")); i++) {
        const json_t *type =
            json_object_get(json_array_get(json_object_get(t, "faults"), i), "type");
        if (!json_is_string(type) || !listed(json_string_value(type), "|transient|persistent|"))
            return bad(r, "faults", "a type other than \"transient\" and \"persistent\"");
    }
    const json_t *target = json_object_get(t, "target_state");
    if (target != NULL && !json_is_null(target) && !json_is_object(target))
        return bad(r, "target_state", "is not an object");
    return AUK_OK;
}

/* ---- a set --------------------------------------------------------------------------------- */

static int number_of(const json_t *v, const char *key, int otherwise)
{
    const json_t *n = json_object_get(v, key);

    return json_is_integer(n) ? (int)json_integer_value(n) : otherwise;
}

static void copy(char *out, size_t n, const json_t *root, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(root, key));

    snprintf(out, n, "%s", s != NULL ? s : otherwise);
}

static int read_task(auk_agent_task *out, auk_agent_set *s, const json_t *v, size_t at,
                     auk_err *err)
{
    char number[32];
    const char *id = json_string_value(json_object_get(v, "id"));
    snprintf(number, sizeof number, "%zu", at + 1);
    reader r = {s->path, id != NULL ? id : number, err};

    if (id == NULL || id[0] == 0)
        return bad(&r, "id", "is missing");
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->tasks[i].id, id) == 0)
            return bad(&r, "id", "is there twice");
    int rc = s->v2 ? check_v2(&r, v) : check_ours(&r, v);
    if (rc < 0)
        return rc;
    *out = (auk_agent_task){.id = id, .tier = s->tier, .set = s, .spec = v};
    const char *tier = json_string_value(json_object_get(v, "tier"));
    if (tier != NULL && !auk_tier_parse(&out->tier, tier))
        return bad(&r, "tier", "is none of easy, medium, hard, extreme");
    out->max_steps = number_of(v, "max_steps", auk_tier_steps(out->tier));
    out->max_recovery = number_of(v, "max_recovery", 2);
    out->k = number_of(v, "k", number_of(s->root, "pass_k", auk_tier_k(out->tier)));
    if (out->k < 1 || out->max_steps < 1 || out->max_recovery < 0)
        return bad(&r, "k, max_steps", "must be at least 1");
    return AUK_OK;
}

int auk_agent_set_open(auk_agent_set *out, const char *path, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);
    reader r = {path, NULL, err};

    *out = (auk_agent_set){0};
    snprintf(out->path, sizeof out->path, "%s", path);
    int rc = auk_file_read(&text, path, err);
    if (rc == AUK_OK)
        rc = auk_json_parse(&out->root, auk_buf_str(&text), path, err);
    if (rc == AUK_OK)
        auk_sha256_of(out->sha256, auk_buf_str(&text).p, text.n);
    auk_buf_release(&text);
    if (rc < 0)
        return rc;
    const json_t *tasks = json_object_get(out->root, "tasks");
    const char *schema = json_string_value(json_object_get(out->root, "schema"));
    copy(out->name, sizeof out->name, out->root, "name", "unnamed");
    copy(out->domain, sizeof out->domain, out->root, "domain", "");
    copy(out->environment, sizeof out->environment, out->root, "environment", "entity");
    out->v2 = schema == NULL;
    out->generated = json_is_true(json_object_get(out->root, "generated"));
    const char *tier = json_string_value(json_object_get(out->root, "tier"));
    if (!json_is_array(tasks) || json_array_size(tasks) == 0)
        rc = bad(&r, "tasks", "is missing or empty");
    else if (schema != NULL && strcmp(schema, "auklet.agent/1") != 0)
        rc = bad(&r, "schema", "is not \"auklet.agent/1\"");
    else if (!auk_tier_parse(&out->tier, tier))
        rc = bad(&r, "tier", "is none of easy, medium, hard, extreme");
    else if (!listed(out->environment, "|entity|filesystem|web_corpus|web_ui|"))
        rc = bad(&r, "environment", "is none of entity, filesystem, web_corpus, web_ui");
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->tasks, json_array_size(tasks), sizeof *out->tasks, err);
    for (size_t i = 0; rc == AUK_OK && i < json_array_size(tasks); i++) {
        rc = read_task(&out->tasks[out->n], out, json_array_get(tasks, i), i, err);
        out->n += rc == AUK_OK;
    }
    if (rc < 0)
        auk_agent_set_close(out);
    return rc;
}

void auk_agent_set_close(auk_agent_set *s)
{
    free(s->tasks);
    json_decref(s->root);
    *s = (auk_agent_set){0};
}
