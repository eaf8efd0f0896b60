/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of grid_scalar.c for eight rows at once. */
#include "base/half.h"
#include "kernel/grid_rule.h"
#include "kernel/x86/avx2.h"

#include <immintrin.h>

#define NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

/* Finite values only. */
static inline __m256 round_bf16(__m256 x)
{
    __m256i u = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));

    u = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    return _mm256_castsi256_ps(_mm256_and_si256(u, _mm256_set1_epi32((int)0xFFFF0000u)));
}

static inline __m256 code_of(__m256 v, __m256 s, __m256 b, __m256 top)
{
    __m256 q = _mm256_round_ps(_mm256_div_ps(_mm256_sub_ps(v, b), s), NEAREST);

    return _mm256_min_ps(_mm256_max_ps(q, _mm256_setzero_ps()), top);
}

typedef struct sums {
    __m256 cost, aq, aqq, aqw;
} sums;

static inline sums measure(const float *w, const float *a, int group, __m256 s, __m256 b,
                           __m256 top)
{
    __m256 zero = _mm256_setzero_ps();
    sums u = {zero, zero, zero, zero};

    for (int j = 0; j < group; j++) {
        __m256 x = _mm256_loadu_ps(w + j * AUK_LANES), aj = _mm256_broadcast_ss(a + j);
        __m256 q = code_of(x, s, b, top), qa = _mm256_mul_ps(q, aj);
        __m256 d = _mm256_sub_ps(x, _mm256_add_ps(_mm256_mul_ps(s, q), b));
        u.cost = _mm256_fmadd_ps(_mm256_mul_ps(aj, d), d, u.cost);
        u.aq = _mm256_add_ps(u.aq, qa);
        u.aqq = _mm256_fmadd_ps(qa, q, u.aqq);
        u.aqw = _mm256_fmadd_ps(qa, x, u.aqw);
    }
    return u;
}

static inline __m256d half_of(__m256 x, int upper)
{
    return _mm256_cvtps_pd(upper ? _mm256_extractf128_ps(x, 1) : _mm256_castps256_ps128(x));
}

/* Four lanes of the 2x2 least squares; returns which have a solution. */
static inline __m256d solve(__m128 *s, __m128 *b, const sums *u, __m256 a, __m256 aw, int upper)
{
    __m256d sum = half_of(a, upper), w = half_of(aw, upper), q = half_of(u->aq, upper);
    __m256d qq = half_of(u->aqq, upper), qw = half_of(u->aqw, upper);
    __m256d d = _mm256_sub_pd(_mm256_mul_pd(sum, qq), _mm256_mul_pd(q, q));
    __m256d x = _mm256_sub_pd(_mm256_mul_pd(sum, qw), _mm256_mul_pd(q, w));
    __m256d y = _mm256_sub_pd(_mm256_mul_pd(qq, w), _mm256_mul_pd(q, qw));

    *s = _mm256_cvtpd_ps(_mm256_div_pd(x, d));
    *b = _mm256_cvtpd_ps(_mm256_div_pd(y, d));
    return _mm256_cmp_pd(d, _mm256_setzero_pd(), _CMP_GT_OQ);
}

/* A mask of four doubles as one of four floats. */
static inline __m128 narrow(__m256d mask)
{
    __m128 lo = _mm_castpd_ps(_mm256_castpd256_pd128(mask));
    __m128 hi = _mm_castpd_ps(_mm256_extractf128_pd(mask, 1));

    return _mm_shuffle_ps(lo, hi, _MM_SHUFFLE(2, 0, 2, 0));
}

static inline __m256 refit(__m256 *s, __m256 *b, const sums *u, __m256 a, __m256 aw)
{
    __m128 s0, s1, b0, b1;
    __m256d low = solve(&s0, &b0, u, a, aw, 0), high = solve(&s1, &b1, u, a, aw, 1);

    *s = _mm256_set_m128(s1, s0);
    *b = _mm256_set_m128(b1, b0);
    return _mm256_set_m128(narrow(high), narrow(low));
}

