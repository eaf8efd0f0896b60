/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kernel.h"

#include "kernel/exact_math.h"
#include "kernel/scalar/scalar.h"

void auk_kernel_init_scalar(auk_kernel *k)
{
    *k = (auk_kernel){
        .cpu_flags = AUK_CPU_SCALAR,
        .dot_f32 = auk_dot_f32_scalar,
        .dot_bf16 = auk_dot_bf16_scalar,
        .dot_affine = auk_dot_affine_scalar,
        .dot_e2m1 = auk_dot_e2m1_scalar,
        .dot_e4m3 = auk_dot_e4m3_scalar,
        .dot_tile = auk_dot_tile_scalar,
        .peak = auk_peak_scalar,
        .panel_x = auk_panel_x_scalar,
        .panel_bf16 = auk_panel_scalar,
        .panel_u4 = auk_panel_scalar,
        .panel_u8 = auk_panel_scalar,
        .panel_e2m1 = auk_panel_scalar,
        .panel_e4m3 = auk_panel_scalar,
        .bf16_to_f32 = auk_bf16_to_f32_scalar,
        .f16_to_f32 = auk_f16_to_f32_scalar,
        .dequant_affine = auk_dequant_affine_scalar,
        .dequant_e2m1 = auk_dequant_e2m1_scalar,
        .dequant_e4m3 = auk_dequant_e4m3_scalar,
        .f32_to_bf16 = auk_f32_to_bf16_scalar,
        .round_bf16 = auk_round_bf16_scalar,
        .axpy_f32 = auk_axpy_f32_scalar,
        .axpy_bf16 = auk_axpy_bf16_scalar,
        .silu = auk_silu_scalar,
        .softmax = auk_softmax_scalar,
        .argmax = auk_argmax_scalar,
        .finite_bf16 = auk_finite_bf16_scalar,
        .quantize_affine = auk_quantize_affine_scalar,
        .quantize_fp = auk_quantize_fp_scalar,
        .gemm_f32 = auk_gemm_f32_scalar,
        .search_affine = auk_search_affine_scalar,
        .solve_lanes = auk_solve_lanes_scalar,
        .pull_affine = auk_pull_affine_scalar,
    };
}

float auk_kernel_sigmoid(float x)
{
    return auk_sigmoid(x);
}

/* Every slot is a function pointer; names follow the struct's order after cpu_flags. */
static const struct {
    const char *name;
    size_t offset;
} slots[] = {
#define SLOT(name)                                                                                 \
    {                                                                                              \
#name, offsetof(auk_kernel, name)                                                          \
    }
    SLOT(dot_f32),        SLOT(dot_bf16),     SLOT(dot_affine),
    SLOT(dot_e2m1),       SLOT(dot_e4m3),     SLOT(dot_tile),
    SLOT(panel_x),        SLOT(panel_bf16),   SLOT(panel_u4),
    SLOT(panel_u8),       SLOT(panel_e2m1),   SLOT(panel_e4m3),
    SLOT(peak),           SLOT(bf16_to_f32),  SLOT(f16_to_f32),
    SLOT(dequant_affine), SLOT(dequant_e2m1), SLOT(dequant_e4m3),
    SLOT(f32_to_bf16),    SLOT(round_bf16),   SLOT(axpy_f32),
    SLOT(axpy_bf16),      SLOT(silu),         SLOT(softmax),
    SLOT(argmax),         SLOT(finite_bf16),  SLOT(quantize_affine),
    SLOT(quantize_fp),    SLOT(gemm_f32),     SLOT(search_affine),
    SLOT(solve_lanes),    SLOT(pull_affine),
#undef SLOT
};
#define N_SLOTS (sizeof slots / sizeof *slots)

const char *auk_kernel_slot_name(size_t i)
{
    return i < N_SLOTS ? slots[i].name : NULL;
}

/* Each level's name and what it adds, lowest first. */
static const struct {
    const char *name;
    unsigned flag;
    void (*init)(auk_kernel *k);
} levels[] = {
#if defined(__x86_64__)
    {"avx2", AUK_CPU_AVX2, auk_kernel_init_avx2},
    {"avx512", AUK_CPU_AVX512, auk_kernel_init_avx512},
    {"avx512bf16", AUK_CPU_AVX512BF16, auk_kernel_init_avx512bf16},
#endif
#if defined(__aarch64__)
    {"neon", AUK_CPU_NEON, auk_kernel_init_neon},
#endif
    {NULL, 0, NULL},
};

void auk_kernel_init(auk_kernel *k, unsigned cpu_flags)
{
    auk_kernel_init_scalar(k); /* every slot */
    for (size_t i = 0; levels[i].name != NULL; i++)
        if (cpu_flags & levels[i].flag)
            levels[i].init(k); /* overwrites only what it improves */
    k->cpu_flags = cpu_flags;
}

const char *auk_kernel_slot_level(const auk_kernel *k, const char *slot)
{
    const char *level = "scalar";
    size_t at = 0, n = sizeof(void (*)(void));
    auk_kernel below, with;

    while (at < N_SLOTS && strcmp(slot, slots[at].name) != 0)
        at++;
    if (at == N_SLOTS)
        return NULL;
    auk_kernel_init_scalar(&with);
    for (size_t i = 0; levels[i].name != NULL; i++) {
        below = with;
        if (k->cpu_flags & levels[i].flag)
            levels[i].init(&with);
        if (memcmp((char *)&with + slots[at].offset, (char *)&below + slots[at].offset, n) != 0)
            level = levels[i].name;
    }
    return level;
}
