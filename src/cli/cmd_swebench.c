/* SPDX-License-Identifier: Apache-2.0 */
/* swebench: subset, generate, agent, analyze. */
#include "cli/record.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "stats/stats.h"
#include "swebench/swebench.h"

typedef struct swebench_args {
    auk_common common;
    auk_swebench_options run;
    auk_record_args ledger;
    auk_meter meter;
    int n;
    const char *check, *preds, *report, *trace, *baseline, *baseline_report, *baseline_trace;
} swebench_args;

#define RUN(field) offsetof(swebench_args, run.field)

static const auk_opt options[] = {
    {"data", AUK_OPT_STR, RUN(data), "FILE.jsonl", "the data set, such as SWE-bench Verified"},
    {"subset", AUK_OPT_STR, RUN(subset), "FILE", "instance ids: a JSON list, or one a line"},
    {"sha256", AUK_OPT_STR, RUN(subset_sha256), "HEX", "what the subset's file must have"},
    {"output", AUK_OPT_STR, RUN(out), "FILE", "subset, predictions or items; short: -o"},
    {"force", AUK_OPT_FLAG, RUN(force), NULL, "replace what is there"},
    {"n", AUK_OPT_INT, offsetof(swebench_args, n), "N", "subset: instances (default 30)"},
    {"seed", AUK_OPT_U64, RUN(seed), "S", "subset: default 1234; else of sampling"},
    {"check", AUK_OPT_STR, offsetof(swebench_args, check), "FILE",
     "subset: compare with this file instead of writing one; exit 3 when it differs"},
    {"repos", AUK_OPT_STR, RUN(repos), "DIR", "clones, or folders at the base commit"},
    {"model", AUK_OPT_STR, RUN(model), "MODEL", "folder or URL"},
    {"name", AUK_OPT_STR, RUN(name), "NAME", "model_name_or_path (default: the model's name)"},
    {"tokenizer", AUK_OPT_STR, RUN(tokenizer), "PATH",
     "counts prompts for a server (default: the model folder's)"},
    {"ctx", AUK_OPT_INT, RUN(ctx), "N", "context in tokens (default: what is needed, or is there)"},
    {"max-tokens", AUK_OPT_INT, RUN(max_tokens), "N",
     "longest answer, thinking included (default 9000; agent: per turn)"},
    {"temperature", AUK_OPT_REAL, RUN(temperature), "T", "default 0: greedy"},
    {"loop-stop", AUK_OPT_FLAG, RUN(loop_stop), NULL,
     "our engine: stop an answer that repeats itself; counted as looped"},
    {"partial", AUK_OPT_FLAG, RUN(partial), NULL, "keep the blocks that matched"},
    {"any-file", AUK_OPT_FLAG, RUN(any_file), NULL, "edits of files that were not shown count"},
    {"limit", AUK_OPT_INT, RUN(limit), "N", "the first N instances only"},
    {"resume", AUK_OPT_FLAG, RUN(resume), NULL, "go on after a kill"},
    {"prompts", AUK_OPT_STR, RUN(prompts), "FILE", "generate: write the prompts, ask nobody"},
    {"steps", AUK_OPT_INT, RUN(steps), "N", "agent: turns per instance (default 50)"},
    {"command-seconds", AUK_OPT_INT, RUN(command_seconds), "S", "agent: per command (default 60)"},
    {"seconds", AUK_OPT_INT, RUN(seconds), "S", "agent: per instance (default 3600)"},
    {"tokens", AUK_OPT_U64, RUN(tokens), "N",
     "agent: per instance, prompts and answers (default 1000000; 0: no limit)"},
    {"stuck-stop", AUK_OPT_FLAG, RUN(stuck_stop), NULL, "agent: end a run that goes in circles"},
    {"python", AUK_OPT_STR, RUN(python), "PROGRAM", "agent: the interpreter"},
    {"level", AUK_OPT_STR, RUN(sandbox.level), "LEVEL", "agent: sandbox level"},
    {"unsafe-no-sandbox", AUK_OPT_FLAG, RUN(sandbox.unsafe), NULL, "agent: go on without one"},
    {"preds", AUK_OPT_STR, offsetof(swebench_args, preds), "FILE", "analyze: predictions"},
    {"report", AUK_OPT_STR, offsetof(swebench_args, report), "PATH",
     "analyze: the harness's report of the run or of an instance, or a folder of them; several "
     "with commas"},
    {"trace", AUK_OPT_STR, offsetof(swebench_args, trace), "FILE",
     "traces (default: beside the predictions)"},
    {"baseline", AUK_OPT_STR, offsetof(swebench_args, baseline), "FILE",
     "analyze: predictions of a run to compare with"},
    {"baseline-report", AUK_OPT_STR, offsetof(swebench_args, baseline_report), "PATH",
     "analyze: its reports"},
    {"baseline-trace", AUK_OPT_STR, offsetof(swebench_args, baseline_trace), "FILE",
     "analyze: its traces"},
    AUK_RECORD_OPTIONS(swebench_args, ledger),
    {0},
};

