/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"
#include "kernel/kernel.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

/* The bundled model is part of the repository, so its repair is known. */
static const char *repair(const auk_err *err)
{
    bool file = err->code == AUK_EFORMAT || err->code == AUK_ENOTFOUND || err->code == AUK_EIO;

    return file && strstr(err->msg, "data/miniature") != NULL
               ? "; 'git checkout -- data/miniature' restores it"
               : "";
}

int auk_cli_fail(const auk_err *err)
{
    fprintf(stderr, "auklet: %s%s\n", err->msg, repair(err));
    return err->code == AUK_ECANCEL ? 130 : 1;
}

int auk_cli_cpu(unsigned *out, const auk_common *common, auk_err *err)
{
    int rc = auk_cpu_default(out, err);

    if (rc == AUK_OK && common->cpu != NULL)
        rc = auk_cpu_limit(out, *out, auk_str_of(common->cpu), err);
    const char *forced = getenv("AUK_CPU");
    if (rc == AUK_OK && common->cpu == NULL && (forced == NULL || *forced == 0))
        *out = auk_kernel_choose(*out);
    return rc;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void auk_cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool auk_cli_interrupted(void)
{
    return interrupted != 0;
}

void auk_cli_reset_interrupt(void)
{
    interrupted = 0;
}

static bool dumb(void)
{
    const char *term = getenv("TERM");
    return term == NULL || strcmp(term, "dumb") == 0;
}

bool auk_cli_color(const auk_common *common, int fd)
{
    const char *no = getenv("NO_COLOR");

    if (common->color != NULL && strcmp(common->color, "auto") != 0)
        return strcmp(common->color, "always") == 0;
    return isatty(fd) && (no == NULL || *no == 0) && !dumb();
}

void auk_meter_init(auk_meter *m, const auk_common *common)
{
    bool always = common->progress != NULL && strcmp(common->progress, "always") == 0;
    bool never = common->progress != NULL && strcmp(common->progress, "never") == 0;

    *m = (auk_meter){.began_ns = auk_now_ns()};
    m->on = !common->quiet && !never;
    m->redraw = always || (isatty(2) && !dumb());
    m->last_ns = always ? 0 : m->began_ns;
    if (m->redraw && !always)
        m->last_ns = m->began_ns + 900000000u; /* the first drawing after a second */
}

void auk_bytes_print(char *out, size_t n, uint64_t bytes)
{
    double v = (double)bytes;

    if (v >= 1e9)
        snprintf(out, n, "%.2f GB", v / 1e9);
    else if (v >= 1e6)
        snprintf(out, n, "%.1f MB", v / 1e6);
    else
        snprintf(out, n, "%.1f KB", v / 1e3);
}

static void rate_print(char *out, size_t n, const char *unit, uint64_t done, double seconds)
{
    double rate = (double)done / (seconds > 0 ? seconds : 1);

    if (strcmp(unit, "bytes") == 0) {
        auk_bytes_print(out, n, (uint64_t)rate);
        size_t len = strlen(out);
        snprintf(out + len, n - len, "/s");
    } else {
        snprintf(out, n, "%.1f %s/s", rate, unit);
    }
}

bool auk_meter_step(void *meter, const char *what, const char *unit, uint64_t done, uint64_t total)
{
    auk_meter *m = meter;
    uint64_t now = auk_now_ns(), pause = m->redraw ? 100000000u : 60000000000u;
    char rate[64], left[64] = "";

    if (!m->on || (now < m->last_ns + pause && !(m->shown && done == total)))
        return auk_cli_interrupted();
    double seconds = (double)(now - m->began_ns) / 1e9;
    rate_print(rate, sizeof rate, unit, done, seconds);
    if (total > 0 && done > 0)
        snprintf(left, sizeof left, "  %.0f s left",
                 seconds * (double)(total - done) / (double)done);
    fprintf(stderr, "%s%s %5.1f %%  %s%s%s", m->redraw ? "\r\033[K" : "auklet: ", what,
            total > 0 ? 100.0 * (double)done / (double)total : 0.0, rate, left,
            m->redraw ? "" : "\n");
    m->last_ns = now;
    m->shown = m->redraw;
    return auk_cli_interrupted();
}

void auk_meter_clear(auk_meter *m)
{
    if (m->shown)
        fputs("\r\033[K", stderr);
    m->shown = false;
}

json_t *auk_json_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

int auk_cli_print_json(json_t *v)
{
    auk_buf out = AUK_BUF_INIT(SIZE_MAX / 4);

    auk_json_print(&out, v, (auk_json_style){0});
    auk_buf_putc(&out, '\n');
    json_decref(v);
    bool ok = !out.failed && fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    auk_buf_release(&out);
    if (ok)
        return 0;
    fprintf(stderr, "auklet: cannot write to standard output\n");
    return 1;
}

static int run_line(auk_line_fn *fn, void *ctx, auk_str line, size_t number)
{
    char name[64];
    json_t *in = NULL, *out = NULL;
    auk_err err;

    snprintf(name, sizeof name, "standard input, line %zu", number);
    int rc = auk_json_parse(&in, line, name, &err);
    if (rc == AUK_OK) {
        rc = fn(ctx, in, &out, &err);
        if (rc < 0)
            fprintf(stderr, "auklet: line %zu: %s\n", number, err.msg);
    } else {
        fprintf(stderr, "auklet: %s\n", err.msg);
    }
    json_decref(in);
    return rc < 0 ? 1 : auk_cli_print_json(out);
}

int auk_cli_lines(auk_line_fn *fn, void *ctx)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t n;
    int status = 0;

    while (status == 0 && (n = getline(&line, &cap, stdin)) >= 0) {
        number++;
        if (n > 0 && line[n - 1] == '\n')
            n--;
        if ((size_t)n > AUK_MAX_LINE) {
            fprintf(stderr, "auklet: line %zu is longer than %zu bytes\n", number, AUK_MAX_LINE);
            status = 1;
        } else if (n > 0) {
            status = run_line(fn, ctx, (auk_str){line, (size_t)n}, number);
        }
    }
    free(line);
    return status;
}

int auk_cli_read_ids(int32_t **out, size_t *n, const char *path, auk_err *err)
{
    json_t *list = NULL;

    *out = NULL;
    int rc = auk_json_read(&list, strcmp(path, "-") == 0 ? "/dev/stdin" : path, err);
    if (rc < 0)
        return rc;
    *n = json_array_size(list);
    if (!json_is_array(list) || *n == 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' is not a JSON array of token ids", path);
    if (rc == AUK_OK)
        rc = auk_try_alloc(out, *n, sizeof **out, err);
    for (size_t i = 0; i < *n && rc == AUK_OK; i++) {
        json_t *v = json_array_get(list, i);
        json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id > INT32_MAX)
            rc = auk_fail(err, AUK_EFORMAT, "'%s': entry %zu is not a token id", path, i);
        (*out)[i] = (int32_t)id;
    }
    json_decref(list);
    if (rc < 0) {
        free(*out);
        *out = NULL;
    }
    return rc;
}
