/* SPDX-License-Identifier: Apache-2.0 */
/* golden.h - finds and reads the recorded reference vectors.
 *
 * They lie in the folder `golden` of $AUK_SHARED, or of ../shared beside the source folder.  A
 * test program begins with
 *     int rc = golden_open();
 *     if (rc != 0)
 *         return rc;
 * Readers abort with a message: a vector that cannot be read is a broken fixture, not a result.
 * Everything returned is the caller's unless a comment says otherwise. */
#ifndef AUK_TESTS_GOLDEN_H
#define AUK_TESTS_GOLDEN_H

#include "base/json.h"

/* 0: the vectors are there.  77: they are not, which is said on stderr.  1: they are not, and the
 * environment has CI, where nothing may be skipped. */
int golden_open(void);

/* The path of `rel` (printf style) in the golden folder: one of 16 static buffers, so it lives
 * until 16 further calls.  Not for two threads. */
const char *golden_path(const char *rel, ...) AUK_PRINTF(1, 2);

bool golden_exists(const char *path);

/* An array as numpy.save wrote it: little-endian float32 or int32 in C order. */
typedef struct golden_npy {
    float *f;   /* owned; NULL unless the array is float32 */
    int32_t *i; /* owned; NULL unless the array is int32 */
    size_t n;   /* elements */
    size_t rank, shape[8];
} golden_npy;

golden_npy golden_read_npy(const char *path);
void golden_npy_release(golden_npy *a);

/* A whole file; *n is its size. */
uint8_t *golden_read_file(const char *path, size_t *n);

json_t *golden_read_json(const char *path);

/* The next line of a .jsonl file as an object, NULL at its end.  *at starts as text.p; the text
 * is what golden_read_file gave. */
json_t *golden_next_json(const char **at, auk_str text);

#endif
