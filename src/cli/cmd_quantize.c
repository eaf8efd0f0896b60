/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/mem.h"
#include "base/time.h"
#include "cli/calibration_mix.h"
#include "cli/record.h"
#include "quant/quant.h"

typedef struct quantize_args {
    auk_common common;
    auk_quant_options quant;
    const char *mode, *method, *rounding, *mx_scale, *calib, *include;
    int calib_length, calib_tokens;
    bool calib_any, dry_run;
    uint64_t max_size, max_memory;
    int ctx;
    auk_record_args ledger;
    auk_calib_tokens tokens; /* owned */
    json_t *entries;         /* owned; one object per matrix */
    size_t n_few, n_none;    /* experts with few tokens, with none */
    auk_budget budget;       /* owned */
} quantize_args;

static const auk_opt options[] = {
    {"mode", AUK_OPT_STR, offsetof(quantize_args, mode), "M",
     "affine (default), mxfp4, mxfp8 or nvfp4"},
    {"bits", AUK_OPT_INT, offsetof(quantize_args, quant.bits), "N",
     "affine: 2 3 4 5 6 8 (default 4); 16: convert the layout, quantize nothing"},
    {"group-size", AUK_OPT_INT, offsetof(quantize_args, quant.group_size), "N",
     "affine: 32, 64 (default) or 128 weights per scale"},
    {"recipe", AUK_OPT_STR, offsetof(quantize_args, quant.recipe), "NAME",
     "mixed_2_6 3_4 3_5 3_6 3_8 4_6 or 4_8: low and high bits by module"},
    {"method", AUK_OPT_STR, offsetof(quantize_args, method), "M",
     "rtn (default): round to nearest; wrtn: searched grids; gptq: calibrated, per expert"},
    {"calib", AUK_OPT_STR, offsetof(quantize_args, calib), "FILE",
     "calibration: text, JSON lines of chats, ids, mbpp:FILE or mix (built in; default of gptq)"},
    {"calib-length", AUK_OPT_INT, offsetof(quantize_args, calib_length), "N",
     "tokens of a calibration sequence (default 2048)"},
    {"calib-tokens", AUK_OPT_INT, offsetof(quantize_args, calib_tokens), "N",
     "calibration tokens at most (default 131072)"},
    {"calib-any", AUK_OPT_FLAG, offsetof(quantize_args, calib_any), NULL,
     "take calibration text that repeats itself or is in another script, too"},
    {"weight-power", AUK_OPT_INT, offsetof(quantize_args, quant.weight_power), "P",
     "tokens count by router weight ^ P: 0, 1 or 2 (default)"},
    {"include", AUK_OPT_STR, offsetof(quantize_args, include), "LIST",
     "what to quantize: experts,dense,embedding (default),attention,router"},
    {"rounding", AUK_OPT_STR, offsetof(quantize_args, rounding), "R",
     "metal (default): as on a Mac and in published files; cpu: as MLX on Linux"},
    {"mx-scale", AUK_OPT_STR, offsetof(quantize_args, mx_scale), "R",
     "mxfp4, mxfp8: up (default, MLX 0.32.2 and later) or nearest (before)"},
    {"max-size", AUK_OPT_BYTES, offsetof(quantize_args, max_size), "SIZE",
     "choose bits and groups per module, so that the weights take at most SIZE (24GB, 20GiB)"},
    {"max-memory", AUK_OPT_BYTES, offsetof(quantize_args, max_memory), "SIZE",
     "the same for weights, cache and scratch of a context together"},
    {"ctx", AUK_OPT_INT, offsetof(quantize_args, ctx), "N",
     "that context, in tokens (default 32768)"},
    {"shard-size", AUK_OPT_BYTES, offsetof(quantize_args, quant.shard_bytes), "SIZE",
     "largest file of weights (default 5GiB)"},
    {"force", AUK_OPT_FLAG, offsetof(quantize_args, quant.force), NULL, "replace DST if it exists"},
    {"resume", AUK_OPT_FLAG, offsetof(quantize_args, quant.resume), NULL,
     "an unfinished DST.partial is always taken up; with this, fail when it is of another job"},
    {"dry-run", AUK_OPT_FLAG, offsetof(quantize_args, dry_run), NULL,
     "say size, memory, time and what would change; write nothing"},
    AUK_RECORD_OPTIONS(quantize_args, ledger),
    {0},
};

/* The number of `word` among two or more names, the first for NULL; -1: none of them. */
static int choice(const char *word, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (word == NULL || strcmp(word, names[i]) == 0)
            return (int)i;
    return -1;
}

