/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "net/pull.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"

#include <fnmatch.h>
#include <time.h>

#define DEFAULT_ENDPOINT "https://huggingface.co"
#define MAX_LISTING ((size_t)256 << 20)
#define MAX_FILES 1000000
#define MAX_WAIT_MS 300000 /* longer than this nobody is kept waiting: asked to come back */

auk_source *auk_sources_add(auk_sources *s, auk_str path)
{
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->p = auk_realloc(s->p, s->cap * sizeof *s->p);
    }
    s->p[s->n] = (auk_source){.path = auk_strndup(path.p, path.n), .bytes = AUK_UNKNOWN_BYTES};
    return &s->p[s->n++];
}

void auk_sources_release(auk_sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->p[i].path);
        free(s->p[i].url);
        free(s->p[i].tag);
    }
    free(s->p);
    free(s->revision);
    *s = (auk_sources){0};
}

const char *auk_hub_endpoint(const auk_pull_options *opts)
{
    return opts->endpoint != NULL && *opts->endpoint != 0 ? opts->endpoint : DEFAULT_ENDPOINT;
}

char *auk_hub_token(const char *url, const auk_pull_options *opts)
{
    char *to = auk_url_origin(url), *mine = auk_url_origin(auk_hub_endpoint(opts)), *line = NULL;

    if (opts->token != NULL && *opts->token != 0 && to != NULL && mine != NULL &&
        strcmp(to, mine) == 0) {
        size_t n = strlen(opts->token) + 32;
        line = auk_alloc(n);
        snprintf(line, n, "Authorization: Bearer %s", opts->token);
    }
    free(to);
    free(mine);
    return line;
}

bool auk_pull_path_ok(auk_str path)
{
    size_t from = 0;

    if (path.n == 0 || path.n > 1000)
        return false;
    for (size_t i = 0; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/') {
            unsigned char c = (unsigned char)path.p[i];
            if (c < 32 || c == 127 || c == '\\')
                return false;
            continue;
        }
        auk_str part = {path.p + from, i - from};
        if (part.n == 0 || part.n > 250 || auk_str_is(part, ".") || auk_str_is(part, ".."))
            return false;
        from = i + 1;
    }
    return true;
}

int auk_pull_sleep(uint64_t until_ns, const auk_pull_options *opts, auk_err *err)
{
    while (auk_now_ns() < until_ns) {
        if (opts->progress != NULL && opts->progress(opts->progress_ctx, "waiting", "bytes", 0, 0))
            return auk_fail(err, AUK_ECANCEL, "stopped; the same command goes on");
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return AUK_OK;
}

/* ---- answers ------------------------------------------------------------------------------ */

int auk_hub_refused(const auk_http_response *r, const char *what, const auk_pull_options *opts,
                    auk_err *err)
{
    char *host = auk_url_shown(r->url);
    const char *remedy = "";
    int code = AUK_EIO;
    bool has_token = opts->token != NULL && *opts->token != 0;

    if (r->status == 401 || r->status == 403) {
        remedy = has_token
                     ? "; it does not exist, or HF_TOKEN may not read it (accept the terms on "
                       "its page?)"
                     : "; it does not exist, or needs a token: set HF_TOKEN";
        code = AUK_ENOTFOUND;
    } else if (r->status == 404 || r->status == 410) {
        remedy = "; check the name, --revision and --endpoint";
        code = AUK_ENOTFOUND;
    } else if (auk_fault_passes(AUK_FAULT_STATUS, r->status)) {
        remedy = "; run the same command again later, it goes on where it stopped";
    }
    auk_fail(err, code, "'%s': '%s' answers %d%s", what, host, r->status, remedy);
    free(host);
    return code;
}

int auk_hub_request(auk_http_response *out, auk_http *h, const auk_http_request *req,
                    const auk_pull_options *opts, auk_err *err)
{
    uint64_t seed = auk_now_ns();
    int tries = opts->tries > 0 ? opts->tries : 6;

    for (int n = 1;; n++) {
        int rc = auk_http_run(out, h, req, err);
        if (!auk_fault_passes(out->fault, out->status) || n == tries ||
            out->retry_after_ms > MAX_WAIT_MS)
            return rc;
        uint64_t wait = auk_backoff_ms(n, 250, 30000, out->retry_after_ms, &seed);
        auk_http_response_release(out);
        rc = auk_pull_sleep(auk_now_ns() + wait * 1000000, opts, err);
        if (rc < 0) {
            *out = (auk_http_response){.fault = AUK_FAULT_CANCEL};
            return rc;
        }
    }
}

static bool stop_wanted(void *ctx)
{
    const auk_pull_options *opts = ctx;
    return opts->progress != NULL && opts->progress(opts->progress_ctx, "asking", "bytes", 0, 0);
}

/* GET with the token where it may go. */
static int get(auk_http_response *out, auk_http *h, const char *url, const auk_pull_options *opts,
               auk_err *err)
{
    char *token = auk_hub_token(url, opts);
    const char *secrets[] = {token, NULL};
    auk_http_request req = {.url = url,
                            .secrets = secrets,
                            .headers = (const char *const[]){"Accept: application/json", NULL},
                            .max_redirects = 5,
                            .max_text = MAX_LISTING,
                            .limits = opts->limits,
                            .cancelled = stop_wanted,
                            .ctx = (void *)(uintptr_t)opts};

    int rc = auk_hub_request(out, h, &req, opts, err);
    free(token);
    return rc;
}

/* ---- hashes ------------------------------------------------------------------------------- */

static bool copy_hex(char *out, auk_str s, size_t digits)
{
    if (s.n != digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = s.p[i];
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            *out = 0;
            return false;
        }
        out[i] = c;
    }
    out[digits] = 0;
    return true;
}

