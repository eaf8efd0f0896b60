/* SPDX-License-Identifier: Apache-2.0 */
/* Where would the memory end?  The engine's own sums, walked to the model's largest context. */
#include "diagnose/diagnose.h"

/* The largest context of 1 to `most` whose session takes at most `room` bytes; 0: none. */
static int largest(const auk_engine *e, int most, uint64_t room)
{
    int lo = 0, hi = most;

    while (lo < hi) {
        int mid = lo + (hi - lo + 1) / 2;
        if (auk_session_bytes(e, mid) <= room)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

static json_t *bytes(uint64_t n)
{
    return json_integer((json_int_t)n);
}

int auk_inspect_memory(json_t **out, const char *folder, int ctx, uint64_t available, auk_err *err)
{
    auk_engine_options o = {.threads = 1};
    auk_engine *e;

    *out = NULL;
    int rc = auk_engine_open(&e, folder, &o, err); /* maps the weights, reads none */
    if (rc < 0)
        return rc;
    uint64_t weights = auk_engine_model(e)->weight_bytes;
    int most = auk_engine_max_context(e);
    int fits = available > weights ? largest(e, most, available - weights) : 0;
    json_t *v = json_object();
    json_object_set_new(v, "weights_bytes", bytes(weights));
    json_object_set_new(v, "context_tokens", json_integer(ctx));
    json_object_set_new(v, "session_bytes", bytes(auk_session_bytes(e, ctx)));
    json_object_set_new(v, "kv_bytes", bytes(auk_session_kv_bytes(e, ctx)));
    json_object_set_new(v, "peak_bytes", bytes(weights + auk_session_bytes(e, ctx)));
    json_object_set_new(v, "ceiling_tokens", json_integer(most));
    json_object_set_new(v, "ceiling_peak_bytes", bytes(weights + auk_session_bytes(e, most)));
    json_object_set_new(v, "available_bytes", available > 0 ? bytes(available) : json_null());
    json_object_set_new(v, "fits_tokens", available > 0 ? json_integer(fits) : json_null());
    json_object_set_new(v, "out_of_memory_tokens",
                        available > 0 && fits < most ? json_integer(fits + 1) : json_null());
    auk_engine_close(e);
    *out = v;
    return AUK_OK;
}
