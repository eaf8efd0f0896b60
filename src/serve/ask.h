/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h - one request after its dialect read it, and the dialect's printer of the answer.
 *
 * A dialect knows one wire format and nothing else: no socket, no engine.  Its printer is a pure
 * function of the ask, the id and time given to it, and the events. */
#ifndef AUK_SERVE_ASK_H
#define AUK_SERVE_ASK_H

#include "serve/say.h"

typedef enum auk_choice {
    AUK_CHOICE_AUTO,
    AUK_CHOICE_NONE,
    AUK_CHOICE_REQUIRED,
    AUK_CHOICE_NAMED, /* `named` */
} auk_choice;

typedef struct auk_dialect auk_dialect;

typedef struct auk_ask {
    const auk_dialect *dialect;
    char *model;     /* owned; as asked for, echoed */
    json_t *chat;    /* owned; what auk_render takes; NULL: `prompt` as it is */
    json_t *prompt;  /* owned; a string or an array of ids; NULL with `chat` */
    json_t *context; /* owned; ids before the prompt (Ollama's generate); or NULL */
    bool stream, usage_chunk, progress, echo, load_only, unload, raw_markers;
    double temperature, top_p, min_p; /* < 0: the default */
    int top_k;                        /* < 0: the default */
    int64_t seed;                     /* < 0: from the clock */
    int64_t max_tokens;               /* < 0: as the context allows */
    int64_t max_thinking;             /* 0: no limit */
    int64_t num_ctx;                  /* 0: the server's */
    bool truncate;                    /* drop the oldest messages that do not fit: asked for */
    json_t *stops;                    /* owned; an array of strings; or NULL */
    auk_choice choice;
    char *named;    /* owned; the tool `choice` names */
    bool one_call;  /* no parallel tool calls */
    bool json_mode; /* any JSON object */
    json_t *schema; /* owned; the answer's JSON Schema; or NULL */
    json_t *custom; /* owned; Responses: names of tools with free text as input */
    bool has_keep_alive;
    double keep_alive_s; /* Ollama's; < 0: for ever */
    char *session;       /* owned; what the client calls the conversation; or NULL */
    bool minor;          /* a side request: a title, a topic check */
    bool include_thinking;
} auk_ask;

void auk_ask_init(auk_ask *ask);
void auk_ask_release(auk_ask *ask);

/* One answer being printed.  {ask, id, created} are set by the caller, the rest is the
 * dialect's. */
typedef struct auk_printer {
    const auk_ask *ask; /* borrowed */
    char id[48];        /* 24 letters and digits, before the dialect's prefix */
    int64_t created;    /* seconds since 1970 */
    char created_at[64];

    auk_buf thinking, text; /* owned; so far */
    json_t *calls;          /* owned; [{"id", "name", "arguments" (text)}] */
    auk_buf args;           /* owned; of the open call */
    int block;              /* the open part: a printer's own numbers; 0: none */
    int index, sequence, item;
    bool begun, tool_seen, ended;
    auk_usage usage; /* what is known: prompt and cached after the first prefill event */
    int64_t prefill_done, prefill_total;
    json_t *output; /* owned; Responses: finished items */
    auk_buf line;   /* owned; scratch */
} auk_printer;

void auk_printer_init(auk_printer *p, const auk_ask *ask);
void auk_printer_release(auk_printer *p);

/* Keeps the printer's common state: texts, calls, usage.  Every print function calls it first. */
void auk_printer_take(auk_printer *p, const auk_say *say);

struct auk_dialect {
    const char *name, *stream_type; /* "openai", "text/event-stream" */
    /* Fills *ask from a request, which is borrowed.  AUK_EFORMAT and AUK_EINVAL are the client's
     * faults, AUK_ENOTSUP what this server does not do. */
    int (*parse)(auk_ask *ask, const json_t *request, auk_err *err);
    /* Appends what the event adds to the body.  When not streaming, all comes at the end. */
    void (*print)(auk_printer *p, auk_buf *out, const auk_say *say);
    /* Appends a legal part that says nothing. */
    void (*keep_alive)(auk_printer *p, auk_buf *out);
    /* The body of an error; code: an auk_code; status: the HTTP status it comes with. */
    void (*print_error)(auk_buf *out, int status, const auk_err *e, const json_t *extra);
};

extern const auk_dialect auk_dialect_ollama_chat, auk_dialect_ollama_generate, auk_dialect_openai,
    auk_dialect_completions, auk_dialect_llama, auk_dialect_anthropic, auk_dialect_responses;

/* ---- for the dialects --------------------------------------------------------------------- */

/* Reads optional fields with their types checked; a missing or null one changes nothing. */
AUK_MUST_CHECK int auk_field_bool(bool *out, const json_t *o, const char *key, auk_err *err);
AUK_MUST_CHECK int auk_field_real(double *out, const json_t *o, const char *key, double lo,
                                  double hi, auk_err *err);
AUK_MUST_CHECK int auk_field_int(int64_t *out, const json_t *o, const char *key, int64_t lo,
                                 int64_t hi, auk_err *err);
AUK_MUST_CHECK int auk_field_model(auk_ask *ask, const json_t *o, auk_err *err);
AUK_MUST_CHECK int auk_field_stops(auk_ask *ask, const json_t *v, const char *key, auk_err *err);

/* temperature, top_p, top_k, min_p, seed. */
AUK_MUST_CHECK int auk_field_sampling(auk_ask *ask, const json_t *o, auk_err *err);

/* The text of content that is a string, null or a list of text parts; images are AUK_ENOTSUP. */
AUK_MUST_CHECK int auk_content_text(auk_buf *out, const json_t *content, const char *where,
                                    auk_err *err);

/* OpenAI's response_format, into ask and the chat. */
AUK_MUST_CHECK int auk_field_format(auk_ask *ask, const json_t *format, auk_err *err);

/* "key": value helpers for the printers; `first` without a comma before. */
void auk_put_text(auk_buf *out, const char *key, auk_str text);
void auk_put_json(auk_buf *out, json_t *v); /* takes the reference */

/* The error object of OpenAI's paths; Ollama's is {"error": text}. */
void auk_print_openai_error(auk_buf *out, int status, const auk_err *e, const json_t *extra);
void auk_print_ollama_error(auk_buf *out, int status, const auk_err *e, const json_t *extra);
void auk_print_anthropic_error(auk_buf *out, int status, const auk_err *e, const json_t *extra);

json_t *auk_usage_openai(const auk_usage *u);
json_t *auk_timings(const auk_usage *u); /* llama-server's */

#endif
