/* SPDX-License-Identifier: Apache-2.0 */
#include "client/turn.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"

static const char *const markers[] = {
    "<|START_THINKING|>", "<|END_THINKING|>",      "<|START_TEXT|>",   "<|END_TEXT|>",
    "<|START_RESPONSE|>", "<|END_RESPONSE|>",      "<|START_ACTION|>", "<|END_ACTION|>",
    "<|CHATBOT_TOKEN|>",  "<|END_OF_TURN_TOKEN|>", "<think>",          "</think>",
};
#define N_MARKERS (sizeof markers / sizeof *markers)
#define OPEN_TAG (N_MARKERS - 2)
#define CLOSE_TAG (N_MARKERS - 1)

void auk_turn_init(auk_turn *t, auk_reply *r, const auk_chat *chat, size_t max_bytes)
{
    *r = (auk_reply){.prompt_tok = -1,
                     .cached_tok = -1,
                     .completion_tok = -1,
                     .reasoning_tok = -1,
                     .load_ns = -1,
                     .prefill_ns = -1,
                     .decode_ns = -1,
                     .total_ns = -1,
                     .attempts = 1,
                     .begun_ns = auk_now_ns()};
    r->thinking = AUK_BUF_INIT(AUK_MAX_TEXT);
    r->text = AUK_BUF_INIT(AUK_MAX_TEXT);
    *t = (auk_turn){.r = r, .chat = chat, .max_bytes = max_bytes, .now_ns = r->begun_ns};
    t->held = AUK_BUF_INIT(AUK_MAX_TEXT);
}

void auk_turn_release(auk_turn *t)
{
    for (size_t i = 0; i < t->n_fragments; i++) {
        auk_buf_release(&t->fragments[i].id);
        auk_buf_release(&t->fragments[i].name);
        auk_buf_release(&t->fragments[i].args);
    }
    free(t->fragments);
    auk_buf_release(&t->held);
    auk_parser_free(t->parser);
    *t = (auk_turn){0};
}

static void tell(auk_turn *t, auk_chat_event event)
{
    event.t_ns = t->now_ns;
    if (t->chat->event != NULL)
        t->chat->event(t->chat->ctx, &event);
}

void auk_turn_start(auk_turn *t, uint64_t now_ns)
{
    t->now_ns = now_ns;
    t->r->accepted_ns = now_ns;
    tell(t, (auk_chat_event){.kind = AUK_CHAT_START});
}

void auk_turn_tick(auk_turn *t)
{
    t->r->n_ticks++;
    t->r->last_tick_ns = t->now_ns;
    tell(t, (auk_chat_event){.kind = AUK_CHAT_TICK});
}

int auk_turn_failed(auk_turn *t, auk_failure_kind kind, int rc)
{
    t->r->failure.kind = kind;
    return rc;
}

static int grow(auk_turn *t, size_t n, auk_err *err)
{
    if (n > t->max_bytes - t->bytes)
        return auk_turn_failed(
            t, AUK_FAILURE_LIMIT,
            auk_fail(err, AUK_ELIMIT, "the answer is larger than %zu bytes", t->max_bytes));
    t->bytes += n;
    return AUK_OK;
}

/* ---- parts -------------------------------------------------------------------------------- */

static void mark(uint64_t *stamp, uint64_t now_ns)
{
    if (*stamp == 0)
        *stamp = now_ns;
}

static void add_thinking(auk_turn *t, auk_str s)
{
    mark(&t->r->first_thinking_ns, t->now_ns);
    auk_buf_add(&t->r->thinking, s.p, s.n);
    tell(t, (auk_chat_event){.kind = AUK_CHAT_THINKING, .text = s});
}

static void add_text(auk_turn *t, auk_str s)
{
    while (t->after_tag && s.n > 0 && (s.p[0] == '\n' || s.p[0] == '\r'))
        s = auk_str_from(s, 1);
    if (s.n == 0)
        return;
    t->after_tag = false;
    mark(&t->r->first_text_ns, t->now_ns);
    auk_buf_add(&t->r->text, s.p, s.n);
    tell(t, (auk_chat_event){.kind = AUK_CHAT_TEXT, .text = s});
}

