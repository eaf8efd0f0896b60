/* SPDX-License-Identifier: Apache-2.0 */
#include "golden/golden.h"

#include "base/file.h"
#include "base/half.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdarg.h>

#define MAX_FILE ((size_t)4 << 30)

static _Noreturn void broken(const char *path, const char *why)
{
    fprintf(stderr, "golden: '%s': %s\n", path, why);
    exit(1);
}

int golden_open(void)
{
    const char *dir = golden_path(".");

    if (auk_file_is_dir(dir))
        return 0;
    bool is_ci = getenv("CI") != NULL;
    fprintf(stderr,
            "%s: the reference vectors are missing: no folder '%s' (AUK_SHARED names its parent)\n",
            is_ci ? "FAILED" : "SKIPPED", dir);
    return is_ci ? 1 : 77;
}

const char *golden_path(const char *rel, ...)
{
    static char paths[16][4096];
    static unsigned next;
    char *path = paths[next++ % 16];
    const char *shared = getenv("AUK_SHARED");
    va_list args;

    if (shared == NULL || *shared == 0)
        shared = AUK_SOURCE_DIR "/../shared";
    int n = snprintf(path, sizeof paths[0], "%s/golden/", shared);
    if (n < 0 || (size_t)n >= sizeof paths[0])
        broken(shared, "the path is too long");
    va_start(args, rel);
    int m = vsnprintf(path + n, sizeof paths[0] - (size_t)n, rel, args);
    va_end(args);
    if (m < 0 || (size_t)m >= sizeof paths[0] - (size_t)n)
        broken(rel, "the path is too long");
    return path;
}

bool golden_exists(const char *path)
{
    return auk_file_exists(path);
}

uint8_t *golden_read_file(const char *path, size_t *n)
{
    auk_buf text = AUK_BUF_INIT(MAX_FILE);
    auk_err err;

    if (auk_file_read(&text, path, &err) < 0)
        broken(path, err.msg);
    *n = text.n;
    return text.p != NULL ? (uint8_t *)text.p : auk_alloc(1); /* the buffer's memory moves out */
}

json_t *golden_read_json(const char *path)
{
    json_t *v;
    auk_err err;

    if (auk_json_read(&v, path, &err) < 0)
        broken(path, err.msg);
    return v;
}

json_t *golden_next_json(const char **at, auk_str text)
{
    const char *end = text.p + text.n;
    json_t *v;
    auk_err err;

    while (*at < end && (**at == '\n' || **at == '\r'))
        ++*at;
    if (*at == end)
        return NULL;
    const char *eol = memchr(*at, '\n', (size_t)(end - *at));
    if (eol == NULL)
        eol = end;
    auk_str line = {*at, (size_t)(eol - *at)};
    *at = eol;
    if (auk_json_parse(&v, line, "line", &err) < 0)
        broken("line", err.msg);
    return v;
}

/* The value after 'key': in the header, which is a Python dict on one line. */
static const char *header_value(const char *header, const char *key, const char *path)
{
    const char *p = strstr(header, key);

    if (p == NULL)
        broken(path, "the header of the .npy lacks a key");
    p += strlen(key);
    return p + strspn(p, ": ");
}

static void parse_shape(golden_npy *a, const char *p, const char *path)
{
    if (*p++ != '(')
        broken(path, "the shape is not a tuple");
    a->n = 1;
    while (*p != ')') {
        char *end;
        if (a->rank == sizeof a->shape / sizeof *a->shape)
            broken(path, "more than 8 dimensions");
        a->shape[a->rank] = strtoull(p, &end, 10);
        if (end == p)
            broken(path, "the shape is malformed");
        a->n *= a->shape[a->rank++];
        p = end + strspn(end, ", ");
    }
}

golden_npy golden_read_npy(const char *path)
{
    golden_npy a = {0};
    size_t n;
    uint8_t *data = golden_read_file(path, &n);

    if (n < 12 || memcmp(data, "\x93NUMPY", 6) != 0)
        broken(path, "not a .npy file");
    size_t start = data[6] == 1 ? 10 : 12;
    size_t length = data[6] == 1 ? auk_le16(data + 8) : auk_le32(data + 8);
    if (length > n - start)
        broken(path, "the header is cut off");
    char *header = auk_strndup((const char *)data + start, length);
    const char *descr = header_value(header, "'descr'", path);
    if (strncmp(header_value(header, "'fortran_order'", path), "False", 5) != 0)
        broken(path, "want C order");
    parse_shape(&a, header_value(header, "'shape'", path), path);

    const uint8_t *values = data + start + length;
    if ((n - start - length) / 4 != a.n || (n - start - length) % 4 != 0)
        broken(path, "the size does not follow from the shape");
    uint32_t *words = auk_alloc(a.n * 4);
    for (size_t i = 0; i < a.n; i++)
        words[i] = auk_le32(values + 4 * i);
    if (strncmp(descr, "'<f4'", 5) == 0)
        a.f = (float *)(void *)words;
    else if (strncmp(descr, "'<i4'", 5) == 0)
        a.i = (int32_t *)words;
    else
        broken(path, "want float32 or int32");
    free(header);
    free(data);
    return a;
}

void golden_npy_release(golden_npy *a)
{
    free(a->f);
    free(a->i);
    *a = (golden_npy){0};
}
