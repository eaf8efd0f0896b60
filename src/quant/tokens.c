/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/quant.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/sha256.h"

#define MBPP_SEQUENCES 64
#define MBPP_LENGTH 256
#define MBPP_FIRST_TEST 11 /* task ids of the test split, which evaluations use */
#define MBPP_LAST_TEST 510

typedef struct reader {
    auk_calib_tokens *out;
    const auk_calib_options *opts;
    const char *path, *model;
    auk_tokenizer *tok; /* owned; NULL until text is met: ids need none */
    int32_t bos;
    auk_err *err;
} reader;

static int open_tokenizer(reader *r)
{
    if (r->tok != NULL)
        return AUK_OK;
    int rc = auk_tokenizer_open(&r->tok, r->model, r->err);
    if (rc == AUK_OK)
        r->bos = auk_tokenizer_id(r->tok, "<BOS_TOKEN>");
    return rc;
}

/* ---- sequences ----------------------------------------------------------------------------- */

static int add_sequence(reader *r, const int32_t *ids, size_t n)
{
    auk_calib_tokens *o = r->out;

    if (n == 0)
        return AUK_OK;
    if (o->ids.n + n > r->opts->max_tokens) {
        o->left_out += n;
        return AUK_OK;
    }
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 64;
        o->lengths = auk_realloc(o->lengths, o->cap * sizeof *o->lengths);
    }
    int rc = auk_ids_reserve(&o->ids, n, r->err);
    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        rc = auk_ids_add(&o->ids, ids[i], r->err);
    if (rc == AUK_OK)
        o->lengths[o->n++] = n;
    return rc;
}

/* A conversation: whole when it fits, else its pieces. */
static int add_cut(reader *r, const auk_ids *ids)
{
    int rc = AUK_OK;

    for (size_t at = 0; at < ids->n && rc == AUK_OK; at += r->opts->length)
        rc = add_sequence(r, ids->p + at,
                          ids->n - at < r->opts->length ? ids->n - at : r->opts->length);
    return rc;
}

/* Running text: sequences of one length, each behind a beginning; a rest is left out. */
static int add_text(reader *r, const auk_ids *ids, size_t length)
{
    size_t begin = r->bos >= 0, body = length - begin, at = 0;
    int32_t *sequence = auk_alloc(length * sizeof *sequence);
    int rc = AUK_OK;

    for (; at + body <= ids->n && rc == AUK_OK; at += body) {
        sequence[0] = r->bos;
        memcpy(sequence + begin, ids->p + at, body * sizeof *sequence);
        rc = add_sequence(r, sequence, length);
    }
    r->out->left_out += ids->n - at;
    if (rc == AUK_OK && r->out->n == 0)
        rc = auk_fail(r->err, AUK_EINVAL,
                      "'%s' has %zu tokens, less than one sequence of %zu: give more text, or "
                      "shorter sequences",
                      r->path, ids->n, length);
    free(sequence);
    return rc;
}

/* ---- text that is no use ------------------------------------------------------------------- */

/* Of all lines that hold something, the share that stands there for the first time. */
static double fresh_share(auk_str s)
{
    enum { SLOTS = 1 << 16 };
    uint64_t *seen = auk_alloc(SLOTS * sizeof *seen);
    size_t lines = 0, fresh = 0;

    for (size_t at = 0; at < s.n;) {
        const char *p = s.p + at, *end = memchr(p, '\n', s.n - at);
        size_t n = end != NULL ? (size_t)(end - p) : s.n - at;
        uint64_t hash = 1469598103934665603u;
        for (size_t i = 0; i < n; i++)
            hash = (hash ^ (uint8_t)p[i]) * 1099511628211u;
        hash |= 1;
        if (n > 3) { /* not a brace alone */
            lines++;
            fresh += seen[hash % SLOTS] != hash;
            seen[hash % SLOTS] = hash;
        }
        at += n + 1;
    }
    free(seen);
    return lines > 0 ? (double)fresh / (double)lines : 0;
}

