/* SPDX-License-Identifier: Apache-2.0 */
/* Single shot: the issue and the oracle files in one message, SEARCH/REPLACE blocks back. */
#include "swebench/job.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/time.h"

static const char prompt_head[] =
    "You fix an issue in a repository. You see the issue and the files that must change; there is "
    "nothing else to look at and nothing to run.\n\n";

static const char prompt_tail[] =
    "\nReply with the change as SEARCH/REPLACE blocks, one or more:\n\n"
    "path/to/file.py\n"
    "```python\n"
    "<<<<<<< SEARCH\n"
    "lines of the file, exactly as they are\n"
    "=======\n"
    "the lines that take their place\n"
    ">>>>>>> REPLACE\n"
    "```\n\n"
    "Rules: write the path of a file shown above alone on the line before the block. SEARCH holds "
    "whole lines, copied exactly, indentation included. Besides the lines that change it holds two "
    "or three unchanged lines before and after them, so that it fits one place of the file only; "
    "REPLACE repeats those. If SEARCH fits several places the first one is changed. Keep blocks "
    "small and use several of them rather than one large. Do not edit tests.\n";

/* ---- the prompt --------------------------------------------------------------------------- */

/* A fence longer than any run of backquotes in the text. */
static size_t fence_for(auk_str text)
{
    size_t run = 0, most = 2;

    for (size_t i = 0; i < text.n; i++) {
        run = text.p[i] == '`' ? run + 1 : 0;
        most = run > most ? run : most;
    }
    return most + 1;
}

static void put_fenced(auk_buf *out, auk_str text)
{
    size_t fence = fence_for(text);

    for (size_t i = 0; i < fence; i++)
        auk_buf_putc(out, '`');
    auk_buf_putc(out, '\n');
    auk_buf_add(out, text.p, text.n);
    if (text.n > 0 && text.p[text.n - 1] != '\n')
        auk_buf_putc(out, '\n');
    for (size_t i = 0; i < fence; i++)
        auk_buf_putc(out, '`');
    auk_buf_putc(out, '\n');
}

static int put_file(auk_buf *out, auk_tree *tree, const char *path, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_SOURCE);
    bool exists;

    int rc = auk_tree_read(tree, &text, &exists, path, err);
    if (rc == AUK_OK && !exists)
        rc = auk_fail(err, AUK_ENOTFOUND, "'%s' is not in the tree", path);
    if (rc == AUK_OK) {
        auk_buf_printf(out, "\n%s\n", path);
        put_fenced(out, auk_buf_str(&text));
    }
    auk_buf_release(&text);
    return rc;
}

static int make_prompt(auk_buf *out, auk_tree *tree, const auk_instance *in, auk_err *err)
{
    int rc = AUK_OK;

    auk_buf_puts(out, prompt_head);
    auk_buf_printf(out, "Repository: %s\n\nThe issue:\n", in->repo);
    put_fenced(out, in->issue);
    auk_buf_puts(out, "\nThe files:\n");
    for (size_t i = 0; i < in->n_files && rc == AUK_OK; i++)
        rc = put_file(out, tree, in->files[i], err);
    auk_buf_puts(out, prompt_tail);
    return rc == AUK_OK ? auk_buf_check(out, "a prompt", err) : rc;
}

typedef struct prompt {
    json_t *messages; /* owned; NULL: not ready, which has been said */
    int64_t tok;      /* -1: not counted */
    size_t bytes;
} prompt;

static int prepare(prompt *p, const auk_job *j, const auk_instance *in, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_tree *tree = NULL;

    *p = (prompt){.tok = -1};
    int rc = auk_tree_open(&tree, j->opts->repos, in, err);
    if (rc == AUK_OK)
        rc = make_prompt(&text, tree, in, err);
    auk_tree_close(tree);
    if (rc == AUK_OK) {
        p->bytes = text.n;
        p->messages =
            json_pack("[{s:s, s:s%}]", "role", "user", "content", auk_buf_str(&text).p, text.n);
        if (p->messages == NULL)
            rc = auk_fail(err, AUK_EFORMAT, "the prompt is not UTF-8");
    }
    if (rc == AUK_OK)
        rc = auk_job_count(&p->tok, j, p->messages, err);
    auk_buf_release(&text);
    return rc;
}

/* All prompts; *longest in tokens. */
static int prepare_all(prompt *prompts, int64_t *longest, auk_job *j, auk_err *err)
{
    const auk_swebench_options *o = j->opts;
    uint64_t begin = auk_now_ns();

    *longest = 0;
    for (size_t i = 0; i < j->n; i++) {
        const auk_instance *in = j->subset.p[i];
        auk_err why;
        if (auk_job_has(j, in))
            continue;
        if (o->progress != NULL && o->progress(o->progress_ctx, "prompts", "instances", i, j->n))
            return auk_fail(err, AUK_ECANCEL, "interrupted");
        if (prepare(&prompts[i], j, in, &why) < 0) {
            auk_note(&o->notes, "%s: %s", in->id, why.msg);
            json_decref(prompts[i].messages);
            prompts[i].messages = NULL;
            j->out->failed++;
        } else if (prompts[i].tok > *longest) {
            *longest = prompts[i].tok;
        }
    }
    j->out->prepare_seconds = (double)(auk_now_ns() - begin) / 1e9;
    return AUK_OK;
}

