/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - HTTP from the client's side: requests whose answers stream in, readers of event streams
 * (SSE, NDJSON), and downloads that survive being killed.  It knows URLs and bytes, no chat
 * dialect.
 *
 * Ownership: what comes through an `out` parameter is the caller's; strings in options are
 * borrowed until the call returns.  Threads: an auk_http belongs to one thread at a time, only
 * auk_http_cancel may come from another. */
#ifndef AUK_NET_NET_H
#define AUK_NET_NET_H

#include "base/buf.h"
#include "base/sha256.h"

/* ---- what went wrong ---------------------------------------------------------------------- */

typedef enum auk_fault {
    AUK_FAULT_NONE,
    AUK_FAULT_CONNECT,   /* name unknown, refused, no connection in time */
    AUK_FAULT_TLS,       /* certificate or handshake */
    AUK_FAULT_TIMEOUT,   /* connected, then too slow */
    AUK_FAULT_CUT,       /* the connection ended before the answer did */
    AUK_FAULT_STATUS,    /* a complete answer with an error status */
    AUK_FAULT_MALFORMED, /* not HTTP, or not what was to come */
    AUK_FAULT_LOCAL,     /* our side: bad URL, a callback or the disk said no */
    AUK_FAULT_CANCEL,    /* asked to stop */
} auk_fault;

const char *auk_fault_name(auk_fault f); /* "connect", "timeout" ... */

/* Whether the same request may succeed a moment later: no connection, too slow, cut, or status
 * 408, 425, 429, 500, 502, 503, 504, 529. */
bool auk_fault_passes(auk_fault f, int status);

/* How long to wait before attempt n (1 is the first repetition): base * 2^(n-1), at most max,
 * plus or minus a quarter drawn from *seed; never less than what the server asked for. */
uint64_t auk_backoff_ms(int n, uint64_t base_ms, uint64_t max_ms, uint64_t asked_ms,
                        uint64_t *seed);

/* ---- HTTP --------------------------------------------------------------------------------- */

/* Milliseconds; 0 is no limit. */
typedef struct auk_http_limits {
    uint64_t connect_ms;
    uint64_t first_ms; /* from the connection to the first header */
    uint64_t idle_ms;  /* between two arrivals after that */
    uint64_t total_ms;
} auk_http_limits;

typedef struct auk_http auk_http; /* connections that are kept; one request at a time */
typedef struct auk_http_response auk_http_response;

/* Called once, when the header of the final answer (after redirects) is complete. */
typedef int auk_http_head_fn(void *ctx, const auk_http_response *r, auk_err *err);

/* Called with each piece of a 2xx body and the time it arrived; a failure ends the request. */
typedef int auk_http_body_fn(void *ctx, auk_str piece, uint64_t now_ns, auk_err *err);

typedef struct auk_http_request {
    const char *method; /* NULL: GET, or POST when there is a body */
    const char *url;    /* http or https */
    /* "Name: value" each, NULL at the end; or NULL.  `secrets` go to the scheme, host and port of
     * `url` and nowhere else, whatever redirects say. */
    const char *const *headers, *const *secrets;
    auk_str body;                  /* p NULL: none */
    uint64_t range_from, range_to; /* bytes [from, to); to 0: no range is asked for */
    int max_redirects;             /* a request with a body follows only 307 and 308 */
    size_t max_text;               /* of a body without `piece`; 0: 64 MB */
    auk_http_limits limits;
    bool (*cancelled)(void *ctx); /* asked at least ten times a second; or NULL */
    auk_http_head_fn *head;       /* or NULL */
    auk_http_body_fn *piece;      /* NULL: the body is collected in text */
    void *ctx;
} auk_http_request;

struct auk_http_response {
    int status; /* of the final answer; 0: none came */
    auk_fault fault;
    char *url;      /* owned; where the answer came from */
    auk_buf heads;  /* owned; header lines of every hop, an empty line after each hop */
    size_t last;    /* where the final hop begins in heads */
    auk_buf text;   /* owned; the body when it was not handed on; of an error the first 64 KB */
    int64_t length; /* Content-Length; -1 unknown */
    uint64_t body_bytes;
    uint64_t retry_after_ms; /* 0: not said */
    /* auk_now_ns; 0: did not happen */
    uint64_t begun_ns, sent_ns, head_ns, first_ns, end_ns;
};

AUK_MUST_CHECK int auk_http_new(auk_http **out, auk_err *err);
void auk_http_free(auk_http *h);

/* AUK_OK when a complete answer came, whatever its status (fault is AUK_FAULT_STATUS from 400
 * on).  Otherwise fault says what happened and *out holds what came until then.  Release *out in
 * either case. */
AUK_MUST_CHECK int auk_http_run(auk_http_response *out, auk_http *h, const auk_http_request *req,
                                auk_err *err);
void auk_http_response_release(auk_http_response *r);

/* Ends the running request, or the next one, with AUK_ECANCEL. */
void auk_http_cancel(auk_http *h);

