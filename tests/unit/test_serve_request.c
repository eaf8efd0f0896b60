/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of every dialect, each field in turn missing, of a wrong type, or huge: taken or refused
 * with words, never worse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/file.h"
#include "serve/ask.h"
#include "text/text.h"

static const struct {
    const char *name;
    const auk_dialect *dialect;
} rows[] = {
    {"chat", &auk_dialect_openai},         {"completion", &auk_dialect_completions},
    {"llama", &auk_dialect_llama},         {"anthropic", &auk_dialect_anthropic},
    {"responses", &auk_dialect_responses}, {"generate", &auk_dialect_ollama_generate},
    {"ollama", &auk_dialect_ollama_chat},
};

static const char *const bad[] = {"7",
                                  "\"x\"",
                                  "null",
                                  "[]",
                                  "{}",
                                  "[null]",
                                  "[[]]",
                                  "[{}]",
                                  "true",
                                  "1e300",
                                  "-1",
                                  "9223372036854775807",
                                  "{\"type\":7}",
                                  "[{\"type\":7}]",
                                  "[{\"role\":7}]",
                                  "{\"type\":\"x\"}"};

static void check(const auk_dialect *d, const json_t *request, const char *what)
{
    auk_ask ask;
    auk_err err = {0};
    auk_buf prompt = AUK_BUF_INIT(1 << 22);

    auk_ask_init(&ask);
    ask.dialect = d;
    int rc = d->parse(&ask, request, &err);
    if (rc == AUK_OK && ask.chat != NULL && !ask.load_only)
        rc = auk_request_prepare(ask.chat, &err);
    if (rc == AUK_OK && ask.chat != NULL && !ask.load_only)
        rc = auk_render(&prompt, ask.chat, &err);
    if ((rc < 0) != (err.msg[0] != 0))
        fail_msg("%s %s: code %d, message '%s'", d->name, what, rc, err.msg);
    auk_buf_release(&prompt);
    auk_ask_release(&ask);
}

/* Puts each bad value in the place of each member of `at`, deeply. */
static void spoil(const auk_dialect *d, const json_t *request, json_t *at)
{
    json_t *keys = json_array(), *v;
    const char *key;
    size_t i;

    json_object_foreach(at, key, v) json_array_append_new(keys, json_string(key));
    for (i = 0; i < json_array_size(keys); i++) {
        key = json_string_value(json_array_get(keys, i));
        json_t *good = json_incref(json_object_get(at, key));
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            json_object_set_new(at, key, json_loads(bad[k], JSON_DECODE_ANY, NULL));
            check(d, request, key);
        }
        json_object_del(at, key);
        check(d, request, key);
        json_object_set_new(at, key, good);
        spoil(d, request, good);
    }
    json_array_foreach(at, i, v) spoil(d, request, v);
    json_decref(keys);
}

static void no_field_can_hurt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        auk_buf text = AUK_BUF_INIT(1 << 20);
        char path[512];
        json_t *request;
        auk_err err;
        snprintf(path, sizeof path, AUK_SOURCE_DIR "/tests/fuzz/corpus/serve_request/%s",
                 rows[i].name);
        assert_int_equal(auk_file_read(&text, path, &err), AUK_OK);
        auk_str body = auk_str_from(auk_buf_str(&text), 1);
        assert_int_equal(auk_json_parse(&request, body, path, &err), AUK_OK);
        auk_ask ask;
        auk_ask_init(&ask);
        if (rows[i].dialect->parse(&ask, request, &err) < 0)
            fail_msg("%s: %s", path, err.msg);
        auk_ask_release(&ask);
        spoil(rows[i].dialect, request, request);
        json_decref(request);
        auk_buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_field_can_hurt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
