/* SPDX-License-Identifier: Apache-2.0 */
#include "swebench/match.h"

#include "base/mem.h"

const char *auk_edit_level_name(auk_edit_level l)
{
    static const char *const names[] = {"",       "exact",       "trailing-blanks",
                                        "indent", "blank-lines", "white-space"};
    return names[l];
}

/* ---- equality by level -------------------------------------------------------------------- */

static bool same_exact(auk_str a, auk_str b)
{
    return auk_str_eq(a, b);
}

static bool same_trimmed(auk_str a, auk_str b)
{
    return auk_str_eq(auk_trim_end(a), auk_trim_end(b));
}

/* Runs of white space count as one blank, none at the ends. */
static bool same_words(auk_str a, auk_str b)
{
    size_t i = auk_indent_of(a), j = auk_indent_of(b);

    a = auk_trim_end(a);
    b = auk_trim_end(b);
    while (i < a.n && j < b.n) {
        size_t x = auk_indent_of(auk_str_from(a, i)), y = auk_indent_of(auk_str_from(b, j));
        if ((x > 0) != (y > 0))
            return false;
        i += x;
        j += y;
        if (i < a.n && j < b.n && a.p[i++] != b.p[j++])
            return false;
    }
    return i >= a.n && j >= b.n;
}

typedef bool same_fn(auk_str a, auk_str b);

/* Every line of `search` against the file's from line `at` on. */
static bool fits_lines(const auk_line_list *file, const auk_line_list *search, size_t at,
                       same_fn *same)
{
    for (size_t i = 0; i < search->n; i++)
        if (!same(file->p[at + i].text, search->p[i].text))
            return false;
    return true;
}

/* How much deeper (or, negative, less deep) the file's line is indented, and by what. */
typedef struct shift {
    auk_str more, less; /* one of them is empty */
} shift;

static bool shift_of(shift *out, auk_str file, auk_str search)
{
    auk_str a = {file.p, auk_indent_of(file)}, b = {search.p, auk_indent_of(search)};

    *out = (shift){{"", 0}, {"", 0}};
    if (a.n >= b.n && memcmp(a.p + (a.n - b.n), b.p, b.n) == 0)
        out->more = (auk_str){a.p, a.n - b.n};
    else if (b.n > a.n && memcmp(b.p + (b.n - a.n), a.p, a.n) == 0)
        out->less = (auk_str){b.p, b.n - a.n};
    else
        return false;
    return true;
}

static bool fits_shifted(const auk_line_list *file, const auk_line_list *search, size_t at)
{
    shift first = {{"", 0}, {"", 0}}, s;
    bool any = false;

    for (size_t i = 0; i < search->n; i++) {
        auk_str f = auk_trim_end(file->p[at + i].text), t = auk_trim_end(search->p[i].text);
        if (f.n == 0 && t.n == 0)
            continue;
        if (f.n == 0 || t.n == 0 ||
            !auk_str_eq(auk_str_from(f, auk_indent_of(f)), auk_str_from(t, auk_indent_of(t))) ||
            !shift_of(&s, f, t))
            return false;
        if (any && (!auk_str_eq(s.more, first.more) || !auk_str_eq(s.less, first.less)))
            return false;
        first = any ? first : s;
        any = true;
    }
    return any;
}

/* The lines of `search` that are not blank, against the file's, which begin at line `at`; returns
 * the line behind the last one, 0 when they do not fit. */
static size_t fits_loosely(const auk_line_list *file, const auk_line_list *search, size_t at,
                           same_fn *same)
{
    size_t i = 0, to = 0;

    for (;;) {
        while (i < search->n && auk_is_blank(search->p[i].text))
            i++;
        if (i == search->n)
            return to;
        while (to > 0 && at < file->n && auk_is_blank(file->p[at].text))
            at++;
        if (at >= file->n || !same(file->p[at].text, search->p[i].text))
            return 0;
        i++;
        to = ++at;
    }
}

/* ---- the chain ---------------------------------------------------------------------------- */

static void note_hit(auk_match *m, size_t from, size_t to, size_t after)
{
    bool better = m->hits == 0 || (m->level == AUK_EDIT_EXACT && m->from < after && from >= after);

    m->hits++;
    if (better) {
        m->from = from;
        m->to = to;
    }
}

