/* SPDX-License-Identifier: Apache-2.0 */
/* run: one prompt, standard input, or a chat. */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"
#include "cli/machine.h"
#include "cli/run.h"
#include "cli/target.h"

#include <histedit.h>
#include <math.h>
#include <unistd.h>

#define DEFAULT_CTX 32768

static const auk_opt options[] = {
    {"system", AUK_OPT_STR, offsetof(auk_run_args, system_text), "TEXT",
     "a system message before the chat"},
    {"max-tokens", AUK_OPT_INT, offsetof(auk_run_args, max_tokens), "N",
     "longest answer, thinking included (default: what the context holds)"},
    {"temperature", AUK_OPT_REAL, offsetof(auk_run_args, temperature), "T",
     "default 1, the vendor's (a server: its own); 0 is greedy"},
    {"top-p", AUK_OPT_REAL, offsetof(auk_run_args, top_p), "P",
     "default 0.95, the vendor's (a server: its own)"},
    {"top-k", AUK_OPT_INT, offsetof(auk_run_args, top_k), "K", "default 0: no limit"},
    {"seed", AUK_OPT_U64, offsetof(auk_run_args, seed), "N",
     "of the random numbers (default: from the clock, and said with --verbose)"},
    {"greedy", AUK_OPT_FLAG, offsetof(auk_run_args, greedy), NULL,
     "always the most probable token"},
    {"no-think", AUK_OPT_FLAG, offsetof(auk_run_args, no_think), NULL,
     "answer without thinking (North does this badly without --system)"},
    {"ctx", AUK_OPT_INT, offsetof(auk_run_args, ctx), "N",
     "positions to reserve memory for (default 32768, at most the model's)"},
    {"precision", AUK_OPT_STR, offsetof(auk_run_args, precision), "P",
     "bf16 (default): as the published model; f32: nothing rounded"},
    {"no-loop-guard", AUK_OPT_FLAG, offsetof(auk_run_args, no_loop_guard), NULL,
     "do not stop an answer that repeats itself"},
    {"show-thinking", AUK_OPT_FLAG, offsetof(auk_run_args, show_thinking), NULL,
     "print thinking on stderr also when it is not a terminal"},
    {0},
};

/* ---- the screen --------------------------------------------------------------------------- */

static void write_text(int fd, auk_str s)
{
    fwrite(s.p, 1, s.n, fd == 1 ? stdout : stderr);
    fflush(fd == 1 ? stdout : stderr);
}

void auk_run_leave_thinking(auk_run_printer *p)
{
    if (p->in_thinking)
        fprintf(stderr, p->dim ? "\033[0m\n" : "\n");
    p->in_thinking = false;
}

void auk_run_thinking(auk_run_printer *p, auk_str text)
{
    if (!p->stream || !p->thinking_shown)
        return;
    if (!p->in_thinking && p->dim)
        fprintf(stderr, "\033[2m");
    p->in_thinking = true;
    write_text(2, text);
}

void auk_run_text(auk_run_printer *p, auk_str text)
{
    if (!p->stream || text.n == 0)
        return;
    auk_run_leave_thinking(p);
    write_text(1, text);
    p->any = true;
    p->ends_in_newline = text.p[text.n - 1] == '\n';
}

void auk_run_call(auk_run_printer *p, auk_str name, auk_str arguments)
{
    if (!p->stream)
        return;
    auk_run_leave_thinking(p);
    printf("[tool call] %.*s %.*s\n", AUK_ARG(name), AUK_ARG(arguments));
    p->any = p->ends_in_newline = true;
}

void auk_run_end(auk_run_printer *p)
{
    if (p->any && !p->ends_in_newline)
        printf("\n");
    p->ends_in_newline = true;
    fflush(stdout);
}

auk_run_printer auk_run_printer_of(const auk_run_args *a)
{
    return (auk_run_printer){.a = a,
                             .stream = !a->common.json,
                             .dim = auk_cli_color(&a->common, 2),
                             .thinking_shown = (isatty(2) || a->show_thinking) && !a->common.quiet};
}

