/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/machine.h"
#include "quant/quant.h"

typedef struct plan_args {
    auk_common common;
    int ctx, parallel;
    uint64_t memory;
} plan_args;

static const auk_opt options[] = {
    {"ctx", AUK_OPT_INT, offsetof(plan_args, ctx), "N", "positions per session (default 32768)"},
    {"parallel", AUK_OPT_INT, offsetof(plan_args, parallel), "N", "sessions at once (default 1)"},
    {"memory", AUK_OPT_BYTES, offsetof(plan_args, memory), "SIZE",
     "memory to plan for, e.g. 24GB (default: what is available now)"},
    {0},
};

/* The released config.json of North-Mini-Code-1.0, as far as shapes go. */
static const char north[] =
    "{\"model_type\": \"cohere2_moe\", \"hidden_size\": 2048, \"num_hidden_layers\": 49, "
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 4, \"head_dim\": 128, "
    "\"intermediate_size\": 768, \"prefix_dense_intermediate_size\": 3072, "
    "\"first_k_dense_replace\": 1, \"sliding_window\": 4096, \"num_experts\": 128, "
    "\"num_experts_per_tok\": 8, \"num_shared_experts\": 0, \"norm_topk_prob\": false, "
    "\"rms_norm_eps\": 1e-06, \"rope_theta\": 50000, \"max_position_embeddings\": 500000, "
    "\"vocab_size\": 262144, \"logit_scale\": 1.0, \"layer_types\": []}";

static int north_shape(auk_hparams *hp, auk_err *err)
{
    json_t *config;

    int rc = auk_json_parse(&config, auk_str_of(north), "North-Mini-Code-1.0", err);
    if (rc < 0)
        return rc;
    json_t *types = json_object_get(config, "layer_types");
    for (int i = 0; i < 49; i++)
        json_array_append_new(types,
                              json_string(i % 4 == 0 ? "full_attention" : "sliding_attention"));
    rc = auk_hparams_read(hp, config, NULL, "North-Mini-Code-1.0", err);
    json_decref(config);
    return rc;
}

static int read_shape(auk_hparams *hp, const char *dir, auk_err *err)
{
    char *path = auk_path_join(dir, "config.json");
    json_t *config = NULL;

    int rc = auk_json_read(&config, path, err);
    if (rc == AUK_OK)
        rc = auk_hparams_read(hp, config, NULL, path, err);
    json_decref(config);
    free(path);
    return rc;
}

/* Best first: what is recommended is the first that fits. */
static const struct {
    const char *name;
    auk_mode mode;
    int bits;
    const char *recipe;
} variants[] = {
    {"bf16", AUK_AFFINE, AUK_QUANT_NONE, NULL},
    {"8bit", AUK_AFFINE, 8, NULL},
    {"mxfp8", AUK_MXFP8, 0, NULL},
    {"6bit", AUK_AFFINE, 6, NULL},
    {"5bit", AUK_AFFINE, 5, NULL},
    {"mixed_4_8", AUK_AFFINE, 0, "mixed_4_8"},
    {"mixed_4_6", AUK_AFFINE, 0, "mixed_4_6"},
    {"4bit", AUK_AFFINE, 4, NULL},
    {"nvfp4", AUK_NVFP4, 0, NULL},
    {"mxfp4", AUK_MXFP4, 0, NULL},
    {"mixed_3_8", AUK_AFFINE, 0, "mixed_3_8"},
    {"mixed_3_6", AUK_AFFINE, 0, "mixed_3_6"},
    {"3bit", AUK_AFFINE, 3, NULL},
    {"mixed_3_5", AUK_AFFINE, 0, "mixed_3_5"},
    {"mixed_3_4", AUK_AFFINE, 0, "mixed_3_4"},
    {"mixed_2_6", AUK_AFFINE, 0, "mixed_2_6"},
    {"2bit", AUK_AFFINE, 2, NULL},
};
#define N_VARIANTS (sizeof variants / sizeof *variants)

