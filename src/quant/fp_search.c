/* SPDX-License-Identifier: Apache-2.0 */
/* A searched scale for mxfp4, mxfp8 and nvfp4.  The candidates are the format's own scales around
 * (largest magnitude) / (largest element): two below and two above the rule's.  Every element goes
 * to its nearest code; zero has no sign. */
#include "quant/gptq.h"

#include "base/half.h"

#include <math.h>

#define MAX_GROUP 32
#define CANDIDATES 5

static float e8m0(int byte)
{
    return byte == 0 ? 0x1p-127f : auk_bits_f32((uint32_t)byte << 23);
}

static float e4m3(int byte)
{
    return auk_f16_to_f32((uint16_t)((byte & 127) << 7)) * 256.0f;
}

static float value_of(const uint8_t *codes, int i, auk_mode mode)
{
    if (mode == AUK_MXFP8)
        return (codes[i] & 128) ? -e4m3(codes[i]) : e4m3(codes[i]);
    unsigned c = codes[i / 2] >> (i % 2 * 4) & 15u;
    float v = auk_f16_to_f32((uint16_t)((c & 7u) << 9)) * 16384.0f;
    return c & 8u ? -v : v;
}

/* Nearest code of x in units of the scale; ties as the element encoders have them (even). */
static unsigned nearest(float x, auk_mode mode)
{
    static const float steps[7] = {0.25f, 0x1.7FFFFEp-1f, 1.25f, 0x1.BFFFFEp+0f,
                                   2.5f,  0x1.BFFFFEp+1f, 5.0f};
    float a = fabsf(x);
    unsigned code = 0;

    if (mode != AUK_MXFP8) {
        for (int i = 0; i < 7; i++)
            code += a > steps[i];
        return code | (x < 0 && code > 0 ? 8u : 0u);
    }
    uint32_t u = auk_f32_bits(a);
    if (u >= 0x43E00000u)
        code = 0x7E;
    else if (u < 0x3C800000u)
        code = auk_f32_bits(a + 0x1p14f) - 0x46800000u;
    else
        code = (u - 0x3C000000u + 0x7FFFFu + (u >> 20 & 1u)) >> 20;
    return code | (x < 0 && code > 0 ? 128u : 0u);
}

static double encode(uint8_t *codes, const float *w, int group, float scale, auk_mode mode)
{
    double cost = 0;

    memset(codes, 0, MAX_GROUP);
    for (int i = 0; i < group; i++) {
        unsigned c = scale > 0 ? nearest(w[i] / scale, mode) : 0;
        if (mode == AUK_MXFP8)
            codes[i] = (uint8_t)c;
        else
            codes[i / 2] = (uint8_t)(codes[i / 2] | c << (i % 2 * 4));
        double d = (double)w[i] - (double)scale * (double)value_of(codes, i, mode);
        cost += d * d;
    }
    return cost;
}

void auk_fp_search(uint8_t *codes, uint8_t *scale, const auk_kernel *k, const float *w, size_t n,
                   const auk_fp_rule *rule)
{
    const int group = rule->mode == AUK_NVFP4 ? 16 : 32;
    const size_t bytes = (size_t)group * (rule->mode == AUK_MXFP8 ? 8 : 4) / 8;
    const int top = rule->mode == AUK_NVFP4 ? 126 : 254;

    k->quantize_fp(codes, scale, w, n, rule);
    for (size_t g = 0; g < n / (size_t)group; g++, w += group, codes += bytes) {
        uint8_t trial[MAX_GROUP], best[MAX_GROUP];
        int middle = scale[g], least = middle;
        double cost = INFINITY;
        for (int i = 0; i < CANDIDATES; i++) {
            /* the rule's own scale first, then its neighbours by distance: ties stay near */
            int byte = middle + (i % 2 ? 1 : -1) * ((i + 1) / 2);
            if (byte < 0 || byte > top)
                continue;
            double c = encode(trial, w, group, rule->mode == AUK_NVFP4 ? e4m3(byte) : e8m0(byte),
                              rule->mode);
            if (c < cost) {
                cost = c;
                least = byte;
                memcpy(best, trial, sizeof best);
            }
        }
        scale[g] = (uint8_t)least;
        memcpy(codes, best, bytes);
    }
}