static const char *const method_names[] = {"rtn", "wrtn", "gptq"};

static int read_include(const auk_cmd *self, quantize_args *a)
{
    static const char *const names[] = {"experts", "dense", "embedding", "attention", "router"};

    for (const char *p = a->include; p != NULL && *p != 0;) {
        size_t n = strcspn(p, ","), i = 0;
        while (i < 5 && (strlen(names[i]) != n || memcmp(names[i], p, n) != 0))
            i++;
        if (i == 5)
            return auk_cli_usage(self,
                                 "option '--include': '%.*s' is none of experts, dense, embedding, "
                                 "attention, router",
                                 (int)n, p);
        a->quant.include |= 1u << i;
        p += n + (p[n] == ',');
    }
    return AUK_OPT_GO;
}

/* The words of the options into the module's; AUK_OPT_GO or an exit status. */
static int read_words(const auk_cmd *self, quantize_args *a)
{
    static const char *const roundings[] = {"metal", "cpu"}, *const scales[] = {"up", "nearest"};
    int method = choice(a->method, method_names, 3);
    auk_err err;

    if (a->mode != NULL && auk_mode_parse(&a->quant.mode, auk_str_of(a->mode), &err) < 0)
        return auk_cli_usage(self, "option '--mode': %s", err.msg);
    if (method < 0)
        return auk_cli_usage(self, "option '--method': '%s' is none of rtn, wrtn, gptq", a->method);
    a->quant.method = (auk_method)method;
    if (a->calib_length < 2 || a->calib_tokens < 2)
        return auk_cli_usage(self, "calibration needs sequences of at least 2 tokens");
    if (a->calib != NULL && method == 0)
        return auk_cli_usage(self, "--calib is for --method wrtn or gptq: rtn uses no data");
    int rounding = choice(a->rounding, roundings, 2), scale = choice(a->mx_scale, scales, 2);
    if (rounding < 0)
        return auk_cli_usage(self, "option '--rounding': '%s' is neither metal nor cpu",
                             a->rounding);
    if (scale < 0)
        return auk_cli_usage(self, "option '--mx-scale': '%s' is neither up nor nearest",
                             a->mx_scale);
    a->quant.rounding = rounding == 0 ? AUK_ROUND_METAL : AUK_ROUND_CPU;
    a->quant.mx_scale = scale == 0 ? AUK_MX_UP : AUK_MX_NEAREST;
    return AUK_OPT_GO;
}

/* The quantized modules; all others keep the source's type. */
static json_t *list_modules(const auk_quant_list *list)
{
    json_t *out = json_array();

    for (size_t i = 0; i < list->n; i++) {
        const auk_quant_module *m = &list->modules[i];
        if (m->is_quantized)
            json_array_append_new(out, json_pack("{s:s, s:i, s:i, s:s}", "path", m->path, "bits",
                                                 m->format.bits, "group_size", m->format.group_size,
                                                 "mode", auk_mode_name(m->format.mode)));
    }
    return out;
}

/* ---- calibration --------------------------------------------------------------------------- */

static void keep_entry(void *ctx, const auk_quant_entry *e)
{
    quantize_args *a = ctx;
    json_t *v = json_pack(
        "{s:i, s:i, s:s, s:I, s:f, s:f, s:f, s:b, s:I, s:I, s:b, s:f, s:f, s:f, s:o, s:s, s:s}",
        "layer", e->layer, "expert", e->expert, "proj", e->proj, "tokens", (json_int_t)e->tokens,
        "n_eff", e->n_eff, "kappa", e->kappa, "damp", e->damp, "f64", (int)e->f64, "dead",
        (json_int_t)e->dead, "judged_by", (json_int_t)e->judged_by, "held_out", (int)e->held_out,
        "loss", e->loss, "err_rtn", e->err_rtn, "err_wrtn", e->err_wrtn, "err_gptq",
        e->err_gptq < 0 ? json_null() : auk_json_real(e->err_gptq), "chosen",
        method_names[e->chosen], "reason", e->reason);

    json_array_append_new(a->entries, v);
    a->n_none += e->expert >= 0 && e->tokens == 0;
    a->n_few += e->expert >= 0 && e->tokens > 0 && e->judged_by > 0 && e->tokens < 200;
}

static bool has_budget(const quantize_args *a)
{
    return a->max_size > 0 || a->max_memory > 0;
}

