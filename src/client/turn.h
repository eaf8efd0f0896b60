/* SPDX-License-Identifier: Apache-2.0 */
/* turn.h - one turn of a chat while it is coming in: dialects pour pieces into it, it keeps the
 * reply and tells the events.  Private to client/.
 *
 * Text of a server goes through a reader of markup: this model's raw markers and <think> are
 * understood where they arrive, and what may be the beginning of one is held back. */
#ifndef AUK_CLIENT_TURN_H
#define AUK_CLIENT_TURN_H

#include "client/client.h"

/* A tool call whose arguments arrive in pieces. */
typedef struct auk_fragment {
    auk_buf id, name, args; /* owned */
    bool used, done;
} auk_fragment;

typedef enum auk_markup { AUK_MARKUP_PLAIN, AUK_MARKUP_TAG, AUK_MARKUP_NORTH } auk_markup;

typedef struct auk_turn {
    auk_reply *r;         /* borrowed */
    const auk_chat *chat; /* borrowed */
    size_t max_bytes, bytes;
    uint64_t now_ns; /* when the piece being read arrived */
    bool terminal;   /* the dialect said that this was all */
    bool ended;
    size_t n_events; /* of the stream, understood */
    auk_markup markup;
    bool after_tag;          /* newlines after </think> belong to nobody */
    bool muted;              /* the parser is told again what was told already */
    auk_buf held;            /* owned; of the text, what may begin a marker */
    auk_parser *parser;      /* owned; once a marker of this model was seen */
    size_t field_bytes;      /* of the thinking, what a field of the server's gave */
    auk_fragment *fragments; /* owned */
    size_t n_fragments;
} auk_turn;

/* Fills *r; chat may lack everything but its callbacks. */
void auk_turn_init(auk_turn *t, auk_reply *r, const auk_chat *chat, size_t max_bytes);
void auk_turn_release(auk_turn *t);

void auk_turn_start(auk_turn *t, uint64_t now_ns);
void auk_turn_tick(auk_turn *t);

/* AUK_ELIMIT when the answer grows past its maximum. */
AUK_MUST_CHECK int auk_turn_thinking(auk_turn *t, auk_str s, auk_err *err);
AUK_MUST_CHECK int auk_turn_text(auk_turn *t, auk_str s, auk_err *err);    /* markup understood */
AUK_MUST_CHECK int auk_turn_literal(auk_turn *t, auk_str s, auk_err *err); /* text as it is */

/* A piece of call number `index`; id and name may be empty. */
AUK_MUST_CHECK int auk_turn_fragment(auk_turn *t, size_t index, auk_str id, auk_str name,
                                     auk_str args, auk_err *err);
AUK_MUST_CHECK int auk_turn_close_fragments(auk_turn *t, auk_err *err);

/* A whole call; arguments may be NULL, then they are read from text. */
AUK_MUST_CHECK int auk_turn_call(auk_turn *t, auk_str id, auk_str name, json_t *arguments,
                                 auk_str text, auk_err *err);

void auk_turn_finish(auk_turn *t, auk_chat_finish f, auk_str said);

/* Hands out what was held back and tells usage and end.  After a failure the finish is
 * AUK_CHAT_NONE or AUK_CHAT_CANCELLED. */
AUK_MUST_CHECK int auk_turn_end(auk_turn *t, bool failed, auk_err *err);

/* failure := kind, and returns rc. */
int auk_turn_failed(auk_turn *t, auk_failure_kind kind, int rc);

#endif
