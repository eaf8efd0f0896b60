/* SPDX-License-Identifier: Apache-2.0 */
/* auk_quantize against mlx_vlm.convert: every tensor and file of golden/mlx/conversions, in CPU and
 * Metal rounding, from every layout of the source, for any number of threads and CPU level. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "golden/golden.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "format/format.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const sources[] = {"src-a", "src-b", "src-c"};
#define N_SOURCES (sizeof sources / sizeof *sources)

static char tmp[256];

static void ok(int rc, const auk_err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

static const char *in_tmp(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", tmp, name);
    return path;
}

/* A manifest's "options" are the arguments of mlx_vlm.convert; null: no quantization. */
static auk_quant_options options_of(const json_t *o)
{
    auk_quant_options opts = auk_quant_defaults();
    auk_err err;

    opts.force = true;
    if (json_is_null(o)) {
        opts.bits = 16;
        return opts;
    }
    opts.bits = (int)json_integer_value(json_object_get(o, "q_bits"));
    opts.group_size = (int)json_integer_value(json_object_get(o, "q_group_size"));
    opts.recipe = json_string_value(json_object_get(o, "quant_predicate"));
    if (json_object_get(o, "q_mode") != NULL)
        ok(auk_mode_parse(&opts.mode, auk_json_str(json_object_get(o, "q_mode")), &err), &err);
    return opts;
}

