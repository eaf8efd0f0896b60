/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of safetensors files, made byte by byte: what opens, what is refused and in which words.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "format/format.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[256];

static const char *in_dir(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int fresh_dir(void **state)
{
    auk_err err;
    (void)state;

    return auk_tree_remove(dir, &err) < 0 || mkdir(dir, 0777) != 0;
}

static int remove_dir(void **state)
{
    auk_err err;
    (void)state;

    return auk_tree_remove(dir, &err);
}

static void write_bytes(const char *name, const char *p, size_t n)
{
    auk_err err;

    if (auk_file_write(in_dir(name), (auk_str){p, n}, &err) < 0)
        fail_msg("%s", err.msg);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* A file with this header and n zero bytes of data. */
static void write_shard(const char *name, const char *header, size_t n)
{
    size_t m = strlen(header);
    char *bytes = auk_alloc(8 + m + n);

    for (int i = 0; i < 8; i++)
        bytes[i] = (char)((uint64_t)m >> 8 * i);
    memcpy(bytes + 8, header, m);
    write_bytes(name, bytes, 8 + m + n);
    free(bytes);
}

static auk_checkpoint *opens(void)
{
    auk_checkpoint *ck;
    auk_err err;

    if (auk_checkpoint_open(&ck, dir, &err) < 0)
        fail_msg("%s", err.msg);
    return ck;
}

/* The message holds both words, the file's name usually being the first. */
static void refuses(int code, const char *word, const char *other)
{
    auk_checkpoint *ck;
    auk_err err = {0};

    int rc = auk_checkpoint_open(&ck, dir, &err);
    assert_null(ck);
    if (rc != code || err.code != code || strstr(err.msg, word) == NULL ||
        strstr(err.msg, other) == NULL || strchr(err.msg, '\n') != NULL)
        fail_msg("got %d '%s', want %d with '%s' and '%s'", rc, err.msg, code, word, other);
}

/* A single file that is refused with words about it. */
static void refuses_header(const char *header, size_t n, int code, const char *word)
{
    write_shard("model.safetensors", header, n);
    refuses(code, "model.safetensors'", word);
}

#define ENTRY(name, dtype, shape, begin, end)                                                      \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end \
    "]}"

static void tensors_are_listed_by_name_with_their_bytes(void **state)
{
    (void)state;

    write_shard(
        "model.safetensors",
        "{\"__metadata__\":{\"format\":\"mlx\"}," ENTRY("b", "F32", "[2,3]", 0, 24) "," ENTRY(
            "a", "BF16", "[5]", 24, 34) "," ENTRY("empty", "U8", "[0,7]", 34, 34) "}",
        34);
    auk_checkpoint *ck = opens();
    assert_int_equal(auk_checkpoint_count(ck), 3);
    assert_true(auk_str_is(auk_checkpoint_at(ck, 0)->name, "a"));
    assert_true(auk_str_is(auk_checkpoint_at(ck, 1)->name, "b"));
    assert_true(auk_str_is(auk_checkpoint_at(ck, 2)->name, "empty"));
    const auk_tensor *b = auk_checkpoint_find(ck, auk_str_of("b"));
    assert_int_equal(b->bytes, 24);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[1], 3);
    assert_null(auk_checkpoint_find(ck, auk_str_of("c")));
    assert_null(auk_checkpoint_find(ck, auk_str_of("")));
    assert_int_equal(auk_checkpoint_bytes(ck), 34);
    assert_true(auk_checkpoint_is_mlx(ck));
    auk_checkpoint_close(ck);
}

static void a_scalar_and_an_unaligned_padded_header_are_taken(void **state)
{
    (void)state;

    write_shard("model.safetensors", "{" ENTRY("x", "F32", "[]", 0, 4) "}    \n ", 4);
    auk_checkpoint *ck = opens();
    assert_int_equal(auk_checkpoint_at(ck, 0)->rank, 0);
    assert_false(auk_checkpoint_is_mlx(ck));
    auk_checkpoint_close(ck);
}

static void files_that_are_no_safetensors_are_said_to_be_so(void **state)
{
    (void)state;

    write_bytes("model.safetensors", "", 0);
    refuses(AUK_EFORMAT, "model.safetensors'", "no safetensors header");
    write_bytes("model.safetensors", "\2\0\0\0\0\0\0", 7);
    refuses(AUK_EFORMAT, "model.safetensors'", "no safetensors header");
    write_bytes("model.safetensors", "\3\0\0\0\0\0\0\0{}", 10);
    refuses(AUK_EFORMAT, "model.safetensors'", "truncated");
    write_bytes("model.safetensors", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10);
    refuses(AUK_EFORMAT, "model.safetensors'", "no safetensors header");
    write_bytes("model.safetensors", "\xF8\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10);
    refuses(AUK_EFORMAT, "model.safetensors'", "no safetensors header");
    refuses_header("", 0, AUK_EFORMAT, "JSON");
    refuses_header("[]", 0, AUK_EFORMAT, "not a JSON object");
    refuses_header("{\"a\":1}", 0, AUK_ENOTSUP, "'a'");
    refuses_header("{\"a\"", 0, AUK_EFORMAT, "JSON");
    refuses_header("{\"\xFF\":1}", 0, AUK_EFORMAT, "JSON");
}

static void impossible_entries_are_refused(void **state)
{
    (void)state;

    refuses_header("{" ENTRY("w", "F32", "[-1]", 0, 4) "}", 4, AUK_EFORMAT, "negative");
    refuses_header("{" ENTRY("w", "F32", "[1.0]", 0, 4) "}", 4, AUK_EFORMAT, "'w'");
    refuses_header("{" ENTRY("w", "F32", "7", 0, 4) "}", 4, AUK_EFORMAT, "no shape");
    refuses_header("{" ENTRY("w", "F32", "[4611686018427387905]", 0, 4) "}", 4, AUK_EFORMAT,
                   "overflowing");
    refuses_header("{" ENTRY("w", "U8", "[4294967296,4294967297]", 0, 4) "}", 4, AUK_EFORMAT,
                   "overflowing");
    refuses_header("{" ENTRY("w", "F32", "[99999999999999999999]", 0, 4) "}", 4, AUK_EFORMAT,
                   "JSON");
    refuses_header("{" ENTRY("w", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, AUK_ENOTSUP,
                   "dimensions");
    refuses_header("{" ENTRY("w", "F33", "[1]", 0, 4) "}", 4, AUK_ENOTSUP, "dtype");
    refuses_header("{" ENTRY("w", "F32", "[1]", 4, 0) "}", 4, AUK_EFORMAT, "data_offsets");
    refuses_header("{" ENTRY("w", "F32", "[1]", -4, 0) "}", 4, AUK_EFORMAT, "data_offsets");
    refuses_header("{" ENTRY("w", "F32", "[1]", 0, 4.0) "}", 4, AUK_EFORMAT, "data_offsets");
    refuses_header("{" ENTRY("w", "F32", "[2]", 0, 4) "}", 4, AUK_EFORMAT, "its shape needs");
    refuses_header("{" ENTRY("w", "F32", "[2]", 0, 8) "}", 4, AUK_EFORMAT, "truncated");
    refuses_header("{" ENTRY("w", "F32", "[1]", 0, 9223372036854775807) "}", 4, AUK_EFORMAT,
                   "truncated");
    refuses_header("{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, AUK_EFORMAT, "data_offsets");
    refuses_header("{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, AUK_ENOTSUP, "dtype");
    refuses_header("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4,
                   AUK_EFORMAT, "data_offsets");
    refuses_header("{\"w\":[]}", 4, AUK_ENOTSUP, "'w'");
    refuses_header("{\"__metadata__\":{\"format\":1}}", 0, AUK_EFORMAT, "__metadata__");
    refuses_header("{\"__metadata__\":[]}", 0, AUK_EFORMAT, "__metadata__");
}

static void data_is_covered_once_and_completely(void **state)
{
    (void)state;

    refuses_header("{" ENTRY("a", "F32", "[2]", 0, 8) "," ENTRY("b", "F32", "[1]", 4, 8) "}", 8,
                   AUK_EFORMAT, "overlaps");
    refuses_header("{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("b", "F32", "[1]", 0, 4) "}", 4,
                   AUK_EFORMAT, "overlaps");
    refuses_header("{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("b", "F32", "[1]", 8, 12) "}", 12,
                   AUK_EFORMAT, "hole");
    refuses_header("{" ENTRY("a", "F32", "[1]", 4, 8) "}", 8, AUK_EFORMAT, "hole");
    refuses_header("{" ENTRY("a", "F32", "[1]", 0, 4) "}", 8, AUK_EFORMAT, "belong to no tensor");
    refuses_header("{}", 1, AUK_EFORMAT, "belong to no tensor");
    refuses_header("{" ENTRY("a", "F32", "[1]", 0, 4) "," ENTRY("a", "F32", "[1]", 0, 4) "}", 4,
                   AUK_EFORMAT, "duplicate");
}

static void the_index_says_which_files_count(void **state)
{
    (void)state;

    write_shard("one.safetensors", "{" ENTRY("a", "U8", "[1]", 0, 1) "}", 1);
    write_shard("two.safetensors", "{" ENTRY("b", "U8", "[2]", 0, 2) "}", 2);
    write_shard("unlisted.safetensors", "{" ENTRY("c", "U8", "[1]", 0, 1) "}", 1);
    write_text("model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    auk_checkpoint *ck = opens();
    assert_int_equal(auk_checkpoint_count(ck), 2);
    assert_non_null(strstr(auk_checkpoint_file(ck, auk_checkpoint_at(ck, 1)->shard), "two."));
    auk_checkpoint_close(ck);
    assert_int_equal(unlink(in_dir("model.safetensors.index.json")), 0);
    ck = opens(); /* without one every file does */
    assert_int_equal(auk_checkpoint_count(ck), 3);
    auk_checkpoint_close(ck);
}

static void an_index_that_disagrees_with_its_shards_is_refused(void **state)
{
    static const char *const outside[] = {"../one.safetensors",    "/one.safetensors",
                                          "sub/one.safetensors",   "",
                                          ".one.safetensors",      "..",
                                          "one\\u0000.safetensors"};
    char text[256];
    (void)state;

    write_shard("one.safetensors", "{" ENTRY("a", "U8", "[1]", 0, 1) "}", 1);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", outside[i]);
        write_text("model.safetensors.index.json", text);
        refuses(AUK_EFORMAT, "index.json'", "'a' names no file of this folder");
    }
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":1}}");
    refuses(AUK_EFORMAT, "index.json'", "'a'");
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"gone.safetensors\"}}");
    refuses(AUK_ENOTFOUND, "'gone.safetensors'", "fetch it again");
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"z\":\"one.safetensors\"}}");
    refuses(AUK_EFORMAT, "index.json'", "'z' is not in 'one.safetensors'");
    static const char *const empty[] = {"{}", "[]", "{\"weight_map\":{}}", "{\"weight_map\":[]}"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        write_text("model.safetensors.index.json", empty[i]);
        refuses(AUK_EFORMAT, "index.json'", "no weight_map");
    }
    write_text("model.safetensors.index.json", "");
    refuses(AUK_EFORMAT, "index.json'", "JSON");
}

