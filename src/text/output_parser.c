/* SPDX-License-Identifier: Apache-2.0 */
#include "text/action.h"
#include "text/text.h"
#include "text/utf8.h"

#include "base/limits.h"
#include "base/mem.h"

typedef enum marker {
    START_THINKING,
    END_THINKING,
    START_TEXT,
    END_TEXT,
    START_ACTION,
    END_ACTION,
    END_OF_TURN,
    NO_MARKER, /* these bytes are text */
    UNDECIDED, /* a marker may be on its way */
} marker;

/* All begin with their only '<': what follows a mismatch can be text at once. */
static const struct {
    const char *text;
    marker marker;
} markers[] = {{"<|START_THINKING|>", START_THINKING}, {"<|END_THINKING|>", END_THINKING},
               {"<|START_TEXT|>", START_TEXT},         {"<|END_TEXT|>", END_TEXT},
               {"<|START_RESPONSE|>", START_TEXT},     {"<|END_RESPONSE|>", END_TEXT},
               {"<|START_ACTION|>", START_ACTION},     {"<|END_ACTION|>", END_ACTION},
               {"<|END_OF_TURN_TOKEN|>", END_OF_TURN}};
enum { N_MARKERS = sizeof markers / sizeof *markers, LONGEST_MARKER = 32 };
static const char end_action[] = "<|END_ACTION|>";

typedef enum state { THINKING, BETWEEN, TEXT, ACTION, DONE } state;

/* Text of one kind, and the white space after it that is text only if more follows. */
typedef struct stream {
    auk_buf all, space;
    auk_event_kind kind;
} stream;

struct auk_parser {
    auk_parser_fn *fn;
    void *ctx;
    state state;
    bool ended_thinking;       /* the state before DONE was THINKING */
    char held[LONGEST_MARKER]; /* perhaps the beginning of a marker */
    size_t n_held;
    stream thinking, text;
    auk_buf between; /* white space outside the blocks: text if text follows without opener */

    /* After a stray end of thinking the next block may be the answer again.  Its first n_same
     * bytes equal the answer's and are held back; white space after a whole copy is in `extra`. */
    bool may_repeat;
    size_t n_same;
    auk_buf extra;

    /* Inside an action: the object that is open, or bytes that belong to no object. */
    auk_buf piece;
    size_t depth; /* brackets open in the object; 0: outside of objects */
    size_t lists; /* square brackets open around the objects */
    bool in_string, escaped, has_json, malformed;

    auk_call *calls; /* owned, each with its source */
    size_t n_calls;
    int rc; /* the first failure */
};

auk_parser *auk_parser_new(bool reasoning_on, auk_parser_fn *fn, void *ctx)
{
    auk_parser *p = auk_alloc(sizeof *p);

    p->fn = fn;
    p->ctx = ctx;
    p->state = reasoning_on ? THINKING : BETWEEN;
    p->thinking =
        (stream){AUK_BUF_INIT(AUK_MAX_TEXT), AUK_BUF_INIT(AUK_MAX_TEXT), AUK_EVENT_THINKING};
    p->text = (stream){AUK_BUF_INIT(AUK_MAX_TEXT), AUK_BUF_INIT(AUK_MAX_TEXT), AUK_EVENT_TEXT};
    p->between = AUK_BUF_INIT(AUK_MAX_TEXT);
    p->extra = AUK_BUF_INIT(AUK_MAX_TEXT);
    p->piece = AUK_BUF_INIT(AUK_MAX_CALL);
    return p;
}

void auk_parser_free(auk_parser *p)
{
    if (p == NULL)
        return;
    auk_buf_release(&p->thinking.all);
    auk_buf_release(&p->thinking.space);
    auk_buf_release(&p->text.all);
    auk_buf_release(&p->text.space);
    auk_buf_release(&p->between);
    auk_buf_release(&p->extra);
    auk_buf_release(&p->piece);
    for (size_t i = 0; i < p->n_calls; i++)
        json_decref(p->calls[i].source);
    free(p->calls);
    free(p);
}

bool auk_parser_done(const auk_parser *p)
{
    return p->state == DONE;
}

