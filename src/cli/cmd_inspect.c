/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: how does it feel?  Timed answers of one target, or of two in turn. */
#include "cli/headline.h"
#include "cli/machine.h"
#include "cli/target.h"

#include "base/mem.h"
#include "diagnose/diagnose.h"
#include "stats/stats.h"

#include <math.h>
#include <stdarg.h>

#define BAR 48

typedef struct inspect_args {
    auk_common common;
    auk_record_args ledger;
    int prompt_tok, gen_tok, repeat, ctx;
    uint64_t seed;
    bool cold, prefix;
    const char *against;
    auk_meter meter;
    auk_cli_record *rec;
    json_t *items;
} inspect_args;

static const auk_opt options[] = {
    {"prompt-tokens", AUK_OPT_INT, offsetof(inspect_args, prompt_tok), "N",
     "of each prompt (default 512)"},
    {"gen-tokens", AUK_OPT_INT, offsetof(inspect_args, gen_tok), "N",
     "longest answer (default 128)"},
    {"repeat", AUK_OPT_INT, offsetof(inspect_args, repeat), "N",
     "measured runs (default 3; 5 of each target with --against)"},
    {"cold", AUK_OPT_FLAG, offsetof(inspect_args, cold), NULL,
     "have the model loaded anew before each run"},
    {"prefix", AUK_OPT_FLAG, offsetof(inspect_args, prefix), NULL,
     "ask once more with the same beginning, to see what is kept (default)"},
    {"against", AUK_OPT_STR, offsetof(inspect_args, against), "MODEL",
     "a second target, in turn with the first: A B B A"},
    {"seed", AUK_OPT_U64, offsetof(inspect_args, seed), "N", "of the prompt's text (default 1)"},
    {"ctx", AUK_OPT_INT, offsetof(inspect_args, ctx), "N", "the window of a folder or of Ollama"},
    AUK_RECORD_OPTIONS(inspect_args, ledger),
    {0},
};

static int on_item(void *ctx, const json_t *item, auk_err *err)
{
    inspect_args *a = ctx;

    (void)err;
    json_array_append_new(a->items, json_incref((json_t *)(uintptr_t)item));
    auk_cli_record_item(a->rec, json_incref((json_t *)(uintptr_t)item));
    return AUK_OK;
}

static void on_note(void *ctx, const char *line)
{
    inspect_args *a = ctx;

    auk_meter_clear(&a->meter);
    if (!a->common.quiet)
        fprintf(stderr, "auklet: %s\n", line);
}

static bool on_progress(void *ctx, const char *what, const char *unit, uint64_t done,
                        uint64_t total)
{
    inspect_args *a = ctx;
    return auk_meter_step(&a->meter, what, unit, done, total);
}

static bool on_cancelled(void *ctx)
{
    (void)ctx;
    return auk_cli_interrupted();
}

/* ---- regression --------------------------------------------------------------------------- */

static bool same(const json_t *x, const json_t *y, const char *path)
{
    const json_t *a = auk_record_at(x, path), *b = auk_record_at(y, path);
    return a == NULL ? b == NULL : b != NULL && json_equal(a, b);
}

/* The same weights, prompt, sampling, build and machine.  A server that gives no digest is known
 * by its address and version. */
static bool comparable(const json_t *x, const json_t *y)
{
    static const char *const paths[] = {
        "model.fingerprint", "model.path",  "server",      "headline.prompt_sha256",
        "sampling",          "code.commit", "machine.cpu", "machine.processors",
        "headline.rule"};
    bool by_digest = json_is_string(auk_record_at(x, "model.fingerprint"));

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (!(by_digest && i == 1) && !same(x, y, paths[i]))
            return false;
    return true;
}

