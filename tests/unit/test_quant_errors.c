/* SPDX-License-Identifier: Apache-2.0 */
/* Everything auk_quantize refuses, on a made-up two-layer checkpoint: the code, and that the
 * message names the file, the tensor or key, and what to do. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "base/cpu.h"
#include "base/mem.h"
#include "quant/quant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SIDE 64 /* every dimension but the number of experts */

static char tmp[256], src[300], dst[300];

/* ---- the checkpoint ------------------------------------------------------------------------- */

static const char *const names[] = {
    "model.embed_tokens.weight",
    "model.norm.weight",
    "model.layers.0.input_layernorm.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.k_proj.weight",
    "model.layers.0.self_attn.v_proj.weight",
    "model.layers.0.self_attn.o_proj.weight",
    "model.layers.0.mlp.gate_proj.weight",
    "model.layers.0.mlp.up_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.layers.1.input_layernorm.weight",
    "model.layers.1.self_attn.q_proj.weight",
    "model.layers.1.self_attn.k_proj.weight",
    "model.layers.1.self_attn.v_proj.weight",
    "model.layers.1.self_attn.o_proj.weight",
    "model.layers.1.mlp.gate.weight",
    "model.layers.1.mlp.experts.0.gate_proj.weight",
    "model.layers.1.mlp.experts.0.up_proj.weight",
    "model.layers.1.mlp.experts.0.down_proj.weight",
    "model.layers.1.mlp.experts.1.gate_proj.weight",
    "model.layers.1.mlp.experts.1.up_proj.weight",
    "model.layers.1.mlp.experts.1.down_proj.weight",
};
#define N_NAMES (sizeof names / sizeof *names)

static const char config[] =
    "{\"model_type\": \"cohere2_moe\", \"hidden_size\": 64, \"num_hidden_layers\": 2, "
    "\"num_attention_heads\": 1, \"num_key_value_heads\": 1, \"head_dim\": 64, "
    "\"intermediate_size\": 64, \"prefix_dense_intermediate_size\": 64, "
    "\"first_k_dense_replace\": 1, \"sliding_window\": 8, \"num_experts\": 2, "
    "\"num_experts_per_tok\": 1, \"num_shared_experts\": 0, \"norm_topk_prob\": false, "
    "\"rms_norm_eps\": 1e-06, \"rope_theta\": 50000, \"max_position_embeddings\": 100, "
    "\"vocab_size\": 64, \"logit_scale\": 1.0, "
    "\"layer_types\": [\"full_attention\", \"sliding_attention\"]}";

/* How one source differs from the good one. */
typedef struct change {
    const char *skip;               /* a tensor that is not there */
    const char *widen;              /* a tensor with another shape */
    const char *retype;             /* a tensor of U32 */
    const char *extra;              /* one more tensor */
    uint8_t extra_byte;             /* that it is filled with */
    const char *poison;             /* a tensor with an infinity at element 77 (norms: 7) */
    const char *drop_key, *set_key; /* of config.json */
    const char *set_value;          /* JSON */
    const char *config_text;        /* instead of all that */
} change;

