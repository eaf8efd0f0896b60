/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of coding agents for a local server: shown as a script, written, or used. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"

#include "cli/agents.h"

#include "base/file.h"
#include "base/mem.h"
#include "client/client.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TEXT ((size_t)1 << 20)

typedef struct launch_args {
    auk_common common;
    const char *url, *model, *key, *output, *task;
    int ctx, max_tokens;
    bool start, list, force;
} launch_args;

static const auk_opt options[] = {
    {"url", AUK_OPT_STR, offsetof(launch_args, url), "URL",
     "the server (default http://127.0.0.1:11434)"},
    {"model", AUK_OPT_STR, offsetof(launch_args, model), "NAME", "default: what the server has"},
    {"ctx", AUK_OPT_INT, offsetof(launch_args, ctx), "N", "the window; default: the server's"},
    {"max-tokens", AUK_OPT_INT, offsetof(launch_args, max_tokens), "N",
     "longest answer (default a quarter of the window, at most 32768)"},
    {"api-key", AUK_OPT_STR, offsetof(launch_args, key), "KEY",
     "the server's (default AUKLET_API_KEY, else 'local')"},
    {"output", AUK_OPT_STR, offsetof(launch_args, output), "DIR",
     "write the agent's files and a script 'env.sh' here"},
    {"force", AUK_OPT_FLAG, offsetof(launch_args, force), NULL, "replace files in DIR that differ"},
    {"start", AUK_OPT_FLAG, offsetof(launch_args, start), NULL,
     "write the files and become the agent; what follows '--' is passed on"},
    {"task", AUK_OPT_STR, offsetof(launch_args, task), "TEXT", "let it do this and end"},
    {"list", AUK_OPT_FLAG, offsetof(launch_args, list), NULL, "the agents, and what is installed"},
    {0},
};

/* ---- what will be said -------------------------------------------------------------------- */

typedef struct plan {
    const auk_agent *agent;
    auk_agent_setup setup;
    char *dir, *url, *model; /* owned */
    auk_buf *files;          /* owned, one per file of the agent */
    size_t n_files;
    char **env; /* owned; "NAME=value", NULL at the end */
    char **command;
} plan;

static void free_list(char **list)
{
    for (char **p = list; p != NULL && *p != NULL; p++)
        free(*p);
    free(list);
}

static void plan_release(plan *p)
{
    for (size_t i = 0; i < p->n_files; i++)
        auk_buf_release(&p->files[i]);
    free(p->files);
    free_list(p->env);
    free_list(p->command);
    free(p->dir);
    free(p->url);
    free(p->model);
}

static char *filled(const char *text, const auk_agent_setup *s)
{
    auk_buf b = AUK_BUF_INIT(MAX_TEXT);

    auk_agent_fill(&b, text, s);
    char *out = auk_strndup(b.n > 0 ? b.p : "", b.n);
    auk_buf_release(&b);
    return out;
}

/* A folder of the user's own state, so that the agent's usual configuration stays as it is. */
static char *default_dir(const char *agent)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    auk_buf b = AUK_BUF_INIT(4096);

    if (state != NULL && state[0] == '/')
        auk_buf_printf(&b, "%s/auklet/launch/%s", state, agent);
    else
        auk_buf_printf(&b, "%s/.local/state/auklet/launch/%s", home != NULL ? home : ".", agent);
    char *out = auk_strndup(b.n > 0 ? b.p : "", b.n);
    auk_buf_release(&b);
    return out;
}

static char *absolute(const char *path)
{
    char here[4096];

    if (path[0] == '/' || getcwd(here, sizeof here) == NULL)
        return auk_strndup(path, strlen(path));
    return auk_path_join(here, path);
}

