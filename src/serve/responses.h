/* SPDX-License-Identifier: Apache-2.0 */
/* responses.h - the two halves of OpenAI's Responses.  Private to serve/. */
#ifndef AUK_SERVE_RESPONSES_H
#define AUK_SERVE_RESPONSES_H

#include "serve/openai.h"

int auk_responses_parse(auk_ask *ask, const json_t *o, auk_err *err);

#endif
