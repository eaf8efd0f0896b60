/* SPDX-License-Identifier: Apache-2.0 */
#include "format/format.h"

#include "base/mem.h"

#include <inttypes.h>

struct auk_npy {
    FILE *f;
    char *path, *tmp; /* owned */
    size_t item;
};

int auk_npy_create(auk_npy **out, const char *path, auk_dtype dtype, uint64_t rows, uint64_t cols,
                   auk_err *err)
{
    char dict[256], head[320];
    auk_npy *npy = auk_alloc(sizeof *npy);
    size_t n = strlen(path);

    *out = NULL;
    npy->item = auk_dtype_bytes(dtype);
    npy->path = auk_strndup(path, n);
    npy->tmp = auk_alloc(n + sizeof ".tmp");
    snprintf(npy->tmp, n + sizeof ".tmp", "%s.tmp", path);
    npy->f = fopen(npy->tmp, "wb");
    if (npy->f == NULL) {
        int rc = auk_fail_errno(err, "cannot write '%s'", npy->tmp);
        auk_npy_abandon(npy);
        return rc;
    }
    int len =
        snprintf(dict, sizeof dict,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
                 dtype == AUK_DT_F32 ? "<f4" : "<i4", rows, cols);
    int padded = (10 + len + 1 + 63) / 64 * 64 - 10; /* magic and dict end on 64 bytes */
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)(padded & 0xFF);
    head[9] = (char)(padded >> 8);
    snprintf(head + 10, sizeof head - 10, "%-*s\n", padded - 1, dict);
    fwrite(head, 1, (size_t)padded + 10, npy->f);
    *out = npy;
    return AUK_OK;
}

int auk_npy_write(auk_npy *npy, const void *values, uint64_t n, auk_err *err)
{
    if (fwrite(values, npy->item, n, npy->f) != n)
        return auk_fail_errno(err, "cannot write '%s'", npy->tmp);
    return AUK_OK;
}

int auk_npy_finish(auk_npy *npy, auk_err *err)
{
    int rc = AUK_OK;

    if (fclose(npy->f) != 0)
        rc = auk_fail_errno(err, "cannot write '%s'", npy->tmp);
    npy->f = NULL;
    if (rc == AUK_OK && rename(npy->tmp, npy->path) != 0)
        rc = auk_fail_errno(err, "cannot rename '%s'", npy->tmp);
    auk_npy_abandon(npy);
    return rc;
}

void auk_npy_abandon(auk_npy *npy)
{
    if (npy == NULL)
        return;
    if (npy->f != NULL)
        fclose(npy->f);
    remove(npy->tmp); /* gone already after a finish */
    free(npy->path);
    free(npy->tmp);
    free(npy);
}
