/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - the prompt as control tokens and runs of text between them. */
#ifndef AUK_TEXT_TEMPLATE_H
#define AUK_TEXT_TEMPLATE_H

#include "base/json.h"

/* Where a prompt goes.  Runs are never empty. */
typedef struct auk_prompt_sink {
    void *ctx;
    int (*control)(void *ctx, const char *token, auk_err *err);
    int (*run)(void *ctx, auk_str text, auk_err *err);
} auk_prompt_sink;

AUK_MUST_CHECK int auk_prompt_write(const auk_prompt_sink *sink, const json_t *request,
                                    auk_err *err);

#endif
