/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "net/net.h"

#include "base/mem.h"
#include "base/time.h"

#include <curl/curl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>

#define MAX_HEADS ((size_t)512 << 10)
#define MAX_ERROR_TEXT ((size_t)64 << 10)
#define MAX_TEXT ((size_t)64 << 20)
#define POLL_MS 50

struct auk_http {
    CURLM *multi; /* owned; keeps the connections */
    CURL *easy;   /* owned */
    atomic_bool cancelled;
};

/* One hop of a request. */
typedef struct transfer {
    auk_http *h;
    const auk_http_request *req;
    auk_http_response *r;
    auk_err *err;
    bool head_done, redirect, final_head_told;
    int rc;          /* what a callback returned */
    auk_fault fault; /* why we end it ourselves */
    uint64_t began_ns, last_ns;
    char *shown; /* owned; the URL for messages: a signed query is nobody's business */
    char text[CURL_ERROR_SIZE];
} transfer;

const char *auk_fault_name(auk_fault f)
{
    static const char *const names[] = {"none",   "connect",   "tls",   "timeout", "cut",
                                        "status", "malformed", "local", "cancel"};
    return names[f];
}

bool auk_fault_passes(auk_fault f, int status)
{
    static const int passing[] = {408, 425, 429, 500, 502, 503, 504, 529};

    if (f == AUK_FAULT_CONNECT || f == AUK_FAULT_TIMEOUT || f == AUK_FAULT_CUT)
        return true;
    if (f != AUK_FAULT_STATUS)
        return false;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (status == passing[i])
            return true;
    return false;
}

uint64_t auk_backoff_ms(int n, uint64_t base_ms, uint64_t max_ms, uint64_t asked_ms, uint64_t *seed)
{
    uint64_t wait = base_ms;

    for (int i = 1; i < n && wait < max_ms; i++)
        wait *= 2;
    if (wait > max_ms)
        wait = max_ms;
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    wait = wait - wait / 4 + (wait / 2) * (*seed >> 40) / (1u << 24);
    return wait > asked_ms ? wait : asked_ms;
}

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows as curl_easy_init returning NULL */
}

int auk_http_new(auk_http **out, auk_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    auk_http *h = auk_alloc(sizeof *h);

    *out = NULL;
    pthread_once(&once, global_init);
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    if (h->multi == NULL || h->easy == NULL) {
        auk_http_free(h);
        return auk_fail(err, AUK_ENOMEM, "libcurl does not start");
    }
    *out = h;
    return AUK_OK;
}

void auk_http_free(auk_http *h)
{
    if (h == NULL)
        return;
    curl_easy_cleanup(h->easy);
    curl_multi_cleanup(h->multi);
    free(h);
}

void auk_http_cancel(auk_http *h)
{
    atomic_store(&h->cancelled, true);
    curl_multi_wakeup(h->multi);
}

void auk_http_response_release(auk_http_response *r)
{
    free(r->url);
    auk_buf_release(&r->heads);
    auk_buf_release(&r->text);
    *r = (auk_http_response){0};
}

/* ---- headers ------------------------------------------------------------------------------ */

static auk_str find_header(auk_str lines, const char *name)
{
    size_t n = strlen(name);

    while (lines.n > 0) {
        const char *end = memchr(lines.p, '\n', lines.n);
        size_t len = end != NULL ? (size_t)(end - lines.p) : lines.n;
        if (len > n && lines.p[n] == ':' && strncasecmp(lines.p, name, n) == 0) {
            auk_str value = {lines.p + n + 1, len - n - 1};
            while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t'))
                value = auk_str_from(value, 1);
            while (value.n > 0 && strchr(" \t\r", value.p[value.n - 1]) != NULL)
                value.n--;
            return value;
        }
        lines = auk_str_from(lines, end != NULL ? len + 1 : len);
    }
    return (auk_str){NULL, 0};
}

auk_str auk_http_header(const auk_http_response *r, const char *name)
{
    return find_header(auk_str_from(auk_buf_str(&r->heads), r->last), name);
}

auk_str auk_http_header_any(const auk_http_response *r, const char *name)
{
    return find_header(auk_buf_str(&r->heads), name);
}

/* Decimal digits only; -1 otherwise. */
static int64_t parse_count(auk_str s)
{
    int64_t v = 0;

    if (s.n == 0 || s.n > 18)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        v = v * 10 + (s.p[i] - '0');
    }
    return v;
}