static bool on_progress(void *ctx, const char *what, const char *unit, uint64_t done,
                        uint64_t total)
{
    swebench_args *a = ctx;

    return auk_meter_step(&a->meter, what, unit, done, total) || auk_cli_interrupted();
}

static void on_note(void *ctx, const char *line)
{
    swebench_args *a = ctx;

    auk_meter_clear(&a->meter);
    if (!a->common.quiet)
        fprintf(stderr, "auklet: %s\n", line);
}

static int flushed(int status)
{
    return fflush(stdout) == 0 ? status : 1;
}

/* ---- subset ------------------------------------------------------------------------------- */

static json_t *strata_json(const auk_subset *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->n_strata; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "repo", s->strata[i].repo, "has",
                                              (json_int_t)s->strata[i].has, "takes",
                                              (json_int_t)s->strata[i].takes));
    return list;
}

static int print_subset(const swebench_args *a, const auk_instances *d, const auk_subset *s,
                        const char *same)
{
    json_t *ids = json_array();

    if (!a->common.json) {
        printf("%zu of %zu instances, seed %llu, sha256 %s\n", s->n, d->n,
               (unsigned long long)a->run.seed, s->sha256);
        for (size_t i = 0; i < s->n_strata; i++)
            printf("  %-28s %3zu of %zu\n", s->strata[i].repo, s->strata[i].takes,
                   s->strata[i].has);
        if (same != NULL)
            printf("%s\n", same);
        json_decref(ids);
        return flushed(0);
    }
    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(ids, json_string(s->p[i]->id));
    json_t *v = json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:o, s:o}", "schema",
                          "auklet.swebench-subset/1", "n", (json_int_t)s->n, "of", (json_int_t)d->n,
                          "seed", (json_int_t)a->run.seed, "sha256", s->sha256, "data_sha256",
                          d->sha256, "strata", strata_json(s), "instance_ids", ids);
    if (same != NULL)
        json_object_set_new(v, "check", json_string(same));
    return auk_cli_print_json(v);
}

static int subset_out(const swebench_args *a, const auk_subset *s, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_subset_text(&text, s);
    int rc = auk_buf_check(&text, "the subset", err);
    if (rc == AUK_OK && auk_file_exists(a->run.out) && !a->run.force)
        rc = auk_fail(err, AUK_EINVAL, "'%s' exists: --force replaces it", a->run.out);
    if (rc == AUK_OK)
        rc = auk_file_write(a->run.out, auk_buf_str(&text), err);
    auk_buf_release(&text);
    return rc;
}

/* --check FILE: its hash against --sha256, or its bytes against what the rule draws. */
static int check_file(const swebench_args *a, const auk_instances *d, const auk_subset *drawn,
                      const char **same, auk_err *err)
{
    auk_subset given;

    int rc = auk_subset_read(&given, a->check, a->run.subset_sha256, d, &a->run.notes, err);
    if (rc < 0)
        return rc;
    bool equal = strcmp(given.sha256, drawn->sha256) == 0;
    *same = a->run.subset_sha256 != NULL ? "the file has the given sha256"
            : equal                      ? "the file is what the rule draws"
                                         : "the file differs from what the rule draws";
    auk_subset_release(&given);
    return equal || a->run.subset_sha256 != NULL ? 0 : 3;
}

