/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

void auk_loop_guard_init(auk_loop_guard *g)
{
    memset(g, 0, sizeof *g);
}

/* run[p] counts how many of the newest ids equal the id p before them; the newest run[p] + p ids
 * are then one block of p repeated. */
int auk_loop_guard_add(auk_loop_guard *g, int32_t id, bool lenient)
{
    int found = 0;

    for (int p = 1; p <= AUK_LOOP_MAX_PERIOD; p++) {
        bool same = g->n >= p && g->last[(g->n - p) % AUK_LOOP_MAX_PERIOD] == id;
        g->run[p] = same ? g->run[p] + 1 : 0;
        int length = g->run[p] + p;
        int limit = p <= 16 ? 256 : 4 * p > 512 ? 4 * p : 512;
        if (lenient)
            limit *= 4;
        if (found == 0 && g->run[p] > 0 && length >= limit && length >= 4 * p)
            found = p;
    }
    g->last[g->n++ % AUK_LOOP_MAX_PERIOD] = id;
    return found;
}