/* Retry-After as seconds or as a date; retry-after-ms as some servers send it. */
static uint64_t retry_after_ms(const auk_http_response *r)
{
    int64_t ms = parse_count(auk_http_header(r, "retry-after-ms"));
    auk_str text = auk_http_header(r, "retry-after");
    char date[64];

    if (ms >= 0)
        return (uint64_t)ms;
    int64_t s = parse_count(text);
    if (s >= 0)
        return s < INT64_MAX / 1000 ? (uint64_t)s * 1000 : UINT64_MAX;
    if (text.n == 0 || text.n >= sizeof date)
        return 0;
    memcpy(date, text.p, text.n);
    date[text.n] = 0;
    time_t then = curl_getdate(date, NULL), now = time(NULL);
    return then > now ? (uint64_t)(then - now) * 1000 : 0;
}

static bool is_redirect(const transfer *t)
{
    int s = t->r->status;
    bool kind = s == 301 || s == 302 || s == 303 || s == 307 || s == 308;

    return kind && t->req->max_redirects > 0 && auk_http_header(t->r, "location").p != NULL;
}

static int end_of_head(transfer *t)
{
    auk_http_response *r = t->r;
    auk_str coding = auk_http_header(r, "content-encoding");

    if (r->status >= 100 && r->status < 200) /* the real one follows */
        return AUK_OK;
    t->head_done = true;
    r->head_ns = t->last_ns;
    r->length = parse_count(auk_http_header(r, "content-length"));
    r->retry_after_ms = retry_after_ms(r);
    t->redirect = is_redirect(t);
    if (t->redirect)
        return AUK_OK;
    if (coding.n > 0 && !(coding.n == 8 && strncasecmp(coding.p, "identity", 8) == 0)) {
        t->fault = AUK_FAULT_MALFORMED;
        return auk_fail(t->err, AUK_ENOTSUP,
                        "'%s' answers with content-encoding '%.*s' though none was asked for",
                        t->shown, AUK_ARG(coding));
    }
    if (t->req->head != NULL)
        return t->req->head(t->req->ctx, r, t->err);
    return AUK_OK;
}

static size_t on_header(char *p, size_t size, size_t count, void *user)
{
    transfer *t = user;
    auk_http_response *r = t->r;
    size_t n = size * count;
    auk_str line = {p, n};

    t->last_ns = auk_now_ns();
    if (t->head_done) /* a trailer */
        return n;
    while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    if (auk_str_starts(line, "HTTP/")) { /* a new head: forget that of a 100 Continue */
        const char *space = memchr(line.p, ' ', line.n);
        size_t at = space != NULL ? (size_t)(space - line.p) + 1 : line.n;
        r->status = 0;
        for (; at < line.n && line.p[at] >= '0' && line.p[at] <= '9' && r->status < 1000; at++)
            r->status = r->status * 10 + (line.p[at] - '0');
        r->heads.n = r->last;
        return n;
    }
    auk_buf_add(&r->heads, line.p, line.n);
    auk_buf_putc(&r->heads, '\n');
    t->rc = auk_buf_check(&r->heads, "the header of an answer", t->err);
    if (t->rc == AUK_OK && line.n == 0)
        t->rc = end_of_head(t);
    return t->rc == AUK_OK ? n : 0;
}

/* ---- body --------------------------------------------------------------------------------- */

static size_t on_body(char *p, size_t size, size_t count, void *user)
{
    transfer *t = user;
    auk_http_response *r = t->r;
    size_t n = size * count;

    t->last_ns = auk_now_ns();
    if (t->redirect)
        return n;
    if (r->first_ns == 0)
        r->first_ns = t->last_ns;
    r->body_bytes += n;
    if (r->status >= 200 && r->status < 300 && t->req->piece != NULL) {
        t->rc = t->req->piece(t->req->ctx, (auk_str){p, n}, t->last_ns, t->err);
    } else if (r->status >= 200 && r->status < 300) {
        auk_buf_add(&r->text, p, n);
        t->rc = auk_buf_check(&r->text, "an answer", t->err);
    } else {
        size_t room = r->text.n < MAX_ERROR_TEXT ? MAX_ERROR_TEXT - r->text.n : 0;
        auk_buf_add(&r->text, p, n < room ? n : room);
    }
    return t->rc == AUK_OK ? n : 0;
}

/* ---- one hop ------------------------------------------------------------------------------ */

static struct curl_slist *add_headers(struct curl_slist *list, const char *const *headers)
{
    for (; headers != NULL && *headers != NULL; headers++) {
        struct curl_slist *longer = curl_slist_append(list, *headers);
        if (longer == NULL)
            abort();
        list = longer;
    }
    return list;
}

static void prepare(transfer *t, struct curl_slist *headers)
{
    CURL *e = t->h->easy;
    const auk_http_request *req = t->req;
    uint64_t connect_ms = req->limits.connect_ms;
    char range[64];

    curl_easy_reset(e);
    curl_easy_setopt(e, CURLOPT_URL, t->r->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 262144L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "auklet/" AUK_VERSION);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->text);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     connect_ms == 0 || connect_ms > LONG_MAX ? LONG_MAX / 2 : (long)connect_ms);
    if (req->body.p != NULL) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, req->body.p);
    }
    if (req->method != NULL)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method);
    if (req->range_to > 0) {
        snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)req->range_from,
                 (unsigned long long)(req->range_to - 1));
        curl_easy_setopt(e, CURLOPT_RANGE, range);
    }
}

