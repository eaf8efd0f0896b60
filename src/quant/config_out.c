/* SPDX-License-Identifier: Apache-2.0 */
/* config.json as mlx-vlm's save_config prints it: generation_config merged in, unused keys gone,
 * the top level sorted, everything below in the order it came. */
#include "quant/plan.h"

#include "base/mem.h"

#include <ctype.h>

/* ---- integers that Python keeps and a 64-bit reader cannot --------------------------------- */

#define MARK "\"\\u0000int:" /* begins a string no configuration holds */
#define MAX_DIGITS 18        /* always fit */

static size_t string_end(auk_str s, size_t at) /* just past the closing quote */
{
    for (at++; at < s.n && s.p[at] != '"'; at++)
        if (s.p[at] == '\\')
            at++;
    return at < s.n ? at + 1 : s.n;
}

void auk_quant_mark_integers(auk_buf *out, auk_str json)
{
    size_t at = 0;

    while (at < json.n) {
        size_t from = at;
        bool is_string = json.p[at] == '"', number = false, integer = true;
        if (is_string)
            at = string_end(json, at);
        else
            while (at < json.n &&
                   (isdigit((unsigned char)json.p[at]) || memchr("+-.eE", json.p[at], 5) != NULL)) {
                integer &= isdigit((unsigned char)json.p[at]) || (json.p[at] == '-' && at == from);
                number = true;
                at++;
            }
        if (!is_string && !number)
            at++;
        bool marks = number && integer && at - from > MAX_DIGITS;
        auk_buf_puts(out, marks ? MARK : "");
        auk_buf_add(out, json.p + from, at - from);
        auk_buf_puts(out, marks ? "\"" : "");
    }
}

void auk_quant_unmark_integers(auk_buf *out, auk_str json)
{
    const size_t n_mark = sizeof MARK - 1;
    size_t at = 0;

    while (at < json.n) {
        size_t from = at, end = at + 1;
        if (json.p[at] == '"')
            end = string_end(json, at);
        if (end - from > n_mark && memcmp(json.p + from, MARK, n_mark) == 0)
            auk_buf_add(out, json.p + from + n_mark, end - 1 - from - n_mark);
        else
            auk_buf_add(out, json.p + from, end - from);
        at = end;
    }
}

/* ---- the quantization block ---------------------------------------------------------------- */

static json_t *print_format(auk_numfmt f, bool with_mode)
{
    json_t *v = json_object();

    json_object_set_new(v, "group_size", json_integer(f.group_size));
    json_object_set_new(v, "bits", json_integer(f.bits));
    if (with_mode)
        json_object_set_new(v, "mode", json_string(auk_mode_name(f.mode)));
    return v;
}

static json_t *print_block(const auk_quant_list *list)
{
    json_t *block = print_format(list->global, true);

    for (size_t i = 0; list->has_entries && i < list->n; i++)
        if (list->modules[i].is_quantized)
            json_object_set_new(block, list->modules[i].path,
                                print_format(list->modules[i].format, false));
    return block;
}

/* ---- the file ------------------------------------------------------------------------------ */

static void merge_generation(json_t *config, json_t *generation)
{
    static const char *const keys[] = {"eos_token_id", "temperature", "top_p", "top_k",
                                       "do_sample"};

    if (generation == NULL)
        return;
    json_object_set(config, "generation_config", generation);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(generation, keys[i]) != NULL)
            json_object_set(config, keys[i], json_object_get(generation, keys[i]));
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *sorted(json_t *config)
{
    size_t n = json_object_size(config), i = 0;
    const char **keys = auk_alloc((n ? n : 1) * sizeof *keys), *key;
    json_t *out = json_object(), *v;

    json_object_foreach(config, key, v) keys[i++] = key;
    qsort(keys, n, sizeof *keys, by_key);
    for (i = 0; i < n; i++)
        json_object_set(out, keys[i], json_object_get(config, keys[i]));
    free(keys);
    return out;
}

int auk_quant_config_print(auk_buf *out, const auk_quant_source *s, const auk_quant_list *list,
                           auk_err *err)
{
    json_t *config = json_copy(s->config);
    auk_buf marked = AUK_BUF_INIT(AUK_MAX_JSON_FILE);

    merge_generation(config, s->generation);
    json_object_del(config, "_name_or_path");
    json_object_del(config, "torch_dtype");
    if (list->quantizes) {
        json_t *block = print_block(list);
        json_object_set(config, "quantization", block);
        json_object_set_new(config, "quantization_config", block);
        if (json_object_get(config, "vision_config") == NULL)
            json_object_set_new(config, "vision_config", json_object());
    }
    json_t *top = sorted(config);
    auk_json_print(&marked, top, (auk_json_style){.indent = 4, .ascii = true});
    json_decref(top);
    json_decref(config);
    auk_quant_unmark_integers(out, auk_buf_str(&marked));
    int rc = auk_buf_check(&marked, "config.json", err);
    auk_buf_release(&marked);
    return rc == AUK_OK ? auk_buf_check(out, "config.json", err) : rc;
}
