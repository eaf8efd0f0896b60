/* SPDX-License-Identifier: Apache-2.0 */
/* lane.h - one job while it is computed: from logits to events.  The engine thread's own. */
#ifndef AUK_SERVE_LANE_H
#define AUK_SERVE_LANE_H

#include "serve/runner.h"

/* ---- scripted answers, for tests of whole agent loops ------------------------------------- */

/* A file of JSON lines {"text": what the model writes, control tokens spelled out; "match": a
 * text, or a list of texts that must all be in the prompt (optional); "repeat": may be used again;
 * "pause_ms": between tokens}.  A job gets the first line that fits and was not used.  Everything
 * but the model is the same. */
typedef struct auk_script auk_script;

AUK_MUST_CHECK int auk_script_open(auk_script **out, auk_engine *e, const char *path, auk_err *err);
void auk_script_close(auk_script *s);
int auk_script_pause(auk_script *s);
AUK_MUST_CHECK int auk_script_pick(const auk_ids **out, auk_script *s, const auk_job *job,
                                   auk_err *err);

/* ---- lanes -------------------------------------------------------------------------------- */

typedef struct auk_lane {
    int number;
    auk_job *job;  /* shared; NULL: the lane is free */
    float *logits; /* the runner's */
    int32_t id;    /* the token to feed next */
    size_t fed;    /* of the prompt */
    bool ready;    /* logits wait to be used */
    bool stopped;  /* a stop string was met, or enough was said */
    uint64_t task, turn, began_ns, said_ns, last_ns;
    int64_t first_ns;
    auk_usage usage;
    char miss[200];

    auk_decode *decode;    /* owned */
    const auk_ids *script; /* borrowed; NULL: the model's own */
    size_t script_at;
    auk_buf held; /* owned; text that may begin a stop string */
    int stop_met; /* its index in ask.stops; -1 */
    int calls;
    uint64_t random;   /* for the ids of calls */
    auk_parsed parsed; /* after the end */
} auk_lane;

AUK_MUST_CHECK int auk_lane_begin(auk_lane *l, auk_engine *e, bool loop_guard, auk_script *script,
                                  auk_err *err);
AUK_MUST_CHECK int auk_lane_next(auk_lane *l, auk_err *err);

/* Flushes what was held back. */
AUK_MUST_CHECK int auk_lane_end(auk_lane *l, auk_end *end, auk_err *err);
void auk_lane_say_finish(auk_lane *l, auk_end end);
void auk_lane_clear(auk_lane *l);

#endif
