/* SPDX-License-Identifier: Apache-2.0 */
/* agent: can a model be left alone with tools?  And its collections' own check. */
#define _GNU_SOURCE
#include "cli/agent_files.h"
#include "cli/headline.h"
#include "cli/target.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <dirent.h>
#include <stdlib.h>

typedef struct agent_args {
    auk_common common;
    auk_record_args ledger;
    const char *tier, *collection, *task, *profile, *output, *junit, *csv;
    int k, max_tokens, ctx;
    double temperature, top_p, turn_timeout;
    uint64_t seed;
    bool resume, force, think, same, require_ready;
    auk_meter meter;
    auk_cli_record *rec;
    auk_agent_set *sets; /* owned; n_sets */
    size_t n_sets;
    json_t *items; /* the plan and the runs, without their transcripts */
    bool disk_failed;
} agent_args;

static const auk_opt options[] = {
    {"tier", AUK_OPT_STR, offsetof(agent_args, tier), "LIST",
     "easy,medium,hard,extreme (default: easy,medium)"},
    {"collection", AUK_OPT_STR, offsetof(agent_args, collection), "FILE",
     "these tasks instead, ours or QuantaMind's v2; several with commas"},
    {"task", AUK_OPT_STR, offsetof(agent_args, task), "ID", "only this task"},
    {"k", AUK_OPT_INT, offsetof(agent_args, k), "N",
     "runs of each task (default: 5, 8, 16, 24 by tier)"},
    {"profile", AUK_OPT_STR, offsetof(agent_args, profile), "NAME",
     "coding-agent, rag-assistant, general-agent or a file: exit 3 when it is not met"},
    {"require-ready", AUK_OPT_FLAG, offsetof(agent_args, require_ready), NULL,
     "with --profile: exit 3 for CONDITIONAL too"},
    {"output", AUK_OPT_STR, offsetof(agent_args, output), "FILE.jsonl",
     "a line per finished run with its whole transcript; short: -o"},
    {"resume", AUK_OPT_FLAG, offsetof(agent_args, resume), NULL, "go on with that file"},
    {"force", AUK_OPT_FLAG, offsetof(agent_args, force), NULL, "replace that file"},
    {"junit", AUK_OPT_STR, offsetof(agent_args, junit), "FILE.xml", "the tasks as a test report"},
    {"csv", AUK_OPT_STR, offsetof(agent_args, csv), "FILE.csv", "the tasks as a table"},
    {"seed", AUK_OPT_U64, offsetof(agent_args, seed), "N",
     "of names, values, wording and order (default 1)"},
    {"same", AUK_OPT_FLAG, offsetof(agent_args, same), NULL,
     "play the same instance every time: the noise floor"},
    {"temperature", AUK_OPT_REAL, offsetof(agent_args, temperature), "T", "default 0"},
    {"top-p", AUK_OPT_REAL, offsetof(agent_args, top_p), "P", "default: the server's own"},
    {"max-tokens", AUK_OPT_INT, offsetof(agent_args, max_tokens), "N",
     "of a turn (default: 1536 to 4096 by tier)"},
    {"turn-timeout", AUK_OPT_REAL, offsetof(agent_args, turn_timeout), "SECONDS",
     "of a turn (default 180)"},
    {"think", AUK_OPT_FLAG, offsetof(agent_args, think), NULL,
     "let a model that can think do so (default)"},
    {"ctx", AUK_OPT_INT, offsetof(agent_args, ctx), "N", "the window of a folder or of Ollama"},
    AUK_RECORD_OPTIONS(agent_args, ledger),
    {0},
};

/* ---- collections --------------------------------------------------------------------------- */

static int add_set(agent_args *a, const char *path, auk_err *err)
{
    auk_agent_set *s = &a->sets[a->n_sets];

    int rc = auk_agent_set_open(s, path, err);
    a->n_sets += rc == AUK_OK;
    return rc;
}

