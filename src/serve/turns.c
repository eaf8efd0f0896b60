/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "serve/turns.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"

#include <sys/stat.h>

#define MAX_TURNS 4096
#define MAX_TOOL_SETS 64

typedef struct turn {
    char key[AUK_JOB_HASH];
    char thinking[AUK_JOB_HASH]; /* hash of it */
    int32_t *ids;                /* owned; the whole turn, its header included */
    size_t n;
    uint64_t used;
} turn;

struct auk_turns {
    pthread_mutex_t lock; /* guards all below */
    turn *all;            /* owned */
    size_t n;
    uint64_t clock;
    json_t *tools; /* owned; canonical text to the list first seen */
    char *file;    /* owned; or NULL */
};

/* ---- what a client sees ---- */

static auk_str trimmed(auk_str s)
{
    while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]) != NULL && s.p[s.n - 1] != 0)
        s.n--;
    while (s.n > 0 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != 0)
        s = auk_str_from(s, 1);
    return s;
}

static void add_part(auk_sha256 *h, const char *kind, auk_str text)
{
    uint64_t n = text.n;

    auk_sha256_add(h, kind, strlen(kind) + 1);
    auk_sha256_add(h, &n, sizeof n);
    if (text.n > 0)
        auk_sha256_add(h, text.p, text.n);
}

static void add_call(auk_sha256 *h, auk_str name, const json_t *arguments)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_json_print(&text, arguments, (auk_json_style){.sort_keys = true});
    add_part(h, "name", name);
    add_part(h, "arguments", auk_buf_str(&text));
    auk_buf_release(&text);
}

/* visible = hash(visible, what this message shows). */
static void chain(char visible[AUK_JOB_HASH], const json_t *message)
{
    const json_t *calls = json_object_get(message, "tool_calls");
    auk_str text = auk_json_str(json_object_get(message, "content"));
    auk_sha256 *h = auk_sha256_new();

    auk_sha256_add(h, visible, AUK_JOB_HASH - 1);
    add_part(h, "role", auk_json_str(json_object_get(message, "role")));
    add_part(h, "content", json_array_size(calls) > 0 ? (auk_str){"", 0} : trimmed(text));
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *f = json_object_get(json_array_get(calls, i), "function");
        add_call(h, auk_json_str(json_object_get(f, "name")), json_object_get(f, "arguments"));
    }
    auk_sha256_finish(h, visible);
}

static void chain_answer(char visible[AUK_JOB_HASH], const auk_parsed *parsed)
{
    auk_sha256 *h = auk_sha256_new();

    auk_sha256_add(h, visible, AUK_JOB_HASH - 1);
    add_part(h, "role", auk_str_of("assistant"));
    add_part(h, "content", parsed->n_calls > 0 ? (auk_str){"", 0} : trimmed(parsed->text));
    for (size_t i = 0; i < parsed->n_calls; i++)
        add_call(h, parsed->calls[i].name, parsed->calls[i].arguments);
    auk_sha256_finish(h, visible);
}

static void hash_text(char out[AUK_JOB_HASH], auk_str s)
{
    s = trimmed(s);
    auk_sha256_of(out, s.n ? s.p : "", s.n);
}

/* ---- the store ---- */

static turn *find(auk_turns *t, const char *key)
{
    for (size_t i = 0; i < t->n; i++)
        if (memcmp(t->all[i].key, key, AUK_JOB_HASH - 1) == 0)
            return &t->all[i];
    return NULL;
}

static turn *place_for(auk_turns *t, const char *key)
{
    turn *at = find(t, key);

    if (at == NULL && t->n < MAX_TURNS) {
        t->all = auk_realloc(t->all, (t->n + 1) * sizeof *t->all);
        at = &t->all[t->n++];
        *at = (turn){0};
    }
    if (at != NULL)
        return at;
    at = &t->all[0];
    for (size_t i = 1; i < t->n; i++)
        if (t->all[i].used < at->used)
            at = &t->all[i];
    return at;
}

static void put(auk_turns *t, const char *key, const char *thinking, const int32_t *ids, size_t n)
{
    turn *at = place_for(t, key);

    free(at->ids);
    *at = (turn){.n = n, .used = ++t->clock};
    memcpy(at->key, key, AUK_JOB_HASH - 1);
    memcpy(at->thinking, thinking, AUK_JOB_HASH - 1);
    at->ids = auk_alloc(n * sizeof *ids);
    memcpy(at->ids, ids, n * sizeof *ids);
}