static int cmd_subset(const auk_cmd *self, swebench_args *a)
{
    auk_instances d = {0};
    auk_subset s = {0};
    const char *same = NULL;
    auk_err err;
    int status = 0;

    if (a->run.data == NULL)
        return auk_cli_usage(self, "subset wants --data FILE.jsonl");
    if (a->n < 1)
        return auk_cli_usage(self, "--n is positive");
    int rc = auk_instances_open(&d, a->run.data, &a->run.notes, &err);
    if (rc == AUK_OK)
        rc = auk_subset_draw(&s, &d, (size_t)a->n, a->run.seed, &err);
    if (rc == AUK_OK && a->run.out != NULL)
        rc = subset_out(a, &s, &err);
    if (rc == AUK_OK && a->check != NULL) {
        status = check_file(a, &d, &s, &same, &err);
        rc = status < 0 ? status : AUK_OK;
    }
    if (rc == AUK_OK) {
        int printed = print_subset(a, &d, &s, same);
        status = printed != 0 ? printed : status;
    }
    auk_subset_release(&s);
    auk_instances_close(&d);
    return rc < 0 ? auk_cli_fail(&err) : status;
}

/* ---- generate, agent ---------------------------------------------------------------------- */

static int print_run(const swebench_args *a, const auk_swebench_result *r)
{
    char level[2] = {r->level, 0};

    if (a->common.json) {
        json_t *v = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s, s:s, s:s}",
            "schema", "auklet.swebench/1", "run", r->run, "n", (json_int_t)r->n, "resumed",
            (json_int_t)r->kept, "asked", (json_int_t)r->asked, "failed", (json_int_t)r->failed,
            "with_patch", (json_int_t)r->with_patch, "truncated", (json_int_t)r->truncated,
            "looped", (json_int_t)r->looped, "overflow", (json_int_t)r->overflow, "prompt_tok",
            (json_int_t)r->prompt_tok, "completion_tok", (json_int_t)r->completion_tok,
            "prepare_seconds", r->prepare_seconds, "seconds", r->seconds, "data_sha256",
            r->data_sha256, "subset_sha256", r->subset_sha256, "prompt_sha256", r->prompt_sha256);
        json_object_set_new(v, "level", r->level != 0 ? json_string(level) : json_null());
        return auk_cli_print_json(v);
    }
    if (a->run.prompts != NULL)
        printf("%zu prompts in %.1f s\n", r->n - r->failed - r->kept, r->prepare_seconds);
    else
        printf("%zu of %zu instances asked (%zu were there already), %zu with a patch; %zu "
               "truncated, %zu looped, %zu overflow, %zu not answered; %.1f s; run %s\n",
               r->asked, r->n, r->kept, r->with_patch, r->truncated, r->looped, r->overflow,
               r->failed, r->seconds, r->run);
    return flushed(0);
}

static int check_run(const auk_cmd *self, const swebench_args *a)
{
    const auk_swebench_options *o = &a->run;

    if (o->data == NULL || o->repos == NULL)
        return auk_cli_usage(self, "want --data FILE.jsonl and --repos DIR");
    if (o->prompts == NULL && (o->model == NULL || o->out == NULL))
        return auk_cli_usage(self, "want --model MODEL and -o PREDICTIONS.jsonl");
    if (o->subset_sha256 != NULL && o->subset == NULL)
        return auk_cli_usage(self, "--sha256 is of --subset FILE");
    if (o->max_tokens < 1 || o->limit < 0 || o->ctx < 0 || o->temperature < 0 || o->steps < 1 ||
        o->command_seconds < 1 || o->command_seconds > 3600 || o->seconds < 1)
        return auk_cli_usage(self, "--max-tokens, --limit, --ctx, --steps and times are positive");
    return 0;
}

