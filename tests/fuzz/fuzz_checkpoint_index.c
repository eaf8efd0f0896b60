/* SPDX-License-Identifier: Apache-2.0 */
/* A folder: the input's text up to a line "=====" is model.safetensors.index.json (none when it is
 * empty), the rest is the file a.safetensors; b.safetensors is a good shard that is always there.
 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "base/mem.h"
#include "format/format.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[300], index_path[400], a_path[400], b_path[400];
static volatile uint8_t kept;

static void remove_all(void)
{
    unlink(index_path);
    unlink(a_path);
    unlink(b_path);
    rmdir(dir);
}

static void put(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(p, 1, n, f) != n || fclose(f) != 0)
        exit(1);
}

static void begin(void)
{
    static const char header[] = "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    const char *base = getenv("TMPDIR");
    uint8_t file[8 + sizeof header - 1 + 3] = {sizeof header - 1};

    snprintf(dir, sizeof dir, "%s/auk-fuzz-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(dir) == NULL)
        exit(1);
    snprintf(index_path, sizeof index_path, "%s/model.safetensors.index.json", dir);
    snprintf(a_path, sizeof a_path, "%s/a.safetensors", dir);
    snprintf(b_path, sizeof b_path, "%s/b.safetensors", dir);
    memcpy(file + 8, header, sizeof header - 1);
    put(b_path, file, sizeof file);
    atexit(remove_all);
}

static void look_at(const auk_checkpoint *ck)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < auk_checkpoint_count(ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(ck, i);
        bytes += t->bytes;
        if (t->bytes > 0)
            kept ^= (uint8_t)(t->data[0] ^ t->data[t->bytes - 1]);
        if (auk_checkpoint_find(ck, t->name) != t || auk_checkpoint_file(ck, t->shard) == NULL)
            abort();
        auk_checkpoint_drop(ck, t, 0, t->bytes);
    }
    if (bytes != auk_checkpoint_bytes(ck))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char line[] = "\n=====\n";
    const size_t n_line = sizeof line - 1;
    auk_checkpoint *ck = NULL;
    auk_err err = {0};
    size_t at = 0;

    if (dir[0] == 0)
        begin();
    while (at + n_line <= n && memcmp(data + at, line, n_line) != 0)
        at++;
    bool split = at + n_line <= n;
    size_t index_bytes = split ? at : n, rest = split ? at + n_line : n;
    if (index_bytes > 0)
        put(index_path, data, index_bytes);
    else
        unlink(index_path);
    put(a_path, data + rest, n - rest);
    int rc = auk_checkpoint_open(&ck, dir, &err);
    if ((rc < 0) != (ck == NULL))
        abort();
    if (rc < 0 && (err.code != rc || err.msg[0] == 0 || strchr(err.msg, '\n') != NULL))
        abort();
    if (rc == AUK_OK)
        look_at(ck);
    auk_checkpoint_close(ck);
    return 0;
}
