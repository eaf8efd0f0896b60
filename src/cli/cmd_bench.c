/* SPDX-License-Identifier: Apache-2.0 */
/* Prefill and decode rates at context depths, each beside what the memory and the arithmetic unit
 * gave in the same seconds. */
#include "cli/cli.h"

#include "base/mem.h"
#include "base/time.h"
#include "cli/machine.h"
#include "cli/record.h"
#include "engine/engine.h"

#include <math.h>

#define MAX_DEPTHS 16
#define MAX_REPEAT 101
#define PROBE_BYTES ((size_t)256 << 20)
#define PEAK_LOOPS 400000

typedef struct bench_args {
    auk_common common;
    auk_record_args ledger;
    const char *synthetic, *depth;
    int layers, prompt, gen, repeat;
} bench_args;

static const auk_opt options[] = {
    {"synthetic", AUK_OPT_STR, offsetof(bench_args, synthetic), "KIND",
     "North's shapes with drawn weights: 4bit, 8bit, all4, mixed_4_8, mxfp4, mxfp8, bf16"},
    {"layers", AUK_OPT_INT, offsetof(bench_args, layers), "N",
     "with --synthetic: this many layers (default 49)"},
    {"prompt-tokens", AUK_OPT_INT, offsetof(bench_args, prompt), "N",
     "tokens of a prefill (default 512; 0: none)"},
    {"gen-tokens", AUK_OPT_INT, offsetof(bench_args, gen), "N",
     "tokens of a decode (default 16; 0: none)"},
    {"depth", AUK_OPT_STR, offsetof(bench_args, depth), "N,N",
     "positions that are there before (default 0); their keys and values are drawn"},
    {"repeat", AUK_OPT_INT, offsetof(bench_args, repeat), "N",
     "measurements, of which the median is given (default 7)"},
    AUK_RECORD_OPTIONS(bench_args, ledger),
    {0},
};

/* ---- probes -------------------------------------------------------------------------------- */

typedef struct probe {
    const uint64_t *p;
    uint64_t sink[AUK_PANEL_MAX_X]; /* what was read must not be dropped */
    const auk_kernel *k;
    double ops;
} probe;

static void read_range(void *ctx, size_t lo, size_t hi)
{
    probe *b = ctx;
    uint64_t s[8] = {0};

    for (size_t i = lo; i + 8 <= hi; i += 8)
        for (size_t j = 0; j < 8; j++)
            s[j] += b->p[i + j];
    for (size_t j = 1; j < 8; j++)
        s[0] += s[j];
    __asm__ volatile("" : : "r"(s[0]) : "memory");
}

static void peak_range(void *ctx, size_t lo, size_t hi)
{
    probe *b = ctx;
    double ops = 0;

    for (size_t i = lo; i < hi; i++)
        ops += b->k->peak(PEAK_LOOPS);
    __asm__ volatile("" : : "r"(&ops) : "memory");
}

/* Bytes per second, all threads reading, each a part of its own. */
static double bandwidth(auk_pool *pool, const uint8_t *memory, size_t bytes)
{
    probe b = {.p = (const uint64_t *)(const void *)memory};
    uint64_t t0 = auk_now_ns();

    auk_pool_run(pool, bytes / 8, (size_t)1 << 17, read_range, &b);
    return (double)bytes / ((double)(auk_now_ns() - t0) / 1e9);
}

