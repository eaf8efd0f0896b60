/* SPDX-License-Identifier: Apache-2.0 */
/* The rules are in affine_scalar.c and quantize_fp_scalar.c; divisions here are vdivps, which is
 * IEEE's, never the reciprocal. */
#include "kernel/x86/quantize_avx2.h"

#include "kernel/scalar/quantize_rule.h"
#include "kernel/scalar/scalar.h"

#include <immintrin.h>

/* Copies of a body per constant argument: the switch over it is gone from the loop. */
#define SPECIALIZED static inline __attribute__((always_inline))

bool auk_finite_bf16_avx2(const uint8_t *src, size_t n)
{
    const __m256i exponent = _mm256_set1_epi16(0x7F80);
    __m256i bad = _mm256_setzero_si256();
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(src + 2 * i));
        bad = _mm256_or_si256(bad, _mm256_cmpeq_epi16(_mm256_and_si256(v, exponent), exponent));
    }
    return _mm256_testz_si256(bad, bad) && auk_finite_bf16_scalar(src + 2 * i, n - i);
}

/* ---- packing ------------------------------------------------------------------------------ */

/* 32 codes, 8 per vector, as bytes in order. */
static inline __m256i bytes_32(const __m256i c[4])
{
    __m256i a = _mm256_packus_epi32(c[0], c[1]), b = _mm256_packus_epi32(c[2], c[3]);

    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Writes exactly 4 * bits bytes. */
SPECIALIZED void pack_32(uint8_t *dst, __m256i codes, const int bits)
{
    if (bits == 8) {
        _mm256_storeu_si256((__m256i *)dst, codes);
        return;
    }
    /* pairs of codes in 16 bits, fours in 32, eights in 64 */
    __m256i v = _mm256_maddubs_epi16(codes, _mm256_set1_epi16((short)(1 << (8 + bits) | 1)));
    if (bits == 4) {
        v = _mm256_permute4x64_epi64(_mm256_packus_epi16(v, v), 0x08);
        _mm_storeu_si128((__m128i *)dst, _mm256_castsi256_si128(v));
        return;
    }
    v = _mm256_madd_epi16(v, _mm256_set1_epi32(1 << (16 + 2 * bits) | 1));
    __m256i high = _mm256_slli_epi64(_mm256_srli_epi64(v, 32), 4 * bits);
    v = _mm256_or_si256(_mm256_and_si256(v, _mm256_set1_epi64x(0xFFFFFFFF)), high);
    /* the low `bits` bytes of each 64 */
    uint8_t pick[16];
    for (int i = 0; i < 16; i++)
        pick[i] = (uint8_t)(i < bits ? i : i < 2 * bits ? i - bits + 8 : 0x80);
    __m128i p = _mm_loadu_si128((const __m128i *)pick);
    __m128i lo = _mm_shuffle_epi8(_mm256_castsi256_si128(v), p);
    __m128i hi = _mm_shuffle_epi8(_mm256_extracti128_si256(v, 1), p);
    memcpy(dst, &lo, (size_t)(2 * bits));
    memcpy(dst + 2 * bits, &hi, (size_t)(2 * bits));
}

/* ---- affine ------------------------------------------------------------------------------- */

static inline float min_8(__m256 v)
{
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
}

static inline float max_8(__m256 v)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

static inline __m256 abs_8(__m256 x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline __m256 round_away_8(__m256 x)
{
    __m256 t = _mm256_round_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    __m256 half = _mm256_cmp_ps(abs_8(_mm256_sub_ps(x, t)), _mm256_set1_ps(0.5f), _CMP_GE_OQ);
    __m256 one = _mm256_or_ps(_mm256_and_ps(x, _mm256_set1_ps(-0.0f)), _mm256_set1_ps(1.0f));

    return _mm256_add_ps(t, _mm256_and_ps(half, one));
}

/* Scales and biases of 8 groups from their smallest and largest weights. */
SPECIALIZED void scales_8(float scale[8], float bias[8], const float lo[8], const float hi[8],
                          const int bits, const bool metal)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 l = _mm256_loadu_ps(lo), h = _mm256_loadu_ps(hi);
    __m256 s = _mm256_div_ps(_mm256_sub_ps(h, l), _mm256_set1_ps((float)((1 << bits) - 1)));

    s = _mm256_max_ps(s, _mm256_set1_ps(auk_bits_f32(0x33D6BF95u))); /* 1e-7 */
    __m256 low = _mm256_cmp_ps(abs_8(l), abs_8(h), _CMP_GT_OQ);
    s = _mm256_xor_ps(s, _mm256_andnot_ps(low, sign));
    __m256 edge = _mm256_blendv_ps(h, l, low), x = _mm256_div_ps(edge, s);
    __m256 q =
        metal ? round_away_8(x) : _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 some = _mm256_cmp_ps(q, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    s = _mm256_blendv_ps(s, _mm256_div_ps(edge, q), some);
    _mm256_storeu_ps(scale, s);
    _mm256_storeu_ps(bias, _mm256_and_ps(edge, some));
}

/* For 0 <= x <= 255 trunc(x + the float below 0.5) is x rounded with halves upwards. */
SPECIALIZED void encode_32(uint8_t *dst, const float *w, __m256 scale, __m256 bias, const int bits,
                           const bool metal)
{
    const __m256 top = _mm256_set1_ps((float)((1 << bits) - 1));
    __m256i c[4];

    for (int i = 0; i < 4; i++) {
        __m256 x = _mm256_div_ps(_mm256_sub_ps(_mm256_loadu_ps(w + 8 * i), bias), scale);
        x = _mm256_max_ps(x, _mm256_setzero_ps()); /* NaN becomes 0 */
        x = _mm256_min_ps(x, top);
        c[i] = metal ? _mm256_cvttps_epi32(_mm256_add_ps(x, _mm256_set1_ps(0x1.FFFFFEp-2f)))
                     : _mm256_cvtps_epi32(x);
    }
    pack_32(dst, bytes_32(c), bits);
}

SPECIALIZED void affine(uint8_t *codes, float *scale, float *bias, const float *w, size_t n_groups,
                        int group, const int bits, const bool metal)
{
    while (n_groups > 0) {
        size_t m = n_groups < 8 ? n_groups : 8;
        float lo[8] = {0}, hi[8] = {0}, s[8], b[8];

        for (size_t g = 0; g < m; g++) {
            const float *p = w + g * (size_t)group;
            __m256 l = _mm256_loadu_ps(p), h = l;
            for (int i = 8; i < group; i += 8) {
                l = _mm256_min_ps(_mm256_loadu_ps(p + i), l);
                h = _mm256_max_ps(_mm256_loadu_ps(p + i), h);
            }
            if (metal)
                h = _mm256_max_ps(h, _mm256_setzero_ps());
            lo[g] = min_8(l);
            hi[g] = max_8(h);
        }
        scales_8(s, b, lo, hi, bits, metal);
        for (size_t g = 0; g < m; g++) {
            __m256 sv = _mm256_set1_ps(s[g]), bv = _mm256_set1_ps(b[g]);
            for (int i = 0; i < group; i += 32, w += 32, codes += 4 * bits)
                encode_32(codes, w, sv, bv, bits, metal);
        }
        memcpy(scale, s, m * sizeof *s);
        memcpy(bias, b, m * sizeof *b);
        scale += m;
        bias += m;
        n_groups -= m;
    }
}

void auk_quantize_affine_avx2(uint8_t *codes, float *scale, float *bias, const float *w, size_t n,
                              int bits, int group, auk_rounding rounding)
{
    size_t n_groups = n / (size_t)group;

#define CASE(B)                                                                                    \
    case B:                                                                                        \
        if (rounding == AUK_ROUND_METAL)                                                           \
            affine(codes, scale, bias, w, n_groups, group, B, true);                               \
        else                                                                                       \
            affine(codes, scale, bias, w, n_groups, group, B, false);                              \
        break;
    switch (bits) {
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
        CASE(8)
    }
#undef CASE
}

/* ---- floating-point modes ----------------------------------------------------------------- */

static inline __m256i e4m3_codes_8(__m256 x)
{
    __m256i u = _mm256_castps_si256(x);
    __m256i a = _mm256_and_si256(u, _mm256_set1_epi32(0x7FFFFFFF));
    __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(u, 31), 7);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(a, 20), _mm256_set1_epi32(1));
    __m256i normal = _mm256_add_epi32(a, _mm256_set1_epi32(0x7FFFF - 0x3C000000));
    __m256 shifted = _mm256_add_ps(_mm256_castsi256_ps(a), _mm256_set1_ps(0x1p14f));
    __m256i small = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(0x46800000));
    __m256i is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x3C800000), a);
    __m256i is_big = _mm256_cmpgt_epi32(a, _mm256_set1_epi32(0x43DFFFFF));

    normal = _mm256_srli_epi32(_mm256_add_epi32(normal, odd), 20);
    __m256i code = _mm256_blendv_epi8(normal, small, is_small);
    code = _mm256_blendv_epi8(code, _mm256_set1_epi32(0x7E), is_big);
    return _mm256_or_si256(code, sign);
}

