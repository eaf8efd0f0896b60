/* SPDX-License-Identifier: Apache-2.0 */
/* One range of a file, until it is there or will not come. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "net/fetch.h"

#include "base/mem.h"
#include "base/time.h"

#include <inttypes.h>
#include <time.h>

#define MAX_WAIT_MS 300000

typedef struct attempt {
    job *j;
    item *it;
    size_t range;
    bool ranged, refused_ranges, changed;
} attempt;

static uint64_t next_byte(const attempt *a)
{
    const auk_range *r = &a->it->part.ranges[a->range];
    return r->from + r->done;
}

static bool read_number(const char **p, const char *end, uint64_t *out)
{
    const char *from = *p;

    *out = 0;
    while (*p < end && **p >= '0' && **p <= '9' && *out < UINT64_MAX / 16)
        *out = *out * 10 + (uint64_t)(*(*p)++ - '0');
    return *p > from;
}

/* "bytes 5-9/100" must begin where we go on, end within the range and agree about the size. */
static int check_content_range(const attempt *a, auk_str text, auk_err *err)
{
    const char *p = text.p, *end = text.p + text.n;
    uint64_t from = 0, to = 0, total = a->it->src->bytes;
    bool ok = auk_str_starts(text, "bytes ");

    p += ok ? 6 : 0;
    ok = ok && read_number(&p, end, &from) && p < end && *p++ == '-' && read_number(&p, end, &to) &&
         p < end && *p++ == '/';
    ok = ok && (p + 1 == end && *p == '*' ? true : read_number(&p, end, &total) && p == end);
    if (ok && from == next_byte(a) && to >= from && to < a->it->part.ranges[a->range].to &&
        total == a->it->src->bytes)
        return AUK_OK;
    return auk_fail(
        err, AUK_EFORMAT,
        "asked for bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64 ", the server says '%.*s'",
        next_byte(a), a->it->part.ranges[a->range].to - 1, a->it->src->bytes, AUK_ARG(text));
}

static int on_head(void *ctx, const auk_http_response *r, auk_err *err)
{
    attempt *a = ctx;
    auk_source *s = a->it->src;
    auk_str tag = auk_http_header(r, "etag");

    if (r->status >= 300)
        return AUK_OK; /* the body says why */
    if (!s->from_hub && s->tag != NULL && tag.p != NULL && !auk_str_is(tag, s->tag) &&
        s->tag[0] == tag.p[0]) {
        a->changed = true;
        return auk_fail(err, AUK_EFORMAT, "it changed while it was being fetched");
    }
    pthread_mutex_lock(&a->j->lock);
    auk_hub_learn(s, r);
    pthread_mutex_unlock(&a->j->lock);
    if (r->status == 206 && a->ranged)
        return check_content_range(a, auk_http_header(r, "content-range"), err);
    if (r->status != 200)
        return auk_fail(err, AUK_EFORMAT, "the server answers with status %d", r->status);
    if (a->ranged) {
        a->refused_ranges = true;
        return auk_fail(err, AUK_ENOTSUP, "the server has no ranges");
    }
    if (s->bytes != AUK_UNKNOWN_BYTES && r->length >= 0 && (uint64_t)r->length != s->bytes)
        return auk_fail(err, AUK_EFORMAT,
                        "it should have %" PRIu64 " bytes, the server announces %" PRId64, s->bytes,
                        r->length);
    return AUK_OK;
}

static int on_piece(void *ctx, auk_str piece, uint64_t now_ns, auk_err *err)
{
    attempt *a = ctx;
    const auk_range *r = &a->it->part.ranges[a->range];

    (void)now_ns;
    if (piece.n > r->to - r->from - r->done)
        return auk_fail(err, AUK_EFORMAT,
                        "the server sends more than the %" PRIu64 " bytes asked for",
                        r->to - r->from);
    int rc = auk_partial_write(&a->it->part, a->range, piece, err);
    if (rc == AUK_OK)
        atomic_fetch_add(&a->j->fetched, piece.n);
    return rc;
}

static bool job_stopped(void *ctx)
{
    return atomic_load(&((attempt *)ctx)->j->stop);
}

/* Fills the error of a range that will not come: file, reason, remedy. */
static int give_up(const attempt *a, const auk_err *why, auk_err *err)
{
    const char *remedy = a->changed ? "; run the same command again, it starts this file over"
                                    : "; run the same command again, it goes on where it stopped";

    if (why->code == AUK_ECANCEL)
        return auk_fail(err, AUK_ECANCEL, "stopped; the same command goes on");
    return auk_fail(err, why->code, "'%s': %.300s%s", a->it->src->path, why->msg, remedy);
}

/* Whether another attempt makes sense; otherwise *err is final. */
static bool worth_another(const attempt *a, const auk_http_response *r, int rc, int failures,
                          auk_err *err)
{
    const auk_pull_options *o = a->j->opts;
    auk_err why = *err;
    int tries = rc == AUK_EFORMAT && o->tries > 3 ? 3 : o->tries; /* who lies goes on lying */

    if (rc < 0 && r->fault == AUK_FAULT_LOCAL && rc != AUK_EFORMAT) { /* our disk, our limits */
        give_up(a, &why, err);
        return false;
    }
    if (rc == AUK_ECANCEL || a->changed || r->fault == AUK_FAULT_TLS) {
        give_up(a, &why, err);
        return false;
    }
    char *asked = auk_url_origin(a->it->src->url), *from = auk_url_origin(r->url);
    bool expired = r->status == 403 && asked != NULL && from != NULL && strcmp(asked, from) != 0;
    bool final = rc == AUK_OK && r->status >= 400 && r->status != 416 && !expired &&
                 !auk_fault_passes(r->fault, r->status);
    free(asked);
    free(from);
    if (final || (rc == AUK_OK && r->status >= 400 && failures >= tries)) {
        auk_hub_refused(r, a->it->src->path, o, err);
        return false;
    }
    if (r->retry_after_ms > MAX_WAIT_MS) {
        auk_fail(err, AUK_ELIMIT,
                 "'%s': the server asks to come back in %" PRIu64
                 " s; run the same command then, it goes on where it stopped",
                 a->it->src->path, r->retry_after_ms / 1000);
        return false;
    }
    if (failures >= tries) {
        give_up(a, &why, err);
        return false;
    }
    return true;
}

