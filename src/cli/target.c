/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include "base/file.h"
#include "cli/machine.h"
#include "cli/record.h"

static int client_options(auk_client_options *out, int ctx, const auk_common *common, auk_err *err)
{
    *out = auk_client_defaults();
    out->ctx = ctx;
    out->threads = common->threads;
    return auk_cli_cpu(&out->cpu_flags, common, err);
}

/* "3:x" and the like are no folders: say what a MODEL may be. */
static int check_name(const char *model, auk_err *err)
{
    if (strstr(model, "://") != NULL || auk_file_exists(model))
        return AUK_OK;
    return auk_fail(err, AUK_ENOTFOUND,
                    "there is no folder '%s': MODEL is a folder, ollama:http://host:port/name, "
                    "openai:http://host:port/v1/name or anthropic:http://host:port/name",
                    model);
}

int auk_cli_target_open(auk_cli_target *out, const char *model, int ctx, const auk_common *common,
                        auk_err *err)
{
    auk_client_options o;

    *out = (auk_cli_target){0};
    int rc = check_name(model, err);
    if (rc == AUK_OK)
        rc = client_options(&o, ctx, common, err);
    if (rc == AUK_OK)
        rc = auk_client_open(&out->client, model, &o, err);
    if (rc == AUK_OK && strstr(model, "://") == NULL)
        out->folder = model;
    return rc;
}

static int widest(const auk_engine *e)
{
    uint64_t room = auk_machine_available() / 2;
    int ctx = auk_engine_max_context(e);

    while (ctx > 4096 && auk_session_bytes(e, ctx) > room)
        ctx -= ctx / 4;
    return ctx;
}

int auk_cli_target_open_wide(auk_cli_target *out, const char *model, int ctx,
                             const auk_common *common, auk_err *err)
{
    auk_client_options o;

    if (strstr(model, "://") != NULL || ctx > 0)
        return auk_cli_target_open(out, model, ctx, common, err);
    *out = (auk_cli_target){.folder = model};
    int rc = check_name(model, err);
    if (rc == AUK_OK)
        rc = client_options(&o, ctx, common, err);
    if (rc < 0)
        return rc;
    auk_engine_options eo = {.threads = o.threads, .cpu_flags = o.cpu_flags};
    rc = auk_engine_open(&out->engine, model, &eo, err);
    if (rc < 0)
        return rc;
    o.ctx = widest(out->engine);
    return auk_client_open_engine(&out->client, out->engine, &o, err);
}

void auk_cli_target_close(auk_cli_target *t)
{
    auk_client_close(t->client);
    auk_engine_close(t->engine);
    *t = (auk_cli_target){0};
}

void auk_cli_target_record(auk_cli_record *rec, const char *key, const auk_cli_target *t,
                           const char *model)
{
    auk_client_info info;
    auk_err err;

    auk_cli_record_model(rec, key, model);
    if (t->client != NULL && t->folder == NULL &&
        auk_client_describe(&info, t->client, &err) == AUK_OK)
        auk_cli_record_set(rec, strcmp(key, "model") == 0 ? "server" : "baseline_server",
                           json_string(info.server));
}

bool auk_cli_time(uint64_t *out, const char *text)
{
    char *end;
    double v = strtod(text, &end), unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;

    if (end == text || !(v > 0) || v > 1e7 ||
        (*end != 0 && (strchr("smh", *end) == NULL || end[1])))
        return false;
    *out = (uint64_t)(v * unit * 1e9);
    return true;
}
