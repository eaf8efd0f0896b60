/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: base and ladder, sample by sample, then closing in on a cliff. */
#include "diagnose/audit.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#define MOST_ADDED 12    /* cells of a bisection */
#define ROW_OF_ERRORS 3  /* samples that fail one after the other: the server is gone */
#define SHOWN_BYTES 2000 /* of an answer, in its item */
#define NOT_ASKED AUK_N_AUDIT_STATES

auk_audit_options auk_audit_defaults(void)
{
    return (auk_audit_options){.kinds = AUK_AUDIT_RETRIEVAL | AUK_AUDIT_TOOLS,
                               .samples = 45,
                               .seed = 1,
                               .budget_ns = (uint64_t)1800 * 1000000000};
}

const char *auk_audit_kind_name(auk_audit_kinds k)
{
    return k == AUK_AUDIT_TOOLS ? "tools" : "retrieval";
}

void auk_audit_note(const auk_audit_run *a, const char *fmt, ...)
{
    char line[512];
    va_list args;

    if (a->o->watch.note == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    a->o->watch.note(a->o->watch.ctx, line);
}

static void give_up(auk_audit_run *a, const char *why, const char *detail)
{
    if (!a->stop)
        snprintf(a->out->why, sizeof a->out->why, "%.100s%s%.200s", why, *detail ? ": " : "",
                 detail);
    a->stop = true;
}

static int put_item(const auk_audit_run *a, const json_t *item, auk_err *err)
{
    return a->o->watch.item != NULL ? a->o->watch.item(a->o->watch.ctx, item, err) : AUK_OK;
}

/* ---- one request -------------------------------------------------------------------------- */

static bool on_cancelled(void *ctx)
{
    const auk_audit_run *a = ctx;
    return a->o->watch.cancelled != NULL && a->o->watch.cancelled(a->o->watch.ctx);
}

static void on_retry(void *ctx, const auk_reply *failed, const char *why, uint64_t wait_ms)
{
    (void)failed;
    auk_audit_note(ctx, "%s; trying again in %.1f s", why, (double)wait_ms / 1000);
}

/* A failure of the server is in the reply; only a stop is a failure of ours. */
int auk_audit_ask(auk_audit_run *a, auk_reply *r, char why[320], const auk_sheet *s, int q,
                  auk_err *err)
{
    json_t *messages = auk_sheet_messages(s, q), *tools = auk_sheet_tools(s);
    auk_chat chat = auk_chat_defaults();
    auk_retry retry = auk_retry_defaults();
    auk_err e;

    chat.messages = messages;
    chat.tools = tools;
    chat.thinking = a->o->thinking;
    chat.max_tokens = (int)a->out->max_tokens;
    chat.temperature = 0;
    chat.seed = (int64_t)(a->o->seed & INT32_MAX);
    chat.loop_guard = true;
    chat.cancelled = on_cancelled;
    chat.ctx = a;
    retry.note = on_retry;
    retry.ctx = a;
    why[0] = 0;
    int rc = auk_client_chat_retry(r, a->c, &chat, &retry, &e);
    if (rc < 0)
        snprintf(why, 320, "%.300s", e.msg);
    json_decref(messages);
    json_decref(tools);
    if (rc == AUK_ECANCEL || r->failure.kind == AUK_FAILURE_CANCELLED)
        return auk_fail(err, AUK_ECANCEL, "stopped");
    return AUK_OK;
}

/* The number of sentences with which the prompt comes nearest to `target` from below. */
int auk_audit_fit(uint64_t *sentences, const auk_audit_run *a, auk_sheet s, int64_t target,
                  auk_err *err)
{
    uint64_t lo = 0, hi = (uint64_t)(target / 8 + 2);

    while (lo < hi) {
        s.sentences = lo + (hi - lo + 1) / 2;
        json_t *messages = auk_sheet_messages(&s, 0), *tools = auk_sheet_tools(&s);
        int64_t n;
        int rc = auk_sizer_count(&n, &a->sizer, messages, tools, err);
        json_decref(messages);
        json_decref(tools);
        if (rc < 0)
            return rc;
        if (n <= target)
            lo = s.sentences;
        else
            hi = s.sentences - 1;
    }
    *sentences = lo;
    return AUK_OK;
}

void auk_audit_learn(auk_audit_run *a, const auk_sheet *s, int q, const auk_reply *r)
{
    json_t *messages = auk_sheet_messages(s, q), *tools = auk_sheet_tools(s);

    auk_sizer_learn(&a->sizer, messages, tools, r->prompt_tok);
    json_decref(messages);
    json_decref(tools);
}

/* ---- samples ------------------------------------------------------------------------------ */

static json_t *shown(const auk_buf *b)
{
    size_t n = b->n < SHOWN_BYTES ? b->n : SHOWN_BYTES;
    auk_buf plain = AUK_BUF_INIT(SHOWN_BYTES + 1);

    while (n > 0 && n < b->n && ((unsigned char)b->p[n] & 0xC0) == 0x80)
        n--; /* not in the middle of a character */
    json_t *v = json_stringn(b->p != NULL ? b->p : "", n);
    for (size_t i = 0; v == NULL && i < n; i++)
        auk_buf_putc(&plain, (unsigned char)b->p[i] < 0x80 && b->p[i] != 0 ? b->p[i] : '?');
    if (v == NULL)
        v = json_stringn(auk_buf_str(&plain).p, plain.n);
    auk_buf_release(&plain);
    return v;
}

static json_t *calls_of(const auk_reply *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_calls && i < 8; i++)
        json_array_append_new(list, json_pack("{s:s, s:O?}", "name", r->calls[i].name, "arguments",
                                              r->calls[i].arguments));
    return list;
}

