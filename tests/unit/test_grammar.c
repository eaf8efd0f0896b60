/* SPDX-License-Identifier: Apache-2.0 */
/* Which texts a schema's automaton reads, and which schemas are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/engine.h"

static auk_tokenizer *tok;

static int setup(void **state)
{
    auk_err err;

    (void)state;
    return auk_tokenizer_open(&tok, AUK_SOURCE_DIR "/data/miniature", &err);
}

static int teardown(void **state)
{
    (void)state;
    auk_tokenizer_close(tok);
    return 0;
}

static int compile(auk_grammar **g, const char *schema, auk_err *err)
{
    json_t *v;

    assert_int_equal(auk_json_parse(&v, auk_str_of(schema), "schema", err), AUK_OK);
    auk_grammar_options o = {.schema = v, .text = true};
    int rc = auk_grammar_new(g, tok, auk_tokenizer_vocab(tok), &o, err);
    json_decref(v);
    return rc;
}

static const struct {
    const char *schema, *text;
    bool reads;
} rows[] = {
    {"true", "{\"a\": [1, -2.5e3, null, {\"b\": \"\\u00e9\"}]}", true},
    {"true", "[1,]", false},
    {"true", "01", false},
    {"{\"type\":\"integer\"}", "-0", true},
    {"{\"type\":\"integer\"}", "1.0", false},
    {"{\"type\":\"integer\",\"minimum\":10,\"maximum\":42}", "42", true},
    {"{\"type\":\"integer\",\"minimum\":10,\"maximum\":42}", "43", false},
    {"{\"type\":\"integer\",\"minimum\":10,\"maximum\":42}", "9", false},
    {"{\"type\":\"integer\",\"minimum\":-5,\"maximum\":-2}", "-3", true},
    {"{\"type\":\"integer\",\"minimum\":-5,\"maximum\":-2}", "-1", false},
    {"{\"type\":\"number\",\"minimum\":0,\"exclusiveMaximum\":2}", "0.75", true},
    {"{\"type\":\"number\",\"minimum\":0,\"exclusiveMaximum\":2}", "2", false},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"\xe2\x98\x83\xc3\xa9\"", true},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"a\"", false},
    {"{\"type\":\"string\",\"maxLength\":3}", "\"abcd\"", false},
    {"{\"type\":\"string\"}", "\"\\ud800\"", false},
    {"{\"type\":\"string\"}", "\"\xff\"", false},
    {"{\"type\":\"string\"}", "\"a\nb\"", false},
    {"{\"enum\":[\"a\",\"ab\",1,12,null]}", "\"ab\"", true},
    {"{\"enum\":[\"a\",\"ab\",1,12,null]}", "12", true},
    {"{\"enum\":[\"a\",\"ab\",1,12,null]}", "13", false},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"ab\":{\"type\":\"null\"}}"
     ","
     "\"required\":[\"ab\"]}",
     "{\"ab\":null,\n \"a\":1}", true},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"ab\":{\"type\":\"null\"}}"
     ","
     "\"required\":[\"ab\"]}",
     "{\"a\":1}", false},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}", "{\"a\":1,\"a\":2}",
     false},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}", "{\"b\":1}", false},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}", "{\"x\":true}", true},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}", "{\"x\":1}", false},
    {"{\"type\":\"object\",\"additionalProperties\":false}", "{}", true},
    {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":2}",
     "[null, null]", true},
    {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":2}", "[]",
     false},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"}],\"items\":false}", "[null]", true},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\"}]}", "[[]]", true},
    {"{\"type\":[\"string\",\"null\"]}", "null", true},
    {"{\"$ref\":\"#/$defs/"
     "t\",\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"k\":{\"$ref\":"
     "\"#/$defs/t\"}}}}}",
     "{\"k\":{\"k\":{}}}", true},
    {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}},{\"required\":[\"a\"]}]}",
     "{\"a\":null}", true},
    {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}},{\"required\":[\"a\"]}]}", "{}",
     false},
};

static void texts_are_read_as_their_schema_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        auk_grammar *g;
        auk_err err = {0};
        if (compile(&g, rows[i].schema, &err) < 0)
            fail_msg("%s: %s", rows[i].schema, err.msg);
        if (auk_grammar_reads(g, auk_str_of(rows[i].text)) != rows[i].reads)
            fail_msg("%s %s %s", rows[i].schema, rows[i].reads ? "should read" : "should refuse",
                     rows[i].text);
        auk_grammar_free(g);
    }
}

static void what_cannot_be_kept_is_refused(void **state)
{
    static const char *const schemas[] = {
        "{\"type\":\"string\",\"pattern\":\"a+\"}",
        "{\"not\":{\"type\":\"null\"}}",
        "{\"oneOf\":[{\"type\":\"null\"},{}]}",
        "{\"type\":\"thing\"}",
        "{\"$ref\":\"#/nowhere\"}",
        "{\"$ref\":\"#\"}",
        "{\"anyOf\":[]}",
        "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#\"}}}",
        "{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}",
        "{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":false}",
        "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        auk_grammar *g;
        auk_err err = {0};
        if (compile(&g, schemas[i], &err) == AUK_OK)
            fail_msg("%s was taken", schemas[i]);
        assert_null(g);
        assert_true(err.msg[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_as_their_schema_says),
        cmocka_unit_test(what_cannot_be_kept_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
