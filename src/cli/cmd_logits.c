/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"

#include "base/mem.h"
#include "engine/engine.h"

#include <errno.h>
#include <sys/stat.h>

typedef struct logits_args {
    auk_common common;
    const char *ids, *output, *precision, *hidden, *router;
    bool last;
} logits_args;

static const auk_opt options[] = {
    {"ids", AUK_OPT_STR, offsetof(logits_args, ids), "FILE", "JSON array of token ids (required)"},
    {"output", AUK_OPT_STR, offsetof(logits_args, output), "OUT.npy",
     "float32 [tokens, vocab] (required; also -o)"},
    {"precision", AUK_OPT_STR, offsetof(logits_args, precision), "P",
     "f32 (default): nothing rounded; bf16: as the published model"},
    {"last", AUK_OPT_FLAG, offsetof(logits_args, last), NULL, "only the last position's logits"},
    {"hidden", AUK_OPT_STR, offsetof(logits_args, hidden), "DIR",
     "also write each layer's output, hidden.N.npy (0: the embeddings)"},
    {"router", AUK_OPT_STR, offsetof(logits_args, router), "DIR",
     "also write router.N.logits, .experts and .weights"},
    {0},
};

/* Files that fill up row by row while the layers run. */
typedef struct writer {
    const auk_hparams *hp;
    auk_npy *out;
    auk_npy **hidden;    /* n_layers + 1, or NULL */
    auk_npy **router[3]; /* n_layers each, or NULL */
    bool last;
    size_t n;
    int rc; /* the first failure inside a tap */
    auk_err *err;
} writer;

static int make_dir(const char *dir, auk_err *err)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return auk_fail_errno(err, "cannot make folder '%s'", dir);
    return AUK_OK;
}

static int open_one(auk_npy **out, const char *dir, const char *format, int layer, auk_dtype dtype,
                    size_t rows, int cols, auk_err *err)
{
    char name[64];

    snprintf(name, sizeof name, format, layer);
    char *path = auk_path_join(dir, name);
    int rc = auk_npy_create(out, path, dtype, rows, (uint64_t)cols, err);
    free(path);
    return rc;
}

static int open_taps(writer *w, const logits_args *a, auk_err *err)
{
    size_t layers = (size_t)w->hp->n_layers;
    int rc = AUK_OK;

    if (a->hidden != NULL) {
        w->hidden = auk_alloc((layers + 1) * sizeof *w->hidden);
        rc = make_dir(a->hidden, err);
        for (size_t i = 0; i <= layers && rc == AUK_OK; i++)
            rc = open_one(&w->hidden[i], a->hidden, "hidden.%d.npy", (int)i, AUK_DT_F32, w->n,
                          w->hp->hidden, err);
    }
    if (a->router == NULL || rc < 0)
        return rc;
    for (int j = 0; j < 3; j++)
        w->router[j] = auk_alloc(layers * sizeof *w->router[j]);
    rc = make_dir(a->router, err);
    for (int i = w->hp->n_dense; i < w->hp->n_layers && rc == AUK_OK; i++) {
        rc = open_one(&w->router[0][i], a->router, "router.%d.logits.npy", i, AUK_DT_F32, w->n,
                      w->hp->n_experts, err);
        if (rc == AUK_OK)
            rc = open_one(&w->router[1][i], a->router, "router.%d.experts.npy", i, AUK_DT_I32, w->n,
                          w->hp->top_k, err);
        if (rc == AUK_OK)
            rc = open_one(&w->router[2][i], a->router, "router.%d.weights.npy", i, AUK_DT_F32, w->n,
                          w->hp->top_k, err);
    }
    return rc;
}

static void put(writer *w, auk_npy *npy, const void *values, size_t n)
{
    if (w->rc == AUK_OK)
        w->rc = auk_npy_write(npy, values, n, w->err);
}

static void on_hidden(void *ctx, int layer, const float *h, size_t n)
{
    writer *w = ctx;
    put(w, w->hidden[layer + 1], h, n * (size_t)w->hp->hidden);
}

static void on_router(void *ctx, int layer, const float *logits, const int32_t *ids,
                      const float *weights, size_t n)
{
    writer *w = ctx;

    put(w, w->router[0][layer], logits, n * (size_t)w->hp->n_experts);
    put(w, w->router[1][layer], ids, n * (size_t)w->hp->top_k);
    put(w, w->router[2][layer], weights, n * (size_t)w->hp->top_k);
}

