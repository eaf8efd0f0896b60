/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/db.h"

#include "base/limits.h"

void auk_chain_next(char out[AUK_SHA256_HEX], auk_str before, const char *id)
{
    auk_sha256 *h = auk_sha256_new();

    auk_sha256_add(h, before.p, before.n);
    auk_sha256_add(h, id, strlen(id));
    auk_sha256_finish(h, out);
}

static int is_known(bool *known, auk_ledger *l, const char *id, auk_err *err)
{
    sqlite3_stmt *s;

    int rc = auk_db_prepare(&s, l, "SELECT 1 FROM record WHERE id = ?1", err);
    if (rc < 0)
        return rc;
    auk_db_bind(s, 1, auk_str_of(id));
    rc = auk_db_step(s, l, err);
    *known = rc == 1;
    sqlite3_finalize(s);
    return rc < 0 ? rc : AUK_OK;
}

static int last_chain(char out[AUK_SHA256_HEX], auk_ledger *l, auk_err *err)
{
    sqlite3_stmt *s;

    int rc = auk_db_prepare(&s, l, "SELECT chain FROM record ORDER BY seq DESC LIMIT 1", err);
    if (rc < 0)
        return rc;
    rc = auk_db_step(s, l, err);
    snprintf(out, AUK_SHA256_HEX, "%s", rc == 1 ? auk_db_text(s, 0).p : "");
    sqlite3_finalize(s);
    return rc < 0 ? rc : AUK_OK;
}

static int add_head(int64_t *seq, auk_ledger *l, const auk_entry *e, auk_err *err)
{
    char before[AUK_SHA256_HEX], chain[AUK_SHA256_HEX];
    sqlite3_stmt *s;

    int rc = last_chain(before, l, err);
    if (rc == AUK_OK)
        rc = auk_db_prepare(&s, l,
                            "INSERT INTO record (id, chain, kind, fingerprint, head)"
                            " VALUES (?1, ?2, ?3, ?4, ?5)",
                            err);
    if (rc < 0)
        return rc;
    auk_chain_next(chain, auk_str_of(before), e->id);
    const char *line = e->text.p, *end = memchr(line, '\n', e->text.n);
    auk_db_bind(s, 1, auk_str_of(e->id));
    auk_db_bind(s, 2, auk_str_of(chain));
    auk_db_bind(s, 3, auk_json_str(auk_record_at(e->head, "kind")));
    auk_db_bind(s, 4, auk_json_str(auk_record_at(e->head, "model.fingerprint")));
    auk_db_bind(s, 5, (auk_str){line, (size_t)(end - line)});
    rc = auk_db_step(s, l, err);
    *seq = sqlite3_last_insert_rowid(l->db);
    sqlite3_finalize(s);
    return rc < 0 ? rc : AUK_OK;
}

static int add_items(auk_ledger *l, int64_t seq, const auk_entry *e, auk_err *err)
{
    char hex[AUK_SHA256_HEX];
    sqlite3_stmt *s;

    int rc = auk_db_prepare(
        &s, l, "INSERT INTO item (record, n, sha256, line) VALUES (?1, ?2, ?3, ?4)", err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < e->n_items && rc >= 0; i++) {
        auk_sha256_of(hex, e->items[i].p, e->items[i].n);
        sqlite3_bind_int64(s, 1, seq);
        sqlite3_bind_int64(s, 2, (int64_t)i);
        auk_db_bind(s, 3, auk_str_of(hex));
        auk_db_bind(s, 4, e->items[i]);
        rc = auk_db_step(s, l, err);
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    return rc < 0 ? rc : AUK_OK;
}

int auk_ledger_add(bool *added, auk_ledger *l, const auk_entry *e, auk_err *err)
{
    bool known = false;
    int64_t seq = 0;

    *added = false;
    int rc = is_known(&known, l, e->id, err);
    if (rc < 0 || known)
        return rc;
    rc = add_head(&seq, l, e, err);
    if (rc == AUK_OK)
        rc = add_items(l, seq, e, err);
    *added = rc == AUK_OK;
    return rc;
}

int auk_ledger_put(auk_ledger *l, char id[AUK_SHA256_HEX], const auk_record *r, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    auk_entry e = {0};
    bool added;

    int rc = auk_record_print(&text, r, l->headline, err);
    if (rc == AUK_OK)
        rc = auk_entry_parse(&e, &text, r->kind, err);
    if (rc == AUK_OK) {
        auk_sha256_of(e.id, e.text.p, e.text.n);
        rc = auk_db_run(l, "BEGIN IMMEDIATE", err);
    }
    if (rc == AUK_OK)
        rc = auk_db_end(l, auk_ledger_add(&added, l, &e, err), err);
    if (rc == AUK_OK)
        snprintf(id, AUK_SHA256_HEX, "%s", e.id);
    auk_entry_release(&e);
    auk_buf_release(&text);
    return rc;
}
