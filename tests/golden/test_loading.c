/* SPDX-License-Identifier: Apache-2.0 */
/* Which folders load: the variants of golden/mlx/format/loading.json and a few more, built from a
 * folder that loads.  What loads gives the unmodified folder's logits to the bit; what does not is
 * refused with words that name the tensor or key. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "golden/golden.h"

#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PREFIX "language_model."

static char tmp[256];

static void ok(int rc, const auk_err *err)
{
    if (rc < 0)
        fail_msg("%s", err->msg);
}

/* ---- a folder in memory -------------------------------------------------------------------- */

typedef struct item {
    char *name; /* owned */
    char dtype[16];
    int rank;
    uint64_t shape[4];
    uint8_t *data; /* owned */
    uint64_t bytes;
} item;

typedef struct folder {
    item *items; /* owned */
    size_t n;
    const char *metadata; /* JSON, or NULL for none */
    size_t padding;       /* spaces after the header */
    json_t *config;       /* owned */
    bool index;
} folder;

static item *add_item(folder *f, const char *name)
{
    f->items = auk_realloc(f->items, (f->n + 1) * sizeof *f->items);
    item *t = &f->items[f->n++];

    *t = (item){.name = auk_strndup(name, strlen(name))};
    return t;
}

static folder read_folder(const char *dir)
{
    folder f = {.metadata = "{\"format\":\"mlx\"}", .index = true};
    char *path = auk_path_join(dir, "config.json");
    auk_checkpoint *ck;
    auk_err err;

    f.config = golden_read_json(path);
    free(path);
    ok(auk_checkpoint_open(&ck, dir, &err), &err);
    for (size_t i = 0; i < auk_checkpoint_count(ck); i++) {
        const auk_tensor *t = auk_checkpoint_at(ck, i);
        char *name = auk_strndup(t->name.p, t->name.n);
        item *x = add_item(&f, name);
        free(name);
        snprintf(x->dtype, sizeof x->dtype, "%s", auk_dtype_name(t->dtype));
        x->rank = t->rank;
        memcpy(x->shape, t->shape, (size_t)t->rank * sizeof *t->shape);
        x->bytes = t->bytes;
        x->data = (uint8_t *)auk_strndup((const char *)t->data, (size_t)t->bytes);
    }
    auk_checkpoint_close(ck);
    return f;
}

static void release(folder *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].name);
        free(f->items[i].data);
    }
    free(f->items);
    json_decref(f->config);
}

static item *get(folder *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->items[i].name, name) == 0)
            return &f->items[i];
    fail_msg("no tensor '%s'", name);
    return NULL;
}

static void drop(folder *f, const char *name)
{
    item *t = get(f, name);

    free(t->name);
    free(t->data);
    *t = f->items[--f->n];
}

static void rename_item(item *t, const char *name)
{
    free(t->name);
    t->name = auk_strndup(name, strlen(name));
}

static const char *bare(const char *name)
{
    return strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 ? name + sizeof PREFIX - 1 : name;
}

static void write_file(const char *name, auk_str text)
{
    char path[400];
    auk_err err;

    snprintf(path, sizeof path, "%s/%s", tmp, name);
    ok(auk_file_write(path, text, &err), &err);
}

/* Writes model.safetensors, its index and config.json into the (fresh) folder tmp. */
static void write_folder(const folder *f)
{
    auk_buf head = AUK_BUF_INIT(1 << 24), file = AUK_BUF_INIT(1 << 28),
            index = AUK_BUF_INIT(1 << 24);
    auk_buf config = AUK_BUF_INIT(1 << 24);
    uint64_t at = 0;
    auk_err err;

    ok(auk_tree_remove(tmp, &err), &err);
    assert_int_equal(mkdir(tmp, 0777), 0);
    auk_buf_puts(&head, "{");
    if (f->metadata != NULL)
        auk_buf_printf(&head, "\"__metadata__\":%s,", f->metadata);
    auk_buf_puts(&index, "{\"metadata\":{\"total_size\":0},\"weight_map\":{");
    for (size_t i = 0; i < f->n; i++) {
        const item *t = &f->items[i];
        auk_buf_printf(&head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", t->name,
                       t->dtype);
        for (int d = 0; d < t->rank; d++)
            auk_buf_printf(&head, "%s%llu", d ? "," : "", (unsigned long long)t->shape[d]);
        auk_buf_printf(&head, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                       (unsigned long long)(at + t->bytes));
        auk_buf_printf(&index, "%s\"%s\":\"model.safetensors\"", i ? "," : "", t->name);
        at += t->bytes;
    }
    auk_buf_puts(&head, "}");
    for (size_t i = 0; i < f->padding; i++)
        auk_buf_putc(&head, ' ');
    auk_buf_puts(&index, "}}");
    for (int i = 0; i < 8; i++)
        auk_buf_putc(&file, (char)((uint64_t)head.n >> 8 * i));
    auk_buf_add(&file, head.p, head.n);
    for (size_t i = 0; i < f->n; i++)
        auk_buf_add(&file, f->items[i].data, (size_t)f->items[i].bytes);
    auk_json_print(&config, f->config, (auk_json_style){.indent = 4});
    write_file("model.safetensors", auk_buf_str(&file));
    if (f->index)
        write_file("model.safetensors.index.json", auk_buf_str(&index));
    write_file("config.json", auk_buf_str(&config));
    auk_buf_release(&head);
    auk_buf_release(&file);
    auk_buf_release(&index);
    auk_buf_release(&config);
}

