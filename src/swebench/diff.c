/* SPDX-License-Identifier: Apache-2.0 */
/* Unified diffs: written as git writes them, and read back by an applier that forgives nothing. */
#include "swebench/swebench.h"

#include "base/limits.h"
#include "base/mem.h"
#include "swebench/line_list.h"

#define CONTEXT 3

/* ---- writing ------------------------------------------------------------------------------ */

/* A path with a blank gets a tab behind it, as git does, so that patch does not cut it there. */
static void put_name(auk_buf *out, const char *sign, const char *side, const char *path)
{
    auk_buf_printf(out, "%s %s%s%s\n", sign, side, path, strchr(path, ' ') != NULL ? "\t" : "");
}

static void put_line(auk_buf *out, char sign, const auk_line *l)
{
    auk_buf_putc(out, sign);
    auk_buf_add(out, l->text.p, l->text.n + l->end);
    if (l->end == 0)
        auk_buf_puts(out, "\n\\ No newline at end of file\n");
}

static void put_range(auk_buf *out, char sign, size_t from, size_t n)
{
    auk_buf_printf(out, " %c%zu", sign, n == 0 ? from : from + 1);
    if (n != 1)
        auk_buf_printf(out, ",%zu", n);
}

typedef struct sides {
    auk_line_list a, b;
    bool *gone, *added;
} sides;

/* Whether a change lies within the context of where i and j stand, or at them. */
static bool change_near(const sides *s, size_t i, size_t j, size_t reach)
{
    for (size_t k = 0; k <= reach; k++)
        if ((i + k < s->a.n && s->gone[i + k]) || (j + k < s->b.n && s->added[j + k]))
            return true;
    return false;
}

/* One hunk, which begins at *i, *j; moves both behind it.  Changes with no more than twice the
 * context between them share a hunk. */
static void put_hunk(auk_buf *out, const sides *s, size_t *i, size_t *j)
{
    auk_buf body = AUK_BUF_INIT(AUK_MAX_TEXT);
    size_t a = *i, b = *j, quiet = 0;
    bool begun = false;

    while (a < s->a.n || b < s->b.n) {
        bool gone = a < s->a.n && s->gone[a], added = b < s->b.n && s->added[b];
        if (gone)
            put_line(&body, '-', &s->a.p[a++]);
        else if (added)
            put_line(&body, '+', &s->b.p[b++]);
        if (gone || added) {
            begun = true;
            quiet = 0;
            continue;
        }
        if (begun && quiet >= CONTEXT && !change_near(s, a, b, 2 * CONTEXT - quiet))
            break;
        put_line(&body, ' ', &s->a.p[a++]);
        b++;
        quiet++;
    }
    auk_buf_puts(out, "@@");
    put_range(out, '-', *i, a - *i);
    put_range(out, '+', *j, b - *j);
    auk_buf_puts(out, " @@\n");
    auk_buf_add(out, auk_buf_str(&body).p, body.n);
    out->failed |= body.failed;
    auk_buf_release(&body);
    *i = a;
    *j = b;
}

static void put_hunks(auk_buf *out, const sides *s)
{
    size_t i = 0, j = 0;

    while (i < s->a.n || j < s->b.n)
        if (change_near(s, i, j, CONTEXT)) {
            put_hunk(out, s, &i, &j);
        } else {
            i++;
            j++;
        }
}

void auk_diff_file(auk_buf *out, const char *path, const auk_str *before, const auk_str *after)
{
    const auk_str none = {"", 0};
    sides s = {0};
    auk_err err;

    if (before != NULL && after != NULL && auk_str_eq(*before, *after))
        return;
    int rc = auk_line_list_split(&s.a, before != NULL ? *before : none, &err);
    if (rc == AUK_OK)
        rc = auk_line_list_split(&s.b, after != NULL ? *after : none, &err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s.gone, s.a.n + 1, sizeof *s.gone, &err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s.added, s.b.n + 1, sizeof *s.added, &err);
    if (rc == AUK_OK)
        rc = auk_line_list_diff(s.gone, s.added, &s.a, &s.b, false, &err);
    out->failed |= rc < 0;
    auk_buf_printf(out, "diff --git a/%s b/%s\n", path, path);
    if (before == NULL)
        auk_buf_puts(out, "new file mode 100644\n");
    if (after == NULL)
        auk_buf_puts(out, "deleted file mode 100644\n");
    if (s.a.n + s.b.n > 0) {
        put_name(out, "---", before != NULL ? "a/" : "", before != NULL ? path : "/dev/null");
        put_name(out, "+++", after != NULL ? "b/" : "", after != NULL ? path : "/dev/null");
    }
    if (rc == AUK_OK)
        put_hunks(out, &s);
    auk_line_list_release(&s.a);
    auk_line_list_release(&s.b);
    free(s.gone);
    free(s.added);
}

/* ---- applying ----------------------------------------------------------------------------- */

typedef struct reader {
    auk_str left;
} reader;

/* The next line without its newline; false at the end. */
static bool next_line(auk_str *line, reader *r)
{
    const char *end = r->left.n > 0 ? memchr(r->left.p, '\n', r->left.n) : NULL;

    if (r->left.n == 0)
        return false;
    size_t n = end != NULL ? (size_t)(end - r->left.p) : r->left.n;
    *line = (auk_str){r->left.p, n};
    r->left = auk_str_from(r->left, n + (end != NULL));
    return true;
}

