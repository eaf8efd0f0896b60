/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "serve/lane.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/time.h"

/* ---- scripts ---- */

typedef struct answer {
    auk_ids ids;   /* owned */
    json_t *match; /* owned: texts that must all be in the prompt; or NULL */
    bool repeat, used;
    int pause_ms;
} answer;

struct auk_script {
    auk_engine *engine; /* borrowed */
    json_t *lines;      /* owned */
    answer *answers;    /* owned */
    size_t n;
    int pause_ms; /* of the answer begun last */
};

static int read_answer(answer *out, const auk_tokenizer *tok, const json_t *line, auk_err *err)
{
    const json_t *text = json_object_get(line, "text"), *match = json_object_get(line, "match");

    if (!json_is_string(text))
        return auk_fail(err, AUK_EFORMAT, "a line of the script has no 'text'");
    out->repeat = json_is_true(json_object_get(line, "repeat"));
    out->pause_ms = (int)json_integer_value(json_object_get(line, "pause_ms"));
    if (json_is_string(match))
        out->match = json_pack("[O]", match);
    else if (json_is_array(match))
        out->match = json_incref((json_t *)match);
    return auk_tokenizer_encode(&out->ids, tok, auk_json_str(text), true, err);
}

int auk_script_open(auk_script **out, auk_engine *e, const char *path, auk_err *err)
{
    auk_script *s = auk_alloc(sizeof *s);
    auk_buf text = AUK_BUF_INIT(AUK_MAX_LINE);
    const auk_tokenizer *tok;

    *out = NULL;
    s->engine = e;
    int rc = auk_engine_tokenizer(&tok, e, err);
    if (rc == AUK_OK)
        rc = auk_file_read(&text, path, err);
    for (size_t at = 0; rc == AUK_OK && at < text.n;) {
        const char *stop = memchr(text.p + at, '\n', text.n - at);
        size_t n = stop != NULL ? (size_t)(stop - text.p) - at : text.n - at;
        json_t *line = NULL;
        if (n > 0) {
            rc = auk_json_parse(&line, (auk_str){text.p + at, n}, path, err);
            s->answers = auk_realloc(s->answers, (s->n + 1) * sizeof *s->answers);
            s->answers[s->n++] = (answer){0};
            if (rc == AUK_OK)
                rc = read_answer(&s->answers[s->n - 1], tok, line, err);
            json_decref(line);
        }
        at += n + 1;
    }
    auk_buf_release(&text);
    if (rc == AUK_OK) {
        *out = s;
        s = NULL;
    }
    auk_script_close(s);
    return rc;
}

void auk_script_close(auk_script *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++) {
        auk_ids_release(&s->answers[i].ids);
        json_decref(s->answers[i].match);
    }
    free(s->answers);
    free(s);
}

int auk_script_pause(auk_script *s)
{
    struct timespec t = {.tv_sec = s->pause_ms / 1000,
                         .tv_nsec = (long)(s->pause_ms % 1000) * 1000000};

    nanosleep(&t, NULL);
    return AUK_OK;
}

static bool holds_all(const auk_buf *text, const json_t *match)
{
    const json_t *word;
    size_t i;

    json_array_foreach(match, i, word) if (json_is_string(word) &&
                                           strstr(text->p ? text->p : "",
                                                  json_string_value(word)) == NULL) return false;
    return true;
}

int auk_script_pick(const auk_ids **out, auk_script *s, const auk_job *job, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    const auk_tokenizer *tok;
    answer *found = NULL;

    int rc = auk_engine_tokenizer(&tok, s->engine, err);
    if (rc == AUK_OK)
        rc = auk_tokenizer_decode(&text, tok, job->prompt.p, job->prompt.n, false, err);
    for (size_t i = 0; rc == AUK_OK && i < s->n && found == NULL; i++) {
        answer *a = &s->answers[i];
        if (holds_all(&text, a->match) && (a->repeat || !a->used))
            found = a;
    }
    auk_buf_release(&text);
    if (rc == AUK_OK && found == NULL)
        rc = auk_fail(err, AUK_ENOTFOUND, "the script has no answer left for this prompt");
    if (rc < 0)
        return rc;
    found->used = true;
    s->pause_ms = found->pause_ms;
    *out = &found->ids;
    return AUK_OK;
}