static int read_calibration(quantize_args *a, const char *src, auk_err *err)
{
    bool mix = a->calib == NULL || strcmp(a->calib, "mix") == 0;
    auk_str text = {(const char *)auk_calibration_mix, auk_calibration_mix_bytes};
    auk_calib_options o = {(size_t)a->calib_length, (size_t)a->calib_tokens, a->calib_any};

    bool plain = a->quant.method == AUK_METHOD_RTN ||
                 (a->calib == NULL && a->quant.method == AUK_METHOD_WRTN);
    if (plain && !has_budget(a))
        return AUK_OK;
    int rc = auk_calib_read(&a->tokens, src, mix ? "mix" : a->calib, mix ? &text : NULL, &o, err);
    if (rc == AUK_OK && !plain)
        a->quant.calibration = &a->tokens.all;
    return rc;
}

/* Weights of at most --max-size, and of what --max-memory leaves beside a context. */
static int budget_bytes(uint64_t *out, const quantize_args *a, const auk_hparams *hp, auk_err *err)
{
    size_t widest = (size_t)(hp->dense_width > hp->hidden ? hp->dense_width : hp->hidden);
    uint64_t context = auk_kv_bytes(hp, a->ctx, AUK_PRECISION_BF16) +
                       auk_forward_bytes(hp, widest, a->common.threads, 256, a->ctx) +
                       (uint64_t)hp->vocab * sizeof(float);

    *out = a->max_size > 0 ? a->max_size : UINT64_MAX;
    if (a->max_memory == 0)
        return AUK_OK;
    if (a->max_memory <= context)
        return auk_fail(err, AUK_ELIMIT,
                        "a context of %d tokens alone takes %.2f GB of the %.2f GB", a->ctx,
                        (double)context / 1e9, (double)a->max_memory / 1e9);
    if (a->max_memory - context < *out)
        *out = a->max_memory - context;
    return AUK_OK;
}

static int choose_formats(quantize_args *a, const auk_hparams *hp, const char *src, auk_err *err)
{
    auk_quant_options with = a->quant;
    uint64_t bytes;

    if (!has_budget(a))
        return AUK_OK;
    with.calibration = &a->tokens.all;
    int rc = budget_bytes(&bytes, a, hp, err);
    if (rc == AUK_OK)
        rc = auk_budget_choose(&a->budget, src, &with, bytes, err);
    a->quant.formats = a->budget.formats;
    a->quant.n_formats = a->budget.n_formats;
    return rc;
}

/* Before the work: what it will take. */
static int say_plan(const quantize_args *a, const auk_hparams *hp, auk_err *err)
{
    char text[32];
    uint64_t bytes;

    if (a->quant.calibration == NULL || a->common.quiet)
        return AUK_OK;
    auk_pool *pool = auk_pool_new(a->common.threads); /* how many that is */
    int threads = auk_pool_threads(pool);
    auk_pool_free(pool);
    int rc = auk_quant_memory(&bytes, hp, &a->quant, threads, err);
    auk_bytes_print(text, sizeof text, bytes);
    if (rc == AUK_OK)
        fprintf(stderr,
                "auklet: calibration with %zu tokens in %zu sequences (%zu left out), %s of memory "
                "with %d threads\n",
                a->tokens.ids.n, a->tokens.n, a->tokens.left_out, text, threads);
    return rc;
}

/* ---- results ------------------------------------------------------------------------------- */

/* Each module is an item of the record, and each matrix that calibration decided about. */
static void put_record(auk_cli_record *rec, const quantize_args *a, const auk_quant_list *list)
{
    const auk_quant_options *q = &a->quant;
    json_t *v;
    size_t i;

    auk_cli_record_model(rec, "model", a->common.arg[1]);
    auk_cli_record_model(rec, "source", a->common.arg[0]);
    auk_cli_record_set(rec, "settings",
                       json_pack("{s:s, s:s, s:i, s:i, s:s?, s:s, s:s}", "method",
                                 method_names[q->method], "mode", auk_mode_name(q->mode), "bits",
                                 list->global.bits, "group_size", list->global.group_size, "recipe",
                                 q->recipe, "rounding",
                                 q->rounding == AUK_ROUND_METAL ? "metal" : "cpu", "mx_scale",
                                 q->mx_scale == AUK_MX_UP ? "up" : "nearest"));
    if (q->calibration != NULL)
        auk_cli_record_set(
            rec, "data",
            json_pack("{s:s, s:s, s:I, s:I, s:i}", "name", a->calib != NULL ? a->calib : "mix",
                      "sha256", a->tokens.sha256, "tokens", (json_int_t)a->tokens.ids.n,
                      "sequences", (json_int_t)a->tokens.n, "weight_power", q->weight_power));
    for (i = 0; i < list->n; i++)
        auk_cli_record_module(rec, &list->modules[i]);
    json_array_foreach(a->entries, i, v) auk_cli_record_item(rec, json_deep_copy(v));
    auk_cli_record_put(rec, &a->common);
}