static int cmd_run(const auk_cmd *self, swebench_args *a, bool agent)
{
    auk_swebench_result r;
    auk_err err;

    a->run.trace = a->trace;
    int status = check_run(self, a);
    if (status != 0)
        return status;
    auk_cli_catch_interrupt();
    int rc = auk_cli_cpu(&a->run.cpu_flags, &a->common, &err);
    if (rc == AUK_OK)
        rc = agent ? auk_swebench_agent(&r, &a->run, &err)
                   : auk_swebench_generate(&r, &a->run, &err);
    auk_meter_clear(&a->meter);
    if (rc < 0)
        return auk_cli_fail(&err);
    status = print_run(a, &r);
    if (status == 0 && r.failed > 0) {
        fprintf(stderr, "auklet: %zu instances are missing; --resume tries them again\n", r.failed);
        return 1;
    }
    return status;
}

/* ---- analyze ------------------------------------------------------------------------------ */

#define MAX_PARTS 64

typedef struct parts {
    char *text; /* owned */
    const char *p[MAX_PARTS];
    size_t n;
} parts;

static parts split(const char *list)
{
    parts s = {.text = list != NULL ? auk_strndup(list, strlen(list)) : NULL};

    for (char *p = s.text; p != NULL && s.n < MAX_PARTS;) {
        s.p[s.n++] = p;
        p = strchr(p, ',');
        if (p != NULL)
            *p++ = 0;
    }
    return s;
}

static char *trace_beside(const char *preds)
{
    auk_str s = auk_str_of(preds);
    auk_buf path = AUK_BUF_INIT(1 << 16);

    auk_buf_add(&path, s.p, auk_str_ends(s, ".jsonl") ? s.n - 6 : s.n);
    auk_buf_puts(&path, ".trace.jsonl");
    return path.p;
}

static int analyze_one(json_t **summary, json_t **items, const swebench_args *a, const char *preds,
                       const char *report, const char *trace, auk_err *err)
{
    char *beside = trace_beside(preds);
    parts reports = split(report), traces = split(trace != NULL             ? trace
                                                  : auk_file_exists(beside) ? beside
                                                                            : NULL);
    auk_analysis_options o = {.preds = preds,
                              .data = a->run.data,
                              .subset = a->run.subset,
                              .reports = reports.p,
                              .n_reports = reports.n,
                              .traces = traces.p,
                              .n_traces = traces.n,
                              .notes = a->run.notes};

    int rc = auk_swebench_analyze(summary, items, &o, err);
    free(beside);
    free(reports.text);
    free(traces.text);
    return rc;
}

static const json_t *find_item(const json_t *items, const char *id)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(items, i), "task_id")), id) ==
            0)
            return json_array_get(items, i);
    return NULL;
}

/* Two runs on the same instances; those whose harness broke in either are left out of both. */
static int compare(json_t **out, const json_t *mine, const json_t *theirs, auk_err *err)
{
    auk_buf said = AUK_BUF_INIT(1 << 16);
    auk_paired t = {0};
    auk_comparison c;
    size_t excluded = 0;

    for (size_t i = 0; i < json_array_size(mine); i++) {
        const json_t *x = json_array_get(mine, i);
        const char *id = json_string_value(json_object_get(x, "task_id"));
        const json_t *y = find_item(theirs, id);
        if (y == NULL || json_array_size(mine) != json_array_size(theirs))
            return auk_fail(err, AUK_EINVAL,
                            "the two runs are not on the same instances ('%s'); --subset FILE with "
                            "--data counts the same ones",
                            id);
        if (!json_is_true(json_object_get(x, "scored")) ||
            !json_is_true(json_object_get(y, "scored"))) {
            bool empty = !json_is_true(json_object_get(x, "has_patch")) ||
                         !json_is_true(json_object_get(y, "has_patch"));
            const char *sx = json_string_value(json_object_get(x, "status")),
                       *sy = json_string_value(json_object_get(y, "status"));
            if (strcmp(sx, "not_scored") == 0 || strcmp(sy, "not_scored") == 0)
                return auk_fail(err, AUK_EINVAL, "'%s' is not scored: give both runs' reports", id);
            if (!empty || strcmp(sx, "harness_error") == 0 || strcmp(sy, "harness_error") == 0) {
                excluded++;
                continue;
            }
        }
        bool a = json_is_true(json_object_get(x, "passed")),
             b = json_is_true(json_object_get(y, "passed"));
        *(a && b ? &t.a : a ? &t.b : b ? &t.c : &t.d) += 1;
    }
    int rc = auk_stats_compare(&c, &t, 0.95, 0.8, err);
    if (rc < 0)
        return rc;
    auk_stats_compare_say(&said, &c);
    *out =
        json_pack("{s:[I, I, I, I], s:I, s:f, s:f, s:f, s:[f, f], s:o, s:s%}", "table",
                  (json_int_t)t.a, (json_int_t)t.b, (json_int_t)t.c, (json_int_t)t.d, "excluded",
                  (json_int_t)excluded, "difference", c.difference, "p_exact", c.p.p_exact, "p_mid",
                  c.p.p_mid, "newcombe95", c.newcombe.lo, c.newcombe.hi, "smallest_difference",
                  auk_json_real(c.smallest), "sentence", auk_buf_str(&said).p, said.n);
    auk_buf_release(&said);
    return AUK_OK;
}

