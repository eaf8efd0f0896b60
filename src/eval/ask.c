/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from a model folder, through our own engine. */
#define _POSIX_C_SOURCE 200809L
#include "eval/run.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "engine/engine.h"

#include <dirent.h>
#include <sys/stat.h>

/* ---- what is asked ------------------------------------------------------------------------ */

static const char ask_humaneval[] =
    "Complete the function. Reply with one Python code block holding the whole function with its "
    "imports and helpers.\n\n```python\n";
static const char ask_mbpp[] = "\n\nReply with one Python code block. The code must pass these "
                               "tests:\n\n```python\n";

static void add_question(auk_buf *out, const eval *e, const auk_task *t)
{
    bool humaneval = e->data.form == AUK_FORM_HUMANEVAL;
    auk_str code = humaneval ? t->prompt : t->asserts;

    if (humaneval)
        auk_buf_puts(out, ask_humaneval);
    else {
        auk_buf_add(out, t->prompt.p, t->prompt.n);
        auk_buf_puts(out, ask_mbpp);
    }
    auk_buf_add(out, code.p, code.n);
    auk_buf_puts(out, code.n > 0 && code.p[code.n - 1] == '\n' ? "```" : "\n```");
}

static int prompt_ids(auk_ids *out, const eval *e, const auk_tokenizer *tok, const auk_task *t,
                      auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    add_question(&text, e, t);
    int rc = auk_buf_check(&text, "a prompt", err);
    json_t *request = json_pack("{s:[{s:s, s:s%}], s:b}", "messages", "role", "user", "content",
                                auk_buf_str(&text).p, text.n, "reasoning", 1);
    if (rc == AUK_OK && request == NULL)
        rc = auk_fail(err, AUK_EFORMAT, "the prompt of %s is not UTF-8", t->id);
    if (rc == AUK_OK)
        rc = auk_render_ids(out, tok, request, err);
    json_decref(request);
    auk_buf_release(&text);
    return rc;
}

/* ---- the model's name --------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names and sizes of the folder's files, and the bytes of the small ones: weights themselves are
 * not read for this. */
int auk_eval_model_name(auk_buf *out, const eval *e, auk_err *err)
{
    const auk_eval_options *o = e->opts;
    DIR *dir = opendir(o->model);
    struct dirent *entry;
    char *names[512];
    size_t n = 0;

    if (dir == NULL)
        return auk_fail_errno(err, "cannot read the folder '%s'", o->model);
    while ((entry = readdir(dir)) != NULL && n < 512)
        if (auk_str_ends(auk_str_of(entry->d_name), ".safetensors") ||
            auk_str_ends(auk_str_of(entry->d_name), ".json"))
            names[n++] = auk_strndup(entry->d_name, strlen(entry->d_name));
    closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        char *path = auk_path_join(o->model, names[i]);
        auk_buf text = AUK_BUF_INIT((size_t)64 << 20);
        char sha256[65] = "";
        struct stat st = {0};
        auk_err ignored;

        if (stat(path, &st) == 0 && auk_str_ends(auk_str_of(names[i]), ".json") &&
            auk_file_read(&text, path, &ignored) == AUK_OK)
            auk_sha256_of(sha256, auk_buf_str(&text).p, text.n);
        auk_buf_printf(out, "%.200s %lld %s\n", names[i], (long long)st.st_size, sha256);
        auk_buf_release(&text);
        free(path);
        free(names[i]);
    }
    auk_buf_printf(out, "%s%s%.9g %.9g %llu %d %d\n", ask_humaneval, ask_mbpp, o->temperature,
                   o->top_p, (unsigned long long)o->seed, o->max_tokens, o->loop_stop);
    return AUK_OK;
}

/* ---- the answer section by token ids ------------------------------------------------------ */

typedef struct marks {
    int32_t think_end, text[2], end[3], action;
} marks;

static marks find_marks(const auk_tokenizer *tok)
{
    return (marks){.think_end = auk_tokenizer_id(tok, "<|END_THINKING|>"),
                   .text = {auk_tokenizer_id(tok, "<|START_TEXT|>"),
                            auk_tokenizer_id(tok, "<|START_RESPONSE|>")},
                   .end = {auk_tokenizer_id(tok, "<|END_TEXT|>"),
                           auk_tokenizer_id(tok, "<|END_RESPONSE|>"),
                           auk_tokenizer_id(tok, "<|END_OF_TURN_TOKEN|>")},
                   .action = auk_tokenizer_id(tok, "<|START_ACTION|>")};
}

/* The same rules as auk_answer_section, which cannot tell a marker from its spelling.  False:
 * thinking never ended, or it was cut before an answer began. */
static bool find_section(size_t *from, size_t *to, const marks *m, const auk_ids *ids, bool cut)
{
    size_t begin = 0;
    bool thought = false, answered = false;

    for (size_t i = 0; i < ids->n; i++)
        if (ids->p[i] == m->think_end && m->think_end >= 0) {
            begin = i + 1;
            thought = true;
        }
    for (size_t i = begin; i < ids->n; i++)
        if (ids->p[i] >= 0 && (ids->p[i] == m->text[0] || ids->p[i] == m->text[1])) {
            begin = i + 1;
            answered = true;
        }
    *from = begin;
    for (*to = begin; *to < ids->n; ++*to) {
        int32_t id = ids->p[*to];
        if (id == m->end[2] || (answered && (id == m->end[0] || id == m->end[1])) ||
            (!answered && id == m->action))
            break;
    }
    return answered || (thought && !cut);
}

