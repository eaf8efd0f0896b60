/* SPDX-License-Identifier: Apache-2.0 */
/* Every printer, streaming and whole, over the same recorded event logs, against kept output; and
 * the laws that hold for any log.  AUK_UPDATE_GOLDEN=1 writes the output anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "serve/ask.h"

static const auk_dialect *const dialects[] = {&auk_dialect_openai,     &auk_dialect_completions,
                                              &auk_dialect_llama,      &auk_dialect_anthropic,
                                              &auk_dialect_responses,  &auk_dialect_ollama_generate,
                                              &auk_dialect_ollama_chat};
static const char *const names[] = {"openai",    "completions",     "llama",      "anthropic",
                                    "responses", "ollama_generate", "ollama_chat"};
static const char *const logs[] = {"think-text", "two-tools", "cut",
                                   "sequence",   "failed",    "nothing"};
#define N_DIALECTS (sizeof dialects / sizeof *dialects)
#define N_LOGS (sizeof logs / sizeof *logs)

static void ask_for(auk_ask *ask, size_t d, bool stream)
{
    auk_ask_init(ask);
    ask->dialect = dialects[d];
    ask->model = auk_strndup("north", 5);
    ask->chat = json_pack("{s:[]}", "messages");
    ask->custom = json_pack("[s]", "free_text");
    ask->stream = stream;
    ask->usage_chunk = true;
}

/* alive: a keep-alive after each event but the last. */
static void print_log(auk_buf *out, const char *log, size_t d, bool stream, bool alive)
{
    static const int32_t ids[] = {2, 5, 7};
    char path[512];
    auk_buf text = AUK_BUF_INIT(1 << 20);
    auk_ask ask;
    auk_printer p;
    auk_err err;

    snprintf(path, sizeof path, AUK_SOURCE_DIR "/tests/http/events/%s.jsonl", log);
    if (auk_file_read(&text, path, &err) < 0)
        fail_msg("%s", err.msg);
    ask_for(&ask, d, stream);
    auk_printer_init(&p, &ask);
    snprintf(p.id, sizeof p.id, "abcdefghijklmnopqrstuvwx");
    p.created = 1700000000;
    snprintf(p.created_at, sizeof p.created_at, "2026-01-02T03:04:05.678900000Z");
    for (size_t at = 0; at < text.n;) {
        size_t n = strcspn(text.p + at, "\n");
        json_t *line;
        auk_say say;
        assert_int_equal(auk_json_parse(&line, (auk_str){text.p + at, n}, path, &err), AUK_OK);
        assert_int_equal(auk_say_read(&say, line, &err), AUK_OK);
        say.ids = ids;
        say.n_ids = say.kind == AUK_SAY_FINISH ? 3 : 0;
        dialects[d]->print(&p, out, &say);
        if (alive && !p.ended)
            dialects[d]->keep_alive(&p, out);
        json_decref(line);
        at += n + 1;
    }
    assert_true(p.ended);
    auk_printer_release(&p);
    auk_ask_release(&ask);
    auk_buf_release(&text);
}

static void compare(const char *log, const char *name, const char *form, const auk_buf *got)
{
    char path[512];
    auk_buf want = AUK_BUF_INIT(1 << 20);
    auk_err err;

    snprintf(path, sizeof path, AUK_SOURCE_DIR "/tests/http/golden/%s.%s.%s", log, name, form);
    if (getenv("AUK_UPDATE_GOLDEN") != NULL) {
        assert_int_equal(auk_file_write(path, auk_buf_str(got), &err), AUK_OK);
        return;
    }
    if (auk_file_read(&want, path, &err) < 0)
        fail_msg("%s", err.msg);
    if (!auk_str_eq(auk_buf_str(&want), auk_buf_str(got)))
        fail_msg("%s:\n%s\n--- differs from what is kept:\n%s", path, auk_buf_str(got).p,
                 auk_buf_str(&want).p);
    auk_buf_release(&want);
}

