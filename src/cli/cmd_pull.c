/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/str.h"
#include "net/net.h"

typedef struct pull_args {
    auk_common common;
    const char *output, *revision, *endpoint, *include, *sha256;
    bool force;
    int connections;
} pull_args;

static const auk_opt options[] = {
    {"output", AUK_OPT_STR, offsetof(pull_args, output), "DIR",
     "put it there (-o; default: the name, here)"},
    {"revision", AUK_OPT_STR, offsetof(pull_args, revision), "REV",
     "branch, tag or commit (default: main)"},
    {"endpoint", AUK_OPT_STR, offsetof(pull_args, endpoint), "URL",
     "the hub (default: HF_ENDPOINT, else https://huggingface.co)"},
    {"include", AUK_OPT_STR, offsetof(pull_args, include), "GLOB",
     "only matching files; several with commas between"},
    {"sha256", AUK_OPT_STR, offsetof(pull_args, sha256), "HEX",
     "what the file of a plain URL must hash to"},
    {"connections", AUK_OPT_INT, offsetof(pull_args, connections), "N",
     "parallel transfers, 1 to 64 (default: 8)"},
    {"force", AUK_OPT_FLAG, offsetof(pull_args, force), NULL, "replace files that differ"},
    {0},
};

/* The meter starts anew with each kind of work: fetching, checking. */
typedef struct meter {
    const auk_common *common;
    auk_meter meter;
    char what[16];
} meter;

static bool on_progress(void *ctx, const char *what, const char *unit, uint64_t done,
                        uint64_t total)
{
    meter *m = ctx;

    if (total == 0)
        return auk_cli_interrupted();
    if (strcmp(m->what, what) != 0) {
        auk_meter_clear(&m->meter);
        auk_meter_init(&m->meter, m->common);
        snprintf(m->what, sizeof m->what, "%s", what);
    }
    return auk_meter_step(&m->meter, what, unit, done, total);
}

static void on_note(void *ctx, const char *line)
{
    meter *m = ctx;

    auk_meter_clear(&m->meter);
    if (!m->common->quiet)
        fprintf(stderr, "auklet: %s\n", line);
}

static int print_json(const auk_pull_result *r, const char *source)
{
    json_t *files = json_array();

    for (size_t i = 0; i < r->n_files; i++) {
        const auk_pull_file *f = &r->files[i];
        json_array_append_new(files,
                              json_pack("{s:s, s:I, s:s, s:I, s:b}", "path", f->path, "bytes",
                                        (json_int_t)f->bytes, "sha256", f->sha256, "resumed_from",
                                        (json_int_t)f->resumed_from, "checked", f->checked));
    }
    return auk_cli_print_json(json_pack(
        "{s:s, s:s, s:s, s:s?, s:o, s:I, s:I, s:f}", "schema", "auklet.pull/1", "source", source,
        "output", r->output, "revision", r->revision, "files", files, "bytes", (json_int_t)r->bytes,
        "fetched_bytes", (json_int_t)r->fetched_bytes, "seconds", r->seconds));
}

static int print_text(const auk_pull_result *r, const auk_common *common)
{
    char all[32], fetched[32];
    size_t unchecked = 0;

    auk_bytes_print(all, sizeof all, r->bytes);
    auk_bytes_print(fetched, sizeof fetched, r->fetched_bytes);
    for (size_t i = 0; i < r->n_files; i++)
        unchecked += !r->files[i].checked;
    if (!common->quiet)
        fprintf(stderr, "auklet: %zu file%s, %s (%s fetched) in %.1f s\n", r->n_files,
                r->n_files == 1 ? "" : "s", all, fetched, r->seconds);
    if (unchecked > 0)
        fprintf(stderr, "auklet: warning: the source gives no hash for %zu of them: unchecked\n",
                unchecked);
    printf("%s\n", r->output);
    return fflush(stdout) == 0 ? 0 : 1;
}

static bool is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    pull_args a = {.connections = 8};
    auk_pull_options o = auk_pull_defaults();
    auk_pull_result r;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    const char *source = a.common.arg[0];
    if (a.connections < 1 || a.connections > 64)
        return auk_cli_usage(self, "option '--connections': %d is not within 1 to 64",
                             a.connections);
    if (a.sha256 != NULL && !is_url(source))
        return auk_cli_usage(self, "--sha256 is for a plain URL; a hub gives its own hashes");
    if (is_url(source) && (a.revision != NULL || a.include != NULL))
        return auk_cli_usage(self, "--revision and --include are for a repository, not for a URL");
    meter m = {.common = &a.common};
    auk_meter_init(&m.meter, &a.common);
    o.output = a.output;
    o.endpoint = a.endpoint != NULL ? a.endpoint : getenv("HF_ENDPOINT");
    o.token = getenv("HF_TOKEN");
    o.revision = a.revision;
    o.include = a.include;
    o.sha256 = a.sha256;
    o.force = a.force;
    o.connections = a.connections;
    o.progress = on_progress;
    o.note = on_note;
    o.progress_ctx = o.note_ctx = &m;
    auk_cli_catch_interrupt();
    int rc =
        is_url(source) ? auk_pull_url(&r, source, &o, &err) : auk_pull_repo(&r, source, &o, &err);
    auk_meter_clear(&m.meter);
    if (rc < 0)
        return auk_cli_fail(&err);
    status = a.common.json ? print_json(&r, source) : print_text(&r, &a.common);
    auk_pull_release(&r);
    return status;
}

const auk_cmd auk_cmd_pull = {
    .name = "pull",
    .run = run,
    .usage = "pull REPO [-o DIR] [options]",
    .summary = "fetch a checkpoint from a hub, or one file from a URL; checked, resumable",
    .examples = "  auklet pull CohereLabs/North-Mini-Code-1.0\n"
                "  auklet pull owner/name -o model --include '*.json,*.safetensors'\n"
                "  auklet pull https://host/data.jsonl.gz --sha256 HEX -o data.jsonl.gz\n"
                "HF_TOKEN, when set, is sent to the hub and to no other host.  Everything fetched\n"
                "so far stays in DIR.pull; the same command goes on from there.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
