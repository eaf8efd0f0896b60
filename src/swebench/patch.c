/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of an answer, applied one after another to files in memory. */
#include "swebench/swebench.h"

#include "base/limits.h"
#include "base/mem.h"
#include "swebench/blocks.h"
#include "swebench/match.h"

const char *auk_edit_status_name(auk_edit_status s)
{
    static const char *const names[] = {"applied", "ambiguous", "not_found",
                                        "refused", "empty",     "malformed"};
    return names[s];
}

/* ---- files being edited ------------------------------------------------------------------- */

typedef struct doc {
    char *path;          /* owned */
    bool exists;         /* before the first edit */
    bool made;           /* by a block */
    char refused[240];   /* "": it may be edited */
    auk_buf before, now; /* owned; without the BOM */
    bool bom;
    size_t after; /* the line at which the last edit ended */
} doc;

typedef struct work {
    doc *docs; /* owned */
    size_t n, cap;
    const auk_source *source;
    auk_blocks blocks;
} work;

static const char bom[] = "\xEF\xBB\xBF";

static bool is_shown(const auk_source *s, const char *path)
{
    for (size_t i = 0; i < s->n_shown; i++)
        if (strcmp(s->shown[i], path) == 0)
            return true;
    return s->shown == NULL;
}

/* Reads the file on its first use.  What must not be edited stays in the list, with the reason. */
static int get_doc(doc **out, work *w, auk_str path, auk_err *err)
{
    for (size_t i = 0; i < w->n; i++)
        if (auk_str_is(path, w->docs[i].path)) {
            *out = &w->docs[i];
            return AUK_OK;
        }
    if (w->n == w->cap) {
        w->cap = w->cap > 0 ? 2 * w->cap : 16;
        w->docs = auk_realloc(w->docs, w->cap * sizeof *w->docs);
    }
    doc *d = *out = &w->docs[w->n++];
    *d = (doc){.path = auk_strndup(path.p, path.n),
               .before = AUK_BUF_INIT(AUK_MAX_TEXT),
               .now = AUK_BUF_INIT(AUK_MAX_TEXT)};
    auk_err why = {0};
    int rc = auk_edit_path_check(d->path, &why);
    if (rc == AUK_OK && !is_shown(w->source, d->path))
        rc = auk_fail(&why, AUK_EINVAL, "'%s' was not shown", d->path);
    if (rc == AUK_OK)
        rc = w->source->read(w->source->ctx, &d->before, &d->exists, d->path, &why);
    if (rc == AUK_EINVAL)
        snprintf(d->refused, sizeof d->refused, "%.230s", why.msg);
    else if (rc < 0) {
        *err = why;
        return rc;
    }
    auk_str text = auk_buf_str(&d->before);
    d->bom = auk_str_starts(text, bom);
    text = auk_str_from(text, d->bom ? 3 : 0);
    auk_buf_add(&d->now, text.p, text.n);
    return AUK_OK;
}

/* ---- one block ---------------------------------------------------------------------------- */

