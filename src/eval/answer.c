/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/answer.h"

#include <strings.h>

const char *auk_section_name(auk_section_kind kind)
{
    static const char *const names[] = {"given", "markers", "after_thinking", "plain", "none"};
    return names[kind];
}

/* ---- markers ------------------------------------------------------------------------------ */

static size_t find(auk_str text, const char *word, size_t from)
{
    size_t n = strlen(word);

    for (size_t i = from; i + n <= text.n; i++) {
        const char *p = memchr(text.p + i, word[0], text.n - n - i + 1);
        if (p == NULL)
            break;
        i = (size_t)(p - text.p);
        if (memcmp(p, word, n) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* The last of several words: where it ends, SIZE_MAX when none is there. */
static size_t end_of_last(auk_str text, const char *const *words)
{
    size_t best = SIZE_MAX;

    for (; *words != NULL; words++)
        for (size_t at = find(text, *words, 0); at != SIZE_MAX; at = find(text, *words, at + 1))
            if (best == SIZE_MAX || at + strlen(*words) > best)
                best = at + strlen(*words);
    return best;
}

/* The first of several words: where it begins, text.n when none is there. */
static size_t begin_of_first(auk_str text, const char *const *words)
{
    size_t best = text.n;

    for (; *words != NULL; words++) {
        size_t at = find(text, *words, 0);
        if (at < best)
            best = at;
    }
    return best;
}

static const char *const think_begin[] = {"<|START_THINKING|>", NULL};
static const char *const think_end[] = {"<|END_THINKING|>", NULL};
static const char *const text_begin[] = {"<|START_TEXT|>", "<|START_RESPONSE|>", NULL};
static const char *const text_end[] = {"<|END_TEXT|>", "<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>",
                                       NULL};
/* Without an answer marker an action or the end of the turn still ends the text. */
static const char *const turn_end[] = {"<|START_ACTION|>", "<|END_OF_TURN_TOKEN|>", NULL};

auk_str auk_answer_section(auk_section_kind *kind, auk_str raw, bool cut)
{
    const auk_str none = {"", 0};
    size_t end = end_of_last(raw, think_end);
    bool thought = end != SIZE_MAX;

    if (thought)
        raw = auk_str_from(raw, end);
    size_t begin = end_of_last(raw, text_begin);
    if (begin != SIZE_MAX) {
        *kind = AUK_SECTION_MARKERS;
        raw = auk_str_from(raw, begin);
        raw.n = begin_of_first(raw, text_end);
        return raw;
    }
    /* Whether an open thinking block follows the last closed one or stands alone: what it holds is
     * never looked at. */
    if (cut || begin_of_first(raw, think_begin) < raw.n) {
        *kind = AUK_SECTION_NONE;
        return none;
    }
    *kind = thought ? AUK_SECTION_THINKING : AUK_SECTION_PLAIN;
    raw.n = begin_of_first(raw, turn_end);
    return raw;
}

/* ---- lines and fences --------------------------------------------------------------------- */

bool auk_line_next(auk_str *line, auk_str text, size_t *at)
{
    if (*at >= text.n)
        return false;
    const char *p = text.p + *at, *end = memchr(p, '\n', text.n - *at);
    size_t n = end != NULL ? (size_t)(end - p) : text.n - *at;

    *at += n + (end != NULL);
    if (n > 0 && p[n - 1] == '\r')
        n--;
    *line = (auk_str){p, n};
    return true;
}

typedef struct mark {
    char c; /* '`' or '~' */
    size_t length, indent;
    auk_str info;
} mark;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Deeper than three blanks is text: a fence in a docstring ends no block. */
static bool read_mark(mark *out, auk_str line)
{
    size_t i = 0, n = 0;

    while (i < line.n && line.p[i] == ' ')
        i++;
    if (i > 3 || i == line.n || (line.p[i] != '`' && line.p[i] != '~'))
        return false;
    *out = (mark){.c = line.p[i], .indent = i};
    while (i + n < line.n && line.p[i + n] == out->c)
        n++;
    if (n < 3)
        return false;
    out->length = n;
    i += n;
    while (i < line.n && is_blank(line.p[i]))
        i++;
    size_t begin = i;
    while (i < line.n && !is_blank(line.p[i]))
        i++;
    out->info = (auk_str){line.p + begin, i - begin};
    /* ```x``` is code inside a line */
    return out->c != '`' || memchr(line.p + begin, '`', line.n - begin) == NULL;
}

static bool names_code(auk_str info)
{
    static const char *const others[] = {"bash", "sh", "text", "json", "output", "console", "diff"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (info.n == strlen(others[i]) && strncasecmp(info.p, others[i], info.n) == 0)
            return false;
    return true;
}

bool auk_fence_next(auk_fence *out, auk_str text, size_t *at)
{
    auk_str line;
    mark open, close;

    do
        if (!auk_line_next(&line, text, at))
            return false;
    while (!read_mark(&open, line));
    size_t begin = *at, end = text.n;
    *out = (auk_fence){.info = open.info, .indent = open.indent, .is_code = names_code(open.info)};
    for (size_t before = *at; auk_line_next(&line, text, at); before = *at)
        if (read_mark(&close, line) && close.c == open.c && close.length >= open.length &&
            close.info.n == 0) {
            out->closed = true;
            end = before;
            break;
        }
    if (end > begin && text.p[end - 1] == '\n')
        end--;
    if (out->closed && end > begin && text.p[end - 1] == '\r')
        end--;
    out->text = (auk_str){text.p + begin, end - begin};
    return true;
}
