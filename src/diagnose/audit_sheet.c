/* SPDX-License-Identifier: Apache-2.0 */
/* One sheet of an audit: a document, what is asked about it, and whether an answer is right. */
#include "diagnose/diagnose.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"

#include <ctype.h>
#include <math.h>

#define POSITIONS 5
#define COUNT(x) (sizeof(x) / sizeof *(x))

const char *auk_audit_state_name(auk_audit_state s)
{
    static const char *const names[] = {"passed", "wrong", "truncated", "no_answer", "error"};
    return names[s];
}

double auk_sheet_position(const auk_sheet *s, int q)
{
    return s->kind == AUK_AUDIT_TOOLS ? 1.0 : (double)(q % POSITIONS) / (POSITIONS - 1);
}

static uint64_t sheet_seed(const auk_sheet *s)
{
    return s->seed * 1000003 + (uint64_t)s->sheet * 101 + (uint64_t)s->kind;
}

/* ---- retrieval ---------------------------------------------------------------------------- */

/* "QT-482", "QT-428": a locker and one that is easily taken for it, with different numbers. */
typedef struct fact {
    char key[8], number[8], near_key[8], near_number[8];
} fact;

/* The letters differ from sheet question to sheet question, so no two facts share a key. */
static fact fact_of(const auk_sheet *s, int q)
{
    auk_rng rng = auk_rng_make(sheet_seed(s) * 7919 + (uint64_t)q);
    int a = (int)auk_rng_below(&rng, 9) + 1, b = (int)auk_rng_below(&rng, 10), c = b;
    int x = (q * 7 + s->sheet) % 26, y = (q / 26 * 5 + (int)(sheet_seed(s) % 26) + q) % 26;
    int n = (int)auk_rng_below(&rng, 80000) + 10000;
    fact f;

    while (c == b)
        c = (int)auk_rng_below(&rng, 10);
    int m = n + 1 + (int)auk_rng_below(&rng, 9000);
    snprintf(f.key, sizeof f.key, "%c%c-%d%d%d", 'A' + x, 'A' + y, a, b, c);
    snprintf(f.near_key, sizeof f.near_key, "%c%c-%d%d%d", 'A' + x, 'A' + y, a, c, b);
    snprintf(f.number, sizeof f.number, "%d", n);
    snprintf(f.near_number, sizeof f.near_number, "%d", m);
    return f;
}

static void put_fact(auk_buf *out, const char *key, const char *number)
{
    auk_buf_printf(out, "Locker %s opens with %s. ", key, number);
}

/* The facts of one position, each beside a distractor, in an order drawn for the sheet. */
static void put_position(auk_buf *out, const auk_sheet *s, int position)
{
    auk_rng rng = auk_rng_make(sheet_seed(s) + (uint64_t)position * 31);

    for (int q = position; q < s->questions; q += POSITIONS) {
        fact f = fact_of(s, q);
        bool first = auk_rng_below(&rng, 2) == 0;
        put_fact(out, first ? f.key : f.near_key, first ? f.number : f.near_number);
        put_fact(out, first ? f.near_key : f.key, first ? f.near_number : f.number);
    }
}

static void put_document(auk_buf *out, const auk_sheet *s)
{
    uint64_t done = 0;

    for (int p = 0; p < POSITIONS; p++) {
        for (uint64_t until = s->sentences * (uint64_t)p / (POSITIONS - 1); done < until; done++)
            auk_padding_sentence(out, sheet_seed(s), done);
        if (s->kind == AUK_AUDIT_RETRIEVAL)
            put_position(out, s, p);
    }
}

/* ---- tool calls --------------------------------------------------------------------------- */

