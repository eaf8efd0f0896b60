/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/record.h"

#include "base/limits.h"

typedef struct report_args {
    auk_common common;
    const char *db, *output, *format;
    bool force;
} report_args;

static const auk_opt options[] = {
    {"output", AUK_OPT_STR, offsetof(report_args, output), "FILE",
     "write the report there (-o; default: standard output)"},
    {"format", AUK_OPT_STR, offsetof(report_args, format), "F",
     "html, md or json (default: as FILE ends, else html)"},
    {"force", AUK_OPT_FLAG, offsetof(report_args, force), NULL, "replace FILE if it exists"},
    {"db", AUK_OPT_STR, offsetof(report_args, db), "FILE",
     "the ledger (default: AUK_LEDGER, else auklet/ledger.db in the data home)"},
    {0},
};

/* -1: no such format. */
static int read_format(const report_args *a)
{
    static const char *const names[] = {"html", "md", "json"};
    const char *word = a->format;
    const char *dot = a->output != NULL ? strrchr(a->output, '.') : NULL;

    if (word == NULL && a->common.json)
        return AUK_REPORT_JSON;
    for (int i = 0; i < 3; i++)
        if (strcmp(word != NULL ? word : dot != NULL ? dot + 1 : "", names[i]) == 0)
            return i;
    return word == NULL ? AUK_REPORT_HTML : -1;
}

static int report(const report_args *a, auk_report_format format, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    size_t n = (size_t)a->common.n_args;
    auk_entry *entries = NULL;
    auk_ledger *l = NULL;

    int rc = auk_cli_ledger_open(&l, a->db, false, err);
    if (rc == AUK_OK)
        rc = auk_cli_entries(&entries, l, a->common.arg, n, err);
    if (rc == AUK_OK)
        rc = auk_report(&text, entries, n, format, err);
    if (rc == AUK_OK)
        rc = auk_cli_write(a->output, a->force, &text, err);
    if (entries != NULL)
        auk_entries_free(entries, n);
    auk_ledger_close(l);
    auk_buf_release(&text);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    report_args a = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    int format = read_format(&a);
    if (format < 0)
        return auk_cli_usage(self, "option '--format': '%s' is not html, md or json", a.format);
    if (report(&a, (auk_report_format)format, &err) < 0)
        return auk_cli_fail(&err);
    return 0;
}

const auk_cmd auk_cmd_report = {
    .name = "report",
    .run = run,
    .usage = "report ID... [-o FILE] [options]",
    .summary = "records of the ledger as one page: HTML, Markdown or JSON",
    .examples = "  auklet report latest -o report.html\n"
                "  auklet report 3f9a 81c2 -o both.html   (the second against the first)\n"
                "  auklet report 3f9a --format md\n",
    .options = options,
    .min_args = 1,
    .max_args = -1,
};
