/* SPDX-License-Identifier: Apache-2.0 */
#include "text/pretoken.h"

#include "text/char_class.h"
#include "text/utf8.h"

enum { NONE = 0 }; /* no match ends at 0 */

static inline unsigned class_at(const auk_pretoken *s, size_t i, size_t *len)
{
    if (s->p[i] < 0x80) {
        *len = 1;
        return s->classes[s->p[i]];
    }
    return s->classes[auk_utf8_get(s->p + i, len)];
}

/* End of the run of characters from i on that have one of the classes. */
static size_t run_of(const auk_pretoken *s, size_t i, size_t end, unsigned classes)
{
    size_t len;

    while (i < end && (class_at(s, i, &len) & classes))
        i += len;
    return i;
}

/* Finds the next run of digits that stage 1 cuts, and with it the end of the gap before it. */
static void find_gap(auk_pretoken *s)
{
    size_t i = s->at, len;

    while (i < s->n) {
        if (!(class_at(s, i, &len) & AUK_CHAR_DIGIT)) {
            i += len;
            continue;
        }
        size_t start = i, count = 0;
        while (i < s->n && (class_at(s, i, &len) & AUK_CHAR_DIGIT)) {
            i += len;
            count++;
        }
        if (i == s->n || !(class_at(s, i, &len) & AUK_CHAR_WORD)) {
            s->gap_end = start;
            s->run_end = i;
            s->n_digits = count;
            return;
        }
    }
    s->gap_end = s->run_end = s->n;
    s->n_digits = 0;
}

/* What the two word alternatives need to know about the letters from `start` on. */
typedef struct letters {
    size_t start;
    size_t upper_end; /* end of the longest [upper]* */
    size_t both_end;  /* end of the last character in it that is lower as well, or NONE */
    size_t end;       /* end of the [lower]* after it */
} letters;

static letters scan_letters(const auk_pretoken *s, size_t i, size_t end)
{
    letters r = {.start = i};
    unsigned c;
    size_t len;

    while (i < end && ((c = class_at(s, i, &len)) & AUK_CHAR_UPPER)) {
        i += len;
        if (c & AUK_CHAR_LOWER)
            r.both_end = i;
    }
    r.upper_end = i;
    r.end = run_of(s, i, end, AUK_CHAR_LOWER);
    return r;
}

/* [upper]*[lower]+: when nothing lower follows the run, it gives back up to its last character
 * that may count as lower. */
static size_t match_lower(const letters *r)
{
    return r->end > r->upper_end ? r->end : r->both_end;
}

/* [upper]+[lower]* */
static size_t match_upper(const letters *r)
{
    return r->upper_end > r->start ? r->end : NONE;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)? at i; the engine folds U+017F, the long s, to s. */
static size_t skip_contraction(const auk_pretoken *s, size_t i, size_t end)
{
    size_t left = end - i;

    if (left < 2 || s->p[i] != '\'')
        return i;
    unsigned a = s->p[i + 1] | 0x20u, b = left > 2 ? s->p[i + 2] | 0x20u : 0;
    if (s->p[i + 1] < 0x80 && (a == 's' || a == 't' || a == 'm' || a == 'd'))
        return i + 2;
    if (left > 2 && s->p[i + 1] == 0xC5 && s->p[i + 2] == 0xBF)
        return i + 3;
    if (s->p[i + 1] < 0x80 && left > 2 && s->p[i + 2] < 0x80 &&
        ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')))
        return i + 3;
    return i;
}

static size_t match_word(const auk_pretoken *s, size_t i, size_t end)
{
    letters bare = {0}, prefixed = {0};
    size_t len, stop = NONE;
    unsigned c = class_at(s, i, &len);

    if (!(c & (AUK_CHAR_L | AUK_CHAR_N)) && s->p[i] != '\r' && s->p[i] != '\n') {
        prefixed = scan_letters(s, i + len, end);
        stop = match_lower(&prefixed);
    }
    if (stop == NONE && (c & (AUK_CHAR_UPPER | AUK_CHAR_LOWER))) {
        bare = scan_letters(s, i, end);
        stop = match_lower(&bare);
    }
    if (stop == NONE)
        stop = match_upper(&prefixed);
    if (stop == NONE)
        stop = match_upper(&bare);
    return stop == NONE ? NONE : skip_contraction(s, stop, end);
}

static size_t match_number(const auk_pretoken *s, size_t i, size_t end)
{
    size_t len;

    for (int k = 0; k < 3 && i < end && (class_at(s, i, &len) & AUK_CHAR_N); k++)
        i += len;
    return i;
}

/* ` ?[^\s\p{L}\p{N}]+[\r\n/]*` */
static size_t match_symbols(const auk_pretoken *s, size_t i, size_t end)
{
    enum { OTHER = AUK_CHAR_SPACE | AUK_CHAR_L | AUK_CHAR_N };
    size_t start = i + (s->p[i] == ' '), len;

    i = start;
    while (i < end && !(class_at(s, i, &len) & OTHER))
        i += len;
    if (i == start)
        return NONE;
    while (i < end && (s->p[i] == '\r' || s->p[i] == '\n' || s->p[i] == '/'))
        i++;
    return i;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ at a white-space character: up to the last line end of the run; else
 * all of it at the end of the gap, all but its last character before something else, or that. */
static size_t match_space(const auk_pretoken *s, size_t i, size_t end)
{
    size_t start = i, line_end = NONE, last = i, len;

    while (i < end && (class_at(s, i, &len) & AUK_CHAR_SPACE)) {
        last = i;
        i += len;
        if (s->p[last] == '\r' || s->p[last] == '\n')
            line_end = i;
    }
    if (line_end != NONE)
        return line_end;
    return i == end || last == start ? i : last;
}

static size_t match_gap(const auk_pretoken *s, size_t i, size_t end)
{
    size_t len, stop = match_word(s, i, end);
    unsigned c = class_at(s, i, &len);

    if (stop == NONE && (c & AUK_CHAR_N))
        stop = match_number(s, i, end);
    if (stop == NONE)
        stop = match_symbols(s, i, end);
    if (stop == NONE)
        stop = match_space(s, i, end);
    return stop;
}

/* The next group of the run of digits: as many as leave a multiple of three. */
static size_t match_digits(auk_pretoken *s, size_t i)
{
    size_t count = (s->n_digits - 1) % 3 + 1, len;

    s->n_digits -= count;
    for (; count > 0; count--) {
        auk_utf8_get(s->p + i, &len);
        i += len;
    }
    return i;
}

void auk_pretoken_init(auk_pretoken *s, const uint8_t *classes, auk_str text)
{
    *s = (auk_pretoken){.classes = classes, .p = (const unsigned char *)text.p, .n = text.n};
    find_gap(s);
}

bool auk_pretoken_next(auk_pretoken *s, auk_str *piece)
{
    size_t start = s->at;

    if (start == s->n)
        return false;
    if (start < s->gap_end)
        s->at = match_gap(s, start, s->gap_end);
    else
        s->at = match_digits(s, start);
    if (s->at == s->run_end && s->at >= s->gap_end && s->n_digits == 0 && s->at < s->n)
        find_gap(s);
    *piece = (auk_str){(const char *)s->p + start, s->at - start};
    return true;
}
