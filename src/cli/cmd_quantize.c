/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/record.h"
#include "quant/quant.h"

typedef struct quantize_args {
    auk_common common;
    auk_quant_options quant;
    const char *mode, *method, *rounding, *mx_scale;
    bool resume; /* what always happens */
    auk_record_args ledger;
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
    {"method", AUK_OPT_STR, offsetof(quantize_args, method), "M", "rtn: round to nearest"},
    {"rounding", AUK_OPT_STR, offsetof(quantize_args, rounding), "R",
     "metal (default): as on a Mac and in published files; cpu: as MLX on Linux"},
    {"mx-scale", AUK_OPT_STR, offsetof(quantize_args, mx_scale), "R",
     "mxfp4, mxfp8: up (default, MLX 0.32.2 and later) or nearest (before)"},
    {"shard-size", AUK_OPT_BYTES, offsetof(quantize_args, quant.shard_bytes), "SIZE",
     "largest file of weights (default 5GiB)"},
    {"force", AUK_OPT_FLAG, offsetof(quantize_args, quant.force), NULL, "replace DST if it exists"},
    {"resume", AUK_OPT_FLAG, offsetof(quantize_args, resume), NULL,
     "go on after an interruption (always done; DST.partial holds what is finished)"},
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

/* The words of the options into the module's; AUK_OPT_GO or an exit status. */
static int read_words(const auk_cmd *self, quantize_args *a)
{
    static const char *const methods[] = {"rtn"}, *const roundings[] = {"metal", "cpu"},
                             *const scales[] = {"up", "nearest"};
    auk_err err;

    if (a->mode != NULL && auk_mode_parse(&a->quant.mode, auk_str_of(a->mode), &err) < 0)
        return auk_cli_usage(self, "option '--mode': %s", err.msg);
    if (choice(a->method, methods, 1) < 0)
        return auk_cli_usage(self, "option '--method': '%s' is not rtn", a->method);
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

/* Each module is an item of the record. */
static void put_record(auk_cli_record *rec, const quantize_args *a, const auk_quant_list *list)
{
    const auk_quant_options *q = &a->quant;

    auk_cli_record_model(rec, "model", a->common.arg[1]);
    auk_cli_record_model(rec, "source", a->common.arg[0]);
    auk_cli_record_set(rec, "settings",
                       json_pack("{s:s, s:s, s:i, s:i, s:s?, s:s, s:s}", "method", "rtn", "mode",
                                 auk_mode_name(q->mode), "bits", list->global.bits, "group_size",
                                 list->global.group_size, "recipe", q->recipe, "rounding",
                                 q->rounding == AUK_ROUND_METAL ? "metal" : "cpu", "mx_scale",
                                 q->mx_scale == AUK_MX_UP ? "up" : "nearest"));
    for (size_t i = 0; i < list->n; i++)
        auk_cli_record_module(rec, &list->modules[i]);
    auk_cli_record_put(rec, &a->common);
}

static int print_json(const auk_quant_result *r, const auk_quant_list *list,
                      const auk_cli_record *rec)
{
    json_t *v =
        json_pack("{s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:f}", "schema", "auklet.quantize/1",
                  "method", "rtn", "bits_per_weight", r->bits_per_weight, "bytes",
                  (json_int_t)r->bytes, "source_bytes", (json_int_t)r->source_bytes, "weights",
                  (json_int_t)r->weights, "tensors", (json_int_t)r->tensors, "peak_rss_bytes",
                  (json_int_t)r->peak_rss_bytes, "seconds", r->seconds);

    json_object_set_new(v, "modules", list_modules(list));
    json_object_set_new(v, "ledger_id", auk_cli_record_id(rec));
    return auk_cli_print_json(v);
}

static int print_text(const auk_quant_result *r, const char *dst)
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
    return 0;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    quantize_args a = {.quant = auk_quant_defaults(), .ledger = AUK_RECORD_ARGS_INIT};
    auk_quant_result result;
    auk_quant_list list = {0};
    auk_hparams hp = {0};
    auk_meter meter;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status == AUK_OPT_GO)
        status = read_words(self, &a);
    if (status != AUK_OPT_GO)
        return status;
    const char *src = a.common.arg[0], *dst = a.common.arg[1];
    auk_meter_init(&meter, &a.common);
    a.quant.threads = a.common.threads;
    a.quant.progress = auk_meter_step;
    a.quant.progress_ctx = &meter;
    int rc = auk_cli_cpu(&a.quant.cpu_flags, &a.common, &err);
    if (rc == AUK_OK && auk_file_exists(src))
        rc = auk_quant_read_shape(&hp, src, &err); /* before: the run may replace what src names */
    if (rc == AUK_OK && auk_file_exists(src)) {
        rc = auk_quant_list_make(&list, &hp, &a.quant, &err);
        if (rc == AUK_EINVAL) { /* options no format has */
            auk_hparams_release(&hp);
            return auk_cli_usage(self, "%s", err.msg);
        }
    }
    auk_cli_record *rec = auk_cli_record_new("quantize", &a.ledger, argc, argv);
    if (rc == AUK_OK) {
        auk_cli_catch_interrupt();
        rc = auk_quantize(&result, src, dst, &a.quant, &err);
        auk_meter_clear(&meter);
    }
    if (rc == AUK_OK)
        put_record(rec, &a, &list);
    if (rc < 0)
        status = auk_cli_fail(&err);
    else
        status = a.common.json ? print_json(&result, &list, rec) : print_text(&result, dst);
    auk_quant_list_release(&list);
    auk_hparams_release(&hp);
    return auk_cli_record_end(rec, status);
}

const auk_cmd auk_cmd_quantize = {
    .name = "quantize",
    .run = run,
    .usage = "quantize SRC DST [options]",
    .summary = "a bf16 checkpoint into a smaller folder in MLX's layout",
    .examples = "  auklet quantize North-Mini-Code-1.0 north-4bit\n"
                "  auklet quantize North-Mini-Code-1.0 north-4-8 --recipe mixed_4_8\n"
                "  auklet quantize North-Mini-Code-1.0 north-mxfp8 --mode mxfp8\n",
    .options = options,
    .min_args = 2,
    .max_args = 2,
};