#define MAX_SETS 256

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All bundled collections of the wanted tiers, by name. */
static int bundled(agent_args *a, const bool *want, auk_err *err)
{
    char *dir = auk_agent_data("."), *paths[MAX_SETS];
    DIR *d = dir != NULL ? opendir(dir) : NULL;
    size_t n = 0;
    int rc = AUK_OK;

    if (d == NULL) {
        free(dir);
        return auk_fail(err, AUK_ENOTFOUND,
                        "no bundled collections (data/agent): set AUK_DATA to the folder 'data' of "
                        "auklet, or give --collection FILE");
    }
    for (struct dirent *e; (e = readdir(d)) != NULL && n < MAX_SETS;)
        if (strlen(e->d_name) > 5 && strcmp(e->d_name + strlen(e->d_name) - 5, ".json") == 0)
            paths[n++] = auk_path_join(dir, e->d_name);
    closedir(d);
    free(dir);
    qsort(paths, n, sizeof *paths, by_name);
    for (size_t i = 0; i < n; i++) {
        if (rc == AUK_OK)
            rc = add_set(a, paths[i], err);
        if (rc == AUK_OK && !want[a->sets[a->n_sets - 1].tier])
            auk_agent_set_close(&a->sets[--a->n_sets]);
        free(paths[i]);
    }
    return rc;
}

static int split(const char *list, int (*each)(void *ctx, const char *word, auk_err *err),
                 void *ctx, auk_err *err)
{
    int rc = AUK_OK;

    while (rc == AUK_OK && *list != 0) {
        size_t n = strcspn(list, ",");
        char *word = auk_strndup(list, n);
        rc = n > 0 ? each(ctx, word, err) : AUK_OK;
        free(word);
        list += n + (list[n] == ',');
    }
    return rc;
}

static int one_file(void *ctx, const char *word, auk_err *err)
{
    agent_args *a = ctx;

    if (a->n_sets == MAX_SETS)
        return auk_fail(err, AUK_ELIMIT, "more than %d collections", MAX_SETS);
    return add_set(a, word, err);
}

static int one_tier(void *ctx, const char *word, auk_err *err)
{
    auk_tier t;

    if (!auk_tier_parse(&t, word))
        return auk_fail(err, AUK_EINVAL,
                        "option '--tier': '%s' is none of easy, medium, hard, "
                        "extreme",
                        word);
    ((bool *)ctx)[t] = true;
    return AUK_OK;
}

static int open_sets(agent_args *a, auk_err *err)
{
    bool want[AUK_N_TIERS] = {false};
    int rc = split(a->tier != NULL ? a->tier : "easy,medium", one_tier, want, err);

    a->sets = auk_alloc(MAX_SETS * sizeof *a->sets);
    if (rc < 0)
        return rc;
    rc = a->collection != NULL ? split(a->collection, one_file, a, err) : bundled(a, want, err);
    if (rc == AUK_OK && a->n_sets == 0)
        rc = auk_fail(err, AUK_ENOTFOUND, "there is no collection of these tiers");
    return rc;
}

static void close_sets(agent_args *a)
{
    for (size_t i = 0; i < a->n_sets; i++)
        auk_agent_set_close(&a->sets[i]);
    free(a->sets);
}

static bool wanted(const agent_args *a, const auk_agent_task *t)
{
    return a->task == NULL || strcmp(a->task, t->id) == 0;
}

/* ---- the plan ------------------------------------------------------------------------------ */

static int read_profile(json_t **out, const char *name, auk_err *err)
{
    char file[300];

    snprintf(file, sizeof file, "profiles/%.200s.json", name);
    char *path = auk_file_exists(name) ? auk_strndup(name, strlen(name)) : auk_agent_data(file);
    if (path == NULL)
        return auk_fail(
            err, AUK_ENOTFOUND,
            "there is no profile '%s': coding-agent, rag-assistant, general-agent, or a "
            "file like data/agent/profiles/general-agent.json",
            name);
    int rc = auk_json_read(out, path, err);
    if (rc == AUK_OK && !json_is_number(json_object_get(*out, "min_pass_k"))) {
        json_decref(*out);
        *out = NULL;
        rc = auk_fail(err, AUK_EFORMAT, "%s: a profile needs the number min_pass_k", path);
    }
    free(path);
    return rc;
}