static const char tools_text[] =
    "[{'name':'set_temperature','description':'Sets the temperature of one room.','parameters':"
    "{'type':'object','properties':{'room':{'type':'string','description':'the room, like R-12'},"
    "'celsius':{'type':'integer','description':'degrees Celsius'}},'required':['room','celsius']}},"
    "{'name':'get_temperature','description':'Reads the temperature of one room; changes nothing.',"
    "'parameters':{'type':'object','properties':{'room':{'type':'string'}},'required':['room']}},"
    "{'name':'book_room','description':'Books a room for a day.','parameters':{'type':'object',"
    "'properties':{'room':{'type':'string'},'day':{'type':'string','enum':['Monday','Tuesday',"
    "'Wednesday','Thursday','Friday']},'people':{'type':'integer'}},'required':['room','day',"
    "'people']}},"
    "{'name':'cancel_room','description':'Cancels the booking of a room.','parameters':{'type':"
    "'object','properties':{'room':{'type':'string'},'day':{'type':'string'}},'required':['room',"
    "'day']}},"
    "{'name':'send_parcel','description':'Sends a parcel.','parameters':{'type':'object',"
    "'properties':{'recipient':{'type':'string'},'city':{'type':'string'},'weight_kg':{'type':"
    "'number'}},'required':['recipient','city','weight_kg']}},"
    "{'name':'open_ticket','description':'Opens a repair ticket for a device.','parameters':"
    "{'type':'object','properties':{'device':{'type':'string'},'priority':{'type':'string','enum':"
    "['low','normal','high']}},'required':['device','priority']}},"
    "{'name':'move_stock','description':'Moves goods from one depot to another.','parameters':"
    "{'type':'object','properties':{'item':{'type':'string'},'quantity':{'type':'integer'},"
    "'source':{'type':'string'},'target':{'type':'string'}},'required':['item','quantity','source',"
    "'target']}},"
    "{'name':'set_alarm','description':'Sets an alarm.','parameters':{'type':'object','properties':"
    "{'time':{'type':'string','description':'HH:MM'},'label':{'type':'string'}},'required':['time',"
    "'label']}}]";

/* Written with single quotes above, which JSON does not have. */
static json_t *tool_table(void)
{
    auk_buf text = AUK_BUF_INIT(1 << 16);
    json_t *v = NULL;
    auk_err err;

    for (const char *p = tools_text; *p != 0; p++)
        auk_buf_putc(&text, *p == '\'' ? '"' : *p);
    int rc = auk_json_parse(&v, auk_buf_str(&text), "the audit's tools", &err);
    auk_buf_release(&text);
    return rc == AUK_OK ? v : json_array();
}

/* In an order drawn for the sheet: a place in the list says nothing. */
json_t *auk_sheet_tools(const auk_sheet *s)
{
    auk_rng rng = auk_rng_make(sheet_seed(s) + 17);

    if (s->kind != AUK_AUDIT_TOOLS)
        return NULL;
    json_t *all = tool_table(), *out = json_array();
    while (json_array_size(all) > 0) {
        size_t at = auk_rng_below(&rng, json_array_size(all));
        json_t *tool =
            json_pack("{s:s, s:O}", "type", "function", "function", json_array_get(all, at));
        json_array_append_new(out, tool);
        json_array_remove(all, at);
    }
    json_decref(all);
    return out;
}

static const char *const names[] = {"Amara", "Bjorn", "Chiara", "Dmitri", "Elena", "Farid"};
static const char *const cities[] = {"Oslo", "Porto", "Gdansk", "Turin", "Ghent", "Lyon"};
static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"};
static const char *const devices[] = {"printer", "scanner", "router", "lift", "boiler", "pump"};
static const char *const levels[] = {"low", "normal", "high"};
static const char *const items[] = {"chairs", "lamps", "ropes", "tiles", "pumps", "boards"};

