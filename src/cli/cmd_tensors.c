/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/sha256.h"
#include "format/format.h"

#define PIECE ((uint64_t)1 << 22)

typedef struct tensors_args {
    auk_common common;
} tensors_args;

static const auk_opt options[] = {{0}};

/* Page by page, so that no tensor is ever resident as a whole. */
static void hash(char hex[AUK_SHA256_HEX], const auk_checkpoint *ck, const auk_tensor *t)
{
    auk_sha256 *h = auk_sha256_new();

    for (uint64_t at = 0; at < t->bytes; at += PIECE) {
        uint64_t n = t->bytes - at < PIECE ? t->bytes - at : PIECE;
        auk_sha256_add(h, t->data + at, (size_t)n);
        auk_checkpoint_drop(ck, t, at, n);
    }
    auk_sha256_finish(h, hex);
}

static int print_tensor(const auk_checkpoint *ck, const auk_tensor *t)
{
    char hex[AUK_SHA256_HEX];
    json_t *shape = json_array();

    hash(hex, ck, t);
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    json_t *v = json_object();
    json_object_set_new(v, "name", json_stringn(t->name.p, t->name.n));
    json_object_set_new(v, "dtype", json_string(auk_dtype_name(t->dtype)));
    json_object_set_new(v, "shape", shape);
    json_object_set_new(v, "bytes", json_integer((json_int_t)t->bytes));
    json_object_set_new(v, "sha256", json_string(hex));
    return auk_cli_print_json(v);
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    tensors_args a = {0};
    auk_checkpoint *ck;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (auk_checkpoint_open(&ck, a.common.arg[0], &err) < 0)
        return auk_cli_fail(&err);
    status = 0;
    for (size_t i = 0; i < auk_checkpoint_count(ck) && status == 0; i++)
        status = print_tensor(ck, auk_checkpoint_at(ck, i));
    auk_checkpoint_close(ck);
    return status;
}

const auk_cmd auk_cmd_tensors = {
    .name = "tensors",
    .run = run,
    .usage = "tensors DIR",
    .summary = "name, dtype, shape, size and SHA-256 of each tensor, one JSON line each",
    .examples = "  auklet tensors north-4bit | head\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
};