/* ---- what comes of it ---------------------------------------------------------------------- */

#define N_IDS 40

typedef struct row_sink {
    auk_buf *out;
    size_t vocab;
} row_sink;

static int on_rows(void *ctx, size_t first, const float *logits, size_t n, auk_err *err)
{
    row_sink *s = ctx;
    (void)first, (void)err;

    auk_buf_add(s->out, logits, n * s->vocab * sizeof *logits);
    return AUK_OK;
}

/* Appends the f32 logits of N_IDS positions. */
static void logits_of(auk_buf *out, const char *dir)
{
    auk_engine_options how = {.precision = AUK_PRECISION_F32};
    int32_t ids[N_IDS];
    auk_engine *e;
    auk_session *s;
    auk_err err;

    ok(auk_engine_open(&e, dir, &how, &err), &err);
    for (int i = 0; i < N_IDS; i++)
        ids[i] = i == 0 ? 2 : (i * 37 + 5) % auk_engine_vocab(e);
    ok(auk_session_new(&s, e, N_IDS, &err), &err);
    row_sink sink = {out, (size_t)auk_engine_vocab(e)};
    ok(auk_session_feed_all(s, ids, N_IDS, NULL, on_rows, &sink, &err), &err);
    auk_session_free(s);
    auk_engine_close(e);
}

/* Writes the folder: it loads and says the same as `original`. */
static void loads(folder *f, const char *original)
{
    auk_buf want = AUK_BUF_INIT(1 << 26), got = AUK_BUF_INIT(1 << 26);

    write_folder(f);
    release(f);
    logits_of(&want, original);
    logits_of(&got, tmp);
    assert_int_equal(want.n, got.n);
    assert_memory_equal(want.p, got.p, want.n);
    auk_buf_release(&want);
    auk_buf_release(&got);
}

/* Writes the folder: it is refused in one line that holds `word`, the name of a tensor or key. */
static void refused(folder *f, const char *word)
{
    auk_engine_options how = {.precision = AUK_PRECISION_F32};
    auk_engine *e;
    auk_err err = {0};

    write_folder(f);
    release(f);
    int rc = auk_engine_open(&e, tmp, &how, &err);
    assert_null(e);
    if (rc == AUK_OK || err.code != rc || strstr(err.msg, word) == NULL ||
        strchr(err.msg, '\n') != NULL)
        fail_msg("got %d '%s', want '%s'", rc, err.msg, word);
}

static const char *plain_dir(void)
{
    return golden_path("mlx/conversions/src-b/affine-default/folder");
}

static const char *mixed_dir(void)
{
    return golden_path("mlx/conversions/src-b/mixed_4_8/folder");
}

static json_t *block(folder *f)
{
    return json_object_get(f->config, "quantization");
}

static void set_both_blocks(folder *f, const char *key, json_t *value)
{
    json_object_set(json_object_get(f->config, "quantization"), key, value);
    json_object_set(json_object_get(f->config, "quantization_config"), key, value);
    json_decref(value);
}

/* Takes the prefix off the entries of both blocks. */
static void bare_entries(folder *f)
{
    static const char *const blocks[] = {"quantization", "quantization_config"};
    const char *key;
    json_t *v;

    for (int i = 0; i < 2; i++) {
        json_t *old = json_object_get(f->config, blocks[i]), *renamed = json_object();
        json_object_foreach(old, key, v) json_object_set(renamed, bare(key), v);
        json_object_set_new(f->config, blocks[i], renamed);
    }
}