/* ---- text, held back where a stop string may begin ---- */

static void say_text(auk_lane *l, auk_str text)
{
    if (text.n > 0)
        auk_job_put(l->job, &(auk_say){.kind = AUK_SAY_TEXT, .text = text});
}

/* The length of the longest end of `text` that begins `stop`. */
static size_t overlap(auk_str text, auk_str stop)
{
    size_t n = stop.n > 0 ? stop.n - 1 : 0;

    n = n < text.n ? n : text.n;
    while (n > 0 && memcmp(text.p + text.n - n, stop.p, n) != 0)
        n--;
    return n;
}

static void put_text(auk_lane *l, auk_str text)
{
    const json_t *stops = l->job->ask.stops;
    size_t first = SIZE_MAX, hold = 0;

    if (l->stop_met >= 0)
        return;
    if (stops == NULL) {
        say_text(l, text);
        return;
    }
    auk_buf_add(&l->held, text.p, text.n);
    auk_str all = auk_buf_str(&l->held);
    for (size_t i = 0; i < json_array_size(stops); i++) {
        auk_str stop = auk_json_str(json_array_get(stops, i));
        for (size_t at = 0; stop.n > 0 && at + stop.n <= all.n && at < first; at++)
            if (memcmp(all.p + at, stop.p, stop.n) == 0) {
                first = at;
                l->stop_met = (int)i;
            }
        size_t n = overlap(all, stop);
        hold = n > hold ? n : hold;
    }
    size_t n = first < SIZE_MAX ? first : all.n - hold;
    say_text(l, (auk_str){all.p, n});
    if (first < SIZE_MAX) {
        l->stopped = true;
        auk_buf_clear(&l->held);
    } else {
        memmove(l->held.p, l->held.p + n, all.n - n);
        l->held.n = all.n - n;
    }
}

static void say_call(auk_lane *l, const auk_call *call)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    auk_buf args = AUK_BUF_INIT(AUK_MAX_CALL * 8);
    auk_rng rng = auk_rng_make(l->random++);
    char id[] = "call_00000000";

    if (l->job->ask.one_call && l->calls > 0)
        return;
    for (int i = 5; i < 13; i++)
        id[i] = digits[auk_rng_below(&rng, sizeof digits - 1)];
    auk_json_print(&args, call->arguments, (auk_json_style){0});
    auk_job_put(l->job,
                &(auk_say){.kind = AUK_SAY_TOOL_BEGIN, .text = call->name, .id = auk_str_of(id)});
    auk_job_put(l->job, &(auk_say){.kind = AUK_SAY_TOOL_ARGS, .text = auk_buf_str(&args)});
    auk_job_put(l->job, &(auk_say){.kind = AUK_SAY_TOOL_END});
    auk_buf_release(&args);
    l->calls++;
    l->stopped = l->stopped || l->job->ask.one_call;
}

static void on_event(void *ctx, const auk_parser_event *event)
{
    auk_lane *l = ctx;

    switch (event->kind) {
    case AUK_EVENT_THINKING:
        auk_job_put(l->job, &(auk_say){.kind = AUK_SAY_THINK, .text = event->text});
        break;
    case AUK_EVENT_TEXT:
        put_text(l, event->text);
        break;
    case AUK_EVENT_CALL:
        say_call(l, event->call);
        break;
    case AUK_EVENT_MALFORMED: /* better shown than lost */
        put_text(l, event->text);
        break;
    }
}

/* ---- life ---- */

