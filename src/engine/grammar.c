/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/schema.h"

#include "base/mem.h"

#include <math.h>

#define MAX_THREADS 64
#define MAX_SPACE 24 /* bytes of white space in a row */
#define CHUNK 1024   /* frames */
#define INT_DIGITS 15
#define MAX_STACK 256

/* Never changed once made: threads share what they have in common. */
typedef struct frame {
    const struct frame *up; /* NULL: the end */
    uint64_t seen;          /* OBJECT: which properties; NUMBER: the digits so far */
    int64_t count;
    uint32_t lo, hi, pos;
    int node; /* -1: the end */
    uint16_t depth;
    uint8_t phase, space;
    bool negative;
} frame;

enum { BEGIN = 100 }; /* a value of this node is to begin */

typedef struct threads {
    const frame *at[MAX_THREADS];
    size_t n;
} threads;

typedef enum mode { THINKING, BETWEEN, TEXT, ACTION, AFTER, FREE } mode;

struct auk_grammar {
    auk_schema s;
    const auk_tokenizer *tok; /* borrowed */
    int vocab, text_node, action_node, key_node;
    bool text_only, reads_text, has_tools;
    auk_actions actions;
    mode mode;
    threads now;
    frame **chunks; /* owned */
    size_t n_chunks, used;
    int32_t end_thinking, start_text, end_text, start_action, end_action, end_turn;
};

/* ---- frames ---- */

static frame *new_frame(auk_grammar *g, const frame *like)
{
    if (g->used == g->n_chunks * CHUNK) {
        g->chunks = auk_realloc(g->chunks, (g->n_chunks + 1) * sizeof *g->chunks);
        g->chunks[g->n_chunks++] = auk_alloc(CHUNK * sizeof(frame));
    }
    frame *f = &g->chunks[g->used / CHUNK][g->used % CHUNK];
    g->used++;
    *f = *like;
    return f;
}

static const auk_node *node_of(const auk_grammar *g, const frame *f)
{
    return &g->s.nodes[f->node];
}

static void keep(threads *out, const frame *f)
{
    if (out->n < MAX_THREADS)
        out->at[out->n++] = f;
}

/* f's value is complete: what waits above it goes on. */
static void complete(auk_grammar *g, threads *out, const frame *up)
{
    while (up->node >= 0 && up->phase == 0 && node_of(g, up)->kind == AUK_NODE_SEQ &&
           (size_t)up->count == node_of(g, up)->n_parts)
        up = up->up;
    if (up->node >= 0 && node_of(g, up)->kind == AUK_NODE_SEQ) {
        frame next = *up;
        next.count++;
        frame part = {.up = new_frame(g, &next),
                      .node = node_of(g, up)->parts[up->count],
                      .depth = up->depth,
                      .phase = BEGIN};
        keep(out, new_frame(g, &part));
        return;
    }
    keep(out, up);
}

static void step(auk_grammar *g, threads *out, const frame *f, unsigned char c);

/* ---- texts ---- */

/* Narrows [lo, hi) of the sorted texts to those with byte c at pos. */
static void narrow(const auk_node *n, frame *f, unsigned char c)
{
    while (f->lo < f->hi &&
           (n->texts[f->lo].n <= f->pos || (unsigned char)n->texts[f->lo].p[f->pos] < c))
        f->lo++;
    uint32_t end = f->lo;
    while (end < f->hi && n->texts[end].n > f->pos && (unsigned char)n->texts[end].p[f->pos] == c)
        end++;
    f->hi = end;
    f->pos++;
}

static void step_choice(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    const auk_node *n = node_of(g, f);
    frame next = *f;

    narrow(n, &next, c);
    if (next.lo == next.hi)
        return;
    if (n->texts[next.lo].n == next.pos) {
        int follow = n->texts[next.lo].follow;
        if (follow >= 0) {
            frame value = {.up = f->up, .node = follow, .depth = f->depth, .phase = BEGIN};
            keep(out, new_frame(g, &value));
        } else {
            complete(g, out, f->up);
        }
    }
    if (next.hi - next.lo > 1 || n->texts[next.lo].n > next.pos)
        keep(out, new_frame(g, &next));
}

