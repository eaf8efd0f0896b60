/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/budget.h"

#include "base/mem.h"

#include <math.h>

#define MAX_UNITS ((uint64_t)1 << 20)

/* ---- the knapsack -------------------------------------------------------------------------- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static uint64_t least_of(const auk_budget_case *c)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < c->n_options; i++)
        least = c->options[i].bytes < least ? c->options[i].bytes : least;
    return least;
}

/* best[u] = the least damage of the items so far with at most u units above the smallest layout;
 * pick[item][u] = which option that took. */
static void fill(auk_budget_case *cases, size_t n, uint64_t unit, size_t units, double *best,
                 double *next, uint8_t *pick)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t least = least_of(&cases[i]);
        for (size_t u = 0; u <= units; u++) {
            double damage = INFINITY;
            uint8_t which = 0;
            for (size_t o = 0; o < cases[i].n_options; o++) {
                uint64_t more = (cases[i].options[o].bytes - least + unit - 1) / unit;
                if (more > u)
                    continue;
                double d = best[u - more] + cases[i].options[o].damage;
                if (d < damage) {
                    damage = d;
                    which = (uint8_t)o;
                }
            }
            next[u] = damage;
            pick[i * (units + 1) + u] = which;
        }
        memcpy(best, next, (units + 1) * sizeof *best);
    }
}

bool auk_budget_solve(auk_budget_case *cases, size_t n, uint64_t max_bytes)
{
    uint64_t least = 0, most = 0, unit = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t smallest = least_of(&cases[i]), largest = smallest;
        for (size_t o = 0; o < cases[i].n_options; o++) {
            unit = gcd(unit, cases[i].options[o].bytes - smallest);
            largest = cases[i].options[o].bytes > largest ? cases[i].options[o].bytes : largest;
        }
        least += smallest;
        most += largest - smallest;
    }
    if (n == 0 || least > max_bytes)
        return false;
    uint64_t room = max_bytes - least < most ? max_bytes - least : most;
    unit = unit == 0 ? 1 : unit;
    if (room / unit > MAX_UNITS)
        unit = room / MAX_UNITS + 1;
    size_t units = (size_t)(room / unit);
    double *best = auk_alloc((units + 1) * sizeof *best);
    double *next = auk_alloc((units + 1) * sizeof *next);
    uint8_t *pick = auk_alloc(n * (units + 1));
    fill(cases, n, unit, units, best, next, pick);
    for (size_t i = n, u = units; i-- > 0;) {
        cases[i].chosen = pick[i * (units + 1) + u];
        u -= (size_t)((cases[i].options[cases[i].chosen].bytes - least_of(&cases[i]) + unit - 1) /
                      unit);
    }
    free(best);
    free(next);
    free(pick);
    return true;
}

/* ---- the items ----------------------------------------------------------------------------- */

static const char *class_of(const char *path)
{
    if (strstr(path, "embed_tokens") != NULL)
        return "embedding";
    if (strstr(path, ".self_attn.") != NULL)
        return "attention";
    if (strstr(path, "down_proj") != NULL)
        return "down";
    return strstr(path, "gate_proj") != NULL || strstr(path, "up_proj") != NULL ? "gate_up" : NULL;
}

static int layer_of(const char *path)
{
    const char *at = strstr(path, ".layers.");

    return at != NULL ? (int)strtol(at + strlen(".layers."), NULL, 10) : -1;
}

static uint64_t module_bytes(const auk_quant_module *m, int bits, int group)
{
    auk_quant_module as = *m;
    auk_quant_output o[3];
    uint64_t sum = 0;

    as.is_quantized = bits != AUK_QUANT_NONE;
    as.format = (auk_numfmt){AUK_AFFINE, bits, group};
    int n = auk_quant_outputs(o, &as, AUK_DT_BF16);
    for (int i = 0; i < n; i++)
        sum += o[i].bytes;
    return sum;
}

static void add_options(auk_budget_case *c, const auk_quant_list *list)
{
    static const int bits[] = {2, 3, 4, 5, 6, 8}, groups[] = {128, 64, 32};

    for (size_t b = 0; b < 6; b++)
        for (size_t g = 0; g < 3; g++) {
            auk_budget_option o = {.bits = bits[b], .group = groups[g]};
            bool fits = true;
            for (size_t i = 0; i < c->n_modules; i++) {
                const auk_quant_module *m = &list->modules[c->modules[i]];
                fits &= auk_quant_cols(m) % (uint64_t)o.group == 0;
                o.bytes += module_bytes(m, o.bits, o.group);
            }
            if (fits)
                c->options[c->n_options++] = o;
        }
}

/* Quantized modules of one class and layer make an item; a router keeps the format it has. */
static size_t make_cases(auk_budget_case *cases, const auk_quant_list *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const auk_quant_module *m = &list->modules[i];
        const char *what = class_of(m->path);
        if (!m->is_quantized || what == NULL)
            continue;
        auk_budget_case *c = NULL;
        for (size_t j = 0; j < n && c == NULL; j++)
            if (cases[j].item.layer == layer_of(m->path) && strcmp(cases[j].item.what, what) == 0)
                c = &cases[j];
        if (c == NULL) {
            c = &cases[n++];
            c->item.layer = layer_of(m->path);
            c->item.what = what;
        }
        if (c->n_modules < 2)
            snprintf(c->item.path[c->n_modules], sizeof c->item.path[0], "%s", m->path);
        c->modules[c->n_modules++] = i;
    }
    for (size_t j = 0; j < n; j++)
        add_options(&cases[j], list);
    return n;
}

