/* SPDX-License-Identifier: Apache-2.0 */
/* The files around the weights: config.json and generation_config.json in all their cases, shards
 * and index for several limits, and sizes predicted from shapes alone. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "golden/golden.h"

#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"
#include "format/format.h"
#include "quant/quant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static char tmp[256], src[300], dst[300];

static void ok(int rc, const auk_err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

/* "dir/name"; one of 8 static buffers. */
static const char *join(const char *dir, const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static auk_quant_options options_of(const json_t *o)
{
    auk_quant_options opts = auk_quant_defaults();
    auk_err err;

    opts.force = true;
    opts.rounding = AUK_ROUND_CPU;
    if (json_is_null(o)) {
        opts.bits = AUK_QUANT_NONE;
        return opts;
    }
    opts.bits = (int)json_integer_value(json_object_get(o, "q_bits"));
    opts.group_size = (int)json_integer_value(json_object_get(o, "q_group_size"));
    opts.recipe = json_string_value(json_object_get(o, "quant_predicate"));
    if (json_object_get(o, "q_mode") != NULL)
        ok(auk_mode_parse(&opts.mode, auk_json_str(json_object_get(o, "q_mode")), &err), &err);
    return opts;
}

static void assert_same_file(const char *got, const char *want)
{
    size_t n, m;
    uint8_t *a = golden_read_file(got, &n), *b = golden_read_file(want, &m);

    if (n != m || memcmp(a, b, n) != 0)
        fail_msg("'%s' (%zu bytes) is not '%s' (%zu bytes)", got, n, want, m);
    free(a);
    free(b);
}

/* ---- config.json --------------------------------------------------------------------------- */

static void copy(const char *from, const char *to)
{
    auk_err err;
    ok(auk_tree_copy(from, to, &err), &err);
}

/* src: src-c with another config.json; a generation_config.json only where the case has one. */
static void make_source(const char *name)
{
    const char *generation = golden_path("mlx/format/config/%s/generation_config.in.json", name);
    auk_err err;

    ok(auk_tree_remove(src, &err), &err);
    copy(golden_path("mlx/sources/src-c"), src);
    ok(auk_tree_remove(join(src, "generation_config.json"), &err), &err);
    copy(golden_path("mlx/format/config/%s/config.in.json", name), join(src, "config.json"));
    if (golden_exists(generation))
        copy(generation, join(src, "generation_config.json"));
}

static void count_dtypes(const char *folder, const json_t *want)
{
    int counts[AUK_DT_COUNT] = {0};
    auk_checkpoint *ck;
    auk_err err;

    ok(auk_checkpoint_open(&ck, folder, &err), &err);
    for (size_t i = 0; i < auk_checkpoint_count(ck); i++)
        counts[auk_checkpoint_at(ck, i)->dtype]++;
    for (int t = 0; t < AUK_DT_COUNT; t++)
        assert_int_equal(counts[t],
                         json_integer_value(json_object_get(want, auk_dtype_name((auk_dtype)t))));
    auk_checkpoint_close(ck);
}

static void every_config_comes_out_as_recorded(void **state)
{
    json_t *cases = golden_read_json(golden_path("mlx/format/config/cases.json")), *v, *file;
    const char *name;
    size_t n = 0, i;
    (void)state;

    json_object_foreach(cases, name, v)
    {
        auk_quant_options opts = options_of(json_object_get(v, "options"));
        auk_quant_result result;
        auk_err err;
        make_source(name);
        ok(auk_quantize(&result, src, dst, &opts, &err), &err);
        assert_same_file(join(dst, "config.json"),
                         golden_path("mlx/format/config/%s/config.out.json", name));
        count_dtypes(dst, json_object_get(v, "dtypes"));
        json_array_foreach(json_object_get(v, "files"), i, file)
            assert_true(auk_file_exists(join(dst, json_string_value(file))));
        n++;
    }
    assert_int_equal(n, 14);
    json_decref(cases);
}

/* ---- shards -------------------------------------------------------------------------------- */

static uint64_t data_bytes(const json_t *order, const json_t *names)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < json_array_size(names); i++)
        for (size_t j = 0; j < json_array_size(order); j++) {
            const json_t *row = json_array_get(order, j);
            if (json_equal(json_array_get(names, i), json_array_get(row, 0)))
                bytes += (uint64_t)json_integer_value(json_array_get(row, 1));
        }
    return bytes;
}

/* The order of the data within a shard is a hash map's in MLX, so file sizes differ by digits of
 * offsets; the tensors of each shard and their bytes do not. */
static void check_shards(const json_t *want)
{
    json_t *index = golden_read_json(join(dst, "model.safetensors.index.json"));
    json_t *files = json_object_get(want, "files"), *v;
    const char *name;
    size_t i = 0;

    assert_true(json_equal(index, json_object_get(want, "index")));
    json_decref(index);
    json_object_foreach(files, name, v)
    {
        size_t n;
        const json_t *names = json_array_get(json_object_get(want, "shards"), i++);
        uint8_t *data = golden_read_file(join(dst, name), &n);
        assert_int_equal(n - 8 - auk_le64(data), data_bytes(json_object_get(want, "order"), names));
        free(data);
    }
}

