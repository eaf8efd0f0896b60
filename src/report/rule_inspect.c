/* SPDX-License-Identifier: Apache-2.0 */
/* What the runs of an inspection say: medians over runs, gaps and spikes of all of them. */
#include "report/rows.h"

#include "base/mem.h"

#include <math.h>

#define MOST_SPIKES 200 /* that are listed */

typedef struct series {
    double *p; /* owned */
    size_t n;
} series;

static void add(series *s, double x)
{
    if (!isfinite(x))
        return;
    if ((s->n & (s->n - 1)) == 0)
        s->p = auk_realloc(s->p, (s->n > 0 ? 2 * s->n : 1) * sizeof *s->p);
    s->p[s->n++] = x;
}

/* Leaves the order as it is. */
static double median(const series *s)
{
    if (s->n == 0)
        return NAN;
    double *x = auk_alloc(s->n * sizeof *x);
    memcpy(x, s->p, s->n * sizeof *x);
    double m = auk_stats_quantile(x, s->n, 0.5);
    free(x);
    return m;
}

static double number(const json_t *v, const char *key)
{
    const json_t *x = json_object_get(v, key);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static const char *text(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s != NULL ? s : "";
}

static void set_real(json_t *out, const char *key, double v)
{
    json_object_set_new(out, key, auk_rows_real(v));
}

static void set_count(json_t *out, const char *key, double v)
{
    json_object_set_new(out, key, isfinite(v) ? json_integer((json_int_t)(v + 0.5)) : json_null());
}

/* true, false, or null where no run could tell. */
static void set_flag(json_t *out, const char *key, size_t yes, size_t known)
{
    json_object_set_new(out, key, known > 0 ? json_boolean(yes > 0) : json_null());
}

/* ---- one target --------------------------------------------------------------------------- */

enum {
    TTFT,
    REASONING,
    VISIBLE,
    LOAD,
    PREFILL,
    REMAINDER,
    PREFILL_RATE,
    RATE,
    SERVER_RATE,
    PROMPT,
    CACHED,
    COMPLETION,
    REASONED,
    TICKS,
    TOTAL,
    GAPS,
    RSS,
    N_SERIES
};

typedef struct view {
    series of[N_SERIES];
    json_t *spikes; /* owned */
    size_t runs, failed, n_spikes, disagree, disagree_known, inconsistent, split_known, uneven;
    const json_t *first; /* run */
    bool is_chunk, ours;
} view;

static auk_str events_at(auk_buf *out, const json_t *run, size_t tick)
{
    const json_t *list = json_object_get(run, "events"), *e;
    size_t i;

    auk_buf_clear(out);
    json_array_foreach(list, i,
                       e) if (json_integer_value(json_object_get(e, "tick")) == (json_int_t)tick)
        auk_buf_printf(out, "%s%s", out->n > 0 ? "; " : "", text(e, "what"));
    return auk_buf_str(out);
}

/* Our engine lives in the process that was watched: what did not happen there did not happen. */
static json_t *cause_of(auk_buf *scratch, const view *v, const json_t *run, size_t tick)
{
    auk_str what = events_at(scratch, run, tick);

    if (what.n > 0)
        return v->ours ? json_stringn(what.p, what.n)
                       : json_sprintf("here, not on the server: %.*s", AUK_ARG(what));
    return v->ours ? json_string("no engine event") : json_null();
}

static int take_gaps(view *v, const json_t *run, auk_err *err)
{
    const json_t *stamps = json_object_get(run, "stamps_ns");
    size_t n = json_array_size(stamps);
    auk_buf scratch = AUK_BUF_INIT(1 << 16);
    double *gap = NULL;
    auk_gaps g;

    if (n < 2)
        return AUK_OK;
    int rc = auk_try_alloc(&gap, n, sizeof *gap, err);
    for (size_t i = 1; i < n && rc == AUK_OK; i++) {
        gap[i - 1] = (json_number_value(json_array_get(stamps, i)) -
                      json_number_value(json_array_get(stamps, i - 1))) /
                     1e6;
        add(&v->of[GAPS], gap[i - 1]);
    }
    if (rc == AUK_OK)
        rc = auk_latency_gaps(&g, gap, n - 1, err);
    for (size_t i = 0; i + 1 < n && rc == AUK_OK; i++) {
        if (!auk_gap_is_spike(&g, gap[i]) || v->n_spikes++ >= MOST_SPIKES)
            continue;
        json_array_append_new(
            v->spikes,
            json_pack("{s:O, s:f, s:f, s:f, s:o}", "run", json_object_get(run, "run"), "at_ms",
                      json_number_value(json_array_get(stamps, i + 1)) / 1e6, "gap_ms", gap[i],
                      "median_ms", g.p50, "cause", cause_of(&scratch, v, run, i + 1)));
    }
    auk_buf_release(&scratch);
    free(gap);
    return rc;
}

/* Tokens of the timeline: what came, unless the server counted another number; the end of turn
 * that is counted and not sent is no difference. */
static double tokens_of(view *v, const json_t *run, double ticks)
{
    double said = number(run, "completion_tokens");

    if (!isfinite(said) || fabs(said - ticks) <= 1)
        return ticks;
    v->uneven++;
    return said;
}

static void take_parts(view *v, const json_t *run)
{
    double ttft = number(run, "ttft_ns") / 1e6, load = number(run, "load_ns") / 1e6;
    double prefill = number(run, "prefill_ns") / 1e6;
    double cached = number(run, "cached_tokens"), prompt = number(run, "prompt_tokens");
    bool inside = json_is_true(json_object_get(run, "load_in_ttft"));

    add(&v->of[TTFT], ttft);
    add(&v->of[REASONING], number(run, "first_reasoning_ns") / 1e6);
    add(&v->of[VISIBLE], number(run, "first_visible_ns") / 1e6);
    add(&v->of[LOAD], load);
    add(&v->of[PREFILL], prefill);
    add(&v->of[PROMPT], prompt);
    add(&v->of[CACHED], cached);
    add(&v->of[COMPLETION], number(run, "completion_tokens"));
    add(&v->of[REASONED], number(run, "reasoning_tokens"));
    add(&v->of[RSS], number(run, "rss_bytes"));
    add(&v->of[PREFILL_RATE],
        auk_latency_per_second(prompt - (isfinite(cached) ? cached : 0), prefill * 1e6));
    if (isfinite(ttft) && (isfinite(prefill) || (inside && isfinite(load)))) {
        auk_ttft_split s = auk_latency_split(ttft, inside ? load : NAN, prefill);
        add(&v->of[REMAINDER], s.remainder);
        v->inconsistent += s.inconsistent;
        v->split_known++;
    }
}

static int take_run(view *v, const json_t *run, auk_err *err)
{
    const json_t *stamps = json_object_get(run, "stamps_ns");
    size_t n = json_array_size(stamps);

    v->runs++;
    if (json_is_string(json_object_get(run, "failure"))) {
        v->failed++;
        return AUK_OK;
    }
    if (v->first == NULL)
        v->first = run;
    take_parts(v, run);
    double first = n > 0 ? json_number_value(json_array_get(stamps, 0)) : NAN;
    double last = n > 0 ? json_number_value(json_array_get(stamps, n - 1)) : NAN;
    double rate = auk_latency_rate(tokens_of(v, run, (double)n), last - first);
    double server =
        auk_latency_per_second(number(run, "completion_tokens"), number(run, "decode_ns"));
    add(&v->of[TICKS], (double)n);
    add(&v->of[TOTAL], last / 1e6);
    add(&v->of[RATE], rate);
    add(&v->of[SERVER_RATE], server);
    v->disagree += auk_latency_disagree(rate, server);
    v->disagree_known += isfinite(rate) && isfinite(server);
    return take_gaps(v, run, err);
}

static int gaps_json(json_t *out, const view *v, auk_err *err)
{
    const series *s = &v->of[GAPS];
    uint64_t count[AUK_HISTOGRAM_BINS];
    json_t *bins = json_array();
    size_t n;
    auk_gaps g;

    int rc = auk_latency_gaps(&g, s->p, s->n, err);
    auk_latency_histogram(count, &n, s->p, s->n, AUK_HISTOGRAM_BINS);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(bins, json_integer((json_int_t)count[i]));
    if (rc == AUK_OK) {
        json_object_set_new(out, "gaps",
                            json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "n", (json_int_t)s->n,
                                      "p50_ms", auk_rows_real(g.p50), "p90_ms",
                                      auk_rows_real(g.p90), "p99_ms", auk_rows_real(g.p99),
                                      "max_ms", auk_rows_real(g.max), "mad_ms",
                                      auk_rows_real(g.mad)));
        json_object_set_new(out, "histogram",
                            json_pack("{s:o, s:O}", "width_ms",
                                      auk_rows_real(n > 0 ? g.max / (double)n : NAN), "counts",
                                      bins));
    }
    json_decref(bins);
    return rc;
}

