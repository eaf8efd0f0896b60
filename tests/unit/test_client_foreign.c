/* SPDX-License-Identifier: Apache-2.0 */
/* The three dialects against one scripted server (tests/http/foreign.py): the same answer must
 * come out whatever the wire and however it is torn. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "base/buf.h"
#include "base/time.h"
#include "client/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static auk_err err;

typedef struct foreign {
    pid_t pid;
    int in, port;
} foreign;

/* Starts the server with these arguments (NULL at the end, at most 20). */
static void start(foreign *f, const char *const *more)
{
    const char *args[32] = {"python3", "-B", AUK_SOURCE_DIR "/tests/http/foreign.py", "--log",
                            "/dev/null"};
    int in[2], out[2], n = 5;
    char text[16] = "";

    while (*more != NULL && n < 31)
        args[n++] = *more++;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    f->pid = fork();
    if (f->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execvp("python3", (char *const *)(uintptr_t)args);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    f->in = in[1];
    for (size_t at = 0; strchr(text, '\n') == NULL && at < sizeof text - 1; at++)
        assert_int_equal(read(out[0], text + at, 1), 1);
    close(out[0]);
    f->port = (int)strtol(text, NULL, 10);
}

static void stop(foreign *f)
{
    close(f->in);
    kill(f->pid, SIGTERM);
    waitpid(f->pid, NULL, 0);
}

static int ask(auk_reply *r, const char *dialect, int port)
{
    auk_client_options o = auk_client_defaults();
    auk_chat chat = auk_chat_defaults();
    auk_client *c;
    char url[128];

    snprintf(url, sizeof url, "%s:http://127.0.0.1:%d%s/m", dialect, port,
             strcmp(dialect, "openai") == 0 ? "/v1" : "");
    o.api_key = "k";
    o.limits.idle_ms = 500;
    assert_int_equal(auk_client_open(&c, url, &o, &err), AUK_OK);
    json_t *messages = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "system", "content",
                                 "be brief", "role", "user", "content", "hi");
    json_t *tools = json_pack("[{s:s, s:{s:s, s:{s:s}}}]", "type", "function", "function", "name",
                              "f", "parameters", "type", "object");
    chat.messages = messages;
    chat.tools = tools;
    chat.temperature = 0;
    chat.max_tokens = 100;
    chat.seed = 1;
    int rc = auk_client_chat(r, c, &chat, &err);
    json_decref(messages);
    json_decref(tools);
    auk_client_close(c);
    return rc;
}

static const char *const dialects[] = {"openai", "ollama", "anthropic"};

static void write_answer(char *path, const char *line)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, line, strlen(line)), strlen(line));
    close(fd);
}

static void the_same_answer_comes_out_of_every_dialect(void **state)
{
    static const char *const faults[][4] = {
        {NULL},
        {"--fault", "tear=1", NULL},
        {"--fault", "ends=crlf", NULL},
        {"--fault", "markup=think", NULL},
        {"--fault", "field=reasoning", NULL},
    };
    char path[] = "/tmp/auk-answer-XXXXXX";

    (void)state;
    write_answer(path,
                 "{\"thinking\": \"h\xc3\xa9 \xf0\x9f\x98\x80 m\", \"text\": \"a b \xe2\x82\xac\", "
                 "\"calls\": [{\"name\": \"f\", \"arguments\": {\"x\": [1, \"\xc3\xa4 \"]}}]}\n");
    for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) {
        const char *args[] = {"--answers", path, faults[k][0], faults[k][1], NULL};
        foreign f;
        start(&f, args);
        for (size_t d = 0; d < 3; d++) {
            auk_reply r;
            assert_int_equal(ask(&r, dialects[d], f.port), AUK_OK);
            assert_string_equal(r.thinking.p, "h\xc3\xa9 \xf0\x9f\x98\x80 m");
            assert_string_equal(r.text.p, "a b \xe2\x82\xac");
            assert_int_equal(r.n_calls, 1);
            assert_string_equal(r.calls[0].name, "f");
            assert_int_equal(json_array_size(json_object_get(r.calls[0].arguments, "x")), 2);
            assert_int_equal(r.finish, AUK_CHAT_TOOLS);
            assert_true(r.prompt_tok > 0 && r.completion_tok > 0);
            assert_true(r.first_thinking_ns <= r.first_text_ns);
            auk_reply_release(&r);
        }
        stop(&f);
    }
    unlink(path);
}

static void fails(const char *fault, const char *more, auk_failure_kind want)
{
    const char *args[] = {"--fault", fault, "--fault", more, NULL};
    foreign f;

    start(&f, args);
    for (size_t d = 0; d < 3; d++) {
        auk_reply r;
        assert_true(ask(&r, dialects[d], f.port) < 0);
        if (r.failure.kind != want)
            fail_msg("%s: %s with %s, want %s (%s)", dialects[d], auk_failure_name(r.failure.kind),
                     fault, auk_failure_name(want), err.msg);
        assert_true(err.msg[0] != 0);
        auk_reply_release(&r);
    }
    stop(&f);
}

static void failures_have_one_class_in_every_dialect(void **state)
{
    (void)state;
    fails("cut=1", "rate=1000", AUK_FAILURE_CUT);
    fails("stall=2", "stall_at=1", AUK_FAILURE_TIMEOUT);
    fails("malformed=1", "x=1", AUK_FAILURE_MALFORMED);
    fails("error=1", "x=1", AUK_FAILURE_IN_STREAM);
    fails("no_end=1", "no_usage=1", AUK_FAILURE_UNFINISHED);
    fails("busy=9", "busy_status=500", AUK_FAILURE_SERVER);
    fails("busy=9", "busy_status=429", AUK_FAILURE_BUSY);
    fails("key=other", "x=1", AUK_FAILURE_AUTH);
    fails("ctx=1", "x=1", AUK_FAILURE_CONTEXT);
}

/* The harness is not the bottleneck: against a stream of 5,000 pieces a second the client's span
 * is the server's. */
static void a_fast_stream_loses_nothing(void **state)
{
    char path[] = "/tmp/auk-answer-XXXXXX";
    auk_buf line = AUK_BUF_INIT(1 << 20);
    const char *args[] = {"--answers", path, "--fault", "rate=5000", NULL};
    foreign f;

    (void)state;
    auk_buf_puts(&line, "{\"text\": \"");
    for (int i = 0; i < 5000; i++)
        auk_buf_puts(&line, i == 0 ? "w" : " w");
    auk_buf_puts(&line, "\"}\n");
    write_answer(path, line.p);
    start(&f, args);
    for (size_t d = 0; d < 3; d++) {
        auk_reply r;
        assert_int_equal(ask(&r, dialects[d], f.port), AUK_OK);
        double s = (double)(r.last_tick_ns - r.first_text_ns) / 1e9;
        print_message("%s: %.0f pieces/s\n", dialects[d], (double)(r.n_ticks - 1) / s);
        assert_true(r.n_ticks == 5000 && s < 1.5); /* wide: the machine may be busy */
        auk_reply_release(&r);
    }
    stop(&f);
    unlink(path);
    auk_buf_release(&line);
}

static bool have_python(void)
{
    pid_t pid = fork();
    int status = 1;

    if (pid == 0) {
        execlp("python3", "python3", "-c", "", (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_answer_comes_out_of_every_dialect),
        cmocka_unit_test(failures_have_one_class_in_every_dialect),
        cmocka_unit_test(a_fast_stream_loses_nothing),
    };

    if (!have_python()) {
        fprintf(stderr, "SKIPPED: no python3\n");
        return 77;
    }
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
