/* SPDX-License-Identifier: Apache-2.0 */
/* audit: at which depth of context does a model's memory, or its tool use, break? */
#include "cli/headline.h"
#include "cli/target.h"

#include "diagnose/diagnose.h"
#include "stats/stats.h"

typedef struct audit_args {
    auk_common common;
    auk_record_args ledger;
    int max_depth, samples, max_tokens, ctx;
    uint64_t seed;
    const char *kind, *preset, *budget, *output;
    bool resume, think;
    auk_meter meter;
    auk_cli_record *rec;
    json_t *items; /* of this run */
} audit_args;

static const auk_opt options[] = {
    {"max-depth", AUK_OPT_INT, offsetof(audit_args, max_depth), "N",
     "deepest prompt in tokens (default: the window less the answer)"},
    {"samples", AUK_OPT_INT, offsetof(audit_args, samples), "N",
     "questions at each depth of each curve (default 45)"},
    {"kind", AUK_OPT_STR, offsetof(audit_args, kind), "KIND",
     "retrieval or tools (default: both curves)"},
    {"seed", AUK_OPT_U64, offsetof(audit_args, seed), "N", "of texts and facts (default 1)"},
    {"preset", AUK_OPT_STR, offsetof(audit_args, preset), "NAME",
     "quantamind: 829 to 7,902 tokens in five depths"},
    {"budget", AUK_OPT_STR, offsetof(audit_args, budget), "TIME",
     "90s, 15m, 2h: depths that would take longer are left out (default 30m)"},
    {"max-tokens", AUK_OPT_INT, offsetof(audit_args, max_tokens), "N",
     "longest answer (default 256; 2048 for a model that thinks)"},
    {"think", AUK_OPT_FLAG, offsetof(audit_args, think), NULL,
     "let a model that can think do so (default); --no-think asks it not to"},
    {"ctx", AUK_OPT_INT, offsetof(audit_args, ctx), "N",
     "the window of a folder or of Ollama (default: as large as memory allows)"},
    {"output", AUK_OPT_STR, offsetof(audit_args, output), "FILE.jsonl",
     "a line per finished question; short: -o"},
    {"resume", AUK_OPT_FLAG, offsetof(audit_args, resume), NULL, "go on with that file"},
    AUK_RECORD_OPTIONS(audit_args, ledger),
    {0},
};

static int on_item(void *ctx, const json_t *item, auk_err *err)
{
    audit_args *a = ctx;

    (void)err;
    json_array_append_new(a->items, json_incref((json_t *)(uintptr_t)item));
    auk_cli_record_item(a->rec, json_incref((json_t *)(uintptr_t)item));
    return AUK_OK;
}

static void on_note(void *ctx, const char *line)
{
    audit_args *a = ctx;

    auk_meter_clear(&a->meter);
    if (!a->common.quiet)
        fprintf(stderr, "auklet: %s\n", line);
}

static bool on_progress(void *ctx, const char *what, const char *unit, uint64_t done,
                        uint64_t total)
{
    audit_args *a = ctx;
    return auk_meter_step(&a->meter, what, unit, done, total);
}

static bool on_cancelled(void *ctx)
{
    (void)ctx;
    return auk_cli_interrupted();
}

/* ---- the answer --------------------------------------------------------------------------- */

static void print_rung(const json_t *r)
{
    const json_t *wilson = json_object_get(r, "wilson95"), *p = json_object_get(r, "p_holm");
    char holm[AUK_STATS_P_CHARS] = "-";

    if (json_is_number(p))
        auk_stats_p_print(holm, json_number_value(p));
    printf("  %s%8lld  %4lld of %-4lld",
           json_is_true(json_object_get(r, "depth_estimated")) ? "~" : " ",
           auk_cli_int(r, "depth_tokens"), auk_cli_int(r, "passed"), auk_cli_int(r, "n"));
    if (json_is_array(wilson))
        printf("  [%.2f, %.2f]", json_number_value(json_array_get(wilson, 0)),
               json_number_value(json_array_get(wilson, 1)));
    else
        printf("  %12s", "");
    printf("  %6lld %6lld %6lld %6lld  %-10s%s%s\n", auk_cli_int(r, "state_counts.wrong"),
           auk_cli_int(r, "state_counts.truncated"), auk_cli_int(r, "state_counts.no_answer"),
           auk_cli_int(r, "state_counts.error"), holm,
           json_is_true(json_object_get(r, "bisection")) ? " bisection" : "",
           json_is_true(json_object_get(r, "fails")) ? " FAILS" : "");
}