/* What the budget chose. */
static json_t *list_budget(const auk_budget *b)
{
    json_t *items = json_array();

    for (size_t i = 0; i < b->n; i++)
        json_array_append_new(
            items, json_pack("{s:i, s:s, s:i, s:i, s:I, s:f, s:f}", "layer", b->items[i].layer,
                             "what", b->items[i].what, "bits", b->items[i].bits, "group_size",
                             b->items[i].group_size, "bytes", (json_int_t)b->items[i].bytes,
                             "rel_err", b->items[i].error, "kl", b->items[i].damage));
    return json_pack("{s:I, s:I, s:f, s:I, s:I, s:o}", "bytes", (json_int_t)b->bytes, "least_bytes",
                     (json_int_t)b->least_bytes, "predicted_kl", b->predicted_kl, "probes",
                     (json_int_t)b->probes, "probe_tokens", (json_int_t)b->probe_tokens, "items",
                     items);
}

static void print_budget(const auk_budget *b)
{
    printf(
        "budget: %llu bytes chosen, at least %llu are possible; predicted KL %.5f nats per token "
        "(%zu probes of %zu tokens)\n",
        (unsigned long long)b->bytes, (unsigned long long)b->least_bytes, b->predicted_kl,
        b->probes, b->probe_tokens);
    for (size_t i = 0; i < b->n; i++) {
        if (b->items[i].layer >= 0)
            printf("  layer %-3d %-10s", b->items[i].layer, b->items[i].what);
        else
            printf("  %-20s", b->items[i].what);
        printf(" %d bits, groups of %-4d %12llu bytes, KL %.6f\n", b->items[i].bits,
               b->items[i].group_size, (unsigned long long)b->items[i].bytes, b->items[i].damage);
    }
}

static int print_json(const quantize_args *a, const auk_quant_result *r, const auk_quant_list *list,
                      const auk_cli_record *rec)
{
    json_t *v =
        json_pack("{s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:f}", "schema", "auklet.quantize/1",
                  "method", method_names[a->quant.method], "bits_per_weight", r->bits_per_weight,
                  "bytes", (json_int_t)r->bytes, "source_bytes", (json_int_t)r->source_bytes,
                  "weights", (json_int_t)r->weights, "tensors", (json_int_t)r->tensors,
                  "peak_rss_bytes", (json_int_t)r->peak_rss_bytes, "seconds", r->seconds);

    json_object_set_new(v, "modules", list_modules(list));
    if (a->quant.calibration != NULL) {
        json_object_set_new(
            v, "calibration",
            json_pack("{s:I, s:I, s:I, s:I, s:s}", "tokens", (json_int_t)a->tokens.ids.n,
                      "sequences", (json_int_t)a->tokens.n, "left_out",
                      (json_int_t)a->tokens.left_out, "distinct", (json_int_t)a->tokens.n_distinct,
                      "sha256", a->tokens.sha256));
        json_object_set_new(v, "work_bytes", json_integer((json_int_t)r->work_bytes));
        json_object_set_new(v, "matrices", json_integer((json_int_t)r->matrices));
        json_object_set_new(v, "fallbacks", json_integer((json_int_t)r->fallbacks));
        json_object_set(v, "experts", a->entries);
    }
    if (a->budget.n > 0)
        json_object_set_new(v, "budget", list_budget(&a->budget));
    json_object_set_new(v, "ledger_id", auk_cli_record_id(rec));
    return auk_cli_print_json(v);
}