static void find_at_level(auk_match *m, const auk_line_list *file, const auk_line_list *search,
                          size_t after)
{
    for (size_t at = 0; at < file->n; at++) {
        size_t to = at + search->n;
        bool fits = false, room = search->n <= file->n - at;
        switch (m->level) {
        case AUK_EDIT_EXACT:
            fits = room && fits_lines(file, search, at, same_exact);
            break;
        case AUK_EDIT_TRAILING_BLANKS:
            fits = room && fits_lines(file, search, at, same_trimmed);
            break;
        case AUK_EDIT_INDENT:
            fits = room && fits_shifted(file, search, at);
            break;
        case AUK_EDIT_BLANK_LINES:
        case AUK_EDIT_WHITE_SPACE:
            to = fits_loosely(file, search, at,
                              m->level == AUK_EDIT_BLANK_LINES ? same_trimmed : same_words);
            fits = to > 0;
            break;
        default:
            break;
        }
        if (fits)
            note_hit(m, at, to, after);
    }
}

int auk_match_find(auk_match *out, const auk_line_list *file, const auk_line_list *search,
                   size_t after, auk_err *err)
{
    (void)err;
    for (int l = AUK_EDIT_EXACT; l < AUK_N_EDIT_LEVELS; l++) {
        *out = (auk_match){.level = (auk_edit_level)l};
        find_at_level(out, file, search, after);
        if (out->hits > 0)
            return AUK_OK;
    }
    *out = (auk_match){0};
    return AUK_OK;
}

/* ---- replacing ---------------------------------------------------------------------------- */

/* For each line of SEARCH the file's line that it stands for, SIZE_MAX for blank lines that stand
 * for none. */
static void pair_lines(size_t *of, const auk_match *m, const auk_line_list *file,
                       const auk_line_list *search)
{
    size_t at = m->from;

    for (size_t i = 0; i < search->n; i++) {
        of[i] = SIZE_MAX;
        if (m->level < AUK_EDIT_BLANK_LINES) {
            of[i] = m->from + i;
        } else if (auk_is_blank(search->p[i].text)) {
            if (at > m->from && at < m->to && auk_is_blank(file->p[at].text))
                of[i] = at++;
        } else {
            while (at < m->to && auk_is_blank(file->p[at].text))
                at++;
            of[i] = at++;
        }
    }
}

typedef struct editor {
    auk_buf *out;
    const auk_match *m;
    const auk_line_list *file, *search, *replace;
    const size_t *of;
    auk_str newline;
} editor;

static size_t count(auk_str s, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == c;
    return n;
}

/* The same depth in the file's own characters, as they stand in one pair of lines: a tab for so
 * many blanks, or the other way round. */
static void put_depth(auk_buf *out, auk_str depth, auk_str file, auk_str search)
{
    size_t blanks = count(file, ' '), tabs = count(search, '\t'), n = count(depth, '\t');

    if (tabs > 0 && blanks == file.n && blanks % tabs == 0 && tabs == search.n && n == depth.n) {
        for (size_t i = 0; i < n * (blanks / tabs); i++)
            auk_buf_putc(out, ' ');
        return;
    }
    tabs = count(file, '\t');
    blanks = count(search, ' ');
    n = count(depth, ' ');
    if (tabs > 0 && tabs == file.n && blanks == search.n && blanks % tabs == 0 && n == depth.n &&
        n % (blanks / tabs) == 0) {
        for (size_t i = 0; i < n / (blanks / tabs); i++)
            auk_buf_putc(out, '\t');
        return;
    }
    auk_buf_add(out, depth.p, depth.n);
}

/* The indentation a new line gets: what the file has where SEARCH has the longest beginning of it,
 * and the rest; without one, shifted as the first line was. */
static void put_indent(const editor *e, auk_str line)
{
    auk_str mine = {line.p, auk_indent_of(line)}, file = {"", 0}, search = {"", 0},
            first_file = {"", 0}, first_search = {"", 0};
    bool any = false;
    shift s;

    for (size_t i = 0; i < e->search->n; i++) {
        auk_str t = e->search->p[i].text;
        if (auk_is_blank(t) || e->of[i] == SIZE_MAX)
            continue;
        auk_str f = e->file->p[e->of[i]].text;
        t.n = auk_indent_of(t);
        f.n = auk_indent_of(f);
        if (first_search.n == 0) {
            first_file = f;
            first_search = t;
        }
        if (t.n <= mine.n && t.n >= search.n && memcmp(t.p, mine.p, t.n) == 0) {
            file = f;
            search = t;
            any = true;
        }
    }
    if (any) {
        auk_buf_add(e->out, file.p, file.n);
        put_depth(e->out, auk_str_from(mine, search.n), first_file, first_search);
        return;
    }
    if (shift_of(&s, first_file, first_search)) {
        auk_buf_add(e->out, s.more.p, s.more.n);
        mine = auk_str_from(mine, s.less.n < mine.n ? s.less.n : mine.n);
    }
    auk_buf_add(e->out, mine.p, mine.n);
}