static void shards_are_cut_as_recorded(void **state)
{
    json_t *cases = golden_read_json(golden_path("mlx/format/shards.json")), *v;
    const char *name;
    size_t n = 0;
    (void)state;

    json_object_foreach(cases, name, v)
    {
        auk_quant_options opts = options_of(json_object_get(v, "options"));
        auk_quant_result result;
        auk_err err;
        opts.shard_bytes = (uint64_t)json_integer_value(json_object_get(v, "limit"));
        ok(auk_quantize(&result, golden_path("mlx/sources/src-c"), dst, &opts, &err), &err);
        check_shards(v);
        n++;
    }
    assert_int_equal(n, 5);
    json_decref(cases);
}

/* ---- predicted sizes ------------------------------------------------------------------------ */

static auk_quant_options predict_options(const json_t *o)
{
    auk_quant_options opts = auk_quant_defaults();
    auk_err err;

    if (json_is_null(o)) {
        opts.bits = AUK_QUANT_NONE;
        return opts;
    }
    opts.bits = (int)json_integer_value(json_object_get(o, "bits"));
    opts.group_size = (int)json_integer_value(json_object_get(o, "group"));
    opts.recipe = json_string_value(json_object_get(o, "recipe"));
    if (json_object_get(o, "mode") != NULL)
        ok(auk_mode_parse(&opts.mode, auk_json_str(json_object_get(o, "mode")), &err), &err);
    return opts;
}

static size_t count_entries(const auk_hparams *hp, const auk_quant_options *opts)
{
    auk_quant_list list;
    size_t n = 0;
    auk_err err;

    ok(auk_quant_list_make(&list, hp, opts, &err), &err);
    for (size_t i = 0; list.has_entries && i < list.n; i++)
        n += list.modules[i].is_quantized;
    auk_quant_list_release(&list);
    return n;
}

static void check_size(const auk_quant_size *size, const json_t *want, const char *name)
{
    json_t *shards = json_object_get(want, "shards"), *s;
    double printed = json_number_value(json_object_get(want, "bits_per_weight_printed"));
    size_t i;

    if (size->bytes != (uint64_t)json_integer_value(json_object_get(want, "bytes")))
        fail_msg("%s: %llu bytes", name, (unsigned long long)size->bytes);
    assert_int_equal(size->tensors, json_integer_value(json_object_get(want, "tensors")));
    assert_int_equal(size->n_shards, json_array_size(shards));
    assert_true(printed == 0 || (size->bits_per_weight - printed < 0.000501 &&
                                 printed - size->bits_per_weight < 0.000501));
    json_array_foreach(shards, i, s)
    {
        const auk_quant_shard *got = &size->shards[i];
        assert_int_equal(got->tensors, json_integer_value(json_object_get(s, "tensors")));
        assert_int_equal(got->bytes, json_integer_value(json_object_get(s, "bytes")));
        assert_string_equal(got->first, json_string_value(json_object_get(s, "first")));
        assert_string_equal(got->last, json_string_value(json_object_get(s, "last")));
    }
}

static void the_released_model_weighs_as_recorded(void **state)
{
    json_t *report = golden_read_json(golden_path("mlx/format/full-size.json")), *v;
    const char *name;
    auk_hparams hp;
    size_t n = 0;
    auk_err err;
    (void)state;

    ok(auk_hparams_read(&hp, json_object_get(report, "config"), NULL, "full-size", &err), &err);
    json_object_foreach(json_object_get(report, "configurations"), name, v)
    {
        auk_quant_options opts = predict_options(json_object_get(v, "options"));
        auk_quant_size size;
        ok(auk_quant_predict(&size, &hp, &opts, &err), &err);
        check_size(&size, v, name);
        assert_int_equal(size.weights, 30484303872);
        assert_int_equal(count_entries(&hp, &opts),
                         json_integer_value(json_object_get(v, "config_entries")));
        auk_quant_size_release(&size);
        n++;
    }
    assert_int_equal(n, 21);
    auk_hparams_release(&hp);
    json_decref(report);
}

static void a_prediction_is_what_gets_written(void **state)
{
    static const char *const sources[] = {"src-a", "src-b", "src-c"};
    static const auk_quant_options all[] = {
        {0}, {.recipe = "mixed_4_6"}, {.mode = AUK_NVFP4}, {.bits = 5, .group_size = 128}};
    (void)state;

    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            auk_quant_options opts = all[i];
            const char *source = golden_path("mlx/sources/%s", sources[s]);
            auk_quant_size size;
            auk_quant_result result;
            auk_hparams hp;
            auk_err err;
            opts.force = true;
            ok(auk_quant_read_shape(&hp, source, &err), &err);
            ok(auk_quant_predict(&size, &hp, &opts, &err), &err);
            ok(auk_quantize(&result, source, dst, &opts, &err), &err);
            assert_int_equal(size.bytes, result.bytes);
            assert_int_equal(size.tensors, result.tensors);
            assert_int_equal(size.weights, result.weights);
            auk_quant_size_release(&size);
            auk_hparams_release(&hp);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_config_comes_out_as_recorded),
        cmocka_unit_test(shards_are_cut_as_recorded),
        cmocka_unit_test(the_released_model_weighs_as_recorded),
        cmocka_unit_test(a_prediction_is_what_gets_written),
    };
    const char *base = getenv("TMPDIR");
    auk_err err;
    int rc = golden_open();

    if (rc != 0)
        return rc;
    snprintf(tmp, sizeof tmp, "%s/auk-format-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(tmp) == NULL)
        return 1;
    snprintf(src, sizeof src, "%s/src", tmp);
    snprintf(dst, sizeof dst, "%s/dst", tmp);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (auk_tree_remove(tmp, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    return rc;
}
