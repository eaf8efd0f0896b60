/* SPDX-License-Identifier: Apache-2.0 */
/* Any answer against any file.  The input is a byte of options, the file, a NUL, the answer.
 * auk_patch_make has applied its own diff again, so that what is left to check is the contract. */
#include "swebench/swebench.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int read_file(void *ctx, auk_buf *out, bool *exists, const char *path, auk_err *err)
{
    const auk_str *file = ctx;

    *exists = path[0] != 'n';
    if (path[0] == 'r')
        return auk_fail(err, AUK_EINVAL, "'%s' is refused", path);
    if (*exists)
        auk_buf_add(out, file->p, file->n);
    return AUK_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const shown[] = {"a.py", "n.py"};
    auk_patch p;
    auk_err err = {0};

    const uint8_t *zero = n > 0 ? memchr(data + 1, 0, n - 1) : NULL;
    if (zero == NULL)
        return 0;
    size_t file_n = (size_t)(zero - data) - 1, answer_n = n - file_n - 2;
    char *file = malloc(file_n + 1), *answer = malloc(answer_n + 1);
    assert(file != NULL && answer != NULL);
    memcpy(file, data + 1, file_n);
    memcpy(answer, zero + 1, answer_n);
    auk_str text = {file, file_n};
    auk_source source = {.read = read_file, .ctx = &text};
    if (data[0] & 1)
        source.shown = shown, source.n_shown = 2;
    int rc =
        auk_patch_make(&p, (auk_str){answer, answer_n}, data[0] & 2, data[0] & 4, &source, &err);
    assert(rc == AUK_OK || (rc == AUK_EFORMAT && err.msg[0] != 0));
    assert(rc == AUK_OK || strstr(err.msg, "does not give") == NULL);
    if (rc == AUK_OK) {
        assert(p.diff.n == 0 || p.diff.p[p.diff.n - 1] == '\n');
        assert(p.diff.n == 0 || p.complete || (data[0] & 4));
        for (size_t i = 0; i < p.n_edits; i++)
            assert((p.edits[i].why[0] == 0) == (p.edits[i].status == AUK_EDIT_APPLIED));
    }
    auk_patch_release(&p);
    free(file);
    free(answer);
    return 0;
}
