/* SPDX-License-Identifier: Apache-2.0 */
/* openai.h - what the dialects share that were made after OpenAI's.  Private to serve/. */
#ifndef AUK_SERVE_OPENAI_H
#define AUK_SERVE_OPENAI_H

#include "serve/ask.h"

#define AUK_MAX_TOOLS 16384

int auk_openai_parse(auk_ask *ask, const json_t *o, auk_err *err);

/* One message as the template wants it, through *out also on failure. */
int auk_openai_message(json_t **out, const json_t *message, size_t i, auk_err *err);

/* {"type": "function", "function": ...}, or the function itself; other types are left out. */
int auk_openai_tools(auk_ask *ask, const json_t *tools, auk_err *err);
int auk_openai_choice(auk_ask *ask, const json_t *v, auk_err *err);
int auk_choose_tool(auk_ask *ask, auk_choice choice, auk_str name, auk_err *err);
void auk_openai_reasoning(auk_ask *ask, const json_t *o);

const char *auk_openai_finish(auk_end end);

#endif