/* ---- strings ---- */

static int utf8_more(unsigned char c)
{
    return c < 0x80                 ? 0
           : c >= 0xC2 && c <= 0xDF ? 1
           : c >= 0xE0 && c <= 0xEF ? 2
           : c >= 0xF0 && c <= 0xF4 ? 3
                                    : -1;
}

static void step_string(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    const auk_node *n = node_of(g, f);
    frame next = *f;

    if (f->phase == 0 && f->pos > 0) { /* inside a character */
        bool fits = c >= f->lo && c <= f->hi;
        next.pos--;
        next.lo = 0x80;
        next.hi = 0xBF;
        if (fits)
            keep(out, new_frame(g, &next));
        return;
    }
    if (f->phase == 0 && c == '"') {
        if (f->count >= n->lo)
            complete(g, out, f->up);
        return;
    }
    bool room = f->count < n->hi;
    if (f->phase == 0 && c == '\\') {
        next.phase = 1;
    } else if (f->phase == 0) {
        int more = utf8_more(c);
        if (c < 0x20 || more < 0)
            return;
        next.pos = (uint32_t)more;
        next.lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        next.hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        next.count++;
    } else if (f->phase == 1) {
        next.count++;
        next.phase = c == 'u' ? 2 : 0;
        next.pos = 0;
        if (c == 0 || strchr("\"\\/bfnrtu", c) == NULL)
            return;
    } else { /* four digits, and no surrogate */
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool high = f->phase == 2 && (c == 'd' || c == 'D');
        if (!hex || (f->phase == 3 && f->negative && c > '7'))
            return;
        next.negative = high;
        next.phase = f->phase == 5 ? 0 : f->phase + 1;
    }
    if (room || f->phase != 0)
        keep(out, new_frame(g, &next));
}

/* ---- numbers ---- */

/* Can digits be added to v so that it comes to lie within [lo, hi], lo >= 0? */
static bool can_reach(uint64_t v, int digits, int64_t lo, int64_t hi)
{
    uint64_t scale = 1;

    for (int k = 0; k <= INT_DIGITS - digits; k++, scale *= 10) {
        int64_t a = (int64_t)(v * scale), b = a + (int64_t)scale - 1;
        if (a <= hi && b >= lo)
            return true;
        if (v == 0)
            return false;
    }
    return false;
}

static bool number_fits(const auk_node *n, const frame *f)
{
    int64_t lo = f->negative ? -n->hi : n->lo, hi = f->negative ? -n->lo : n->hi;

    if (!n->bounded)
        return true;
    return hi >= 0 && can_reach(f->seen, (int)f->count, lo > 0 ? lo : 0, hi);
}

static bool number_done(const auk_node *n, const frame *f)
{
    int64_t v = f->negative ? -(int64_t)f->seen : (int64_t)f->seen;

    if (f->phase != 1 && f->phase != 2 && f->phase != 4 && f->phase != 7)
        return false;
    return !n->bounded || f->phase == 4 || (v >= n->lo && v <= n->hi);
}

static bool may_have_fraction(const auk_node *n, const frame *f)
{
    int64_t v = (int64_t)f->seen, a = f->negative ? -(v + 1) : v, b = f->negative ? -v : v + 1;

    return !n->integer && (!n->bounded || (a >= n->lo && b <= n->hi));
}