static double peak_rate(auk_pool *pool, const auk_kernel *k)
{
    probe b = {.k = k};
    size_t n = 4 * (size_t)auk_pool_threads(pool);
    double best = 0, ops = k->peak(1);

    for (int i = 0; i < 5; i++) {
        uint64_t t0 = auk_now_ns();
        auk_pool_run(pool, n, 1, peak_range, &b);
        double rate = ops * PEAK_LOOPS * (double)n / ((double)(auk_now_ns() - t0) / 1e9);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- measuring ----------------------------------------------------------------------------- */

typedef struct sample {
    double rate, bandwidth;
} sample;

typedef struct row {
    int depth;
    double prefill, prefill_lo, prefill_hi, prefill_ops; /* tok/s; operations per second */
    double decode, decode_lo, decode_hi, bandwidth, share;
    uint64_t bytes, kv_bytes;
} row;

typedef struct bench {
    const bench_args *a;
    auk_engine *e;
    auk_session *s;
    float *logits;
    const uint8_t *memory;
    size_t memory_bytes, memory_at;
    uint8_t *own; /* when the model is too small to measure memory with */
} bench;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarize(double *median, double *lo, double *hi, double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    *median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
    *lo = v[0];
    *hi = v[n - 1];
}

/* Multiply-adds of one token without the head, at a mean of `keys` visible positions. */
static double macs_per_token(const auk_hparams *hp, double depth, double n)
{
    double h = hp->hidden, q = (double)hp->n_heads * hp->head_dim;
    double kv = (double)hp->n_kv_heads * hp->head_dim, sum = 0;

    for (int i = 0; i < hp->n_layers; i++) {
        double keys = depth + (n + 1) / 2, w = hp->window;
        sum += h * (2 * q + 2 * kv);
        if (i < hp->n_dense)
            sum += 3 * h * hp->dense_width;
        else
            sum += h * hp->n_experts + 3 * h * hp->expert_width * hp->top_k;
        sum += 2 * q * (hp->sliding[i] && keys > w ? w : keys);
    }
    return sum;
}

static double probe_memory(bench *b)
{
    if (b->memory_at + PROBE_BYTES > b->memory_bytes)
        b->memory_at = 0;
    double rate = bandwidth(auk_engine_pool(b->e), b->memory + b->memory_at, PROBE_BYTES);
    b->memory_at += PROBE_BYTES;
    return rate;
}

static int32_t draw_id(auk_engine *e, uint32_t *u)
{
    *u = *u * 1664525u + 1013904223u;
    return (int32_t)((*u >> 8) % (uint32_t)auk_engine_vocab(e));
}

static int time_decode(row *r, bench *b, auk_err *err)
{
    double rates[MAX_REPEAT], reads[MAX_REPEAT], shares[MAX_REPEAT], lo, hi;
    size_t n = (size_t)b->a->repeat;
    uint32_t u = 1;
    int rc = auk_session_pretend(b->s, r->depth, err);

    r->bytes = auk_model_bytes_per_token(auk_engine_model(b->e)) +
               auk_kv_read_bytes(&auk_engine_model(b->e)->hp, r->depth, AUK_PRECISION_BF16);
    for (size_t i = 0; i < n + 1 && rc == AUK_OK; i++) { /* the first warms up */
        double before = probe_memory(b);
        uint64_t t0 = auk_now_ns();
        for (int t = 0; t < b->a->gen && rc == AUK_OK; t++) {
            int32_t id = draw_id(b->e, &u);
            rc = auk_session_feed(b->s, &id, 1, b->logits, err);
        }
        double rate = (double)b->a->gen / ((double)(auk_now_ns() - t0) / 1e9);
        double read = (before + probe_memory(b)) / 2;
        size_t at = i > 0 ? i - 1 : 0;
        rates[at] = rate;
        reads[at] = read;
        shares[at] = rate * (double)r->bytes / read;
        if (auk_session_length(b->s) + b->a->gen > r->depth + 4096)
            auk_session_rewind(b->s, r->depth);
    }
    if (rc < 0)
        return rc;
    summarize(&r->decode, &r->decode_lo, &r->decode_hi, rates, n);
    summarize(&r->bandwidth, &lo, &hi, reads, n);
    summarize(&r->share, &lo, &hi, shares, n);
    return rc;
}

static int time_prefill(row *r, bench *b, auk_err *err)
{
    size_t n = (size_t)b->a->prompt, repeat = (size_t)b->a->repeat;
    int32_t *ids = auk_alloc(n * sizeof *ids);
    double rates[MAX_REPEAT];
    uint32_t u = 7;
    int rc = AUK_OK;

    for (size_t i = 0; i < n; i++)
        ids[i] = draw_id(b->e, &u);
    for (size_t i = 0; i < repeat && rc == AUK_OK; i++) {
        rc = auk_session_pretend(b->s, r->depth, err);
        uint64_t t0 = auk_now_ns();
        if (rc == AUK_OK)
            rc = auk_session_feed(b->s, ids, n, b->logits, err);
        rates[i] = (double)n / ((double)(auk_now_ns() - t0) / 1e9);
    }
    free(ids);
    if (rc < 0)
        return rc;
    const auk_hparams *hp = &auk_engine_model(b->e)->hp;
    double head = (double)hp->vocab * hp->hidden / (double)n;
    summarize(&r->prefill, &r->prefill_lo, &r->prefill_hi, rates, repeat);
    r->prefill_ops = 2 * r->prefill * (macs_per_token(hp, r->depth, (double)n) + head);
    return rc;
}

static int measure(row *rows, size_t n, bench *b, auk_err *err)
{
    int rc = AUK_OK;

    for (size_t i = 0; i < n && rc == AUK_OK; i++) {
        rows[i].kv_bytes = auk_session_kv_bytes(b->e, rows[i].depth > 0 ? rows[i].depth : 1);
        if (b->a->gen > 0)
            rc = time_decode(&rows[i], b, err);
        if (rc == AUK_OK && b->a->prompt > 0)
            rc = time_prefill(&rows[i], b, err);
    }
    return rc;
}

/* ---- what is printed ----------------------------------------------------------------------- */

static json_t *slots_json(const auk_kernel *k)
{
    json_t *out = json_object();

    for (size_t i = 0; auk_kernel_slot_name(i) != NULL; i++)
        json_object_set_new(out, auk_kernel_slot_name(i),
                            json_string(auk_kernel_slot_level(k, auk_kernel_slot_name(i))));
    return out;
}

static json_t *or_null(double v, bool there)
{
    return there ? auk_json_real(v) : json_null();
}

static json_t *row_json(const row *r, const bench_args *a, double peak)
{
    bool gen = a->gen > 0, prompt = a->prompt > 0;

    return json_pack(
        "{s:i, s:o, s:o, s:o, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "depth", r->depth,
        "prefill_tok_s", or_null(r->prefill, prompt), "decode_tok_s", or_null(r->decode, gen),
        "decode_spread", gen ? json_pack("[f, f]", r->decode_lo, r->decode_hi) : json_null(),
        "bytes_per_token", (json_int_t)r->bytes, "bandwidth_bytes_s", or_null(r->bandwidth, gen),
        "decode_share_of_bandwidth", or_null(r->share, gen), "kv_bytes", (json_int_t)r->kv_bytes,
        "prefill_spread", prompt ? json_pack("[f, f]", r->prefill_lo, r->prefill_hi) : json_null(),
        "prefill_ops_s", or_null(r->prefill_ops, prompt), "prefill_share_of_peak",
        or_null(r->prefill_ops / peak, prompt), "decode_ms", or_null(1e3 / r->decode, gen),
        "prompt_tokens", prompt ? json_integer(a->prompt) : json_null());
}

static json_t *parts_json(const auk_model *m)
{
    auk_model_parts p = auk_model_parts_per_token(m);

    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "attention", (json_int_t)p.attention, "experts",
                     (json_int_t)p.experts, "dense", (json_int_t)p.dense, "router",
                     (json_int_t)p.router, "head", (json_int_t)p.head);
}

static json_t *result_json(const row *rows, size_t n, const bench *b, double peak, double load_s)
{
    const auk_model *m = auk_engine_model(b->e);
    char cpu[128], levels[64], format[128];
    json_t *list = json_array();

    auk_cpu_model(cpu, sizeof cpu);
    auk_cpu_names(levels, sizeof levels, auk_engine_kernel(b->e)->cpu_flags);
    auk_model_describe(format, sizeof format, m);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, row_json(&rows[i], b->a, peak));
    return json_pack("{s:s, s:{s:s, s:s, s:i}, s:{s:s, s:s, s:i, s:I, s:b}, s:o, s:o, s:f, s:f, "
                     "s:i, s:i, s:o}",
                     "schema", "auklet.bench/1", "machine", "cpu", cpu, "levels", levels, "threads",
                     auk_pool_threads(auk_engine_pool(b->e)), "model", "name",
                     b->a->synthetic != NULL ? b->a->synthetic : b->a->common.arg[0], "format",
                     format, "layers", m->hp.n_layers, "weight_bytes", (json_int_t)m->weight_bytes,
                     "synthetic", b->a->synthetic != NULL, "bytes_per_token_parts", parts_json(m),
                     "kernels", slots_json(auk_engine_kernel(b->e)), "peak_ops_s", peak, "load_s",
                     load_s, "repeat", b->a->repeat, "gen_tokens", b->a->gen, "rows", list);
}

