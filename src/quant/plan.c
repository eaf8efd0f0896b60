/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/plan.h"

#include "base/mem.h"

#define PREFIX "language_model."
#define MAX_NAME 160

typedef struct planner {
    auk_quant_plan *plan;
    const auk_checkpoint *ck;
    const auk_quant_source *source;
    bool *used; /* owned; per tensor of the checkpoint */
    auk_err *err;
} planner;

/* ---- finding tensors ----------------------------------------------------------------------- */

/* The tensor of that name, with or without PREFIX (which `name` begins with); NULL: none. */
static const auk_tensor *find(const planner *p, const char *name)
{
    const auk_tensor *t = auk_checkpoint_find(p->ck, auk_str_of(name));

    return t != NULL ? t : auk_checkpoint_find(p->ck, auk_str_of(name + sizeof PREFIX - 1));
}

static const char *file_of(const planner *p, const auk_tensor *t)
{
    return auk_checkpoint_file(p->ck, t->shard);
}

static void add_slice(planner *p, const auk_tensor *t, uint64_t first_row, uint64_t n_rows)
{
    auk_quant_plan *plan = p->plan;

    if (plan->n_slices == plan->cap_slices) {
        plan->cap_slices = plan->cap_slices ? 2 * plan->cap_slices : 1024;
        plan->slices = auk_realloc(plan->slices, plan->cap_slices * sizeof *plan->slices);
    }
    plan->slices[plan->n_slices++] = (auk_quant_slice){t, first_row, n_rows};
    p->used[t - auk_checkpoint_at(p->ck, 0)] = true;
}

static int check_tensor(const planner *p, const auk_tensor *t, int rank, const uint64_t *shape)
{
    char has[256], want[256];

    if (t->dtype != AUK_DT_BF16 && t->dtype != AUK_DT_F16 && t->dtype != AUK_DT_F32)
        return auk_fail(p->err, AUK_ENOTSUP,
                        "'%s': tensor '%.*s' is %s, want BF16, F16 or F32: start from the bf16 "
                        "checkpoint",
                        file_of(p, t), AUK_ARG(t->name), auk_dtype_name(t->dtype));
    if (t->rank == rank && memcmp(t->shape, shape, (size_t)rank * sizeof *shape) == 0)
        return AUK_OK;
    auk_shape_print(has, sizeof has, t->rank, t->shape);
    auk_shape_print(want, sizeof want, rank, shape);
    return auk_fail(p->err, AUK_EFORMAT,
                    "'%s': tensor '%.*s' is %s, config.json wants %s: take both from one release",
                    file_of(p, t), AUK_ARG(t->name), has, want);
}

static int missing(const planner *p, const char *name)
{
    return auk_fail(p->err, AUK_EFORMAT,
                    "'%s': tensor '%s' is missing: fetch the shard that holds it again",
                    auk_checkpoint_dir(p->ck), name + sizeof PREFIX - 1);
}

/* ---- one module ---------------------------------------------------------------------------- */

/* The module's weight as one tensor: true when it is there. */
static bool is_whole(const planner *p, const auk_quant_module *m, const auk_tensor **t)
{
    char name[MAX_NAME];

    snprintf(name, sizeof name, "%s.weight", m->path);
    *t = find(p, name);
    return *t != NULL;
}

/* "...layers.1.mlp.switch_mlp.gate_proj" -> "...layers.1.mlp.experts." and "gate_proj". */
static const char *split_path(char *experts, size_t n, const auk_quant_module *m)
{
    const char *at = strstr(m->path, "switch_mlp.");

    snprintf(experts, n, "%.*sexperts.", (int)(at - m->path), m->path);
    return at + strlen("switch_mlp.");
}

/* One tensor per expert, as released. */
static int take_experts(planner *p, const auk_quant_module *m)
{
    char experts[MAX_NAME], name[MAX_NAME + 32];
    const char *proj = split_path(experts, sizeof experts, m);

    for (uint64_t e = 0; e < m->shape[0]; e++) {
        snprintf(name, sizeof name, "%s%llu.%s.weight", experts, (unsigned long long)e, proj);
        const auk_tensor *t = find(p, name);
        if (t == NULL)
            return missing(p, name);
        int rc = check_tensor(p, t, 2, m->shape + 1);
        if (rc < 0)
            return rc;
        add_slice(p, t, 0, m->shape[1]);
    }
    return AUK_OK;
}

/* All experts in one tensor, as transformers saves them: the gate's rows, then up's, expert by
 * expert; down_proj alone.  *found is false when the layer has no such tensors. */
static int take_fused(planner *p, const auk_quant_module *m, bool *found)
{
    char experts[MAX_NAME], name[MAX_NAME + 32];
    const char *proj = split_path(experts, sizeof experts, m);
    bool down = strcmp(proj, "down_proj") == 0, up = strcmp(proj, "up_proj") == 0;
    uint64_t shape[3] = {m->shape[0], down ? m->shape[1] : 2 * m->shape[1], m->shape[2]};

    snprintf(name, sizeof name, "%s%s", experts, down ? "down_proj" : "gate_up_proj");
    const auk_tensor *t = find(p, name);
    *found = t != NULL;
    if (t == NULL)
        return AUK_OK;
    int rc = check_tensor(p, t, 3, shape);
    for (uint64_t e = 0; rc == AUK_OK && e < shape[0]; e++)
        add_slice(p, t, e * shape[1] + (up ? m->shape[1] : 0), m->shape[1]);
    return rc;
}

