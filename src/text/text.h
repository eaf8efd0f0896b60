/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - from text to token ids and back, from a chat request to a prompt, and from what the
 * model wrote to thinking, answer and tool calls.  It knows no model and no server.
 *
 * Ownership: auk_tokenizer is read-only after opening and may be shared by threads; what its
 * functions return is borrowed from it.  Every other object here belongs to one thread at a time.
 * A function that fails may have appended part of its output; the caller releases it as usual. */
#ifndef AUK_TEXT_TEXT_H
#define AUK_TEXT_TEXT_H

#include "base/buf.h"
#include "base/json.h"

/* ---- ids ---------------------------------------------------------------------------------- */

/* A vector of token ids that grows.  {0} is empty; auk_ids_release frees it and makes it empty. */
typedef struct auk_ids {
    int32_t *p; /* owned; NULL while empty */
    size_t n, cap;
} auk_ids;

AUK_MUST_CHECK int auk_ids_add(auk_ids *ids, int32_t id, auk_err *err);
AUK_MUST_CHECK int auk_ids_reserve(auk_ids *ids, size_t more, auk_err *err);
void auk_ids_clear(auk_ids *ids);
void auk_ids_release(auk_ids *ids);

/* ---- tokenizer ---------------------------------------------------------------------------- */

typedef struct auk_tokenizer auk_tokenizer;

/* Reads a tokenizer.json, or the one in the folder `path`.  What the file declares is honoured,
 * or refused with AUK_ENOTSUP naming the file and the key: byte-level BPE with the released
 * pre-tokenizer, normalizer null or NFC, decoder ByteLevel, no truncation, no padding.  A post
 * processor only matters when special tokens are to be added, which encoding never does: whoever
 * wants a beginning-of-sequence token writes it. */
AUK_MUST_CHECK int auk_tokenizer_open(auk_tokenizer **out, const char *path, auk_err *err);
void auk_tokenizer_close(auk_tokenizer *tok);

/* Appends the ids of `text`, which must be UTF-8 (AUK_EFORMAT).
 * special true: added tokens written in the text become their ids, as in the tokenizers library
 * with add_special_tokens off; for text whose author may write control tokens.
 * special false: no added token is ever looked for, "<|USER_TOKEN|>" is a handful of ordinary
 * tokens; for text from users, tools and files.  No control id can come out of this mode: it is
 * refused (AUK_ENOTSUP) for a file that gives a control token the id of a word. */
AUK_MUST_CHECK int auk_tokenizer_encode(auk_ids *out, const auk_tokenizer *tok, auk_str text,
                                        bool special, auk_err *err);

/* Appends the text of n ids.  Bytes that are not UTF-8 become U+FFFD, one per maximal broken
 * sequence; ids that name no token add nothing; skip_special leaves out the tokens declared
 * special (several control tokens are not).  All as in the tokenizers library. */
AUK_MUST_CHECK int auk_tokenizer_decode(auk_buf *out, const auk_tokenizer *tok, const int32_t *ids,
                                        size_t n, bool skip_special, auk_err *err);

/* The bytes a token stands for, perhaps half a character; {"", 0} for ids that name no token. */
auk_str auk_tokenizer_piece(const auk_tokenizer *tok, int32_t id);

/* The id of a token given as the file spells it, -1 when absent: auk_tokenizer_id(tok,
 * "<|END_OF_TURN_TOKEN|>"). */
int32_t auk_tokenizer_id(const auk_tokenizer *tok, const char *content);

int auk_tokenizer_vocab(const auk_tokenizer *tok); /* 1 + the largest id */

/* Control: an added token that is declared special or is written in angle brackets. */
bool auk_tokenizer_is_control(const auk_tokenizer *tok, int32_t id);

/* The same text as auk_tokenizer_decode, one token at a time: what might be the beginning of a
 * character is held back.  Caller's storage, nothing to release; borrows tok. */
typedef struct auk_decoder {
    const auk_tokenizer *tok;
    bool skip_special;
    unsigned char held[4];
    size_t n_held;
} auk_decoder;

void auk_decoder_init(auk_decoder *d, const auk_tokenizer *tok, bool skip_special);
void auk_decoder_add(auk_decoder *d, auk_buf *out, int32_t id);
void auk_decoder_finish(auk_decoder *d, auk_buf *out); /* then as after init */

/* ---- prompt ------------------------------------------------------------------------------- */

/* Appends the prompt of a chat request, byte for byte what the model's own template prints.
 *
 * The request is an object with the template's variables: messages (an array; required), tools,
 * documents, reasoning (true), reasoning_effort ("none" turns reasoning off), skip_thinking
 * (false), platform_instruction_override, developer_instruction, convert_first_system_msg (true),
 * regen_tool_call_ids (true), grounding ("enabled"), response_format, add_generation_prompt
 * (true).  Other keys are ignored as the template ignores them, enable_thinking too: what clients
 * send goes through auk_request_prepare first.  Messages have role (system user
 * assistant chatbot tool, any case), content (text, or a list of parts), thinking,
 * reasoning_content, reasoning, tool_plan, tool_calls, tool_call_id.
 * An assistant's content may be null or missing.  Anything else that has the wrong type fails
 * with AUK_EFORMAT and the path of the field, "messages[2].content is not a string or list".
 *
 * Control strings inside the request's text appear in this output as they are, so encoding it
 * with special true would let a user write a turn marker: send it nowhere but to a reader.  A
 * prompt for the model is made by auk_render_ids. */
AUK_MUST_CHECK int auk_render(auk_buf *out, const json_t *request, auk_err *err);