static void print_curve(const json_t *c)
{
    const json_t *rungs = json_object_get(c, "rungs"), *r;
    const json_t *last = json_array_get(rungs, json_array_size(rungs) - 1);
    const char *kind = json_string_value(json_object_get(c, "kind"));
    const char *status = json_string_value(json_object_get(c, "status"));
    size_t i;

    printf("\n%s: ", strcmp(kind, "tools") == 0 ? "tool calls under padding" : "retrieval");
    if (strcmp(status, "cliff") == 0)
        printf("breaks between %lld and %lld tokens (p = %.2g after Holm)\n",
               auk_cli_int(c, "cliff.last_pass"), auk_cli_int(c, "cliff.first_fail"),
               auk_cli_real(c, "cliff.p_holm"));
    else if (strcmp(status, "holds") == 0)
        printf("no cliff to %lld tokens\n", auk_cli_int(last, "depth_tokens"));
    else if (strcmp(status, "broken_baseline") == 0)
        printf("fails from the start: %lld of %lld at %lld tokens\n",
               auk_cli_int(json_array_get(rungs, 0), "passed"),
               auk_cli_int(json_array_get(rungs, 0), "n"),
               auk_cli_int(json_array_get(rungs, 0), "depth_tokens"));
    else if (strcmp(status, "too_few_samples") == 0)
        printf(
            "no cliff shown to %lld tokens, but so few samples could not show one of 20 points\n",
            auk_cli_int(last, "depth_tokens"));
    else
        printf("not finished: no verdict\n");
    if (json_array_size(rungs) > 0)
        printf("  %9s  %-12s  %-12s  %6s %6s %6s %6s  %s\n", "tokens", "passed", "95 %", "wrong",
               "cut", "none", "error", "p (Holm)");
    json_array_foreach(rungs, i, r) print_rung(r);
}

static void print_text(const json_t *v)
{
    const json_t *curves = json_object_get(v, "curves"), *c;
    size_t i;

    printf("%s", json_string_value(json_object_get(v, "target")));
    if (json_is_integer(json_object_get(v, "window_tokens")))
        printf(", window %lld tokens", auk_cli_int(v, "window_tokens"));
    printf(", %lld samples a depth, seed %lld\n", auk_cli_int(v, "samples"),
           auk_cli_int(v, "seed"));
    json_array_foreach(curves, i, c) print_curve(c);
    if (json_is_true(json_object_get(v, "partial")))
        printf("\npartial, so no verdict: %s\n", json_string_value(json_object_get(v, "why")));
}

/* ---- the command -------------------------------------------------------------------------- */

static int check_usage(const auk_cmd *self, audit_args *a, auk_audit_options *o)
{
    if (a->kind != NULL && strcmp(a->kind, "retrieval") == 0)
        o->kinds = AUK_AUDIT_RETRIEVAL;
    else if (a->kind != NULL && strcmp(a->kind, "tools") == 0)
        o->kinds = AUK_AUDIT_TOOLS;
    else if (a->kind != NULL)
        return auk_cli_usage(self, "option '--kind': '%s' is not retrieval or tools", a->kind);
    if (a->budget != NULL && !auk_cli_time(&o->budget_ns, a->budget))
        return auk_cli_usage(self, "option '--budget': '%s' is no time like 90s, 15m or 2h",
                             a->budget);
    if (a->preset != NULL && strcmp(a->preset, "quantamind") != 0)
        return auk_cli_usage(self, "option '--preset': '%s' is not quantamind", a->preset);
    if (a->preset != NULL && a->max_depth > 0)
        return auk_cli_usage(self, "--preset has its own depths: leave --max-depth out");
    if (a->samples < 1 || a->samples > AUK_AUDIT_MAX_SAMPLES)
        return auk_cli_usage(self, "option '--samples': 1 to %d", AUK_AUDIT_MAX_SAMPLES);
    if (a->max_depth < 0 || a->max_tokens < 0 || a->ctx < 0 ||
        (a->max_depth > 0 && a->max_depth < 512))
        return auk_cli_usage(self,
                             "--max-depth is at least 512; --max-tokens and --ctx are positive");
    if (a->resume && a->output == NULL)
        return auk_cli_usage(self, "--resume needs the file to go on with: -o FILE.jsonl");
    return 0;
}

