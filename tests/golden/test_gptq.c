/* SPDX-License-Identifier: Apache-2.0 */
/* GPTQ in pull form against mlx-lm's and a float64 push form (golden/mlx/gptq). */
#include "golden/golden.h"

#include "base/cpu.h"
#include "base/half.h"
#include "base/mem.h"
#include "format/format.h"
#include "quant/gptq.h"
#include "quant/hessian.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_kernel kernel;

static const struct {
    const char *name;
    int bits, group;
} cases[] = {{"plain", 4, 64}, {"b8", 8, 64}, {"b2-g32", 2, 32}, {"g128", 4, 128}};

static const auk_tensor *tensor(const auk_safetensors *st, const char *name)
{
    const auk_tensor *t = auk_safetensors_find(st, auk_str_of(name));

    if (t == NULL)
        fail_msg("no tensor '%s'", name);
    return t;
}

typedef struct problem {
    float *w, *h, *r, *scale, *bias;
    uint8_t *codes, *packed;
    size_t rows, n;
    int bits, group;
} problem;

static problem read_problem(const auk_safetensors *st, size_t which)
{
    const auk_tensor *w = tensor(st, "W"), *h = tensor(st, "H");
    problem p = {.rows = (size_t)w->shape[0], .n = (size_t)w->shape[1]};

    p.bits = cases[which].bits;
    p.group = cases[which].group;
    p.w = auk_alloc(p.rows * p.n * sizeof(float));
    p.h = auk_alloc(p.n * p.n * sizeof(float));
    p.r = auk_alloc(p.n * p.n * sizeof(float));
    p.scale = auk_alloc(p.rows * p.n / (size_t)p.group * sizeof(float));
    p.bias = auk_alloc(p.rows * p.n / (size_t)p.group * sizeof(float));
    p.codes = auk_alloc(p.rows * p.n);
    p.packed = auk_alloc(p.rows * p.n);
    kernel.bf16_to_f32(p.w, w->data, p.rows * p.n);
    memcpy(p.h, h->data, p.n * p.n * sizeof(float));
    return p;
}

static void release(problem *p)
{
    free(p->w);
    free(p->h);
    free(p->r);
    free(p->scale);
    free(p->bias);
    free(p->codes);
    free(p->packed);
}

static void unpack(problem *p)
{
    for (size_t i = 0; i < p->rows * p->n; i++) {
        size_t at = i * (size_t)p->bits;
        unsigned v = p->packed[at / 8];
        if (at % 8 + (size_t)p->bits > 8)
            v |= (unsigned)p->packed[at / 8 + 1] << 8;
        p->codes[i] = (uint8_t)(v >> at % 8 & ((1u << p->bits) - 1));
    }
}

static double solve(problem *p, auk_grid grid, bool coupled)
{
    auk_gptq g = {&kernel, coupled ? p->r : NULL, NULL, p->n, p->bits, p->group, grid};
    auk_gptq_room room;
    auk_err err;
    double loss;

    assert_true(p->rows <= AUK_GPTQ_ROWS);
    assert_int_equal(auk_gptq_room_init(&room, p->n, &err), 0);
    loss = auk_gptq_rows(p->packed, p->scale, p->bias, &room, &g, p->w, p->rows);
    auk_gptq_room_release(&room);
    unpack(p);
    return loss;
}

static size_t different_codes(const problem *p, const auk_safetensors *st, const char *name)
{
    const auk_tensor *t = tensor(st, name);
    size_t n = 0;

    for (size_t i = 0; i < p->rows * p->n; i++)
        n += p->codes[i] != t->data[i];
    return n;
}

static size_t different_pairs(const problem *p, const auk_safetensors *st, const char *scales,
                              const char *biases)
{
    const auk_tensor *s = tensor(st, scales), *b = tensor(st, biases);
    size_t n = 0;

    for (size_t i = 0; i < p->rows * p->n / (size_t)p->group; i++)
        n += auk_f32_to_bf16(p->scale[i]) != auk_le16(s->data + 2 * i) ||
             auk_f32_to_bf16(p->bias[i]) != auk_le16(b->data + 2 * i);
    return n;
}

/* mean diagonal * 0.01, as the recorded runs have it. */
static void damped_factor(problem *p)
{
    double mean = auk_hessian_trace(p->h, p->n) / (double)p->n;

    assert_true(auk_hessian_factor(p->r, p->h, 0.01 * mean, p->n, &kernel));
}