static void on_event(void *ctx, const auk_parser_event *event)
{
    auk_run_printer *p = ctx;

    if (event->kind == AUK_EVENT_THINKING) {
        auk_run_thinking(p, event->text);
    } else if (event->kind == AUK_EVENT_TEXT) {
        auk_run_text(p, event->text);
    } else if (event->kind == AUK_EVENT_CALL) {
        auk_buf line = AUK_BUF_INIT(AUK_MAX_CALL);
        auk_json_print(&line, event->call->arguments, (auk_json_style){0});
        auk_run_call(p, event->call->name, auk_buf_str(&line));
        auk_buf_release(&line);
    }
}

static void on_forced(void *ctx, int period)
{
    auk_run_printer *p = ctx;

    auk_run_leave_thinking(p);
    if (!p->a->common.quiet)
        fprintf(stderr,
                "auklet: thinking repeated a block of %d tokens; closed it to get an answer\n",
                period);
}

static bool on_cancelled(void *ctx)
{
    (void)ctx;
    return auk_cli_interrupted();
}

static void say_finish(const auk_run_args *a, const auk_generate_result *r)
{
    double prefill = (double)r->prefill_ns / 1e9, decode = (double)r->decode_ns / 1e9;
    size_t read = r->prompt_tokens - r->cached_tokens;
    size_t steps = r->completion_tokens > 1 ? r->completion_tokens - 1 : 0;

    if (a->common.quiet)
        return;
    if (r->finish == AUK_FINISH_LOOP)
        fprintf(stderr, "auklet: stopped: the answer repeated a block of %d tokens\n",
                r->loop_period);
    else if (r->finish == AUK_FINISH_LENGTH)
        fprintf(stderr, "auklet: stopped at the limit of %zu tokens: the answer is cut\n",
                r->completion_tokens);
    else if (r->finish == AUK_FINISH_CANCEL)
        fprintf(stderr, "auklet: stopped\n");
    if (r->parsed.outcome == AUK_OUTCOME_MALFORMED_ACTION)
        fprintf(stderr, "auklet: the model wrote a tool call that cannot be read\n");
    fprintf(stderr,
            "auklet: prompt %zu tokens (%zu cached) in %.2f s, %.1f tok/s; answer %zu tokens in "
            "%.2f s, %.1f tok/s\n",
            r->prompt_tokens, r->cached_tokens, prefill, prefill > 0 ? (double)read / prefill : 0,
            r->completion_tokens, decode, decode > 0 ? (double)steps / decode : 0);
}

/* A loop is reported as clients know it: the length was reached, with the details beside it. */
static json_t *finish_json(const auk_generate_result *r)
{
    if (r->finish != AUK_FINISH_LOOP)
        return json_null();
    return json_pack("{s:s, s:i}", "type", auk_finish_name(r->finish), "period", r->loop_period);
}

static int print_result(const auk_generate_result *r)
{
    const char *finish =
        auk_finish_name(r->finish == AUK_FINISH_LOOP ? AUK_FINISH_LENGTH : r->finish);
    json_t *parsed;

    if (r->parsed.n_calls > 0 && r->finish == AUK_FINISH_STOP)
        finish = "tool_calls";
    auk_parsed_json(&parsed, &r->parsed);
    json_t *out = json_pack(
        "{s:s, s:s%, s:s%, s:O, s:O, s:s, s:o, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "schema",
        "auklet.run/1", "text", r->parsed.text.n ? r->parsed.text.p : "", r->parsed.text.n,
        "thinking", r->parsed.thinking.n ? r->parsed.thinking.p : "", r->parsed.thinking.n,
        "tool_calls", json_object_get(parsed, "tool_calls"), "outcome",
        json_object_get(parsed, "outcome"), "finish_reason", finish, "finish_details",
        finish_json(r), "usage", "prompt_tokens", (json_int_t)r->prompt_tokens, "cached_tokens",
        (json_int_t)r->cached_tokens, "completion_tokens", (json_int_t)r->completion_tokens,
        "timings", "prefill_ns", (json_int_t)r->prefill_ns, "decode_ns", (json_int_t)r->decode_ns,
        "first_token_ns", (json_int_t)r->first_token_ns);
    json_decref(parsed);
    return auk_cli_print_json(out);
}

