/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/headline.h"

#include "base/limits.h"
#include "base/mem.h"

#include <math.h>

int auk_cli_headline(json_t **out, const char *kind, const json_t *items, auk_err *err)
{
    size_t n = json_array_size(items);
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_str *lines = auk_alloc((n + 1) * sizeof *lines);
    size_t *from = auk_alloc((n + 1) * sizeof *from);

    for (size_t i = 0; i < n; i++) {
        from[i] = text.n;
        auk_json_print(&text, json_array_get(items, i), (auk_json_style){0});
    }
    from[n] = text.n;
    for (size_t i = 0; i < n; i++)
        lines[i] = (auk_str){text.p + from[i], from[i + 1] - from[i]};
    int rc = auk_buf_check(&text, "the items", err);
    if (rc == AUK_OK)
        rc = auk_headline(out, NULL, kind, lines, n, err);
    free(from);
    free(lines);
    auk_buf_release(&text);
    return rc;
}

long long auk_cli_int(const json_t *v, const char *path)
{
    return (long long)json_integer_value(auk_record_at(v, path));
}

double auk_cli_real(const json_t *v, const char *path)
{
    const json_t *x = auk_record_at(v, path);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

const char *auk_cli_text(const json_t *v, const char *path)
{
    const char *s = json_string_value(auk_record_at(v, path));
    return s != NULL ? s : "";
}

const char *auk_cli_number(char out[32], double v, int digits)
{
    if (isfinite(v))
        snprintf(out, 32, "%.*f", digits, v);
    else
        snprintf(out, 32, "n/a");
    return out;
}