static json_t *make_plan(const agent_args *a, json_t *profile, size_t *runs, size_t *turns)
{
    json_t *tasks = json_array(), *sets = json_array();

    *runs = *turns = 0;
    for (size_t s = 0; s < a->n_sets; s++) {
        const auk_agent_set *set = &a->sets[s];
        json_array_append_new(sets,
                              json_pack("{s:s, s:s}", "name", set->name, "sha256", set->sha256));
        for (size_t i = 0; i < set->n; i++) {
            const auk_agent_task *t = &set->tasks[i];
            int k = a->k > 0 ? a->k : t->k;
            if (!wanted(a, t))
                continue;
            *runs += (size_t)k;
            *turns += (size_t)k * (size_t)t->max_steps;
            json_array_append_new(tasks,
                                  json_pack("{s:s, s:s, s:s, s:i}", "task", t->id, "collection",
                                            set->name, "tier", auk_tier_name(t->tier), "k", k));
        }
    }
    json_t *settings =
        json_pack("{s:s, s:I, s:f, s:f, s:i, s:b, s:b}", "model", a->common.arg[0], "seed",
                  (json_int_t)a->seed, "temperature", a->temperature, "top_p", a->top_p,
                  "max_tokens", a->max_tokens, "think", a->think, "same_instance", a->same);
    json_t *facts = json_object();
    if (a->same)
        json_object_set_new(facts, "same_instance", json_true());
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "schema", "auklet.agent-runs/1", "item",
                     "plan", "collections", sets, "settings", settings, "tasks", tasks, "profile",
                     profile, "facts", facts);
}

/* ---- playing ------------------------------------------------------------------------------- */

static bool stopped(void *ctx)
{
    (void)ctx;
    return auk_cli_interrupted();
}

/* Without what only a reader of the transcript needs. */
static json_t *compact(const json_t *item)
{
    json_t *out = json_copy((json_t *)(uintptr_t)item);

    json_object_del(out, "messages");
    json_object_del(out, "tools");
    json_object_del(out, "said");
    json_object_del(out, "settings");
    return out;
}

static void keep(agent_args *a, const json_t *item)
{
    json_t *record = json_copy((json_t *)(uintptr_t)item);

    json_array_append_new(a->items, compact(item));
    json_object_del(record, "tools");
    json_object_del(record, "settings");
    auk_cli_record_item(a->rec, record);
}

static bool done_before(const json_t *runs, const auk_agent_task *t, int run)
{
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *r = json_array_get(runs, i);
        if (auk_cli_int(r, "run") == run && strcmp(auk_cli_text(r, "task"), t->id) == 0 &&
            strcmp(auk_cli_text(r, "collection"), t->set->name) == 0)
            return true;
    }
    return false;
}

typedef struct player {
    agent_args *a;
    auk_agent_client model;
    auk_agent_log log;
    const json_t *before; /* runs of the log that was resumed */
    const json_t *settings;
    size_t done, total, passed;
} player;

static int play(player *p, const auk_agent_task *t, int run, auk_err *err)
{
    agent_args *a = p->a;
    auk_agent_run_options o = {.model = auk_agent_ask,
                               .model_ctx = &p->model,
                               .model_name = a->common.arg[0],
                               .seed = a->seed,
                               .run = run,
                               .same_instance = a->same};
    json_t *item = NULL;
    char what[120];

    p->model.max_tokens = a->max_tokens > 0 ? a->max_tokens : auk_tier_tokens(t->tier, true);
    p->model.sample_seed = (int64_t)((a->seed * 1000003u + (uint64_t)run) & 0x7fffffff);
    snprintf(what, sizeof what, "agent: %zu of %zu passed, %.60s", p->passed, p->done, t->id);
    auk_meter_step(&a->meter, what, "runs", p->done, p->total);
    int rc = auk_agent_run(&item, t, &o, err);
    if (rc < 0)
        return rc;
    if (strcmp(auk_cli_text(item, "class"), "Cancelled") == 0) {
        json_decref(item);
        return auk_fail(err, AUK_ECANCEL, "stopped; finished runs are kept");
    }
    json_object_set(item, "settings", (json_t *)(uintptr_t)p->settings);
    p->done++;
    p->passed += json_is_true(json_object_get(item, "passed"));
    keep(a, item);
    rc = auk_agent_log_add(&p->log, item, err);
    json_decref(item);
    return rc;
}

static int play_all(player *p, auk_err *err)
{
    agent_args *a = p->a;
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(p->before); i++) {
        keep(a, json_array_get(p->before, i));
        p->done++;
        p->passed += json_is_true(json_object_get(json_array_get(p->before, i), "passed"));
    }
    for (size_t s = 0; s < a->n_sets; s++)
        for (size_t i = 0; i < a->sets[s].n; i++) {
            const auk_agent_task *t = &a->sets[s].tasks[i];
            int k = a->k > 0 ? a->k : t->k;
            for (int run = 0; run < k && rc == AUK_OK; run++) {
                if (!wanted(a, t) || done_before(p->before, t, run))
                    continue;
                rc = auk_cli_interrupted()
                         ? auk_fail(err, AUK_ECANCEL, "stopped; finished runs are kept")
                         : play(p, t, run, err);
            }
        }
    return rc;
}

