/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "cli/data_cache.h"
#include "cli/record.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

typedef struct card_args {
    auk_common common;
    const char *db, *output, *name, *base_model, *license;
    bool force;
} card_args;

static const auk_opt options[] = {
    {"output", AUK_OPT_STR, offsetof(card_args, output), "FILE",
     "write the card there (-o; default: standard output)"},
    {"name", AUK_OPT_STR, offsetof(card_args, name), "NAME",
     "what the model is called (default: its folder's name)"},
    {"base-model", AUK_OPT_STR, offsetof(card_args, base_model), "ID",
     "the hub's name of the original (default: North's, where it was quantized from that)"},
    {"license", AUK_OPT_STR, offsetof(card_args, license), "ID", "default: apache-2.0"},
    {"force", AUK_OPT_FLAG, offsetof(card_args, force), NULL, "replace FILE if it exists"},
    {"db", AUK_OPT_STR, offsetof(card_args, db), "FILE",
     "the ledger (default: AUK_LEDGER, else auklet/ledger.db in the data home)"},
    {0},
};

/* The folder's own name, also for "." and "dir/"; free(). */
static char *folder_name(const char *dir)
{
    char *full = realpath(dir, NULL);
    const char *slash = full != NULL ? strrchr(full, '/') : NULL;
    const char *name = slash != NULL && slash[1] != 0 ? slash + 1 : dir;
    char *copy = auk_strndup(name, strlen(name));

    free(full);
    return copy;
}

static int fingerprint(char hex[AUK_SHA256_HEX], const card_args *a, auk_err *err)
{
    auk_pool *pool = auk_pool_new(a->common.threads);
    char *cache = auk_cli_cache_path("fingerprints");
    auk_meter meter;

    auk_meter_init(&meter, &a->common);
    auk_cli_catch_interrupt();
    int rc = auk_fingerprint(hex, a->common.arg[0], cache, pool, auk_meter_step, &meter, err);
    auk_meter_clear(&meter);
    auk_pool_free(pool);
    free(cache);
    return rc;
}

static int card(const card_args *a, auk_buf *text, char hex[AUK_SHA256_HEX], size_t *n,
                auk_err *err)
{
    char *own = folder_name(a->common.arg[0]);
    auk_card_options o = {.name = a->name != NULL ? a->name : own,
                          .fingerprint = hex,
                          .base_model = a->base_model,
                          .license = a->license};
    auk_entry *entries = NULL;
    auk_ledger *l = NULL;

    int rc = auk_cli_ledger_open(&l, a->db, false, err);
    if (rc == AUK_OK)
        rc = fingerprint(hex, a, err);
    if (rc == AUK_OK)
        rc = auk_ledger_list(&entries, n, l, NULL, hex, err);
    if (rc == AUK_OK)
        rc = auk_card(text, entries, *n, &o, err);
    if (rc == AUK_OK && (a->output != NULL || !a->common.json))
        rc = auk_cli_write(a->output, a->force, text, err);
    auk_entries_free(entries, *n);
    auk_ledger_close(l);
    free(own);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    card_args a = {.license = "apache-2.0"};
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char hex[AUK_SHA256_HEX];
    size_t n = 0;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    status = 0;
    if (card(&a, &text, hex, &n, &err) < 0)
        status = auk_cli_fail(&err);
    else if (a.common.json)
        status = auk_cli_print_json(json_pack("{s:s, s:s, s:I, s:o}", "schema", "auklet.card/1",
                                              "fingerprint", hex, "records", (json_int_t)n, "card",
                                              json_stringn(text.p, text.n)));
    auk_buf_release(&text);
    return status;
}

const auk_cmd auk_cmd_card = {
    .name = "card",
    .run = run,
    .usage = "card MODEL [-o README.md] [options]",
    .summary = "the model card of a folder, from the ledger's records of it",
    .examples = "  auklet card north-4bit -o north-4bit/README.md --force\n"
                "  auklet card north-4bit --base-model CohereLabs/North-Mini-Code-1.0\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
