/* SPDX-License-Identifier: Apache-2.0 */
/* The quantizer's kernels against what MLX wrote: every vector of golden/mlx/quantize, the CPU
 * backend's and the Metal kernels', and the hashes of two formula inputs. */
#include "golden/golden.h"

#include "base/cpu.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "format/format.h"
#include "kernel/kernel.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_kernel levels[8];
static const char *level_names[8];
static size_t n_levels;

typedef struct quantized {
    uint8_t *codes, *scales, *biases;
    size_t code_bytes, scale_bytes;
} quantized;

typedef struct job {
    const auk_kernel *k;
    auk_numfmt f;
    auk_rounding rounding;
    auk_mx_scale mx_scale;
} job;

static float value_at(const uint8_t *p, auk_dtype dtype, size_t i)
{
    if (dtype == AUK_DT_BF16)
        return auk_bf16_to_f32(auk_le16(p + 2 * i));
    if (dtype == AUK_DT_F16)
        return auk_f16_to_f32(auk_le16(p + 2 * i));
    return auk_bits_f32(auk_le32(p + 4 * i));
}

static void store_at(uint8_t *p, auk_dtype dtype, size_t i, float x)
{
    if (dtype == AUK_DT_F32) {
        memcpy(p + 4 * i, &x, 4);
        return;
    }
    uint16_t h = dtype == AUK_DT_BF16 ? auk_f32_to_bf16(x) : auk_f32_to_f16(x);
    memcpy(p + 2 * i, &h, 2);
}

static quantized quantize(const job *j, const uint8_t *data, auk_dtype dtype, size_t n)
{
    size_t item = auk_dtype_bytes(dtype), groups = n / (size_t)j->f.group_size;
    float *w = auk_alloc(n * sizeof *w), *s = auk_alloc(2 * groups * sizeof *s);
    quantized q = {.code_bytes = n / 8 * (size_t)j->f.bits};

    for (size_t i = 0; i < n; i++)
        w[i] = value_at(data, dtype, i);
    q.codes = auk_alloc(q.code_bytes);
    if (j->f.mode == AUK_AFFINE) {
        q.scale_bytes = groups * item;
        q.scales = auk_alloc(q.scale_bytes);
        q.biases = auk_alloc(q.scale_bytes);
        j->k->quantize_affine(q.codes, s, s + groups, w, n, j->f.bits, j->f.group_size,
                              j->rounding);
        for (size_t g = 0; g < groups; g++) {
            store_at(q.scales, dtype, g, s[g]);
            store_at(q.biases, dtype, g, s[groups + g]);
        }
    } else {
        q.scale_bytes = groups;
        q.scales = auk_alloc(groups);
        auk_fp_rule rule = {j->f.mode, j->rounding, j->mx_scale,
                            dtype == AUK_DT_BF16  ? AUK_STEP_BF16
                            : dtype == AUK_DT_F16 ? AUK_STEP_F16
                                                  : AUK_STEP_F32};
        j->k->quantize_fp(q.codes, q.scales, w, n, &rule);
    }
    free(w);
    free(s);
    return q;
}

static void release(quantized *q)
{
    free(q->codes);
    free(q->scales);
    free(q->biases);
}

/* ---- files -------------------------------------------------------------------------------- */

/* "affine.b4.g64.weight" -> format; false for names of other things. */
static bool parse_name(auk_numfmt *f, const char *name)
{
    int bits, group, used = 0;
    auk_err err;

    if (sscanf(name, "affine.b%d.g%d.weight%n", &bits, &group, &used) == 2 && used > 0 &&
        name[used] == 0) {
        *f = (auk_numfmt){AUK_AFFINE, bits, group};
        return true;
    }
    const char *dot = strchr(name, '.');
    if (dot == NULL || strcmp(dot, ".weight") != 0)
        return false;
    *f = (auk_numfmt){0};
    return auk_mode_parse(&f->mode, (auk_str){name, (size_t)(dot - name)}, &err) == AUK_OK &&
           auk_numfmt_check(f, &err) == AUK_OK;
}