/* One conversation: the request that grows and the session that remembers. */
typedef struct chat {
    const auk_run_args *a;
    auk_client *client;   /* borrowed; NULL: a folder */
    auk_engine *engine;   /* owned */
    auk_session *session; /* owned */
    json_t *request;      /* owned */
    auk_ids history;      /* owned: the finished turns as they were read and written; or empty */
    uint64_t seed;
} chat;

static int add_message(chat *c, const char *role, auk_str text, auk_err *err)
{
    json_t *content = json_stringn(text.p, text.n);

    if (content == NULL)
        return auk_fail(err, AUK_EFORMAT, "the %s text is not UTF-8", role);
    return json_array_append_new(json_object_get(c->request, "messages"),
                                 json_pack("{s:s, s:o}", "role", role, "content", content)) == 0
               ? AUK_OK
               : auk_fail(err, AUK_ENOMEM, "cannot keep the message");
}

/* What the model said becomes part of the conversation, thinking included (the vendor advises
 * to pass it back). */
static void remember(chat *c, const auk_parsed *p)
{
    json_t *m = json_pack("{s:s, s:o}", "role", "assistant", "content",
                          json_stringn(p->text.n ? p->text.p : "", p->text.n));

    if (p->thinking.n > 0)
        json_object_set_new(m, "thinking", json_stringn(p->thinking.p, p->thinking.n));
    json_array_append_new(json_object_get(c->request, "messages"), m);
}

/* The prompt's ids.  Finished turns keep the ids they had: what the model wrote need not be how
 * the tokenizer would spell it, and a cache holds what was written.  So the prompt is the history
 * and, of the whole conversation's rendering, what follows the finished turns. */
static int make_prompt(auk_ids *out, chat *c, const auk_tokenizer *tok, auk_err *err)
{
    json_t *messages = json_object_get(c->request, "messages");
    auk_ids all = {0}, finished = {0};
    json_t *before = json_copy(c->request), *first = json_copy(messages);

    json_array_remove(first, json_array_size(first) - 1); /* the new question */
    json_object_set_new(before, "messages", first);
    json_object_set_new(before, "add_generation_prompt", json_false());
    int rc = auk_render_ids(&all, tok, c->request, err);
    if (rc == AUK_OK && c->history.n > 0)
        rc = auk_render_ids(&finished, tok, before, err);
    bool extends = c->history.n > 0 && finished.n < all.n;
    for (size_t i = 0; extends && i < finished.n; i++)
        extends = finished.p[i] == all.p[i];
    for (size_t i = 0; extends && i < c->history.n && rc == AUK_OK; i++)
        rc = auk_ids_add(out, c->history.p[i], err);
    for (size_t i = extends ? finished.n : 0; i < all.n && rc == AUK_OK; i++)
        rc = auk_ids_add(out, all.p[i], err);
    json_decref(before);
    auk_ids_release(&all);
    auk_ids_release(&finished);
    return rc;
}

/* After a turn the model ended itself; a turn that was cut is rendered anew next time. */
static int keep_history(chat *c, const auk_ids *prompt, const auk_generate_result *r, auk_err *err)
{
    int rc = AUK_OK;

    auk_ids_clear(&c->history);
    if (r->finish != AUK_FINISH_STOP)
        return AUK_OK;
    for (size_t i = 0; i < prompt->n && rc == AUK_OK; i++)
        rc = auk_ids_add(&c->history, prompt->p[i], err);
    for (size_t i = 0; i < r->ids.n && rc == AUK_OK; i++)
        rc = auk_ids_add(&c->history, r->ids.p[i], err);
    return rc;
}

