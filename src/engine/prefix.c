/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/trie.h"

#include "base/mem.h"
#include "base/time.h"

#include <math.h>

#define HALF_LIFE_NS (15.0 * 60e9)

int auk_prefix_new(auk_prefix **out, const auk_batch *b, const auk_prefix_options *opts,
                   auk_err *err)
{
    auk_prefix *p = auk_alloc(sizeof *p);

    *out = NULL;
    p->full_bytes = auk_batch_full_bytes(b);
    p->window_bytes = auk_batch_window_bytes(b);
    p->window = auk_batch_window(b, SIZE_MAX);
    p->max_bytes = opts->max_bytes;
    p->disk_max = opts->disk_bytes;
    p->model = auk_strndup(opts->model, strlen(opts->model));
    p->dir = opts->dir != NULL ? auk_strndup(opts->dir, strlen(opts->dir)) : NULL;
    int rc = p->dir != NULL ? auk_prefix_scan(p, err) : AUK_OK;
    if (rc == AUK_OK) {
        *out = p;
        p = NULL;
    }
    auk_prefix_free(p);
    return rc;
}

static void free_node(auk_trie_node *node)
{
    free(node->ids);
    free(node->full);
    free(node->window);
    free(node);
}

void auk_prefix_free(auk_prefix *p)
{
    if (p == NULL)
        return;
    auk_trie_node *node = p->root.child;
    while (node != NULL) { /* leaves first; conversations may be thousands of nodes deep */
        if (node->child != NULL) {
            node = node->child;
            continue;
        }
        auk_trie_node *parent = node->parent;
        parent->child = node->next;
        free_node(node);
        node = parent->child != NULL ? parent->child : parent;
        if (node == &p->root)
            break;
    }
    for (size_t i = 0; i < p->n_files; i++)
        free(p->files[i].ids);
    free(p->files);
    free(p->dir);
    free(p->model);
    free(p);
}

/* ---- walking ---- */

typedef struct place {
    auk_trie_node *node; /* the last one reached */
    size_t beyond;       /* ids that agree on the edge to `edge` */
    auk_trie_node *edge; /* the child the walk ended inside; or NULL */
} place;

static place walk(auk_prefix *p, const int32_t *ids, size_t n)
{
    place at = {.node = &p->root};

    for (;;) {
        size_t from = at.node->depth, k = 0;
        auk_trie_node *c = at.node->child;
        while (c != NULL && (from == n || c->ids[0] != ids[from]))
            c = c->next;
        if (c == NULL)
            return at;
        while (k < c->n && from + k < n && c->ids[k] == ids[from + k])
            k++;
        if (k < c->n) {
            at.beyond = k;
            at.edge = c;
            return at;
        }
        at.node = c;
    }
}

/* ---- memory ---- */

static size_t window_bytes(const auk_prefix *p, size_t depth)
{
    return (depth < p->window ? depth : p->window) * p->window_bytes;
}

static uint64_t edge_bytes(const auk_prefix *p, size_t n)
{
    return n * (p->full_bytes + sizeof(int32_t));
}

/* Tokens that would be read again without this snapshot, fading with time. */
static double worth(const auk_trie_node *node, uint64_t now)
{
    const auk_trie_node *up = node->parent;

    while (up->parent != NULL && up->window == NULL)
        up = up->parent;
    double tokens = (double)(node->depth - up->depth);
    double age = (double)(now - node->used_ns) / HALF_LIFE_NS;
    return tokens * exp2(-age) * (node->minor ? 0.1 : 1);
}

static auk_trie_node *next_in_order(auk_trie_node *node)
{
    if (node->child != NULL)
        return node->child;
    while (node != NULL && node->next == NULL)
        node = node->parent;
    return node != NULL ? node->next : NULL;
}

