/* SPDX-License-Identifier: Apache-2.0 */
/* llama-server's side doors: health, slots, metrics, tokens; and what explains the cache. */
#include "serve/server_state.h"

#include "base/mem.h"

#include <inttypes.h>

int auk_page_health(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                    auk_err *err)
{
    (void)c, (void)request, (void)err;
    if (atomic_load(&s->ready) && !atomic_load(&s->closing)) {
        auk_response_json(a, 200, json_pack("{s:s}", "status", "ok"));
    } else {
        auk_response_json(a, 503,
                          json_pack("{s:{s:i, s:s, s:s}}", "error", "code", 503, "message",
                                    atomic_load(&s->closing) ? "Shutting down" : "Loading model",
                                    "type", "unavailable_error"));
        auk_response_header(a, "Retry-After", "1");
    }
    return AUK_OK;
}

int auk_page_slots(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                   auk_err *err)
{
    auk_runner_stats *st = auk_alloc(sizeof *st);
    json_t *list = json_array();
    bool any_free = false;

    (void)request, (void)err;
    auk_runner_stats_get(st, s->runner);
    for (int i = 0; i < st->lanes; i++) {
        const auk_slot *slot = &st->slots[i];
        any_free = any_free || !slot->busy;
        json_array_append_new(
            list,
            json_pack("{s:i, s:i, s:b, s:b, s:I, s:s, s:I, s:I, s:I, s:I, s:{s:b, s:I}}", "id", i,
                      "n_ctx", st->ctx, "speculative", 0, "is_processing", slot->busy, "id_task",
                      slot->busy ? (json_int_t)slot->task : (json_int_t)-1, "prompt_hash",
                      slot->prompt_hash, "n_prompt_tokens", (json_int_t)slot->prompt,
                      "n_prompt_tokens_processed", (json_int_t)slot->read, "n_prompt_tokens_cache",
                      (json_int_t)slot->cached, "n_decoded", (json_int_t)slot->decoded,
                      "next_token", "has_next_token", slot->busy, "n_decoded",
                      (json_int_t)slot->decoded));
    }
    free(st);
    int status = auk_call_query(c, "fail_on_no_slot") != NULL && !any_free ? 503 : 200;
    auk_response_json(a, status, list);
    return AUK_OK;
}

/* ---- metrics ---- */

static void metric(auk_buf *out, const char *type, const char *name, const char *help, double v)
{
    auk_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
    auk_json_print_real(out, v);
    auk_buf_putc(out, '\n');
}

static void histogram(auk_buf *out, const char *name, const char *help, const auk_histogram *h)
{
    uint64_t sum = 0;

    auk_buf_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
    for (int i = 0; i < AUK_BUCKETS; i++) {
        sum += h->count[i];
        auk_buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, auk_bucket_s[i], sum);
    }
    sum += h->count[AUK_BUCKETS];
    auk_buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.9g\n%s_count %" PRIu64 "\n",
                   name, sum, name, h->sum, name, sum);
}

static double rate(double n, double s)
{
    return s > 0 ? n / s : 0;
}

