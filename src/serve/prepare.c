/* SPDX-License-Identifier: Apache-2.0 */
/* From an ask to a job: the prompt as ids, what must be refused before the first byte. */
#include "serve/server_state.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/time.h"

static int prompt_of_text(auk_ids *out, auk_serving *s, const json_t *prompt, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < json_array_size(prompt) && rc == AUK_OK; i++) {
        json_int_t id = json_integer_value(json_array_get(prompt, i));
        if (id < 0 || id >= auk_engine_vocab(s->engine))
            return auk_fail(err, AUK_EINVAL, "token id %lld is not within [0, %d)", (long long)id,
                            auk_engine_vocab(s->engine));
        rc = auk_ids_add(out, (int32_t)id, err);
    }
    if (json_is_string(prompt)) {
        int32_t bos = auk_tokenizer_id(s->tok, "<BOS_TOKEN>");
        auk_str text = auk_json_str(prompt);
        if (bos >= 0 && !auk_str_starts(text, "<BOS_TOKEN>"))
            rc = auk_ids_add(out, bos, err);
        if (rc == AUK_OK)
            rc = auk_tokenizer_encode(out, s->tok, text, true, err);
    }
    return rc;
}

/* Ollama's context: what follows the platform's turn goes after the ids of the answer before. */
static int after_context(auk_ids *prompt, auk_serving *s, const json_t *context, auk_err *err)
{
    int32_t begin = auk_tokenizer_id(s->tok, "<|START_OF_TURN_TOKEN|>");
    auk_ids all = {0};
    size_t at = 0, turns = 0;

    int rc = prompt_of_text(&all, s, context, err);
    while (at < prompt->n && turns < 2) /* the second turn is the user's or the system's */
        turns += prompt->p[at++] == begin;
    for (size_t i = at > 0 ? at - 1 : 0; i < prompt->n && rc == AUK_OK; i++)
        rc = auk_ids_add(&all, prompt->p[i], err);
    auk_ids_release(prompt);
    *prompt = all;
    return rc;
}

static int render(auk_ids *out, auk_serving *s, const auk_ask *ask, auk_err *err)
{
    if (ask->chat == NULL)
        return prompt_of_text(out, s, ask->prompt, err);
    int rc = auk_render_ids(out, s->tok, ask->chat, err);
    if (rc == AUK_OK && ask->context != NULL)
        rc = after_context(out, s, ask->context, err);
    return rc;
}

/* The oldest messages but the system's go, pairs of call and result together; only when the client
 * asked for it. */
static bool drop_oldest(json_t *messages)
{
    size_t n = json_array_size(messages), at = 0;

    while (at < n && auk_str_is(auk_json_str(json_object_get(json_array_get(messages, at), "role")),
                                "system"))
        at++;
    if (at + 1 >= n)
        return false;
    do
        json_array_remove(messages, at);
    while (
        at + 1 < json_array_size(messages) &&
        !auk_str_is(auk_json_str(json_object_get(json_array_get(messages, at), "role")), "user"));
    return true;
}

static int too_long(size_t n, int ctx, const auk_ask *ask, json_t **extra, auk_err *err)
{
    *extra = json_pack("{s:s, s:I, s:i}", "code", "context_length_exceeded", "n_prompt_tokens",
                       (json_int_t)n, "n_ctx", ctx);
    if (ask->dialect == &auk_dialect_anthropic)
        return auk_fail(err, AUK_EINVAL, "prompt is too long: %zu tokens > %d maximum", n, ctx);
    return auk_fail(err, AUK_EINVAL,
                    "the prompt has %zu tokens, the maximum context length is %d tokens and must "
                    "hold the answer too: shorten the conversation (nothing is cut silently)",
                    n, ctx);
}

static uint64_t session_of(const auk_ask *ask)
{
    const json_t *messages = json_object_get(ask->chat, "messages");
    auk_buf text = AUK_BUF_INIT((size_t)1 << 30);
    char hex[AUK_SHA256_HEX];

    if (ask->session != NULL)
        auk_buf_puts(&text, ask->session);
    for (size_t i = 0; ask->session == NULL && i < 2; i++) {
        auk_str s = auk_json_str(json_object_get(json_array_get(messages, i), "content"));
        auk_buf_add(&text, s.p ? s.p : "", s.n);
    }
    auk_sha256_of(hex, auk_buf_str(&text).p, text.n);
    auk_buf_release(&text);
    hex[16] = 0;
    return strtoull(hex, NULL, 16);
}

