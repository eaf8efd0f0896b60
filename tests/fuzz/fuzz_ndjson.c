/* SPDX-License-Identifier: Apache-2.0 */
/* However lines are cut into pieces, they are the same.  The first byte seeds the cuts. */
#include "base/rng.h"
#include "net/net.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MAX_LINE_BYTES 4096

static int on_line(void *ctx, auk_str line, auk_err *err)
{
    (void)err;
    assert(line.n > 0 && memchr(line.p, '\n', line.n) == NULL);
    auk_buf_printf(ctx, "%zu:", line.n);
    auk_buf_add(ctx, line.p, line.n);
    return AUK_OK;
}

static int read_all(auk_buf *out, const uint8_t *data, size_t n, auk_rng *rng)
{
    auk_lines l;
    auk_err err = {0};
    int rc = AUK_OK;

    auk_lines_init(&l, MAX_LINE_BYTES, on_line, out);
    while (n > 0 && rc == AUK_OK) {
        size_t part = rng != NULL ? auk_rng_below(rng, n < 24 ? n : 24) + 1 : n;
        char *copy = malloc(part);
        assert(copy != NULL);
        memcpy(copy, data, part);
        rc = auk_lines_feed(&l, (auk_str){copy, part}, &err);
        free(copy);
        data += part;
        n -= part;
    }
    if (rc == AUK_OK)
        rc = auk_lines_finish(&l, &err);
    assert((rc < 0) == (err.msg[0] != 0));
    auk_lines_release(&l);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auk_buf whole = AUK_BUF_INIT(1 << 26), split = AUK_BUF_INIT(1 << 26);

    if (n < 1 || n > 1 << 16)
        return 0;
    auk_rng rng = auk_rng_make(data[0]);
    int a = read_all(&whole, data + 1, n - 1, NULL);
    int b = read_all(&split, data + 1, n - 1, &rng);
    assert(a == b);
    assert(auk_str_eq(auk_buf_str(&whole), auk_buf_str(&split)));
    auk_buf_release(&whole);
    auk_buf_release(&split);
    return 0;
}