static int take_rows(planner *p, const auk_quant_module *m)
{
    const auk_tensor *t;
    bool found = false;
    char name[MAX_NAME];

    if (is_whole(p, m, &t)) {
        int rc = check_tensor(p, t, m->rank, m->shape);
        if (rc == AUK_OK)
            add_slice(p, t, 0, auk_quant_rows(m));
        return rc;
    }
    snprintf(name, sizeof name, "%s.weight", m->path);
    if (m->rank != 3)
        return missing(p, name);
    int rc = take_fused(p, m, &found);
    return rc == AUK_OK && !found ? take_experts(p, m) : rc;
}

static int take_module(planner *p, size_t i)
{
    const auk_quant_module *m = &p->plan->list.modules[i];
    auk_quant_origin *o = &p->plan->origins[i];

    o->first = p->plan->n_slices;
    int rc = take_rows(p, m);
    if (rc < 0)
        return rc;
    o->n = p->plan->n_slices - o->first;
    const auk_quant_slice *s = p->plan->slices + o->first;
    o->from = s[0].t->dtype;
    o->to = p->source->cast == AUK_DT_COUNT ? o->from : p->source->cast;
    for (size_t j = 1; j < o->n; j++)
        if (s[j].t->dtype != o->from)
            return auk_fail(p->err, AUK_ENOTSUP,
                            "'%s': tensor '%.*s' is %s, other experts of its layer are %s",
                            file_of(p, s[j].t), AUK_ARG(s[j].t->name),
                            auk_dtype_name(s[j].t->dtype), auk_dtype_name(o->from));
    return AUK_OK;
}

/* ---- what is left over --------------------------------------------------------------------- */

static bool contains(auk_str s, const char *what)
{
    size_t n = strlen(what);

    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, what, n) == 0)
            return true;
    return false;
}

static bool is_zero(const planner *p, const auk_tensor *t)
{
    size_t item = auk_dtype_bytes(t->dtype);
    uint8_t any = 0;

    for (uint64_t i = 0; i < t->bytes; i++) /* the last byte of an element holds its sign */
        any |= (uint8_t)(t->data[i] & (i % item == item - 1 ? 0x7F : 0xFF));
    auk_checkpoint_drop(p->ck, t, 0, t->bytes);
    return any == 0;
}

/* A bias the architecture does not have, which some checkpoints carry all the same. */
static bool is_stray_bias(auk_str name)
{
    return auk_str_ends(name, ".bias") && (contains(name, ".mlp.") || contains(name, "layernorm") ||
                                           contains(name, ".self_attn."));
}

static int check_rest(const planner *p)
{
    for (size_t i = 0; i < auk_checkpoint_count(p->ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(p->ck, i);
        if (p->used[i] || contains(t->name, "rotary_emb.inv_freq"))
            continue;
        const char *file = file_of(p, t);
        if (is_stray_bias(t->name) && is_zero(p, t))
            continue;
        if (is_stray_bias(t->name))
            return auk_fail(p->err, AUK_ENOTSUP,
                            "'%s': tensor '%.*s' is not zero: MLX's cohere2_moe has no biases",
                            file, AUK_ARG(t->name));
        if (auk_str_ends(t->name, "lm_head.weight"))
            return auk_fail(p->err, AUK_ENOTSUP,
                            "'%s': tensor '%.*s': MLX's cohere2_moe ties the head to the "
                            "embedding: use a checkpoint without it",
                            file, AUK_ARG(t->name));
        return auk_fail(p->err, AUK_ENOTSUP,
                        "'%s': tensor '%.*s' is not of this architecture, or there twice: use the "
                        "released checkpoint",
                        file, AUK_ARG(t->name));
    }
    return AUK_OK;
}

static int check_not_quantized(const planner *p)
{
    for (size_t i = 0; i < auk_checkpoint_count(p->ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(p->ck, i);
        if (auk_str_ends(t->name, ".scales") || auk_str_ends(t->name, "weight_scale") ||
            auk_str_ends(t->name, "weight_packed") || auk_str_ends(t->name, "qweight"))
            return auk_fail(p->err, AUK_EINVAL,
                            "'%s' is quantized already (tensor '%.*s'): start from the bf16 "
                            "checkpoint",
                            file_of(p, t), AUK_ARG(t->name));
    }
    return AUK_OK;
}

/* ---- the plan ------------------------------------------------------------------------------ */

int auk_quant_plan_make(auk_quant_plan *out, const auk_checkpoint *ck, const auk_quant_source *s,
                        const auk_quant_options *opts, auk_err *err)
{
    planner p = {.plan = out, .ck = ck, .source = s, .err = err};

    *out = (auk_quant_plan){0};
    int rc = auk_quant_list_make(&out->list, &s->hp, opts, err);
    if (rc == AUK_OK)
        rc = check_not_quantized(&p);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&out->origins, out->list.n, sizeof *out->origins, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&p.used, auk_checkpoint_count(ck) + 1, sizeof *p.used, err);
    for (size_t i = 0; i < out->list.n && rc == AUK_OK; i++)
        rc = take_module(&p, i);
    if (rc == AUK_OK)
        rc = check_rest(&p);
    free(p.used);
    if (rc < 0)
        auk_quant_plan_release(out);
    return rc;
}

void auk_quant_plan_release(auk_quant_plan *p)
{
    auk_quant_list_release(&p->list);
    free(p->origins);
    free(p->slices);
    *p = (auk_quant_plan){0};
}
