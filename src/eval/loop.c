/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/loop.h"

#include "base/mem.h"
#include "eval/answer.h"

#define MAX_PERIOD 4096
#define COPIES 4
#define LENIENT 4
#define STEP 1024

static size_t needed(size_t p, bool in_code)
{
    size_t bytes = p <= 64 ? 1024 : COPIES * p > 2048 ? COPIES * p : 2048;

    return in_code ? LENIENT * bytes : bytes;
}

/* Reads the tail backwards: z[p] is how many bytes at the end equal the ones p before (Gusfield's
 * Z algorithm), so the last p + z[p] bytes have period p. */
size_t auk_loop_period(auk_str text, bool in_code)
{
    size_t most = COPIES * MAX_PERIOD * (in_code ? LENIENT : 1);
    size_t n = text.n < most ? text.n : most, left = 0, right = 0, found = 0;
    const char *end = text.p + text.n - 1;
    size_t limit = n < MAX_PERIOD ? n : MAX_PERIOD;

    if (n < needed(1, in_code))
        return 0;
    size_t *z = auk_alloc((limit + 1) * sizeof *z);
    for (size_t p = 1; p <= limit && p < n && found == 0; p++) {
        size_t run = p < right && z[p - left] < right - p ? z[p - left] : p < right ? right - p : 0;
        while (p + run < n && end[-(ptrdiff_t)run] == end[-(ptrdiff_t)(p + run)])
            run++;
        z[p] = run;
        if (p + run > right) {
            left = p;
            right = p + run;
        }
        if (p + run >= needed(p, in_code))
            found = p;
    }
    free(z);
    return found;
}

bool auk_loop_in_code(auk_str text)
{
    auk_fence fence = {.closed = true};
    size_t at = 0;

    while (auk_fence_next(&fence, text, &at))
        ;
    return !fence.closed;
}

bool auk_loop_watch_step(auk_loop_watch *w, auk_str text)
{
    if (text.n < w->next || text.n == 0)
        return false;
    /* A longer text is looked at less often: the look at its fences reads all of it. */
    w->next = text.n + (text.n / 64 > STEP ? text.n / 64 : STEP);
    return auk_loop_period(text, false) > 0 && auk_loop_period(text, auk_loop_in_code(text)) > 0;
}
