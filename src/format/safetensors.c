/* SPDX-License-Identifier: Apache-2.0 */
#include "format/format.h"

#include "base/half.h"
#include "base/mem.h"

struct auk_safetensors {
    auk_map map;                /* owned; empty when parsed from memory */
    json_t *header;             /* owned; names live in its keys */
    auk_tensor *tensors;        /* owned; sorted by data offset */
    const auk_tensor **by_name; /* owned; points into tensors, sorted by name */
    size_t n;
};

static bool dtype_parse(auk_dtype *out, const json_t *v)
{
    auk_str s = auk_json_str(v);

    for (int t = 0; t < AUK_DT_COUNT; t++)
        if (auk_str_is(s, auk_dtype_name((auk_dtype)t))) {
            *out = (auk_dtype)t;
            return true;
        }
    return false;
}

static bool get_size(uint64_t *out, const json_t *v)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static int parse_shape(auk_tensor *t, const json_t *shape, const char *file, auk_err *err)
{
    uint64_t n = auk_dtype_bytes(t->dtype);

    if (!json_is_array(shape))
        return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.*s' has no shape", file,
                        AUK_ARG(t->name));
    if (json_array_size(shape) > AUK_MAX_RANK)
        return auk_fail(err, AUK_ENOTSUP, "'%s': tensor '%.*s' has more than %d dimensions", file,
                        AUK_ARG(t->name), AUK_MAX_RANK);
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++)
        if (!get_size(&t->shape[i], json_array_get(shape, (size_t)i)) ||
            !auk_mul(&n, n, t->shape[i]))
            return auk_fail(err, AUK_EFORMAT,
                            "'%s': tensor '%.*s' has a negative or overflowing shape", file,
                            AUK_ARG(t->name));
    t->bytes = n;
    return AUK_OK;
}

/* One header entry into *t; begin and end are checked against the data section. */
static int parse_entry(auk_tensor *t, const json_t *v, const uint8_t *data, uint64_t data_bytes,
                       const char *file, auk_err *err)
{
    const json_t *offsets = json_object_get(v, "data_offsets");
    uint64_t begin, end;

    if (!dtype_parse(&t->dtype, json_object_get(v, "dtype")))
        return auk_fail(err, AUK_ENOTSUP, "'%s': tensor '%.*s' has an unknown dtype", file,
                        AUK_ARG(t->name));
    int rc = parse_shape(t, json_object_get(v, "shape"), file, err);
    if (rc < 0)
        return rc;
    if (json_array_size(offsets) != 2 || !get_size(&begin, json_array_get(offsets, 0)) ||
        !get_size(&end, json_array_get(offsets, 1)) || begin > end)
        return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.*s' has invalid data_offsets", file,
                        AUK_ARG(t->name));
    if (end > data_bytes)
        return auk_fail(err, AUK_EFORMAT,
                        "'%s': tensor '%.*s' ends at byte %llu but the file has %llu: truncated, "
                        "fetch it again",
                        file, AUK_ARG(t->name), (unsigned long long)end,
                        (unsigned long long)data_bytes);
    if (end - begin != t->bytes)
        return auk_fail(err, AUK_EFORMAT,
                        "'%s': tensor '%.*s' has %llu bytes of data, its shape needs %llu", file,
                        AUK_ARG(t->name), (unsigned long long)(end - begin),
                        (unsigned long long)t->bytes);
    t->data = data + begin;
    return AUK_OK;
}

static int by_data(const void *a, const void *b)
{
    const auk_tensor *x = a, *y = b;

    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first */
}

static int compare_names(auk_str a, auk_str b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_name(const void *a, const void *b)
{
    const auk_tensor *const *x = a, *const *y = b;
    return compare_names((*x)->name, (*y)->name);
}

static int check_cover(const auk_safetensors *st, const uint8_t *data, uint64_t data_bytes,
                       const char *file, auk_err *err)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < st->n; i++) {
        const auk_tensor *t = &st->tensors[i];
        if (t->data != at)
            return auk_fail(err, AUK_EFORMAT, "'%s': tensor '%.*s' %s", file, AUK_ARG(t->name),
                            t->data < at ? "overlaps another" : "follows a hole in the data");
        at = t->data + t->bytes;
    }
    if (at != data + data_bytes)
        return auk_fail(err, AUK_EFORMAT, "'%s' has %llu bytes that belong to no tensor", file,
                        (unsigned long long)(data + data_bytes - at));
    return AUK_OK;
}

static int check_metadata(const json_t *meta, const char *file, auk_err *err)
{
    const char *key;
    json_t *v;

    if (meta == NULL)
        return AUK_OK;
    if (!json_is_object(meta))
        return auk_fail(err, AUK_EFORMAT, "'%s': __metadata__ is not an object", file);
    json_object_foreach((json_t *)meta, key, v) if (!json_is_string(v)) return auk_fail(
        err, AUK_EFORMAT, "'%s': __metadata__ '%.100s' is not a string", file, key);
    return AUK_OK;
}

