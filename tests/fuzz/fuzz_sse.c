/* SPDX-License-Identifier: Apache-2.0 */
/* However an event stream is cut into pieces, its events are the same.  The first byte seeds the
 * cuts. */
#include "base/rng.h"
#include "net/net.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MAX_EVENT 4096

static int on_event(void *ctx, const auk_sse_event *e, auk_err *err)
{
    auk_str parts[] = {e->type, e->data, e->id};

    (void)err;
    for (int i = 0; i < 3; i++) {
        auk_buf_printf(ctx, "%zu:", parts[i].n);
        auk_buf_add(ctx, parts[i].p, parts[i].n);
    }
    return AUK_OK;
}

/* Every piece is fed from a block of exactly its size. */
static int read_all(auk_buf *out, bool *pending, const uint8_t *data, size_t n, auk_rng *rng)
{
    auk_sse s;
    auk_err err = {0};
    int rc = AUK_OK;

    auk_sse_init(&s, MAX_EVENT, on_event, out);
    while (n > 0 && rc == AUK_OK) {
        size_t part = rng != NULL ? auk_rng_below(rng, n < 24 ? n : 24) + 1 : n;
        char *copy = malloc(part);
        assert(copy != NULL);
        memcpy(copy, data, part);
        rc = auk_sse_feed(&s, (auk_str){copy, part}, &err);
        free(copy);
        data += part;
        n -= part;
    }
    assert((rc < 0) == (err.msg[0] != 0));
    *pending = auk_sse_pending(&s);
    auk_sse_release(&s);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auk_buf whole = AUK_BUF_INIT(1 << 26), split = AUK_BUF_INIT(1 << 26);
    bool pending_whole, pending_split;

    if (n < 1 || n > 1 << 16)
        return 0;
    auk_rng rng = auk_rng_make(data[0]);
    int a = read_all(&whole, &pending_whole, data + 1, n - 1, NULL);
    int b = read_all(&split, &pending_split, data + 1, n - 1, &rng);
    assert(a == b);
    assert(a < 0 || pending_whole == pending_split);
    assert(auk_str_eq(auk_buf_str(&whole), auk_buf_str(&split)));
    auk_buf_release(&whole);
    auk_buf_release(&split);
    return 0;
}
