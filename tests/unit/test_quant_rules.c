/* SPDX-License-Identifier: Apache-2.0 */
/* The small rules inside the quantizer, each against its definition. */
#include "base/half.h"
#include "kernel/scalar/quantize_rule.h"
#include "quant/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned by_steps(float x, const float *steps)
{
    unsigned code = 0;

    for (int i = 0; i < 7; i++)
        code += fabsf(x) > steps[i];
    return code;
}

/* Below 64 the steps say what the search over 16 rounded distances says. */
static void steps_are_the_nearest_of_16_values(void **state)
{
    (void)state;

    for (int step = AUK_STEP_BF16; step <= AUK_STEP_F16; step++)
        for (uint32_t h = 0; h < 65536; h++) {
            auk_fp_rule rule = {.mode = AUK_MXFP4, .rounding = AUK_ROUND_CPU};
            rule.step = step == 0 ? AUK_STEP_BF16 : AUK_STEP_F16;
            float x = step == 0 ? auk_bf16_to_f32((uint16_t)h) : auk_f16_to_f32((uint16_t)h);
            if (!(fabsf(x) <= 64.0f))
                continue;
            unsigned code = by_steps(x, auk_e2m1_steps_cpu);
            code |= x < 0 && code > 0 ? 8u : 0u;
            if (code != auk_e2m1_nearest_cpu(x, &rule))
                fail_msg("%.9g: %u, want %u", x, code, auk_e2m1_nearest_cpu(x, &rule));
        }
}

/* Metal's comparisons, as its source has them. */
static void metal_steps_are_its_comparisons(void **state)
{
    static const float at[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    (void)state;

    for (size_t i = 0; i < 7; i++)
        for (int ulp = -2; ulp <= 2; ulp++) {
            float a = auk_bits_f32(auk_f32_bits(at[i]) + (uint32_t)ulp);
            unsigned want = a > 5       ? 7
                            : a >= 3.5f ? 6
                            : a > 2.5f  ? 5
                            : a >= 1.75 ? 4
                            : a > 1.25f ? 3
                            : a >= 0.75 ? 2
                            : a > 0.25f ? 1
                                        : 0;
            assert_int_equal(by_steps(a, auk_e2m1_steps_metal), want);
        }
}

static void e4m3_is_the_nearest_value(void **state)
{
    (void)state;

    for (uint32_t h = 0; h < 65536; h++) {
        float x = auk_bf16_to_f32((uint16_t)h);
        if (!isfinite(x))
            continue;
        unsigned got = auk_f32_to_e4m3(x) & 127u;
        float far = fabsf(fminf(fabsf(x), 448.0f) - auk_e4m3_to_f32(got));
        assert_true(got <= 126);
        assert_int_equal(auk_f32_to_e4m3(x) >> 7, h >> 15);
        for (unsigned c = 0; c <= 126; c++) {
            float d = fabsf(fminf(fabsf(x), 448.0f) - auk_e4m3_to_f32(c));
            if (d < far || (d == far && c != got && got % 2 != 0))
                fail_msg("%.9g: code %u, nearer is %u", x, got, c);
        }
    }
}

/* log2 agrees with the C library's to the last place, and where it decides about a power of two in
 * all of them. */
static void log2_is_the_librarys(void **state)
{
    (void)state;

    for (int e = -126; e < 128; e++)
        assert_true(auk_fp_log2(ldexpf(1.0f, e)) == (float)e);
    for (uint32_t u = 1; u < 0x7F800000u; u += 30011) {
        float x = auk_bits_f32(u), want = (float)log2((double)x);
        if (auk_fp_log2(x) != want)
            fail_msg("log2(%.9g) = %.9g, want %.9g", x, auk_fp_log2(x), want);
    }
    for (int e = -130; e < 127; e += 3)
        for (int ulp = -1100; ulp <= 1100; ulp++) { /* beside the square root of 2 */
            float m = auk_bits_f32(0x3FB504F3u + (uint32_t)ulp), x = ldexpf(m, e);
            if ((double)x == ldexp((double)m, e))
                assert_int_equal(auk_fp_exponent(x), (int)roundf((float)log2((double)x)));
        }
}

/* The short cuts around the logarithm, for every bfloat16 and around every limit they use. */
static void exponents_are_those_of_the_logarithm(void **state)
{
    static const uint32_t limits[] = {0x2D4000u, 0x3504F3u, 0x3D2000u, 0, 0x7FFFFFu};
    (void)state;

    for (int step = AUK_STEP_BF16; step <= AUK_STEP_F32; step++) {
        auk_fp_rule rule = {.rounding = AUK_ROUND_CPU};
        rule.step = step == 0 ? AUK_STEP_BF16 : step == 1 ? AUK_STEP_F16 : AUK_STEP_F32;
        for (uint32_t h = 1; h < 0x7F80u; h++)
            for (size_t i = 0; i < 5 + 1; i++) {
                uint32_t u = i == 5 ? h << 16 : (h << 16 & 0x7F800000u) + limits[i] + h % 5 - 2;
                float r = auk_bits_f32(u), l = auk_fp_log2(r);
                if (!(r > 0) || !isfinite(r))
                    continue;
                assert_int_equal(auk_fp_exponent_cpu(r, &rule), (int)rintf(auk_fp_round(l, &rule)));
                assert_int_equal(auk_fp_exponent(r), (int)roundf(l));
            }
    }
}

/* The vector kernels round by adding the float below 0.5 and truncating. */
static void adding_almost_half_rounds_halves_up(void **state)
{
    (void)state;

    for (uint32_t u = 0; u <= 0x437F0000u; u += u < 0x3E000000u ? 100003 : 61) /* 0 ... 255 */
        assert_true(truncf(auk_bits_f32(u) + 0x1.FFFFFEp-2f) == roundf(auk_bits_f32(u)));
    for (int i = 0; i < 256; i++)
        for (int ulp = -3; ulp <= 3; ulp++) {
            float x = auk_bits_f32(auk_f32_bits((float)i + 0.5f) + (uint32_t)ulp);
            assert_true(truncf(x + 0x1.FFFFFEp-2f) == roundf(x));
        }
}

static int bits_of(const auk_quant_list *list, const char *path)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->modules[i].path, path) == 0)
            return list->modules[i].is_quantized ? list->modules[i].format.bits : 16;
    return -1;
}