static int check_text(const reader *r, auk_str s)
{
    size_t foreign = 0, letters = 0;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = (uint8_t)s.p[i];
        foreign += b >= 0xC0 && b != 0xC3 && b != 0xC4 && b != 0xC5; /* beyond Latin letters */
        letters += (b | 32) >= 'a' && (b | 32) <= 'z';
    }
    if (s.n == 0 || letters + foreign == 0)
        return auk_fail(r->err, AUK_EINVAL, "'%s' holds no text: give code, or conversations",
                        r->path);
    if (r->opts->any)
        return AUK_OK;
    if (foreign > letters)
        return auk_fail(r->err, AUK_EINVAL,
                        "'%s' is hardly in Latin script (%.0f %% of its letters): experts for code "
                        "would see none; add code, or say --calib-any",
                        r->path, 100.0 * (double)letters / (double)(letters + foreign));
    double fresh = fresh_share(s);
    if (fresh < 0.2)
        return auk_fail(r->err, AUK_EINVAL,
                        "'%s' repeats itself (%.1f %% of its lines are new): Hessians of so few "
                        "directions fit nothing else; give other text, or say --calib-any",
                        r->path, 100 * fresh);
    return AUK_OK;
}

static int read_text(reader *r, auk_str s, size_t length)
{
    auk_ids ids = {0};

    int rc = check_text(r, s);
    if (rc == AUK_OK)
        rc = open_tokenizer(r);
    if (rc == AUK_OK)
        rc = auk_tokenizer_encode(&ids, r->tok, s, false, r->err);
    if (rc == AUK_OK)
        rc = add_text(r, &ids, length);
    auk_ids_release(&ids);
    return rc;
}

/* ---- lines of JSON ------------------------------------------------------------------------- */

static int add_ids(reader *r, const json_t *list, const char *name)
{
    auk_ids ids = {0};
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(list) && rc == AUK_OK; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            rc = auk_fail(r->err, AUK_EFORMAT, "%s: entry %zu is not a token id", name, i);
        else
            rc = auk_ids_add(&ids, (int32_t)json_integer_value(v), r->err);
    }
    if (rc == AUK_OK)
        rc = add_cut(r, &ids);
    auk_ids_release(&ids);
    return rc;
}

static int add_line(reader *r, auk_str line, const char *name)
{
    auk_ids ids = {0};
    json_t *v = NULL;

    int rc = auk_json_parse(&v, line, name, r->err);
    if (rc == AUK_OK && json_object_get(v, "ids") != NULL) {
        rc = add_ids(r, json_object_get(v, "ids"), name);
    } else if (rc == AUK_OK && json_object_get(v, "messages") == NULL) {
        rc = auk_fail(r->err, AUK_EFORMAT, "%s has neither \"messages\" nor \"ids\"", name);
    } else if (rc == AUK_OK) {
        if (json_object_get(v, "add_generation_prompt") == NULL)
            json_object_set_new(v, "add_generation_prompt", json_false());
        rc = open_tokenizer(r);
        if (rc == AUK_OK)
            rc = auk_request_prepare(v, r->err);
        if (rc == AUK_OK)
            rc = auk_render_ids(&ids, r->tok, v, r->err);
        if (rc == AUK_OK)
            rc = add_cut(r, &ids);
    }
    json_decref(v);
    auk_ids_release(&ids);
    return rc;
}

/* Calls fn with every line that holds something. */
static int each_line(reader *r, auk_str s, int (*fn)(reader *r, auk_str line, const char *name))
{
    size_t number = 0;
    int rc = AUK_OK;

    for (size_t at = 0; at < s.n && rc == AUK_OK;) {
        const char *p = s.p + at, *end = memchr(p, '\n', s.n - at);
        size_t n = end != NULL ? (size_t)(end - p) : s.n - at;
        char name[300];
        number++;
        snprintf(name, sizeof name, "'%.200s', line %zu", r->path, number);
        if (n > 0 && strspn(p, " \t\r") < n)
            rc = fn(r, (auk_str){p, n}, name);
        at += n + 1;
    }
    return rc;
}

