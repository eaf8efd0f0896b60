/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - what every reader of original files checks. */
#ifndef AUK_SWEBENCH_SOURCE_H
#define AUK_SWEBENCH_SOURCE_H

#include "base/str.h"

/* AUK_EINVAL for a file that is not edited: too large, binary, not UTF-8. */
AUK_MUST_CHECK int auk_source_check(auk_str text, const char *path, auk_err *err);

#endif