static void a_tensor_the_index_does_not_list_is_refused(void **state)
{
    (void)state;

    write_shard("one.safetensors",
                "{" ENTRY("a", "U8", "[1]", 0, 1) "," ENTRY("extra", "U8", "[1]", 1, 2) "}", 2);
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"one.safetensors\"}}");
    auk_checkpoint *ck;
    auk_err err = {0};
    /* its shard holds it, so it is there: whether it is wanted is the model's question */
    assert_int_equal(auk_checkpoint_open(&ck, dir, &err), AUK_OK);
    assert_int_equal(auk_checkpoint_count(ck), 2);
    auk_checkpoint_close(ck);
}

static void a_name_in_two_shards_is_refused(void **state)
{
    (void)state;

    write_shard("one.safetensors", "{" ENTRY("same", "U8", "[1]", 0, 1) "}", 1);
    write_shard("two.safetensors", "{" ENTRY("same", "U8", "[1]", 0, 1) "}", 1);
    refuses(AUK_EFORMAT, "'same'", "two.safetensors'");
}

static void folders_without_weights_are_said_to_be_so(void **state)
{
    auk_checkpoint *ck;
    auk_err err;
    (void)state;

    refuses(AUK_ENOTFOUND, dir, "not a model folder");
    assert_int_equal(auk_checkpoint_open(&ck, in_dir("absent"), &err), AUK_ENOTFOUND);
    write_text("file", "x");
    assert_int_equal(auk_checkpoint_open(&ck, in_dir("file"), &err), AUK_EINVAL);
    assert_non_null(strstr(err.msg, "not a folder"));
    assert_int_equal(mkdir(in_dir("model.safetensors"), 0777), 0);
    refuses(AUK_EINVAL, "model.safetensors'", "not a file");
}

