/* SPDX-License-Identifier: Apache-2.0 */
/* A model of North's shapes whose weights are drawn: for measuring, without a file. */
#include "model/panels.h"

#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>

#define TEMPLATES                                                                                  \
    61 /* panels that are drawn per shape; matrices repeat them, each in another order */
#define MAX_SHAPES 16

typedef enum format { BF16, U4, U8, MX4, MX8 } format;

static const struct synthetic {
    const char *name;
    format attention, mlp, router, embed;
    bool mixed; /* value and down projections, where the recipe wants more bits, in 8 */
} kinds[] = {
    {"4bit", BF16, U4, BF16, U4, false},     {"8bit", BF16, U8, BF16, U8, false},
    {"all4", U4, U4, BF16, U4, false},       {"mixed_4_8", U4, U4, U4, U8, true},
    {"mxfp4", BF16, MX4, BF16, MX4, false},  {"mxfp8", BF16, MX8, BF16, MX8, false},
    {"bf16", BF16, BF16, BF16, BF16, false},
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

const char *auk_model_synthetic_name(size_t i)
{
    return i < N_KINDS ? kinds[i].name : NULL;
}

static auk_mat mat_of(format f, int rows, int cols)
{
    auk_mat m = {.rows = (size_t)rows, .cols = (size_t)cols, .type = AUK_W_BF16, .bits = 16};
    static const uint8_t there; /* only whether there are biases is asked */

    m.row_bytes = 2 * m.cols;
    if (f == BF16)
        return m;
    m.type = f == MX4 ? AUK_W_E2M1 : f == MX8 ? AUK_W_E4M3 : AUK_W_AFFINE;
    m.scale_type = f == U4 || f == U8 ? AUK_S_BF16 : AUK_S_E8M0;
    m.bits = f == U4 || f == MX4 ? 4 : 8;
    m.group = f == U4 || f == U8 ? 64 : 32;
    m.row_bytes = m.cols * (size_t)m.bits / 8;
    m.scale_row_bytes = m.cols / (size_t)m.group * (m.scale_type == AUK_S_BF16 ? 2 : 1);
    m.scales = &there;
    m.biases = m.type == AUK_W_AFFINE ? &there : NULL;
    return m;
}

/* ---- North's configuration ----------------------------------------------------------------- */

static int north(auk_hparams *hp, int layers, auk_err *err)
{
    *hp = (auk_hparams){.n_layers = layers > 0 ? layers : 49,
                        .hidden = 2048,
                        .n_heads = 32,
                        .n_kv_heads = 4,
                        .head_dim = 128,
                        .n_dense = 1,
                        .dense_width = 3072,
                        .n_experts = 128,
                        .top_k = 8,
                        .expert_width = 768,
                        .vocab = 262144,
                        .window = 4096,
                        .max_context = 500000,
                        .tied = true,
                        .norm_eps = 1e-6f,
                        .logit_scale = 1,
                        .rope_theta = 50000,
                        .bos = 2,
                        .pad = 0,
                        .eos = {255001},
                        .n_eos = 1};
    int rc = auk_try_alloc(&hp->sliding, (size_t)hp->n_layers, sizeof *hp->sliding, err);
    for (int i = 0; i < hp->n_layers && rc == AUK_OK; i++)
        hp->sliding[i] = i % 4 != 0;
    return rc;
}

/* Layers whose value and down projections get more bits: mlx-vlm's rule. */
static bool wants_more(int layer, int n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

static int make_layer(auk_model *m, int i, const struct synthetic *k, auk_err *err)
{
    const auk_hparams *hp = &m->hp;
    auk_layer *l = &m->layers[i];
    int q = hp->n_heads * hp->head_dim, kv = hp->n_kv_heads * hp->head_dim;
    bool more = k->mixed && wants_more(i, hp->n_layers);
    format down = more ? U8 : k->mlp;
    size_t n = (size_t)hp->n_experts;

    l->norm = m->norms + (size_t)i * (size_t)hp->hidden;
    l->sparse = i >= hp->n_dense;
    l->q = mat_of(k->attention, q, hp->hidden);
    l->k = mat_of(k->attention, kv, hp->hidden);
    l->v = mat_of(more ? U8 : k->attention, kv, hp->hidden);
    l->o = mat_of(k->attention, hp->hidden, q);
    if (!l->sparse) {
        l->gate = mat_of(k->mlp, hp->dense_width, hp->hidden);
        l->up = l->gate;
        l->down = mat_of(down, hp->hidden, hp->dense_width);
        return AUK_OK;
    }
    int rc = auk_try_alloc(&l->e_gate, 3 * n, sizeof *l->e_gate, err);
    if (rc < 0)
        return rc;
    l->e_up = l->e_gate + n;
    l->e_down = l->e_up + n;
    l->router = mat_of(k->router, hp->n_experts, hp->hidden);
    for (size_t e = 0; e < n; e++) {
        l->e_gate[e] = l->e_up[e] = mat_of(k->mlp, hp->expert_width, hp->hidden);
        l->e_down[e] = mat_of(down, hp->hidden, hp->expert_width);
    }
    return AUK_OK;
}

static int make_mats(auk_model *m, const struct synthetic *k, auk_err *err)
{
    const auk_hparams *hp = &m->hp;
    size_t layers = (size_t)hp->n_layers, n = (layers + 1) * (size_t)hp->hidden;

    int rc = auk_try_alloc(&m->layers, layers, sizeof *m->layers, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&m->norms, n, sizeof *m->norms, err);
    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        m->norms[i] = 1;
    for (int i = 0; i < hp->n_layers && rc == AUK_OK; i++)
        rc = make_layer(m, i, k, err);
    m->embed = m->head = mat_of(k->embed, hp->vocab, hp->hidden);
    m->max_cols = (size_t)(hp->n_heads * hp->head_dim);
    return rc;
}

/* ---- drawn panels -------------------------------------------------------------------------- */

typedef struct drawn {
    auk_panel_shape shape;
    uint8_t *panels; /* owned; TEMPLATES of them */
} drawn;

typedef struct drawings {
    drawn of[MAX_SHAPES];
    size_t n;
} drawings;

/* Sum of four uniforms: near enough to a normal, deviation 1. */
static float normal(auk_rng *rng)
{
    double sum = auk_rng_unit(rng) + auk_rng_unit(rng) + auk_rng_unit(rng) + auk_rng_unit(rng);
    return (float)((sum - 2.0) * 1.7320508075688772);
}

static void put_16(uint8_t *p, float v)
{
    uint16_t h = auk_f32_to_bf16(v);

    memcpy(p, &h, sizeof h);
}

/* Rows that give outputs of deviation about 1 for inputs of deviation 1. */
static void draw_rows(auk_mat *m, uint8_t *codes, uint8_t *scales, uint8_t *biases, auk_rng *rng)
{
    float unit = 1.0f / sqrtf((float)m->cols);
    size_t groups = m->group > 0 ? m->rows * m->cols / (size_t)m->group : 0;

    for (size_t i = 0; i < m->rows * m->cols && m->type == AUK_W_BF16; i++)
        put_16(codes + 2 * i, normal(rng) * unit);
    for (size_t i = 0; i < m->rows * m->row_bytes && m->type != AUK_W_BF16; i++)
        codes[i] = (uint8_t)auk_rng_next(rng);
    for (size_t i = 0; i < m->rows * m->row_bytes && m->type == AUK_W_E4M3; i++)
        codes[i] &= 0xBF; /* below 2, so that few values do not outweigh the rest */
    for (size_t g = 0; g < groups; g++) {
        float s = unit * (m->bits == 4 ? 0.217f : 0.01354f),
              jitter = 0.75f + 0.5f * (float)auk_rng_unit(rng);
        if (m->type == AUK_W_AFFINE) {
            put_16(scales + 2 * g, s * jitter);
            put_16(biases + 2 * g, -s * jitter * (m->bits == 4 ? 7.5f : 127.5f));
        } else { /* powers of two near 1 / (deviation of the elements) */
            scales[g] = (uint8_t)(127 + (int)lrintf(log2f(unit * jitter)) - (m->bits == 4 ? 1 : 0));
        }
    }
}

static int draw_shape(drawn *d, const auk_mat *like, uint64_t seed, auk_err *err)
{
    auk_mat m = *like;
    auk_rng rng = auk_rng_make(seed);
    uint8_t *rows = NULL;

    m.rows = TEMPLATES * AUK_PANEL_ROWS;
    size_t codes = m.rows * m.row_bytes, scales = m.rows * m.scale_row_bytes;
    int rc = auk_try_alloc(&d->panels, TEMPLATES, d->shape.panel_bytes, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&rows, codes + 2 * scales, 1, err);
    if (rc < 0)
        return rc;
    draw_rows(&m, rows, rows + codes, rows + codes + scales, &rng);
    m.codes = rows;
    m.scales = m.scales != NULL ? rows + codes : NULL;
    m.biases = m.biases != NULL ? rows + codes + scales : NULL;
    for (size_t p = 0; p < TEMPLATES; p++)
        auk_panel_pack(d->panels + p * d->shape.panel_bytes, &m, &d->shape, p);
    free(rows);
    return AUK_OK;
}

static drawn *find_drawn(drawings *all, const auk_panel_shape *s)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->of[i].shape.type == s->type && all->of[i].shape.cols == s->cols)
            return &all->of[i];
    return NULL;
}

