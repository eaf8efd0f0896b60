/* SPDX-License-Identifier: Apache-2.0 */
/* codes_avx2.h - packed weights into vectors of 8 floats, shared by the dot products and the
 * dequantizers so that both see the same bits. */
#ifndef AUK_KERNEL_CODES_AVX2_H
#define AUK_KERNEL_CODES_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

static inline __m256 load_bf16_8(const uint8_t *p)
{
    __m128i h = _mm_loadu_si128((const __m128i *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

static inline void widen_8x4(__m256i out[4], __m128i lo, __m128i hi)
{
    out[0] = _mm256_cvtepu8_epi32(lo);
    out[1] = _mm256_cvtepu8_epi32(_mm_srli_si128(lo, 8));
    out[2] = _mm256_cvtepu8_epi32(hi);
    out[3] = _mm256_cvtepu8_epi32(_mm_srli_si128(hi, 8));
}

/* 32 nibbles, the even one low. */
static inline void codes4_32(__m256i out[4], const uint8_t *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)p), mask = _mm_set1_epi8(15);
    __m128i lo = _mm_and_si128(v, mask), hi = _mm_and_si128(_mm_srli_epi16(v, 4), mask);

    widen_8x4(out, _mm_unpacklo_epi8(lo, hi), _mm_unpackhi_epi8(lo, hi));
}

static inline void codes8_32(__m256i out[4], const uint8_t *p)
{
    widen_8x4(out, _mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)(p + 16)));
}

/* 8 codes of 2, 3, 5 or 6 bits from exactly `bits` bytes: each 32-bit lane gets the two bytes its
 * code begins in, is shifted down and masked. */
static inline __m256i codes_8(const uint8_t *p, int bits)
{
    uint64_t v = 0;
    __m256i start =
        _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(bits));
    __m256i byte = _mm256_srli_epi32(start, 3);
    __m256i shift = _mm256_and_si256(start, _mm256_set1_epi32(7));
    /* lane control: byte, byte + 1, zero, zero */
    __m256i pick =
        _mm256_or_si256(byte, _mm256_slli_epi32(_mm256_add_epi32(byte, _mm256_set1_epi32(1)), 8));
    pick = _mm256_or_si256(pick, _mm256_set1_epi32((int)0x80800000u));

    switch (bits) { /* constant sizes: a plain load each */
    case 2:
        memcpy(&v, p, 2);
        break;
    case 3:
        memcpy(&v, p, 3);
        break;
    case 5:
        memcpy(&v, p, 5);
        break;
    default:
        memcpy(&v, p, 6);
    }
    __m256i all = _mm256_shuffle_epi8(_mm256_set1_epi64x((long long)v), pick);
    return _mm256_and_si256(_mm256_srlv_epi32(all, shift), _mm256_set1_epi32((1 << bits) - 1));
}

static inline void codes_32(__m256i out[4], const uint8_t *p, int bits)
{
    if (bits == 4)
        codes4_32(out, p);
    else if (bits == 8)
        codes8_32(out, p);
    else
        for (int i = 0; i < 4; i++)
            out[i] = codes_8(p + i * bits, bits);
}

/* scale * code + bias, two roundings. */
static inline __m256 affine_8(__m256i codes, __m256 scale, __m256 bias)
{
    return _mm256_add_ps(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(codes)), bias);
}

static inline __m256 e2m1_8(__m256i codes, __m256 scale)
{
    __m256 table = _mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f);
    __m256 mag = _mm256_permutevar8x32_ps(table, codes); /* uses the low three bits */
    __m256i sign = _mm256_slli_epi32(_mm256_and_si256(codes, _mm256_set1_epi32(8)), 28);

    return _mm256_mul_ps(_mm256_xor_ps(mag, _mm256_castsi256_ps(sign)), scale);
}

/* The code's low seven bits, shifted, are a float16 256 times too small. */
static inline __m256 e4m3_8(const uint8_t *p, __m256 scale)
{
    __m128i c = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)p));
    __m128i h = _mm_or_si128(_mm_slli_epi16(_mm_and_si128(c, _mm_set1_epi16(127)), 7),
                             _mm_slli_epi16(_mm_and_si128(c, _mm_set1_epi16(128)), 8));

    return _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtph_ps(h), _mm256_set1_ps(256.0f)), scale);
}

#endif
