/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between an agent and the model: port, memory, window, dialects; in ten seconds. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"

#include "cli/agents.h"
#include "cli/doctor.h"
#include "cli/machine.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"
#include "model/model.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHO_MS 2500u
#define PROBE_MS 6500u /* with who listens, under ten seconds */

typedef struct doctor_args {
    auk_common common;
    const char *url, *agent, *key;
    int ctx, parallel;
} doctor_args;

static const auk_opt options[] = {
    {"url", AUK_OPT_STR, offsetof(doctor_args, url), "URL",
     "the server (default http://127.0.0.1:11434)"},
    {"agent", AUK_OPT_STR, offsetof(doctor_args, agent), "NAME",
     "whose needs count (default: all that 'launch' knows)"},
    {"ctx", AUK_OPT_INT, offsetof(doctor_args, ctx), "N",
     "positions per session (default: the server's window, else 32768)"},
    {"parallel", AUK_OPT_INT, offsetof(doctor_args, parallel), "N", "sessions at once (default 4)"},
    {"api-key", AUK_OPT_STR, offsetof(doctor_args, key), "KEY",
     "the server's (default AUKLET_API_KEY)"},
    {0},
};

/* ---- findings ----------------------------------------------------------------------------- */

typedef enum state { FINE, WARN, BAD, SKIPPED } state;
static const char *const state_names[] = {"ok", "warning", "problem", "skipped"};

typedef struct finding {
    char name[32];
    state state;
    char said[400], fix[400];
} finding;

typedef struct report {
    finding list[16];
    size_t n;
} report;

static finding *add(report *r, const char *name, state s)
{
    finding *f = &r->list[r->n < 15 ? r->n++ : 15];

    *f = (finding){.state = s};
    snprintf(f->name, sizeof f->name, "%s", name);
    return f;
}

/* ---- the port ----------------------------------------------------------------------------- */

static void check_port(report *r, const auk_who *who, const doctor_args *a, const char *url)
{
    finding *f = add(r, "port", FINE);
    const char *by = who->process[0] != 0 ? ", " : "";

    if (!who->taken) {
        f->state = a->url != NULL ? BAD : FINE;
        snprintf(f->said, sizeof f->said, "nobody listens at %.200s", url);
        snprintf(f->fix, sizeof f->fix, "auklet serve MODEL");
    } else if (who->is_auklet) {
        snprintf(f->said, sizeof f->said, "%s listens at %.200s%s%s", who->name, url, by,
                 who->process);
    } else {
        f->state = a->url != NULL && who->serves_chat ? WARN : BAD;
        snprintf(f->said, sizeof f->said, "%.200s is taken by %s%s%s", url, who->name, by,
                 who->process);
        snprintf(f->fix, sizeof f->fix,
                 "stop it, or: auklet serve MODEL --port 11435, and give clients that port");
    }
}

/* ---- memory ------------------------------------------------------------------------------- */

static uint64_t weights_bytes(const char *dir)
{
    uint64_t sum = 0;
    struct stat st;

    DIR *d = opendir(dir);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (!auk_str_ends(auk_str_of(e->d_name), ".safetensors"))
            continue;
        char *path = auk_path_join(dir, e->d_name);
        if (stat(path, &st) == 0)
            sum += (uint64_t)st.st_size;
        free(path);
    }
    if (d != NULL)
        closedir(d);
    return sum;
}

static int read_shape(auk_hparams *hp, const char *dir, auk_err *err)
{
    char *path = auk_path_join(dir, "config.json");
    json_t *config = NULL;

    int rc = auk_json_read(&config, path, err);
    if (rc == AUK_OK)
        rc = auk_hparams_read(hp, config, NULL, path, err);
    json_decref(config);
    free(path);
    return rc;
}