int auk_turn_thinking(auk_turn *t, auk_str s, auk_err *err)
{
    int rc = grow(t, s.n, err);

    if (rc == AUK_OK && s.n > 0) {
        add_thinking(t, s);
        t->field_bytes = t->r->thinking.n;
    }
    return rc;
}

int auk_turn_literal(auk_turn *t, auk_str s, auk_err *err)
{
    int rc = grow(t, s.n, err);

    if (rc == AUK_OK)
        add_text(t, s);
    return rc;
}

int auk_turn_call(auk_turn *t, auk_str id, auk_str name, json_t *arguments, auk_str text,
                  auk_err *err)
{
    auk_reply *r = t->r;
    auk_err unread;
    char made[32];

    int rc = grow(t, text.n + name.n, err);
    if (rc == AUK_OK && r->n_calls >= AUK_MAX_CALLS)
        rc = auk_turn_failed(
            t, AUK_FAILURE_LIMIT,
            auk_fail(err, AUK_ELIMIT, "the answer has more than %d tool calls", AUK_MAX_CALLS));
    if (rc < 0)
        return rc;
    if (arguments != NULL)
        json_incref(arguments);
    else if (text.n == 0) /* a call without arguments */
        arguments = json_object();
    else if (auk_json_parse(&arguments, text, "arguments", &unread) < 0)
        arguments = NULL;
    if (json_is_string(arguments)) { /* encoded twice */
        json_t *inner = NULL;
        if (auk_json_parse(&inner, auk_json_str(arguments), "arguments", &unread) < 0)
            inner = NULL;
        json_decref(arguments);
        arguments = inner;
    }
    if (!json_is_object(arguments)) {
        json_decref(arguments);
        arguments = NULL;
        r->malformed_action = true;
    }
    if (id.n == 0) {
        snprintf(made, sizeof made, "call_%zu", r->n_calls);
        id = auk_str_of(made);
    }
    r->calls = auk_realloc(r->calls, (r->n_calls + 1) * sizeof *r->calls);
    r->calls[r->n_calls] = (auk_chat_call){.id = auk_strndup(id.p, id.n),
                                           .name = auk_strndup(name.p, name.n),
                                           .arguments = arguments,
                                           .text = auk_strndup(text.p, text.n)};
    mark(&r->first_call_ns, t->now_ns);
    tell(t, (auk_chat_event){.kind = AUK_CHAT_CALL, .call = &r->calls[r->n_calls]});
    r->n_calls++;
    return AUK_OK;
}

/* ---- calls in pieces ---------------------------------------------------------------------- */

static int close_fragment(auk_turn *t, auk_fragment *f, auk_err *err)
{
    if (!f->used || f->done)
        return AUK_OK;
    f->done = true;
    t->bytes -= f->name.n + f->args.n; /* counted while they grew */
    return auk_turn_call(t, auk_buf_str(&f->id), auk_buf_str(&f->name), NULL, auk_buf_str(&f->args),
                         err);
}

int auk_turn_close_fragments(auk_turn *t, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < t->n_fragments && rc == AUK_OK; i++)
        rc = close_fragment(t, &t->fragments[i], err);
    return rc;
}

int auk_turn_fragment(auk_turn *t, size_t index, auk_str id, auk_str name, auk_str args,
                      auk_err *err)
{
    int rc = AUK_OK;

    if (index >= AUK_MAX_CALLS)
        return auk_turn_failed(t, AUK_FAILURE_MALFORMED,
                               auk_fail(err, AUK_EFORMAT, "a tool call has number %zu", index));
    if (index >= t->n_fragments) {
        rc = auk_turn_close_fragments(t, err); /* those before it are complete */
        t->fragments = auk_realloc(t->fragments, (index + 1) * sizeof *t->fragments);
        for (; t->n_fragments <= index; t->n_fragments++) {
            t->fragments[t->n_fragments] = (auk_fragment){0};
            t->fragments[t->n_fragments].id = AUK_BUF_INIT(1 << 16);
            t->fragments[t->n_fragments].name = AUK_BUF_INIT(1 << 16);
            t->fragments[t->n_fragments].args = AUK_BUF_INIT(AUK_MAX_CALL);
        }
    }
    auk_fragment *f = &t->fragments[index];
    if (rc == AUK_OK && f->done)
        return AUK_OK; /* a server that repeats a whole call at its end */
    if (rc == AUK_OK)
        rc = grow(t, name.n + args.n, err);
    if (rc < 0)
        return rc;
    f->used = true;
    mark(&t->r->first_call_ns, t->now_ns);
    if (f->id.n == 0)
        auk_buf_add(&f->id, id.p, id.n);
    if (f->name.n == 0)
        auk_buf_add(&f->name, name.p, name.n);
    else
        t->bytes -= name.n;
    auk_buf_add(&f->args, args.p, args.n);
    if (f->id.failed || f->name.failed || f->args.failed)
        return auk_turn_failed(
            t, AUK_FAILURE_LIMIT,
            auk_fail(err, AUK_ELIMIT, "a tool call is larger than %zu bytes", AUK_MAX_CALL));
    return AUK_OK;
}

