/* SPDX-License-Identifier: Apache-2.0 */
/* codes_avx2.h - packed weights into vectors of 8 floats, shared by the dot products and the
 * dequantizers so that both see the same bits. */
#ifndef AUK_KERNEL_CODES_AVX2_H
#define AUK_KERNEL_CODES_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline __m256 load_bf16_8(const uint8_t *p)
{
    __m128i h = _mm_loadu_si128((const __m128i *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* The 32 bits at p in every lane: a load, no arithmetic. */
static inline __m256i spread_32(const uint8_t *p)
{
    int v;

    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

/* base, base + step, ... in the eight lanes */
static inline __m256i ramp(int base, int step)
{
    return _mm256_setr_epi32(base, base + step, base + 2 * step, base + 3 * step, base + 4 * step,
                             base + 5 * step, base + 6 * step, base + 7 * step);
}

/* For a lane's shuffle: the two bytes that bit `at` begins in, and zeros. */
static inline int two_bytes(int at)
{
    return (int)(0x80800000u | (unsigned)(at / 8) | (unsigned)(at / 8 + 1) << 8);
}

/* Eight codes of 5 or 6 bits, the first at bit `at` (a multiple of 8) of the 16 bytes at p. */
static inline __m256i codes_across(const uint8_t *p, int at, int bits)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
    __m256i pick = _mm256_setr_epi32(two_bytes(at), two_bytes(at + bits), two_bytes(at + 2 * bits),
                                     two_bytes(at + 3 * bits), two_bytes(at + 4 * bits),
                                     two_bytes(at + 5 * bits), two_bytes(at + 6 * bits),
                                     two_bytes(at + 7 * bits));
    __m256i shift = _mm256_and_si256(ramp(0, bits), _mm256_set1_epi32(7));

    return _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(v, pick), shift),
                            _mm256_set1_epi32((1 << bits) - 1));
}

/* Codes 8 j to 8 j + 7 of the 32 that lie in the 4 * bits bytes at p, without reading beyond them.
 * With 2 and 3 bits what lies above the third bit is left in: a permutation ignores it. */
static inline __m256i codes_8(const uint8_t *p, int j, int bits)
{
    switch (bits) {
    case 2:
        return _mm256_srlv_epi32(spread_32(p + j / 2 * 4), ramp(j % 2 * 16, 2));
    case 3: /* the last load begins a byte early */
        return _mm256_srlv_epi32(spread_32(p + (j < 3 ? 3 * j : 8)), ramp(j < 3 ? 0 : 8, 3));
    case 4:
        return _mm256_and_si256(_mm256_srlv_epi32(spread_32(p + 4 * j), ramp(0, 4)),
                                _mm256_set1_epi32(15));
    case 5:
        return codes_across(p + (j < 3 ? 0 : 4), j < 3 ? 40 * j : 88, 5);
    case 6:
        return codes_across(p + (j < 2 ? 0 : 8), j < 2 ? 48 * j : 48 * j - 64, 6);
    default:
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8 * j)));
    }
}

/* scale * code + bias, two roundings.  Fused only where the product is exact: the same bits. */
static inline __m256 affine_8(__m256i codes, __m256 scale, __m256 bias, bool fused)
{
    __m256 c = _mm256_cvtepi32_ps(codes);

    return fused ? _mm256_fmadd_ps(scale, c, bias) : _mm256_add_ps(_mm256_mul_ps(scale, c), bias);
}

/* True when scale * code is exact for every scale and any code of up to 8 bits: no scale has more
 * than 16 significant bits (all that were stored as bfloat16 or float16) or could overflow. */
static inline bool products_are_exact(const float *scale, size_t n)
{
    __m256i low = _mm256_setzero_si256(), mask = _mm256_set1_epi32(0x7FFFFFFF), top = low;
    uint32_t rest = 0, u;

    for (; n >= 8; n -= 8, scale += 8) {
        __m256i s = _mm256_loadu_si256((const __m256i *)scale);
        low = _mm256_or_si256(low, s);
        top = _mm256_max_epi32(top, _mm256_and_si256(s, mask));
    }
    for (; n > 0; n--, scale++) {
        memcpy(&u, scale, sizeof u);
        rest |= (u & 0xFF) | ((u & 0x7FFFFFFF) >= 0x77800000); /* 2^112 */
    }
    __m256i bad = _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi32(0xFF)),
                                  _mm256_cmpgt_epi32(top, _mm256_set1_epi32(0x777FFFFF)));
    return rest == 0 && _mm256_testz_si256(bad, bad);
}

/* 32 weights of one group.  With 2 and 3 bits a group has at most eight values: they are computed
 * once (the compiler moves them out of the caller's loop) and looked up. */
static inline void affine_32(__m256 w[4], const uint8_t *p, __m256 scale, __m256 bias, int bits,
                             bool fused)
{
    if (bits <= 3) {
        __m256i all = _mm256_and_si256(ramp(0, 1), _mm256_set1_epi32((1 << bits) - 1));
        __m256 value = affine_8(all, scale, bias, false);
        for (int j = 0; j < 4; j++)
            w[j] = _mm256_permutevar8x32_ps(value, codes_8(p, j, bits));
        return;
    }
    for (int j = 0; j < 4; j++)
        w[j] = affine_8(codes_8(p, j, bits), scale, bias, fused);
}

/* 32 nibbles: the magnitude times the scale is looked up, the fourth bit is the sign. */
static inline void e2m1_32(__m256 w[4], const uint8_t *p, __m256 scale_lo, __m256 scale_hi)
{
    __m256 magnitude = _mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f);
    __m256 lo = _mm256_mul_ps(magnitude, scale_lo), hi = _mm256_mul_ps(magnitude, scale_hi);

    for (int j = 0; j < 4; j++) {
        __m256i v = spread_32(p + 4 * j);
        __m256 m = _mm256_permutevar8x32_ps(j < 2 ? lo : hi, _mm256_srlv_epi32(v, ramp(0, 4)));
        __m256i sign = _mm256_and_si256(_mm256_sllv_epi32(v, ramp(28, -4)),
                                        _mm256_set1_epi32((int)0x80000000u));
        w[j] = _mm256_xor_ps(m, _mm256_castsi256_ps(sign));
    }
}

/* The code's low seven bits, shifted, are a float16 256 times too small; bit 14, where the shift
 * leaves a copy of the sign, is cleared. */
static inline void e4m3_32(__m256 w[4], const uint8_t *p, __m256 scale)
{
    __m256 factor = _mm256_set1_ps(256.0f);

    for (int j = 0; j < 4; j += 2) {
        __m256i c = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p + 8 * j)));
        __m256i h = _mm256_and_si256(_mm256_slli_epi16(c, 7), _mm256_set1_epi16((short)0xBFFF));
        __m256 a = _mm256_cvtph_ps(_mm256_castsi256_si128(h));
        __m256 b = _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1));
        w[j] = _mm256_mul_ps(_mm256_mul_ps(a, factor), scale);
        w[j + 1] = _mm256_mul_ps(_mm256_mul_ps(b, factor), scale);
    }
}

#endif