/* The frame after c, or phase 255. */
static frame number_after(const auk_node *n, const frame *f, unsigned char c)
{
    frame next = *f;
    bool digit = c >= '0' && c <= '9';

    next.phase = 255;
    if (f->phase == 0 && digit) {
        next.phase = c == '0' ? 1 : 2;
        next.seen = c - '0';
        next.count = 1;
    } else if (f->phase == 2 && digit && f->count < INT_DIGITS) {
        next.phase = 2;
        next.seen = f->seen * 10 + (c - '0');
        next.count++;
    } else if ((f->phase == 1 || f->phase == 2) && c == '.' && may_have_fraction(n, f)) {
        next.phase = 3;
        next.pos = 0;
    } else if ((f->phase == 3 || f->phase == 4) && digit && f->pos < 15) {
        next.phase = 4;
        next.pos++;
    } else if ((f->phase == 1 || f->phase == 2 || f->phase == 4) && (c == 'e' || c == 'E') &&
               !n->integer && !n->bounded) {
        next.phase = 5;
        next.pos = 0;
    } else if (f->phase == 5 && (c == '+' || c == '-')) {
        next.phase = 6;
    } else if (f->phase >= 5 && digit && f->pos < 2) {
        next.phase = 7;
        next.pos++;
    }
    if ((next.phase == 1 || next.phase == 2) && !number_fits(n, &next))
        next.phase = 255;
    return next;
}

static void step_number(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    const auk_node *n = node_of(g, f);
    frame next = number_after(n, f, c);

    if (next.phase != 255) {
        keep(out, new_frame(g, &next));
        return;
    }
    if (!number_done(n, f))
        return;
    threads up = {.n = 0};
    complete(g, &up, f->up);
    for (size_t i = 0; i < up.n; i++)
        step(g, out, up.at[i], c);
}

static void step_digits(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    frame next = *f;

    next.count++;
    if (c >= '0' && c <= '9') {
        if (f->count < 9)
            keep(out, new_frame(g, &next));
        return;
    }
    threads up = {.n = 0};
    complete(g, &up, f->up);
    for (size_t i = 0; i < up.n; i++)
        step(g, out, up.at[i], c);
}

/* ---- beginnings ---- */

/* A value of `node` begins with c; `up` goes on after it. */
static void begin(auk_grammar *g, threads *out, int node, const frame *up, unsigned char c)
{
    const auk_node *n = &g->s.nodes[node];
    frame f = {.up = up, .node = node, .depth = (uint16_t)(up->depth + 1)};

    if (f.depth > MAX_STACK)
        return;
    switch (n->kind) {
    case AUK_NODE_ALT:
        for (size_t i = 0; i < n->n_parts; i++)
            begin(g, out, n->parts[i], up, c);
        break;
    case AUK_NODE_CHOICE:
        f.hi = (uint32_t)n->n_texts;
        step_choice(g, out, &f, c);
        break;
    case AUK_NODE_STRING:
        if (c == '"')
            keep(out, new_frame(g, &f));
        break;
    case AUK_NODE_NUMBER:
        if (c == '-' && (!n->bounded || n->lo < 0)) {
            f.negative = true;
            keep(out, new_frame(g, &f));
        } else if (c != '-') {
            frame next = number_after(n, &f, c);
            if (next.phase != 255)
                keep(out, new_frame(g, &next));
        }
        break;
    case AUK_NODE_OBJECT:
    case AUK_NODE_MAP:
        if (c == '{')
            keep(out, new_frame(g, &f));
        break;
    case AUK_NODE_ARRAY:
        if (c == '[')
            keep(out, new_frame(g, &f));
        break;
    case AUK_NODE_SEQ:
        f.count = 1;
        begin(g, out, n->parts[0], new_frame(g, &f), c);
        break;
    case AUK_NODE_DIGITS:
        f.count = 1;
        if (c >= '0' && c <= '9')
            keep(out, new_frame(g, &f));
        break;
    }
}

/* ---- containers ---- */

static bool space(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    frame next = *f;

    if (c != ' ' && c != '\n')
        return false;
    next.space++;
    if (f->space < MAX_SPACE)
        keep(out, new_frame(g, &next));
    return true;
}

static bool has_unseen(const frame *f)
{
    for (uint32_t i = f->lo; i < f->hi; i++)
        if ((f->seen >> i & 1) == 0)
            return true;
    return false;
}

static bool object_done(const auk_node *n, const frame *f)
{
    for (size_t i = 0; i < n->n_texts && n->kind == AUK_NODE_OBJECT; i++)
        if (n->texts[i].required && (f->seen >> i & 1) == 0)
            return false;
    return f->count >= n->lo;
}

enum { OPENED, KEY, COLON, VALUE, VALUED, COMMA };