static json_int_t count_of(const json_t *s, const char *key)
{
    return json_integer_value(json_object_get(s, key));
}

static void print_rate(const json_t *s, const char *key, const char *label)
{
    char wilson[64];

    snprintf(wilson, sizeof wilson, "%s_wilson95", key);
    const json_t *rate = json_object_get(s, key), *i = json_object_get(s, wilson);
    if (json_is_real(rate))
        printf("%s %.4f, 95 %% interval [%.4f, %.4f] (Wilson)\n", label, json_real_value(rate),
               json_real_value(json_array_get(i, 0)), json_real_value(json_array_get(i, 1)));
}

static void print_analysis(const json_t *s)
{
    static const char *const columns[] = {
        "answered",      "truncated",          "looped",      "overflow",      "no_output",
        "no_edit_block", "edit_did_not_match", "patch_empty", "has_patch",     "patch_applied",
        "apply_failed",  "tests_failed",       "error",       "harness_error", "not_scored",
        "resolved"};
    const char *key;
    json_t *v;

    printf(
        "%lld instances, %lld count; oracle files shown, single shot, unless the predictions say "
        "otherwise: not comparable with agent leaderboards\n",
        (long long)count_of(s, "instances"), (long long)count_of(s, "n"));
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        printf("  %-20s %lld\n", columns[i], (long long)count_of(s, columns[i]));
    print_rate(s, "resolved_rate", "resolved");
    print_rate(s, "resolved_given_patch", "resolved, of those with a patch:");
    if (json_is_null(json_object_get(s, "resolved_rate")))
        printf("resolved: not known without reports on every patch\n");
    else
        printf("  (%s)\n", json_string_value(json_object_get(s, "conditional_warning")));
    printf("matching level:");
    json_object_foreach(json_object_get(s, "levels"), key, v)
        printf(" %s %lld", key, (long long)json_integer_value(v));
    printf("\n");
    json_object_foreach(json_object_get(s, "cost"), key, v) if (json_is_object(v))
        printf("%s: %.0f in all, median %.0f\n", key, json_number_value(json_object_get(v, "sum")),
               json_number_value(json_object_get(v, "median")));
    const json_t *c = json_object_get(s, "comparison");
    if (c != NULL)
        printf("%s\n", json_string_value(json_object_get(c, "sentence")));
}

static int write_items(const swebench_args *a, const json_t *items, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    for (size_t i = 0; i < json_array_size(items); i++) {
        auk_json_print(&text, json_array_get(items, i), (auk_json_style){0});
        auk_buf_putc(&text, '\n');
    }
    int rc = auk_buf_check(&text, "the items", err);
    if (rc == AUK_OK && auk_file_exists(a->run.out) && !a->run.force)
        rc = auk_fail(err, AUK_EINVAL, "'%s' exists: --force replaces it", a->run.out);
    if (rc == AUK_OK)
        rc = auk_file_write(a->run.out, auk_buf_str(&text), err);
    auk_buf_release(&text);
    return rc;
}

