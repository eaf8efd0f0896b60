/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/data_cache.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "net/net.h"

#define MAX_DATA_BYTES ((size_t)256 << 20)

char *auk_cli_cache_path(const char *name)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    auk_buf path = AUK_BUF_INIT(1 << 16);

    if (cache != NULL && cache[0] == '/')
        auk_buf_printf(&path, "%s/auklet/%s", cache, name);
    else if (home != NULL && home[0] == '/')
        auk_buf_printf(&path, "%s/.cache/auklet/%s", home, name);
    return path.p;
}

static bool is_right(const char *path, const char *sha256)
{
    auk_buf text = AUK_BUF_INIT(MAX_DATA_BYTES);
    char hex[AUK_SHA256_HEX] = "";
    auk_err unread;

    if (auk_file_exists(path) && auk_file_read(&text, path, &unread) == AUK_OK)
        auk_sha256_of(hex, auk_buf_str(&text).p, text.n);
    auk_buf_release(&text);
    return strcmp(hex, sha256) == 0;
}

static void on_note(void *ctx, const char *line)
{
    const auk_common *common = ctx;

    if (!common->quiet)
        fprintf(stderr, "auklet: %s\n", line);
}

static bool on_progress(void *ctx, const char *what, const char *unit, uint64_t done,
                        uint64_t total)
{
    return total == 0 ? auk_cli_interrupted() : auk_meter_step(ctx, what, unit, done, total);
}

static int fetch(const char *path, const char *url, const auk_published *what,
                 const auk_common *common, auk_err *err)
{
    auk_pull_options o = auk_pull_defaults();
    auk_pull_result r;
    auk_meter meter;
    auk_err why;

    auk_meter_init(&meter, common);
    o.output = path;
    o.sha256 = what->sha256;
    o.force = true; /* what lies there is not what was asked for */
    o.tries = 3;
    o.progress = on_progress;
    o.progress_ctx = &meter;
    o.note = on_note;
    o.note_ctx = (void *)(uintptr_t)common;
    int rc = auk_pull_url(&r, url, &o, &why);
    auk_meter_clear(&meter);
    if (rc == AUK_ECANCEL)
        return auk_fail(err, rc, "%s", why.msg);
    if (rc < 0)
        return auk_fail(err, rc,
                        "the file of '%s' cannot be fetched from '%.200s' (%.120s); fetch '%s' "
                        "elsewhere and give it with --data FILE",
                        what->set, url, why.msg, what->file);
    auk_pull_release(&r);
    if (!common->quiet)
        fprintf(stderr, "auklet: fetched '%s' from %s\n", path, url);
    return AUK_OK;
}

int auk_cli_data(char **path, const auk_published *what, const auk_common *common, auk_err *err)
{
    const char *mirror = getenv("AUK_DATA_URL");
    char *folder = auk_cli_cache_path("data");
    auk_buf url = AUK_BUF_INIT(1 << 16);
    int rc = AUK_OK;

    *path = NULL;
    if (folder == NULL)
        return auk_fail(err, AUK_ENOTFOUND,
                        "there is no place to keep the file of '%s': HOME is not set; give it with "
                        "--data FILE",
                        what->set);
    char *at = auk_path_join(folder, what->file);
    if (mirror != NULL && *mirror != 0)
        auk_buf_printf(&url, "%s/%s", mirror, what->file);
    else
        auk_buf_puts(&url, what->url);
    if (!is_right(at, what->sha256))
        rc = fetch(at, url.p, what, common, err);
    if (rc == AUK_OK) {
        *path = at;
        at = NULL;
    }
    free(at);
    free(folder);
    auk_buf_release(&url);
    return rc;
}
