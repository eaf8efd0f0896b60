/* SPDX-License-Identifier: Apache-2.0 */
/* The two curves of an audit, from its samples. */
#include "report/rows.h"

#include "base/mem.h"

#include <math.h>

static const char *const states[] = {"passed", "wrong", "truncated", "no_answer", "error"};
#define N_STATES 5
#define ERROR_STATE 4

/* A cell: the samples of one kind aimed at one depth. */
typedef struct cell {
    int64_t rung, depth;
    bool added, measured;
    size_t asked;
    unsigned char *state; /* owned; per sample, N_STATES: none */
    double depth_sum;
    size_t depth_n;
} cell;

typedef struct curve {
    const char *kind;
    cell *cells; /* owned */
    size_t n, samples;
    int per_sheet;
} curve;

static const json_t *find(const auk_rows *rows, const char *item)
{
    for (size_t i = 0; i < rows->n; i++) {
        const char *what = json_string_value(json_object_get(rows->p[i], "item"));
        if (what != NULL && strcmp(what, item) == 0)
            return rows->p[i];
    }
    return NULL;
}

static int64_t integer(const json_t *v, const char *key)
{
    return json_integer_value(json_object_get(v, key));
}

static cell *cell_of(curve *c, const json_t *item)
{
    int64_t rung = integer(item, "rung_tokens");

    for (size_t i = 0; i < c->n; i++)
        if (c->cells[i].rung == rung)
            return &c->cells[i];
    c->cells = auk_realloc(c->cells, (c->n + 1) * sizeof *c->cells);
    cell *x = &c->cells[c->n++];
    *x = (cell){.rung = rung, .added = json_is_true(json_object_get(item, "bisection"))};
    x->state = auk_alloc(c->samples);
    memset(x->state, N_STATES, c->samples);
    return x;
}

/* A sample that was asked again takes the place of the one before. */
static int take_sample(curve *c, const json_t *item, auk_err *err)
{
    const char *state = json_string_value(json_object_get(item, "state"));
    int64_t sheet = integer(item, "sheet"), question = integer(item, "question");
    const json_t *depth = json_object_get(item, "depth_tokens");
    size_t s = 0;

    while (s < N_STATES && (state == NULL || strcmp(state, states[s]) != 0))
        s++;
    if (s == N_STATES)
        return auk_fail(err, AUK_EFORMAT, "a sample has the state '%s'", state ? state : "");
    if (sheet < 0 || question < 0 || sheet > 1000 || question > 1000 ||
        (size_t)(sheet * c->per_sheet + question) >= c->samples)
        return auk_fail(err, AUK_EFORMAT, "a sample is not one of the plan's %zu", c->samples);
    cell *x = cell_of(c, item);
    x->state[sheet * c->per_sheet + question] = (unsigned char)s;
    x->asked++;
    if (json_is_integer(depth) && s != ERROR_STATE) {
        x->depth_sum += (double)json_integer_value(depth);
        x->depth_n++;
    }
    return AUK_OK;
}

static auk_rung compare(const curve *c, const cell *base, const cell *x)
{
    auk_rung r = {.depth = x->depth, .added = x->added};

    for (size_t i = 0; i < c->samples; i++) {
        bool a = base->state[i] == 0, b = x->state[i] == 0;
        if (base->state[i] >= ERROR_STATE || x->state[i] >= ERROR_STATE)
            r.missing++;
        else if (a && b)
            r.both++;
        else if (a)
            r.base_only++;
        else if (b)
            r.cell_only++;
        else
            r.none++;
    }
    return r;
}

static int by_depth(const void *x, const void *y)
{
    const cell *a = x, *b = y;
    return a->depth < b->depth ? -1 : a->depth > b->depth;
}

static int rung_json(json_t *out, const curve *c, const cell *x, const auk_rung *r, bool is_base,
                     auk_err *err)
{
    uint64_t count[N_STATES + 1] = {0}, n = 0;
    json_t *v = json_object(), *by_state = json_object();

    json_array_append_new(out, v);
    for (size_t i = 0; i < c->samples; i++)
        count[x->state[i]]++;
    for (size_t s = 0; s < N_STATES; s++) {
        json_object_set_new(by_state, states[s], json_integer((json_int_t)count[s]));
        n += count[s];
    }
    json_object_set_new(v, "depth_tokens", json_integer(x->depth));
    json_object_set_new(v, "depth_estimated", json_boolean(!x->measured));
    json_object_set_new(v, "rung_tokens", json_integer(x->rung));
    json_object_set_new(v, "bisection", json_boolean(x->added));
    json_object_set_new(v, "n", json_integer((json_int_t)n));
    int rc = auk_rows_rate(v, "rate", count[0], n, err);
    json_object_set_new(v, "state_counts", by_state);
    json_object_set_new(v, "missing", json_integer((json_int_t)(count[N_STATES] + count[4])));
    json_object_set_new(v, "lost", is_base ? json_null() : json_integer((json_int_t)r->base_only));
    json_object_set_new(v, "won", is_base ? json_null() : json_integer((json_int_t)r->cell_only));
    json_object_set_new(v, "p", auk_rows_real(r->p));
    json_object_set_new(v, "p_holm", auk_rows_real(r->p_holm));
    json_object_set_new(v, "drop", json_boolean(r->drop));
    json_object_set_new(v, "fails", json_boolean(r->fails));
    return rc;
}

