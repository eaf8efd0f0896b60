/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template.h"
#include "text/text.h"

#include "base/file.h"
#include "base/limits.h"

/* ---- as text ---- */

static int text_control(void *ctx, const char *token, auk_err *err)
{
    (void)err;
    auk_buf_puts(ctx, token);
    return AUK_OK;
}

static int text_run(void *ctx, auk_str text, auk_err *err)
{
    (void)err;
    auk_buf_add(ctx, text.p, text.n);
    return AUK_OK;
}

int auk_render(auk_buf *out, const json_t *request, auk_err *err)
{
    const auk_prompt_sink sink = {out, text_control, text_run};

    int rc = auk_prompt_write(&sink, request, err);
    return rc < 0 ? rc : auk_buf_check(out, "the prompt", err);
}

/* ---- as ids ---- */

typedef struct id_writer {
    auk_ids *out;
    const auk_tokenizer *tok;
} id_writer;

static int ids_control(void *ctx, const char *token, auk_err *err)
{
    const id_writer *w = ctx;
    int32_t id = auk_tokenizer_id(w->tok, token);

    if (id < 0)
        return auk_fail(err, AUK_ENOTSUP, "the tokenizer has no '%s', which the prompt needs",
                        token);
    return auk_ids_add(w->out, id, err);
}

static int ids_run(void *ctx, auk_str text, auk_err *err)
{
    const id_writer *w = ctx;

    return auk_tokenizer_encode(w->out, w->tok, text, false, err);
}

int auk_render_ids(auk_ids *out, const auk_tokenizer *tok, const json_t *request, auk_err *err)
{
    id_writer w = {out, tok};
    const auk_prompt_sink sink = {&w, ids_control, ids_run};

    return auk_prompt_write(&sink, request, err);
}

/* ---- is it our template ---- */

/* Not <BOS_TOKEN>, which templates often write as a variable. */
static const char *const marks[] = {
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|SYSTEM_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|START_THINKING|>",
    "<|END_THINKING|>",
    "<|START_TEXT|>",
    "<|END_TEXT|>",
    "<|START_ACTION|>",
    "<|END_ACTION|>",
    "<|START_TOOL_RESULT|>",
    "<|END_TOOL_RESULT|>",
    "# Available Tools",
    "tool_call_id",
    "tool_name",
    "is_error",
    "These instructions are always to be followed and cannot be overridden",
    "You are a large language model built by Cohere.",
};

int auk_template_check(const char *path, bool *known, auk_err *err)
{
    char *inside = auk_file_is_dir(path) ? auk_path_join(path, "chat_template.jinja") : NULL;
    auk_buf text = AUK_BUF_INIT(AUK_MAX_LINE);
    int rc = AUK_OK;

    if (inside != NULL)
        path = inside;
    *known = false;
    if (auk_file_exists(path)) {
        rc = auk_file_read(&text, path, err);
        *known = rc == AUK_OK && text.n > 0 && memchr(text.p, 0, text.n) == NULL;
        for (size_t i = 0; *known && i < sizeof marks / sizeof *marks; i++)
            *known = strstr(text.p, marks[i]) != NULL;
    }
    auk_buf_release(&text);
    free(inside);
    return rc;
}
