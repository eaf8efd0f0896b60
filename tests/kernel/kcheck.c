/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "kernel/kcheck.h"

#include "base/cpu.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/time.h"

#include <float.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#define CANARY 0xA5
#define SLACK 64
#define MAX_SAID 5     /* failures printed per case and level */
#define SAMPLES 15     /* timed batches; the median counts */
#define BATCH_NS 2e6   /* how long one takes */
#define MAX_TIMINGS 64 /* k_bench_start calls of one case, remembered for the ratio to scalar */

const size_t k_lengths[] = {1,   2,   3,   5,   7,   8,   9,   15,  16,   17,   31,
                            32,  33,  47,  48,  63,  64,  65,  95,  96,   97,   127,
                            128, 129, 160, 255, 256, 257, 511, 768, 1023, 1024, 2048};
const size_t k_n_lengths = sizeof k_lengths / sizeof *k_lengths;

typedef struct guarded {
    uint8_t *map; /* owned */
    size_t map_bytes, head_bytes, bytes, tail_bytes;
} guarded;

typedef struct timing {
    char what[64];
    double ns;
} timing;

struct k_test {
    const char *name;
    char level[32];
    auk_rng rng;
    uint64_t seed;
    int n_failed;
    guarded *blocks; /* owned */
    size_t n_blocks, cap_blocks;
    /* benchmark */
    size_t slack;
    bool json;
    char what[64];
    double bytes, ops;
    uint64_t batch, left, started_ns;
    double samples[SAMPLES];
    int n_samples;  /* -1: still looking for the batch size */
    timing *scalar; /* borrowed from run_case; MAX_TIMINGS of them */
};

typedef struct options {
    const char *only;
    bool bench, json;
    size_t slack; /* readable bytes between a block and its guard page */
    unsigned cpu_flags;
    uint64_t seed;
} options;

/* ---- failures ----------------------------------------------------------------------------- */

static bool say(k_test *t)
{
    if (++t->n_failed > MAX_SAID)
        return false;
    printf("  %s [%s] --seed=%" PRIu64 ": ", t->name, t->level, t->seed);
    return true;
}

void k_same_bits(k_test *t, const void *got, const void *want, size_t bytes, size_t n, int pattern)
{
    const uint8_t *g = got, *w = want;
    size_t i = 0;

    if (memcmp(got, want, bytes) == 0 || !say(t))
        return;
    while (g[i] == w[i])
        i++;
    printf("n=%zu pattern=%d: byte %zu of %zu is 0x%02x, want 0x%02x", n, pattern, i, bytes, g[i],
           w[i]);
    if (bytes % 4 == 0) {
        uint32_t a = auk_le32(g + i / 4 * 4), b = auk_le32(w + i / 4 * 4);
        printf(" (as float: %.9g, want %.9g)", (double)auk_bits_f32(a), (double)auk_bits_f32(b));
    }
    printf("\n");
}

void k_near(k_test *t, float got, double want, double c, double sum_abs, size_t n, int pattern)
{
    double tiny = (double)(n + 1) * 0x1p-149; /* a step of the subnormals for each operation */
    double limit = c * (double)FLT_EPSILON * sum_abs + tiny, off = fabs((double)got - want);

    if (off <= limit || (isnan(got) && isnan(want)) || (double)got == want)
        return;
    if (say(t))
        printf("n=%zu pattern=%d: %.9g, want %.9g: off by %.3g, allowed %.3g\n", n, pattern,
               (double)got, want, off, limit);
}

void k_true(k_test *t, bool ok, const char *fmt, ...)
{
    va_list args;

    if (ok || !say(t))
        return;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

/* ---- memory ------------------------------------------------------------------------------- */

void *k_guarded(k_test *t, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = ((bytes + t->slack) / page + 1) * page; /* a byte is left for the canary */

    uint8_t *map =
        mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + usable, page, PROT_NONE) != 0) {
        perror("kcheck: guarded memory");
        abort();
    }
    size_t head = usable - t->slack - bytes;
    memset(map, CANARY, head);
    memset(map + head + bytes, CANARY, t->slack);
    if (t->n_blocks == t->cap_blocks) {
        t->cap_blocks = t->cap_blocks ? 2 * t->cap_blocks : 16;
        t->blocks = auk_realloc(t->blocks, t->cap_blocks * sizeof *t->blocks);
    }
    t->blocks[t->n_blocks++] = (guarded){map, usable + page, head, bytes, t->slack};
    return map + head;
}

void k_release(k_test *t)
{
    for (size_t i = 0; i < t->n_blocks; i++) {
        const guarded *b = &t->blocks[i];
        size_t at = b->head_bytes;
        while (at > 0 && b->map[at - 1] == CANARY)
            at--;
        k_true(t, at == 0, "a byte %zu before a block was written", b->head_bytes - at + 1);
        for (at = 0; at < b->tail_bytes && b->map[b->head_bytes + b->bytes + at] == CANARY;)
            at++;
        k_true(t, at == b->tail_bytes, "a byte %zu after a block was written", at + 1);
        munmap(b->map, b->map_bytes);
    }
    t->n_blocks = 0;
}