static int compare(json_t **out, const auk_entry *e, size_t n, const char *id, auk_err *err)
{
    const json_t *mine = NULL, *runs;
    double *earlier = auk_alloc((n + 1) * sizeof *earlier), *now;
    auk_regression r;
    size_t m = 0, k = 0;

    for (size_t i = 0; i < n; i++)
        if (strcmp(e[i].id, id) == 0)
            mine = e[i].head;
    for (size_t i = 0; i < n && mine != NULL; i++) {
        double rate = auk_cli_real(e[i].head, "headline.decode_tok_s");
        if (e[i].head != mine && isfinite(rate) && comparable(mine, e[i].head))
            earlier[m++] = rate;
    }
    runs = auk_record_at(mine, "headline.decode_tok_s_runs");
    now = auk_alloc((json_array_size(runs) + 1) * sizeof *now);
    for (; k < json_array_size(runs); k++)
        now[k] = json_number_value(json_array_get(runs, k));
    int rc = auk_latency_regression(&r, earlier, m, now, k, 1, err);
    if (rc == AUK_OK)
        *out = json_pack("{s:I, s:i, s:b, s:b, s:o, s:o, s:o, s:o}", "earlier_runs", (json_int_t)m,
                         "needed", AUK_REGRESSION_RUNS, "enough", r.enough, "slower", r.slower,
                         "median_tok_s", auk_json_real(r.median_earlier), "change",
                         auk_json_real(r.change), "lo", auk_json_real(r.lo), "hi",
                         auk_json_real(r.hi));
    free(earlier);
    free(now);
    return rc;
}

/* NULL where this run is in no ledger. */
static json_t *regression(const inspect_args *a, const char *id)
{
    auk_entry *entries = NULL;
    auk_ledger *l = NULL;
    json_t *out = NULL;
    size_t n = 0;
    auk_err err;

    if (id == NULL)
        return NULL;
    int rc = auk_cli_ledger_open(&l, a->ledger.db, false, &err);
    if (rc == AUK_OK)
        rc = auk_ledger_list(&entries, &n, l, "inspect", NULL, &err);
    if (rc == AUK_OK)
        rc = compare(&out, entries, n, id, &err);
    if (rc < 0)
        fprintf(stderr, "auklet: earlier runs: %s\n", err.msg);
    auk_entries_free(entries, n);
    auk_ledger_close(l);
    return out;
}

/* ---- text --------------------------------------------------------------------------------- */

