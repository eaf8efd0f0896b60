/* SPDX-License-Identifier: Apache-2.0 */
/* exp against libm's in double, whose own error of a fraction of 2^-53 does not count here, and
 * the small formats against their definition. */
#include "kernel/exact_math.h"
#include "kernel/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Every 257th float: both signs, all exponents; 257 is odd, so all low bits occur. */
#define STRIDE 257u

/* How far y is from want, in units of the last place of the float nearest to want. */
static double ulps(float y, double want)
{
    int e;

    frexp(want, &e);
    return fabs((double)y - want) / ldexp(1, e - 24 > -149 ? e - 24 : -149);
}

static void exp_is_within_its_stated_error(void **state)
{
    double worst = 0;
    float at = 0;
    (void)state;

    for (uint32_t u = 0; u < 0xFF800000u - STRIDE; u += STRIDE) {
        float x = auk_bits_f32(u);
        if (!(x >= -87.3f && x <= 88.72283f))
            continue;
        double off = ulps(auk_expf(x), exp((double)x));
        if (off > worst) {
            worst = off;
            at = x;
        }
    }
    print_message("exp: at most %.4f ulp, at %.9g\n", worst, (double)at);
    assert_true(worst < 1.0);
}

static void exp_of_zero_is_one_and_exp_ends_in_zero_and_infinity(void **state)
{
    (void)state;
    assert_true(auk_expf(0.0f) == 1.0f && auk_expf(-0.0f) == 1.0f);
    assert_true(auk_expf(-INFINITY) == 0.0f && auk_expf(-1e30f) == 0.0f);
    assert_true(auk_expf(-87.30001f) == 0.0f && auk_expf(-87.3f) > 0.0f);
    assert_true(auk_expf(INFINITY) == INFINITY && auk_expf(1e30f) == INFINITY);
    assert_true(isfinite(auk_expf(88.7228f)) && auk_expf(88.723f) == INFINITY);
    assert_true(isnan(auk_expf(NAN)) && isnan(auk_expf(-NAN)));
    assert_true(auk_expf(1e-40f) == 1.0f && auk_expf(-1e-40f) == 1.0f);
}

/* Neighbouring results of a polynomial may be in the wrong order by a unit; further apart never. */
static void exp_grows(void **state)
{
    (void)state;
    for (float x = -87.0f; x < 88.0f; x += 1e-4f)
        assert_true(auk_expf(x + 1e-4f) >= auk_expf(x));
}

static void sigmoid_and_silu_are_within_three_ulp(void **state)
{
    (void)state;
    for (float x = -80.0f; x < 80.0f; x += 1e-4f) {
        double s = 1 / (1 + exp(-(double)x));
        assert_true(ulps(auk_sigmoid(x), s) < 3);
        assert_true(auk_f32_bits(auk_kernel_sigmoid(x)) == auk_f32_bits(auk_sigmoid(x)));
        assert_true(x == 0 || ulps(auk_silu(x), (double)x * s) < 3);
    }
}

static void e2m1_and_e4m3_are_sign_exponent_mantissa(void **state)
{
    static const float magnitude[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    (void)state;

    for (unsigned code = 0; code < 16; code++) {
        float want = magnitude[code & 7], got = auk_e2m1_to_f32(code);
        want = code & 8 ? -want : want;
        assert_int_equal(auk_f32_bits(got), auk_f32_bits(want));
    }
    for (unsigned code = 0; code < 256; code++) {
        unsigned e = code >> 3 & 15, m = code & 7;
        double want = e == 0 ? ldexp(m, -9) : ldexp(8 + m, (int)e - 10);
        float got = auk_e4m3_to_f32(code), v = (float)(code & 128 ? -want : want);
        assert_int_equal(auk_f32_bits(got), auk_f32_bits(v)); /* 127, a NaN elsewhere, is 480 */
    }
}

static void e8m0_is_a_power_of_two(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 255; b++)
        assert_true((double)auk_e8m0_to_f32(b) == ldexp(1, (int)b - 127));
    assert_false(isfinite(auk_e8m0_to_f32(255)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_its_stated_error),
        cmocka_unit_test(exp_of_zero_is_one_and_exp_ends_in_zero_and_infinity),
        cmocka_unit_test(exp_grows),
        cmocka_unit_test(sigmoid_and_silu_are_within_three_ulp),
        cmocka_unit_test(e2m1_and_e4m3_are_sign_exponent_mantissa),
        cmocka_unit_test(e8m0_is_a_power_of_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