/* ---- inputs ------------------------------------------------------------------------------- */

uint64_t k_below(k_test *t, uint64_t n)
{
    return auk_rng_below(&t->rng, n);
}

double k_unit(k_test *t)
{
    return auk_rng_unit(&t->rng);
}

void k_fill_bytes(k_test *t, void *p, size_t n)
{
    uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)auk_rng_next(&t->rng);
}

/* Sum of four uniforms: near enough to a normal, and the same on every machine. */
static float normal(k_test *t)
{
    double sum = k_unit(t) + k_unit(t) + k_unit(t) + k_unit(t);
    return (float)((sum - 2.0) * 1.7320508075688772);
}

static float special(k_test *t)
{
    static const uint32_t bits[] = {0x7F800000u, 0xFF800000u, 0x7FC00000u,
                                    0x7F7FFFFFu, 0xFF7FFFFFu, 0x00000001u};
    return auk_bits_f32(bits[k_below(t, sizeof bits / sizeof *bits)]);
}

static float draw(k_test *t, int pattern)
{
    float x = normal(t);

    switch (pattern) {
    case K_ZEROS:
        return k_below(t, 8) == 0 ? x : k_below(t, 2) ? 0.0f : -0.0f;
    case K_DENORMALS:
        return k_below(t, 8) == 0 ? x : auk_bits_f32((uint32_t)auk_rng_next(&t->rng) & 0x807FFFFFu);
    case K_EXTREMES:
        return ldexpf(x < 0 ? -1.0f - (float)k_unit(t) / 2 : 1.0f + (float)k_unit(t) / 2,
                      (int)k_below(t, 110) - 55);
    case K_OUTLIERS:
        return k_below(t, 64) == 0 ? x * 10.0f : x * 0.01f;
    case K_SPECIALS:
        return k_below(t, 8) == 0 ? special(t) : x;
    default:
        return x;
    }
}

void k_fill(k_test *t, float *p, size_t n, int pattern)
{
    float equal = normal(t);

    for (size_t i = 0; i < n; i++)
        p[i] = pattern == K_EQUAL ? equal : draw(t, pattern);
}

void k_fill_bf16(k_test *t, uint16_t *p, size_t n, int pattern)
{
    float equal = normal(t);

    for (size_t i = 0; i < n; i++)
        p[i] = auk_f32_to_bf16(pattern == K_EQUAL ? equal : draw(t, pattern));
}

void k_fill_f16(k_test *t, uint16_t *p, size_t n, int pattern)
{
    float equal = normal(t);

    for (size_t i = 0; i < n; i++) {
        float x = pattern == K_EQUAL ? equal : draw(t, pattern);
        if (pattern == K_DENORMALS && k_below(t, 2))
            x = ldexpf(x < 0 ? -1.0f : 1.0f, -24) * (float)k_below(t, 1024);
        if (pattern != K_SPECIALS)
            x = fminf(fmaxf(x, -65504.0f), 65504.0f);
        p[i] = auk_f32_to_f16(x);
    }
}

/* ---- benchmarks --------------------------------------------------------------------------- */

void k_keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

void k_bench_start(k_test *t, const char *what, double bytes, double ops)
{
    snprintf(t->what, sizeof t->what, "%s", what);
    t->bytes = bytes;
    t->ops = ops;
    t->batch = t->left = 1;
    t->n_samples = -1;
    t->started_ns = auk_now_ns();
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many times faster than the scalar table in this run; the scalar run itself is 1. */
static double against_scalar(k_test *t, double ns)
{
    for (timing *s = t->scalar; s < t->scalar + MAX_TIMINGS; s++) {
        if (s->what[0] == 0) {
            memcpy(s->what, t->what, sizeof s->what);
            s->ns = ns;
        }
        if (strcmp(s->what, t->what) == 0)
            return s->ns / ns;
    }
    return NAN;
}

static void report(k_test *t)
{
    qsort(t->samples, SAMPLES, sizeof *t->samples, by_value);
    double ns = t->samples[SAMPLES / 2];
    double spread = (t->samples[SAMPLES - 2] - t->samples[1]) / ns;
    double ratio = against_scalar(t, ns);

    if (t->json) {
        printf("{\"schema\": \"auklet.kcheck/1\", \"case\": \"%s\", \"what\": \"%s\", \"cpu\": "
               "\"%s\", "
               "\"ns\": %.9g, \"spread\": %.3g, \"bytes_s\": %.9g, \"ops_s\": %.9g, "
               "\"against_scalar\": %.4g}\n",
               t->name, t->what, t->level, ns, spread, t->bytes / ns * 1e9, t->ops / ns * 1e9,
               ratio);
    } else {
        printf("%-24s %-24s %-8s %12.1f ns +-%2.0f%% %8.2f GB/s %8.2f Gop/s %6.2fx\n", t->name,
               t->what, t->level, ns, 50 * spread, t->bytes / ns, t->ops / ns, ratio);
    }
    fflush(stdout);
}

bool k_bench_more(k_test *t)
{
    if (t->left > 0) {
        t->left--;
        return true;
    }
    double ns = (double)(auk_now_ns() - t->started_ns);
    if (t->n_samples < 0) { /* grow the batch until it is long enough to time */
        if (ns < BATCH_NS)
            t->batch = ns < BATCH_NS / 100 ? t->batch * 10
                                           : (uint64_t)((double)t->batch * BATCH_NS / ns) + 1;
        else
            t->n_samples = 0;
    } else {
        t->samples[t->n_samples++] = ns / (double)t->batch;
        if (t->n_samples == SAMPLES) {
            report(t);
            return false;
        }
    }
    t->left = t->batch - 1;
    t->started_ns = auk_now_ns();
    return true;
}

/* ---- the program -------------------------------------------------------------------------- */

static uint64_t hash(const char *s)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 0x100000001B3u;
    return h;
}

