/* SPDX-License-Identifier: Apache-2.0 */
/* The forward pass against transformers: logits, hidden states, router choices, greedy text. */
#include "golden/golden.h"

#include "base/mem.h"
#include "engine/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const names[] = {"tiny-a", "tiny-b"};

/* Everything a forward pass tells about a sequence. */
typedef struct seen {
    const auk_hparams *hp;
    size_t n, done;   /* positions; rows of logits received */
    float *logits;    /* n x vocab */
    float *hidden;    /* (n_layers + 1) x n x hidden, filled chunk by chunk */
    float *router;    /* n_layers x n x n_experts */
    int32_t *experts; /* n_layers x n x top_k */
    float *weights;
    size_t *at; /* rows each layer has delivered; index 0 is the embeddings */
} seen;

static void on_hidden(void *ctx, int layer, const float *h, size_t n)
{
    seen *s = ctx;
    size_t width = (size_t)s->hp->hidden, l = (size_t)(layer + 1);

    memcpy(s->hidden + (l * s->n + s->at[l]) * width, h, n * width * sizeof *h);
    s->at[l] += n;
}

static void on_router(void *ctx, int layer, const float *logits, const int32_t *ids,
                      const float *weights, size_t n)
{
    seen *s = ctx;
    size_t experts = (size_t)s->hp->n_experts, top = (size_t)s->hp->top_k;
    size_t row = (size_t)layer * s->n + s->at[layer + 1];

    memcpy(s->router + row * experts, logits, n * experts * sizeof *logits);
    memcpy(s->experts + row * top, ids, n * top * sizeof *ids);
    memcpy(s->weights + row * top, weights, n * top * sizeof *weights);
}

static int on_rows(void *ctx, size_t first, const float *logits, size_t n, auk_err *err)
{
    seen *s = ctx;
    size_t vocab = (size_t)s->hp->vocab;

    (void)err, (void)first;
    memcpy(s->logits + s->done * vocab, logits, n * vocab * sizeof *logits);
    s->done += n;
    return AUK_OK;
}

static auk_engine *open_model(const char *name, auk_precision precision)
{
    auk_engine_options opts = {.precision = precision};
    auk_engine *e;
    auk_err err;

    if (auk_engine_open(&e, golden_path("models/%s/checkpoint", name), &opts, &err) < 0)
        fail_msg("%s", err.msg);
    return e;
}

/* Feeds ids in pieces of `chunk`. */
static seen run(auk_engine *e, const int32_t *ids, size_t n, size_t chunk)
{
    const auk_hparams *hp = &auk_engine_model(e)->hp;
    size_t layers = (size_t)hp->n_layers;
    seen s = {.hp = hp, .n = n};
    auk_tap tap = {on_hidden, on_router, NULL};
    auk_session *session;
    auk_err err;

    s.logits = auk_alloc(n * (size_t)hp->vocab * sizeof *s.logits);
    s.hidden = auk_alloc((layers + 1) * n * (size_t)hp->hidden * sizeof *s.hidden);
    s.router = auk_alloc(layers * n * (size_t)hp->n_experts * sizeof *s.router);
    s.experts = auk_alloc(layers * n * (size_t)hp->top_k * sizeof *s.experts);
    s.weights = auk_alloc(layers * n * (size_t)hp->top_k * sizeof *s.weights);
    s.at = auk_alloc((layers + 1) * sizeof *s.at);
    assert_int_equal(auk_session_new(&session, e, (int)n, &err), AUK_OK);
    tap.ctx = &s;
    for (size_t at = 0; at < n; at += chunk) {
        size_t m = n - at < chunk ? n - at : chunk;
        assert_int_equal(auk_session_feed_all(session, ids + at, m, &tap, on_rows, &s, &err),
                         AUK_OK);
    }
    auk_session_free(session);
    return s;
}

static void release(seen *s)
{
    free(s->logits);
    free(s->hidden);
    free(s->router);
    free(s->experts);
    free(s->weights);
    free(s->at);
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

/* The recorded rows: lenN.rows when there, else all. */
static size_t row_at(const golden_npy *rows, size_t i)
{
    return rows->i != NULL ? (size_t)rows->i[i] : i;
}

static const int lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 29, 53, 100, 300};

