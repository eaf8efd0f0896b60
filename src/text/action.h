/* SPDX-License-Identifier: Apache-2.0 */
/* action.h - one JSON object of an action as a tool call. */
#ifndef AUK_TEXT_ACTION_H
#define AUK_TEXT_ACTION_H

#include "text/text.h"

/* False when the text is not a call that can be run.  On success out->source is the caller's. */
bool auk_action_read(auk_call *out, auk_str object);

#endif