static void line(const char *name, const char *fmt, ...) AUK_PRINTF(2, 3);
static void line(const char *name, const char *fmt, ...)
{
    va_list args;

    printf("  %-22s ", name);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

static const char *count(char out[32], double v)
{
    return auk_cli_number(out, v, 0);
}

static void print_memory(const json_t *v)
{
    const json_t *m = json_object_get(v, "memory");
    double weights = auk_cli_real(m, "weights_bytes"), fits = auk_cli_real(m, "fits_tokens");
    char a[32], b[32], c[32], d[32];

    if (!isfinite(weights)) {
        double model = auk_cli_real(m, "model_bytes");
        if (isfinite(model))
            auk_bytes_print(a, sizeof a, (uint64_t)model);
        line("memory", "%s; %s", isfinite(model) ? a : "n/a", auk_cli_text(m, "why"));
        return;
    }
    auk_bytes_print(a, sizeof a, (uint64_t)weights);
    auk_bytes_print(b, sizeof b, (uint64_t)auk_cli_real(m, "session_bytes"));
    line("memory", "weights %s, a session of %s tokens %s", a,
         count(c, auk_cli_real(m, "context_tokens")), b);
    auk_bytes_print(a, sizeof a, (uint64_t)auk_cli_real(m, "ceiling_peak_bytes"));
    count(c, auk_cli_real(m, "ceiling_tokens"));
    if (isfinite(fits))
        auk_bytes_print(d, sizeof d, (uint64_t)auk_cli_real(m, "available_bytes"));
    line("at the ceiling", "~%s at %s tokens, %s%s free", a, c, isfinite(fits) ? "of " : "",
         isfinite(fits) ? d : "n/a");
    if (json_is_null(json_object_get(m, "out_of_memory_tokens")))
        line("out of memory", "%s", isfinite(fits) ? "~never: the largest context fits" : "n/a");
    else
        line("out of memory", "~beyond %s tokens", count(b, fits));
}

static void print_waterfall(const json_t *v)
{
    const json_t *parts = json_object_get(v, "waterfall"), *p;
    double all = 0, at = 0;
    size_t i;

    json_array_foreach(parts, i, p) all += auk_cli_real(p, "ms");
    if (!(all > 0))
        return;
    printf("\n  waterfall of %.1f ms\n", all);
    json_array_foreach(parts, i, p)
    {
        double ms = auk_cli_real(p, "ms");
        int from = (int)(at / all * BAR + 0.5), to = (int)((at + ms) / all * BAR + 0.5);
        printf("    %-27s %10.1f ms  ", auk_cli_text(p, "phase"), ms);
        for (int k = 0; k < BAR; k++)
            putchar(k >= from && k < (to > from ? to : from + 1) ? '#' : '.');
        printf("\n");
        at += ms;
    }
}

static void print_histogram(const json_t *v)
{
    const json_t *counts = auk_record_at(v, "histogram.counts"), *c;
    double width = auk_cli_real(v, "histogram.width_ms"), most = 0;
    size_t i;

    json_array_foreach(counts, i, c) most = fmax(most, json_number_value(c));
    if (!(most > 0))
        return;
    printf("\n  gaps between %ss\n",
           strcmp(auk_cli_text(v, "resolution"), "chunk") == 0 ? "piece" : "token");
    json_array_foreach(counts, i, c)
    {
        double n = json_number_value(c);
        printf("    %8.2f to %8.2f ms  %6.0f  ", width * (double)i, width * (double)(i + 1), n);
        for (int k = 0; k < (int)ceil(n / most * BAR); k++)
            putchar('#');
        printf("\n");
    }
}

static void print_spikes(const json_t *v)
{
    const json_t *spikes = json_object_get(v, "spikes"), *s;
    size_t i;

    if (auk_cli_int(v, "n_spikes") == 0) {
        line("spikes", "%s", auk_cli_int(v, "gaps.n") > 0 ? "none" : "n/a");
        return;
    }
    line("spikes", "%lld", auk_cli_int(v, "n_spikes"));
    json_array_foreach(spikes, i, s)
    {
        if (i == 10) {
            printf("    ... and %zu more\n", json_array_size(spikes) - i);
            break;
        }
        const char *cause = json_string_value(json_object_get(s, "cause"));
        printf("    run %lld, at %.1f ms: %.2f ms (median %.2f): %s\n", auk_cli_int(s, "run"),
               auk_cli_real(s, "at_ms"), auk_cli_real(s, "gap_ms"), auk_cli_real(s, "median_ms"),
               cause != NULL ? cause : "cause unknown, the server tells no events");
    }
}

static const char *flag(const json_t *v, const char *key, const char *yes, const char *no)
{
    const json_t *f = json_object_get(v, key);
    return json_is_true(f) ? yes : json_is_false(f) ? no : "";
}

static void print_target(const json_t *v)
{
    char a[32], b[32], c[32], d[32], e[32];
    const json_t *prefix = json_object_get(v, "prefix");

    printf("%s: %s%s%s, window %s tokens, %lld runs\n", auk_cli_text(v, "dialect"),
           auk_cli_text(v, "server"), *auk_cli_text(v, "model") ? ", " : "",
           auk_cli_text(v, "model"), count(a, auk_cli_real(v, "context_tokens")),
           auk_cli_int(v, "runs"));
    line("load", "%s ms%s", auk_cli_number(a, auk_cli_real(v, "load_ms"), 1),
         flag(v, "cold", " (cold)", " (warm)"));
    line("prefill", "%s tokens computed, %s cached: %s ms, %s tok/s",
         count(a, auk_cli_real(v, "computed_tokens")), count(b, auk_cli_real(v, "cached_tokens")),
         auk_cli_number(c, auk_cli_real(v, "prefill_ms"), 1),
         auk_cli_number(d, auk_cli_real(v, "prefill_tok_s"), 1));
    line("first token", "%s ms%s", auk_cli_number(a, auk_cli_real(v, "ttft_ms"), 1),
         flag(v, "counters_inconsistent", "; counters inconsistent: parts exceed the whole", ""));
    line("first reasoning token", "%s ms",
         auk_cli_number(a, auk_cli_real(v, "first_reasoning_token_ms"), 1));
    line("first visible token", "%s ms",
         auk_cli_number(a, auk_cli_real(v, "first_visible_token_ms"), 1));
    line(strcmp(auk_cli_text(v, "resolution"), "chunk") == 0 ? "between pieces" : "between tokens",
         "median %s, p90 %s, p99 %s, max %s ms (%lld gaps)",
         auk_cli_number(a, auk_cli_real(v, "gaps.p50_ms"), 2),
         auk_cli_number(b, auk_cli_real(v, "gaps.p90_ms"), 2),
         auk_cli_number(c, auk_cli_real(v, "gaps.p99_ms"), 2),
         auk_cli_number(d, auk_cli_real(v, "gaps.max_ms"), 2), auk_cli_int(v, "gaps.n"));
    line("tokens per second", "client %s, %s %s%s",
         auk_cli_number(a, auk_cli_real(v, "decode_tok_s"), 2),
         strcmp(auk_cli_text(v, "dialect"), "engine") == 0 ? "engine" : "server",
         auk_cli_number(b, auk_cli_real(v, "server_tok_s"), 2),
         flag(v, "rates_disagree", "; THEY DIFFER BY MORE THAN 5 %", ""));
    line("tokens", "prompt %s, answer %s, of it reasoning %s, pieces %s",
         count(a, auk_cli_real(v, "prompt_tokens")), count(b, auk_cli_real(v, "completion_tokens")),
         count(c, auk_cli_real(v, "reasoning_tokens")), count(d, auk_cli_real(v, "pieces")));
    if (json_is_object(prefix))
        line("prefix kept", "%s of %s tokens (ratio %s), then first token in %s ms",
             count(a, auk_cli_real(prefix, "cached_tokens")),
             count(b,
                   auk_cli_real(prefix, "cached_tokens") + auk_cli_real(prefix, "computed_tokens")),
             auk_cli_number(d, auk_cli_real(prefix, "ratio"), 3),
             auk_cli_number(e, auk_cli_real(prefix, "ttft_ms"), 1));
    print_memory(v);
    print_spikes(v);
    print_waterfall(v);
    print_histogram(v);
}

static void print_versus(const json_t *list)
{
    const json_t *v;
    size_t i;

    printf("\nA against B, in turn, warm-up left out; B to A with 95 %% interval\n");
    json_array_foreach(list, i, v) printf(
        "  %-14s A %10.2f [%.2f, %.2f]  B %10.2f [%.2f, %.2f]  %+6.1f %% [%+.1f, %+.1f]  %s\n",
        auk_cli_text(v, "metric"), auk_cli_real(v, "a.median"), auk_cli_real(v, "a.q1"),
        auk_cli_real(v, "a.q3"), auk_cli_real(v, "b.median"), auk_cli_real(v, "b.q1"),
        auk_cli_real(v, "b.q3"), 100 * auk_cli_real(v, "change"), 100 * auk_cli_real(v, "lo"),
        100 * auk_cli_real(v, "hi"),
        json_is_true(json_object_get(v, "differ")) ? "they differ"
        : auk_cli_int(v, "a.n") < 5                ? "too few runs to tell (5 of each)"
                                                   : "no difference shown");
}

static void print_regression(const json_t *r)
{
    if (r == NULL)
        return;
    if (!json_is_true(json_object_get(r, "enough")))
        line("regression", "%lld earlier runs like this one, %lld needed",
             auk_cli_int(r, "earlier_runs"), auk_cli_int(r, "needed"));
    else
        line("regression",
             "%+.1f %% [%+.1f, %+.1f] against %lld earlier runs (median %.2f tok/s)%s",
             100 * auk_cli_real(r, "change"), 100 * auk_cli_real(r, "lo"),
             100 * auk_cli_real(r, "hi"), auk_cli_int(r, "earlier_runs"),
             auk_cli_real(r, "median_tok_s"),
             json_is_true(json_object_get(r, "slower")) ? ": SLOWER" : "");
}

static void print_text(const json_t *v, const json_t *against_earlier)
{
    const json_t *other = json_object_get(v, "against"), *w;
    size_t i;

    print_target(v);
    print_regression(against_earlier);
    if (other != NULL) {
        printf("\n");
        print_target(other);
        print_versus(json_object_get(v, "versus"));
    }
    json_array_foreach(json_object_get(v, "warnings"), i, w)
        printf("%s  ! %s\n", i == 0 ? "\n" : "", json_string_value(w));
}

/* ---- the command -------------------------------------------------------------------------- */

static int finish(inspect_args *a)
{
    json_t *v = NULL, *id, *earlier;
    auk_err err;

    auk_cli_record_put(a->rec, &a->common);
    if (auk_cli_headline(&v, "inspect", a->items, &err) < 0)
        return auk_cli_fail(&err);
    id = auk_cli_record_id(a->rec);
    earlier = regression(a, json_string_value(id));
    if (a->common.json) {
        json_t *out = json_pack("{s:s, s:o}", "schema", "auklet.inspect/1", "ledger_id", id);
        json_object_update(out, v);
        json_object_set(out, "regression", earlier != NULL ? earlier : json_null());
        auk_cli_print_json(out);
    } else {
        print_text(v, earlier);
        json_decref(id);
    }
    json_decref(earlier);
    json_decref(v);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int inspect(inspect_args *a, auk_cli_target t[2], int argc, char **argv, auk_err *err)
{
    auk_inspect_options o = auk_inspect_defaults();
    const char *model = a->common.arg[0];

    o.available_bytes = auk_machine_available(); /* before the model takes its share */
    int rc = auk_cli_target_open(&t[0], model, a->ctx, &a->common, err);
    if (rc == AUK_OK && a->against != NULL)
        rc = auk_cli_target_open(&t[1], a->against, a->ctx, &a->common, err);
    if (rc < 0)
        return rc;
    o.prompt_tok = a->prompt_tok;
    o.gen_tok = a->gen_tok;
    o.repeat = a->repeat > 0 ? a->repeat : a->against != NULL ? 5 : 3;
    o.cold = a->cold;
    o.prefix = a->prefix;
    o.seed = a->seed;
    o.folder = t[0].folder;
    o.against = t[1].client;
    o.against_folder = t[1].folder;
    o.watch = (auk_watch){on_item, on_note, on_progress, on_cancelled, a};
    a->rec = auk_cli_record_new("inspect", &a->ledger, argc, argv);
    auk_cli_target_record(a->rec, "model", &t[0], model);
    if (a->against != NULL)
        auk_cli_target_record(a->rec, "baseline", &t[1], a->against);
    auk_cli_record_set(a->rec, "seed", json_integer((json_int_t)a->seed));
    auk_cli_record_set(a->rec, "sampling",
                       json_pack("{s:i, s:i, s:i, s:b}", "temperature", 0, "prompt_tokens",
                                 o.prompt_tok, "gen_tokens", o.gen_tok, "cold", o.cold));
    return auk_inspect(t[0].client, &o, err);
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    inspect_args a = {.ledger = AUK_RECORD_ARGS_INIT,
                      .prompt_tok = 512,
                      .gen_tok = 128,
                      .seed = 1,
                      .prefix = true};
    auk_cli_target t[2] = {{0}, {0}};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.prompt_tok < 1 || a.gen_tok < 1 || a.repeat < 0 || a.ctx < 0)
        return auk_cli_usage(self,
                             "--prompt-tokens, --gen-tokens, --repeat and --ctx are positive");
    if (a.prompt_tok > 10000000 || a.gen_tok > 1000000 || a.repeat > 10000)
        return auk_cli_usage(self, "more than 10,000,000 and 1,000,000 tokens or 10,000 runs");
    auk_cli_catch_interrupt();
    auk_meter_init(&a.meter, &a.common);
    a.items = json_array();
    int rc = inspect(&a, t, argc, argv, &err);
    auk_meter_clear(&a.meter);
    status = rc < 0 ? auk_cli_fail(&err) : finish(&a);
    json_decref(a.items);
    auk_cli_target_close(&t[1]);
    auk_cli_target_close(&t[0]);
    return auk_cli_record_end(a.rec, status);
}

const auk_cmd auk_cmd_inspect = {
    .name = "inspect",
    .run = run,
    .usage = "inspect MODEL [options]",
    .summary = "how an answer feels: times to its tokens, gaps, memory",
    .examples = "  auklet inspect north-4bit\n"
                "  auklet inspect ollama:http://localhost:11434/qwen3 --cold\n"
                "  auklet inspect north-4bit --against openai:http://localhost:8080/v1/m\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
