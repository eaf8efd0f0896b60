/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling runs nothing of a program, but hostile text can exhaust or crash a compiler: so it
 * happens in a box, and what brings the box down does not compile. */
#define _POSIX_C_SOURCE 200809L
#include "eval/box.h"

#include "base/mem.h"
#include "eval/driver.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define ANSWER 3            /* bytes */
#define LIFETIME_MS 3600000 /* after that the box is made anew */

struct auk_pychecker {
    const auk_sandbox *sb; /* borrowed */
    auk_box *box;          /* owned, or NULL */
    int to;                /* owned, or -1: the box's descriptor 3 */
};

static void stop(auk_pychecker *c)
{
    if (c->to >= 0)
        close(c->to);
    c->to = -1;
    auk_box_abort(c->box);
    c->box = NULL;
}

static int begin(auk_pychecker *c, auk_err *err)
{
    auk_limits limits = auk_limits_defaults();

    limits.wall_ms = LIFETIME_MS;
    limits.cpu_s = LIFETIME_MS / 1000;
    limits.memory_bytes = (uint64_t)2 << 30;
    int rc = auk_box_open(&c->box, &c->to, c->sb, auk_script_checker, &limits, err);
    if (rc == AUK_OK)
        fcntl(c->to, F_SETFL, O_NONBLOCK);
    return rc;
}

auk_pychecker *auk_pychecker_new(const auk_sandbox *sb)
{
    auk_pychecker *c = auk_alloc(sizeof *c);

    c->sb = sb;
    c->to = -1;
    return c;
}

void auk_pychecker_free(auk_pychecker *c)
{
    if (c != NULL)
        stop(c);
    free(c);
}

/* Sends everything; false when the box is gone or does not take it in time. */
static bool send_all(auk_pychecker *c, auk_str text)
{
    while (text.n > 0) {
        struct pollfd to = {.fd = c->to, .events = POLLOUT};
        if (poll(&to, 1, 10000) <= 0 || (to.revents & POLLERR))
            return false;
        ssize_t n = write(c->to, text.p, text.n);
        if (n <= 0)
            return false;
        text = auk_str_from(text, (size_t)n);
    }
    return true;
}

static bool receive(auk_pychecker *c, bool *compiles, bool *defines)
{
    auk_buf *answer = &c->box->result.verdict;

    for (int waited = 0; waited < 200 && answer->n < ANSWER && !auk_box_done(c->box); waited++) {
        struct pollfd from = {.fd = c->box->verdict, .events = POLLIN};
        poll(&from, 1, 100);
        auk_box_pump(&c->box, 1, 0);
    }
    if (answer->n != ANSWER)
        return false;
    *compiles = answer->p[0] == '1';
    *defines = answer->p[1] == '1';
    auk_buf_clear(answer);
    return true;
}

static int check(void *ctx, bool *compiles, bool *defines, auk_str text, auk_str entry,
                 auk_err *err)
{
    auk_pychecker *c = ctx;
    char head[64];

    *compiles = *defines = false;
    if (c->box == NULL) {
        int rc = begin(c, err);
        if (rc < 0)
            return rc;
    }
    snprintf(head, sizeof head, "%zu %zu\n", entry.n, text.n);
    if (!send_all(c, auk_str_of(head)) || !send_all(c, entry) || !send_all(c, text) ||
        !receive(c, compiles, defines))
        stop(c);
    return AUK_OK;
}

auk_syntax auk_pychecker_syntax(auk_pychecker *c)
{
    return (auk_syntax){.check = check, .ctx = c};
}
