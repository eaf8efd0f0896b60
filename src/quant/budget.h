/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h - the knapsack and the measurements behind it.  Private to quant/. */
#ifndef AUK_QUANT_BUDGET_H
#define AUK_QUANT_BUDGET_H

#include "quant/gptq.h"
#include "quant/plan.h"

#define AUK_BUDGET_CHOICES 18 /* 2 3 4 5 6 8 bits in groups of 32 64 128 */

typedef struct auk_budget_option {
    int bits, group;
    uint64_t bytes;
    double error, damage;
} auk_budget_option;

/* An item with what it could be. */
typedef struct auk_budget_case {
    auk_budget_item item;
    size_t modules[4]; /* in the list */
    size_t n_modules;
    auk_budget_option options[AUK_BUDGET_CHOICES];
    size_t n_options, chosen;
    double error3; /* at 3 bits, groups of 64, round to nearest: what a probe does to it */
} auk_budget_case;

/* Picks options so that the bytes sum up to at most max_bytes and the damage is least: exactly,
 * unless the sizes have no common unit worth the name (over 2^20 of them within the budget), when
 * they are rounded up to one.  False when nothing fits. */
AUK_MUST_CHECK bool auk_budget_solve(auk_budget_case *cases, size_t n, uint64_t max_bytes);

/* Damage of every option: errors measured on rows of the source, sensitivities by probes. */
AUK_MUST_CHECK int auk_budget_measure(auk_budget_case *cases, size_t n, const auk_quant_plan *plan,
                                      const char *src, const auk_quant_options *opts,
                                      const auk_kernel *k, auk_pool *pool, size_t *probes,
                                      size_t *tokens, auk_err *err);

#endif
