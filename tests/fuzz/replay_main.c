/* SPDX-License-Identifier: Apache-2.0 */
/* replay_main.c - runs a fuzz target over files and folders, without a fuzzing engine.
 *
 *     fuzz_x [FILE|FOLDER]...
 *
 * Each input is handed over in a block of exactly its size, so that reading past its end is found
 * by ASan.  The empty input always runs; a folder that is missing counts as empty. */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>

#define MAX_INPUT ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n); /* the target */

static size_t n_inputs;

static void replay(auk_str input)
{
    size_t n = input.n ? input.n : 1;
    uint8_t *block = calloc(1, n);

    if (block == NULL)
        abort();
    if (input.n > 0)
        memcpy(block, input.p, input.n);
    LLVMFuzzerTestOneInput(block + (n - input.n), input.n); /* of an empty input nothing is ours */
    free(block);
    n_inputs++;
}

static int replay_file(const char *path)
{
    auk_buf text = AUK_BUF_INIT(MAX_INPUT);
    auk_err err;

    int rc = auk_file_read(&text, path, &err);
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.msg);
    } else {
        fprintf(stderr, "replay: %s\n", path); /* the last line names the input that crashed */
        replay(auk_buf_str(&text));
    }
    auk_buf_release(&text);
    return rc;
}

static int replay_folder(const char *dir)
{
    struct dirent **names = NULL;
    int rc = 0;

    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            char *path = auk_path_join(dir, names[i]->d_name);
            if (replay_file(path) < 0)
                rc = -1;
            free(path);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0;

    replay((auk_str){"", 0});
    for (int i = 1; i < argc; i++) {
        bool is_dir = auk_file_is_dir(argv[i]);
        if (!is_dir && !auk_file_exists(argv[i]))
            continue;
        if ((is_dir ? replay_folder(argv[i]) : replay_file(argv[i])) < 0)
            rc = 1;
    }
    printf("%zu inputs\n", n_inputs);
    return rc;
}