static golden_npy maybe(const char *path)
{
    return golden_exists(path) ? golden_read_npy(path) : (golden_npy){0};
}

static void f32_logits_meet_the_reference_at_every_position(void **state)
{
    size_t checked = 0;
    (void)state;

    for (size_t m = 0; m < 2; m++) {
        auk_engine *e = open_model(names[m], AUK_PRECISION_F32);
        size_t vocab = (size_t)auk_engine_vocab(e);
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            const char *ids_path = golden_path("models/%s/len%d.ids.npy", names[m], lengths[k]);
            if (!golden_exists(ids_path))
                continue;
            golden_npy ids = golden_read_npy(ids_path);
            golden_npy want = golden_read_npy(
                golden_path("models/%s/len%d.logits.f32.npy", names[m], lengths[k]));
            golden_npy rows = maybe(golden_path("models/%s/len%d.rows.npy", names[m], lengths[k]));
            seen s = run(e, ids.i, ids.n, ids.n);
            for (size_t i = 0; i < want.shape[0]; i++) {
                const float *got = s.logits + row_at(&rows, i) * vocab;
                double r = relative(got, want.f + i * vocab, vocab);
                if (!(r <= 1e-5)) /* ten times better than what is promised */
                    fail_msg("%s len%d row %zu: %.3g", names[m], lengths[k], i, r);
                checked++;
            }
            release(&s);
            golden_npy_release(&ids);
            golden_npy_release(&want);
            golden_npy_release(&rows);
        }
        auk_engine_close(e);
    }
    assert_int_equal(checked, 410);
}

static void bf16_logits_are_within_twice_the_references_own_distance(void **state)
{
    (void)state;

    for (size_t m = 0; m < 2; m++) {
        auk_engine *e = open_model(names[m], AUK_PRECISION_BF16);
        size_t vocab = (size_t)auk_engine_vocab(e);
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            const char *ids_path = golden_path("models/%s/len%d.ids.npy", names[m], lengths[k]);
            if (!golden_exists(ids_path))
                continue;
            golden_npy ids = golden_read_npy(ids_path);
            golden_npy b = golden_read_npy(
                golden_path("models/%s/len%d.logits.bf16.npy", names[m], lengths[k]));
            golden_npy f = golden_read_npy(
                golden_path("models/%s/len%d.logits.f32.npy", names[m], lengths[k]));
            golden_npy rows = maybe(golden_path("models/%s/len%d.rows.npy", names[m], lengths[k]));
            seen s = run(e, ids.i, ids.n, ids.n);
            float *got = auk_alloc(b.n * sizeof *got);
            for (size_t i = 0; i < b.shape[0]; i++)
                memcpy(got + i * vocab, s.logits + row_at(&rows, i) * vocab, vocab * sizeof *got);
            double own = relative(b.f, f.f, b.n);
            double to_b = relative(got, b.f, b.n), to_f = relative(got, f.f, b.n);
            if (!(to_b <= 2 * own) || !(to_f <= 2 * own))
                fail_msg("%s len%d: own %.3g, to bf16 %.3g, to f32 %.3g", names[m], lengths[k], own,
                         to_b, to_f);
            free(got);
            release(&s);
            golden_npy_release(&ids);
            golden_npy_release(&b);
            golden_npy_release(&f);
            golden_npy_release(&rows);
        }
        auk_engine_close(e);
    }
}

static void a_long_context_meets_the_reference(void **state)
{
    golden_npy ids = golden_read_npy(golden_path("models/tiny-a/long4500.ids.npy"));
    golden_npy want = golden_read_npy(golden_path("models/tiny-a/long4500.logits.f32.npy"));
    auk_engine *e = open_model("tiny-a", AUK_PRECISION_F32);
    size_t vocab = (size_t)auk_engine_vocab(e), first = ids.n - want.shape[0];
    (void)state;

    seen s = run(e, ids.i, ids.n, ids.n);
    for (size_t i = 0; i < want.shape[0]; i++)
        assert_true(relative(s.logits + (first + i) * vocab, want.f + i * vocab, vocab) <= 1e-5);
    release(&s);
    golden_npy_release(&ids);
    golden_npy_release(&want);
    auk_engine_close(e);
}

