/* SPDX-License-Identifier: Apache-2.0 */
#include "swebench/job.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"

#define MAX_PERIOD 4096
#define LEAST_CYCLE 256

auk_swebench_options auk_swebench_defaults(void)
{
    return (auk_swebench_options){.max_tokens = 9000,
                                  .seed = 1,
                                  .steps = 50,
                                  .command_seconds = 60,
                                  .seconds = 3600,
                                  .tokens = 1000000};
}

bool auk_text_loops(auk_str text)
{
    for (size_t p = 1; p <= MAX_PERIOD && 4 * p <= text.n; p++) {
        size_t want = 4 * p > LEAST_CYCLE ? 4 * p : LEAST_CYCLE, i = 1;
        if (want > text.n)
            continue;
        while (i <= want - p && text.p[text.n - i] == text.p[text.n - i - p])
            i++;
        if (i > want - p)
            return true;
    }
    return false;
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Names what decides an answer, so that only the same run is taken up again. */
static void name_run(auk_job *j)
{
    const auk_swebench_options *o = j->opts;
    auk_buf text = AUK_BUF_INIT(1 << 20);
    char hex[65];

    auk_sha256_of(j->out->prompt_sha256, j->prompt_text, strlen(j->prompt_text));
    auk_buf_printf(&text, "%s %s %s %s %d %.9g %llu %d %d %d %d", j->kind, j->data.sha256,
                   j->out->prompt_sha256, o->model != NULL ? o->model : "", o->max_tokens,
                   o->temperature, (unsigned long long)o->seed, o->loop_stop, o->partial,
                   o->any_file, o->ctx);
    if (strcmp(j->kind, "agent") == 0)
        auk_buf_printf(&text, " %d %d %d %lld %d", o->steps, o->command_seconds, o->seconds,
                       (long long)o->tokens, o->stuck_stop);
    auk_sha256_of(hex, text.p, text.n);
    memcpy(j->out->run, hex, 16);
    auk_buf_release(&text);
}

static char *trace_path(const auk_swebench_options *o)
{
    auk_str out = auk_str_of(o->out);
    auk_buf path = AUK_BUF_INIT(1 << 16);

    if (o->trace != NULL)
        return auk_strndup(o->trace, strlen(o->trace));
    auk_buf_add(&path, out.p, auk_str_ends(out, ".jsonl") ? out.n - 6 : out.n);
    auk_buf_puts(&path, ".trace.jsonl");
    return path.p;
}

static int open_files(auk_job *j, auk_err *err)
{
    const auk_swebench_options *o = j->opts;
    json_t *head =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "schema", "auklet.swebench-trace/1", "run",
                  j->out->run, "kind", j->kind, "data_sha256", j->data.sha256, "subset_sha256",
                  j->subset.sha256, "prompt_sha256", j->out->prompt_sha256);
    json_t *traced = NULL;
    char *path = trace_path(o);

    int rc = auk_json_out_open(&j->preds, &j->done, o->out, NULL, NULL, o->resume, o->force, err);
    if (rc == AUK_OK) /* what has no prediction was not finished */
        rc = auk_json_out_open(&j->trace, &traced, path, head, j->done, o->resume, o->force, err);
    json_decref(traced);
    json_decref(head);
    free(path);
    return rc;
}

static int open_tokenizer(auk_job *j, auk_err *err)
{
    const auk_swebench_options *o = j->opts;

    if (o->tokenizer != NULL)
        return auk_tokenizer_open(&j->tok, o->tokenizer, err);
    if (o->model != NULL && auk_file_is_dir(o->model))
        return auk_tokenizer_open(&j->tok, o->model, err);
    return AUK_OK;
}

int auk_job_open(auk_job *j, auk_err *err)
{
    const auk_swebench_options *o = j->opts;

    j->preds.fd = j->trace.fd = -1;
    int rc = auk_instances_open(&j->data, o->data, &o->notes, err);
    if (rc == AUK_OK && o->subset != NULL)
        rc = auk_subset_read(&j->subset, o->subset, o->subset_sha256, &j->data, &o->notes, err);
    else if (rc == AUK_OK)
        auk_subset_all(&j->subset, &j->data);
    if (rc == AUK_OK)
        rc = open_tokenizer(j, err);
    if (rc < 0)
        return rc;
    j->n = o->limit > 0 && (size_t)o->limit < j->subset.n ? (size_t)o->limit : j->subset.n;
    memcpy(j->out->data_sha256, j->data.sha256, sizeof j->out->data_sha256);
    memcpy(j->out->subset_sha256, j->subset.sha256, sizeof j->out->subset_sha256);
    j->out->n = j->n;
    name_run(j);
    if (o->out != NULL)
        rc = open_files(j, err);
    for (size_t i = 0; i < j->n; i++)
        j->out->kept += auk_job_has(j, j->subset.p[i]);
    return rc;
}

void auk_job_close(auk_job *j)
{
    auk_json_out_close(&j->preds);
    auk_json_out_close(&j->trace);
    json_decref(j->done);
    auk_client_close(j->client);
    auk_tokenizer_close(j->tok);
    auk_subset_release(&j->subset);
    auk_instances_close(&j->data);
    free(j->name);
}

