/* SPDX-License-Identifier: Apache-2.0 */
/* time.h - a clock that only goes forward. */
#ifndef AUK_BASE_TIME_H
#define AUK_BASE_TIME_H

#include <stdint.h>

uint64_t auk_now_ns(void); /* monotonic; the origin means nothing */

#endif
