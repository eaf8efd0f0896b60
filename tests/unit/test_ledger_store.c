/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "test_ledger_fixture.h"

#include "base/rng.h"

#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

static uint64_t findings;
static char last_finding[600];

static void count(void *ctx, uint64_t seq, const char *id, const char *what)
{
    (void)ctx, (void)seq, (void)id;
    findings++;
    snprintf(last_finding, sizeof last_finding, "%s", what);
}

/* Findings of verifying everything, or the failure. */
static int verify(auk_ledger *l, auk_verification *v, auk_err *err)
{
    findings = 0;
    int rc = auk_ledger_verify(v, l, NULL, count, NULL, err);
    if (rc == AUK_OK)
        assert_int_equal(v->findings, findings);
    return rc;
}

static void must_verify(auk_ledger *l, uint64_t records)
{
    auk_verification v;
    auk_err err = {0};

    if (verify(l, &v, &err) != AUK_OK)
        fail_msg("%s", err.msg);
    if (v.findings != 0)
        fail_msg("%s", last_finding);
    if (records != UINT64_MAX)
        assert_int_equal(v.records, records);
}

static void put_eval(auk_ledger *l, char id[AUK_SHA256_HEX], const char *more)
{
    auk_err err = {0};

    if (put_lines(l, id, "eval", more, eval_lines, &err) != AUK_OK)
        fail_msg("%s", err.msg);
}