static auk_str bare_tag(auk_str tag)
{
    if (auk_str_starts(tag, "W/"))
        tag = auk_str_from(tag, 2);
    if (tag.n >= 2 && tag.p[0] == '"' && tag.p[tag.n - 1] == '"')
        tag = (auk_str){tag.p + 1, tag.n - 2};
    return tag;
}

void auk_hub_learn(auk_source *s, const auk_http_response *r)
{
    auk_str linked = bare_tag(auk_http_header_any(r, "x-linked-etag"));
    auk_str tag = bare_tag(auk_http_header_any(r, "etag"));

    if (s->sha256[0] != 0 || s->git[0] != 0)
        return;
    if (linked.p != NULL && copy_hex(s->sha256, linked, 64))
        return;
    if (s->from_hub && tag.p != NULL && !copy_hex(s->sha256, tag, 64))
        copy_hex(s->git, linked.p != NULL ? linked : tag, 40);
}

/* ---- one file ----------------------------------------------------------------------------- */

/* "bytes 0-0/123": the number after the slash. */
static uint64_t range_total(auk_str s)
{
    const char *slash = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;
    uint64_t v = 0;

    if (slash == NULL || slash + 1 == s.p + s.n)
        return AUK_UNKNOWN_BYTES;
    for (const char *c = slash + 1; c < s.p + s.n; c++) {
        if (*c < '0' || *c > '9' || v > UINT64_MAX / 16)
            return AUK_UNKNOWN_BYTES;
        v = v * 10 + (uint64_t)(*c - '0');
    }
    return v;
}

static int one_is_enough(void *ctx, auk_str piece, uint64_t now_ns, auk_err *err)
{
    bool *enough = ctx;

    (void)piece;
    (void)now_ns;
    *enough = true;
    return auk_fail(err, AUK_ELIMIT, "the answer began");
}

