/* SPDX-License-Identifier: Apache-2.0 */
/* Who answers the turns: a client, or the record of an earlier run. */
#include "diagnose/agent_parts.h"

#include "base/mem.h"
#include "base/time.h"

#include <stdlib.h>

static bool stop(void *ctx)
{
    auk_agent_client *a = ctx;

    return (a->deadline_ns != 0 && auk_now_ns() >= a->deadline_ns) ||
           (a->cancelled != NULL && a->cancelled(a->ctx));
}

int auk_agent_ask(void *ctx, const json_t *messages, const json_t *tools, auk_reply *reply,
                  auk_err *err)
{
    auk_agent_client *a = ctx;
    auk_chat chat = auk_chat_defaults();
    auk_retry retry = auk_retry_defaults();

    chat.messages = messages;
    chat.tools = json_array_size(tools) > 0 ? tools : NULL;
    chat.thinking = a->thinking;
    chat.max_tokens = a->max_tokens;
    chat.temperature = a->temperature;
    chat.top_p = a->top_p;
    chat.seed = a->sample_seed;
    chat.loop_guard = true;
    chat.cancelled = stop;
    chat.ctx = a;
    a->deadline_ns = a->turn_timeout_ns != 0 ? auk_now_ns() + a->turn_timeout_ns : 0;
    retry.tries = 3;
    retry.after_output = true;
    int rc = auk_client_chat_retry(reply, a->client, &chat, &retry, err);
    if (rc == AUK_OK)
        return rc;
    if (a->cancelled != NULL && a->cancelled(a->ctx))
        return auk_fail(err, AUK_ECANCEL, "stopped");
    if (a->deadline_ns != 0 && auk_now_ns() >= a->deadline_ns)
        return auk_fail(err, AUK_ELIMIT, "a turn took longer than %.0f s",
                        (double)a->turn_timeout_ns / 1e9);
    return rc == AUK_ECANCEL || rc == AUK_ELIMIT ? AUK_EIO : rc;
}

/* ---- a recorded run ------------------------------------------------------------------------ */

typedef struct record {
    const json_t *messages;
    const json_t *said;
    size_t next;
    const char *class;
} record;

/* The next assistant message as a reply.  Where the record ends, it ends as it did then. */
static int play(void *ctx, const json_t *messages, const json_t *tools, auk_reply *reply,
                auk_err *err)
{
    record *rec = ctx;
    const json_t *m = NULL;
    char at[24];

    (void)messages;
    (void)tools;
    for (; m == NULL && rec->next < json_array_size(rec->messages); rec->next++) {
        const json_t *v = json_array_get(rec->messages, rec->next);
        const json_t *role = json_object_get(v, "role");
        if (json_is_string(role) && strcmp(json_string_value(role), "assistant") == 0)
            m = v;
    }
    *reply = (auk_reply){.text = AUK_BUF_INIT(1u << 30),
                         .thinking = AUK_BUF_INIT(1u << 30),
                         .finish = AUK_CHAT_STOP,
                         .completion_tok = -1};
    if (m == NULL) {
        if (strcmp(rec->class, "TurnTimeout") == 0)
            return auk_fail(err, AUK_ELIMIT, "a turn took too long");
        if (strcmp(rec->class, "Cancelled") == 0)
            return auk_fail(err, AUK_ECANCEL, "stopped");
        return auk_fail(err, AUK_EIO, "the record ends here");
    }
    bool last = true;
    for (size_t i = rec->next; i < json_array_size(rec->messages) && last; i++) {
        const json_t *role = json_object_get(json_array_get(rec->messages, i), "role");
        last = !json_is_string(role) || strcmp(json_string_value(role), "assistant") != 0;
    }
    if (last && strcmp(rec->class, "Truncated") == 0)
        reply->finish = AUK_CHAT_LENGTH;
    if (last && strcmp(rec->class, "LoopStopped") == 0)
        reply->finish = AUK_CHAT_LOOP;
    snprintf(at, sizeof at, "%zu", rec->next - 1);
    auk_str text = auk_json_str(json_object_get(m, "content"));
    const json_t *said = json_object_get(rec->said, at);
    if (said != NULL)
        text = auk_json_str(said);
    auk_buf_add(&reply->text, text.p, text.n);
    const json_t *calls = said == NULL ? json_object_get(m, "tool_calls") : NULL;
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *f = json_object_get(json_array_get(calls, i), "function");
        auk_str name = auk_json_str(json_object_get(f, "name"));
        auk_str args = auk_json_str(json_object_get(f, "arguments"));
        reply->calls = auk_realloc(reply->calls, (i + 1) * sizeof *reply->calls);
        reply->calls[i] =
            (auk_chat_call){.id = auk_strndup("", 0),
                            .name = auk_strndup(name.p != NULL ? name.p : "", name.n),
                            .text = auk_strndup(args.p != NULL ? args.p : "", args.n)};
        reply->n_calls++;
        if (auk_json_parse(&reply->calls[i].arguments, args, "arguments", NULL) < 0)
            reply->calls[i].arguments = NULL;
    }
    return AUK_OK;
}

static bool same_text(const json_t *a, const json_t *b, const char *key)
{
    return auk_str_eq(auk_json_str(json_object_get(a, key)), auk_json_str(json_object_get(b, key)));
}

int auk_agent_replay(bool *same, json_t **item, const auk_agent_task *t, const json_t *recorded,
                     auk_err *err)
{
    const char *class = json_string_value(json_object_get(recorded, "class"));
    record rec = {.messages = json_object_get(recorded, "messages"),
                  .said = json_object_get(recorded, "said"),
                  .class = class != NULL ? class : ""};
    const json_t *settings = json_object_get(recorded, "settings");
    auk_agent_run_options opts = {
        .model = play,
        .model_ctx = &rec,
        .model_name = json_string_value(json_object_get(settings, "model")),
        .seed = (uint64_t)json_integer_value(json_object_get(settings, "seed")),
        .run = (int)json_integer_value(json_object_get(recorded, "run")),
        .same_instance = json_is_true(json_object_get(settings, "same_instance"))};

    int rc = auk_agent_run(item, t, &opts, err);
    if (rc < 0)
        return rc;
    *same = same_text(*item, recorded, "class") && same_text(*item, recorded, "instance") &&
            json_equal(json_object_get(*item, "steps"), json_object_get(recorded, "steps"));
    const json_t *a = json_object_get(*item, "messages"), *b = rec.messages;
    *same = *same && json_array_size(a) == json_array_size(b);
    for (size_t i = 0; *same && i < json_array_size(a); i++)
        *same = same_text(json_array_get(a, i), json_array_get(b, i), "content");
    return AUK_OK;
}