static void ok(int rc, const auk_err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

static bool is(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

static int rank_of(const char *name)
{
    return strstr(name, "norm") != NULL ? 1 : 2;
}

static void declare(auk_sink *sink, const char *name, const change *c)
{
    uint64_t shape[2] = {SIDE, SIDE};
    auk_err err;

    if (strstr(name, "mlp.gate.weight") != NULL)
        shape[0] = 2;
    if (is(c->widen, name))
        shape[rank_of(name) - 1] += 2;
    auk_dtype dtype = is(c->retype, name) ? AUK_DT_U32 : AUK_DT_BF16;
    ok(auk_sink_declare(sink, name, dtype, rank_of(name), shape, &err), &err);
}

static void write_tensor(auk_sink *sink, int number, const char *name, const change *c)
{
    uint16_t values[SIDE * SIDE];
    auk_err err;

    for (size_t i = 0; i < SIDE * SIDE; i++)
        values[i] = (uint16_t)(0x3C00 + (i * 37 + (size_t)number * 11) % 512 + (i % 3 << 15));
    if (is(c->poison, name))
        values[rank_of(name) == 1 ? 7 : 77] = 0xFF80;
    if (is(c->extra, name))
        memset(values, c->extra_byte, sizeof values);
    size_t rows = strstr(name, "mlp.gate.weight") != NULL ? 2 : rank_of(name) == 1 ? 1 : SIDE;
    ok(auk_sink_write(sink, number, 0, values, rows * SIDE * 2, &err), &err);
}

static void write_config(const change *c)
{
    json_t *v;
    char path[400];
    auk_buf text = AUK_BUF_INIT(1 << 16);
    auk_err err;

    snprintf(path, sizeof path, "%s/config.json", src);
    ok(auk_json_parse(&v, auk_str_of(config), "config", &err), &err);
    if (c->drop_key != NULL)
        json_object_del(v, c->drop_key);
    if (c->set_key != NULL) {
        json_t *value;
        ok(auk_json_parse(&value, auk_str_of(c->set_value), "value", &err), &err);
        json_object_set_new(v, c->set_key, value);
    }
    auk_json_print(&text, v, (auk_json_style){0});
    if (c->config_text != NULL) {
        auk_buf_clear(&text);
        auk_buf_puts(&text, c->config_text);
    }
    ok(auk_file_write(path, auk_buf_str(&text), &err), &err);
    json_decref(v);
    auk_buf_release(&text);
}

static void make_source(const change *c)
{
    auk_sink *sink;
    uint64_t done;
    auk_err err;
    const char *kept[N_NAMES + 1];
    size_t n = 0;

    ok(auk_sink_new(&sink, src, 0, true, &err), &err);
    for (size_t i = 0; i < N_NAMES; i++)
        if (!is(c->skip, names[i]))
            kept[n++] = names[i];
    if (c->extra != NULL)
        kept[n++] = c->extra;
    for (size_t i = 0; i < n; i++)
        declare(sink, kept[i], c);
    ok(auk_sink_begin(sink, "tiny", &done, &err), &err);
    for (size_t i = 0; i < n; i++)
        write_tensor(sink, (int)i, kept[i], c);
    ok(auk_sink_commit(sink, &err), &err);
    auk_sink_free(sink);
    write_config(c);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void refused(const change *c, const auk_quant_options *opts, int code, const char *says)
{
    auk_quant_result result;
    auk_err err = {0};

    make_source(c);
    int rc = auk_quantize(&result, src, dst, opts, &err);
    if (rc != code || err.code != code)
        fail_msg("code %d, want %d: %s", rc, code, err.msg);
    if (strstr(err.msg, says) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, says);
    assert_null(strchr(err.msg, '\n'));
    assert_false(auk_file_exists(dst));
}

static auk_quant_options plain(void)
{
    auk_quant_options opts = auk_quant_defaults();

    opts.threads = 2;
    return opts;
}

static void the_unchanged_source_is_fine(void **state)
{
    auk_quant_options opts = plain();
    auk_quant_result result;
    auk_err err;
    (void)state;

    make_source(&(change){0});
    ok(auk_quantize(&result, src, dst, &opts, &err), &err);
    assert_int_equal(result.tensors, 33);
    assert_int_equal(result.source_bytes, (18 * SIDE * SIDE + 2 * SIDE + 3 * SIDE) * 2);
    assert_true(auk_file_exists(dst));
    ok(auk_tree_remove(dst, &err), &err);
}

static void tensors_that_do_not_fit_are_refused(void **state)
{
    auk_quant_options opts = plain();
    (void)state;

    refused(&(change){.skip = "model.layers.0.self_attn.k_proj.weight"}, &opts, AUK_EFORMAT,
            "tensor 'model.layers.0.self_attn.k_proj.weight' is missing");
    refused(&(change){.skip = "model.layers.1.mlp.experts.1.up_proj.weight"}, &opts, AUK_EFORMAT,
            "experts.1.up_proj.weight' is missing");
    refused(&(change){.skip = "model.norm.weight"}, &opts, AUK_EFORMAT, "model.norm.weight");
    refused(&(change){.widen = "model.layers.1.mlp.experts.1.down_proj.weight"}, &opts, AUK_EFORMAT,
            "is [64, 66], config.json wants [64, 64]");
    refused(&(change){.widen = "model.norm.weight"}, &opts, AUK_EFORMAT, "config.json wants [64]");
    refused(&(change){.retype = "model.embed_tokens.weight"}, &opts, AUK_ENOTSUP, "is U32");
    refused(&(change){.extra = "model.layers.1.mlp.strange.weight"}, &opts, AUK_ENOTSUP,
            "'model.layers.1.mlp.strange.weight' is not of this architecture");
    refused(&(change){.extra = "language_model.model.norm.weight"}, &opts, AUK_ENOTSUP,
            "or there twice");
    refused(&(change){.extra = "lm_head.weight"}, &opts, AUK_ENOTSUP, "ties the head");
    refused(&(change){.extra = "model.layers.1.mlp.experts.0.gate_proj.scales"}, &opts, AUK_EINVAL,
            "is quantized already");
}

static void a_bias_is_dropped_only_when_it_is_zero(void **state)
{
    auk_quant_options opts = plain();
    auk_quant_result result;
    auk_err err;
    change c = {.extra = "model.layers.1.mlp.experts.0.up_proj.bias", .extra_byte = 1};
    (void)state;

    refused(&c, &opts, AUK_ENOTSUP, "is not zero");
    c.extra_byte = 0;
    make_source(&c);
    ok(auk_quantize(&result, src, dst, &opts, &err), &err);
    assert_int_equal(result.tensors, 33);
    ok(auk_tree_remove(dst, &err), &err);
}

static void values_that_are_not_finite_are_named(void **state)
{
    auk_quant_options opts = plain();
    (void)state;

    for (int i = 0; i < 4; i++) {
        opts.mode = (auk_mode)i;
        refused(&(change){.poison = "model.layers.1.mlp.experts.1.gate_proj.weight"}, &opts,
                AUK_EFORMAT, "experts.1.gate_proj.weight', element 77 is not a finite number");
    }
    refused(&(change){.poison = "model.norm.weight"}, &opts, AUK_EFORMAT,
            "'model.norm.weight', element 7 is");
    opts.cpu_flags = AUK_CPU_SCALAR;
    refused(&(change){.poison = "model.layers.0.self_attn.q_proj.weight"}, &opts, AUK_EFORMAT,
            "element 77");
    /* 2^121 is finite in bfloat16 only */
    change c = {.set_key = "torch_dtype",
                .set_value = "\"float16\"",
                .extra = "model.layers.0.self_attn.q_proj.weight",
                .extra_byte = 0x7C,
                .skip = "model.layers.0.self_attn.q_proj.weight"};
    refused(&c, &opts, AUK_EFORMAT, "not a finite number after the cast");
}

static void configurations_of_something_else_are_refused(void **state)
{
    static const char *const required[] = {"hidden_size",
                                           "num_hidden_layers",
                                           "num_attention_heads",
                                           "num_key_value_heads",
                                           "head_dim",
                                           "intermediate_size",
                                           "vocab_size",
                                           "first_k_dense_replace",
                                           "num_experts",
                                           "num_experts_per_tok",
                                           "norm_topk_prob",
                                           "rms_norm_eps",
                                           "logit_scale",
                                           "rope_theta",
                                           "layer_types",
                                           "num_shared_experts",
                                           "sliding_window",
                                           "prefix_dense_intermediate_size"};
    auk_quant_options opts = plain();
    (void)state;

    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        refused(&(change){.drop_key = required[i]}, &opts, AUK_EFORMAT, required[i]);
    refused(&(change){.set_key = "model_type", .set_value = "\"llama\""}, &opts, AUK_ENOTSUP,
            "model_type is 'llama'");
    refused(&(change){.set_key = "quantization", .set_value = "{\"bits\": 4, \"group_size\": 64}"},
            &opts, AUK_EINVAL, "quantized already");
    refused(&(change){.set_key = "quantization_config", .set_value = "{\"quant_method\": \"fp8\"}"},
            &opts, AUK_EINVAL, "quantized already");
    refused(&(change){.set_key = "vocab_size", .set_value = "65"}, &opts, AUK_EFORMAT,
            "config.json wants [65, 64]");
    refused(&(change){.config_text = "[]"}, &opts, AUK_EFORMAT, "not a JSON object");
    refused(&(change){.config_text = "{"}, &opts, AUK_EFORMAT, "not valid JSON");
}

static void options_no_format_has_are_refused(void **state)
{
    static const struct {
        auk_quant_options opts;
        const char *says;
    } rows[] = {
        {{.bits = 7}, "no 7 bits"},
        {{.bits = 1}, "no 1 bits"},
        {{.group_size = 48}, "no group size 48"},
        {{.mode = AUK_MXFP4, .bits = 8}, "mxfp4 has 4 bits"},
        {{.recipe = "mixed_9_9"}, "unknown recipe 'mixed_9_9'"},
        {{.recipe = "mixed_4_8", .mode = AUK_MXFP8}, "cannot be combined"},
        {{.bits = 16, .group_size = 64}, "quantize nothing"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(&(change){0}, &rows[i].opts, AUK_EINVAL, rows[i].says);
}

static void places_that_would_lose_something_are_refused(void **state)
{
    auk_quant_options opts = plain();
    auk_quant_result result;
    auk_err err;
    char inside[400];
    (void)state;

    make_source(&(change){0});
    assert_int_equal(auk_quantize(&result, src, src, &opts, &err), AUK_EINVAL);
    opts.force = true;
    assert_int_equal(auk_quantize(&result, src, src, &opts, &err), AUK_EINVAL);
    assert_int_equal(auk_quantize(&result, src, tmp, &opts, &err), AUK_EINVAL);
    assert_true(auk_file_exists(src));
    assert_int_equal(auk_quantize(&result, "/nonexistent/model", dst, &opts, &err), AUK_ENOTFOUND);
    /* a destination inside the source is not copied into itself */
    snprintf(inside, sizeof inside, "%s/out", src);
    ok(auk_quantize(&result, src, inside, &opts, &err), &err);
    ok(auk_quantize(&result, src, inside, &opts, &err), &err);
    snprintf(inside, sizeof inside, "%s/out/out", src);
    assert_false(auk_file_exists(inside));
    opts.force = false;
    make_source(&(change){0});
    ok(auk_quantize(&result, src, dst, &opts, &err), &err);
    assert_int_equal(auk_quantize(&result, src, dst, &opts, &err), AUK_EINVAL);
    assert_non_null(strstr(err.msg, "exists"));
    ok(auk_tree_remove(dst, &err), &err);
}

/* ---- going on -------------------------------------------------------------------------------- */

static bool stop_at_once(void *ctx, const char *what, const char *unit, uint64_t done,
                         uint64_t total)
{
    (void)ctx, (void)what, (void)unit;
    return done <= total;
}

static void a_stopped_run_goes_on_and_another_job_starts_anew(void **state)
{
    auk_quant_options opts = plain();
    auk_quant_result result;
    char partial[400];
    struct stat st;
    auk_err err;
    (void)state;

    make_source(&(change){0});
    snprintf(partial, sizeof partial, "%s.partial", dst);
    opts.progress = stop_at_once;
    assert_int_equal(auk_quantize(&result, src, dst, &opts, &err), AUK_ECANCEL);
    assert_false(auk_file_exists(dst));
    assert_true(auk_file_exists(partial));
    opts.progress = NULL;
    opts.bits = 8; /* not what lies in the partial folder */
    ok(auk_quantize(&result, src, dst, &opts, &err), &err);
    assert_false(auk_file_exists(partial));
    assert_int_equal(stat(dst, &st), 0);
    ok(auk_tree_remove(dst, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unchanged_source_is_fine),
        cmocka_unit_test(tensors_that_do_not_fit_are_refused),
        cmocka_unit_test(a_bias_is_dropped_only_when_it_is_zero),
        cmocka_unit_test(values_that_are_not_finite_are_named),
        cmocka_unit_test(configurations_of_something_else_are_refused),
        cmocka_unit_test(options_no_format_has_are_refused),
        cmocka_unit_test(places_that_would_lose_something_are_refused),
        cmocka_unit_test(a_stopped_run_goes_on_and_another_job_starts_anew),
    };
    const char *base = getenv("TMPDIR");
    auk_err err;

    snprintf(tmp, sizeof tmp, "%s/auk-quant-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(tmp) == NULL)
        return 1;
    snprintf(src, sizeof src, "%s/src", tmp);
    snprintf(dst, sizeof dst, "%s/dst", tmp);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (auk_tree_remove(tmp, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    return rc;
}
