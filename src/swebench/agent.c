/* SPDX-License-Identifier: Apache-2.0 */
/* One shell command a turn, its output back, until it says that it is done or a limit is reached.
 * The work tree holds the files of the base commit and no history at all: later commits, tags and
 * logs show the fix. */
#include "swebench/job.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"
#include "swebench/stuck.h"

#define FORMAT_ERRORS 3 /* in a row */
#define SENTINEL "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"

static const char prompt_system[] =
    "You are a programmer at a shell. Each of your replies holds exactly one shell command, in one "
    "fenced block that begins with ```bash. It is run with bash in a fresh subshell, always in the "
    "folder of the repository, and you get back its exit code and its output. Nothing but the "
    "files "
    "stays from one command to the next. There is no network, no editor that waits for keys, and "
    "no "
    "git history.";

static const char prompt_task[] =
    "\nFind the cause in the source files, change them so that the issue is solved, and check your "
    "change by running code. Do not change tests. When you are done, and only then, run this "
    "command alone:\n\n```bash\necho " SENTINEL "\n```\n";

static const char say_format[] = "Your reply must hold exactly one command, in one fenced block "
                                 "that begins with ```bash; it had "
                                 "%zu. Reply again, with one.";
static const char say_cut[] =
    "Your reply reached the limit of output tokens before it was complete, so nothing was run. "
    "Think less, and reply with one short command in a ```bash block.";

/* ---- one reply ---------------------------------------------------------------------------- */

static bool is_fence(auk_str line, size_t *ticks)
{
    *ticks = 0;
    while (*ticks < line.n && line.p[*ticks] == '`')
        ++*ticks;
    return *ticks >= 3;
}

