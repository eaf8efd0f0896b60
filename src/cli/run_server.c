/* SPDX-License-Identifier: Apache-2.0 */
/* run, of a model behind a server. */
#include "cli/run.h"

#include "text/text.h"

#include <math.h>

bool auk_run_is_server(const char *model)
{
    return strstr(model, "://") != NULL;
}

int auk_run_server_usage(const auk_cmd *self, const auk_run_args *a)
{
    if (strcmp(a->precision, "f32") == 0 || a->no_loop_guard)
        return auk_cli_usage(self, "--precision and --no-loop-guard are for a folder: a server "
                                   "decides itself");
    if (a->ctx > 0 && strncmp(a->common.arg[0], "ollama:", 7) != 0)
        return auk_cli_usage(self, "--ctx is for a folder and for ollama: another server's window "
                                   "is fixed when it starts");
    if (a->seed != AUK_RUN_NO_SEED && a->seed > INT64_MAX)
        return auk_cli_usage(self, "option '--seed': a server takes at most %lld",
                             (long long)INT64_MAX);
    return 0;
}

static void on_event(void *ctx, const auk_chat_event *event)
{
    auk_run_printer *p = ctx;

    if (event->kind == AUK_CHAT_THINKING) {
        auk_run_thinking(p, event->text);
    } else if (event->kind == AUK_CHAT_TEXT) {
        auk_run_text(p, event->text);
    } else if (event->kind == AUK_CHAT_CALL) {
        auk_run_call(p, auk_str_of(event->call->name), auk_str_of(event->call->text));
    } else if (event->kind == AUK_CHAT_WAS_THINKING && p->any) {
        auk_run_end(p);
        p->any = false;
        fprintf(stderr, "auklet: the text so far was thinking: the server did not mark its "
                        "beginning\n");
    }
}

static bool on_cancelled(void *ctx)
{
    (void)ctx;
    return auk_cli_interrupted();
}

static void on_retry(void *ctx, const auk_reply *failed, const char *why, uint64_t wait_ms)
{
    const auk_run_args *a = ctx;

    (void)failed;
    if (!a->common.quiet)
        fprintf(stderr, "auklet: %s; trying again in %.1f s\n", why, (double)wait_ms / 1e3);
}

/* " NAME N tokens", or nothing where it is not known. */
static void say_count(const char *name, int64_t n)
{
    if (n >= 0)
        fprintf(stderr, "%s %lld tokens", name, (long long)n);
    else
        fprintf(stderr, "%s of unknown length", name);
}

static uint64_t first_output_ns(const auk_reply *r)
{
    const uint64_t t[] = {r->first_thinking_ns, r->first_text_ns, r->first_call_ns};
    uint64_t first = 0;

    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        if (t[i] > 0 && (first == 0 || t[i] < first))
            first = t[i];
    return first;
}

static void say_finish(const auk_run_args *a, const auk_reply *r, bool cancelled)
{
    uint64_t first = first_output_ns(r);

    if (a->common.quiet)
        return;
    if (cancelled)
        fprintf(stderr, "auklet: stopped\n");
    else if (r->finish == AUK_CHAT_LENGTH)
        fprintf(stderr, "auklet: stopped at the limit of tokens: the answer is cut\n");
    else if (r->finish == AUK_CHAT_LOOP)
        fprintf(stderr, "auklet: stopped: the answer repeated itself\n");
    else if (r->finish == AUK_CHAT_FILTER)
        fprintf(stderr, "auklet: the server refused to go on (content filter)\n");
    if (r->malformed_action)
        fprintf(stderr, "auklet: the model wrote a tool call that cannot be read\n");
    fprintf(stderr, "auklet: ");
    say_count("prompt", r->prompt_tok);
    if (r->cached_tok >= 0)
        fprintf(stderr, " (%lld cached)", (long long)r->cached_tok);
    say_count("; answer", r->completion_tok);
    if (first > 0)
        fprintf(stderr, ", the first after %.2f s", (double)(first - r->begun_ns) / 1e9);
    if (r->end_ns > 0)
        fprintf(stderr, ", %.2f s in all", (double)(r->end_ns - r->begun_ns) / 1e9);
    fprintf(stderr, "\n");
}