static void plan_command(plan *p, const launch_args *a)
{
    const auk_agent *agent = p->agent;
    size_t n = 0, n_args = 0;

    while (agent->args[n_args] != NULL)
        n_args++;
    p->command = auk_alloc((n_args + (size_t)a->common.n_args + 6) * sizeof *p->command);
    p->command[n++] = filled(agent->program, &p->setup);
    if (a->task != NULL && agent->subcommand != NULL)
        p->command[n++] = filled(agent->subcommand, &p->setup);
    for (size_t i = 0; i < n_args; i++)
        p->command[n++] = filled(agent->args[i], &p->setup);
    for (int i = 1; i < a->common.n_args; i++)
        p->command[n++] = auk_strndup(a->common.arg[i], strlen(a->common.arg[i]));
    if (a->task != NULL && agent->ask[0] != 0)
        p->command[n++] = filled(agent->ask, &p->setup);
    if (a->task != NULL)
        p->command[n++] = auk_strndup(a->task, strlen(a->task));
}

static void plan_fill(plan *p, const launch_args *a)
{
    const auk_agent *agent = p->agent;
    size_t n_env = 0;

    while (agent->env[n_env] != NULL)
        n_env++;
    p->env = auk_alloc((n_env + 1) * sizeof *p->env);
    for (size_t i = 0; i < n_env; i++)
        p->env[i] = filled(agent->env[i], &p->setup);
    while (agent->files != NULL && agent->files[p->n_files].path != NULL)
        p->n_files++;
    p->files = auk_alloc((p->n_files + 1) * sizeof *p->files);
    for (size_t i = 0; i < p->n_files; i++) {
        p->files[i] = AUK_BUF_INIT(MAX_TEXT);
        auk_agent_fill(&p->files[i], agent->files[i].text, &p->setup);
    }
    plan_command(p, a);
}

/* ---- what the server says ----------------------------------------------------------------- */

/* Model and window, where they were not given. */
static int ask_server(plan *p, launch_args *a, auk_err *err)
{
    auk_client_options o = auk_client_defaults();
    auk_client_info info;
    auk_client *client;

    if (a->model != NULL && a->ctx > 0)
        return AUK_OK;
    o.api_key = a->key;
    o.limits = (auk_http_limits){
        .connect_ms = 3000, .first_ms = 10000, .idle_ms = 10000, .total_ms = 20000};
    int rc = auk_client_open(&client, p->url, &o, err);
    if (rc < 0) {
        char why[sizeof err->msg];
        snprintf(why, sizeof why, "%s", err->msg);
        return auk_fail(err, rc, "%.400s; start 'auklet serve MODEL', or give --model and --ctx",
                        why);
    }
    rc = auk_client_describe(&info, client, err);
    if (rc == AUK_OK && a->model == NULL)
        p->model = auk_strndup(info.model, strlen(info.model));
    if (rc == AUK_OK && a->ctx == 0 && info.context_tok > 0)
        a->ctx = (int)(info.context_tok < 1 << 30 ? info.context_tok : 1 << 30);
    else if (rc == AUK_OK && a->ctx == 0)
        rc = auk_fail(err, AUK_EINVAL, "'%s' does not say how large its window is: give --ctx",
                      p->url);
    auk_client_close(client);
    return rc;
}

static int make_plan(plan *p, launch_args *a, auk_err *err)
{
    const char *url = a->url != NULL ? a->url : "http://127.0.0.1:11434";
    const char *key = a->key != NULL ? a->key : getenv("AUKLET_API_KEY");
    size_t n = strlen(url);

    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return auk_fail(err, AUK_EINVAL, "'%s' is no URL: http://HOST:PORT is wanted", url);
    while (n > 8 && url[n - 1] == '/')
        n--;
    if (n > 11 && memcmp(url + n - 3, "/v1", 3) == 0)
        n -= 3;
    p->url = auk_strndup(url, n);
    p->dir = a->output != NULL ? absolute(a->output) : default_dir(p->agent->name);
    int rc = ask_server(p, a, err);
    if (rc < 0)
        return rc;
    int quarter = a->ctx / 4 < 32768 ? a->ctx / 4 : 32768;
    p->setup = (auk_agent_setup){.url = p->url,
                                 .model = a->model != NULL ? a->model : p->model,
                                 .key = key != NULL && key[0] != 0 ? key : "local",
                                 .dir = p->dir,
                                 .ctx = a->ctx,
                                 .max = a->max_tokens > 0 ? a->max_tokens : quarter};
    rc = auk_agent_setup_check(&p->setup, err);
    if (rc == AUK_OK && p->setup.max >= p->setup.ctx)
        rc = auk_fail(err, AUK_EINVAL, "an answer of %d tokens leaves no room in a window of %d",
                      p->setup.max, p->setup.ctx);
    if (rc == AUK_OK)
        plan_fill(p, a);
    return rc;
}