static void print_text(const row *rows, size_t n, const bench *b, double peak, double load_s)
{
    const auk_model *m = auk_engine_model(b->e);
    const auk_kernel *k = auk_engine_kernel(b->e);
    auk_model_parts p = auk_model_parts_per_token(m);
    uint64_t all = auk_model_bytes_per_token(m);
    char format[128], bytes[32], cpu[128];

    auk_model_describe(format, sizeof format, m);
    auk_bytes_print(bytes, sizeof bytes, m->weight_bytes);
    auk_cpu_model(cpu, sizeof cpu);
    printf("%s, %d threads, %.0f Gop/s (%s)\n", cpu, auk_pool_threads(auk_engine_pool(b->e)),
           peak / 1e9, auk_kernel_slot_level(k, "peak"));
    printf("%d layers, %s, %s, ready in %.1f s\n", m->hp.n_layers, format, bytes, load_s);
    auk_bytes_print(bytes, sizeof bytes, all);
    printf("a token reads %s: attention %.0f%%, experts %.0f%%, dense %.0f%%, router %.0f%%, head "
           "%.0f%%\n",
           bytes, 100.0 * (double)p.attention / (double)all,
           100.0 * (double)p.experts / (double)all, 100.0 * (double)p.dense / (double)all,
           100.0 * (double)p.router / (double)all, 100.0 * (double)p.head / (double)all);
    for (size_t i = 0; auk_kernel_slot_name(i) != NULL; i++)
        if (strncmp(auk_kernel_slot_name(i), "panel_", 6) == 0)
            printf("%s: %s  ", auk_kernel_slot_name(i),
                   auk_kernel_slot_level(k, auk_kernel_slot_name(i)));
    printf("\n\n   depth  decode tok/s (spread)        GB/token  memory GB/s  share"
           "   prefill tok/s  Gop/s  of peak\n");
    for (size_t i = 0; i < n; i++) {
        printf("%8d", rows[i].depth);
        if (b->a->gen > 0)
            printf("  %12.2f (%.2f to %.2f)  %9.3f  %11.1f  %4.0f%%", rows[i].decode,
                   rows[i].decode_lo, rows[i].decode_hi, (double)rows[i].bytes / 1e9,
                   rows[i].bandwidth / 1e9, 100 * rows[i].share);
        if (b->a->prompt > 0)
            printf("  %14.1f  %5.0f  %6.0f%%", rows[i].prefill, rows[i].prefill_ops / 1e9,
                   100 * rows[i].prefill_ops / peak);
        printf("\n");
    }
}