static void incremental_decode_equals_prefill_to_the_bit(void **state)
{
    static const size_t chunks[] = {1, 7, 16, 64};
    static const auk_precision precisions[] = {AUK_PRECISION_F32, AUK_PRECISION_BF16};
    (void)state;

    for (size_t m = 0; m < 2; m++)
        for (size_t p = 0; p < 2; p++) {
            golden_npy ids = golden_read_npy(golden_path("models/%s/len300.ids.npy", names[m]));
            auk_engine *e = open_model(names[m], precisions[p]);
            seen whole = run(e, ids.i, ids.n, ids.n);
            for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
                seen parts = run(e, ids.i, ids.n, chunks[c]);
                assert_memory_equal(whole.logits, parts.logits,
                                    ids.n * (size_t)auk_engine_vocab(e) * sizeof(float));
                release(&parts);
            }
            release(&whole);
            auk_engine_close(e);
            golden_npy_release(&ids);
        }
}

static void threads_and_levels_change_no_bit(void **state)
{
    golden_npy ids = golden_read_npy(golden_path("models/tiny-b/len29.ids.npy"));
    seen first = {0};
    size_t bytes = 0;
    (void)state;

    for (int threads = 1; threads <= 7; threads += threads == 3 ? 4 : 1)
        for (int scalar = 0; scalar < 2; scalar++) {
            auk_engine_options opts = {.threads = threads,
                                       .cpu_flags = scalar ? AUK_CPU_SCALAR : 0};
            auk_engine *e;
            auk_err err;
            assert_int_equal(
                auk_engine_open(&e, golden_path("models/tiny-b/checkpoint"), &opts, &err), AUK_OK);
            seen s = run(e, ids.i, ids.n, 5);
            bytes = ids.n * (size_t)auk_engine_vocab(e) * sizeof(float);
            if (first.logits == NULL) {
                first = s;
            } else {
                assert_memory_equal(first.logits, s.logits, bytes);
                release(&s);
            }
            auk_engine_close(e);
        }
    release(&first);
    golden_npy_release(&ids);
}

static void hidden_states_and_router_choices_meet_the_reference(void **state)
{
    (void)state;

    for (size_t m = 0; m < 2; m++) {
        auk_engine *e = open_model(names[m], AUK_PRECISION_F32);
        const auk_hparams *hp = &auk_engine_model(e)->hp;
        size_t hidden = (size_t)hp->hidden, experts = (size_t)hp->n_experts;
        size_t top = (size_t)hp->top_k, sparse = (size_t)(hp->n_layers - hp->n_dense);
        golden_npy h = golden_read_npy(golden_path("models/%s/inner.f32.hidden.npy", names[m]));
        golden_npy r =
            golden_read_npy(golden_path("models/%s/inner.f32.router_logits.npy", names[m]));
        golden_npy x = golden_read_npy(golden_path("models/%s/inner.f32.experts.npy", names[m]));
        golden_npy w =
            golden_read_npy(golden_path("models/%s/inner.f32.expert_weights.npy", names[m]));
        size_t n = h.shape[1];
        golden_npy ids = golden_read_npy(golden_path("models/%s/len%zu.ids.npy", names[m], n));
        seen s = run(e, ids.i, n, n);
        for (size_t l = 0; l <= (size_t)hp->n_layers; l++)
            for (size_t t = 0; t < n; t++) {
                double d =
                    relative(s.hidden + (l * n + t) * hidden, h.f + (l * n + t) * hidden, hidden);
                if (!(d <= 1e-5))
                    fail_msg("%s layer %zu position %zu: %.3g", names[m], l, t, d);
            }
        for (size_t l = 0; l < sparse; l++)
            for (size_t t = 0; t < n; t++) {
                size_t mine = (l + (size_t)hp->n_dense) * n + t, theirs = l * n + t;
                assert_true(relative(s.router + mine * experts, r.f + theirs * experts, experts) <=
                            1e-5);
                for (size_t i = 0; i < top; i++) { /* the same set, with the same weights */
                    bool found = false;
                    for (size_t k = 0; k < top; k++)
                        found |= s.experts[mine * top + k] == x.i[theirs * top + i] &&
                                 fabsf(s.weights[mine * top + k] - w.f[theirs * top + i]) < 1e-5f;
                    assert_true(found);
                }
            }
        release(&s);
        golden_npy_release(&h);
        golden_npy_release(&r);
        golden_npy_release(&x);
        golden_npy_release(&w);
        golden_npy_release(&ids);
        auk_engine_close(e);
    }
}

