/* SPDX-License-Identifier: Apache-2.0 */
/* One evaluation: references first, then answers to verdicts, a result line each. */
#define _POSIX_C_SOURCE 200809L
#include "eval/run.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/time.h"
#include "eval/ask.h"
#include "eval/loop.h"
#include "stats/stats.h"

#include <unistd.h>

#define REFERENCE_LIMIT_MS 60000
#define FLOOR_MS 4000 /* of a task's time limit: max(4 s, 4 times the reference), as EvalPlus */
#define FACTOR 4

auk_eval_options auk_eval_defaults(void)
{
    return (auk_eval_options){
        .samples = 1, .max_tokens = 16384, .top_p = 1, .seed = 1, .loop_stop = true, .tries = 4};
}

/* ---- how far it is ------------------------------------------------------------------------ */

void auk_eval_rate(char *out, size_t n, const eval *e)
{
    size_t done = e->kept_done + e->done, good = e->kept_good + e->good;

    if (done == 0)
        snprintf(out, n, "%s", e->data.name);
    else
        snprintf(out, n, "%s, %.3f passed", e->data.name, (double)good / (double)done);
}

/* ---- references --------------------------------------------------------------------------- */

static int step(eval *e, const char *what, size_t done, size_t total, auk_err *err)
{
    const auk_eval_options *o = e->opts;

    if (o->progress != NULL && o->progress(o->progress_ctx, what, "tasks", done, total))
        return auk_fail(err, AUK_ECANCEL, "interrupted; the same command with --resume goes on");
    return AUK_OK;
}

static void add_code(auk_buf *out, const eval *e, const auk_task *t, auk_str code)
{
    if (e->data.form == AUK_FORM_HUMANEVAL)
        auk_buf_add(out, t->prompt.p, t->prompt.n);
    auk_buf_add(out, code.p, code.n);
}

static int reference_program(void *ctx, size_t i, auk_buf *text, int *limit_ms, bool *big,
                             auk_verdict *settled, bool *is_settled, auk_err *err)
{
    const eval *e = ctx;
    const auk_task *t = &e->data.tasks[i];
    auk_buf code = AUK_BUF_INIT(AUK_MAX_TEXT);

    (void)settled;
    *is_settled = false;
    add_code(&code, e, t, t->reference);
    auk_task_program(text, t, auk_buf_str(&code));
    auk_buf_release(&code);
    *limit_ms = REFERENCE_LIMIT_MS;
    *big = t->big;
    return auk_buf_check(text, "a reference program", err);
}

static int reference_done(void *ctx, size_t i, const auk_verdict *v, auk_err *err)
{
    eval *e = ctx;
    const auk_task *t = &e->data.tasks[i];
    double limit = v->run_seconds * 1000 * FACTOR;

    if (v->status == AUK_STATUS_PASSED)
        e->out->references_passed++;
    else if (v->status == AUK_STATUS_HARNESS_ERROR)
        return auk_fail(err, AUK_EIO, "%s", v->detail);
    else if (!t->broken)
        return auk_fail(err, AUK_EINVAL,
                        "the reference solution of %s does not pass here (%s%s%s): the run stops",
                        t->id, auk_status_name(v->status), v->detail[0] != 0 ? ", " : "",
                        v->detail);
    e->limit_ms[i] = limit > FLOOR_MS ? (int)(limit + 1) : FLOOR_MS;
    return step(e, "references", i + 1, e->n_tasks, err);
}

static int run_references(eval *e, auk_err *err)
{
    auk_score_jobs jobs = {
        .n = e->n_tasks, .program = reference_program, .done = reference_done, .ctx = e};
    uint64_t begin = auk_now_ns();

    int rc = auk_try_alloc(&e->limit_ms, e->n_tasks, sizeof *e->limit_ms, err);
    if (rc == AUK_OK)
        rc = auk_score(e->sb, &jobs, e->workers, err);
    e->out->reference_seconds = (double)(auk_now_ns() - begin) / 1e9;
    return rc;
}

