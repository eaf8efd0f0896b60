/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a commit.  Only objects are read: no checkout, no hook, no filter, no configuration of
 * the clone has a say. */
#define _POSIX_C_SOURCE 200809L
#include "swebench/swebench.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "swebench/source.h"

#include <dirent.h>
#include <git2.h>
#include <sys/stat.h>

struct auk_tree {
    char *path;           /* owned; the folder or the clone */
    git_repository *repo; /* owned; NULL: a plain folder */
    git_tree *tree;       /* owned */
    auk_root root;        /* of a plain folder */
};

static int fail_git(auk_err *err, int code, const char *what, const char *path)
{
    const git_error *e = git_error_last();
    return auk_fail(err, code, "%s '%s': %s", what, path,
                    e != NULL && e->message != NULL ? e->message : "no reason given");
}

/* ---- finding ------------------------------------------------------------------------------ */

static char *try_place(const char *dir, const char *name)
{
    char with_git[1200];
    char *path = auk_path_join(dir, name);

    if (auk_file_is_dir(path))
        return path;
    free(path);
    snprintf(with_git, sizeof with_git, "%s.git", name);
    path = auk_path_join(dir, with_git);
    if (auk_file_is_dir(path))
        return path;
    free(path);
    return NULL;
}

static char *find_place(const char *dir, const auk_instance *in)
{
    const char *slash = strchr(in->repo, '/');
    char joined[1000];

    snprintf(joined, sizeof joined, "%.*s__%s", slash != NULL ? (int)(slash - in->repo) : 0,
             in->repo, slash != NULL ? slash + 1 : in->repo);
    const char *const names[] = {in->id, joined, in->repo, slash != NULL ? slash + 1 : in->repo};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *found =
            auk_edit_path_check(names[i], NULL) == AUK_OK ? try_place(dir, names[i]) : NULL;
        if (found != NULL)
            return found;
    }
    return NULL;
}

static int open_commit(auk_tree *t, const auk_instance *in, auk_err *err)
{
    git_commit *commit = NULL;
    git_oid id;

    if (git_oid_fromstr(&id, in->base_commit) < 0)
        return fail_git(err, AUK_EFORMAT, "no commit id", in->base_commit);
    if (git_commit_lookup(&commit, t->repo, &id) < 0) {
        bool shallow = git_repository_is_shallow(t->repo) == 1;
        return auk_fail(err, AUK_ENOTFOUND, "%s'%s' lacks the commit %.12s: git -C %s fetch %s",
                        shallow ? "the shallow clone " : "", t->path, in->base_commit, t->path,
                        shallow ? "--unshallow" : "--all");
    }
    int failed = git_commit_tree(&t->tree, commit);
    git_commit_free(commit);
    return failed < 0 ? fail_git(err, AUK_EIO, "cannot read a commit of", t->path) : AUK_OK;
}

/* A folder counts as a clone when git itself would take it for one, not because a folder above
 * it is. */
static int open_place(auk_tree *t, const auk_instance *in, auk_err *err)
{
    int failed = git_repository_open_ext(&t->repo, t->path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);

    if (failed == 0)
        return open_commit(t, in, err);
    if (failed != GIT_ENOTFOUND)
        return fail_git(err, AUK_EIO, "cannot open the clone", t->path);
    return auk_root_open(&t->root, t->path, err);
}

int auk_tree_open(auk_tree **out, const char *dir, const auk_instance *in, auk_err *err)
{
    auk_tree *t = auk_alloc(sizeof *t);

    *out = NULL;
    t->root.fd = -1;
    git_libgit2_init();
    /* Whose clone it is does not matter for reading objects. */
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    t->path = find_place(dir, in);
    int rc = t->path != NULL
                 ? open_place(t, in, err)
                 : auk_fail(err, AUK_ENOTFOUND, "'%s' has no clone of %s and no folder '%s'", dir,
                            in->repo, in->id);
    if (rc == AUK_OK)
        *out = t;
    else
        auk_tree_close(t);
    return rc;
}

void auk_tree_close(auk_tree *t)
{
    if (t == NULL)
        return;
    git_tree_free(t->tree);
    git_repository_free(t->repo);
    auk_root_close(&t->root);
    free(t->path);
    free(t);
    git_libgit2_shutdown();
}

/* ---- reading ------------------------------------------------------------------------------ */

