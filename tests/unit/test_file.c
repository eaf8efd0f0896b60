/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[256]; /* of the test that runs */

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;

    snprintf(dir, sizeof dir, "%s/auk-file-XXXXXX", tmp != NULL ? tmp : "/tmp");
    return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
    auk_err err;
    (void)state;

    return auk_tree_remove(dir, &err);
}

/* A name in the test's folder; one of 8 static buffers. */
static const char *in_dir(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    auk_err err;

    assert_int_equal(auk_file_write(in_dir(name), auk_str_of(text), &err), AUK_OK);
}

static void holds(const char *name, const char *want)
{
    auk_buf b = AUK_BUF_INIT(1 << 20);
    auk_err err;

    assert_int_equal(auk_file_read(&b, in_dir(name), &err), AUK_OK);
    assert_true(auk_str_is(auk_buf_str(&b), want));
    auk_buf_release(&b);
}

static void what_was_written_is_read_and_nothing_else_is_left(void **state)
{
    (void)state;

    write_text("a", "first");
    holds("a", "first");
    write_text("a", "second");
    holds("a", "second");
    write_text("a", "");
    holds("a", "");
    assert_false(auk_file_exists(in_dir("a.tmp")));
}

static void a_write_that_fails_leaves_the_old_file_and_no_temporary(void **state)
{
    auk_err err;
    (void)state;

    write_text("a", "old");
    assert_int_equal(mkdir(in_dir("a.tmp"), 0777), 0); /* in the way of the temporary file */
    assert_int_equal(auk_file_write(in_dir("a"), auk_str_of("new"), &err), AUK_EIO);
    holds("a", "old");

    assert_int_equal(mkdir(in_dir("full"), 0777), 0); /* in the way of the rename */
    assert_int_equal(auk_file_write(in_dir("full"), auk_str_of("new"), &err), AUK_EIO);
    assert_true(auk_file_is_dir(in_dir("full")));
    assert_false(auk_file_exists(in_dir("full.tmp")));

    assert_int_equal(auk_file_write(in_dir("none/a"), auk_str_of("x"), &err), AUK_ENOTFOUND);
}

static void reading_fails_with_the_right_code(void **state)
{
    auk_buf b = AUK_BUF_INIT(4);
    auk_err err;
    (void)state;

    assert_int_equal(auk_file_read(&b, in_dir("none"), &err), AUK_ENOTFOUND);
    assert_non_null(strstr(err.msg, "No such file"));
    assert_int_equal(auk_file_read(&b, dir, &err), AUK_EINVAL);
    write_text("five", "12345");
    assert_int_equal(auk_file_read(&b, in_dir("five"), &err), AUK_ELIMIT);
    auk_buf_release(&b);
}

static void a_tree_is_copied_with_all_in_it_and_links_are_followed(void **state)
{
    auk_err err;
    (void)state;

    assert_int_equal(mkdir(in_dir("t"), 0777), 0);
    assert_int_equal(mkdir(in_dir("t/sub"), 0777), 0);
    assert_int_equal(mkdir(in_dir("t/empty"), 0777), 0);
    write_text("t/a", "A");
    write_text("t/sub/b", "B");
    write_text("outside", "O");
    assert_int_equal(symlink("../outside", in_dir("t/link")), 0);

    assert_int_equal(auk_tree_copy(in_dir("t"), in_dir("u"), &err), AUK_OK);
    holds("u/a", "A");
    holds("u/sub/b", "B");
    holds("u/link", "O");
    assert_true(auk_file_is_dir(in_dir("u/empty")));
    struct stat st;
    assert_int_equal(lstat(in_dir("u/link"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void special_files_and_missing_ones_are_not_copied(void **state)
{
    auk_err err;
    (void)state;

    assert_int_equal(mkfifo(in_dir("pipe"), 0666), 0);
    assert_int_equal(auk_tree_copy(in_dir("pipe"), in_dir("copy"), &err), AUK_EINVAL);
    assert_int_equal(auk_tree_copy(in_dir("none"), in_dir("copy"), &err), AUK_ENOTFOUND);
    assert_false(auk_file_exists(in_dir("copy")));
}

static void removing_a_tree_does_not_follow_links_and_may_be_repeated(void **state)
{
    auk_err err;
    (void)state;

    assert_int_equal(mkdir(in_dir("t"), 0777), 0);
    assert_int_equal(mkdir(in_dir("t/sub"), 0777), 0);
    assert_int_equal(mkdir(in_dir("kept"), 0777), 0);
    write_text("kept/a", "A");
    write_text("t/sub/b", "B");
    assert_int_equal(symlink("../kept", in_dir("t/link")), 0);
    assert_int_equal(symlink("nowhere", in_dir("t/dangling")), 0);

    assert_int_equal(auk_tree_remove(in_dir("t"), &err), AUK_OK);
    assert_false(auk_file_exists(in_dir("t")));
    holds("kept/a", "A");
    assert_int_equal(auk_tree_remove(in_dir("t"), &err), AUK_OK);
}

static void a_map_shows_the_file(void **state)
{
    auk_map map;
    auk_err err;
    (void)state;

    write_text("a", "hello");
    assert_int_equal(auk_map_open(&map, in_dir("a"), &err), AUK_OK);
    assert_int_equal(map.n, 5);
    assert_memory_equal(map.p, "hello", 5);
    auk_map_drop(&map, map.p, map.n); /* pages come back when they are read again */
    assert_memory_equal(map.p, "hello", 5);
    auk_map_close(&map);
    assert_null(map.p);
    auk_map_close(&map);
}

static void an_empty_file_maps_to_nothing(void **state)
{
    auk_map map;
    auk_err err;
    (void)state;

    write_text("a", "");
    assert_int_equal(auk_map_open(&map, in_dir("a"), &err), AUK_OK);
    assert_null(map.p);
    assert_int_equal(map.n, 0);
    auk_map_close(&map);
}

static void only_files_are_mapped(void **state)
{
    auk_map map;
    auk_err err;
    (void)state;

    assert_int_equal(auk_map_open(&map, dir, &err), AUK_EINVAL);
    assert_int_equal(auk_map_open(&map, in_dir("none"), &err), AUK_ENOTFOUND);
    assert_null(map.p);
}

static void paths_are_joined_with_one_slash(void **state)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = auk_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
}

static void free_space_is_asked_of_the_nearest_folder_that_exists(void **state)
{
    uint64_t here = 0, below = 0;
    auk_err err;
    (void)state;

    assert_int_equal(auk_disk_free(&here, dir, &err), AUK_OK);
    assert_int_equal(auk_disk_free(&below, in_dir("not/yet/there"), &err), AUK_OK);
    assert_true(here > 0 && below > 0);
    assert_int_equal(auk_disk_free(&below, "not-yet-there", &err), AUK_OK);
    assert_int_equal(auk_disk_free(&below, "/not-yet-there", &err), AUK_OK);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(what_was_written_is_read_and_nothing_else_is_left),
        IN_DIR(a_write_that_fails_leaves_the_old_file_and_no_temporary),
        IN_DIR(reading_fails_with_the_right_code),
        IN_DIR(a_tree_is_copied_with_all_in_it_and_links_are_followed),
        IN_DIR(special_files_and_missing_ones_are_not_copied),
        IN_DIR(removing_a_tree_does_not_follow_links_and_may_be_repeated),
        IN_DIR(a_map_shows_the_file),
        IN_DIR(an_empty_file_maps_to_nothing),
        IN_DIR(only_files_are_mapped),
        cmocka_unit_test(paths_are_joined_with_one_slash),
        IN_DIR(free_space_is_asked_of_the_nearest_folder_that_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
