/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files of a pull: what is there already, and whether what came is what it should be. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "net/fetch.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha1.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIN_RANGE ((uint64_t)1 << 20)
#define MAX_RANGE ((uint64_t)64 << 20)
#define HASH_CHUNK ((size_t)1 << 20)

char *auk_fetch_staged(const job *j, const char *path)
{
    size_t n = strlen(j->staging) + strlen(path) + 16;
    char *out = auk_alloc(n);

    snprintf(out, n, "%s/files/%s", j->staging, path);
    return out;
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

bool auk_fetch_known(const auk_source *s)
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
    if (size_fits && auk_fetch_known(it->src)) {
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

int auk_fetch_open(job *j, item *it, auk_err *err)
{
    char identity[256];

    identity_of(identity, sizeof identity, it->src);
    int rc = auk_partial_open(&it->part, j->staging, it->src->path, identity, it->src->bytes,
                              range_bytes(j, it->src->bytes), err);
    it->open = rc == AUK_OK;
    return rc;
}

int auk_fetch_look(job *j, item *it, auk_err *err)
{
    char *final = auk_path_join(j->target, it->src->path);
    char *staged = auk_fetch_staged(j, it->src->path);
    bool found = false;

    int rc = look_at(j, it, final, &found, err);
    it->in_place = found;
    if (rc == AUK_OK && !found && auk_file_exists(final) && !j->opts->force)
        rc = auk_fail(err, AUK_EINVAL, "'%s' is there already and %s; --force replaces it", final,
                      auk_fetch_known(it->src) ? "differs from the source" : "cannot be compared");
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

/* ---- the whole file ----------------------------------------------------------------------- */

int auk_fetch_check(job *j, item *it, auk_err *err)
{
    const auk_source *s = it->src;
    char git[AUK_GIT_HEX];

    int rc = hash_file(j, it->part.data_fd, it->part.data_path, &it->bytes, it->sha256, git, err);
    if (rc < 0)
        return rc;
    if (matches(s, it->bytes, it->sha256, git)) {
        char *staged = auk_fetch_staged(j, s->path);
        it->checked = auk_fetch_known(s);
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
        auk_fetch_note(j, s->path, "the hash is wrong; fetching it once more");
        it->next = FETCH;
    }
    return rc;
}

bool auk_fetch_complete(const auk_partial *p)
{
    for (size_t i = 0; i < p->n_ranges; i++)
        if (p->ranges[i].to == UINT64_MAX ||
            p->ranges[i].done < p->ranges[i].to - p->ranges[i].from)
            return false;
    return true;
}