static void greedy_text_equals_the_references_where_it_is_sure(void **state)
{
    (void)state;

    for (size_t m = 0; m < 2; m++) {
        golden_npy prompt = golden_read_npy(golden_path("models/%s/greedy.prompt.npy", names[m]));
        golden_npy want = golden_read_npy(golden_path("models/%s/greedy.f32.tokens.npy", names[m]));
        golden_npy margin =
            golden_read_npy(golden_path("models/%s/greedy.f32.margin.npy", names[m]));
        auk_engine *e = open_model(names[m], AUK_PRECISION_F32);
        size_t vocab = (size_t)auk_engine_vocab(e);
        float *logits = auk_alloc(vocab * sizeof *logits);
        auk_session *s;
        auk_err err;
        assert_int_equal(auk_session_new(&s, e, (int)(prompt.n + want.n), &err), AUK_OK);
        assert_int_equal(auk_session_feed(s, prompt.i, prompt.n, logits, &err), AUK_OK);
        for (size_t i = 0; i < want.n; i++) {
            int32_t id = (int32_t)auk_engine_kernel(e)->argmax(logits, vocab);
            if (margin.f[i] > 1e-3f)
                assert_int_equal(id, want.i[i]);
            assert_int_equal(auk_session_feed(s, &want.i[i], 1, logits, &err), AUK_OK);
        }
        free(logits);
        auk_session_free(s);
        auk_engine_close(e);
        golden_npy_release(&prompt);
        golden_npy_release(&want);
        golden_npy_release(&margin);
    }
}

static void on_equal_logits_the_lowest_expert_wins(void **state)
{
    (void)state;

    for (size_t m = 0; m < 2; m++) {
        golden_npy logits =
            golden_read_npy(golden_path("models/%s/ties.router_logits.npy", names[m]));
        golden_npy want = golden_read_npy(golden_path("models/%s/ties.lowest_index.npy", names[m]));
        size_t n = logits.shape[1], k = want.shape[1];
        int32_t *got = auk_alloc(k * sizeof *got);
        for (size_t t = 0; t < logits.shape[0]; t++) {
            auk_choose_experts(got, logits.f + t * n, (int)n, (int)k);
            assert_memory_equal(got, want.i + t * k, k * sizeof *got);
        }
        free(got);
        golden_npy_release(&logits);
        golden_npy_release(&want);
    }
}

static void the_cache_takes_what_is_predicted(void **state)
{
    auk_hparams hp = {.n_layers = 49, .n_kv_heads = 4, .head_dim = 128, .window = 4096};
    bool sliding[49];
    (void)state;

    for (int i = 0; i < 49; i++)
        sliding[i] = i % 4 != 0;
    hp.sliding = sliding;
    assert_int_equal(auk_kv_bytes(&hp, 4096, AUK_PRECISION_BF16), 411041792);
    /* 13 full layers; 36 windows of 4096 and the 64 positions that are stored ahead */
    assert_int_equal(auk_kv_bytes(&hp, 262144, AUK_PRECISION_BF16),
                     (INT64_C(13) * 262144 + INT64_C(36) * (4096 + 64)) * 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_logits_meet_the_reference_at_every_position),
        cmocka_unit_test(bf16_logits_are_within_twice_the_references_own_distance),
        cmocka_unit_test(a_long_context_meets_the_reference),
        cmocka_unit_test(incremental_decode_equals_prefill_to_the_bit),
        cmocka_unit_test(threads_and_levels_change_no_bit),
        cmocka_unit_test(hidden_states_and_router_choices_meet_the_reference),
        cmocka_unit_test(greedy_text_equals_the_references_where_it_is_sure),
        cmocka_unit_test(on_equal_logits_the_lowest_expert_wins),
        cmocka_unit_test(the_cache_takes_what_is_predicted),
    };
    int rc = golden_open();

    return rc != 0 ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
