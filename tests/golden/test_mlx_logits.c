/* SPDX-License-Identifier: Apache-2.0 */
/* What a quantized folder computes, against mlx-vlm's own model on its own folder: every conversion
 * of golden/mlx/conversions is made here, opened and run with float activations. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "golden/golden.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const int lengths[] = {1, 17, 100};

static char tmp[256];
static size_t conversions, rows_checked, greedy_checked;

static void ok(int rc, const auk_err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

/* A manifest's "options" are the arguments of mlx_vlm.convert; null: no quantization. */
static auk_quant_options options_of(const json_t *o)
{
    auk_quant_options opts = auk_quant_defaults();
    auk_err err;

    opts.force = true;
    opts.rounding = AUK_ROUND_CPU;
    opts.mx_scale = AUK_MX_UP;
    opts.bits = (int)json_integer_value(json_object_get(o, "q_bits"));
    opts.group_size = (int)json_integer_value(json_object_get(o, "q_group_size"));
    opts.recipe = json_string_value(json_object_get(o, "quant_predicate"));
    if (json_object_get(o, "q_mode") != NULL)
        ok(auk_mode_parse(&opts.mode, auk_json_str(json_object_get(o, "q_mode")), &err), &err);
    if (json_is_null(o))
        opts.bits = 16;
    return opts;
}

/* ids of a JSON list in fresh memory */
static int32_t *read_ids(const json_t *list, size_t *n)
{
    int32_t *ids = auk_alloc(json_array_size(list) * sizeof *ids + 1);

    *n = json_array_size(list);
    for (size_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

static double relative(const float *got, const float *want, size_t n)
{
    double d = 0, w = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        w += (double)want[i] * (double)want[i];
    }
    return sqrt(d / w);
}

typedef struct rows {
    float *logits;
    size_t vocab, done;
} rows;

static int on_rows(void *ctx, size_t first, const float *logits, size_t n, auk_err *err)
{
    rows *r = ctx;
    (void)err;

    assert_int_equal(first, r->done);
    memcpy(r->logits + first * r->vocab, logits, n * r->vocab * sizeof *logits);
    r->done += n;
    return AUK_OK;
}

static size_t largest(const float *x, size_t n, float *margin)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    *margin = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (i != best && x[best] - x[i] < *margin)
            *margin = x[best] - x[i];
    return best;
}

/* The logits of the recorded rows, and the most probable token at every position. */
static void check_length(auk_engine *e, const char *source, const char *config,
                         const json_t *manifest, const json_t *all_ids, int length)
{
    char key[64], number[16];
    auk_session *s;
    auk_err err;
    size_t n;
    rows r = {.vocab = (size_t)auk_engine_vocab(e)};

    snprintf(key, sizeof key, "len%d.f32.npy", length);
    snprintf(number, sizeof number, "%d", length);
    const json_t *about = json_object_get(json_object_get(manifest, "logits"), key);
    const json_t *which = json_object_get(about, "rows"), *best = json_object_get(about, "argmax");
    golden_npy want = golden_read_npy(golden_path("mlx/conversions/%s/%s/%s", source, config, key));
    int32_t *ids = read_ids(json_object_get(all_ids, number), &n);
    assert_int_equal(n, length);
    r.logits = auk_alloc(n * r.vocab * sizeof *r.logits);
    ok(auk_session_new(&s, e, length, &err), &err);
    ok(auk_session_feed_all(s, ids, n, NULL, on_rows, &r, &err), &err);
    assert_int_equal(json_array_size(which), want.shape[0]);
    for (size_t i = 0; i < want.shape[0]; i++) {
        size_t row = (size_t)json_integer_value(json_array_get(which, i));
        double d = relative(r.logits + row * r.vocab, want.f + i * r.vocab, r.vocab);
        if (!(d <= 1e-4))
            fail_msg("%s/%s length %d row %zu: %.3g", source, config, length, row, d);
        rows_checked++;
    }
    for (size_t i = 0; i < n; i++) {
        float margin;
        size_t got = largest(r.logits + i * r.vocab, r.vocab, &margin);
        if (margin > 1e-3f && got != (size_t)json_integer_value(json_array_get(best, i)))
            fail_msg("%s/%s length %d position %zu: most probable is %zu", source, config, length,
                     i, got);
    }
    auk_session_free(s);
    free(r.logits);
    free(ids);
    golden_npy_release(&want);
}