static void bare_names(folder *f)
{
    for (size_t i = 0; i < f->n; i++) {
        char *name = auk_strndup(bare(f->items[i].name), strlen(bare(f->items[i].name)));
        rename_item(&f->items[i], name);
        free(name);
    }
}

/* ---- variants that load -------------------------------------------------------------------- */

static void any_order_and_padding_of_the_header_loads(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    for (size_t i = 0; i < f.n / 2; i++) { /* reversed */
        item t = f.items[i];
        f.items[i] = f.items[f.n - 1 - i];
        f.items[f.n - 1 - i] = t;
    }
    f.padding = 5; /* data at any alignment */
    loads(&f, plain_dir());
}

static void names_without_prefix_load(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    bare_names(&f);
    loads(&f, plain_dir());
    f = read_folder(mixed_dir());
    bare_names(&f);
    loads(&f, mixed_dir());
}

static void entries_without_prefix_load(void **state)
{
    folder f = read_folder(mixed_dir());
    (void)state;

    bare_entries(&f);
    loads(&f, mixed_dir());
    f = read_folder(mixed_dir());
    bare_entries(&f);
    bare_names(&f);
    loads(&f, mixed_dir());
}

static void entries_may_name_their_mode(void **state)
{
    folder f = read_folder(mixed_dir());
    const char *key;
    json_t *v;
    (void)state;

    json_object_foreach(block(&f), key, v) if (json_is_object(v))
        json_object_set_new(v, "mode", json_string("affine"));
    loads(&f, mixed_dir());
}

static void entries_of_false_leave_a_module_as_it_is(void **state)
{
    folder f = read_folder(mixed_dir());
    (void)state;

    set_both_blocks(&f, PREFIX "model.norm", json_false());
    loads(&f, mixed_dir());
}

static void an_index_is_not_needed(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    f.index = false;
    loads(&f, plain_dir());
}

static void one_of_the_two_blocks_is_enough(void **state)
{
    static const char *const blocks[] = {"quantization", "quantization_config"};
    (void)state;

    for (int i = 0; i < 2; i++) {
        folder f = read_folder(mixed_dir());
        json_object_del(f.config, blocks[i]);
        loads(&f, mixed_dir());
    }
}

static void the_metadata_does_not_matter(void **state)
{
    static const char *const kinds[] = {NULL, "{\"format\":\"pt\"}", "{}"};
    (void)state;

    for (int i = 0; i < 3; i++) {
        folder f = read_folder(plain_dir());
        f.metadata = kinds[i];
        loads(&f, plain_dir());
    }
}

static void scales_in_f32_load(void **state)
{
    static const char *const parts[] = {PREFIX "model.embed_tokens.scales",
                                        PREFIX "model.embed_tokens.biases"};
    folder f = read_folder(plain_dir());
    (void)state;

    for (int i = 0; i < 2; i++) {
        item *t = get(&f, parts[i]);
        assert_string_equal(t->dtype, "BF16");
        uint8_t *wide = auk_alloc((size_t)t->bytes * 2);
        for (uint64_t k = 0; k < t->bytes / 2; k++)
            memcpy(wide + 4 * k + 2, t->data + 2 * k, 2); /* bf16 is a float's upper half */
        free(t->data);
        t->data = wide;
        t->bytes *= 2;
        snprintf(t->dtype, sizeof t->dtype, "F32");
    }
    loads(&f, plain_dir());
}

/* One tensor per expert instead of the stack; with the prefix or without. */
static void unstack(folder *f, bool prefixed)
{
    size_t n = f->n;

    for (size_t i = 0; i < n; i++) {
        item t = f->items[i];
        const char *at = strstr(t.name, ".switch_mlp.");
        const char *start = prefixed ? t.name : bare(t.name);
        if (at == NULL) {
            char *name = auk_strndup(start, strlen(start));
            rename_item(&f->items[i], name);
            free(name);
            continue;
        }
        uint64_t part = t.bytes / t.shape[0];
        for (uint64_t e = 0; e < t.shape[0]; e++) {
            char name[256];
            snprintf(name, sizeof name, "%.*s.experts.%llu.%s", (int)(at - start), start,
                     (unsigned long long)e, at + strlen(".switch_mlp."));
            item *x = add_item(f, name);
            memcpy(x->dtype, t.dtype, sizeof x->dtype);
            x->rank = t.rank - 1;
            memcpy(x->shape, t.shape + 1, (size_t)x->rank * sizeof *x->shape);
            x->bytes = part;
            x->data = (uint8_t *)auk_strndup((const char *)t.data + e * part, (size_t)part);
        }
    }
    for (size_t i = n; i-- > 0;)
        if (strstr(f->items[i].name, ".switch_mlp.") != NULL)
            drop(f, f->items[i].name);
}

