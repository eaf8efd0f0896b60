/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "cli/machine.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/time.h"

#include <unistd.h>

#define PROBE_BYTES ((size_t)512 << 20) /* larger than any last-level cache in use */
#define PROBE_NS 200000000u

/* The number after `key` in a file of "key  N kB" lines, in bytes; 0 when absent. */
static uint64_t meminfo(const char *key)
{
    char line[256];
    uint64_t kb = 0;

    FILE *f = fopen("/proc/meminfo", "r");
    while (f != NULL && kb == 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kb = strtoull(line + strlen(key), NULL, 10);
    if (f != NULL)
        fclose(f);
    return kb * 1024;
}

/* A container's limit; UINT64_MAX without one ("max" reads as 0). */
static uint64_t cgroup_limit(void)
{
    char text[64] = "";

    FILE *f = fopen("/sys/fs/cgroup/memory.max", "r");
    if (f == NULL)
        return UINT64_MAX;
    uint64_t v = fgets(text, sizeof text, f) != NULL ? strtoull(text, NULL, 10) : 0;
    fclose(f);
    return v > 0 ? v : UINT64_MAX;
}

typedef struct probe {
    const uint64_t *p;
    uint64_t *sums; /* one per range: the reads must not be dropped */
    size_t grain;
} probe;

static void read_range(void *ctx, size_t lo, size_t hi)
{
    const probe *b = ctx;
    uint64_t s[8] = {0};

    for (size_t i = lo; i + 8 <= hi; i += 8)
        for (int j = 0; j < 8; j++)
            s[j] += b->p[i + (size_t)j];
    for (int j = 1; j < 8; j++)
        s[0] += s[j];
    b->sums[lo / b->grain] = s[0];
}

static double bandwidth(int threads)
{
    size_t n = PROBE_BYTES / sizeof(uint64_t), grain = n / 512;
    double best = 0;
    probe b = {.grain = grain};
    uint64_t *memory;
    auk_err err;

    if (auk_try_alloc(&memory, n, sizeof *memory, &err) < 0)
        return 0;
    memset(memory, 1, PROBE_BYTES);
    b.p = memory;
    b.sums = auk_alloc(513 * sizeof *b.sums);
    auk_pool *pool = auk_pool_new(threads);
    uint64_t end = auk_now_ns() + PROBE_NS;
    do {
        uint64_t t0 = auk_now_ns();
        auk_pool_run(pool, n, grain, read_range, &b);
        double rate = (double)PROBE_BYTES / ((double)(auk_now_ns() - t0) / 1e9);
        best = rate > best ? rate : best;
    } while (auk_now_ns() < end);
    auk_pool_free(pool);
    free(b.sums);
    free(memory);
    return best;
}

static uint64_t memory_total(void)
{
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t limit = cgroup_limit();

    return total < limit ? total : limit;
}

uint64_t auk_machine_available(void)
{
    uint64_t total = memory_total(), available = meminfo("MemAvailable:");

    return available > 0 && available < total ? available : total;
}

void auk_machine_measure(auk_machine *out, int threads, unsigned cpu_flags)
{
    *out = (auk_machine){0};
    auk_cpu_model(out->cpu, sizeof out->cpu);
    auk_cpu_names(out->levels, sizeof out->levels, cpu_flags);
    auk_pool *pool = auk_pool_new(threads);
    out->threads = auk_pool_threads(pool);
    auk_pool_free(pool);
    out->memory_bytes = memory_total();
    out->available_bytes = auk_machine_available();
    out->bandwidth_bytes_s = bandwidth(threads);
}
