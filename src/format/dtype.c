/* SPDX-License-Identifier: Apache-2.0 */
#include "format/format.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[AUK_DT_COUNT] = {
    [AUK_DT_BOOL] = {"BOOL", 1},       [AUK_DT_U8] = {"U8", 1},
    [AUK_DT_I8] = {"I8", 1},           [AUK_DT_F8_E4M3] = {"F8_E4M3", 1},
    [AUK_DT_F8_E5M2] = {"F8_E5M2", 1}, [AUK_DT_F8_E8M0] = {"F8_E8M0", 1},
    [AUK_DT_U16] = {"U16", 2},         [AUK_DT_I16] = {"I16", 2},
    [AUK_DT_F16] = {"F16", 2},         [AUK_DT_BF16] = {"BF16", 2},
    [AUK_DT_U32] = {"U32", 4},         [AUK_DT_I32] = {"I32", 4},
    [AUK_DT_F32] = {"F32", 4},         [AUK_DT_U64] = {"U64", 8},
    [AUK_DT_I64] = {"I64", 8},         [AUK_DT_F64] = {"F64", 8},
};

const char *auk_dtype_name(auk_dtype t)
{
    return (unsigned)t < AUK_DT_COUNT ? dtypes[t].name : "?";
}

size_t auk_dtype_bytes(auk_dtype t)
{
    return dtypes[t].bytes;
}

void auk_shape_print(char *out, size_t n, int rank, const uint64_t *shape)
{
    auk_buf b = AUK_BUF_INIT(n - 1);

    auk_buf_putc(&b, '[');
    for (int i = 0; i < rank; i++)
        auk_buf_printf(&b, "%s%llu", i ? ", " : "", (unsigned long long)shape[i]);
    auk_buf_putc(&b, ']');
    snprintf(out, n, "%s", auk_buf_str(&b).p);
    auk_buf_release(&b);
}