static void compare(const json_t *tensors, const char *name, const char *part, const uint8_t *p,
                    size_t n, const char *what)
{
    char key[128], hex[AUK_SHA256_HEX];

    snprintf(key, sizeof key, "%.*s%s", (int)(strlen(name) - strlen("weight")), name, part);
    const char *want = json_string_value(json_object_get(json_object_get(tensors, key), "sha256"));
    assert_non_null(want);
    auk_sha256_of(hex, p, n);
    if (strcmp(hex, want) != 0)
        fail_msg("%s: %s differs", what, key);
}

static size_t check_file(const char *folder, const char *file, const json_t *tensors, bool metal,
                         bool old)
{
    auk_safetensors *st;
    auk_err err;
    size_t n_checked = 0;
    const char *name;
    json_t *v;

    if (auk_safetensors_open(&st, golden_path("mlx/quantize/%s", file), &err) < 0)
        fail_msg("%s", err.msg);
    const auk_tensor *in = auk_safetensors_find(st, auk_str_of("input"));
    assert_non_null(in);
    size_t n = (size_t)(in->bytes / auk_dtype_bytes(in->dtype));
    json_object_foreach((json_t *)tensors, name, v)
    {
        job j = {.rounding = metal ? AUK_ROUND_METAL : AUK_ROUND_CPU,
                 .mx_scale = old ? AUK_MX_NEAREST : AUK_MX_UP};
        if (!parse_name(&j.f, name))
            continue;
        if (metal && old && j.f.mode == AUK_NVFP4) /* the shared maximum: not reproduced */
            continue;
        for (size_t l = 0; l < n_levels; l++) {
            char what[256];
            j.k = &levels[l];
            snprintf(what, sizeof what, "%s/%s [%s]", folder, file, level_names[l]);
            quantized q = quantize(&j, in->data, in->dtype, n);
            compare(tensors, name, "weight", q.codes, q.code_bytes, what);
            compare(tensors, name, "scales", q.scales, q.scale_bytes, what);
            if (j.f.mode == AUK_AFFINE)
                compare(tensors, name, "biases", q.biases, q.scale_bytes, what);
            release(&q);
        }
        n_checked++;
    }
    auk_safetensors_close(st);
    return n_checked;
}

static size_t check_manifest(const char *folder, const char *manifest, bool metal, bool old)
{
    json_t *m = golden_read_json(golden_path("mlx/quantize/%s%s", folder, manifest));
    json_t *files = json_object_get(m, "files"), *v;
    const char *file;
    size_t n = 0;

    json_object_foreach(files, file, v)
    {
        json_t *tensors = json_object_get(v, "tensors");
        if (tensors != NULL && strcmp(file, "matmul.safetensors") != 0) {
            /* files of older versions hold no input of their own */
            char base[128];
            snprintf(base, sizeof base, "%s", file);
            char *tail = strstr(base, ".mlx-0.31.2");
            if (tail != NULL)
                snprintf(tail, sizeof base - (size_t)(tail - base), ".safetensors");
            n += check_file(folder, base, tensors, metal, old);
        }
    }
    json_decref(m);
    return n;
}

static void every_cpu_vector_is_reproduced(void **state)
{
    (void)state;
    assert_true(check_manifest("", "manifest.json", false, false) > 150);
}

static void every_older_cpu_vector_is_reproduced(void **state)
{
    (void)state;
    assert_true(check_manifest("", "manifest.mlx-0.31.2.json", false, true) > 30);
}

static void every_metal_vector_is_reproduced(void **state)
{
    (void)state;
    assert_true(check_manifest("metal/", "manifest.json", true, false) > 150);
}

static void every_older_metal_vector_is_reproduced(void **state)
{
    (void)state;
    assert_true(check_manifest("metal/", "manifest.mlx-0.31.2.json", true, true) > 20);
}

/* ---- formula inputs ----------------------------------------------------------------------- */

#define FORMULA_N ((size_t)256 * 1024)