static json_t *sample_item(const auk_audit_cell *c, const auk_sheet *s, int q,
                           auk_audit_state state, const auk_reply *r, const char *why)
{
    json_t *v =
        json_pack("{s:s, s:s, s:I, s:b, s:i, s:i, s:f}", "item", "sample", "kind",
                  auk_audit_kind_name(c->kind), "rung_tokens", (json_int_t)c->rung, "bisection",
                  c->added, "sheet", s->sheet, "question", q, "position", auk_sheet_position(s, q));

    json_object_set_new(v, "depth_tokens", auk_audit_known(r->prompt_tok));
    json_object_set_new(v, "cached_tokens", auk_audit_known(r->cached_tok));
    json_object_set_new(v, "state", json_string(auk_audit_state_name(state)));
    json_object_set_new(v, "expected", auk_sheet_expected(s, q));
    json_object_set_new(v, "answer", shown(&r->text));
    if (c->kind == AUK_AUDIT_TOOLS)
        json_object_set_new(v, "calls", calls_of(r));
    json_object_set_new(v, "finish", json_string(auk_chat_finish_name(r->finish)));
    json_object_set_new(v, "failure",
                        r->failure.kind != AUK_FAILURE_NONE
                            ? json_string(auk_failure_name(r->failure.kind))
                            : json_null());
    if (*why != 0)
        json_object_set_new(v, "why", json_string(why));
    json_object_set_new(v, "completion_tokens", auk_audit_known(r->completion_tok));
    json_object_set_new(v, "ms", json_real((double)(r->end_ns - r->begun_ns) / 1e6));
    return v;
}

/* Takes a sample into its cell. */
static void count(auk_audit_run *a, auk_audit_cell *c, const json_t *item, int at, bool resumed)
{
    const char *state = json_string_value(json_object_get(item, "state"));
    const json_t *depth = json_object_get(item, "depth_tokens");
    int s = 0;

    while (s < AUK_AUDIT_ERROR && strcmp(auk_audit_state_name((auk_audit_state)s), state) != 0)
        s++;
    c->state[at] = (unsigned char)s;
    if (json_is_integer(depth) && s != AUK_AUDIT_ERROR) {
        c->depth_sum += (double)json_integer_value(depth);
        c->depth_n++;
    }
    a->out->errors += s == AUK_AUDIT_ERROR;
    a->out->finished += s != AUK_AUDIT_ERROR;
    a->out->resumed += resumed;
    a->errors_in_a_row = s == AUK_AUDIT_ERROR ? a->errors_in_a_row + 1 : 0;
}

