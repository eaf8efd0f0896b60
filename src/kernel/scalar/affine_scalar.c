/* SPDX-License-Identifier: Apache-2.0 */
/* MLX's affine rule, round to nearest, in IEEE binary32 without fused operations.  Per group:
 *
 *     lo = min w        hi = max w; Metal starts it at 0, the CPU at the data
 *     s = max((hi - lo) / N, 1e-7), N = 2^bits - 1
 *     the edge is the end of larger magnitude, hi when they are equal; s < 0 when it is hi
 *     q = round(edge / s); q != 0: s = edge / q, bias = edge; else bias = 0
 *     code = round((w - bias) / s), kept within [0, N]
 *
 * The codes use s as a float; the caller rounds it to the type it is stored in afterwards.  Metal
 * rounds halves away from zero, the CPU to even.  Where s is not finite or w - bias is not a
 * number (groups beyond 3e31) the code is 0. */
#include "kernel/scalar/scalar.h"

#include "base/half.h"

#include <math.h>

#define MAX_GROUP 128

static float smallest_scale(void)
{
    return auk_bits_f32(0x33D6BF95u); /* 1e-7 */
}

static void find_range(float *lo, float *hi, const float *w, int group, auk_rounding rounding)
{
    *lo = INFINITY;
    *hi = rounding == AUK_ROUND_METAL ? 0.0f : -INFINITY;
    for (int i = 0; i < group; i++) {
        *lo = w[i] < *lo ? w[i] : *lo;
        *hi = w[i] > *hi ? w[i] : *hi;
    }
}

/* A little-endian stream of `bits`-bit fields; n * bits is a multiple of 8. */
static void pack(uint8_t *dst, const uint8_t *codes, int n, int bits)
{
    uint32_t held = 0;
    int have = 0;

    for (int i = 0; i < n; i++) {
        held |= (uint32_t)codes[i] << have;
        for (have += bits; have >= 8; have -= 8) {
            *dst++ = (uint8_t)held;
            held >>= 8;
        }
    }
}

void auk_quantize_affine_scalar(uint8_t *codes, float *scale, float *bias, const float *w, size_t n,
                                int bits, int group, auk_rounding rounding)
{
    const float top = (float)((1 << bits) - 1);
    uint8_t unpacked[MAX_GROUP];

    for (size_t g = 0; g < n / (size_t)group; g++, w += group, codes += group * bits / 8) {
        float lo, hi;
        find_range(&lo, &hi, w, group, rounding);
        float s = (hi - lo) / top;
        s = s > smallest_scale() ? s : smallest_scale();
        bool low = fabsf(lo) > fabsf(hi);
        float edge = low ? lo : hi, b = 0.0f;
        s = low ? s : -s;
        float q = rounding == AUK_ROUND_METAL ? roundf(edge / s) : rintf(edge / s);
        if (q != 0.0f) {
            s = edge / q;
            b = edge;
        }
        for (int i = 0; i < group; i++) {
            float x = (w[i] - b) / s;
            x = x > 0.0f ? x : 0.0f; /* NaN becomes 0 */
            x = x < top ? x : top;
            unpacked[i] = (uint8_t)(rounding == AUK_ROUND_METAL ? roundf(x) : rintf(x));
        }
        pack(codes, unpacked, group, bits);
        scale[g] = s;
        bias[g] = b;
    }
}