/* ---- text ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void say(auk_parser *p, auk_event_kind kind, auk_str text, const auk_call *call)
{
    if (p->fn != NULL)
        p->fn(p->ctx, &(auk_parser_event){kind, text, call});
}

static void emit(auk_parser *p, stream *s, auk_str bytes)
{
    size_t n = bytes.n;

    while (n > 0 && is_space(bytes.p[n - 1]))
        n--;
    if (n > 0) {
        if (s->space.n > 0) {
            auk_buf_add(&s->all, s->space.p, s->space.n);
            say(p, s->kind, auk_buf_str(&s->space), NULL);
            auk_buf_clear(&s->space);
        }
        auk_buf_add(&s->all, bytes.p, n);
        say(p, s->kind, (auk_str){bytes.p, n}, NULL);
    }
    auk_buf_add(&s->space, bytes.p + n, bytes.n - n);
}

/* The block is not the same answer again, at least not all of it: it is text after all. */
static void release_repeat(auk_parser *p)
{
    char *same = auk_strndup(p->text.all.p, p->n_same);

    p->may_repeat = false;
    emit(p, &p->text, (auk_str){same, p->n_same});
    if (p->extra.n > 0)
        emit(p, &p->text, auk_buf_str(&p->extra));
    auk_buf_clear(&p->extra);
    p->n_same = 0;
    free(same);
}

static void put_text(auk_parser *p, auk_str bytes)
{
    size_t i = 0;

    while (p->may_repeat && i < bytes.n) {
        char c = bytes.p[i];
        if (p->n_same < p->text.all.n && c == p->text.all.p[p->n_same]) {
            p->n_same++;
        } else if (p->n_same == p->text.all.n && is_space(c)) {
            auk_buf_putc(&p->extra, c);
        } else {
            release_repeat(p);
            break;
        }
        i++;
    }
    if (i < bytes.n)
        emit(p, &p->text, auk_str_from(bytes, i));
}

static void end_text(auk_parser *p)
{
    if (p->may_repeat && p->n_same > 0 && p->n_same < p->text.all.n)
        release_repeat(p); /* a part of it only */
    p->may_repeat = false;
    p->n_same = 0;
    auk_buf_clear(&p->extra);
}

/* ---- actions ---- */

static void lose_piece(auk_parser *p)
{
    p->malformed = true;
    if (p->piece.n > 0)
        say(p, AUK_EVENT_MALFORMED, auk_buf_str(&p->piece), NULL);
    auk_buf_clear(&p->piece);
}

static void end_object(auk_parser *p)
{
    auk_call call;

    if (!auk_action_read(&call, auk_buf_str(&p->piece))) {
        lose_piece(p);
        return;
    }
    auk_buf_clear(&p->piece);
    if (p->n_calls == AUK_MAX_CALLS) {
        json_decref(call.source);
        p->rc = AUK_ELIMIT;
        return;
    }
    if ((p->n_calls & (p->n_calls - 1)) == 0) /* full at powers of two */
        p->calls = auk_realloc(p->calls, (p->n_calls ? 2 * p->n_calls : 1) * sizeof *p->calls);
    p->calls[p->n_calls] = call;
    say(p, AUK_EVENT_CALL, (auk_str){"", 0}, &p->calls[p->n_calls++]);
}

static void put_object_byte(auk_parser *p, char c)
{
    auk_buf_putc(&p->piece, c);
    if (p->in_string) {
        if (p->escaped)
            p->escaped = false;
        else if (c == '\\')
            p->escaped = true;
        else if (c == '"')
            p->in_string = false;
    } else if (c == '"') {
        p->in_string = true;
    } else if (c == '{' || c == '[') {
        p->depth++;
    } else if ((c == '}' || c == ']') && --p->depth == 0) {
        end_object(p);
    }
}

static void put_action_byte(auk_parser *p, char c)
{
    if (p->depth > 0) {
        put_object_byte(p, c);
    } else if (c == '{') {
        if (p->piece.n > 0)
            lose_piece(p);
        p->has_json = true;
        put_object_byte(p, c);
    } else if (c == '[') {
        p->has_json = true;
        p->lists++;
    } else if (c == ']') {
        p->lists -= p->lists > 0;
    } else if (c != ',' && !(is_space(c) && p->piece.n == 0)) {
        auk_buf_putc(&p->piece, c);
    }
}