static void every_log_prints_as_it_did(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LOGS; i++)
        for (size_t d = 0; d < N_DIALECTS; d++)
            for (int stream = 0; stream < 2; stream++) {
                auk_buf out = AUK_BUF_INIT(1 << 20);
                print_log(&out, logs[i], d, stream, false);
                compare(logs[i], names[d], stream ? "stream" : "whole", &out);
                auk_buf_release(&out);
            }
}

/* With keep-alives in every gap: each line of NDJSON is a chunk with `done`, each data line of SSE
 * is JSON or [DONE], and the sequence numbers of Responses have no gap. */
static void a_stream_stays_legal_with_keep_alives(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LOGS; i++)
        for (size_t d = 0; d < N_DIALECTS; d++) {
            auk_buf out = AUK_BUF_INIT(1 << 20);
            int next = 0, done = 0;
            bool ndjson = strstr(dialects[d]->stream_type, "ndjson") != NULL;
            print_log(&out, logs[i], d, true, true);
            for (size_t at = 0; at < out.n;) {
                size_t n = strcspn(out.p + at, "\n");
                auk_str line = {out.p + at, n};
                json_t *v = NULL;
                at += n + 1;
                if (!ndjson && !auk_str_starts(line, "data: "))
                    continue;
                line = ndjson ? line : auk_str_from(line, 6);
                if (auk_str_is(line, "[DONE]")) {
                    done++;
                    continue;
                }
                assert_int_equal(auk_json_parse(&v, line, "a line", NULL), AUK_OK);
                if (ndjson && json_object_get(v, "error") == NULL)
                    assert_true(json_is_boolean(json_object_get(v, "done")));
                if (d == 4)
                    assert_int_equal(json_integer_value(json_object_get(v, "sequence_number")),
                                     next++);
                json_decref(v);
            }
            bool failed = strcmp(logs[i], "failed") == 0;
            if (d < 2) /* and not after an error */
                assert_int_equal(done, failed ? 0 : 1);
            auk_buf_release(&out);
        }
}

/* White space before a JSON document is legal: what a whole answer's keep-alive is. */
static void a_whole_answer_is_one_document(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_LOGS; i++)
        for (size_t d = 0; d < N_DIALECTS; d++) {
            auk_buf out = AUK_BUF_INIT(1 << 20);
            json_t *v = NULL;
            auk_err err = {0};
            print_log(&out, logs[i], d, false, true);
            size_t at = strspn(out.p, " \n");
            size_t end = out.n;
            while (end > at && out.p[end - 1] == '\n')
                end--;
            if (auk_json_parse(&v, (auk_str){out.p + at, end - at}, "the answer", &err) < 0)
                fail_msg("%s %s: %s", logs[i], names[d], err.msg);
            assert_true(json_is_object(v));
            json_decref(v);
            auk_buf_release(&out);
        }
}

static void a_log_line_survives_printing_and_reading(void **state)
{
    auk_buf text = AUK_BUF_INIT(4096), again = AUK_BUF_INIT(4096);
    auk_say say = {.kind = AUK_SAY_FINISH,
                   .end = AUK_END_SEQUENCE,
                   .stop = auk_str_of("</x>"),
                   .usage = {5, 3, 2, 1, 10, 20, 30, 60}},
            back;
    json_t *line;

    (void)state;
    auk_say_print(&text, &say);
    assert_int_equal(auk_json_parse(&line, auk_buf_str(&text), "line", NULL), AUK_OK);
    assert_int_equal(auk_say_read(&back, line, NULL), AUK_OK);
    auk_say_print(&again, &back);
    assert_string_equal(text.p, again.p);
    json_decref(line);
    auk_buf_release(&text);
    auk_buf_release(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_log_prints_as_it_did),
        cmocka_unit_test(a_stream_stays_legal_with_keep_alives),
        cmocka_unit_test(a_whole_answer_is_one_document),
        cmocka_unit_test(a_log_line_survives_printing_and_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