static void step_object(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    const auk_node *n = node_of(g, f);
    bool map = n->kind == AUK_NODE_MAP;
    frame next = *f;

    next.space = 0;
    if (f->phase == KEY) {
        narrow(n, &next, c);
        if (!has_unseen(&next))
            return;
        if (n->texts[next.lo].n == next.pos) {
            next.phase = COLON;
            next.pos = next.lo;
        }
        keep(out, new_frame(g, &next));
        return;
    }
    if (f->phase == VALUE && c != ' ' && c != '\n') {
        uint32_t which = f->pos;
        next.phase = VALUED;
        next.count++;
        next.seen |= map ? 0 : (uint64_t)1 << which;
        begin(g, out, map ? n->parts[0] : n->texts[which].follow, new_frame(g, &next), c);
        return;
    }
    if (space(g, out, f, c))
        return;
    next.lo = 0;
    next.hi = (uint32_t)n->n_texts;
    bool more = f->count < n->hi && (map || has_unseen(&next));
    if (f->phase == COLON && c == ':') {
        next.phase = VALUE;
        keep(out, new_frame(g, &next));
    } else if ((f->phase == OPENED || f->phase == COMMA) && c == '"' && more) {
        next.phase = map ? COLON : KEY;
        next.pos = 1;
        if (map)
            begin(g, out, g->key_node, new_frame(g, &next), c);
        else
            keep(out, new_frame(g, &next));
    } else if ((f->phase == OPENED || f->phase == VALUED) && c == '}' && object_done(n, f)) {
        complete(g, out, f->up);
    } else if (f->phase == VALUED && c == ',' && more) {
        next.phase = COMMA;
        keep(out, new_frame(g, &next));
    }
}

static void step_array(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    const auk_node *n = node_of(g, f);
    frame next = *f;
    bool listed = f->count < (int64_t)n->n_parts;
    int item = listed ? n->parts[f->count] : n->rest;

    if (space(g, out, f, c))
        return;
    next.space = 0;
    if (f->phase == VALUED && c == ',' && f->count < n->hi && item >= 0) {
        next.phase = COMMA;
        keep(out, new_frame(g, &next));
    } else if (c == ']' && f->count >= n->lo && f->phase != COMMA) {
        complete(g, out, f->up);
    } else if (f->phase != VALUED && f->count < n->hi && item >= 0) {
        next.phase = VALUED;
        next.count++;
        begin(g, out, item, new_frame(g, &next), c);
    }
}

static void step(auk_grammar *g, threads *out, const frame *f, unsigned char c)
{
    if (f->node < 0)
        return;
    if (f->phase == BEGIN) {
        begin(g, out, f->node, f->up, c);
        return;
    }
    switch (node_of(g, f)->kind) {
    case AUK_NODE_CHOICE:
        step_choice(g, out, f, c);
        break;
    case AUK_NODE_STRING:
        step_string(g, out, f, c);
        break;
    case AUK_NODE_NUMBER:
        step_number(g, out, f, c);
        break;
    case AUK_NODE_OBJECT:
    case AUK_NODE_MAP:
        step_object(g, out, f, c);
        break;
    case AUK_NODE_ARRAY:
        step_array(g, out, f, c);
        break;
    case AUK_NODE_DIGITS:
        step_digits(g, out, f, c);
        break;
    default:
        break;
    }
}

/* Reads bytes; false: they cannot be read, and *t is as it was after the last that could. */
static bool read_bytes(auk_grammar *g, threads *t, auk_str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        threads next = {.n = 0};
        for (size_t k = 0; k < t->n; k++)
            step(g, &next, t->at[k], (unsigned char)bytes.p[i]);
        if (next.n == 0)
            return false;
        *t = next;
    }
    return bytes.n > 0;
}

static bool done(const auk_grammar *g, const threads *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const frame *f = t->at[i];
        bool number = f->node >= 0 && f->phase != BEGIN && node_of(g, f)->kind == AUK_NODE_NUMBER &&
                      f->up->node < 0;
        if (f->node < 0 || (number && number_done(node_of(g, f), f)))
            return true;
    }
    return false;
}

