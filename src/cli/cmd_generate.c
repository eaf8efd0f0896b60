/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/mem.h"
#include "engine/engine.h"

typedef struct generate_args {
    auk_common common;
    const char *ids, *precision;
    int max_tokens;
    bool greedy;
} generate_args;

static const auk_opt options[] = {
    {"ids", AUK_OPT_STR, offsetof(generate_args, ids), "FILE",
     "JSON array of token ids (required)"},
    {"max-tokens", AUK_OPT_INT, offsetof(generate_args, max_tokens), "N",
     "tokens to generate (default 64); generation does not stop at an end of turn"},
    {"greedy", AUK_OPT_FLAG, offsetof(generate_args, greedy), NULL,
     "take the most probable token (the only method of this command)"},
    {"precision", AUK_OPT_STR, offsetof(generate_args, precision), "P", "f32 (default) or bf16"},
    {0},
};

/* The largest logit's lead over the second largest. */
static double margin(const float *logits, int n, int32_t best)
{
    float second = -3.4e38f;

    for (int i = 0; i < n; i++)
        if (i != best && logits[i] > second)
            second = logits[i];
    return (double)logits[best] - (double)second;
}

static int generate(json_t **out, auk_engine *e, const int32_t *ids, size_t n, int max_tokens,
                    auk_err *err)
{
    auk_session *s = NULL;
    float *logits = NULL;
    json_t *got = json_array(), *margins = json_array();
    int vocab = auk_engine_vocab(e);

    int rc = auk_session_new(&s, e, (int)n + max_tokens, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&logits, (size_t)vocab, sizeof *logits, err);
    if (rc == AUK_OK)
        rc = auk_session_feed(s, ids, n, logits, err);
    for (int i = 0; i < max_tokens && rc == AUK_OK; i++) {
        int32_t id = (int32_t)auk_engine_kernel(e)->argmax(logits, (size_t)vocab);
        json_array_append_new(got, json_integer(id));
        json_array_append_new(margins, auk_json_real(margin(logits, vocab, id)));
        if (i + 1 < max_tokens)
            rc = auk_session_feed(s, &id, 1, logits, err);
    }
    *out =
        json_pack("{s:s, s:o, s:o}", "schema", "auklet.generate/1", "ids", got, "margins", margins);
    free(logits);
    auk_session_free(s);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    generate_args a = {.precision = "f32", .max_tokens = 64, .greedy = true};
    auk_engine_options opts = {0};
    auk_engine *e = NULL;
    int32_t *ids = NULL;
    json_t *out = NULL;
    size_t n = 0;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.ids == NULL)
        return auk_cli_usage(self, "--ids is required");
    if (a.max_tokens < 1)
        return auk_cli_usage(self, "option '--max-tokens': %d is not positive", a.max_tokens);
    if (strcmp(a.precision, "f32") != 0 && strcmp(a.precision, "bf16") != 0)
        return auk_cli_usage(self, "option '--precision': '%s' is neither f32 nor bf16",
                             a.precision);
    if (!a.greedy)
        return auk_cli_usage(self, "only --greedy is offered here; 'run' samples");
    opts.precision = a.precision[0] == 'f' ? AUK_PRECISION_F32 : AUK_PRECISION_BF16;
    opts.threads = a.common.threads;
    int rc = auk_cli_cpu(&opts.cpu_flags, &a.common, &err);
    if (rc == AUK_OK)
        rc = auk_cli_read_ids(&ids, &n, a.ids, &err);
    if (rc == AUK_OK && n > (size_t)(INT32_MAX - a.max_tokens))
        rc = auk_fail(&err, AUK_ELIMIT, "'%s' holds too many ids", a.ids);
    if (rc == AUK_OK)
        rc = auk_engine_open(&e, a.common.arg[0], &opts, &err);
    if (rc == AUK_OK)
        rc = generate(&out, e, ids, n, a.max_tokens, &err);
    auk_engine_close(e);
    free(ids);
    if (rc < 0) {
        json_decref(out);
        return auk_cli_fail(&err);
    }
    return auk_cli_print_json(out);
}

const auk_cmd auk_cmd_generate = {
    .name = "generate",
    .run = run,
    .usage = "generate MODEL --ids FILE --max-tokens N --greedy [options]",
    .summary = "continue a token sequence greedily; prints ids and their margins",
    .examples = "  auklet generate data/miniature --ids ids.json --max-tokens 32 --greedy\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
