/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox: one untrusted Python program, or the attack list. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/limits.h"
#include "eval/eval.h"

typedef struct sandbox_args {
    auk_common common;
    const char *python, *level;
    bool unsafe, selftest;
    double seconds;
    uint64_t memory_bytes, output_bytes;
} sandbox_args;

static const auk_opt options[] = {
    {"selftest", AUK_OPT_FLAG, offsetof(sandbox_args, selftest), NULL,
     "run the attack list and print what stopped each; exit 3 when one got through"},
    {"timeout", AUK_OPT_REAL, offsetof(sandbox_args, seconds), "SECONDS",
     "wall clock (default 8); CPU time is limited to as much, rounded up"},
    {"memory", AUK_OPT_BYTES, offsetof(sandbox_args, memory_bytes), "SIZE",
     "address space (default 1GiB)"},
    {"max-output", AUK_OPT_BYTES, offsetof(sandbox_args, output_bytes), "SIZE",
     "of standard output and error together; more kills (default 256KiB)"},
    {"python", AUK_OPT_STR, offsetof(sandbox_args, python), "PROGRAM",
     "the interpreter (default: python3 by PATH)"},
    {"level", AUK_OPT_STR, offsetof(sandbox_args, level), "LEVEL",
     "A, B, C or D (default: the best that works)"},
    {"unsafe-no-sandbox", AUK_OPT_FLAG, offsetof(sandbox_args, unsafe), NULL,
     "go on where no sandbox works"},
    {0},
};

/* ---- one program -------------------------------------------------------------------------- */

/* Bytes that are not UTF-8 become "?". */
static json_t *output_json(const auk_buf *b)
{
    json_t *v = json_stringn(auk_buf_str(b).p, b->n);

    if (v != NULL)
        return v;
    auk_buf clean = AUK_BUF_INIT(b->n + 1);
    for (size_t i = 0; i < b->n; i++)
        auk_buf_putc(&clean, (unsigned char)b->p[i] < 0x80 ? b->p[i] : '?');
    v = json_stringn(auk_buf_str(&clean).p, clean.n);
    auk_buf_release(&clean);
    return v;
}

static int print_result(const sandbox_args *a, const auk_sandbox *sb, const auk_box_result *r)
{
    bool good = r->end == AUK_END_EXITED && r->exit_code == 0;
    char level[2] = {auk_level_letter(auk_sandbox_level(sb)), 0};

    if (a->common.json) {
        json_t *v = json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:s}", "schema",
                              "auklet.sandbox/1", "status", auk_end_name(r->end), "exit_code",
                              r->exit_code < 0 ? json_null() : json_integer(r->exit_code), "signal",
                              r->signal == 0 ? json_null() : json_integer(r->signal), "wall_ms",
                              (json_int_t)(r->wall_ns / 1000000), "cpu_ms",
                              (json_int_t)(r->cpu_ns / 1000000), "stdout", output_json(&r->out),
                              "stderr", output_json(&r->err), "level", level);
        return auk_cli_print_json(v) != 0 || !good;
    }
    fwrite(auk_buf_str(&r->out).p, 1, r->out.n, stdout);
    fflush(stdout);
    fwrite(auk_buf_str(&r->err).p, 1, r->err.n, stderr);
    if (r->end != AUK_END_EXITED && !a->common.quiet)
        fprintf(stderr, "auklet: the program ended by %s%s after %.1f s\n",
                r->end == AUK_END_SIGNALED ? "a signal" : "its limit: ",
                r->end == AUK_END_SIGNALED ? "" : auk_end_name(r->end), (double)r->wall_ns / 1e9);
    return good ? 0 : 1;
}