/* Waits before the next attempt; after 429 and 503 everybody does. */
static void pause_after(attempt *a, const auk_http_response *r, int failures, uint64_t *seed)
{
    job *j = a->j;
    uint64_t ms = auk_backoff_ms(failures > 0 ? failures : 1, failures > 0 ? 250 : 50, 30000,
                                 r->retry_after_ms, seed);
    uint64_t until = auk_now_ns() + ms * 1000000;

    if (r->status == 429 || r->status == 503) {
        pthread_mutex_lock(&j->lock);
        if (until > j->hold_until_ns)
            j->hold_until_ns = until;
        pthread_mutex_unlock(&j->lock);
    }
    while (!atomic_load(&j->stop)) {
        pthread_mutex_lock(&j->lock);
        uint64_t hold = j->hold_until_ns;
        pthread_mutex_unlock(&j->lock);
        if (auk_now_ns() >= (hold > until ? hold : until))
            break;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static int attempt_once(attempt *a, auk_http *h, auk_http_response *r, auk_err *err)
{
    auk_partial *p = &a->it->part;
    auk_range *range = &p->ranges[a->range];
    char *token = auk_hub_token(a->it->src->url, a->j->opts);
    const char *secrets[] = {token, NULL};
    auk_http_request req = {.url = a->it->src->url,
                            .secrets = secrets,
                            .max_redirects = 10,
                            .limits = a->j->opts->limits,
                            .cancelled = job_stopped,
                            .head = on_head,
                            .piece = on_piece,
                            .ctx = a};

    if (p->n_ranges == 1 && range->done > 0 && (a->it->whole || range->to == UINT64_MAX)) {
        atomic_fetch_sub(&a->j->fetched, range->done); /* no ranges: from the beginning again */
        int rc = auk_partial_restart(p, false, err);
        if (rc < 0) {
            *r = (auk_http_response){.fault = AUK_FAULT_LOCAL};
            free(token);
            return rc;
        }
    }
    a->ranged = p->n_ranges > 1 || range->done > 0;
    if (a->ranged) {
        req.range_from = next_byte(a);
        req.range_to = range->to;
    }
    int rc = auk_http_run(r, h, &req, err);
    free(token);
    if (rc < 0 || r->status >= 300)
        return rc;
    if (range->to == UINT64_MAX) { /* whatever came is the file */
        range->to = range->done;
    } else if (range->done < range->to - range->from) {
        r->fault = AUK_FAULT_CUT;
        return auk_fail(err, AUK_EIO, "the answer ended %" PRIu64 " bytes early",
                        range->to - next_byte(a));
    }
    return AUK_OK;
}

/* Notes that the server has no ranges; whether some thread has found that. */
static bool to_be_planned_anew(job *j, item *it, bool refused)
{
    pthread_mutex_lock(&j->lock);
    it->no_ranges = it->no_ranges || refused;
    bool anew = it->no_ranges && !it->whole;
    pthread_mutex_unlock(&j->lock);
    return anew;
}

/* Fetches what is missing of one range.  AUK_OK also when the server turned out to have no ranges:
 * then item.no_ranges is set and the file is planned anew. */
int auk_fetch_range(job *j, item *it, size_t i, auk_http *h, auk_err *err)
{
    attempt a = {.j = j, .it = it, .range = i};
    uint64_t seed = auk_now_ns() + i;
    auk_range *range = &it->part.ranges[i];
    int failures = 0;

    if (range->to == range->from && range->to != 0) /* nothing in it */
        return AUK_OK;
    for (;;) {
        auk_http_response r;
        auk_err why = {0};
        uint64_t before = range->done;
        if (to_be_planned_anew(j, it, false))
            return AUK_OK;
        int rc = attempt_once(&a, h, &r, &why);
        bool good = rc == AUK_OK && r.status < 300;
        if (good || a.refused_ranges) {
            to_be_planned_anew(j, it, a.refused_ranges);
            auk_http_response_release(&r);
            return AUK_OK;
        }
        failures = range->done > before ? 0 : failures + 1;
        bool again = worth_another(&a, &r, rc, failures, &why);
        if (again) {
            char text[320];
            snprintf(text, sizeof text, "%.200s; trying again",
                     rc < 0 ? why.msg : "the server is busy");
            if (rc == AUK_OK)
                snprintf(text, sizeof text, "the server answers %d; trying again", r.status);
            auk_fetch_note(j, it->src->path, text);
            pause_after(&a, &r, failures, &seed);
        }
        auk_http_response_release(&r);
        if (!again) {
            *err = why;
            return why.code;
        }
        if (atomic_load(&j->stop))
            return auk_fail(err, AUK_ECANCEL, "stopped; the same command goes on");
    }
}
