/* SPDX-License-Identifier: Apache-2.0 */
/* Accepted layouts: a path alone on a line above a fence, "### path" inside a fence, no fence at
 * all, a path in the fence's info string.  Markers are whole lines of 5 to 9 characters. */
#include "swebench/blocks.h"

#include "base/mem.h"
#include "swebench/swebench.h"

/* ---- the answer section ------------------------------------------------------------------- */

static size_t find(auk_str text, const char *word, size_t from)
{
    size_t n = strlen(word);

    while (from + n <= text.n) {
        const char *p = memchr(text.p + from, word[0], text.n - n - from + 1);
        if (p == NULL)
            break;
        from = (size_t)(p - text.p);
        if (memcmp(p, word, n) == 0)
            return from;
        from++;
    }
    return SIZE_MAX;
}

static size_t find_last_end(auk_str text, const char *word)
{
    size_t best = SIZE_MAX;

    for (size_t at = find(text, word, 0); at != SIZE_MAX; at = find(text, word, at + 1))
        best = at + strlen(word);
    return best;
}

/* Thinking is no answer: what stands before its last end is dropped, and so is what follows a
 * beginning that never ends. */
static auk_str section_of(auk_str raw)
{
    static const char *const ends[] = {"<|END_THINKING|>", "</think>"},
                             *const begins[] = {"<|START_THINKING|>", "<think>"},
                             *const openers[] = {"<|START_TEXT|>", "<|START_RESPONSE|>"},
                             *const closers[] = {"<|END_TEXT|>", "<|END_RESPONSE|>",
                                                 "<|END_OF_TURN_TOKEN|>"};
    size_t from = 0, at;

    for (size_t i = 0; i < 2; i++)
        if ((at = find_last_end(raw, ends[i])) != SIZE_MAX && at > from)
            from = at;
    raw = auk_str_from(raw, from);
    for (size_t i = 0; i < 2; i++)
        if ((at = find(raw, begins[i], 0)) != SIZE_MAX)
            raw.n = at;
    for (size_t i = 0; i < 2; i++)
        if ((at = find_last_end(raw, openers[i])) != SIZE_MAX)
            raw = auk_str_from(raw, at);
    for (size_t i = 0; i < 3; i++)
        if ((at = find(raw, closers[i], 0)) != SIZE_MAX)
            raw.n = at;
    return raw;
}

/* ---- markers ------------------------------------------------------------------------------ */

/* 5 to 9 of `sign`, then the word; returns how many, 0 when it is none. */
static size_t marker(auk_str line, char sign, const char *word)
{
    size_t n = 0;

    line = auk_trim_end(line);
    while (n < line.n && line.p[n] == sign)
        n++;
    auk_str rest = auk_str_from(line, n);
    if (n < 5 || n > 9)
        return 0;
    if (word[0] == 0)
        return rest.n == 0 ? n : 0;
    if (rest.n < 1 || rest.p[0] != ' ')
        return 0;
    rest = auk_str_from(rest, 1);
    return auk_str_is(rest, word) ? n : 0;
}

static bool is_head(auk_str line)
{
    return marker(line, '<', "SEARCH") > 0;
}

static bool is_tail(auk_str line)
{
    return marker(line, '>', "REPLACE") > 0;
}

/* ---- paths -------------------------------------------------------------------------------- */

static auk_str trim(auk_str s)
{
    s = auk_trim_end(s);
    return auk_str_from(s, auk_indent_of(s));
}

static auk_str strip_wrapping(auk_str s)
{
    static const char *const labels[] = {
        "File:", "file:", "Path:", "path:", "Filename:", "filename:"};

    while (s.n > 0 && s.p[0] == '#')
        s = auk_str_from(s, 1);
    s = trim(s);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (auk_str_starts(s, labels[i]))
            s = trim(auk_str_from(s, strlen(labels[i])));
    while (s.n > 1 && s.p[s.n - 1] == ':')
        s.n--;
    while (s.n > 2 && strchr("`*\"'", s.p[0]) != NULL && s.p[s.n - 1] == s.p[0])
        s = (auk_str){s.p + 1, s.n - 2};
    while (s.n > 1 && s.p[s.n - 1] == ':')
        s.n--;
    while (auk_str_starts(s, "./"))
        s = auk_str_from(s, 2);
    return s;
}

/* One word with a slash or a dot inside it: prose has blanks, a name without either is no file we
 * would be shown. */
static bool looks_like_path(auk_str s)
{
    bool mark = false;

    if (s.n == 0 || s.n > 4000)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == 127 || strchr("<>|\"`*", c) != NULL)
            return false;
        mark |= c == '/' || (c == '.' && i + 1 < s.n);
    }
    return mark;
}

