/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/record.h"

#include "base/file.h"
#include "base/limits.h"

typedef struct ledger_args {
    auk_common common;
    const char *db, *kind, *output;
    bool force, items;
} ledger_args;

static const auk_opt options[] = {
    {"db", AUK_OPT_STR, offsetof(ledger_args, db), "FILE",
     "the ledger (default: AUK_LEDGER, else auklet/ledger.db in the data home)"},
    {"kind", AUK_OPT_STR, offsetof(ledger_args, kind), "K",
     "list: only records of this kind (eval, compare, quantize, bench ...)"},
    {"items", AUK_OPT_FLAG, offsetof(ledger_args, items), NULL,
     "show: also the items, a line each (--json has them always)"},
    {"output", AUK_OPT_STR, offsetof(ledger_args, output), "FILE",
     "export: write there (-o; default: standard output)"},
    {"force", AUK_OPT_FLAG, offsetof(ledger_args, force), NULL, "replace FILE if it exists"},
    {0},
};

/* ---- list --------------------------------------------------------------------------------- */

/* The head with the record's id in front. */
static json_t *with_id(const auk_entry *e)
{
    json_t *v = json_object();

    json_object_set_new(v, "id", json_string(e->id));
    json_object_update(v, e->head);
    return v;
}

/* Prints a record's text: what it holds may come from elsewhere. */
static void print_safe(const char *s, int width)
{
    auk_buf out = AUK_BUF_INIT(AUK_MAX_TEXT);

    auk_escape_line(&out, auk_str_of(s));
    printf("%-*s", width, out.p != NULL ? out.p : "");
    auk_buf_release(&out);
}

static const char *text_at(const json_t *v, const char *path)
{
    const char *s = json_string_value(auk_record_at(v, path));
    return s != NULL ? s : "-";
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

static void print_row(const auk_entry *e)
{
    auk_buf said = AUK_BUF_INIT(1 << 16);

    auk_headline_say(&said, e->head);
    printf("%.12s  %-.19s  ", e->id, text_at(e->head, "finished"));
    print_safe(text_at(e->head, "kind"), 9);
    printf("  ");
    print_safe(base_name(text_at(e->head, "model.path")), 20);
    printf("  ");
    print_safe(said.p, 0);
    printf("\n");
    auk_buf_release(&said);
}

static int list(const ledger_args *a, auk_ledger *l, auk_err *err)
{
    auk_entry *entries = NULL;
    size_t n = 0;

    int rc = auk_ledger_list(&entries, &n, l, a->kind, NULL, err);
    if (rc < 0)
        return rc;
    json_t *records = json_array();
    for (size_t i = 0; i < n; i++)
        if (a->common.json)
            json_array_append_new(records, with_id(&entries[i]));
        else
            print_row(&entries[i]);
    auk_entries_free(entries, n);
    if (!a->common.json)
        json_decref(records);
    else if (auk_cli_print_json(
                 json_pack("{s:s, s:o}", "schema", "auklet.ledger/1", "records", records)) != 0)
        return auk_fail(err, AUK_EIO, "the list is not complete");
    return AUK_OK;
}

/* ---- show --------------------------------------------------------------------------------- */

static int show_json(const auk_entry *e, auk_err *err)
{
    json_t *items = json_array(), *v;
    int rc = AUK_OK;

    for (size_t i = 0; i < e->n_items && rc == AUK_OK; i++) {
        rc = auk_json_parse(&v, e->items[i], "item", err);
        if (rc == AUK_OK)
            json_array_append_new(items, v);
    }
    if (rc < 0) {
        json_decref(items);
        return rc;
    }
    if (auk_cli_print_json(json_pack("{s:s, s:o, s:o}", "schema", "auklet.ledger/1", "record",
                                     with_id(e), "items", items)) != 0)
        return auk_fail(err, AUK_EIO, "the record is not complete");
    return AUK_OK;
}

static int show(const ledger_args *a, auk_ledger *l, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT), safe = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_entry e;

    int rc = auk_ledger_get(&e, l, a->common.arg[1], err);
    if (rc < 0)
        return rc;
    if (a->common.json) {
        rc = show_json(&e, err);
    } else {
        auk_buf_printf(&text, "record %s\n", e.id);
        auk_json_print(&text, e.head, (auk_json_style){.indent = 2});
        auk_buf_putc(&text, '\n');
        for (size_t i = 0; a->items && i < e.n_items; i++) {
            auk_buf_add(&text, e.items[i].p, e.items[i].n);
            auk_buf_putc(&text, '\n');
        }
        auk_escape_text(&safe, auk_buf_str(&text));
        rc = auk_cli_write(NULL, false, &safe, err);
    }
    auk_entry_release(&e);
    auk_buf_release(&text);
    auk_buf_release(&safe);
    return rc;
}

/* ---- verify ------------------------------------------------------------------------------- */

typedef struct findings {
    json_t *list; /* NULL: print them */
} findings;

static void found(void *ctx, uint64_t seq, const char *id, const char *what)
{
    findings *f = ctx;
    json_t *text = json_string(what);

    if (f->list != NULL) {
        json_t *v = json_pack("{s:I, s:o, s:o}", "record", (json_int_t)seq, "id",
                              *id != 0 ? json_string(id) : json_null(), "finding",
                              text != NULL ? text : json_string("bytes that are no text"));
        json_array_append_new(f->list, v != NULL ? v : json_string("bytes that are no text"));
        return;
    }
    json_decref(text);
    if (seq > 0)
        printf("record %llu ", (unsigned long long)seq);
    print_safe(id, 0);
    printf("%s", *id != 0 ? ": " : "");
    print_safe(what, 0);
    printf("\n");
}