int auk_lane_begin(auk_lane *l, auk_engine *e, bool loop_guard, auk_script *script, auk_err *err)
{
    const auk_ask *ask = &l->job->ask;
    auk_sample_options sample = auk_sample_defaults();

    if (ask->temperature >= 0)
        sample.temperature = (float)ask->temperature;
    if (ask->top_p > 0)
        sample.top_p = (float)ask->top_p;
    if (ask->top_p == 0) /* OpenAI's range begins at 0: the most probable only */
        sample.top_k = 1;
    if (ask->top_k > 0)
        sample.top_k = ask->top_k;
    sample.seed = ask->seed >= 0 ? (uint64_t)ask->seed : auk_now_ns();
    auk_decode_options opts = {.sample = sample,
                               .max_tokens = l->job->max_tokens,
                               .max_thinking = (size_t)ask->max_thinking,
                               .reasoning = l->job->reasoning,
                               .raw = ask->chat == NULL,
                               .loop_guard = loop_guard,
                               .constraint =
                                   l->job->constraint.mask != NULL ? &l->job->constraint : NULL,
                               .event = on_event,
                               .ctx = l};
    l->held = AUK_BUF_INIT(AUK_MAX_TEXT);
    l->stop_met = -1;
    l->random = auk_now_ns() ^ (uint64_t)(uintptr_t)l->job;
    int rc = auk_decode_new(&l->decode, e, &opts, err);
    if (rc == AUK_OK && script != NULL)
        rc = auk_script_pick(&l->script, script, l->job, err);
    return rc;
}

int auk_lane_next(auk_lane *l, auk_err *err)
{
    if (atomic_exchange(&l->job->end_thinking, false))
        auk_decode_end_thinking(l->decode);
    if (l->script != NULL) {
        l->id = l->script->p[l->script_at < l->script->n ? l->script_at : l->script->n - 1];
        l->script_at++;
        return auk_decode_follow(l->decode, l->id, err);
    }
    return auk_decode_next(&l->id, l->decode, l->logits, err);
}

int auk_lane_end(auk_lane *l, auk_end *end, auk_err *err)
{
    const json_t *stops = l->job->ask.stops;

    int rc = auk_decode_end(&l->parsed, l->decode, err);
    if (rc < 0)
        return rc;
    if (l->stop_met < 0 && stops != NULL)
        say_text(l, auk_buf_str(&l->held));
    auk_finish finish = auk_decode_finish(l->decode);
    if (l->stop_met >= 0)
        *end = AUK_END_SEQUENCE;
    else if (l->calls > 0 && (finish == AUK_FINISH_STOP || l->stopped))
        *end = AUK_END_TOOLS;
    else if (finish == AUK_FINISH_LENGTH)
        *end = AUK_END_LENGTH;
    else
        *end = finish == AUK_FINISH_LOOP ? AUK_END_LOOP : AUK_END_STOP;
    return AUK_OK;
}

void auk_lane_say_finish(auk_lane *l, auk_end end)
{
    const auk_job *job = l->job;
    uint64_t now = auk_now_ns();
    auk_ids all = {0};
    int rc = AUK_OK;

    l->usage.completion = (int64_t)auk_decode_tokens(l->decode);
    l->usage.reasoning = (int64_t)auk_decode_thinking_tokens(l->decode);
    l->usage.total_ns = (int64_t)(now - job->made_ns);
    l->usage.decode_ns = (int64_t)(now - l->began_ns) - l->usage.prefill_ns;
    for (size_t i = 0; i < job->prompt.n && rc == AUK_OK; i++)
        rc = auk_ids_add(&all, job->prompt.p[i], NULL);
    for (size_t i = 0; i < auk_decode_tokens(l->decode) && rc == AUK_OK; i++)
        rc = auk_ids_add(&all, auk_decode_ids(l->decode)[i], NULL);
    auk_job_put(l->job, &(auk_say){.kind = AUK_SAY_FINISH,
                                   .end = end,
                                   .stop = l->stop_met >= 0
                                               ? auk_json_str(json_array_get(job->ask.stops,
                                                                             (size_t)l->stop_met))
                                               : (auk_str){NULL, 0},
                                   .usage = l->usage,
                                   .ids = all.p,
                                   .n_ids = all.n});
    auk_ids_release(&all);
}

void auk_lane_clear(auk_lane *l)
{
    auk_decode_free(l->decode);
    auk_buf_release(&l->held);
    float *logits = l->logits;
    int number = l->number;
    uint64_t turn = l->turn;
    *l = (auk_lane){.number = number, .logits = logits, .turn = turn};
}
