/* SPDX-License-Identifier: Apache-2.0 */
/* A processor may have an instruction and still be faster without it. */
#include "kernel/kernel.h"

#include "base/mem.h"
#include "base/time.h"

#define COLS 512
#define ROWS_OF_X 12
#define PANELS 4
#define SAMPLES 7
#define OUT_FLOATS (ROWS_OF_X * PANELS * AUK_PANEL_ROWS)

typedef struct trial {
    float x[ROWS_OF_X][COLS];
    uint16_t w[PANELS * AUK_PANEL_ROWS * COLS];
    uint32_t px[2 * ROWS_OF_X * COLS];
    float out[OUT_FLOATS];
} trial;

static void fill(trial *t)
{
    uint32_t u = 1;

    for (size_t i = 0; i < sizeof t->w / sizeof *t->w; i++) {
        u = u * 1664525u + 1013904223u;
        t->w[i] = (uint16_t)((u >> 16 & 0x807Fu) | (124u + (u >> 8 & 3u)) << 7); /* 1/8 to 2 */
    }
    for (size_t i = 0; i < ROWS_OF_X; i++)
        for (size_t c = 0; c < COLS; c++) {
            u = u * 1664525u + 1013904223u;
            t->x[i][c] = (float)((int)(u >> 24) - 128) / 64.0f;
        }
}

/* The shortest time of one product at this level; its result stays in t->out. */
static uint64_t time_of(trial *t, unsigned flags)
{
    auk_panel_shape s = auk_panel_bf16_shape(COLS);
    const float *x[ROWS_OF_X];
    uint64_t best = UINT64_MAX;
    auk_kernel k;

    auk_kernel_init(&k, flags);
    for (size_t i = 0; i < ROWS_OF_X; i++)
        x[i] = t->x[i];
    k.panel_x(t->px, x, ROWS_OF_X, COLS, s.group);
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t t0 = auk_now_ns();
        k.panel_bf16(t->out, PANELS * AUK_PANEL_ROWS, (const uint8_t *)t->w, PANELS, &s, t->px,
                     ROWS_OF_X);
        uint64_t ns = auk_now_ns() - t0;
        best = ns < best ? ns : best;
    }
    return best;
}

unsigned auk_kernel_choose(unsigned flags)
{
    unsigned without = flags & ~(unsigned)AUK_CPU_AVX512BF16;

    if (without == flags)
        return flags;
    trial *t = auk_alloc(sizeof *t);
    float *want = auk_alloc(sizeof t->out);
    fill(t);
    uint64_t floats = time_of(t, without);
    memcpy(want, t->out, sizeof t->out);
    bool keep = time_of(t, flags) <= floats && memcmp(want, t->out, sizeof t->out) == 0;
    free(want);
    free(t);
    return keep ? flags : without;
}
