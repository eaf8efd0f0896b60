/* SPDX-License-Identifier: Apache-2.0 */
/* From an answer to a program, each step told in a trace.  The rules are numbered as in
 * docs/eval.md, "Extraction". */
#include "eval/eval.h"

#include "base/limits.h"
#include "base/mem.h"
#include "eval/answer.h"

#define MAX_SUBSETS_OF 10 /* blocks of which every selection is tried; of more, every run */

const char *auk_extract_status_name(auk_extract_status s)
{
    static const char *const names[] = {"ok", "truncated", "no_code"};
    return names[s];
}

bool auk_finish_is_loop(auk_str finish)
{
    return auk_str_is(finish, "repetition_guard") || auk_str_is(finish, "loop");
}

bool auk_finish_is_cut(auk_str finish)
{
    return auk_str_is(finish, "length") || auk_str_is(finish, "max_tokens") ||
           auk_finish_is_loop(finish);
}

typedef struct block {
    auk_fence fence;
    bool used;
} block;

typedef enum method { FENCES, WHOLE, LINES, NOTHING } method;

typedef struct work {
    const auk_extract_input *in;
    const auk_syntax *syntax;
    block *blocks; /* owned: all fenced blocks */
    size_t n_blocks;
    size_t *code; /* owned: which of them are looked at */
    size_t n_code;
    auk_buf text; /* the code without the prompt */
    method method;
    bool selected;          /* not all blocks: the longest selection that works */
    bool compiles, defines; /* `text` alone */
    bool is_body, prepended;
} work;

static const auk_str nothing = {"", 0};

/* ---- asking Python ------------------------------------------------------------------------ */

static int check(work *w, bool *compiles, bool *defines, auk_str text, auk_err *err)
{
    return w->syntax->check(w->syntax->ctx, compiles, defines, text, w->in->entry_point, err);
}

/* prompt, a line's end where one is missing (not before a body: the prompt decides), text */
static void put_behind_prompt(auk_buf *out, auk_str prompt, auk_str text, bool own_line)
{
    auk_buf_add(out, prompt.p, prompt.n);
    if (own_line && prompt.n > 0 && prompt.p[prompt.n - 1] != '\n')
        auk_buf_putc(out, '\n');
    auk_buf_add(out, text.p, text.n);
}

static int works_as_body(work *w, bool *yes, auk_str text, auk_err *err)
{
    auk_buf whole = AUK_BUF_INIT(AUK_MAX_TEXT);
    bool compiles = false, defines = false;

    *yes = false;
    if (w->in->prompt.n == 0)
        return AUK_OK;
    put_behind_prompt(&whole, w->in->prompt, text, false);
    int rc = auk_buf_check(&whole, "the program", err);
    if (rc == AUK_OK)
        rc = check(w, &compiles, &defines, auk_buf_str(&whole), err);
    *yes = compiles && defines;
    auk_buf_release(&whole);
    return rc;
}

/* ---- A2.5: the blocks --------------------------------------------------------------------- */

static void put_block(auk_buf *out, const auk_fence *f)
{
    auk_str line;
    size_t at = 0;

    if (f->indent == 0) {
        auk_buf_add(out, f->text.p, f->text.n);
        return;
    }
    for (bool first = true; auk_line_next(&line, f->text, &at); first = false) {
        size_t cut = 0;
        while (cut < f->indent && cut < line.n && line.p[cut] == ' ')
            cut++;
        if (!first)
            auk_buf_putc(out, '\n');
        auk_buf_add(out, line.p + cut, line.n - cut);
    }
}

/* The chosen blocks with a line's end between them. */
static int join(auk_buf *out, const work *w, const bool *chosen, auk_err *err)
{
    bool first = true;

    auk_buf_clear(out);
    for (size_t i = 0; i < w->n_code; i++) {
        if (chosen != NULL && !chosen[i])
            continue;
        if (!first)
            auk_buf_putc(out, '\n');
        put_block(out, &w->blocks[w->code[i]].fence);
        first = false;
    }
    return auk_buf_check(out, "the program", err);
}

/* Tries one selection and keeps it in `best` when it is the longest that works so far. */
static int try_selection(work *w, bool *best, size_t *best_n, const bool *chosen, bool as_body,
                         auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    bool compiles = false, works = false;

    int rc = join(&text, w, chosen, err);
    if (rc == AUK_OK && text.n > *best_n) {
        if (as_body)
            rc = works_as_body(w, &works, auk_buf_str(&text), err);
        else
            rc = check(w, &compiles, &works, auk_buf_str(&text), err);
        if (rc == AUK_OK && works) {
            *best_n = text.n;
            memcpy(best, chosen, w->n_code * sizeof *best);
        }
    }
    auk_buf_release(&text);
    return rc;
}