/* ---- asking ------------------------------------------------------------------------------- */

typedef struct asker {
    eval *e;
    auk_engine *engine;       /* owned */
    auk_session *session;     /* owned */
    const auk_tokenizer *tok; /* borrowed from engine */
    marks marks;
    auk_ids *prompts; /* owned: one per task */
    char what[96];
} asker;

static bool cancelled(void *ctx)
{
    const asker *a = ctx;
    const auk_eval_options *o = a->e->opts;

    return o->progress != NULL &&
           o->progress(o->progress_ctx, a->what, "tasks", a->e->done, a->e->total);
}

static int score_answer(asker *a, const auk_task *task, int sample, const auk_generate_result *r,
                        auk_err *err)
{
    /* The prompt ends inside thinking: with its opening the stored text reads the same alone. */
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT), section = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_str finish = auk_str_of(auk_finish_name(r->finish));
    size_t from, to;

    bool has = find_section(&from, &to, &a->marks, &r->ids, auk_finish_is_cut(finish));
    auk_buf_puts(&text, "<|START_THINKING|>");
    int rc = auk_tokenizer_decode(&text, a->tok, r->ids.p, r->ids.n, false, err);
    if (rc == AUK_OK && has)
        rc = auk_tokenizer_decode(&section, a->tok, r->ids.p + from, to - from, false, err);
    item it = {.task = task,
               .sample = sample,
               .text = auk_buf_str(&text),
               .has_section = has,
               .section = auk_buf_str(&section),
               .finish = finish,
               .tokens = (int)r->completion_tokens};
    if (rc == AUK_OK)
        rc = auk_eval_score(a->e, &it, 1, err);
    auk_buf_release(&text);
    auk_buf_release(&section);
    return rc;
}

static int ask(asker *a, size_t i, int sample, auk_err *err)
{
    const auk_eval_options *o = a->e->opts;
    auk_rng rng = auk_rng_make(o->seed + 1000003u * i + (uint64_t)sample);
    auk_generate_options opts = {.max_tokens = o->max_tokens,
                                 .reasoning = true,
                                 .loop_guard = o->loop_stop,
                                 .cancelled = cancelled,
                                 .ctx = a};
    auk_generate_result r;

    opts.sample = (auk_sample_options){
        .temperature = (float)o->temperature, .top_p = (float)o->top_p, .seed = auk_rng_next(&rng)};
    int rc = auk_generate(&r, a->engine, a->session, a->prompts[i].p, a->prompts[i].n, &opts, err);
    if (rc < 0)
        return rc;
    if (r.finish == AUK_FINISH_CANCEL)
        rc = auk_fail(err, AUK_ECANCEL, "interrupted; the same command with --resume goes on");
    else
        rc = score_answer(a, &a->e->data.tasks[i], sample, &r, err);
    auk_generate_release(&r);
    snprintf(a->what, sizeof a->what, "%s, %.3f passed", a->e->data.name,
             a->e->done > 0 ? (double)a->e->good / (double)a->e->done : 0);
    return rc;
}

/* The context that the longest prompt and its answer need. */
static int open_session(asker *a, auk_err *err)
{
    const auk_eval_options *o = a->e->opts;
    size_t longest = 0;
    int rc = auk_try_alloc(&a->prompts, a->e->n_tasks, sizeof *a->prompts, err);

    for (size_t i = 0; i < a->e->n_tasks && rc == AUK_OK; i++) {
        rc = prompt_ids(&a->prompts[i], a->e, a->tok, &a->e->data.tasks[i], err);
        if (a->prompts[i].n > longest)
            longest = a->prompts[i].n;
    }
    if (rc < 0)
        return rc;
    uint64_t ctx = longest + (uint64_t)o->max_tokens, most = auk_engine_max_context(a->engine);
    return auk_session_new(&a->session, a->engine, (int)(ctx < most ? ctx : most), err);
}

static int open_model(asker *a, auk_err *err)
{
    const auk_eval_options *o = a->e->opts;
    auk_engine_options opts = {
        .precision = AUK_PRECISION_BF16, .threads = o->threads, .cpu_flags = o->cpu_flags};

    int rc = auk_engine_open(&a->engine, o->model, &opts, err);
    if (rc == AUK_OK)
        rc = auk_engine_tokenizer(&a->tok, a->engine, err);
    if (rc == AUK_OK) {
        a->marks = find_marks(a->tok);
        rc = open_session(a, err);
    }
    return rc;
}

int auk_eval_model(eval *e, auk_err *err)
{
    asker a = {.e = e};
    size_t samples = (size_t)e->opts->samples;

    snprintf(a.what, sizeof a.what, "%s", e->data.name);
    for (size_t i = 0; i < e->n_tasks; i++)
        for (int s = 0; s < e->opts->samples; s++)
            e->out->kept += auk_results_find(&e->results, e->data.tasks[i].id, s) != NULL;
    e->total = e->n_tasks * samples - e->out->kept;
    int rc = e->total > 0 ? open_model(&a, err) : AUK_OK;
    for (size_t i = 0; i < e->n_tasks && rc == AUK_OK; i++)
        for (int s = 0; s < e->opts->samples && rc == AUK_OK; s++)
            if (auk_results_find(&e->results, e->data.tasks[i].id, s) == NULL)
                rc = ask(&a, i, s, err);
    for (size_t i = 0; i < e->n_tasks && a.prompts != NULL; i++)
        auk_ids_release(&a.prompts[i]);
    free(a.prompts);
    auk_session_free(a.session);
    auk_engine_close(a.engine);
    return rc;
}
