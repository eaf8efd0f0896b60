/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/transcript.h"

#include "base/limits.h"
#include "base/mem.h"

void auk_transcript_init(auk_transcript *t, bool by_tokens)
{
    *t = (auk_transcript){.by_tokens = by_tokens, .thinks = by_tokens};
    t->content = AUK_BUF_INIT(AUK_MAX_TEXT);
    t->text = AUK_BUF_INIT(AUK_MAX_TEXT);
}

void auk_transcript_release(auk_transcript *t)
{
    auk_buf_release(&t->content);
    auk_buf_release(&t->text);
}

static void add(auk_transcript *t, auk_chat_kind kind, auk_str s)
{
    if (s.n == 0)
        return;
    if (t->n_runs == 0 || t->runs[t->n_runs - 1].kind != kind) {
        if (t->n_runs == AUK_MAX_RUNS) { /* the last section counts, the first are history */
            memmove(&t->runs[1], &t->runs[2], (AUK_MAX_RUNS - 2) * sizeof *t->runs);
            t->n_runs--;
        }
        t->runs[t->n_runs++] = (struct auk_run){kind, t->content.n};
    }
    auk_buf_add(&t->content, s.p, s.n);
}

static void add_call(auk_transcript *t, const auk_chat_call *call)
{
    auk_buf line = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_buf_printf(&line, "%s %s\n", call->name, call->text);
    add(t, AUK_CHAT_CALL, auk_buf_str(&line));
    auk_buf_release(&line);
}

void auk_transcript_take(auk_transcript *t, const auk_chat_event *event, bool watch_loops)
{
    switch (event->kind) {
    case AUK_CHAT_START: /* of another attempt: the one before is forgotten */
        auk_buf_clear(&t->content);
        t->n_runs = 0;
        t->thinks = t->by_tokens;
        t->watch = (auk_loop_watch){0};
        t->looped = false;
        break;
    case AUK_CHAT_THINKING:
        t->thinks = true;
        add(t, AUK_CHAT_THINKING, event->text);
        break;
    case AUK_CHAT_TEXT:
        add(t, AUK_CHAT_TEXT, event->text);
        break;
    case AUK_CHAT_CALL:
        add_call(t, event->call);
        break;
    case AUK_CHAT_WAS_THINKING:
        t->thinks = true;
        t->n_runs = t->content.n > 0;
        t->runs[0] = (struct auk_run){AUK_CHAT_THINKING, 0};
        break;
    default:
        break;
    }
    if (watch_loops && !t->looped)
        t->looped = auk_loop_watch_step(&t->watch, auk_buf_str(&t->content));
}

static void put_markers(auk_transcript *t, bool complete)
{
    static const struct {
        auk_chat_kind kind;
        const char *begin, *end;
    } marks[] = {{AUK_CHAT_THINKING, "<|START_THINKING|>", "<|END_THINKING|>"},
                 {AUK_CHAT_TEXT, "<|START_TEXT|>", "<|END_TEXT|>"},
                 {AUK_CHAT_CALL, "<|START_ACTION|>", "<|END_ACTION|>"}};

    if (t->n_runs > 0 && t->runs[0].kind != AUK_CHAT_THINKING)
        auk_buf_puts(&t->text, "<|START_THINKING|><|END_THINKING|>");
    else if (t->n_runs == 0)
        auk_buf_puts(&t->text, "<|START_THINKING|>");
    for (size_t i = 0; i < t->n_runs; i++) {
        bool last = i + 1 == t->n_runs;
        size_t from = t->runs[i].from, to = last ? t->content.n : t->runs[i + 1].from, k = 0;
        while (marks[k].kind != t->runs[i].kind)
            k++;
        auk_buf_puts(&t->text, marks[k].begin);
        if (t->runs[i].kind == AUK_CHAT_TEXT) {
            t->section_from = t->text.n;
            t->section_n = to - from;
        } else if (t->runs[i].kind == AUK_CHAT_THINKING) {
            t->section_from = t->section_n = 0; /* what stands before thinking is no answer */
        }
        auk_buf_add(&t->text, t->content.p + from, to - from);
        if (!last || (complete && k > 0)) /* thinking that nothing follows never ended */
            auk_buf_puts(&t->text, marks[k].end);
    }
}

void auk_transcript_end(auk_transcript *t, bool complete)
{
    t->section_from = t->section_n = 0;
    auk_buf_clear(&t->text);
    if (t->thinks)
        put_markers(t, complete);
    else
        auk_buf_add(&t->text, t->content.p, t->content.n);
}

const char *auk_transcript_section(const auk_transcript *t)
{
    if (t->section_from == 0)
        return NULL;
    return t->by_tokens ? "token_ids" : "reply";
}
