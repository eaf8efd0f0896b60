/* SPDX-License-Identifier: Apache-2.0 */
/* Text of a wanted size: a depot's log that never repeats itself. */
#include "diagnose/diagnose.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>

#define FIRST_BYTES_PER_TOKEN 4.0

/* ---- sentences ---------------------------------------------------------------------------- */

#define COUNT(x) (sizeof(x) / sizeof *(x))

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const people[] = {"Amara", "Bjorn",  "Chiara", "Dmitri", "Elena", "Farid",
                                     "Greta", "Hiro",   "Ingrid", "Jamal",  "Katya", "Luis",
                                     "Mei",   "Nadia",  "Omar",   "Petra",  "Quinn", "Rosa",
                                     "Soren", "Tomasz", "Ulrike", "Vikram", "Wanda", "Yusuf"};
static const char *const goods[] = {
    "copper wire",   "printed forms", "glass jars",    "spare tyres",   "garden chairs",
    "wool blankets", "lamp sockets",  "maple boards",  "paint buckets", "water pumps",
    "desk drawers",  "rope coils",    "bicycle bells", "roof tiles",    "tea chests",
    "hand tools",    "canvas bags",   "cork sheets"};
static const char *const places[] = {
    "Lindgate", "Marrow Hill", "Osterby",    "Penrose",  "Quarry Lane", "Ravensby",  "Saltmarsh",
    "Thornley", "Upwell",      "Vesterhavn", "Wickmoor", "Yarrow",      "Aldermoor", "Brackwater"};
static const char *const rooms[] = {"north hall",   "south hall", "loading bay", "cold room",
                                    "archive",      "paint shop", "east gate",   "west gate",
                                    "sorting room", "repair yard"};
static const char *const remarks[] = {"the seals were whole",
                                      "two labels had come off",
                                      "the scale needed a new battery",
                                      "rain had reached the pallets",
                                      "the driver waited for a stamp",
                                      "the list matched the load",
                                      "one crate was set aside",
                                      "the door had to be oiled",
                                      "a broken strap was replaced",
                                      "nobody signed the sheet",
                                      "the lift stood still for a while",
                                      "the count was done twice"};

static const char *pick(auk_rng *rng, const char *const *list, size_t n)
{
    return list[auk_rng_below(rng, n)];
}
#define PICK(list) pick(&rng, list, COUNT(list))

/* Every entry is 37 minutes or more after the one before it, so its time alone is unique. */
void auk_padding_sentence(auk_buf *out, uint64_t seed, uint64_t i)
{
    auk_rng rng = auk_rng_make(seed * 0x9E3779B97F4A7C15u + i);
    uint64_t minute = 37 * i + auk_rng_below(&rng, 37) + 1440 * (seed % 300);
    uint64_t day = minute / 1440;

    auk_buf_printf(out, "%d %s %02d, %02d:%02d: ", (int)(day % 28) + 1, months[day / 28 % 12],
                   (int)(day / 336 % 90) + 10, (int)(minute / 60 % 24), (int)(minute % 60));
    int number = (int)auk_rng_below(&rng, 190) + 2;
    switch (auk_rng_below(&rng, 4)) {
    case 0:
        auk_buf_printf(out, "%s brought %d boxes of %s from %s to the %s", PICK(people), number,
                       PICK(goods), PICK(places), PICK(rooms));
        break;
    case 1:
        auk_buf_printf(out, "the van for %s left the %s with %d crates of %s", PICK(places),
                       PICK(rooms), number, PICK(goods));
        break;
    case 2:
        auk_buf_printf(out, "%s and %s counted %d pieces of %s in the %s", PICK(people),
                       PICK(people), number, PICK(goods), PICK(rooms));
        break;
    default:
        auk_buf_printf(out, "an order from %s over %d units of %s was passed to %s", PICK(places),
                       number, PICK(goods), PICK(people));
    }
    auk_buf_printf(out, "; %s. ", PICK(remarks));
}

/* ---- sizes -------------------------------------------------------------------------------- */

int auk_sizer_open(auk_sizer *out, const char *folder, auk_err *err)
{
    *out = (auk_sizer){.bytes_per_token = FIRST_BYTES_PER_TOKEN};
    if (folder == NULL)
        return AUK_OK;
    char *path = auk_path_join(folder, "tokenizer.json");
    int rc = auk_tokenizer_open(&out->tokenizer, path, err);
    free(path);
    return rc;
}

void auk_sizer_close(auk_sizer *s)
{
    auk_tokenizer_close(s->tokenizer);
    s->tokenizer = NULL;
}

/* Bytes of what a prompt says, without the form it is sent in. */
static size_t bytes_of(const json_t *messages, const json_t *tools)
{
    size_t n = tools != NULL ? json_dumpb(tools, NULL, 0, JSON_COMPACT) : 0, i;
    const json_t *m;

    json_array_foreach(messages, i, m) n += auk_json_str(json_object_get(m, "content")).n + 16;
    return n;
}

int auk_sizer_count(int64_t *out, const auk_sizer *s, const json_t *messages, const json_t *tools,
                    auk_err *err)
{
    auk_ids ids = {0};

    if (s->tokenizer == NULL) {
        *out = (int64_t)((double)bytes_of(messages, tools) / s->bytes_per_token + 0.5);
        return AUK_OK;
    }
    json_t *request = json_object();
    json_object_set_new(request, "messages", json_deep_copy(messages));
    if (tools != NULL)
        json_object_set_new(request, "tools", json_deep_copy(tools));
    int rc = auk_request_prepare(request, err);
    if (rc == AUK_OK)
        rc = auk_render_ids(&ids, s->tokenizer, request, err);
    *out = (int64_t)ids.n;
    auk_ids_release(&ids);
    json_decref(request);
    return rc;
}

void auk_sizer_learn(auk_sizer *s, const json_t *messages, const json_t *tools, int64_t tokens)
{
    double rate = tokens > 0 ? (double)bytes_of(messages, tools) / (double)tokens : 0;

    if (s->tokenizer == NULL && rate > 0.1 && rate < 100)
        s->bytes_per_token = rate;
}