/* ---- answers to verdicts ------------------------------------------------------------------ */

/* From an answer to a program and its trace; *status says when there is none. */
static int extract(eval *e, auk_buf *code, item *it, auk_extract_status *status, auk_err *err)
{
    auk_extract_input in = {.entry_point = it->task->entry_point,
                            .answer = it->section_by != NULL ? it->section : it->text,
                            .cut = auk_finish_is_cut(it->finish),
                            .is_section = it->section_by != NULL,
                            .strict = e->opts->strict};

    if (e->data.form == AUK_FORM_HUMANEVAL)
        in.prompt = it->task->prompt;
    int rc = auk_extract(code, &it->trace, status, &in, &e->syntax, err);
    if (rc == AUK_OK && it->section_by != NULL)
        json_object_set_new(it->trace, "section", json_string(it->section_by));
    return rc;
}

static int item_program(void *ctx, size_t i, auk_buf *text, int *limit_ms, bool *big,
                        auk_verdict *settled, bool *is_settled, auk_err *err)
{
    eval *e = ctx;
    item *it = &e->items[i];
    auk_buf code = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_extract_status status = AUK_EXTRACT_OK;
    int rc = AUK_OK;

    json_decref(it->trace); /* of the first of two runs */
    it->trace = NULL;
    it->sha256[0] = 0;
    it->looped = auk_finish_is_loop(it->finish) ||
                 (auk_finish_is_cut(it->finish) &&
                  auk_loop_period(it->text, auk_loop_in_code(it->text)) > 0);
    if (it->failure != NULL) {
        it->trace = json_pack("{s:s}", "status", "no_answer");
    } else if (e->opts->completions != NULL) {
        add_code(&code, e, it->task, it->text);
        it->trace = json_pack("{s:s, s:s}", "status", "ok", "method", "completion");
    } else {
        rc = extract(e, &code, it, &status, err);
    }
    *is_settled = status != AUK_EXTRACT_OK || it->task->broken || it->failure != NULL;
    if (rc == AUK_OK && it->failure != NULL) {
        *settled = (auk_verdict){.status = AUK_STATUS_HARNESS_ERROR};
        snprintf(settled->detail, sizeof settled->detail, "%s", it->failure);
    } else if (rc == AUK_OK && it->task->broken) {
        *settled = (auk_verdict){.status = AUK_STATUS_HARNESS_ERROR,
                                 .detail = "the task fails its own reference solution"};
    } else if (rc == AUK_OK && *is_settled) {
        *settled = (auk_verdict){.status = it->looped ? AUK_STATUS_LOOPED : AUK_STATUS_NO_CODE};
    } else if (rc == AUK_OK) {
        auk_sha256_of(it->sha256, auk_buf_str(&code).p, code.n);
        auk_task_program(text, it->task, auk_buf_str(&code));
        rc = auk_buf_check(text, "a program", err);
    }
    *limit_ms = e->limit_ms[it->task - e->data.tasks];
    *big = it->task->big;
    auk_buf_release(&code);
    return rc;
}

static json_t *text_or_null(auk_str s)
{
    return s.n > 0 ? json_stringn(s.p, s.n) : json_null();
}

