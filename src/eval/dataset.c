/* SPDX-License-Identifier: Apache-2.0 */
/* HumanEval and MBPP as their authors and EvalPlus publish them. */
#include "eval/eval.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "eval/evalplus.h"

#include <zlib.h>

typedef struct auk_dataset_store {
    json_t *records; /* an array: the texts live here ... */
    char **texts;    /* ... and here: owned, made from several fields */
    size_t n_texts;
} auk_dataset_store;

/* Files whose bytes we know.  `broken` is the task whose own reference fails. */
static const struct {
    const char *set, *sha256, *what, *broken;
} known[] = {
    {"humaneval", "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
     "HumanEval.jsonl.gz", NULL},
    {"humaneval", "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2",
     "HumanEval.jsonl", NULL},
    {"humaneval+", "daa7661c8189924068069b0872a440b491edb60f8bdf431d5957adc88d18bae5",
     "HumanEvalPlus-OriginFmt-v0.1.10.jsonl.gz", "HumanEval/32"},
    {"humaneval+", "04228b8a570ff7c346c740b91f0c6a0b323f86a26e903db8477c6f2d10f38819",
     "HumanEvalPlus-OriginFmt-v0.1.10.jsonl", "HumanEval/32"},
    {"humaneval+", "272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",
     "HumanEvalPlus-v0.1.10.jsonl.gz", NULL},
    {"humaneval+", "42526ec0e7d5f3ee0b06d6ced98f8c8bae3d76519151bfb3d36f79010645bd7f",
     "HumanEvalPlus-v0.1.10.jsonl", NULL},
    {"mbpp", "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
     "sanitized-mbpp.json", NULL},
    {"mbpp+", "7a5aec547b134fa297ee6c45f829298aa3f58de02547b8d8a5c3d85d9cb10efc",
     "MbppPlus-OriginFmt-v0.2.0.jsonl.gz", NULL},
    {"mbpp+", "132d01c96df6b4b0fe0cbb8414092fe62c51b873b160d1ec8fc2ded28484865a",
     "MbppPlus-OriginFmt-v0.2.0.jsonl", NULL},
};
#define N_KNOWN (sizeof known / sizeof *known)

const auk_data_source *auk_dataset_source(const char *set)
{
    static const auk_data_source sources[] = {
        {"humaneval", "HumanEval.jsonl.gz",
         "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
         "https://raw.githubusercontent.com/openai/human-eval/master/data/HumanEval.jsonl.gz"},
        {"humaneval+", "HumanEvalPlus-OriginFmt-v0.1.10.jsonl.gz",
         "daa7661c8189924068069b0872a440b491edb60f8bdf431d5957adc88d18bae5",
         "https://raw.githubusercontent.com/evalplus/humanevalplus_release/"
         "200defce9e3429d28ca215b6dd061c0f7f31c18b/HumanEvalPlus-OriginFmt.jsonl.gz"},
        {"mbpp", "sanitized-mbpp.json",
         "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
         "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/"
         "sanitized-mbpp.json"},
        {"mbpp+", "MbppPlus-OriginFmt-v0.2.0.jsonl.gz",
         "7a5aec547b134fa297ee6c45f829298aa3f58de02547b8d8a5c3d85d9cb10efc",
         "https://raw.githubusercontent.com/evalplus/mbppplus_release/"
         "dadf43da556a00f7bacd71cb154f2932757d9144/MbppPlus-OriginFmt.jsonl.gz"},
    };

    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(set, sources[i].set) == 0)
            return &sources[i];
    return NULL;
}

/* ---- bytes -------------------------------------------------------------------------------- */

static int inflate_all(auk_buf *out, auk_str packed, const char *path, auk_err *err)
{
    z_stream z = {.next_in = (Bytef *)packed.p, .avail_in = (uInt)packed.n};
    unsigned char chunk[65536];
    int rc = Z_OK;

    if (packed.n > UINT32_MAX || inflateInit2(&z, 15 + 32) != Z_OK)
        return auk_fail(err, AUK_EFORMAT, "'%s' cannot be unpacked", path);
    while (rc == Z_OK) {
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        rc = inflate(&z, Z_NO_FLUSH);
        auk_buf_add(out, chunk, sizeof chunk - z.avail_out);
        if (rc == Z_STREAM_END && z.avail_in > 0) /* another member */
            rc = inflateReset(&z);
        else if (rc == Z_BUF_ERROR || out->failed)
            break;
    }
    inflateEnd(&z);
    if (rc != Z_STREAM_END && !out->failed)
        return auk_fail(err, AUK_EFORMAT, "'%s' is damaged or cut: it cannot be unpacked", path);
    return auk_buf_check(out, path, err);
}