/* ---- the door ------------------------------------------------------------------------------ */

static int keep(auk_budget *out, const auk_budget_case *cases, size_t n, const auk_quant_list *list,
                uint64_t fixed, auk_err *err)
{
    size_t n_formats = 0;

    for (size_t i = 0; i < n; i++)
        n_formats += cases[i].n_modules;
    int rc = auk_try_alloc(&out->items, n, sizeof *out->items, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->formats, n_formats, sizeof *out->formats, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->paths, n_formats, sizeof *out->paths, err);
    out->bytes = fixed;
    for (size_t i = 0; i < n && rc == AUK_OK; i++) {
        const auk_budget_option *o = &cases[i].options[cases[i].chosen];
        out->items[i] = cases[i].item;
        out->items[i].bits = o->bits;
        out->items[i].group_size = o->group;
        out->items[i].bytes = o->bytes;
        out->items[i].error = o->error;
        out->items[i].damage = o->damage;
        out->bytes += o->bytes;
        out->predicted_kl += o->damage;
        for (size_t j = 0; j < cases[i].n_modules; j++) {
            size_t at = out->n_formats++;
            memcpy(out->paths[at], list->modules[cases[i].modules[j]].path, sizeof out->paths[at]);
            out->formats[at] = (auk_quant_format){out->paths[at], o->bits, o->group};
        }
    }
    out->n = rc == AUK_OK ? n : 0;
    return rc;
}

/* With the source open and planned. */
static int choose(auk_budget *out, const auk_quant_plan *plan, const char *src,
                  const auk_quant_options *opts, const auk_kernel *k, auk_pool *pool,
                  uint64_t max_bytes, auk_err *err)
{
    const auk_quant_list *list = &plan->list;
    auk_budget_case *cases = NULL;
    uint64_t fixed = 0;

    int rc = auk_try_alloc(&cases, list->n, sizeof *cases, err);
    if (rc < 0)
        return rc;
    size_t n = make_cases(cases, list);
    for (size_t i = 0; i < list->n; i++) {
        bool ours = list->modules[i].is_quantized && class_of(list->modules[i].path) != NULL;
        if (!ours)
            fixed += module_bytes(&list->modules[i],
                                  list->modules[i].is_quantized ? list->modules[i].format.bits
                                                                : AUK_QUANT_NONE,
                                  list->modules[i].format.group_size);
    }
    out->least_bytes = fixed;
    for (size_t i = 0; i < n; i++)
        out->least_bytes += least_of(&cases[i]);
    if (out->least_bytes > max_bytes)
        rc = auk_fail(err, AUK_ELIMIT,
                      "%llu bytes do not hold this model: its smallest layout takes %llu (%.2f GB)",
                      (unsigned long long)max_bytes, (unsigned long long)out->least_bytes,
                      (double)out->least_bytes / 1e9);
    if (rc == AUK_OK)
        rc = auk_budget_measure(cases, n, plan, src, opts, k, pool, &out->probes,
                                &out->probe_tokens, err);
    if (rc == AUK_OK && !auk_budget_solve(cases, n, max_bytes - fixed))
        rc = auk_fail(err, AUK_EINVAL, "nothing of this model is quantized: there is no choice");
    if (rc == AUK_OK)
        rc = keep(out, cases, n, list, fixed, err);
    free(cases);
    return rc;
}

int auk_budget_choose(auk_budget *out, const char *src, const auk_quant_options *opts,
                      uint64_t max_bytes, auk_err *err)
{
    unsigned flags = opts->cpu_flags;
    auk_quant_source s = {0};
    auk_checkpoint *ck = NULL;
    auk_quant_plan plan = {0};
    auk_kernel k;

    *out = (auk_budget){0};
    int rc = flags != 0 ? AUK_OK : auk_cpu_default(&flags, err);
    if (rc == AUK_OK && opts->mode != AUK_AFFINE)
        rc = auk_fail(err, AUK_EINVAL, "a budget chooses among affine formats, not mode %s",
                      auk_mode_name(opts->mode));
    if (rc == AUK_OK && opts->calibration == NULL)
        rc = auk_fail(err, AUK_EINVAL, "a budget needs calibration tokens to measure damage");
    if (rc == AUK_OK)
        rc = auk_checkpoint_open(&ck, src, err);
    if (rc == AUK_OK)
        rc = auk_quant_source_open(&s, src, err);
    if (rc == AUK_OK)
        rc = auk_quant_plan_make(&plan, ck, &s, opts, err);
    if (rc == AUK_OK) {
        auk_kernel_init(&k, flags);
        auk_pool *pool = auk_pool_new(opts->threads);
        rc = choose(out, &plan, src, opts, &k, pool, max_bytes, err);
        auk_pool_free(pool);
    }
    auk_quant_plan_release(&plan);
    auk_quant_source_release(&s);
    auk_checkpoint_close(ck);
    if (rc < 0) {
        uint64_t least = out->least_bytes;
        auk_budget_release(out);
        out->least_bytes = least;
    }
    return rc;
}

void auk_budget_release(auk_budget *b)
{
    free(b->items);
    free(b->formats);
    free(b->paths);
    *b = (auk_budget){0};
}