static uint64_t fnv(const uint8_t *p, size_t n)
{
    uint64_t h = 1469598103934665603u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static uint8_t *formula_input(char which)
{
    uint8_t *data = auk_alloc(2 * FORMULA_N);

    for (size_t i = 0; i < FORMULA_N; i++) {
        uint32_t h = (uint32_t)(i * 2654435761u);
        double v = ((double)(h >> 8) / 16777216.0 - 0.5) * 0.1;
        int g = (int)(i / 32);
        if (which == 'B')
            v *= ldexp(1 + (g % 29) / 29.0, g % 13 - 6);
        store_at(data, AUK_DT_BF16, i, (float)v);
    }
    return data;
}

static void check_hash(const json_t *hashes, size_t i, const uint8_t *p, size_t n, const char *what)
{
    char got[17];

    snprintf(got, sizeof got, "%016" PRIx64, fnv(p, n));
    const char *want = json_string_value(json_array_get(hashes, i));
    if (want == NULL || strcmp(got, want) != 0)
        fail_msg("%s, hash %zu: got %s, want %s", what, i, got, want ? want : "nothing");
}

static size_t check_formulas(const json_t *entries, bool metal, bool old)
{
    const char *key;
    json_t *v;
    size_t n_checked = 0;

    json_object_foreach((json_t *)entries, key, v)
    {
        job j = {.rounding = metal ? AUK_ROUND_METAL : AUK_ROUND_CPU,
                 .mx_scale = old ? AUK_MX_NEAREST : AUK_MX_UP};
        char name[64];
        int bits, group;
        if (!json_is_array(v))
            continue;
        if (sscanf(key + 2, "affine b%d g%d", &bits, &group) == 2)
            snprintf(name, sizeof name, "affine.b%d.g%d.weight", bits, group);
        else
            snprintf(name, sizeof name, "%s.weight", key + 2);
        if (!parse_name(&j.f, name) || (metal && old && j.f.mode == AUK_NVFP4))
            continue;
        uint8_t *data = formula_input(key[0]);
        for (size_t l = 0; l < n_levels; l++) {
            j.k = &levels[l];
            quantized q = quantize(&j, data, AUK_DT_BF16, FORMULA_N);
            check_hash(v, 0, q.codes, q.code_bytes, key);
            check_hash(v, 1, q.scales, q.scale_bytes, key);
            if (j.f.mode == AUK_AFFINE)
                check_hash(v, 2, q.biases, q.scale_bytes, key);
            release(&q);
        }
        free(data);
        n_checked++;
    }
    return n_checked;
}

static void formula_inputs_hash_as_recorded(void **state)
{
    uint8_t *a = formula_input('A'), *b = formula_input('B');
    (void)state;

    assert_true(fnv(a, 2 * FORMULA_N) == 0x8665b52dcdc5f1d0u);
    assert_true(fnv(b, 2 * FORMULA_N) == 0x8c0ada7eda6997b2u);
    free(a);
    free(b);
    json_t *m = golden_read_json(golden_path("mlx/quantize/metal/manifest.json"));
    assert_true(check_formulas(json_object_get(m, "formula_inputs"), true, false) > 40);
    json_decref(m);
    m = golden_read_json(golden_path("mlx/quantize/metal/manifest.mlx-0.31.2.json"));
    assert_true(check_formulas(json_object_get(m, "formula_inputs"), true, true) >= 4);
    json_decref(m);
    m = golden_read_json(golden_path("mlx/quantize/versions.json"));
    assert_true(check_formulas(json_object_get(m, "0.31.2"), false, true) > 40);
    assert_true(check_formulas(json_object_get(m, "0.32.4"), false, false) > 40);
    json_decref(m);
}

/* The table printed in the format's description: mlx-format 9 and 12. */
static void published_hashes_hold(void **state)
{
    static const struct {
        char input;
        auk_numfmt f;
        auk_rounding rounding;
        auk_mx_scale up;
        uint64_t codes, scales;
    } rows[] = {
        {'A', {AUK_AFFINE, 4, 64}, AUK_ROUND_CPU, 0, 0x90cf452d2a50f293u, 0xa786f01efe77f347u},
        {'A', {AUK_AFFINE, 4, 64}, AUK_ROUND_METAL, 0, 0xda5c84645ab01503u, 0xa786f01efe77f347u},
        {'B', {AUK_AFFINE, 8, 64}, AUK_ROUND_CPU, 0, 0x14f21a37acccbebfu, 0xe57d2457a89f0487u},
        {'B', {AUK_AFFINE, 8, 64}, AUK_ROUND_METAL, 0, 0x7d14c72196465950u, 0xa4e9031ba8f8d5b9u},
        {'B', {AUK_AFFINE, 3, 64}, AUK_ROUND_METAL, 0, 0x5d7af111852041edu, 0x514044b1a81fd4bbu},
        {'B', {AUK_MXFP4, 4, 32}, AUK_ROUND_CPU, 0, 0x1f1343b453d8ace5u, 0xc3d85bd1f946d308u},
        {'B', {AUK_MXFP4, 4, 32}, AUK_ROUND_METAL, 0, 0x29cbb1d64ceef8f3u, 0x77ee83f095f4bcd0u},
        {'B', {AUK_MXFP4, 4, 32}, AUK_ROUND_METAL, 1, 0x1724420862dd3a9eu, 0xba0b145c364d821fu},
        {'B', {AUK_MXFP4, 4, 32}, AUK_ROUND_CPU, 1, 0x03cb828e94220a64u, 0xba0b145c364d821fu},
        {'B', {AUK_MXFP8, 8, 32}, AUK_ROUND_CPU, 0, 0x48efa29330d3030eu, 0x0883e3619fefa6c2u},
        {'B', {AUK_MXFP8, 8, 32}, AUK_ROUND_METAL, 0, 0x7bb2fa3d9ded2b34u, 0x3a852de8088f49acu},
        {'B', {AUK_MXFP8, 8, 32}, AUK_ROUND_METAL, 1, 0x37955274ac854832u, 0x85fc457c0143d7d0u},
        {'B', {AUK_MXFP8, 8, 32}, AUK_ROUND_CPU, 1, 0x37955274ac854832u, 0x85fc457c0143d7d0u},
        {'B', {AUK_NVFP4, 4, 16}, AUK_ROUND_CPU, 0, 0xe6166be971d75682u, 0x1238e543680e8f87u},
        {'B', {AUK_NVFP4, 4, 16}, AUK_ROUND_METAL, 0, 0xc8db52264bdfaeeau, 0x1238e543680e8f87u},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t *data = formula_input(rows[i].input);
        for (size_t l = 0; l < n_levels; l++) {
            job j = {&levels[l], rows[i].f, rows[i].rounding, rows[i].up};
            quantized q = quantize(&j, data, AUK_DT_BF16, FORMULA_N);
            if (fnv(q.codes, q.code_bytes) != rows[i].codes ||
                fnv(q.scales, q.scale_bytes) != rows[i].scales)
                fail_msg("row %zu [%s] differs", i, level_names[l]);
            release(&q);
        }
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cpu_vector_is_reproduced),
        cmocka_unit_test(every_older_cpu_vector_is_reproduced),
        cmocka_unit_test(every_metal_vector_is_reproduced),
        cmocka_unit_test(every_older_metal_vector_is_reproduced),
        cmocka_unit_test(formula_inputs_hash_as_recorded),
        cmocka_unit_test(published_hashes_hold),
    };
    int rc = golden_open();

    if (rc != 0)
        return rc;
    auk_kernel_init(&levels[0], AUK_CPU_SCALAR);
    level_names[n_levels++] = "scalar";
    if (auk_cpu_detect() & (AUK_CPU_AVX2 | AUK_CPU_NEON)) {
        auk_kernel_init(&levels[1], auk_cpu_detect());
        level_names[n_levels++] = "best";
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
