/* SPDX-License-Identifier: Apache-2.0 */
/* What lies beside the weights: mlx-vlm takes every *.py and *.json and every folder; the tokenizer
 * and the chat template come through its processor, which writes them as they were. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "quant/plan.h"

#include "base/mem.h"

#include <dirent.h>
#include <sys/stat.h>

/* What mlx-vlm writes for a local source, whose own card is not taken over. */
static const char card[] = "---\n"
                           "language: en\n"
                           "library_name: mlx\n"
                           "pipeline_tag: image-text-to-text\n"
                           "tags:\n"
                           "- mlx\n"
                           "---\n";

static bool is_copied(const char *name)
{
    auk_str s = auk_str_of(name);

    if (strcmp(name, "model.safetensors.index.json") == 0 || strcmp(name, "config.json") == 0)
        return false; /* ours */
    return auk_str_ends(s, ".py") || auk_str_ends(s, ".json") || auk_str_starts(s, "tokenizer") ||
           auk_str_is(s, "chat_template.jinja");
}

/* Folders that are left alone: unfinished results, and the destination (or what holds it), which
 * may lie inside the source and is not copied into itself.  dst ends in ".partial". */
static bool is_left_out(const char *folder, const char *dst)
{
    char *from = realpath(folder, NULL), *to = realpath(dst, NULL);
    bool out = from == NULL || to == NULL || auk_str_ends(auk_str_of(folder), ".partial");

    if (!out) {
        size_t n = strlen(from), m = strlen(to), stem = m - strlen(".partial");
        out = strncmp(from, to, n) == 0 && (to[n] == '/' || n == m || n == stem);
    }
    free(from);
    free(to);
    return out;
}

static int copy_one(const char *from, const char *name, const char *dst, auk_err *err)
{
    struct stat st;
    int rc = AUK_OK;

    if (stat(from, &st) != 0)
        return AUK_OK; /* a link to nothing, or gone meanwhile */
    char *to = auk_path_join(dst, name);
    if (S_ISDIR(st.st_mode) ? !is_left_out(from, dst) : S_ISREG(st.st_mode) && is_copied(name)) {
        rc = auk_tree_remove(to, err); /* what a killed run may have left half copied */
        if (rc == AUK_OK)
            rc = auk_tree_copy(from, to, err);
    }
    free(to);
    return rc;
}

int auk_quant_copy_files(const char *src, const char *dst, auk_err *err)
{
    struct dirent *e;
    int rc = AUK_OK;

    DIR *d = opendir(src);
    if (d == NULL)
        return auk_fail_errno(err, "cannot open folder '%s'", src);
    while (rc == AUK_OK && (e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.') /* "." and "..", and what tools keep for themselves */
            continue;
        char *from = auk_path_join(src, e->d_name);
        rc = copy_one(from, e->d_name, dst, err);
        free(from);
    }
    closedir(d);
    if (rc < 0)
        return rc;
    char *readme = auk_path_join(dst, "README.md");
    rc = auk_file_write(readme, auk_str_of(card), err);
    free(readme);
    return rc;
}