static int check_memory(report *r, const doctor_args *a, int ctx, auk_err *err)
{
    auk_hparams hp = {0};
    char weights[32], sessions[32], have_text[32];
    const char *dir = a->common.arg[0];

    int rc = read_shape(&hp, dir, err);
    if (rc < 0)
        return rc;
    uint64_t bytes = weights_bytes(dir), have = auk_machine_available();
    size_t heads = (size_t)(hp.n_heads * hp.head_dim);
    size_t widest = (size_t)hp.hidden > heads ? (size_t)hp.hidden : heads;
    int threads = a->common.threads > 0 ? a->common.threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int limit = ctx < hp.max_context ? ctx : hp.max_context;
    uint64_t each = auk_kv_bytes(&hp, limit, AUK_PRECISION_BF16) +
                    auk_forward_bytes(&hp, widest, threads, 256, limit);
    uint64_t need = bytes + (uint64_t)a->parallel * each;
    auk_hparams_release(&hp);
    if (bytes == 0)
        return auk_fail(err, AUK_ENOTFOUND, "'%s' holds no .safetensors file", dir);
    finding *f = add(r, "memory", need > have ? BAD : need > have / 10 * 9 ? WARN : FINE);
    auk_bytes_print(weights, sizeof weights, bytes);
    auk_bytes_print(sessions, sizeof sessions, (uint64_t)a->parallel * each);
    auk_bytes_print(have_text, sizeof have_text, have);
    snprintf(f->said, sizeof f->said,
             "weights %s and %d session%s of %d positions %s; %s available", weights, a->parallel,
             a->parallel > 1 ? "s" : "", limit, sessions, have_text);
    if (f->state != FINE)
        snprintf(f->fix, sizeof f->fix, "%s, or a smaller variant: auklet plan",
                 bytes + each <= have ? "lower --ctx or --parallel" : "close other programs");
    return AUK_OK;
}

/* ---- the window --------------------------------------------------------------------------- */

static void check_window(report *r, const doctor_args *a, const auk_who *who, int ctx)
{
    finding *f = add(r, "window", FINE);
    auk_buf small = AUK_BUF_INIT(300);
    int want = 0;

    if (ctx <= 0) {
        f->state = who->taken ? WARN : SKIPPED;
        snprintf(f->said, sizeof f->said, "%s",
                 who->taken ? "the server does not say how large its window is"
                            : "no server and no --ctx to judge by");
        return;
    }
    for (size_t i = 0; i < auk_n_agents; i++) {
        const auk_agent *g = &auk_agents[i];
        int needs = auk_agent_window(g);
        if ((a->agent != NULL && strcmp(a->agent, g->name) != 0) || needs <= ctx)
            continue;
        auk_buf_printf(&small, "%s%s (%d)", small.n > 0 ? ", " : "", g->title, needs);
        want = needs > want ? needs : want;
    }
    if (small.n == 0) {
        snprintf(f->said, sizeof f->said, "%d tokens are enough for %s", ctx,
                 a->agent != NULL ? a->agent : "every agent");
    } else {
        f->state = a->agent != NULL ? BAD : WARN;
        snprintf(f->said, sizeof f->said, "%d tokens are too few for %s", ctx, small.p);
        snprintf(f->fix, sizeof f->fix, "auklet serve MODEL --ctx %d", (want + 4095) / 4096 * 4096);
    }
    auk_buf_release(&small);
}

/* ---- the dialects ------------------------------------------------------------------------- */

static void check_dialects(report *r, const doctor_args *a, const auk_who *who, const char *url,
                           const char *key)
{
    const auk_agent *agent = a->agent != NULL ? auk_agent_find(a->agent) : NULL;
    auk_probe probes[AUK_N_DIALECTS];
    char name[32];

    if (!who->serves_chat || who->model[0] == 0) {
        finding *f = add(r, "dialects", SKIPPED);
        snprintf(f->said, sizeof f->said, "%s",
                 who->taken ? "no model is listed at /v1/models" : "no server to ask");
        return;
    }
    auk_probe_dialects(probes, url, key, who->model, PROBE_MS);
    for (int i = 0; i < AUK_N_DIALECTS; i++) {
        const auk_probe *p = &probes[i];
        bool wanted = agent == NULL ? who->is_auklet : strcmp(agent->dialect, p->name) == 0;
        bool all_slow = p->state == AUK_PROBE_SLOW;
        snprintf(name, sizeof name, "dialect %s", p->name);
        finding *f = add(r, name,
                         p->state == AUK_PROBE_OK                   ? FINE
                         : all_slow                                 ? WARN
                         : p->state == AUK_PROBE_MISSING && !wanted ? SKIPPED
                                                                    : BAD);
        snprintf(f->said, sizeof f->said, "%.300s", p->said);
        if (all_slow)
            snprintf(f->fix, sizeof f->fix, "the machine is busy or slow: auklet bench MODEL");
        else if (f->state == BAD && !who->is_auklet)
            snprintf(f->fix, sizeof f->fix, "clients of this dialect will fail on %s", who->name);
        else if (f->state == BAD)
            snprintf(f->fix, sizeof f->fix, "is it an older auklet? restart it");
    }
}