/* The law: whatever a byte is turned into, the file opens and works or is refused with words. */
static void changed_bytes_either_open_or_are_refused_with_a_message(void **state)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"mlx\"}," ENTRY(
        "model.norm.weight", "BF16", "[2,4]", 0, 16) "," ENTRY("b", "F32", "[3]", 16, 28) "}";
    char bytes[8 + sizeof header + 28];
    size_t n = sizeof header - 1;
    (void)state;

    for (uint64_t seed = 1; seed <= 20000; seed++) {
        auk_rng rng = auk_rng_make(seed);
        auk_safetensors *st;
        auk_err err = {0};
        memset(bytes, 0, sizeof bytes);
        bytes[0] = (char)n;
        memcpy(bytes + 8, header, n);
        size_t length = 8 + n + 28;
        for (uint64_t k = 1 + auk_rng_below(&rng, 3); k > 0; k--)
            bytes[auk_rng_below(&rng, length)] = (char)auk_rng_next(&rng);
        if (auk_rng_below(&rng, 4) == 0)
            length = (size_t)auk_rng_below(&rng, length);
        char *exact = auk_strndup(bytes, length);
        int rc = auk_safetensors_parse(&st, (auk_str){exact, length}, "f", &err);
        if ((rc < 0) != (st == NULL) || (rc < 0 && (err.code != rc || err.msg[0] == 0)))
            fail_msg("seed %" PRIu64 ": %d '%s'", seed, rc, err.msg);
        for (size_t i = 0; st != NULL && i < auk_safetensors_count(st); i++) {
            const auk_tensor *t = auk_safetensors_at(st, i);
            size_t at = (size_t)((const char *)t->data - exact);
            if (at > length || t->bytes > length - at)
                fail_msg("seed %" PRIu64 ": a tensor outside the file", seed);
        }
        auk_safetensors_close(st);
        free(exact);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fresh_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(tensors_are_listed_by_name_with_their_bytes),
        IN_FOLDER(a_scalar_and_an_unaligned_padded_header_are_taken),
        IN_FOLDER(files_that_are_no_safetensors_are_said_to_be_so),
        IN_FOLDER(impossible_entries_are_refused),
        IN_FOLDER(data_is_covered_once_and_completely),
        IN_FOLDER(the_index_says_which_files_count),
        IN_FOLDER(an_index_that_disagrees_with_its_shards_is_refused),
        IN_FOLDER(a_tensor_the_index_does_not_list_is_refused),
        IN_FOLDER(a_name_in_two_shards_is_refused),
        IN_FOLDER(folders_without_weights_are_said_to_be_so),
        cmocka_unit_test(changed_bytes_either_open_or_are_refused_with_a_message),
    };
    const char *base = getenv("TMPDIR");

    snprintf(dir, sizeof dir, "%.180s/auk_checkpoint.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(dir) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
