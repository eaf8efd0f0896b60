/* SPDX-License-Identifier: Apache-2.0 */
/* Which module gets which format: mlx_vlm/convert.py and quant_utils.py of mlx-vlm 0.7.10. */
#include "quant/plan.h"

#include "base/mem.h"

static const struct {
    const char *name;
    int low, high;
} recipes[] = {
    {"mixed_2_6", 2, 6}, {"mixed_3_4", 3, 4}, {"mixed_3_5", 3, 5}, {"mixed_3_6", 3, 6},
    {"mixed_3_8", 3, 8}, {"mixed_4_6", 4, 6}, {"mixed_4_8", 4, 8},
};
#define N_RECIPES (sizeof recipes / sizeof *recipes)
#define RECIPE_GROUP 64

const char *auk_quant_recipe_name(size_t i)
{
    return i < N_RECIPES ? recipes[i].name : NULL;
}

int auk_quant_find_recipe(int *out, const char *name, auk_err *err)
{
    *out = -1;
    if (name == NULL)
        return AUK_OK;
    for (size_t i = 0; i < N_RECIPES; i++)
        if (strcmp(name, recipes[i].name) == 0) {
            *out = (int)i;
            return AUK_OK;
        }
    return auk_fail(err, AUK_EINVAL,
                    "unknown recipe '%.100s': want mixed_2_6, _3_4, _3_5, _3_6, _3_8, _4_6 or _4_8",
                    name);
}

/* The layer number in the path, 0 where there is none. */
static int layer_of(const char *path)
{
    static const char before[] = "language_model.model.layers.";

    if (strncmp(path, before, sizeof before - 1) != 0)
        return 0;
    return (int)strtol(path + sizeof before - 1, NULL, 10);
}

static bool wants_more_bits(int layer, int n_layers)
{
    return layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2;
}

/* The model's own predicate: attention and routers stay as they are. */
static bool is_plain_candidate(const char *path)
{
    if (strstr(path, ".self_attn.") != NULL)
        return false;
    return strstr(path, ".mlp.gate") == NULL || strstr(path, "gate_proj") != NULL;
}

static bool divides(int group, uint64_t n)
{
    return n % (uint64_t)group == 0;
}

/* The class of a weight matrix, as --include names them. */
static unsigned class_of(const char *path)
{
    if (strstr(path, "embed_tokens") != NULL)
        return AUK_INCLUDE_EMBEDDING;
    if (strstr(path, ".self_attn.") != NULL)
        return AUK_INCLUDE_ATTENTION;
    if (strstr(path, ".switch_mlp.") != NULL)
        return AUK_INCLUDE_EXPERTS;
    return is_plain_candidate(path) ? AUK_INCLUDE_DENSE : AUK_INCLUDE_ROUTER;
}

void auk_quant_assign(auk_quant_module *m, const auk_quant_list *list, int recipe, int n_layers)
{
    m->is_quantized = false;
    if (!list->quantizes || m->rank < 2 || !divides(list->global.group_size, m->shape[m->rank - 1]))
        return;
    if (recipe < 0) {
        m->is_quantized = list->include == 0 ? is_plain_candidate(m->path)
                                             : (list->include & class_of(m->path)) != 0;
        m->format = list->global;
        return;
    }
    /* shape[1] is the rows of stacked experts: mlx-vlm's own test */
    if (!divides(RECIPE_GROUP, m->shape[1]) || !divides(RECIPE_GROUP, m->shape[m->rank - 1]))
        return;
    bool high = strstr(m->path, "embed_tokens") != NULL;
    if (strstr(m->path, "v_proj") != NULL || strstr(m->path, "down_proj") != NULL)
        high = wants_more_bits(layer_of(m->path), n_layers);
    m->is_quantized = true;
    m->format =
        (auk_numfmt){AUK_AFFINE, high ? recipes[recipe].high : recipes[recipe].low, RECIPE_GROUP};
}