static void export_all(auk_buf *out, auk_ledger *l)
{
    auk_entry *list, whole;
    size_t n;
    auk_err err = {0};

    assert_int_equal(auk_ledger_list(&list, &n, l, NULL, NULL, &err), AUK_OK);
    for (size_t i = 0; i < n; i++) {
        if (auk_ledger_get(&whole, l, list[i].id, &err) != AUK_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(auk_entry_export(out, &whole, &err), AUK_OK);
        auk_entry_release(&whole);
    }
    auk_entries_free(list, n);
}

/* Runs one statement on the file behind the ledger's back. */
static void meddle(const char *name, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(in_dir(name), &db), SQLITE_OK);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

/* ---- putting and getting ------------------------------------------------------------------ */

static void a_record_comes_back_as_it_was_put(void **state)
{
    char id[AUK_SHA256_HEX], hex[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("a/b/ledger.db");
    auk_entry e;
    auk_err err;
    (void)state;

    put_eval(l, id, MODEL_A ", \"seed\": 7");
    assert_int_equal(auk_ledger_get(&e, l, "latest", &err), AUK_OK);
    assert_string_equal(e.id, id);
    auk_sha256_of(hex, e.text.p, e.text.n);
    assert_string_equal(hex, id);
    assert_int_equal(e.n_items, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(auk_str_is(e.items[i], eval_lines[i]));
    assert_int_equal(json_integer_value(auk_record_at(e.head, "seed")), 7);
    assert_int_equal(json_integer_value(auk_record_at(e.head, "headline.n")), 3);
    auk_entry_release(&e);
    id[6] = 0; /* a prefix will do */
    assert_int_equal(auk_ledger_get(&e, l, id, &err), AUK_OK);
    auk_entry_release(&e);
    must_verify(l, 1);
    auk_ledger_close(l);
}

static void the_same_record_is_kept_once(void **state)
{
    char first[AUK_SHA256_HEX], again[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    (void)state;

    put_eval(l, first, MODEL_A);
    put_eval(l, again, MODEL_A);
    assert_string_equal(first, again);
    must_verify(l, 1);
    put_eval(l, again, MODEL_A ", \"seed\": 1");
    assert_string_not_equal(first, again);
    must_verify(l, 2);
    auk_ledger_close(l);
}

static void lists_choose_by_kind_and_model(void **state)
{
    static const char *const none[] = {NULL};
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    auk_entry *list;
    size_t n;
    auk_err err;
    (void)state;

    put_eval(l, id, MODEL_A);
    assert_int_equal(put_lines(l, id, "bench", MODEL_A, none, &err), AUK_OK);
    assert_int_equal(put_lines(l, id, "bench", "", none, &err), AUK_OK);
    assert_int_equal(auk_ledger_list(&list, &n, l, "bench", NULL, &err), AUK_OK);
    assert_int_equal(n, 2);
    auk_entries_free(list, n);
    assert_int_equal(auk_ledger_list(&list, &n, l, NULL, "aaaa", &err), AUK_OK);
    assert_int_equal(n, 2);
    assert_int_equal(list[0].seq, 1);
    assert_int_equal(list[0].n_items, 4);
    auk_entries_free(list, n);
    assert_int_equal(auk_ledger_list(&list, &n, l, "x' OR 1", NULL, &err), AUK_OK);
    assert_int_equal(n, 0);
    auk_entries_free(list, n);
    auk_ledger_close(l);
}

static void names_that_mean_nothing_are_refused(void **state)
{
    static const char *const names[] = {"", "abc", "xyzw", "ABCD", "latest1"};
    auk_ledger *l = open_ledger("ledger.db");
    auk_entry e;
    auk_err err;
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(auk_ledger_get(&e, l, names[i], &err), AUK_EINVAL);
    assert_int_equal(auk_ledger_get(&e, l, "abcd", &err), AUK_ENOTFOUND);
    assert_int_equal(auk_ledger_get(&e, l, "latest", &err), AUK_ENOTFOUND);
    auk_ledger_close(l);
}

static void items_that_are_no_objects_on_a_line_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "[1]",
                                      "1",
                                      "{",
                                      "{}\n{}",
                                      "{\"a\":\n1}",
                                      "{} {}",
                                      "{\"a\": \"\xff\"}",
                                      "{\"a\":1,\"a\":2}"};
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *lines[] = {"{}", bad[i], NULL};
        auk_err err = {0};
        assert_int_equal(put_lines(l, id, "other", "", lines, &err), AUK_EFORMAT);
        assert_non_null(strstr(err.msg, "item 2"));
    }
    must_verify(l, 0);
    auk_ledger_close(l);
}

static void what_the_ledger_computes_is_not_the_callers_to_give(void **state)
{
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    auk_err err;
    (void)state;

    assert_int_equal(put_lines(l, id, "eval", "\"headline\": {\"n\": 164}", eval_lines, &err),
                     AUK_EINVAL);
    json_t *bare = json_object();
    auk_record r = {.kind = "eval", .about = bare};
    assert_int_equal(auk_ledger_put(l, id, &r, &err), AUK_EINVAL);
    json_decref(bare);
    auk_ledger_close(l);
}

/* ---- the file ----------------------------------------------------------------------------- */

static void a_newer_schema_is_refused(void **state)
{
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    auk_err err;
    (void)state;

    put_eval(l, id, "");
    auk_ledger_close(l);
    meddle("ledger.db", "PRAGMA user_version = 2");
    assert_int_equal(auk_ledger_open(&l, in_dir("ledger.db"), true, auk_headline, &err),
                     AUK_ENOTSUP);
    assert_null(l);
    assert_non_null(strstr(err.msg, "schema 2"));
}

static void other_files_are_not_touched(void **state)
{
    auk_ledger *l;
    auk_buf text = AUK_BUF_INIT(1 << 20);
    auk_err err;
    (void)state;

    assert_int_equal(auk_ledger_open(&l, in_dir("none.db"), false, auk_headline, &err),
                     AUK_ENOTFOUND);
    assert_false(auk_file_exists(in_dir("none.db")));
    assert_int_equal(
        auk_file_write(in_dir("text"), auk_str_of("not a database, but long enough"), &err),
        AUK_OK);
    assert_int_equal(auk_ledger_open(&l, in_dir("text"), true, auk_headline, &err), AUK_EFORMAT);
    assert_int_equal(auk_file_read(&text, in_dir("text"), &err), AUK_OK);
    assert_true(auk_str_is(auk_buf_str(&text), "not a database, but long enough"));
    auk_buf_release(&text);
    meddle("other.db", "CREATE TABLE holiday (day TEXT)");
    assert_int_equal(auk_ledger_open(&l, in_dir("other.db"), true, auk_headline, &err),
                     AUK_EFORMAT);
    assert_int_equal(auk_ledger_open(&l, in_dir("text/below/ledger.db"), true, auk_headline, &err),
                     AUK_EIO);
}

static void rows_neither_change_nor_go(void **state)
{
    static const char *const tries[] = {"UPDATE record SET kind = 'x'", "DELETE FROM record",
                                        "UPDATE item SET line = '{}'", "DELETE FROM item"};
    char id[AUK_SHA256_HEX];
    auk_ledger *l = open_ledger("ledger.db");
    sqlite3 *db;
    (void)state;

    put_eval(l, id, "");
    assert_int_equal(sqlite3_open(in_dir("ledger.db"), &db), SQLITE_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(sqlite3_exec(db, tries[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
    sqlite3_close(db);
    must_verify(l, 1);
    auk_ledger_close(l);
}

/* ---- verifying ---------------------------------------------------------------------------- */

#define DROP                                                                                       \
    "DROP TRIGGER record_stays; DROP TRIGGER record_is_kept; DROP TRIGGER item_stays;"             \
    "DROP TRIGGER item_is_kept;"
#define AGAIN                                                                                      \
    ";CREATE TRIGGER record_stays BEFORE UPDATE ON record"                                         \
    " BEGIN SELECT RAISE (ABORT, 'records do not change'); END;"                                   \
    "CREATE TRIGGER record_is_kept BEFORE DELETE ON record"                                        \
    " BEGIN SELECT RAISE (ABORT, 'records are not deleted'); END;"                                 \
    "CREATE TRIGGER item_stays BEFORE UPDATE ON item"                                              \
    " BEGIN SELECT RAISE (ABORT, 'items do not change'); END;"                                     \
    "CREATE TRIGGER item_is_kept BEFORE DELETE ON item"                                            \
    " BEGIN SELECT RAISE (ABORT, 'items are not deleted'); END;"

static void every_change_behind_its_back_is_noticed(void **state)
{
    static const char *const changes[] = {
        "UPDATE item SET line = replace(line, 'failed', 'passed') WHERE n = 1",
        "UPDATE item SET sha256 = replace(sha256, 'a', 'b') WHERE n = 2 AND record = 1",
        "DELETE FROM item WHERE record = 1 AND n = 0",
        "DELETE FROM item WHERE record = 3 AND n = 3",
        "UPDATE item SET n = n + 100",
        "UPDATE record SET head = replace(head, '\"n\": 3', '\"n\": 4') WHERE seq = 2",
        "UPDATE record SET head = replace(head, 'seed\": 2', 'seed\": 3')",
        "UPDATE record SET head = 'x' WHERE seq = 1",
        "UPDATE record SET kind = 'bench' WHERE seq = 1",
        "UPDATE record SET fingerprint = 'bbbb' WHERE seq = 1",
        "UPDATE record SET chain = 'x' WHERE seq = 3",
        "UPDATE record SET id = replace(id, 'a', 'b') WHERE seq = 1",
        "DELETE FROM item WHERE record = 2; DELETE FROM record WHERE seq = 2",
        "DELETE FROM item WHERE record = 3; DELETE FROM record WHERE seq = 3",
        "DELETE FROM item WHERE record = 1; DELETE FROM record WHERE seq = 1",
        "PRAGMA foreign_keys = OFF; INSERT INTO item VALUES (9, 0, 'x', '{}')",
        "CREATE VIEW latest AS SELECT * FROM record",
    };
    char id[AUK_SHA256_HEX], sql[4000];
    auk_verification v;
    auk_err err;
    (void)state;

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        auk_ledger *l = open_ledger("ledger.db");
        put_eval(l, id, MODEL_A ", \"seed\": 1");
        put_eval(l, id, MODEL_A ", \"seed\": 2");
        put_eval(l, id, MODEL_A ", \"seed\": 3");
        must_verify(l, 3);
        auk_ledger_close(l);
        snprintf(sql, sizeof sql, "%s%s%s", DROP, changes[i], AGAIN);
        meddle("ledger.db", sql);
        l = open_ledger("ledger.db");
        assert_int_equal(verify(l, &v, &err), AUK_OK);
        if (findings == 0)
            fail_msg("not noticed: %s", changes[i]);
        auk_ledger_close(l);
        assert_int_equal(auk_tree_remove(in_dir("ledger.db"), &err), AUK_OK);
    }
    auk_ledger *l = open_ledger("ledger.db");
    put_eval(l, id, "");
    auk_ledger_close(l);
    meddle("ledger.db", "DROP TRIGGER item_stays");
    l = open_ledger("ledger.db");
    assert_int_equal(verify(l, &v, &err), AUK_OK);
    assert_int_equal(findings, 1); /* a trigger that is gone, too */
    auk_ledger_close(l);
}

static bool same_export(const auk_buf *want, auk_ledger *l)
{
    auk_buf have = AUK_BUF_INIT(1 << 22);
    auk_entry *list, whole;
    size_t n;
    auk_err err;

    if (auk_ledger_list(&list, &n, l, NULL, NULL, &err) != AUK_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        int rc = auk_ledger_get(&whole, l, list[i].id, &err);
        if (rc == AUK_OK)
            rc = auk_entry_export(&have, &whole, &err);
        auk_entry_release(&whole);
        if (rc < 0)
            break;
    }
    auk_entries_free(list, n);
    bool same = auk_str_eq(auk_buf_str(want), auk_buf_str(&have));
    auk_buf_release(&have);
    return same;
}

/* A property: a flipped bit anywhere in the file is noticed, or changes nothing that is read. */
static void no_flipped_bit_goes_unnoticed(void **state)
{
    auk_buf file = AUK_BUF_INIT(1 << 22), want = AUK_BUF_INIT(1 << 22);
    char id[AUK_SHA256_HEX];
    auk_err err;
    auk_rng rng = auk_rng_make(20261);
    unsigned noticed = 0, refused = 0;
    (void)state;

    auk_ledger *l = open_ledger("ledger.db");
    for (int i = 0; i < 30; i++) {
        char more[96];
        snprintf(more, sizeof more, "%s, \"seed\": %d", MODEL_A, i);
        put_eval(l, id, more);
    }
    export_all(&want, l);
    auk_ledger_close(l);
    assert_int_equal(auk_file_read(&file, in_dir("ledger.db"), &err), AUK_OK);
    for (int i = 0; i < 400; i++) {
        size_t at = (size_t)auk_rng_below(&rng, file.n);
        char bit = (char)(1u << auk_rng_below(&rng, 8));
        auk_verification v;
        file.p[at] ^= bit;
        assert_int_equal(auk_file_write(in_dir("damaged.db"), auk_buf_str(&file), &err), AUK_OK);
        file.p[at] ^= bit;
        if (auk_ledger_open(&l, in_dir("damaged.db"), false, auk_headline, &err) < 0) {
            refused++;
            continue;
        }
        if (verify(l, &v, &err) < 0)
            refused++;
        else if (findings > 0)
            noticed++;
        else if (!same_export(&want, l))
            fail_msg("byte %zu, bit %d: not noticed", at, bit);
        auk_ledger_close(l);
        assert_int_equal(auk_tree_remove(in_dir("damaged.db-wal"), &err), AUK_OK);
        assert_int_equal(auk_tree_remove(in_dir("damaged.db-shm"), &err), AUK_OK);
    }
    assert_true(noticed > 100); /* most bytes are records */
    assert_true(refused < 100);
    auk_buf_release(&file);
    auk_buf_release(&want);
}

/* ---- export and import -------------------------------------------------------------------- */

static void an_export_comes_back_byte_for_byte(void **state)
{
    static const char *const nul[] = {"{ \"text\" : \"\\u0000 \\ud83d\\ude00 caf\xc3\xa9\" }",
                                      "  {\"b\": 1.50, \"a\": 1e3}\t", NULL};
    auk_buf first = AUK_BUF_INIT(1 << 22), second = AUK_BUF_INIT(1 << 22);
    char id[AUK_SHA256_HEX];
    auk_import done;
    auk_err err = {0};
    (void)state;

    auk_ledger *l = open_ledger("one.db"), *m = open_ledger("two.db");
    put_eval(l, id, MODEL_A);
    assert_int_equal(put_lines(l, id, "other", "", nul, &err), AUK_OK);
    export_all(&first, l);
    if (auk_ledger_import(&done, m, auk_buf_str(&first), "export", &err) != AUK_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(done.added, 2);
    export_all(&second, m);
    assert_true(auk_str_eq(auk_buf_str(&first), auk_buf_str(&second)));
    must_verify(m, 2);
    assert_int_equal(auk_ledger_import(&done, m, auk_buf_str(&first), "export", &err), AUK_OK);
    assert_int_equal(done.added, 0);
    assert_int_equal(done.known, 2);
    must_verify(m, 2);
    auk_ledger_close(l);
    auk_ledger_close(m);
    auk_buf_release(&first);
    auk_buf_release(&second);
}

/* A property: no text that differs from an export in one byte is taken as another one. */
static void a_damaged_export_is_refused_whole(void **state)
{
    auk_buf text = AUK_BUF_INIT(1 << 22);
    char id[AUK_SHA256_HEX];
    auk_rng rng = auk_rng_make(7);
    auk_import done;
    auk_err err;
    (void)state;

    auk_ledger *l = open_ledger("one.db"), *m = open_ledger("two.db");
    put_eval(l, id, MODEL_A);
    put_eval(l, id, MODEL_A ", \"seed\": 5");
    export_all(&text, l);
    for (int i = 0; i < 300; i++) {
        size_t at = (size_t)auk_rng_below(&rng, text.n);
        char bit = (char)(1u << auk_rng_below(&rng, 8));
        text.p[at] ^= bit;
        if (auk_ledger_import(&done, m, auk_buf_str(&text), "export", &err) == AUK_OK)
            fail_msg("byte %zu, bit %d", at, bit);
        text.p[at] ^= bit;
    }
    for (size_t n = 0; n < text.n; n += 37) {
        if (n > 0 && text.p[n - 1] == '\n' &&
            strncmp(text.p + n, "{\"schema\": \"auklet.ledger", 25) == 0)
            continue;
        assert_true(auk_ledger_import(&done, m, (auk_str){text.p, n}, "export", &err) < 0);
    }
    must_verify(m, 0); /* not even the whole records before the damaged one */
    auk_ledger_close(l);
    auk_ledger_close(m);
    auk_buf_release(&text);
}

/* A right hash does not help a headline that the items do not give. */
static void a_made_up_headline_is_refused(void **state)
{
    static const char head[] =
        "{\"schema\": \"auklet.record/1\", \"kind\": \"other\", \"headline\": {\"rule\": "
        "\"items/1\", \"items\": 1, \"n\": 1, \"passed\": 1, \"rate\": 1.0, \"wilson95\": [0.9, "
        "1.0]}, \"items\": 1}\n{\"passed\": true}\n";
    auk_buf text = AUK_BUF_INIT(1 << 20);
    char hex[AUK_SHA256_HEX];
    auk_import done;
    auk_err err;
    (void)state;

    auk_ledger *l = open_ledger("ledger.db");
    auk_sha256_of(hex, head, sizeof head - 1);
    auk_buf_printf(&text, "{\"schema\": \"auklet.ledger/1\", \"id\": \"%s\", \"lines\": 2}\n%s",
                   hex, head);
    assert_int_equal(auk_ledger_import(&done, l, auk_buf_str(&text), "x", &err), AUK_EFORMAT);
    assert_non_null(strstr(err.msg, "headline"));
    auk_buf_clear(&text);
    auk_buf_puts(&text, "{\"schema\": \"auklet.ledger/2\", \"id\": \"x\", \"lines\": 2}\n");
    assert_int_equal(auk_ledger_import(&done, l, auk_buf_str(&text), "x", &err), AUK_ENOTSUP);
    auk_ledger_close(l);
    auk_buf_release(&text);
}

/* ---- several processes, and the end of one ------------------------------------------------ */

/* In a process of its own: n records with numbers from `first`. */
static void write_records(int first, int n)
{
    auk_ledger *l = open_ledger("ledger.db");
    char id[AUK_SHA256_HEX], more[64];

    for (int i = 0; i < n; i++) {
        snprintf(more, sizeof more, "\"seed\": %d", first + i);
        put_eval(l, id, more);
    }
    auk_ledger_close(l);
}

static void processes_write_at_once(void **state)
{
    pid_t pids[4];
    int status;
    (void)state;

    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            write_records(i * 1000, 15); /* the first to come makes the file */
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    auk_ledger *l = open_ledger("ledger.db");
    must_verify(l, 60);
    auk_ledger_close(l);
}

static void a_killed_writer_leaves_whole_records(void **state)
{
    auk_rng rng = auk_rng_make(99);
    auk_verification v, before = {0};
    auk_err err;
    int status;
    (void)state;

    for (int round = 0; round < 12; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            write_records(round * 100000, 100000);
            _exit(0);
        }
        usleep(2000 + (useconds_t)auk_rng_below(&rng, 60000));
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        auk_ledger *l = open_ledger("ledger.db");
        must_verify(l, UINT64_MAX);
        assert_int_equal(verify(l, &v, &err), AUK_OK);
        assert_true(v.records >= before.records);
        assert_int_equal(v.items, 4 * v.records);
        before = v;
        auk_ledger_close(l);
    }
    assert_true(before.records > 0);
}

static void a_full_disk_loses_nothing(void **state)
{
    int status;
    (void)state;

    write_records(0, 3);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {1 << 16, 1 << 16}; /* of any file: the next records do not fit */
        char id[AUK_SHA256_HEX], more[64];
        auk_ledger *l = NULL;
        auk_err err = {0};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        int rc = auk_ledger_open(&l, in_dir("ledger.db"), true, auk_headline, &err);
        for (int i = 0; i < 200 && rc == AUK_OK; i++) {
            snprintf(more, sizeof more, "\"seed\": %d", 1000 + i);
            rc = put_lines(l, id, "eval", more, eval_lines, &err);
        }
        _exit(rc == AUK_EIO && strchr(err.msg, '\n') == NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    auk_ledger *l = open_ledger("ledger.db");
    must_verify(l, UINT64_MAX);
    write_records(500, 3); /* and it goes on */
    must_verify(l, UINT64_MAX);
    auk_ledger_close(l);
}

/* ---- fingerprints ------------------------------------------------------------------------- */

static void a_fingerprint_is_what_sha256sum_gives(void **state)
{
    char one[AUK_SHA256_HEX], two[AUK_SHA256_HEX], list[300], want[AUK_SHA256_HEX];
    auk_err err;
    (void)state;

    assert_int_equal(auk_file_write(in_dir("config.json"), auk_str_of("{}"), &err), AUK_OK);
    assert_int_equal(auk_file_write(in_dir("README.md"), auk_str_of("x"), &err), AUK_OK);
    assert_int_equal(auk_file_write(in_dir("a.safetensors"), auk_str_of(""), &err), AUK_OK);
    assert_int_equal(auk_fingerprint(one, dir, NULL, NULL, NULL, NULL, &err), AUK_OK);
    snprintf(list, sizeof list,
             "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.safetensors\n"
             "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a  config.json\n");
    auk_sha256_of(want, list, strlen(list));
    assert_string_equal(one, want);
    auk_pool *pool = auk_pool_new(3);
    assert_int_equal(auk_file_write(in_dir("README.md"), auk_str_of("other"), &err), AUK_OK);
    assert_int_equal(auk_fingerprint(two, dir, NULL, pool, NULL, NULL, &err), AUK_OK);
    assert_string_equal(one, two);
    assert_int_equal(auk_file_write(in_dir("a.safetensors"), auk_str_of("y"), &err), AUK_OK);
    assert_int_equal(auk_fingerprint(two, dir, NULL, pool, NULL, NULL, &err), AUK_OK);
    assert_string_not_equal(one, two);
    auk_pool_free(pool);
    assert_int_equal(auk_fingerprint(one, in_dir("none"), NULL, NULL, NULL, NULL, &err),
                     AUK_ENOTFOUND);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_record_comes_back_as_it_was_put),
        T(the_same_record_is_kept_once),
        T(lists_choose_by_kind_and_model),
        T(names_that_mean_nothing_are_refused),
        T(items_that_are_no_objects_on_a_line_are_refused),
        T(what_the_ledger_computes_is_not_the_callers_to_give),
        T(a_newer_schema_is_refused),
        T(other_files_are_not_touched),
        T(rows_neither_change_nor_go),
        T(every_change_behind_its_back_is_noticed),
        T(no_flipped_bit_goes_unnoticed),
        T(an_export_comes_back_byte_for_byte),
        T(a_damaged_export_is_refused_whole),
        T(a_made_up_headline_is_refused),
        T(processes_write_at_once),
        T(a_killed_writer_leaves_whole_records),
        T(a_full_disk_loses_nothing),
        T(a_fingerprint_is_what_sha256sum_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
