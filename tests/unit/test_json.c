/* SPDX-License-Identifier: Apache-2.0 */
/* Expected texts of the printer were made with Python 3.11's json.dumps and repr. */
#include "base/json.h"
#include "base/limits.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int parse(json_t **out, const char *text, size_t n, auk_err *err)
{
    return auk_json_parse(out, (auk_str){text, n}, "input", err);
}

static void refused(const char *text, size_t n, const char *in_message)
{
    json_t *v;
    auk_err err = {0};

    assert_int_equal(parse(&v, text, n, &err), AUK_EFORMAT);
    assert_null(v);
    if (strstr(err.msg, in_message) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, in_message);
}

static void nested(auk_buf *out, int depth, char open, char close)
{
    auk_buf_clear(out);
    for (int i = 0; i < depth; i++)
        auk_buf_puts(out, open == '{' ? "{\"a\":" : "[");
    auk_buf_puts(out, "0");
    for (int i = 0; i < depth; i++)
        auk_buf_putc(out, close);
}

static void depth_is_bounded_at_the_limit(void **state)
{
    auk_buf text = AUK_BUF_INIT(1 << 20);
    json_t *v;
    auk_err err;
    (void)state;

    for (int object = 0; object < 2; object++) {
        char open = object ? '{' : '[', close = object ? '}' : ']';
        nested(&text, AUK_MAX_JSON_DEPTH, open, close);
        assert_int_equal(parse(&v, text.p, text.n, &err), AUK_OK);
        json_decref(v);
        nested(&text, AUK_MAX_JSON_DEPTH + 1, open, close);
        refused(text.p, text.n, "nests deeper than 256 levels");
        nested(&text, 100000, open, close);
        refused(text.p, text.n, "nests deeper than 256 levels");
    }
    auk_buf_release(&text);
}

static void brackets_inside_strings_do_not_count_as_depth(void **state)
{
    auk_buf text = AUK_BUF_INIT(1 << 20);
    json_t *v;
    auk_err err;
    (void)state;

    auk_buf_puts(&text, "[\"\\\"");
    for (int i = 0; i < 1000; i++)
        auk_buf_putc(&text, '[');
    auk_buf_puts(&text, "\\\\\", 1]");
    assert_int_equal(parse(&v, text.p, text.n, &err), AUK_OK);
    assert_int_equal(json_string_length(json_array_get(v, 0)), 1002);
    json_decref(v);
    auk_buf_release(&text);
}

static void duplicate_keys_are_refused(void **state)
{
    static const char text[] = "{\"a\": 1, \"b\": 2, \"a\": 3}";
    (void)state;

    refused(text, sizeof text - 1, "duplicate");
}

static void malformed_text_is_refused_with_its_line(void **state)
{
    (void)state;

    refused("", 0, "line 1");
    refused(NULL, 0, "line 1");
    refused("{\"a\": 1}\n\nx", 11, "line 3");
    refused("[1,]", 4, "line 1");
    refused("\"\xff\"", 3, "line 1");
    refused("[1", 2, "line 1");
    refused("{\"a\\u0000b\": 1}", 15, "line 1"); /* NUL in a key */
    refused("1e999", 5, "line 1");
    refused("NaN", 3, "line 1");
}

static void nul_inside_a_value_is_kept(void **state)
{
    json_t *v;
    auk_err err;
    (void)state;

    assert_int_equal(parse(&v, "[\"a\\u0000b\"]", 12, &err), AUK_OK);
    auk_str s = auk_json_str(json_array_get(v, 0));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b", 3);
    assert_null(auk_json_str(v).p);
    json_decref(v);
}

static void a_missing_file_is_not_found(void **state)
{
    json_t *v;
    auk_err err;
    (void)state;

    assert_int_equal(auk_json_read(&v, "no/such/file.json", &err), AUK_ENOTFOUND);
    assert_null(v);
}

