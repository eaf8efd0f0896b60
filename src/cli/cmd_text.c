/* SPDX-License-Identifier: Apache-2.0 */
/* The four text stages: tokenize, detokenize, render, parse.  Lines in, lines out. */
#include "cli/cli.h"

#include "base/limits.h"
#include "base/mem.h"
#include "text/text.h"

typedef struct text_args {
    auk_common common;
    bool special, skip_special, no_think, ids;
    auk_tokenizer *tok; /* owned */
} text_args;

/* ---- tokenize ----------------------------------------------------------------------------- */

static json_t *ids_json(const auk_ids *ids)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ids->n; i++)
        json_array_append_new(list, json_integer(ids->p[i]));
    return list;
}

static int tokenize_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    const text_args *a = ctx;
    const json_t *text = json_object_get(in, "text");
    auk_ids ids = {0};

    if (!json_is_string(text))
        return auk_fail(err, AUK_EFORMAT, "want an object with a string 'text'");
    int rc = auk_tokenizer_encode(&ids, a->tok, auk_json_str(text), a->special, err);
    if (rc == AUK_OK)
        *out = json_pack("{s:o}", "ids", ids_json(&ids));
    auk_ids_release(&ids);
    return rc;
}

static int detokenize_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    const text_args *a = ctx;
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

static int with_tokenizer(const auk_cmd *self, int argc, char **argv, auk_line_fn *line)
{
    text_args a = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (auk_tokenizer_open(&a.tok, a.common.arg[0], &err) < 0)
        return auk_cli_fail(&err);
    status = auk_cli_lines(line, &a);
    auk_tokenizer_close(a.tok);
    return status;
}

static int tokenize(const auk_cmd *self, int argc, char **argv)
{
    return with_tokenizer(self, argc, argv, tokenize_line);
}

static int detokenize(const auk_cmd *self, int argc, char **argv)
{
    return with_tokenizer(self, argc, argv, detokenize_line);
}

/* ---- render ------------------------------------------------------------------------------- */

static int render_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    const text_args *a = ctx;
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_ids ids = {0};

    int rc = auk_render(&text, in, err);
    if (rc == AUK_OK && a->ids)
        rc = auk_render_ids(&ids, a->tok, in, err);
    if (rc == AUK_OK)
        *out = json_pack("{s:o}", "text", json_stringn(auk_buf_str(&text).p, text.n));
    if (rc == AUK_OK && a->ids)
        json_object_set_new(*out, "ids", ids_json(&ids));
    auk_buf_release(&text);
    auk_ids_release(&ids);
    return rc;
}

static int render(const auk_cmd *self, int argc, char **argv)
{
    text_args a = {0};
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

/* ---- parse -------------------------------------------------------------------------------- */

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
    const text_args *a = ctx;
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

static int parse(const auk_cmd *self, int argc, char **argv)
{
    text_args a = {0};

    int status = auk_opt_parse(self, &a, argc, argv);
    return status != AUK_OPT_GO ? status : auk_cli_lines(parse_line, &a);
}

/* ---- tables ------------------------------------------------------------------------------- */

static const auk_opt tokenize_options[] = {
    {"special", AUK_OPT_FLAG, offsetof(text_args, special), NULL,
     "control tokens written in the text become control tokens"},
    {0},
};

static const auk_opt detokenize_options[] = {
    {"skip-special", AUK_OPT_FLAG, offsetof(text_args, skip_special), NULL,
     "leave out tokens declared special"},
    {0},
};

static const auk_opt render_options[] = {
    {"ids", AUK_OPT_FLAG, offsetof(text_args, ids), NULL,
     "also the prompt's token ids, control tokens from the template only"},
    {0},
};

static const auk_opt parse_options[] = {
    {"no-think", AUK_OPT_FLAG, offsetof(text_args, no_think), NULL,
     "the prompt ended after a closed thinking block"},
    {0},
};

const auk_cmd auk_cmd_tokenize = {
    .name = "tokenize",
    .run = tokenize,
    .usage = "tokenize MODEL|tokenizer.json [options]",
    .summary = "text to token ids: lines of {\"text\"} to lines of {\"ids\"}",
    .examples = "  echo '{\"text\": \"def f():\"}' | auklet tokenize data/miniature\n",
    .options = tokenize_options,
    .min_args = 1,
    .max_args = 1,
};

const auk_cmd auk_cmd_detokenize = {
    .name = "detokenize",
    .run = detokenize,
    .usage = "detokenize MODEL|tokenizer.json [options]",
    .summary = "token ids to text: lines of {\"ids\"} to lines of {\"text\"}",
    .examples = "  echo '{\"ids\": [5, 6, 7]}' | auklet detokenize data/miniature\n",
    .options = detokenize_options,
    .min_args = 1,
    .max_args = 1,
};

const auk_cmd auk_cmd_render = {
    .name = "render",
    .run = render,
    .usage = "render MODEL [options]",
    .summary = "chat requests to prompts: lines of {\"messages\": ...} to lines of {\"text\"}",
    .examples = "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"HI\"}]}' | "
                "auklet render data/miniature\n",
    .options = render_options,
    .min_args = 1,
    .max_args = 1,
};

const auk_cmd auk_cmd_parse = {
    .name = "parse",
    .run = parse,
    .usage = "parse [MODEL] [options]",
    .summary = "what a model wrote to thinking, text and tool calls, with an outcome",
    .examples = "  echo '{\"text\": \"hm<|END_THINKING|><|START_TEXT|>Hi<|END_TEXT|>\"}' | "
                "auklet parse data/miniature\n",
    .options = parse_options,
    .min_args = 0,
    .max_args = 1,
};