int auk_page_metrics(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                     auk_err *err)
{
    auk_runner_stats *st = auk_alloc(sizeof *st);
    auk_buf *o = &a->body;

    (void)c, (void)request, (void)err;
    auk_runner_stats_get(st, s->runner);
    const struct {
        const char *type, *name, *help;
        double v;
    } all[] = {
        {"counter", "llamacpp:prompt_tokens_total", "Prompt tokens processed.",
         (double)(st->prompt_tokens - st->cached_tokens)},
        {"counter", "llamacpp:prompt_tokens_cached_total", "Prompt tokens taken from the cache.",
         (double)st->cached_tokens},
        {"counter", "llamacpp:prompt_seconds_total", "Time spent on prompts.", st->prefill_s},
        {"counter", "llamacpp:tokens_predicted_total", "Tokens generated.", (double)st->generated},
        {"counter", "llamacpp:tokens_predicted_seconds_total", "Time spent generating.",
         st->decode_s},
        {"counter", "llamacpp:n_decode_total", "Steps of the engine.", (double)st->steps},
        {"counter", "llamacpp:n_tokens_max", "Longest sequence seen.", (double)st->max_tokens_seen},
        {"gauge", "llamacpp:prompt_tokens_seconds", "Prompt tokens per second.",
         rate((double)(st->prompt_tokens - st->cached_tokens), st->prefill_s)},
        {"gauge", "llamacpp:predicted_tokens_seconds", "Generated tokens per second.",
         rate((double)st->generated, st->decode_s)},
        {"gauge", "llamacpp:requests_processing", "Requests in lanes.", st->processing},
        {"gauge", "llamacpp:requests_deferred", "Requests in the queue.", st->queued},
        {"gauge", "llamacpp:n_busy_slots_per_decode", "Mean sequences per step.",
         rate((double)st->busy_slots, (double)st->steps)},
        {"counter", "auklet_requests_total", "Requests that reached a lane.", (double)st->requests},
        {"counter", "auklet_cancelled_total", "Requests whose client left.", (double)st->cancelled},
        {"counter", "auklet_failed_total", "Requests that ended with an error.",
         (double)st->failed},
        {"counter", "auklet_refused_total", "Requests refused because the queue was full.",
         (double)st->refused},
        {"counter", "auklet_loops_total", "Answers stopped by the loop guard.", (double)st->loops},
        {"gauge", "auklet_connections", "Open connections.",
         (double)auk_server_connections(s->http)},
        {"gauge", "auklet_cache_bytes", "Bytes of the prefix cache in memory.",
         (double)st->prefix.bytes},
        {"gauge", "auklet_cache_snapshots", "Snapshots of the prefix cache in memory.",
         (double)st->prefix.snapshots},
        {"gauge", "auklet_cache_disk_bytes", "Bytes of the prefix cache on disk.",
         (double)st->prefix.disk_bytes},
        {"counter", "auklet_cache_loads_total", "Prompts that began with something known.",
         (double)st->prefix.loads},
        {"counter", "auklet_cache_misses_total", "Prompts that did not.",
         (double)st->prefix.misses},
        {"counter", "auklet_cache_evictions_total", "Snapshots dropped from memory.",
         (double)st->prefix.evictions},
        {"counter", "auklet_cache_disk_loads_total", "Snapshots read from disk.",
         (double)st->prefix.disk_loads},
    };
    a->status = 200;
    a->type = "text/plain; version=0.0.4; charset=utf-8";
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        metric(o, all[i].type, all[i].name, all[i].help, all[i].v);
    histogram(o, "auklet_time_to_first_token_seconds", "From acceptance to the first token.",
              &st->first_token);
    histogram(o, "auklet_token_gap_seconds", "Between two tokens of an answer.", &st->gap);
    auk_response_header(a, "Process-Start-Time-Unix", "%lld", (long long)s->started);
    free(st);
    return AUK_OK;
}

/* ---- tokens ---- */

int auk_page_tokenize(auk_serving *s, const auk_http_call *c, const json_t *request,
                      auk_response *a, auk_err *err)
{
    const json_t *content = json_object_get(request, "content");
    bool special = true, pieces = false, add = false;
    auk_ids ids = {0};

    (void)c;
    int rc = auk_field_bool(&special, request, "parse_special", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&pieces, request, "with_pieces", err);
    if (rc == AUK_OK)
        rc = auk_field_bool(&add, request, "add_special", err);
    if (rc == AUK_OK && !json_is_string(content))
        rc = auk_fail(err, AUK_EFORMAT, "'content' must be a string");
    if (rc == AUK_OK && add && auk_tokenizer_id(s->tok, "<BOS_TOKEN>") >= 0)
        rc = auk_ids_add(&ids, auk_tokenizer_id(s->tok, "<BOS_TOKEN>"), err);
    if (rc == AUK_OK)
        rc = auk_tokenizer_encode(&ids, s->tok, auk_json_str(content), special, err);
    json_t *list = json_array();
    for (size_t i = 0; i < ids.n && rc == AUK_OK; i++) {
        auk_str piece = auk_tokenizer_piece(s->tok, ids.p[i]);
        json_t *text = json_stringn(piece.p, piece.n);
        if (text == NULL) { /* part of a character: its bytes */
            text = json_array();
            for (size_t k = 0; k < piece.n; k++)
                json_array_append_new(text, json_integer((unsigned char)piece.p[k]));
        }
        if (pieces)
            json_array_append_new(list,
                                  json_pack("{s:i, s:o}", "id", (int)ids.p[i], "piece", text));
        else
            json_array_append_new(list, json_integer(ids.p[i]));
        if (!pieces)
            json_decref(text);
    }
    auk_ids_release(&ids);
    if (rc == AUK_OK)
        auk_response_json(a, 200, json_pack("{s:o}", "tokens", list));
    else
        json_decref(list);
    return rc;
}

