/* SPDX-License-Identifier: Apache-2.0 */
/* headline.h - what items say, computed as the ledger computes it. */
#ifndef AUK_CLI_HEADLINE_H
#define AUK_CLI_HEADLINE_H

#include "cli/record.h"

/* The headline of an array of items of this kind. */
AUK_MUST_CHECK int auk_cli_headline(json_t **out, const char *kind, const json_t *items,
                                    auk_err *err);

/* Values at a path: 0 and NAN where there is none. */
long long auk_cli_int(const json_t *v, const char *path);
double auk_cli_real(const json_t *v, const char *path);
const char *auk_cli_text(const json_t *v, const char *path); /* "" where there is none */

/* "n/a" for NAN; else v with so many digits behind the point. */
const char *auk_cli_number(char out[32], double v, int digits);

#endif