/* The instruction goes to `say`; returns {"name", "arguments"}. */
static json_t *call_of(auk_buf *say, const auk_sheet *s, int q)
{
    auk_rng rng = auk_rng_make(sheet_seed(s) * 104729 + (uint64_t)q);
    uint64_t a = auk_rng_next(&rng) >> 8, b = auk_rng_next(&rng) >> 8, c = auk_rng_next(&rng) >> 8;
    char x[32], y[32];

    snprintf(x, sizeof x, "R-%d", (int)(a % 89) + 10);
    switch (q % 6) {
    case 0:
        auk_buf_printf(say, "Set the temperature of room %s to %d degrees Celsius.", x,
                       (int)(b % 15) + 12);
        return json_pack("{s:s, s:{s:s, s:i}}", "name", "set_temperature", "arguments", "room", x,
                         "celsius", (int)(b % 15) + 12);
    case 1:
        auk_buf_printf(say, "Book room %s on %s for %d people.", x, days[b % COUNT(days)],
                       (int)(c % 30) + 2);
        return json_pack("{s:s, s:{s:s, s:s, s:i}}", "name", "book_room", "arguments", "room", x,
                         "day", days[b % COUNT(days)], "people", (int)(c % 30) + 2);
    case 2:
        auk_buf_printf(say, "Send a parcel of %d.5 kg to %s in %s.", (int)(c % 9) + 1,
                       names[a % COUNT(names)], cities[b % COUNT(cities)]);
        return json_pack("{s:s, s:{s:s, s:s, s:f}}", "name", "send_parcel", "arguments",
                         "recipient", names[a % COUNT(names)], "city", cities[b % COUNT(cities)],
                         "weight_kg", (double)(c % 9) + 1.5);
    case 3:
        snprintf(y, sizeof y, "%s-%d", devices[a % COUNT(devices)], (int)(c % 89) + 10);
        auk_buf_printf(say, "Open a ticket for device %s with priority %s.", y,
                       levels[b % COUNT(levels)]);
        return json_pack("{s:s, s:{s:s, s:s}}", "name", "open_ticket", "arguments", "device", y,
                         "priority", levels[b % COUNT(levels)]);
    case 4:
        auk_buf_printf(say, "Move %d %s from %s to %s.", (int)(a % 190) + 2,
                       items[b % COUNT(items)], cities[c % COUNT(cities)],
                       cities[(c + 1) % COUNT(cities)]);
        return json_pack("{s:s, s:{s:s, s:i, s:s, s:s}}", "name", "move_stock", "arguments", "item",
                         items[b % COUNT(items)], "quantity", (int)(a % 190) + 2, "source",
                         cities[c % COUNT(cities)], "target", cities[(c + 1) % COUNT(cities)]);
    default:
        snprintf(y, sizeof y, "%02d:%02d", (int)(a % 24), (int)(b % 60));
        auk_buf_printf(say, "Set an alarm for %s with the label %s.", y, names[c % COUNT(names)]);
        return json_pack("{s:s, s:{s:s, s:s}}", "name", "set_alarm", "arguments", "time", y,
                         "label", names[c % COUNT(names)]);
    }
}

/* ---- what is asked ------------------------------------------------------------------------ */

json_t *auk_sheet_messages(const auk_sheet *s, int q)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    bool retrieval = s->kind == AUK_AUDIT_RETRIEVAL;

    auk_buf_puts(&text, "The log of a depot:\n\n");
    put_document(&text, s);
    auk_buf_puts(&text, "\n\n");
    if (retrieval) {
        auk_buf_printf(&text, "Which number opens locker %s? Answer with the number alone.",
                       fact_of(s, q).key);
    } else {
        auk_buf_puts(&text, "Now do this with one call of a tool: ");
        json_decref(call_of(&text, s, q));
    }
    json_t *v = json_pack("[{s:s, s:s%}]", "role", "user", "content", text.p, text.n);
    auk_buf_release(&text);
    return v;
}

json_t *auk_sheet_expected(const auk_sheet *s, int q)
{
    auk_buf unused = AUK_BUF_INIT(1 << 12);

    if (s->kind == AUK_AUDIT_RETRIEVAL)
        return json_string(fact_of(s, q).number);
    json_t *v = call_of(&unused, s, q);
    auk_buf_release(&unused);
    return v;
}