/* Sums over the log: how far each way is from round to nearest. */
static void print_calibration(const quantize_args *a, const auk_quant_result *r)
{
    double rtn = 0, wrtn = 0, kept = 0;
    size_t i;
    json_t *v;

    json_array_foreach(a->entries, i, v)
    {
        double of_rtn = json_number_value(json_object_get(v, "err_rtn"));
        double of_wrtn = json_number_value(json_object_get(v, "err_wrtn"));
        bool gptq = strcmp(json_string_value(json_object_get(v, "chosen")), "gptq") == 0;
        rtn += 1;
        if (of_rtn > 0) {
            wrtn += of_wrtn / of_rtn;
            kept += (gptq ? json_number_value(json_object_get(v, "err_gptq")) : of_wrtn) / of_rtn;
        } else {
            wrtn += 1;
            kept += 1;
        }
    }
    printf("error on judging tokens, mean over %llu matrices: %.3f of round to nearest, %.3f with "
           "searched grids alone\n",
           (unsigned long long)r->matrices, rtn > 0 ? kept / rtn : 1, rtn > 0 ? wrtn / rtn : 1);
    if (a->quant.method == AUK_METHOD_GPTQ)
        printf("%llu of %llu matrices kept searched grids, where gptq did not do better; %zu of "
               "them saw fewer than 200 tokens, %zu none\n",
               (unsigned long long)r->fallbacks, (unsigned long long)r->matrices, a->n_few,
               a->n_none);
}

static int print_text(const quantize_args *a, const auk_quant_result *r, const char *dst)
{
    char size[32], source[32], speed[32], memory[32];

    auk_bytes_print(size, sizeof size, r->bytes);
    auk_bytes_print(source, sizeof source, r->source_bytes);
    auk_bytes_print(speed, sizeof speed, (uint64_t)((double)r->source_bytes / r->seconds));
    auk_bytes_print(memory, sizeof memory, r->peak_rss_bytes);
    printf("%s: %s (from %s), %.3f bits per weight, %llu tensors\n"
           "%.1f s, %s/s read, peak memory %s\n",
           dst, size, source, r->bits_per_weight, (unsigned long long)r->tensors, r->seconds, speed,
           memory);
    if (a->quant.calibration != NULL)
        print_calibration(a, r);
    if (a->budget.n > 0)
        print_budget(&a->budget);
    return 0;
}

/* What the run needs beside its options: the shape, the list, the tokens. */
static int prepare(const auk_cmd *self, quantize_args *a, auk_hparams *hp, auk_quant_list *list,
                   int *status, auk_err *err)
{
    const char *src = a->common.arg[0];

    int rc = auk_cli_cpu(&a->quant.cpu_flags, &a->common, err);
    if (rc < 0 || !auk_file_exists(src))
        return rc;                           /* auk_quantize says what is missing */
    rc = auk_quant_read_shape(hp, src, err); /* before: the run may replace what src names */
    if (rc == AUK_OK) {
        rc = auk_quant_list_make(list, hp, &a->quant, err);
        if (rc == AUK_EINVAL) /* options no format has */
            *status = auk_cli_usage(self, "%s", err->msg);
    }
    if (rc == AUK_OK)
        rc = read_calibration(a, src, err);
    if (rc == AUK_OK)
        rc = choose_formats(a, hp, src, err);
    if (rc == AUK_OK && has_budget(a)) {
        auk_quant_list_release(list);
        rc = auk_quant_list_make(list, hp, &a->quant, err);
    }
    if (rc == AUK_OK && !a->dry_run)
        rc = say_plan(a, hp, err);
    return rc;
}

/* Seconds, from the operations of the work and a rate measured now. */
static double time_of(const quantize_args *a, const auk_hparams *hp, int threads, auk_err *err)
{
    auk_kernel k;
    double flops = 0, ops = 0;

    if (a->quant.calibration == NULL || auk_quant_flops(&flops, hp, &a->quant, err) < 0)
        return -1;
    auk_kernel_init(&k, a->quant.cpu_flags);
    uint64_t began = auk_now_ns();
    while (auk_now_ns() - began < 50000000u)
        ops += k.peak(1 << 12);
    double rate = ops * 1e9 / (double)(auk_now_ns() - began);
    return flops / (0.5 * rate * threads); /* half of what registers alone reach */
}