/* ---- the result ---------------------------------------------------------------------------- */

static int write_text(const char *path, void (*make)(auk_buf *out, const json_t *v),
                      const json_t *v, auk_err *err)
{
    auk_buf b = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (path == NULL)
        return AUK_OK;
    make(&b, v);
    int rc = auk_buf_check(&b, path, err);
    if (rc == AUK_OK)
        rc = auk_file_write(path, auk_buf_str(&b), err);
    auk_buf_release(&b);
    return rc;
}

static void junit(auk_buf *out, const json_t *summary)
{
    auk_agent_junit(out, summary, auk_cli_text(summary, "model"));
}

static int finish(agent_args *a, int status)
{
    json_t *v = NULL;
    auk_err err;

    auk_cli_record_put(a->rec, &a->common);
    if (auk_cli_headline(&v, "agent", a->items, &err) < 0)
        return auk_cli_fail(&err);
    json_object_set_new(v, "model", json_string(a->common.arg[0]));
    if (write_text(a->junit, junit, v, &err) < 0 || write_text(a->csv, auk_agent_csv, v, &err) < 0)
        status = auk_cli_fail(&err);
    if (status == 0 && auk_cli_int(v, "all.errored") > 0)
        status = 1;
    const char *verdict = auk_cli_text(v, "verdict.status");
    if (status == 0 && a->profile != NULL &&
        (strcmp(verdict, "NOT READY") == 0 ||
         (a->require_ready && strcmp(verdict, "CONDITIONAL") == 0)))
        status = 3;
    if (a->common.json) {
        json_t *out = json_pack("{s:s, s:o}", "schema", "auklet.agent/1", "ledger_id",
                                auk_cli_record_id(a->rec));
        json_object_update(out, v);
        auk_cli_print_json(out);
    } else {
        auk_agent_print_summary(v, a->common.arg[0]);
    }
    json_decref(v);
    return fflush(stdout) == 0 ? status : 1;
}

static int evaluate(agent_args *a, int argc, char **argv)
{
    auk_cli_target target = {0};
    player p = {.a = a};
    json_t *profile = NULL, *plan = NULL, *before = NULL;
    auk_client_info info;
    size_t turns = 0;
    auk_err err;
    int status = 0;

    auk_cli_catch_interrupt();
    auk_meter_init(&a->meter, &a->common);
    a->items = json_array();
    int rc = open_sets(a, &err);
    if (rc == AUK_OK)
        rc = read_profile(&profile, a->profile != NULL ? a->profile : "general-agent", &err);
    if (rc == AUK_OK) {
        plan = make_plan(a, profile, &p.total, &turns);
        if (p.total == 0)
            rc = auk_fail(&err, AUK_ENOTFOUND, "there is no task '%s'", a->task);
    }
    if (rc == AUK_OK)
        rc = auk_cli_target_open(&target, a->common.arg[0], a->ctx, &a->common, &err);
    if (rc == AUK_OK)
        rc = auk_client_describe(&info, target.client, &err);
    if (rc == AUK_OK)
        rc = auk_agent_log_open(&p.log, &before, a->output, plan, a->resume, a->force, &err);
    if (rc < 0) {
        status = auk_cli_fail(&err);
    } else {
        if (!a->common.quiet)
            fprintf(stderr, "auklet: %zu runs of %zu tasks, at most %zu turns\n", p.total,
                    json_array_size(json_object_get(plan, "tasks")), turns);
        a->rec = auk_cli_record_new("agent", &a->ledger, argc, argv);
        auk_cli_target_record(a->rec, "model", &target, a->common.arg[0]);
        auk_cli_record_set(a->rec, "seed", json_integer((json_int_t)a->seed));
        auk_cli_record_set(a->rec, "sampling", json_incref(json_object_get(plan, "settings")));
        auk_cli_record_set(a->rec, "data", json_incref(json_object_get(plan, "collections")));
        json_array_append(a->items, plan);
        auk_cli_record_item(a->rec, json_incref(plan));
        p.before = before;
        p.settings = json_object_get(plan, "settings");
        p.model = (auk_agent_client){.client = target.client,
                                     .temperature = a->temperature,
                                     .top_p = a->top_p,
                                     .thinking = a->think ? AUK_THINK_DEFAULT : AUK_THINK_OFF,
                                     .turn_timeout_ns = (uint64_t)(a->turn_timeout * 1e9),
                                     .cancelled = stopped};
        rc = play_all(&p, &err);
        auk_meter_clear(&a->meter);
        if (rc < 0)
            status = auk_cli_fail(&err);
        if (auk_agent_log_close(&p.log, &err) < 0 && status == 0)
            status = auk_cli_fail(&err);
        status = finish(a, status);
    }
    json_decref(before);
    json_decref(plan);
    auk_cli_target_close(&target);
    close_sets(a);
    json_decref(a->items);
    return auk_cli_record_end(a->rec, status);
}

