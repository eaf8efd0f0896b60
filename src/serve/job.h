/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - one accepted request between its connection and the engine.
 *
 * The connection makes it, submits it and takes events out; the engine's thread puts events in.
 * Each holds a reference; neither ever waits for the other but auk_job_next, which waits for an
 * event.  Events are bounded by the context's size. */
#ifndef AUK_SERVE_JOB_H
#define AUK_SERVE_JOB_H

#include "engine/engine.h"
#include "serve/ask.h"

#include <pthread.h>
#include <stdatomic.h>

/* A place in the prompt where a turn begins, and the message it shows (-1: the platform's). */
typedef struct auk_turn_mark {
    size_t at;
    int message;
} auk_turn_mark;

#define AUK_JOB_HASH 65

typedef struct auk_job {
    auk_ask ask; /* owned */
    char id[48];
    uint64_t session;     /* whose turn it is in the queue */
    auk_ids prompt;       /* owned */
    auk_turn_mark *marks; /* owned; ascending */
    size_t n_marks, max_tokens;
    size_t first_user;          /* prompt position of the first user's turn */
    char visible[AUK_JOB_HASH]; /* hash of what the client sees of the conversation */
    size_t header;              /* ids of the prompt that belong to the answer's turn */
    bool reasoning;
    auk_constraint constraint; /* mask NULL: none */
    void *grammar;             /* owned by the job; freed with free_grammar */
    void (*free_grammar)(void *grammar);
    uint64_t made_ns;

    _Atomic bool cancelled;
    _Atomic bool end_thinking;
    _Atomic int references;

    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t more;
    struct auk_job_event *first, *last; /* owned */
    struct auk_job_event *taken;        /* owned; what auk_job_next gave last */
    bool ended;                         /* a finish or error was put in */

    struct auk_job *next; /* in the queue; the runner's */
} auk_job;

auk_job *auk_job_new(void);
void auk_job_release(auk_job *job); /* drops one of the two references */
void auk_job_share(auk_job *job);   /* adds one */

void auk_job_put(auk_job *job, const auk_say *say); /* copies */

/* True: *out is the next event, borrowed until the next call.  False: none came in time. */
bool auk_job_next(auk_say *out, auk_job *job, int wait_ms);

#endif
