/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/diagnose.h"

#include "base/mem.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static auk_str document(json_t **held, const auk_sheet *s, int q)
{
    *held = auk_sheet_messages(s, q);
    return auk_json_str(json_object_get(json_array_get(*held, 0), "content"));
}

static size_t occurrences(auk_str text, const char *what)
{
    size_t n = 0, m = strlen(what);

    for (size_t i = 0; i + m <= text.n; i++)
        n += memcmp(text.p + i, what, m) == 0;
    return n;
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

static void no_sentence_comes_twice_or_looks_like_a_fact(void **state)
{
    enum { N = 20000 };
    char **all = calloc(N, sizeof *all);
    (void)state;

    for (uint64_t i = 0; i < N; i++) {
        auk_buf b = AUK_BUF_INIT(1 << 12);
        size_t run = 0;
        auk_padding_sentence(&b, 7, i);
        assert_true(b.n > 40);
        for (size_t k = 0; k < b.n; k++) {
            run = isdigit((unsigned char)b.p[k]) ? run + 1 : 0;
            assert_true(run < 4);
        }
        all[i] = auk_strndup(b.p, b.n);
        auk_buf_release(&b);
    }
    qsort(all, N, sizeof *all, by_text);
    for (size_t i = 1; i < N; i++)
        if (strcmp(all[i - 1], all[i]) == 0)
            fail_msg("twice: %s", all[i]);
    for (size_t i = 0; i < N; i++)
        free(all[i]);
    free(all);
}

static void each_fact_is_there_once_beside_its_distractor(void **state)
{
    (void)state;
    for (int sheet = 0; sheet < 3; sheet++) {
        auk_sheet s = {.seed = 5,
                       .sheet = sheet,
                       .kind = AUK_AUDIT_RETRIEVAL,
                       .questions = 60,
                       .sentences = 100};
        for (int q = 0; q < s.questions; q++) {
            json_t *held, *want = auk_sheet_expected(&s, q);
            auk_str text = document(&held, &s, q);
            const char *number = json_string_value(want);
            char key[8], fact[64];
            const char *asked = strstr(text.p, "Which number opens locker ");
            assert_non_null(asked);
            memcpy(key, asked + 26, 6);
            key[6] = 0;
            snprintf(fact, sizeof fact, "Locker %s opens with %s.", key, number);
            assert_int_equal(occurrences(text, fact), 1);
            assert_int_equal(occurrences(text, key), 2); /* the fact and the question */
            snprintf(fact, sizeof fact, "Locker %.4s%c%c opens with ", key, key[5], key[4]);
            assert_int_equal(occurrences(text, fact), 1);
            json_decref(want);
            json_decref(held);
        }
    }
}

static void questions_differ_only_in_their_end(void **state)
{
    const auk_audit_kinds kinds[] = {AUK_AUDIT_RETRIEVAL, AUK_AUDIT_TOOLS};
    (void)state;

    for (int k = 0; k < 2; k++) {
        auk_sheet s = {.seed = 1, .kind = kinds[k], .questions = 15, .sentences = 50};
        json_t *x, *y;
        auk_str a = document(&x, &s, 0), b = document(&y, &s, 7);
        size_t same = 0;
        while (same < a.n && same < b.n && a.p[same] == b.p[same])
            same++;
        assert_true(a.n - same < 120);
        json_decref(x);
        json_decref(y);
    }
}

static void facts_do_not_depend_on_the_depth(void **state)
{
    auk_sheet s = {.seed = 9, .sheet = 1, .kind = AUK_AUDIT_TOOLS, .questions = 15}, t = s;
    (void)state;

    t.sentences = 500;
    for (int kind = 1; kind <= 2; kind++) {
        s.kind = t.kind = (auk_audit_kinds)kind;
        for (int q = 0; q < 15; q++) {
            json_t *a = auk_sheet_expected(&s, q), *b = auk_sheet_expected(&t, q);
            assert_true(json_equal(a, b));
            json_decref(a);
            json_decref(b);
        }
    }
    json_t *tools = auk_sheet_tools(&t);
    assert_int_equal(json_array_size(tools), 8);
    json_decref(tools);
}

static auk_audit_state score(const char *text, auk_chat_finish finish)
{
    auk_sheet s = {.seed = 3, .kind = AUK_AUDIT_RETRIEVAL, .questions = 5};
    json_t *want = auk_sheet_expected(&s, 2);
    auk_buf said = AUK_BUF_INIT(1 << 12);

    for (; *text != 0; text++) { /* N: the number, M: the next one */
        if (*text == 'N')
            auk_buf_puts(&said, json_string_value(want));
        else if (*text == 'C')
            auk_buf_printf(&said, "%.2s,%s", json_string_value(want), json_string_value(want) + 2);
        else if (*text == 'M')
            auk_buf_printf(&said, "%ld", strtol(json_string_value(want), NULL, 10) + 1);
        else
            auk_buf_putc(&said, *text);
    }
    auk_reply r = {.text = said, .finish = finish};
    auk_audit_state state = auk_sheet_score(&s, 2, &r);
    json_decref(want);
    auk_buf_release(&said);
    return state;
}

static void an_answer_has_one_of_five_states(void **state)
{
    (void)state;
    assert_int_equal(score("N", AUK_CHAT_STOP), AUK_AUDIT_PASSED);
    assert_int_equal(score("it is **N**.", AUK_CHAT_STOP), AUK_AUDIT_PASSED);
    assert_int_equal(score("C", AUK_CHAT_STOP), AUK_AUDIT_PASSED);
    assert_int_equal(score("N or N", AUK_CHAT_STOP), AUK_AUDIT_PASSED);
    assert_int_equal(score("N or M", AUK_CHAT_STOP), AUK_AUDIT_WRONG);
    assert_int_equal(score("M", AUK_CHAT_STOP), AUK_AUDIT_WRONG);
    assert_int_equal(score("1N", AUK_CHAT_STOP), AUK_AUDIT_WRONG);
    assert_int_equal(score("I do not know", AUK_CHAT_STOP), AUK_AUDIT_WRONG);
    assert_int_equal(score("", AUK_CHAT_STOP), AUK_AUDIT_NO_ANSWER);
    assert_int_equal(score(" .\n", AUK_CHAT_STOP), AUK_AUDIT_NO_ANSWER);
    assert_int_equal(score("N", AUK_CHAT_LENGTH), AUK_AUDIT_TRUNCATED);
    assert_int_equal(score("N", AUK_CHAT_LOOP), AUK_AUDIT_TRUNCATED);
    assert_int_equal(score("N", AUK_CHAT_NONE), AUK_AUDIT_ERROR);
    assert_int_equal(score("N", AUK_CHAT_CANCELLED), AUK_AUDIT_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_sentence_comes_twice_or_looks_like_a_fact),
        cmocka_unit_test(each_fact_is_there_once_beside_its_distractor),
        cmocka_unit_test(questions_differ_only_in_their_end),
        cmocka_unit_test(facts_do_not_depend_on_the_depth),
        cmocka_unit_test(an_answer_has_one_of_five_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
