/* SPDX-License-Identifier: Apache-2.0 */
#include "format/format.h"

/* One row per mode; affine's bits and group are choices, the others' are fixed. */
static const struct {
    const char *name;
    int bits, group_size;
} modes[] = {
    [AUK_AFFINE] = {"affine", 4, 64},
    [AUK_MXFP4] = {"mxfp4", 4, 32},
    [AUK_MXFP8] = {"mxfp8", 8, 32},
    [AUK_NVFP4] = {"nvfp4", 4, 16},
};
#define N_MODES (sizeof modes / sizeof *modes)

const char *auk_mode_name(auk_mode mode)
{
    return modes[mode].name;
}

int auk_mode_parse(auk_mode *out, auk_str name, auk_err *err)
{
    for (size_t i = 0; i < N_MODES; i++)
        if (auk_str_is(name, modes[i].name)) {
            *out = (auk_mode)i;
            return AUK_OK;
        }
    return auk_fail(err, AUK_EINVAL, "unknown mode '%.*s': want affine, mxfp4, mxfp8 or nvfp4",
                    AUK_ARG(name));
}

int auk_numfmt_check(auk_numfmt *f, auk_err *err)
{
    if (f->bits == 0)
        f->bits = modes[f->mode].bits;
    if (f->group_size == 0)
        f->group_size = modes[f->mode].group_size;
    if (f->mode != AUK_AFFINE) {
        if (f->bits != modes[f->mode].bits || f->group_size != modes[f->mode].group_size)
            return auk_fail(err, AUK_EINVAL, "%s has %d bits and group size %d, not %d and %d",
                            modes[f->mode].name, modes[f->mode].bits, modes[f->mode].group_size,
                            f->bits, f->group_size);
        return AUK_OK;
    }
    if (f->bits < 2 || f->bits > 8 || f->bits == 7)
        return auk_fail(err, AUK_EINVAL, "affine has no %d bits: want 2, 3, 4, 5, 6 or 8", f->bits);
    if (f->group_size != 32 && f->group_size != 64 && f->group_size != 128)
        return auk_fail(err, AUK_EINVAL, "affine has no group size %d: want 32, 64 or 128",
                        f->group_size);
    return AUK_OK;
}

uint64_t auk_numfmt_code_bytes(auk_numfmt f, uint64_t n)
{
    return n / 8 * (uint64_t)f.bits;
}

uint64_t auk_numfmt_scale_bytes(auk_numfmt f, uint64_t n, size_t float_bytes)
{
    return n / (uint64_t)f.group_size * (f.mode == AUK_AFFINE ? float_bytes : 1);
}

bool auk_numfmt_has_bias(auk_numfmt f)
{
    return f.mode == AUK_AFFINE;
}

/* Reads {"group_size", "bits", "mode"}; a missing mode is affine, as MLX has it. */
static int read_format(auk_numfmt *out, const json_t *v, const char *name, const char *what,
                       auk_err *err)
{
    const json_t *bits = json_object_get(v, "bits"), *group = json_object_get(v, "group_size");
    const json_t *mode = json_object_get(v, "mode");
    auk_err why;

    *out = (auk_numfmt){AUK_AFFINE, 0, 0};
    if (!json_is_integer(bits) || !json_is_integer(group))
        return auk_fail(err, AUK_EFORMAT,
                        "'%s': quantization of %.200s needs integer bits and "
                        "group_size",
                        name, what);
    json_int_t b = json_integer_value(bits), g = json_integer_value(group);
    out->bits = b < 1 || b > 64 ? -1 : (int)b;
    out->group_size = g < 1 || g > 1 << 20 ? -1 : (int)g;
    int rc = AUK_OK;
    if (mode != NULL)
        rc = auk_mode_parse(&out->mode, auk_json_str(mode), &why);
    if (rc == AUK_OK)
        rc = auk_numfmt_check(out, &why);
    if (rc < 0)
        return auk_fail(err, AUK_ENOTSUP, "'%s': quantization of %.200s: %.200s", name, what,
                        why.msg);
    return AUK_OK;
}

int auk_quant_config_read(auk_quant_config *out, const json_t *config, const char *name,
                          auk_err *err)
{
    json_t *block = json_object_get(config, "quantization"), *v;
    const char *key;
    auk_numfmt unused;

    *out = (auk_quant_config){0};
    if (block == NULL || json_is_null(block))
        block = json_object_get(config, "quantization_config");
    if (block == NULL || json_is_null(block))
        return AUK_OK;
    if (!json_is_object(block))
        return auk_fail(err, AUK_EFORMAT, "'%s': quantization is not an object", name);
    if (json_object_get(block, "quant_method") != NULL && json_object_get(block, "bits") == NULL)
        return auk_fail(err, AUK_ENOTSUP,
                        "'%s': quantization method '%.*s' is not MLX's: use the bf16 checkpoint",
                        name, AUK_ARG(auk_json_str(json_object_get(block, "quant_method"))));
    int rc = read_format(&out->global, block, name, "the model", err);
    if (rc < 0)
        return rc;
    json_object_foreach(block, key, v)
    {
        if (json_is_false(v) || !json_is_object(v))
            continue;
        rc = read_format(&unused, v, name, key, err);
        if (rc < 0)
            return rc;
    }
    out->present = true;
    out->entries = json_incref(block);
    return AUK_OK;
}

void auk_quant_config_release(auk_quant_config *q)
{
    json_decref(q->entries);
    *q = (auk_quant_config){0};
}

bool auk_quant_config_find(auk_numfmt *out, const auk_quant_config *q, auk_str path)
{
    static const char prefix[] = "language_model.";
    char key[512];
    auk_err err;

    if (!q->present)
        return false;
    if (auk_str_starts(path, prefix))
        path = auk_str_from(path, sizeof prefix - 1);
    snprintf(key, sizeof key, "%s%.*s", prefix, AUK_ARG(path));
    const json_t *v = json_object_get(q->entries, key);
    if (v == NULL)
        v = json_object_get(q->entries, key + sizeof prefix - 1);
    if (json_is_false(v))
        return false;
    *out = q->global;
    return !json_is_object(v) || read_format(out, v, "config.json", key, &err) == AUK_OK;
}
