/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - the dialects of foreign servers: how a chat is asked, how an answer is read.  Pure
 * functions; they know no socket.  Private to client/. */
#ifndef AUK_CLIENT_WIRE_H
#define AUK_CLIENT_WIRE_H

#include "client/turn.h"

#define AUK_MAX_WIRE_EVENT ((size_t)16 << 20) /* one event or line of a stream */

typedef struct auk_wire {
    const char *name, *path; /* "openai", "/chat/completions": after the base URL */
    bool lines;              /* NDJSON instead of server-sent events */
    /* A new request object. */
    int (*request)(json_t **out, const char *model, int ctx, const auk_chat *chat, auk_err *err);
    /* Reads the JSON of one event or line, or a whole answer that was not streamed. */
    int (*read)(auk_turn *t, const json_t *v, auk_err *err);
} auk_wire;

extern const auk_wire auk_wire_openai, auk_wire_ollama, auk_wire_anthropic;

/* One event's data: parses it, reads it, notes a failure's kind in the turn. */
AUK_MUST_CHECK int auk_wire_take(auk_turn *t, const auk_wire *w, auk_str data, auk_err *err);

/* A stream read incrementally by a wire, whatever the transport. */
typedef struct auk_reading {
    auk_turn *t;
    const auk_wire *w;
    auk_sse sse;     /* owned */
    auk_lines lines; /* owned */
    auk_buf whole;   /* owned; an answer that is one document */
    bool is_whole;
} auk_reading;

void auk_reading_init(auk_reading *r, auk_turn *t, const auk_wire *w);
void auk_reading_release(auk_reading *r);
AUK_MUST_CHECK int auk_reading_feed(auk_reading *r, auk_str bytes, uint64_t now_ns, auk_err *err);

/* The connection has ended properly: AUK_OK when the answer was complete. */
AUK_MUST_CHECK int auk_reading_finish(auk_reading *r, auk_err *err);

/* ---- for the dialects --------------------------------------------------------------------- */

/* An error the server reports in its stream. */
int auk_wire_error(auk_turn *t, const json_t *error, auk_err *err);

/* The text of {"error": ...} in any dialect, or of plain text; borrowed from v or text. */
auk_str auk_error_text(const json_t *v, auk_str text);
bool auk_error_is_overflow(const json_t *v, auk_str text);

int64_t auk_wire_int(const json_t *object, const char *key);       /* -1: none */
int64_t auk_wire_ms(const json_t *object, const char *key);        /* to ns; -1 */
auk_str auk_wire_str(const json_t *object, const char *key);       /* p NULL: none */
void auk_wire_set(json_t *object, const char *key, json_t *value); /* NULL is left out */
void auk_wire_sampling(json_t *object, const auk_chat *chat);      /* temperature, top_p ... */
json_t *auk_wire_flat(const json_t *content);      /* a new string of a content's text parts */
json_t *auk_wire_arguments(const json_t *call);    /* a new object of function.arguments */
auk_str auk_wire_reasoning(const json_t *message); /* whichever field holds it */

#endif