static void quantized_tensors_per_expert_load(void **state)
{
    (void)state;

    for (int prefixed = 0; prefixed < 2; prefixed++) {
        folder f = read_folder(plain_dir());
        unstack(&f, prefixed);
        loads(&f, plain_dir());
        f = read_folder(mixed_dir());
        unstack(&f, prefixed);
        loads(&f, mixed_dir());
    }
}

static item *add_zeros(folder *f, const char *name, uint64_t rows, uint64_t cols)
{
    item *t = add_item(f, name);

    snprintf(t->dtype, sizeof t->dtype, "BF16");
    t->rank = rows ? 2 : 1;
    t->shape[0] = rows ? rows : cols;
    t->shape[1] = cols;
    t->bytes = 2 * (rows ? rows : 1) * cols;
    t->data = auk_alloc((size_t)t->bytes);
    return t;
}

static void biases_that_are_zero_are_let_pass(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    add_zeros(&f, PREFIX "model.layers.1.mlp.gate.bias", 0, 32);
    item *minus = add_zeros(&f, PREFIX "model.layers.1.mlp.experts.3.up_proj.bias", 0, 64);
    for (uint64_t i = 1; i < minus->bytes; i += 2)
        minus->data[i] = 0x80; /* -0 */
    loads(&f, plain_dir());
}

/* ---- variants that do not ------------------------------------------------------------------ */

static void a_missing_tensor_is_named(void **state)
{
    static const char *const gone[] = {"model.norm.weight",
                                       "model.embed_tokens.biases",
                                       "model.layers.1.mlp.switch_mlp.up_proj.biases",
                                       "model.layers.0.self_attn.q_proj.weight",
                                       "model.layers.1.input_layernorm.weight",
                                       "model.layers.1.mlp.gate.weight"};
    char name[128];
    (void)state;

    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        folder f = read_folder(plain_dir());
        snprintf(name, sizeof name, PREFIX "%s", gone[i]);
        drop(&f, name);
        refused(&f, gone[i]);
    }
}

static void without_scales_the_module_is_named(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    drop(&f, PREFIX "model.embed_tokens.scales");
    refused(&f, "embed_tokens");
}

static void a_tensor_nobody_asked_for_is_named(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    add_zeros(&f, PREFIX "model.extra.weight", 0, 256);
    refused(&f, "model.extra.weight");
    f = read_folder(plain_dir());
    add_zeros(&f, "lm_head.weight", 384, 256);
    refused(&f, "lm_head.weight");
    f = read_folder(plain_dir());
    add_zeros(&f, PREFIX "model.layers.2.input_layernorm.weight", 0, 256);
    refused(&f, "layers.2.input_layernorm");
}

static void a_bias_that_is_not_zero_is_named(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    add_zeros(&f, PREFIX "model.layers.1.mlp.gate.bias", 0, 32)->data[0] = 1;
    refused(&f, "model.layers.1.mlp.gate.bias");
}

static void only_a_sign_bit_may_be_set_in_a_zero_bias(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    add_zeros(&f, PREFIX "model.layers.1.mlp.gate.bias", 0, 32)->data[0] = 0x80; /* 1.8e-38 */
    refused(&f, "model.layers.1.mlp.gate.bias");
}

static void bits_that_do_not_fit_the_tensors_are_refused(void **state)
{
    static const int bits[] = {2, 3, 5, 6, 8};
    (void)state;

    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        folder f = read_folder(plain_dir());
        set_both_blocks(&f, "bits", json_integer(bits[i]));
        refused(&f, "model.embed_tokens.weight");
    }
}

static void groups_that_do_not_fit_the_tensors_are_refused(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    set_both_blocks(&f, "group_size", json_integer(32));
    refused(&f, "model.embed_tokens.scales");
    f = read_folder(plain_dir());
    set_both_blocks(&f, "group_size", json_integer(128));
    refused(&f, "model.embed_tokens.scales");
}

static void scales_without_a_block_in_the_configuration_are_refused(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    json_object_del(f.config, "quantization");
    json_object_del(f.config, "quantization_config");
    refused(&f, "model.embed_tokens.scales");
}