/* ---- agent check, agent show, agent replay ------------------------------------------------- */

typedef struct findings {
    json_t *list;
    size_t warnings;
} findings;

static void on_found(void *ctx, const char *task, const char *severity, const char *what)
{
    findings *f = ctx;

    f->warnings += strcmp(severity, "warn") == 0;
    json_array_append_new(
        f->list, json_pack("{s:s?, s:s, s:s}", "task", task, "severity", severity, "what", what));
}

static json_t *axes_json(const auk_agent_set *s)
{
    json_t *out = json_array();
    auk_err err;

    for (size_t i = 0; i < s->n; i++) {
        auk_agent_axes x;
        if (auk_agent_axes_of(&x, &s->tasks[i], &err) == AUK_OK)
            json_array_append_new(
                out, json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "task", s->tasks[i].id,
                               "tier", auk_tier_name(s->tasks[i].tier), "steps", x.steps,
                               "hidden_prerequisites", x.hidden, "decoys", x.decoys, "constraints",
                               x.constraints, "faults", x.faults));
    }
    return out;
}

static int check(const agent_args *a)
{
    auk_agent_set s;
    findings f = {.list = json_array()};
    size_t rejected = 0, i;
    json_t *v;
    auk_err err;

    int rc = auk_agent_set_open(&s, a->common.arg[1], &err);
    if (rc == AUK_OK) {
        rc = auk_agent_check(&rejected, &s, on_found, &f, &err);
        if (rc == AUK_OK && a->common.json) {
            auk_cli_print_json(json_pack("{s:s, s:s, s:I, s:I, s:O, s:o}", "schema",
                                         "auklet.agent-check/1", "collection", s.name, "tasks",
                                         (json_int_t)s.n, "rejected", (json_int_t)rejected,
                                         "findings", f.list, "axes", axes_json(&s)));
        } else if (rc == AUK_OK) {
            json_t *axes = axes_json(&s);
            printf("%-32s %5s %6s %6s %11s %6s\n", "task", "steps", "hidden", "decoys",
                   "constraints", "faults");
            json_array_foreach(axes, i, v) printf(
                "%-32s %5lld %6lld %6lld %11lld %6lld\n", auk_cli_text(v, "task"),
                auk_cli_int(v, "steps"), auk_cli_int(v, "hidden_prerequisites"),
                auk_cli_int(v, "decoys"), auk_cli_int(v, "constraints"), auk_cli_int(v, "faults"));
            json_array_foreach(f.list, i, v)
                printf("%s: %s: %s\n", auk_cli_text(v, "severity"), auk_cli_text(v, "task"),
                       auk_cli_text(v, "what"));
            printf("%s: %zu tasks, %zu rejected, %zu warnings\n", s.name, s.n, rejected,
                   f.warnings);
            json_decref(axes);
        }
        auk_agent_set_close(&s);
    }
    json_decref(f.list);
    if (rc < 0)
        return auk_cli_fail(&err);
    return rejected > 0 ? 3 : 0;
}

static bool chosen(const agent_args *a, const json_t *run)
{
    if (a->common.n_args > 2 && strcmp(a->common.arg[2], auk_cli_text(run, "task")) != 0)
        return false;
    return a->common.n_args < 4 || strtoll(a->common.arg[3], NULL, 10) == auk_cli_int(run, "run");
}

static int show(const agent_args *a)
{
    json_t *plan, *runs, *r;
    size_t i, n = 0;
    auk_err err;

    if (auk_agent_log_read(&plan, &runs, a->common.arg[1], &err) < 0)
        return auk_cli_fail(&err);
    json_array_foreach(runs, i, r)
    {
        if (!chosen(a, r))
            continue;
        if (a->common.n_args == 2)
            printf("%-32s run %-3lld %-16s %3lld turns  %s\n", auk_cli_text(r, "task"),
                   auk_cli_int(r, "run"), auk_cli_text(r, "class"), auk_cli_int(r, "steps"),
                   auk_cli_text(r, "detail"));
        else
            printf("%s", n > 0 ? "\n----\n\n" : ""), auk_agent_print_run(r);
        n++;
    }
    json_decref(plan);
    json_decref(runs);
    if (n > 0)
        return fflush(stdout) == 0 ? 0 : 1;
    auk_fail(&err, AUK_ENOTFOUND, "%s: no such run", a->common.arg[1]);
    return auk_cli_fail(&err);
}

