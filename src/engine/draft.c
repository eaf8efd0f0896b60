/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/draft.h"

#include <string.h>

#define GRAM 4     /* ids that must be the same before a guess */
#define LONG 16    /* as long a match is trusted most */
#define WORTH 1.08 /* a guess must promise this much */
#define MISSES 2   /* wrong guesses in a row before a rest */
#define REST 32    /* tokens; doubled by every further miss up to MOST_REST */
#define MOST_REST 512

/* Until it is measured: a pass of n rows against one row, where memory limits and every row brings
 * experts of its own. */
static double prior_cost(int rows)
{
    return 1 + 0.45 * (double)(rows - 1);
}

void auk_draft_init(auk_draft *d)
{
    memset(d, 0, sizeof *d);
    d->hit = 0.7;
}

static uint32_t slot_of(const int32_t *gram)
{
    uint64_t h = 0;

    for (int i = 0; i < GRAM; i++)
        h = (h ^ (uint32_t)gram[i]) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 48);
}

void auk_draft_cut(auk_draft *d, int n)
{
    if (d->indexed > n)
        d->indexed = n;
}

/* Every four ids that end before n - 1: what ends the history is what is looked for. */
static void catch_up(auk_draft *d, const int32_t *ids, int n)
{
    int from = d->indexed < GRAM ? GRAM : d->indexed;

    for (int end = from; end < n; end++)
        d->last[slot_of(ids + end - GRAM)] = end;
    if (n > d->indexed)
        d->indexed = n;
}

/* How many ids before `end` equal those before n, at most LONG. */
static int match(const int32_t *ids, int end, int n)
{
    int same = 0;

    while (same < LONG && same < end && ids[end - 1 - same] == ids[n - 1 - same])
        same++;
    return same;
}

/* The price of a pass with this many rows, in passes of one. */
static double cost(const auk_draft *d, int rows)
{
    if (d->row_ns[1] <= 0)
        return prior_cost(rows);
    if (d->row_ns[rows] > 0)
        return d->row_ns[rows] / d->row_ns[1];
    for (int n = rows - 1; n > 1; n--) /* from the nearest that was measured */
        if (d->row_ns[n] > 0)
            return d->row_ns[n] / d->row_ns[1] * prior_cost(rows) / prior_cost(n);
    return prior_cost(rows);
}

/* The number of guesses with the most tokens per price, 0 when none is worth it. */
static int worth(const auk_draft *d, double hit, int max)
{
    double expect = 1, power = 1, best = WORTH;
    int n = 0;

    for (int k = 1; k <= max; k++) {
        power *= hit;
        expect += power;
        double gain = expect / cost(d, k + 1);
        if (gain > best) {
            best = gain;
            n = k;
        }
    }
    return n;
}

int auk_draft_guess(auk_draft *d, int32_t *out, const int32_t *ids, int n, int max)
{
    catch_up(d, ids, n);
    if (d->rest > 0) {
        d->rest--;
        return 0;
    }
    if (n <= GRAM)
        return 0;
    int end = d->last[slot_of(ids + n - GRAM)], same = end > 0 && end < n ? match(ids, end, n) : 0;
    if (same < GRAM)
        return 0;
    double trust = 0.5 + 0.5 * (double)same / LONG;
    int most = max < AUK_DRAFT_MAX ? max : AUK_DRAFT_MAX;
    most = most < n - end ? most : n - end;
    int k = worth(d, d->hit * trust + (1 - trust) * 0.5, most);
    memcpy(out, ids + end, (size_t)k * sizeof *out);
    for (int rows = 2; k == 0 && rows <= AUK_DRAFT_MAX + 1; rows++)
        d->row_ns[rows] -= d->row_ns[rows] / 64; /* a price taken in a busy second is asked again */
    return k;
}

void auk_draft_took(auk_draft *d, int rows, uint64_t ns)
{
    double *t = &d->row_ns[rows];

    double most = 1.5 * *t, took = (double)ns;

    /* what another program's second costs is no price */
    *t = *t <= 0 ? took : *t + ((took < most ? took : most) - *t) / 8;
}

void auk_draft_learn(auk_draft *d, int guessed, int right)
{
    int judged = right < guessed ? right + 1 : right; /* what came after a wrong one says nothing */

    for (int i = 0; i < judged; i++)
        d->hit += ((i < right ? 1.0 : 0.0) - d->hit) / 16;
    d->hit = d->hit > 0.98 ? 0.98 : d->hit;
    d->guessed += (uint64_t)guessed;
    d->accepted += (uint64_t)right;
    if (right > 0) {
        d->misses = 0;
        return;
    }
    if (++d->misses < MISSES)
        return;
    int doubled = d->misses - MISSES > 4 ? 4 : d->misses - MISSES;
    d->rest = REST << doubled < MOST_REST ? REST << doubled : MOST_REST;
    d->hit = d->hit < 0.5 ? 0.5 : d->hit; /* the next text may be another */
}