static void start(auk_grammar *g, int node)
{
    frame end = {.node = -1};
    const frame *bottom = new_frame(g, &end);
    frame first = {.up = bottom, .node = node, .phase = BEGIN};

    g->now.n = 0;
    keep(&g->now, new_frame(g, &first));
}

/* ---- tokens ---- */

static bool reads_token(auk_grammar *g, int32_t id)
{
    threads t = g->now;
    size_t mark = g->used;
    bool ok =
        !auk_tokenizer_is_control(g->tok, id) && read_bytes(g, &t, auk_tokenizer_piece(g->tok, id));

    g->used = mark;
    return ok;
}

static bool allows(void *ctx, int32_t id)
{
    auk_grammar *g = ctx;
    bool bound = g->reads_text || g->actions == AUK_ACTIONS_REQUIRED;
    bool may_act = g->actions != AUK_ACTIONS_NONE && g->has_tools;

    switch (g->mode) {
    case THINKING: /* what must come cannot come any more after the turn's end */
        if (!bound)
            return id != g->start_action || may_act;
        return id == g->end_thinking || !auk_tokenizer_is_control(g->tok, id);
    case BETWEEN:
        if (id == g->start_action)
            return may_act;
        if (g->actions == AUK_ACTIONS_REQUIRED)
            return false;
        return !g->reads_text || id == g->start_text;
    case TEXT:
        if (id == (g->text_only ? g->end_turn : g->end_text))
            return done(g, &g->now);
        return reads_token(g, id);
    case ACTION:
        return id == g->end_action ? done(g, &g->now) : reads_token(g, id);
    case AFTER:
        return id == g->end_turn;
    default:
        return id != g->start_action || may_act;
    }
}

static void accept(void *ctx, int32_t id)
{
    auk_grammar *g = ctx;

    if (id == g->end_thinking && g->mode == THINKING) {
        g->mode = BETWEEN;
    } else if (id == g->start_action && g->mode != ACTION && g->has_tools) {
        g->mode = ACTION;
        start(g, g->action_node);
    } else if (g->mode == BETWEEN) {
        g->mode = g->reads_text && id == g->start_text ? TEXT : FREE;
        if (g->mode == TEXT)
            start(g, g->text_node);
    } else if ((g->mode == TEXT && id == g->end_text) ||
               (g->mode == ACTION && id == g->end_action)) {
        g->mode = AFTER;
    } else if (g->mode == TEXT || g->mode == ACTION) {
        read_bytes(g, &g->now, auk_tokenizer_piece(g->tok, id));
    }
}

/* Tokens whose first byte cannot come are not looked at further. */
static void mask(void *ctx, float *logits)
{
    auk_grammar *g = ctx;
    bool first[256], bytes = g->mode == TEXT || g->mode == ACTION;
    size_t mark = g->used;

    for (int c = 0; c < 256 && bytes; c++) {
        char byte = (char)c;
        threads t = g->now;
        first[c] = read_bytes(g, &t, (auk_str){&byte, 1});
        g->used = mark;
    }
    for (int32_t id = 0; id < g->vocab; id++) {
        auk_str piece = auk_tokenizer_piece(g->tok, id);
        bool control = auk_tokenizer_is_control(g->tok, id);
        bool hopeless = bytes && !control && (piece.n == 0 || !first[(unsigned char)piece.p[0]]);
        if (hopeless || !allows(g, id))
            logits[id] = -INFINITY;
    }
}

auk_constraint auk_grammar_constraint(auk_grammar *g)
{
    return (auk_constraint){allows, mask, accept, g};
}

bool auk_grammar_reads(auk_grammar *g, auk_str text)
{
    threads t;

    start(g, g->text_node);
    t = g->now;
    return read_bytes(g, &t, text) && done(g, &t);
}

/* ---- making one ---- */

static int literal(auk_schema *s, const char *text)
{
    int node = auk_schema_node(s, AUK_NODE_CHOICE);

    auk_schema_text(s, node, auk_str_of(text), -1, false);
    return node;
}

