/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values by kind of layer, and what inspect says about memory. */
#include "diagnose/diagnose.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Every `full`-th layer of n attends to everything, the others to 4096 positions. */
static auk_hparams shape(int n, int full, int heads, int kv_heads)
{
    json_t *types = json_array(), *config;
    auk_hparams hp;
    auk_err err;

    for (int i = 0; i < n; i++)
        json_array_append_new(types,
                              json_string(i % full == 0 ? "full_attention" : "sliding_attention"));
    config = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:f, s:i, s:i, "
        "s:i, s:f, s:o}",
        "model_type", "cohere2_moe", "hidden_size", 2048, "num_hidden_layers", n,
        "num_attention_heads", heads, "num_key_value_heads", kv_heads, "head_dim", 128,
        "intermediate_size", 768, "prefix_dense_intermediate_size", 3072, "first_k_dense_replace",
        1, "sliding_window", 4096, "num_experts", 128, "num_experts_per_tok", 8,
        "num_shared_experts", 0, "norm_topk_prob", 0, "rms_norm_eps", 1e-6, "rope_theta", 50000,
        "max_position_embeddings", 500000, "vocab_size", 262144, "logit_scale", 1.0, "layer_types",
        types);
    int rc = auk_hparams_read(&hp, config, NULL, "the test's config", &err);
    json_decref(config);
    if (rc < 0)
        fail_msg("%s", err.msg);
    return hp;
}

static void equal(uint64_t got, uint64_t want)
{
    if (got != want)
        fail_msg("%" PRIu64 " is not %" PRIu64, got, want);
}

/* Beyond its window a sliding layer's ring has a few rows more than the window, for the rows of one
 * call: the same number of bytes at every context. */
static void keys_and_values_by_kind_of_layer(void **state)
{
    auk_hparams north = shape(49, 4, 32, 4), all_full = shape(32, 1, 32, 8);
    (void)state;

    equal(auk_kv_bytes(&north, 4096, AUK_PRECISION_BF16), 411041792);
    uint64_t ring = auk_kv_bytes(&north, 8192, AUK_PRECISION_BF16) - 520093696;
    assert_true(ring < 520093696 / 100);
    equal(auk_kv_bytes(&north, 65536, AUK_PRECISION_BF16), 2046820352 + ring);
    equal(auk_kv_bytes(&north, 262144, AUK_PRECISION_BF16), 7281311744 + ring);
    equal(auk_kv_bytes(&all_full, 8192, AUK_PRECISION_BF16), 1073741824);
    equal(auk_kv_bytes(&all_full, 16384, AUK_PRECISION_BF16), 2147483648);
    /* what is kept, without the ring's room */
    equal(auk_kv_read_bytes(&north, 8192, AUK_PRECISION_BF16), 520093696);
    equal(auk_kv_read_bytes(&north, 65536, AUK_PRECISION_BF16), 2046820352);
    equal(auk_kv_read_bytes(&north, 262144, AUK_PRECISION_BF16), 7281311744);
    auk_hparams_release(&north);
    auk_hparams_release(&all_full);
}

static int64_t at(const json_t *v, const char *key)
{
    return json_integer_value(json_object_get(v, key));
}

/* The largest context that fits is where a session of one more position would not. */
static void the_point_where_memory_ends_is_exact(void **state)
{
    const char *folder = AUK_SOURCE_DIR "/data/miniature";
    auk_engine_options o = {.threads = 1};
    auk_engine *e;
    json_t *v;
    auk_err err;
    (void)state;

    assert_int_equal(auk_engine_open(&e, folder, &o, &err), AUK_OK);
    uint64_t weights = auk_engine_model(e)->weight_bytes;
    for (int ctx = 1000; ctx <= 8000; ctx += 1750) {
        uint64_t room = weights + auk_session_bytes(e, ctx);
        assert_int_equal(auk_inspect_memory(&v, folder, 4096, room, &err), AUK_OK);
        int fits = (int)at(v, "fits_tokens");
        assert_true(fits >= ctx);
        assert_true(auk_session_bytes(e, fits) <= room - weights);
        assert_true(auk_session_bytes(e, fits + 1) > room - weights);
        assert_int_equal(at(v, "out_of_memory_tokens"), fits + 1);
        json_decref(v);
    }
    assert_int_equal(auk_inspect_memory(&v, folder, 4096, weights / 2, &err), AUK_OK);
    assert_int_equal(at(v, "fits_tokens"), 0);
    json_decref(v);
    assert_int_equal(auk_inspect_memory(&v, folder, 4096, 0, &err), AUK_OK);
    assert_true(json_is_null(json_object_get(v, "fits_tokens")));
    json_decref(v);
    auk_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values_by_kind_of_layer),
        cmocka_unit_test(the_point_where_memory_ends_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