static int timeout(transfer *t, const char *what, uint64_t ms)
{
    t->fault = AUK_FAULT_TIMEOUT;
    return auk_fail(t->err, AUK_ELIMIT, "'%s': %s within %.3g s", t->shown, what,
                    (double)ms / 1000);
}

/* Our own clocks and the wish to stop. */
static int check_limits(transfer *t)
{
    const auk_http_limits *l = &t->req->limits;
    uint64_t now = auk_now_ns(), ms = 1000000;

    if (atomic_load(&t->h->cancelled) ||
        (t->req->cancelled != NULL && t->req->cancelled(t->req->ctx))) {
        t->fault = AUK_FAULT_CANCEL;
        return auk_fail(t->err, AUK_ECANCEL, "stopped");
    }
    if (l->total_ms > 0 && now - t->r->begun_ns > l->total_ms * ms)
        return timeout(t, "not answered", l->total_ms);
    if (!t->head_done && l->first_ms > 0 && now - t->began_ns > l->first_ms * ms)
        return timeout(t, "no answer began", l->first_ms);
    if (t->head_done && l->idle_ms > 0 && now - t->last_ns > l->idle_ms * ms)
        return timeout(t, "the answer stalled: nothing more came", l->idle_ms);
    return AUK_OK;
}

static int curl_failed(transfer *t, CURLcode code)
{
    static const struct {
        CURLcode code;
        auk_fault fault;
        int rc;
        const char *what;
    } table[] = {
        {CURLE_COULDNT_RESOLVE_HOST, AUK_FAULT_CONNECT, AUK_EIO, "the host's name is not known"},
        {CURLE_COULDNT_RESOLVE_PROXY, AUK_FAULT_CONNECT, AUK_EIO, "the proxy's name is not known"},
        {CURLE_COULDNT_CONNECT, AUK_FAULT_CONNECT, AUK_EIO, "no connection"},
        {CURLE_OPERATION_TIMEDOUT, AUK_FAULT_CONNECT, AUK_EIO, "no connection in time"},
        {CURLE_PEER_FAILED_VERIFICATION, AUK_FAULT_TLS, AUK_EIO, "the certificate does not hold"},
        {CURLE_SSL_CONNECT_ERROR, AUK_FAULT_TLS, AUK_EIO, "no secure connection"},
        {CURLE_SSL_CACERT_BADFILE, AUK_FAULT_TLS, AUK_EIO, "no list of authorities to trust"},
        {CURLE_PARTIAL_FILE, AUK_FAULT_CUT, AUK_EIO, "the connection ended before the answer"},
        {CURLE_GOT_NOTHING, AUK_FAULT_CUT, AUK_EIO, "the connection ended without an answer"},
        {CURLE_RECV_ERROR, AUK_FAULT_CUT, AUK_EIO, "the connection broke"},
        {CURLE_SEND_ERROR, AUK_FAULT_CUT, AUK_EIO, "the connection broke"},
        {CURLE_URL_MALFORMAT, AUK_FAULT_LOCAL, AUK_EINVAL, "not a URL"},
        {CURLE_OUT_OF_MEMORY, AUK_FAULT_LOCAL, AUK_ENOMEM, "no memory"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == code) {
            t->fault = table[i].fault;
            return auk_fail(t->err, table[i].rc, "'%s': %s (%s)", t->shown, table[i].what,
                            t->text[0] != 0 ? t->text : curl_easy_strerror(code));
        }
    t->fault = AUK_FAULT_MALFORMED;
    return auk_fail(t->err, AUK_EFORMAT, "'%s' does not answer as HTTP: %s", t->shown,
                    t->text[0] != 0 ? t->text : curl_easy_strerror(code));
}

static bool finished(CURLM *multi, CURLcode *code)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(multi, &left)) != NULL)
        if (m->msg == CURLMSG_DONE) {
            *code = m->data.result;
            return true;
        }
    return false;
}

static int drive(transfer *t)
{
    CURLM *multi = t->h->multi;
    CURLcode code = CURLE_OK;
    int running = 0, rc = AUK_OK;

    for (;;) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return auk_fail(t->err, AUK_EIO, "libcurl cannot go on");
        if (t->rc < 0)
            return t->rc;
        if (finished(multi, &code))
            break;
        rc = check_limits(t);
        if (rc < 0)
            return rc;
        curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
    }
    return code == CURLE_OK ? AUK_OK : curl_failed(t, code);
}

