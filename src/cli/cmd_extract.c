/* SPDX-License-Identifier: Apache-2.0 */
/* extract: from answers to programs.  Lines in, lines out. */
#include "cli/cli.h"

#include "base/limits.h"
#include "eval/eval.h"

typedef struct extract_args {
    auk_common common;
    const char *python, *level;
    bool unsafe, strict, section;
    auk_syntax syntax; /* borrowed from the checker */
    bool told;         /* that a key is unknown */
} extract_args;

/* What is not known is said once, and then ignored. */
static void say_unknown(extract_args *a, const json_t *in)
{
    static const char *const known[] = {"task_id", "prompt", "entry_point", "answer",
                                        "finish_reason"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)in, key, value)
    {
        bool found = a->told || a->common.quiet;
        for (size_t i = 0; i < sizeof known / sizeof *known && !found; i++)
            found = strcmp(key, known[i]) == 0;
        if (!found)
            fprintf(stderr, "auklet: extract does not use '%.60s'\n", key);
        a->told |= !found;
    }
}

static int want_text(auk_str *out, const json_t *in, const char *key, bool needed, auk_err *err)
{
    const json_t *v = json_object_get(in, key);

    *out = (auk_str){"", 0};
    if (json_is_string(v))
        *out = auk_json_str(v);
    else if (needed || (v != NULL && !json_is_null(v)))
        return auk_fail(err, AUK_EFORMAT, "'%s' is not a string", key);
    return AUK_OK;
}

static int extract_line(void *ctx, const json_t *in, json_t **out, auk_err *err)
{
    extract_args *a = ctx;
    auk_extract_input input = {.strict = a->strict, .is_section = a->section};
    auk_buf program = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_extract_status status;
    auk_str finish;
    json_t *trace;

    if (!json_is_object(in))
        return auk_fail(err, AUK_EFORMAT, "want an object with 'answer'");
    say_unknown(a, in);
    int rc = want_text(&input.answer, in, "answer", true, err);
    if (rc == AUK_OK)
        rc = want_text(&input.prompt, in, "prompt", false, err);
    if (rc == AUK_OK)
        rc = want_text(&input.entry_point, in, "entry_point", false, err);
    if (rc == AUK_OK)
        rc = want_text(&finish, in, "finish_reason", false, err);
    if (rc < 0)
        return rc;
    input.cut = auk_finish_is_cut(finish);
    rc = auk_extract(&program, &trace, &status, &input, &a->syntax, err);
    if (rc == AUK_OK) {
        json_t *id = json_object_get(in, "task_id");
        *out = json_pack("{s:O?, s:o, s:o}", "task_id", id, "program",
                         json_stringn(auk_buf_str(&program).p, program.n), "extraction", trace);
        if (id == NULL)
            json_object_del(*out, "task_id");
    }
    auk_buf_release(&program);
    return rc;
}

static const auk_opt options[] = {
    {"strict", AUK_OPT_FLAG, offsetof(extract_args, strict), NULL,
     "a whole function stands alone: do not put the prompt in front of it"},
    {"section", AUK_OPT_FLAG, offsetof(extract_args, section), NULL,
     "answers are answer sections already: look for no markers"},
    {"python", AUK_OPT_STR, offsetof(extract_args, python), "PROGRAM",
     "the interpreter that says what compiles (default: python3 by PATH)"},
    {"level", AUK_OPT_STR, offsetof(extract_args, level), "LEVEL",
     "the sandbox it compiles in: A, B, C or D (default: the best that works)"},
    {"unsafe-no-sandbox", AUK_OPT_FLAG, offsetof(extract_args, unsafe), NULL,
     "go on where no sandbox works"},
    {0},
};

static int run(const auk_cmd *self, int argc, char **argv)
{
    extract_args a = {0};
    auk_python *py = NULL;
    auk_sandbox *sb = NULL;
    auk_pychecker *checker = NULL;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    int rc = auk_python_find(&py, a.python, &err);
    if (rc == AUK_OK)
        rc = auk_sandbox_open(&sb, py, &(auk_sandbox_options){a.level, a.unsafe}, &err);
    if (rc == AUK_OK) {
        checker = auk_pychecker_new(sb);
        a.syntax = auk_pychecker_syntax(checker);
        status = auk_cli_lines(extract_line, &a);
    }
    auk_pychecker_free(checker);
    auk_sandbox_close(sb);
    auk_python_free(py);
    return rc < 0 ? auk_cli_fail(&err) : status;
}

const auk_cmd auk_cmd_extract = {
    .name = "extract",
    .run = run,
    .usage = "extract [options] < FILE.jsonl",
    .summary = "answers to programs, with a trace of how each was found",
    .examples = "  auklet extract < answers.jsonl > programs.jsonl\n"
                "  lines: {\"task_id\", \"prompt\", \"entry_point\", \"answer\", "
                "\"finish_reason\"}\n",
    .options = options,
};