static int limit_tokens(auk_job *job, const auk_serving *s, json_t **extra, auk_err *err)
{
    const auk_ask *ask = &job->ask;
    int ctx = ask->num_ctx > 0 && ask->num_ctx < s->ctx ? (int)ask->num_ctx : s->ctx;

    while (job->prompt.n >= (size_t)ctx)
        return too_long(job->prompt.n, ctx, ask, extra, err);
    if (job->prompt.n == 0)
        return auk_fail(err, AUK_EINVAL, "the prompt is empty");
    job->max_tokens = (size_t)ctx - job->prompt.n;
    if (ask->max_tokens > 0 && (size_t)ask->max_tokens < job->max_tokens)
        job->max_tokens = (size_t)ask->max_tokens;
    return AUK_OK;
}

static int make_prompt(auk_job *job, auk_serving *s, auk_err *err)
{
    auk_ask *ask = &job->ask;
    json_t *messages = json_object_get(ask->chat, "messages");
    auk_turns *turns = auk_runner_turns(s->runner);
    int rc = AUK_OK;

    if (ask->chat != NULL) {
        if (ask->choice == AUK_CHOICE_NONE)
            json_object_del(ask->chat, "tools");
        if (s->opts.freeze_volatile)
            auk_freeze_volatile(messages);
        rc = auk_request_prepare(ask->chat, err);
        if (rc == AUK_OK)
            auk_turns_same_tools(turns, ask->chat);
    }
    if (rc == AUK_OK)
        rc = render(&job->prompt, s, ask, err);
    while (rc == AUK_OK && ask->truncate && job->prompt.n >= (size_t)s->ctx &&
           drop_oldest(messages)) {
        auk_ids_clear(&job->prompt);
        rc = render(&job->prompt, s, ask, err);
    }
    if (rc == AUK_OK && ask->chat != NULL) {
        job->reasoning = auk_request_reasoning(ask->chat);
        rc = auk_turns_restore(turns, job, s->tok, messages, err);
    }
    return rc;
}

static void free_grammar(void *grammar)
{
    auk_grammar_free(grammar);
}

/* The answer's schema and what tool_choice asks for, as a constraint on tokens. */
static int constrain(auk_job *job, auk_serving *s, auk_err *err)
{
    const auk_ask *ask = &job->ask;
    json_t *any = json_pack("{s:s}", "type", "object");
    auk_grammar *g;
    auk_grammar_options o = {.schema = ask->schema != NULL ? ask->schema
                                       : ask->json_mode    ? any
                                                           : NULL,
                             .tools = json_object_get(ask->chat, "tools"),
                             .only = ask->choice == AUK_CHOICE_NAMED ? ask->named : NULL,
                             .one_call = ask->one_call || ask->choice == AUK_CHOICE_NAMED,
                             .reasoning = job->reasoning,
                             .text = ask->chat == NULL};
    int rc = AUK_OK;

    if (ask->choice == AUK_CHOICE_NONE)
        o.actions = AUK_ACTIONS_NONE;
    else if (ask->choice != AUK_CHOICE_AUTO)
        o.actions = AUK_ACTIONS_REQUIRED;
    if (o.schema != NULL || json_array_size(o.tools) > 0 || ask->choice != AUK_CHOICE_AUTO) {
        rc = auk_grammar_new(&g, s->tok, auk_engine_vocab(s->engine), &o, err);
        if (rc == AUK_OK) {
            job->grammar = g;
            job->free_grammar = free_grammar;
            job->constraint = auk_grammar_constraint(g);
        }
    }
    json_decref(any);
    return rc;
}

int auk_prepare(auk_job **out, auk_serving *s, auk_ask *ask, json_t **extra, auk_err *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    auk_job *job = auk_job_new();
    uint64_t seed = auk_now_ns() ^ (atomic_fetch_add(&s->requests, 1) << 40);
    auk_rng rng = auk_rng_make(seed);

    *out = NULL;
    *extra = NULL;
    job->ask = *ask;
    auk_ask_init(ask);
    for (int i = 0; i < 24; i++)
        job->id[i] = letters[auk_rng_below(&rng, sizeof letters - 1)];
    int rc = AUK_OK;
    if (!job->ask.load_only) {
        job->session = session_of(&job->ask);
        rc = make_prompt(job, s, err);
        if (rc == AUK_OK)
            rc = limit_tokens(job, s, extra, err);
        if (rc == AUK_OK)
            rc = constrain(job, s, err);
    }
    if (rc == AUK_OK) {
        *out = job;
        job = NULL;
    }
    auk_job_release(job);
    return rc;
}

int auk_count_tokens(size_t *out, auk_serving *s, const auk_ask *ask, auk_err *err)
{
    auk_job *job = auk_job_new();

    job->ask.chat = json_deep_copy(ask->chat);
    job->ask.dialect = ask->dialect;
    job->ask.choice = ask->choice;
    int rc = make_prompt(job, s, err);
    *out = job->prompt.n;
    auk_job_release(job);
    return rc;
}