/* The window a folder needs; 0: as large as memory allows. */
static int window(const audit_args *a)
{
    int depth = a->preset != NULL ? 7902 : a->max_depth;

    if (a->ctx > 0 || depth == 0 || strstr(a->common.arg[0], "://") != NULL)
        return a->ctx;
    return depth + (a->max_tokens > 0 ? a->max_tokens : 2048) + 64;
}

static int finish(audit_args *a, const auk_audit_result *r, int rc, const auk_err *failure)
{
    json_t *v = NULL;
    auk_err err;
    int status = rc == AUK_OK ? r->partial ? 1 : 0 : auk_cli_fail(failure);

    auk_cli_record_put(a->rec, &a->common);
    if (json_array_size(a->items) == 0)
        return status;
    if (auk_cli_headline(&v, "audit", a->items, &err) < 0)
        return auk_cli_fail(&err);
    if (a->common.json) {
        json_t *out = json_pack("{s:s, s:o}", "schema", "auklet.audit/1", "ledger_id",
                                auk_cli_record_id(a->rec));
        json_object_update(out, v);
        json_object_set_new(out, "resumed", json_integer((json_int_t)r->resumed));
        auk_cli_print_json(out);
    } else {
        print_text(v);
    }
    json_decref(v);
    return fflush(stdout) == 0 ? status : 1;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    audit_args a = {.ledger = AUK_RECORD_ARGS_INIT, .samples = 45, .seed = 1, .think = true};
    auk_audit_options o = auk_audit_defaults();
    auk_audit_result r = {0};
    auk_cli_target t = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    status = check_usage(self, &a, &o);
    if (status != 0)
        return status;
    auk_cli_catch_interrupt();
    auk_meter_init(&a.meter, &a.common);
    a.items = json_array();
    const char *model = a.common.arg[0];
    int rc = auk_cli_target_open_wide(&t, model, window(&a), &a.common, &err);
    if (rc == AUK_OK) {
        o.max_depth = a.max_depth;
        o.samples = a.samples;
        o.max_tokens = a.max_tokens;
        o.thinking = a.think ? AUK_THINK_DEFAULT : AUK_THINK_OFF;
        o.seed = a.seed;
        o.preset = a.preset;
        o.folder = t.folder;
        o.target = model;
        o.log = a.output;
        o.resume = a.resume;
        o.watch = (auk_watch){on_item, on_note, on_progress, on_cancelled, &a};
        a.rec = auk_cli_record_new("audit", &a.ledger, argc, argv);
        auk_cli_target_record(a.rec, "model", &t, model);
        auk_cli_record_set(a.rec, "seed", json_integer((json_int_t)a.seed));
        auk_cli_record_set(a.rec, "sampling",
                           json_pack("{s:i, s:b}", "temperature", 0, "think", a.think));
        rc = auk_audit(&r, t.client, &o, &err);
    }
    auk_meter_clear(&a.meter);
    if (json_array_size(a.items) == 0 && rc < 0) {
        status = auk_cli_fail(&err);
        a.ledger.ledger = false;
    } else {
        status = finish(&a, &r, rc, &err);
    }
    json_decref(a.items);
    auk_cli_target_close(&t);
    return auk_cli_record_end(a.rec, status);
}

const auk_cmd auk_cmd_audit = {
    .name = "audit",
    .run = run,
    .usage = "audit MODEL [options]",
    .summary = "where a model's memory of its context, and its tool use, break",
    .examples = "  auklet audit north-4bit --budget 2h -o audit.jsonl\n"
                "  auklet audit ollama:http://localhost:11434/qwen3 --preset quantamind\n"
                "  auklet audit http://gpu-box:8080 --kind retrieval --max-depth 65536 --json\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
