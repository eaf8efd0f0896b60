/* SPDX-License-Identifier: Apache-2.0 */
/* /openapi.json: made from the table of routes, so that it cannot differ from it. */
#include "serve/server_state.h"

#include <ctype.h>

static json_t *responses(void)
{
    static const char *const codes[] = {"200", "400", "401", "403", "404",
                                        "405", "413", "415", "501", "503"};
    json_t *o = json_object();

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        json_object_set_new(o, codes[i],
                            json_pack("{s:s}", "description", i == 0 ? "the answer" : "an error"));
    return o;
}

static json_t *request_body(const char *path)
{
    bool chat = strstr(path, "chat") != NULL || strstr(path, "messages") != NULL;
    json_t *schema = json_pack("{s:s}", "type", "object");

    if (chat)
        json_object_set_new(schema, "properties",
                            json_pack("{s:{s:s}, s:{s:s, s:{s:s}}, s:{s:s}, s:{s:s}}", "model",
                                      "type", "string", "messages", "type", "array", "items",
                                      "type", "object", "stream", "type", "boolean", "temperature",
                                      "type", "number"));
    return json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content", "application/json", "schema",
                     schema);
}

int auk_page_openapi(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                     auk_err *err)
{
    const char *method, *path, *summary;
    json_t *paths = json_object();

    (void)s, (void)c, (void)request, (void)err;
    for (size_t i = 0; auk_route_at(i, &method, &path, &summary); i++) {
        char full[128], lower[8] = "";
        bool below = strlen(path) > 1 && path[strlen(path) - 1] == '/';
        snprintf(full, sizeof full, "%s%s", path, below ? "{name}" : "");
        for (size_t k = 0; method[k] != 0 && k < sizeof lower - 1; k++)
            lower[k] = (char)tolower((unsigned char)method[k]);
        json_t *item = json_object_get(paths, full);
        if (item == NULL) {
            item = json_object();
            json_object_set_new(paths, full, item);
        }
        json_t *op = json_pack("{s:s, s:o}", "summary", summary, "responses", responses());
        if (below)
            json_object_set_new(op, "parameters",
                                json_pack("[{s:s, s:s, s:b, s:{s:s}}]", "name", "name", "in",
                                          "path", "required", 1, "schema", "type", "string"));
        if (strcmp(method, "POST") == 0)
            json_object_set_new(op, "requestBody", request_body(path));
        json_object_set_new(item, lower, op);
    }
    auk_response_json(a, 200,
                      json_pack("{s:s, s:{s:s, s:s}, s:o}", "openapi", "3.1.0", "info", "title",
                                "auklet", "version", AUK_VERSION, "paths", paths));
    return AUK_OK;
}