int auk_hub_probe(auk_source *s, auk_http *h, const auk_pull_options *opts, auk_err *err)
{
    char *token = auk_hub_token(s->url, opts);
    const char *secrets[] = {token, NULL};
    bool enough = false;
    auk_http_response r;
    auk_http_request req = {.url = s->url,
                            .secrets = secrets,
                            .range_to = 1,
                            .max_redirects = 10,
                            .limits = opts->limits,
                            .piece = one_is_enough,
                            .ctx = &enough};

    int rc = auk_hub_request(&r, h, &req, opts, err);
    if (enough)
        rc = AUK_OK;
    free(token);
    auk_str linked = auk_http_header_any(&r, "x-linked-size"), tag = auk_http_header(&r, "etag");
    if (rc == AUK_OK && (r.status == 206 || r.status == 416))
        s->bytes = range_total(auk_http_header(&r, "content-range"));
    else if (rc == AUK_OK && r.status == 200 && r.length >= 0)
        s->bytes = (uint64_t)r.length;
    else if (rc == AUK_OK && r.status != 200)
        rc = auk_hub_refused(&r, s->path, opts, err);
    if (rc == AUK_OK && s->bytes == AUK_UNKNOWN_BYTES && linked.n > 0 && linked.n < 18) {
        s->bytes = 0;
        for (size_t i = 0; i < linked.n && linked.p[i] >= '0' && linked.p[i] <= '9'; i++)
            s->bytes = s->bytes * 10 + (uint64_t)(linked.p[i] - '0');
    }
    if (rc == AUK_OK)
        auk_hub_learn(s, &r);
    if (rc == AUK_OK && s->tag == NULL) {
        if (tag.p == NULL)
            tag = auk_http_header(&r, "last-modified");
        if (tag.p != NULL)
            s->tag = auk_strndup(tag.p, tag.n);
    }
    auk_http_response_release(&r);
    return rc;
}

/* ---- the listing -------------------------------------------------------------------------- */

typedef struct listing {
    auk_sources *out;
    const char *repo;
    const char *kind, *name; /* "models" or "datasets" or "spaces", and what follows */
    const auk_pull_options *opts;
    auk_http *h; /* owned */
} listing;

static bool included(const char *globs, const char *path)
{
    if (globs == NULL || *globs == 0)
        return true;
    while (*globs != 0) {
        size_t n = strcspn(globs, ",");
        char *glob = auk_strndup(globs, n);
        bool match = fnmatch(glob, path, 0) == 0;
        free(glob);
        if (match)
            return true;
        globs += n + (globs[n] == ',');
    }
    return false;
}

/* {"path"|"rfilename", "size", "oid"|"blobId", "lfs": {"oid"|"sha256", "size"}} */
static int add_entry(listing *l, const json_t *e, auk_err *err)
{
    auk_str path = auk_json_str(json_object_get(e, "path"));
    auk_str type = auk_json_str(json_object_get(e, "type"));
    const json_t *lfs = json_object_get(e, "lfs"), *size = json_object_get(e, "size");

    if (type.p != NULL && !auk_str_is(type, "file"))
        return AUK_OK;
    if (path.p == NULL)
        path = auk_json_str(json_object_get(e, "rfilename"));
    if (path.p == NULL || !auk_pull_path_ok(path))
        return auk_fail(err, AUK_EFORMAT,
                        "the hub lists a file named '%.*s' in '%s', which is "
                        "no name of a file",
                        AUK_ARG(path), l->repo);
    auk_source *s = auk_sources_add(l->out, path);
    if (!included(l->opts->include, s->path)) {
        free(s->path);
        l->out->n--;
        return AUK_OK;
    }
    s->from_hub = true;
    if (json_is_object(lfs)) {
        auk_str oid = auk_json_str(json_object_get(lfs, "oid"));
        if (oid.p == NULL)
            oid = auk_json_str(json_object_get(lfs, "sha256"));
        if (auk_str_starts(oid, "sha256:"))
            oid = auk_str_from(oid, 7);
        if (json_is_integer(json_object_get(lfs, "size")))
            size = json_object_get(lfs, "size");
        if (oid.p != NULL)
            copy_hex(s->sha256, oid, 64);
    } else {
        auk_str oid = auk_json_str(json_object_get(e, "oid"));
        if (oid.p == NULL)
            oid = auk_json_str(json_object_get(e, "blobId"));
        if (oid.p != NULL)
            copy_hex(s->git, oid, 40);
    }
    if (json_is_integer(size) && json_integer_value(size) >= 0)
        s->bytes = (uint64_t)json_integer_value(size);
    if (l->out->n > MAX_FILES)
        return auk_fail(err, AUK_ELIMIT, "'%s' has more than %d files", l->repo, MAX_FILES);
    return AUK_OK;
}

static int add_entries(listing *l, const json_t *list, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(list) && rc == AUK_OK; i++)
        rc = add_entry(l, json_array_get(list, i), err);
    return rc;
}

