/* SPDX-License-Identifier: Apache-2.0 */
#include "text/added.h"

#include "base/mem.h"
#include "text/char_class.h"
#include "text/utf8.h"

static int by_content(const void *a, const void *b)
{
    auk_str x = ((const auk_added *)a)->content, y = ((const auk_added *)b)->content;
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

    return order != 0 ? order : (x.n > y.n) - (x.n < y.n);
}

int auk_added_init(auk_added_set *set, size_t n, auk_err *err)
{
    *set = (auk_added_set){0};
    return auk_try_alloc(&set->p, n, sizeof *set->p, err);
}

void auk_added_release(auk_added_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        free((char *)set->p[i].content.p);
    free(set->p);
    *set = (auk_added_set){0};
}

void auk_added_put(auk_added_set *set, auk_added token)
{
    token.content.p = auk_strndup(token.content.p, token.content.n);
    set->starts[(unsigned char)token.content.p[0]] = true;
    set->p[set->n++] = token;
}

void auk_added_seal(auk_added_set *set)
{
    if (set->n > 0)
        qsort(set->p, set->n, sizeof *set->p, by_content);
}

/* First of [lo, hi), all equal before depth, whose byte at depth is at least c; a content that
 * ends at depth comes first. */
static size_t lower_bound(const auk_added_set *set, size_t lo, size_t hi, size_t depth, unsigned c)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        auk_str s = set->p[mid].content;
        if (s.n <= depth || (unsigned char)s.p[depth] < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The longest token that begins at `text`, NULL when none does. */
static const auk_added *longest_at(const auk_added_set *set, auk_str text)
{
    const auk_added *best = NULL;
    size_t lo = 0, hi = set->n;

    for (size_t depth = 0; depth < text.n; depth++) {
        unsigned c = (unsigned char)text.p[depth];
        lo = lower_bound(set, lo, hi, depth, c);
        hi = lower_bound(set, lo, hi, depth, c + 1);
        if (lo == hi)
            break;
        if (set->p[lo].content.n == depth + 1)
            best = &set->p[lo];
    }
    return best;
}

/* The library asks another engine here: without the few numbers that the tokenizer's own \b
 * takes for word characters, and with the two joiners. */
static bool is_word(const uint8_t *classes, uint32_t c)
{
    if (c == 0x200C || c == 0x200D)
        return true;
    if (c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE))
        return false;
    return classes[c] & AUK_CHAR_WORD;
}

static uint32_t char_before(auk_str text, size_t i, size_t *start)
{
    size_t len;

    do
        i--;
    while (i > 0 && ((unsigned char)text.p[i] & 0xC0) == 0x80);
    *start = i;
    return auk_utf8_get((const unsigned char *)text.p + i, &len);
}

static uint32_t char_after(auk_str text, size_t i, size_t *stop)
{
    size_t len;
    uint32_t c = auk_utf8_get((const unsigned char *)text.p + i, &len);

    *stop = i + len;
    return c;
}

static bool stands_alone(const auk_added_walk *w, size_t start, size_t stop)
{
    size_t unused;

    if (start > 0 && is_word(w->classes, char_before(w->text, start, &unused)))
        return false;
    return stop == w->text.n || !is_word(w->classes, char_after(w->text, stop, &unused));
}

/* White space before a token that wants it belongs to the token, unless an earlier one has it. */
static size_t strip_left(const auk_added_walk *w, size_t start)
{
    size_t before;

    while (start > w->plain && (w->classes[char_before(w->text, start, &before)] & AUK_CHAR_SPACE))
        start = before;
    return start;
}

static size_t strip_right(const auk_added_walk *w, size_t stop)
{
    size_t after;

    while (stop < w->text.n && (w->classes[char_after(w->text, stop, &after)] & AUK_CHAR_SPACE))
        stop = after;
    return stop;
}

bool auk_added_next(auk_added_walk *w, auk_str *before, int32_t *id)
{
    if (w->ended)
        return false;
    while (w->at < w->text.n) {
        const auk_added *t = NULL;
        if (w->set->starts[(unsigned char)w->text.p[w->at]])
            t = longest_at(w->set, auk_str_from(w->text, w->at));
        if (t == NULL) {
            w->at++;
            continue;
        }
        size_t start = w->at, stop = start + t->content.n;
        w->at = stop;
        if (t->single_word && !stands_alone(w, start, stop))
            continue;
        if (t->lstrip)
            start = strip_left(w, start);
        if (t->rstrip)
            stop = strip_right(w, stop);
        /* a token may begin inside the white space that the one before it took */
        *before = (auk_str){w->text.p + w->plain, start > w->plain ? start - w->plain : 0};
        *id = t->id;
        w->plain = stop;
        return true;
    }
    w->ended = true;
    *before = w->plain < w->text.n ? auk_str_from(w->text, w->plain) : (auk_str){w->text.p, 0};
    *id = -1;
    return true;
}