static bool is_fence(auk_str line, auk_str *info)
{
    size_t n = 0;

    line = trim(line);
    while (n < line.n && (line.p[n] == '`' || line.p[n] == '~') && line.p[n] == line.p[0])
        n++;
    *info = trim(auk_str_from(line, n));
    return n >= 3;
}

/* "python a/b.py", "a/b.py": the info string's last word. */
static auk_str info_path(auk_str info)
{
    size_t at = info.n;

    while (at > 0 && info.p[at - 1] != ' ' && info.p[at - 1] != ':')
        at--;
    return strip_wrapping(auk_str_from(info, at));
}

/* Looks at most three lines of text up from the head, not above `floor`. */
static auk_str find_path(const auk_line_list *l, size_t head, size_t floor)
{
    auk_str info, none = {"", 0};

    for (size_t i = head, seen = 0; i > floor && seen < 3; i--) {
        auk_str line = l->p[i - 1].text;
        if (auk_is_blank(line))
            continue;
        auk_str path = is_fence(line, &info) ? info_path(info) : strip_wrapping(trim(line));
        if (looks_like_path(path))
            return path;
        seen++;
    }
    return none;
}

/* ---- blocks ------------------------------------------------------------------------------- */

static int add_divider(auk_block *b, size_t line, size_t room, auk_err *err)
{
    if (b->dividers == NULL) {
        int rc = auk_try_alloc(&b->dividers, room, sizeof *b->dividers, err);
        if (rc < 0)
            return rc;
    }
    b->dividers[b->n_dividers++] = line;
    return AUK_OK;
}

/* Keeps the dividers as long as the head's marker, where there are any. */
static void choose_dividers(auk_block *b, const auk_line_list *l)
{
    size_t want = marker(l->p[b->search - 1].text, '<', "SEARCH"), kept = 0;

    for (size_t i = 0; i < b->n_dividers; i++)
        kept += marker(l->p[b->dividers[i]].text, '=', "") == want;
    if (kept == 0 || kept == b->n_dividers)
        return;
    size_t n = 0;
    for (size_t i = 0; i < b->n_dividers; i++)
        if (marker(l->p[b->dividers[i]].text, '=', "") == want)
            b->dividers[n++] = b->dividers[i];
    b->n_dividers = n;
}

/* The block whose head is at line `head`; *next is where to go on. */
static int read_block(auk_block *b, const auk_line_list *l, size_t head, size_t *next, auk_err *err)
{
    size_t i, n = 0;
    int rc = AUK_OK;

    b->line = head + 1;
    b->search = b->end = head + 1;
    for (i = head + 1; i < l->n && !is_tail(l->p[i].text) && !is_head(l->p[i].text); i++)
        n += marker(l->p[i].text, '=', "") > 0;
    bool closed = i < l->n && is_tail(l->p[i].text);
    b->end = i;
    *next = closed ? i + 1 : i;
    if (!closed)
        b->malformed = "it has no '>>>>>>> REPLACE' line";
    else if (n == 0)
        b->malformed = "it has no '=======' line";
    for (i = head + 1; i < b->end && b->malformed == NULL && rc == AUK_OK; i++)
        if (marker(l->p[i].text, '=', "") > 0)
            rc = add_divider(b, i, n, err);
    if (rc == AUK_OK && b->malformed == NULL)
        choose_dividers(b, l);
    return rc;
}

int auk_blocks_read(auk_blocks *out, auk_str answer, bool is_section, auk_err *err)
{
    size_t heads = 0, floor = 0;
    auk_str path = {"", 0};

    *out = (auk_blocks){0};
    int rc = auk_line_list_split(&out->lines, is_section ? answer : section_of(answer), err);
    for (size_t i = 0; rc == AUK_OK && i < out->lines.n; i++)
        heads += is_head(out->lines.p[i].text);
    if (rc == AUK_OK && heads > AUK_MAX_EDITS)
        rc = auk_fail(err, AUK_ELIMIT, "the answer has %zu blocks, at most %d are read", heads,
                      AUK_MAX_EDITS);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->p, heads + 1, sizeof *out->p, err);
    for (size_t i = 0; rc == AUK_OK && i < out->lines.n;) {
        if (!is_head(out->lines.p[i].text)) {
            i++;
            continue;
        }
        auk_block *b = &out->p[out->n++];
        auk_str given = find_path(&out->lines, i, floor);
        if (given.n > 0)
            path = given;
        b->path = path;
        rc = read_block(b, &out->lines, i, &i, err);
        floor = i;
        if (b->malformed == NULL && path.n == 0)
            b->malformed = "no path stands above it";
    }
    if (rc < 0)
        auk_blocks_release(out);
    return rc;
}

void auk_blocks_release(auk_blocks *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->p[i].dividers);
    free(b->p);
    auk_line_list_release(&b->lines);
    *b = (auk_blocks){0};
}
