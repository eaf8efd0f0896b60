/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/ids.h"

typedef struct tokenize_args {
    auk_common common;
    bool special;
    auk_tokenizer *tok; /* owned */
} tokenize_args;

static const auk_opt options[] = {
    {"special", AUK_OPT_FLAG, offsetof(tokenize_args, special), NULL,
     "control tokens written in the text become control tokens"},
    {0},
};

static int tokenize_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    const tokenize_args *a = ctx;
    const json_t *text = json_object_get(in, "text");
    auk_ids ids = {0};

    if (!json_is_string(text))
        return auk_fail(err, AUK_EFORMAT, "want an object with a string 'text'");
    int rc = auk_tokenizer_encode(&ids, a->tok, auk_json_str(text), a->special, err);
    if (rc == AUK_OK)
        *out = json_pack("{s:o}", "ids", auk_ids_json(&ids));
    auk_ids_release(&ids);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    tokenize_args a = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (auk_tokenizer_open(&a.tok, a.common.arg[0], &err) < 0)
        return auk_cli_fail(&err);
    status = auk_cli_lines(tokenize_line, &a);
    auk_tokenizer_close(a.tok);
    return status;
}

const auk_cmd auk_cmd_tokenize = {
    .name = "tokenize",
    .run = run,
    .usage = "tokenize MODEL|tokenizer.json [options]",
    .summary = "text to token ids: lines of {\"text\"} to lines of {\"ids\"}",
    .examples = "  echo '{\"text\": \"def f():\"}' | auklet tokenize data/miniature\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
