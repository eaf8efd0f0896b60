/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "base/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const unsigned all_x86 =
    AUK_CPU_SCALAR | AUK_CPU_AVX2 | AUK_CPU_AVX512 | AUK_CPU_AVX512BF16 | AUK_CPU_AMX;

static unsigned limit(unsigned flags, const char *level)
{
    unsigned out = 0;
    auk_err err;

    assert_int_equal(auk_cpu_limit(&out, flags, auk_str_of(level), &err), AUK_OK);
    return out;
}

static void scalar_is_always_there(void **state)
{
    (void)state;
    assert_true(auk_cpu_detect() & AUK_CPU_SCALAR);
}

static void a_level_leaves_itself_and_what_is_below(void **state)
{
    (void)state;

    assert_int_equal(limit(all_x86, "scalar"), AUK_CPU_SCALAR);
    assert_int_equal(limit(all_x86, "avx2"), AUK_CPU_SCALAR | AUK_CPU_AVX2);
    assert_int_equal(limit(all_x86, "avx512"), AUK_CPU_SCALAR | AUK_CPU_AVX2 | AUK_CPU_AVX512);
    assert_int_equal(limit(all_x86, "amx"), all_x86);
    assert_int_equal(limit(AUK_CPU_SCALAR | AUK_CPU_NEON, "scalar"), AUK_CPU_SCALAR);
    assert_int_equal(limit(AUK_CPU_SCALAR | AUK_CPU_NEON, "neon"), AUK_CPU_SCALAR | AUK_CPU_NEON);
}

static void a_level_adds_nothing_the_processor_lacks(void **state)
{
    static const char *const levels[] = {"scalar", "avx2", "avx512", "avx512bf16", "amx", "neon"};
    (void)state;

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        assert_int_equal(limit(AUK_CPU_SCALAR, levels[i]), AUK_CPU_SCALAR);
}

static void an_unknown_level_is_refused(void **state)
{
    static const char *const levels[] = {"", "AVX2", "avx", "avx2 ", "sse"};
    unsigned out;
    auk_err err;
    (void)state;

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        assert_int_equal(auk_cpu_limit(&out, all_x86, auk_str_of(levels[i]), &err), AUK_EINVAL);
}

static void the_environment_limits_the_default(void **state)
{
    unsigned out = 0;
    auk_err err;
    (void)state;

    assert_int_equal(setenv("AUK_CPU", "scalar", 1), 0);
    assert_int_equal(auk_cpu_default(&out, &err), AUK_OK);
    assert_int_equal(out, AUK_CPU_SCALAR);
    assert_int_equal(setenv("AUK_CPU", "", 1), 0);
    assert_int_equal(auk_cpu_default(&out, &err), AUK_OK);
    assert_int_equal(out, auk_cpu_detect());
    assert_int_equal(setenv("AUK_CPU", "best", 1), 0);
    assert_int_equal(auk_cpu_default(&out, &err), AUK_EINVAL);
    assert_int_equal(unsetenv("AUK_CPU"), 0);
}

static void names_are_joined_and_never_overrun(void **state)
{
    char out[64];
    (void)state;

    auk_cpu_names(out, sizeof out, all_x86);
    assert_string_equal(out, "scalar avx2 avx512 avx512bf16 amx");
    auk_cpu_names(out, sizeof out, 0);
    assert_string_equal(out, "");
    for (size_t n = 1; n < 30; n++) {
        memset(out, '#', sizeof out);
        auk_cpu_names(out, n, all_x86);
        assert_true(strlen(out) < n);
        assert_int_equal(out[n], '#');
    }
}

static void the_processor_has_a_name(void **state)
{
    char out[100], small[4];
    (void)state;

    auk_cpu_model(out, sizeof out);
    assert_true(strlen(out) > 0);
    auk_cpu_model(small, sizeof small);
    assert_true(strlen(small) < sizeof small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_is_always_there),
        cmocka_unit_test(a_level_leaves_itself_and_what_is_below),
        cmocka_unit_test(a_level_adds_nothing_the_processor_lacks),
        cmocka_unit_test(an_unknown_level_is_refused),
        cmocka_unit_test(the_environment_limits_the_default),
        cmocka_unit_test(names_are_joined_and_never_overrun),
        cmocka_unit_test(the_processor_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
