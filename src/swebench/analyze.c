/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions, traces and the harness's reports side by side: one item per instance, then columns.
 * Columns are counts of their own, not a partition: a looped answer may carry a patch. */
#include "swebench/swebench.h"

#include "base/file.h"
#include "base/mem.h"
#include "stats/stats.h"
#include "swebench/json_lines.h"

#include <dirent.h>
#include <sys/stat.h>

#define MAX_REPORTS 20000 /* files below a folder of reports */

/* What run_instance.log says when no way of applying a patch worked: there is no report then. */
static const char apply_failed[] = ">>>>> Patch Apply Failed";

typedef struct verdicts {
    json_t *one; /* owned: id -> that instance's own report */
    json_t *log; /* owned: id -> true, where the log says that the patch did not apply */
    json_t *run; /* owned: id -> "resolved", "unresolved", "empty", "error", "infra", "open" */
} verdicts;

typedef struct analysis {
    const auk_analysis_options *o;
    json_t *preds;  /* owned: id -> line, in the order of the file */
    json_t *traces; /* owned: id -> line */
    verdicts v;
    auk_instances data;
    bool has_data;
} analysis;

/* ---- predictions and traces --------------------------------------------------------------- */

static int add_pred(void *ctx, size_t number, json_t *row, auk_err *err)
{
    analysis *a = ctx;
    const char *path = a->o->preds, *id = json_string_value(json_object_get(row, "instance_id"));
    const json_t *patch = json_object_get(row, "model_patch");

    if (id == NULL)
        return auk_fail(err, AUK_EFORMAT, "'%s', line %zu: instance_id is not a string", path,
                        number);
    if (patch == NULL || !(json_is_string(patch) || json_is_null(patch)))
        return auk_fail(err, AUK_EFORMAT, "'%s', line %zu: model_patch is not a string", path,
                        number);
    if (!json_is_string(json_object_get(row, "model_name_or_path")))
        return auk_fail(err, AUK_EFORMAT, "'%s', line %zu: model_name_or_path is not a string",
                        path, number);
    if (a->has_data && auk_instances_find(&a->data, id) == NULL) {
        auk_note(&a->o->notes,
                 "'%s', line %zu: '%s' is not in the data set; the official harness would refuse "
                 "the whole file; left out",
                 path, number, id);
        return AUK_OK;
    }
    if (json_object_get(a->preds, id) != NULL)
        auk_note(&a->o->notes, "'%s', line %zu: '%s' is there twice; the later one counts", path,
                 number, id);
    json_object_set(a->preds, id, row);
    return AUK_OK;
}

static int add_trace(void *ctx, size_t number, json_t *row, auk_err *err)
{
    analysis *a = ctx;
    const char *id = json_string_value(json_object_get(row, "instance_id"));

    (void)err;
    if (id == NULL && (number > 1 || json_object_get(row, "schema") == NULL))
        auk_note(&a->o->notes, "a trace's line %zu has no instance_id", number);
    if (id != NULL && json_object_get(a->preds, id) == NULL)
        auk_note(&a->o->notes, "the trace has '%s', the predictions do not; left out", id);
    else if (id != NULL)
        json_object_set(a->traces, id, row);
    return AUK_OK;
}

/* ---- reports ------------------------------------------------------------------------------ */

static bool is_run_report(const json_t *v)
{
    return json_is_array(json_object_get(v, "resolved_ids")) &&
           json_is_array(json_object_get(v, "submitted_ids"));
}

static bool has_patch(const json_t *pred)
{
    return json_string_length(json_object_get(pred, "model_patch")) > 0;
}

static int other_run(const char *path, const char *id, const char *why, auk_err *err)
{
    return auk_fail(err, AUK_EINVAL, "'%s' is a report of another run: '%s' %s", path, id, why);
}

