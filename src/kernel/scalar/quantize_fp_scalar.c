/* SPDX-License-Identifier: Apache-2.0 */
/* MLX's rules for the floating-point modes, round to nearest.
 *
 *            group  element  scale   largest element T
 *     mxfp4     32  E2M1     E8M0      6
 *     mxfp8     32  E4M3     E8M0    448
 *     nvfp4     16  E2M1     E4M3      6
 *
 * r = (largest magnitude of the group) / T.  nvfp4: the scale is E4M3(r).  mxfp4, mxfp8: the scale
 * is 2^n, n = round(log2 r), stored as n + 127; with AUK_MX_UP n + 1 when 2^n < r.  Elements are
 * w / scale, encoded to nearest.
 *
 * Metal computes in float32, rounds halves of log2 away from zero, clamps n to [-127, 127], gives
 * an all-zero group byte 0, encodes E2M1 with ties to the even code and keeps the sign of zeros.
 * nvfp4 multiplies by the reciprocal of the scale (0 for 0), as MLX 0.32.1 and later do; the
 * kernels through 0.32.0, which let neighbouring groups share one maximum, are not reproduced:
 * what they write depends on a group's place in its tensor.
 *
 * The CPU rounds every step to the type of the input, halves to even; n is not clamped (the byte
 * wraps), an all-zero group has n = 0, and E2M1 takes the first of equally near values in code
 * order, so that ties go to the lower magnitude and zero has no sign. */
#include "kernel/scalar/quantize_rule.h"
#include "kernel/scalar/scalar.h"

static unsigned e2m1_code(float x, const float *steps)
{
    float a = fabsf(x);
    unsigned code = 0;

    for (int i = 0; i < 7; i++)
        code += a > steps[i];
    return code;
}

static unsigned encode(float w, float s, float inverse, const auk_fp_rule *rule)
{
    if (rule->rounding == AUK_ROUND_METAL) {
        float x = w * inverse;
        if (rule->mode == AUK_MXFP8)
            return auk_f32_to_e4m3(x);
        return e2m1_code(x, auk_e2m1_steps_metal) | (auk_f32_bits(x) >> 28 & 8u);
    }
    float x = s == 0.0f ? 0.0f : auk_fp_round(w / s, rule);
    if (rule->mode == AUK_MXFP8)
        return auk_f32_to_e4m3(x);
    if (fabsf(x) > 64.0f)
        return auk_e2m1_nearest_cpu(x, rule);
    unsigned code = e2m1_code(x, auk_e2m1_steps_cpu);
    return x < 0.0f && code > 0 ? code | 8u : code;
}

void auk_quantize_fp_scalar(uint8_t *codes, uint8_t *scale, const float *w, size_t n,
                            const auk_fp_rule *rule)
{
    const size_t group = (size_t)auk_fp_group(rule->mode);

    for (size_t g = 0; g < n / group; g++, w += group) {
        float amax = 0.0f, s;
        for (size_t i = 0; i < group; i++)
            amax = fabsf(w[i]) > amax ? fabsf(w[i]) : amax;
        scale[g] = auk_fp_scale(&s, amax, rule);
        float inverse = s == 0.0f ? 0.0f : 1.0f / s;
        if (rule->mode == AUK_MXFP8)
            for (size_t i = 0; i < group; i++)
                *codes++ = (uint8_t)encode(w[i], s, inverse, rule);
        else
            for (size_t i = 0; i < group; i += 2)
                *codes++ = (uint8_t)(encode(w[i], s, inverse, rule) |
                                     encode(w[i + 1], s, inverse, rule) << 4);
    }
}
