/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/limits.h"
#include "base/mem.h"
#include "cli/heldout.h"
#include "cli/record.h"
#include "engine/engine.h"

typedef struct compare_args {
    auk_common common;
    const char *ids, *text, *reference, *precision, *per_token;
    int window, top;
    double max_kl;
    bool tensors;
    auk_record_args ledger;
    auk_cli_record *rec;
} compare_args;

static const auk_opt options[] = {
    {"ids", AUK_OPT_STR, offsetof(compare_args, ids), "FILE",
     "JSON array of token ids to score, as one window unless --window"},
    {"text", AUK_OPT_STR, offsetof(compare_args, text), "FILE",
     "text to score (default: A's heldout.txt, else a built-in code text)"},
    {"window", AUK_OPT_INT, offsetof(compare_args, window), "N",
     "tokens per independent window (default for text: 1024)"},
    {"reference", AUK_OPT_STR, offsetof(compare_args, reference), "FILE.ref",
     "keep A's scores there; when it exists they are read and A is not run"},
    {"tensors", AUK_OPT_FLAG, offsetof(compare_args, tensors), NULL,
     "also the relative error of every module's weights"},
    {"per-token", AUK_OPT_STR, offsetof(compare_args, per_token), "FILE.npy",
     "write every position's KL and change of -log p: for paired comparisons of several B"},
    {"precision", AUK_OPT_STR, offsetof(compare_args, precision), "P",
     "f32 (default): only the weights differ; bf16: as the published model"},
    {"max-kl", AUK_OPT_REAL, offsetof(compare_args, max_kl), "X",
     "exit 3 when the mean KL is above X"},
    AUK_RECORD_OPTIONS(compare_args, ledger),
    {0},
};

/* Text becomes ids with A's tokenizer, a BOS in front when the model has one. */
static int encode(auk_ids *out, const char *dir, auk_str text, auk_err *err)
{
    auk_tokenizer *tok = NULL;

    int rc = auk_tokenizer_open(&tok, dir, err);
    if (rc == AUK_OK && auk_tokenizer_id(tok, "<BOS_TOKEN>") >= 0)
        rc = auk_ids_add(out, auk_tokenizer_id(tok, "<BOS_TOKEN>"), err);
    if (rc == AUK_OK)
        rc = auk_tokenizer_encode(out, tok, text, false, err);
    auk_tokenizer_close(tok);
    return rc;
}

static int read_text(auk_ids *out, const compare_args *a, auk_err *err)
{
    auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
    const char *dir = a->common.arg[0];
    char *own = auk_path_join(dir, "heldout.txt");
    int rc = AUK_OK;

    if (a->text != NULL)
        rc = auk_file_read(&text, a->text, err);
    else if (auk_file_exists(own))
        rc = auk_file_read(&text, own, err);
    else
        auk_buf_puts(&text, auk_heldout_text);
    if (rc == AUK_OK)
        rc = encode(out, dir, auk_buf_str(&text), err);
    free(own);
    auk_buf_release(&text);
    return rc;
}

static int by_error(const void *x, const void *y)
{
    double a = ((const auk_tensor_error *)x)->rel_err, b = ((const auk_tensor_error *)y)->rel_err;
    return (a < b) - (a > b);
}

static json_t *as_json(const auk_compare_result *r)
{
    json_t *out = json_pack("{s:s, s:I, s:b}", "schema", "auklet.compare/1", "tokens",
                            (json_int_t)r->tokens, "kl_is_lower_bound", (int)r->kl_is_lower_bound);
    const struct {
        const char *key;
        double v;
    } numbers[] = {
        {"kl_mean", r->kl_mean},
        {"kl_se", r->kl_se},
        {"kl_median", r->kl_median},
        {"kl_p90", r->kl_p90},
        {"kl_p99", r->kl_p99},
        {"kl_p999", r->kl_p999},
        {"kl_max", r->kl_max},
        {"top1_agreement", r->top1_agreement},
        {"ppl_a", r->ppl_a},
        {"ppl_b", r->ppl_b},
        {"ln_ppl_ratio", r->ln_ppl_ratio},
        {"ln_ppl_ratio_se", r->ln_ppl_ratio_se},
        {"dp_mean", r->dp_mean},
        {"dp_rms", r->dp_rms},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(out, numbers[i].key, auk_json_real(numbers[i].v));
    json_object_set_new(out, "bytes_a", json_integer((json_int_t)r->bytes_a));
    json_object_set_new(out, "bytes_b", json_integer((json_int_t)r->bytes_b));
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_tensors; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "name", r->tensors[i].name, "rel_err",
                                              auk_json_real(r->tensors[i].rel_err)));
    json_object_set_new(out, "tensors", list);
    return out;
}

