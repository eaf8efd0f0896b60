/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a tokenizer and encodes files: seconds to open, megabytes a second on one thread.
 *
 *     bench_text tokenizer.json FILE... */
#include "base/file.h"
#include "base/limits.h"
#include "base/time.h"
#include "text/text.h"

static double seconds_since(uint64_t start_ns)
{
    return (double)(auk_now_ns() - start_ns) * 1e-9;
}

/* The best of five, in seconds; *n_ids is the number of ids. */
static int encode(double *out, size_t *n_ids, const auk_tokenizer *tok, auk_str text, auk_err *err)
{
    int rc = AUK_OK;

    *out = 1e30;
    for (int i = 0; i < 5 && rc == AUK_OK; i++) {
        auk_ids ids = {0};
        uint64_t start = auk_now_ns();
        rc = auk_tokenizer_encode(&ids, tok, text, false, err);
        double seconds = seconds_since(start);
        if (seconds < *out)
            *out = seconds;
        *n_ids = ids.n;
        auk_ids_release(&ids);
    }
    return rc;
}

int main(int argc, char **argv)
{
    auk_tokenizer *tok = NULL;
    auk_err err;
    uint64_t start = auk_now_ns();

    if (argc < 3) {
        fprintf(stderr, "usage: bench_text TOKENIZER.JSON FILE...\n");
        return 2;
    }
    int rc = auk_tokenizer_open(&tok, argv[1], &err);
    printf("what,bytes,ids,seconds,mb_per_s\nopen,,,%.4f,\n", seconds_since(start));
    for (int i = 2; i < argc && rc == AUK_OK; i++) {
        auk_buf text = AUK_BUF_INIT(AUK_MAX_TEXT);
        double seconds = 0;
        size_t n = 0;
        rc = auk_file_read(&text, argv[i], &err);
        if (rc == AUK_OK)
            rc = encode(&seconds, &n, tok, auk_buf_str(&text), &err);
        if (rc == AUK_OK)
            printf("%s,%zu,%zu,%.4f,%.1f\n", argv[i], text.n, n, seconds,
                   (double)text.n / seconds * 1e-6);
        auk_buf_release(&text);
    }
    if (rc < 0)
        fprintf(stderr, "bench_text: %s\n", err.msg);
    auk_tokenizer_close(tok);
    return rc < 0;
}
