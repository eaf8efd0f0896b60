/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reference.h"

#include "base/half.h"
#include "base/mem.h"
#include "base/sha256.h"

#include <math.h>

/* magic, sha256 of the token ids (hex), then five little-endian u32: version, vocab, window, rows
 * (low, high); then the rows: f32 true log-probability, top x u32 id, top x u16 code. */
#define MAGIC "AUKREF\r\n"
#define HEAD_BYTES (8 + 64 + 5 * 4)
#define LP_RANGE 40.0 /* nats; code = 65535 sqrt(-lp / range): finest where tokens are likely */

struct auk_ref_file {
    FILE *f;
    char *path, *tmp; /* owned; tmp NULL when reading */
    int vocab, top;
    uint8_t *row; /* owned */
    size_t row_bytes;
    struct ranked {
        float v;
        int32_t id;
    } * heap; /* owned; writing */
};

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static void make_head(uint8_t head[HEAD_BYTES], const int32_t *ids, size_t n, int window, int vocab,
                      size_t rows)
{
    char hex[AUK_SHA256_HEX];

    auk_sha256_of(hex, ids, n * sizeof *ids);
    memcpy(head, MAGIC, 8);
    memcpy(head + 8, hex, 64);
    put32(head + 72, 1);
    put32(head + 76, (uint32_t)vocab);
    put32(head + 80, (uint32_t)window);
    put32(head + 84, (uint32_t)rows);
    put32(head + 88, (uint32_t)((uint64_t)rows >> 32));
}

static auk_ref_file *make(const char *path, int vocab)
{
    auk_ref_file *f = auk_alloc(sizeof *f);

    f->path = auk_strndup(path, strlen(path));
    f->vocab = vocab;
    f->top = vocab < AUK_REF_TOP ? vocab : AUK_REF_TOP;
    f->row_bytes = 4 + (size_t)f->top * 6;
    f->row = auk_alloc(f->row_bytes);
    return f;
}

int auk_ref_open(auk_ref_file **out, const char *path, const int32_t *ids, size_t n, int window,
                 int vocab, size_t rows, auk_err *err)
{
    uint8_t want[HEAD_BYTES], got[HEAD_BYTES];
    auk_ref_file *f = make(path, vocab);
    int rc = AUK_OK;

    *out = NULL;
    make_head(want, ids, n, window, vocab, rows);
    f->f = fopen(path, "rb");
    if (f->f == NULL)
        rc = auk_fail_errno(err, "cannot open '%s'", path);
    else if (fread(got, 1, sizeof got, f->f) != sizeof got || memcmp(got, MAGIC, 8) != 0)
        rc = auk_fail(err, AUK_EFORMAT, "'%s' is not a reference file of compare", path);
    else if (memcmp(got, want, sizeof got) != 0)
        rc =
            auk_fail(err, AUK_EINVAL,
                     "'%s' was made from other tokens, windows or another vocabulary: delete it to "
                     "make it anew",
                     path);
    if (rc == AUK_OK)
        *out = f;
    else
        auk_ref_close(f);
    return rc;
}

int auk_ref_create(auk_ref_file **out, const char *path, const int32_t *ids, size_t n, int window,
                   int vocab, size_t rows, auk_err *err)
{
    uint8_t head[HEAD_BYTES];
    auk_ref_file *f = make(path, vocab);
    size_t m = strlen(path) + sizeof ".tmp";
    int rc = AUK_OK;

    *out = NULL;
    f->tmp = auk_alloc(m);
    snprintf(f->tmp, m, "%s.tmp", path);
    f->heap = auk_alloc((size_t)f->top * sizeof *f->heap);
    make_head(head, ids, n, window, vocab, rows);
    f->f = fopen(f->tmp, "wb");
    if (f->f == NULL || fwrite(head, 1, sizeof head, f->f) != sizeof head)
        rc = auk_fail_errno(err, "cannot write '%s'", f->tmp);
    if (rc == AUK_OK)
        *out = f;
    else
        auk_ref_close(f);
    return rc;
}