static void put_new(const editor *e, auk_str line)
{
    bool moves = e->m->level == AUK_EDIT_INDENT || e->m->level == AUK_EDIT_WHITE_SPACE;

    if (moves && !auk_is_blank(line)) {
        put_indent(e, line);
        line = auk_str_from(line, auk_indent_of(line));
    }
    auk_buf_add(e->out, line.p, line.n);
    auk_buf_add(e->out, e->newline.p, e->newline.n);
}

static void put_old(const editor *e, size_t i)
{
    const auk_line *l = &e->file->p[i];
    auk_buf_add(e->out, l->text.p, l->text.n);
    if (l->end > 0)
        auk_buf_add(e->out, l->text.p + l->text.n, l->end);
    else
        auk_buf_add(e->out, e->newline.p, e->newline.n);
}

/* Lines of the file up to `to`: blank ones that SEARCH left out, which stay. */
static void put_until(const editor *e, size_t *at, size_t to)
{
    for (; to != SIZE_MAX && *at < to; ++*at)
        put_old(e, *at);
}

/* The new lines between from and to.  The k-th line that goes makes room for the k-th that comes,
 * so that blank lines between them keep their place. */
static void put_replacement(const editor *e, const bool *gone, const bool *added)
{
    size_t i = 0, j = 0, at = e->m->from, n = e->search->n, m = e->replace->n;

    while (i < n || j < m) {
        bool old = i < n && gone[i], new = j < m &&added[j];
        if (old) {
            put_until(e, &at, e->of[i]);
            at += e->of[i++] == at;
        }
        if (new)
            put_new(e, e->replace->p[j++].text);
        if (old || new)
            continue;
        put_until(e, &at, e->of[i] != SIZE_MAX ? e->of[i] + 1 : SIZE_MAX);
        i++;
        j++;
    }
}

static auk_str line_end_of(const auk_line_list *file, const auk_match *m)
{
    const auk_str unix_end = {"\n", 1}, dos_end = {"\r\n", 2};

    if (m->from < file->n && file->p[m->from].end > 0)
        return file->p[m->from].end == 2 ? dos_end : unix_end;
    return file->n > 0 && file->p[0].end == 2 ? dos_end : unix_end;
}

static void put_lines(auk_buf *out, const auk_line_list *file, size_t from, size_t to)
{
    if (from < to)
        auk_buf_add(out, file->p[from].text.p,
                    (size_t)(file->p[to - 1].text.p - file->p[from].text.p) +
                        file->p[to - 1].text.n + file->p[to - 1].end);
}

int auk_match_apply(auk_buf *out, size_t *end, const auk_match *m, const auk_line_list *file,
                    const auk_line_list *search, const auk_line_list *replace, auk_err *err)
{
    bool *marks = NULL;
    size_t *of = NULL;
    editor e = {.out = out,
                .m = m,
                .file = file,
                .search = search,
                .replace = replace,
                .newline = line_end_of(file, m)};

    int rc = auk_try_alloc(&marks, search->n + replace->n + 1, sizeof *marks, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&of, search->n + 1, sizeof *of, err);
    if (rc == AUK_OK)
        rc = auk_line_list_diff(marks, marks + search->n, search, replace, true, err);
    if (rc == AUK_OK) {
        pair_lines(of, m, file, search);
        e.of = of;
        put_lines(out, file, 0, m->from);
        size_t begin = out->n, lines = 0;
        put_replacement(&e, marks, marks + search->n);
        for (size_t i = begin; i < out->n; i++)
            lines += out->p[i] == '\n';
        *end = m->from + lines;
        /* A file whose last line has no end keeps it so. */
        bool was_open = m->to == file->n && file->n > 0 && file->p[file->n - 1].end == 0;
        if (was_open && out->n > begin && out->p[out->n - 1] == '\n')
            out->p[out->n -= e.newline.n] = 0;
        put_lines(out, file, m->to, file->n);
    }
    free(marks);
    free(of);
    return rc;
}