static int add_run_report(analysis *a, const char *path, const json_t *v, auk_err *err)
{
    static const struct {
        const char *key, *word;
    } lists[] = {{"incomplete_ids", "open"},     {"error_ids", "error"},
                 {"empty_patch_ids", "empty"},   {"unresolved_ids", "unresolved"},
                 {"infra_failure_ids", "infra"}, {"resolved_ids", "resolved"}};
    const json_t *submitted = json_object_get(v, "submitted_ids");
    size_t i;
    json_t *id;

    json_array_foreach(submitted, i, id) if (json_is_string(id) &&
                                             json_object_get(a->preds, json_string_value(id)) ==
                                                 NULL) return other_run(path, json_string_value(id),
                                                                        "has no prediction", err);
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        json_array_foreach(json_object_get(v, lists[k].key), i, id)
        {
            const char *name = json_string_value(id);
            const json_t *pred = name != NULL ? json_object_get(a->preds, name) : NULL;
            if (pred == NULL)
                continue; /* the data set's others: not submitted */
            if (strcmp(lists[k].word, "empty") == 0 && has_patch(pred))
                return other_run(path, name, "was scored with an empty patch", err);
            if (strcmp(lists[k].word, "resolved") == 0 && !has_patch(pred))
                return other_run(path, name, "was scored with a patch", err);
            json_object_set_new(a->v.run, name, json_string(lists[k].word));
        }
    return AUK_OK;
}

static int add_report(analysis *a, const char *path, bool must, auk_err *err)
{
    json_t *v = NULL, *one;
    const char *id;
    size_t known = 0;
    auk_err why;

    int rc = auk_json_read(&v, path, &why);
    if (rc < 0) {
        if (must)
            *err = why;
        else
            auk_note(&a->o->notes, "%s", why.msg);
        return must ? rc : AUK_OK;
    }
    if (is_run_report(v)) {
        rc = add_run_report(a, path, v, err);
        json_decref(v);
        return rc;
    }
    json_object_foreach(v, id, one)
    {
        if (!json_is_boolean(json_object_get(one, "resolved")))
            continue;
        known++;
        if (json_object_get(a->preds, id) == NULL)
            auk_note(&a->o->notes, "'%s' is a report on '%s', which has no prediction; left out",
                     path, id);
        else
            json_object_set(a->v.one, id, one);
    }
    json_decref(v);
    if (known == 0 && must)
        return auk_fail(err, AUK_EFORMAT, "'%s' is no report of the official harness", path);
    return AUK_OK;
}

static void read_log(analysis *a, const char *path, const char *folder)
{
    const char *id = strrchr(folder, '/');
    auk_buf text = AUK_BUF_INIT((size_t)64 << 20);
    auk_err ignored;

    id = id != NULL ? id + 1 : folder;
    if (json_object_get(a->preds, id) != NULL && auk_file_read(&text, path, &ignored) == AUK_OK &&
        strstr(auk_buf_str(&text).p, apply_failed) != NULL)
        json_object_set_new(a->v.log, id, json_true());
    auk_buf_release(&text);
}

/* Instances' own reports below a folder, as logs/run_evaluation/RUN/MODEL has them. */
static int add_folder(analysis *a, const char *path, int depth, size_t *files, auk_err *err)
{
    DIR *dir = depth < 8 ? opendir(path) : NULL;
    int rc = AUK_OK;

    if (dir == NULL)
        return depth == 0 ? auk_fail_errno(err, "cannot read the folder '%s'", path) : AUK_OK;
    for (struct dirent *e; rc == AUK_OK && (e = readdir(dir)) != NULL;) {
        char *full = auk_path_join(path, e->d_name);
        if (e->d_name[0] != '.' && auk_file_is_dir(full))
            rc = add_folder(a, full, depth + 1, files, err);
        else if (strcmp(e->d_name, "run_instance.log") == 0)
            read_log(a, full, path);
        else if (auk_str_ends(auk_str_of(e->d_name), ".json") && ++*files <= MAX_REPORTS)
            rc = add_report(a, full, false, err);
        free(full);
    }
    closedir(dir);
    return rc;
}

