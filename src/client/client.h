/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - "answer this chat": one table over everything that can, our engine in this process
 * or a server that speaks OpenAI's, Ollama's or Anthropic's dialect.  Whoever includes this does
 * not know what it talks to.
 *
 * A chat runs on the caller's thread and returns when it has ended; what happens on the way comes
 * as timed events.  A client belongs to one thread at a time, only auk_client_cancel may come from
 * another; auk_client_clone makes one for a further thread.  Thinking is told from the answer by
 * the server's own field, by this model's raw markers, or by <think>, whichever arrives. */
#ifndef AUK_CLIENT_CLIENT_H
#define AUK_CLIENT_CLIENT_H

#include "engine/engine.h"
#include "net/net.h"

/* ---- who answers -------------------------------------------------------------------------- */

typedef struct auk_client auk_client;

typedef struct auk_client_options {
    const char *api_key; /* NULL: the environment's AUKLET_API_KEY; "": none */
    auk_http_limits limits;
    size_t max_answer_bytes; /* of one answer, all parts together */
    int ctx; /* our engine: positions of a session (0: 16384 or the model's maximum); Ollama:
              * num_ctx (0: the server's own) */
    /* for our engine */
    auk_precision precision;
    int threads;
    unsigned cpu_flags;
} auk_client_options;

/* connect 5 s, first byte 900 s, idle 120 s, no total limit; 64 MB. */
auk_client_options auk_client_defaults(void);

/* `model` as it was typed: a folder; ollama:http://host:port/name; openai:http://host:port/v1/name
 * (the name may be missing when the server has one model); anthropic:http://host:port/name; or a
 * plain http(s) URL, whose server is asked what it is.  Only a plain URL or a missing name makes a
 * request here. */
AUK_MUST_CHECK int auk_client_open(auk_client **out, const char *model,
                                   const auk_client_options *opts, auk_err *err);

/* Over an engine that is open already; borrowed until the client and its clones are closed. */
AUK_MUST_CHECK int auk_client_open_engine(auk_client **out, auk_engine *engine,
                                          const auk_client_options *opts, auk_err *err);

/* The same model for another thread: a session of its own, or connections of its own.  The first
 * client must be closed last. */
AUK_MUST_CHECK int auk_client_clone(auk_client **out, const auk_client *c, auk_err *err);
void auk_client_close(auk_client *c);

/* Text {"", 0} and numbers -1 where it is not known.  Borrowed from the client until asked again.
 */
typedef struct auk_client_info {
    const char *dialect;  /* "engine", "openai", "ollama", "anthropic" */
    const char *server;   /* "auklet", "llama.cpp b1-0c1e570", "ollama 0.33.0", "vllm 0.11" ... */
    const char *model;    /* the name sent, or the folder */
    int64_t context_tok;  /* the window that is really there */
    int64_t memory_bytes; /* of the loaded model */
    uint64_t load_ns;     /* our engine: opening it; 0 otherwise */
    bool counts_tokens;   /* a tick is a token; false: a piece of the stream */
} auk_client_info;

/* Asks the server (our engine knows).  Fails only when the server cannot be reached. */
AUK_MUST_CHECK int auk_client_describe(auk_client_info *out, auk_client *c, auk_err *err);

/* Makes the next chat a cold one: our engine is opened anew, Ollama unloads; else AUK_ENOTSUP. */
AUK_MUST_CHECK int auk_client_unload(auk_client *c, auk_err *err);

/* Forgets the conversation our engine's session holds, so that nothing of the next prompt is
 * cached; on a server nothing is done. */
void auk_client_forget(auk_client *c);

/* ---- a chat ------------------------------------------------------------------------------- */

typedef enum auk_chat_kind {
    AUK_CHAT_START,        /* the server took the request; our engine: reading the prompt begins */
    AUK_CHAT_TICK,         /* something came from the model: a token, or a piece of the stream */
    AUK_CHAT_THINKING,     /* .text: more thinking */
    AUK_CHAT_TEXT,         /* .text: more of the answer */
    AUK_CHAT_CALL,         /* .call: a tool call is complete */
    AUK_CHAT_WAS_THINKING, /* a marker says that all text so far was thinking; it moves there */
    AUK_CHAT_USAGE,        /* the reply's counters are filled */
    AUK_CHAT_END,          /* .finish */
} auk_chat_kind;

typedef enum auk_chat_finish {
    AUK_CHAT_NONE, /* it did not end by itself: see the failure */
    AUK_CHAT_STOP,
    AUK_CHAT_LENGTH,
    AUK_CHAT_TOOLS,
    AUK_CHAT_LOOP,   /* a loop guard stopped it */
    AUK_CHAT_FILTER, /* the server refused to go on */
    AUK_CHAT_CANCELLED,
} auk_chat_finish;

const char *auk_chat_finish_name(auk_chat_finish f); /* "stop", "length", "tool_calls" ... */

typedef struct auk_chat_call {
    char *id;          /* owned; "call_0" ... where the server gave none */
    char *name;        /* owned */
    json_t *arguments; /* owned; an object; NULL when the text is none */
    char *text;        /* owned; the arguments as they came */
} auk_chat_call;

typedef struct auk_chat_event {
    auk_chat_kind kind;
    uint64_t t_ns; /* auk_now_ns; when the bytes arrived or the token was due */
    auk_str text;  /* borrowed until the callback returns */
    const auk_chat_call *call;
    auk_chat_finish finish;
} auk_chat_event;

typedef void auk_chat_fn(void *ctx, const auk_chat_event *event);

typedef enum auk_thinking { AUK_THINK_DEFAULT, AUK_THINK_ON, AUK_THINK_OFF } auk_thinking;