/* ---- markup ------------------------------------------------------------------------------- */

static bool is_blank(auk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr(" \t\r\n", s.p[i]) == NULL || s.p[i] == 0)
            return false;
    return true;
}

static void on_parser_event(void *ctx, const auk_parser_event *event)
{
    auk_turn *t = ctx;
    auk_err err;

    if (t->muted)
        return;
    if (event->kind == AUK_EVENT_THINKING) {
        add_thinking(t, event->text);
    } else if (event->kind == AUK_EVENT_TEXT) {
        add_text(t, event->text);
    } else if (event->kind == AUK_EVENT_MALFORMED) {
        t->r->malformed_action = true;
    } else {
        auk_buf text = AUK_BUF_INIT(AUK_MAX_CALL * 8);
        auk_json_print(&text, event->call->arguments, (auk_json_style){0});
        if (auk_turn_call(t, event->call->id, event->call->name, event->call->arguments,
                          auk_buf_str(&text), &err) < 0)
            t->r->malformed_action = true; /* past a limit, which the turn remembers */
        auk_buf_release(&text);
    }
}

/* What was text so far turns out to have been thinking. */
static void was_thinking(auk_turn *t)
{
    auk_reply *r = t->r;
    auk_str text = auk_buf_str(&r->text);

    if (text.n == 0)
        return;
    auk_buf_add(&r->thinking, text.p, text.n);
    auk_buf_clear(&r->text);
    if (r->first_thinking_ns == 0)
        r->first_thinking_ns = r->first_text_ns;
    r->first_text_ns = 0;
    r->was_markup = true;
    tell(t, (auk_chat_event){.kind = AUK_CHAT_WAS_THINKING});
}

/* The first marker of this model: from here on its own parser reads, told what came before. */
static int enter_north(auk_turn *t, bool closes_thinking, auk_err *err)
{
    auk_reply *r = t->r;
    auk_str before = auk_buf_str(&r->text);
    bool lone_end = closes_thinking && t->field_bytes == 0 && !is_blank(before);

    while (before.n > 0 && strchr(" \t\r\n", before.p[before.n - 1]) != NULL)
        before.n--;
    t->markup = AUK_MARKUP_NORTH;
    t->parser = auk_parser_new(lone_end, on_parser_event, t);
    r->was_markup = true;
    t->muted = true;
    int rc = before.n > 0 ? auk_parser_feed(t->parser, before, err) : AUK_OK;
    t->muted = false;
    if (lone_end)
        was_thinking(t);
    return rc;
}

/* The first marker in s that counts in this state, its place in *at; N_MARKERS when there is
 * none, and *at is how much can be handed out: what follows may begin one. */
static size_t find_marker(const auk_turn *t, auk_str s, size_t *at)
{
    bool start = t->r->thinking.n == 0 && is_blank(auk_buf_str(&t->r->text));

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '<')
            continue;
        for (size_t k = 0; k < N_MARKERS; k++) {
            size_t n = strlen(markers[k]), m = s.n - i < n ? s.n - i : n;
            if (t->markup == AUK_MARKUP_TAG && k != CLOSE_TAG)
                continue;
            if (k == OPEN_TAG && !(start && is_blank((auk_str){s.p, i})))
                continue;
            if (k == CLOSE_TAG && t->markup != AUK_MARKUP_TAG && t->r->thinking.n > 0)
                continue;
            if (memcmp(s.p + i, markers[k], m) == 0) {
                *at = i;
                return m == n ? k : N_MARKERS;
            }
        }
    }
    *at = s.n;
    return N_MARKERS;
}