static auk_str next_line(auk_str *left)
{
    const char *end = left->n > 0 ? memchr(left->p, '\n', left->n) : NULL;
    auk_str line = {left->p, end != NULL ? (size_t)(end - left->p) : left->n};

    *left = auk_str_from(*left, line.n + (end != NULL));
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* The number of closed bash, sh and shell blocks; the first one's text in *command. */
static size_t find_command(auk_str *command, auk_str text)
{
    size_t n = 0, open = 0, ticks;
    const char *begin = NULL;
    bool shell = false;

    while (text.n > 0) {
        auk_str line = next_line(&text);
        if (!is_fence(line, &ticks))
            continue;
        auk_str info = auk_str_from(line, ticks);
        if (open == 0) {
            open = ticks;
            begin = text.p;
            shell = auk_str_is(info, "bash") || auk_str_is(info, "sh") || auk_str_is(info, "shell");
        } else if (ticks >= open && info.n == 0) {
            if (shell && n++ == 0)
                *command = (auk_str){begin, (size_t)(line.p - begin)};
            open = 0;
        }
    }
    return n;
}

/* ---- one run ------------------------------------------------------------------------------ */

typedef struct episode {
    auk_job *job;
    const auk_instance *in;
    auk_tree *tree;     /* owned */
    auk_workshop *shop; /* owned */
    json_t *messages;   /* owned */
    json_t *turns;      /* owned: what each one cost and did */
    auk_stuck stuck;
    const char *exit; /* "submitted" ...; NULL: it goes on */
    const char *stuck_by;
    size_t steps, format_errors, cut, looped;
    int64_t prompt_tok, completion_tok;
    uint64_t begin_ns;
    bool failed; /* the server: nothing is kept */
} episode;

static void say(episode *e, const char *role, auk_str text)
{
    json_t *v = json_pack("{s:s, s:s%}", "role", role, "content", text.p, text.n);

    json_array_append_new(
        e->messages,
        v != NULL ? v : json_pack("{s:s, s:s}", "role", role, "content", "(not UTF-8)"));
}

static void feed_back(episode *e, const char *text)
{
    say(e, "user", auk_str_of(text));
    if (++e->format_errors >= FORMAT_ERRORS)
        e->exit = "format";
}

static void tell_result(episode *e, const auk_workshop_result *r)
{
    auk_buf text = AUK_BUF_INIT((size_t)1 << 22);

    if (r->timed_out)
        auk_buf_printf(&text, "The command was killed after %d seconds.\n",
                       e->job->opts->command_seconds);
    auk_buf_printf(&text, "<exit_code>%d</exit_code>\n<output>\n%s", r->exit_code, r->output);
    if (text.p[text.n - 1] != '\n')
        auk_buf_putc(&text, '\n');
    auk_buf_puts(&text, "</output>");
    say(e, "user", auk_buf_str(&text));
    auk_buf_release(&text);
}

static bool is_submission(const auk_workshop_result *r)
{
    auk_str out = auk_str_of(r->output);
    size_t n = strlen(SENTINEL);

    while (out.n > 0 && (out.p[0] == '\n' || out.p[0] == ' '))
        out = auk_str_from(out, 1);
    return r->exit_code == 0 && auk_str_starts(out, SENTINEL) && (out.n == n || out.p[n] == '\n');
}

static int run_command(episode *e, auk_str command, json_t *turn, auk_err *err)
{
    auk_workshop_result r;

    if (command.n > AUK_MAX_COMMAND || memchr(command.p, 0, command.n) != NULL) {
        feed_back(e, "The command is too long, or holds a NUL. Reply with a shorter one.");
        return AUK_OK;
    }
    e->format_errors = 0;
    int rc = auk_workshop_run(&r, e->shop, command, err);
    if (rc < 0)
        return rc;
    json_object_set_new(turn, "command", json_stringn(command.p, command.n));
    json_object_set_new(turn, "exit_code", json_integer(r.exit_code));
    json_object_set_new(turn, "timed_out", json_boolean(r.timed_out));
    json_object_set_new(turn, "output_bytes", json_integer((json_int_t)r.output_total));
    json_object_set_new(turn, "seconds", json_real(r.seconds));
    const char *by = auk_stuck_add(&e->stuck, command, r.exit_code, auk_str_of(r.output));
    if (by != NULL && e->stuck_by == NULL)
        e->stuck_by = by;
    tell_result(e, &r);
    if (r.gone)
        e->exit = "workshop_ended";
    else if (is_submission(&r))
        e->exit = "submitted";
    else if (by != NULL && e->job->opts->stuck_stop)
        e->exit = "stuck";
    auk_workshop_result_release(&r);
    return AUK_OK;
}

static int take_reply(episode *e, const auk_reply *r, json_t *turn, auk_err *err)
{
    auk_str command = {"", 0};
    char text[300];

    json_array_append_new(e->messages, auk_reply_message(r));
    if (r->finish == AUK_CHAT_LENGTH || r->finish == AUK_CHAT_LOOP) {
        e->cut += r->finish == AUK_CHAT_LENGTH;
        e->looped += r->finish == AUK_CHAT_LOOP || auk_text_loops(auk_buf_str(&r->text)) ||
                     auk_text_loops(auk_buf_str(&r->thinking));
        feed_back(e, say_cut);
        return AUK_OK;
    }
    size_t n = find_command(&command, auk_buf_str(&r->text));
    if (n != 1) {
        snprintf(text, sizeof text, say_format, n);
        feed_back(e, text);
        return AUK_OK;
    }
    return run_command(e, command, turn, err);
}

static void check_limits(episode *e)
{
    const auk_swebench_options *o = e->job->opts;

    if (e->exit != NULL)
        return;
    if (e->steps >= (size_t)o->steps)
        e->exit = "steps";
    else if (auk_now_ns() - e->begin_ns > (uint64_t)o->seconds * 1000000000u)
        e->exit = "time";
    else if (o->tokens > 0 && e->prompt_tok + e->completion_tok >= o->tokens)
        e->exit = "tokens";
}

static int step(episode *e, auk_err *err)
{
    int64_t tok = -1;
    auk_reply r = {0};

    int rc = auk_job_count(&tok, e->job, e->messages, err);
    if (rc == AUK_OK && tok >= 0 && e->job->context_tok > 0 &&
        tok + e->job->opts->max_tokens > e->job->context_tok) {
        e->exit = "context";
        return AUK_OK;
    }
    if (rc == AUK_OK)
        rc = auk_job_chat(&r, &e->failed, e->job, e->messages, e->job->opts->max_tokens, err);
    if (rc == AUK_OK && r.failure.kind == AUK_FAILURE_CONTEXT)
        e->exit = "context";
    if (rc == AUK_OK && !e->failed && e->exit == NULL) {
        json_t *turn = json_pack(
            "{s:s, s:I, s:I, s:I}", "finish_reason", auk_chat_finish_name(r.finish), "prompt_tok",
            (json_int_t)r.prompt_tok, "completion_tok", (json_int_t)r.completion_tok, "ms",
            (json_int_t)((r.end_ns - r.begun_ns) / 1000000));
        e->steps++;
        e->prompt_tok += r.prompt_tok > 0 ? r.prompt_tok : 0;
        e->completion_tok += r.completion_tok > 0 ? r.completion_tok : 0;
        rc = take_reply(e, &r, turn, err);
        json_array_append_new(e->turns, turn);
        check_limits(e);
    }
    auk_reply_release(&r);
    return rc;
}

/* ---- the patch ---------------------------------------------------------------------------- */

/* One file's diff, checked like any other of ours; what cannot be one is left out. */
static int diff_file(auk_buf *out, const episode *e, const char *path, const json_t *text,
                     auk_err *err)
{
    auk_buf before = AUK_BUF_INIT(AUK_MAX_SOURCE), again = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_str after = auk_json_str(text);
    auk_err why;
    bool exists = false;
    size_t begin = out->n;

    if (auk_edit_path_check(path, &why) < 0 || (after.n > 0 && memchr(after.p, 0, after.n)))
        return AUK_OK;
    if (auk_tree_read(e->tree, &before, &exists, path, &why) < 0 || (!exists && text == NULL)) {
        auk_buf_release(&before);
        return AUK_OK; /* it was no text before */
    }
    auk_str old = auk_buf_str(&before);
    bool deleted = !json_is_string(text);
    if (deleted ? exists : !exists || !auk_str_eq(old, after))
        auk_diff_file(out, path, exists ? &old : NULL, deleted ? NULL : &after);
    int rc = auk_buf_check(out, "a patch", err);
    auk_str diff = {auk_buf_str(out).p + begin, out->n - begin};
    if (rc == AUK_OK && diff.n > 0)
        rc = auk_diff_apply(&again, old, diff, path, err);
    if (rc == AUK_OK && diff.n > 0 && !auk_str_eq(auk_buf_str(&again), after) && !deleted)
        rc = auk_fail(err, AUK_EFORMAT, "the diff of '%s' does not give the edited text", path);
    auk_buf_release(&before);
    auk_buf_release(&again);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int make_diff(auk_buf *out, const episode *e, auk_err *err)
{
    const json_t *changes = auk_workshop_changes(e->shop);
    size_t n = 0, all = json_object_size(changes);
    const char **paths = NULL, *path;
    json_t *text;

    int rc = auk_try_alloc(&paths, all + 1, sizeof *paths, err);
    if (rc < 0)
        return rc;
    json_object_foreach((json_t *)changes, path, text) paths[n++] = path;
    qsort(paths, n, sizeof *paths, by_name);
    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        rc = diff_file(out, e, paths[i], json_object_get(changes, paths[i]), err);
    free(paths);
    return rc;
}

/* ---- an instance -------------------------------------------------------------------------- */

static int put_file(void *ctx, const char *path, bool executable, auk_str text, auk_err *err)
{
    return auk_workshop_put(ctx, path, executable, text, err);
}

static int begin(episode *e, const auk_sandbox *sb, auk_err *err)
{
    auk_workshop_limits limits = auk_workshop_defaults();
    auk_buf task = AUK_BUF_INIT(AUK_MAX_TEXT);

    limits.command_ms = e->job->opts->command_seconds * 1000;
    int rc = auk_tree_open(&e->tree, e->job->opts->repos, e->in, err);
    if (rc == AUK_OK)
        rc = auk_workshop_open(&e->shop, sb, &limits, err);
    if (rc == AUK_OK)
        rc = auk_tree_walk(e->tree, put_file, e->shop, err);
    auk_buf_printf(&task, "The repository is %s. The issue:\n\n<issue>\n", e->in->repo);
    auk_buf_add(&task, e->in->issue.p, e->in->issue.n);
    auk_buf_puts(&task, "\n</issue>\n");
    auk_buf_puts(&task, prompt_task);
    if (rc == AUK_OK)
        rc = auk_buf_check(&task, "a prompt", err);
    say(e, "system", auk_str_of(prompt_system));
    say(e, "user", auk_buf_str(&task));
    auk_buf_release(&task);
    return rc;
}

static int keep(episode *e, auk_err *err)
{
    auk_buf diff = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_swebench_result *out = e->job->out;

    int rc = make_diff(&diff, e, err);
    if (rc == AUK_OK) {
        json_t *trace = json_pack(
            "{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:O, s:O}", "outcome",
            diff.n > 0                        ? "applied"
            : strcmp(e->exit, "context") == 0 ? "overflow"
                                              : "patch_empty",
            "finish_reason", e->exit, "exit", e->exit, "truncated", e->cut > 0, "looped",
            e->looped > 0 || e->stuck_by != NULL, "steps", (json_int_t)e->steps, "prompt_tok",
            (json_int_t)e->prompt_tok, "completion_tok", (json_int_t)e->completion_tok, "ms",
            (json_int_t)((auk_now_ns() - e->begin_ns) / 1000000), "cut_replies", (json_int_t)e->cut,
            "turns", e->turns, "messages", e->messages);
        json_object_set_new(trace, "stuck",
                            e->stuck_by != NULL ? json_string(e->stuck_by) : json_null());
        out->truncated += e->cut > 0;
        out->looped += e->looped > 0 || e->stuck_by != NULL;
        out->overflow += strcmp(e->exit, "context") == 0;
        out->prompt_tok += (uint64_t)e->prompt_tok;
        out->completion_tok += (uint64_t)e->completion_tok;
        rc = auk_job_keep(e->job, e->in, auk_buf_str(&diff), trace, err);
    }
    auk_buf_release(&diff);
    return rc;
}

static int solve(auk_job *j, const auk_instance *in, const auk_sandbox *sb, auk_err *err)
{
    episode e = {.job = j,
                 .in = in,
                 .messages = json_array(),
                 .turns = json_array(),
                 .begin_ns = auk_now_ns()};
    auk_err why;

    int rc = begin(&e, sb, &why);
    if (rc < 0) {
        auk_note(&j->opts->notes, "%s: %s", in->id, why.msg);
        j->out->failed++;
        rc = rc == AUK_ENOTSUP ? auk_fail(err, rc, "%s", why.msg) : AUK_OK;
    } else {
        while (rc == AUK_OK && e.exit == NULL && !e.failed)
            rc = step(&e, err);
        j->out->failed += e.failed;
        if (rc == AUK_OK && !e.failed)
            rc = keep(&e, err);
    }
    auk_workshop_close(e.shop);
    auk_tree_close(e.tree);
    json_decref(e.messages);
    json_decref(e.turns);
    return rc;
}

static int solve_all(auk_job *j, const auk_sandbox *sb, auk_err *err)
{
    size_t in_a_row = 0;
    int rc = AUK_OK;

    for (size_t i = 0; i < j->n && rc == AUK_OK; i++) {
        size_t before = j->out->failed;
        if (auk_job_has(j, j->subset.p[i]))
            continue;
        rc = solve(j, j->subset.p[i], sb, err);
        in_a_row = j->out->failed > before ? in_a_row + 1 : 0;
        if (rc == AUK_OK && in_a_row == 3)
            return auk_fail(err, AUK_EIO,
                            "three instances in a row could not be tried; --resume "
                            "tries them again");
    }
    return rc;
}

int auk_swebench_agent(auk_swebench_result *out, const auk_swebench_options *o, auk_err *err)
{
    auk_buf fixed = AUK_BUF_INIT(1 << 16);
    auk_job j = {.opts = o, .kind = "agent", .out = out};
    uint64_t began = auk_now_ns();
    auk_python *py = NULL;
    auk_sandbox *sb = NULL;

    *out = (auk_swebench_result){0};
    auk_buf_printf(&fixed, "%s%s%s%s", prompt_system, prompt_task, say_format, say_cut);
    j.prompt_text = fixed.p;
    int rc = auk_job_open(&j, err);
    if (rc == AUK_OK)
        rc = auk_python_find(&py, o->python, err);
    if (rc == AUK_OK)
        rc = auk_sandbox_open(&sb, py, &o->sandbox, err);
    if (rc == AUK_OK)
        out->level = auk_level_letter(auk_sandbox_level(sb));
    if (rc == AUK_OK && out->kept < j.n)
        rc = auk_job_connect(&j, o->ctx > 0 ? o->ctx : 32768, err);
    if (rc == AUK_OK)
        rc = solve_all(&j, sb, err);
    auk_sandbox_close(sb);
    auk_python_free(py);
    auk_job_close(&j);
    auk_buf_release(&fixed);
    out->seconds = (double)(auk_now_ns() - began) / 1e9;
    return rc;
}