static int run_hop(transfer *t, bool with_secrets)
{
    auk_http_response *r = t->r;
    struct curl_slist *headers = add_headers(NULL, t->req->headers);
    curl_off_t before_send_us = 0;

    if (with_secrets)
        headers = add_headers(headers, t->req->secrets);
    if (t->req->body.p != NULL)
        headers = add_headers(headers, (const char *const[]){"Expect:", NULL});
    t->began_ns = t->last_ns = auk_now_ns();
    prepare(t, headers);
    curl_multi_add_handle(t->h->multi, t->h->easy);
    int rc = drive(t);
    if (curl_easy_getinfo(t->h->easy, CURLINFO_PRETRANSFER_TIME_T, &before_send_us) == CURLE_OK &&
        before_send_us > 0)
        r->sent_ns = t->began_ns + (uint64_t)before_send_us * 1000;
    curl_multi_remove_handle(t->h->multi, t->h->easy);
    curl_slist_free_all(headers);
    return rc;
}

/* ---- the whole request -------------------------------------------------------------------- */

/* Where a redirect leads, in fresh memory; https is never left for http. */
static int next_url(char **out, transfer *t)
{
    auk_http_response *r = t->r;
    auk_str where = auk_http_header(r, "location");
    char *url = auk_url_resolve(r->url, where);
    bool kept = r->status == 307 || r->status == 308;

    *out = NULL;
    t->fault = AUK_FAULT_LOCAL;
    if (url == NULL)
        return auk_fail(t->err, AUK_EFORMAT, "'%s' redirects to '%.*s', which is no http URL",
                        t->shown, AUK_ARG(where));
    char *shown = auk_url_shown(url);
    int rc = AUK_OK;
    if (strncasecmp(r->url, "https:", 6) == 0 && strncasecmp(url, "https:", 6) != 0)
        rc = auk_fail(t->err, AUK_EINVAL, "'%s' redirects to '%s', which is not encrypted",
                      t->shown, shown);
    else if (t->req->body.p != NULL && !kept)
        rc = auk_fail(t->err, AUK_EINVAL, "'%s' has moved to '%s': use that address", t->shown,
                      shown);
    free(shown);
    if (rc < 0) {
        free(url);
        return rc;
    }
    t->fault = AUK_FAULT_NONE;
    *out = url;
    return AUK_OK;
}

static bool same_origin(const char *a, const char *b)
{
    char *x = auk_url_origin(a), *y = auk_url_origin(b);
    bool same = x != NULL && y != NULL && strcmp(x, y) == 0;

    free(x);
    free(y);
    return same;
}

static int run_hops(transfer *t)
{
    auk_http_response *r = t->r;
    int redirects = 0;

    for (;;) {
        t->head_done = t->redirect = false;
        free(t->shown);
        t->shown = auk_url_shown(r->url);
        int rc = run_hop(t, same_origin(t->req->url, r->url));
        if (rc < 0)
            return rc;
        if (!t->redirect)
            return AUK_OK;
        char *url;
        rc = next_url(&url, t);
        if (rc < 0)
            return rc;
        if (++redirects > t->req->max_redirects) {
            free(url);
            t->fault = AUK_FAULT_MALFORMED;
            return auk_fail(t->err, AUK_ELIMIT, "'%s' redirects more than %d times", t->shown,
                            t->req->max_redirects);
        }
        free(r->url);
        r->url = url;
        r->last = r->heads.n;
    }
}

int auk_http_run(auk_http_response *out, auk_http *h, const auk_http_request *req, auk_err *err)
{
    auk_err unread;
    transfer t = {.h = h, .req = req, .r = out, .err = err != NULL ? err : &unread};

    *out = (auk_http_response){.length = -1, .begun_ns = auk_now_ns()};
    out->heads = AUK_BUF_INIT(MAX_HEADS);
    out->text = AUK_BUF_INIT(req->max_text > 0 ? req->max_text : MAX_TEXT);
    out->url = auk_strndup(req->url, strlen(req->url));
    char *origin = auk_url_origin(req->url);
    int rc = AUK_OK;
    if (origin == NULL) {
        t.fault = AUK_FAULT_LOCAL;
        rc = auk_fail(err, AUK_EINVAL, "'%s' is not an http or https URL", req->url);
    }
    free(origin);
    if (rc == AUK_OK)
        rc = run_hops(&t);
    out->end_ns = auk_now_ns();
    if (rc == AUK_ECANCEL)
        t.fault = AUK_FAULT_CANCEL;
    if (rc < 0 && t.fault == AUK_FAULT_NONE)
        t.fault = AUK_FAULT_LOCAL;
    if (rc == AUK_OK && out->status >= 400)
        t.fault = AUK_FAULT_STATUS;
    out->fault = t.fault;
    atomic_store(&h->cancelled, false);
    free(t.shown);
    return rc;
}