static void drop_bare_leaves(auk_prefix *p, auk_trie_node *node)
{
    while (node->parent != NULL && node->child == NULL && node->window == NULL) {
        auk_trie_node *parent = node->parent, **link = &parent->child;
        while (*link != node)
            link = &(*link)->next;
        *link = node->next;
        p->stats.bytes -= edge_bytes(p, node->n);
        p->stats.tokens -= node->n;
        free_node(node);
        node = parent;
    }
}

static bool evict_one(auk_prefix *p, const auk_trie_node *keep, bool minor_only)
{
    auk_trie_node *least = NULL;
    uint64_t now = auk_now_ns();
    double least_worth = 0;
    auk_err unsaid;

    for (auk_trie_node *node = p->root.child; node != NULL; node = next_in_order(node)) {
        if (node->window == NULL || node == keep || (minor_only && !node->minor))
            continue;
        double w = worth(node, now);
        if (least == NULL || w < least_worth) {
            least = node;
            least_worth = w;
        }
    }
    if (least == NULL)
        return false;
    if (!least->minor && auk_prefix_write(p, least, &unsaid) < 0)
        p->stats.refused++; /* the disk said no: then it is only lost */
    free(least->window);
    least->window = NULL;
    p->stats.bytes -= window_bytes(p, least->depth);
    p->stats.snapshots--;
    p->stats.evictions++;
    drop_bare_leaves(p, least);
    return true;
}

/* ---- inserting ---- */

static auk_trie_node *new_node(const auk_prefix *p, const int32_t *ids, size_t n,
                               const uint8_t *full)
{
    auk_trie_node *node = auk_alloc(sizeof *node);
    int rc = auk_try_alloc(&node->ids, n, sizeof *ids, NULL);

    if (rc == AUK_OK)
        rc = auk_try_alloc(&node->full, n, p->full_bytes, NULL);
    if (rc < 0) {
        free_node(node);
        return NULL;
    }
    node->n = n;
    memcpy(node->ids, ids, n * sizeof *ids);
    memcpy(node->full, full, n * p->full_bytes);
    return node;
}

static void attach(auk_trie_node *parent, auk_trie_node *node)
{
    node->parent = parent;
    node->depth = parent->depth + node->n;
    node->next = parent->child;
    parent->child = node;
}

/* Cuts the edge to `node` after k ids; the new node above it has no snapshot. */
static auk_trie_node *split(auk_prefix *p, auk_trie_node *node, size_t k)
{
    auk_trie_node *parent = node->parent, **link = &parent->child;
    auk_trie_node *top = new_node(p, node->ids, k, node->full);

    if (top == NULL)
        return NULL;
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    attach(parent, top);
    top->used_ns = node->used_ns;
    node->n -= k;
    memmove(node->ids, node->ids + k, node->n * sizeof *node->ids);
    memmove(node->full, node->full + k * p->full_bytes, node->n * p->full_bytes);
    node->next = NULL;
    attach(top, node);
    return top;
}

static bool make_room(auk_prefix *p, uint64_t bytes, const auk_trie_node *keep, bool minor)
{
    while (p->stats.bytes + bytes > p->max_bytes)
        if (!evict_one(p, keep, minor))
            return false;
    return true;
}

auk_trie_node *auk_trie_insert(auk_prefix *p, const int32_t *ids, size_t n, const uint8_t *full,
                               const uint8_t *window, bool minor)
{
    place at = walk(p, ids, n);
    uint64_t need = edge_bytes(p, n - at.node->depth - at.beyond) + window_bytes(p, n);

    if (n == 0 || !make_room(p, need, at.node, minor)) {
        p->stats.refused++;
        return NULL;
    }
    at = walk(p, ids, n); /* what was evicted may have been a part of it */
    auk_trie_node *node = at.node;
    if (at.edge != NULL && at.beyond > 0)
        node = split(p, at.edge, at.beyond);
    if (node != NULL && node->depth < n) {
        auk_trie_node *leaf =
            new_node(p, ids + node->depth, n - node->depth, full + node->depth * p->full_bytes);
        if (leaf != NULL) {
            attach(node, leaf);
            p->stats.bytes += edge_bytes(p, leaf->n);
            p->stats.tokens += leaf->n;
        }
        node = leaf;
    }
    if (node == NULL)
        return NULL;
    if (node->window == NULL) {
        if (auk_try_alloc(&node->window, window_bytes(p, n), 1, NULL) < 0) {
            drop_bare_leaves(p, node);
            return NULL;
        }
        memcpy(node->window, window, window_bytes(p, n));
        node->minor = minor;
        p->stats.bytes += window_bytes(p, n);
        p->stats.snapshots++;
    }
    node->minor = node->minor && minor;
    node->used_ns = auk_now_ns();
    return node;
}

