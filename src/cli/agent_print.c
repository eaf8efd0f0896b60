/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's tables and transcripts for a person. */
#include "cli/agent_files.h"
#include "cli/headline.h"

#include "report/report.h"

#include <math.h>

static void print_tier(const json_t *t)
{
    char a[32], b[32], c[32];
    const json_t *w = json_object_get(t, "wilson95");

    printf("%-9s %5lld  %3lld of %-3lld  %5s  %5lld of %-5lld  ", auk_cli_text(t, "tier"),
           auk_cli_int(t, "k"), auk_cli_int(t, "strict_passed"), auk_cli_int(t, "tasks"),
           auk_cli_number(a, auk_cli_real(t, "pass_hat_k"), 3), auk_cli_int(t, "runs_passed"),
           auk_cli_int(t, "runs"));
    if (json_is_array(w))
        printf("[%.3f, %.3f]", json_number_value(json_array_get(w, 0)),
               json_number_value(json_array_get(w, 1)));
    else
        printf("%14s", "n/a");
    printf("  %5s  %7s  %s\n", auk_cli_number(b, auk_cli_real(t, "avg_steps"), 1),
           auk_cli_number(c, auk_cli_real(t, "ms_per_step"), 0),
           json_is_string(json_object_get(t, "top_error")) ? auk_cli_text(t, "top_error") : "-");
    if (auk_cli_int(t, "errored") > 0)
        printf("          %lld runs ended in an error and say nothing about the model\n",
               auk_cli_int(t, "errored"));
}

static void print_list(const char *title, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        printf("  %-11s %s\n", i == 0 ? title : "", json_string_value(json_array_get(list, i)));
}

void auk_agent_print_summary(const json_t *summary, const char *model)
{
    const json_t *tiers = json_object_get(summary, "tiers");
    const json_t *verdict = json_object_get(summary, "verdict");
    json_t *failures = json_object_get(json_object_get(summary, "all"), "failures"), *v;
    const char *class;

    printf("%s\n\n%-9s %5s  %-10s  %5s  %-14s  %-14s  %5s  %7s  %s\n", model, "tier", "k", "strict",
           "pass^k", "runs passed", "95 %", "steps", "ms/step", "top error");
    for (size_t i = 0; i < json_array_size(tiers); i++)
        print_tier(json_array_get(tiers, i));
    if (json_object_size(failures) > 0) {
        printf("\nfailures");
        json_object_foreach(failures, class, v)
            printf("  %s %lld", class, (long long)json_integer_value(v));
        printf("\n");
    }
    printf("\n%s for %s\n", auk_cli_text(verdict, "status"), auk_cli_text(verdict, "profile"));
    print_list("blocking", json_object_get(verdict, "blocking"));
    print_list("conditions", json_object_get(verdict, "conditions"));
    print_list("evidence", json_object_get(verdict, "evidence"));
}

/* Hostile text: nothing in it reaches the terminal as a command. */
static void print_text(const char *indent, auk_str s)
{
    auk_buf b = AUK_BUF_INIT(1u << 30);

    auk_escape_text(&b, s);
    auk_str rest = auk_buf_str(&b);
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end != NULL ? (size_t)(end - rest.p) : rest.n;
        printf("%s%.*s\n", indent, (int)n, rest.p);
        rest = auk_str_from(rest, end != NULL ? n + 1 : n);
    }
    auk_buf_release(&b);
}

static void print_message(const json_t *m)
{
    const char *role = auk_cli_text(m, "role");
    auk_str text = auk_json_str(json_object_get(m, "content"));
    auk_str thinking = auk_json_str(json_object_get(m, "reasoning_content"));
    const json_t *calls = json_object_get(m, "tool_calls");

    printf("%s\n", role);
    if (thinking.n > 0) {
        printf("  (thinking)\n");
        print_text("    ", thinking);
    }
    if (text.n > 0)
        print_text("  ", text);
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *f = json_object_get(json_array_get(calls, i), "function");
        auk_buf b = AUK_BUF_INIT(1u << 30);
        auk_buf_printf(&b, "-> %s %s", auk_cli_text(f, "name"), auk_cli_text(f, "arguments"));
        print_text("  ", auk_buf_str(&b));
        auk_buf_release(&b);
    }
}

void auk_agent_print_run(const json_t *run)
{
    const json_t *messages = json_object_get(run, "messages");

    printf("%s of %s, run %lld, instance %s\n\n", auk_cli_text(run, "task"),
           auk_cli_text(run, "collection"), auk_cli_int(run, "run"), auk_cli_text(run, "instance"));
    for (size_t i = 0; i < json_array_size(messages); i++)
        print_message(json_array_get(messages, i));
    printf("\n%s%s%s after %lld turns and %lld calls\n", auk_cli_text(run, "class"),
           auk_cli_text(run, "detail")[0] != 0 ? ": " : "", auk_cli_text(run, "detail"),
           auk_cli_int(run, "steps"), auk_cli_int(run, "calls"));
}