static bool too_late(const auk_audit_run *a)
{
    return a->o->budget_ns > 0 && auk_now_ns() - a->began_ns > a->o->budget_ns;
}

static bool wants_stop(const auk_audit_run *a)
{
    const auk_watch *w = &a->o->watch;

    return on_cancelled((void *)(uintptr_t)a) ||
           (w->progress != NULL && w->progress(w->ctx, "audit", "samples",
                                               a->out->finished + a->out->errors, a->out->planned));
}

/* The prompt is more than 5 % off what was aimed at: the text is made anew, once. */
static bool is_off(const auk_audit_run *a, const auk_audit_cell *c, const auk_sheet *s,
                   const auk_reply *r)
{
    double off = fabs((double)(r->prompt_tok - c->rung)) / (double)c->rung;
    bool smaller = r->prompt_tok < c->rung || s->sentences > 0;

    return a->sizer.tokenizer == NULL && r->prompt_tok > 0 && off > 0.05 && smaller;
}

/* True: the server said that this prompt does not fit. */
static bool no_room(auk_audit_run *a, const auk_audit_cell *c, const auk_reply *r)
{
    if (r->failure.kind != AUK_FAILURE_CONTEXT || c->depth_n > 0)
        return false;
    auk_audit_note(a,
                   "the server refuses a prompt of %" PRId64
                   " tokens: this depth and deeper ones are "
                   "left out",
                   c->rung);
    return true;
}

typedef enum outcome { DONE, SKIP, HALT } outcome;

/* Asks sample q of a sheet, or finds it in the log. */
static outcome run_sample(auk_audit_run *a, auk_audit_cell *c, auk_sheet *s, int q, bool *fresh,
                          auk_err *err)
{
    int at = s->sheet * a->per_sheet + q, rc = AUK_OK;
    const json_t *old =
        auk_audit_log_find(&a->log, auk_audit_kind_name(c->kind), c->rung, s->sheet, q);
    char why[320];
    auk_reply r;

    if (old != NULL) { /* the sheet's other questions get the same text as before */
        s->sentences = (uint64_t)json_integer_value(json_object_get(old, "sentences"));
        if (json_is_real(json_object_get(old, "bytes_per_token")))
            a->sizer.bytes_per_token = json_real_value(json_object_get(old, "bytes_per_token"));
        *fresh = false;
        count(a, c, old, at, true);
        return put_item(a, old, err) < 0 ? HALT : DONE;
    }
    if (wants_stop(a)) {
        (void)auk_fail(err, AUK_ECANCEL, "stopped");
        return HALT;
    }
    if (*fresh && auk_audit_fit(&s->sentences, a, *s, c->rung, err) < 0)
        return HALT;
    rc = auk_audit_ask(a, &r, why, s, q, err);
    if (rc == AUK_OK && *fresh && is_off(a, c, s, &r)) {
        auk_audit_learn(a, s, q, &r);
        auk_reply_release(&r);
        rc = auk_audit_fit(&s->sentences, a, *s, c->rung, err);
        if (rc < 0)
            return HALT;
        rc = auk_audit_ask(a, &r, why, s, q, err);
    }
    *fresh = false;
    outcome o = rc < 0 ? HALT : no_room(a, c, &r) ? SKIP : DONE;
    if (o == DONE) {
        json_t *item = sample_item(c, s, q, auk_sheet_score(s, q, &r), &r, why);
        json_object_set_new(item, "sentences", json_integer((json_int_t)s->sentences));
        if (a->sizer.tokenizer == NULL)
            json_object_set_new(item, "bytes_per_token", json_real(a->sizer.bytes_per_token));
        count(a, c, item, at, false);
        rc = auk_audit_log_add(&a->log, item, err);
        if (rc == AUK_OK)
            rc = put_item(a, item, err);
        json_decref(item);
        if (a->errors_in_a_row >= ROW_OF_ERRORS)
            give_up(a, "the server fails again and again", why);
    }
    auk_reply_release(&r);
    return rc < 0 ? HALT : o;
}