static int read_blob(const auk_tree *t, auk_buf *out, const git_tree_entry *e, const char *path,
                     auk_err *err)
{
    git_blob *blob = NULL;

    if (git_tree_entry_filemode(e) == GIT_FILEMODE_LINK)
        return auk_fail(err, AUK_EINVAL, "'%s' is a symbolic link", path);
    if (git_tree_entry_type(e) != GIT_OBJECT_BLOB)
        return auk_fail(err, AUK_EINVAL, "'%s' is no regular file", path);
    if (git_blob_lookup(&blob, t->repo, git_tree_entry_id(e)) < 0)
        return fail_git(err, AUK_EINVAL, "cannot read", path);
    uint64_t n = (uint64_t)git_blob_rawsize(blob);
    int rc = AUK_OK;
    if (n > AUK_MAX_SOURCE)
        rc = auk_fail(err, AUK_EINVAL, "'%s' has %.1f MB, at most 16 are read", path,
                      (double)n / 1e6);
    else
        auk_buf_add(out, git_blob_rawcontent(blob), (size_t)n);
    if (rc == AUK_OK)
        rc = auk_buf_check(out, path, err);
    git_blob_free(blob);
    return rc;
}

int auk_tree_read(void *tree, auk_buf *out, bool *exists, const char *path, auk_err *err)
{
    auk_tree *t = tree;
    git_tree_entry *e = NULL;
    size_t begin = out->n;

    *exists = false;
    if (t->repo == NULL)
        return auk_root_read(&t->root, out, exists, path, err);
    int failed = git_tree_entry_bypath(&e, t->tree, path);
    if (failed == GIT_ENOTFOUND)
        return AUK_OK;
    if (failed < 0)
        return fail_git(err, AUK_EINVAL, "cannot look up", path);
    int rc = read_blob(t, out, e, path, err);
    git_tree_entry_free(e);
    if (rc == AUK_OK)
        rc = auk_source_check((auk_str){auk_buf_str(out).p + begin, out->n - begin}, path, err);
    *exists = rc == AUK_OK;
    return rc;
}

/* ---- all files ---------------------------------------------------------------------------- */

typedef struct walk {
    const auk_tree *t;
    auk_tree_fn *fn;
    void *ctx;
    auk_err *err;
    int rc;
} walk;

static int on_entry(const char *root, const git_tree_entry *e, void *payload)
{
    walk *w = payload;
    auk_buf text = AUK_BUF_INIT(AUK_MAX_SOURCE);
    char path[4096];
    auk_err skipped;

    if (git_tree_entry_type(e) != GIT_OBJECT_BLOB)
        return 0;
    snprintf(path, sizeof path, "%s%s", root, git_tree_entry_name(e));
    /* links, and files too large to be source, are left out */
    if (read_blob(w->t, &text, e, path, &skipped) == AUK_OK)
        w->rc = w->fn(w->ctx, path, git_tree_entry_filemode(e) == GIT_FILEMODE_BLOB_EXECUTABLE,
                      auk_buf_str(&text), w->err);
    auk_buf_release(&text);
    return w->rc < 0 ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int walk_folder(walk *w, const char *below, int depth);

static int walk_name(walk *w, const char *path, int depth)
{
    char *full = auk_path_join(w->t->path, path);
    auk_buf text = AUK_BUF_INIT(AUK_MAX_SOURCE);
    struct stat st;
    auk_err skipped;
    int rc = AUK_OK;

    if (lstat(full, &st) == 0 && S_ISDIR(st.st_mode))
        rc = walk_folder(w, path, depth + 1);
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size <= AUK_MAX_SOURCE &&
             auk_file_read(&text, full, &skipped) == AUK_OK)
        rc = w->fn(w->ctx, path, st.st_mode & 0100, auk_buf_str(&text), w->err);
    auk_buf_release(&text);
    free(full);
    return rc;
}

static int walk_folder(walk *w, const char *below, int depth)
{
    char *full = below[0] != 0 ? auk_path_join(w->t->path, below)
                               : auk_strndup(w->t->path, strlen(w->t->path));
    DIR *dir = depth < 64 ? opendir(full) : NULL;
    char **names = NULL;
    size_t n = 0;
    int rc = AUK_OK;

    free(full);
    if (dir == NULL)
        return AUK_OK;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, ".git") != 0) {
            names = auk_realloc(names, (n + 1) * sizeof *names);
            names[n++] = below[0] != 0 ? auk_path_join(below, e->d_name)
                                       : auk_strndup(e->d_name, strlen(e->d_name));
        }
    closedir(dir);
    if (n > 0)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        if (rc == AUK_OK)
            rc = walk_name(w, names[i], depth);
        free(names[i]);
    }
    free(names);
    return rc;
}

int auk_tree_walk(const auk_tree *t, auk_tree_fn *fn, void *ctx, auk_err *err)
{
    walk w = {t, fn, ctx, err, AUK_OK};

    if (t->repo == NULL)
        return walk_folder(&w, "", 0);
    if (git_tree_walk(t->tree, GIT_TREEWALK_PRE, on_entry, &w) < 0 && w.rc == AUK_OK)
        return fail_git(err, AUK_EIO, "cannot list the files of", t->path);
    return w.rc;
}