/* Phases one after the other, as long as they are known. */
static json_t *waterfall(const view *v)
{
    json_t *list = json_array();
    bool inside = v->first != NULL && json_is_true(json_object_get(v->first, "load_in_ttft"));
    double load = median(&v->of[LOAD]), prefill = median(&v->of[PREFILL]);
    double ttft = median(&v->of[TTFT]), visible = median(&v->of[VISIBLE]);
    double thinking = median(&v->of[REASONING]), total = median(&v->of[TOTAL]);
    const struct {
        const char *name;
        double ms;
    } parts[] = {
        {"load", load},
        {"prefill", prefill},
        {"first step and network", median(&v->of[REMAINDER])},
        {"waiting for the first token",
         isfinite(prefill) || (inside && isfinite(load)) ? NAN : ttft},
        {"reasoning", isfinite(thinking) ? (isfinite(visible) ? visible : total) - ttft : NAN},
        {"answer", isfinite(thinking) ? isfinite(visible) ? total - visible : NAN : total - ttft}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (isfinite(parts[i].ms))
            json_array_append_new(
                list, json_pack("{s:s, s:f}", "phase", parts[i].name, "ms", parts[i].ms));
    return list;
}

static const json_t *find(const auk_rows *rows, const char *item, const char *target)
{
    for (size_t i = 0; i < rows->n; i++)
        if (strcmp(text(rows->p[i], "item"), item) == 0 &&
            strcmp(text(rows->p[i], "target"), target) == 0)
            return rows->p[i];
    return NULL;
}

static json_t *prefix_json(const auk_rows *rows, const char *target)
{
    const json_t *p = find(rows, "prefix", target);
    double cached = number(p, "cached_tokens"), computed = number(p, "computed_tokens");
    json_t *v = json_object();

    if (p == NULL) {
        json_decref(v);
        return json_null();
    }
    set_count(v, "cached_tokens", cached);
    set_count(v, "computed_tokens", computed);
    set_real(v, "ratio", auk_latency_reuse(cached, computed));
    set_real(v, "ttft_ms", number(p, "ttft_ns") / 1e6);
    return v;
}

static json_t *copied(const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);
    return v != NULL ? json_incref(v) : json_null();
}

