/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/say.h"

#include <inttypes.h>

static const char *const kinds[] = {"accepted",   "queued",    "prefill",  "think",  "text",
                                    "tool_begin", "tool_args", "tool_end", "finish", "error"};
static const char *const ends[] = {"stop", "sequence", "length", "loop", "tools", "load", "unload"};

static void put_text(auk_buf *out, const char *key, auk_str text)
{
    auk_buf_printf(out, ", \"%s\": ", key);
    auk_json_print_string(out, text, false);
}

void auk_say_print(auk_buf *out, const auk_say *s)
{
    const auk_usage *u = &s->usage;

    auk_buf_printf(out, "{\"event\": \"%s\"", kinds[s->kind]);
    if (s->kind == AUK_SAY_QUEUED)
        auk_buf_printf(out, ", \"position\": %" PRId64, s->position);
    if (s->kind == AUK_SAY_PREFILL)
        auk_buf_printf(out, ", \"done\": %" PRId64 ", \"total\": %" PRId64 ", \"cached\": %" PRId64,
                       s->done, s->total, s->cached);
    if (s->id.p != NULL)
        put_text(out, "id", s->id);
    if (s->text.p != NULL)
        put_text(out, "text", s->text);
    if (s->kind == AUK_SAY_ERROR)
        auk_buf_printf(out, ", \"code\": %d", s->code);
    if (s->kind == AUK_SAY_FINISH) {
        auk_buf_printf(out,
                       ", \"end\": \"%s\", \"prompt\": %" PRId64 ", \"cached\": %" PRId64
                       ", \"completion\": %" PRId64 ", \"reasoning\": %" PRId64
                       ", \"queue_ns\": %" PRId64 ", \"prefill_ns\": %" PRId64
                       ", \"decode_ns\": %" PRId64 ", \"total_ns\": %" PRId64,
                       ends[s->end], u->prompt, u->cached, u->completion, u->reasoning, u->queue_ns,
                       u->prefill_ns, u->decode_ns, u->total_ns);
        if (s->stop.p != NULL)
            put_text(out, "stop", s->stop);
    }
    auk_buf_putc(out, '}');
}

static int64_t number(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static int index_of(const json_t *v, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (auk_str_is(auk_json_str(v), names[i]))
            return i;
    return -1;
}

int auk_say_read(auk_say *out, const json_t *line, auk_err *err)
{
    int kind = index_of(json_object_get(line, "event"), kinds, sizeof kinds / sizeof *kinds);
    int end = index_of(json_object_get(line, "end"), ends, sizeof ends / sizeof *ends);

    if (kind < 0)
        return auk_fail(err, AUK_EFORMAT, "a line of an event log has no known 'event'");
    if (kind == AUK_SAY_FINISH && end < 0)
        return auk_fail(err, AUK_EFORMAT, "a 'finish' event has no known 'end'");
    *out = (auk_say){
        .kind = (auk_say_kind)kind,
        .text = auk_json_str(json_object_get(line, "text")),
        .id = auk_json_str(json_object_get(line, "id")),
        .stop = auk_json_str(json_object_get(line, "stop")),
        .position = number(line, "position"),
        .done = number(line, "done"),
        .total = number(line, "total"),
        .cached = number(line, "cached"),
        .end = end < 0 ? AUK_END_STOP : (auk_end)end,
        .code = (int)number(line, "code"),
        .usage = {number(line, "prompt"), number(line, "cached"), number(line, "completion"),
                  number(line, "reasoning"), number(line, "queue_ns"), number(line, "prefill_ns"),
                  number(line, "decode_ns"), number(line, "total_ns")},
    };
    return AUK_OK;
}