static void say(auk_edit *e, auk_edit_status status, const char *why)
{
    e->status = status;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static auk_line_list between(const auk_line_list *l, size_t from, size_t to)
{
    return (auk_line_list){l->p + from, to - from};
}

static bool is_better(const auk_match *a, const auk_match *b)
{
    bool fine_a = a->hits == 1 || a->level == AUK_EDIT_EXACT,
         fine_b = b->hits == 1 || b->level == AUK_EDIT_EXACT;

    if (a->hits == 0 || b->hits == 0)
        return b->hits == 0 && a->hits > 0;
    return fine_a != fine_b ? fine_a : a->level <= b->level; /* the longer SEARCH */
}

/* The divider that makes SEARCH match best, the last of equals; the first one where none does. */
static int choose(auk_match *best, size_t *divider, const work *w, const auk_block *b, const doc *d,
                  const auk_line_list *file, auk_err *err)
{
    int rc = AUK_OK;

    *best = (auk_match){0};
    *divider = b->dividers[0];
    for (size_t i = 0; i < b->n_dividers && rc == AUK_OK; i++) {
        auk_line_list search = between(&w->blocks.lines, b->search, b->dividers[i]);
        auk_match m = {0};
        if (search.n > 0)
            rc = auk_match_find(&m, file, &search, d->after, err);
        if (rc == AUK_OK && is_better(&m, best)) {
            *best = m;
            *divider = b->dividers[i];
        }
    }
    return rc;
}

/* An empty SEARCH fills a file that is new or empty. */
static void fill(auk_edit *e, doc *d, const auk_line_list *file, const auk_line_list *replace)
{
    if (file->n > 0) {
        say(e, AUK_EDIT_AMBIGUOUS, "an empty SEARCH fits everywhere in a file that has text");
        return;
    }
    for (size_t i = 0; i < replace->n; i++) {
        auk_buf_add(&d->now, replace->p[i].text.p, replace->p[i].text.n);
        auk_buf_putc(&d->now, '\n');
    }
    d->made |= !d->exists && replace->n > 0;
    d->after = replace->n;
    e->level = AUK_EDIT_EXACT;
    if (replace->n == 0)
        say(e, AUK_EDIT_EMPTY, "the block changes nothing");
}

static int replace_in(auk_edit *e, doc *d, const auk_match *m, const auk_line_list *file,
                      const auk_line_list *search, const auk_line_list *replace, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    size_t end = 0;

    e->level = m->level;
    if (m->hits > 1 && m->level != AUK_EDIT_EXACT) {
        snprintf(e->why, sizeof e->why, "SEARCH fits %zu places at level %s", m->hits,
                 auk_edit_level_name(m->level));
        e->status = AUK_EDIT_AMBIGUOUS;
        return AUK_OK;
    }
    int rc = auk_match_apply(&text, &end, m, file, search, replace, err);
    if (rc == AUK_OK)
        rc = auk_buf_check(&text, "an edited file", err);
    if (rc == AUK_OK && auk_str_eq(auk_buf_str(&text), auk_buf_str(&d->now)))
        say(e, AUK_EDIT_EMPTY, "the block changes nothing");
    if (rc < 0) {
        auk_buf_release(&text);
        return rc;
    }
    auk_buf_release(&d->now);
    d->now = text;
    d->after = end;
    return AUK_OK;
}

static int apply_block(auk_edit *e, work *w, const auk_block *b, auk_err *err)
{
    auk_line_list file = {0};
    auk_match m;
    size_t divider;
    doc *d = NULL;

    e->line = b->line;
    e->file = auk_strndup(b->path.p, b->path.n);
    e->status = AUK_EDIT_APPLIED;
    if (b->malformed != NULL) {
        say(e, AUK_EDIT_MALFORMED, b->malformed);
        return AUK_OK;
    }
    int rc = get_doc(&d, w, b->path, err);
    if (rc < 0)
        return rc;
    if (d->refused[0] != 0) {
        say(e, AUK_EDIT_REFUSED, d->refused);
        return AUK_OK;
    }
    rc = auk_line_list_split(&file, auk_buf_str(&d->now), err);
    if (rc == AUK_OK)
        rc = choose(&m, &divider, w, b, d, &file, err);
    if (rc == AUK_OK) {
        auk_line_list search = between(&w->blocks.lines, b->search, divider),
                      replace = between(&w->blocks.lines, divider + 1, b->end);
        if (search.n == 0)
            fill(e, d, &file, &replace);
        else if (m.hits == 0)
            say(e, AUK_EDIT_NOT_FOUND,
                d->exists || d->made ? "SEARCH is nowhere in the file" : "there is no such file");
        else
            rc = replace_in(e, d, &m, &file, &search, &replace, err);
    }
    auk_line_list_release(&file);
    return rc;
}

/* ---- the whole answer --------------------------------------------------------------------- */

static bool looks_like_test(const char *path)
{
    const char *base = strrchr(path, '/');

    base = base != NULL ? base + 1 : path;
    return strncmp(path, "tests/", 6) == 0 || strstr(path, "/tests/") != NULL ||
           strstr(path, "/testing/") != NULL || strncmp(base, "test_", 5) == 0 ||
           auk_str_ends(auk_str_of(base), "_test.py");
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const doc *)a)->path, ((const doc *)b)->path);
}