/* The best so far of eight rows. */
typedef struct best {
    __m256 cost, s, b;
} best;

static inline void keep(best *k, const sums *u, __m256 s, __m256 b, __m256 live)
{
    __m256 less = _mm256_and_ps(live, _mm256_cmp_ps(u->cost, k->cost, _CMP_LT_OQ));

    k->cost = _mm256_blendv_ps(k->cost, u->cost, less);
    k->s = _mm256_blendv_ps(k->s, s, less);
    k->b = _mm256_blendv_ps(k->b, b, less);
}

static void search_ranges(best *k, const float *w, const float *a, int group, __m256 lo, __m256 hi,
                          __m256 sum_a, __m256 aw, __m256 top)
{
    for (int i = 0; i < AUK_GRID_RANGES; i++) {
        __m256 live = _mm256_castsi256_ps(_mm256_set1_epi32(-1)), b = lo;
        __m256 s = _mm256_mul_ps(_mm256_sub_ps(hi, lo), _mm256_set1_ps(auk_grid_factor(i)));
        s = _mm256_div_ps(s, top);
        for (int t = 0; t < 3; t++) {
            s = round_bf16(s);
            b = round_bf16(b);
            live = _mm256_and_ps(live, _mm256_cmp_ps(s, _mm256_setzero_ps(), _CMP_NEQ_UQ));
            sums u = measure(w, a, group, s, b, top);
            keep(k, &u, s, b, live);
            live = _mm256_and_ps(live, refit(&s, &b, &u, sum_a, aw));
        }
    }
}

static void search8(float *scale, float *bias, const float *w, const float *a, int bits, int group)
{
    __m256 lo = _mm256_loadu_ps(w), hi = lo, aw = _mm256_setzero_ps(), sum_a = aw;
    __m256 top = _mm256_set1_ps((float)((1 << bits) - 1));
    float l[8], h[8], s[8], b[8];
    best k;

    for (int j = 0; j < group; j++) {
        __m256 x = _mm256_loadu_ps(w + j * AUK_LANES), aj = _mm256_broadcast_ss(a + j);
        lo = _mm256_min_ps(x, lo);
        hi = _mm256_max_ps(x, hi);
        sum_a = _mm256_add_ps(sum_a, aj);
        aw = _mm256_fmadd_ps(aj, x, aw);
    }
    _mm256_storeu_ps(l, lo);
    _mm256_storeu_ps(h, hi);
    for (int r = 0; r < 8; r++) {
        s[r] = -1e-7f; /* constant groups divide by something, too */
        b[r] = l[r];
        if (h[r] > l[r])
            auk_grid_first(s + r, b + r, l[r], h[r], (float)((1 << bits) - 1));
    }
    k.s = _mm256_loadu_ps(s);
    k.b = _mm256_loadu_ps(b);
    k.cost = measure(w, a, group, k.s, k.b, top).cost;
    search_ranges(&k, w, a, group, lo, hi, sum_a, aw, top);
    _mm256_storeu_ps(scale, k.s);
    _mm256_storeu_ps(bias, k.b);
    for (int r = 0; r < 8; r++)
        if (!(h[r] > l[r])) {
            scale[r] = auk_round_bf16(-1e-7f);
            bias[r] = auk_round_bf16(l[r]);
        }
}

void auk_search_affine_avx2(float *scale, float *bias, const float *w, const float *a, int bits,
                            int group)
{
    for (int r = 0; r < AUK_LANES; r += 8)
        search8(scale + r, bias + r, w + r, a, bits, group);
}