/* The whole and each tensor are items of the record. */
static void put_record(compare_args *a, const auk_compare_result *r, const char *ids_sha256)
{
    json_t *whole = as_json(r);

    json_object_del(whole, "schema");
    json_object_del(whole, "tensors");
    auk_cli_record_model(a->rec, "model", a->common.arg[1]);
    auk_cli_record_model(a->rec, "baseline", a->common.arg[0]);
    auk_cli_record_set(a->rec, "data",
                       json_pack("{s:s, s:s}", "name", "token ids", "sha256", ids_sha256));
    auk_cli_record_set(a->rec, "settings",
                       json_pack("{s:s, s:i, s:b}", "precision", a->precision, "window", a->window,
                                 "reference", a->reference != NULL));
    auk_cli_record_item(a->rec, json_pack("{s:o}", "summary", whole));
    for (size_t i = 0; i < r->n_tensors; i++)
        auk_cli_record_item(a->rec, json_pack("{s:s, s:o}", "tensor", r->tensors[i].name, "rel_err",
                                              auk_json_real(r->tensors[i].rel_err)));
    auk_cli_record_put(a->rec, &a->common);
}

static int print_json(const auk_compare_result *r, const auk_cli_record *rec)
{
    json_t *v = as_json(r);

    json_object_set_new(v, "ledger_id", auk_cli_record_id(rec));
    return auk_cli_print_json(v);
}

static int print_text(auk_compare_result *r)
{
    char a[32], b[32];

    auk_bytes_print(a, sizeof a, r->bytes_a);
    auk_bytes_print(b, sizeof b, r->bytes_b);
    printf("size             %s -> %s\n", a, b);
    printf("tokens           %zu\n", r->tokens);
    printf("KL%s   %.6f +- %.6f nats  (median %.6f, 90 %% %.6f, 99 %% %.6f, max %.4f)\n",
           r->kl_is_lower_bound ? " at least  " : "(A || B)   ", r->kl_mean, r->kl_se, r->kl_median,
           r->kl_p90, r->kl_p99, r->kl_max);
    printf("top-1 agreement  %.2f %%\n", 100 * r->top1_agreement);
    printf("perplexity       %.4f -> %.4f  (ln ratio %+.5f +- %.5f, paired)\n", r->ppl_a, r->ppl_b,
           r->ln_ppl_ratio, r->ln_ppl_ratio_se);
    if (r->n_tensors > 0) {
        qsort(r->tensors, r->n_tensors, sizeof *r->tensors, by_error);
        printf("\nrelative error of the weights, largest first\n");
        for (size_t i = 0; i < r->n_tensors; i++)
            printf("  %.6f  %s\n", r->tensors[i].rel_err, r->tensors[i].name);
    }
    return 0;
}

static int compare(auk_compare_result *r, compare_args *a, auk_err *err)
{
    auk_compare_options opts = {.reference = a->reference,
                                .tensors = a->tensors,
                                .window = a->window,
                                .per_token = a->per_token,
                                .threads = a->common.threads,
                                .progress = auk_meter_step};
    auk_meter meter;
    auk_ids ids = {0};
    int32_t *list = NULL;

    opts.precision = strcmp(a->precision, "f32") == 0 ? AUK_PRECISION_F32 : AUK_PRECISION_BF16;
    int rc = auk_cli_cpu(&opts.cpu_flags, &a->common, err);
    if (rc == AUK_OK && a->ids != NULL) {
        rc = auk_cli_read_ids(&list, &opts.n, a->ids, err);
        opts.ids = list;
    } else if (rc == AUK_OK) {
        rc = read_text(&ids, a, err);
        opts.ids = ids.p;
        opts.n = ids.n;
        if (opts.window == 0)
            opts.window = 1024;
    }
    auk_meter_init(&meter, &a->common);
    opts.progress_ctx = &meter;
    if (rc == AUK_OK)
        rc = auk_compare(r, a->common.arg[0], a->common.arg[1], &opts, err);
    auk_meter_clear(&meter);
    if (rc == AUK_OK) {
        char sha256[AUK_SHA256_HEX];
        auk_sha256_of(sha256, opts.ids, opts.n * sizeof *opts.ids);
        put_record(a, r, sha256);
    }
    auk_ids_release(&ids);
    free(list);
    return rc;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    compare_args a = {.precision = "f32", .max_kl = -1, .ledger = AUK_RECORD_ARGS_INIT};
    auk_compare_result r;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.ids != NULL && a.text != NULL)
        return auk_cli_usage(self, "--ids and --text exclude each other");
    if (strcmp(a.precision, "f32") != 0 && strcmp(a.precision, "bf16") != 0)
        return auk_cli_usage(self, "option '--precision': '%s' is neither f32 nor bf16",
                             a.precision);
    if (a.window < 0 || a.window == 1)
        return auk_cli_usage(self, "option '--window': %d is not at least 2", a.window);
    auk_cli_catch_interrupt();
    a.rec = auk_cli_record_new("compare", &a.ledger, argc, argv);
    if (compare(&r, &a, &err) < 0)
        return auk_cli_record_end(a.rec, auk_cli_fail(&err));
    status = a.common.json ? print_json(&r, a.rec) : print_text(&r);
    free(r.tensors);
    if (status == 0 && a.max_kl >= 0 && r.kl_mean > a.max_kl)
        status = 3;
    return auk_cli_record_end(a.rec, status);
}

const auk_cmd auk_cmd_compare = {
    .name = "compare",
    .run = run,
    .usage = "compare A B [options]",
    .summary = "how far B's answers are from A's: KL, top-1 agreement, perplexity, weights",
    .examples = "  auklet compare data/miniature small-4bit\n"
                "  auklet compare bf16-folder quantized --reference bf16.ref --max-kl 0.05\n",
    .options = options,
    .min_args = 2,
    .max_args = 2,
};