int auk_run_server_ask(auk_reply *out, bool *cancelled, auk_client *client, const auk_run_args *a,
                       const json_t *messages, auk_err *err)
{
    auk_run_printer p = auk_run_printer_of(a);
    auk_chat chat = auk_chat_defaults();
    auk_retry retry = auk_retry_defaults();

    chat.messages = messages;
    chat.thinking = a->no_think ? AUK_THINK_OFF : AUK_THINK_DEFAULT;
    chat.max_tokens = a->max_tokens;
    chat.temperature = a->greedy ? 0 : isnan(a->temperature) ? -1 : a->temperature;
    chat.top_p = isnan(a->top_p) ? -1 : a->top_p;
    chat.top_k = a->top_k;
    chat.seed = a->seed != AUK_RUN_NO_SEED ? (int64_t)a->seed : -1;
    chat.event = on_event;
    chat.cancelled = on_cancelled;
    chat.ctx = &p;
    retry.note = on_retry;
    retry.ctx = (void *)(uintptr_t)a;
    int rc = auk_client_chat_retry(out, client, &chat, &retry, err);
    auk_run_leave_thinking(&p);
    auk_run_end(&p);
    *cancelled = rc == AUK_ECANCEL;
    if (*cancelled)
        rc = AUK_OK;
    if (rc == AUK_OK)
        say_finish(a, out, *cancelled);
    return rc;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static json_t *known(int64_t n)
{
    return n >= 0 ? json_integer((json_int_t)n) : json_null();
}

static json_t *calls_json(const auk_reply *r)
{
    json_t *calls = json_array();

    for (size_t i = 0; i < r->n_calls; i++) {
        const auk_chat_call *k = &r->calls[i];
        json_array_append_new(
            calls, json_pack("{s:s, s:s, s:o}", "id", k->id, "name", k->name, "arguments",
                             k->arguments != NULL ? json_incref(k->arguments) : json_null()));
    }
    return calls;
}

static auk_outcome outcome_of(const auk_reply *r)
{
    if (r->malformed_action)
        return AUK_OUTCOME_MALFORMED_ACTION;
    if (r->n_calls > 0)
        return AUK_OUTCOME_TOOL_CALLS;
    if (r->text.n > 0)
        return AUK_OUTCOME_ANSWER;
    return r->thinking.n > 0 && r->finish != AUK_CHAT_STOP ? AUK_OUTCOME_UNCLOSED_THINKING
                                                           : AUK_OUTCOME_EMPTY;
}

int auk_run_server_print(const auk_reply *r, bool cancelled)
{
    bool loop = r->finish == AUK_CHAT_LOOP;
    auk_chat_finish finish = cancelled ? AUK_CHAT_CANCELLED : loop ? AUK_CHAT_LENGTH : r->finish;
    uint64_t first = first_output_ns(r);
    auk_str text = auk_buf_str(&r->text), thinking = auk_buf_str(&r->thinking);
    json_t *details =
        loop ? json_pack("{s:s, s:n}", "type", auk_chat_finish_name(AUK_CHAT_LOOP), "period")
             : json_null();

    return auk_cli_print_json(json_pack(
        "{s:s, s:s%, s:s%, s:o, s:s, s:s, s:o, s:{s:o, s:o, s:o}, s:{s:o, s:o, s:o}}", "schema",
        "auklet.run/1", "text", text.n > 0 ? text.p : "", text.n, "thinking",
        thinking.n > 0 ? thinking.p : "", thinking.n, "tool_calls", calls_json(r), "outcome",
        auk_outcome_name(outcome_of(r)), "finish_reason", auk_chat_finish_name(finish),
        "finish_details", details, "usage", "prompt_tokens", known(r->prompt_tok), "cached_tokens",
        known(r->cached_tok), "completion_tokens", known(r->completion_tok), "timings",
        "prefill_ns", known(r->prefill_ns), "decode_ns", known(r->decode_ns), "first_token_ns",
        known(first > 0 ? (int64_t)(first - r->begun_ns) : -1)));
}