static int read_array(reader *r, auk_str s)
{
    json_t *v = NULL;

    int rc = auk_json_parse(&v, s, r->path, r->err);
    bool nested = json_is_array(json_array_get(v, 0));
    for (size_t i = 0; nested && i < json_array_size(v) && rc == AUK_OK; i++)
        rc = add_ids(r, json_array_get(v, i), r->path);
    if (rc == AUK_OK && !nested)
        rc = add_ids(r, v, r->path);
    json_decref(v);
    return rc;
}

/* ---- MBPP ---------------------------------------------------------------------------------- */

typedef struct problems {
    auk_buf *texts; /* owned */
    size_t n, skipped;
} problems;

static int take_problem(problems *p, auk_str line, const char *name, auk_err *err)
{
    json_t *v = NULL;

    int rc = auk_json_parse(&v, line, name, err);
    if (rc < 0)
        return rc;
    const json_t *id = json_object_get(v, "task_id"), *text = json_object_get(v, "text");
    auk_str code = auk_json_str(json_object_get(v, "code"));
    auk_str said = auk_json_str(text != NULL ? text : json_object_get(v, "prompt"));
    json_int_t number = json_integer_value(id);
    if (!json_is_integer(id) || code.n == 0) {
        rc = auk_fail(err, AUK_EFORMAT, "%s has no task_id and code: not a problem of MBPP", name);
    } else if (number >= MBPP_FIRST_TEST && number <= MBPP_LAST_TEST) {
        p->skipped++;
    } else {
        p->texts = auk_realloc(p->texts, (p->n + 1) * sizeof *p->texts);
        auk_buf *problem = &p->texts[p->n++];
        *problem = AUK_BUF_INIT(1 << 20);
        auk_buf_printf(problem, "\"\"\"%.*s\"\"\"\n%.*s\n\n\n", AUK_ARG(said), AUK_ARG(code));
    }
    json_decref(v);
    return rc;
}

static int read_mbpp(reader *r, auk_str s)
{
    problems p = {0};
    auk_buf all = AUK_BUF_INIT(1 << 26);
    auk_ids ids = {0};
    auk_rng rng = auk_rng_make(1234);
    int rc = open_tokenizer(r);

    for (size_t at = 0; at < s.n && rc == AUK_OK;) {
        const char *q = s.p + at, *end = memchr(q, '\n', s.n - at);
        size_t n = end != NULL ? (size_t)(end - q) : s.n - at;
        if (n > 1)
            rc = take_problem(&p, (auk_str){q, n}, r->path, r->err);
        at += n + 1;
    }
    for (size_t i = p.n; i > 1; i--) {
        size_t j = (size_t)auk_rng_below(&rng, i);
        auk_buf swap = p.texts[i - 1];
        p.texts[i - 1] = p.texts[j];
        p.texts[j] = swap;
    }
    for (size_t i = 0; i < p.n; i++)
        auk_buf_add(&all, p.texts[i].p, p.texts[i].n);
    if (rc == AUK_OK)
        rc = auk_tokenizer_encode(&ids, r->tok, auk_buf_str(&all), false, r->err);
    size_t need = MBPP_SEQUENCES * (MBPP_LENGTH - (size_t)(r->bos >= 0));
    if (rc == AUK_OK && ids.n < need)
        rc = auk_fail(r->err, AUK_EINVAL,
                      "'%s' has %zu problems outside %d..%d, %zu tokens; %zu are needed: give the "
                      "whole mbpp.jsonl",
                      r->path, p.n, MBPP_FIRST_TEST, MBPP_LAST_TEST, ids.n, need);
    if (rc == AUK_OK) {
        ids.n = need;
        rc = add_text(r, &ids, MBPP_LENGTH);
    }
    for (size_t i = 0; i < p.n; i++)
        auk_buf_release(&p.texts[i]);
    free(p.texts);
    auk_buf_release(&all);
    auk_ids_release(&ids);
    return rc;
}

