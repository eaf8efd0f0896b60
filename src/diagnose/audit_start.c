/* SPDX-License-Identifier: Apache-2.0 */
/* Before the audit begins: how long is a token, an answer, and what can be asked? */
#include "diagnose/audit.h"

#include "base/time.h"

#include <inttypes.h>

#define SHORT_ANSWER 256
#define LONG_ANSWER 2048 /* of a model that thinks */
#define UNKNOWN_WINDOW 8192

json_t *auk_audit_known(int64_t v)
{
    return v >= 0 ? json_integer(v) : json_null();
}

size_t auk_audit_curves(const auk_audit_run *a)
{
    return (a->o->kinds & 1) + (a->o->kinds >> 1 & 1);
}

/* ---- before it begins --------------------------------------------------------------------- */

/* Two questions of a sheet nobody has seen: how long is a token, an answer, and is anything
 * shared?  They are no samples. */
static int measure_pace(auk_audit_run *a, auk_err *err)
{
    auk_sheet s = {
        .seed = auk_now_ns(), .kind = AUK_AUDIT_RETRIEVAL, .questions = 5, .sentences = 20};
    int64_t window = a->out->window_tok;
    char why[320];
    auk_reply r[2];
    double first[2], answer = 0;
    int n = 0;
    int rc =
        auk_audit_fit(&s.sentences, a, s, window >= 0 && window < 1400 ? window / 2 : 700, err);

    for (; n < 2 && rc == AUK_OK; n++) {
        rc = auk_audit_ask(a, &r[n], why, &s, n, err);
        if (rc == AUK_OK && r[n].failure.kind != AUK_FAILURE_NONE)
            rc = auk_fail(err, r[n].failure.kind == AUK_FAILURE_NOT_FOUND ? AUK_ENOTFOUND : AUK_EIO,
                          "%s", why);
        uint64_t at = r[n].first_ns > 0 ? r[n].first_ns : r[n].end_ns;
        first[n] = (double)(at - r[n].begun_ns);
        answer = (double)(r[n].end_ns - at);
        if (rc == AUK_OK && n == 0)
            auk_audit_learn(a, &s, 0, &r[0]);
    }
    if (rc == AUK_OK) {
        double tokens = r[0].prompt_tok > 0 ? (double)r[0].prompt_tok : 600;
        a->pace.shares =
            r[1].cached_tok > 0 ? 2 * r[1].cached_tok > r[1].prompt_tok : 2 * first[1] < first[0];
        a->pace.prefill_ns = first[0] / tokens;
        a->pace.suffix_ns = a->pace.shares ? first[1] : first[0];
        a->pace.answer_ns = answer;
        if (a->o->max_tokens == 0 && r[0].thinking.n + r[1].thinking.n > 0)
            a->out->max_tokens = LONG_ANSWER;
    }
    while (n-- > 0)
        auk_reply_release(&r[n]);
    return rc;
}

/* The deepest prompt: R31, never past what the server really has. */
static int find_depth(auk_audit_run *a, int64_t *deepest, int64_t *limit, auk_err *err)
{
    int64_t window = a->out->window_tok, answer = a->out->max_tokens;

    *limit = window - answer;
    if (window >= 0 && a->sizer.tokenizer == NULL) /* sizes are learned: 3 % of room */
        *limit -= *limit / 32;
    if (window < 0) {
        *limit = -1;
        *deepest = a->o->max_depth > 0 ? a->o->max_depth : UNKNOWN_WINDOW;
        auk_audit_note(a,
                       "the server does not say how large its window is: asking down to %" PRId64
                       " tokens; --max-depth sets another depth",
                       *deepest);
        return AUK_OK;
    }
    if (*limit < 256)
        return auk_fail(err, AUK_ELIMIT,
                        "the window of %" PRId64 " tokens has no room for an audit beside an "
                        "answer of %" PRId64,
                        window, answer);
    if (a->o->max_depth > *limit)
        return auk_fail(err, AUK_EINVAL,
                        "a depth of %" PRId64 " does not fit: the window is %" PRId64
                        " tokens, of which the answer takes %" PRId64 "; at most %" PRId64,
                        a->o->max_depth, window, answer, *limit);
    *deepest = a->o->max_depth > 0 ? a->o->max_depth : *limit;
    return AUK_OK;
}

json_t *auk_audit_depths(const int64_t *d, size_t n)
{
    json_t *v = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(v, json_integer(d[i]));
    return v;
}

json_t *auk_audit_plan_item(const auk_audit_run *a)
{
    json_t *kinds = json_array();

    for (unsigned k = 1; k <= 2; k *= 2)
        if (a->o->kinds & k)
            json_array_append_new(kinds, json_string(auk_audit_kind_name((auk_audit_kinds)k)));
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:i, s:I, s:I, s:o, s:o, s:o, s:f, s:b, s:s?}", "schema",
        "auklet.audit-log/1", "item", "plan", "target", a->o->target != NULL ? a->o->target : "",
        "kinds", kinds, "samples", a->o->samples, "seed", (json_int_t)a->o->seed, "max_tokens",
        (json_int_t)a->out->max_tokens, "window_tokens", auk_audit_known(a->out->window_tok),
        "rungs", auk_audit_depths(a->plan.rungs, a->plan.n), "skipped",
        auk_audit_depths(a->plan.skipped, a->plan.n_skipped), "estimate_s", a->plan.seconds,
        "shared_prefix", a->pace.shares, "preset", a->o->preset);
}