static int write_prompts(const prompt *prompts, const auk_job *j, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    for (size_t i = 0; i < j->n; i++) {
        const auk_instance *in = j->subset.p[i];
        if (prompts[i].messages == NULL)
            continue;
        json_t *files = json_array();
        for (size_t k = 0; k < in->n_files; k++)
            json_array_append_new(files, json_string(in->files[k]));
        json_t *line = json_pack("{s:s, s:o, s:o, s:O}", "instance_id", in->id, "tokens",
                                 prompts[i].tok >= 0 ? json_integer(prompts[i].tok) : json_null(),
                                 "files", files, "messages", prompts[i].messages);
        auk_json_print(&text, line, (auk_json_style){0});
        auk_buf_putc(&text, '\n');
        json_decref(line);
    }
    int rc = auk_buf_check(&text, "the prompts", err);
    if (rc == AUK_OK)
        rc = auk_file_write(j->opts->prompts, auk_buf_str(&text), err);
    auk_buf_release(&text);
    return rc;
}

/* ---- one answer --------------------------------------------------------------------------- */

static json_t *blocks_json(const auk_patch *p, auk_edit_level *most)
{
    json_t *list = json_array();

    *most = AUK_EDIT_NONE;
    for (size_t i = 0; i < p->n_edits; i++) {
        const auk_edit *e = &p->edits[i];
        json_t *v =
            json_pack("{s:s, s:s, s:s}", "file", e->file, "level", auk_edit_level_name(e->level),
                      "status", auk_edit_status_name(e->status));
        if (e->why[0] != 0)
            json_object_set_new(v, "why", json_string(e->why));
        json_array_append_new(list, v);
        if (e->status == AUK_EDIT_APPLIED && e->level > *most)
            *most = e->level;
    }
    return list;
}

static const char *outcome_of(const auk_patch *p, const auk_reply *r, bool overflow)
{
    if (overflow)
        return "overflow";
    if (p->n_edits == 0 && r->text.n == 0)
        return "no_output";
    return auk_patch_outcome(p);
}

/* Text that a server sent may not be UTF-8: then it is not kept as text. */
static json_t *text_json(const auk_buf *b)
{
    json_t *v = json_stringn(auk_buf_str(b).p, b->n);
    return v != NULL ? v : json_string("(not UTF-8)");
}

static json_t *make_trace(const auk_job *j, const prompt *q, const auk_reply *r, const auk_patch *p,
                          bool overflow)
{
    char prompt_sha256[65];
    auk_edit_level most;
    json_t *blocks = blocks_json(p, &most);
    bool cut = r->finish == AUK_CHAT_LENGTH;
    bool looped = r->finish == AUK_CHAT_LOOP ||
                  (cut && auk_text_loops(auk_buf_str(r->text.n > 0 ? &r->text : &r->thinking)));
    json_t *content = json_object_get(json_array_get(q->messages, 0), "content");

    j->out->truncated += cut;
    j->out->looped += looped;
    j->out->overflow += overflow;
    auk_sha256_of(prompt_sha256, json_string_value(content), json_string_length(content));
    return json_pack(
        "{s:s, s:s, s:b, s:b, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:s, s:o, s:o}",
        "outcome", outcome_of(p, r, overflow), "finish_reason",
        overflow ? "overflow" : auk_chat_finish_name(r->finish), "truncated", cut, "looped", looped,
        "level", auk_edit_level_name(most), "blocks", blocks, "files", (json_int_t)p->files,
        "test_files", (json_int_t)p->test_files, "prompt_tok",
        r->prompt_tok >= 0 ? json_integer(r->prompt_tok)
        : q->tok >= 0      ? json_integer(q->tok)
                           : json_null(),
        "completion_tok", r->completion_tok >= 0 ? json_integer(r->completion_tok) : json_null(),
        "reasoning_tok", r->reasoning_tok >= 0 ? json_integer(r->reasoning_tok) : json_null(), "ms",
        (json_int_t)((r->end_ns - r->begun_ns) / 1000000), "attempts", (json_int_t)r->attempts,
        "prompt_sha256", prompt_sha256, "thinking", text_json(&r->thinking), "answer",
        text_json(&r->text));
}