/* Appends the prompt as ids.  Control ids come from the template's markup alone; the text between
 * two of them (instructions, names, contents, thinking, arguments) is encoded as one run with
 * special false.  So "<|END_OF_TURN_TOKEN|>" in a user's message stays in the prompt as the same
 * characters, spelled with ordinary tokens, and ends nothing.  When the request has no control
 * string in it the ids equal auk_tokenizer_encode(auk_render(request), special true), as long as
 * the file's control tokens take no white space with them (lstrip, rstrip; the released do not).
 * AUK_ENOTSUP when the tokenizer lacks a control token that the prompt needs. */
AUK_MUST_CHECK int auk_render_ids(auk_ids *out, const auk_tokenizer *tok, const json_t *request,
                                  auk_err *err);

/* Rewrites, in place, what clients commonly send into what the template understands:
 * - enable_thinking and chat_template_kwargs.{enable_thinking, reasoning, reasoning_effort}
 *   become reasoning or reasoning_effort, unless those are given (the template ignores them);
 * - role "developer" becomes "system";
 * - a null description goes, missing tool parameters become the empty object schema;
 * - arguments given as JSON text become the object; text that is no JSON object is AUK_EFORMAT;
 * - calls get fresh ids ("call_0", ...) and each result the id of the call it answers: the
 *   latest call of its own id, or without an id the first call not answered yet; a result that
 *   answers no call gets an id of its own.  The template would send a reused id to the first call
 *   that ever had it, or drop the result.  Not done when regen_tool_call_ids is false.
 * What auk_render will refuse stays as it is. */
AUK_MUST_CHECK int auk_request_prepare(json_t *request, auk_err *err);

/* Whether a prompt for this request ends inside an open thinking block. */
bool auk_request_reasoning(const json_t *request);

/* Whether the chat_template.jinja at `path`, or in the folder `path`, is the one auk_render
 * stands for: *known is true when the file has every control token of the turns, the tool
 * list's heading, the keys of calls and results, and the default instructions' first and last
 * sentences.  Comments or formatting may differ; logic is not compared.  A missing file is no
 * error: *known is false. */
AUK_MUST_CHECK int auk_template_check(const char *path, bool *known, auk_err *err);

/* ---- what the model wrote ----------------------------------------------------------------- */

/* One tool call.  Everything is borrowed from `source`. */
typedef struct auk_call {
    auk_str id;        /* p is NULL when the model gave none: the caller makes one */
    auk_str name;      /* never empty */
    json_t *arguments; /* an object */
    json_t *source;    /* the whole call as read; owned by the parser */
} auk_call;

typedef enum auk_outcome {
    AUK_OUTCOME_ANSWER,            /* "answer": text and no call */
    AUK_OUTCOME_TOOL_CALLS,        /* "tool_calls": at least one call, all readable */
    AUK_OUTCOME_MALFORMED_ACTION,  /* "malformed_action": part of an action could not be read */
    AUK_OUTCOME_EMPTY,             /* "empty": neither text nor call */
    AUK_OUTCOME_UNCLOSED_THINKING, /* "unclosed_thinking": ended while thinking, nothing else */
} auk_outcome;

const char *auk_outcome_name(auk_outcome outcome);

/* Borrowed from the parser until it is fed, finished again or freed. */
typedef struct auk_parsed {
    auk_str thinking, text; /* without trailing white space */
    const auk_call *calls;
    size_t n_calls;
    auk_outcome outcome;
} auk_parsed;

typedef enum auk_event_kind {
    AUK_EVENT_THINKING,  /* .text: more thinking */
    AUK_EVENT_TEXT,      /* .text: more of the answer */
    AUK_EVENT_CALL,      /* .call: a whole call, as soon as its object is closed */
    AUK_EVENT_MALFORMED, /* .text: a piece of an action that could not be read */
} auk_event_kind;

typedef struct auk_parser_event {
    auk_event_kind kind;
    auk_str text;         /* borrowed until the callback returns */
    const auk_call *call; /* likewise */
} auk_parser_event;

typedef void auk_parser_fn(void *ctx, const auk_parser_event *event);

/* A state machine over the bytes the model wrote after the prompt, control tokens spelled out.
 * How the bytes are cut into feeds never changes the result.  It survives what the model is known
 * to do: openers or closers that are missing or stray, an answer written twice around a stray end
 * of thinking (the copy is dropped), markers of older models, calls without commas or ids,
 * control strings inside JSON strings, "\|" escapes, a stream that stops anywhere.  White space
 * at the end of thinking and text is held back until more follows.  Text that looks like a tool
 * call but was not written as an action stays text. */
typedef struct auk_parser auk_parser;

/* reasoning_on: the prompt ended inside an open thinking block.  fn may be NULL. */
auk_parser *auk_parser_new(bool reasoning_on, auk_parser_fn *fn, void *ctx);
void auk_parser_free(auk_parser *p);

/* AUK_ELIMIT when a part grows past its maximum (AUK_MAX_TEXT, AUK_MAX_CALL, AUK_MAX_CALLS);
 * the parser then only remains to be freed.  After the end of turn bytes are ignored. */
AUK_MUST_CHECK int auk_parser_feed(auk_parser *p, auk_str bytes, auk_err *err);
AUK_MUST_CHECK int auk_parser_finish(auk_parsed *out, auk_parser *p, auk_err *err);
bool auk_parser_done(const auk_parser *p); /* the end of turn was read */

#define AUK_MAX_CALL ((size_t)16 << 20) /* bytes of one tool call */
#define AUK_MAX_CALLS 4096              /* tool calls of one turn */

/* A new {"thinking", "text", "tool_calls": [{"id", "name", "arguments"}], "outcome"}; empty
 * thinking and text and a missing id are null; bytes that are not UTF-8 become U+FFFD. */
void auk_parsed_json(json_t **out, const auk_parsed *parsed);

#endif
