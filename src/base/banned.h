/* SPDX-License-Identifier: Apache-2.0 */
/* banned.h - functions nobody calls here, made unusable: unbounded, locale-bound or hidden state.
 * Comes through error.h; system headers must be included after it only where they do not use
 * these names themselves, so it is a pragma (a use is an error), not a macro. */
#ifndef AUK_BASE_BANNED_H
#define AUK_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__GNUC__) && !defined(__clang__) && !defined(__cplusplus)
#pragma GCC poison strcpy strcat strncpy sprintf vsprintf strtok gets atoi atof atol
#pragma GCC poison gmtime localtime system popen
#endif

#endif