static void floats_are_printed_as_python_prints_them(void **state)
{
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {1e-06, "1e-06"},
        {1e-05, "1e-05"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {50000.0, "50000.0"},
        {-2.5, "-2.5"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {123456789012345678.0, "1.2345678901234568e+17"},
        {9007199254740993.0, "9007199254740992.0"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {0x1p-44, "5.684341886080802e-14"}, /* not the nearest 16 digits, but they read back */
        {0x1p89, "6.189700196426902e+26"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
        {NAN, "NaN"},
    };
    auk_buf b = AUK_BUF_INIT(1 << 20);
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auk_buf_clear(&b);
        auk_json_print_real(&b, cases[i].x);
        assert_string_equal(b.p, cases[i].text);
    }
    auk_buf_release(&b);
}

static void a_printed_float_reads_back_as_itself(void **state)
{
    auk_buf b = AUK_BUF_INIT(1 << 20);
    auk_rng rng = auk_rng_make(3);
    (void)state;

    for (int i = 0; i < 20000; i++) {
        uint64_t bits = auk_rng_next(&rng);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        auk_buf_clear(&b);
        auk_json_print_real(&b, x);
        double back = strtod(b.p, NULL);
        if (back != x || signbit(back) != signbit(x))
            fail_msg("%a is printed as %s", x, b.p);
    }
    auk_buf_release(&b);
}

static void prints(const char *want, auk_str s, bool ascii)
{
    auk_buf b = AUK_BUF_INIT(1 << 20);

    auk_json_print_string(&b, s, ascii);
    assert_string_equal(b.p, want);
    auk_buf_release(&b);
}

static void strings_are_escaped_as_python_escapes_them(void **state)
{
    static const char s[] = "\xc3\xa9\0\x1f\x7f\xe2\x80\xa8\xf0\x9f\x98\x80\"\\/\b\f\n\r\t";
    (void)state;

    prints("\"\\u00e9\\u0000\\u001f\\u007f\\u2028\\ud83d\\ude00\\\"\\\\/\\b\\f\\n\\r\\t\"",
           (auk_str){s, sizeof s - 1}, true);
    prints("\"\xc3\xa9\\u0000\\u001f\x7f\xe2\x80\xa8\xf0\x9f\x98\x80\\\"\\\\/\\b\\f\\n\\r\\t\"",
           (auk_str){s, sizeof s - 1}, false);
    prints("\"\"", (auk_str){NULL, 0}, true);
}

static void a_cut_off_character_is_not_read_past_its_end(void **state)
{
    char *s = malloc(2);
    auk_buf b = AUK_BUF_INIT(64);
    (void)state;

    memcpy(s, "\xf0\x9f", 2); /* exactly its size: ASan sees a byte too many */
    auk_json_print_string(&b, (auk_str){s, 2}, true);
    assert_true(b.n > 2);
    free(s);
    auk_buf_release(&b);
}

static void documents_are_laid_out_as_python_lays_them_out(void **state)
{
    static const char text[] = "{\"b\": [1, 2.0, [], {}, null, true, false, -7], "
                               "\"a\": {\"z\": \"\\u00e9\", \"Z\": 1E5}}";
    json_t *v;
    auk_err err;
    auk_buf b = AUK_BUF_INIT(1 << 20);
    (void)state;

    assert_int_equal(parse(&v, text, sizeof text - 1, &err), AUK_OK);
    auk_json_print(&b, v, (auk_json_style){.indent = 4, .sort_keys = true, .ascii = true});
    assert_string_equal(b.p, "{\n"
                             "    \"a\": {\n"
                             "        \"Z\": 100000.0,\n"
                             "        \"z\": \"\\u00e9\"\n"
                             "    },\n"
                             "    \"b\": [\n"
                             "        1,\n"
                             "        2.0,\n"
                             "        [],\n"
                             "        {},\n"
                             "        null,\n"
                             "        true,\n"
                             "        false,\n"
                             "        -7\n"
                             "    ]\n"
                             "}");
    auk_buf_clear(&b);
    auk_json_print(&b, v, (auk_json_style){0});
    assert_string_equal(b.p, "{\"b\": [1, 2.0, [], {}, null, true, false, -7], "
                             "\"a\": {\"z\": \"\xc3\xa9\", \"Z\": 100000.0}}");
    json_decref(v);
    auk_buf_release(&b);
}

static json_t *random_value(auk_rng *rng, int depth)
{
    char text[8];
    json_t *v;

    switch (auk_rng_below(rng, depth > 0 ? 7 : 5)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(auk_rng_below(rng, 2));
    case 2:
        return json_integer((json_int_t)auk_rng_next(rng));
    case 3:
        return json_real((auk_rng_unit(rng) - 0.5) * ldexp(1, (int)auk_rng_below(rng, 200) - 100));
    case 4:
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)auk_rng_below(rng, 128);
        return json_stringn(text, auk_rng_below(rng, sizeof text));
    case 5:
        v = json_array();
        for (uint64_t n = auk_rng_below(rng, 4); n > 0; n--)
            json_array_append_new(v, random_value(rng, depth - 1));
        return v;
    default:
        v = json_object();
        for (uint64_t n = auk_rng_below(rng, 4); n > 0; n--) {
            snprintf(text, sizeof text, "k%d", (int)auk_rng_below(rng, 100));
            json_object_set_new(v, text, random_value(rng, depth - 1));
        }
        return v;
    }
}

static void what_is_printed_parses_to_the_same_value(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 2000; seed++) {
        auk_rng rng = auk_rng_make(seed);
        auk_buf b = AUK_BUF_INIT(1 << 20);
        json_t *v = random_value(&rng, 4), *back;
        auk_json_style style = {.indent = (int)auk_rng_below(&rng, 3),
                                .sort_keys = auk_rng_below(&rng, 2),
                                .ascii = auk_rng_below(&rng, 2)};
        auk_err err = {0};

        auk_json_print(&b, v, style);
        if (parse(&back, b.p, b.n, &err) < 0 || !json_equal(v, back))
            fail_msg("seed %d: %s (%s)", (int)seed, b.p, err.msg);
        json_decref(back);
        json_decref(v);
        auk_buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_is_bounded_at_the_limit),
        cmocka_unit_test(brackets_inside_strings_do_not_count_as_depth),
        cmocka_unit_test(duplicate_keys_are_refused),
        cmocka_unit_test(malformed_text_is_refused_with_its_line),
        cmocka_unit_test(nul_inside_a_value_is_kept),
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(floats_are_printed_as_python_prints_them),
        cmocka_unit_test(a_printed_float_reads_back_as_itself),
        cmocka_unit_test(strings_are_escaped_as_python_escapes_them),
        cmocka_unit_test(a_cut_off_character_is_not_read_past_its_end),
        cmocka_unit_test(documents_are_laid_out_as_python_lays_them_out),
        cmocka_unit_test(what_is_printed_parses_to_the_same_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