static json_t *line_json(const eval *e, item *it, const auk_verdict *v)
{
    char level[2] = {auk_level_letter(auk_sandbox_level(e->sb)), 0};
    json_t *line = json_pack(
        "{s:s, s:i, s:s, s:b, s:b, s:b, s:o, s:o, s:O, s:o, s:o, s:I}", "task_id", it->task->id,
        "sample", it->sample, "status", auk_status_name(v->status), "passed",
        v->status == AUK_STATUS_PASSED, "truncated",
        auk_finish_is_cut(it->finish) && !auk_finish_is_loop(it->finish), "looped", it->looped,
        "answer", json_stringn(it->text.p, it->text.n), "program_sha256",
        text_or_null(auk_str_of(it->sha256)), "extraction", it->trace, "finish_reason",
        text_or_null(it->finish), "tokens", it->tokens < 0 ? json_null() : json_integer(it->tokens),
        "ms", (json_int_t)(v->seconds * 1000));

    if (line == NULL)
        return NULL;
    json_object_set_new(line, "limit_ms", json_integer(e->limit_ms[it->task - e->data.tasks]));
    json_object_set_new(line, "detail", json_string(v->detail));
    json_object_set_new(line, "run_again", json_boolean(v->again));
    if (it->seed != NULL)
        json_object_set_new(line, "seed", json_string(it->seed));
    json_object_set_new(line, "level", json_string(level));
    json_object_set_new(line, "data_sha256", json_string(e->data.sha256));
    json_object_set_new(line, "run", json_string(e->out->run));
    return line;
}

static int item_done(void *ctx, size_t i, const auk_verdict *v, auk_err *err)
{
    eval *e = ctx;
    item *it = &e->items[i];
    json_t *line = line_json(e, it, v);
    char what[96];

    if (line == NULL)
        return auk_fail(err, AUK_EFORMAT, "the answer to %s is not UTF-8", it->task->id);
    int rc = auk_results_add(&e->results, line, err);
    json_decref(it->trace);
    it->trace = NULL;
    e->done += v->status != AUK_STATUS_HARNESS_ERROR; /* the rate is of what counts */
    e->total -= v->status == AUK_STATUS_HARNESS_ERROR;
    e->good += v->status == AUK_STATUS_PASSED;
    auk_eval_rate(what, sizeof what, e);
    return rc < 0 ? rc : step(e, what, e->done, e->total, err);
}

int auk_eval_score(eval *e, item *items, size_t n, auk_err *err)
{
    auk_score_jobs jobs = {.n = n, .program = item_program, .done = item_done, .ctx = e};

    e->items = items;
    int rc = auk_score(e->sb, &jobs, e->workers, err);
    for (size_t i = 0; i < n; i++) {
        json_decref(items[i].trace);
        items[i].trace = NULL;
    }
    return rc;
}

/* ---- what exists already ------------------------------------------------------------------ */

static int score_file(eval *e, auk_err *err)
{
    item *items;
    size_t n = 0;

    int rc = auk_try_alloc(&items, e->answers.n, sizeof *items, err);
    for (size_t i = 0; i < e->answers.n && rc == AUK_OK; i++) {
        const auk_answer *a = &e->answers.p[i];
        if (auk_results_find(&e->results, a->task->id, a->sample) == NULL)
            items[n++] = (item){.task = a->task,
                                .sample = a->sample,
                                .text = a->text,
                                .finish = a->finish,
                                .tokens = -1};
    }
    e->total = n;
    e->out->kept = e->answers.n - n;
    if (rc == AUK_OK && n > 0)
        rc = auk_eval_score(e, items, n, err);
    free(items);
    return rc;
}

/* ---- the sum ------------------------------------------------------------------------------ */

static auk_status status_of(const json_t *line)
{
    auk_str word = auk_json_str(json_object_get(line, "status"));

    for (int s = 0; s < AUK_N_STATUSES; s++)
        if (auk_str_is(word, auk_status_name((auk_status)s)))
            return (auk_status)s;
    return AUK_STATUS_HARNESS_ERROR;
}