/* The target of rel="next" in a Link header, in fresh memory, on the same origin only. */
static char *next_page(const auk_http_response *r)
{
    auk_str link = auk_http_header(r, "link");
    const char *open, *close;

    while (link.n > 0 && (open = memchr(link.p, '<', link.n)) != NULL &&
           (close = memchr(open, '>', (size_t)(link.p + link.n - open))) != NULL) {
        auk_str rest = {close + 1, (size_t)(link.p + link.n - close - 1)};
        const char *comma = rest.n > 0 ? memchr(rest.p, ',', rest.n) : NULL;
        size_t n = comma != NULL ? (size_t)(comma - rest.p) : rest.n;
        char *params = auk_strndup(rest.p, n);
        bool next = strstr(params, "rel=\"next\"") != NULL || strstr(params, "rel=next") != NULL;
        free(params);
        if (next)
            return auk_url_resolve(r->url, (auk_str){open + 1, (size_t)(close - open - 1)});
        link = auk_str_from(rest, n);
    }
    return NULL;
}

static char *api_url(const listing *l, const char *route, const char *revision, const char *query)
{
    auk_buf url = AUK_BUF_INIT(1 << 16);

    auk_buf_printf(&url, "%s/api/%s/", auk_hub_endpoint(l->opts), l->kind);
    auk_url_escape(&url, auk_str_of(l->name));
    if (route != NULL) {
        auk_buf_printf(&url, "/%s/", route);
        for (const char *c = revision; *c != 0; c++) { /* refs/pr/1 is one segment */
            if (*c == '/')
                auk_buf_puts(&url, "%2F");
            else
                auk_url_escape(&url, (auk_str){c, 1});
        }
    }
    auk_buf_puts(&url, query);
    return url.p;
}

static int get_json(json_t **out, auk_http_response *r, listing *l, const char *url, auk_err *err)
{
    *out = NULL;
    int rc = get(r, l->h, url, l->opts, err);
    if (rc == AUK_OK && r->status == 200) {
        char *shown = auk_url_shown(url);
        rc = auk_json_parse(out, auk_buf_str(&r->text), shown, err);
        free(shown);
    }
    return rc;
}

/* The tree, page by page; *found is false when the hub has no such route or revision. */
static int list_tree(listing *l, const char *revision, bool *found, auk_err *err)
{
    char *url = api_url(l, "tree", revision, "?recursive=true&expand=false");
    int rc = AUK_OK;

    *found = false;
    for (int page = 0; url != NULL && rc == AUK_OK; page++) {
        auk_http_response r;
        json_t *list = NULL;
        rc = get_json(&list, &r, l, url, err);
        free(url);
        url = NULL;
        if (rc == AUK_OK && r.status != 200) {
            if (page > 0 || r.status != 404)
                rc = auk_hub_refused(&r, l->repo, l->opts, err);
        } else if (rc == AUK_OK && !json_is_array(list)) {
            rc = auk_fail(err, AUK_EFORMAT, "the hub's list of the files of '%s' is not a list",
                          l->repo);
        } else if (rc == AUK_OK && page > MAX_FILES / 10) {
            rc = auk_fail(err, AUK_ELIMIT, "the hub's list of the files of '%s' does not end",
                          l->repo);
        } else if (rc == AUK_OK) {
            *found = true;
            rc = add_entries(l, list, err);
            url = next_page(&r);
        }
        json_decref(list);
        auk_http_response_release(&r);
    }
    free(url);
    return rc;
}

/* The commit a revision stands for, so that all files come from one; and the files it names. */
static int find_commit(listing *l, const char *revision, json_t **info, auk_err *err)
{
    char *url = api_url(l, "revision", revision, "?blobs=true"), hex[AUK_GIT_HEX];
    auk_http_response r;

    int rc = get_json(info, &r, l, url, err);
    free(url);
    if (rc == AUK_OK && r.status != 200 && r.status != 404)
        rc = auk_hub_refused(&r, l->repo, l->opts, err);
    auk_str sha = auk_json_str(json_object_get(*info, "sha"));
    free(l->out->revision);
    if (rc == AUK_OK && sha.p != NULL && copy_hex(hex, sha, 40))
        l->out->revision = auk_strndup(hex, 40);
    else
        l->out->revision = auk_strndup(revision, strlen(revision));
    auk_http_response_release(&r);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const auk_source *)a)->path, ((const auk_source *)b)->path);
}