static json_t *cliff_json(const auk_ladder *l, const auk_rung *r)
{
    if (l->status != AUK_LADDER_CLIFF)
        return json_null();
    return json_pack("{s:I, s:I, s:o, s:I, s:b}", "last_pass", (json_int_t)r[l->last_pass].depth,
                     "first_fail", (json_int_t)r[l->first_fail].depth, "p_holm",
                     auk_rows_real(r[l->first_fail].p_holm), "width", (json_int_t)l->width, "close",
                     l->close);
}

static int curve_json(json_t *out, curve *c, size_t rungs, auk_err *err)
{
    auk_rung *r = NULL;
    auk_ladder l;
    size_t ladder = 0;
    int rc = auk_try_alloc(&r, c->n + 1, sizeof *r, err);

    for (size_t i = 0; i < c->n; i++) {
        cell *x = &c->cells[i];
        x->measured = x->depth_n > 0;
        x->depth = x->measured ? (int64_t)(x->depth_sum / (double)x->depth_n + 0.5) : x->rung;
        ladder += !x->added;
    }
    if (c->n > 0)
        qsort(c->cells, c->n, sizeof *c->cells, by_depth);
    for (size_t i = 0; i < c->n && rc == AUK_OK; i++)
        r[i] = compare(c, &c->cells[0], &c->cells[i]);
    if (rc == AUK_OK)
        rc = auk_stats_ladder(&l, r, c->n, err);
    json_t *v = json_object(), *list = json_array();
    for (size_t i = 0; i < c->n && rc == AUK_OK; i++)
        rc = rung_json(list, c, &c->cells[i], &r[i], i == 0, err);
    if (rc == AUK_OK && ladder < rungs)
        l.status = AUK_LADDER_PARTIAL;
    json_object_set_new(v, "kind", json_string(c->kind));
    if (rc == AUK_OK) {
        json_object_set_new(v, "status", json_string(auk_ladder_status_name(l.status)));
        json_object_set_new(v, "rungs", json_incref(list));
        json_object_set_new(v, "cliff", cliff_json(&l, r));
    }
    json_decref(list);
    json_array_append_new(out, v);
    free(r);
    return rc;
}

static void copy(json_t *out, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);
    json_object_set(out, key, v != NULL ? v : json_null());
}

static int one_curve(json_t *out, const auk_rows *rows, const json_t *plan, const char *kind,
                     size_t rungs, auk_err *err)
{
    curve c = {.kind = kind, .samples = (size_t)integer(plan, "samples")};
    int rc = AUK_OK;

    c.per_sheet = (int)((c.samples + 2) / 3);
    for (size_t i = 0; i < rows->n && rc == AUK_OK; i++) {
        const char *k = json_string_value(json_object_get(rows->p[i], "kind"));
        if (k != NULL && strcmp(k, kind) == 0)
            rc = take_sample(&c, rows->p[i], err);
    }
    if (rc == AUK_OK)
        rc = curve_json(out, &c, rungs, err);
    for (size_t i = 0; i < c.n; i++)
        free(c.cells[i].state);
    free(c.cells);
    return rc;
}

int auk_rule_audit(json_t *out, const auk_rows *rows, auk_err *err)
{
    static const char *const keys[] = {"target",     "window_tokens", "samples",   "seed",
                                       "max_tokens", "preset",        "estimate_s"};
    const json_t *plan = find(rows, "plan"), *end = find(rows, "end");
    json_t *curves = json_array(), *kind;
    size_t i, skipped;
    int rc = AUK_OK;

    if (plan == NULL || integer(plan, "samples") < 1 || integer(plan, "samples") > 100000) {
        json_decref(curves);
        return auk_fail(err, AUK_EFORMAT, "an audit's items begin with its plan");
    }
    for (i = 0; i < sizeof keys / sizeof *keys; i++)
        copy(out, plan, keys[i]);
    skipped = json_array_size(json_object_get(end, "skipped")) -
              json_array_size(json_object_get(plan, "skipped"));
    size_t rungs = json_array_size(json_object_get(plan, "rungs"));
    rungs -= end != NULL && skipped < rungs ? skipped : 0;
    copy(out, end != NULL ? end : plan, "skipped");
    json_object_set_new(out, "partial",
                        json_boolean(end == NULL || json_is_true(json_object_get(end, "partial"))));
    json_object_set_new(out, "why",
                        end == NULL ? json_string("it did not come to its end")
                                    : json_incref(json_object_get(end, "why")));
    copy(out, end, "missing");
    copy(out, end, "seconds");
    json_array_foreach(json_object_get(plan, "kinds"), i,
                       kind) if (rc == AUK_OK && json_is_string(kind)) rc =
        one_curve(curves, rows, plan, json_string_value(kind), rungs, err);
    json_object_set_new(out, "curves", curves);
    return rc;
}
