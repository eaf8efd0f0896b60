/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - a JSON Schema as nodes.  Private to engine/. */
#ifndef AUK_ENGINE_SCHEMA_H
#define AUK_ENGINE_SCHEMA_H

#include "engine/engine.h"

typedef enum auk_node_kind {
    AUK_NODE_ALT,    /* one of `parts` */
    AUK_NODE_CHOICE, /* one of the texts; then, where given, its follow node */
    AUK_NODE_STRING,
    AUK_NODE_NUMBER,
    AUK_NODE_OBJECT, /* properties are texts `"name"` with follow nodes; in any order */
    AUK_NODE_MAP,    /* any keys, values of parts[0] */
    AUK_NODE_ARRAY,  /* parts: the first items; `rest`: the others, -1: none */
    AUK_NODE_SEQ,    /* parts in a row, without white space */
    AUK_NODE_DIGITS, /* one to nine digits */
} auk_node_kind;

typedef struct auk_text {
    char *p; /* owned */
    size_t n;
    int follow;    /* a node; -1: none */
    bool required; /* of an object */
} auk_text;

typedef struct auk_node {
    auk_node_kind kind;
    int *parts; /* owned */
    size_t n_parts;
    auk_text *texts; /* owned; sorted by bytes */
    size_t n_texts;
    int rest;
    int64_t lo, hi; /* lengths, counts; of a number its bounds */
    bool integer, bounded;
    bool finite; /* found: some text ends */
} auk_node;

typedef struct auk_schema {
    auk_node *nodes; /* owned */
    size_t n;
    const json_t *root; /* while compiling: where $ref looks */
    json_t *seen;       /* owned; address of a schema to its node */
    bool lenient;       /* unknown keywords are left out */
    int depth;
} auk_schema;

/* Compiles one schema, through *node.  May be called several times. */
AUK_MUST_CHECK int auk_schema_add(int *node, auk_schema *s, const json_t *schema, bool lenient,
                                  auk_err *err);
int auk_schema_node(auk_schema *s, auk_node_kind kind); /* a new one, empty */
void auk_schema_part(auk_schema *s, int node, int part);
void auk_schema_text(auk_schema *s, int node, auk_str text, int follow, bool required);
void auk_schema_sort(auk_schema *s, int node);

/* AUK_EINVAL when `node` can never end. */
AUK_MUST_CHECK int auk_schema_check(auk_schema *s, int node, auk_err *err);
void auk_schema_release(auk_schema *s);

#endif