static int answer(chat *c, auk_run_printer *p, auk_generate_result *r, auk_err *err)
{
    const auk_run_args *a = c->a;
    const auk_tokenizer *tok;
    auk_ids ids = {0};
    auk_generate_options opts = {.max_tokens = a->max_tokens,
                                 .reasoning = !a->no_think,
                                 .loop_guard = !a->no_loop_guard,
                                 .cancelled = on_cancelled,
                                 .event = on_event,
                                 .forced = on_forced,
                                 .ctx = p};

    opts.sample = auk_sample_defaults();
    if (a->greedy || !isnan(a->temperature))
        opts.sample.temperature = a->greedy ? 0 : (float)a->temperature;
    if (!isnan(a->top_p))
        opts.sample.top_p = (float)a->top_p;
    opts.sample.top_k = a->top_k;
    opts.sample.seed = c->seed;
    int rc = auk_engine_tokenizer(&tok, c->engine, err);
    if (rc == AUK_OK)
        rc = make_prompt(&ids, c, tok, err);
    if (rc == AUK_OK)
        rc = auk_generate(r, c->engine, c->session, ids.p, ids.n, &opts, err);
    if (rc == AUK_OK)
        rc = keep_history(c, &ids, r, err);
    auk_run_leave_thinking(p);
    auk_ids_release(&ids);
    return rc;
}

/* The last message to the server; its answer becomes part of the conversation. */
static int ask_server(chat *c, auk_err *err)
{
    json_t *messages = json_object_get(c->request, "messages");
    auk_reply r;
    bool cancelled;

    int rc = auk_run_server_ask(&r, &cancelled, c->client, c->a, messages, err);
    if (rc == AUK_OK) {
        json_array_append_new(messages, auk_reply_message(&r));
        rc = c->a->common.json ? auk_run_server_print(&r, cancelled) : 0;
        rc = cancelled ? 130 : rc;
    }
    auk_reply_release(&r);
    return rc;
}

static int one_prompt(chat *c, auk_str text, auk_err *err)
{
    auk_run_printer p = auk_run_printer_of(c->a);
    auk_generate_result r;

    int rc = add_message(c, "user", text, err);
    if (rc == AUK_OK && c->client != NULL)
        return ask_server(c, err);
    if (rc == AUK_OK)
        rc = answer(c, &p, &r, err);
    if (rc < 0)
        return rc;
    auk_run_end(&p);
    say_finish(c->a, &r);
    int status = c->a->common.json ? print_result(&r) : 0;
    bool cancelled = r.finish == AUK_FINISH_CANCEL;
    auk_generate_release(&r);
    return cancelled ? 130 : status;
}

static const char *prompt_text(EditLine *editor)
{
    (void)editor;
    return "> ";
}

/* Commands of the chat; true when the line was one. */
static bool chat_command(chat *c, auk_str line, bool *end)
{
    auk_err err;

    if (auk_str_is(line, "/exit") || auk_str_is(line, "/quit")) {
        *end = true;
    } else if (auk_str_is(line, "/new")) {
        json_t *messages = json_object_get(c->request, "messages");
        json_array_clear(messages);
        auk_ids_clear(&c->history);
        if (c->session != NULL)
            auk_session_clear(c->session);
        if (c->a->system_text != NULL && /* the setting stays, the talk goes */
            add_message(c, "system", auk_str_of(c->a->system_text), &err) < 0)
            fprintf(stderr, "auklet: %s\n", err.msg);
        fprintf(stderr, "auklet: a new conversation\n");
    } else if (auk_str_is(line, "/help")) {
        fprintf(stderr, "/new forgets the conversation, /exit (or Ctrl-D) ends; Ctrl-C stops an "
                        "answer\n");
    } else {
        return false;
    }
    return true;
}