static int run_file(const sandbox_args *a, const auk_python *py, const auk_sandbox *sb,
                    auk_err *err)
{
    const char *file = a->common.arg[0];
    auk_limits limits = auk_limits_defaults();
    auk_buf data = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_box_result r;

    if (a->seconds > 0) {
        limits.wall_ms = (int)(a->seconds * 1000);
        limits.cpu_s = (int)a->seconds + 1;
    }
    if (a->memory_bytes > 0)
        limits.memory_bytes = a->memory_bytes;
    if (a->output_bytes > 0)
        limits.output_bytes = a->output_bytes;
    auk_buf_printf(&data, "%s\n\n%s\n\n", py->path, file);
    int rc = auk_file_read(&data, file, err);
    if (rc == AUK_OK)
        rc = auk_box_run(&r, sb, auk_script_plain, auk_buf_str(&data), &limits, err);
    auk_buf_release(&data);
    if (rc < 0)
        return rc;
    int status = print_result(a, sb, &r);
    auk_box_result_release(&r);
    return status;
}

/* ---- the attack list ---------------------------------------------------------------------- */

static int selftest(const sandbox_args *a, const auk_python *py, const auk_sandbox *sb,
                    auk_err *err)
{
    auk_attack_result results[AUK_MAX_ATTACKS];
    auk_level level = auk_sandbox_level(sb);
    char letter[2] = {auk_level_letter(level), 0};
    json_t *list = json_array();
    size_t n, stopped = 0;

    int rc = auk_sandbox_selftest(results, &n, sb, err);
    for (size_t i = 0; i < n && rc == AUK_OK; i++) {
        stopped += results[i].stopped;
        if (a->common.json)
            json_array_append_new(list,
                                  json_pack("{s:s, s:b, s:s}", "name", results[i].name, "stopped",
                                            results[i].stopped, "by", results[i].by));
        else
            printf("%s  %-22s %s\n", results[i].stopped ? "stopped" : "THROUGH", results[i].name,
                   results[i].by);
    }
    if (rc < 0) {
        json_decref(list);
        return rc;
    }
    if (a->common.json) {
        json_t *v =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:O}", "schema",
                      "auklet.sandbox-selftest/1", "level", letter, "level_text",
                      auk_level_text(level), "why", auk_sandbox_why(sb), "python", py->version,
                      "attacks", (json_int_t)n, "stopped", (json_int_t)stopped, "results", list);
        json_decref(list);
        if (auk_cli_print_json(v) != 0)
            return 1;
    } else {
        json_decref(list);
        printf("level %s (%s): %zu of %zu attacks stopped\n", letter, auk_level_text(level),
               stopped, n);
    }
    return stopped == n ? 0 : 3;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    sandbox_args a = {0};
    auk_python *py = NULL;
    auk_sandbox *sb = NULL;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.selftest == (a.common.n_args == 1))
        return auk_cli_usage(self, "want --selftest or one FILE.py");
    if (a.seconds < 0 || a.seconds > 86400)
        return auk_cli_usage(self, "--timeout is between 0 and 86400 seconds");
    int rc = auk_python_find(&py, a.python, &err);
    if (rc == AUK_OK)
        rc = auk_sandbox_open(&sb, py, &(auk_sandbox_options){a.level, a.unsafe}, &err);
    if (rc == AUK_OK && auk_sandbox_why(sb)[0] != 0 && !a.common.quiet)
        fprintf(stderr, "auklet: sandbox level %c; %s\n", auk_level_letter(auk_sandbox_level(sb)),
                auk_sandbox_why(sb));
    if (rc == AUK_OK)
        rc = a.selftest ? selftest(&a, py, sb, &err) : run_file(&a, py, sb, &err);
    auk_sandbox_close(sb);
    auk_python_free(py);
    return rc < 0 ? auk_cli_fail(&err) : rc;
}

const auk_cmd auk_cmd_sandbox = {
    .name = "sandbox",
    .run = run,
    .usage = "sandbox --selftest | sandbox [options] -- FILE.py",
    .summary = "run one untrusted Python program, or attack the sandbox",
    .examples = "  auklet sandbox --selftest\n"
                "  auklet sandbox --json -- program.py\n",
    .options = options,
    .min_args = 0,
    .max_args = 1,
};