static void an_entry_of_false_for_a_quantized_module_is_refused(void **state)
{
    folder f = read_folder(mixed_dir());
    (void)state;

    set_both_blocks(&f, PREFIX "model.embed_tokens", json_false());
    refused(&f, "model.embed_tokens.scales");
}

static void the_wrong_mode_is_refused(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    set_both_blocks(&f, "mode", json_string("mxfp4"));
    set_both_blocks(&f, "group_size", json_integer(32));
    refused(&f, "model.embed_tokens");
}

static void one_expert_too_few_or_many_is_refused(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    unstack(&f, false);
    drop(&f, "model.layers.1.mlp.experts.31.down_proj.weight");
    refused(&f, "model.layers.1.mlp.experts.31.down_proj.weight");
    f = read_folder(plain_dir());
    json_object_set_new(f.config, "num_experts", json_integer(31));
    refused(&f, "model.layers.1.mlp.");
}

static void an_expert_both_stacked_and_single_is_refused(void **state)
{
    folder f = read_folder(plain_dir());
    (void)state;

    add_zeros(&f, "model.layers.1.mlp.experts.0.up_proj.weight", 64, 256);
    refused(&f, "model.layers.1.mlp.experts.0.up_proj.weight");
}

/* ---- other formats and layouts ------------------------------------------------------------- */

/* The scales of mxfp8 come as U8 from MLX and as F8_E8M0 from others. */
static void scales_of_mxfp8_may_have_their_own_dtype(void **state)
{
    auk_quant_options opts = auk_quant_defaults();
    auk_quant_result result;
    char dst[300];
    auk_err err;
    (void)state;

    snprintf(dst, sizeof dst, "%s.mxfp8", tmp);
    opts.mode = AUK_MXFP8;
    opts.force = true;
    ok(auk_quantize(&result, golden_path("mlx/sources/src-b"), dst, &opts, &err), &err);
    folder f = read_folder(dst);
    size_t changed = 0;
    for (size_t i = 0; i < f.n; i++)
        if (strstr(f.items[i].name, ".scales") != NULL) {
            assert_string_equal(f.items[i].dtype, "U8");
            snprintf(f.items[i].dtype, sizeof f.items[i].dtype, "F8_E8M0");
            changed++;
        }
    assert_true(changed > 5);
    loads(&f, dst);

    f = read_folder(dst);
    snprintf(get(&f, PREFIX "model.embed_tokens.scales")->dtype, 16, "F8_E4M3");
    refused(&f, "model.embed_tokens.scales");
    f = read_folder(dst);
    add_zeros(&f, PREFIX "model.embed_tokens.biases", 384, 8);
    refused(&f, "model.embed_tokens.biases");
    ok(auk_tree_remove(dst, &err), &err);
}

/* What transformers saves: gate's rows, then up's, expert by expert, under names without
 * ".weight". */
static void fuse(folder *f, int layer, uint64_t n_experts)
{
    char name[128];
    item *gate_up, *down;

    snprintf(name, sizeof name, "model.layers.%d.mlp.experts.gate_up_proj", layer);
    size_t first = f->n;
    add_item(f, name);
    snprintf(name, sizeof name, "model.layers.%d.mlp.experts.down_proj", layer);
    add_item(f, name);
    for (uint64_t e = 0; e < n_experts; e++) {
        static const char *const parts[] = {"gate_proj", "up_proj", "down_proj"};
        for (int p = 0; p < 3; p++) {
            snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%llu.%s.weight", layer,
                     (unsigned long long)e, parts[p]);
            const item *t = get(f, name);
            item *all = &f->items[first + (p == 2)];
            if (e == 0 && p != 1) {
                snprintf(all->dtype, sizeof all->dtype, "%s", t->dtype);
                all->rank = 3;
                all->shape[0] = n_experts;
                all->shape[1] = t->shape[0] * (p == 0 ? 2 : 1);
                all->shape[2] = t->shape[1];
                all->data = auk_alloc((size_t)(t->bytes * n_experts * (p == 0 ? 2 : 1)));
            }
            memcpy(all->data + all->bytes, t->data, (size_t)t->bytes);
            all->bytes += t->bytes;
        }
    }
    gate_up = &f->items[first];
    down = &f->items[first + 1];
    assert_int_equal(gate_up->bytes, 2 * down->bytes);
    for (size_t i = f->n; i-- > 0;) {
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.", layer);
        if (strncmp(f->items[i].name, name, strlen(name)) == 0 &&
            strstr(f->items[i].name, ".weight"))
            drop(f, f->items[i].name);
    }
}