/* All samples of a cell.  The sheet's questions follow each other, so that a server can keep what
 * they share. */
static outcome run_cell(auk_audit_run *a, auk_audit_cell *c, auk_err *err)
{
    for (int sheet = 0; sheet * a->per_sheet < a->o->samples; sheet++) {
        auk_sheet s = {
            .seed = a->o->seed, .sheet = sheet, .kind = c->kind, .questions = a->per_sheet};
        bool fresh = true;
        for (int q = 0; q < a->per_sheet && sheet * a->per_sheet + q < a->o->samples; q++) {
            if (too_late(a))
                give_up(a, "the time budget is used up", "");
            if (a->stop)
                return DONE;
            outcome o = run_sample(a, c, &s, q, &fresh, err);
            if (o != DONE)
                return o;
        }
    }
    return DONE;
}

static auk_audit_cell *add_cell(auk_audit_run *a, auk_audit_kinds kind, int64_t rung, bool added)
{
    a->cells = auk_realloc(a->cells, (a->n_cells + 1) * sizeof *a->cells);
    auk_audit_cell *c = &a->cells[a->n_cells++];
    *c = (auk_audit_cell){.kind = kind, .rung = rung, .added = added};
    c->state = auk_alloc((size_t)a->o->samples);
    memset(c->state, NOT_ASKED, (size_t)a->o->samples);
    return c;
}

static int64_t depth_of(const auk_audit_cell *c)
{
    return c->depth_n > 0 ? (int64_t)(c->depth_sum / (double)c->depth_n + 0.5) : c->rung;
}

/* ---- the ladder --------------------------------------------------------------------------- */

/* A cell against the base, sample by sample. */
static auk_rung compare(const auk_audit_run *a, const auk_audit_cell *base, const auk_audit_cell *c)
{
    auk_rung r = {.depth = depth_of(c), .added = c->added};

    for (int i = 0; i < a->o->samples; i++) {
        bool b = base->state[i] == AUK_AUDIT_PASSED, x = c->state[i] == AUK_AUDIT_PASSED;
        if (base->state[i] >= AUK_AUDIT_ERROR || c->state[i] >= AUK_AUDIT_ERROR)
            r.missing++;
        else if (b && x)
            r.both++;
        else if (b)
            r.base_only++;
        else if (x)
            r.cell_only++;
        else
            r.none++;
    }
    return r;
}

/* Where to look next, 0: nowhere. */
static int64_t next_depth(const auk_audit_run *a, size_t first, int *rc, auk_err *err)
{
    auk_rung rungs[AUK_AUDIT_MAX_RUNGS + MOST_ADDED + 1];
    size_t n = 0;
    auk_ladder l;

    for (size_t i = first; i < a->n_cells; i++)
        rungs[n++] = compare(a, &a->cells[first], &a->cells[i]);
    *rc = auk_stats_ladder(&l, rungs, n, err);
    if (*rc < 0 || l.status != AUK_LADDER_CLIFF || l.close)
        return 0;
    return (rungs[l.last_pass].depth + rungs[l.first_fail].depth) / 2;
}

static int close_in(auk_audit_run *a, auk_audit_kinds kind, size_t first, auk_err *err)
{
    int rc = AUK_OK;

    for (int i = 0; i < MOST_ADDED && !a->stop; i++) {
        int64_t depth = next_depth(a, first, &rc, err);
        if (rc < 0 || depth == 0)
            return rc;
        a->out->planned += (size_t)a->o->samples;
        if (run_cell(a, add_cell(a, kind, depth, true), err) == HALT)
            return err->code;
    }
    return AUK_OK;
}