/* ---- printing ----------------------------------------------------------------------------- */

static int print_json(const report *r, const char *url, uint64_t ms, bool ok)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n; i++) {
        const finding *f = &r->list[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?}", "name", f->name, "status",
                                              state_names[f->state], "said", f->said, "fix",
                                              f->fix[0] != 0 ? f->fix : NULL));
    }
    return auk_cli_print_json(json_pack("{s:s, s:s, s:b, s:I, s:o}", "schema", "auklet.doctor/1",
                                        "url", url, "ok", (int)ok, "ms", (json_int_t)ms, "checks",
                                        list));
}

static int print_text(const report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const finding *f = &r->list[i];
        printf("%-8s %-18s %s\n", state_names[f->state], f->name, f->said);
        if (f->fix[0] != 0)
            printf("%-27s -> %s\n", "", f->fix);
    }
    return 0;
}

/* ---- the command -------------------------------------------------------------------------- */

static char *trimmed(const char *url)
{
    size_t n = strlen(url);

    while (n > 8 && url[n - 1] == '/')
        n--;
    if (n > 11 && memcmp(url + n - 3, "/v1", 3) == 0)
        n -= 3;
    return auk_strndup(url, n);
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    doctor_args a = {.parallel = 4};
    report r = {.n = 0};
    auk_who who;
    auk_err err;
    uint64_t begun = auk_now_ns();

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.ctx < 0 || a.parallel < 1 || a.parallel > 1024)
        return auk_cli_usage(self, "--ctx is positive, --parallel within 1 to 1024");
    if (a.agent != NULL && auk_agent_find(a.agent) == NULL)
        return auk_cli_usage(self, "unknown agent '%s'; 'auklet launch --list' shows them",
                             a.agent);
    const char *key = a.key != NULL ? a.key : getenv("AUKLET_API_KEY");
    char *url = trimmed(a.url != NULL ? a.url : "http://127.0.0.1:11434");
    int rc = auk_who_ask(&who, url, key, WHO_MS, &err);
    int ctx = a.ctx > 0 ? a.ctx : who.ctx > 0 && who.ctx < 1 << 30 ? (int)who.ctx : 0;
    if (rc == AUK_OK) {
        check_port(&r, &who, &a, url);
        if (a.common.n_args > 0)
            rc = check_memory(&r, &a, ctx > 0 ? ctx : 32768, &err);
    }
    if (rc == AUK_OK) {
        check_window(&r, &a, &who, ctx == 0 && a.common.n_args > 0 ? 32768 : ctx);
        check_dialects(&r, &a, &who, url, key);
        bool ok = true;
        for (size_t i = 0; i < r.n; i++)
            ok = ok && r.list[i].state != BAD;
        status = a.common.json ? print_json(&r, url, (auk_now_ns() - begun) / 1000000, ok)
                               : print_text(&r);
        status = status != 0 ? status : ok ? 0 : 3;
    } else {
        status = auk_cli_fail(&err);
    }
    free(url);
    return status;
}

const auk_cmd auk_cmd_doctor = {
    .name = "doctor",
    .run = run,
    .usage = "doctor [MODEL] [options]",
    .summary = "find what keeps an agent from working: port, memory, window, dialects",
    .examples = "  auklet doctor                            a server at the usual port\n"
                "  auklet doctor path/to/model              and whether this model fits\n"
                "  auklet doctor --agent claude --url http://127.0.0.1:8080\n"
                "Takes under ten seconds; exit 3 when there is a problem.\n",
    .options = options,
    .max_args = 1,
};