/* ---- as a shell script -------------------------------------------------------------------- */

/* One word of a shell's command line. */
static void put_word(auk_buf *out, const char *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-._/:@%+,=";

    if (text[0] != 0 && strspn(text, safe) == strlen(text)) {
        auk_buf_puts(out, text);
        return;
    }
    auk_buf_putc(out, '\'');
    for (; *text != 0; text++) {
        if (*text == '\'')
            auk_buf_puts(out, "'\\''");
        else
            auk_buf_putc(out, *text);
    }
    auk_buf_putc(out, '\'');
}

static void put_exports(auk_buf *out, const plan *p)
{
    for (char **e = p->env; *e != NULL; e++) {
        const char *value = strchr(*e, '=') + 1;
        auk_buf_puts(out, "export ");
        auk_buf_add(out, *e, (size_t)(value - *e));
        put_word(out, value);
        auk_buf_putc(out, '\n');
    }
}

static void put_command(auk_buf *out, const plan *p)
{
    for (char **c = p->command; *c != NULL; c++) {
        if (c > p->command)
            auk_buf_putc(out, ' ');
        put_word(out, *c);
    }
    auk_buf_putc(out, '\n');
}

static void put_file(auk_buf *out, const char *dir, const char *path, auk_str text)
{
    char *whole = auk_path_join(dir, path), *slash = strrchr(whole, '/');

    auk_buf_puts(out, "mkdir -p ");
    *slash = 0;
    put_word(out, whole);
    *slash = '/';
    auk_buf_puts(out, "\ncat >");
    put_word(out, whole);
    auk_buf_puts(out, " <<'AUKLET'\n");
    auk_buf_add(out, text.p, text.n);
    if (text.n == 0 || text.p[text.n - 1] != '\n')
        auk_buf_putc(out, '\n');
    auk_buf_puts(out, "AUKLET\n");
    free(whole);
}

static void put_script(auk_buf *out, const plan *p, bool with_files)
{
    auk_buf_printf(out, "# %s for '%s' at %s, window %d\n", p->agent->title, p->setup.model,
                   p->setup.url, p->setup.ctx);
    for (size_t i = 0; with_files && i < p->n_files; i++)
        put_file(out, p->setup.dir, p->agent->files[i].path, auk_buf_str(&p->files[i]));
    put_exports(out, p);
}

static int print_json(const plan *p)
{
    json_t *env = json_object(), *files = json_array(), *command = json_array();

    for (char **e = p->env; *e != NULL; e++) {
        const char *equals = strchr(*e, '=');
        char *name = auk_strndup(*e, (size_t)(equals - *e));
        json_object_set_new(env, name, json_string(equals + 1));
        free(name);
    }
    for (size_t i = 0; i < p->n_files; i++) {
        char *path = auk_path_join(p->setup.dir, p->agent->files[i].path);
        json_array_append_new(files, json_pack("{s:s, s:s}", "path", path, "text",
                                               p->files[i].n > 0 ? p->files[i].p : ""));
        free(path);
    }
    for (char **c = p->command; *c != NULL; c++)
        json_array_append_new(command, json_string(*c));
    return auk_cli_print_json(json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:o, s:o}", "schema", "auklet.launch/1",
        "agent", p->agent->name, "url", p->setup.url, "model", p->setup.model, "dialect",
        p->agent->dialect, "folder", p->setup.dir, "ctx", p->setup.ctx, "max_tokens", p->setup.max,
        "wanted_ctx", auk_agent_window(p->agent), "env", env, "files", files, "command", command));
}

