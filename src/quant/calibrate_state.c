/* SPDX-License-Identifier: Apache-2.0 */
/* One file per layer boundary beside the shards: what the rest of the pass follows from. */
#define _POSIX_C_SOURCE 200809L
#include "quant/calibrate.h"

#include "base/mem.h"

#include <unistd.h>

typedef struct head {
    char magic[8];
    uint64_t layer, tokens, hidden, n_log, entry_bytes;
} head;

static void fill_head(head *h, const auk_calib *c, int layer)
{
    *h = (head){.magic = "aukcal1",
                .layer = (uint64_t)layer,
                .tokens = c->n_tokens,
                .hidden = (uint64_t)c->hp->hidden,
                .n_log = c->n_log,
                .entry_bytes = sizeof(auk_quant_entry)};
}

static char *path_of(const char *dir, int layer, const char *end)
{
    char name[48];

    snprintf(name, sizeof name, ".auklet-calibration-%d%s", layer, end);
    return auk_path_join(dir, name);
}

/* Strings of an entry are static: they are stored as numbers. */
static const char *const words[] = {"",       "gate_proj", "up_proj",        "down_proj",
                                    "q_proj", "k_proj",    "v_proj",         "o_proj",
                                    "gate",   "no tokens", "held-out error", "not definite"};

static int word_number(const char *s)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(s, words[i]) == 0)
            return (int)i;
    return 0;
}

int auk_calib_save(const auk_calib *c, const char *dir, int layer, auk_err *err)
{
    char *path = path_of(dir, layer, ""), *tmp = path_of(dir, layer, ".tmp");
    size_t bytes = c->n_tokens * (size_t)c->hp->hidden * 2;
    head h;
    int rc = AUK_OK;

    fill_head(&h, c, layer);
    FILE *f = fopen(tmp, "wb");
    bool ok = f != NULL && fwrite(&h, sizeof h, 1, f) == 1 && fwrite(c->h, 1, bytes, f) == bytes;
    for (size_t i = 0; ok && i < c->n_log; i++) {
        auk_quant_entry e = c->log[i];
        int32_t said[2] = {word_number(e.proj), word_number(e.reason)};
        e.proj = NULL;
        e.reason = NULL;
        ok = fwrite(&e, sizeof e, 1, f) == 1 && fwrite(said, sizeof said, 1, f) == 1;
    }
    ok = ok && fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (!ok)
        rc = auk_fail_errno(err, "cannot write '%s'", tmp);
    if (f != NULL && fclose(f) != 0 && rc == AUK_OK)
        rc = auk_fail_errno(err, "cannot write '%s'", tmp);
    if (rc == AUK_OK && rename(tmp, path) != 0)
        rc = auk_fail_errno(err, "cannot rename '%s'", tmp);
    free(path);
    free(tmp);
    return rc;
}

static bool read_log(auk_calib *c, FILE *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        auk_quant_entry *e = &c->log[i];
        int32_t said[2];
        if (fread(e, sizeof *e, 1, f) != 1 || fread(said, sizeof said, 1, f) != 1 || said[0] < 0 ||
            said[1] < 0 || said[0] >= (int)(sizeof words / sizeof *words) ||
            said[1] >= (int)(sizeof words / sizeof *words))
            return false;
        e->proj = words[said[0]];
        e->reason = words[said[1]];
    }
    c->n_log = n;
    return true;
}

int auk_calib_load(auk_calib *c, const char *dir, int layer, auk_err *err)
{
    char *path = path_of(dir, layer, "");
    size_t bytes = c->n_tokens * (size_t)c->hp->hidden * 2;
    head h, want;

    fill_head(&want, c, layer);
    FILE *f = fopen(path, "rb");
    bool ok = f != NULL && fread(&h, sizeof h, 1, f) == 1;
    want.n_log = ok ? h.n_log : 0;
    ok = ok && memcmp(&h, &want, sizeof h) == 0 && h.n_log <= c->cap_log &&
         fread(c->h, 1, bytes, f) == bytes && read_log(c, f, (size_t)h.n_log);
    if (f != NULL)
        fclose(f);
    int rc = ok ? AUK_OK
                : auk_fail(err, AUK_EFORMAT,
                           "'%s' is not what an interrupted run left: delete '%s' and begin anew",
                           path, dir);
    free(path);
    return rc;
}

int auk_calib_forget(const char *dir, int layer, auk_err *err)
{
    char *path = path_of(dir, layer, "");
    int rc = auk_tree_remove(path, err);

    free(path);
    return rc;
}
