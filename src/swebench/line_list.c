/* SPDX-License-Identifier: Apache-2.0 */
#include "swebench/line_list.h"

#include "base/mem.h"

int auk_line_list_split(auk_line_list *out, auk_str text, auk_err *err)
{
    size_t n = 0;

    *out = (auk_line_list){0};
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    n += text.n > 0 && text.p[text.n - 1] != '\n';
    int rc = auk_try_alloc(&out->p, n + 1, sizeof *out->p, err);
    for (size_t at = 0; rc == AUK_OK && at < text.n;) {
        const char *p = text.p + at, *end = memchr(p, '\n', text.n - at);
        size_t all = end != NULL ? (size_t)(end - p) + 1 : text.n - at;
        size_t tail = end == NULL ? 0 : all > 1 && p[all - 2] == '\r' ? 2 : 1;
        out->p[out->n++] = (auk_line){.text = {p, all - tail}, .end = (uint8_t)tail};
        at += all;
    }
    return rc;
}

void auk_line_list_release(auk_line_list *l)
{
    free(l->p);
    *l = (auk_line_list){0};
}

bool auk_line_same(const auk_line *a, const auk_line *b)
{
    return a->end == b->end && auk_str_eq(a->text, b->text);
}

bool auk_is_blank(auk_str text)
{
    return auk_trim_end(text).n == 0;
}

auk_str auk_trim_end(auk_str text)
{
    while (text.n > 0 &&
           (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t' || text.p[text.n - 1] == '\r'))
        text.n--;
    return text;
}

size_t auk_indent_of(auk_str text)
{
    size_t n = 0;

    while (n < text.n && (text.p[n] == ' ' || text.p[n] == '\t'))
        n++;
    return n;
}

/* As RFC 3629 has it: no surrogates, nothing above U+10FFFF, nothing longer than needed. */
bool auk_is_utf8(auk_str text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        size_t n = c < 0x80                ? 1
                   : c >= 0xC2 && c < 0xE0 ? 2
                   : (c & 0xF0) == 0xE0    ? 3
                   : c >= 0xF0 && c < 0xF5 ? 4
                                           : 0;
        if (n == 0 || n > text.n - i)
            return false;
        uint32_t v = n == 1 ? c : c & (0xFFu >> (n + 1));
        for (size_t k = 1; k < n; k++) {
            unsigned char d = (unsigned char)text.p[i + k];
            if ((d & 0xC0) != 0x80)
                return false;
            v = v << 6 | (d & 0x3F);
        }
        if (v < least[n] || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000))
            return false;
        i += n;
    }
    return true;
}

/* ---- the shortest way --------------------------------------------------------------------- */

typedef struct window {
    const auk_line *a, *b;
    const uint32_t *ha, *hb; /* hashes, so that most lines are told apart without their text */
    int n, m;
    bool text_only;
} window;

static uint32_t hash_line(const auk_line *l, bool text_only)
{
    uint32_t h = 2166136261u ^ (text_only ? 0 : l->end);

    for (size_t i = 0; i < l->text.n; i++)
        h = (h ^ (unsigned char)l->text.p[i]) * 16777619u;
    return h;
}

static bool same(const window *w, int i, int j)
{
    return w->ha[i] == w->hb[j] && (w->text_only || w->a[i].end == w->b[j].end) &&
           auk_str_eq(w->a[i].text, w->b[j].text);
}

/* The trace of depth d holds the ends of its 2d + 1 diagonals, at d * d. */
static int myers(bool *gone, bool *added, const window *w, auk_err *err)
{
    int most = w->n + w->m < AUK_MAX_DIFFERENCES ? w->n + w->m : AUK_MAX_DIFFERENCES, d, found = -1;
    size_t cells = ((size_t)most + 1) * ((size_t)most + 1);
    int32_t *trace, *now = NULL, *before = NULL;

    int rc = auk_try_alloc(&trace, cells, sizeof *trace, err);
    if (rc < 0)
        return rc;
    for (d = 0; d <= most && found < 0; d++) {
        now = trace + (size_t)d * (size_t)d + d;
        before = d > 0 ? trace + (size_t)(d - 1) * (size_t)(d - 1) + d - 1 : NULL;
        for (int k = -d; k <= d; k += 2) {
            int x = d == 0                                                 ? 0
                    : k == -d || (k != d && before[k - 1] < before[k + 1]) ? before[k + 1]
                                                                           : before[k - 1] + 1;
            while (x < w->n && x - k < w->m && x - k >= 0 && same(w, x, x - k))
                x++;
            now[k] = x;
            if (x >= w->n && x - k >= w->m)
                found = d;
        }
    }
    if (found < 0) {
        memset(gone, 1, (size_t)w->n * sizeof *gone);
        memset(added, 1, (size_t)w->m * sizeof *added);
    }
    for (int x = w->n, k = w->n - w->m; found > 0; found--) {
        before = trace + (size_t)(found - 1) * (size_t)(found - 1) + found - 1;
        bool down = k == -found || (k != found && before[k - 1] < before[k + 1]);
        k += down ? 1 : -1;
        x = before[k];
        if (down)
            added[x - k] = true;
        else
            gone[x] = true;
    }
    free(trace);
    return AUK_OK;
}

int auk_line_list_diff(bool *gone, bool *added, const auk_line_list *a, const auk_line_list *b,
                       bool text_only, auk_err *err)
{
    size_t head = 0, tail = 0, least = a->n < b->n ? a->n : b->n;
    uint32_t *hashes;

    memset(gone, 0, a->n * sizeof *gone);
    memset(added, 0, b->n * sizeof *added);
    int rc = auk_try_alloc(&hashes, a->n + b->n + 1, sizeof *hashes, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < a->n; i++)
        hashes[i] = hash_line(&a->p[i], text_only);
    for (size_t i = 0; i < b->n; i++)
        hashes[a->n + i] = hash_line(&b->p[i], text_only);
    window w = {a->p, b->p, hashes, hashes + a->n, (int)a->n, (int)b->n, text_only};
    while (head < least && same(&w, (int)head, (int)head))
        head++;
    while (tail < least - head && same(&w, (int)(a->n - 1 - tail), (int)(b->n - 1 - tail)))
        tail++;
    w.a += head;
    w.b += head;
    w.ha += head;
    w.hb += head;
    w.n -= (int)(head + tail);
    w.m -= (int)(head + tail);
    rc = myers(gone + head, added + head, &w, err);
    free(hashes);
    return rc;
}
