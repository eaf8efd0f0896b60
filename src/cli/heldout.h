/* SPDX-License-Identifier: Apache-2.0 */
/* heldout.h - the code text that compare scores when the folder brings none of its own. */
#ifndef AUK_CLI_HELDOUT_H
#define AUK_CLI_HELDOUT_H

extern const char auk_heldout_text[];

#endif
