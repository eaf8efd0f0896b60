/* SPDX-License-Identifier: Apache-2.0 */
/* Ten thousand turns against a scripted server leave the harness as large as one thousand. */
#define _POSIX_C_SOURCE 200809L
#include "diagnose/diagnose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS 10000

typedef struct server {
    pid_t pid;
    int in; /* open as long as it shall live */
    int port;
} server;

static server start(void)
{
    server s = {0};
    int in[2], out[2];
    char text[32] = "";

    if (pipe(in) != 0 || pipe(out) != 0)
        fail_msg("no pipe");
    s.pid = fork();
    if (s.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execlp("python3", "python3", AUK_SOURCE_DIR "/tests/http/scripted.py", "--log", "/dev/null",
               "--policy", "words:4", "--fault", "no_cache=1", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    s.in = in[1];
    assert_true(read(out[0], text, sizeof text - 1) > 0);
    close(out[0]);
    s.port = (int)strtol(text, NULL, 10);
    return s;
}

static long resident_pages(void)
{
    long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%ld %ld", &size, &pages) != 2)
        pages = -1;
    if (f != NULL)
        fclose(f);
    return pages;
}

typedef struct turns {
    size_t n, failed;
    long at_thousand;
} turns;

static int on_item(void *ctx, const json_t *item, auk_err *err)
{
    turns *t = ctx;
    const char *what = json_string_value(json_object_get(item, "item"));

    (void)err;
    if (strcmp(what, "run") != 0)
        return AUK_OK;
    t->failed += json_is_string(json_object_get(item, "failure"));
    if (++t->n == 1000)
        t->at_thousand = resident_pages();
    return AUK_OK;
}

static void memory_stays_flat_over_ten_thousand_turns(void **state)
{
    auk_inspect_options o = auk_inspect_defaults();
    auk_client_options co = auk_client_defaults();
    auk_client *c;
    turns t = {0};
    char url[64];
    auk_err err;
    (void)state;

    if (resident_pages() < 0)
        skip();
    server s = start();
    snprintf(url, sizeof url, "openai:http://127.0.0.1:%d/v1/m", s.port);
    assert_int_equal(auk_client_open(&c, url, &co, &err), AUK_OK);
    o.prompt_tok = 100;
    o.gen_tok = 8;
    o.repeat = TURNS;
    o.prefix = false;
    o.watch = (auk_watch){.item = on_item, .ctx = &t};
    int rc = auk_inspect(c, &o, &err);
    long grown = resident_pages() - t.at_thousand;
    auk_client_close(c);
    close(s.in);
    waitpid(s.pid, NULL, 0);
    if (rc < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(t.n, TURNS);
    assert_int_equal(t.failed, 0);
    print_message("grown by %ld pages from turn 1000 to %d\n", grown, TURNS);
    assert_true(grown < 256); /* 1 MB */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_stays_flat_over_ten_thousand_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
