/* SPDX-License-Identifier: Apache-2.0 */
/* What the user's python3 consists of: asked of itself, outside any box, before any program. */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700
#include "eval/eval.h"

#include "base/mem.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ROOTS 32

extern char **environ;

static const char question[] =
    "import sys, os, json\n"
    "base = getattr(sys, '_base_executable', None) or sys.executable\n"
    "print(json.dumps({'exe': os.path.realpath(base), 'version': sys.version.split()[0],\n"
    "    'path': [p for p in sys.path if p],\n"
    "    'prefix': [os.path.realpath(p) for p in (sys.base_prefix, sys.base_exec_prefix)]}))\n";

/* Standard output of `name -I -c question`. */
static int ask(auk_buf *out, const char *name, auk_err *err)
{
    const char *const argv[] = {name, "-I", "-c", question, NULL};
    posix_spawn_file_actions_t actions;
    char chunk[4096];
    int fds[2], status = 0;
    pid_t pid;
    ssize_t n;

    if (pipe(fds) < 0)
        return auk_fail_errno(err, "cannot make a pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    posix_spawn_file_actions_addclose(&actions, fds[1]);
    int failed = posix_spawnp(&pid, name, &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    while (failed == 0 && (n = read(fds[0], chunk, sizeof chunk)) > 0)
        auk_buf_add(out, chunk, (size_t)n);
    close(fds[0]);
    if (failed == 0)
        waitpid(pid, &status, 0);
    if (failed != 0)
        return auk_fail(err, AUK_ENOTFOUND, "cannot run '%s': %s; evaluation needs Python 3", name,
                        strerror(failed));
    if (status != 0 || out->failed)
        return auk_fail(err, AUK_ENOTFOUND, "'%s' does not run: evaluation needs Python 3", name);
    return AUK_OK;
}

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* Keeps the outermost folders; /usr and /lib are always there. */
static void add_root(auk_python *py, const char *path)
{
    static const char *const always[] = {"/usr", "/lib", "/lib64"};
    char *real = realpath(path, NULL);
    size_t kept = 0;

    if (real != NULL && is_below(real, "/nix/store")) { /* there everything needs its neighbours */
        free(real);
        real = auk_strndup("/nix/store", 10);
    }
    bool known = real == NULL || strcmp(real, "/") == 0 || py->n_roots == MAX_ROOTS;
    for (size_t i = 0; i < sizeof always / sizeof *always && !known; i++)
        known = is_below(real, always[i]);
    for (size_t i = 0; i < py->n_roots && !known; i++)
        known = is_below(real, py->roots[i]);
    if (known) {
        free(real);
        return;
    }
    for (size_t i = 0; i < py->n_roots; i++)
        if (is_below(py->roots[i], real))
            free(py->roots[i]);
        else
            py->roots[kept++] = py->roots[i];
    py->roots[kept] = real;
    py->n_roots = kept + 1;
}

static char *copy_of(const json_t *v)
{
    auk_str s = auk_json_str(v);
    return auk_strndup(s.p != NULL ? s.p : "", s.n);
}

static void read_answer(auk_python *py, const json_t *answer)
{
    auk_buf path = AUK_BUF_INIT(1 << 20);
    const json_t *v;
    size_t i;

    py->exe = copy_of(json_object_get(answer, "exe"));
    py->version = copy_of(json_object_get(answer, "version"));
    py->roots = auk_alloc(MAX_ROOTS * sizeof *py->roots);
    json_array_foreach(json_object_get(answer, "prefix"), i, v)
    {
        char *folder = copy_of(v);
        add_root(py, folder);
        free(folder);
    }
    json_array_foreach(json_object_get(answer, "path"), i, v)
    {
        char *folder = copy_of(v);
        if (strchr(folder, '\n') == NULL) {
            auk_buf_printf(&path, "%s%s", path.n > 0 ? "\n" : "", folder);
            add_root(py, folder);
        }
        free(folder);
    }
    py->path = auk_strndup(auk_buf_str(&path).p, path.n);
    auk_buf_release(&path);
}

int auk_python_find(auk_python **out, const char *name, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(1 << 20);
    json_t *answer = NULL;

    *out = NULL;
    int rc = ask(&text, name != NULL ? name : "python3", err);
    if (rc == AUK_OK)
        rc = auk_json_parse(&answer, auk_buf_str(&text), "python3's answer", err);
    if (rc == AUK_OK) {
        auk_python *py = auk_alloc(sizeof *py);
        read_answer(py, answer);
        if (py->version[0] == '3' && py->version[1] == '.' && py->exe[0] == '/')
            *out = py;
        else
            rc = auk_fail(err, AUK_ENOTSUP, "'%s' is Python %s: evaluation needs Python 3",
                          name != NULL ? name : "python3", py->version);
        if (rc < 0)
            auk_python_free(py);
    }
    json_decref(answer);
    auk_buf_release(&text);
    return rc;
}

void auk_python_free(auk_python *py)
{
    if (py == NULL)
        return;
    for (size_t i = 0; i < py->n_roots; i++)
        free(py->roots[i]);
    free(py->roots);
    free(py->exe);
    free(py->version);
    free(py->path);
    free(py);
}
