/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded model output, fed in every way that must not matter. */
#include "golden/golden.h"

#include "base/rng.h"
#include "text/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_err err;

typedef struct heard {
    auk_buf thinking, text;
    size_t n_calls, n_malformed;
} heard;

static void listen(void *ctx, const auk_parser_event *e)
{
    heard *h = ctx;

    if (e->kind == AUK_EVENT_CALL) {
        assert_true(json_is_object(e->call->arguments));
        h->n_calls++;
    } else if (e->kind == AUK_EVENT_MALFORMED) {
        h->n_malformed++;
    } else {
        auk_buf *to = e->kind == AUK_EVENT_THINKING ? &h->thinking : &h->text;
        auk_buf_add(to, e->text.p, e->text.n);
    }
}

/* Feeds text[cuts[i], cuts[i + 1]) one after the other. */
static json_t *parse(auk_str text, bool reasoning_on, const size_t *cuts, size_t n_cuts)
{
    heard h = {AUK_BUF_INIT(1 << 20), AUK_BUF_INIT(1 << 20), 0, 0};
    auk_parser *p = auk_parser_new(reasoning_on, listen, &h);
    auk_parsed parsed;
    size_t at = 0;
    json_t *result;

    for (size_t i = 0; i <= n_cuts; i++) {
        size_t end = i < n_cuts ? cuts[i] : text.n;
        assert_int_equal(auk_parser_feed(p, (auk_str){text.p + at, end - at}, &err), AUK_OK);
        at = end;
    }
    assert_int_equal(auk_parser_finish(&parsed, p, &err), AUK_OK);
    assert_true(auk_str_eq(auk_buf_str(&h.thinking), parsed.thinking));
    assert_true(auk_str_eq(auk_buf_str(&h.text), parsed.text));
    assert_int_equal(h.n_calls, parsed.n_calls);
    auk_parsed_json(&result, &parsed);
    auk_buf_release(&h.thinking);
    auk_buf_release(&h.text);
    auk_parser_free(p);
    return result;
}

static void check(const json_t *got, const json_t *want, const char *name)
{
    const char *outcome = json_string_value(json_object_get(got, "outcome"));
    bool malformed = strcmp(outcome, "malformed_action") == 0;

    if (!json_equal(json_object_get(got, "thinking"), json_object_get(want, "reasoning")) ||
        !json_equal(json_object_get(got, "text"), json_object_get(want, "content")) ||
        !json_equal(json_object_get(got, "tool_calls"), json_object_get(want, "tool_calls")) ||
        malformed != json_is_true(json_object_get(want, "malformed_action")))
        fail_msg("%s: %s\nwant %s", name, json_dumps(got, JSON_ENCODE_ANY),
                 json_dumps(want, JSON_ENCODE_ANY));
}

static void check_cuts(const json_t *line, const size_t *cuts, size_t n_cuts)
{
    json_t *got = parse(auk_json_str(json_object_get(line, "text")),
                        json_is_true(json_object_get(line, "reasoning_on")), cuts, n_cuts);

    check(got, json_object_get(line, "expected"), json_string_value(json_object_get(line, "name")));
    json_decref(got);
}

static void check_two_parts(const json_t *line)
{
    for (size_t cut = 0; cut <= auk_json_str(json_object_get(line, "text")).n; cut++)
        check_cuts(line, &cut, 1);
}

static void check_single_bytes(const json_t *line)
{
    size_t n = auk_json_str(json_object_get(line, "text")).n, cuts[4096];

    assert_true(n < 4096);
    for (size_t i = 0; i < n; i++)
        cuts[i] = i;
    check_cuts(line, cuts, n);
}

static void check_recorded_pieces(const json_t *line)
{
    const json_t *pieces = json_object_get(line, "pieces");
    size_t cuts[4096], n = json_array_size(pieces), at = 0;

    assert_true(n < 4096);
    for (size_t i = 0; i < n; i++)
        cuts[i] = at += auk_json_str(json_array_get(pieces, i)).n;
    check_cuts(line, cuts, n);
}

static void check_random_cuts(const json_t *line)
{
    size_t n = auk_json_str(json_object_get(line, "text")).n, cuts[64];

    for (uint64_t seed = 0; seed < 200; seed++) {
        auk_rng rng = auk_rng_make(seed);
        size_t n_cuts = auk_rng_below(&rng, 60), at = 0;
        for (size_t i = 0; i < n_cuts; i++)
            cuts[i] = at += auk_rng_below(&rng, (n - at) / 4 + 2) % (n - at + 1);
        check_cuts(line, cuts, n_cuts);
    }
}

static void check_whole(const json_t *line)
{
    check_cuts(line, NULL, 0);
}

static void each_output(void (*fn)(const json_t *line))
{
    size_t n, count = 0;
    char *text = (char *)golden_read_file(golden_path("parse/output.jsonl"), &n);
    const char *at = text;
    json_t *line;

    while ((line = golden_next_json(&at, (auk_str){text, n})) != NULL) {
        fn(line);
        json_decref(line);
        count++;
    }
    assert_int_equal(count, 59);
    free(text);
}

static void reads_whole_outputs_as_expected(void **state)
{
    (void)state;
    each_output(check_whole);
}

static void reads_outputs_cut_in_two_at_any_byte(void **state)
{
    (void)state;
    each_output(check_two_parts);
}

static void reads_outputs_byte_by_byte(void **state)
{
    (void)state;
    each_output(check_single_bytes);
}

static void reads_outputs_in_the_recorded_pieces(void **state)
{
    (void)state;
    each_output(check_recorded_pieces);
}

static void reads_outputs_cut_at_random(void **state)
{
    (void)state;
    each_output(check_random_cuts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_whole_outputs_as_expected),
        cmocka_unit_test(reads_outputs_cut_in_two_at_any_byte),
        cmocka_unit_test(reads_outputs_byte_by_byte),
        cmocka_unit_test(reads_outputs_in_the_recorded_pieces),
        cmocka_unit_test(reads_outputs_cut_at_random),
    };
    int rc = golden_open();

    return rc != 0 ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
