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

/* Who speaks in a message, whatever the case of its role. */
typedef enum auk_speaker { AUK_SYSTEM, AUK_USER, AUK_ASSISTANT, AUK_TOOL, AUK_NOBODY } auk_speaker;

auk_speaker auk_speaker_of(const json_t *message);

/* Checks the shape of the messages, and fills `ids`, an object: from a client's call id to the
 * index of the first call of the conversation that has it. */
AUK_MUST_CHECK int auk_request_check(const json_t *request, json_t *ids, auk_err *err);

extern const char auk_text_platform[], auk_text_grounding[], auk_text_document_tool[],
    auk_text_json_mode[];

#endif