/* [{"tool_call_id": "0", "tool_name": "x", "parameters": {...}}, ...] in the template's form. */
static int add_actions(auk_grammar *g, const auk_grammar_options *o, auk_err *err)
{
    auk_schema *s = &g->s;
    int rc = AUK_OK, array = auk_schema_node(s, AUK_NODE_ARRAY);
    int call = auk_schema_node(s, AUK_NODE_SEQ), names = auk_schema_node(s, AUK_NODE_CHOICE);

    for (size_t i = 0; i < json_array_size(o->tools) && rc == AUK_OK; i++) {
        const json_t *f = json_object_get(json_array_get(o->tools, i), "function");
        const json_t *parameters = json_object_get(f, "parameters");
        const char *name = json_string_value(json_object_get(f, "name"));
        auk_buf text = AUK_BUF_INIT((size_t)1 << 20);
        int node = -1;
        if (name == NULL || (o->only != NULL && strcmp(name, o->only) != 0))
            continue;
        json_t *object =
            json_is_object(parameters) ? json_copy((json_t *)parameters) : json_object();
        if (json_object_get(object, "type") == NULL)
            json_object_set_new(object, "type", json_string("object"));
        rc = auk_schema_add(&node, s, object, true, err);
        json_decref(object);
        auk_json_print_string(&text, auk_str_of(name), false);
        auk_buf_puts(&text, ", \"parameters\": ");
        auk_schema_text(s, names, auk_buf_str(&text), node, false);
        auk_buf_release(&text);
    }
    auk_schema_sort(s, names);
    int head = literal(s, "{\"tool_call_id\": \""), middle = literal(s, "\", \"tool_name\": ");
    int digits = auk_schema_node(s, AUK_NODE_DIGITS), tail = literal(s, "}");
    const int parts[] = {head, digits, middle, names, tail};
    for (int i = 0; i < 5; i++)
        auk_schema_part(s, call, parts[i]);
    s->nodes[array].rest = call;
    s->nodes[array].lo = 1;
    s->nodes[array].hi = o->one_call ? 1 : 64;
    g->action_node = array;
    return rc == AUK_OK ? auk_schema_check(s, array, err) : rc;
}

int auk_grammar_new(auk_grammar **out, const auk_tokenizer *tok, int vocab,
                    const auk_grammar_options *o, auk_err *err)
{
    auk_grammar *g = auk_alloc(sizeof *g);
    int rc = AUK_OK;

    *out = NULL;
    g->tok = tok;
    g->vocab = vocab;
    g->actions = o->actions;
    g->text_only = o->text;
    g->key_node = auk_schema_node(&g->s, AUK_NODE_STRING);
    if (o->schema != NULL) {
        g->reads_text = true;
        rc = auk_schema_add(&g->text_node, &g->s, o->schema, false, err);
        if (rc == AUK_OK)
            rc = auk_schema_check(&g->s, g->text_node, err);
    }
    if (rc == AUK_OK && json_array_size(o->tools) > 0) {
        g->has_tools = true;
        rc = add_actions(g, o, err);
    }
    g->end_thinking = auk_tokenizer_id(tok, "<|END_THINKING|>");
    g->start_text = auk_tokenizer_id(tok, "<|START_TEXT|>");
    g->end_text = auk_tokenizer_id(tok, "<|END_TEXT|>");
    g->start_action = auk_tokenizer_id(tok, "<|START_ACTION|>");
    g->end_action = auk_tokenizer_id(tok, "<|END_ACTION|>");
    g->end_turn = auk_tokenizer_id(tok, "<|END_OF_TURN_TOKEN|>");
    g->mode = o->text ? TEXT : o->reasoning ? THINKING : BETWEEN;
    if (rc == AUK_OK && o->text)
        start(g, g->text_node);
    if (rc == AUK_OK) {
        *out = g;
        g = NULL;
    }
    auk_grammar_free(g);
    return rc;
}

void auk_grammar_free(auk_grammar *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->n_chunks; i++)
        free(g->chunks[i]);
    free(g->chunks);
    auk_schema_release(&g->s);
    free(g);
}
