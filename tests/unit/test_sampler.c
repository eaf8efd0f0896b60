/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "base/rng.h"
#include "engine/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define VOCAB 40

static auk_kernel kernel;

static auk_sampler *make(const auk_sample_options *opts)
{
    auk_sampler *s;
    auk_err err;

    if (auk_sampler_new(&s, VOCAB, opts, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

static void draw_logits(float *logits, uint64_t seed)
{
    auk_rng rng = auk_rng_make(seed);

    for (int i = 0; i < VOCAB; i++)
        logits[i] = (float)(8 * auk_rng_unit(&rng) - 4);
}

static int largest(const float *logits)
{
    int best = 0;

    for (int i = 1; i < VOCAB; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static void the_vendors_settings_are_the_default(void **state)
{
    auk_sample_options o = auk_sample_defaults();
    (void)state;

    assert_true(o.temperature == 1.0f && o.top_p == 0.95f && o.top_k == 0);
}

static void greedy_takes_the_lowest_id_of_the_largest(void **state)
{
    auk_sample_options o = {.top_p = 1};
    auk_sampler *s = make(&o);
    float logits[VOCAB] = {0};
    (void)state;

    assert_int_equal(auk_sampler_pick(s, &kernel, logits), 0);
    logits[7] = logits[31] = logits[9] = 2;
    assert_int_equal(auk_sampler_pick(s, &kernel, logits), 7);
    logits[39] = 2.0000002f;
    assert_int_equal(auk_sampler_pick(s, &kernel, logits), 39);
    auk_sampler_free(s);
}

static void one_candidate_is_the_most_probable_one(void **state)
{
    static const auk_sample_options options[] = {
        {.temperature = 1, .top_p = 1, .top_k = 1},
        {.temperature = 100, .top_p = 1, .top_k = 1},
        {.temperature = 1, .top_p = 1e-9f},
        {.temperature = 1e-4f, .top_p = 1},
    };
    float logits[VOCAB];
    (void)state;

    for (size_t k = 0; k < sizeof options / sizeof *options; k++)
        for (uint64_t seed = 0; seed < 50; seed++) {
            auk_sample_options o = options[k];
            o.seed = seed;
            auk_sampler *s = make(&o);
            draw_logits(logits, 1000 + seed);
            if (k == 3) { /* an unmistakable lead, so that a low temperature leaves one */
                logits[seed % VOCAB] = 5;
            }
            assert_int_equal(auk_sampler_pick(s, &kernel, logits), largest(logits));
            auk_sampler_free(s);
        }
}

static void of_equal_logits_top_k_keeps_the_lowest_ids(void **state)
{
    float logits[VOCAB] = {0};
    (void)state;

    for (uint64_t seed = 0; seed < 200; seed++) {
        auk_sample_options o = {.temperature = 1, .top_p = 1, .top_k = 3, .seed = seed};
        auk_sampler *s = make(&o);
        assert_in_range(auk_sampler_pick(s, &kernel, logits), 0, 2);
        auk_sampler_free(s);
    }
}

static void the_same_seed_gives_the_same_ids(void **state)
{
    auk_sample_options o = {.temperature = 1, .top_p = 0.95f, .seed = 42};
    auk_sampler *a = make(&o), *b = make(&o);
    float logits[VOCAB];
    int differs = 0;
    (void)state;

    o.seed = 43;
    auk_sampler *c = make(&o);
    for (uint64_t i = 0; i < 200; i++) {
        draw_logits(logits, i);
        int32_t id = auk_sampler_pick(a, &kernel, logits);
        assert_int_equal(id, auk_sampler_pick(b, &kernel, logits));
        differs += id != auk_sampler_pick(c, &kernel, logits);
    }
    assert_true(differs > 20);
    auk_sampler_free(a);
    auk_sampler_free(b);
    auk_sampler_free(c);
}

static void every_processor_level_picks_the_same(void **state)
{
    auk_sample_options o = {.temperature = 0.7f, .top_p = 0.9f, .seed = 5};
    auk_sampler *a = make(&o), *b = make(&o);
    float logits[VOCAB];
    auk_kernel scalar;
    (void)state;

    auk_kernel_init(&scalar, AUK_CPU_SCALAR);
    for (uint64_t i = 0; i < 500; i++) {
        draw_logits(logits, i);
        assert_int_equal(auk_sampler_pick(a, &kernel, logits),
                         auk_sampler_pick(b, &scalar, logits));
    }
    auk_sampler_free(a);
    auk_sampler_free(b);
}

/* Pearson's statistic of n picks against the probabilities of ids [0, cells). */
static double chi_square(const auk_sample_options *o, const float *logits, const double *p,
                         int cells, int n)
{
    int count[VOCAB] = {0};
    double x = 0;
    auk_sampler *s = make(o);

    for (int i = 0; i < n; i++)
        count[auk_sampler_pick(s, &kernel, logits)]++;
    auk_sampler_free(s);
    for (int i = 0; i < VOCAB; i++)
        if (i >= cells)
            assert_int_equal(count[i], 0);
    for (int i = 0; i < cells; i++)
        x += (count[i] - n * p[i]) * (count[i] - n * p[i]) / (n * p[i]);
    return x;
}

/* Seeds are fixed, so these never fail by chance; 20.5 is the 0.1 % point of 5 degrees. */
static void frequencies_are_those_of_the_distribution(void **state)
{
    static const double p[] = {0.4, 0.25, 0.15, 0.1, 0.07, 0.03};
    float logits[VOCAB];
    (void)state;

    for (int i = 0; i < VOCAB; i++)
        logits[i] = i < 6 ? (float)log(p[i]) : -INFINITY;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        auk_sample_options o = {.temperature = 1, .top_p = 1, .seed = seed};
        assert_true(chi_square(&o, logits, p, 6, 20000) < 20.5);
    }
}

static void temperature_raises_probabilities_to_its_inverse(void **state)
{
    static const double p[] = {0.4, 0.25, 0.15, 0.1, 0.07, 0.03};
    double q[6], sum = 0;
    float logits[VOCAB];
    (void)state;

    for (int i = 0; i < VOCAB; i++)
        logits[i] = i < 6 ? (float)log(p[i]) : -INFINITY;
    for (int i = 0; i < 6; i++)
        sum += q[i] = sqrt(p[i]);
    for (int i = 0; i < 6; i++)
        q[i] /= sum;
    auk_sample_options o = {.temperature = 2, .top_p = 1, .seed = 8};
    assert_true(chi_square(&o, logits, q, 6, 20000) < 20.5);
    o.temperature = 1;
    assert_true(chi_square(&o, logits, q, 6, 20000) > 100); /* the test can fail */
}

static void top_p_keeps_the_fewest_that_reach_it(void **state)
{
    static const double p[] = {0.4, 0.25, 0.15, 0.1, 0.07, 0.03};
    static const double kept3[] = {0.5, 0.3125, 0.1875}; /* of 0.8: 0.7 is reached by three */
    float logits[VOCAB];
    (void)state;

    for (int i = 0; i < VOCAB; i++)
        logits[i] = i < 6 ? (float)log(p[i]) : -INFINITY;
    auk_sample_options o = {.temperature = 1, .top_p = 0.7f, .seed = 3};
    assert_true(chi_square(&o, logits, kept3, 3, 20000) < 13.8); /* 2 degrees, 0.1 % */
}

static void top_k_shares_out_what_it_leaves_out(void **state)
{
    static const double p[] = {0.4, 0.25, 0.15, 0.1, 0.07, 0.03};
    static const double kept2[] = {0.4 / 0.65, 0.25 / 0.65};
    float logits[VOCAB];
    (void)state;

    for (int i = 0; i < VOCAB; i++)
        logits[i] = i < 6 ? (float)log(p[i]) : -INFINITY;
    auk_sample_options o = {.temperature = 1, .top_p = 1, .top_k = 2, .seed = 3};
    assert_true(chi_square(&o, logits, kept2, 2, 20000) < 10.8); /* 1 degree, 0.1 % */
}

static void settings_outside_their_range_are_refused(void **state)
{
    static const auk_sample_options bad[] = {
        {.temperature = -0.1f, .top_p = 1},
        {.temperature = 101, .top_p = 1},
        {.temperature = NAN, .top_p = 1},
        {.temperature = INFINITY, .top_p = 1},
        {.temperature = 1, .top_p = 0},
        {.temperature = 1, .top_p = 1.01f},
        {.temperature = 1, .top_p = NAN},
        {.temperature = 1, .top_p = -1},
        {.temperature = 1, .top_p = 1, .top_k = -1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        auk_sampler *s;
        auk_err err = {0};
        assert_int_equal(auk_sampler_new(&s, VOCAB, &bad[i], &err), AUK_EINVAL);
        assert_null(s);
        assert_true(err.msg[0] != 0);
    }
}

static void a_top_k_above_the_vocabulary_keeps_everything(void **state)
{
    auk_sample_options o = {.temperature = 1, .top_p = 1, .top_k = 1000000, .seed = 1};
    auk_sampler *s = make(&o);
    float logits[VOCAB] = {0};
    (void)state;

    for (int i = 0; i < 1000; i++)
        assert_in_range(auk_sampler_pick(s, &kernel, logits), 0, VOCAB - 1);
    auk_sampler_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vendors_settings_are_the_default),
        cmocka_unit_test(greedy_takes_the_lowest_id_of_the_largest),
        cmocka_unit_test(one_candidate_is_the_most_probable_one),
        cmocka_unit_test(of_equal_logits_top_k_keeps_the_lowest_ids),
        cmocka_unit_test(the_same_seed_gives_the_same_ids),
        cmocka_unit_test(every_processor_level_picks_the_same),
        cmocka_unit_test(frequencies_are_those_of_the_distribution),
        cmocka_unit_test(temperature_raises_probabilities_to_its_inverse),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_it),
        cmocka_unit_test(top_k_shares_out_what_it_leaves_out),
        cmocka_unit_test(settings_outside_their_range_are_refused),
        cmocka_unit_test(a_top_k_above_the_vocabulary_keeps_everything),
    };

    auk_kernel_init(&kernel, auk_cpu_detect());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