/* What a log was begun with must be what is asked for now. */
static int take_plan(auk_audit_run *a, auk_err *err)
{
    static const char *const keys[] = {"target", "kinds", "samples", "seed", "preset"};
    const json_t *h = a->log.header;
    json_t *mine = auk_audit_plan_item(a), *v;
    size_t i;
    int rc = AUK_OK;

    for (i = 0; i < sizeof keys / sizeof *keys && rc == AUK_OK; i++)
        if (!json_equal(json_object_get(h, keys[i]), json_object_get(mine, keys[i])))
            rc = auk_fail(err, AUK_EINVAL, "'%s' was begun with another %s", a->o->log, keys[i]);
    json_decref(mine);
    if (rc < 0)
        return rc;
    a->plan.n = a->plan.n_skipped = 0;
    json_array_foreach(json_object_get(h, "rungs"), i, v) if (a->plan.n < AUK_AUDIT_MAX_RUNGS)
        a->plan.rungs[a->plan.n++] = json_integer_value(v);
    json_array_foreach(json_object_get(h, "skipped"), i,
                       v) if (a->plan.n_skipped < AUK_AUDIT_MAX_RUNGS)
        a->plan.skipped[a->plan.n_skipped++] = json_integer_value(v);
    a->out->max_tokens = json_integer_value(json_object_get(h, "max_tokens"));
    size_t all = a->plan.n * auk_audit_curves(a) * (size_t)a->o->samples;
    double left = 1 - (double)json_object_size(a->log.done) / (double)(all > 0 ? all : 1);
    for (i = 0; i < a->plan.n; i++)
        a->plan.seconds += (left > 0 ? left : 0) * (double)auk_audit_curves(a) *
                           auk_audit_rung_ns(&a->pace, a->plan.rungs[i], a->o->samples) / 1e9;
    if (a->plan.n < 2)
        return auk_fail(err, AUK_EFORMAT, "'%s' has no rungs in its first line", a->o->log);
    return AUK_OK;
}

void auk_audit_say_plan(const auk_audit_run *a)
{
    uint64_t need = 0;
    auk_err err;

    auk_audit_note(a, "%zu depths to %" PRId64 " tokens, %d samples each: about %.0f s%s",
                   a->plan.n, a->plan.rungs[a->plan.n - 1], a->o->samples, a->plan.seconds,
                   a->pace.shares
                       ? "; the server keeps what a sheet's questions share"
                       : "; the server shares no prefix, so each question reads all of its text");
    if (a->plan.n_skipped > 0)
        auk_audit_note(a,
                       "%zu deeper depths, to %" PRId64
                       " tokens, are left out: they do not fit the "
                       "window or the time budget",
                       a->plan.n_skipped, a->plan.skipped[a->plan.n_skipped - 1]);
    if (auk_ladder_samples(&need, a->plan.n - 1, &err) == AUK_OK && need > (uint64_t)a->o->samples)
        auk_audit_note(
            a,
            "with %d samples a drop of 20 points cannot be told from chance: %d at each depth "
            "would do",
            a->o->samples, (int)need);
}

int auk_audit_prepare(auk_audit_run *a, auk_err *err)
{
    int64_t deepest = 0, limit = -1;
    auk_client_info info;

    int rc = auk_client_describe(&info, a->c, err);
    if (rc < 0)
        return rc;
    a->out->window_tok = info.context_tok;
    a->out->max_tokens = a->o->max_tokens > 0 ? a->o->max_tokens : SHORT_ANSWER;
    rc = auk_sizer_open(&a->sizer, a->o->folder, err);
    if (rc == AUK_OK)
        rc = auk_audit_log_open(&a->log, a->o->log, a->o->resume, err);
    if (rc == AUK_OK && a->out->window_tok >= 0 && a->out->max_tokens >= a->out->window_tok)
        rc = auk_fail(err, AUK_ELIMIT,
                      "an answer of %" PRId64 " tokens fills the window of %" PRId64,
                      a->out->max_tokens, a->out->window_tok);
    if (rc == AUK_OK)
        rc = measure_pace(a, err);
    if (rc == AUK_OK && a->log.header != NULL)
        return take_plan(a, err);
    if (rc == AUK_OK)
        rc = find_depth(a, &deepest, &limit, err);
    if (rc < 0)
        return rc;
    auk_audit_plan_make(&a->plan, a->o, deepest, limit, &a->pace);
    if (a->plan.n < 2)
        return auk_fail(err, AUK_ELIMIT,
                        "the window has room for %zu of the depths, two are needed", a->plan.n);
    json_t *plan = auk_audit_plan_item(a);
    rc = auk_audit_log_add(&a->log, plan, err);
    json_decref(plan);
    return rc;
}
