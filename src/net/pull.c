/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "net/pull.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"
#include "net/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha1.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define MIN_RANGE ((uint64_t)1 << 20)
#define MAX_RANGE ((uint64_t)64 << 20)
#define MAX_WAIT_MS 300000
#define HASH_CHUNK ((size_t)1 << 20)

/* LOOK: is it there already?  FETCH: ranges are missing.  CHECK: all there, hash it. */
typedef enum step { LOOK, FETCH, CHECK, DONE } step;

typedef struct item {
    auk_source *src;  /* borrowed from the sources */
    step step, next;  /* next: what its worker found, taken over when it is given back */
    auk_partial part; /* open from the first range taken to the end of CHECK */
    bool open, busy, no_ranges, whole, in_place;
    int users, restarts;
    uint64_t resumed_from, bytes;
    char sha256[AUK_SHA256_HEX];
    bool checked;
} item;

typedef struct job {
    const auk_pull_options *opts;
    const char *target;  /* the folder that files go to in the end */
    const char *staging; /* everything is here until then */
    item *items;         /* owned */
    size_t n;
    pthread_mutex_t lock; /* guards all below, and every item's fields but its ranges' bytes */
    pthread_cond_t changed;
    size_t failed; /* the lowest index that failed; n: none */
    auk_err err;   /* of that item */
    auk_buf notes; /* owned; lines for the caller's thread */
    uint64_t hold_until_ns;
    int workers; /* still running */
    atomic_bool stop;
    _Atomic uint64_t fetched, to_fetch, hashed, to_hash;
} job;

auk_pull_options auk_pull_defaults(void)
{
    return (auk_pull_options){.connections = 8,
                              .tries = 6,
                              .limits = {.connect_ms = 15000, .first_ms = 60000, .idle_ms = 30000}};
}

void auk_pull_release(auk_pull_result *r)
{
    for (size_t i = 0; i < r->n_files; i++)
        free(r->files[i].path);
    free(r->files);
    free(r->output);
    free(r->revision);
    *r = (auk_pull_result){0};
}

static char *staged_path(const job *j, const char *path)
{
    size_t n = strlen(j->staging) + strlen(path) + 16;
    char *out = auk_alloc(n);

    snprintf(out, n, "%s/files/%s", j->staging, path);
    return out;
}

