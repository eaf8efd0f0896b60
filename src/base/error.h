/* SPDX-License-Identifier: Apache-2.0 */
/* error.h - the one way a function reports failure.
 *
 * A function that can fail returns int: AUK_OK (0) or a negative auk_code.  Its last parameter
 * is an auk_err the caller owns.  It is written only on failure, by the function that first
 * noticed the problem.  Callers add nothing: they release what they hold and pass the code on. */
#ifndef AUK_BASE_ERROR_H
#define AUK_BASE_ERROR_H

#include "auklet.h"
#include "base/banned.h"

/* Fills *err (NULL: no text wanted) and returns code, so that a failure is one statement:
 *     return auk_fail(err, AUK_EFORMAT, "tensor '%s' has %d dims, want 2", name, n);
 * Control characters that came in with a name are printed as '?', so a message stays one line. */
int auk_fail(auk_err *err, int code, const char *fmt, ...) AUK_PRINTF(3, 4);

/* Like auk_fail with AUK_EIO (AUK_ENOTFOUND for ENOENT) and ": " strerror(errno) appended. */
int auk_fail_errno(auk_err *err, const char *fmt, ...) AUK_PRINTF(2, 3);

/* "format", "not supported" ...: the word --json and the ledger use for a code. */
const char *auk_code_name(int code);

#endif