/* Exit 3 when something is not as it was written. */
static int verify(const ledger_args *a, auk_ledger *l, int *status, auk_err *err)
{
    findings f = {.list = a->common.json ? json_array() : NULL};
    auk_verification v;

    int rc =
        auk_ledger_verify(&v, l, a->common.n_args > 1 ? a->common.arg[1] : NULL, found, &f, err);
    if (rc < 0) {
        json_decref(f.list);
        return rc;
    }
    *status = v.findings > 0 ? 3 : 0;
    if (a->common.json) {
        if (auk_cli_print_json(json_pack("{s:s, s:I, s:I, s:b, s:o}", "schema", "auklet.ledger/1",
                                         "verified", (json_int_t)v.records, "items",
                                         (json_int_t)v.items, "ok", v.findings == 0, "findings",
                                         f.list)) != 0)
            return auk_fail(err, AUK_EIO, "the findings are not complete");
    } else if (v.findings == 0) {
        printf("%llu records, %llu items: every headline is what its items give\n",
               (unsigned long long)v.records, (unsigned long long)v.items);
    }
    return AUK_OK;
}

/* ---- export, import ----------------------------------------------------------------------- */

static int export_one(auk_buf *text, auk_ledger *l, const char *name, auk_err *err)
{
    auk_entry e;

    int rc = auk_ledger_get(&e, l, name, err);
    if (rc < 0)
        return rc;
    rc = auk_entry_export(text, &e, err);
    auk_entry_release(&e);
    return rc;
}

static int export(const ledger_args *a, auk_ledger *l, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_entry *all = NULL;
    size_t n = 0;
    int rc = AUK_OK;

    if (a->common.n_args == 1)
        rc = auk_ledger_list(&all, &n, l, a->kind, NULL, err);
    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        rc = export_one(&text, l, all[i].id, err);
    for (int i = 1; i < a->common.n_args && rc == AUK_OK; i++)
        rc = export_one(&text, l, a->common.arg[i], err);
    if (rc == AUK_OK)
        rc = auk_cli_write(a->output, a->force, &text, err);
    auk_entries_free(all, n);
    auk_buf_release(&text);
    return rc;
}

static int import(const ledger_args *a, auk_ledger *l, auk_err *err)
{
    const char *path = a->common.arg[1];
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_import done;

    int rc = auk_file_read(&text, strcmp(path, "-") == 0 ? "/dev/stdin" : path, err);
    if (rc == AUK_OK)
        rc = auk_ledger_import(&done, l, auk_buf_str(&text), path, err);
    auk_buf_release(&text);
    if (rc < 0)
        return rc;
    if (!a->common.json)
        printf("%llu records added, %llu were there\n", (unsigned long long)done.added,
               (unsigned long long)done.known);
    else if (auk_cli_print_json(json_pack("{s:s, s:I, s:I}", "schema", "auklet.ledger/1", "added",
                                          (json_int_t)done.added, "known",
                                          (json_int_t)done.known)) != 0)
        return auk_fail(err, AUK_EIO, "cannot say what was added");
    return AUK_OK;
}

/* ---- the command -------------------------------------------------------------------------- */

typedef enum verb { LIST, SHOW, VERIFY, EXPORT, IMPORT, N_VERBS } verb;

static const struct {
    const char *name;
    int min_args, max_args; /* after the verb; max -1: any number */
} verbs[N_VERBS] = {
    {"list", 0, 0}, {"show", 1, 1}, {"verify", 0, 1}, {"export", 0, -1}, {"import", 1, 1}};

static int act(const ledger_args *a, verb v, int *status, auk_err *err)
{
    auk_ledger *l = NULL;

    int rc = auk_cli_ledger_open(&l, a->db, v == IMPORT, err);
    if (rc == AUK_OK && v == LIST)
        rc = list(a, l, err);
    else if (rc == AUK_OK && v == SHOW)
        rc = show(a, l, err);
    else if (rc == AUK_OK && v == VERIFY)
        rc = verify(a, l, status, err);
    else if (rc == AUK_OK && v == EXPORT)
        rc = export(a, l, err);
    else if (rc == AUK_OK)
        rc = import(a, l, err);
    auk_ledger_close(l);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    ledger_args a = {0};
    auk_err err;
    int v = 0;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    while (v < N_VERBS && strcmp(a.common.arg[0], verbs[v].name) != 0)
        v++;
    if (v == N_VERBS)
        return auk_cli_usage(self, "'%s' is not list, show, verify, export or import",
                             a.common.arg[0]);
    int n = a.common.n_args - 1;
    if (n < verbs[v].min_args)
        return auk_cli_usage(self, "%s wants %s", verbs[v].name, v == SHOW ? "an id" : "a file");
    if (verbs[v].max_args >= 0 && n > verbs[v].max_args)
        return auk_cli_usage(self, "'%s' is one too many", a.common.arg[verbs[v].max_args + 1]);
    status = 0;
    if (act(&a, (verb)v, &status, &err) < 0)
        return auk_cli_fail(&err);
    return fflush(stdout) == 0 ? status : 1;
}

const auk_cmd auk_cmd_ledger = {
    .name = "ledger",
    .run = run,
    .usage = "ledger list | show ID | verify [ID] | export [ID...] | import FILE",
    .summary = "the records behind every number: look, check, take along",
    .examples = "  auklet ledger list --kind eval\n"
                "  auklet ledger show latest\n"
                "  auklet ledger verify\n"
                "  auklet ledger export -o evidence.jsonl\n"
                "  auklet ledger import evidence.jsonl\n",
    .options = options,
    .min_args = 1,
    .max_args = -1,
};
