/* SPDX-License-Identifier: Apache-2.0 */
#include "format/format.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *v;
    auk_err err;

    if (auk_json_parse(&v, auk_str_of(text), "config.json", &err) < 0)
        fail_msg("%s", err.msg);
    return v;
}

static auk_quant_config read_block(const char *text)
{
    json_t *config = parse(text);
    auk_quant_config q;
    auk_err err;

    if (auk_quant_config_read(&q, config, "config.json", &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(config);
    return q;
}

static void refuses(const char *text, int code, const char *word)
{
    json_t *config = parse(text);
    auk_quant_config q;
    auk_err err = {0};

    assert_int_equal(auk_quant_config_read(&q, config, "dir/config.json", &err), code);
    if (strstr(err.msg, "'dir/config.json'") == NULL || strstr(err.msg, word) == NULL)
        fail_msg("'%s' does not name the file and '%s'", err.msg, word);
    assert_null(q.entries);
    json_decref(config);
}

static bool is(auk_numfmt f, auk_mode mode, int bits, int group)
{
    return f.mode == mode && f.bits == bits && f.group_size == group;
}

static void names_and_modes_are_one_to_one(void **state)
{
    static const char *const names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
    auk_mode mode;
    auk_err err;
    (void)state;

    for (int i = 0; i < 4; i++) {
        assert_int_equal(auk_mode_parse(&mode, auk_str_of(names[i]), &err), AUK_OK);
        assert_string_equal(auk_mode_name(mode), names[i]);
    }
    static const char *const wrong[] = {"", "Affine", "mxfp", "mxfp44", "int4"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(auk_mode_parse(&mode, auk_str_of(wrong[i]), &err), AUK_EINVAL);
    assert_int_equal(auk_mode_parse(&mode, (auk_str){NULL, 0}, &err), AUK_EINVAL);
}

static void zeros_become_the_modes_own_sizes(void **state)
{
    static const auk_numfmt want[] = {
        {AUK_AFFINE, 4, 64}, {AUK_MXFP4, 4, 32}, {AUK_MXFP8, 8, 32}, {AUK_NVFP4, 4, 16}};
    auk_err err;
    (void)state;

    for (int i = 0; i < 4; i++) {
        auk_numfmt f = {want[i].mode, 0, 0};
        assert_int_equal(auk_numfmt_check(&f, &err), AUK_OK);
        assert_true(is(f, want[i].mode, want[i].bits, want[i].group_size));
    }
}

static void exactly_the_formats_of_the_table_are_taken(void **state)
{
    (void)state;

    for (int mode = AUK_AFFINE; mode <= AUK_NVFP4; mode++)
        for (int bits = -2; bits <= 17; bits++)
            for (int group = -16; group <= 256; group += 8) {
                auk_numfmt f = {(auk_mode)mode, bits, group};
                auk_err err = {0};
                int b = bits ? bits : mode == AUK_MXFP8 ? 8 : 4;
                int g = group ? group : mode == AUK_AFFINE ? 64 : mode == AUK_NVFP4 ? 16 : 32;
                bool want =
                    mode == AUK_AFFINE
                        ? b >= 2 && b <= 8 && b != 7 && (g == 32 || g == 64 || g == 128)
                        : b == (mode == AUK_MXFP8 ? 8 : 4) && g == (mode == AUK_NVFP4 ? 16 : 32);
                int rc = auk_numfmt_check(&f, &err);
                if ((rc == AUK_OK) != want || (rc < 0) != (err.msg[0] != 0))
                    fail_msg("mode %d, %d bits, groups of %d: %d", mode, bits, group, rc);
            }
}

/* Bits per weight: codes plus, per group, two 16-bit floats or one byte. */
static void a_rows_bytes_are_those_of_the_formula(void **state)
{
    static const int bits[] = {2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128};
    (void)state;

    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 3; j++)
            for (uint64_t n = 128; n <= 4096; n += 128) {
                auk_numfmt f = {AUK_AFFINE, bits[i], groups[j]};
                assert_int_equal(auk_numfmt_code_bytes(f, n) * 8, n * (uint64_t)bits[i]);
                assert_int_equal(auk_numfmt_scale_bytes(f, n, 2), n / (uint64_t)groups[j] * 2);
                assert_int_equal(auk_numfmt_scale_bytes(f, n, 4), n / (uint64_t)groups[j] * 4);
                assert_true(auk_numfmt_has_bias(f));
            }
    assert_int_equal(auk_numfmt_scale_bytes((auk_numfmt){AUK_MXFP8, 8, 32}, 2048, 2), 64);
    assert_int_equal(auk_numfmt_scale_bytes((auk_numfmt){AUK_NVFP4, 4, 16}, 2048, 2), 128);
    assert_false(auk_numfmt_has_bias((auk_numfmt){AUK_MXFP4, 4, 32}));
}

static void a_config_without_a_block_is_not_quantized(void **state)
{
    static const char *const none[] = {"{}", "{\"quantization\": null}",
                                       "{\"quantization\": null, \"quantization_config\": null}"};
    auk_numfmt f;
    (void)state;

    for (int i = 0; i < 3; i++) {
        auk_quant_config q = read_block(none[i]);
        assert_false(q.present);
        assert_false(auk_quant_config_find(&f, &q, auk_str_of("model.norm")));
        auk_quant_config_release(&q);
    }
}

static void either_name_of_the_block_is_read_the_first_wins(void **state)
{
    auk_quant_config q = read_block("{\"quantization_config\": {\"bits\": 8, \"group_size\": 32}}");
    (void)state;

    assert_true(q.present && is(q.global, AUK_AFFINE, 8, 32)); /* no mode: affine */
    auk_quant_config_release(&q);
    q = read_block("{\"quantization\": {\"bits\": 4, \"group_size\": 32, \"mode\": \"mxfp4\"},"
                   " \"quantization_config\": {\"bits\": 8, \"group_size\": 32}}");
    assert_true(is(q.global, AUK_MXFP4, 4, 32));
    auk_quant_config_release(&q);
}

static void entries_are_found_with_and_without_the_prefix(void **state)
{
    auk_quant_config q =
        read_block("{\"quantization\": {\"bits\": 4, \"group_size\": 64,"
                   " \"language_model.model.a\": {\"bits\": 8, \"group_size\": 64},"
                   " \"model.b\": {\"bits\": 6, \"group_size\": 32, \"mode\": \"affine\"},"
                   " \"model.c\": false, \"language_model.model.d\": false, \"model.e\": true}}");
    static const char *const prefixes[] = {"", "language_model."};
    char path[64];
    auk_numfmt f;
    (void)state;

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%smodel.a", prefixes[i]);
        assert_true(auk_quant_config_find(&f, &q, auk_str_of(path)));
        assert_true(is(f, AUK_AFFINE, 8, 64));
        snprintf(path, sizeof path, "%smodel.b", prefixes[i]);
        assert_true(auk_quant_config_find(&f, &q, auk_str_of(path)));
        assert_true(is(f, AUK_AFFINE, 6, 32));
        snprintf(path, sizeof path, "%smodel.c", prefixes[i]);
        assert_false(auk_quant_config_find(&f, &q, auk_str_of(path)));
        snprintf(path, sizeof path, "%smodel.d", prefixes[i]);
        assert_false(auk_quant_config_find(&f, &q, auk_str_of(path)));
        snprintf(path, sizeof path, "%smodel.e", prefixes[i]);
        assert_true(auk_quant_config_find(&f, &q, auk_str_of(path)));
        assert_true(is(f, AUK_AFFINE, 4, 64));
        snprintf(path, sizeof path, "%smodel.not.there", prefixes[i]);
        assert_true(auk_quant_config_find(&f, &q, auk_str_of(path)));
        assert_true(is(f, AUK_AFFINE, 4, 64));
    }
    auk_quant_config_release(&q);
}

static void blocks_that_are_not_ours_are_refused(void **state)
{
    (void)state;
    refuses("{\"quantization\": 4}", AUK_EFORMAT, "not an object");
    refuses("{\"quantization\": {}}", AUK_EFORMAT, "bits");
    refuses("{\"quantization\": {\"bits\": 4}}", AUK_EFORMAT, "group_size");
    refuses("{\"quantization\": {\"bits\": \"4\", \"group_size\": 64}}", AUK_EFORMAT, "bits");
    refuses("{\"quantization\": {\"bits\": 7, \"group_size\": 64}}", AUK_ENOTSUP, "7 bits");
    refuses("{\"quantization\": {\"bits\": 0, \"group_size\": 64}}", AUK_ENOTSUP, "bits");
    refuses("{\"quantization\": {\"bits\": -4, \"group_size\": 64}}", AUK_ENOTSUP, "bits");
    refuses("{\"quantization\": {\"bits\": 4294967300, \"group_size\": 64}}", AUK_ENOTSUP, "bits");
    refuses("{\"quantization\": {\"bits\": 4, \"group_size\": 0}}", AUK_ENOTSUP, "group size");
    refuses("{\"quantization\": {\"bits\": 4, \"group_size\": 4294967360}}", AUK_ENOTSUP,
            "group size");
    refuses("{\"quantization\": {\"bits\": 4, \"group_size\": 64, \"mode\": \"fp4\"}}", AUK_ENOTSUP,
            "'fp4'");
    refuses("{\"quantization\": {\"bits\": 4, \"group_size\": 64, \"mode\": 1}}", AUK_ENOTSUP,
            "mode");
    refuses("{\"quantization\": {\"bits\": 4, \"group_size\": 64,"
            " \"model.x\": {\"bits\": 9, \"group_size\": 64}}}",
            AUK_ENOTSUP, "model.x");
    refuses("{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}", AUK_ENOTSUP,
            "'compressed-tensors'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_modes_are_one_to_one),
        cmocka_unit_test(zeros_become_the_modes_own_sizes),
        cmocka_unit_test(exactly_the_formats_of_the_table_are_taken),
        cmocka_unit_test(a_rows_bytes_are_those_of_the_formula),
        cmocka_unit_test(a_config_without_a_block_is_not_quantized),
        cmocka_unit_test(either_name_of_the_block_is_read_the_first_wins),
        cmocka_unit_test(entries_are_found_with_and_without_the_prefix),
        cmocka_unit_test(blocks_that_are_not_ours_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