static void chat_turn(chat *c, auk_str line)
{
    auk_run_printer p = auk_run_printer_of(c->a);
    auk_generate_result r;
    auk_err err;

    auk_cli_reset_interrupt();
    size_t before = json_array_size(json_object_get(c->request, "messages"));
    int rc = add_message(c, "user", line, &err);
    if (rc == AUK_OK)
        rc = c->client != NULL ? ask_server(c, &err) : answer(c, &p, &r, &err);
    if (rc < 0) { /* the turn is taken back, the chat goes on */
        json_t *messages = json_object_get(c->request, "messages");
        while (json_array_size(messages) > before)
            json_array_remove(messages, before);
        fprintf(stderr, "auklet: %s\n", err.msg);
        return;
    }
    if (c->client != NULL)
        return;
    auk_run_end(&p);
    say_finish(c->a, &r);
    remember(c, &r.parsed);
    auk_generate_release(&r);
    c->seed++;
}

static int interactive(chat *c)
{
    EditLine *editor = el_init("auklet", stdin, stdout, stderr);
    History *past = history_init();
    HistEvent event;
    const char *text;
    bool end = false;
    int n;

    fprintf(stderr, "auklet: a chat with '%s'; /help explains, Ctrl-D ends\n", c->a->common.arg[0]);
    history(past, &event, H_SETSIZE, 1000);
    el_set(editor, EL_PROMPT, prompt_text);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_SIGNAL, 0);
    el_set(editor, EL_HIST, history, past);
    while (!end) {
        text = el_gets(editor, &n);
        if (text == NULL && auk_cli_interrupted()) { /* Ctrl-C at the prompt: an empty line */
            auk_cli_reset_interrupt();
            fprintf(stderr, "\n");
            continue;
        }
        if (text == NULL || n <= 0)
            break;
        auk_str line = {text, (size_t)n};
        while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == ' '))
            line.n--;
        if (line.n == 0)
            continue;
        history(past, &event, H_ENTER, text);
        if (!chat_command(c, line, &end))
            chat_turn(c, line);
    }
    history_end(past);
    el_end(editor);
    return 0;
}

/* Memory is reserved when a session begins; what does not fit is refused with the numbers. */
static int check_memory(const auk_engine *e, int ctx, auk_err *err)
{
    uint64_t need = auk_session_bytes(e, ctx), have = auk_machine_available();
    char need_text[32], have_text[32];

    if (need <= have)
        return AUK_OK;
    auk_bytes_print(need_text, sizeof need_text, need);
    auk_bytes_print(have_text, sizeof have_text, have);
    return auk_fail(err, AUK_ELIMIT,
                    "a context of %d needs %s beside the weights and %s are available: lower --ctx",
                    ctx, need_text, have_text);
}

static int open_chat(chat *c, const auk_run_args *a, auk_err *err)
{
    auk_engine_options opts = {.threads = a->common.threads};
    bool known = false;

    c->a = a;
    c->seed = a->seed != AUK_RUN_NO_SEED ? a->seed : auk_now_ns();
    if (a->common.verbose && !a->greedy)
        fprintf(stderr, "auklet: seed %llu\n", (unsigned long long)c->seed);
    c->request = json_pack("{s:[], s:b}", "messages", "reasoning", !a->no_think);
    opts.precision = strcmp(a->precision, "f32") == 0 ? AUK_PRECISION_F32 : AUK_PRECISION_BF16;
    int rc = auk_cli_cpu(&opts.cpu_flags, &a->common, err);
    if (rc == AUK_OK)
        rc = auk_engine_open(&c->engine, a->common.arg[0], &opts, err);
    if (rc == AUK_OK)
        rc = auk_template_check(a->common.arg[0], &known, err);
    if (rc < 0)
        return rc;
    if (!known && !a->common.quiet)
        fprintf(stderr, "auklet: '%s' has no chat_template.jinja of North's form; using North's\n",
                a->common.arg[0]);
    int ctx = a->ctx > 0 ? a->ctx : DEFAULT_CTX;
    if (a->ctx == 0 && ctx > auk_engine_max_context(c->engine))
        ctx = auk_engine_max_context(c->engine);
    rc = check_memory(c->engine, ctx, err);
    if (rc == AUK_OK)
        rc = auk_session_new(&c->session, c->engine, ctx, err);
    if (rc == AUK_OK && a->system_text != NULL)
        rc = add_message(c, "system", auk_str_of(a->system_text), err);
    return rc;
}