static int try_selections(work *w, bool *best, size_t *best_n, bool as_body, auk_err *err)
{
    bool *chosen = auk_alloc(w->n_code * sizeof *chosen);
    size_t n = w->n_code;
    int rc = AUK_OK;

    if (n <= MAX_SUBSETS_OF) {
        for (unsigned mask = 1; mask < 1u << n && rc == AUK_OK; mask++) {
            for (size_t i = 0; i < n; i++)
                chosen[i] = mask >> i & 1;
            rc = try_selection(w, best, best_n, chosen, as_body, err);
        }
    } else if (n <= 64) {
        for (size_t lo = 0; lo < n && rc == AUK_OK; lo++)
            for (size_t hi = lo + 1; hi <= n && rc == AUK_OK; hi++) {
                for (size_t i = 0; i < n; i++)
                    chosen[i] = i >= lo && i < hi;
                rc = try_selection(w, best, best_n, chosen, as_body, err);
            }
    }
    free(chosen);
    return rc;
}

static int choose_blocks(work *w, auk_err *err)
{
    bool body = false;
    size_t best_n = 0;

    int rc = join(&w->text, w, NULL, err);
    if (rc == AUK_OK)
        rc = check(w, &w->compiles, &w->defines, auk_buf_str(&w->text), err);
    if (rc == AUK_OK && !w->compiles)
        rc = works_as_body(w, &body, auk_buf_str(&w->text), err);
    bool *best = auk_alloc(w->n_code * sizeof *best + 1);
    for (size_t i = 0; i < w->n_code; i++)
        best[i] = true;
    if (rc == AUK_OK && !w->compiles && !body && w->n_code > 1) {
        rc = try_selections(w, best, &best_n, false, err);
        if (rc == AUK_OK && best_n == 0)
            rc = try_selections(w, best, &best_n, true, err);
        w->selected = best_n > 0;
        if (rc == AUK_OK && w->selected)
            rc = join(&w->text, w, best, err);
        if (rc == AUK_OK && w->selected)
            rc = check(w, &w->compiles, &w->defines, auk_buf_str(&w->text), err);
    }
    for (size_t i = 0; i < w->n_code; i++)
        w->blocks[w->code[i]].used = best[i];
    free(best);
    return rc;
}

/* Every block is remembered for the trace; code is what its info word does not deny and, where
 * the answer was cut, what was closed. */
static int read_blocks(work *w, auk_str section, auk_err *err)
{
    auk_fence fence;
    size_t n = 0;

    for (size_t at = 0; auk_fence_next(&fence, section, &at);)
        n++;
    int rc = auk_try_alloc(&w->blocks, n, sizeof *w->blocks, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&w->code, n, sizeof *w->code, err);
    if (rc < 0)
        return rc;
    for (size_t at = 0; auk_fence_next(&fence, section, &at);) {
        w->blocks[w->n_blocks] = (block){.fence = fence};
        if (fence.is_code && (fence.closed || !w->in->cut))
            w->code[w->n_code++] = w->n_blocks;
        w->n_blocks++;
    }
    return AUK_OK;
}

/* ---- A2.6: no fence ----------------------------------------------------------------------- */

static bool begins_code(auk_str line)
{
    static const char *const words[] = {"import", "from", "def", "class"};

    if (line.n > 0 && line.p[0] == '@')
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (auk_str_starts(line, words[i]) &&
            (line.n == n || line.p[n] == ' ' || line.p[n] == '\t'))
            return true;
    }
    return false;
}

static int read_unfenced(work *w, auk_str section, auk_err *err)
{
    auk_str line;
    bool compiles = false, defines = false, body = false;
    size_t at = 0, before = 0;

    int rc = check(w, &compiles, &defines, section, err);
    if (rc < 0)
        return rc;
    if (!(compiles && defines && section.n > 0)) {
        while (before = at, auk_line_next(&line, section, &at))
            if (begins_code(line))
                break;
        if (before < section.n) {
            w->method = LINES;
            section = auk_str_from(section, before);
            rc = check(w, &compiles, &defines, section, err);
        } else {
            rc = works_as_body(w, &body, section, err);
            w->method = body ? WHOLE : NOTHING;
        }
    } else {
        w->method = WHOLE;
    }
    w->compiles = compiles;
    w->defines = defines;
    if (w->method != NOTHING)
        auk_buf_add(&w->text, section.p, section.n);
    return rc;
}

/* ---- A2.7: with or without the prompt ----------------------------------------------------- */

/* "def entry" or "async def entry" at the beginning of a line: a whole function, even where a
 * mistake keeps it from compiling. */
