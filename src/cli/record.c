/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "cli/record.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/data_cache.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MAX_MODELS 3

static const char no_place[] = "there is no place for a ledger: AUK_LEDGER and HOME are not set";

struct auk_cli_record {
    char *path;       /* owned; the ledger */
    int status;       /* exit status when the record could not be kept, else 0 */
    bool named;       /* the ledger was asked for by name: not keeping the record is a failure */
    const char *kind; /* borrowed */
    json_t *about;    /* owned */
    const char *key[MAX_MODELS], *folder[MAX_MODELS]; /* borrowed */
    size_t n_models;
    auk_buf items; /* owned; lines */
    size_t n_items;
    char id[AUK_SHA256_HEX];
};

char *auk_cli_ledger_path(const char *db)
{
    const char *set = getenv("AUK_LEDGER"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    auk_buf path = AUK_BUF_INIT(1 << 16);

    if (db == NULL && set != NULL && *set != 0)
        db = set;
    if (db != NULL)
        return auk_strndup(db, strlen(db));
    if (data != NULL && data[0] == '/')
        auk_buf_printf(&path, "%s/auklet/ledger.db", data);
    else if (home != NULL && home[0] == '/')
        auk_buf_printf(&path, "%s/.local/share/auklet/ledger.db", home);
    return path.p;
}

/* ---- what is the same for every command --------------------------------------------------- */

/* "2026-11-05T09:30:00.123Z" */
static json_t *now(void)
{
    struct timespec t;
    struct tm utc;
    char text[64], day[32];

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &utc);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof text, "%s.%03ldZ", day, t.tv_nsec / 1000000);
    return json_string(text);
}

/* As a shell would take it again; bytes no text may hold are written as escapes. */
static void quote(auk_buf *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:=,+@%";
    json_t *text = json_string(word); /* NULL: not UTF-8 */
    bool control = text == NULL;

    json_decref(text);
    for (const char *p = word; *p != 0; p++)
        control |= (unsigned char)*p < 0x20 || *p == 0x7f;
    if (*word != 0 && strspn(word, plain) == strlen(word)) {
        auk_buf_puts(out, word);
        return;
    }
    auk_buf_puts(out, control ? "$'" : "'");
    for (const char *p = word; *p != 0; p++) {
        unsigned char c = (unsigned char)*p;
        if (control && (c < 0x20 || c >= 0x7f))
            auk_buf_printf(out, "\\%03o", c);
        else if (control && (c == '\'' || c == '\\'))
            auk_buf_printf(out, "\\%c", c);
        else if (c == '\'')
            auk_buf_puts(out, "'\\''");
        else
            auk_buf_putc(out, (char)c);
    }
    auk_buf_putc(out, '\'');
}

static json_t *command_line(int argc, char **argv)
{
    auk_buf line = AUK_BUF_INIT(1 << 24);

    auk_buf_puts(&line, "auklet");
    for (int i = 0; i < argc; i++) {
        auk_buf_putc(&line, ' ');
        quote(&line, argv[i]);
    }
    json_t *v = json_stringn(line.p, line.n);
    auk_buf_release(&line);
    return v;
}

static json_t *machine(void)
{
    char cpu[128], levels[64];
    struct utsname u;

    auk_cpu_model(cpu, sizeof cpu);
    auk_cpu_names(levels, sizeof levels, auk_cpu_detect());
    bool known = uname(&u) == 0;
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "cpu", cpu, "levels", levels, "processors",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes",
                     (json_int_t)sysconf(_SC_PHYS_PAGES) * (json_int_t)sysconf(_SC_PAGESIZE),
                     "system", known ? u.sysname : "unknown", "release",
                     known ? u.release : "unknown");
}

bool auk_cli_ledger_wanted(void)
{
    const char *s = getenv("AUK_LEDGER");
    return s == NULL || *s != 0;
}

auk_cli_record *auk_cli_record_new(const char *kind, const auk_record_args *args, int argc,
                                   char **argv)
{
    if (!args->ledger && args->db == NULL)
        return NULL;
    char *path = auk_cli_ledger_path(args->db);
    bool named = args->db != NULL || getenv("AUK_LEDGER") != NULL;
    if (path == NULL && !named) /* nobody asked, and there is no home */
        return NULL;
    auk_cli_record *rec = auk_alloc(sizeof *rec);
    rec->path = path;
    rec->kind = kind;
    rec->named = named;
    rec->items = AUK_BUF_INIT(AUK_MAX_TEXT);
    rec->about = json_object();
    auk_cli_record_set(rec, "command", command_line(argc, argv));
    auk_cli_record_set(rec, "started", now());
    auk_cli_record_set(rec, "finished", json_null()); /* keeps its place */
    auk_cli_record_set(rec, "code",
                       json_pack("{s:s, s:s, s:s, s:s}", "version", AUK_VERSION, "commit",
                                 AUK_COMMIT, "compiler", AUK_COMPILER, "flags", AUK_CFLAGS));
    auk_cli_record_set(rec, "machine", machine());
    return rec;
}