static inline __m256i e2m1_codes_8(__m256 x, const float *steps, bool metal)
{
    __m256 a = abs_8(x);
    __m256i code = _mm256_setzero_si256();
    __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(_mm256_castps_si256(x), 31), 3);

    for (int i = 0; i < 7; i++) {
        __m256 above = _mm256_cmp_ps(a, _mm256_set1_ps(steps[i]), _CMP_GT_OQ);
        code = _mm256_sub_epi32(code, _mm256_castps_si256(above));
    }
    if (!metal) /* zero has no sign */
        sign = _mm256_and_si256(sign, _mm256_cmpgt_epi32(code, _mm256_setzero_si256()));
    return _mm256_or_si256(code, sign);
}

static inline __m256 round_bf16_8(__m256 x) /* finite x */
{
    __m256i u = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));

    u = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7FFF)), odd);
    return _mm256_castsi256_ps(_mm256_and_si256(u, _mm256_set1_epi32((int)0xFFFF0000u)));
}

static inline __m256 round_step_8(__m256 x, const auk_fp_rule *rule)
{
    if (rule->step == AUK_STEP_BF16)
        return round_bf16_8(x);
    return rule->step == AUK_STEP_F16 ? _mm256_cvtph_ps(_mm256_cvtps_ph(x, 0)) : x;
}