static void hand_out(auk_turn *t, auk_str s)
{
    if (s.n == 0)
        return;
    if (t->markup == AUK_MARKUP_TAG)
        add_thinking(t, s);
    else
        add_text(t, s);
}

int auk_turn_text(auk_turn *t, auk_str s, auk_err *err)
{
    int rc = grow(t, s.n, err);

    if (rc < 0 || s.n == 0)
        return rc;
    if (t->markup == AUK_MARKUP_NORTH)
        return auk_parser_feed(t->parser, s, err);
    auk_buf_add(&t->held, s.p, s.n);
    auk_str rest = auk_buf_str(&t->held);
    while (rc == AUK_OK && rest.n > 0) {
        size_t at, k = find_marker(t, rest, &at);
        hand_out(t, (auk_str){rest.p, at});
        rest = auk_str_from(rest, at);
        if (k == N_MARKERS)
            break;
        if (k == OPEN_TAG) {
            t->markup = AUK_MARKUP_TAG;
            t->r->was_markup = true;
            rest = auk_str_from(rest, strlen(markers[k]));
        } else if (k == CLOSE_TAG) {
            if (t->markup != AUK_MARKUP_TAG)
                was_thinking(t);
            t->markup = AUK_MARKUP_PLAIN;
            t->after_tag = true;
            rest = auk_str_from(rest, strlen(markers[k]));
        } else {
            rc = enter_north(t, strcmp(markers[k], "<|END_THINKING|>") == 0, err);
            if (rc == AUK_OK)
                rc = auk_parser_feed(t->parser, rest, err);
            rest.n = 0;
        }
    }
    size_t left = rest.n;
    if (left > 0)
        memmove(t->held.p, rest.p, left);
    t->held.n = left;
    return rc;
}

/* The parser's view of the whole is the one that counts. */
static int finish_parser(auk_turn *t, auk_err *err)
{
    auk_reply *r = t->r;
    auk_parsed parsed;

    int rc = auk_parser_finish(&parsed, t->parser, err);
    if (rc < 0)
        return rc;
    r->thinking.n = t->field_bytes;
    auk_buf_add(&r->thinking, parsed.thinking.p, parsed.thinking.n);
    auk_buf_clear(&r->text);
    auk_buf_add(&r->text, parsed.text.p, parsed.text.n);
    if (parsed.outcome == AUK_OUTCOME_MALFORMED_ACTION)
        r->malformed_action = true;
    return AUK_OK;
}

/* ---- the end ------------------------------------------------------------------------------ */

void auk_turn_finish(auk_turn *t, auk_chat_finish f, auk_str said)
{
    size_t n = said.n < sizeof t->r->finish_said - 1 ? said.n : sizeof t->r->finish_said - 1;

    t->r->finish = f;
    if (n > 0)
        memcpy(t->r->finish_said, said.p, n);
    t->r->finish_said[n] = 0;
}

int auk_turn_end(auk_turn *t, bool failed, auk_err *err)
{
    auk_reply *r = t->r;
    int rc = AUK_OK;

    if (t->ended)
        return AUK_OK;
    t->ended = true;
    if (t->parser != NULL) {
        rc = finish_parser(t, err);
    } else {
        hand_out(t, auk_buf_str(&t->held));
        auk_buf_clear(&t->held);
    }
    if (rc == AUK_OK && !failed)
        rc = auk_turn_close_fragments(t, err);
    if (rc == AUK_OK && r->failure.kind == AUK_FAILURE_LIMIT && !failed)
        rc = auk_fail(err, AUK_ELIMIT, "the answer is larger than %zu bytes", t->max_bytes);
    if (failed || rc < 0)
        r->finish = r->failure.kind == AUK_FAILURE_CANCELLED ? AUK_CHAT_CANCELLED : AUK_CHAT_NONE;
    else if (r->finish == AUK_CHAT_STOP && r->n_calls > 0)
        r->finish = AUK_CHAT_TOOLS;
    t->now_ns = r->end_ns = auk_now_ns();
    if (r->prompt_tok >= 0 || r->completion_tok >= 0)
        tell(t, (auk_chat_event){.kind = AUK_CHAT_USAGE});
    tell(t, (auk_chat_event){.kind = AUK_CHAT_END, .finish = r->finish});
    return rc;
}
