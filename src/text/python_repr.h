/* SPDX-License-Identifier: Apache-2.0 */
/* python_repr.h - how Python prints a value: the chat template prints schemas that way. */
#ifndef AUK_TEXT_PYTHON_REPR_H
#define AUK_TEXT_PYTHON_REPR_H

#include "base/json.h"

/* Appends repr(v). */
void auk_python_repr(auk_buf *out, const json_t *v);

/* What Python takes for true: not null, false, 0, "" or an empty list or dict; NULL is false. */
bool auk_python_true(const json_t *v);

#endif