/* ---- scoring ------------------------------------------------------------------------------ */

static bool says_nothing(auk_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (isalnum((unsigned char)text.p[i]) || (unsigned char)text.p[i] >= 0xC0)
            return false;
    return true;
}

/* Reads the digits at i, "70,314" too, into at most 15 characters; returns where they end. */
static size_t read_number(char out[16], auk_str text, size_t i)
{
    size_t n = 0;

    for (; i < text.n; i++) {
        bool digit = isdigit((unsigned char)text.p[i]);
        bool comma = text.p[i] == ',' && n > 0 && i + 3 < text.n &&
                     isdigit((unsigned char)text.p[i + 1]) &&
                     isdigit((unsigned char)text.p[i + 2]) && isdigit((unsigned char)text.p[i + 3]);
        if (!digit && !comma)
            break;
        if (digit && n < 15)
            out[n++] = text.p[i];
    }
    out[n] = 0;
    return i;
}

/* True when `number` stands in the text by itself and no other number as long does. */
static bool names_only(auk_str text, const char *number)
{
    size_t hits = 0, others = 0;
    char seen[16];

    for (size_t i = 0; i < text.n;) {
        size_t end = read_number(seen, text, i);
        if (strcmp(seen, number) == 0)
            hits++;
        else if (strlen(seen) == strlen(number))
            others++;
        i = end > i ? end : i + 1;
    }
    return hits > 0 && others == 0;
}

/* Numbers by value, texts without blanks at their ends, everything else as JSON. */
static bool same_value(const json_t *x, const json_t *y)
{
    if (json_is_number(x) && json_is_number(y))
        return json_number_value(x) == json_number_value(y);
    if (!json_is_string(x) || !json_is_string(y))
        return json_equal(x, y) != 0;
    auk_str a = auk_json_str(x), b = auk_json_str(y);
    while (a.n > 0 && isspace((unsigned char)a.p[a.n - 1]))
        a.n--;
    while (a.n > 0 && isspace((unsigned char)*a.p))
        a = auk_str_from(a, 1);
    return auk_str_eq(a, b);
}

static bool same_arguments(const json_t *got, const json_t *want)
{
    const char *key;
    json_t *value;

    if (!json_is_object(got) || json_object_size(got) != json_object_size(want))
        return false;
    json_object_foreach((json_t *)want, key,
                        value) if (!same_value(json_object_get(got, key), value)) return false;
    return true;
}

static bool is_right(const auk_sheet *s, int q, const auk_reply *r)
{
    if (s->kind == AUK_AUDIT_RETRIEVAL)
        return names_only(auk_buf_str(&r->text), fact_of(s, q).number);
    json_t *want = auk_sheet_expected(s, q);
    bool right = r->n_calls == 1 && !r->malformed_action &&
                 strcmp(r->calls[0].name, json_string_value(json_object_get(want, "name"))) == 0 &&
                 same_arguments(r->calls[0].arguments, json_object_get(want, "arguments"));
    json_decref(want);
    return right;
}

/* A cut answer is no answer even when the right words had come: the model had not ended. */
auk_audit_state auk_sheet_score(const auk_sheet *s, int q, const auk_reply *r)
{
    if (r->failure.kind != AUK_FAILURE_NONE || r->finish == AUK_CHAT_NONE ||
        r->finish == AUK_CHAT_CANCELLED)
        return AUK_AUDIT_ERROR;
    if (r->finish == AUK_CHAT_LENGTH || r->finish == AUK_CHAT_LOOP)
        return AUK_AUDIT_TRUNCATED;
    if (r->n_calls == 0 && !r->malformed_action && says_nothing(auk_buf_str(&r->text)))
        return AUK_AUDIT_NO_ANSWER;
    return is_right(s, q, r) ? AUK_AUDIT_PASSED : AUK_AUDIT_WRONG;
}
