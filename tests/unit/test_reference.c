/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "engine/reference.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_VOCAB 1000
#define ROWS 9

static char dir[256], path[300], tmp[320];
static const int32_t ids[] = {5, 1, 4, 1, 3, 9, 2, 6, 5, 3};
#define N_IDS (sizeof ids / sizeof *ids)

static void draw(float *logits, int vocab, uint64_t seed)
{
    auk_rng rng = auk_rng_make(seed);

    for (int i = 0; i < vocab; i++)
        logits[i] = (float)(20 * auk_rng_unit(&rng) - 10);
}

static double log_sum(const float *logits, int vocab)
{
    double sum = 0;

    for (int i = 0; i < vocab; i++)
        sum += exp((double)logits[i]);
    return log(sum);
}

static void write_rows(int vocab)
{
    static float logits[MAX_VOCAB];
    auk_ref_file *f;
    auk_err err;

    unlink(path);
    assert_int_equal(auk_ref_create(&f, path, ids, N_IDS, 0, vocab, ROWS, &err), AUK_OK);
    for (uint64_t r = 0; r < ROWS; r++) {
        draw(logits, vocab, r);
        double lse = log_sum(logits, vocab);
        assert_int_equal(auk_ref_write(f, logits, lse, (double)logits[r] - lse, &err), AUK_OK);
    }
    assert_false(auk_file_exists(path)); /* not before it is complete */
    assert_int_equal(auk_ref_finish(f, &err), AUK_OK);
    assert_true(auk_file_exists(path));
    assert_false(auk_file_exists(tmp));
}

/* Reads back: descending, exact ids, log-probabilities within the code's step. */
static void check_rows(int vocab)
{
    static float logits[MAX_VOCAB];
    static auk_ref_row row;
    auk_ref_file *f;
    auk_err err;

    assert_int_equal(auk_ref_open(&f, path, ids, N_IDS, 0, vocab, ROWS, &err), AUK_OK);
    for (uint64_t r = 0; r < ROWS; r++) {
        assert_int_equal(auk_ref_read(&row, f, &err), AUK_OK);
        draw(logits, vocab, r);
        double lse = log_sum(logits, vocab);
        assert_int_equal(row.top, vocab < AUK_REF_TOP ? vocab : AUK_REF_TOP);
        assert_true(fabs(row.true_lp - ((double)logits[r] - lse)) < 1e-5);
        for (int i = 0; i < row.top; i++) {
            double lp = (double)logits[row.id[i]] - lse;
            if (i > 0)
                assert_true(logits[row.id[i]] <= logits[row.id[i - 1]]);
            assert_true(fabs(row.lp[i] - lp) < 1.5e-3); /* the worst step, at the range's end */
        }
        int above = 0; /* the kept ones are the largest */
        for (int i = 0; i < vocab; i++)
            above += logits[i] > logits[row.id[row.top - 1]];
        assert_int_equal(above, row.top - 1);
    }
    assert_int_equal(auk_ref_read(&row, f, &err), AUK_EFORMAT);
    auk_ref_close(f);
}

static void rows_read_back_as_they_were_written(void **state)
{
    static const int vocabs[] = {1, 2, 255, 256, 257, MAX_VOCAB};
    (void)state;

    for (size_t i = 0; i < sizeof vocabs / sizeof *vocabs; i++) {
        int vocab = vocabs[i] < ROWS ? ROWS : vocabs[i];
        write_rows(vocab);
        check_rows(vocab);
    }
}

static void of_equal_logits_the_lowest_ids_are_kept(void **state)
{
    static float logits[MAX_VOCAB];
    static auk_ref_row row;
    auk_ref_file *f;
    auk_err err;
    (void)state;

    assert_int_equal(auk_ref_create(&f, path, ids, N_IDS, 0, MAX_VOCAB, 1, &err), AUK_OK);
    assert_int_equal(auk_ref_write(f, logits, log(MAX_VOCAB), -log(MAX_VOCAB), &err), AUK_OK);
    assert_int_equal(auk_ref_finish(f, &err), AUK_OK);
    assert_int_equal(auk_ref_open(&f, path, ids, N_IDS, 0, MAX_VOCAB, 1, &err), AUK_OK);
    assert_int_equal(auk_ref_read(&row, f, &err), AUK_OK);
    for (int i = 0; i < AUK_REF_TOP; i++)
        assert_int_equal(row.id[i], i);
    auk_ref_close(f);
}