static int read_bytes(auk_buf *out, char sha256[65], const char *path, auk_err *err)
{
    auk_buf raw = AUK_BUF_INIT(AUK_MAX_JSON_FILE);

    int rc = auk_file_read(&raw, path, err);
    if (rc == AUK_OK) {
        auk_sha256_of(sha256, auk_buf_str(&raw).p, raw.n);
        if (raw.n > 2 && (unsigned char)raw.p[0] == 0x1f && (unsigned char)raw.p[1] == 0x8b)
            rc = inflate_all(out, auk_buf_str(&raw), path, err);
        else
            auk_buf_add(out, auk_buf_str(&raw).p, raw.n);
    }
    auk_buf_release(&raw);
    return rc;
}

/* ---- records ------------------------------------------------------------------------------ */

static bool has_word(auk_str text, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= text.n; i++)
        if (memcmp(text.p + i, word, n) == 0)
            return true;
    return false;
}

static int read_line(json_t **out, auk_str line, const char *name, auk_err *err)
{
    if (!has_word(line, "\"plus_input\""))
        return auk_json_parse(out, line, name, err);
    int rc = auk_json_parse_wide(out, line, name, err);
    if (rc == AUK_OK && json_object_get(*out, "plus_input") != NULL &&
        !auk_evalplus_has_inputs(*out)) {
        json_decref(*out);
        rc = auk_fail(err, AUK_ENOTSUP,
                      "'%s': this is MBPP+ with inputs, whose tuples and sets became lists; give "
                      "its OriginFmt file",
                      name);
    }
    if (rc == AUK_OK)
        json_object_set_new(*out, AUK_EVALPLUS_LINE, json_stringn(line.p, line.n));
    return rc;
}

static int read_lines(json_t *list, auk_str text, const char *path, auk_err *err)
{
    size_t number = 0;
    char name[300];

    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        auk_str line = {text.p, n};
        json_t *v;
        text = auk_str_from(text, n + (end != NULL));
        number++;
        while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
            line.n--;
        if (line.n == 0)
            continue;
        snprintf(name, sizeof name, "%.200s, line %zu", path, number);
        int rc = read_line(&v, line, name, err);
        if (rc < 0)
            return rc;
        json_array_append_new(list, v);
    }
    return AUK_OK;
}

