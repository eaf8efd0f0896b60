/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/scalar/scalar.h"

#include "kernel/exact_math.h"

void auk_f32_to_bf16_scalar(uint8_t *dst, const float *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = auk_f32_to_bf16(src[i]);
        dst[2 * i] = (uint8_t)h;
        dst[2 * i + 1] = (uint8_t)(h >> 8);
    }
}

void auk_round_bf16_scalar(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = auk_round_bf16(x[i]);
}

void auk_axpy_f32_scalar(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf(a, x[i], y[i]);
}

void auk_axpy_bf16_scalar(float *y, float a, const uint8_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf(a, auk_bf16_to_f32(auk_le16(x + 2 * i)), y[i]);
}

void auk_silu_scalar(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = auk_silu(x[i]);
}

void auk_softmax_scalar(float *x, size_t n)
{
    float max = -INFINITY, lane[32] = {0};

    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = auk_expf(x[i] - max);
        lane[i % 32] += x[i];
    }
    for (size_t half = 16; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    for (size_t i = 0; i < n; i++)
        x[i] /= lane[0];
}

size_t auk_argmax_scalar(const float *x, size_t n)
{
    size_t best = 0;
    float max = -INFINITY;

    for (size_t i = 0; i < n; i++)
        if (x[i] > max) {
            max = x[i];
            best = i;
        }
    return best;
}

bool auk_finite_bf16_scalar(const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((auk_le16(src + 2 * i) & 0x7F80u) == 0x7F80u)
            return false;
    return true;
}