/* From result lines alone: a task's share of passed samples, then the mean over tasks. */
static int add_up(eval *e, auk_err *err)
{
    auk_eval_result *out = e->out;
    auk_interval interval = {0};
    double sum = 0;
    size_t counted = 0;

    for (size_t i = 0; i < e->n_tasks; i++) {
        const json_t *line;
        size_t n = 0, passed = 0;
        int sample = 0;
        for (; (line = auk_results_find(&e->results, e->data.tasks[i].id, sample)); sample++) {
            auk_status s = status_of(line);
            out->statuses[s]++;
            out->truncated += json_is_true(json_object_get(line, "truncated"));
            out->looped += json_is_true(json_object_get(line, "looped"));
            n += s != AUK_STATUS_HARNESS_ERROR;
            passed += s == AUK_STATUS_PASSED;
        }
        out->missing += sample == 0;
        out->n += n;
        out->passed += passed;
        sum += n > 0 ? (double)passed / (double)n : 0;
        counted += n > 0;
    }
    if (counted == 0)
        return AUK_OK;
    out->pass_at_1 = sum / (double)counted;
    int rc = auk_stats_wilson(&interval, out->passed, out->n, 0.95, err);
    out->lo = interval.lo;
    out->hi = interval.hi;
    return rc;
}

static void count_kept(eval *e)
{
    const json_t *line;

    for (size_t i = 0; i < e->n_tasks; i++)
        for (int s = 0; (line = auk_results_find(&e->results, e->data.tasks[i].id, s)); s++) {
            e->kept_done++;
            e->kept_good += status_of(line) == AUK_STATUS_PASSED;
        }
}

static int sort_results(eval *e, auk_err *err)
{
    const char **ids;

    int rc = auk_try_alloc(&ids, e->data.n, sizeof *ids, err);
    for (size_t i = 0; i < e->data.n && rc == AUK_OK; i++)
        ids[i] = e->data.tasks[i].id;
    if (rc == AUK_OK)
        rc = auk_results_sort(&e->results, ids, e->data.n, err);
    free(ids);
    return rc;
}

/* ---- the whole way ------------------------------------------------------------------------ */

static int open_data(eval *e, auk_err *err)
{
    const auk_eval_options *o = e->opts;
    bool named = auk_dataset_source(o->set) != NULL;

    if (named && o->data == NULL)
        return auk_fail(err, AUK_EINVAL, "'%s' needs its file: --data FILE", o->set);
    if (!named && o->data != NULL)
        return auk_fail(err, AUK_EINVAL,
                        "'%s' is no data set: humaneval, humaneval+, mbpp, mbpp+ or a file",
                        o->set);
    int rc = auk_dataset_open(&e->data, named ? o->set : NULL, named ? o->data : o->set, err);
    if (rc < 0)
        return rc;
    e->n_tasks = e->data.n;
    if (o->limit > 0 && (size_t)o->limit < e->n_tasks)
        e->n_tasks = (size_t)o->limit;
    snprintf(e->out->set, sizeof e->out->set, "%s", e->data.name);
    memcpy(e->out->data_sha256, e->data.sha256, sizeof e->out->data_sha256);
    e->out->tasks = e->n_tasks;
    return AUK_OK;
}

/* What two runs must share for one to go on where the other stopped. */
static int name_run(eval *e, auk_err *err)
{
    const auk_eval_options *o = e->opts;
    auk_buf text = AUK_BUF_INIT(1 << 16);
    char sha256[65];
    int rc = AUK_OK;

    auk_buf_printf(&text, "eval 1\ndata %s\nstrict %d\n", e->data.sha256, o->strict);
    if (o->model != NULL) {
        rc = auk_question_hash(e->out->prompt_sha256, &e->data, e->data.n, err);
        if (rc == AUK_OK)
            rc = auk_eval_model_name(&text, e, err);
    } else
        auk_buf_printf(&text, "%s %s\n", o->answers != NULL ? "answers" : "completions",
                       e->answers.sha256);
    if (rc == AUK_OK)
        rc = auk_buf_check(&text, "the run's name", err);
    auk_sha256_of(sha256, auk_buf_str(&text).p, text.n);
    snprintf(e->out->run, sizeof e->out->run, "%.16s", sha256);
    auk_buf_release(&text);
    return rc;
}