/* ---- one instance ------------------------------------------------------------------------- */

typedef struct verdict {
    bool scored, resolved, broken, errored;
    int applied; /* -1: not known */
} verdict;

static verdict verdict_of(const analysis *a, const char *id)
{
    const json_t *one = json_object_get(a->v.one, id);
    const char *run = json_string_value(json_object_get(a->v.run, id));
    verdict v = {.applied = -1};

    if (one != NULL) {
        v.scored = true;
        v.resolved = json_is_true(json_object_get(one, "resolved"));
        v.broken = json_is_true(json_object_get(one, "infra_failure"));
        if (json_is_boolean(json_object_get(one, "patch_successfully_applied")))
            v.applied = json_is_true(json_object_get(one, "patch_successfully_applied"));
    }
    if (run != NULL && strcmp(run, "open") != 0 && one == NULL) {
        v.scored = true;
        v.resolved = strcmp(run, "resolved") == 0;
        v.broken = strcmp(run, "infra") == 0;
        v.errored = strcmp(run, "error") == 0;
        if (v.resolved || strcmp(run, "unresolved") == 0)
            v.applied = 1;
    }
    if (one == NULL && json_object_get(a->v.log, id) != NULL) {
        v.scored = true;
        v.applied = 0;
    }
    return v;
}

/* "passed" and "harness_error" are what stats reads; the others say how far it came. */
static const char *status_of(const verdict *v, bool patch, const char *outcome)
{
    if (v->broken)
        return "harness_error";
    if (v->resolved)
        return "passed";
    if (!patch)
        return outcome != NULL && outcome[0] != 0 ? outcome : "patch_empty";
    if (!v->scored)
        return "not_scored";
    if (v->applied == 0)
        return "apply_failed";
    return v->errored ? "error" : "tests_failed";
}

static json_t *copy_of(const json_t *trace, const char *key)
{
    json_t *v = json_object_get(trace, key);
    return v != NULL ? json_incref(v) : json_null();
}

static json_t *make_item(const analysis *a, const char *id, const json_t *pred)
{
    const json_t *t = json_object_get(a->traces, id);
    verdict v = verdict_of(a, id);
    bool patch = has_patch(pred);
    const char *outcome = json_string_value(json_object_get(t, "outcome"));
    json_t *item =
        json_pack("{s:s, s:b, s:s, s:b, s:b, s:b, s:b, s:b}", "task_id", id, "passed",
                  v.resolved && !v.broken, "status", status_of(&v, patch, outcome), "has_patch",
                  patch, "scored", v.scored && !v.broken, "resolved", v.resolved && !v.broken,
                  "truncated", json_is_true(json_object_get(t, "truncated")), "looped",
                  json_is_true(json_object_get(t, "looped")));
    json_object_set_new(item, "patch_applied",
                        v.applied < 0 ? json_null() : json_boolean(v.applied));
    static const char *const copied[] = {
        "outcome", "level", "finish_reason", "exit",  "prompt_tok", "completion_tok",
        "ms",      "steps", "prompt_sha256", "stuck", "thinking",   "answer"};
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (json_object_get(t, copied[i]) != NULL)
            json_object_set_new(item, copied[i], copy_of(t, copied[i]));
    return item;
}

/* ---- columns ------------------------------------------------------------------------------ */

static bool is_true(const json_t *item, const char *key)
{
    return json_is_true(json_object_get(item, key));
}

static bool is_word(const json_t *item, const char *key, const char *word)
{
    const char *s = json_string_value(json_object_get(item, key));
    return s != NULL && strcmp(s, word) == 0;
}

static void add_count(json_t *out, const char *key, json_int_t by)
{
    json_object_set_new(out, key, json_integer(json_integer_value(json_object_get(out, key)) + by));
}

