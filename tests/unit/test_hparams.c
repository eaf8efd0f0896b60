/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char released[] =
    "{\"model_type\": \"cohere2_moe\", \"hidden_size\": 256, \"num_hidden_layers\": 5,"
    " \"num_attention_heads\": 4, \"num_key_value_heads\": 1, \"head_dim\": 128,"
    " \"intermediate_size\": 96, \"prefix_dense_intermediate_size\": 384,"
    " \"first_k_dense_replace\": 1, \"sliding_window\": 8, \"num_experts\": 32,"
    " \"num_experts_per_tok\": 8, \"num_shared_experts\": 0, \"norm_topk_prob\": false,"
    " \"rms_norm_eps\": 1e-06, \"rope_theta\": 50000, \"max_position_embeddings\": 500000,"
    " \"vocab_size\": 1024, \"logit_scale\": 1.0, \"bos_token_id\": 2, \"pad_token_id\": 0,"
    " \"eos_token_id\": 3, \"tie_word_embeddings\": null, \"attention_bias\": false,"
    " \"use_qk_norm\": false, \"use_parallel_block\": true, \"hidden_act\": \"silu\","
    " \"expert_selection_fn\": \"sigmoid\", \"rotary_pct\": 1.0,"
    " \"layer_types\": [\"full_attention\", \"sliding_attention\", \"sliding_attention\","
    " \"sliding_attention\", \"full_attention\"]}";

static json_t *parse(const char *text)
{
    json_t *v;
    auk_err err;

    if (auk_json_parse(&v, auk_str_of(text), "config.json", &err) < 0)
        fail_msg("%s", err.msg);
    return v;
}

/* The released configuration with one key set to a JSON value; NULL takes the key away. */
static json_t *with(const char *key, const char *value)
{
    json_t *config = parse(released);

    if (value != NULL)
        json_object_set_new(config, key, parse(value));
    else if (key != NULL)
        assert_int_equal(json_object_del(config, key), 0);
    return config;
}

static auk_hparams accepted(json_t *config, json_t *generation)
{
    auk_hparams hp;
    auk_err err;

    if (auk_hparams_read(&hp, config, generation, "dir/config.json", &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(config);
    json_decref(generation);
    return hp;
}

/* Takes the reference; the message holds the file's name and `word`. */
static void refused(json_t *config, int code, const char *word)
{
    auk_hparams hp;
    auk_err err = {0};

    int rc = auk_hparams_read(&hp, config, NULL, "dir/config.json", &err);
    if (rc != code || err.code != code)
        fail_msg("%s: got %d '%s', want %d", word, rc, err.msg, code);
    if (strstr(err.msg, "'dir/config.json'") == NULL || strstr(err.msg, word) == NULL)
        fail_msg("'%s' does not name the file and '%s'", err.msg, word);
    assert_null(strchr(err.msg, '\n'));
    assert_null(hp.sliding);
    json_decref(config);
}

static void the_released_configuration_is_read_key_by_key(void **state)
{
    auk_hparams hp = accepted(parse(released), NULL);
    (void)state;

    assert_int_equal(hp.n_layers, 5);
    assert_int_equal(hp.hidden, 256);
    assert_int_equal(hp.n_heads, 4);
    assert_int_equal(hp.n_kv_heads, 1);
    assert_int_equal(hp.head_dim, 128);
    assert_int_equal(hp.n_dense, 1);
    assert_int_equal(hp.dense_width, 384);
    assert_int_equal(hp.n_experts, 32);
    assert_int_equal(hp.top_k, 8);
    assert_int_equal(hp.expert_width, 96);
    assert_int_equal(hp.vocab, 1024);
    assert_int_equal(hp.window, 8);
    assert_int_equal(hp.max_context, 500000);
    assert_false(hp.norm_topk_prob);
    assert_true(hp.tied);
    assert_true(hp.norm_eps == 1e-6f && hp.logit_scale == 1.0f && hp.rope_theta == 50000);
    assert_int_equal(hp.bos, 2);
    assert_int_equal(hp.pad, 0);
    assert_int_equal(hp.n_eos, 1);
    assert_int_equal(hp.eos[0], 3);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(hp.sliding[i], i > 0 && i < 4);
        assert_int_equal(auk_hparams_rotary(&hp, i), i < 4); /* layer 0 is dense: always */
    }
    auk_hparams_release(&hp);
}

static void every_key_with_a_treacherous_default_is_required(void **state)
{
    static const char *const keys[] = {
        "hidden_size",    "num_hidden_layers",     "num_attention_heads",
        "head_dim",       "num_key_value_heads",   "vocab_size",
        "sliding_window", "intermediate_size",     "max_position_embeddings",
        "num_experts",    "num_experts_per_tok",   "num_shared_experts",
        "norm_topk_prob", "rms_norm_eps",          "prefix_dense_intermediate_size",
        "logit_scale",    "first_k_dense_replace", "layer_types",
        "rope_theta",
    };
    (void)state;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "'%s'", keys[i]);
        refused(with(keys[i], NULL), AUK_EFORMAT, quoted);
    }
    refused(with("model_type", NULL), AUK_ENOTSUP, "model_type");
}

