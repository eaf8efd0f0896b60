/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the released widths: golden/models/tiny-c, whose weights are not recorded but follow
 * from a formula (golden/generate/portable_weights.py).  They are made here (528 MB), checked
 * against the recorded hashes, and run. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "golden/golden.h"

#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "engine/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED 13
#define CHUNK ((size_t)1 << 20) /* elements made at a time */

static char dir[256];

static void ok(int rc, const auk_err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

/* ---- the formula --------------------------------------------------------------------------- */

static uint64_t fnv(const char *s)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (; *s != 0; s++)
        h = (h ^ (uint8_t)*s) * 0x100000001B3u;
    return h;
}

static uint64_t hash(uint64_t state, uint64_t i)
{
    uint64_t z = state + (i + 1) * 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static bool ends(const char *s, const char *tail)
{
    return auk_str_ends(auk_str_of(s), tail);
}

/* The centre and half range of a tensor's weights. */
static void rule_of(double *centre, double *half_range, const char *name, double cols)
{
    double gain = 1;

    *centre = 0;
    if (ends(name, "norm.weight")) {
        *centre = 1;
        *half_range = 1024 / 4096.0;
        return;
    }
    if (strcmp(name, "model.embed_tokens.weight") == 0)
        gain = 2;
    else if (ends(name, "mlp.gate.weight"))
        gain = 1.75;
    else if (strstr(name, ".mlp.experts.") != NULL && ends(name, "down_proj.weight"))
        gain = 0.25;
    else if (strstr(name, ".v_proj.") != NULL || strstr(name, ".o_proj.") != NULL)
        gain = 1.5;
    double m = rint(4096.0 * sqrt(3.0) * (gain / sqrt(cols)));
    *half_range = (m < 1 ? 1 : m) / 4096.0;
}

static void make_tensor(FILE *f, const char *name, const json_t *about, uint8_t *chunk)
{
    const json_t *shape = json_object_get(about, "shape");
    uint64_t state = fnv(name) ^ SEED * 0xD1342543DE82EF95u, n = 1;
    char hex[AUK_SHA256_HEX];
    double centre, half_range, cols = 1;

    for (size_t d = 0; d < json_array_size(shape); d++) {
        cols = json_number_value(json_array_get(shape, d));
        n *= (uint64_t)cols;
    }
    rule_of(&centre, &half_range, name, cols);
    auk_sha256 *h = auk_sha256_new();
    for (uint64_t at = 0; at < n; at += CHUNK) {
        size_t m = n - at < CHUNK ? (size_t)(n - at) : CHUNK;
        for (size_t i = 0; i < m; i++) {
            double u = (double)(hash(state, at + i) >> 40) / 16777216.0;
            uint32_t b = auk_f32_bits((float)(centre + half_range * (2 * u - 1)));
            b = (b + 0x7FFF + (b >> 16 & 1)) >> 16;
            chunk[2 * i] = (uint8_t)b;
            chunk[2 * i + 1] = (uint8_t)(b >> 8);
        }
        auk_sha256_add(h, chunk, 2 * m);
        assert_int_equal(fwrite(chunk, 2, m, f), m);
    }
    auk_sha256_finish(h, hex);
    if (strcmp(hex, json_string_value(json_object_get(about, "sha256"))) != 0)
        fail_msg("'%s' has other bytes than recorded", name);
}

/* ---- the folder ---------------------------------------------------------------------------- */

static void print_header(auk_buf *out, json_t *tensors)
{
    const char *name;
    json_t *v;
    uint64_t at = 0;

    auk_buf_puts(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    json_object_foreach(tensors, name, v)
    {
        const json_t *shape = json_object_get(v, "shape");
        uint64_t bytes = 2;
        auk_buf_printf(out, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[", name);
        for (size_t d = 0; d < json_array_size(shape); d++) {
            long long m = (long long)json_integer_value(json_array_get(shape, d));
            auk_buf_printf(out, "%s%lld", d ? "," : "", m);
            bytes *= (uint64_t)m;
        }
        auk_buf_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                       (unsigned long long)(at + bytes));
        at += bytes;
    }
    auk_buf_puts(out, "}");
    while (out->n % 8 != 0)
        auk_buf_putc(out, ' ');
}

static void the_weights_follow_from_the_formula(void **state)
{
    json_t *manifest = golden_read_json(golden_path("models/tiny-c/manifest.json")), *v;
    json_t *tensors = json_object_get(manifest, "tensors");
    auk_buf head = AUK_BUF_INIT(1 << 24);
    uint8_t length[8], *chunk = auk_alloc(2 * CHUNK);
    char *path = auk_path_join(dir, "model.safetensors"),
         *config = auk_path_join(dir, "config.json");
    const char *name;
    auk_err err;
    (void)state;

    assert_int_equal(json_integer_value(json_object_get(manifest, "seed")), SEED);
    assert_int_equal(json_object_size(tensors), 130);
    ok(auk_tree_copy(golden_path("models/tiny-c/config.json"), config, &err), &err);
    print_header(&head, tensors);
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)head.n >> 8 * i);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(length, 1, 8, f), 8);
    assert_int_equal(fwrite(head.p, 1, head.n, f), head.n);
    json_object_foreach(tensors, name, v) make_tensor(f, name, v, chunk);
    assert_int_equal(fclose(f), 0);
    free(path);
    free(config);
    free(chunk);
    auk_buf_release(&head);
    json_decref(manifest);
}