static void refuses(const int32_t *tokens, size_t n, int window, int vocab, size_t rows, int code)
{
    auk_ref_file *f;
    auk_err err = {0};

    assert_int_equal(auk_ref_open(&f, path, tokens, n, window, vocab, rows, &err), code);
    assert_null(f);
    assert_non_null(strstr(err.msg, path));
}

static void a_file_of_other_tokens_windows_or_vocabulary_is_refused(void **state)
{
    int32_t other[N_IDS];
    (void)state;

    write_rows(300);
    memcpy(other, ids, sizeof other);
    other[N_IDS - 1]++;
    refuses(other, N_IDS, 0, 300, ROWS, AUK_EINVAL);
    refuses(ids, N_IDS - 1, 0, 300, ROWS, AUK_EINVAL);
    refuses(ids, N_IDS, 5, 300, ROWS, AUK_EINVAL);
    refuses(ids, N_IDS, 0, 301, ROWS, AUK_EINVAL);
    refuses(ids, N_IDS, 0, 300, ROWS - 1, AUK_EINVAL);
}

static void files_that_are_something_else_are_refused(void **state)
{
    auk_err err;
    (void)state;

    assert_int_equal(auk_file_write(path, auk_str_of(""), &err), AUK_OK);
    refuses(ids, N_IDS, 0, 300, ROWS, AUK_EFORMAT);
    assert_int_equal(auk_file_write(path, auk_str_of("AUKREF\r\n"), &err), AUK_OK);
    refuses(ids, N_IDS, 0, 300, ROWS, AUK_EFORMAT);
    write_rows(300);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    auk_ref_file *f;
    static auk_ref_row row;
    assert_int_equal(auk_ref_open(&f, path, ids, N_IDS, 0, 300, ROWS, &err), AUK_OK);
    for (int r = 0; r + 1 < ROWS; r++)
        assert_int_equal(auk_ref_read(&row, f, &err), AUK_OK);
    assert_int_equal(auk_ref_read(&row, f, &err), AUK_EFORMAT);
    assert_non_null(strstr(err.msg, path));
    auk_ref_close(f);
}

static void a_token_outside_the_vocabulary_is_refused(void **state)
{
    static auk_ref_row row;
    auk_buf bytes = AUK_BUF_INIT(1 << 20);
    auk_ref_file *f;
    auk_err err;
    (void)state;

    write_rows(300);
    assert_int_equal(auk_file_read(&bytes, path, &err), AUK_OK);
    bytes.p[8 + 64 + 20 + 4 + 3] = (char)0x80; /* the first id becomes negative */
    assert_int_equal(auk_file_write(path, auk_buf_str(&bytes), &err), AUK_OK);
    auk_buf_release(&bytes);
    assert_int_equal(auk_ref_open(&f, path, ids, N_IDS, 0, 300, ROWS, &err), AUK_OK);
    assert_int_equal(auk_ref_read(&row, f, &err), AUK_EFORMAT);
    auk_ref_close(f);
}

static void what_is_not_finished_leaves_nothing(void **state)
{
    auk_ref_file *f;
    auk_err err;
    (void)state;

    unlink(path);
    assert_int_equal(auk_ref_create(&f, path, ids, N_IDS, 0, 300, ROWS, &err), AUK_OK);
    assert_true(auk_file_exists(tmp));
    auk_ref_close(f);
    assert_false(auk_file_exists(tmp));
    assert_false(auk_file_exists(path));
    auk_ref_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_read_back_as_they_were_written),
        cmocka_unit_test(of_equal_logits_the_lowest_ids_are_kept),
        cmocka_unit_test(a_file_of_other_tokens_windows_or_vocabulary_is_refused),
        cmocka_unit_test(files_that_are_something_else_are_refused),
        cmocka_unit_test(a_token_outside_the_vocabulary_is_refused),
        cmocka_unit_test(what_is_not_finished_leaves_nothing),
    };
    const char *base = getenv("TMPDIR");
    auk_err err;

    snprintf(dir, sizeof dir, "%.180s/auk_reference.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/a.ref", dir);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    return auk_tree_remove(dir, &err) < 0 ? 1 : rc;
}