void auk_prefix_save(auk_prefix *p, const auk_batch *b, int lane, bool minor)
{
    size_t n = auk_batch_length(b, lane), w = auk_batch_window(b, n);
    const int32_t *ids = auk_batch_ids(b, lane);
    uint8_t *full = NULL, *window = NULL;

    place at = walk(p, ids, n);
    if (n == 0)
        return;
    if (at.node->depth == n && at.node->window != NULL) {
        at.node->used_ns = auk_now_ns();
        at.node->minor = at.node->minor && minor;
        return;
    }
    int rc = auk_try_alloc(&full, n, p->full_bytes, NULL);
    if (rc == AUK_OK)
        rc = auk_try_alloc(&window, w, p->window_bytes, NULL);
    if (rc == AUK_OK) {
        size_t known = at.node->depth; /* those are not looked at again */
        auk_batch_read(b, lane, true, full + known * p->full_bytes, known, n - known);
        auk_batch_read(b, lane, false, window, n - w, w);
        /* room first: what is evicted for it may be what was known */
        bool room = make_room(p, edge_bytes(p, n - known) + window_bytes(p, n), at.node, minor);
        if (room && walk(p, ids, n).node->depth >= known)
            p->stats.saves += auk_trie_insert(p, ids, n, full, window, minor) != NULL;
        else
            p->stats.refused++;
    }
    free(full);
    free(window);
}

/* ---- loading ---- */

size_t auk_prefix_load(auk_prefix *p, auk_batch *b, int lane, const int32_t *ids, size_t n,
                       size_t *same)
{
    place at = walk(p, ids, n - 1);
    auk_trie_node *node = at.node;

    while (node->parent != NULL && node->window == NULL)
        node = node->parent;
    if (p->n_files > 0) {
        auk_prefix_fetch(p, ids, n - 1, node->depth);
        at = walk(p, ids, n - 1);
        for (node = at.node; node->parent != NULL && node->window == NULL;)
            node = node->parent;
    }
    *same = at.node->depth + at.beyond;
    auk_batch_clear(b, lane);
    if (node->parent == NULL) {
        p->stats.misses++;
        return 0;
    }
    size_t depth = node->depth, w = auk_batch_window(b, depth);
    node->used_ns = auk_now_ns();
    auk_batch_write(b, lane, false, node->window, depth - w, w);
    for (; node->parent != NULL; node = node->parent)
        auk_batch_write(b, lane, true, node->full, node->depth - node->n, node->n);
    auk_batch_set(b, lane, ids, depth);
    p->stats.loads++;
    p->stats.loaded_tokens += depth;
    return depth;
}

int auk_prefix_flush(auk_prefix *p, auk_err *err)
{
    int rc = AUK_OK;

    for (auk_trie_node *node = p->root.child; node != NULL && rc == AUK_OK;
         node = next_in_order(node))
        if (node->window != NULL && !node->minor && p->dir != NULL)
            rc = auk_prefix_write(p, node, err);
    return rc;
}

void auk_prefix_stats_get(auk_prefix_stats *out, const auk_prefix *p)
{
    *out = p->stats;
    out->disk_files = p->n_files;
    out->disk_bytes = 0;
    for (size_t i = 0; i < p->n_files; i++)
        out->disk_bytes += p->files[i].bytes;
}
