/* SPDX-License-Identifier: Apache-2.0 */
/* What the diagnoses say, in a few sentences with their sample sizes. */
#include "report/facts.h"

#include "base/limits.h"

#include <math.h>

bool auk_case_is(const auk_case *c, const char *kind)
{
    return strcmp(c->kind, kind) == 0;
}

/* The name a reader knows the model by. */
static auk_str model_of(const auk_case *c)
{
    return auk_base_name(auk_text_at(c->entry->head, "model.path"));
}

static void say_curve(auk_buf *out, const json_t *c)
{
    const json_t *rungs = json_object_get(c, "rungs");
    const json_t *base = json_array_get(rungs, 0),
                 *last = json_array_get(rungs, json_array_size(rungs) - 1);
    auk_str status = auk_text_at(c, "status");
    const char *what = auk_str_is(auk_text_at(c, "kind"), "tools") ? "Tool calls" : "Retrieval";

    if (auk_str_is(status, "cliff"))
        auk_buf_printf(out,
                       "%s: breaks between %lld and %lld tokens (p = %.2g after Holm, %lld "
                       "questions a depth). ",
                       what, (long long)auk_int_at(c, "cliff.last_pass"),
                       (long long)auk_int_at(c, "cliff.first_fail"),
                       auk_number_at(c, "cliff.p_holm"), (long long)auk_int_at(last, "n"));
    else if (auk_str_is(status, "holds"))
        auk_buf_printf(out, "%s: no cliff to %lld tokens (%lld of %lld right there). ", what,
                       (long long)auk_int_at(last, "depth_tokens"),
                       (long long)auk_int_at(last, "passed"), (long long)auk_int_at(last, "n"));
    else if (auk_str_is(status, "broken_baseline"))
        auk_buf_printf(out, "%s: fails from the start: %lld of %lld right at %lld tokens. ", what,
                       (long long)auk_int_at(base, "passed"), (long long)auk_int_at(base, "n"),
                       (long long)auk_int_at(base, "depth_tokens"));
    else if (auk_str_is(status, "too_few_samples"))
        auk_buf_printf(
            out, "%s: nothing shown to %lld tokens, %lld questions a depth are too few. ", what,
            (long long)auk_int_at(last, "depth_tokens"), (long long)auk_int_at(last, "n"));
    else
        auk_buf_printf(out, "%s: not finished, no verdict. ", what);
}

static void say_inspect(auk_buf *out, const json_t *h)
{
    double rate = auk_number_at(h, "decode_tok_s"), ttft = auk_number_at(h, "ttft_ms");

    if (isfinite(ttft))
        auk_buf_printf(out, "First token after %.0f ms", ttft);
    else
        auk_buf_puts(out, "No first token");
    if (isfinite(rate))
        auk_buf_printf(out, ", then %.1f tokens a second", rate);
    auk_buf_printf(out, " (%lld runs, %lld gaps, %lld spikes)", (long long)auk_int_at(h, "runs"),
                   (long long)auk_int_at(h, "gaps.n"), (long long)auk_int_at(h, "n_spikes"));
    if (json_is_true(json_object_get(h, "rates_disagree")))
        auk_buf_puts(out, "; client clock and server counter disagree");
    auk_buf_puts(out, ". ");
}

static void say_reasons(auk_doc *d, const json_t *list, const char *what)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    const json_t *r;
    size_t i;

    json_array_foreach(list, i, r)
    {
        auk_str s = json_is_string(r) ? auk_json_str(r) : auk_text_at(r, "text");
        auk_buf_clear(&text);
        auk_buf_printf(&text, "%s: ", what);
        auk_buf_add(&text, s.p, s.n);
        if (s.n == 0)
            auk_json_print(&text, r, (auk_json_style){0});
        auk_doc_para(d, auk_buf_str(&text));
    }
    auk_buf_release(&text);
}

static void view_verdict(auk_doc *d, const auk_case *c)
{
    const json_t *h = json_object_get(c->entry->head, "headline"), *curve;
    auk_str status = auk_text_at(h, "verdict.status");
    auk_buf text = AUK_BUF_INIT(1 << 16);
    size_t i;

    auk_buf_printf(&text, "%s, %.*s: ", c->label, AUK_ARG(model_of(c)));
    if (auk_case_is(c, "inspect"))
        say_inspect(&text, h);
    json_array_foreach(json_object_get(h, "curves"), i, curve) say_curve(&text, curve);
    if (auk_case_is(c, "audit") && json_is_true(json_object_get(h, "partial")))
        auk_buf_printf(&text, "The audit is partial: %.*s.", AUK_ARG(auk_text_at(h, "why")));
    if (auk_case_is(c, "agent"))
        auk_buf_printf(&text, "%.*s", AUK_ARG(status.n > 0 ? status : auk_str_of("no verdict")));
    auk_doc_para(d, auk_buf_str(&text));
    auk_buf_release(&text);
    if (auk_case_is(c, "agent")) {
        say_reasons(d, auk_record_at(h, "verdict.blocking"), "Blocks");
        say_reasons(d, auk_record_at(h, "verdict.conditions"), "On condition");
        say_reasons(d, auk_record_at(h, "verdict.evidence"), "Seen");
    }
}

static void view_machine(auk_doc *d, const auk_case *c)
{
    const json_t *m = json_object_get(c->entry->head, "machine");
    auk_buf text = AUK_BUF_INIT(1 << 16);

    auk_buf_printf(&text, "Asked from: %.*s, %lld processors, %.1f GB of memory, %.*s %.*s.",
                   AUK_ARG(auk_text_at(m, "cpu")), (long long)auk_int_at(m, "processors"),
                   auk_number_at(m, "memory_bytes") / 1e9, AUK_ARG(auk_text_at(m, "system")),
                   AUK_ARG(auk_text_at(m, "release")));
    auk_doc_para(d, auk_buf_str(&text));
    auk_buf_release(&text);
}

void auk_view_verdicts(auk_doc *d, const auk_case *cases, size_t n)
{
    const auk_case *first = NULL;

    for (size_t i = 0; i < n; i++) {
        if (!auk_case_is(&cases[i], "inspect") && !auk_case_is(&cases[i], "audit") &&
            !auk_case_is(&cases[i], "agent"))
            continue;
        if (first == NULL)
            auk_doc_heading(d, 2, "verdict", auk_str_of("In short"));
        first = first != NULL ? first : &cases[i];
        view_verdict(d, &cases[i]);
    }
    if (first != NULL)
        view_machine(d, first);
}