/* ---- the command --------------------------------------------------------------------------- */

static int parse_depths(row *rows, size_t *n, const char *text, auk_err *err)
{
    const char *p = text;
    char *end;

    for (*n = 0; *n < MAX_DEPTHS; (*n)++) {
        long v = strtol(p, &end, 10);
        if (end == p || v < 0 || v > 10000000 || (*end != ',' && *end != 0))
            return auk_fail(err, AUK_EINVAL, "option '--depth': '%.60s' is not a list like 0,4096",
                            text);
        rows[*n] = (row){.depth = (int)v};
        p = end + 1;
        if (*end == 0) {
            (*n)++;
            return AUK_OK;
        }
    }
    return auk_fail(err, AUK_EINVAL, "option '--depth': more than %d depths", MAX_DEPTHS);
}

/* A synthetic model is refused before it fills the memory. */
static int check_fits(const bench_args *a, auk_err *err)
{
    auk_model *m;
    char need[32], have[32];
    int rc = auk_model_synthetic_shapes(&m, a->synthetic, a->layers, err);

    if (rc < 0)
        return rc;
    uint64_t bytes = auk_model_panel_bytes(m) + ((uint64_t)1 << 30);
    auk_model_close(m);
    auk_bytes_print(need, sizeof need, bytes);
    auk_bytes_print(have, sizeof have, auk_machine_available());
    if (bytes > auk_machine_available())
        return auk_fail(err, AUK_ELIMIT,
                        "'%s' needs %s and %s are available: lower --layers (49 is all)",
                        a->synthetic, need, have);
    return AUK_OK;
}

static int open_engine(bench *b, auk_meter *meter, auk_err *err)
{
    const bench_args *a = b->a;
    auk_engine_options opts = {
        .threads = a->common.threads, .progress = auk_meter_step, .progress_ctx = meter};
    int rc = auk_cli_cpu(&opts.cpu_flags, &a->common, err);

    if (rc == AUK_OK && a->synthetic != NULL)
        rc = check_fits(a, err);
    if (rc == AUK_OK && a->synthetic != NULL)
        rc = auk_engine_open_synthetic(&b->e, a->synthetic, a->layers, &opts, err);
    else if (rc == AUK_OK)
        rc = auk_engine_open(&b->e, a->common.arg[0], &opts, err);
    auk_meter_clear(meter);
    return rc;
}

