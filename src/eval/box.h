/* SPDX-License-Identifier: Apache-2.0 */
/* box.h - what sandbox.c, which is the same everywhere, asks of an operating system.
 *
 * auk_os_spawn runs in a process that may have other threads: between fork and exec the child
 * makes system calls and nothing else, so everything it needs lies ready in auk_sandbox. */
#ifndef AUK_EVAL_BOX_H
#define AUK_EVAL_BOX_H

#include "eval/eval.h"

#include <sys/resource.h>
#include <sys/types.h>

typedef struct auk_os auk_os; /* what an operating system prepares once */

struct auk_sandbox {
    const auk_python *py; /* borrowed */
    auk_level level;
    auk_os *os; /* owned */
    char why[400];
};

struct auk_box {
    const auk_sandbox *sb; /* borrowed */
    auk_limits limits;
    pid_t pid;             /* not yet reaped */
    int handle;            /* a pidfd, or -1: poll by time */
    int out, err, verdict; /* what the program writes; -1 when closed */
    int report;            /* what the box says about itself; -1 when closed */
    int lifeline;          /* the box ends when this end of a pipe is closed; or -1 */
    auk_buf said;          /* read from `report` */
    uint64_t began_ns, deadline_ns;
    auk_end killed_for; /* when `killed` */
    bool killed, done;
    bool serving; /* it runs one program after another: done also means that one has ended */
    int failed;   /* an errno of this process: waiting failed */
    int wait_status;
    uint64_t cpu_ns;
    auk_box_result result;
};

/* The descriptors a program is given, in this order from 0. */
typedef struct auk_stdio {
    int in, out, err, data, verdict;
} auk_stdio;

/* What the child of auk_os_spawn says before or instead of the program, on `report`. */
typedef struct auk_report {
    int32_t failed_at; /* an index of auk_os_stage, or -1: `wait_status` is the program's */
    int32_t error;     /* errno */
    int32_t wait_status;
} auk_report;

const char *auk_os_stage(int stage);

/* The levels worth trying on this system, best first, as letters. */
extern const char auk_os_levels[];

/* Prepares a level; fails with the reason when the system lacks it. */
AUK_MUST_CHECK int auk_os_prepare(auk_os **out, const auk_python *py, auk_level level,
                                  auk_err *err);
void auk_os_release(auk_os *os);

/* Starts `python -c script`; fills pid, handle and report. */
AUK_MUST_CHECK int auk_os_spawn(auk_box *box, const char *script, const auk_stdio *io,
                                auk_err *err);

void auk_os_kill(const auk_box *box);

/* Reaps without waiting: true when it has ended, with wait_status and cpu_ns. */
bool auk_os_reap(auk_box *box);

/* A file without a name that holds `data`, at its beginning. */
AUK_MUST_CHECK int auk_os_data(int *fd, auk_str data, auk_err *err);

/* The resource limits of a program: shared by every level. */
typedef struct auk_rlimit {
    int which;
    struct rlimit value;
} auk_rlimit;
size_t auk_box_rlimits(auk_rlimit out[12], const auk_box *box);

/* A box whose descriptor 3 is a pipe: the other end comes back in *to. */
AUK_MUST_CHECK int auk_box_open(auk_box **out, int *to, const auk_sandbox *sb, const char *script,
                                const auk_limits *limits, auk_err *err);

/* The same, for a script that answers each request with one line on its standard output. */
AUK_MUST_CHECK int auk_box_open_lines(auk_box **out, int *to, const auk_sandbox *sb,
                                      const char *script, const auk_limits *limits, auk_err *err);

/* ---- a box that serves -------------------------------------------------------------------- */

/* Level A only: a Python that is started once and makes a child for each program, in the same
 * namespaces and under the same filter, with fork taken away before the program begins.  It says
 * on its standard output how the child ended and whether /tmp is as it was; when it is not, or
 * when a limit of time or output was reached, the box is killed and nothing is reused. */
bool auk_box_can_serve(const auk_sandbox *sb);
AUK_MUST_CHECK int auk_box_serve(auk_box **out, int *to, const auk_sandbox *sb,
                                 uint64_t memory_bytes, auk_err *err);

/* Sends a program; false when the box is gone. */
bool auk_box_ask(auk_box *box, int to, auk_str request, const auk_limits *limits);

/* How it ended, for a box that is done.  True: the box takes the next program; false: it must be
 * freed by auk_box_abort.  *valid is false when nothing was learned of the program. */
bool auk_box_answer(auk_box_result *out, bool *valid, auk_box *box);

/* The filter a served program applies to itself, as hexadecimal text. */
void auk_os_last_filter(auk_buf *out, const auk_os *os);

#endif