static int dry_run(const quantize_args *a, const auk_hparams *hp, const auk_quant_list *list,
                   auk_err *err)
{
    auk_quant_size size;
    uint64_t memory = 300000000;
    char text[32];

    auk_pool *pool = auk_pool_new(a->common.threads);
    int threads = auk_pool_threads(pool);
    auk_pool_free(pool);
    int rc = auk_quant_predict(&size, hp, &a->quant, err);
    if (rc == AUK_OK && a->quant.calibration != NULL) {
        uint64_t more;
        rc = auk_quant_memory(&more, hp, &a->quant, threads, err);
        memory += more;
    }
    if (rc < 0)
        return rc;
    double seconds = time_of(a, hp, threads, err);
    if (a->common.json) {
        json_t *v = json_pack(
            "{s:s, s:b, s:s, s:I, s:f, s:I, s:I, s:o, s:o}", "schema", "auklet.quantize/1",
            "dry_run", 1, "method", method_names[a->quant.method], "bytes", (json_int_t)size.bytes,
            "bits_per_weight", size.bits_per_weight, "tensors", (json_int_t)size.tensors,
            "memory_bytes", (json_int_t)memory, "seconds",
            seconds < 0 ? json_null() : json_real(seconds), "modules", list_modules(list));
        if (a->budget.n > 0)
            json_object_set_new(v, "budget", list_budget(&a->budget));
        auk_quant_size_release(&size);
        return auk_cli_print_json(v);
    }
    auk_bytes_print(text, sizeof text, memory);
    printf("%s would have %llu bytes, %.3f bits per weight, %llu tensors\n"
           "memory: at most %s with %d threads\n",
           a->common.arg[1], (unsigned long long)size.bytes, size.bits_per_weight,
           (unsigned long long)size.tensors, text, threads);
    if (seconds >= 0)
        printf("time: about %.0f s, by the rate this processor reaches now\n", seconds);
    else
        printf("time: about as long as reading the source takes\n");
    for (size_t i = 0; i < list->n; i++)
        if (list->modules[i].is_quantized)
            printf("  %s: %s %d bits, groups of %d\n", list->modules[i].path,
                   auk_mode_name(list->modules[i].format.mode), list->modules[i].format.bits,
                   list->modules[i].format.group_size);
    if (a->budget.n > 0)
        print_budget(&a->budget);
    auk_quant_size_release(&size);
    return AUK_OK;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    quantize_args a = {.quant = auk_quant_defaults(),
                       .ledger = AUK_RECORD_ARGS_INIT,
                       .calib_length = 2048,
                       .calib_tokens = 131072,
                       .ctx = 32768};
    auk_quant_result result;
    auk_quant_list list = {0};
    auk_hparams hp = {0};
    auk_meter meter;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status == AUK_OPT_GO)
        status = read_words(self, &a);
    if (status == AUK_OPT_GO)
        status = read_include(self, &a);
    if (status != AUK_OPT_GO)
        return status;
    a.entries = json_array();
    auk_meter_init(&meter, &a.common);
    a.quant.threads = a.common.threads;
    a.quant.progress = auk_meter_step;
    a.quant.progress_ctx = &meter;
    a.quant.entry = keep_entry;
    a.quant.entry_ctx = &a;
    auk_cli_record *rec = auk_cli_record_new("quantize", &a.ledger, argc, argv);
    int rc = prepare(self, &a, &hp, &list, &status, &err);
    if (rc == AUK_OK && a.dry_run && auk_file_exists(a.common.arg[0])) {
        auk_meter_clear(&meter);
        rc = dry_run(&a, &hp, &list, &err);
        status = rc < 0 ? auk_cli_fail(&err) : rc;
        rc = -1;
    } else if (rc == AUK_OK) {
        auk_cli_catch_interrupt();
        rc = auk_quantize(&result, a.common.arg[0], a.common.arg[1], &a.quant, &err);
        auk_meter_clear(&meter);
    }
    if (rc == AUK_OK)
        put_record(rec, &a, &list);
    if (rc < 0 && status == AUK_OPT_GO)
        status = auk_cli_fail(&err);
    else if (rc == AUK_OK)
        status = a.common.json ? print_json(&a, &result, &list, rec)
                               : print_text(&a, &result, a.common.arg[1]);
    auk_quant_list_release(&list);
    auk_hparams_release(&hp);
    auk_calib_tokens_release(&a.tokens);
    auk_budget_release(&a.budget);
    json_decref(a.entries);
    return auk_cli_record_end(rec, status);
}

const auk_cmd auk_cmd_quantize = {
    .name = "quantize",
    .run = run,
    .usage = "quantize SRC DST [options]",
    .summary = "a bf16 checkpoint into a smaller folder in MLX's layout",
    .examples =
        "  auklet quantize North-Mini-Code-1.0 north-4bit\n"
        "  auklet quantize North-Mini-Code-1.0 north-4-8 --recipe mixed_4_8\n"
        "  auklet quantize North-Mini-Code-1.0 north-mxfp8 --mode mxfp8\n"
        "  auklet quantize North-Mini-Code-1.0 north-gptq --method gptq --calib chats.jsonl\n",
    .options = options,
    .min_args = 2,
    .max_args = 2,
};
