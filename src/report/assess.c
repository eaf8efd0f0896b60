/* SPDX-License-Identifier: Apache-2.0 */
/* The one verdict: may this model be left alone with tools?  Page, exit status and stored record
 * all ask here. */
#include "report/rows.h"

#include <math.h>

#define EPSILON 1e-6 /* 0.79999999 is 0.80 */

static const char *const tiers[] = {"easy", "medium", "hard", "extreme"};
#define N_TIERS 4

typedef struct verdict {
    json_t *blocking, *conditions, *evidence; /* owned by the result */
    const json_t *facts, *profile;
} verdict;

static void say(json_t *list, const char *fmt, ...) AUK_PRINTF(2, 3);
static void say(json_t *list, const char *fmt, ...)
{
    char text[300];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_array_append_new(list, json_string(text));
}

static double real(const json_t *v, const char *key)
{
    const json_t *x = json_object_get(v, key);

    return json_is_number(x) ? json_number_value(x) : NAN;
}

static long long count(const json_t *v, const char *key)
{
    const json_t *x = json_object_get(v, key);

    return json_is_integer(x) ? json_integer_value(x) : 0;
}

static bool wants(const verdict *v, const char *key)
{
    return json_is_true(json_object_get(v->profile, key));
}

static const char *plural(long long n)
{
    return n == 1 ? "" : "s";
}

static int tier_of(const char *name)
{
    for (int i = 0; name != NULL && i < N_TIERS; i++)
        if (strcmp(name, tiers[i]) == 0)
            return i;
    return 0;
}

/* ---- gates --------------------------------------------------------------------------------- */

static void gate_rate(verdict *v)
{
    double rate = real(v->facts, "strict_rate"), least = real(v->profile, "min_pass_k");
    long long tasks = count(v->facts, "tasks");

    if (isnan(rate))
        say(v->blocking, "pass^k not measured (%.2f required, 0 tasks)", least);
    else if (rate < least - EPSILON)
        say(v->blocking, "pass^k %.2f < %.2f required (%lld tasks)", rate, least, tasks);
    else
        say(v->evidence, "pass^k %.2f >= %.2f required (%lld tasks)", rate, least, tasks);
    if (count(v->facts, "incomplete") > 0)
        say(v->blocking, "%lld task%s with unfinished runs of %lld", count(v->facts, "incomplete"),
            plural(count(v->facts, "incomplete")), tasks);
}

static void gate_class(verdict *v, const char *wanted, const char *key, const char *what)
{
    long long n = count(json_object_get(v->facts, "failures"), key);
    long long runs = count(v->facts, "finished");

    if (n > 0 && wants(v, wanted))
        say(v->blocking, "%s on %lld run%s (of %lld, 0 allowed)", what, n, plural(n), runs);
    else if (n > 0)
        say(v->evidence, "%s on %lld run%s (of %lld)", what, n, plural(n), runs);
}

static void gate_memory(verdict *v)
{
    const json_t *fits = json_object_get(v->facts, "fits");

    if (!wants(v, "require_full_vram"))
        return;
    if (json_is_false(fits))
        say(v->blocking, "does not fit: weights are partly offloaded (1 measurement)");
    else if (!json_is_true(fits))
        say(v->conditions, "memory fit not measured (0 measurements)");
    else if (json_is_true(json_object_get(v->facts, "pressure")))
        say(v->conditions, "memory is nearly full (1 measurement)");
}

static void gate_context(verdict *v)
{
    const json_t *cliff = json_object_get(v->facts, "cliff");
    const char *status = json_string_value(json_object_get(cliff, "status"));
    double least = real(v->profile, "min_context_tokens"), at = real(cliff, "tokens");
    long long n = count(cliff, "samples");

    if (isnan(least))
        return;
    if (status == NULL || strcmp(status, "not_probed") == 0)
        say(v->conditions, "context not probed (%.0f tokens needed, 0 samples)", least);
    else if (strcmp(status, "broken") == 0)
        say(v->blocking, "fails at its smallest context (%lld samples)", n);
    else if (strcmp(status, "collapsed") == 0 && at < least)
        say(v->blocking, "reasoning cliff at %.0f < %.0f needed (%lld samples)", at, least, n);
    else if (strcmp(status, "none") == 0 && at < least)
        say(v->blocking, "only probed to %.0f tok < %.0f needed (%lld samples)", at, least, n);
    else
        say(v->evidence, "context holds to %.0f tokens (%.0f needed, %lld samples)", at, least, n);
}

