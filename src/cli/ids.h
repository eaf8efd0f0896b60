/* SPDX-License-Identifier: Apache-2.0 */
/* ids.h - token ids as JSON. */
#ifndef AUK_CLI_IDS_H
#define AUK_CLI_IDS_H

#include "text/text.h"

json_t *auk_ids_json(const auk_ids *ids); /* a new array */

#endif