/* ---- running it ---------------------------------------------------------------------------- */

typedef struct rows {
    float *logits;
    size_t vocab;
} rows;

static int on_rows(void *ctx, size_t first, const float *logits, size_t n, auk_err *err)
{
    rows *r = ctx;
    (void)err;

    memcpy(r->logits + first * r->vocab, logits, n * r->vocab * sizeof *logits);
    return AUK_OK;
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

static auk_engine *open_wide(auk_precision precision)
{
    auk_engine_options how = {.precision = precision};
    auk_engine *e;
    auk_err err;

    ok(auk_engine_open(&e, dir, &how, &err), &err);
    return e;
}

static rows run(auk_engine *e, const golden_npy *ids)
{
    rows r = {.vocab = (size_t)auk_engine_vocab(e)};
    auk_session *s;
    auk_err err;

    r.logits = auk_alloc(ids->n * r.vocab * sizeof *r.logits);
    ok(auk_session_new(&s, e, (int)ids->n, &err), &err);
    ok(auk_session_feed_all(s, ids->i, ids->n, NULL, on_rows, &r, &err), &err);
    auk_session_free(s);
    return r;
}

static const int lengths[] = {1, 2, 23, 25, 77};

static void f32_logits_meet_the_reference_at_every_position(void **state)
{
    auk_engine *e = open_wide(AUK_PRECISION_F32);
    (void)state;

    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        golden_npy ids = golden_read_npy(golden_path("models/tiny-c/len%d.ids.npy", lengths[k]));
        golden_npy want =
            golden_read_npy(golden_path("models/tiny-c/len%d.logits.f32.npy", lengths[k]));
        rows r = run(e, &ids);
        assert_int_equal(want.shape[0], ids.n);
        for (size_t i = 0; i < ids.n; i++) {
            double d = relative(r.logits + i * r.vocab, want.f + i * r.vocab, r.vocab);
            if (!(d <= 1e-4))
                fail_msg("len%d position %zu: %.3g", lengths[k], i, d);
        }
        free(r.logits);
        golden_npy_release(&ids);
        golden_npy_release(&want);
    }
    auk_engine_close(e);
}

static void bf16_logits_are_within_twice_the_references_own_distance(void **state)
{
    auk_engine *e = open_wide(AUK_PRECISION_BF16);
    (void)state;

    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        golden_npy ids = golden_read_npy(golden_path("models/tiny-c/len%d.ids.npy", lengths[k]));
        golden_npy f =
            golden_read_npy(golden_path("models/tiny-c/len%d.logits.f32.npy", lengths[k]));
        golden_npy b =
            golden_read_npy(golden_path("models/tiny-c/len%d.logits.bf16.npy", lengths[k]));
        rows r = run(e, &ids);
        double own = relative(b.f, f.f, b.n);
        double to_b = relative(r.logits, b.f, b.n), to_f = relative(r.logits, f.f, b.n);
        if (!(to_b <= 2 * own) || !(to_f <= 2 * own))
            fail_msg("len%d: own %.3g, to bf16 %.3g, to f32 %.3g", lengths[k], own, to_b, to_f);
        free(r.logits);
        golden_npy_release(&ids);
        golden_npy_release(&f);
        golden_npy_release(&b);
    }
    auk_engine_close(e);
}

static void greedy_text_equals_the_references_where_it_is_sure(void **state)
{
    golden_npy prompt = golden_read_npy(golden_path("models/tiny-c/greedy.prompt.npy"));
    golden_npy want = golden_read_npy(golden_path("models/tiny-c/greedy.f32.tokens.npy"));
    golden_npy margin = golden_read_npy(golden_path("models/tiny-c/greedy.f32.margin.npy"));
    auk_engine *e = open_wide(AUK_PRECISION_F32);
    size_t vocab = (size_t)auk_engine_vocab(e);
    float *logits = auk_alloc(vocab * sizeof *logits);
    auk_session *s;
    auk_err err;
    (void)state;

    ok(auk_session_new(&s, e, (int)(prompt.n + want.n), &err), &err);
    ok(auk_session_feed(s, prompt.i, prompt.n, logits, &err), &err);
    for (size_t i = 0; i < want.n; i++) {
        int32_t id = (int32_t)auk_engine_kernel(e)->argmax(logits, vocab);
        if (margin.f[i] > 1e-3f)
            assert_int_equal(id, want.i[i]);
        ok(auk_session_feed(s, &want.i[i], 1, logits, &err), &err);
    }
    free(logits);
    auk_session_free(s);
    auk_engine_close(e);
    golden_npy_release(&prompt);
    golden_npy_release(&want);
    golden_npy_release(&margin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_weights_follow_from_the_formula),
        cmocka_unit_test(f32_logits_meet_the_reference_at_every_position),
        cmocka_unit_test(bf16_logits_are_within_twice_the_references_own_distance),
        cmocka_unit_test(greedy_text_equals_the_references_where_it_is_sure),
    };
    const char *base = getenv("TMPDIR");
    auk_err err;
    int rc = golden_open();

    if (rc != 0)
        return rc;
    snprintf(dir, sizeof dir, "%.180s/auk_wide_model.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(dir) == NULL)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    return auk_tree_remove(dir, &err) < 0 ? 1 : rc;
}