static void check_greedy(auk_engine *e, const char *source, const char *config,
                         const json_t *manifest)
{
    const json_t *g = json_object_get(json_object_get(manifest, "logits"), "greedy.f32");
    const json_t *margins = json_object_get(g, "margins");
    size_t n, m, vocab = (size_t)auk_engine_vocab(e);
    auk_session *s;
    auk_err err;

    if (g == NULL) /* recorded for a third of them */
        return;
    float *logits = auk_alloc(vocab * sizeof *logits);
    int32_t *prompt = read_ids(json_object_get(g, "prompt"), &n);
    int32_t *want = read_ids(json_object_get(g, "tokens"), &m);
    ok(auk_session_new(&s, e, (int)(n + m), &err), &err);
    ok(auk_session_feed(s, prompt, n, logits, &err), &err);
    for (size_t i = 0; i < m; i++) {
        int32_t got = (int32_t)auk_engine_kernel(e)->argmax(logits, vocab);
        if (json_number_value(json_array_get(margins, i)) > 1e-3) {
            if (got != want[i])
                fail_msg("%s/%s: greedy token %zu is %d, want %d", source, config, i, (int)got,
                         (int)want[i]);
            greedy_checked++;
        }
        ok(auk_session_feed(s, &want[i], 1, logits, &err), &err);
    }
    auk_session_free(s);
    free(logits);
    free(prompt);
    free(want);
}

static void check_conversion(const char *source, const char *config, const json_t *all_ids)
{
    json_t *manifest =
        golden_read_json(golden_path("mlx/conversions/%s/%s/manifest.json", source, config));
    auk_quant_options opts = options_of(json_object_get(manifest, "options"));
    auk_engine_options how = {.precision = AUK_PRECISION_F32};
    auk_quant_result result;
    auk_engine *e;
    auk_err err;
    char dst[300];

    snprintf(dst, sizeof dst, "%s/out", tmp);
    ok(auk_quantize(&result, golden_path("mlx/sources/%s", source), dst, &opts, &err), &err);
    ok(auk_engine_open(&e, dst, &how, &err), &err);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_length(e, source, config, manifest, all_ids, lengths[i]);
    check_greedy(e, source, config, manifest);
    auk_engine_close(e);
    json_decref(manifest);
    conversions++;
}

static void check_source(const char *source)
{
    json_t *all_ids = golden_read_json(golden_path("mlx/conversions/%s/token_ids.json", source));
    char dir[4096];
    struct dirent *entry;

    snprintf(dir, sizeof dir, "%s", golden_path("mlx/conversions/%s", source));
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL)
        if (golden_exists(
                golden_path("mlx/conversions/%s/%s/manifest.json", source, entry->d_name)))
            check_conversion(source, entry->d_name, all_ids);
    closedir(d);
    json_decref(all_ids);
}

static void every_conversion_of_src_a_gives_mlxs_logits_and_tokens(void **state)
{
    (void)state;
    check_source("src-a");
}

static void every_conversion_of_src_b_gives_mlxs_logits_and_tokens(void **state)
{
    (void)state;
    check_source("src-b");
}

static void every_conversion_of_src_c_gives_mlxs_logits_and_tokens(void **state)
{
    (void)state;
    check_source("src-c");
}

static void nothing_was_left_out(void **state)
{
    (void)state;
    assert_int_equal(conversions, 3 * 24);
    assert_true(rows_checked > conversions * 25);
    assert_true(greedy_checked > 3 * 8 * 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conversion_of_src_a_gives_mlxs_logits_and_tokens),
        cmocka_unit_test(every_conversion_of_src_b_gives_mlxs_logits_and_tokens),
        cmocka_unit_test(every_conversion_of_src_c_gives_mlxs_logits_and_tokens),
        cmocka_unit_test(nothing_was_left_out),
    };
    const char *base = getenv("TMPDIR");
    auk_err err;
    int rc = golden_open();

    if (rc != 0)
        return rc;
    snprintf(tmp, sizeof tmp, "%.180s/auk_mlx_logits.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(tmp) == NULL)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    return auk_tree_remove(tmp, &err) < 0 ? 1 : rc;
}
