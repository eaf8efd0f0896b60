/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h - the Python texts that run inside boxes. */
#ifndef AUK_EVAL_DRIVER_H
#define AUK_EVAL_DRIVER_H

extern const char auk_script_checker[]; /* compiles what it is sent: pychecker.c */
extern const char auk_script_score[];   /* runs a program and its tests: score.c */
extern const char auk_script_server[];  /* the same, for one program after another */

#endif