static int prepare(bench *b, const row *rows, size_t n, auk_err *err)
{
    const auk_model *m = auk_engine_model(b->e);
    int deepest = 0;

    for (size_t i = 0; i < n; i++)
        deepest = rows[i].depth > deepest ? rows[i].depth : deepest;
    int more = b->a->prompt > 4096 + b->a->gen ? b->a->prompt : 4096 + b->a->gen;
    int ctx = deepest > m->hp.max_context - more ? m->hp.max_context : deepest + more;
    int rc = auk_session_new(&b->s, b->e, ctx, err);
    if (rc == AUK_OK)
        auk_session_speculate(b->s, false); /* drawn ids have no past */
    if (rc == AUK_OK)
        rc = auk_try_alloc(&b->logits, (size_t)m->hp.vocab, sizeof *b->logits, err);
    b->memory = m->panel_memory;
    b->memory_bytes = m->panel_bytes;
    if (rc == AUK_OK && m->panel_bytes < 2 * PROBE_BYTES) {
        rc = auk_large_alloc(&b->own, PROBE_BYTES, err);
        b->memory = b->own;
        b->memory_bytes = PROBE_BYTES;
        if (rc == AUK_OK)
            memset(b->own, 1, PROBE_BYTES);
    }
    return rc;
}

static int check_args(const auk_cmd *self, const bench_args *a)
{
    if ((a->synthetic != NULL) == (a->common.n_args > 0))
        return auk_cli_usage(self, "want a MODEL or --synthetic KIND");
    if (a->prompt < 0 || a->gen < 0 || a->repeat < 1 || a->repeat > MAX_REPEAT)
        return auk_cli_usage(self, "--prompt-tokens and --gen-tokens are not negative, --repeat is "
                                   "1 to 101");
    if (a->layers < 0 || a->layers > 1000 || (a->layers > 0 && a->synthetic == NULL))
        return auk_cli_usage(self, "--layers goes with --synthetic and is at most 1000");
    return AUK_OPT_GO;
}

static int bench_all(json_t **out, bench *b, row *rows, size_t n, bool text, auk_err *err)
{
    auk_meter meter;
    uint64_t t0 = auk_now_ns();

    auk_meter_init(&meter, &b->a->common);
    int rc = open_engine(b, &meter, err);
    double load_s = (double)(auk_now_ns() - t0) / 1e9;
    if (rc == AUK_OK)
        rc = prepare(b, rows, n, err);
    double peak = rc == AUK_OK ? peak_rate(auk_engine_pool(b->e), auk_engine_kernel(b->e)) : 0;
    if (rc == AUK_OK)
        rc = measure(rows, n, b, err);
    if (rc == AUK_OK)
        *out = result_json(rows, n, b, peak, load_s);
    if (rc == AUK_OK && text)
        print_text(rows, n, b, peak, load_s);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    bench_args a = {
        .prompt = 512, .gen = 16, .repeat = 7, .depth = "0", .ledger = AUK_RECORD_ARGS_INIT};
    row rows[MAX_DEPTHS];
    bench b = {.a = &a};
    json_t *out = NULL;
    size_t n = 0;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status == AUK_OPT_GO)
        status = check_args(self, &a);
    if (status != AUK_OPT_GO)
        return status;
    auk_cli_record *rec = auk_cli_record_new("bench", &a.ledger, argc, argv);
    int rc = parse_depths(rows, &n, a.depth, &err);
    if (rc == AUK_OK)
        rc = bench_all(&out, &b, rows, n, !a.common.json, &err);
    free(b.logits);
    auk_large_free(b.own, PROBE_BYTES);
    auk_session_free(b.s);
    auk_engine_close(b.e);
    if (rc == AUK_OK) {
        if (a.synthetic == NULL)
            auk_cli_record_model(rec, "model", a.common.arg[0]);
        else
            auk_cli_record_set(rec, "synthetic", json_string(a.synthetic));
        for (size_t i = 0; i < n; i++)
            auk_cli_record_item(rec,
                                json_deep_copy(json_array_get(json_object_get(out, "rows"), i)));
        auk_cli_record_put(rec, &a.common);
        if (a.common.json) {
            json_object_set_new(out, "ledger_id", auk_cli_record_id(rec));
            auk_cli_print_json(json_incref(out));
        }
    }
    json_decref(out);
    return auk_cli_record_end(rec, rc < 0 ? auk_cli_fail(&err) : 0);
}

const auk_cmd auk_cmd_bench = {
    .name = "bench",
    .run = run,
    .usage = "bench MODEL | --synthetic KIND [options]",
    .summary = "prefill and decode speed at context depths, beside the machine's limits",
    .examples = "  auklet bench data/miniature --prompt-tokens 256 --repeat 3\n"
                "  auklet bench --synthetic 4bit --depth 0,4096 --json\n",
    .options = options,
    .max_args = 1,
};