static void the_fused_layout_of_transformers_gives_the_same_bits(void **state)
{
    const char *original = golden_path("models/tiny-b/checkpoint");
    folder f = read_folder(original);
    (void)state;

    for (int layer = 1; layer < 5; layer++)
        fuse(&f, layer, 32);
    f.metadata = "{\"format\":\"pt\"}";
    loads(&f, original);
}

static void fused_tensors_of_another_shape_are_refused(void **state)
{
    const char *original = golden_path("models/tiny-b/checkpoint");
    folder f = read_folder(original);
    (void)state;

    for (int layer = 1; layer < 5; layer++)
        fuse(&f, layer, 32);
    item *t = get(&f, "model.layers.2.mlp.experts.gate_up_proj");
    t->shape[1] /= 2;
    t->shape[2] *= 2;
    refused(&f, "model.layers.2.mlp.experts.gate_up_proj");
}

/* The answers above are those of MLX where it is asked for the same; where it refuses and we do
 * not, the folder says everything that is needed. */
static void every_recorded_variant_has_its_answer_here(void **state)
{
    static const struct {
        const char *name;
        bool loads_here;
    } known[] = {
        {"rewritten", true},
        {"no_prefix", true},
        {"no_prefix_recipe", true},
        {"no_prefix_anywhere", true},
        {"entries_with_mode", true},
        {"no_index", true},
        {"only_quantization", true},
        {"only_quantization_config", true},
        {"no_metadata", true},
        {"format_pt", true},
        {"missing_tensor", false},
        {"missing_biases", false},
        {"missing_scales", false},
        {"extra_tensor", false},
        {"extra_mlp_bias", true},
        {"lm_head", false},
        {"f32_scales", true},
        {"e8m0_dtype", true},
        {"wrong_bits", false},
        {"null_entry", true},
        {"per_expert", true},
        {"per_expert_prefixed", true},
        {"no_generation_config", true},
    };
    json_t *recorded = golden_read_json(golden_path("mlx/format/loading.json"));
    (void)state;

    assert_int_equal(json_object_size(recorded), sizeof known / sizeof *known);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const json_t *v = json_object_get(recorded, known[i].name);
        assert_non_null(v);
        if (json_is_true(json_object_get(v, "loads")) && !known[i].loads_here)
            fail_msg("%s: MLX loads it", known[i].name);
    }
    json_decref(recorded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_and_padding_of_the_header_loads),
        cmocka_unit_test(names_without_prefix_load),
        cmocka_unit_test(entries_without_prefix_load),
        cmocka_unit_test(entries_may_name_their_mode),
        cmocka_unit_test(entries_of_false_leave_a_module_as_it_is),
        cmocka_unit_test(an_index_is_not_needed),
        cmocka_unit_test(one_of_the_two_blocks_is_enough),
        cmocka_unit_test(the_metadata_does_not_matter),
        cmocka_unit_test(scales_in_f32_load),
        cmocka_unit_test(quantized_tensors_per_expert_load),
        cmocka_unit_test(biases_that_are_zero_are_let_pass),
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(without_scales_the_module_is_named),
        cmocka_unit_test(a_tensor_nobody_asked_for_is_named),
        cmocka_unit_test(a_bias_that_is_not_zero_is_named),
        cmocka_unit_test(only_a_sign_bit_may_be_set_in_a_zero_bias),
        cmocka_unit_test(bits_that_do_not_fit_the_tensors_are_refused),
        cmocka_unit_test(groups_that_do_not_fit_the_tensors_are_refused),
        cmocka_unit_test(scales_without_a_block_in_the_configuration_are_refused),
        cmocka_unit_test(an_entry_of_false_for_a_quantized_module_is_refused),
        cmocka_unit_test(the_wrong_mode_is_refused),
        cmocka_unit_test(one_expert_too_few_or_many_is_refused),
        cmocka_unit_test(an_expert_both_stacked_and_single_is_refused),
        cmocka_unit_test(scales_of_mxfp8_may_have_their_own_dtype),
        cmocka_unit_test(the_fused_layout_of_transformers_gives_the_same_bits),
        cmocka_unit_test(fused_tensors_of_another_shape_are_refused),
        cmocka_unit_test(every_recorded_variant_has_its_answer_here),
    };
    const char *base = getenv("TMPDIR");
    auk_err err;
    int rc = golden_open();

    if (rc != 0)
        return rc;
    snprintf(tmp, sizeof tmp, "%.180s/auk_loading.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(tmp) == NULL)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    return auk_tree_remove(tmp, &err) < 0 ? 1 : rc;
}