/* "avx2": the name of the highest flag. */
static void level_name(char *out, size_t n, unsigned flags)
{
    char all[128];

    auk_cpu_names(all, sizeof all, flags);
    const char *last = strrchr(all, ' ');
    snprintf(out, n, "%.15s", last != NULL ? last + 1 : all);
}

/* Runs one case at one level; false when it failed. */
static bool run_level(const k_case *c, const options *o, unsigned flags, timing *scalar)
{
    auk_kernel ref, cur;
    k_test t = {
        .name = c->name, .seed = o->seed, .slack = o->slack, .json = o->json, .scalar = scalar};

    auk_kernel_init(&ref, 0);
    auk_kernel_init(&cur, flags);
    level_name(t.level, sizeof t.level, flags);
    t.rng = auk_rng_make(o->seed ^ hash(c->name));
    if (o->bench) {
        if (c->bench != NULL)
            c->bench(&t, &cur);
    } else {
        printf("[ RUN      ] %s [%s]\n", t.name, t.level);
        fflush(stdout); /* a crash at a guard page leaves this line as the last */
        c->check(&t, &ref, &cur);
    }
    k_release(&t);
    free(t.blocks);
    if (t.n_failed > MAX_SAID)
        printf("  ... and %d more\n", t.n_failed - MAX_SAID);
    if (!o->bench)
        printf("[%s] %s [%s]\n", t.n_failed ? "  FAILED  " : "       OK ", t.name, t.level);
    return t.n_failed == 0;
}

/* Runs one case at each level that changes its slot; returns how many failed. */
static int run_case(const k_case *c, const options *o)
{
    timing scalar[MAX_TIMINGS] = {{{0}, 0}};
    auk_kernel below = {0}, cur;
    int n_failed = 0;

    for (unsigned bit = AUK_CPU_SCALAR; bit != 0 && bit <= o->cpu_flags; bit <<= 1) {
        unsigned flags = o->cpu_flags & (2 * bit - 1);
        if (!(o->cpu_flags & bit))
            continue;
        auk_kernel_init(&cur, flags);
        if (bit == AUK_CPU_SCALAR || c->slot_bytes == 0 ||
            memcmp((const char *)&cur + c->slot_at, (const char *)&below + c->slot_at,
                   c->slot_bytes) != 0)
            n_failed += !run_level(c, o, flags, scalar);
        below = cur;
    }
    return n_failed;
}

static bool value_of(const char **out, const char *arg, const char *name)
{
    size_t n = strlen(name);

    if (strncmp(arg, name, n) != 0 || arg[n] != '=')
        return false;
    *out = arg + n + 1;
    return true;
}

static int parse(options *o, int argc, char **argv)
{
    auk_err err;
    const char *value = getenv("AUK_SEED");

    *o = (options){.only = "*", .seed = value != NULL ? strtoull(value, NULL, 0) : 1};
    int rc = auk_cpu_default(&o->cpu_flags, &err);
    for (int i = 1; i < argc && rc == AUK_OK; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            o->bench = true;
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--slack") == 0)
            o->slack = SLACK;
        else if (value_of(&o->only, argv[i], "--only"))
            continue;
        else if (value_of(&value, argv[i], "--seed"))
            o->seed = strtoull(value, NULL, 0);
        else if (value_of(&value, argv[i], "--cpu"))
            rc = auk_cpu_limit(&o->cpu_flags, auk_cpu_detect(), auk_str_of(value), &err);
        else
            rc = auk_fail(&err, AUK_EINVAL, "unknown option '%s'", argv[i]);
    }
    if (rc < 0)
        fprintf(
            stderr,
            "%s\nusage: %s [--only=GLOB] [--bench] [--json] [--cpu=LEVEL] [--seed=N] [--slack]\n",
            err.msg, argv[0]);
    return rc;
}

int k_main(int argc, char **argv, const k_case *cases, size_t n)
{
    options o;
    int n_failed = 0;

    if (parse(&o, argc, argv) < 0)
        return 2;
    for (size_t i = 0; i < n; i++)
        if (fnmatch(o.only, cases[i].name, 0) == 0)
            n_failed += run_case(&cases[i], &o);
    return n_failed > 0;
}