/* Everything is borrowed until auk_client_chat returns. */
typedef struct auk_chat {
    /* OpenAI's form: role, content (text or parts), reasoning_content, tool_calls (arguments as
     * text or object), tool_call_id */
    const json_t *messages;
    const json_t *tools;           /* OpenAI's form; or NULL */
    const char *tool_choice;       /* "auto", "none", "required"; or NULL */
    const json_t *response_format; /* OpenAI's form; or NULL */
    auk_thinking thinking;
    int max_tokens;               /* 0: the server's own limit */
    double temperature, top_p;    /* negative: the server's own; our engine: 1 and 0.95 */
    int top_k;                    /* 0: not sent */
    int64_t seed;                 /* negative: not sent; our engine: a new one each time */
    bool loop_guard;              /* our engine's */
    const json_t *extra;          /* an object laid over a server's request; or NULL */
    auk_chat_fn *event;           /* or NULL */
    bool (*cancelled)(void *ctx); /* asked for each token, and at least ten times a second while a
                                   * server is silent; or NULL */
    /* Every piece of a server's answer as it came, for whoever records exchanges; or NULL. */
    void (*raw)(void *ctx, auk_str bytes, uint64_t t_ns);
    void *ctx;
} auk_chat;

auk_chat auk_chat_defaults(void); /* numbers as "the server's own" */

/* ---- the reply ---------------------------------------------------------------------------- */

typedef enum auk_failure_kind {
    AUK_FAILURE_NONE,
    AUK_FAILURE_CONNECT, /* nobody there, or no TLS */
    AUK_FAILURE_TIMEOUT,
    AUK_FAILURE_CUT,        /* the connection broke in the middle */
    AUK_FAILURE_UNFINISHED, /* the stream ended without its terminal event */
    AUK_FAILURE_MALFORMED,  /* what came is not the dialect */
    AUK_FAILURE_IN_STREAM,  /* the server reported an error in the stream */
    AUK_FAILURE_AUTH,       /* 401, 403 */
    AUK_FAILURE_NOT_FOUND,  /* 404: no such model or route */
    AUK_FAILURE_CONTEXT,    /* the prompt does not fit */
    AUK_FAILURE_BUSY,       /* 429, 503, 529 */
    AUK_FAILURE_SERVER,     /* other 5xx */
    AUK_FAILURE_REQUEST,    /* other 4xx */
    AUK_FAILURE_LIMIT,      /* the answer is larger than max_answer_bytes */
    AUK_FAILURE_CANCELLED,
    AUK_FAILURE_LOCAL, /* our engine or our side */
} auk_failure_kind;

const char *auk_failure_name(auk_failure_kind k); /* "connect", "timeout" ... */

typedef struct auk_failure {
    auk_failure_kind kind;
    int status; /* HTTP; 0: none */
    uint64_t retry_after_ms;
    bool passes; /* the same request may succeed a moment later */
} auk_failure;

typedef struct auk_reply {
    auk_buf thinking, text; /* owned */
    auk_chat_call *calls;   /* owned */
    size_t n_calls;
    auk_chat_finish finish;
    char finish_said[32];  /* in the server's own words */
    bool malformed_action; /* part of a tool call could not be read */
    bool was_markup;       /* thinking or calls were found by raw markers in the text */
    auk_failure failure;
    int attempts; /* made by auk_client_chat_retry */
    /* counters, -1 unknown.  prompt_tok includes what was cached. */
    int64_t prompt_tok, cached_tok, completion_tok, reasoning_tok;
    /* the answering side's own clocks, -1 unknown */
    int64_t load_ns, prefill_ns, decode_ns, total_ns;
    /* our clock, auk_now_ns; 0: did not happen */
    uint64_t begun_ns, sent_ns, accepted_ns, first_ns; /* first: byte, or token */
    uint64_t first_thinking_ns, first_text_ns, first_call_ns, last_tick_ns, end_ns;
    uint64_t n_ticks;
    uint64_t body_bytes;
} auk_reply;

/* Runs one chat.  AUK_OK: it came to its end, `finish` says how.  Otherwise `failure` says what
 * happened and *out holds what came until then.  Release *out in either case.  Nothing is tried
 * twice. */
AUK_MUST_CHECK int auk_client_chat(auk_reply *out, auk_client *c, const auk_chat *chat,
                                   auk_err *err);
void auk_reply_release(auk_reply *r);

/* Ends the running chat, or the next one, with AUK_ECANCEL; a server is left by closing the
 * connection. */
void auk_client_cancel(auk_client *c);

/* A new assistant message in OpenAI's form, for the history: content, reasoning_content, calls. */
json_t *auk_reply_message(const auk_reply *r);

/* ---- trying again ------------------------------------------------------------------------- */

typedef struct auk_retry {
    int tries;                /* in all; 1: never again */
    uint64_t base_ms, max_ms; /* as in auk_backoff_ms */
    uint64_t longest_wait_ms; /* a server that asks for more than this is not waited for */
    bool after_output;        /* also when something of the answer had come */
    void (*note)(void *ctx, const auk_reply *failed, const char *why, uint64_t wait_ms);
    void *ctx;
} auk_retry;

auk_retry auk_retry_defaults(void); /* 3 tries, 0.5 s to 30 s, up to 120 s, not after output */

/* auk_client_chat until it succeeds, fails for good, or the tries are used up.  Events of a failed
 * attempt have been sent; the next begins with its own AUK_CHAT_START. */
AUK_MUST_CHECK int auk_client_chat_retry(auk_reply *out, auk_client *c, const auk_chat *chat,
                                         const auk_retry *retry, auk_err *err);

#endif
