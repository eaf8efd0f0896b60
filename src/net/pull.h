/* SPDX-License-Identifier: Apache-2.0 */
/* pull.h - what hub.c finds out and pull.c fetches.  Private to net/. */
#ifndef AUK_NET_PULL_H
#define AUK_NET_PULL_H

#include "net/net.h"

#define AUK_GIT_HEX 41
#define AUK_UNKNOWN_BYTES UINT64_MAX

/* One file at its source. */
typedef struct auk_source {
    char *path;                  /* owned; relative, checked to stay inside */
    char *url;                   /* owned */
    uint64_t bytes;              /* AUK_UNKNOWN_BYTES: not said */
    char sha256[AUK_SHA256_HEX]; /* "" not said */
    char git[AUK_GIT_HEX];       /* a git blob's id; "" not said */
    char *tag;                   /* owned; an ETag, only to notice that the file changed; or NULL */
    bool from_hub;               /* its ETags are hashes */
} auk_source;

typedef struct auk_sources {
    auk_source *p; /* owned */
    size_t n, cap;
    char *revision; /* owned; the commit, or what was asked for */
} auk_sources;

auk_source *auk_sources_add(auk_sources *s, auk_str path);
void auk_sources_release(auk_sources *s);

/* Lists what a repository holds at a revision, include globs applied, sorted by path. */
AUK_MUST_CHECK int auk_hub_list(auk_sources *out, const char *repo, const auk_pull_options *opts,
                                auk_err *err);

/* Learns size, hash and tag of one file from the answer to a request for its first byte. */
AUK_MUST_CHECK int auk_hub_probe(auk_source *s, auk_http *h, const auk_pull_options *opts,
                                 auk_err *err);

/* Sends req until it is answered, waiting as long as auk_backoff_ms says in between. */
AUK_MUST_CHECK int auk_hub_request(auk_http_response *out, auk_http *h, const auk_http_request *req,
                                   const auk_pull_options *opts, auk_err *err);

/* An error status as a message that names the remedy. */
int auk_hub_refused(const auk_http_response *r, const char *what, const auk_pull_options *opts,
                    auk_err *err);

/* The header line of the token when url is on the endpoint's origin (fresh memory), or NULL. */
char *auk_hub_token(const char *url, const auk_pull_options *opts);

/* Takes a hash out of the answer's ETags, where the source has none yet. */
void auk_hub_learn(auk_source *s, const auk_http_response *r);

const char *auk_hub_endpoint(const auk_pull_options *opts);

/* Sleeps until auk_now_ns() reaches `until`; AUK_ECANCEL as soon as progress asks to stop. */
AUK_MUST_CHECK int auk_pull_sleep(uint64_t until_ns, const auk_pull_options *opts, auk_err *err);

/* "a/b" with parts that are names: no "..", no "", nothing absolute, no control characters. */
bool auk_pull_path_ok(auk_str path);

#endif