static auk_hparams north(void)
{
    return (auk_hparams){.n_layers = 49,
                         .hidden = 2048,
                         .n_heads = 32,
                         .n_kv_heads = 4,
                         .head_dim = 128,
                         .n_dense = 1,
                         .dense_width = 3072,
                         .n_experts = 128,
                         .top_k = 8,
                         .expert_width = 768,
                         .vocab = 262144};
}

static void a_recipe_gives_more_bits_to_these_25_layers(void **state)
{
    static const int more[] = {0,  1,  2,  3,  4,  5,  8,  11, 14, 17, 20, 23, 26,
                               29, 32, 35, 38, 41, 42, 43, 44, 45, 46, 47, 48};
    auk_quant_options opts = auk_quant_defaults();
    auk_quant_list list;
    auk_hparams hp = north();
    size_t next = 0;
    auk_err err;
    (void)state;

    opts.recipe = "mixed_3_8";
    assert_int_equal(auk_quant_list_make(&list, &hp, &opts, &err), AUK_OK);
    for (int i = 0; i < 49; i++) {
        char path[128];
        bool high = next < 25 && more[next] == i;
        next += high;
        snprintf(path, sizeof path, "language_model.model.layers.%d.self_attn.v_proj", i);
        assert_int_equal(bits_of(&list, path), high ? 8 : 3);
        snprintf(path, sizeof path, "language_model.model.layers.%d.mlp.%sdown_proj", i,
                 i ? "switch_mlp." : "");
        assert_int_equal(bits_of(&list, path), high ? 8 : 3);
        snprintf(path, sizeof path, "language_model.model.layers.%d.self_attn.q_proj", i);
        assert_int_equal(bits_of(&list, path), 3);
    }
    assert_int_equal(bits_of(&list, "language_model.model.embed_tokens"), 8);
    assert_int_equal(bits_of(&list, "language_model.model.layers.7.mlp.gate"), 3);
    assert_int_equal(bits_of(&list, "language_model.model.norm"), 16);
    auk_quant_list_release(&list);
}

static void without_a_recipe_attention_and_router_stay(void **state)
{
    auk_quant_options opts = auk_quant_defaults();
    auk_quant_list list;
    auk_hparams hp = north();
    auk_err err;
    (void)state;

    assert_int_equal(auk_quant_list_make(&list, &hp, &opts, &err), AUK_OK);
    assert_int_equal(bits_of(&list, "language_model.model.embed_tokens"), 4);
    assert_int_equal(bits_of(&list, "language_model.model.layers.0.mlp.gate_proj"), 4);
    assert_int_equal(bits_of(&list, "language_model.model.layers.9.mlp.switch_mlp.up_proj"), 4);
    assert_int_equal(bits_of(&list, "language_model.model.layers.9.mlp.gate"), 16);
    assert_int_equal(bits_of(&list, "language_model.model.layers.9.self_attn.o_proj"), 16);
    auk_quant_list_release(&list);
}

static void long_integers_survive(void **state)
{
    static const char json[] =
        "{\"a\": 12345678901234567890, \"b\": [-98765432109876543210, 1, "
        "\"12345678901234567890\", 1e400], \"c\\\"1\": 3.00000000000000000001}";
    auk_buf marked = AUK_BUF_INIT(1 << 16), back = AUK_BUF_INIT(1 << 16);
    (void)state;

    auk_quant_mark_integers(&marked, auk_str_of(json));
    assert_non_null(strstr(marked.p, "\"\\u0000int:12345678901234567890\""));
    auk_quant_unmark_integers(&back, auk_buf_str(&marked));
    assert_string_equal(back.p, json);
    auk_buf_release(&marked);
    auk_buf_release(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_the_nearest_of_16_values),
        cmocka_unit_test(metal_steps_are_its_comparisons),
        cmocka_unit_test(e4m3_is_the_nearest_value),
        cmocka_unit_test(log2_is_the_librarys),
        cmocka_unit_test(exponents_are_those_of_the_logarithm),
        cmocka_unit_test(adding_almost_half_rounds_halves_up),
        cmocka_unit_test(a_recipe_gives_more_bits_to_these_25_layers),
        cmocka_unit_test(without_a_recipe_attention_and_router_stay),
        cmocka_unit_test(long_integers_survive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