/* The value of a header of the final hop, or of any hop (the earliest); p is NULL when absent. */
auk_str auk_http_header(const auk_http_response *r, const char *name);
auk_str auk_http_header_any(const auk_http_response *r, const char *name);

/* ---- URLs --------------------------------------------------------------------------------- */

/* Fresh memory (free()), NULL when the text is no http(s) URL. */
char *auk_url_origin(const char *url); /* "http://host:port", lower case, the port always there */
char *auk_url_shown(const char *url);  /* without user, password, query and fragment */
char *auk_url_resolve(const char *base, auk_str reference);
void auk_url_escape(auk_buf *out, auk_str path); /* percent-encodes all but a-z 0-9 - . _ ~ / */

/* ---- event streams ------------------------------------------------------------------------ */

/* Server-sent events by the WHATWG rules: lines end in LF, CR or CRLF, comments are skipped, data
 * lines are joined by LF, an event that no empty line ended is dropped.  However the bytes are
 * cut into feeds, the events are the same. */
typedef struct auk_sse_event {
    auk_str type; /* "" when not given */
    auk_str data;
    auk_str id;
} auk_sse_event;

typedef int auk_sse_fn(void *ctx, const auk_sse_event *event, auk_err *err);

typedef struct auk_sse {
    auk_sse_fn *fn;
    void *ctx;
    auk_buf line, type, data, id; /* owned */
    bool after_cr, has_data, begun;
} auk_sse;

void auk_sse_init(auk_sse *s, size_t max_event, auk_sse_fn *fn, void *ctx);
void auk_sse_release(auk_sse *s);

/* AUK_ELIMIT when a line or an event is larger than max_event; else what fn returned. */
AUK_MUST_CHECK int auk_sse_feed(auk_sse *s, auk_str bytes, auk_err *err);
bool auk_sse_pending(const auk_sse *s); /* in the middle of a line or an event */

/* One line after the other, LF or CRLF, empty ones skipped; finish hands out a last line that had
 * no end. */
typedef int auk_lines_fn(void *ctx, auk_str line, auk_err *err);

typedef struct auk_lines {
    auk_lines_fn *fn;
    void *ctx;
    auk_buf line; /* owned */
} auk_lines;

void auk_lines_init(auk_lines *l, size_t max_line, auk_lines_fn *fn, void *ctx);
void auk_lines_release(auk_lines *l);
AUK_MUST_CHECK int auk_lines_feed(auk_lines *l, auk_str bytes, auk_err *err);
AUK_MUST_CHECK int auk_lines_finish(auk_lines *l, auk_err *err);

/* ---- downloads ---------------------------------------------------------------------------- */

typedef struct auk_pull_options {
    const char *output;   /* a folder; for a URL a file or an existing folder; NULL: named after
                           * the source, here */
    const char *endpoint; /* NULL: https://huggingface.co */
    const char *token;    /* or NULL; sent to the endpoint's scheme, host and port only */
    const char *revision; /* branch, tag or commit; NULL: main */
    const char *include;  /* globs with commas between them ("*" matches "/" too); NULL: all */
    const char *sha256;   /* of the file at a URL, 64 hex digits; or NULL */
    bool force;           /* replace files that differ */
    int connections;      /* at the same time; 0: 8 */
    auk_http_limits limits;
    int tries;                 /* of a range that makes no progress; 0: 6 */
    auk_progress_fn *progress; /* called on the caller's thread; or NULL */
    void *progress_ctx;
    /* Told, on the caller's thread, what is worth a line: a retry, a restart.  Or NULL. */
    void (*note)(void *ctx, const char *line);
    void *note_ctx;
} auk_pull_options;

auk_pull_options auk_pull_defaults(void);

typedef struct auk_pull_file {
    char *path; /* owned; relative to the folder */
    uint64_t bytes;
    uint64_t resumed_from; /* bytes that were there before this call */
    char sha256[AUK_SHA256_HEX];
    bool checked; /* against a hash the source gave */
} auk_pull_file;

typedef struct auk_pull_result {
    char *output;         /* owned; the folder or file */
    char *revision;       /* owned; the commit, or what was asked for; NULL for a URL */
    auk_pull_file *files; /* owned; by path */
    size_t n_files;
    uint64_t bytes, fetched_bytes;
    double seconds;
} auk_pull_result;

/* Fetches a repository ("owner/name", "datasets/owner/name") of a Hugging Face style hub.  The
 * folder appears complete or not at all; until then everything is in OUTPUT.pull, from where the
 * same call goes on after a failure or a kill.  Every file is checked against the sha256 (or git
 * id) the hub lists, or against its ETag. */
AUK_MUST_CHECK int auk_pull_repo(auk_pull_result *out, const char *repo,
                                 const auk_pull_options *opts, auk_err *err);

/* Fetches one file, resumable in the same way. */
AUK_MUST_CHECK int auk_pull_url(auk_pull_result *out, const char *url, const auk_pull_options *opts,
                                auk_err *err);
void auk_pull_release(auk_pull_result *r);

#include "net/server.h"

#endif
