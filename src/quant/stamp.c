/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE
#include "quant/plan.h"

#include "base/half.h"
#include "base/sha256.h"

#include <inttypes.h>
#include <sys/stat.h>

/* Of the time of modification: a copy may be of the same second. */
static long nanoseconds(const struct stat *st)
{
#if defined(__APPLE__)
    return (long)st->st_mtimespec.tv_nsec;
#else
    return (long)st->st_mtim.tv_nsec;
#endif
}

static int add_file(auk_sha256 *h, const char *path, auk_err *err)
{
    auk_buf line = AUK_BUF_INIT(4096);
    uint8_t length[8] = {0};
    struct stat st;
    int rc = AUK_OK;

    FILE *f = fopen(path, "rb");
    if (f == NULL || stat(path, &st) != 0 || fread(length, 1, 8, f) != 8)
        rc = auk_fail_errno(err, "cannot read '%s'", path);
    for (uint64_t left = auk_le64(length); rc == AUK_OK && left > 0;) {
        uint8_t chunk[4096];
        size_t n = fread(chunk, 1, left < sizeof chunk ? (size_t)left : sizeof chunk, f);
        if (n == 0) /* checked when the checkpoint was opened: it changed since */
            rc = auk_fail(err, AUK_EIO, "'%s' changes while it is read", path);
        auk_sha256_add(h, chunk, n);
        left -= n;
    }
    if (rc == AUK_OK) {
        auk_buf_printf(&line, "\n%s %" PRIu64 " %" PRId64 ".%ld\n", strrchr(path, '/') + 1,
                       (uint64_t)st.st_size, (int64_t)st.st_mtime, nanoseconds(&st));
        auk_sha256_add(h, line.p, line.n);
    }
    if (f != NULL)
        fclose(f);
    auk_buf_release(&line);
    return rc;
}

/* Nothing for plain round to nearest: its unfinished folders stay valid. */
static void add_method(auk_sha256 *h, const auk_quant_options *opts)
{
    auk_buf line = AUK_BUF_INIT(1 << 20);
    const auk_calibration *c = opts->calibration;
    size_t n = 0;

    if (opts->method == AUK_METHOD_RTN && opts->include == 0 && opts->n_formats == 0)
        return;
    auk_buf_printf(&line, "%d %d %u\n", (int)opts->method, opts->weight_power, opts->include);
    for (size_t i = 0; i < opts->n_formats; i++)
        auk_buf_printf(&line, "%s %d %d\n", opts->formats[i].path, opts->formats[i].bits,
                       opts->formats[i].group_size);
    auk_sha256_add(h, line.p, line.n);
    for (size_t i = 0; c != NULL && i < c->n_sequences; i++)
        n += c->lengths[i];
    if (c != NULL) {
        auk_sha256_add(h, c->lengths, c->n_sequences * sizeof *c->lengths);
        auk_sha256_add(h, c->ids, n * sizeof *c->ids);
    }
    auk_buf_release(&line);
}

int auk_quant_stamp(char hex[65], const auk_checkpoint *ck, const auk_quant_source *s,
                    const auk_quant_options *opts, auk_err *err)
{
    auk_sha256 *h = auk_sha256_new();
    auk_buf line = AUK_BUF_INIT(4096);
    int n_shards = 0, rc = AUK_OK;

    auk_buf_printf(&line, "quantize " AUK_VERSION " %d %d %d %s %d %d %" PRIu64 "\n",
                   (int)opts->mode, opts->bits, opts->group_size,
                   opts->recipe != NULL ? opts->recipe : "-", (int)opts->rounding,
                   (int)opts->mx_scale, opts->shard_bytes);
    auk_sha256_add(h, line.p, line.n);
    add_method(h, opts);
    auk_sha256_add(h, auk_buf_str(&s->text).p, s->text.n);
    for (size_t i = 0; i < auk_checkpoint_count(ck); i++)
        if (auk_checkpoint_at(ck, i)->shard >= n_shards)
            n_shards = auk_checkpoint_at(ck, i)->shard + 1;
    for (int i = 0; i < n_shards && rc == AUK_OK; i++)
        rc = add_file(h, auk_checkpoint_file(ck, i), err);
    auk_sha256_finish(h, hex);
    auk_buf_release(&line);
    return rc;
}
