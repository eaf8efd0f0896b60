/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ids.h"

json_t *auk_ids_json(const auk_ids *ids)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ids->n; i++)
        json_array_append_new(list, json_integer(ids->p[i]));
    return list;
}