static void warnings_of(json_t *list, const view *v)
{
    if (v->is_chunk)
        json_array_append_new(
            list, json_string("resolution is chunk: times are those of pieces of the stream"));
    if (v->uneven > 0)
        json_array_append_new(list, json_string("pieces are not tokens: the rate is computed from "
                                                "the server's own count of tokens"));
    if (v->disagree > 0)
        json_array_append_new(list, json_sprintf("client clock and server counter differ by more "
                                                 "than 5 %% in %d of %d runs",
                                                 (int)v->disagree, (int)v->disagree_known));
    if (v->inconsistent > 0)
        json_array_append_new(list, json_sprintf("load and prefill are longer than the time to the "
                                                 "first token in %d of %d runs",
                                                 (int)v->inconsistent, (int)v->split_known));
    if (v->failed > 0)
        json_array_append_new(list,
                              json_sprintf("%d of %d runs failed", (int)v->failed, (int)v->runs));
}

/* Cold runs against warm ones, memory over the runs, and the share of what was free. */
static int over_runs(json_t *out, const auk_rows *rows, const char *target, const view *v,
                     auk_err *err)
{
    double *load = NULL, *ttft = NULL, peak = NAN, free_bytes = NAN;
    size_t n = 0;
    int rc = auk_try_alloc(&load, rows->n + 1, sizeof *load, err);

    if (rc == AUK_OK)
        rc = auk_try_alloc(&ttft, rows->n + 1, sizeof *ttft, err);
    for (size_t i = 0; i < rows->n && rc == AUK_OK; i++) {
        if (strcmp(text(rows->p[i], "item"), "run") != 0 ||
            strcmp(text(rows->p[i], "target"), target) != 0)
            continue;
        load[n] = number(rows->p[i], "load_ns") / 1e6;
        ttft[n++] = number(rows->p[i], "ttft_ns") / 1e6;
    }
    if (rc == AUK_OK) {
        auk_cold_warm c = auk_latency_cold_warm(load, ttft, n);
        auk_leak leak = auk_latency_leak(v->of[RSS].p, v->of[RSS].n);
        const json_t *memory = json_object_get(out, "memory");
        peak = number(memory, "peak_bytes");
        free_bytes = number(memory, "available_bytes");
        json_object_set_new(out, "cold_warm",
                            json_pack("{s:I, s:I, s:o, s:o, s:o}", "cold", (json_int_t)c.cold,
                                      "warm", (json_int_t)c.warm, "ttft_cold_ms",
                                      auk_rows_real(c.cold_ttft), "ttft_warm_ms",
                                      auk_rows_real(c.warm_ttft), "load_delta_ms",
                                      auk_rows_real(c.load_delta)));
        json_object_set_new(out, "leak_suspected",
                            v->of[RSS].n >= 5 ? json_boolean(leak.suspected) : json_null());
        set_real(out, "memory_percent",
                 isfinite(peak) && isfinite(free_bytes)
                     ? auk_memory_share_of(peak, peak, free_bytes).percent
                     : NAN);
    }
    free(load);
    free(ttft);
    return rc;
}

