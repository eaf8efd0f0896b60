/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/limits.h"
#include "cli/ids.h"

typedef struct render_args {
    auk_common common;
    bool ids;
    auk_tokenizer *tok; /* owned */
} render_args;

static const auk_opt options[] = {
    {"ids", AUK_OPT_FLAG, offsetof(render_args, ids), NULL,
     "also the prompt's token ids, control tokens from the template only"},
    {0},
};

static int render_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    const render_args *a = ctx;
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_ids ids = {0};

    int rc = auk_render(&text, in, err);
    if (rc == AUK_OK && a->ids)
        rc = auk_render_ids(&ids, a->tok, in, err);
    if (rc == AUK_OK)
        *out = json_pack("{s:o}", "text", json_stringn(auk_buf_str(&text).p, text.n));
    if (rc == AUK_OK && a->ids)
        json_object_set_new(*out, "ids", auk_ids_json(&ids));
    auk_buf_release(&text);
    auk_ids_release(&ids);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    render_args a = {0};
    bool known;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (auk_template_check(a.common.arg[0], &known, &err) < 0)
        return auk_cli_fail(&err);
    if (!known && !a.common.quiet)
        fprintf(stderr,
                "auklet: '%s' has no chat_template.jinja of North's form; rendering North's own\n",
                a.common.arg[0]);
    if (a.ids && auk_tokenizer_open(&a.tok, a.common.arg[0], &err) < 0)
        return auk_cli_fail(&err);
    status = auk_cli_lines(render_line, &a);
    auk_tokenizer_close(a.tok);
    return status;
}

const auk_cmd auk_cmd_render = {
    .name = "render",
    .run = run,
    .usage = "render MODEL [options]",
    .summary = "chat requests to prompts: lines of {\"messages\": ...} to lines of {\"text\"}",
    .examples = "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"HI\"}]}' | "
                "auklet render data/miniature\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
