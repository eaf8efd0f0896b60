/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights as panels, in the order in which a token reads them. */
#include "model/panels.h"

#include "base/mem.h"

#define HUGE_PAGE ((size_t)2 << 20)

static int each_of_layer(auk_layer *l, int n_experts, auk_mat_fn *fn, void *ctx)
{
    auk_mat *const first[] = {&l->q, &l->k, &l->v, &l->o};
    auk_mat *const dense[] = {&l->gate, &l->up, &l->down};
    int rc = AUK_OK;

    for (size_t i = 0; i < 4 && rc == AUK_OK; i++)
        rc = fn(ctx, first[i]);
    for (size_t i = 0; i < 3 && rc == AUK_OK && !l->sparse; i++)
        rc = fn(ctx, dense[i]);
    if (rc == AUK_OK && l->sparse)
        rc = fn(ctx, &l->router);
    for (int e = 0; e < n_experts && rc == AUK_OK && l->sparse; e++) {
        rc = fn(ctx, &l->e_gate[e]);
        if (rc == AUK_OK)
            rc = fn(ctx, &l->e_up[e]);
        if (rc == AUK_OK)
            rc = fn(ctx, &l->e_down[e]);
    }
    return rc;
}

static size_t panel_bytes(const auk_mat *m)
{
    auk_panel_shape s;
    size_t n = auk_panel_shape_of(&s, m) ? auk_panel_count(m->rows) * s.panel_bytes : 0;

    return (n + 63) / 64 * 64;
}

static int add_bytes(void *ctx, auk_mat *m)
{
    *(size_t *)ctx += panel_bytes(m);
    return AUK_OK;
}

uint64_t auk_model_panel_bytes(const auk_model *m)
{
    size_t bytes = panel_bytes(&m->head);

    for (int i = 0; i < m->hp.n_layers; i++)
        (void)each_of_layer(&m->layers[i], m->hp.n_experts, add_bytes, &bytes);
    return bytes;
}

int auk_model_panels_alloc(auk_model *m, auk_err *err)
{
    m->panel_bytes = ((size_t)auk_model_panel_bytes(m) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    return auk_large_alloc(&m->panel_memory, m->panel_bytes, err);
}

typedef struct filling {
    auk_model *m;
    auk_pool *pool;
    const auk_panel_source *source;
    auk_progress_fn *progress;
    void *progress_ctx;
    size_t at; /* bytes of panel_memory used */
    auk_err *err;
} filling;

typedef struct panel_job {
    const auk_panel_source *source;
    const auk_mat *mat;
    auk_panel_shape shape;
    uint8_t *dst;
    size_t number; /* of the matrix */
} panel_job;

static void fill_range(void *ctx, size_t lo, size_t hi)
{
    const panel_job *j = ctx;

    for (size_t p = lo; p < hi; p++)
        j->source->panel(j->source->ctx, j->dst + p * j->shape.panel_bytes, j->mat, &j->shape,
                         j->number, p);
}

static int fill_mat(void *ctx, auk_mat *mat)
{
    filling *f = ctx;
    panel_job j = {f->source, mat, {0}, f->m->panel_memory + f->at, f->at / 64};

    if (!auk_panel_shape_of(&j.shape, mat))
        return AUK_OK;
    auk_pool_run(f->pool, auk_panel_count(mat->rows), 4, fill_range, &j);
    mat->panels = j.dst;
    f->at += panel_bytes(mat);
    if (f->progress != NULL &&
        f->progress(f->progress_ctx, "load", "bytes", f->at, f->m->panel_bytes))
        return auk_fail(f->err, AUK_ECANCEL, "stopped while loading the weights");
    return AUK_OK;
}

int auk_model_panels_fill(auk_model *m, auk_pool *pool, const auk_panel_source *source,
                          auk_progress_fn *progress, void *progress_ctx, auk_err *err)
{
    filling f = {m, pool, source, progress, progress_ctx, 0, err};
    int rc = AUK_OK;

    for (int i = 0; i < m->hp.n_layers && rc == AUK_OK; i++) {
        rc = each_of_layer(&m->layers[i], m->hp.n_experts, fill_mat, &f);
        if (m->ck != NULL)
            auk_model_drop_layer(m, i);
    }
    if (rc == AUK_OK)
        rc = fill_mat(&f, &m->head);
    if (m->hp.tied)
        m->embed.panels = m->head.panels;
    if (m->ck != NULL && m->head.panels != NULL)
        auk_model_drop_layer(m, -1);
    return rc;
}

static void from_rows(void *ctx, uint8_t *dst, const auk_mat *m, const auk_panel_shape *s,
                      size_t number, size_t p)
{
    (void)ctx;
    (void)number;
    auk_panel_pack(dst, m, s, p);
}

int auk_model_pack(auk_model *m, auk_pool *pool, auk_progress_fn *progress, void *progress_ctx,
                   auk_err *err)
{
    static const auk_panel_source rows = {from_rows, NULL};
    int rc = auk_model_panels_alloc(m, err);

    return rc == AUK_OK ? auk_model_panels_fill(m, pool, &rows, progress, progress_ctx, err) : rc;
}