static void count_item(json_t *out, const json_t *item)
{
    static const char *const outcomes[] = {"no_output",   "no_edit_block", "edit_did_not_match",
                                           "patch_empty", "overflow",      "partial"};
    static const char *const statuses[] = {"apply_failed", "tests_failed", "error", "harness_error",
                                           "not_scored"};
    bool traced = json_object_get(item, "outcome") != NULL;

    add_count(out, "answered",
              traced && !is_word(item, "outcome", "no_output") &&
                  !is_word(item, "outcome", "overflow"));
    add_count(out, "truncated", is_true(item, "truncated"));
    add_count(out, "cap_hit", is_true(item, "truncated"));
    add_count(out, "looped", is_true(item, "looped"));
    add_count(out, "has_patch", is_true(item, "has_patch"));
    add_count(out, "patch_applied", is_true(item, "patch_applied"));
    add_count(out, "resolved", is_true(item, "resolved"));
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        add_count(out, outcomes[i],
                  is_word(item, "outcome", outcomes[i]) ||
                      (!traced && is_word(item, "status", outcomes[i])));
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        add_count(out, statuses[i], is_word(item, "status", statuses[i]));
}

static int add_rate(json_t *out, const char *name, uint64_t k, uint64_t n, auk_err *err)
{
    auk_interval i;
    char key[64];

    snprintf(key, sizeof key, "%s_wilson95", name);
    if (n == 0) {
        json_object_set_new(out, name, json_null());
        json_object_set_new(out, key, json_null());
        return AUK_OK;
    }
    int rc = auk_stats_wilson(&i, k, n, 0.95, err);
    if (rc < 0)
        return rc;
    json_object_set_new(out, name, json_real((double)k / (double)n));
    json_object_set_new(out, key, json_pack("[f, f]", i.lo, i.hi));
    return AUK_OK;
}

static double middle(double *x, size_t n)
{
    return auk_stats_quantile(x, n, 0.5);
}

static void add_cost(json_t *out, const json_t *items)
{
    static const char *const keys[] = {"prompt_tok", "completion_tok", "ms"};
    size_t n = json_array_size(items);
    double *x = auk_alloc((n + 1) * sizeof *x);
    json_t *cost = json_object();

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        size_t m = 0;
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            const json_t *v = json_object_get(json_array_get(items, i), keys[k]);
            if (!json_is_number(v))
                continue;
            x[m] = json_number_value(v);
            sum += x[m++];
        }
        json_object_set_new(cost, keys[k],
                            m == 0 ? json_null()
                                   : json_pack("{s:I, s:f, s:f}", "n", (json_int_t)m, "sum", sum,
                                               "median", middle(x, m)));
    }
    json_object_set_new(out, "cost", cost);
    free(x);
}

static json_t *levels_of(const json_t *items)
{
    json_t *levels = json_object();

    for (int l = AUK_EDIT_EXACT; l < AUK_N_EDIT_LEVELS; l++) {
        json_int_t n = 0;
        for (size_t i = 0; i < json_array_size(items); i++)
            n += is_word(json_array_get(items, i), "level", auk_edit_level_name((auk_edit_level)l));
        json_object_set_new(levels, auk_edit_level_name((auk_edit_level)l), json_integer(n));
    }
    return levels;
}

