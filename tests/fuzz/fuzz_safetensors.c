/* SPDX-License-Identifier: Apache-2.0 */
/* A whole safetensors file: it opens with every tensor inside the input, or fails with one line. */
#include "base/mem.h"
#include "format/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile uint8_t kept;

static void look_at(const auk_safetensors *st, const uint8_t *file, size_t n)
{
    for (size_t i = 0; i < auk_safetensors_count(st); i++) {
        const auk_tensor *t = auk_safetensors_at(st, i);
        if (t->data < file || t->bytes > n || t->data + t->bytes > file + n)
            abort();
        for (uint64_t at = 0; at < t->bytes; at += 97)
            kept ^= t->data[at];
        if (auk_safetensors_find(st, t->name) != t)
            abort();
    }
    kept ^= auk_safetensors_metadata(st, "format") != NULL;
    kept ^= auk_safetensors_find(st, auk_str_of("no such tensor")) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *file = malloc(n); /* exactly its size */
    auk_safetensors *st = NULL;
    auk_err err = {0};

    if (file == NULL && n > 0)
        return 0;
    if (n > 0)
        memcpy(file, data, n);
    int rc = auk_safetensors_parse(&st, (auk_str){(const char *)file, n}, "input", &err);
    if ((rc < 0) != (st == NULL))
        abort();
    if (rc < 0 && (err.code != rc || err.msg[0] == 0 || strchr(err.msg, '\n') != NULL))
        abort();
    if (rc == AUK_OK)
        look_at(st, file, n);
    auk_safetensors_close(st);
    free(file);
    return 0;
}