static void keep_record(auk_cli_record *rec, const swebench_args *a, const json_t *summary,
                        const json_t *items)
{
    const char *sha256 = json_string_value(json_object_get(summary, "data_sha256"));

    if (a->run.model != NULL)
        auk_cli_record_model(rec, "model", a->run.model);
    if (sha256 != NULL)
        auk_cli_record_set(rec, "data",
                           json_pack("{s:s, s:s}", "name", "swebench", "sha256", sha256));
    auk_cli_record_set(rec, "settings",
                       json_pack("{s:s, s:s?}", "predictions", a->preds, "report", a->report));
    for (size_t i = 0; i < json_array_size(items); i++)
        auk_cli_record_item(rec, json_incref(json_array_get(items, i)));
    auk_cli_record_put(rec, &a->common);
}

static int cmd_analyze(const auk_cmd *self, swebench_args *a, int argc, char **argv)
{
    json_t *summary = NULL, *items = NULL, *base = NULL, *base_items = NULL, *c = NULL;
    auk_err err;

    if (a->preds == NULL)
        return auk_cli_usage(self, "analyze wants --preds FILE");
    auk_cli_record *rec = auk_cli_record_new("swebench", &a->ledger, argc, argv);
    int rc = analyze_one(&summary, &items, a, a->preds, a->report, a->trace, &err);
    if (rc == AUK_OK && a->baseline != NULL) {
        rc = analyze_one(&base, &base_items, a, a->baseline, a->baseline_report, a->baseline_trace,
                         &err);
        if (rc == AUK_OK)
            rc = compare(&c, items, base_items, &err);
        if (rc == AUK_OK)
            json_object_set_new(summary, "comparison", c);
    }
    if (rc == AUK_OK && a->run.out != NULL)
        rc = write_items(a, items, &err);
    int status = 0;
    if (rc == AUK_OK) {
        if (rec != NULL)
            keep_record(rec, a, summary, items);
        json_object_set_new(summary, "schema", json_string("auklet.swebench-analyze/1"));
        json_object_set_new(summary, "ledger_id", auk_cli_record_id(rec));
        if (a->common.json)
            status = auk_cli_print_json(json_incref(summary));
        else
            print_analysis(summary);
    }
    json_decref(summary);
    json_decref(items);
    json_decref(base);
    json_decref(base_items);
    status = auk_cli_record_end(rec, rc < 0 ? auk_cli_fail(&err) : status);
    return flushed(status);
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    swebench_args a = {.run = auk_swebench_defaults(), .n = 30, .ledger = AUK_RECORD_ARGS_INIT};

    a.run.seed = 1234;
    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    auk_meter_init(&a.meter, &a.common);
    a.run.threads = a.common.threads;
    a.run.progress = on_progress;
    a.run.progress_ctx = &a;
    a.run.notes = (auk_notes){on_note, &a};
    const char *what = a.common.arg[0];
    if (strcmp(what, "subset") == 0)
        return cmd_subset(self, &a);
    if (strcmp(what, "generate") == 0)
        return cmd_run(self, &a, false);
    if (strcmp(what, "agent") == 0)
        return cmd_run(self, &a, true);
    if (strcmp(what, "analyze") == 0)
        return cmd_analyze(self, &a, argc, argv);
    return auk_cli_usage(self, "'%s' is none of subset, generate, agent, analyze", what);
}

const auk_cmd auk_cmd_swebench = {
    .name = "swebench",
    .run = run,
    .usage = "swebench subset|generate|agent|analyze [options]",
    .summary = "draw a subset, make predictions, say what became of them",
    .examples =
        "  auklet swebench subset --data swebench_verified.jsonl --n 30 --seed 1234 -o "
        "subset.json\n"
        "  auklet swebench generate --data swebench_verified.jsonl --subset subset.json \\\n"
        "      --repos ~/clones --model north-4bit -o preds.jsonl --resume\n"
        "  auklet swebench analyze --preds preds.jsonl --report north-4bit.run1.json\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