/* closed: the model wrote a marker; else the stream ended here. */
static void end_block_of_action(auk_parser *p, bool closed)
{
    if (p->piece.n > 0 || !p->has_json || (!closed && p->lists > 0))
        lose_piece(p);
    p->depth = p->lists = 0;
    p->in_string = p->escaped = p->has_json = false;
}

/* ---- blocks ---- */

static void end_block(auk_parser *p, bool closed)
{
    if (p->state == TEXT)
        end_text(p);
    else if (p->state == ACTION)
        end_block_of_action(p, closed);
    auk_buf_clear(&p->between);
}

static void enter(auk_parser *p, state next)
{
    end_block(p, true);
    p->ended_thinking = p->state == THINKING;
    p->may_repeat = false;
    p->state = next;
}

static void put_marker(auk_parser *p, marker m)
{
    state from = p->state;

    switch (m) {
    case START_THINKING:
        if (from != THINKING)
            enter(p, THINKING);
        break;
    case END_THINKING:
        if (from == ACTION)
            break;
        enter(p, BETWEEN);
        p->may_repeat = from != THINKING && p->text.all.n > 0;
        break;
    case START_TEXT:
        if (from != TEXT) {
            bool may_repeat = from == BETWEEN && p->may_repeat;
            enter(p, TEXT);
            p->may_repeat = may_repeat;
        }
        break;
    case END_TEXT:
        if (from == TEXT)
            enter(p, BETWEEN);
        break;
    case START_ACTION:
        if (from != ACTION || p->has_json || p->piece.n > 0)
            enter(p, ACTION);
        break;
    case END_ACTION:
        if (from == ACTION)
            enter(p, BETWEEN);
        break;
    default:
        enter(p, DONE);
    }
}

static void put_bytes(auk_parser *p, auk_str bytes)
{
    size_t i = 0;

    switch (p->state) {
    case THINKING:
        emit(p, &p->thinking, bytes);
        break;
    case BETWEEN:
        while (i < bytes.n && is_space(bytes.p[i]))
            i++;
        auk_buf_add(&p->between, bytes.p, i);
        if (i == bytes.n)
            break;
        p->state = TEXT; /* without opener: then the white space before it is its own */
        put_text(p, auk_buf_str(&p->between));
        auk_buf_clear(&p->between);
        put_text(p, auk_str_from(bytes, i));
        break;
    case TEXT:
        put_text(p, bytes);
        break;
    case ACTION:
        for (; i < bytes.n && p->rc == AUK_OK; i++)
            put_action_byte(p, bytes.p[i]);
        break;
    default:
        break;
    }
}

static marker match(const char *held, size_t n)
{
    marker m = NO_MARKER;

    for (size_t i = 0; i < N_MARKERS && m == NO_MARKER; i++) {
        size_t length = strlen(markers[i].text);
        if (n <= length && memcmp(held, markers[i].text, n) == 0)
            m = n == length ? markers[i].marker : UNDECIDED;
    }
    return m;
}

/* How many bytes from the first on can be put before looking for a marker. */
static size_t plain_run(const auk_parser *p, auk_str bytes)
{
    bool escaped = p->escaped;
    size_t i = 0;

    if (p->state == ACTION && p->in_string) { /* texts may hold markers: to the end of the text */
        for (; i < bytes.n; i++) {
            if (!escaped && bytes.p[i] == '"')
                return i + 1;
            escaped = !escaped && bytes.p[i] == '\\';
        }
        return i;
    }
    while (i < bytes.n && bytes.p[i] != '<')
        i++;
    return i;
}

static void put_held(auk_parser *p)
{
    size_t n = p->n_held;

    p->n_held = 0;
    put_bytes(p, (auk_str){p->held, n});
}

static void take(auk_parser *p, auk_str bytes)
{
    size_t i = 0;

    while (i < bytes.n && p->state != DONE && p->rc == AUK_OK) {
        if (p->n_held == 0) {
            size_t n = plain_run(p, auk_str_from(bytes, i));
            if (n > 0)
                put_bytes(p, (auk_str){bytes.p + i, n});
            i += n;
            if (n > 0)
                continue;
        }
        if (p->n_held > 0 && bytes.p[i] == '<') {
            put_held(p);
            continue;
        }
        p->held[p->n_held++] = bytes.p[i];
        marker m = match(p->held, p->n_held);
        if (m == NO_MARKER) {
            p->n_held--; /* the last byte may be a quote or a bracket */
            put_held(p);
            continue;
        }
        i++;
        if (m == UNDECIDED)
            continue;
        p->n_held = 0;
        put_marker(p, m);
    }
}

