/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "text/text.h"

typedef struct parse_args {
    auk_common common;
    bool no_think;
} parse_args;

static const auk_opt options[] = {
    {"no-think", AUK_OPT_FLAG, offsetof(parse_args, no_think), NULL,
     "the prompt ended after a closed thinking block"},
    {0},
};

static int feed(auk_parser *p, const json_t *in, auk_err *err)
{
    const json_t *text = json_object_get(in, "text"), *chunks = json_object_get(in, "chunks"), *v;
    size_t i;
    int rc = AUK_OK;

    if (json_is_string(text))
        return auk_parser_feed(p, auk_json_str(text), err);
    if (!json_is_array(chunks))
        return auk_fail(err, AUK_EFORMAT, "want an object with a string 'text' or a list 'chunks'");
    json_array_foreach(chunks, i, v)
    {
        if (!json_is_string(v))
            return auk_fail(err, AUK_EFORMAT, "chunks[%zu] is not a string", i);
        rc = auk_parser_feed(p, auk_json_str(v), err);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* A line may say {"reasoning": false}: the prompt's thinking block was closed already. */
static int parse_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    const parse_args *a = ctx;
    const json_t *reasoning = json_object_get(in, "reasoning");
    bool on = reasoning != NULL ? json_is_true(reasoning) : !a->no_think;
    auk_parser *p = auk_parser_new(on, NULL, NULL);
    auk_parsed parsed;

    int rc = feed(p, in, err);
    if (rc == AUK_OK)
        rc = auk_parser_finish(&parsed, p, err);
    if (rc == AUK_OK)
        auk_parsed_json(out, &parsed);
    auk_parser_free(p);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    parse_args a = {0};

    int status = auk_opt_parse(self, &a, argc, argv);
    return status != AUK_OPT_GO ? status : auk_cli_lines(parse_line, &a);
}

const auk_cmd auk_cmd_parse = {
    .name = "parse",
    .run = run,
    .usage = "parse [MODEL] [options]",
    .summary = "what a model wrote to thinking, text and tool calls, with an outcome",
    .examples = "  echo '{\"text\": \"hm<|END_THINKING|><|START_TEXT|>Hi<|END_TEXT|>\"}' | "
                "auklet parse data/miniature\n",
    .options = options,
    .min_args = 0,
    .max_args = 1,
};
