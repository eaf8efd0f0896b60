/* SPDX-License-Identifier: Apache-2.0 */
/* transcript.h - one answer while it comes in, as events of a client, and its text afterwards.
 *
 * Whatever told thinking from the answer (token ids of our engine, a field of the server's, raw
 * markers in its text), the text is written in one way, with this model's markers, so that a
 * stored answer reads the same whoever gave it:
 *     <|START_THINKING|>...<|END_THINKING|><|START_TEXT|>...<|END_TEXT|>
 * A server that never spoke of thinking leaves no markers: its text is what it is. */
#ifndef AUK_EVAL_TRANSCRIPT_H
#define AUK_EVAL_TRANSCRIPT_H

#include "client/client.h"
#include "eval/loop.h"

#define AUK_MAX_RUNS 64

typedef struct auk_transcript {
    auk_buf content; /* owned; everything written, without markers */
    struct auk_run {
        auk_chat_kind kind; /* AUK_CHAT_THINKING, _TEXT or _CALL */
        size_t from;        /* in content */
    } runs[AUK_MAX_RUNS];
    size_t n_runs;
    bool thinks;    /* it begins with thinking, or thinking was seen */
    bool by_tokens; /* our engine's parser told them apart */
    auk_loop_watch watch;
    bool looped;
    auk_buf text; /* owned; with markers, after auk_transcript_end */
    size_t section_from, section_n;
} auk_transcript;

void auk_transcript_init(auk_transcript *t, bool by_tokens);
void auk_transcript_release(auk_transcript *t);

/* Takes an event; with `watch_loops`, *looped says when a block repeats without end. */
void auk_transcript_take(auk_transcript *t, const auk_chat_event *event, bool watch_loops);

/* Makes `text` and the section.  complete: the answer ended by itself. */
void auk_transcript_end(auk_transcript *t, bool complete);

/* How the section was found: "token_ids", "reply"; NULL: by nobody, the text has no markers or
 * thinking never ended. */
const char *auk_transcript_section(const auk_transcript *t);

#endif
