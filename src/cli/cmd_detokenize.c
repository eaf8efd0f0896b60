/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/limits.h"
#include "text/text.h"

typedef struct detokenize_args {
    auk_common common;
    bool skip_special;
    auk_tokenizer *tok; /* owned */
} detokenize_args;

static const auk_opt options[] = {
    {"skip-special", AUK_OPT_FLAG, offsetof(detokenize_args, skip_special), NULL,
     "leave out tokens declared special"},
    {0},
};

static int detokenize_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    const detokenize_args *a = ctx;
    const json_t *list = json_object_get(in, "ids"), *v;
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_ids ids = {0};
    size_t i;
    int rc = AUK_OK;

    if (!json_is_array(list))
        return auk_fail(err, AUK_EFORMAT, "want an object with an array 'ids'");
    json_array_foreach(list, i, v)
    {
        json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id > INT32_MAX)
            rc = auk_fail(err, AUK_EFORMAT, "ids[%zu] is not a token id", i);
        else
            rc = auk_ids_add(&ids, (int32_t)id, err);
        if (rc < 0)
            break;
    }
    if (rc == AUK_OK)
        rc = auk_tokenizer_decode(&text, a->tok, ids.p, ids.n, a->skip_special, err);
    if (rc == AUK_OK)
        *out = json_pack("{s:o}", "text", json_stringn(auk_buf_str(&text).p, text.n));
    auk_ids_release(&ids);
    auk_buf_release(&text);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    detokenize_args a = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (auk_tokenizer_open(&a.tok, a.common.arg[0], &err) < 0)
        return auk_cli_fail(&err);
    status = auk_cli_lines(detokenize_line, &a);
    auk_tokenizer_close(a.tok);
    return status;
}

const auk_cmd auk_cmd_detokenize = {
    .name = "detokenize",
    .run = run,
    .usage = "detokenize MODEL|tokenizer.json [options]",
    .summary = "token ids to text: lines of {\"ids\"} to lines of {\"text\"}",
    .examples = "  echo '{\"ids\": [5, 6, 7]}' | auklet detokenize data/miniature\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