static int draw_for(drawings *all, const auk_mat *m, auk_err *err)
{
    auk_panel_shape s;

    if (m->rows == 0 || !auk_panel_shape_of(&s, m) || find_drawn(all, &s) != NULL ||
        all->n == MAX_SHAPES)
        return AUK_OK;
    all->of[all->n] = (drawn){s, NULL};
    all->n++;
    return draw_shape(&all->of[all->n - 1], m, all->n, err);
}

static void copy_panel(void *ctx, uint8_t *dst, const auk_mat *m, const auk_panel_shape *s,
                       size_t number, size_t p)
{
    const drawn *d = find_drawn(ctx, s);
    size_t which = (p * 7 + number % 100003 * 13) % TEMPLATES;

    (void)m;
    memcpy(dst, d->panels + which * s->panel_bytes, s->panel_bytes);
}

static int draw_all(auk_model *m, auk_pool *pool, auk_progress_fn *progress, void *progress_ctx,
                    auk_err *err)
{
    drawings all = {.n = 0};
    auk_panel_source source = {copy_panel, &all};
    int rc = draw_for(&all, &m->head, err);

    for (int i = 0; i < m->hp.n_layers && rc == AUK_OK; i++) {
        const auk_layer *l = &m->layers[i];
        const auk_mat *const of[] = {&l->q,
                                     &l->v,
                                     &l->o,
                                     l->sparse ? &l->e_gate[0] : &l->gate,
                                     l->sparse ? &l->e_down[0] : &l->down,
                                     &l->router};
        for (size_t j = 0; j < sizeof of / sizeof *of && rc == AUK_OK; j++)
            rc = draw_for(&all, of[j], err);
    }
    if (rc == AUK_OK)
        rc = auk_model_panels_alloc(m, err);
    if (rc == AUK_OK)
        rc = auk_model_panels_fill(m, pool, &source, progress, progress_ctx, err);
    for (size_t i = 0; i < all.n; i++)
        free(all.of[i].panels);
    return rc;
}

static const struct synthetic *find_kind(const char *kind)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].name, kind) == 0)
            return &kinds[i];
    return NULL;
}

int auk_model_synthetic_shapes(auk_model **out, const char *kind, int layers, auk_err *err)
{
    const struct synthetic *k = find_kind(kind);

    *out = NULL;
    if (k == NULL)
        return auk_fail(
            err, AUK_EINVAL,
            "no synthetic model '%.40s': want 4bit, 8bit, all4, mixed_4_8, mxfp4, mxfp8 "
            "or bf16",
            kind);
    auk_model *m = auk_alloc(sizeof *m);
    int rc = north(&m->hp, layers, err);
    if (rc == AUK_OK)
        rc = make_mats(m, k, err);
    m->weight_bytes = rc == AUK_OK ? auk_model_panel_bytes(m) : 0;
    if (rc < 0)
        auk_model_close(m);
    else
        *out = m;
    return rc;
}

int auk_model_synthetic_fill(auk_model *m, auk_pool *pool, auk_progress_fn *progress,
                             void *progress_ctx, auk_err *err)
{
    return draw_all(m, pool, progress, progress_ctx, err);
}