static int make_patch(auk_patch *p, const auk_job *j, const auk_instance *in, const auk_reply *r,
                      auk_err *err)
{
    auk_tree *tree = NULL;
    auk_err why;

    int rc = auk_tree_open(&tree, j->opts->repos, in, err);
    if (rc < 0)
        return rc;
    auk_source source = {.read = auk_tree_read, .ctx = tree};
    if (!j->opts->any_file) {
        source.shown = in->files;
        source.n_shown = in->n_files;
    }
    rc = auk_patch_make(p, auk_buf_str(&r->text), true, j->opts->partial, &source, &why);
    auk_tree_close(tree);
    if (rc == AUK_EFORMAT || rc == AUK_ELIMIT) { /* an answer that is no text, or endless blocks */
        auk_note(&j->opts->notes, "%s: %s", in->id, why.msg);
        *p = (auk_patch){.diff = AUK_BUF_INIT(16), .complete = true};
        rc = AUK_OK;
    } else if (rc < 0) {
        *err = why;
    }
    if (rc == AUK_OK && p->test_files > 0)
        auk_note(&j->opts->notes, "%s: %zu test files are edited; the harness puts its own there",
                 in->id, p->test_files);
    return rc;
}

static int ask(auk_job *j, const auk_instance *in, const prompt *q, auk_err *err)
{
    auk_reply r = {.prompt_tok = -1, .completion_tok = -1, .reasoning_tok = -1};
    auk_patch p = {.diff = AUK_BUF_INIT(16), .complete = true};
    bool failed = false, overflow = q->tok >= 0 && j->context_tok > 0 &&
                                    q->tok + j->opts->max_tokens > j->context_tok;
    int rc = AUK_OK;

    if (!overflow) {
        rc = auk_job_chat(&r, &failed, j, q->messages, j->opts->max_tokens, err);
        overflow = r.failure.kind == AUK_FAILURE_CONTEXT;
    }
    if (rc == AUK_OK && failed)
        j->out->failed++;
    if (rc == AUK_OK && !failed && !overflow)
        rc = make_patch(&p, j, in, &r, err);
    if (rc == AUK_OK && !failed) {
        j->out->prompt_tok += r.prompt_tok > 0 ? (uint64_t)r.prompt_tok : 0;
        j->out->completion_tok += r.completion_tok > 0 ? (uint64_t)r.completion_tok : 0;
        rc = auk_job_keep(j, in, auk_buf_str(&p.diff), make_trace(j, q, &r, &p, overflow), err);
    }
    auk_reply_release(&r);
    auk_patch_release(&p);
    return rc;
}

static int ask_all(auk_job *j, const prompt *prompts, int64_t longest, auk_err *err)
{
    size_t in_a_row = 0;
    int rc = AUK_OK;

    if (j->out->kept == j->n)
        return AUK_OK;
    rc = auk_job_connect(j, longest + j->opts->max_tokens + 16, err);
    if (rc == AUK_OK && j->tok == NULL)
        auk_note(&j->opts->notes,
                 "prompts are not counted before they are sent, for want of "
                 "--tokenizer; what the server refuses as too long is an overflow");
    if (rc == AUK_OK && j->context_tok > 0)
        auk_note(&j->opts->notes,
                 "context %lld tokens, %d of them for the answer: a longer prompt is not cut, its "
                 "instance is an overflow with an empty patch",
                 (long long)j->context_tok, j->opts->max_tokens);
    for (size_t i = 0; i < j->n && rc == AUK_OK; i++) {
        size_t before = j->out->failed;
        if (prompts[i].messages == NULL)
            continue;
        rc = ask(j, j->subset.p[i], &prompts[i], err);
        in_a_row = j->out->failed > before ? in_a_row + 1 : 0;
        if (rc == AUK_OK && in_a_row == 3)
            return auk_fail(err, AUK_EIO,
                            "three instances in a row were not answered; --resume "
                            "tries them again");
    }
    return rc;
}

int auk_swebench_generate(auk_swebench_result *out, const auk_swebench_options *o, auk_err *err)
{
    auk_buf fixed = AUK_BUF_INIT(1 << 16);
    prompt *prompts = NULL;
    auk_job j = {.opts = o, .kind = "generate", .out = out};
    uint64_t begin = auk_now_ns();
    int64_t longest;

    *out = (auk_swebench_result){0};
    auk_buf_puts(&fixed, prompt_head);
    auk_buf_puts(&fixed, prompt_tail);
    j.prompt_text = fixed.p;
    int rc = auk_job_open(&j, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&prompts, j.n + 1, sizeof *prompts, err);
    if (rc == AUK_OK)
        rc = prepare_all(prompts, &longest, &j, err);
    if (rc == AUK_OK && o->prompts != NULL)
        rc = write_prompts(prompts, &j, err);
    else if (rc == AUK_OK)
        rc = ask_all(&j, prompts, longest, err);
    for (size_t i = 0; i < j.n && prompts != NULL; i++)
        json_decref(prompts[i].messages);
    free(prompts);
    auk_job_close(&j);
    auk_buf_release(&fixed);
    out->seconds = (double)(auk_now_ns() - begin) / 1e9;
    return rc;
}
