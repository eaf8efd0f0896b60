/* SPDX-License-Identifier: Apache-2.0 */
/* Where a pull comes from and goes to: options, disk space, the folder that appears at the end. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "net/fetch.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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
        rc = auk_fetch_run(&j, LOOK, err);
    if (rc == AUK_OK)
        rc = check_space(&j, err);
    if (rc == AUK_OK)
        rc = auk_fetch_run(&j, FETCH, err);
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
    if (out->connections > AUK_MAX_CONNECTIONS)
        out->connections = AUK_MAX_CONNECTIONS;
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
