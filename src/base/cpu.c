/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const struct {
    const char *name;
    unsigned flag;
} levels[] = {
    {"scalar", AUK_CPU_SCALAR},         {"avx2", AUK_CPU_AVX2}, {"avx512", AUK_CPU_AVX512},
    {"avx512bf16", AUK_CPU_AVX512BF16}, {"amx", AUK_CPU_AMX},   {"neon", AUK_CPU_NEON},
};
#define N_LEVELS (sizeof levels / sizeof *levels)

unsigned auk_cpu_detect(void)
{
    unsigned flags = AUK_CPU_SCALAR;

#if defined(__x86_64__)
    __builtin_cpu_init();
    unsigned a, b, c, d;
    bool f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c)
        flags |= AUK_CPU_AVX2;
    if ((flags & AUK_CPU_AVX2) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        flags |= AUK_CPU_AVX512;
    if ((flags & AUK_CPU_AVX512) && __builtin_cpu_supports("avx512bf16"))
        flags |= AUK_CPU_AVX512BF16;
#elif defined(__aarch64__)
    flags |= AUK_CPU_NEON; /* part of the base architecture */
#endif
    return flags;
}

int auk_cpu_limit(unsigned *out, unsigned flags, auk_str level, auk_err *err)
{
    unsigned below = 0;

    for (size_t i = 0; i < N_LEVELS; i++) {
        below |= levels[i].flag;
        if (!auk_str_is(level, levels[i].name))
            continue;
        /* asking for more than there is gives what there is */
        *out = flags & (levels[i].flag == AUK_CPU_NEON ? AUK_CPU_SCALAR | AUK_CPU_NEON : below);
        return AUK_OK;
    }
    return auk_fail(err, AUK_EINVAL,
                    "unknown CPU level '%.*s': want scalar, avx2, avx512, avx512bf16, amx or neon",
                    AUK_ARG(level));
}

int auk_cpu_default(unsigned *out, auk_err *err)
{
    const char *s = getenv("AUK_CPU");

    *out = auk_cpu_detect();
    return s == NULL || *s == 0 ? AUK_OK : auk_cpu_limit(out, *out, auk_str_of(s), err);
}

void auk_cpu_names(char *out, size_t n, unsigned flags)
{
    size_t at = 0;

    out[0] = 0;
    for (size_t i = 0; i < N_LEVELS && at < n; i++)
        if (flags & levels[i].flag)
            at += (size_t)snprintf(out + at, n - at, "%s%s", at ? " " : "", levels[i].name);
}

void auk_cpu_model(char *out, size_t n)
{
    char line[256];

    snprintf(out, n, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = 0;
            snprintf(out, n, "%s", colon + 2);
            break;
        }
    }
    if (f != NULL)
        fclose(f);
}
