/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle works in double and knows nothing of bit tricks: the value of a pattern from its
 * three fields, and rounding by asking which of two neighbours is nearer. */
#include "base/half.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct half_format {
    int exponent_bits, mantissa_bits;
    float (*widen)(uint16_t h);
    uint16_t (*narrow)(float x);
} half_format;

static const half_format f16 = {5, 10, auk_f16_to_f32, auk_f32_to_f16};
static const half_format bf16 = {8, 7, auk_bf16_to_f32, auk_f32_to_bf16};

/* The value of a pattern without its sign; the pattern of infinity has the value the next finite
 * one would have, as rounding wants it. */
static double magnitude(const half_format *f, unsigned h)
{
    int bias = (1 << (f->exponent_bits - 1)) - 1;
    unsigned exponent = h >> f->mantissa_bits, mantissa = h & ((1u << f->mantissa_bits) - 1);

    if (exponent == 0)
        return ldexp(mantissa, 1 - bias - f->mantissa_bits);
    return ldexp((1u << f->mantissa_bits) + mantissa, (int)exponent - bias - f->mantissa_bits);
}

static unsigned infinity_of(const half_format *f)
{
    return ((1u << f->exponent_bits) - 1) << f->mantissa_bits;
}

/* To nearest, ties to even, by bisection over the patterns, which are in order. */
static uint16_t rounded(const half_format *f, float x)
{
    double a = fabs((double)x);
    unsigned lo = 0, hi = infinity_of(f), sign = signbit(x) ? 0x8000u : 0;

    if (a >= magnitude(f, hi))
        return (uint16_t)(sign | hi);
    while (hi - lo > 1) {
        unsigned mid = (lo + hi) / 2;
        if (magnitude(f, mid) <= a)
            lo = mid;
        else
            hi = mid;
    }
    double down = a - magnitude(f, lo), up = magnitude(f, hi) - a;
    unsigned nearest = down < up ? lo : up < down ? hi : lo % 2 ? hi : lo;
    return (uint16_t)(sign | nearest);
}

static void widens_every_pattern(const half_format *f)
{
    unsigned inf = infinity_of(f);

    for (unsigned h = 0; h <= 0xFFFF; h++) {
        float got = f->widen((uint16_t)h);
        unsigned a = h & 0x7FFF;
        double want = a == inf ? (double)INFINITY : magnitude(f, a);

        if (!signbit(got) != !(h & 0x8000))
            fail_msg("0x%04x: wrong sign", h);
        if (a > inf ? !isnan(got) : fabs((double)got) != want)
            fail_msg("0x%04x widens to %a, want %a", h, (double)got, want);
    }
}

static void narrowing_undoes_widening(const half_format *f)
{
    for (unsigned h = 0; h <= 0xFFFF; h++) {
        unsigned back = f->narrow(f->widen((uint16_t)h));
        bool is_nan = (h & 0x7FFF) > infinity_of(f);

        if (is_nan ? (back & 0x7FFF) <= infinity_of(f) : back != h)
            fail_msg("0x%04x comes back as 0x%04x", h, back);
    }
}

static void narrows_to(const half_format *f, float x)
{
    uint16_t got = f->narrow(x), want = rounded(f, x);

    if (got != want)
        fail_msg("%a narrows to 0x%04x, want 0x%04x", (double)x, got, want);
}

/* Every midpoint between two patterns, and the floats right beside it. */
static void ties_go_to_even(const half_format *f)
{
    for (unsigned h = 0; h < infinity_of(f); h++) {
        float tie = (float)((magnitude(f, h) + magnitude(f, h + 1)) / 2);
        for (int sign = -1; sign <= 1; sign += 2) {
            narrows_to(f, (float)sign * tie);
            narrows_to(f, (float)sign * nextafterf(tie, 0));
            narrows_to(f, (float)sign * nextafterf(tie, INFINITY));
        }
    }
}

static void random_floats_round_to_nearest(const half_format *f)
{
    auk_rng rng = auk_rng_make(7);

    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)auk_rng_next(&rng);
        float x = auk_bits_f32(bits);
        if (!isnan(x))
            narrows_to(f, x);
        /* most patterns are out of a half's range: draw in it as often */
        x = ldexpf(1.0f + (float)auk_rng_unit(&rng), (int)auk_rng_below(&rng, 44) - 26);
        narrows_to(f, bits & 1 ? x : -x);
    }
}

static void every_f16_widens_to_its_value(void **state)
{
    (void)state;
    widens_every_pattern(&f16);
}

static void every_bf16_widens_to_its_value(void **state)
{
    (void)state;
    widens_every_pattern(&bf16);
}

static void every_f16_survives_the_round_trip(void **state)
{
    (void)state;
    narrowing_undoes_widening(&f16);
}

static void every_bf16_survives_the_round_trip(void **state)
{
    (void)state;
    narrowing_undoes_widening(&bf16);
}

static void every_f16_tie_goes_to_even(void **state)
{
    (void)state;
    ties_go_to_even(&f16);
}

static void every_bf16_tie_goes_to_even(void **state)
{
    (void)state;
    ties_go_to_even(&bf16);
}

static void floats_round_to_the_nearest_f16(void **state)
{
    (void)state;
    random_floats_round_to_nearest(&f16);
}

static void floats_round_to_the_nearest_bf16(void **state)
{
    (void)state;
    random_floats_round_to_nearest(&bf16);
}

static void infinities_and_nan_stay_what_they_are(void **state)
{
    (void)state;

    assert_int_equal(auk_f32_to_f16(INFINITY), 0x7C00);
    assert_int_equal(auk_f32_to_f16(-INFINITY), 0xFC00);
    assert_int_equal(auk_f32_to_bf16(INFINITY), 0x7F80);
    assert_int_equal(auk_f32_to_bf16(-INFINITY), 0xFF80);
    for (uint32_t bits = 0x7F800001u; bits < 0x80000000u; bits += 0x1001) {
        assert_true(isnan(auk_f16_to_f32(auk_f32_to_f16(auk_bits_f32(bits)))));
        assert_true(isnan(auk_bf16_to_f32(auk_f32_to_bf16(auk_bits_f32(bits)))));
        assert_true(isnan(auk_bf16_to_f32(auk_f32_to_bf16(auk_bits_f32(bits | 0x80000000u)))));
    }
}

static void little_endian_bytes_are_read_in_order(void **state)
{
    static const uint8_t p[] = {0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0xF1};
    (void)state;

    assert_int_equal(auk_le16(p), 0xCDEF);
    assert_int_equal(auk_le32(p), 0x89ABCDEFu);
    assert_true(auk_le64(p) == 0xF123456789ABCDEFu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_widens_to_its_value),
        cmocka_unit_test(every_bf16_widens_to_its_value),
        cmocka_unit_test(every_f16_survives_the_round_trip),
        cmocka_unit_test(every_bf16_survives_the_round_trip),
        cmocka_unit_test(every_f16_tie_goes_to_even),
        cmocka_unit_test(every_bf16_tie_goes_to_even),
        cmocka_unit_test(floats_round_to_the_nearest_f16),
        cmocka_unit_test(floats_round_to_the_nearest_bf16),
        cmocka_unit_test(infinities_and_nan_stay_what_they_are),
        cmocka_unit_test(little_endian_bytes_are_read_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