static void release(auk_cli_record *rec)
{
    json_decref(rec->about);
    auk_buf_release(&rec->items);
    free(rec->path);
    free(rec);
}

/* ---- what the command adds ---------------------------------------------------------------- */

void auk_cli_record_set(auk_cli_record *rec, const char *key, json_t *value)
{
    if (rec != NULL)
        json_object_set_new(rec->about, key, value != NULL ? value : json_null());
    else
        json_decref(value);
}

void auk_cli_record_model(auk_cli_record *rec, const char *key, const char *folder)
{
    if (rec == NULL || rec->n_models == MAX_MODELS)
        return;
    rec->key[rec->n_models] = key;
    rec->folder[rec->n_models++] = folder;
    auk_cli_record_set(rec, key, json_null()); /* keeps its place */
}

void auk_cli_record_item(auk_cli_record *rec, json_t *item)
{
    if (rec != NULL) {
        auk_json_print(&rec->items, item, (auk_json_style){0});
        auk_buf_putc(&rec->items, '\n');
        rec->n_items++;
    }
    json_decref(item);
}

void auk_cli_record_module(auk_cli_record *rec, const auk_quant_module *m)
{
    uint64_t cols = m->shape[m->rank - 1], rows = 1, bytes;

    for (int i = 0; i < m->rank - 1; i++)
        rows *= m->shape[i];
    if (!m->is_quantized) {
        bytes = 2 * rows * cols;
        auk_cli_record_item(rec, json_pack("{s:s, s:i, s:n, s:n, s:I, s:I}", "path", m->path,
                                           "bits", 16, "group_size", "mode", "weights",
                                           (json_int_t)(rows * cols), "bytes", (json_int_t)bytes));
        return;
    }
    bytes = auk_numfmt_scale_bytes(m->format, cols, 2);
    bytes = rows * (auk_numfmt_code_bytes(m->format, cols) +
                    (auk_numfmt_has_bias(m->format) ? 2 : 1) * bytes);
    auk_cli_record_item(rec, json_pack("{s:s, s:i, s:i, s:s, s:I, s:I}", "path", m->path, "bits",
                                       m->format.bits, "group_size", m->format.group_size, "mode",
                                       auk_mode_name(m->format.mode), "weights",
                                       (json_int_t)(rows * cols), "bytes", (json_int_t)bytes));
}

static bool is_first_of_file(auk_str line)
{
    auk_err ignored;
    json_t *v;

    int rc = auk_json_parse(&v, line, "line", &ignored);
    bool yes = rc == AUK_OK && json_object_get(v, "schema") != NULL &&
               json_object_get(v, "task_id") == NULL;
    json_decref(v);
    return yes;
}

int auk_cli_record_lines(auk_cli_record *rec, const char *path, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);

    if (rec == NULL)
        return AUK_OK;
    int rc = auk_file_read(&text, path, err);
    for (size_t at = 0; rc == AUK_OK && at < text.n;) {
        const char *p = text.p + at, *end = memchr(p, '\n', text.n - at);
        auk_str line = {p, end != NULL ? (size_t)(end - p) : text.n - at};
        if (line.n > 0 && !(at == 0 && is_first_of_file(line))) {
            auk_buf_add(&rec->items, line.p, line.n);
            auk_buf_putc(&rec->items, '\n');
            rec->n_items++;
        }
        at += line.n + 1;
    }
    auk_buf_release(&text);
    return rc < 0 ? rc : auk_buf_check(&rec->items, path, err);
}

/* ---- putting it --------------------------------------------------------------------------- */

/* A source that the result replaced is gone: what lies there now is not what was read. */
static bool is_replaced(const auk_cli_record *rec, size_t at)
{
    struct stat x, y;

    for (size_t i = 0; i < rec->n_models; i++)
        if (strcmp(rec->key[at], "source") == 0 && strcmp(rec->key[i], "model") == 0 &&
            stat(rec->folder[at], &x) == 0 && stat(rec->folder[i], &y) == 0 &&
            x.st_dev == y.st_dev && x.st_ino == y.st_ino)
            return true;
    return false;
}