/* Where each file is; sizes the listing did not give are asked for. */
static int complete(listing *l, auk_err *err)
{
    auk_sources *s = l->out;
    const char *prefix = strcmp(l->kind, "models") == 0 ? "" : l->kind;
    int rc = AUK_OK;

    qsort(s->p, s->n, sizeof *s->p, by_path);
    for (size_t i = 0; i + 1 < s->n && rc == AUK_OK; i++) {
        size_t n = strlen(s->p[i].path);
        if (strcmp(s->p[i].path, s->p[i + 1].path) == 0 ||
            (strncmp(s->p[i].path, s->p[i + 1].path, n) == 0 && s->p[i + 1].path[n] == '/'))
            rc = auk_fail(err, AUK_EFORMAT, "the hub lists '%s' twice in '%s'", s->p[i].path,
                          l->repo);
    }
    for (size_t i = 0; i < s->n && rc == AUK_OK; i++) {
        auk_buf url = AUK_BUF_INIT(1 << 16);
        auk_buf_printf(&url, "%s/%s%s", auk_hub_endpoint(l->opts), prefix, *prefix ? "/" : "");
        auk_url_escape(&url, auk_str_of(l->name));
        auk_buf_puts(&url, "/resolve/");
        for (const char *c = s->revision; *c != 0; c++)
            if (*c == '/')
                auk_buf_puts(&url, "%2F");
            else
                auk_url_escape(&url, (auk_str){c, 1});
        auk_buf_putc(&url, '/');
        auk_url_escape(&url, auk_str_of(s->p[i].path));
        s->p[i].url = url.p;
        if (s->p[i].bytes == AUK_UNKNOWN_BYTES)
            rc = auk_hub_probe(&s->p[i], l->h, l->opts, err);
    }
    return rc;
}

static int list_all(listing *l, const char *revision, auk_err *err)
{
    json_t *info = NULL;
    bool found = false;

    int rc = find_commit(l, revision, &info, err);
    if (rc == AUK_OK)
        rc = list_tree(l, l->out->revision, &found, err);
    json_t *siblings = json_object_get(info, "siblings");
    if (rc == AUK_OK && !found && json_is_array(siblings)) {
        rc = add_entries(l, siblings, err);
        found = true;
    }
    if (rc == AUK_OK && !found)
        rc =
            auk_fail(err, AUK_ENOTFOUND,
                     "'%s' has no '%s' at revision '%s'; check the name, --revision and --endpoint",
                     auk_hub_endpoint(l->opts), l->repo, revision);
    if (rc == AUK_OK && l->out->n == 0)
        rc = auk_fail(err, AUK_ENOTFOUND, "'%s' has no file%s%s%s at revision '%s'", l->repo,
                      l->opts->include != NULL ? " that matches '" : "",
                      l->opts->include != NULL ? l->opts->include : "",
                      l->opts->include != NULL ? "'" : "", revision);
    if (rc == AUK_OK)
        rc = complete(l, err);
    json_decref(info);
    return rc;
}

int auk_hub_list(auk_sources *out, const char *repo, const auk_pull_options *opts, auk_err *err)
{
    static const char *const kinds[] = {"models", "datasets", "spaces"};
    listing l = {.out = out, .repo = repo, .kind = "models", .name = repo, .opts = opts};
    const char *revision = opts->revision != NULL && *opts->revision != 0 ? opts->revision : "main";

    *out = (auk_sources){0};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(repo, kinds[i], n) == 0 && repo[n] == '/' &&
            strchr(repo + n + 1, '/') != NULL) {
            l.kind = kinds[i];
            l.name = repo + n + 1;
        }
    }
    if (!auk_pull_path_ok(auk_str_of(l.name)))
        return auk_fail(err, AUK_EINVAL, "'%s' is not the name of a repository, like owner/name",
                        repo);
    int rc = auk_http_new(&l.h, err);
    if (rc == AUK_OK)
        rc = list_all(&l, revision, err);
    auk_http_free(l.h);
    if (rc < 0)
        auk_sources_release(out);
    return rc;
}
