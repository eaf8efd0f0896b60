/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/db.h"

#include "base/limits.h"
#include "base/mem.h"

static bool is_hex(const char *s)
{
    return strspn(s, "0123456789abcdef") == strlen(s);
}

int auk_ledger_find(uint64_t *seq, char id[AUK_SHA256_HEX], auk_ledger *l, const char *name,
                    auk_err *err)
{
    bool latest = strcmp(name, "latest") == 0;
    sqlite3_stmt *s;

    if (!latest && (strlen(name) < 4 || strlen(name) > 64 || !is_hex(name)))
        return auk_fail(err, AUK_EINVAL, "'%s' is no id: want 4 or more of its digits, or latest",
                        name);
    int rc = auk_db_prepare(&s, l,
                            latest ? "SELECT seq, id FROM record ORDER BY seq DESC LIMIT 1"
                                   : "SELECT seq, id FROM record"
                                     " WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2",
                            err);
    if (rc < 0)
        return rc;
    if (!latest)
        auk_db_bind(s, 1, auk_str_of(name));
    rc = auk_db_step(s, l, err);
    if (rc == 0)
        rc = latest ? auk_fail(err, AUK_ENOTFOUND, "the ledger '%s' has no record yet", l->path)
                    : auk_fail(err, AUK_ENOTFOUND, "no record '%s' in '%s'", name, l->path);
    if (rc == 1) {
        *seq = (uint64_t)sqlite3_column_int64(s, 0);
        snprintf(id, AUK_SHA256_HEX, "%s", auk_db_text(s, 1).p);
        rc = auk_db_step(s, l, err);
        if (rc == 1)
            rc = auk_fail(err, AUK_EINVAL, "more than one record begins with '%s'", name);
    }
    sqlite3_finalize(s);
    return rc;
}

/* Head and items of out->seq, whatever they hold, into text. */
static int read_text(auk_buf *text, auk_ledger *l, uint64_t seq, auk_err *err)
{
    static const char *const sql[] = {"SELECT head FROM record WHERE seq = ?1",
                                      "SELECT line FROM item WHERE record = ?1 ORDER BY n"};
    int rc = AUK_OK;

    for (int i = 0; i < 2 && rc == AUK_OK; i++) {
        sqlite3_stmt *s;
        rc = auk_db_prepare(&s, l, sql[i], err);
        if (rc < 0)
            break;
        sqlite3_bind_int64(s, 1, (int64_t)seq);
        while ((rc = auk_db_step(s, l, err)) == 1) {
            auk_str line = auk_db_text(s, 0);
            auk_buf_add(text, line.p, line.n);
            auk_buf_putc(text, '\n');
        }
        sqlite3_finalize(s);
    }
    return rc < 0 ? rc : auk_buf_check(text, "the record", err);
}

/* Whole and unchanged, or a failure that says it is not. */
static int read_entry(auk_entry *out, auk_ledger *l, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    char name[32], hex[AUK_SHA256_HEX];

    snprintf(name, sizeof name, "record %.12s", out->id);
    int rc = read_text(&text, l, out->seq, err);
    if (rc == AUK_OK) {
        auk_sha256_of(hex, text.p, text.n);
        if (strcmp(hex, out->id) != 0)
            rc = auk_fail(err, AUK_EFORMAT,
                          "%s is not what was written; 'auklet ledger verify' says more", name);
    }
    if (rc == AUK_OK)
        rc = auk_entry_parse(out, &text, name, err);
    auk_buf_release(&text);
    return rc;
}

int auk_ledger_get(auk_entry *out, auk_ledger *l, const char *name, auk_err *err)
{
    *out = (auk_entry){0};
    int rc = auk_ledger_find(&out->seq, out->id, l, name, err);
    if (rc == AUK_OK)
        rc = read_entry(out, l, err);
    if (rc < 0)
        auk_entry_release(out);
    return rc;
}

/* One row of the list.  Only its head is there, so only that is parsed. */
static int list_row(auk_entry *e, sqlite3_stmt *s, auk_err *err)
{
    auk_str head = auk_db_text(s, 2);
    char name[32];

    e->seq = (uint64_t)sqlite3_column_int64(s, 0);
    snprintf(e->id, sizeof e->id, "%s", auk_db_text(s, 1).p);
    snprintf(name, sizeof name, "record %.12s", e->id);
    e->text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_buf_add(&e->text, head.p, head.n);
    auk_buf_putc(&e->text, '\n');
    int rc = auk_json_parse(&e->head, head, name, err);
    e->n_items = (size_t)json_integer_value(json_object_get(e->head, "items"));
    return rc < 0 ? rc : auk_buf_check(&e->text, name, err);
}

int auk_ledger_list(auk_entry **out, size_t *n, auk_ledger *l, const char *kind,
                    const char *fingerprint, auk_err *err)
{
    auk_entry *list = NULL;
    size_t count = 0;
    sqlite3_stmt *s;

    *out = NULL;
    *n = 0;
    int rc = auk_db_prepare(&s, l,
                            "SELECT seq, id, head FROM record"
                            " WHERE (?1 IS NULL OR kind = ?1)"
                            " AND (?2 IS NULL OR fingerprint = ?2) ORDER BY seq",
                            err);
    if (rc < 0)
        return rc;
    if (kind != NULL)
        auk_db_bind(s, 1, auk_str_of(kind));
    if (fingerprint != NULL)
        auk_db_bind(s, 2, auk_str_of(fingerprint));
    while ((rc = auk_db_step(s, l, err)) == 1) {
        list = auk_realloc(list, (count + 1) * sizeof *list);
        list[count] = (auk_entry){0};
        rc = list_row(&list[count++], s, err);
        if (rc < 0)
            break;
    }
    sqlite3_finalize(s);
    if (rc < 0) {
        auk_entries_free(list, count);
        return rc;
    }
    *out = list;
    *n = count;
    return AUK_OK;
}
