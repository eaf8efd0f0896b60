/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is asked, and what decides its answers. */
#define _POSIX_C_SOURCE 200809L
#include "eval/ask.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"

#include <dirent.h>
#include <sys/stat.h>

static const char ask_humaneval[] =
    "Complete the function. Reply with one Python code block holding the whole function with its "
    "imports and helpers.\n\n```python\n";
static const char ask_mbpp[] = "\n\nReply with one Python code block. The code must pass these "
                               "tests:\n\n```python\n";

void auk_question_add(auk_buf *out, const auk_dataset *d, size_t task)
{
    const auk_task *t = &d->tasks[task];
    bool humaneval = d->form == AUK_FORM_HUMANEVAL;
    auk_str code = humaneval ? t->prompt : t->asserts;

    if (humaneval)
        auk_buf_puts(out, ask_humaneval);
    else {
        auk_buf_add(out, t->prompt.p, t->prompt.n);
        auk_buf_puts(out, ask_mbpp);
    }
    auk_buf_add(out, code.p, code.n);
    auk_buf_puts(out, code.n > 0 && code.p[code.n - 1] == '\n' ? "```" : "\n```");
}

int auk_question_messages(json_t **out, const auk_dataset *d, size_t task, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    *out = NULL;
    auk_question_add(&text, d, task);
    int rc = auk_buf_check(&text, "a prompt", err);
    if (rc == AUK_OK)
        *out = json_pack("[{s:s, s:s%}]", "role", "user", "content", auk_buf_str(&text).p, text.n);
    if (rc == AUK_OK && *out == NULL)
        rc = auk_fail(err, AUK_EFORMAT, "the prompt of %s is not UTF-8", d->tasks[task].id);
    auk_buf_release(&text);
    return rc;
}

int auk_question_hash(char out[65], const auk_dataset *d, size_t n, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    for (size_t i = 0; i < n; i++) {
        auk_buf_printf(&text, "%s\n", d->tasks[i].id);
        auk_question_add(&text, d, i);
    }
    int rc = auk_buf_check(&text, "the prompts", err);
    auk_sha256_of(out, auk_buf_str(&text).p, text.n);
    auk_buf_release(&text);
    return rc;
}

/* ---- the model's name --------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names and sizes of the folder's files, and the bytes of the small ones: weights themselves are
 * not read for this. */
static int add_folder(auk_buf *out, const char *folder, auk_err *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char *names[512];
    size_t n = 0;

    if (dir == NULL)
        return auk_fail_errno(err, "cannot read the folder '%s'", folder);
    while ((entry = readdir(dir)) != NULL && n < 512)
        if (auk_str_ends(auk_str_of(entry->d_name), ".safetensors") ||
            auk_str_ends(auk_str_of(entry->d_name), ".json"))
            names[n++] = auk_strndup(entry->d_name, strlen(entry->d_name));
    closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        char *path = auk_path_join(folder, names[i]);
        auk_buf text = AUK_BUF_INIT((size_t)64 << 20);
        char sha256[65] = "";
        struct stat st = {0};
        auk_err ignored;

        if (stat(path, &st) == 0 && auk_str_ends(auk_str_of(names[i]), ".json") &&
            auk_file_read(&text, path, &ignored) == AUK_OK)
            auk_sha256_of(sha256, auk_buf_str(&text).p, text.n);
        auk_buf_printf(out, "%.200s %lld %s\n", names[i], (long long)st.st_size, sha256);
        auk_buf_release(&text);
        free(path);
        free(names[i]);
    }
    return AUK_OK;
}

int auk_eval_model_name(auk_buf *out, const eval *e, auk_err *err)
{
    const auk_eval_options *o = e->opts;
    int rc = AUK_OK;

    if (auk_file_is_dir(o->model))
        rc = add_folder(out, o->model, err);
    else
        auk_buf_printf(out, "%s\n", o->model);
    auk_buf_printf(out, "%s %.9g %.9g %llu %d %d\n", e->out->prompt_sha256, o->temperature,
                   o->top_p, (unsigned long long)o->seed, o->max_tokens, o->loop_stop);
    return rc;
}
