/* SPDX-License-Identifier: Apache-2.0 */
/* patch: an answer with SEARCH/REPLACE blocks becomes a unified diff. */
#include "cli/cli.h"

#include "base/limits.h"
#include "swebench/swebench.h"

typedef struct patch_args {
    auk_common common;
    const char *root;
    bool partial;
} patch_args;

static const auk_opt options[] = {
    {"root", AUK_OPT_STR, offsetof(patch_args, root), "DIR", "the files the answer is about"},
    {"partial", AUK_OPT_FLAG, offsetof(patch_args, partial), NULL,
     "keep the blocks that matched when others did not"},
    {0},
};

static int read_stdin(auk_buf *out, auk_err *err)
{
    char chunk[65536];
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        auk_buf_add(out, chunk, n);
    if (ferror(stdin))
        return auk_fail_errno(err, "cannot read standard input");
    return auk_buf_check(out, "the answer", err);
}

static json_t *edit_json(const auk_edit *e)
{
    const char *level = auk_edit_level_name(e->level);
    json_t *v = json_pack("{s:s, s:o, s:s, s:I}", "file", e->file, "level",
                          level[0] != 0 ? json_string(level) : json_null(), "status",
                          auk_edit_status_name(e->status), "line", (json_int_t)e->line);

    if (e->why[0] != 0)
        json_object_set_new(v, "why", json_string(e->why));
    return v;
}

static int print_json(const auk_patch *p)
{
    json_t *blocks = json_array();

    for (size_t i = 0; i < p->n_edits; i++)
        json_array_append_new(blocks, edit_json(&p->edits[i]));
    return auk_cli_print_json(json_pack("{s:s, s:s%, s:o, s:s}", "schema", "auklet.patch/1", "diff",
                                        auk_buf_str(&p->diff).p, p->diff.n, "blocks", blocks,
                                        "outcome", auk_patch_outcome(p)));
}

/* What a person should know, one line per block that is not simply applied. */
static void explain(const patch_args *a, const auk_patch *p)
{
    for (size_t i = 0; i < p->n_edits; i++) {
        const auk_edit *e = &p->edits[i];
        if (e->status != AUK_EDIT_APPLIED)
            fprintf(stderr, "auklet: block %zu, line %zu, '%s': %s: %s\n", i + 1, e->line, e->file,
                    auk_edit_status_name(e->status), e->why);
    }
    if (a->common.quiet)
        return;
    if (p->n_edits == 0)
        fprintf(stderr, "auklet: the answer has no SEARCH/REPLACE block\n");
    else if (p->diff.n > 0 && !p->complete)
        fprintf(stderr, "auklet: partial: only the blocks that matched are in the patch\n");
    else if (p->diff.n == 0 && !p->complete)
        fprintf(stderr, "auklet: the answer is refused; --partial keeps the blocks that match\n");
    else if (p->diff.n == 0)
        fprintf(stderr, "auklet: the patch is empty: nothing changes\n");
    if (p->test_files > 0)
        fprintf(stderr,
                "auklet: warning: %zu test files are edited; the official harness puts its "
                "own in their place\n",
                p->test_files);
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    patch_args a = {0};
    auk_root root = {.fd = -1};
    auk_buf answer = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_patch p = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.root == NULL)
        return auk_cli_usage(self, "want --root DIR, the files the answer is about");
    int rc = auk_root_open(&root, a.root, &err);
    if (rc == AUK_OK)
        rc = read_stdin(&answer, &err);
    auk_source source = {.read = auk_root_read, .ctx = &root};
    if (rc == AUK_OK)
        rc = auk_patch_make(&p, auk_buf_str(&answer), false, a.partial, &source, &err);
    auk_root_close(&root);
    auk_buf_release(&answer);
    if (rc < 0)
        return auk_cli_fail(&err);
    explain(&a, &p);
    status = p.diff.n > 0 ? 0 : 1;
    if (a.common.json)
        status |= print_json(&p);
    else
        fwrite(auk_buf_str(&p.diff).p, 1, p.diff.n, stdout);
    auk_patch_release(&p);
    return fflush(stdout) == 0 ? status : 1;
}

const auk_cmd auk_cmd_patch = {
    .name = "patch",
    .run = run,
    .usage = "patch --root DIR [--partial] <ANSWER",
    .summary = "SEARCH/REPLACE blocks on stdin to a unified diff",
    .examples = "  auklet patch --root ~/src/astropy <answer.md >fix.patch\n"
                "  auklet patch --root . --json <answer.md\n",
    .options = options,
    .min_args = 0,
    .max_args = 0,
};