static const auk_agent_task *find_task(const agent_args *a, const json_t *run)
{
    for (size_t s = 0; s < a->n_sets; s++)
        for (size_t i = 0; i < a->sets[s].n; i++)
            if (strcmp(a->sets[s].tasks[i].id, auk_cli_text(run, "task")) == 0 &&
                strcmp(a->sets[s].name, auk_cli_text(run, "collection")) == 0)
                return &a->sets[s].tasks[i];
    return NULL;
}

/* Plays every run of a log again through the world and rules of today. */
static int replay(agent_args *a)
{
    json_t *plan, *runs, *r, *item;
    size_t i, other = 0, played = 0;
    auk_err err;

    a->tier = "easy,medium,hard,extreme";
    int rc = auk_agent_log_read(&plan, &runs, a->common.arg[1], &err);
    if (rc < 0)
        return auk_cli_fail(&err);
    rc = open_sets(a, &err);
    json_array_foreach(runs, i, r)
    {
        const auk_agent_task *t = find_task(a, r);
        bool same = false;
        if (rc < 0)
            break;
        if (t == NULL) {
            rc = auk_fail(&err, AUK_ENOTFOUND,
                          "task '%s' of '%s' is not among the collections: give --collection FILE",
                          auk_cli_text(r, "task"), auk_cli_text(r, "collection"));
            break;
        }
        rc = auk_agent_replay(&same, &item, t, r, &err);
        if (rc < 0)
            break;
        played++;
        other += !same;
        if (!same)
            printf("%s run %lld: %s then, %s now\n", auk_cli_text(r, "task"), auk_cli_int(r, "run"),
                   auk_cli_text(r, "class"), auk_cli_text(item, "class"));
        json_decref(item);
    }
    close_sets(a);
    json_decref(plan);
    json_decref(runs);
    if (rc < 0)
        return auk_cli_fail(&err);
    printf("%zu runs played again, %zu end differently\n", played, other);
    return other > 0 ? 3 : 0;
}

/* ---- the command --------------------------------------------------------------------------- */

static int run(const auk_cmd *self, int argc, char **argv)
{
    agent_args a = {
        .ledger = AUK_RECORD_ARGS_INIT, .seed = 1, .think = true, .top_p = -1, .turn_timeout = 180};

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    const char *first = a.common.arg[0];
    bool verb =
        strcmp(first, "check") == 0 || strcmp(first, "show") == 0 || strcmp(first, "replay") == 0;
    if (verb && a.common.n_args < 2)
        return auk_cli_usage(self, "agent %s needs a FILE", first);
    if (!verb && a.common.n_args > 1)
        return auk_cli_usage(self, "one MODEL, or check FILE, show FILE, replay FILE");
    if (a.k < 0 || a.max_tokens < 0 || a.ctx < 0 || a.turn_timeout <= 0)
        return auk_cli_usage(self, "--k, --max-tokens, --ctx and --turn-timeout are positive");
    if (a.resume && a.output == NULL)
        return auk_cli_usage(self, "--resume needs the file to go on with: -o FILE.jsonl");
    if (a.require_ready && a.profile == NULL)
        return auk_cli_usage(self, "--require-ready needs --profile");
    if (strcmp(first, "check") == 0)
        return check(&a);
    if (strcmp(first, "show") == 0)
        return show(&a);
    if (strcmp(first, "replay") == 0)
        return replay(&a);
    return evaluate(&a, argc, argv);
}

const auk_cmd auk_cmd_agent = {
    .name = "agent",
    .run = run,
    .usage = "agent MODEL [options] | check FILE | show FILE [TASK [RUN]] | replay FILE",
    .summary = "can a model be left alone with tools? Pass^k, failures and a verdict",
    .examples = "  auklet agent north-4bit --tier easy,medium -o runs.jsonl\n"
                "  auklet agent ollama:http://localhost:11434/qwen3 --profile coding-agent\n"
                "  auklet agent check my-tasks.json\n"
                "  auklet agent show runs.jsonl es_refund 0\n",
    .options = options,
    .min_args = 1,
    .max_args = 4,
};
