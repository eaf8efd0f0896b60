/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "base/mem.h"
#include "base/rng.h"

typedef struct candidate {
    float p;
    int32_t id;
} candidate;

struct auk_sampler {
    auk_sample_options opts;
    auk_rng rng;
    int vocab;
    float *p;        /* owned; probabilities */
    candidate *heap; /* owned */
};

auk_sample_options auk_sample_defaults(void)
{
    return (auk_sample_options){.temperature = 1.0f, .top_p = 0.95f};
}

int auk_sampler_new(auk_sampler **out, int vocab, const auk_sample_options *opts, auk_err *err)
{
    auk_sampler *s = auk_alloc(sizeof *s);

    *out = NULL;
    s->opts = *opts;
    s->rng = auk_rng_make(opts->seed);
    s->vocab = vocab;
    int rc = AUK_OK;
    if (!(opts->temperature >= 0) || !(opts->temperature <= 100))
        rc = auk_fail(err, AUK_EINVAL, "temperature is not within 0 to 100");
    else if (!(opts->top_p > 0) || !(opts->top_p <= 1))
        rc = auk_fail(err, AUK_EINVAL, "top-p is not within (0, 1]");
    else if (opts->top_k < 0)
        rc = auk_fail(err, AUK_EINVAL, "top-k is negative");
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->p, (size_t)vocab, sizeof *s->p, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&s->heap, (size_t)vocab, sizeof *s->heap, err);
    if (rc == AUK_OK) {
        *out = s;
        s = NULL;
    }
    auk_sampler_free(s);
    return rc;
}

void auk_sampler_free(auk_sampler *s)
{
    if (s == NULL)
        return;
    free(s->p);
    free(s->heap);
    free(s);
}

/* The more probable first, the lower id on equality. */
static bool before(candidate a, candidate b)
{
    return a.p != b.p ? a.p > b.p : a.id < b.id;
}

static void sift(candidate *heap, size_t n, size_t i)
{
    candidate c = heap[i];

    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], c))
            break;
        heap[i] = heap[child];
    }
    heap[i] = c;
}

/* Takes candidates off a heap, best first, until they reach top_p or top_k; they end up at the
 * back of the array, in heap[n_all - kept ..).  Usually a few of many, so no full sort. */
static size_t keep_best(auk_sampler *s, size_t n, double *sum)
{
    size_t limit = s->opts.top_k > 0 && (size_t)s->opts.top_k < n ? (size_t)s->opts.top_k : n;
    size_t kept = 0;

    for (size_t i = n / 2; i-- > 0;)
        sift(s->heap, n, i);
    *sum = 0;
    while (kept < limit && (kept == 0 || *sum < (double)s->opts.top_p)) {
        candidate best = s->heap[0];
        s->heap[0] = s->heap[n - 1 - kept];
        s->heap[n - 1 - kept] = best;
        kept++;
        sift(s->heap, n - kept, 0);
        *sum += (double)best.p;
    }
    return kept;
}

int32_t auk_sampler_pick(auk_sampler *s, const auk_kernel *k, const float *logits)
{
    size_t n = (size_t)s->vocab;
    double sum;

    if (s->opts.temperature == 0)
        return (int32_t)k->argmax(logits, n);
    for (size_t i = 0; i < n; i++)
        s->p[i] = logits[i] / s->opts.temperature;
    k->softmax(s->p, n);
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (s->p[i] > 0)
            s->heap[m++] = (candidate){s->p[i], (int32_t)i};
    if (m == 0)
        return (int32_t)k->argmax(logits, n);
    size_t kept = keep_best(s, m, &sum);
    double x = auk_rng_unit(&s->rng) * sum;
    for (size_t i = 0; i < kept; i++) {
        x -= (double)s->heap[m - 1 - i].p;
        if (x < 0)
            return s->heap[m - 1 - i].id;
    }
    return s->heap[m - kept].id;
}