static int target_json(json_t *out, const auk_rows *rows, const char *target, view *v, auk_err *err)
{
    static const struct {
        const char *key;
        int of;
    } times[] = {{"ttft_ms", TTFT},
                 {"first_reasoning_token_ms", REASONING},
                 {"first_visible_token_ms", VISIBLE},
                 {"load_ms", LOAD},
                 {"prefill_ms", PREFILL},
                 {"remainder_ms", REMAINDER},
                 {"total_ms", TOTAL},
                 {"prefill_tok_s", PREFILL_RATE},
                 {"decode_tok_s", RATE},
                 {"server_tok_s", SERVER_RATE}},
      counts[] = {{"prompt_tokens", PROMPT},
                  {"cached_tokens", CACHED},
                  {"completion_tokens", COMPLETION},
                  {"reasoning_tokens", REASONED},
                  {"pieces", TICKS},
                  {"rss_bytes", RSS}};
    const json_t *who = find(rows, "target", target);
    json_t *warnings = json_array();

    v->is_chunk = strcmp(text(who, "resolution"), "chunk") == 0;
    v->ours = who != NULL && !v->is_chunk;
    v->spikes = json_array();
    int rc = AUK_OK;
    for (size_t i = 0; i < rows->n && rc == AUK_OK; i++)
        if (strcmp(text(rows->p[i], "item"), "run") == 0 &&
            strcmp(text(rows->p[i], "target"), target) == 0 &&
            !json_is_true(json_object_get(rows->p[i], "warm_up")))
            rc = take_run(v, rows->p[i], err);
    json_object_set_new(out, "server", copied(who, "server"));
    json_object_set_new(out, "dialect", copied(who, "dialect"));
    json_object_set_new(out, "model", copied(who, "model"));
    json_object_set_new(out, "context_tokens", copied(who, "context_tokens"));
    json_object_set_new(out, "resolution", copied(who, "resolution"));
    json_object_set_new(out, "runs", json_integer((json_int_t)v->runs));
    json_object_set_new(out, "failed", json_integer((json_int_t)v->failed));
    json_object_set_new(out, "cold", copied(v->first, "cold"));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        set_real(out, times[i].key, median(&v->of[times[i].of]));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        set_count(out, counts[i].key, median(&v->of[counts[i].of]));
    set_count(out, "computed_tokens", median(&v->of[PROMPT]) - median(&v->of[CACHED]));
    if (rc == AUK_OK)
        rc = gaps_json(out, v, err);
    json_t *rates = json_array();
    for (size_t i = 0; i < v->of[RATE].n; i++)
        json_array_append_new(rates, json_real(v->of[RATE].p[i]));
    json_object_set_new(out, "decode_tok_s_runs", rates);
    json_object_set_new(out, "spikes", v->spikes);
    json_object_set_new(out, "n_spikes", json_integer((json_int_t)v->n_spikes));
    set_flag(out, "rates_disagree", v->disagree, v->disagree_known);
    set_flag(out, "counters_inconsistent", v->inconsistent, v->split_known);
    json_object_set_new(out, "waterfall", waterfall(v));
    json_object_set_new(out, "prefix", prefix_json(rows, target));
    json_object_set_new(out, "memory", copied(who, "memory"));
    json_object_set_new(out, "prompt_sha256", copied(v->first, "prompt_sha256"));
    warnings_of(warnings, v);
    json_object_set_new(out, "warnings", warnings);
    return rc == AUK_OK ? over_runs(out, rows, target, v, err) : rc;
}