static int print_text(const plan *p)
{
    auk_buf out = AUK_BUF_INIT(MAX_TEXT);

    put_script(&out, p, true);
    put_command(&out, p);
    fwrite(out.p, 1, out.n, stdout);
    auk_buf_release(&out);
    return 0;
}

/* ---- written, and started ----------------------------------------------------------------- */

/* mkdir -p of the folder `path` lies in; what is made here is the user's alone. */
static int make_parents(const char *path, auk_err *err)
{
    char *copy = auk_strndup(path, strlen(path));
    int rc = AUK_OK;

    for (char *p = copy + 1; rc == AUK_OK && (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            rc = auk_fail(err, AUK_EIO, "cannot make the folder '%s': %s", copy, strerror(errno));
        *p = '/';
    }
    free(copy);
    return rc;
}

static int write_one(const plan *p, const char *name, auk_str text, bool replace, auk_err *err)
{
    char *path = auk_path_join(p->setup.dir, name);
    auk_buf old = AUK_BUF_INIT(MAX_TEXT);
    auk_err unread;

    int rc = make_parents(path, err);
    if (rc == AUK_OK && !replace && auk_file_exists(path) &&
        (auk_file_read(&old, path, &unread) < 0 || !auk_str_eq(auk_buf_str(&old), text)))
        rc = auk_fail(err, AUK_EINVAL, "'%s' is there and differs: --force replaces it", path);
    mode_t mask = umask(077); /* the key is in it */
    if (rc == AUK_OK)
        rc = auk_file_write(path, text, err);
    umask(mask);
    auk_buf_release(&old);
    free(path);
    return rc;
}

static int write_files(const plan *p, const launch_args *a, auk_err *err)
{
    bool replace = a->force || a->output == NULL; /* our own folder is ours to rewrite */
    int rc = AUK_OK;

    for (size_t i = 0; i < p->n_files && rc == AUK_OK; i++)
        rc = write_one(p, p->agent->files[i].path, auk_buf_str(&p->files[i]), replace, err);
    if (rc < 0 || a->output == NULL)
        return rc;
    auk_buf script = AUK_BUF_INIT(MAX_TEXT);
    put_script(&script, p, false);
    rc = write_one(p, "env.sh", auk_buf_str(&script), replace, err);
    auk_buf_clear(&script);
    put_command(&script, p);
    if (rc == AUK_OK && !a->start && !a->common.quiet) {
        fprintf(stderr, "auklet: written; now: . ");
        fprintf(stderr, "%s/env.sh && ", p->setup.dir);
        fwrite(script.p, 1, script.n, stderr);
    }
    auk_buf_release(&script);
    return rc;
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    bool found = false;

    while (path != NULL && *path != 0 && !found) {
        size_t n = strcspn(path, ":");
        char *dir = auk_strndup(path, n), *whole = auk_path_join(n > 0 ? dir : ".", program);
        found = access(whole, X_OK) == 0 && !auk_file_is_dir(whole);
        free(whole);
        free(dir);
        path += n + (path[n] == ':');
    }
    return found;
}

/* Does not return when it succeeds. */
static int become(const plan *p, auk_err *err)
{
    for (char **e = p->env; *e != NULL; e++) {
        char *equals = strchr(*e, '=');
        *equals = 0;
        int failed = setenv(*e, equals + 1, 1);
        *equals = '=';
        if (failed != 0)
            return auk_fail(err, AUK_EIO, "cannot set the environment: %s", strerror(errno));
    }
    fflush(NULL);
    execvp(p->command[0], p->command);
    return auk_fail(err, AUK_EIO, "cannot start '%s': %s", p->command[0], strerror(errno));
}

static int print_list(const launch_args *a)
{
    json_t *list = json_array();

    for (size_t i = 0; i < auk_n_agents; i++) {
        const auk_agent *g = &auk_agents[i];
        bool here = in_path(g->program);
        if (a->common.json)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:s}", "name", g->name,
                                            "title", g->title, "program", g->program, "dialect",
                                            g->dialect, "wanted_ctx", auk_agent_window(g),
                                            "installed", (int)here, "install", g->install));
        else
            printf("%-12s %-17s %-10s window from %6d  %s%s\n", g->name, g->title, g->dialect,
                   auk_agent_window(g), here ? "installed" : "not here: ", here ? "" : g->install);
    }
    if (a->common.json)
        return auk_cli_print_json(
            json_pack("{s:s, s:o}", "schema", "auklet.launch/1", "agents", list));
    json_decref(list);
    return 0;
}

