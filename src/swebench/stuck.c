/* SPDX-License-Identifier: Apache-2.0 */
#include "swebench/stuck.h"

static uint64_t add_byte(uint64_t h, unsigned char c)
{
    return (h ^ c) * 1099511628211u;
}

static uint64_t hash_words(uint64_t h, auk_str s)
{
    bool blank = true;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!is_blank)
            h = add_byte(blank ? add_byte(h, ' ') : h, c);
        blank = is_blank;
    }
    return h;
}

const char *auk_stuck_add(auk_stuck *s, auk_str command, int exit_code, auk_str output)
{
    memmove(s->action + 1, s->action, (AUK_STUCK_LOOK - 1) * sizeof *s->action);
    memmove(s->both + 1, s->both, (AUK_STUCK_LOOK - 1) * sizeof *s->both);
    memmove(s->failed + 1, s->failed, (AUK_STUCK_LOOK - 1) * sizeof *s->failed);
    s->action[0] = hash_words(14695981039346656037u, command);
    s->both[0] = add_byte(hash_words(s->action[0], output), (unsigned char)exit_code);
    s->failed[0] = exit_code != 0;
    s->n++;
    const uint64_t *a = s->action, *b = s->both;
    if (s->n >= 4 && b[0] == b[1] && b[0] == b[2] && b[0] == b[3])
        return "repeats";
    if (s->n >= 3 && a[0] == a[1] && a[0] == a[2] && s->failed[0] && s->failed[1] && s->failed[2])
        return "errors";
    if (s->n >= 6 && b[0] == b[2] && b[0] == b[4] && b[1] == b[3] && b[1] == b[5] && b[0] != b[1])
        return "alternates";
    return NULL;
}