static int summarize(json_t *out, const json_t *items, auk_err *err)
{
    size_t all = json_array_size(items);

    json_object_set_new(out, "instances", json_integer((json_int_t)all));
    for (size_t i = 0; i < all; i++)
        count_item(out, json_array_get(items, i));
    uint64_t broken = (uint64_t)json_integer_value(json_object_get(out, "harness_error")),
             open = (uint64_t)json_integer_value(json_object_get(out, "not_scored")),
             patches = (uint64_t)json_integer_value(json_object_get(out, "has_patch")),
             k = (uint64_t)json_integer_value(json_object_get(out, "resolved")), scored = 0;
    for (size_t i = 0; i < all; i++)
        scored += is_true(json_array_get(items, i), "scored");
    uint64_t n = scored > 0 && open == 0 ? all - broken : 0; /* half a score is none */
    json_object_set_new(out, "n", json_integer((json_int_t)(all - broken)));
    int rc = add_rate(out, "resolved_rate", k, n, err);
    if (rc == AUK_OK)
        rc = add_rate(out, "resolved_given_patch", n > 0 ? k : 0, n > 0 ? patches : 0, err);
    if (rc < 0)
        return rc;
    json_object_set(out, "wilson95", json_object_get(out, "resolved_rate_wilson95"));
    json_object_set_new(out, "conditional_warning",
                        json_string("resolved_given_patch depends on what the model chose to "
                                    "answer: it is not compared between models"));
    json_object_set_new(out, "levels", levels_of(items));
    add_cost(out, items);
    return AUK_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int read_all(analysis *a, auk_err *err)
{
    const auk_analysis_options *o = a->o;
    size_t files = 0;
    int rc = AUK_OK;

    if (o->data != NULL) {
        rc = auk_instances_open(&a->data, o->data, &o->notes, err);
        a->has_data = rc == AUK_OK;
    }
    if (rc == AUK_OK)
        rc = auk_json_lines_read(o->preds, NULL, &o->notes, add_pred, a, err);
    if (rc == AUK_OK && json_object_size(a->preds) == 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' holds no prediction", o->preds);
    for (size_t i = 0; i < o->n_traces && rc == AUK_OK; i++)
        rc = auk_json_lines_read(o->traces[i], NULL, &o->notes, add_trace, a, err);
    for (size_t i = 0; i < o->n_reports && rc == AUK_OK; i++)
        rc = auk_file_is_dir(o->reports[i]) ? add_folder(a, o->reports[i], 0, &files, err)
                                            : add_report(a, o->reports[i], true, err);
    return rc;
}

/* With a subset, its instances count, also those nobody answered. */
static int keep_subset(analysis *a, auk_err *err)
{
    const auk_analysis_options *o = a->o;
    json_t *kept = json_object();
    auk_subset s = {0};

    if (o->subset == NULL || !a->has_data) {
        json_decref(kept);
        return AUK_OK;
    }
    int rc = auk_subset_read(&s, o->subset, NULL, &a->data, &o->notes, err);
    for (size_t i = 0; i < s.n && rc == AUK_OK; i++) {
        json_t *pred = json_object_get(a->preds, s.p[i]->id);
        if (pred == NULL)
            auk_note(&o->notes, "'%s' has no prediction: it counts as unresolved", s.p[i]->id);
        json_object_set(kept, s.p[i]->id, pred != NULL ? pred : json_null());
    }
    if (rc == AUK_OK && json_object_size(a->preds) > 0) {
        json_decref(a->preds);
        a->preds = kept;
    } else {
        json_decref(kept);
    }
    auk_subset_release(&s);
    return rc;
}

int auk_swebench_analyze(json_t **summary, json_t **items, const auk_analysis_options *o,
                         auk_err *err)
{
    analysis a = {.o = o,
                  .preds = json_object(),
                  .traces = json_object(),
                  .v = {.one = json_object(), .log = json_object(), .run = json_object()}};
    const char *id;
    json_t *pred;

    *summary = json_object();
    *items = json_array();
    int rc = read_all(&a, err);
    if (rc == AUK_OK)
        rc = keep_subset(&a, err);
    if (rc == AUK_OK)
        json_object_foreach(a.preds, id, pred)
            json_array_append_new(*items, make_item(&a, id, pred));
    if (rc == AUK_OK && a.has_data)
        json_object_set_new(*summary, "data_sha256", json_string(a.data.sha256));
    if (rc == AUK_OK)
        rc = summarize(*summary, *items, err);
    json_decref(a.preds);
    json_decref(a.traces);
    json_decref(a.v.one);
    json_decref(a.v.log);
    json_decref(a.v.run);
    auk_instances_close(&a.data);
    if (rc < 0) {
        json_decref(*summary);
        json_decref(*items);
        *summary = *items = NULL;
    }
    return rc;
}
