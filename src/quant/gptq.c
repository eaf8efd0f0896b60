/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/gptq.h"

#include "base/half.h"
#include "base/mem.h"

#define ROWS AUK_GPTQ_ROWS
#define LANES AUK_LANES
#define MAX_GROUP 128

int auk_gptq_room_init(auk_gptq_room *room, size_t n, auk_err *err)
{
    *room = (auk_gptq_room){.n = n};
    int rc = auk_try_alloc(&room->e, n * ROWS, sizeof *room->e, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&room->c, (size_t)MAX_GROUP * ROWS, sizeof *room->c, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&room->a, n, sizeof *room->a, err);
    if (rc < 0)
        auk_gptq_room_release(room);
    return rc;
}

void auk_gptq_room_release(auk_gptq_room *room)
{
    free(room->e);
    free(room->c);
    free(room->a);
    *room = (auk_gptq_room){0};
}

uint64_t auk_gptq_room_bytes(size_t n)
{
    return ((n + MAX_GROUP) * ROWS + n) * sizeof(float);
}

/* Sixteen rows of a group, transposed. */
typedef struct slab {
    float w[MAX_GROUP * LANES], c[MAX_GROUP * LANES], t[MAX_GROUP * LANES], e[MAX_GROUP * LANES];
    float scale[LANES], bias[LANES], loss[LANES];
    uint8_t codes[MAX_GROUP * LANES];
} slab;

static void load(slab *s, const auk_gptq *g, const auk_gptq_room *room, const float *w, size_t rows,
                 size_t row, size_t at)
{
    size_t group = (size_t)g->group, some = rows - row < LANES ? rows - row : LANES;

    for (size_t l = 0; l < LANES; l++)
        for (size_t j = 0; j < group; j++)
            s->w[j * LANES + l] = l < some ? w[(row + l) * g->n + at + j] : 0.0f;
    for (size_t j = 0; g->r != NULL && j < group; j++)
        memcpy(s->c + j * LANES, room->c + j * ROWS + row, LANES * sizeof *s->c);
}

/* MLX's own pair of every lane of t. */
static void nearest_grid(slab *s, const auk_gptq *g, const float *t)
{
    float row[MAX_GROUP];
    uint8_t codes[MAX_GROUP];
    auk_rounding rounding = g->grid == AUK_GRID_METAL ? AUK_ROUND_METAL : AUK_ROUND_CPU;

    for (int l = 0; l < LANES; l++) {
        for (int j = 0; j < g->group; j++)
            row[j] = t[j * LANES + l];
        g->k->quantize_affine(codes, s->scale + l, s->bias + l, row, (size_t)g->group, g->bits,
                              g->group, rounding);
        if (g->grid == AUK_GRID_CPU_BF16) {
            s->scale[l] = auk_round_bf16(s->scale[l]);
            s->bias[l] = auk_round_bf16(s->bias[l]);
        }
    }
}

static void quantize_slab(slab *s, const auk_gptq *g, const float *a, size_t at)
{
    const float *t = s->w, *r = g->r != NULL ? g->r + at * g->n + at : NULL;

    if (r != NULL) {
        g->k->solve_lanes(s->t, s->w, s->c, r, g->n, g->group);
        t = s->t;
    }
    if (g->grid == AUK_GRID_SEARCH)
        g->k->search_affine(s->scale, s->bias, t, a + at, g->bits, g->group);
    else
        nearest_grid(s, g, t);
    memset(s->loss, 0, sizeof s->loss);
    g->k->pull_affine(s->codes, s->e, s->loss, s->w, r != NULL ? s->c : NULL, r, g->n, s->scale,
                      s->bias, g->bits, g->group);
}

/* Group `at / group` of the row: a little-endian stream of codes. */
static void pack(uint8_t *out, const uint8_t *codes, int bits, int group)
{
    uint32_t bag = 0;
    int have = 0;

    for (int j = 0; j < group; j++) {
        bag |= (uint32_t)codes[j * LANES] << have;
        for (have += bits; have >= 8; have -= 8, bag >>= 8)
            *out++ = (uint8_t)bag;
    }
}

static void store(uint8_t *codes, float *scale, float *bias, auk_gptq_room *room, const slab *s,
                  const auk_gptq *g, size_t rows, size_t row, size_t at)
{
    size_t some = rows - row < LANES ? rows - row : LANES, groups = g->n / (size_t)g->group;
    size_t row_bytes = g->n * (size_t)g->bits / 8;

    for (size_t l = 0; l < some; l++) {
        pack(codes + (row + l) * row_bytes + at * (size_t)g->bits / 8, s->codes + l, g->bits,
             g->group);
        scale[(row + l) * groups + at / (size_t)g->group] = s->scale[l];
        bias[(row + l) * groups + at / (size_t)g->group] = s->bias[l];
    }
    for (size_t j = 0; j < (size_t)g->group; j++)
        memcpy(room->e + (at + j) * ROWS + row, s->e + j * LANES, LANES * sizeof *s->e);
}