/* Quantizes into tmp/NAME and returns that path. */
static const char *convert(const char *source, const char *name, const auk_quant_options *opts,
                           auk_quant_result *result)
{
    const char *dst = in_tmp(name);
    auk_err err;

    ok(auk_quantize(result, source, dst, opts, &err), &err);
    return dst;
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void check_tensor(const auk_tensor *t, const json_t *want, const char *what)
{
    char hex[AUK_SHA256_HEX];
    const json_t *shape = json_object_get(want, "shape");

    if (!auk_str_is(auk_json_str(json_object_get(want, "dtype")), auk_dtype_name(t->dtype)))
        fail_msg("%s: '%.*s' is %s", what, AUK_ARG(t->name), auk_dtype_name(t->dtype));
    bool same = json_array_size(shape) == (size_t)t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = (uint64_t)json_integer_value(json_array_get(shape, (size_t)i)) == t->shape[i];
    if (!same)
        fail_msg("%s: '%.*s' has another shape", what, AUK_ARG(t->name));
    auk_sha256_of(hex, t->data, (size_t)t->bytes);
    if (!auk_str_is(auk_json_str(json_object_get(want, "sha256")), hex))
        fail_msg("%s: '%.*s' has other bytes", what, AUK_ARG(t->name));
}

/* Every tensor of the folder is in the manifest and the other way round; those of the overlay (or
 * NULL) replace the manifest's. */
static void check_tensors(const char *folder, const json_t *manifest, const json_t *overlay,
                          const char *what)
{
    const json_t *tensors = json_object_get(manifest, "tensors");
    auk_checkpoint *ck;
    auk_err err;

    ok(auk_checkpoint_open(&ck, folder, &err), &err);
    if (auk_checkpoint_count(ck) != json_object_size(tensors))
        fail_msg("%s: %zu tensors, want %zu", what, auk_checkpoint_count(ck),
                 json_object_size(tensors));
    for (size_t i = 0; i < auk_checkpoint_count(ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(ck, i);
        char *name = auk_strndup(t->name.p, t->name.n);
        const json_t *want = json_object_get(json_object_get(overlay, "tensors"), name);
        if (want == NULL)
            want = json_object_get(tensors, name);
        if (want == NULL)
            fail_msg("%s: '%s' is not in the manifest", what, name);
        check_tensor(t, want, what);
        free(name);
    }
    auk_checkpoint_close(ck);
}

static void file_hash(char hex[AUK_SHA256_HEX], const char *dir, const char *name)
{
    char path[1024];
    size_t n;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    uint8_t *data = golden_read_file(path, &n);
    auk_sha256_of(hex, data, n);
    free(data);
}

/* The other files.  The tokenizer is the exception: mlx-vlm writes it anew through transformers,
 * here it is copied as it was. */
static void check_files(const char *folder, const char *source, const json_t *manifest,
                        const char *what)
{
    json_t *files = json_object_get(manifest, "files"), *v;
    char got[AUK_SHA256_HEX], copied[AUK_SHA256_HEX];
    const char *name;

    json_object_foreach(files, name, v)
    {
        const char *want = json_string_value(json_object_get(v, "sha256"));
        if (strncmp(name, "tokenizer", 9) == 0) {
            file_hash(copied, source, name);
            want = copied;
        }
        file_hash(got, folder, name);
        if (strcmp(got, want) != 0)
            fail_msg("%s: '%s' has other bytes", what, name);
    }
}

/* ---- the conversions ----------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The folders of golden/mlx/conversions/SOURCE, sorted; each and the array are the caller's. */
static char **configurations(const char *source, size_t *n)
{
    const char *dir = golden_path("mlx/conversions/%s", source);
    char **names = NULL;
    struct dirent *e;

    *n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (!golden_exists(golden_path("mlx/conversions/%s/%s/manifest.json", source, e->d_name)))
            continue;
        names = auk_realloc(names, (*n + 1) * sizeof *names);
        names[(*n)++] = auk_strndup(e->d_name, strlen(e->d_name));
    }
    closedir(d);
    qsort(names, *n, sizeof *names, by_name);
    return names;
}

static void check_conversion(const char *source, const char *config, bool metal)
{
    const char *overlay_path = golden_path("mlx/conversions/%s/%s/metal.json", source, config);
    json_t *overlay = metal ? golden_read_json(overlay_path) : NULL;
    json_t *manifest =
        golden_read_json(golden_path("mlx/conversions/%s/%s/manifest.json", source, config));
    auk_quant_options opts = options_of(json_object_get(manifest, "options"));
    auk_quant_result result;
    char what[128];

    snprintf(what, sizeof what, "%s/%s%s", source, config, metal ? " metal" : "");
    opts.rounding = metal ? AUK_ROUND_METAL : AUK_ROUND_CPU;
    const char *from = golden_path("mlx/sources/%s", source);
    const char *to = convert(from, "out", &opts, &result);
    check_tensors(to, manifest, overlay, what);
    check_files(to, from, manifest, what);
    double printed = json_number_value(json_object_get(manifest, "bits_per_weight_printed"));
    if (printed > 0 && (result.bits_per_weight - printed > 0.0005001 ||
                        printed - result.bits_per_weight > 0.0005001))
        fail_msg("%s: %.6f bits per weight, want %.3f", what, result.bits_per_weight, printed);
    json_decref(manifest);
    json_decref(overlay);
}

static void every_conversion_is_reproduced(void **state)
{
    size_t n_all = 0, n_metal = 0;
    (void)state;

    for (size_t s = 0; s < N_SOURCES; s++) {
        size_t n;
        char **names = configurations(sources[s], &n);
        for (size_t i = 0; i < n; i++) {
            check_conversion(sources[s], names[i], false);
            n_all++;
            if (golden_exists(
                    golden_path("mlx/conversions/%s/%s/metal.json", sources[s], names[i]))) {
                check_conversion(sources[s], names[i], true);
                n_metal++;
            }
            free(names[i]);
        }
        free(names);
    }
    assert_int_equal(n_all, 72);
    assert_int_equal(n_metal, 30);
}

/* ---- other layouts of the source ------------------------------------------------------------ */

typedef enum layout { FUSED, STACKED, PREFIXED, ZERO_BIAS } layout;

static void declare_and_keep(auk_sink *sink, const char *name, const auk_tensor *t,
                             const auk_tensor **kept, size_t *n)
{
    auk_err err;

    ok(auk_sink_declare(sink, name, t->dtype, t->rank, t->shape, &err), &err);
    kept[(*n)++] = t;
}

/* What a tensor of an MLX bf16 folder is called in another layout; false: experts, which the fused
 * layout treats apart. */
static bool rename_tensor(char *out, size_t n, const char *name, layout to)
{
    if (to != PREFIXED)
        name += strlen("language_model.");
    snprintf(out, n, "%s", name);
    return to != FUSED || strstr(name, "switch_mlp") == NULL;
}

/* One layer's experts as transformers fuses them: per expert the gate's rows, then up's. */
static void write_fused(auk_sink *sink, int tensor, const auk_tensor *gate, const auk_tensor *up)
{
    uint64_t bytes = gate->bytes / gate->shape[0];
    auk_err err;

    for (uint64_t e = 0; e < gate->shape[0]; e++) {
        ok(auk_sink_write(sink, tensor, 2 * e * bytes, gate->data + e * bytes, bytes, &err), &err);
        ok(auk_sink_write(sink, tensor, (2 * e + 1) * bytes, up->data + e * bytes, bytes, &err),
           &err);
    }
}

static const auk_tensor *find(const auk_checkpoint *ck, const char *format, int layer)
{
    char name[256];

    snprintf(name, sizeof name, format, layer);
    return auk_checkpoint_find(ck, auk_str_of(name));
}

#define EXPERTS "language_model.model.layers.%d.mlp.switch_mlp."

static void declare_fused(auk_sink *sink, const auk_checkpoint *ck, int pairs[], int downs[])
{
    auk_err err;

    for (int i = 0; i < 16; i++) {
        const auk_tensor *gate = find(ck, EXPERTS "gate_proj.weight", i);
        const auk_tensor *down = find(ck, EXPERTS "down_proj.weight", i);
        char name[128];
        if (gate == NULL)
            continue;
        uint64_t shape[3] = {gate->shape[0], 2 * gate->shape[1], gate->shape[2]};
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.gate_up_proj", i);
        pairs[i] = auk_sink_declare(sink, name, gate->dtype, 3, shape, &err);
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.down_proj", i);
        downs[i] = auk_sink_declare(sink, name, down->dtype, 3, down->shape, &err);
    }
}

static void write_all_fused(auk_sink *sink, const auk_checkpoint *ck, const int pairs[],
                            const int downs[])
{
    auk_err err;

    for (int i = 0; i < 16; i++) {
        const auk_tensor *gate = find(ck, EXPERTS "gate_proj.weight", i);
        const auk_tensor *down = find(ck, EXPERTS "down_proj.weight", i);
        if (gate == NULL)
            continue;
        write_fused(sink, pairs[i], gate, find(ck, EXPERTS "up_proj.weight", i));
        ok(auk_sink_write(sink, downs[i], 0, down->data, down->bytes, &err), &err);
    }
}

/* Rewrites an MLX bf16 folder in another layout, with the source's config.json. */
static void write_layout(const char *dst, const char *mlx, const char *config, layout to)
{
    const auk_tensor *kept[512];
    int pairs[16], downs[16];
    size_t n = 0;
    auk_checkpoint *ck;
    auk_sink *sink;
    uint64_t done;
    char name[256];
    auk_err err;

    ok(auk_checkpoint_open(&ck, mlx, &err), &err);
    ok(auk_sink_new(&sink, dst, 0, true, &err), &err);
    for (size_t i = 0; i < auk_checkpoint_count(ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(ck, i);
        char *old = auk_strndup(t->name.p, t->name.n);
        if (rename_tensor(name, sizeof name, old, to))
            declare_and_keep(sink, name, t, kept, &n);
        free(old);
    }
    int bias = -1;
    if (to == FUSED)
        declare_fused(sink, ck, pairs, downs);
    if (to == ZERO_BIAS)
        bias = auk_sink_declare(sink, "model.layers.1.mlp.experts.0.gate_proj.bias", AUK_DT_BF16, 1,
                                &(uint64_t){4}, &err);
    ok(auk_sink_begin(sink, "layout", &done, &err), &err);
    for (size_t i = 0; i < n; i++)
        ok(auk_sink_write(sink, (int)i, 0, kept[i]->data, kept[i]->bytes, &err), &err);
    if (to == FUSED)
        write_all_fused(sink, ck, pairs, downs);
    if (bias >= 0)
        ok(auk_sink_write(sink, bias, 0, "\0\0\0\200\0\0\0\0", 8, &err), &err); /* 0 -0 0 0 */
    snprintf(name, sizeof name, "%s/config.json", auk_sink_dir(sink));
    ok(auk_tree_copy(config, name, &err), &err);
    ok(auk_sink_commit(sink, &err), &err);
    auk_sink_free(sink);
    auk_checkpoint_close(ck);
}

static void every_layout_gives_the_same_tensors(void **state)
{
    auk_quant_options none = auk_quant_defaults(), opts = auk_quant_defaults();
    auk_quant_result result;
    (void)state;

    none.bits = 16;
    none.force = opts.force = true;
    opts.rounding = AUK_ROUND_CPU;
    for (size_t s = 0; s < N_SOURCES; s++) {
        const char *from = golden_path("mlx/sources/%s", sources[s]);
        const char *mlx = convert(from, "mlx", &none, &result);
        json_t *manifest = golden_read_json(
            golden_path("mlx/conversions/%s/affine-default/manifest.json", sources[s]));
        for (int to = FUSED; to <= ZERO_BIAS; to++) {
            write_layout(in_tmp("layout"), mlx,
                         golden_path("mlx/sources/%s/config.json", sources[s]), (layout)to);
            const char *out = convert(in_tmp("layout"), "out", &opts, &result);
            check_tensors(out, manifest, NULL, sources[s]);
        }
        json_decref(manifest);
    }
}

/* ---- threads and levels -------------------------------------------------------------------- */

static void threads_and_levels_change_no_byte(void **state)
{
    static const int threads[] = {1, 2, 3, 7};
    static const struct {
        auk_mode mode;
        const char *recipe;
    } modes[] = {{AUK_AFFINE, NULL},
                 {AUK_AFFINE, "mixed_3_6"},
                 {AUK_MXFP8, NULL},
                 {AUK_MXFP4, NULL},
                 {AUK_NVFP4, NULL}};
    const unsigned levels[] = {AUK_CPU_SCALAR, auk_cpu_detect()};
    char want[AUK_SHA256_HEX], got[AUK_SHA256_HEX];
    (void)state;

    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        for (int r = AUK_ROUND_METAL; r <= AUK_ROUND_CPU; r++)
            for (size_t i = 0; i < 8; i++) {
                auk_quant_options opts = auk_quant_defaults();
                auk_quant_result result;
                opts.mode = modes[m].mode;
                opts.recipe = modes[m].recipe;
                opts.rounding = (auk_rounding)r;
                opts.force = true;
                opts.threads = threads[i / 2];
                opts.cpu_flags = levels[i % 2];
                const char *out = convert(golden_path("mlx/sources/src-a"), "out", &opts, &result);
                file_hash(got, out, "model.safetensors");
                if (i == 0)
                    memcpy(want, got, sizeof want);
                assert_string_equal(got, want);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conversion_is_reproduced),
        cmocka_unit_test(every_layout_gives_the_same_tensors),
        cmocka_unit_test(threads_and_levels_change_no_byte),
    };
    const char *base = getenv("TMPDIR");
    auk_err err;
    int rc = golden_open();

    if (rc != 0)
        return rc;
    snprintf(tmp, sizeof tmp, "%s/auk-convert-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(tmp) == NULL)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (auk_tree_remove(tmp, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    return rc;
}
