/* SPDX-License-Identifier: Apache-2.0 */
#include "text/bpe.h"

#include "base/mem.h"

enum { SHORT_PIECE = 40 }; /* symbols up to which a scan for the best pair beats a heap */
static const uint32_t no_rank = UINT32_MAX;

static inline uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static inline size_t slot_of(const auk_bpe *bpe, uint64_t pair)
{
    uint64_t h = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u;
    return (size_t)(h ^ h >> 32) & bpe->mask;
}

/* The merge of two neighbours; NULL when there is none. */
static inline const auk_bpe_merge *find_merge(const auk_bpe *bpe, int32_t left, int32_t right)
{
    uint64_t pair = pair_of(left, right);

    for (size_t i = slot_of(bpe, pair);; i = (i + 1) & bpe->mask) {
        if (bpe->merges[i].pair == pair)
            return &bpe->merges[i];
        if (bpe->merges[i].pair == UINT64_MAX)
            return NULL;
    }
}

int auk_bpe_init(auk_bpe *bpe, size_t n, auk_err *err)
{
    size_t slots = 64;

    while (slots / 2 < n)
        slots *= 2;
    int rc = auk_try_alloc(&bpe->merges, slots, sizeof *bpe->merges, err);
    if (rc < 0)
        return rc;
    bpe->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        bpe->merges[i].pair = UINT64_MAX;
    return AUK_OK;
}

void auk_bpe_release(auk_bpe *bpe)
{
    free(bpe->merges);
    bpe->merges = NULL;
}

void auk_bpe_add(auk_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
    uint64_t pair = pair_of(left, right);
    size_t i = slot_of(bpe, pair);

    while (bpe->merges[i].pair != UINT64_MAX && bpe->merges[i].pair != pair)
        i = (i + 1) & bpe->mask;
    bpe->merges[i] = (auk_bpe_merge){pair, rank, id};
}

/* ---- short pieces: everything in two small arrays ---- */

typedef struct symbol {
    int32_t id;
    uint32_t rank; /* of this symbol with the next, no_rank when they do not merge */
    int32_t merged;
} symbol;

static inline void rank_symbol(const auk_bpe *bpe, symbol *s, size_t i, size_t n)
{
    const auk_bpe_merge *m = i + 1 < n ? find_merge(bpe, s[i].id, s[i + 1].id) : NULL;

    s[i].rank = m ? m->rank : no_rank;
    s[i].merged = m ? m->id : 0;
}

static size_t merge_short(int32_t *ids, const auk_bpe *bpe, auk_str piece)
{
    symbol s[SHORT_PIECE];
    size_t n = piece.n;

    for (size_t i = 0; i < n; i++)
        s[i].id = bpe->byte_ids[(unsigned char)piece.p[i]];
    for (size_t i = 0; i < n; i++)
        rank_symbol(bpe, s, i, n);
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (s[i].rank < s[best].rank)
                best = i;
        if (s[best].rank == no_rank)
            break;
        s[best].id = s[best].merged;
        n--;
        memmove(s + best + 1, s + best + 2, (n - best - 1) * sizeof *s);
        rank_symbol(bpe, s, best, n);
        if (best > 0)
            rank_symbol(bpe, s, best - 1, n);
    }
    for (size_t i = 0; i < n; i++)
        ids[i] = s[i].id;
    return n;
}

/* ---- long pieces: a linked list of symbols and a heap of candidate pairs ---- */

typedef struct node {
    int32_t id; /* -1: merged into the one before */
    uint32_t prev, next;
} node;

typedef struct candidate {
    uint64_t key;  /* rank << 32 | position: the order of merging */
    uint64_t pair; /* out of date when the nodes there are another pair by now */
} candidate;

typedef struct merger {
    const auk_bpe *bpe;
    node *nodes;     /* owned */
    candidate *heap; /* owned; room for 2n: n - 1 at first, one more per merge */
    size_t n_heap;
} merger;

static void push(merger *m, candidate c)
{
    size_t i = m->n_heap++;

    while (i > 0 && m->heap[(i - 1) / 2].key > c.key) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = c;
}

static candidate pop(merger *m)
{
    candidate top = m->heap[0], c = m->heap[--m->n_heap];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= m->n_heap)
            break;
        if (child + 1 < m->n_heap && m->heap[child + 1].key < m->heap[child].key)
            child++;
        if (m->heap[child].key >= c.key)
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = c;
    return top;
}

static void push_pair(merger *m, uint32_t left, uint32_t right)
{
    const auk_bpe_merge *found = find_merge(m->bpe, m->nodes[left].id, m->nodes[right].id);

    if (found != NULL)
        push(m, (candidate){(uint64_t)found->rank << 32 | left, found->pair});
}

static void merge_all(merger *m)
{
    while (m->n_heap > 0) {
        candidate c = pop(m);
        uint32_t left = (uint32_t)c.key, right = m->nodes[left].next;
        node *a = &m->nodes[left];
        if (a->id < 0 || right == UINT32_MAX || pair_of(a->id, m->nodes[right].id) != c.pair)
            continue;
        node *b = &m->nodes[right];
        a->id = find_merge(m->bpe, a->id, b->id)->id;
        a->next = b->next;
        b->id = -1;
        if (a->next != UINT32_MAX) {
            m->nodes[a->next].prev = left;
            push_pair(m, left, a->next);
        }
        if (a->prev != UINT32_MAX)
            push_pair(m, a->prev, left);
    }
}

static int merge_long(auk_ids *out, const auk_bpe *bpe, auk_str piece, auk_err *err)
{
    merger m = {.bpe = bpe};
    size_t n = piece.n;

    if (n >= UINT32_MAX)
        return auk_fail(err, AUK_ELIMIT, "a word of %zu bytes is too long", n);
    int rc = auk_try_alloc(&m.nodes, n, sizeof *m.nodes, err);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&m.heap, n, 2 * sizeof *m.heap, err);
    if (rc < 0)
        goto out;
    for (size_t i = 0; i < n; i++) {
        m.nodes[i] = (node){bpe->byte_ids[(unsigned char)piece.p[i]], (uint32_t)i - 1,
                            i + 1 < n ? (uint32_t)i + 1 : UINT32_MAX};
    }
    for (size_t i = 0; i + 1 < n; i++)
        push_pair(&m, (uint32_t)i, (uint32_t)i + 1);
    merge_all(&m);
    for (uint32_t i = 0; i != UINT32_MAX; i = m.nodes[i].next)
        out->p[out->n++] = m.nodes[i].id;
out:
    free(m.nodes);
    free(m.heap);
    return rc;
}

int auk_bpe_encode(auk_ids *out, const auk_bpe *bpe, auk_str piece, auk_err *err)
{
    int rc = auk_ids_reserve(out, piece.n, err);

    if (rc < 0)
        return rc;
    if (piece.n > SHORT_PIECE)
        return merge_long(out, bpe, piece, err);
    out->n += merge_short(out->p + out->n, bpe, piece);
    return AUK_OK;
}