static int open_sandbox(eval *e, auk_err *err)
{
    int rc = auk_python_find(&e->py, e->opts->python, err);
    if (rc == AUK_OK)
        rc = auk_sandbox_open(&e->sb, e->py, &e->opts->sandbox, err);
    if (rc < 0)
        return rc;
    snprintf(e->out->python, sizeof e->out->python, "%.15s", e->py->version);
    e->checker = auk_pychecker_new(e->sb);
    e->syntax = auk_pychecker_syntax(e->checker);
    e->out->level = auk_level_letter(auk_sandbox_level(e->sb));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    e->workers = e->opts->workers > 0 ? e->opts->workers : cores > 0 ? (int)cores : 1;
    if (cores > 0 && e->workers > cores)
        e->workers = (int)cores; /* more would only make programs time out */
    return AUK_OK;
}

static void note(const eval *e, const char *format, size_t a, size_t b)
{
    char line[200];

    snprintf(line, sizeof line, format, a, b);
    if (e->opts->note != NULL)
        e->opts->note(e->opts->progress_ctx, line);
}

/* The lines of this run, for whoever keeps a record of it. */
static int hand_out(const eval *e, auk_err *err)
{
    const auk_eval_options *o = e->opts;
    const json_t *line;
    int rc = AUK_OK;

    for (size_t i = 0; i < e->n_tasks && o->line != NULL && rc == AUK_OK; i++)
        for (int s = 0;
             (line = auk_results_find(&e->results, e->data.tasks[i].id, s)) != NULL && rc == AUK_OK;
             s++)
            rc = o->line(o->progress_ctx, line, err);
    return rc;
}

static int run(eval *e, auk_err *err)
{
    const auk_eval_options *o = e->opts;
    const char *file = o->answers != NULL ? o->answers : o->completions;

    int rc = open_data(e, err);
    if (rc == AUK_OK && file != NULL)
        rc = auk_answers_read(&e->answers, &e->data, e->n_tasks, file,
                              o->answers != NULL ? "answer" : "completion", err);
    if (rc == AUK_OK && file != NULL)
        memcpy(e->out->answers_sha256, e->answers.sha256, sizeof e->answers.sha256);
    if (rc == AUK_OK)
        rc = name_run(e, err);
    if (rc == AUK_OK)
        rc = open_sandbox(e, err);
    if (rc == AUK_OK)
        rc = auk_results_open(&e->results, o->out, e->out->run, o->resume, o->force, err);
    if (rc < 0)
        return rc;
    if (e->results.dropped > 0)
        note(e, "%zu lines that were torn or not done for a fault of ours are done again",
             e->results.dropped, 0);
    count_kept(e);
    rc = run_references(e, err);
    if (rc == AUK_OK)
        note(e, "references: %zu of %zu pass", e->out->references_passed, e->n_tasks);
    if (rc == AUK_OK)
        rc = o->model != NULL ? auk_eval_model(e, err) : score_file(e, err);
    if (rc == AUK_OK)
        rc = add_up(e, err);
    if (rc == AUK_OK)
        rc = sort_results(e, err);
    if (rc == AUK_OK)
        rc = hand_out(e, err);
    if (rc == AUK_OK && e->out->missing > 0)
        note(e, "%zu of %zu tasks have no answer: they are not counted", e->out->missing,
             e->n_tasks);
    return rc;
}

int auk_eval_run(auk_eval_result *out, const auk_eval_options *opts, auk_err *err)
{
    eval e = {.opts = opts, .out = out, .results = {.fd = -1}};
    uint64_t begin = auk_now_ns();

    *out = (auk_eval_result){0};
    int rc = run(&e, err);
    out->seconds = (double)(auk_now_ns() - begin) / 1e9;
    auk_results_close(&e.results);
    auk_answers_release(&e.answers);
    auk_pychecker_free(e.checker);
    auk_sandbox_close(e.sb);
    auk_python_free(e.py);
    auk_dataset_close(&e.data);
    free(e.limit_ms);
    return rc;
}