static int on_rows(void *ctx, size_t first, const float *logits, size_t n, auk_err *err)
{
    writer *w = ctx;
    size_t vocab = (size_t)w->hp->vocab;

    if (w->rc < 0)
        return w->rc;
    if (!w->last)
        return auk_npy_write(w->out, logits, n * vocab, err);
    return first + n == w->n ? auk_npy_write(w->out, logits + (n - 1) * vocab, vocab, err) : AUK_OK;
}

static int finish(auk_npy **npy, int rc, auk_err *err)
{
    if (*npy != NULL && rc == AUK_OK)
        rc = auk_npy_finish(*npy, err);
    else
        auk_npy_abandon(*npy);
    *npy = NULL;
    return rc;
}

/* Gives every file its final name, or none of them. */
static int close_all(writer *w, int rc, auk_err *err)
{
    for (int i = 0; i <= w->hp->n_layers; i++) {
        if (w->hidden != NULL)
            rc = finish(&w->hidden[i], rc, err);
        for (int j = 0; j < 3; j++)
            if (w->router[j] != NULL && i < w->hp->n_layers)
                rc = finish(&w->router[j][i], rc, err);
    }
    rc = finish(&w->out, rc, err);
    free(w->hidden);
    for (int j = 0; j < 3; j++)
        free(w->router[j]);
    return rc;
}

static int compute(auk_engine *e, const logits_args *a, const int32_t *ids, size_t n, auk_err *err)
{
    writer w = {.hp = &auk_engine_model(e)->hp, .last = a->last, .n = n, .err = err};
    auk_tap tap = {a->hidden ? on_hidden : NULL, a->router ? on_router : NULL, &w};
    auk_session *s = NULL;

    int rc = n > INT32_MAX ? auk_fail(err, AUK_ELIMIT, "%zu ids are too many", n)
                           : auk_session_new(&s, e, (int)n, err);
    if (rc == AUK_OK)
        rc = auk_npy_create(&w.out, a->output, AUK_DT_F32, a->last ? 1 : n, (uint64_t)w.hp->vocab,
                            err);
    if (rc == AUK_OK)
        rc = open_taps(&w, a, err);
    if (rc == AUK_OK)
        rc = auk_session_feed_all(s, ids, n, &tap, on_rows, &w, err);
    if (rc == AUK_OK)
        rc = w.rc;
    rc = close_all(&w, rc, err);
    auk_session_free(s);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    logits_args a = {.precision = "f32"};
    auk_engine_options opts = {0};
    auk_engine *e = NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.ids == NULL || a.output == NULL)
        return auk_cli_usage(self, "--ids and --output are required");
    if (strcmp(a.precision, "f32") != 0 && strcmp(a.precision, "bf16") != 0)
        return auk_cli_usage(self, "option '--precision': '%s' is neither f32 nor bf16",
                             a.precision);
    opts.precision = a.precision[0] == 'f' ? AUK_PRECISION_F32 : AUK_PRECISION_BF16;
    opts.threads = a.common.threads;
    int rc = auk_cli_cpu(&opts.cpu_flags, &a.common, &err);
    if (rc == AUK_OK)
        rc = auk_cli_read_ids(&ids, &n, a.ids, &err);
    if (rc == AUK_OK)
        rc = auk_engine_open(&e, a.common.arg[0], &opts, &err);
    if (rc == AUK_OK)
        rc = compute(e, &a, ids, n, &err);
    status = 0;
    if (rc == AUK_OK && a.common.json)
        status =
            auk_cli_print_json(json_pack("{s:s, s:I, s:i}", "schema", "auklet.logits/1", "tokens",
                                         (json_int_t)n, "vocab", auk_engine_vocab(e)));
    auk_engine_close(e);
    free(ids);
    return rc < 0 ? auk_cli_fail(&err) : status;
}

const auk_cmd auk_cmd_logits = {
    .name = "logits",
    .run = run,
    .usage = "logits MODEL --ids FILE -o OUT.npy [options]",
    .summary = "the model's scores for every position of a token sequence",
    .examples = "  auklet logits data/miniature --ids ids.json -o logits.npy\n"
                "  auklet logits MODEL --ids ids.json -o l.npy --precision bf16 --hidden layers\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