static int open_server(chat *c, auk_cli_target *t, const auk_run_args *a, auk_err *err)
{
    c->a = a;
    c->request = json_pack("{s:[]}", "messages");
    int rc = auk_cli_target_open(t, a->common.arg[0], a->ctx, &a->common, err);
    if (rc == AUK_OK)
        c->client = t->client;
    if (rc == AUK_OK && a->system_text != NULL)
        rc = add_message(c, "system", auk_str_of(a->system_text), err);
    return rc;
}

static int read_stdin(auk_buf *out, auk_err *err)
{
    char chunk[65536];
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        auk_buf_add(out, chunk, n);
    while (out->n > 0 && out->p[out->n - 1] == '\n')
        out->n--;
    int rc = auk_buf_check(out, "standard input", err);
    if (rc == AUK_OK && out->n == 0)
        rc = auk_fail(err, AUK_EINVAL, "standard input is empty: give a prompt");
    return rc;
}

static int run_chat(chat *c, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    int rc = AUK_OK;

    if (c->a->common.n_args > 1 && c->a->common.arg[1][0] == 0) {
        rc = auk_fail(err, AUK_EINVAL, "the prompt is empty");
    } else if (c->a->common.n_args > 1) {
        rc = one_prompt(c, auk_str_of(c->a->common.arg[1]), err);
    } else if (isatty(0) && !c->a->common.json) {
        rc = interactive(c);
    } else {
        rc = read_stdin(&text, err);
        if (rc == AUK_OK)
            rc = one_prompt(c, auk_buf_str(&text), err);
    }
    auk_buf_release(&text);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    auk_run_args a = {
        .temperature = NAN, .top_p = NAN, .precision = "bf16", .seed = AUK_RUN_NO_SEED};
    chat c = {0};
    auk_cli_target server = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (strcmp(a.precision, "f32") != 0 && strcmp(a.precision, "bf16") != 0)
        return auk_cli_usage(self, "option '--precision': '%s' is neither f32 nor bf16",
                             a.precision);
    if (a.max_tokens < 0 || a.ctx < 0)
        return auk_cli_usage(self, "--max-tokens and --ctx are not negative");
    if (a.temperature < 0 || a.temperature > 100)
        return auk_cli_usage(self, "option '--temperature': %g is not within 0 to 100",
                             a.temperature);
    if (a.top_p <= 0 || a.top_p > 1)
        return auk_cli_usage(self, "option '--top-p': %g is not above 0 and at most 1", a.top_p);
    if (a.top_k < 0)
        return auk_cli_usage(self, "option '--top-k': %d is negative", a.top_k);
    bool is_server = auk_run_is_server(a.common.arg[0]);
    status = is_server ? auk_run_server_usage(self, &a) : 0;
    if (status != 0)
        return status;
    auk_cli_catch_interrupt();
    int rc = is_server ? open_server(&c, &server, &a, &err) : open_chat(&c, &a, &err);
    if (rc == AUK_OK)
        rc = run_chat(&c, &err);
    auk_session_free(c.session);
    auk_engine_close(c.engine);
    auk_cli_target_close(&server);
    auk_ids_release(&c.history);
    json_decref(c.request);
    return rc < 0 ? auk_cli_fail(&err) : rc;
}

const auk_cmd auk_cmd_run = {
    .name = "run",
    .run = run,
    .usage = "run MODEL [PROMPT] [options]",
    .summary = "answer a prompt, standard input, or chat; the answer streams to stdout",
    .examples =
        "  auklet run data/miniature \"Write a function that adds two numbers.\"\n"
        "  auklet run MODEL < question.txt > answer.txt\n"
        "  auklet run ollama:http://127.0.0.1:11434/name \"Hello\"   # or openai:, anthropic:\n"
        "  auklet run MODEL                      # a chat; Ctrl-C stops an answer\n",
    .options = options,
    .min_args = 1,
    .max_args = 2,
};