static void fail_item(job *j, const item *it, const auk_err *err)
{
    size_t index = (size_t)(it - j->items);

    pthread_mutex_lock(&j->lock);
    if (index < j->failed && !(err->code == AUK_ECANCEL && j->failed < j->n)) {
        j->failed = index;
        j->err = *err;
    }
    atomic_store(&j->stop, true);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static void note(job *j, const char *path, const char *text)
{
    pthread_mutex_lock(&j->lock);
    auk_buf_printf(&j->notes, "'%s': %s\n", path, text);
    pthread_mutex_unlock(&j->lock);
}

/* ---- hashes ------------------------------------------------------------------------------- */

static void hex_of(char *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* The sha256 of an open file and the id git gives it. */
static int hash_file(job *j, int fd, const char *path, uint64_t *bytes, char sha[AUK_SHA256_HEX],
                     char git[AUK_GIT_HEX], auk_err *err)
{
    char *chunk = auk_alloc(HASH_CHUNK), head[64];
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx sha1;
    struct stat st;
    uint64_t at = 0;
    int rc = AUK_OK;

    if (fstat(fd, &st) != 0)
        st.st_size = 0;
    int n_head = snprintf(head, sizeof head, "blob %" PRIu64, (uint64_t)st.st_size);
    auk_sha256 *sha256 = auk_sha256_new();
    sha1_init(&sha1);
    sha1_update(&sha1, (size_t)n_head + 1, (const uint8_t *)head);
    while (rc == AUK_OK) {
        ssize_t n = pread(fd, chunk, HASH_CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = auk_fail_errno(err, "cannot read '%s'", path);
        if (n <= 0)
            break;
        auk_sha256_add(sha256, chunk, (size_t)n);
        sha1_update(&sha1, (size_t)n, (const uint8_t *)chunk);
        at += (uint64_t)n;
        atomic_fetch_add(&j->hashed, (uint64_t)n);
        if (atomic_load(&j->stop))
            rc = auk_fail(err, AUK_ECANCEL, "stopped; the same command goes on");
    }
    auk_sha256_finish(sha256, sha);
    sha1_digest(&sha1, sizeof digest, digest);
    hex_of(git, digest, sizeof digest);
    *bytes = at;
    free(chunk);
    return rc;
}

static bool known(const auk_source *s)
{
    return s->sha256[0] != 0 || s->git[0] != 0;
}

static bool matches(const auk_source *s, uint64_t bytes, const char *sha, const char *git)
{
    if (s->bytes != AUK_UNKNOWN_BYTES && bytes != s->bytes)
        return false;
    if (s->sha256[0] != 0)
        return strcmp(sha, s->sha256) == 0;
    return s->git[0] == 0 || strcmp(git, s->git) == 0;
}

/* ---- is it there already? ----------------------------------------------------------------- */

static void identity_of(char *out, size_t n, const auk_source *s)
{
    if (s->sha256[0] != 0)
        snprintf(out, n, "sha256:%s", s->sha256);
    else if (s->git[0] != 0)
        snprintf(out, n, "git:%s", s->git);
    else if (s->tag != NULL)
        snprintf(out, n, "tag:%.200s", s->tag);
    else
        *out = 0;
}

/* *found: `path` is a file with the right content. */
static int look_at(job *j, item *it, const char *path, bool *found, auk_err *err)
{
    char git[AUK_GIT_HEX];
    uint64_t bytes = 0;
    struct stat st;

    *found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return AUK_OK;
    int rc = AUK_OK;
    bool size_fits =
        fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (it->src->bytes == AUK_UNKNOWN_BYTES || (uint64_t)st.st_size == it->src->bytes);
    if (size_fits && known(it->src)) {
        atomic_fetch_add(&j->to_hash, (uint64_t)st.st_size);
        rc = hash_file(j, fd, path, &bytes, it->sha256, git, err);
        *found = rc == AUK_OK && matches(it->src, bytes, it->sha256, git);
    }
    close(fd);
    if (*found) {
        it->bytes = it->resumed_from = bytes;
        it->checked = true;
        it->next = DONE;
    }
    return rc;
}

static uint64_t range_bytes(const job *j, uint64_t bytes)
{
    uint64_t share = bytes / (uint64_t)j->opts->connections + 1;

    share = (share + 65535) / 65536 * 65536;
    return share < MIN_RANGE ? MIN_RANGE : share > MAX_RANGE ? MAX_RANGE : share;
}

static int open_part(job *j, item *it, auk_err *err)
{
    char identity[256];

    identity_of(identity, sizeof identity, it->src);
    int rc = auk_partial_open(&it->part, j->staging, it->src->path, identity, it->src->bytes,
                              range_bytes(j, it->src->bytes), err);
    it->open = rc == AUK_OK;
    return rc;
}

static int look(job *j, item *it, auk_err *err)
{
    char *final = auk_path_join(j->target, it->src->path);
    char *staged = staged_path(j, it->src->path);
    bool found = false;

    int rc = look_at(j, it, final, &found, err);
    it->in_place = found;
    if (rc == AUK_OK && !found && auk_file_exists(final) && !j->opts->force)
        rc = auk_fail(err, AUK_EINVAL, "'%s' is there already and %s; --force replaces it", final,
                      known(it->src) ? "differs from the source" : "cannot be compared");
    if (rc == AUK_OK && !found)
        rc = look_at(j, it, staged, &found, err);
    if (rc == AUK_OK && !found) {
        char identity[256];
        unlink(staged);
        identity_of(identity, sizeof identity, it->src);
        it->resumed_from = auk_partial_found(j->staging, it->src->path, identity, it->src->bytes);
        it->next = FETCH;
    }
    free(final);
    free(staged);
    return rc;
}

/* ---- one range ---------------------------------------------------------------------------- */

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
static int fetch_range(job *j, item *it, size_t i, auk_http *h, auk_err *err)
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
            note(j, it->src->path, text);
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

/* ---- the whole file ----------------------------------------------------------------------- */

static int check(job *j, item *it, auk_err *err)
{
    const auk_source *s = it->src;
    char git[AUK_GIT_HEX];

    int rc = hash_file(j, it->part.data_fd, it->part.data_path, &it->bytes, it->sha256, git, err);
    if (rc < 0)
        return rc;
    if (matches(s, it->bytes, it->sha256, git)) {
        char *staged = staged_path(j, s->path);
        it->checked = known(s);
        rc = auk_partial_publish(&it->part, staged, err);
        free(staged);
        it->open = false;
        it->next = DONE;
        return rc;
    }
    bool by_sha = s->sha256[0] != 0;
    rc = auk_partial_restart(&it->part, it->whole, err);
    if (rc == AUK_OK && it->restarts++ > 0)
        rc = auk_fail(err, AUK_EFORMAT,
                      "'%s' came twice with the wrong content: %s is %s, should be %s; the server "
                      "or a proxy on the way changes it: try --endpoint, or later",
                      s->path, by_sha ? "sha256" : "git id", by_sha ? it->sha256 : git,
                      by_sha ? s->sha256 : s->git);
    if (rc == AUK_OK) {
        it->resumed_from = 0;
        atomic_fetch_add(&j->to_fetch, it->bytes);
        atomic_fetch_add(&j->to_hash, it->bytes);
        note(j, s->path, "the hash is wrong; fetching it once more");
        it->next = FETCH;
    }
    return rc;
}

static bool complete(const auk_partial *p)
{
    for (size_t i = 0; i < p->n_ranges; i++)
        if (p->ranges[i].to == UINT64_MAX ||
            p->ranges[i].done < p->ranges[i].to - p->ranges[i].from)
            return false;
    return true;
}

/* ---- workers ------------------------------------------------------------------------------ */

typedef struct work {
    item *it;
    step what;
    size_t range;
} work;

/* A range of the item nobody works on; n_ranges when there is none. */
static size_t free_range(const auk_partial *p)
{
    size_t i = 0;

    while (i < p->n_ranges &&
           (p->ranges[i].taken || (p->ranges[i].to != UINT64_MAX &&
                                   p->ranges[i].done == p->ranges[i].to - p->ranges[i].from)))
        i++;
    return i;
}

/* Something of this item for one worker; the lock is held. */
static bool take_from(job *j, item *it, step phase, work *out, int *rc, auk_err *err)
{
    *out = (work){.it = it, .what = it->step};
    if (it->busy || it->step == DONE || (phase == LOOK) != (it->step == LOOK))
        return false;
    it->next = it->step;
    if (it->step == LOOK) {
        it->busy = true;
        return true;
    }
    if (!it->open)
        *rc = open_part(j, it, err);
    if (*rc == AUK_OK && it->no_ranges && !it->whole && it->users == 0) {
        for (size_t i = 0; i < it->part.n_ranges; i++)
            atomic_fetch_sub(&j->fetched, it->part.ranges[i].done);
        *rc = auk_partial_restart(&it->part, true, err);
        it->whole = true;
        it->resumed_from = 0;
    }
    if (*rc < 0)
        return false;
    if (it->no_ranges && !it->whole)
        return false; /* when the others have let go */
    if (it->users == 0 && complete(&it->part)) {
        out->what = CHECK;
        it->busy = true;
        return true;
    }
    out->range = free_range(&it->part);
    if (out->range == it->part.n_ranges)
        return false;
    it->part.ranges[out->range].taken = true;
    it->users++;
    return true;
}

/* Waits for work; false when there will be none. */
static bool take(job *j, step phase, work *out)
{
    bool found = false, left = true;

    pthread_mutex_lock(&j->lock);
    while (!found && left && !atomic_load(&j->stop)) {
        left = false;
        for (size_t i = 0; i < j->n && !found; i++) {
            int rc = AUK_OK;
            auk_err err;
            bool mine = phase == LOOK ? j->items[i].step == LOOK : j->items[i].step != DONE;
            left = left || mine;
            found = mine && take_from(j, &j->items[i], phase, out, &rc, &err);
            if (rc < 0) {
                if (i < j->failed) {
                    j->failed = i;
                    j->err = err;
                }
                atomic_store(&j->stop, true);
                break;
            }
        }
        if (!found && left && !atomic_load(&j->stop))
            pthread_cond_wait(&j->changed, &j->lock);
    }
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    return found;
}

static void give_back(job *j, const work *w)
{
    pthread_mutex_lock(&j->lock);
    if (w->what == FETCH) {
        w->it->part.ranges[w->range].taken = false;
        w->it->users--;
    } else {
        w->it->step = w->it->next;
        w->it->busy = false;
    }
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

typedef struct worker {
    job *j;
    step phase;
    pthread_t thread;
} worker;

static void *run_worker(void *ctx)
{
    worker *me = ctx;
    job *j = me->j;
    auk_http *h = NULL;
    auk_err err;
    work w = {.it = j->items};

    int rc = auk_http_new(&h, &err);
    if (rc < 0)
        fail_item(j, w.it, &err);
    while (rc == AUK_OK && take(j, me->phase, &w)) {
        rc = w.what == LOOK    ? look(j, w.it, &err)
             : w.what == FETCH ? fetch_range(j, w.it, w.range, h, &err)
                               : check(j, w.it, &err);
        if (rc < 0)
            fail_item(j, w.it, &err);
        give_back(j, &w);
    }
    auk_http_free(h);
    pthread_mutex_lock(&j->lock);
    j->workers--;
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* Hands notes and progress to the caller; true when work goes on. */
static bool supervise(job *j, step phase)
{
    const auk_pull_options *o = j->opts;
    auk_buf lines = AUK_BUF_INIT(1 << 20);

    pthread_mutex_lock(&j->lock);
    bool running = j->workers > 0;
    auk_buf_add(&lines, j->notes.p, j->notes.n);
    auk_buf_clear(&j->notes);
    pthread_mutex_unlock(&j->lock);
    for (char *line = lines.p, *end; line != NULL && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        *end = 0;
        if (o->note != NULL)
            o->note(o->note_ctx, line);
    }
    auk_buf_release(&lines);
    uint64_t done = atomic_load(&j->fetched), total = atomic_load(&j->to_fetch);
    bool checking = phase == LOOK || done >= total;
    if (checking) {
        done = atomic_load(&j->hashed);
        total = atomic_load(&j->to_hash);
    }
    if (o->progress != NULL && o->progress(o->progress_ctx, checking ? "checking" : "fetching",
                                           "bytes", done < total ? done : total, total)) {
        pthread_mutex_lock(&j->lock);
        if (j->failed == j->n) {
            j->failed = 0;
            auk_fail(&j->err, AUK_ECANCEL, "stopped; the same command goes on");
        }
        atomic_store(&j->stop, true);
        pthread_cond_broadcast(&j->changed);
        pthread_mutex_unlock(&j->lock);
    }
    return running;
}

static int run_phase(job *j, step phase, auk_err *err)
{
    worker workers[MAX_CONNECTIONS];
    int n = 0;

    j->workers = j->opts->connections;
    for (; n < j->opts->connections; n++) {
        workers[n] = (worker){.j = j, .phase = phase};
        if (pthread_create(&workers[n].thread, NULL, run_worker, &workers[n]) != 0)
            break;
    }
    pthread_mutex_lock(&j->lock);
    j->workers -= j->opts->connections - n;
    pthread_mutex_unlock(&j->lock);
    if (n == 0)
        return auk_fail(err, AUK_EIO, "no thread can be started");
    while (supervise(j, phase))
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    for (int i = 0; i < n; i++)
        pthread_join(workers[i].thread, NULL);
    supervise(j, phase); /* the last notes */
    if (j->failed < j->n) {
        *err = j->err;
        return err->code;
    }
    return AUK_OK;
}

/* ---- before and after --------------------------------------------------------------------- */

static int check_space(job *j, auk_err *err)
{
    uint64_t need = 0, there = 0;

    for (size_t i = 0; i < j->n; i++) {
        const item *it = &j->items[i];
        if (it->step != DONE && it->src->bytes != AUK_UNKNOWN_BYTES) {
            need += it->src->bytes - it->resumed_from;
            atomic_fetch_add(&j->to_hash, it->src->bytes);
        }
    }
    atomic_store(&j->to_fetch, need);
    int rc = auk_disk_free(&there, j->staging, err);
    if (rc == AUK_OK && need > there)
        rc = auk_fail(err, AUK_ELIMIT,
                      "%.2f GB are still to be fetched, but '%s' has room for %.2f GB: free some, "
                      "choose another -o, or fewer files with --include",
                      (double)need / 1e9, j->staging, (double)there / 1e9);
    return rc;
}

static int move_into_place(job *j, bool whole_folder, auk_err *err)
{
    char *files = auk_path_join(j->staging, "files");
    int rc = AUK_OK;

    if (whole_folder) {
        if (rename(files, j->target) != 0)
            rc = auk_fail_errno(err, "cannot rename '%s' to '%s'", files, j->target);
    } else {
        for (size_t i = 0; i < j->n && rc == AUK_OK; i++) {
            char *from = auk_path_join(files, j->items[i].src->path);
            char *to = auk_path_join(j->target, j->items[i].src->path);
            rc = auk_make_parents(to, err);
            if (rc == AUK_OK && !j->items[i].in_place && rename(from, to) != 0)
                rc = auk_fail_errno(err, "cannot rename '%s' to '%s'", from, to);
            free(from);
            free(to);
        }
    }
    free(files);
    if (rc == AUK_OK)
        rc = auk_tree_remove(j->staging, err);
    return rc;
}

/* Two pulls into one folder would undo each other. */
static int lock_staging(int *out, const char *staging, auk_err *err)
{
    char *path = auk_path_join(staging, "lock");

    *out = -1;
    int rc = auk_make_parents(path, err);
    if (rc == AUK_OK) {
        *out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (*out < 0)
            rc = auk_fail_errno(err, "cannot write '%s'", path);
        else if (flock(*out, LOCK_EX | LOCK_NB) != 0)
            rc = auk_fail(err, AUK_EINVAL, "another pull is filling '%s'", staging);
    }
    free(path);
    return rc;
}

static void fill_result(auk_pull_result *out, const job *j)
{
    out->files = auk_alloc((j->n + 1) * sizeof *out->files);
    out->n_files = j->n;
    for (size_t i = 0; i < j->n; i++) {
        const item *it = &j->items[i];
        auk_pull_file *f = &out->files[i];
        *f = (auk_pull_file){.path = auk_strndup(it->src->path, strlen(it->src->path)),
                             .bytes = it->bytes,
                             .resumed_from = it->resumed_from,
                             .checked = it->checked};
        memcpy(f->sha256, it->sha256, sizeof f->sha256);
        out->bytes += it->bytes;
    }
    out->fetched_bytes = atomic_load(&j->fetched);
}

/* Fetches the sources into the folder `target`, by way of `staging`. */
static int pull_all(auk_pull_result *out, auk_sources *sources, const char *target,
                    const char *staging, const auk_pull_options *opts, auk_err *err)
{
    job j = {.opts = opts, .target = target, .staging = staging, .n = sources->n};
    uint64_t t0 = auk_now_ns();
    int lock = -1;

    j.failed = j.n;
    j.notes = AUK_BUF_INIT(1 << 20);
    j.items = auk_alloc((j.n + 1) * sizeof *j.items);
    for (size_t i = 0; i < j.n; i++)
        j.items[i] = (item){.src = &sources->p[i], .part = {.data_fd = -1, .state_fd = -1}};
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.changed, NULL);
    bool whole_folder = !auk_file_exists(target);
    int rc = lock_staging(&lock, staging, err);
    if (rc == AUK_OK)
        rc = run_phase(&j, LOOK, err);
    if (rc == AUK_OK)
        rc = check_space(&j, err);
    if (rc == AUK_OK)
        rc = run_phase(&j, FETCH, err);
    if (rc == AUK_OK)
        rc = move_into_place(&j, whole_folder, err);
    if (rc == AUK_OK)
        fill_result(out, &j);
    out->seconds = (double)(auk_now_ns() - t0) / 1e9;
    for (size_t i = 0; i < j.n; i++)
        auk_partial_close(&j.items[i].part);
    if (lock >= 0)
        close(lock);
    pthread_cond_destroy(&j.changed);
    pthread_mutex_destroy(&j.lock);
    auk_buf_release(&j.notes);
    free(j.items);
    return rc;
}

/* Options with what was left out filled in; *endpoint is fresh memory. */
static int complete_options(auk_pull_options *out, char **endpoint, const auk_pull_options *opts,
                            auk_err *err)
{
    const char *given = auk_hub_endpoint(opts);
    size_t n = strlen(given);
    char *origin = auk_url_origin(given);

    while (n > 0 && given[n - 1] == '/')
        n--;
    *out = *opts;
    *endpoint = auk_strndup(given, n);
    out->endpoint = *endpoint;
    if (out->connections <= 0)
        out->connections = 8;
    if (out->connections > MAX_CONNECTIONS)
        out->connections = MAX_CONNECTIONS;
    if (out->tries <= 0)
        out->tries = 6;
    bool ok = origin != NULL;
    free(origin);
    if (!ok)
        return auk_fail(err, AUK_EINVAL, "the endpoint '%s' is not an http or https URL", given);
    return AUK_OK;
}

static char *with_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    char *out = auk_alloc(n + m + 1);

    while (n > 1 && path[n - 1] == '/')
        n--;
    memcpy(out, path, n);
    memcpy(out + n, suffix, m);
    return out;
}

int auk_pull_repo(auk_pull_result *out, const char *repo, const auk_pull_options *opts,
                  auk_err *err)
{
    auk_pull_options o;
    auk_sources sources = {0};
    char *endpoint, *target = NULL, *staging = NULL;
    const char *slash = strrchr(repo, '/');

    *out = (auk_pull_result){0};
    int rc = complete_options(&o, &endpoint, opts, err);
    if (rc == AUK_OK)
        rc = auk_hub_list(&sources, repo, &o, err);
    if (rc == AUK_OK) {
        target = with_suffix(o.output != NULL ? o.output : slash != NULL ? slash + 1 : repo, "");
        staging = with_suffix(target, ".pull");
        if (auk_file_exists(target) && !auk_file_is_dir(target))
            rc = auk_fail(err, AUK_EINVAL, "'%s' is there already and no folder", target);
    }
    if (rc == AUK_OK)
        rc = pull_all(out, &sources, target, staging, &o, err);
    if (rc == AUK_OK) {
        out->output = target;
        out->revision = auk_strndup(sources.revision, strlen(sources.revision));
        target = NULL;
    }
    auk_sources_release(&sources);
    free(endpoint);
    free(target);
    free(staging);
    return rc;
}

/* The last part of the URL's path, as a name a file may have; "" when there is none. */
static char *name_in_url(const char *url)
{
    char *shown = auk_url_shown(url);
    const char *slash = shown != NULL ? strrchr(shown, '/') : NULL;
    char *name = auk_strndup(slash != NULL ? slash + 1 : "", slash != NULL ? strlen(slash + 1) : 0);

    free(shown);
    if (!auk_pull_path_ok(auk_str_of(name)))
        *name = 0;
    return name;
}

/* Splits what -o says about a single file into folder and name, both fresh memory. */
static int place_file(char **folder, char **name, const char *url, const char *output, auk_err *err)
{
    char *from_url = name_in_url(url);
    const char *slash = output != NULL ? strrchr(output, '/') : NULL;
    int rc = AUK_OK;

    *folder = *name = NULL;
    if (output == NULL || auk_file_is_dir(output)) {
        *folder = auk_strndup(output != NULL ? output : ".", output != NULL ? strlen(output) : 1);
        *name = from_url;
        from_url = NULL;
    } else {
        *folder =
            auk_strndup(slash != NULL ? output : ".", slash == NULL     ? 1
                                                      : slash == output ? 1
                                                                        : (size_t)(slash - output));
        *name = auk_strndup(slash != NULL ? slash + 1 : output,
                            strlen(slash != NULL ? slash + 1 : output));
    }
    if (!auk_pull_path_ok(auk_str_of(*name)))
        rc = auk_fail(err, AUK_EINVAL, "'%s' has no name for a file: give one with -o",
                      output != NULL ? output : url);
    free(from_url);
    return rc;
}

static int prepare_url(auk_sources *sources, const char *name, const char *url,
                       const auk_pull_options *o, auk_err *err)
{
    auk_source *s = auk_sources_add(sources, auk_str_of(name));
    auk_http *h = NULL;
    char *origin = auk_url_origin(url);

    s->url = auk_strndup(url, strlen(url));
    int rc = AUK_OK;
    if (origin == NULL)
        rc = auk_fail(err, AUK_EINVAL, "'%s' is not an http or https URL", url);
    free(origin);
    if (rc == AUK_OK && o->sha256 != NULL) {
        bool hex = strlen(o->sha256) == 64 && strspn(o->sha256, "0123456789abcdefABCDEF") == 64;
        if (!hex)
            rc =
                auk_fail(err, AUK_EINVAL, "'%s' is not a sha256: 64 hexadecimal digits", o->sha256);
        for (int i = 0; i < 64 && hex; i++)
            s->sha256[i] = (char)(o->sha256[i] >= 'A' && o->sha256[i] <= 'F' ? o->sha256[i] + 32
                                                                             : o->sha256[i]);
    }
    if (rc == AUK_OK)
        rc = auk_http_new(&h, err);
    if (rc == AUK_OK)
        rc = auk_hub_probe(s, h, o, err);
    auk_http_free(h);
    return rc;
}

int auk_pull_url(auk_pull_result *out, const char *url, const auk_pull_options *opts, auk_err *err)
{
    auk_pull_options o;
    auk_sources sources = {0};
    char *endpoint = NULL, *folder = NULL, *name = NULL, *target = NULL, *staging = NULL;

    *out = (auk_pull_result){0};
    int rc = complete_options(&o, &endpoint, opts, err);
    if (rc == AUK_OK)
        rc = place_file(&folder, &name, url, o.output, err);
    if (rc == AUK_OK)
        rc = prepare_url(&sources, name, url, &o, err);
    if (rc == AUK_OK) {
        target = strcmp(folder, ".") == 0 ? auk_strndup(name, strlen(name))
                                          : auk_path_join(folder, name);
        staging = with_suffix(target, ".pull");
        rc = auk_make_parents(target, err);
    }
    if (rc == AUK_OK)
        rc = pull_all(out, &sources, folder, staging, &o, err);
    if (rc == AUK_OK) {
        out->output = target;
        target = NULL;
    }
    auk_sources_release(&sources);
    free(endpoint);
    free(folder);
    free(name);
    free(target);
    free(staging);
    return rc;
}