static bool has_def(auk_str text, auk_str entry)
{
    auk_str line;
    size_t at = 0;

    while (auk_line_next(&line, text, &at)) {
        if (auk_str_starts(line, "async "))
            line = auk_str_from(line, 6);
        if (!auk_str_starts(line, "def "))
            continue;
        line = auk_str_from(line, 4);
        while (line.n > 0 && line.p[0] == ' ')
            line = auk_str_from(line, 1);
        if (entry.n > 0 && line.n > entry.n && memcmp(line.p, entry.p, entry.n) == 0 &&
            (line.p[entry.n] == '(' || line.p[entry.n] == ' '))
            return true;
    }
    return false;
}

static int assemble(auk_buf *program, work *w, auk_err *err)
{
    const auk_extract_input *in = w->in;
    auk_str text = auk_buf_str(&w->text);
    bool compiles = false, defines = false;
    int rc = AUK_OK;

    /* A prompt in English stays out: only Python that begins the function can stand before it. */
    if (in->prompt.n > 0)
        rc = check(w, &compiles, &defines, in->prompt, err);
    if (rc < 0)
        return rc;
    bool python_prompt = in->prompt.n > 0 && in->entry_point.n > 0 && compiles && defines;
    w->is_body = python_prompt && !(w->compiles && w->defines) && !has_def(text, in->entry_point);
    w->prepended = python_prompt && (w->is_body || !in->strict);
    if (w->prepended)
        put_behind_prompt(program, in->prompt, text, !w->is_body);
    else
        auk_buf_add(program, text.p, text.n);
    return auk_buf_check(program, "the program", err);
}

/* ---- the trace ---------------------------------------------------------------------------- */

/* Text that may have been cut inside a character: nothing of it is printed then. */
static json_t *text_json(auk_str s)
{
    json_t *v = json_stringn(s.p, s.n > 40 ? 40 : s.n);
    return v != NULL ? v : json_string("?");
}

static json_t *blocks_json(const work *w)
{
    json_t *list = json_array();

    for (size_t i = 0; i < w->n_blocks; i++) {
        const block *b = &w->blocks[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:b, s:b}", "info", text_json(b->fence.info),
                                        "bytes", (json_int_t)b->fence.text.n, "closed",
                                        b->fence.closed, "used", b->used));
    }
    return list;
}

static json_t *trace_json(const work *w, auk_section_kind kind, auk_str section,
                          auk_extract_status status)
{
    static const char *const methods[] = {"fences", "whole", "lines", "none"};
    const char *form = status != AUK_EXTRACT_OK ? "none" : w->is_body ? "body" : "function";

    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:s, s:s, s:b, s:b, s:b, s:b}", "status",
                     auk_extract_status_name(status), "section", auk_section_name(kind),
                     "section_bytes", (json_int_t)section.n, "method", methods[w->method], "blocks",
                     blocks_json(w), "selection", w->selected ? "longest" : "all", "form", form,
                     "compiles", w->compiles, "defines_entry", w->defines, "prepended",
                     w->prepended, "strict", w->in->strict);
}

/* ---- the whole way ------------------------------------------------------------------------ */

static int find_code(work *w, auk_str section, auk_err *err)
{
    w->method = NOTHING;
    int rc = read_blocks(w, section, err);
    if (rc < 0)
        return rc;
    if (w->n_code > 0) {
        w->method = FENCES;
        return choose_blocks(w, err);
    }
    /* Fences of other kinds alone are no code, and neither is a text that was cut. */
    if (w->n_blocks > 0 || w->in->cut)
        return AUK_OK;
    return read_unfenced(w, section, err);
}

static bool only_blanks(auk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\n' && s.p[i] != '\r')
            return false;
    return true;
}

int auk_extract(auk_buf *program, json_t **trace, auk_extract_status *status,
                const auk_extract_input *in, const auk_syntax *syntax, auk_err *err)
{
    work w = {.in = in, .syntax = syntax, .text = AUK_BUF_INIT(AUK_MAX_TEXT), .method = NOTHING};
    auk_section_kind kind = AUK_SECTION_GIVEN;
    auk_str section = in->answer.p != NULL ? in->answer : nothing;
    int rc = AUK_OK;

    *trace = NULL;
    if (!in->is_section)
        section = auk_answer_section(&kind, section, in->cut);
    if (!only_blanks(section))
        rc = find_code(&w, section, err);
    *status = AUK_EXTRACT_OK;
    if (kind == AUK_SECTION_NONE && in->cut)
        *status = AUK_EXTRACT_TRUNCATED;
    else if (w.method == NOTHING || only_blanks(auk_buf_str(&w.text)))
        *status = AUK_EXTRACT_NO_CODE;
    if (rc == AUK_OK && *status == AUK_EXTRACT_OK)
        rc = assemble(program, &w, err);
    if (rc == AUK_OK)
        *trace = trace_json(&w, kind, section, *status);
    auk_buf_release(&w.text);
    free(w.blocks);
    free(w.code);
    return rc;
}