static void null_is_not_a_value_of_a_required_key(void **state)
{
    static const char *const keys[] = {"rms_norm_eps", "logit_scale", "norm_topk_prob",
                                       "num_shared_experts", "first_k_dense_replace"};
    (void)state;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        refused(with(keys[i], "null"), AUK_EFORMAT, keys[i]);
}

static void other_architectures_are_named(void **state)
{
    static const struct {
        const char *key, *value;
    } other[] = {
        {"model_type", "\"cohere2\""},
        {"model_type", "7"},
        {"attention_bias", "true"},
        {"use_qk_norm", "true"},
        {"use_parallel_block", "false"},
        {"hidden_act", "\"gelu\""},
        {"rotary_pct", "0.5"},
        {"rope_scaling", "{\"type\": \"yarn\"}"},
        {"expert_selection_fn", "\"softmax\""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        refused(with(other[i].key, other[i].value), AUK_ENOTSUP, other[i].key);
    refused(with("rope_parameters", "{\"rope_type\": \"yarn\", \"rope_theta\": 50000}"),
            AUK_ENOTSUP, "yarn");
    refused(with("num_shared_experts", "1"), AUK_EFORMAT, "num_shared_experts");
}

static void values_of_the_wrong_kind_are_refused(void **state)
{
    static const struct {
        const char *key, *value;
    } wrong[] = {
        {"hidden_size", "\"256\""},
        {"hidden_size", "256.0"},
        {"hidden_size", "0"},
        {"hidden_size", "-256"},
        {"hidden_size", "9223372036854775807"},
        {"num_hidden_layers", "0"},
        {"num_hidden_layers", "[5]"},
        {"num_hidden_layers", "2147483648"},
        {"vocab_size", "4294967297"},
        {"vocab_size", "true"},
        {"head_dim", "127"},
        {"head_dim", "1"},
        {"num_experts", "0"},
        {"num_experts_per_tok", "33"},
        {"num_key_value_heads", "3"},
        {"first_k_dense_replace", "6"},
        {"first_k_dense_replace", "-1"},
        {"norm_topk_prob", "0"},
        {"norm_topk_prob", "\"false\""},
        {"rms_norm_eps", "0"},
        {"rms_norm_eps", "-1e-6"},
        {"rms_norm_eps", "\"1e-6\""},
        {"rms_norm_eps", "1e-300"}, /* 0 as a float */
        {"logit_scale", "0"},
        {"logit_scale", "1e300"},
        {"logit_scale", "[]"},
        {"rope_theta", "0"},
        {"rope_theta", "-1"},
        {"layer_types", "{}"},
        {"layer_types", "[]"},
        {"layer_types", "[\"full_attention\"]"},
        {"sliding_window", "null"},
        {"max_position_embeddings", "0"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *word =
            strcmp(wrong[i].key, "num_key_value_heads") == 0 ? "kv heads" : wrong[i].key;
        refused(with(wrong[i].key, wrong[i].value), AUK_EFORMAT, word);
    }
}

static void an_unknown_layer_type_is_named_with_its_place(void **state)
{
    (void)state;
    refused(with("layer_types", "[\"full_attention\", \"sliding_attention\", \"mamba\","
                                " \"sliding_attention\", \"full_attention\"]"),
            AUK_ENOTSUP, "layer_types[2] is 'mamba'");
    refused(with("layer_types", "[\"full_attention\", 1, 2, 3, 4]"), AUK_ENOTSUP, "layer_types[1]");
}

static void a_configuration_is_an_object(void **state)
{
    static const char *const other[] = {"[]", "1", "\"cohere2_moe\"", "null", "true"};
    (void)state;

    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        refused(parse(other[i]), AUK_EFORMAT, "object");
}

static void theta_is_read_in_both_spellings_and_must_agree(void **state)
{
    (void)state;

    json_t *config = with("rope_theta", NULL);
    json_object_set_new(config, "rope_parameters",
                        parse("{\"rope_type\": \"default\", \"rope_theta\": 1234.5}"));
    auk_hparams hp = accepted(config, NULL);
    assert_true(hp.rope_theta == 1234.5);
    auk_hparams_release(&hp);
    refused(with("rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 1234.5}"),
            AUK_EFORMAT, "differ");
}

static void dense_layers_are_read_in_both_spellings(void **state)
{
    (void)state;

    json_t *config = with("first_k_dense_replace", NULL);
    json_object_set_new(config, "mlp_layer_types",
                        parse("[\"dense\", \"dense\", \"sparse\", \"sparse\", \"sparse\"]"));
    auk_hparams hp = accepted(config, NULL);
    assert_int_equal(hp.n_dense, 2);
    auk_hparams_release(&hp);

    config = with("first_k_dense_replace", NULL);
    json_object_set_new(config, "mlp_layer_types",
                        parse("[\"sparse\", \"dense\", \"sparse\", \"sparse\", \"sparse\"]"));
    refused(config, AUK_ENOTSUP, "mlp_layer_types[1]");
    config = with("first_k_dense_replace", NULL);
    json_object_set_new(config, "mlp_layer_types", parse("[\"dense\", \"sparse\"]"));
    refused(config, AUK_EFORMAT, "mlp_layer_types");
}

static void a_model_without_dense_layers_needs_no_dense_width(void **state)
{
    (void)state;

    json_t *config = with("prefix_dense_intermediate_size", NULL);
    json_object_set_new(config, "first_k_dense_replace", json_integer(0));
    auk_hparams hp = accepted(config, NULL);
    assert_int_equal(hp.n_dense, 0);
    assert_false(auk_hparams_rotary(&hp, 0)); /* full attention without positions */
    auk_hparams_release(&hp);
}

static void a_model_without_experts_needs_no_expert_keys(void **state)
{
    (void)state;

    json_t *config = with("first_k_dense_replace", "5");
    json_object_del(config, "num_experts");
    json_object_del(config, "num_experts_per_tok");
    json_object_del(config, "intermediate_size");
    auk_hparams hp = accepted(config, NULL);
    assert_int_equal(hp.n_dense, 5);
    auk_hparams_release(&hp);
}

static void only_false_unties_the_head(void **state)
{
    static const struct {
        const char *value;
        bool tied;
    } cases[] = {{"null", true}, {"true", true}, {"false", false}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auk_hparams hp = accepted(with("tie_word_embeddings", cases[i].value), NULL);
        assert_int_equal(hp.tied, cases[i].tied);
        auk_hparams_release(&hp);
    }
    auk_hparams hp = accepted(with("tie_word_embeddings", NULL), NULL);
    assert_true(hp.tied);
    auk_hparams_release(&hp);
}

static void the_generation_config_decides_what_ends_a_turn(void **state)
{
    (void)state;

    auk_hparams hp = accepted(parse(released), parse("{\"eos_token_id\": 9}"));
    assert_int_equal(hp.n_eos, 1);
    assert_int_equal(hp.eos[0], 9);
    auk_hparams_release(&hp);
    hp = accepted(parse(released), parse("{\"eos_token_id\": [9, 3, 7]}"));
    assert_int_equal(hp.n_eos, 3);
    assert_int_equal(hp.eos[2], 7);
    auk_hparams_release(&hp);
    hp = accepted(parse(released), parse("{}"));
    assert_int_equal(hp.n_eos, 1);
    assert_int_equal(hp.eos[0], 3);
    auk_hparams_release(&hp);
}

static void more_ends_of_turn_than_there_is_room_for_do_not_overflow(void **state)
{
    json_t *list = json_array();
    (void)state;

    for (int i = 0; i < 100; i++)
        json_array_append_new(list, json_integer(i));
    auk_hparams hp = accepted(parse(released), json_pack("{s:o}", "eos_token_id", list));
    assert_int_equal(hp.n_eos, (int)(sizeof hp.eos / sizeof *hp.eos));
    auk_hparams_release(&hp);
}

static void special_ids_that_are_no_ids_count_as_absent(void **state)
{
    static const char *const values[] = {"null", "-1", "\"2\"", "4294967296", "1.5"};
    (void)state;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        auk_hparams hp = accepted(with("bos_token_id", values[i]), NULL);
        assert_int_equal(hp.bos, -1);
        auk_hparams_release(&hp);
        hp = accepted(with("eos_token_id", values[i]), NULL);
        assert_int_equal(hp.n_eos, 0);
        auk_hparams_release(&hp);
    }
    auk_hparams hp = accepted(with("eos_token_id", "[\"0\", null, 4294967296, 7, -3]"), NULL);
    assert_int_equal(hp.n_eos, 1);
    assert_int_equal(hp.eos[0], 7);
    auk_hparams_release(&hp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_released_configuration_is_read_key_by_key),
        cmocka_unit_test(every_key_with_a_treacherous_default_is_required),
        cmocka_unit_test(null_is_not_a_value_of_a_required_key),
        cmocka_unit_test(other_architectures_are_named),
        cmocka_unit_test(values_of_the_wrong_kind_are_refused),
        cmocka_unit_test(an_unknown_layer_type_is_named_with_its_place),
        cmocka_unit_test(a_configuration_is_an_object),
        cmocka_unit_test(theta_is_read_in_both_spellings_and_must_agree),
        cmocka_unit_test(dense_layers_are_read_in_both_spellings),
        cmocka_unit_test(a_model_without_dense_layers_needs_no_dense_width),
        cmocka_unit_test(a_model_without_experts_needs_no_expert_keys),
        cmocka_unit_test(only_false_unties_the_head),
        cmocka_unit_test(the_generation_config_decides_what_ends_a_turn),
        cmocka_unit_test(more_ends_of_turn_than_there_is_room_for_do_not_overflow),
        cmocka_unit_test(special_ids_that_are_no_ids_count_as_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