/* Weights of one group may all be 0: then every weight counts alike. */
static void safe_weights(float *out, const auk_gptq *g)
{
    for (size_t at = 0; at < g->n; at += (size_t)g->group) {
        float sum = 0;
        for (size_t j = at; g->a != NULL && j < at + (size_t)g->group; j++)
            sum += g->a[j];
        for (size_t j = at; j < at + (size_t)g->group; j++)
            out[j] = sum > 0 ? g->a[j] * ((float)g->group / sum) : 1.0f;
    }
}

double auk_gptq_rows(uint8_t *codes, float *scale, float *bias, auk_gptq_room *room,
                     const auk_gptq *g, const float *w, size_t rows)
{
    size_t group = (size_t)g->group, wide = (rows + LANES - 1) / LANES * LANES;
    double loss = 0;
    slab s;

    safe_weights(room->a, g);
    for (size_t at = 0; at < g->n; at += group) {
        if (g->r != NULL) {
            for (size_t j = 0; j < group; j++)
                memset(room->c + j * ROWS, 0, wide * sizeof *room->c);
            g->k->gemm_f32(room->c, ROWS, g->r + at * g->n, g->n, 1, room->e, ROWS, group, wide, at,
                           false);
        }
        for (size_t row = 0; row < rows; row += LANES) {
            load(&s, g, room, w, rows, row, at);
            quantize_slab(&s, g, room->a, at);
            store(codes, scale, bias, room, &s, g, rows, row, at);
            for (size_t l = 0; g->r != NULL && l < LANES && row + l < rows; l++)
                loss += (double)s.loss[l];
        }
    }
    return loss;
}

void auk_wrtn_block(uint8_t *codes, float *scale, float *bias, auk_gptq_room *room,
                    const auk_kernel *k, const float *w, size_t n, auk_numfmt f)
{
    auk_gptq g = {k, NULL, NULL, (size_t)f.group_size, f.bits, f.group_size, AUK_GRID_SEARCH};
    size_t groups = n / g.n;

    room->n = g.n;
    for (size_t at = 0; at < groups; at += ROWS)
        auk_gptq_rows(codes + at * g.n * (size_t)f.bits / 8, scale + at, bias + at, room, &g,
                      w + at * g.n, groups - at < ROWS ? groups - at : ROWS);
}

double auk_gptq_output_error(const auk_gptq_room *room, const auk_kernel *k, size_t rows,
                             const float *x, const float *weight, size_t n_x, float *out)
{
    double sum = 0;

    memset(out, 0, n_x * rows * sizeof *out);
    k->gemm_f32(out, rows, x, room->n, 1, room->e, ROWS, n_x, rows, room->n, false);
    for (size_t t = 0; t < n_x; t++) {
        double of_token = 0;
        for (size_t i = 0; i < rows; i++)
            of_token += (double)out[t * rows + i] * (double)out[t * rows + i];
        sum += weight != NULL ? of_token * (double)weight[t] : of_token;
    }
    return sum;
}

double auk_gptq_weighted_error(const auk_gptq_room *room, const float *a, size_t rows)
{
    double sum = 0;

    for (size_t j = 0; j < room->n; j++) {
        double of_column = 0;
        for (size_t i = 0; i < rows; i++)
            of_column += (double)room->e[j * ROWS + i] * (double)room->e[j * ROWS + i];
        sum += a != NULL ? of_column * (double)a[j] : of_column;
    }
    return sum;
}

void auk_gptq_errors(auk_gptq_room *room, const auk_kernel *k, const uint8_t *codes,
                     const float *scale, const float *bias, int bits, int group, const float *w,
                     size_t rows)
{
    size_t n = room->n, row_bytes = n * (size_t)bits / 8, groups = n / (size_t)group;

    for (size_t i = 0; i < rows; i++) { /* a row of floats in the scratch of c */
        float *row = room->c;
        for (size_t at = 0; at < n; at += (size_t)group) {
            k->dequant_affine(row, codes + i * row_bytes + at * (size_t)bits / 8,
                              scale + i * groups + at / (size_t)group,
                              bias + i * groups + at / (size_t)group, (size_t)group, bits, group);
            for (size_t j = 0; j < (size_t)group; j++)
                room->e[(at + j) * ROWS + i] = w[i * n + at + j] - row[j];
        }
    }
}