/* ---- two targets -------------------------------------------------------------------------- */

static int versus(json_t *out, const view *a, const view *b, auk_err *err)
{
    static const struct {
        const char *name;
        int of;
    } rows[] = {{"decode_tok_s", RATE}, {"ttft_ms", TTFT}, {"prefill_tok_s", PREFILL_RATE}};
    auk_contest c;
    int rc = AUK_OK;

    for (size_t i = 0; i < 3 && rc == AUK_OK; i++) {
        const series *x = &a->of[rows[i].of], *y = &b->of[rows[i].of];
        if (x->n == 0 || y->n == 0)
            continue;
        rc = auk_latency_contest(&c, x->p, x->n, y->p, y->n, 1, err);
        json_array_append_new(
            out,
            json_pack("{s:s, s:{s:I, s:o, s:o, s:o}, s:{s:I, s:o, s:o, s:o}, s:o, s:o, s:o, s:b}",
                      "metric", rows[i].name, "a", "n", (json_int_t)c.n_a, "median",
                      auk_rows_real(c.a), "q1", auk_rows_real(c.a_lo), "q3", auk_rows_real(c.a_hi),
                      "b", "n", (json_int_t)c.n_b, "median", auk_rows_real(c.b), "q1",
                      auk_rows_real(c.b_lo), "q3", auk_rows_real(c.b_hi), "change",
                      auk_rows_real(c.change), "lo", auk_rows_real(c.lo), "hi", auk_rows_real(c.hi),
                      "differ", c.differ));
    }
    return rc;
}

static void release(view *v)
{
    for (int i = 0; i < N_SERIES; i++)
        free(v->of[i].p);
}

int auk_rule_inspect(json_t *out, const auk_rows *rows, auk_err *err)
{
    view a = {0}, b = {0};
    json_t *said = NULL;

    if (find(rows, "target", "A") == NULL)
        return auk_fail(err, AUK_EFORMAT, "an inspection's items begin with its target");
    int rc = target_json(out, rows, "A", &a, err);
    for (size_t i = 0; i < rows->n; i++)
        if (strcmp(text(rows->p[i], "item"), "warning") == 0)
            json_array_append(json_object_get(out, "warnings"),
                              json_object_get(rows->p[i], "text"));
    if (rc == AUK_OK && find(rows, "target", "B") != NULL) {
        said = json_object();
        rc = target_json(said, rows, "B", &b, err);
        json_object_set_new(out, "against", said);
        said = json_array();
        if (rc == AUK_OK)
            rc = versus(said, &a, &b, err);
        json_object_set_new(out, "versus", said);
    }
    release(&a);
    release(&b);
    return rc;
}
