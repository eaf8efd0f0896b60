/* SPDX-License-Identifier: Apache-2.0 */
/* calibration_mix.h - data/calibration/mix.jsonl, which tools/calibration_mix.py makes, as the
 * build put it into the program. */
#ifndef AUK_CLI_CALIBRATION_MIX_H
#define AUK_CLI_CALIBRATION_MIX_H

#include <stddef.h>

extern const unsigned char auk_calibration_mix[];
extern const size_t auk_calibration_mix_bytes;

#endif