static void each(void (*check)(const auk_safetensors *st, problem *p, const char *name))
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auk_safetensors *st;
        auk_err err;
        if (auk_safetensors_open(&st, golden_path("mlx/gptq/%s.safetensors", cases[i].name), &err))
            fail_msg("%s", err.msg);
        problem p = read_problem(st, i);
        check(st, &p, cases[i].name);
        release(&p);
        auk_safetensors_close(st);
    }
}

static void check_float64(const auk_safetensors *st, problem *p, const char *name)
{
    damped_factor(p);
    solve(p, AUK_GRID_CPU, true);
    size_t codes = different_codes(p, st, "float64.codes");
    size_t lm = different_codes(p, st, "mlx_lm.codes");
    size_t pairs = different_pairs(p, st, "float64.scales", "float64.biases");
    if (codes + lm + pairs > 0)
        fail_msg("%s: %zu codes differ from float64, %zu from mlx-lm, %zu pairs", name, codes, lm,
                 pairs);
}

static void pull_form_gives_the_codes_of_mlx_lm_and_of_a_float64_push_form(void **state)
{
    (void)state;
    each(check_float64);
}

static void check_bf16_grid(const auk_safetensors *st, problem *p, const char *name)
{
    damped_factor(p);
    solve(p, AUK_GRID_CPU_BF16, true);
    size_t codes = different_codes(p, st, "float64_bf16_grid.codes");
    size_t pairs = different_pairs(p, st, "float64_bf16_grid.scales", "float64_bf16_grid.biases");
    if (codes + pairs > 0)
        fail_msg("%s: %zu codes, %zu pairs differ", name, codes, pairs);
}

static void a_grid_rounded_first_gives_the_codes_of_the_float64_push_form(void **state)
{
    (void)state;
    each(check_bf16_grid);
}

static void check_identity(const auk_safetensors *st, problem *p, const char *name)
{
    memset(p->r, 0, p->n * p->n * sizeof *p->r);
    for (size_t i = 0; i < p->n; i++)
        p->r[i * p->n + i] = 1;
    solve(p, AUK_GRID_CPU, true);
    size_t codes = different_codes(p, st, "rtn.codes");
    size_t pairs = different_pairs(p, st, "rtn.scales", "rtn.biases");
    if (codes + pairs > 0)
        fail_msg("%s: %zu codes, %zu pairs differ", name, codes, pairs);
}

static void without_correlations_it_is_round_to_nearest(void **state)
{
    (void)state;
    each(check_identity);
}

static double error_of(const problem *p, const uint8_t *codes)
{
    float *d = auk_alloc(p->rows * p->n * sizeof *d);

    for (size_t i = 0; i < p->rows * p->n; i++) {
        size_t g = i / (size_t)p->group;
        float v = auk_round_bf16(p->scale[g]) * (float)codes[i];
        v = v + auk_round_bf16(p->bias[g]);
        d[i] = p->w[i] - v;
    }
    double e = auk_hessian_error(d, p->h, p->rows, p->n);
    free(d);
    return e;
}

static void check_search(const auk_safetensors *st, problem *p, const char *name)
{
    char path[64];
    (void)st;

    damped_factor(p);
    solve(p, AUK_GRID_CPU_BF16, true);
    double plain = error_of(p, p->codes);
    solve(p, AUK_GRID_SEARCH, true);
    double searched = error_of(p, p->codes);
    snprintf(path, sizeof path, "mlx/gptq/manifest.json");
    json_t *m = golden_read_json(golden_path("%s", path));
    json_t *q =
        json_object_get(json_object_get(json_object_get(m, "cases"), name), "quadratic_error");
    double recorded = json_real_value(json_object_get(q, "float64_bf16_grid"));
    if (plain < 0.999 * recorded || plain > 1.001 * recorded)
        fail_msg("%s: error %g, recorded %g", name, plain, recorded);
    if (!(searched < plain))
        fail_msg("%s: the searched grid has error %g, MLX's %g", name, searched, plain);
    json_decref(m);
}

static void the_errors_are_the_recorded_ones_and_a_searched_grid_has_less(void **state)
{
    (void)state;
    each(check_search);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pull_form_gives_the_codes_of_mlx_lm_and_of_a_float64_push_form),
        cmocka_unit_test(a_grid_rounded_first_gives_the_codes_of_the_float64_push_form),
        cmocka_unit_test(without_correlations_it_is_round_to_nearest),
        cmocka_unit_test(the_errors_are_the_recorded_ones_and_a_searched_grid_has_less),
    };
    unsigned flags = auk_cpu_detect();

    int rc = golden_open();
    if (rc != 0)
        return rc;
    auk_kernel_init(&kernel, flags);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