static int add_models(auk_cli_record *rec, const auk_common *common, auk_err *err)
{
    auk_pool *pool = auk_pool_new(common->threads);
    char *cache = auk_cli_cache_path("fingerprints");
    auk_meter meter;
    int rc = AUK_OK;

    auk_meter_init(&meter, common);
    for (size_t i = 0; i < rec->n_models && rc == AUK_OK; i++) {
        char hex[AUK_SHA256_HEX];
        const char *folder = rec->folder[i];
        if (!auk_file_is_dir(folder) || is_replaced(rec, i)) {
            auk_cli_record_set(rec, rec->key[i],
                               json_pack("{s:s, s:n}", "path", folder, "fingerprint"));
            continue;
        }
        rc = auk_fingerprint(hex, folder, cache, pool, auk_meter_step, &meter, err);
        if (rc == AUK_OK)
            auk_cli_record_set(rec, rec->key[i],
                               json_pack("{s:s, s:s}", "path", folder, "fingerprint", hex));
    }
    auk_meter_clear(&meter);
    auk_pool_free(pool);
    free(cache);
    return rc;
}

static int split(auk_str **out, const auk_cli_record *rec, auk_err *err)
{
    const char *at = rec->items.p, *stop = rec->n_items > 0 ? at + rec->items.n : at;

    int rc = auk_try_alloc(out, rec->n_items + 1, sizeof **out, err);
    for (size_t i = 0; i < rec->n_items && rc == AUK_OK; i++) {
        const char *end = memchr(at, '\n', (size_t)(stop - at)); /* every line has one */
        (*out)[i] = (auk_str){at, (size_t)(end - at)};
        at = end + 1;
    }
    return rc;
}

static int put(auk_cli_record *rec, auk_err *err)
{
    auk_record r = {.kind = rec->kind, .about = rec->about, .n_items = rec->n_items};
    auk_ledger *l = NULL;
    auk_str *items = NULL;

    int rc = rec->path != NULL ? AUK_OK : auk_fail(err, AUK_ENOTFOUND, "%s", no_place);
    if (rc == AUK_OK)
        rc = auk_buf_check(&rec->items, "the record's items", err);
    if (rc == AUK_OK)
        rc = split(&items, rec, err);
    r.items = items;
    if (rc == AUK_OK)
        rc = auk_ledger_open(&l, rec->path, true, auk_headline, err);
    if (rc == AUK_OK)
        rc = auk_ledger_put(l, rec->id, &r, err);
    auk_ledger_close(l);
    free(items);
    return rc;
}

void auk_cli_record_put(auk_cli_record *rec, const auk_common *common)
{
    auk_err err;

    if (rec == NULL)
        return;
    auk_cli_record_set(rec, "finished", now());
    int rc = add_models(rec, common, &err);
    if (rc == AUK_OK)
        rc = put(rec, &err);
    if (rc < 0) {
        rec->id[0] = 0;
        rec->status = !rec->named ? 0 : rc == AUK_ECANCEL ? 130 : 1;
        fprintf(stderr, "auklet: not in the ledger: %s\n", err.msg);
    } else if (!common->quiet) {
        fprintf(stderr, "auklet: ledger: %.12s\n", rec->id);
    }
}

int auk_cli_record_end(auk_cli_record *rec, int status)
{
    if (rec != NULL && rec->status != 0 && (status == 0 || status == 3))
        status = rec->status;
    if (rec != NULL)
        release(rec);
    return status;
}

json_t *auk_cli_record_id(const auk_cli_record *rec)
{
    return rec != NULL && rec->id[0] != 0 ? json_string(rec->id) : json_null();
}

/* ---- for the commands that read records --------------------------------------------------- */

int auk_cli_ledger_open(auk_ledger **out, const char *db, bool create, auk_err *err)
{
    char *path = auk_cli_ledger_path(db);

    *out = NULL;
    if (path == NULL)
        return auk_fail(err, AUK_ENOTFOUND, "%s", no_place);
    int rc = auk_ledger_open(out, path, create, auk_headline, err);
    free(path);
    return rc;
}

int auk_cli_entries(auk_entry **out, auk_ledger *l, char **names, size_t n, auk_err *err)
{
    auk_entry *list = auk_alloc((n + 1) * sizeof *list);
    int rc = AUK_OK;

    for (size_t i = 0; i < n && rc == AUK_OK; i++)
        rc = auk_ledger_get(&list[i], l, names[i], err);
    *out = rc == AUK_OK ? list : NULL;
    if (rc < 0)
        auk_entries_free(list, n);
    return rc;
}

int auk_cli_write(const char *path, bool force, const auk_buf *text, auk_err *err)
{
    if (path == NULL) {
        bool ok = fwrite(text->p != NULL ? text->p : "", 1, text->n, stdout) == text->n;
        return ok && fflush(stdout) == 0
                   ? AUK_OK
                   : auk_fail(err, AUK_EIO, "cannot write to standard output");
    }
    if (auk_file_exists(path) && !force)
        return auk_fail(err, AUK_EINVAL,
                        "'%s' exists: choose another name, or --force to replace it", path);
    return auk_file_write(path, auk_buf_str(text), err);
}