/* The diff of one file, and the proof that it gives the edited bytes. */
static int diff_doc(auk_patch *out, doc *d, auk_err *err)
{
    auk_buf after = AUK_BUF_INIT(AUK_MAX_TEXT), again = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_str before = auk_buf_str(&d->before);

    if (d->bom)
        auk_buf_puts(&after, bom);
    auk_buf_add(&after, auk_buf_str(&d->now).p, d->now.n);
    auk_str now = auk_buf_str(&after);
    size_t begin = out->diff.n;
    if ((d->exists || d->made) && !auk_str_eq(before, now)) {
        auk_diff_file(&out->diff, d->path, d->exists ? &before : NULL, &now);
        out->files++;
        out->test_files += looks_like_test(d->path);
    }
    int rc = auk_buf_check(&out->diff, "the patch", err);
    auk_str diff = {auk_buf_str(&out->diff).p + begin, out->diff.n - begin};
    if (rc == AUK_OK && diff.n > 0)
        rc = auk_diff_apply(&again, before, diff, d->path, err);
    if (rc == AUK_OK && diff.n > 0 && !auk_str_eq(auk_buf_str(&again), now))
        rc = auk_fail(err, AUK_EFORMAT, "the diff of '%s' does not give the edited text", d->path);
    auk_buf_release(&after);
    auk_buf_release(&again);
    return rc;
}

static int check_answer(auk_str answer, auk_err *err)
{
    if (answer.n > 0 && memchr(answer.p, 0, answer.n) != NULL)
        return auk_fail(err, AUK_EFORMAT, "the answer holds a NUL byte");
    if (!auk_is_utf8(answer))
        return auk_fail(err, AUK_EFORMAT, "the answer is not UTF-8");
    return AUK_OK;
}

int auk_patch_make(auk_patch *out, auk_str answer, bool is_section, bool partial,
                   const auk_source *source, auk_err *err)
{
    work w = {.source = source};

    *out = (auk_patch){.diff = AUK_BUF_INIT(AUK_MAX_TEXT), .complete = true};
    int rc = check_answer(answer, err);
    if (rc == AUK_OK)
        rc = auk_blocks_read(&w.blocks, answer, is_section, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->edits, w.blocks.n + 1, sizeof *out->edits, err);
    for (size_t i = 0; i < w.blocks.n && rc == AUK_OK; i++) {
        auk_edit *e = &out->edits[out->n_edits++];
        rc = apply_block(e, &w, &w.blocks.p[i], err);
        out->complete &= e->status == AUK_EDIT_APPLIED || e->status == AUK_EDIT_EMPTY;
    }
    if (w.n > 0)
        qsort(w.docs, w.n, sizeof *w.docs, by_path);
    for (size_t i = 0; i < w.n && rc == AUK_OK && (out->complete || partial); i++)
        rc = diff_doc(out, &w.docs[i], err);
    for (size_t i = 0; i < w.n; i++) {
        free(w.docs[i].path);
        auk_buf_release(&w.docs[i].before);
        auk_buf_release(&w.docs[i].now);
    }
    free(w.docs);
    auk_blocks_release(&w.blocks);
    if (rc < 0)
        auk_patch_release(out);
    return rc;
}

void auk_patch_release(auk_patch *p)
{
    for (size_t i = 0; i < p->n_edits; i++)
        free(p->edits[i].file);
    free(p->edits);
    auk_buf_release(&p->diff);
    *p = (auk_patch){0};
}

const char *auk_patch_outcome(const auk_patch *p)
{
    if (p->n_edits == 0)
        return "no_edit_block";
    if (p->diff.n > 0)
        return p->complete ? "applied" : "partial";
    return p->complete ? "patch_empty" : "edit_did_not_match";
}