static void gate_effort(verdict *v)
{
    double ms = real(v->facts, "ms_per_step"), most_ms = real(v->profile, "max_ms_per_step");
    double steps = real(v->facts, "avg_steps"), most = real(v->profile, "max_avg_steps");
    long long runs = count(v->facts, "finished");

    if (!isnan(most_ms) && isnan(ms))
        say(v->conditions, "ms per step not measured (%.0f allowed, 0 steps)", most_ms);
    if (ms > most_ms)
        say(v->conditions, "slow: %.0fms/step > %.0fms target (%lld runs)", ms, most_ms, runs);
    if (steps > most)
        say(v->conditions, "inefficient: %.1f avg steps > %.1f max (%lld runs)", steps, most, runs);
}

/* The hardest tier whose strict rate reaches the bar; -1: none. */
static int cleared(const verdict *v)
{
    double least = real(v->profile, "min_pass_k");
    int best = -1;

    for (int i = 0; i < N_TIERS; i++) {
        double rate = real(json_object_get(json_object_get(v->facts, "tiers"), tiers[i]), "rate");
        if (!isnan(rate) && rate >= least - EPSILON)
            best = i;
    }
    return best;
}

static void gate_tier(verdict *v, int best)
{
    int required = tier_of(json_string_value(json_object_get(v->profile, "required_tier")));
    long long tried = 0;

    for (int i = required; i < N_TIERS; i++)
        tried += count(json_object_get(json_object_get(v->facts, "tiers"), tiers[i]), "tasks");
    if (required == 0)
        return;
    if (tried > 0 && best < required)
        say(v->blocking, "cleared %s, %s required (%lld tasks tried)",
            best < 0 ? "none" : tiers[best], tiers[required], tried);
    else if (tried == 0)
        say(v->conditions, "tier %s required and not run (0 tasks)", tiers[required]);
}

json_t *auk_assess(const json_t *facts, const json_t *profile)
{
    verdict v = {json_array(), json_array(), json_array(), facts, profile};

    gate_rate(&v);
    gate_class(&v, "forbid_infinite_loop", "InfiniteLoop", "loops");
    gate_class(&v, "forbid_infinite_loop", "LoopStopped", "repeats its own text");
    gate_class(&v, "forbid_hallucinated_completion", "Hallucinated", "false 'done'");
    gate_class(&v, "forbid_forbidden_call", "ForbiddenCall", "forbidden calls");
    gate_class(&v, "forbid_turn_timeout", "TurnTimeout", "turns out of time");
    gate_class(&v, "forbid_truncated", "Truncated", "cut turns");
    gate_memory(&v);
    gate_context(&v);
    if (wants(&v, "require_native_fc") && !json_is_true(json_object_get(facts, "native")))
        say(v.blocking, "tool calls do not come through the server's own field (%lld runs)",
            count(facts, "finished"));
    int best = cleared(&v);
    gate_tier(&v, best);
    gate_effort(&v);
    if (json_is_true(json_object_get(facts, "same_instance")))
        say(v.conditions, "every run was the same one: a noise floor, not reliability");
    const char *status = json_array_size(v.blocking) > 0     ? "NOT READY"
                         : json_array_size(v.conditions) > 0 ? "CONDITIONAL"
                                                             : "READY";
    const char *name = json_string_value(json_object_get(profile, "name"));
    json_t *out = json_pack("{s:s, s:s, s:o, s:o, s:o}", "status", status, "profile",
                            name != NULL ? name : "", "blocking", v.blocking, "conditions",
                            v.conditions, "evidence", v.evidence);
    json_object_set_new(out, "cleared_tier", best < 0 ? json_null() : json_string(tiers[best]));
    return out;
}