static int check(auk_parser *p, auk_err *err)
{
    const auk_buf *bufs[] = {&p->thinking.all, &p->thinking.space, &p->text.all, &p->text.space,
                             &p->between,      &p->extra,          &p->piece};

    if (p->rc == AUK_ELIMIT)
        return auk_fail(err, p->rc, "the model's output has more than %d tool calls",
                        AUK_MAX_CALLS);
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) {
        int rc = auk_buf_check(bufs[i], "a part of the model's output", err);
        if (rc < 0)
            return rc;
    }
    return AUK_OK;
}

int auk_parser_feed(auk_parser *p, auk_str bytes, auk_err *err)
{
    take(p, bytes);
    return check(p, err);
}

/* ---- the end ---- */

/* A text in the last object never ended, and swallowed what may be the end of the action: then
 * the object is lost, and what follows its last end marker is read as usual. */
static bool reopen(auk_parser *p)
{
    size_t n = sizeof end_action - 1, at = p->piece.n;

    if (p->state != ACTION || !p->in_string || p->piece.n < n)
        return false;
    for (at = p->piece.n - n; at > 0 && memcmp(p->piece.p + at, end_action, n) != 0;)
        at--;
    if (at == 0)
        return false;
    size_t rest_n = p->piece.n - at - n;
    char *rest = auk_strndup(p->piece.p + at + n, rest_n);
    p->piece.n = at;
    p->piece.p[at] = 0;
    enter(p, BETWEEN);
    take(p, (auk_str){rest, rest_n});
    free(rest);
    return true;
}

static auk_outcome outcome_of(const auk_parser *p)
{
    if (p->malformed)
        return AUK_OUTCOME_MALFORMED_ACTION;
    if (p->n_calls > 0)
        return AUK_OUTCOME_TOOL_CALLS;
    if (p->text.all.n > 0)
        return AUK_OUTCOME_ANSWER;
    return p->ended_thinking && p->thinking.all.n > 0 ? AUK_OUTCOME_UNCLOSED_THINKING
                                                      : AUK_OUTCOME_EMPTY;
}

int auk_parser_finish(auk_parsed *out, auk_parser *p, auk_err *err)
{
    do
        put_held(p);
    while (reopen(p));
    if (p->state != DONE) {
        end_block(p, false);
        p->ended_thinking = p->state == THINKING;
        p->state = DONE;
    }
    int rc = check(p, err);
    *out = (auk_parsed){auk_buf_str(&p->thinking.all), auk_buf_str(&p->text.all), p->calls,
                        p->n_calls, outcome_of(p)};
    return rc;
}

const char *auk_outcome_name(auk_outcome outcome)
{
    static const char *const names[] = {"answer", "tool_calls", "malformed_action", "empty",
                                        "unclosed_thinking"};

    return names[outcome];
}

/* A JSON string, or null for an empty text. */
static json_t *json_text(auk_str s)
{
    auk_buf clean = AUK_BUF_INIT(SIZE_MAX / 2);

    if (s.n == 0)
        return json_null();
    auk_utf8_lossy(&clean, s, true);
    json_t *v = json_stringn(auk_buf_str(&clean).p, clean.n);
    auk_buf_release(&clean);
    return v;
}

void auk_parsed_json(json_t **out, const auk_parsed *parsed)
{
    json_t *calls = json_array();

    for (size_t i = 0; i < parsed->n_calls; i++) {
        const auk_call *c = &parsed->calls[i];
        json_array_append_new(calls, json_pack("{s:o, s:o, s:O}", "id", json_text(c->id), "name",
                                               json_text(c->name), "arguments", c->arguments));
    }
    *out = json_pack("{s:o, s:o, s:o, s:s}", "thinking", json_text(parsed->thinking), "text",
                     json_text(parsed->text), "tool_calls", calls, "outcome",
                     auk_outcome_name(parsed->outcome));
}
