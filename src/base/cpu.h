/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.h - which instruction sets this processor and its operating system offer. */
#ifndef AUK_BASE_CPU_H
#define AUK_BASE_CPU_H

#include "base/str.h"

enum {
    AUK_CPU_SCALAR = 1u << 0, /* always set, so that 0 can mean "not chosen" */
    AUK_CPU_AVX2 = 1u << 1,   /* with FMA and F16C */
    AUK_CPU_AVX512 = 1u << 2, /* F, BW, VL and DQ */
    AUK_CPU_AVX512BF16 = 1u << 3,
    AUK_CPU_AMX = 1u << 4,
    AUK_CPU_NEON = 1u << 8,
};

unsigned auk_cpu_detect(void);

/* What is left of `flags` when nothing above the named level may be used: "scalar", "avx2",
 * "avx512", "avx512bf16", "amx", "neon".  AUK_EINVAL names the levels this processor has. */
AUK_MUST_CHECK int auk_cpu_limit(unsigned *out, unsigned flags, auk_str level, auk_err *err);

/* Detects, then applies the environment's AUK_CPU. */
AUK_MUST_CHECK int auk_cpu_default(unsigned *out, auk_err *err);

/* "scalar avx2": for --json and messages; static storage per bit, joined into out. */
void auk_cpu_names(char *out, size_t n, unsigned flags);

/* "AMD EPYC ...": the processor's own name, or "unknown". */
void auk_cpu_model(char *out, size_t n);

#endif
