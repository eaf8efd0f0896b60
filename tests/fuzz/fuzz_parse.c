/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting the model's output never matters.  The first byte of the input says whether reasoning
 * is on, the second seeds the cuts. */
#include "base/rng.h"
#include "text/text.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every piece is fed from a block of exactly its size. */
static void feed(auk_parser *p, const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1);
    auk_err err = {0};

    assert(copy != NULL);
    if (n > 0)
        memcpy(copy, data, n);
    int rc = auk_parser_feed(p, (auk_str){copy, n}, &err);
    assert(rc == AUK_OK);
    free(copy);
}

static json_t *parse(const uint8_t *data, size_t n, bool reasoning_on, auk_rng *rng)
{
    auk_parser *p = auk_parser_new(reasoning_on, NULL, NULL);
    auk_parsed parsed;
    auk_err err = {0};
    json_t *result;

    while (rng != NULL && n > 0) {
        size_t part = auk_rng_below(rng, n < 24 ? n : 24) + 1;
        feed(p, data, part);
        data += part;
        n -= part;
    }
    feed(p, data, n);
    int rc = auk_parser_finish(&parsed, p, &err);
    assert(rc == AUK_OK);
    auk_parsed_json(&result, &parsed);
    auk_parser_free(p);
    assert(result != NULL);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    auk_rng rng = auk_rng_make(data[1]);
    json_t *whole = parse(data + 2, n - 2, data[0] & 1, NULL);
    json_t *split = parse(data + 2, n - 2, data[0] & 1, &rng);

    assert(json_equal(whole, split));
    json_decref(whole);
    json_decref(split);
    return 0;
}
