/* SPDX-License-Identifier: Apache-2.0 */
/* ladder.h - at which depth does a rate break?  A base cell and cells at growing depth, all with
 * the same samples, so that each cell is compared with the base by pairs.  Comes through stats.h.
 *
 * A cell fails when it lies at least 0.2 below the base, by counts and not by rounded rates, and
 * the exact McNemar p is below 0.05 after Holm's correction over the ladder's cells.  Cells that
 * were added while closing in on the cliff take the correction's first step, min(1, m p), m being
 * the cells of the ladder: so a closer look never changes what the ladder said.  Depth need not
 * be monotonic: cells behind the first failing one keep their own say. */
#ifndef AUK_STATS_LADDER_H
#define AUK_STATS_LADDER_H

#include "base/error.h"

#define AUK_LADDER_LEVEL 0.05

typedef struct auk_rung {
    int64_t depth;
    bool added; /* while closing in; the base and the ladder are not */
    /* samples of base and cell: both pass, only the base, only the cell, none */
    uint64_t both, base_only, cell_only, none;
    uint64_t missing; /* samples without a result: such a cell never has a say */
    /* filled by auk_stats_ladder; NAN for the base and for cells with missing samples */
    double p, p_holm;
    bool drop, fails;
} auk_rung;

typedef enum auk_ladder_status {
    AUK_LADDER_HOLDS,   /* no cell fails */
    AUK_LADDER_CLIFF,   /* last_pass and first_fail are set */
    AUK_LADDER_BROKEN,  /* the base itself passes less than half */
    AUK_LADDER_PARTIAL, /* a cell of the ladder has missing samples, or there is no second one */
    AUK_LADDER_FEW,     /* no cell fails, but with so few samples none with a drop of 0.2 could */
} auk_ladder_status;

const char *auk_ladder_status_name(auk_ladder_status s); /* "holds", "cliff" ... */

typedef struct auk_ladder {
    auk_ladder_status status;
    size_t last_pass, first_fail; /* indices into the sorted rungs */
    uint64_t width;               /* first_fail's depth less last_pass's */
    bool close;                   /* width <= max(1024, 5 % of first_fail's depth) */
} auk_ladder;

/* "a drop of at least 0.2" between pb of nb and pc of nc: 5 (pb nc - pc nb) >= nb nc. */
bool auk_stats_drop(uint64_t pb, uint64_t nb, uint64_t pc, uint64_t nc);

/* The fewest samples of a cell for which a drop of 0.2, all pairs in one direction, is significant
 * after Holm's first step over m cells: 30 for m = 1, 40 up to 6, 45 up to 12. */
AUK_MUST_CHECK int auk_ladder_samples(uint64_t *out, size_t m, auk_err *err);

/* Sorts the n rungs by depth, the first is the base, and fills them. */
AUK_MUST_CHECK int auk_stats_ladder(auk_ladder *out, auk_rung *rungs, size_t n, auk_err *err);

#endif