bool auk_job_has(const auk_job *j, const auk_instance *in)
{
    return json_object_get(j->done, in->id) != NULL;
}

/* ---- the model ---------------------------------------------------------------------------- */

/* The longest context a model folder says it has; 0 when it does not. */
static int64_t folder_context(const char *folder)
{
    char *path = auk_path_join(folder, "config.json");
    json_t *config = NULL;
    auk_err ignored;
    int64_t n = 0;

    if (auk_json_read(&config, path, &ignored) == AUK_OK)
        n = json_integer_value(json_object_get(config, "max_position_embeddings"));
    json_decref(config);
    free(path);
    return n;
}

static void name_model(auk_job *j, const auk_client_info *info)
{
    const char *name = j->opts->name;

    if (name == NULL) {
        name = info->model != NULL && info->model[0] != 0 ? info->model : j->opts->model;
        size_t n = strlen(name);
        while (n > 1 && name[n - 1] == '/')
            n--;
        size_t from = n;
        while (from > 0 && name[from - 1] != '/')
            from--;
        j->name = auk_strndup(name + from, n - from);
        return;
    }
    j->name = auk_strndup(name, strlen(name));
}

int auk_job_connect(auk_job *j, int64_t need_tok, auk_err *err)
{
    const auk_swebench_options *o = j->opts;
    auk_client_options opts = auk_client_defaults();
    auk_client_info info;
    bool folder = auk_file_is_dir(o->model);

    opts.ctx = o->ctx;
    opts.threads = o->threads;
    opts.cpu_flags = o->cpu_flags;
    if (folder && o->ctx == 0) {
        int64_t most = folder_context(o->model);
        opts.ctx = (int)(most > 0 && most < need_tok ? most : need_tok < 1024 ? 1024 : need_tok);
    }
    int rc = auk_client_open(&j->client, o->model, &opts, err);
    if (rc == AUK_OK)
        rc = auk_client_describe(&info, j->client, err);
    if (rc < 0)
        return rc;
    j->context_tok = o->ctx > 0 ? o->ctx : info.context_tok > 0 ? info.context_tok : 0;
    name_model(j, &info);
    return AUK_OK;
}

int auk_job_count(int64_t *out, const auk_job *j, const json_t *messages, auk_err *err)
{
    auk_ids ids = {0};

    *out = -1;
    if (j->tok == NULL)
        return AUK_OK;
    json_t *request = json_pack("{s:O, s:b}", "messages", messages, "reasoning", 1);
    int rc = auk_render_ids(&ids, j->tok, request, err);
    if (rc == AUK_OK)
        *out = (int64_t)ids.n;
    json_decref(request);
    auk_ids_release(&ids);
    return rc;
}

static bool on_cancel(void *ctx)
{
    const auk_job *j = ctx;
    const auk_swebench_options *o = j->opts;

    return o->progress != NULL &&
           o->progress(o->progress_ctx, j->kind, "instances", j->out->kept + j->out->asked, j->n);
}

int auk_job_chat(auk_reply *out, bool *failed, auk_job *j, const json_t *messages, int max_tokens,
                 auk_err *err)
{
    auk_chat chat = auk_chat_defaults();
    auk_retry retry = auk_retry_defaults();
    auk_err why;

    chat.messages = messages;
    chat.max_tokens = max_tokens;
    chat.temperature = j->opts->temperature;
    chat.top_p = 1;
    chat.seed = (int64_t)j->opts->seed;
    chat.loop_guard = j->opts->loop_stop;
    chat.cancelled = on_cancel;
    chat.ctx = j;
    *failed = false;
    int rc = auk_client_chat_retry(out, j->client, &chat, &retry, &why);
    if (rc == AUK_OK || out->failure.kind == AUK_FAILURE_CONTEXT)
        return AUK_OK;
    if (rc == AUK_ECANCEL || out->finish == AUK_CHAT_CANCELLED)
        return auk_fail(err, AUK_ECANCEL, "interrupted; the same command with --resume goes on");
    auk_note(&j->opts->notes, "%s: %s", auk_failure_name(out->failure.kind), why.msg);
    *failed = true;
    return AUK_OK;
}

int auk_job_keep(auk_job *j, const auk_instance *in, auk_str patch, json_t *trace, auk_err *err)
{
    json_t *line = json_pack("{s:s, s:s, s:s%}", "instance_id", in->id, "model_name_or_path",
                             j->name, "model_patch", patch.n > 0 ? patch.p : "", patch.n);
    json_t *whole = json_pack("{s:s, s:s, s:s}", "instance_id", in->id, "model_name_or_path",
                              j->name, "base_commit", in->base_commit);

    json_object_update(whole, trace);
    json_decref(trace);
    int rc = auk_json_out_add(&j->trace, whole, err);
    if (rc == AUK_OK) /* last: with it the instance is done */
        rc = auk_json_out_add(&j->preds, line, err);
    json_object_set_new(j->done, in->id, line);
    json_decref(whole);
    j->out->asked++;
    j->out->with_patch += patch.n > 0;
    return rc;
}