int auk_ref_read(auk_ref_row *row, auk_ref_file *f, auk_err *err)
{
    const uint8_t *p = f->row, *codes = f->row + 4 + 4 * (size_t)f->top;

    if (fread(f->row, 1, f->row_bytes, f->f) != f->row_bytes)
        return auk_fail(err, AUK_EFORMAT, "'%s' ends early: delete it to make it anew", f->path);
    row->top = f->top;
    row->true_lp = (double)auk_bits_f32(auk_le32(p));
    for (int i = 0; i < f->top; i++) {
        double c = (double)auk_le16(codes + 2 * i) / 65535;
        row->id[i] = (int32_t)auk_le32(p + 4 + 4 * i);
        row->lp[i] = -c * c * LP_RANGE;
        if (row->id[i] < 0 || row->id[i] >= f->vocab)
            return auk_fail(err, AUK_EFORMAT, "'%s' holds a token outside the vocabulary", f->path);
    }
    return AUK_OK;
}

/* Whether a belongs below b in a heap whose root is the least of the kept. */
static bool worse(struct ranked a, struct ranked b)
{
    return a.v != b.v ? a.v < b.v : a.id > b.id;
}

static void sift(struct ranked *heap, int n, int i)
{
    struct ranked c = heap[i];

    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], c))
            break;
        heap[i] = heap[child];
    }
    heap[i] = c;
}

int auk_ref_write(auk_ref_file *f, const float *logits, double lse, double true_lp, auk_err *err)
{
    struct ranked *heap = f->heap;

    for (int i = 0; i < f->top; i++)
        heap[i] = (struct ranked){logits[i], i};
    for (int i = f->top / 2; i-- > 0;)
        sift(heap, f->top, i);
    for (int i = f->top; i < f->vocab; i++)
        if (worse(heap[0], (struct ranked){logits[i], i})) {
            heap[0] = (struct ranked){logits[i], i};
            sift(heap, f->top, 0);
        }
    put32(f->row, auk_f32_bits((float)true_lp));
    for (int left = f->top; left > 0; left--) { /* the least first, so from the back */
        struct ranked r = heap[0];
        double lp = (double)r.v - lse, c = sqrt((lp < 0 ? -lp : 0) / LP_RANGE);
        uint16_t code = c >= 1 ? 65535 : (uint16_t)(c * 65535 + 0.5);
        put32(f->row + 4 + 4 * (left - 1), (uint32_t)r.id);
        f->row[4 + 4 * f->top + 2 * (left - 1)] = (uint8_t)code;
        f->row[4 + 4 * f->top + 2 * (left - 1) + 1] = (uint8_t)(code >> 8);
        heap[0] = heap[left - 1];
        sift(heap, left - 1, 0);
    }
    if (fwrite(f->row, 1, f->row_bytes, f->f) != f->row_bytes)
        return auk_fail_errno(err, "cannot write '%s'", f->tmp);
    return AUK_OK;
}

int auk_ref_finish(auk_ref_file *f, auk_err *err)
{
    int rc = AUK_OK;

    if (fclose(f->f) != 0)
        rc = auk_fail_errno(err, "cannot write '%s'", f->tmp);
    f->f = NULL;
    if (rc == AUK_OK && rename(f->tmp, f->path) != 0)
        rc = auk_fail_errno(err, "cannot rename '%s'", f->tmp);
    auk_ref_close(f);
    return rc;
}

void auk_ref_close(auk_ref_file *f)
{
    if (f == NULL)
        return;
    if (f->f != NULL)
        fclose(f->f);
    if (f->tmp != NULL)
        remove(f->tmp); /* gone already after a finish */
    free(f->path);
    free(f->tmp);
    free(f->row);
    free(f->heap);
    free(f);
}