typedef struct row {
    const char *name;
    uint64_t weights_bytes, kv_bytes, peak_bytes, bytes_per_token;
    double bits_per_weight;
    bool fits;
} row;

static uint64_t module_bytes(const auk_quant_module *m)
{
    uint64_t n = m->shape[m->rank - 1], rows = 1;

    for (int d = 0; d + 1 < m->rank; d++)
        rows *= m->shape[d];
    if (!m->is_quantized)
        return 2 * rows * n;
    return rows *
           (auk_numfmt_code_bytes(m->format, n) +
            auk_numfmt_scale_bytes(m->format, n, 2) * (auk_numfmt_has_bias(m->format) ? 2 : 1));
}

/* Weights one decoded token reads: everything once, of the experts those that are chosen. */
static int bytes_per_token(uint64_t *out, const auk_hparams *hp, const auk_quant_options *opts,
                           auk_err *err)
{
    auk_quant_list list;

    int rc = auk_quant_list_make(&list, hp, opts, err);
    if (rc < 0)
        return rc;
    *out = 0;
    for (size_t i = 0; i < list.n; i++) {
        uint64_t bytes = module_bytes(&list.modules[i]);
        if (list.modules[i].rank == 3)
            bytes = bytes / (uint64_t)hp->n_experts * (uint64_t)hp->top_k;
        *out += bytes;
    }
    auk_quant_list_release(&list);
    return AUK_OK;
}

static int make_row(row *out, size_t i, const auk_hparams *hp, const plan_args *a,
                    const auk_machine *m, auk_err *err)
{
    auk_quant_options opts = auk_quant_defaults();
    auk_quant_size size;

    opts.mode = variants[i].mode;
    opts.bits = variants[i].bits;
    opts.recipe = variants[i].recipe;
    int rc = auk_quant_predict(&size, hp, &opts, err);
    if (rc < 0)
        return rc;
    *out = (row){.name = variants[i].name,
                 .weights_bytes = size.bytes,
                 .bits_per_weight = size.bits_per_weight};
    auk_quant_size_release(&size);
    uint64_t sessions = (uint64_t)a->parallel;
    size_t widest =
        (size_t)(hp->hidden > hp->n_heads * hp->head_dim ? hp->hidden : hp->n_heads * hp->head_dim);
    uint64_t work = auk_forward_bytes(hp, widest, m->threads, 256, a->ctx) +
                    (256 * (uint64_t)hp->hidden + 32 * (uint64_t)hp->vocab) * sizeof(float);
    /* what is kept, and with the room its layout takes besides */
    out->kv_bytes = sessions * auk_kv_read_bytes(hp, a->ctx, AUK_PRECISION_BF16);
    out->peak_bytes =
        out->weights_bytes + sessions * (auk_kv_bytes(hp, a->ctx, AUK_PRECISION_BF16) + work);
    uint64_t memory = a->memory > 0 ? a->memory : m->available_bytes;
    out->fits = out->peak_bytes <= memory;
    return bytes_per_token(&out->bytes_per_token, hp, &opts, err);
}

static double tok_s(const row *r, const auk_machine *m)
{
    return r->bytes_per_token > 0 ? m->bandwidth_bytes_s / (double)r->bytes_per_token : 0;
}

static int print_json(const row *rows, size_t n, const char *recommended, const auk_machine *m,
                      const plan_args *a)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:f, s:I, s:I, s:b, s:o, s:I}", "name", rows[i].name,
                            "weights_bytes", (json_int_t)rows[i].weights_bytes, "bits_per_weight",
                            rows[i].bits_per_weight, "kv_bytes", (json_int_t)rows[i].kv_bytes,
                            "peak_bytes", (json_int_t)rows[i].peak_bytes, "fits", (int)rows[i].fits,
                            "tok_s_estimate", auk_json_real(tok_s(&rows[i], m)), "bytes_per_token",
                            (json_int_t)rows[i].bytes_per_token));
    return auk_cli_print_json(
        json_pack("{s:s, s:{s:s, s:s, s:i, s:I, s:I, s:f}, s:i, s:i, s:o, s:s?}", "schema",
                  "auklet.plan/1", "machine", "cpu", m->cpu, "levels", m->levels, "threads",
                  m->threads, "memory_bytes", (json_int_t)m->memory_bytes, "available_bytes",
                  (json_int_t)(a->memory > 0 ? a->memory : m->available_bytes), "bandwidth_bytes_s",
                  m->bandwidth_bytes_s, "ctx", a->ctx, "parallel", a->parallel, "variants", list,
                  "recommended", recommended));
}

