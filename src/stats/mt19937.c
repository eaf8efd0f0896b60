/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/stats.h"

#include "base/mem.h"

#define N 624
#define M 397

static void init_genrand(uint32_t *state, uint32_t seed)
{
    state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        state[i] = 1812433253u * (state[i - 1] ^ (state[i - 1] >> 30)) + i;
}

/* The authors' init_by_array; CPython's key is the seed in 32-bit words, lowest first. */
void auk_mt19937_init(auk_mt19937 *mt, uint64_t seed)
{
    uint32_t *s = mt->state, key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t n_key = key[1] != 0 ? 2 : 1, i = 1, j = 0;

    init_genrand(s, 19650218u);
    for (int left = N; left > 0; left--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + key[j] + j;
        if (++i == N) {
            s[0] = s[N - 1];
            i = 1;
        }
        j = (j + 1) % n_key;
    }
    for (int left = N - 1; left > 0; left--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == N) {
            s[0] = s[N - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000u;
    mt->at = N;
}

static void renew(auk_mt19937 *mt)
{
    uint32_t *s = mt->state;

    for (unsigned i = 0; i < N; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
        s[i] = s[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    mt->at = 0;
}

uint32_t auk_mt19937_next(auk_mt19937 *mt)
{
    if (mt->at >= N)
        renew(mt);
    uint32_t y = mt->state[mt->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double auk_mt19937_unit(auk_mt19937 *mt)
{
    double high = auk_mt19937_next(mt) >> 5, low = auk_mt19937_next(mt) >> 6;
    return (high * 67108864 + low) / 9007199254740992.0;
}

uint64_t auk_mt19937_bits(auk_mt19937 *mt, unsigned k)
{
    uint64_t low = 0;

    if (k == 0)
        return 0;
    if (k > 32) { /* the low word is drawn first */
        low = auk_mt19937_next(mt);
        return low | (uint64_t)(auk_mt19937_next(mt) >> (64 - k)) << 32;
    }
    return auk_mt19937_next(mt) >> (32 - k);
}

static unsigned bit_length(uint64_t n)
{
    unsigned k = 0;

    for (; n > 0; n >>= 1)
        k++;
    return k;
}

uint64_t auk_mt19937_below(auk_mt19937 *mt, uint64_t n)
{
    unsigned k = bit_length(n);
    uint64_t r;

    do
        r = auk_mt19937_bits(mt, k);
    while (r >= n);
    return r;
}

void auk_mt19937_shuffle(auk_mt19937 *mt, uint64_t *x, size_t n)
{
    for (size_t i = n; i-- > 1;) {
        size_t j = (size_t)auk_mt19937_below(mt, i + 1);
        uint64_t swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
}

/* CPython decides by the memory a list and a set would take. */
static bool pool_is_smaller(uint64_t n, size_t k)
{
    uint64_t set_size = 21;

    if (k > 5) {
        uint64_t table = 1;
        while (table < 3 * (uint64_t)k)
            table *= 4;
        set_size += table;
    }
    return n <= set_size;
}

static int sample_from_pool(uint64_t *out, auk_mt19937 *mt, uint64_t n, size_t k, auk_err *err)
{
    uint64_t *pool = NULL;

    int rc = auk_try_alloc(&pool, (size_t)n, sizeof *pool, err);
    if (rc != AUK_OK)
        return rc;
    for (uint64_t i = 0; i < n; i++)
        pool[i] = i;
    for (size_t i = 0; i < k; i++) {
        uint64_t j = auk_mt19937_below(mt, n - i);
        out[i] = pool[j];
        pool[j] = pool[n - i - 1];
    }
    free(pool);
    return AUK_OK;
}

/* Remembers v; false when it is known already.  Slots hold value + 1, 0 is empty. */
static bool remember(uint64_t *slots, size_t mask, uint64_t v)
{
    size_t at = (size_t)(v * 0x9E3779B97F4A7C15u >> 20) & mask;

    for (; slots[at] != 0; at = (at + 1) & mask)
        if (slots[at] == v + 1)
            return false;
    slots[at] = v + 1;
    return true;
}

static int sample_by_set(uint64_t *out, auk_mt19937 *mt, uint64_t n, size_t k, auk_err *err)
{
    uint64_t *slots = NULL;
    size_t size = 4;

    while (size < 2 * k)
        size *= 2;
    int rc = auk_try_alloc(&slots, size, sizeof *slots, err);
    if (rc != AUK_OK)
        return rc;
    for (size_t i = 0; i < k; i++) {
        uint64_t j;
        do
            j = auk_mt19937_below(mt, n);
        while (!remember(slots, size - 1, j));
        out[i] = j;
    }
    free(slots);
    return AUK_OK;
}

int auk_mt19937_sample(uint64_t *out, auk_mt19937 *mt, uint64_t n, size_t k, auk_err *err)
{
    if (k > n || k > AUK_STATS_MAX_COUNT)
        return auk_fail(err, AUK_EINVAL, "a sample of %zu from %llu is not possible", k,
                        (unsigned long long)n);
    if (k == 0)
        return AUK_OK;
    return pool_is_smaller(n, k) ? sample_from_pool(out, mt, n, k, err)
                                 : sample_by_set(out, mt, n, k, err);
}
