/* SPDX-License-Identifier: Apache-2.0 */
/* trie.h - the prefix cache's insides.  Private to engine/. */
#ifndef AUK_ENGINE_TRIE_H
#define AUK_ENGINE_TRIE_H

#include "engine/engine.h"

typedef struct auk_trie_node {
    struct auk_trie_node *parent, *child, *next; /* next: the parent's next child */
    int32_t *ids;                                /* owned; the edge that leads here */
    size_t n, depth;                             /* of the edge; of the path with it */
    uint8_t *full;                               /* owned; n positions */
    uint8_t *window;                             /* owned; the snapshot; or NULL */
    uint64_t used_ns;
    bool minor, on_disk;
} auk_trie_node;

typedef struct auk_disk_file {
    char name[72];
    int32_t *ids; /* owned */
    size_t n;
    uint64_t bytes, used; /* used: a counter, the larger the later */
} auk_disk_file;

struct auk_prefix {
    auk_trie_node root;
    size_t full_bytes, window_bytes, window; /* of one position; positions of a snapshot */
    uint64_t max_bytes, disk_max;
    char *dir;   /* owned; NULL: no disk tier */
    char *model; /* owned */
    auk_disk_file *files;
    size_t n_files;
    uint64_t clock;
    auk_prefix_stats stats;
};

/* The snapshot's whole sequence as a file. */
int auk_prefix_write(auk_prefix *p, auk_trie_node *node, auk_err *err);

/* Reads the folder's list; a folder that cannot be read is an error, a foreign file is not. */
int auk_prefix_scan(auk_prefix *p, auk_err *err);

/* When a file knows a longer beginning of ids than `have`, loads it into the trie. */
void auk_prefix_fetch(auk_prefix *p, const int32_t *ids, size_t n, size_t have);

/* Puts a sequence into the trie; full: all its positions; window: its snapshot.  NULL when memory
 * does not allow it. */
auk_trie_node *auk_trie_insert(auk_prefix *p, const int32_t *ids, size_t n, const uint8_t *full,
                               const uint8_t *window, bool minor);

#endif