static bool starts(const reader *r, const char *prefix)
{
    return auk_str_starts(r->left, prefix);
}

/* "@@ -a,b +c,d @@" */
static bool read_range(size_t out[4], auk_str line)
{
    static const char signs[] = "-+";
    size_t at = 3;

    if (!auk_str_starts(line, "@@ "))
        return false;
    for (int side = 0; side < 2; side++) {
        if (at >= line.n || line.p[at++] != signs[side])
            return false;
        out[2 * side + 1] = 1;
        for (int k = 0; k < 2; k++) {
            size_t v = 0, digits = 0;
            while (at < line.n && line.p[at] >= '0' && line.p[at] <= '9' && digits++ < 12)
                v = 10 * v + (size_t)(line.p[at++] - '0');
            if (digits == 0)
                return false;
            out[2 * side + k] = v;
            if (at >= line.n || line.p[at] != ',')
                break;
            at++;
        }
        if (at >= line.n || line.p[at++] != ' ')
            return false;
    }
    return auk_str_starts(auk_str_from(line, at), "@@");
}

typedef struct applier {
    auk_line_list old;
    size_t at;      /* lines of old that are used */
    size_t written; /* lines of new */
    auk_buf *out;
    const char *path;
} applier;

static void copy_until(applier *a, size_t line)
{
    for (; a->at < line && a->at < a->old.n; a->at++, a->written++)
        auk_buf_add(a->out, a->old.p[a->at].text.p, a->old.p[a->at].text.n + a->old.p[a->at].end);
}

/* A line of the hunk against the next line of the file, its newline included. */
static bool is_next(const applier *a, auk_str text, bool newline)
{
    if (a->at >= a->old.n)
        return false;
    const auk_line *l = &a->old.p[a->at];
    size_t n = l->text.n + l->end;
    return newline == (l->end > 0) && n == text.n + newline &&
           memcmp(l->text.p, text.p, text.n) == 0;
}

static int apply_hunk(applier *a, reader *r, const size_t range[4], auk_err *err)
{
    size_t gone = range[1], came = range[3], from = range[1] == 0 ? range[0] : range[0] - 1;
    auk_str line, ignored;

    copy_until(a, from);
    if (a->at != from || a->written != (came == 0 ? range[2] : range[2] - 1))
        return auk_fail(err, AUK_EFORMAT, "a hunk of '%s' is not where it says", a->path);
    while (gone > 0 || came > 0) {
        if (!next_line(&line, r) || line.n == 0)
            return auk_fail(err, AUK_EFORMAT, "a hunk of '%s' is cut off", a->path);
        bool newline = !starts(r, "\\ No newline at end of file");
        char sign = line.p[0];
        line = auk_str_from(line, 1);
        if (!newline && !next_line(&ignored, r))
            return AUK_EFORMAT;
        bool ok = sign == '+'   ? came-- > 0
                  : sign == '-' ? gone-- > 0 && is_next(a, line, newline)
                  : sign == ' ' ? came-- > 0 && gone-- > 0 && is_next(a, line, newline)
                                : false;
        if (!ok)
            return auk_fail(err, AUK_EFORMAT, "a hunk of '%s' does not fit line %zu", a->path,
                            a->at + 1);
        a->at += sign != '+';
        if (sign == '-')
            continue;
        auk_buf_add(a->out, line.p, line.n);
        if (newline)
            auk_buf_putc(a->out, '\n');
        a->written++;
    }
    return AUK_OK;
}

static int apply_hunks(applier *a, reader *r, auk_err *err)
{
    size_t range[4];
    auk_str line;
    int rc = AUK_OK;

    while (rc == AUK_OK && starts(r, "@@ ")) {
        if (!next_line(&line, r) || !read_range(range, line) || (range[1] > 0 && range[0] == 0) ||
            (range[3] > 0 && range[2] == 0))
            return auk_fail(err, AUK_EFORMAT, "a hunk of '%s' has no range", a->path);
        rc = apply_hunk(a, r, range, err);
    }
    if (rc == AUK_OK)
        copy_until(a, a->old.n);
    return rc;
}

int auk_diff_apply(auk_buf *out, auk_str before, auk_str diff, const char *path, auk_err *err)
{
    auk_buf head = AUK_BUF_INIT(1 << 16);
    applier a = {.out = out, .path = path};
    reader r = {diff};
    auk_str line;

    auk_buf_printf(&head, "diff --git a/%s b/%s", path, path);
    int rc = auk_line_list_split(&a.old, before, err);
    bool ours = false, any = false;
    while (rc == AUK_OK && r.left.n > 0) {
        if (starts(&r, "@@ ") && ours) {
            rc = apply_hunks(&a, &r, err);
            any = true;
            ours = false;
        } else if (next_line(&line, &r) && auk_str_starts(line, "diff --git ")) {
            ours = auk_str_eq(line, auk_buf_str(&head));
        }
    }
    if (rc == AUK_OK && !any)
        copy_until(&a, a.old.n);
    if (rc == AUK_OK)
        rc = auk_buf_check(out, path, err);
    auk_line_list_release(&a.old);
    auk_buf_release(&head);
    return rc;
}
