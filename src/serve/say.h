/* SPDX-License-Identifier: Apache-2.0 */
/* say.h - what happens to one request, as a stream of events.  Every dialect prints from it and
 * from nothing else; tests replay it from recorded logs.
 *
 *     accepted [queued*] prefill* (think | text | tool_begin tool_args* tool_end)* (finish | error)
 *
 * Exactly one finish or error ends it. */
#ifndef AUK_SERVE_SAY_H
#define AUK_SERVE_SAY_H

#include "base/json.h"

typedef enum auk_say_kind {
    AUK_SAY_ACCEPTED,
    AUK_SAY_QUEUED,     /* position */
    AUK_SAY_PREFILL,    /* done, total, cached */
    AUK_SAY_THINK,      /* text */
    AUK_SAY_TEXT,       /* text */
    AUK_SAY_TOOL_BEGIN, /* text: the name; id */
    AUK_SAY_TOOL_ARGS,  /* text: a piece of the JSON */
    AUK_SAY_TOOL_END,
    AUK_SAY_FINISH,
    AUK_SAY_ERROR, /* text: what went wrong; code */
} auk_say_kind;

/* Why an answer ended. */
typedef enum auk_end {
    AUK_END_STOP,     /* the model ended its turn */
    AUK_END_SEQUENCE, /* a stop string; `stop` names it */
    AUK_END_LENGTH,   /* the request's limit, or the context's */
    AUK_END_LOOP,     /* the loop guard */
    AUK_END_TOOLS,    /* the turn ended with tool calls */
    AUK_END_LOAD,     /* nothing was asked for: the model is loaded */
    AUK_END_UNLOAD,
} auk_end;

typedef struct auk_usage {
    int64_t prompt, cached, completion, reasoning; /* tokens; prompt includes cached */
    int64_t queue_ns, prefill_ns, decode_ns, total_ns;
} auk_usage;

typedef struct auk_say {
    auk_say_kind kind;
    auk_str text, id;            /* borrowed */
    int64_t position;            /* QUEUED */
    int64_t done, total, cached; /* PREFILL: tokens */
    auk_end end;                 /* FINISH, as the rest */
    auk_str stop;                /* SEQUENCE: which */
    auk_usage usage;
    const int32_t *ids; /* FINISH: prompt and answer, for Ollama's `context`; borrowed; or NULL */
    size_t n_ids;
    int code; /* ERROR: an auk_code */
} auk_say;

/* One line of a recorded log, without its newline; and back.  Strings of *out are borrowed from
 * the JSON value, which must outlive it. */
void auk_say_print(auk_buf *out, const auk_say *say);
AUK_MUST_CHECK int auk_say_read(auk_say *out, const json_t *line, auk_err *err);

#endif