/* What 8 elements are multiplied by to divide by their scale.  On Metal this is the rule; on the
 * CPU it is the same for powers of two, as long as the reciprocal is one as well. */
static inline bool has_inverse(float s, auk_mode mode)
{
    return mode != AUK_NVFP4 && s >= 0x1p-126f;
}

SPECIALIZED __m256 scaled_8(__m256 w, float s, const auk_mode mode, const bool metal,
                            const auk_fp_rule *rule)
{
    if (metal)
        return _mm256_mul_ps(w, _mm256_set1_ps(s == 0.0f ? 0.0f : 1.0f / s));
    if (s == 0.0f)
        return _mm256_setzero_ps();
    if (has_inverse(s, mode))
        return round_step_8(_mm256_mul_ps(w, _mm256_set1_ps(1.0f / s)), rule);
    return round_step_8(_mm256_div_ps(w, _mm256_set1_ps(s)), rule);
}

/* 32 elements: one group, or two of nvfp4. */
SPECIALIZED void fp_32(uint8_t *codes, uint8_t *scale, const float *w, const auk_mode mode,
                       const bool metal, const auk_fp_rule *rule)
{
    const float *steps = metal ? auk_e2m1_steps_metal : auk_e2m1_steps_cpu;
    __m256 v[4], most = _mm256_setzero_ps();
    __m256i c[4];
    float s[2];

    for (int i = 0; i < 4; i++)
        v[i] = _mm256_loadu_ps(w + 8 * i);
    __m256 first = _mm256_max_ps(abs_8(v[0]), abs_8(v[1]));
    __m256 second = _mm256_max_ps(abs_8(v[2]), abs_8(v[3]));
    if (mode == AUK_NVFP4) {
        scale[0] = auk_fp_scale(&s[0], max_8(first), rule);
        scale[1] = auk_fp_scale(&s[1], max_8(second), rule);
    } else {
        scale[0] = auk_fp_scale(&s[0], max_8(_mm256_max_ps(first, second)), rule);
        s[1] = s[0];
    }
    for (int i = 0; i < 4; i++) {
        v[i] = scaled_8(v[i], s[i / 2], mode, metal, rule);
        most = _mm256_max_ps(most, abs_8(v[i]));
        c[i] = mode == AUK_MXFP8 ? e4m3_codes_8(v[i]) : e2m1_codes_8(v[i], steps, metal);
    }
    if (!metal && mode != AUK_MXFP8 && max_8(most) > 64.0f) /* where distances look alike */
        auk_quantize_fp_scalar(codes, scale, w, 32, rule);
    else
        pack_32(codes, bytes_32(c), mode == AUK_MXFP8 ? 8 : 4);
}

SPECIALIZED void fp(uint8_t *codes, uint8_t *scale, const float *w, size_t n, const auk_mode mode,
                    const bool metal, const auk_fp_rule *in)
{
    auk_fp_rule rule = {mode, metal ? AUK_ROUND_METAL : AUK_ROUND_CPU, in->mx_scale, in->step};
    const size_t code_bytes = mode == AUK_MXFP8 ? 32 : 16, n_scales = mode == AUK_NVFP4 ? 2 : 1;

    for (; n >= 32; n -= 32) {
        fp_32(codes, scale, w, mode, metal, &rule);
        codes += code_bytes;
        scale += n_scales;
        w += 32;
    }
    auk_quantize_fp_scalar(codes, scale, w, n, in); /* a last lone group of nvfp4 */
}

void auk_quantize_fp_avx2(uint8_t *codes, uint8_t *scale, const float *w, size_t n,
                          const auk_fp_rule *rule)
{
    bool metal = rule->rounding == AUK_ROUND_METAL;

#define CASE(MODE)                                                                                 \
    case MODE:                                                                                     \
        if (metal)                                                                                 \
            fp(codes, scale, w, n, MODE, true, rule);                                              \
        else                                                                                       \
            fp(codes, scale, w, n, MODE, false, rule);                                             \
        break;
    switch (rule->mode) {
        CASE(AUK_MXFP4)
        CASE(AUK_MXFP8)
        CASE(AUK_NVFP4)
    case AUK_AFFINE:
        break;
    }
#undef CASE
}