void auk_solve_lanes_avx2(float *t, const float *w, const float *c, const float *r, size_t ldr,
                          int group)
{
    __m256 y[128][2];

    for (int k = 0; k < group; k++) {
        const float *column = r + (size_t)k * ldr;
        __m256 s0 = _mm256_loadu_ps(c + k * AUK_LANES);
        __m256 s1 = _mm256_loadu_ps(c + k * AUK_LANES + 8);
        for (int j = 0; j < k; j++) {
            __m256 rj = _mm256_broadcast_ss(column + j);
            s0 = _mm256_fnmadd_ps(y[j][0], rj, s0);
            s1 = _mm256_fnmadd_ps(y[j][1], rj, s1);
        }
        __m256 rk = _mm256_broadcast_ss(column + k);
        y[k][0] = _mm256_div_ps(s0, rk);
        y[k][1] = _mm256_div_ps(s1, rk);
        for (int h = 0; h < 2; h++) {
            size_t at = (size_t)(k * AUK_LANES + h * 8);
            _mm256_storeu_ps(t + at, _mm256_add_ps(_mm256_loadu_ps(w + at), y[k][h]));
        }
    }
}

/* Element k of eight rows: its code, its error, and its part of the loss. */
static inline void settle(uint8_t *codes, float *e, __m256 *loss, __m256 w, __m256 v, __m256 rk,
                          __m256 s, __m256 b, __m256 top)
{
    __m256 q = code_of(v, s, b, top), x = _mm256_add_ps(_mm256_mul_ps(s, q), b);
    __m256 d = _mm256_mul_ps(rk, _mm256_sub_ps(v, x));
    __m256i n = _mm256_cvtps_epi32(q);
    __m128i p = _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1));

    _mm_storel_epi64((__m128i *)(void *)codes, _mm_packus_epi16(p, p));
    _mm256_storeu_ps(e, _mm256_sub_ps(w, x));
    *loss = _mm256_fmadd_ps(d, d, *loss);
}

void auk_pull_affine_avx2(uint8_t *codes, float *e, float *loss, const float *w, const float *c,
                          const float *r, size_t ldr, const float *scale, const float *bias,
                          int bits, int group)
{
    __m256 top = _mm256_set1_ps((float)((1 << bits) - 1)), zero = _mm256_setzero_ps();
    __m256 scales[2] = {_mm256_loadu_ps(scale), _mm256_loadu_ps(scale + 8)};
    __m256 biases[2] = {_mm256_loadu_ps(bias), _mm256_loadu_ps(bias + 8)};
    __m256 l[2] = {zero, zero};

    if (c != NULL) {
        l[0] = _mm256_loadu_ps(loss);
        l[1] = _mm256_loadu_ps(loss + 8);
    }
    for (int k = 0; k < group; k++) {
        size_t at = (size_t)k * AUK_LANES;
        __m256 s[2] = {zero, zero}, rk = zero, w0 = _mm256_loadu_ps(w + at);
        __m256 w1 = _mm256_loadu_ps(w + at + 8), v0 = w0, v1 = w1;
        if (c != NULL) {
            const float *column = r + (size_t)k * ldr;
            s[0] = _mm256_loadu_ps(c + at);
            s[1] = _mm256_loadu_ps(c + at + 8);
            for (int j = 0; j < k; j++) {
                __m256 rj = _mm256_broadcast_ss(column + j);
                s[0] = _mm256_fmadd_ps(_mm256_loadu_ps(e + j * AUK_LANES), rj, s[0]);
                s[1] = _mm256_fmadd_ps(_mm256_loadu_ps(e + j * AUK_LANES + 8), rj, s[1]);
            }
            rk = _mm256_broadcast_ss(column + k);
            v0 = _mm256_add_ps(w0, _mm256_div_ps(s[0], rk));
            v1 = _mm256_add_ps(w1, _mm256_div_ps(s[1], rk));
        }
        settle(codes + at, e + at, &l[0], w0, v0, rk, scales[0], biases[0], top);
        settle(codes + at + 8, e + at + 8, &l[1], w1, v1, rk, scales[1], biases[1], top);
    }
    if (c == NULL)
        return;
    _mm256_storeu_ps(loss, l[0]);
    _mm256_storeu_ps(loss + 8, l[1]);
}