int auk_page_detokenize(auk_serving *s, const auk_http_call *c, const json_t *request,
                        auk_response *a, auk_err *err)
{
    const json_t *tokens = json_object_get(request, "tokens");
    auk_buf text = AUK_BUF_INIT((size_t)1 << 28);
    auk_ids ids = {0};
    int rc = AUK_OK;

    (void)c;
    if (!json_is_array(tokens))
        rc = auk_fail(err, AUK_EFORMAT, "'tokens' must be a list of token ids");
    for (size_t i = 0; i < json_array_size(tokens) && rc == AUK_OK; i++) {
        const json_t *v = json_array_get(tokens, i);
        json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id >= auk_engine_vocab(s->engine))
            rc = auk_fail(err, AUK_EINVAL, "tokens[%zu] is not a token id within [0, %d)", i,
                          auk_engine_vocab(s->engine));
        else
            rc = auk_ids_add(&ids, (int32_t)id, err);
    }
    if (rc == AUK_OK)
        rc = auk_tokenizer_decode(&text, s->tok, ids.p, ids.n, false, err);
    if (rc == AUK_OK)
        auk_response_json(a, 200, json_pack("{s:s%}", "content", auk_buf_str(&text).p, text.n));
    auk_buf_release(&text);
    auk_ids_release(&ids);
    return rc;
}

int auk_page_template(auk_serving *s, const auk_http_call *c, const json_t *request,
                      auk_response *a, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT((size_t)1 << 28);
    json_t *copy = json_copy((json_t *)request);
    auk_ask ask;

    (void)c;
    auk_ask_init(&ask);
    if (json_object_get(copy, "model") == NULL)
        json_object_set_new(copy, "model", json_string(s->name));
    int rc = auk_dialect_openai.parse(&ask, copy, err);
    if (rc == AUK_OK)
        rc = auk_request_prepare(ask.chat, err);
    if (rc == AUK_OK)
        rc = auk_render(&text, ask.chat, err);
    if (rc == AUK_OK)
        auk_response_json(a, 200, json_pack("{s:s%}", "prompt", auk_buf_str(&text).p, text.n));
    auk_buf_release(&text);
    json_decref(copy);
    auk_ask_release(&ask);
    return rc;
}

int auk_page_control(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                     auk_err *err)
{
    auk_str id = auk_json_str(json_object_get(request, "id"));
    auk_str action = auk_json_str(json_object_get(request, "action"));

    (void)c;
    if (!auk_str_is(action, "reasoning_end") || id.p == NULL)
        return auk_fail(err, AUK_EINVAL, "'id' and 'action': \"reasoning_end\" are needed");
    if (!auk_runner_end_thinking(s->runner, id))
        return auk_fail(err, AUK_ENOTFOUND, "no answer of this id is running");
    auk_response_json(a, 200, json_pack("{s:b}", "success", 1));
    return AUK_OK;
}

/* ---- the cache ---- */

static json_t *recent_json(const auk_recent *r)
{
    static const char *const ends[] = {"stop",  "sequence", "length", "loop",
                                       "tools", "load",     "unload"};
    const auk_usage *u = &r->usage;

    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:s}", "id", r->id, "dialect",
        r->dialect, "end", r->end < 0 ? "cancelled or failed" : ends[r->end], "prompt_tokens",
        (json_int_t)u->prompt, "cached_tokens", (json_int_t)u->cached, "completion_tokens",
        (json_int_t)u->completion, "reasoning_tokens", (json_int_t)u->reasoning, "queue_ms",
        (double)u->queue_ns / 1e6, "first_token_ms", (double)r->first_ns / 1e6, "prefill_ms",
        (double)u->prefill_ns / 1e6, "decode_ms", (double)u->decode_ns / 1e6, "total_ms",
        (double)u->total_ns / 1e6, "cache_miss_at", r->miss);
}

static json_t *recent_list(const auk_runner_stats *st, const char *id)
{
    json_t *list = json_array();

    for (int i = 0; i < st->n_recent; i++)
        if (id == NULL || strstr(id, st->recent[i].id) != NULL)
            json_array_append_new(list, recent_json(&st->recent[i]));
    return list;
}

int auk_page_cache(auk_serving *s, const auk_http_call *c, const json_t *request, auk_response *a,
                   auk_err *err)
{
    auk_runner_stats *st = auk_alloc(sizeof *st);

    (void)request, (void)err;
    auk_runner_stats_get(st, s->runner);
    const auk_prefix_stats *p = &st->prefix;
    json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "bytes",
                          (json_int_t)p->bytes, "snapshots", (json_int_t)p->snapshots, "tokens",
                          (json_int_t)p->tokens, "disk_bytes", (json_int_t)p->disk_bytes,
                          "disk_files", (json_int_t)p->disk_files, "loads", (json_int_t)p->loads,
                          "loaded_tokens", (json_int_t)p->loaded_tokens, "misses",
                          (json_int_t)p->misses, "saves", (json_int_t)p->saves, "evictions",
                          (json_int_t)p->evictions, "disk_loads", (json_int_t)p->disk_loads);
    json_object_set_new(o, "requests", recent_list(st, auk_call_query(c, "request")));
    free(st);
    auk_response_json(a, 200, o);
    return AUK_OK;
}