/* ---- the door ------------------------------------------------------------------------------ */

static bool begins(auk_str s, char c)
{
    size_t at = 0;

    while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\n' || s.p[at] == '\t' || s.p[at] == '\r'))
        at++;
    return at < s.n && s.p[at] == c;
}

/* By what stands there: a file of code may begin with a brace, but not every line of it. */
static bool is_json_lines(auk_str s)
{
    const char *end = memchr(s.p, '\n', s.n);
    size_t n = end != NULL ? (size_t)(end - s.p) : s.n;
    json_t *v = NULL;
    auk_err ignored;

    if (!begins(s, '{') || auk_json_parse(&v, (auk_str){s.p, n}, "", &ignored) < 0)
        return false;
    bool is = json_is_object(v);
    json_decref(v);
    return is;
}

static int count_distinct(auk_calib_tokens *out, auk_err *err)
{
    int32_t most = 0;
    bool *seen = NULL;

    for (size_t i = 0; i < out->ids.n; i++)
        most = out->ids.p[i] > most ? out->ids.p[i] : most;
    int rc = auk_try_alloc(&seen, (size_t)most + 1, sizeof *seen, err);
    for (size_t i = 0; i < out->ids.n && rc == AUK_OK; i++) {
        out->n_distinct += !seen[out->ids.p[i]];
        seen[out->ids.p[i]] = true;
    }
    free(seen);
    return rc;
}

static int read_all(reader *r, auk_str s, bool mbpp)
{
    if (mbpp)
        return read_mbpp(r, s);
    if (s.n == 0)
        return auk_fail(r->err, AUK_EINVAL, "'%s' is empty: give code, or conversations", r->path);
    if (is_json_lines(s))
        return each_line(r, s, add_line);
    if (begins(s, '[') && s.n > 1 && strspn(s.p, "[0123456789,- \n\r\t]") == s.n)
        return read_array(r, s);
    return read_text(r, s, r->opts->length);
}

int auk_calib_read(auk_calib_tokens *out, const char *model, const char *path, const auk_str *text,
                   const auk_calib_options *opts, auk_err *err)
{
    bool mbpp = strncmp(path, "mbpp:", 5) == 0;
    reader r = {.out = out,
                .opts = opts,
                .path = mbpp ? path + 5 : path,
                .model = model,
                .bos = -1,
                .err = err};
    auk_buf file = AUK_BUF_INIT((size_t)1 << 30);

    *out = (auk_calib_tokens){0};
    if (opts->length < 2)
        return auk_fail(err, AUK_EINVAL, "sequences of %zu tokens are too short", opts->length);
    int rc = text == NULL ? auk_file_read(&file, r.path, err) : AUK_OK;
    if (rc == AUK_OK) {
        auk_buf_putc(&file, 0); /* strspn ends */
        auk_str s = {file.p, file.n - 1};
        rc = read_all(&r, text != NULL ? *text : s, mbpp);
    }
    if (rc == AUK_OK && out->n == 0)
        rc = auk_fail(err, AUK_EINVAL, "'%s' gives no calibration tokens within %zu", r.path,
                      opts->max_tokens);
    if (rc == AUK_OK)
        rc = count_distinct(out, err);
    if (rc == AUK_OK)
        auk_sha256_of(out->sha256, out->ids.p, out->ids.n * sizeof *out->ids.p);
    out->all = (auk_calibration){out->ids.p, out->lengths, out->n};
    auk_tokenizer_close(r.tok);
    auk_buf_release(&file);
    if (rc < 0)
        auk_calib_tokens_release(out);
    return rc;
}

void auk_calib_tokens_release(auk_calib_tokens *t)
{
    auk_ids_release(&t->ids);
    free(t->lengths);
    *t = (auk_calib_tokens){0};
}