static int read_records(json_t **out, auk_str text, const char *path, auk_err *err)
{
    size_t at = 0;
    int rc = AUK_OK;

    while (at < text.n && (text.p[at] == ' ' || text.p[at] == '\n' || text.p[at] == '\r'))
        at++;
    if (at < text.n && text.p[at] == '[') {
        rc = auk_json_parse(out, text, path, err);
    } else {
        *out = json_array();
        rc = read_lines(*out, text, path, err);
    }
    if (rc == AUK_OK && json_array_size(*out) == 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' holds no record", path);
    return rc;
}

/* ---- tasks -------------------------------------------------------------------------------- */

static auk_str keep(auk_dataset_store *store, auk_buf *text)
{
    auk_str s = {auk_strndup(auk_buf_str(text).p, text->n), text->n};

    store->texts = auk_realloc(store->texts, (store->n_texts + 1) * sizeof *store->texts);
    store->texts[store->n_texts++] = (char *)s.p;
    auk_buf_clear(text);
    return s;
}

/* A list of strings, a line each; false when v is something else. */
static bool add_lines(auk_buf *out, const json_t *v)
{
    const json_t *s;
    size_t i;

    if (!json_is_array(v))
        return false;
    json_array_foreach(v, i, s)
    {
        if (!json_is_string(s))
            return false;
        auk_buf_add(out, json_string_value(s), json_string_length(s));
        auk_buf_putc(out, '\n');
    }
    return true;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The one function of `code` that the first assert calls. */
static auk_str called_first(auk_str code, auk_str assertion)
{
    for (size_t i = 0; i < assertion.n; i++) {
        size_t n = 0;
        while (i + n < assertion.n && is_name(assertion.p[i + n]))
            n++;
        if (n > 0 && i + n < assertion.n && assertion.p[i + n] == '(') {
            char def[128];
            snprintf(def, sizeof def, "def %.*s(", (int)(n > 100 ? 100 : n), assertion.p + i);
            if (has_word(code, def))
                return (auk_str){assertion.p + i, n};
        }
        i += n;
    }
    return (auk_str){"", 0};
}

static int wrong(const char *key, const char *want, size_t i, const char *path, auk_err *err)
{
    return auk_fail(err, AUK_EFORMAT, "'%s', record %zu: '%s' is not %s", path, i + 1, key, want);
}

static int read_humaneval(auk_task *t, auk_dataset_store *store, const json_t *v, size_t i,
                          const char *path, auk_err *err)
{
    static const char *const keys[] = {"task_id", "prompt", "entry_point", "canonical_solution",
                                       "test"};
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    bool inputs = auk_evalplus_has_inputs(v);
    auk_str field[5];
    auk_err why;

    for (size_t k = 0; k < (inputs ? 4 : 5); k++) {
        field[k] = auk_json_str(json_object_get(v, keys[k]));
        if (field[k].p == NULL)
            return wrong(keys[k], "a string", i, path, err);
    }
    if (field[0].n == 0 || field[0].n >= sizeof t->id || field[2].n == 0 || field[2].n > 200)
        return wrong(field[0].n == 0 || field[0].n >= sizeof t->id ? keys[0] : keys[2],
                     "of a usable length", i, path, err);
    snprintf(t->id, sizeof t->id, "%.*s", AUK_ARG(field[0]));
    t->prompt = field[1];
    t->entry_point = field[2];
    t->reference = field[3];
    if (!inputs) {
        auk_buf_add(&text, field[4].p, field[4].n);
        auk_buf_printf(&text, "\ncheck(%.*s)", AUK_ARG(field[2]));
    } else if (auk_evalplus_tests(&text, v, &why) < 0) {
        auk_buf_release(&text);
        return auk_fail(err, AUK_EFORMAT, "'%s', record %zu: %s", path, i + 1, why.msg);
    }
    t->tests = keep(store, &text);
    auk_buf_release(&text);
    return AUK_OK;
}

static int read_mbpp(auk_task *t, auk_dataset_store *store, const json_t *v, size_t i,
                     const char *path, auk_err *err)
{
    const json_t *id = json_object_get(v, "task_id"), *imports = json_object_get(v, "test_imports");
    auk_str prompt = auk_json_str(json_object_get(v, "prompt"));
    auk_str code = auk_json_str(json_object_get(v, "code"));
    auk_str test = auk_json_str(json_object_get(v, "test"));
    auk_str setup = auk_json_str(json_object_get(v, "test_setup_code"));
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    int rc = AUK_OK;

    if (prompt.p == NULL)
        prompt = auk_json_str(json_object_get(v, "text"));
    if (!json_is_integer(id) || json_integer_value(id) < 0)
        return wrong("task_id", "a number", i, path, err);
    if (prompt.p == NULL || code.p == NULL)
        return wrong(prompt.p == NULL ? "prompt" : "code", "a string", i, path, err);
    snprintf(t->id, sizeof t->id, "MBPP/%lld", (long long)json_integer_value(id));
    t->prompt = prompt;
    t->reference = code;
    if (imports != NULL && !add_lines(&text, imports))
        rc = wrong("test_imports", "a list of strings", i, path, err);
    auk_buf_add(&text, setup.p != NULL ? setup.p : "", setup.n);
    t->before = keep(store, &text);
    if (rc == AUK_OK && !add_lines(&text, json_object_get(v, "test_list")))
        rc = wrong("test_list", "a list of strings", i, path, err);
    t->asserts = keep(store, &text);
    t->tests = test.p != NULL ? test : t->asserts;
    if (rc == AUK_OK)
        t->entry_point =
            called_first(code, auk_json_str(json_array_get(json_object_get(v, "test_list"), 0)));
    auk_buf_release(&text);
    return rc;
}

/* The test split of MBPP: EvalPlus' file and others of its form are used whole. */
static bool in_split(const auk_dataset *d, const json_t *v)
{
    json_int_t id = json_integer_value(json_object_get(v, "task_id"));

    return d->form != AUK_FORM_MBPP || json_object_get(v, "test") != NULL ||
           !json_is_integer(json_object_get(v, "task_id")) || (id >= 11 && id <= 510);
}

static int read_tasks(auk_dataset *d, const char *path, auk_err *err)
{
    const json_t *records = d->store->records, *v;
    size_t i;
    int rc = auk_try_alloc(&d->tasks, json_array_size(records), sizeof *d->tasks, err);

    if (rc < 0)
        return rc;
    const json_t *first = json_array_get(records, 0);
    d->form =
        json_object_get(first, "canonical_solution") != NULL ? AUK_FORM_HUMANEVAL : AUK_FORM_MBPP;
    json_array_foreach(records, i, v)
    {
        auk_task *t = &d->tasks[d->n];
        if (!in_split(d, v))
            continue;
        *t = (auk_task){
            .prompt = {"", 0}, .entry_point = {"", 0}, .before = {"", 0}, .asserts = {"", 0}};
        rc = d->form == AUK_FORM_HUMANEVAL ? read_humaneval(t, d->store, v, i, path, err)
                                           : read_mbpp(t, d->store, v, i, path, err);
        if (rc < 0)
            return rc;
        t->big = has_word(t->tests, "import numpy");
        if (auk_dataset_find(d, auk_str_of(t->id)) != NULL)
            return auk_fail(err, AUK_EFORMAT, "'%s' holds task '%s' twice", path, t->id);
        d->n++;
    }
    return AUK_OK;
}

/* ---- opening ------------------------------------------------------------------------------ */

static int identify(auk_dataset *d, const char *name, const char *path, auk_err *err)
{
    const char *last = strrchr(path, '/');
    bool is_set = name == NULL;

    snprintf(d->name, sizeof d->name, "%s", name != NULL ? name : last != NULL ? last + 1 : path);
    for (size_t i = 0; i < N_KNOWN; i++) {
        is_set |= name != NULL && strcmp(name, known[i].set) == 0;
        if (strcmp(d->sha256, known[i].sha256) != 0 ||
            (name != NULL && strcmp(name, known[i].set) != 0))
            continue;
        snprintf(d->name, sizeof d->name, "%s", known[i].set);
        for (size_t t = 0; t < d->n; t++)
            d->tasks[t].broken =
                known[i].broken != NULL && strcmp(d->tasks[t].id, known[i].broken) == 0;
        return AUK_OK;
    }
    if (!is_set)
        return auk_fail(err, AUK_EINVAL,
                        "'%s' is no data set: humaneval, humaneval+, mbpp, mbpp+ or a file", name);
    if (name == NULL)
        return AUK_OK;
    return auk_fail(err, AUK_EINVAL, "'%s' is not the file of %s: its sha256 is %s", path, name,
                    d->sha256);
}

int auk_dataset_open(auk_dataset *out, const char *name, const char *path, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_JSON_FILE);

    *out = (auk_dataset){.store = auk_alloc(sizeof *out->store)};
    int rc = read_bytes(&text, out->sha256, path, err);
    if (rc == AUK_OK && name != NULL) /* a wrong file is not even parsed */
        rc = identify(out, name, path, err);
    if (rc == AUK_OK)
        rc = read_records(&out->store->records, auk_buf_str(&text), path, err);
    if (rc == AUK_OK)
        rc = read_tasks(out, path, err);
    if (rc == AUK_OK)
        rc = identify(out, name, path, err);
    if (rc == AUK_OK && out->n == 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' holds no task of the test split", path);
    auk_buf_release(&text);
    if (rc < 0) {
        auk_dataset_close(out);
        *out = (auk_dataset){0};
    }
    return rc;
}

void auk_dataset_close(auk_dataset *d)
{
    if (d->store != NULL) {
        json_decref(d->store->records);
        for (size_t i = 0; i < d->store->n_texts; i++)
            free(d->store->texts[i]);
        free(d->store->texts);
    }
    free(d->store);
    free(d->tasks);
}

const auk_task *auk_dataset_find(const auk_dataset *d, auk_str id)
{
    const char *prefix = d->form == AUK_FORM_MBPP ? "MBPP/" : "HumanEval/";
    char full[32];

    bool bare = id.n > 0 && id.n < 10;
    for (size_t i = 0; i < id.n && bare; i++)
        bare = id.p[i] >= '0' && id.p[i] <= '9';
    if (bare) {
        snprintf(full, sizeof full, "%s%.*s", prefix, AUK_ARG(id));
        id = auk_str_of(full);
    }
    for (size_t i = 0; i < d->n; i++)
        if (auk_str_is(id, d->tasks[i].id))
            return &d->tasks[i];
    return NULL;
}

void auk_task_program(auk_buf *out, const auk_task *t, auk_str code)
{
    auk_buf_add(out, t->before.p, t->before.n);
    if (t->before.n > 0 && t->before.p[t->before.n - 1] != '\n')
        auk_buf_putc(out, '\n');
    auk_buf_add(out, code.p, code.n);
    auk_buf_putc(out, '\n');
    auk_buf_add(out, t->tests.p, t->tests.n);
}