static bool load_line(auk_turns *t, const json_t *line)
{
    auk_str key = auk_json_str(json_object_get(line, "key"));
    auk_str thinking = auk_json_str(json_object_get(line, "thinking"));
    const json_t *list = json_object_get(line, "ids");
    size_t n = json_array_size(list);
    int32_t *ids;

    if (key.n != AUK_JOB_HASH - 1 || thinking.n != AUK_JOB_HASH - 1 || n == 0 ||
        auk_try_alloc(&ids, n, sizeof *ids, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    put(t, key.p, thinking.p, ids, n);
    free(ids);
    return true;
}

static void load(auk_turns *t)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (auk_file_exists(t->file) && auk_file_read(&text, t->file, NULL) == AUK_OK) {
        const char *at = text.p, *end = text.p + text.n, *stop;
        for (; at < end && (stop = memchr(at, '\n', (size_t)(end - at))) != NULL; at = stop + 1) {
            json_t *line;
            if (auk_json_parse(&line, (auk_str){at, (size_t)(stop - at)}, t->file, NULL) < 0)
                break; /* what is lost is only time */
            load_line(t, line);
            json_decref(line);
        }
    }
    auk_buf_release(&text);
}

auk_turns *auk_turns_new(const char *file)
{
    auk_turns *t = auk_alloc(sizeof *t);

    pthread_mutex_init(&t->lock, NULL);
    t->tools = json_object();
    t->file = file != NULL ? auk_strndup(file, strlen(file)) : NULL;
    if (t->file != NULL)
        load(t);
    return t;
}

void auk_turns_free(auk_turns *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n; i++)
        free(t->all[i].ids);
    free(t->all);
    free(t->file);
    json_decref(t->tools);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int auk_turns_save(auk_turns *t, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    int rc = AUK_OK;

    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n && t->file != NULL; i++) {
        const turn *at = &t->all[i];
        auk_buf_printf(&text, "{\"key\":\"%s\",\"thinking\":\"%s\",\"ids\":[", at->key,
                       at->thinking);
        for (size_t k = 0; k < at->n; k++)
            auk_buf_printf(&text, k > 0 ? ",%d" : "%d", (int)at->ids[k]);
        auk_buf_puts(&text, "]}\n");
    }
    pthread_mutex_unlock(&t->lock);
    if (t->file != NULL && text.n > 0) {
        mode_t old = umask(077);
        rc = auk_file_write(t->file, auk_buf_str(&text), err);
        umask(old);
    }
    auk_buf_release(&text);
    return rc;
}

/* ---- restoring ---- */

typedef struct restorer {
    auk_turns *t;
    auk_job *job;
    const int32_t *ids; /* as rendered */
    size_t n;
    int32_t begin, chatbot, user;
    auk_ids out;
} restorer;

static size_t turn_end(const restorer *r, size_t at)
{
    at++;
    while (at < r->n && r->ids[at] != r->begin)
        at++;
    return at;
}

/* Appends the turn that begins at `at`: as it was written, when that is known. */
static int copy_turn(restorer *r, size_t at, size_t end, const json_t *message, auk_err *err)
{
    const json_t *thinking = json_object_get(message, "thinking");
    char hash[AUK_JOB_HASH];
    const int32_t *from = r->ids + at;
    size_t n = end - at;

    pthread_mutex_lock(&r->t->lock);
    turn *known = message != NULL ? find(r->t, r->job->visible) : NULL;
    if (known != NULL && json_string_length(thinking) > 0) {
        hash_text(hash, auk_json_str(thinking));
        known = memcmp(hash, known->thinking, AUK_JOB_HASH - 1) == 0 ? known : NULL;
    }
    if (known != NULL) {
        known->used = ++r->t->clock;
        from = known->ids;
        n = known->n;
    }
    int rc = auk_ids_reserve(&r->out, n, err);
    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        rc = auk_ids_add(&r->out, from[i], err);
    pthread_mutex_unlock(&r->t->lock);
    return rc;
}

static bool is_role(const json_t *m, const char *role)
{
    return auk_str_is(auk_json_str(json_object_get(m, "role")), role);
}

/* The message a turn of this kind shows, from *next on; results in a row share one turn. */
static int message_of(restorer *r, const json_t *messages, size_t *next, bool chatbot, bool user)
{
    size_t n = json_array_size(messages);

    for (; *next < n; ++*next) {
        const json_t *m = json_array_get(messages, *next);
        bool assistant = is_role(m, "assistant") || is_role(m, "chatbot");
        bool shown = chatbot ? assistant : user ? is_role(m, "user") : !assistant;
        if (shown)
            break;
        chain(r->job->visible, m); /* an empty system message has no turn */
    }
    if (*next == n)
        return -1;
    int found = (int)*next;
    bool results = is_role(json_array_get(messages, *next), "tool");
    do
        chain(r->job->visible, json_array_get(messages, (*next)++));
    while (results && *next < n && is_role(json_array_get(messages, *next), "tool"));
    return found;
}