static int parse_header(auk_safetensors *st, auk_str file_bytes, const char *file, auk_err *err)
{
    const uint8_t *p = (const uint8_t *)file_bytes.p;
    uint64_t head_bytes = file_bytes.n < 8 ? UINT64_MAX : auk_le64(p);
    const char *key;
    json_t *v;

    if (head_bytes > AUK_MAX_HEADER || head_bytes > file_bytes.n - 8) /* never: 8 + head_bytes */
        return auk_fail(err, AUK_EFORMAT,
                        "'%s' has no safetensors header: truncated or another "
                        "kind of file",
                        file);
    int rc =
        auk_json_parse(&st->header, (auk_str){file_bytes.p + 8, (size_t)head_bytes}, file, err);
    if (rc < 0)
        return rc;
    if (!json_is_object(st->header))
        return auk_fail(err, AUK_EFORMAT, "'%s': the header is not a JSON object", file);
    rc = check_metadata(json_object_get(st->header, "__metadata__"), file, err);
    if (rc < 0)
        return rc;
    rc = auk_try_alloc(&st->tensors, json_object_size(st->header), sizeof *st->tensors, err);
    if (rc < 0)
        return rc;
    const uint8_t *data = p + 8 + head_bytes;
    uint64_t data_bytes = file_bytes.n - 8 - head_bytes;
    json_object_foreach(st->header, key, v)
    {
        if (strcmp(key, "__metadata__") == 0)
            continue;
        auk_tensor *t = &st->tensors[st->n++];
        t->name = auk_str_of(key);
        rc = parse_entry(t, v, data, data_bytes, file, err);
        if (rc < 0)
            return rc;
    }
    qsort(st->tensors, st->n, sizeof *st->tensors, by_data);
    return check_cover(st, data, data_bytes, file, err);
}

static int index_names(auk_safetensors *st, auk_err *err)
{
    int rc = auk_try_alloc(&st->by_name, st->n, sizeof *st->by_name, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < st->n; i++)
        st->by_name[i] = &st->tensors[i];
    qsort(st->by_name, st->n, sizeof *st->by_name, by_name);
    return AUK_OK;
}

int auk_safetensors_parse(auk_safetensors **out, auk_str text, const char *name, auk_err *err)
{
    auk_safetensors *st = auk_alloc(sizeof *st);

    *out = NULL;
    int rc = parse_header(st, text, name, err);
    if (rc == AUK_OK)
        rc = index_names(st, err);
    if (rc == AUK_OK) {
        *out = st;
        st = NULL;
    }
    auk_safetensors_close(st);
    return rc;
}

int auk_safetensors_open(auk_safetensors **out, const char *path, auk_err *err)
{
    auk_map map;

    *out = NULL;
    int rc = auk_map_open(&map, path, err);
    if (rc < 0)
        return rc;
    rc = auk_safetensors_parse(out, (auk_str){(const char *)map.p, map.n}, path, err);
    if (rc < 0)
        auk_map_close(&map);
    else
        (*out)->map = map;
    return rc;
}

void auk_safetensors_close(auk_safetensors *st)
{
    if (st == NULL)
        return;
    auk_map_close(&st->map);
    json_decref(st->header);
    free(st->tensors);
    free(st->by_name);
    free(st);
}

size_t auk_safetensors_count(const auk_safetensors *st)
{
    return st->n;
}

const auk_tensor *auk_safetensors_at(const auk_safetensors *st, size_t i)
{
    return &st->tensors[i];
}

const auk_tensor *auk_safetensors_find(const auk_safetensors *st, auk_str name)
{
    size_t lo = 0, hi = st->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const auk_tensor *t = st->by_name[mid];
        int c = compare_names(name, t->name);
        if (c == 0)
            return t;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const char *auk_safetensors_metadata(const auk_safetensors *st, const char *key)
{
    return json_string_value(json_object_get(json_object_get(st->header, "__metadata__"), key));
}

/* A fault maps more than the page it is about: 64 KB around it, or (Linux since 6.18) the whole run
 * of the page cache it lies in, up to the 2 MB of one page table.  All that may have come with the
 * range goes with it, or ranges that are read and dropped one by one would leave more and more
 * resident.  A neighbour still being read faults its pages in again. */
void auk_safetensors_drop(const auk_safetensors *st, const void *p, uint64_t bytes)
{
    const uint64_t around = (uint64_t)2 << 20;

    if (st->map.p == NULL)
        return;
    uint64_t from = (uint64_t)((const uint8_t *)p - st->map.p), to = from + bytes;
    from = from > around ? from - around : 0;
    to = st->map.n - to > around ? to + around : st->map.n;
    auk_map_drop(&st->map, st->map.p + from, (size_t)(to - from));
}