static int run_curve(auk_audit_run *a, auk_audit_kinds kind, auk_err *err)
{
    size_t first = a->n_cells;

    for (size_t i = 0; i < a->plan.n && !a->stop; i++) {
        auk_audit_cell *c = add_cell(a, kind, a->plan.rungs[i], false);
        outcome o = run_cell(a, c, err);
        if (o == HALT)
            return err->code;
        if (o == SKIP) { /* this and all deeper ones */
            free(a->cells[--a->n_cells].state);
            for (size_t j = i; j < a->plan.n; j++)
                a->plan.skipped[a->plan.n_skipped++] = a->plan.rungs[j];
            a->out->planned -= (a->plan.n - i) * (size_t)a->o->samples;
            a->plan.n = i;
        }
    }
    return a->stop ? AUK_OK : close_in(a, kind, first, err);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int put_end(auk_audit_run *a, auk_err *err)
{
    json_t *missing = json_array();
    size_t cells = 0;

    for (size_t i = 0; i < a->n_cells; i++) {
        json_int_t n = 0;
        for (int j = 0; j < a->o->samples; j++)
            n += a->cells[i].state[j] >= AUK_AUDIT_ERROR;
        if (n > 0)
            json_array_append_new(
                missing, json_pack("{s:s, s:I, s:I}", "kind", auk_audit_kind_name(a->cells[i].kind),
                                   "rung_tokens", (json_int_t)a->cells[i].rung, "samples", n));
        a->out->partial |= n > 0 && !a->cells[i].added;
        cells += !a->cells[i].added;
    }
    a->out->partial |= cells < a->plan.n * auk_audit_curves(a);
    if (a->out->partial && a->out->why[0] == 0)
        snprintf(a->out->why, sizeof a->out->why, "%zu samples failed", a->out->errors);
    json_t *v =
        json_pack("{s:s, s:b, s:o, s:o, s:o, s:f}", "item", "end", "partial", a->out->partial,
                  "why", a->out->partial ? json_string(a->out->why) : json_null(), "missing",
                  missing, "skipped", auk_audit_depths(a->plan.skipped, a->plan.n_skipped),
                  "seconds", (double)(auk_now_ns() - a->began_ns) / 1e9);
    int rc = put_item(a, v, err);
    json_decref(v);
    return rc;
}

static int run(auk_audit_run *a, auk_err *err)
{
    int rc = auk_audit_prepare(a, err);

    if (rc < 0)
        return rc;
    a->out->estimate_s = a->plan.seconds;
    auk_audit_say_plan(a);
    json_t *plan = auk_audit_plan_item(a);
    rc = put_item(a, plan, err);
    json_decref(plan);
    a->out->planned = a->plan.n * auk_audit_curves(a) * (size_t)a->o->samples;
    for (unsigned k = 1; k <= 2 && rc == AUK_OK; k *= 2)
        if (a->o->kinds & k)
            rc = run_curve(a, (auk_audit_kinds)k, err);
    if (rc < 0) {
        a->out->partial = true;
        give_up(a, rc == AUK_ECANCEL ? "stopped" : err->msg, "");
    }
    auk_err late;
    int end = put_end(a, &late);
    if (rc == AUK_OK && end < 0) {
        rc = end;
        *err = late;
    }
    return rc;
}

int auk_audit(auk_audit_result *out, auk_client *c, const auk_audit_options *opts, auk_err *err)
{
    auk_audit_run a = {.c = c, .o = opts, .out = out, .log = {.fd = -1}, .began_ns = auk_now_ns()};

    *out = (auk_audit_result){.window_tok = -1};
    if (opts->samples < 1 || opts->samples > AUK_AUDIT_MAX_SAMPLES || (opts->kinds & 3) == 0)
        return auk_fail(err, AUK_EINVAL, "an audit has 1 to %d samples of a kind",
                        AUK_AUDIT_MAX_SAMPLES);
    if (opts->preset != NULL && strcmp(opts->preset, "quantamind") != 0)
        return auk_fail(err, AUK_EINVAL, "there is no preset '%s': quantamind is the one there is",
                        opts->preset);
    a.per_sheet = (opts->samples + AUK_AUDIT_SHEETS - 1) / AUK_AUDIT_SHEETS;
    int rc = run(&a, err);
    out->skipped_rungs = a.plan.n_skipped;
    out->seconds = (double)(auk_now_ns() - a.began_ns) / 1e9;
    for (size_t i = 0; i < a.n_cells; i++)
        free(a.cells[i].state);
    free(a.cells);
    auk_audit_log_close(&a.log);
    auk_sizer_close(&a.sizer);
    return rc;
}