static int print_text(const row *rows, size_t n, const char *recommended, const auk_machine *m,
                      const plan_args *a)
{
    char weights[32], kv[32], peak[32], memory[32];

    auk_bytes_print(memory, sizeof memory, a->memory > 0 ? a->memory : m->available_bytes);
    printf("%s, %d threads, %s to use, reads %.1f GB/s\n%d session%s of %d positions\n\n", m->cpu,
           m->threads, memory, m->bandwidth_bytes_s / 1e9, a->parallel, a->parallel > 1 ? "s" : "",
           a->ctx);
    printf("variant       weights  bits/weight         KV       peak  fits   tok/s at most\n");
    for (size_t i = 0; i < n; i++) {
        auk_bytes_print(weights, sizeof weights, rows[i].weights_bytes);
        auk_bytes_print(kv, sizeof kv, rows[i].kv_bytes);
        auk_bytes_print(peak, sizeof peak, rows[i].peak_bytes);
        printf("%-10s %10s  %11.3f %10s %10s  %-4s %15.1f\n", rows[i].name, weights,
               rows[i].bits_per_weight, kv, peak, rows[i].fits ? "yes" : "no", tok_s(&rows[i], m));
    }
    if (recommended != NULL)
        printf("\nrecommended: %s, the most bits that fit; tok/s is what memory allows at an empty "
               "context\n",
               recommended);
    else
        printf("\nnothing fits: lower --ctx, or use a machine with more memory\n");
    return 0;
}

static int run(const auk_cmd *self, int argc, char **argv)
{
    plan_args a = {.ctx = 32768, .parallel = 1};
    auk_hparams hp = {0};
    auk_machine machine;
    row rows[N_VARIANTS];
    const char *recommended = NULL;
    unsigned flags;
    auk_err err;

    int status = auk_opt_parse(self, &a, argc, argv);
    if (status != AUK_OPT_GO)
        return status;
    if (a.ctx < 1 || a.parallel < 1)
        return auk_cli_usage(self, "--ctx and --parallel are at least 1");
    int rc = auk_cli_cpu(&flags, &a.common, &err);
    if (rc == AUK_OK)
        rc = a.common.n_args > 0 ? read_shape(&hp, a.common.arg[0], &err) : north_shape(&hp, &err);
    if (rc == AUK_OK && a.ctx > hp.max_context)
        rc = auk_fail(&err, AUK_EINVAL, "a context of %d is more than the model's %d", a.ctx,
                      hp.max_context);
    if (rc == AUK_OK)
        auk_machine_measure(&machine, a.common.threads, flags);
    for (size_t i = 0; i < N_VARIANTS && rc == AUK_OK; i++) {
        rc = make_row(&rows[i], i, &hp, &a, &machine, &err);
        if (rc == AUK_OK && rows[i].fits && recommended == NULL)
            recommended = rows[i].name;
    }
    auk_hparams_release(&hp);
    if (rc < 0)
        return auk_cli_fail(&err);
    return a.common.json ? print_json(rows, N_VARIANTS, recommended, &machine, &a)
                         : print_text(rows, N_VARIANTS, recommended, &machine, &a);
}

const auk_cmd auk_cmd_plan = {
    .name = "plan",
    .run = run,
    .usage = "plan [MODEL] [options]",
    .summary = "will it fit, and how fast: every variant's size and speed on this machine",
    .examples = "  auklet plan\n  auklet plan --ctx 131072 --memory 24GB\n"
                "  auklet plan path/to/checkpoint --parallel 4 --json\n",
    .options = options,
    .max_args = 1,
};