/* ---- the command -------------------------------------------------------------------------- */

static int unknown_agent(const auk_cmd *self, const char *word)
{
    const char *names[64];
    size_t n = 0;

    while (n < auk_n_agents && n < 64) {
        names[n] = auk_agents[n].name;
        n++;
    }
    const char *near = auk_nearest(word, names, n);
    if (near != NULL)
        return auk_cli_usage(self, "unknown agent '%s': did you mean '%s'?", word, near);
    return auk_cli_usage(self, "unknown agent '%s'; --list shows them", word);
}

static int act(plan *p, launch_args *a, auk_err *err)
{
    int rc = AUK_OK;

    if (a->start && !in_path(p->agent->program))
        return auk_fail(err, AUK_ENOTFOUND, "'%s' is not installed: %s", p->agent->program,
                        p->agent->install);
    if (!a->common.quiet && p->setup.ctx < auk_agent_window(p->agent))
        fprintf(stderr,
                "auklet: warning: a window of %d is small for %s, whose own prompt takes about %d "
                "tokens; %d and more is wanted\n",
                p->setup.ctx, p->agent->title, p->agent->prompt_tok, auk_agent_window(p->agent));
    if (a->output != NULL || a->start)
        rc = write_files(p, a, err);
    if (rc == AUK_OK && a->start)
        rc = become(p, err);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    launch_args a = {0};
    plan p = {0};
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.list)
        return print_list(&a);
    if (a.common.n_args == 0)
        return auk_cli_usage(self, "an agent is missing; --list shows them");
    p.agent = auk_agent_find(a.common.arg[0]);
    if (p.agent == NULL)
        return unknown_agent(self, a.common.arg[0]);
    if (a.ctx < 0 || a.max_tokens < 0)
        return auk_cli_usage(self, "--ctx and --max-tokens are positive");
    if (a.task != NULL && p.agent->ask == NULL)
        return auk_cli_usage(self, "%s takes no task on its command line: pipe it in",
                             p.agent->title);
    int rc = make_plan(&p, &a, &err);
    if (rc == AUK_OK)
        rc = act(&p, &a, &err);
    status = rc < 0                         ? auk_cli_fail(&err)
             : a.common.json                ? print_json(&p)
             : a.output == NULL && !a.start ? print_text(&p)
                                            : 0;
    plan_release(&p);
    return status;
}

const auk_cmd auk_cmd_launch = {
    .name = "launch",
    .run = run,
    .usage = "launch AGENT [options] [-- ARGUMENTS]",
    .summary = "set up a coding agent for a local server, and start it",
    .examples = "  auklet launch codex                      a script that sets it up\n"
                "  auklet launch claude --start             set up and start\n"
                "  auklet launch opencode -o DIR            write its files and DIR/env.sh\n"
                "  auklet launch aider --start --task 'fix the typo in README' -- README.md\n"
                "The agent's usual configuration is left alone: files go to DIR, by default\n"
                "auklet/launch/AGENT in the XDG state folder.\n",
    .options = options,
    .max_args = -1,
};