int auk_turns_restore(auk_turns *t, auk_job *job, const auk_tokenizer *tok, const json_t *messages,
                      auk_err *err)
{
    restorer r = {.t = t,
                  .job = job,
                  .ids = job->prompt.p,
                  .n = job->prompt.n,
                  .begin = auk_tokenizer_id(tok, "<|START_OF_TURN_TOKEN|>"),
                  .chatbot = auk_tokenizer_id(tok, "<|CHATBOT_TOKEN|>"),
                  .user = auk_tokenizer_id(tok, "<|USER_TOKEN|>")};
    size_t next = 0, at = 0;
    int rc = AUK_OK;

    memset(job->visible, '0', AUK_JOB_HASH - 1);
    while (at < r.n && r.ids[at] != r.begin)
        at++;
    for (size_t i = 0; i < at && rc == AUK_OK; i++)
        rc = auk_ids_add(&r.out, r.ids[i], err);
    for (int turn_no = 0; at < r.n && rc == AUK_OK; turn_no++) {
        size_t end = turn_end(&r, at);
        int32_t speaker = at + 1 < r.n ? r.ids[at + 1] : -1;
        int message = -1;
        if (turn_no > 0 && end < r.n) /* not the platform's, not the answer's */
            message = message_of(&r, messages, &next, speaker == r.chatbot, speaker == r.user);
        if ((job->n_marks & (job->n_marks - 1)) == 0)
            job->marks =
                auk_realloc(job->marks, (job->n_marks ? 2 * job->n_marks : 1) * sizeof *job->marks);
        job->marks[job->n_marks++] = (auk_turn_mark){r.out.n, message};
        if (speaker == r.user && job->first_user == 0)
            job->first_user = r.out.n;
        job->header = end - at;
        rc = copy_turn(
            &r, at, end,
            speaker == r.chatbot && message >= 0 ? json_array_get(messages, (size_t)message) : NULL,
            err);
        at = end;
    }
    auk_ids_release(&job->prompt);
    job->prompt = r.out;
    return rc;
}

void auk_turns_keep(auk_turns *t, const auk_job *job, const auk_parsed *parsed, const int32_t *ids,
                    size_t n)
{
    char key[AUK_JOB_HASH], thinking[AUK_JOB_HASH];
    int32_t *whole;

    if (auk_try_alloc(&whole, job->header + n, sizeof *ids, NULL) < 0)
        return;
    memcpy(key, job->visible, sizeof key);
    chain_answer(key, parsed);
    hash_text(thinking, parsed->thinking);
    memcpy(whole, job->prompt.p + job->prompt.n - job->header, job->header * sizeof *ids);
    memcpy(whole + job->header, ids, n * sizeof *ids);
    pthread_mutex_lock(&t->lock);
    put(t, key, thinking, whole, job->header + n);
    pthread_mutex_unlock(&t->lock);
    free(whole);
}

/* ---- equal beginnings ---- */

void auk_turns_same_tools(auk_turns *t, json_t *chat)
{
    json_t *tools = json_object_get(chat, "tools");
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char key[AUK_JOB_HASH];

    if (json_array_size(tools) == 0)
        return;
    auk_json_print(&text, tools, (auk_json_style){.sort_keys = true});
    auk_sha256_of(key, auk_buf_str(&text).p, text.n);
    auk_buf_release(&text);
    pthread_mutex_lock(&t->lock);
    json_t *seen = json_object_get(t->tools, key);
    if (seen == NULL) {
        if (json_object_size(t->tools) >= MAX_TOOL_SETS)
            json_object_clear(t->tools);
        seen = json_deep_copy(tools);
        json_object_set_new(t->tools, key, seen);
    }
    seen = json_deep_copy(seen); /* a reference would be counted in two threads */
    pthread_mutex_unlock(&t->lock);
    json_object_set_new(chat, "tools", seen);
}

/* True when the line changes with every request; *keep: how much of it stays. */
static bool is_volatile(auk_str line)
{
    int used, total, left, end = 0;
    char text[160];

    if (auk_str_starts(line, "x-anthropic-billing-header:"))
        return true;
    if (line.n >= sizeof text)
        return false;
    memcpy(text, line.p, line.n);
    text[line.n] = 0;
    const char *at = strstr(text, "Token usage: ");
    return at != NULL && at - text < 32 &&
           sscanf(at, "Token usage: %d/%d; %d remaining%n", &used, &total, &left, &end) == 3 &&
           end > 0;
}

void auk_freeze_volatile(json_t *messages)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *m = json_array_get(messages, i);
        auk_str text = auk_json_str(json_object_get(m, "content"));
        auk_buf kept = AUK_BUF_INIT(AUK_MAX_TEXT);
        bool changed = false;
        size_t at = 0;
        if (is_role(m, "assistant") || is_role(m, "tool"))
            continue;
        while (at < text.n) {
            const char *stop = memchr(text.p + at, '\n', text.n - at);
            size_t n = stop != NULL ? (size_t)(stop - text.p) - at + 1 : text.n - at;
            auk_str line = {text.p + at, stop != NULL ? n - 1 : n};
            bool drop = is_volatile(line);
            changed = changed || drop;
            if (!drop)
                auk_buf_add(&kept, text.p + at, n);
            at += n;
        }
        if (changed)
            json_object_set_new(m, "content", json_stringn(auk_buf_str(&kept).p, kept.n));
        auk_buf_release(&kept);
    }
}
